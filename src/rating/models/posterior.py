"""Bayesian preference learning: one latent score per image, explained by its features where it can.

    f_i = x_i·w + u_i          w ~ N(w_mean, diag(w_var)),  u_i ~ N(0, u_var_i)
    P(i is preferred to j) = sigmoid(f_i - f_j)

Gaussian-process preference learning (Chu & Ghahramani 2005) with a linear kernel plus an
independent part, in weight space so that it scales to 100,000 images. `Belief.after` takes in one
answer; `fit` takes in all of them by expectation propagation (Minka 2001), whose evidence and
variances are right where Laplace's approximation finds answers noisier than they are. Everything
here is in natural logits; Elo units are logits / ln 10.
"""

import math
from dataclasses import dataclass, replace
from typing import NamedTuple, Self

import numpy as np

from src.rating.models.graph import Choices, ComparisonGraph, Floats, Ints

LOGITS = math.log(10)  # per Elo unit
# The trapezium rule beats Gauss-Hermite here: a logistic has poles near the real axis.
_NODES = np.linspace(-8, 8, 65)
_WEIGHTS = np.exp(-0.5 * _NODES**2) / np.exp(-0.5 * _NODES**2).sum()
_MOST_SWEEPS = 50


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

    def after(self, left: int, right: int, won: float) -> Self:
        """The belief after one more answer: 1 where left won, 0 where it lost, 0.5 for a tie."""
        row, seen, cross = self._rows_with(left, right)
        i, j = row[left], row[right]
        h = np.asarray(self.prior.features[left] - self.prior.features[right], dtype=float)
        to_w = self.w_cov @ h + cross[i] - cross[j]
        to_u = cross @ h
        to_u[i] += self.u_var[left]
        to_u[j] -= self.u_var[right]
        mean = h @ self.w + self.u[left] - self.u[right]
        variance = max(h @ to_w + to_u[i] - to_u[j], 1e-9)
        _, new_mean, new_variance = moments(*np.array([[mean], [variance], [won], [1 - won]]))
        a, b = float(new_mean[0] - mean) / variance, float(variance - new_variance[0]) / variance**2
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


def moments(
    mean: Floats, variance: Floats, won: Floats, lost: Floats
) -> tuple[Floats, Floats, Floats]:
    """N(d; mean, variance) sigmoid(d)^won sigmoid(-d)^lost: log integral, mean, variance."""
    d = mean[:, None] + np.sqrt(variance)[:, None] * _NODES
    log_likelihood = won[:, None] * np.logaddexp(0, -d) + lost[:, None] * np.logaddexp(0, d)
    mass = np.exp(-log_likelihood) * _WEIGHTS
    total = mass.sum(axis=1)
    new_mean = (mass * d).sum(axis=1) / total
    new_variance = (mass * (d - new_mean[:, None]) ** 2).sum(axis=1) / total
    return np.log(total), new_mean, new_variance


class Sites(NamedTuple):
    """What the answers about each pair tell of d = f_i - f_j: exp(shift d - precision d² / 2)."""

    precision: Floats
    shift: Floats


@dataclass(frozen=True)
class Fit:
    belief: Belief
    log_evidence: float  # of the choices under the prior; compares priors with each other
    sites: Sites | None


def fit(prior: Prior, choices: Choices, start: Sites | None = None) -> Fit:
    """Take in all choices at once; the sites of a fit of the same choices save time."""
    belief = Belief.start(prior)
    if not len(choices):
        return Fit(belief, 0.0, None)
    images, ends = np.unique(np.concatenate([choices.winners, choices.losers]), return_inverse=True)
    winners, losers = ends.reshape(2, -1)
    graph = ComparisonGraph(Choices(winners, losers, choices.weights), len(images))
    i, j = graph.i, graph.j
    x = np.asarray(prior.features[images], dtype=float)
    d_u = 1.0 / np.asarray(prior.u_var[images], dtype=float)
    d_w = 1.0 / np.asarray(prior.w_var, dtype=float)
    w_mean = np.asarray(prior.w_mean, dtype=float)
    tau, nu = start or (0.15 * (graph.won + graph.lost), 0.4 * (graph.won - graph.lost))

    for sweep in range(_MOST_SWEEPS):
        # The precision of (w, u) is [[D_w + xᵀLx, xᵀL], [Lx, D_u + L]]; w by Schur complement.
        own, cavity, log_det = graph.marginals(tau, d_u)
        push = graph.gather(nu)
        solved = graph.solve(tau, d_u, np.column_stack([graph.laplacian(tau, x), push]))
        pull, rest = solved[:, :-1], x - solved[:, :-1]
        precision = np.diag(d_w) + x.T @ graph.laplacian(tau, rest)
        w_cov = np.linalg.inv(0.5 * (precision + precision.T))
        w = w_cov @ (d_w * w_mean + rest.T @ push)
        u = solved[:, -1] - pull @ w

        # Each pair without its own site, and what its answers make of that.
        h = rest[i] - rest[j]
        variance = 1.0 / (tau + 1.0 / cavity) + np.einsum("ed,ed->e", h @ w_cov, h)
        f = x @ w + u
        mean = f[i] - f[j]
        without = 1.0 / np.maximum(1.0 / variance - tau, 1e-9)
        mean_without = without * (mean / variance - nu)
        log_mass, new_mean, new_variance = moments(mean_without, without, graph.won, graph.lost)
        new_tau = np.maximum(1.0 / new_variance - 1.0 / without, 1e-9)
        new_nu = new_mean / new_variance - mean_without / without
        if max(np.abs(new_tau - tau).max(), np.abs(new_nu - nu).max()) < 1e-3:
            break
        step = 1.0 if sweep < 10 else 0.5
        tau, nu = tau + step * (new_tau - tau), nu + step * (new_nu - nu)

    # Rasmussen & Williams 2006, section 3.6, for a prior of any mean.
    evidence = (log_mass + 0.5 * np.log1p(tau * without)).sum()
    evidence += 0.5 * (mean_without**2 / without).sum()
    evidence -= 0.5 * ((mean_without / without + nu) ** 2 / (1.0 / without + tau)).sum()
    evidence += 0.5 * (nu @ mean + (w - w_mean) @ (d_w * w_mean))
    evidence -= 0.5 * (log_det + np.linalg.slogdet(precision)[1] - np.log(d_w).sum())

    cross = -pull @ w_cov
    belief.u[images] = u
    belief.u_var[images] = own - np.einsum("nd,nd->n", cross, pull)
    belief.row[images] = np.arange(1, len(images) + 1)
    seen = np.concatenate([[-1], images])
    cross = np.concatenate([np.zeros((1, len(w))), cross])
    belief = replace(belief, w=w, w_cov=w_cov, seen=seen, cross=cross)
    return Fit(belief, float(evidence), Sites(tau, nu))
