"""The three parts of a data set: what is trained on, what is chosen by, what is reported on."""

from collections.abc import Sequence

import numpy as np

from src.dataset.split import split

TRAIN, VALIDATION, TEST = 0, 1, 2
PART_NAMES = ("train", "validation", "test")


def split_parts(
    sha256s: Sequence[bytes],
    groups: np.ndarray,
    labels: np.ndarray,
    *,
    fraction_for_test: float,
    fraction_for_validation: float,
    seed: int,
) -> np.ndarray:
    """TRAIN, VALIDATION or TEST for each image, with the same share of every class.

    The best epoch is chosen on the validation images; the test images are only reported on.

    Args:
        sha256s: content of each image.
        groups: group of duplicates that each image belongs to, (n,) int; never torn apart.
        labels: class of each image, (n,) int.
        fraction_for_test: share of all images.
        fraction_for_validation: share of those that are not for testing.
        seed: another seed, another choice.

    Returns:
        (n,) int8.
    """
    test = split(sha256s, groups, fraction=fraction_for_test, seed=seed, strata=labels)
    parts = np.where(test, TEST, TRAIN).astype(np.int8)
    rest = np.flatnonzero(~test)
    # The second draw must not depend on the first: another seed, and only among the others.
    validation = split(
        [sha256s[index] for index in rest.tolist()],
        groups[rest],
        fraction=fraction_for_validation,
        seed=seed + 1_000_003,
        strata=labels[rest],
    )
    parts[rest[validation]] = VALIDATION
    return parts
