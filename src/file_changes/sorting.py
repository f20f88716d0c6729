"""Putting images into one folder for each category: planned, carried out, and undone."""

import errno
import hashlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, NamedTuple

from src.errors import DataError
from src.files import replacing
from src.images import ImageFile
from src.progress import progress_bar

Action = Literal["copy", "move", "link"]

NOTES = "classify_undo.jsonl"
"""In the target folder: one line for each thing done, written before it is done."""

_FORBIDDEN = re.compile(r'[<>:"/\\|?*\x00-\x1f]')


class Step(NamedTuple):
    """One image and where it goes."""

    source: Path
    target: Path


def not_sorted_yet(
    directory: Path, files: Sequence[ImageFile], into: Path, categories: Sequence[str]
) -> list[ImageFile]:
    """The images of a folder without those that lie in the categories' folders of `into`."""
    root = directory.resolve()
    sorted_into = [into.resolve() / folder_name(category) for category in categories]
    inside = tuple(
        f"{folder.relative_to(root).as_posix()}/"
        for folder in sorted_into
        if folder.is_relative_to(root)
    )
    return [file for file in files if not file.path.startswith(inside)]


def plan(sources: Sequence[Path], categories: Sequence[str], into: Path) -> list[Step]:
    """Where each image goes: into the folder of its category, under its own name.

    No name is given twice and none that is taken already; a number is added instead. Images whose
    very content lies there under their name already, as after an interruption, are left out.

    Args:
        sources: the images, (n).
        categories: of each, (n).
        into: the folder that holds or gets the categories' folders.
    """
    steps = []
    claimed: set[Path] = set()
    for source, category in zip(sources, categories, strict=True):
        folder = into / folder_name(category)
        target, number = folder / source.name, 1
        done = False
        while target in claimed or os.path.lexists(target):
            if target not in claimed and _same(source, target):
                done = True
                break
            number += 1
            target = folder / f"{source.stem} ({number}){source.suffix}"
        if not done:
            claimed.add(target)
            steps.append(Step(source, target))
    return steps


def carry_out(steps: Sequence[Step], action: Action, into: Path) -> None:
    """Copy, move or link the images; what is to be done is noted first.

    Raises:
        DataError: a file cannot be read or written; what was done until then is noted.
    """
    into.mkdir(parents=True, exist_ok=True)
    act = {"copy": _copy, "move": _move, "link": _link}[action]
    try:
        with (
            (into / NOTES).open("a", encoding="utf-8") as notes,
            progress_bar(len(steps), action) as bar,
        ):
            for step in steps:
                note = {
                    "action": action,
                    "from": str(step.source.resolve()),
                    "to": str(step.target.resolve()),
                }
                notes.write(json.dumps(note, ensure_ascii=False) + "\n")
                notes.flush()
                step.target.parent.mkdir(parents=True, exist_ok=True)
                act(step.source, step.target)
                bar.update()
    except OSError as error:
        raise DataError(
            f"{error.filename or into}: {error.strerror or error}; what was done is noted in "
            f"{into / NOTES}"
        ) from None


class Undone(NamedTuple):
    """What came of undoing."""

    undone: int
    copies: int  # left where they are, since no image is ever deleted
    problems: list[str]  # a line for each image that could not be put back


def undo(into: Path) -> Undone:
    """Move moved images back and take links away; copies are left.

    Raises:
        DataError: there are no notes, or they are damaged.
    """
    file = into / NOTES
    try:
        notes = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
        done = [(note["action"], Path(note["from"]), Path(note["to"])) for note in notes]
    except FileNotFoundError:
        raise DataError(f"nothing to undo: there is no {file}") from None
    except (ValueError, KeyError, TypeError):
        raise DataError(f"{file} is damaged: nothing was undone") from None
    undone, copies, problems = 0, 0, []
    with progress_bar(len(done), "undo") as bar:
        for action, source, target in reversed(done):
            bar.update()
            if action == "copy":
                copies += target.exists()
                continue
            problem = _undo_one(action, source, target)
            if problem is None:
                undone += 1
            elif problem:
                problems.append(problem)
    file.replace(file.with_suffix(".undone.jsonl"))
    return Undone(undone, copies, problems)


def folder_name(category: str) -> str:
    """A category as the name of a folder on any system."""
    name = _FORBIDDEN.sub("_", category).rstrip(" .")
    return name if name and not name.startswith(".") else f"_{name}"


def _undo_one(action: str, source: Path, target: Path) -> str | None:
    """None if it is undone, "" if there is nothing to undo, otherwise what is in the way."""
    if not os.path.lexists(target):
        return ""
    if action == "link":
        if not (target.is_symlink() or (source.exists() and target.samefile(source))):
            return f"no link any more: {target}"
        target.unlink()
        return None
    if os.path.lexists(source):
        return f"its old place is taken: {target}"
    source.parent.mkdir(parents=True, exist_ok=True)
    _move(target, source)
    return None


def _copy(source: Path, target: Path) -> None:
    with replacing(target) as temporary:
        shutil.copy2(source, temporary)


def _move(source: Path, target: Path) -> None:
    try:
        source.rename(target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        # Another file system: the original goes only when the copy is there as a whole.
        with tempfile.TemporaryDirectory(prefix=".", dir=target.parent) as folder:
            copied = Path(shutil.copy2(source, folder))
            with copied.open("rb+") as stream:
                os.fsync(stream.fileno())
            copied.rename(target)
        source.unlink()


def _link(source: Path, target: Path) -> None:
    try:
        target.symlink_to(source.resolve())
    except OSError:  # Windows allows symbolic links to some users only
        os.link(source, target)


def _same(source: Path, target: Path) -> bool:
    """Whether the target is the image itself, a link to it, or of the same content."""
    try:
        if target.samefile(source):
            return True
        return source.stat().st_size == target.stat().st_size and _digest(source) == _digest(target)
    except OSError:
        return False


def _digest(file: Path) -> bytes:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").digest()
