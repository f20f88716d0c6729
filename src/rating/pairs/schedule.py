"""Which pair to show next: audits, hidden repeats, and the pairs worth asking about."""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Literal, NamedTuple

import numpy as np

from src.rating.models.graph import Floats, Ints
from src.rating.models.scoring import Scoring
from src.rating.pairs.expected_gain import Aim, aim_at_top

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

    With a `top`, active picking is about which images are among that many of the best.

    The seed fixes, with the number of a pair, all chance in choosing it.
    """

    def __init__(self, images: int, selection: Selection, seed: int, top: int = 0) -> None:
        self.selection, self.top = selection, top
        self._seed, self._images = seed, images
        self._aim: Aim | None = None
        self.begin([])

    def begin(self, past: Iterable[tuple[int, int, str]]) -> None:
        """Remember the pairs that were answered before, and their kinds, instead of all others."""
        self._shown = np.zeros(self._images, dtype=np.intp)
        self._showings: Counter[IndexPair] = Counter()
        self._past: list[tuple[int, int, str]] = []
        for left, right, kind in past:
            self.note(left, right, kind)

    def aim(self, scoring: Scoring, allowed: Ints) -> None:
        """Look where the best images end. It is for after a fit: it takes longer than `draw`."""
        wanted = 0 < self.top < len(allowed)
        self._aim = aim_at_top(scoring.belief, allowed, self.top) if wanted else None

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

        `current` is the pair that will have been shown just before; None for the last noted. Its
        images are passed over where at least two others remain.
        """
        rng = np.random.default_rng([self._seed, number])
        if current is None and self._past:
            current = self._past[-1][:2]
        rest = allowed[~np.isin(allowed, current or ())]
        pool, chance = rest if len(rest) >= 2 else allowed, rng.random()
        kind: str = self.selection
        if chance < AUDIT_SHARE:
            kind, pair = "audit", random_pair(pool, rng)
        elif chance < AUDIT_SHARE + REPEAT_SHARE and (repeat := self._repeat(rest, rng)):
            kind, pair = "repeat", repeat
        elif kind == "active":
            pair = active_pair(pool, scoring.expected_gains, self._showings, rng, self._aim)
        elif kind == "least_shown":
            pair = least_shown_pair(pool, self._shown, rng)
        else:
            pair = random_pair(pool, rng)
        return Shown(*pair, kind, scoring.prediction(*pair))

    def _repeat(self, allowed: Ints, rng: np.random.Generator) -> IndexPair | None:
        """An audit pair of earlier, sides swapped, that was shown once."""
        before = self._past[: max(len(self._past) - REPEAT_GAP + 1, 0)]
        audits = [(left, right) for left, right, kind in before if kind == "audit"]
        for at in rng.permutation(len(audits)).tolist():
            left, right = audits[at]
            shown = self._showings[min(left, right), max(left, right)]
            if shown == 1 and left != right and np.isin([left, right], allowed).all():
                return right, left
        return None


def random_pair(pool: Ints, rng: np.random.Generator) -> IndexPair:
    """Two different images, every pair equally likely."""
    left, right = rng.choice(len(pool), 2, replace=False)
    return int(pool[left]), int(pool[right])


def least_shown_pair(pool: Ints, shown: Ints, rng: np.random.Generator) -> IndexPair:
    """One of the images that were shown least often, beside one chosen with weight 1/(1+shown)."""
    counts = shown[pool]
    first = int(rng.choice(np.flatnonzero(counts == counts.min())))
    weights = 1.0 / (1.0 + counts)
    weights[first] = 0.0
    second = int(rng.choice(len(pool), p=weights / weights.sum()))
    order = (first, second) if rng.random() < 0.5 else (second, first)
    return int(pool[order[0]]), int(pool[order[1]])


def active_pair(
    pool: Ints,
    gains: Callable[[Ints, Ints, Aim | None], Floats],
    showings: Mapping[IndexPair, int],
    rng: np.random.Generator,
    aim: Aim | None = None,
) -> IndexPair:
    """The pair among random candidates of the greatest expected gain (`expected_gain.py`).

    Of pairs shown as often as they may be, only where there are no others.
    """
    i, j = _pairs_near(aim, pool, rng) if aim else _candidate_pairs(pool, rng)
    gain = gains(i, j, aim)
    best = at = int(gain.argmax())
    while showings.get((min(i[at], j[at]), max(i[at], j[at])), 0) >= MOST_SHOWINGS:
        gain[at] = -math.inf
        at = int(gain.argmax())
        if gain[at] == -math.inf:
            at = best
            break
    return int(i[at]), int(j[at])


def _candidate_pairs(pool: Ints, rng: np.random.Generator) -> tuple[Ints, Ints]:
    """All pairs of the pool in random order and sides if few, else random ones."""
    count = len(pool)
    if count * (count - 1) // 2 <= CANDIDATES:
        i, j = np.triu_indices(count, 1)
        order = rng.permutation(len(i))
        return _either_way(pool[i[order]], pool[j[order]], rng)
    i = rng.integers(0, count, CANDIDATES)
    return pool[i], pool[(i + rng.integers(1, count, CANDIDATES)) % count]


def _pairs_near(aim: Aim, pool: Ints, rng: np.random.Generator) -> tuple[Ints, Ints]:
    """Random pairs of one image of the aim and another, half of them of the aim as well."""
    weights = np.where(np.isin(aim.images, pool), aim.weights, 0)
    if np.count_nonzero(weights) < 2:
        return _candidate_pairs(pool, rng)
    i, j = rng.choice(aim.images, (2, CANDIDATES), p=weights / weights.sum())
    j = np.where(rng.random(CANDIDATES) < 0.5, rng.choice(pool, CANDIDATES), j)
    different = i != j
    return _either_way(i[different], j[different], rng)


def _either_way(i: Ints, j: Ints, rng: np.random.Generator) -> tuple[Ints, Ints]:
    swap = rng.random(len(i)) < 0.5
    return np.where(swap, j, i), np.where(swap, i, j)
