"""Generated images with tag files, and a small model that can see the tags: to try tagging on.

    python run.py examples/tagged_images FOLDER

Each tag is a small tile with a pattern of its own, laid on a quiet background. Tags follow Zipf's
law. A share of them is left out of the tag files although the tile is there, and some images are
there twice, saved anew; what is true is returned.
"""

import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from src.text import counted

TILE = 8  # pixels; tiles lie on a grid of this width
CELLS = 8  # to a side
SIDE = TILE * CELLS
WIDTH = 768  # features of the model


class TagSet(NamedTuple):
    """What is in the generated folder."""

    names: list[str]  # the tags, most frequent first
    shown: dict[str, list[str]]  # image -> tags whose tiles are in it
    dropped: dict[str, list[str]]  # image -> tags that its tag file lacks
    copies: dict[str, str]  # copy -> the image that it is a copy of


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
    """Write images and tag files into a folder, which is made.

    An image has about `per_image` tags, of which the files lack a share, `drop`. So many `copies`
    are there besides, saved as JPEG.
    """
    rng = np.random.default_rng(seed)
    share = 1 / np.arange(1, tags + 1)
    share = np.minimum(share * per_image / share.sum(), 0.6)
    names = [f"tile {tag:03d}" for tag in range(tags)]
    tiles = rng.integers(0, 2, (tags, TILE, TILE, 1)) * rng.integers(-150, 150, (tags, 1, 1, 3))
    tiles = np.clip(tiles + rng.integers(60, 200, (tags, 1, 1, 3)), 0, 255).astype(np.uint8)
    present = rng.random((images, tags)) < share
    dropped = present & (rng.random(present.shape) < drop)
    paths = [f"{index // 1000}/{index:05d}.png" for index in range(images)]
    for part in {path.partition("/")[0] for path in paths}:
        (folder / part).mkdir(parents=True, exist_ok=True)
    seeds = rng.integers(0, 2**32, images)

    def write(index: int) -> None:
        picture = draw(tiles[present[index]], int(seeds[index]))
        picture.save(folder / paths[index])
        _write_tags(folder, paths[index], names, present[index] & ~dropped[index])

    with ThreadPoolExecutor() as pool:
        list(pool.map(write, range(images)))
    twice = rng.choice(images, copies, replace=False)
    originals = {}
    for index in twice.tolist():
        copy = paths[index].replace(".png", "_again.jpg")
        originals[copy] = paths[index]
        Image.open(folder / paths[index]).save(folder / copy, quality=95)
        _write_tags(folder, copy, names, present[index] & ~dropped[index])
    everything = [*zip(paths, range(images), strict=True), *zip(originals, twice, strict=True)]
    return TagSet(
        names=names,
        shown={path: [names[t] for t in np.flatnonzero(present[row])] for path, row in everything},
        dropped={
            path: [names[t] for t in np.flatnonzero(dropped[row])] for path, row in everything
        },
        copies=originals,
    )


def draw(tiles: np.ndarray, seed: int) -> Image.Image:
    """Tiles in cells of their own on a smooth background."""
    rng = np.random.default_rng(seed)
    corners = Image.fromarray(rng.integers(70, 190, (2, 2, 3), dtype=np.uint8))
    pixels = np.array(corners.resize((SIDE, SIDE), Image.Resampling.BILINEAR))
    for tile, place in zip(tiles, rng.permutation(CELLS**2).tolist(), strict=False):
        top, left = (place // CELLS) * TILE, (place % CELLS) * TILE
        pixels[top : top + TILE, left : left + TILE] = tile
    return Image.fromarray(pixels)


def tile_backbone(folder: Path) -> Path:
    """A ConvNeXt of one stage with random weights that looks at the tiles one by one."""
    import torch
    import transformers
    from transformers.models.convnext.image_processing_pil_convnext import ConvNextImageProcessorPil

    torch.manual_seed(0)
    config = transformers.ConvNextConfig(
        num_stages=1, depths=[1], hidden_sizes=[WIDTH], patch_size=TILE, image_size=SIDE
    )
    model = transformers.ConvNextForImageClassification(config)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "embeddings" in name and name.endswith("weight") and parameter.ndim == 4:
                parameter.normal_(std=0.3)
    model.save_pretrained(folder)
    ConvNextImageProcessorPil(size={"shortest_edge": SIDE}, crop_pct=1.0).save_pretrained(folder)
    return folder


def _write_tags(folder: Path, image: str, names: list[str], given: np.ndarray) -> None:
    text = "".join(f"{names[tag]}\n" for tag in np.flatnonzero(given))
    (folder / f"{image}.txt").write_text(text, encoding="utf-8")


def main(folder: Path) -> None:
    """Make both and say what to do with them."""
    made = make_tag_set(folder / "images", images=900, tags=40, copies=30)
    backbone = tile_backbone(folder / "backbone")
    print(f"{counted(len(made.shown), 'image')} with tag files: {folder / 'images'}")
    print(
        "Next: python run.py custom_classifier_training --label_source=tags "
        f"--top_level_image_directory={folder / 'images'} --base_model={backbone} "
        f"--save_model={folder / 'model'}"
    )


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit("Give the folder to make them in: examples/tagged_images FOLDER")
    main(Path(sys.argv[1]))
