"""Planted wrong labels are found, and nothing is said of images that were not judged."""

import numpy as np

from src.classifier.head import out_of_fold
from src.classifier.label_errors import suspected_labels


def test_planted_errors_come_first():
    rng = np.random.default_rng(0)
    truth = np.arange(300) % 3
    features = (np.eye(3)[truth] * 4 + rng.normal(0, 1, (300, 3))).astype(np.float32)
    given = truth.copy()
    planted = rng.permutation(300)[:20]
    given[planted] = (given[planted] + 1) % 3
    shares = out_of_fold(features, given, 3, np.arange(300), penalty=0.1)
    found = suspected_labels(given, shares)
    first = {item.image for item in found[:20]}
    assert len(first & set(planted.tolist())) >= 17
    right = [item for item in found if item.image in set(planted.tolist())]
    assert np.mean([item.suggested == truth[item.image] for item in right]) > 0.9
    assert [item.quality for item in found] == sorted(item.quality for item in found)


def test_images_that_were_not_judged_are_passed_over():
    shares = np.full((6, 2), np.nan)
    assert suspected_labels(np.array([0, 0, 0, 1, 1, 1]), shares) == []
    shares = np.tile([0.9, 0.1], (40, 1))
    shares[20:] = [0.1, 0.9]
    shares[0] = np.nan
    labels = np.repeat([0, 1], 20)
    labels[0], labels[25] = 1, 0
    assert [item.image for item in suspected_labels(labels, shares)] == [25]


def test_one_class_alone_cannot_be_judged():
    assert suspected_labels(np.zeros(5, int), np.tile([0.9, 0.1], (5, 1))) == []
