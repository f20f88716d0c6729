"""The choices of the A/B window: to learn from, and to measure a person's consistency."""

from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import numpy as np

from src.errors import DataError
from src.evaluation.proportion import NONE, Proportion
from src.rating.models.graph import Choices
from src.rating.models.scoring import Answer, as_choices
from src.rating.report.statistics import ChoiceCounts
from src.rating.storage.choice_log import NAME, ChoiceLog, Event

WON = {"left": 1.0, "right": 0.0, "tie": 0.5}


def read_choices(directory: Path) -> list[Event]:
    """What stands in the log of a folder; nothing where there is no log.

    Raises:
        DataError: the log is damaged, or open in a rating window.
    """
    if not (directory / NAME).is_file():
        return []
    with closing(ChoiceLog(directory)) as log:
        return log.events()


def training_choices(directory: Path, paths: Sequence[str], train: np.ndarray) -> Choices | None:
    """The choices between two training images, or None if the folder has no choice log.

    Args:
        directory: the image folder.
        paths: images in the order of the features, (n).
        train: which of them are trained on, (n,) bool; a choice that shows a test image is left
            out, so that the test stays honest.

    Raises:
        DataError: the log is damaged, or open in a rating window.
    """
    if not (directory / NAME).is_file():
        return None
    row = {path: index for index, path in enumerate(paths) if train[index]}
    return as_choices(
        [
            Answer(row[event.left], row[event.right], event.outcome)
            for event in read_choices(directory)
            if event.outcome in WON and event.left in row and event.right in row
        ]
    )


def repeated_pairs(directory: Path) -> Proportion:
    """Hidden repeats of random pairs that the person answered the same way."""
    try:
        return ChoiceCounts().add(read_choices(directory)).repeats
    except DataError:  # damaged, or open in a rating window: no reason to fail
        return NONE
