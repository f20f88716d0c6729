"""Which images to show next: audits, hidden repeats, and the sets worth asking about."""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Literal, NamedTuple

import numpy as np

from src.rating.models.graph import Floats, Ints
from src.rating.models.scoring import Scoring
from src.rating.pairs.expected_gain import Aim, aim_at_top

AUDIT_SHARE = 0.10
"""of all sets are drawn uniformly at random: what is predicted of them is the honest quality"""
REPEAT_SHARE = 0.05
"""of all sets were shown before and come again in reverse order: how consistent is the person"""
REPEAT_GAP = 10  # a repeat comes at least this many choices after the first showing
MOST_SHOWINGS = 2  # how often active selection shows one pair
CANDIDATES = 2000  # pairs
ADDITIONS = 300  # images to choose each further one from

Selection = Literal["active", "least_shown", "random"]
IndexSet = tuple[int, ...]


class Shown(NamedTuple):
    images: IndexSet  # in the order on the screen
    kind: str  # audit, repeat, or the selection that chose them


class Schedule:
    """Draws sets of images, pairs or more `at_once`, and remembers what was shown.

    Every tenth set or so is uniformly random, so that what is predicted of these is an honest
    measure (under active picking a model's own estimate is not). Every twentieth is one of those
    random sets again in reverse order: how consistent the person is on sets of the same kind limits
    how well any model can predict them (of pairs: `evaluation.proportion.ceiling`).

    With a `top`, active picking is about which images are among that many of the best.

    The seed fixes, with the number of a set, all chance in choosing it.
    """

    def __init__(
        self, images: int, selection: Selection, seed: int, *, top: int = 0, at_once: int = 2
    ) -> None:
        self.selection, self.top, self.at_once = selection, top, at_once
        self._seed, self._images = seed, images
        self._aim: Aim | None = None
        self.begin([])

    def begin(self, past: Iterable[tuple[IndexSet, str]]) -> None:
        """Remember the sets that were answered before, and their kinds, instead of all others."""
        self._shown = np.zeros(self._images, dtype=np.intp)
        self._showings: Counter[IndexSet] = Counter()
        self._past: list[tuple[IndexSet, str]] = []
        for images, kind in past:
            self.note(images, kind)

    def aim(self, scoring: Scoring, allowed: Ints) -> None:
        """Look where the best images end. It is for after a fit: it takes longer than `draw`."""
        wanted = 0 < self.top < len(allowed)
        self._aim = aim_at_top(scoring.belief, allowed, self.top) if wanted else None

    def note(self, images: IndexSet, kind: str) -> None:
        """Remember a set that was answered."""
        self._past.append((images, kind))
        self._count(images, 1)

    def forget(self) -> None:
        self._count(self._past.pop()[0], -1)

    def _count(self, images: IndexSet, change: int) -> None:
        self._shown[list(images)] += change
        self._showings[unordered(images)] += change

    def draw(
        self, scoring: Scoring, allowed: Ints, number: int, current: IndexSet | None = None
    ) -> Shown:
        """The set of a number, of images of the sorted `allowed`: fewer than wanted if need be.

        `current` is the set that will have been shown just before; None for the last noted. Its
        images are passed over where enough others remain.
        """
        rng = np.random.default_rng([self._seed, number])
        if current is None and self._past:
            current = self._past[-1][0]
        rest, size = allowed[~np.isin(allowed, current or ())], min(self.at_once, len(allowed))
        pool, chance = rest if len(rest) >= size else allowed, rng.random()
        kind: str = self.selection
        if chance < AUDIT_SHARE:
            kind, images = "audit", random_set(pool, size, rng)
        elif chance < AUDIT_SHARE + REPEAT_SHARE and (repeat := self._repeat(rest, size, rng)):
            kind, images = "repeat", repeat
        elif kind == "active":
            gains = partial(scoring.expected_gains, aim=self._aim)
            images = active_set(pool, size, gains, self._showings, rng, self._aim)
        elif kind == "least_shown":
            images = least_shown_set(pool, size, self._shown, rng)
        else:
            images = random_set(pool, size, rng)
        return Shown(images, kind)

    def _repeat(self, allowed: Ints, size: int, rng: np.random.Generator) -> IndexSet | None:
        """Images of an earlier audit in reverse order, that was shown once."""
        before = self._past[: max(len(self._past) - REPEAT_GAP + 1, 0)]
        audits = [images for images, kind in before if kind == "audit" and len(images) == size]
        for at in rng.permutation(len(audits)).tolist():
            images = audits[at]
            different = len(set(images)) == size and np.isin(images, allowed).all()
            if different and self._showings[unordered(images)] == 1:
                return tuple(reversed(images))
        return None


def unordered(images: IndexSet) -> IndexSet:
    return tuple(sorted(images))


def random_set(pool: Ints, size: int, rng: np.random.Generator) -> IndexSet:
    """Different images, every set equally likely."""
    return tuple(rng.choice(pool, size, replace=False).tolist())


def least_shown_set(pool: Ints, size: int, shown: Ints, rng: np.random.Generator) -> IndexSet:
    """One of the images that were shown least often, and others with weight 1 / (1 + shown)."""
    counts = shown[pool]
    first = int(rng.choice(np.flatnonzero(counts == counts.min())))
    weights = 1.0 / (1.0 + counts)
    weights[first] = 0.0
    others = rng.choice(len(pool), size - 1, replace=False, p=weights / weights.sum())
    return tuple(rng.permutation(pool[[first, *others]]).tolist())


def active_set(
    pool: Ints,
    size: int,
    gains: Callable[[Ints], Floats],
    showings: Mapping[IndexSet, int],
    rng: np.random.Generator,
    aim: Aim | None = None,
) -> IndexSet:
    """The pair among random candidates of the greatest expected gain (`expected_gain.py`), and then
    one after the other the images with which the set gains most.

    Of pairs shown as often as they may be, only where there are no others.
    """
    i, j = _pairs_near(aim, pool, rng) if aim else _candidate_pairs(pool, rng)
    gain = gains(np.stack([i, j]))
    best = at = int(gain.argmax())
    while showings.get(unordered((i[at], j[at])), 0) >= MOST_SHOWINGS:
        gain[at] = -math.inf
        at = int(gain.argmax())
        if gain[at] == -math.inf:
            at = best
            break
    images = [int(i[at]), int(j[at])]
    while len(images) < size:
        more = rng.permutation(np.setdiff1d(np.concatenate([i, j]), images))[:ADDITIONS]
        if not len(more):
            more = np.setdiff1d(pool, images)
        sets = np.concatenate([np.tile(np.array(images)[:, None], len(more)), more[None]])
        images.append(int(more[gains(sets).argmax()]))
    return tuple(images if size == 2 else rng.permutation(images).tolist())


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
