"""How well kept and deleted images are told apart, and how far the probabilities can be trusted."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from src.aesthetic.heads.base import FloatArray
from src.evaluation.rank_metrics import pairwise_accuracy

CUTS = (0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5)
_BINS = 10


def evaluate_binary(labels: ArrayLike, probabilities: ArrayLike) -> dict[str, Any]:
    """All figures of one part of the images; None where they are not defined.

    Args:
        labels: (n,) 1 for kept, 0 for deleted.
        probabilities: that the image is kept, (n,).

    Returns:
        n, kept, deleted; auc (the share of pairs of a kept and a deleted image ordered right);
        average_precision of finding the kept and average_precision_delete of finding the deleted
        ones; accuracy, precision, recall, precision_delete and recall_delete at probability 0.5;
        log_loss, brier and calibration_error.
    """
    y, p = np.asarray(labels, np.float64), np.asarray(probabilities, np.float64)
    kept, said_kept = y == 1, p >= 0.5
    right = kept == said_kept
    safe = np.clip(p, 1e-12, 1 - 1e-12)
    bins = reliability(y, p)
    return {
        "n": len(y),
        "kept": int(kept.sum()),
        "deleted": int((~kept).sum()),
        "auc": pairwise_accuracy(y, p) if len(y) else None,
        "average_precision": average_precision(kept, p),
        "average_precision_delete": average_precision(~kept, -p),
        "accuracy": _mean(right),
        "precision": _mean(kept[said_kept]),
        "recall": _mean(said_kept[kept]),
        "precision_delete": _mean(~kept[~said_kept]),
        "recall_delete": _mean(~said_kept[~kept]),
        "log_loss": _mean(-np.where(kept, np.log(safe), np.log1p(-safe))),
        "brier": _mean((p - y) ** 2),
        "calibration_error": sum(b["n"] * abs(b["kept"] - b["probability"]) for b in bins) / len(y)
        if len(y)
        else None,
    }


def average_precision(positive: np.ndarray, scores: FloatArray) -> float | None:
    """Mean over the positives of the precision among all that score as high or higher.

    Images of the same score come together, so that their order does not matter.

    Args:
        positive: (n,) bool.
        scores: (n,).
    """
    if not positive.any():
        return None
    order = np.argsort(-scores, kind="stable")
    hits = np.cumsum(positive[order])
    last = np.append(np.diff(scores[order]) != 0, True)  # of each run of equal scores
    found, seen = hits[last], np.flatnonzero(last) + 1
    return float(np.sum(np.diff(found, prepend=0) * found / seen) / hits[-1])


def reliability(labels: ArrayLike, probabilities: ArrayLike) -> list[dict[str, float]]:
    """Ten groups of about equally many images by probability: n, mean probability, share kept."""
    y, p = np.asarray(labels, np.float64), np.asarray(probabilities, np.float64)
    order = np.argsort(p, kind="stable")
    return [
        {
            "n": len(part),
            "probability": float(p[part].mean()),
            "kept": float(y[part].mean()),
        }
        for part in np.array_split(order, min(_BINS, max(len(y) // 5, 1)))
        if len(part)
    ]


def cut_table(labels: ArrayLike, probabilities: ArrayLike) -> list[dict[str, Any]]:
    """What deleting everything below each probability would do.

    Returns:
        For each cut: cut, n below it, right (how many of these were deleted by the person), share
        (of n), lost (kept images among them), found (share of all deleted images that are below).
    """
    y, p = np.asarray(labels, np.float64), np.asarray(probabilities, np.float64)
    deleted = y == 0
    rows = []
    for cut in CUTS:
        below = p < cut
        right = int((below & deleted).sum())
        rows.append(
            {
                "cut": cut,
                "n": int(below.sum()),
                "right": right,
                "share": _mean(deleted[below]),
                "lost": int(below.sum()) - right,
                "found": right / int(deleted.sum()) if deleted.any() else None,
            }
        )
    return rows


def _mean(values: np.ndarray) -> float | None:
    return float(values.mean()) if len(values) else None
