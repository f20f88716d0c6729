"""Choosing a head: the right one wins, folds keep groups together, few images are no contest."""

import numpy as np
import pytest

from src.aesthetic.heads import ResidualHead
from src.aesthetic.heads.linear import LinearHead
from src.aesthetic.heads.ridge import fit_ridge
from src.aesthetic.select import assign_folds, fit_auto
from src.aesthetic.select import choose_method as choose
from src.errors import ModelError


def test_a_curved_taste_is_not_given_to_ridge_and_the_reason_has_the_figures():
    rng = np.random.default_rng(0)
    x = rng.uniform(-2, 2, size=(150, 2))
    y = (x**2).sum(axis=1) + rng.normal(0, 0.1, 150)
    result = fit_auto(x, y)
    assert result.method in {"kernel", "gp"}
    assert result.reason.startswith(result.method)
    for method, accuracy in result.accuracies.items():
        assert method in result.reason
        assert f"{accuracy:.1%}" in result.reason
    assert result.accuracies["ridge"] < 0.65


def test_another_head_must_be_better_by_more_than_two_standard_errors():
    y = np.tile(np.arange(4.0), 4)
    fold = np.repeat(np.arange(4), 4)
    first = np.tile([1.0, 0, 2, 3], 4)  # one of six pairs wrong in each fold
    # Better in one fold of four: the mean gain and its standard error are both 1/24.
    once = np.where(fold == 0, y, first)
    assert choose(("first", "other"), y, {"first": first, "other": once}, fold) == "first"
    assert choose(("first", "other"), y, {"first": first, "other": y}, fold) == "other"
    three = {"first": first, "good": np.where(fold < 3, y, first), "better": y}
    assert choose(tuple(three), y, three, fold) == "better"


def test_left_out_predictions_come_from_fits_without_the_image():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(50, 8)), rng.normal(size=50)
    result = fit_auto(x, y, candidates=("ridge",), seed=4)
    fold = assign_folds(50, 5, seed=4)
    outside = fold == 2
    expected = fit_ridge(x[~outside], y[~outside]).predict(x[outside])
    assert result.left_out[outside] == pytest.approx(expected)


def test_few_images_are_fitted_without_a_comparison():
    x = np.random.default_rng(0).normal(size=(6, 3))
    result = fit_auto(x, x[:, 0])
    assert result.method == "kernel"
    assert "6 images are too few" in result.reason
    assert result.left_out is None


def test_scores_that_hardly_vary_do_not_break_a_fold():
    x = np.random.default_rng(0).normal(size=(40, 3))
    y = np.zeros(40)
    y[7] = 1.0
    assert np.isfinite(fit_auto(x, y).head.predict(x)).all()
    with pytest.raises(ModelError):
        fit_auto(x, np.zeros(40))


def test_a_prior_is_corrected_not_replaced():
    rng = np.random.default_rng(0)
    prior = LinearHead(rng.normal(size=30), 0.0)
    x = rng.normal(size=(60, 30))
    result = fit_auto(x, prior.predict(x) + rng.normal(0, 0.1, 60), prior=prior)
    assert isinstance(result.head, ResidualHead)


def test_folds_are_even_and_keep_groups_together():
    groups = np.repeat(np.arange(37), 3)
    fold = assign_folds(groups, 5, seed=0)
    assert all(len(set(fold[groups == g])) == 1 for g in range(37))
    assert np.ptp(np.bincount(fold, minlength=5)) <= 6
    assert np.ptp(np.bincount(assign_folds(103, 5, seed=1))) <= 1
