"""Choices as the test: how many of a person's choices a model predicts that knew neither image.

Scores of the rating window are fitted with the same features that the model is given, so agreement
with them flatters. The choices themselves are free of that. The images are cut into folds, near
duplicates together. For each fold the scores are fitted again without any choice that shows one of
its images, and the head is trained on these scores without the images; so it knows neither the
images of the fold nor what was said of them.
"""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

import numpy as np

from src.aesthetic.choices import ChoiceData
from src.aesthetic.heads.base import FloatArray
from src.aesthetic.heads.training_set import assign_folds
from src.aesthetic.rated_features import RatedFeatures
from src.errors import ModelError
from src.evaluation import verdicts
from src.evaluation.proportion import Proportion
from src.rating.models.answer import Answer

FOLDS = 8
"""with 4 the figure is .01 to .02 too low, for each fit has fewer choices than the model itself"""
RANDOM = ("audit", "random")  # kinds of pairs that were not picked for being hard
REPEAT = "repeat"

Fit = Callable[[np.ndarray, FloatArray, Sequence[Answer]], FloatArray]
"""(rows to train on, scores of all images, choices) -> predictions of all images"""


@dataclass(frozen=True)
class ForetoldChoices:
    """Choices between images that the model had not seen; repeats of a pair are left out.

    Of a choice among more than two the share of the pairs is counted that it decides and that are
    foretold: by Luce's axiom each is a choice between two, of which a coin gets half right.
    """

    random: Proportion  # between random pairs
    picked: Proportion  # between pairs that were picked for being hard to predict
    scores: FloatArray  # (n,) by the fit that did not know the image, mean 0 and deviation 1
    left_out: int = 0  # choices that show an image seen by a model that the fits build on

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
        unseen: images that no model has seen which the fits build on, (n,) bool; only choices
            between these are counted.
    """
    n = len(data.holder)
    fold = assign_folds(data.groups, folds, seed)
    others = len(choices.scoring.scores()) - n
    fold_of = np.concatenate([fold, np.full(others, -1)])  # images without a score are in none
    predicted = np.full((folds, n), np.nan)
    for k in range(folds):
        kept = [one for answer in choices.answers if (one := answer.among(fold_of != k))]
        compared = np.zeros(n + others, dtype=bool)
        compared[[image for answer in kept for image in answer.images]] = True
        rows = (compared[:n] | choices.rated_before) & (fold != k)
        scores = np.asarray(choices.scoring.refitted(kept).scores()[:n], np.float64)
        with suppress(ModelError):  # too little is left to learn from
            predicted[k] = _standardised(fit(rows, scores, kept))
    return _counted(choices, predicted, fold, unseen)


def foretell_by(choices: ChoiceData, scores: FloatArray, unseen: np.ndarray) -> ForetoldChoices:
    """Choices between unseen images, foretold by the scores (n,) of a model that is there."""
    return _counted(choices, _standardised(scores)[None], np.zeros(len(scores), np.intp), unseen)


def _counted(
    choices: ChoiceData, predicted: FloatArray, fold: np.ndarray, unseen: np.ndarray
) -> ForetoldChoices:
    agreed: dict[bool, list[float]] = {True: [], False: []}
    left_out = 0
    for answer, kind in zip(choices.answers, choices.kinds, strict=True):
        if kind == REPEAT or max(answer.images) >= len(fold):
            continue
        if not unseen[list(answer.images)].all():
            left_out += 1
            continue
        foretold = []
        for better, worse, won in answer.duels():
            folds = fold[[better, worse]]
            wins = (np.sign(predicted[folds, better] - predicted[folds, worse]) + 1) / 2
            foretold.append(float((won * wins + (1 - won) * (1 - wins)).mean()))
        if np.isfinite(foretold).all():
            agreed[kind in RANDOM].append(float(np.mean(foretold)))
    random, picked = (Proportion(round(sum(agreed[k])), len(agreed[k])) for k in (True, False))
    return ForetoldChoices(random, picked, predicted[fold, np.arange(len(fold))], left_out)


def _standardised(scores: FloatArray) -> FloatArray:
    spread = float(scores.std())
    return np.asarray((scores - scores.mean()) / (spread if spread > 1e-12 else 1.0))
