"""The choices of the A/B window as training data for the pairwise head."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from src.aesthetic.heads.pairwise import Choices
from src.rating import choice_log

_WON = {"left": 1.0, "right": 0.0, "tie": 0.5}


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
    if not (directory / choice_log.NAME).is_file():
        return None
    log = choice_log.ChoiceLog(directory)
    try:
        events = log.events()
    finally:
        log.close()
    row = {path: index for index, path in enumerate(paths) if train[index]}
    used = [
        (row[event.left], row[event.right], _WON[event.outcome])
        for event in events
        if event.outcome in _WON and event.left in row and event.right in row
    ]
    left, right, won = zip(*used, strict=True) if used else ((), (), ())
    return Choices.of(left, right, won, images=len(paths))
