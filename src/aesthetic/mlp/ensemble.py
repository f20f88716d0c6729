"""Several mlps whose mean is the score, each trained without another part of the images.

A cross-validation committee (Krogh and Vedelsby, "Neural network ensembles, cross validation, and
active learning", 1995): the members differ in what they have seen, their mean is steadier than
any of them, and every training image has a member that has never seen it.
"""

import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike

from src.aesthetic.heads import EnsembleHead, Head
from src.aesthetic.heads.base import FloatArray
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
    fit = _join({number: result.head for number, result in results.items()}, images, trial.loss)
    history = [mean_row(rows) for rows in zip(*(r.history for r in results.values()), strict=False)]
    problem = next((r.problem for r in results.values() if r.problem), None)
    return replace(fit, history=history, problem=problem, interrupted=interrupted)


def _join(heads: Mapping[int, MlpHead], images: InnerFolds, loss: str) -> MlpFit:
    """The mean of the members by fold, in the units of the scores (with "bce", log odds)."""
    x, y = images.features, images.scores
    if loss == "ranking":  # which says nothing about where a member's scores lie
        heads = {number: _standardised(head, x) for number, head in heads.items()}
    out_of_fold = np.full(len(y), np.nan)
    for number, head in heads.items():
        out_of_fold[images.fold == number] = head.predict(x[images.fold == number])
    known = np.isfinite(out_of_fold)
    std = None
    if loss != "bce":
        slope, level = score_line(out_of_fold[known], y[known])
        heads = {number: head.rescaled(-level / slope, 1 / slope) for number, head in heads.items()}
        out_of_fold = slope * out_of_fold + level
        spread = np.stack([head.predict(x) for head in heads.values()]).var(axis=0).mean()
        # Krogh and Vedelsby: the squared error of single members is that of their mean plus their
        # spread, which `EnsembleHead` adds at each image.
        error = np.mean((out_of_fold[known] - y[known]) ** 2)
        std = float(np.sqrt(max(error - spread, 0.0)))
    joined = EnsembleHead(tuple(heads[number] for number in sorted(heads)), std)
    return MlpFit(joined, (), left_out=out_of_fold if known.all() else None)


def score_line(out_of_fold: FloatArray, scores: FloatArray) -> tuple[float, float]:
    """Slope, always positive, and level of the least-squares line from predictions to scores."""
    variance = float(out_of_fold.var())
    covariance = float(np.mean((out_of_fold - out_of_fold.mean()) * scores))
    slope = max(covariance / variance if variance > 0 else 0.0, 1e-6)
    return slope, float(np.mean(scores - slope * out_of_fold))


def _standardised(head: MlpHead, features: FloatArray) -> MlpHead:
    """The head with scores of mean 0 and deviation 1 over these images."""
    scores = head.predict(features)
    return head.rescaled(float(scores.mean()), float(scores.std()) or 1.0)


def mean_row(rows: Sequence[HistoryRow]) -> HistoryRow:
    """The mean of each figure that all rows have."""
    names = [name for name in rows[0] if all(name in row for row in rows)]
    return {name: float(np.mean([row[name] for row in rows])) for name in names}
