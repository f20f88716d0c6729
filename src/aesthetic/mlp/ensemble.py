"""Several mlps whose mean is the score, each trained without another part of the images.

A cross-validation committee (Krogh and Vedelsby, "Neural network ensembles, cross validation, and
active learning", 1995): the members differ in what they have seen, their mean is steadier than
any of them, and every training image has a member that has never seen it.
"""

import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike

from src.aesthetic.heads import EnsembleHead, Head
from src.aesthetic.heads.base import FloatArray
from src.aesthetic.heads.mlp import MlpHead
from src.aesthetic.mlp.side_by_side import default_workers, side_by_side
from src.aesthetic.mlp.trainer import HistoryRow, TrainedMlp, TrainingSet, train_mlps
from src.aesthetic.select import assign_folds
from src.devices import choose_device
from src.errors import SettingsError
from src.progress import progress_bar
from src.settings.mlp import Mlp

# Weights of all networks in a stack. On a processor small networks gain, because several steps
# cost the bookkeeping of one; with more weights than the cache holds, they would only be in each
# other's way. On a GPU it is the memory that counts: 16 bytes a weight.
_WEIGHTS_AT_ONCE = {"cpu": 600_000, "gpu": 100_000_000}


@dataclass(frozen=True)
class MlpFit:
    """What came of training.

    Attributes:
        head: an mlp, or the mean of several.
        history: measurements during training.
        problem: None, or a sentence for the user about what went wrong.
        interrupted: stopped by Ctrl-C; the head is the one reached by then.
        out_of_fold: of each training image the score by a network trained without it, in the units
            of `head`; None if there is none.
    """

    head: Head
    history: Sequence[Mapping[str, float]]
    problem: str | None = None
    interrupted: bool = False
    out_of_fold: FloatArray | None = None


def fit_ensemble(
    features: ArrayLike,
    scores: ArrayLike,
    mlp: Mlp,
    *,
    weights: ArrayLike | None = None,
    groups: ArrayLike | None = None,
    start: MlpHead | None = None,
    evaluate: Callable[[Head], HistoryRow] | None = None,
) -> MlpFit:
    """Train `mlp_members` networks, stacked as far as it pays, and join them.

    Their seeds count up from that of the settings.

    Args:
        features: (n, d).
        scores: (n,).
        mlp: how each is trained.
        weights: (n,) how much each image counts; None for equally.
        groups: (n,) images with the same number are left out together, or None.
        start: a head to go on from, or None.
        evaluate: called with single members while they are trained; the history holds the means.

    Raises:
        ModelError: nothing can be learnt from these images.
        SettingsError: the loss of a member became infinite.
        KeyboardInterrupt: stopped before any member had begun; later, those there are are joined.
    """
    data, seed = TrainingSet.of(features, scores, weights), mlp.training_args.seed
    fold = assign_folds(len(data.scores) if groups is None else groups, mlp.mlp_members, seed)
    trained: dict[int, TrainedMlp] = {}

    def measured(heads: list[MlpHead], epoch: int) -> HistoryRow:
        return mean_row([evaluate(head) for head in heads]) if evaluate else {}

    def train(members: Sequence[int], stop: threading.Event) -> int:
        def heed(done: int, total: int) -> None:
            if stop.is_set():
                raise KeyboardInterrupt  # as `train_mlps` expects it: it returns what it has

        found = train_mlps(
            [data.only(fold != member) for member in members],
            mlp,
            seeds=[seed + member for member in members],
            start=start,
            evaluate=measured,
            progress=heed,
        )
        for member, result in zip(members, found, strict=True):
            if result.diverged:
                raise SettingsError(result.diverged)
            trained[member] = result
        return len(members)

    workers, interrupted = default_workers(mlp.device), False
    stacks = _stacks(mlp, data.features.shape[1], workers)
    try:
        with (
            progress_bar(mlp.mlp_members, "training", "member") as bar,
            closing(side_by_side(train, stacks, workers)) as done,
        ):
            for members in done:
                bar.update(members)
    except KeyboardInterrupt:
        if not trained:
            raise
        interrupted = True
    fit = _join({member: trained[member].head for member in sorted(trained)}, data, fold, mlp)
    rows = zip(*(result.history for result in trained.values()), strict=False)
    problem = next((result.problem for result in trained.values() if result.problem), None)
    return replace(
        fit, history=[mean_row(row) for row in rows], problem=problem, interrupted=interrupted
    )


def _stacks(mlp: Mlp, n_features: int, workers: int) -> list[list[int]]:
    """Members that are trained together; no core is left without a stack for a higher one."""
    sizes = (n_features, *mlp.aesthetic_model_hidden, 1)
    weights = sum(inputs * outputs for inputs, outputs in pairwise(sizes))
    kind = "cpu" if choose_device(mlp.device).type == "cpu" else "gpu"
    height = max(1, _WEIGHTS_AT_ONCE[kind] // weights)
    members = mlp.mlp_members
    count = max(-(-members // height), min(workers, members))
    return [part.tolist() for part in np.array_split(np.arange(members), count)]


def _join(heads: Mapping[int, MlpHead], data: TrainingSet, fold: np.ndarray, mlp: Mlp) -> MlpFit:
    """The mean of the members by fold, in the units of the scores (with "bce", log odds)."""
    x, y = data.features, data.scores
    if mlp.loss_model == "ranking":  # which says nothing about where a member's scores lie
        heads = {number: _standardised(head, x) for number, head in heads.items()}
    out_of_fold = np.full(len(y), np.nan)
    for number, head in heads.items():
        out_of_fold[fold == number] = head.predict(x[fold == number])
    known = np.isfinite(out_of_fold)
    std = None
    if mlp.loss_model != "bce":
        slope, level = score_line(out_of_fold[known], y[known])
        heads = {number: head.rescaled(-level / slope, 1 / slope) for number, head in heads.items()}
        out_of_fold = slope * out_of_fold + level
        spread = np.stack([head.predict(x) for head in heads.values()]).var(axis=0).mean()
        # Krogh and Vedelsby: the squared error of single members is that of their mean plus their
        # spread, which `EnsembleHead` adds at each image.
        error = np.mean((out_of_fold[known] - y[known]) ** 2)
        std = float(np.sqrt(max(error - spread, 0.0)))
    joined = EnsembleHead(tuple(heads.values()), std)
    return MlpFit(joined, (), out_of_fold=out_of_fold if known.all() else None)


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
