"""What would help: more ratings, or other features? Measured on the training images alone."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from src.aesthetic.heads import fit_head
from src.aesthetic.heads.training_set import TrainingSet, assign_folds
from src.evaluation.rank_metrics import pairwise_accuracy
from src.evaluation.verdicts import CurvePoint

_FEWEST = 12  # images to fit on; below, AB is mostly chance
_FOLDS, _POINTS = 4, 5


def learning_curve(data: TrainingSet, method: str = "ridge") -> list[CurvePoint]:
    """AB against the number of rated images, up to three quarters of those at hand.

    Each quarter is left out once; the head is fitted on random parts of the rest, the sizes
    growing by equal factors. Images of the same group stay on one side. Empty with too few images.
    """
    fold = assign_folds(data.groups, _FOLDS, 0)
    most = min(int((fold != k).sum()) for k in range(_FOLDS))
    if most < 2 * _FEWEST:
        return []
    rng = np.random.default_rng(0)
    curve = []
    for size in np.unique(np.geomspace(_FEWEST, most, _POINTS).round().astype(int)):
        parts = [
            rng.choice(np.flatnonzero(fold != k), size=size, replace=False) for k in range(_FOLDS)
        ]
        found = _accuracies(data, parts, fold, method)
        if found:
            error = float(np.std(found) / np.sqrt(len(found)))
            curve.append(CurvePoint(int(size), float(np.mean(found)), error))
    return curve


def part_accuracies(
    data: TrainingSet, parts: Mapping[str, slice]
) -> dict[str, tuple[float | None, float | None]]:
    """How much each part of the features matters, by cross-validation of ridge regression.

    By name of a part, such as one extractor's columns: AB with this part alone, and AB with all
    but this part (None if there is no other).
    """
    fold = assign_folds(data.groups, _FOLDS, 0)
    inside = [np.flatnonzero(fold != k) for k in range(_FOLDS)]

    def cross_validated(columns: NDArray[np.bool_]) -> float | None:
        chosen = data._replace(features=data.features[:, columns])
        found = _accuracies(chosen, inside, fold, "ridge") if columns.any() else []
        return float(np.mean(found)) if found else None

    result = {}
    for name, columns in parts.items():
        mine = np.zeros(data.features.shape[1], dtype=bool)
        mine[columns] = True
        result[name] = (cross_validated(mine), cross_validated(~mine))
    return result


def _accuracies(
    data: TrainingSet, parts: Sequence[NDArray[np.intp]], fold: NDArray[np.intp], method: str
) -> list[float]:
    """AB on each fold of a head fitted on a part of the others, where the scores differ."""
    x, y = data.features, data.scores
    found = [
        pairwise_accuracy(y[fold == k], fit_head(method, x[part], y[part]).predict(x[fold == k]))
        for k, part in enumerate(parts)
        if np.ptp(y[part]) > 0
    ]
    return [ab for ab in found if ab is not None]
