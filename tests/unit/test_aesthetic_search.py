"""The meta search: what it tries, how it judges, and that an interruption costs nothing."""

import csv
import math
import threading
from dataclasses import replace

import numpy as np
import pytest

from src.aesthetic.mlp.trainer import MlpShape, train_mlps
from src.aesthetic.mlp.training_options import TrainingOptions
from src.aesthetic.search import grid as module
from src.aesthetic.search.grid import combinations, grid_search
from src.aesthetic.search.optuna_search import optuna_search
from src.aesthetic.search.table import MetaTable
from src.aesthetic.search.trials import InnerFolds, Score, Trial, mean_loss
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


def test_a_head_in_closed_form_comes_once():
    found = combinations(BASE, {"epochs": [1, 2], "head": ["mlp", "ridge"], "relu": [True, False]})
    assert len(found) == 5
    (ridge,) = [setting for setting in found if setting["head"] == "ridge"]
    assert ridge == {"epochs": None, "lr": None, "batch": None, "head": "ridge", "relu": None}
    assert BASE.with_setting(ridge) == replace(BASE, head="ridge")


def test_dropouts_beyond_the_hidden_layers_count_for_nothing():
    trial = BASE.with_setting({"hidden": (4,), "dropouts": (0.2, 0.2, 0.1)})
    assert trial.shape.dropouts == (0.2,)


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


def test_heads_are_compared_and_their_rows_are_found_again(tmp_path, monkeypatch):
    values = {"epochs": [1], "lr": [1e-6], "head": ["mlp", "ridge", "auto"]}
    first = grid_search(folds(), BASE, values, tmp_path / "meta.txt")
    assert sorted(line.split(",")[-1] for line in lines(tmp_path / "meta.txt")[1:]) == [
        "auto", "mlp", "ridge",
    ]  # fmt: skip
    assert first.trial.head in ("auto", "ridge") and first.score.ab > 0.9
    monkeypatch.setattr(module, "measure", None)
    assert grid_search(folds(), BASE, values, tmp_path / "meta.txt").setting == first.setting


def test_a_longer_list_repeats_nothing(tmp_path, monkeypatch):
    base = replace(BASE, options=TrainingOptions(weight_decay=0.5))
    grid_search(folds(), base, {"epochs": [1], "weight_decay": [0.5]}, tmp_path / "meta.txt")
    trained = []
    original = module.measure
    monkeypatch.setattr(module, "measure", lambda i, j, s: trained.extend(j) or original(i, j, s))
    # The first value of a list stands in the settings; it must not make the rows foreign.
    base = replace(BASE, options=TrainingOptions(weight_decay=0.1))
    values = {"epochs": [1], "weight_decay": [0.1, 0.5]}
    grid_search(folds(), base, values, tmp_path / "meta.txt")
    assert {job.trial.options.weight_decay for job in trained} == {0.1}
    assert not (tmp_path / "meta-1.txt").exists()


def test_where_training_starts_is_part_of_what_the_rows_are_about(tmp_path):
    path, values = tmp_path / "meta.txt", {"epochs": [1]}
    images = folds()
    (start,) = train_mlps([images.training(BASE)])
    grid_search(images, BASE, values, path)
    grid_search(images, replace(BASE, start=start.head), values, path)
    assert (tmp_path / "meta-1.txt").exists()


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


def test_optuna_chooses_among_words_and_lists_and_skips_what_a_head_does_not_ask_for(tmp_path):
    values = {
        "epochs": [1, 3],
        "head": ["mlp", "ridge"],
        "dropouts": [(0.2,), ()],
        "loss": ["mse", "ranking"],
        "weight_decay": [0.0, 0.1],
        "relu": [True],
    }
    path = tmp_path / "meta.txt"
    result = optuna_search(folds(), BASE, values, path, trials=25, workers=2)
    assert [row["head"] for row in result.rows].count("ridge") == 1  # measured once
    assert 2 <= len(result.rows) + result.given_up <= 25
    for row in result.rows:
        assert (row["head"] == "ridge") == (row["epochs"] == "")
        assert row["dropouts"] in ({""} if row["head"] == "ridge" else {"0.2", "none"})
        assert row["relu"] == ("" if row["head"] == "ridge" else "True")
    with path.open(encoding="utf-8") as file:
        written = list(csv.DictReader(file))
    assert sorted(map(sorted, map(dict.items, written))) == sorted(
        sorted(row.items()) for row in result.rows
    )


def test_another_question_is_another_study(tmp_path):
    storage = f"sqlite:///{(tmp_path / 'study.db').as_posix()}"

    def search(images, values):
        path = tmp_path / "meta.txt"
        return optuna_search(images, BASE, values, path, trials=1, storage=storage, workers=1)

    values = {"epochs": [1, 2]}
    first = search(folds(), values)
    assert search(folds(), values).rows == first.rows
    assert len(search(folds(), {"epochs": [1, 2], "lr": [1e-4, 1e-3]}).rows) == 1
    assert search(folds(seed=3), values).rows != first.rows


def test_optuna_heeds_an_interruption_at_once(tmp_path):
    storage = f"sqlite:///{(tmp_path / 'study.db').as_posix()}"

    def interrupt(done, total):
        if done == 2:
            raise KeyboardInterrupt

    def search(trials, **options):
        return optuna_search(
            folds(), BASE, {"epochs": [1, 4], "lr": [1e-4, 1e-2]}, tmp_path / "meta.txt",
            trials=trials, storage=storage, workers=1, **options,
        )  # fmt: skip

    stopped = search(1000, progress=interrupt)
    assert stopped.interrupted
    assert len(stopped.rows) + stopped.given_up == 2
    assert len(search(3).rows) >= len(stopped.rows)


def test_a_storage_that_cannot_be_opened_is_named(tmp_path):
    for storage in ("sqlite:////no/such/folder/study.db", "nothing://here"):
        with pytest.raises(SettingsError, match="meta_storage cannot be opened"):
            optuna_search(folds(), BASE, VALUES, tmp_path / "m.txt", trials=1, storage=storage)


def test_a_password_is_not_told(tmp_path):
    with pytest.raises(SettingsError) as caught:
        storage = "nothing://me:secret@host/db"
        optuna_search(folds(), BASE, VALUES, tmp_path / "m.txt", trials=1, storage=storage)
    assert "secret" not in str(caught.value)


def test_without_optuna_the_package_is_named(tmp_path, monkeypatch):
    import sys

    from src.errors import MissingExtra

    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(MissingExtra, match="optuna"):
        optuna_search(folds(), BASE, VALUES, tmp_path / "meta.txt", trials=1)
