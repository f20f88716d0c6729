"""From a folder of rated images to features, scores and a split: where training starts."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from src.aesthetic.heads.base import FloatArray
from src.dataset.duplicates import groups as duplicate_groups
from src.dataset.keep_delete import distinct, report_conflicts
from src.dataset.scores import DataHolder
from src.dataset.split import check_parts
from src.features import Extractor, compute_features, open_store


@dataclass(frozen=True)
class RatedFeatures:
    """Rated images with their features.

    Attributes:
        holder: the images and their scores, readable ones only.
        features: (n, d) float32.
        blocks: how many of the d features each extractor gives.
        test: which images are kept back for testing, (n,) bool.
        groups: group of duplicates that each image belongs to, (n,) int.
        binary: the scores are labels, 1 for kept and 0 for deleted.
    """

    holder: DataHolder
    features: np.ndarray
    blocks: tuple[int, ...]
    test: np.ndarray
    groups: np.ndarray
    binary: bool = False

    @property
    def train(self) -> np.ndarray:
        """Which images are trained on, (n,) bool."""
        return ~self.test

    def scaled_scores(self) -> FloatArray:
        """The scores with mean 0 and standard deviation 1 over the training images."""
        known = self.holder.scores[self.train]
        spread = float(known.std()) or 1.0
        return (self.holder.scores - known.mean()) / spread  # type: ignore[no-any-return]


def load_rated_features(
    holder: DataHolder,
    extractors: Sequence[Extractor],
    *,
    store_folder: Path | None = None,
    fraction_for_test: float = 0.25,
    test_pick_seed: int = 42,
    batch_size: int = 32,
    binary: bool = False,
) -> RatedFeatures:
    """Compute the features that are not kept yet, find duplicates, and split.

    Args:
        holder: the images and their scores.
        extractors: whose features are joined, in this order.
        store_folder: where features are kept; None: beside the images.
        fraction_for_test: share of the images kept back for testing.
        test_pick_seed: which images those are.
        batch_size: images in one pass through an extractor.
        binary: the scores are labels 1 and 0: copies are left out, images under both labels as
            well, and each label gives its share to the test images.

    Raises:
        DataError: nothing readable, or too few images for a split.
        ModelError: an extractor cannot be loaded.
    """
    with open_store(holder.directory, store_folder) as store:
        table = compute_features(
            holder.directory, holder.files, extractors, store, batch_size=batch_size
        )
    holder = holder.only(table.paths)
    sha256s, hashes, vectors = table.sha256s, table.perceptual_hashes, table.vectors
    if binary:
        found = distinct(sha256s, holder.scores)
        report_conflicts(table.paths, found)
        holder = holder.only([table.paths[index] for index in found.kept])
        sha256s = [sha256s[index] for index in found.kept]
        hashes, vectors = hashes[found.kept], vectors[found.kept]
    groups = duplicate_groups(sha256s, hashes)
    test = holder.test_mask(
        sha256s,
        groups,
        fraction=fraction_for_test,
        seed=test_pick_seed,
        strata=holder.scores if binary else None,
    )
    check_parts(test, fraction=fraction_for_test)
    return RatedFeatures(holder, vectors, table.blocks, test, groups, binary)
