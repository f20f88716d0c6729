"""The linear head: a weighted sum. What ridge and pairwise fits, and some published models, are."""

from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np

from src.aesthetic.heads.base import (
    Array,
    Arrays,
    Config,
    FloatArray,
    Head,
    take,
    take_std,
    take_value,
)


@dataclass(frozen=True)
class LinearHead(Head):
    """features @ weight + bias.

    Attributes:
        weight: (d,), for features as they come (any standardisation is folded in).
        bias: the score of all-zero features.
        fitted_as: the method, for people to read: "ridge", "pairwise", "linear".
        penalty: the chosen penalty, for people to read.
    """

    weight: FloatArray
    bias: float
    residual_std: float | None = None
    fitted_as: str = "linear"
    penalty: float | None = None

    kind: ClassVar[str] = "linear"

    @property
    def n_features(self) -> int:
        return len(self.weight)

    def _scores(self, x: FloatArray) -> FloatArray:
        return x @ self.weight + self.bias

    def to_arrays(self) -> dict[str, Array]:
        return {"weight": self.weight, "bias": np.array([self.bias])}

    def config(self) -> dict[str, Any]:
        return {
            "residual_std": self.residual_std,
            "fitted_as": self.fitted_as,
            "penalty": self.penalty,
        }

    @classmethod
    def from_arrays(cls, arrays: Arrays, config: Config) -> Self:
        return cls(
            take(arrays, "weight", None),
            float(take(arrays, "bias", 1)[0]),
            take_std(config),
            take_value(config, "fitted_as", str),
            None if config.get("penalty") is None else take_value(config, "penalty", float),
        )
