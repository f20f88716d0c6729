"""Searching the training settings: every combination of lists.

Combinations are judged on inner folds of the training images. The test images stay out of it, so
that what is reported about the winner on them is honest.
"""

import hashlib
import itertools
import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from src.aesthetic.search.stacks import Job, check_jobs, measure, run_stacks
from src.aesthetic.search.table import COLUMNS, MetaTable
from src.aesthetic.search.trials import OPTION_OF, InnerFolds, Score, Setting, Trial
from src.errors import ModelError, SettingsError

Values = Mapping[str, Sequence[Any]]
Progress = Callable[[int, int], None]
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class SearchResult:
    """What a search found.

    Attributes:
        setting: the winning combination; None for what its head does not ask for.
        trial: the same, ready to be trained on all training images.
        score: of the winner on the inner folds.
        rows: all combinations with their results, as in meta.txt.
        interrupted: stopped by Ctrl-C; the winner is the best of what was tried.
        given_up: combinations that were abandoned early.
    """

    setting: Setting
    trial: Trial
    score: Score
    rows: list[dict[str, str]]
    interrupted: bool = False
    given_up: int = 0


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
        workers: stacks of trainings at a time; None for one per processor core (one on a GPU).
        progress: called with combinations done and in total.

    Raises:
        SettingsError: an impossible combination, found before anything is trained.
        ModelError: every combination diverged.
        DataError: the file cannot be written.
    """
    settings = combinations(base, values)
    trials = [base.with_setting(setting) for setting in settings]
    check_jobs(images, trials)
    table = open_table(path, images, base, settings[0])
    todo = [i for i, setting in enumerate(settings) if table.score(setting) is None]
    done = len(settings) - len(todo)
    if done:
        _log.info("%d of %d combinations are in %s already", done, len(settings), path)
    numbers = [i for i in todo for _ in range(images.folds)]
    jobs = [Job(trials[i], fold) for i in todo for fold in range(images.folds)]
    scores: dict[int, list[Score]] = {i: [] for i in todo}
    interrupted = False
    runs = run_stacks(
        images, jobs, lambda stack, stop: measure(images, stack, stop), workers=workers
    )
    try:
        with closing(runs):
            for stack, measured in runs:
                for job, score in zip(stack, measured, strict=True):
                    scores[numbers[job]].append(score)
                for number in dict.fromkeys(numbers[job] for job in stack):
                    if len(scores[number]) == images.folds:
                        table.append(settings[number], Score.mean(scores[number]))
                        done += 1
                        if progress:
                            progress(done, len(settings))
    except KeyboardInterrupt:
        interrupted = True
    return _winner(table, settings, base, interrupted)


def combinations(base: Trial, values: Values) -> list[dict[str, Any]]:
    """Every combination of the lists, the last varying fastest; the usual three first.

    With a list of heads, one that is fitted in closed form comes once: nothing else concerns it.

    Raises:
        SettingsError: an empty list.
    """
    lists = all_lists(base, values)
    found: list[dict[str, Any]] = []
    for chosen in itertools.product(*lists.values()):
        setting = dict(zip(lists, chosen, strict=True))
        if setting.get("head", base.head) != "mlp":
            setting = {name: value if name == "head" else None for name, value in setting.items()}
        if setting not in found:
            found.append(setting)
    return found


def all_lists(base: Trial, values: Values) -> dict[str, list[Any]]:
    """The lists of values by name, the usual three first, with one value if they are not given.

    Raises:
        SettingsError: an empty list.
    """
    lists: dict[str, list[Any]] = {name: [present(base, name)] for name in OPTION_OF}
    lists |= {name: list(given) for name, given in values.items()}
    empty = [name for name, given in lists.items() if not given]
    if empty:
        raise SettingsError(f"meta search: there is no value of {', '.join(empty)} to try")
    return lists


def open_table(path: Path, images: InnerFolds, base: Trial, searched: Setting) -> MetaTable:
    """The meta.txt of these images and settings; see `MetaTable`."""
    digest = hashlib.sha256()
    for array in (images.features, images.scores, images.weights):
        digest.update(array.astype("<f4").tobytes())
    digest.update(images.fold.astype("<i8").tobytes())
    more = [name for name in searched if name not in COLUMNS]
    about = fixed_settings(base, searched) | {"images": digest.hexdigest()}
    return MetaTable(path, more, about)


def fixed_settings(base: Trial, searched: Setting) -> dict[str, Any]:
    """What is the same in all combinations, as JSON values."""
    names = {OPTION_OF.get(name, name) for name in searched}
    start = hashlib.sha256()
    if base.start is not None:
        for name, array in sorted(base.start.to_arrays().items()):
            start.update(name.encode() + array.astype("<f4").tobytes())
    fixed: dict[str, Any] = {
        "options": {name: v for name, v in vars(base.options).items() if name not in names},
        "shape": {name: v for name, v in vars(base.shape).items() if name not in names},
        "start": None if base.start is None else start.hexdigest(),
    }
    return fixed | {name: getattr(base, name) for name in ("loss", "head") if name not in names}


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
