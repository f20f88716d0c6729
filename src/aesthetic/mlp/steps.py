"""What a training step needs: its images, how wrong it was, its rate, and AdamW.

AdamW (Loshchilov & Hutter 2019) is the functional form of `torch.optim.AdamW`: making the class
imports torch's compiler, which takes 1.3 seconds of a processor (and `get_scheduler` of
transformers as long again), a good part of what a whole training of the default head takes.
"""

import math
from collections.abc import Iterator, Sequence
from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import softplus
from torch.optim.adamw import adamw

from src.aesthetic.mlp.network import Network
from src.errors import ModelError
from src.settings.mlp import PredictorTrainingArgs

Loss = Literal["ranking", "mse", "bce"]
MARGIN = 1.0


def pair_batches(
    scores: Tensor, steps: int, batch: int, generator: torch.Generator
) -> Iterator[list[Tensor]]:
    """Random pairs of images with different scores: image numbers (steps, batch) of each epoch.

    The first half of a batch holds the left images, the second half the right ones. The partner
    of an image is drawn uniformly from all with another score, without rejection: sorted by score,
    its equals are one block, which is skipped.
    """
    ordered, order = torch.sort(scores)
    if bool(ordered[0] == ordered[-1]):  # equal once rounded to single precision
        raise ModelError("all scores are equal: there is no order to learn")
    start = torch.searchsorted(ordered, ordered, side="left")
    size = torch.searchsorted(ordered, ordered, side="right") - start
    shape, n, device = (steps, batch // 2), len(scores), scores.device
    finest = torch.float32 if device.type == "mps" else torch.float64
    while True:
        left = torch.randint(n, shape, generator=generator, device=device)
        others = n - size[left]
        uniform = torch.rand(shape, generator=generator, device=device, dtype=finest)
        right = (uniform * others).long().clamp_max(others - 1)
        right += size[left] * (right >= start[left])
        yield [order[torch.cat([left, right], dim=1)]]


def image_batches(
    n: int, length: int, batch: int, generator: torch.Generator
) -> Iterator[list[Tensor]]:
    """Every image once an epoch, in random order; with `length` above n, some twice.

    Of each epoch image numbers (steps, batch), and (1, the rest) where some are left.
    """
    device, full = generator.device, length - length % batch
    while True:
        order = torch.randperm(n, generator=generator, device=device)
        order = order[torch.arange(length, device=device) % n]
        parts = [order[:full].view(-1, batch), order[full:].view(1, -1)]
        yield [part for part in parts if part.numel()]


def steps_per_epoch(loss: Loss, images: int, batch: int) -> int:
    """Pairs use every image once on average; other losses exactly once."""
    return max(1, images // batch) if loss == "ranking" else -(-images // batch)


def batch_loss(kind: Loss, scores: Tensor, weights: Tensor, outputs: Tensor) -> Tensor:
    """Mean loss (...) of each batch; everything else has the shape (..., b).

    With "ranking" the first half of a batch is compared with the second, as in `pair_batches`, and
    a pair weighs the product of its two. With "bce" scores are from 0 to 1.
    """
    if kind == "ranking":
        (left, right), (given_left, given_right) = outputs.chunk(2, -1), scores.chunk(2, -1)
        weight_left, weight_right = weights.chunk(2, -1)
        short = torch.relu(MARGIN - torch.sign(given_left - given_right) * (left - right))
        return (weight_left * weight_right * short).mean(-1)
    if kind == "mse":
        return (weights * (outputs - scores) ** 2).mean(-1)
    return (weights * (softplus(outputs) - scores * outputs)).mean(-1)


class AdamW:
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
