"""Starting scores in score.json: ratings stay, and no rating window is overrun."""

import json

import numpy as np
import pytest

from src.errors import DataError
from src.file_changes import undo
from src.rating.session import RatingDatabase
from src.scoring.actions import plan_action
from src.scoring.scored import Scored
from tests.conftest import make_images


@pytest.fixture
def scored(tmp_path):
    names = [path.name for path in make_images(tmp_path / "images", 3)]
    return Scored(
        tmp_path / "images", names, np.array([1.0, 0.0, -1.0]), None, None, None, [b""] * 3, {}
    )


def plan(scored):
    return plan_action(
        "score_file", scored, cuts=(), cut_by="quantile", folders=(),
        into=scored.directory, naming="image.xmp",
    )  # fmt: skip


def test_an_open_rating_window_is_left_in_peace(scored, tmp_path):
    changes = plan(scored).changes
    journal = tmp_path / "undo.json"
    with RatingDatabase(scored.directory) as database:
        database.record("000.png", "001.png", "left")
        with pytest.raises(DataError, match="open in another rating window"):
            undo.make(scored.directory, changes, journal)
        assert not journal.exists() and not (scored.directory / "score.json").exists()
    ratings = json.loads((scored.directory / "score.json").read_text("utf-8"))
    assert ratings["000.png"] > ratings["001.png"]


def test_taking_back_waits_for_the_window_too(scored, tmp_path):
    undo.make(scored.directory, plan(scored).changes, tmp_path / "undo.json")
    before = (scored.directory / "score.json").read_bytes()
    with RatingDatabase(scored.directory):
        with pytest.raises(DataError, match="open in another rating window"):
            undo.take_back(tmp_path / "undo.json")
        assert (scored.directory / "score.json").read_bytes() == before


def test_ratings_stay_and_the_folder_is_as_before_after_undo(scored, tmp_path):
    with RatingDatabase(scored.directory) as database:
        database.record("000.png", "001.png", "right")
    before = (scored.directory / "score.json").read_bytes()
    names = {path.name for path in scored.directory.iterdir()}
    planned = plan(scored)
    assert "1 images" in planned.lines[0]
    assert any("aesthetic_score_from_model" in line for line in planned.lines)
    undo.make(scored.directory, planned.changes, tmp_path / "undo.json")
    old, new = json.loads(before), json.loads((scored.directory / "score.json").read_text("utf-8"))
    assert all(new[name] == old[name] for name in ("000.png", "001.png"))
    assert new["002.png"] != old["002.png"] and new["#meta#"]["unrated"] == ["002.png"]
    assert undo.take_back(tmp_path / "undo.json").restored == 1
    assert (scored.directory / "score.json").read_bytes() == before
    assert {path.name for path in scored.directory.iterdir()} == names


def test_no_log_is_made_where_there_is_none(scored, tmp_path):
    undo.make(scored.directory, plan(scored).changes, tmp_path / "undo.json")
    made = {path.name for path in scored.directory.iterdir()}
    assert made == {"000.png", "001.png", "002.png", "score.json"}
