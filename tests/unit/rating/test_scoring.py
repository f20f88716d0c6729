"""Elo and the posterior behind one interface, and the features under the posterior."""

import math

import numpy as np
import pytest

from src.errors import DataError
from src.rating.models.answer import Answer, as_choices
from src.rating.models.feature_space import feature_space, principal_components, without_features
from src.rating.models.initial_scores import InitialScores
from src.rating.models.scoring import EloScoring, PosteriorScoring, elo_update, win_probability

LN10 = math.log(10)


def starts(count, old=(), model=(), played=0.0):
    arrays = np.zeros((3, count))
    arrays[0, : len(old)] = old
    arrays[1, : len(old)] = played
    arrays[2, len(old) : len(old) + len(model)] = model
    return InitialScores(*arrays)


ANSWERS = [Answer(0, 1, "left"), Answer(1, 2, "right"), Answer(2, 0, "tie"), Answer(0, 1, "left")]


@pytest.mark.parametrize(
    ("difference", "probability"), [(0, 0.5), (1, 10 / 11), (-2, 1 / 101), (1e6, 1), (-1e6, 0)]
)
def test_probabilities_are_odds_of_ten_to_one_per_unit(difference, probability):
    assert win_probability(difference) == pytest.approx(probability)


@pytest.mark.parametrize(
    ("lead", "outcome", "change"),
    [(0, 1, 0.5), (1, 1, 1 / 11), (1, 0, -10 / 11), (1, 0.5, 0.5 - 10 / 11)],
)
def test_k_times_the_surprise_goes_from_loser_to_winner(lead, outcome, change):
    expected = lead + 0.8 * change, -0.8 * change
    assert elo_update(lead, 0.0, outcome) == pytest.approx(expected)


def test_elo_is_the_seeds_rule_played_in_order():
    scores = [1.0, 0.0, -0.5]
    for left, right, outcome, _ in ANSWERS:
        result = {"left": 1.0, "right": 0.0, "tie": 0.5}[outcome]
        scores[left], scores[right] = elo_update(scores[left], scores[right], result)
    begin = EloScoring.begin(starts(3, old=[LN10, 0, -0.5 * LN10]))
    np.testing.assert_allclose(begin.refitted(ANSWERS).scores(), scores)
    one_by_one = begin
    for answer in ANSWERS:
        one_by_one = one_by_one.after(answer)
    np.testing.assert_allclose(one_by_one.scores(), scores)
    np.testing.assert_array_equal(one_by_one.counts, [3, 3, 2])


def test_a_tie_is_half_a_win_for_either_side():
    choices = as_choices(ANSWERS)
    assert choices.winners.tolist() == [0, 2, 2, 0, 0]
    assert choices.losers.tolist() == [1, 1, 0, 1, 2]
    assert choices.weights.tolist() == [1, 1, 0.5, 1, 0.5]
    assert len(as_choices([])) == 0


@pytest.mark.parametrize("method", ["elo", "posterior"])
def test_starting_scores_stay_until_something_is_chosen(method):
    begin = starts(4, old=[0.7, -0.3], model=[0.2], played=3.0)
    if method == "elo":
        scoring = EloScoring.begin(begin)
    else:
        features = {str(i): np.random.default_rng(i).normal(size=5) for i in range(4)}
        space = feature_space(list(features), features)
        scoring = PosteriorScoring.begin(begin, space)
    np.testing.assert_allclose(scoring.scores() * LN10, [0.7, -0.3, 0.2, 0], atol=1e-12)
    np.testing.assert_allclose(
        scoring.refitted([]).scores() * LN10, [0.7, -0.3, 0.2, 0], atol=1e-12
    )


def test_a_good_start_is_believed_more_and_a_bad_one_less():
    count = 40
    start = np.linspace(-3, 3, count)
    rng = np.random.default_rng(0)
    pairs = [rng.choice(count, 2, replace=False) for _ in range(120)]
    for sign, believed in ((1, True), (-1, False)):
        answers = [Answer(i, j, "left" if sign * (i - j) > 0 else "right") for i, j in pairs]
        begin = starts(count, model=start)
        scoring = PosteriorScoring.begin(begin, without_features(count)).refitted(answers)
        slope = scoring.belief.w[0]
        assert (slope > 1) == believed
        assert (slope < 0.5) == (not believed)


def test_a_prediction_is_the_probability_averaged_over_what_is_unknown():
    scoring = PosteriorScoring.begin(starts(2, model=[2.0]), without_features(2))
    # difference N(2, 2 * 3.58 + 0.25 * 2²), by the trapezium rule
    d = np.linspace(-30, 30, 40001)
    density = np.exp(-((d - 2) ** 2) / (2 * 8.16))
    expected = (density / (1 + np.exp(-d))).sum() / density.sum()
    assert scoring.predictions([0, 1]) == pytest.approx((expected, 1 - expected), abs=1e-3)
    assert scoring.predictions([1, 0]) == pytest.approx((1 - expected, expected), abs=1e-3)


def taste(features, weights, answers, seed):
    rng = np.random.default_rng(seed)
    truth = features @ weights
    out = []
    for _ in range(answers):
        i, j = rng.choice(len(features), 2, replace=False)
        left = rng.random() < 1 / (1 + np.exp(truth[j] - truth[i]))
        out.append(Answer(int(i), int(j), "left" if left else "right"))
    return out


def test_features_that_tell_taste_get_a_large_share_and_useless_ones_a_small():
    count = 150
    rng = np.random.default_rng(0)
    table = rng.normal(size=(count, 6))
    useless = rng.normal(size=(count, 6))
    answers = taste(table, np.array([2.0, 0, 0, 0, 0, 0]), 450, 1)
    shares = {}
    for name, features in (("good", table), ("useless", useless)):
        names = [str(i) for i in range(count)]
        space = feature_space(names, dict(zip(names, features, strict=True)))
        begin = PosteriorScoring.begin(starts(count), space)
        shares[name] = begin.refitted(answers).taste.share
    assert shares["useless"] == 0.02
    assert shares["good"] == 0.95


def test_images_without_features_are_as_uncertain_as_without_any_features():
    names = ["a", "b", "c", "d"]
    features = {name: np.eye(4)[i] for i, name in enumerate(names[:3])}
    space = feature_space(names, features)
    assert space.known.tolist() == [True, True, True, False]
    scoring = PosteriorScoring.begin(starts(4), space)
    deviations = scoring.deviations(np.arange(4)) * LN10
    assert deviations[3] ** 2 == pytest.approx(3.58)
    assert np.mean(deviations[:3] ** 2) == pytest.approx(3.58)


def test_principal_components_keep_distances_and_have_power_one():
    table = np.random.default_rng(0).normal(size=(20, 7)) + 5
    components = principal_components(table, 64)
    assert components.shape == (20, 7)
    assert (components**2).sum(axis=1).mean() == pytest.approx(1)
    np.testing.assert_allclose(components.mean(axis=0), 0, atol=1e-12)

    def distances(x):
        return np.linalg.norm(x[:, None] - x[None], axis=-1)

    ratio = distances(components)[0, 1:] / distances(table)[0, 1:]
    np.testing.assert_allclose(ratio, ratio[0])


def test_large_tables_give_the_same_components():
    rng = np.random.default_rng(0)
    table = (rng.normal(size=(900, 70)) * np.geomspace(1, 1e-3, 70)) @ rng.normal(size=(70, 700))
    wide = np.asarray(table - table.mean(axis=0))
    u, s, _ = np.linalg.svd(wide, full_matrices=False)
    exact = u[:, :64] * s[:64]
    exact /= np.sqrt((exact**2).sum(axis=1).mean())
    sketched = principal_components(table.astype(np.float32), 64)
    # the sign of a component means nothing
    overlap = np.abs((exact * sketched).sum(axis=0)) / (exact**2).sum(axis=0)
    np.testing.assert_allclose(overlap[:40], 1, atol=1e-2)


@pytest.mark.parametrize(
    "features",
    [{}, {"other": [1.0]}, {"a": [1.0, 2.0]}, {"a": [1.0], "b": [1.0]}, {"a": [np.nan]}],
    ids=["none", "of others", "of one", "all equal", "not finite"],
)
def test_features_that_tell_nothing_are_as_none(features):
    assert feature_space(["a", "b"], features).width == 0


def test_vectors_of_different_lengths_are_refused():
    with pytest.raises(DataError, match="differ in length"):
        feature_space(["a", "b"], {"a": [1.0], "b": [1.0, 2.0]})


def test_of_very_many_choices_the_last_say_what_kind_of_taste_it_is(monkeypatch):
    rng = np.random.default_rng(0)
    table = rng.normal(size=(60, 3))
    answers = taste(table, np.array([4.0, 0, 0]), 300, 1)
    names = [str(i) for i in range(60)]
    begin = PosteriorScoring.begin(
        starts(60), feature_space(names, dict(zip(names, table, strict=True)))
    )
    last = begin.refitted(answers[-200:])
    monkeypatch.setattr("src.rating.models.scoring.MOST_SEARCHED", 200)
    fitted = begin.refitted(answers)
    assert fitted.taste == last.taste != begin.taste
    assert [weight for weight, _ in fitted.candidates] == [1.0]
    np.testing.assert_array_equal(fitted.candidates[0][1].mean, fitted.belief.mean)
    reversed_ = [one._replace(left=one.right, right=one.left) for one in answers]
    assert fitted.refitted(reversed_).taste == fitted.taste  # found once
