"""Labels that a person found wrong, put right: moved to the other folder, or changed in a table."""

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from src.errors import DataError
from src.file_changes.changes import Change, Move, Write


class Plan(NamedTuple):
    """What would be done, and why some images are left alone."""

    changes: list[Change]
    problems: dict[str, str]


def read_decisions(file: Path) -> dict[str, str]:
    """What the review page saved: relative path -> "right" or "wrong".

    Raises:
        DataError: no such file, or not one of the page.
    """
    try:
        with file.open(encoding="utf-8-sig", newline="") as stream:
            rows = list(csv.DictReader(stream))
        return {row["relative_path"].replace("\\", "/"): row["decision"].strip() for row in rows}
    except OSError as error:
        raise DataError(f"{file} cannot be read: {error.strerror or error}") from None
    except (KeyError, AttributeError, UnicodeDecodeError, csv.Error):
        raise DataError(
            f"{file} has no columns relative_path and decision: save it from suspects.html"
        ) from None


def move_wrong(
    directory: Path, wrong: Sequence[str], keep: Sequence[str], delete: Sequence[str]
) -> Plan:
    """Move images from a folder of one kind to the folder of the other.

    Args:
        directory: the image folder.
        wrong: images whose label is wrong, relative to it.
        keep, delete: names of the folders of either kind; an image goes to the first that exists.
    """
    present = {entry.name.casefold(): entry.name for entry in directory.iterdir()}
    other: dict[str, str] = {}
    for mine, theirs in ((keep, delete), (delete, keep)):
        there = [present[name.casefold()] for name in theirs if name.casefold() in present]
        other |= {name.casefold(): (there or list(theirs))[0] for name in mine}
    plan = Plan([], {})
    for path in wrong:
        folder, _, rest = path.partition("/")
        home = other.get(folder.casefold(), "")
        if not home or not rest:
            plan.problems[path] = "it is in no folder of kept or deleted images"
        elif not (directory / path).is_file():
            plan.problems[path] = "it is not there any more"
        elif (directory / home / rest).exists():
            plan.problems[path] = f"{home}/{rest} is there already"
        else:
            status = (directory / path).stat()
            plan.changes.append(Move(path, f"{home}/{rest}", status.st_size, status.st_mtime_ns))
    return plan


def relabel_wrong(directory: Path, wrong: Sequence[str], table: str) -> Plan:
    """Turn ones and zeros around in a table `relative_path,score`; everything else stays.

    Args:
        directory: the image folder.
        wrong: images whose label is wrong, relative to it.
        table: name of the table in it.

    Raises:
        DataError: the table cannot be read or has no such columns.
    """
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
        if len(row) > max(path_at, score_at) and (path := row[path_at].replace("\\", "/")) in left:
            row[score_at] = "0" if row[score_at].strip().startswith("1") else "1"
            left.discard(path)
    problems: Mapping[str, str] = {path: f"it is not in {table}" for path in sorted(left)}
    if len(left) == len(set(wrong)):
        return Plan([], dict(problems))
    stream = io.StringIO(newline="")
    csv.writer(stream, lineterminator="\r\n" if b"\r\n" in before else "\n").writerows(rows)
    after = ("\ufeff" if before.startswith(b"\xef\xbb\xbf") else "") + stream.getvalue()
    return Plan([Write.of(table, before, after.encode("utf-8"))], dict(problems))
