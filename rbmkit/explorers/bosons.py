"""Explorer of notebook 4: one mode with its potential, its levels, and a density that relaxes, with walkers."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from rbmkit.diffusion import Potential, Spectrum, langevin, spectrum
from rbmkit.explorers.controls import Choice, Slider
from rbmkit.explorers.explorer import Explorer
from rbmkit.figures import bosons as figures
from rbmkit.figures.style import COLOURS, canvas
from rbmkit.projections import log_density
from rbmkit.reciprocal import modes
from rbmkit.solvable import planted

_TIMES = (0.0, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
_WALKERS = 500
_RESOLVED = 1e-12  # the walls make elements of the matrix so large that slower rates are rounding


class RelaxingMode(Explorer):
    """Its controls are lambda, beta, mu and the time. What no slider changes, the constraint, is computed once.

    One figure serves all calls: new axes and ticks would take as long as all the rest.

    The mode has N = 160 visible and M = 120 hidden units in random directions. Coordinate: z = u - mu, from the
    minimum of the constraint; mu is its distance from the saddle.
    """

    eager = False
    controls = {
        "s": Slider("lambda", 3.0, 0.0, 6.0, 0.25),
        "beta": Slider("beta", 1.0, 0.25, 1.5, 0.25),
        "mu": Slider("mu", 0.0, -1.0, 1.0, 0.05),
        "time": Choice("time", 1.0, _TIMES),
    }

    def __init__(self):
        m = modes(planted(160, 120, singular_values=[1.0], rng=1))
        joined = np.concatenate([m.U[:, 0], m.V[:, 0]]) / np.sqrt(2)
        self.z = np.linspace(-6.2, 6.2, 311)
        self.constraint = -log_density(joined, joined.sum() / 2 + self.z)
        self.constraint -= self.constraint.min()
        self.fig, self.ax = canvas(1, 3, size=(3.5, 3.3), layout="none")  # a constrained layout is as slow again
        self.fig.subplots_adjust(left=0.06, right=0.99, bottom=0.16, top=0.87, wspace=0.7)
        for panel in self.ax:
            panel.set(xlabel="$u-\\mu$", xlim=(-6, 6), xticks=(-5, 0, 5))
            panel.yaxis.set_major_locator(MaxNLocator(4))

    def potential(self, s: float, beta: float, mu: float) -> Potential:
        """Effective potential along u: -s u^2 / 2 + V_const / beta, Eq. (31)."""
        return Potential((self.z,), self.constraint / beta - s / 2 * (self.z + mu) ** 2, beta)

    def figure(self, s: float, beta: float, mu: float, time: float = 1.0) -> Figure:
        """Left: beta U and the quadratic one. Middle: V_Q and its states. Right: density and walkers at `time`."""
        potential = self.potential(s, beta, mu)
        found = spectrum(potential, 30)
        for panel in self.ax:
            for artist in [*panel.lines, *panel.collections]:
                artist.remove()
            panel.containers.clear()
        self._well(self.ax[0], potential, s, beta, mu)
        figures.states_in_well(self.ax[1], found, top=max(3.0, 1.15 * found.E[4]), levels=4)
        gap = found.rates[1]
        self.ax[1].set_title("gap Γ₁ " + (f"= {gap:.3g}" if gap > _RESOLVED else f"< {_RESOLVED:g}"))
        self._density(self.ax[2], found, time)
        return self.fig

    def _density(self, ax, found: Spectrum, time: float) -> None:
        potential, start, width = found.potential, -1.0, 0.2
        density = np.exp(-0.5 * ((self.z - start) / width) ** 2)
        density /= density.sum() * potential.cell
        keep = slice(8, -8)  # walls: steep, and never reached
        inner = Potential((self.z[keep],), potential.U[keep], potential.beta)
        first = np.random.default_rng(0).normal(start, width, _WALKERS)
        walkers = langevin(inner, first, [time], dt=0.02 * potential.beta, rng=1)[0] if time else first
        levels = found.propagate(density, [time])[0] if time else density
        lines = {"start": density, "levels": levels, "at the end": potential.boltzmann}
        figures.relaxing_panel(ax, self.z, lines, np.linspace(-6, 6, 41), walkers)
        top = 1.7 * max(line.max() for line in lines.values())  # room for the legend
        ax.set(title=f"P(u, t), t = {time:g}", ylim=(0, top))
        ax.legend(fontsize=8, loc="upper right")

    def _well(self, ax, potential: Potential, s: float, beta: float, mu: float) -> None:
        z, U = self.z, beta * potential.U
        quadratic = 2 * z**2 - beta * s / 2 * (z + mu) ** 2
        level = U[len(z) // 2]
        ax.plot(z, U - level, "-", color=COLOURS[0], marker="", label="exact")
        ax.plot(z, quadratic - quadratic[len(z) // 2], "--", color=COLOURS[1], marker="", label="quadratic")
        if abs(mu) < 4:
            ax.plot(-mu, np.interp(-mu, z, U) - level, "*", color="magenta", markeredgecolor="black", markersize=12)
        low = (U - level).min()
        ax.set_ylim(1.15 * min(low, -1), max(8, -0.4 * low))
        ax.set_title(f"βU,  ω = {(4 - beta * s) / 2:.2f}")
        ax.legend(fontsize=9, loc="upper center")


def relaxing_mode() -> RelaxingMode:
    """The explorer of Sec. 4.5."""
    return RelaxingMode()
