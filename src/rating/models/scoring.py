"""The two ways to turn choices into scores, with the same methods: Elo and the posterior.

Both are values: `after`, `refitted` and `with_space` return a new one, so that a pair can be
prepared for an answer that has not been given, an answer be taken back, and a fit run beside the
window. Differences and variances are in logits, scores and deviations in Elo units.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from src.rating.models import elo
from src.rating.models.comparison_graph import Choices, Floats, Ints, sigmoid
from src.rating.models.feature_space import FeatureSpace
from src.rating.models.initial_scores import InitialScores
from src.rating.models.posterior import Belief, Prior, fit
from src.rating.pairs.expected_gain import SCORE_VARIANCE, independent_gains, pair_gains

LOGITS = math.log(10)
"""logits per Elo unit"""
INITIAL_SLOPE_VARIANCE = 0.25
"""of the factor, 1 at first, by which the initial scores are believed"""
ANSWER_PRECISION = 0.15
"""mean p(1-p) of a choice: what one comparison of the old tool adds to what is known, logits⁻²"""
MOST_SEARCHED = 5000
"""above this many choices the kind of taste is no longer searched for, but kept"""


class FeaturePrior(NamedTuple):
    """How much of taste features explain, and how.

    A component of mean square p has weights of variance proportional to p^spectrum_power: 0 is
    plain linear taste; with 1 taste goes with what images differ in most.
    """

    variance_share: float  # of the scores' variance
    spectrum_power: float
    weight: float  # prior probability


FEATURE_PRIORS = (
    FeaturePrior(0.50, 1.0, 0.25),
    FeaturePrior(0.50, 0.0, 0.20),
    FeaturePrior(0.15, 0.5, 0.25),
    FeaturePrior(0.02, 0.5, 0.30),
)


class Answer(NamedTuple):
    """One choice between two images by their index."""

    left: int
    right: int
    outcome: str  # left, right or tie


@dataclass(frozen=True)
class EloScoring:
    """The classic rule. Its uncertainty is a rule of thumb, since Elo has none."""

    initial: InitialScores
    values: Floats  # (n,) Elo units
    counts: Floats  # (n,) comparisons

    @classmethod
    def begin(cls, initial: InitialScores) -> EloScoring:
        return cls(initial, (initial.old + initial.model) / LOGITS, initial.old_comparisons)

    def after(self, answer: Answer) -> EloScoring:
        return self._played([answer])

    def refitted(self, answers: Sequence[Answer]) -> EloScoring:
        return self.begin(self.initial)._played(answers)

    def with_space(self, space: FeatureSpace) -> EloScoring:
        return self

    def difference(self, i: Ints, j: Ints) -> tuple[Floats, Floats]:
        """(k,) mean and variance of the score differences of k pairs."""
        variance = self._variances()
        return (self.values[i] - self.values[j]) * LOGITS, variance[i] + variance[j]

    def expected_gains(self, i: Ints, j: Ints) -> Floats:
        """(k,) what the answers about k pairs are worth for the order of all images."""
        return independent_gains(self.values * LOGITS, self._variances(), i, j)

    def scores(self) -> Floats:
        return self.values

    def deviations(self, images: Ints) -> Floats:
        """(k,) standard deviations of the scores of k images."""
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

    initial: InitialScores
    space: FeatureSpace
    feature_prior: FeaturePrior
    belief: Belief

    @classmethod
    def begin(
        cls,
        initial: InitialScores,
        space: FeatureSpace,
        feature_prior: FeaturePrior = FEATURE_PRIORS[0],
    ) -> PosteriorScoring:
        belief = Belief.start(_prior(initial, space, feature_prior))
        return cls(initial, space, feature_prior, belief)

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
        """All answers fitted at once, under the feature prior of the greatest evidence."""
        choices = as_choices(answers)
        search = self.space.width and 0 < len(choices) <= MOST_SEARCHED
        best, most = self, -math.inf
        for prior in FEATURE_PRIORS if search else (self.feature_prior,):
            fitted = fit(_prior(self.initial, self.space, prior), choices, self.belief)
            evidence = fitted.log_evidence + math.log(prior.weight)
            if evidence > most:
                best, most = replace(self, feature_prior=prior, belief=fitted.belief), evidence
        return best

    def with_space(self, space: FeatureSpace) -> PosteriorScoring:
        return self.begin(self.initial, space, self.feature_prior)

    def difference(self, i: Ints, j: Ints) -> tuple[Floats, Floats]:
        return self.belief.difference(i, j)

    def expected_gains(self, i: Ints, j: Ints) -> Floats:
        return pair_gains(self.belief, i, j)

    def scores(self) -> Floats:
        return np.asarray(self.belief.mean / LOGITS)

    def deviations(self, images: Ints) -> Floats:
        return np.asarray(np.sqrt(self.belief.variance(images)) / LOGITS)


Scoring = EloScoring | PosteriorScoring


def prediction(scoring: Scoring, left: int, right: int) -> float | None:
    """The probability that left will be preferred; None where both are equal so far."""
    mean, variance = scoring.difference(np.array([left]), np.array([right]))
    if abs(mean[0]) < 1e-9:
        return None
    # MacKay 1992: a logistic averaged over a Gaussian.
    return float(sigmoid(mean / np.sqrt(1 + math.pi / 8 * variance))[0])


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


def _prior(initial: InitialScores, space: FeatureSpace, feature_prior: FeaturePrior) -> Prior:
    """Features explain their share; initial scores are one more feature, of weight 1."""
    columns = [scores for scores in (initial.old, initial.model) if scores.any()]
    features = np.column_stack([space.features, *columns]) if columns else space.features
    share, power = feature_prior.variance_share, space.power
    spread = power**feature_prior.spectrum_power
    if space.width:
        spread *= SCORE_VARIANCE * share / (power @ spread)
    own = np.where(space.known, SCORE_VARIANCE * (1 - share), SCORE_VARIANCE)
    return Prior(
        features=features,
        w_mean=np.concatenate([np.zeros(space.width), np.ones(len(columns))]),
        w_var=np.concatenate([spread, np.full(len(columns), INITIAL_SLOPE_VARIANCE)]),
        u_var=1.0 / (1.0 / own + ANSWER_PRECISION * initial.old_comparisons),
    )
