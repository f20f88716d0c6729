"""What answers make of a Gaussian: the moments of the two multiplied.

P(i is the best of a set) = exp f_i / sum_j exp f_j                 (Luce 1959, Plackett 1975)
P(i is the worst of a set) = exp -f_i / sum_j exp -f_j
"""

from functools import cache

import numpy as np

from src.rating.models.graph import Floats

# The trapezium rule beats Gauss-Hermite here: a logistic has poles near the real axis.
_LATTICES = {1: (0.25, 8.0), 2: (0.6, 5.0), 3: (0.8, 4.0)}  # of so many dimensions
# The nearer the scores are known, the farther away these poles: at a standard deviation s the error
# is about exp(-2 π² / (s · spacing)), so that a third of the nodes do.
_COARSE, _NARROW = {1: (0.25, 8.0), 2: (0.9, 5.0), 3: (1.2, 4.0)}, 2.4
_AT_A_TIME = 2**17  # nodes of all sets for which there is memory


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
    narrow = bool(np.einsum("aam->am", covariance).max() <= _NARROW**2)
    nodes, weights = lattice(len(mean), *(_COARSE if narrow else _LATTICES)[len(mean)])
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
    top = log_likelihood.max(axis=1)  # far in the tail the likelihood itself underflows
    mass = np.exp(log_likelihood - top[:, None]) * weights
    total = mass.sum(axis=1)
    mass /= total[:, None]
    new_mean = np.einsum("mn,amn->am", mass, d)
    around = d - new_mean[..., None]
    return top + np.log(total), new_mean, np.einsum("amn,bmn->abm", mass * around, around)


def log_sum(f: Floats) -> Floats:
    """log sum exp over the first axis."""
    top = f.max(axis=0)
    return np.asarray(top + np.log(np.exp(f - top).sum(axis=0)))
