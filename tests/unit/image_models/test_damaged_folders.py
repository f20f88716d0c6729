"""Damaged model folders and tag files: used as they are or refused in one line, never changed."""

import json
import random
import shutil
import sqlite3

import numpy as np
import pytest
from PIL import Image

from src.dataset.trained_on import TrainedOn
from src.errors import UserError
from src.image_models.model import MULTI_LABEL, load_classifier
from src.image_models.run import _made_with
from src.image_models.save import save_classifier
from src.images.processors import load_preprocessing
from src.settings.tags import TagFiles
from src.tagging.selected_tags import SelectedTag, write_selected_tags
from src.tagging.sources import read_database, read_sidecars, read_table
from src.tagging.taggers import open_tagger
from src.tagging.thresholds import Thresholds, save_thresholds
from tests import tiny_models
from tests.conftest import make_image
from tests.training import training

NAMES = ["cat", "dog", "emu"]
ABSURD = [
    *(1e308, -1e308, float("nan"), float("inf"), 10**400, 10**12, -1, 0, 0.5, 3, None, True),
    *("", "x", "\ud800", "a\0b", "9" * 5000, [], {}, [[]], ["x"], {"x": 1}, [1e308], {"0": None}),
]


def damaged_bytes(content, rng):
    kind, at = rng.randrange(4), rng.randrange(len(content))
    if kind == 0:
        return content[:at]
    if kind == 1:
        return b""
    if kind == 2:
        return content[:at] + rng.randbytes(rng.randrange(1, 9)) + content[at + 1 :]
    odd = [b"\xff\xfe", b"\0", b"[" * 20_000, b'"', b"\r", "é".encode("latin-1"), b",,", b"1e999"]
    return content[:at] + rng.choice(odd) + content[at:]


def damaged_json(content, rng):
    """One value, somewhere, is another."""
    whole = json.loads(content)
    place = whole
    while True:
        key = rng.choice([*place]) if isinstance(place, dict) else rng.randrange(len(place))
        if not (isinstance(place[key], (dict, list)) and place[key] and rng.random() < 0.7):
            break
        place = place[key]
    place[key] = rng.choice(ABSURD)
    return json.dumps(whole).encode()


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A tagger, which is a classifier as well."""
    folder = tmp_path_factory.mktemp("models")
    base = tiny_models.convnext(folder / "base", 3)
    options = {"name": "tiny", "problem_type": MULTI_LABEL}
    model, head = load_classifier(base, NAMES, load_preprocessing(base), **options)
    save_classifier(folder / "model", model, NAMES, base, head, features="of the base")
    tags = [SelectedTag(index, name, index % 2, 5) for index, name in enumerate(NAMES)]
    write_selected_tags(folder / "model" / "selected_tags.csv", tags)
    save_thresholds(folder / "model", Thresholds(0.5, {0: 0.25}, {"cat": 0.75}, 20, "validation"))
    TrainedOn.of([bytes(32)], np.zeros((1, 32), np.uint8)).save(folder / "model")
    metrics = {"provenance": {"model": "x", "steps": 3}, "images": "y"}
    (folder / "model" / "metrics.json").write_text(json.dumps(metrics))
    return folder / "model"


def use(folder):
    """All that tagging and evaluating read; where nothing is refused, the result can be used."""
    tagger = open_tagger(folder, backend="torch", device="cpu")
    (found,) = tagger.probabilities([tagger.prepare(make_image(1, (40, 30)))])
    given = found >= tagger.thresholds.of(tagger.tags, "tag")
    assert np.isfinite(found).all() and found.shape == given.shape == (3,)
    TrainedOn.load(folder)
    json.dumps(_made_with(folder, training()), ensure_ascii=False).encode()


@pytest.mark.parametrize("seed", range(8))
def test_every_damage_to_a_model_is_one_line(whole, tmp_path, seed):
    rng, refused = random.Random(seed), 0
    use(whole)
    for number in range(30):
        folder = shutil.copytree(whole, tmp_path / str(number))
        file = rng.choice(sorted(folder.iterdir()))
        as_json = file.suffix == ".json" and rng.random() < 0.7
        damage = damaged_json if as_json else damaged_bytes
        file.write_bytes(damage(file.read_bytes(), rng))
        before = {path.name: path.read_bytes() for path in folder.iterdir()}
        try:
            use(folder)
        except UserError as error:
            refused += 1
            assert "\n" not in str(error) and len(str(error)) < 500
        assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    assert refused > 5


def test_pickled_weights_are_never_read(whole, tmp_path):
    folder = shutil.copytree(whole, tmp_path / "model")
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(UserError) as caught:
        use(folder)
    assert "\n" not in str(caught.value)


def test_every_damage_to_tags_is_one_line(tmp_path):
    rng = random.Random(0)
    Image.new("RGB", (3, 2)).save(tmp_path / "1.png")
    with sqlite3.connect(tmp_path / "whole.db") as base:
        base.execute("CREATE TABLE tags (tag_id INTEGER PRIMARY KEY, name TEXT, category INTEGER)")
        base.execute("CREATE TABLE imageTags (image_id INTEGER, tag_id INTEGER)")
        base.execute("INSERT INTO tags VALUES (1, 'cat', 0), (2, 'dog', 'x')")
        base.execute("INSERT INTO imageTags VALUES (1, 1), (1, 2), ('y', NULL)")
    base.close()
    sources = {
        "1.png.txt": (
            b"cat\nd\xc3\xb6g, emu\n",
            lambda f: read_sidecars(tmp_path, ["1.png"], STYLE),
        ),
        "tags.csv": (b'path,tags,split\n1.png,"a, b",train\n', lambda f: read_table(f, ["1.png"])),
        "tags.db": ((tmp_path / "whole.db").read_bytes(), lambda f: read_database(f, ["1.png"])),
    }
    for number in range(300):
        name, (content, read) = rng.choice([*sources.items()])
        (tmp_path / name).write_bytes(damaged_bytes(content, rng))
        try:
            for tags in read(tmp_path / name).tags.values():
                assert "\n" not in "".join(tags), number
                "".join(tags).encode()
        except UserError as error:
            assert "\n" not in str(error)


STYLE = TagFiles()
