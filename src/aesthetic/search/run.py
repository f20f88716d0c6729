"""Mode meta: the best settings for rated images, found on inner folds of the training images.

The test images stay out of it, so that what is reported about the winner on them is honest.
"""

import logging
import math
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from src.aesthetic.mlp.side_by_side import default_workers, side_by_side
from src.aesthetic.predictor import Predictor
from src.aesthetic.rated_features import RatedFeatures
from src.aesthetic.search.folds import FOLDS, InnerFolds, Score
from src.aesthetic.search.space import (
    Combination,
    Setting,
    all_lists,
    combination,
    combinations,
    described,
    parameter,
    suggest,
)
from src.aesthetic.search.study import finished, open_study, put_aside, table_rows, write_table
from src.errors import ModelError, SettingsError
from src.progress import progress_bar
from src.settings.aesthetic_training import AestheticTraining
from src.settings.mlp import Mlp

if TYPE_CHECKING:
    import optuna

_FROM_START = ("hidden", "relu", "standardise")  # what a model that training starts from decides
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Found:
    """The best settings.

    Attributes:
        head: name of the head.
        mlp: the settings of the mlp with the winner's values.
        setting: the winning combination; None for what its head does not ask for.
        ab: of the winner on the inner folds.
        rows: all combinations with their results, as in meta.txt.
        given_up: combinations that were abandoned early.
        sentence: for the user.
    """

    head: str
    mlp: Mlp
    setting: Setting
    ab: float
    rows: list[dict[str, str]]
    given_up: int
    sentence: str


class _Attempt(NamedTuple):
    """A trial of Optuna, and what it tries; `score` is None where it was given up early."""

    trial: "optuna.Trial"
    setting: Setting
    combination: Combination
    score: Score | None = None


def search_settings(
    data: RatedFeatures,
    settings: AestheticTraining,
    prior: Predictor | None = None,
    file: Path = Path("meta.txt"),
) -> Found:
    """Search on inner folds of the training images; the test images are not looked at.

    Args:
        data: only the training images are looked at.
        settings: what is searched, how, and what is the same in all combinations.
        prior: the model that training starts from; it must not have seen the training images.
        file: the table of what was tried.

    Raises:
        SettingsError: settings that contradict each other, or the storage cannot be opened.
        ModelError: training diverged with every combination, or the prior does not fit.
        DataError: the file cannot be written.
        KeyboardInterrupt: stopped; what was tried is in the storage and the file.
    """
    values = settings.meta_values
    if prior is not None and (fixed := [name for name in _FROM_START if name in values]):
        raise SettingsError(
            f"mode 'meta': aesthetic_model_{fixed[0]} cannot be searched where training starts "
            "from a model, which brings its own network: set base_model and load_model to ''"
        )
    images = _inner_folds(data, settings, prior)
    search = _Search(images, settings, all_lists(settings, values))
    put_aside(file, search.study, search.names)
    with progress_bar(search.total, "settings tried", "combination") as bar:
        bar.update(search.known)
        workers = default_workers(settings.device)
        try:
            with closing(side_by_side(search.measure, search.attempts(), workers)) as runs:
                for attempt in runs:
                    search.tell(attempt)
                    write_table(file, search.study, search.names)
                    bar.update(1)
        finally:
            search.forget_running()
    write_table(file, search.study, search.names)
    return search.found(file)


def _inner_folds(
    data: RatedFeatures, settings: AestheticTraining, prior: Predictor | None
) -> InnerFolds:
    train = data.train
    features = data.features[train].astype(np.float64)
    if prior is not None and prior.unit_length:
        features /= np.maximum(np.linalg.norm(features, axis=1, keepdims=True), 1e-12)
    return InnerFolds(
        features,
        data.holder.scores[train] if data.binary else data.scaled_scores()[train],
        weights=data.holder.weights[train],
        groups=data.groups[train],
        blocks=data.blocks,
        start=prior.head if prior else None,
        seed=settings.training_args.seed,
    )


class _Search:
    """A study, and which of its trials are running here.

    Attributes:
        study: of Optuna.
        names: of the settings that are columns.
        total, known: trials in all, and how many of them the storage holds already.
    """

    def __init__(
        self, images: InnerFolds, settings: AestheticTraining, lists: Mapping[str, Sequence[Any]]
    ) -> None:
        self._images, self._settings, self._lists = images, settings, lists
        self._ranges, self.names = settings.meta_search == "optuna", list(lists)
        self._grid = [] if self._ranges else combinations(lists)
        for setting in self._grid or [{}]:
            images.check(combination(settings, setting))
        self.study = open_study(images, settings, lists)
        self._running: list[optuna.Trial] = []
        if self._ranges:
            self.total, self.known = settings.meta_trials, self._count()
            kept = "%d trials of this search are in the storage already"
        else:
            done = [setting for setting, _ in finished(self.study)]
            self._grid = [setting for setting in self._grid if _plain(setting) not in done]
            self.total = len(combinations(lists))
            self.known = self.total - len(self._grid)
            kept = f"%d of {self.total} combinations are in the storage already"
        if self.known:
            _log.info(kept, self.known)

    def attempts(self) -> Iterator[_Attempt]:
        """What is to be tried, each begun when it is asked for."""
        from optuna.trial import TrialState

        if not self._ranges:
            while self._count(TrialState.WAITING):  # left by a run that was stopped
                self.study.tell(self.study.ask(), state=TrialState.FAIL)
            for setting in self._grid:
                given = {k: parameter(v) for k, v in setting.items() if v is not None}
                self.study.enqueue_trial(given)
                yield self._begin()
            return
        while self._count() + len(self._running) < self.total:
            attempt = self._begin()
            known = [score for setting, score in finished(self.study) if setting == attempt.setting]
            if known:  # such as a head in closed form, again
                self.tell(attempt._replace(score=known[0]))
            else:
                yield attempt

    def _begin(self) -> _Attempt:
        trial = self.study.ask()
        self._running.append(trial)
        setting = _plain(suggest(trial, self._lists, ranges=self._ranges))
        trial.set_user_attr("setting", setting)
        return _Attempt(trial, setting, combination(self._settings, setting))

    def measure(self, attempt: _Attempt, stop: threading.Event) -> _Attempt:
        """Train without each fold in turn, and give up where Optuna thinks it poor."""
        scores: list[Score] = []
        for fold in range(FOLDS):
            scores.append(self._images.score(attempt.combination, fold, stop))
            mean = Score.mean(scores)
            if math.isnan(mean.ab):
                break
            attempt.trial.report(mean.ab, fold)
            if fold + 1 < FOLDS and attempt.trial.should_prune():
                return attempt
        return attempt._replace(score=mean)

    def tell(self, attempt: _Attempt) -> None:
        """Keep a result."""
        from optuna.trial import TrialState

        trial, score = attempt.trial, attempt.score
        self._running = [other for other in self._running if other.number != trial.number]
        if score is not None:
            trial.set_user_attr("score", asdict(score))
        if score is None or math.isnan(score.ab):
            self.study.tell(trial, state=TrialState.PRUNED)
        else:
            self.study.tell(trial, score.ab)

    def forget_running(self) -> None:
        """Mark what was not finished, so that it is tried again."""
        from optuna.trial import TrialState

        for trial in self._running:
            self.study.tell(trial, state=TrialState.FAIL)

    def found(self, file: Path) -> Found:
        """The winner, among what is searched now."""
        wanted = [_plain(setting) for setting in combinations(self._lists)]
        measured = [
            (setting, score.ab)
            for setting, score in finished(self.study)
            if not math.isnan(score.ab) and (self._ranges or setting in wanted)
        ]
        if not measured:
            raise ModelError("training diverged with every combination: try lower learning rates")
        setting, ab = max(measured, key=lambda pair: pair[1])
        rows = table_rows(self.study, self.names)
        given_up = self._count() - len(rows) if self._ranges else 0
        early = f", {given_up} of them given up early," if given_up else ""
        sentence = (
            f"Of {len(rows) + given_up} combinations{early} ({file}) the best is "
            f"{described(setting)}: AB {ab:.1%} on training images left out."
        )
        best = combination(self._settings, setting)
        return Found(best.head, best.mlp, setting, ab, rows, given_up, sentence)

    def _count(self, *states: "optuna.trial.TrialState") -> int:
        """Trials in some states; without any, those that are done, the given-up ones included."""
        from optuna.trial import TrialState

        states = states or (TrialState.COMPLETE, TrialState.PRUNED)
        return len(self.study.get_trials(deepcopy=False, states=states))


def _plain(setting: Setting) -> dict[str, Any]:
    """A setting as it comes back from the storage."""
    return {k: list(v) if isinstance(v, tuple) else v for k, v in setting.items()}
