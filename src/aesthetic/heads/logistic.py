"""Logistic regression for two kinds of image, kept and deleted: log-odds as a linear head."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from src.aesthetic.heads.base import FloatArray
from src.aesthetic.heads.linear import LinearHead
from src.aesthetic.heads.scaling import Scaler, training_data
from src.errors import ModelError

PENALTIES = np.logspace(2, -5, 15)
"""Tried penalties, relative to the largest curvature of the loss: from "learn hardly anything"."""

_ENOUGH = 4000  # images on which the penalty is chosen; the fit itself uses all
_STEPS = 50


def fit_logistic(
    features: ArrayLike,
    scores: ArrayLike,
    *,
    weights: ArrayLike | None = None,
    seed: int = 0,
    blocks: Sequence[int] | None = None,
) -> LinearHead:
    """Penalised logistic regression on standardised features, both kinds weighing the same.

    The squared penalty is chosen by the log-loss of approximate leave-one-out predictions: Rad
    and Maleki, "A scalable estimate of the out-of-sample prediction error via approximate
    leave-one-out cross-validation", 2020, equation 5. With equal weights of both kinds, a log-odds
    of 0 is the border whatever the share of kept images; `Calibration` turns it into probabilities.

    Args:
        features: (n, d).
        scores: (n,) 1 for kept, 0 for deleted.
        weights: (n,) how much each image counts; None for equally.
        seed: of the images on which the penalty is chosen, where there are very many.
        blocks: lengths of joined parts, to be given equal variance (see `Scaler.fit`).

    Raises:
        ModelError: labels other than 0 and 1, or nothing can be learnt (see `training_data`).
    """
    x, y, w = training_data(features, scores, weights)
    if not np.isin(y, (0.0, 1.0)).all():
        raise ModelError("head 'logistic' learns from labels 1 (keep) and 0 (delete) only")
    w = w * np.where(y == 1, 0.5 / np.average(y, weights=w), 0.5 / np.average(1 - y, weights=w))
    scaler = Scaler.fit(x, blocks=blocks)
    z = scaler(x)
    basis = _basis(z)
    reduced = z @ basis
    some = np.random.default_rng(seed).permutation(len(y))[:_ENOUGH]
    penalty = _choose(reduced[some], y[some], w[some])
    theta, _ = _newton(reduced, y, w, penalty, np.zeros(reduced.shape[1] + 1))
    weight = scaler.factor * (basis @ theta[:-1])
    return LinearHead(
        weight=weight,
        bias=float(theta[-1] - scaler.mean @ weight),
        fitted_as="logistic",
        penalty=penalty,
    )


def _basis(z: FloatArray) -> FloatArray:
    """(d, r) orthonormal: the directions in which the images differ, at most n of them.

    The penalised solution lies in their span, so nothing is lost.
    """
    if len(z) >= z.shape[1]:
        return np.eye(z.shape[1])
    values, vectors = np.linalg.eigh(z @ z.T)
    kept = values > 1e-10 * max(float(values[-1]), 1e-300)
    return np.asarray((z.T @ vectors[:, kept]) / np.sqrt(values[kept]))


def _choose(x: FloatArray, y: FloatArray, w: FloatArray) -> float:
    """The penalty whose approximate leave-one-out log-loss is least."""
    largest = 0.25 * float(np.linalg.norm(np.sqrt(w)[:, None] * x, 2)) ** 2 or 1.0
    theta = np.zeros(x.shape[1] + 1)
    losses = []
    for penalty in PENALTIES * largest:
        theta, curvature = _newton(x, y, w, penalty, theta)
        logits, p = _forward(x, theta)
        design = np.column_stack([x, np.ones(len(x))])
        # Of each image: what one unit of weight on it would do to its own logit.
        leverage = np.einsum("ij,ji->i", design, np.linalg.solve(curvature, design.T))
        own = leverage * w
        left_out = logits + own * (p - y) / np.maximum(1 - own * p * (1 - p), 1e-6)
        losses.append(_log_loss(left_out, y, w))
        if losses[-1] > 1.1 * min(losses):
            break
    return float(PENALTIES[int(np.argmin(losses))] * largest)


def _newton(
    x: FloatArray, y: FloatArray, w: FloatArray, penalty: float, start: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Coefficients (r + 1,), the last for the constant, and the curvature (r + 1, r + 1) there."""
    design = np.column_stack([x, np.ones(len(x))])
    ridge = np.full(len(start), penalty)
    ridge[-1] = 1e-9 * w.sum()

    def loss(theta: FloatArray) -> float:
        return float(w.sum() * _log_loss(design @ theta, y, w) + 0.5 * ridge @ theta**2)

    theta, here = start, loss(start)
    for _ in range(_STEPS):
        _, p = _forward(x, theta)
        slope = design.T @ (w * (p - y)) + ridge * theta
        curvature = (design * (w * p * (1 - p))[:, None]).T @ design
        curvature[np.diag_indices(len(ridge))] += ridge
        step = np.linalg.solve(curvature, slope)
        size = 1.0
        while (there := loss(theta - size * step)) > here and size > 1e-6:
            size /= 2
        if there > here:
            break
        theta, before, here = theta - size * step, here, there
        if before - here < 1e-9 * max(abs(here), 1.0):
            break
    return theta, curvature


def _forward(x: FloatArray, theta: FloatArray) -> tuple[FloatArray, FloatArray]:
    logits = x @ theta[:-1] + theta[-1]
    return logits, 0.5 * (1 + np.tanh(0.5 * logits))


def _log_loss(logits: FloatArray, y: FloatArray, w: FloatArray) -> float:
    return float(np.average(np.logaddexp(0, logits) - y * logits, weights=w))
