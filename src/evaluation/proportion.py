"""A proportion of trials with its confidence interval, and the ceiling of predicting a person.

Wilson's interval stays by hand: the rating window shows it and starts without scipy.stats, whose
`binomtest(k, n).proportion_ci(method="wilson")` is the same.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

_Z = 1.959963984540054  # 97.5% quantile of the standard normal distribution


@dataclass(frozen=True)
class Proportion:
    """`successes` of `trials`, with Wilson's 95% interval."""

    successes: int
    trials: int

    @property
    def value(self) -> float | None:
        return self.successes / self.trials if self.trials else None

    @property
    def interval(self) -> tuple[float, float]:
        """Wilson's 95% interval; (0, 1) without trials."""
        return wilson(self.value or 0.0, self.trials)

    def __add__(self, other: Proportion) -> Proportion:
        return Proportion(self.successes + other.successes, self.trials + other.trials)

    def __str__(self) -> str:
        """As in "73.1% (64.0–80.7%, 80 of 110)"; "–" without trials."""
        if self.value is None:
            return "–"
        low, high = self.interval
        return (
            f"{100 * self.value:.1f}% ({100 * low:.1f}–{100 * high:.1f}%, "
            f"{self.successes:,} of {self.trials:,})"
        )


def wilson(p: float, n: int) -> tuple[float, float]:
    """The 95% interval of a proportion of `n` trials (Wilson 1927); (0, 1) without trials."""
    if not n:
        return 0.0, 1.0
    scale = 1 + _Z**2 / n
    centre = (p + _Z**2 / (2 * n)) / scale
    half = _Z / scale * math.sqrt(p * (1 - p) / n + _Z**2 / (4 * n**2))
    return 0.0 if p == 0 else max(0.0, centre - half), 1.0 if p == 1 else min(1.0, centre + half)


FEWEST_REPEATS = 10
"""repeated pairs below which nothing is said of a person's consistency"""


def ceiling(consistency: Proportion) -> tuple[float, float, float] | None:
    """The largest proportion of single choices that any model can predict, with its interval.

    Someone who gives the better-liked image with probability p answers a pair twice alike with
    s = p² + (1 - p)², and a perfect model predicts the choice with p = (1 + √(2s - 1)) / 2. Where
    p differs between the pairs this is an upper bound (Jensen's inequality).

    Returns the estimate and the ends of its 95% interval; None below ten repeats.
    """
    if consistency.trials < FEWEST_REPEATS or consistency.value is None:
        return None
    low, high = consistency.interval
    estimate, low, high = (
        (1 + math.sqrt(max(2 * same - 1, 0.0))) / 2 for same in (consistency.value, low, high)
    )
    return estimate, low, high


NONE = Proportion(0, 0)
"""nothing was tried yet"""
