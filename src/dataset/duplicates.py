"""Images that are the same, or look the same: by content, perceptual hash and features."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import combinations
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

# Bits of 256 by which the perceptual hashes of near duplicates may differ. Measured on 330
# photographs of 500 x 400 pixels (OASIS), copies against originals. Missed: none of those saved at
# JPEG quality 20, resized to 50 %, brightened by 20 %, darkened by 5 %, turned to grey, or cut by
# 2 % of width and height; of those cut by 4 %, 5.5 %. Wrongly joined: none of the 54,285 pairs of
# different photographs, series of one subject included; the nearest pair differs in 88 bits.
# `bench/duplicates.py` measures this again.
DISTANCE = 47

# Cosine from which the features of a vision model make two images near duplicates. Measured with
# mobilenet_v2 on the same photographs: two different ones reach 0.82 at most; copies that are
# mirrored, turned or cut by 10 %, most of which the hash misses, reach 0.9 in nearly all cases.
SIMILARITY = 0.9

_SAMPLE, _DIRECTIONS, _TILE = 4096, 128, 4096
_SMALL = 4096  # so many hashes or fewer are compared each with each
_BLOCK = 1 << 18  # pairs looked at together: bounds the memory
_PIECE_BITS = 16

Pairs = tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]


class Duplicate(NamedTuple):
    path: str
    size: int  # bytes
    sha256: bytes
    different_bits: int  # of the perceptual hash, from the first image of the group
    label: str  # "keep", "delete" or ""


def are_identical(group: Sequence[Duplicate]) -> bool:
    return len({image.sha256 for image in group}) == 1


def labels_conflict(group: Sequence[Duplicate]) -> bool:
    """Whether a group holds both kept and deleted images."""
    return len({image.label for image in group} - {""}) > 1


def groups(sha256s: Sequence[bytes], hashes: np.ndarray, alike: Iterable[Pairs] = ()) -> np.ndarray:
    """Labels as of `near_duplicate_groups` that also join images of the same content.

    More pairs to join are places of images, as `similar_pairs` gives them.
    """
    labels = near_duplicate_groups(hashes)
    roots = np.unique(labels, return_index=True)[1][labels]
    for left, right in alike:
        _join(roots, left, right)
    first: dict[bytes, int] = {}
    same = [first.setdefault(sha256, index) for index, sha256 in enumerate(sha256s)]
    _join(roots, np.arange(len(same)), np.array(same, np.intp))
    return _numbered(roots)


def near_duplicate_groups(hashes: np.ndarray, *, distance: int = DISTANCE) -> np.ndarray:
    """Group images whose hashes, (n, bytes) uint8, are joined by steps of at most `distance` bits.

    Exact: two images share a label (0, 1, ... in the order in which the groups first appear) if and
    only if a chain of images leads from one to the other in which neighbours differ by no more.

    Many hashes are searched by their 16-bit pieces (Norouzi, Punjani and Fleet, "Fast search in
    Hamming space with multi-index hashing", 2012): two hashes of p pieces that differ in at most
    p r + a bits, a < p, agree up to r bits in one of the first a + 1 pieces or up to r - 1 bits
    in one of the others. Large groups cost more: each pair in one is looked at several times.
    """
    hashes = np.ascontiguousarray(hashes)
    different, copy_of = np.unique(hashes, axis=0, return_inverse=True)
    words = np.ascontiguousarray(different.view(np.uint64).T)
    roots = np.arange(len(different))
    for keys, radius in _pieces(different, distance):
        order = np.argsort(keys, kind="stable")
        ordered, before = words[:, order], roots[order]
        for left, right in _pairs(keys[order], radius):
            apart = before[left] != before[right]
            near = _close(ordered, left[apart], right[apart], distance)
            _join(roots, *(order[side] for side in near))
    return _numbered(roots[copy_of])


def around_the_best(
    labels: np.ndarray, hashes: np.ndarray, rank: Callable[[int], tuple[int, ...]]
) -> list[list[int]]:
    """Places of near duplicates, each group from the one of the highest rank, which all are near.

    `labels` are those of `groups`, where a chain may lead to images that are no longer near.
    """
    found = []
    order = np.argsort(labels, kind="stable")
    for members in np.split(order, np.flatnonzero(np.diff(labels[order])) + 1):
        rest = sorted(members.tolist(), key=rank, reverse=True) if len(members) > 1 else []
        while len(rest) > 1:
            bits = np.bitwise_count(hashes[rest] ^ hashes[rest[0]]).sum(axis=1, dtype=int)
            near = bits <= DISTANCE
            found.append([place for place, one in zip(rest, near, strict=True) if one])
            rest = [place for place, one in zip(rest, near, strict=True) if not one]
    return [group for group in found if len(group) > 1]


def similar_pairs(vectors: np.ndarray, *, similarity: float = SIMILARITY) -> Iterator[Pairs]:
    """The places, in pieces, of all pairs of vectors (n, d) of at least this cosine, each once.

    Exact, and quicker than comparing all: a unit vector is a part p in the main directions of the
    vectors and a rest of length r, and by Cauchy and Schwarz the cosine of two is at most
    p1 p2 + r1 r2. Few pairs get past that, and for those it is computed in full.
    """
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit = (vectors / np.where(lengths > 0, lengths, 1)).astype(np.float32)
    sample = unit[:: max(1, len(unit) // _SAMPLE)].astype(np.float64)
    main = np.linalg.eigh(sample.T @ sample)[1][:, -_DIRECTIONS:].astype(np.float32)
    short = unit @ main
    rest = np.sqrt(np.maximum((unit**2).sum(axis=1) - (short**2).sum(axis=1), 0))
    short = np.hstack([short, rest[:, None]])
    for top in range(0, len(short), _TILE):
        for side in range(top, len(short), _TILE):
            most = short[top : top + _TILE] @ short[side : side + _TILE].T
            left, right = np.divmod(np.flatnonzero(most > similarity - 1e-5), most.shape[1])
            left, right = left + top, right + side
            for part in range(0, len(left), _TILE):
                i, j = left[part : part + _TILE], right[part : part + _TILE]
                alike = (i < j) & (np.einsum("nd,nd->n", unit[i], unit[j]) >= similarity)
                if alike.any():
                    yield i[alike], j[alike]


def _pieces(hashes: np.ndarray, distance: int) -> Iterator[tuple[np.ndarray, int]]:
    """Keys such that near hashes lie within the radius, in bits, in one of them at least."""
    pieces = hashes.view(np.uint16)
    radius, rest = divmod(distance, pieces.shape[1])
    if len(hashes) <= _SMALL or radius > _PIECE_BITS // 4:
        yield np.zeros(len(hashes), np.uint16), 0  # each with each
        return
    for number, keys in enumerate(pieces.T):
        yield keys, radius - (number > rest)


def _pairs(keys: np.ndarray, radius: int) -> Iterator[Pairs]:
    """All pairs of places whose keys, sorted uint16, differ in at most `radius` bits, each once."""
    ends = np.cumsum(np.bincount(keys, minlength=1 << _PIECE_BITS))
    starts = np.concatenate([[0], ends[:-1]])
    for flips in range(radius + 1):
        for bits in combinations(range(_PIECE_BITS), flips):
            partner = keys ^ np.uint16(sum(1 << bit for bit in bits))
            first = starts[partner] if flips else np.arange(1, len(keys) + 1)
            count = np.where(keys <= partner, ends[partner] - first, 0)
            yield from _spread(first, count)


def _spread(first: np.ndarray, count: np.ndarray) -> Iterator[Pairs]:
    """Place i with each of `first[i]`, ..., `first[i] + count[i] - 1`; about `_BLOCK` at a time."""
    places = np.flatnonzero(count)
    total = np.cumsum(count[places])
    borders = np.arange(_BLOCK, total[-1] if len(total) else 0, _BLOCK)
    for block in np.split(places, np.searchsorted(total, borders)):
        each = count[block]
        skipped = first[block] - np.cumsum(each) + each
        yield np.repeat(block, each), np.arange(each.sum()) + np.repeat(skipped, each)


def _close(words: np.ndarray, left: np.ndarray, right: np.ndarray, distance: int) -> Pairs:
    """Those pairs of columns of `words`, (words, n) uint64, that differ in few enough bits."""
    bits = np.zeros(len(left), np.uint16)
    for word in words:  # half of them are enough to reject most pairs
        bits += np.bitwise_count(word[left] ^ word[right])
        near = bits <= distance
        bits, left, right = bits[near], left[near], right[near]
    return left, right


def _join(roots: np.ndarray, left: np.ndarray, right: np.ndarray) -> None:
    """Unite the sets of each pair, in place; a set is named after its lowest member.

    scipy's connected_components takes 4.4 s where this takes 1.2 s (100,000 images, many pairs).
    """
    while (apart := roots[left] != roots[right]).any():
        left, right = left[apart], right[apart]
        low, high = np.sort([roots[left], roots[right]], axis=0)
        np.minimum.at(roots, high, low)
        while (roots[roots] != roots).any():
            roots[:] = roots[roots]


def _numbered(labels: np.ndarray) -> npt.NDArray[np.int64]:
    """The same groups as 0, 1, ... in the order in which they first appear."""
    _, first, of = np.unique(labels, return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first))[of]
