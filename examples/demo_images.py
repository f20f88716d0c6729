"""Example images whose true order is known: photographs damaged to graded degrees.

The photographs come inside two packages that are installed anyway (scikit-image, scikit-learn).
Each is cut into tiles that do not overlap. Every tile is kept untouched once, and damaged once in
each of five ways: blur, noise, exposure, colour cast, compression. The score is minus the grade of
the damage, on the impairment scale of ITU-R BT.500 counted from 0:

    0 imperceptible, 1 perceptible, not annoying, 2 slightly annoying, 3 annoying, 4 very annoying

`STRENGTHS` says how strong each damage is at each grade. The steps are like those of image-quality
data sets with several kinds of damage (TID2013, KADID-10k), brought to one scale by eye on tiles of
this size. All tiles of a photograph are on one side of the split between training and test, so the
test measures what was learned about damage, not about the photographs.
"""

import importlib.util
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageFilter

from src.errors import MissingExtra
from src.files import csv_text, replacing, write_text

SCORES = "scores.csv"
TILE = 192  # pixels, both ways
TEST_FRACTION = 0.25  # of the tiles; the test takes whole photographs until it has as many
PNG_LEVEL = 1  # fast compression; the files are small anyway

PHOTOGRAPHS = {  # name -> package, file in it
    "astronaut": ("skimage", "data/astronaut.png"),
    "brick": ("skimage", "data/brick.png"),
    "camera": ("skimage", "data/camera.png"),
    "cat": ("skimage", "data/chelsea.png"),
    "coffee": ("skimage", "data/coffee.png"),
    "coins": ("skimage", "data/coins.png"),
    "flower": ("sklearn", "datasets/images/flower.jpg"),
    "grass": ("skimage", "data/grass.png"),
    "gravel": ("skimage", "data/gravel.png"),
    "motorcycle": ("skimage", "data/motorcycle_left.png"),
    "palace": ("sklearn", "datasets/images/china.jpg"),
    "rocket": ("skimage", "data/rocket.jpg"),
}
PACKAGES = {"skimage": "scikit-image", "sklearn": "scikit-learn"}

# Strength at grades 1 to 4.
STRENGTHS = {
    "blur": (0.7, 1.3, 2.4, 4.5),  # standard deviation of the Gaussian, pixels
    "noise": (0.03, 0.06, 0.11, 0.20),  # standard deviation, share of the full range
    "exposure": (0.5, 1.0, 1.7, 2.6),  # stops, over or under
    "colour": (0.2, 0.4, 0.8, 1.4),  # stops that the most favoured channel gains
    "compression": (25, 13, 7, 3),  # JPEG quality
}
UNTOUCHED = "untouched"


class Example(NamedTuple):
    """One image of the demo: which tile, how it is damaged, on which side of the split."""

    photograph: str
    tile: int
    damage: str
    grade: int
    split: str

    @property
    def relative_path(self) -> str:
        suffix = ".jpg" if self.damage == "compression" else ".png"
        return f"{self.damage}/{self.photograph}-{self.tile:02d}{suffix}"


def make_demo_images(directory: Path, seed: int = 0) -> list[Example]:
    """Write the demo's images and `scores.csv` (`relative_path,score,split`) into a folder.

    The same seed gives the same files. Where the folder is complete already, nothing is written;
    `scores.csv` is written last, so an interrupted run is noticed and made again. Returns all the
    examples, whether written now or before.
    """
    photographs = {name: tiles(load_photograph(name)) for name in PHOTOGRAPHS}
    examples = plan({name: len(parts) for name, parts in photographs.items()}, seed)
    rows = [(example.relative_path, -example.grade, example.split) for example in examples]
    table = csv_text([("relative_path", "score", "split"), *rows])
    if not _is_complete(directory, examples, table):
        (directory / SCORES).unlink(missing_ok=True)
        for number, example in enumerate(examples):
            rng = np.random.default_rng([seed, number])
            _write(directory, example, photographs[example.photograph][example.tile], rng)
        write_text(directory / SCORES, table)
    return examples


def plan(tile_counts: dict[str, int], seed: int) -> list[Example]:
    """Decide on the test photographs and on the grade of every damaged tile.

    Within each kind of damage the grades 1 to 4 are equally frequent, give or take one, in the
    training part as well as in the test part.
    """
    rng = np.random.default_rng(seed)
    test = _test_photographs(tile_counts, rng)
    examples: list[Example] = []
    for split in ("train", "test"):
        parts = [
            (name, tile)
            for name, count in tile_counts.items()
            if (name in test) == (split == "test")
            for tile in range(count)
        ]
        examples += [Example(name, tile, UNTOUCHED, 0, split) for name, tile in parts]
        for damage in STRENGTHS:
            grades = rng.permutation(np.arange(len(parts)) % 4 + 1)
            examples += [
                Example(name, tile, damage, int(grade), split)
                for (name, tile), grade in zip(parts, grades, strict=True)
            ]
    return examples


def _test_photographs(tile_counts: dict[str, int], rng: np.random.Generator) -> set[str]:
    wanted = TEST_FRACTION * sum(tile_counts.values())
    test: set[str] = set()
    for name in rng.permutation(list(tile_counts)):
        if sum(tile_counts[other] for other in test) < wanted:
            test.add(str(name))
    return test


def _is_complete(directory: Path, examples: Sequence[Example], table: str) -> bool:
    scores = directory / SCORES
    if not scores.is_file() or scores.read_text(encoding="utf-8") != table:
        return False
    return all((directory / example.relative_path).is_file() for example in examples)


def _write(directory: Path, example: Example, tile: Image.Image, rng: np.random.Generator) -> None:
    strength = STRENGTHS[example.damage][example.grade - 1] if example.grade else 0.0
    with replacing(directory / example.relative_path) as temporary:
        if example.damage == "compression":
            tile.save(temporary, format="JPEG", quality=int(strength))
        else:
            damaged = DAMAGES[example.damage](tile, strength, rng) if example.grade else tile
            damaged.save(temporary, format="PNG", compress_level=PNG_LEVEL)


# ---- photographs


def load_photograph(name: str) -> Image.Image:
    """One of `PHOTOGRAPHS`, as RGB."""
    package, path = PHOTOGRAPHS[name]
    found = importlib.util.find_spec(package)
    file = Path(found.origin).parent / path if found and found.origin else None
    if file is None or not file.is_file():
        raise MissingExtra(PACKAGES[package], "the demo")
    with Image.open(file) as image:
        return image.convert("RGB")


def tiles(photograph: Image.Image) -> list[Image.Image]:
    """Cut a photograph into as many square tiles as fit, centred, row by row."""
    columns, rows = photograph.width // TILE, photograph.height // TILE
    left = (photograph.width - columns * TILE) // 2
    top = (photograph.height - rows * TILE) // 2
    return [
        photograph.crop((x, y, x + TILE, y + TILE))
        for y in range(top, top + rows * TILE, TILE)
        for x in range(left, left + columns * TILE, TILE)
    ]


# ---- damage


def blur(tile: Image.Image, sigma: float, rng: np.random.Generator) -> Image.Image:
    """Gaussian blur; `sigma` in pixels."""
    return tile.filter(ImageFilter.GaussianBlur(sigma))


def noise(tile: Image.Image, sigma: float, rng: np.random.Generator) -> Image.Image:
    """White Gaussian noise, each channel its own; `sigma` as a share of the full range."""
    values = np.asarray(tile) / 255
    return _image(values + rng.normal(0, sigma, values.shape))


def exposure(tile: Image.Image, stops: float, rng: np.random.Generator) -> Image.Image:
    """Over- or underexposure by so many stops: light is doubled or halved for each."""
    return _with_light(tile, np.full(3, rng.choice([-1, 1]) * stops))


def colour(tile: Image.Image, stops: float, rng: np.random.Generator) -> Image.Image:
    """A cast in a random direction: the three channels gain and lose light, none on the whole."""
    angle = rng.uniform(0, 2 * np.pi)
    return _with_light(tile, stops * np.cos(angle + np.array([0, 2, 4]) * np.pi / 3))


def _with_light(tile: Image.Image, stops: np.ndarray) -> Image.Image:
    """Multiply the light of the channels by 2 ** stops; sRGB (IEC 61966-2-1) is undone for it."""
    values = np.asarray(tile) / 255
    light = np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)
    light = np.clip(light * 2.0**stops, 0, 1)
    return _image(np.where(light <= 0.0031308, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055))


def _image(values: np.ndarray) -> Image.Image:
    return Image.fromarray(np.clip(np.rint(values * 255), 0, 255).astype(np.uint8))


DAMAGES: dict[str, Callable[[Image.Image, float, np.random.Generator], Image.Image]] = {
    "blur": blur,
    "noise": noise,
    "exposure": exposure,
    "colour": colour,
}
