"""Plans of changes, and undo files written by hand."""

import base64
import json

from src.file_changes.changes import Folders, Write
from src.file_changes.plan import place
from src.file_changes.undo_file import FORMAT
from src.scoring.actions import touch_in_order

IMAGES = ["a.png", "b.jpg", "sub/c.jpg"]
TARGETS = {"a.png": "low/a.png", "b.jpg": "high/b.jpg", "sub/c.jpg": "high/sub/c.jpg"}


def snapshot(root):
    """Every folder, and every file with its content and time, but for undo files."""
    return {
        path.relative_to(root).as_posix(): path.is_file()
        and (path.read_bytes(), path.stat().st_mtime_ns)
        for path in sorted(root.rglob("*"))
        if path.suffix != ".jsonl"
    }


def planned(how, folder, into=None):
    if how in {"copy", "move", "link"}:
        plan = place(folder, TARGETS, into or folder.parent / "new" / "out", how)
        return plan.folders, plan.changes
    some = (
        touch_in_order(folder, ["sub/c.jpg", *IMAGES[:2]], newest_ns=17 * 10**17 + 1)
        if how == "touch"
        else [Write.of(folder, "a.xmp", b"new"), Write.of(folder, "sub/c.jpg.xmp", b"more")]
    )
    return Folders(folder, folder), some


def old(directory, *entries):
    return json.dumps(
        {"format": FORMAT, "directory": str(directory), "made": "", "changes": entries}
    )


def new(directory, into, *entries):
    header = {"format": FORMAT, "version": 2, "made": "", "directory": str(directory),
              "into": str(into), "new_folders": []}  # fmt: skip
    return "".join(json.dumps(line) + "\n" for line in (header, *entries))


def coded(text):
    return base64.b64encode(text.encode()).decode()
