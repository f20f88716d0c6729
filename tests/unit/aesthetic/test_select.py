"""Choosing a head: the right one wins, folds keep groups together, few images are no contest."""

import numpy as np
import pytest

from src.aesthetic.heads import ResidualHead, fit_head
from src.aesthetic.heads.linear import LinearHead
from src.aesthetic.select import assign_folds, choose_method, fit_auto
from src.errors import ModelError
from src.evaluation.rank_metrics import evaluate


def test_a_curved_taste_is_not_given_to_ridge():
    rng = np.random.default_rng(0)
    x = rng.uniform(-2, 2, size=(150, 2))
    y = (x**2).sum(axis=1) + rng.normal(0, 0.1, 150)
    result = fit_auto(x, y)
    assert result.method == "kernel"
    assert result.accuracies["ridge"] < 0.65 < result.accuracies["kernel"]
    assert result.clearly_worse == ("ridge",)
    difference = result.accuracies["ridge"] - result.accuracies["kernel"]
    low, high = result.behind["ridge"]
    assert low < difference < high < 0


def test_another_head_must_be_better_beyond_chance():
    rng = np.random.default_rng(0)
    y, alone = rng.normal(size=200), np.arange(200)
    noise = 0.5 * rng.normal(size=200)
    first = y + noise
    level = y + 0.5 * rng.normal(size=200)
    assert choose_method(y, {"first": first, "level": level}, alone) == "first"
    # Always a little better, on the same images: by an unpaired interval this would be chance.
    slightly = {"first": first, "good": y + 0.9 * noise, "better": y + 0.8 * noise}
    assert choose_method(y, slightly, alone) == "better"
    intervals = [
        evaluate(y, predicted, bootstrap=200)["ab_interval"] for predicted in slightly.values()
    ]
    assert intervals[2][0] < intervals[0][1]
    # Copies of a few images are no more evidence than these.
    few = np.arange(200) % 4
    lucky = np.where(few == 0, y, first)
    assert choose_method(y[few], {"first": first[few], "lucky": lucky[few]}, few) == "first"


def test_left_out_predictions_come_from_fits_without_the_image():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(50, 8)), rng.normal(size=50)
    result = fit_auto(x, y, candidates=("ridge",), seed=4)
    fold = assign_folds(50, 5, seed=4)
    outside = fold == 2
    expected = fit_head("ridge", x[~outside], y[~outside]).predict(x[outside])
    assert result.out_of_fold[outside] == pytest.approx(expected)


def test_few_images_are_fitted_without_a_comparison():
    x = np.random.default_rng(0).normal(size=(6, 3))
    result = fit_auto(x, x[:, 0])
    assert result.method == "kernel"
    assert result.accuracies == result.behind == {}
    assert result.out_of_fold is None


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
