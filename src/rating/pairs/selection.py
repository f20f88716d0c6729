"""Which two images to show next; indices in, indices out."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping

import numpy as np

from src.rating.models.comparison_graph import Floats, Ints

AUDIT_SHARE = 0.10
"""of all pairs are drawn uniformly at random: what is predicted of them is the honest quality"""
REPEAT_SHARE = 0.05
"""of all pairs were shown before and come again with sides swapped: how consistent is the person"""
REPEAT_GAP = 10
"""a repeat comes at least this many choices after the first showing"""
MOST_SHOWINGS = 2
"""how often active selection shows one pair"""
CANDIDATES = 2000

Gains = Callable[[Ints, Ints], Floats]
"""(i, j) → the expected gain of asking about each pair"""
IndexPair = tuple[int, int]


def random_pair(allowed: Ints, rng: np.random.Generator, avoid: Collection[int] = ()) -> IndexPair:
    """Two different images, every pair equally likely.

    Args:
        allowed: (n,) the images to choose from, at least two.
        rng: source of chance.
        avoid: images just shown; passed over where enough others remain.
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
    gains: Gains,
    showings: Mapping[IndexPair, int],
    rng: np.random.Generator,
    avoid: Collection[int] = (),
    candidates: int = CANDIDATES,
) -> IndexPair:
    """The pair among random candidates of the greatest expected gain (`expected_gain.py`)."""
    pool = _without(allowed, avoid)
    i, j = _candidate_pairs(len(pool), candidates, rng)
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


def _candidate_pairs(count: int, candidates: int, rng: np.random.Generator) -> tuple[Ints, Ints]:
    """All pairs of `count` images in random order and sides if few, else random ones."""
    if count * (count - 1) // 2 <= candidates:
        i, j = np.triu_indices(count, 1)
        order = rng.permutation(len(i))
        i, j = i[order], j[order]
        swap = rng.random(len(i)) < 0.5
        return np.where(swap, j, i), np.where(swap, i, j)
    i = rng.integers(0, count, candidates)
    j = (i + rng.integers(1, count, candidates)) % count
    return i, j


def _without(allowed: Ints, avoid: Collection[int]) -> Ints:
    if not avoid:
        return allowed
    rest = allowed[~np.isin(allowed, list(avoid))]
    return rest if len(rest) >= 2 else allowed
