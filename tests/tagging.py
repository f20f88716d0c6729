"""Tagged images, and what the tests of tagging do with them."""

import shutil

import numpy as np
from PIL import Image

from tests.scripts import run_script

COLOURS = {"red": (220, 30, 30), "green": (30, 200, 40), "blue": (40, 60, 230)}


def run(script, *words, check=True):
    return run_script(script, *words, check=check)


def train(images, saved, *words):
    places = f"--top_level_image_directory={images}", f"--save_model={saved}"
    words = "--label_source=tags", "--device=cpu", *places, *words
    return run("custom_classifier_training", *words)


def make_tagged(folder, n=90, seed=0):
    """Stripes of one to three colours; the tag file names the colours."""
    rng = np.random.default_rng(seed)
    folder.mkdir(parents=True)
    for index in range(n):
        names = [name for name in COLOURS if rng.random() < 0.5] or ["red"]
        pixels = rng.integers(0, 60, (40, 48, 3))
        for place, name in enumerate(names):
            top = 13 * place
            pixels[top : top + 12] += np.array(COLOURS[name]) - 30 + rng.integers(-10, 10, 3)
        path = folder / f"{index:03d}.png"
        Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)).save(path)
        path.with_name(path.name + ".txt").write_text("\n".join(names), encoding="utf-8")
    for index in range(3):  # the same again: must stay on one side of the split
        shutil.copy(folder / f"{index:03d}.png", folder / f"copy{index}.png")
        shutil.copy(folder / f"{index:03d}.png.txt", folder / f"copy{index}.png.txt")
    return folder


def tagged(folder):
    """The tag files of a folder, with their tags."""
    return {path.name: path.read_text("utf-8").split() for path in sorted(folder.glob("*.txt"))}
