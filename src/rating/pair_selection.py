"""Which two images to show next; indices in, indices out."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping

import numpy as np

from src.rating.comparison_graph import Floats, Ints

AUDIT_SHARE = 0.10
"""of all pairs are drawn uniformly at random: what is predicted of them is the honest quality"""
REPEAT_SHARE = 0.05
"""of all pairs were shown before and come again with sides swapped: how consistent is the person"""
REPEAT_GAP = 10
"""a repeat comes at least this many choices after the first showing"""
MOST_SHOWINGS = 2
"""how often active selection shows one pair; information alone would repeat extreme pairs"""
CANDIDATES = 4000

Difference = Callable[[Ints, Ints], tuple[Floats, Floats]]
"""(i, j) → mean and variance of the scores' differences, logits"""
IndexPair = tuple[int, int]


def random_pair(allowed: Ints, rng: np.random.Generator, avoid: Collection[int] = ()) -> IndexPair:
    """Two different images, every pair equally likely.

    Args:
        allowed: (n,) the images to choose from, at least two.
        rng: source of chance.
        avoid: images just shown; left out where enough others remain.
    """
    pool = _without(allowed, avoid)
    left, right = rng.choice(len(pool), 2, replace=False)
    return int(pool[left]), int(pool[right])


def least_shown_pair(
    allowed: Ints, shown: Ints, rng: np.random.Generator, avoid: Collection[int] = ()
) -> IndexPair:
    """One of the images that were shown least often, beside one chosen with weight 1/(1+shown).

    Args:
        allowed, rng, avoid: as in `random_pair`.
        shown: (images,) how often each image was shown.
    """
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
    difference: Difference,
    showings: Mapping[IndexPair, int],
    rng: np.random.Generator,
    avoid: Collection[int] = (),
    candidates: int = CANDIDATES,
) -> IndexPair:
    """The pair among random candidates whose answer is expected to teach most (`information`).

    Args:
        allowed, rng, avoid: as in `random_pair`.
        difference: what is believed about pairs.
        showings: how often each (smaller, larger) pair was shown.
        candidates: how many pairs are looked at.
    """
    pool = _without(allowed, avoid)
    i, j = _candidate_pairs(len(pool), candidates, rng)
    i, j = pool[i], pool[j]
    gain = information(*difference(i, j))
    best = int(gain.argmax())
    at = best
    while showings.get((min(i[at], j[at]), max(i[at], j[at])), 0) >= MOST_SHOWINGS:
        gain[at] = -math.inf
        at = int(gain.argmax())
        if gain[at] == -math.inf:  # all candidates were shown as often as they may
            at = best
            break
    return int(i[at]), int(j[at])


def information(mean: Floats, variance: Floats) -> Floats:
    """Bits that the answer about a pair is expected to give about the scores (BALD).

    The entropy of the answer minus its expected entropy if the scores were known, for a score
    difference N(mean, variance) in logits; logistic taken as probit, after Houlsby et al. 2011,
    equation 3.
    """
    m, v = mean * math.sqrt(math.pi / 8), variance * (math.pi / 8)
    c = math.pi * math.log(2) / 2
    p = np.clip(_normal_cdf(m / np.sqrt(1 + v)), 1e-12, 1 - 1e-12)
    entropy = -(p * np.log2(p) + (1 - p) * np.log2(1 - p))
    known = math.sqrt(c) * np.exp(-(m**2) / (2 * (v + c))) / np.sqrt(v + c)
    return np.asarray(entropy - known)


def _normal_cdf(x: Floats) -> Floats:
    """Standard normal distribution function, to 1e-7 (Abramowitz & Stegun 26.2.17)."""
    t = 1 / (1 + 0.2316419 * np.abs(x))
    series = t * (
        0.319381530 + t * (-0.356563782 + t * (1.781477937 + t * (-1.821255978 + t * 1.330274429)))
    )
    tail = np.exp(-0.5 * x**2) / math.sqrt(2 * math.pi) * series
    return np.asarray(np.where(x >= 0, 1 - tail, tail))


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
