"""Reading scores, and what does not fit together."""

import json
import logging
import sys

import numpy as np
import pytest
from PIL import Image

from src.dataset.scores import DataHolder
from src.errors import DataError


@pytest.fixture
def folder(tmp_path):
    for name in ["1/a.png", "1/b.jpg", "2/c.JPG", "2/deep/d.png", "e.png"]:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (4, 4)).save(tmp_path / name)
    return tmp_path


def scores(holder: DataHolder) -> dict[str, float]:
    return dict(zip(holder.paths, holder.scores.tolist(), strict=True))


def test_folders_named_by_whole_numbers_are_scores(folder):
    holder = DataHolder.from_folder(folder)
    assert scores(holder) == {"1/a.png": 1, "1/b.jpg": 1, "2/c.JPG": 2, "2/deep/d.png": 2}
    assert holder.unscored == ("e.png",)
    assert holder.weights.tolist() == [1, 1, 1, 1]


def test_negative_numbers_will_do_but_words_will_not(folder):
    (folder / "1").rename(folder / "-3")
    assert scores(DataHolder.from_folder(folder))["-3/a.png"] == -3
    (folder / "2").rename(folder / "good")
    with pytest.raises(DataError, match="good"):
        DataHolder.from_folder(folder)


def test_score_json_goes_before_scores_csv_before_folders(folder):
    (folder / "scores.csv").write_text("relative_path,score\ne.png,7\n", encoding="utf-8")
    assert scores(DataHolder.from_folder(folder)) == {"e.png": 7}
    content = {"1\\a.png": 0.5, "2/gone.png": 1, "#meta#": {"evaluations": 1}}
    (folder / "score.json").write_text(json.dumps(content), encoding="utf-8")
    holder = DataHolder.from_folder(folder)
    assert scores(holder) == {"1/a.png": 0.5}
    assert holder.missing == ("2/gone.png",)
    assert scores(DataHolder.from_folder(folder, False))["2/c.JPG"] == 2
    assert scores(DataHolder.from_folder(folder, "scores.csv")) == {"e.png": 7}


def test_images_that_nobody_compared_are_not_trained_on(folder):
    content = {"1/a.png": 0.0, "1/b.jpg": 0.2, "2/c.JPG": -0.2}
    (folder / "score.json").write_text(json.dumps(content), encoding="utf-8")
    assert scores(DataHolder.from_folder(folder)) == {"1/b.jpg": 0.2, "2/c.JPG": -0.2}
    content["#meta#"] = {"unrated": ["2/c.JPG"]}
    (folder / "score.json").write_text(json.dumps(content), encoding="utf-8")
    assert scores(DataHolder.from_folder(folder)) == {"1/a.png": 0, "1/b.jpg": 0.2}


@pytest.mark.skipif(sys.platform == "win32", reason="there it is no name")
def test_a_backslash_in_a_name_is_one(folder):
    Image.new("RGB", (4, 4)).save(folder / "back\\slash.png")
    text = "relative_path,score\nback\\slash.png,3\n1\\a.png,4\n"
    (folder / "scores.csv").write_text(text, encoding="utf-8")
    assert scores(DataHolder.from_folder(folder)) == {"1/a.png": 4, "back\\slash.png": 3}


def test_csv_with_byte_order_mark_backslashes_split_and_weight(folder):
    text = "﻿relative_path,score,split,weight,theme\r\n1\\a.png,1.5,test,2,x\r\ne.png,2,,,y\r\n"
    text += "1\\b.jpg,3,eval,,z\r\n"  # so the old tool calls its test images
    (folder / "scores.csv").write_bytes(text.encode("utf-8"))
    holder = DataHolder.from_folder(folder)
    assert scores(holder) == {"1/a.png": 1.5, "1/b.jpg": 3, "e.png": 2}
    assert holder.parts == ("test", "eval", "")
    assert holder.weights.tolist() == [2, 1, 1]


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("path,score\na,1\n", "lacks relative_path"),
        ("relative_path,score\ne.png,high\n", "line 2: score is 'high'"),
        ("relative_path,score\ne.png,nan\n", "line 2: score is 'nan'"),
        ("relative_path,score\ne.png,\n", "line 2"),
        ("relative_path,score,split\ne.png,1,maybe\n", "split is 'maybe'"),
        ("relative_path,score,weight\ne.png,1,-1\n", "weight must be above 0"),
        ("relative_path,score\ngone.png,1\n", "none of the images in"),
    ],
)
def test_wrong_csv_files_are_named_with_the_line(folder, text, part):
    (folder / "scores.csv").write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=part):
        DataHolder.from_folder(folder)


def test_a_damaged_score_file_is_not_passed_over(folder):
    (folder / "score.json").write_text('{"1/a.png": 0.5, "1/b', encoding="utf-8")
    with pytest.raises(DataError, match="damaged"):
        DataHolder.from_folder(folder)


def test_messages_for_folders_without_images_or_file(folder, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="no images"):
        DataHolder.from_folder(tmp_path / "empty")
    with pytest.raises(DataError, match="use_score_file"):
        DataHolder.from_folder(folder, "mine.csv")


def test_given_parts_go_before_the_draw_and_copies_follow(folder, caplog):
    rows = ["1/a.png,1,train", "1/b.jpg,2,test", "2/c.JPG,3,", "e.png,4,test"]
    text = "relative_path,score,split\n" + "\n".join(rows)
    (folder / "scores.csv").write_text(text, encoding="utf-8")
    holder = DataHolder.from_folder(folder)
    contents = [bytes([i] * 32) for i in range(4)]
    groups = np.array([0, 1, 2, 0])  # e.png is a copy of a.png
    with caplog.at_level(logging.WARNING):
        mask = holder.test_mask(contents, groups, fraction=0, seed=1)
    assert mask.tolist() == [True, True, False, True]
    assert "Put into training by scores.csv, but used for testing" in caplog.text
