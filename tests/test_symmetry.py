"""The figures and explorers of symmetry breaking."""

import sys

import numpy as np
import pytest

from rbmkit import RBM
from rbmkit.explorers import symmetry as explorers
from rbmkit.figures import symmetry as figures
from rbmkit.reciprocal import modes
from rbmkit.symmetry import (
    landau_curve,
    rotation,
)


@pytest.fixture(scope="module")
def small_rotations():
    rbm = RBM.random(784, 12, sigma=0.3, rng=0)
    return explorers.Rotations(rbm, np.random.default_rng(0).integers(0, 2, (20, 12)), rng=0)


@pytest.fixture(scope="module")
def small_wells():
    rbms = [RBM.random(150, 120, sigma=sigma, rng=0) for sigma in (0.05, 0.8)]
    data = np.random.default_rng(0).integers(0, 2, (40, 150))
    return explorers.Wells(dict(zip((0.0, 1.0), rbms)), data, rng=0)


def shades(fig):
    return fig.axes[0].images[0].get_array()


def test_rotation_explorer_draws_the_rotated_model(small_rotations):
    """Against the weights themselves, rotated: U R^T, with the same random numbers."""
    source = small_rotations
    for angle in (0, 90, 180):
        R = rotation(np.eye(12)[None, [0, 3]], [np.deg2rad(angle)])
        expected = source.noise < 1 / (
            1
            + np.exp(
                -(
                    source.field
                    + (R.apply(source.coefficients.T).T - source.coefficients) @ source.U.T
                )
            )
        )
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
    _, ax = figures.divergences(
        {"a": ([500, 784], [[0.1, 0.3], [0.2]])}, {"null": np.array([0.001, 0.003])}
    )
    point = ax.containers[0]
    band = ax.patches[0]
    np.testing.assert_allclose(np.array(point[0].get_ydata(), float), [0.2, 0.2])
    bars = np.array([bar[:, 1] for bar in point[2][0].get_segments()])
    np.testing.assert_allclose(bars, [[0.1, 0.3], [0.2, 0.2]])
    assert (band.get_y(), band.get_y() + band.get_height()) == pytest.approx((0.001, 0.003))
    panels = {"left": {"x": (np.arange(3), 0.1)}, "right": {"y": (np.ones(2),)}}
    _, ax = figures.history(np.array([0, 0.1, 1]), panels)
    np.testing.assert_array_equal(ax[0, 0].containers[0][0].get_ydata(), [0, 1, 2])
    np.testing.assert_array_equal(ax[0, 1].containers[0][0].get_xdata(), [0, 0.1])
    assert (ax[0, 1].get_title(), ax[0, 0].get_xlabel()) == ("right", "epoch")
    images = rng.integers(0, 2, (10, 784))
    _, ax = figures.mosaics({"one": images, "two": images})
    tile = ax[0, 1].images[0].get_array()[31:59, 1:29]
    assert ((tile < 1).any(axis=2) == images[5].reshape(28, 28)).all()
    _, ax = figures.mosaics({"one": images, "two": 1 - images})
    # blue and orange
    assert len(np.unique(ax[0, 1].images[0].get_array()[1:29, 1:29].reshape(-1, 3), axis=0)) == 2
    _, ax = figures.overlaps({"a": np.eye(3)})
    np.testing.assert_array_equal(ax[0, 0].images[0].get_array(), np.eye(3))


def test_order_parameters_have_ribbons_of_the_states_and_bars_of_the_replicas():
    t = np.arange(3.0)
    spread = {"mu": None, "data": np.ones(3), "samples": np.ones(3)}
    series = {name: figures.Summary(t, 0.1 * np.ones(3), one) for name, one in spread.items()}
    _, ax = figures.order_parameters([figures.OrderParameters("M = 5", t, series, series)])
    assert len(ax[0, 0].containers) == 3
    ribbons = [
        c
        for c in ax[0, 0].collections
        if type(c).__name__ in ("FillBetweenPolyCollection", "PolyCollection")
    ]
    assert len(ribbons) == 2
    assert ribbons[0].get_paths()[0].get_extents().intervaly == pytest.approx([-1, 3])
    bars = np.array([bar[:, 1] for bar in ax[0, 0].containers[1][2][0].get_segments()])
    np.testing.assert_allclose(bars, np.column_stack([t - 0.1, t + 0.1]))


def test_landau_and_effect_panels():
    z = np.linspace(-3, 3, 61)
    f = (z**2 - 1) ** 2
    well = figures.Well("epoch 1", z, f, 0.1 * f, starts=np.array([f, f, f]), z=z, landau=5 + f)
    _, ax = figures.double_wells([well], ceiling=2.0)
    line = next(line for line in ax[0, 0].lines if line.get_label() == "Landau's $f_1$")
    np.testing.assert_allclose(line.get_ydata(), f)
    np.testing.assert_allclose(ax[0, 0].containers[0][0].get_ydata(), f[f < 2])
    regime = figures.Panel("y", {"mild": (z, 1 + f, 0.1 * f)}, {"yscale": "log"})
    _, ax = figures.regimes([regime])
    np.testing.assert_allclose(ax[0, 0].containers[0][0].get_ydata(), 1 + f)
    mode = figures.Panel("t", {"digits": (z, f, f), "mu": (z, z)})
    _, ax = figures.two_order_parameters([mode])
    np.testing.assert_allclose(ax[0, 1].lines[2].get_ydata(), z)
    assert (ax[0, 0].get_xscale(), ax[0, 1].get_xscale()) == ("linear", "log")
    rank = np.array([1, 10, 100])
    y = np.array([3.0, 2.0, 1.0])
    effect = figures.Effect(
        "pixels", y, 0.1 * y, level=1.5, level_error=0.2, level_name="drawn again"
    )
    _, ax = figures.effects(rank, {"size": effect})
    np.testing.assert_array_equal(ax[0, 0].containers[0][0].get_ydata(), y)
    assert ax[0, 0].get_xscale() == "log"
    _, ax = figures.growth(rank, np.outer(rank, [1.0, 2.0]), np.outer(rank, [1.1, 2.1]), 4.6)
    np.testing.assert_array_equal(ax.lines[1].get_ydata(), rank)
    np.testing.assert_allclose(ax.lines[0].get_ydata(), 1.1 * rank)
    _, ax = figures.collapse({"M = 5": np.array([[1.0, 0.5], [2.0, 0.7]])}, z, np.ones(61), 4.5)
    np.testing.assert_array_equal(ax.lines[0].get_xydata(), [[1.0, 0.5], [2.0, 0.7]])
    _, ax = figures.weight_histograms(
        {"a": (np.random.default_rng(0).normal(size=(50, 40)), np.zeros((50, 40)))}
    )
    assert ax[0, 0].get_yscale() == "log"
