"""Training a model that gives images several tags, and its answers on every image."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np

from src.classifier.job import Job, provenance
from src.dataset import duplicates
from src.dataset.parts import TRAIN, VALIDATION
from src.errors import DataError
from src.features import compute_features, open_store
from src.features.hashes import fingerprint
from src.image_models.backbone import HeadInputs
from src.image_models.distributed import is_main, main_process_first
from src.image_models.fine_tune import LabelledPaths, fine_tune
from src.image_models.head import LinearHead
from src.image_models.image_size import fitted, with_image_size
from src.image_models.model import MULTI_LABEL, load_classifier
from src.image_models.predict import open_classifier
from src.image_models.save import check_target, remove_checkpoints, save_classifier
from src.images.processors import load_preprocessing
from src.tagging import selected_tags
from src.tagging.data import TaggedImages
from src.tagging.head_training import train_tag_head
from src.tagging.job import (
    TagAnswers,
    TagOptions,
    checkpoints_of,
    draw_parts,
    read_images,
    tag_counts,
    weighted_loss,
)
from src.tagging.objective import objective
from src.tagging.out_of_fold import out_of_fold, sigmoid
from src.tagging.selected_tags import write_selected_tags

if TYPE_CHECKING:
    from scipy.sparse import csr_array

logger = logging.getLogger(__name__)

OUTDATED = ("model.onnx", "ensemble.json", "thresholds.json", "tags.csv", "tag_errors.json")
_PRIOR_IMAGES = 2.0  # so many imagined images, half with the tag, temper the first guess


def train_head(job: Job, options: TagOptions) -> TagAnswers:
    """Train only the last layer, on features from the store, and save the whole model.

    Raises:
        DataError, ModelError, SettingsError: as the parts it is made of.
        KeyboardInterrupt: stopped with Ctrl-C; the next call with the same job goes on.
    """
    check_target(job.save_model)
    data = read_images(job, options)
    backbone = HeadInputs(job.start, device=job.recipe.device)
    _seed(job)
    model, head_name = load_classifier(
        backbone.files.folder,
        data.names,
        backbone.preprocessing,
        name=job.start,
        problem_type=MULTI_LABEL,
    )
    backbone.use(model, head_name)
    with open_store(job.directory, job.store) as store:
        table = compute_features(
            job.directory, data.files, [backbone], store, batch_size=job.recipe.batch_size
        )
    data = data.only(table.paths)
    features, sha256s = table.vectors, table.sha256s
    groups = duplicates.groups(sha256s, table.perceptual_hashes)
    parts = draw_parts(job, options, data, sha256s, groups)
    train, held_out = parts == TRAIN, parts == VALIDATION
    layer = model.get_submodule(head_name)
    if not job.load_model:
        _expect_frequencies(layer, data.labels[train])
    start = LinearHead(
        layer.weight.detach().cpu().numpy(),
        np.zeros(len(data.tags), np.float32)
        if layer.bias is None
        else layer.bias.detach().cpu().numpy(),
    )
    own = {"num_train_epochs": options.head_epochs, "learning_rate": options.head_learning_rate}
    job = replace(
        job, recipe=replace(job.recipe, training_args={**job.recipe.training_args, **own})
    )
    checkpoints = checkpoints_of(job, options, data, parts, backbone.files.identity)
    trained, head = train_tag_head(
        start,
        (features[train], data.labels[train]),
        (features[held_out], data.labels[held_out]) if held_out.any() else None,
        objective(weighted_loss(job, options, data.labels[train])),
        job.recipe,
        checkpoints,
    )
    _put_head(layer, head)
    _save(job, data, model, backbone.files.folder, head_name, features=backbone.features)
    _clean_up(job, checkpoints)
    unseen = np.full((len(data), len(data.tags)), np.nan, np.float32)
    if options.find_errors:
        unseen = out_of_fold(features, data.labels, sha256s, groups)
    return TagAnswers(
        data=data,
        parts=parts,
        groups=groups,
        probabilities=sigmoid(head.logits(features)),
        unseen=unseen,
        history=trained["history"],
        provenance=_made(job, options, "its last layer", trained),
    )


def train_all(job: Job, options: TagOptions) -> TagAnswers | None:
    """Train the whole model with transformers' Trainer, save it, and measure what was saved.

    Returns:
        None in the processes beside the main one.

    Raises:
        DataError, ModelError, SettingsError: as the parts it is made of.
        KeyboardInterrupt: stopped with Ctrl-C; the next call with the same job goes on.
    """
    check_target(job.save_model)
    data = read_images(job, options)
    with main_process_first(job.recipe.device), open_store(job.directory, job.store) as store:
        prints = fingerprint(job.directory, data.files, store)
    data = data.only(prints.paths)
    groups = duplicates.groups(prints.sha256s, prints.perceptual_hashes)
    parts = draw_parts(job, options, data, prints.sha256s, groups)
    backbone = HeadInputs(job.start, device=job.recipe.device)
    source = backbone.files.folder
    _seed(job)
    train = parts == TRAIN
    goal = objective(weighted_loss(job, options, data.labels[train]))
    held_out = _some(data, parts == VALIDATION) if (parts == VALIDATION).any() else None
    checkpoints = checkpoints_of(job, options, data, parts, backbone.files.identity)
    model, head_name = load_classifier(
        source, data.names, backbone.preprocessing, name=job.start, problem_type=MULTI_LABEL
    )
    if not job.load_model:
        _expect_frequencies(model.get_submodule(head_name), data.labels[train])
    history: list[Mapping[str, Any]] = []
    with TemporaryDirectory() as name:
        sizes = options.image_sizes or (0,)
        folders = [
            with_image_size(source, size, Path(name) / str(size)) if size else source
            for size in sizes
        ]
        stages = [load_preprocessing(folder) for folder in folders]
        if options.image_sizes:  # what cannot be is told before the first epoch
            for preprocessing in stages:
                fitted(model, preprocessing, job.start)
        for number, (size, preprocessing) in enumerate(zip(sizes, stages, strict=True), start=1):
            if size:
                model = fitted(model, preprocessing, job.start)
            trained = fine_tune(
                model,
                preprocessing,
                _some(data, train),
                held_out,
                goal,
                job.recipe,
                checkpoints / str(size) if size else checkpoints,
                more_follows=number < len(sizes),
            )
            history += trained["history"]
        if is_main():
            _save(job, data, model, folders[-1], head_name)
    if not is_main():
        return None
    _clean_up(job, checkpoints)
    logger.info("Measuring what was saved.")
    return _answers(
        job,
        data,
        parts,
        groups,
        job.save_model,
        history=history,
        provenance=_made(job, options, "the whole model", trained),
    )


def measure_saved(job: Job, options: TagOptions) -> TagAnswers:
    """The answers of `load_model` on the images of the folder, without training.

    The parts are drawn as in training, from the images' content: with the same fractions and seed
    an image that was there then keeps its part.

    Raises:
        DataError, ModelError: as the parts it is made of.
    """
    folder = Path(job.load_model)
    options = replace(options, tag_list=folder / selected_tags.FILE_NAME)
    data = read_images(job, options)
    with open_store(job.directory, job.store) as store:
        prints = fingerprint(job.directory, data.files, store)
    data = data.only(prints.paths)
    groups = duplicates.groups(prints.sha256s, prints.perceptual_hashes)
    parts = draw_parts(job, options, data, prints.sha256s, groups)
    return _answers(
        job, data, parts, groups, folder, history=(), provenance=provenance(job, "nothing")
    )


def _answers(
    job: Job,
    data: TaggedImages,
    parts: np.ndarray,
    groups: np.ndarray,
    folder: Path,
    *,
    history: Sequence[Mapping[str, Any]],
    provenance: Mapping[str, Any],
) -> TagAnswers:
    """What the model in a folder says of the images, through the same way as on any images."""
    classifier = open_classifier(str(folder), device=job.recipe.device)
    with open_store(job.directory, job.store) as store:
        answers = classifier.predict(
            job.directory, data.files, store, batch_size=job.recipe.batch_size
        )
    if answers.paths != data.paths:
        raise DataError(f"images in {job.directory} have changed since training began: start again")
    probabilities = sigmoid(answers.logits)
    return TagAnswers(
        data=data,
        parts=parts,
        groups=groups,
        probabilities=probabilities,
        unseen=np.where((parts == TRAIN)[:, None], np.float32(np.nan), probabilities),
        history=history,
        provenance=provenance,
    )


def _expect_frequencies(layer: Any, labels: "csr_array") -> None:
    """A new head begins by giving each tag its frequency, not one half.

    Lin et al., "Focal loss for dense object detection", 2017, section 3.3.
    """
    import torch

    share = (tag_counts(labels) + _PRIOR_IMAGES / 2) / (labels.shape[0] + _PRIOR_IMAGES)
    odds = torch.from_numpy(np.log(share / (1 - share)).astype(np.float32))
    with torch.no_grad():
        if layer.bias is None:
            layer.bias = torch.nn.Parameter(odds.to(layer.weight.device))
        else:
            layer.bias.copy_(odds)


def _put_head(layer: Any, head: LinearHead) -> None:
    import torch

    with torch.no_grad():
        layer.weight.copy_(torch.from_numpy(head.weight))
        if layer.bias is None:
            layer.bias = torch.nn.Parameter(torch.from_numpy(head.bias))
        else:
            layer.bias.copy_(torch.from_numpy(head.bias))


class _Rows:
    """Labels that become dense one image at a time."""

    def __init__(self, labels: "csr_array") -> None:
        self._labels = labels

    def __getitem__(self, index: int) -> np.ndarray:
        row = np.zeros(self._labels.shape[1], np.float32)
        first, last = self._labels.indptr[index : index + 2]
        row[self._labels.indices[first:last]] = 1
        return row


def _some(data: TaggedImages, chosen: np.ndarray) -> LabelledPaths:
    paths = [path for path, wanted in zip(data.paths, chosen.tolist(), strict=True) if wanted]
    rows: Any = _Rows(data.labels[chosen])
    return LabelledPaths(data.directory, paths, rows)


def _save(
    job: Job,
    data: TaggedImages,
    model: Any,
    processor_from: Path,
    head_name: str,
    *,
    features: str | None = None,
) -> None:
    folder = job.save_model
    save_classifier(folder, model.cpu(), data.names, processor_from, head_name, features=features)
    write_selected_tags(folder / selected_tags.FILE_NAME, data.tags)
    for name in OUTDATED:  # of an older model in the same folder
        (folder / name).unlink(missing_ok=True)


def _seed(job: Job) -> None:
    """New heads and everything random in training come from training_args' seed."""
    import transformers

    transformers.set_seed(int(job.recipe.training_args.get("seed", 42)))


def _clean_up(job: Job, checkpoints: Path) -> None:
    if "output_dir" not in job.recipe.training_args:
        remove_checkpoints(checkpoints)


def _made(job: Job, options: TagOptions, part: str, trained: Mapping[str, Any]) -> dict[str, Any]:
    details = {"epochs trained": f"{trained['epochs']:.4g}", "steps": trained["steps"]}
    return provenance(job, part, loss=repr(options.loss), **details)
