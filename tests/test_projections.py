"""The law of one projection against enumeration and numerical integration."""

import itertools

import numpy as np
import pytest
from scipy.optimize import brentq
from scipy.special import logsumexp

from rbmkit import RBM
from rbmkit.projections import haar_kurtosis, kurtosis, log_density
from rbmkit.reciprocal import modes


def states(n):
    return np.array(list(itertools.product((0, 1), repeat=n)), dtype=np.uint8)


def unit_vector(n, seed):
    vector = np.random.default_rng(seed).normal(size=n)
    return vector / np.linalg.norm(vector)


def random_rbm(N, M, seed=0, scale=1.0):
    rng = np.random.default_rng(seed)
    return RBM(W=rng.normal(0, scale, (N, M)), a=rng.normal(size=N), b=rng.normal(size=M))


def test_mean_and_covariance_of_random_states():
    """Eqs. (47), (52): exactly 1/4 identity for x and y, hence for u and w; by enumeration."""
    m = modes(random_rbm(6, 4))
    pairs = [np.array(x) for x in zip(*itertools.product(states(6), states(4)), strict=True)]
    x, y = m.x(pairs[0]), m.y(pairs[1])
    np.testing.assert_allclose(x.mean(axis=0), m.mu_x, atol=1e-13)
    np.testing.assert_allclose(y.mean(axis=0), m.mu_y, atol=1e-13)
    for z in (np.hstack([x, y]), np.hstack(m.to_uw(x, y))):
        np.testing.assert_allclose(np.cov(z.T, bias=True), np.eye(8) / 4, atol=1e-12)


def test_kurtosis_by_enumeration():
    vectors = np.column_stack([unit_vector(10, seed) for seed in range(3)]) * [1, 2, 0.1]
    z = states(10) @ vectors
    z -= z.mean(axis=0)
    by_hand = (z**4).mean(axis=0) / (z**2).mean(axis=0) ** 2
    np.testing.assert_allclose(kurtosis(vectors), by_hand, rtol=1e-12)


def test_kurtosis_of_one_unit_is_one():
    assert kurtosis([[1.0], [0.0]]) == pytest.approx(1)  # two equal atoms
    assert haar_kurtosis(1).mean == pytest.approx(1)
    assert haar_kurtosis(1).std == 0


@pytest.mark.parametrize("M", [2, 5, 40])
def test_haar_average_of_the_kurtosis(M):
    directions = np.random.default_rng(5).normal(size=(M, 40_000))
    sample, law = kurtosis(directions), haar_kurtosis(M)
    assert sample.mean() == pytest.approx(law.mean, abs=4 * law.std / np.sqrt(40_000))
    assert sample.std() == pytest.approx(law.std, rel=0.05)


def enumerated_log_density(vector, x, width):
    atoms = states(len(vector)) @ vector
    normal = -(((x[:, None] - atoms) / width) ** 2) / 2 - np.log(width * np.sqrt(2 * np.pi))
    return logsumexp(normal, axis=1) - len(vector) * np.log(2)


@pytest.mark.parametrize("seed", [0, 1])
def test_log_density_by_enumeration(seed):
    vector, width = unit_vector(12, seed), 0.3
    x = vector.sum() / 2 + np.linspace(-4, 4, 41)
    expected = enumerated_log_density(vector, x, width)
    found = log_density(vector, x, width=width)
    centre = expected > expected.max() + np.log(2e-6)
    assert centre.sum() > 15
    np.testing.assert_allclose(found[centre], expected[centre], atol=1e-8)
    # the tails, where only a few of 12 units can still move
    np.testing.assert_allclose(found, expected, atol=0.02)


def log_density_by_contour(vector, x):
    """Fourier inversion along the line through the saddle point: a full integral, accurate in the
    tails too."""
    c = np.abs(vector) / 2
    z = abs(x - vector.sum() / 2)
    t0 = brentq(lambda t: c @ np.tanh(t * c) - z, 0, 1e5)
    t = np.linspace(-1, 1, 801) * 12 / np.sqrt(c**2 @ np.cosh(t0 * c) ** -2)
    log_phi = np.log(np.cosh(np.outer(t0 + 1j * t, c))).sum(axis=1)
    peak = np.log(np.cosh(t0 * c)).sum()
    integral = np.trapezoid(np.exp(log_phi - peak - 1j * t * z).real, t)
    return peak - t0 * z + np.log(integral / (2 * np.pi))


def test_log_density_from_the_centre_to_far_tails():
    vector = unit_vector(784, 3)
    x = vector.sum() / 2 + np.array([0, 0.5, -1, 1.5, 2, -2.5, 2.7, 3, -4, 6, 8])
    expected = [log_density_by_contour(vector, value) for value in x]
    assert expected[-1] < -150
    np.testing.assert_allclose(log_density(vector, x), expected, atol=3e-6)
    np.testing.assert_allclose(log_density(vector, x[:5]), expected[:5], atol=1e-11)


def test_log_density_is_normalised_symmetric_and_compact():
    vector = unit_vector(200, 4)
    mu = vector.sum() / 2
    edge = np.abs(vector).sum() / 2
    z = np.linspace(-edge, edge, 2001)
    density = np.exp(log_density(vector, mu + z))
    assert density.sum() * (z[1] - z[0]) == pytest.approx(1, abs=1e-6)
    assert (density * z**2).sum() * (z[1] - z[0]) == pytest.approx(1 / 4, abs=1e-6)
    right, left = (log_density(vector, mu + sign * z[5:900]) for sign in (1, -1))
    np.testing.assert_allclose(right, left, atol=1e-8)
    near = mu + edge * np.array([0.9, 0.99, 0.9999, 1 - 1e-8])
    assert np.all(np.diff(log_density(vector, near)) < 0)
    outside = mu + edge * np.array([1.0, -1.0, 1.5])
    np.testing.assert_array_equal(log_density(vector, outside), -np.inf)


def test_log_density_of_u_and_w():
    """u = (x + y) / sqrt 2 up to a shift: the marginal of the joined vector; its excess kurtosis is
    (g_x + g_y) / 4."""
    x_mode = unit_vector(50, 1)
    y_mode = unit_vector(30, 2)
    joined = np.concatenate([x_mode, y_mode]) / np.sqrt(2)
    excess = [kurtosis(vector[:, None])[0] - 3 for vector in (x_mode, y_mode, joined)]
    assert excess[2] == pytest.approx((excess[0] + excess[1]) / 4)
    assert np.isfinite(log_density(joined, joined.sum() / 2))


def test_quartic_form_of_the_marginal_near_its_centre():
    """-ln density = t^2 (1 + g/2) / 2 - g t^4 / 24 + const, t = 2 (x - mu), with corrections of
    order g^2."""
    vector = unit_vector(784, 5)
    g = kurtosis(vector[:, None])[0] - 3
    t = np.linspace(-1.5, 1.5, 7)
    potential = -log_density(vector, vector.sum() / 2 + t / 2)
    quartic = t**2 / 2 * (1 + g / 2) - g * t**4 / 24
    gauss_error = np.abs(potential - potential[3] - t**2 / 2).max()
    assert gauss_error > 1e-3
    assert np.abs(potential - potential[3] - quartic).max() < 0.02 * gauss_error


def test_log_density_with_visible_spikes_is_refused():
    with pytest.raises(ValueError, match="visible spikes"):
        log_density(unit_vector(4, 0), [0.0])
    with pytest.raises(ValueError, match="visible spikes"):
        log_density(np.full(100, 0.1), [5.0])  # a lattice of spacing 0.1
    assert np.exp(log_density(np.full(100, 0.1), [5.0], width=0.15)) == pytest.approx(
        1 / np.sqrt(2 * np.pi * (0.25 + 0.15**2)), rel=0.01
    )
