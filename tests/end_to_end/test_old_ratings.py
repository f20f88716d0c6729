"""Feature stores, choices and scores of version 0: see tests/fixtures/version_0/README.md."""

import json
import sqlite3
from contextlib import closing

import numpy as np
import pytest

from tests.version_0 import EXPECTED, FIXTURES, STORE, copy_fixtures, run, table

CHOICES = json.loads((EXPECTED / "choices.json").read_text("utf-8"))
OLD_COLUMNS = 10  # of the choice log; later versions add some behind them


def open_ratings(folder, **options):
    from src.rating.session import RatingDatabase

    return RatingDatabase(folder, **options)


def kept_features(folder):
    """Extractor -> path -> vector, of the feature store of an image folder."""
    from src.features import open_store
    from src.images import scan_images

    with open_store(folder) as store, closing(sqlite3.connect(store.file)) as connection:
        known = store.known_files(scan_images(folder))
        return {
            identity: dict(zip(known, store.vectors(identity, list(known.values())), strict=True))
            for (identity,) in connection.execute("SELECT identity FROM extractors").fetchall()
        }


@pytest.fixture
def place(tmp_path):
    return copy_fixtures(tmp_path)


def test_the_feature_store_is_read(place):
    found = kept_features(place / "few")
    assert {identity: len(vectors) for identity, vectors in found.items()} == STORE["counts"]
    path_of = {sha256.lower(): path for path, _, _, sha256 in STORE["files"]}
    for identity, sha256, vector in STORE["features"]:
        assert found[identity][path_of[sha256]] == pytest.approx(np.array(vector), abs=1e-5)


def test_the_feature_store_is_pruned(place):
    next((place / "few" / "c").iterdir()).unlink()
    done = run(place, ["prune_features", "--top_level_image_directory=few"], torch=False)
    assert "entries of 1 missing file" in done.stdout
    for vectors in kept_features(place / "few").values():
        assert len(vectors) == len(STORE["files"]) - 1


def read_events(place):
    with closing(sqlite3.connect(place / "choices" / "score_choices.sqlite")) as connection:
        rows = connection.execute("SELECT * FROM events ORDER BY id").fetchall()
    return [row[:OLD_COLUMNS] for row in rows]


@pytest.mark.parametrize("method", ["posterior", "elo"])
def test_choices_give_their_scores(place, method):
    expected, events = CHOICES[method], read_events(place)
    with open_ratings(place / "choices", method=method) as ratings:
        scores, before = ratings.scores(), expected["scores"]
        assert scores.keys() == before.keys()
        if method == "elo":
            assert scores == pytest.approx(before, abs=1e-6)
        else:  # how steep the answers are is learned since
            pairs = np.array([(scores[path], before[path]) for path in before]).T
            assert np.corrcoef(pairs)[0, 1] > 0.98
        assert ratings.comparisons() == expected["comparisons"]
        assert ratings.unrated() == expected["unrated"]
        assert ratings.images == expected["images"]
        left, right = ratings.next_set()
        ratings.record(left, right, "left")
    assert read_events(place)[:-1] == events
    meta = json.loads((place / "choices" / "score.json").read_text("utf-8"))["#meta#"]
    assert meta["note"] == "kept"
    # 9 of the old tool, 91 in the log of which one was a skip and one was taken back, and this one.
    assert meta["evaluations"] == 9 + 91 - 2 + 1


def test_unrated_images_get_a_models_scores(place):
    words = ["--top_level_image_directory=choices", "--load_model=models/builtin"]
    events = read_events(place)
    run(place, ["aesthetic_score_from_model", *words], torch=False)
    assert read_events(place) == events
    with open_ratings(place / "choices") as ratings:
        assert ratings.unrated() == CHOICES["posterior"]["unrated"]
        assert ratings.comparisons() == CHOICES["posterior"]["comparisons"]


@pytest.mark.parametrize("head", ["pairwise", "ridge"])
def test_a_model_is_trained_on_choices_and_scores(place, head):
    words = ["--top_level_image_directory=choices", "--feature_extractor=builtin"]
    words += [f"--head={head}", "--save_model=new"]
    run(place, ["aesthetic_predictor_training", *words], torch=False)
    content = json.loads((FIXTURES / "choices" / "score.json").read_text("utf-8"))
    rated = content.keys() - {"#meta#", *content["#meta#"]["unrated"]}
    assert table(place / "new" / "predictions.csv", "relative_path").keys() == rated


def test_a_score_file_without_a_log_is_where_a_session_begins(place):
    (place / "choices" / "score_choices.sqlite").unlink()
    for folder in ("from_model", "choices"):
        content = json.loads((place / folder / "score.json").read_text("utf-8"))
        unrated = content.pop("#meta#")["unrated"]
        with open_ratings(place / folder) as ratings:
            found = ratings.scores()
            assert {path: found[path] for path in content} == pytest.approx(content, abs=1e-6)
            assert set(ratings.unrated()) - (found.keys() - content.keys()) == set(unrated)
