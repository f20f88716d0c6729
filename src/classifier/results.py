"""Measuring what a classifier predicts, and writing it into a folder."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from src.classifier.report import write_report
from src.dataset.parts import PART_NAMES, TEST, TRAIN
from src.evaluation.classification import confusion_matrix, evaluate
from src.evaluation.label_errors import Suspicion, suspected_labels, wrong_probabilities
from src.files import rows_of, write_csv, write_text
from src.image_models.target import Predictions
from src.settings.keys import EvaluationArgs


def write_results(
    folder: Path, predictions: Predictions, options: EvaluationArgs
) -> dict[str, Any]:
    """Write metrics.json, predictions.csv, confusion_matrix.csv, label_errors.csv, report.html.

    Args:
        folder: where to.
        predictions: of a classifier.
        options: resamples behind the intervals, and thumbnails in each row of the report.

    Returns:
        What metrics.json holds.

    Raises:
        DataError: a file cannot be written.
    """
    data, parts = predictions.data, predictions.parts
    suspicions = suspected_labels(data.labels, predictions.out_of_fold)
    metrics = measure(predictions, options.bootstrap_samples)
    metrics["suspected_labels"] = {
        "n": len(suspicions),
        "expected_wrong": _expected_wrong(predictions, suspicions),
    }
    shown = TEST if (parts == TEST).any() else TRAIN
    chosen = parts == shown
    predicted = predictions.probabilities[chosen].argmax(axis=1)
    matrix = confusion_matrix(data.labels[chosen], predicted, len(data.names))
    write_text(folder / "metrics.json", json.dumps(metrics, indent=2, ensure_ascii=False) + "\n")
    write_csv(folder / "predictions.csv", rows_of(columns(predictions)))
    rows = [[name, *counts] for name, counts in zip(data.names, matrix.tolist(), strict=True)]
    write_csv(folder / "confusion_matrix.csv", [["label \\ predicted", *data.names], *rows])
    write_csv(folder / "label_errors.csv", rows_of(_suspicion_columns(predictions, suspicions)))
    write_report(
        folder / "report.html",
        predictions,
        metrics,
        matrix,
        suspicions,
        shown=shown,
        images=options.report_images,
    )
    return metrics


def measure(predictions: Predictions, bootstrap: int) -> dict[str, Any]:
    """The metrics of every part and of all images, with the classes and what training used."""
    data, parts = predictions.data, predictions.parts
    counts = np.bincount(data.labels[parts == TRAIN], minlength=len(data.names))
    chances = counts / counts.sum() if counts.sum() else None
    masks = {name: parts == part for part, name in enumerate(PART_NAMES)}
    masks["all"] = np.ones(len(parts), dtype=bool)
    metrics = {
        name: evaluate(
            data.labels[mask],
            predictions.probabilities[mask],
            data.names,
            chances=chances,
            groups=predictions.images.groups[mask],
            bootstrap=bootstrap if name == "test" else 0,
        )
        for name, mask in masks.items()
        if mask.any() or name in ("train", "test")
    }
    return {
        "task": "classes",
        **metrics,
        "classes": dict(zip(data.names, data.counts.tolist(), strict=True)),
        "provenance": dict(predictions.provenance),
        "unknown_training_images": list(predictions.unknown),
    }


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


def _expected_wrong(predictions: Predictions, suspicions: list[Suspicion]) -> float:
    wrong = wrong_probabilities(predictions.data.labels, predictions.out_of_fold)
    return float(wrong[[item.image for item in suspicions]].sum())


def _suspicion_columns(predictions: Predictions, suspicions: list[Suspicion]) -> dict[str, Any]:
    data = predictions.data
    images = [item.image for item in suspicions]
    return {
        "path": [data.paths[image] for image in images],
        "part": [PART_NAMES[predictions.parts[image]] for image in images],
        "label": [data.names[data.labels[image]] for image in images],
        "suggested": [data.names[item.suggested] for item in suspicions],
        "probability_of_label": [item.quality for item in suspicions],
    }
