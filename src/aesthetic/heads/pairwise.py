"""Preference learning from the choices themselves, not from scores derived from them.

P(left preferred) = sigmoid(f_left - f_right), f = taste(features) + the image's own effect, both
Gaussian: f ~ N(0, σ² (κ X Xᵀ + (1 - κ) I)). The own effects absorb what one image has that its
features do not show, so that many choices about few images are not mistaken for taste. The mode
is found by L-BFGS; κ by the Laplace approximation of the evidence, σ² stays fixed,
because pairs that were picked for being informative make the evidence collapse it.

Sources: Bradley & Terry 1952; Chu & Ghahramani 2005; Rasmussen & Williams 2006, 3.4.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from src.aesthetic.heads.base import FloatArray
from src.aesthetic.heads.linear import LinearHead
from src.aesthetic.heads.scaling import Scaler
from src.errors import ModelError

TASTE_VARIANCE = 3.58  # a person who answers a repeated random pair the same way 75 % of the time
_SHARES = (0.1, 0.3, 0.5, 0.7, 0.9)  # κ
_SEARCH_ON = 600  # images: κ needs no more to be found


@dataclass(frozen=True)
class Choices:
    """What was chosen, one entry per answer; repeats are simply further entries.

    Attributes:
        left: (c,) row of the left image in the features.
        right: (c,) row of the right image.
        left_won: (c,) 1 where left was preferred, 0 where right was, 0.5 for a tie.
        weight: (c,) how much each answer counts.
    """

    left: NDArray[np.intp]
    right: NDArray[np.intp]
    left_won: FloatArray
    weight: FloatArray

    @classmethod
    def of(
        cls,
        left: ArrayLike,
        right: ArrayLike,
        left_won: ArrayLike,
        weight: ArrayLike | None = None,
        *,
        images: int,
    ) -> "Choices":
        """Checked choices about `images` images; pairs of an image with itself are left out.

        Raises:
            ModelError: lengths that do not agree, rows out of range, outcomes outside 0 … 1.
        """
        a, b = np.asarray(left, dtype=np.intp), np.asarray(right, dtype=np.intp)
        won = np.asarray(left_won, dtype=np.float64)
        w = np.ones(len(won)) if weight is None else np.asarray(weight, dtype=np.float64)
        if not len(a) == len(b) == len(won) == len(w):
            raise ModelError(f"{len(a)} left and {len(b)} right images for {len(won)} outcomes")
        if len(a) and not (min(a.min(), b.min()) >= 0 and max(a.max(), b.max()) < images):
            raise ModelError(f"a choice names an image outside the {images} at hand")
        if not (((won >= 0) & (won <= 1)).all() and np.isfinite(w).all() and (w >= 0).all()):
            raise ModelError("outcomes must lie between 0 and 1, and weights must not be negative")
        use = (a != b) & (w > 0)
        return cls(a[use], b[use], won[use], w[use])


def fit_pairwise(
    features: ArrayLike, choices: Choices, *, variance: float = TASTE_VARIANCE
) -> LinearHead:
    """A linear head in log-odds units: sigmoid of a difference is the chance to be preferred.

    Args:
        features: (n, d) of all images that the choices name; others may be among them.
        choices: the choice log.
        variance: σ², prior variance of a score in squared log-odds.

    Raises:
        ModelError: no choices between different images.
    """
    if not len(choices.left):
        raise ModelError("there are no choices to learn from: compare some images first")
    x = np.asarray(features, dtype=np.float64)
    seen = np.unique(np.concatenate([choices.left, choices.right]))
    scaler = Scaler.fit(x)
    size = max(float(np.sqrt((scaler(x) ** 2).sum(axis=1).mean())), 1e-12)
    z = scaler(x[seen]) / size
    compact = _renumbered(choices, seen)
    share = _best_share(z, compact, variance)
    taste = _mode(z, share, variance, compact)[0]
    weight = scaler.factor / size * taste
    return LinearHead(
        weight=weight,
        bias=float(-scaler.mean @ weight),
        residual_std=float(np.sqrt(variance * (1 - share))),
        fitted_as="pairwise",
        penalty=(1 - share) / share,
    )


def _mode(
    z: FloatArray, share: float, variance: float, choices: Choices
) -> tuple[FloatArray, FloatArray, float]:
    """Most probable taste (d,) and scores f (n,), and the log posterior there without constants.

    Searched in the units of the prior, where the problem is well conditioned.
    """
    from scipy.optimize import minimize

    n, d = z.shape
    taste_unit, own_unit = np.sqrt(variance * share), np.sqrt(variance * (1 - share))

    def scores(parameters: FloatArray) -> FloatArray:
        f: FloatArray = taste_unit * (z @ parameters[:d]) + own_unit * parameters[d:]
        return f

    def loss(parameters: FloatArray) -> tuple[float, FloatArray]:
        f = scores(parameters)
        margin = f[choices.left] - f[choices.right]
        surprise = np.logaddexp(0, -margin) * choices.left_won
        surprise += np.logaddexp(0, margin) * (1 - choices.left_won)
        pull = choices.weight * (_sigmoid(margin) - choices.left_won)
        slope = np.bincount(choices.left, pull, n) - np.bincount(choices.right, pull, n)
        gradient = parameters + np.concatenate([taste_unit * (slope @ z), own_unit * slope])
        return float(parameters @ parameters / 2 + choices.weight @ surprise), gradient

    found = minimize(loss, np.zeros(d + n), jac=True, method="L-BFGS-B", options={"maxiter": 500})
    return taste_unit * found.x[:d], scores(found.x), -float(found.fun)


def _best_share(z: FloatArray, choices: Choices, variance: float) -> float:
    """κ of the greatest Laplace evidence, judged on the images compared most often."""
    counts = np.bincount(np.concatenate([choices.left, choices.right]), minlength=len(z))
    often = np.sort(np.argsort(-counts, kind="stable")[:_SEARCH_ON])
    inside = np.isin(choices.left, often) & np.isin(choices.right, often)
    if not inside.any():
        return 0.5
    known = Choices(*(values[inside] for values in vars(choices).values()))
    known, z = _renumbered(known, often), z[often]
    gram = z @ z.T

    def evidence(share: float) -> float:
        _, f, log_posterior = _mode(z, share, variance, known)
        prior = variance * (share * gram + (1 - share) * np.eye(len(z)))
        chance = _sigmoid(f[known.left] - f[known.right])
        curvature = known.weight * chance * (1 - chance)
        laplacian = np.zeros_like(gram)
        for a, b, sign in (
            (known.left, known.left, 1),
            (known.right, known.right, 1),
            (known.left, known.right, -1),
            (known.right, known.left, -1),
        ):
            np.add.at(laplacian, (a, b), sign * curvature)
        determinant = np.linalg.slogdet(np.eye(len(z)) + prior @ laplacian)[1]
        return log_posterior - float(determinant) / 2

    return max(_SHARES, key=evidence)


def _renumbered(choices: Choices, images: NDArray[np.intp]) -> Choices:
    """The same choices with rows counted within `images` (sorted)."""
    return Choices(
        np.searchsorted(images, choices.left),
        np.searchsorted(images, choices.right),
        choices.left_won,
        choices.weight,
    )


def _sigmoid(x: FloatArray) -> FloatArray:
    chance: FloatArray = np.exp(-np.logaddexp(0, -x))
    return chance
