"""Resampling images for intervals; near duplicates are drawn together."""

from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np


def resampled_counts(groups: np.ndarray, samples: int, seed: int = 0) -> Iterator[np.ndarray]:
    """How often each image is drawn, (n,) int, in each of so many resamples.

    Near duplicates share a number in `groups` (n,), and are drawn together.
    """
    _, member = np.unique(groups, return_inverse=True)
    count = int(member.max(initial=-1)) + 1
    rng = np.random.default_rng(seed)
    for _ in range(samples if count else 0):
        yield np.bincount(rng.integers(0, count, count), minlength=count)[member]


def intervals(
    groups: np.ndarray,
    samples: int,
    measure: Callable[[np.ndarray], Mapping[str, float | None]],
    seed: int = 0,
) -> dict[str, list[float] | None]:
    """The 95 % percentile interval of each metric that `measure` gives; none without resamples.

    It is told how often each image is drawn, (n,) int.
    """
    values: dict[str, list[float]] = {}
    for counts in resampled_counts(groups, samples, seed):
        for name, value in measure(counts).items():
            values.setdefault(name, []).append(np.nan if value is None else value)
    return {name: percentiles(found) for name, found in values.items()}


def percentiles(values: Sequence[float] | np.ndarray) -> list[float] | None:
    """The middle 95 % of those that are numbers; None without any."""
    known = np.asarray(values)[np.isfinite(values)]
    return np.quantile(known, (0.025, 0.975)).tolist() if len(known) else None
