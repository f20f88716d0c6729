"""Heads against independent answers: scikit-learn, explicit refits, known functions."""

import json
from itertools import pairwise

import numpy as np
import pytest
from sklearn.gaussian_process.kernels import RationalQuadratic
from sklearn.linear_model import Ridge, RidgeCV

from src.aesthetic.heads import (
    EnsembleHead,
    LinearHead,
    MlpHead,
    ResidualHead,
    fit_head,
    restore,
)
from src.aesthetic.heads.kernel import fit_kernel
from src.aesthetic.heads.ridge import ALPHAS, RidgePath
from src.aesthetic.heads.scaling import Scaler
from src.aesthetic.heads.training_set import TrainingSet
from src.errors import ModelError
from src.evaluation.rank_metrics import interval_coverage, pairwise_accuracy

METHODS = ("kernel", "ridge")


def linear_data(n=80, d=6, noise=0.3, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, d)) * np.linspace(0.5, 3, d) + 1
    return x, x @ np.arange(1, d + 1) / d + rng.normal(0, noise, n)


def curved_data(n=120, noise=0.1, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.uniform(-2, 2, size=(n, 2))
    return x, np.sin(2 * x[:, 0]) * np.cos(x[:, 1]) + rng.normal(0, noise, n)


# --- the ridge path, on which ridge and kernel stand -----------------------------------------


@pytest.mark.parametrize("n_features", [4, 40], ids=["few features", "more features than images"])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("grouped", [False, True])
def test_left_out_residuals_equal_refitting_without_each_group(n_features, weighted, grouped):
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(25, n_features)), rng.normal(size=25)
    w = rng.uniform(0.2, 3, 25) if weighted else np.ones(25)
    groups = rng.integers(12, size=25) if grouped else np.arange(25)
    alphas = np.array([0.3, 2.5])
    refitted = np.empty((2, 25))
    for row, alpha in enumerate(alphas):
        for group in np.unique(groups):
            inside = groups != group
            model = Ridge(alpha=alpha).fit(x[inside], y[inside], sample_weight=w[inside])
            refitted[row, ~inside] = y[~inside] - model.predict(x[~inside])
    path = RidgePath.from_features(x, TrainingSet(x, y, w, groups))
    assert path.left_out_residuals(alphas) == pytest.approx(refitted)


def planted_copies(copies, seed=0):
    """Forty images of which the features say nothing, some of them again under other names."""
    rng = np.random.default_rng(seed)
    x, y = rng.normal(size=(40, 60)), rng.normal(size=40)
    rows = np.concatenate([np.arange(40), np.tile(np.arange(30), copies - 1)])
    return x[rows], y[rows], rows


@pytest.mark.parametrize("method", METHODS)
def test_copies_of_an_image_do_not_vouch_for_each_other(method):
    x, y, groups = planted_copies(3)
    fooled, honest = (fit_head(method, x, y, groups=g) for g in (None, groups))
    new = np.random.default_rng(5).normal(size=(400, 60))
    truth = np.random.default_rng(6).normal(size=400)
    error = np.sqrt(np.mean((honest.predict(new) - truth) ** 2))
    assert fooled.residual_std < 0.6 * error  # what copies did to the figure,
    assert honest.residual_std == pytest.approx(error, rel=0.25)
    assert np.std(honest.predict(new)) < 0.8 * np.std(fooled.predict(new))  # and to the penalty


@pytest.mark.parametrize("method", METHODS)
def test_images_that_are_all_one_group_are_left_out_singly(method):
    x, y = linear_data(n=12)
    one = fit_head(method, x, y, groups=np.zeros(12))
    assert one.predict(x) == pytest.approx(fit_head(method, x, y).predict(x))


def test_gram_and_features_give_the_same_fit():
    rng = np.random.default_rng(3)
    x, y, w = rng.normal(size=(20, 3)), rng.normal(size=20), rng.uniform(0.5, 2, 20)
    data = TrainingSet.of(x, y, w)
    by_gram, by_features = RidgePath.from_gram(x @ x.T, data), RidgePath.from_features(x, data)
    assert by_gram.dual(0.7) == pytest.approx(by_features.dual(0.7))
    assert by_gram.dual(0.7).sum() == pytest.approx(0, abs=1e-12)


# --- ridge -----------------------------------------------------------------------------------


@pytest.mark.parametrize("n_features", [6, 150])
def test_ridge_equals_scikit_learn_at_the_chosen_penalty(n_features):
    x, y = linear_data(n=60, d=n_features)
    scaled = Scaler.fit(x)(x)
    centred = scaled - scaled.mean(axis=0)
    alphas = ALPHAS * (centred**2).sum() / 60
    reference = RidgeCV(alphas=alphas).fit(scaled, y)  # leave-one-out too
    new = linear_data(n=10, d=n_features, seed=9)[0]
    expected = reference.predict(Scaler.fit(x)(new))
    assert fit_head("ridge", x, y).predict(new) == pytest.approx(expected, rel=1e-6)


def test_weights_repeat_images():
    x, y = linear_data(n=30)
    twice = np.concatenate([x, x[:10]]), np.concatenate([y, y[:10]])
    weights = np.where(np.arange(30) < 10, 2.0, 1.0)
    scaler = Scaler.fit(x)  # the same in both
    one = RidgePath.from_features(scaler(x), TrainingSet(x, y, weights, np.arange(30)))
    other = RidgePath.from_features(scaler(twice[0]), TrainingSet.of(*twice))
    coefficients = scaler(x).T @ one.dual(1.0)
    assert coefficients == pytest.approx(scaler(twice[0]).T @ other.dual(1.0))


def test_a_feature_that_never_varied_is_ignored():
    x, y = linear_data()
    x[:, 2] = 7.0
    head = fit_head("ridge", x, y)
    moved = x.copy()
    moved[:, 2] = -100.0
    assert head.predict(moved) == pytest.approx(head.predict(x))


def test_blocks_get_equal_variance():
    rng = np.random.default_rng(0)
    x = np.hstack([rng.normal(size=(500, 40)), 50 * rng.normal(size=(500, 10))])
    scaled = Scaler.fit(x, blocks=(40, 10))(x)
    assert scaled[:, :40].var(axis=0).sum() == pytest.approx(scaled[:, 40:].var(axis=0).sum())
    with pytest.raises(ModelError, match="do not add up"):
        Scaler.fit(x, blocks=(40, 11))


# --- kernel ----------------------------------------------------------------------------------


def test_kernel_learns_a_curve_that_ridge_cannot():
    x, y = curved_data()
    new, truth = curved_data(noise=0.0, seed=7)
    assert np.abs(fit_head("kernel", x, y).predict(new) - truth).mean() < 0.15
    assert np.abs(fit_head("ridge", x, y).predict(new) - truth).mean() > 0.3


def test_kernel_with_landmarks_comes_close_to_the_exact_one():
    x, y = curved_data(n=300)
    new = curved_data(n=100, seed=8)[0]
    exact, rough = fit_head("kernel", x, y), fit_kernel(TrainingSet.of(x, y), landmarks=80)
    assert len(rough.coefficients) == 80
    assert np.abs(exact.predict(new) - rough.predict(new)).mean() < 0.1


def test_the_kernel_is_rational_quadratic():
    x, y = curved_data(n=20)
    head = fit_head("kernel", x, y)
    new = curved_data(n=5, seed=3)[0]
    kernel = RationalQuadratic(head.length, alpha=1.0)
    expected = kernel(head.scaler(new), head.landmarks) @ head.coefficients + head.bias
    assert head.predict(new) == pytest.approx(expected)
    many = np.tile(new, (1000, 1))  # in batches
    assert head.predict(many) == pytest.approx(np.tile(expected, 1000))


@pytest.mark.parametrize("method", METHODS)
def test_intervals_cover_what_they_promise(method):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(700, 12))
    y = x[:, 0] + np.sin(2 * x[:, 1]) + rng.normal(0, 0.7, 700)
    head = fit_head(method, x[:300], y[:300])
    for row in interval_coverage(y[300:], head.predict(x[300:]), head.predict_std(x[300:])):
        assert row["coverage"] == pytest.approx(row["level"], abs=0.06)


# --- priors and ensembles --------------------------------------------------------------------


def test_a_prior_helps_where_there_are_few_ratings():
    rng = np.random.default_rng(0)
    generic = LinearHead(rng.normal(size=50), 0.0)
    x = rng.normal(size=(420, 50))
    own = np.zeros(50)
    own[:3] = 2.0
    y = 0.5 * generic.predict(x) + x @ own + 3 + rng.normal(0, 0.5, 420)
    personal = fit_head("ridge", x[:20], y[:20])
    corrected = fit_head("ridge", x[:20], y[:20], prior=generic)
    assert isinstance(corrected, ResidualHead)
    accuracies = [
        pairwise_accuracy(y[20:], head.predict(x[20:])) for head in (corrected, personal, generic)
    ]
    assert accuracies[0] == max(accuracies)


def test_the_share_of_a_prior_is_that_of_a_regression_in_standard_deviations():
    """Four ratings with a correlation of 0.6, so of precision 4 / 0.64, on top of 0.5 ± 0.2."""
    prior = LinearHead(np.array([2.0]), 1.0)
    x, y = np.array([[1.0], [1.0], [-1.0], [-1.0]]), np.array([7.0, -1.0, 1.0, -7.0])
    assert np.corrcoef(x[:, 0], y)[0, 1] == pytest.approx(0.6)
    slope = (6.25 * 0.6 + 25 * 0.5) / (6.25 + 25)
    expected = slope * 5 / 2  # the deviations are 5 and 2
    assert fit_head("kernel", x, y, prior=prior).share == pytest.approx(expected)


def test_the_penalty_of_a_correction_has_a_prior():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(12, 30)), rng.normal(size=12)  # nothing can be learnt, but by luck
    path = RidgePath.from_features(x, TrainingSet.of(x, y))
    assert path.best_alpha() == pytest.approx(ALPHAS[0] * path.scale)
    cost = []
    for alpha in ALPHAS * path.scale:
        models = [Ridge(alpha=alpha).fit(np.delete(x, i, 0), np.delete(y, i)) for i in range(12)]
        left_out = [y[i] - model.predict(x[i : i + 1])[0] for i, model in enumerate(models)]
        cost.append(12 / 2 * np.log(np.mean(np.square(left_out))))
    cost += np.log(ALPHAS / 0.3) ** 2 / 2
    expected = ALPHAS[np.argmin(cost)]
    assert expected > 0.1
    assert path.best_alpha(correction=True) == pytest.approx(expected * path.scale)


def test_a_prior_that_says_the_opposite_is_ignored_and_one_that_says_all_is_kept():
    x, y = linear_data()
    opposite = LinearHead(-fit_head("ridge", x, y).weight, 0.0)
    assert fit_head("ridge", x, y, prior=opposite).share == 0
    prior = LinearHead(np.ones(6), 1.0)
    head = fit_head("ridge", x, prior.predict(x), prior=prior)
    assert head.predict(x) == pytest.approx(prior.predict(x))


def test_an_ensemble_is_the_mean_and_unsure_where_members_disagree():
    a, b = LinearHead(np.array([1.0, 0.0]), 0.0), LinearHead(np.array([0.0, 1.0]), 2.0)
    both = EnsembleHead((a, b), residual_std=0.5)
    assert both.predict([[4.0, 0.0]]) == pytest.approx([3.0])
    assert both.predict_std([[4.0, 0.0]]) == pytest.approx([np.hypot(1.0, 0.5)])
    assert both.predict_std([[2.0, 0.0]]) == pytest.approx([0.5])


# --- mlp -------------------------------------------------------------------------------------


def small_mlp(relu):
    rng = np.random.default_rng(0)
    sizes = (5, 4, 3, 1)
    return MlpHead(
        tuple(rng.normal(size=(o, i)) for i, o in pairwise(sizes)),
        tuple(rng.normal(size=o) for o in sizes[1:]),
        relu,
        (0.2,),
    )


@pytest.mark.parametrize("relu", [False, True])
def test_mlp_equals_torch(relu):
    import torch

    head = small_mlp(relu)
    layers = []
    for weight, bias in zip(head.weights, head.biases, strict=True):
        layer = torch.nn.Linear(weight.shape[1], weight.shape[0], dtype=torch.float64)
        layer.load_state_dict({"weight": torch.tensor(weight), "bias": torch.tensor(bias)})
        layers += [layer, torch.nn.ReLU()] if relu else [layer]
    network = torch.nn.Sequential(*(layers[:-1] if relu else layers))
    x = np.random.default_rng(1).normal(size=(7, 5))
    expected = network(torch.tensor(x)).detach().numpy()[:, 0]
    assert head.predict(x) == pytest.approx(expected)


def test_rescaling_is_folded_into_the_last_layer():
    head = small_mlp(relu=True)
    x = np.random.default_rng(1).normal(size=(7, 5))
    expected = (head.predict(x) - 3) / 2
    assert head.rescaled(3, 2).predict(x) == pytest.approx(expected)


# --- what all heads share --------------------------------------------------------------------


def all_heads():
    x, y = linear_data(n=40)
    generic = fit_head("ridge", x, y[::-1])
    mlp = MlpHead((np.ones((3, 6), np.float32), np.ones((1, 3))), (np.zeros(3), np.ones(1)), True)
    heads = [fit_head(method, x, y) for method in METHODS]
    heads += [
        fit_kernel(TrainingSet.of(x, y), landmarks=15),
        fit_head("kernel", x, y, prior=generic),
        EnsembleHead((heads[0], mlp), 0.4),
        mlp,
        LinearHead(np.ones(6), 2.0),
    ]
    return heads


HEADS = pytest.mark.parametrize("head", all_heads(), ids=lambda head: head.kind)


def entry(head, **config):
    """What a model file says of a head."""
    return json.loads(json.dumps({"kind": head.kind, "config": head.store().config | config}))


@HEADS
def test_arrays_and_config_restore_the_head(head):
    again = restore(entry(head), head.store().arrays)
    x = linear_data(n=9, seed=4)[0]
    assert again.predict(x) == pytest.approx(head.predict(x), abs=1e-4)
    before, after = head.predict_std(x), again.predict_std(x)
    assert (before is None) == (after is None)
    if before is not None:
        assert after == pytest.approx(before, rel=1e-3)


@HEADS
def test_wrong_features_are_refused_in_one_line(head):
    with pytest.raises(ModelError, match="made for 6 features") as caught:
        head.predict(np.zeros((3, 7)))
    assert "\n" not in str(caught.value)
    with pytest.raises(ModelError, match="image number 1"):
        head.predict(np.array([[0.0] * 6, [np.nan] * 6]))
    assert head.predict(np.zeros((0, 6))).shape == (0,)


@HEADS
def test_missing_and_impossible_tensors_and_values_are_refused(head):
    arrays = head.store().arrays
    for name, array in arrays.items():
        wrong = [np.zeros((2, 3, 4))]
        wrong += [np.full(array.shape, bad) for bad in (np.nan, 1e31) if array.size]
        for damaged in (arrays | {name: bad} for bad in wrong):
            with pytest.raises(ModelError):
                restore(entry(head), damaged)
        with pytest.raises(ModelError):
            restore(entry(head), {k: a for k, a in arrays.items() if k != name})
    for name in head.store().config.keys() - {"penalty", "relu", "fitted_as"}:
        for bad in (["?"], 1e308, float("nan"), -(10**400)):
            with pytest.raises(ModelError):
                restore(entry(head, **{name: bad}), arrays)


def test_unknown_kinds_are_refused():
    with pytest.raises(ModelError, match="kind 'forest'"):
        restore({"kind": "forest", "config": {}}, {})


@pytest.mark.parametrize(
    ("x", "y"),
    [(np.ones((1, 3)), [1.0]), (np.ones((4, 3)), [2.0] * 4)],
    ids=["one image", "equal scores"],
)
def test_nothing_to_learn_is_said(x, y):
    with pytest.raises(ModelError):
        TrainingSet.of(x, y)


@pytest.mark.parametrize("method", METHODS)
def test_constant_features_give_the_mean(method):
    head = fit_head(method, np.ones((6, 3)), [1.0, 2.0, 3.0, 1.0, 2.0, 3.0])
    assert head.predict(np.ones((2, 3))) == pytest.approx([2.0, 2.0])
