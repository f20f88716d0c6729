"""The comparisons as a network between images, and the linear algebra on it.

Where the choices between two images tell of their difference what a Gaussian of precision q would,
q is the weight of their edge, and the precision of each image's own part is D + L: L the network's
Laplacian, D a positive diagonal; sparse, symmetric and diagonally dominant.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating]
Ints = NDArray[np.intp]
_DENSE = 1000  # images up to which a dense solution is faster


@dataclass(frozen=True)
class Choices:
    """Answers as arrays of one length m: image indices, and 1 per choice or 0.5 per half a tie."""

    winners: Ints
    losers: Ints
    weights: Floats

    def __len__(self) -> int:
        return len(self.winners)


def sigmoid(x: Floats) -> Floats:
    """1 / (1 + e^-x) without overflow."""
    return np.asarray(0.5 * (1.0 + np.tanh(0.5 * x)))


class ComparisonGraph:
    """The choices between `count` images, choices of one pair merged into one edge."""

    def __init__(self, choices: Choices, count: int) -> None:
        self.count = count
        first = np.minimum(choices.winners, choices.losers)
        code = first * count + np.maximum(choices.winners, choices.losers)
        pairs, pair_of = np.unique(code, return_inverse=True)
        self.i, self.j = pairs // count, pairs % count
        won = choices.weights * (choices.winners == first)
        self.won = np.bincount(pair_of, won, len(pairs)).astype(float)  # by image i
        self.lost = np.bincount(pair_of, choices.weights - won, len(pairs)).astype(float)
        # Both directions of every edge, grouped by image, for sums over neighbours.
        heads = np.concatenate([self.i, self.j])
        order = np.argsort(heads, kind="stable")
        self._tails = np.concatenate([self.j, self.i])[order]
        self._edge = order % max(len(pairs), 1)
        self._first = np.searchsorted(heads[order], np.arange(count))

    def gather(self, flow: Floats) -> Floats:
        """(n,) what (edges,) flows towards i and away from j bring to each image."""
        return self._per_image(self.i, flow) - self._per_image(self.j, flow)

    def degree(self, q: Floats) -> Floats:
        """(n,) sum of the edge weights at each image: the diagonal of L."""
        return self._per_image(self.i, q) + self._per_image(self.j, q)

    def laplacian(self, q: Floats, v: Floats) -> Floats:
        """L v for edge weights q; v is (n,) or (n, k)."""
        if v.ndim == 1:
            return self.gather(q * (v[self.i] - v[self.j]))
        pulled = np.add.reduceat(v[self._tails] * q[self._edge, None], self._first, axis=0)
        return np.asarray(self.degree(q)[:, None] * v - pulled)

    def solve(self, q: Floats, d: Floats, b: Floats) -> Floats:
        """(D + L)^-1 b for the diagonal d and an (n, k) matrix b."""
        if self.count <= _DENSE:
            matrix = np.diag(d + self.degree(q))
            matrix[self.i, self.j] = matrix[self.j, self.i] = -q
            return np.asarray(np.linalg.solve(matrix, b))
        diagonal = (d + self.degree(q))[:, None]
        return conjugate_gradients(
            lambda v: d[:, None] * v + self.laplacian(q, v), lambda r: r / diagonal, b, 1e-4
        )

    def marginals(self, q: Floats, d: Floats) -> tuple[Floats, Floats, float]:
        """The diagonal of (D + L)^-1; the variance of each edge's difference if the edge were not
        there; and log det(D + L) - log det D.

        Gaussian belief propagation: every edge is a spring of stiffness q, every image tied to
        zero by one of stiffness d; what an image feels of an edge is the edge in series with
        all that holds its other end. Exact on trees, and convergent since D + L is diagonally
        dominant (Malioutov, Johnson & Willsky 2006). The determinant is Bethe's approximation.
        """
        to_i, to_j = np.zeros_like(q), np.zeros_like(q)
        for _ in range(50):
            stiffness = d + self._per_image(self.i, to_i) + self._per_image(self.j, to_j)
            hold_i, hold_j = stiffness[self.i] - to_i, stiffness[self.j] - to_j
            new_i, new_j = q * hold_j / (q + hold_j), q * hold_i / (q + hold_i)
            change = max(np.abs(new_i - to_i).max(), np.abs(new_j - to_j).max())
            if change < 1e-6:
                break
            to_i, to_j = new_i, new_j
        shared = q * q / ((hold_i + q) * (hold_j + q))  # squared correlation of an edge's ends
        log_det = np.log(stiffness / d).sum() - np.log1p(-shared).sum()
        return 1.0 / stiffness, 1.0 / hold_i + 1.0 / hold_j, float(log_det)

    def _per_image(self, images: Ints, values: Floats) -> Floats:
        return np.asarray(np.bincount(images, values, self.count), dtype=float)


def conjugate_gradients(
    apply: Callable[[Floats], Floats],
    precondition: Callable[[Floats], Floats],
    b: Floats,
    tolerance: float,
) -> Floats:
    """Solve A x = b for a symmetric positive definite A; columns of a matrix b each on their own.

    `apply` is v → A v, `precondition` r → M^-1 r; the tolerance is relative, in the norm of M^-1.
    """
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
