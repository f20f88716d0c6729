"""Trainings side by side: each becomes what it would alone."""

import itertools
import signal
import sys
import threading
from dataclasses import replace

import numpy as np
import pytest
import torch

from src.aesthetic.heads import EnsembleHead
from src.aesthetic.mlp.ensemble import fit_ensemble, mean_row
from src.aesthetic.mlp.trainer import train_mlps
from src.aesthetic.mlp.training_options import TrainingOptions
from src.aesthetic.mlp.trainings import Diverged, Images, MlpShape, Training
from src.aesthetic.search import trials as trials_module
from src.aesthetic.search.stacks import Job, Stopped, measure, plan_stacks, run_stacks, stack_height
from src.aesthetic.search.trials import InnerFolds, Trial
from src.errors import ModelError
from src.evaluation.rank_metrics import interval_coverage, pairwise_accuracy

OPTIONS = TrainingOptions(num_train_epochs=4, learning_rate=1e-3)
SHAPE = MlpShape((8, 4), (0.2,), relu=True)


def rated(n=60, d=5, seed=0, noise=0.1):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, d))
    y = x @ np.arange(1, d + 1)
    return x, (y - y.mean()) / y.std() + rng.normal(0, noise, n)


def folds(n=60, count=3):
    return InnerFolds(*rated(n), folds=count)


def same(first, second):
    return all(
        np.allclose(a, b, atol=1e-6) for a, b in zip(first.weights, second.weights, strict=True)
    )


@pytest.mark.parametrize("loss", ["ranking", "mse"])
def test_each_member_becomes_what_it_would_alone(loss):
    one, other = Images.of(*rated()), Images.of(*rated(seed=1))
    options = [
        OPTIONS,
        replace(OPTIONS, seed=7),
        replace(OPTIONS, learning_rate=1e-2),
        replace(OPTIONS, learning_rate=1e-2, weight_decay=0.5),
    ]
    trainings = [
        Training(images, option, loss, replace(SHAPE, dropouts=dropouts, standardise=standardise))
        for images, option, dropouts, standardise in zip(
            [one, one, other, other], options, [(0.2,), (), (0.5, 0.5), ()],
            [False, True, False, True], strict=True,
        )
    ]  # fmt: skip
    together = train_mlps(trainings)
    for training, result in zip(trainings, together, strict=True):
        (alone,) = train_mlps([training])
        assert same(alone.head, result.head)
        assert alone.head.dropouts == result.head.dropouts == training.shape.dropouts
        assert [row["loss"] for row in alone.history] == pytest.approx(
            [row["loss"] for row in result.history], abs=1e-5
        )
        assert [row["learning_rate"] for row in alone.history] == [
            row["learning_rate"] for row in result.history
        ]
    assert not same(together[0].head, together[1].head)


def test_members_go_on_from_their_own_heads():
    images = Images.of(*rated())
    heads = [train_mlps([Training(images, replace(OPTIONS, seed=s), shape=SHAPE)])[0].head
             for s in (1, 2)]  # fmt: skip
    still = TrainingOptions(max_steps=1, learning_rate=1e-12)
    again = train_mlps(
        [Training(images, still, start=h, shape=MlpShape(dropouts=())) for h in heads]
    )
    assert all(same(a.head, b) for a, b in zip(again, heads, strict=True))


def test_a_member_that_diverges_does_not_disturb_the_others():
    images = Images.of(*rated())
    calm = replace(OPTIONS, max_grad_norm=0, num_train_epochs=20)
    wild = replace(calm, learning_rate=1e30)
    results = train_mlps(
        [Training(images, options, "mse", MlpShape((16, 16), ())) for options in (calm, wild)]
    )
    (alone,) = train_mlps([Training(images, calm, "mse", MlpShape((16, 16), ()))])
    assert isinstance(results[1], Diverged)
    assert "lower learning_rate (now 1e+30)" in str(results[1])
    assert same(results[0].head, alone.head)


def test_only_trainings_of_a_kind_go_together():
    images = Images.of(*rated())
    with pytest.raises(ValueError, match="same kind"):
        train_mlps(
            [
                Training(images, OPTIONS, shape=SHAPE),
                Training(images, OPTIONS, shape=MlpShape((8,), ())),
            ]
        )


def test_the_kind_holds_all_that_must_be_alike():
    images, larger = Images.of(*rated()), Images.of(*rated(n=90))
    training = Training(images, OPTIONS, shape=SHAPE)
    free = [
        replace(training, options=replace(OPTIONS, learning_rate=1.0, weight_decay=0.1, seed=3)),
        replace(training, shape=replace(SHAPE, dropouts=())),
        Training(Images.of(*rated(n=61)), OPTIONS, shape=SHAPE),  # as many steps an epoch
    ]
    assert all(other.kind == training.kind for other in free)
    bound = [
        replace(training, options=replace(OPTIONS, num_train_epochs=5)),
        replace(training, options=replace(OPTIONS, per_device_train_batch_size=4)),
        replace(training, options=replace(OPTIONS, warmup_steps=4)),
        replace(training, shape=replace(SHAPE, relu=False)),
        replace(training, loss="mse"),
        Training(larger, OPTIONS, shape=SHAPE),
    ]
    assert all(other.kind != training.kind for other in bound)


# --- planning ----------------------------------------------------------------------------------


def jobs_of(images, trials):
    return [Job(trial, fold) for trial in trials for fold in range(images.folds)]


def test_small_networks_of_one_kind_are_stacked_and_every_job_is_done_once():
    images = folds()
    trials = [
        Trial(replace(OPTIONS, learning_rate=lr, per_device_train_batch_size=batch), SHAPE)
        for batch in (4, 8)
        for lr in (1e-3, 1e-2)
    ]
    plan = plan_stacks(images, jobs_of(images, trials), workers=1)
    assert [sorted(stack) for stack in plan] == [[0, 1, 2, 3, 4, 5], [6, 7, 8, 9, 10, 11]]
    # No worker stays idle for the sake of a high stack.
    assert len(plan_stacks(images, jobs_of(images, trials[:1]), workers=3)) == 3


def test_large_networks_have_the_processor_to_themselves_and_share_a_gpu():
    images = InnerFolds(*rated(d=1280))
    trial = Trial(OPTIONS)
    assert stack_height(images, Job(trial, 0)) == 1
    assert stack_height(images, Job(replace(trial, device="cuda"), 0)) > 50
    assert stack_height(images, Job(replace(trial, head="ridge"), 0)) == 1


def test_closed_form_heads_are_measured_without_their_fold(monkeypatch):
    images, fitted = folds(), []
    fit_head = trials_module.fit_head

    def spy(name, x, *rest, **options):
        fitted.append(x)
        return fit_head(name, x, *rest, **options)

    monkeypatch.setattr(trials_module, "fit_head", spy)
    (score,) = measure(images, [Job(Trial(OPTIONS, head="ridge"), 1)], threading.Event())
    assert score.ab > 0.9
    assert np.array_equal(fitted, [images.features[images.fold != 1]])


def test_a_stack_stops_soon_after_it_is_told_to():
    images, stop = folds(), threading.Event()
    stop.set()
    for head in ("mlp", "ridge"):
        with pytest.raises(Stopped):
            measure(images, [Job(Trial(OPTIONS, SHAPE, head=head), 0)], stop)


def test_closing_the_runs_stops_those_that_are_left():
    images, done = folds(), []

    def work(stack, stop):
        done.append(stack)
        if len(done) > 1:
            stop.wait(20)
        return len(stack)

    runs = run_stacks(images, [Job(Trial(OPTIONS, SHAPE), 0)] * 40, work, workers=1)
    assert next(runs)[1] > 0
    runs.close()
    assert len(done) <= 2
    assert list(run_stacks(images, [], work)) == []


# --- several mlps whose mean counts ------------------------------------------------------------


def ensemble(noise=0.5, **options):
    x, y = rated(n=150, noise=noise)
    trial = Trial(replace(OPTIONS, num_train_epochs=30, **options), SHAPE)
    return x, y, fit_ensemble(x, y, trial, members=3)


def test_members_are_trained_without_their_part_and_averaged():
    x, y, fit = ensemble()
    assert isinstance(fit.head, EnsembleHead) and len(fit.head.members) == 3
    images = InnerFolds(x, y, folds=3, seed=42)
    for number, head in enumerate(fit.head.members):
        outside = images.fold == number
        options = replace(OPTIONS, num_train_epochs=30, seed=42 + number)
        (alone,) = train_mlps([images.training(Trial(options, SHAPE), number)])
        assert pairwise_accuracy(alone.head.predict(x), head.predict(x)) == 1
        assert fit.left_out[outside] == pytest.approx(head.predict(x[outside]))
    members = [head.predict(x) for head in fit.head.members]
    assert fit.head.predict(x) == pytest.approx(np.mean(members, axis=0))
    assert len(fit.history) == 30


@pytest.mark.parametrize(("loss", "epochs"), [("ranking", 30), ("mse", 10), ("mse", 30)])
def test_the_mean_is_better_than_its_members_and_knows_its_error(loss, epochs):
    x, y = rated(n=150, noise=0.5)
    options = TrainingOptions(num_train_epochs=epochs, learning_rate=1e-2)
    fit = fit_ensemble(x, y, Trial(options, SHAPE, loss), members=3)
    new, truth = rated(n=1000, seed=5, noise=0.5)
    predicted, std = fit.head.predict(new), fit.head.predict_std(new)
    singles = [pairwise_accuracy(truth, head.predict(new)) for head in fit.head.members]
    assert pairwise_accuracy(truth, predicted) > np.mean(singles)
    for row in interval_coverage(truth, predicted, std, (0.5, 0.8, 0.95)):
        assert abs(row["coverage"] - row["level"]) < 0.1


def test_the_mean_has_the_unit_and_the_error_of_the_scores():
    x, y = rated(n=150, noise=0.5)
    for loss in ("ranking", "mse"):
        fit, larger = (
            fit_ensemble(x, scores, Trial(OPTIONS, SHAPE, loss), members=3)
            for scores in (y, y if loss == "mse" else 100 * y + 7)
        )
        factor, level = (1, 0) if loss == "mse" else (100, 7)
        assert larger.head.predict(x) == pytest.approx(factor * fit.head.predict(x) + level)
        # By hand: the line through what members give to images they have not seen is the identity.
        slope, offset = np.polyfit(fit.left_out, y, 1)
        assert (slope, offset) == pytest.approx((1, 0), abs=1e-6)
        spread = np.var([head.predict(x) for head in fit.head.members], axis=0).mean()
        error = np.mean((fit.left_out - y) ** 2)
        assert fit.head.residual_std == pytest.approx((error - spread) ** 0.5)


def test_a_diverging_member_and_the_mean_of_rows():
    x, y = rated()
    trial = Trial(
        replace(OPTIONS, learning_rate=1e30, max_grad_norm=0, num_train_epochs=50),
        MlpShape((16, 16), ()), "mse",
    )  # fmt: skip
    with pytest.raises(Diverged):
        fit_ensemble(x, y, trial, members=3)
    with pytest.raises(ModelError):
        fit_ensemble(x, np.ones(60), trial, members=3)
    assert mean_row([{"a": 1.0, "b": 2.0}, {"a": 3.0}]) == {"a": 2.0}


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_ctrl_c_joins_the_members_as_far_as_they_are():
    x, y = rated(n=150)
    trial = Trial(replace(OPTIONS, num_train_epochs=1_000_000), SHAPE)
    calls = itertools.count()

    def evaluate(head):
        if next(calls) == 12:
            signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
        return {"ab": pairwise_accuracy(y, head.predict(x))}

    fit = fit_ensemble(x, y, trial, members=3, evaluate=evaluate, eval_every_n_epochs=5)
    assert fit.interrupted
    assert 1 <= len(fit.head.members) <= 3
    assert pairwise_accuracy(y, fit.head.predict(x)) > 0.7
    assert fit.head.predict_std(x) is not None
    assert fit.left_out is None or np.isfinite(fit.left_out).all()
    assert 5 <= len(fit.history) < 1_000_000


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
def test_a_gpu_trains_a_stack_like_single_ones():
    images = Images.of(*rated())
    trainings = [
        Training(images, replace(OPTIONS, seed=s, learning_rate=1e-3 * s), shape=SHAPE)
        for s in (1, 2, 2)
    ]
    for training, result in zip(trainings, train_mlps(trainings, device="cuda"), strict=True):
        (alone,) = train_mlps([training], device="cuda")
        assert same(alone.head, result.head)
