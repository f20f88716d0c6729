"""aesthetic_predictor_training.py as a user runs it."""

import csv
import json
import os
import re
import shlex
import shutil
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
from safetensors.numpy import load_file

from src.features import compute_features, open_extractors, open_store
from src.features.store import FILE_NAME
from tests import tiny_models
from tests.conftest import make_images
from tests.scripts import run_script

ROOT = Path(__file__).parents[2]
SCRIPT = "aesthetic_predictor_training.py"


def command(*words: object) -> list[str]:
    return [sys.executable, str(ROOT / SCRIPT), *map(str, words)]


def run(cwd: Path, *words: object, **environment: str) -> subprocess.CompletedProcess[str]:
    """In this process, where that is quicker; with an environment in one of its own."""
    if not environment:
        return run_script(Path(SCRIPT).stem, *words, cwd=cwd)
    return subprocess.run(
        command(*words), cwd=cwd, env=os.environ | environment, capture_output=True, text=True,
        timeout=250, check=False,
    )  # fmt: skip


def read(folder: Path) -> dict:
    return json.loads((folder / "metrics.json").read_text(encoding="utf-8"))


def split_of(folder: Path) -> dict[str, str]:
    with (folder / "predictions.csv").open(encoding="utf-8") as file:
        return {row["relative_path"]: row["split"] for row in csv.DictReader(file)}


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """80 images whose score is their mean brightness, which any extractor sees."""
    images = tmp_path_factory.mktemp("rated") / "my images"
    rows = []
    for path in [*make_images(images / "a", 50, seed=1), *make_images(images / "b", 30, seed=2)]:
        with Image.open(path) as image:
            brightness = np.asarray(image, float).mean() / 25
        rows.append((path.relative_to(images).as_posix(), f"{brightness:.3f}"))
    with (images / "scores.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("relative_path", "score"), *rows])
    return images


def settings(folder: Path, *more: str) -> list[str]:
    return [
        f"--top_level_image_directory={folder}",
        "--feature_extractor=builtin",
        "--save_model=model",
        *more,
    ]


@pytest.fixture(scope="module")
def trained(folder, tmp_path_factory):
    """A finished run: (working folder, its result)."""
    cwd = tmp_path_factory.mktemp("work")
    done = run(cwd, *settings(folder))
    assert done.returncode == 0, done.stderr
    return cwd, done


def test_metrics(trained):
    metrics = read(trained[0] / "model")
    assert set(metrics) >= {"train", "test", "all"}
    for part in ("train", "test", "all"):
        assert set(metrics[part]) >= {"n", "ab", "spearman", "rmse"}
    assert metrics["train"]["n"] + metrics["test"]["n"] == metrics["all"]["n"] == 80
    low, high = metrics["test"]["ab_interval"]
    assert low <= metrics["test"]["ab"] <= high
    assert metrics["test"]["ab"] > 0.85  # brightness is among the features


def test_predictions(trained, folder):
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


def test_the_same_seed_gives_the_same_result(trained, folder, tmp_path):
    assert run(tmp_path, *settings(folder)).returncode == 0
    for name in ("metrics.json", "predictions.csv"):
        assert (tmp_path / "model" / name).read_bytes() == (
            trained[0] / "model" / name
        ).read_bytes()


def test_another_test_pick_seed_tests_on_other_images(trained, folder, tmp_path):
    assert run(tmp_path, *settings(folder, "--head=ridge", "--test_pick_seed=7")).returncode == 0
    assert split_of(trained[0] / "model") != split_of(tmp_path / "model")


def test_evaluating_tests_on_the_same_images_whatever_the_seed_and_changes_nothing(trained, folder):
    """With its own extractor, although the settings name another, which cannot be had."""
    model = trained[0] / "model"
    before = contents(model)
    done = run(trained[0], f"--top_level_image_directory={folder}", "--mode=evaluate",
               "--load_model=model", "--test_pick_seed=7", HF_HUB_OFFLINE="1")  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert read(model / "evaluation-my images")["test"] == read(model)["test"]
    assert contents(model) == before
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("Next: ")]
    words = shlex.split(line.removeprefix("Next: "))
    assert words[:2] == ["python", "run.py"] and "--load_model=model" in words
    done = subprocess.run(
        [sys.executable, str(ROOT / f"{words[2]}.py"), *words[3:]],
        cwd=trained[0], capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def test_an_evaluation_on_other_images_leaves_that_on_the_first_as_it_was(
    trained, folder, tmp_path
):
    """Of the other folder, what is new is tested on: not the copies saved again as JPEG."""
    model = trained[0] / "model"
    other = tmp_path / "other"
    rows = []
    with (folder / "scores.csv").open(encoding="utf-8") as file:
        given = {row["relative_path"]: row["score"] for row in csv.DictReader(file)}
    split = split_of(model)
    other.mkdir()
    for number, (path, score) in enumerate(sorted(given.items())[:40]):
        with Image.open(folder / path) as image:
            image.convert("RGB").save(other / f"{number}.jpg", quality=80)
        rows.append((f"{number}.jpg", score, split[path]))
    for path in make_images(other / "new", 20, seed=9):
        rows.append((path.relative_to(other).as_posix(), f"{len(rows)}", "test"))
    with (other / "scores.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("relative_path", "score"), *(row[:2] for row in rows)])
    new = {path for path, _, part in rows if part == "test"}
    for images, tested in ((other, new), (folder, {p for p in split if split[p] == "test"})):
        words = ["--mode=evaluate", "--load_model=model", "--save_model=figures"]
        done = run(trained[0], f"--top_level_image_directory={images}", *words)
        assert done.returncode == 0, done.stderr
        found = split_of(trained[0] / "figures")
        assert {path for path, part in found.items() if part == "test"} == tested
    assert read(trained[0] / "figures")["test"] == read(model)["test"]


def test_two_generations_never_test_on_what_an_ancestor_has_seen(trained, folder, tmp_path):
    """Going on with other seeds and new images, some of them copies of old ones."""
    images = tmp_path / "images"
    shutil.copytree(folder, images)
    seen = {path for path, part in split_of(trained[0] / "model").items() if part == "train"}
    for generation in (1, 2):
        rows = []
        for path in make_images(images / f"new {generation}", 20, seed=20 + generation):
            rows.append((path.relative_to(images).as_posix(), f"{len(rows)}"))
        copies = sorted(seen)[:5]
        for number, path in enumerate(copies):
            copy = images / f"new {generation}" / f"copy {number}.jpg"
            with Image.open(images / path) as image:
                image.convert("RGB").save(copy, quality=85)
            rows.append((copy.relative_to(images).as_posix(), "1"))
        with (images / "scores.csv").open("a", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows(rows)
        first = trained[0] / "model" if generation == 1 else "generation 1"
        done = run(tmp_path, *settings(images, "--head=ridge", f"--load_model={first}",
                                       f"--test_pick_seed={generation}",
                                       f"--save_model=generation {generation}"))  # fmt: skip
        assert done.returncode == 0, done.stderr
        split = split_of(tmp_path / f"generation {generation}")
        tested = {path for path, part in split.items() if part == "test"}
        assert not tested & seen and len(tested) >= 20
        assert all(split[f"new {generation}/copy {n}.jpg"] == "train" for n in range(len(copies)))
        assert "afresh" in done.stderr
        seen |= split.keys() - tested
    done = run(tmp_path, *settings(images, "--mode=evaluate", "--load_model=generation 2"))
    assert done.returncode == 0, done.stderr
    assert read(tmp_path / "model")["test"]["n"] == len(split) - len(seen)


def test_rating_training_and_going_on_are_measured_by_choices(folder, tmp_path):
    """A person who likes light images, the window's features being those of the model."""
    from src.dataset.scores import DataHolder
    from src.rating.session import RatingDatabase

    images = tmp_path / "images"
    shutil.copytree(folder, images)
    holder = DataHolder.from_folder(images)
    taste = dict(zip(holder.paths, holder.scores, strict=True))
    assert run(tmp_path, *settings(images, "--head=ridge")).returncode == 0  # keeps the features
    assert read(tmp_path / "model")["test"]["ab"] > 0.75
    with open_store(images) as store:
        table = compute_features(images, holder.files, open_extractors("builtin"), store)
    features = dict(zip(table.paths, table.vectors, strict=True))
    rng = np.random.default_rng(0)
    with RatingDatabase(images, seed=0) as database:
        database.set_features(features)
        for _ in range(160):
            left, right = database.next_set()
            chance = 1 / (1 + np.exp(-6 * (taste[left] - taste[right])))
            database.record(left, right, "left" if rng.random() < chance else "right")
    words = settings(images, "--head=ridge")
    for more in ([], ["--load_model=model", "--test_pick_seed=7", "--save_model=again"]):
        done = run(tmp_path, *words, *more)
        assert done.returncode == 0, done.stderr
        metrics = read(tmp_path / ("again" if more else "model"))
        test = metrics["test"]
        assert metrics["task"] == "aesthetic" and metrics["train"]["n"] == metrics["all"]["n"] == 80
        low, high = test["choice_accuracy_interval"]
        assert 0.5 < test["choice_accuracy"] < 1 and low < test["choice_accuracy"] < high
        assert test["picked_pairs"]["trials"] > 100 >= test["choices"]
        assert "the test is your choices" in done.stderr
    done = run(tmp_path, *words, "--mode=evaluate", "--load_model=model")
    assert done.returncode == 0, done.stderr
    found = read(tmp_path / "model" / "evaluation-images")["test"]
    assert (found["n"], found["choice_accuracy"]) == (0, None)
    assert "trained on all of these" in done.stderr


def test_the_pairwise_head_learns_from_the_choices_themselves(folder, tmp_path):
    from src.dataset.scores import DataHolder
    from src.rating.storage.choice_log import ChoiceLog
    from src.rating.storage.choice_rows import Event

    copy = tmp_path / "images"
    shutil.copytree(folder, copy)
    holder = DataHolder.from_folder(copy)
    rng = np.random.default_rng(0)
    log = ChoiceLog(copy)
    for left, right in rng.integers(0, len(holder), (400, 2)):
        outcome = "left" if holder.scores[left] > holder.scores[right] else "right"
        log.append(Event(holder.paths[left], holder.paths[right], outcome, "active"))
    log.close()
    done = run(tmp_path, *settings(copy, "--head=pairwise"))
    assert done.returncode == 0, done.stderr
    metrics = read(tmp_path / "model")
    assert metrics["test"]["ab"] > 0.8
    without = run(tmp_path, *settings(folder, "--head=pairwise"))
    assert without.returncode == 2 and "aesthetic_ab_scorer" in without.stderr


def test_the_kernel_head_is_saved_and_measured_again(folder, tmp_path):
    assert run(tmp_path, *settings(folder, "--head=kernel")).returncode == 0
    done = run(tmp_path, *settings(folder, "--mode=evaluate", "--load_model=model",
                                   "--save_model=again"))  # fmt: skip
    assert done.returncode == 0, done.stderr
    first, second = (read(tmp_path / name)["test"]["ab"] for name in ("model", "again"))
    assert second == pytest.approx(first, abs=1e-3)
    assert first > 0.75


@pytest.mark.parametrize("loss", ["ranking", "mse"])
def test_the_mlp_trains_as_training_args_say_and_goes_on(folder, tmp_path, loss):
    words = [
        "--head=mlp",
        f"--loss_model={loss}",
        "--training_args.num_train_epochs=12",
        "--eval_every_n_epochs=4",
    ]
    done = run(tmp_path, *settings(folder, *words))
    assert done.returncode == 0, done.stderr
    assert "training" in (tmp_path / "model" / "report.html").read_text(encoding="utf-8").lower()
    first = read(tmp_path / "model")
    more = run(tmp_path, *settings(folder, *words, "--load_model=model", "--save_model=more"))
    assert more.returncode == 0, more.stderr
    second = read(tmp_path / "more")
    assert second["train"]["ab"] >= first["train"]["ab"] - 0.02
    weights = [load_file(tmp_path / name / "model.safetensors") for name in ("model", "more")]
    assert weights[0].keys() == weights[1].keys()
    near = np.mean([np.corrcoef(a.ravel(), weights[1][key].ravel())[0, 1]
                    for key, a in weights[0].items() if a.ndim == 2 and a.size > 100])  # fmt: skip
    assert near > 0.9  # from these weights, not from others at random


def test_clip_features_also_give_a_comfyui_file(folder, tmp_path):
    clip = tiny_models.clip(tmp_path / "clip")
    done = run(tmp_path, *settings(folder, f"--feature_extractor={clip}", "--head=ridge"))
    assert done.returncode == 0, done.stderr
    with safe_open(tmp_path / "model" / "comfyui.safetensors", "numpy") as file:
        assert all(name.startswith("main_process.") for name in file.keys())  # noqa: SIM118
        assert {"feature_extractor_model", "layers"} <= file.metadata().keys()


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        (
            ["--leaning_rate=1", "--training_args.per_device_train_batch_size=7",
             "--fraction_for_test=2"],
            ["leaning_rate", "fraction_for_test"],
        ),
        (["--top_level_image_directory=nowhere"], ["nowhere"]),
        (["--feature_extractor=openai/clip-vit-large-patch14"], ["builtin"]),  # without network
        (["--mode=evaluate", "--load_model=broken"], ["broken"]),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_without_a_traceback(folder, tmp_path, words, parts):
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "model.safetensors").write_bytes(b"nonsense")
    done = run(
        tmp_path, *settings(folder, *words), HF_HUB_OFFLINE="1", HF_HOME=str(tmp_path / "hub")
    )
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    told = done.stderr.strip().splitlines()[-len(parts) :]  # a line for each
    assert all(part in line for part, line in zip(parts, told, strict=True))


def test_damaged_images_are_left_out_and_named(folder, tmp_path):
    copy = tmp_path / "images"
    shutil.copytree(folder, copy)
    (copy / "a" / "003.png").write_bytes(b"")
    (copy / "a" / "004.png").write_bytes((copy / "a" / "004.png").read_bytes()[:700])
    done = run(tmp_path, *settings(copy, "--head=ridge"))
    assert done.returncode == 0, done.stderr
    assert "2 images that cannot be read" in done.stderr and "a/003.png" in done.stderr
    metrics = read(tmp_path / "model")
    assert metrics["all"]["n"] == 78


def test_a_model_made_for_other_features_is_refused(trained, folder, tmp_path):
    vit = tiny_models.vit(tmp_path / "vit")
    done = run(
        tmp_path,
        *settings(folder, f"--load_model={trained[0] / 'model'}"),
        f"--feature_extractor={vit}",
    )
    assert done.returncode == 2
    assert "builtin" in done.stderr and "Traceback" not in done.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="Ctrl-C cannot be sent to one process there")
def test_ctrl_c_keeps_features_that_are_done(tmp_path):
    images = tmp_path / "images"
    paths = make_images(images / "1", 60, size=(600, 400), seed=5)
    (images / "2").mkdir()
    for path in paths[::2]:
        path.rename(images / "2" / path.name)
    environment = os.environ | {"PYTHONUNBUFFERED": "1"}
    process = subprocess.Popen(
        command(*settings(images), "--evaluation_args.per_device_eval_batch_size=4"),
        cwd=tmp_path, env=environment, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    kept = 0
    deadline = time.monotonic() + 120
    while not kept and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
        kept = count(images)
    process.send_signal(signal.SIGINT)
    _, message = process.communicate(timeout=60)
    assert process.returncode == 130, message
    assert "Traceback" not in message and "kept" in message
    kept = count(images)
    assert 0 < kept < 60
    assert run(tmp_path, *settings(images, "--head=ridge")).returncode == 0
    assert count(images) == 60


def count(images: Path) -> int:
    file = images / FILE_NAME
    if not file.exists():
        return 0
    try:
        with sqlite3.connect(f"file:{file}?mode=ro", uri=True) as connection:
            (number,) = connection.execute("SELECT COUNT(*) FROM features").fetchone()
    except sqlite3.OperationalError:
        return 0
    finally:
        connection.close()
    return int(number)


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
