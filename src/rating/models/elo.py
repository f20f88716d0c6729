"""Elo ratings as in chess, in units of 400 points (Elo 1978): P(A > B) = 1 / (1 + 10^-(a - b))."""

from __future__ import annotations

import math

K = 0.8
"""how far one choice can move a score"""


def win_probability(difference: float) -> float:
    """The probability that the image whose score is higher by `difference` is preferred."""
    if difference < 0:  # 10 to a large positive power would overflow
        odds = math.pow(10.0, difference)
        return odds / (1.0 + odds)
    return 1.0 / (1.0 + math.pow(10.0, -difference))


def update(left: float, right: float, outcome: float, k: float = K) -> tuple[float, float]:
    """The scores after a choice: `outcome` 1 where left was preferred, 0 right, 0.5 a tie."""
    change = k * (outcome - win_probability(left - right))
    return left + change, right - change
