"""What a training of an MLP head is made of, and what comes of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple, Self

from numpy.typing import ArrayLike

from src.aesthetic.heads.base import FloatArray, Head
from src.aesthetic.heads.mlp import (
    PUBLISHED_DROPOUTS,
    PUBLISHED_HIDDEN,
    MlpHead,
    check_dropouts,
)
from src.aesthetic.heads.scaling import training_data
from src.aesthetic.mlp.batches import Loss
from src.aesthetic.mlp.training_options import TrainingOptions
from src.errors import SettingsError

HistoryRow = dict[str, float]


class Diverged(SettingsError):
    """The loss became infinite: the learning rate is too high for this data."""


@dataclass(frozen=True)
class MlpShape:
    """What network to train.

    Attributes:
        hidden: sizes of the hidden layers; () for a linear model.
        dropouts: after the first hidden layers, while training.
        relu: rectify after hidden layers; the published heads do not.
        standardise: bring features to mean 0 and deviation 1 first (folded into the first layer).
    """

    hidden: tuple[int, ...] = PUBLISHED_HIDDEN
    dropouts: tuple[float, ...] = PUBLISHED_DROPOUTS
    relu: bool = False
    standardise: bool = False


@dataclass(frozen=True)
class TrainingResult:
    """What came of it.

    Attributes:
        head: the trained head.
        history: one row per epoch: `epoch`, `step`, `loss` (mean over the epoch),
            `learning_rate`, and on evaluated epochs what the evaluation returned.
        steps: optimizer steps done.
        seconds: that they took, evaluations included.
        interrupted: stopped by Ctrl-C; the head is the one reached by then.
        problem: None, or a sentence for the user about what went wrong (collapse).
    """

    head: MlpHead
    history: list[HistoryRow] = field(default_factory=list)
    steps: int = 0
    seconds: float = 0.0
    interrupted: bool = False
    problem: str | None = None


@dataclass(frozen=True)
class MlpFit:
    """What came of training.

    Attributes:
        head: an mlp, or the mean of several.
        history: measurements during training.
        problem: None, or a sentence for the user about what went wrong.
        interrupted: stopped by Ctrl-C; the head is the one reached by then.
        left_out: of each training image the score by a network trained without it, in the units
            of `head`; None if there is none.
    """

    head: Head
    history: Sequence[Mapping[str, float]]
    problem: str | None = None
    interrupted: bool = False
    left_out: FloatArray | None = None


class Images(NamedTuple):
    """What is trained on, checked.

    Attributes:
        features: (n, d).
        scores: (n,); for "bce" from 0 to 1.
        weights: (n,) how much each image counts.
    """

    features: FloatArray
    scores: FloatArray
    weights: FloatArray

    @classmethod
    def of(cls, features: ArrayLike, scores: ArrayLike, weights: ArrayLike | None = None) -> Self:
        """Check them; without weights all count alike.

        Raises:
            ModelError: nothing can be learnt from these.
        """
        return cls(*training_data(features, scores, weights))


@dataclass(frozen=True)
class Training:
    """One network to train.

    Attributes:
        images: what on; trainings on the same images should share the object.
        options: epochs, learning rate and so on.
        loss: "ranking" compares pairs (margin ranking loss on random pairs of different scores,
            n // batch steps an epoch); "mse" reproduces the scores; "bce" is logistic.
        shape: the network; by default the published one. With `start`, only its dropouts count.
        start: a head to go on from.
    """

    images: Images
    options: TrainingOptions
    loss: Loss = "ranking"
    shape: MlpShape = field(default_factory=MlpShape)
    start: MlpHead | None = None

    def __post_init__(self) -> None:
        """Check the parts against each other.

        Raises:
            SettingsError: an odd batch with "ranking", or scores that the loss cannot take.
            ModelError: `start` is for other features, or dropouts do not fit the layers.
        """
        check_batch(self.loss, self.options)
        _check_scores(self.loss, self.images.scores)
        if self.start is not None:
            self.start.check(self.images.features[:1])
        check_dropouts(self.network.dropouts, self.network.hidden)

    @property
    def network(self) -> MlpShape:
        """The shape that is trained, taken from `start` if there is one."""
        if self.start is None:
            return self.shape
        return MlpShape(self.start.hidden, self.shape.dropouts, self.start.relu)

    @property
    def sizes(self) -> tuple[int, ...]:
        """Features, hidden layers, 1."""
        return (self.images.features.shape[1], *self.network.hidden, 1)

    @property
    def kind(self) -> tuple[object, ...]:
        """Trainings whose kinds are equal can be trained together."""
        batch, n = self.options.per_device_train_batch_size, len(self.images.scores)
        steps = max(1, n // batch) if self.loss == "ranking" else n
        alike = replace(self.options, learning_rate=1.0, weight_decay=0.0, seed=0)
        return self.sizes, self.network.relu, self.loss, steps, alike


def check_batch(loss: Loss, options: TrainingOptions) -> None:
    """Make sure that the batch suits the loss.

    Raises:
        SettingsError: an odd batch with "ranking".
    """
    if loss == "ranking" and options.per_device_train_batch_size % 2:
        raise SettingsError(
            "per_device_train_batch_size must be even with loss_model 'ranking', because images "
            f"are compared in pairs; it is {options.per_device_train_batch_size}"
        )


def _check_scores(loss: Loss, scores: FloatArray) -> None:
    if loss == "bce" and (scores.min() < 0 or scores.max() > 1):
        raise SettingsError(
            "loss_model 'bce' needs scores from 0 to 1, but they reach from "
            f"{scores.min():g} to {scores.max():g}: use 'ranking' or 'mse'"
        )
