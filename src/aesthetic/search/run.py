"""Mode meta: the best settings for rated images, found on inner folds of the training images.

The test images stay out of it, so that what is reported about the winner on them is honest.
"""

import logging
import math
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from optuna.trial import Trial, TrialState

from src.aesthetic.mlp.fitting import mlp_start
from src.aesthetic.mlp.side_by_side import default_workers, side_by_side
from src.aesthetic.predictor import Predictor
from src.aesthetic.rated_features import RatedFeatures
from src.aesthetic.search import space, study
from src.aesthetic.search.folds import FOLDS, InnerFolds, Score
from src.aesthetic.search.space import Combination, Setting, combination
from src.errors import ModelError, SettingsError
from src.progress import progress_bar
from src.settings.aesthetic_training import AestheticTraining
from src.settings.mlp import Mlp

_FROM_START = ("hidden", "relu", "standardise")  # what a model that training starts from decides
_log = logging.getLogger(__name__)


class Found(NamedTuple):
    """The best settings."""

    head: str
    mlp: Mlp
    setting: Setting  # None for what its head does not ask for
    ab: float  # on the inner folds
    rows: list[dict[str, str]]  # all combinations with their results, as in meta.txt
    given_up: int  # combinations that were abandoned early
    sentence: str  # for the user


class _Attempt(NamedTuple):
    trial: Trial
    setting: Setting
    combination: Combination
    score: Score | None = None  # None where it was given up early


def search_settings(
    data: RatedFeatures,
    settings: AestheticTraining,
    prior: Predictor | None = None,
    file: Path = Path("meta.txt"),
) -> Found:
    """Search on inner folds of the training images; the test images are not looked at.

    The prior, from which training starts, must not have seen the training images. What was tried
    is in the storage and in a table, the file, after Ctrl-C as well.
    """
    values = settings.meta_values
    if prior is not None and (fixed := [name for name in _FROM_START if name in values]):
        raise SettingsError(
            f"mode 'meta': aesthetic_model_{fixed[0]} cannot be searched where training starts "
            "from a model, which brings its own network: set base_model and load_model to ''"
        )
    images = InnerFolds(data, prior, settings.training_args.seed)
    search = _Search(images, settings, space.all_lists(settings, values))
    study.put_aside(file, search.study, search.names)
    with progress_bar(search.total, "settings tried", "combination") as bar:
        bar.update(search.known)
        workers = default_workers(settings.device)
        try:
            with closing(side_by_side(search.measure, search.attempts(), workers)) as runs:
                for attempt in runs:
                    search.tell(attempt)
                    study.write_table(file, search.study, search.names)
                    bar.update(1)
        finally:
            search.forget_running()
    study.write_table(file, search.study, search.names)
    return search.found(file)


class _Search:
    """A study, and which of its trials are running here."""

    def __init__(
        self, images: InnerFolds, settings: AestheticTraining, lists: Mapping[str, Sequence[Any]]
    ) -> None:
        self._images, self._settings, self._lists = images, settings, lists
        self._ranges, self.names = settings.meta_search == "optuna", list(lists)
        self._grid = [] if self._ranges else space.combinations(lists)
        if "mlp" in {combination(settings, setting).head for setting in self._grid or [{}]}:
            mlp_start(images.start)  # an mlp goes on from no other head
        self.study = study.open_study(images, settings, lists)
        self._running: list[Trial] = []
        self.total = settings.meta_trials if self._ranges else len(self._grid)
        done = [setting for setting, _ in study.finished(self.study)]
        self._grid = [setting for setting in self._grid if _plain(setting) not in done]
        self.known = self._count() if self._ranges else self.total - len(self._grid)
        if self.known:
            what = "trials of this search" if self._ranges else f"of {self.total} combinations"
            _log.info("%d %s are in the storage already", self.known, what)

    def attempts(self) -> Iterator[_Attempt]:
        """What is to be tried, each begun when it is asked for."""
        if not self._ranges:
            while self._count(TrialState.WAITING):  # left by a run that was stopped
                self.study.tell(self.study.ask(), state=TrialState.FAIL)
            for setting in self._grid:
                given = {k: space.parameter(v) for k, v in setting.items() if v is not None}
                self.study.enqueue_trial(given)
                yield self._begin()
            return
        while self._count() + len(self._running) < self.total:
            attempt = self._begin()
            done = study.finished(self.study)
            score = next((score for setting, score in done if setting == attempt.setting), None)
            if score:  # such as a head in closed form, again
                self.tell(attempt._replace(score=score))
            else:
                yield attempt

    def _begin(self) -> _Attempt:
        trial = self.study.ask()
        self._running.append(trial)
        setting = _plain(space.suggest(trial, self._lists, ranges=self._ranges))
        trial.set_user_attr("setting", setting)
        return _Attempt(trial, setting, combination(self._settings, setting))

    def measure(self, attempt: _Attempt, stop: threading.Event) -> _Attempt:
        """Train without each fold in turn, and give up where Optuna thinks it poor."""
        scores: list[Score] = []
        for fold in range(FOLDS):
            scores.append(self._images.score(attempt.combination, fold, stop))
            mean = Score(*np.mean(scores, axis=0).tolist())
            if math.isnan(mean.ab):
                break
            attempt.trial.report(mean.ab, fold)
            if fold + 1 < FOLDS and attempt.trial.should_prune():
                return attempt
        return attempt._replace(score=mean)

    def tell(self, attempt: _Attempt) -> None:
        """Keep a result."""
        trial, score = attempt.trial, attempt.score
        self._running = [other for other in self._running if other.number != trial.number]
        if score is not None:
            trial.set_user_attr("score", score._asdict())
        if score is None or math.isnan(score.ab):
            self.study.tell(trial, state=TrialState.PRUNED)
        else:
            self.study.tell(trial, score.ab)

    def forget_running(self) -> None:
        """Mark what was not finished, so that it is tried again."""
        for trial in self._running:
            self.study.tell(trial, state=TrialState.FAIL)

    def found(self, file: Path) -> Found:
        """The winner, among what is searched now."""
        wanted = [_plain(setting) for setting in space.combinations(self._lists)]
        measured = [
            (setting, score.ab)
            for setting, score in study.finished(self.study)
            if not math.isnan(score.ab) and (self._ranges or setting in wanted)
        ]
        if not measured:
            raise ModelError("training diverged with every combination: try lower learning rates")
        setting, ab = max(measured, key=lambda pair: pair[1])
        rows = study.table_rows(self.study, self.names)
        given_up = self._count() - len(rows) if self._ranges else 0
        early = f", {given_up} of them given up early," if given_up else ""
        sentence = (
            f"Of {len(rows) + given_up} combinations{early} ({file}) the best is "
            f"{space.described(setting)}: AB {ab:.1%} on training images left out."
        )
        best = combination(self._settings, setting)
        return Found(best.head, best.mlp, setting, ab, rows, given_up, sentence)

    def _count(self, *states: TrialState) -> int:
        """Trials in some states; without any, those that are done, the given-up ones included."""
        states = states or (TrialState.COMPLETE, TrialState.PRUNED)
        return len(self.study.get_trials(deepcopy=False, states=states))


def _plain(setting: Setting) -> dict[str, Any]:
    """A setting as it comes back from the storage."""
    return {k: list(v) if isinstance(v, tuple) else v for k, v in setting.items()}
