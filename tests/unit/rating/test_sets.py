"""Choices among more than two: against draws from the exact posterior, and by hand."""

import numpy as np
import pytest

from src.rating.models.answer import Answer, as_choices
from src.rating.models.expectation_propagation import fit
from src.rating.models.feature_space import without_features
from src.rating.models.initial_scores import InitialScores
from src.rating.models.likelihood import moments
from src.rating.models.posterior import Belief, Prior
from src.rating.models.scoring import EloScoring, PosteriorScoring

ANSWERS = [
    Answer(0, 1, "1/3", (2, 3)),
    Answer(2, 3, "2", (4, 5)),
    Answer(6, 2, "4/1", (4, 5)),
    Answer(7, 3, "tie", (5, 0)),
    Answer(0, 5, "left"),
    Answer(4, 1, "3", (7,)),
]


def log_likelihood(answer, f):
    """(draws,) of an answer, for scores (draws, n)."""
    each = f[:, answer.images]
    if answer.outcome in ("left", "right"):
        return each[:, int(answer.outcome == "right")] - np.log(np.exp(each).sum(axis=1))
    if answer.outcome == "tie":
        return each.mean(axis=1) - np.log(np.exp(each).sum(axis=1))
    best, _, worst = answer.outcome.partition("/")
    found = each[:, int(best) - 1] - np.log(np.exp(each).sum(axis=1))
    if worst:
        rest = np.delete(each, int(best) - 1, axis=1)
        found += -each[:, int(worst) - 1] - np.log(np.exp(-rest).sum(axis=1))
    return found


def prior(count=8):
    rng = np.random.default_rng(0)
    return Prior(rng.normal(size=(count, 2)), np.array([0.3, -0.2]), np.array([1.0, 1.5]),
                 rng.uniform(1, 4, count))  # fmt: skip


@pytest.fixture(scope="module")
def exact():
    """Mean, variance and log evidence by weighing draws from the prior."""
    rng, before = np.random.default_rng(1), prior()
    w = before.w_mean + rng.standard_normal((400_000, 2)) * np.sqrt(before.w_var)
    f = w @ before.features.T + rng.standard_normal((len(w), 8)) * np.sqrt(before.u_var)
    mass = np.exp(sum(log_likelihood(answer, f) for answer in ANSWERS))
    mean = mass @ f / mass.sum()
    return mean, mass @ (f - mean) ** 2 / mass.sum(), np.log(mass.mean())


def test_a_fit_of_choices_among_four_is_the_posterior(exact):
    mean, variance, evidence = exact
    fitted = fit(prior(), as_choices(ANSWERS))
    np.testing.assert_allclose(fitted.belief.mean, mean, atol=0.05)
    np.testing.assert_allclose(fitted.belief.variance(np.arange(8)), variance, rtol=0.15)
    assert fitted.log_evidence == pytest.approx(evidence, abs=0.2)


def test_answers_one_by_one_come_near_it(exact):
    belief = Belief.start(prior())
    for answer in ANSWERS:
        belief = belief.after(answer.images, *answer.told)
    np.testing.assert_allclose(belief.mean, exact[0], atol=0.25)


@pytest.mark.parametrize("outcome", ["2", "2/4", "tie"])
def test_one_answer_is_the_fit_of_one(outcome):
    answer = Answer(3, 1, outcome, (5, 6))
    fitted = fit(prior(), as_choices([answer])).belief
    belief = Belief.start(prior()).after(answer.images, *answer.told)
    np.testing.assert_allclose(belief.mean, fitted.mean, atol=2e-3)
    images = np.arange(8)
    np.testing.assert_allclose(belief.variance(images), fitted.variance(images), rtol=0.02)


@pytest.mark.parametrize("outcome", ["1", "3/2", "tie"])
def test_moments_of_four_are_those_of_draws(outcome):
    answer, rng = Answer(0, 1, outcome, (2, 3)), np.random.default_rng(2)
    root = rng.normal(size=(3, 3))
    mean, covariance = np.array([0.5, -1.0, 0.2]), root @ root.T + np.eye(3)
    d = mean + rng.standard_normal((400_000, 3)) @ np.linalg.cholesky(covariance).T
    mass = np.exp(log_likelihood(answer, np.column_stack([np.zeros(len(d)), -d])))
    told = (weights[:, None] for weights in answer.told)
    total, found, spread = moments(mean[:, None], covariance[..., None], *told)
    assert total[0] == pytest.approx(np.log(mass.mean()), abs=0.01)
    expected = mass @ d / mass.sum()
    np.testing.assert_allclose(found[:, 0], expected, atol=0.02)
    exact = (mass[:, None] * (d - expected)).T @ (d - expected) / mass.sum()
    np.testing.assert_allclose(spread[..., 0], exact, atol=0.06)


def test_predictions_of_four_are_shares_that_add_up():
    starts = InitialScores(*np.zeros((2, 5)), np.array([2.0, 0.0, 0.0, -1.0, 0.0]))
    scoring = PosteriorScoring.begin(starts, without_features(5))
    shares = scoring.predictions([3, 0, 1, 2])
    assert sum(shares) == pytest.approx(1)
    assert shares[1] > shares[2] == pytest.approx(shares[3], abs=0.01)
    assert shares[2] > shares[0]
    assert scoring.predictions([1, 2, 4]) is None


def test_elo_plays_every_pair_that_the_answer_decides_with_less_weight():
    begin = EloScoring.begin(InitialScores(*np.zeros((3, 4))))
    # Three games of weight 2 / 4 between equals, one after the other: the winner takes .2 first.
    best = begin.after(Answer(0, 1, "1", (2, 3))).scores()
    assert best[1] == pytest.approx(-0.8 * 0.5 * 0.5)
    assert best[0] == pytest.approx(-best[1:].sum()) and best[0] > 0.4
    both = begin.after(Answer(0, 1, "1/4", (2, 3))).scores()
    assert both[3] < best[3] and both[1] > best[1]


@pytest.mark.parametrize(
    ("outcome", "images", "known", "expected"),
    [
        ("2/3", (5, 6, 7, 8), {5, 6, 7, 8}, Answer(5, 6, "2/3", (7, 8))),
        ("2/3", (5, 6, 7, 8), {5, 6, 8}, Answer(5, 6, "2", (8,))),
        ("4/1", (5, 6, 7, 8), {5, 7, 8}, Answer(5, 7, "3/1", (8,))),
        ("2", (5, 6, 7, 8), {6, 8}, Answer(6, 8, "left")),
        ("2/3", (5, 6, 7, 8), {5, 7, 8}, None),  # without the best nothing is said of the others
        ("tie", (5, 6, 7, 8), {5, 7}, Answer(5, 7, "tie")),
        ("right", (5, 6), {6}, None),
        ("2", (5, 6, 5, 8), {5, 6, 8}, Answer(5, 6, "2", (8,))),  # near duplicates, one score
        ("left", (5, 5), {5}, None),
    ],
)
def test_what_an_answer_says_of_some_of_its_images(outcome, images, known, expected):
    assert Answer.of(outcome, images, lambda image: image in known) == expected
