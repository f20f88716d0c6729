"""Labels that a person found wrong: images moved to another folder, or a table changed."""

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path

from src.errors import DataError
from src.file_changes.changes import Folders, Write
from src.file_changes.plan import Plan, place


def move_to_folders(directory: Path, folders: Mapping[str, str]) -> Plan:
    """Move images from the folder right below the image folder that they are in to another.

    Args:
        folders: image, relative to `directory` -> the name of its new folder; "" if not known.
    """
    targets, problems = {}, []
    for path, folder in folders.items():
        _, _, rest = path.partition("/")
        if not folder or not rest or ".." in Path(path).parts:
            problems.append(f"{path} stays: it is in no folder that stands for a label")
        elif not (directory / path).is_file():
            problems.append(f"{path} is not there any more")
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
        if len(row) > max(path_at, score_at) and (path := row[path_at].replace("\\", "/")) in left:
            row[score_at] = "0" if row[score_at].strip().startswith("1") else "1"
            left.discard(path)
    changed = len(set(wrong)) - len(left)
    plan = Plan(Folders(directory, directory))
    plan.lines.append(f"{changed:,} labels to change in {table}")
    plan.lines.extend(f"{path} is not in {table}" for path in sorted(left))
    if changed:
        stream = io.StringIO("\ufeff" if before.startswith(b"\xef\xbb\xbf") else "", newline="")
        stream.seek(0, io.SEEK_END)
        csv.writer(stream, lineterminator="\r\n" if b"\r\n" in before else "\n").writerows(rows)
        plan.changes.append(Write.of(directory, table, stream.getvalue().encode()))
    return plan
