"""Training of MLP heads: everything on the device, no Python per image, several at a time."""

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from src.aesthetic.heads.base import FloatArray
from src.aesthetic.heads.mlp import MlpHead
from src.aesthetic.heads.scaling import Scaler
from src.aesthetic.mlp.batches import Batches, ImageBatches, Loss, PairBatches
from src.aesthetic.mlp.network import Network
from src.aesthetic.mlp.training_options import TrainingOptions
from src.aesthetic.mlp.training_run import TrainingRun
from src.aesthetic.mlp.trainings import (
    Diverged,
    HistoryRow,
    Images,
    MlpShape,
    Training,
    TrainingResult,
)
from src.errors import ModelError

__all__ = ["Diverged", "MlpShape", "TrainingResult", "train_mlp", "train_mlps"]

_COLLAPSED = 0.01  # spread of the scores, where 1 is usual
_log = logging.getLogger(__name__)


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
    """Train one MLP head from scratch, or go on from `start`.

    Args:
        features, scores, weights: see `Images`.
        options, loss, shape, start: see `Training`.
        device, ema_decay, eval_every_n_epochs, progress: see `train_mlps`.
        evaluate: called with the head; what it returns joins the history.

    Raises:
        SettingsError: an odd batch with "ranking", or scores that the loss cannot take.
        Diverged: the loss became infinite.
        ModelError: nothing can be learnt from these scores, or `start` is for other features.
    """
    training = Training(
        Images.of(features, scores, weights), options, loss, shape or MlpShape(), start
    )
    (result,) = train_mlps(
        [training],
        device=device,
        ema_decay=ema_decay,
        evaluate=(lambda heads: evaluate(heads[0])) if evaluate else None,
        eval_every_n_epochs=eval_every_n_epochs,
        progress=progress,
    )
    if isinstance(result, Diverged):
        raise result
    if result.problem:
        _log.warning(result.problem)
    return result


def train_mlps(
    trainings: Sequence[Training],
    *,
    device: str = "cpu",
    ema_decay: float = 0.0,
    evaluate: Callable[[list[MlpHead]], HistoryRow] | None = None,
    eval_every_n_epochs: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> list[TrainingResult | Diverged]:
    """Train several heads of the same kind side by side; each becomes what it would alone.

    Args:
        trainings: all of one `Training.kind`.
        device: "cpu", "cuda" or "mps".
        ema_decay: if positive, the results are exponential moving averages of the weights.
        evaluate: called with all heads every `eval_every_n_epochs` and at the end; what it
            returns joins each history.
        eval_every_n_epochs: 0 for only at the end.
        progress: called after each epoch with the steps done and the steps in total.

    Returns:
        In the order given; `Diverged` in place of a result where the loss became infinite.

    Raises:
        ModelError: nothing can be learnt from these scores.
    """
    if len({training.kind for training in trainings}) != 1:
        raise ValueError("only trainings of the same kind can be trained together")
    place = torch.device(device)
    started = time.perf_counter()
    interrupted = False
    with torch.no_grad(), _one_thread(place):
        scalers, run = _prepare(trainings, place, ema_decay)

        def heads() -> list[MlpHead]:
            trained = run.network_to_keep().to_heads()
            return [
                _folded(head, scaler) if scaler else head
                for head, scaler in zip(trained, scalers, strict=True)
            ]

        try:
            for epoch in run.epochs():
                if progress:
                    progress(run.step, run.total)
                last = run.step == run.total
                due = eval_every_n_epochs > 0 and epoch % eval_every_n_epochs == 0
                if evaluate and (due or last):
                    measured = evaluate(heads())
                    for history in run.histories:
                        if history and history[-1]["epoch"] == epoch:
                            history[-1].update(measured)
        except KeyboardInterrupt:
            interrupted = True
        trained = heads()
    seconds = time.perf_counter() - started
    results: list[TrainingResult | Diverged] = []
    for training, head, history, lost in zip(
        trainings, trained, run.histories, run.diverged, strict=True
    ):
        if lost is not None:
            results.append(Diverged(_divergence(lost, training.options)))
            continue
        problem = _collapse(training, head)
        results.append(TrainingResult(head, history, run.step, seconds, interrupted, problem))
    return results


def _prepare(
    trainings: Sequence[Training], place: torch.device, ema_decay: float
) -> tuple[list[Scaler | None], TrainingRun]:
    """Everything on the device; images that several trainings share are there once."""
    generators = [
        torch.Generator(place).manual_seed(training.options.seed) for training in trainings
    ]
    example = trainings[0]
    network = Network(
        example.sizes,
        relu=example.network.relu,
        dropouts=[training.network.dropouts for training in trainings],
        generators=generators,
        device=place,
    )
    tables: dict[tuple[int, bool], tuple[int, Scaler | None]] = {}
    parts: list[tuple[Tensor, Tensor, Tensor]] = []
    first: list[int] = []
    scalers: list[Scaler | None] = []
    batches: list[Batches] = []
    filled = 0
    for member, training in enumerate(trainings):
        if training.start is not None:
            network.load(member, training.start)
        features, scores, weights = training.images
        table = (id(training.images), training.network.standardise)
        if table not in tables:
            scaler = Scaler.fit(features) if training.network.standardise else None
            tables[table] = (filled, scaler)
            scaled = scaler(features) if scaler else features
            parts.append((_tensor(scaled, place), _tensor(scores, place), _tensor(weights, place)))
            filled += len(scores)
        first.append(tables[table][0])
        scalers.append(tables[table][1])
        batches.append(
            _batches(training.loss, _tensor(scores, place), training.options, generators[member])
        )
    images, scores_, weights_ = (
        column[0] if len(column) == 1 else torch.cat(column) for column in zip(*parts, strict=True)
    )
    return scalers, TrainingRun(
        network,
        images,
        scores_,
        weights_,
        loss=example.loss,
        batches=batches,
        first=first,
        options=[training.options for training in trainings],
        ema_decay=ema_decay,
    )


def _batches(
    loss: Loss, scores: Tensor, options: TrainingOptions, generator: torch.Generator
) -> Batches:
    batch = options.per_device_train_batch_size
    if loss == "ranking":
        if bool((scores == scores[0]).all()):  # equal once rounded to single precision
            raise ModelError("all scores are equal: there is no order to learn")
        return PairBatches(scores, batch, generator)
    return ImageBatches(len(scores), batch, generator)


def _divergence(epoch: int, options: TrainingOptions) -> str:
    return (
        f"training diverged in epoch {epoch}: the loss is no longer a number; lower "
        f"learning_rate (now {options.learning_rate:g}) or raise warmup_ratio"
    )


def _collapse(training: Training, head: MlpHead) -> str | None:
    spread = float(head.predict(training.images.features).std())
    usual = float(training.images.scores.std()) if training.loss == "mse" else 1.0
    if spread >= _COLLAPSED * usual:
        return None
    return (
        f"the model gives every image nearly the same score (spread {spread:.2g}, where "
        f"{usual:.2g} is usual): lower learning_rate (now {training.options.learning_rate:g}) or "
        "raise warmup_ratio; if the learning rate is already low, train for more epochs"
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
