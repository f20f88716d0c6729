"""Bringing features to a common scale before a head is fitted."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from src.aesthetic.heads.base import Array, FloatArray, Stored
from src.errors import ModelError


@dataclass(frozen=True)
class Scaler:
    """(features - mean) * factor, per feature, of vectors that may be cut to unit length first."""

    mean: FloatArray  # (d,)
    factor: FloatArray  # (d,); 0 for a feature that never varied, which therefore says nothing
    unit_blocks: tuple[int, ...] = ()  # lengths of parts that are first scaled to length 1

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
        """Standardise: mean 0 and standard deviation 1 over the rows of `features` (n, d).

        Parts that were joined, such as two extractors, are given the same total variance, so that
        the longer does not drown the shorter; `blocks` are their lengths. With `unit` the vectors
        of each are scaled to length 1 first: of deep features the direction often says more than
        the length. Without `per_feature` features keep their proportions within a part.
        """
        sizes = list(blocks or [features.shape[1]])
        if sum(sizes) != features.shape[1]:
            raise ModelError(f"feature blocks {sizes} do not add up to {features.shape[1]}")
        unit_blocks = tuple(sizes) if unit else ()
        features = _unit_length(features, unit_blocks)
        std = features.std(axis=0)
        varies = std > 1e-7 * np.maximum(np.abs(features).max(axis=0, initial=0), 1e-30)
        std[~varies] = 0
        starts = np.cumsum([0, *sizes[:-1]])
        if per_feature:
            factor = np.divide(1.0, std, out=np.zeros_like(std), where=varies)
        else:
            power = np.sqrt(np.add.reduceat(std**2, starts) / sizes)
            factor = varies / np.repeat(np.maximum(power, 1e-30), sizes)
        if len(sizes) > 1:
            power = np.add.reduceat((std * factor) ** 2, starts)
            factor *= np.repeat(np.sqrt(power.mean() / np.maximum(power, 1e-30)), sizes)
        return cls(features.mean(axis=0), factor, unit_blocks)

    @classmethod
    def identity(cls, features: FloatArray) -> Self:
        return cls(np.zeros(features.shape[1]), np.ones(features.shape[1]))

    def to_arrays(self) -> dict[str, Array]:
        return {
            "scaler.mean": self.mean,
            "scaler.factor": self.factor,
            "scaler.unit_blocks": np.array(self.unit_blocks, dtype=np.int64),
        }

    @classmethod
    def restore(cls, stored: Stored) -> Self:
        mean = stored.array("scaler.mean", None)
        blocks = tuple(int(size) for size in stored.array("scaler.unit_blocks", None))
        if blocks and (min(blocks) < 1 or sum(blocks) != len(mean)):
            raise ModelError("the feature blocks of the model file do not fit: it is damaged")
        return cls(mean, stored.array("scaler.factor", len(mean)), blocks)


def _unit_length(features: FloatArray, blocks: Sequence[int]) -> FloatArray:
    if not blocks:
        return features
    parts = np.split(features, np.cumsum(blocks)[:-1], axis=1)
    lengths = [np.linalg.norm(part, axis=1, keepdims=True) for part in parts]
    return np.hstack([p / np.maximum(n, 1e-30) for p, n in zip(parts, lengths, strict=True)])
