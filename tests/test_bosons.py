"""The figures and the explorer of bosons, and what the modules behind them refuse."""

import sys

import numpy as np
import pytest

from rbmkit import RBM, diffusion, oscillators, planted, relaxation
from rbmkit.explorers import bosons as explorers
from rbmkit.figures import bosons as figures

pytestmark = pytest.mark.usefixtures("one_thread")


def harmonic(k, beta=1.0, points=401, reach=6.0):
    z = np.linspace(-reach, reach, points) / np.sqrt(beta * abs(k))
    return diffusion.Potential((z,), k * z**2 / 2, beta)


def random_rbm(N=7, M=5):
    rng = np.random.default_rng(3)
    return RBM(W=rng.normal(0, 0.6, (N, M)), a=rng.normal(size=N), b=rng.normal(size=M))


# ---------------------------------------------------------------- front door
def test_wrong_input_is_named():
    z = np.linspace(-1, 1, 9)
    p = diffusion.Potential((z,), z**2)
    rbm = random_rbm()
    critical = oscillators.oscillators(planted(6, 9, singular_values=[4.0], rng=0))
    cases = [
        (lambda: diffusion.Potential((z, z, z), z), "one or two"),
        (lambda: diffusion.Potential((z**3,), z), "equidistant"),
        (lambda: diffusion.Potential((z,), z[:-1]), "U must have shape"),
        (lambda: diffusion.Potential((z,), np.where(z > 0.9, np.inf, z)), "inside the support"),
        (lambda: diffusion.Potential((z,), z, beta=0.0), "beta must be above 0"),
        (lambda: diffusion.spectrum(p, 8), "at most 7"),
        (lambda: diffusion.spectrum(p, 3).propagate(p.boltzmann, [-1.0]), "backwards"),
        (lambda: diffusion.langevin(p, [2.0], [1.0], dt=0.1, rng=0), "inside the grid"),
        (lambda: diffusion.langevin(p, [0.0], [1.0, 0.5], dt=0.1, rng=0), "ascending"),
        (lambda: diffusion.kramers(diffusion.Potential((z, z), np.outer(z, z))), "one coordinate"),
        (
            lambda: oscillators.oscillators(rbm, np.ones(7), np.full(5, 0.5)),
            "strictly between 0 and 1",
        ),
        (
            lambda: oscillators.Oscillators(np.array([[1.0, 2.0], [0.0, 1.0]]), *np.zeros((3, 2))),
            "symmetric",
        ),
        (lambda: relaxation.dressed(rbm, np.full(7, 0.3), np.full(5, 0.1)), "between 0 and 1/4"),
        (
            lambda: relaxation.relaxation(
                rbm, np.ones((30, 7)), np.ones((7, 1)), steps=2, lags=3, rng=0
            ),
            "lags must be",
        ),
        (
            lambda: relaxation.relaxation(
                rbm, np.ones((30, 7)), np.zeros((7, 2)), steps=3, lags=2, rng=0
            ),
            "never vary",
        ),
        (
            lambda: diffusion.spectrum(diffusion.Potential((z,), 1e4 * z**2), 3),
            "too steep for this spacing",
        ),
        (lambda: diffusion.spectrum(p, 3).propagate(-p.boltzmann, [1.0]), "density must be >= 0"),
        (lambda: oscillators.harmonic_levels(np.nan, 1), "omega must be finite"),
        (lambda: oscillators.harmonic_levels(1.0, -1), "integers >= 0"),
        (lambda: oscillators.harmonic_levels(1.0, 1.5), "integers >= 0"),
        (lambda: diffusion.ornstein_uhlenbeck(-1e3, [1.0], [1.0], beta=1.0, rng=0), "above -300"),
        (lambda: critical.z0, "no single place"),
        (lambda: critical.centre, "no single place"),
    ]
    for call, words in cases:
        with pytest.raises(ValueError, match=words):
            call()
    for call in (
        lambda: diffusion.spectrum(z, 3),
        lambda: diffusion.kramers(z),
        lambda: oscillators.oscillators(rbm.W),
    ):
        with pytest.raises(TypeError, match="must be of the type"):
            call()


# ---------------------------------------------------------------- figures and explorer
def test_figures_draw_what_they_are_given():
    omega = {"u": np.linspace(-1, 2, 10), "w": np.full(3, 2.0)}
    _, ax = figures.boson_spectra({"t": omega})
    assert [t.get_text() for t in ax[0, 0].get_legend().get_texts()] == [
        "u, 3 below 0",
        "w, 0 below 0",
    ]
    found = diffusion.spectrum(harmonic(1.0), 4)
    _, ax = figures.wells({"a": (found, np.zeros(401))}, top=3.0)
    assert len(ax[1, 0].lines) == 2 + 2 * 3  # three states, and the heights of their levels
    # V_Q of a constant potential
    np.testing.assert_allclose(ax[1, 0].lines[0].get_ydata(), 0, atol=1e-12)
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
    levels = diffusion.spectrum(mode.potential(s, beta, mu), 30)
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
        assert (
            oscillators.oscillators(planted(20, 15, singular_values=[s], rng=0)).frequencies < 0
        ).sum() == unstable
