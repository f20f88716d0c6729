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
    """(features - mean) * factor, per feature, of vectors that may be cut to unit length first.

    Attributes:
        mean: (d,).
        factor: (d,); 0 for a feature that never varied, which therefore says nothing.
        unit_blocks: lengths of the parts whose vectors are first scaled to length 1; () for none.
    """

    mean: FloatArray
    factor: FloatArray
    unit_blocks: tuple[int, ...] = ()

    def __call__(self, features: FloatArray) -> FloatArray:
        return (_unit_length(features, self.unit_blocks) - self.mean) * self.factor

    @classmethod
    def fit(
        cls,
        features: FloatArray,
        *,
        blocks: Sequence[int] | None = None,
        unit: bool = False,
        per_feature: bool = True,
    ) -> Self:
        """Standardise: mean 0 and standard deviation 1 over the rows of `features`.

        Args:
            features: (n, d).
            blocks: lengths of the parts that were joined, such as two extractors. Each part is
                then given the same total variance, so that the longer does not drown the shorter.
            unit: scale the vectors of each part to length 1 first; of a deep feature vector, the
                direction often says more than the length.
            per_feature: give every feature the same deviation; False keeps their proportions
                within a part.

        Raises:
            ModelError: the lengths of the blocks do not add up to d.
        """
        unit_blocks = tuple(blocks or (features.shape[1],)) if unit else ()
        if blocks is not None and sum(blocks) != features.shape[1]:
            raise ModelError(f"feature blocks {list(blocks)} do not add up to {features.shape[1]}")
        features = _unit_length(features, unit_blocks)
        std = features.std(axis=0)
        varies = std > 1e-7 * np.maximum(np.abs(features).max(axis=0, initial=0), 1e-30)
        std[~varies] = 0
        starts = np.cumsum([0, *(blocks or (len(std),))[:-1]])
        sizes = np.diff([*starts, len(std)])
        if per_feature:
            factor = np.divide(1.0, std, out=np.zeros_like(std), where=varies)
        else:
            power = np.sqrt(np.add.reduceat(std**2, starts) / sizes)
            factor = varies / np.repeat(np.maximum(power, 1e-30), sizes)
        if len(sizes) > 1:
            power = np.add.reduceat((std * factor) ** 2, starts)
            factor *= np.repeat(np.sqrt(power.mean() / np.maximum(power, 1e-30)), sizes)
        return cls(features.mean(axis=0), factor, unit_blocks)

    def to_arrays(self) -> dict[str, Array]:
        return {
            "scaler.mean": self.mean,
            "scaler.factor": self.factor,
            "scaler.unit_blocks": np.array(self.unit_blocks, dtype=np.int64),
        }

    @classmethod
    def from_arrays(cls, arrays: Arrays) -> Self:
        mean = take(arrays, "scaler.mean", None)
        blocks = tuple(int(size) for size in take(arrays, "scaler.unit_blocks", None))
        if blocks and (min(blocks) < 1 or sum(blocks) != len(mean)):
            raise ModelError("the feature blocks of the model file do not fit: it is damaged")
        return cls(mean, take(arrays, "scaler.factor", len(mean)), blocks)


def _unit_length(features: FloatArray, blocks: Sequence[int]) -> FloatArray:
    if not blocks:
        return features
    parts = np.split(features, np.cumsum(blocks)[:-1], axis=1)
    lengths = [np.linalg.norm(part, axis=1, keepdims=True) for part in parts]
    return np.hstack([p / np.maximum(n, 1e-30) for p, n in zip(parts, lengths, strict=True)])


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


def group_numbers(groups: ArrayLike | None, n: int) -> np.ndarray:
    """Which images are left out together, (n,): as given, or each alone.

    Raises:
        ModelError: not one number for each image.
    """
    numbers = np.arange(n) if groups is None else np.asarray(groups)
    if numbers.shape != (n,):
        raise ModelError(f"groups {numbers.shape} do not belong to {n} images")
    return numbers
