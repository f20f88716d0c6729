"""Heads that others published: every layout they come in, and fetching them safely."""

import hashlib
import urllib.error
from functools import partial
from itertools import pairwise

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from src.aesthetic.formats import pretrained_head
from src.aesthetic.formats.pretrained_head import (
    CLIP,
    PUBLISHED_HEAD,
    published_head,
)
from src.aesthetic.heads import LinearHead, MlpHead
from src.aesthetic.predictor import Predictor
from src.errors import ModelError


def network(relu):
    """A small network with the layer order of the published one."""
    torch.manual_seed(0)
    sizes, layers = (8, 6, 5, 4, 3, 1), []
    for number, (inputs, outputs) in enumerate(pairwise(sizes)):
        layers.append(torch.nn.Linear(inputs, outputs))
        if number < 4 and relu:
            layers.append(torch.nn.ReLU())
        if number < 3:
            layers.append(torch.nn.Dropout(0.1))
    return torch.nn.ModuleDict({"layers": torch.nn.Sequential(*layers)}).eval()


@pytest.mark.parametrize("relu", [False, True])
@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
def test_the_seeds_layout(tmp_path, relu, suffix):
    model, path = network(relu), tmp_path / f"head{suffix}"
    if suffix == ".pth":
        torch.save(model.state_dict(), path)
    else:
        save_file(model.state_dict(), path)
    loaded = Predictor.load(path)
    x = np.random.default_rng(0).normal(size=(9, 8)).astype(np.float32)
    unit = torch.nn.functional.normalize(torch.tensor(x))
    expected = model["layers"](unit).detach().numpy()[:, 0]
    assert loaded.predict(x) == pytest.approx(expected, abs=1e-5)
    assert isinstance(loaded.head, MlpHead)
    assert loaded.head.relu == relu
    assert loaded.extractors == ({"name": CLIP},)


def test_a_single_layer(tmp_path):
    torch.save({"weight": torch.ones(1, 4), "bias": torch.tensor([2.0])}, tmp_path / "linear.pth")
    loaded = Predictor.load(tmp_path / "linear.pth")
    assert isinstance(loaded.head, LinearHead)
    assert loaded.predict([[3.0, 0, 4.0, 0]]) == pytest.approx([0.6 + 0.8 + 2])


def test_comfyui_layout_takes_features_as_they_come(tmp_path):
    save_file(
        {
            "main_process.1.weight": torch.tensor([[1.0, 0.0], [0.0, 1.0]]),
            "main_process.1.bias": torch.zeros(2),
            "main_process.4.weight": torch.tensor([[1.0, 2.0]]),
            "main_process.4.bias": torch.ones(1),
        },
        tmp_path / "comfy.safetensors",
        metadata={"feature_extractor_model": "a/b___c/d", "layers": "[2]"},
    )
    loaded = Predictor.load(tmp_path / "comfy.safetensors")
    assert loaded.predict([[3.0, -1.0]]) == pytest.approx([3.0 + 0.0 + 1.0])
    assert loaded.extractors == ({"name": "a/b"}, {"name": "c/d"})


@pytest.mark.parametrize(
    ("metadata", "unit_length", "score"),
    [
        ({}, True, 0.6 + 0.8),
        ({"mean_predicted_score": "0.4", "stdev_predicted_score": "0.5"}, True, (1.4 - 0.4) / 0.5),
        ({"feature_extractor_model": "a/b", "hidden_states": "[]"}, False, 3.0 + 4.0),
    ],
    ids=["before February 2024", "scaled", "since"],
)
def test_metadata_say_how_features_and_scores_are_scaled(tmp_path, metadata, unit_length, score):
    save_file(
        {"layers.1.weight": torch.ones(1, 2), "layers.1.bias": torch.zeros(1)},
        tmp_path / "old.safetensors",
        metadata=metadata,
    )
    loaded = Predictor.load(tmp_path / "old.safetensors")
    assert loaded.unit_length == unit_length
    assert loaded.predict([[3.0, 4.0]]) == pytest.approx([score])


def test_one_hidden_layer_with_relu_is_known_by_its_metadata(tmp_path):
    save_file(
        {
            "layers.0.weight": torch.tensor([[-1.0, 0.0]]),
            "layers.0.bias": torch.zeros(1),
            "layers.2.weight": torch.ones(1, 1),
            "layers.2.bias": torch.zeros(1),
        },
        tmp_path / "old.safetensors",
        metadata={"relu": "True", "layers": "[1]"},
    )
    assert Predictor.load(tmp_path / "old.safetensors").predict([[1.0, 0.0]]) == [0.0]


@pytest.mark.parametrize(
    ("metadata", "said"),
    [
        ({"hidden_states": "[]", "weight_n_output_layers": "0"}, ""),
        ({"hidden_states": "[0]"}, ""),  # the output
        ({"hidden_states_used": "0", "hidden_states_mode": "join"}, ""),
        ({"hidden_states": "[0, 1]"}, "hidden_states: 0, 1"),
        ({"hidden_states": "1"}, "hidden_states: 1\\)"),
        ({"hidden_states_used": "0_2"}, "hidden_states_used: 0_2"),
        ({"weight_n_output_layers": "3"}, "output_layers: 3"),
    ],
)
def test_hidden_states_are_obeyed_or_refused_not_ignored(tmp_path, metadata, said):
    """As in February 2024, when the last layer had no bias unless it was asked for."""
    save_file(
        {"main_process.1.weight": torch.ones(1, 2)},
        tmp_path / "x.safetensors",
        metadata={"feature_extractor_model": "a/b", "final_layer_bias": "False"} | metadata,
    )
    if not said:
        assert Predictor.load(tmp_path / "x.safetensors").predict([[3.0, 4.0]]) == [7.0]
        return
    with pytest.raises(ModelError, match=said):
        Predictor.load(tmp_path / "x.safetensors")


@pytest.mark.parametrize(
    "tensors",
    [
        {},
        {"visual.proj": torch.ones(2, 2)},
        {"layers.0.weight": torch.ones(1, 2)},
        {"layers.0.weight": torch.ones(2, 2), "layers.0.bias": torch.ones(2)},
        {
            "layers.0.weight": torch.ones(3, 2),
            "layers.0.bias": torch.ones(3),
            "layers.2.weight": torch.ones(1, 4),
            "layers.2.bias": torch.ones(1),
        },
        {"layers.0.weight": torch.full((1, 2), torch.nan), "layers.0.bias": torch.ones(1)},
    ],
    ids=["empty", "another model", "no bias", "two scores", "misfit", "not finite"],
)
def test_foreign_files_are_refused(tmp_path, tensors):
    save_file(tensors, tmp_path / "x.safetensors")
    with pytest.raises(ModelError) as caught:
        Predictor.load(tmp_path / "x.safetensors")
    assert "\n" not in str(caught.value)


# --- fetching -----------------------------------------------------------------------------------


CONTENT = b"weights"
FILES = {
    "a.safetensors": ("https://one.example/a", hashlib.sha256(CONTENT).hexdigest()),
    "b.pth": ("https://two.example/b", hashlib.sha256(b"other").hexdigest()),
}


def offline(url):
    raise urllib.error.URLError("no route to host")


@pytest.fixture
def web(monkeypatch):
    """Small files in place of the published ones; the function that stands in for the network."""
    monkeypatch.setattr(pretrained_head, "PUBLISHED_HEAD", FILES)
    return partial(monkeypatch.setattr, pretrained_head, "_download")


def test_a_head_that_is_there_is_not_fetched(tmp_path, web):
    web(offline)
    (tmp_path / "b.pth").write_bytes(b"mine")
    assert published_head(tmp_path) == tmp_path / "b.pth"


def test_a_fetched_head_is_checked_and_kept_else_the_next_source_is_tried(tmp_path, web):
    web(lambda url: CONTENT)
    path = published_head(tmp_path / "models")
    assert path.read_bytes() == CONTENT
    assert [p.name for p in path.parent.iterdir()] == ["a.safetensors"]
    answers = {"https://one.example/a": b"<html>", "https://two.example/b": b"other"}
    web(answers.__getitem__)
    path = published_head(tmp_path / "other")
    assert path.name == "b.pth"
    web(lambda url: b"<html>")
    with pytest.raises(ModelError, match="not the expected content"):
        published_head(tmp_path / "none")
    assert not list(tmp_path.glob("none/*"))


def test_without_a_network_one_line_says_what_to_do(tmp_path, web):
    web(offline)
    with pytest.raises(ModelError) as caught:
        published_head(tmp_path)
    message = str(caught.value)
    assert "no route to host" in message
    assert f"put a.safetensors into the folder {tmp_path}" in message
    assert "\n" not in message


# --- the real ones ------------------------------------------------------------------------------


@pytest.mark.real_assets
def test_the_published_files(real_assets):
    heads = real_assets / "heads"
    first = Predictor.load(heads / "sac+logos+ava1-l14-linearMSE.safetensors")
    second = Predictor.load(heads / "sac+logos+ava1-l14-linearMSE.pth")
    assert first.head.hidden == second.head.hidden == (1024, 128, 64, 16)
    assert not first.head.relu
    for name, (_, sha256) in PUBLISHED_HEAD.items():
        assert hashlib.sha256((heads / name).read_bytes()).hexdigest() == sha256
    ratings = np.stack(
        [np.load(heads / f"vit_l_14_rating_embeddings/rating{i}.npy").ravel() for i in range(10)]
    )
    linear = Predictor.load(heads / "sa_0_4_vit_l_14_linear.pth")
    for model in (first, second, linear):
        scores = model.predict(ratings)
        assert (np.diff(scores) > 0).all()  # "rating 0" to "rating 9", in this order
    assert first.predict(ratings) == pytest.approx(second.predict(ratings), abs=1e-6)
