"""The Optuna study that keeps what was tried, and meta.txt, which is written from it."""

import hashlib
import json
import logging
import os
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import optuna
from optuna.trial import TrialState

from src.aesthetic.search.folds import InnerFolds, Score
from src.aesthetic.search.space import KEYS, Lists, Setting, text
from src.errors import SettingsError, UserError, first_line
from src.files import csv_text
from src.settings.aesthetic_training import AestheticTraining
from src.settings.mlp import Mlp
from src.text import without_password

DONE = (TrialState.COMPLETE, TrialState.PRUNED)
_log = logging.getLogger(__name__)


def open_study(images: InnerFolds, settings: AestheticTraining, lists: Lists) -> optuna.Study:
    """The study of this question, found again in the storage by what it is about.

    Runs with the same images, folds and settings work on one study, one after another or at once
    on several machines. Of a grid, lists of numbers and words may grow; ranges are part of the
    question.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    ranges, storage = settings.meta_search == "optuna", settings.meta_storage or None
    digest = hashlib.sha256(json.dumps(_about(images, settings, lists), sort_keys=True).encode())
    digest.update(images.images.scores.round(6).astype("<f4").tobytes())
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
            pruner=optuna.pruners.MedianPruner() if ranges else optuna.pruners.NopPruner(),
        )
    except Exception as error:  # of any database driver
        reason = without_password(first_line(error))
        raise SettingsError(
            f"meta_storage cannot be opened ({reason}): it must be a database URL such as "
            "sqlite:///meta.db; the database must exist, and its driver must be installed"
        ) from None
    # Whoever works on a study draws points of its own: those that go on, and those beside them.
    seed = settings.training_args.seed if storage is None else None
    study.sampler = optuna.samplers.TPESampler(seed=seed)
    return study


def _about(images: InnerFolds, settings: AestheticTraining, lists: Lists) -> dict[str, Any]:
    """What is the same in all trials, as JSON values."""
    fixed = settings.model_dump(mode="json", include=set(Mlp.model_fields) - {"device"})
    for name in lists:
        group, _, inner = KEYS.get(name, "head").rpartition(".")
        (fixed[group] if group else fixed).pop(inner, None)
    start = hashlib.sha256()
    if images.start is not None:
        for name, array in sorted(images.start.store().arrays.items()):
            start.update(name.encode() + array.astype("<f4").tobytes())
    ranges = settings.meta_search == "optuna"
    searched = {
        name: list(given) if ranges or isinstance(given[0], tuple) else None
        for name, given in lists.items()
    }
    # Machines of different kinds compute features with different last digits.
    size = f"{np.abs(images.images.features).mean():.4g}"
    about = {"features": [images.images.features.shape[1], size], "start": start.hexdigest()}
    return about | {"fixed": fixed, "searched": searched, "ranges": ranges}


def finished(study: optuna.Study) -> list[tuple[Setting, Score]]:
    """What was measured, in the order of finishing, each setting once; NaN where it diverged."""
    found: list[tuple[Setting, Score]] = []
    trials = study.get_trials(deepcopy=False, states=DONE)
    for trial in sorted(trials, key=lambda trial: str(trial.datetime_complete)):
        if "score" in trial.user_attrs:
            setting, score = trial.user_attrs.get("setting", {}), trial.user_attrs["score"]
            try:
                measured = Score(**{name: float(value) for name, value in score.items()})
                unknown = setting.keys() - {*KEYS, "head"}
            except (AttributeError, TypeError, ValueError):
                raise damaged(f"trial {trial.number}") from None
            if unknown:
                raise damaged(f"trial {trial.number}")
            if all(setting != other for other, _ in found):
                found.append((setting, measured))
    return found


def damaged(what: str) -> SettingsError:
    return SettingsError(
        f"the database of meta_storage is damaged or cannot be used ({without_password(what)}): "
        "move it away to start afresh, or name another"
    )


@contextmanager
def telling_damage() -> Iterator[None]:
    """Whatever Optuna raises over what is in its storage becomes one line."""
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        frames = traceback.walk_tb(error.__traceback__)
        if not any(f.f_globals.get("__name__", "").startswith("optuna.") for f, _ in frames):
            raise
        raise damaged(first_line(error)) from None


def table(study: optuna.Study, names: Sequence[str]) -> list[dict[str, str]]:
    """The rows of meta.txt: epochs, lr, batch, the results, then the other settings."""
    columns = (*names[:3], *Score._fields, *names[3:])
    rows = ({**setting, **score._asdict()} for setting, score in finished(study))
    return [{name: text(row.get(name)) for name in columns} for row in rows]


def table_text(study: optuna.Study, names: Sequence[str]) -> str:
    heading = (*names[:3], *Score._fields, *names[3:])
    return csv_text([heading, *(row.values() for row in table(study, names))])


def put_aside(path: Path, text: str) -> None:
    """Give a meta.txt that holds other lines than these another name."""
    if not path.exists():
        return
    there = path.read_text(encoding="utf-8", errors="replace").splitlines()
    if set(there) <= set(text.splitlines()):
        return
    number = 1
    while (aside := path.with_name(f"{path.stem}-{number}.txt")).exists():
        number += 1
    os.replace(path, aside)
    _log.warning("%s was for other data or settings: renamed to %s", path, aside.name)
