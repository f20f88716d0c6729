"""Bringing features to a common scale before a head is fitted."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import ArrayLike

from src.aesthetic.heads.base import Array, Arrays, FloatArray, take
from src.errors import ModelError


@dataclass(frozen=True)
class Scaler:
    """(features - mean) * factor, per feature.

    Attributes:
        mean: (d,).
        factor: (d,); 0 for a feature that never varied, which therefore says nothing.
    """

    mean: FloatArray
    factor: FloatArray

    def __call__(self, features: FloatArray) -> FloatArray:
        return (features - self.mean) * self.factor

    @classmethod
    def fit(cls, features: FloatArray, *, blocks: Sequence[int] | None = None) -> Self:
        """Standardise: mean 0 and standard deviation 1 over the rows of `features`.

        Args:
            features: (n, d).
            blocks: lengths of the parts that were joined, such as two extractors. Each part is
                then given the same total variance, so that the longer does not drown the shorter.

        Raises:
            ModelError: the lengths of the blocks do not add up to d.
        """
        std = features.std(axis=0)
        varies = std > 1e-7 * np.maximum(np.abs(features).max(axis=0, initial=0), 1e-30)
        factor = np.divide(1.0, std, out=np.zeros_like(std), where=varies)
        if blocks is not None and len(blocks) > 1:
            if sum(blocks) != len(std):
                raise ModelError(f"feature blocks {list(blocks)} do not add up to {len(std)}")
            starts = np.cumsum([0, *blocks[:-1]])
            alive = np.maximum(np.add.reduceat(varies.astype(np.float64), starts), 1)
            factor *= np.repeat(np.sqrt(alive.mean() / alive), blocks)
        return cls(features.mean(axis=0), factor)

    def to_arrays(self) -> dict[str, Array]:
        return {"scaler.mean": self.mean, "scaler.factor": self.factor}

    @classmethod
    def from_arrays(cls, arrays: Arrays) -> Self:
        mean = take(arrays, "scaler.mean", None)
        return cls(mean, take(arrays, "scaler.factor", len(mean)))


def training_data(
    features: ArrayLike, scores: ArrayLike, weights: ArrayLike | None
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Features (n, d), scores (n,) and weights (n,) to fit on, checked; weights average 1.

    Raises:
        ModelError: fewer than two images, all scores equal, or lengths that do not agree.
    """
    x = np.asarray(features, dtype=np.float64)
    y = np.asarray(scores, dtype=np.float64)
    w = np.ones(len(y)) if weights is None else np.asarray(weights, dtype=np.float64)
    if x.ndim != 2 or not len(x) == len(y) == len(w):
        raise ModelError(
            f"features {x.shape}, scores {y.shape} and weights {w.shape} do not belong together"
        )
    if len(y) < 2 or np.all(y == y[0]):
        raise ModelError(
            f"nothing can be learnt from {len(y)} rated images that all have the same score: "
            "rate more images, or check the scores"
        )
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        raise ModelError("features or scores hold values that are not finite: extract them again")
    if not (np.isfinite(w).all() and (w >= 0).all() and w.sum() > 0):
        raise ModelError("the weights of the images must be finite, not negative, not all zero")
    return x, y, w / w.mean()
