"""Training the mlp head on rated features: once, in parts, or with many settings."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from src.aesthetic.dataset import RatedFeatures
from src.aesthetic.heads import Head
from src.aesthetic.heads.auto import assign_folds
from src.aesthetic.heads.base import FloatArray
from src.aesthetic.heads.mlp import MlpHead
from src.aesthetic.metrics import pairwise_accuracy
from src.aesthetic.training_options import TrainingOptions
from src.errors import ModelError
from src.progress import progress_bar

_MLP_FOLDS = 3


@dataclass(frozen=True)
class MlpSettings:
    """What only the mlp head asks for.

    Attributes:
        options: epochs, learning rate and so on.
        loss: "ranking", "mse" or "bce".
        dropouts: after the first hidden layers.
        relu: a ReLU after each hidden layer.
        eval_every_n_epochs: 0 for only at the end.
        device: of torch.
    """

    options: TrainingOptions
    loss: str = "ranking"
    dropouts: tuple[float, ...] = ()
    relu: bool = False
    eval_every_n_epochs: int = 0
    device: str = "auto"


def fit_mlp(
    data: RatedFeatures,
    features: FloatArray,
    scores: FloatArray,
    mlp: MlpSettings,
    start: Head | None,
) -> tuple[Head, Sequence[Mapping[str, float]], str | None, bool]:
    """The trained head, its history, what went wrong if anything, and whether it was stopped.

    Raises:
        ModelError: `start` is no mlp, or nothing can be learnt.
        SettingsError: training diverged, or an odd batch with "ranking".
    """
    from src.aesthetic.trainer import MlpShape, train_mlp
    from src.devices import choose_device

    if start is not None and not isinstance(start, MlpHead):
        raise ModelError(
            f"head 'mlp' cannot go on from a {start.kind!r} head: set head to 'auto', or "
            "base_model and load_model to ''"
        )
    train, test = data.train, data.test

    def evaluate(head: MlpHead) -> dict[str, float]:
        accuracy = {
            "train_ab": pairwise_accuracy(scores[train], head.predict(features[train])),
            "test_ab": pairwise_accuracy(scores[test], head.predict(features[test])),
        }
        return {name: value for name, value in accuracy.items() if value is not None}

    with progress_bar(1, "training", "step") as bar:

        def show(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        result = train_mlp(
            features[train],
            scores[train],
            mlp.options,
            loss=mlp.loss,  # type: ignore[arg-type]
            shape=MlpShape(dropouts=mlp.dropouts, relu=mlp.relu),
            start=start,
            weights=data.holder.weights[train],
            device=str(choose_device(mlp.device)),
            evaluate=evaluate,
            eval_every_n_epochs=mlp.eval_every_n_epochs,
            progress=show,
        )
    return result.head, result.history, result.problem, result.interrupted


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
        network, *_ = fit_mlp(part, features, scores, mlp, start)
        left_out[fold == number] = network.predict(features[inside[fold == number]])
    return left_out


def search_settings(
    data: RatedFeatures, mlp: MlpSettings, values: Mapping[str, Sequence[Any]], file: Path
) -> tuple[MlpSettings, str]:
    """Try every combination (mode `meta`) on inner folds of the training images.

    Args:
        data: only the training images are looked at.
        mlp: what is the same in all combinations.
        values: lists to try, by name: "epochs", "lr", "batch".
        file: the table that rows are written to as they come, and taken from when resuming.

    Returns:
        The settings with the best combination's values, and a sentence on it.

    Raises:
        SettingsError: nothing to try, or an odd batch.
        ModelError: training diverged with every combination.
        DataError: the file cannot be written.
        KeyboardInterrupt: stopped; what was tried is in the file.
    """
    from src.aesthetic.meta_search import grid_search
    from src.aesthetic.trainer import MlpShape
    from src.aesthetic.trials import InnerFolds, Trial
    from src.devices import choose_device

    train = data.train
    images = InnerFolds(
        data.features[train],
        data.holder.scores[train] if data.binary else data.scaled_scores()[train],
        weights=data.holder.weights[train],
        groups=data.groups[train],
        seed=mlp.options.seed,
    )
    base = Trial(
        mlp.options,
        MlpShape(dropouts=mlp.dropouts, relu=mlp.relu),
        mlp.loss,  # type: ignore[arg-type]
        device=str(choose_device(mlp.device)),
    )
    with progress_bar(1, "settings tried", "combination") as bar:

        def show(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        result = grid_search(images, base, values, file, progress=show)
    if result.interrupted:
        raise KeyboardInterrupt
    chosen = ", ".join(f"{name} {value:g}" for name, value in result.setting.items())
    sentence = (
        f"Of {len(result.rows)} combinations ({file}) the best is {chosen}: AB "
        f"{result.score.ab:.1%} on training images left out."
    )
    return replace(mlp, options=result.trial.options), sentence
