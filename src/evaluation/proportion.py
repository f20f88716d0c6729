"""A share of trials with its confidence interval."""

from __future__ import annotations

import math
from dataclasses import dataclass

_Z = 1.959963984540054  # 97.5 % quantile of the standard normal distribution


@dataclass(frozen=True)
class Share:
    """`successes` of `trials`, with Wilson's 95 % interval."""

    successes: int
    trials: int

    @property
    def value(self) -> float | None:
        """The share in 0 … 1; None without trials."""
        return self.successes / self.trials if self.trials else None

    @property
    def interval(self) -> tuple[float, float]:
        """Wilson's 95 % interval (Wilson 1927); (0, 1) without trials."""
        if not self.trials:
            return 0.0, 1.0
        n, p = self.trials, self.successes / self.trials
        scale = 1 + _Z**2 / n
        centre = (p + _Z**2 / (2 * n)) / scale
        half = _Z / scale * math.sqrt(p * (1 - p) / n + _Z**2 / (4 * n**2))
        low = 0.0 if self.successes == 0 else max(0.0, centre - half)
        high = 1.0 if self.successes == n else min(1.0, centre + half)
        return low, high

    def __add__(self, other: Share) -> Share:
        return Share(self.successes + other.successes, self.trials + other.trials)

    def __str__(self) -> str:
        """As in "73.1 % (64.0–80.7 %, 80 of 110)"; "–" without trials."""
        if self.value is None:
            return "–"
        low, high = self.interval
        return (
            f"{100 * self.value:.1f} % ({100 * low:.1f}–{100 * high:.1f} %, "
            f"{self.successes:,} of {self.trials:,})"
        )


NONE = Share(0, 0)
"""nothing was tried yet"""
