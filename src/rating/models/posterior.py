"""Bayesian preference learning: one latent score per image, explained by its features where it can.

    f_i = x_i·w + u_i          w ~ N(w_mean, diag(w_var)),  u_i ~ N(0, u_var_i)
    P(i is preferred to j) = sigmoid(f_i - f_j)

Gaussian-process preference learning (Chu & Ghahramani 2005) with a linear kernel plus an
independent part, in weight space so that it scales to 100,000 images. `Belief.after` takes in one
answer in closed form; `fit` finds the exact mode of all answers and the Laplace approximation
around it. Everything here is in natural logits; Elo units are logits / ln 10.
"""

import math
from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from src.rating.models.graph import Choices, ComparisonGraph, Floats, Ints, conjugate_gradients

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

    def difference(self, i: Ints, j: Ints) -> tuple[Floats, Floats]:
        """(k,) mean and variance of f_i - f_j for k pairs."""
        x = self.prior.features
        h = x[i] - x[j]
        mean = h @ self.w + self.u[i] - self.u[j]
        w_cov, cross = self.w_cov.astype(x.dtype), self.cross.astype(x.dtype)
        if len(x) <= len(i):  # once per image costs less than once per pair
            to_f = x @ w_cov + 2 * cross[self.row]
            variance = np.einsum("kd,kd->k", to_f[i] - to_f[j], h)
        else:
            to_f = h @ w_cov + 2 * (cross[self.row[i]] - cross[self.row[j]])
            variance = np.einsum("kd,kd->k", to_f, h)
        return mean, np.maximum(variance + self.u_var[i] + self.u_var[j], 1e-9)

    def after(self, winner: int, loser: int, weight: float = 1.0) -> Self:
        """The belief after one more answer: a Gaussian matched at the mode along f_i - f_j."""
        row, seen, cross = self._rows_with(winner, loser)
        i, j = row[winner], row[loser]
        h = np.asarray(self.prior.features[winner] - self.prior.features[loser], dtype=float)
        to_w = self.w_cov @ h + cross[i] - cross[j]
        to_u = cross @ h
        to_u[i] += self.u_var[winner]
        to_u[j] -= self.u_var[loser]
        mean = float(h @ self.w + self.u[winner] - self.u[loser])
        variance = max(float(h @ to_w + to_u[i] - to_u[j]), 1e-9)
        a, b = mode_step(mean, variance, weight)
        u, u_var, images = self.u.copy(), self.u_var.copy(), seen[1:]
        u[images] += a * to_u[1:]
        u_var[images] = np.maximum(u_var[images] - b * to_u[1:] ** 2, 1e-9)
        w, w_cov = self.w + a * to_w, self.w_cov - b * np.outer(to_w, to_w)
        cross = cross - b * np.outer(to_u, to_w)
        return replace(self, w=w, w_cov=w_cov, u=u, u_var=u_var, row=row, seen=seen, cross=cross)

    def _rows_with(self, *images: int) -> tuple[Ints, Ints, Floats]:
        new = [image for image in images if not self.row[image]]
        if not new:
            return self.row, self.seen, self.cross
        row = self.row.copy()
        row[new] = np.arange(len(self.seen), len(self.seen) + len(new))
        empty = np.zeros((len(new), self.cross.shape[1]))
        return row, np.concatenate([self.seen, new]), np.concatenate([self.cross, empty])


def mode_step(mean: float, variance: float, weight: float = 1.0) -> tuple[float, float]:
    """(a, b) of the update by one answer: mean += a k, covariance -= b k kᵀ, k the gain direction.

    The mode d of the difference solves (d - mean) / variance = weight (1 - sigmoid(d)), and
    b = q / (1 + q variance) with the curvature q = weight p (1-p) there.
    """
    low, high = mean, mean + weight * variance  # 0 < 1 - sigmoid < 1
    d = 0.5 * (low + high)
    for _ in range(100):
        p = 0.5 * (1.0 - math.tanh(0.5 * d))  # 1 - sigmoid(d)
        excess = (d - mean) / variance - weight * p
        low, high = (low, d) if excess > 0 else (d, high)
        step = d - excess / (1.0 / variance + weight * p * (1.0 - p))
        step = step if low < step < high else 0.5 * (low + high)
        done = abs(step - d) <= 1e-13 * (1.0 + abs(d))
        d = step
        if done:
            break
    p = 0.5 * (1.0 - math.tanh(0.5 * d))
    q = weight * p * (1.0 - p)
    return weight * p, q / (1.0 + q * variance)


@dataclass(frozen=True)
class Fit:
    """The exact mode of all choices with the Laplace approximation around it."""

    belief: Belief
    log_evidence: float  # of the choices under the prior; compares priors with each other


def fit(prior: Prior, choices: Choices, start: Belief | None = None) -> Fit:
    """Fit all choices at once; a belief to `start` from saves time and changes nothing."""
    belief = Belief.start(prior)
    if not len(choices):
        return Fit(belief, 0.0)
    images, ends = np.unique(np.concatenate([choices.winners, choices.losers]), return_inverse=True)
    winners, losers = ends.reshape(2, -1)
    graph = ComparisonGraph(Choices(winners, losers, choices.weights), len(images))
    x = np.asarray(prior.features[images], dtype=float)
    d_u = 1.0 / np.asarray(prior.u_var[images], dtype=float)
    d_w = 1.0 / np.asarray(prior.w_var, dtype=float)
    w, u = (start or belief).w, (start or belief).u[images]
    w, u, log_joint = _mode(graph, x, np.asarray(prior.w_mean, dtype=float), d_w, d_u, w, u)

    # The joint precision of (w, u) is [[D_w + xᵀLx, xᵀL], [Lx, D_u + L]]; w by Schur complement.
    q = graph.curvature(x @ w + u)
    own, log_det = graph.inverse_diagonal(q, d_u)
    pull = graph.solve(q, d_u, graph.laplacian(q, x))
    precision = np.diag(d_w) + x.T @ graph.laplacian(q, x - pull)
    precision = 0.5 * (precision + precision.T)
    w_cov = np.linalg.inv(precision)
    cross = -pull @ w_cov
    log_det += float(np.linalg.slogdet(precision)[1]) - float(np.log(d_w).sum())

    belief.u[images] = u
    belief.u_var[images] = own - np.einsum("nd,nd->n", cross, pull)
    belief.row[images] = np.arange(1, len(images) + 1)
    cross, seen = np.concatenate([belief.cross, cross]), np.concatenate([belief.seen, images])
    fitted = replace(belief, w=w, w_cov=w_cov, seen=seen, cross=cross)
    return Fit(fitted, log_joint - 0.5 * log_det)


def _mode(
    graph: ComparisonGraph,
    x: Floats,
    w_mean: Floats,
    d_w: Floats,
    d_u: Floats,
    w: Floats,
    u: Floats,
) -> tuple[Floats, Floats, float]:
    """Where log-likelihood plus log-prior (without its constant) is highest: w, u, and the value.

    Newton's method with step halving; each step by conjugate gradients, preconditioned with the
    exact block of w and the diagonal of u. The problem is strictly concave.
    """
    width = len(w)

    def value_at(w: Floats, u: Floats) -> float:
        penalty = float(d_w @ (w - w_mean) ** 2 + d_u @ u**2)
        return graph.log_likelihood(x @ w + u) - 0.5 * penalty

    value = value_at(w, u)
    for _ in range(100):
        slope = graph.slope(x @ w + u)
        gradient = np.concatenate([x.T @ slope - d_w * (w - w_mean), slope - d_u * u])
        step = _newton_step(graph, graph.curvature(x @ w + u), x, d_w, d_u, gradient)
        size, new = 1.0, -math.inf
        while size > 1e-6:
            new = value_at(w + size * step[:width], u + size * step[width:])
            if new >= value:
                break
            size *= 0.5
        else:
            break
        w, u = w + size * step[:width], u + size * step[width:]
        gain, value = new - value, new
        if gain < 1e-10 * (1.0 + abs(value)):
            break
    return w, u, value


def _newton_step(
    graph: ComparisonGraph, q: Floats, x: Floats, d_w: Floats, d_u: Floats, gradient: Floats
) -> Floats:
    width = len(d_w)
    diagonal = d_u + graph.degree(q)
    h = x[graph.i] - x[graph.j]
    block = np.linalg.inv(np.diag(d_w) + h.T @ (q[:, None] * h))

    def hessian(v: Floats) -> Floats:
        pull = graph.laplacian(q, x @ v[:width] + v[width:])
        return np.concatenate([x.T @ pull + d_w * v[:width], pull + d_u * v[width:]])

    def precondition(r: Floats) -> Floats:
        return np.concatenate([block @ r[:width], r[width:] / diagonal])

    return conjugate_gradients(hessian, precondition, gradient, 1e-4)
