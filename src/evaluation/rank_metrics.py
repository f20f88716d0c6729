"""How well predicted scores agree with given ones. Plain numpy; knows neither models nor files.

A measure that the data cannot answer (fewer than two images, all scores equal) is None,
never NaN: JSON has no NaN, and "0.5" would be a lie.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from src.evaluation.concordance import FloatArray, IntArray, PairCounter, RankCorrelation
from src.evaluation.proportion import Proportion

_NUMBERS_AT_ONCE = 250_000  # in one array while bootstrapping: stays in the cache
_PAIRS_AT_MOST = 400_000  # enough for any figure about pairs: ± 0.001


def pairwise_accuracy(given: ArrayLike, predicted: ArrayLike) -> float | None:
    """AB: the share of image pairs with different given scores that are ordered the same way.

    A tie in the prediction counts half. O(n log n). None when all given scores are equal.
    """
    given, predicted = _paired(given, predicted)
    return _number(PairCounter(given, predicted).accuracy(np.ones((1, len(given))))[0])


def spearman(given: ArrayLike, predicted: ArrayLike) -> float | None:
    """Spearman's rank correlation, ties at their mean rank. None when either side is constant."""
    given, predicted = _paired(given, predicted)
    return _number(RankCorrelation(given, predicted)(np.ones((1, len(given))))[0])


def rmse(given: ArrayLike, predicted: ArrayLike) -> float | None:
    """Root of the mean squared difference. None without images."""
    given, predicted = _paired(given, predicted)
    return float(np.sqrt(np.mean((given - predicted) ** 2))) if len(given) else None


def evaluate(
    given: ArrayLike,
    predicted: ArrayLike,
    *,
    bootstrap: int = 0,
    seed: int = 0,
    groups: ArrayLike | None = None,
) -> dict[str, Any]:
    """The measures of one set of images, ready for JSON.

    Args:
        given: the person's scores, (n,).
        predicted: the model's, (n,), in the same units (only `rmse` depends on the units).
        bootstrap: resamplings of the images for 95 % percentile intervals; 0 for none.
        seed: of the resampling.
        groups: (n,) images with the same number (near duplicates) are drawn together.

    Returns:
        `n`, `ab`, `spearman`, `rmse`, and with `bootstrap` also `ab_interval`,
        `spearman_interval` and `rmse_interval`, each [low, high]. What cannot be measured is None.
        Where all pairs are right, or all wrong, resampling shows no spread: then the interval of
        `ab` is Wilson's for half as many trials as there are images.
    """
    given, predicted = _paired(given, predicted)
    result: dict[str, Any] = {
        "n": len(given),
        "ab": pairwise_accuracy(given, predicted),
        "spearman": spearman(given, predicted),
        "rmse": rmse(given, predicted),
    }
    if bootstrap:
        result |= _bootstrap_intervals(
            given, predicted, _units(groups, len(given)), bootstrap, seed
        )
    return result


def accuracy_interval(
    given: ArrayLike,
    predicted: ArrayLike,
    *,
    bootstrap: int,
    groups: ArrayLike | None = None,
    instead_of: ArrayLike | None = None,
    seed: int = 0,
) -> list[float] | None:
    """95 % interval of AB by resampling images, near duplicates together.

    Args:
        given, predicted, bootstrap, groups, seed: as in `evaluate`.
        instead_of: other predictions of the same images, (n,): the interval is that of the gain in
            AB over them, both measured on the same resamples.
    """
    given, predicted = _paired(given, predicted)
    if len(given) < 2 or not bootstrap:
        return None
    ours = PairCounter(given, predicted)
    theirs = PairCounter(*_paired(given, instead_of)) if instead_of is not None else None
    units = _units(groups, len(given))
    values = [
        ours.accuracy(weights) - (theirs.accuracy(weights) if theirs else 0)
        for weights in _resamples(units, bootstrap, seed)
    ]
    interval = _interval(np.concatenate(values))
    return interval if theirs else _widened(interval, int(units.max()) + 1)


def group_means(
    groups: Sequence[str], given: ArrayLike, predicted: ArrayLike
) -> list[dict[str, Any]]:
    """Per group (folder, theme), sorted by name: how many images, and their mean scores.

    Returns:
        one dict a group: `group`, `n`, `given_mean`, `predicted_mean`, `predicted_std`, and `ab`
        within the group.
    """
    given, predicted = _paired(given, predicted)
    names, member = np.unique(np.asarray(groups, dtype=str), return_inverse=True)
    if len(member) != len(given):
        raise ValueError(f"{len(member)} groups for {len(given)} scores")
    result: list[dict[str, Any]] = []
    for number, name in enumerate(names):
        mine = member == number
        result.append(
            {
                "group": str(name),
                "n": int(mine.sum()),
                "given_mean": float(given[mine].mean()),
                "predicted_mean": float(predicted[mine].mean()),
                "predicted_std": float(predicted[mine].std()),
                "ab": pairwise_accuracy(given[mine], predicted[mine]),
            }
        )
    return result


def accuracy_by_gap(
    given: ArrayLike, predicted: ArrayLike, *, bins: int = 8, seed: int = 0
) -> list[dict[str, Any]]:
    """AB against the gap between the two given scores: near pairs are hard, far ones easy.

    All pairs are used, or a random 400,000 of them if there are more. The bins hold equally many.

    Returns:
        one dict a bin, from small to large gaps: `from`, `to` (in units of the given score),
        `n` pairs and their `ab`.
    """
    given, predicted = _paired(given, predicted)
    left, right = _pairs(len(given), seed)
    gap = given[left] - given[right]
    differ = gap != 0
    gap, difference = gap[differ], (predicted[left] - predicted[right])[differ]
    if not len(gap):
        return []
    right_order = (np.sign(gap) * np.sign(difference) + 1) / 2
    gap = np.abs(gap)
    edges = np.unique(np.quantile(gap, np.linspace(0, 1, bins + 1)))
    number = np.clip(np.searchsorted(edges, gap, side="right") - 1, 0, max(len(edges) - 2, 0))
    counts = np.bincount(number, minlength=len(edges))
    sums = np.bincount(number, weights=right_order, minlength=len(edges))
    upper = np.append(edges[1:], edges[-1])
    return [
        {
            "from": float(edges[b]),
            "to": float(upper[b]),
            "n": int(counts[b]),
            "ab": float(sums[b] / counts[b]),
        }
        for b in range(len(edges))
        if counts[b]
    ]


def interval_coverage(
    given: ArrayLike,
    predicted: ArrayLike,
    std: ArrayLike,
    levels: Sequence[float] = (0.5, 0.8, 0.95),
) -> list[dict[str, float | None]]:
    """The share of given scores inside the predicted Gaussian intervals, per nominal level.

    Args:
        std: standard deviation of each prediction as a forecast of the given score, (n,).
    """
    from statistics import NormalDist

    given, predicted = _paired(given, predicted)
    distance = np.abs(given - predicted)
    std = np.broadcast_to(np.asarray(std, dtype=np.float64), distance.shape)
    return [
        {
            "level": level,
            "coverage": float(np.mean(distance <= NormalDist().inv_cdf(0.5 + level / 2) * std))
            if len(distance)
            else None,
        }
        for level in levels
    ]


def _bootstrap_intervals(
    given: FloatArray, predicted: FloatArray, units: IntArray, resamples: int, seed: int
) -> dict[str, Any]:
    names = ("ab_interval", "spearman_interval", "rmse_interval")
    if len(given) < 2:
        return dict.fromkeys(names)
    pairs, ranks = PairCounter(given, predicted), RankCorrelation(given, predicted)
    squared_error = (given - predicted) ** 2
    values = np.concatenate(
        [
            np.stack(
                [
                    pairs.accuracy(weights),
                    ranks(weights),
                    np.sqrt(weights @ squared_error / weights.sum(axis=1)),
                ]
            )
            for weights in _resamples(units, resamples, seed)
        ],
        axis=1,
    )
    found = {name: _interval(row) for name, row in zip(names, values, strict=True)}
    found["ab_interval"] = _widened(found["ab_interval"], int(units.max()) + 1)
    return found


def _units(groups: ArrayLike | None, n: int) -> IntArray:
    """The number, from 0, of what an image is drawn with, (n,)."""
    if groups is None:
        return np.arange(n)
    return np.unique(np.asarray(groups), return_inverse=True)[1]


def _resamples(units: IntArray, resamples: int, seed: int) -> Iterator[FloatArray]:
    """Bootstrap samples as repetition counts (b, n) of images, in blocks that fit the cache."""
    rng = np.random.default_rng(seed)
    n = int(units.max()) + 1
    at_once = max(1, _NUMBERS_AT_ONCE // n)
    for done in range(0, resamples, at_once):
        rows = min(at_once, resamples - done)
        picks = rng.integers(n, size=(rows, n)) + n * np.arange(rows)[:, None]
        counts = np.bincount(picks.ravel(), minlength=rows * n).reshape(rows, n)
        yield counts[:, units].astype(np.float64)


def _interval(values: FloatArray) -> list[float] | None:
    values = values[np.isfinite(values)]
    return [float(v) for v in np.quantile(values, [0.025, 0.975])] if len(values) else None


def _widened(interval: list[float] | None, units: int) -> list[float] | None:
    if interval not in ([0.0, 0.0], [1.0, 1.0]):
        return interval
    trials = max(units // 2, 1)
    return list(Proportion(int(interval[0]) * trials, trials).interval)


def _pairs(n: int, seed: int) -> tuple[IntArray, IntArray]:
    """All pairs of n images, or a random sample of them (without a pair of equal images)."""
    if n * (n - 1) // 2 <= _PAIRS_AT_MOST:
        left, right = np.triu_indices(n, 1)
        return left, right
    rng = np.random.default_rng(seed)
    left = rng.integers(n, size=_PAIRS_AT_MOST)
    return left, (left + rng.integers(1, n, size=_PAIRS_AT_MOST)) % n


def _number(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def _paired(given: ArrayLike, predicted: ArrayLike) -> tuple[FloatArray, FloatArray]:
    given = np.asarray(given, dtype=np.float64).ravel()
    predicted = np.asarray(predicted, dtype=np.float64).ravel()
    if len(given) != len(predicted):
        raise ValueError(f"{len(given)} given scores but {len(predicted)} predicted ones")
    if not (np.isfinite(given).all() and np.isfinite(predicted).all()):
        raise ValueError("scores must be finite numbers")
    return given, predicted
