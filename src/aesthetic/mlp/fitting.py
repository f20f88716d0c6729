"""Training the mlp head: one network, or several whose mean is the score."""

import logging
import threading
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from src.aesthetic.heads import EnsembleHead, Head, MlpHead
from src.aesthetic.heads.base import FloatArray
from src.aesthetic.heads.training_set import TrainingSet, assign_folds
from src.aesthetic.predictor import Predictor
from src.aesthetic.rated_features import RatedFeatures
from src.devices import choose_device
from src.errors import ModelError
from src.evaluation.rank_metrics import pairwise_accuracy, rmse
from src.progress import progress_bar
from src.settings.mlp import Mlp

if TYPE_CHECKING:
    from src.aesthetic.mlp.trainer import Evaluate, HistoryRow, Trained

# Weights of all networks in a stack. On a processor small networks gain, because several steps
# cost the bookkeeping of one; with more weights than the cache holds, they would only be in each
# other's way. On a GPU it is the memory that counts: 16 bytes a weight.
_WEIGHTS_AT_ONCE = {"cpu": 600_000, "gpu": 100_000_000}
_FOLDS = 3
_log = logging.getLogger(__name__)


class MlpFit(NamedTuple):
    head: Head  # an mlp, or the mean of several
    history: "Sequence[HistoryRow]"
    problem: str | None = None  # a sentence for the user
    interrupted: bool = False  # by Ctrl-C; the head is the one reached by then
    # Of each training image the score by networks trained without it, in the units of the head.
    out_of_fold: FloatArray | None = None


def fit_mlp(data: RatedFeatures, mlp: Mlp, prior: Predictor | None) -> MlpFit:
    """Train as the settings say, and say how good the network is while it is trained."""
    features, scores, train = data.inputs(prior), data.targets, data.train
    parts = {"train": train, "test": data.test, "all": train | data.test}

    def evaluate(heads: list[MlpHead], epoch: int) -> "HistoryRow":
        found: dict[str, list[float | None]] = {}
        for head in heads:
            predicted = head.predict(features)  # then scaled as a saved model's scores are
            predicted = (predicted - predicted[train].mean()) / (predicted[train].std() or 1.0)
            for part, rows in parts.items():
                both = scores[rows], predicted[rows]
                found.setdefault(f"{part}_ab", []).append(pairwise_accuracy(*both))
                if not data.binary:
                    found.setdefault(f"{part}_rmse", []).append(rmse(*both))
        known = {name: [v for v in values if v is not None] for name, values in found.items()}
        row = {name: float(np.mean(values)) for name, values in known.items() if values}
        if mlp.mlp_members == 1:
            _say({"epoch": epoch} | row)
        return row

    start = mlp_start(prior.head if prior else None)
    fit = fit_ensemble(data.training_set(data.train, prior), mlp, start=start, evaluate=evaluate)
    for row in fit.history if mlp.mlp_members > 1 else ():
        _say(row)
    return fit


def mlp_out_of_fold(images: TrainingSet, mlp: Mlp, start: Head | None) -> FloatArray:
    """Scores of the images, each by one of three networks that was trained without it."""
    seed = mlp.training_args.seed
    fold = assign_folds(images.groups, _FOLDS, seed)
    sets = [images.only(fold != number) for number in range(_FOLDS)]
    _, heads = train_members(sets, mlp, [seed] * _FOLDS, mlp_start(start))
    return _out_of_fold(heads, images.features, fold)


def fit_ensemble(
    data: TrainingSet,
    mlp: Mlp,
    *,
    rounds: int = 1,
    start: MlpHead | None = None,
    evaluate: "Evaluate | None" = None,
) -> MlpFit:
    """Train `mlp_members` networks, each without another part of the images, and join them.

    A cross-validation committee (Krogh and Vedelsby, "Neural network ensembles, cross validation,
    and active learning", 1995): their mean is steadier than any of them, and every training image
    has a member that has never seen it. A single one is trained on all images. Every further round
    leaves out other parts. Seeds count up from that of the settings. Ctrl-C joins those there are.
    """
    members, first = mlp.mlp_members, mlp.training_args.seed
    seeds = range(first, first + rounds * members)
    if members == 1:
        fit, _ = train_members([data], mlp, seeds, start, evaluate)
        return fit
    folds = [assign_folds(data.groups, members, seeds[members * r]) for r in range(rounds)]
    sets = [data.only(fold != member) for fold in folds for member in range(members)]
    fit, heads = train_members(sets, mlp, seeds, start, evaluate)
    in_rounds = [
        {i % members: heads[i] for i in sorted(heads) if i // members == number}
        for number in range(rounds)
    ]
    joined = [
        _join(mine, data, fold, mlp) for mine, fold in zip(in_rounds, folds, strict=True) if mine
    ]
    stds = [head.residual_std for head, _ in joined if head.residual_std is not None]
    std = float(np.sqrt(np.mean(np.square(stds)))) if stds else None
    mean = np.mean([unseen for _, unseen in joined], axis=0)
    return fit._replace(
        head=EnsembleHead(tuple(member for head, _ in joined for member in head.members), std),
        out_of_fold=mean if np.isfinite(mean).all() else None,
    )


def train_members(
    sets: Sequence[TrainingSet],
    mlp: Mlp,
    seeds: Sequence[int],
    start: MlpHead | None = None,
    evaluate: "Evaluate | None" = None,
) -> tuple[MlpFit, dict[int, MlpHead]]:
    """Train a network on each set, on all cores, stacked as far as it pays.

    What came of it, with the first network, and the networks by number: all, unless interrupted.
    """
    from src.aesthetic.mlp.side_by_side import default_workers, side_by_side
    from src.aesthetic.mlp.trainer import train_mlps

    workers, interrupted = default_workers(mlp.device), False
    images, inputs = sets[0].features.shape
    few = mlp.aesthetic_model_standardise and images < inputs / 2  # see `trainer._inputs`
    stacks = _stacks(mlp, images if few else inputs, len(sets), workers)
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


def _stacks(mlp: Mlp, inputs: int, networks: int, workers: int) -> list[list[int]]:
    """Networks that are trained together; no core is left without a stack for a higher one."""
    sizes = (inputs, *mlp.aesthetic_model_hidden, 1)
    weights = sum(before * after for before, after in pairwise(sizes))
    kind = "cpu" if choose_device(mlp.device).type == "cpu" else "gpu"
    height = max(1, _WEIGHTS_AT_ONCE[kind] // weights)
    count = max(-(-networks // height), min(workers, networks))
    return [part.tolist() for part in np.array_split(np.arange(networks), count)]


def _join(
    heads: Mapping[int, MlpHead], data: TrainingSet, fold: np.ndarray, mlp: Mlp
) -> tuple[EnsembleHead, FloatArray]:
    """The mean of the members by fold, and what the one said of each image that has not seen it."""
    x, y = data.features, data.scores
    if mlp.loss_model == "ranking":  # which says nothing about where a member's scores lie
        scores = {number: head.predict(x) for number, head in heads.items()}
        heads = {n: heads[n].rescaled(s.mean(), float(s.std()) or 1.0) for n, s in scores.items()}
    out_of_fold = _out_of_fold(heads, x, fold)
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


def _out_of_fold(heads: Mapping[int, MlpHead], x: FloatArray, fold: np.ndarray) -> FloatArray:
    out_of_fold = np.full(len(fold), np.nan)
    for number, head in heads.items():
        out_of_fold[fold == number] = head.predict(x[fold == number])
    return out_of_fold


def score_line(out_of_fold: FloatArray, scores: FloatArray) -> tuple[float, float]:
    """Slope, always positive, and level of the least-squares line from predictions to scores."""
    variance = float(out_of_fold.var())
    covariance = float(np.mean((out_of_fold - out_of_fold.mean()) * scores))
    slope = max(covariance / variance if variance > 0 else 0.0, 1e-6)
    return slope, float(np.mean(scores - slope * out_of_fold))


def mean_row(rows: "Sequence[HistoryRow]") -> "HistoryRow":
    names = [name for name in rows[0] if all(name in row for row in rows)]
    return {name: float(np.mean([row[name] for row in rows])) for name in names}


def mlp_start(start: Head | None) -> MlpHead | None:
    """The head that training of an mlp goes on from, or None; ModelError for another kind."""
    if start is None or isinstance(start, MlpHead):
        return start
    raise ModelError(
        f"head 'mlp' cannot start from a {start.kind!r} head: set head to 'auto', or "
        "base_model and load_model to ''"
    )


def _say(row: dict[str, float]) -> None:
    """The measurements of an epoch; of one without any, nothing."""
    measured = [
        f"{what}: " + ", ".join(f"{part} {row[f'{part}_{key}']:{form}}" for part in parts)
        for what, key, form in (("Pairs ordered right", "ab", ".1%"), ("rms error", "rmse", ".3f"))
        if (parts := [part for part in ("train", "test", "all") if f"{part}_{key}" in row])
    ]
    if measured:
        _log.info("Epoch %d. %s.", row["epoch"], "; ".join(measured))
