"""Oscillators against computer algebra, the grid and mean field."""

import numpy as np
import pytest
import sympy as sp
from scipy.special import eval_hermite, factorial

from rbmkit import RBM, diffusion, oscillators, relaxation
from rbmkit.reciprocal import modes

pytestmark = pytest.mark.usefixtures("one_thread")


# ---------------------------------------------------------------- algebra of the paper
def test_coupled_oscillators_symbolically():
    """Eqs. (40)-(45) for three variables: V_Q of the quadratic potential from its derivatives; M
    = A^2."""
    n = 3
    beta = sp.Symbol("beta", positive=True)
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
    eq44 = (
        (zeta.T * M * zeta)[0] + (zeta.T * O * delta)[0] + (delta.T * theta * delta)[0] - sum(omega)
    ) / 2
    assert sp.simplify(V_Q - eq44) == 0
    A = sp.diag(*omega) + off / 2
    assert sp.simplify(A * A - (M + M.T) / 2) == sp.zeros(n, n)
    # rows L, mu, zeta; and the package has the same numbers
    values = np.random.default_rng(2).normal(size=(3, 4))
    known = oscillators.Oscillators(np.cov(values.T)[:3, :3], *values[:2, :3], np.zeros(3), 0.7)
    numbers = dict(zip(k, known.k.ravel())) | {beta: 0.7}
    for symbols, row in zip((L, mu, zeta), values):
        numbers |= dict(zip(symbols, row))
    for matrix, ours in (
        ((M + M.T) / 2, known.M),
        (O, known.O),
        (theta, known.Theta),
        (delta.T, [known.Delta]),
    ):
        np.testing.assert_allclose(np.array(matrix.subs(numbers), float), ours, rtol=1e-9)
    assert known.quantum(values[2, :3]) == pytest.approx(float(V_Q.subs(numbers)), rel=1e-9)


def pair(beta, curvature, field, reach, points=161):
    """Two coupled oscillators, and their potential on a grid about the stationary point."""
    k = np.array([[3.0, 1.2], [1.2, 2.0]])
    mu = np.array([0.3, -0.2])
    o = oscillators.Oscillators(k, np.array(curvature), mu, np.array(field), beta)
    axes = tuple(c + np.linspace(-reach, reach, points) for c in o.centre)
    Z = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)
    bU = np.einsum("...i,ij,...j", Z - mu, k, Z - mu) / 2 + beta * (
        (Z**2 @ o.curvature) / 2 - Z @ o.field
    )
    return o, Z, diffusion.Potential(axes, bU / beta, beta)


def test_coupled_oscillators_against_the_grid():
    """Eq. (44) with fields, shifted minimum and beta != 1, and the levels with |alpha| of A, for
    both signs."""
    o, Z, p = pair(1.7, [-0.5, 0.7], [0.4, -0.6], 4.5)
    np.testing.assert_allclose(o.quantum(Z - o.z0)[2:-2, 2:-2], p.quantum[2:-2, 2:-2], atol=1e-9)
    low, high = o.frequencies
    assert low > 0
    np.testing.assert_allclose(diffusion.spectrum(p, 4).E, [0, low, 2 * low, high], atol=4e-3)
    o, Z, p = pair(1.7, [-2.5, 0.7], [0.4, -0.6], 6.5)
    np.testing.assert_allclose(o.quantum(Z - o.z0)[2:-2, 2:-2], p.quantum[2:-2, 2:-2], atol=1e-9)
    low, high = o.frequencies
    assert low < 0 < high
    levels = np.sort(np.add.outer(-low * np.arange(1, 6), high * np.arange(3)).ravel())[:4]
    np.testing.assert_allclose(diffusion.spectrum(p, 4, absorbing=True).E, levels, rtol=4e-3)


def test_a_quartic_term_changes_the_frequency():
    """The remainder of Eq. (43) is of order zeta^2: g z^4 / 24 in V_const adds -g zeta^2 / 8 to
    V_Q."""
    z, k, g = sp.symbols("z k g")
    bU = k * z**2 / 2 + g * z**4 / 24
    V_Q = sp.expand(bU.diff(z) ** 2 / 8 - bU.diff(z, 2) / 4)
    assert sp.simplify(V_Q.coeff(z, 2) - (k**2 / 8 - g / 8)) == 0


# ---------------------------------------------------------------- spectrum
def test_hermite_states_are_those_of_scipy():
    z = np.linspace(-7, 7, 2001)
    for n in (0, 1, 6):
        known = (
            eval_hermite(n, z)
            * np.exp(-(z**2) / 2)
            / np.sqrt(2.0**n * factorial(n) * np.sqrt(np.pi))
        )
        np.testing.assert_allclose(oscillators.hermite_state(n, -1.0, z), known, atol=1e-12)


def test_the_highest_hermite_states_are_normal_and_higher_ones_refused():
    z = np.linspace(-45, 45, 40_001)
    top, below = (oscillators.hermite_state(n, 1.0, z) for n in (500, 498))
    assert [top @ top * (z[1] - z[0]), top @ below * (z[1] - z[0])] == pytest.approx(
        [1, 0], abs=1e-10
    )
    for n in (501, 2**70):
        with pytest.raises(ValueError, match="n must be at most 500, got"):
            oscillators.hermite_state(n, 1.0, z)


# ---------------------------------------------------------------- oscillators of an RBM
def random_rbm(N=7, M=5):
    rng = np.random.default_rng(3)
    return RBM(W=rng.normal(0, 0.6, (N, M)), a=rng.normal(size=N), b=rng.normal(size=M))


@pytest.mark.parametrize("shape", [(7, 5), (4, 6), (3, 3)])
def test_free_bosons_of_an_rbm(shape):
    rbm = random_rbm(*shape)
    free = oscillators.oscillators(rbm, beta=0.7)
    m = modes(rbm)
    K = min(shape)
    np.testing.assert_allclose(free.k, 4 * np.eye(sum(shape)), atol=1e-12)  # Eq. (47)
    expected = np.concatenate(
        [(4 - 0.7 * m.s) / 2, (4 + 0.7 * m.s) / 2, np.full(sum(shape) - 2 * K, 2.0)]
    )
    np.testing.assert_allclose(free.omega, expected, atol=1e-12)  # Eq. (41)
    np.testing.assert_allclose(np.abs(free.Theta).max() + np.abs(free.O).max(), 0, atol=1e-10)
    shift = (m.x0 + m.y0) / np.sqrt(2)  # the paper measures u from the saddle: Eq. (42)
    z0 = (free.mu[:K] - shift) * 4 / (2 * free.omega[:K])
    np.testing.assert_allclose(free.z0[:K] - shift, z0, atol=1e-9)


def test_at_a_mean_field_solution_oscillators_are_centred_and_as_stable_as_dressed_modes():
    rbm = random_rbm()
    m_v = np.full(7, 0.5)
    for _ in range(5000):
        m_h = 1 / (1 + np.exp(-rbm.b - m_v @ rbm.W))
        m_v = 1 / (1 + np.exp(-rbm.a - rbm.W @ m_h))
    coupled = oscillators.oscillators(rbm, m_v, m_h)
    rotation, _ = oscillators._rotation(rbm)
    np.testing.assert_allclose(rotation @ rotation.T, np.eye(12), atol=1e-12)
    np.testing.assert_allclose(rotation @ coupled.centre, np.concatenate([m_v, m_h]), atol=1e-9)
    np.testing.assert_allclose(coupled.M, coupled.half_hessian @ coupled.half_hessian, atol=1e-9)
    assert coupled.frequencies.min() > 0
    for beta in (1.0, 3.0, 8.0):  # same number of unstable directions, counted in two ways
        s = relaxation.dressed(rbm, m_v * (1 - m_v), m_h * (1 - m_h), beta=beta).s
        assert (oscillators.oscillators(rbm, m_v, m_h, beta=beta).frequencies < 0).sum() == (
            s > 1
        ).sum()
    assert (s > 1).any()
