"""The three parts of a data set: what is trained on, what is chosen by, what is reported on."""

from collections.abc import Sequence

import numpy as np

from src.dataset.split import split

TRAIN, VALIDATION, TEST = 0, 1, 2
PART_NAMES = ("train", "validation", "test")


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
    """TRAIN, VALIDATION or TEST for each image, (n,) int8; for the other arguments see `split`.

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
