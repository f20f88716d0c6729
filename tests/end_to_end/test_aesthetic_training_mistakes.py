"""What is wrong, damaged or interrupted while a model of taste is trained."""

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from src.features.store import FILE_NAME
from tests import tiny_models
from tests.aesthetic_training import command, read, run, settings
from tests.conftest import make_images


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
def test_what_is_wrong_is_told_without_a_traceback(rated_images, tmp_path, words, parts):
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "model.safetensors").write_bytes(b"nonsense")
    done = run(
        tmp_path, *settings(rated_images, *words), HF_HUB_OFFLINE="1", HF_HOME=str(tmp_path / "hub")
    )
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    told = done.stderr.strip().splitlines()[-len(parts) :]  # a line for each
    assert all(part in line for part, line in zip(parts, told, strict=True))


def test_damaged_images_are_left_out_and_named(rated_images, tmp_path):
    copy = tmp_path / "images"
    shutil.copytree(rated_images, copy)
    (copy / "a" / "003.png").write_bytes(b"")
    (copy / "a" / "004.png").write_bytes((copy / "a" / "004.png").read_bytes()[:700])
    done = run(tmp_path, *settings(copy, "--head=ridge"))
    assert done.returncode == 0, done.stderr
    assert "2 images that cannot be read" in done.stderr and "a/003.png" in done.stderr
    metrics = read(tmp_path / "model")
    assert metrics["all"]["n"] == 78


def test_a_model_made_for_other_features_is_refused(trained, rated_images, tmp_path):
    vit = tiny_models.vit(tmp_path / "vit")
    done = run(
        tmp_path,
        *settings(rated_images, f"--load_model={trained[0] / 'model'}"),
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
