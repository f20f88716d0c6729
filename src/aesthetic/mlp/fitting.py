"""Training the mlp head on rated features: one network, or several whose mean counts."""

import logging
from typing import TYPE_CHECKING

import numpy as np

from src.aesthetic.heads import Head, MlpHead
from src.aesthetic.heads.base import FloatArray
from src.aesthetic.rated_features import RatedFeatures
from src.aesthetic.select import assign_folds
from src.errors import ModelError
from src.evaluation.rank_metrics import pairwise_accuracy
from src.progress import progress_bar
from src.settings.mlp import Mlp

if TYPE_CHECKING:
    from src.aesthetic.mlp.ensemble import MlpFit

_FOLDS = 3
_log = logging.getLogger(__name__)


def fit_mlp(
    data: RatedFeatures,
    features: FloatArray,
    scores: FloatArray,
    mlp: Mlp,
    start: Head | None,
) -> "MlpFit":
    """Train as the settings say, and say how good the network is while it is trained.

    Raises:
        ModelError: `start` is no mlp, or nothing can be learnt.
        SettingsError: training diverged.
    """
    from src.aesthetic.mlp.ensemble import MlpFit, fit_ensemble
    from src.aesthetic.mlp.trainer import HistoryRow, TrainingSet, train_mlp

    train, test, weights = data.train, data.test, data.holder.weights[data.train]

    def evaluate(head: Head) -> HistoryRow:
        accuracy = {
            "train_ab": pairwise_accuracy(scores[train], head.predict(features[train])),
            "test_ab": pairwise_accuracy(scores[test], head.predict(features[test])),
        }
        return {name: value for name, value in accuracy.items() if value is not None}

    def evaluate_and_say(heads: list[MlpHead], epoch: int) -> HistoryRow:
        row = evaluate(heads[0])
        _say({"epoch": epoch} | row)
        return row

    if mlp.mlp_members > 1:
        fit = fit_ensemble(
            features[train],
            scores[train],
            mlp,
            weights=weights,
            groups=data.groups[train],
            start=mlp_start(start),
            evaluate=evaluate,
        )
        for row in fit.history:
            if "train_ab" in row:
                _say(dict(row))
        return fit
    with progress_bar(1, "training", "step") as bar:

        def show(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        trained = train_mlp(
            TrainingSet.of(features[train], scores[train], weights),
            mlp,
            start=mlp_start(start),
            evaluate=evaluate_and_say,
            progress=show,
        )
    return MlpFit(trained.head, trained.history, trained.problem, trained.interrupted)


def mlp_out_of_fold(
    data: RatedFeatures, features: FloatArray, scores: FloatArray, mlp: Mlp, start: Head | None
) -> FloatArray:
    """Scores of the training images, each by a network trained without it, in three parts."""
    from src.aesthetic.mlp.trainer import TrainingSet, train_mlp

    inside = TrainingSet.of(
        features[data.train], scores[data.train], data.holder.weights[data.train]
    )
    fold = assign_folds(data.groups[data.train], _FOLDS, mlp.training_args.seed)
    out_of_fold = np.empty(len(fold))
    for number in range(_FOLDS):
        trained = train_mlp(inside.only(fold != number), mlp, start=mlp_start(start))
        out_of_fold[fold == number] = trained.head.predict(inside.features[fold == number])
    return out_of_fold


def mlp_start(start: Head | None) -> MlpHead | None:
    """The head that training of an mlp goes on from, or None.

    Raises:
        ModelError: it is of another kind.
    """
    if start is None or isinstance(start, MlpHead):
        return start
    raise ModelError(
        f"head 'mlp' cannot go on from a {start.kind!r} head: set head to 'auto', or "
        "base_model and load_model to ''"
    )


def _say(row: dict[str, float]) -> None:
    parts = [f"{row['train_ab']:.1%} of the training pairs"] if "train_ab" in row else []
    parts += [f"{row['test_ab']:.1%} of the test pairs"] if "test_ab" in row else []
    if parts:
        _log.info("Epoch %d: orders %s as you do.", row["epoch"], " and ".join(parts))
