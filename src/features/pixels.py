"""Arithmetic on the pixels of one image that the built-in features are made of."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image

Array = np.ndarray  # float32 unless said otherwise


def oklab(rgb: np.ndarray) -> Array:
    """sRGB bytes (3, h, w) as OKLab lightness 0 ... 1, green-red and blue-yellow, and chroma."""
    cones = _RGB_TO_CONES @ _LINEAR[rgb].reshape(3, -1)
    light, green_red, blue_yellow = _CONES_TO_LAB @ np.cbrt(cones)
    chroma = np.hypot(green_red, blue_yellow)
    return np.stack([light, green_red, blue_yellow, chroma]).reshape(4, *rgb.shape[1:])


def cell_means(x: Array, count: int) -> Array:
    """Means over count x count equal cells: (..., h, w) to (..., count, count); a rest is cut."""
    high, wide = x.shape[-2] // count, x.shape[-1] // count
    x = x[..., : high * count, : wide * count]
    x = x.reshape(*x.shape[:-2], count, high, wide * count).mean(axis=-2)
    return np.asarray(x.reshape(*x.shape[:-1], count, wide).mean(axis=-1))


def quantiles(x: Array, fractions: Sequence[float]) -> Array:
    """Nearest order statistics along the last axis."""
    places = np.rint(np.array(fractions) * (x.shape[-1] - 1)).astype(np.intp)
    return np.asarray(np.sort(x, axis=-1)[..., places])


def moments(x: Array) -> Array:
    """Mean, deviation, and third and fourth moment as roots, of the last axis: (4, ...)."""
    mean = x.mean(axis=-1)
    x = x - mean[..., None]
    square = x * x
    third, fourth = (np.einsum("...i,...i->...", square, y) / x.shape[-1] for y in (x, square))
    return np.stack([mean, np.sqrt(square.mean(axis=-1)), np.cbrt(third), fourth**0.25])


def calm_log(x: Any, floor: float = 1e-3) -> Any:
    """Logarithm that stays finite and calm near 0."""
    return np.log(x + floor)


def central_differences(x: Array) -> Array:
    """Central differences of (..., h, w) across and down, 0 at the border: (2, ..., h, w)."""
    edges = np.zeros((2, *x.shape), np.float32)
    edges[0, ..., 1:-1] = x[..., 2:] - x[..., :-2]
    edges[1, ..., 1:-1, :] = x[..., 2:, :] - x[..., :-2, :]
    return edges


def laplacian_magnitude(x: Array) -> Array:
    """Magnitude of the discrete Laplacian inside the border: (h, w) to (h - 2, w - 2)."""
    beside = x[1:-1, 2:] + x[1:-1, :-2] + x[2:, 1:-1] + x[:-2, 1:-1]
    return np.asarray(np.abs(beside - 4 * x[1:-1, 1:-1]))


def binomial_sum(x: np.ndarray) -> np.ndarray:
    """Sum with binomial weights 1 4 6 4 1 each way, 256 in all: (h, w) to (h - 4, w - 4)."""
    for _ in range(4):
        x = x[:, 1:] + x[:, :-1]
    for _ in range(4):
        x = x[1:] + x[:-1]
    return x


def mean_product(x: Array, y: Array) -> Any:
    """Of all pairs of values, without an array of the products."""
    return np.einsum("i,i->", x.ravel(), y.ravel()) / x.size


def binary_patterns(x: Array) -> np.ndarray:
    """One bit for each of the 8 neighbours, in a circle: 1 if at least as bright."""
    height, width = x.shape
    x = x.astype(np.uint8) if x.dtype == np.int16 else x
    centre = x[1:-1, 1:-1]
    codes = np.zeros(centre.shape, np.uint8)
    circle = ((0, 0), (0, 1), (0, 2), (1, 2), (2, 2), (2, 1), (2, 0), (1, 0))
    for bit, (top, left) in enumerate(circle):
        brighter = x[top : height - 2 + top, left : width - 2 + left] >= centre
        weighted = brighter.view(np.uint8)
        weighted <<= np.uint8(bit)
        codes |= weighted
    return codes


def pattern_shares(codes: np.ndarray) -> Any:
    """Shares of the rotation-invariant uniform patterns and of the irregular rest, as roots."""
    counts = Image.fromarray(codes).histogram()
    return np.sqrt(np.bincount(_PATTERN_OF, counts, 10) / codes.size)


_BITS = (np.arange(256)[:, None] >> np.arange(8)) & 1
_TURNS = (np.roll(_BITS, 1, axis=1) != _BITS).sum(axis=1)
_PATTERN_OF = np.where(_TURNS <= 2, _BITS.sum(axis=1), 9)
_BYTES = np.arange(256) / 255
_LINEAR = np.where(_BYTES <= 0.04045, _BYTES / 12.92, ((_BYTES + 0.055) / 1.055) ** 2.4).astype(
    np.float32
)
_RGB_TO_CONES = np.array(
    [
        [0.4122214708, 0.5363325363, 0.0514459929],
        [0.2119034982, 0.6806995451, 0.1073969566],
        [0.0883024619, 0.2817188376, 0.6299787005],
    ],
    np.float32,
)
_CONES_TO_LAB = np.array(
    [
        [0.2104542553, 0.7936177850, -0.0040720468],
        [1.9779984951, -2.4285922050, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.8086757660],
    ],
    np.float32,
)
