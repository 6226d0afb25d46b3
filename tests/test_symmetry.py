"""Rotations, tests of symmetry and Landau's free energy, against definitions, enumeration and known null laws."""

import sys
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats
from scipy.integrate import quad
from scipy.optimize import minimize_scalar

from rbmkit import RBM, all_states, curie_weiss, planted
from rbmkit.data import ModePaths
from rbmkit.explorers import symmetry as explorers
from rbmkit.figures import symmetry as figures
from rbmkit.reciprocal import log_density, modes
from rbmkit.symmetry import (
    Landau,
    aguilera_perez,
    barrier,
    cavity_means,
    critical_coupling,
    divergence,
    free_energy_of_counts,
    haar,
    landau,
    landau_curve,
    landau_of_marginal,
    local_minima,
    mode_cumulants,
    neighbour_correlation,
    order_parameter,
    permutation_test,
    plane_around,
    random_planes,
    rotated,
    rotation,
    sign_test,
)


def random_modes(N=40, M=30, seed=0, scale=1.0):
    rng = np.random.default_rng(seed)
    rbm = RBM(W=scale * rng.normal(size=(N, M)), a=rng.normal(size=N), b=rng.normal(size=M))
    return rbm, modes(rbm)


# ---------------------------------------------------------------- rotations
@pytest.mark.parametrize("n", [3, 4, 7, 12])
def test_givens_reference_and_plane_rotation_are_equal(n):
    rng = np.random.default_rng(n)
    for angle in (0.3, -2.0, np.pi, 5.0):
        points = rng.normal(size=(n - 1, n))
        R = aguilera_perez(points, angle)
        np.testing.assert_allclose(R @ R.T, np.eye(n), atol=1e-13)
        assert np.linalg.det(R) == pytest.approx(1)
        edges = (points[1:] - points[0]).T
        np.testing.assert_allclose(R @ edges, edges, atol=1e-12)  # the subspace stays where it is
        assert np.trace(R) == pytest.approx(n - 2 + 2 * np.cos(angle))  # and one plane turns by the angle
        np.testing.assert_allclose(rotation(plane_around(points)[None], [angle]).matrix(), R, atol=1e-12)


def test_reference_in_three_dimensions_is_the_rotation_around_an_axis():
    R = aguilera_perez(np.array([[0.0, 0, 0], [0, 0, 2]]), 0.4)
    np.testing.assert_allclose(R[:2, :2], [[np.cos(0.4), -np.sin(0.4)], [np.sin(0.4), np.cos(0.4)]], atol=1e-14)
    R = aguilera_perez(np.array([[1.0, 0, 0], [2, 1, 1]]), 2 * np.pi / 3)  # around (1, 1, 1): a cyclic permutation
    np.testing.assert_allclose(R, np.roll(np.eye(3), 1, axis=0), atol=1e-14)


@pytest.mark.parametrize("axes", [True, False])
def test_product_of_rotations(axes):
    rng = np.random.default_rng(0)
    planes, angles = random_planes(6, 9, rng=rng, axes=axes), rng.uniform(0, 7, 6)
    expected = np.eye(9)
    for plane, angle in zip(planes, angles, strict=True):
        expected = rotation(plane[None], [angle]).matrix() @ expected
    R, x = rotation(planes, angles), rng.normal(size=(9, 4))
    np.testing.assert_allclose(R.matrix(), expected, atol=1e-13)
    np.testing.assert_allclose(R.apply(x), expected @ x, atol=1e-13)
    assert np.abs(expected - np.eye(9)).max() > 0.1


def test_fixed_axes_are_kept():
    for axes in (True, False):
        R = rotation(random_planes(20, 8, rng=1, axes=axes, fixed=5), np.full(20, 1.0)).matrix()
        np.testing.assert_allclose(R[:5], np.eye(8)[:5], atol=1e-13)
        assert np.abs(R[5:, 5:] - np.eye(3)).max() > 0.1


def test_rotated_weights_are_the_rotated_modes():
    _, m = random_modes(9, 6)
    W = (m.U * m.s) @ m.V.T
    rng = np.random.default_rng(1)
    left, right = (rotation(random_planes(4, n, rng=rng), rng.uniform(0, 7, 4)) for n in (9, 6))
    expected = (left.apply(m.U) * m.s) @ right.apply(m.V).T
    np.testing.assert_allclose(rotated(W, left, right), expected, atol=1e-13)
    np.testing.assert_allclose(np.linalg.svd(expected, compute_uv=False), m.s)


def test_haar_columns_are_uniform_on_the_sphere():
    draws = np.array([haar(6, 3, rng=seed) for seed in range(2000)])
    np.testing.assert_allclose(draws.transpose(0, 2, 1) @ draws, np.broadcast_to(np.eye(3), (2000, 3, 3)), atol=1e-13)
    for component in (draws[:, 0, 0], draws[:, 4, 2]):  # the square of one is Beta(1/2, (n - 1)/2), the sign random
        assert stats.kstest(component**2, stats.beta(0.5, 2.5).cdf).pvalue > 1e-3
        assert abs(np.sign(component).sum()) < 4 * np.sqrt(2000)


def test_wrong_rotations_are_refused():
    with pytest.raises(ValueError, match="orthonormal"):
        rotation(np.ones((1, 2, 3)), [0.1])
    with pytest.raises(ValueError, match="angles must have shape"):
        rotation(random_planes(2, 4, rng=0), [0.1])
    with pytest.raises(ValueError, match="n - 1 points"):
        aguilera_perez(np.eye(4), 0.1)
    with pytest.raises(ValueError, match="leave a plane"):
        random_planes(1, 6, rng=0, fixed=5)
    with pytest.raises(ValueError, match="no 5 orthonormal vectors in 3"):
        haar(3, 5, rng=0)


@pytest.mark.parametrize("around", [lambda points: aguilera_perez(points, 0.1), plane_around])
def test_points_without_one_subspace_are_refused(around):
    points = np.random.default_rng(0).normal(size=(4, 5))
    assert around(points).shape[1] == 5
    coincident, in_line = points.copy(), points.copy()
    coincident[2] = points[1]
    in_line[2] = 2 * points[1] - points[0]
    for wrong in (coincident, in_line):
        with pytest.raises(ValueError, match="coincide"):
            around(wrong)
    for wrong in (points[:3], np.eye(5)):
        with pytest.raises(ValueError, match="n - 1 points"):
            around(wrong)


# ---------------------------------------------------------------- tests of weights
def test_divergence_of_known_laws():
    """Two normal laws a distance d apart; fine bins lose little of the divergence."""
    rng, d = np.random.default_rng(0), 0.7
    result = divergence(rng.normal(size=(500, 800)), rng.normal(d, 1, size=(500, 800)), rng=1)

    def integrand(x):
        p, q = stats.norm.pdf(x), stats.norm.pdf(x, d)
        return (p * np.log(2 * p / (p + q)) + q * np.log(2 * q / (p + q))) / 2

    assert result.js == pytest.approx(quad(integrand, -8, 8)[0], rel=0.02)
    assert result.kl == pytest.approx(d**2 / 2, rel=0.03)
    assert 0 < result.js_error < 0.02 * result.js
    assert 0 < result.kl_error < 0.02 * result.kl


def test_divergence_of_one_law_has_its_null_mean():
    rng = np.random.default_rng(0)
    values = [divergence(rng.normal(size=(40, 50)), rng.normal(size=(40, 50)), bins=20, rng=2).js for _ in range(200)]
    assert np.mean(values) == pytest.approx(19 / (4 * 2000), abs=4 * np.std(values) / np.sqrt(200))


def test_bootstrap_error_is_the_scatter_over_samples():
    rng = np.random.default_rng(0)
    results = [divergence(rng.normal(size=(80, 50)), rng.normal(0.8, 1, (80, 50)), bins=20, rng=2) for _ in range(100)]
    assert np.mean([r.js_error for r in results]) == pytest.approx(np.std([r.js for r in results]), rel=0.25)


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
    W, other = rng.normal(size=(30, 20)), rng.standard_t(3, size=(30, 20))
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
    noise, direction = rng.normal(size=(100, 60)), rng.normal(size=(100, 1))
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
    assert permutation_test(heavy + 0.5 * rng.normal(size=(100, 1)) * rng.normal(size=60), rng=1).p_value == 1 / 20


def test_neighbour_correlation():
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 2, (500, 784))
    values = neighbour_correlation(noise)
    assert abs(values.mean() + 1 / 783) < 4 * values.std() / np.sqrt(500)
    board = np.indices((28, 28)).sum(axis=0) % 2
    half = np.repeat([0, 1], 392)
    np.testing.assert_allclose(neighbour_correlation([board.ravel(), half]), [-1, 1 - 28 / (2 * 27 * 28) * 2])
    assert np.isnan(neighbour_correlation(np.ones((1, 784)))[0])


# ---------------------------------------------------------------- Landau
@pytest.mark.parametrize("stable", [False, True])
def test_cumulants_by_enumeration(stable):
    rbm, m = random_modes(6, 5)
    rng = np.random.default_rng(2)
    p_v, p_h = rng.uniform(size=6), rng.uniform(size=5)
    v, h = all_states(6), all_states(5)
    weight = np.outer(*(np.where(s, p, 1 - p).prod(axis=1) for s, p in ((v, p_v), (h, p_h)))).ravel()
    z = m.to_uw(np.repeat(m.x(v, 2), 32), np.tile(m.y(h, 2), 64), 2)[int(stable)]
    mean = weight @ z
    d = z - mean
    expected = [mean, weight @ d**2, weight @ d**3, weight @ d**4 - 3 * (weight @ d**2) ** 2]
    np.testing.assert_allclose(mode_cumulants(m, 2, stable=stable, means=(p_v, p_h)), expected, atol=1e-12)
    fair = mode_cumulants(m, 2, stable=stable)
    assert fair[0] == pytest.approx(z.mean())
    assert fair[1] == pytest.approx(0.25)
    assert fair[2] == pytest.approx(0, abs=1e-15)


@pytest.mark.parametrize("stable", [False, True])
def test_landau_coefficients_without_fit(stable):
    """2/beta (1 - |g|/2) and 2|g|/(3 beta), with the excess kurtosis g = -(sum U^4 + sum V^4)/2 of u and w."""
    _, m = random_modes()
    g = -(np.sum(m.U[:, 1] ** 4) + np.sum(m.V[:, 1] ** 4)) / 2
    f = landau(m, 1, stable=stable, beta=2.0)
    assert f.theta == pytest.approx(1 + g / 2)
    assert f.phi == pytest.approx(-g / 3)
    assert (f.gamma, f.psi) == pytest.approx((0, 0), abs=1e-15)
    assert f.curvature == pytest.approx(m.s[1] if stable else -m.s[1])
    assert f.mu == pytest.approx(m.to_uw(m.mu_x[1], m.mu_y[1], 1)[int(stable)])
    assert f.offset == pytest.approx(m.a0[1] * m.b0[1] / m.s[1])


def test_landau_of_the_exact_marginal_is_near_the_edgeworth_one_and_nearer_to_the_curve():
    rbm = RBM(W=np.random.default_rng(0).normal(0, 0.1, (400, 300)), a=np.zeros(400), b=np.zeros(300))
    m = modes(rbm)
    series, taylor = landau(m), landau_of_marginal(m)
    z = taylor.mu + np.linspace(-0.8, 0.8, 9)
    curve = landau_curve(m, 0, z)
    assert taylor.theta == pytest.approx(series.theta, rel=1e-4)
    assert taylor.phi == pytest.approx(series.phi, rel=0.05)
    np.testing.assert_allclose(taylor(z) - taylor(taylor.mu), curve - landau_curve(m, 0, [taylor.mu])[0], atol=1e-5)
    assert np.abs(series(z) - curve).max() < 1e-3


def test_edgeworth_with_a_third_cumulant_is_the_expansion_of_a_skewed_law():
    """Units with means far from 1/2: against the saddle-point density of the same sum, up to a constant."""
    rng = np.random.default_rng(0)
    rbm = RBM(W=rng.normal(0, 0.05, (300, 200)) + 0.01, a=rng.normal(0, 0.1, 300), b=np.zeros(200))
    m = modes(rbm)
    means = np.full(300, 0.2), np.full(200, 0.3)
    f = landau(m, means=means)
    assert abs(f.gamma) > 1e-3  # odd terms are back
    z = f.mu + np.linspace(-0.6, 0.6, 7)
    difference = landau_curve(m, 0, z, means=means) - f(z)
    assert np.ptp(difference) < 2e-3
    symmetric = landau(m)
    assert np.ptp(landau_curve(m, 0, z, means=means) - symmetric(z)) > 0.1


def test_curve_of_fair_units_is_that_of_the_exact_marginal():
    _, m = random_modes(300, 200, scale=0.1)
    z = landau(m).mu + np.linspace(-4, 4, 41)
    half = np.full(300, 0.5), np.full(200, 0.5)
    np.testing.assert_allclose(landau_curve(m, 0, z), landau_curve(m, 0, z, means=half), atol=0.01)
    assert landau_curve(m, 0, [1e3])[0] == np.inf


def test_one_mode_free_energy_is_the_exact_law_of_u_and_w():
    """Rank one: p(u, w) is rho_x rho_y exp(-E). Its marginal in u is exp(-f_1(u)) up to the coupling of u to w."""
    rbm = planted(400, 300, singular_values=[4.8], rng=0)
    m = modes(rbm)
    u, w = np.linspace(-6, 6, 121), np.linspace(-2, 2, 81)
    x, y = m.to_xy(u[:, None], w[None], 0)
    log_p = m.s[0] * (u[:, None] ** 2 - w**2) / 2
    log_p = log_p + log_density(m.U[:, 0], x) + log_density(m.V[:, 0], y)
    exact = -np.log(np.exp(log_p).sum(axis=1))
    approximate = landau_curve(m, 0, u)
    near = np.abs(u) < 3
    assert np.ptp((exact - approximate)[near]) < 0.05
    assert np.ptp(approximate[near]) > 0.3
    np.testing.assert_allclose(
        sorted(local_minima(lambda z: np.interp(z, u, exact), -5, 5)),
        sorted(local_minima(lambda z: landau_curve(m, 0, z), -5, 5)), rtol=0.05,
    )  # fmt: skip


def test_minima_of_the_polynomial():
    f = Landau(offset=1.0, curvature=-5.0, mu=0.1, gamma=0.0, theta=2.0, psi=0.0, phi=0.05)
    found = f.minima()
    assert len(found) == 2
    assert f(found[0]) < f(found[1])
    assert found[0] > 0  # on the side of mu
    for z in found:
        near = minimize_scalar(f, bounds=(z - 0.5, z + 0.5), options={"xatol": 1e-10})
        assert near.x == pytest.approx(z, abs=1e-6)
    assert len(Landau(0, -3.0, 0.0, 0, 2.0, 0, 0.05).minima()) == 1
    assert len(Landau(0, -5.0, 0.0, 0, 2.0, 0, -0.05).minima()) == 0


def test_second_minimum_needs_more_than_the_critical_coupling_when_mu_is_not_zero():
    symmetric = [len(Landau(0, -s, 0.0, 0, 2.0, 0, 0.01).minima()) for s in (3.99, 4.01)]
    assert symmetric == [1, 2]
    phi, excess = 0.01, 1.0  # beyond the spinodal, s |mu| = 2/3 e sqrt(e / (12 phi)) with e = s - 4, no second minimum
    spinodal = 2 / 3 * excess * np.sqrt(excess / (12 * phi)) / (4 + excess)
    tilted = [len(Landau(0, -4 - excess, mu, 0, 2.0, 0, phi).minima()) for mu in (0.99 * spinodal, 1.01 * spinodal)]
    assert tilted == [2, 1]


@pytest.mark.parametrize(("singular_value", "wells"), [(3.5, 1), (5.0, 2)])
def test_symmetric_magnet_breaks_at_four(singular_value, wells):
    m = modes(curie_weiss(400, 300, singular_value=singular_value))
    f = landau(m)
    assert f.mu == pytest.approx(0, abs=1e-12)
    assert len(f.minima()) == wells
    np.testing.assert_allclose(f([1.3]), f([-1.3]))
    assert critical_coupling(m) == pytest.approx(4)


def test_cavity_of_a_single_mode_is_free_and_solves_mean_field():
    rbm = planted(60, 50, singular_values=[5.0], rng=1)
    m = modes(rbm)
    rng = np.random.default_rng(0)
    v, h = rng.uniform(size=60), rng.uniform(size=50)
    cavity = cavity_means(rbm, m, 0, v, h)
    for mean in cavity:  # nothing is left but the fields outside of the mode, and these vanish here
        np.testing.assert_allclose(mean, 0.5, atol=1e-12)
    assert critical_coupling(m, 0, cavity) == pytest.approx(4)


def test_cavity_takes_out_one_mode_only():
    rbm, m = random_modes(20, 15, scale=0.3)
    rng = np.random.default_rng(0)
    v, h = rng.uniform(size=20), rng.uniform(size=15)
    U, V, s = m.U[:, 1:], m.V[:, 1:], m.s[1:]
    field = rbm.a - m.U[:, 0] * m.a0[0] + (U * s) @ (V.T @ h)
    cavity = cavity_means(rbm, m, 0, v, h, beta=2.0)
    np.testing.assert_allclose(cavity[0], 1 / (1 + np.exp(-2 * field)))
    field = rbm.b - m.V[:, 0] * m.b0[0] + (V * s) @ (U.T @ v)
    np.testing.assert_allclose(cavity[1], 1 / (1 + np.exp(-2 * field)))


def test_means_outside_of_the_unit_interval_or_frozen_are_refused():
    rbm, m = random_modes(8, 6)
    half, wrong = (np.full(8, 0.5), np.full(6, 0.5)), (np.full(8, 1.5), np.full(6, 0.5))
    for call in (landau, mode_cumulants, critical_coupling):
        assert call(m, means=half) is not None
        with pytest.raises(ValueError, match=r"means of units, in \[0, 1\]; found 1.5"):
            call(m, means=wrong)
    with pytest.raises(ValueError, match=r"v must be means of units"):
        cavity_means(rbm, m, 0, *wrong)
    with pytest.raises(ValueError, match="must leave a unit"):
        landau(m, means=(np.zeros(8), np.ones(6)))


def test_order_parameter():
    """From statistics of x and y as the study stores them, against u and w of the states; the sign is that of mu_x."""
    rng, rows = np.random.default_rng(0), []
    for sign in (1, -1):
        _, m = random_modes(8, 6)
        m = replace(m, **{name: sign * getattr(m, name) for name in ("U", "V", "a0", "b0")})
        data, samples = ((rng.integers(0, 2, (50, 8)), rng.integers(0, 2, (50, 6))) for _ in range(2))
        row = {name: getattr(m, name) for name in ("s", "a0", "b0", "x0", "y0", "mu_x", "mu_y")}
        for name, (v, h) in (("data", data), ("samples", samples)):
            x, y = m.x(v), m.y(h)
            row |= {f"x_{name}": np.stack([x.mean(axis=0), x.std(axis=0)], axis=1)}
            row |= {f"y_{name}": np.stack([y.mean(axis=0), y.std(axis=0)], axis=1)}
            row[f"cov_{name}"] = np.array([np.cov(x[:, k], y[:, k], ddof=0)[0, 1] for k in range(6)])
        rows.append((m, data, samples, row))
    nothing = dict.fromkeys(("label", "rank", "overlap"), np.zeros((2, 6)))
    paths = ModePaths(**nothing, **{name: np.array([row[-1][name] for row in rows]) for name in rows[0][-1]})
    z = order_parameter(paths, 1)
    for t, (m, data, samples, _) in enumerate(rows):
        sign = np.sign(m.mu_x[1])
        for (v, h), mean, std in ((data, z.data, z.data_std), (samples, z.samples, z.samples_std)):
            uw = sign * np.array(m.to_uw(m.x(v, 1), m.y(h, 1), 1))
            np.testing.assert_allclose(mean[:, t], uw.mean(axis=1))
            np.testing.assert_allclose(std[:, t], uw.std(axis=1))
        np.testing.assert_allclose(z.mu[:, t], [sign * landau(m, 1, stable=stable).mu for stable in (False, True)])
    np.testing.assert_allclose(z.mu[:, 0], z.mu[:, 1])  # the same weights, whatever the sign of the modes


def test_local_minima():
    found = local_minima(lambda z: (z**2 - 1) ** 2 + 0.1 * z, -2, 2)
    exact = np.sort(np.roots([4, 0, -4, 0.1]).real)[[0, 2]]
    np.testing.assert_allclose(found, exact, atol=1e-5)
    assert len(local_minima(lambda z: z, -1, 1)) == 0
    with pytest.raises(ValueError, match="low must be below high"):
        local_minima(lambda z: z**2, 1, -1)


# ---------------------------------------------------------------- figures and explorers
@pytest.fixture(scope="module")
def small_rotations():
    rbm = RBM.random(784, 12, sigma=0.3, rng=0)
    return explorers.Rotations(rbm, np.random.default_rng(0).integers(0, 2, (20, 12)), rng=0)


@pytest.fixture(scope="module")
def small_wells():
    rbms = [RBM.random(150, 120, sigma=sigma, rng=0) for sigma in (0.05, 0.8)]
    data = np.random.default_rng(0).integers(0, 2, (40, 150))
    return explorers.Wells({epoch: (rbm, modes(rbm)) for epoch, rbm in zip((0.0, 1.0), rbms)}, data, rng=0)


def shades(fig):
    return fig.axes[0].images[0].get_array()


def test_rotation_explorer_draws_the_rotated_model(small_rotations):
    """Against the weights themselves, rotated: U R^T, with the same random numbers."""
    source = small_rotations
    for angle in (0, 90, 180):
        R = rotation(np.eye(12)[None, [0, 3]], [np.deg2rad(angle)])
        expected = source.noise < 1 / (1 + np.exp(-(source.field + (R.apply(source.coefficients.T).T
                                                                   - source.coefficients) @ source.U.T)))  # fmt: skip
        changed = (expected != source.before).sum(axis=1).mean()
        assert f"{changed:.1f} pixels" in source.figure(1, 4, angle).axes[0].get_title()
    assert "choose two" in source.figure(2, 2, 90).axes[0].get_title()
    np.testing.assert_array_equal(shades(source.figure(1, 2, 0)), shades(source.figure(1, 2, 360)))
    assert (shades(source.figure(1, 2, 0)) != shades(source.figure(1, 2, 180))).any()


def test_wells_show_the_curves_of_the_module(small_wells):
    ax = small_wells.figure(1.0, mode=2, ceiling=1000.0).axes[0]
    m = modes(RBM.random(150, 120, sigma=0.8, rng=0))
    lines = {line.get_label(): line.get_xydata() for line in ax.lines}
    z, y = lines["exact marginal"].T
    exact = landau_curve(m, 1, z)
    keep = np.isfinite(y)
    np.testing.assert_allclose(y[keep], (exact - exact.min())[keep], atol=1e-9)
    assert keep.sum() > 10


def test_explorers_redraw_and_stand_their_extremes(small_rotations, small_wells):
    for explorer in (small_rotations, small_wells):
        *controls, _, message, image = explorer.box().children
        first = bytes(image.value)
        for control in controls:
            options = getattr(control, "options", None)
            low, high = (options[0], options[-1]) if options else (control.min, control.max)
            for value in (low, high):
                value = value[1] if isinstance(value, tuple) else value
                control.value = 10.0**value if "Log" in type(control).__name__ else value
                assert message.value == ""
        assert bytes(image.value) != first


def test_explorers_without_ipywidgets(monkeypatch, capsys, small_rotations, small_wells):
    monkeypatch.setitem(sys.modules, "ipywidgets", None)
    assert small_rotations.box() is None
    assert small_wells.box() is None
    assert capsys.readouterr().out.count("needs ipywidgets") == 2


def test_figures_show_what_they_are_given():
    rng = np.random.default_rng(0)
    _, ax = figures.divergences({"a": ([500, 784], [[0.1, 0.3], [0.2]])}, {"null": np.array([0.001, 0.003])})
    point, band = ax.containers[0], ax.patches[0]
    np.testing.assert_allclose(np.array(point[0].get_ydata(), float), [0.2, 0.2])
    bars = np.array([bar[:, 1] for bar in point[2][0].get_segments()])
    np.testing.assert_allclose(bars, [[0.1, 0.3], [0.2, 0.2]])
    assert (band.get_y(), band.get_y() + band.get_height()) == pytest.approx((0.001, 0.003))
    panels = {"left": ({"x": (np.arange(3), 0.1)}, "linear"), "r": ({"y": (np.ones(2),)}, "log")}
    _, ax = figures.history(np.array([0, 0.1, 1]), panels)
    np.testing.assert_array_equal(ax[0, 0].containers[0][0].get_ydata(), [0, 1, 2])
    assert (ax[0, 1].get_yscale(), ax[0, 0].get_xlabel()) == ("log", "epoch")
    images = rng.integers(0, 2, (10, 784))
    _, ax = figures.mosaics({"one": images, "two": images})
    tile = ax[0, 1].images[0].get_array()[31:59, 1:29]
    assert ((tile < 1).any(axis=2) == images[5].reshape(28, 28)).all()
    _, ax = figures.mosaics({"one": images, "two": 1 - images})
    assert len(np.unique(ax[0, 1].images[0].get_array()[1:29, 1:29].reshape(-1, 3), axis=0)) == 2  # blue and orange
    _, ax = figures.overlaps({"a": np.eye(3)})
    np.testing.assert_array_equal(ax[0, 0].images[0].get_array(), np.eye(3))


def test_order_parameters_have_ribbons_of_the_states_and_bars_of_the_replicas():
    t = np.arange(3.0)
    series = {name: (t, 0.1 * np.ones(3), None if name == "mu" else np.ones(3)) for name in ("mu", "data", "samples")}
    _, ax = figures.order_parameters([("M = 5", t, (series, series))])
    assert len(ax[0, 0].containers) == 3
    ribbons = [c for c in ax[0, 0].collections if type(c).__name__ in ("FillBetweenPolyCollection", "PolyCollection")]
    assert len(ribbons) == 2
    assert ribbons[0].get_paths()[0].get_extents().intervaly == pytest.approx([-1, 3])
    bars = np.array([bar[:, 1] for bar in ax[0, 0].containers[1][2][0].get_segments()])
    np.testing.assert_allclose(bars, np.column_stack([t - 0.1, t + 0.1]))


def test_landau_and_effect_panels():
    z = np.linspace(-3, 3, 61)
    f = (z**2 - 1) ** 2
    _, ax = figures.double_wells([("epoch 1", z, (f, 0.1 * f), np.array([f, f, f]), z, 5 + f)], ceiling=2.0)
    line = next(line for line in ax[0, 0].lines if line.get_label() == "Landau's $f_1$")
    keep = np.isfinite(line.get_ydata())
    np.testing.assert_allclose(line.get_ydata()[keep], f[f < 2])
    np.testing.assert_allclose(ax[0, 0].containers[0][0].get_ydata(), f[f < 2])
    _, ax = figures.regimes([("y", {"yscale": "log"}, {"mild": (z, 1 + f, 0.1 * f)})])
    np.testing.assert_allclose(ax[0, 0].containers[0][0].get_ydata(), 1 + f)
    _, ax = figures.two_order_parameters([("t", z, {"digits": (f, f), "mu": (z,)})])
    np.testing.assert_allclose(ax[0, 1].lines[2].get_ydata(), z)
    assert (ax[0, 0].get_xscale(), ax[0, 1].get_xscale()) == ("linear", "log")
    rank, y = np.array([1, 10, 100]), np.array([3.0, 2.0, 1.0])
    _, ax = figures.effects(rank, {"size": ("pixels", y, 0.1 * y, (1.5, 0.2))})
    np.testing.assert_array_equal(ax[0, 0].containers[0][0].get_ydata(), y)
    assert ax[0, 0].get_xscale() == "log"
    _, ax = figures.growth(rank, np.outer(rank, [1.0, 2.0]), np.outer(rank, [1.1, 2.1]), 4.6)
    np.testing.assert_array_equal(ax.lines[1].get_ydata(), rank)
    np.testing.assert_allclose(ax.lines[0].get_ydata(), 1.1 * rank)
    _, ax = figures.collapse({"M = 5": np.array([[1.0, 0.5], [2.0, 0.7]])}, z, np.ones(61), 4.5)
    np.testing.assert_array_equal(ax.lines[0].get_xydata(), [[1.0, 0.5], [2.0, 0.7]])
    _, ax = figures.weight_histograms({"a": (np.random.default_rng(0).normal(size=(50, 40)), np.zeros((50, 40)))})
    assert ax[0, 0].get_yscale() == "log"


def test_free_energy_of_counts_is_that_of_the_law_with_the_error_of_a_poisson_count():
    rng, p = np.random.default_rng(1), np.array([0.5, 0.3, 0.15, 0.05, 0.0])
    counts = rng.multinomial(4000, p, size=20)
    free, error = free_energy_of_counts(counts)
    exact = -np.log(p[:4] / p[0])
    assert (np.abs(free[:4] - exact) < 4 * np.hypot(error[:4], error[0])).all()
    assert np.isinf(free[4])
    np.testing.assert_allclose(error[:4], 1 / np.sqrt(80_000 * p[:4]), rtol=0.5)
    with pytest.raises(ValueError, match="at least two groups"):
        free_energy_of_counts(counts[:1])


def test_barrier_of_one_and_of_two_wells():
    u = np.linspace(-3, 3, 601)
    left, right, height = barrier(u, (u**2 - 1) ** 2 + 0.1 * u)
    assert (left, right) == pytest.approx((-1, 1), abs=0.05)
    assert height == pytest.approx(1 - 0.1, abs=0.01)
    assert barrier(u, (u + 1) ** 2)[2] == 0
