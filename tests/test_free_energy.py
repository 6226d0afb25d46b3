"""Landau's free energy and order parameters, against definitions and enumeration."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.optimize import minimize_scalar

from rbmkit import RBM, all_states, curie_weiss, planted
from rbmkit.extrema import local_minima
from rbmkit.projections import log_density
from rbmkit.reciprocal import modes
from rbmkit.study import ModePaths
from rbmkit.symmetry import (
    Landau,
    barrier,
    cavity_means,
    critical_coupling,
    free_energy_of_counts,
    landau,
    landau_curve,
    landau_of_marginal,
    mode_cumulants,
    order_parameter,
)


def random_modes(N=40, M=30, seed=0, scale=1.0):
    rng = np.random.default_rng(seed)
    rbm = RBM(W=scale * rng.normal(size=(N, M)), a=rng.normal(size=N), b=rng.normal(size=M))
    return rbm, modes(rbm)


# ---------------------------------------------------------------- Landau
@pytest.mark.parametrize("stable", [False, True])
def test_cumulants_by_enumeration(stable):
    rbm, m = random_modes(6, 5)
    rng = np.random.default_rng(2)
    p_v = rng.uniform(size=6)
    p_h = rng.uniform(size=5)
    v = all_states(6)
    h = all_states(5)
    weight = np.outer(
        *(np.where(s, p, 1 - p).prod(axis=1) for s, p in ((v, p_v), (h, p_h)))
    ).ravel()
    z = m.to_uw(np.repeat(m.x(v, 2), 32), np.tile(m.y(h, 2), 64), 2)[int(stable)]
    mean = weight @ z
    d = z - mean
    expected = [mean, weight @ d**2, weight @ d**3, weight @ d**4 - 3 * (weight @ d**2) ** 2]
    np.testing.assert_allclose(
        mode_cumulants(m, 2, stable=stable, means=(p_v, p_h)), expected, atol=1e-12
    )
    fair = mode_cumulants(m, 2, stable=stable)
    assert fair[0] == pytest.approx(z.mean())
    assert fair[1] == pytest.approx(0.25)
    assert fair[2] == pytest.approx(0, abs=1e-15)


@pytest.mark.parametrize("stable", [False, True])
def test_landau_coefficients_without_fit(stable):
    """2/beta (1 - |g|/2) and 2|g|/(3 beta), with the excess kurtosis g = -(sum U^4 + sum V^4)/2
    of u and w."""
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
    rbm = RBM(
        W=np.random.default_rng(0).normal(0, 0.1, (400, 300)), a=np.zeros(400), b=np.zeros(300)
    )
    m = modes(rbm)
    series = landau(m)
    taylor = landau_of_marginal(m)
    z = taylor.mu + np.linspace(-0.8, 0.8, 9)
    curve = landau_curve(m, 0, z)
    assert taylor.theta == pytest.approx(series.theta, rel=1e-4)
    assert taylor.phi == pytest.approx(series.phi, rel=0.05)
    np.testing.assert_allclose(
        taylor(z) - taylor(taylor.mu), curve - landau_curve(m, 0, [taylor.mu])[0], atol=1e-5
    )
    assert np.abs(series(z) - curve).max() < 1e-3


def test_edgeworth_with_a_third_cumulant_is_the_expansion_of_a_skewed_law():
    """Units with means far from 1/2: against the saddle-point density of the same sum, up to a
    constant."""
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
    """Rank one: p(u, w) is rho_x rho_y exp(-E). Its marginal in u is exp(-f_1(u)) up to the
    coupling of u to w."""
    rbm = planted(400, 300, singular_values=[4.8], rng=0)
    m = modes(rbm)
    u = np.linspace(-6, 6, 121)
    w = np.linspace(-2, 2, 81)
    x, y = m.to_xy(u[:, None], w[None], 0)
    log_p = m.s[0] * (u[:, None] ** 2 - w**2) / 2
    log_p = log_p + log_density(m.U[:, 0], x) + log_density(m.V[:, 0], y)
    exact = -np.log(np.exp(log_p).sum(axis=1))
    approximate = landau_curve(m, 0, u)
    near = np.abs(u) < 3
    assert np.ptp((exact - approximate)[near]) < 0.05
    assert np.ptp(approximate[near]) > 0.3
    wells = np.sort(local_minima(lambda z: np.interp(z, u, exact), -6, 6))
    landau_wells = np.sort(local_minima(lambda z: landau_curve(m, 0, z), -6, 6))
    assert len(wells) == 2
    np.testing.assert_allclose(landau_wells, wells, rtol=0.05)


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
    # beyond the spinodal, s |mu| = 2/3 e sqrt(e / (12 phi)) with e = s - 4, no second minimum
    phi = 0.01
    excess = 1.0
    spinodal = 2 / 3 * excess * np.sqrt(excess / (12 * phi)) / (4 + excess)
    tilted = [
        len(Landau(0, -4 - excess, mu, 0, 2.0, 0, phi).minima())
        for mu in (0.99 * spinodal, 1.01 * spinodal)
    ]
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
    v = rng.uniform(size=60)
    h = rng.uniform(size=50)
    cavity = cavity_means(rbm, m, 0, v, h)
    for mean in cavity:  # nothing is left but the fields outside of the mode, and these vanish here
        np.testing.assert_allclose(mean, 0.5, atol=1e-12)
    assert critical_coupling(m, 0, cavity) == pytest.approx(4)


def test_cavity_takes_out_one_mode_only():
    rbm, m = random_modes(20, 15, scale=0.3)
    rng = np.random.default_rng(0)
    v = rng.uniform(size=20)
    h = rng.uniform(size=15)
    U = m.U[:, 1:]
    V = m.V[:, 1:]
    s = m.s[1:]
    field = rbm.a - m.U[:, 0] * m.a0[0] + (U * s) @ (V.T @ h)
    cavity = cavity_means(rbm, m, 0, v, h, beta=2.0)
    np.testing.assert_allclose(cavity[0], 1 / (1 + np.exp(-2 * field)))
    field = rbm.b - m.V[:, 0] * m.b0[0] + (V * s) @ (U.T @ v)
    np.testing.assert_allclose(cavity[1], 1 / (1 + np.exp(-2 * field)))


def test_means_outside_of_the_unit_interval_or_frozen_are_refused():
    rbm, m = random_modes(8, 6)
    half = (np.full(8, 0.5), np.full(6, 0.5))
    wrong = (np.full(8, 1.5), np.full(6, 0.5))
    for call in (landau, mode_cumulants, critical_coupling):
        assert call(m, means=half) is not None
        with pytest.raises(ValueError, match=r"means of units, in \[0, 1\]; found 1.5"):
            call(m, means=wrong)
    with pytest.raises(ValueError, match=r"v must be means of units"):
        cavity_means(rbm, m, 0, *wrong)
    with pytest.raises(ValueError, match="must leave a unit"):
        landau(m, means=(np.zeros(8), np.ones(6)))


def test_order_parameter():
    """From statistics of x and y as the study stores them, against u and w of the states; the
    sign is that of mu_x."""
    rng = np.random.default_rng(0)
    rows = []
    for sign in (1, -1):
        _, m = random_modes(8, 6)
        m = replace(m, **{name: sign * getattr(m, name) for name in ("U", "V", "a0", "b0")})
        data, samples = (
            (rng.integers(0, 2, (50, 8)), rng.integers(0, 2, (50, 6))) for _ in range(2)
        )
        row = {name: getattr(m, name) for name in ("s", "a0", "b0", "x0", "y0", "mu_x", "mu_y")}
        for name, (v, h) in (("data", data), ("samples", samples)):
            x = m.x(v)
            y = m.y(h)
            row |= {f"x_{name}": np.stack([x.mean(axis=0), x.std(axis=0)], axis=1)}
            row |= {f"y_{name}": np.stack([y.mean(axis=0), y.std(axis=0)], axis=1)}
            row[f"cov_{name}"] = np.array(
                [np.cov(x[:, k], y[:, k], ddof=0)[0, 1] for k in range(6)]
            )
        rows.append((m, data, samples, row))
    nothing = dict.fromkeys(("label", "rank", "overlap"), np.zeros((2, 6)))
    paths = ModePaths(
        **nothing, **{name: np.array([row[-1][name] for row in rows]) for name in rows[0][-1]}
    )
    z = order_parameter(paths, 1)
    for t, (m, data, samples, _) in enumerate(rows):
        sign = np.sign(m.mu_x[1])
        for (v, h), mean, std in ((data, z.data, z.data_std), (samples, z.samples, z.samples_std)):
            uw = sign * np.array(m.to_uw(m.x(v, 1), m.y(h, 1), 1))
            np.testing.assert_allclose(mean[:, t], uw.mean(axis=1))
            np.testing.assert_allclose(std[:, t], uw.std(axis=1))
        np.testing.assert_allclose(
            z.mu[:, t], [sign * landau(m, 1, stable=stable).mu for stable in (False, True)]
        )
    # the same weights, whatever the sign of the modes
    np.testing.assert_allclose(z.mu[:, 0], z.mu[:, 1])


# ---------------------------------------------------------------- measured free energies
def test_free_energy_of_counts_is_that_of_the_law_with_the_error_of_a_poisson_count():
    rng = np.random.default_rng(1)
    p = np.array([0.5, 0.3, 0.15, 0.05, 0.0])
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
