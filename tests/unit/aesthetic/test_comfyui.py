"""What is written for ComfyUI, read the way its nodes read it."""

import json
from itertools import pairwise

import numpy as np
import pytest

from src.aesthetic.formats.comfyui import export
from src.aesthetic.heads import EnsembleHead, LinearHead, MlpHead, ResidualHead, fit_head
from src.aesthetic.predictor import Predictor
from src.evaluation.rank_metrics import pairwise_accuracy
from tests.comfyui_nodes import comfyui_scores


def images(n=80, d=12, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, d)) + 2
    return x, np.sin(x[:, 0]) + x[:, 1]


def mlp(relu, hidden=(7, 5), seed=1):
    rng = np.random.default_rng(seed)
    sizes = (12, *hidden, 1)
    return MlpHead(
        tuple(rng.normal(size=(o, i)) / i for i, o in pairwise(sizes)),
        tuple(rng.normal(size=o) for o in sizes[1:]),
        relu,
    )


def head_cases():
    x, y = images()
    linear = fit_head("ridge", x, y)
    equal = EnsembleHead(tuple(mlp(True, seed=seed) for seed in range(10)))
    mixed = EnsembleHead((linear, mlp(True, (6,)), mlp(True), mlp(False)))
    return {
        "mlp with ReLU": (mlp(True), [7, 5]),
        "mlp without": (mlp(False), []),
        "ridge": (linear, []),
        "ensemble of linear heads": (EnsembleHead((linear, mlp(False))), []),
        "ten networks": (equal, [70, 50]),
        "networks of different depth": (mixed, [2 + 6 + 7 + 2, 2 + 2 + 5 + 2]),
        "corrected prior": (fit_head("ridge", x, y, prior=mlp(False)), []),
        "networks on a prior": (ResidualHead(linear, 0.5, equal), [72, 52]),
    }


@pytest.mark.parametrize("case", head_cases().values(), ids=head_cases().keys())
def test_the_nodes_give_the_same_scores(case, tmp_path):
    head, hidden = case
    x, _ = images()
    predictor = Predictor.from_training(head, x, extractors=[{"name": "CLIP"}])
    path, stock = tmp_path / "comfy.safetensors", tmp_path / "comfy_stock.safetensors"
    assert export(predictor, path, clip_models=["openai/clip"], features=x, held_out=x) == 1
    new = images(seed=5)[0]
    expected = pytest.approx(predictor.predict(new), abs=1e-5)
    assert comfyui_scores(path, new) == expected
    assert comfyui_scores(stock, new, "layers") == expected
    assert Predictor.load(path).predict(new) == expected  # and we read both ourselves
    assert Predictor.load(stock).predict(new) == expected
    with path.open("rb") as file:
        metadata = json.loads(file.read(int.from_bytes(file.read(8), "little")))["__metadata__"]
    assert metadata["layers"] == str(hidden)


def test_other_heads_are_imitated_and_compared_on_images_not_trained_on(tmp_path):
    rng = np.random.default_rng(0)
    x, new = rng.normal(size=(40, 30)), rng.normal(size=(300, 30))
    predictor = Predictor.from_training(fit_head("kernel", x, x[:, 0] ** 2), x, extractors=[])
    path = tmp_path / "c.safetensors"
    agreement = export(predictor, path, clip_models=["a", "b"], features=x, held_out=new)
    theirs = comfyui_scores(path, new)
    assert agreement == pytest.approx(pairwise_accuracy(predictor.predict(new), theirs), abs=1e-3)
    alone = export(predictor, path, clip_models=["a"], features=x, held_out=x[:0])
    fitted_to = pairwise_accuracy(predictor.predict(x), comfyui_scores(path, x))
    assert alone is not None and 0.6 < alone < fitted_to - 0.05  # left-out training images
    assert export(predictor, path, clip_models=["a"], features=x[:9], held_out=x[:0]) is None


def test_a_model_on_unit_length_features_is_imitated_on_features_as_they_come(tmp_path):
    x, new = images()[0], images(seed=3)[0]
    predictor = Predictor.from_training(mlp(False), x, extractors=[], unit_length=True)
    path = tmp_path / "c.safetensors"
    assert 0.9 < export(predictor, path, clip_models=["a"], features=x, held_out=new) < 1
    assert np.corrcoef(comfyui_scores(path, new), predictor.predict(new))[0, 1] > 0.95


def test_a_constant_model_is_written_too(tmp_path):
    x, _ = images()
    constant = Predictor(LinearHead(np.zeros(12), 0.5), unit_length=True)
    export(constant, tmp_path / "c.safetensors", clip_models=["a"], features=x, held_out=x)
    assert comfyui_scores(tmp_path / "c.safetensors", x) == pytest.approx(np.full(80, 0.5))
