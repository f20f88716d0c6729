"""Heads against independent answers: scikit-learn, explicit refits, known functions."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, DotProduct, RationalQuadratic
from sklearn.linear_model import Ridge, RidgeCV

from src.aesthetic.heads import (
    EnsembleHead,
    KernelHead,
    LinearHead,
    MlpHead,
    ResidualHead,
    fit_head,
    restore,
)
from src.aesthetic.heads.combined import fit_residual
from src.aesthetic.heads.gp import fit_gp
from src.aesthetic.heads.kernel import fit_kernel
from src.aesthetic.heads.nystroem import Kernel
from src.aesthetic.heads.ridge import fit_ridge
from src.aesthetic.heads.ridge_path import Smoother
from src.aesthetic.heads.scaling import Scaler
from src.errors import ModelError
from src.evaluation.rank_metrics import interval_coverage, pairwise_accuracy

METHODS = ("gp", "kernel", "ridge")


def linear_data(n=80, d=6, noise=0.3, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, d)) * np.linspace(0.5, 3, d) + 1
    return x, x @ np.arange(1, d + 1) / d + rng.normal(0, noise, n)


def curved_data(n=120, noise=0.1, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.uniform(-2, 2, size=(n, 2))
    return x, np.sin(2 * x[:, 0]) * np.cos(x[:, 1]) + rng.normal(0, noise, n)


# --- the smoother, on which ridge, kernel and gp stand ---------------------------------------


@pytest.mark.parametrize("n_features", [4, 40], ids=["few features", "more features than images"])
@pytest.mark.parametrize("weighted", [False, True])
def test_leave_one_out_residuals_equal_refitting_without_each_image(n_features, weighted):
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(25, n_features)), rng.normal(size=25)
    w = rng.uniform(0.2, 3, 25) if weighted else np.ones(25)
    alpha = 2.5
    refitted = []
    for i in range(25):
        rest = np.arange(25) != i
        model = Ridge(alpha=alpha).fit(x[rest], y[rest], sample_weight=w[rest])
        refitted.append(y[i] - model.predict(x[[i]])[0])
    smoother = Smoother.from_features(x, y, w)
    assert smoother.loo_residuals(alpha) == pytest.approx(np.array(refitted))


def test_gcv_is_the_textbook_formula():
    rng = np.random.default_rng(2)
    x, y = rng.normal(size=(30, 5)), rng.normal(size=30)
    centred = x - x.mean(axis=0)
    alpha = 3.0
    hat = centred @ np.linalg.solve(centred.T @ centred + alpha * np.eye(5), centred.T) + 1 / 30
    expected = 30 * np.sum((y - hat @ y) ** 2) / np.trace(np.eye(30) - hat) ** 2
    smoother = Smoother.from_features(x, y, np.ones(30))
    assert smoother.gcv(np.array([alpha]))[0] == pytest.approx(expected)


def test_gram_and_features_give_the_same_fit():
    rng = np.random.default_rng(3)
    x, y, w = rng.normal(size=(20, 3)), rng.normal(size=20), rng.uniform(0.5, 2, 20)
    by_gram = Smoother.from_gram(x @ x.T, y, w)
    by_features = Smoother.from_features(x, y, w)
    assert by_gram.dual(0.7) == pytest.approx(by_features.dual(0.7))
    assert by_gram.dual(0.7).sum() == pytest.approx(0, abs=1e-12)


def test_restricted_likelihood_is_that_of_the_differences():
    # REML is the Gaussian likelihood of contrasts that cancel the mean.
    rng = np.random.default_rng(4)
    x, y = rng.normal(size=(12, 3)), rng.normal(size=12)
    gram, alphas = x @ x.T, np.array([0.3, 1.0, 4.0])
    contrasts = np.linalg.svd(np.eye(12) - 1 / 12)[0][:, :11]

    def reference(alpha):
        covariance = contrasts.T @ (gram + alpha * np.eye(12)) @ contrasts
        projected = contrasts.T @ y
        scale = projected @ np.linalg.solve(covariance, projected)
        return -0.5 * (11 * np.log(scale) + np.linalg.slogdet(covariance)[1])

    expected = np.array([reference(alpha) for alpha in alphas])
    measured = Smoother.from_gram(gram, y, np.ones(12)).restricted_likelihood(alphas)
    assert np.diff(measured) == pytest.approx(np.diff(expected))


# --- ridge -----------------------------------------------------------------------------------


@pytest.mark.parametrize("n_features", [6, 150])
def test_ridge_equals_scikit_learn_at_the_chosen_penalty(n_features):
    x, y = linear_data(n=60, d=n_features)
    head = fit_ridge(x, y)
    scaler = Scaler.fit(x)
    smoother = Smoother.from_features(scaler(x), y, np.ones(60))
    alphas = smoother.alphas()
    reference = RidgeCV(alphas=alphas).fit(scaler(x), y)  # leave-one-out too
    new = linear_data(n=10, d=n_features, seed=9)[0]
    assert head.predict(new) == pytest.approx(reference.predict(scaler(new)), rel=1e-6)


def test_ridge_by_gcv_recovers_a_linear_taste():
    x, y = linear_data(n=200, noise=0.05)
    new, truth = linear_data(n=100, noise=0.0, seed=5)
    assert fit_ridge(x, y, choose_by="gcv").predict(new) == pytest.approx(truth, abs=0.2)


def test_weights_repeat_images():
    x, y = linear_data(n=30)
    twice = np.concatenate([x, x[:10]]), np.concatenate([y, y[:10]])
    weights = np.where(np.arange(30) < 10, 2.0, 1.0)
    scaler = Scaler.fit(x)  # the same in both
    one = Smoother.from_features(scaler(x), y, weights)
    other = Smoother.from_features(scaler(twice[0]), twice[1], np.ones(40))
    coefficients = scaler(x).T @ one.dual(1.0)
    assert coefficients == pytest.approx(scaler(twice[0]).T @ other.dual(1.0))


def test_a_feature_that_never_varied_is_ignored():
    x, y = linear_data()
    x[:, 2] = 7.0
    head = fit_ridge(x, y)
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


# --- kernel and gp ---------------------------------------------------------------------------


def test_kernel_learns_a_curve_that_ridge_cannot():
    x, y = curved_data()
    new, truth = curved_data(noise=0.0, seed=7)
    assert np.abs(fit_kernel(x, y).predict(new) - truth).mean() < 0.15
    assert np.abs(fit_ridge(x, y).predict(new) - truth).mean() > 0.3


def test_kernel_with_landmarks_comes_close_to_the_exact_one():
    x, y = curved_data(n=300)
    new = curved_data(n=100, seed=8)[0]
    exact, rough = fit_kernel(x, y), fit_kernel(x, y, landmarks=80)
    assert len(rough.coefficients) == 80
    assert np.abs(exact.predict(new) - rough.predict(new)).mean() < 0.1


@pytest.mark.parametrize("share", [0.0, 0.4])
def test_gp_equals_scikit_learn_with_the_same_kernel(share):
    x, y = curved_data(n=40)
    head = fit_gp(x, y)
    # Put another linear share into the fitted kernel and solve again, by our way and by theirs.
    from src.aesthetic.heads.gp import _posterior
    from src.aesthetic.heads.nystroem import LandmarkKernel

    scaler = head.similarity.scaler
    z = scaler(x).astype(np.float32).astype(np.float64)
    kernel = replace(head.similarity.kernel, linear=share)
    ours = _posterior(LandmarkKernel(scaler, kernel, z), z, y, np.ones(40))
    alpha = ours.noise / ours.signal
    theirs = GaussianProcessRegressor(
        ConstantKernel(1 - share) * RationalQuadratic(kernel.length, alpha=1.0)
        + ConstantKernel(share / kernel.size + 1e-30) * DotProduct(0.0, sigma_0_bounds="fixed")
        + ConstantKernel(1e6),  # stands in for the free mean
        alpha=alpha,
        optimizer=None,
    ).fit(z, y)
    new = curved_data(n=15, seed=3)[0]
    mean, std = theirs.predict(scaler(new), return_std=True)
    assert ours.predict(new) == pytest.approx(mean, abs=1e-3)
    variance = ours.signal * (std**2 + alpha)
    assert ours.predict_std(new) ** 2 == pytest.approx(variance, rel=1e-2)


def test_the_kernel_equals_scikit_learn():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(5, 3)), rng.normal(size=(4, 3))
    theirs = RationalQuadratic(1.7, alpha=1.0)(a, b)
    assert Kernel(1.7, 0.0, 1.0)(a, b) == pytest.approx(theirs)
    mixed = Kernel(1.7, 0.3, 2.0)
    assert mixed(a, b) == pytest.approx(0.7 * theirs + 0.3 * (a @ b.T) / 2)
    assert mixed.diagonal(a) == pytest.approx(np.diag(mixed(a, a)))


def test_gp_is_less_sure_far_from_what_it_has_seen():
    x, y = curved_data()
    head = fit_gp(x, y)
    near, far = head.predict_std(x[:5]), head.predict_std(x[:5] + 50)
    assert (far > 2 * near).all()


@pytest.mark.parametrize("method", METHODS)
def test_intervals_cover_what_they_promise(method):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(700, 12))
    y = x[:, 0] + np.sin(2 * x[:, 1]) + rng.normal(0, 0.7, 700)
    head = fit_head(method, x[:300], y[:300])
    for row in interval_coverage(y[300:], head.predict(x[300:]), head.predict_std(x[300:])):
        assert row["coverage"] == pytest.approx(row["level"], abs=0.06)


def test_gp_finds_the_noise():
    x, y = curved_data(n=300, noise=0.3)
    assert np.sqrt(fit_gp(x, y).noise) == pytest.approx(0.3, rel=0.15)


# --- priors and ensembles --------------------------------------------------------------------


def test_a_prior_helps_where_there_are_few_ratings():
    rng = np.random.default_rng(0)
    generic = LinearHead(rng.normal(size=50), 0.0)
    x = rng.normal(size=(420, 50))
    own = np.zeros(50)
    own[:3] = 2.0
    y = 0.5 * generic.predict(x) + x @ own + 3 + rng.normal(0, 0.5, 420)
    personal = fit_ridge(x[:20], y[:20])
    corrected = fit_head("ridge", x[:20], y[:20], prior=generic)
    assert isinstance(corrected, ResidualHead)
    accuracies = [
        pairwise_accuracy(y[20:], head.predict(x[20:])) for head in (corrected, personal, generic)
    ]
    assert accuracies[0] == max(accuracies)


def test_a_prior_that_says_the_opposite_is_ignored():
    x, y = linear_data()
    good = fit_ridge(x, y)
    opposite = LinearHead(-good.weight, 0.0)
    assert fit_residual(opposite, x, y, fit_ridge).share == 0


def test_a_prior_that_explains_everything_leaves_nothing():
    x, _ = linear_data()
    prior = LinearHead(np.ones(6), 1.0)
    head = fit_residual(prior, x, prior.predict(x), fit_ridge)
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


def test_a_network_without_activations_collapses_to_one_layer():
    head = small_mlp(relu=False)
    x = np.random.default_rng(1).normal(size=(7, 5))
    assert head.collapsed().predict(x) == pytest.approx(head.predict(x))
    with pytest.raises(ValueError, match="not linear"):
        small_mlp(relu=True).collapsed()


def test_rescaling_is_folded_into_the_last_layer():
    head = small_mlp(relu=True)
    x = np.random.default_rng(1).normal(size=(7, 5))
    expected = (head.predict(x) - 3) / 2
    assert head.rescaled(3, 2).predict(x) == pytest.approx(expected)


# --- what all heads share --------------------------------------------------------------------


def all_heads():
    x, y = linear_data(n=40)
    generic = fit_ridge(x, y[::-1])
    mlp = MlpHead((np.ones((3, 6), np.float32), np.ones((1, 3))), (np.zeros(3), np.ones(1)), True)
    heads = [fit_head(method, x, y) for method in METHODS]
    heads += [
        fit_kernel(x, y, landmarks=15),
        fit_gp(x, y, landmarks=15),
        fit_head("gp", x, y, prior=generic),
        EnsembleHead((heads[0], mlp), 0.4),
        mlp,
        LinearHead(np.ones(6), 2.0),
    ]
    return heads


@pytest.mark.parametrize("head", all_heads(), ids=lambda head: head.kind)
def test_arrays_and_config_restore_the_head(head):
    import json

    config = json.loads(json.dumps(head.config()))
    again = restore(head.kind, head.to_arrays(), config)
    x = linear_data(n=9, seed=4)[0]
    assert again.predict(x) == pytest.approx(head.predict(x), abs=1e-4)
    before, after = head.predict_std(x), again.predict_std(x)
    assert (before is None) == (after is None)
    if before is not None:
        assert after == pytest.approx(before, rel=1e-3)


@pytest.mark.parametrize("head", all_heads(), ids=lambda head: head.kind)
def test_wrong_features_are_refused_in_one_line(head):
    with pytest.raises(ModelError, match="made for 6 features") as caught:
        head.predict(np.zeros((3, 7)))
    assert "\n" not in str(caught.value)
    with pytest.raises(ModelError, match="image number 1"):
        head.predict(np.array([[0.0] * 6, [np.nan] * 6]))
    assert head.predict(np.zeros((0, 6))).shape == (0,)


@pytest.mark.parametrize("head", all_heads(), ids=lambda head: head.kind)
def test_a_missing_or_misshapen_tensor_is_refused(head):
    arrays = head.to_arrays()
    for name in arrays:
        with pytest.raises(ModelError):
            restore(head.kind, {k: a for k, a in arrays.items() if k != name}, head.config())
        with pytest.raises(ModelError):
            restore(head.kind, arrays | {name: np.zeros((2, 3, 4))}, head.config())
        if arrays[name].size:
            broken = np.full(arrays[name].shape, np.nan)
            with pytest.raises(ModelError):
                restore(head.kind, arrays | {name: broken}, head.config())


def test_unknown_kinds_and_empty_configurations_are_refused():
    with pytest.raises(ModelError, match="unknown kind 'forest'"):
        restore("forest", {}, {})
    for head in all_heads():
        if head.config().keys() - {"residual_std", "penalty"}:
            with pytest.raises(ModelError):
                restore(head.kind, head.to_arrays(), {})


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    ("x", "y"),
    [(np.ones((1, 3)), [1.0]), (np.ones((4, 3)), [2.0] * 4), (np.ones((4, 3)), [1.0, 2.0])],
    ids=["one image", "equal scores", "lengths differ"],
)
def test_nothing_to_learn_is_said(method, x, y):
    with pytest.raises(ModelError):
        fit_head(method, x, y)


@pytest.mark.parametrize("method", METHODS)
def test_constant_features_give_the_mean(method):
    head = fit_head(method, np.ones((6, 3)), [1.0, 2.0, 3.0, 1.0, 2.0, 3.0])
    assert head.predict(np.ones((2, 3))) == pytest.approx([2.0, 2.0])


@pytest.mark.parametrize("method", METHODS)
def test_the_same_seed_gives_the_same_head(method):
    x, y = curved_data(n=60)
    one, other = (fit_head(method, x, y, seed=3).predict(x) for _ in range(2))
    assert (one == other).all()


def test_kernel_head_predicts_many_images_in_batches():
    x, y = curved_data(n=30)
    head = fit_kernel(x, y)
    assert isinstance(head, KernelHead)
    many = np.tile(x, (400, 1))
    assert head.predict(many)[-30:] == pytest.approx(head.predict(x))
