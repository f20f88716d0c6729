"""Mode meta of aesthetic_predictor_training.py as a user runs it."""

import csv
import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from safetensors import safe_open

from tests.conftest import make_images
from tests.scripts import run_script

ROOT = Path(__file__).parents[2]
COLUMNS = ["epochs", "lr", "batch", "train_loss", "eval_loss", "ab"]
SMALL = [
    "--mode=meta",
    "--meta_epochs=[2,8]",
    "--meta_lr=[1e-3]",
    "--meta_batch=[8,16]",
    "--aesthetic_model_hidden=[16]",
    "--eval_every_n_epochs=0",
]


def command(folder: Path, *words: object) -> list[str]:
    script = str(ROOT / "aesthetic_predictor_training.py")
    usual = [f"--top_level_image_directory={folder}", "--feature_extractor=builtin"]
    return [sys.executable, script, *usual, "--save_model=model", *map(str, words)]


def run(cwd: Path, folder: Path, *words: object) -> subprocess.CompletedProcess[str]:
    """In this process, where that is quicker."""
    return run_script("aesthetic_predictor_training", *command(folder, *words)[2:], cwd=cwd)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """90 images whose score is their mean brightness."""
    images = tmp_path_factory.mktemp("rated")
    rows = []
    for path in make_images(images, 90, seed=3):
        with Image.open(path) as image:
            rows.append((path.name, f"{np.asarray(image, float).mean() / 25:.3f}"))
    with (images / "scores.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("relative_path", "score"), *rows])
    return images


def table(cwd: Path) -> list[dict[str, str]]:
    with (cwd / "meta.txt").open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_the_grid_is_searched_reported_and_its_winner_can_be_used(folder, tmp_path):
    done = run(tmp_path, folder, *SMALL)
    assert done.returncode == 0, done.stderr
    rows = table(tmp_path)
    assert list(rows[0]) == COLUMNS
    assert sorted((int(row["epochs"]), int(row["batch"])) for row in rows) == [
        (2, 8), (2, 16), (8, 8), (8, 16),
    ]  # fmt: skip
    best = max(rows, key=lambda row: float(row["ab"]))
    assert f"epochs {best['epochs']}, lr 0.001, batch {best['batch']}" in done.stderr
    page = (tmp_path / "model" / "meta.html").read_text(encoding="utf-8")
    assert not re.search(r"""(src|href)\s*=\s*["'](?!data:|#)""", page)
    assert '<select id="across">' in page
    metrics = json.loads((tmp_path / "model" / "metrics.json").read_text(encoding="utf-8"))
    assert metrics["train"]["n"] + metrics["test"]["n"] == 90
    with safe_open(tmp_path / "model" / "model.safetensors", "numpy") as file:
        made_with = json.loads(file.metadata()["provenance"])
    assert made_with["head"] == "mlp" and "4 combinations" in made_with["search"]

    used = subprocess.run(
        [
            sys.executable, str(ROOT / "score_images.py"), f"--top_level_image_directory={folder}",
            "--load_model=model", "--gallery=off",
        ],
        cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert used.returncode == 0, used.stderr
    with (tmp_path / "scored" / folder.name / "scores.csv").open(encoding="utf-8") as file:
        assert len(list(csv.DictReader(file))) == 90


def test_other_settings_may_be_lists_and_a_head_without_settings_may_win(folder, tmp_path):
    (tmp_path / "mine.py").write_text(
        """
args = {"mode": "meta", "head": ["mlp", "ridge"], "loss_model": ["ranking", "mse"],
        "aesthetic_model_hidden": [[8], [8, 4]], "aesthetic_model_dropouts": [[0.2], []],
        "meta_epochs": [1], "meta_lr": [1e-6], "meta_batch": [8]}
training_args = {"weight_decay": [0, 0.01]}
""",
        encoding="utf-8",
    )
    done = run(tmp_path, folder, "--arguments=mine.py")
    assert done.returncode == 0, done.stderr
    rows = table(tmp_path)
    assert list(rows[0]) == [*COLUMNS, "head", "loss", "hidden", "dropouts", "weight_decay"]
    assert len(rows) == 2**4 + 1
    (ridge,) = [row for row in rows if row["head"] == "ridge"]
    assert ridge["epochs"] == ridge["weight_decay"] == ""
    assert {row["dropouts"] for row in rows} == {"0.2", "none", ""}
    assert {row["hidden"] for row in rows} == {"8", "8 4", ""}
    assert "the best is head ridge" in done.stderr
    metrics = json.loads((tmp_path / "model" / "metrics.json").read_text(encoding="utf-8"))
    assert metrics["test"]["ab"] > 0.8


def test_lists_without_meta_are_refused(folder, tmp_path):
    done = run(tmp_path, folder, "--training_args.weight_decay=[0,0.1]")
    assert done.returncode == 2
    assert "add meta to mode" in done.stderr and "Traceback" not in done.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="Ctrl-C cannot be sent to one process there")
@pytest.mark.parametrize("how", ["interrupt", "kill"])
def test_a_search_that_was_stopped_goes_on(folder, tmp_path, how):
    words = [
        *SMALL[:1], "--meta_epochs=[10,11,12,13,14,15]", "--meta_lr=[1e-3]",
        "--meta_batch=[2]",
        "--aesthetic_model_hidden=[256,64]", "--aesthetic_model_relu=True",
    ]  # fmt: skip
    process = subprocess.Popen(
        command(folder, *words), cwd=tmp_path, env=os.environ | {"PYTHONUNBUFFERED": "1"},
        stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    deadline = time.monotonic() + 120
    while process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
        if (tmp_path / "meta.txt").exists() and len(table(tmp_path)) >= 2:
            break
    process.send_signal(signal.SIGINT if how == "interrupt" else signal.SIGKILL)
    _, message = process.communicate(timeout=60)
    assert process.returncode == (130 if how == "interrupt" else -signal.SIGKILL), message
    assert "Traceback" not in message
    before = (tmp_path / "meta.txt").read_text(encoding="utf-8")
    kept = before.count("\n") - 1
    assert 2 <= kept < 6

    done = run(tmp_path, folder, *words)
    assert done.returncode == 0, done.stderr
    assert f"Already in the storage: {kept} combination" in done.stderr
    after = (tmp_path / "meta.txt").read_text(encoding="utf-8")
    assert after.startswith(before)
    rows = table(tmp_path)
    assert len({(row["epochs"], row["lr"]) for row in rows}) == len(rows) == 6


def test_optuna_searches_ranges_in_a_database_and_goes_on(folder, tmp_path):
    words = [
        *SMALL,
        "--meta_search=optuna",
        "--meta_lr=[1e-4,1e-2]",
        "--loss_model=['mse','ranking']",
    ]
    first = run(tmp_path, folder, *words, "--meta_trials=4")
    assert first.returncode == 0, first.stderr
    assert 1 <= len(table(tmp_path)) <= 4
    more = run(tmp_path, folder, *words, "--meta_trials=7")
    assert more.returncode == 0, more.stderr
    assert "Already in the storage: 4 trials" in more.stderr
    with sqlite3.connect(tmp_path / "meta.db") as connection:
        states = [state for (state,) in connection.execute("SELECT state FROM trials")]
    connection.close()
    assert sum(state in ("COMPLETE", "PRUNED") for state in states) == 7
    assert states.count("COMPLETE") == len(table(tmp_path))
    assert "Of 7 combinations" in more.stderr
    assert (tmp_path / "model" / "meta.html").exists()
    assert (tmp_path / "model" / "model.safetensors").exists()


def test_two_processes_work_on_one_search(folder, tmp_path):
    storage = f"--meta_storage=sqlite:///{(tmp_path / 'shared.db').as_posix()}"
    words = [*SMALL, "--meta_search=optuna", "--meta_lr=[1e-4,1e-2]", "--meta_trials=10", storage]
    # The first makes the database, so that they do not both try to.
    (tmp_path / "0").mkdir()
    alone = run(tmp_path / "0", folder, *words, "--meta_trials=2")
    assert alone.returncode == 0, alone.stderr
    processes = []
    for name in ("1", "2"):
        (tmp_path / name).mkdir()
        processes.append(
            subprocess.Popen(
                command(folder, *words), cwd=tmp_path / name, stderr=subprocess.PIPE,
                stdout=subprocess.DEVNULL, text=True,
            )
        )  # fmt: skip
    for process in processes:
        _, message = process.communicate(timeout=200)
        assert process.returncode == 0, message
    with sqlite3.connect(tmp_path / "shared.db") as connection:
        assert connection.execute("SELECT COUNT(*) FROM studies").fetchone() == (1,)
        states = [state for (state,) in connection.execute("SELECT state FROM trials")]
    connection.close()
    done = sum(state in ("COMPLETE", "PRUNED") for state in states)
    assert 10 <= done <= 10 + 4  # those that were running when the tenth was done
    # Whoever wrote last has seen all of them.
    assert max(len(table(tmp_path / name)) for name in ("1", "2")) == states.count("COMPLETE")


def test_several_mlps_are_one_model_with_uncertainty(folder, tmp_path):
    words = ["--head=mlp", "--mlp_members=3", *SMALL[4:], "--training_args.num_train_epochs=30",
             "--training_args.learning_rate=1e-2", "--aesthetic_model_dropouts=[]"]  # fmt: skip
    done = run(tmp_path, folder, *words)
    assert done.returncode == 0, done.stderr
    with safe_open(tmp_path / "model" / "model.safetensors", "numpy") as file:
        head = json.loads(file.metadata()["head"])
    assert head["kind"] == "ensemble" and len(head["config"]["members"]) == 3
    assert head["config"]["residual_std"] > 0
    again = run(tmp_path, folder, "--mode=evaluate", "--load_model=model", "--save_model=again")
    assert again.returncode == 0, again.stderr
    figures = [
        json.loads((tmp_path / name / "metrics.json").read_text(encoding="utf-8"))["test"]["ab"]
        for name in ("model", "again")
    ]
    assert figures[0] == pytest.approx(figures[1], abs=1e-6)
    assert figures[0] > 0.7
