"""Changing many tag files at once, with a journal that takes the changes back."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from src.errors import DataError
from src.files import write_text
from src.tagging.tag_files import SidecarStyle, read_tags, write_tags

_KIND = "tag journal"


@dataclass(frozen=True)
class Undone:
    """What taking back did: tag files restored, removed (they were new), and left as they are
    because they were edited since."""

    restored: int
    removed: int
    edited_since: list[str]


def write_changes(
    directory: Path, changes: Mapping[str, list[str]], style: SidecarStyle, journal: Path
) -> int:
    """Give tag files new contents; the journal is on disk before the first file changes.

    Args:
        directory: the image folder.
        changes: tag file (relative to the folder) -> its tags from now on.
        style: how tag files are written.
        journal: the file that `undo` reads.

    Returns:
        How many files were written; those that hold these tags already are left alone.

    Raises:
        DataError: a file cannot be read or written.
    """
    entries = {}
    for name, after in changes.items():
        file = directory / name
        before = read_tags(file, style) if file.exists() else None
        if before != after:
            text = None if before is None else _text(file)
            entries[name] = {"before": text, "after": after}
    if not entries:
        return 0
    content = {
        "kind": _KIND,
        "directory": str(directory.resolve()),
        "style": asdict(style),
        "files": entries,
    }
    write_text(journal, json.dumps(content, ensure_ascii=False, indent=1) + "\n")
    for name in entries:
        write_tags(directory / name, changes[name], style)
    return len(entries)


def undo(journal: Path) -> Undone:
    """Take a journal's changes back; files that were edited since are left as they are.

    Raises:
        DataError: no such journal, it is damaged, or a file cannot be written.
    """
    content = _load(journal)
    directory, style = Path(content["directory"]), SidecarStyle(**content["style"])
    restored, removed, edited = 0, 0, []
    for name, entry in content["files"].items():
        file = directory / name
        if not file.exists() or read_tags(file, style) != entry["after"]:
            edited.append(name)
        elif entry["before"] is None:
            file.unlink()
            removed += 1
        else:
            write_text(file, entry["before"])
            restored += 1
    return Undone(restored, removed, edited)


def _text(file: Path) -> str:
    with file.open(encoding="utf-8", newline="") as stream:
        try:
            return stream.read()
        except UnicodeDecodeError:
            raise DataError(f"{file} is no UTF-8 text: save it as UTF-8") from None


def _load(journal: Path) -> dict[str, Any]:
    try:
        content = json.loads(journal.read_text(encoding="utf-8"))
    except OSError as error:
        raise DataError(f"{journal} cannot be read: {error.strerror or error}") from None
    except ValueError:
        content = None
    if not isinstance(content, dict) or content.get("kind") != _KIND:
        raise DataError(f"{journal} is no journal of changed tags")
    return content
