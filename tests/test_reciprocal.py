"""Reciprocal space against enumeration; its figures and explorers."""

import itertools
import sys

import numpy as np
import pytest

from rbmkit import RBM
from rbmkit.explorers import reciprocal as explorers
from rbmkit.figures import canvas
from rbmkit.figures import reciprocal as figures
from rbmkit.reciprocal import flow, match, modes, without


def states(n):
    return np.array(list(itertools.product((0, 1), repeat=n)), dtype=np.uint8)


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
    """Eq. (16) for i > min(N, M); it names a0 only, but for M > N the unpaired modes are hidden
    ones."""
    rbm = random_rbm(N, M)
    U, _, Vt = np.linalg.svd(rbm.W)
    K = min(N, M)
    v = states(N)[-1]
    h = states(M)[-2]
    unpaired = -(U.T @ rbm.a)[K:] @ (U.T @ v)[K:] - (Vt @ rbm.b)[K:] @ (Vt @ h)[K:]
    np.testing.assert_allclose(modes(rbm).energies(v, h)[0, -1], unpaired, atol=1e-13)


def test_a_single_row_is_combined_with_all_rows():
    rbm = random_rbm(4, 3)
    np.testing.assert_allclose(
        modes(rbm).energies(states(4)[5], states(3)).sum(axis=1),
        rbm.energy(states(4)[5], states(3)),
        atol=1e-13,
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
    m = modes(random_rbm(6, 4))
    v = states(6)
    np.testing.assert_allclose(m.x(v), v @ m.U, atol=1e-14)
    np.testing.assert_allclose(m.x(v, [2, 0]), m.x(v)[:, [2, 0]], atol=1e-14)
    assert m.y(states(4), 1).shape == (16,)


def test_projection_of_many_states_is_done_in_blocks(monkeypatch):
    monkeypatch.setattr("rbmkit.reciprocal._BLOCK_ROWS", 7)
    m = modes(random_rbm(6, 4))
    np.testing.assert_allclose(m.x(states(6)), states(6) @ m.U, atol=1e-14)


def test_saddle_points():
    """Gradient zero, Hessian eigenvalues -s and +s, energy a0 b0 / s: by finite differences."""
    m = modes(random_rbm(6, 4))
    eps = 1e-3

    def f(dx, dy):
        return m.landscape(m.x0 + dx, m.y0 + dy)

    np.testing.assert_allclose(f(eps, 0) - f(-eps, 0), 0, atol=1e-14)
    np.testing.assert_allclose(f(0, eps) - f(0, -eps), 0, atol=1e-14)
    np.testing.assert_allclose(f(0, 0), m.saddle_energy, atol=1e-14)
    np.testing.assert_allclose(f(eps, 0) + f(-eps, 0) - 2 * f(0, 0), 0, atol=1e-14)
    cross = (f(eps, eps) - f(eps, -eps) - f(-eps, eps) + f(-eps, -eps)) / (4 * eps**2)
    for k in range(4):
        np.testing.assert_allclose(
            np.linalg.eigvalsh([[0, cross[k]], [cross[k], 0]]), [-m.s[k], m.s[k]], rtol=1e-7
        )


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
    u = (x - y - m.x0 + m.y0) / np.sqrt(2)
    w = (x + y - m.x0 - m.y0) / np.sqrt(2)
    assert np.abs(m.landscape_uw(u, w) - m.landscape(x, y)).max() > 1
    # up to a sign, u and w are swapped
    np.testing.assert_allclose(m.landscape_uw(w, u), m.landscape(x, y), atol=1e-12)


def test_a_mode_without_coupling_has_no_saddle():
    rng = np.random.default_rng(0)
    m = modes(
        RBM(
            W=np.outer(rng.normal(size=5), rng.normal(size=4)),
            a=rng.normal(size=5),
            b=rng.normal(size=4),
        )
    )
    for values, slope in ((m.x0, -m.b0), (m.y0, -m.a0), (m.saddle_energy, m.a0 * m.b0)):
        np.testing.assert_array_equal(np.isfinite(values), [True, False, False, False])
        np.testing.assert_array_equal(values[1:], np.sign(slope[1:]) * np.inf)
    u, w = m.to_uw(1.0, 2.0, 0)
    np.testing.assert_allclose(m.to_xy(u, w, 0), (1.0, 2.0))
    for call in (m.saddle, m.to_uw, m.to_xy, m.landscape_uw):
        for which in (
            ([2], [slice(None)]) if call == m.saddle else ([0.0, 0.0, 2], [0.0, 0.0, [0, 3]])
        ):
            with pytest.raises(ValueError, match="singular value 0: its energy is a plane"):
                call(*which)
    # W = 0 without a division
    assert np.isinf(modes(RBM(np.zeros((3, 2)), np.zeros(3), np.zeros(2))).x0).all()


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
    order = np.array([2, 0, 3, 1])
    sign = np.array([1, -1, -1, 1])
    shuffled = type(m)(
        m.U[:, order] * sign,
        m.s[order],
        m.V[:, order] * sign,
        m.a0[order] * sign,
        m.b0[order] * sign,
        m.a_rest,
        m.b_rest,
    )
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
    m = modes(random_rbm(6, 4))
    times = np.linspace(0, 1.5, 7)
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


# ---------------------------------------------------------------- the mean
def test_without_removes_one_picture_and_one_pattern_and_nothing_else():
    rng = np.random.default_rng(2)
    p = rng.normal(size=30)
    q = np.ones(20)
    W = rng.normal(size=(30, 20))
    rest = without(W, p, q)
    assert np.allclose(p @ rest, 0)
    assert np.allclose(rest @ q, 0)
    assert np.allclose(
        without(W + np.outer(p, rng.normal(size=20)) + np.outer(rng.normal(size=30), q), p, q), rest
    )
    u = rng.normal(size=30)
    v = rng.normal(size=20)
    u = u - p * (u @ p) / (p @ p)
    v = v - v.mean()
    assert np.isclose(u @ rest @ v, u @ W @ v)
    s, left = (np.linalg.svd(matrix, compute_uv=False) for matrix in (W, rest))
    assert (left[:-2] >= s[2:] - 1e-12).all()  # a change of rank two: values interlace
    assert (left <= s + 1e-12).all()
    with pytest.raises(ValueError, match="picture must have shape"):
        without(W, q, q)


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
    ax = landscapes.figure("1", 3, digit="4", show="data").axes[0]
    assert ax.get_title().startswith("mode 3")
    dots = ax.collections[-1].get_offsets()
    m = landscapes.modes["1"]
    x, y = landscapes.data["1"]
    chosen = landscapes.labels == 4
    np.testing.assert_allclose(dots, np.column_stack([x[chosen, 2], y[chosen, 2]]))
    assert x.shape == (50, 20)
    assert m.s[0] > landscapes.modes["0"].s[0]


@pytest.mark.parametrize(("N", "M"), [(7, 4), (4, 7), (5, 5), (6, 1)])
def test_random_spectrum_has_the_law_of_a_gaussian_matrix(N, M):
    """Moments of the largest and the smallest value, 4000 draws of each kind, within 4.5
    standard errors."""
    rng = np.random.default_rng(0)
    direct = np.linalg.svd(rng.normal(size=(4000, N, M)), compute_uv=False)[:, [-1, 0]]
    quick = np.array([explorers.random_spectrum(N, M, rng)[[0, -1]] for _ in range(4000)])
    for power in (1, 2, 3):
        a = direct**power
        b = quick**power
        error = np.sqrt((a.var(axis=0) + b.var(axis=0)) / 4000)
        assert np.all(np.abs(a.mean(axis=0) - b.mean(axis=0)) < 4.5 * error)


def test_explorers_redraw_when_a_control_changes(landscapes):
    for explorer in (landscapes, explorers.random_couplings()):
        *controls, picture = explorer.box().children
        before = bytes(picture.value)
        assert before.startswith(b"\x89PNG")
        controls[1].value += 1
        assert bytes(picture.value) != before


def test_explorers_without_ipywidgets_say_so(monkeypatch, landscapes, capsys):
    monkeypatch.setitem(sys.modules, "ipywidgets", None)
    assert landscapes.box() is None
    assert "needs ipywidgets" in capsys.readouterr().out


def test_pooled_spectra_are_drawn_as_in_the_paper_and_up_to_the_largest_value():
    rng = np.random.default_rng(0)
    groups = {
        f"kind {k}": [np.sort(rng.uniform(0, 60, 80))[::-1] for _ in range(3)] for k in range(2)
    }
    fig, (left, right) = figures.pooled_spectra(groups, ["kind 1"], window=(33, 35))
    values, edges, _ = left.patches[0].get_data()
    assert np.allclose(edges, np.linspace(0, 41, 40))
    assert np.array_equal(
        values, np.histogram(np.concatenate(groups["kind 1"]), np.linspace(0, 41, 40))[0]
    )
    drawn = np.concatenate([line.get_xdata() for line in right.lines])
    everything = np.concatenate([s[s > 12] for several in groups.values() for s in several])
    assert np.allclose(np.sort(drawn), np.sort(everything))
    assert fig.get_size_inches()[0] <= 7.2


def test_passing_counts_values_in_the_window():
    epochs = np.array([0.0, 10, 20])
    values = np.arange(2 * 3 * 4.0).reshape(2, 3, 4)
    counts = np.array([[0, 1, 2], [0, 3, 2]])
    _, (left, right) = figures.passing(epochs, values, {"a": (epochs, counts)}, window=(33, 35))
    assert np.allclose([line.get_ydata() for line in left.lines[:2]], values[:, :, 0])
    line, _, (bars,) = right.containers[0].lines
    assert np.allclose(line.get_ydata(), [0, 2, 2])
    assert np.allclose([np.ptp(bar[:, 1]) / 2 for bar in bars.get_segments()], [0, 1, 0])


def test_the_leading_mode_is_drawn_with_its_spread():
    epochs = np.array([1.0, 2.0])
    some = np.array([[0.5, 0.9], [0.7, 0.9]])
    overlaps = {"PCD": (epochs, some, some / 2)}
    _, (left, right) = figures.leading_mode(
        overlaps, {"PCD": (epochs, 10 * some, 5 * some, 5 * some)}
    )
    assert [len(panel.containers) for panel in (left, right)] == [2, 3]
    assert np.allclose(left.containers[0].lines[0].get_ydata(), [0.6, 0.9])
    assert np.allclose(right.containers[2].lines[0].get_ydata(), [3, 4.5])
