"""Training of MLP heads: against torch's own autograd, optimizer and schedules."""

import numpy as np
import pytest
import torch

from src.aesthetic.heads.training_set import TrainingSet
from src.aesthetic.mlp.network import Network
from src.aesthetic.mlp.steps import (
    AdamW,
    batch_loss,
    image_batches,
    learning_rate_at,
    pair_batches,
    shorten,
)
from src.aesthetic.mlp.trainer import Diverged, spanning_directions, train_mlps
from src.errors import ModelError
from src.evaluation.rank_metrics import pairwise_accuracy
from src.settings.mlp import Mlp, PredictorTrainingArgs


def settings(hidden=(16,), dropouts=(0.1,), relu=True, loss="ranking", every=0, **args):
    args = {"num_train_epochs": 40, "learning_rate": 1e-2} | args
    return Mlp(
        aesthetic_model_hidden=hidden, aesthetic_model_dropouts=dropouts,
        aesthetic_model_relu=relu, loss_model=loss, eval_every_n_epochs=every, device="cpu",
        training_args=PredictorTrainingArgs(**args),
    )  # fmt: skip


def train(x, y, mlp=None, weights=None, **options):
    return train_mlps([TrainingSet.of(x, y, weights)], mlp or settings(), **options)


def rated(n=60, d=5, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, d))
    return x, x @ np.arange(1, d + 1) + rng.normal(0, 0.1, n)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


# --- the network ------------------------------------------------------------------------------


def small_network(relu, dropouts=(0.5, 0.25)):
    return Network((5, 4, 3, 1), relu=relu, dropouts=dropouts, generators=[generator()])


def test_each_member_has_its_own_gradient_cut_to_length():
    parts = [torch.tensor([[[3.0]], [[0.3]]]), torch.tensor([[[4.0, 0.0]], [[0.4, 0.0]]])]
    shorten(parts, 1.0)  # lengths 5 and 0.5
    assert parts[0].flatten().tolist() == pytest.approx([0.6, 0.3])
    assert parts[1][:, 0, 0].tolist() == pytest.approx([0.8, 0.4])
    shorten(parts, 0)
    assert parts[0].flatten().tolist() == pytest.approx([0.6, 0.3])


def test_dropout_keeps_the_mean_and_drops_its_share():
    masks = small_network(False).masks(200, 50)
    assert masks[0].mean().item() == pytest.approx(1, abs=0.02)
    assert (masks[0] == 0).float().mean().item() == pytest.approx(0.5, abs=0.01)
    assert (masks[1] == 0).float().mean().item() == pytest.approx(0.25, abs=0.01)


def test_adamw_equals_torch():
    network, rates = small_network(False), (0.01, 0.02, 0.03)
    args = PredictorTrainingArgs(
        adam_beta1=0.8, adam_beta2=0.95, adam_epsilon=1e-6, weight_decay=0.1
    )
    mine = [*network.weights, *network.biases]
    theirs = [tensor.detach().clone().requires_grad_() for tensor in mine]
    reference = torch.optim.AdamW(
        [{"params": theirs[:3], "weight_decay": 0.1}, {"params": theirs[3:], "weight_decay": 0.0}],
        betas=(0.8, 0.95), eps=1e-6,
    )  # fmt: skip
    optimizer = AdamW(network, args)
    with torch.no_grad():
        for step, rate in enumerate(rates):
            gradients = [torch.randn(t.shape, generator=generator(step)) for t in mine]
            for tensor, gradient in zip(theirs, gradients, strict=True):
                tensor.grad = gradient.clone()
            for group in reference.param_groups:
                group["lr"] = rate
            optimizer.step(gradients, rate)
            reference.step()
    for tensor, other in zip(mine, theirs, strict=True):
        assert torch.allclose(tensor, other, atol=1e-6)


# --- batches and losses -----------------------------------------------------------------------


def test_pairs_have_different_scores_and_every_such_pair_is_equally_likely():
    scores = torch.tensor([1.0, 1.0, 2.0, 3.0])
    (numbers,) = next(pair_batches(scores, 1, 4000, generator()))
    left, right = numbers[:, :2000], numbers[:, 2000:]
    assert (scores[left] != scores[right]).all()
    counts = torch.zeros(4, 4)
    counts.index_put_((left.flatten(), right.flatten()), torch.ones(2000), accumulate=True)
    # Left is uniform; right is uniform among those that differ from it (2 or 3 of them).
    expected = torch.tensor([[0, 0, 3, 3], [0, 0, 3, 3], [2, 2, 0, 2], [2, 2, 2, 0]]) * 2000 / 24
    assert (counts - expected).abs().max() < 60


def test_the_ranking_loss_equals_torch():
    scores, outputs = torch.tensor([1.0, 2.0, 3.0, 0.0]), torch.tensor([0.3, 0.1, 2.0, 0.0])
    expected = torch.nn.MarginRankingLoss(margin=1.0)(
        outputs[:2], outputs[2:], torch.sign(scores[:2] - scores[2:])
    )
    assert batch_loss("ranking", scores, torch.ones(4), outputs).item() == pytest.approx(expected)


@pytest.mark.parametrize(
    ("kind", "reference"),
    [("mse", torch.nn.MSELoss()), ("bce", torch.nn.BCEWithLogitsLoss())],
)
def test_image_losses_equal_torch(kind, reference):
    scores, outputs = torch.tensor([1.0, 0.0, 0.0]), torch.tensor([0.4, -2.0, 3.0])
    loss = batch_loss(kind, scores, torch.ones(3), outputs)
    assert loss.item() == pytest.approx(reference(outputs, scores).item())


def test_an_epoch_uses_every_image_once():
    parts = next(image_batches(11, 11, 4, generator()))
    assert [tuple(part.shape) for part in parts] == [(2, 4), (1, 3)]
    assert sorted(torch.cat([part.flatten() for part in parts]).tolist()) == list(range(11))


def test_a_smaller_set_fills_the_steps_of_a_larger_one():
    parts = next(image_batches(3, 8, 4, generator()))
    counts = torch.bincount(torch.cat([part.flatten() for part in parts]))
    assert sorted(counts.tolist()) == [2, 3, 3]


# --- options ----------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["linear", "cosine", "constant", "constant_with_warmup"])
@pytest.mark.parametrize("warmup", [0, 3])
def test_schedules_equal_those_of_transformers(kind, warmup):
    from transformers import get_scheduler

    weight = torch.zeros(1, requires_grad=True)
    optimizer = torch.optim.SGD([weight], lr=0.5)
    needs_steps = {"num_training_steps": 10, "num_warmup_steps": warmup}
    schedule = get_scheduler(kind, optimizer, **needs_steps)
    expected = []
    for _ in range(10):
        expected.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    args = PredictorTrainingArgs(learning_rate=0.5, lr_scheduler_type=kind, warmup_steps=warmup)
    assert [learning_rate_at(args, i, 10) for i in range(10)] == pytest.approx(expected)


def test_warmup_ratio_is_rounded_up_and_steps_take_precedence():
    given = {"learning_rate": 1, "warmup_ratio": 0.25}
    assert learning_rate_at(PredictorTrainingArgs(**given), 1, 10) == 1 / 3
    assert learning_rate_at(PredictorTrainingArgs(**given, warmup_steps=5), 1, 10) == 1 / 5


# --- training ---------------------------------------------------------------------------------


@pytest.mark.parametrize("loss", ["ranking", "mse"])
def test_training_learns_the_order(loss):
    x, y = rated()
    result = train(x, (y - y.mean()) / y.std(), settings(loss=loss, num_train_epochs=60))
    new, truth = rated(seed=1)
    assert pairwise_accuracy(truth, result.heads[0].predict(new)) > 0.93
    assert result.problem is None
    assert result.history[-1]["loss"] < result.history[0]["loss"] / 2


def test_logistic_loss_gives_log_odds():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(600, 1))
    keep = (rng.random(600) < 1 / (1 + np.exp(-2 * x[:, 0]))).astype(float)
    head = train(x, keep, settings((), (), loss="bce", learning_rate=3e-2)).heads[0]
    assert head.predict([[1.0]])[0] - head.predict([[0.0]])[0] == pytest.approx(2, abs=0.4)


def test_steps_and_history_are_those_asked_for():
    x, y = rated(n=50)
    seen = []
    result = train(
        x,
        y,
        settings(every=4, num_train_epochs=6, learning_rate=1e-4),
        evaluate=lambda heads, epoch: seen.append(epoch) or {"ab": 0.5},
        progress=lambda done, total: seen.append((done, total)),
    )
    assert result.history[-1]["step"] == 6 * (50 // 8)
    assert [row["epoch"] for row in result.history] == [1, 2, 3, 4, 5, 6]
    assert [row["epoch"] for row in result.history if "ab" in row] == [4, 6]
    assert (36, 36) in seen and [epoch for epoch in seen if isinstance(epoch, int)] == [4, 6]
    assert train(x, y, settings(max_steps=7)).history[-1]["step"] == 7


def test_the_same_seed_gives_the_same_weights_and_another_seed_others():
    x, y = rated()

    def weights(seed):
        return train(x, y, settings(num_train_epochs=2, seed=seed)).heads[0].weights[0]

    assert (weights(1) == weights(1)).all()
    assert (weights(1) != weights(2)).any()


def test_training_goes_on_from_a_head():
    x, y = rated()
    first = train(x, y)
    tiny = settings(dropouts=(), relu=False, max_steps=1, learning_rate=1e-9)
    again = train(x, y, tiny, start=first.heads[0])
    assert again.heads[0].predict(x) == pytest.approx(first.heads[0].predict(x), abs=1e-3)
    assert again.heads[0].relu
    with pytest.raises(ModelError, match="made for 5 features"):
        train(np.ones((60, 4)), y, tiny, start=first.heads[0])


def test_standardisation_is_folded_into_the_first_layer():
    x, y = rated()
    shifted = x * 1000 + 5e4
    mlp = settings((8,), ()).model_copy(update={"aesthetic_model_standardise": True})
    head = train(shifted, y, mlp).heads[0]
    assert pairwise_accuracy(y, head.predict(shifted)) > 0.9


def test_few_images_are_learnt_from_in_the_directions_that_they_span():
    rng = np.random.default_rng(0)
    rotation = np.linalg.qr(rng.normal(size=(100, 100)))[0]
    x, y = rated(n=40, d=4)
    x = np.hstack([x, np.zeros((40, 96))]) @ rotation
    mlp = settings((8,), ()).model_copy(update={"aesthetic_model_standardise": True})
    [directions] = spanning_directions([x])
    assert directions.shape == (4, 100)
    assert directions @ directions.T == pytest.approx(25 * np.eye(4), abs=1e-9)
    assert x @ directions.T @ directions == pytest.approx(25 * x)
    head = train(x, y, mlp).heads[0]
    assert head.n_features == 100 and pairwise_accuracy(y, head.predict(x)) > 0.95
    assert np.ptp(train(np.ones((40, 100)), y, mlp).heads[0].predict(x)) == 0


def test_networks_move_as_fast_in_few_directions_as_with_all_features():
    """A step of AdamW moves a score by about the learning rate times the sum of |inputs|."""
    x = np.random.default_rng(0).normal(size=(50, 1000))
    inputs = x @ spanning_directions([x])[0].T
    assert np.abs(inputs).sum(axis=1).mean() == pytest.approx(np.abs(x).sum(axis=1).mean(), rel=0.1)
    first = [
        Network((n, 400, 1), features=1000, relu=False, dropouts=(), generators=[generator()])
        for n in (1000, 50)
    ]
    spread = [
        (torch.from_numpy(given).float() @ network.weights[0][0]).std().item()
        for given, network in zip((x, inputs), first, strict=True)
    ]
    assert spread[0] == pytest.approx(spread[1], rel=0.1)


def test_weights_of_zero_leave_images_out():
    x, y = rated()
    y = np.concatenate([y, -y])  # the same images rated the other way round, but not counted
    weights = np.concatenate([np.ones(60), np.full(60, 1e-9)])
    head = train(np.vstack([x, x]), y, weights=weights).heads[0]
    assert pairwise_accuracy(y[:60], head.predict(x)) > 0.9


# --- what goes wrong --------------------------------------------------------------------------


def test_equal_scores_are_explained_instead_of_searching_for_ever():
    x, _ = rated()
    with pytest.raises(ModelError, match="same score"):
        train(x, np.ones(60))
    nearly = np.ones(60)
    nearly[0] += 1e-12  # equal in single precision
    with pytest.raises(ModelError, match="equal"):
        train(x, nearly)


def test_divergence_is_noticed():
    x, y = rated()
    mlp = settings((16, 16), (), False, "mse", learning_rate=1e30, max_grad_norm=0)
    with pytest.raises(Diverged, match=r"lower learning_rate \(now 1e\+30\)"):
        train(x, y, mlp)


def test_collapse_is_noticed_and_explained():
    x, y = rated()
    # So high a rate that all units die: with every ReLU closed, only the last bias is left.
    result = train(x, y, settings((16, 8), (), learning_rate=30.0, lr_scheduler_type="constant"))
    assert np.ptp(result.heads[0].predict(x)) == 0
    assert "nearly the same score" in result.problem
    assert "lower learning_rate" in result.problem


def test_ctrl_c_keeps_what_is_trained():
    x, y = rated()

    def interrupt(done, total):
        if done >= total // 2:
            raise KeyboardInterrupt

    result = train(x, y, settings(num_train_epochs=60), progress=interrupt)
    assert result.history[-1]["step"] == 30 * 7
    assert pairwise_accuracy(y, result.heads[0].predict(x)) > 0.9
