"""Which tags an image gets."""

import numpy as np
import pytest

from src.errors import DataError, SettingsError
from src.settings.use_models import TagImages
from src.tagging.choice import TagChoice, allowed_tags, choose
from src.tagging.selected_tags import SelectedTag
from src.tagging.thresholds import USUAL, Thresholds

KINDS = {"safe": 9, "risky": 9, "hat": 0, "sky": 0, "miku": 4}
TAGS = [SelectedTag(i, name, kind, 1) for i, (name, kind) in enumerate(KINDS.items())]


class Model:
    tags = TAGS

    def __init__(self, thresholds=USUAL):
        self.thresholds = thresholds


def given(probabilities, thresholds=USUAL, allowed=None, **wishes):
    settings = TagImages(top_level_image_directory="images", **wishes)
    choice = choose(Model(thresholds), settings, allowed)
    return [TAGS[i].name for i in choice.given(np.array(probabilities)).tolist()]


def test_without_stored_thresholds_each_category_has_the_usual_one():
    assert given([0.2, 0.1, 0.34, 0.35, 0.84]) == ["sky", "safe"]
    assert given([0.1, 0.2, 0.36, 0.35, 0.85]) == ["miku", "hat", "sky", "risky"]


def test_stored_thresholds_go_before():
    own = Thresholds(0.3, {4: 0.1, 9: 0.9}, chosen_on="validation")
    assert given([0.2, 0.1, 0.34, 0.2, 0.2], own) == ["hat"]
    assert given([0.2, 0.1, 0.34, 0.2, 0.2], own, threshold_scope="category") == ["hat", "miku"]


def test_thresholds_of_categories_can_be_set():
    p = [0.6, 0.5, 0.4, 0.2, 0.7]
    wanted = {"general": 0.15, "character": 0.7, "rating": "off"}
    assert given(p, category_thresholds=wanted) == ["miku", "hat", "sky"]
    assert given(p, category_thresholds="general=0.5,rating=0.5") == ["safe", "risky"]
    assert given(p, threshold=0.1, category_thresholds="character=0.9") == ["safe", "hat", "sky"]
    assert given(p, Thresholds(0.65), category_thresholds="general=best") == ["miku", "hat"]
    assert given(p, top_k=3, category_thresholds="character=off") == ["safe", "hat", "sky"]
    assert given(p, category_thresholds="artist=0.5") == ["safe", "hat"]  # not of this model


def test_the_likeliest_is_not_replaced_by_the_next_where_it_may_not_be_given():
    allowed = np.array([False, True, True, True, True])
    assert given([0.6, 0.5, 0.4, 0.2, 0.7], allowed=allowed) == ["hat"]


@pytest.mark.parametrize("wrong", ["general", "charcter=0.5", "general=1.5", "general=x"])
def test_what_is_no_threshold_of_a_category_is_told(wrong):
    with pytest.raises(SettingsError, match="category_thresholds"):
        given([0.5] * 5, category_thresholds=wrong)


def test_thresholds_top_k_and_the_allowed():
    def choice(thresholds=(0.5, 0.6, 0.5), top_k=0, allowed=(True, True, True)):
        return TagChoice(np.array(thresholds), np.array(allowed), top_k)

    p = np.array([0.5, 0.9, 0.1])
    assert choice((0.5, 0.5, 0.5)).given(p).tolist() == [1, 0]  # likeliest first, >= counts
    assert choice((0.51, 0.5, 0.05)).given(p).tolist() == [1, 2]
    assert choice(top_k=2, allowed=(True, False, True)).given(p).tolist() == [0, 2]
    assert choice(allowed=(False, False, True)).given(p).tolist() == []


def test_whitelist_and_blacklist():
    assert allowed_tags(TAGS).tolist() == [True] * 5
    assert allowed_tags(TAGS, ["sky", "unknown"]).tolist() == [False, False, False, True, False]
    assert allowed_tags(TAGS, (), ["sky"]).tolist() == [True, True, True, False, True]
    with pytest.raises(DataError, match="leave no tag"):
        allowed_tags(TAGS, ["sky"], ["sky"])
