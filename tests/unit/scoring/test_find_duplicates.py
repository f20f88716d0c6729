"""Duplicates, and labels put right."""

import shutil

import numpy as np
import pytest
from PIL import Image

from src.dataset.duplicates import are_identical, labels_conflict
from src.dataset.suspected_labels import SuspectedLabel, read_suspected, write_suspected
from src.errors import DataError
from src.features import open_store
from src.file_changes.apply import apply, undo
from src.file_changes.plan import move_to_folders, other_folders, relabel_wrong
from src.images import scan_images
from src.reports.duplicates_report import write_duplicates
from src.scoring.find_duplicates import find_duplicates, rows
from tests.browser import faults
from tests.conftest import make_images

KEEP, DELETE = ("keep", "accepted"), ("delete", "rejected")


@pytest.fixture
def folder(tmp_path):
    images = tmp_path / "images"
    make_images(images / "Keep", 6, size=(200, 150))
    make_images(images / "rejected", 6, size=(200, 150), seed=1)
    return images


def test_groups_of_copies_and_of_similar_images(folder, tmp_path):
    shutil.copy(folder / "Keep/000.png", folder / "rejected/other name.png")
    shutil.copy(folder / "rejected/001.png", folder / "rejected/copy.png")
    noise = np.random.default_rng(5).integers(0, 256, (24, 32, 3), np.uint8)
    detailed = Image.fromarray(noise).resize((200, 150), Image.Resampling.BICUBIC)
    detailed.save(folder / "Keep/002.png")
    detailed.resize((160, 120)).save(folder / "Keep/smaller.jpg", quality=70)
    (folder / "broken.jpg").write_bytes(b"no")
    for _ in range(2):  # the second time from the store
        found = find_duplicates(folder, keep=KEEP, delete=DELETE)
        assert found.images == 15
        torn, exact, near = found.groups
        assert labels_conflict(torn) and are_identical(torn)
        assert [image.label for image in torn] == ["keep", "delete"]
        assert [image.path for image in exact] == ["rejected/001.png", "rejected/copy.png"]
        assert are_identical(exact) and not labels_conflict(exact)
        assert [image.path for image in near] == ["Keep/002.png", "Keep/smaller.jpg"]
        assert not are_identical(near)
        assert near[0].different_bits == 0 < near[1].different_bits <= 47
        assert list(found.unreadable) == ["broken.jpg"]
    table = rows(found.groups)
    assert len(table) == 7
    assert [row[1] for row in table[1:]] == ["exact"] * 5 + ["near"]
    write_duplicates(tmp_path / "out" / "duplicates.html", folder, found.groups, images=15)
    page = (tmp_path / "out" / "duplicates.html").read_text(encoding="utf-8")
    assert page.count("<figure") == 6 and "1 group holds" in page
    assert "../images/rejected/other%20name.png" in page
    assert len(list((tmp_path / "out" / "thumbnails").iterdir())) == 4  # two pairs of same content


def test_nothing_twice(folder, tmp_path):
    assert find_duplicates(folder).groups == []
    with pytest.raises(DataError):
        find_duplicates(tmp_path / "nowhere")


def test_hashes_that_are_known_are_not_computed_again(folder, monkeypatch):
    find_duplicates(folder)

    def never(*arguments, **more):
        raise AssertionError("computed again")

    monkeypatch.setattr("src.features.extract.compute_batches", never)
    assert find_duplicates(folder).images == 12


def test_kept_features_of_a_vision_model_join_images_too(folder):
    paths = [path.relative_to(folder).as_posix() for path in sorted(folder.rglob("*.png"))]
    assert find_duplicates(folder).groups == []
    vectors = np.eye(12, dtype=np.float32)
    vectors[7] = vectors[2] + 0.3 * vectors[9]  # cosine 0.958
    with open_store(folder) as store:
        known = store.known_files(scan_images(folder))
        for identity, values in {"some model": vectors, "builtin|v9": np.ones((12, 3))}.items():
            store.put(
                vectors={
                    identity: {known[path]: row for path, row in zip(paths, values, strict=True)}
                },
            )
    (group,) = find_duplicates(folder).groups
    assert {image.path for image in group} == {paths[2], paths[7]} and not are_identical(group)
    assert find_duplicates(folder, similarity=0.96).groups == []
    assert find_duplicates(folder, similarity=1.0).groups == []


def test_wrong_labels_move_to_the_other_folder_and_back(folder, tmp_path):
    before = {path: path.read_bytes() for path in folder.rglob("*.png")}
    wrong = ["Keep/000.png", "rejected/005.png", "Keep/gone.png", "loose.png", "Keep/001.png"]
    (folder / "Keep/000.xmp").write_text("stars")
    plan = move_to_folders(folder, other_folders(folder, wrong, KEEP, DELETE))
    # rejected/000.png and the others are other images of that name.
    assert [change.to for change in plan.changes] == [
        "rejected/000 (2).png", "rejected/000 (2).xmp", "Keep/005 (2).png", "rejected/001 (2).png"
    ]  # fmt: skip
    assert "Keep/gone.png is no longer there" in plan.lines
    assert any(line.startswith("loose.png stays") for line in plan.lines)
    apply(plan.folders, plan.changes, tmp_path / "undo.jsonl").report()
    assert (folder / "rejected/000 (2).png").read_bytes() == before[folder / "Keep/000.png"]
    undo(tmp_path / "undo.jsonl").report()
    assert {path: path.read_bytes() for path in folder.rglob("*.png")} == before


def test_a_folder_of_the_other_kind_is_made_where_there_is_none(tmp_path):
    make_images(tmp_path / "accepted" / "trip", 1)
    path = "accepted/trip/000.png"
    assert other_folders(tmp_path, [path], KEEP, DELETE) == {path: "delete"}
    (change,) = move_to_folders(tmp_path, {path: "delete"}).changes
    assert change.to == "delete/trip/000.png"


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_wrong_labels_of_a_table_are_turned_around(tmp_path, end):
    lines = ["relative_path,score,note", "a.png,1,ü", 'b\\c.png,0,"x, y"', "d.png,1.0,"]
    before = ("\ufeff" + end.join(lines) + end).encode()
    (tmp_path / "l.csv").write_bytes(before)
    plan = relabel_wrong(tmp_path, ["a.png", "b/c.png", "gone.png"], "l.csv")
    assert plan.lines == ["2 labels to change in l.csv", "gone.png is not in l.csv"]
    apply(plan.folders, plan.changes, tmp_path / "undo.jsonl").report()
    after = (tmp_path / "l.csv").read_bytes().decode()
    lines[1:3] = ["a.png,0,ü", 'b\\c.png,1,"x, y"']
    assert after == "\ufeff" + end.join(lines) + end
    undo(tmp_path / "undo.jsonl").report()
    assert (tmp_path / "l.csv").read_bytes() == before


def test_nothing_to_turn_around(tmp_path):
    (tmp_path / "l.csv").write_text("relative_path,score\n", encoding="utf-8")
    assert relabel_wrong(tmp_path, ["a"], "l.csv").changes == []
    (tmp_path / "l.csv").write_text("x,y\n", encoding="utf-8")
    with pytest.raises(DataError, match="no columns"):
        relabel_wrong(tmp_path, ["a"], "l.csv")


SUSPECTS = [
    SuspectedLabel("a,b.png", "class", "cat", "dog", 0.25, 0.75),
    SuspectedLabel("ü.png", "tag", '"x"', "add", 0.9, 0.5, "wrong"),
]


def test_the_list_is_read_as_it_was_written(tmp_path):
    file = tmp_path / "l.csv"
    write_suspected(file, SUSPECTS)
    assert read_suspected(file) == SUSPECTS
    file.write_bytes(b"\xef\xbb\xbf" + file.read_bytes().replace(b"\n", b"\r\n"))  # a spreadsheet
    assert read_suspected(file) == SUSPECTS
    # What the page of version bc9c4d7 saved.
    file.write_text('relative_path,label,decision\n"a,b.png",1,wrong\n', "utf-8")
    (old,) = read_suspected(file)
    assert (old.path, old.kind, old.decision) == ("a,b.png", "keep_delete", "wrong")


@pytest.mark.parametrize(
    "content",
    [b"hello\n", b"a,b\n1,2\n", b"\xff\xfe", b"path,decision\nx\n",
     b"path,kind,label,decision\na,b,c,d\n",
     b"path,kind,label,suggested,probability,surprise,decision\na,tag,x,y,0,0,\n"],
)  # fmt: skip
def test_something_else_than_a_list(tmp_path, content):
    (tmp_path / "l.csv").write_bytes(content)
    with pytest.raises(DataError, match=r"l\.csv(:| is not a)"):
        read_suspected(tmp_path / "l.csv")
    with pytest.raises(DataError, match="earlier version: evaluate the model again"):
        read_suspected(tmp_path / "tag_errors.json")


@pytest.mark.browser
def test_the_page_can_be_read_on_every_screen(browser, folder, tmp_path):
    name = "a long name of a copy in a folder below.png"
    (folder / "a folder that has a long name").mkdir()
    shutil.copy(folder / "Keep/000.png", folder / "a folder that has a long name" / name)
    groups = find_duplicates(folder).groups
    write_duplicates(tmp_path / "duplicates.html", folder, groups, images=13)
    assert faults(browser, (tmp_path / "duplicates.html").as_uri()) == []
