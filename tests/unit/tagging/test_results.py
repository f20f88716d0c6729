"""Opening tagging models, their sizes and their report, without training one."""

import numpy as np
import pytest
from scipy.sparse import csr_array

from src.dataset.split import TEST, TRAIN, VALIDATION
from src.dataset.suspected_labels import read_suspected
from src.image_models.target import Images, Predictions
from src.images import scan_images
from src.tagging.results import epochs, measure, thresholds_of, write_results
from src.tagging.selected_tags import SelectedTag
from src.tagging.tagged_images import TaggedImages
from src.tagging.thresholds import Thresholds
from tests.browser import faults
from tests.conftest import make_images
from tests.training import training

TAGS = [SelectedTag(0, "cat", 0, 6), SelectedTag(1, "</script><b>dog", 4, 3)]

COUNTS = ("tp", "fp", "fn", "tn", "f1_micro", "f1_macro")


def predicted(folder):
    make_images(folder, 8, (20, 16))
    files = tuple(scan_images(folder))
    labels = csr_array(np.array([[1, 0], [1, 1], [0, 1], [1, 0], [1, 0], [0, 1], [1, 0], [1, 0]]))
    names = tuple(tag.name for tag in TAGS)
    data = TaggedImages(folder, files, labels, names, tags=tuple(TAGS))
    parts = np.array([TRAIN, TRAIN, TRAIN, VALIDATION, VALIDATION, VALIDATION, TEST, TEST])
    cat = [0.9, 0.8, 0.3, 0.7, 0.6, 0.4, 0.9, 0.2]
    dog = [0.1, 0.9, 0.8, 0.2, 0.3, 0.9, 0.95, 0.1]
    p = np.array([cat, dog], np.float32).T
    history = [
        {"loss": 0.7, "epoch": 1.0},
        {"eval_loss": 0.5, "epoch": 1.0, **{f"eval_{name}": 3 for name in COUNTS}},
        {"train_runtime": 2.0},
    ]
    images = Images(data, [bytes(32)] * 8, np.zeros((8, 32), np.uint8), np.arange(8))
    return Predictions(images, parts.astype(np.int8), p, p, history, {"model": "m"})


def test_thresholds_come_from_validation_and_metrics_from_test(tmp_path):
    given = predicted(tmp_path)
    thresholds = thresholds_of(given, 1)
    # Validation: .7 .2 | .6 .3 | .4 .9, three positives: .7, .6 and .9.
    assert thresholds.overall == pytest.approx(0.6)
    assert thresholds.tags == pytest.approx({"cat": 0.6, "</script><b>dog": 0.9})
    found = measure(given, thresholds, training()).metrics
    # Test at .6: cat .9 hit, cat .2 missed, dog .95 wrong, dog .1 right.
    row = found["slices"][0]
    assert [row[key] for key in ("tp", "fp", "fn", "tn")] == [1, 1, 1, 1]
    assert (found["task"], found["reported_on"]) == ("tags", "test")
    assert found["thresholds_chosen_on"] == "validation"
    test = found["test"]
    assert [test[key] for key in ("n", "micro_f1", "precision", "recall")] == [2, 0.5, 0.5, 0.5]
    assert test["threshold"] == pytest.approx(0.6)
    assert test["map"] == pytest.approx(1.0)  # of the cats; no test image has the dog
    assert [found[part]["n"] for part in ("train", "validation", "all")] == [3, 3, 8]
    names = ["all tags", "all tags from #1 down", "general", "character"]
    assert [part["slice"] for part in found["slices"]] == names


def test_what_is_written_and_that_names_cannot_break_the_page(tmp_path):
    given = predicted(tmp_path / "images")
    settings = training(evaluation_args={"report_images": 2})
    results = measure(given, thresholds_of(given, 1), settings)
    write_results(tmp_path / "model", given, results, settings)
    page = (tmp_path / "model" / "report.html").read_text("utf-8")
    assert "<b>dog" not in page
    assert page.count("</script>") == 2
    assert "data:image/jpeg;base64," in page
    assert (
        (tmp_path / "model" / "tags.csv").read_text("utf-8").startswith("rank,tag,category,images")
    )
    for row, expected in zip(
        read_suspected(tmp_path / "model" / "suspected_labels.csv"),
        [
            ("006.png", "</script><b>dog", "add", 0.95, 0.95 - (0.1 + 0.2 + 0.3 + 0.95 + 0.1) / 5),
            ("007.png", "cat", "remove", 0.2, (0.9 + 0.8 + 0.7 + 0.6 + 0.9 + 0.2) / 6 - 0.2),
        ],
        strict=True,
    ):
        assert (row.path, row.label, row.suggested) == expected[:3]
        assert (row.probability, row.surprise) == pytest.approx(expected[3:], abs=1e-6)
    page = (tmp_path / "model" / "suspects.html").read_text("utf-8")
    assert "<b>dog" not in page and "Is “cat” wrong?" in page


def test_epochs_join_training_and_validation_loss(tmp_path):
    assert epochs(predicted(tmp_path).history) == [
        {"epoch": 1.0, "training_loss": 0.7, "loss": 0.5, **dict.fromkeys(COUNTS, 3)}
    ]


def test_an_ensembles_thresholds_are_the_mean_of_its_members():
    one = Thresholds(0.2, {0: 0.1, 4: 0.3}, {"cat": 0.4, "dog": 0.5}, 20, "validation")
    two = Thresholds(0.4, {0: 0.3}, {"cat": 0.6}, 10, "validation")
    assert Thresholds.mean([one, two]) == Thresholds(
        pytest.approx(0.3), {0: pytest.approx(0.2)}, {"cat": 0.5}, 20, "validation"
    )


@pytest.mark.browser
def test_the_page_can_be_read_on_every_screen(browser, tmp_path):
    given, settings = predicted(tmp_path / "images"), training()
    write_results(tmp_path, given, measure(given, thresholds_of(given, 1), settings), settings)
    assert faults(browser, (tmp_path / "report.html").as_uri()) == []
