"""The objective of one category an image: weighted, smoothed cross-entropy, and its metrics."""

from typing import Any

import numpy as np

from src.image_models.fine_tune import Objective
from src.image_models.head import softmax


def balanced_weights(labels: np.ndarray, classes: int) -> np.ndarray:
    """Weight of each class so that all count the same: n / (classes * count), (classes,) float32.

    The mean over the images is 1. Classes without images get 1.

    Args:
        labels: of the training images alone.
        classes: how many there are.
    """
    counts = np.bincount(labels, minlength=classes)
    present = np.count_nonzero(counts)
    weights = np.where(counts > 0, len(labels) / (present * np.maximum(counts, 1)), 1.0)
    return weights.astype(np.float32)


class CrossEntropy:
    """Cross-entropy of hard labels, (n,) int, or of shares, (n, classes).

    The sum over the batch is divided by the number of labels in all batches that make up one step
    of the optimiser, so that accumulated gradients equal those of one large batch.

    Args:
        weights: of the classes, (classes,); None for all 1.
        smoothing: share of each label that is spread over all classes (Szegedy et al., 2016).
    """

    def __init__(self, weights: np.ndarray | None = None, smoothing: float = 0.0) -> None:
        self._weights, self._smoothing = weights, smoothing

    def __call__(self, outputs: Any, labels: Any, num_items_in_batch: Any = None) -> Any:
        """The loss, a scalar tensor."""
        import torch
        import torch.nn.functional as functional

        logits = outputs["logits"].float()
        weights = None
        if self._weights is not None:
            weights = torch.as_tensor(self._weights, device=logits.device)
        total = functional.cross_entropy(
            logits, labels, weight=weights, label_smoothing=self._smoothing, reduction="sum"
        )
        return total / (len(labels) if num_items_in_batch is None else num_items_in_batch)


def objective(weights: np.ndarray | None = None, smoothing: float = 0.0) -> Objective:
    """Loss, metrics and their wording for one category an image; arguments as `CrossEntropy`."""
    return Objective(CrossEntropy(weights, smoothing), _metrics, _describe)


def _metrics(logits: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    right = softmax(logits)[np.arange(len(labels)), labels]
    return {
        "accuracy": float(np.mean(logits.argmax(axis=1) == labels)),
        "log_loss": float(-np.log(np.maximum(right, 1e-12)).mean()),
        "mean_right": float(right.mean()),
    }


def _describe(metrics: dict[str, float]) -> str:
    return (
        f"validation: {metrics.get('accuracy', 0):.1%} right, "
        f"log-loss {metrics.get('log_loss', 0):.3f}"
    )
