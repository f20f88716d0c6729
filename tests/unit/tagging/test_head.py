"""Fitting heads on features: what is learnt and kept; the metrics of each epoch."""

import numpy as np
import pytest
import torch
from scipy.sparse import csr_array

from src.errors import ModelError
from src.image_models.head import LinearHead
from src.tagging.head import Whitening, fit_head
from src.tagging.losses import tag_objective
from tests.training import training

N, D, K = 240, 6, 3


def table(seed=0):
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(N, D)).astype(np.float32) * 7 + 50  # neither centred nor scaled
    labels = (features - 50) @ rng.normal(size=(D, K)) > 0
    return features, csr_array(labels.astype(np.uint8))


def zero_head(width=D):
    return LinearHead(np.zeros((K, width), np.float32), np.zeros(K, np.float32))


def fit(features, labels, split, validation_labels=None, weights=None, **given):
    known = labels if validation_labels is None else validation_labels
    settings = training(eval_every_n_epochs=1, **given)
    return fit_head(
        zero_head(features.shape[1]),
        (features[:split], labels[:split]),
        (features[split:], known[split:]),
        tag_objective(settings, weights),
        settings,
    )


def bce(head, features, labels):
    logits = torch.from_numpy(head.logits(features))
    truth = torch.from_numpy(labels.toarray()).float()
    return torch.nn.functional.binary_cross_entropy_with_logits(logits, truth).item()


def test_metrics_by_hand():
    logits = np.array([[2.0, -1.0], [0.5, 3.0], [-2.0, 0.1]])
    labels = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0]])
    found = tag_objective(training()).metrics(logits, labels)
    # First tag: TP 1, FP 1, FN 1; second: TP 1, FP 1, FN 0, TN 1.
    assert [found[name] for name in ("tp", "fp", "fn", "tn")] == [2, 2, 1, 1]
    assert found["f1_micro"] == pytest.approx(4 / 7)
    assert found["f1_macro"] == pytest.approx((1 / 2 + 2 / 3) / 2)


@pytest.mark.parametrize("name", ["bce", "focal", "asl"])
def test_a_head_learns_on_features_of_any_scale(name):
    features, labels = table()
    loss = {"tag_loss": name, "asl_gamma_neg": 1.0}
    found = fit(features, labels, 160, tag_head_epochs=3, tag_head_learning_rate=0.2, **loss)
    right = (found.head.logits(features[160:]) > 0) == labels[160:].toarray()
    assert right.mean() > 0.9
    assert [entry["epoch"] for entry in found.history] == [1, 2, 3]
    for entry in found.history:  # of that epoch alone: always the same number of decisions
        assert sum(entry[f"eval_{count}"] for count in ("tp", "fp", "fn", "tn")) == 80 * K


def test_the_best_epoch_by_validation_loss_is_what_is_kept():
    features, labels = table()
    nonsense = labels[np.random.default_rng(5).permutation(N)]  # learning it makes things worse
    settings = {"tag_head_epochs": 6, "tag_head_learning_rate": 0.5}
    found = fit(features, nonsense, 160, validation_labels=labels, **settings)
    losses = [entry["eval_loss"] for entry in found.history]
    assert min(losses) < losses[-1]  # otherwise this would show nothing
    assert bce(found.head, features[160:], labels[160:]) == pytest.approx(min(losses), rel=1e-3)
    assert found.details["epoch kept"] == str(int(np.argmin(losses)) + 1)
    patient = fit(
        features, nonsense, 160, validation_labels=labels, early_stopping_patience=1, **settings
    )
    assert len(patient.history) == int(np.argmin(losses)) + 2


def test_it_ends_near_the_optimum_of_its_convex_loss():
    from sklearn.linear_model import LogisticRegression

    features, labels = table()
    rng = np.random.default_rng(2)
    noisy = csr_array((labels.toarray() ^ (rng.random((N, K)) < 0.2)).astype(np.uint8))
    found = fit(features, noisy, 200, tag_head_epochs=60)
    best = [
        LogisticRegression(C=1e6, max_iter=5000).fit(features[:200], column)
        for column in noisy[:200].toarray().T
    ]
    weight = np.concatenate([model.coef_ for model in best]).astype(np.float32)
    bias = np.concatenate([model.intercept_ for model in best]).astype(np.float32)
    optimum = bce(LinearHead(weight, bias), features[:200], noisy[:200])
    assert bce(found.head, features[:200], noisy[:200]) < optimum + 0.01


def test_smoothed_labels_keep_a_head_from_being_certain():
    features, labels = table()
    sizes = []
    for smoothing in (0.0, 0.2):
        smoothed = {"training_args": {"label_smoothing_factor": smoothing}}
        settings = {"tag_head_epochs": 40, "tag_head_learning_rate": 0.2} | smoothed
        head = fit(features, labels, 160, **settings).head
        sizes.append(np.abs(head.logits(features[:160])).max())
    assert sizes[1] < 0.5 * sizes[0]


def test_a_diverging_fit_stops_with_a_line():
    features, labels = table()
    with pytest.raises(ModelError, match="diverged"):
        fit(features, labels, 160, weights=np.full(K, np.nan))


def test_whitened_features_and_a_head_there_and_back():
    rng = np.random.default_rng(0)
    turn = np.linalg.qr(rng.normal(size=(5, 5)))[0]
    features = (rng.normal(size=(4000, 5)) * [1, 2, 3, 2, 1] @ turn + 40).astype(np.float32)
    whitening = Whitening.of(features)
    assert np.cov(whitening.apply(features).T) == pytest.approx(np.eye(5), abs=0.02)
    head = LinearHead(rng.normal(size=(2, 5)).astype(np.float32), np.ones(2, np.float32))
    inside = whitening.inwards(head)
    assert inside.logits(whitening.apply(features)) == pytest.approx(
        head.logits(features), abs=1e-2
    )
    assert whitening.outwards(inside).weight == pytest.approx(head.weight, abs=1e-4)


def test_rounding_errors_are_not_learnt():
    rng = np.random.default_rng(0)
    features = rng.normal(size=(120, 200)).astype(np.float32) + 5  # fewer images than dimensions
    labels = csr_array((features[:, :K] > 5).astype(np.uint8))
    found = []
    for turn in range(2):
        rounded = features + turn * rng.normal(size=features.shape).astype(np.float32) * 1e-6
        found.append(fit(rounded, labels, 60, tag_head_epochs=10).head.logits(features[60:]))
    np.testing.assert_allclose(found[0], found[1], atol=1e-3)
