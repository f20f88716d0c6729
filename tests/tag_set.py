"""A generated set of tagged images: each tag is a symbol of its own shape and colour.

Tags follow Zipf's law. A share of them is left out of the tag files although the symbol is there,
and some images are there twice, saved anew; what is true is returned.
"""

import math
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw

from src.classifier.sidecars import SidecarStyle, write_tags

SIDE = 224  # pixels
CELLS = 4  # to a side; one symbol in a cell

SHAPES = (
    "disc", "square", "triangle", "cross", "ring", "bars", "star", "diamond", "arrow", "dots",
)  # fmt: skip
INKS = ("red", "yellow", "lime", "cyan", "blue", "magenta", "white", "orange")
PATCHES = ("black", "navy", "darkgreen", "maroon", "white")
PAIRS = [(ink, patch) for patch in PATCHES for ink in INKS if ink != patch]


class TagSet(NamedTuple):
    """What is in the generated folder.

    Attributes:
        names: the tags, most frequent first.
        shown: image -> tags whose symbols are in it.
        dropped: image -> tags that its tag file lacks.
        copies: copy -> the image that it is a copy of.
    """

    names: list[str]
    shown: dict[str, list[str]]
    dropped: dict[str, list[str]]
    copies: dict[str, str]


def make_tag_set(
    folder: Path,
    *,
    images: int = 4000,
    tags: int = 200,
    per_image: float = 6.0,
    drop: float = 0.1,
    copies: int = 100,
    seed: int = 0,
) -> TagSet:
    """Write images (JPEG) and tag files into a folder, which is made.

    Args:
        folder: where to.
        images: how many, copies not counted.
        tags: how many different ones.
        per_image: mean number of symbols in an image.
        drop: share of the tags that the files lack.
        copies: how many images are there twice.
        seed: another seed, another set.
    """
    rng = np.random.default_rng(seed)
    share = 1 / np.arange(1, tags + 1)
    share = np.minimum(share * per_image / share.sum(), 0.6)
    names = [tag_name(tag) for tag in range(tags)]
    present = rng.random((images, tags)) < share
    for row in np.flatnonzero(present.sum(axis=1) > CELLS**2):
        present[row, np.flatnonzero(present[row])[CELLS**2 :]] = False
    dropped = present & (rng.random(present.shape) < drop)
    paths = [f"{index // 1000}/{index:05d}.jpg" for index in range(images)]
    for part in {path.partition("/")[0] for path in paths}:
        (folder / part).mkdir(parents=True, exist_ok=True)
    seeds = rng.integers(0, 2**32, images)

    def write(index: int) -> None:
        picture = draw(np.flatnonzero(present[index]), int(seeds[index]))
        picture.save(folder / paths[index], quality=92)
        _write_tags(folder, paths[index], names, present[index] & ~dropped[index])

    with ThreadPoolExecutor() as pool:
        list(pool.map(write, range(images)))
    twice = rng.choice(images, copies, replace=False)
    originals = {}
    for index in twice.tolist():
        copy = paths[index].replace(".jpg", "_again.jpg")
        originals[copy] = paths[index]
        Image.open(folder / paths[index]).save(folder / copy, quality=70)
        _write_tags(folder, copy, names, present[index] & ~dropped[index])
    everything = [*zip(paths, range(images), strict=True), *zip(originals, twice, strict=True)]
    return TagSet(
        names=names,
        shown={
            path: [names[tag] for tag in np.flatnonzero(present[row])] for path, row in everything
        },
        dropped={
            path: [names[tag] for tag in np.flatnonzero(dropped[row])] for path, row in everything
        },
        copies=originals,
    )


def tag_name(tag: int) -> str:
    """Such as "red star on navy"."""
    ink, patch = PAIRS[(tag // len(SHAPES)) * 7 % len(PAIRS)]
    return f"{ink} {SHAPES[tag % len(SHAPES)]} on {patch}"


def draw(tags: np.ndarray, seed: int) -> Image.Image:
    """A smooth background with the symbols of some tags in cells of their own."""
    rng = np.random.default_rng(seed)
    cells = Image.fromarray(rng.integers(60, 200, (4, 4, 3), dtype=np.uint8))
    picture = cells.resize((SIDE, SIDE), Image.Resampling.BICUBIC)
    brush = ImageDraw.Draw(picture)
    places = rng.permutation(CELLS**2)
    step = SIDE / CELLS
    for tag, place in zip(tags.tolist(), places.tolist(), strict=False):
        x = (place % CELLS + 0.5) * step + rng.uniform(-2, 2)
        y = (place // CELLS + 0.5) * step + rng.uniform(-2, 2)
        _symbol(brush, tag, x, y, step * rng.uniform(0.4, 0.46))
    return picture


def _symbol(brush: ImageDraw.ImageDraw, tag: int, x: float, y: float, r: float) -> None:
    ink, patch = PAIRS[(tag // len(SHAPES)) * 7 % len(PAIRS)]
    brush.rectangle([x - r, y - r, x + r, y + r], fill=patch)
    r *= 0.85
    shape = tag % len(SHAPES)
    turns = [math.tau * i / 10 - math.pi / 2 for i in range(10)]
    if shape == 0:
        brush.ellipse([x - r, y - r, x + r, y + r], fill=ink)
    elif shape == 1:
        brush.rectangle([x - r, y - r, x + r, y + r], fill=ink)
    elif shape == 2:
        brush.polygon([(x, y - r), (x + r, y + r), (x - r, y + r)], fill=ink)
    elif shape == 3:
        brush.rectangle([x - r, y - r / 3, x + r, y + r / 3], fill=ink)
        brush.rectangle([x - r / 3, y - r, x + r / 3, y + r], fill=ink)
    elif shape == 4:
        brush.ellipse([x - r, y - r, x + r, y + r], outline=ink, width=max(2, round(r / 3)))
    elif shape == 5:
        for offset in (-0.8, -0.1, 0.6):
            brush.rectangle([x - r, y + offset * r, x + r, y + (offset + 0.3) * r], fill=ink)
    elif shape == 6:
        spikes = [r if i % 2 == 0 else r * 0.4 for i in range(10)]
        points = [
            (x + s * math.cos(t), y + s * math.sin(t)) for s, t in zip(spikes, turns, strict=True)
        ]
        brush.polygon(points, fill=ink)
    elif shape == 7:
        brush.polygon([(x, y - r), (x + r, y), (x, y + r), (x - r, y)], fill=ink)
    elif shape == 8:
        brush.polygon([(x + r, y), (x, y - r), (x, y + r)], fill=ink)
        brush.rectangle([x - r, y - r / 4, x, y + r / 4], fill=ink)
    else:
        for dx in (-0.6, 0.6):
            for dy in (-0.6, 0.6):
                box = [
                    x + dx * r - r / 3,
                    y + dy * r - r / 3,
                    x + dx * r + r / 3,
                    y + dy * r + r / 3,
                ]
                brush.ellipse(box, fill=ink)


def _write_tags(folder: Path, image: str, names: list[str], given: np.ndarray) -> None:
    file = folder / f"{image}.txt"
    write_tags(file, [names[tag] for tag in np.flatnonzero(given)], SidecarStyle())
