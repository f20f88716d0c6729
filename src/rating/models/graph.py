"""The comparisons as a network between images, and the linear algebra on it.

Where the choices between two images tell of their difference what a Gaussian of precision q would,
q is the weight of their edge, and the precision of each image's own part is D + L: L the network's
Laplacian, D a positive diagonal; sparse, symmetric and diagonally dominant. A choice among more
images has an edge between every two of them.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating]
Ints = NDArray[np.intp]
_DENSE = 1000  # images up to which a dense solution is faster


class Sets(NamedTuple):
    """Choices among k images each; arrays (k, m)."""

    images: Ints
    best: Floats  # how often each was chosen as the best; a tie counts 1 / k for each
    worst: Floats  # and as the worst of the others


@dataclass(frozen=True)
class Choices:
    """Answers about pairs as arrays of one length m: image indices, and 1 per choice or 0.5 per
    half a tie; and choices among more images, those of one number of images together."""

    winners: Ints
    losers: Ints
    weights: Floats
    sets: Sequence[Sets] = ()

    def __len__(self) -> int:
        return len(self.winners) + sum(len(one.images.T) for one in self.sets)

    def renumbered(self) -> tuple[Ints, "Choices"]:
        """The images that occur, sorted, and the same choices by their places among these."""
        flat = [self.winners, self.losers, *(one.images.ravel() for one in self.sets)]
        images, places = np.unique(np.concatenate(flat), return_inverse=True)
        winners, losers, *rest = np.split(places, np.cumsum([len(part) for part in flat])[:-1])
        sets = [
            one._replace(images=part.reshape(one.images.shape))
            for one, part in zip(self.sets, rest, strict=True)
        ]
        return images, Choices(winners, losers, self.weights, sets)


def sigmoid(x: Floats) -> Floats:
    """1 / (1 + e^-x) without overflow."""
    return np.asarray(0.5 * (1.0 + np.tanh(0.5 * x)))


class ComparisonGraph:
    """The choices between `count` images, choices of one pair merged into one edge."""

    def __init__(self, choices: Choices, count: int) -> None:
        self.count = count
        self.sets = [*([_merged(choices, count)] if len(choices.winners) else []), *choices.sets]
        self._ends = [np.triu_indices(len(images), 1) for images, _, _ in self.sets]
        pairs = list(zip(self.sets, self._ends, strict=True))
        self.i = np.concatenate([one.images[first].ravel() for one, (first, _) in pairs])
        self.j = np.concatenate([one.images[second].ravel() for one, (_, second) in pairs])
        # Both directions of every edge, grouped by image, for sums over neighbours.
        heads = np.concatenate([self.i, self.j])
        order = np.argsort(heads, kind="stable")
        self._tails = np.concatenate([self.j, self.i])[order]
        self._edge = order % max(len(self.i), 1)
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
            code = np.concatenate([self.i * self.count + self.j, self.j * self.count + self.i])
            matrix = -np.bincount(code, np.tile(q, 2), self.count**2).reshape(-1, self.count)
            matrix[np.diag_indices(self.count)] = d + self.degree(q)
            return np.asarray(np.linalg.solve(matrix, b))
        diagonal = (d + self.degree(q))[:, None]
        return conjugate_gradients(
            lambda v: d[:, None] * v + self.laplacian(q, v), lambda r: r / diagonal, b, 1e-4
        )

    def push(self, shifts: Floats) -> Floats:
        """(n,) what the shifts of the sets' differences bring to each image."""
        pushed = np.zeros(self.count)
        for (images, _, _), shift in zip(self.sets, self.shifts(shifts), strict=True):
            pushed += self._per_image(images[0], shift.sum(axis=0))
            pushed -= self._per_image(images[1:], shift)
        return pushed

    def shifts(self, flat: Floats) -> list[Floats]:
        """Of each kind of set, (k - 1, m)."""
        return self._split(flat, [len(one.images) - 1 for one in self.sets])

    def blocks(self, q: Floats) -> list[Floats]:
        """Of each kind of set the parts of L that its edges make, (k, k, m)."""
        return [laplacians(part) for part in self._split(q, [len(ends[0]) for ends in self._ends])]

    def _split(self, flat: Floats, rows: Sequence[int]) -> list[Floats]:
        sizes = [row * one.images.shape[1] for row, one in zip(rows, self.sets, strict=True)]
        parts = np.split(flat, np.cumsum(sizes)[:-1])
        return [part.reshape(row, -1) for part, row in zip(parts, rows, strict=True)]

    def marginals(self, q: Floats, d: Floats) -> tuple[Floats, list[Floats], float]:
        """The diagonal of (D + L)^-1; its parts between the images of each set, (k, k, m); and
        log det(D + L) - log det D.

        Gaussian belief propagation: every edge is a spring of stiffness q, every image tied to
        zero by one of stiffness d; what an image feels of a set is the set's springs in series
        with all that holds its other images. Exact on trees, and convergent since D + L is
        diagonally dominant (Malioutov, Johnson & Willsky 2006). The determinant is Bethe's
        approximation.
        """
        blocks = self.blocks(q)
        felt = [np.zeros(images.shape) for images, _, _ in self.sets]
        for _ in range(50):
            stiffness = d + sum(map(self._per_image, (one.images for one in self.sets), felt))
            change, log_det, within = 0.0, float(np.log(stiffness / d).sum()), []
            for at, ((images, _, _), block) in enumerate(zip(self.sets, blocks, strict=True)):
                diagonal = np.diag_indices(len(images))
                held = block.copy()
                hold = stiffness[images] - felt[at]
                held[diagonal] += hold
                inverse, log_pivots = inverses(held)
                new = 1.0 / inverse[diagonal] - hold
                log_det += float((log_pivots - np.log(hold + new).sum(axis=0)).sum())
                change = max(change, float(np.abs(new - felt[at]).max()))
                felt[at] = new
                within.append(inverse)
            if change < 1e-6:
                break
        return 1.0 / stiffness, within, log_det

    def _per_image(self, images: Ints, values: Floats) -> Floats:
        return np.bincount(images.ravel(), values.ravel(), self.count).astype(float)


def _merged(choices: Choices, count: int) -> Sets:
    first = np.minimum(choices.winners, choices.losers)
    code = first * count + np.maximum(choices.winners, choices.losers)
    pairs, pair_of = np.unique(code, return_inverse=True)
    won = choices.weights * (choices.winners == first)
    best = [np.bincount(pair_of, part, len(pairs)) for part in (won, choices.weights - won)]
    images = np.stack([pairs // count, pairs % count])
    return Sets(images, np.stack(best), np.zeros(images.shape))


def laplacians(edges: Floats) -> Floats:
    """(k, k, m) of m sets, each of k images, whose edges have these weights: (k (k - 1) / 2, m)."""
    size = int((1 + (1 + 8 * len(edges)) ** 0.5) / 2)
    first, second = np.triu_indices(size, 1)
    found = np.zeros((size, size, edges.shape[1]))
    found[first, second] = found[second, first] = -edges
    found[np.diag_indices(size)] = -found.sum(axis=1)
    return found


def inverses(matrices: Floats) -> tuple[Floats, Floats]:
    """Of m small symmetric positive definite matrices, (k, k, m), the inverses and (m,) log det.

    The sweep operator (Goodnight 1979): for thousands of tiny matrices faster than LAPACK.
    """
    swept, log_det = matrices, np.zeros(matrices.shape[2])
    for pivot in range(len(matrices)):
        size = np.maximum(swept[pivot, pivot], 1e-9)
        log_det += np.log(size)
        row = swept[pivot] / size
        swept = swept - swept[:, pivot, None] * row
        swept[pivot] = swept[:, pivot] = row
        swept[pivot, pivot] = -1.0 / size
    return -swept, log_det


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
