"""Measuring a trained classifier and writing what was found beside it."""

import csv
import io
import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from src.dataset.classes import CategorisedImages
from src.dataset.parts import PART_NAMES, TEST, TRAIN
from src.evaluation.classification import confusion_matrix, evaluate, reliability
from src.evaluation.label_errors import Suspicion, suspected_labels
from src.files import write_text

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Measured:
    """A classifier's answers on labelled images.

    Attributes:
        data: the images.
        parts: TRAIN, VALIDATION or TEST for each, (n,) int8.
        probabilities: (n, classes).
        features: what the last layer sees, (n, d).
        unseen: probabilities by models that did not learn the image's label, (n, classes), NaN
            where there are none.
        history: what was logged in training.
        provenance: what the model was made with, for the report.
        notes: sentences on the data.
    """

    data: CategorisedImages
    parts: np.ndarray
    probabilities: np.ndarray
    features: np.ndarray
    unseen: np.ndarray
    history: Sequence[Mapping[str, Any]] = ()
    provenance: Mapping[str, Any] = field(default_factory=dict)
    notes: Sequence[str] = ()


def write_results(
    folder: Path, measured: Measured, *, bootstrap: int, images: int
) -> dict[str, Any]:
    """Write metrics.json, predictions.csv, confusion_matrix.csv, label_errors.csv, report.html.

    Args:
        folder: the model's.
        measured: its answers.
        bootstrap: resamples behind the intervals.
        images: thumbnails in each row of the report.

    Returns:
        What metrics.json holds.

    Raises:
        DataError: a file cannot be written.
    """
    from src.reports.classifier_report import Results, write_report

    data, parts = measured.data, measured.parts
    metrics = measure(measured, bootstrap)
    suspicions = suspected_labels(data.labels, measured.unseen)
    shown = TEST if (parts == TEST).any() else TRAIN
    chosen = parts == shown
    predicted = measured.probabilities.argmax(axis=1)
    matrix = confusion_matrix(data.labels[chosen], predicted[chosen], len(data.classes))
    write_text(folder / "metrics.json", json.dumps(metrics, indent=2, ensure_ascii=False) + "\n")
    write_text(folder / "predictions.csv", predictions_table(measured))
    write_text(folder / "confusion_matrix.csv", _matrix_table(matrix, data.classes))
    write_text(folder / "label_errors.csv", _suspicion_table(measured, suspicions))
    write_report(
        folder / "report.html",
        Results(
            directory=data.directory,
            paths=data.paths,
            classes=data.classes,
            labels=data.labels,
            probabilities=measured.probabilities,
            part_names=[PART_NAMES[part] for part in parts],
            shown=PART_NAMES[shown],
            metrics=metrics,
            matrix=matrix,
            reliability=reliability(data.labels[chosen], measured.probabilities[chosen]),
            suspicions=[(item.image, item.suggested, item.quality) for item in suspicions],
            history=measured.history,
            notes=measured.notes,
            provenance=measured.provenance,
        ),
        images=images,
    )
    return metrics


def measure(measured: Measured, bootstrap: int) -> dict[str, Any]:
    """The figures of every part and of all images, with the classes and what training used."""
    data, parts = measured.data, measured.parts
    train = parts == TRAIN
    counts = np.bincount(data.labels[train], minlength=len(data.classes))
    chances = counts / counts.sum() if counts.sum() else None
    masks = {name: parts == part for part, name in enumerate(PART_NAMES)} | {
        "all": np.ones(len(parts), dtype=bool)
    }
    figures = {
        name: evaluate(
            data.labels[mask],
            measured.probabilities[mask],
            data.classes,
            chances=chances,
            bootstrap=bootstrap if name == "test" else 0,
        )
        for name, mask in masks.items()
        if mask.any() or name == "test"
    }
    images = dict(zip(data.classes, data.counts.tolist(), strict=True))
    return {"classes": images, **figures, "provenance": dict(measured.provenance)}


def predictions_table(measured: Measured) -> str:
    """predictions.csv: path, part, label, prediction, probability of both, and of every class."""
    data = measured.data
    rows = io.StringIO()
    writer = csv.writer(rows, lineterminator="\n")
    writer.writerow(
        ["path", "part", "label", "predicted", "correct", "probability", "probability_of_label"]
        + [f"p({name})" for name in data.classes]
    )
    predicted = measured.probabilities.argmax(axis=1)
    for index, (path, label) in enumerate(zip(data.paths, data.labels.tolist(), strict=True)):
        shares = measured.probabilities[index]
        guess = int(predicted[index])
        writer.writerow(
            [path, PART_NAMES[measured.parts[index]], data.classes[label], data.classes[guess]]
            + [int(guess == label), f"{shares[guess]:.6f}", f"{shares[label]:.6f}"]
            + [f"{share:.6f}" for share in shares]
        )
    return rows.getvalue()


def columns(measured: Measured) -> dict[str, Any]:
    """Columns of a table to look through: label, prediction, part, probabilities."""
    data, shares = measured.data, measured.probabilities
    predicted = shares.argmax(axis=1)
    return {
        "label": [data.classes[label] for label in data.labels],
        "prediction": [data.classes[guess] for guess in predicted],
        "correct": predicted == data.labels,
        "part": [PART_NAMES[part] for part in measured.parts],
        "probability of the label": shares[np.arange(len(shares)), data.labels],
        "probability of the prediction": shares.max(axis=1),
        **{f"p({name})": shares[:, index] for index, name in enumerate(data.classes)},
        "path": data.paths,
    }


def recorded_parts(folder: Path) -> dict[str, int]:
    """Image path -> part that a saved model's predictions.csv names; empty if there is none."""
    try:
        with (folder / "predictions.csv").open(encoding="utf-8", newline="") as stream:
            return {
                row["path"]: PART_NAMES.index(row["part"])
                for row in csv.DictReader(stream)
                if row.get("path") and row.get("part") in PART_NAMES
            }
    except (OSError, UnicodeDecodeError, csv.Error):
        return {}


def _matrix_table(matrix: np.ndarray, classes: Sequence[str]) -> str:
    rows = io.StringIO()
    writer = csv.writer(rows, lineterminator="\n")
    writer.writerow(["label \\ predicted", *classes])
    for name, counts in zip(classes, matrix.tolist(), strict=True):
        writer.writerow([name, *counts])
    return rows.getvalue()


def _suspicion_table(measured: Measured, suspicions: Sequence[Suspicion]) -> str:
    data = measured.data
    rows = io.StringIO()
    writer = csv.writer(rows, lineterminator="\n")
    writer.writerow(["path", "part", "label", "suggested", "probability_of_label"])
    for item in suspicions:
        path, part = data.paths[item.image], PART_NAMES[measured.parts[item.image]]
        label, suggested = data.labels[item.image], item.suggested
        row = [path, part, data.classes[label], data.classes[suggested], f"{item.quality:.6f}"]
        writer.writerow(row)
    return rows.getvalue()
