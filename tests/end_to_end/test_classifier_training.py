"""The real classifier script, as a process of its own, on real images."""

import ast
import csv
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import load_file

from src.image_models.save import MODEL_FILES, RESULT_FILES
from tests import tiny_models
from tests.model_cards import outputs
from tests.scripts import run_script
from tests.torchrun import torchrun

ROOT = Path(__file__).parents[2]
SCRIPT = "custom_classifier_training.py"
TUNING = [
    "--train_backbone=True",
    "--training_args.num_train_epochs=4",
    "--training_args.learning_rate=0.01",
    "--training_args.per_device_train_batch_size=8",
    "--training_args.lr_scheduler_type=constant",
    "--training_args.warmup_steps=0",
]


def command(images, base, saved, *words):
    return [
        SCRIPT,
        f"--top_level_image_directory={images}",
        f"--base_model={base}",
        f"--save_model={saved}",
        "--device=cpu",
        "--evaluation_args.bootstrap_samples=50",
        *words,
    ]


def run(*words, code=0):
    done = subprocess.run(
        [sys.executable, *map(str, words)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        encoding="utf-8",
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        timeout=280,
        check=False,
    )
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    return done


def run_here(script, *words):
    """The same in this process, where it is quicker."""
    done = run_script(Path(script).stem, *words, cwd=ROOT, check=True)
    assert "Traceback" not in done.stderr
    return done


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    """Scikit-learn's digits 0, 1 and 2 as PNG files, 36 of each."""
    from sklearn.datasets import load_digits

    folder = tmp_path_factory.mktemp("digits")
    data = load_digits()
    for label, name in enumerate(["zero", "one", "two"]):
        (folder / name).mkdir()
        for index in np.flatnonzero(data.target == label)[:36].tolist():
            grey = Image.fromarray((data.images[index] * 255 / 16).astype(np.uint8))
            grey.resize((32, 32), Image.Resampling.BICUBIC).save(folder / name / f"{index}.png")
    return folder


@pytest.fixture(scope="module")
def convnext(tmp_path_factory):
    return tiny_models.convnext(tmp_path_factory.mktemp("convnext"), 5)


def table(file):
    with file.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def read(folder):
    return json.loads((folder / "metrics.json").read_text(encoding="utf-8"))


def weights(folder):
    return load_file(folder / "model.safetensors")


@pytest.mark.parametrize(
    "architecture", [tiny_models.vit, tiny_models.convnext, tiny_models.efficientnet]
)
def test_a_whole_model_is_tuned_saved_and_measured(digits, tmp_path, architecture):
    base, saved = architecture(tmp_path / "base", 7), tmp_path / "saved"
    words = [*TUNING, "--ema_decay=0.5", "--augment_mixup=0.2", "--freeze_batch_norm=False"]
    done = run(*command(digits, base, saved, *words))
    assert {file.name for file in saved.iterdir()} == {*MODEL_FILES, *RESULT_FILES, "README.md"}
    assert not (tmp_path / "saved.checkpoints").exists()
    metrics = read(saved)
    rows = table(saved / "predictions.csv")
    correct = [int(row["correct"]) for row in rows if row["part"] == "test"]
    assert metrics["test"]["n"] == len(correct) > 20
    assert metrics["test"]["accuracy"] == np.mean(correct)
    assert {row["part"] for row in rows} == {"train", "validation", "test"}
    losses = [float(loss) for loss in re.findall(r"training loss ([\d.]+)", done.stderr)]
    assert len(losses) == 4
    assert losses[-1] < losses[0]
    assert "validation: " in done.stderr
    before, after = weights(base), weights(saved)
    changed = [key for key in after if before[key].shape != after[key].shape]
    assert all("classifier" in key for key in changed)
    moved = [not np.array_equal(before[key], after[key]) for key in after if key not in changed]
    assert np.mean(moved) > 0.5
    assert "classify_images" in done.stdout


def test_a_head_alone_leaves_the_rest_and_is_measured_and_continued(digits, convnext, tmp_path):
    images, saved = shutil.copytree(digits, tmp_path / "images"), tmp_path / "saved"
    done = run_here(*command(images, convnext, saved, "--export_onnx=True"))
    assert "Exported: " in done.stdout
    assert {file.name for file in saved.iterdir()} == {
        *(*MODEL_FILES, *RESULT_FILES),
        *("README.md", "model.onnx"),
    }
    before, after = weights(convnext), weights(saved)
    for key, value in after.items():
        if not key.startswith("classifier"):
            np.testing.assert_array_equal(value, before[key])
    assert after["classifier.weight"].shape[0] == 3
    first = read(saved)
    assert first["test"]["accuracy"] > first["test"]["chance"]

    # Sorting a folder, with a sidecar, and undoing it.
    new = shutil.copytree(digits / "two", tmp_path / "new")
    sidecar = sorted(new.iterdir())[0].with_suffix(".xmp")
    sidecar.write_text("stars")
    given = contents(new)
    words = ["classify_images.py", f"--load_model={saved}", f"--top_level_image_directory={new}",
             "--action=move", f"--into={tmp_path / 'sorted'}", "--device=cpu",
             f"--table={tmp_path / 'classified.csv'}"]  # fmt: skip
    advice = run_here("tag_images.py", f"--load_model={saved}", "--action=export").stdout
    assert "run.py classify_images" in advice and f"--load_model={saved}" in advice
    assert "would move" in run_here(*words).stdout and contents(new).keys() >= given.keys()
    done = run_here(*words, "--dry_run=False")
    found = [path.parent / path.stem for path in (tmp_path / "sorted").rglob(f"{sidecar.stem}.*")]
    assert len(found) == 2 and found[0] == found[1] and not sidecar.exists()
    run("classify_images.py", re.search(r"--undo=.*", done.stdout)[0])
    assert {name: contents(new)[name] for name in given} == given

    photo = next(name for name in given if name.endswith(".png"))
    by_transformers, by_onnx = outputs(saved, new / photo)
    probabilities = {each["label"]: each["score"] for each in ast.literal_eval(by_transformers)}
    (row,) = (row for row in table(tmp_path / "classified.csv") if row["path"] == photo)
    for name in ("zero", "one", "two"):
        assert probabilities[name] == pytest.approx(float(row[f"p({name})"]), abs=0.01)
    assert sum(map(float, re.findall(r"[\d.e-]+", by_onnx))) == pytest.approx(1, abs=0.01)

    # Going on with a category less and another one more.
    shutil.rmtree(images / "one")
    (images / "two").rename(images / "deux")
    words = command(images, convnext, tmp_path / "next", f"--load_model={saved}")
    done = run_here(*words)
    assert "one" in done.stderr
    assert "deux" in done.stderr
    classes = json.loads((tmp_path / "next" / "categories.json").read_text(encoding="utf-8"))
    assert classes["categories"] == ["zero", "deux"]


def contents(folder):
    """Every file of a folder, but not of folders in it."""
    return {file.name: file.read_bytes() for file in folder.iterdir() if file.is_file()}


def images_tested(folder):
    return {row["path"] for row in table(folder / "predictions.csv") if row["part"] == "test"}


@pytest.mark.timeout(600)
def test_no_round_of_the_loop_tests_on_what_was_trained_on(digits, convnext, tmp_path):
    first = tmp_path / "first"
    run_here(*command(digits, convnext, first))
    metrics, own, before = read(first), images_tested(first), contents(first)
    assert metrics["test"]["n"] == len(own) > 20

    # Other files of the same pictures: renamed, moved, half of them encoded anew and larger.
    other = tmp_path / "other"
    for number, file in enumerate(sorted(digits.rglob("*.png"))):
        target = other / file.parent.name / "deeper" / f"{number}{('.png', '.jpg')[number % 2]}"
        target.parent.mkdir(parents=True, exist_ok=True)
        if number % 2:
            image = Image.open(file)
            image.resize((64, 64), Image.Resampling.BICUBIC).save(target, quality=92)
        else:
            shutil.copy(file, target)
    words = ["--mode=evaluate", f"--load_model={first}", "--test_pick_seed=7"]
    for images, saved, results in (
        (digits, tmp_path / "again", tmp_path / "again"),
        (other, first, first / "evaluation-other"),
        (digits, first, first / f"evaluation-{digits.name}"),
    ):
        done = run_here(*command(images, convnext, saved, *words))
        found = read(results)
        assert (found["task"], found["test"]["n"]) == ("classes", len(own))
        assert contents(first) == before
        assert "training never saw" in done.stdout
        if images == digits:
            assert images_tested(results) == own
            assert found["test"]["log_loss"] == pytest.approx(metrics["test"]["log_loss"], abs=1e-5)
    following = re.search(r"^Next: python run.py (\w+) (.*)$", done.stdout, re.MULTILINE)
    run_here(f"{following[1]}.py", *shlex.split(following[2]), f"--table={tmp_path / 't.csv'}")
    assert len(table(tmp_path / "t.csv")) == 108

    # Two generations, one through load_model and one through base_model.
    second, third = tmp_path / "second", tmp_path / "third"
    run_here(*command(digits, convnext, second, f"--load_model={first}", "--test_pick_seed=7"))
    assert images_tested(second) <= own
    run_here(*command(digits, second, third, "--test_pick_seed=3", "--fraction_for_test=0.1"))
    assert 0 < len(images_tested(third)) < len(images_tested(second))
    assert images_tested(third) <= images_tested(second)

    # A model of an older version does not say what it was trained on.
    (first / "trained_on.safetensors").unlink()
    done = run_here(*command(digits, convnext, tmp_path / "fourth", f"--load_model={first}"))
    assert "first does not say which images it was trained on" in done.stdout


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
def test_after_ctrl_c_the_same_command_ends_where_it_would_have(digits, convnext, tmp_path):
    words = [*TUNING, "--training_args.num_train_epochs=8", "--augment_crop=1"]
    run(*command(digits, convnext, tmp_path / "whole", *words))
    stopped = command(digits, convnext, tmp_path / "stopped", *words)
    with subprocess.Popen(
        [sys.executable, *map(str, stopped)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    ) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if line.startswith("epoch 2:"):
                process.send_signal(signal.SIGINT)
                break
        rest = process.stderr.read()
        assert process.wait(timeout=120) == 130, rest
    assert "Saved in" in rest
    assert list(tmp_path.glob("stopped.checkpoints/*/checkpoint-*/trainer_state.json"))
    assert not (tmp_path / "stopped").exists()
    done = run(*stopped)
    assert "Resuming from" in done.stderr
    assert "epoch 1:" not in done.stderr
    whole, resumed = weights(tmp_path / "whole"), weights(tmp_path / "stopped")
    for key, value in whole.items():
        np.testing.assert_allclose(resumed[key], value, atol=1e-5)
    assert not (tmp_path / "stopped.checkpoints").exists()


@pytest.mark.timeout(600)
@pytest.mark.skipif(sys.platform == "win32", reason="torchrun wants POSIX here")
def test_two_processes_train_as_one_and_write_once(digits, convnext, tmp_path):
    words = [*TUNING, "--augment_crop=1", "--augment_rotation=0", "--augment_colour=0"]
    words += ["--augment_flip=False", "--training_args.optim=sgd"]
    alone = command(digits, convnext, tmp_path / "alone", *words)
    run(*alone, "--training_args.per_device_train_batch_size=8")
    together = command(digits, convnext, tmp_path / "together", *words)
    done = torchrun(*together, "--training_args.per_device_train_batch_size=4", "--device=auto")
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.count("test images that training never saw") == 1
    assert done.stderr.count("epoch 1:") == 1
    files = {file.name for file in (tmp_path / "together").iterdir()}
    assert files == {*MODEL_FILES, *RESULT_FILES, "README.md"}
    one, two = (
        json.loads((tmp_path / name / "metrics.json").read_text("utf-8"))["test"]
        for name in ("alone", "together")
    )
    assert one["n"] == two["n"]
    # The images come in another order, hence not exactly the same.
    assert two["log_loss"] == pytest.approx(one["log_loss"], rel=0.1)


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (["--training_args.learning_rat=1"], "'training_args.learning_rate'?"),
        (["--top_level_image_directory=nowhere"], "there is no folder 'nowhere'"),
        (["--load_model=nowhere"], "there is no classifier in 'nowhere'"),
        (["--mode=evaluate"], "needs load_model"),
        (["--top_level_image_directory=ALONE"], "at least two folders"),
    ],
)
def test_what_the_user_can_mend_is_one_line(digits, convnext, tmp_path, words, part):
    shutil.copytree(digits / "one", tmp_path / "alone" / "one")
    words = [word.replace("ALONE", str(tmp_path / "alone")) for word in words]
    given = command(digits, convnext, tmp_path / "x", *words)[1:]
    done = run_script("custom_classifier_training", *given, cwd=ROOT, check=False)
    assert done.returncode == 2 and part in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert not (tmp_path / "x").exists()


@pytest.mark.real_assets
def test_a_head_on_a_real_backbone_knows_the_photographs_categories(real_assets, tmp_path):
    from src.classifier.target import Classes
    from src.dataset.split import TEST
    from src.image_models.train import train
    from tests.training import training

    photographs = real_assets / "rated-photos"
    for row in table(photographs / "scores.csv"):
        (tmp_path / "images" / row["category"]).mkdir(parents=True, exist_ok=True)
        shutil.copy(photographs / row["relative_path"], tmp_path / "images" / row["category"])
    accuracies = []
    for seed in range(5):
        settings = training(
            top_level_image_directory=tmp_path / "images",
            base_model=real_assets / "backbones" / "mobilenet_v2",
            save_model=tmp_path / "saved",
            test_pick_seed=seed,
        )
        measured = train(settings, Classes(settings))
        test = measured.parts == TEST
        right = measured.probabilities.argmax(axis=1) == measured.data.labels
        accuracies.append(right[test].mean())
    assert np.mean(accuracies) >= 0.82
