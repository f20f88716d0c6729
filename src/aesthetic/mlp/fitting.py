"""Training the mlp head on rated features: once, in parts, or as several whose mean counts."""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from src.aesthetic.heads import Head
from src.aesthetic.heads.base import FloatArray
from src.aesthetic.heads.mlp import PUBLISHED_HIDDEN
from src.aesthetic.mlp.training_options import TrainingOptions
from src.aesthetic.rated_features import RatedFeatures
from src.aesthetic.select import assign_folds
from src.evaluation.rank_metrics import pairwise_accuracy
from src.progress import progress_bar

if TYPE_CHECKING:
    from src.aesthetic.mlp.trainings import MlpFit
    from src.aesthetic.search.trials import Trial

_MLP_FOLDS = 3


@dataclass(frozen=True)
class MlpSettings:
    """What only the mlp head asks for.

    Attributes:
        options: epochs, learning rate and so on.
        loss: "ranking", "mse" or "bce".
        dropouts: after the first hidden layers.
        relu: a ReLU after each hidden layer.
        standardise: features first; see `MlpShape`.
        eval_every_n_epochs: 0 for only at the end.
        device: of torch.
        hidden: sizes of the hidden layers.
        members: 1 for one network; 3 or more for so many, each trained without another part of
            the images, whose mean counts.
    """

    options: TrainingOptions
    loss: str = "ranking"
    dropouts: tuple[float, ...] = ()
    relu: bool = False
    standardise: bool = False
    eval_every_n_epochs: int = 0
    device: str = "auto"
    hidden: tuple[int, ...] = PUBLISHED_HIDDEN
    members: int = 1

    def trial(self, start: Head | None = None) -> "Trial":
        """The same for the search, going on from a head."""
        from src.aesthetic.mlp.trainings import MlpShape
        from src.aesthetic.search.trials import Trial
        from src.devices import choose_device

        return Trial(
            self.options,
            MlpShape(self.hidden, self.dropouts[: len(self.hidden)], self.relu, self.standardise),
            self.loss,  # type: ignore[arg-type]
            start,
            str(choose_device(self.device)),
        )

    def with_trial(self, trial: "Trial") -> "MlpSettings":
        """The same with what a search has found."""
        return replace(
            self,
            options=trial.options,
            loss=trial.loss,
            dropouts=trial.shape.dropouts,
            relu=trial.shape.relu,
            standardise=trial.shape.standardise,
            hidden=trial.shape.hidden,
        )


def fit_mlp(
    data: RatedFeatures,
    features: FloatArray,
    scores: FloatArray,
    mlp: MlpSettings,
    start: Head | None,
) -> "MlpFit":
    """Train as the settings say.

    Raises:
        ModelError: `start` is no mlp, or nothing can be learnt.
        SettingsError: training diverged, or an odd batch with "ranking".
    """
    from src.aesthetic.mlp.trainer import train_mlp
    from src.aesthetic.mlp.trainings import MlpFit
    from src.aesthetic.search.trials import mlp_start

    train, test = data.train, data.test
    trial = mlp.trial(start)

    def evaluate(head: Head) -> dict[str, float]:
        accuracy = {
            "train_ab": pairwise_accuracy(scores[train], head.predict(features[train])),
            "test_ab": pairwise_accuracy(scores[test], head.predict(features[test])),
        }
        return {name: value for name, value in accuracy.items() if value is not None}

    if mlp.members > 1:
        from src.aesthetic.mlp.ensemble import fit_ensemble

        return fit_ensemble(
            features[train],
            scores[train],
            trial,
            members=mlp.members,
            weights=data.holder.weights[train],
            groups=data.groups[train],
            evaluate=evaluate,
            eval_every_n_epochs=mlp.eval_every_n_epochs,
        )
    with progress_bar(1, "training", "step") as bar:

        def show(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        result = train_mlp(
            features[train],
            scores[train],
            trial.options,
            loss=trial.loss,
            shape=trial.shape,
            start=mlp_start(start),
            weights=data.holder.weights[train],
            device=trial.device,
            evaluate=evaluate,
            eval_every_n_epochs=mlp.eval_every_n_epochs,
            progress=show,
        )
    return MlpFit(result.head, result.history, result.problem, result.interrupted)


def mlp_left_out(
    data: RatedFeatures,
    features: FloatArray,
    scores: FloatArray,
    mlp: MlpSettings,
    start: Head | None,
    seed: int,
) -> FloatArray:
    """Scores of the training images, each by a network trained without it, in three parts."""
    inside = np.flatnonzero(data.train)
    fold = assign_folds(data.groups[inside], _MLP_FOLDS, seed)
    left_out = np.empty(len(inside))
    for number in range(_MLP_FOLDS):
        kept_back = data.test.copy()
        kept_back[inside[fold == number]] = True
        part = replace(data, test=kept_back)
        fit = fit_mlp(part, features, scores, mlp, start)
        left_out[fold == number] = fit.head.predict(features[inside[fold == number]])
    return left_out
