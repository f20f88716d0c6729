"""Mode meta: what it tries, how it judges, and that an interruption costs nothing."""

import csv
import math
import sqlite3
import threading
from contextlib import closing

import numpy as np
import pytest

from src.aesthetic.heads import MlpHead, fit_head
from src.aesthetic.mlp.side_by_side import Stopped
from src.aesthetic.predictor import Predictor
from src.aesthetic.rated_features import RatedFeatures
from src.aesthetic.search import folds as folds_module
from src.aesthetic.search import run
from src.aesthetic.search.folds import InnerFolds, mean_loss
from src.aesthetic.search.run import search_settings
from src.aesthetic.search.space import combination, combinations
from src.dataset.scores import DataHolder
from src.errors import ModelError, SettingsError
from src.settings.aesthetic_training import AestheticTraining
from src.settings.mlp import Mlp

HEADER = "epochs,lr,batch,train_loss,eval_loss,ab"
NEVER = threading.Event()


def settings(tmp_path, **values):
    """Two epochs and two rates with a small network, in a database of the test's own."""
    usual = {
        "mode": "meta", "meta_epochs": [2, 20], "meta_lr": [1e-5, 1e-2], "meta_batch": [8],
        "aesthetic_model_hidden": [8], "aesthetic_model_dropouts": [], "device": "cpu",
        "aesthetic_model_relu": True,
        "meta_storage": f"sqlite:///{(tmp_path / 'study.db').as_posix()}",
    }  # fmt: skip
    return AestheticTraining.model_validate(usual | values)


def rated(n=64, d=4, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, d)) + 1
    return x, x @ np.arange(1, d + 1) + rng.normal(0, 0.1, n)


def rated_features(seed=0, *, spoilt=False, groups=None):
    x, scores = rated(seed=seed)
    test, none = np.arange(len(x)) % 4 == 0, np.zeros(len(x), dtype=bool)
    if spoilt:
        x[test], scores[test] = 1e6, -1e6
    holder = DataHolder(None, (), scores, np.ones(len(x)), (), "", (), ())
    groups = np.arange(len(x)) if groups is None else groups
    return RatedFeatures(holder, x, (4,), (), np.empty(0), groups, test, none, none)


def search(tmp_path, data=None, prior=None, **values):
    path = tmp_path / "meta.txt"
    return search_settings(data or rated_features(), settings(tmp_path, **values), prior, path)


def lines(path):
    return path.read_text(encoding="utf-8").splitlines()


def spy_on(monkeypatch, owner, name):
    """What a function was called with, while it does its work."""
    calls, original = [], getattr(owner, name)

    def spy(*given, **options):
        calls.append((*given, options))
        return original(*given, **options)

    monkeypatch.setattr(owner, name, spy)
    return calls


# --- combinations ------------------------------------------------------------------------------


def test_every_combination_once_and_a_head_without_settings_once():
    lists = {"epochs": [1, 2], "lr": [0.1], "head": ["mlp", "ridge"], "relu": [True, False]}
    found = combinations(lists)
    assert [(c["epochs"], c["relu"]) for c in found if c["head"] == "mlp"] == [
        (1, True), (1, False), (2, True), (2, False),
    ]  # fmt: skip
    (ridge,) = [setting for setting in found if setting["head"] == "ridge"]
    assert ridge == {"epochs": None, "lr": None, "head": "ridge", "relu": None}


# --- losses and folds --------------------------------------------------------------------------


def test_mean_losses_by_hand():
    given, predicted = np.array([1.0, 1.0, 2.0]), np.array([0.0, 3.0, 0.5])
    # Pairs (0,2): 1 - 0.5; (1,2): 1 + 2.5; (0,1) are equal.
    assert mean_loss("ranking", given, predicted) == pytest.approx((0.5 + 3.5) / 2)
    assert math.isnan(mean_loss("ranking", np.ones(2), predicted[:2]))
    given, predicted = np.array([1.0, 0.0]), np.array([0.0, 2.0])
    assert mean_loss("mse", given, predicted) == pytest.approx((1 + 4) / 2)


@pytest.mark.parametrize("head", ["mlp", "ridge"])
def test_heads_are_trained_without_the_fold_they_are_measured_on(head, monkeypatch):
    images = InnerFolds(rated_features(), None, 0)
    name = "train_mlps" if head == "mlp" else "fit_head"
    calls = spy_on(monkeypatch, folds_module, name)
    mlp = combination(Mlp(device="cpu"), {"head": head, "epochs": 1, "hidden": (8,)})
    score = images.score(mlp, 1, NEVER)
    (call,) = calls
    trained_on = call[0][0].features if head == "mlp" else call[1]
    assert np.array_equal(trained_on, images.images.features[images.fold != 1])
    assert score.ab > (0.9 if head == "ridge" else 0)


def test_a_training_stops_soon_after_it_is_told_to():
    stop = threading.Event()
    stop.set()
    for head in ("mlp", "ridge"):
        with pytest.raises(Stopped):
            InnerFolds(rated_features(), None, 0).score(combination(Mlp(), {"head": head}), 0, stop)


# --- grid --------------------------------------------------------------------------------------


def test_the_grid_writes_a_row_each_and_finds_the_one_that_learns(tmp_path):
    found = search(tmp_path)
    written = lines(tmp_path / "meta.txt")
    assert written[0] == HEADER
    assert sorted(line.split(",")[:3] for line in written[1:]) == [
        ["2", "0.01", "8"], ["2", "1e-05", "8"], ["20", "0.01", "8"], ["20", "1e-05", "8"],
    ]  # fmt: skip
    assert found.setting == {"epochs": 20, "lr": 1e-2, "batch": 8}
    assert found.ab > 0.8 and found.head == "mlp"
    assert found.mlp.training_args.learning_rate == 1e-2
    assert "Of 4 combinations" in found.sentence


def test_a_row_is_the_mean_over_folds(tmp_path):
    data = rated_features()
    found = search(tmp_path, data, meta_epochs=[3], meta_lr=[1e-2])
    images = InnerFolds(data, None, 42)
    accuracies = [images.score(combination(found.mlp, {}), fold, NEVER).ab for fold in range(3)]
    assert found.ab == pytest.approx(np.mean(accuracies))


def test_the_test_images_have_no_say(tmp_path):
    first, second = (
        search(tmp_path, rated_features(spoilt=spoilt), meta_storage="").rows
        for spoilt in (False, True)
    )
    assert sorted(map(str, first)) == sorted(map(str, second))


def test_an_impossible_combination_is_found_before_anything_is_trained(tmp_path):
    with pytest.raises(SettingsError, match="make it even"):
        search(tmp_path, loss_model=["mse", "ranking"], meta_batch=[8, 7])
    assert not (tmp_path / "meta.txt").exists()


def test_diverged_combinations_are_rows_without_figures_and_never_win(tmp_path):
    values = {"loss_model": "mse", "training_args": {"max_grad_norm": 0}, "meta_epochs": [30],
              "aesthetic_model_relu": False, "aesthetic_model_hidden": [16, 16]}  # fmt: skip
    assert search(tmp_path, **values, meta_lr=[1e30, 1e-3]).setting["lr"] == 1e-3
    assert "30,1e+30,8,,," in lines(tmp_path / "meta.txt")
    with pytest.raises(ModelError, match="lower learning rates"):
        search(tmp_path, **values, meta_lr=[1e30])


def test_an_interrupted_search_goes_on_where_it_stopped(tmp_path, monkeypatch):
    original, written = run.write_text, []

    def interrupt(*given):
        original(*given)
        written.append(None)
        if len(written) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(run, "write_text", interrupt)
    with pytest.raises(KeyboardInterrupt):
        search(tmp_path)
    before = lines(tmp_path / "meta.txt")
    assert len(before) == 3
    monkeypatch.setattr(run, "write_text", original)
    trained = spy_on(monkeypatch, InnerFolds, "score")
    found = search(tmp_path)
    assert len(trained) == 2 * 3  # two combinations, three folds each
    assert lines(tmp_path / "meta.txt")[:3] == before
    assert len(lines(tmp_path / "meta.txt")) == 5
    assert found.setting == {"epochs": 20, "lr": 1e-2, "batch": 8}
    trained.clear()
    assert search(tmp_path).setting == found.setting
    assert not trained


def test_longer_lists_repeat_nothing(tmp_path, monkeypatch):
    values = {"meta_epochs": [1], "meta_lr": [1e-6]}
    search(tmp_path, **values, head=["mlp"], training_args={"weight_decay": [0.5]})
    trained = spy_on(monkeypatch, InnerFolds, "score")
    values |= {"training_args": {"weight_decay": [0.1, 0.5]}}
    found = search(tmp_path, **values, head=["ridge", "mlp", "auto"])
    assert [call[1].head for call in trained].count("mlp") == 3
    assert {
        call[1].mlp.training_args.weight_decay for call in trained if call[1].head == "mlp"
    } == {0.1}
    assert found.head in ("auto", "ridge") and found.ab > 0.9
    assert len(found.rows) == 4
    assert not (tmp_path / "meta-1.txt").exists()


def test_rows_about_other_images_or_settings_are_put_aside_and_kept(tmp_path):
    values = {"meta_epochs": [1], "meta_lr": [1e-3]}
    (tmp_path / "meta.txt").write_text("my notes", encoding="utf-8")
    search(tmp_path, **values)
    old = lines(tmp_path / "meta.txt")
    search(tmp_path, rated_features(seed=5), **values)
    search(tmp_path, rated_features(seed=5), **values, aesthetic_model_relu=False)
    assert lines(tmp_path / "meta-1.txt") == ["my notes"]
    assert lines(tmp_path / "meta-2.txt") == old
    assert (tmp_path / "meta-3.txt").exists()
    assert len(lines(tmp_path / "meta.txt")) == 2


def test_the_search_starts_where_training_will(tmp_path):
    data, values = rated_features(), {"meta_epochs": [1], "meta_lr": [1e-2]}
    rng = np.random.default_rng(1)
    start = MlpHead((rng.normal(size=(3, 4)), rng.normal(size=(1, 3))), (np.zeros(3), np.zeros(1)))
    plain = search(tmp_path, **values).rows
    for unit_length in (False, True):
        prior = Predictor.from_training(
            start, data.features, extractors=[], unit_length=unit_length
        )
        assert search(tmp_path, data, prior, **values).rows != plain
    with pytest.raises(SettingsError, match="aesthetic_model_relu cannot be searched"):
        search(tmp_path, data, prior, aesthetic_model_relu=[True, False])
    ridge = fit_head("ridge", data.features, data.holder.scores)
    with pytest.raises(ModelError, match="cannot start from a 'linear' head"):
        search(tmp_path, data, Predictor.from_training(ridge, data.features, extractors=[]))


# --- ranges ------------------------------------------------------------------------------------


def test_ranges_are_searched_and_a_search_goes_on(tmp_path):
    values = {"meta_search": "optuna", "meta_epochs": [1, 15], "meta_batch": [4, 8]}
    first = search(tmp_path, **values, meta_trials=3)
    rows = lines(tmp_path / "meta.txt")
    assert rows[0] == HEADER and 1 <= len(rows) - 1 <= 3
    assert 1 <= first.setting["epochs"] <= 15
    assert first.setting["batch"] in {4, 6, 8}
    second = search(tmp_path, **values, meta_trials=5)
    assert len(second.rows) + second.given_up == 5
    assert second.ab >= first.ab
    assert search(tmp_path, **values, meta_trials=5).setting == second.setting  # nothing left to do
    other = search(tmp_path, **values | {"meta_epochs": [1, 16]}, meta_trials=1)
    assert len(other.rows) == 1  # another question, another study


def test_ranges_with_words_skip_what_a_head_does_not_ask_for(tmp_path):
    found = search(
        tmp_path, meta_search="optuna", meta_trials=25, meta_epochs=[1, 3], meta_storage="",
        head=["mlp", "ridge"], aesthetic_model_dropouts=[[0.2], []], loss_model=["mse", "ranking"],
        training_args={"weight_decay": [0.0, 0.1]},
    )  # fmt: skip
    assert [row["head"] for row in found.rows].count("ridge") == 1  # measured once
    for row in found.rows:
        assert (row["head"] == "ridge") == (row["epochs"] == "")
        assert row["dropouts"] in ({""} if row["head"] == "ridge" else {"0.2", "none"})
    with (tmp_path / "meta.txt").open(encoding="utf-8") as file:
        assert list(csv.DictReader(file)) == [
            {name: row[name] for name in row} for row in found.rows
        ]


def test_a_storage_that_cannot_be_opened_is_named_without_its_password(tmp_path):
    with pytest.raises(SettingsError, match="meta_storage cannot be opened") as caught:
        search(tmp_path, meta_storage="nothing://me:secret@host/db")
    assert "secret" not in str(caught.value)


def refused(tmp_path, **values):
    """Whether a search ends with a line about its database, where it does not just work."""
    try:
        search(tmp_path, **values)
    except SettingsError as error:
        assert "\n" not in str(error) and "meta_storage" in str(error)
        return True
    return False


def test_a_damaged_database_is_one_line(tmp_path):
    values = {"meta_epochs": [1], "meta_lr": [1e-3]}
    search(tmp_path, **values)
    whole, rng, told = (tmp_path / "study.db").read_bytes(), np.random.default_rng(0), 0
    for column, value in (
        ("trials", "datetime_complete = 'yesterday'"), ("trials", "number = 99"),
        ("trials", "state = 'DONE'"), ("trial_user_attributes", "value_json = '[1]'"),
        ("trial_user_attributes", "value_json = '{\"ab\": \"x\"}'"),
    ):  # fmt: skip
        (tmp_path / "study.db").write_bytes(whole)
        with closing(sqlite3.connect(tmp_path / "study.db")) as database, database:
            database.execute(f"UPDATE {column} SET {value}")
        told += refused(tmp_path, **values)
    assert told >= 4
    for _ in range(5):
        damaged = bytearray(whole)
        for place in rng.integers(100, len(whole), 400):
            damaged[place] = rng.integers(256)
        (tmp_path / "study.db").write_bytes(damaged)
        told += refused(tmp_path, **values)
    assert told > 5
