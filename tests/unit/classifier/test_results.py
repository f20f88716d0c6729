"""The pages that show a classifier's results."""

import csv
import json
import urllib.request
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from src.classifier.results import columns, measure, write_results
from src.dataset.classes import read_categories
from src.dataset.split import TEST, TRAIN
from src.dataset.suspected_labels import read_suspected
from src.evaluation.verdicts import classification_verdicts
from src.image_models.target import Images, Predictions
from src.reports import spotlight
from src.settings.keys import EvaluationArgs
from tests.browser import faults
from tests.conftest import make_images


@pytest.fixture
def measured(tmp_path):
    make_images(tmp_path / "images" / "cat & dog", 30)
    make_images(tmp_path / "images" / "emu", 30, seed=1)
    data = read_categories(tmp_path / "images")
    rng = np.random.default_rng(0)
    right = rng.uniform(0.6, 1.0, 60)
    right[[3, 33]] = 0.02  # clearly wrong labels
    shares = np.where(data.labels[:, None] == [0, 1], right[:, None], 1 - right[:, None])
    parts = np.where(np.arange(60) % 3 == 0, TEST, TRAIN).astype(np.int8)
    features = rng.normal(0, 1, (60, 5)).astype(np.float32)
    data = replace(data, notes=("<a note>",))
    looks = rng.integers(0, 256, (60, 32), dtype=np.uint8)
    images = Images(data, [bytes(32)] * 60, looks, np.arange(60), features)
    return Predictions(images, parts, shares, out_of_fold=shares)


def write(folder, predictions, bootstrap=0, images=4):
    options = EvaluationArgs(bootstrap_samples=bootstrap, report_images=images)
    return write_results(folder, predictions, options)


def test_all_results_are_written_and_say_the_same(measured, tmp_path):
    folder = tmp_path / "model"
    metrics = write(folder, measured, bootstrap=20)
    assert json.loads((folder / "metrics.json").read_text("utf-8")) == metrics
    assert metrics["classes"] == {"cat & dog": 30, "emu": 30}
    with (folder / "predictions.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == 60
    tested = [row for row in rows if row["part"] == "test"]
    accuracy = np.mean([row["correct"] == "1" for row in tested])
    assert metrics["test"]["accuracy"] == pytest.approx(accuracy)
    assert all(
        float(row["p(emu)"]) + float(row["p(cat & dog)"]) == pytest.approx(1, abs=1e-5)
        for row in rows
    )
    suspects = read_suspected(folder / "suspected_labels.csv")
    assert {(item.path, item.kind, item.label, item.suggested) for item in suspects} == {
        ("cat & dog/003.png", "class", "cat & dog", "emu"),
        ("emu/003.png", "class", "emu", "cat & dog"),
    }
    with (folder / "confusion_matrix.csv").open(encoding="utf-8", newline="") as stream:
        matrix = np.array([row[1:] for row in list(csv.reader(stream))[1:]], int)
    assert matrix.sum() == len(tested)
    assert np.trace(matrix) == sum(row["correct"] == "1" for row in tested)
    assert metrics["task"] == "classes"
    assert [metrics[part]["n"] for part in ("train", "test", "all")] == [40, 20, 60]


def test_the_page_is_whole_in_itself_and_escapes_names(measured, tmp_path):
    write(tmp_path / "model", measured)
    page = (tmp_path / "model" / "report.html").read_text(encoding="utf-8")
    assert "cat &amp; dog" in page
    assert "&lt;a note&gt;" in page
    assert "<svg" in page
    assert page.count("data:image/jpeg;base64,") >= 6
    assert 'src="http' not in page
    assert "Labels that may be wrong" in page


def test_without_test_images_nothing_is_claimed(measured, tmp_path):
    alone = replace(measured, parts=np.full(60, TRAIN, np.int8))
    metrics = write(tmp_path / "model", alone, images=0)
    assert metrics["test"]["accuracy"] is None
    assert "no telling how good" in " ".join(classification_verdicts(metrics))


def test_the_chance_level_is_that_of_the_training_images(measured):
    parts = np.full(60, TRAIN, np.int8)
    parts[:24] = parts[30:40] = TEST  # 6 and 20 images are left to train on
    found = measure(replace(measured, parts=parts))["test"]
    assert found["chance"] == pytest.approx(24 / 34 * 6 / 26 + 10 / 34 * 20 / 26)
    assert found["majority"] == pytest.approx(10 / 34)


def metrics_of(accuracy, majority, n=100, **more):
    from src.evaluation.proportion import Proportion

    interval = Proportion(round(accuracy * n), n).interval
    test = {"n": n, "accuracy": accuracy, "majority": majority, "accuracy_interval": interval}
    test |= {"calibration_error": 0.0, "per_class": []}
    suspected = {"n": 0, "expected_wrong": None}
    return {"test": test, "unknown_training_images": [], "suspected_labels": suspected} | more


@pytest.mark.parametrize(
    ("metrics", "part"),
    [
        (metrics_of(0.5, 0.5), "anything useful"),
        (metrics_of(0.6, 0.55), "may be due to chance"),
        (metrics_of(1.0, 0.5, n=24), "86% to 100%"),
        (metrics_of(0.9, 0.5, unknown_training_images=["old"]), "old does not say which images"),
        (
            metrics_of(0.9, 0.5, suspected_labels={"n": 46, "expected_wrong": 2.8}),
            "The model disagrees with 46 labels; about 3 of them are probably wrong",
        ),
    ],
)
def test_sentences_follow_from_the_metrics(metrics, part):
    text = " ".join(classification_verdicts(metrics))
    assert part in text
    assert ("chance" in text) == (part == "may be due to chance")
    assert ("never saw" in text) == (not metrics["unknown_training_images"])


def test_spotlight_serves_the_table_on_this_computer_alone(measured):
    pytest.importorskip("renumics.spotlight")
    data = measured.data
    files = [data.directory / path for path in data.paths]
    viewer = spotlight.show(
        files,
        columns(measured),
        label="label",
        prediction="predicted",
        embedding=measured.images.features,
        wait=False,
    )
    try:
        assert viewer.host == "127.0.0.1"
        with urllib.request.urlopen(f"http://127.0.0.1:{viewer.port}/", timeout=30) as answer:
            assert answer.status == 200
        frame = viewer.df
        assert len(frame) == 60
        assert {"image", "label", "predicted", "embedding", "p(emu)"} <= set(frame.columns)
        assert Path(frame["image"][0]) == files[0].resolve()
    finally:
        viewer.close()


@pytest.mark.browser
def test_the_page_can_be_read_on_every_screen(browser, measured, tmp_path):
    write(tmp_path / "model", measured)
    assert faults(browser, (tmp_path / "model" / "report.html").as_uri()) == []
