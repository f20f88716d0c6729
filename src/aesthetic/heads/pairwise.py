"""Preference learning from the choices themselves, not from scores derived from them.

The model of the rating window (see `src.rating.models.posterior`) with one variance for all
weights: scores are f = taste(features) + the image's own effect, of variance σ² κ and σ² (1 - κ).
The own effects absorb what an image has that its features do not show, so that many choices about
few images are not mistaken for taste. κ has the greatest evidence; σ² stays fixed.
"""

import numpy as np
from numpy.typing import ArrayLike

from src.aesthetic.heads.linear import LinearHead
from src.aesthetic.heads.scaling import Scaler
from src.errors import ModelError
from src.rating.models.expectation_propagation import fit
from src.rating.models.graph import Choices
from src.rating.models.posterior import Prior

TASTE_VARIANCE = 3.58  # a person who answers a repeated random pair the same way 75 % of the time
_SHARES = (0.1, 0.3, 0.5, 0.7, 0.9)  # κ
_COMPONENTS = 256  # of the features: hardly anything lies in the others


def fit_pairwise(
    features: ArrayLike, choices: Choices, *, variance: float = TASTE_VARIANCE
) -> LinearHead:
    """A head in log-odds; the choices name images by row of the features; `variance` is σ²."""
    differ = choices.winners != choices.losers
    pairs = [values[differ] for values in (choices.winners, choices.losers, choices.weights)]
    told = Choices(pairs[0], pairs[1], pairs[2], choices.sets)
    if not len(told):
        raise ModelError("there are no choices to learn from: compare some images first")
    seen, known = told.renumbered()
    x = np.asarray(features, dtype=np.float64)
    scaler = Scaler.fit(x)
    size = max(float(np.sqrt((scaler(x) ** 2).sum(axis=1).mean())), 1e-12)
    left, spread, directions = np.linalg.svd(scaler(x[seen]) / size, full_matrices=False)
    components = (left * spread)[:, :_COMPONENTS]
    count, width = components.shape
    fits = []
    for share in _SHARES:
        weights = np.full(width, variance * share)
        prior = Prior(components, np.zeros(width), weights, np.full(count, variance * (1 - share)))
        fits.append(fit(prior, known))
    best = int(np.argmax([found.log_evidence for found in fits]))
    weight = scaler.factor / size * (fits[best].belief.w @ directions[:_COMPONENTS])
    share = _SHARES[best]
    return LinearHead(
        weight=weight,
        bias=float(-scaler.mean @ weight),
        residual_std=float(np.sqrt(variance * (1 - share))),
        fitted_as="pairwise",
        penalty=(1 - share) / share,
    )
