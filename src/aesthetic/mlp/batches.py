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
    """A source of batches."""

    steps_per_epoch: int

    def epoch(self) -> Iterator[Tensor]:
        """Image numbers (steps, batch) of one epoch; the last part may be narrower."""


@dataclass
class PairBatches:
    """Random pairs of images with different scores, for the margin ranking loss.

    The first half of a batch holds the left images, the second half the right ones. The partner
    of an image is drawn uniformly from all with another score, without rejection: sorted by score,
    its equals are one block, which is skipped.

    Attributes:
        scores: (n,), not all equal.
        batch: images per step, even.
        generator: draws the pairs.
    """

    scores: Tensor
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


@dataclass
class ImageBatches:
    """Every image once an epoch, in random order.

    Attributes:
        n: images.
        batch: images per step; the last step of an epoch takes what is left.
        generator: draws the order.
    """

    n: int
    batch: int
    generator: torch.Generator

    def __post_init__(self) -> None:
        self.steps_per_epoch = -(-self.n // self.batch)

    def epoch(self) -> Iterator[Tensor]:
        order = torch.randperm(self.n, generator=self.generator, device=self.generator.device)
        full = self.n - self.n % self.batch
        if full:
            yield order[:full].view(-1, self.batch)
        if full < self.n:
            yield order[full:].view(1, -1)


def loss_and_slope(
    kind: Loss, scores: Tensor, weights: Tensor, outputs: Tensor
) -> tuple[Tensor, Tensor]:
    """Mean loss of each batch, and its derivative by each output.

    Args:
        kind: "ranking" (margin ranking loss of the pairs of `PairBatches`), "mse", or "bce"
            (logistic).
        scores: (..., b) of the images; 0 … 1 for "bce".
        weights: (..., b); a pair counts as the product of its two.
        outputs: (..., b) of the network.

    Returns:
        Losses (...), and slopes (..., b).
    """
    if kind == "ranking":
        (left, right), (given_left, given_right) = outputs.chunk(2, -1), scores.chunk(2, -1)
        weight_left, weight_right = weights.chunk(2, -1)
        sign = torch.sign(given_left - given_right)
        share = weight_left * weight_right / left.shape[-1]
        short = MARGIN - sign * (left - right)
        pull = share * sign * (short > 0)
        return (share * short.clamp_min(0)).sum(-1), torch.cat([-pull, pull], dim=-1)
    share = weights / outputs.shape[-1]
    if kind == "mse":
        error = outputs - scores
        return (share * error * error).sum(-1), 2 * share * error
    loss = (share * (softplus(outputs) - scores * outputs)).sum(-1)
    return loss, share * (torch.sigmoid(outputs) - scores)


def _finest_float(device: torch.device) -> torch.dtype:
    return torch.float32 if device.type == "mps" else torch.float64
