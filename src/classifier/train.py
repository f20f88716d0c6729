"""Training a classifier of categories: its last layer on stored features, or all of it."""

import logging
from typing import Any

import numpy as np

from src.classifier.job import Job, draw_parts, provenance, read_images, run_name
from src.classifier.measure import answers
from src.classifier.results import Measured
from src.dataset.classes import CategorisedImages
from src.dataset.deduplicate import clean
from src.dataset.parts import TRAIN, VALIDATION
from src.features import compute_features, open_store
from src.features.hashes import fingerprint
from src.image_models.backbone import HeadInputs
from src.image_models.distributed import is_main, main_process_first
from src.image_models.fine_tune import LabelledPaths, fine_tune
from src.image_models.head import LinearHead, choose_penalty, fit_head, out_of_fold, softmax
from src.image_models.model import load_classifier
from src.image_models.save import check_target, remove_checkpoints, save_classifier

logger = logging.getLogger(__name__)


def train_head(job: Job) -> Measured:
    """Train only the last layer, on features from the store, and save the whole model.

    The penalty of the head is chosen by cross-validation among the training images; there is no
    validation part. Under `torchrun` the main process does this alone.

    Raises:
        DataError, ModelError: as the parts it is made of.
    """
    check_target(job.save_model)
    data = read_images(job)
    backbone = HeadInputs(job.start, device=job.recipe.device)
    model, head_name = load_classifier(
        backbone.files.folder, data.classes, backbone.preprocessing, name=job.start
    )
    backbone.use(model, head_name)
    with open_store(job.directory, job.store) as store:
        table = compute_features(
            job.directory, data.files, [backbone], store, batch_size=job.recipe.batch_size
        )
    cleaned = clean(data.only(table.paths), table.sha256s, table.perceptual_hashes)
    features = table.vectors[cleaned.kept]
    sha256s = [table.sha256s[index] for index in cleaned.kept.tolist()]
    data, groups = cleaned.data, cleaned.groups
    parts = draw_parts(job, cleaned, sha256s, fraction_for_validation=0.0)
    train, count = parts == TRAIN, len(data.classes)
    options: dict[str, Any] = {"balanced": job.balanced}
    penalty = choose_penalty(
        features[train], data.labels[train], count, groups[train], seed=job.seed, **options
    )
    head = fit_head(features[train], data.labels[train], count, penalty=penalty, **options)
    _put_head(model, head_name, head)
    save_classifier(
        job.save_model,
        model.cpu(),
        data.classes,
        backbone.files.folder,
        head_name,
        features=backbone.features,
    )
    unseen = out_of_fold(
        features, data.labels, count, groups, penalty=penalty, seed=job.seed, **options
    )
    return Measured(
        data=data,
        parts=parts,
        probabilities=softmax(head.logits(features)),
        features=features,
        unseen=unseen,
        provenance=provenance(job, "its last layer", penalty=f"{penalty:.3g}"),
        notes=cleaned.notes(),
    )


def train_all(job: Job) -> Measured | None:
    """Train the whole model with transformers' Trainer, save it, and measure what was saved.

    Returns:
        None in the processes beside the main one.

    Raises:
        DataError, ModelError, SettingsError: as the parts it is made of.
        KeyboardInterrupt: stopped with Ctrl-C; the next call with the same job goes on.
    """
    from src.classifier.cross_entropy import balanced_weights, objective

    check_target(job.save_model)
    data = read_images(job)
    with main_process_first(job.recipe.device), open_store(job.directory, job.store) as store:
        prints = fingerprint(job.directory, data.files, store)
    cleaned = clean(data.only(prints.paths), prints.sha256s, prints.perceptual_hashes)
    data = cleaned.data
    sha256s = [prints.sha256s[index] for index in cleaned.kept.tolist()]
    parts = draw_parts(job, cleaned, sha256s, fraction_for_validation=job.fraction_for_validation)
    backbone = HeadInputs(job.start, device=job.recipe.device)
    _seed(job)
    model, head_name = load_classifier(
        backbone.files.folder, data.classes, backbone.preprocessing, name=job.start
    )
    weights = None
    if job.balanced:
        weights = balanced_weights(data.labels[parts == TRAIN], len(data.classes))
    smoothing = float(job.recipe.training_args.get("label_smoothing_factor", 0.0))
    checkpoints = job.save_model.with_name(f"{job.save_model.name}.checkpoints") / run_name(
        job, data, parts, backbone.files.identity
    )
    trained = fine_tune(
        model,
        backbone.preprocessing,
        _some(data, parts == TRAIN),
        _some(data, parts == VALIDATION) if (parts == VALIDATION).any() else None,
        objective(weights, smoothing),
        job.recipe,
        checkpoints,
    )
    if not is_main():
        return None
    source = backbone.files.folder
    save_classifier(job.save_model, model.cpu(), data.classes, source, head_name)
    if "output_dir" not in job.recipe.training_args:
        remove_checkpoints(checkpoints)
    logger.info("Measuring what was saved.")
    details = {"epochs trained": f"{trained['epochs']:.4g}", "steps": trained["steps"]}
    made_with = provenance(job, "the whole model", **details)
    return answers(job, cleaned, parts, job.save_model, trained["history"], made_with)


def _some(data: CategorisedImages, chosen: np.ndarray) -> LabelledPaths:
    paths = [path for path, wanted in zip(data.paths, chosen.tolist(), strict=True) if wanted]
    return LabelledPaths(data.directory, paths, data.labels[chosen])


def _put_head(model: Any, head_name: str, head: LinearHead) -> None:
    import torch

    layer = model.get_submodule(head_name)
    with torch.no_grad():
        layer.weight.copy_(torch.from_numpy(head.weight))
        if layer.bias is None:
            layer.bias = torch.nn.Parameter(torch.from_numpy(head.bias))
        else:
            layer.bias.copy_(torch.from_numpy(head.bias))


def _seed(job: Job) -> None:
    """New heads and everything random in training come from training_args' seed."""
    import transformers

    transformers.set_seed(int(job.recipe.training_args.get("seed", 42)))
