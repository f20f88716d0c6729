"""Bayesian preference learning: one latent score per image, explained by its features where it can.

    f_i = x_i·w + u_i          w ~ N(w_mean, diag(w_var)),  u_i ~ N(0, u_var_i)
    P(i is the best of a set) = exp f_i / sum_j exp f_j            (Plackett 1975, Luce 1959)
    P(i is the worst of a set) = exp -f_i / sum_j exp -f_j

For two images that is P(i is preferred to j) = sigmoid(f_i - f_j), Bradley and Terry's model.
Gaussian-process preference learning (Chu & Ghahramani 2005) with a linear kernel plus an
independent part, in weight space so that it scales to 100,000 images. `Belief.after` takes in one
answer; `fit` takes in all of them by expectation propagation (Minka 2001), whose evidence and
variances are right where Laplace's approximation finds answers noisier than they are. Everything
here is in natural logits; Elo units are logits / ln 10.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import ArrayLike

from src.rating.models.graph import (
    Choices,
    ComparisonGraph,
    Floats,
    Ints,
    Sets,
    inverses,
    laplacians,
)

LOGITS = math.log(10)  # per Elo unit
# The trapezium rule beats Gauss-Hermite here: a logistic has poles near the real axis.
_LATTICES = {1: (0.25, 8.0), 2: (0.6, 5.0), 3: (0.8, 4.0)}  # of so many dimensions
_AT_A_TIME = 2**21  # nodes of all sets for which there is memory
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


@cache
def lattice(dimensions: int, spacing: float, farthest: float) -> tuple[Floats, Floats]:
    """Nodes (n, r) of a standard normal distribution and their weights."""
    reach = int(farthest / spacing)
    axes = np.meshgrid(*[spacing * np.arange(-reach, reach + 1)] * dimensions)
    nodes = np.stack([axis.ravel() for axis in axes], axis=1)
    squares = (nodes**2).sum(axis=1)
    weights = np.exp(-0.5 * squares[squares <= farthest**2])
    return nodes[squares <= farthest**2], weights / weights.sum()


def moments(
    mean: Floats, covariance: Floats, best: Floats, worst: Floats
) -> tuple[Floats, Floats, Floats]:
    """N(d; mean, covariance) times the likelihood of answers about m sets of k images.

    d, (r, m) with r = k - 1, are the differences of the first image's score to the others';
    `best` and `worst` are (k, m). Returns (m,) log integrals, (r, m) means, (r, r, m) covariances.
    """
    nodes, weights = lattice(len(mean), *_LATTICES[len(mean)])
    step = max(_AT_A_TIME // len(weights), 1)
    if best.shape[1] > step:
        every = [slice(start, start + step) for start in range(0, best.shape[1], step)]
        parts = [moments(mean[:, p], covariance[..., p], best[:, p], worst[:, p]) for p in every]
        total, mean, covariance = (np.concatenate(p, axis=-1) for p in zip(*parts, strict=True))
        return total, mean, covariance
    root = np.linalg.cholesky(np.moveaxis(covariance, 2, 0))
    d = mean[..., None] + np.einsum("mab,nb->amn", root, nodes)
    f = np.concatenate([np.zeros((1, *d.shape[1:])), -d])
    log_likelihood = np.einsum("km,kmn->mn", best, f) - best.sum(axis=0)[:, None] * log_sum(f)
    if worst.any():
        rest = np.where(best == 1, np.inf, 0)[..., None]  # the best takes no part
        of_worst = np.einsum("km,kmn->mn", worst, f) + log_sum(-f - rest)
        log_likelihood -= worst.sum(axis=0)[:, None] * of_worst
    mass = np.exp(log_likelihood) * weights
    total = mass.sum(axis=1)
    mass /= total[:, None]
    new_mean = np.einsum("mn,amn->am", mass, d)
    around = d - new_mean[..., None]
    return np.log(total), new_mean, np.einsum("amn,bmn->abm", mass * around, around)


def log_sum(f: Floats) -> Floats:
    """log sum exp over the first axis."""
    top = f.max(axis=0)
    return np.asarray(top + np.log(np.exp(f - top).sum(axis=0)))


class Sites(NamedTuple):
    """What the answers about each set tell of its differences d: exp(shift·d - dᵀ precision d / 2).

    Flat over all sets; precisions as the weights of the network's edges.
    """

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
    images, among = choices.renumbered()
    graph = ComparisonGraph(among, len(images))
    x = np.asarray(prior.features[images], dtype=float)
    d_u = 1.0 / np.asarray(prior.u_var[images], dtype=float)
    d_w = 1.0 / np.asarray(prior.w_var, dtype=float)
    w_mean = np.asarray(prior.w_mean, dtype=float)
    tau, nu = start or _first_sites(graph)

    for sweep in range(_MOST_SWEEPS):
        # The precision of (w, u) is [[D_w + xᵀLx, xᵀL], [Lx, D_u + L]]; w by Schur complement.
        own, within, log_det = graph.marginals(tau, d_u)
        push = graph.push(nu)
        solved = graph.solve(tau, d_u, np.column_stack([graph.laplacian(tau, x), push]))
        pull, rest = solved[:, :-1], x - solved[:, :-1]
        precision = np.diag(d_w) + x.T @ graph.laplacian(tau, rest)
        w_cov = np.linalg.inv(0.5 * (precision + precision.T))
        w = w_cov @ (d_w * w_mean + rest.T @ push)
        u = solved[:, -1] - pull @ w

        f, found = x @ w + u, []
        parts = zip(graph.sets, graph.blocks(tau), graph.shifts(nu), within, strict=True)
        for one, block, shift, covariance in parts:
            h = rest[one.images[0]] - rest[one.images[1:]]
            mean, covariance = f[one.images[0]] - f[one.images[1:]], _of_differences(covariance)
            covariance += np.einsum("amd,bmd->abm", h @ w_cov, h)
            found.append(_new_sites(one, mean, covariance, block[1:, 1:], shift))
        *new, evidences = zip(*found, strict=True)
        new_tau, new_nu = (np.concatenate([part.ravel() for part in parts]) for parts in new)
        if max(np.abs(new_tau - tau).max(), np.abs(new_nu - nu).max()) < 1e-3:
            break
        step = 1.0 if sweep < 10 else 0.5
        tau, nu = tau + step * (new_tau - tau), nu + step * (new_nu - nu)

    # Rasmussen & Williams 2006, section 3.6, for a prior of any mean.
    evidence = sum(evidences) + 0.5 * (w - w_mean) @ (d_w * w_mean)
    evidence -= 0.5 * (log_det + np.linalg.slogdet(precision)[1] - np.log(d_w).sum())

    cross = -pull @ w_cov
    belief.u[images] = u
    belief.u_var[images] = own - np.einsum("nd,nd->n", cross, pull)
    belief.row[images] = np.arange(1, len(images) + 1)
    seen = np.concatenate([[-1], images])
    cross = np.concatenate([np.zeros((1, len(w))), cross])
    belief = replace(belief, w=w, w_cov=w_cov, seen=seen, cross=cross)
    return Fit(belief, float(evidence), Sites(tau, nu))


def _first_sites(graph: ComparisonGraph) -> Sites:
    tau, nu = [], []
    for images, best, worst in graph.sets:
        count = best.sum(axis=0)
        edges = len(images) * (len(images) - 1) // 2
        tau.append(np.tile(0.6 / len(images) ** 2 * count, edges))
        nu.append((0.8 * (count / len(images) - best + worst)[1:]).ravel())
    return Sites(np.concatenate(tau), np.concatenate(nu))


def _of_differences(covariance: Floats) -> Floats:
    """Of the first value less each other's, (r, r, m), from that of the values, (k, k, m)."""
    found = covariance[0, 0] - covariance[0, 1:] - covariance[1:, :1] + covariance[1:, 1:]
    return np.asarray(found)


def _new_sites(
    told: Sets, mean: Floats, covariance: Floats, precision: Floats, shift: Floats
) -> tuple[Floats, Floats, float]:
    """Each set without its own site, and what its answers make of that.

    Returns the new edge weights, (edges, m), the new shifts, and the sets' part of the evidence.
    """
    inverse, log_det = inverses(covariance)
    without = inverse - precision
    covariance_without, log_det_without = inverses(without)
    pushed = np.einsum("abm,bm->am", inverse, mean) - shift
    mean_without = np.einsum("abm,bm->am", covariance_without, pushed)
    log_mass, new_mean, new_covariance = moments(
        mean_without, covariance_without, told.best, told.worst
    )
    site = inverses(new_covariance)[0] - without
    first, second = np.triu_indices(len(site), 1)
    edges = np.maximum(np.concatenate([site.sum(axis=0), -site[first, second]]), 1e-9)
    after = without + laplacians(edges)[1:, 1:]
    new_shift = np.einsum("abm,bm->am", after, new_mean) - pushed
    evidence = log_mass - 0.5 * (log_det + log_det_without)
    evidence += 0.5 * (pushed * (mean_without - mean)).sum(axis=0)
    return edges, new_shift, float(evidence.sum())
