"""The head that learns from choices: against logistic regression and known tastes."""

import numpy as np
import pytest

from src.aesthetic.heads.pairwise import TASTE_VARIANCE, Choices, _mode, fit_pairwise
from src.errors import ModelError
from src.evaluation.rank_metrics import pairwise_accuracy


def simulate(images=150, choices=900, d=5, own=0.3, seed=0):
    """Features, true scores, and answers drawn from the model that the head assumes."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(images, d))
    truth = x @ np.linspace(2, -1, d) + own * rng.normal(size=images)
    left = rng.integers(images, size=choices)
    right = (left + rng.integers(1, images, size=choices)) % images
    chance = 1 / (1 + np.exp(-(truth[left] - truth[right])))
    return x, truth, Choices.of(left, right, rng.random(choices) < chance, images=images)


def test_recovers_the_taste_on_new_images():
    x, _, choices = simulate()
    new = np.random.default_rng(9).normal(size=(200, 5))
    head = fit_pairwise(x, choices)
    assert pairwise_accuracy(new @ np.linspace(2, -1, 5), head.predict(new)) > 0.9


def test_scores_are_log_odds():
    x, _, choices = simulate(own=0.0, choices=6000)
    f = fit_pairwise(x, choices).predict(x)
    # Where the head says 80 %, about 80 % were chosen.
    chance = 1 / (1 + np.exp(-(f[choices.left] - f[choices.right])))
    sure = (chance > 0.75) & (chance < 0.85)
    assert choices.left_won[sure].mean() == pytest.approx(0.8, abs=0.05)


def test_the_mode_without_own_effects_is_penalised_logistic_regression():
    from sklearn.linear_model import LogisticRegression

    x, _, choices = simulate(choices=300)
    taste = _mode(x, 1 - 1e-9, TASTE_VARIANCE, choices)[0]
    difference = x[choices.left] - x[choices.right]
    reference = LogisticRegression(C=TASTE_VARIANCE, fit_intercept=False, tol=1e-8).fit(
        difference, choices.left_won
    )
    assert taste == pytest.approx(reference.coef_[0], abs=2e-3)


def test_a_tie_counts_as_half_a_win_each_way():
    x = np.random.default_rng(0).normal(size=(6, 2))
    tie = Choices.of([0, 2, 4], [1, 3, 5], [0.5, 1, 1], images=6)
    halves = Choices.of([0, 0, 2, 4], [1, 1, 3, 5], [1, 0, 1, 1], [0.5, 0.5, 1, 1], images=6)
    assert fit_pairwise(x, tie).weight == pytest.approx(fit_pairwise(x, halves).weight, abs=1e-5)


def test_a_repeat_counts_like_double_weight():
    x = np.random.default_rng(0).normal(size=(6, 2))
    twice = Choices.of([0, 0, 2], [1, 1, 3], [1, 1, 0], images=6)
    heavy = Choices.of([0, 2], [1, 3], [1, 0], [2, 1], images=6)
    assert fit_pairwise(x, twice).weight == pytest.approx(fit_pairwise(x, heavy).weight, abs=1e-5)


def test_swapping_the_sides_changes_nothing():
    x, _, choices = simulate(images=40, choices=100)
    swapped = Choices(choices.right, choices.left, 1 - choices.left_won, choices.weight)
    assert fit_pairwise(x, choices).weight == pytest.approx(
        fit_pairwise(x, swapped).weight, abs=1e-4
    )


def test_useless_features_are_trusted_less_than_telling_ones():
    x, _, choices = simulate(own=0.1)
    noise = np.random.default_rng(3).normal(size=x.shape)
    # penalty is (1 - share) / share of the variance that the features explain
    assert fit_pairwise(noise, choices).penalty > fit_pairwise(x, choices).penalty


def test_many_images_and_more_features_than_choices():
    x, truth, choices = simulate(images=900, choices=1500, d=5)
    wide = np.hstack([x, np.random.default_rng(1).normal(size=(900, 60))])
    assert pairwise_accuracy(truth, fit_pairwise(wide, choices).predict(wide)) > 0.8


def test_impossible_choices_are_refused():
    x = np.eye(3)
    with pytest.raises(ModelError, match="outside the 3"):
        Choices.of([0], [3], [1], images=3)
    with pytest.raises(ModelError, match="between 0 and 1"):
        Choices.of([0], [1], [2], images=3)
    with pytest.raises(ModelError, match="outcomes"):
        Choices.of([0, 1], [1], [1], images=3)
    with pytest.raises(ModelError, match="no choices"):
        fit_pairwise(x, Choices.of([1], [1], [1], images=3))  # an image against itself
