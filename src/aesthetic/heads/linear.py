"""The linear head: a weighted sum. What ridge and pairwise fits, and some published models, are."""

from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np

from src.aesthetic.heads.base import FloatArray, Head, Stored, take_value


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

    def store(self) -> Stored:
        notes = {"fitted_as": self.fitted_as, "penalty": self.penalty}
        arrays = {"weight": self.weight, "bias": np.array([self.bias])}
        return Stored(arrays, {"residual_std": self.residual_std, **notes})

    @classmethod
    def restore(cls, stored: Stored) -> Self:
        return cls(
            stored.array("weight", None),
            float(stored.array("bias", 1)[0]),
            stored.std(),
            take_value(stored.config, "fitted_as", str),
            stored.config.get("penalty"),
        )
