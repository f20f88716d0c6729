"""A tagger, from the settings to the lines for the user."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from src.dataset.trained_on import TrainedOn
from src.errors import ModelError
from src.evaluation.verdicts import tagging_verdicts
from src.image_models.run import last_lines, train_or_evaluate
from src.reports.model_card import write_classifier_card
from src.settings.classifier import ClassifierTraining
from src.settings.use_models import TagImages
from src.tagging import selected_tags
from src.tagging.results import measure, thresholds_of, write_results
from src.tagging.selected_tags import SelectedTag, write_selected_tags
from src.tagging.taggers import members, write_ensemble
from src.tagging.target import Tags
from src.tagging.thresholds import Thresholds, load_thresholds, save_thresholds

_SHOWN = ("threshold", "f1_micro", "f2_micro", "map_micro", "f1_macro")


def run(settings: ClassifierTraining) -> Iterator[str]:
    """Train or evaluate, write what came out, and give the lines as they become known.

    `load_model` may name several folders joined by "+": they are evaluated together, and
    `save_model` becomes their ensemble.
    """
    loaded = Path(settings.load_model)
    models = [Path(part.strip()) for part in settings.load_model.split("+")]
    joining = not settings.trains and len(models) > 1 and not loaded.is_dir()
    if joining:
        _check_ensemble(Path(settings.save_model), models)
    else:
        models = members(loaded)
    outcome = train_or_evaluate(settings, Tags(settings), models)
    if outcome is None:
        return
    predictions, model, folder = outcome.predictions[0], outcome.model, outcome.results
    if settings.trains:
        thresholds = thresholds_of(predictions, settings.threshold_min_support)
        save_thresholds(model, thresholds)
    else:
        own = [load_thresholds(each) for each in models]
        thresholds = Thresholds.mean(own) if joining or len(own) == 1 else load_thresholds(model)
    if len(models) > 1:
        found = outcome.predictions
        predictions = replace(
            predictions,
            probabilities=np.mean([each.probabilities for each in found], axis=0),
            out_of_fold=np.mean([each.out_of_fold for each in found], axis=0),
            provenance={"ensemble of": ", ".join(map(str, models))},
        )
    if joining:
        model = folder = Path(settings.save_model)
        _save_ensemble(model, models, predictions.data.tags, thresholds)
    measured, test = "evaluate" in settings.mode, {}
    if measured:
        results = measure(predictions, thresholds, settings)
        rows = results.metrics["slices"]
        if len(models) > 1:
            alone = [measure(*pair, settings) for pair in zip(found, own, strict=True)]
            slices = zip(*(each.metrics["slices"] for each in (results, *alone)), strict=True)
            names = ["ensemble", *(each.name for each in models)]
            rows = [
                {"model": name, **row}
                for part in slices
                for name, row in zip(names, part, strict=True)
            ]
            results.metrics["models"] = rows
        write_results(folder, predictions, results, settings)
        test = results.metrics["test"]
        yield from tagging_verdicts(results.metrics)
        yield from _table(rows)
    if settings.trains or joining:
        write_classifier_card(model, "tags", predictions, test)
    yield from last_lines(settings, model, folder if measured else None, TagImages)


def _check_ensemble(folder: Path, models: Sequence[Path]) -> None:
    for model in models:
        if not model.is_dir():
            raise ModelError(f"there is no model folder {str(model)!r}: correct load_model")
    if (folder / "model.safetensors").is_file():
        raise ModelError(f"{folder} holds a model: set save_model to another folder")


def _save_ensemble(
    folder: Path, models: Sequence[Path], tags: Sequence[SelectedTag], thresholds: Thresholds
) -> None:
    """Name the models in the ensemble's folder; it holds no weights."""
    write_selected_tags(folder / selected_tags.FILE_NAME, tags)
    write_ensemble(folder, models)
    save_thresholds(folder, thresholds)
    trained_on = TrainedOn()
    for model in models:
        trained_on |= TrainedOn.load(model)
    trained_on.save(folder)


def _table(rows: Sequence[dict[str, Any]]) -> Iterator[str]:
    """Rows as lines of a table."""
    names = [", ".join(row[key] for key in ("slice", "model") if key in row) for row in rows]
    width = max(map(len, names))
    yield f"  {'':{width}}  threshold     F1      F2      mAP   F1 macro"
    for name, row in zip(names, rows, strict=True):
        cells = ["     –" if row[key] is None else f"{row[key]:6.4f}" for key in _SHOWN]
        yield f"  {name:{width}}  " + "  ".join(cells)
