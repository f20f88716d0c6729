"""What an answer is worth for the order of the images, or for finding the best of them.

A choice makes the score f_l of every image l surer, by k_lᵀ (Q⁻¹ + V)⁻¹ k_l on average: k_l is the
covariance of f_l with the differences between the images of the set, V that of these differences, Q
the expected curvature of the answer (A-optimal design, Chaloner & Verdinelli 1995). Of a pair Q is
p(1-p). Each image counts by
how probable it is that its score lies where a mistake costs most: for the order, where other
images lie densely; for the best k, at the score that divides them from the others.
"""

from typing import NamedTuple

import numpy as np

from src.rating.models.graph import Floats, Ints, inverses, laplacians, sigmoid
from src.rating.models.likelihood import lattice, log_sum
from src.rating.models.posterior import Belief

SCORE_VARIANCE = 3.58
"""of true scores, logits²: such a person answers 75 % of random pairs the same way twice"""
_SAMPLE = 2000  # images that stand for all in the part that features carry from image to image

_LATTICES = {1: (1.0, 5.0), 2: (1.2, 3.6), 3: (1.5, 3.0)}  # of so many dimensions


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


def density(mean: Floats, variance: Floats, at: float) -> Floats:
    """Of N(mean, variance) at a score, up to a constant factor."""
    return np.asarray(np.exp(-((mean - at) ** 2) / (2 * variance)) / np.sqrt(variance))


def expected_gains(belief: Belief, sets: Ints, aim: Aim | None = None) -> Floats:
    """(m,) what the answer about each of m sets is worth, (k, m); for the order without an aim.

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

    # Of every set the covariances with its differences: the first image's score less each other's.
    here, c, u_var = x[sets], cross[belief.row[sets]], belief.u_var[sets]
    h, at = here[0] - here[1:], np.arange(1, len(sets))
    to_w = h @ w_cov + c[0] - c[1:]
    by_w, own = np.einsum("kmd,rmd->krm", here, to_w), np.einsum("kmd,rmd->krm", c, h)
    own[0] += u_var[0]
    own[at, at - 1] -= u_var[1:]
    to_f = by_w + own
    covariance = to_f[0] - to_f[1:]
    diagonal = np.diag_indices(len(h))
    covariance[diagonal] = np.maximum(covariance[diagonal], 1e-9)
    f = here @ belief.w + belief.u[sets]
    weight = density(f, typical + u_var + others, centre)
    gain = np.einsum("amd,bmd->abm", to_w @ carried, to_w)
    gain = gain + np.einsum("km,kam,kbm->abm", weight, to_f, to_f)
    gain = gain - np.einsum("km,kam,kbm->abm", weight, by_w, by_w)
    told, _ = inverses(expected_curvature(f[0] - f[1:], covariance))
    return np.asarray((inverses(told + covariance)[0] * gain).sum(axis=(0, 1)))


def expected_curvature(mean: Floats, covariance: Floats) -> Floats:
    """(r, r, m) how precisely the answer about each set is expected to tell its differences.

    That is E[diag(p) - p pᵀ] for the probabilities p of being the best.
    """
    nodes, weights = lattice(len(mean), *_LATTICES[len(mean)])
    root = np.linalg.cholesky(np.moveaxis(covariance, 2, 0))
    d = mean[..., None] + np.einsum("mab,nb->amn", root, nodes)
    f = np.concatenate([np.zeros((1, *d.shape[1:])), -d])
    p = np.exp(f - log_sum(f))
    first, second = np.triu_indices(len(p), 1)
    return laplacians((p[first] * p[second]) @ weights)[1:, 1:]
