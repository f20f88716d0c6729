"""Counting agreement between two orders of the same images, for many weightings at once.

The sorting is done once per pair of orders; each row of weights, such as the repetition counts of
a bootstrap sample, then costs only cumulative sums. That makes thousands of resamples cheap.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.intp]


@dataclass(frozen=True)
class _Level:
    """One bit of the rank of the given scores; see `PairCounter`."""

    order: IntArray  # images by (higher bits of the given rank, predicted score)
    lower: FloatArray  # 1 where the bit is 0, in that order
    upper_at: IntArray  # the images whose bit is 1, as image numbers
    start: IntArray  # for each of these: where its block starts in the order,
    end: IntArray  # where the block ends,
    first: IntArray  # where the images of the block with the same predicted score start,
    last: IntArray  # and where they end


class PairCounter:
    """Counts concordant pairs for many weightings of the same images.

    Two given ranks differ first at exactly one bit, counted from the top. So for each bit, the
    images that agree on all higher bits form a block, and inside it every image with the bit 0
    has a lower given score than every image with the bit 1. Sorted by prediction inside blocks,
    a cumulative sum counts how many of the former are predicted below each of the latter.
    """

    def __init__(self, given: FloatArray, predicted: FloatArray) -> None:
        rank = np.unique(given, return_inverse=True)[1]
        predicted_rank = np.unique(predicted, return_inverse=True)[1]
        bits = range(int(rank.max(initial=0)).bit_length())
        self._levels = [self._level(rank, predicted_rank, bit) for bit in bits]

    @staticmethod
    def _level(rank: IntArray, predicted_rank: IntArray, bit: int) -> _Level:
        order = np.lexsort((predicted_rank, rank >> (bit + 1)))
        block = (rank >> (bit + 1))[order]
        is_upper = ((rank >> bit) & 1)[order].astype(bool)
        run = np.cumsum(_changes(block) | _changes(predicted_rank[order]))
        (upper,) = np.nonzero(is_upper)
        return _Level(
            order=order,
            lower=(~is_upper).astype(np.float64),
            upper_at=order[upper],
            start=np.searchsorted(block, block[upper], side="left"),
            end=np.searchsorted(block, block[upper], side="right"),
            first=np.searchsorted(run, run[upper], side="left"),
            last=np.searchsorted(run, run[upper], side="right"),
        )

    def accuracy(self, weights: FloatArray) -> FloatArray:
        """AB for each row of image weights (b, n); NaN where no pair differs."""
        right = np.zeros(len(weights))
        pairs = np.zeros(len(weights))
        below = np.zeros((len(weights), weights.shape[1] + 1))
        for level in self._levels:
            np.cumsum(weights[:, level.order] * level.lower, axis=1, out=below[:, 1:])
            start = below[:, level.start]
            mine = weights[:, level.upper_at]
            beaten = (below[:, level.first] + below[:, level.last]) / 2 - start
            right += np.einsum("bn,bn->b", mine, beaten)
            pairs += np.einsum("bn,bn->b", mine, below[:, level.end] - start)
        return _ratio(right, pairs)


class RankCorrelation:
    """Spearman's correlation for many weightings (repetitions) of the same images."""

    def __init__(self, given: FloatArray, predicted: FloatArray) -> None:
        self._sides = [self._ties(given), self._ties(predicted)]

    @staticmethod
    def _ties(values: FloatArray) -> tuple[IntArray, IntArray, IntArray]:
        order = np.argsort(values, kind="stable")
        ordered = values[order]
        return (
            order,
            np.searchsorted(ordered, values, side="left"),
            np.searchsorted(ordered, values, side="right"),
        )

    def __call__(self, weights: FloatArray) -> FloatArray:
        """The correlation for each row of image weights (b, n); NaN where a side is constant."""
        total = weights.sum(axis=1, keepdims=True)
        centred = []
        for order, first, last in self._sides:
            below = np.zeros((len(weights), weights.shape[1] + 1))
            np.cumsum(weights[:, order], axis=1, out=below[:, 1:])
            centred.append((below[:, first] + below[:, last] - total) / 2)  # mid-rank less its mean
        x, y = centred
        covariance = np.einsum("bn,bn,bn->b", weights, x, y)
        variances = np.einsum("bn,bn,bn->b", weights, x, x) * np.einsum(
            "bn,bn,bn->b", weights, y, y
        )
        return _ratio(covariance, np.sqrt(variances))


def _changes(values: IntArray) -> NDArray[np.bool_]:
    return np.concatenate([[True], values[1:] != values[:-1]])[: len(values)]


def _ratio(numerator: FloatArray, denominator: FloatArray) -> FloatArray:
    quotient = np.full(len(numerator), np.nan)
    np.divide(numerator, denominator, out=quotient, where=denominator > 0)
    return quotient
