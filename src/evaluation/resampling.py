"""Resampling images for intervals; near duplicates are drawn together."""

from collections.abc import Callable, Iterator

import numpy as np


def resampled_counts(groups: np.ndarray, samples: int, seed: int = 0) -> Iterator[np.ndarray]:
    """How often each image is drawn, (n,) int, once for each of so many resamples.

    Args:
        groups: near duplicates share a number, (n,) int; a group is drawn as a whole.
        samples: how many times.
        seed: of the draws.
    """
    _, member = np.unique(groups, return_inverse=True)
    count = int(member.max()) + 1
    rng = np.random.default_rng(seed)
    for _ in range(samples):
        yield np.bincount(rng.integers(0, count, count), minlength=count)[member]


def intervals(
    groups: np.ndarray, samples: int, measure: Callable[[np.ndarray], dict[str, float]]
) -> dict[str, list[float]]:
    """The 95 % percentile interval of each of several metrics.

    Args:
        groups: see `resampled_counts`.
        samples: how many resamples; 0 gives no intervals.
        measure: metrics by name, given how often each image is drawn.
    """
    values: dict[str, list[float]] = {}
    for counts in resampled_counts(groups, samples) if len(groups) else ():
        for name, value in measure(counts).items():
            values.setdefault(name, []).append(value)
    return {name: np.quantile(found, (0.025, 0.975)).tolist() for name, found in values.items()}
