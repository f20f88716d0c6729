"""Hand-made image features for aesthetics: no download, numpy and Pillow alone.

Two views of an image are measured. The *picture* is a square of `WORKING_SIDE` pixels, so that
colour, tone, texture and layout do not depend on resolution. The *detail* view keeps the pixels
as they are (a large image is halved until its shorter side is below four times `WORKING_SIDE`),
because noise, sharpness and compression live there. Skewed measures are taken as logarithms or
roots, which suits a linear head.

Sources: Datta et al., "Studying aesthetics in photographic images using a computational approach",
2006 (layout, depth of field); Ke, Tang and Jing, "The design of high-level features for photo
quality assessment", 2006 (spread of edges, contrast, blur); Hasler and Suesstrunk, "Measuring
colourfulness in natural images", 2003; Cohen-Or et al., "Color harmonization", 2006; Ottosson, "A
perceptual color space for image processing", 2020 (OKLab); van de Weijer et al., "Edge-based color
constancy", 2007 (colour cast); Ojala et al., "Multiresolution gray-scale and rotation invariant
texture classification with local binary patterns", 2002; Tuzel et al., "Region covariance", 2006,
with Arsigny et al., "Log-Euclidean metrics", 2006; Ruderman, "The statistics of natural images",
1994 (spectrum slope); Mittal et al., "No-reference image quality assessment in the spatial
domain", 2012 (BRISQUE); Immerkaer, "Fast noise variance estimation", 1996; Wang, Bovik and Evans,
"Blind measurement of blocking artifacts in images", 2000.
"""

from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from src.features.extractor import ImageExtractor
from src.features.pixels import (
    Array,
    binary_patterns,
    binomial_sum,
    calm_log,
    cell_means,
    central_differences,
    laplacian_magnitude,
    mean_product,
    moments,
    oklab,
    pattern_shares,
    quantiles,
)

VERSION = 1  # goes up whenever the values change, so that stored features are computed again
SIZE = 510  # number of features
WORKING_SIDE = 128  # pixels on the shorter side that images are shrunk to

Values = dict[tuple[str, ...], Any]  # (what is measured, name of each axis ...) -> values

_SMALLEST, _LONGEST = 32, 4096  # sides of the detail view, pixels
_HUES, _TONES, _GRID, _BLOCKS = 12, 16, 4, (8, 32)
_QUANTILES = (0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99)
_QUARTILES = (0.0, 0.25, 0.5, 0.75, 1.0)
# To one scale: the four channels, horizontal and vertical change, green-red and blue-yellow edges,
# Laplacian.
_TO_ONE_SCALE = np.array([[1, 4, 4, 4, 2, 2, 6, 6, 2]], np.float32).T
_PAIRS = np.triu_indices(len(_TO_ONE_SCALE))
_BANDS = 12  # of the power spectrum, half an octave each


class _Views(NamedTuple):
    """One image, as the measures below want it."""

    aspect: float  # width / height of the image as given
    rgb: Array  # (3, side, side) the picture, sRGB 0 ... 1
    lab: Array  # (4, side, side) the picture: lightness, green-red, blue-yellow, chroma
    ycc: list[Array]  # luma and two colour differences of full detail, each (h, w) int16 bytes
    levels: list[Array]  # lightness: full and half detail (int16 bytes), picture, half, quarter


class BuiltinExtractor(ImageExtractor):
    """Nothing to load; the features are computed image by image, in the workers."""

    name = "builtin"
    identity = f"builtin|v{VERSION}"
    min_side = WORKING_SIDE

    def prepare(self, image: Image.Image) -> np.ndarray:
        return image_features(image)

    def extract(self, prepared: list[np.ndarray]) -> np.ndarray:
        return np.stack(prepared)


@cache
def parts() -> dict[str, slice]:
    """Which features belong to which kind of measure."""
    views = _views(Image.new("RGB", (_SMALLEST, _SMALLEST)))
    found, start = {}, 0
    for name, measure in _MEASURES.items():
        size = sum(np.size(value) for value in measure(views).values())
        found[name] = slice(start, start + size)
        start += size
    return found


def image_features(image: Image.Image) -> Array:
    """The features of one RGB image of any size: (SIZE,) float32, all finite.

    Takes about 15 ms; numpy releases the interpreter for most of it, so threads help.
    """
    values = [np.ravel(value) for value in measure(image).values()]
    return np.concatenate(values, dtype=np.float32)


def measure(image: Image.Image) -> Values:
    """The features by what they measure, in order; the image is RGB."""
    views = _views(image)
    return {key: value for kind in _MEASURES.values() for key, value in kind(views).items()}


def _views(image: Image.Image) -> _Views:
    width, height = image.size
    # The power of two that a JPEG decoder would have left out.
    halvings = max((min(image.size) // (2 * WORKING_SIDE)).bit_length() - 1, 0)
    detail = image.convert("RGB").reduce(2**halvings)
    wide, high = (min(max(side, _SMALLEST), _LONGEST) for side in detail.size)
    if (wide, high) != detail.size:
        detail = detail.resize((wide, high), Image.Resampling.BILINEAR)
    luma, *differences = detail.convert("YCbCr").split()
    square = (WORKING_SIDE, WORKING_SIDE)
    rgb = np.asarray(detail.resize(square, Image.Resampling.BOX)).transpose(2, 0, 1)
    lab = oklab(rgb)
    full, half = _plane(luma), _plane(luma.reduce(2))  # whole numbers: faster, and exact
    smaller = [cell_means(lab[0], WORKING_SIDE // k) for k in (2, 4)]
    return _Views(
        aspect=width / height,
        rgb=np.ascontiguousarray(rgb, np.float32) * np.float32(1 / 255),
        lab=lab,
        ycc=[full, *map(_plane, differences)],
        levels=[full, half, lab[0], *smaller],
    )


def _plane(image: Image.Image) -> Array:
    return np.asarray(image, np.uint8).astype(np.int16)


def _one(x: Array) -> int:
    """What stands for 1 in this array."""
    return 255 if x.dtype == np.int16 else 1


def _cast(views: _Views) -> Values:
    """Colour of the light by three estimates: grey world, brightest pixels, grey edges."""
    pixels = views.rgb.reshape(3, -1)
    across, down = central_differences(views.rgb)
    edges = (np.abs(across) + np.abs(down)).mean(axis=(1, 2))
    neutral = calm_log(
        np.stack([pixels.mean(axis=1), quantiles(pixels, [0.98])[:, 0], edges]), 1e-2
    )
    ratios = neutral[:, [0, 2]] - neutral[:, [1]]
    return {
        ("colour cast", "neutral", "ratio"): ratios,
        ("strength of colour cast", "neutral", "ratio"): np.abs(ratios),
        ("distance of the average from grey",): np.hypot(*views.lab[1:3].mean(axis=(1, 2))),
    }


def _colour(views: _Views) -> Values:
    channels = views.lab.reshape(4, -1)
    light, green_red, blue_yellow, chroma = channels
    red, green, blue = views.rgb.reshape(3, -1)
    red_green, yellow_blue = red - green, (red + green) / 2 - blue
    colourfulness = np.hypot(red_green.std(), yellow_blue.std())
    colourfulness += 0.3 * np.hypot(red_green.mean(), yellow_blue.mean())
    # Hues weigh as much as their chroma, shared between the two nearest bins.
    place = np.arctan2(blue_yellow, green_red) * np.float32(_HUES / (2 * np.pi)) + _HUES
    lower = place.astype(np.int32)
    share = (place - lower) * chroma
    third = np.minimum((light * 3).astype(np.int32), 2) * _HUES
    hues = np.zeros(3 * _HUES)
    for bins, weights in ((lower, chroma - share), (lower + 1, share)):
        hues += np.bincount(third + bins % _HUES, weights, 3 * _HUES)
    hues = hues.reshape(3, _HUES) / light.size
    relative = hues.sum(axis=0) / (hues.sum() + 1e-3)
    return {
        ("colour", "moment", "channel"): moments(channels),
        ("chroma", "quantile"): quantiles(chroma, _QUANTILES),
        ("colourfulness",): colourfulness,
        ("amount of hue", "third", "hue"): np.sqrt(hues),
        ("colour harmony", "symmetry"): np.abs(np.fft.rfft(relative))[1:6],
        ("variety of hues",): -(relative * np.log(relative + 1e-6)).sum(),
    }


def _tone(views: _Views) -> Values:
    light = views.lab[0]
    averages, contrasts = [], []
    for side in _BLOCKS:
        count = WORKING_SIDE // side
        blocks = cell_means(views.lab, count)
        averages.append(quantiles(blocks.reshape(4, -1), _QUARTILES))
        variance = cell_means(light * light, count) - blocks[0] ** 2
        contrasts.append(quantiles(np.sqrt(np.maximum(variance, 0)).ravel(), _QUARTILES))
    tones = np.minimum((light.ravel() * _TONES).astype(np.int32), _TONES - 1)
    return {
        ("lightness", "quantile"): quantiles(light.ravel(), _QUANTILES),
        ("distance from middle exposure",): np.abs(light.mean() - 0.6),
        ("share of tones", "tone"): np.sqrt(np.bincount(tones, minlength=_TONES) / tones.size),
        ("clipped light", "RGB"): np.sqrt((views.rgb > 251.5 / 255).mean(axis=(1, 2))),
        ("clipped dark", "RGB"): np.sqrt((views.rgb < 3.5 / 255).mean(axis=(1, 2))),
        ("average", "block", "channel", "quartile"): averages,
        ("contrast", "block", "quartile"): calm_log(np.array(contrasts), 3e-3),
    }


def _sharpness(views: _Views) -> Values:
    overall, regions, centres = [], [], []
    for x in views.levels:
        one = _one(x)
        across = np.subtract(x[1:-1, 2:], x[1:-1, :-2]).astype(np.float32)
        down = np.subtract(x[2:, 1:-1], x[:-2, 1:-1]).astype(np.float32)
        laplacian = laplacian_magnitude(x).astype(np.float32)
        across *= across
        down *= down
        across += down
        for square, y in ((across, np.sqrt(across)), (laplacian * laplacian, laplacian)):
            # The mean, and nearer to the maximum.
            overall.append([y.mean() / one, mean_product(square, square) ** 0.25 / one])
        cells = calm_log(cell_means(laplacian, 8) / one)
        regions.append(quantiles(cells.ravel(), _QUARTILES))
        centres.append(cells[2:6, 2:6].mean() - cells.mean())
    return {
        ("sharpness", "level", "sharpness"): calm_log(np.reshape(overall, (-1, 4))),
        ("sharpness of regions", "level", "quartile"): regions,
        ("sharper centre", "level"): centres,
    }


def _noise(views: _Views) -> Values:
    residuals = []
    for x in views.ycc:
        x = x[2:] + x[:-2] - 2 * x[1:-1]
        x = x[:, 2:] + x[:, :-2] - 2 * x[:, 1:-1]
        cells = cell_means(np.abs(x).astype(np.float32), 8) / 255
        residuals.append(quantiles(calm_log(cells).ravel(), _QUARTILES))
    shapes, products = [], []
    for x in views.levels[:2]:
        # Everything 256 times, the deviation's square 256 * 256 times; all of it fits 32 bits.
        x = x.astype(np.uint32)
        total = binomial_sum(x.astype(np.uint16)).astype(np.uint32)
        deviation = np.sqrt((binomial_sum(x * x) * 256 - total * total).astype(np.float32))
        normal = (x[2:-2, 2:-2] * 256 - total).view(np.int32).astype(np.float32)
        middle = deviation.mean() / (255 * 256)
        deviation += 256
        normal /= deviation
        width = normal.shape[1]
        normal = normal.ravel()
        size = np.abs(normal)
        shapes.append([calm_log(middle), size.mean(), *moments(normal)[1:]])
        # In the flattened array the pixel below is `width` further on.
        steps = (1, width, width + 1, width - 1)
        products.append([[mean_product(y[k:], y[:-k]) for y in (normal, size)] for k in steps])
    return {
        ("residual noise of regions", "YCbCr", "quartile"): residuals,
        ("normalised luma", "detail", "normalised"): shapes,
        ("normalised luma times its neighbour", "detail", "neighbour", "product"): products,
    }


def _compression(views: _Views) -> Values:
    blockiness, equal = [], []
    for x in views.ycc:
        for axis, step in enumerate((x[:, 1:] - x[:, :-1], x[1:] - x[:-1])):
            np.abs(step, out=step)
            equal.append(np.sqrt(1 - np.count_nonzero(step) / step.size))
            profile = step.sum(axis=axis, dtype=np.int32) / (255 * step.shape[axis])
            phases = profile[: len(profile) // 8 * 8].reshape(-1, 8).mean(axis=0)
            *inside, edge = calm_log(np.sort(phases))  # wherever the blocks begin
            blockiness.append(edge - np.mean(inside))
    return {
        ("blockiness", "YCbCr", "side"): blockiness,
        ("equal neighbours", "YCbCr", "side"): equal,
    }


def _texture(views: _Views) -> Values:
    codes = [binary_patterns(x) for x in views.levels]
    rows = np.array_split(codes[2], _GRID)
    return {
        ("texture", "level", "pattern"): [pattern_shares(x) for x in codes],
        ("texture", "row", "pattern"): [pattern_shares(x) for x in rows],
        ("log covariance of", "statistics"): _log_covariance(views.lab),
    }


def _log_covariance(lab: Array) -> np.ndarray:
    across, down = central_differences(lab[:3])
    strength = np.hypot(across, down)
    laplacian = np.pad(laplacian_magnitude(lab[0]), 1)
    rows = [*lab, np.abs(across[0]), np.abs(down[0]), strength[1], strength[2], laplacian]
    x = np.stack(rows).reshape(len(rows), -1) * _TO_ONE_SCALE
    x -= x.mean(axis=1, keepdims=True)
    covariance = np.einsum("ip,jp->ij", x, x).astype(np.float64) / x.shape[1]
    values, vectors = np.linalg.eigh(covariance)
    logarithm = (vectors * np.log(np.maximum(values, 0) + 1e-6)) @ vectors.T
    return np.asarray(logarithm[_PAIRS])


def _spectrum(views: _Views) -> Values:
    light = views.lab[0]
    power = np.abs(np.fft.rfft2((light - light.mean()) * _WINDOW)) ** 2
    sums = np.bincount(_BAND_OF, power.ravel())
    bands = calm_log(sums[1:] / np.bincount(_BAND_OF)[1:], 1e-4)
    steady = bands[4:]  # the lower ones hold too few waves
    place = np.arange(len(steady)) - (len(steady) - 1) / 2
    return {
        ("power", "band"): bands,
        ("slope of the power spectrum",): steady @ place / (place @ place),
    }


def _layout(views: _Views) -> Values:
    lab = views.lab
    across, down = central_differences(lab[:1])[:, 0]
    diagonals = (across + down) / 2, (across - down) / 2
    strength = np.hypot(across, down)
    mirrored = [np.abs(lab[:3] - x).mean(axis=(1, 2)) for x in (lab[:3, :, ::-1], lab[:3, ::-1])]
    shape = np.log(np.clip(views.aspect, 1e-2, 1e2))
    return {
        ("layout", "channel", "row", "column"): cell_means(lab, _GRID),
        ("edges", "row", "column"): calm_log(cell_means(strength, _GRID)),
        ("change of lightness", "direction"): [
            calm_log(np.abs(x).mean()) for x in (across, down, *diagonals)
        ],
        ("asymmetry", "side", "Lab"): calm_log(np.array(mirrored)),
        ("place of the edges", "place"): _place(strength),
        ("width to height",): shape,
        ("distance from square",): np.abs(shape),
    }


def _place(weight: Array) -> list[Any]:
    """Centre of mass and spread, in picture sides; left and right count alike."""
    weight = weight + 1e-6
    weight /= weight.sum()
    position = (np.arange(WORKING_SIDE) + 0.5) / WORKING_SIDE - 0.5
    columns, rows = weight.sum(axis=0), weight.sum(axis=1)
    x, y = columns @ position, rows @ position
    spread = [np.sqrt(columns @ (position - x) ** 2), np.sqrt(rows @ (position - y) ** 2)]
    return [np.abs(x), y, *spread]


def _band_of_frequency() -> np.ndarray:
    """Band 1 ... `_BANDS` of each value of rfft2, flattened; 0 for the mean."""
    down, across = np.fft.fftfreq(WORKING_SIDE), np.fft.rfftfreq(WORKING_SIDE)
    waves = np.hypot(down[:, None], across) * WORKING_SIDE  # in a picture side
    bands = 1 + np.minimum(2 * np.log2(np.maximum(waves, 1)), _BANDS - 1).astype(np.int64)
    bands[0, 0] = 0
    return np.asarray(bands.ravel())


# glibc hands the memory of every large array back to the system, and fetching it again takes a
# third of the time, until it has seen a larger block freed.
np.empty(1 << 24, np.uint8)

_BAND_OF = _band_of_frequency()
_HANN = np.hanning(WORKING_SIDE + 2)[1:-1].astype(np.float32)
_WINDOW = np.outer(_HANN, _HANN)
_MEASURES: dict[str, Callable[[_Views], Values]] = {
    "colour cast": _cast,
    "colour": _colour,
    "tone": _tone,
    "sharpness": _sharpness,
    "noise": _noise,
    "compression": _compression,
    "texture": _texture,
    "spectrum": _spectrum,
    "layout": _layout,
}
