"""Published taggers: what their networks are given, and what is refused."""

import csv

import numpy as np
import pytest
from PIL import Image

from src.errors import ModelError
from src.image_models.backbone import HeadInputs
from src.images import find_images
from src.images.preprocess import Preprocessing
from src.settings.use_models import TagImages
from src.tagging.choice import choose
from src.tagging.tag_images import tag_images
from src.tagging.taggers import open_tagger
from tests.wd_tagger import (
    padded,
    plain_probabilities,
    plain_tags,
    write_folder,
)

pytest.importorskip("onnxruntime")
pytest.importorskip("onnx")

SIZES = [(32, 32), (150, 40), (17, 90), (5, 5), (180, 179), (64, 1), (48, 40), (90, 60)]


@pytest.fixture
def images(tmp_path):
    """Smooth pictures of many shapes, some of them half transparent."""
    rng = np.random.default_rng(1)
    folder = tmp_path / "images"
    folder.mkdir()
    for number in range(3 * len(SIZES)):
        width, height = SIZES[number % len(SIZES)]
        channels = 3 + number % 2
        small = Image.fromarray(rng.integers(0, 256, (4, 4, channels), np.uint8))
        image = small.resize((width, height), Image.Resampling.BICUBIC)
        image.save(folder / f"{number:02d}.png")
    return folder


@pytest.mark.parametrize(("layout", "batch"), [("NHWC", "N"), ("NCHW", "N"), ("NHWC", 1)])
def test_the_same_tags_as_a_plain_script(tmp_path, images, layout, batch):
    model = write_folder(tmp_path / "model", layout, batch=batch)
    settings = TagImages(
        top_level_image_directory=str(images),
        dry_run=False,
        probabilities=str(tmp_path / "probabilities.csv"),
    )
    tagger = open_tagger(model)
    tag_images(find_images(images), tagger, choose(tagger, settings), settings)
    with (tmp_path / "probabilities.csv").open(newline="", encoding="utf-8") as stream:
        found = {row.pop("path"): row for row in csv.DictReader(stream)}
    written = {}
    for file in sorted(images.glob("*.png")):
        expected = plain_probabilities(model, file)
        ours = {name: float(value) for name, value in found[file.name].items()}
        assert ours == pytest.approx(expected, abs=2e-4)  # four digits are written
        written[file.name] = set((images / f"{file.name}.txt").read_text("utf-8").split("\n")[:-1])
        assert written[file.name] == plain_tags(expected)
    assert len({frozenset(tags) for tags in written.values()}) > 5  # the test can tell


@pytest.mark.parametrize("size", [(1201, 333), (333, 1201), (65_000, 20)])
def test_a_large_image_is_shrunk_before_it_is_padded(size):
    """A square with a side of 65,000 pixels would take 12 GB."""
    wanted = Preprocessing((64, 64), None, 3, (1.0,) * 3, (0.0,) * 3, wd_tagger=True)
    rng = np.random.default_rng(2)
    small = Image.fromarray(rng.integers(0, 256, (6, 6, 3), np.uint8))
    image = small.resize(size, Image.Resampling.BICUBIC)
    found = wanted.pixels(image)
    assert found.shape == (64, 64, 3)
    if max(size) < 10_000:
        expected = padded(image).resize((64, 64), Image.Resampling.BICUBIC)
        assert np.abs(found[..., ::-1] - np.asarray(expected, float)).mean() < 4


@pytest.mark.parametrize(
    ("change", "part"),
    [
        ({"side": 2048}, "no wd tagger for 13 tags"),
        ({"batch": 4}, "no wd tagger"),
        ({"layout": "NCHW", "side": 2048}, "no wd tagger"),
    ],
)
def test_a_network_of_another_shape_is_refused(tmp_path, change, part):
    write_folder(tmp_path, **change)
    with pytest.raises(ModelError, match=part):
        open_tagger(tmp_path)


def test_a_list_of_other_tags_is_refused(tmp_path):
    write_folder(tmp_path)
    file = tmp_path / "selected_tags.csv"
    file.write_text(file.read_text("utf-8") + "1,one_more,0,1\n", encoding="utf-8")
    with pytest.raises(ModelError, match="14 tags"):
        open_tagger(tmp_path)


def test_training_from_model_onnx_alone_says_what_is_needed(tmp_path):
    with pytest.raises(ModelError, match=r"config\.json and model\.safetensors"):
        HeadInputs(str(write_folder(tmp_path)))
