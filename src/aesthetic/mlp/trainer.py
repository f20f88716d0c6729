"""Training of mlp heads with the same settings: on the device, several side by side."""

import logging
import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NamedTuple, Self

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from src.aesthetic.heads.base import FloatArray
from src.aesthetic.heads.mlp import MlpHead
from src.aesthetic.heads.scaling import Scaler, training_data
from src.aesthetic.mlp.adamw import AdamW, learning_rate_at, shorten
from src.aesthetic.mlp.batches import ImageBatches, PairBatches, batch_loss, steps_per_epoch
from src.aesthetic.mlp.network import Network
from src.devices import choose_device
from src.errors import SettingsError
from src.settings.mlp import Mlp

HistoryRow = dict[str, float]
_COLLAPSED = 0.01  # spread of the scores, where 1 is usual
_STEPS_AT_ONCE = 64  # steps whose dropouts are drawn together
_log = logging.getLogger(__name__)


class TrainingSet(NamedTuple):
    """What is trained on: features (n, d), scores (n,), and how much each image counts (n,)."""

    features: FloatArray
    scores: FloatArray
    weights: FloatArray

    @classmethod
    def of(cls, features: ArrayLike, scores: ArrayLike, weights: ArrayLike | None = None) -> Self:
        """Checked; without weights all count alike.

        Raises:
            ModelError: nothing can be learnt from these.
        """
        return cls(*training_data(features, scores, weights))

    def only(self, rows: np.ndarray) -> "TrainingSet":
        """Some of the images."""
        return TrainingSet.of(self.features[rows], self.scores[rows], self.weights[rows])


@dataclass(frozen=True)
class TrainedMlp:
    """What came of it.

    Attributes:
        head: the trained head.
        history: one row per epoch: `epoch`, `step`, `loss` (mean over the epoch),
            `learning_rate`, and on evaluated epochs what the evaluation returned.
        steps: optimizer steps done.
        seconds: that they took, evaluations included.
        interrupted: stopped by Ctrl-C; the head is the one reached by then.
        diverged: None, or a sentence for the user: the loss became infinite.
        problem: None, or a sentence for the user: the head gives every image the same score.
    """

    head: MlpHead
    history: list[HistoryRow]
    steps: int
    seconds: float
    interrupted: bool
    diverged: str | None
    problem: str | None


def train_mlp(
    data: TrainingSet,
    mlp: Mlp,
    *,
    start: MlpHead | None = None,
    evaluate: Callable[[list[MlpHead], int], HistoryRow] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> TrainedMlp:
    """Train one head; see `train_mlps`.

    Raises:
        SettingsError: training diverged, or scores that the loss cannot take.
        ModelError: nothing can be learnt from these scores, or `start` is for other features.
    """
    (trained,) = train_mlps([data], mlp, start=start, evaluate=evaluate, progress=progress)
    if trained.diverged:
        raise SettingsError(trained.diverged)
    if trained.problem:
        _log.warning(trained.problem)
    return trained


def train_mlps(
    sets: Sequence[TrainingSet],
    mlp: Mlp,
    *,
    seeds: Sequence[int] | None = None,
    start: MlpHead | None = None,
    evaluate: Callable[[list[MlpHead], int], HistoryRow] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> list[TrainedMlp]:
    """Train one head on each set, side by side.

    All take the same number of steps: where sets differ in size, that of the largest.

    Args:
        sets: all with the same number of features.
        mlp: the network and its training.
        seeds: one for each; None for that of the settings.
        start: a head to go on from, whose layers are taken; None for new networks.
        evaluate: called with all heads and the epoch every `eval_every_n_epochs` and at the end;
            what it returns joins each history.
        progress: called after each epoch with the steps done and the steps in total.

    Raises:
        SettingsError: scores that the loss cannot take.
        ModelError: nothing can be learnt from these scores, or `start` is for other features.
    """
    for data in sets:
        _check(data, mlp, start)
    begun, interrupted = time.perf_counter(), False
    seeds = seeds or [mlp.training_args.seed] * len(sets)
    place = choose_device(mlp.device)
    with torch.no_grad(), _one_thread(place):
        run = _Run(sets, mlp, seeds, start, place)
        every = mlp.eval_every_n_epochs
        try:
            for epoch in run.epochs():
                if progress:
                    progress(run.step, run.total)
                if evaluate and (run.step == run.total or (every and epoch % every == 0)):
                    run.extend_history(epoch, evaluate(run.heads(), epoch))
        except KeyboardInterrupt:
            interrupted = True
        heads = run.heads()
    seconds = time.perf_counter() - begun
    return [
        TrainedMlp(
            head,
            history,
            run.step,
            seconds,
            interrupted,
            _divergence(epoch, mlp) if epoch else None,
            None if epoch else _collapse(data, mlp, head),
        )
        for data, head, history, epoch in zip(sets, heads, run.history, run.diverged, strict=True)
    ]


class _Run:
    """The members of a network on the device, each with its own images and batches.

    Attributes:
        step, total: optimizer steps done, and in all.
        history: per member, one row per epoch.
        diverged: per member, the epoch in which its loss became infinite, or None.
    """

    def __init__(
        self,
        sets: Sequence[TrainingSet],
        mlp: Mlp,
        seeds: Sequence[int],
        start: MlpHead | None,
        place: torch.device,
    ) -> None:
        self._mlp, args = mlp, mlp.training_args
        generators = [torch.Generator(place).manual_seed(seed) for seed in seeds]
        hidden = start.hidden if start else mlp.aesthetic_model_hidden
        self._network = Network(
            (sets[0].features.shape[1], *hidden, 1),
            relu=start.relu if start else mlp.aesthetic_model_relu,
            dropouts=mlp.aesthetic_model_dropouts[: len(hidden)],
            generators=generators,
            start=start,
        )
        self._optimizer = AdamW(self._network, args)
        standardise = mlp.aesthetic_model_standardise and start is None
        self._scalers = [Scaler.fit(data.features) if standardise else None for data in sets]
        self._images = torch.cat(
            [
                _tensor(scaler(data.features) if scaler else data.features, place)
                for data, scaler in zip(sets, self._scalers, strict=True)
            ]
        )
        scores = [_tensor(data.scores, place) for data in sets]
        self._scores = torch.cat(scores)
        self._weights = torch.cat([_tensor(data.weights, place) for data in sets])
        sizes = [len(data.scores) for data in sets]
        self._first = torch.tensor(np.cumsum([0, *sizes[:-1]]), device=place)[:, None]
        batch, longest = args.per_device_train_batch_size, max(sizes)
        self._epoch_steps = steps_per_epoch(mlp.loss_model, longest, batch)
        self._batches: list[PairBatches | ImageBatches] = [
            PairBatches(mine, self._epoch_steps, batch, generator)
            if mlp.loss_model == "ranking"
            else ImageBatches(len(mine), longest, batch, generator)
            for mine, generator in zip(scores, generators, strict=True)
        ]
        self.step, self.total = 0, total_steps(mlp, longest)
        self.history: list[list[HistoryRow]] = [[] for _ in sets]
        self.diverged: list[int | None] = [None] * len(sets)

    def epochs(self) -> Iterator[int]:
        """Train epoch by epoch; yields the number of each after it is done.

        Ends early when every member has diverged.
        """
        epoch = 0
        while self.step < self.total and None in self.diverged:
            epoch += 1
            losses: list[Tensor] = []
            for parts in zip(*(batches.epoch() for batches in self._batches), strict=True):
                numbers = torch.stack(parts, dim=1) + self._first
                for start in range(0, len(numbers), _STEPS_AT_ONCE):
                    losses += self._some_steps(numbers[start : start + _STEPS_AT_ONCE])
            self._record(epoch, torch.stack(losses).mean(0).tolist())
            yield epoch

    def _some_steps(self, numbers: Tensor) -> Iterator[Tensor]:
        """Steps on images `numbers` (steps, k, batch); yields the losses (k,) of each."""
        network, args = self._network, self._mlp.training_args
        steps, _, batch = numbers.shape
        masks = network.masks(steps, batch)
        scores, weights = self._scores[numbers], self._weights[numbers]
        for i in range(min(steps, self.total - self.step)):
            mine = [mask if mask is None else mask[i] for mask in masks]
            with torch.enable_grad():
                outputs = network.forward(self._images[numbers[i]], mine)
                loss = batch_loss(self._mlp.loss_model, scores[i], weights[i], outputs)
                gradients = torch.autograd.grad(loss.sum(), [*network.weights, *network.biases])
            shorten(gradients, args.max_grad_norm)
            self._optimizer.step(gradients, learning_rate_at(args, self.step, self.total))
            self.step += 1
            yield loss.detach()

    def _record(self, epoch: int, losses: Sequence[float]) -> None:
        rate = learning_rate_at(self._mlp.training_args, self.step - 1, self.total)
        for member, loss in enumerate(losses):
            if self.diverged[member] is None and not math.isfinite(loss):
                self.diverged[member] = epoch
            if self.diverged[member] is None:
                self.history[member].append(
                    {"epoch": epoch, "step": self.step, "loss": loss, "learning_rate": rate}
                )

    def extend_history(self, epoch: int, measured: HistoryRow) -> None:
        """Add what was measured to this epoch's rows."""
        for history in self.history:
            if history and history[-1]["epoch"] == epoch:
                history[-1].update(measured)

    def heads(self) -> list[MlpHead]:
        """The members as they are now, for features as they come."""
        return [
            _unscaled(head, scaler) if scaler else head
            for head, scaler in zip(self._network.to_heads(), self._scalers, strict=True)
        ]


def total_steps(mlp: Mlp, images: int) -> int:
    """Optimizer steps of a whole training."""
    args = mlp.training_args
    if args.max_steps > 0:
        return args.max_steps
    steps = steps_per_epoch(mlp.loss_model, images, args.per_device_train_batch_size)
    return max(1, math.ceil(args.num_train_epochs * steps))


def _check(data: TrainingSet, mlp: Mlp, start: MlpHead | None) -> None:
    low, high = data.scores.min(), data.scores.max()
    if mlp.loss_model == "bce" and (low < 0 or high > 1):
        raise SettingsError(
            f"loss_model 'bce' needs scores from 0 to 1, but they reach from {low:g} to {high:g}: "
            "use 'ranking' or 'mse'"
        )
    if start is not None:
        start.check(data.features[:1])


def _divergence(epoch: int, mlp: Mlp) -> str:
    return (
        f"training diverged in epoch {epoch}: the loss is no longer a number; lower "
        f"learning_rate (now {mlp.training_args.learning_rate:g}) or raise warmup_ratio"
    )


def _collapse(data: TrainingSet, mlp: Mlp, head: MlpHead) -> str | None:
    spread = float(head.predict(data.features).std())
    usual = float(data.scores.std()) if mlp.loss_model == "mse" else 1.0
    if spread >= _COLLAPSED * usual:
        return None
    return (
        f"the model gives every image nearly the same score (spread {spread:.2g}, where "
        f"{usual:.2g} is usual): lower learning_rate (now {mlp.training_args.learning_rate:g}) or "
        "raise warmup_ratio; if the learning rate is already low, train for more epochs"
    )


def _unscaled(head: MlpHead, scaler: Scaler) -> MlpHead:
    """The head for features as they come, where `head` was trained on scaled ones."""
    first = head.weights[0] * scaler.factor
    bias = head.biases[0] - first @ scaler.mean
    return MlpHead((first, *head.weights[1:]), (bias, *head.biases[1:]), head.relu, head.dropouts)


def _tensor(values: FloatArray, device: torch.device) -> Tensor:
    return torch.from_numpy(values.astype(np.float32)).to(device)


@contextmanager
def _one_thread(device: torch.device) -> Iterator[None]:
    """Steps this small are slower when cores have to wait for each other."""
    before = torch.get_num_threads()
    if device.type == "cpu":
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
