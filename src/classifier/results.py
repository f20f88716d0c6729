"""What a classifier predicts: measured, and written into files."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from src.classifier.report import write_report
from src.dataset.split import PART_NAMES, TEST, TRAIN
from src.dataset.suspected_labels import FILE_NAME, PAGE, SuspectedLabel, write_suspected
from src.evaluation.classification import evaluate
from src.evaluation.label_errors import suspected_labels, wrong_probabilities
from src.files import csv_text, rows_of, write_csv, write_text
from src.image_models.target import Predictions
from src.reports.suspects import write_suspects
from src.settings.keys import EvaluationArgs

_COLUMNS = 100  # categories up to which each has a column


def write_results(
    folder: Path, predictions: Predictions, options: EvaluationArgs
) -> dict[str, Any]:
    """Write metrics.json, which is returned, tables, suspected labels, and the two pages."""
    from sklearn.metrics import confusion_matrix

    data, parts = predictions.data, predictions.parts
    suspicions = suspected_labels(data.labels, predictions.out_of_fold)
    wrong = wrong_probabilities(data.labels, predictions.out_of_fold)
    expected = float(wrong[[item.image for item in suspicions]].sum())
    metrics = measure(predictions)
    metrics["suspected_labels"] = {"n": len(suspicions), "expected_wrong": expected}
    shown = TEST if (parts == TEST).any() else TRAIN
    chosen = parts == shown
    predicted = predictions.probabilities[chosen].argmax(axis=1)
    matrix = confusion_matrix(data.labels[chosen], predicted, labels=range(len(data.names)))
    write_text(folder / "metrics.json", json.dumps(metrics, indent=2, ensure_ascii=False) + "\n")
    write_csv(folder / "predictions.csv", rows_of(columns(predictions)))
    rows = [[name, *counts] for name, counts in zip(data.names, matrix.tolist(), strict=True)]
    write_csv(folder / "confusion_matrix.csv", [["label \\ predicted", *data.names], *rows])
    suspected = []
    for item in suspicions:
        label, suggested = data.names[data.labels[item.image]], data.names[item.suggested]
        fit = item.quality, 1 - item.quality
        suspected.append(SuspectedLabel(data.paths[item.image], "class", label, suggested, *fit))
    write_suspected(folder / FILE_NAME, suspected)
    write_suspects(folder / PAGE, data.directory, suspected)
    images = options.report_images
    write_report(folder / "report.html", predictions, metrics, matrix, suspicions, shown, images)
    return metrics


def measure(predictions: Predictions) -> dict[str, Any]:
    """The metrics of every part and of all images, with the classes and what training used."""
    data, parts = predictions.data, predictions.parts
    counts = np.bincount(data.labels[parts == TRAIN], minlength=len(data.names))
    chances = counts / counts.sum() if counts.sum() else None

    def of_part(mask: np.ndarray, _: str) -> dict[str, Any]:
        labels, shares = data.labels[mask], predictions.probabilities[mask]
        groups = predictions.images.groups[mask]
        return evaluate(labels, shares, data.names, chances=chances, groups=groups)

    classes = dict(zip(data.names, data.counts.tolist(), strict=True))
    return predictions.measured(of_part) | {"task": "classes", "classes": classes}


def columns(predictions: Predictions) -> dict[str, Any]:
    """Part, label, prediction and all probabilities of each image, as columns of a table."""
    data, shares = predictions.data, predictions.probabilities
    predicted = shares.argmax(axis=1)
    return {
        "path": data.paths,
        "part": [PART_NAMES[part] for part in predictions.parts.tolist()],
        "label": [data.names[label] for label in data.labels.tolist()],
        "predicted": [data.names[guess] for guess in predicted.tolist()],
        "correct": (predicted == data.labels).astype(int),
        "probability": shares.max(axis=1),
        "probability_of_label": shares[np.arange(len(shares)), data.labels],
        **{f"p({name})": shares[:, index] for index, name in enumerate(data.names)},
    }


def classification_table(
    paths: Sequence[str], probabilities: np.ndarray, classes: Sequence[str], rank_by: str = ""
) -> str:
    """path, category, probability, and those of all categories, if they are a hundred or fewer.

    The most probable images of the category `rank_by` come first; without it the order stays.
    """
    rows = np.arange(len(paths))
    if rank_by:
        wanted = probabilities[:, list(classes).index(rank_by)]
        rows = np.argsort(-wanted, kind="stable")
    shares = probabilities[rows]
    columns: dict[str, Any] = {
        "path": np.array(paths, object)[rows],
        "category": np.array(classes, object)[shares.argmax(axis=1)],
        "probability": shares.max(axis=1),
    }
    if rank_by:
        columns[f"rank by p({rank_by})"] = range(1, len(paths) + 1)
    if len(classes) <= _COLUMNS:
        columns |= {f"p({name})": shares[:, index] for index, name in enumerate(classes)}
    return csv_text(rows_of(columns))
