"""What the answer about a pair is worth for the order of the images.

A choice makes the score f_l of every image l surer, by q k_l² / (1 + q V) on average: k_l is the
covariance of f_l with the pair's difference, V that difference's variance, q the expected
curvature p(1-p) of the answer (A-optimal design, Chaloner & Verdinelli 1995). The order gains
most where images lie densely, so that each image counts by the density of scores around it.
"""

import math

import numpy as np

from src.rating.models.graph import Floats, Ints
from src.rating.models.posterior import Belief

SCORE_VARIANCE = 3.58
"""of true scores, logits²: such a person answers 75 % of random pairs the same way twice"""
_SAMPLE = 2000  # images that stand for all in the part that features carry from image to image


def expected_curvature(mean: Floats, variance: Floats) -> Floats:
    """E[p(1-p)] for a logit N(mean, variance); the logistic taken as a probit (MacKay 1992)."""
    scale = 1 + math.pi / 8 * variance
    return np.asarray(np.exp(-math.pi / 16 * mean**2 / scale) / (4 * np.sqrt(scale)))


def density(mean: Floats, variance: Floats, centre: float) -> Floats:
    """How densely scores lie around N(mean, variance), up to a constant factor."""
    spread = variance + SCORE_VARIANCE
    return np.asarray(np.exp(-((mean - centre) ** 2) / (2 * spread)) / np.sqrt(spread))


def pair_gains(belief: Belief, i: Ints, j: Ints) -> Floats:
    """(k,) what the answer about each of k pairs is worth.

    That features carry it to all other images is counted through w, by a sample of the images;
    the covariance of w with other images' own parts is left out there.
    """
    x = belief.prior.features
    kind = x.dtype
    w_cov, cross = belief.w_cov.astype(kind), belief.cross.astype(kind)
    sample = slice(None, None, max(1, len(x) // _SAMPLE))
    f = x[sample] @ belief.w + belief.u[sample]
    shared = np.einsum("nd,nd->n", x[sample] @ w_cov, x[sample])
    centre, typical = float(f.mean()), float(shared.mean())
    weight = density(f, typical + belief.u_var[sample], centre)
    carried = (x[sample] * (weight * len(x) / len(f)).astype(kind)[:, None]).T @ x[sample]

    h = x[i] - x[j]
    c_i, c_j = cross[belief.row[i]], cross[belief.row[j]]
    to_w = h @ w_cov + c_i - c_j
    own_i = np.einsum("kd,kd->k", c_i, h) + belief.u_var[i]
    own_j = np.einsum("kd,kd->k", c_j, h) - belief.u_var[j]
    by_w_i, by_w_j = np.einsum("kd,kd->k", x[i], to_w), np.einsum("kd,kd->k", x[j], to_w)
    variance = np.maximum(by_w_i - by_w_j + own_i - own_j, 1e-9)
    f_i, f_j = x[i] @ belief.w + belief.u[i], x[j] @ belief.w + belief.u[j]
    weight_i = density(f_i, typical + belief.u_var[i], centre)
    weight_j = density(f_j, typical + belief.u_var[j], centre)
    gain = np.einsum("kd,kd->k", to_w @ carried, to_w)
    gain = gain + weight_i * own_i * (2 * by_w_i + own_i)
    gain = gain + weight_j * own_j * (2 * by_w_j + own_j)
    q = expected_curvature(f_i - f_j, variance)
    return np.asarray(q / (1 + q * variance) * gain)
