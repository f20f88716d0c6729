"""Kernels between images, and their finite feature map on landmark images (Nyström).

With every training image a landmark the map is exact; with more images than landmarks it is the
usual low-rank approximation (Williams & Seeger 2001).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from src.aesthetic.heads.base import Array, Arrays, Config, FloatArray, take, take_value
from src.aesthetic.heads.scaling import Scaler
from src.errors import ModelError

LANDMARKS = 1_500  # more images than this are approximated; the cost is their cube
_JITTER = 1e-6  # of k(x, x), which is about 1: keeps equal images from making it singular
_ROWS_AT_ONCE = 4_096
FAMILY = "rational_quadratic"


@dataclass(frozen=True)
class Kernel:
    """(1 - linear) / (1 + (distance / length)² / 2) + linear · inner product / size.

    The first part is the rational quadratic kernel with α = 1, a mixture of Gaussian kernels of
    all length scales (Rasmussen & Williams 2006, eq. 4.19 and 4.20).

    Attributes:
        length: length scale, in units of the scaled features.
        linear: share of the linear kernel, 0 to 1.
        size: mean squared norm of the scaled training features; makes both parts comparable.
    """

    length: float
    linear: float
    size: float

    def __call__(self, a: FloatArray, b: FloatArray) -> FloatArray:
        """The kernel matrix (len(a), len(b)) of scaled features."""
        return self.of_products(a @ b.T, (a**2).sum(axis=1), (b**2).sum(axis=1))

    def of_products(self, products: FloatArray, a: FloatArray, b: FloatArray) -> FloatArray:
        """The same from inner products (m, n) and squared norms (m,), (n,)."""
        squared = np.maximum(a[:, None] + b - 2 * products, 0)
        values = (1 - self.linear) / (1 + squared / (2 * self.length**2))
        return values + (self.linear / self.size) * products if self.linear else values

    def diagonal(self, a: FloatArray) -> FloatArray:
        """k(x, x) for each row."""
        norms: FloatArray = (a**2).sum(axis=1)
        return (1 - self.linear) + (self.linear / self.size) * norms

    def config(self) -> dict[str, Any]:
        return {
            "family": FAMILY,
            "length": self.length,
            "linear": self.linear,
            "size": self.size,
        }

    @classmethod
    def from_config(cls, config: Config) -> Self:
        family = take_value(config, "family", str)
        length, linear, size = (take_value(config, n, float) for n in ("length", "linear", "size"))
        if (
            family != FAMILY
            or not np.isfinite([length, linear, size]).all()
            or min(length, size) <= 0
        ):
            raise ModelError(
                f"the model file has a kernel that is not known here: {dict(config)}; train again"
            )
        return cls(length, linear, size)


@dataclass(frozen=True)
class LandmarkKernel:
    """A kernel with the images it compares to.

    Attributes:
        scaler: applied to features first.
        kernel: of scaled features.
        landmarks: (m, d) scaled features.
    """

    scaler: Scaler
    kernel: Kernel
    landmarks: FloatArray

    def __call__(self, features: FloatArray) -> FloatArray:
        """Similarity (n, m) of each image to each landmark."""
        return self.kernel(self.scaler(features), self.landmarks)

    def in_batches(
        self, features: FloatArray, function: Callable[[FloatArray, FloatArray], FloatArray]
    ) -> FloatArray:
        """function(scaled features, similarities) -> (rows,), in batches that fit the memory."""
        results = [np.empty(0)]
        for start in range(0, len(features), _ROWS_AT_ONCE):
            scaled = self.scaler(features[start : start + _ROWS_AT_ONCE])
            results.append(function(scaled, self.kernel(scaled, self.landmarks)))
        return np.concatenate(results)

    def projection(self) -> FloatArray:
        """(m, m) such that similarities @ projection have the kernel as their inner product."""
        gram = self.kernel(self.landmarks, self.landmarks)
        gram[np.diag_indices(len(gram))] += _JITTER
        inverse: FloatArray = np.linalg.inv(np.linalg.cholesky(gram)).T
        return inverse

    def to_arrays(self) -> dict[str, Array]:
        return {"landmarks": self.landmarks.astype(np.float32), **self.scaler.to_arrays()}

    @classmethod
    def from_arrays(cls, arrays: Arrays, config: Config) -> Self:
        scaler = Scaler.from_arrays(arrays)
        landmarks = take(arrays, "landmarks", None, len(scaler.mean))
        return cls(scaler, Kernel.from_config(config), landmarks)


def pick_landmarks(scaled: FloatArray, limit: int, seed: int) -> FloatArray:
    """All rows, or a random `limit` of them; as they will be saved (float32 precision)."""
    if len(scaled) > limit:
        rows = np.random.default_rng(seed).choice(len(scaled), size=limit, replace=False)
        scaled = scaled[np.sort(rows)]
    return scaled.astype(np.float32).astype(np.float64)


def candidate_scalers(features: FloatArray, blocks: Sequence[int] | None) -> list[Scaler]:
    """Ways to scale features that distances may be measured in.

    Hand-made features have units of their own and must be standardised. Of deep features the
    direction alone may be better, with or without standardising it.
    """
    return [
        Scaler.fit(features, blocks=blocks),
        Scaler.fit(features, blocks=blocks, unit=True),
        Scaler.fit(features, blocks=blocks, unit=True, per_feature=False),
    ]


def some_rows(n: int, limit: int, seed: int) -> NDArray[np.intp]:
    """Row numbers of at most `limit` of n images, at random."""
    return np.random.default_rng(seed).permutation(n)[:limit]


def best_kernel(
    loss: Callable[[FloatArray], float],
    scalers: Sequence[Scaler],
    features: FloatArray,
    lengths: Sequence[float],
    linear_shares: Sequence[float],
) -> tuple[Scaler, Kernel]:
    """The scaling and kernel whose Gram matrix has the lowest loss.

    Args:
        loss: of a Gram matrix (n, n).
        scalers: to choose from.
        features: (n, d) of the images to judge by.
        lengths: length scales, in units of the median distance between different images.
        linear_shares: shares of the linear part.
    """
    best: tuple[float, Scaler, Kernel] | None = None
    for scaler in scalers:
        z = scaler(features)
        products, norms = z @ z.T, (z**2).sum(axis=1)
        size = max(float(norms.mean()), 1e-12)
        squared = (norms[:, None] + norms - 2 * products)[np.triu_indices(len(z), 1)]
        typical = float(np.sqrt(max(float(np.median(squared)), 1e-12)))
        for length, share in product(lengths, linear_shares):
            kernel = Kernel(length * typical, share, size)
            value = loss(kernel.of_products(products, norms, norms))
            if best is None or value < best[0]:
                best = value, scaler, kernel
    assert best is not None
    return best[1:]
