"""The linear head: a weighted sum. What ridge and pairwise fits, and some published models, are."""

from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np

from src.aesthetic.heads.base import Arrays, Config, FloatArray, Head, take, take_std, take_value


@dataclass(frozen=True)
class LinearHead(Head):
    """features @ weight + bias, of features as they come: any standardisation is folded in."""

    weight: FloatArray  # (d,)
    bias: float
    residual_std: float | None = None
    fitted_as: str = "linear"  # for people to read, like the penalty
    penalty: float | None = None

    kind: ClassVar[str] = "linear"

    @property
    def n_features(self) -> int:
        return len(self.weight)

    def _scores(self, x: FloatArray) -> FloatArray:
        return x @ self.weight + self.bias

    def to_arrays(self) -> Arrays:
        return {"weight": self.weight, "bias": np.array([self.bias])}

    def config(self) -> Config:
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
