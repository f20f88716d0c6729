"""Properties of the pair measures, against brute force."""

import numpy as np
from hypothesis import given as for_all
from hypothesis import settings
from hypothesis import strategies as st

from src.evaluation.rank_metrics import pairwise_accuracy, spearman

SMALL = st.integers(-4, 4)  # small integers make many ties
SCORES = st.lists(st.tuples(SMALL, SMALL), max_size=40)


def brute_force(given, predicted):
    right, pairs = 0.0, 0
    for i in range(len(given)):
        for j in range(i):
            if given[i] != given[j]:
                pairs += 1
                agreement = np.sign(given[i] - given[j]) * np.sign(predicted[i] - predicted[j])
                right += (agreement + 1) / 2
    return right / pairs if pairs else None


@settings(max_examples=40)
@for_all(SCORES)
def test_pairwise_accuracy_equals_brute_force(pairs):
    given, predicted = [p[0] for p in pairs], [p[1] for p in pairs]
    expected = brute_force(given, predicted)
    measured = pairwise_accuracy(given, predicted)
    assert measured == expected or abs(measured - expected) < 1e-12


@settings(max_examples=40)
@for_all(SCORES)
def test_reversing_the_prediction_mirrors_both_measures(pairs):
    given, predicted = [p[0] for p in pairs], np.array([p[1] for p in pairs])
    forward, backward = pairwise_accuracy(given, predicted), pairwise_accuracy(given, -predicted)
    assert (forward is None and backward is None) or abs(forward + backward - 1) < 1e-12
    forward, backward = spearman(given, predicted), spearman(given, -predicted)
    assert (forward is None and backward is None) or abs(forward + backward) < 1e-12
