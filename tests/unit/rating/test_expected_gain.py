"""What an answer is worth, against dense covariances and numerical integration."""

from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest

from src.rating.models.posterior import Belief, Prior
from src.rating.pairs.expected_gain import (
    SCORE_VARIANCE,
    aim_at_top,
    density,
    expected_curvature,
    expected_gains,
)


def dense_value(belief, images, boundary=None):
    """The weighted decrease of all variances, from the whole covariance matrix."""
    x = belief.prior.features
    cross = belief.cross[belief.row]
    covariance = x @ belief.w_cov @ x.T + cross @ x.T + x @ cross.T + np.diag(belief.u_var)
    first, others = images[0], list(images[1:])
    gain = covariance[:, [first]] - covariance[:, others]
    variance = gain[first] - gain[others]
    shared = np.einsum("nd,nd->n", x @ belief.w_cov, x).mean()
    if boundary is None:
        weight = density(belief.mean, shared + belief.u_var + SCORE_VARIANCE, belief.mean.mean())
    else:
        weight = density(belief.mean, shared + belief.u_var, boundary)
    mean = belief.mean[[first]] - belief.mean[others]
    q = expected_curvature(mean[:, None], variance[..., None])[..., 0]
    told = np.linalg.inv(np.linalg.inv(q) + variance)
    return np.trace(told @ (gain.T @ (weight[:, None] * gain)))


def sets_of(count, size):
    return np.array(list(combinations(range(count), size))).T


def belief_of(width, count=14, answers=0, seed=0):
    rng = np.random.default_rng(seed)
    prior = Prior(
        rng.normal(size=(count, width)) / max(width, 1) ** 0.5,
        np.zeros(width),
        np.full(width, 1.8),
        np.full(count, 1.8),
    )
    belief = Belief.start(prior)
    for _ in range(answers):
        left, right = rng.choice(count, 2, replace=False).tolist()
        belief = belief.after([left, right], [1, 0], [0, 0])
    return belief


@pytest.mark.parametrize(("mean", "variance"), [(0, 0.01), (0, 7), (2, 3), (-5, 4)])
def test_expected_curvature_is_near_the_integral(mean, variance):
    x = np.linspace(mean - 12 * variance**0.5, mean + 12 * variance**0.5, 20001)
    weight = np.exp(-((x - mean) ** 2) / (2 * variance))
    p = 1 / (1 + np.exp(-x))
    exact = (weight * p * (1 - p)).sum() / weight.sum()
    near = expected_curvature(np.array([[float(mean)]]), np.array([[[float(variance)]]]))
    assert near.item() == pytest.approx(exact, abs=0.012)


def test_the_expected_curvature_of_four_is_near_the_mean_over_draws():
    rng = np.random.default_rng(0)
    root = rng.normal(size=(3, 3))
    mean, covariance = np.array([0.5, -1.0, 0.0]), root @ root.T
    d = mean + rng.standard_normal((200_000, 3)) @ root.T
    p = np.exp(-np.column_stack([np.zeros(len(d)), d]))
    p /= p.sum(axis=1, keepdims=True)
    exact = np.diag(p.mean(axis=0)) - p.T @ p / len(p)
    near = expected_curvature(mean[:, None], covariance[..., None])[..., 0]
    np.testing.assert_allclose(near, exact[1:, 1:], atol=0.006)


@pytest.mark.parametrize("size", [2, 4])
@pytest.mark.parametrize(("width", "answers"), [(0, 0), (3, 0), (0, 25)])
def test_before_any_answer_or_without_features_the_value_is_exact(width, answers, size):
    belief = belief_of(width, answers=answers)
    sets = sets_of(14, size)
    expected = [dense_value(belief, images) for images in sets.T]
    np.testing.assert_allclose(expected_gains(belief, sets), expected)


def known(means, deviation):
    """Scores that are known to this deviation, without features."""
    prior = Prior(*(np.zeros((len(means), 0)), np.zeros(0), np.zeros(0)), deviation**2 + 0 * means)
    return replace(Belief.start(prior), u=means)


def test_the_boundary_leaves_as_many_above_it_as_are_wanted():
    means = np.arange(20.0)
    aim = aim_at_top(known(means, 1.0), np.arange(20), 5)
    assert aim.boundary == pytest.approx(14.5, abs=0.01)  # by symmetry: between 14 and 15
    assert set(aim.images[:2]) == {14, 15} and aim.weights.sum() == pytest.approx(1)
    among_few = aim_at_top(known(means, 1.0), np.arange(0, 20, 2), 5)
    assert among_few.boundary == pytest.approx(9, abs=0.01)
    # Nothing is known yet: 5 of 20 draws from N(0, 1) lie above its upper quartile, .674.
    assert aim_at_top(known(0 * means, 1.0), np.arange(20), 5).boundary == pytest.approx(
        0.66, abs=0.03
    )


@pytest.mark.parametrize(("width", "answers"), [(3, 0), (0, 25)])
def test_for_the_best_images_the_value_is_about_those_at_the_boundary(width, answers):
    belief = belief_of(width, answers=answers)
    aim = aim_at_top(belief, np.arange(14), 4)
    sets = sets_of(14, 2)
    expected = [dense_value(belief, images, aim.boundary) for images in sets.T]
    np.testing.assert_allclose(expected_gains(belief, sets, aim), expected)


def test_after_answers_the_best_pair_is_nearly_the_best():
    belief = belief_of(3, answers=25)
    sets = sets_of(14, 2)
    exact = np.array([dense_value(belief, images) for images in sets.T])
    value = expected_gains(belief, sets)
    assert np.corrcoef(exact, value)[0, 1] > 0.9
    assert exact[value.argmax()] > 0.85 * exact.max()
