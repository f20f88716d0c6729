"""How good a combination is on folds of the training images."""

import math
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from src.aesthetic.heads import Head, fit_head
from src.aesthetic.heads.base import FloatArray
from src.aesthetic.mlp.batches import MARGIN, Loss
from src.aesthetic.mlp.fitting import mlp_start
from src.aesthetic.mlp.side_by_side import Stopped
from src.aesthetic.mlp.trainer import TrainingSet, train_mlps
from src.aesthetic.search.space import Combination
from src.aesthetic.select import assign_folds, fit_auto
from src.evaluation.rank_metrics import pairwise_accuracy

FOLDS = 3
_LARGEST_LOSS_SET = 2_000  # images: their pairs are enough to know a loss


@dataclass(frozen=True)
class Score:
    """How a combination did; NaN where training diverged.

    Attributes:
        train_loss: mean loss of the last epoch.
        eval_loss: loss of the images left out.
        ab: share of pairs among these that are ordered right.
    """

    train_loss: float = math.nan
    eval_loss: float = math.nan
    ab: float = math.nan

    @classmethod
    def mean(cls, scores: "Sequence[Score]") -> "Score":
        """The average of the folds."""
        rows = [(s.train_loss, s.eval_loss, s.ab) for s in scores]
        return cls(*(float(value) for value in np.mean(rows, axis=0)))


class InnerFolds:
    """Rated images cut into folds, each left out once.

    Args:
        features: (n, d) of the training images only.
        scores: (n,).
        weights: (n,) or None.
        groups: (n,) images with the same number stay in one fold, or None.
        blocks: how many of the d features each extractor gives, or None for one.
        start: a head that all combinations go on from (mlp), or correct (other heads).
        seed: of the cut.

    Raises:
        ModelError: nothing can be learnt from these images, or the start is for other features.
    """

    def __init__(
        self,
        features: ArrayLike,
        scores: ArrayLike,
        *,
        weights: ArrayLike | None = None,
        groups: ArrayLike | None = None,
        blocks: Sequence[int] | None = None,
        start: Head | None = None,
        seed: int = 0,
    ) -> None:
        self.images, self.start = TrainingSet.of(features, scores, weights), start
        self._groups = np.arange(len(self.images.scores)) if groups is None else np.asarray(groups)
        self._blocks = blocks
        self.fold = assign_folds(self._groups, FOLDS, seed)
        if start is not None:
            start.check(self.images.features[:1])

    def check(self, combination: Combination) -> None:
        """Find out whether it can be trained, before anything is.

        Raises:
            ModelError: an mlp cannot go on from the start.
        """
        if combination.head == "mlp":
            mlp_start(self.start)

    def score(self, combination: Combination, fold: int, stop: threading.Event) -> Score:
        """Train without a fold, and measure on it.

        Raises:
            Stopped: the event was set meanwhile.
        """

        def heed(done: int, total: int) -> None:
            if stop.is_set():
                raise Stopped

        heed(0, 0)
        inside = self.images.only(self.fold != fold)
        rows = self.fold == fold
        loss = combination.mlp.loss_model
        if combination.head == "mlp":
            start = mlp_start(self.start)
            (trained,) = train_mlps([inside], combination.mlp, start=start, progress=heed)
            if trained.diverged:
                return Score()
            head: Head = trained.head
            train_loss = trained.history[-1]["loss"]
        else:
            head = self._fit(combination, inside, self._groups[self.fold != fold])
            train_loss = mean_loss(loss, inside.scores, head.predict(inside.features))
        predicted = head.predict(self.images.features[rows])
        given = self.images.scores[rows]
        ab = pairwise_accuracy(given, predicted)
        return Score(train_loss, mean_loss(loss, given, predicted), 0.5 if ab is None else ab)

    def _fit(self, combination: Combination, images: TrainingSet, groups: np.ndarray) -> Head:
        x, y, weights = images
        options: dict[str, Any] = {
            "weights": weights,
            "groups": groups,
            "seed": combination.mlp.training_args.seed,
            "blocks": self._blocks,
            "prior": self.start,
        }
        if combination.head == "auto":
            return fit_auto(x, y, **options).head
        return fit_head(combination.head, x, y, **options)


def mean_loss(kind: Loss, given: FloatArray, predicted: FloatArray) -> float:
    """The loss of a set of images; with "ranking" over all pairs of different scores."""
    given, predicted = given[:_LARGEST_LOSS_SET], predicted[:_LARGEST_LOSS_SET]
    if kind == "mse":
        return float(np.mean((given - predicted) ** 2))
    if kind == "bce":
        return float(np.mean(np.logaddexp(0, predicted) - given * predicted))
    order = np.sign(given[:, None] - given)
    short = np.maximum(MARGIN - order * (predicted[:, None] - predicted), 0)
    pairs = np.abs(order).sum()
    return float((short * np.abs(order)).sum() / pairs) if pairs else math.nan
