"""What would help: more ratings, or other features? Measured on the training images alone."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from src.aesthetic.heads import fit_head
from src.aesthetic.heads.base import FloatArray
from src.aesthetic.heads.training_set import TrainingSet
from src.aesthetic.select import assign_folds
from src.evaluation.rank_metrics import pairwise_accuracy
from src.evaluation.verdicts import CurvePoint

_FEWEST = 12  # images to fit on; below, AB is mostly chance
_FOLDS = 4


def learning_curve(
    features: ArrayLike,
    scores: ArrayLike,
    *,
    method: str = "ridge",
    groups: ArrayLike | None = None,
    points: int = 5,
    draws: int = 3,
    seed: int = 0,
) -> list[CurvePoint]:
    """AB against the number of rated images, up to three quarters of those at hand.

    Each quarter is left out once; the head is fitted on random parts of the rest, the sizes
    growing by equal factors.

    Args:
        features: (n, d) of the training images.
        scores: (n,).
        method: a head fitted in closed form (`fit_head`).
        groups: (n,) images with the same number stay on one side; None for none.
        points: sizes to try.
        draws: random parts of each size, per quarter.
        seed: of the parts.

    Returns:
        points by size; empty with too few images.
    """
    x, y, *_ = TrainingSet.of(features, scores)
    fold = assign_folds(len(y) if groups is None else groups, _FOLDS, seed)
    most = min(int((fold != k).sum()) for k in range(_FOLDS))
    if most < 2 * _FEWEST:
        return []
    sizes = np.unique(np.geomspace(_FEWEST, most, points).round().astype(int))
    rng = np.random.default_rng(seed)
    curve = []
    for size in sizes:
        found = []
        for k in range(_FOLDS):
            inside, outside = np.flatnonzero(fold != k), fold == k
            for _ in range(draws if size < most else 1):
                part = rng.choice(inside, size=size, replace=False)
                ab = _accuracy(x, y, part, outside, method)
                found += [] if ab is None else [ab]
        if found:
            error = float(np.std(found) / np.sqrt(len(found)))
            curve.append(CurvePoint(int(size), float(np.mean(found)), error))
    return curve


def part_accuracies(
    features: ArrayLike,
    scores: ArrayLike,
    parts: Mapping[str, Sequence[int] | slice],
    *,
    method: str = "ridge",
    groups: ArrayLike | None = None,
    seed: int = 0,
) -> dict[str, tuple[float | None, float | None]]:
    """How much each part of the features matters, by cross-validation.

    Args:
        features: (n, d) of the training images.
        scores: (n,).
        parts: columns by name, such as one extractor's.
        method: a head fitted in closed form (`fit_head`).
        groups: (n,) images with the same number stay in one fold; None for none.
        seed: of the folds.

    Returns:
        by name: AB with this part alone, and AB with all but this part (None if there is no other).
    """
    x, y, *_ = TrainingSet.of(features, scores)
    fold = assign_folds(len(y) if groups is None else groups, _FOLDS, seed)
    result = {}
    for name, columns in parts.items():
        mine = np.zeros(x.shape[1], dtype=bool)
        mine[columns] = True
        alone = _cross_validated(x[:, mine], y, fold, method)
        rest = None if mine.all() else _cross_validated(x[:, ~mine], y, fold, method)
        result[name] = (alone, rest)
    return result


def _cross_validated(
    x: FloatArray, y: FloatArray, fold: NDArray[np.intp], method: str
) -> float | None:
    found = [_accuracy(x, y, np.flatnonzero(fold != k), fold == k, method) for k in range(_FOLDS)]
    measured = [ab for ab in found if ab is not None]
    return float(np.mean(measured)) if measured else None


def _accuracy(
    x: FloatArray,
    y: FloatArray,
    train: NDArray[np.intp],
    test: NDArray[np.bool_],
    method: str,
) -> float | None:
    """AB on some images of a head fitted on others; None where the scores do not differ."""
    if np.ptp(y[train]) == 0:
        return None
    return pairwise_accuracy(y[test], fit_head(method, x[train], y[train]).predict(x[test]))
