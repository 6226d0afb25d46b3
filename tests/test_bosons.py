"""Bosons against closed forms, computer algebra, enumeration and each other."""

import sys

import numpy as np
import pytest
import sympy as sp
from scipy.special import eval_hermite, factorial

from rbmkit import RBM, curie_weiss, gibbs, planted
from rbmkit import bosons as b
from rbmkit.explorers import bosons as explorers
from rbmkit.figures import bosons as figures
from rbmkit.reciprocal import modes

pytestmark = pytest.mark.usefixtures("one_thread")


def harmonic(k, beta=1.0, points=401, reach=6.0):
    z = np.linspace(-reach, reach, points) / np.sqrt(beta * abs(k))
    return b.Potential((z,), k * z**2 / 2, beta)


def double_well(depth=0.6, beta=3.0):
    z = np.linspace(-2.6, 2.6, 521)
    return b.Potential((z,), depth * (z**2 - 1) ** 2 + 0.05 * z, beta)


# ---------------------------------------------------------------- algebra of the paper, step by step
def test_substitution_turns_fokker_planck_into_schroedinger():
    """Eqs. (34)-(37): D phi'' + (U' phi)' = -2 D e^(-U / 2D) H psi for any U and psi."""
    z, D = sp.symbols("z D", positive=True)
    U, psi = sp.Function("U")(z), sp.Function("psi")(z)
    phi = sp.exp(-U / (2 * D)) * psi
    left = D * phi.diff(z, 2) + (U.diff(z) * phi).diff(z)
    V_Q = U.diff(z) ** 2 / (8 * D**2) - U.diff(z, 2) / (4 * D)
    right = -2 * D * sp.exp(-U / (2 * D)) * (-psi.diff(z, 2) / 2 + V_Q * psi)
    assert sp.simplify(left - right) == 0
    paper = -sp.exp(-U / (2 * D)) * (-psi.diff(z, 2) / 2 + V_Q * psi) / (2 * D)  # the factor printed after Eq. (38)
    assert sp.simplify(left - paper) != 0


def test_boltzmann_is_stationary_and_the_hamiltonian_is_a_square():
    z, D = sp.symbols("z D", positive=True)
    U, psi = sp.Function("U")(z), sp.Function("psi")(z)
    P = sp.exp(-U / D)
    assert sp.simplify(D * P.diff(z) + U.diff(z) * P) == 0  # Eq. (33) in Eq. (34): no current
    Q = psi.diff(z) + U.diff(z) / (2 * D) * psi
    square = -Q.diff(z) + U.diff(z) / (2 * D) * Q
    H = -psi.diff(z, 2) / 2 + (U.diff(z) ** 2 / (8 * D**2) - U.diff(z, 2) / (4 * D)) * psi
    assert sp.simplify(square / 2 - H) == 0


def test_coupled_oscillators_symbolically():
    """Eqs. (40)-(45) for three variables: V_Q of the quadratic potential from its derivatives; M = A^2."""
    n, beta = 3, sp.Symbol("beta", positive=True)
    k = sp.Matrix(n, n, lambda i, j: sp.Symbol(f"k{min(i, j)}{max(i, j)}"))
    L, mu, zeta, z = (sp.Matrix(sp.symbols(f"{name}:3")) for name in ("L", "m", "x", "z"))
    omega = [(k[i, i] + beta * L[i]) / 2 for i in range(n)]
    z0 = [mu[i] * k[i, i] / (2 * omega[i]) for i in range(n)]
    delta = sp.Matrix([z0[i] - mu[i] for i in range(n)])
    bU = sum(beta * L[i] * z[i] ** 2 / 2 for i in range(n)) + ((z - mu).T * k * (z - mu))[0] / 2
    V_Q = sum(bU.diff(z[i]) ** 2 / 8 - bU.diff(z[i], 2) / 4 for i in range(n))
    V_Q = V_Q.subs({z[i]: z0[i] + zeta[i] for i in range(n)}, simultaneous=True)
    off = k - sp.diag(*[k[i, i] for i in range(n)])
    theta = off * off / 4
    M = sp.diag(*[w**2 for w in omega]) + sp.diag(*omega) * off + theta
    O = sp.diag(*omega) * off + 2 * theta
    eq44 = ((zeta.T * M * zeta)[0] + (zeta.T * O * delta)[0] + (delta.T * theta * delta)[0] - sum(omega)) / 2
    assert sp.simplify(V_Q - eq44) == 0
    A = sp.diag(*omega) + off / 2
    assert sp.simplify(A * A - (M + M.T) / 2) == sp.zeros(n, n)
    values = np.random.default_rng(2).normal(size=(3, 4))  # rows L, mu, zeta; and the package has the same numbers
    known = b.Oscillators(np.cov(values.T)[:3, :3], *values[:2, :3], np.zeros(3), 0.7)
    numbers = dict(zip(k, known.k.ravel())) | {beta: 0.7}
    for symbols, row in zip((L, mu, zeta), values):
        numbers |= dict(zip(symbols, row))
    for matrix, ours in (((M + M.T) / 2, known.M), (O, known.O), (theta, known.Theta), (delta.T, [known.Delta])):
        np.testing.assert_allclose(np.array(matrix.subs(numbers), float), ours, rtol=1e-9)
    assert known.quantum(values[2, :3]) == pytest.approx(float(V_Q.subs(numbers)), rel=1e-9)


def pair(beta, curvature, field, reach, points=161):
    """Two coupled oscillators, and their potential on a grid about the stationary point."""
    k, mu = np.array([[3.0, 1.2], [1.2, 2.0]]), np.array([0.3, -0.2])
    o = b.Oscillators(k, np.array(curvature), mu, np.array(field), beta)
    axes = tuple(c + np.linspace(-reach, reach, points) for c in o.centre)
    Z = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)
    bU = np.einsum("...i,ij,...j", Z - mu, k, Z - mu) / 2 + beta * ((Z**2 @ o.curvature) / 2 - Z @ o.field)
    return o, Z, b.Potential(axes, bU / beta, beta)


def test_coupled_oscillators_against_the_grid():
    """Eq. (44) with fields, shifted minimum and beta != 1, and the levels with |alpha| of A, for both signs."""
    o, Z, p = pair(1.7, [-0.5, 0.7], [0.4, -0.6], 4.5)
    np.testing.assert_allclose(o.quantum(Z - o.z0)[2:-2, 2:-2], p.quantum[2:-2, 2:-2], atol=1e-9)
    low, high = o.frequencies
    assert low > 0
    np.testing.assert_allclose(b.spectrum(p, 4).E, [0, low, 2 * low, high], atol=4e-3)
    o, Z, p = pair(1.7, [-2.5, 0.7], [0.4, -0.6], 6.5)
    np.testing.assert_allclose(o.quantum(Z - o.z0)[2:-2, 2:-2], p.quantum[2:-2, 2:-2], atol=1e-9)
    low, high = o.frequencies
    assert low < 0 < high
    levels = np.sort(np.add.outer(-low * np.arange(1, 6), high * np.arange(3)).ravel())[:4]
    np.testing.assert_allclose(b.spectrum(p, 4, absorbing=True).E, levels, rtol=4e-3)


def test_a_quartic_term_changes_the_frequency():
    """The remainder of Eq. (43) is of order zeta^2: g z^4 / 24 in V_const adds -g zeta^2 / 8 to V_Q."""
    z, k, g = sp.symbols("z k g")
    bU = k * z**2 / 2 + g * z**4 / 24
    V_Q = sp.expand(bU.diff(z) ** 2 / 8 - bU.diff(z, 2) / 4)
    assert sp.simplify(V_Q.coeff(z, 2) - (k**2 / 8 - g / 8)) == 0


# ---------------------------------------------------------------- spectrum
@pytest.mark.parametrize("beta", [0.3, 1.0, 4.0])
def test_oscillator_relaxes_with_n_k_at_every_temperature(beta):
    found = b.spectrum(harmonic(1.7, beta), 5)
    np.testing.assert_allclose(found.rates, 1.7 * np.arange(5), rtol=3e-3, atol=1e-8)
    z = found.potential.axes[0]
    for n in range(5):
        state = b.hermite_state(n, 1.7 * beta / 2, z)
        assert abs(state @ found.psi[n]) * found.potential.cell == pytest.approx(1, abs=1e-3)


def test_hill_has_positive_levels_only():
    omega = -0.65
    found = b.spectrum(harmonic(2 * omega, reach=8.0, points=801), 4, absorbing=True)
    np.testing.assert_allclose(found.E, b.harmonic_levels(omega, np.arange(4)), rtol=4e-3)
    np.testing.assert_allclose(b.harmonic_levels([1.5, -1.5], [2, 2]), [3.0, 4.5])


def test_hermite_states_are_those_of_scipy():
    z = np.linspace(-7, 7, 2001)
    for n in (0, 1, 6):
        known = eval_hermite(n, z) * np.exp(-(z**2) / 2) / np.sqrt(2.0**n * factorial(n) * np.sqrt(np.pi))
        np.testing.assert_allclose(b.hermite_state(n, -1.0, z), known, atol=1e-12)


def test_the_highest_hermite_states_are_normal_and_higher_ones_refused():
    z = np.linspace(-45, 45, 40_001)
    top, below = (b.hermite_state(n, 1.0, z) for n in (500, 498))
    assert [top @ top * (z[1] - z[0]), top @ below * (z[1] - z[0])] == pytest.approx([1, 0], abs=1e-10)
    for n in (501, 2**70):
        with pytest.raises(ValueError, match="n must be at most 500, got"):
            b.hermite_state(n, 1.0, z)


def test_separable_well_in_two_coordinates_adds_levels():
    z, y = np.linspace(-5, 5, 81), np.linspace(-4, 4, 71)
    found = b.spectrum(b.Potential((z, y), z[:, None] ** 2 / 2 + 1.5 * y**2), 5)
    np.testing.assert_allclose(found.rates, [0, 1, 2, 3, 3], rtol=0.01, atol=1e-8)  # k = 1 and k = 3
    line = b.spectrum(b.Potential((z,), z**2 / 2), 2)
    assert found.rates[1] == pytest.approx(line.rates[1], rel=1e-8)  # the sum of two operators, exactly
    gram = found.psi.reshape(5, -1) @ found.psi.reshape(5, -1).T * found.potential.cell
    np.testing.assert_allclose(gram, np.eye(5), atol=1e-8)


@pytest.mark.parametrize("absorbing", [False, True])
def test_hamiltonian_against_plain_loops(absorbing):
    rng = np.random.default_rng(0)
    p = b.Potential((np.arange(5.0), 0.5 * np.arange(6)), rng.normal(size=(5, 6)), 0.8)
    H = np.zeros((30, 30))
    for i in range(5):
        for j in range(6):
            for di, dj, d in ((1, 0, 1.0), (-1, 0, 1.0), (0, 1, 0.5), (0, -1, 0.5)):
                if 0 <= i + di < 5 and 0 <= j + dj < 6:
                    up = 0.8 * (p.U[i + di, j + dj] - p.U[i, j]) / 2
                    H[6 * i + j, 6 * i + j] += np.exp(-up) / (2 * d**2)
                    H[6 * i + j, 6 * (i + di) + j + dj] -= 1 / (2 * d**2)
    inner = [6 * i + j for i in range(1, 4) for j in range(1, 5)] if absorbing else list(range(30))
    np.testing.assert_allclose(b.hamiltonian(p, absorbing=absorbing).toarray(), H[np.ix_(inner, inner)], atol=1e-13)


def test_quantum_potential_is_the_analytic_one():
    p = double_well()
    z = p.axes[0]
    slope, bend = 2.4 * z * (z**2 - 1) + 0.05, 2.4 * (3 * z**2 - 1)
    np.testing.assert_allclose(p.quantum[5:-5], (9 * slope**2 / 8 - 3 * bend / 4)[5:-5], atol=0.02, rtol=2e-3)


def test_propagation_solves_the_ornstein_uhlenbeck_process():
    p = harmonic(2.0, 0.5, points=601, reach=7.0)
    z, t, start = p.axes[0], np.array([0.1, 0.4, 5.0]), 0.9
    before = np.exp(-((z - start) ** 2) / (2 * 0.3**2)) / (0.3 * np.sqrt(2 * np.pi))
    after = b.spectrum(p, 50).propagate(before, t)
    mean = start * np.exp(-2 * t)[:, None]
    variance = (0.09 * np.exp(-4 * t) + 1 - np.exp(-4 * t))[:, None]
    known = np.exp(-((z - mean) ** 2) / (2 * variance)) / np.sqrt(2 * np.pi * variance)
    np.testing.assert_allclose(after, known, atol=2e-3)
    np.testing.assert_allclose(after.sum(axis=1) * p.cell, 1, atol=1e-6)
    np.testing.assert_allclose(after[-1], p.boltzmann, atol=1e-4)


# ---------------------------------------------------------------- walkers
def test_walkers_follow_the_spectrum_and_the_grid_in_two_coordinates():
    z = np.linspace(-4, 4, 161)
    p = b.Potential((z, z), z[:, None] ** 2 + z**2 - 1.2 * np.outer(z, z), 1.0)
    path = b.langevin(p, np.tile([1.0, -0.5], (20_000, 1)), [0.5, 6.0], dt=0.02, rng=3)
    decay = np.array([[2.0, -1.2], [-1.2, 2.0]])
    vals, vecs = np.linalg.eigh(decay)
    mean = vecs @ (np.exp(-0.5 * vals) * (vecs.T @ [1.0, -0.5]))
    error = path[0].std(axis=0) / np.sqrt(20_000)
    assert (np.abs(path[0].mean(axis=0) - mean) < 5 * error).all()
    np.testing.assert_allclose(np.cov(path[1].T), np.linalg.inv(decay), atol=0.035)


def test_walkers_reach_the_boltzmann_density_of_a_double_well():
    p = double_well()
    path = b.langevin(p, np.zeros(40_000), [30.0], dt=0.01, rng=1)[0]
    expected = p.boltzmann[p.axes[0] > 0].sum() * p.cell
    share = (path > 0.005).mean()
    assert abs(share - expected) < 4 * np.sqrt(0.25 / 40_000) + 0.005


def test_heun_is_of_second_order():
    """The stationary variance in U = z^2 / 2 is off by about dt^2, not dt: the exact value of the scheme is known."""
    for dt in (0.2, 0.4):
        path = b.langevin(harmonic(1.0, points=241, reach=8.0), np.zeros(100_000), [20.0], dt=dt, rng=2)[0]
        factor, noise = 1 - dt + dt**2 / 2, 2 * dt * (1 - dt / 2) ** 2
        assert path.var() == pytest.approx(noise / (1 - factor**2), rel=0.02)


def test_walkers_do_not_depend_on_threads():
    import numba

    p, runs = double_well(), []
    for threads in (1, min(2, numba.config.NUMBA_NUM_THREADS)):
        numba.set_num_threads(threads)
        runs.append(b.langevin(p, np.zeros(5000), [0.5, 1.0], dt=0.01, rng=7))
    np.testing.assert_array_equal(*runs)
    assert not np.array_equal(runs[0], b.langevin(p, np.zeros(5000), [0.5, 1.0], dt=0.01, rng=8))


@pytest.mark.parametrize("k", [1.3, 0.0, -0.8])
def test_exact_step_has_the_right_mean_and_variance_in_any_division(k):
    n, t = 200_000, 1.7
    for times in ([t], [0.2, 0.3, t]):
        z = b.ornstein_uhlenbeck(k, np.full(n, 0.7), times, beta=0.5, rng=1)[-1]
        variance = 2 * (1 - np.exp(-2 * k * t)) / k if k else 4 * t
        assert abs(z.mean() - 0.7 * np.exp(-k * t)) < 4.5 * np.sqrt(variance / n)
        assert z.var() == pytest.approx(variance, rel=4.5 * np.sqrt(2 / n))


# ---------------------------------------------------------------- Kramers
def test_kramers_is_the_gap_for_a_high_barrier():
    p = double_well(depth=2.0, beta=4.0)
    rate = b.kramers(p)
    assert rate.gap == pytest.approx(b.spectrum(p, 2).rates[1], rel=0.08)
    assert rate.barriers[0] == pytest.approx(4 * (2.0 + 0.05), abs=0.05)
    assert rate.wells == pytest.approx((-1, 1), abs=0.02)
    assert rate.rates[0] / rate.rates[1] == pytest.approx(np.exp(-4 * 0.1), rel=0.05)
    with pytest.raises(ValueError, match="1 minima"):
        b.kramers(harmonic(1.0))


# ---------------------------------------------------------------- oscillators of an RBM
def random_rbm(N=7, M=5):
    rng = np.random.default_rng(3)
    return RBM(W=rng.normal(0, 0.6, (N, M)), a=rng.normal(size=N), b=rng.normal(size=M))


@pytest.mark.parametrize("shape", [(7, 5), (4, 6), (3, 3)])
def test_free_bosons_of_an_rbm(shape):
    rbm = random_rbm(*shape)
    free, m, K = b.oscillators(rbm, beta=0.7), modes(rbm), min(shape)
    np.testing.assert_allclose(free.k, 4 * np.eye(sum(shape)), atol=1e-12)  # Eq. (47)
    expected = np.concatenate([(4 - 0.7 * m.s) / 2, (4 + 0.7 * m.s) / 2, np.full(sum(shape) - 2 * K, 2.0)])
    np.testing.assert_allclose(free.omega, expected, atol=1e-12)  # Eq. (41)
    np.testing.assert_allclose(np.abs(free.Theta).max() + np.abs(free.O).max(), 0, atol=1e-10)
    shift = (m.x0 + m.y0) / np.sqrt(2)  # the paper measures u from the saddle: Eq. (42)
    z0 = (free.mu[:K] - shift) * 4 / (2 * free.omega[:K])
    np.testing.assert_allclose(free.z0[:K] - shift, z0, atol=1e-9)


def test_at_a_mean_field_solution_the_oscillators_are_centred_there_and_stability_is_that_of_the_dressed_modes():
    rbm = random_rbm()
    m_v = np.full(7, 0.5)
    for _ in range(5000):
        m_h = 1 / (1 + np.exp(-rbm.b - m_v @ rbm.W))
        m_v = 1 / (1 + np.exp(-rbm.a - rbm.W @ m_h))
    coupled = b.oscillators(rbm, m_v, m_h)
    rotation, _ = b._rotation(rbm)
    np.testing.assert_allclose(rotation @ rotation.T, np.eye(12), atol=1e-12)
    np.testing.assert_allclose(rotation @ coupled.centre, np.concatenate([m_v, m_h]), atol=1e-9)
    np.testing.assert_allclose(coupled.M, coupled.half_hessian @ coupled.half_hessian, atol=1e-9)
    assert coupled.frequencies.min() > 0
    for beta in (1.0, 3.0, 8.0):  # same number of unstable directions, counted in two ways
        s = b.dressed(rbm, m_v * (1 - m_v), m_h * (1 - m_h), beta=beta).s
        assert (b.oscillators(rbm, m_v, m_h, beta=beta).frequencies < 0).sum() == (s > 1).sum()
    assert (s > 1).any()


# ---------------------------------------------------------------- block Gibbs sampling
def test_relaxation_of_an_isolated_mode_is_the_exact_one():
    """The chain of counts of the bipartite magnet, diagonalised, against sampling; both near (lambda / 4)^2."""
    from scipy.stats import binom

    rbm = curie_weiss(120, 90, singular_value=2.5)
    w, k, l = rbm.W[0, 0], np.arange(121), np.arange(91)
    up = binom.pmf(l, 90, 1 / (1 + np.exp(-w * (k[:, None] - 60))))
    down = binom.pmf(k, 120, 1 / (1 + np.exp(-w * (l[:, None] - 45))))
    stationary = np.linalg.matrix_power(up @ down, 200)[0]
    exact = (stationary * (k - 60)) @ (up @ down) @ (k - 60) / (stationary @ (k - 60) ** 2)
    start = gibbs(rbm, np.random.default_rng(0).integers(0, 2, (400, 120), dtype=np.uint8), steps=30, rng=1).v
    r = b.relaxation(rbm, start, np.ones((120, 1)), steps=60, lags=20, rng=2)
    assert abs(r.correlation[1, 0] - exact) < 4 * r.stderr[1, 0]
    assert 0 < r.stderr[1, 0] < 0.02
    assert abs(r.time[0] - (1 + exact) / (1 - exact) / 2) < 5 * r.time_stderr[0]
    assert exact == pytest.approx((2.5 / 4) ** 2, abs=0.03)


def test_correlation_estimates_against_a_plain_autoregression():
    """Known process: x' = r x + noise. Pulls of 40 independent columns have the spread that the errors promise."""
    rng, r, n, T, K = np.random.default_rng(5), 0.6, 100, 60, 40
    x = np.empty((T + 1, n, K))
    x[0] = rng.normal(size=(n, K))
    for t in range(T):
        x[t + 1] = r * x[t] + np.sqrt(1 - r**2) * rng.normal(size=(n, K))
    groups = np.array_split(np.arange(n), b._BLOCKS)
    sums = np.array([b._lagged(x[:, g], 25) for g in groups])
    correlation, left = b._correlation(sums.sum(axis=0)), b._correlation(sums.sum(axis=0) - sums)
    error = np.sqrt((b._BLOCKS - 1) * left.var(axis=0))
    pull = (correlation[1] - r) / error[1]
    assert 0.7 < np.sqrt((pull**2).mean()) < 1.4
    time, _ = b._integrated_time(correlation)
    assert time.mean() == pytest.approx((1 + r) / (1 - r) / 2, rel=0.05)
    assert np.isnan(b._integrated_time(correlation[:3])[0]).all()


def test_dressed_modes_predict_a_crowded_model():
    rng = np.random.default_rng(1)
    W = rng.normal(0, 3.3 / (np.sqrt(200) + np.sqrt(150)), (200, 150))
    rbm = RBM(W=W, a=-W.sum(axis=1) / 2, b=-W.sum(axis=0) / 2)
    drawn = gibbs(rbm, rng.integers(0, 2, (400, 200), dtype=np.uint8), steps=60, rng=1)
    p_v, p_h = rbm.visible_mean(drawn.h), rbm.hidden_mean(drawn.v)
    d = b.dressed(rbm, (p_v * (1 - p_v)).mean(axis=0), (p_h * (1 - p_h)).mean(axis=0))
    r = b.relaxation(rbm, drawn.v, d.vectors[:, :40], steps=30, lags=2, rng=2)
    pull = (r.correlation[1] - d.s[:40] ** 2) / r.stderr[1]
    bare = (r.correlation[1] - (modes(rbm).s[:40] / 4) ** 2) / r.stderr[1]
    assert np.sqrt((pull**2).mean()) < 2
    assert np.sqrt((bare**2).mean()) > 5


# ---------------------------------------------------------------- front door
def test_wrong_input_is_named():
    z = np.linspace(-1, 1, 9)
    p, rbm = b.Potential((z,), z**2), random_rbm()
    critical = b.oscillators(planted(6, 9, singular_values=[4.0], rng=0))
    cases = [
        (lambda: b.Potential((z, z, z), z), "one or two"),
        (lambda: b.Potential((z**3,), z), "equidistant"),
        (lambda: b.Potential((z,), z[:-1]), "U must have shape"),
        (lambda: b.Potential((z,), np.where(z > 0.9, np.inf, z)), "inside the support"),
        (lambda: b.Potential((z,), z, beta=0.0), "beta must be above 0"),
        (lambda: b.spectrum(p, 8), "at most 7"),
        (lambda: b.spectrum(p, 3).propagate(p.boltzmann, [-1.0]), "backwards"),
        (lambda: b.langevin(p, [2.0], [1.0], dt=0.1, rng=0), "inside the grid"),
        (lambda: b.langevin(p, [0.0], [1.0, 0.5], dt=0.1, rng=0), "ascending"),
        (lambda: b.kramers(b.Potential((z, z), np.outer(z, z))), "one coordinate"),
        (lambda: b.oscillators(rbm, np.ones(7), np.full(5, 0.5)), "strictly between 0 and 1"),
        (lambda: b.Oscillators(np.array([[1.0, 2.0], [0.0, 1.0]]), *np.zeros((3, 2))), "symmetric"),
        (lambda: b.dressed(rbm, np.full(7, 0.3), np.full(5, 0.1)), "between 0 and 1/4"),
        (lambda: b.relaxation(rbm, np.ones((30, 7)), np.ones((7, 1)), steps=2, lags=3, rng=0), "lags must be"),
        (lambda: b.relaxation(rbm, np.ones((30, 7)), np.zeros((7, 2)), steps=3, lags=2, rng=0), "never vary"),
        (lambda: b.spectrum(b.Potential((z,), 1e4 * z**2), 3), "too steep for this spacing"),
        (lambda: b.spectrum(p, 3).propagate(-p.boltzmann, [1.0]), "density must be >= 0"),
        (lambda: b.harmonic_levels(np.nan, 1), "omega must be finite"),
        (lambda: b.harmonic_levels(1.0, -1), "integers >= 0"),
        (lambda: b.harmonic_levels(1.0, 1.5), "integers >= 0"),
        (lambda: b.ornstein_uhlenbeck(-1e3, [1.0], [1.0], beta=1.0, rng=0), "above -300"),
        (lambda: critical.z0, "no single place"),
        (lambda: critical.centre, "no single place"),
    ]
    for call, words in cases:
        with pytest.raises(ValueError, match=words):
            call()
    for call in (lambda: b.spectrum(z, 3), lambda: b.kramers(z), lambda: b.oscillators(rbm.W)):
        with pytest.raises(TypeError, match="must be of the type"):
            call()


def test_a_unit_that_never_moves_has_no_part_in_the_dressed_modes():
    gains = np.array([0, 0, 0, 0.1, 0.2, 0.25, 0.2])
    vectors = b.dressed(random_rbm(), gains, np.full(5, 0.25)).vectors
    assert np.abs(vectors).max() < 4
    assert not vectors[:3].any()


# ---------------------------------------------------------------- figures and explorer
def test_figures_draw_what_they_are_given():
    omega = {"u": np.linspace(-1, 2, 10), "w": np.full(3, 2.0)}
    _, ax = figures.boson_spectra({"t": omega})
    assert [t.get_text() for t in ax[0, 0].get_legend().get_texts()] == ["u, 3 below 0", "w, 0 below 0"]
    found = b.spectrum(harmonic(1.0), 4)
    _, ax = figures.wells({"a": (found, np.zeros(401))}, top=3.0)
    assert len(ax[1, 0].lines) == 2 + 2 * 4
    np.testing.assert_allclose(ax[1, 0].lines[0].get_ydata(), 0, atol=1e-12)  # V_Q of a constant potential
    np.testing.assert_allclose(ax[1, 0].lines[1].get_ydata(), found.potential.quantum)
    _, ax = figures.boson_spectra({"t": omega}, top=1.5)
    assert "5 above 1.5" in ax[0, 0].get_xlabel()
    x = np.array([0.1, 0.5])
    _, ax = figures.predicted_and_measured({"p": {"q": (x, x, x / 10)}})
    np.testing.assert_allclose(ax[0, 0].containers[0][0].get_ydata(), x)
    _, ax = figures.measured_on_lines({"m": (x, x, x / 10)}, {"l": (x, 2 * x)}, xlabel="x")
    assert ax.containers[0][0].get_linestyle() == "None"
    assert ax.get_xlabel() == "x"
    np.testing.assert_allclose(ax.lines[0].get_ydata(), 2 * x)


@pytest.mark.parametrize("s", [0.0, 6.0])
@pytest.mark.parametrize("beta", [0.25, 1.5])
@pytest.mark.parametrize("mu", [-1.0, 0.0])
def test_explorer_at_the_ends_of_its_sliders(s, beta, mu):
    mode = explorers.RelaxingMode()
    for time in (0.0, 5.0):
        fig = mode.figure(s, beta, mu, time)
        for line in fig.axes[2].lines:
            assert np.isfinite(np.asarray(line.get_ydata(), float)).all()
    levels = b.spectrum(mode.potential(s, beta, mu), 30)
    total = levels.propagate(levels.potential.boltzmann, [3.0])[0]
    np.testing.assert_allclose(total, levels.potential.boltzmann, atol=1e-6)


def test_explorer_draws_on_one_figure_and_does_not_show_rounding_as_a_gap():
    mode = explorers.RelaxingMode()
    first = mode.figure(3.0, 1.0, 0.0, 1.0)
    count, gap = [len(ax.lines) for ax in first.axes], first.axes[1].get_title()
    assert mode.figure(6.0, 1.5, 0.0, 1.0) is first
    assert first.axes[1].get_title() == "gap Γ₁ < 1e-12"
    mode.figure(3.0, 1.0, 0.0, 1.0)
    assert [len(ax.lines) for ax in first.axes] == count
    assert first.axes[1].get_title() == gap
    assert len(first.axes[2].containers) == 1


def test_explorer_redraws_and_says_so_without_ipywidgets(monkeypatch, capsys):
    box = explorers.relaxing_mode().box()
    picture = box.children[-1]
    before = bytes(picture.value)
    box.children[0].value = 5.0
    assert bytes(picture.value) != before
    monkeypatch.setitem(sys.modules, "ipywidgets", None)
    assert explorers.relaxing_mode().box() is None
    assert "needs ipywidgets" in capsys.readouterr().out


def test_planted_mode_is_stable_below_four_only():
    for s, unstable in ((3.9, 0), (4.1, 1)):
        assert (b.oscillators(planted(20, 15, singular_values=[s], rng=0)).frequencies < 0).sum() == unstable
