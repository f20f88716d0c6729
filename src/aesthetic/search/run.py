"""Mode meta: the best settings for rated images, found on inner folds of the training images."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from src.aesthetic.mlp.fitting import MlpSettings
from src.aesthetic.predictor import Predictor
from src.aesthetic.rated_features import RatedFeatures
from src.aesthetic.search.grid import Progress, SearchResult, grid_search
from src.aesthetic.search.optuna_search import optuna_search
from src.aesthetic.search.trials import InnerFolds
from src.errors import SettingsError
from src.progress import progress_bar

_FROM_START = ("hidden", "relu", "standardise")  # what a model that training starts from decides


@dataclass(frozen=True)
class Plan:
    """What is searched, and how.

    Attributes:
        values: lists by name, see `Trial.with_setting`.
        method: "grid" tries every combination; "optuna" searches between the least and greatest.
        trials: of "optuna".
        storage: of "optuna": a database URL; "" for none.
        file: the table that rows are written to as they come, and taken from when resuming.
    """

    values: Mapping[str, Sequence[Any]]
    method: Literal["grid", "optuna"] = "grid"
    trials: int = 50
    storage: str = ""
    file: Path = Path("meta.txt")


@dataclass(frozen=True)
class Found:
    """The best settings.

    Attributes:
        head: name of the head.
        mlp: the settings of the mlp with the winner's values.
        result: everything that was tried.
        sentence: for the user.
    """

    head: str
    mlp: MlpSettings
    result: SearchResult
    sentence: str


def search_settings(
    data: RatedFeatures, mlp: MlpSettings, plan: Plan, prior: Predictor | None = None
) -> Found:
    """Search on inner folds of the training images; the test images are not looked at.

    Args:
        data: only the training images are looked at.
        mlp: what is the same in all combinations.
        plan: what is searched.
        prior: the model that training starts from.

    Raises:
        SettingsError: nothing to try, or settings that contradict each other.
        ModelError: training diverged with every combination, or the prior does not fit.
        MissingExtra: Optuna is needed and not installed.
        DataError: the file cannot be written.
        KeyboardInterrupt: stopped; what was tried is in the file.
    """
    if prior is not None and (fixed := [name for name in _FROM_START if name in plan.values]):
        raise SettingsError(
            f"mode 'meta': aesthetic_model_{fixed[0]} cannot be searched where training starts "
            "from a model, which brings its own network: set base_model and load_model to ''"
        )
    train = data.train
    features = data.features[train].astype(np.float64)
    if prior is not None and prior.unit_length:
        features /= np.maximum(np.linalg.norm(features, axis=1, keepdims=True), 1e-12)
    images = InnerFolds(
        features,
        data.holder.scores[train] if data.binary else data.scaled_scores()[train],
        weights=data.holder.weights[train],
        groups=data.groups[train],
        blocks=data.blocks,
        seed=mlp.options.seed,
    )
    base = mlp.trial(prior.head if prior else None)
    with progress_bar(1, "settings tried", "combination") as bar:

        def show(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        result = _search(images, base, plan, mlp.options.seed, show)
    if result.interrupted:
        raise KeyboardInterrupt
    return Found(result.trial.head, mlp.with_trial(result.trial), result, _sentence(result, plan))


def _search(
    images: InnerFolds, base: Any, plan: Plan, seed: int, progress: Progress
) -> SearchResult:
    if plan.method == "grid":
        return grid_search(images, base, plan.values, plan.file, progress=progress)
    return optuna_search(
        images,
        base,
        plan.values,
        plan.file,
        trials=plan.trials,
        storage=plan.storage or None,
        seed=seed,
        progress=progress,
    )


def described(setting: Mapping[str, Any]) -> str:
    """A combination in words; what its head does not ask for is left out."""
    return ", ".join(
        f"{name} {value:g}" if isinstance(value, float) else f"{name} {_plain(value)}"
        for name, value in setting.items()
        if value is not None
    )


def _plain(value: Any) -> str:
    if isinstance(value, (list, tuple)):
        return " ".join(map(str, value)) or "none"
    return str(value)


def _sentence(result: SearchResult, plan: Plan) -> str:
    tried = len(result.rows) + result.given_up
    early = f", {result.given_up} of them given up early," if result.given_up else ""
    return (
        f"Of {tried} combinations{early} ({plan.file}) the best is {described(result.setting)}: "
        f"AB {result.score.ab:.1%} on training images left out."
    )
