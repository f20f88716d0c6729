"""Training of the MLP head: everything on the device, no Python per image."""

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from src.aesthetic.adamw import AdamW
from src.aesthetic.batches import Batches, ImageBatches, Loss, PairBatches
from src.aesthetic.heads.base import FloatArray
from src.aesthetic.heads.mlp import (
    PUBLISHED_DROPOUTS,
    PUBLISHED_HIDDEN,
    MlpHead,
    check_dropouts,
)
from src.aesthetic.heads.scaling import Scaler, training_data
from src.aesthetic.network import Network
from src.aesthetic.training_options import TrainingOptions
from src.errors import ModelError, SettingsError

HistoryRow = dict[str, float]
_STEPS_AT_ONCE = 64  # steps whose dropouts are drawn together
_COLLAPSED = 0.01  # spread of the scores, where 1 is usual
_log = logging.getLogger(__name__)


class Diverged(SettingsError):
    """The loss became infinite: the learning rate is too high for this data."""


@dataclass(frozen=True)
class MlpShape:
    """What network to train.

    Attributes:
        hidden: sizes of the hidden layers; () for a linear model.
        dropouts: after the first hidden layers, while training.
        relu: rectify after hidden layers; the published heads do not.
        standardise: bring features to mean 0 and deviation 1 first (folded into the first layer).
    """

    hidden: tuple[int, ...] = PUBLISHED_HIDDEN
    dropouts: tuple[float, ...] = PUBLISHED_DROPOUTS
    relu: bool = False
    standardise: bool = False


@dataclass(frozen=True)
class TrainingResult:
    """What came of it.

    Attributes:
        head: the trained head.
        history: one row per epoch: `epoch`, `step`, `loss` (mean over the epoch),
            `learning_rate`, and on evaluated epochs what the evaluation returned.
        steps: optimizer steps done.
        seconds: that they took, evaluations included.
        interrupted: stopped by Ctrl-C; the head is the one reached by then.
        problem: None, or a sentence for the user about what went wrong (collapse).
    """

    head: MlpHead
    history: list[HistoryRow] = field(default_factory=list)
    steps: int = 0
    seconds: float = 0.0
    interrupted: bool = False
    problem: str | None = None


def train_mlp(
    features: ArrayLike,
    scores: ArrayLike,
    options: TrainingOptions,
    *,
    loss: Loss = "ranking",
    shape: MlpShape | None = None,
    start: MlpHead | None = None,
    weights: ArrayLike | None = None,
    device: str = "cpu",
    ema_decay: float = 0.0,
    evaluate: Callable[[MlpHead], HistoryRow] | None = None,
    eval_every_n_epochs: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> TrainingResult:
    """Train an MLP head from scratch, or go on from `start`.

    Args:
        features: (n, d).
        scores: (n,); for "bce" from 0 to 1.
        options: epochs, learning rate and so on.
        loss: "ranking" compares pairs (margin ranking loss on random pairs of different scores,
            n // batch steps an epoch); "mse" reproduces the scores; "bce" is logistic.
        shape: the network; by default the published one. With `start`, only its dropouts count.
        start: a head to go on from.
        weights: (n,) how much each image counts.
        device: "cpu", "cuda" or "mps".
        ema_decay: if positive, the result is an exponential moving average of the weights.
        evaluate: called with the head every `eval_every_n_epochs` and at the end; what it returns
            joins the history.
        eval_every_n_epochs: 0 for only at the end.
        progress: called after each epoch with the steps done and the steps in total.

    Raises:
        SettingsError: an odd batch with "ranking", or scores that the loss cannot take.
        Diverged: the loss became infinite.
        ModelError: nothing can be learnt from these scores, or `start` is for other features.
    """
    x, y, w = training_data(features, scores, weights)
    check_batch(loss, options)
    _check_scores(loss, y)
    shape = shape or MlpShape()
    if start is not None:
        start.check(x[:1])
        shape = MlpShape(start.hidden, shape.dropouts, start.relu)
    scaler = Scaler.fit(x) if shape.standardise else None
    place = torch.device(device)
    generator = torch.Generator(place).manual_seed(options.seed)
    with torch.no_grad(), _one_thread(place):
        network = Network(
            (x.shape[1], *shape.hidden, 1),
            relu=shape.relu,
            dropouts=check_dropouts(shape.dropouts, shape.hidden),
            generator=generator,
            device=place,
        )
        if start is not None:
            network.load(start)
        images = _tensor(scaler(x) if scaler else x, place)
        batches = _batches(loss, _tensor(y, place), _tensor(w, place), options, generator)
        run = _Run(network, images, batches, options, generator, ema_decay)

        def head() -> MlpHead:
            trained = run.network_to_keep().to_head()
            return _folded(trained, scaler) if scaler else trained

        started = time.perf_counter()
        interrupted = False
        try:
            for row in run.epochs():
                if progress:
                    progress(run.step, run.total)
                last = run.step == run.total
                due = eval_every_n_epochs > 0 and row["epoch"] % eval_every_n_epochs == 0
                if evaluate and (due or last):
                    row.update(evaluate(head()))
        except KeyboardInterrupt:
            interrupted = True
        result = head()
        spread = float(result.predict(x).std())
    problem = _collapse(spread, loss, y, options)
    if problem:
        _log.warning(problem)
    seconds = time.perf_counter() - started
    return TrainingResult(result, run.history, run.step, seconds, interrupted, problem)


class _Run:
    """One training: the loop and its state."""

    def __init__(
        self,
        network: Network,
        images: Tensor,
        batches: Batches,
        options: TrainingOptions,
        generator: torch.Generator,
        ema_decay: float,
    ) -> None:
        self.network, self.images, self.batches = network, images, batches
        self.options, self.generator, self.ema_decay = options, generator, ema_decay
        self.total = options.total_steps(batches.steps_per_epoch)
        self.step = 0
        self.history: list[HistoryRow] = []
        self._average = network.copy() if ema_decay > 0 else None
        self._optimizer = AdamW(
            [(network.flat_weights, options.weight_decay), (network.flat_biases, 0.0)],
            betas=(options.adam_beta1, options.adam_beta2),
            epsilon=options.adam_epsilon,
        )

    def network_to_keep(self) -> Network:
        """The moving average if there is one."""
        return self._average or self.network

    def epochs(self) -> Iterator[HistoryRow]:
        """Train epoch by epoch; yields the history row of each after it is done."""
        epoch = 0
        while self.step < self.total:
            epoch += 1
            losses = torch.zeros(self.batches.steps_per_epoch, device=self.images.device)
            begun = self.step
            for numbers in self.batches.epoch():
                for start in range(0, len(numbers), _STEPS_AT_ONCE):
                    self._some_steps(numbers[start : start + _STEPS_AT_ONCE], losses, begun)
            row = {
                "epoch": epoch,
                "step": self.step,
                "loss": float(losses[: self.step - begun].mean()),
                "learning_rate": self.options.learning_rate_at(self.step - 1, self.total),
            }
            if not np.isfinite(row["loss"]):
                raise Diverged(
                    f"training diverged in epoch {epoch}: the loss is no longer a number; lower "
                    f"learning_rate (now {self.options.learning_rate:g}) or raise warmup_ratio"
                )
            self.history.append(row)
            yield row

    def _some_steps(self, numbers: Tensor, losses: Tensor, begun: int) -> None:
        network, options = self.network, self.options
        steps, batch = numbers.shape
        masks = network.masks(steps, batch, self.generator)
        for i in range(min(steps, self.total - self.step)):
            mine = numbers[i]
            done = network.forward(
                self.images[mine], [mask if mask is None else mask[i] for mask in masks]
            )
            losses[self.step - begun], slope = self.batches.loss(mine, done.outputs)
            network.backward(done, slope, options.max_grad_norm)
            self._optimizer.step(options.learning_rate_at(self.step, self.total))
            self.step += 1
            if self._average:
                self._average.move_towards(network, 1 - self.ema_decay)


def check_batch(loss: Loss, options: TrainingOptions) -> None:
    """Make sure that the batch suits the loss.

    Raises:
        SettingsError: an odd batch with "ranking".
    """
    if loss == "ranking" and options.per_device_train_batch_size % 2:
        raise SettingsError(
            "per_device_train_batch_size must be even with loss_model 'ranking', because images "
            f"are compared in pairs; it is {options.per_device_train_batch_size}"
        )


def _check_scores(loss: Loss, scores: FloatArray) -> None:
    if loss == "bce" and (scores.min() < 0 or scores.max() > 1):
        raise SettingsError(
            "loss_model 'bce' needs scores from 0 to 1, but they reach from "
            f"{scores.min():g} to {scores.max():g}: use 'ranking' or 'mse'"
        )


def _batches(
    loss: Loss,
    scores: Tensor,
    weights: Tensor,
    options: TrainingOptions,
    generator: torch.Generator,
) -> Batches:
    batch = options.per_device_train_batch_size
    if loss == "ranking":
        if bool((scores == scores[0]).all()):  # equal once rounded to single precision
            raise ModelError("all scores are equal: there is no order to learn")
        return PairBatches(scores, weights, batch, generator)
    return ImageBatches(scores, weights, batch, generator, loss)


def _collapse(
    spread: float, loss: Loss, scores: FloatArray, options: TrainingOptions
) -> str | None:
    usual = float(scores.std()) if loss == "mse" else 1.0
    if spread >= _COLLAPSED * usual:
        return None
    return (
        f"the model gives every image nearly the same score (spread {spread:.2g}, where "
        f"{usual:.2g} is usual): lower learning_rate (now {options.learning_rate:g}) or raise "
        "warmup_ratio; if the learning rate is already low, train for more epochs"
    )


def _folded(head: MlpHead, scaler: Scaler) -> MlpHead:
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
