"""How good a classifier is: metrics from labels and probabilities, nothing else."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from src.evaluation.proportion import Proportion
from src.evaluation.resampling import intervals

BINS = 15
_LEAST = 1e-12  # probabilities below this count as this in the log-loss

Metrics = dict[str, Any]


def evaluate(
    labels: np.ndarray,
    probabilities: np.ndarray,
    classes: Sequence[str],
    *,
    chances: np.ndarray | None = None,
    groups: np.ndarray | None = None,
    bootstrap: int = 0,
) -> Metrics:
    """Everything that is measured on one part of the images, as JSON values; None where undefined.

    Labels (n,) with probabilities (n, classes). mean_right is the mean probability of the right
    label, chance the accuracy of guessing by `chances`, the training shares (by default those of
    these images), majority that of always naming the commonest training class. Near duplicates
    share a number in `groups` (n,): `bootstrap` resamples, for 95 % intervals, draw them together.
    """
    n, count = len(labels), len(classes)
    if not n:
        return {"n": 0, "accuracy": None, "per_class": []}
    predicted = probabilities.argmax(axis=1)
    right = probabilities[np.arange(n), labels]
    matrix = confusion_matrix(labels, predicted, count)
    shares = np.bincount(labels, minlength=count) / n
    chances = shares if chances is None else chances
    per_class = _per_class(matrix, labels, right, classes)
    accuracy = Proportion(int(np.sum(predicted == labels)), n)
    losses = -np.log(np.maximum(right, _LEAST))
    metrics: Metrics = {
        "n": n,
        "accuracy": accuracy.value,
        "accuracy_interval": list(accuracy.interval),
        "balanced_accuracy": float(np.mean([row["recall"] for row in per_class if row["n"]])),
        "macro_f1": _macro_f1(matrix),
        "mean_right": float(right.mean()),
        "log_loss": float(losses.mean()),
        "brier": float(np.mean((probabilities**2).sum(axis=1) - 2 * right + 1)),
        "calibration_error": calibration_error(labels, probabilities),
        "chance": float(shares @ chances),
        "uniform_chance": 1 / count,
        "majority": float(shares[int(np.argmax(chances))]),
    }

    def measure(counts: np.ndarray) -> dict[str, float]:
        cells = np.bincount(labels * count + predicted, counts, minlength=count**2)
        return {
            "log_loss_interval": float(np.average(losses, weights=counts)),
            "macro_f1_interval": _macro_f1(cells.reshape(count, count)) or 0.0,
        }

    metrics |= intervals(np.arange(n) if groups is None else groups, bootstrap, measure)
    return metrics | {"per_class": per_class}


def confusion_matrix(labels: np.ndarray, predicted: np.ndarray, classes: int) -> np.ndarray:
    """Counts (classes, classes): a row for each true class, a column for each predicted one."""
    return np.bincount(labels * classes + predicted, minlength=classes**2).reshape(classes, classes)


def calibration_error(labels: np.ndarray, probabilities: np.ndarray) -> float:
    """Mean distance of confidence and accuracy in 15 equal bins.

    Guo et al., "On calibration of modern neural networks", 2017, equation 3.
    """
    bins = reliability(labels, probabilities)
    return sum(abs(b["accuracy"] - b["confidence"]) * b["n"] for b in bins) / len(labels)


def reliability(labels: np.ndarray, probabilities: np.ndarray) -> list[dict[str, float]]:
    """For each bin of the predicted category's probability: n, confidence and accuracy in it."""
    confidence = probabilities.max(axis=1)
    correct = probabilities.argmax(axis=1) == labels
    bins = np.minimum((confidence * BINS).astype(int), BINS - 1)
    counts = np.bincount(bins, minlength=BINS)
    sums = np.bincount(bins, confidence, BINS)
    hits = np.bincount(bins, correct, BINS)
    return [
        {"n": int(n), "confidence": float(confident / n), "accuracy": float(right / n)}
        for n, confident, right in zip(counts, sums, hits, strict=True)
        if n
    ]


def _per_class(
    matrix: np.ndarray, labels: np.ndarray, right: np.ndarray, classes: Sequence[str]
) -> list[Metrics]:
    hits = np.diag(matrix)
    actual, named = matrix.sum(axis=1), matrix.sum(axis=0)
    sums = np.bincount(labels, right, len(classes))
    return [
        {
            "name": name,
            "n": int(actual[c]),
            "precision": _ratio(hits[c], named[c]),
            "recall": _ratio(hits[c], actual[c]),
            "f1": _ratio(2 * hits[c], actual[c] + named[c]),
            "mean_right": _ratio(sums[c], actual[c]),
        }
        for c, name in enumerate(classes)
    ]


def _macro_f1(matrix: np.ndarray) -> float | None:
    """Mean F1 of the classes that occur or are named."""
    sizes = matrix.sum(axis=0) + matrix.sum(axis=1)
    used = sizes > 0
    return float(np.mean(2 * np.diag(matrix)[used] / sizes[used])) if used.any() else None


def _ratio(part: float, whole: float) -> float | None:
    return float(part / whole) if whole else None
