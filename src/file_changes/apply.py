"""Making planned changes and undoing them, and how every script goes about it.

The undo file is on the disk before the first change. Undoing touches only what is still as the
change left it, so it may be repeated, and it finishes what a kill left half done.
"""

import errno
import logging
from collections.abc import Iterable, Iterator, Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import ClassVar, Protocol

from src.errors import DataError
from src.file_changes.changes import OLD_SCORES, Change, Folders, State
from src.file_changes.old_undo_files import parse_old
from src.file_changes.plan import Plan
from src.file_changes.sidecars import SUFFIXES
from src.file_changes.undo_file import Recorded, UndoFile, new_undo_file, parse
from src.progress import progress_bar
from src.text import command, first_of

logger = logging.getLogger(__name__)

_DISK_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EROFS}
_SHOWN = 20


@dataclass(frozen=True)
class Outcome:
    """What came of making or undoing changes."""

    verb: str  # "made" or "undone"
    done: int = 0
    nothing_to_do: int = 0  # left out by an interruption, or undone before
    problems: dict[str, str] = field(default_factory=dict)  # file left as it is -> why

    def report(self) -> str:
        """What was done; a DataError that says it too, if something was not."""
        text = f"{self.done:,} {'change' if self.done == 1 else 'changes'} {self.verb}"
        if self.nothing_to_do:
            text += f"; {self.nothing_to_do:,} needed no change"
        if not self.problems:
            return text
        lines = [f"  {path}: {why}" for path, why in self.problems.items()]
        raise DataError(
            "\n".join([f"{text}; {len(lines):,} could not be:", *first_of(lines, _SHOWN)])
        )


class Settings(Protocol):
    """What the settings of a script that changes files have."""

    script: ClassVar[str]

    @property
    def dry_run(self) -> bool: ...
    def command(self, *, dry_run: bool) -> str: ...


def carry_out(plan: Plan, settings: Settings, what: str, undo_folder: Path) -> bool:
    """Print what a plan does and how it is undone, and unless it is a dry run, do it.

    Returns whether anything was changed. `what` becomes a part of the undo file's name.
    """
    print(plan.text() if settings.dry_run else "\n".join(plan.lines))
    if not plan.changes:
        return False
    if settings.dry_run:
        print("Nothing was changed: this was a dry run.")
        print(f"Next: {settings.command(dry_run=False)}")
        return False
    undo_file = new_undo_file(undo_folder, what)
    print(undo_line(settings.script, undo_file), flush=True)
    print(apply(plan.folders, plan.changes, undo_file).report())
    return True


def undo_line(script: str, undo_file: Path) -> str:
    """The command that undoes what an undo file holds."""
    return f"To undo it: {command(script, undo=undo_file)}"


def apply(folders: Folders, changes: Sequence[Change], undo_file: Path) -> Outcome:
    """Write the undo file, then make the changes; one that fails does not stop the others."""
    UndoFile(undo_file, folders, changes, _new_folders(folders, changes)).close()
    return make(folders, _shown(changes, "changing files"))


def make(folders: Folders, changes: Iterable[Change]) -> Outcome:
    """Make changes that an undo file holds already."""
    done, problems = 0, {}
    failed: set[str] = set()  # images by path, with and without suffix
    full = ""
    for change in changes:
        path = PurePosixPath(change.path)
        is_sidecar = path.suffix.lower() in SUFFIXES
        if full or (is_sidecar and str(path.with_suffix("")) in failed):
            problems[change.path] = full or "stays with its image"
            continue
        try:
            change.make(folders)
            done += 1
        except (OSError, DataError) as error:
            problems[change.path] = _reason(error)
            failed |= set() if is_sidecar else {change.path, str(path.with_suffix(""))}
            if isinstance(error, OSError) and error.errno in _DISK_FULL:
                full = f"not begun ({_reason(error)})"
    return Outcome("made", done, problems=problems)


def undo(undo_file: Path) -> Outcome:
    """Undo everything that an undo file holds, in the opposite order."""
    from src.rating.storage.choice_log import no_window

    recorded = read_undo_file(undo_file)
    logger.info("Undoing in %s", " and ".join(dict.fromkeys(map(str, recorded.folders))))
    # Version bc9c4d7 wrote scores, which an open window would write over.
    scores = any(change.path == OLD_SCORES for change in recorded.changes)
    with no_window(recorded.folders.directory) if scores else nullcontext():
        return _undo(recorded)


def read_undo_file(file: Path) -> Recorded:
    """What an undo file of this or an earlier version holds; nothing outside its folders."""
    try:
        content = file.read_bytes()
    except OSError as error:
        raise DataError(f"{file} cannot be read: {_reason(error)}") from None
    recorded = parse(file, content) or parse_old(content, file.resolve().parent)
    if recorded is None:
        raise DataError(
            f"{file} is not an undo file of this program, or damaged: nothing was undone"
        )
    (directory, into), changes, new_folders = recorded
    for change in changes:
        to = getattr(change, "to", None)
        if to is not None and into / to == directory / change.path:
            raise DataError(f"{file} is damaged: nothing was undone ({to} would be its own copy)")
    for folder in new_folders:
        if not (folder.is_relative_to(into) or into.is_relative_to(folder)):
            raise DataError(f"{file} is damaged: nothing was undone ({folder} is elsewhere)")
    # A folder that was left empty may have been removed since; moving back makes it again.
    if not directory.is_dir() and (into == directory or not into.is_dir()):
        raise DataError(f"{file} is about {directory}, which is missing: put the folder back")
    return recorded


def _undo(recorded: Recorded) -> Outcome:
    folders, changes, new_folders = recorded
    done, nothing, problems = 0, 0, {}
    for change in _shown(changes[::-1], "undoing"):
        try:
            for leftover in change.leftovers(folders):
                leftover.unlink(missing_ok=True)
            state = change.state(folders)
            if state is State.AFTER:
                change.undo(folders)
        except (OSError, DataError) as error:
            problems[change.path] = _reason(error)
            continue
        done += state is State.AFTER
        nothing += state is State.BEFORE
        if state is State.OTHER:
            problems[change.path] = state.value
    for folder in reversed(new_folders):
        with suppress(OSError):  # not empty, or gone
            folder.rmdir()
    return Outcome("undone", done, nothing, problems)


def _shown(changes: Sequence[Change], what: str) -> Iterator[Change]:
    with progress_bar(len(changes), what, "file") as bar:
        for change in changes:
            yield change
            bar.update()


def _new_folders(folders: Folders, changes: Sequence[Change]) -> list[Path]:
    """The folders that the changes will make, each before those inside it."""
    targets = {(folders.into / to).parent for c in changes if (to := getattr(c, "to", None))}
    above = {folder for target in targets for folder in (target, *target.parents)}
    return sorted(folder for folder in above if not folder.exists())


def _reason(error: Exception) -> str:
    """Why a change was not made or undone, without the names of temporary files."""
    return getattr(error, "strerror", None) or str(error)
