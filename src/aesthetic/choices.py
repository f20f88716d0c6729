"""The choices of the A/B window as training data for the pairwise head."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from src.aesthetic.heads.pairwise import Choices
from src.errors import DataError
from src.rating.report.statistics import ChoiceCounts
from src.rating.storage import choice_log

_FEWEST = 10  # repeats, or choices: with fewer the share says nothing
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


@dataclass(frozen=True)
class RepeatedChoices:
    """How consistent a person is, and how a model agrees with single choices.

    Attributes:
        repeats: hidden repeats of random pairs, with sides swapped.
        same: how many of them were answered the same way.
        ceiling: the largest share of single choices that any model can agree with.
        choices: between random images that the model scored without having been trained on them.
        agreement: the share of these that the model agrees with; None without any.
    """

    repeats: int
    same: int
    ceiling: float | None
    choices: int
    agreement: float | None


def repeated_choices(
    directory: Path, paths: Sequence[str], scores: np.ndarray, scored: np.ndarray
) -> RepeatedChoices | None:
    """What the log of the A/B window says of consistency; None where it says nothing.

    Somebody who gives the better-liked image with probability p answers a pair twice alike with
    p² + (1-p)², and agrees with his own taste at best with p. Where p differs between the pairs,
    the same formula, solved for p, is an upper bound (Jensen's inequality).

    Args:
        directory: the image folder.
        paths: images (n).
        scores: (n,) a model's.
        scored: (n,) bool, which of them the model was not trained on.
    """
    if not (directory / choice_log.NAME).is_file():
        return None
    try:
        log = choice_log.ChoiceLog(directory)
    except DataError:  # damaged, or open in a rating window: this is no reason to fail
        return None
    try:
        events = log.events()
    finally:
        log.close()
    repeats = ChoiceCounts().add(events).repeats
    if repeats.trials < _FEWEST:
        return None
    score = {path: float(scores[i]) for i, path in enumerate(paths) if scored[i]}
    agreed = [
        (score[event.left] > score[event.right]) == (event.outcome == "left")
        for event in events
        if event.kind == "audit"
        and event.outcome in ("left", "right")
        and event.left in score
        and event.right in score
    ]
    same = repeats.successes / repeats.trials
    return RepeatedChoices(
        repeats.trials,
        repeats.successes,
        (1 + math.sqrt(2 * same - 1)) / 2 if same > 0.5 else None,
        len(agreed),
        float(np.mean(agreed)) if len(agreed) >= _FEWEST else None,
    )
