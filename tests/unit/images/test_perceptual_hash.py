"""The perceptual hash: what it must see through, and what it must tell apart."""

import io
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image, ImageDraw

from examples.demo_images import load_photograph
from src.dataset.duplicates import DISTANCE
from src.images.perceptual_hash import HASH_BYTES, perceptual_hash
from tests.conftest import make_image

NAMES = ["astronaut", "camera", "cat", "coffee", "flower", "motorcycle", "palace", "rocket"]


@pytest.fixture(scope="module")
def photographs() -> list[Image.Image]:
    return [load_photograph(name) for name in NAMES]


def distance(one: Image.Image, other: Image.Image) -> int:
    first, second = (np.frombuffer(perceptual_hash(image), np.uint8) for image in (one, other))
    return int(np.unpackbits(first ^ second).sum())


def saved_again(image: Image.Image) -> Image.Image:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=50)
    return Image.open(buffer).convert("RGB")


def halved(image: Image.Image) -> Image.Image:
    return image.resize((image.width // 2, image.height // 2), Image.Resampling.LANCZOS)


def brighter(image: Image.Image) -> Image.Image:
    return image.point(lambda value: round(value * 1.05))


def darker(image: Image.Image) -> Image.Image:
    return image.point(lambda value: round(value * 0.95))


def trimmed(image: Image.Image) -> Image.Image:
    """2 % less width and height."""
    x, y = image.width // 100, image.height // 100
    return image.crop((x, y, image.width - x, image.height - y))


@pytest.mark.parametrize("change", [saved_again, halved, brighter, darker, trimmed])
def test_small_changes_keep_the_hash_near(
    photographs, change: Callable[[Image.Image], Image.Image]
):
    for name, image in zip(NAMES, photographs, strict=True):
        assert distance(image, change(image)) <= DISTANCE, name


def test_different_pictures_are_far_apart(photographs):
    pictures = [*photographs, *(make_image(seed, (320, 240)) for seed in range(12))]
    for index, one in enumerate(pictures):
        assert len(perceptual_hash(one)) == HASH_BYTES
        for other in pictures[:index]:
            assert distance(one, other) > DISTANCE


def plain(grey: int) -> Image.Image:
    return Image.new("RGB", (200, 150), (grey, grey, grey))


def gradient(slope: float) -> Image.Image:
    row = np.clip(np.linspace(20, 20 + slope, 200), 0, 255).astype(np.uint8)
    return Image.fromarray(np.broadcast_to(row, (150, 200)).copy()).convert("RGB")


def almost_empty(x: int) -> Image.Image:
    image = plain(255)
    ImageDraw.Draw(image).point((x, 70), "black")
    return image


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (plain(120), plain(121)),
        (plain(0), plain(255)),
        (plain(120), plain(120).resize((100, 75))),
        (gradient(100), gradient(110)),
        (almost_empty(80), almost_empty(81)),
    ],
    ids=["greys", "black and white", "two sizes", "gradients", "almost empty"],
)
def test_images_with_little_in_them_match_only_themselves(one, other):
    assert distance(one, one.copy()) == 0
    assert distance(one, other) > DISTANCE


@pytest.mark.parametrize("size", [(1, 1), (1, 500), (700, 2), (5000, 4)])
def test_any_size_has_a_hash(size):
    assert len(perceptual_hash(make_image(0, size))) == HASH_BYTES
