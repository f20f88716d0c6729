"""Changes to files: planned, made, found again, undone; never an image lost."""

import errno
import os
import shutil
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from src.errors import DataError
from src.file_changes.apply import apply, undo
from src.file_changes.changes import Copy, Folders, Link, Move, State, Write
from src.file_changes.plan import place
from src.file_changes.safely import partial
from src.file_changes.sidecars import sidecars
from src.file_changes.undo_file import UndoFile
from src.scoring.actions import STEP_NS, touch_in_order
from tests.file_changes import IMAGES, planned, snapshot

KINDS = ["touch", "write", "copy", "move", "link"]


@pytest.mark.parametrize("how", KINDS)
def test_undo_restores_exactly_and_may_be_repeated(folder, tmp_path, how):
    before = snapshot(tmp_path)
    made = apply(*planned(how, folder), tmp_path / "undo.jsonl")
    assert not made.problems and snapshot(tmp_path) != before
    undone = undo(tmp_path / "undo.jsonl")
    assert undone.done == made.done and not undone.problems
    assert snapshot(tmp_path) == before
    again = undo(tmp_path / "undo.jsonl")
    assert (again.done, again.nothing_to_do) == (0, made.done)
    assert again.report() and snapshot(tmp_path) == before


@settings(max_examples=25)
@given(st.data())
def test_apply_and_undo_change_nothing(tmp_path_factory, data):
    """Whatever the names, the sidecars, and the places that are taken."""
    root = tmp_path_factory.mktemp("any")
    name = st.sampled_from(["a.jpg", "a.png", "b.jpg", "s/a.jpg", "s/A.png"])
    beside = st.sampled_from(["a.xmp", "a.jpg.txt", "b.txt", "s/a.xmp", "s/A.png.xmp", "a.cr2"])
    images = data.draw(st.sets(name, min_size=1))
    for path in images | data.draw(st.sets(beside)):
        (root / "in" / path).parent.mkdir(parents=True, exist_ok=True)
        (root / "in" / path).write_bytes(path.encode())
    for path in data.draw(st.sets(st.sampled_from(["x/a.jpg", "x/a.xmp", "y/b.jpg"]))):
        (root / "out" / path).parent.mkdir(parents=True, exist_ok=True)
        (root / "out" / path).write_bytes(data.draw(st.sampled_from([b"a.jpg", b"other"])))
    targets = {path: f"{data.draw(st.sampled_from('xy'))}/{Path(path).name}" for path in images}
    before = snapshot(root)
    plan = place(root / "in", targets, root / "out", data.draw(st.sampled_from(KINDS[2:])))
    apply(plan.folders, plan.changes, root / "undo.jsonl").report()
    after = snapshot(root)
    assert all(after.get(path) == kept for path, kept in before.items() if path.startswith("out/"))
    undo(root / "undo.jsonl").report()
    assert snapshot(root) == before


def test_touched_images_list_by_date_in_the_order_given(folder):
    order = ["b.jpg", "sub/c.jpg", "a.png"]
    for change in touch_in_order(folder, order, newest_ns=1_700_000_001_500_000_000):
        change.make(Folders(folder, folder))
    times = {path: (folder / path).stat().st_mtime_ns for path in order}
    assert sorted(times, key=times.__getitem__, reverse=True) == order
    assert times["b.jpg"] == 1_700_000_000_000_000_000  # even seconds, as FAT keeps them
    assert times["b.jpg"] - times["a.png"] == 2 * STEP_NS
    assert (folder / "b.jpg").stat().st_atime_ns == 10**18 + 1


@pytest.mark.parametrize(
    ("how", "victim"),
    [("touch", "images/a.png"), ("write", "images/a.xmp"), ("copy", "new/out/low/a.png"),
     ("move", "new/out/low/a.png")],
)  # fmt: skip
def test_what_someone_changed_since_is_left_alone(folder, tmp_path, how, victim):
    apply(*planned(how, folder), tmp_path / "undo.jsonl")
    (tmp_path / victim).write_bytes(b"edited by hand, with another length")
    undone = undo(tmp_path / "undo.jsonl")
    assert len(undone.problems) == 1
    with pytest.raises(DataError, match="changed since"):  # the exit code is not 0
        undone.report()
    assert (tmp_path / victim).read_bytes() == b"edited by hand, with another length"


def test_sidecars_that_were_edited_or_made_since_come_back_with_their_image(folder, tmp_path):
    apply(*planned("move", folder), tmp_path / "undo.jsonl")
    (tmp_path / "new/out/low/a.xmp").write_bytes(b"five stars")
    (tmp_path / "new/out/low/a.png.txt").write_bytes(b"cat")
    undo(tmp_path / "undo.jsonl").report()
    assert (folder / "a.xmp").read_bytes() == b"five stars"
    assert (folder / "a.png.txt").read_bytes() == b"cat"
    assert not (tmp_path / "new").exists()


def test_which_files_belong_to_an_image(tmp_path):
    for name in ("a.jpg", "a.cr2", "a.xmp", "a.jpg.xmp", "b.jpg", "b.XMP", "b.txt", "b.jpg.png",
                 "b.jpg.txt", "c.txt"):  # fmt: skip
        (tmp_path / name).touch()
    (tmp_path / "itself.txt").symlink_to("itself.txt")
    found = sidecars(tmp_path, ["a.jpg", "b.jpg", "b.jpg.png"])
    assert found == {
        "a.jpg": ["a.jpg.xmp"],  # a.xmp may be that of the raw file
        "b.jpg": ["b.jpg.txt", "b.XMP", "b.txt"],
        "b.jpg.png": [],
    }


@pytest.mark.parametrize("how", ["write", "copy", "move", "link"])
@pytest.mark.parametrize("stop", range(6))
def test_stopped_anywhere_and_undone(folder, tmp_path, monkeypatch, another_file_system, how, stop):
    """Ctrl-C at each step that a file system call makes, with what a kill leaves beside it."""
    before, calls = snapshot(tmp_path), []
    unlink, replace = Path.unlink, os.replace

    def counted(call):
        def wrapped(*arguments, **more):
            calls.append(call)
            if len(calls) == stop + 1:
                raise KeyboardInterrupt
            return call(*arguments, **more)

        return wrapped

    monkeypatch.setattr(Path, "unlink", counted(unlink))
    monkeypatch.setattr(os, "replace", counted(replace))
    monkeypatch.setattr(Path, "symlink_to", counted(Path.symlink_to))
    try:
        apply(*planned(how, folder), tmp_path / "undo.jsonl")
    except KeyboardInterrupt:
        monkeypatch.setattr(Path, "unlink", unlink)
        monkeypatch.setattr(os, "replace", replace)
    calls.extend([None] * 100)
    contents = {
        path.read_bytes() for path in tmp_path.rglob("*") if path.suffix in (".jpg", ".png")
    }
    assert contents >= {(name.encode() * 50) for name in IMAGES}
    undo(tmp_path / "undo.jsonl").report()
    assert snapshot(tmp_path) == before


@pytest.mark.parametrize("how", ["move", "copy"])
def test_a_full_disk_leaves_the_originals_and_no_truncated_file(
    folder, tmp_path, monkeypatch, another_file_system, how
):
    before, copy = snapshot(tmp_path), shutil.copy2

    def full(source, target, **more):
        if Path(source).name == "b.jpg":
            Path(target).write_bytes(b"b")
            raise OSError(errno.ENOSPC, "No space left on device")
        return copy(source, target, **more)

    monkeypatch.setattr(shutil, "copy2", full)
    made = apply(*planned(how, folder), tmp_path / "undo.jsonl")
    # b.jpg and what stands after it: its tag file, c.jpg and its own.
    assert made.done == 2
    assert list(made.problems) == ["b.jpg", "b.jpg.txt", "sub/c.jpg", "sub/c.txt"]
    with pytest.raises(DataError, match="No space left"):
        made.report()
    assert not [path for path in (tmp_path / "new").rglob("*b.jpg*")]
    assert (folder / "b.jpg").read_bytes() == b"b.jpg" * 50
    undo(tmp_path / "undo.jsonl").report()
    assert snapshot(tmp_path) == before


def test_the_sidecar_of_an_image_that_cannot_be_moved_stays(folder, tmp_path, monkeypatch):
    folders, some = planned("move", folder)
    (tmp_path / "new/out/high").mkdir(parents=True)
    (tmp_path / "new/out/high/b.jpg").write_bytes(b"came in between")
    made = apply(folders, some, tmp_path / "undo.jsonl")
    assert list(made.problems) == ["b.jpg", "b.jpg.txt"] and made.done == 4
    assert (folder / "b.jpg.txt").exists()
    assert (tmp_path / "new/out/high/b.jpg").read_bytes() == b"came in between"


@pytest.mark.parametrize("kind", [Copy, Move, Link])
def test_nothing_is_overwritten(folder, kind):
    before = snapshot(folder)
    with pytest.raises(DataError, match="already"):
        kind(path="sub/c.jpg", to="b.jpg").make(Folders(folder, folder))
    assert snapshot(folder) == before


def test_a_copy_without_its_image_is_not_taken_away(folder, tmp_path):
    change, folders = Copy(path="a.png", to="a.png"), Folders(folder, tmp_path / "out")
    change.make(folders)
    (folder / "a.png").unlink()
    assert change.state(folders) is State.OTHER


def test_writes_do_not_run_over_another_program(folder):
    change = Write.of(folder, "new.xmp", b"ours")
    (folder / "new.xmp").write_bytes(b"theirs")
    with pytest.raises(DataError, match="another program"):
        change.make(Folders(folder, folder))
    assert (folder / "new.xmp").read_bytes() == b"theirs"


def test_links_move_only_where_they_still_lead_somewhere(folder, tmp_path):
    (folder / "relative.jpg").symlink_to("b.jpg")
    (folder / "absolute.jpg").symlink_to(folder / "b.jpg")
    folders = Folders(folder, tmp_path / "out")
    with pytest.raises(DataError, match="relative link"):
        Move.of(folder, "relative.jpg", "relative.jpg").make(folders)
    change = Move.of(folder, "absolute.jpg", "absolute.jpg")
    change.make(folders)
    assert (tmp_path / "out/absolute.jpg").is_symlink()
    change.undo(folders)
    assert (folder / "absolute.jpg").is_symlink()


def test_the_temporary_file_of_a_kill_is_removed(folder, tmp_path):
    folders, some = planned("copy", folder)
    UndoFile(tmp_path / "undo.jsonl", folders, some).close()
    left = partial(folders.into / "low/a.png")
    left.parent.mkdir(parents=True)
    left.write_bytes(b"a half")
    undo(tmp_path / "undo.jsonl").report()
    assert not left.exists()
