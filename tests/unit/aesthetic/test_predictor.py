"""Model files: what is saved comes back, and nothing foreign or damaged gets in."""

import json
import pickle
from dataclasses import replace

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

from src.aesthetic.heads import LinearHead, fit_head
from src.aesthetic.predictor import Predictor
from src.errors import ModelError

EXTRACTORS = [{"name": "builtin", "identity": "v1"}, {"name": "ViT-L/14", "identity": "é"}]


def training_images(n=50, d=6, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, d)).astype(np.float32)
    return x, x @ np.arange(d) + 10 + rng.normal(0, 0.5, n)


@pytest.fixture
def predictor():
    x, y = training_images()
    return Predictor.from_training(
        fit_head("kernel", x, y), x, extractors=EXTRACTORS, provenance={"images": 50, "who": "Zoë"}
    )


def test_scores_have_mean_zero_and_deviation_one_over_the_training_images(predictor):
    scores = predictor.predict(training_images()[0])
    assert scores.mean() == pytest.approx(0, abs=1e-9)
    assert scores.std() == pytest.approx(1)


def test_what_is_saved_comes_back(predictor, tmp_path):
    replace(predictor, provenance={"note": "replaced"}).save(tmp_path / "new" / "model")
    path = predictor.save(tmp_path / "new" / "model")
    assert [file.name for file in path.parent.iterdir()] == ["model.safetensors"]
    x = training_images(seed=3)[0]
    for source in (path, path.parent):
        again = Predictor.load(source)
        assert again.predict(x) == pytest.approx(predictor.predict(x), abs=1e-4)
        assert again.predict_std(x) == pytest.approx(predictor.predict_std(x), rel=1e-3)
        assert again.extractors == tuple(EXTRACTORS)
        assert again.provenance == {"images": 50, "who": "Zoë"}
        assert again.percentiles == predictor.percentiles


def test_percentile_is_the_share_of_training_images_below(predictor):
    scores = predictor.predict(training_images()[0])
    assert predictor.percentile([-99, np.median(scores), 99]) == pytest.approx([0, 50, 100])


def test_unit_length_makes_the_size_of_a_vector_irrelevant():
    x, y = training_images()
    unit = x / np.linalg.norm(x, axis=1, keepdims=True)
    model = Predictor.from_training(
        fit_head("ridge", unit, y), x, extractors=EXTRACTORS, unit_length=True
    )
    assert model.predict(x * 7) == pytest.approx(model.predict(x), abs=1e-6)


def test_a_constant_head_is_not_divided_by_zero():
    x, _ = training_images()
    model = Predictor.from_training(LinearHead(np.zeros(6), 3.0), x, extractors=[])
    assert (model.predict(x) == 0).all()


def test_forecast_std_serves_heads_that_do_not_know_their_own():
    x, _ = training_images()
    head = LinearHead(np.array([2.0, 0, 0, 0, 0, 0]), 0.0)
    model = Predictor.from_training(head, x, extractors=[], forecast_std=0.6)
    assert model.predict_std(x[:2]) == pytest.approx([0.6 / model.std] * 2)
    assert Predictor(head).predict_std(x) is None


# --- files that are not what they should be ----------------------------------------------------


def test_no_model_is_said_in_one_line(tmp_path):
    with pytest.raises(ModelError, match="there is no model") as caught:
        Predictor.load(tmp_path)
    assert str(tmp_path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "change",
    [
        {"version": "99"},
        {"version": "one"},
        {"head": "{"},
        {"head": "[]"},
        {"head": json.dumps({"kind": "kernel", "config": []})},
        {"head": "[" * 100_000},
        {"extractors": "7"},
        {"extractors": json.dumps(["../../etc/passwd"])},
        {"provenance": "[]"},
        {"scaling": json.dumps({"mean": 0, "std": 0, "unit_length": False, "percentiles": []})},
        {"scaling": json.dumps({"mean": 0, "std": 1, "unit_length": False, "percentiles": [2]})},
        {"scaling": '{"mean": NaN, "std": 1, "unit_length": false, "percentiles": []}'},
        {"scaling": "{}"},
        *({name: ""} for name in ("format", "version", "head", "extractors", "scaling")),  # missing
    ],
    ids=lambda change: str(change)[:60],
)
def test_impossible_metadata_is_refused(predictor, tmp_path, change):
    path = predictor.save(tmp_path)
    with safe_open(path, "numpy") as file:
        metadata = {key: text for key, text in (file.metadata() | change).items() if text}
    save_file(load_file(path), path, metadata=metadata)
    with pytest.raises(ModelError) as caught:
        Predictor.load(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_pickle_is_never_run(tmp_path):
    class Harmful:
        def __reduce__(self):
            return (tmp_path.joinpath("harm").touch, ())

    path = tmp_path / "model.pth"
    path.write_bytes(pickle.dumps({"weight": Harmful()}))
    with pytest.raises(ModelError, match="weights and nothing else"):
        Predictor.load(path)
    assert not (tmp_path / "harm").exists()
