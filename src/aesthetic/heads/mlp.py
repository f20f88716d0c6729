"""The multilayer perceptron head, the published 768-1024-128-64-16-1 among them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import ClassVar, Self

import numpy as np

from src.aesthetic.heads.base import FloatArray, Head, Stored, take_value
from src.errors import ModelError

PUBLISHED_DROPOUTS = (0.2, 0.2, 0.1)


@dataclass(frozen=True)
class MlpHead(Head):
    """Linear layers with or without ReLU between them."""

    weights: tuple[FloatArray, ...]  # per layer (outputs, inputs); the last has one output
    biases: tuple[FloatArray, ...]  # per layer (outputs,)
    relu: bool = False  # between layers; the published heads have none, which makes them linear
    dropouts: tuple[float, ...] = ()  # after each hidden layer in training, should it go on

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
        )

    def store(self) -> Stored:
        """Weights as float32, as trained: float64 would only double the file."""
        parts = {"weight": self.weights, "bias": self.biases}
        arrays = {
            f"layers.{number}.{name}": array.astype(np.float32)
            for name, arrays in parts.items()
            for number, array in enumerate(arrays)
        }
        names = ("hidden", "relu", "dropouts")
        return Stored(arrays, {name: getattr(self, name) for name in names})

    @classmethod
    def restore(cls, stored: Stored) -> Self:
        hidden = take_value(stored.config, "hidden", lambda sizes: [int(size) for size in sizes])
        sizes = (stored.array("layers.0.weight", None, None).shape[1], *hidden, 1)
        layers = list(enumerate(pairwise(sizes)))
        dropouts = take_value(stored.config, "dropouts", lambda rates: [float(p) for p in rates])
        return cls(
            tuple(stored.array(f"layers.{i}.weight", into, out) for i, (out, into) in layers),
            tuple(stored.array(f"layers.{i}.bias", into) for i, (_, into) in layers),
            take_value(stored.config, "relu", bool),
            check_dropouts(dropouts, hidden),
        )


def check_dropouts(dropouts: Sequence[float], hidden: Sequence[int]) -> tuple[float, ...]:
    if len(dropouts) > len(hidden) or not all(0 <= p < 1 for p in dropouts):
        raise ModelError(
            f"dropouts {list(dropouts)} do not fit hidden layers {list(hidden)}: give at most one "
            "per hidden layer, each at least 0 and below 1"
        )
    return tuple(dropouts)
