"""The head "auto": small networks are the candidate to beat, where there is enough to learn."""

import numpy as np
import pytest

from src.aesthetic.heads import EnsembleHead, ResidualHead, restore
from src.aesthetic.heads.linear import LinearHead
from src.aesthetic.heads.training_set import TrainingSet
from src.aesthetic.mlp.small_networks import NETWORKS, fit_automatic, fit_networks
from src.aesthetic.select import Candidate, assign_folds, fit_auto
from src.evaluation.rank_metrics import interval_coverage, pairwise_accuracy


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
    head, out_of_fold = fitted
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
        fold = assign_folds(200, 5, 5 * number)
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
    found = fit_automatic(x, y)
    assert list(found.accuracies) == [NETWORKS, "kernel", "ridge"]
    assert found.accuracies[NETWORKS] == pairwise_accuracy(y, found.out_of_fold)
    assert found.method == NETWORKS and isinstance(found.head, EnsembleHead)
    assert found.behind["kernel"][1] > 0  # better, but not clearly
    x, y = rated()  # a linear taste is not the networks' own
    assert fit_automatic(x, y).method == "ridge"


def test_another_candidate_stays_unless_a_head_is_clearly_better():
    x = np.arange(150.0)[:, None]
    y = x[:, 0]
    right, wrong = Candidate(LinearHead([1.0], 0.0), y), Candidate(LinearHead([-1.0], 0.0), -y)
    kept = fit_auto(x, y, others={"right": lambda *_, **__: right})
    assert kept.method == "right" and kept.head is right.head
    assert kept.out_of_fold is right.out_of_fold
    other = fit_auto(x, y, others={"wrong": lambda *_, **__: wrong})
    assert other.method == "kernel" and other.accuracies["wrong"] == 0.0


def test_a_model_of_networks_is_saved_and_read(fitted):
    x, head = rated(60)[0], fitted.head
    again = restore(head.kind, head.to_arrays(), head.config())
    assert again.predict(x) == pytest.approx(head.predict(x), abs=1e-3)
    assert again.predict_std(x) == pytest.approx(head.predict_std(x), abs=1e-3)


def test_without_enough_images_or_with_a_prior_there_are_no_networks():
    x, y = rated(15)
    assert fit_automatic(x, y).method == "kernel"
    x, y = rated(60)
    corrected = fit_automatic(x, y, prior=LinearHead(np.ones(30), 0.0))
    assert NETWORKS not in corrected.accuracies
    assert isinstance(corrected.head, ResidualHead)


def test_images_that_say_nothing_get_nearly_one_score():
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(80, 5)), rng.normal(size=80)
    head, _ = fit_networks(TrainingSet.of(x, y))
    assert np.isfinite(head.predict(x)).all()
    assert head.predict(rng.normal(size=(200, 5))).std() < 0.7


@pytest.mark.parametrize("groups", [np.zeros(40), np.arange(40) // 20, np.arange(40) // 10])
def test_few_groups_of_near_duplicates_are_no_fault(groups):
    x, y = rated(40)
    found = fit_automatic(x, y, groups=groups)
    assert np.isfinite(found.head.predict(x)).all()
