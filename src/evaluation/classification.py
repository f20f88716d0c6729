"""How good a classifier is: metrics from labels and probabilities, nothing else."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from src.evaluation.proportion import wilson

BINS = 15
_LEAST = 1e-12  # probabilities below this count as this in the log-loss


def evaluate(
    labels: np.ndarray,
    probabilities: np.ndarray,
    classes: Sequence[str],
    *,
    chances: np.ndarray | None = None,
    groups: np.ndarray | None = None,
) -> dict[str, Any]:
    """Everything that is measured on one part of the images, as JSON values; None where undefined.

    Labels (n,) with probabilities (n, classes). mean_right is the mean probability of the right
    label, chance the accuracy of guessing by `chances`, the training shares (by default those of
    these images), majority that of always naming the commonest training class. Near duplicates,
    which share a number in `groups` (n,), count as one image in the interval of the accuracy.
    """
    n, count = len(labels), len(classes)
    if not n:
        return {"n": 0, "accuracy": None, "per_class": []}
    from sklearn.metrics import precision_recall_fscore_support

    predicted = probabilities.argmax(axis=1)
    accuracy, right = float(np.mean(predicted == labels)), probabilities[np.arange(n), labels]
    precision, recall, f1, sizes = precision_recall_fscore_support(
        labels, predicted, labels=range(count), zero_division=np.nan
    )
    means = np.bincount(labels, right, count) / np.where(sizes, sizes, np.nan)
    columns = {"precision": precision, "recall": recall, "f1": f1, "mean_right": means}
    shares = sizes / n
    chances = shares if chances is None else chances
    return {
        "n": n,
        "accuracy": accuracy,
        "accuracy_interval": list(wilson(accuracy, n if groups is None else len(set(groups)))),
        "balanced_accuracy": float(np.nanmean(recall)),
        "macro_f1": float(np.nanmean(f1)),  # of the classes that occur or are named
        "mean_right": float(right.mean()),
        "log_loss": float(-np.log(np.maximum(right, _LEAST)).mean()),
        "brier": float(np.mean((probabilities**2).sum(axis=1) - 2 * right + 1)),
        "calibration_error": calibration_error(labels, probabilities),
        "chance": float(shares @ chances),
        "uniform_chance": 1 / count,
        "majority": float(shares[int(np.argmax(chances))]),
        "per_class": [
            {"name": name, "n": int(sizes[c])}
            | {k: None if np.isnan(v[c]) else float(v[c]) for k, v in columns.items()}
            for c, name in enumerate(classes)
        ],
    }


def calibration_error(labels: np.ndarray, probabilities: np.ndarray) -> float:
    """Mean distance of confidence and accuracy in 15 equal bins.

    Guo et al., "On calibration of modern neural networks", 2017, equation 3.
    """
    bins = reliability(labels, probabilities)
    return sum(abs(b["accuracy"] - b["confidence"]) * b["n"] for b in bins) / len(labels)


def reliability(labels: np.ndarray, probabilities: np.ndarray) -> list[dict[str, float]]:
    """For each bin of the predicted category's probability: n, confidence and accuracy in it."""
    confidence, right = probabilities.max(axis=1), probabilities.argmax(axis=1) == labels
    bins = np.minimum((confidence * BINS).astype(int), BINS - 1)
    return [
        {
            "n": int((bins == b).sum()),
            "confidence": float(confidence[bins == b].mean()),
            "accuracy": float(right[bins == b].mean()),
        }
        for b in np.unique(bins)
    ]
