"""A tagger, from the settings to the lines for the user."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from src.dataset.trained_on import TrainedOn
from src.errors import ModelError
from src.evaluation.verdicts import tagging_verdicts
from src.files import write_text
from src.image_models.run import last_lines, train_or_evaluate
from src.image_models.target import Predictions
from src.settings.classifier import ClassifierTraining
from src.tagging import selected_tags
from src.tagging.results import compare, measure, thresholds_of, write_results
from src.tagging.selected_tags import write_selected_tags
from src.tagging.taggers import ENSEMBLE_FILE, ensemble_note, members
from src.tagging.target import Tags
from src.tagging.thresholds import Thresholds, load_thresholds, save_thresholds

_SHOWN = ("threshold", "f1_micro", "f2_micro", "map_micro", "f1_macro")


def run(settings: ClassifierTraining) -> Iterator[str]:
    """Train or evaluate, write what came out, and give the lines as they become known.

    `load_model` may name several folders joined by "+": they are evaluated together, and
    `save_model` becomes their ensemble.
    """
    loaded = Path(settings.load_model)
    several = [Path(part.strip()) for part in settings.load_model.split("+")]
    joining = not settings.trains and len(several) > 1 and not loaded.is_dir()
    if joining:
        _check_ensemble(Path(settings.save_model), several)
    models = several if joining else [loaded]
    if (loaded / ENSEMBLE_FILE).is_file():
        models = members(loaded)
    outcome = train_or_evaluate(settings, Tags(settings), models)
    if outcome is None:
        return
    predictions, model, results = outcome.predictions[0], outcome.model, outcome.results
    if settings.trains:
        thresholds = thresholds_of(predictions, settings.threshold_min_support)
        save_thresholds(model, thresholds)
    else:
        own = [load_thresholds(each) for each in models]
        thresholds = Thresholds.mean(own) if joining or len(own) == 1 else load_thresholds(model)
    rows: list[dict[str, Any]] = []
    if len(models) > 1:
        predictions = _mean(outcome.predictions, models)
        found = [("ensemble", measure(predictions, thresholds, settings))]
        found += [
            (folder.name, measure(each, at, settings))
            for folder, each, at in zip(models, outcome.predictions, own, strict=True)
        ]
        rows = compare(found)
    if joining:
        model = results = Path(settings.save_model)
        _save_ensemble(model, models, predictions, thresholds)
    if settings.export_onnx and settings.trains:
        from src.image_models.export_onnx import export_onnx

        yield export_onnx(model)
    measured = "evaluate" in settings.mode
    if measured:
        written = write_results(results, predictions, thresholds, settings, compared=rows)
        yield from tagging_verdicts(written.metrics)
        yield from _table(rows or written.metrics["slices"])
    yield from last_lines(settings, model, results if measured else None, "tag_images")


def _check_ensemble(folder: Path, models: Sequence[Path]) -> None:
    for model in models:
        if not model.is_dir():
            raise ModelError(f"there is no model folder {str(model)!r}: correct load_model")
    if (folder / "model.safetensors").is_file():
        raise ModelError(f"{folder} holds a model: set save_model to another folder")


def _mean(found: Sequence[Predictions], models: Sequence[Path]) -> Predictions:
    return replace(
        found[0],
        probabilities=np.mean([each.probabilities for each in found], axis=0),
        out_of_fold=np.mean([each.out_of_fold for each in found], axis=0),
        provenance={"ensemble of": ", ".join(map(str, models))},
    )


def _save_ensemble(
    folder: Path, models: Sequence[Path], predictions: Predictions, thresholds: Thresholds
) -> None:
    """Name the models in the ensemble's folder; it holds no weights."""
    write_selected_tags(folder / selected_tags.FILE_NAME, predictions.data.tags)
    write_text(folder / ENSEMBLE_FILE, ensemble_note(folder, models))
    save_thresholds(folder, thresholds)
    trained_on = TrainedOn()
    for model in models:
        trained_on |= TrainedOn.load(model)
    trained_on.save(folder)


def _table(rows: Sequence[dict[str, Any]]) -> Iterator[str]:
    """Rows as lines of a table."""
    names = [f"{row['slice']}, {row['model']}" if "model" in row else row["slice"] for row in rows]
    width = max(map(len, names))
    yield f"  {'':{width}}  threshold     F1      F2      mAP   F1 macro"
    for name, row in zip(names, rows, strict=True):
        cells = ["     –" if row[key] is None else f"{row[key]:6.4f}" for key in _SHOWN]
        yield f"  {name:{width}}  " + "  ".join(cells)
