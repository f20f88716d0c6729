"""Tags from files, tables and databases, and what is said when they do not fit."""

import sqlite3

import pytest

from src.dataset.split import TRAIN, VALIDATION
from src.errors import DataError
from src.settings.tags import TagFiles, TagTraining
from src.tagging.selected_tags import (
    SelectedTag,
    read_selected_tags,
    select_tags,
    write_selected_tags,
)
from src.tagging.sources import read_database, read_sidecars, read_source, read_table


def test_selected_tags_are_ordered_by_count_then_name():
    lists = [["b", "a"], ["b", "c"], ["b", "b", "rare"], ["a", "c"]]
    assert select_tags(lists, min_count=2) == [
        SelectedTag(0, "b", 0, 3),
        SelectedTag(1, "a", 0, 2),
        SelectedTag(2, "c", 0, 2),
    ]
    assert select_tags(lists, min_count=3, categories={"b": 4}, ids={"b": 77}) == [
        SelectedTag(77, "b", 4, 3)
    ]


def test_the_tag_list_is_read_as_written(tmp_path):
    tags = [SelectedTag(12, 'a, "b"', 0, 9), SelectedTag(3, "été", 4, 0)]
    file = tmp_path / "selected_tags.csv"
    write_selected_tags(file, tags)
    assert file.read_text("utf-8").splitlines()[:2] == [
        "tag_id,name,category,count",
        '12,"a, ""b""",0,9',
    ]
    assert read_selected_tags(file) == tags


def test_a_list_of_names_alone_is_enough(tmp_path):
    (tmp_path / "t.csv").write_text("\ufeffname\r\ncat\r\ndog\r\n", encoding="utf-8")
    assert read_selected_tags(tmp_path / "t.csv") == [
        SelectedTag(0, "cat", 0, 0),
        SelectedTag(1, "dog", 0, 0),
    ]


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("id,tag\n1,a\n", "first line"),
        ("tag_id,name,category,count\nx,a,0,1\n", "line 2"),
        ("name\na\na\n", "'a' is listed twice"),
        ("name\n", "holds no tags"),
        ("tag_id,name\n1,\n", "name is missing"),
    ],
)
def test_a_damaged_tag_list_is_refused(tmp_path, text, part):
    (tmp_path / "t.csv").write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=part):
        read_selected_tags(tmp_path / "t.csv")


def test_tag_files_with_every_kind_of_fault(tmp_path):
    (tmp_path / "a.jpg.txt").write_text("cat\n")
    (tmp_path / "b.jpg.txt").write_text("\n\n")
    (tmp_path / "c.jpg.txt").write_bytes(b"\xff")
    (tmp_path / "d.jpg.txt").write_text("cat, dog")
    (tmp_path / "gone.jpg.txt").write_text("cat")
    source = read_sidecars(tmp_path, ["a.jpg", "b.jpg", "c.jpg", "d.jpg", "e.jpg"], TagFiles())
    assert source.tags == {"a.jpg": ["cat"], "b.jpg": [], "d.jpg": ["cat, dog"]}
    notes = "\n".join(source.notes)
    for part in (
        "Images without a tag file, not used (1): e.jpg",
        "Tag files without an image (1): gone.jpg.txt",
        "Empty tag files",
        "c.jpg.txt is not UTF-8 text",
        "Tag files with commas",
    ):
        assert part in notes


def test_a_table(tmp_path):
    (tmp_path / "tags.csv").write_text(
        'path,tags,split\nsub\\a.jpg,"cat, dog",train\nb.jpg,,val\nc.jpg,x,\ngone.jpg,x,test\n',
        encoding="utf-8",
    )
    source = read_table(tmp_path / "tags.csv", ["b.jpg", "c.jpg", "new.jpg", "sub/a.jpg"])
    assert source.tags == {"b.jpg": [], "c.jpg": ["x"], "sub/a.jpg": ["cat", "dog"]}
    assert [source.parts[image] for image in ("sub/a.jpg", "b.jpg", "c.jpg")] == [
        TRAIN,
        VALIDATION,
        -1,
    ]
    assert "gone.jpg" in source.notes[0]
    assert "new.jpg" in source.notes[1]


@pytest.mark.parametrize(
    ("text", "part"),
    [("path;tags\n", "lacks path, tags"), ("path,tags,split\na,b,c\n", "line 2: split is 'c'")],
)
def test_a_damaged_table(tmp_path, text, part):
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(DataError, match=part):
        read_table(tmp_path / "t.csv", ["a"])


def database(file, category=True):
    connection = sqlite3.connect(file)
    kind = ", category INTEGER" if category else ""
    connection.executescript(
        f"CREATE TABLE tags (tag_id INTEGER PRIMARY KEY, name TEXT{kind});"
        "CREATE TABLE imageTags (image_id INTEGER, tag_id INTEGER);"
        "INSERT INTO imageTags VALUES (7, 1), (7, 2), (1007, 2), (5, 1), (7, 99);"
    )
    rows = [(1, "cat", 0), (2, "reimu", 4)]
    connection.executemany(
        f"INSERT INTO tags VALUES ({'?, ?, ?' if category else '?, ?'})",
        rows if category else [row[:2] for row in rows],
    )
    connection.commit()
    connection.close()
    return file


def test_a_database_in_the_danbooru_layout(tmp_path):
    file = database(tmp_path / "danbooru #1.sqlite")
    source = read_database(file, ["0007/7.jpg", "0007/1007.png", "8.jpg", "cover.jpg"])
    assert source.tags == {"0007/7.jpg": ["cat", "reimu"], "0007/1007.png": ["reimu"]}
    assert source.categories == {"cat": 0, "reimu": 4}
    assert source.ids == {"cat": 1, "reimu": 2}
    assert ["cover.jpg" in source.notes[0], "8.jpg" in source.notes[1]] == [True, True]
    assert file.stat().st_size  # opened for reading: nothing beside it
    assert [path.name for path in tmp_path.iterdir()] == [file.name]
    source = read_database(database(tmp_path / "t.db", category=False), ["7.jpg"])
    assert source.categories == {"cat": 0, "reimu": 0}


def test_something_else_than_a_tag_database(tmp_path):
    (tmp_path / "t.db").write_bytes(b"no database at all, just some text" * 50)
    with pytest.raises(DataError, match="cannot be read as a tag database"):
        read_database(tmp_path / "t.db", ["1.jpg"])
    sqlite3.connect(tmp_path / "empty.db").execute("CREATE TABLE x (y)").connection.close()
    with pytest.raises(DataError, match="no table tags"):
        read_database(tmp_path / "empty.db", ["1.jpg"])


def test_a_source_is_found_in_the_image_folder(tmp_path):
    (tmp_path / "tags.csv").write_text("path,tags\na.jpg,cat\n")
    assert read_source(tmp_path, ["a.jpg"], TagTraining(tag_source="tags.csv")).tags == {
        "a.jpg": ["cat"]
    }
    with pytest.raises(DataError, match=r"no tag source 'other\.csv'"):
        read_source(tmp_path, ["a.jpg"], TagTraining(tag_source="other.csv"))
