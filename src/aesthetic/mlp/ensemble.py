"""Several mlps whose mean is the score, each trained without another part of the images.

A cross-validation committee (Krogh and Vedelsby, "Neural network ensembles, cross validation, and
active learning", 1995): the members differ in what they have seen, their mean is steadier than
any of them, and every training image has a member that has never seen it.
"""

import threading
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike

from src.aesthetic.heads import EnsembleHead
from src.aesthetic.heads.base import FloatArray, Head
from src.aesthetic.heads.mlp import MlpHead
from src.aesthetic.mlp.trainer import train_mlps
from src.aesthetic.mlp.trainings import Diverged, HistoryRow, MlpFit, TrainingResult
from src.aesthetic.search.stacks import Job, run_stacks
from src.aesthetic.search.trials import InnerFolds, Trial
from src.progress import progress_bar

Evaluation = Callable[[Head], HistoryRow]


def fit_ensemble(
    features: ArrayLike,
    scores: ArrayLike,
    trial: Trial,
    *,
    members: int,
    weights: ArrayLike | None = None,
    groups: ArrayLike | None = None,
    evaluate: Evaluation | None = None,
    eval_every_n_epochs: int = 0,
) -> MlpFit:
    """Train the members, stacked as far as it pays, and join them.

    Args:
        features: (n, d).
        scores: (n,).
        trial: how each is trained; their seeds count up from the one given.
        members: 3 or more.
        weights: (n,) how much each image counts; None for equally.
        groups: (n,) images with the same number are left out together, or None.
        evaluate: called with single members while they are trained; the history holds the means.
        eval_every_n_epochs: 0 for only at the end.

    Raises:
        ModelError: nothing can be learnt from these images.
        Diverged: the loss of a member became infinite.
        KeyboardInterrupt: stopped before any member had begun; later, those there are are joined.
    """
    options = trial.options
    images = InnerFolds(
        features, scores, weights=weights, groups=groups, folds=members, seed=options.seed
    )
    jobs = [
        Job(replace(trial, options=replace(options, seed=options.seed + number)), number)
        for number in range(members)
    ]

    def measured(heads: list[MlpHead]) -> HistoryRow:
        return mean_row([evaluate(head) for head in heads]) if evaluate else {}

    results: dict[int, TrainingResult] = {}

    def work(stack: list[Job], stop: threading.Event) -> None:
        def heed(done: int, total: int) -> None:
            if stop.is_set():
                raise KeyboardInterrupt  # as `train_mlps` expects it: it returns what it has

        trained = train_mlps(
            [images.training(*job) for job in stack],
            device=trial.device,
            evaluate=measured,
            eval_every_n_epochs=eval_every_n_epochs,
            progress=heed,
        )
        for job, result in zip(stack, trained, strict=True):
            if isinstance(result, Diverged):
                raise result
            results[job.fold] = result

    interrupted = False
    try:
        with (
            progress_bar(members, "training", "member") as bar,
            closing(run_stacks(images, jobs, work)) as runs,
        ):
            for stack, _ in runs:
                bar.update(len(stack))
    except KeyboardInterrupt:
        if not results:
            raise
        interrupted = True
    heads = [results[number].head for number in sorted(results)]
    if trial.loss == "ranking":  # which says nothing about where a member's scores lie
        heads = [_standardised(head, images.features) for head in heads]
    left_out = np.full(len(images.scores), np.nan)
    for number, head in zip(sorted(results), heads, strict=True):
        left_out[images.fold == number] = head.predict(images.features[images.fold == number])
    std = None if trial.loss == "bce" else residual_std(heads, images, left_out)
    history = [mean_row(rows) for rows in zip(*(r.history for r in results.values()), strict=False)]
    problem = next((r.problem for r in results.values() if r.problem), None)
    complete = None if np.isnan(left_out).any() else left_out
    return MlpFit(EnsembleHead(tuple(heads), std), history, problem, interrupted, complete)


def residual_std(heads: Sequence[Head], images: InnerFolds, left_out: FloatArray) -> float:
    """How far the person's scores lie from the mean prediction, beyond the members' spread.

    Measured on images that a member has not seen, in the units of the heads: the scores are
    brought there by mean and deviation, as the saved model does it the other way round.

    The mean squared error of single members is that of their mean plus their spread (Krogh and
    Vedelsby's decomposition), and `EnsembleHead` adds the spread at each image itself.
    """
    predicted = np.stack([head.predict(images.features) for head in heads])
    mean, spread = predicted.mean(axis=0), predicted.var(axis=0)
    y = (images.scores - images.scores.mean()) / images.scores.std()
    error = left_out - (y * mean.std() + mean.mean())
    return float(np.sqrt(max(np.nanmean(error**2) - spread.mean(), 0.0)))


def _standardised(head: MlpHead, features: FloatArray) -> MlpHead:
    """The head with scores of mean 0 and deviation 1 over these images."""
    scores = head.predict(features)
    return head.rescaled(float(scores.mean()), float(scores.std()) or 1.0)


def mean_row(rows: Sequence[HistoryRow]) -> HistoryRow:
    """The mean of each figure that all rows have."""
    names = [name for name in rows[0] if all(name in row for row in rows)]
    return {name: float(np.mean([row[name] for row in rows])) for name in names}
