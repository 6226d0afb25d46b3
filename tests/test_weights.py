"""Tests of weights against known null laws."""

import numpy as np
import pytest
from scipy import stats
from scipy.integrate import quad

from rbmkit.symmetry import (
    divergence,
    neighbour_correlation,
    permutation_test,
    sign_test,
)


def test_divergence_of_known_laws():
    """Two normal laws a distance d apart; fine bins lose little of the divergence."""
    rng = np.random.default_rng(0)
    d = 0.7
    result = divergence(rng.normal(size=(500, 800)), rng.normal(d, 1, size=(500, 800)), rng=1)

    def integrand(x):
        p = stats.norm.pdf(x)
        q = stats.norm.pdf(x, d)
        return (p * np.log(2 * p / (p + q)) + q * np.log(2 * q / (p + q))) / 2

    assert result.js == pytest.approx(quad(integrand, -8, 8)[0], rel=0.02)
    assert result.kl == pytest.approx(d**2 / 2, rel=0.03)
    assert 0 < result.js_error < 0.02 * result.js
    assert 0 < result.kl_error < 0.02 * result.kl


def test_divergence_of_one_law_has_its_null_mean():
    rng = np.random.default_rng(0)
    values = [
        divergence(rng.normal(size=(40, 50)), rng.normal(size=(40, 50)), bins=20, rng=2).js
        for _ in range(200)
    ]
    assert np.mean(values) == pytest.approx(19 / (4 * 2000), abs=4 * np.std(values) / np.sqrt(200))


def test_bootstrap_error_is_the_scatter_over_samples():
    rng = np.random.default_rng(0)
    results = [
        divergence(rng.normal(size=(80, 50)), rng.normal(0.8, 1, (80, 50)), bins=20, rng=2)
        for _ in range(100)
    ]
    assert np.mean([r.js_error for r in results]) == pytest.approx(
        np.std([r.js for r in results]), rel=0.25
    )


def test_divergence_bounds_and_errors():
    W = np.random.default_rng(0).normal(size=(30, 20))
    assert divergence(W, W, rng=0).js == 0
    far = divergence(W, W + 100, rng=0)
    assert far.js == pytest.approx(np.log(2))
    assert far.kl == np.inf
    with pytest.raises(ValueError, match="other must have shape"):
        divergence(W, W.T, rng=0)


def test_divergence_has_no_scale_and_no_error_without_a_bootstrap():
    rng = np.random.default_rng(0)
    W = rng.normal(size=(30, 20))
    other = rng.standard_t(3, size=(30, 20))
    plain, large = (divergence(f * W, f * other, bootstrap=0, rng=0) for f in (1, 1000))
    assert plain.js == pytest.approx(large.js)
    assert plain.js == divergence(W, other, rng=0).js > 0
    assert np.isnan([plain.js_error, plain.kl_error]).all()


@pytest.mark.parametrize("test", [sign_test, permutation_test])
def test_nothing_to_test_in_zero_weights(test):
    with pytest.raises(ValueError, match="must not be zero"):
        test(np.zeros((4, 3)), rng=0)


@pytest.mark.parametrize("test", [sign_test, permutation_test])
def test_p_values_are_uniform_under_the_null(test):
    rng = np.random.default_rng(3)
    p = np.array([test(rng.normal(size=(12, 15)), repeats=19, rng=rng).p_value for _ in range(300)])
    assert set(np.round(p * 20)) <= set(range(1, 21))
    assert abs((p <= 0.25).mean() - 0.25) < 4 * np.sqrt(0.25 * 0.75 / 300)


def test_sign_test_sees_a_common_direction_and_not_a_random_one():
    rng = np.random.default_rng(0)
    noise = rng.normal(size=(100, 60))
    direction = rng.normal(size=(100, 1))
    common = sign_test(noise + direction, repeats=199, rng=1)
    assert common.p_value == 1 / 200
    assert common.null_mean == pytest.approx(1, abs=0.2)
    either_sign = sign_test(noise + direction * rng.choice([-1, 1], 60), repeats=199, rng=1)
    assert either_sign.p_value > 0.01
    assert abs(either_sign.deviation) < 4


def test_permutation_test_sees_correlated_pixels_and_not_heavy_tails():
    rng = np.random.default_rng(0)
    heavy = rng.standard_t(3, size=(100, 60))
    assert permutation_test(heavy, rng=1).p_value > 0.05
    assert (
        permutation_test(
            heavy + 0.5 * rng.normal(size=(100, 1)) * rng.normal(size=60), rng=1
        ).p_value
        == 1 / 20
    )


def test_neighbour_correlation():
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 2, (500, 784))
    values = neighbour_correlation(noise)
    assert abs(values.mean() + 1 / 783) < 4 * values.std() / np.sqrt(500)
    board = np.indices((28, 28)).sum(axis=0) % 2
    half = np.repeat([0, 1], 392)
    np.testing.assert_allclose(
        neighbour_correlation([board.ravel(), half]), [-1, 1 - 28 / (2 * 27 * 28) * 2]
    )
    assert np.isnan(neighbour_correlation(np.ones((1, 784)))[0])
