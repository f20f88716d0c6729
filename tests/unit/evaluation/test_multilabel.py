"""Figures of tag predictions: by hand and against scikit-learn."""

import json

import numpy as np
import pytest
from scipy.sparse import csr_array

from src.evaluation.multilabel import (
    against,
    measure_tags,
    micro_average_precision,
    slices,
    summarise,
)


def random_case(seed=0, n=300, k=11, kind=np.float32):
    rng = np.random.default_rng(seed)
    labels = rng.random((n, k)) < np.linspace(0.5, 0.02, k)
    scores = np.clip(rng.normal(0.35 + 0.25 * labels, 0.2), 0, 1)
    return np.round(scores, 2).astype(kind), labels  # rounded: ties


def test_counts_and_rates_by_hand():
    scores = np.array([[0.9, 0.1], [0.6, 0.7], [0.4, 0.2], [0.5, 0.3]])
    labels = np.array([[1, 0], [0, 0], [1, 0], [1, 0]])
    figures = measure_tags(scores, csr_array(labels), np.array([0.5, 0.5]))
    assert figures.tp.tolist() == [2, 0]
    assert figures.fp.tolist() == [1, 1]
    assert figures.fn.tolist() == [1, 0]
    assert figures.tn.tolist() == [0, 3]
    # P = R = 2/3 for the first tag: F1 = F2 = 2/3.
    assert figures.f_score(1) == pytest.approx([2 / 3, 0])
    assert figures.f_score(2) == pytest.approx([2 / 3, 0])
    # Ranks of its positives: 1, 3, 4: (1/1 + 2/3 + 3/4) / 3.
    assert figures.average_precision[0] == pytest.approx((1 + 2 / 3 + 3 / 4) / 3)
    assert np.isnan(figures.average_precision[1])


@pytest.mark.parametrize("kind", [np.float16, np.float64])
def test_against_scikit_learn(kind):
    from sklearn import metrics

    scores, labels = random_case(kind=kind)
    thresholds = np.linspace(0.3, 0.7, 11)
    given = scores.astype(np.float64) >= thresholds
    figures = measure_tags(scores, labels, thresholds)
    scored = against(scores, labels)
    assert figures.f_score(2) == pytest.approx(
        metrics.fbeta_score(labels, given, beta=2, average=None, zero_division=0)
    )
    assert figures.mcc == pytest.approx(
        [metrics.matthews_corrcoef(labels[:, j], given[:, j]) for j in range(11)]
    )
    assert figures.average_precision == pytest.approx(
        [metrics.average_precision_score(labels[:, j], scores[:, j]) for j in range(11)]
    )
    summary = summarise(figures, scored=scored)
    assert summary["f1_micro"] == pytest.approx(metrics.f1_score(labels, given, average="micro"))
    assert summary["f1_macro"] == pytest.approx(
        metrics.f1_score(labels, given, average="macro", zero_division=0)
    )
    assert summary["map_micro"] == pytest.approx(
        metrics.average_precision_score(labels, scores, average="micro")
    )
    assert summary["map_macro"] == pytest.approx(
        metrics.average_precision_score(labels, scores, average="macro")
    )


def test_sparse_and_dense_labels_and_many_blocks_agree(monkeypatch):
    scores, labels = random_case(1)
    whole = summarise(
        measure_tags(scores, labels, np.full(11, 0.5)), scored=against(scores, labels)
    )
    monkeypatch.setattr("src.evaluation.multilabel._BLOCK", 700)
    monkeypatch.setattr("src.evaluation.multilabel._POOLED", 100)
    sparse = csr_array(labels.astype(np.uint8))
    parts = summarise(
        measure_tags(scores, sparse, np.full(11, 0.5)), scored=against(scores, sparse)
    )
    assert parts == pytest.approx(whole)


def test_a_pooled_figure_of_some_tags_is_that_of_their_columns():
    scores, labels = random_case(3)
    some = np.array([1, 4, 9])
    part = micro_average_precision(against(scores, labels), some)
    assert part == pytest.approx(micro_average_precision(against(scores[:, some], labels[:, some])))
    figures = measure_tags(scores, labels, np.full(11, 0.5))
    alone = measure_tags(scores[:, some], labels[:, some], np.full(3, 0.5))
    assert summarise(figures, tags=some) == pytest.approx(summarise(alone))


def test_tags_that_no_image_has_do_not_count_in_macro_figures():
    scores = np.array([[0.9, 0.9], [0.1, 0.8]])
    labels = np.array([[1, 0], [0, 0]])
    summary = summarise(measure_tags(scores, labels, np.full(2, 0.5)))
    assert summary["f1_macro"] == 1
    assert (summary["tags"], summary["tags_with_images"]) == (2, 1)
    assert summary["fp"] == 2
    nothing = summarise(measure_tags(scores, np.zeros((2, 2)), np.full(2, 0.5)))
    assert nothing["f1_macro"] is None
    assert "NaN" not in json.dumps(nothing)


def test_wrong_shapes_and_no_numbers():
    with pytest.raises(ValueError, match="labels"):
        measure_tags(np.ones((2, 3)), np.ones((3, 2)), np.ones(3))
    with pytest.raises(ValueError, match="not a number"):
        measure_tags(np.array([[0.5], [np.nan]]), np.ones((2, 1)), np.ones(1))


def test_slices_by_rank_and_category():
    counts, kinds = np.array([5, 9, 1, 7]), ["general", "character", "general", "general"]
    parts = slices(counts, kinds, ranks=[1])
    found = {part.name: (part.group, part.tags.tolist()) for part in parts}
    assert found == {
        "all tags": ("all", [0, 1, 2, 3]),
        "all tags from #1 down": ("all", [0, 2, 3]),  # without t1, the most frequent
        "general": ("general", [0, 2, 3]),
        "general from #1 down": ("general", [0, 2]),  # without t3
        "character": ("character", [1]),
    }
    assert [part.name for part in slices(counts[:1], kinds[:1])] == ["all tags"]
    assert slices(counts, kinds)[1].tags.tolist() == [0, 2]  # the rarer half
