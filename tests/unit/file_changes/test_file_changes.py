"""Changes to files: planned, made, found again, undone; never an image lost."""

import base64
import errno
import json
import os
import shutil
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from src.errors import DataError
from src.file_changes.apply import apply, read_undo_file, undo
from src.file_changes.changes import Copy, Folders, Link, Move, State, Touch, Write
from src.file_changes.plan import place
from src.file_changes.safely import partial
from src.file_changes.sidecars import sidecars
from src.file_changes.undo_file import FORMAT, UndoFile, new_undo_file
from src.scoring.actions import STEP_NS, touch_in_order

IMAGES = ["a.png", "b.jpg", "sub/c.jpg"]
TARGETS = {"a.png": "low/a.png", "b.jpg": "high/b.jpg", "sub/c.jpg": "high/sub/c.jpg"}
KINDS = ["touch", "write", "copy", "move", "link"]


@pytest.fixture
def folder(tmp_path):
    images = tmp_path / "images"
    (images / "sub").mkdir(parents=True)
    for number, name in enumerate([*IMAGES, "a.xmp", "b.jpg.txt", "sub/c.txt"]):
        (images / name).write_bytes(name.encode() * 50)
        os.utime(images / name, ns=(10**18 + number, 1_600_000_000_123_456_700 + number * 10**12))
    return images


@pytest.fixture
def another_file_system(monkeypatch):
    rename = os.rename

    def across(source, target):
        if Path(source).parent != Path(target).parent:
            raise OSError(errno.EXDEV, "Invalid cross-device link")
        rename(source, target)

    monkeypatch.setattr(os, "rename", across)


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


# ------------------------------------------------------------------- undo files are not trusted


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


# ------------------------------------------------------- what version bc9c4d7 wrote, by hand


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


def test_the_temporary_file_of_a_kill_is_removed(folder, tmp_path):
    folders, some = planned("copy", folder)
    UndoFile(tmp_path / "undo.jsonl", folders, some).close()
    left = partial(folders.into / "low/a.png")
    left.parent.mkdir(parents=True)
    left.write_bytes(b"a half")
    undo(tmp_path / "undo.jsonl").report()
    assert not left.exists()
