"""What is written for ComfyUI, read the way its nodes read it."""

import json

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from src.aesthetic.formats.comfyui import export
from src.aesthetic.heads import EnsembleHead, LinearHead, MlpHead, fit_head
from src.aesthetic.predictor import Predictor
from src.errors import ModelError


def comfyui_scores(path, features):
    """Build the nodes' module from the metadata, load strictly, and run it."""
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        metadata = json.loads(file.read(length))["__metadata__"]
    inside = metadata["layers"][1:-1]
    hidden = [int(size) for size in inside.split(",")] if inside else []
    size, layers = int(metadata["number_of_features"]), []
    for outputs in hidden:
        layers += [torch.nn.Dropout(0.0), torch.nn.Linear(size, outputs), torch.nn.ReLU()]
        size = outputs
    final_bias = metadata["final_layer_bias"] == "True"
    outputs = int(metadata["output_channels"])
    layers += [torch.nn.Dropout(0.0), torch.nn.Linear(size, outputs, bias=final_bias)]
    module = torch.nn.Module()
    module.main_process = torch.nn.Sequential(*layers)
    module.load_state_dict(load_file(path), strict=True)
    with torch.no_grad():
        return module.main_process(torch.tensor(features, dtype=torch.float32)).numpy()[:, 0]


def images(n=80, d=12, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, d)) + 2
    return x, np.sin(x[:, 0]) + x[:, 1]


def mlp(relu):
    rng = np.random.default_rng(1)
    sizes = (12, 7, 5, 1)
    shapes = [(7, 12), (5, 7), (1, 5)]
    return MlpHead(
        tuple(rng.normal(size=shape) for shape in shapes),
        tuple(rng.normal(size=size) for size in sizes[1:]),
        relu,
    )


def head_cases():
    x, y = images()
    linear = fit_head("ridge", x, y)
    return {
        "mlp with ReLU": (mlp(True), [7, 5]),
        "mlp without": (mlp(False), []),
        "ridge": (linear, []),
        "ensemble": (EnsembleHead((linear, mlp(False))), []),
        "corrected prior": (fit_head("ridge", x, y, prior=mlp(False)), []),
    }


@pytest.mark.parametrize("case", head_cases().values(), ids=head_cases().keys())
def test_the_nodes_give_the_same_scores(case, tmp_path):
    head, hidden = case
    x, _ = images()
    predictor = Predictor.from_training(head, x, extractors=[{"name": "CLIP"}])
    written = export(
        predictor, tmp_path / "comfy.safetensors", clip_models=["openai/clip"], features=x
    )
    assert written.agreement == 1
    new = images(seed=5)[0]
    assert comfyui_scores(written.path, new) == pytest.approx(predictor.predict(new), abs=1e-4)
    again = Predictor.load(written.path)  # and we read it ourselves
    assert again.predict(new) == pytest.approx(predictor.predict(new), abs=1e-4)
    with written.path.open("rb") as file:
        metadata = json.loads(file.read(int.from_bytes(file.read(8), "little")))["__metadata__"]
    assert metadata["layers"] == str(hidden)


@pytest.mark.parametrize("method", ["kernel", "gp"])
def test_other_heads_are_imitated_and_it_is_said_how_well(method, tmp_path):
    x, y = images(n=300)
    predictor = Predictor.from_training(fit_head(method, x, y), x, extractors=[])
    written = export(predictor, tmp_path / "c.safetensors", clip_models=["a", "b"], features=x)
    new = images(seed=5)[0]
    theirs, ours = comfyui_scores(written.path, new), predictor.predict(new)
    assert 0.8 < written.agreement < 1
    assert np.corrcoef(theirs, ours)[0, 1] > 0.85


def test_a_model_on_unit_length_features_is_imitated_on_features_as_they_come(tmp_path):
    x, _ = images()
    predictor = Predictor.from_training(mlp(False), x, extractors=[], unit_length=True)
    written = export(predictor, tmp_path / "c.safetensors", clip_models=["a"], features=x)
    assert written.agreement > 0.9
    assert np.corrcoef(comfyui_scores(written.path, x), predictor.predict(x))[0, 1] > 0.95


def test_a_constant_model_is_written_too(tmp_path):
    x, _ = images()
    constant = Predictor(LinearHead(np.zeros(12), 0.5), unit_length=True)
    written = export(constant, tmp_path / "c.safetensors", clip_models=["a"], features=x)
    assert comfyui_scores(written.path, x) == pytest.approx(np.full(80, 0.5))


def test_models_on_other_features_cannot_be_written(tmp_path):
    x, _ = images()
    predictor = Predictor.from_training(mlp(True), x, extractors=[])
    with pytest.raises(ModelError, match="need CLIP features"):
        export(predictor, tmp_path / "c.safetensors", clip_models=[], features=x)
    assert list(tmp_path.iterdir()) == []
