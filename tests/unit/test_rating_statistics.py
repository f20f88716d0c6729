"""The figures of R17, counted by hand, and what they suggest."""

import numpy as np
import pytest

from src.evaluation.proportion import NONE, Proportion
from src.rating.models.feature_space import without_features
from src.rating.models.scoring import PosteriorScoring, Starts
from src.rating.report.advice import OddOneOut, advise
from src.rating.report.statistics import Tally, gather, odd_one_out, running_share
from src.rating.storage.choice_log import Event

EVENTS = [
    Event("a", "b", "left", "audit", 0.9),  # matched
    Event("a", "c", "right", "audit", 0.6),  # contradicted
    Event("b", "c", "right", "active", None),  # not predicted
    Event("b", "c", "skip", "active", 0.3),  # does not count
    Event("d", "a", "tie", "audit", 0.3),  # counts, but matches nothing
    Event("a", "", "exclude", ""),
    Event("b", "a", "right", "repeat", 0.1),  # a again: consistent, matched
    Event("c", "a", "right", "repeat", 0.7),  # c before, a now; contradicted
    Event("a", "d", "tie", "repeat", 0.5),  # a tie again: consistent
]


def test_wilsons_interval_as_published():
    # Newcombe 1998, table I: 81 of 263 gives 0.2553–0.3662, 0 of 20 gives 0–0.1611
    assert Proportion(81, 263).interval == pytest.approx((0.2553, 0.3662), abs=5e-5)
    assert Proportion(0, 20).interval == pytest.approx((0.0, 0.1611), abs=5e-5)
    assert Proportion(1, 29).interval == pytest.approx((0.0061, 0.1718), abs=5e-5)
    assert Proportion(29, 29).interval[1] == 1.0


def test_a_share_of_nothing():
    assert NONE.value is None
    assert NONE.interval == (0.0, 1.0)
    assert str(NONE) == "–"


def test_a_share_in_words():
    assert str(Proportion(81, 263)) == "30.8 % (25.5–36.6 %, 81 of 263)"


def test_the_tally_by_hand():
    tally = Tally().add(EVENTS)
    assert tally.answered == 7
    assert tally.matched == [True, False, True, False]
    assert tally.numbers == [1, 2, 5, 6]
    assert tally.audit == Proportion(1, 2)
    assert tally.repeats == Proportion(2, 3)


def test_counting_in_two_parts_is_counting_at_once():
    first = Tally().add(EVENTS[:4])
    second = first.copy().add(EVENTS[4:])
    assert second == Tally().add(EVENTS)
    assert first == Tally().add(EVENTS[:4])


def test_the_running_share_looks_back_fifty():
    tally = Tally(answered=120, matched=[True] * 60 + [False] * 60, numbers=list(range(1, 121)))
    numbers, share = running_share(tally)
    assert numbers == list(range(1, 121))
    assert share[59] == 1.0
    assert share[60] == pytest.approx(49 / 50)
    assert share[109] == 0.0
    assert running_share(Tally()) == ([], [])


def test_a_long_series_is_thinned_to_its_ends():
    tally = Tally(answered=9000, matched=[True] * 9000, numbers=list(range(1, 9001)))
    numbers, share = running_share(tally)
    assert len(numbers) == len(share) == 500
    assert (numbers[0], numbers[-1]) == (1, 9000)


def test_the_odd_one_out_by_hand():
    model = {"a": 2.0, "b": 1.0, "c": 1.0}
    events = [
        Event("a", "b", "left", "audit", 0.9),  # all say a
        Event("a", "b", "right", "audit", 0.9),  # the person alone says b
        Event("b", "a", "left", "audit", 0.9),  # the model alone says a
        Event("b", "a", "right", "audit", 0.9),  # the database alone says b
        Event("b", "c", "left", "audit", 0.9),  # the model has no opinion
        Event("a", "b", "tie", "audit", 0.9),
        Event("a", "b", "left", "audit", None),
        Event("a", "x", "left", "audit", 0.9),  # the model does not know x
    ]
    assert odd_one_out(events, model) == OddOneOut(person=1, database=1, model=1, agreed=1)


def figures(session, *, past=(), model=None, seconds=12.5):
    starts = Starts(np.zeros(4), np.zeros(4), np.zeros(4))
    return gather(
        past=Tally().add(past),
        session=session,
        seconds=seconds,
        goal=100,
        choices=len(past) + 7,
        unrated=1,
        rateable=np.array([True, True, True, False]),
        comparisons=np.array([5, 3, 2, 2]),
        scoring=PosteriorScoring.begin(starts, without_features(4)),
        model=model,
        with_features=False,
    )


def test_the_report_has_the_seeds_lines():
    report = figures(EVENTS, model={"a": 1.0, "b": 0.0, "c": 2.0}).report().splitlines()
    assert report[0] == "14 images in   12.5 s"
    assert report[1] == "1/3 are unrated"
    assert report[2] == (
        "2 choices matched prediction, 2 contradicted prediction [3 not predicted] = (50.00%)"
    )
    assert report[3] == "A total of 7 comparisons have been made for 3 images (4.67 per image)"
    assert report[4].endswith("too few to tell (1 of 2)")
    assert report[5].endswith("too few to tell (2 of 3)")
    # a-b: all agree; a-c: the model with the person; b-a: all; c-a: the person alone
    assert report[6] == "Odd one out: you 1 (50%); database 1 (50%); model 0 (0%); all agreed 2"


def test_nothing_rated_divides_by_nothing():
    statistics = figures([], seconds=0.0)
    assert statistics.session_agreement == NONE
    assert "= (" not in statistics.report()
    assert statistics.series.agreement == []


def test_the_session_counts_alone_and_quality_over_all_sessions():
    statistics = figures(EVENTS[4:], past=EVENTS[:4])
    assert statistics.session_choices == 4
    assert (statistics.matched, statistics.contradicted, statistics.not_predicted) == (1, 1, 2)
    assert statistics.self_consistency == Proportion(2, 3)
    assert statistics.audit_agreement == Proportion(1, 2)
    assert statistics.series.choice_number == [1, 2, 5, 6]
    assert statistics.series.comparisons == [5, 3, 2]


def advice(**changes):
    situation = {
        "images": 100,
        "choices": 300,
        "with_features": True,
        "audit": Proportion(75, 100),
        "consistency": Proportion(15, 20),
        "odd_one_out": None,
    }
    return advise(**{**situation, **changes})


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"images": 1}, "Add images"),
        ({"choices": 199}, "Rate more: it usually takes about 1 more choice to"),
        ({"choices": 0}, "Rate more: it usually takes about 200 more choices to"),
        ({"choices": 250, "with_features": False}, "Rate more: it usually takes about 50 more"),
        # 82 coin tosses on 13 images (first-hour review, 2)
        (
            {"images": 13, "choices": 82, "audit": Proportion(6, 12), "consistency": NONE},
            "no better than a coin so far, 50 % of 12 random pairs (25–75 %)",
        ),
        ({"choices": 0, "audit": Proportion(40, 100)}, "no better than a coin so far, 40 % of 100"),
        ({"audit": Proportion(7, 12)}, "too few to tell whether the scores predict you better"),
        ({"audit": Proportion(9, 9)}, "9 random pairs are too few to tell"),
        ({"consistency": Proportion(9, 9)}, "Ten repeated pairs will show"),
        # 15 of 20 alike: at most (1 + √(2 · 0.75 - 1)) / 2 = 0.854
        ({}, "Train: the scores predict 75 % of 100 random pairs (66–82 %), and as consistently"),
        ({}, "no scores could predict more than about 85 % ("),
        # 100 of 100 alike: s ≥ 0.963, p ≥ 0.981
        (
            {"consistency": Proportion(100, 100)},
            "Rate more: the scores predict 75 % of 100 random pairs (66–82 %), and as "
            "consistently as you answer, about 100 % (98–100 %) is possible",
        ),
        ({"odd_one_out": OddOneOut(30, 5, 10, 200)}, "Rate more: you stood alone 30 times"),
        ({"odd_one_out": OddOneOut(10, 5, 30, 200)}, "Train: the model stood alone 30 times"),
        ({"odd_one_out": OddOneOut(20, 5, 18, 200)}, "Train: the scores predict"),
        ({"odd_one_out": OddOneOut(3, 1, 9, 20), "choices": 0}, "it usually takes about 200"),
    ],
    ids=range(16),
)
def test_advice_says_what_the_figures_show(changes, expected):
    sentence = advice(**changes)
    assert expected in sentence
    assert sentence.split(":")[0] in {"Add images", "Rate more", "Train"}
    assert "\n" not in sentence
    assert "as well as" not in sentence
