"""Explorer of notebook 4: one mode with its potential, its levels, and a density that relaxes, with walkers."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from rbmkit.bosons import Potential, langevin, spectrum
from rbmkit.data import planted
from rbmkit.explorers.widgets import explorer, ipywidgets
from rbmkit.figures import bosons as figures
from rbmkit.figures.style import COLOURS, canvas
from rbmkit.reciprocal import log_density, modes

_TIMES = np.array([0.0, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0])
_WALKERS = 500


class RelaxingMode:
    """What the explorer draws; the constraint potential, which no slider changes, is computed once.

    The mode has N = 160 visible and M = 120 hidden units in random directions. Coordinate: z = u - mu, from the
    minimum of the constraint; mu is its distance from the saddle.
    """

    def __init__(self):
        m = modes(planted(160, 120, singular_values=[1.0], rng=1))
        joined = np.concatenate([m.U[:, 0], m.V[:, 0]]) / np.sqrt(2)
        self.z = np.linspace(-6.2, 6.2, 311)
        self.constraint = -log_density(joined, joined.sum() / 2 + self.z)
        self.constraint -= self.constraint.min()

    def potential(self, s: float, beta: float, mu: float) -> Potential:
        """Effective potential along u: -s u^2 / 2 + V_const / beta, Eq. (31)."""
        return Potential((self.z,), self.constraint / beta - s / 2 * (self.z + mu) ** 2, beta)

    def __call__(self, s: float, beta: float, mu: float, time: float = 1.0) -> Figure:
        """Left: beta U and the quadratic one. Middle: V_Q and its states. Right: density and walkers at `time`."""
        potential = self.potential(s, beta, mu)
        found = spectrum(potential, 30)
        fig, ax = canvas(1, 3, size=(3.5, 3.3), layout="none")  # a constrained layout takes as long as all the rest
        fig.subplots_adjust(left=0.06, right=0.99, bottom=0.16, top=0.87, wspace=0.7)
        self._well(ax[0], potential, s, beta, mu)
        figures.states_in_well(ax[1], found, top=max(3.0, 1.15 * found.E[4]), levels=4)
        ax[1].set(xlabel="$u-\\mu$", title=f"gap Γ₁ = {found.rates[1]:.3g}")
        start, width = -1.0, 0.2
        density = np.exp(-0.5 * ((self.z - start) / width) ** 2)
        density /= density.sum() * potential.cell
        keep = slice(8, -8)  # walls: steep, and never reached
        inner = Potential((self.z[keep],), potential.U[keep], beta)
        first = np.random.default_rng(0).normal(start, width, _WALKERS)
        walkers = langevin(inner, first, [time], dt=0.015 * beta, rng=1)[0] if time else first
        lines = {"start": density, "levels": found.propagate(density, [time])[0], "at the end": potential.boltzmann}
        if not time:
            lines["levels"] = density
        figures.relaxing_panel(ax[2], self.z, lines, np.linspace(-6, 6, 41), walkers)
        ax[2].set(xlabel="$u-\\mu$", title=f"P(u, t), t = {time:g}", xlim=(-6, 6), ylim=(0, 2.1))
        ax[2].legend(fontsize=8, loc="upper right")
        for panel in ax:
            panel.locator_params(nbins=5)  # ticks take most of the time of drawing
        return fig

    def _well(self, ax, potential: Potential, s: float, beta: float, mu: float) -> None:
        z, U = self.z, beta * potential.U
        quadratic = 2 * z**2 - beta * s / 2 * (z + mu) ** 2
        level = U[len(z) // 2]
        ax.plot(z, U - level, "-", color=COLOURS[0], marker="", label="exact")
        ax.plot(z, quadratic - quadratic[len(z) // 2], "--", color=COLOURS[1], marker="", label="quadratic")
        if abs(mu) < 4:
            ax.plot(-mu, np.interp(-mu, z, U) - level, "*", color="magenta", markeredgecolor="black", markersize=12)
        low = (U - level).min()
        ax.set(xlabel="$u-\\mu$", ylim=(1.15 * min(low, -1), max(8, -0.4 * low)), xlim=(-6, 6))
        ax.set_title(f"βU,  ω = {(4 - beta * s) / 2:.2f}")
        ax.legend(fontsize=9, loc="upper center")


def relaxing_mode():
    """Explorer of one mode: lambda, beta, mu and the time. None without ipywidgets."""
    widgets = ipywidgets()
    if widgets is None:
        return None
    options = {"continuous_update": False}
    controls = {
        "s": widgets.FloatSlider(3.0, min=0, max=6, step=0.25, description="lambda", **options),
        "beta": widgets.FloatSlider(1.0, min=0.25, max=1.5, step=0.25, description="beta", **options),
        "mu": widgets.FloatSlider(0.0, min=-1, max=1, step=0.05, description="mu", **options),
        "time": widgets.SelectionSlider(options=_TIMES.tolist(), value=1.0, description="time", **options),
    }
    return explorer(controls, RelaxingMode())
