"""AdamW (Loshchilov & Hutter 2019) on the two tensors of a network.

The functional form of `torch.optim.AdamW`: making the class imports torch's compiler, and with
transformers' `get_scheduler` that takes 2.7 seconds of a processor (measured), where a whole
training of the default head takes about as long.
"""

import math

import torch
from torch.optim.adamw import adamw

from src.aesthetic.mlp.network import Network
from src.settings.mlp import PredictorTrainingArgs


class AdamW:
    """Its state; weights decay, biases do not."""

    def __init__(self, network: Network, args: PredictorTrainingArgs) -> None:
        self._args = args
        self._parts = [
            (
                tensor,
                decay,
                torch.zeros_like(tensor),
                torch.zeros_like(tensor),
                torch.zeros((), device=tensor.device),
            )
            for tensor, decay in (
                (network.flat_weights, args.weight_decay),
                (network.flat_biases, 0.0),
            )
        ]

    def step(self, learning_rate: float) -> None:
        """Update the parameters in place from their gradients."""
        for tensor, decay, mean, square, count in self._parts:
            assert tensor.grad is not None
            adamw(
                [tensor],
                [tensor.grad],
                [mean],
                [square],
                [],
                [count],
                foreach=False,
                fused=tensor.device.type in ("cpu", "cuda"),
                amsgrad=False,
                beta1=self._args.adam_beta1,
                beta2=self._args.adam_beta2,
                lr=learning_rate,
                weight_decay=decay,
                eps=self._args.adam_epsilon,
                maximize=False,
            )


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
