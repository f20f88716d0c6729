"""Choices of the A/B window as training data."""

import numpy as np

from src.aesthetic.choices import repeated_pairs, training_choices
from src.evaluation.proportion import Proportion
from src.rating.storage.choice_log import ChoiceLog
from src.rating.storage.choice_rows import Event


def log(directory, *events):
    opened = ChoiceLog(directory)
    try:
        for event in events:
            opened.append(Event(*event, kind="active"))
    finally:
        opened.close()


def test_a_folder_without_choices(tmp_path):
    assert training_choices(tmp_path, ["a", "b"], np.array([True, True])) is None


def test_answers_between_training_images_are_taken(tmp_path):
    log(
        tmp_path,
        ("a", "b", "left"),
        ("b", "c", "right"),
        ("c", "a", "tie"),
        ("a", "b", "skip"),
        ("a", "test", "left"),
        ("gone", "a", "left"),
    )
    paths = ["test", "a", "b", "c"]
    choices = training_choices(tmp_path, paths, np.array([False, True, True, True]))
    assert choices is not None
    assert choices.winners.tolist() == [1, 3, 3, 1]
    assert choices.losers.tolist() == [2, 2, 1, 3]
    assert choices.weights.tolist() == [1, 1, 0.5, 0.5]


def test_repeats_are_counted_and_a_log_in_use_is_no_reason_to_fail(tmp_path):
    assert repeated_pairs(tmp_path) == Proportion(0, 0)
    opened = ChoiceLog(tmp_path)
    for i in range(4):
        opened.append(Event(f"{i}", f"{i + 4}", "left", "audit"))
    for i in range(4):
        opened.append(Event(f"{i + 4}", f"{i}", "left" if i < 1 else "right", "repeat"))
    assert repeated_pairs(tmp_path) == Proportion(0, 0)  # locked
    opened.close()
    assert repeated_pairs(tmp_path) == Proportion(3, 4)
