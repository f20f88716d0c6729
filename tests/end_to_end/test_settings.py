"""Files of settings that people have: the first trainer's, and those of version 0."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests import tiny_models
from tests.conftest import make_images
from tests.scripts import run_script

ROOT = Path(__file__).parents[2]

# The keys of the first trainer's arguments.py, for both of its scripts, with values for few images.
FIRST_TRAINER = """
common_args = {
    "mode": "train,evaluate", "base_model": "", "clip_model": "builtin", "load_model": "",
    "save_model": "model", "top_level_image_directory": r"images", "use_score_file": True,
    "fraction_for_test": 0.25, "test_pick_seed": 42, "eval_every_n_epochs": 1,
}
category_training_args = {"weight_category_loss": True}
aesthetic_training_args = {
    "meta_epochs": [2], "meta_lr": [1e-4], "meta_batch": [4], "meta_fmt": "{:>4}",
    "loss_model": "ranking", "ignore_score_zero": True,
}
aesthetic_model_args = {"aesthetic_model_dropouts": [0.2, 0.2, 0.1], "aesthetic_model_relu": True}
aesthetic_ab_args = {"ab_scorer_size": 600, "use_model_scores_for_stats": True,
                     "max_comparisons": 100, "load_model": "elsewhere"}
aesthetic_analysis_args = {"ab_analysis_regexes": ["^3"]}
training_args = {
    "num_train_epochs": 2, "learning_rate": 2e-4, "lr_scheduler_type": "cosine",
    "warmup_ratio": 0.1, "per_device_train_batch_size": 4, "gradient_accumulation_steps": 2,
    "per_device_eval_batch_size": 8, "save_strategy": "epoch", "save_steps": 200,
    "save_total_limit": 4, "evaluation_strategy": "epoch", "eval_steps": 200,
    "load_best_model_at_end": True,
}

class Args:
    args = {}

args = Args.args
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    base = tmp_path_factory.mktemp("settings")
    for score in range(3):
        make_images(base / "images" / str(score), 8, seed=score)
    (base / "arguments.py").write_text(FIRST_TRAINER)
    return base


def run(place: Path, script: str, *words: str, file: Path = Path("arguments.py")) -> str:
    done = subprocess.run(
        [sys.executable, str(ROOT / f"{script}.py"), f"--arguments={file}", *words],
        cwd=place, env=os.environ | {"OMP_NUM_THREADS": "1"}, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stderr


def test_the_first_trainers_file_trains_a_model_of_taste(place):
    notes = run(place, "aesthetic_predictor_training", "--device=cpu")
    assert "'clip_model' is now 'feature_extractor'" in notes
    (line,) = [line for line in notes.splitlines() if line.startswith("No longer in use")]
    for name in ("meta_fmt", "ignore_score_zero", "evaluation_strategy", "save_strategy"):
        assert line.count(name) == 1
    assert "Only head 'mlp' uses aesthetic_model_relu, training_args; head is 'auto'." in notes
    assert (place / "model" / "report.html").is_file()


def test_its_real_file_trains_both(place, tmp_path, real_assets):
    """Unedited; where its folders and models are not on this computer, the command line says so."""
    file = real_assets / "old-settings" / "first_trainer_arguments.py"
    words = (f"--arguments={file}", "--top_level_image_directory=images", "--load_model=")
    taste = ("--feature_extractor=builtin", "--base_model=", f"--save_model={tmp_path / 'taste'}")
    script = "aesthetic_predictor_training"
    notes = run_script(script, *words, *taste, "--head=ridge", cwd=place, check=True).stderr
    assert "No longer in use" in notes and "training_args.save_strategy" in notes
    base = f"--base_model={tiny_models.convnext(tmp_path / 'backbone')}"
    classes = (base, f"--save_model={tmp_path / 'classes'}")
    run_script("custom_classifier_training", *words, *classes, cwd=place, check=True)
    assert all((tmp_path / name / "report.html").is_file() for name in ("taste", "classes"))


def test_version_0s_file_trains_both(place, tmp_path):
    file = ROOT / "tests" / "fixtures" / "version_0" / "arguments.txt"
    words = ("--top_level_image_directory=images", "--mode=train", "--device=cpu")
    taste = (f"--save_model={tmp_path / 'taste'}", "--feature_extractor=builtin")
    run(place, "aesthetic_predictor_training", *words, *taste, file=file)
    base = f"--base_model={tiny_models.convnext(tmp_path / 'backbone')}"
    words = (*words, base, f"--save_model={tmp_path / 'classes'}")
    notes = run(place, "custom_classifier_training", *words, file=file)
    assert "Old names" not in notes, "it has no key of these scripts that was renamed"


def test_the_first_trainers_file_trains_a_classifier(place, tmp_path):
    base = f"--base_model={tiny_models.convnext(tmp_path / 'backbone')}"
    words = (base, "--save_model=classes", "--train_backbone", "--device", "cpu")
    notes = run(place, "custom_classifier_training", *words)
    assert "'training_args.evaluation_strategy' is now 'training_args.eval_strategy'" in notes
    assert (place / "classes" / "report.html").is_file()
