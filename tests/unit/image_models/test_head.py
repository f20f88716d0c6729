"""The logistic head: at the optimum of its objective, honest folds, sensible penalties."""

import numpy as np
import pytest

from src.image_models.head import (
    PENALTIES,
    Labelled,
    LinearHead,
    choose_penalty,
    fit_head,
    make_folds,
    out_of_fold,
    softmax,
)


def blobs(n, d, classes, seed=0, spread=1.0):
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % classes
    centres = rng.normal(0, spread, (classes, d))
    return (centres[labels] + rng.normal(0, 1, (n, d)) + 5).astype(np.float32), labels


def objective(head, features, labels, penalty, weights):
    """The documented objective, computed from plain features."""
    features = features.astype(np.float64)
    scale = np.sqrt(np.mean((features - features.mean(axis=0)) ** 2))
    losses = -np.log(softmax(head.logits(features))[np.arange(len(labels)), labels])
    size = np.sum((head.weight.astype(np.float64) * scale) ** 2)
    return np.sum(weights[labels] * losses) + penalty * features.shape[1] / 2 * size


@pytest.mark.parametrize(("n", "d"), [(60, 8), (30, 100)])
@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("balanced", [False, True])
def test_no_step_away_from_the_fit_lowers_the_objective(n, d, classes, balanced):
    features, labels = blobs(n, d, classes, spread=0.4)
    labels[labels == 1] = np.where(np.arange(np.sum(labels == 1)) % 3, 0, 1)  # uneven classes
    counts = np.bincount(labels)
    weights = n / (classes * counts) if balanced else np.ones(classes)
    penalty = 0.3
    head = fit_head(Labelled(features, labels, classes, labels, balanced), penalty)
    best = objective(head, features, labels, penalty, weights)
    rng = np.random.default_rng(1)
    for size in (1e-3, 1e-2, 0.1):
        for _ in range(20):
            other = LinearHead(
                head.weight + (size * rng.normal(0, 1, head.weight.shape)).astype(np.float32),
                head.bias + (size * rng.normal(0, 1, head.bias.shape)).astype(np.float32),
            )
            # Moves along which the logits of all classes change alike do not matter.
            assert objective(other, features, labels, penalty, weights) > best - 1e-3


def test_a_class_without_images_is_never_named():
    features, labels = blobs(40, 6, 2, spread=2.0)
    head = fit_head(Labelled(features, labels * 2, 3, labels), 1.0)  # classes 0 and 2
    probabilities = softmax(head.logits(features))
    assert probabilities[:, 1].max() < 1e-6
    assert np.mean(probabilities.argmax(axis=1) == labels * 2) > 0.9


def test_noise_gets_a_strong_penalty_and_clear_classes_a_weak_one():
    rng = np.random.default_rng(3)
    noise = rng.normal(0, 1, (120, 40)).astype(np.float32)
    labels = np.arange(120) % 3
    groups = np.arange(120)
    clear, clear_labels = blobs(120, 40, 3, spread=3.0)
    strong = choose_penalty(Labelled(noise, labels, 3, groups))
    weak = choose_penalty(Labelled(clear, clear_labels, 3, groups))
    assert {strong, weak} <= set(PENALTIES)
    assert strong > 10 * weak


def test_out_of_fold_probabilities_come_from_heads_that_did_not_see_the_image():
    rng = np.random.default_rng(5)
    # With more features than images any head knows its own images by heart.
    features = rng.normal(0, 1, (60, 400)).astype(np.float32)
    labels = rng.permutation(np.arange(60) % 2)
    data = Labelled(features, labels, 2, np.arange(60))
    held_out = out_of_fold(data, 0.01)
    own = softmax(fit_head(data, 0.01).logits(features))
    assert np.mean(own.argmax(axis=1) == labels) == 1.0
    assert 0.25 < np.mean(held_out.argmax(axis=1) == labels) < 0.75


def test_copies_are_held_out_together():
    labels = np.repeat([0, 1], 20)
    groups = np.arange(40) // 2
    folds = make_folds(Labelled(np.zeros((40, 1)), labels, 2, groups))
    assert len(folds) == 5
    assert sorted(np.concatenate([held for _, held in folds]).tolist()) == list(range(40))
    for train, held in folds:
        assert not set(groups[train]) & set(groups[held])


def test_a_class_with_one_group_cannot_be_folded():
    labels = np.array([0, 0, 0, 1, 1])
    features = np.random.default_rng(0).normal(0, 1, (5, 3)).astype(np.float32)
    data = Labelled(features, labels, 2, np.array([0, 1, 2, 3, 3]))
    assert make_folds(data) == []
    assert np.isnan(out_of_fold(data, 1.0)).all()
    assert choose_penalty(data) > 0
