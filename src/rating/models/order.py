"""How good the order is, or how many of the best are found, and what more choices would add."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from src.rating.models.answer import Answer
from src.rating.models.graph import Floats, Ints
from src.rating.models.posterior import Belief
from src.rating.models.scoring import PosteriorScoring

FEWEST_CHOICES = 30
WORTHWHILE = 0.01
"""what `more` choices must add to be worth making"""
_DRAWS = 400
_SAMPLE = 1000  # images that stand for all, where the order counts
_AT_ONCE = 2_000_000  # scores that are drawn at once
_PARTS = (0.25, 0.5, 0.75)


class OrderQuality(NamedTuple):
    """How well the scores agree with the person's own taste, as far as is known.

    Spearman's correlation; with a `top`, the share of that many images of the highest scores that
    are among as many of the person's best.
    """

    choices: Ints  # (k,) numbers of choices: parts of those made, all, and `more` than these
    expected: Floats  # (k,)
    low: float
    """5 % quantile for the choices made"""
    high: float
    top: int = 0

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
    scoring: PosteriorScoring, answers: Sequence[Answer], images: Ints, top: int = 0
) -> OrderQuality | None:
    """Of the order of these images, by a scoring that was fitted to the answers.

    Tastes are drawn from the posterior, over every kind of taste that the answers leave open. The
    forecast goes on as it went so far: signal to noise is about a power of the number of choices.
    None below 30 choices or three images.
    """
    count = len(answers)
    if count < FEWEST_CHOICES or len(images) < 3:
        return None
    top = top if top < len(images) else 0
    rng = np.random.default_rng(0)
    images = images if top else rng.permutation(images)[:_SAMPLE]
    drawn = [
        _agreement(belief, scoring.belief.mean[images], images, top, round(weight * _DRAWS), rng)
        for weight, belief in scoring.candidates
    ]
    now = np.concatenate(drawn)
    made = [round(part * count) for part in _PARTS]
    beliefs = [*(scoring.fitted(answers[:part]).belief for part in made), scoring.belief]
    expected = [  # with the same draws, and of one kind of taste
        _agreement(b, b.mean[images], images, top, _DRAWS // 4, np.random.default_rng(1)).mean()
        for b in beliefs
    ]
    signals = np.log([_signal(one) for one in expected])
    growth = np.polyfit(np.log([*made, count]), signals, 1)[0]
    step = min(len(images) / 5, 4 * top or math.inf)
    more = max(20, int(round(step, -1)))
    later = _signal(now.mean()) * ((count + more) / count) ** np.clip(growth, 0.2, 2)
    return OrderQuality(
        choices=np.array([*made, count, count + more]),
        expected=np.array([*expected[:-1], now.mean(), np.sqrt(later / (1 + later))]),
        low=float(np.quantile(now, 0.05)),
        high=float(np.quantile(now, 0.95)),
        top=top,
    )


def _agreement(
    belief: Belief, scores: Floats, images: Ints, top: int, draws: int, rng: np.random.Generator
) -> Floats:
    """(draws,) how well the scores agree with tastes drawn from a belief."""
    found, block = list[Floats](), max(1, _AT_ONCE // len(images))
    for first in range(0, draws, block):
        tastes = belief.draws(images, min(block, draws - first), rng)
        found.append(_precisions(tastes, scores, top) if top else _correlations(tastes, scores))
    return np.concatenate(found) if found else np.zeros(0)


def _correlations(tastes: Floats, scores: Floats) -> Floats:
    """(k,) Spearman's correlation of the scores, (n,), with each of the tastes, (k, n)."""
    middle = (len(scores) - 1) / 2
    ranks = scores.argsort().argsort() - middle
    return np.asarray((tastes.argsort(axis=1).argsort(axis=1) - middle) @ ranks / (ranks @ ranks))


def _precisions(tastes: Floats, scores: Floats, top: int) -> Floats:
    """(k,) how many of the `top` highest scores are among the best of each taste."""
    chosen = np.zeros(len(scores), bool)
    chosen[np.argpartition(-scores, top)[:top]] = True
    best = np.argpartition(-tastes, top, axis=1)[:, :top]
    return np.asarray(chosen[best].mean(axis=1))


def _signal(agreement: float) -> float:
    """The ratio of signal to noise that goes with a correlation."""
    square = min(max(agreement, 0.01), 0.999) ** 2
    return float(square / (1 - square))
