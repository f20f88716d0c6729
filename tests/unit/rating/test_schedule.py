"""Which pairs are shown, by rules that can be counted."""

from collections import Counter
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from src.rating.models.feature_space import without_features
from src.rating.models.initial_scores import InitialScores
from src.rating.models.scoring import PosteriorScoring
from src.rating.pairs.schedule import Schedule, active_set, least_shown_set, random_set

FOUR = np.arange(4)


def no_scores(count):
    starts = InitialScores(np.zeros(count), np.zeros(count), np.zeros(count))
    return PosteriorScoring.begin(starts, without_features(count))


def test_active_takes_the_most_informative_pair_that_is_allowed():
    def gains(sets):  # the closer the numbers, the more
        return -abs(sets[0] - sets[1]).astype(float)

    rng = np.random.default_rng(0)
    images = np.array([0, 10, 11, 30, 50])
    assert set(active_set(images, 2, gains, {}, rng)) == {10, 11}
    shown = {(10, 11): 2}
    assert set(active_set(images, 2, gains, shown, rng)) == {0, 10}


def test_with_a_top_it_asks_about_the_images_between_which_the_best_end():
    belief = replace(no_scores(200).belief, u=np.linspace(0, 30, 200), u_var=np.full(200, 0.1))
    known = replace(no_scores(200), belief=belief)
    schedule, everyone = Schedule(200, "active", seed=0, top=20), np.arange(200)
    schedule.aim(known, everyone)
    shown = [schedule.draw(known, everyone, number) for number in range(60)]
    asked = np.array([pair.images for pair in shown if pair.kind == "active"])
    assert len(asked) > 30 and (abs(asked - 179.5).min(axis=1) < 10).all()
    assert 0.3 < (asked[:, 0] < asked[:, 1]).mean() < 0.7  # on either side
    few = np.array([5, 9])  # of which none is near
    assert set(schedule.draw(known, few, 61).images) == {5, 9}


def test_active_goes_on_when_every_pair_was_shown_often():
    def gains(sets):
        return np.zeros(sets.shape[1])

    pair = active_set(np.array([2, 5]), 2, gains, {(2, 5): 9}, np.random.default_rng(0))
    assert set(pair) == {2, 5}


def test_random_pairs_are_uniform_over_pairs_and_sides():
    rng = np.random.default_rng(0)
    counts = Counter(random_set(FOUR, 2, rng) for _ in range(12_000))
    assert len(counts) == 12
    # 1000 expected of each; five standard deviations of a binomial are 151
    assert all(abs(count - 1000) < 151 for count in counts.values())


def test_least_shown_takes_one_of_the_least_shown():
    shown = np.array([3, 0, 3, 3])
    rng = np.random.default_rng(0)
    pairs = [least_shown_set(FOUR, 2, shown, rng) for _ in range(200)]
    assert all(1 in pair for pair in pairs)
    assert {pair.index(1) for pair in pairs} == {0, 1}


def session(schedule, count, answers, choose=lambda shown: "left"):
    scoring, allowed, shown = no_scores(count), np.arange(count), []
    for number in range(answers):
        pair = schedule.draw(scoring, allowed, number)
        schedule.note(pair.images, pair.kind)
        shown.append(pair)
    return shown


@pytest.mark.parametrize("selection", ["active", "least_shown", "random"])
def test_no_image_is_shown_twice_in_a_row(selection):
    shown = session(Schedule(8, selection, 0), 8, 150)
    for one, other in pairwise(shown):
        assert not set(one.images) & set(other.images)


@pytest.mark.parametrize("selection", ["active", "least_shown", "random"])
def test_audits_and_repeats_have_their_shares(selection):
    kinds = Counter(pair.kind for pair in session(Schedule(60, selection, 1), 60, 1000))
    # binomial with n = 1000: five standard deviations are 47 and 34
    assert abs(kinds["audit"] - 100) < 47
    assert 50 - 34 < kinds["repeat"] < 50 + 34
    assert kinds[selection] == 1000 - kinds["audit"] - kinds["repeat"]


def test_repeats_are_earlier_audits_with_sides_swapped_shown_once_more():
    shown = session(Schedule(60, "active", 2), 60, 600)
    repeated = set()
    for at, pair in enumerate(shown):
        if pair.kind == "repeat":
            earlier = [one for one in shown[:at] if set(one.images) == set(pair.images)]
            assert len(earlier) == 1
            assert earlier[0].kind == "audit"
            assert earlier[0].images == pair.images[::-1]
            assert at - shown.index(earlier[0]) >= 10
            repeated.add(pair.images)
    assert repeated


def test_the_same_seed_gives_the_same_pairs_and_another_one_others():
    one, again, other = (session(Schedule(30, "active", seed), 30, 50) for seed in (5, 5, 6))
    assert one == again
    assert one != other


def test_forgetting_undoes_a_note():
    schedule, fresh = Schedule(9, "least_shown", 3), Schedule(9, "least_shown", 3)
    schedule.note((1, 2), "audit")
    schedule.forget()
    assert session(schedule, 9, 40) == session(fresh, 9, 40)
