"""The MLP while it is trained: all weights in one tensor, gradients worked out by hand.

For heads this small, most of the time of an ordinary training step goes into bookkeeping and into
reading and writing the first layer again and again. So the forward and backward passes are
spelled out, the length of the gradient is found without forming it (from two batch-sized
matrices per layer), and AdamW runs over two flat tensors: weights, which may decay, and biases,
which do not.
"""

import math
from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from src.aesthetic.heads.mlp import MlpHead


@dataclass
class Pass:
    """What the backward pass needs to know of a forward pass.

    Attributes:
        inputs: per layer (b, inputs), after dropout.
        gates: per hidden layer (b, outputs): dropout and ReLU as one factor, or None for no effect.
        outputs: (b,) scores.
    """

    inputs: list[Tensor]
    gates: list[Tensor | None]
    outputs: Tensor


class Network:
    """Linear layers, optional ReLU, and dropout after the hidden layers.

    Args:
        sizes: features, hidden layers, 1.
        relu: rectify after each hidden layer.
        dropouts: probability per hidden layer, as many as given; the rest have none.
        generator: draws the first weights.
        device: where everything lives.
    """

    def __init__(
        self,
        sizes: Sequence[int],
        *,
        relu: bool,
        dropouts: Sequence[float],
        generator: torch.Generator,
        device: torch.device,
    ) -> None:
        self.sizes, self.relu, self.dropouts = tuple(sizes), relu, tuple(dropouts)
        n_weights = sum(inputs * outputs for inputs, outputs in pairwise(self.sizes))
        self._adopt(
            torch.empty(n_weights, device=device), torch.empty(sum(self.sizes[1:]), device=device)
        )
        self.flat_weights.grad = torch.zeros_like(self.flat_weights)
        self.flat_biases.grad = torch.zeros_like(self.flat_biases)
        self._weight_grads, self._bias_grads = self._views(
            self.flat_weights.grad, self.flat_biases.grad
        )
        for weight, bias in zip(self.weights, self.biases, strict=True):
            bound = 1 / math.sqrt(weight.shape[1])  # what torch.nn.Linear starts with
            weight.uniform_(-bound, bound, generator=generator)
            bias.uniform_(-bound, bound, generator=generator)

    def load(self, head: MlpHead) -> None:
        """Start from the weights of a head of the same sizes."""
        for mine, theirs in zip(self.weights, head.weights, strict=True):
            mine.copy_(torch.from_numpy(theirs))
        for mine, theirs in zip(self.biases, head.biases, strict=True):
            mine.copy_(torch.from_numpy(theirs))

    def copy(self) -> "Network":
        """Another network with the same weights and no gradients."""
        twin = copy(self)
        twin._adopt(self.flat_weights.clone(), self.flat_biases.clone())
        return twin

    def move_towards(self, other: "Network", share: float) -> None:
        """Go a share of the way to the weights of another network of the same sizes."""
        self.flat_weights.lerp_(other.flat_weights, share)
        self.flat_biases.lerp_(other.flat_biases, share)

    def masks(self, steps: int, batch: int, generator: torch.Generator) -> list[Tensor | None]:
        """Dropout factors (steps, batch, units) per hidden layer; None without dropout."""
        result: list[Tensor | None] = [None] * (len(self.sizes) - 2)
        for number, probability in enumerate(self.dropouts):
            if probability > 0:
                shape = (steps, batch, self.sizes[number + 1])
                mask = torch.empty(shape, device=self.flat_weights.device)
                mask.bernoulli_(1 - probability, generator=generator)
                result[number] = mask.div_(1 - probability)
        return result

    def forward(self, x: Tensor, masks: Sequence[Tensor | None] = ()) -> Pass:
        """Scores of features (b, d); `masks` (b, units) per hidden layer, or () for none."""
        inputs, gates = [x], []
        last = len(self.weights) - 1
        for number, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            x = torch.addmm(bias, x, weight.t())
            if number < last:
                gate = masks[number] if masks else None
                if self.relu:
                    active = (x > 0).to(x.dtype)
                    gate = active if gate is None else active.mul_(gate)
                if gate is not None:
                    x = x * gate
                inputs.append(x)
                gates.append(gate)
        return Pass(inputs, gates, x.squeeze(1))

    def backward(self, done: Pass, slope: Tensor, max_norm: float) -> None:
        """Set the gradients for d loss / d outputs = `slope` (b,), shortened to `max_norm`."""
        deltas = [slope.unsqueeze(1)]
        for weight, gate in zip(self.weights[:0:-1], done.gates[::-1], strict=True):
            delta = deltas[-1] @ weight
            deltas.append(delta if gate is None else delta.mul_(gate))
        deltas.reverse()
        if max_norm > 0:
            # ‖δᵀ x‖² = Σ (δ δᵀ) ∘ (x xᵀ), and the bias adds 1 to x xᵀ.
            squared = torch.stack(
                [
                    ((delta @ delta.t()) * (x @ x.t() + 1)).sum()
                    for delta, x in zip(deltas, done.inputs, strict=True)
                ]
            ).sum()
            factor = (max_norm / (squared.clamp_min(0).sqrt() + 1e-6)).clamp_max(1.0)
            deltas = [delta.mul_(factor) for delta in deltas]
        for number, (delta, x) in enumerate(zip(deltas, done.inputs, strict=True)):
            torch.mm(delta.t(), x, out=self._weight_grads[number])
            torch.sum(delta, dim=0, out=self._bias_grads[number])

    def to_head(self) -> MlpHead:
        """A copy of the present weights as a head for prediction."""
        return MlpHead(
            tuple(w.detach().cpu().numpy().astype(np.float64) for w in self.weights),
            tuple(b.detach().cpu().numpy().astype(np.float64) for b in self.biases),
            self.relu,
            self.dropouts,
        )

    def _adopt(self, weights: Tensor, biases: Tensor) -> None:
        self.flat_weights, self.flat_biases = weights, biases
        self.weights, self.biases = self._views(weights, biases)

    def _views(self, weights: Tensor, biases: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        """Per layer, the parts of two flat tensors."""
        shapes = [(outputs, inputs) for inputs, outputs in pairwise(self.sizes)]
        matrices = torch.split(weights, [outputs * inputs for outputs, inputs in shapes])
        return (
            [part.view(shape) for part, shape in zip(matrices, shapes, strict=True)],
            list(torch.split(biases, [outputs for outputs, _ in shapes])),
        )
