"""The script that gives unrated images a model's score."""

import json
import math
import statistics
import subprocess
from pathlib import Path

import numpy as np
import pytest

from src.aesthetic.heads import LinearHead
from src.aesthetic.predictor import Predictor
from src.features.builtin import BuiltinExtractor
from src.images import open_image
from src.rating.session import RatingDatabase
from tests.conftest import make_images
from tests.scripts import run_script

ROOT = Path(__file__).resolve().parents[2]


def run(folder: Path, *words: str) -> "subprocess.CompletedProcess[str]":
    return run_script("aesthetic_score_from_model", f"--top_level_image_directory={folder}", *words)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    make_images(tmp_path / "photos" / "a", 7)
    make_images(tmp_path / "photos" / "b", 5, seed=1, suffix=".jpg")
    return tmp_path / "photos"


@pytest.fixture
def model(tmp_path: Path, photos: Path) -> Path:
    """A linear model of the built-in features, trained on four of the images."""
    vectors = features(photos)
    weight = np.random.default_rng(0).normal(0, 1, len(next(iter(vectors.values()))))
    predictor = Predictor.from_training(
        LinearHead(weight, 3.0),
        np.stack(list(vectors.values())[:4]),
        extractors=[BuiltinExtractor().describe()],
    )
    predictor.save(tmp_path / "model")
    return tmp_path / "model"


def features(folder: Path) -> dict[str, np.ndarray]:
    extractor = BuiltinExtractor()
    return {
        path.relative_to(folder).as_posix(): extractor.prepare(
            open_image(path, min_side=extractor.min_side)
        )
        for path in sorted(folder.glob("*/*.*"))
    }


def expected(folder: Path, model: Path, unrated: set[str], deviation: float) -> dict[str, float]:
    """The recipe of the seed, step by step."""
    vectors = features(folder)
    raw = Predictor.load(model).predict(np.stack(list(vectors.values()))).tolist()
    mean = statistics.fmean(raw)
    squashed = {
        path: math.tanh(value - mean)
        for path, value in zip(vectors, raw, strict=True)
        if path in unrated
    }
    factor = deviation / statistics.pstdev(squashed.values())
    return {path: value * factor for path, value in squashed.items()}


def read(folder: Path) -> tuple[dict[str, float], dict[str, int]]:
    scores = json.loads((folder / "score.json").read_text(encoding="utf-8"))
    return scores, scores.pop("#meta#")


def test_without_ratings_all_images_are_filled_with_a_deviation_of_a_half(photos, model):
    done = run(photos, f"--load_model={model}")
    assert (done.returncode, done.stderr) == (0, "")
    scores, meta = read(photos)
    wanted = expected(photos, model, set(features(photos)), 0.5)
    assert scores == pytest.approx(wanted, abs=1e-4)
    assert (meta["evaluations"], meta["model_evals"]) == (0, 12)
    assert "aesthetic_ab_scorer" in done.stdout
    rows = [line.split() for line in done.stdout.splitlines()]
    assert ["rated", "by", "you", "0", "0.00", "0.00"] in rows
    assert ["new,", "from", "the", "model", "12"] in [row[:5] for row in rows]


@pytest.mark.parametrize("method", ["elo", "posterior"])
def test_only_images_that_nobody_rated_are_filled(photos, model, method):
    with RatingDatabase(photos, method=method, selection="random", seed=3) as database:
        for _ in range(4):
            database.record(*database.next_set(), "left")
        unrated = set(database.unrated())
    before, _ = read(photos)
    assert 0 < len(unrated) < 12
    done = run(photos, f"--load_model={model}", f"--ab_scorer_method={method}")
    assert (done.returncode, done.stderr) == (0, "")
    scores, meta = read(photos)
    rated = {path: score for path, score in before.items() if path not in unrated}
    wanted = expected(photos, model, unrated, statistics.pstdev(rated.values()))
    # Of the posterior's scores only the differences mean anything.
    level = statistics.fmean(scores[path] - rated[path] for path in rated)
    assert {path: scores[path] - level for path in rated} == pytest.approx(rated, abs=1e-3)
    level = statistics.fmean(scores[path] - wanted[path] for path in wanted)
    assert {path: scores[path] - level for path in wanted} == pytest.approx(wanted, abs=1e-3)
    assert (meta["evaluations"], meta["model_evals"]) == (4, len(unrated))
    with RatingDatabase(photos, method=method) as database:
        assert set(database.unrated()) == unrated  # a guess is no rating


def test_new_images_are_filled_when_they_come(photos, model):
    run(photos, f"--load_model={model}")
    make_images(photos / "c", 3, seed=2)
    done = run(photos, f"--load_model={model}")
    assert done.returncode == 0
    scores, _ = read(photos)
    assert len(scores) == 15


def test_a_dry_run_writes_nothing(photos, model):
    with RatingDatabase(photos, seed=3) as database:
        database.record(*database.next_set(), "left")
    before = {path.name: path.read_bytes() for path in photos.glob("score*")}
    done = run(photos, f"--load_model={model}", "--dry_run=True")
    assert done.returncode == 0
    assert {path.name: path.read_bytes() for path in photos.glob("score*")} == before
    assert "nothing was written" in done.stdout
    assert "10" in done.stdout.splitlines()[2]


def test_a_dry_run_in_a_fresh_folder_writes_nothing(photos, model):
    assert run(photos, f"--load_model={model}", "--dry_run=True").returncode == 0
    assert not list(photos.glob("score*"))


def test_a_damaged_image_is_counted_and_left_out(photos, model):
    (photos / "a" / "000.png").write_bytes(b"broken")
    done = run(photos, f"--load_model={model}")
    assert done.returncode == 0
    assert ["not", "readable", "1"] in [line.split() for line in done.stdout.splitlines()]
    scores, _ = read(photos)
    assert scores.get("a/000.png", 0.0) == pytest.approx(0.0, abs=1e-6)


def test_a_published_head_scores_with_its_own_extractor(photos, tmp_path):
    from safetensors.numpy import save_file

    from tests import tiny_models

    clip = tiny_models.clip(tmp_path / "clip")
    rng = np.random.default_rng(1)
    head = tmp_path / "head.safetensors"
    tensors = {
        "main_process.1.weight": rng.normal(0, 1, (1, 24)).astype(np.float32),
        "main_process.1.bias": np.zeros(1, np.float32),
    }
    save_file(tensors, head, {"feature_extractor_model": str(clip), "layers": "[]"})
    done = run(photos, f"--load_model={head}", "--device=cpu")
    assert done.returncode == 0, done.stderr
    scores, meta = read(photos)
    assert statistics.pstdev(scores.values()) == pytest.approx(0.5, abs=1e-3)
    assert meta["model_evals"] == 12


@pytest.mark.parametrize(
    ("word", "said"), [("", "load_model is empty"), ("--load_model=no/model", "no/model")]
)
def test_a_missing_model_is_one_line(photos, word, said):
    done = run(photos, *([word] if word else []))
    assert done.returncode == 2
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not (photos / "score.json").exists()
