"""What a head is fitted to."""

from typing import NamedTuple, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from src.aesthetic.heads.base import FloatArray
from src.errors import ModelError


class TrainingSet(NamedTuple):
    """Rated images, checked."""

    features: FloatArray  # (n, d)
    scores: FloatArray  # (n,)
    weights: FloatArray  # (n,) how much each image counts; 1 on average
    groups: np.ndarray  # (n,) images with the same number (near duplicates) are left out together

    @classmethod
    def of(
        cls,
        features: ArrayLike,
        scores: ArrayLike,
        weights: ArrayLike | None = None,
        groups: ArrayLike | None = None,
    ) -> Self:
        """Without weights all count alike, without groups each is alone."""
        x = np.asarray(features, dtype=np.float64)
        y = np.asarray(scores, dtype=np.float64)
        w = np.ones(len(y)) if weights is None else np.asarray(weights, dtype=np.float64)
        g = np.arange(len(y)) if groups is None else np.asarray(groups)
        if len(y) < 2 or np.all(y == y[0]):
            raise ModelError(
                f"nothing can be learned from images that all have the same score ({len(y):,}): "
                "rate more images, or check the scores"
            )
        if not (np.isfinite(x).all() and np.isfinite(y).all()):
            raise ModelError("features or scores hold values that are not finite: extract again")
        return cls(x, y, w / w.mean(), g)

    def only(self, rows: np.ndarray) -> Self:
        return self.of(*(part[rows] for part in self))


def assign_folds(groups: ArrayLike, folds: int, seed: int) -> NDArray[np.intp]:
    """A fold number for each image, (n,): equally many each as far as groups allow."""
    names, member = np.unique(groups, return_inverse=True)
    order = np.random.default_rng(seed).permutation(len(names))
    sizes = np.bincount(member)[order]
    middle = np.cumsum(sizes) - sizes / 2
    fold_of_group = np.empty(len(names), dtype=np.intp)
    fold_of_group[order] = (middle * folds / max(sizes.sum(), 1)).astype(np.intp)
    return fold_of_group[member]
