"""The page of a tagging model: metrics, a table of tags with their images, suspicious tags."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from src.evaluation.label_verdicts import tagging_verdicts
from src.image_models.target import Predictions
from src.reports.html import write_page
from src.reports.thumbnails import thumbnails
from src.tagging.tag_files import SidecarStyle

if TYPE_CHECKING:
    from src.tagging.data import TaggedImages
    from src.tagging.errors import TagError
MOST_THUMBNAILS = 1500
MOST_ERRORS = 400
MOST_GIVEN = 12
_SIDE = 128  # pixels of a thumbnail's longer side
_COLUMNS = ("f1_micro", "f2_micro", "mcc_micro", "map_micro", "f1_macro", "mcc_macro", "map_macro")


def write_report(
    file: Path,
    predictions: Predictions,
    metrics: Mapping[str, Any],
    rows: Sequence[dict[str, Any]],
    errors: Sequence["TagError"],
    style: SidecarStyle,
    *,
    images: int,
) -> None:
    """Write the page.

    Args:
        file: where to.
        predictions: of a tagger.
        metrics: what metrics.json holds.
        rows: metrics of each tag.
        errors: tags that are probably missing or wrong.
        style: how the tag files are named, for the list that the page saves.
        images: thumbnails for each tag.

    Raises:
        DataError: it cannot be written.
    """
    data = predictions.data
    top = top_images(predictions, images)
    listed = errors[:MOST_ERRORS]
    place = {path: index for index, path in enumerate(data.paths)}
    wanted = [place[error.image] for error in listed] + [i for row in top for i in row]
    shown = list(dict.fromkeys(wanted))[:MOST_THUMBNAILS]
    pictures = thumbnails([data.directory / data.paths[index] for index in shown], _SIDE)
    known = {index: position for position, index in enumerate(shown)}
    write_page(
        file,
        "tags.html",
        title=f"Tags of {data.directory.name}",
        metrics=metrics,
        summary=tagging_verdicts(metrics),
        columns=_COLUMNS,
        history=epochs(predictions.history),
        content={
            "pictures": pictures,
            "paths": [data.paths[index] for index in shown],
            "tags": [
                row | {"top": [known[index] for index in best if index in known]}
                for row, best in zip(rows, top, strict=True)
            ],
            "errors": [
                asdict(error)
                | {
                    "picture": known.get(place[error.image]),
                    "given": _given(data, place[error.image]),
                }
                for error in listed
            ],
            "folder": f"{data.directory.resolve().as_uri()}/",
            "list": {
                "kind": "tag errors",
                "directory": str(data.directory.resolve()),
                "style": asdict(style),
            },
        },
        errors_found=len(errors),
    )


def _given(data: "TaggedImages", row: int) -> list[str]:
    """The tags that an image has now, at most so many."""
    first, last = data.labels.indptr[row : row + 2].tolist()
    names = [data.tags[tag].name for tag in data.labels.indices[first:last].tolist()]
    return names if len(names) <= MOST_GIVEN else [*names[: MOST_GIVEN - 1], "…"]


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
            measured = {
                key.removeprefix("eval_"): value
                for key, value in entry.items()
                if key.startswith("eval_")
            }
            rows.append({"epoch": entry.get("epoch"), "training_loss": loss, **measured})
    return rows
