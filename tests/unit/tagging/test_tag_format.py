"""How tags are written: spelling, order, first tags, other words."""

import numpy as np
import pytest
from pydantic import ValidationError

from src.settings.use_models import TagImages
from src.tagging.selected_tags import SelectedTag
from src.tagging.tag_format import TagFormat

KINDS = {
    "safe": 9,
    "long_hair": 0,
    "^_^": 0,
    "cat_(animal)": 0,
    "saber_(fate)": 4,
    "fate": 3,
    "rock, paper": 0,
}
TAGS = [SelectedTag(i, name, kind, 1) for i, (name, kind) in enumerate(KINDS.items())]
ROW = np.array([0.5, 0.6, 0.7, 0.4, 0.9, 0.3, 0.2])


def written(*names, there=(), **wishes):
    """A file's tags where the image has these of TAGS, likeliest first."""
    settings = TagImages(top_level_image_directory="images", **wishes)
    given = np.array([[*KINDS].index(name) for name in names], int)
    return TagFormat(TAGS, settings).tags(given, ROW, there)


def test_as_they_are_by_default():
    names = ["saber_(fate)", "^_^", "long_hair"]
    assert written(*names) == names
    assert written("long_hair", there=["mine", "long_hair"]) == ["mine", "long_hair"]


@pytest.mark.parametrize(
    ("how", "found"),
    [
        ("spaces", ["saber (fate)", "^_^", "long hair"]),
        ("escaped", [r"saber_\(fate\)", "^_^", "long_hair"]),
        ("spaces,escaped", [r"saber \(fate\)", "^_^", "long hair"]),
        ("underscores", ["saber_(fate)", "^_^", "long_hair"]),
    ],
)
def test_spelling(how, found):
    assert written("saber_(fate)", "^_^", "long_hair", tag_format=how) == found


def test_underscores_for_spaces():
    tags = [SelectedTag(0, "long hair", 0, 1)]
    settings = TagImages(top_level_image_directory="images", tag_format=("underscores",))
    assert TagFormat(tags, settings).tags(np.array([0]), ROW[:1]) == ["long_hair"]


def test_order():
    names = ["saber_(fate)", "^_^", "long_hair", "safe", "fate"]  # likeliest first
    assert written(*names, tag_format="by_category") == [
        *("saber_(fate)", "fate", "^_^", "long_hair", "safe"),
    ]
    assert written(*names, tag_format="by_list") == [
        *("safe", "long_hair", "^_^", "saber_(fate)", "fate"),
    ]


def test_first_tags():
    found = written("^_^", "long_hair", first_tags="sks, long_hair, fate")
    assert found == ["sks", "long_hair", "^_^"]  # fate is known, and not given


def test_other_words_and_none():
    names = ["^_^", "long_hair", "fate"]
    wishes = {"replace_tags": {"long_hair": "rapunzel", "^_^": ""}, "first_tags": ["rapunzel"]}
    assert written(*names, **wishes) == ["rapunzel", "fate"]
    assert written("fate", **wishes) == ["fate"]
    spelled = {"tag_format": "spaces", "replace_tags": "long hair=rapunzel"}
    assert written("long_hair", **spelled) == ["rapunzel"]


def test_append_and_merge():
    there = ["a photo", r"saber \(fate\)", "safe"]
    wishes = {"tag_format": "spaces,escaped,by_category", "first_tags": "sks"}
    assert written("long_hair", there=there, existing="append", **wishes) == [
        *(*there, "sks", "long hair"),
    ]
    assert written("long_hair", "safe", there=there, existing="merge", **wishes) == [
        *("sks", "a photo", r"saber \(fate\)", "long hair", "safe"),
    ]
    again = ["long_hair", "cat_(animal)"]  # spelled otherwise before
    assert written("long_hair", there=again, existing="merge", **wishes) == [
        *("sks", "long hair", r"cat \(animal\)"),
    ]


def test_a_name_with_a_comma_is_left_out_between_commas():
    settings = TagImages(top_level_image_directory="images", tag_commas=True)
    assert TagFormat(TAGS, settings).writable.tolist() == [True] * 6 + [False]


@pytest.mark.parametrize(
    "wrong",
    [
        {"tag_format": "space"},
        {"tag_format": "spaces,underscores"},
        {"tag_format": ["by_list", "by_category"]},
        {"replace_tags": "solo"},
    ],
)
def test_what_cannot_be_is_told(wrong):
    with pytest.raises(ValidationError, match=next(iter(wrong))):
        TagImages(top_level_image_directory="images", **wrong)
