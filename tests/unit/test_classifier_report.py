"""The pages that show a classifier's results."""

import csv
import json
import urllib.request
from pathlib import Path

import numpy as np
import pytest

from src.classifier.results import Measured, columns, measure, recorded_parts, write_results
from src.dataset.classes import read_categories
from src.dataset.parts import TEST, TRAIN
from src.reports import spotlight
from src.reports.classifier_report import describe
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
    return Measured(data, parts, shares, features, unseen=shares, notes=["<a note>"])


def test_all_results_are_written_and_say_the_same(measured, tmp_path):
    folder = tmp_path / "model"
    metrics = write_results(folder, measured, bootstrap=20, images=4)
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
    with (folder / "label_errors.csv").open(encoding="utf-8", newline="") as stream:
        suspects = list(csv.DictReader(stream))
    assert {row["path"] for row in suspects} == {"cat & dog/003.png", "emu/003.png"}
    with (folder / "confusion_matrix.csv").open(encoding="utf-8", newline="") as stream:
        matrix = np.array([row[1:] for row in list(csv.reader(stream))[1:]], int)
    assert matrix.sum() == len(tested)
    assert np.trace(matrix) == sum(row["correct"] == "1" for row in tested)
    parts = recorded_parts(folder)
    assert parts["emu/000.png"] == TEST
    assert sorted(set(parts.values())) == [TRAIN, TEST]


def test_the_page_is_whole_in_itself_and_escapes_names(measured, tmp_path):
    write_results(tmp_path / "model", measured, bootstrap=0, images=4)
    page = (tmp_path / "model" / "report.html").read_text(encoding="utf-8")
    assert "cat &amp; dog" in page
    assert "&lt;a note&gt;" in page
    assert "<svg" in page
    assert page.count("data:image/jpeg;base64,") >= 6
    assert 'src="http' not in page
    assert "Labels that are probably wrong" in page


def test_without_test_images_nothing_is_claimed(measured, tmp_path):
    parts = np.full(60, TRAIN, np.int8)
    alone = Measured(
        measured.data, parts, measured.probabilities, measured.features, measured.unseen
    )
    metrics = write_results(tmp_path / "model", alone, bootstrap=5, images=0)
    assert metrics["test"]["accuracy"] is None
    assert "Nothing was kept back" in " ".join(describe(metrics))


def test_the_chance_level_is_that_of_the_training_images(measured):
    # 20 of the test images' labels are even; training has 20 and 20, so guessing gives a half.
    assert measure(measured, 0)["test"]["chance"] == pytest.approx(0.5)


def test_a_poor_model_is_called_one(measured):
    shares = np.tile([0.9, 0.1], (60, 1))
    poor = Measured(measured.data, measured.parts, shares, measured.features, shares)
    text = " ".join(describe(measure(poor, 0)))
    assert "learnt nothing" in text
    assert "emu" in text


def test_spotlight_serves_the_table_on_this_computer_alone(measured):
    pytest.importorskip("renumics.spotlight")
    data = measured.data
    files = [data.directory / path for path in data.paths]
    viewer = spotlight.show(
        files,
        columns(measured),
        label="label",
        prediction="prediction",
        embedding=measured.features,
        wait=False,
    )
    try:
        assert viewer.host == "127.0.0.1"
        with urllib.request.urlopen(f"http://127.0.0.1:{viewer.port}/", timeout=30) as answer:
            assert answer.status == 200
        frame = viewer.df
        assert len(frame) == 60
        assert {"image", "label", "prediction", "embedding", "p(emu)"} <= set(frame.columns)
        assert Path(frame["image"][0]) == files[0].resolve()
    finally:
        viewer.close()


def test_spotlight_that_is_not_installed_is_one_clear_line(measured, monkeypatch):
    import sys

    from src.errors import MissingExtra

    monkeypatch.setitem(sys.modules, "renumics", None)
    with pytest.raises(MissingExtra, match="renumics-spotlight"):
        spotlight.show([], {}, label="label", prediction="prediction")
