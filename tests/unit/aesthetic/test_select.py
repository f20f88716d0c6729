"""Choosing a head: the right one wins, folds keep groups together, few images are no contest."""

import numpy as np
import pytest

from src.aesthetic.heads import EnsembleHead, ResidualHead, fit_head
from src.aesthetic.heads.linear import LinearHead
from src.aesthetic.heads.training_set import TrainingSet, assign_folds
from src.aesthetic.select import NETWORKS, choose_method, fit_auto, fit_networks
from src.evaluation.rank_metrics import evaluate, interval_coverage, pairwise_accuracy


def test_a_curved_taste_is_not_given_to_ridge():
    rng = np.random.default_rng(0)
    x = rng.uniform(-2, 2, size=(150, 2))
    y = (x**2).sum(axis=1) + rng.normal(0, 0.1, 150)
    result = fit_auto(TrainingSet.of(x, y))
    assert result.method == "kernel"
    assert result.accuracies["ridge"] < 0.65 < result.accuracies["kernel"]
    assert result.clearly_worse == ("ridge",)


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
    result = fit_auto(TrainingSet.of(x, y), candidates=("ridge",), seed=4)
    fold = assign_folds(np.arange(50), 5, seed=4)
    outside = fold == 2
    expected = fit_head("ridge", x[~outside], y[~outside]).predict(x[outside])
    assert result.out_of_fold[outside] == pytest.approx(expected)


def test_scores_that_hardly_vary_do_not_break_a_fold():
    x = np.random.default_rng(0).normal(size=(40, 3))
    y = np.zeros(40)
    y[7] = 1.0
    assert np.isfinite(fit_auto(TrainingSet.of(x, y)).head.predict(x)).all()


def test_a_prior_is_corrected_not_replaced():
    rng = np.random.default_rng(0)
    prior = LinearHead(rng.normal(size=30), 0.0)
    x = rng.normal(size=(60, 30))
    result = fit_auto(TrainingSet.of(x, prior.predict(x) + rng.normal(0, 0.1, 60)), prior=prior)
    assert isinstance(result.head, ResidualHead)


def test_folds_are_even_and_keep_groups_together():
    groups = np.repeat(np.arange(37), 3)
    fold = assign_folds(groups, 5, seed=0)
    assert all(len(set(fold[groups == g])) == 1 for g in range(37))
    assert np.ptp(np.bincount(fold, minlength=5)) <= 6
    assert np.ptp(np.bincount(assign_folds(np.arange(103), 5, seed=1))) <= 1


# --- small networks ----------------------------------------------------------------------------


def rated(n=150, seed=0, noise=0.3):
    """Scores of mean 5 that depend on ten of thirty features, some of them large."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 30)) * np.geomspace(0.1, 100, 30)
    y = (x / np.geomspace(0.1, 100, 30))[:, :10].sum(axis=1)
    return x, 5 + y + rng.normal(0, noise, n)


@pytest.fixture(scope="module")
def fitted():
    return fit_networks(TrainingSet.of(*rated(200)))


def test_networks_are_on_the_scale_of_the_scores_and_know_their_error(fitted):
    x, y = rated(200)
    head, out_of_fold = fitted.head, fitted.out_of_fold
    assert isinstance(head, EnsembleHead) and len(head.members) == 10
    new, truth = rated(1000, seed=9)
    assert pairwise_accuracy(truth, head.predict(new)) > 0.85
    slope, level = np.polyfit(head.predict(new), truth, 1)
    assert slope == pytest.approx(1, abs=0.15) and level == pytest.approx(0, abs=0.8)
    rows = interval_coverage(truth, head.predict(new), head.predict_std(new), (0.5, 0.8))
    # The mean of ten errs less than the single networks that it is judged by: never too sure.
    assert all(row["coverage"] > row["level"] - 0.05 for row in rows), rows
    # Two networks have not seen an image: their mean, on the scale of the scores.
    assert np.polyfit(out_of_fold, y, 1) == pytest.approx([1, 0], abs=0.25)
    members = np.stack([member.predict(x) for member in head.members])
    for number in range(2):
        fold = assign_folds(np.arange(200), 5, 5 * number)
        unseen = members[5 * number + fold, np.arange(200)]
        out_of_fold = out_of_fold - unseen / 2
    assert out_of_fold == pytest.approx(0, abs=1e-6)


def test_left_out_images_had_no_part_in_their_prediction():
    x, y = rated(60)
    groups = np.arange(60) // 2
    first, second = (assign_folds(groups, 5, seed) for seed in (3, 8))
    unseen = (first == 2) & (second == second[np.flatnonzero(first == 2)[0]])
    changed = np.where(unseen, y[::-1], y)
    before, after = (
        fit_networks(TrainingSet.of(x, scores, groups=groups), 3).out_of_fold
        for scores in (y, changed)
    )
    # The same networks and images: equal up to the line that brings them to the scale.
    assert np.corrcoef(before[unseen], after[unseen])[0, 1] == pytest.approx(1, abs=1e-3)
    assert np.corrcoef(before[~unseen], after[~unseen])[0, 1] < 0.999


def test_networks_are_compared_and_stay_where_nothing_is_clearly_better():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(150, 12))
    y = np.maximum(x[:, :2], 0).sum(axis=1) + rng.normal(0, 0.1, 150)
    found = fit_auto(TrainingSet.of(x, y), networks=True)
    assert list(found.accuracies) == [NETWORKS, "kernel", "ridge"]
    assert found.accuracies[NETWORKS] == pairwise_accuracy(y, found.out_of_fold)
    assert found.method == NETWORKS and isinstance(found.head, EnsembleHead)
    assert "kernel" not in found.clearly_worse
    x, y = rated()  # a linear taste is not the networks' own
    assert fit_auto(TrainingSet.of(x, y), networks=True).method == "ridge"


def test_without_enough_images_or_with_a_prior_there_are_no_networks():
    x, y = rated(15)
    assert fit_auto(TrainingSet.of(x, y), networks=True).method == "kernel"
    x, y = rated(60)
    corrected = fit_auto(TrainingSet.of(x, y), prior=LinearHead(np.ones(30), 0.0), networks=True)
    assert NETWORKS not in corrected.accuracies
    assert isinstance(corrected.head, ResidualHead)


@pytest.mark.parametrize("groups", [np.zeros(40), np.arange(40) // 20, np.arange(40) // 10])
def test_few_groups_of_near_duplicates_are_no_fault(groups):
    x, y = rated(40)
    found = fit_auto(TrainingSet.of(x, y, groups=groups), networks=True)
    assert np.isfinite(found.head.predict(x)).all()
