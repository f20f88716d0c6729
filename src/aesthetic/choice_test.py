"""Choices as the test: how many of a person's choices a model foretells that knew neither image.

Scores of the A/B window are fitted with the same features that the model is given, so agreement
with them flatters. The choices themselves are free of that. The images are cut into folds, near
duplicates together. For each fold the scores are fitted again without any choice that shows one of
its images, and the head is trained on these scores without the images; so it knows neither the
images of the fold nor what was said of them.
"""

import logging
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, replace

import numpy as np

from src.aesthetic.choices import WON
from src.aesthetic.heads.base import FloatArray
from src.aesthetic.rated_features import RatedFeatures
from src.aesthetic.select import assign_folds
from src.errors import DataError, ModelError
from src.evaluation import verdicts
from src.evaluation.proportion import Proportion
from src.rating.models.feature_space import feature_space, without_features
from src.rating.models.initial_scores import InitialScores
from src.rating.models.scoring import Answer, EloScoring, PosteriorScoring, Scoring
from src.rating.storage.choice_log import ANSWERS, NAME, ChoiceLog

logger = logging.getLogger(__name__)

FEWEST = 30
"""choices below which scores are tested on images kept back instead"""
FOLDS = 8
"""with 4 the figure is .01 to .02 too low, for each fit has fewer choices than the model itself"""
RANDOM = ("audit", "random")  # kinds of pairs that were not picked for being hard
REPEAT = "repeat"

Fit = Callable[[np.ndarray, FloatArray, Sequence[Answer]], FloatArray]
"""(rows to train on, scores of all images, choices) -> predictions of all images"""


@dataclass(frozen=True)
class ChoiceData:
    """The choices behind the scores of a folder.

    Attributes:
        answers: in the order they were given; images by their row, those without a score now
            after all rows.
        kinds: why each pair was shown.
        scoring: what turns choices into scores, as the window did, before any choice and without
            a model's initial scores.
        rated_before: which images had a score of the old tool before any choice, (n,) bool.
    """

    answers: Sequence[Answer]
    kinds: Sequence[str]
    scoring: Scoring
    rated_before: np.ndarray


def read_choice_data(data: RatedFeatures) -> ChoiceData | None:
    """The choices behind the scores; None where the scores do not come from choices, or too few.

    Raises:
        DataError: the log is damaged.
    """
    directory = data.holder.directory
    if data.binary or data.holder.source != "score.json" or not (directory / NAME).is_file():
        return None
    try:
        with closing(ChoiceLog(directory)) as log:
            events = [event for event in log.events() if event.outcome in ANSWERS]
            starts, state = log.starts(), log.state()
    except DataError as error:
        logger.warning("%s. So images are kept back to test on, and not your choices.", error)
        return None
    n = len(data.holder)
    if sum({e.left, e.right} <= set(data.holder.paths) for e in events) < FEWEST:
        return None
    others = {path for event in events for path in event[:2]} | starts.keys()
    names = [*data.holder.paths, *sorted(others - set(data.holder.paths))]
    row = {path: number for number, path in enumerate(names)}
    given = InitialScores.of(starts.values(), row, int(state.get("old_evaluations", 0)))
    answers = [Answer(row[event.left], row[event.right], event.outcome) for event in events]
    space = feature_space(names, dict(zip(data.holder.paths, data.features, strict=True)))

    def methods(initial: InitialScores) -> list[Scoring]:
        plain = without_features(len(names))
        return [
            PosteriorScoring.begin(initial, plain),
            PosteriorScoring.begin(initial, space),
            EloScoring.begin(initial),
        ]

    alike = [
        np.corrcoef(method.refitted(answers).scores()[:n], data.holder.scores)[0, 1]
        for method in methods(given)
    ]
    without_model = replace(given, model=np.zeros(len(names)))
    method = methods(without_model)[int(np.argmax(alike))]
    before = given.old_comparisons[:n] > 0
    return ChoiceData(answers, [event.kind for event in events], method, before)


@dataclass(frozen=True)
class ForetoldChoices:
    """Choices between images that the model had not seen; repeats of a pair are left out.

    Attributes:
        random: between random pairs.
        picked: between pairs that were picked for being hard to foretell.
        scores: of each image by the fit that did not know it, (n,), mean 0 and deviation 1.
        left_out: choices that show an image seen by a model that the fits build on.
    """

    random: Proportion
    picked: Proportion
    scores: FloatArray
    left_out: int = 0

    @property
    def headline(self) -> Proportion:
        """Random pairs where there are enough of them, otherwise all."""
        enough = self.random.trials >= verdicts.FEWEST_CHOICES
        return self.random if enough else self.random + self.picked


def foretell(
    data: RatedFeatures,
    choices: ChoiceData,
    fit: Fit,
    unseen: np.ndarray,
    *,
    folds: int = FOLDS,
    seed: int = 0,
) -> ForetoldChoices:
    """Foretell every choice by fits that know neither it nor one of its images.

    A choice between an image of fold a and one of fold b is foretold by both folds' fits, each
    counting half: a's knows nothing of the choice and of the one image, b's of the other. Comparing
    a's score of the one with b's of the other was .01 to .02 further from the truth.

    Args:
        data: the images.
        choices: of `read_choice_data`.
        fit: trains the head.
        unseen: images that no model has seen which the fits build on, (n,) bool; only choices
            between these are counted.
        folds: how many.
        seed: of the folds.
    """
    n = len(data.holder)
    fold = assign_folds(data.groups, folds, seed)
    others = len(choices.scoring.scores()) - n
    fold_of = np.concatenate([fold, np.full(others, -1)])  # images without a score are in none
    predicted = np.full((folds, n), np.nan)
    for k in range(folds):
        kept = [a for a in choices.answers if k not in (fold_of[a.left], fold_of[a.right])]
        compared = np.zeros(n + others, dtype=bool)
        compared[[image for answer in kept for image in answer[:2]]] = True
        rows = (compared[:n] | choices.rated_before) & (fold != k)
        with suppress(ModelError):  # too little is left to learn from
            predicted[k] = _standardised(
                fit(rows, np.asarray(choices.scoring.refitted(kept).scores()[:n], np.float64), kept)
            )
    return _counted(choices, predicted, fold, unseen)


def foretell_by(
    data: RatedFeatures, choices: ChoiceData, scores: FloatArray, unseen: np.ndarray
) -> ForetoldChoices:
    """Choices between unseen images, foretold by a model that is there; arguments as above."""
    return _counted(choices, _standardised(scores)[None], np.zeros(len(scores), np.intp), unseen)


def _counted(
    choices: ChoiceData, predicted: FloatArray, fold: np.ndarray, unseen: np.ndarray
) -> ForetoldChoices:
    right: dict[bool, list[float]] = {True: [], False: []}
    left_out = 0
    for (left, right_image, outcome), kind in zip(choices.answers, choices.kinds, strict=True):
        if kind == REPEAT or max(left, right_image) >= len(fold):
            continue
        if not (unseen[left] and unseen[right_image]):
            left_out += 1
            continue
        folds = fold[[left, right_image]]
        margin = predicted[folds, left] - predicted[folds, right_image]
        if np.isfinite(margin).all():
            foretold = (np.sign(margin) + 1) / 2
            won = WON[outcome]
            agreed = 0.5 if won == 0.5 else float(np.mean(np.where(won, foretold, 1 - foretold)))
            right[kind in RANDOM].append(agreed)
    random, picked = (Proportion(round(sum(right[k])), len(right[k])) for k in (True, False))
    scores = predicted[fold, np.arange(len(fold))]
    return ForetoldChoices(random, picked, scores, left_out)


def _standardised(scores: FloatArray) -> FloatArray:
    spread = float(scores.std())
    return (scores - scores.mean()) / (spread if spread > 1e-12 else 1.0)  # type: ignore[no-any-return]
