"""The seed's rule: P(A>B) = 1/(1+10^-delta); K(1-P) goes from loser to winner; K = 0.8."""

import pytest

from src.rating.models.scoring import elo_update, win_probability


def test_probabilities_are_odds_of_ten_to_one_per_unit():
    assert win_probability(0.0) == 0.5
    assert win_probability(1.0) == pytest.approx(10 / 11)
    assert win_probability(-2.0) == pytest.approx(1 / 101)


def test_extreme_differences_do_not_overflow():
    assert win_probability(1e6) == 1.0
    assert win_probability(-1e6) == 0.0


def test_equal_images_exchange_half_of_k():
    assert elo_update(0.0, 0.0, 1.0) == (0.4, -0.4)


def test_an_upset_moves_more_than_what_was_expected():
    assert elo_update(1.0, 0.0, 1.0) == pytest.approx((1 + 0.8 / 11, -0.8 / 11))
    assert elo_update(1.0, 0.0, 0.0) == pytest.approx((1 - 0.8 * 10 / 11, 0.8 * 10 / 11))


def test_a_tie_draws_the_two_together():
    left, right = elo_update(1.0, 0.0, 0.5)
    assert left == pytest.approx(1 + 0.8 * (0.5 - 10 / 11))
    assert left + right == pytest.approx(1.0)
