"""Training heads on features: what is learnt, kept, blended, resumed; the figures of each epoch."""

import numpy as np
import pytest
import torch
from scipy.sparse import csr_array

from src.errors import ModelError
from src.image_models.augment import Augmentation, blend
from src.image_models.fine_tune import Recipe
from src.image_models.head import LinearHead
from src.tagging.head_training import Whitening, train_tag_head
from src.tagging.losses import MultilabelLoss
from src.tagging.objective import objective

N, D, K = 240, 6, 3


def table(seed=0):
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(N, D)).astype(np.float32) * 7 + 50  # neither centred nor scaled
    labels = (features - 50) @ rng.normal(size=(D, K)) > 0
    return features, csr_array(labels.astype(np.uint8))


def recipe(**options):
    training = {
        "num_train_epochs": 3,
        "learning_rate": 0.05,
        "per_device_train_batch_size": 16,
        "seed": 1,
        "report_to": [],
    }
    others = {key: options.pop(key) for key in list(options) if key not in _RECIPE}
    return Recipe(training_args=training | others, augmentation=None, device="cpu", **options)


_RECIPE = {"eval_every_n_epochs", "early_stopping_patience", "ema_decay", "resume"}


def zero_head():
    return LinearHead(np.zeros((K, D), np.float32), np.zeros(K, np.float32))


def run(tmp_path, how, seed=0, loss=None):
    features, labels = table(seed)
    train, held_out = slice(0, 160), slice(160, N)
    return train_tag_head(
        zero_head(),
        (features[train], labels[train]),
        (features[held_out], labels[held_out]),
        objective(loss or MultilabelLoss()),
        how,
        tmp_path / "checkpoints",
    )


def test_figures_by_hand():
    class Evaluated:
        predictions = np.array([[2.0, -1.0], [0.5, 3.0], [-2.0, 0.1]])
        label_ids = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0]])

    found = objective(MultilabelLoss()).metrics(Evaluated)
    # First tag: TP 1, FP 1, FN 1; second: TP 1, FP 1, FN 0, TN 1.
    assert [found[name] for name in ("tp", "fp", "fn", "tn")] == [2, 2, 1, 1]
    assert found["f1_micro"] == pytest.approx(4 / 7)
    assert found["f1_macro"] == pytest.approx((1 / 2 + 2 / 3) / 2)


@pytest.mark.parametrize("name", ["bce", "focal", "asl"])
def test_a_head_learns_on_features_of_any_scale(tmp_path, name):
    how = recipe(learning_rate=0.2)
    trained, head = run(tmp_path, how, loss=MultilabelLoss(name, gamma_neg=1.0))
    features, labels = table()
    right = (head.logits(features[160:]) > 0) == labels[160:].toarray()
    assert right.mean() > 0.9
    epochs = [entry for entry in trained["history"] if "eval_loss" in entry]
    assert len(epochs) == 3
    for entry in epochs:  # of that epoch alone: always the same number of decisions
        assert sum(entry[f"eval_{count}"] for count in ("tp", "fp", "fn", "tn")) == 80 * K


def test_the_best_epoch_by_validation_loss_is_what_is_kept(tmp_path):
    features, labels = table()
    nonsense = labels[np.random.default_rng(5).permutation(160)]  # learning it makes things worse
    trained, head = train_tag_head(
        zero_head(),
        (features[:160], nonsense),
        (features[160:], labels[160:]),
        objective(MultilabelLoss()),
        recipe(num_train_epochs=6, learning_rate=0.5, lr_scheduler_type="constant"),
        tmp_path / "checkpoints",
    )
    losses = [entry["eval_loss"] for entry in trained["history"] if "eval_loss" in entry]
    assert min(losses) < losses[-1]  # otherwise this would show nothing
    logits = torch.from_numpy(head.logits(features[160:]))
    kept = torch.nn.functional.binary_cross_entropy_with_logits(
        logits, torch.from_numpy(labels[160:].toarray()).float()
    )
    assert kept.item() == pytest.approx(min(losses), rel=1e-3)


def test_a_diverging_run_stops_with_a_line(tmp_path):
    broken = MultilabelLoss(weights=np.full(K, np.nan))
    with pytest.raises(ModelError, match="diverged"):
        run(tmp_path, recipe(), loss=broken)


def test_a_stopped_run_goes_on_to_the_same_weights(tmp_path):
    _, whole = run(tmp_path / "a", recipe(num_train_epochs=4, lr_scheduler_type="constant"))
    run(tmp_path / "b", recipe(num_train_epochs=2, lr_scheduler_type="constant"))
    how = recipe(num_train_epochs=4, lr_scheduler_type="constant")
    trained, gone_on = run(tmp_path / "b", how)
    assert trained["epochs"] == 4
    assert gone_on.weight == pytest.approx(whole.weight, rel=1e-3, abs=1e-5)


def test_the_running_average_is_used(tmp_path):
    _, plain = run(tmp_path / "a", recipe())
    _, averaged = run(tmp_path / "b", recipe(ema_decay=0.9))
    assert not np.allclose(plain.weight, averaged.weight)
    features, labels = table()
    assert ((averaged.logits(features) > 0) == labels.toarray()).mean() > 0.85


def test_blending_multi_hot_labels():
    torch.manual_seed(0)
    inputs = torch.eye(5)
    labels = torch.tensor([[1.0, 1, 0], [1, 0, 0], [1, 0, 1], [1, 1, 1], [1, 0, 0]])
    mixed, soft = blend(inputs, labels, 3, Augmentation(mixup=1.0, cutmix=0.0))
    assert torch.allclose(soft[:, 0], torch.ones(5))  # a tag of both images keeps its label
    assert torch.allclose(soft, mixed @ labels)  # else each label gets its image's share
    assert ((soft > 0) & (soft < 1)).any()


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


def test_few_images_in_many_dimensions_are_hardly_turned():
    features = np.random.default_rng(0).normal(size=(10, 500)).astype(np.float32)
    spread = Whitening.of(features).apply(features).std()
    assert 0.05 < spread < 0.3  # 1 / sqrt(d / n) = 0.14: no direction is blown up
    constant = Whitening.of(np.ones((4, 3), np.float32))
    assert np.isfinite(constant.matrix).all()


def test_rounding_errors_are_not_learnt(tmp_path):
    rng = np.random.default_rng(0)
    features = rng.normal(size=(120, 200)).astype(np.float32) + 5  # fewer images than dimensions
    labels = csr_array((features[:, :K] > 5).astype(np.uint8))
    found = []
    for turn in range(2):
        rounded = features + turn * rng.normal(size=features.shape).astype(np.float32) * 1e-6
        _, head = train_tag_head(
            LinearHead(np.zeros((K, 200), np.float32), np.zeros(K, np.float32)),
            (rounded[:60], labels[:60]),
            (rounded[60:], labels[60:]),
            objective(MultilabelLoss()),
            recipe(num_train_epochs=10),
            tmp_path / str(turn),
        )
        found.append(head.logits(features[60:]))
    np.testing.assert_allclose(found[0], found[1], atol=1e-3)
