"""Image features made fit for a linear model of taste: centred, few dimensions, one scale."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from src.errors import DataError
from src.rating.models.graph import Floats

DIMENSIONS = 128
_OVERSAMPLING = 16
_EXACT = 2**28  # rows times columns times the smaller of both


@dataclass(frozen=True)
class FeatureSpace:
    """Features of n images, in the order of the images."""

    features: Floats  # (n, d) float32, d ≤ 128; zero where an image has none
    known: np.ndarray  # (n,) bool: the image has features

    @property
    def width(self) -> int:
        return int(self.features.shape[1])

    @property
    def power(self) -> Floats:
        """(d,) mean square of each component over the images that have features; sums to 1."""
        squares = np.asarray(self.features, dtype=float) ** 2
        return np.asarray(squares.sum(axis=0) / max(int(self.known.sum()), 1))


def without_features(count: int) -> FeatureSpace:
    return FeatureSpace(np.zeros((count, 0), np.float32), np.zeros(count, bool))


def feature_space(images: Sequence[str], features: Mapping[str, ArrayLike]) -> FeatureSpace:
    """The principal components of the features, scaled so that the mean of |x|² is 1.

    Each image's vector is first scaled to length 1, and each feature divided by the square root of
    its standard deviation (Pareto scaling, van den Berg et al. 2006), half way between features of
    one unit, whose spread says how much they matter, and of many, whose spread says nothing. An
    image may have no vector, or one that is not finite.
    """
    rows = [index for index, path in enumerate(images) if path in features]
    if not rows:
        return without_features(len(images))
    try:
        table = np.stack([np.asarray(features[images[row]], np.float32).ravel() for row in rows])
    except ValueError as error:
        what = "the features of the images differ in length: give those of one extractor"
        raise DataError(what) from error
    finite = np.isfinite(table).all(axis=1)
    if finite.sum() < 2:
        return without_features(len(images))
    known = np.zeros(len(images), bool)
    known[np.asarray(rows)[finite]] = True
    table = table[finite]
    table /= np.maximum(np.linalg.norm(table, axis=1, keepdims=True), 1e-12)
    spread = table.std(axis=0)
    components = principal_components(table / np.sqrt(np.where(spread > 0, spread, 1)), DIMENSIONS)
    result = np.zeros((len(images), components.shape[1]), np.float32)
    result[known] = components
    return FeatureSpace(result, known)


def principal_components(table: Floats, dimensions: int) -> Floats:
    """(n, d) scores on the first principal components, the mean of |row|² scaled to 1.

    Exact for small tables, else by randomised subspace iteration (Halko, Martinsson & Tropp
    2011). d is smaller than `dimensions` where the table has no more.
    """
    centred = table - table.mean(axis=0)
    if centred.size * min(centred.shape) <= _EXACT:
        u, s, _ = np.linalg.svd(np.asarray(centred, dtype=float), full_matrices=False)
    else:
        rng = np.random.default_rng(0)
        basis = rng.standard_normal((centred.shape[1], dimensions + _OVERSAMPLING), np.float32)
        for _ in range(4):
            sketch, _ = np.linalg.qr(centred @ basis)
            basis = centred.T @ sketch
        small, s, _ = np.linalg.svd(basis.T, full_matrices=False)
        u = sketch @ small
    keep = s[:dimensions] > 1e-6 * max(float(s[0]), 1e-12)
    components = (u[:, :dimensions] * s[:dimensions])[:, keep]
    power = float((components**2).sum(axis=1).mean()) if components.size else 0.0
    return np.asarray(components / np.sqrt(power)) if power > 0 else components[:, :0]
