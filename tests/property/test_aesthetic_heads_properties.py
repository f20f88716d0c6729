"""What must hold of every closed-form head, whatever the data."""

import numpy as np
import pytest
from hypothesis import given as for_all
from hypothesis import settings
from hypothesis import strategies as st

from src.aesthetic.heads import fit_head

METHODS = ("ridge", "kernel")


def rated(seed, n=24, d=4):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, d)) * rng.uniform(0.1, 10, d)
    return x, np.sin(x[:, 0]) + x @ rng.normal(size=d) + rng.normal(0, 0.3, n)


SEEDS = st.integers(0, 10_000)


@pytest.mark.parametrize("method", METHODS)
@settings(max_examples=15)
@for_all(SEEDS, st.floats(0.01, 100), st.floats(-50, 50))
def test_scores_in_other_units_give_predictions_in_these_units(method, seed, scale, shift):
    x, y = rated(seed)
    plain = fit_head(method, x, y)
    other = fit_head(method, x, scale * y + shift)
    new = rated(seed + 1)[0]
    tolerance = 1e-5 * scale * np.ptp(y)
    assert other.predict(new) == pytest.approx(scale * plain.predict(new) + shift, abs=tolerance)
    assert other.predict_std(new) == pytest.approx(scale * plain.predict_std(new), rel=1e-4)


@pytest.mark.parametrize("method", METHODS)
@settings(max_examples=15)
@for_all(SEEDS)
def test_the_order_of_the_images_does_not_matter(method, seed):
    x, y = rated(seed)
    order = np.random.default_rng(seed).permutation(len(y))
    new = rated(seed + 1)[0]
    one, other = fit_head(method, x, y), fit_head(method, x[order], y[order])
    assert one.predict(new) == pytest.approx(other.predict(new), abs=1e-5 * np.ptp(y))


@settings(max_examples=25)
@for_all(SEEDS, st.floats(0.001, 1000))
def test_ridge_does_not_care_about_the_units_of_features(seed, scale):
    x, y = rated(seed)
    new = rated(seed + 1)[0]
    units = np.array([scale, 1.0, 1 / scale, 3.0])
    plain, other = fit_head("ridge", x, y), fit_head("ridge", x * units, y)
    assert other.predict(new * units) == pytest.approx(plain.predict(new), abs=1e-6 * np.ptp(y))


@pytest.mark.parametrize("method", METHODS)
@settings(max_examples=15)
@for_all(SEEDS)
def test_deviations_are_positive_and_finite(method, seed):
    x, y = rated(seed)
    std = fit_head(method, x, y).predict_std(x)
    assert (std > 0).all()
    assert np.isfinite(std).all()
