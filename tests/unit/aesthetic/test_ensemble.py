"""Trainings side by side: each becomes what it would alone, and the mean of several."""

import itertools
import signal
import sys
import threading

import numpy as np
import pytest
import torch

from src.aesthetic.heads import EnsembleHead
from src.aesthetic.heads.training_set import TrainingSet, assign_folds
from src.aesthetic.mlp.fitting import _stacks, fit_ensemble, mean_row
from src.aesthetic.mlp.trainer import Diverged, train_mlps
from src.evaluation.rank_metrics import interval_coverage, pairwise_accuracy
from src.settings.mlp import Mlp, PredictorTrainingArgs


def settings(loss="ranking", members=3, hidden=(8, 4), dropouts=(0.2,), relu=True, **args):
    args = {"num_train_epochs": 4, "learning_rate": 1e-3} | args
    return Mlp(
        aesthetic_model_hidden=hidden, aesthetic_model_dropouts=dropouts, mlp_members=members,
        aesthetic_model_relu=relu, loss_model=loss, device="cpu", eval_every_n_epochs=5,
        training_args=PredictorTrainingArgs(**args),
    )  # fmt: skip


def rated(n=60, d=5, seed=0, noise=0.1):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, d))
    y = x @ np.arange(1, d + 1)
    return x, (y - y.mean()) / y.std() + rng.normal(0, noise, n)


def same(first, second):
    return all(
        np.allclose(a, b, atol=1e-6) for a, b in zip(first.weights, second.weights, strict=True)
    )


@pytest.mark.parametrize("loss", ["ranking", "mse"])
@pytest.mark.parametrize("standardise", [False, True])
def test_each_member_becomes_what_it_would_alone(loss, standardise):
    sets = [TrainingSet.of(*rated()), TrainingSet.of(*rated()), TrainingSet.of(*rated(seed=1))]
    mlp = settings(loss).model_copy(update={"aesthetic_model_standardise": standardise})
    together = train_mlps(sets, mlp, seeds=[1, 2, 2])
    alone = [train_mlps([d], mlp, seeds=[s]) for d, s in zip(sets, [1, 2, 2], strict=True)]
    for one, head in zip(alone, together.heads, strict=True):
        assert same(one.heads[0], head)
    mean = [mean_row(rows) for rows in zip(*(one.history for one in alone), strict=True)]
    assert together.history == [pytest.approx(row, abs=1e-5) for row in mean]
    assert not same(*together.heads[:2])


def test_sets_of_different_sizes_take_the_steps_of_the_largest():
    sets = [TrainingSet.of(*rated(n)) for n in (60, 49)]
    for loss, steps in (("ranking", 7), ("mse", 8)):
        trained = train_mlps(sets, settings(loss))
        assert trained.history[-1]["step"] == 4 * steps
        assert all(pairwise_accuracy(d.scores, head.predict(d.features)) > 0.4
                   for d, head in zip(sets, trained.heads, strict=True))  # fmt: skip


@pytest.mark.parametrize(
    ("hidden", "workers", "heights"),
    [((8, 4), 1, [10]), ((8, 4), 3, [4, 3, 3]), ((1024, 128), 1, [1] * 10), ((200,), 1, [2] * 5)],
)
def test_small_networks_are_stacked_and_no_core_is_idle(hidden, workers, heights):
    stacks = _stacks(settings(hidden=hidden), 1280, 10, workers)
    assert [len(stack) for stack in stacks] == heights
    assert sorted(itertools.chain(*stacks)) == list(range(10))


def test_members_are_trained_without_their_part_and_averaged():
    x, y = rated(n=150, noise=0.5)
    fit = fit_ensemble(TrainingSet.of(x, y), settings(num_train_epochs=30))
    assert isinstance(fit.head, EnsembleHead) and len(fit.head.members) == 3
    fold = assign_folds(np.arange(150), 3, 42)
    for number, head in enumerate(fit.head.members):
        part = TrainingSet.of(x[fold != number], y[fold != number])
        (alone,) = train_mlps([part], settings(num_train_epochs=30), seeds=[42 + number]).heads
        assert pairwise_accuracy(alone.predict(x), head.predict(x)) == 1
        assert fit.out_of_fold[fold == number] == pytest.approx(head.predict(x[fold == number]))
    members = [head.predict(x) for head in fit.head.members]
    assert fit.head.predict(x) == pytest.approx(np.mean(members, axis=0))
    assert len(fit.history) == 30


@pytest.mark.parametrize(("loss", "epochs"), [("ranking", 30), ("mse", 10), ("mse", 30)])
def test_the_mean_is_better_than_its_members_and_knows_its_error(loss, epochs):
    x, y = rated(n=150, noise=0.5)
    fit = fit_ensemble(
        TrainingSet.of(x, y), settings(loss, num_train_epochs=epochs, learning_rate=1e-2)
    )
    new, truth = rated(n=1000, seed=5, noise=0.5)
    predicted, std = fit.head.predict(new), fit.head.predict_std(new)
    singles = [pairwise_accuracy(truth, head.predict(new)) for head in fit.head.members]
    assert pairwise_accuracy(truth, predicted) > np.mean(singles)
    for row in interval_coverage(truth, predicted, std, (0.5, 0.8, 0.95)):
        assert abs(row["coverage"] - row["level"]) < 0.1


def test_the_mean_has_the_unit_and_the_error_of_the_scores():
    x, y = rated(n=150, noise=0.5)
    for loss in ("ranking", "mse"):
        factor, level = (1, 0) if loss == "mse" else (100, 7)
        fit, larger = (
            fit_ensemble(TrainingSet.of(x, scores), settings(loss))
            for scores in (y, factor * y + level)
        )
        assert larger.head.predict(x) == pytest.approx(factor * fit.head.predict(x) + level)
        # By hand: the line through what members give to images they have not seen is the identity.
        slope, offset = np.polyfit(fit.out_of_fold, y, 1)
        assert (slope, offset) == pytest.approx((1, 0), abs=1e-6)
        spread = np.var([head.predict(x) for head in fit.head.members], axis=0).mean()
        error = np.mean((fit.out_of_fold - y) ** 2)
        assert fit.head.residual_std == pytest.approx((error - spread) ** 0.5)


def test_a_diverging_member_and_the_mean_of_rows():
    x, y = rated()
    wild = settings("mse", hidden=(16, 16), dropouts=(), relu=False, learning_rate=1e30,
                    max_grad_norm=0, num_train_epochs=50)  # fmt: skip
    with pytest.raises(Diverged, match="lower learning_rate"):
        fit_ensemble(TrainingSet.of(x, y), wild)
    assert mean_row([{"a": 1.0, "b": 2.0}, {"a": 3.0}]) == {"a": 2.0}


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_ctrl_c_joins_the_members_as_far_as_they_are():
    x, y = rated(n=150)
    calls = itertools.count()

    def evaluate(heads, epoch):
        if next(calls) == 12:
            signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
        return {"ab": np.mean([pairwise_accuracy(y, head.predict(x)) for head in heads])}

    data, mlp = TrainingSet.of(x, y), settings(num_train_epochs=1_000_000)
    fit = fit_ensemble(data, mlp, evaluate=evaluate)
    assert fit.interrupted
    assert 1 <= len(fit.head.members) <= 3
    assert pairwise_accuracy(y, fit.head.predict(x)) > 0.7
    assert fit.head.predict_std(x) is not None
    assert fit.out_of_fold is None or np.isfinite(fit.out_of_fold).all()
    assert 5 <= len(fit.history) < 1_000_000


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
def test_a_gpu_trains_a_stack_like_single_ones():
    sets = [TrainingSet.of(*rated()), TrainingSet.of(*rated(seed=1))]
    mlp = settings().model_copy(update={"device": "cuda"})
    for data, seed, head in zip(
        sets, (1, 2), train_mlps(sets, mlp, seeds=[1, 2]).heads, strict=True
    ):
        assert same(train_mlps([data], mlp, seeds=[seed]).heads[0], head)
