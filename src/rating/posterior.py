"""Bayesian preference learning: one latent score per image, explained by its features where it can.

    f_i = x_i·w + u_i          w ~ N(w_mean, diag(w_var)),  u_i ~ N(0, u_var_i)
    P(i is preferred to j) = sigmoid(f_i - f_j)

Gaussian-process preference learning (Chu & Ghahramani 2005) with a linear kernel plus an
independent part, in weight space so that it scales to 100,000 images. `Belief` is updated in
closed form after each choice; `fit` finds the exact mode of all choices and the Laplace
approximation around it. Everything here is in natural logits; Elo units are logits / ln 10.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating]
Ints = NDArray[np.intp]


@dataclass(frozen=True)
class Prior:
    """What is believed before any choice, for n images with d features."""

    features: Floats  # (n, d)
    w_mean: Floats  # (d,)
    w_var: Floats  # (d,), positive
    u_var: Floats  # (n,), positive


@dataclass(frozen=True)
class Choices:
    """Answers as arrays of one length m: image indices, and 1 per choice or 0.5 per half a tie."""

    winners: Ints
    losers: Ints
    weights: Floats


def sigmoid(x: Floats) -> Floats:
    """1 / (1 + e^-x) without overflow."""
    return np.asarray(0.5 * (1.0 + np.tanh(0.5 * x)))


class Belief:
    """A Gaussian over all scores: joint over w, and u_i with w; u_i with u_j taken as independent.

    Keeping the covariance of every u_i with w is what stops the same noise from being counted
    twice as evidence about w. Rows of u are only stored for images that were compared: before
    that an image's own part is independent of everything.
    """

    def __init__(self, prior: Prior) -> None:
        self.prior = prior
        count, width = prior.features.shape
        self.w = np.array(prior.w_mean, dtype=float)
        self.w_cov = np.diag(np.asarray(prior.w_var, dtype=float))
        self.u = np.zeros(count)
        self.u_var = np.array(prior.u_var, dtype=float)
        self._row = np.zeros(count, dtype=np.intp)  # of an image in _cross; row 0 stays zero
        self._cross = np.zeros((16, width))  # cov(u, w)
        self._seen = np.zeros(16, dtype=np.intp)  # the image of each row
        self._rows = 1

    @property
    def mean(self) -> Floats:
        """(n,) expected scores, logits."""
        return np.asarray(self.prior.features @ self.w + self.u)

    @property
    def variance(self) -> Floats:
        """(n,) variances of the scores."""
        x = self.prior.features
        own = np.einsum("nd,nd->n", x @ self.w_cov, x) + self.u_var
        seen = self._seen[1 : self._rows]
        own[seen] += 2 * np.einsum("nd,nd->n", x[seen], self._cross[1 : self._rows])
        return np.maximum(own, 1e-9)

    def difference(self, i: Ints, j: Ints) -> tuple[Floats, Floats]:
        """(k,) mean and variance of f_i - f_j for k pairs."""
        h = self.prior.features[i] - self.prior.features[j]
        cross = self._cross[self._row[i]] - self._cross[self._row[j]]
        mean = h @ self.w + self.u[i] - self.u[j]
        variance = np.einsum("kd,kd->k", h @ self.w_cov + 2 * cross, h)
        return mean, np.maximum(variance + self.u_var[i] + self.u_var[j], 1e-9)

    def update(self, winner: int, loser: int, weight: float = 1.0) -> None:
        """Take in one answer: a Gaussian matched at the mode along f_winner - f_loser."""
        for image in (winner, loser):
            self._ensure_row(image)
        i, j = self._row[winner], self._row[loser]
        rows = slice(1, self._rows)
        h = np.asarray(self.prior.features[winner] - self.prior.features[loser], dtype=float)
        to_w = self.w_cov @ h + self._cross[i] - self._cross[j]
        to_u = self._cross[rows] @ h
        to_u[i - 1] += self.u_var[winner]
        to_u[j - 1] -= self.u_var[loser]
        mean = float(h @ self.w + self.u[winner] - self.u[loser])
        variance = max(float(h @ to_w + to_u[i - 1] - to_u[j - 1]), 1e-9)
        a, b = _mode_step(mean, variance, weight)
        seen = self._seen[rows]
        self.w += a * to_w
        self.u[seen] += a * to_u
        self.w_cov -= b * np.outer(to_w, to_w)
        self._cross[rows] -= b * np.outer(to_u, to_w)
        self.u_var[seen] = np.maximum(self.u_var[seen] - b * to_u**2, 1e-9)

    def copy(self) -> Belief:
        """An independent copy; the prior is shared."""
        other = object.__new__(Belief)
        other.__dict__.update(
            (name, value.copy() if isinstance(value, np.ndarray) else value)
            for name, value in self.__dict__.items()
        )
        return other

    def _ensure_row(self, image: int) -> None:
        if self._row[image]:
            return
        if self._rows == len(self._seen):
            self._cross = np.concatenate([self._cross, np.zeros_like(self._cross)])
            self._seen = np.concatenate([self._seen, np.zeros_like(self._seen)])
        self._row[image] = self._rows
        self._seen[self._rows] = image
        self._rows += 1

    def _set_rows(self, images: Ints, cross: Floats) -> None:
        self._row[images] = np.arange(1, len(images) + 1)
        self._cross = np.concatenate([np.zeros((1, cross.shape[1])), cross])
        self._seen = np.concatenate([np.zeros(1, dtype=np.intp), images])
        self._rows = len(images) + 1


def _mode_step(mean: float, variance: float, weight: float) -> tuple[float, float]:
    """(a, b) of the rank-one update: mean += a·k, covariance -= b·k kᵀ, k the gain direction.

    The mode d along the difference solves (d - mean) / variance = weight·(1 - sigmoid(d)), and
    b = q / (1 + q·variance) with the curvature q = weight·p·(1-p) there.
    """
    low, high = mean, mean + weight * variance  # the mode lies between: 0 < 1 - sigmoid < 1
    d = 0.5 * (low + high)
    p = 0.5
    for _ in range(60):
        p = 0.5 * (1.0 - np.tanh(0.5 * d))  # 1 - sigmoid(d)
        excess = (d - mean) / variance - weight * p
        if excess > 0:
            high = d
        else:
            low = d
        step = d - excess / (1.0 / variance + weight * p * (1.0 - p))
        step = step if low < step < high else 0.5 * (low + high)
        if abs(step - d) < 1e-12 * (1.0 + abs(d)):
            break
        d = step
    q = weight * p * (1.0 - p)
    return (d - mean) / variance, q / (1.0 + q * variance)


@dataclass(frozen=True)
class Fit:
    """The exact mode of all choices with its Laplace approximation."""

    belief: Belief
    log_evidence: float  # of the choices given the prior; compares priors with each other


def fit(prior: Prior, choices: Choices, start: Belief | None = None) -> Fit:
    """Fit all choices at once.

    Args:
        prior: for n images.
        choices: m answers.
        start: a belief to begin the search at; only saves time.
    """
    if len(choices.winners) == 0:
        return Fit(Belief(prior), 0.0)
    seen, ends = np.unique(
        np.concatenate([choices.winners, choices.losers]), return_inverse=True
    )
    graph = _Graph(ends.reshape(2, -1), choices.weights, len(seen))
    x = np.asarray(prior.features[seen], dtype=float)
    d_u = 1.0 / np.asarray(prior.u_var[seen], dtype=float)
    d_w = 1.0 / np.asarray(prior.w_var, dtype=float)
    w = np.array(prior.w_mean if start is None else start.w, dtype=float)
    u = np.zeros(len(seen)) if start is None else start.u[seen]
    w, u, objective = _mode(graph, x, prior.w_mean, d_w, d_u, w, u)

    q = graph.curvature(x @ w + u)
    variance, log_det = _spring_network(graph, q, d_u)
    pull = _solve_network(graph, q, d_u, graph.laplacian(q, x))  # (D+L)^-1 L X
    precision = np.diag(d_w) + x.T @ graph.laplacian(q, x - pull)
    precision = 0.5 * (precision + precision.T)
    w_cov = np.linalg.inv(precision)
    cross = -pull @ w_cov
    belief = Belief(prior)
    belief.w, belief.w_cov = w, w_cov
    belief.u[seen] = u
    belief.u_var[seen] = variance - np.einsum("nd,nd->n", cross, pull)
    belief._set_rows(seen, cross)
    log_det += float(np.linalg.slogdet(precision)[1]) - float(np.log(d_w).sum())
    return Fit(belief, objective - 0.5 * log_det)


class _Graph:
    """The comparisons as edges between the images that were compared."""

    def __init__(self, ends: Ints, weights: Floats, count: int) -> None:
        self.winners, self.losers = ends
        self.weights = np.asarray(weights, dtype=float)
        self.count = count
        code = np.minimum(*ends) * count + np.maximum(*ends)
        pairs, self.pair_of = np.unique(code, return_inverse=True)
        self.i, self.j = pairs // count, pairs % count
        # Both directions of every edge, grouped by image, for sums over neighbours.
        heads = np.concatenate([self.i, self.j])
        order = np.argsort(heads, kind="stable")
        self._tails = np.concatenate([self.j, self.i])[order]
        self._edge = order % len(pairs)
        self._first = np.searchsorted(heads[order], np.arange(count))

    def slope(self, f: Floats) -> Floats:
        """(n,) derivative of the log-likelihood."""
        miss = self.weights * sigmoid(f[self.losers] - f[self.winners])
        return self._per_image(self.winners, miss) - self._per_image(self.losers, miss)

    def log_likelihood(self, f: Floats) -> float:
        margin = f[self.winners] - f[self.losers]
        return -float(self.weights @ np.logaddexp(0.0, -margin))

    def curvature(self, f: Floats) -> Floats:
        """(edges,) p·(1-p) of the choices, summed over those of one pair."""
        p = sigmoid(f[self.winners] - f[self.losers])
        return np.bincount(self.pair_of, self.weights * p * (1 - p), len(self.i))

    def degree(self, q: Floats) -> Floats:
        return self._per_image(self.i, q) + self._per_image(self.j, q)

    def laplacian(self, q: Floats, v: Floats) -> Floats:
        """L v for the graph Laplacian with edge weights q; v is (n,) or (n, k)."""
        if v.ndim == 1:
            flow = q * (v[self.i] - v[self.j])
            return self._per_image(self.i, flow) - self._per_image(self.j, flow)
        pulled = np.add.reduceat(v[self._tails] * q[self._edge, None], self._first, axis=0)
        return np.asarray(self.degree(q)[:, None] * v - pulled)

    def _per_image(self, images: Ints, values: Floats) -> Floats:
        return np.bincount(images, values, self.count)


def _mode(
    graph: _Graph, x: Floats, w_mean: Floats, d_w: Floats, d_u: Floats, w: Floats, u: Floats
) -> tuple[Floats, Floats, float]:
    """The maximum of log-likelihood plus log-prior (without its constant): w, u, value.

    Newton's method with a line search; each step by conjugate gradients, preconditioned with the
    exact block of w and the diagonal of u. The problem is strictly concave.
    """
    width = len(w)

    def objective(w: Floats, u: Floats) -> float:
        penalty = float(d_w @ (w - w_mean) ** 2 + d_u @ u**2)
        return graph.log_likelihood(x @ w + u) - 0.5 * penalty

    value = objective(w, u)
    for _ in range(100):
        f = x @ w + u
        slope = graph.slope(f)
        gradient = np.concatenate([x.T @ slope - d_w * (w - w_mean), slope - d_u * u])
        if np.abs(gradient).max() < 1e-7 * (1 + len(graph.weights)) ** 0.5:
            break
        q = graph.curvature(f)
        diagonal = d_u + graph.degree(q)
        h = x[graph.i] - x[graph.j]
        block = np.linalg.inv(np.diag(d_w) + h.T @ (q[:, None] * h))

        def hessian(v: Floats, q: Floats = q) -> Floats:
            pull = graph.laplacian(q, x @ v[:width] + v[width:])
            return np.concatenate([x.T @ pull + d_w * v[:width], pull + d_u * v[width:]])

        def precondition(
            r: Floats, block: Floats = block, diagonal: Floats = diagonal
        ) -> Floats:
            return np.concatenate([block @ r[:width], r[width:] / diagonal])

        step = _conjugate_gradients(hessian, precondition, gradient, 1e-4)
        size = 1.0
        while size > 1e-6:
            w_new, u_new = w + size * step[:width], u + size * step[width:]
            new = objective(w_new, u_new)
            if new >= value:
                break
            size *= 0.5
        else:
            break
        w, u, gain, value = w_new, u_new, new - value, new
        if gain < 1e-9 * (1 + abs(value)):
            break
    return w, u, value


def _conjugate_gradients(apply, precondition, b, tolerance):  # type: ignore
    """Solve A x = b for symmetric positive definite A; columns of a matrix b independently."""
    x = np.zeros_like(b)
    r = b.copy()
    z = precondition(r)
    p = z.copy()
    rz = (r * z).sum(0)
    target = tolerance**2 * rz
    for _ in range(500):
        if np.all(rz <= target):
            break
        ap = apply(p)
        alpha = rz / np.maximum((p * ap).sum(0), 1e-300)
        x += alpha * p
        r -= alpha * ap
        z = precondition(r)
        new = (r * z).sum(0)
        p = z + new / np.maximum(rz, 1e-300) * p
        rz = new
    return x


def _solve_network(graph: _Graph, q: Floats, d_u: Floats, b: Floats) -> Floats:
    """(D + L)^-1 b for an (n, k) matrix b."""
    if b.shape[1] == 0:
        return b
    diagonal = (d_u + graph.degree(q))[:, None]
    return _conjugate_gradients(
        lambda v: d_u[:, None] * v + graph.laplacian(q, v), lambda r: r / diagonal, b, 1e-4
    )


def _spring_network(graph: _Graph, q: Floats, d_u: Floats) -> tuple[Floats, float]:
    """The diagonal of (D + L)^-1 and log det(D + L) - log det D, by Gaussian belief propagation.

    Every edge is a spring of stiffness q, every image tied to zero by one of stiffness D. What an
    image feels of an edge is the edge in series with all that holds its other end. Exact on
    trees; D + L is diagonally dominant, so it converges (Malioutov et al. 2006). The determinant
    is Bethe's approximation.
    """
    to_i, to_j = np.zeros_like(q), np.zeros_like(q)
    for _ in range(50):
        stiffness = d_u + graph._per_image(graph.i, to_i) + graph._per_image(graph.j, to_j)
        hold_i, hold_j = stiffness[graph.i] - to_i, stiffness[graph.j] - to_j
        new_i, new_j = q * hold_j / (q + hold_j), q * hold_i / (q + hold_i)
        change = max(np.abs(new_i - to_i).max(), np.abs(new_j - to_j).max())
        to_i, to_j = new_i, new_j
        if change < 1e-6:
            break
    stiffness = d_u + graph._per_image(graph.i, to_i) + graph._per_image(graph.j, to_j)
    hold_i, hold_j = stiffness[graph.i] - to_i, stiffness[graph.j] - to_j
    shared = q * q / ((hold_i + q) * (hold_j + q))  # squared correlation of an edge's two ends
    log_det = np.log(stiffness / d_u).sum() - np.log1p(-shared).sum()
    return 1.0 / stiffness, float(log_det)
