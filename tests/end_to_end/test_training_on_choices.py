"""Training on the choices of the rating window, which are then the test."""

import shutil

import numpy as np

from src.features import compute_features, open_extractors, open_store
from tests.aesthetic_training import read, run, settings


def test_rating_training_and_going_on_are_measured_by_choices(rated_images, tmp_path):
    """A person who likes light images, the window's features being those of the model."""
    from src.dataset.scores import DataHolder
    from src.rating.session import RatingDatabase

    images = tmp_path / "images"
    shutil.copytree(rated_images, images)
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


def test_the_pairwise_head_learns_from_the_choices_themselves(rated_images, tmp_path):
    from src.dataset.scores import DataHolder
    from src.rating.storage.choice_log import ChoiceLog
    from src.rating.storage.choice_rows import Event

    copy = tmp_path / "images"
    shutil.copytree(rated_images, copy)
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
    without = run(tmp_path, *settings(rated_images, "--head=pairwise"))
    assert without.returncode == 2 and "aesthetic_ab_scorer" in without.stderr
