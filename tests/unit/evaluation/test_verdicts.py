"""Sentences follow from figures."""

import pytest

from src.evaluation import verdicts
from src.evaluation.proportion import Proportion
from src.evaluation.verdicts import CurvePoint


@pytest.mark.parametrize(
    ("sentence", "words"),
    [
        (verdicts.ordering(0.43, (0.21, 0.66), 19), "No better than a coin so far"),
        (verdicts.ordering(0.70, (0.58, 0.80), 40), "50%. With 40 test images this is uncertain"),
        (verdicts.ordering(0.80, (0.77, 0.83), 400), "agrees with your scores on 80%"),
        (verdicts.ordering(None, None, 3), "all have the same score"),
        (verdicts.keeping(0.55, (0.41, 0.70), 30), "No better than a coin so far"),
        (verdicts.keeping(0.95, (0.90, 0.98), 90), "prefers the kept one in 95%"),
        (verdicts.choices(Proportion(5, 9), "random pairs"), "Too few choices"),
        (verdicts.choices(Proportion(13, 30), "random pairs"), "or too few to tell"),
        (verdicts.choices(Proportion(80, 100), "random pairs"), "predicts 80% (71% to 87%)"),
        (verdicts.no_test(seen=40, images=40), "Add or rate new images"),
        (verdicts.no_test(seen=39, images=40), "39 of 40 were seen"),
        (verdicts.no_test(seen=0, images=40), "set fraction_for_test"),
        (verdicts.unknown_ancestors(["ava.pth"])[0], "other people's ratings"),
        (verdicts.unknown_ancestors(["my_model"])[0], "its own split"),
        (verdicts.compared(0.7, 0.72, (0.01, 0.05), 30), "better"),
        (verdicts.compared(0.7, 0.72, (-0.05, -0.01), 30), "worse"),
        (verdicts.compared(0.7, 0.72, (-0.01, 0.04), 30), "no clear difference"),
        (verdicts.suspected(46, 3.2)[0], "with 46 labels; about 3 of them are probably wrong"),
        (verdicts.suspected(46, 0.2)[0], "with 46 labels, but probably none is wrong"),
        (verdicts.consistency(Proportion(15, 20))[0], "No model can predict more than about 85%"),
        (verdicts.consistency(Proportion(2, 20))[0], "no more than by chance"),
    ],
)
def test_each_case_has_its_words(sentence, words):
    assert words in sentence


@pytest.mark.parametrize(
    ("curve", "words"),
    [
        # 70.0, 74.0, 75.6% at doublings: 2.8 points each, standard error 1 / √2.
        ([(0.700, 0.01), (0.740, 0.01), (0.756, 0.01)], "would still help"),
        ([(0.700, 0.001), (0.701, 0.001), (0.702, 0.001)], "would hardly help"),
        ([(0.700, 0.03), (0.720, 0.03), (0.730, 0.03)], "not yet clear"),
    ],
)
def test_the_learning_curve_rises_is_level_or_is_not_clear(curve, words):
    points = [CurvePoint(50 * 2**n, ab, error) for n, (ab, error) in enumerate(curve)]
    (sentence,) = verdicts.learning(points)
    assert words in sentence
    assert "feature_extractor" not in sentence


def test_nothing_is_said_of_what_was_not_measured():
    assert verdicts.learning([CurvePoint(12, 0.6, 0.1)]) == []
    assert verdicts.consistency(Proportion(9, 9)) == []
    assert verdicts.unknown_ancestors([]) == verdicts.suspected(0, None) == []


@pytest.mark.parametrize(
    ("worse", "words"),
    [
        (["ridge", "logistic", "kernel"], "The small networks are used: clearly the best"),
        (["ridge"], "the 3 best methods; the small networks are used"),
        ([], "No clear difference between the 4 best methods"),
    ],
)
def test_heads_that_are_level_are_called_so(worse, words):
    accuracies = {"networks": 0.854, "kernel": 0.868, "logistic": 0.86, "ridge": 0.84}
    assert words in verdicts.head_chosen("networks", accuracies, worse)
    few = verdicts.head_chosen("kernel", {}, [])
    assert few.endswith("different scores, to compare methods: the kernel is used.")
