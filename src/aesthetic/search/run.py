"""Mode meta: the best settings for rated images, found on inner folds of the training images.

The test images stay out of it, so that what is reported about the winner on them is honest.
"""

import logging
import math
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import numpy as np
from optuna.trial import Trial, TrialState, create_trial

from src.aesthetic.mlp.fitting import mlp_start
from src.aesthetic.mlp.side_by_side import default_workers, side_by_side
from src.aesthetic.predictor import Predictor
from src.aesthetic.rated_features import RatedFeatures
from src.aesthetic.search import space, study
from src.aesthetic.search.folds import FOLDS, InnerFolds, Score
from src.aesthetic.search.space import Combination, Lists, Setting, combination
from src.errors import ModelError, SettingsError
from src.files import write_text
from src.progress import progress_bar
from src.settings.aesthetic_training import AestheticTraining
from src.settings.mlp import Mlp
from src.text import counted

_FROM_START = ("hidden", "relu", "standardise")  # what a model that training starts from decides
_log = logging.getLogger(__name__)


class Found(NamedTuple):
    head: str
    mlp: Mlp
    setting: Setting  # None for what its head does not ask for
    ab: float  # on the inner folds
    rows: list[dict[str, str]]  # all combinations with their results, as in meta.txt
    given_up: int  # combinations that were abandoned early
    sentence: str  # for the user


class _Attempt(NamedTuple):
    setting: Setting
    combination: Combination
    trial: Trial | None = None  # of a search in ranges
    score: Score | None = None  # None where it was given up early


@study.telling_damage()
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
    lists = settings.meta_values
    if prior is not None and (fixed := [name for name in _FROM_START if name in lists]):
        raise SettingsError(
            f"mode 'meta': aesthetic_model_{fixed[0]} cannot be searched where training starts "
            "from a model, which brings its own network: set base_model and load_model to ''"
        )
    search = _Search(InnerFolds(data, prior, settings.training_args.seed), settings, lists)
    study.put_aside(file, search.table())
    with progress_bar(search.total, "settings tried", "combination") as bar:
        bar.update(search.known)
        workers = default_workers(settings.device)
        with closing(side_by_side(search.measure, search.attempts(), workers)) as runs:
            for attempt in runs:
                search.keep(attempt)
                write_text(file, search.table())
                bar.update(1)
    write_text(file, search.table())
    return search.found(file)


class _Search:
    """A study, and how many of its trials are running here."""

    def __init__(self, images: InnerFolds, settings: AestheticTraining, lists: Lists) -> None:
        self._images, self._settings, self._names = images, settings, list(lists)
        self._ranges = settings.meta_search == "optuna"
        self._grid = [] if self._ranges else space.combinations(lists)
        if "mlp" in {combination(settings, setting).head for setting in self._grid or [{}]}:
            mlp_start(images.start)  # an mlp goes on from no other head
        self._distributions = space.distributions(lists, ranges=self._ranges)
        self._study, self._running = study.open_study(images, settings, lists), 0
        self.total = settings.meta_trials if self._ranges else len(self._grid)
        done = [setting for setting, _ in study.finished(self._study)]
        self._todo = [setting for setting in self._grid if setting not in done]
        self.known = self._count() if self._ranges else self.total - len(self._todo)
        if self.known:
            tried = "trial" if self._ranges else "combination"
            _log.info("Already in the storage: %s", counted(self.known, tried))

    def attempts(self) -> Iterator[_Attempt]:
        """What is to be tried, each begun when it is asked for."""
        for setting in self._todo:
            yield _Attempt(setting, combination(self._settings, setting))
        while self._ranges and self._count() + self._running < self.total:
            trial = self._study.ask(self._distributions)
            setting = space.from_parameters(trial.params)
            trial.set_user_attr("setting", setting)
            self._running += 1
            attempt = _Attempt(setting, combination(self._settings, setting), trial)
            known = [score for other, score in study.finished(self._study) if setting == other]
            if known:  # such as a head in closed form, again
                self.keep(attempt._replace(score=known[0]))
            else:
                yield attempt

    def measure(self, attempt: _Attempt, stop: threading.Event) -> _Attempt:
        """Train without each fold in turn, and give up where Optuna thinks it poor."""
        scores: list[Score] = []
        for fold in range(FOLDS):
            scores.append(self._images.score(attempt.combination, fold, stop))
            mean = Score(*np.mean(scores, axis=0).tolist())
            if math.isnan(mean.ab):
                break
            if attempt.trial:
                attempt.trial.report(mean.ab, fold)
                if fold + 1 < FOLDS and attempt.trial.should_prune():
                    return attempt
        return attempt._replace(score=mean)

    def keep(self, attempt: _Attempt) -> None:
        score = attempt.score
        value = None if score is None or math.isnan(score.ab) else score.ab
        state = TrialState.PRUNED if value is None else TrialState.COMPLETE
        notes = {} if score is None else {"score": score._asdict()}
        if attempt.trial:
            self._running -= 1
            for name, note in notes.items():
                attempt.trial.set_user_attr(name, note)
            self._study.tell(attempt.trial, value, state)
            return
        parameters = space.to_parameters(attempt.setting)
        self._study.add_trial(
            create_trial(
                state=state,
                value=value,
                params=parameters,
                distributions={name: self._distributions[name] for name in parameters},
                user_attrs={"setting": attempt.setting} | notes,
            )
        )

    def table(self) -> str:
        return study.table_text(self._study, self._names)

    def found(self, file: Path) -> Found:
        """The winner, among what is searched now."""
        measured = [
            (setting, score.ab)
            for setting, score in study.finished(self._study)
            if not math.isnan(score.ab) and (self._ranges or setting in self._grid)
        ]
        if not measured:
            raise ModelError("training diverged with every combination: try lower learning rates")
        setting, ab = max(measured, key=lambda pair: pair[1])
        rows = study.table(self._study, self._names)
        given_up = self._count() - len(rows) if self._ranges else 0
        early = f", {given_up} of them given up early," if given_up else ""
        sentence = (
            f"Of {counted(len(rows) + given_up, 'combination')}{early} ({file}) the best is "
            f"{space.described(setting)}: AB {ab:.1%} on training images left out."
        )
        best = combination(self._settings, setting)
        return Found(best.head, best.mlp, setting, ab, rows, given_up, sentence)

    def _count(self) -> int:
        """Trials that are done, those given up included."""
        return len(self._study.get_trials(deepcopy=False, states=study.DONE))
