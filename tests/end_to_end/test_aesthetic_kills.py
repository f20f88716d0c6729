"""Killed at any step of its writing, a training leaves the old model or the new one, each whole."""

import csv
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from src.aesthetic.predictor import Predictor
from src.dataset.trained_on import TrainedOn
from tests.conftest import make_images
from tests.scripts import run_script

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs fork")
SMALL_MLP = ["--aesthetic_model_hidden=[4]", "--aesthetic_model_dropouts=[]"]
MODES = {
    "train": [],
    "load_model": ["--load_model=one"],
    "meta": [
        "--mode=meta",
        "--meta_epochs=[1]",
        "--meta_lr=[1e-3]",
        "--meta_batch=[8]",
        *SMALL_MLP,
    ],
    "evaluate": ["--mode=evaluate", "--load_model=model"],
}


def run(cwd, *words):
    usual = ["--top_level_image_directory=images", "--feature_extractor=builtin",
             "--save_model=model", "--evaluation_args.bootstrap_samples=9",
             "--evaluation_args.report_images=1"]  # fmt: skip
    head = "--head=mlp" if "--mode=meta" in words else "--head=ridge"
    done = run_script("aesthetic_predictor_training", *usual, head, *words, cwd=cwd)
    assert done.returncode == 0, done.stderr
    return done


def killed(cwd, words, step):
    """Whether a run was killed before it made its `step`th change to the names of files."""
    child = os.fork()
    if child:
        return os.WIFSIGNALED(os.waitpid(child, 0)[1])
    count = 0

    def before(event, given):
        nonlocal count
        if event in ("os.rename", "os.remove", "os.mkdir", "shutil.rmtree") and (
            "model" in str(given[0])
        ):
            count += 1
            if count == step:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(before)
    try:
        run(cwd, *words)
    finally:
        os._exit(0)


def split(folder):
    """The paths of the training images, by predictions.csv."""
    with (folder / "predictions.csv").open(encoding="utf-8") as file:
        return {row["relative_path"] for row in csv.DictReader(file) if row["split"] == "train"}


@pytest.fixture(scope="module")
def work(tmp_path_factory):
    """Rated images and two models of them, with different images to test on."""
    import src.aesthetic.search.run
    import src.reports.meta_report  # noqa: F401

    cwd = tmp_path_factory.mktemp("work")
    rng = np.random.default_rng(0)
    for path in make_images(cwd / "images", 30, size=(32, 24)):
        rank = cwd / "images" / str(rng.integers(1, 4))
        rank.mkdir(exist_ok=True)
        path.rename(rank / path.name)
    for seed, name in ((1, "one"), (2, "two")):
        run(cwd, f"--test_pick_seed={seed}", f"--save_model={name}")
    assert split(cwd / "one") != split(cwd / "two")
    return cwd


@pytest.mark.parametrize("mode", MODES)
def test_a_killed_run_leaves_one_whole_model(work, mode):
    folder, words = work / "model", [*MODES[mode], "--test_pick_seed=2"]
    made = {1: work / "one", 2: work / "two"}
    step, kills = 1, 0
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(made[1], folder)
    while killed(work, words, step):
        kills += 1
        seed = Predictor.load(folder).provenance["test_pick_seed"]
        assert seed in ((1,) if mode == "evaluate" else (1, 2))
        expected = TrainedOn.load(made[seed])
        if (folder / "trained_on.safetensors").exists() and mode != "load_model":
            assert np.array_equal(TrainedOn.load(folder).sha256s, expected.sha256s)
        if (folder / "predictions.csv").exists() and mode != "load_model":
            assert split(folder) == split(made[seed])
        step += 8 if mode == "meta" else 3
        if seed == 2:
            shutil.rmtree(folder)
            shutil.copytree(made[1], folder)
    assert kills > 1
    for left in folder.rglob(".*.tmp"):
        os.utime(left, (0, 0))  # long ago
    run(work, *words)
    assert not list(folder.rglob(".*.tmp"))


@pytest.mark.parametrize("module", ["src.errors", "pydantic", "matplotlib.figure"])
def test_ctrl_c_during_imports_and_plotting_is_one_line(work, module):
    script = Path(__file__).parents[2] / "aesthetic_predictor_training.py"
    words = ["--top_level_image_directory=images", "--feature_extractor=builtin", "--head=ridge"]
    said = []
    with subprocess.Popen(
        [sys.executable, "-X", "importtime", script, *words, "--save_model=stopped"], cwd=work,
        stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True,
    ) as process:  # fmt: skip
        for line in process.stderr:
            said += [] if line.startswith("import time:") else [line]
            if line.endswith(f" {module}\n"):
                process.send_signal(signal.SIGINT)
    assert process.returncode == 130
    assert said[-1].startswith("Stopped.") and "Traceback" not in "".join(said)
