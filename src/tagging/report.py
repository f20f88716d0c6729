"""The page of a tagging model: metrics, and a table of tags with their images."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from src.dataset.suspected_labels import PAGE
from src.evaluation.verdicts import tagging_verdicts
from src.image_models.target import Predictions
from src.reports.html import write_page
from src.reports.thumbnails import thumbnails

MOST_THUMBNAILS = 1500
_SIDE = 128  # pixels of a thumbnail's longer side
_COLUMNS = ("f1_micro", "f2_micro", "mcc_micro", "map_micro", "f1_macro", "mcc_macro", "map_macro")


def write_report(
    file: Path,
    predictions: Predictions,
    metrics: Mapping[str, Any],
    rows: Sequence[dict[str, Any]],
    *,
    images: int,
) -> None:
    """Write the page, with the metrics of each tag as `rows` and so many thumbnails for each."""
    data = predictions.data
    top = top_images(predictions, images)
    shown = list(dict.fromkeys(i for row in top for i in row))[:MOST_THUMBNAILS]
    position = {index: number for number, index in enumerate(shown)}
    write_page(
        file,
        "tags.html",
        title=f"Tags of {data.directory.name}",
        metrics=metrics,
        summary=tagging_verdicts(metrics),
        columns=_COLUMNS,
        history=epochs(predictions.history),
        content={
            "pictures": thumbnails([data.directory / data.paths[index] for index in shown], _SIDE),
            "paths": [data.paths[index] for index in shown],
            "tags": [
                row | {"top": [position[index] for index in best if index in position]}
                for row, best in zip(rows, top, strict=True)
            ],
        },
        suspects_page=PAGE,
    )


def top_images(predictions: Predictions, images: int) -> list[list[int]]:
    """For each tag the images with its highest probabilities, likeliest first.

    Where there are probabilities out of fold, they are used instead of the model's own.
    """
    held_out = predictions.out_of_fold
    best = np.where(np.isfinite(held_out), held_out, predictions.probabilities)
    count = min(images, len(best))
    if not count:
        return [[] for _ in range(best.shape[1])]
    rows = np.argpartition(-best, count - 1, axis=0)[:count]
    order = np.argsort(-np.take_along_axis(best, rows, axis=0), axis=0, kind="stable")
    ranked: list[list[int]] = np.take_along_axis(rows, order, axis=0).T.tolist()
    return ranked


def epochs(history: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """One row for each measurement in training, with the training loss before it."""
    rows, loss = [], None
    for entry in history:
        loss = entry.get("loss", loss)
        if "eval_loss" in entry:
            measured = {k.removeprefix("eval_"): entry[k] for k in entry if k.startswith("eval_")}
            rows.append({"epoch": entry.get("epoch"), "training_loss": loss, **measured})
    return rows
