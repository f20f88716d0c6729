"""Ridge regression: the cheapest head, and hard to beat with few images."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from src.aesthetic.heads.linear import LinearHead
from src.aesthetic.heads.ridge_path import RidgePath
from src.aesthetic.heads.scaling import Scaler, group_numbers, training_data


def fit_ridge(
    features: ArrayLike,
    scores: ArrayLike,
    *,
    weights: ArrayLike | None = None,
    groups: ArrayLike | None = None,
    seed: int = 0,
    blocks: Sequence[int] | None = None,
) -> LinearHead:
    """Ridge regression on standardised features; the penalty by exact leave-group-out error.

    Arguments as in `fit_head`; nothing here is random.
    """
    x, y, w = training_data(features, scores, weights)
    g = group_numbers(groups, len(y))
    scaler = Scaler.fit(x, blocks=blocks)
    z = scaler(x)
    path = RidgePath.from_features(z, y, w, g)
    alpha = path.best_alpha()
    weight = scaler.factor * (z.T @ path.dual(alpha))
    return LinearHead(
        weight=weight,
        bias=float(path.mean - np.average(x, axis=0, weights=w) @ weight),
        residual_std=path.left_out_std(alpha),
        fitted_as="ridge",
        penalty=alpha / path.scale,
    )
