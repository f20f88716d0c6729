"""The two ways to turn choices into scores, with one interface: Elo and the posterior.

Both are values: `after` and `refitted` return a new one, so that a pair can be prepared for an
answer that has not been given, an answer be taken back, and a fit run beside the window.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple, Protocol, Self

import numpy as np

from src.rating.models import elo
from src.rating.models.comparison_graph import Choices, Floats, Ints, sigmoid
from src.rating.models.feature_space import FeatureSpace
from src.rating.models.posterior import Belief, Prior, fit
from src.rating.pairs.expected_gain import SCORE_VARIANCE, independent_values, pair_values

LOGITS = math.log(10)
"""logits per Elo unit"""
START_SLOPE_VARIANCE = 0.25
"""of the factor, 1 at first, by which the starting scores are believed"""
ANSWER_PRECISION = 0.15
"""mean p(1-p) of a choice: what one comparison of the old tool adds to what is known, logits⁻²"""
MOST_SEARCHED = 5000
"""above this many choices the kind of taste is no longer searched for, but kept"""


class Taste(NamedTuple):
    """How much of taste features explain, and how.

    A component of mean square p has weights of variance proportional to p^steepness: 0 is plain
    linear taste; with 1 taste goes with what images differ in most.
    """

    share: float  # of the scores' variance
    steepness: float
    plausible: float  # at first


TASTES = (
    Taste(0.50, 1.0, 0.25),
    Taste(0.50, 0.0, 0.20),
    Taste(0.15, 0.5, 0.25),
    Taste(0.02, 0.5, 0.30),
)


class Answer(NamedTuple):
    """One choice between two images by their index."""

    left: int
    right: int
    outcome: str  # left, right or tie


@dataclass(frozen=True)
class Starts:
    """Scores that images had before any choice, logits; n images.

    Args:
        old: from a score file without choices; 0 where there is none.
        old_comparisons: how many comparisons stand behind each of them.
        model: from a model; 0 where there is none.
    """

    old: Floats
    old_comparisons: Floats
    model: Floats


class Scoring(Protocol):
    """What the database asks of a method."""

    def after(self, answer: Answer) -> Self:
        """The scores after one more answer."""

    def refitted(self, answers: Sequence[Answer]) -> Self:
        """The scores that all answers give, as exactly as the method can."""

    def with_space(self, space: FeatureSpace) -> Self:
        """The same method on other features; to be refitted."""

    def difference(self, i: Ints, j: Ints) -> tuple[Floats, Floats]:
        """(k,) mean and variance of the score differences of k pairs, logits."""

    def worth(self, i: Ints, j: Ints) -> Floats:
        """(k,) what the answers about k pairs are worth for the order of all images."""

    def scores(self) -> Floats:
        """(n,) scores, Elo units."""

    def deviations(self, images: Ints) -> Floats:
        """(k,) standard deviations of the scores of k images, Elo units."""


def prediction(scoring: Scoring, left: int, right: int) -> float | None:
    """The probability that left will be preferred; None where both are equal so far."""
    mean, variance = scoring.difference(np.array([left]), np.array([right]))
    if abs(mean[0]) < 1e-9:
        return None
    # MacKay 1992: a logistic averaged over a Gaussian.
    return float(sigmoid(mean / np.sqrt(1 + math.pi / 8 * variance))[0])


@dataclass(frozen=True)
class EloScoring:
    """The seed's rule. Its uncertainty is a rule of thumb, since Elo has none."""

    starts: Starts
    values: Floats  # (n,) Elo units
    counts: Floats  # (n,) comparisons

    @classmethod
    def begin(cls, starts: Starts) -> EloScoring:
        """The scores before any choice."""
        return cls(starts, (starts.old + starts.model) / LOGITS, starts.old_comparisons)

    def after(self, answer: Answer) -> EloScoring:
        return self._played([answer])

    def refitted(self, answers: Sequence[Answer]) -> EloScoring:
        return self.begin(self.starts)._played(answers)

    def with_space(self, space: FeatureSpace) -> EloScoring:
        return self

    def difference(self, i: Ints, j: Ints) -> tuple[Floats, Floats]:
        variance = self._variances()
        return (self.values[i] - self.values[j]) * LOGITS, variance[i] + variance[j]

    def worth(self, i: Ints, j: Ints) -> Floats:
        return independent_values(self.values * LOGITS, self._variances(), i, j)

    def scores(self) -> Floats:
        return self.values

    def deviations(self, images: Ints) -> Floats:
        return np.asarray(np.sqrt(self._variances()[images]) / LOGITS)

    def _variances(self) -> Floats:
        return np.asarray(1.0 / (1.0 / SCORE_VARIANCE + ANSWER_PRECISION * self.counts))

    def _played(self, answers: Sequence[Answer]) -> EloScoring:
        scores, played = self.values.tolist(), self.counts.tolist()
        for left, right, outcome in answers:
            result = {"left": 1.0, "right": 0.0}.get(outcome, 0.5)
            scores[left], scores[right] = elo.update(scores[left], scores[right], result)
            played[left] += 1
            played[right] += 1
        return replace(self, values=np.array(scores), counts=np.array(played))


@dataclass(frozen=True)
class PosteriorScoring:
    """Gaussian-process preference learning (`posterior.py`) in the features at hand."""

    starts: Starts
    space: FeatureSpace
    taste: Taste
    belief: Belief

    @classmethod
    def begin(
        cls, starts: Starts, space: FeatureSpace, taste: Taste = TASTES[0]
    ) -> PosteriorScoring:
        """The belief before any choice."""
        return cls(starts, space, taste, Belief.start(_prior(starts, space, taste)))

    def after(self, answer: Answer) -> PosteriorScoring:
        left, right, outcome = answer
        if outcome == "left":
            belief = self.belief.after(left, right)
        elif outcome == "right":
            belief = self.belief.after(right, left)
        else:
            belief = self.belief.after(left, right, 0.5).after(right, left, 0.5)
        return replace(self, belief=belief)

    def refitted(self, answers: Sequence[Answer]) -> PosteriorScoring:
        choices = as_choices(answers)
        search = self.space.width and 0 < len(choices) <= MOST_SEARCHED
        best, most = self, -math.inf
        for taste in TASTES if search else (self.taste,):
            fitted = fit(_prior(self.starts, self.space, taste), choices, self.belief)
            evidence = fitted.log_evidence + math.log(taste.plausible)
            if evidence > most:
                best, most = replace(self, taste=taste, belief=fitted.belief), evidence
        return best

    def with_space(self, space: FeatureSpace) -> PosteriorScoring:
        return self.begin(self.starts, space, self.taste)

    def difference(self, i: Ints, j: Ints) -> tuple[Floats, Floats]:
        return self.belief.difference(i, j)

    def worth(self, i: Ints, j: Ints) -> Floats:
        return pair_values(self.belief, i, j)

    def scores(self) -> Floats:
        return np.asarray(self.belief.mean / LOGITS)

    def deviations(self, images: Ints) -> Floats:
        return np.asarray(np.sqrt(self.belief.variance(images)) / LOGITS)


def as_choices(answers: Sequence[Answer]) -> Choices:
    """Answers as arrays; a tie is half a win for either side."""
    left = np.array([answer.left for answer in answers], dtype=np.intp)
    right = np.array([answer.right for answer in answers], dtype=np.intp)
    outcome = np.array([answer.outcome for answer in answers], dtype=object)
    left_won = outcome != "right"
    winners, losers = np.where(left_won, left, right), np.where(left_won, right, left)
    tie = outcome == "tie"
    return Choices(
        np.concatenate([winners, losers[tie]]),
        np.concatenate([losers, winners[tie]]),
        np.concatenate([np.where(tie, 0.5, 1.0), np.full(int(tie.sum()), 0.5)]),
    )


def _prior(starts: Starts, space: FeatureSpace, taste: Taste) -> Prior:
    """Features explain their share of the variance; each start is one more feature of weight 1."""
    columns = [start for start in (starts.old, starts.model) if start.any()]
    features = np.column_stack([space.features, *columns]) if columns else space.features
    power = space.power
    spread = power**taste.steepness
    if space.width:
        spread *= SCORE_VARIANCE * taste.share / (power @ spread)
    own = np.where(space.known, SCORE_VARIANCE * (1 - taste.share), SCORE_VARIANCE)
    return Prior(
        features=features,
        w_mean=np.concatenate([np.zeros(space.width), np.ones(len(columns))]),
        w_var=np.concatenate([spread, np.full(len(columns), START_SLOPE_VARIANCE)]),
        u_var=1.0 / (1.0 / own + ANSWER_PRECISION * starts.old_comparisons),
    )
