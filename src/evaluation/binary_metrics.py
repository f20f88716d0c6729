"""How well kept and deleted images are told apart, and how far the probabilities can be trusted."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from src.evaluation.concordance import FloatArray
from src.evaluation.proportion import Proportion
from src.evaluation.rank_metrics import accuracy_interval, pairwise_accuracy

CUTS = (0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5)
_BINS = 10


def evaluate_binary(
    labels: ArrayLike,
    probabilities: ArrayLike,
    *,
    bootstrap: int = 0,
    groups: ArrayLike | None = None,
) -> dict[str, Any]:
    """All figures of one part of the images; None where they are not defined.

    Args:
        labels: (n,) 1 for kept, 0 for deleted.
        probabilities: that the image is kept, (n,).
        bootstrap: resamplings of the images for the 95 % interval of `auc`; 0 for none.
        groups: (n,) images with the same number (near duplicates) are drawn together.

    Returns:
        n, kept, deleted; auc (the share of pairs of a kept and a deleted image ordered right) and
        auc_interval; average_precision of finding the kept and average_precision_delete of finding
        the deleted ones; accuracy, precision, recall, precision_delete and recall_delete at
        probability 0.5, each with its Wilson interval; log_loss, brier and calibration_error.
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
        "auc_interval": accuracy_interval(y, p, bootstrap=bootstrap, groups=groups),
        "average_precision": average_precision(kept, p),
        "average_precision_delete": average_precision(~kept, -p),
        **_proportion("accuracy", right),
        **_proportion("precision", kept[said_kept]),
        **_proportion("recall", said_kept[kept]),
        **_proportion("precision_delete", ~kept[~said_kept]),
        **_proportion("recall_delete", ~said_kept[~kept]),
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
        (of n) with its Wilson interval, lost (kept images among them), found (share of all deleted
        images that are below).
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
                **_proportion("share", deleted[below]),
                "lost": int(below.sum()) - right,
                "found": right / int(deleted.sum()) if deleted.any() else None,
            }
        )
    return rows


def contradicted(labels: ArrayLike, probabilities: ArrayLike) -> Proportion:
    """Of the fifth of the images that the model is surest of, those labelled otherwise.

    Where a model is surest there is next to no doubt about the image itself, so that what
    contradicts it is the share of wrong labels (after Liu and Tao, "Classification with noisy
    labels by importance reweighting", 2016, who take the most extreme probabilities).
    """
    y, p = np.asarray(labels, np.float64), np.asarray(probabilities, np.float64)
    surest = np.argsort(-np.abs(p - 0.5), kind="stable")[: len(y) // 5]
    return Proportion(int(((p[surest] >= 0.5) != (y[surest] == 1)).sum()), len(surest))


def _proportion(name: str, right: np.ndarray) -> dict[str, Any]:
    found = Proportion(int(right.sum()), len(right))
    return {name: found.value, f"{name}_interval": found.interval if len(right) else None}


def _mean(values: np.ndarray) -> float | None:
    return float(values.mean()) if len(values) else None
