"""Changes to files: made, found again, taken back; never an image lost."""

import json
import os

import numpy as np
import pytest

from src.errors import DataError, SettingsError
from src.file_changes import undo
from src.file_changes.arrange import arrange
from src.file_changes.changes import KINDS, Copy, Link, Move, State, Touch, Write
from src.scoring.touch import STEP_NS, touch_in_order


@pytest.fixture
def folder(tmp_path):
    images = tmp_path / "images"
    (images / "sub").mkdir(parents=True)
    for number, name in enumerate(["a.png", "b.jpg", "sub/c.jpg"]):
        (images / name).write_bytes(name.encode() * 50)
        os.utime(images / name, ns=(10**18 + number, 1_600_000_000_123_456_700 + number * 10**12))
    return images


def snapshot(root):
    return {
        path.relative_to(root).as_posix(): (path.read_bytes(), path.stat().st_mtime_ns)
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }


def changes_of(how, folder, tmp_path):
    if how == "touch":
        return touch_in_order(folder, ["sub/c.jpg", "a.png", "b.jpg"], newest_ns=17 * 10**17 + 1)
    if how == "write":
        return [Write.of("a.xmp", None, b"new"), Write.of("sub/c.jpg.xmp", None, b"more")]
    step = np.array([0, 1, 1])
    return arrange(
        folder, ["a.png", "b.jpg", "sub/c.jpg"], step, ["low", "high"], tmp_path / "out", how
    ).changes


@pytest.mark.parametrize("how", ["touch", "write", "copy", "move", "link"])
def test_undo_restores_exactly_and_may_be_repeated(folder, tmp_path, how):
    before = snapshot(tmp_path)
    made = undo.make(folder, changes_of(how, folder, tmp_path), tmp_path / "undo.json")
    assert not made.failed
    assert snapshot(tmp_path).keys() - {"undo.json"} != before.keys() or how == "touch"
    undone = undo.take_back(tmp_path / "undo.json")
    assert undone.restored == made.done and not undone.changed_since and not undone.failed
    (tmp_path / "undo.json").rename(tmp_path.parent / f"{tmp_path.name}-undo.json")
    assert snapshot(tmp_path) == before
    assert not (tmp_path / "out").exists()
    again = undo.take_back(tmp_path.parent / f"{tmp_path.name}-undo.json")
    assert again.restored == 0 and again.never_made == made.done
    assert snapshot(tmp_path) == before


def test_touched_images_list_by_date_in_the_order_given(folder):
    order = ["b.jpg", "sub/c.jpg", "a.png"]
    for change in touch_in_order(folder, order, newest_ns=1_700_000_001_500_000_000):
        change.make(folder)
    times = {path: (folder / path).stat().st_mtime_ns for path in order}
    assert sorted(times, key=times.__getitem__, reverse=True) == order
    assert times["b.jpg"] == 1_700_000_000_000_000_000  # even seconds, as FAT keeps them
    assert times["b.jpg"] - times["a.png"] == 2 * STEP_NS
    assert (folder / "b.jpg").stat().st_atime_ns == 10**18 + 1


@pytest.mark.parametrize("how", ["touch", "write", "copy", "move"])
def test_what_someone_changed_since_is_left_alone(folder, tmp_path, how):
    undo.make(folder, changes_of(how, folder, tmp_path), tmp_path / "undo.json")
    victim = {
        "touch": folder / "a.png", "write": folder / "a.xmp", "copy": tmp_path / "out/low/a.png",
        "move": tmp_path / "out/low/a.png",
    }[how]  # fmt: skip
    victim.write_bytes(b"edited by hand, with another length")
    undone = undo.take_back(tmp_path / "undo.json")
    assert len(undone.changed_since) == 1
    assert victim.read_bytes() == b"edited by hand, with another length"


def test_an_interrupted_run_can_be_taken_back(folder, tmp_path, monkeypatch):
    before = snapshot(folder)
    make, calls = Move.make, []

    def stop_at_the_third(self, directory):
        calls.append(self.path)
        if len(calls) == 3:
            raise KeyboardInterrupt
        make(self, directory)

    monkeypatch.setattr(Move, "make", stop_at_the_third)
    with pytest.raises(KeyboardInterrupt):
        undo.make(folder, changes_of("move", folder, tmp_path), tmp_path / "undo.json")
    assert snapshot(folder) != before
    undone = undo.take_back(tmp_path / "undo.json")
    assert (undone.restored, undone.never_made) == (2, 1)
    assert snapshot(folder) == before


@pytest.mark.parametrize("kind", [Copy, Move, Link])
def test_nothing_is_overwritten(folder, kind):
    more = (450, 1) if kind is Move else ()
    before = snapshot(folder)
    with pytest.raises(DataError, match="already"):
        kind("a.png", str(folder / "b.jpg"), *more).make(folder)
    assert snapshot(folder) == before


def test_a_copy_without_its_image_is_not_taken_away(folder, tmp_path):
    change = Copy("a.png", str(tmp_path / "out" / "a.png"))
    change.make(folder)
    (folder / "a.png").unlink()
    assert change.state(folder) is State.OTHER


def test_images_whose_place_is_taken_are_left_out(folder, tmp_path):
    (tmp_path / "out" / "keep").mkdir(parents=True)
    (tmp_path / "out" / "keep" / "a.png").write_bytes(b"another")
    plan = arrange(
        folder, ["a.png", "b.jpg"], np.array([1, 0]), ["", "keep"], tmp_path / "out", "move"
    )
    assert plan.taken == ["a.png"] and plan.changes == []  # b.jpg's step has no folder


def test_folders_inside_the_image_folder_are_refused(folder):
    with pytest.raises(SettingsError, match="inside the image folder"):
        arrange(folder, [], np.array([], int), ["x"], folder / "sub", "copy")


def test_writes_do_not_run_over_another_program(folder):
    change = Write.of("a.xmp", None, b"ours")
    (folder / "a.xmp").write_bytes(b"theirs")
    with pytest.raises(DataError, match="another program"):
        change.make(folder)
    assert (folder / "a.xmp").read_bytes() == b"theirs"


def test_one_failure_does_not_stop_the_rest(folder, tmp_path):
    changes = [Touch("gone.jpg", 0, 10**18), Touch("a.png", 0, 10**18)]
    made = undo.make(folder, changes, tmp_path / "undo.json")
    assert made.done == 1 and list(made.failed) == ["gone.jpg"]
    assert "gone.jpg" in made.text()


@pytest.mark.parametrize(
    "text", ["", "{}", "[]", '{"format": "x"}', '{"format": "image-taste undo file"}']
)
def test_damaged_undo_files_are_one_line(tmp_path, text):
    (tmp_path / "undo.json").write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=r"undo\.json"):
        undo.take_back(tmp_path / "undo.json")


def test_an_unknown_entry_in_an_undo_file(folder, tmp_path):
    entry = {"kind": "erase", "path": "a.png"}
    content = {"format": undo.FORMAT, "directory": str(folder), "changes": [entry]}
    (tmp_path / "undo.json").write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(DataError, match="no undo file"):
        undo.take_back(tmp_path / "undo.json")


def test_undo_files_are_never_overwritten(folder, tmp_path):
    journal = undo.new_journal(tmp_path, "touch")
    journal.write_text("precious", encoding="utf-8")
    with pytest.raises(DataError, match="already"):
        undo.make(folder, [Touch("a.png", 0, 1)], journal)
    assert undo.new_journal(tmp_path, "touch") != journal


def test_every_kind_survives_json(folder):
    some = [Touch("a", 1, 2), Write.of("a", None, b"\xff"), Move("a", "b", 1, 2), Copy("a", "b"),
            Link("a", "b")]  # fmt: skip
    assert {change.kind for change in some} == KINDS.keys()
    for change in some:
        assert KINDS[change.kind].from_json(json.loads(json.dumps(change.to_json()))) == change
