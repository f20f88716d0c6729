import numpy as np
import pytest

from src.rating.models.answer import Answer
from src.rating.models.expectation_propagation import fit
from src.rating.models.feature_space import FeatureSpace, without_features
from src.rating.models.graph import Choices
from src.rating.models.initial_scores import InitialScores
from src.rating.models.order import OrderQuality, _precisions, order_quality
from src.rating.models.posterior import Prior
from src.rating.models.scoring import PosteriorScoring


def spearman(one, two):
    return float(np.corrcoef(one.argsort().argsort(), two.argsort().argsort())[0, 1])


def rated(seed, count=80, width=0, steepness=1.9, choices=160):
    """A posterior after random pairs, the answers, and the taste that gave them."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(count, width)) / max(width, 1) ** 0.5
    share = 0.8 if width else 0.0
    taste = x @ rng.normal(size=width) * share**0.5 + rng.normal(size=count) * (1 - share) ** 0.5
    taste *= steepness
    space = FeatureSpace(x.astype(np.float32), np.ones(count, bool))
    begin = PosteriorScoring.begin(
        InitialScores(*np.zeros((3, count))), space if width else without_features(count)
    )
    answers = []
    for _ in range(choices):
        i, j = rng.choice(count, 2, replace=False).tolist()
        won = rng.random() < 1 / (1 + np.exp(taste[j] - taste[i]))
        answers.append(Answer(i, j, "left" if won else "right"))
    return begin.refitted(answers), answers, taste


@pytest.mark.parametrize("steepness", [1.1, 1.9, 3.5])
@pytest.mark.parametrize("width", [0, 5])
def test_the_band_holds_the_correlation_with_the_taste_itself(width, steepness):
    held, gaps = 0, []
    for seed in range(12):
        scoring, answers, taste = rated(seed, width=width, steepness=steepness)
        quality = order_quality(scoring, answers, np.arange(len(taste)))
        true = spearman(scoring.scores(), taste)
        held += quality.low <= true <= quality.high
        gaps.append(quality.now - true)
    assert held >= 8
    assert abs(np.mean(gaps)) < 0.08


def test_of_the_best_images_their_share_among_the_true_best_is_counted():
    tastes = np.array([[1.0, 2, 3, 4, 5], [5, 4, 3, 2, 1], [1, 9, 2, 8, 3]])
    scores = np.array([0.0, 0, 1, 2, 3])
    assert _precisions(tastes, scores, 2).tolist() == [1, 0, 0.5]
    assert _precisions(tastes, scores, 3).tolist() == [1, 1 / 3, 2 / 3]


@pytest.mark.parametrize("width", [0, 5])
def test_the_band_holds_the_share_of_the_best_that_is_found(width):
    held, gaps, top = 0, [], 20
    for seed in range(12):
        scoring, answers, taste = rated(seed, width=width)
        quality = order_quality(scoring, answers, np.arange(len(taste)), top)
        true = len(set(np.argsort(-taste)[:top]) & set(np.argsort(-scoring.scores())[:top])) / top
        held += quality.low <= true <= quality.high
        gaps.append(quality.now - true)
    assert held >= 8
    assert abs(np.mean(gaps)) < 0.08
    assert quality.more == 20 and quality.top == top


def test_the_forecast_is_near_what_more_choices_give():
    gaps = []
    for seed in range(10):
        scoring, answers, taste = rated(seed, width=5, choices=200)
        everyone = np.arange(len(taste))
        quality = order_quality(scoring.refitted(answers[:180]), answers[:180], everyone)
        assert quality.choices.tolist() == [45, 90, 135, 180, 200]
        assert quality.more == 20
        gaps.append(quality.later - order_quality(scoring, answers, everyone).now)
    assert abs(np.mean(gaps)) < 0.01


def test_where_more_choices_hardly_add_one_can_stop():
    def after(now, later):
        return OrderQuality(np.array([30, 50]), np.array([now, later]), 0.0, 1.0)

    assert after(0.9, 0.905).can_stop and not after(0.8, 0.82).can_stop


def test_a_few_choices_say_nothing():
    scoring, answers, _ = rated(0)
    assert order_quality(scoring, answers[:29], np.arange(80)) is None


def test_draws_have_the_beliefs_mean_and_variance():
    rng = np.random.default_rng(0)
    prior = Prior(rng.normal(size=(6, 2)), np.ones(2), np.ones(2), np.full(6, 1.5))
    belief = fit(prior, Choices(np.array([0, 0, 1]), np.array([1, 2, 3]), np.ones(3))).belief
    images = np.array([0, 1, 3, 5])
    draws = belief.draws(images, 20_000, rng)
    np.testing.assert_allclose(draws.mean(axis=0), belief.mean[images], atol=0.05)
    np.testing.assert_allclose(draws.var(axis=0), belief.variance(images), rtol=0.05)
