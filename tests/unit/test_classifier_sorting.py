"""Sorting into folders: nothing overwritten, nothing deleted, interrupted and undone at will."""

import errno
import json
from pathlib import Path

import numpy as np
import pytest

from src.classifier.table import classification_table
from src.errors import DataError
from src.file_changes import sorting
from src.file_changes.sorting import NOTES, carry_out, folder_name, not_sorted_yet, plan, undo
from src.images import scan_images
from tests.conftest import make_images


@pytest.fixture
def images(tmp_path):
    return make_images(tmp_path / "in", 3) + make_images(tmp_path / "in" / "more", 2, seed=5)


def contents(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*.png"))
    }


CATEGORIES = ["a", "b", "a", "a", "b"]


def test_names_are_given_once_and_never_one_that_is_taken(images, tmp_path):
    into = tmp_path / "out"
    (into / "b").mkdir(parents=True)
    (into / "b" / "001.png").write_bytes(b"another image of that name")
    steps = plan(images, CATEGORIES, into)
    targets = [step.target.relative_to(into).as_posix() for step in steps]
    assert targets == ["a/000.png", "b/001 (2).png", "a/002.png", "a/000 (2).png", "b/001 (3).png"]
    carry_out(steps, "copy", into)
    assert (into / "b" / "001.png").read_bytes() == b"another image of that name"
    assert len(contents(tmp_path / "in")) == 5


@pytest.mark.parametrize("action", ["copy", "move", "link"])
def test_every_image_arrives_whole_and_doing_it_again_changes_nothing(images, tmp_path, action):
    into = tmp_path / "out"
    before = contents(tmp_path / "in")
    carry_out(plan(images, CATEGORIES, into), action, into)
    assert sorted(contents(into).values()) == sorted(before.values())
    assert len(contents(tmp_path / "in")) == (0 if action == "move" else 5)
    if action != "move":
        assert plan(images, CATEGORIES, into) == []
    if action == "link":
        assert all(path.is_symlink() for path in into.rglob("*.png"))


def test_an_interrupted_run_is_finished_by_the_next(images, tmp_path, monkeypatch):
    into = tmp_path / "out"
    real, calls = sorting._copy, []

    def stop_after_two(source: Path, target: Path) -> None:
        if len(calls) == 2:
            raise KeyboardInterrupt
        calls.append(source)
        real(source, target)

    monkeypatch.setattr(sorting, "_copy", stop_after_two)
    with pytest.raises(KeyboardInterrupt):
        carry_out(plan(images, CATEGORIES, into), "copy", into)
    monkeypatch.setattr(sorting, "_copy", real)
    rest = plan(images, CATEGORIES, into)
    assert len(rest) == 3
    carry_out(rest, "copy", into)
    assert sorted(contents(into).values()) == sorted(contents(tmp_path / "in").values())


@pytest.mark.parametrize("action", ["move", "link"])
def test_undo_puts_everything_back(images, tmp_path, action):
    into = tmp_path / "out"
    before = contents(tmp_path / "in")
    carry_out(plan(images, CATEGORIES, into), action, into)
    result = undo(into)
    assert (result.undone, result.copies, result.problems) == (5, 0, [])
    assert contents(tmp_path / "in") == before
    assert contents(into) == {}
    with pytest.raises(DataError, match="nothing to undo"):
        undo(into)


def test_undo_leaves_copies_and_overwrites_nothing(images, tmp_path):
    into = tmp_path / "out"
    carry_out(plan(images[:2], CATEGORIES[:2], into), "copy", into)
    carry_out(plan(images[2:], CATEGORIES[2:], into), "move", into)
    images[2].write_bytes(b"a new image in the old place")
    result = undo(into)
    assert (result.undone, result.copies) == (2, 2)
    assert len(result.problems) == 1
    assert images[2].read_bytes() == b"a new image in the old place"
    assert (into / "a" / "002.png").is_file()


def test_moving_to_another_file_system_copies_first(images, tmp_path, monkeypatch):
    into = tmp_path / "out"
    rename = Path.rename

    def across(self, target):
        if self.parent != Path(target).parent and not self.parent.name.startswith("."):
            raise OSError(errno.EXDEV, "Invalid cross-device link")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", across)
    before = contents(tmp_path / "in")
    carry_out(plan(images, CATEGORIES, into), "move", into)
    assert sorted(contents(into).values()) == sorted(before.values())
    assert contents(tmp_path / "in") == {}


def test_damaged_notes_undo_nothing(images, tmp_path):
    into = tmp_path / "out"
    carry_out(plan(images, CATEGORIES, into), "move", into)
    (into / NOTES).write_text("{", encoding="utf-8")
    with pytest.raises(DataError, match="damaged"):
        undo(into)
    assert len(contents(into)) == 5


def test_notes_come_before_deeds(images, tmp_path, monkeypatch):
    into = tmp_path / "out"

    def fail(source: Path, target: Path) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", str(target))

    monkeypatch.setattr(sorting, "_move", fail)
    with pytest.raises(DataError, match="No space left"):
        carry_out(plan(images, CATEGORIES, into), "move", into)
    (line,) = (into / NOTES).read_text(encoding="utf-8").splitlines()
    assert json.loads(line)["action"] == "move"


@pytest.mark.parametrize(
    ("category", "name"),
    [("cat", "cat"), ("a/b: c?", "a_b_ c_"), ("..", "_"), (".x", "_.x"), ("dot. ", "dot")],
)
def test_categories_become_names_that_every_system_takes(category, name):
    assert folder_name(category) == name


def test_what_was_sorted_before_is_not_sorted_again(images, tmp_path):
    root = tmp_path / "in"
    (root / "a").mkdir()
    images[0].rename(root / "a" / "000.png")
    left = not_sorted_yet(root, scan_images(root), root, ["a", "b"])
    assert [file.path for file in left] == ["001.png", "002.png", "more/000.png", "more/001.png"]
    elsewhere = not_sorted_yet(root, scan_images(root), tmp_path / "out", ["a"])
    assert len(elsewhere) == 5


def test_the_table_begins_with_the_most_probable_images_of_the_wanted_category():
    shares = np.array([[0.7, 0.3], [0.2, 0.8], [0.4, 0.6]])
    lines = classification_table(["x", "y", "z"], shares, ["cat", "dog"], "dog").splitlines()
    assert lines[0] == "path,category,probability,rank by p(dog),p(cat),p(dog)"
    assert [line.split(",")[0] for line in lines[1:]] == ["y", "z", "x"]
    assert lines[1] == "y,dog,0.800000,1,0.200000,0.800000"


def test_with_very_many_categories_the_best_five_are_told():
    shares = np.full((1, 200), 0.001)
    shares[0, [7, 5, 3]] = 0.4, 0.3, 0.1
    names = [f"c{index}" for index in range(200)]
    heading, line = classification_table(["x"], shares, names).splitlines()
    assert len(heading.split(",")) == 3 + 8
    assert line.startswith("x,c7,0.400000,c5,0.300000,c3,0.100000")
