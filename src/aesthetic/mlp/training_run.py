"""The loop of training: networks of equal sizes, step by step, side by side."""

import math
from collections.abc import Iterator, Sequence
from itertools import groupby

import torch
from torch import Tensor

from src.aesthetic.mlp.adamw import AdamW
from src.aesthetic.mlp.batches import Batches, Loss, loss_and_slope
from src.aesthetic.mlp.network import Network
from src.aesthetic.mlp.training_options import TrainingOptions
from src.aesthetic.mlp.trainings import HistoryRow

_STEPS_AT_ONCE = 64  # steps whose dropouts are drawn together


class TrainingRun:
    """Training of the members of a network, each with its own batches and rates.

    All take the same number of steps an epoch and in total, and batches of the same size.

    Args:
        network: k members.
        images: (n, d) features of all images that any member trains on.
        scores, weights: (n,) of these.
        loss: what is learnt.
        batches: per member.
        first: per member, where in `images` its own begin.
        options: per member; those but learning rate, weight decay and seed are alike.
        ema_decay: if positive, the result is an exponential moving average of the weights.

    Attributes:
        step, total: optimizer steps done, and in all.
        histories: per member, one row per epoch: `epoch`, `step`, `loss`, `learning_rate`.
        diverged: per member, the epoch in which its loss became infinite, or None.
    """

    def __init__(
        self,
        network: Network,
        images: Tensor,
        scores: Tensor,
        weights: Tensor,
        *,
        loss: Loss,
        batches: Sequence[Batches],
        first: Sequence[int],
        options: Sequence[TrainingOptions],
        ema_decay: float,
    ) -> None:
        self.network, self.options = network, options
        self._images, self._scores, self._weights = images, scores, weights
        self._loss, self._batches, self._ema_decay = loss, batches, ema_decay
        self._first = torch.tensor(first, device=images.device)
        self._epoch_steps = batches[0].steps_per_epoch
        self.step, self.total = 0, options[0].total_steps(self._epoch_steps)
        self.histories: list[list[HistoryRow]] = [[] for _ in options]
        self.diverged: list[int | None] = [None] * len(options)
        self._average = network.copy() if ema_decay > 0 else None
        self._optimizers = list(self._grouped_by_rates())

    def network_to_keep(self) -> Network:
        """The moving average if there is one."""
        return self._average or self.network

    def epochs(self) -> Iterator[int]:
        """Train epoch by epoch; yields the number of each after it is done.

        Ends early when every member has diverged.
        """
        epoch = 0
        while self.step < self.total and None in self.diverged:
            epoch += 1
            begun = self.step
            losses = torch.zeros((self._epoch_steps, len(self.options)), device=self._images.device)
            for parts in zip(*(batches.epoch() for batches in self._batches), strict=True):
                numbers = torch.stack(parts, dim=1) + self._first[:, None]
                for start in range(0, len(numbers), _STEPS_AT_ONCE):
                    self._some_steps(numbers[start : start + _STEPS_AT_ONCE], losses, begun)
            self._record(epoch, losses[: self.step - begun].mean(0).tolist())
            yield epoch

    def _some_steps(self, numbers: Tensor, losses: Tensor, begun: int) -> None:
        """Steps on images `numbers` (steps, k, batch)."""
        network, max_norm = self.network, self.options[0].max_grad_norm
        steps, _, batch = numbers.shape
        masks = network.masks(steps, batch)
        scores, weights = self._scores[numbers], self._weights[numbers]
        for i in range(min(steps, self.total - self.step)):
            done = network.forward(
                self._images[numbers[i]], [mask if mask is None else mask[i] for mask in masks]
            )
            losses[self.step - begun], slope = loss_and_slope(
                self._loss, scores[i], weights[i], done.outputs
            )
            network.backward(done, slope, max_norm)
            for optimizer, options in self._optimizers:
                optimizer.step(options.learning_rate_at(self.step, self.total))
            self.step += 1
            if self._average:
                self._average.move_towards(network, 1 - self._ema_decay)

    def _record(self, epoch: int, losses: Sequence[float]) -> None:
        for member, (options, loss) in enumerate(zip(self.options, losses, strict=True)):
            if self.diverged[member] is not None:
                continue
            if not math.isfinite(loss):
                self.diverged[member] = epoch
                continue
            rate = options.learning_rate_at(self.step - 1, self.total)
            self.histories[member].append(
                {"epoch": epoch, "step": self.step, "loss": loss, "learning_rate": rate}
            )

    def _grouped_by_rates(self) -> Iterator[tuple[AdamW, TrainingOptions]]:
        """An optimizer for each run of neighbours with the same learning rate and decay."""
        network = self.network
        for _, run in groupby(range(len(self.options)), lambda i: rates(self.options[i])):
            members = list(run)
            options, part = self.options[members[0]], slice(members[0], members[-1] + 1)
            parameters = []
            for flat, decay in (
                (network.flat_weights, options.weight_decay),
                (network.flat_biases, 0.0),
            ):
                mine = flat[part]
                assert flat.grad is not None
                mine.grad = flat.grad[part]
                parameters.append((mine, decay))
            betas = (options.adam_beta1, options.adam_beta2)
            yield AdamW(parameters, betas=betas, epsilon=options.adam_epsilon), options


def rates(options: TrainingOptions) -> tuple[float, float]:
    """What may differ between members; sort by it, so that equals are updated in one go."""
    return options.learning_rate, options.weight_decay
