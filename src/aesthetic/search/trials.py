"""One combination of training settings, and how good it is on folds of the training images."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from src.aesthetic.heads import FITS, Head, fit_head
from src.aesthetic.heads.base import FloatArray
from src.aesthetic.heads.mlp import MlpHead
from src.aesthetic.mlp.batches import LOSSES, MARGIN, Loss
from src.aesthetic.mlp.training_options import TrainingOptions
from src.aesthetic.mlp.trainings import Images, MlpShape, Training, TrainingResult
from src.aesthetic.select import assign_folds, fit_auto
from src.errors import ModelError, SettingsError
from src.evaluation.rank_metrics import pairwise_accuracy

OPTION_OF = {
    "epochs": "num_train_epochs",
    "lr": "learning_rate",
    "batch": "per_device_train_batch_size",
}
HEADS = ("mlp", "auto", *(name for name in FITS if name != "logistic"))
Setting = Mapping[str, Any]  # such as {"epochs": 100, "lr": 1e-4, "batch": 8, "relu": True}
_LARGEST_LOSS_SET = 2_000  # images: their pairs are enough to know a loss


@dataclass(frozen=True)
class Trial:
    """Everything that a training can be told.

    Attributes:
        options: epochs, learning rate and so on.
        shape: of the network.
        loss: "ranking", "mse" or "bce".
        start: a head to go on from; with it only the dropouts of the shape count. Heads other
            than the mlp correct its scores.
        device: of torch.
        head: one of `HEADS`; all but "mlp" are fitted in closed form, and the rest is not asked
            for.
    """

    options: TrainingOptions = field(default_factory=TrainingOptions)
    shape: MlpShape = field(default_factory=MlpShape)
    loss: Loss = "ranking"
    start: Head | None = None
    device: str = "cpu"
    head: str = "mlp"

    def with_setting(self, setting: Setting) -> "Trial":
        """The same with some things set otherwise.

        Args:
            setting: values by name: "epochs", "lr", "batch", "loss", "head", a training option,
                or an attribute of the network's shape. None leaves a thing as it is; dropouts
                beyond the hidden layers count for nothing.

        Raises:
            SettingsError: an unknown name, or a value out of range.
        """
        options: dict[str, Any] = {}
        shape: dict[str, Any] = {}
        others: dict[str, Any] = {}
        choices: dict[str, Sequence[str]] = {"loss": LOSSES, "head": HEADS}
        for name, value in setting.items():
            option = OPTION_OF.get(name, name)
            if value is None:
                continue
            if option in {f.name for f in fields(TrainingOptions)}:
                options[option] = value
            elif name in {f.name for f in fields(MlpShape)}:
                shape[name] = tuple(value) if isinstance(value, list) else value
            elif value in choices.get(name, ()):
                others[name] = value
            else:
                raise SettingsError(f"meta search: there is no setting {name!r} = {value!r} to try")
        given = replace(self.shape, **shape)
        return replace(
            self,
            options=replace(self.options, **options),
            shape=replace(given, dropouts=given.dropouts[: len(given.hidden)]),
            **others,
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
        blocks: how many of the d features each extractor gives, or None for one.
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
        blocks: Sequence[int] | None = None,
        folds: int = 3,
        seed: int = 0,
    ) -> None:
        self.features, self.scores, self.weights = Images.of(features, scores, weights)
        self.folds = folds
        self._groups = np.arange(len(self.scores)) if groups is None else np.asarray(groups)
        self._blocks = blocks
        self.fold: NDArray[np.intp] = assign_folds(self._groups, folds if folds > 1 else 4, seed)
        self._parts: dict[int | None, Images] = {}

    def training(self, trial: Trial, fold: int | None = None) -> Training:
        """What it takes to train the mlp on all images, or on those outside a fold.

        Raises:
            ModelError: nothing can be learnt, or the start is no mlp.
            SettingsError: settings that contradict each other.
        """
        return Training(
            self.without(fold), trial.options, trial.loss, trial.shape, mlp_start(trial.start)
        )

    def without(self, fold: int | None) -> Images:
        """The images outside a fold; for the same fold the same object."""
        if fold not in self._parts:
            inside = self.fold != (-1 if fold is None else fold)
            self._parts[fold] = Images.of(
                self.features[inside], self.scores[inside], self.weights[inside]
            )
        return self._parts[fold]

    def fit(self, trial: Trial, fold: int) -> Head:
        """A head in closed form, fitted without a fold."""
        images, groups = self.without(fold), self._groups[self.fold != fold]
        x, y, weights = images
        seed, prior = trial.options.seed, trial.start
        if trial.head == "auto":
            return fit_auto(
                x, y, weights=weights, seed=seed, blocks=self._blocks, prior=prior, groups=groups
            ).head
        return fit_head(
            trial.head,
            x,
            y,
            weights=weights,
            groups=groups,
            seed=seed,
            blocks=self._blocks,
            prior=prior,
        )

    def score(self, trial: Trial, head: Head, fold: int, train_loss: float | None = None) -> Score:
        """How a head that was trained without a fold does on it.

        Args:
            trial: what it was trained with.
            head: the head.
            fold: which fold.
            train_loss: as training tells it; None to measure it on the training images.
        """
        outside = self.fold == fold
        given, predicted = self.scores[outside], head.predict(self.features[outside])
        ab = pairwise_accuracy(given, predicted)
        if train_loss is None:
            inside = self.without(fold)
            train_loss = mean_loss(trial.loss, inside.scores, head.predict(inside.features))
        return Score(train_loss, mean_loss(trial.loss, given, predicted), 0.5 if ab is None else ab)

    def score_training(self, trial: Trial, result: TrainingResult, fold: int) -> Score:
        """The same of an mlp; its training loss is that of the last epoch."""
        loss = result.history[-1]["loss"] if result.history else math.nan
        return self.score(trial, result.head, fold, loss)


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
