"""Figures by hand, and against scikit-learn."""

import json

import numpy as np
import pytest
from sklearn import metrics

from src.evaluation.classification import calibration_error, evaluate

LABELS = np.array([0, 0, 0, 1, 1, 2])
SHARES = np.array(
    [
        [0.8, 0.1, 0.1],
        [0.6, 0.3, 0.1],
        [0.2, 0.7, 0.1],
        [0.1, 0.9, 0.0],
        [0.5, 0.4, 0.1],
        [0.3, 0.3, 0.4],
    ]
)
CLASSES = ["a", "b", "c"]


def test_the_figures_by_hand():
    figures = evaluate(LABELS, SHARES, CLASSES, chances=np.array([0.5, 0.3, 0.2]))
    assert figures["n"] == 6
    assert figures["accuracy"] == pytest.approx(4 / 6)
    assert figures["mean_right"] == pytest.approx((0.8 + 0.6 + 0.2 + 0.9 + 0.4 + 0.4) / 6)
    # Half the images are a, a third b, a sixth c; guessed 0.5, 0.3 and 0.2 of the time.
    assert figures["chance"] == pytest.approx(0.5 * 0.5 + 0.3 / 3 + 0.2 / 6)
    assert figures["uniform_chance"] == pytest.approx(1 / 3)
    assert figures["majority"] == pytest.approx(0.5)
    a, b, c = figures["per_class"]
    assert (a["n"], a["precision"], a["recall"]) == (3, pytest.approx(2 / 3), pytest.approx(2 / 3))
    assert (b["precision"], b["recall"], b["f1"]) == (0.5, 0.5, 0.5)
    assert (c["precision"], c["recall"], c["mean_right"]) == (1.0, 1.0, pytest.approx(0.4))
    assert figures["balanced_accuracy"] == pytest.approx((2 / 3 + 0.5 + 1) / 3)


def test_the_figures_against_scikit_learn():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 4, 200)
    shares = rng.dirichlet(np.ones(4), 200)
    figures = evaluate(labels, shares, list("abcd"))
    predicted = shares.argmax(axis=1)
    assert figures["log_loss"] == pytest.approx(metrics.log_loss(labels, shares))
    assert figures["macro_f1"] == pytest.approx(
        metrics.f1_score(labels, predicted, average="macro")
    )
    one_hot = np.eye(4)[labels]
    assert figures["brier"] == pytest.approx(np.mean(np.sum((shares - one_hot) ** 2, axis=1)))


def test_probabilities_that_hold_what_they_promise_are_calibrated():
    rng = np.random.default_rng(1)
    right = rng.uniform(0.5, 1, 200_000)
    labels = (rng.uniform(size=len(right)) > right).astype(int)
    shares = np.stack([right, 1 - right], axis=1)
    assert calibration_error(labels, shares) < 0.01
    sure = np.tile([1.0, 0.0], (len(right), 1))
    assert calibration_error(labels, sure) == pytest.approx(np.mean(labels == 1))


def test_classes_without_images_and_no_images_at_all_are_valid_json():
    figures = evaluate(np.array([0, 0]), np.array([[0.9, 0.1], [0.4, 0.6]]), ["a", "b"])
    assert figures["per_class"][1]["recall"] is None
    assert figures["per_class"][1]["precision"] == 0.0
    json.dumps(figures, allow_nan=False)
    json.dumps(evaluate(np.array([], int), np.empty((0, 2)), ["a", "b"]), allow_nan=False)


def test_copies_make_no_interval_narrower():
    rng = np.random.default_rng(3)
    labels, shares = rng.integers(0, 2, 40), rng.dirichlet([1, 1], 40)
    alone, groups = evaluate(labels, shares, ["a", "b"]), np.repeat(np.arange(40), 5)
    copied = evaluate(labels[groups], shares[groups], ["a", "b"], groups=groups)
    assert copied["accuracy_interval"] == pytest.approx(alone["accuracy_interval"])
