"""Undo files of version bc9c4d7: of score_images and review_labels, classify_images, tag files."""

import json
import os
from pathlib import Path, PurePath, PurePosixPath
from typing import Any

from pydantic import ValidationError

from src.file_changes.changes import Change, Copy, Folders, Link, Move, Touch, Write
from src.file_changes.undo_file import FORMAT, Recorded

_KINDS: dict[str, type[Change]] = {
    "touch": Touch,
    "write": Write,
    "move": Move,
    "copy": Copy,
    "link": Link,
}


def parse_old(content: bytes, home: Path) -> Recorded | None:
    """What an undo file of an earlier version holds; None if it is none, or damaged.

    Args:
        content: of the file.
        home: the folder that the file lies in.
    """
    try:
        entries = _parse(content)
        if "changes" in entries[0] and entries[0]["format"] == FORMAT:
            recorded = _of_changes(entries[0])
        elif entries[0].get("kind") == "tag journal":
            recorded = _of_tags(entries[0])
        else:
            recorded = _of_sorting(entries, home)
    except (ValidationError, ValueError, KeyError, TypeError, AttributeError, IndexError):
        return None
    return recorded if recorded.folders.directory.is_absolute() else None


def _parse(content: bytes) -> list[dict[str, Any]]:
    try:
        try:
            return [json.loads(content)]
        except ValueError:
            return [json.loads(line) for line in content.splitlines()]
    except RecursionError:
        raise ValueError("nested too deep") from None


def _of_changes(entry: dict[str, Any]) -> Recorded:
    """`to` was absolute: the folder of a step, and in it the image's own path; or relative."""
    directory = Path(entry["directory"])
    roots = set()
    changes = []
    for old in entry["changes"]:
        new = dict(old)
        kind = _KINDS[new["kind"]]
        if "to" in new:
            to = PurePath(new["to"])
            parts = PurePosixPath(new["path"]).parts
            if to.is_absolute():
                if to.parts[-len(parts) :] != parts:
                    raise ValueError
                root = Path(*to.parts[: -len(parts) - 1])
                new["to"] = to.relative_to(root).as_posix()
            else:
                root = directory
            roots.add(root)
        changes.append(kind.model_validate_json(json.dumps(new)))
    if len(roots) > 1:
        raise ValueError
    return Recorded(Folders(directory, roots.pop() if roots else directory), changes)


def _of_tags(entry: dict[str, Any]) -> Recorded:
    directory, commas = Path(entry["directory"]), entry["style"]["commas"]
    changes = []
    for path, texts in entry["files"].items():
        lines = [str(tag) for tag in texts["after"]]
        after = (
            (", ".join(lines) + "\n") * bool(lines)
            if commas
            else "".join(f"{line}\n" for line in lines)
        )
        before = texts["before"]
        changes.append(
            Write(
                path=path,
                before=None if before is None else before.encode(),
                after=after.encode(),
            )
        )
    return Recorded(Folders(directory, directory), changes)


def _of_sorting(entries: list[dict[str, Any]], into: Path) -> Recorded:
    """Every line had two absolute paths; the file lies in the folder that the images went to."""
    sources = [Path(entry["from"]) for entry in entries]
    if not all(source.is_absolute() for source in sources):
        raise ValueError
    directory = Path(os.path.commonpath([source.parent for source in sources]))
    changes = []
    for entry, source in zip(entries, sources, strict=True):
        kind = _KINDS[entry["action"]]
        to = Path(entry["to"]).relative_to(into.resolve())
        changes.append(
            kind(path=source.relative_to(directory).as_posix(), to=to.as_posix())  # type: ignore[call-arg]
        )
    return Recorded(Folders(directory, into.resolve()), changes)
