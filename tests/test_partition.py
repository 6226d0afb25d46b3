"""The partition function in reciprocal space against enumeration, limits that are known exactly,
and expansions."""

import sys

import numpy as np
import pytest
from test_mean_field import COUPLINGS, example, with_fields

from rbmkit import RBM, curie_weiss, curie_weiss_log_z, exact_log_z, planted
from rbmkit.explorers import partition as explorers
from rbmkit.explorers.explorer import png
from rbmkit.mean_field import mean_field, one_loop_log_z, saddle_log_z, stability, tap_log_z
from rbmkit.partition import (
    action,
    frozen,
    gaussian_log_z,
    mode_potential,
)
from rbmkit.projections import kurtosis, log_density, quartic
from rbmkit.reciprocal import modes

METHODS = {
    "saddle": saddle_log_z,
    "one loop": one_loop_log_z,
    "TAP": tap_log_z,
    "Gaussian": gaussian_log_z,
}


@pytest.fixture(params=COUPLINGS)
def rbm(request):
    return with_fields(COUPLINGS[request.param])


# ---------------------------------------------------------------- the action
def test_action_is_a_rotation_that_keeps_the_energy(rbm):
    A = action(rbm)
    s = np.random.default_rng(0).integers(0, 2, (50, rbm.N + rbm.M))
    np.testing.assert_allclose(A.R @ A.R.T, np.eye(len(A.R)), atol=1e-13)
    np.testing.assert_allclose(
        A.energy(A.z(s)), rbm.energy(s[:, : rbm.N], s[:, rbm.N :]), atol=1e-12
    )
    np.testing.assert_allclose(A.means(A.z(s)), s, atol=1e-12)


@pytest.mark.parametrize("beta", [0.0, 0.7, 2.0])
def test_action_is_the_mean_field_functional_at_any_point(rbm, beta):
    A = action(rbm, beta=beta)
    rng = np.random.default_rng(0)
    n = len(A.shift)
    z = rng.normal(size=n)
    zhat = 0.2 * rng.normal(size=n) + 1j * rng.normal(size=n)
    m = A.means(z)
    theta = -1j * zhat @ A.R
    v = m[: rbm.N]
    h = m[rbm.N :]
    value = (
        beta * (rbm.a @ v + rbm.b @ h + v @ rbm.W @ h) - theta @ m + np.log(1 + np.exp(theta)).sum()
    )
    np.testing.assert_allclose(np.exp(A(z, zhat) + n * np.log(2 * np.pi) - value), 1, atol=1e-10)


def test_gradient_of_the_action_by_finite_differences(rbm):
    A = action(rbm, beta=0.8)
    rng = np.random.default_rng(0)
    n = len(A.shift)
    step = 1e-5
    z = rng.normal(size=n)
    zhat = 0.1 * rng.normal(size=n) + 1j * rng.normal(size=n)
    shifts = step * np.eye(n)
    numerical = (A(z + shifts, zhat) - A(z - shifts, zhat)) / (2 * step)
    np.testing.assert_allclose(A.gradient(z, zhat)[0], numerical, atol=1e-8)
    numerical = (A(z, zhat + shifts) - A(z, zhat - shifts)) / (2 * step)
    np.testing.assert_allclose(A.gradient(z, zhat)[1], numerical, atol=1e-8)


@pytest.mark.parametrize("beta", [0.0, 0.5, 1.5])
def test_mean_field_solutions_are_the_saddle_points(rbm, beta):
    found = mean_field(rbm, beta=beta)
    A = action(rbm, beta=beta)
    z = A.z(np.concatenate([found.v[0], found.h[0]]))
    for part in A.gradient(z, A.conjugate(z)):
        np.testing.assert_allclose(part, 0, atol=1e-9)
    value = A(z, A.conjugate(z)).real + len(z) * np.log(2 * np.pi)
    np.testing.assert_allclose(value, found.log_z[0], rtol=1e-12)


def test_one_loop_is_the_determinant_of_the_action(rbm):
    """The second variation in the coordinates of the modes, without any use of A."""
    found = mean_field(rbm, beta=0.4)
    A = action(rbm, beta=0.4)
    m = np.concatenate([found.v[0], found.h[0]])
    covariance = (A.R * (m * (1 - m))) @ A.R.T
    sign, log_det = np.linalg.slogdet(np.eye(len(m)) - 0.4 * covariance * A.curvature)
    assert sign == 1
    np.testing.assert_allclose(found.one_loop[0], found.log_z[0] - log_det / 2, rtol=1e-12)


def test_action_of_strong_fields_does_not_overflow():
    rbm = RBM(W=np.full((3, 2), 400.0), a=[-1200.0, 0, 0], b=[-200.0, 5.0])
    found = mean_field(rbm)
    A = action(rbm)
    z = A.z(np.concatenate([found.v[0], found.h[0]]))
    assert A(z, A.conjugate(z)).real + 5 * np.log(2 * np.pi) == pytest.approx(
        found.log_z[0], rel=1e-12
    )
    for part in A.gradient(z, A.conjugate(z)):
        np.testing.assert_allclose(part, 0, atol=1e-9)


# ---------------------------------------------------------------- estimates of ln Z
def test_values_of_an_example():
    """Those that notebook 3 prints for it."""
    rbm = example()
    assert exact_log_z(rbm) == pytest.approx(15.33541823, abs=1e-8)
    assert saddle_log_z(rbm) == pytest.approx(15.159764, abs=1e-6)
    assert one_loop_log_z(rbm) == pytest.approx(15.319009, abs=1e-6)
    assert gaussian_log_z(rbm) == pytest.approx(21.625872, abs=1e-6)
    assert abs(tap_log_z(rbm) - exact_log_z(rbm)) < 0.02


def test_without_couplings_all_but_the_gaussian_are_exact():
    rbm = with_fields(np.zeros((4, 3)))
    exact = np.log1p(np.exp(rbm.a)).sum() + np.log1p(np.exp(rbm.b)).sum()
    for method in (saddle_log_z, one_loop_log_z, tap_log_z):
        assert method(rbm) == pytest.approx(exact, rel=1e-13)
    assert stability(rbm) == 0
    by_hand = 7 * np.log(2) + (rbm.a.sum() + rbm.b.sum()) / 2 + (rbm.a @ rbm.a + rbm.b @ rbm.b) / 8
    assert gaussian_log_z(rbm) == pytest.approx(by_hand, rel=1e-13)


def test_at_infinite_temperature_all_are_exact(rbm):
    for method in METHODS.values():
        assert method(rbm, beta=0.0) == pytest.approx((rbm.N + rbm.M) * np.log(2), rel=1e-13)


def test_beta_scales_all_parameters(rbm):
    hot = RBM(0.3 * rbm.W, 0.3 * rbm.a, 0.3 * rbm.b)
    for method in METHODS.values():
        assert method(rbm, beta=0.3) == pytest.approx(method(hot), rel=1e-12)


def test_gaussian_is_the_sum_over_modes_of_the_definition(rbm):
    """Modes one by one, with the full SVD; unpaired ones too, also those of singular value zero."""
    beta = 0.6
    U, s, Vt = np.linalg.svd(rbm.W)
    a0 = U.T @ rbm.a
    b0 = Vt @ rbm.b
    mu_x = U.sum(axis=0) / 2
    mu_y = Vt.sum(axis=1) / 2
    total = (rbm.N + rbm.M) * np.log(2)
    for i, value in enumerate(s):
        P = np.array([[4, -beta * value], [-beta * value, 4]])
        J = np.array([4 * mu_x[i] + beta * a0[i], 4 * mu_y[i] + beta * b0[i]])
        total += (
            J @ np.linalg.solve(P, J) / 2
            - 2 * (mu_x[i] ** 2 + mu_y[i] ** 2)
            - np.log(np.linalg.det(P / 4)) / 2
        )
    for field, mu in ((a0[len(s) :], mu_x[len(s) :]), (b0[len(s) :], mu_y[len(s) :])):
        total += (beta * field * mu + beta**2 * field**2 / 8).sum()
    assert gaussian_log_z(rbm, beta=beta) == pytest.approx(total, rel=1e-12)


def test_gaussian_diverges_at_four_and_exactly_there():
    rbm = planted(12, 9, singular_values=[2.0, 1.0], rng=0)
    assert gaussian_log_z(rbm, beta=2.0) == np.inf
    assert np.isfinite(gaussian_log_z(rbm, beta=1.999999))
    assert gaussian_log_z(rbm, beta=1.999999) > gaussian_log_z(rbm, beta=1.99) + 2
    assert np.isfinite(exact_log_z(rbm, beta=2.0))


def test_gaussian_is_one_loop_about_one_half_in_a_symmetric_model():
    rbm = planted(12, 9, singular_values=[2.0, 1.0], rng=0)
    assert gaussian_log_z(rbm, beta=1.7) == pytest.approx(one_loop_log_z(rbm, beta=1.7), rel=1e-12)
    assert stability(rbm, beta=1.7) == pytest.approx(1.7 * 2 / 4)


def slope(errors, scales):
    return np.polyfit(np.log(scales), np.log(np.abs(errors)), 1)[0]


@pytest.mark.parametrize(
    ("name", "order"), [("saddle", 2), ("one loop", 4), ("TAP", 4), ("Gaussian", 4)]
)
def test_orders_in_beta(name, order):
    rbm = with_fields(COUPLINGS["N > M"])
    scales = np.array([0.02, 0.03, 0.05])
    errors = [METHODS[name](rbm, beta=beta) - exact_log_z(rbm, beta=beta) for beta in scales]
    assert slope(errors, scales) == pytest.approx(order, abs=0.15)


@pytest.mark.parametrize(("name", "order"), [("saddle", 2), ("one loop", 3), ("TAP", 3)])
def test_orders_in_the_couplings(name, order):
    W = np.abs(COUPLINGS["N > M"])
    scales = np.array([0.003, 0.006, 0.012])
    family = [RBM(g * W, np.full(6, 1.5), np.full(3, 1.0)) for g in scales]
    errors = [METHODS[name](rbm) - exact_log_z(rbm) for rbm in family]
    assert slope(errors, scales) == pytest.approx(order, abs=0.15)


@pytest.mark.parametrize("value", [2.0, 6.0])
def test_one_loop_over_all_solutions_is_right_to_order_one_over_n(value):
    errors = []
    for n in (100, 200):
        rbm = curie_weiss(n, n, singular_value=value)
        found = mean_field(rbm, np.array([np.full(n, 0.02), np.full(n, 0.98)]))
        errors.append(curie_weiss_log_z(rbm) - np.logaddexp.reduce(found.one_loop))
    assert len(found) == (1 if value < 4 else 2)
    assert errors[0] / errors[1] == pytest.approx(2, rel=0.1)


def test_at_the_critical_point_the_saddle_lacks_a_quarter_of_ln_n():
    gaps = [
        curie_weiss_log_z(rbm) - saddle_log_z(rbm)
        for rbm in (curie_weiss(n, n, singular_value=4.0) for n in (200, 800))
    ]
    assert gaps[1] - gaps[0] == pytest.approx(np.log(4) / 4, rel=0.05)


# ---------------------------------------------------------------- some of the modes
def test_energy_lacks_the_fluctuations_of_the_frozen_modes(rbm):
    rng = np.random.default_rng(0)
    q = modes(rbm)
    v_mean = rng.random(rbm.N)
    h_mean = rng.random(rbm.M)
    v = rng.integers(0, 2, (20, rbm.N))
    h = rng.integers(0, 2, (20, rbm.M))
    for k in range(len(q.s) + 1):
        part, constant = frozen(rbm, k, v_mean, h_mean)
        lost = (q.s * ((v - v_mean) @ q.U) * ((h - h_mean) @ q.V))[:, k:].sum(axis=1)
        np.testing.assert_allclose(
            part.energy(v, h) + constant, rbm.energy(v, h) + lost, atol=1e-12
        )
        assert np.linalg.matrix_rank(part.W, tol=1e-10) <= k


def test_all_modes_frozen_at_a_solution_is_the_saddle(rbm):
    m = mean_field(rbm)
    none, constant = frozen(rbm, 0, m.v[0], m.h[0])
    assert saddle_log_z(none) - constant == pytest.approx(saddle_log_z(rbm), rel=1e-12)


def test_frozen_modes_refuse_wrong_input():
    with pytest.raises(ValueError, match="k must be at most 6"):
        frozen(example(), 7, np.full(10, 0.5), np.full(6, 0.5))
    with pytest.raises(ValueError, match="h_mean"):
        frozen(example(), 2, np.full(10, 0.5), np.full(5, 0.5))


# ---------------------------------------------------------------- one mode
def test_quartic_matches_the_exact_potential_near_the_centre():
    vector = np.random.default_rng(0).normal(size=200)
    vector /= np.linalg.norm(vector)
    form = quartic(vector)
    z = np.linspace(-1, 1, 41)
    assert form.excess == pytest.approx(kurtosis(vector[:, None])[0] - 3)
    assert form.k == pytest.approx(4 * (1 - abs(form.excess) / 2))
    assert form.c4 == pytest.approx(2 * abs(form.excess) / 3)
    exact = -log_density(vector, form.mu + z)
    np.testing.assert_allclose(form(form.mu + z), exact, atol=2 * form.excess**2)
    quadratic = form.constant + 2 * z**2
    assert np.abs(form(form.mu + z) - exact).max() < 0.1 * np.abs(quadratic - exact).max()


def test_quartic_of_a_scaled_vector_and_of_zero():
    vector = np.random.default_rng(0).normal(size=50)
    one = quartic(vector)
    two = quartic(2 * vector)
    assert (two.mu, two.variance, two.excess) == pytest.approx(
        (2 * one.mu, 4 * one.variance, one.excess)
    )
    np.testing.assert_allclose(two(2 * one.mu + 1.0), one(one.mu + 0.5) + np.log(2), rtol=1e-12)
    with pytest.raises(ValueError, match="length of vector"):
        quartic(np.zeros(3))


@pytest.mark.parametrize("value", [1.0, 4.0, 7.0])
def test_potential_of_the_only_mode_integrates_to_z(value):
    rbm = curie_weiss(300, 200, singular_value=value)
    half = np.full(300, 0.5)
    phi = mode_potential(rbm, half, half[:200], tilt=150 * np.linspace(-1, 1, 1001))
    assert phi.log_z == pytest.approx(curie_weiss_log_z(rbm), abs=0.005)


def test_potential_of_a_mode_is_stationary_at_mean_field_solutions():
    """Where the slope of the large-deviation part vanishes; the width of the density shifts it
    by O(1/N)."""
    rbm = RBM(
        6 * planted(400, 300, singular_values=[1.0, 0.4], rng=0).W,
        np.full(400, -0.2),
        np.full(300, 0.1),
    )
    found = mean_field(rbm, beta=0.7)
    phi = mode_potential(rbm, found.v[0], found.h[0], beta=0.7, tilt=np.linspace(-40, 40, 8001))
    at = found.v[0] @ modes(rbm).U[:, 0]
    assert phi.x[phi.value.argmin()] == pytest.approx(at, abs=0.05)


@pytest.mark.parametrize(("value", "miss"), [(2.0, 0.02), (8.0, 0.1), (12.0, 0.6)])
def test_potential_covers_the_support_and_misses_what_it_says(value, miss):
    rbm = curie_weiss(40, 40, singular_value=value)
    half = np.full(40, 0.5)
    phi = mode_potential(rbm, half, half)
    np.testing.assert_allclose(phi.x[[0, -1]], [0, np.sqrt(40)], atol=0.01)
    assert abs(phi.log_z - curie_weiss_log_z(rbm)) < miss


@pytest.mark.parametrize(
    "base", [planted(12, 10, singular_values=[1.0], rng=1), with_fields(COUPLINGS["square"] / 4)]
)
@pytest.mark.parametrize(("scale", "beta"), [(8.0, 1.0), (12.0, 3.0)])
def test_potential_covers_all_solutions(base, scale, beta):
    rbm = RBM(scale * base.W, scale * base.a, scale * base.b)
    found = mean_field(rbm, np.random.default_rng(0).random((30, rbm.N)), beta=beta)
    x = found.v @ modes(rbm).U[:, 0]
    phi = mode_potential(rbm, found.v[0], found.h[0], beta=beta)
    assert phi.x[0] < x.min()
    assert x.max() < phi.x[-1]


def test_potential_of_a_missing_mode_is_refused():
    with pytest.raises(ValueError, match="mode must be below"):
        mode_potential(example(), np.full(10, 0.5), np.full(6, 0.5), mode=6)


# ---------------------------------------------------------------- explorer
@pytest.fixture(scope="module")
def source():
    models = {
        "planted": planted(9, 7, singular_values=[1.0], rng=1),
        "fields": with_fields(COUPLINGS["N < M"] / 3),
    }
    return explorers.Saddles(models, rng=0)


@pytest.mark.parametrize("model", ["planted", "fields"])
@pytest.mark.parametrize(("scale", "beta"), [(0.0, 1.0), (3.0, 0.0), (4.0, 1.0), (8.0, 1.0)])
def test_explorer_draws_at_the_ends_of_its_sliders(source, model, scale, beta):
    assert png(source.figure(model, scale, beta)).startswith(b"\x89PNG")


def test_explorer_shows_the_estimates_of_the_package(source):
    rbm = planted(9, 7, singular_values=[1.0], rng=1)
    texts = [text.get_text() for text in source.figure("planted", 3.0, 1.0).axes[0].texts]
    hot = RBM(3 * rbm.W, 3 * rbm.a, 3 * rbm.b)
    assert texts[1] == f"{one_loop_log_z(hot) - exact_log_z(hot):+.3f}"
    assert source.figure("planted", 5.0, 1.0).axes[0].texts[-1].get_text() == "diverges"


def test_exact_potential_is_the_enumerated_density(source):
    rbm = source.models["planted"]
    edges, potential = source.exact_potential(rbm, modes(rbm).U[:, 0], 1.0)
    width = np.diff(edges)
    p = np.exp(-potential) * width
    x = source.states[9] @ modes(rbm).U[:, 0]
    weight = np.exp(-rbm.free_energy(source.states[9]))
    assert p.sum() == pytest.approx(1)
    mean = (p * (edges[1:] + edges[:-1]) / 2).sum() / p.sum()
    assert mean == pytest.approx((weight * x).sum() / weight.sum(), abs=width[0])


def test_few_values_have_a_bin_each():
    rbm = curie_weiss(9, 7, singular_value=4.0)
    source = explorers.Saddles({"Curie-Weiss": rbm}, rng=0)
    edges, potential = source.exact_potential(rbm, modes(rbm).U[:, 0], 1.0)
    assert len(potential) == 10
    assert np.isfinite(potential).all()
    np.testing.assert_allclose((edges[1:] + edges[:-1]) / 2, np.arange(10) / 3, atol=1e-8)


def test_explorer_redraws_and_says_so_without_ipywidgets(source, monkeypatch, capsys):
    _, scale, *_, image = source.box().children
    before = bytes(image.value)
    scale.value = 6.0
    assert bytes(image.value) != before
    monkeypatch.setitem(sys.modules, "ipywidgets", None)
    assert source.box() is None
    assert "needs ipywidgets" in capsys.readouterr().out
