"""How good a combination is on folds of the training images."""

import math
import threading
from typing import Any, NamedTuple

import numpy as np

from src.aesthetic.heads import Head, fit_head
from src.aesthetic.heads.base import FloatArray
from src.aesthetic.heads.training_set import assign_folds
from src.aesthetic.mlp.fitting import mlp_start
from src.aesthetic.mlp.side_by_side import Stopped
from src.aesthetic.mlp.steps import MARGIN, Loss
from src.aesthetic.mlp.trainer import Diverged, train_mlps
from src.aesthetic.predictor import Predictor
from src.aesthetic.rated_features import RatedFeatures
from src.aesthetic.search.space import Combination
from src.aesthetic.select import fit_auto
from src.evaluation.rank_metrics import pairwise_accuracy

FOLDS = 3
_LARGEST_LOSS_SET = 2_000  # images: their pairs are enough to know a loss


class Score(NamedTuple):
    """How a combination did; NaN where training diverged."""

    train_loss: float = math.nan  # mean of the last epoch
    eval_loss: float = math.nan  # of the images left out
    ab: float = math.nan  # share of pairs among these that are ordered right


class InnerFolds:
    """Training images cut into folds, each left out once."""

    def __init__(self, data: RatedFeatures, prior: Predictor | None, seed: int) -> None:
        self.images = data.training_set(data.train, prior)
        self.start = prior.head if prior else None
        self.fold = assign_folds(self.images.groups, FOLDS, seed)
        self._blocks = data.blocks
        if self.start is not None:
            self.start.check(self.images.features[:1])

    def score(self, combination: Combination, fold: int, stop: threading.Event) -> Score:
        """Train without a fold, and measure on it; Stopped if the event is set meanwhile."""

        def heed(done: int, total: int) -> None:
            if stop.is_set():
                raise Stopped

        heed(0, 0)
        inside, rows = self.images.only(self.fold != fold), self.fold == fold
        mlp, loss = combination.mlp, combination.mlp.loss_model
        if combination.head == "mlp":
            try:
                trained = train_mlps([inside], mlp, start=mlp_start(self.start), progress=heed)
            except Diverged:
                return Score()
            head: Head = trained.heads[0]
            train_loss = trained.history[-1]["loss"]
        else:
            options: dict[str, Any] = {"seed": mlp.training_args.seed, "blocks": self._blocks}
            if combination.head == "auto":
                head = fit_auto(inside, prior=self.start, **options).head
            else:
                head = fit_head(combination.head, *inside, prior=self.start, **options)
            train_loss = mean_loss(loss, inside.scores, head.predict(inside.features))
        predicted, given = head.predict(self.images.features[rows]), self.images.scores[rows]
        ab = pairwise_accuracy(given, predicted)
        return Score(train_loss, mean_loss(loss, given, predicted), 0.5 if ab is None else ab)


def mean_loss(kind: Loss, given: FloatArray, predicted: FloatArray) -> float:
    """The loss of a set of images; with "ranking" over all pairs of different scores."""
    given, predicted = given[:_LARGEST_LOSS_SET], predicted[:_LARGEST_LOSS_SET]
    if kind == "mse":
        return float(np.mean((given - predicted) ** 2))
    order = np.sign(given[:, None] - given)
    short = np.maximum(MARGIN - order * (predicted[:, None] - predicted), 0)
    pairs = np.abs(order).sum()
    return float((short * np.abs(order)).sum() / pairs) if pairs else math.nan
