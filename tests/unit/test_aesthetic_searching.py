"""Mode meta on rated features: what is searched on, and where training starts."""

from types import SimpleNamespace

import numpy as np
import pytest

from src.aesthetic.heads import fit_head
from src.aesthetic.heads.mlp import MlpHead
from src.aesthetic.mlp.fitting import MlpSettings
from src.aesthetic.mlp.training_options import TrainingOptions
from src.aesthetic.predictor import Predictor
from src.aesthetic.search.run import Plan, described, search_settings
from src.errors import ModelError, SettingsError

MLP = MlpSettings(TrainingOptions(), hidden=(8,), dropouts=(0.2, 0.1), device="cpu")


def rated_features(n=80, d=6, spoilt=False):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(n, d)) + 1
    scores = x @ np.arange(d) + rng.normal(0, 0.1, n)
    test = np.arange(n) % 4 == 0
    if spoilt:
        x[test], scores[test] = 1e6, -1e6
    inside = scores[~test]
    return SimpleNamespace(
        holder=SimpleNamespace(scores=scores, weights=np.ones(n)),
        features=x, blocks=(d,), test=test, train=~test, groups=np.arange(n), binary=False,
        scaled_scores=lambda: (scores - inside.mean()) / inside.std(),
    )  # fmt: skip


def plan(tmp_path, **values):
    return Plan({"epochs": (5, 20), "lr": (1e-2,), "batch": (8,), **values}, file=tmp_path / "m")


def test_the_test_images_have_no_say(tmp_path):
    first = search_settings(rated_features(), MLP, plan(tmp_path / "a"), None)
    second = search_settings(rated_features(spoilt=True), MLP, plan(tmp_path / "b"), None)
    assert first.result.rows == second.result.rows
    assert first.mlp.options.num_train_epochs == first.result.setting["epochs"]
    assert first.head == "mlp"
    assert "Of 2 combinations" in first.sentence


def test_what_wins_is_what_is_trained(tmp_path):
    found = search_settings(
        rated_features(), MLP,
        plan(tmp_path, loss=("mse",), relu=(True,), hidden=((4, 4),), dropouts=((),),
             weight_decay=(0.5,)),
    )  # fmt: skip
    assert (found.mlp.loss, found.mlp.relu, found.mlp.hidden) == ("mse", True, (4, 4))
    assert found.mlp.dropouts == () and found.mlp.options.weight_decay == 0.5
    assert found.mlp.device == MLP.device


def predictor(head, data, unit_length=False):
    return Predictor.from_training(head, data.features, extractors=[], unit_length=unit_length)


def test_the_search_starts_where_training_will(tmp_path):
    data = rated_features()
    rng = np.random.default_rng(1)
    start = MlpHead((rng.normal(size=(3, 6)), rng.normal(size=(1, 3))), (np.zeros(3), np.zeros(1)))
    plain = search_settings(data, MLP, plan(tmp_path / "a")).result.rows
    for unit_length in (False, True):
        prior = predictor(start, data, unit_length)
        rows = search_settings(data, MLP, plan(tmp_path / f"{unit_length}"), prior).result.rows
        assert rows != plain
    with pytest.raises(SettingsError, match="aesthetic_model_relu cannot be searched"):
        search_settings(data, MLP, plan(tmp_path, relu=(True, False)), prior)
    ridge = predictor(fit_head("ridge", data.features, data.holder.scores), data)
    with pytest.raises(ModelError, match="cannot go on from a 'linear' head"):
        search_settings(data, MLP, plan(tmp_path / "c"), ridge)


def test_combinations_in_words():
    setting = {
        "epochs": 5,
        "lr": 1e-4,
        "batch": None,
        "dropouts": (),
        "hidden": (8, 4),
        "relu": True,
    }
    assert described(setting) == "epochs 5, lr 0.0001, dropouts none, hidden 8 4, relu True"
