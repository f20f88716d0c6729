"""Searching the training settings within ranges, with Optuna.

As in `meta_search`, trials are judged on inner folds of the training images.
"""

import hashlib
import json
import logging
import re
import threading
from concurrent.futures import FIRST_EXCEPTION, wait
from pathlib import Path
from typing import TYPE_CHECKING, Any

from src.aesthetic.search.grid import (
    Progress,
    SearchResult,
    Values,
    all_lists,
    fixed_settings,
    open_table,
)
from src.aesthetic.search.stacks import (
    Job,
    Stopped,
    check_jobs,
    default_workers,
    measure,
    worker_pool,
)
from src.aesthetic.search.table import MetaTable, row_of
from src.aesthetic.search.trials import InnerFolds, Score, Setting, Trial
from src.errors import MissingExtra, ModelError, SettingsError

if TYPE_CHECKING:
    import optuna

_log = logging.getLogger(__name__)


def optuna_search(
    images: InnerFolds,
    base: Trial,
    values: Values,
    path: Path,
    *,
    trials: int,
    storage: str | None = None,
    workers: int | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> SearchResult:
    """Let Optuna look for the best setting within ranges, giving up early on poor ones.

    The study is found again in the storage by what it is about: the scores and folds of the
    images, the ranges, and the settings that are the same in all trials. Runs with all these alike
    work on one study, one after another or at once on several machines.

    Args:
        images: the training images in folds.
        base: what is the same in all trials.
        values: by name, a list whose least and greatest number bound a range, or words to choose
            from. A range over a factor of ten or more is searched on a logarithmic scale.
        path: of meta.txt, which gets a row for each trial of this machine.
        trials: of the whole study, those of earlier runs and other machines included.
        storage: a database URL, such as sqlite:///study.db, that several machines may share;
            None keeps the study in memory.
        workers: trials at a time; None for one per processor core.
        seed: of the sampler, where the study is kept in memory.
        progress: called with trials done and in total.

    Raises:
        MissingExtra: Optuna is not installed.
        SettingsError: the storage cannot be opened, or settings contradict each other.
        ModelError: every trial diverged.
    """
    lists = all_lists(base, values)
    study = _open_study(images, base, lists, storage, seed)
    check_jobs(images, [base])
    table = open_table(path, images, base, lists)
    search = _Search(images, base, lists, study, table, trials, progress)
    interrupted = False
    workers = workers or default_workers(base.device)
    with worker_pool(workers) as pool:
        futures = [pool.submit(search.work) for _ in range(workers)]
        try:
            for future in wait(futures, return_when=FIRST_EXCEPTION).done:
                future.result()
        except KeyboardInterrupt:
            interrupted = True
        finally:
            search.stop.set()
    return _result(study, base, interrupted)


class _Search:
    """What the workers share."""

    def __init__(
        self,
        images: InnerFolds,
        base: Trial,
        lists: dict[str, list[Any]],
        study: "optuna.Study",
        table: MetaTable,
        trials: int,
        progress: Progress | None,
    ) -> None:
        self.images, self.base, self.lists = images, base, lists
        self.study, self.table, self.trials, self.progress = study, table, trials, progress
        self.stop = threading.Event()
        self._lock = threading.Lock()
        self._running = 0

    def work(self) -> None:
        """Take one trial after another until the study has enough of them."""
        while not self.stop.is_set():
            with self._lock:
                done = _count(self.study)
                if self.progress:
                    self.progress(min(done, self.trials), self.trials)
                if done + self._running >= self.trials:
                    return
                self._running += 1
                attempt = self.study.ask()
            try:
                self._try(attempt)
            finally:
                with self._lock:
                    self._running -= 1

    def _try(self, attempt: "optuna.Trial") -> None:
        from optuna.trial import TrialState

        setting = self._suggest_all(attempt)
        trial = self.base.with_setting(setting)
        known = self.table.score(setting)
        if known and known.measured:  # such as a head in closed form, again
            self._tell(attempt, setting, known)
            return
        scores: list[Score] = []
        try:
            for fold in range(self.images.folds):
                scores += measure(self.images, [Job(trial, fold)], self.stop)
                if not scores[-1].measured:
                    self.study.tell(attempt, state=TrialState.PRUNED)
                    return
                attempt.report(Score.mean(scores).ab, fold)
                if fold + 1 < self.images.folds and attempt.should_prune():
                    self.study.tell(attempt, state=TrialState.PRUNED)
                    return
        except Stopped:
            self.study.tell(attempt, state=TrialState.FAIL)
            return
        score = Score.mean(scores)
        self.table.append(setting, score)
        self._tell(attempt, setting, score)

    def _tell(self, attempt: "optuna.Trial", setting: Setting, score: Score) -> None:
        attempt.set_user_attr("setting", dict(setting))
        attempt.set_user_attr("losses", [score.train_loss, score.eval_loss])
        self.study.tell(attempt, score.ab)

    def _suggest_all(self, attempt: "optuna.Trial") -> Setting:
        """A value of everything that concerns the head that is tried."""
        lists = dict(self.lists)
        setting: dict[str, Any] = dict.fromkeys(lists)
        head = self.base.head
        if "head" in lists:
            head = setting["head"] = _suggest(attempt, "head", lists.pop("head"), even=False)
        if head == "mlp":
            losses = self.lists.get("loss", [self.base.loss])
            for name, given in lists.items():
                even = name == "batch" and "ranking" in losses
                setting[name] = _suggest(attempt, name, given, even=even)
        return setting


def _suggest(attempt: "optuna.Trial", name: str, given: list[Any], *, even: bool) -> Any:
    if len(given) == 1:
        return given[0]
    if not all(isinstance(v, (int, float)) and not isinstance(v, bool) for v in given):
        words = {json.dumps(value): value for value in given}
        return words[attempt.suggest_categorical(name, list(words))]
    low, high = min(given), max(given)
    if even:
        low, high = 2 * max(low // 2, 1), 2 * max(high // 2, 1)
        return attempt.suggest_int(name, low, high, step=2)
    wide = low > 0 and high / low >= 10
    if all(isinstance(value, int) for value in given):
        return attempt.suggest_int(name, low, high, log=wide)
    return attempt.suggest_float(name, low, high, log=wide)


def _open_study(
    images: InnerFolds, base: Trial, lists: dict[str, list[Any]], storage: str | None, seed: int
) -> "optuna.Study":
    try:
        import optuna
    except ImportError:
        raise MissingExtra("optuna", "meta_search 'optuna'") from None
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    # Not the features: machines of different kinds compute them with different last digits.
    about = fixed_settings(base, lists) | {"lists": lists, "features": images.features.shape[1]}
    digest = hashlib.sha256(json.dumps(about, sort_keys=True).encode())
    digest.update(images.scores.round(6).astype("<f4").tobytes())
    digest.update(images.fold.astype("<i8").tobytes())
    # A SQLite file is locked while another process writes: wait for it.
    file = storage is not None and storage.startswith("sqlite")
    patient = {"connect_args": {"timeout": 60}} if file else {}
    try:
        study = optuna.create_study(
            direction="maximize",
            storage=storage and optuna.storages.RDBStorage(storage, engine_kwargs=patient),
            study_name=f"aesthetic-{digest.hexdigest()[:16]}",
            load_if_exists=True,
            pruner=optuna.pruners.MedianPruner(n_startup_trials=5),
        )
    except Exception as error:  # of any database driver
        lines = str(error).strip().splitlines() or [type(error).__name__]
        reason = re.sub(r"(://[^:/@\s]*):[^@\s]*@", r"\1:***@", lines[0])  # no password
        raise SettingsError(
            f"meta_storage cannot be opened ({reason}): it must be a database URL such as "
            "sqlite:///meta.db, with the database there and its driver installed"
        ) from None
    before = len(study.get_trials(deepcopy=False))
    if before:
        _log.info("%d trials of this search are in the storage already", before)
    # Whoever works on a study draws points of its own: those that go on, and those beside them.
    study.sampler = optuna.samplers.TPESampler(seed=seed if storage is None else None)
    return study


def _count(study: "optuna.Study") -> int:
    """Trials that are done, the given-up ones included."""
    from optuna.trial import TrialState

    states = (TrialState.COMPLETE, TrialState.PRUNED)
    return len(study.get_trials(deepcopy=False, states=states))


def _result(study: "optuna.Study", base: Trial, interrupted: bool) -> SearchResult:
    from optuna.trial import TrialState

    measured: list[tuple[Setting, Score]] = []
    for trial in study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,)):
        train_loss, eval_loss = trial.user_attrs["losses"]
        assert trial.value is not None
        score = Score(train_loss, eval_loss, trial.value)
        measured.append((trial.user_attrs["setting"], score))
    if not measured:
        if interrupted:
            raise KeyboardInterrupt
        raise ModelError("training diverged in every trial: try lower learning rates")
    setting, score = max(measured, key=lambda pair: pair[1].ab)
    rows = [row_of(setting, score) for setting, score in measured]
    rows = [row for number, row in enumerate(rows) if row not in rows[:number]]  # each once
    given_up = len(study.get_trials(deepcopy=False, states=(TrialState.PRUNED,)))
    return SearchResult(
        setting, base.with_setting(setting), score, rows, interrupted, given_up=given_up
    )
