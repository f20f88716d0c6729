"""Which images each training step sees, drawn for many steps at once, and how wrong a step was."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import softplus

from src.errors import ModelError

Loss = Literal["ranking", "mse", "bce"]
MARGIN = 1.0


@dataclass
class PairBatches:
    """Random pairs of images with different scores, for the margin ranking loss.

    The first half of a batch holds the left images, the second half the right ones. The partner
    of an image is drawn uniformly from all with another score, without rejection: sorted by score,
    its equals are one block, which is skipped.
    """

    scores: Tensor  # (n,)
    steps: int  # of an epoch
    batch: int  # images in a step, even
    generator: torch.Generator

    def __post_init__(self) -> None:
        ordered, self._order = torch.sort(self.scores)
        if bool(ordered[0] == ordered[-1]):  # equal once rounded to single precision
            raise ModelError("all scores are equal: there is no order to learn")
        self._start = torch.searchsorted(ordered, ordered, side="left")
        self._size = torch.searchsorted(ordered, ordered, side="right") - self._start

    def epoch(self) -> Iterator[Tensor]:
        """Image numbers (steps, batch) of one epoch."""
        shape, n = (self.steps, self.batch // 2), len(self.scores)
        device = self.scores.device
        left = torch.randint(n, shape, generator=self.generator, device=device)
        others = n - self._size[left]
        finest = torch.float32 if device.type == "mps" else torch.float64
        uniform = torch.rand(shape, generator=self.generator, device=device, dtype=finest)
        right = (uniform * others).long().clamp_max(others - 1)
        right += self._size[left] * (right >= self._start[left])
        yield self._order[torch.cat([left, right], dim=1)]


@dataclass
class ImageBatches:
    """Every image once an epoch, in random order; with `length` above n, some twice."""

    n: int
    length: int  # images of an epoch, at least n
    batch: int  # images in a step; the last step of an epoch takes what is left
    generator: torch.Generator

    def epoch(self) -> Iterator[Tensor]:
        """Image numbers (steps, batch) of one epoch; the last part may be narrower."""
        device = self.generator.device
        order = torch.randperm(self.n, generator=self.generator, device=device)
        order = order[torch.arange(self.length, device=device) % self.n]
        full = self.length - self.length % self.batch
        if full:
            yield order[:full].view(-1, self.batch)
        if full < self.length:
            yield order[full:].view(1, -1)


def steps_per_epoch(loss: Loss, images: int, batch: int) -> int:
    """Pairs use every image once on average; other losses exactly once."""
    return max(1, images // batch) if loss == "ranking" else -(-images // batch)


def batch_loss(kind: Loss, scores: Tensor, weights: Tensor, outputs: Tensor) -> Tensor:
    """Mean loss (...) of each batch; everything else has the shape (..., b).

    With "ranking" the first half of a batch is compared with the second, as in `PairBatches`, and
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
