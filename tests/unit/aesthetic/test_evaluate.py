"""Models are measured on what they have not seen."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from src.aesthetic.evaluate import compared, evaluate_scores, feature_parts
from src.aesthetic.heads.linear import LinearHead
from src.aesthetic.lineage import Ancestor, previous_model
from src.aesthetic.predictor import Predictor
from src.aesthetic.rated_features import RatedFeatures
from src.aesthetic.train import Fitted, fit_predictor
from src.dataset.scores import DataHolder
from src.dataset.trained_on import TrainedOn
from src.evaluation.rank_metrics import pairwise_accuracy
from src.features import builtin
from src.settings.mlp import Mlp, PredictorTrainingArgs
from tests.feature_names import names


def rated(n=120, d=5, noise=0.5, seed=0, labels=False):
    """Scores that follow the first feature; contents and looks all differ."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, d)).astype(np.float32)
    scores = x[:, 0] + rng.normal(0, noise, n)
    files = tuple(SimpleNamespace(path=f"{number:03d}.png") for number in range(n))
    holder = DataHolder(
        None, files, (scores > 0).astype(float) if labels else scores, np.ones(n), ("",) * n, "",
        (), (),
    )  # fmt: skip
    none = np.zeros(n, dtype=bool)
    contents = [rng.bytes(32) for _ in range(n)]
    hashes = rng.integers(0, 256, (n, 32), dtype=np.uint8)
    return RatedFeatures(
        holder, x, (d,), contents, hashes, np.arange(n), none, none, none, binary=labels
    )


def train(data, head="ridge", **more):
    mlp = Mlp(training_args=PredictorTrainingArgs(num_train_epochs=30, learning_rate=1e-2))
    return fit_predictor(data, head, extractors=[], mlp=mlp, **more)


def test_a_prior_that_has_seen_the_images_is_no_evidence():
    """Noise alone: every figure on training images out of fold must stay at a half."""
    data = rated(200, 40, noise=0)
    rng = np.random.default_rng(1)
    data = replace(data, holder=replace(data.holder, scores=rng.normal(size=200)))
    first = train(data, "kernel")
    second = train(replace(data, seen=~data.test), "kernel", prior=first.predictor)
    y = data.targets
    by_heart = pairwise_accuracy(y, first.predictor.predict(data.features))
    assert by_heart > 0.65
    assert pairwise_accuracy(y, second.out_of_fold) == pytest.approx(0.5, abs=0.08)
    assert second.start is None and "afresh" in second.notes[-1]
    deviation = second.predictor.predict_std(data.features[:1])[0] * second.predictor.std
    assert deviation > 0.8


def test_a_prior_of_other_images_is_corrected_by_what_is_new_to_it():
    data = rated(400, 60, noise=0.3)
    other = rated(1500, 60, noise=0.3, seed=1)
    prior = train(other).predictor
    seen = np.arange(400) < 100
    found = train(replace(data, seen=seen), prior=prior)
    assert found.start is prior and "300 training images new to it" in found.notes[-1]
    assert np.isnan(found.out_of_fold[:100]).all() and np.isfinite(found.out_of_fold[100:]).all()


@pytest.mark.parametrize(("members", "labels"), [(1, False), (3, False), (1, True)])
def test_networks_that_are_trained_further_claim_nothing_of_images_they_know(members, labels):
    data = rated(60, noise=3.0, labels=labels)
    mlp = Mlp(
        training_args=PredictorTrainingArgs(num_train_epochs=20, learning_rate=1e-2),
        loss_model="bce" if labels else "ranking", aesthetic_model_hidden=(8,),
        aesthetic_model_dropouts=(),
    )  # fmt: skip
    first = fit_predictor(data, "mlp", extractors=[], mlp=mlp)
    further = mlp.model_copy(update={"mlp_members": members})
    seen = np.ones(60, dtype=bool)
    second = fit_predictor(
        replace(data, seen=seen), "mlp", extractors=[], mlp=further, prior=first.predictor
    )
    if labels:
        auc = pairwise_accuracy(data.holder.scores, second.out_of_fold)
        by_heart = pairwise_accuracy(data.holder.scores, second.predictor.predict(data.features))
        assert auc < by_heart - 0.05
    else:
        assert second.out_of_fold is None
        assert second.predictor.predict_std(data.features) is None


def test_features_that_were_trained_on_the_images_give_no_figures_out_of_fold():
    data = rated()
    found = train(replace(data, seen_by_features=np.arange(120) < 110))
    assert np.isfinite(found.out_of_fold).sum() == 10
    assert train(replace(data, seen_by_features=~data.test)).out_of_fold is None


def test_models_are_compared_on_images_that_neither_has_seen():
    data = rated(60, 2)
    data = replace(data, test=np.arange(60) >= 20)
    scores = data.features[:, 0].astype(float)
    seen = TrainedOn.of(data.sha256s[:30], data.hashes[:30])
    old = Ancestor("old", Predictor(LinearHead(np.array([0.0, 1.0]), 0.0)), seen)
    found = compared(old, data, scores, scores, 100)
    rows = range(30, 60)
    x = data.features
    pairs = [(x[i, 1] > x[j, 1]) == (scores[i] > scores[j]) for i in rows for j in rows if j < i]
    assert (found["images"], found["now"]) == (30, 1.0)
    assert found["before"] == pytest.approx(np.mean(pairs))
    assert found["difference"][0] > 0
    assert compared(None, data, scores, scores, 100) is None
    everything = replace(old, trained_on=TrainedOn.of(data.sha256s, data.hashes))
    assert compared(everything, data, scores, scores, 100) is None


def test_a_model_of_another_kind_is_not_compared(tmp_path):
    extractors = [{"name": "x", "identity": "x|v1"}]
    assert previous_model(tmp_path, extractors, False) is None
    made = {"loss_model": "ranking"}
    Predictor(LinearHead(np.ones(2), 0.0), tuple(extractors), provenance=made).save(tmp_path)
    assert previous_model(tmp_path, extractors, False) is not None
    assert previous_model(tmp_path, extractors, True) is None
    assert previous_model(tmp_path, [{"name": "y", "identity": "y|v1"}], False) is None
    (tmp_path / "model.safetensors").write_bytes(b"damaged")
    assert previous_model(tmp_path, extractors, False) is None


def test_an_old_model_is_taken_to_have_seen_what_its_split_says():
    data = rated()
    test = data.split(0.25, 7).test
    made = {"test_pick_seed": 7, "fraction_for_test": 0.25}
    model = Predictor(LinearHead(np.ones(5), 0.0), provenance=made)
    old = Ancestor("old", model, TrainedOn(unknown=("old",)))
    assert (old.seen(data) == ~test).all()
    again = replace(data, seen=old.seen(data)).split(0.25, 42)
    assert (again.test == test).all()


def test_without_unseen_images_there_is_no_figure_and_a_reason(tmp_path):
    data = replace(rated(), seen=np.ones(120, dtype=bool))
    data = replace(data, holder=replace(data.holder, directory=tmp_path))
    results = evaluate_scores(data, Fitted(train(data).predictor), 20)
    assert results.metrics["test"]["n"] == 0 and results.metrics["test"]["ab"] is None
    assert any("trained on all of these" in note for note in results.notes)
    lines = [line.split() for line in results.table.splitlines()[1:]]
    assert [line[:2] for line in lines] == [["train", "120"], ["test", "0"], ["all", "120"]]
    assert set(lines[1][2:]) == {"–"} and lines[2][2].endswith("%")


def test_parts_of_the_features_are_named_and_cover_all_columns():
    extractors = [{"name": "builtin"}, {"name": "models/clip/"}]
    parts = feature_parts(extractors, (builtin.SIZE, 7))
    assert parts["clip"] == slice(builtin.SIZE, builtin.SIZE + 7)
    columns = [c for part in parts.values() for c in range(part.start, part.stop)]
    assert columns == list(range(builtin.SIZE + 7))
    assert all("sharp" in name for name in names()[parts["sharpness"]])
