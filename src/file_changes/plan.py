"""What would change, worked out first: images go into folders, labels of a table are corrected."""

import csv
import filecmp
import io
import os
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Literal

from src.errors import DataError
from src.file_changes.changes import Change, Copy, Folders, Link, Move, Placed, Write
from src.file_changes.sidecars import names_beside, renamed, sidecars
from src.images import ImageFile
from src.text import counted, first_of

_FORBIDDEN = re.compile(r'[<>:"/\\|?*\x00-\x1f]')
_SHOWN = 10
_KINDS: dict[str, type[Placed]] = {"copy": Copy, "move": Move, "link": Link}


@dataclass(frozen=True)
class Plan:
    """What would be done, and the same in lines for people."""

    folders: Folders
    changes: list[Change] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)

    def text(self) -> str:
        """For a dry run: the lines, and the first changes."""
        changes = [f"  would {change.text()}" for change in self.changes]
        return "\n".join([*self.lines, *first_of(changes, _SHOWN)])


def place(
    directory: Path, targets: Mapping[str, str], into: Path, how: Literal["copy", "move", "link"]
) -> Plan:
    """Put images into folders, and their sidecars with them.

    A name that is taken by another file gets a number. Images whose very content lies there
    under their name already, as after an interruption, are left out. The targets name for each
    image, relative to `directory`, where it goes, relative to `into`.
    """
    plan = Plan(Folders(directory, into))
    beside = sidecars(directory, targets)
    claimed: set[str] = set()
    counts: Counter[str] = Counter()
    for image, wanted in targets.items():
        target, done = _free_name(directory / image, into, wanted, claimed)
        claimed |= {name.casefold() for name in names_beside(target)}
        counts[PurePosixPath(target).parts[0]] += not done
        for file in (image, *beside[image]):
            to = target if file == image else renamed(file, image, target)
            # A run that was killed may have left sidecars behind.
            if not done or (how != "move" and not os.path.lexists(into / to)):
                plan.changes.append(_KINDS[how].of(directory, file, to))
    plan.lines.extend(f"{how} {_images(n)} into {into / name}" for name, n in counts.items() if n)
    placed = sum(counts.values())
    if with_them := len(plan.changes) - placed:
        plan.lines.append(f"Sidecar files (.xmp, .txt) that go with them: {with_them:,}")
    if there := len(targets) - placed:
        plan.lines.append(f"{_images(there)} skipped: the same content already exists there")
    return plan


def move_to_folders(directory: Path, folders: Mapping[str, str]) -> Plan:
    """Move images from their folders right below the image folder to others, "" if not known."""
    targets, problems = {}, []
    for path, folder in folders.items():
        _, _, rest = path.partition("/")
        if not folder or not rest or ".." in Path(path).parts:
            problems.append(f"{path} stays: it is not in a folder that stands for a label")
        elif not (directory / path).is_file():
            problems.append(f"{path} is no longer there")
        else:
            targets[path] = f"{folder}/{rest}"
    plan = place(directory, targets, directory, "move")
    plan.lines.extend(problems)
    return plan


def other_folders(
    directory: Path, paths: Sequence[str], keep: Sequence[str], delete: Sequence[str]
) -> dict[str, str]:
    """For images in a folder of kept or of deleted ones, the first folder of the other kind."""
    present = {entry.name.casefold(): entry.name for entry in directory.iterdir()}
    other: dict[str, str] = {}
    for mine, theirs in ((keep, delete), (delete, keep)):
        there = [present[name.casefold()] for name in theirs if name.casefold() in present]
        other |= {name.casefold(): (there or list(theirs))[0] for name in mine}
    return {path: other.get(path.partition("/")[0].casefold(), "") for path in paths}


def relabel_wrong(directory: Path, wrong: Sequence[str], table: str) -> Plan:
    """Turn ones and zeros around in a table `relative_path,score`; everything else stays."""
    try:
        before = (directory / table).read_bytes()
        text = before.decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{directory / table} cannot be read: {error}") from None
    rows = list(csv.reader(io.StringIO(text, newline="")))
    if not rows or not {"relative_path", "score"} <= set(rows[0]):
        raise DataError(f"{directory / table} has no columns relative_path and score")
    path_at, score_at = rows[0].index("relative_path"), rows[0].index("score")
    left = set(wrong)
    for row in rows[1:]:
        if len(row) <= max(path_at, score_at):
            continue
        if found := left & {row[path_at], row[path_at].replace("\\", "/")}:
            row[score_at] = "0" if row[score_at].strip().startswith("1") else "1"
            left -= found
    changed = len(set(wrong)) - len(left)
    plan = Plan(Folders(directory, directory))
    plan.lines.append(f"{counted(changed, 'label')} to change in {table}")
    plan.lines.extend(f"{path} is not in {table}" for path in sorted(left))
    if changed:
        stream = io.StringIO("\ufeff" if before.startswith(b"\xef\xbb\xbf") else "", newline="")
        stream.seek(0, io.SEEK_END)
        csv.writer(stream, lineterminator="\r\n" if b"\r\n" in before else "\n").writerows(rows)
        plan.changes.append(Write.of(directory, table, stream.getvalue().encode()))
    return plan


def not_sorted_yet(
    directory: Path, files: Sequence[ImageFile], into: Path, categories: Sequence[str]
) -> list[ImageFile]:
    """The images of a folder without those that lie in the categories' folders of `into`."""
    root = directory.resolve()
    folders = [into.resolve() / folder_name(category) for category in categories]
    inside = [folder.relative_to(root) for folder in folders if folder.is_relative_to(root)]
    passed_over = tuple(f"{folder.as_posix()}/" for folder in inside)
    return [file for file in files if not file.path.startswith(passed_over)]


def folder_name(category: str) -> str:
    """A category as the name of a folder on any system."""
    name = _FORBIDDEN.sub("_", category).rstrip(" .")
    return name if name and not name.startswith(".") else f"_{name}"


def _images(count: int) -> str:
    return f"{count:,} {'image' if count == 1 else 'images'}"


def _free_name(image: Path, into: Path, wanted: str, claimed: set[str]) -> tuple[str, bool]:
    """The name, or one with a number, that neither a file nor its sidecars have.

    Or that of the image itself there, of the same content: then this is done, True.
    """
    path, name, number = PurePosixPath(wanted), wanted, 1
    while True:
        if name.casefold() not in claimed and _same(image, into / name):
            return name, True
        beside = names_beside(name)
        if not any(n.casefold() in claimed or os.path.lexists(into / n) for n in beside):
            return name, False
        number += 1
        name = str(path.with_name(f"{path.stem} ({number}){path.suffix}"))


def _same(image: Path, target: Path) -> bool:
    """Whether the target is the image itself, a link to it, or of the same content."""
    try:
        return filecmp.cmp(image, target, shallow=False)
    except OSError:
        return False
