"""What several files of end-to-end tests start from."""

import csv

import numpy as np
import pytest
from PIL import Image

from tests import tiny_models
from tests.aesthetic_training import run, settings
from tests.conftest import make_images
from tests.tagging import make_tagged, train


@pytest.fixture(scope="session")
def rated_images(tmp_path_factory):
    """80 images whose score is their mean brightness, which any extractor sees."""
    images = tmp_path_factory.mktemp("rated") / "my images"
    rows = []
    for path in [*make_images(images / "a", 50, seed=1), *make_images(images / "b", 30, seed=2)]:
        with Image.open(path) as image:
            brightness = np.asarray(image, float).mean() / 25
        rows.append((path.relative_to(images).as_posix(), f"{brightness:.3f}"))
    with (images / "scores.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("relative_path", "score"), *rows])
    return images


@pytest.fixture(scope="session")
def trained(rated_images, tmp_path_factory):
    """A finished run: (working folder, its result)."""
    cwd = tmp_path_factory.mktemp("work")
    done = run(cwd, *settings(rated_images))
    assert done.returncode == 0, done.stderr
    return cwd, done


@pytest.fixture(scope="session")
def trained_tagger(tmp_path_factory):
    """A folder with images and a model of their tags, and what training said."""
    base = tmp_path_factory.mktemp("tagging")
    images = make_tagged(base / "images")
    backbone = tiny_models.convnext(base / "backbone")
    done = train(
        images,
        base / "model",
        f"--base_model={backbone}",
        "--tag_head_epochs=40",
        "--tag_head_learning_rate=0.05",
        "--threshold_min_support=3",
        "--export_onnx=True",
    )
    return base, done
