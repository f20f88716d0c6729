"""The linear head: a weighted sum. What ridge and pairwise fits, and some published models, are."""

from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike

from src.aesthetic.heads.base import Array, Arrays, Config, FloatArray, Head, take, take_value
from src.errors import ModelError


@dataclass(frozen=True)
class LinearHead(Head):
    """features @ weight + bias.

    Attributes:
        weight: (d,), for features as they come (any standardisation is folded in).
        bias: the score of all-zero features.
        residual_std: standard deviation of a person's score around the prediction, measured on
            images left out of the fit; None if unknown.
        fitted_as: the method, for people to read: "ridge", "pairwise", "linear".
        penalty: the chosen penalty relative to the mean eigenvalue, for the report.
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

    def predict(self, features: ArrayLike) -> FloatArray:
        return self.check(features) @ self.weight + self.bias

    def predict_std(self, features: ArrayLike) -> FloatArray | None:
        if self.residual_std is None:
            return None
        return np.full(len(self.check(features)), self.residual_std)

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
        weight = take(arrays, "weight", None)
        bias = float(take(arrays, "bias", 1)[0])
        return cls(
            weight,
            bias,
            optional_std(config),
            take_value(config, "fitted_as", str),
            None if config.get("penalty") is None else take_value(config, "penalty", float),
        )


def optional_std(config: Config) -> float | None:
    """`residual_std` of a configuration: a finite number not below zero, or None."""
    if config.get("residual_std") is None:
        return None
    std = take_value(config, "residual_std", float)
    if not (np.isfinite(std) and std >= 0):
        raise ModelError(f"the model file has an impossible residual_std, {std}")
    return std
