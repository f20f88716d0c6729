"""What custom_classifier_training does, up to the point where classes and tags differ."""

import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from src.files import evaluation_folder
from src.image_models.evaluate import evaluate
from src.image_models.target import Predictions, Target
from src.image_models.train import train
from src.settings.classifier import ClassifierTraining


class Outcome(NamedTuple):
    """What came out.

    Attributes:
        predictions: of each model.
        model: the folder of the model that was trained, or evaluated.
        results: the folder that results go to.
    """

    predictions: list[Predictions]
    model: Path
    results: Path


def train_or_evaluate(
    settings: ClassifierTraining, target: Target, models: Sequence[Path] = ()
) -> Outcome | None:
    """Do what the mode says.

    Args:
        settings: of the script.
        target: what is learnt.
        models: those to evaluate without training, if not `load_model` alone.

    Returns:
        None in the processes beside the main one of a `torchrun`.
    """
    saved = Path(settings.save_model)
    if settings.trains:
        predictions = train(settings, target)
        return None if predictions is None else Outcome([predictions], saved, saved)
    model, images = Path(settings.load_model), Path(settings.top_level_image_directory)
    found = evaluate(settings, target, models or [model])
    return Outcome(found, model, evaluation_folder(model, images, settings.chosen_folder))


def last_lines(
    settings: ClassifierTraining, model: Path, results: Path | None, script: str
) -> Iterator[str]:
    """Where everything is, and what to do with the model."""
    if results is not None:
        yield f"Results: {results / 'report.html'}"
    yield f"Model: {model}"
    words = [f"--load_model={model}"]
    words += [f"--top_level_image_directory={settings.top_level_image_directory}"]
    yield f"Next: python run.py {script} {shlex.join(words)}"
