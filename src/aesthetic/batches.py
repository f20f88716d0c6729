"""Which images each training step sees, drawn for many steps at once, and how wrong a step was."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, Protocol

import torch
from torch import Tensor
from torch.nn.functional import softplus

Loss = Literal["ranking", "mse", "bce"]
LOSSES: tuple[Loss, ...] = ("ranking", "mse", "bce")
MARGIN = 1.0


class Batches(Protocol):
    """A source of batches that also knows its loss."""

    steps_per_epoch: int

    def epoch(self) -> Iterator[Tensor]:
        """Image numbers (steps, batch) of one epoch; the last part may be narrower."""

    def loss(self, images: Tensor, outputs: Tensor) -> tuple[Tensor, Tensor]:
        """Mean loss of one step's outputs (b,), and its derivative by each of them (b,)."""


@dataclass
class PairBatches:
    """Random pairs of images with different scores; margin ranking loss.

    The first half of a batch holds the left images, the second half the right ones. The partner
    of an image is drawn uniformly from all with another score, without rejection: sorted by score,
    its equals are one block, which is skipped.

    Attributes:
        scores: (n,), not all equal.
        weights: (n,); a pair counts as the product of its two.
        batch: images per step, even.
        generator: draws the pairs.
    """

    scores: Tensor
    weights: Tensor
    batch: int
    generator: torch.Generator

    def __post_init__(self) -> None:
        self.steps_per_epoch = max(1, len(self.scores) // self.batch)
        ordered, self._order = torch.sort(self.scores)
        self._start = torch.searchsorted(ordered, ordered, side="left")
        self._size = torch.searchsorted(ordered, ordered, side="right") - self._start

    def epoch(self) -> Iterator[Tensor]:
        shape, n = (self.steps_per_epoch, self.batch // 2), len(self.scores)
        device = self.scores.device
        left = torch.randint(n, shape, generator=self.generator, device=device)
        others = n - self._size[left]
        uniform = torch.rand(
            shape, generator=self.generator, device=device, dtype=_finest_float(device)
        )
        right = (uniform * others).long().clamp_max(others - 1)
        right += self._size[left] * (right >= self._start[left])
        yield self._order[torch.cat([left, right], dim=1)]

    def loss(self, images: Tensor, outputs: Tensor) -> tuple[Tensor, Tensor]:
        half = len(images) // 2
        scores, weights = self.scores[images], self.weights[images]
        sign = torch.sign(scores[:half] - scores[half:])
        share = weights[:half] * weights[half:] / half
        short = MARGIN - sign * (outputs[:half] - outputs[half:])
        pull = share * sign * (short > 0)
        return (share * short.clamp_min(0)).sum(), torch.cat([-pull, pull])


@dataclass
class ImageBatches:
    """Every image once an epoch, in random order; squared error or logistic loss.

    Attributes:
        scores: (n,); 0 … 1 for "bce".
        weights: (n,).
        batch: images per step; the last step of an epoch takes what is left.
        generator: draws the order.
        kind: "mse" or "bce".
    """

    scores: Tensor
    weights: Tensor
    batch: int
    generator: torch.Generator
    kind: Loss

    def __post_init__(self) -> None:
        self.steps_per_epoch = -(-len(self.scores) // self.batch)

    def epoch(self) -> Iterator[Tensor]:
        n = len(self.scores)
        order = torch.randperm(n, generator=self.generator, device=self.scores.device)
        full = n - n % self.batch
        if full:
            yield order[:full].view(-1, self.batch)
        if full < n:
            yield order[full:].view(1, -1)

    def loss(self, images: Tensor, outputs: Tensor) -> tuple[Tensor, Tensor]:
        scores, share = self.scores[images], self.weights[images] / len(images)
        if self.kind == "mse":
            error = outputs - scores
            return (share * error * error).sum(), 2 * share * error
        loss = (share * (softplus(outputs) - scores * outputs)).sum()
        return loss, share * (torch.sigmoid(outputs) - scores)


def _finest_float(device: torch.device) -> torch.dtype:
    return torch.float32 if device.type == "mps" else torch.float64
