"""The order of events in a session: audits, hidden repeats, and the pairs worth asking about."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from typing import Literal, NamedTuple

import numpy as np

from src.rating.models.comparison_graph import Ints
from src.rating.models.scoring import Scoring, prediction
from src.rating.pairs.selection import (
    AUDIT_SHARE,
    REPEAT_GAP,
    REPEAT_SHARE,
    IndexPair,
    active_pair,
    least_shown_pair,
    random_pair,
)

Selection = Literal["active", "least_shown", "random"]
SELECTIONS: tuple[Selection, ...] = ("active", "least_shown", "random")


class Shown(NamedTuple):
    left: int
    right: int
    kind: str  # audit, repeat, or the selection that chose it
    prediction: float | None  # probability that left is preferred, before it is shown


class PairSchedule:
    """Draws pairs, and remembers what was shown.

    Every tenth pair or so is uniformly random, so that what is predicted of these is an honest
    measure (under active picking a model's own estimate is not). Every twentieth is one of those
    random pairs again with its sides swapped: how consistent the person is on pairs of the same
    kind limits how well any model can predict them (`evaluation.proportion.ceiling`).

    Args:
        images: how many there are.
        selection: how the other pairs are chosen.
        seed: with the number of a pair it fixes all chance in choosing it.
    """

    def __init__(self, images: int, selection: Selection, seed: int) -> None:
        self.selection = selection
        self._seed = seed
        self._shown = np.zeros(images, dtype=np.intp)
        self._showings: Counter[IndexPair] = Counter()
        self._past: list[tuple[int, int, str]] = []
        self._audits: list[int] = []  # where in the past they are

    def note(self, left: int, right: int, kind: str) -> None:
        """Remember a pair that was answered."""
        if kind == "audit":
            self._audits.append(len(self._past))
        self._past.append((left, right, kind))
        self._count(left, right, 1)

    def forget(self) -> None:
        left, right, kind = self._past.pop()
        if kind == "audit":
            self._audits.pop()
        self._count(left, right, -1)

    def _count(self, left: int, right: int, change: int) -> None:
        self._shown[[left, right]] += change
        self._showings[min(left, right), max(left, right)] += change

    def draw(
        self, scoring: Scoring, allowed: Ints, number: int, current: IndexPair | None = None
    ) -> Shown:
        """The next pair.

        Args:
            scoring: what is believed.
            allowed: images that may be shown, sorted, at least two.
            number: of the pair; the same number draws the same chance.
            current: the pair that will have been shown just before; None for the last noted.
        """
        rng = np.random.default_rng([self._seed, number])
        if current is None and self._past:
            current = self._past[-1][:2]
        avoid = current or ()
        chance = rng.random()
        if chance < AUDIT_SHARE:
            kind, (left, right) = "audit", random_pair(allowed, rng, avoid)
            return Shown(left, right, kind, prediction(scoring, left, right))
        if chance < AUDIT_SHARE + REPEAT_SHARE:
            repeat = self._repeat(allowed, rng, avoid)
            if repeat is not None:
                return Shown(*repeat, "repeat", prediction(scoring, *repeat))
        if self.selection == "active":
            left, right = active_pair(allowed, scoring.expected_gains, self._showings, rng, avoid)
        elif self.selection == "least_shown":
            left, right = least_shown_pair(allowed, self._shown, rng, avoid)
        else:
            left, right = random_pair(allowed, rng, avoid)
        return Shown(left, right, self.selection, prediction(scoring, left, right))

    def _repeat(
        self, allowed: Ints, rng: np.random.Generator, avoid: IndexPair | tuple[()]
    ) -> IndexPair | None:
        """An audit pair of earlier, sides swapped, that was shown once."""
        old = bisect_right(self._audits, len(self._past) - REPEAT_GAP)
        for at in rng.permutation(old).tolist():
            left, right, _ = self._past[self._audits[at]]
            shown = self._showings[min(left, right), max(left, right)]
            if shown == 1 and not {left, right} & set(avoid) and _holds(allowed, left, right):
                return right, left
        return None


def _holds(allowed: Ints, *images: int) -> bool:
    """Whether the sorted `allowed` holds them all."""
    at = np.minimum(np.searchsorted(allowed, images), len(allowed) - 1)
    return bool((allowed[at] == images).all())
