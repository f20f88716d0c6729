"""How good the order is by now, and what more choices would make of it."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from src.rating.models.graph import Floats, Ints
from src.rating.models.posterior import Belief
from src.rating.models.scoring import Answer, PosteriorScoring

FEWEST_CHOICES = 30
WORTHWHILE = 0.01
"""what `more` choices must add to be worth making"""
_DRAWS = 400
_SAMPLE = 1000  # images that stand for all
_PARTS = (0.25, 0.5, 0.75)


class OrderQuality(NamedTuple):
    """Spearman's correlation of the scores with the person's own taste, as far as is known."""

    choices: Ints  # (k,) numbers of choices: parts of those made, all, and `more` than these
    expected: Floats  # (k,)
    low: float
    """5 % quantile for the choices made"""
    high: float

    @property
    def now(self) -> float:
        return float(self.expected[-2])

    @property
    def later(self) -> float:
        return float(self.expected[-1])

    @property
    def more(self) -> int:
        return int(self.choices[-1] - self.choices[-2])

    @property
    def can_stop(self) -> bool:
        return self.later - self.now < WORTHWHILE


def order_quality(
    scoring: PosteriorScoring, answers: Sequence[Answer], images: Ints
) -> OrderQuality | None:
    """Of the order of these images, by a scoring that was fitted to the answers.

    Tastes are drawn from the posterior, over every kind of taste that the answers leave open. The
    forecast goes on as the last quarter went: signal to noise is about a power of the number of
    choices. None below 30 choices or three images.
    """
    count = len(answers)
    if count < FEWEST_CHOICES or len(images) < 3:
        return None
    rng = np.random.default_rng(0)
    images = rng.permutation(images)[:_SAMPLE]
    drawn = [
        _correlations(belief, scoring.belief.mean[images], images, round(weight * _DRAWS), rng)
        for weight, belief in scoring.candidates
    ]
    now = np.concatenate(drawn)
    made = [round(part * count) for part in _PARTS]
    before = [scoring.fitted(answers[:part]).belief for part in made]
    expected = [_correlations(b, b.mean[images], images, _DRAWS // 4, rng).mean() for b in before]
    growth = np.log(_signal(now.mean()) / _signal(expected[-1])) / np.log(count / made[-1])
    more = max(20, int(round(len(images) / 5, -1)))
    later = _signal(now.mean()) * ((count + more) / count) ** np.clip(growth, 0.2, 2)
    return OrderQuality(
        choices=np.array([*made, count, count + more]),
        expected=np.array([*expected, now.mean(), np.sqrt(later / (1 + later))]),
        low=float(np.quantile(now, 0.05)),
        high=float(np.quantile(now, 0.95)),
    )


def _correlations(
    belief: Belief, scores: Floats, images: Ints, draws: int, rng: np.random.Generator
) -> Floats:
    """(draws,) Spearman's correlation of the scores with tastes drawn from a belief."""
    tastes = belief.draws(images, draws, rng).argsort(axis=1).argsort(axis=1)
    middle = (len(images) - 1) / 2
    ranks = scores.argsort().argsort() - middle
    return np.asarray((tastes - middle) @ ranks / (ranks @ ranks))


def _signal(correlation: float) -> float:
    """The ratio of signal to noise that goes with a correlation."""
    square = min(max(correlation, 0.01), 0.999) ** 2
    return float(square / (1 - square))
