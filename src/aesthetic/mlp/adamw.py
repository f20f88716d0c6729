"""AdamW (Loshchilov & Hutter 2019), its learning rate, and the length of gradients.

The functional form of `torch.optim.AdamW`: making the class imports torch's compiler, which takes
1.3 seconds of a processor (and `get_scheduler` of transformers as long again), a good part of what
a whole training of the default head takes.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.optim.adamw import adamw

from src.aesthetic.mlp.network import Network
from src.settings.mlp import PredictorTrainingArgs


class AdamW:
    """Its state; weights decay, biases do not."""

    def __init__(self, network: Network, args: PredictorTrainingArgs) -> None:
        self._args = args
        self._parts = [
            (tensors, decay, _zeros(tensors), _zeros(tensors), [t.new_zeros(()) for t in tensors])
            for tensors, decay in ((network.weights, args.weight_decay), (network.biases, 0.0))
        ]

    def step(self, gradients: Sequence[Tensor], learning_rate: float) -> None:
        """Update the parameters in place; gradients of all weights, then of all biases."""
        layers = len(gradients) // 2
        halves = (gradients[:layers], gradients[layers:])
        for (tensors, decay, *state), mine in zip(self._parts, halves, strict=True):
            means, squares, counts = state
            adamw(
                tensors,
                list(mine),
                means,
                squares,
                [],
                counts,
                foreach=False,
                fused=tensors[0].device.type in ("cpu", "cuda"),
                amsgrad=False,
                beta1=self._args.adam_beta1,
                beta2=self._args.adam_beta2,
                lr=learning_rate,
                weight_decay=decay,
                eps=self._args.adam_epsilon,
                maximize=False,
            )


def shorten(gradients: Sequence[Tensor], max_norm: float) -> None:
    """Cut the gradient of each member, the first dimension, to a length; 0 leaves it as it is."""
    if max_norm == 0:
        return
    lengths = torch.stack([torch.linalg.vector_norm(part, dim=(1, 2)) for part in gradients])
    length = torch.linalg.vector_norm(lengths, dim=0)
    factor = (max_norm / (length + 1e-6)).clamp_max_(1.0).view(-1, 1, 1)
    for part in gradients:
        part.mul_(factor)


def _zeros(tensors: Sequence[Tensor]) -> list[Tensor]:
    return [torch.zeros_like(tensor) for tensor in tensors]


def learning_rate_at(args: PredictorTrainingArgs, step: int, total: int) -> float:
    """The learning rate of a step (counted from 0) of `total`, as transformers has it."""
    warmup = args.warmup_steps or math.ceil(args.warmup_ratio * total)
    if args.lr_scheduler_type == "constant":
        return args.learning_rate
    if step < warmup:
        return args.learning_rate * step / warmup
    if args.lr_scheduler_type == "constant_with_warmup":
        return args.learning_rate
    done = (step - warmup) / max(1, total - warmup)
    left = 1 - done if args.lr_scheduler_type == "linear" else (1 + math.cos(math.pi * done)) / 2
    return args.learning_rate * max(0.0, left)
