"""Tables, steps, score files, calibration and the gallery."""

import csv
import json

import numpy as np
import pytest
from PIL import Image

from src.aesthetic.calibration import Calibration
from src.aesthetic.heads import LinearHead
from src.aesthetic.predictor import Predictor
from src.errors import DataError, ModelError
from src.features import open_extractors
from src.reports.gallery import relative_url, write_gallery
from src.reports.thumbnails import write_thumbnails
from src.scoring.actions import quantiles, steps
from src.scoring.scored import Scored, reopen_extractors, score_folder
from src.scoring.table import histogram, write_table
from tests.conftest import make_images

COLUMNS = {"path": ['a,"b".png', "ü/c.png"], "score": np.array([1.25, -0.5])}


def scored(tmp_path, scores, **more) -> Scored:
    n = len(scores)
    numbers = {"score": np.array(scores, float), **more}
    paths, contents = [f"{i}.png" for i in range(n)], [bytes([i]) for i in range(n)]
    return Scored(tmp_path, paths, numbers, contents, np.zeros((n, 32), np.uint8), {})


def test_tables_come_back_as_they_were(tmp_path):
    for ending in ("csv", "json", "parquet"):
        write_table(tmp_path / f"t.{ending}", COLUMNS)
    with (tmp_path / "t.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["path"] for row in rows] == COLUMNS["path"]
    assert [float(row["score"]) for row in rows] == [1.25, -0.5]
    entries = json.loads((tmp_path / "t.json").read_text(encoding="utf-8"))
    assert entries[1] == {"path": "ü/c.png", "score": -0.5}
    parquet = pytest.importorskip("pyarrow.parquet").read_table(tmp_path / "t.parquet")
    assert parquet.to_pydict() == {"path": COLUMNS["path"], "score": [1.25, -0.5]}


def test_the_histogram_counts_every_image():
    lines = histogram(np.array([0.0, 0.0, 1.0])).splitlines()
    assert len(lines) == 11
    assert lines[0].endswith(" 2") and lines[-1].endswith(" 1")
    assert lines[0].count("█") == 40 and lines[-1].count("█") == 20
    alike = np.array([-8.5, np.nextafter(-8.5, 0, dtype=np.float32)], np.float32)
    for values in (alike, alike[:1], [3.0, 3.0]):
        assert sum(int(line.split()[-1]) for line in histogram(values).splitlines()) == len(values)


def test_sorting_breaks_ties_by_path(tmp_path):
    table = scored(tmp_path, [1, 2, 2, 0], probability=np.array([0.1, 0.2, 0.3, 0.4]))
    best = table.sorted(best_first=True)
    assert best.paths == ["1.png", "2.png", "0.png", "3.png"]
    assert best.numbers["probability"].tolist() == [0.2, 0.3, 0.1, 0.4]
    assert best.sha256s == [b"\1", b"\2", b"\0", b"\3"]
    assert table.sorted(best_first=False).paths == ["3.png", "0.png", "1.png", "2.png"]


def test_quantiles_give_equal_scores_one_step(tmp_path):
    assert quantiles(np.array([5.0, 1, 5, 9])).tolist() == [0.25, 0.0, 0.25, 0.75]
    table = scored(tmp_path, [5, 1, 5, 9])
    assert steps(table, [0.25, 0.5], "quantile").tolist() == [1, 0, 1, 2]
    assert steps(table, [5], "score").tolist() == [1, 0, 1, 1]


def test_cuts_in_what_the_model_does_not_give(tmp_path):
    with pytest.raises(DataError, match="bce"):
        steps(scored(tmp_path, [1, 2]), [0.5], "probability")


def test_platt_scaling_finds_the_logistic_that_made_the_labels():
    rng = np.random.default_rng(0)
    scores = rng.normal(3, 2, 20_000)
    kept = rng.random(20_000) < 1 / (1 + np.exp(-(1.5 * scores - 4)))
    found = Calibration.fit(scores, kept)
    assert found.slope == pytest.approx(1.5, abs=0.06)
    assert found.offset == pytest.approx(-4, abs=0.16)


def test_separable_scores_do_not_end_at_certainty():
    found = Calibration.fit([-1.0, -1.0, 1.0, 1.0], [0, 0, 1, 1])
    # Two of each, all on one side: Platt's targets are 3/4 and 1/4, and both can be met.
    assert found([-1.0, 1.0]) == pytest.approx([0.25, 0.75])
    with pytest.raises(ModelError, match="add some of the kind that is missing"):
        Calibration.fit([1.0, 2.0], [1, 1])


def test_scores_that_say_the_opposite_say_nothing():
    found = Calibration.fit([2.0, 1.5, 1.0, 0.5], [0, 0, 0, 1])
    # Platt's targets: 2/3 for the one kept image, 1/5 for the three deleted ones.
    assert found([-9.0, 9.0]) == pytest.approx([(2 / 3 + 3 / 5) / 4] * 2)


def test_a_model_keeps_its_calibration(tmp_path):
    head = LinearHead(np.array([1.0, 2.0]), 0.0)
    model = Predictor(head, calibration=Calibration(2.0, -1.0))
    model.save(tmp_path)
    loaded = Predictor.load(tmp_path)
    assert loaded.calibration == Calibration(2.0, -1.0)
    assert loaded.probability([0.5]) == pytest.approx([0.5])
    assert Predictor(head).probability([0.5]) is None


@pytest.mark.parametrize("entry", [{}, {"slope": 1}, {"slope": float("nan"), "offset": 0}])
def test_a_damaged_calibration_is_refused(entry):
    with pytest.raises(ModelError, match="damaged"):
        Calibration.restore(entry)


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    folder = tmp_path_factory.mktemp("images")
    make_images(folder / "sub", 4)
    return folder


def test_a_folder_is_scored_by_the_model_alone(images):
    (builtin,) = open_extractors("builtin")
    model = Predictor(LinearHead(np.eye(510)[3], 0.5), extractors=(builtin.describe(),))
    result = score_folder(images, model, reopen_extractors(model))
    assert result.paths == [f"sub/{i:03d}.png" for i in range(4)]
    builtin.load()
    with Image.open(images / "sub/002.png") as image:
        features = builtin.extract([builtin.prepare(image.convert("RGB"))])
    assert result.scores[2] == pytest.approx(features[0, 3] + 0.5, abs=1e-5)


def test_features_of_another_version_are_refused():
    describe = open_extractors("builtin")[0].describe() | {"identity": "builtin|v0"}
    with pytest.raises(ModelError, match="another version"):
        reopen_extractors(Predictor(LinearHead(np.ones(510), 0.0), extractors=(describe,)))
    with pytest.raises(ModelError, match="does not say"):
        reopen_extractors(Predictor(LinearHead(np.ones(3), 0.0)))


def test_thumbnails_are_made_once_and_small(images, tmp_path, monkeypatch):
    monkeypatch.setattr("src.reports.thumbnails.SIDE", 32)
    files = [images / "sub" / f"{i:03d}.png" for i in range(4)] + [tmp_path / "broken.jpg"]
    files[-1].write_bytes(b"no image")
    sha256s = [bytes([i]) * 32 for i in range(5)]
    names = write_thumbnails(tmp_path / "t", files, sha256s)
    assert names[4] == "" and all(names[:4])
    with Image.open(tmp_path / "t" / names[0]) as image:
        assert image.size == (32, 24)
    times = {path: path.stat().st_mtime_ns for path in (tmp_path / "t").iterdir()}
    assert write_thumbnails(tmp_path / "t", files, sha256s) == names
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "t").iterdir()} == times


def test_the_gallery_links_to_images_by_relative_urls(tmp_path):
    images = tmp_path / "my images #1"
    images.mkdir()
    page = tmp_path / "out" / "gallery.html"
    evil = "</script><script>alert(1)</script>.png"
    write_gallery(page, images, [evil, "b.png"], {"score": np.array([1.0, np.nan])}, None,
                  title="A & B")  # fmt: skip
    text = page.read_text(encoding="utf-8")
    assert text.count("<script") == 2 and "A &amp; B" in text
    content = json.loads(text.split('id="content">')[1].split("</script>")[0])
    assert content["paths"] == [evil, "b.png"]
    assert content["numbers"] == [["score", [1.0, None]]]
    assert content["images"] == "../my%20images%20%231"
    assert relative_url(tmp_path, tmp_path) == "."
