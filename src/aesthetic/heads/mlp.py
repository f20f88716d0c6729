"""The multilayer perceptron head, the published 768-1024-128-64-16-1 among them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import ClassVar, Self

import numpy as np

from src.aesthetic.heads.base import Arrays, Config, FloatArray, Head, take, take_std, take_value
from src.aesthetic.heads.linear import LinearHead
from src.errors import ModelError

PUBLISHED_DROPOUTS = (0.2, 0.2, 0.1)


@dataclass(frozen=True)
class MlpHead(Head):
    """Linear layers with or without ReLU between them."""

    weights: tuple[FloatArray, ...]  # per layer (outputs, inputs); the last has one output
    biases: tuple[FloatArray, ...]  # per layer (outputs,)
    relu: bool = False  # between layers; the published heads have none, which makes them linear
    dropouts: tuple[float, ...] = ()  # after each hidden layer in training, should it go on
    residual_std: float | None = None

    kind: ClassVar[str] = "mlp"

    @property
    def n_features(self) -> int:
        return int(self.weights[0].shape[1])

    @property
    def hidden(self) -> tuple[int, ...]:
        return tuple(len(bias) for bias in self.biases[:-1])

    def _scores(self, x: FloatArray) -> FloatArray:
        last = len(self.weights) - 1
        for number, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            x = x @ weight.T + bias
            if self.relu and number < last:
                x = np.maximum(x, 0)
        return x[:, 0]

    def rescaled(self, mean: float, std: float) -> "MlpHead":
        """The head whose scores are (score - mean) / std, folded into the last layer."""
        return replace(
            self,
            weights=(*self.weights[:-1], self.weights[-1] / std),
            biases=(*self.biases[:-1], (self.biases[-1] - mean) / std),
            residual_std=None if self.residual_std is None else self.residual_std / std,
        )

    def collapsed(self) -> LinearHead:
        """The same function as one linear layer, of a head without ReLUs."""
        if self.relu and len(self.weights) > 1:
            raise ValueError("a head with activations is not linear")
        weight, bias = self.weights[-1][0], float(self.biases[-1][0])
        for before, offset in zip(self.weights[-2::-1], self.biases[-2::-1], strict=True):
            bias += float(weight @ offset)
            weight = weight @ before
        return LinearHead(weight, bias, self.residual_std)

    def to_arrays(self) -> Arrays:
        """float32, as trained: float64 would only double the file."""
        parts = {"weight": self.weights, "bias": self.biases}
        return {
            f"layers.{number}.{name}": array.astype(np.float32)
            for name, arrays in parts.items()
            for number, array in enumerate(arrays)
        }

    def config(self) -> Config:
        return {
            "hidden": list(self.hidden),
            "relu": self.relu,
            "dropouts": list(self.dropouts),
            "residual_std": self.residual_std,
        }

    @classmethod
    def from_arrays(cls, arrays: Arrays, config: Config) -> Self:
        hidden = take_value(config, "hidden", lambda sizes: [int(size) for size in sizes])
        first = take(arrays, "layers.0.weight", None, None)
        sizes = (first.shape[1], *hidden, 1)
        return cls(
            tuple(
                take(arrays, f"layers.{i}.weight", outputs, inputs)
                for i, (inputs, outputs) in enumerate(pairwise(sizes))
            ),
            tuple(take(arrays, f"layers.{i}.bias", size) for i, size in enumerate(sizes[1:])),
            take_value(config, "relu", bool),
            check_dropouts(
                take_value(config, "dropouts", lambda values: [float(p) for p in values]), hidden
            ),
            take_std(config),
        )


def check_dropouts(dropouts: Sequence[float], hidden: Sequence[int]) -> tuple[float, ...]:
    """The dropouts, or a ModelError if they do not fit the hidden layers."""
    if len(dropouts) > len(hidden) or not all(0 <= p < 1 for p in dropouts):
        raise ModelError(
            f"dropouts {list(dropouts)} do not fit hidden layers {list(hidden)}: give at most one "
            "per hidden layer, each at least 0 and below 1"
        )
    return tuple(dropouts)
