"""What an answer is worth, against dense covariances and numerical integration."""

from dataclasses import replace

import numpy as np
import pytest

from src.rating.models.posterior import Belief, Prior
from src.rating.pairs.expected_gain import (
    SCORE_VARIANCE,
    aim_at_top,
    density,
    expected_curvature,
    pair_gains,
)


def dense_value(belief, i, j, boundary=None):
    """The weighted decrease of all variances, from the whole covariance matrix."""
    x = belief.prior.features
    cross = belief.cross[belief.row]
    covariance = x @ belief.w_cov @ x.T + cross @ x.T + x @ cross.T + np.diag(belief.u_var)
    gain = covariance[:, i] - covariance[:, j]
    variance = gain[i] - gain[j]
    shared = np.einsum("nd,nd->n", x @ belief.w_cov, x).mean()
    if boundary is None:
        weight = density(belief.mean, shared + belief.u_var + SCORE_VARIANCE, belief.mean.mean())
    else:
        weight = density(belief.mean, shared + belief.u_var, boundary)
    q = expected_curvature(belief.mean[i] - belief.mean[j], variance)
    return q / (1 + q * variance) * (weight @ gain**2)


def pairs(count):
    return np.triu_indices(count, 1)


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
        belief = belief.after(left, right, 1.0)
    return belief


@pytest.mark.parametrize(("mean", "variance"), [(0, 0.01), (0, 7), (2, 3), (-5, 4)])
def test_expected_curvature_is_near_the_integral(mean, variance):
    x = np.linspace(mean - 12 * variance**0.5, mean + 12 * variance**0.5, 20001)
    weight = np.exp(-((x - mean) ** 2) / (2 * variance))
    p = 1 / (1 + np.exp(-x))
    exact = (weight * p * (1 - p)).sum() / weight.sum()
    near = expected_curvature(np.array([float(mean)]), np.array([float(variance)]))[0]
    assert near == pytest.approx(exact, abs=0.012)


@pytest.mark.parametrize(("width", "answers"), [(0, 0), (3, 0), (0, 25)])
def test_before_any_answer_or_without_features_the_value_is_exact(width, answers):
    belief = belief_of(width, answers=answers)
    i, j = pairs(14)
    expected = [dense_value(belief, a, b) for a, b in zip(i, j, strict=True)]
    np.testing.assert_allclose(pair_gains(belief, i, j), expected)


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
    i, j = pairs(14)
    expected = [dense_value(belief, a, b, aim.boundary) for a, b in zip(i, j, strict=True)]
    np.testing.assert_allclose(pair_gains(belief, i, j, aim), expected)


def test_after_answers_the_best_pair_is_nearly_the_best():
    belief = belief_of(3, answers=25)
    i, j = pairs(14)
    exact = np.array([dense_value(belief, a, b) for a, b in zip(i, j, strict=True)])
    value = pair_gains(belief, i, j)
    assert np.corrcoef(exact, value)[0, 1] > 0.9
    assert exact[value.argmax()] > 0.85 * exact.max()
