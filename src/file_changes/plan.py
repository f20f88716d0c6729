"""What would change, worked out before anything does: images and their sidecars into folders."""

import filecmp
import os
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Literal

from src.errors import DataError
from src.file_changes.changes import Change, Copy, Folders, Link, Move
from src.file_changes.sidecars import names_beside, renamed, sidecars
from src.images import ImageFile

_FORBIDDEN = re.compile(r'[<>:"/\\|?*\x00-\x1f]')
_SHOWN = 10


@dataclass(frozen=True)
class Plan:
    """What would be done, and the same in lines for people."""

    folders: Folders
    changes: list[Change] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)

    def text(self) -> str:
        """For a dry run: the lines, and the first changes."""
        shown = [f"  would {change.text()}" for change in self.changes[:_SHOWN]]
        if len(self.changes) > _SHOWN:
            shown.append(f"  ... and {len(self.changes) - _SHOWN:,} more")
        return "\n".join([*self.lines, *shown])


def place(
    directory: Path, targets: Mapping[str, str], into: Path, how: Literal["copy", "move", "link"]
) -> Plan:
    """Put images into folders, and their sidecars with them.

    A name that is taken by another file gets a number. Images whose very content lies there
    under their name already, as after an interruption, are left out.

    Args:
        targets: image, relative to `directory` -> where it goes, relative to `into`.

    Raises:
        DataError: an image is gone.
    """
    plan = Plan(Folders(directory, into))
    beside = sidecars(directory, targets)
    claimed: set[str] = set()
    counts: Counter[str] = Counter()
    there = moved_sidecars = 0
    for image, wanted in targets.items():
        target = _free_name(directory / image, into, wanted, claimed)
        if target is None:
            there += 1
            continue
        claimed |= {name.casefold() for name in names_beside(target)}
        try:
            for file in (image, *beside[image]):
                to = target if file == image else renamed(file, image, target)
                if how == "move":
                    plan.changes.append(Move.of(directory, file, to))
                else:
                    plan.changes.append((Copy if how == "copy" else Link)(path=file, to=to))
        except OSError as error:
            raise DataError(f"{directory / image}: {error.strerror or error}") from None
        counts[PurePosixPath(target).parts[0]] += 1
        moved_sidecars += len(beside[image])
    plan.lines.extend(
        f"{how} {_images(count)} into {into / name}" for name, count in counts.items()
    )
    if moved_sidecars:
        plan.lines.append(f"Files beside them (.xmp, .txt) that go with them: {moved_sidecars:,}")
    if there:
        plan.lines.append(f"{_images(there)} left out: the same content is there already")
    return plan


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


def folder_name(category: str) -> str:
    """A category as the name of a folder on any system."""
    name = _FORBIDDEN.sub("_", category).rstrip(" .")
    return name if name and not name.startswith(".") else f"_{name}"


def _images(count: int) -> str:
    return f"{count:,} {'image' if count == 1 else 'images'}"


def _free_name(image: Path, into: Path, wanted: str, claimed: set[str]) -> str | None:
    """The name, or one with a number, that neither a file nor its sidecars have; None: done."""
    path, name, number = PurePosixPath(wanted), wanted, 1
    while True:
        if name.casefold() not in claimed and _same(image, into / name):
            return None
        beside = names_beside(name)
        if not any(n.casefold() in claimed or os.path.lexists(into / n) for n in beside):
            return name
        number += 1
        name = str(path.with_name(f"{path.stem} ({number}){path.suffix}"))


def _same(image: Path, target: Path) -> bool:
    """Whether the target is the image itself, a link to it, or of the same content."""
    try:
        return filecmp.cmp(image, target, shallow=False)
    except OSError:
        return False
