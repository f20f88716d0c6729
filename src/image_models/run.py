"""What custom_classifier_training does, up to the point where classes and tags differ."""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from src.dataset.labelled import order_of
from src.dataset.split import TEST, TRAIN
from src.dataset.trained_on import TrainedOn
from src.files import evaluation_folder, read_json
from src.image_models.backbone import open_classifier
from src.image_models.target import Predictions, Target, features_of, look_at
from src.image_models.train import provenance, train
from src.settings.classifier import ClassifierTraining
from src.settings.keys import ScriptSettings
from src.text import counted

logger = logging.getLogger(__name__)


class Outcome(NamedTuple):
    """What came out."""

    predictions: list[Predictions]  # of each model
    model: Path  # the folder of the model that was trained, or evaluated
    results: Path  # the folder that results go to


def train_or_evaluate(
    settings: ClassifierTraining, target: Target, models: Sequence[Path] = ()
) -> Outcome | None:
    """Train, or evaluate `models`, by default load_model; None beside `torchrun`'s main process."""
    saved = Path(settings.save_model)
    if settings.trains:
        predictions = train(settings, target)
        return None if predictions is None else Outcome([predictions], saved, saved)
    model, images = Path(settings.load_model), Path(settings.top_level_image_directory)
    found = _evaluate(settings, target, models or [model])
    return Outcome(found, model, evaluation_folder(model, images, settings.chosen_folder))


def last_lines(
    settings: ClassifierTraining, model: Path, results: Path | None, user: type[ScriptSettings]
) -> Iterator[str]:
    """Where everything is, exported if asked for, and what to do with the model."""
    if results is not None:
        yield f"Results: {results / 'report.html'}"
    yield f"Model: {model}"
    if settings.export_onnx and settings.trains:
        from src.image_models.export_onnx import export_onnx

        yield export_onnx(model)
    yield f"Next: {settings.command(user, load_model=model)}"


def _evaluate(
    settings: ClassifierTraining, target: Target, folders: Sequence[Path]
) -> list[Predictions]:
    """What each of several models, of the same classes or tags, says of the images of the folder.

    Images that any of the models has seen count as training images, all others as test images.
    """
    data = target.read(folders[0], only_known=True)
    images = look_at(settings, target, data)
    trained_on = TrainedOn()
    for folder in folders:
        trained_on |= TrainedOn.load(folder)
    seen = trained_on.seen(images.sha256s, images.hashes, images.groups)
    text = "%s; by its own record, the model was trained on %d of them."
    logger.info(text, counted(len(seen), "image"), seen.sum())
    found = []
    for folder in folders:
        classifier = open_classifier(
            str(folder), device=settings.device, precision=settings.precision
        )
        own = replace(images, features=features_of(settings, classifier, images))
        order = order_of(data.names, classifier.classes)
        probabilities = target.probabilities(classifier.head.logits(own.features))[:, order]
        if classifier.backbone.untouched and not classifier.backbone.trained_here:
            out_of_fold = target.out_of_fold(own)
        else:
            hidden = seen | bool(trained_on.unknown)
            out_of_fold = np.where(hidden[:, None], np.nan, probabilities)
        found.append(
            Predictions(
                images=own,
                parts=np.where(seen, TRAIN, TEST).astype(np.int8),
                probabilities=probabilities,
                out_of_fold=out_of_fold,
                provenance=_made_with(folder, settings),
                unknown=trained_on.unknown,
            )
        )
    return found


def _made_with(folder: Path, settings: ClassifierTraining) -> dict[str, Any]:
    """What metrics.json says the model was made with; if it says nothing, what is known now."""
    try:
        return dict(read_json(folder / "metrics.json")["provenance"])
    except (OSError, ValueError, KeyError, TypeError):
        return provenance(settings, "elsewhere", {})
