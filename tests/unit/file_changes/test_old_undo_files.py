"""Undo files as version bc9c4d7 wrote them, by hand."""

import json
import os
import shutil

from src.file_changes.apply import undo
from tests.file_changes import coded, old


def test_undo_files_of_score_images_and_review_labels(folder, tmp_path):
    out, status = tmp_path / "out", (folder / "b.jpg").stat()
    (out / "high").mkdir(parents=True)
    shutil.copy2(folder / "a.png", out / "high/a.png")
    os.rename(folder / "b.jpg", out / "high/b.jpg")
    (folder / "new.xmp").write_bytes(b"new")
    text = old(
        folder,
        {"kind": "copy", "path": "a.png", "to": str(out / "high/a.png")},
        {"kind": "move", "path": "b.jpg", "to": str(out / "high/b.jpg"), "size": status.st_size,
         "mtime_ns": status.st_mtime_ns},
        {"kind": "write", "path": "new.xmp", "before": None, "after": coded("new")},
    )  # fmt: skip
    (tmp_path / "undo.json").write_text(text)
    assert undo(tmp_path / "undo.json").done == 3
    assert (folder / "b.jpg").stat().st_mtime_ns == status.st_mtime_ns
    assert not list(out.rglob("*.*")) and not (folder / "new.xmp").exists()


def test_undo_files_of_classify_images(folder, tmp_path):
    out = tmp_path / "out"
    (out / "cat").mkdir(parents=True)
    shutil.copy2(folder / "a.png", out / "cat/a.png")
    os.rename(folder / "sub/c.jpg", out / "cat/c.jpg")
    notes = [("copy", "a.png", "a.png"), ("move", "sub/c.jpg", "c.jpg")]
    lines = [
        json.dumps({"action": action, "from": str(folder / source), "to": str(out / "cat" / to)})
        for action, source, to in notes
    ]
    (out / "classify_undo.jsonl").write_text("\n".join(lines) + "\n")
    assert undo(out / "classify_undo.jsonl").done == 2
    assert (folder / "sub/c.jpg").read_bytes() == b"sub/c.jpg" * 50
    assert not list((out / "cat").iterdir())


def test_undo_files_of_tag_files(folder, tmp_path):
    (folder / "a.png.txt").write_text("new\n")
    (folder / "c.txt").write_text("new, too\n")
    for commas, path, before, after in (
        (False, "a.png.txt", "\r\n old \r\n", ["new"]),
        (True, "c.txt", None, ["new", "too"]),
    ):
        style = {"replaces_extension": False, "commas": commas}
        content = {"kind": "tag journal", "directory": str(folder), "style": style,
                   "files": {path: {"before": before, "after": after}}}  # fmt: skip
        (tmp_path / "j.json").write_text(json.dumps(content, indent=1))
        assert undo(tmp_path / "j.json").done == 1
    assert (folder / "a.png.txt").read_bytes() == b"\r\n old \r\n"
    assert not (folder / "c.txt").exists()
