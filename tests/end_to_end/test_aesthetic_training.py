"""Training a model of taste: files, figures, heads, seeds."""

import csv
import json
import re
import shutil

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import load_file

from tests.aesthetic_training import read, run, settings, split_of


def test_metrics(trained):
    metrics = read(trained[0] / "model")
    assert set(metrics) >= {"train", "test", "all"}
    for part in ("train", "test", "all"):
        assert set(metrics[part]) >= {"n", "ab", "spearman", "rmse"}
    assert metrics["train"]["n"] + metrics["test"]["n"] == metrics["all"]["n"] == 80
    low, high = metrics["test"]["ab_interval"]
    assert low <= metrics["test"]["ab"] <= high
    assert metrics["test"]["ab"] > 0.85  # brightness is among the features
    assert {name: row["n"] for name, row in metrics["folders"].items()} == {"a": 50, "b": 30}
    mean = sum(row["n"] * row["given"] for row in metrics["folders"].values()) / 80
    with (trained[0] / "model" / "predictions.csv").open(encoding="utf-8") as file:
        given = [float(row["given"]) for row in csv.DictReader(file)]
    assert mean == pytest.approx(np.mean(given), abs=1e-4)


def test_predictions(trained, rated_images):
    with (trained[0] / "model" / "predictions.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 80
    assert {row["split"] for row in rows} == {"train", "test"}
    assert rows[0].keys() >= {"relative_path", "given", "predicted", "split"}
    train = np.array([float(row["given"]) for row in rows if row["split"] == "train"])
    assert train.mean() == pytest.approx(0, abs=1e-3) and train.std() == pytest.approx(1, abs=1e-3)


def test_report_model_file_and_last_words(trained):
    page = (trained[0] / "model" / "report.html").read_text(encoding="utf-8")
    assert not re.search(r"""(src|href)\s*=\s*["'](?!data:|#)""", page)  # needs nothing beside it
    assert page.count("data:image/jpeg;base64,") >= 24
    assert page.count("<svg") >= 2
    with safe_open(trained[0] / "model" / "model.safetensors", "numpy") as file:
        assert "builtin" in json.dumps(file.metadata())
    assert "report.html" in trained[1].stdout and "python run.py" in trained[1].stdout
    assert "Traceback" not in trained[1].stderr


def test_the_same_seed_gives_the_same_result(trained, rated_images, tmp_path):
    assert run(tmp_path, *settings(rated_images)).returncode == 0
    for name in ("metrics.json", "predictions.csv"):
        assert (tmp_path / "model" / name).read_bytes() == (
            trained[0] / "model" / name
        ).read_bytes()


def test_another_test_pick_seed_tests_on_other_images(trained, rated_images, tmp_path):
    assert (
        run(tmp_path, *settings(rated_images, "--head=ridge", "--test_pick_seed=7")).returncode == 0
    )
    assert split_of(trained[0] / "model") != split_of(tmp_path / "model")


def test_the_kernel_head_is_saved_and_measured_again(rated_images, tmp_path):
    assert run(tmp_path, *settings(rated_images, "--head=kernel")).returncode == 0
    done = run(tmp_path, *settings(rated_images, "--mode=evaluate", "--load_model=model",
                                   "--save_model=again"))  # fmt: skip
    assert done.returncode == 0, done.stderr
    first, second = (read(tmp_path / name)["test"]["ab"] for name in ("model", "again"))
    assert second == pytest.approx(first, abs=1e-3)
    assert first > 0.75


@pytest.mark.parametrize("loss", ["ranking", "mse"])
def test_the_mlp_trains_as_training_args_say_and_goes_on(rated_images, tmp_path, loss):
    words = [
        "--head=mlp",
        f"--loss_model={loss}",
        "--training_args.num_train_epochs=12",
        "--eval_every_n_epochs=4",
    ]
    done = run(tmp_path, *settings(rated_images, *words))
    assert done.returncode == 0, done.stderr
    assert "training" in (tmp_path / "model" / "report.html").read_text(encoding="utf-8").lower()
    epochs = read(tmp_path / "model")["epochs"]
    assert [row["epoch"] for row in epochs] == [4, 8, 12]
    measured = {f"{part}_{key}" for part in ("train", "test", "all") for key in ("ab", "rmse")}
    assert measured < epochs[0].keys()
    last, end = epochs[-1], read(tmp_path / "model")
    for part in ("train", "test", "all"):
        assert last[f"{part}_ab"] == pytest.approx(end[part]["ab"], abs=1e-9)
        assert last[f"{part}_rmse"] == pytest.approx(end[part]["rmse"], abs=1e-5)
    said = f"Epoch 12. Pairs ordered right: train {last['train_ab']:.1%}, test "
    assert said in done.stderr and done.stderr.count("Epoch ") == 3
    first = read(tmp_path / "model")
    more = run(tmp_path, *settings(rated_images, *words, "--load_model=model", "--save_model=more"))
    assert more.returncode == 0, more.stderr
    second = read(tmp_path / "more")
    assert second["train"]["ab"] >= first["train"]["ab"] - 0.02
    weights = [load_file(tmp_path / name / "model.safetensors") for name in ("model", "more")]
    assert weights[0].keys() == weights[1].keys()
    near = np.mean([np.corrcoef(a.ravel(), weights[1][key].ravel())[0, 1]
                    for key, a in weights[0].items() if a.ndim == 2 and a.size > 100])  # fmt: skip
    assert near > 0.9  # from these weights, not from others at random


def test_real_photographs_with_a_real_backbone(real_assets, tmp_path):
    """The default settings on photographs that people rated, split by the default seed."""
    photographs = tmp_path / "photographs"
    shutil.copytree(real_assets / "rated-photos", photographs)
    done = run(
        tmp_path,
        f"--top_level_image_directory={photographs}",
        f"--feature_extractor={real_assets / 'backbones' / 'mobilenet_v2'}",
        "--save_model=model",
        "--device=cpu",
    )
    assert done.returncode == 0, done.stderr
    metrics = read(tmp_path / "model")
    assert metrics["all"]["n"] == 330
    assert metrics["test"]["ab"] > 0.65  # one split; the bench measures the mean of five
