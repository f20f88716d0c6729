"""Which pair to show next: audits, hidden repeats, and the pairs worth asking about."""

import math
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from typing import Literal, NamedTuple

import numpy as np

from src.rating.models.graph import Floats, Ints
from src.rating.models.scoring import Scoring

AUDIT_SHARE = 0.10
"""of all pairs are drawn uniformly at random: what is predicted of them is the honest quality"""
REPEAT_SHARE = 0.05
"""of all pairs were shown before and come again with sides swapped: how consistent is the person"""
REPEAT_GAP = 10  # a repeat comes at least this many choices after the first showing
MOST_SHOWINGS = 2  # how often active selection shows one pair
CANDIDATES = 2000

Selection = Literal["active", "least_shown", "random"]
IndexPair = tuple[int, int]


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

    The seed fixes, with the number of a pair, all chance in choosing it.
    """

    def __init__(self, images: int, selection: Selection, seed: int) -> None:
        self.selection = selection
        self._seed = seed
        self._shown = np.zeros(images, dtype=np.intp)
        self._showings: Counter[IndexPair] = Counter()
        self._past: list[tuple[int, int, str]] = []

    def note(self, left: int, right: int, kind: str) -> None:
        """Remember a pair that was answered."""
        self._past.append((left, right, kind))
        self._count(left, right, 1)

    def forget(self) -> None:
        left, right, _ = self._past.pop()
        self._count(left, right, -1)

    def _count(self, left: int, right: int, change: int) -> None:
        self._shown[left] += change
        self._shown[right] += change
        self._showings[min(left, right), max(left, right)] += change

    def draw(
        self, scoring: Scoring, allowed: Ints, number: int, current: IndexPair | None = None
    ) -> Shown:
        """The pair of a number, of two images of the sorted `allowed`.

        `current` is the pair that will have been shown just before; None for the last noted.
        """
        rng = np.random.default_rng([self._seed, number])
        if current is None and self._past:
            current = self._past[-1][:2]
        avoid, chance, kind = current or (), rng.random(), "audit"
        pair = random_pair(allowed, rng, avoid) if chance < AUDIT_SHARE else None
        if AUDIT_SHARE <= chance < AUDIT_SHARE + REPEAT_SHARE:
            kind, pair = "repeat", self._repeat(allowed, rng, avoid)
        if pair is None:
            kind = self.selection
            if kind == "active":
                pair = active_pair(allowed, scoring.expected_gains, self._showings, rng, avoid)
            elif kind == "least_shown":
                pair = least_shown_pair(allowed, self._shown, rng, avoid)
            else:
                pair = random_pair(allowed, rng, avoid)
        return Shown(*pair, kind, scoring.prediction(*pair))

    def _repeat(
        self, allowed: Ints, rng: np.random.Generator, avoid: Collection[int]
    ) -> IndexPair | None:
        """An audit pair of earlier, sides swapped, that was shown once."""
        before = self._past[: max(len(self._past) - REPEAT_GAP + 1, 0)]
        audits = [(left, right) for left, right, kind in before if kind == "audit"]
        for at in rng.permutation(len(audits)).tolist():
            left, right = audits[at]
            shown = self._showings[min(left, right), max(left, right)]
            near = {left, right}.intersection(avoid)
            if shown == 1 and not near and np.isin([left, right], allowed).all():
                return right, left
        return None


def random_pair(allowed: Ints, rng: np.random.Generator, avoid: Collection[int] = ()) -> IndexPair:
    """Two different images, every pair equally likely.

    Here and below, images to avoid are passed over where at least two others remain.
    """
    pool = _without(allowed, avoid)
    left, right = rng.choice(len(pool), 2, replace=False)
    return int(pool[left]), int(pool[right])


def least_shown_pair(
    allowed: Ints, shown: Ints, rng: np.random.Generator, avoid: Collection[int] = ()
) -> IndexPair:
    """One of the images that were shown least often, beside one chosen with weight 1/(1+shown)."""
    pool = _without(allowed, avoid)
    counts = shown[pool]
    first = int(rng.choice(np.flatnonzero(counts == counts.min())))
    weights = 1.0 / (1.0 + counts)
    weights[first] = 0.0
    second = int(rng.choice(len(pool), p=weights / weights.sum()))
    order = (first, second) if rng.random() < 0.5 else (second, first)
    return int(pool[order[0]]), int(pool[order[1]])


def active_pair(
    allowed: Ints,
    gains: Callable[[Ints, Ints], Floats],
    showings: Mapping[IndexPair, int],
    rng: np.random.Generator,
    avoid: Collection[int] = (),
) -> IndexPair:
    """The pair among random candidates of the greatest expected gain (`expected_gain.py`)."""
    pool = _without(allowed, avoid)
    i, j = _candidate_pairs(len(pool), rng)
    i, j = pool[i], pool[j]
    gain = gains(i, j)
    best = int(gain.argmax())
    at = best
    while showings.get((min(i[at], j[at]), max(i[at], j[at])), 0) >= MOST_SHOWINGS:
        gain[at] = -math.inf
        at = int(gain.argmax())
        if gain[at] == -math.inf:  # all candidates were shown as often as they may
            at = best
            break
    return int(i[at]), int(j[at])


def _candidate_pairs(count: int, rng: np.random.Generator) -> tuple[Ints, Ints]:
    """All pairs of `count` images in random order and sides if few, else random ones."""
    if count * (count - 1) // 2 <= CANDIDATES:
        i, j = np.triu_indices(count, 1)
        order = rng.permutation(len(i))
        i, j = i[order], j[order]
        swap = rng.random(len(i)) < 0.5
        return np.where(swap, j, i), np.where(swap, i, j)
    i = rng.integers(0, count, CANDIDATES)
    return i, (i + rng.integers(1, count, CANDIDATES)) % count


def _without(allowed: Ints, avoid: Collection[int]) -> Ints:
    rest = allowed[~np.isin(allowed, list(avoid))] if avoid else allowed
    return rest if len(rest) >= 2 else allowed
