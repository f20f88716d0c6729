"""The figures of R17, counted by hand, and what they suggest."""

from dataclasses import replace

import numpy as np
import pytest

from src.evaluation.proportion import NONE, Proportion
from src.rating.models.order import OrderQuality
from src.rating.statistics import (
    ChoiceCounts,
    OddOneOut,
    Statistics,
    against_chance,
    odd_one_out,
)
from src.rating.storage.choice_rows import Event

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
    assert str(Proportion(81, 263)) == "30.8% (25.5–36.6%, 81 of 263)"


def test_the_counts_by_hand():
    counts = ChoiceCounts().add(EVENTS)
    assert counts.answered == 7
    assert counts.matched == [True, False, True, False]
    assert counts.numbers == [1, 2, 5, 6]
    assert counts.audit == Proportion(1, 2)
    assert counts.repeats == Proportion(2, 3)


def test_counting_in_two_parts_is_counting_at_once():
    first = ChoiceCounts().add(EVENTS[:4])
    second = first.copy().add(EVENTS[4:])
    assert second == ChoiceCounts().add(EVENTS)
    assert first == ChoiceCounts().add(EVENTS[:4])


def test_the_running_share_looks_back_fifty():
    counts = ChoiceCounts(
        answered=120, matched=[True] * 60 + [False] * 60, numbers=list(range(1, 121))
    )
    numbers, share = counts.running_agreement()
    assert numbers.tolist() == list(range(1, 121))
    assert share[59] == 1.0
    assert share[60] == pytest.approx(49 / 50)
    assert share[109] == 0.0
    assert [len(part) for part in ChoiceCounts().running_agreement()] == [0, 0]


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
    return Statistics(
        session=ChoiceCounts().add(session),
        total=ChoiceCounts().add(past).add(session),
        session_seconds=seconds,
        goal=100,
        images=3,
        unrated=1,
        choices=len(past) + 7,
        choices_per_image=14 / 3,
        order=None,
        odd_one_out=None if model is None else odd_one_out(session, model),
    )


def test_the_report_line_by_line():
    report = figures(EVENTS, model={"a": 1.0, "b": 0.0, "c": 2.0}).report().splitlines()
    assert report == [
        "7 choices in 12.5 s",
        "1 of 3 images not rated yet",
        "2 choices matched prediction, 2 contradicted prediction [3 not predicted]",
        "A total of 7 choices for 3 images (4.67 per image)",
        "Random pairs predicted before they were answered: too few to tell (1 of 2)",
        "Repeated pairs answered the same way: too few to tell (2 of 3)",
        # a-b: all agree; a-c: the model with the person; b-a: all; c-a: the person alone
        "Odd one out: you 1; database 1; model 0; all agreed 2",
        "Rate more: it usually takes about 2 more choices to put 3 images in good order.",
    ]


def test_the_report_says_how_good_the_order_is():
    report = replace(figures(EVENTS), order=quality(0.84, 0.88)).report()
    assert "Order about 84% there; 60 more choices: 88% (now 79 to 89%)" in report


def test_with_the_best_wanted_it_says_how_many_are_right():
    found = quality(0.84, 0.88)._replace(top=1000)
    report = replace(figures(EVENTS), order=found).report()
    assert "Top 1,000 about 84% right; 60 more choices: 88% (now 79 to 89%)" in report


def test_nothing_rated_divides_by_nothing():
    statistics = figures([], seconds=0.0)
    assert statistics.session.agreement == NONE
    assert "= (" not in statistics.report()


def test_the_session_counts_alone_and_quality_over_all_sessions():
    statistics = figures(EVENTS[4:], past=EVENTS[:4])
    assert statistics.session.answered == 4
    assert statistics.session.agreement == Proportion(1, 2)
    assert statistics.total.repeats == Proportion(2, 3)
    assert statistics.total.audit == Proportion(1, 2)
    assert statistics.total.running_agreement()[0].tolist() == [1, 2, 5, 6]


def quality(now, later):
    return OrderQuality(np.array([90, 150]), np.array([now, later]), now - 0.05, now + 0.05)


def advice(**changes):
    audit = changes.pop("audit", Proportion(75, 100))
    repeats = changes.pop("repeats", Proportion(15, 20))
    situation = {"images": 100, "choices": 300} | changes
    return replace(
        figures([]), total=ChoiceCounts(audit=audit, repeats=repeats), **situation
    ).advice


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"images": 1}, "Add images"),
        ({"choices": 299}, "Rate more: it usually takes about 1 more choice to"),
        ({"choices": 0}, "Rate more: it usually takes about 300 more choices to"),
        (
            {"choices": 0, "order": quality(0.84, 0.88)},
            "Rate more: order about 84% there; 60 more choices: 88%.",
        ),
        (
            {"choices": 0, "order": quality(0.912, 0.918)},
            "Train: order about 91% there, and more choices would hardly improve it.",
        ),
        # 82 coin tosses on 13 images (first-hour review, 2)
        (
            {"images": 13, "choices": 82, "audit": Proportion(6, 12), "repeats": NONE},
            "no better than a coin so far: 50% of 12 random pairs (25–75%)",
        ),
        (
            {"choices": 0, "audit": Proportion(40, 100)},
            "no better than a coin so far: 40% of 100",
        ),
        (
            {"audit": Proportion(7, 12)},
            "too few to tell whether the scores predict you better than a coin: 58% of 12 random",
        ),
        ({"audit": Proportion(9, 9)}, "9 random pairs cannot tell"),
        ({}, "Train: the scores predict 75% of 100 random pairs (66–82%)."),
        (
            {"odd_one_out": OddOneOut(30, 5, 10, 200)},
            "Rate more: you were the odd one out 30 times",
        ),
        (
            {"odd_one_out": OddOneOut(10, 5, 30, 200)},
            "Train: the model was the odd one out 30 times",
        ),
        ({"odd_one_out": OddOneOut(20, 5, 18, 200)}, "Train: the scores predict"),
        ({"odd_one_out": OddOneOut(3, 1, 9, 20), "choices": 0}, "it usually takes about 300"),
    ],
    ids=range(14),
)
def test_advice_says_what_the_figures_show(changes, expected):
    sentence = advice(**changes)
    assert expected in sentence
    assert sentence.split(":")[0] in {"Add images", "Rate more", "Train"}
    assert "\n" not in sentence
    assert "as well as" not in sentence


def of_four(outcome, kind, predictions, images="abcd"):
    first, second, *others = images
    return Event(first, second, outcome, kind, others=tuple(others), predictions=tuple(predictions))


FOURS = [
    of_four("3", "audit", (0.1, 0.2, 0.4, 0.3)),  # matched
    of_four("3/1", "audit", (0.4, 0.2, 0.3, 0.1)),  # contradicted
    of_four("tie", "active", (0.4, 0.2, 0.3, 0.1)),
    of_four("2", "repeat", (0.4, 0.2, 0.3, 0.1), "dcba"),  # c again
    Event("a", "b", "left", "audit", 0.9),  # a pair counts as a choice alone
]


def test_choices_among_four_are_counted_by_themselves():
    counts = ChoiceCounts(4).add(FOURS)
    assert (counts.answered, counts.matched) == (5, [True, False, False])
    assert counts.audit == Proportion(1, 2)
    assert counts.repeats == Proportion(0, 1)  # a tie was the last answer
    assert ChoiceCounts(4).add(FOURS[1:2] + FOURS[3:4]).repeats == Proportion(1, 1)
    pairs = ChoiceCounts().add(FOURS)  # what a person's consistency on pairs is read from
    assert (pairs.answered, pairs.audit, pairs.repeats) == (5, Proportion(1, 1), NONE)


def test_of_four_a_guess_is_right_a_quarter_of_the_time():
    right, wrong = FOURS[0], FOURS[1]
    counts = [ChoiceCounts(4).add([right] * n + [wrong] * (40 - n)) for n in (24, 12, 8)]
    assert against_chance(counts[0]) == "the scores predict 60% of 40 random fours (45–74%)"
    assert "whether the scores predict you better than a guess, which is right 25% of the time" in (
        against_chance(counts[1])
    )
    assert "no better than a guess" in against_chance(counts[2])


def test_of_four_where_all_three_differ_nobody_stands_alone():
    model = {"a": 4.0, "b": 3.0, "c": 2.0, "d": 1.0}
    says = {"a": (1, 0, 0, 0), "b": (0, 1, 0, 0)}
    events = [
        of_four("1", "audit", says["a"]),  # all say a
        of_four("2", "audit", says["a"]),  # the person alone says b
        of_four("1", "audit", says["b"]),  # the database alone
        of_four("2/1", "audit", says["b"]),  # the model alone says a
        of_four("3", "audit", says["b"]),
    ]
    assert odd_one_out(events, model) == OddOneOut(person=1, database=1, model=1, agreed=1)
