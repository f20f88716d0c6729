"""Several mlps whose mean is the score, each trained without another part of the images.

A cross-validation committee (Krogh and Vedelsby, "Neural network ensembles, cross validation, and
active learning", 1995): the members differ in what they have seen, their mean is steadier than
any of them, and every training image has a member that has never seen it.
"""

import threading
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from src.aesthetic.heads import EnsembleHead, Head
from src.aesthetic.heads.base import FloatArray
from src.aesthetic.heads.mlp import MlpHead
from src.aesthetic.heads.training_set import TrainingSet
from src.aesthetic.mlp.side_by_side import default_workers, side_by_side
from src.aesthetic.mlp.trainer import Evaluate, HistoryRow, Trained, train_mlps
from src.aesthetic.select import assign_folds
from src.devices import choose_device
from src.progress import progress_bar
from src.settings.mlp import Mlp

# Weights of all networks in a stack. On a processor small networks gain, because several steps
# cost the bookkeeping of one; with more weights than the cache holds, they would only be in each
# other's way. On a GPU it is the memory that counts: 16 bytes a weight.
_WEIGHTS_AT_ONCE = {"cpu": 600_000, "gpu": 100_000_000}


class MlpFit(NamedTuple):
    """What came of training."""

    head: Head  # an mlp, or the mean of several
    history: Sequence[HistoryRow]
    problem: str | None = None  # a sentence for the user
    interrupted: bool = False  # by Ctrl-C; the head is the one reached by then
    # Of each training image the score by networks trained without it, in the units of the head.
    out_of_fold: FloatArray | None = None


def fit_ensemble(
    data: TrainingSet,
    mlp: Mlp,
    *,
    rounds: int = 1,
    start: MlpHead | None = None,
    evaluate: Evaluate | None = None,
) -> MlpFit:
    """Train `mlp_members` networks and join them; with one, on all images.

    In every further round as many are trained with other parts left out. Their seeds count up
    from that of the settings. Ctrl-C joins the networks there are.
    """
    members, first = mlp.mlp_members, mlp.training_args.seed
    seeds = range(first, first + rounds * members)
    if members == 1:
        fit, _ = train_members([data], mlp, seeds, start, evaluate)
        return fit
    folds = [assign_folds(data.groups, members, seeds[members * r]) for r in range(rounds)]
    sets = [data.only(fold != member) for fold in folds for member in range(members)]
    fit, heads = train_members(sets, mlp, seeds, start, evaluate)
    joined, out_of_fold = [], []
    for number, fold in enumerate(folds):
        mine = {i % members: heads[i] for i in sorted(heads) if i // members == number}
        if mine:
            head, unseen = _join(mine, data, fold, mlp)
            joined.append(head)
            out_of_fold.append(unseen)
    stds = [head.residual_std for head in joined if head.residual_std is not None]
    std = float(np.sqrt(np.mean(np.square(stds)))) if stds else None
    mean = np.mean(out_of_fold, axis=0)
    return fit._replace(
        head=EnsembleHead(tuple(member for head in joined for member in head.members), std),
        out_of_fold=mean if np.isfinite(mean).all() else None,
    )


def train_members(
    sets: Sequence[TrainingSet],
    mlp: Mlp,
    seeds: Sequence[int],
    start: MlpHead | None = None,
    evaluate: Evaluate | None = None,
) -> tuple[MlpFit, dict[int, MlpHead]]:
    """Train a network on each set, on all cores, stacked as far as it pays.

    Returns:
        The first network with the mean history, and the networks by number: all of them, unless
        they were interrupted.
    """
    workers, interrupted = default_workers(mlp.device), False
    stacks = _stacks(mlp, sets[0].features.shape[1], len(sets), workers)
    heads: dict[int, MlpHead] = {}
    results: list[Trained] = []  # one for each network

    with progress_bar(1, "training", "step") as bar:
        steps: dict[int, int] = {}

        def train(members: Sequence[int], stop: threading.Event) -> None:
            def heed(done: int, total: int) -> None:
                if stop.is_set():
                    raise KeyboardInterrupt  # as `train_mlps` expects it: it returns what it has
                steps[members[0]] = done
                bar.total = total * len(stacks)
                bar.update(sum(steps.values()) - bar.n)

            found = train_mlps(
                [sets[member] for member in members],
                mlp,
                seeds=[seeds[member] for member in members],
                start=start,
                evaluate=evaluate,
                progress=heed,
            )
            heads.update(zip(members, found.heads, strict=True))
            results.extend([found] * len(members))

        try:
            list(side_by_side(train, stacks, workers))
        except KeyboardInterrupt:
            if not heads:
                raise
            interrupted = True
    history = [mean_row(rows) for rows in zip(*(found.history for found in results), strict=False)]
    problem = next((found.problem for found in results if found.problem), None)
    return MlpFit(heads[min(heads)], history, problem, interrupted), heads


def _stacks(mlp: Mlp, n_features: int, networks: int, workers: int) -> list[list[int]]:
    """Networks that are trained together; no core is left without a stack for a higher one."""
    sizes = (n_features, *mlp.aesthetic_model_hidden, 1)
    weights = sum(inputs * outputs for inputs, outputs in pairwise(sizes))
    kind = "cpu" if choose_device(mlp.device).type == "cpu" else "gpu"
    height = max(1, _WEIGHTS_AT_ONCE[kind] // weights)
    count = max(-(-networks // height), min(workers, networks))
    return [part.tolist() for part in np.array_split(np.arange(networks), count)]


def _join(
    heads: Mapping[int, MlpHead], data: TrainingSet, fold: np.ndarray, mlp: Mlp
) -> tuple[EnsembleHead, FloatArray]:
    """The mean of the members by fold, in the units of the scores (with "bce", log odds).

    And of each image the score by the member that has not seen it; NaN where there is none.
    """
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
    return EnsembleHead(tuple(heads.values()), std), out_of_fold


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
