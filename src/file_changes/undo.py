"""Changes to files that can be taken back: written down first, then made.

A change knows what was there before and what it leaves behind. Taking back only ever touches what
is still as the change left it, so it can be repeated, and it works after an interrupted run.
"""

import json
import time
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from src.errors import DataError
from src.file_changes.changes import KINDS, Change, State
from src.files import write_text
from src.rating.storage import choice_log, score_file

FORMAT = "image-taste undo file"


@dataclass(frozen=True)
class Made:
    """What came of a list of changes: how many were made, and why the others were not."""

    done: int
    failed: dict[str, str] = field(default_factory=dict)

    def text(self) -> str:
        """The same for people."""
        failed = [f"Not done: {path}: {why}" for path, why in self.failed.items()]
        return "\n".join([*_few(failed), f"Done: {self.done:,} changes."])


@dataclass(frozen=True)
class Undone:
    """What came of taking changes back.

    Attributes:
        restored: as before again.
        never_made: changes that an interruption had left out, or that were taken back before.
        changed_since: left alone, because someone has changed the file since.
        failed: what could not be put back, and why.
    """

    restored: int
    never_made: int
    changed_since: tuple[str, ...]
    failed: dict[str, str] = field(default_factory=dict)

    def text(self) -> str:
        """The same for people."""
        changed = [f"Changed since, and left as it is: {path}" for path in self.changed_since]
        failed = [f"Not taken back: {path}: {why}" for path, why in self.failed.items()]
        counts = f"{self.restored:,} changes taken back; {self.never_made:,} needed nothing."
        return "\n".join([counts, *_few(changed), *_few(failed)])


def _few(lines: list[str], most: int = 20) -> list[str]:
    """The first lines, and how many more there are."""
    more = [f"... and {len(lines) - most:,} more"] if len(lines) > most else []
    return [*lines[:most], *more]


def make(directory: Path, changes: Sequence[Change], journal: Path) -> Made:
    """Write the changes down, then make them; one that fails does not stop the others.

    Args:
        directory: the folder that the paths of the changes are relative to.
        changes: what to do.
        journal: the undo file; there must be none of that name.

    Raises:
        DataError: the undo file exists or cannot be written, or scores would change under an open
            rating window; nothing was changed then.
    """
    if journal.exists():
        raise DataError(f"{journal} is there already: an undo file is never overwritten")
    with _window_closed(directory, changes):
        return _make(directory, changes, journal)


def _make(directory: Path, changes: Sequence[Change], journal: Path) -> Made:
    content = {
        "format": FORMAT,
        "directory": str(directory.resolve()),
        "made": time.strftime("%Y-%m-%d %H:%M:%S"),
        "changes": [{"kind": change.kind, **change.to_json()} for change in changes],
    }
    write_text(journal, json.dumps(content, indent=1, ensure_ascii=False))
    done, failed = 0, {}
    for change in changes:
        try:
            change.make(directory)
            done += 1
        except (OSError, DataError) as error:
            failed[change.path] = getattr(error, "strerror", None) or str(error)
    return Made(done, failed)


def take_back(journal: Path) -> Undone:
    """Undo everything that an undo file holds, in the opposite order.

    Raises:
        DataError: the undo file is missing or damaged, its image folder is gone, or scores would
            change under an open rating window.
    """
    directory, changes = _read(journal)
    with _window_closed(directory, changes):
        return _take_back(directory, changes)


def _take_back(directory: Path, changes: Sequence[Change]) -> Undone:
    counts = {State.BEFORE: 0, State.AFTER: 0}
    changed, failed = [], {}
    for change in reversed(changes):
        try:
            state = change.state(directory)
            if state is State.AFTER:
                change.undo(directory)
        except (OSError, DataError) as error:
            failed[change.path] = getattr(error, "strerror", None) or str(error)
            continue
        if state is State.OTHER:
            changed.append(change.path)
        else:
            counts[state] += 1
    return Undone(counts[State.AFTER], counts[State.BEFORE], tuple(changed[::-1]), failed)


def _window_closed(directory: Path, changes: Sequence[Change]) -> AbstractContextManager[None]:
    """Holds the rating window's lock where `score.json` is among what changes."""
    scores = any(change.path == score_file.NAME for change in changes)
    return choice_log.no_window(directory) if scores else nullcontext()


def _read(journal: Path) -> tuple[Path, list[Change]]:
    try:
        content = json.loads(journal.read_text(encoding="utf-8"))
    except OSError as error:
        raise DataError(f"{journal} cannot be read: {error.strerror or error}") from None
    except ValueError:
        raise DataError(f"{journal} is damaged: it is no JSON") from None
    try:
        if content["format"] != FORMAT:
            raise ValueError
        directory = Path(content["directory"])
        changes = [_change(entry) for entry in content["changes"]]
    except (KeyError, TypeError, ValueError, AttributeError):
        raise DataError(f"{journal} is no undo file of this program, or damaged") from None
    if not directory.is_dir():
        raise DataError(
            f"{journal} is about {directory}, which is not there: put the folder back in its "
            'place, or correct "directory" in the undo file'
        )
    return directory, changes


def _change(entry: dict[str, Any]) -> Change:
    entry = dict(entry)
    return KINDS[entry.pop("kind")].from_json(entry)


def new_journal(folder: Path, what: str) -> Path:
    """A path for an undo file, named after the action and the time, that does not exist yet."""
    stem = f"undo-{what}-{time.strftime('%Y%m%d-%H%M%S')}"
    names: Iterable[str] = (f"{stem}{'' if n == 1 else f'-{n}'}.json" for n in range(1, 1000))
    return next(path for name in names if not (path := folder / name).exists())
