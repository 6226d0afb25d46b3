"""Reciprocal space against enumeration, numerical integration and random matrices."""

import itertools
import sys

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.optimize import brentq, minimize_scalar
from scipy.special import logsumexp

from rbmkit import RBM
from rbmkit.explorers import reciprocal as explorers
from rbmkit.figures import canvas
from rbmkit.figures import reciprocal as figures
from rbmkit.reciprocal import (
    MarchenkoPastur,
    bulk_distance,
    fit_marchenko_pastur,
    flow,
    haar_kurtosis,
    kurtosis,
    log_density,
    match,
    modes,
    spacings,
    without,
)


def states(n):
    return np.array(list(itertools.product((0, 1), repeat=n)), dtype=np.uint8)


def unit_vector(n, seed):
    vector = np.random.default_rng(seed).normal(size=n)
    return vector / np.linalg.norm(vector)


def random_rbm(N, M, seed=0, scale=1.0):
    rng = np.random.default_rng(seed)
    return RBM(W=rng.normal(0, scale, (N, M)), a=rng.normal(size=N), b=rng.normal(size=M))


SHAPES = [(6, 4), (4, 6), (5, 5), (1, 3)]


# ---------------------------------------------------------------- modes and energies
@pytest.mark.parametrize(("N", "M"), SHAPES)
def test_energy_is_the_sum_over_modes_for_every_state(N, M):
    rbm = random_rbm(N, M)
    pairs = [np.array(x) for x in zip(*itertools.product(states(N), states(M)), strict=True)]
    energies = modes(rbm).energies(*pairs)
    assert energies.shape == (2 ** (N + M), min(N, M) + 1)
    np.testing.assert_allclose(energies.sum(axis=1), rbm.energy(*pairs), atol=1e-13)


@pytest.mark.parametrize(("N", "M"), SHAPES)
def test_rest_is_what_the_unpaired_modes_of_the_full_decomposition_add(N, M):
    """Eq. (16) for i > min(N, M); it names a0 only, but for M > N the unpaired modes are hidden ones."""
    rbm = random_rbm(N, M)
    U, _, Vt = np.linalg.svd(rbm.W)
    K = min(N, M)
    v, h = states(N)[-1], states(M)[-2]
    unpaired = -(U.T @ rbm.a)[K:] @ (U.T @ v)[K:] - (Vt @ rbm.b)[K:] @ (Vt @ h)[K:]
    np.testing.assert_allclose(modes(rbm).energies(v, h)[0, -1], unpaired, atol=1e-13)


def test_a_single_row_is_combined_with_all_rows():
    rbm = random_rbm(4, 3)
    np.testing.assert_allclose(
        modes(rbm).energies(states(4)[5], states(3)).sum(axis=1), rbm.energy(states(4)[5], states(3)), atol=1e-13
    )


@pytest.mark.parametrize(("N", "M"), SHAPES)
def test_modes_are_a_decomposition_with_fixed_signs(N, M):
    rbm = random_rbm(N, M)
    m = modes(rbm)
    np.testing.assert_allclose((m.U * m.s) @ m.V.T, rbm.W, atol=1e-13)
    for vectors in (m.U, m.V):
        np.testing.assert_allclose(vectors.T @ vectors, np.eye(min(N, M)), atol=1e-13)
    assert np.all(m.U.mean(axis=0) >= 0)
    assert np.all(np.diff(m.s) <= 0)


def test_projections_of_some_modes_are_columns_of_all():
    m, v = modes(random_rbm(6, 4)), states(6)
    np.testing.assert_allclose(m.x(v), v @ m.U, atol=1e-14)
    np.testing.assert_allclose(m.x(v, [2, 0]), m.x(v)[:, [2, 0]], atol=1e-14)
    assert m.y(states(4), 1).shape == (16,)


def test_projection_of_many_states_is_done_in_blocks(monkeypatch):
    monkeypatch.setattr("rbmkit.reciprocal._BLOCK_ROWS", 7)
    m = modes(random_rbm(6, 4))
    np.testing.assert_allclose(m.x(states(6)), states(6) @ m.U, atol=1e-14)


def test_saddle_points():
    """Gradient zero, Hessian eigenvalues -s and +s, energy a0 b0 / s: by finite differences."""
    m, eps = modes(random_rbm(6, 4)), 1e-3

    def f(dx, dy):
        return m.landscape(m.x0 + dx, m.y0 + dy)

    np.testing.assert_allclose(f(eps, 0) - f(-eps, 0), 0, atol=1e-14)
    np.testing.assert_allclose(f(0, eps) - f(0, -eps), 0, atol=1e-14)
    np.testing.assert_allclose(f(0, 0), m.saddle_energy, atol=1e-14)
    np.testing.assert_allclose(f(eps, 0) + f(-eps, 0) - 2 * f(0, 0), 0, atol=1e-14)
    cross = (f(eps, eps) - f(eps, -eps) - f(-eps, eps) + f(-eps, -eps)) / (4 * eps**2)
    for k in range(4):
        np.testing.assert_allclose(np.linalg.eigvalsh([[0, cross[k]], [cross[k], 0]]), [-m.s[k], m.s[k]], rtol=1e-7)


def test_rotation_to_u_and_w():
    m = modes(random_rbm(6, 4))
    x, y = np.random.default_rng(1).normal(size=(2, 9, 4))
    u, w = m.to_uw(x, y)
    np.testing.assert_allclose(m.to_xy(u, w), [x, y], atol=1e-13)
    np.testing.assert_allclose(m.landscape_uw(u, w), m.landscape(x, y), atol=1e-12)
    np.testing.assert_allclose(m.to_uw(x[:, 2], y[:, 2], 2), [u[:, 2], w[:, 2]])


def test_equation_23_has_other_signs_than_equations_19_and_27():
    """u and w with the signs inside Eq. (23) do not give the energy of Eq. (20)."""
    m = modes(random_rbm(6, 4))
    x, y = np.random.default_rng(1).normal(size=(2, 9, 4))
    u, w = (x - y - m.x0 + m.y0) / np.sqrt(2), (x + y - m.x0 - m.y0) / np.sqrt(2)
    assert np.abs(m.landscape_uw(u, w) - m.landscape(x, y)).max() > 1
    np.testing.assert_allclose(m.landscape_uw(w, u), m.landscape(x, y), atol=1e-12)  # up to a sign, u and w are swapped


def test_a_mode_without_coupling_has_no_saddle():
    rng = np.random.default_rng(0)
    m = modes(RBM(W=np.outer(rng.normal(size=5), rng.normal(size=4)), a=rng.normal(size=5), b=rng.normal(size=4)))
    for values, slope in ((m.x0, -m.b0), (m.y0, -m.a0), (m.saddle_energy, m.a0 * m.b0)):
        np.testing.assert_array_equal(np.isfinite(values), [True, False, False, False])
        np.testing.assert_array_equal(values[1:], np.sign(slope[1:]) * np.inf)
    u, w = m.to_uw(1.0, 2.0, 0)
    np.testing.assert_allclose(m.to_xy(u, w, 0), (1.0, 2.0))
    for call in (m.saddle, m.to_uw, m.to_xy, m.landscape_uw):
        for which in ([2], [slice(None)]) if call == m.saddle else ([0.0, 0.0, 2], [0.0, 0.0, [0, 3]]):
            with pytest.raises(ValueError, match="singular value 0: its energy is a plane"):
                call(*which)
    assert np.isinf(modes(RBM(np.zeros((3, 2)), np.zeros(3), np.zeros(2))).x0).all()  # W = 0 without a division


def test_wrong_input_is_refused():
    m = modes(random_rbm(6, 4))
    with pytest.raises(ValueError, match="v must have shape"):
        m.x(states(5))
    with pytest.raises(ValueError, match="only 0 and 1"):
        m.y(np.full((2, 4), 2))
    with pytest.raises(ValueError, match="equally many rows"):
        m.energies(states(6)[:3], states(4)[:2])


# ---------------------------------------------------------------- matching
def test_match_undoes_permutation_and_signs():
    m = modes(random_rbm(6, 4))
    order, sign = np.array([2, 0, 3, 1]), np.array([1, -1, -1, 1])
    shuffled = type(m)(
        m.U[:, order] * sign, m.s[order], m.V[:, order] * sign, m.a0[order] * sign, m.b0[order] * sign,
        m.a_rest, m.b_rest,
    )  # fmt: skip
    found = match(shuffled, m)
    for name in ("U", "s", "V", "a0", "b0"):
        np.testing.assert_array_equal(getattr(found.modes, name), getattr(m, name))
    np.testing.assert_array_equal(order[found.order], range(4))
    np.testing.assert_allclose(found.overlap, 1)


def test_match_follows_modes_whose_singular_values_cross():
    m = modes(random_rbm(6, 4))
    rng = np.random.default_rng(3)
    followed = m
    for t in np.linspace(0, 1, 21):
        s = m.s + t * (m.s[::-1] - m.s)  # ends in the opposite order
        W = (m.U * s) @ m.V.T + 1e-6 * rng.normal(size=(6, 4))
        found = match(modes(RBM(W=W, a=np.zeros(6), b=np.zeros(4))), followed)
        if t != 0.5:  # there all the values cross, and the modes of W are those of the noise
            followed = found.modes
    np.testing.assert_allclose(followed.s, m.s[::-1], atol=1e-4)
    np.testing.assert_allclose(followed.U, m.U, atol=1e-3)


def test_match_needs_equal_shapes():
    with pytest.raises(ValueError, match="equal shapes"):
        match(modes(random_rbm(6, 4)), modes(random_rbm(6, 3)))


# ---------------------------------------------------------------- flow
@pytest.mark.parametrize("descend", [True, False])
def test_flow_is_exponential_along_u_and_w(descend):
    m, times = modes(random_rbm(6, 4)), np.linspace(0, 1.5, 7)
    start = np.array([m.x0[1] + 0.3, m.y0[1] - 0.1])
    path = flow(m, 1, start, times, descend=descend)
    u0, w0 = m.to_uw(*start, 1)
    rate = m.s[1] if descend else -m.s[1]
    expected = m.to_xy(u0 * np.exp(rate * times), w0 * np.exp(-rate * times), 1)
    np.testing.assert_allclose(path, np.transpose(expected), rtol=1e-7)
    steps = np.diff(m.landscape(*path.T, 1))
    assert np.all(steps < 0) if descend else np.all(steps > 0)


def test_flow_rests_at_the_saddle():
    m = modes(random_rbm(6, 4))
    path = flow(m, 0, (m.x0[0], m.y0[0]), [0, 1])
    np.testing.assert_allclose(path[1], [m.x0[0], m.y0[0]], atol=1e-10)


# ---------------------------------------------------------------- Marchenko-Pastur
SIZES = [(784, 500, 0.01), (500, 784, 0.01), (60, 60, 1.0), (10, 1, 2.0)]


@pytest.mark.parametrize(("N", "M", "sigma"), SIZES)
def test_marchenko_pastur_density_and_cdf(N, M, sigma):
    law = MarchenkoPastur(N, M, sigma)
    total = quad(law.density, law.low, law.high, epsabs=1e-10)[0]
    second = quad(lambda s: s**2 * law.density(s), law.low, law.high)[0]
    assert total == pytest.approx(1, abs=1e-7)
    assert second == pytest.approx(sigma**2 * max(N, M), rel=1e-6)  # E |W|^2 / min(N, M)
    for s in np.linspace(law.low, law.high, 7):
        assert law.cdf(s) == pytest.approx(quad(law.density, law.low, s)[0], abs=1e-7)
    outside = np.array([-1.0, 0.0, law.low / 2, law.high * 1.1])
    np.testing.assert_array_equal(law.density(outside), 0)
    np.testing.assert_allclose(law.cdf(outside), [0, 0, 0, 1], atol=1e-7)


@pytest.mark.parametrize(("N", "M", "sigma"), [size for size in SIZES if size[0] != size[1]])
def test_marchenko_pastur_maximum(N, M, sigma):
    law = MarchenkoPastur(N, M, sigma)
    found = minimize_scalar(lambda s: -law.density(s), bounds=(law.low, law.high), options={"xatol": 1e-9})
    assert law.mode == pytest.approx(found.x, rel=1e-5)
    assert law.mode == pytest.approx(np.sqrt(law.low * law.high))
    assert law.density(law.mode) == pytest.approx(2 / (np.pi * sigma * np.sqrt(min(N, M))))


def test_marchenko_pastur_of_a_square_matrix_is_the_quarter_circle():
    law, s = MarchenkoPastur(60, 60, 0.5), np.linspace(0.1, 7, 9)
    radius = 2 * 0.5 * np.sqrt(60)
    np.testing.assert_allclose(law.density(s), 4 * np.sqrt(radius**2 - s**2) / (np.pi * radius**2))
    assert law.mode == 0


@pytest.mark.parametrize(("N", "M"), [(300, 200), (200, 300), (200, 200)])
def test_marchenko_pastur_fits_random_matrices(N, M):
    s = np.linalg.svd(np.random.default_rng(0).normal(0, 0.01, (N, M)), compute_uv=False)
    fit = fit_marchenko_pastur(s, N, M)
    grid = (np.arange(len(s)) + 0.5) / len(s)
    assert fit.sigma == pytest.approx(0.01, rel=0.01)  # the spread over matrices is 0.2 to 0.3 %
    assert np.abs(MarchenkoPastur(N, M, 0.01).cdf(s[::-1]) - grid).max() < 0.015  # rigidity: far below 1 / sqrt(200)


def test_fit_ignores_outliers_and_outlier_marks_them():
    rng = np.random.default_rng(1)
    spikes = np.outer(unit_vector(300, 1), unit_vector(200, 2)) * 2 + np.outer(unit_vector(300, 3), unit_vector(200, 4))
    s = np.linalg.svd(rng.normal(0, 0.01, (300, 200)) + spikes, compute_uv=False)
    fit = fit_marchenko_pastur(s, 300, 200)
    assert fit.sigma == pytest.approx(0.01, rel=0.015)
    assert (s > fit.outlier).sum() == 2


@pytest.mark.parametrize("n", [0, 40, 90])
@pytest.mark.parametrize(("N", "M"), [(300, 200), (200, 320)])
def test_a_bulk_stays_a_bulk_however_many_spikes_are_planted(N, M, n):
    """The law of the (N - n, M - n) matrix that is left; that of all values is off by n / min(N, M)."""
    rng = np.random.default_rng((N, n))
    U, V = (np.linalg.qr(rng.normal(size=(size, n)))[0] for size in (N, M))
    s = np.linalg.svd(rng.normal(0, 0.01, (N, M)) + (U * np.linspace(2, 10, n)) @ V.T, compute_uv=False)
    fit = fit_marchenko_pastur(s, N, M)
    assert (s > fit.outlier).sum() == n
    assert (fit.N, fit.M) == (N - n, M - n)
    assert fit.sigma == pytest.approx(0.01, rel=0.015)
    assert bulk_distance(s, fit) < 0.02
    if n:
        whole = np.abs(MarchenkoPastur(N, M, 0.01).cdf(s[::-1]) - (np.arange(len(s)) + 0.5) / len(s)).max()
        assert whole > 0.5 * n / min(N, M)
        assert bulk_distance(s, MarchenkoPastur(N, M, 0.01)) > 2 * bulk_distance(s, fit)


def test_a_bulk_of_another_shape_is_seen():
    rng = np.random.default_rng(3)
    s = np.linalg.svd(rng.normal(size=(300, 200)) * np.geomspace(0.2, 1, 200), compute_uv=False)
    assert bulk_distance(s, fit_marchenko_pastur(s, 300, 200)) > 0.05


def test_outlier_threshold_has_one_false_alarm_in_1000():
    """2000 matrices: 2 expected, 10 or more has probability 5e-5; half the distance to the edge gives far more."""
    rng, law = np.random.default_rng(2), MarchenkoPastur(60, 40, 1.0)
    top = np.linalg.svd(rng.normal(size=(2000, 60, 40)), compute_uv=False)[:, 0]
    assert (top > law.outlier).sum() < 10
    assert (top > (law.high + law.outlier) / 2).sum() > 20


def test_marchenko_pastur_refuses_nonsense():
    with pytest.raises(ValueError, match="sigma"):
        MarchenkoPastur(3, 4, 0.0)
    with pytest.raises(ValueError, match="s must have shape"):
        fit_marchenko_pastur(np.ones(5), 3, 4)


# ---------------------------------------------------------------- gaps, and the mean
def smooth_spectrum(rng, kind, n=60):
    steps = rng.exponential(size=n)
    t = np.cumsum(steps if kind == "independent" else np.sqrt(4 / np.pi * steps))
    return np.sort(40 - 8 * np.log(t) - 0.3 * np.log(t) ** 2)[::-1]


@pytest.mark.parametrize("kind", ["independent", "repelling"])
def test_spectra_without_a_gap_have_uniform_probabilities(kind):
    """200 spectra; the distance of 200 uniform numbers from uniform exceeds 0.115 once in 100 times."""
    rng = np.random.default_rng(0)
    p = [getattr(spacings(smooth_spectrum(rng, kind), draws=200, rng=rng), f"p_{kind}") for _ in range(200)]
    assert np.abs(np.sort(p) - (np.arange(200) + 0.5) / 200).max() < 0.115


def test_a_planted_gap_is_found():
    rng = np.random.default_rng(1)
    s = smooth_spectrum(rng, "repelling")
    s[:9] += 12.0
    found = spacings(s, rng=rng)
    assert np.argmax(found.gaps) == np.argmax(found.relative) == 8  # counted from 0
    assert found.p_repelling < 0.002
    assert found.p_independent < 0.05
    assert np.allclose(found.gaps, s[:39] - s[1:40])


def test_wrong_spectra_are_refused():
    for wrong in (np.arange(50.0), np.ones(39)):
        with pytest.raises(ValueError, match="at least 40 values in descending order"):
            spacings(wrong, rng=0)


def test_without_removes_one_picture_and_one_pattern_and_nothing_else():
    rng = np.random.default_rng(2)
    p, q, W = rng.normal(size=30), np.ones(20), rng.normal(size=(30, 20))
    rest = without(W, p, q)
    assert np.allclose(p @ rest, 0)
    assert np.allclose(rest @ q, 0)
    assert np.allclose(without(W + np.outer(p, rng.normal(size=20)) + np.outer(rng.normal(size=30), q), p, q), rest)
    u, v = rng.normal(size=30), rng.normal(size=20)
    u, v = u - p * (u @ p) / (p @ p), v - v.mean()
    assert np.isclose(u @ rest @ v, u @ W @ v)
    s, left = (np.linalg.svd(matrix, compute_uv=False) for matrix in (W, rest))
    assert (left[:-2] >= s[2:] - 1e-12).all()  # a change of rank two: values interlace
    assert (left <= s + 1e-12).all()
    with pytest.raises(ValueError, match="picture must have shape"):
        without(W, q, q)


# ---------------------------------------------------------------- random states
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
    np.testing.assert_allclose(kurtosis(vectors), (z**4).mean(axis=0) / (z**2).mean(axis=0) ** 2, rtol=1e-12)


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
    np.testing.assert_allclose(found, expected, atol=0.02)  # the tails, where only a few of 12 units can still move


def log_density_by_contour(vector, x):
    """Fourier inversion along the line through the saddle point: a full integral, accurate in the tails too."""
    c, z = np.abs(vector) / 2, abs(x - vector.sum() / 2)
    t0 = brentq(lambda t: c @ np.tanh(t * c) - z, 0, 1e5)
    t = np.linspace(-1, 1, 801) * 12 / np.sqrt(c**2 @ np.cosh(t0 * c) ** -2)
    log_phi = np.log(np.cosh(np.outer(t0 + 1j * t, c))).sum(axis=1)
    peak = np.log(np.cosh(t0 * c)).sum()
    return peak - t0 * z + np.log(np.trapezoid(np.exp(log_phi - peak - 1j * t * z).real, t) / (2 * np.pi))


def test_log_density_from_the_centre_to_far_tails():
    vector = unit_vector(784, 3)
    x = vector.sum() / 2 + np.array([0, 0.5, -1, 1.5, 2, -2.5, 2.7, 3, -4, 6, 8])
    expected = [log_density_by_contour(vector, value) for value in x]
    assert expected[-1] < -150
    np.testing.assert_allclose(log_density(vector, x), expected, atol=3e-6)
    np.testing.assert_allclose(log_density(vector, x[:5]), expected[:5], atol=1e-11)


def test_log_density_is_normalised_symmetric_and_compact():
    vector = unit_vector(200, 4)
    mu, edge = vector.sum() / 2, np.abs(vector).sum() / 2
    z = np.linspace(-edge, edge, 2001)
    density = np.exp(log_density(vector, mu + z))
    assert density.sum() * (z[1] - z[0]) == pytest.approx(1, abs=1e-6)
    assert (density * z**2).sum() * (z[1] - z[0]) == pytest.approx(1 / 4, abs=1e-6)
    np.testing.assert_allclose(log_density(vector, mu + z[5:900]), log_density(vector, mu - z[5:900]), atol=1e-8)
    near = mu + edge * np.array([0.9, 0.99, 0.9999, 1 - 1e-8])
    assert np.all(np.diff(log_density(vector, near)) < 0)
    np.testing.assert_array_equal(log_density(vector, mu + edge * np.array([1.0, -1.0, 1.5])), -np.inf)


def test_log_density_of_u_and_w():
    """u = (x + y) / sqrt 2 up to a shift: the marginal of the joined vector; its excess kurtosis is (g_x + g_y) / 4."""
    x_mode, y_mode = unit_vector(50, 1), unit_vector(30, 2)
    joined = np.concatenate([x_mode, y_mode]) / np.sqrt(2)
    excess = [kurtosis(vector[:, None])[0] - 3 for vector in (x_mode, y_mode, joined)]
    assert excess[2] == pytest.approx((excess[0] + excess[1]) / 4)
    assert np.isfinite(log_density(joined, joined.sum() / 2))


def test_quartic_form_of_the_marginal_near_its_centre():
    """-ln density = t^2 (1 + g/2) / 2 - g t^4 / 24 + const, t = 2 (x - mu), with corrections of order g^2."""
    vector = unit_vector(784, 5)
    g, t = kurtosis(vector[:, None])[0] - 3, np.linspace(-1.5, 1.5, 7)
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


# ---------------------------------------------------------------- figures and explorers
@pytest.fixture
def landscapes():
    rng = np.random.default_rng(0)
    models = {"0": RBM.random(30, 20, sigma=0.1, rng=1), "1": RBM.random(30, 20, sigma=1.0, rng=2)}
    v = rng.integers(0, 2, (50, 30), dtype=np.uint8)
    return explorers.Landscapes(models, v, np.arange(50) % 10, dict.fromkeys(models, v[:7]), rng=0)


def test_saddle_is_drawn_if_it_is_in_view_and_named_if_not():
    m = modes(random_rbm(6, 4))
    for shift, stars in ((0, 1), (100, 0)):
        _, ax = canvas()
        figures.landscape(ax, m, 0, *((z[0] + shift - 1, z[0] + shift + 1) for z in (m.x0, m.y0)))
        assert sum(line.get_marker() == "*" for line in ax.lines) == stars
        assert len(ax.texts) == 1 - stars


def test_landscape_explorer_draws_the_chosen_points(landscapes):
    ax = landscapes("1", 3, digit=4, show="data").axes[0]
    assert ax.get_title().startswith("mode 3")
    dots = ax.collections[-1].get_offsets()
    m, (x, y) = landscapes.modes["1"], landscapes.points["1", "data"]
    chosen = landscapes.labels == 4
    np.testing.assert_allclose(dots, np.column_stack([x[chosen, 2], y[chosen, 2]]))
    assert x.shape == (50, 20)
    assert m.s[0] > landscapes.modes["0"].s[0]


@pytest.mark.parametrize(("N", "M"), [(7, 4), (4, 7), (5, 5), (6, 1)])
def test_random_spectrum_has_the_law_of_a_gaussian_matrix(N, M):
    """Moments of the largest and the smallest value, 4000 draws of each kind, within 4.5 standard errors."""
    rng = np.random.default_rng(0)
    direct = np.linalg.svd(rng.normal(size=(4000, N, M)), compute_uv=False)[:, [-1, 0]]
    quick = np.array([explorers.random_spectrum(N, M, rng)[[0, -1]] for _ in range(4000)])
    for power in (1, 2, 3):
        a, b = direct**power, quick**power
        error = np.sqrt((a.var(axis=0) + b.var(axis=0)) / 4000)
        assert np.all(np.abs(a.mean(axis=0) - b.mean(axis=0)) < 4.5 * error)


def test_explorers_redraw_when_a_control_changes(landscapes):
    for explorer in (explorers.landscapes(landscapes), explorers.marchenko_pastur_explorer()):
        *controls, picture = explorer.children
        before = bytes(picture.value)
        assert before.startswith(b"\x89PNG")
        controls[1].value += 1
        assert bytes(picture.value) != before


def test_explorers_without_ipywidgets_say_so(monkeypatch, landscapes, capsys):
    monkeypatch.setitem(sys.modules, "ipywidgets", None)
    assert explorers.landscapes(landscapes) is None
    assert "needs ipywidgets" in capsys.readouterr().out


def test_pooled_spectra_are_drawn_as_in_the_paper_and_up_to_the_largest_value():
    rng = np.random.default_rng(0)
    groups = {f"kind {k}": [np.sort(rng.uniform(0, 60, 80))[::-1] for _ in range(3)] for k in range(2)}
    fig, (left, right) = figures.pooled_spectra(groups, ["kind 1"], window=(33, 35))
    values, edges, _ = left.patches[0].get_data()
    assert np.allclose(edges, np.linspace(0, 41, 40))
    assert np.array_equal(values, np.histogram(np.concatenate(groups["kind 1"]), np.linspace(0, 41, 40))[0])
    drawn = np.concatenate([line.get_xdata() for line in right.lines])
    everything = np.concatenate([s[s > 12] for several in groups.values() for s in several])
    assert np.allclose(np.sort(drawn), np.sort(everything))
    assert fig.get_size_inches()[0] <= 7.2


def test_passing_counts_values_in_the_window():
    epochs, values = np.array([0.0, 10, 20]), np.arange(2 * 3 * 4.0).reshape(2, 3, 4)
    counts = np.array([[0, 1, 2], [0, 3, 2]])
    _, (left, right) = figures.passing(epochs, values, {"a": (epochs, counts)}, window=(33, 35))
    assert np.allclose([line.get_ydata() for line in left.lines[:2]], values[:, :, 0])
    line, _, (bars,) = right.containers[0].lines
    assert np.allclose(line.get_ydata(), [0, 2, 2])
    assert np.allclose([np.ptp(bar[:, 1]) / 2 for bar in bars.get_segments()], [0, 1, 0])


def test_the_leading_mode_is_drawn_with_its_spread():
    epochs, some = np.array([1.0, 2.0]), np.array([[0.5, 0.9], [0.7, 0.9]])
    overlaps = {"PCD": (epochs, some, some / 2)}
    _, (left, right) = figures.leading_mode(overlaps, {"PCD": (epochs, 10 * some, 5 * some, 5 * some)})
    assert [len(panel.containers) for panel in (left, right)] == [2, 3]
    assert np.allclose(left.containers[0].lines[0].get_ydata(), [0.6, 0.9])
    assert np.allclose(right.containers[2].lines[0].get_ydata(), [3, 4.5])
