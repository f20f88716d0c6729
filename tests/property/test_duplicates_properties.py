"""Groups of duplicates equal those of brute force, however they are searched for."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from src.dataset import duplicates


def brute_force(hashes: np.ndarray, distance: int) -> list[int]:
    """Groups by flood filling the graph of near pairs; numbered as they first appear."""
    bits = np.unpackbits(hashes, axis=1)
    near = (bits[:, None] != bits).sum(axis=2) <= distance
    labels = [-1] * len(hashes)
    for start in range(len(hashes)):
        if labels[start] >= 0:
            continue
        number, reached = max(labels) + 1, [start]
        while reached:
            index = reached.pop()
            if labels[index] < 0:
                labels[index] = number
                reached += np.flatnonzero(near[index]).tolist()
    return labels


@st.composite
def hash_sets(draw: st.DrawFn) -> tuple[np.ndarray, int]:
    """Hashes of 8 to 32 bytes in loose clusters, and a distance at which some are joined."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    size = draw(st.sampled_from([8, 16, 32]))
    count = draw(st.integers(0, 40))
    distance = draw(st.integers(0, size * 2))  # up to a quarter of the bits
    centres = rng.integers(0, 256, (draw(st.integers(1, 5)), size), dtype=np.uint8)
    noise = rng.random((count, size * 8)) < distance / (size * 8) * draw(st.floats(0.2, 0.9))
    hashes = centres[rng.integers(0, len(centres), count)] ^ np.packbits(noise, axis=1)
    return hashes, distance


@pytest.mark.parametrize("small", [0, 4096], ids=["by pieces", "each with each"])
@examples(max_examples=40)
@given(sets=hash_sets())
def test_groups_equal_brute_force(small, sets):
    hashes, distance = sets
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(duplicates, "_SMALL", small)
        patch.setattr(duplicates, "_BLOCK", 7)  # many blocks
        found = duplicates.near_duplicate_groups(hashes, distance=distance)
    assert found.tolist() == brute_force(hashes, distance)
