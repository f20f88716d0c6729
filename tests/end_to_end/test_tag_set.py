"""A generated set whose truth is known: duplicates, label errors and rare tags."""

import numpy as np
import pytest

from examples.tagged_images import make_tag_set, tile_backbone
from src.classifier.fine_tune import Recipe
from src.classifier.job import Job
from src.classifier.tag_job import TagOptions
from src.classifier.tag_results import Measuring, write_results
from src.classifier.tag_train import train_head


@pytest.fixture(scope="module")
def outcome(tmp_path_factory):
    base = tmp_path_factory.mktemp("tag_set")
    truth = make_tag_set(base / "images", images=900, tags=40, copies=30)
    job = Job(
        directory=base / "images",
        base_model=str(tile_backbone(base / "backbone")),
        load_model="",
        save_model=base / "model",
        fraction_for_test=0.25,
        fraction_for_validation=0.2,
        seed=42,
        balanced=False,
        store=None,
        recipe=Recipe(
            training_args={"per_device_train_batch_size": 32, "report_to": []}, device="cpu"
        ),
    )
    options = TagOptions(head_epochs=40)
    answers = train_head(job, options)
    findings = write_results(job.save_model, answers, options.style, Measuring(images=2))
    return truth, answers, findings


def test_every_planted_duplicate_is_on_one_side(outcome):
    truth, answers, _ = outcome
    part = dict(zip(answers.data.paths, answers.parts.tolist(), strict=True))
    assert len(truth.copies) == 30
    assert all(part[copy] == part[original] for copy, original in truth.copies.items())
    assert len(set(part.values())) == 3


def test_the_surest_suspicions_are_right(outcome):
    truth, _, findings = outcome
    right = [
        error.tag in truth.dropped[error.image]
        if error.problem == "missing"
        else error.tag not in truth.shown[error.image]
        for error in findings.errors[:100]
    ]
    assert len(right) == 100
    assert np.mean(right) >= 0.8


def test_figures_of_rare_tags(outcome):
    _, _, findings = outcome
    whole, rare = findings.figures["slices"]
    assert rare["slice"] == "all tags from #20 down"
    assert whole["f1_micro"] > 0.45  # guessing reaches 0.15
    assert 0.1 < rare["f1_macro"] < whole["f1_macro"]
    # At the threshold of the validation images, precision is near recall on the test images.
    assert whole["precision_micro"] == pytest.approx(whole["recall_micro"], abs=0.1)
