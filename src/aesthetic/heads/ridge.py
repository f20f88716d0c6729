"""Ridge regression: the cheapest head, and hard to beat with few images."""

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from src.aesthetic.heads.linear import LinearHead
from src.aesthetic.heads.ridge_path import ALPHAS, Smoother
from src.aesthetic.heads.scaling import Scaler, training_data


def fit_ridge(
    features: ArrayLike,
    scores: ArrayLike,
    *,
    weights: ArrayLike | None = None,
    seed: int = 0,
    blocks: Sequence[int] | None = None,
    choose_by: Literal["loo", "gcv"] = "loo",
) -> LinearHead:
    """Ridge regression on standardised features; the penalty chosen in closed form.

    Args:
        features: (n, d).
        scores: (n,).
        weights: (n,) how much each image counts; None for equally.
        seed: unused; nothing here is random.
        blocks: lengths of joined parts, to be given equal variance (see `Scaler.fit`).
        choose_by: exact leave-one-out error, or generalised cross-validation.

    Raises:
        ModelError: nothing can be learnt (see `training_data`).
    """
    x, y, w = training_data(features, scores, weights)
    scaler = Scaler.fit(x, blocks=blocks)
    z = scaler(x)
    smoother = Smoother.from_features(z, y, w)
    alphas = smoother.alphas()
    errors = smoother.loo_error(alphas) if choose_by == "loo" else smoother.gcv(alphas)
    best = int(np.argmin(errors))
    weight = scaler.factor * (z.T @ smoother.dual(alphas[best]))
    centre = np.average(x, axis=0, weights=w)
    return LinearHead(
        weight=weight,
        bias=float(smoother.mean - centre @ weight),
        residual_std=float(np.sqrt(smoother.loo_error(alphas[[best]])[0])),
        fitted_as="ridge",
        penalty=float(ALPHAS[best]),
    )
