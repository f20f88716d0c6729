"""MLPs while they are trained, side by side, with gradients worked out by hand.

Networks of the same sizes are stacked: every operation has a first dimension, the member, so that
the bookkeeping, which is most of the time of a small network's step, is done once for all of them.
Members never touch each other, and each draws from its own generator, so that it becomes what it
would have become alone.

The length of the gradient is found without forming it, from two batch-sized matrices per layer.
With autograd on the same tensors a step takes 1.2 to 1.8 times as long (the published network and
five of 64 and 32 units, on one core), which the default head could not make up elsewhere.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from src.aesthetic.heads.mlp import MlpHead


@dataclass
class Pass:
    """What the backward pass needs to know of a forward pass of k members.

    Attributes:
        inputs: per layer (k, b, inputs), after dropout.
        gates: per hidden layer (k, b, outputs): dropout and ReLU as one factor, or None for no
            effect.
        outputs: (k, b) scores.
    """

    inputs: list[Tensor]
    gates: list[Tensor | None]
    outputs: Tensor


class Network:
    """Linear layers, optional ReLU, and dropout after the hidden layers; k of them.

    Args:
        sizes: features, hidden layers, 1.
        relu: rectify after each hidden layer.
        dropouts: the probability per hidden layer, as many as given; the rest have none.
        generators: one per member; draws its first weights and later its dropouts.
        start: a head of these sizes whose weights all members begin with; None for random ones.

    Attributes:
        flat_weights, flat_biases: (k, all of a member's), with their gradients in `.grad`.
        weights: per layer (k, outputs, inputs), views of these.
        biases: per layer (k, outputs).
    """

    def __init__(
        self,
        sizes: Sequence[int],
        *,
        relu: bool,
        dropouts: Sequence[float],
        generators: Sequence[torch.Generator],
        start: MlpHead | None = None,
    ) -> None:
        self.sizes, self.relu, self.dropouts = tuple(sizes), relu, tuple(dropouts)
        self._generators = list(generators)
        members, device = len(generators), generators[0].device
        n_weights = sum(inputs * outputs for inputs, outputs in pairwise(self.sizes))
        self.flat_weights = torch.empty((members, n_weights), device=device)
        self.flat_biases = torch.empty((members, sum(self.sizes[1:])), device=device)
        self.flat_weights.grad = torch.zeros_like(self.flat_weights)
        self.flat_biases.grad = torch.zeros_like(self.flat_biases)
        self.weights, self.biases = self._views(self.flat_weights, self.flat_biases)
        self._weight_grads, self._bias_grads = self._views(
            self.flat_weights.grad, self.flat_biases.grad
        )
        for number, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            bound = 1 / math.sqrt(weight.shape[2])  # what torch.nn.Linear starts with
            for member, generator in enumerate(generators):
                weight[member].uniform_(-bound, bound, generator=generator)
                bias[member].uniform_(-bound, bound, generator=generator)
            if start is not None:
                weight.copy_(torch.from_numpy(start.weights[number]))
                bias.copy_(torch.from_numpy(start.biases[number]))

    def masks(self, steps: int, batch: int) -> list[Tensor | None]:
        """Dropout factors (steps, k, batch, units) per hidden layer; None without dropout."""
        result: list[Tensor | None] = [None] * len(self.sizes[1:-1])
        for layer, rate in enumerate(self.dropouts):
            if rate == 0:
                continue
            shape = (len(self._generators), steps, batch, self.sizes[layer + 1])
            mask = torch.empty(shape, device=self.flat_weights.device)
            for mine, generator in zip(mask, self._generators, strict=True):
                mine.bernoulli_(1 - rate, generator=generator).div_(1 - rate)
            result[layer] = mask.transpose(0, 1)
        return result

    def forward(self, x: Tensor, masks: Sequence[Tensor | None] = ()) -> Pass:
        """Scores of features (k, b, d); `masks` (k, b, units) per hidden layer, () for none."""
        inputs, gates = [x], []
        last = len(self.weights) - 1
        for number, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            x = torch.baddbmm(bias.unsqueeze(1), x, weight.transpose(1, 2))
            if number < last:
                gate = masks[number] if masks else None
                if self.relu:
                    active = (x > 0).to(x.dtype)
                    gate = active if gate is None else active.mul_(gate)
                if gate is not None:
                    x = x * gate
                inputs.append(x)
                gates.append(gate)
        return Pass(inputs, gates, x.squeeze(2))

    def backward(self, done: Pass, slope: Tensor, max_norm: float) -> None:
        """Set the gradients for d loss / d outputs = `slope` (k, b).

        Each member's gradient is shortened to `max_norm`; 0 leaves it as long as it is.
        """
        deltas = [slope.unsqueeze(2)]
        for weight, gate in zip(self.weights[:0:-1], done.gates[::-1], strict=True):
            delta = torch.bmm(deltas[-1], weight)
            deltas.append(delta if gate is None else delta.mul_(gate))
        deltas.reverse()
        if max_norm > 0:
            # ‖δᵀ x‖² = Σ (δ δᵀ) ∘ (x xᵀ), and the bias adds 1 to x xᵀ.
            squared = torch.stack(
                [
                    (torch.bmm(delta, delta.mT) * (torch.bmm(x, x.mT) + 1)).sum((1, 2))
                    for delta, x in zip(deltas, done.inputs, strict=True)
                ]
            ).sum(0)
            factor = (max_norm / (squared.clamp_min(0).sqrt() + 1e-6)).clamp_max(1.0)
            deltas = [delta.mul_(factor.view(-1, 1, 1)) for delta in deltas]
        for number, (delta, x) in enumerate(zip(deltas, done.inputs, strict=True)):
            torch.bmm(delta.mT, x, out=self._weight_grads[number])
            torch.sum(delta, dim=1, out=self._bias_grads[number])

    def to_heads(self) -> list[MlpHead]:
        """A copy of each member's present weights as a head for prediction."""
        weights = [part.cpu().numpy().astype(np.float64) for part in self.weights]
        biases = [part.cpu().numpy().astype(np.float64) for part in self.biases]
        return [
            MlpHead(
                tuple(part[member] for part in weights),
                tuple(part[member] for part in biases),
                self.relu,
                self.dropouts,
            )
            for member in range(len(self._generators))
        ]

    def _views(self, weights: Tensor, biases: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        """Per layer, the parts of two flat tensors."""
        shapes = [(outputs, inputs) for inputs, outputs in pairwise(self.sizes)]
        matrices = torch.split(weights, [outputs * inputs for outputs, inputs in shapes], dim=1)
        return (
            [part.view(len(weights), *shape) for part, shape in zip(matrices, shapes, strict=True)],
            list(torch.split(biases, [outputs for outputs, _ in shapes], dim=1)),
        )
