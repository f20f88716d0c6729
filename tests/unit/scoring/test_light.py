"""Light copies of models: the same scores without torch."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from src.aesthetic.heads import LinearHead
from src.aesthetic.predictor import Predictor
from src.errors import ModelError
from src.features import open_extractors
from src.scoring.light import export_light, is_light, open_light
from src.scoring.scored import open_model, score_folder
from tests import tiny_models
from tests.conftest import make_images

ROOT = Path(__file__).parents[3]
pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A model on ConvNeXt and built-in features, its light copy, and images."""
    root = tmp_path_factory.mktemp("light")
    make_images(root / "images", 5)
    names = f"{tiny_models.convnext(root / 'convnext')}+builtin"
    extractors = open_extractors(names, device="cpu")
    weight = np.random.default_rng(0).normal(size=24 + 510) / 100
    predictor = Predictor(
        LinearHead(weight, 0.0), extractors=tuple(e.describe() for e in extractors)
    )
    predictor.save(root / "model")
    assert export_light(predictor, extractors, root / "copy") < 1e-3
    return root


def test_the_scores_are_the_same(place):
    assert is_light(place / "copy") and not is_light(place / "model")
    scores = []
    for name in ("model", "copy"):
        predictor, extractors = open_model(str(place / name), "cpu")
        scores.append(score_folder(place / "images", predictor, extractors).scores)
    assert np.ptp(scores[0]) > 0.01
    assert scores[1] == pytest.approx(scores[0], abs=1e-3)


@pytest.mark.parametrize("model", ["clip", "vit", "siglip"])
def test_other_kinds_of_network_and_hidden_states(tmp_path, model):
    names = str(getattr(tiny_models, model)(tmp_path / model))
    (extractor,) = open_extractors(names, device="cpu", hidden_states=(-2,))
    extractor.load()
    pixels = [extractor.prepare(Image.new("RGB", (40, 50), c)) for c in ("red", "blue", "grey")]
    expected = extractor.extract(pixels)
    predictor = Predictor(
        LinearHead(np.ones(expected.shape[1]), 0.0), extractors=(extractor.describe(),)
    )
    export_light(predictor, [extractor], tmp_path / "copy")
    (copy,) = open_light(tmp_path / "copy", predictor)
    copy.load()
    assert copy.extract(pixels) == pytest.approx(expected, abs=1e-3 * float(expected.std()))


def test_a_published_head_that_names_its_extractor_only(tmp_path):
    name = str(tiny_models.clip(tmp_path / "clip"))
    make_images(tmp_path / "images", 3)
    head = LinearHead(np.random.default_rng(0).normal(size=24), 0.0)
    predictor = Predictor(head, extractors=({"name": name},), unit_length=True)
    export_light(predictor, open_extractors(name, device="cpu"), tmp_path / "copy")
    scored = score_folder(tmp_path / "images", *open_model(str(tmp_path / "copy")))
    whole = score_folder(tmp_path / "images", predictor, open_extractors(name, device="cpu"))
    assert scored.scores == pytest.approx(whole.scores, abs=1e-3)


def test_a_light_copy_needs_none_of_these(place):
    missing = ("torch", "transformers", "sklearn", "scipy", "pandas", "matplotlib", "datasets",
               "huggingface_hub", "onnx")  # fmt: skip
    program = (
        f"import sys, runpy\nsys.modules.update(dict.fromkeys({missing!r}))\n"
        f"sys.argv = ['score_images.py', '--load_model={place / 'copy'}',\n"
        f"    '--top_level_image_directory={place / 'images'}',\n"
        f"    '--feature_store={place / 'store'}',\n"
        f"    '--output={place / 'out'}', '--action=touch']\n"
        "runpy.run_path('score_images.py', run_name='__main__')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "5 modification times" in done.stdout
    assert (place / "out" / "gallery.html").is_file()


def test_damaged_copies_are_one_line(place, tmp_path):
    predictor = Predictor.load(place / "copy")
    with pytest.raises(ModelError, match="damaged"):
        open_light(tmp_path, predictor)
    content = json.loads((place / "copy" / "light.json").read_text("utf-8"))
    content["extractors"][0]["identity"] = "another"
    (tmp_path / "light.json").write_text(json.dumps(content), "utf-8")
    with pytest.raises(ModelError, match="different models"):
        open_light(tmp_path, predictor)
    (tmp_path / "light.json").write_text(
        (place / "copy" / "light.json").read_text("utf-8"), "utf-8"
    )
    (tmp_path / "extractor-0.onnx").write_bytes(b"nonsense")
    extractor = open_light(tmp_path, predictor)[0]
    with pytest.raises(ModelError, match=r"extractor-0\.onnx"):
        extractor.load()
