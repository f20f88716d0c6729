"""Undo files of version bc9c4d7: of score_images and review_labels, classify_images, tag files."""

import json
import os
from pathlib import Path, PurePath, PurePosixPath
from typing import Any

from pydantic import ValidationError

from src.file_changes.changes import Change, Folders, Write
from src.file_changes.undo_file import CHANGE, FORMAT, Recorded


def parse_old(content: bytes, home: Path) -> Recorded | None:
    """What an undo file in the folder `home` holds; None if it is of no earlier version."""
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
    roots, changes = set(), []
    for old in entry["changes"]:
        new, to = dict(old), PurePath(old.get("to", ""))
        if to.is_absolute():
            own = PurePosixPath(old["path"]).parts
            if to.parts[-len(own) :] != own:
                raise ValueError
            root = Path(*to.parts[: -len(own) - 1])
            new["to"] = to.relative_to(root).as_posix()
            roots.add(root)
        changes.append(_change(**new))
    (root,) = roots or {directory}
    return Recorded(Folders(directory, root), changes)


def _of_tags(entry: dict[str, Any]) -> Recorded:
    directory, commas = Path(entry["directory"]), entry["style"]["commas"]
    changes = []
    for path, texts in entry["files"].items():
        before, tags = texts["before"], [str(tag) for tag in texts["after"]]
        after = (", " if commas else "\n").join(tags) + "\n" * bool(tags)
        old = None if before is None else before.encode()
        changes.append(Write(path=path, before=old, after=after.encode()))
    return Recorded(Folders(directory, directory), changes)


def _of_sorting(entries: list[dict[str, Any]], into: Path) -> Recorded:
    """Every line had two absolute paths; the file lies in the folder that the images went to."""
    sources = [Path(entry["from"]) for entry in entries]
    if not all(source.is_absolute() for source in sources):
        raise ValueError
    directory = Path(os.path.commonpath([source.parent for source in sources]))
    changes = [
        _change(
            kind=entry["action"],
            path=source.relative_to(directory).as_posix(),
            to=Path(entry["to"]).relative_to(into).as_posix(),
        )
        for entry, source in zip(entries, sources, strict=True)
    ]
    return Recorded(Folders(directory, into), changes)


def _change(**values: object) -> Change:
    return CHANGE.validate_json(json.dumps(values))
