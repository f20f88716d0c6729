"""One combination of training settings, and how good it is on folds of the training images."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from src.aesthetic.batches import LOSSES, MARGIN, Loss
from src.aesthetic.heads.auto import assign_folds
from src.aesthetic.heads.base import FloatArray
from src.aesthetic.heads.mlp import MlpHead
from src.aesthetic.heads.scaling import training_data
from src.aesthetic.metrics import pairwise_accuracy
from src.aesthetic.trainer import MlpShape, TrainingResult, train_mlp
from src.aesthetic.training_options import TrainingOptions
from src.errors import SettingsError

OPTION_OF = {
    "epochs": "num_train_epochs",
    "lr": "learning_rate",
    "batch": "per_device_train_batch_size",
}
Setting = Mapping[str, Any]  # such as {"epochs": 100, "lr": 1e-4, "batch": 8, "relu": True}
_LARGEST_LOSS_SET = 2_000  # images: their pairs are enough to know a loss


@dataclass(frozen=True)
class Trial:
    """Everything that a training of the MLP head can be told.

    Attributes:
        options: epochs, learning rate and so on.
        shape: of the network.
        loss: "ranking", "mse" or "bce".
        start: a head to go on from; with it only the dropouts of the shape count.
        device: of torch.
    """

    options: TrainingOptions = field(default_factory=TrainingOptions)
    shape: MlpShape = field(default_factory=MlpShape)
    loss: Loss = "ranking"
    start: MlpHead | None = None
    device: str = "cpu"

    def with_setting(self, setting: Setting) -> "Trial":
        """The same with some things set otherwise.

        Args:
            setting: values by name: "epochs", "lr", "batch", "loss", a training option, or an
                attribute of the network's shape.

        Raises:
            SettingsError: an unknown name, or a value out of range.
        """
        options: dict[str, Any] = {}
        shape: dict[str, Any] = {}
        loss = self.loss
        for name, value in setting.items():
            option = OPTION_OF.get(name, name)
            if option in {f.name for f in fields(TrainingOptions)}:
                options[option] = value
            elif name in {f.name for f in fields(MlpShape)}:
                shape[name] = tuple(value) if isinstance(value, list) else value
            elif name == "loss" and value in LOSSES:
                loss = value
            else:
                raise SettingsError(f"meta search: there is no setting {name!r} = {value!r} to try")
        return replace(
            self,
            options=replace(self.options, **options),
            shape=replace(self.shape, **shape),
            loss=loss,
        )


@dataclass(frozen=True)
class Score:
    """How a combination did, averaged over inner folds; NaN where training diverged.

    Attributes:
        train_loss: mean loss of the last epoch.
        eval_loss: loss of the images left out.
        ab: share of pairs among these that are ordered right.
    """

    train_loss: float
    eval_loss: float
    ab: float

    @property
    def measured(self) -> bool:
        """Whether training did not diverge."""
        return not math.isnan(self.ab)

    @classmethod
    def mean(cls, scores: "list[Score]") -> "Score":
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
        folds: 2 or more for cross-validation; 1 for a single split of a quarter.
        seed: of the cut.

    Attributes:
        features, scores, weights: as given, checked.
        folds: how many are left out in turn.
        fold: (n,) which of them each image belongs to.

    Raises:
        ModelError: nothing can be learnt from these images.
    """

    def __init__(
        self,
        features: ArrayLike,
        scores: ArrayLike,
        *,
        weights: ArrayLike | None = None,
        groups: ArrayLike | None = None,
        folds: int = 3,
        seed: int = 0,
    ) -> None:
        self.features, self.scores, self.weights = training_data(features, scores, weights)
        self.folds = folds
        self.fold: NDArray[np.intp] = assign_folds(
            len(self.scores) if groups is None else groups, folds if folds > 1 else 4, seed
        )

    def train(self, trial: Trial, fold: int | None = None, **callbacks: Any) -> TrainingResult:
        """Train on all images, or on those outside a fold; callbacks as in `train_mlp`."""
        inside = np.ones(len(self.scores), dtype=bool) if fold is None else self.fold != fold
        return train_mlp(
            self.features[inside],
            self.scores[inside],
            trial.options,
            loss=trial.loss,
            shape=trial.shape,
            start=trial.start,
            weights=self.weights[inside],
            device=trial.device,
            **callbacks,
        )

    def score(self, trial: Trial, result: TrainingResult, fold: int) -> Score:
        """How a head that was trained without a fold does on it."""
        outside = self.fold == fold
        given, predicted = self.scores[outside], result.head.predict(self.features[outside])
        ab = pairwise_accuracy(given, predicted)
        return Score(
            result.history[-1]["loss"] if result.history else math.nan,
            mean_loss(trial.loss, given, predicted),
            0.5 if ab is None else ab,
        )


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
