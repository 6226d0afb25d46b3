"""Diffusion against closed forms, computer algebra and plain loops."""

import numpy as np
import pytest
import sympy as sp

from rbmkit import diffusion, oscillators

pytestmark = pytest.mark.usefixtures("one_thread")


def harmonic(k, beta=1.0, points=401, reach=6.0):
    z = np.linspace(-reach, reach, points) / np.sqrt(beta * abs(k))
    return diffusion.Potential((z,), k * z**2 / 2, beta)


def double_well(depth=0.6, beta=3.0):
    z = np.linspace(-2.6, 2.6, 521)
    return diffusion.Potential((z,), depth * (z**2 - 1) ** 2 + 0.05 * z, beta)


# ---------------------------------------------------------------- algebra of the paper
def test_substitution_turns_fokker_planck_into_schroedinger():
    """Eqs. (34)-(37): D phi'' + (U' phi)' = -2 D e^(-U / 2D) H psi for any U and psi."""
    z, D = sp.symbols("z D", positive=True)
    U = sp.Function("U")(z)
    psi = sp.Function("psi")(z)
    phi = sp.exp(-U / (2 * D)) * psi
    left = D * phi.diff(z, 2) + (U.diff(z) * phi).diff(z)
    V_Q = U.diff(z) ** 2 / (8 * D**2) - U.diff(z, 2) / (4 * D)
    right = -2 * D * sp.exp(-U / (2 * D)) * (-psi.diff(z, 2) / 2 + V_Q * psi)
    assert sp.simplify(left - right) == 0
    # the factor printed after Eq. (38)
    paper = -sp.exp(-U / (2 * D)) * (-psi.diff(z, 2) / 2 + V_Q * psi) / (2 * D)
    assert sp.simplify(left - paper) != 0


def test_boltzmann_is_stationary_and_the_hamiltonian_is_a_square():
    z, D = sp.symbols("z D", positive=True)
    U = sp.Function("U")(z)
    psi = sp.Function("psi")(z)
    P = sp.exp(-U / D)
    assert sp.simplify(D * P.diff(z) + U.diff(z) * P) == 0  # Eq. (33) in Eq. (34): no current
    Q = psi.diff(z) + U.diff(z) / (2 * D) * psi
    square = -Q.diff(z) + U.diff(z) / (2 * D) * Q
    H = -psi.diff(z, 2) / 2 + (U.diff(z) ** 2 / (8 * D**2) - U.diff(z, 2) / (4 * D)) * psi
    assert sp.simplify(square / 2 - H) == 0


# ---------------------------------------------------------------- spectrum
@pytest.mark.parametrize("beta", [0.3, 1.0, 4.0])
def test_oscillator_relaxes_with_n_k_at_every_temperature(beta):
    found = diffusion.spectrum(harmonic(1.7, beta), 5)
    np.testing.assert_allclose(found.rates, 1.7 * np.arange(5), rtol=3e-3, atol=1e-8)
    z = found.potential.axes[0]
    for n in range(5):
        state = oscillators.hermite_state(n, 1.7 * beta / 2, z)
        assert abs(state @ found.psi[n]) * found.potential.cell == pytest.approx(1, abs=1e-3)


def test_hill_has_positive_levels_only():
    omega = -0.65
    found = diffusion.spectrum(harmonic(2 * omega, reach=8.0, points=801), 4, absorbing=True)
    np.testing.assert_allclose(found.E, oscillators.harmonic_levels(omega, np.arange(4)), rtol=4e-3)
    np.testing.assert_allclose(oscillators.harmonic_levels([1.5, -1.5], [2, 2]), [3.0, 4.5])


def test_separable_well_in_two_coordinates_adds_levels():
    z = np.linspace(-5, 5, 81)
    y = np.linspace(-4, 4, 71)
    found = diffusion.spectrum(diffusion.Potential((z, y), z[:, None] ** 2 / 2 + 1.5 * y**2), 5)
    # k = 1 and k = 3
    np.testing.assert_allclose(found.rates, [0, 1, 2, 3, 3], rtol=0.01, atol=1e-8)
    line = diffusion.spectrum(diffusion.Potential((z,), z**2 / 2), 2)
    # the sum of two operators, exactly
    assert found.rates[1] == pytest.approx(line.rates[1], rel=1e-8)
    gram = found.psi.reshape(5, -1) @ found.psi.reshape(5, -1).T * found.potential.cell
    np.testing.assert_allclose(gram, np.eye(5), atol=1e-8)


@pytest.mark.parametrize("absorbing", [False, True])
def test_hamiltonian_against_plain_loops(absorbing):
    rng = np.random.default_rng(0)
    p = diffusion.Potential((np.arange(5.0), 0.5 * np.arange(6)), rng.normal(size=(5, 6)), 0.8)
    H = np.zeros((30, 30))
    for i in range(5):
        for j in range(6):
            for di, dj, d in ((1, 0, 1.0), (-1, 0, 1.0), (0, 1, 0.5), (0, -1, 0.5)):
                if 0 <= i + di < 5 and 0 <= j + dj < 6:
                    up = 0.8 * (p.U[i + di, j + dj] - p.U[i, j]) / 2
                    H[6 * i + j, 6 * i + j] += np.exp(-up) / (2 * d**2)
                    H[6 * i + j, 6 * (i + di) + j + dj] -= 1 / (2 * d**2)
    inner = [6 * i + j for i in range(1, 4) for j in range(1, 5)] if absorbing else list(range(30))
    np.testing.assert_allclose(
        diffusion.hamiltonian(p, absorbing=absorbing).toarray(), H[np.ix_(inner, inner)], atol=1e-13
    )


def test_quantum_potential_is_the_analytic_one():
    p = double_well()
    z = p.axes[0]
    slope = 2.4 * z * (z**2 - 1) + 0.05
    bend = 2.4 * (3 * z**2 - 1)
    np.testing.assert_allclose(
        p.quantum[5:-5], (9 * slope**2 / 8 - 3 * bend / 4)[5:-5], atol=0.02, rtol=2e-3
    )


def test_propagation_solves_the_ornstein_uhlenbeck_process():
    p = harmonic(2.0, 0.5, points=601, reach=7.0)
    z = p.axes[0]
    t = np.array([0.1, 0.4, 5.0])
    start = 0.9
    before = np.exp(-((z - start) ** 2) / (2 * 0.3**2)) / (0.3 * np.sqrt(2 * np.pi))
    after = diffusion.spectrum(p, 50).propagate(before, t)
    mean = start * np.exp(-2 * t)[:, None]
    variance = (0.09 * np.exp(-4 * t) + 1 - np.exp(-4 * t))[:, None]
    known = np.exp(-((z - mean) ** 2) / (2 * variance)) / np.sqrt(2 * np.pi * variance)
    np.testing.assert_allclose(after, known, atol=2e-3)
    np.testing.assert_allclose(after.sum(axis=1) * p.cell, 1, atol=1e-6)
    np.testing.assert_allclose(after[-1], p.boltzmann, atol=1e-4)


# ---------------------------------------------------------------- walkers
def test_walkers_follow_the_spectrum_and_the_grid_in_two_coordinates():
    z = np.linspace(-4, 4, 161)
    p = diffusion.Potential((z, z), z[:, None] ** 2 + z**2 - 1.2 * np.outer(z, z), 1.0)
    path = diffusion.langevin(p, np.tile([1.0, -0.5], (20_000, 1)), [0.5, 6.0], dt=0.02, rng=3)
    decay = np.array([[2.0, -1.2], [-1.2, 2.0]])
    vals, vecs = np.linalg.eigh(decay)
    mean = vecs @ (np.exp(-0.5 * vals) * (vecs.T @ [1.0, -0.5]))
    error = path[0].std(axis=0) / np.sqrt(20_000)
    assert (np.abs(path[0].mean(axis=0) - mean) < 5 * error).all()
    np.testing.assert_allclose(np.cov(path[1].T), np.linalg.inv(decay), atol=0.035)


def test_walkers_reach_the_boltzmann_density_of_a_double_well():
    p = double_well()
    path = diffusion.langevin(p, np.zeros(40_000), [30.0], dt=0.01, rng=1)[0]
    expected = p.boltzmann[p.axes[0] > 0].sum() * p.cell
    share = (path > 0.005).mean()
    assert abs(share - expected) < 4 * np.sqrt(0.25 / 40_000) + 0.005


def test_heun_is_of_second_order():
    """The stationary variance in U = z^2 / 2 is off by about dt^2, not dt: the exact value of
    the scheme is known."""
    for dt in (0.2, 0.4):
        path = diffusion.langevin(
            harmonic(1.0, points=241, reach=8.0), np.zeros(100_000), [20.0], dt=dt, rng=2
        )[0]
        factor = 1 - dt + dt**2 / 2
        noise = 2 * dt * (1 - dt / 2) ** 2
        assert path.var() == pytest.approx(noise / (1 - factor**2), rel=0.02)


def test_the_seed_decides_where_walkers_go():
    first, again, other = (
        diffusion.langevin(double_well(), np.zeros(50), [0.5, 1.0], dt=0.01, rng=seed)
        for seed in (7, 7, 8)
    )
    np.testing.assert_array_equal(first, again)
    assert (first != other).all()


@pytest.mark.parametrize("k", [1.3, 0.0, -0.8])
def test_exact_step_has_the_right_mean_and_variance_in_any_division(k):
    n = 200_000
    t = 1.7
    for times in ([t], [0.2, 0.3, t]):
        z = diffusion.ornstein_uhlenbeck(k, np.full(n, 0.7), times, beta=0.5, rng=1)[-1]
        variance = 2 * (1 - np.exp(-2 * k * t)) / k if k else 4 * t
        assert abs(z.mean() - 0.7 * np.exp(-k * t)) < 4.5 * np.sqrt(variance / n)
        assert z.var() == pytest.approx(variance, rel=4.5 * np.sqrt(2 / n))


# ---------------------------------------------------------------- Kramers
def test_kramers_is_the_gap_for_a_high_barrier():
    p = double_well(depth=2.0, beta=4.0)
    rate = diffusion.kramers(p)
    assert rate.gap == pytest.approx(diffusion.spectrum(p, 2).rates[1], rel=0.08)
    assert rate.barriers[0] == pytest.approx(4 * (2.0 + 0.05), abs=0.05)
    assert rate.wells == pytest.approx((-1, 1), abs=0.02)
    assert rate.rates[0] / rate.rates[1] == pytest.approx(np.exp(-4 * 0.1), rel=0.05)
    with pytest.raises(ValueError, match="1 minima"):
        diffusion.kramers(harmonic(1.0))
