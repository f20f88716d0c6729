"""Which images each training step sees, drawn for many steps at once, and how wrong a step was."""

from collections.abc import Iterator
from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import softplus

from src.errors import ModelError

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
