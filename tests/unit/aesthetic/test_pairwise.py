"""The head that learns from choices: against logistic regression and known tastes."""

import numpy as np
import pytest

from src.aesthetic.heads.pairwise import fit_pairwise
from src.errors import ModelError
from src.evaluation.rank_metrics import pairwise_accuracy
from src.rating.models.graph import Choices


def simulate(images=150, choices=900, d=5, own=0.3, seed=0):
    """Features, true scores, and answers drawn from the model that the head assumes."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(images, d))
    truth = x @ np.linspace(2, -1, d) + own * rng.normal(size=images)
    left = rng.integers(images, size=choices)
    right = (left + rng.integers(1, images, size=choices)) % images
    chance = 1 / (1 + np.exp(-(truth[left] - truth[right])))
    return x, truth, chosen(left, right, rng.random(choices) < chance)


def chosen(left, right, left_won, weight=1.0):
    left, right, left_won = np.array(left), np.array(right), np.array(left_won, dtype=bool)
    weights = np.broadcast_to(np.asarray(weight, float), left.shape)
    return Choices(np.where(left_won, left, right), np.where(left_won, right, left), weights)


def test_recovers_the_taste_on_new_images():
    x, _, choices = simulate()
    new = np.random.default_rng(9).normal(size=(200, 5))
    head = fit_pairwise(x, choices)
    assert pairwise_accuracy(new @ np.linspace(2, -1, 5), head.predict(new)) > 0.9


def test_scores_are_log_odds():
    x, _, choices = simulate(own=0.0, choices=6000)
    f = fit_pairwise(x, choices).predict(x)
    # Where the head says 80 %, about 80 % were chosen.
    gap = f[choices.winners] - f[choices.losers]
    chance = 1 / (1 + np.exp(-np.abs(gap)))
    sure = (chance > 0.75) & (chance < 0.85)
    assert (gap[sure] > 0).mean() == pytest.approx(0.8, abs=0.05)


def test_with_hardly_any_own_effects_it_is_penalised_logistic_regression():
    from sklearn.linear_model import LogisticRegression

    x, _, choices = simulate(images=60, choices=1500, own=0.0)
    head = fit_pairwise(x, choices, variance=50.0)
    difference = x[choices.winners] - x[choices.losers]
    both = np.concatenate([difference, -difference])
    label = np.repeat([1, 0], len(difference))
    reference = LogisticRegression(C=1e6, fit_intercept=False).fit(both, label).coef_[0]
    assert np.corrcoef(head.weight, reference)[0, 1] > 0.998


def test_a_repeat_counts_like_double_weight():
    x = np.random.default_rng(0).normal(size=(6, 2))
    twice = chosen([0, 0, 2], [1, 1, 3], [1, 1, 0])
    heavy = chosen([0, 2], [1, 3], [1, 0], [2, 1])
    assert fit_pairwise(x, twice).weight == pytest.approx(fit_pairwise(x, heavy).weight, abs=1e-5)


def test_useless_features_are_trusted_less_than_telling_ones():
    x, _, choices = simulate(own=0.1)
    noise = np.random.default_rng(3).normal(size=x.shape)
    # penalty is (1 - share) / share of the variance that the features explain
    assert fit_pairwise(noise, choices).penalty > fit_pairwise(x, choices).penalty


def test_many_images_and_more_features_than_choices():
    x, truth, choices = simulate(images=400, choices=1500, d=5)
    wide = np.hstack([x, np.random.default_rng(1).normal(size=(400, 300))])
    assert pairwise_accuracy(truth, fit_pairwise(wide, choices).predict(wide)) > 0.8


def test_an_image_against_itself_is_no_choice():
    with pytest.raises(ModelError, match="no choices"):
        fit_pairwise(np.eye(3), chosen([1], [1], [1]))
    x, _, choices = simulate(images=20, choices=60)
    told = choices.winners, choices.losers, choices.weights
    more = Choices(*(np.append(values, 1) for values in told))
    assert (fit_pairwise(x, more).weight == fit_pairwise(x, choices).weight).all()
