"""The posterior against the same mathematics written out densely, and against integration."""

import numpy as np
import pytest

from src.rating.models.expectation_propagation import Sites, fit
from src.rating.models.graph import (
    Choices,
    ComparisonGraph,
    sigmoid,
)
from src.rating.models.likelihood import moments
from src.rating.models.posterior import Belief, Prior


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


GRID = np.linspace(-30, 30, 6001)


def answered(mean, variance, won, lost):
    """Log integral, mean and variance of a Gaussian times the likelihood, by the trapezium rule."""
    density = np.exp(-((GRID - mean) ** 2) / (2 * variance)) / np.sqrt(2 * np.pi * variance)
    density *= sigmoid(GRID) ** won * sigmoid(-GRID) ** lost
    total = density.sum() * (GRID[1] - GRID[0])
    density /= density.sum()
    new = (density * GRID).sum()
    return np.log(total), new, (density * (GRID - new) ** 2).sum()


def dense(prior, choices, covariance):
    """Mean, covariance and log evidence in function space, one choice after another.

    Algorithm 3.5 and equation 3.65 of Rasmussen & Williams 2006, with choices of one pair as one.
    """
    start = prior.features @ prior.w_mean
    pairs = {}
    given = choices.winners, choices.losers, choices.weights
    for winner, loser, weight in zip(*given, strict=True):
        pair = min(winner, loser), max(winner, loser)
        pairs.setdefault(pair, [0.0, 0.0])[int(winner > loser)] += weight
    contrast = np.zeros((len(pairs), len(covariance)))
    for row, (i, j) in enumerate(pairs):
        contrast[row, [i, j]] = 1, -1
    tau, nu = np.full(len(pairs), 1e-9), np.zeros(len(pairs))

    def posterior():
        inverse = np.linalg.inv(covariance)
        after = np.linalg.inv(inverse + contrast.T @ (tau[:, None] * contrast))
        return after @ (inverse @ start + contrast.T @ nu), after

    def without(row, mean, after):
        h = contrast[row]
        variance = 1 / (1 / (h @ after @ h) - tau[row])
        return variance * (h @ mean / (h @ after @ h) - nu[row]), variance

    for _ in range(12):
        for row, (won, lost) in enumerate(pairs.values()):
            m, v = without(row, *posterior())
            _, new, new_variance = answered(m, v, won, lost)
            tau[row], nu[row] = 1 / new_variance - 1 / v, new / new_variance - m / v
    mean, after = posterior()
    sites = np.array([[tau[row], nu[row], *without(row, mean, after)] for row in range(len(tau))])
    t, n, m, v = sites.T
    evidence = sum(
        answered(m[row], v[row], *counts)[0] for row, counts in enumerate(pairs.values())
    )
    # The integral of the prior times the sites, each scaled to the mass that it stands for.
    evidence += (0.5 * np.log(2 * np.pi * (v + 1 / t)) + (m - n / t) ** 2 / (2 * (v + 1 / t))).sum()
    spread = contrast @ covariance @ contrast.T + np.diag(1 / t)
    gap = n / t - contrast @ start
    evidence -= 0.5 * (gap @ np.linalg.solve(spread, gap) + np.linalg.slogdet(spread)[1])
    evidence -= 0.5 * len(t) * np.log(2 * np.pi)
    return mean, after, evidence


@pytest.mark.parametrize("d", [0, 1, 5])
def test_on_a_tree_it_is_what_the_dense_algorithm_finds(d):
    prior, choices, covariance = example(d=d, tree=True)
    mean, after, evidence = dense(prior, choices, covariance)
    fitted = fit(prior, choices)
    np.testing.assert_allclose(fitted.belief.mean, mean, atol=1e-2)
    variance = fitted.belief.variance(np.arange(len(covariance)))
    np.testing.assert_allclose(variance, np.diag(after), rtol=1e-2)
    assert fitted.log_evidence == pytest.approx(evidence, abs=1e-2)


def test_with_circles_it_is_close():
    prior, choices, covariance = example(n=40, m=80)
    mean, after, evidence = dense(prior, choices, covariance)
    fitted = fit(prior, choices)
    np.testing.assert_allclose(fitted.belief.mean, mean, atol=0.1)
    variance = fitted.belief.variance(np.arange(len(covariance)))
    np.testing.assert_allclose(variance, np.diag(after), rtol=0.15)
    assert fitted.log_evidence == pytest.approx(evidence, abs=0.5)


def test_it_is_close_to_the_integral_over_all_scores():
    prior = Prior(np.zeros((3, 0)), np.zeros(0), np.zeros(0), np.array([4.0, 2.0, 3.0]))
    winners, losers = np.array([0, 0, 1, 2]), np.array([1, 1, 2, 1])
    fitted = fit(prior, Choices(winners, losers, np.ones(4)))
    axis = np.linspace(-9, 9, 121)
    f = np.stack(np.meshgrid(axis, axis, axis, indexing="ij")).reshape(3, -1)
    log_prior = -0.5 * (f.T**2 / prior.u_var + np.log(2 * np.pi * prior.u_var)).sum(axis=1)
    mass = np.exp(log_prior) * sigmoid(f[winners] - f[losers]).prod(axis=0)
    total = mass.sum() * (axis[1] - axis[0]) ** 3
    mean = f @ mass / mass.sum()
    np.testing.assert_allclose(fitted.belief.mean, mean, atol=0.03)
    variance = (f - mean[:, None]) ** 2 @ mass / mass.sum()
    np.testing.assert_allclose(fitted.belief.variance(np.arange(3)), variance, rtol=0.04)
    assert fitted.log_evidence == pytest.approx(np.log(total), abs=0.02)


def test_where_it_starts_makes_no_difference():
    prior, choices, _ = example()
    one = fit(prior, choices)
    far = Sites(one.sites.precision + 0.5, one.sites.shift - 1)
    np.testing.assert_allclose(fit(prior, choices, far).belief.mean, one.belief.mean, atol=5e-3)


def test_many_images_are_solved_as_few_are(monkeypatch):
    prior, choices, _ = example(n=40, m=80)
    few = fit(prior, choices)
    monkeypatch.setattr("src.rating.models.graph._DENSE", 0)
    many = fit(prior, choices)
    np.testing.assert_allclose(many.belief.mean, few.belief.mean, atol=1e-2)
    assert many.log_evidence == pytest.approx(few.log_evidence, abs=1e-2)


def test_without_choices_the_prior_is_believed():
    prior, _, covariance = example()
    nothing = np.zeros(0, dtype=np.intp)
    fitted = fit(prior, Choices(nothing, nothing, np.zeros(0)))
    assert fitted.log_evidence == 0
    np.testing.assert_allclose(fitted.belief.mean, prior.features @ prior.w_mean)
    images = np.arange(len(covariance))
    np.testing.assert_allclose(fitted.belief.variance(images), np.diag(covariance))
    mean, variance = fitted.belief.differences([0, 1])
    assert mean[0] == pytest.approx((prior.features[0] - prior.features[1]) @ prior.w_mean)
    assert variance[0, 0] == pytest.approx(
        covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1]
    )


@pytest.mark.parametrize("won", [1.0, 0.5, 0.0])
def test_one_answer_is_the_fit_of_one(won):
    prior, _, covariance = example()
    ends = np.array([3, 7])
    fitted = fit(prior, Choices(ends, ends[::-1], np.array([won, 1 - won]))).belief
    belief = Belief.start(prior).after([3, 7], [won, 1 - won], [0, 0])
    np.testing.assert_allclose(belief.mean, fitted.mean, atol=1e-3)
    images = np.arange(len(covariance))
    np.testing.assert_allclose(belief.variance(images), fitted.variance(images), rtol=1e-3)


def test_an_update_changes_nothing_of_the_belief_it_came_from():
    prior, _, _ = example()
    belief = Belief.start(prior).after([0, 1], [1, 0], [0, 0])
    before = belief.mean.copy(), belief.variance(np.arange(12)).copy()
    belief.after([1, 2], [1, 0], [0, 0]).after([0, 5, 7], [0, 1, 0], [0, 0, 1])
    np.testing.assert_array_equal(belief.mean, before[0])
    np.testing.assert_array_equal(belief.variance(np.arange(12)), before[1])


def test_updates_one_by_one_come_close_to_the_fit():
    prior, choices, _ = example(n=30, m=90)
    belief = Belief.start(prior)
    for i, j in zip(choices.winners, choices.losers, strict=True):
        belief = belief.after([i, j], [1, 0], [0, 0])
    all_at_once = fit(prior, Choices(choices.winners, choices.losers, np.ones(90))).belief
    assert np.corrcoef(belief.mean, all_at_once.mean)[0, 1] > 0.99


@pytest.mark.parametrize("mean", [-8.0, -1.0, 0.0, 2.0, 8.0])
@pytest.mark.parametrize("variance", [0.01, 1.0, 9.0])
@pytest.mark.parametrize(("won", "lost"), [(1, 0), (0.5, 0.5), (2, 3)])
def test_moments_are_the_integrals(mean, variance, won, lost):
    answers = np.array([[won], [lost]], dtype=float)
    found = moments(np.array([[mean]]), np.array([[[variance]]]), answers, np.zeros((2, 1)))
    expected = answered(mean, variance, won, lost)
    np.testing.assert_allclose(np.concatenate(found, axis=None), expected, rtol=1e-4, atol=1e-4)


def test_the_laplacian_of_a_triangle_by_hand():
    choices = Choices(np.array([0, 1, 1, 2]), np.array([1, 0, 2, 0]), np.ones(4))
    graph = ComparisonGraph(choices, 3)
    assert list(zip(graph.i, graph.j, strict=True)) == [(0, 1), (0, 2), (1, 2)]
    np.testing.assert_allclose(graph.sets[0].best, [[1, 0, 1], [1, 1, 0]])
    q = np.array([0.5, 0.25, 0.25])
    expected = np.array([[0.75, -0.5, -0.25], [-0.5, 0.75, -0.25], [-0.25, -0.25, 0.5]])
    np.testing.assert_allclose(graph.laplacian(q, np.eye(3)), expected)
    for column in range(3):
        np.testing.assert_allclose(graph.laplacian(q, np.eye(3)[column]), expected[column])
    d = np.array([1.0, 2.0, 3.0])
    np.testing.assert_allclose(
        graph.solve(q, d, np.eye(3)), np.linalg.inv(expected + np.diag(d)), atol=1e-4
    )


def test_an_answer_that_is_all_but_impossible_does_not_underflow():
    mean, covariance = np.array([[-2000.0]]), np.array([[[1.0]]])
    best, worst = np.array([[1.0], [0.0]]), np.zeros((2, 1))
    total, after, spread = moments(mean, covariance, best, worst)
    # There log sigmoid(d) is d, and N(d; m, 1) exp(d) = exp(m + 1/2) N(d; m + 1, 1).
    assert total == pytest.approx(-1999.5)
    assert (after.item(), spread.item()) == pytest.approx((-1999, 1), abs=1e-6)
