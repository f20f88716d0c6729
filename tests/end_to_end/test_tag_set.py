"""A generated set whose truth is known: duplicates, label errors and rare tags."""

import numpy as np
import pytest

from examples.tagged_images import make_tag_set, tile_backbone
from src.image_models.train import train
from src.tagging.results import measure, thresholds_of
from src.tagging.target import Tags
from tests.training import training


@pytest.fixture(scope="module")
def outcome(tmp_path_factory):
    base = tmp_path_factory.mktemp("tag_set")
    truth = make_tag_set(base / "images", images=600, tags=40, copies=30)
    settings = training(
        top_level_image_directory=base / "images",
        base_model=tile_backbone(base / "backbone"),
        save_model=base / "model",
        fraction_for_validation=0.2,
        tag_head_epochs=30,
        training_args={"per_device_train_batch_size": 32},
    )
    predictions = train(settings, Tags(settings))
    return truth, predictions, measure(predictions, thresholds_of(predictions, 20), settings)


def test_every_planted_duplicate_is_on_one_side(outcome):
    truth, predictions, _ = outcome
    part = dict(zip(predictions.data.paths, predictions.parts.tolist(), strict=True))
    assert len(truth.copies) == 30
    assert all(part[copy] == part[original] for copy, original in truth.copies.items())
    assert len(set(part.values())) == 3


def test_the_surest_suspicions_are_right(outcome):
    truth, _, results = outcome
    right = [
        error.label in truth.dropped[error.path]
        if error.suggested == "add"
        else error.label not in truth.shown[error.path]
        for error in results.suspects[:100]
    ]
    assert len(right) == 100
    assert np.mean(right) >= 0.8
    everything = [
        e.label in truth.dropped[e.path] for e in results.suspects if e.suggested == "add"
    ]
    expected = results.metrics["suspected_labels"]["expected_wrong"]
    assert sum(everything) / 3 < expected < 3 * sum(everything)


def test_metrics_of_rare_tags(outcome):
    _, _, results = outcome
    whole, rare = results.metrics["slices"]
    assert rare["slice"] == "all tags from #20 down"
    assert whole["f1_micro"] > 0.45  # guessing reaches 0.15
    assert 0.1 < rare["f1_macro"] < whole["f1_macro"]
    # At the threshold of the validation images, precision is near recall on the test images.
    assert whole["precision_micro"] == pytest.approx(whole["recall_micro"], abs=0.1)
