"""Measures of agreement: by hand, against brute force, and where nothing can be measured."""

import json
import math

import numpy as np
import pytest

from src.evaluation.rank_metrics import (
    evaluate,
    interval_coverage,
    pairwise_accuracy,
    rmse,
    spearman,
)


@pytest.mark.parametrize(
    ("given", "predicted", "expected"),
    [
        ([1, 2, 3], [0.1, 0.9, 0.5], 2 / 3),  # pairs (1,2) right, (1,3) right, (2,3) wrong
        ([1, 1, 2], [5, 4, 5], 0.75),  # two pairs differ in the given: one is tied, one is right
        ([1, 2, 3], [7, 7, 7], 0.5),
    ],
)
def test_pairwise_accuracy_by_hand(given, predicted, expected):
    assert pairwise_accuracy(given, predicted) == pytest.approx(expected)


@pytest.mark.parametrize("given", [[], [3.0], [2.0, 2.0, 2.0]])
def test_nothing_to_compare_gives_none_and_valid_json(given):
    result = evaluate(given, [0.5] * len(given), bootstrap=20)
    assert result["ab"] is None
    assert result["spearman"] is None
    assert "NaN" not in json.dumps(result)


def test_spearman_by_hand():
    # Ranks 1 2 3 4 against 2 1 4 3: 1 - 6·4/(4·15) = 0.6.
    assert spearman([1, 2, 3, 4], [20, 10, 40, 30]) == pytest.approx(0.6)
    # With ties Pearson's of the mid-ranks: given 1.5 1.5 3, predicted 1 2 3.
    x, y = np.array([-0.5, -0.5, 1]), np.array([-1, 0, 1])
    expected = (x @ y) / math.sqrt((x @ x) * (y @ y))
    assert spearman([4, 4, 9], [0.1, 0.2, 0.3]) == pytest.approx(expected)
    assert spearman([1, 2, 3], [7, 7, 7]) is None


def test_rmse_by_hand():
    assert rmse([0, 0], [3, 4]) == pytest.approx(math.sqrt(12.5))


def test_different_lengths_and_infinities_are_refused():
    with pytest.raises(ValueError, match="2 given scores but 1 predicted"):
        pairwise_accuracy([1, 2], [1])
    with pytest.raises(ValueError, match="finite"):
        evaluate([1, 2], [1, math.nan])


def test_bootstrap_interval_matches_a_plain_bootstrap():
    rng = np.random.default_rng(5)
    given = rng.integers(1, 8, 60).astype(float)
    predicted = given + rng.normal(0, 2, 60)
    picks = [rng.integers(60, size=60) for _ in range(1000)]
    found = evaluate(given, predicted, bootstrap=1000)["ab_interval"]
    plain = [pairwise_accuracy(given[pick], predicted[pick]) for pick in picks]
    assert found == pytest.approx(list(np.quantile(plain, [0.025, 0.975])), rel=0.06)


def test_ten_thousand_images_against_the_closed_form():
    # The prediction reverses the last 1,000 images: C(1000, 2) of C(10000, 2) pairs are wrong.
    given = np.arange(10_000)
    predicted = np.concatenate([given[:9_000], given[9_000:][::-1]])
    wrong = (1_000 * 999) / (10_000 * 9_999)
    assert pairwise_accuracy(given, predicted) == pytest.approx(1 - wrong, abs=1e-12)


def test_interval_coverage_of_true_gaussians_is_nominal():
    rng = np.random.default_rng(1)
    std = rng.uniform(0.5, 3, 20_000)
    for row in interval_coverage(rng.normal(0, std), np.zeros(20_000), std):
        assert row["coverage"] == pytest.approx(row["level"], abs=0.01)
