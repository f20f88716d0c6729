"""Training a classifier or a tagger: its last layer on cached features, or all of it."""

import hashlib
import json
import logging
import os
import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import numpy as np

from src.dataset.split import TEST, TRAIN, VALIDATION
from src.dataset.trained_on import FILE_NAME, TrainedOn
from src.devices import choose_device
from src.features.hub import license_of
from src.files import warn_of_replacing
from src.image_models.backbone import HeadInputs, open_classifier
from src.image_models.fine_tune import fine_tune
from src.image_models.head import LinearHead
from src.image_models.model import load_classifier, resize_model, with_image_size
from src.image_models.save import check_target, save_classifier
from src.image_models.target import Images, Predictions, Target, draw_parts, features_of, look_at
from src.images.processors import load_preprocessing
from src.settings.classifier import ClassifierTraining

logger = logging.getLogger(__name__)


def train(settings: ClassifierTraining, target: Target) -> Predictions | None:
    """Train a model, save it, and let it predict the labels of all images.

    None beside `torchrun`'s main process. After Ctrl-C the next call with these settings goes on.
    """
    check_target(Path(settings.save_model))
    images_now = str(Path(settings.top_level_image_directory).resolve())
    warn_of_replacing(Path(settings.save_model), images_now)
    data = target.read(Path(settings.load_model) if settings.load_model else None)
    if settings.train_backbone:
        from accelerate import PartialState

        on_cpu = choose_device(settings.device).type == "cpu"
        with PartialState(cpu=on_cpu).main_process_first():  # which computes what the others read
            images = look_at(settings, target, data)
    backbone = HeadInputs(settings.start, device=settings.device, precision=settings.precision)
    model, head_name = load_classifier(
        backbone.files.folder,
        data.names,
        backbone.preprocessing,
        name=settings.start,
        problem_type=target.problem_type,
    )
    if not settings.train_backbone:
        backbone.use(model, head_name)
        images = look_at(settings, target, data, backbone)
    ancestors = _seen_by_ancestors(settings, backbone)
    seen = ancestors.seen(images.sha256s, images.hashes, images.groups)
    parts = draw_parts(settings, target, images, seen)
    target.start_head(model.get_submodule(head_name), images.data.labels[parts == TRAIN])
    run = _Run(settings, target, images, parts, backbone, model, head_name)
    predictions = _train_whole(run) if settings.train_backbone else _train_head(run)
    if predictions is None:
        return None
    used = np.flatnonzero(parts != TEST)
    own = TrainedOn.of([images.sha256s[index] for index in used.tolist()], images.hashes[used])
    (ancestors | own).save(Path(settings.save_model))
    hidden = seen if settings.train_backbone or backbone.trained_here else np.zeros_like(seen)
    if ancestors.unknown and backbone.trained_here:
        hidden = np.ones_like(seen)  # nobody knows which images it has seen
    predictions.out_of_fold[hidden] = np.nan
    base_license = license_of(backbone.files.folder)
    return replace(predictions, unknown=ancestors.unknown, base_license=base_license)


def is_main() -> bool:
    """Whether this is the process, of those of a `torchrun`, that writes files and talks."""
    return int(os.environ.get("RANK", "0")) == 0


def _seen_by_ancestors(settings: ClassifierTraining, backbone: HeadInputs) -> TrainedOn:
    folder = Path(settings.load_model or backbone.files.folder)
    ours = settings.load_model or backbone.trained_here or (folder / FILE_NAME).is_file()
    return TrainedOn.load(folder) if ours else TrainedOn()


class _Run(NamedTuple):
    """A training that is under way."""

    settings: ClassifierTraining
    target: Target
    images: Images
    parts: np.ndarray
    backbone: HeadInputs
    model: Any
    head_name: str

    def save(self, model: Any, processor_from: Path, **record: Any) -> None:
        """Save the model and what belongs to it; `record` as for `save_classifier`."""
        folder, data = Path(self.settings.save_model), self.images.data
        record["also"] = lambda temporary: self.target.save(temporary, data)
        save_classifier(folder, model.cpu(), data.names, processor_from, self.head_name, **record)


def _train_head(run: _Run) -> Predictions:
    layer = run.model.get_submodule(run.head_name)
    fit = run.target.fit_head(LinearHead.of(layer), run.images, run.parts)
    fit.head.put_into(layer)
    record = {"features": run.backbone.features, "trained_here": run.backbone.trained_here}
    run.save(run.model, run.backbone.files.folder, **record)
    return Predictions(
        images=run.images,
        parts=run.parts,
        probabilities=run.target.probabilities(fit.head.logits(run.images.features)),
        out_of_fold=run.target.out_of_fold(run.images),
        history=fit.history,
        provenance=provenance(run.settings, "its last layer", fit.details),
    )


def _train_whole(run: _Run) -> Predictions | None:
    from accelerate import PartialState

    settings, images, source = run.settings, run.images, run.backbone.files.folder
    training, validation = (
        images.data.only(set(np.array(images.data.paths, object)[run.parts == part]))
        for part in (TRAIN, VALIDATION)
    )
    objective = run.target.objective(training.labels)
    with PartialState().main_process_first():  # which finds out what the others read
        precision = run.backbone.precision_for_training(run.model, run.head_name, len(training))
    checkpoints = _checkpoints(run)
    history: list[Mapping[str, Any]] = []
    model = run.model
    with TemporaryDirectory() as name:
        sizes = settings.image_sizes or (0,)
        folders = [
            with_image_size(source, size, Path(name) / str(size)) if size else source
            for size in sizes
        ]
        stages = [load_preprocessing(folder) for folder in folders]
        for preprocessing in stages if settings.image_sizes else ():
            resize_model(model, preprocessing, settings.start)  # what cannot be done is said now
        for size, preprocessing in zip(sizes, stages, strict=True):
            if size:
                model = resize_model(model, preprocessing, settings.start)
            state = fine_tune(
                model,
                preprocessing,
                training,
                validation if len(validation) else None,
                objective,
                settings,
                checkpoints / str(size) if size else checkpoints,
                precision=precision,
                more_follows=preprocessing is not stages[-1],
            )
            history += state.log_history
        if not is_main():
            return None
        run.save(model, folders[-1])
    logger.info("Measuring what was saved.")
    classifier = open_classifier(
        settings.save_model, device=settings.device, precision=settings.precision
    )
    images = replace(images, features=features_of(settings, classifier, images))
    probabilities = run.target.probabilities(classifier.head.logits(images.features))
    if "output_dir" not in settings.training_args.given:
        _remove_checkpoints(checkpoints)
    details = {"epochs trained": f"{state.epoch:.4g}", "steps": state.global_step}
    return Predictions(
        images=images,
        parts=run.parts,
        probabilities=probabilities,
        out_of_fold=np.where((run.parts == TRAIN)[:, None], np.nan, probabilities),
        history=history,
        provenance=provenance(settings, "the whole model", details),
    )


def provenance(
    settings: ClassifierTraining, trained: str, details: Mapping[str, Any]
) -> dict[str, Any]:
    """What a model was made with, for its report and metrics.json."""
    import torch
    import transformers

    return {
        "model": settings.start,
        "trained": trained,
        **details,
        "fraction_for_test": settings.fraction_for_test,
        "test_pick_seed": settings.test_pick_seed,
        "weight_category_loss": settings.weight_category_loss,
        "versions": f"torch {torch.__version__}, transformers {transformers.__version__}",
    }


_FREE = {
    *("mode", "save_model", "device", "precision", "feature_store", "resume", "evaluation_args"),
    *("training_args", "export_onnx", "threshold_scope", "threshold_min_support", "tag_ranks"),
}
"""settings that may be others when an interrupted training is resumed"""


def _checkpoints(run: _Run) -> Path:
    """A folder that only a training on the same data with the same settings has."""
    data, settings = run.images.data, run.settings
    given = settings.training_args.given
    described = {
        "start": run.backbone.files.identity,
        "names": data.names,
        "paths": data.paths,
        "settings": settings.model_dump(mode="json", exclude=_FREE),
        "training_args": {k: v for k, v in given.items() if k != "resume_from_checkpoint"},
    }
    digest = hashlib.sha256(json.dumps(described, sort_keys=True, default=str).encode())
    labels = data.labels
    for array in (labels,) if labels.ndim == 1 else (labels.indices, labels.indptr):
        digest.update(array.tobytes())
    digest.update(run.parts.tobytes())
    saved = Path(settings.save_model)
    return saved.with_name(f"{saved.name}.checkpoints") / digest.hexdigest()[:12]


def _remove_checkpoints(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    try:
        folder.parent.rmdir()
    except OSError:  # checkpoints of other runs are there
        logger.info("Checkpoints of unfinished runs are left in %s.", folder.parent)
