"""MLPs while they are trained, side by side.

Networks of the same sizes are stacked: every operation has a first dimension, the member, so that
the bookkeeping, which is most of the time of a small network's step, is done once for all of them.
Members never touch each other, and each draws from its own generator, so that it becomes what it
would have become alone.
"""

import math
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from src.aesthetic.heads.mlp import MlpHead


class Network:
    """Linear layers, optional ReLU, and dropout after the hidden layers; k of them.

    `sizes` are those of the inputs, the hidden layers, and 1; the inputs may stand for more
    `features`. Where there are fewer dropouts than hidden layers, the last have none. A member's
    generator draws its first weights, unless they are those of `start`, and later its dropouts.
    """

    weights: list[Tensor]  # per layer (k, inputs, outputs): so laid out that gradients need no copy
    biases: list[Tensor]  # per layer (k, 1, outputs)

    def __init__(
        self,
        sizes: Sequence[int],
        *,
        features: int | None = None,
        relu: bool,
        dropouts: Sequence[float],
        generators: Sequence[torch.Generator],
        start: MlpHead | None = None,
    ) -> None:
        self.sizes, self.relu, self.dropouts = tuple(sizes), relu, tuple(dropouts)
        self._generators, members = list(generators), len(generators)
        self._device = generators[0].device
        self.weights, self.biases = [], []
        for layer, (inputs, outputs) in enumerate(pairwise(self.sizes)):
            weight = torch.empty((members, outputs, inputs), device=self._device)
            bias = torch.empty((members, 1, outputs), device=self._device)
            bound = 1 / math.sqrt(inputs)  # what torch.nn.Linear starts with
            if layer == 0 and features is not None:  # the first outputs as with all features
                bound *= inputs / features
            for member, generator in enumerate(generators):
                weight[member].uniform_(-bound, bound, generator=generator)
                bias[member].uniform_(-bound, bound, generator=generator)
            if start is not None:
                weight.copy_(torch.from_numpy(start.weights[layer]))
                bias.copy_(torch.from_numpy(start.biases[layer]))
            self.weights.append(weight.mT.contiguous().requires_grad_())
            self.biases.append(bias.requires_grad_())

    def masks(self, steps: int, batch: int) -> list[Tensor | None]:
        """Dropout factors (steps, k, batch, units) per hidden layer; None without dropout."""
        result: list[Tensor | None] = [None] * len(self.sizes[1:-1])
        for layer, rate in enumerate(self.dropouts):
            if rate == 0:
                continue
            shape = (len(self._generators), steps, batch, self.sizes[layer + 1])
            mask = torch.empty(shape, device=self._device)
            for mine, generator in zip(mask, self._generators, strict=True):
                mine.bernoulli_(1 - rate, generator=generator).div_(1 - rate)
            result[layer] = mask.transpose(0, 1)
        return result

    def forward(self, x: Tensor, masks: Sequence[Tensor | None] = ()) -> Tensor:
        """Scores (k, b) of features (k, b, d); `masks` (k, b, units) per hidden layer."""
        last = len(self.weights) - 1
        for layer, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            x = torch.baddbmm(bias, x, weight)
            if layer < last:
                x = torch.relu(x) if self.relu else x
                mask = masks[layer] if masks else None
                x = x if mask is None else x * mask
        return x.squeeze(2)

    def to_heads(self) -> list[MlpHead]:
        """A copy of each member's present weights as a head for prediction."""
        weights = [part.detach().mT.cpu().numpy().astype(np.float64) for part in self.weights]
        biases = [part.detach()[:, 0].cpu().numpy().astype(np.float64) for part in self.biases]
        return [
            MlpHead(
                tuple(part[member] for part in weights),
                tuple(part[member] for part in biases),
                self.relu,
                self.dropouts,
            )
            for member in range(len(self._generators))
        ]
