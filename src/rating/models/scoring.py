"""The two ways to turn choices into scores: Elo and the posterior.

Both are values: `after` one more answer, `refitted` to given answers alone, and before any answer
`with_space`, in other features, or `with_model`, with a model's scores, return a new one, so that a
pair can be prepared for an answer that has not been given, an answer be taken back, and a fit run
beside the window. Differences and
variances are in logits, scores and deviations in Elo units.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple, Self

import numpy as np

from src.rating.models.answer import Answer, as_choices
from src.rating.models.expectation_propagation import Fit, fit
from src.rating.models.feature_space import FeatureSpace
from src.rating.models.graph import Floats, Ints
from src.rating.models.initial_scores import InitialScores
from src.rating.models.likelihood import log_sum, moments
from src.rating.models.posterior import LOGITS, Belief, Prior
from src.rating.pairs.expected_gain import SCORE_VARIANCE, Aim, expected_gains

K = 0.8  # how far one choice can move an Elo score
INITIAL_SLOPE_VARIANCE = 0.25
"""of the factor, 1 at first, by which the initial scores are believed"""
ANSWER_PRECISION = 0.15
"""mean p(1-p) of a choice: what one comparison of the old tool adds to what is known, logits⁻²"""
MOST_SEARCHED = 5000
"""so many of the last choices say what kind of taste it is; with more, it is found once"""
VARIANCES = (0.35, 0.65, 1.2, 2.1, SCORE_VARIANCE, 6.2, 10.7, 18.5)
SHARES = {0.02: 0.2, 0.15: 0.2, 0.5: 0.25, 0.8: 0.2, 0.95: 0.15}  # with their prior probability
POWERS = (0.0, 0.5, 1.0)
_DOUBT = 1.0  # prior standard deviation of the logarithm of the variance
_HARDLY = 0.01  # a kind of taste that is less likely than this counts for nothing


class Taste(NamedTuple):
    """A kind of person: how steep the answers are, and how much of taste features explain.

    A component of mean square p has weights of variance proportional to p^power: 0 is plain
    linear taste; with 1 taste goes with what images differ in most.
    """

    variance: float = SCORE_VARIANCE  # of the scores, logits²
    share: float = 0.5  # of this variance that features explain
    power: float = 1.0

    @property
    def log_prior(self) -> float:
        deviation = math.log(self.variance / SCORE_VARIANCE) / _DOUBT
        return math.log(SHARES[self.share]) - 0.5 * deviation**2

    def neighbours(self) -> list[Self]:
        return [
            self._replace(**{name: values[at + step]})
            for name, values in zip(self._fields, (VARIANCES, tuple(SHARES), POWERS), strict=True)
            for step in (-1, 1)
            if 0 <= (at := values.index(getattr(self, name))) + step < len(values)
        ]


USUAL = Taste()


@dataclass(frozen=True)
class _Scoring:
    """What both read from what they believe."""

    initial: InitialScores
    belief: Belief

    def scores(self) -> Floats:
        return np.asarray(self.belief.mean / LOGITS)

    def deviations(self, images: Ints) -> Floats:
        """(k,) standard deviations of the scores of k images."""
        return np.asarray(np.sqrt(self.belief.variance(images)) / LOGITS)

    def expected_gains(self, sets: Ints, aim: Aim | None = None) -> Floats:
        """(m,) what the answers about m sets, (k, m), are worth for the order, or for an aim."""
        return expected_gains(self.belief, sets, aim)

    def predictions(self, images: Sequence[int]) -> tuple[float, ...] | None:
        """How probable each image is to be the best; None where all are equal so far."""
        mean, covariance = self.belief.differences(images)
        if np.abs(mean).max() < 1e-9:
            return None
        each = np.eye(len(images))  # what if this one were chosen
        means, covariances = (np.stack([one] * len(images), -1) for one in (mean, covariance))
        log_mass, _, _ = moments(means, covariances, each, np.zeros_like(each))
        return tuple(np.exp(log_mass - log_sum(log_mass)).tolist())


@dataclass(frozen=True)
class EloScoring(_Scoring):
    """Ratings as in chess (Elo 1978). Their uncertainty is a rule of thumb, since Elo has none."""

    counts: Floats  # (n,) comparisons

    @classmethod
    def begin(cls, initial: InitialScores) -> Self:
        return cls._of(initial, initial.old + initial.model, initial.old_comparisons)

    def after(self, answer: Answer) -> Self:
        return self._played([answer])

    def refitted(self, answers: Sequence[Answer]) -> Self:
        return self.begin(self.initial)._played(answers)

    def with_space(self, space: FeatureSpace) -> Self:
        return self

    def with_model(self, scores: Floats) -> Self:
        return self

    def _played(self, answers: Sequence[Answer]) -> Self:
        scores, counts = self.scores().tolist(), self.counts.tolist()
        for answer in answers:
            k = K * 2 / len(answer.images)
            for winner, loser, result in answer.duels():
                change = elo_update(scores[winner], scores[loser], result, k)
                scores[winner], scores[loser] = change
            for image in answer.images:
                counts[image] += 1
        return self._of(self.initial, np.array(scores) * LOGITS, np.array(counts))

    @classmethod
    def _of(cls, initial: InitialScores, logits: Floats, counts: Floats) -> Self:
        none = np.zeros(0)
        variances = 1.0 / (1.0 / SCORE_VARIANCE + ANSWER_PRECISION * counts)
        prior = Prior(np.zeros((len(counts), 0)), none, none, variances)
        return cls(initial, replace(Belief.start(prior), u=logits), counts)


@dataclass(frozen=True)
class PosteriorScoring(_Scoring):
    """Gaussian-process preference learning (`posterior.py`) in the features at hand."""

    space: FeatureSpace
    taste: Taste
    candidates: tuple[tuple[float, Belief], ...] = ()
    """kinds of taste by their probability, as of the last fit"""

    @classmethod
    def begin(cls, initial: InitialScores, space: FeatureSpace, taste: Taste = USUAL) -> Self:
        return cls(initial, Belief.start(_prior(initial, space, taste)), space, taste)

    def after(self, answer: Answer) -> Self:
        return replace(self, belief=self.belief.after(answer.images, *answer.told))

    def refitted(self, answers: Sequence[Answer]) -> Self:
        """All answers fitted at once, under the kind of taste of the greatest evidence."""
        from threadpoolctl import threadpool_limits

        with threadpool_limits(1, "blas"):  # the matrices are small, and others want the processor
            return self._searched(answers)

    def _searched(self, answers: Sequence[Answer]) -> Self:
        recent, found = as_choices(answers[-MOST_SEARCHED:]), dict[Taste, Fit]()

        def evidence(taste: Taste) -> float:
            if taste not in found:
                sites = found[best].sites if best in found else None
                found[taste] = fit(_prior(self.initial, self.space, taste), recent, sites)
            total = found[taste].log_evidence + taste.log_prior
            return total if math.isfinite(total) else -math.inf  # a fit that did not converge

        best, before = self.taste, None
        known = bool(self.candidates) and len(answers) > MOST_SEARCHED
        while best != before and answers and not known:
            best, before = max([best, *self._others(best)], key=evidence), best
        if answers and not known:  # how steep answers are stays the least certain
            best = max((best._replace(variance=one) for one in VARIANCES), key=evidence)
        # Not from sites found on the way: the same answers give the same scores.
        fitted = fit(_prior(self.initial, self.space, best), as_choices(answers))
        if len(answers) > MOST_SEARCHED:
            found.clear()
        found[best] = fitted
        weights = np.exp([evidence(taste) - evidence(best) for taste in found])
        weights[weights < _HARDLY] = 0
        pairs = zip(weights / weights.sum(), found.values(), strict=True)
        candidates = tuple((float(weight), one.belief) for weight, one in pairs if weight)
        return replace(self, taste=best, belief=found[best].belief, candidates=candidates)

    def fitted(self, answers: Sequence[Answer]) -> Self:
        """Other answers, under the same kind of taste."""
        fitted = fit(_prior(self.initial, self.space, self.taste), as_choices(answers))
        return replace(self, belief=fitted.belief)

    def with_space(self, space: FeatureSpace) -> Self:
        return self.begin(self.initial, space, self.taste)

    def with_model(self, scores: Floats) -> Self:
        """With a model's scores (n,), NaN where it has none to give, as what to expect."""
        return self.begin(self.initial.with_model(scores), self.space, self.taste)

    def _others(self, taste: Taste) -> list[Taste]:
        """Tastes to compare a taste with; without features, only people as steep or not."""
        near = taste.neighbours()
        return near if self.space.width else [one for one in near if one[1:] == taste[1:]]


Scoring = EloScoring | PosteriorScoring


def win_probability(difference: float) -> float:
    """Of the image whose score is higher by `difference`: 1 / (1 + 10^-difference)."""
    odds = math.pow(10.0, -abs(difference))  # 10 to a large positive power would overflow
    return (1.0 if difference >= 0 else odds) / (1.0 + odds)


def elo_update(left: float, right: float, outcome: float, k: float = K) -> tuple[float, float]:
    """The scores after a choice: `outcome` 1 where left was preferred, 0 right, 0.5 a tie."""
    change = k * (outcome - win_probability(left - right))
    return left + change, right - change


def _prior(initial: InitialScores, space: FeatureSpace, taste: Taste) -> Prior:
    """Features explain their share; initial scores are one more feature, of weight 1."""
    columns = [scores for scores in (initial.old, initial.model) if scores.any()]
    features = np.column_stack([space.features, *columns]) if columns else space.features
    power = space.power
    spread = power**taste.power
    if space.width:
        spread *= taste.variance * taste.share / (power @ spread)
    own = taste.variance * np.where(space.known, 1 - taste.share, 1)
    return Prior(
        features=features,
        w_mean=np.concatenate([np.zeros(space.width), np.ones(len(columns))]),
        w_var=np.concatenate([spread, np.full(len(columns), INITIAL_SLOPE_VARIANCE)]),
        u_var=1.0 / (1.0 / own + ANSWER_PRECISION * initial.old_comparisons),
    )
