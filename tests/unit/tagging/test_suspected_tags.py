"""Suspicious tags: by hand, against cleanlab, and written back with a way to undo."""

import numpy as np
import pytest
from scipy.sparse import csr_array
from scipy.special import expit

from src.dataset.suspected_labels import SuspectedLabel
from src.errors import DataError
from src.file_changes.apply import apply, undo
from src.settings.tags import TagFiles
from src.tagging.out_of_fold import calibrate, out_of_fold
from src.tagging.suspected_tags import find_suspected_tags, plan_corrections
from src.tagging.tag_files import read_tags

STYLE = TagFiles()


def test_one_missing_and_one_wrong_by_hand():
    # Tag a: usual with .8 (.95 .9 .55), usual without .3; image 3 has .9 without it.
    labels = csr_array(np.array([[1], [1], [1], [0], [0], [0]]))
    probabilities = np.array([[0.95], [0.95], [0.05], [0.9], [0.05], [0.1]])
    found = find_suspected_tags([f"{i}.jpg" for i in range(6)], ["a"], labels, probabilities)
    # With: mean .65; without: mean .35.
    assert [(e.path, e.suggested) for e in found] == [("2.jpg", "remove"), ("3.jpg", "add")]
    assert found[0].surprise == pytest.approx(0.65 - 0.05)
    assert found[1].surprise == pytest.approx(0.9 - 0.35)


def test_the_same_as_cleanlab():
    cleanlab_filter = pytest.importorskip("cleanlab.filter")
    rng = np.random.default_rng(3)
    labels = (rng.random((400, 6)) < [0.5, 0.3, 0.2, 0.1, 0.4, 0.05]).astype(int)
    logits = rng.normal(0, 1.3, labels.shape) + 3 * labels - 1.5
    probabilities = expit(logits).astype(np.float64)
    found = find_suspected_tags(
        [str(i) for i in range(400)], list("abcdef"), csr_array(labels), probabilities
    )
    ours = {(suspect.label, int(suspect.path)) for suspect in found}
    theirs = {
        (tag, int(row))
        for column, tag in enumerate("abcdef")
        for row in cleanlab_filter.find_label_issues(
            labels[:, column],
            np.stack([1 - probabilities[:, column], probabilities[:, column]], axis=1),
            filter_by="confident_learning",
            return_indices_ranked_by="self_confidence",
            min_examples_per_class=0,
            n_jobs=1,
        )
    }
    assert ours == theirs
    assert len(ours) > 20


def test_images_without_a_judgement_and_tags_of_one_kind_are_passed_over():
    labels = csr_array(np.array([[1, 1], [0, 1], [0, 1]]))
    probabilities = np.array([[np.nan, np.nan], [0.99, 0.01], [0.01, 0.01]])
    assert find_suspected_tags(["a", "b", "c"], ["x", "y"], labels, probabilities) == []
    assert find_suspected_tags(["a"], ["x", "y"], labels[:1], probabilities[:1]) == []


WRONG = [
    SuspectedLabel("a.jpg", "tag", "dog", "add", 0.97, 0.9),
    SuspectedLabel("a.jpg", "tag", "cat", "remove", 0.02, 0.8),
    SuspectedLabel("b.jpg", "tag", "cat", "add", 0.7, 0.3),
]


def folder_of(tmp_path):
    images = tmp_path / "images"
    images.mkdir()
    for name in ("a.jpg", "b.jpg"):
        (images / name).write_bytes(b"")
    (images / "a.jpg.txt").write_text("sofa\ncat\n")
    return images


def test_corrections_are_written_and_undone(tmp_path):
    images = folder_of(tmp_path)
    plan = plan_corrections(images, WRONG, STYLE)
    apply(plan.folders, plan.changes, tmp_path / "undo.jsonl").report()
    assert read_tags(images / "a.jpg.txt", STYLE) == ["sofa", "dog"]
    assert read_tags(images / "b.jpg.txt", STYLE) == ["cat"]
    undo(tmp_path / "undo.jsonl").report()
    assert (images / "a.jpg.txt").read_text() == "sofa\ncat\n"
    assert not (images / "b.jpg.txt").exists()


@pytest.mark.parametrize("image", ["gone.jpg", "../secret.jpg"])
def test_images_that_are_not_in_the_folder(tmp_path, image):
    images = folder_of(tmp_path)
    (tmp_path / "secret.jpg").write_bytes(b"")
    with pytest.raises(DataError, match="there is no image"):
        plan_corrections(images, [WRONG[0]._replace(path=image)], STYLE)


def generated(n=600, d=20, k=5, seed=0):
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(n, d)).astype(np.float32)
    truth = features @ rng.normal(size=(d, k)) + rng.normal(0, 1, (n, k)) > 2
    return features, csr_array(truth.astype(np.uint8))


def test_out_of_fold_probabilities_are_calibrated_and_know_the_tags():
    from sklearn.metrics import roc_auc_score

    features, labels = generated()
    found = out_of_fold(features, labels, np.arange(600))
    truth = labels.toarray()
    assert found.mean(axis=0) == pytest.approx(truth.mean(axis=0), abs=0.02)
    for tag in range(5):
        assert roc_auc_score(truth[:, tag], found[:, tag]) > 0.85


def test_noise_is_not_learnt_by_heart():
    features, labels = generated(n=200, d=300)
    shuffled = labels[np.random.default_rng(1).permutation(200)]
    found = out_of_fold(features, shuffled, np.arange(200))
    spread = np.abs(found - shuffled.toarray().mean(axis=0)).max()
    assert spread < 0.35  # in-sample it would be near 1


def test_calibration_recovers_a_known_curve():
    rng = np.random.default_rng(0)
    scores = rng.normal(size=(20_000, 2)).astype(np.float32)
    true = expit(np.stack([2 * scores[:, 0] - 1, -scores[:, 1]], axis=1))
    labels = csr_array((rng.random(true.shape) < true).astype(np.uint8))
    found = calibrate(scores, labels)
    assert np.abs(found[:, 0] - true[:, 0]).max() < 0.03
    assert np.ptp(found[:, 1]) < 1e-6  # higher scores speak against it: flat
