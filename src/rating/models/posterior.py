"""Bayesian preference learning: one latent score per image, explained by its features where it can.

    f_i = x_i·w + u_i          w ~ N(w_mean, diag(w_var)),  u_i ~ N(0, u_var_i)
    P(i is the best of a set) = exp f_i / sum_j exp f_j

For two images that is P(i is preferred to j) = sigmoid(f_i - f_j), Bradley and Terry's model.
Gaussian-process preference learning (Chu & Ghahramani 2005) with a linear kernel plus an
independent part, in weight space so that it scales to 100,000 images. `Belief.after` takes in one
answer; `expectation_propagation.fit` takes in all of them. Everything here is in natural logits;
Elo units are logits / ln 10.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import ArrayLike

from src.rating.models.graph import Floats, Ints
from src.rating.models.likelihood import moments

LOGITS = math.log(10)  # per Elo unit


@dataclass(frozen=True)
class Prior:
    """What is believed before any choice, for n images with d features; d may be 0."""

    features: Floats  # (n, d)
    w_mean: Floats  # (d,)
    w_var: Floats  # (d,), positive
    u_var: Floats  # (n,), positive


@dataclass(frozen=True)
class Belief:
    """A Gaussian over all scores: joint over w, and every u_i with w; u_i and u_j independent.

    The covariance of u with w stops the same noise from counting twice as evidence about w. An
    image that was never compared has none, so that rows are kept for the others only.
    """

    prior: Prior
    w: Floats  # (d,)
    w_cov: Floats  # (d, d)
    u: Floats  # (n,)
    u_var: Floats  # (n,)
    row: Ints  # (n,) an image's row in `cross`; 0 before its first comparison
    seen: Ints  # (rows,) the image of each row; -1 for row 0
    cross: Floats  # (rows, d) cov(u, w); row 0 is zero

    @classmethod
    def start(cls, prior: Prior) -> Self:
        count, width = prior.features.shape
        w, w_cov = np.array(prior.w_mean, dtype=float), np.diag(np.asarray(prior.w_var, float))
        u, u_var = np.zeros(count), np.array(prior.u_var, dtype=float)
        row, seen = np.zeros(count, dtype=np.intp), np.array([-1])
        return cls(prior, w, w_cov, u, u_var, row, seen, cross=np.zeros((1, width)))

    @property
    def mean(self) -> Floats:
        """(n,) expected scores, logits."""
        return np.asarray(self.prior.features @ self.w + self.u)

    def variance(self, images: Ints) -> Floats:
        """(k,) variances of the scores of k images."""
        x, cross = self.prior.features[images], self.cross[self.row[images]]
        shared = np.einsum("kd,kd->k", x @ self.w_cov + 2 * cross, x)
        return np.asarray(np.maximum(shared + self.u_var[images], 1e-9))

    def draws(self, images: Ints, count: int, rng: np.random.Generator) -> Floats:
        """(count, k) scores of k images, drawn from the belief."""
        x, cross = self.prior.features[images], self.cross[self.row[images]]
        of_w = np.linalg.solve(self.w_cov, cross.T).T  # how u goes with w
        own = np.sqrt(np.maximum(self.u_var[images] - (of_w * cross).sum(axis=1), 0))
        w = rng.standard_normal((count, len(self.w))) @ np.linalg.cholesky(self.w_cov).T
        u = rng.standard_normal((count, len(images))) * own
        return np.asarray(self.mean[images] + w @ (x + of_w).T + u)

    def differences(self, images: Sequence[int]) -> tuple[Floats, Floats]:
        """Mean and covariance of the first image's score less each other's, (k - 1,) and square."""
        effect = self._effect(images)
        return effect.mean, effect.covariance

    def after(self, images: Sequence[int], best: ArrayLike, worst: ArrayLike) -> Self:
        """The belief after one more answer: how often each image was the best, and the worst."""
        row, seen, cross = self._rows_with(images)
        to_w, to_u, mean, covariance = replace(self, row=row, cross=cross)._effect(images)
        told = (np.asarray(weights, dtype=float)[:, None] for weights in (best, worst))
        _, new_mean, new_covariance = moments(mean[:, None], covariance[..., None], *told)
        inverse = np.linalg.inv(covariance)
        a = inverse @ (new_mean[:, 0] - mean)
        b = inverse @ (covariance - new_covariance[..., 0]) @ inverse
        u, u_var, known = self.u.copy(), self.u_var.copy(), seen[1:]
        u[known] += to_u[1:] @ a
        u_var[known] = np.maximum(
            u_var[known] - np.einsum("ua,ab,ub->u", to_u[1:], b, to_u[1:]), 1e-9
        )
        w, w_cov, cross = (
            self.w + to_w @ a,
            self.w_cov - to_w @ b @ to_w.T,
            cross - to_u @ b @ to_w.T,
        )
        return replace(self, w=w, w_cov=w_cov, u=u, u_var=u_var, row=row, seen=seen, cross=cross)

    def _effect(self, images: Sequence[int]) -> "_Effect":
        """How everything goes with the differences of the first image's score to the others'."""
        first, others = images[0], list(images[1:])
        rows, at = self.row[[first, *others]], np.arange(len(others))
        x = self.prior.features
        h = np.asarray(x[first] - x[others], dtype=float)
        to_w = self.w_cov @ h.T + (self.cross[rows[0]] - self.cross[rows[1:]]).T
        own = np.zeros((len(images), len(others)))  # cov(u of these images, differences)
        own[0], own[1 + at, at] = self.u_var[first], -self.u_var[others]
        to_u = self.cross @ h.T
        own += to_u[rows]
        to_u[rows] = own
        mean = h @ self.w + self.u[first] - self.u[others]
        covariance = h @ to_w + own[0] - own[1:]
        covariance[at, at] = np.maximum(covariance[at, at], 1e-9)
        return _Effect(to_w, to_u, mean, covariance)

    def _rows_with(self, images: Sequence[int]) -> tuple[Ints, Ints, Floats]:
        new = [image for image in images if not self.row[image]]
        if not new:
            return self.row, self.seen, self.cross
        row = self.row.copy()
        row[new] = np.arange(len(self.seen), len(self.seen) + len(new))
        empty = np.zeros((len(new), self.cross.shape[1]))
        return row, np.concatenate([self.seen, new]), np.concatenate([self.cross, empty])


class _Effect(NamedTuple):
    """Covariances with the r differences of a set, and their mean and covariance."""

    to_w: Floats  # (d, r)
    to_u: Floats  # (rows, r)
    mean: Floats  # (r,)
    covariance: Floats  # (r, r)
