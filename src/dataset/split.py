"""What is trained on, chosen by and tested on: seeded, by content, copies on one side."""

import hashlib
from collections.abc import Sequence

import numpy as np

from src.errors import DataError

TRAIN, VALIDATION, TEST = 0, 1, 2
PART_NAMES = ("train", "validation", "test")


def split(
    sha256s: Sequence[bytes],
    groups: np.ndarray,
    *,
    fraction: float,
    seed: int,
    strata: np.ndarray | None = None,
    seen: np.ndarray | None = None,
) -> np.ndarray:
    """Choose the test images, (n,) bool; images of one group are duplicates.

    Every group draws a number between 0 and 1 from its content and the seed, and is tested on if
    that lies below the fraction. So the choice depends on neither the names nor the order of the
    images, and adding images moves none of those that were there (unless a newcomer joins a group).
    If the fraction is above 0 and there are two groups or more, neither side is empty.

    With strata (the class of each image), each class gives the groups with its lowest numbers, as
    many as come nearest to the fraction but at least one, if it has two or more: exact shares, at
    the cost of a few images near the border changing sides as a class grows.

    Images that a model to go on from has `seen`, (n,) bool, are not tested on; of the others more
    are, until the share of all images is reached.
    """
    if not len(sha256s) or fraction <= 0:
        return np.zeros(len(sha256s), dtype=bool)
    labels, first, member = np.unique(groups, return_index=True, return_inverse=True)
    draws = _draws(sha256s, member, len(labels), seed)
    known = np.zeros(len(labels), dtype=bool) if seen is None else np.isin(labels, groups[seen])
    if strata is not None:
        chosen = _stratified(draws, np.asarray(strata)[first], fraction, known)
    elif known.any():
        chosen = _among_unseen(draws, np.bincount(member), fraction, known)
    else:
        chosen = draws < fraction
        if len(labels) > 1 and not chosen.any():
            chosen[np.argmin(draws)] = True
        if len(labels) > 1 and chosen.all():
            chosen[np.argmax(draws)] = False
    return chosen[member]


def _draws(sha256s: Sequence[bytes], member: np.ndarray, count: int, seed: int) -> np.ndarray:
    """One number in [0, 1) for each group: the draw of its member with the lowest sha256."""
    lowest = [b"\xff" * 33] * count  # above every sha256
    for index, sha256 in zip(member.tolist(), sha256s, strict=True):
        lowest[index] = min(lowest[index], sha256)
    salt = seed.to_bytes(8, "little")
    digests = [hashlib.blake2b(sha256, digest_size=8, key=salt).digest() for sha256 in lowest]
    return np.frombuffer(b"".join(digests), "<u8") / 2.0**64


def _stratified(
    draws: np.ndarray, strata: np.ndarray, fraction: float, known: np.ndarray
) -> np.ndarray:
    chosen = np.zeros(len(draws), dtype=bool)
    for stratum in np.unique(strata):
        members = np.flatnonzero(strata == stratum)
        if len(members) < 2:
            continue
        wanted = min(max(round(fraction * len(members)), 1), len(members) - 1)
        unseen = members[~known[members]]
        chosen[unseen[np.argsort(draws[unseen])[:wanted]]] = True
    return chosen


def _among_unseen(
    draws: np.ndarray, sizes: np.ndarray, fraction: float, known: np.ndarray
) -> np.ndarray:
    """The groups below the fraction, and the next ones until the share of all images is met."""
    order = np.argsort(draws)
    order = order[~known[order]]
    middle = np.cumsum(sizes[order]) - sizes[order] / 2
    chosen = np.zeros(len(draws), dtype=bool)
    chosen[order[(middle <= fraction * sizes.sum()) | (draws[order] < fraction)]] = True
    return chosen


def split_parts(
    sha256s: Sequence[bytes],
    groups: np.ndarray,
    *,
    fraction_for_test: float,
    fraction_for_validation: float,
    seed: int,
    strata: np.ndarray | None = None,
    given: np.ndarray | None = None,
    seen: np.ndarray | None = None,
) -> np.ndarray:
    """TRAIN, VALIDATION or TEST for each image, (n,) int8; for other arguments see `split`.

    `fraction_for_validation` is a share of the images that are not for testing. `given` holds a
    part for each image that is named one, otherwise -1, and overrides the draw; a group that it
    would split goes to the test images rather than validation, and to validation rather than
    training. Images that an earlier model has seen are never test images.
    """
    test = split(sha256s, groups, fraction=fraction_for_test, seed=seed, strata=strata, seen=seen)
    parts = np.where(test, TEST, TRAIN).astype(np.int8)
    rest = np.flatnonzero(~test)
    # The second draw must not depend on the first: another seed, and only among the others.
    validation = split(
        [sha256s[index] for index in rest.tolist()],
        groups[rest],
        fraction=fraction_for_validation,
        seed=seed + 1_000_003,
        strata=None if strata is None else strata[rest],
    )
    parts[rest[validation]] = VALIDATION
    if given is not None:
        for part in (TRAIN, VALIDATION, TEST):
            parts[np.isin(groups, groups[given == part])] = part
    if seen is not None:
        parts[seen & (parts == TEST)] = TRAIN
    return parts


def check_parts(test: np.ndarray, *, fraction: float, seen: np.ndarray) -> None:
    """Make sure that there are two images to train on, and two to test on.

    Where a model has `seen` images, (n,) bool, none need be left to test on.
    """
    tested = int(test.sum())
    trained = len(test) - tested
    if trained < 2:
        raise DataError(
            f"too few images are left to train on ({trained}): add images, or lower "
            "fraction_for_test"
        )
    if fraction > 0 and tested < 2 and not seen.any():
        raise DataError(
            f"too few images would be kept back for testing ({tested}): add images, or raise "
            "fraction_for_test (0 trains on all and tests on none)"
        )
