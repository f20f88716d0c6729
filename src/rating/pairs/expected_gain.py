"""What the answer about a pair is worth for the order of the images, or for finding the best.

A choice makes the score f_l of every image l surer, by q k_l² / (1 + q V) on average: k_l is the
covariance of f_l with the pair's difference, V that difference's variance, q the expected
curvature p(1-p) of the answer (A-optimal design, Chaloner & Verdinelli 1995). Each image counts by
how probable it is that its score lies where a mistake costs most: for the order, where other
images lie densely; for the best k, at the score that divides them from the others.
"""

import math
from typing import NamedTuple

import numpy as np

from src.rating.models.graph import Floats, Ints, sigmoid
from src.rating.models.posterior import Belief

SCORE_VARIANCE = 3.58
"""of true scores, logits²: such a person answers 75 % of random pairs the same way twice"""
_SAMPLE = 2000  # images that stand for all in the part that features carry from image to image


class Aim(NamedTuple):
    """The best k of the images: those near the boundary, which is where choices tell most."""

    boundary: float  # score that divides the best from the others, logits
    images: Ints  # (m,) m ≤ 2000: where it is least sure on which side they are
    weights: Floats  # (m,) how much each of them counts


def aim_at_top(belief: Belief, images: Ints, count: int) -> Aim:
    """At the best `count` of these images."""
    mean, deviation = belief.mean[images], np.sqrt(belief.variance(images))
    low, high = float((mean - 8 * deviation).min()), float((mean + 8 * deviation).max())
    while high - low > 1e-3:  # as many are expected above the boundary as are wanted
        boundary = (low + high) / 2
        above = sigmoid(1.702 * (mean - boundary) / deviation).sum()
        low, high = (boundary, high) if above > count else (low, boundary)
    weights = density(mean, deviation**2, high)
    most = np.argsort(-weights, kind="stable")[:_SAMPLE]
    return Aim(high, images[most], weights[most] / weights[most].sum())


def expected_curvature(mean: Floats, variance: Floats) -> Floats:
    """E[p(1-p)] for a logit N(mean, variance); the logistic taken as a probit (MacKay 1992)."""
    scale = 1 + math.pi / 8 * variance
    return np.asarray(np.exp(-math.pi / 16 * mean**2 / scale) / (4 * np.sqrt(scale)))


def density(mean: Floats, variance: Floats, at: float) -> Floats:
    """Of N(mean, variance) at a score, up to a constant factor."""
    return np.asarray(np.exp(-((mean - at) ** 2) / (2 * variance)) / np.sqrt(variance))


def pair_gains(belief: Belief, i: Ints, j: Ints, aim: Aim | None = None) -> Floats:
    """(k,) what the answer about each of k pairs is worth; for the whole order without an aim.

    That features carry it to all other images is counted through w, by a sample of the images;
    the covariance of w with other images' own parts is left out there.
    """
    x = belief.prior.features
    kind = x.dtype
    w_cov, cross = belief.w_cov.astype(kind), belief.cross.astype(kind)
    sample = np.arange(0, len(x), max(1, len(x) // _SAMPLE)) if aim is None else aim.images
    f = x[sample] @ belief.w + belief.u[sample]
    shared = np.einsum("nd,nd->n", x[sample] @ w_cov, x[sample])
    typical = float(shared.mean())
    if aim is None:
        centre, others, each = float(f.mean()), SCORE_VARIANCE, len(x) / len(f)
    else:
        centre, others, each = aim.boundary, 0.0, 1.0
    weight = each * density(f, typical + belief.u_var[sample] + others, centre)
    carried = (x[sample] * weight.astype(kind)[:, None]).T @ x[sample]

    h = x[i] - x[j]
    c_i, c_j = cross[belief.row[i]], cross[belief.row[j]]
    to_w = h @ w_cov + c_i - c_j
    own_i = np.einsum("kd,kd->k", c_i, h) + belief.u_var[i]
    own_j = np.einsum("kd,kd->k", c_j, h) - belief.u_var[j]
    by_w_i, by_w_j = np.einsum("kd,kd->k", x[i], to_w), np.einsum("kd,kd->k", x[j], to_w)
    variance = np.maximum(by_w_i - by_w_j + own_i - own_j, 1e-9)
    f_i, f_j = x[i] @ belief.w + belief.u[i], x[j] @ belief.w + belief.u[j]
    weight_i = density(f_i, typical + belief.u_var[i] + others, centre)
    weight_j = density(f_j, typical + belief.u_var[j] + others, centre)
    gain = np.einsum("kd,kd->k", to_w @ carried, to_w)
    gain = gain + weight_i * own_i * (2 * by_w_i + own_i)
    gain = gain + weight_j * own_j * (2 * by_w_j + own_j)
    q = expected_curvature(f_i - f_j, variance)
    return np.asarray(q / (1 + q * variance) * gain)
