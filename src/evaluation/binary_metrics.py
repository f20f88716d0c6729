"""How well kept and deleted images are told apart, and how far the probabilities can be trusted."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

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

    Labels (n,) are 1 for kept and 0 for deleted, with the probabilities (n,) of keeping. auc is the
    share of pairs of a kept and a deleted image ordered right, its 95 % interval from `bootstrap`
    resamples in which near duplicates, which share a number in `groups` (n,), are drawn together.
    Precision and recall are those at probability 0.5, with Wilson intervals.
    """
    y, p = np.asarray(labels, np.float64), np.asarray(probabilities, np.float64)
    kept, said_kept = y == 1, p >= 0.5
    right = kept == said_kept
    safe = np.clip(p, 1e-12, 1 - 1e-12)
    off = [row["n"] * abs(row["kept"] - row["probability"]) for row in reliability(y, p)]
    return {
        "n": len(y),
        "kept": int(kept.sum()),
        "deleted": int((~kept).sum()),
        "auc": pairwise_accuracy(y, p) if len(y) else None,
        "auc_interval": accuracy_interval(y, p, bootstrap=bootstrap, groups=groups),
        "average_precision": _average_precision(kept, p),
        "average_precision_delete": _average_precision(~kept, -p),
        **_proportion("accuracy", right),
        **_proportion("precision", kept[said_kept]),
        **_proportion("recall", said_kept[kept]),
        **_proportion("precision_delete", ~kept[~said_kept]),
        **_proportion("recall_delete", ~said_kept[~kept]),
        "log_loss": _mean(-np.where(kept, np.log(safe), np.log1p(-safe))),
        "brier": _mean((p - y) ** 2),
        "calibration_error": sum(off) / len(y) if len(y) else None,
    }


def reliability(labels: ArrayLike, probabilities: ArrayLike) -> list[dict[str, float]]:
    """Ten groups of about equally many images by probability: n, mean probability, share kept."""
    y, p = np.asarray(labels, np.float64), np.asarray(probabilities, np.float64)
    order = np.argsort(p, kind="stable")
    return [
        {"n": len(part), "probability": float(p[part].mean()), "kept": float(y[part].mean())}
        for part in np.array_split(order, min(_BINS, max(len(y) // 5, 1)))
        if len(part)
    ]


def cut_table(labels: ArrayLike, probabilities: ArrayLike) -> list[dict[str, Any]]:
    """What deleting everything below each probability would do.

    For each cut: n below it, right (how many of these the person deleted), share (of n) with its
    interval, lost (kept images among them), found (share of all deleted ones).
    """
    p, deleted = np.asarray(probabilities, np.float64), np.asarray(labels) == 0
    return [
        {
            "cut": cut,
            "n": len(below),
            "right": int(below.sum()),
            **_proportion("share", below),
            "lost": int((~below).sum()),
            "found": int(below.sum()) / int(deleted.sum()) if deleted.any() else None,
        }
        for cut, below in ((cut, deleted[p < cut]) for cut in CUTS)
    ]


def _average_precision(positive: np.ndarray, scores: np.ndarray) -> float | None:
    from sklearn.metrics import average_precision_score

    return float(average_precision_score(positive, scores)) if positive.any() else None


def _proportion(name: str, right: np.ndarray) -> dict[str, Any]:
    found = Proportion(int(right.sum()), len(right))
    return {name: found.value, f"{name}_interval": found.interval if len(right) else None}


def _mean(values: np.ndarray) -> float | None:
    return float(values.mean()) if len(values) else None
