"""The threshold where precision equals recall: by hand, against brute force, and with ties."""

import json

import numpy as np
import pytest

from src.tagging.selected_tags import SelectedTag
from src.tagging.thresholds import (
    Thresholds,
    balanced_threshold,
    choose_thresholds,
    load_thresholds,
    save_thresholds,
)


def tags(*kinds):
    return [SelectedTag(i, f"tag{i}", kind, 10) for i, kind in enumerate(kinds)]


def test_by_hand():
    # Positives .9 .6 .2, so the third largest of all scores: given are .9 .8 .6, two of them
    # rightly; precision = recall = 2/3.
    scores = np.array([0.9, 0.8, 0.6, 0.5, 0.2, 0.1], np.float32)
    assert balanced_threshold(scores, scores[[0, 2, 4]]) == np.float32(0.6)


def test_ties_take_the_nearer_side():
    # Two positives. At .5 all four are given: P 2/4, R 1. At .9 one: P 1, R 1/2. Equally far:
    # the lower.
    scores = np.array([0.9, 0.5, 0.5, 0.5])
    assert balanced_threshold(scores, np.array([0.9, 0.5])) == 0.5
    # Five at .5: P 2/6, R 1 (gap 2/3) against P 1, R 1/2 (gap 1/2).
    scores = np.array([0.9, 0.5, 0.5, 0.5, 0.5, 0.5])
    assert balanced_threshold(scores, np.array([0.9, 0.5])) == 0.9
    # The same, but the score of .9 is wrong: giving it alone would hit nothing.
    assert balanced_threshold(scores, np.array([0.5, 0.5])) == 0.5


def test_nothing_positive_or_no_number():
    with pytest.raises(ValueError, match="0 positives"):
        balanced_threshold(np.ones(3), np.ones(0))
    with pytest.raises(ValueError, match="2 positives among 1"):
        balanced_threshold(np.ones(1), np.ones(2))
    with pytest.raises(ValueError, match="not a number"):
        balanced_threshold(np.array([0.5, np.nan, 0.1]), np.array([0.5]))


def test_overall_by_category_and_by_tag():
    scores = np.array([[0.9, 0.3, 0.2], [0.8, 0.6, 0.1], [0.4, 0.5, 0.7], [0.1, 0.2, 0.3]])
    labels = np.array([[1, 0, 0], [1, 1, 0], [0, 1, 1], [0, 0, 0]])
    found = choose_thresholds(scores, labels, tags(0, 0, 4), min_support=2)
    # Five positives: the five largest scores of all are .9 .8 .7 .6 .5.
    assert found.overall == 0.5
    assert found.categories == {0: 0.5, 4: 0.7}
    assert found.tags == {"tag0": 0.8, "tag1": 0.5}


def test_scopes_fall_back_to_the_wider_one():
    found = Thresholds(0.5, {4: 0.7}, {"tag0": 0.8}, 2)
    several = tags(0, 0, 4)
    assert found.of(several, "global").tolist() == [0.5, 0.5, 0.5]
    assert found.of(several, "category").tolist() == [0.5, 0.5, 0.7]
    assert found.of(several, "tag").tolist() == [0.8, 0.5, 0.7]


def test_a_category_without_positives_has_no_threshold_of_its_own():
    found = choose_thresholds(
        np.array([[0.9, 0.1], [0.2, 0.3]]), np.eye(2)[:1].repeat(2, 0), tags(0, 4)
    )
    assert found.categories.keys() == {0}
    # Two positives: the largest two of all four scores.
    assert found.overall == 0.3
    assert found.categories[0] == 0.2


def test_thresholds_are_read_as_written(tmp_path):
    found = Thresholds(0.1 + 0.2, {0: 0.5, 4: 1e-7}, {"été": 0.25}, 20)
    save_thresholds(tmp_path, found)
    assert load_thresholds(tmp_path) == found
    assert json.loads((tmp_path / "thresholds.json").read_text("utf-8"))["category_names"] == {
        "0": "general",
        "4": "character",
    }
