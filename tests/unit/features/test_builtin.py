"""Hand-made features: values worked out by hand, order under graded damage, odd images, use."""

import io
import math
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image, ImageFilter
from sklearn.linear_model import Ridge

from examples.demo_images import make_demo_images
from src.evaluation.rank_metrics import pairwise_accuracy
from src.features import builtin
from src.images import open_image
from tests.feature_names import names


def features(pixels: np.ndarray | Image.Image) -> dict[str, float]:
    """The features of an image, or of pixels (h, w) or (h, w, 3), by name."""
    if isinstance(pixels, np.ndarray):
        pixels = Image.fromarray(np.asarray(pixels, np.uint8))
    values = builtin.image_features(pixels.convert("RGB"))
    found = dict(zip(names(), values.tolist(), strict=True))
    assert len(found) == builtin.SIZE  # each has a name of its own
    return found


def flat(red: int, green: int, blue: int, size: tuple[int, int] = (200, 150)) -> Image.Image:
    return Image.new("RGB", size, (red, green, blue))


def spectral_noise(slope: float, side: int = 128) -> np.ndarray:
    """Grey noise whose power falls with the frequency to the power of `slope`."""
    rng = np.random.default_rng(0)
    frequency = np.hypot(*np.meshgrid(np.fft.fftfreq(side), np.fft.fftfreq(side)))
    frequency[0, 0] = np.inf if slope < 0 else 1
    wave = np.fft.ifft2(np.fft.fft2(rng.normal(size=(side, side))) * frequency ** (slope / 2)).real
    return np.asarray(128 + 12 * (wave - wave.mean()) / wave.std())


def jpeg(image: Image.Image, quality: int) -> Image.Image:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    return Image.open(buffer).convert("RGB")


def noisy(image: Image.Image, sigma: float) -> Image.Image:
    pixels = np.asarray(image) + np.random.default_rng(1).normal(0, sigma, (*image.size[::-1], 3))
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))


@pytest.fixture(scope="module")
def photograph() -> Image.Image:
    """Something with edges, texture and colour, without noise."""
    rng = np.random.default_rng(3)
    scene = Image.fromarray(rng.integers(0, 256, (30, 40, 3), dtype=np.uint8))
    return scene.resize((400, 300), Image.Resampling.BICUBIC)


# ---- values


def test_colourfulness_of_red_beside_green():
    pixels = np.zeros((128, 128, 3))
    pixels[:, :64, 0] = pixels[:, 64:, 1] = 255
    # Red-green is +1 or -1: deviation 1, mean 0. Yellow-blue is 1/2 everywhere.
    assert features(pixels)["colourfulness"] == pytest.approx(1 + 0.3 * 0.5, abs=1e-4)
    assert features(flat(77, 77, 77))["colourfulness"] == pytest.approx(0, abs=1e-6)


def test_pure_red_has_the_published_oklab_values():
    red = features(flat(255, 0, 0))  # L 0.628, C 0.2577, h 29.2 degrees
    assert red["colour: mean, lightness"] == pytest.approx(0.628, abs=1e-3)
    assert red["colour: mean, chroma"] == pytest.approx(0.2577, abs=1e-3)
    assert red["amount of hue: middle, 30°"] ** 2 == pytest.approx(0.2577 * 29.23 / 30, abs=2e-3)
    assert red["amount of hue: middle, 0°"] ** 2 == pytest.approx(0.2577 * 0.77 / 30, abs=2e-3)
    assert red["amount of hue: dark, 30°"] == red["amount of hue: light, 30°"] == 0


def test_colour_cast_is_the_ratio_to_green():
    warm = features(flat(200, 100, 50))
    for estimate in ("average", "brightest"):
        expected = math.log((200 / 255 + 0.01) / (100 / 255 + 0.01))
        name = f"colour cast: {estimate}, red to green"
        assert warm[name] == pytest.approx(expected, abs=1e-3)
    assert warm["colour cast: average, blue to green"] < 0
    assert warm["strength of colour cast: average, blue to green"] > 0
    assert features(flat(90, 90, 90))["strength of colour cast: average, red to green"] == 0


def test_tone_of_white_and_black():
    white, black = features(flat(255, 255, 255)), features(flat(0, 0, 0))
    assert white["lightness: 50% quantile"] == pytest.approx(1, abs=1e-3)
    assert white["clipped light: red"] == 1
    assert white["clipped dark: red"] == 0
    assert white["share of tones: 16 of 16"] == 1
    assert black["lightness: 50% quantile"] == pytest.approx(0, abs=1e-3)
    assert black["clipped dark: blue"] == 1
    assert black["share of tones: 1 of 16"] == 1
    assert white["contrast: blocks of 8 px, highest"] == pytest.approx(math.log(3e-3), abs=0.1)


def test_layout_knows_where_the_light_is():
    pixels = np.zeros((256, 256))
    pixels[:64, 192:] = 255
    found = features(pixels)
    cells = {
        (row, column): found[f"layout: lightness, row {row} of 4, column {column} of 4"]
        for row in range(1, 5)
        for column in range(1, 5)
    }
    assert cells.pop((1, 4)) == pytest.approx(1, abs=1e-3)
    assert max(cells.values()) == pytest.approx(0, abs=1e-3)


def test_a_mirrored_half_is_symmetric_one_way_only():
    rng = np.random.default_rng(0)
    half = rng.integers(0, 256, (128, 64))
    found = features(np.hstack([half, half[:, ::-1]]))
    assert found["asymmetry: horizontal, lightness"] == pytest.approx(math.log(1e-3))
    assert found["asymmetry: vertical, lightness"] > math.log(0.05)


def test_edges_lie_where_the_texture_is():
    rng = np.random.default_rng(0)
    pixels = np.full((128, 128), 128)
    pixels[80:120, 40:88] = rng.integers(0, 256, (40, 48))
    found = features(pixels)
    assert found["place of the edges: low"] == pytest.approx(100 / 128 - 0.5, abs=0.02)
    assert found["place of the edges: off centre"] == pytest.approx(0, abs=0.02)
    # Uniform over a length of b: deviation b / sqrt(12).
    assert found["place of the edges: wide"] == pytest.approx(48 / 128 / 12**0.5, abs=0.02)
    assert found["place of the edges: high"] == pytest.approx(40 / 128 / 12**0.5, abs=0.02)


@pytest.mark.parametrize("slope", [0.0, -1.0, -2.0])
def test_slope_of_the_power_spectrum(slope):
    measured = features(spectral_noise(slope))["slope of the power spectrum"]
    assert measured == pytest.approx(slope * math.log(2) / 2, abs=0.08)  # for half an octave


def test_stripes_of_eight_pixels_are_blocks_in_one_direction():
    rng = np.random.default_rng(0)
    stripes = np.tile(np.repeat(rng.integers(0, 256, 20), 8), (160, 1))
    found = features(stripes[:, 3:])  # wherever the first block begins
    assert found["blockiness: luma, horizontal"] > 4
    assert found["blockiness: luma, vertical"] == pytest.approx(0, abs=1e-6)
    noise = features(rng.integers(0, 256, (160, 160)))
    assert noise["blockiness: luma, horizontal"] < 0.2


def test_log_covariance_of_noise_in_lightness_alone():
    found = features(spectral_noise(0.0))
    deviation = found["colour: deviation, lightness"]
    between = found["log covariance of: lightness and green-red"]
    assert between == pytest.approx(0, abs=0.2)
    absent = found["log covariance of: green-red and green-red"]
    assert absent == pytest.approx(math.log(1e-6), abs=0.2)  # the floor: there is no colour
    assert found["log covariance of: lightness and lightness"] <= math.log(deviation**2) + 0.1


# ---- damage


def blurred(image: Image.Image, sigma: float) -> Image.Image:
    return image.filter(ImageFilter.GaussianBlur(sigma))


def darker(image: Image.Image, factor: float) -> Image.Image:
    return image.point(lambda value: value * factor)


def redder(image: Image.Image, factor: float) -> Image.Image:
    red = [min(round(value * factor), 255) for value in range(256)]
    return image.point(red + [*range(256)] * 2)


@pytest.mark.parametrize(
    ("damage", "strengths", "name", "rises"),
    [
        (blurred, (0, 1, 2, 4), "sharpness: full detail, mean Laplacian", False),
        (noisy, (0, 4, 12, 30), "residual noise of regions: luma, lowest", True),
        (jpeg, (90, 40, 15, 5), "blockiness: luma, horizontal", True),
        (darker, (1, 0.7, 0.4, 0.2), "lightness: 75% quantile", False),
        (redder, (1, 1.2, 1.5, 2), "colour cast: average, red to green", True),
    ],
)
def test_more_damage_moves_its_measure(photograph, damage, strengths, name, rises):
    values = [features(damage(photograph, strength))[name] for strength in strengths]
    assert values == sorted(values, reverse=not rises)
    assert len(set(values)) == len(values)


def test_ridge_finds_the_grade_of_damage_on_other_photographs(tmp_path):
    examples = make_demo_images(tmp_path)
    with ThreadPoolExecutor(2) as pool:
        files = [tmp_path / example.relative_path for example in examples]
        images = pool.map(lambda file: open_image(file, min_side=builtin.WORKING_SIDE), files)
        matrix = np.stack(list(pool.map(builtin.image_features, images)))
    test = np.array([example.split == "test" for example in examples])
    grades = np.array([example.grade for example in examples])
    assert np.isfinite(matrix).all()
    spread = matrix[~test].std(axis=0)
    z = (matrix - matrix[~test].mean(axis=0)) / np.where(spread > 1e-6, spread, 1)
    z = z.clip(-4, 4)
    predicted = Ridge(alpha=300).fit(z[~test], grades[~test]).predict(z[test])
    assert (pairwise_accuracy(grades[test], predicted) or 0) > 0.7


# ---- odd images and use


def test_resolution_hardly_matters(photograph):
    large = photograph.resize((1600, 1200), Image.Resampling.BICUBIC)
    small, halved = features(large.reduce(2)), features(large)
    for name in names():
        assert halved[name] == pytest.approx(small[name], abs=0.15), name
