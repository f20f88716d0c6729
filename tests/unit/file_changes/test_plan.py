"""Where images go: names given once, none that is taken, and what was sorted before."""

import numpy as np
import pytest

from src.classifier.results import classification_table
from src.errors import SettingsError
from src.file_changes.apply import apply
from src.file_changes.plan import folder_name, not_sorted_yet, place
from src.images import scan_images
from src.scoring.actions import plan_action
from src.scoring.scored import Scored
from tests.conftest import make_images

TARGETS = {
    "000.png": "a/000.png", "001.png": "b/001.png", "002.png": "a/002.png",
    "more/000.png": "a/000.png", "more/001.png": "b/001.png",
}  # fmt: skip


@pytest.fixture
def images(tmp_path):
    make_images(tmp_path / "in", 3)
    make_images(tmp_path / "in" / "more", 2, seed=5)
    return tmp_path / "in"


def contents(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*.png"))
    }


def test_names_are_given_once_and_never_one_that_is_taken(images, tmp_path):
    into = tmp_path / "out"
    (into / "b").mkdir(parents=True)
    (into / "b" / "001.png").write_bytes(b"another image of that name")
    (into / "a").mkdir()
    (into / "a" / "002.xmp").write_bytes(b"the stars of another image")
    (images / "more" / "000.png.txt").write_text("tag")
    plan = place(images, TARGETS, into, "copy")
    assert [change.to for change in plan.changes] == [
        "a/000.png", "b/001 (2).png", "a/002 (2).png", "a/000 (2).png", "a/000 (2).png.txt",
        "b/001 (3).png",
    ]  # fmt: skip
    assert plan.lines[0] == f"copy 3 images into {into / 'a'}"
    assert plan.text().count("would copy") == 6
    apply(plan.folders, plan.changes, tmp_path / "undo.jsonl").report()
    assert (into / "b" / "001.png").read_bytes() == b"another image of that name"
    assert len(contents(images)) == 5


@pytest.mark.parametrize("how", ["copy", "move", "link"])
def test_every_image_arrives_whole_and_doing_it_again_changes_nothing(images, tmp_path, how):
    into, before = tmp_path / "out", contents(images)
    plan = place(images, TARGETS, into, how)
    apply(plan.folders, plan.changes[:2], tmp_path / "1.jsonl").report()  # interrupted
    targets = {path: to for path, to in TARGETS.items() if (images / path).exists()}
    rest = place(images, targets, into, how)
    assert len(rest.changes) == 3
    apply(rest.folders, rest.changes, tmp_path / "2.jsonl").report()
    assert sorted(contents(into).values()) == sorted(before.values())
    assert len(contents(images)) == (0 if how == "move" else 5)
    if how != "move":
        again = place(images, TARGETS, into, how)
        assert again.changes == [] and again.lines[0].startswith("5 images skipped")
        (images / "000.xmp").write_text("stars")  # as if a kill had come before it
        assert [change.to for change in place(images, TARGETS, into, how).changes] == ["a/000.xmp"]


@pytest.mark.parametrize(
    ("category", "name"),
    [("cat", "cat"), ("a/b: c?", "a_b_ c_"), ("..", "_"), (".x", "_.x"), ("dot. ", "dot")],
)
def test_categories_become_names_that_every_system_takes(category, name):
    assert folder_name(category) == name


def test_what_was_sorted_before_is_not_sorted_again(images, tmp_path):
    (images / "a").mkdir()
    (images / "000.png").rename(images / "a" / "000.png")
    left = not_sorted_yet(images, scan_images(images), images, ["a", "b"])
    assert [file.path for file in left] == ["001.png", "002.png", "more/000.png", "more/001.png"]
    assert len(not_sorted_yet(images, scan_images(images), tmp_path / "out", ["a"])) == 5


def test_scores_become_folders_outside_the_image_folder(images, tmp_path):
    paths = ["002.png", "000.png", "001.png"]
    scored = Scored(
        images,
        paths,
        {"score": np.array([3.0, 2.0, 1.0])},
        [b""] * 3,
        np.zeros((3, 32), np.uint8),
        {},
    )

    def plan(into):
        return plan_action(
            "move", scored, cuts=[2.0], cut_by="score", folders=["", "high"], into=into,
            naming="image.xmp",
        )  # fmt: skip

    targets = [change.to for change in plan(tmp_path / "out").changes]
    assert targets == ["high/002.png", "high/000.png"]
    with pytest.raises(SettingsError, match="inside the image folder"):
        plan(images / "more")


def test_the_table_begins_with_the_most_probable_images_of_the_wanted_category():
    shares = np.array([[0.7, 0.3], [0.2, 0.8], [0.4, 0.6]])
    lines = classification_table(["x", "y", "z"], shares, ["cat", "dog"], "dog").splitlines()
    assert lines[0] == "path,category,probability,rank by p(dog),p(cat),p(dog)"
    assert [line.split(",")[0] for line in lines[1:]] == ["y", "z", "x"]
    assert lines[1] == "y,dog,0.8,1,0.2,0.8"


def test_with_very_many_categories_the_table_has_the_best_alone():
    shares = np.full((1, 200), 0.001)
    shares[0, [7, 5]] = 0.4, 0.3
    names = [f"c{index}" for index in range(200)]
    assert classification_table(["x"], shares, names) == "path,category,probability\nx,c7,0.4\n"
