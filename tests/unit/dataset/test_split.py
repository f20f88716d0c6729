"""The split into training and test images."""

import hashlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from src.dataset.split import check_parts, split
from src.errors import DataError


def contents(count: int, start: int = 0) -> list[bytes]:
    return [hashlib.sha256(str(i).encode()).digest() for i in range(start, start + count)]


def test_the_fraction_is_honoured_on_many_images():
    mask = split(contents(20_000), np.arange(20_000), fraction=0.25, seed=1)
    assert abs(mask.mean() - 0.25) < 0.01  # three standard deviations are 0.009


@given(st.integers(2, 60), st.integers(0, 60), st.integers(0, 5), st.floats(0.05, 0.95))
def test_adding_images_moves_none_of_the_old_ones(old, new, seed, fraction):
    before = split(contents(old), np.arange(old), fraction=fraction, seed=seed)
    after = split(contents(old + new), np.arange(old + new), fraction=fraction, seed=seed)
    if before.sum() not in (1, old - 1):  # there the rule that no side is empty may have decided
        assert (after[:old] == before).all()


@given(st.permutations(range(30)), st.integers(0, 5))
def test_the_order_of_the_images_does_not_matter(order, seed):
    images, groups = contents(30), np.arange(30) // 2
    mask = split(images, groups, fraction=0.3, seed=seed)
    shuffled = split([images[i] for i in order], groups[list(order)], fraction=0.3, seed=seed)
    assert (shuffled == mask[list(order)]).all()


@given(st.lists(st.integers(0, 9), min_size=2, max_size=80), st.booleans())
def test_groups_stay_together_and_no_side_is_empty(groups, stratified):
    labels = np.array(groups)
    strata = labels % 2 if stratified else None
    mask = split(contents(len(groups)), labels, fraction=0.2, seed=3, strata=strata)
    for group in set(groups):
        assert len(set(mask[labels == group])) == 1
    if len(set(groups)) > 1 and not stratified:
        assert 0 < mask.sum() < len(mask)


def test_strata_give_their_exact_share_and_keep_one_to_train_on():
    strata = np.repeat([0, 1, 2, 3], [100, 20, 2, 1])
    mask = split(contents(123), np.arange(123), fraction=0.25, seed=0, strata=strata)
    assert [int(mask[strata == s].sum()) for s in range(4)] == [25, 5, 1, 0]


def test_parts_that_are_too_small_are_refused():
    none = np.zeros(3, bool)
    with pytest.raises(DataError, match="train on"):
        check_parts(np.array([True, True, True, False]), fraction=0.5, seen=none)
    with pytest.raises(DataError, match="testing"):
        check_parts(np.array([False, False, True]), fraction=0.25, seen=none)
    check_parts(np.array([False, False, False]), fraction=0, seen=none)
    check_parts(np.array([False, False, True]), fraction=0.25, seen=~none)
