"""Training the mlp head on rated features: one network, or several whose mean counts."""

import logging
from typing import TYPE_CHECKING

import numpy as np

from src.aesthetic.heads import Head, MlpHead
from src.aesthetic.heads.base import FloatArray
from src.aesthetic.heads.training_set import TrainingSet
from src.aesthetic.rated_features import RatedFeatures
from src.aesthetic.select import assign_folds
from src.errors import ModelError
from src.evaluation.rank_metrics import pairwise_accuracy
from src.settings.mlp import Mlp

if TYPE_CHECKING:
    from src.aesthetic.mlp.ensemble import MlpFit

_FOLDS = 3
_log = logging.getLogger(__name__)


def fit_mlp(
    data: RatedFeatures, features: FloatArray, scores: FloatArray, mlp: Mlp, start: Head | None
) -> "MlpFit":
    """Train as the settings say, and say how good the network is while it is trained."""
    from src.aesthetic.mlp.ensemble import fit_ensemble

    def evaluate(heads: list[MlpHead], epoch: int) -> dict[str, float]:
        row = {}
        for name, rows in {"train_ab": data.train, "test_ab": data.test}.items():
            found = [pairwise_accuracy(scores[rows], h.predict(features[rows])) for h in heads]
            if None not in found:
                row[name] = float(np.mean(found))  # type: ignore[arg-type]
        if mlp.mlp_members == 1:
            _say({"epoch": epoch} | row)
        return row

    inside = _training_set(data, features, scores)
    fit = fit_ensemble(inside, mlp, start=mlp_start(start), evaluate=evaluate)
    if mlp.mlp_members > 1:
        for row in fit.history:
            _say(row)
    return fit


def mlp_out_of_fold(
    data: RatedFeatures, features: FloatArray, scores: FloatArray, mlp: Mlp, start: Head | None
) -> FloatArray:
    """Scores of the training images, each by a network trained without it, in three parts."""
    from src.aesthetic.mlp.ensemble import train_members

    inside, seed = _training_set(data, features, scores), mlp.training_args.seed
    fold = assign_folds(inside.groups, _FOLDS, seed)
    sets = [inside.only(fold != number) for number in range(_FOLDS)]
    _, heads = train_members(sets, mlp, [seed] * _FOLDS, mlp_start(start))
    out_of_fold = np.empty(len(fold))
    for number, head in heads.items():
        out_of_fold[fold == number] = head.predict(inside.features[fold == number])
    return out_of_fold


def mlp_start(start: Head | None) -> MlpHead | None:
    """The head that training of an mlp goes on from, or None; ModelError for another kind."""
    if start is None or isinstance(start, MlpHead):
        return start
    raise ModelError(
        f"head 'mlp' cannot go on from a {start.kind!r} head: set head to 'auto', or "
        "base_model and load_model to ''"
    )


def _training_set(data: RatedFeatures, features: FloatArray, scores: FloatArray) -> TrainingSet:
    rows = data.train
    return TrainingSet.of(
        features[rows], scores[rows], data.holder.weights[rows], data.groups[rows]
    )


def _say(row: dict[str, float]) -> None:
    parts = [f"{row['train_ab']:.1%} of the training pairs"] if "train_ab" in row else []
    parts += [f"{row['test_ab']:.1%} of the test pairs"] if "test_ab" in row else []
    if parts:
        _log.info("Epoch %d: orders %s as you do.", row["epoch"], " and ".join(parts))
