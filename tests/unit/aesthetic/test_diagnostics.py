"""Learning curve and the weight of feature parts, on tastes that are known."""

import numpy as np

from src.aesthetic.diagnostics import learning_curve, part_accuracies
from src.aesthetic.heads.training_set import TrainingSet


def rated(n=160, d=10, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, d))
    return TrainingSet.of(x, x[:, 0] + 0.5 * x[:, 1] + rng.normal(0, 0.5, n))


def test_more_images_help_and_the_sizes_grow_to_three_quarters():
    curve = learning_curve(rated())
    sizes = [point.images for point in curve]
    assert sizes == sorted(sizes)
    assert (sizes[0], sizes[-1]) == (12, 120)
    assert curve[-1].ab > curve[0].ab + 0.03
    assert all(point.error < 0.1 for point in curve)


def test_a_random_taste_has_a_flat_curve():
    noise = rated()._replace(scores=np.random.default_rng(5).normal(size=160))
    assert all(abs(point.ab - 0.5) < 0.12 for point in learning_curve(noise))


def test_copies_in_a_group_are_never_learnt_and_tested():
    # Each image twice, with features that say nothing about other images.
    rng = np.random.default_rng(0)
    x, y = np.repeat(rng.normal(size=(40, 100)), 2, axis=0), np.repeat(rng.normal(size=40), 2)
    data = TrainingSet.of(x, y)
    leaking = learning_curve(data, "kernel")[-1].ab
    honest = learning_curve(data._replace(groups=np.arange(80) // 2), "kernel")[-1].ab
    assert leaking > 0.75
    assert honest < 0.62


def test_the_part_that_matters_is_missed_when_it_is_left_out():
    data = rated()
    parts = {"telling": slice(0, 2), "noise": slice(2, 10)}
    found = part_accuracies(data, parts)
    assert found["telling"][0] > 0.8
    assert found["noise"][0] < 0.6
    assert found["telling"][1] == found["noise"][0]  # the rest of one is the other
    assert part_accuracies(data, {"all": slice(None)})["all"][1] is None
