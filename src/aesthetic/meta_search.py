"""Searching the training settings: every combination of lists.

Combinations are judged on inner folds of the training images. The test images stay out of it, so
that what is reported about the winner on them is honest.
"""

import hashlib
import itertools
import logging
import os
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from src.aesthetic.meta_table import COLUMNS, MetaTable
from src.aesthetic.trainer import Diverged, check_batch
from src.aesthetic.trials import OPTION_OF, InnerFolds, Score, Setting, Trial
from src.errors import ModelError, SettingsError

Values = Mapping[str, Sequence[Any]]
Progress = Callable[[int, int], None]
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class SearchResult:
    """What a search found.

    Attributes:
        setting: the winning combination.
        trial: the same, ready to be trained with `InnerFolds.train` on all training images.
        score: of the winner on the inner folds.
        rows: all combinations with their results, as in meta.txt.
        interrupted: stopped by Ctrl-C; the winner is the best of what was tried.
    """

    setting: Setting
    trial: Trial
    score: Score
    rows: list[dict[str, str]]
    interrupted: bool = False


class Stopped(Exception):
    """A training was given up because the search is."""


def grid_search(
    images: InnerFolds,
    base: Trial,
    values: Values,
    path: Path,
    *,
    workers: int | None = None,
    progress: Progress | None = None,
) -> SearchResult:
    """Try every combination and write one row each into meta.txt, as soon as it is done.

    Combinations that the file already holds for the same images and settings are not repeated.

    Args:
        images: the training images in folds.
        base: what is the same in all combinations.
        values: lists by name (see `Trial.with_setting`): "epochs", "lr", "batch" and any others.
        path: of meta.txt.
        workers: trainings at a time; None for one per processor core (one on a GPU).
        progress: called with combinations done and in total.

    Raises:
        SettingsError: an impossible combination, found before anything is trained.
        ModelError: every combination diverged.
        DataError: the file cannot be written.
    """
    settings = combinations(base, values)
    trials = [base.with_setting(setting) for setting in settings]
    for trial in trials:
        check_batch(trial.loss, trial.options)
    table = open_table(path, images, base, settings[0])
    todo = [i for i, setting in enumerate(settings) if table.score(setting) is None]
    done = len(settings) - len(todo)
    if done:
        _log.info("%d of %d combinations are in %s already", done, len(settings), path)
    scores: dict[int, list[Score]] = {i: [] for i in todo}
    stop = threading.Event()
    interrupted = False
    pool = ThreadPoolExecutor(workers or default_workers(base.device))
    futures: dict[Future[Score], int] = {
        pool.submit(score_fold, images, trials[i], fold, stop): i
        for i in todo
        for fold in range(images.folds)
    }
    try:
        for future in as_completed(futures):
            number = futures[future]
            scores[number].append(future.result())
            if len(scores[number]) == images.folds:
                table.append(settings[number], Score.mean(scores[number]))
                done += 1
                if progress:
                    progress(done, len(settings))
    except KeyboardInterrupt:
        interrupted = True
    finally:
        stop.set()
        pool.shutdown(cancel_futures=True)
    return _winner(table, settings, base, interrupted)


def combinations(base: Trial, values: Values) -> list[dict[str, Any]]:
    """Every combination of the lists, the last varying fastest; the usual three first.

    Raises:
        SettingsError: an empty list.
    """
    lists: dict[str, list[Any]] = {name: [present(base, name)] for name in OPTION_OF}
    lists |= {name: list(given) for name, given in values.items()}
    empty = [name for name, given in lists.items() if not given]
    if empty:
        raise SettingsError(f"meta search: there is no value of {', '.join(empty)} to try")
    return [dict(zip(lists, chosen, strict=True)) for chosen in itertools.product(*lists.values())]


def default_workers(device: str) -> int:
    """Trainings at a time: one per processor core; a GPU is kept busy by one."""
    return (os.cpu_count() or 1) if device == "cpu" else 1


def open_table(path: Path, images: InnerFolds, base: Trial, setting: Setting) -> MetaTable:
    """The meta.txt of these images and settings; see `MetaTable`."""
    digest = hashlib.sha256()
    for array in (images.features, images.scores, images.weights):
        digest.update(array.astype("<f4").tobytes())
    digest.update(images.fold.astype("<i8").tobytes())
    fixed = {
        "options": {k: v for k, v in vars(base.options).items() if k not in OPTION_OF.values()},
        "shape": vars(base.shape),
        "loss": base.loss,
        "from_scratch": base.start is None,
        "images": digest.hexdigest(),
    }
    return MetaTable(path, [name for name in setting if name not in COLUMNS], fixed)


def score_fold(images: InnerFolds, trial: Trial, fold: int, stop: threading.Event) -> Score:
    """Train without a fold and measure on it; NaN if training diverges.

    Raises:
        Stopped: `stop` was set meanwhile.
    """

    def heed(done: int, total: int) -> None:
        if stop.is_set():
            raise Stopped

    try:
        return images.score(trial, images.train(trial, fold, progress=heed), fold)
    except Diverged:
        return Score(float("nan"), float("nan"), float("nan"))


def present(base: Trial, name: str) -> Any:
    """The value of "epochs", "lr" or "batch" where it is not searched."""
    return getattr(base.options, OPTION_OF[name])


def _winner(
    table: MetaTable, settings: Sequence[Setting], base: Trial, interrupted: bool
) -> SearchResult:
    measured = [(setting, score) for setting in settings if (score := table.score(setting))]
    measured = [(setting, score) for setting, score in measured if score.measured]
    if not measured:
        if interrupted:
            raise KeyboardInterrupt
        raise ModelError("training diverged with every combination: try lower learning rates")
    setting, score = max(measured, key=lambda pair: pair[1].ab)
    return SearchResult(setting, base.with_setting(setting), score, table.rows, interrupted)
