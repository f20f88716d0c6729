"""The posterior against the same mathematics written out densely, and against integration."""

import math

import numpy as np
import pytest

from src.rating.models.graph import Choices, ComparisonGraph, sigmoid
from src.rating.models.posterior import Belief, Prior, fit, mode_step


def example(n=12, d=3, m=30, seed=0, *, tree=False):
    """A prior, choices, and the dense covariance of f under the prior."""
    rng = np.random.default_rng(seed)
    prior = Prior(
        features=rng.normal(size=(n, d)),
        w_mean=rng.normal(size=d) * 0.3,
        w_var=rng.uniform(0.5, 2, d),
        u_var=rng.uniform(0.5, 2, n),
    )
    if tree:  # every image but the first is compared once with an earlier one
        winners = np.arange(1, n)
        losers = np.array([rng.integers(0, i) for i in winners])
        swap = rng.random(n - 1) < 0.5
        winners, losers = np.where(swap, losers, winners), np.where(swap, winners, losers)
    else:
        winners = rng.integers(0, n, m)
        losers = (winners + rng.integers(1, n, m)) % n
    choices = Choices(winners, losers, rng.choice([0.5, 1.0], len(winners)))
    x = prior.features
    return prior, choices, x @ np.diag(prior.w_var) @ x.T + np.diag(prior.u_var)


def dense_mode(prior, choices, covariance):
    """Mode, Laplace covariance and log evidence in function space (Rasmussen & Williams 3.4)."""
    n = len(covariance)
    mean = prior.features @ prior.w_mean
    contrast = np.zeros((len(choices), n))
    contrast[np.arange(len(choices)), choices.winners] = 1
    contrast[np.arange(len(choices)), choices.losers] = -1
    inverse = np.linalg.inv(covariance)
    f = mean.copy()
    for _ in range(100):
        p = 1 / (1 + np.exp(-contrast @ f))
        gradient = contrast.T @ (choices.weights * (1 - p)) - inverse @ (f - mean)
        precision = inverse + contrast.T @ np.diag(choices.weights * p * (1 - p)) @ contrast
        f = f + np.linalg.solve(precision, gradient)
    p = 1 / (1 + np.exp(-contrast @ f))
    precision = inverse + contrast.T @ np.diag(choices.weights * p * (1 - p)) @ contrast
    evidence = (
        choices.weights @ np.log(p)
        - 0.5 * (f - mean) @ inverse @ (f - mean)
        - 0.5 * np.linalg.slogdet(precision @ covariance)[1]
    )
    return f, np.linalg.inv(precision), evidence


@pytest.mark.parametrize("d", [0, 1, 5])
def test_the_mode_is_the_exact_one(d):
    prior, choices, covariance = example(d=d)
    f, _, _ = dense_mode(prior, choices, covariance)
    np.testing.assert_allclose(fit(prior, choices).belief.mean, f, atol=1e-5)


@pytest.mark.parametrize("d", [0, 1, 5])
def test_on_a_tree_covariance_and_evidence_are_exact_too(d):
    prior, choices, covariance = example(d=d, tree=True)
    _, expected, evidence = dense_mode(prior, choices, covariance)
    fitted = fit(prior, choices)
    assert fitted.log_evidence == pytest.approx(evidence, abs=1e-5)
    images = np.arange(len(covariance))
    np.testing.assert_allclose(fitted.belief.variance(images), np.diag(expected), rtol=1e-4)


def test_with_circles_variance_and_evidence_are_close():
    prior, choices, covariance = example(n=40, m=80)
    _, expected, evidence = dense_mode(prior, choices, covariance)
    fitted = fit(prior, choices)
    assert fitted.log_evidence == pytest.approx(evidence, abs=0.5)
    images = np.arange(len(covariance))
    np.testing.assert_allclose(fitted.belief.variance(images), np.diag(expected), rtol=0.15)


def test_the_search_may_start_anywhere():
    prior, choices, _ = example()
    far = Belief.start(Prior(prior.features, prior.w_mean + 5, prior.w_var, prior.u_var))
    far.u[:] = -3
    one, other = fit(prior, choices).belief, fit(prior, choices, far).belief
    np.testing.assert_allclose(one.mean, other.mean, atol=1e-5)


def test_without_choices_the_prior_is_believed():
    prior, _, covariance = example()
    nothing = np.zeros(0, dtype=np.intp)
    fitted = fit(prior, Choices(nothing, nothing, np.zeros(0)))
    assert fitted.log_evidence == 0
    np.testing.assert_allclose(fitted.belief.mean, prior.features @ prior.w_mean)
    images = np.arange(len(covariance))
    np.testing.assert_allclose(fitted.belief.variance(images), np.diag(covariance))
    mean, variance = fitted.belief.difference(np.array([0]), np.array([1]))
    assert mean[0] == pytest.approx((prior.features[0] - prior.features[1]) @ prior.w_mean)
    assert variance[0] == pytest.approx(covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1])


def test_one_answer_is_the_exact_laplace_update_of_all_scores():
    prior, _, covariance = example()
    one = Choices(np.array([3]), np.array([7]), np.ones(1))
    f, expected, _ = dense_mode(prior, one, covariance)
    belief = Belief.start(prior).after(3, 7)
    np.testing.assert_allclose(belief.mean, f, atol=1e-9)
    images = np.arange(len(covariance))
    np.testing.assert_allclose(belief.variance(images), np.diag(expected), atol=1e-9)


def test_few_and_many_pairs_are_computed_alike():
    prior, choices, _ = example()
    belief = fit(prior, choices).belief
    i, j = np.triu_indices(len(prior.u_var), 1)
    mean, variance = belief.difference(i, j)  # more pairs than images
    for at in (0, 7, 40):
        one = belief.difference(i[at : at + 1], j[at : at + 1])
        np.testing.assert_allclose([mean[at], variance[at]], [one[0][0], one[1][0]])


def test_an_update_changes_nothing_of_the_belief_it_came_from():
    prior, _, _ = example()
    belief = Belief.start(prior).after(0, 1)
    before = belief.mean.copy(), belief.variance(np.arange(12)).copy()
    belief.after(1, 2).after(0, 5)
    np.testing.assert_array_equal(belief.mean, before[0])
    np.testing.assert_array_equal(belief.variance(np.arange(12)), before[1])


def test_updates_one_by_one_come_close_to_the_fit():
    prior, choices, _ = example(n=30, m=90)
    belief = Belief.start(prior)
    for i, j, weight in zip(*vars(choices).values(), strict=True):
        belief = belief.after(int(i), int(j), float(weight))
    assert np.corrcoef(belief.mean, fit(prior, choices).belief.mean)[0, 1] > 0.98


@pytest.mark.parametrize("mean", [-30.0, -1.0, 0.0, 2.0, 30.0])
@pytest.mark.parametrize("variance", [1e-6, 1.0, 50.0])
@pytest.mark.parametrize("weight", [0.5, 1.0])
def test_the_step_is_where_its_equation_says(mean, variance, weight):
    a, b = mode_step(mean, variance, weight)
    d = mean + a * variance
    p = 1 / (1 + math.exp(d))
    assert a == pytest.approx(weight * p, rel=1e-6)
    q = weight * p * (1 - p)
    assert b == pytest.approx(q / (1 + q * variance), rel=1e-6)


def test_the_updated_mean_is_near_the_integral():
    # N(0.5, 2) times a logistic, by the trapezium rule; the mode lies below the mean by skewness.
    d = np.linspace(-15, 15, 20001)
    density = np.exp(-((d - 0.5) ** 2) / 4) * sigmoid(d)
    exact_mean = (d * density).sum() / density.sum()
    exact_variance = ((d - exact_mean) ** 2 * density).sum() / density.sum()
    a, b = mode_step(0.5, 2.0)
    assert 0.5 + 2 * a == pytest.approx(exact_mean, abs=0.1)
    assert 2 - 4 * b == pytest.approx(exact_variance, rel=0.1)


def test_the_laplacian_of_a_triangle_by_hand():
    choices = Choices(np.array([0, 1, 1, 2]), np.array([1, 0, 2, 0]), np.ones(4))
    graph = ComparisonGraph(choices, 3)
    assert list(zip(graph.i, graph.j, strict=True)) == [(0, 1), (0, 2), (1, 2)]
    q = graph.curvature(np.zeros(3))
    np.testing.assert_allclose(q, [0.5, 0.25, 0.25])  # two choices between 0 and 1
    expected = np.array([[0.75, -0.5, -0.25], [-0.5, 0.75, -0.25], [-0.25, -0.25, 0.5]])
    np.testing.assert_allclose(graph.laplacian(q, np.eye(3)), expected)
    for column in range(3):
        np.testing.assert_allclose(graph.laplacian(q, np.eye(3)[column]), expected[column])
    d = np.array([1.0, 2.0, 3.0])
    np.testing.assert_allclose(
        graph.solve(q, d, np.eye(3)), np.linalg.inv(expected + np.diag(d)), atol=1e-4
    )
