"""Undo files are not trusted, and never overwritten."""

import errno
import os
import shutil
from pathlib import Path

import pytest

from src.errors import DataError
from src.file_changes.apply import apply, read_undo_file, undo
from src.file_changes.changes import Folders, Touch
from src.file_changes.undo_file import UndoFile, new_undo_file
from tests.file_changes import coded, new, old, planned, snapshot


def attacks(root):
    images, outside = root / "images", root / "outside"
    secret, known = str(outside / "secret.jpg"), coded("known")
    rewrite = {"kind": "write", "path": str(outside / ".bashrc"), "before": coded("evil"),
               "after": known}  # fmt: skip
    return {
        "a link to itself": {"kind": "link", "path": secret, "to": secret},
        "a copy of itself": {"kind": "copy", "path": secret, "to": secret},
        "a copy of itself, by another name": {
            "kind": "copy", "path": "a.png", "to": str(images / "alias" / "a.png")
        },
        "rewriting": rewrite,
        "rewriting through ..": rewrite | {"path": "../outside/.bashrc"},
        "rewriting in the folder": rewrite | {"path": ".bashrc"},
        "deleting": rewrite | {"before": None},
        "taking from outside": {
            "kind": "move", "path": "stolen.jpg", "to": secret, "size": 3, "mtime_ns": 0
        },
        "taking through ..": {
            "kind": "move", "path": "stolen.jpg", "to": "../outside/secret.jpg", "size": 3,
            "mtime_ns": 0,
        },
        "another kind of file": {"kind": "move", "path": "key.jpg", "to": "key", "size": 1,
                                 "mtime_ns": 0},
    }  # fmt: skip


@pytest.mark.parametrize("name", attacks(Path("/")))
@pytest.mark.parametrize("version", [old, new])
def test_attacks(folder, tmp_path, name, version):
    outside = tmp_path / "outside"
    outside.mkdir()
    for path, content in ((outside / "secret.jpg", "jpg"), (outside / ".bashrc", "known"),
                          (folder / ".bashrc", "known"), (folder / "key", "k")):  # fmt: skip
        path.write_text(content)
        os.utime(path, ns=(0, 0))
    (folder / "alias").symlink_to(folder)
    before = snapshot(tmp_path)
    entry = attacks(tmp_path)[name]
    text = old(folder, entry) if version is old else new(folder, folder, entry)
    undo_file = tmp_path.parent / f"{tmp_path.name}.json"
    undo_file.write_text(text)
    with pytest.raises(DataError) as error:
        undo(undo_file).report()
    assert "\n" not in str(error.value) or "changed since" in str(error.value)
    assert snapshot(tmp_path) == before


TOUCH = {"kind": "touch", "path": "a.png", "before_ns": 1, "after_ns": 2}


@pytest.mark.parametrize(
    "entry",
    [
        TOUCH | {"path": 5}, TOUCH | {"path": ""}, TOUCH | {"path": "a\0.png"},
        TOUCH | {"before_ns": "1"}, TOUCH | {"before_ns": 10**30}, TOUCH | {"before_ns": True},
        TOUCH | {"kind": "erase"}, TOUCH | {"more": 1}, {"kind": "touch"}, {}, [], 5, None,
        {"kind": "write", "path": "a.xmp", "before": 1, "after": "eA=="},
        {"kind": "write", "path": "a.xmp", "before": "!", "after": "eA=="},
        {"kind": "move", "path": "a.png", "to": "b.png", "size": "x", "mtime_ns": 0},
    ],
)  # fmt: skip
def test_values_that_are_nonsense(folder, tmp_path, entry):
    for text in (old(folder, entry), new(folder, folder, TOUCH, entry)):
        (tmp_path / "undo.jsonl").write_text(text)
        with pytest.raises(DataError, match=r"undo\.jsonl.*nothing was undone"):
            undo(tmp_path / "undo.jsonl")


@pytest.mark.parametrize(
    "text",
    ["", "{}", "[]", "5", '{"format": "x"}', '{"format": "image-taste undo file"}', "[" * 10**5,
     '{"kind": "tag journal"}', '{"action": "move"}', '{"action": "move", "from": "x", "to": "y"}',
     '{"format": "image-taste undo file", "directory": 5, "changes": []}',
     '{"format": "image-taste undo file", "directory": "relative", "changes": []}',
     '{"format": "image-taste undo file", "version": 3}', '"\\ud800"'],
)  # fmt: skip
def test_damaged_undo_files_are_one_line(tmp_path, text):
    (tmp_path / "undo.json").write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=r"undo\.json") as error:
        undo(tmp_path / "undo.json")
    assert "\n" not in str(error.value)


def test_a_line_that_a_kill_cut_off_was_not_begun(folder, tmp_path):
    file, folders = tmp_path / "undo.jsonl", Folders(folder, folder)
    UndoFile(file, folders, [Touch(path="a.png", before_ns=1, after_ns=2)]).close()
    whole = file.read_bytes()
    file.write_bytes(whole + b'{"kind": "tou')
    assert len(read_undo_file(file).changes) == 1
    UndoFile(file, folders, [Touch(path="b.jpg", before_ns=1, after_ns=2)], go_on=True).close()
    assert [change.path for change in read_undo_file(file).changes] == ["a.png", "b.jpg"]
    assert file.read_bytes().startswith(whole)


def test_a_folder_that_was_emptied_and_removed_is_made_again(folder, tmp_path):
    before = snapshot(folder)
    apply(*planned("move", folder), tmp_path / "undo.jsonl").report()
    shutil.rmtree(folder)
    undo(tmp_path / "undo.jsonl").report()
    assert snapshot(folder) == before
    shutil.rmtree(folder)
    with pytest.raises(DataError, match="put the folder back"):
        undo(tmp_path / "undo.jsonl")


def test_undo_files_are_never_overwritten(folder, tmp_path):
    undo_file = new_undo_file(tmp_path, "touch")
    undo_file.write_text("precious", encoding="utf-8")
    with pytest.raises(DataError, match="already"):
        apply(*planned("touch", folder), undo_file)
    assert undo_file.read_text() == "precious" and new_undo_file(tmp_path, "touch") != undo_file


def test_no_undo_file_no_change(folder, tmp_path, monkeypatch):
    before = snapshot(tmp_path)

    def full(_descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(DataError, match="No space left"):
        apply(*planned("move", folder), tmp_path / "undo.jsonl")
    assert snapshot(tmp_path) == before and not (tmp_path / "undo.jsonl").exists()
