"""The objective of one category an image: weighted, smoothed cross-entropy, and its metrics."""

from functools import partial
from typing import Any

import numpy as np

from src.image_models.fine_tune import Objective
from src.image_models.head import softmax


def balanced_weights(labels: np.ndarray, classes: int) -> np.ndarray:
    """Weight of each class so that all count the same: n / (present * count), (classes,) float32.

    The mean over these images is 1. Classes without images get 1.
    """
    counts = np.bincount(labels, minlength=classes)
    weights = len(labels) / (np.count_nonzero(counts) * np.maximum(counts, 1))
    return np.where(counts > 0, weights, 1.0).astype(np.float32)


def cross_entropy(
    outputs: Any,
    labels: Any,
    num_items_in_batch: Any = None,
    *,
    weights: np.ndarray | None = None,
    smoothing: float = 0.0,
) -> Any:
    """Cross-entropy of hard labels, (n,) int, or of shares, (n, classes).

    The sum over the batch is divided by the number of labels in all batches that make up one step
    of the optimiser, so that accumulated gradients equal those of one large batch.

    Args:
        outputs: a mapping with `logits`, (n, classes).
        labels: those of the batch.
        num_items_in_batch: the labels of one step; by default those of this batch.
        weights: of the classes, (classes,); None for all 1.
        smoothing: share of each label that is spread over all classes (Szegedy et al., 2016).
    """
    import torch

    logits = outputs["logits"].float()
    weight = None if weights is None else torch.as_tensor(weights, device=logits.device)
    total = torch.nn.functional.cross_entropy(
        logits, labels, weight=weight, label_smoothing=smoothing, reduction="sum"
    )
    return total / (len(labels) if num_items_in_batch is None else num_items_in_batch)


def objective(weights: np.ndarray | None = None, smoothing: float = 0.0) -> Objective:
    """Loss, metrics and their wording for one category an image."""
    loss = partial(cross_entropy, weights=weights, smoothing=smoothing)
    return Objective(loss, _metrics, _describe)


def _metrics(logits: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    right = softmax(logits)[np.arange(len(labels)), labels]
    return {
        "accuracy": float(np.mean(logits.argmax(axis=1) == labels)),
        "log_loss": float(-np.log(np.maximum(right, 1e-12)).mean()),
    }


def _describe(metrics: dict[str, float]) -> str:
    return (
        f"validation: {metrics.get('accuracy', 0):.1%} right, "
        f"log-loss {metrics.get('log_loss', 0):.3f}"
    )
