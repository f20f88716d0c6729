"""The meta search: what it tries, how it judges, and that an interruption costs nothing."""

import math
import threading

import numpy as np
import pytest

from src.aesthetic import meta_search as module
from src.aesthetic.meta_search import combinations, grid_search
from src.aesthetic.meta_table import MetaTable
from src.aesthetic.optuna_search import optuna_search
from src.aesthetic.trainer import MlpShape, train_mlps
from src.aesthetic.training_options import TrainingOptions
from src.aesthetic.trials import InnerFolds, Score, Trial, mean_loss
from src.errors import ModelError, SettingsError

BASE = Trial(TrainingOptions(), MlpShape((8,), (), relu=True))
VALUES = {"epochs": [2, 20], "lr": [1e-5, 1e-2], "batch": [8]}
HEADER = "epochs,lr,batch,train_loss,eval_loss,ab"


def rated(n=48, d=4, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, d))
    return x, x @ np.arange(1, d + 1) + rng.normal(0, 0.1, n)


def folds(**kwargs):
    return InnerFolds(*rated(**kwargs), folds=2)


def lines(path):
    return path.read_text(encoding="utf-8").splitlines()


# --- combinations ------------------------------------------------------------------------------


def test_every_combination_once_the_last_varying_fastest():
    found = combinations(BASE, {"epochs": [1, 2], "lr": [0.1], "batch": [4, 8], "relu": [True]})
    assert [(c["epochs"], c["batch"]) for c in found] == [(1, 4), (1, 8), (2, 4), (2, 8)]
    assert found[0] == {"epochs": 1, "lr": 0.1, "batch": 4, "relu": True}


def test_what_is_not_searched_keeps_its_value():
    (only,) = combinations(Trial(TrainingOptions(num_train_epochs=7)), {})
    assert only == {"epochs": 7, "lr": 1e-4, "batch": 8}
    with pytest.raises(SettingsError, match="no value of lr"):
        combinations(BASE, {"lr": []})


def test_a_setting_reaches_options_shape_and_loss():
    trial = BASE.with_setting(
        {"epochs": 3, "weight_decay": 0.5, "hidden": [4, 2], "loss": "mse", "relu": False}
    )
    assert trial.options.num_train_epochs == 3
    assert trial.options.weight_decay == 0.5
    assert trial.shape == MlpShape((4, 2), (), relu=False)
    assert trial.loss == "mse"
    with pytest.raises(SettingsError, match="no setting 'colour'"):
        BASE.with_setting({"colour": 3})


# --- losses ------------------------------------------------------------------------------------


def test_mean_ranking_loss_by_hand():
    given, predicted = np.array([1.0, 1.0, 2.0]), np.array([0.0, 3.0, 0.5])
    # Pairs (0,2): 1 - 0.5; (1,2): 1 + 2.5; (0,1) are equal.
    assert mean_loss("ranking", given, predicted) == pytest.approx((0.5 + 3.5) / 2)
    assert math.isnan(mean_loss("ranking", np.ones(2), predicted[:2]))


def test_mean_losses_of_single_images_by_hand():
    given, predicted = np.array([1.0, 0.0]), np.array([0.0, 2.0])
    assert mean_loss("mse", given, predicted) == pytest.approx((1 + 4) / 2)
    expected = (math.log(2) + math.log(1 + math.exp(2))) / 2
    assert mean_loss("bce", given, predicted) == pytest.approx(expected)


# --- grid --------------------------------------------------------------------------------------


def test_the_grid_writes_a_row_each_and_finds_the_one_that_learns(tmp_path):
    seen = []
    result = grid_search(
        folds(), BASE, VALUES, tmp_path / "meta.txt", progress=lambda *a: seen.append(a)
    )
    written = lines(tmp_path / "meta.txt")
    assert written[0] == HEADER
    assert len(written) == 5
    assert sorted(line.split(",")[:3] for line in written[1:]) == [
        ["2", "0.01", "8"],
        ["2", "1e-05", "8"],
        ["20", "0.01", "8"],
        ["20", "1e-05", "8"],
    ]
    assert result.setting == {"epochs": 20, "lr": 1e-2, "batch": 8}
    assert result.score.ab > 0.8
    assert result.trial.options.learning_rate == 1e-2
    assert seen[-1] == (4, 4)


def test_a_row_is_the_mean_over_folds_trained_without_them(tmp_path):
    images = folds()
    result = grid_search(images, BASE, {"epochs": [3]}, tmp_path / "meta.txt", workers=1)
    scores = []
    for k in (0, 1):
        (trained,) = train_mlps([images.training(result.trial, k)])
        scores.append(images.score_training(result.trial, trained, k))
    assert result.score.ab == pytest.approx(np.mean([s.ab for s in scores]))
    assert result.score.eval_loss == pytest.approx(np.mean([s.eval_loss for s in scores]))


def test_further_settings_become_columns(tmp_path):
    grid_search(folds(), BASE, {"epochs": [1], "relu": [True, False]}, tmp_path / "meta.txt")
    written = lines(tmp_path / "meta.txt")
    assert written[0] == HEADER + ",relu"
    assert sorted(line.rpartition(",")[2] for line in written[1:]) == ["False", "True"]


def test_an_impossible_combination_is_told_before_anything_is_trained(tmp_path):
    with pytest.raises(SettingsError, match="learning_rate"):
        grid_search(folds(), BASE, {"lr": [1e-3, -1.0]}, tmp_path / "meta.txt")
    with pytest.raises(SettingsError, match="must be even"):
        grid_search(folds(), BASE, {"batch": [8, 7]}, tmp_path / "meta.txt")
    assert not (tmp_path / "meta.txt").exists()


def test_diverged_combinations_are_rows_without_figures_and_never_win(tmp_path):
    base = Trial(TrainingOptions(max_grad_norm=0), MlpShape((16, 16), ()), loss="mse")
    values = {"epochs": [30], "lr": [1e30, 1e-3]}
    result = grid_search(folds(), base, values, tmp_path / "meta.txt")
    assert result.setting["lr"] == 1e-3
    assert "30,1e+30,8,,," in lines(tmp_path / "meta.txt")
    with pytest.raises(ModelError, match="lower learning rates"):
        grid_search(folds(), base, {"epochs": [30], "lr": [1e30]}, tmp_path / "other.txt")


def test_an_interrupted_search_goes_on_where_it_stopped(tmp_path, monkeypatch):
    images, path = folds(), tmp_path / "meta.txt"

    def interrupt(done, total):
        if done == 2:
            raise KeyboardInterrupt

    first = grid_search(images, BASE, VALUES, path, workers=1, progress=interrupt)
    assert first.interrupted
    before = lines(path)
    assert len(before) == 3
    path.write_text("\n".join(before) + "\n20,0.01,8,0.1", encoding="utf-8")  # and a torn row

    trained = []
    original = module.measure
    monkeypatch.setattr(
        module, "measure", lambda i, jobs, s: trained.extend(jobs) or original(i, jobs, s)
    )
    second = grid_search(images, BASE, VALUES, path, workers=1)
    assert len(trained) == 2 * 2  # two combinations, two folds each
    assert lines(path)[:3] == before
    assert len(lines(path)) == 5
    assert second.setting == {"epochs": 20, "lr": 1e-2, "batch": 8}


def test_a_finished_search_is_read_not_repeated(tmp_path, monkeypatch):
    first = grid_search(folds(), BASE, VALUES, tmp_path / "meta.txt")
    monkeypatch.setattr(module, "measure", None)
    again = grid_search(folds(), BASE, VALUES, tmp_path / "meta.txt")
    assert again.setting == first.setting
    assert again.score == first.score


def test_rows_about_other_images_are_put_aside_and_kept(tmp_path):
    path, values = tmp_path / "meta.txt", {"epochs": [1]}
    grid_search(folds(), BASE, values, path)
    old = lines(path)
    grid_search(folds(seed=5), BASE, values, path)
    grid_search(folds(seed=5), Trial(TrainingOptions(), MlpShape((3,), ())), values, path)
    assert lines(tmp_path / "meta-1.txt") == old
    assert (tmp_path / "meta-2.txt").exists()
    assert len(lines(path)) == 2


def test_a_foreign_file_is_put_aside_and_kept(tmp_path):
    path = tmp_path / "meta.txt"
    path.write_text("my notes", encoding="utf-8")
    grid_search(folds(), BASE, {"epochs": [1]}, path)
    assert lines(tmp_path / "meta-1.txt") == ["my notes"]


def test_groups_stay_on_one_side():
    x, y = rated()
    images = InnerFolds(x, y, groups=np.repeat(np.arange(12), 4), folds=3)
    for group in range(12):
        assert len(set(images.fold[4 * group : 4 * group + 4])) == 1


def test_one_fold_is_a_single_split():
    x, y = rated()
    images = InnerFolds(x, y, folds=1)
    assert (images.fold == 0).sum() == 12


def test_many_threads_write_whole_rows(tmp_path):
    table = MetaTable(tmp_path / "meta.txt", [], {})
    threads = [
        threading.Thread(
            target=table.append,
            args=({"epochs": i, "lr": 0.1, "batch": 8}, Score(0.5, 0.25, i / 100)),
        )
        for i in range(30)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(lines(tmp_path / "meta.txt")[1:]) == sorted(
        f"{i},0.1,8,0.5,0.25,{0 if i == 0 else repr(i / 100)}" for i in range(30)
    )
    assert table.best()["epochs"] == "29"


# --- Optuna ------------------------------------------------------------------------------------


def test_optuna_searches_the_ranges_and_resumes(tmp_path):
    storage = f"sqlite:///{(tmp_path / 'study.db').as_posix()}"
    values = {"epochs": [1, 15], "lr": [1e-5, 1e-2], "batch": [4, 8]}

    def search(trials):
        return optuna_search(
            folds(),
            BASE,
            values,
            tmp_path / "meta.txt",
            trials=trials,
            storage=storage,
            workers=1,
        )

    first = search(3)
    rows = lines(tmp_path / "meta.txt")
    assert rows[0] == HEADER
    assert 1 <= len(rows) - 1 <= 3
    assert 1 <= first.setting["epochs"] <= 15
    assert first.setting["batch"] in {4, 6, 8}
    second = search(5)
    assert len(lines(tmp_path / "meta.txt")) - len(rows) <= 2
    assert second.score.ab >= first.score.ab
    assert search(5).setting == second.setting  # nothing left to do


def test_optuna_gives_up_on_trials_that_diverge(tmp_path):
    base = Trial(TrainingOptions(max_grad_norm=0), MlpShape((16, 16), ()), loss="mse")
    with pytest.raises(ModelError, match="lower learning rates"):
        optuna_search(
            folds(),
            base,
            {"lr": [1e30, 1e31], "epochs": [30, 40]},
            tmp_path / "meta.txt",
            trials=2,
            workers=1,
        )


def test_without_optuna_the_package_is_named(tmp_path, monkeypatch):
    import sys

    from src.errors import MissingExtra

    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(MissingExtra, match="optuna"):
        optuna_search(folds(), BASE, VALUES, tmp_path / "meta.txt", trials=1)
