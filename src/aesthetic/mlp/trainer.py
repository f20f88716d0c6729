"""Training of mlps with the same settings: on the device, several side by side."""

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from src.aesthetic.heads.base import FloatArray
from src.aesthetic.heads.mlp import MlpHead
from src.aesthetic.heads.scaling import Scaler
from src.aesthetic.heads.training_set import TrainingSet
from src.aesthetic.mlp.network import Network
from src.aesthetic.mlp.steps import (
    AdamW,
    batch_loss,
    image_batches,
    learning_rate_at,
    pair_batches,
    shorten,
    steps_per_epoch,
)
from src.devices import choose_device
from src.errors import SettingsError
from src.settings.mlp import Mlp

HistoryRow = dict[str, float]
Evaluate = Callable[[list[MlpHead], int], HistoryRow]  # of all heads, after an epoch
_COLLAPSED = 0.01  # spread of the scores, where 1 is usual
_STEPS_AT_ONCE = 64  # steps whose dropouts are drawn together


class Diverged(SettingsError):
    """The loss of a network became infinite."""


class Trained(NamedTuple):
    heads: list[MlpHead]
    # One row per epoch: epoch, step, loss (mean over epoch and networks), and on evaluated epochs
    # what the evaluation returned.
    history: list[HistoryRow]
    problem: str | None  # a sentence: a head gives every image the same score


def train_mlps(
    sets: Sequence[TrainingSet],
    mlp: Mlp,
    *,
    seeds: Sequence[int] | None = None,
    start: MlpHead | None = None,
    evaluate: Evaluate | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Trained:
    """Train one head on each set, side by side; after Ctrl-C, the heads reached by then.

    All take the same number of steps: where sets differ in size, that of the largest. The layers
    of a head to `start` from are taken as well. `progress` is called after each epoch with the
    steps done and in total; a KeyboardInterrupt that it raises ends training like Ctrl-C. Where the
    loss of a network becomes infinite, that is a `Diverged`.
    """
    if start is not None:
        start.check(sets[0].features[:1])
    every = mlp.eval_every_n_epochs
    with torch.no_grad():
        run = _Run(sets, mlp, seeds or [mlp.training_args.seed] * len(sets), start)
        with suppress(KeyboardInterrupt):
            for epoch in run.epochs():
                if progress:
                    progress(run.step, run.total)
                if evaluate and (run.step == run.total or (every and epoch % every == 0)):
                    run.history[-1] |= evaluate(run.heads(), epoch)
        heads = run.heads()
    problems = [_collapse(data, mlp, head) for data, head in zip(sets, heads, strict=True)]
    return Trained(heads, run.history, next(filter(None, problems), None))


class _Run:
    """The members of a network on the device, each with its own images and batches."""

    def __init__(
        self,
        sets: Sequence[TrainingSet],
        mlp: Mlp,
        seeds: Sequence[int],
        start: MlpHead | None,
    ) -> None:
        self._mlp, args, place = mlp, mlp.training_args, choose_device(mlp.device)
        generators = [torch.Generator(place).manual_seed(seed) for seed in seeds]
        hidden = start.hidden if start else mlp.aesthetic_model_hidden
        standardise = mlp.aesthetic_model_standardise and start is None
        self._inputs = _inputs([data.features for data in sets], standardise=standardise)
        pairs = zip(self._inputs, sets, strict=True)
        self._images = torch.cat([_tensor(to(data.features), place) for to, data in pairs])
        self._network = Network(
            (self._images.shape[1], *hidden, 1),
            features=sets[0].features.shape[1],
            relu=start.relu if start else mlp.aesthetic_model_relu,
            dropouts=mlp.aesthetic_model_dropouts[: len(hidden)],
            generators=generators,
            start=start,
        )
        self._optimizer = AdamW(self._network, args)
        scores = [_tensor(data.scores, place) for data in sets]
        self._scores = torch.cat(scores)
        self._weights = torch.cat([_tensor(data.weights, place) for data in sets])
        sizes = [len(data.scores) for data in sets]
        self._first = torch.tensor(np.cumsum([0, *sizes[:-1]]), device=place)[:, None]
        batch, longest = args.per_device_train_batch_size, max(sizes)
        steps = steps_per_epoch(mlp.loss_model, longest, batch)
        self._epochs = [
            pair_batches(mine, steps, batch, generator)
            if mlp.loss_model == "ranking"
            else image_batches(len(mine), longest, batch, generator)
            for mine, generator in zip(scores, generators, strict=True)
        ]
        self.step, self.total = 0, max(1, math.ceil(args.num_train_epochs * steps))
        if args.max_steps > 0:
            self.total = args.max_steps
        self.history: list[HistoryRow] = []

    def epochs(self) -> Iterator[int]:
        """Train epoch by epoch; yields the number of each after it is done."""
        epoch = 0
        while self.step < self.total:
            epoch += 1
            losses: list[Tensor] = []
            for parts in zip(*map(next, self._epochs), strict=True):
                numbers = torch.stack(parts, dim=1) + self._first
                for start in range(0, len(numbers), _STEPS_AT_ONCE):
                    losses += self._some_steps(numbers[start : start + _STEPS_AT_ONCE])
            loss, rate = float(torch.stack(losses).mean()), self._mlp.training_args.learning_rate
            if not math.isfinite(loss):
                raise Diverged(
                    f"training diverged in epoch {epoch}: the loss is no longer a number; lower "
                    f"learning_rate (now {rate:g}) or raise warmup_ratio"
                )
            self.history.append({"epoch": epoch, "step": self.step, "loss": loss})
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

    def heads(self) -> list[MlpHead]:
        """The members as they are now, for features as they come."""
        heads = self._network.to_heads()
        return [to.folded_into(head) for to, head in zip(self._inputs, heads, strict=True)]


class _Inputs(NamedTuple):
    scaler: Scaler
    directions: FloatArray | None  # (r, d)

    def __call__(self, features: FloatArray) -> FloatArray:
        scaled = self.scaler(features)
        return scaled if self.directions is None else scaled @ self.directions.T

    def folded_into(self, head: MlpHead) -> MlpHead:
        first = head.weights[0]
        first = (first if self.directions is None else first @ self.directions) * self.scaler.factor
        bias = head.biases[0] - first @ self.scaler.mean
        weights, biases = (first, *head.weights[1:]), (bias, *head.biases[1:])
        return replace(head, weights=weights, biases=biases)


def _inputs(parts: Sequence[FloatArray], *, standardise: bool) -> list[_Inputs]:
    """Few images span few directions; weights in the others would be most of the work."""
    if not standardise:
        return [_Inputs(Scaler.identity(x), None) for x in parts]
    scalers = [Scaler.fit(x) for x in parts]
    if parts[0].shape[1] < 2 * max(len(x) for x in parts):
        return [_Inputs(scaler, None) for scaler in scalers]
    directions = spanning_directions([s(x) for s, x in zip(scalers, parts, strict=True)])
    return [_Inputs(*both) for both in zip(scalers, directions, strict=True)]


def spanning_directions(parts: Sequence[FloatArray]) -> list[FloatArray]:
    """Of each part (n, d), rows (r, d), orthogonal and equally long, that span its images.

    AdamW moves every weight by about the learning rate. So that scores move by as much as with a
    weight for each feature, the directions are drawn at random (along principal components AB was
    .003 lower on photographs) and are √(d/r) long (with length 1 it was .006 lower).
    """
    found = []
    for features in parts:
        eigenvalues, vectors = np.linalg.eigh(features @ features.T)
        eigenvalues = np.maximum(eigenvalues, 1e-30)
        kept = eigenvalues >= 1e-6 * eigenvalues[-1]
        principal = (vectors[:, kept] / np.sqrt(eigenvalues[kept])).T @ features
        found.append(principal[::-1])
    count = min(map(len, found))  # networks in a stack are of one size
    rotation = np.linalg.qr(np.random.default_rng(0).normal(size=(count, count)))[0]
    long = (parts[0].shape[1] / count) ** 0.5
    return [long * rotation @ principal[:count] for principal in found]


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


def _tensor(values: FloatArray, device: torch.device) -> Tensor:
    return torch.from_numpy(values.astype(np.float32)).to(device)
