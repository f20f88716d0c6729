"""Seed 1: shift to mean zero, tanh, scale to the standard deviation of existing scores."""

import math
import statistics

import pytest

from src.rating.models.initial_scores import existing_deviation, rescale


def test_the_seeds_four_steps_by_hand():
    predictions = {"rated.png": 5.0, "a.png": 3.0, "b.png": 4.0, "c.png": 8.0}  # mean 5
    existing = {"rated.png": 1.0, "other.png": -1.0}  # standard deviation 1
    filled = rescale(predictions, existing, {"a.png", "b.png", "c.png"})
    squashed = {path: math.tanh(x) for path, x in (("a.png", -2), ("b.png", -1), ("c.png", 3))}
    factor = 1.0 / statistics.pstdev(squashed.values())
    assert filled == pytest.approx({path: x * factor for path, x in squashed.items()})
    assert statistics.pstdev(filled.values()) == pytest.approx(1.0)


def test_only_unrated_images_are_filled():
    assert rescale({"a": 1.0, "b": 2.0, "c": 3.0}, {"a": 1.0}, ["b", "c"]).keys() == {"b", "c"}
    assert rescale({"a": 1.0}, {"a": 1.0}, []) == {}
    assert rescale({}, {}, ["a"]) == {}


@pytest.mark.parametrize("existing", [{}, {"a": 3.0}, {"a": 2.0, "b": 2.0}])
def test_without_a_spread_of_ratings_half_is_taken(existing):
    assert existing_deviation(existing) == 0.5
    filled = rescale({"x": 0.0, "y": 1.0}, existing, ["x", "y"])
    assert filled == pytest.approx({"x": -0.5, "y": 0.5})


def test_one_new_image_is_placed_by_the_spread_of_all():
    filled = rescale({"old": -1.0, "new": 1.0}, {"old": 1.0, "older": -1.0}, ["new"])
    assert filled == pytest.approx({"new": 1.0})  # tanh(1) over the spread of tanh(-1), tanh(1)


def test_equal_predictions_say_nothing():
    assert rescale({"a": 7.0, "b": 7.0}, {}, ["a", "b"]) == {"a": 0.0, "b": 0.0}


def test_a_prediction_that_is_no_number_is_refused():
    with pytest.raises(ValueError, match="not finite"):
        rescale({"a": math.nan}, {}, ["a"])
