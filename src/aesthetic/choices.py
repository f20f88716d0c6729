"""The choices of the rating window: to learn from, to predict, and how consistent they are."""

import logging
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from src.aesthetic.rated_features import RatedFeatures
from src.errors import DataError
from src.evaluation.proportion import NONE, Proportion
from src.rating.models.answer import Answer, as_choices
from src.rating.models.feature_space import feature_space, without_features
from src.rating.models.graph import Choices
from src.rating.models.initial_scores import InitialScores
from src.rating.models.scoring import EloScoring, PosteriorScoring, Scoring
from src.rating.statistics import ChoiceCounts
from src.rating.storage.choice_log import NAME, ChoiceLog
from src.rating.storage.choice_rows import ANSWERS, as_count

logger = logging.getLogger(__name__)

FEWEST = 30
"""choices below which scores are tested on images kept back instead"""


@dataclass(frozen=True)
class ChoiceData:
    answers: Sequence[Answer]  # in the order given; images without a score now come after all rows
    kinds: Sequence[str]  # why each pair was shown
    # What turns choices into scores, as the window did, without a model's initial scores.
    scoring: Scoring
    rated_before: np.ndarray  # which images had a score of the old tool before any choice, (n,)


def training_choices(directory: Path, paths: Sequence[str], train: np.ndarray) -> Choices | None:
    """The choices among training images, (n,) bool; None without a choice log."""
    if not (directory / NAME).is_file():
        return None
    row = {path: index for index, path in enumerate(paths) if train[index]}
    with closing(ChoiceLog(directory)) as log:
        events = [event for event in log.events if event.outcome in ANSWERS]
    numbers = [[row.get(path, -1) for path in event.images] for event in events]
    told = zip(events, numbers, strict=True)
    found = [Answer.of(event.outcome, images, lambda at: at >= 0) for event, images in told]
    return as_choices([answer for answer in found if answer])


def repeated_pairs(directory: Path) -> Proportion:
    """Hidden repeats of random pairs that the person answered the same way."""
    if not (directory / NAME).is_file():
        return NONE
    try:
        with closing(ChoiceLog(directory)) as log:
            return ChoiceCounts().add(log.events).repeats
    except DataError:  # damaged, or open in a rating window: no reason to fail
        return NONE


def read_choice_data(data: RatedFeatures) -> ChoiceData | None:
    """The choices behind the scores; None where the scores do not come from choices, or too few."""
    directory, paths = data.holder.directory, data.holder.paths
    if data.binary or data.holder.source != "score.json" or not (directory / NAME).is_file():
        return None
    try:
        with closing(ChoiceLog(directory)) as log:
            events = [event for event in log.events if event.outcome in ANSWERS]
            starts, state = log.starts, log.state
    except DataError as error:
        logger.warning(
            "%s. So the model is tested on some of the images, not on your choices.", error
        )
        return None
    if sum(set(paths).issuperset(event.images) for event in events) < FEWEST:
        return None
    others = {path for event in events for path in event.images} | starts.keys()
    names = [*paths, *sorted(others - set(paths))]
    row = {path: number for number, path in enumerate(names)}
    given = InitialScores.of(starts.values(), row, as_count(state.get("old_evaluations")))
    told = [(Answer.of(e.outcome, [row[path] for path in e.images]), e.kind) for e in events]
    answers, kinds = zip(*[(answer, kind) for answer, kind in told if answer], strict=True)
    space = feature_space(names, dict(zip(paths, data.features, strict=True)))

    def methods(initial: InitialScores) -> list[Scoring]:
        return [
            PosteriorScoring.begin(initial, without_features(len(names))),
            PosteriorScoring.begin(initial, space),
            EloScoring.begin(initial),
        ]

    scores = [method.refitted(answers).scores()[: len(paths)] for method in methods(given)]
    alike = [np.corrcoef(found, data.holder.scores)[0, 1] for found in scores]
    scoring = methods(replace(given, model=np.zeros(len(names))))[int(np.argmax(alike))]
    rated_before = given.old_comparisons[: len(paths)] > 0
    return ChoiceData(answers, kinds, scoring, rated_before)
