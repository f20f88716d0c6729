"""Groups of duplicates by content and by look."""

import hashlib

import numpy as np
import pytest

from src.dataset import duplicates
from src.dataset.duplicates import DISTANCE, groups, near_duplicate_groups, similar_pairs
from src.images.perceptual_hash import HASH_BYTES


def random_hashes(count: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (count, HASH_BYTES), dtype=np.uint8)


def flipped(row: np.ndarray, bits: list[int]) -> np.ndarray:
    changed = np.unpackbits(row)
    changed[bits] ^= 1
    return np.packbits(changed)


def content(name: str) -> bytes:
    return hashlib.sha256(name.encode()).digest()


@pytest.mark.parametrize(("bits", "together"), [(0, 1), (DISTANCE, 1), (DISTANCE + 1, 2)])
def test_the_distance_itself_still_joins(bits, together):
    first, other = random_hashes(2)
    near = flipped(first, list(range(100, 100 + bits)))
    labels = near_duplicate_groups(np.stack([first, other, near]))
    assert labels.tolist() == ([0, 1, 0] if together == 1 else [0, 1, 2])


def test_a_burst_of_thousands_is_one_group():
    hashes = random_hashes(6000)
    noise = np.random.default_rng(1).random((3000, 256)) < 0.05  # 24 bits apart on average
    hashes[:3000] = hashes[0] ^ np.packbits(noise, axis=1)
    labels = near_duplicate_groups(hashes)
    assert not labels[:3000].any()
    assert len(set(labels.tolist())) == 3001


def test_groups_join_same_content_and_same_look():
    first, second, third = random_hashes(3)
    near_second = flipped(second, [3, 5, 8])
    hashes = np.stack([first, second, third, near_second, third])
    # The last has the content of the first and the look of the third: it joins both.
    sha256s = [content(name) for name in ("a", "b", "c", "d", "a")]
    assert groups(sha256s, hashes).tolist() == [0, 1, 0, 1, 0]


def pairs_of(vectors, similarity):
    return sorted(
        pair
        for left, right in similar_pairs(vectors, similarity=similarity)
        for pair in zip(left.tolist(), right.tolist(), strict=True)
    )


@pytest.mark.parametrize(("tile", "directions"), [(4096, 128), (7, 3), (50, 1)])
@pytest.mark.parametrize("similarity", [0.3, 0.9])
def test_similar_pairs_are_those_of_all_cosines(monkeypatch, tile, directions, similarity):
    monkeypatch.setattr(duplicates, "_TILE", tile)
    monkeypatch.setattr(duplicates, "_DIRECTIONS", directions)
    rng = np.random.default_rng(3)
    vectors = rng.normal(0.5, 1, (60, 20)).astype(np.float32) * rng.uniform(0.1, 9, (60, 1))
    vectors = vectors.astype(np.float32)
    vectors[40:] = vectors[:20] * 3 + rng.normal(0, 0.3, (20, 20)) * np.linspace(0, 20, 20)[:, None]
    vectors[5] = 0
    cosines = np.array(
        [[float(a @ b) / (np.linalg.norm(a) * np.linalg.norm(b) or 1) for b in vectors]
         for a in vectors.astype(np.float64)]
    )  # fmt: skip
    assert np.abs(cosines - similarity).min() > 1e-6  # no pair whose side rounding decides
    expected = sorted(zip(*np.nonzero(np.triu(cosines >= similarity, 1)), strict=True))
    assert len(expected) > 5
    assert pairs_of(vectors, similarity) == expected


def test_features_join_what_the_hash_does_not():
    hashes = random_hashes(4)
    names = [content(name) for name in "abcd"]
    assert groups(names, hashes).tolist() == [0, 1, 2, 3]
    alike = [(np.array([1]), np.array([3])), (np.array([0]), np.array([3]))]
    assert groups(names, hashes, alike).tolist() == [0, 0, 1, 0]
