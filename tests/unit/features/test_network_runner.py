"""A network is run in the fastest way that agrees with 32 bits; what is found out is kept."""

import logging

import numpy as np
import pytest
import torch

from src.errors import ModelError
from src.features import network_runner
from src.features.fastest_way import KnownWays
from src.features.network_runner import NetworkRunner
from src.image_models.backbone import HeadInputs
from src.images.preprocess import Preprocessing
from tests import tiny_models

FOUR = Preprocessing(4, (4, 4), 3, (1 / 255,) * 3, (0.0,) * 3)
MANY = 10**9
IMAGES = list(np.random.default_rng(0).integers(0, 256, (10, 4, 4, 3), np.uint8))


@pytest.fixture(autouse=True)
def computer(monkeypatch, tmp_path):
    """One with an empty cache, that computes in 16 bits twice as fast, and by ONNX at `speed`."""
    monkeypatch.setattr("src.features.fastest_way.cache_root", lambda: tmp_path)
    monkeypatch.setattr(network_runner, "cpu_has_bfloat16", lambda: True)
    speed = {"float32": 1.0, "bfloat16": 0.5, "onnx": 2.0}

    def seconds(self, pixels):
        self._pass(pixels)
        return speed["onnx" if self._onnx else self.precision]

    monkeypatch.setattr(NetworkRunner, "_seconds", seconds)
    return speed


def runner(precision="auto", offset=0.0, seed=0, choose=MANY):
    torch.manual_seed(seed)
    layer = torch.nn.Linear(3 * 4 * 4, 8)

    def run(model, pixels):
        found = model(pixels.flatten(1))
        return found + torch.tensor(offset).to(torch.bfloat16)

    made = NetworkRunner(run, layer, FOUR, device="cpu", precision=precision)
    made.choose("a network", f"identity {seed} {offset}", choose)
    return made


def exact(**options):
    return runner(choose=1, **options)(IMAGES)  # one image is not worth a probe


def test_the_fastest_way_that_agrees():
    whole, chosen = exact(), runner()
    assert chosen.precision == "bfloat16"
    found = chosen(IMAGES)
    assert not np.array_equal(found, whole)
    assert np.linalg.norm(found - whole) < 0.05 * np.linalg.norm(whole - whole.mean(0))


def test_sixteen_bits_that_do_not_agree_are_not_used():
    """Beside a large constant, what tells images apart is lost in 8 bits of mantissa."""
    whole, chosen = exact(offset=1e4), runner(offset=1e4)
    assert chosen.precision == "float32"
    assert np.array_equal(chosen(IMAGES), whole)


def test_onnx_runtime_where_it_is_fastest(computer, monkeypatch, tmp_path, caplog):
    caplog.set_level(logging.INFO)
    computer["onnx"] = 0.1
    whole = exact()
    assert not list(tmp_path.iterdir())  # nothing was probed for one image
    found = runner()(IMAGES)
    assert found == pytest.approx(whole, abs=1e-5)
    assert "ONNX Runtime" in caplog.text and "10.0 times as fast" in caplog.text
    # The second time nothing is measured or exported.
    monkeypatch.setattr(NetworkRunner, "_probe", None)
    (file,) = tmp_path.glob("networks/*/network.onnx")
    with monkeypatch.context() as patch:
        patch.setattr(NetworkRunner, "_try_onnx", None)
        assert np.array_equal(runner(choose=1)(IMAGES), found)
    for damage in (b"damaged", None):
        file.write_bytes(damage) if damage else file.unlink()
        assert np.array_equal(runner(choose=1)(IMAGES), found)
        assert file.stat().st_size > 100
    for content in ("{", "[]", '{"ways": {"float32": [-1, 1.0]}, "sha256": ""}'):
        (file.parent / "ways.json").write_text(content)
        assert KnownWays.read("identity 0 0.0", "cpu").ways == {}


def test_precision_is_obeyed(computer):
    computer["bfloat16"] = 9.0
    assert runner("bfloat16").precision == "bfloat16"
    computer["bfloat16"] = 0.1
    assert runner("float32", seed=1).precision == "float32"
    half = runner("float16", offset=1e4)
    half.network.model.bias.data[:] = torch.inf
    with pytest.raises(ModelError, match="precision 'float16'"):
        half(IMAGES)


def test_a_model_that_is_saved_keeps_its_weights():
    layer = torch.nn.Linear(48, 8)
    made = NetworkRunner(lambda m, x: m(x.flatten(1)), layer, FOUR, device="cpu")
    made.choose("a network", "saved", MANY)
    assert made.precision == "bfloat16" and layer.weight.dtype == torch.float32


@pytest.mark.parametrize("make", [tiny_models.vit, tiny_models.convnext])
def test_a_classifiers_features_by_onnx_runtime(make, computer, tmp_path):
    computer["onnx"] = 0.1
    folder = make(tmp_path / "model", classes=3)
    whole, chosen = HeadInputs(str(folder), device="cpu"), HeadInputs(str(folder), device="cpu")
    whole.load()
    chosen.load(MANY)
    pixels = list(np.random.default_rng(0).integers(0, 256, (3, 32, 32, 3), np.uint8))
    assert chosen._run._onnx is not None
    assert chosen.extract(pixels) == pytest.approx(whole.extract(pixels), abs=1e-4)
