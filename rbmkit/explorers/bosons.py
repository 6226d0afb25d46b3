"""Explorer of notebook 4: one mode, its potential and levels, and a density that relaxes."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
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
_RESOLVED = 1e-12  # below, rates are rounding: the walls are large elements of the matrix


class RelaxingMode(Explorer):
    """Its controls are lambda, beta, mu and the time.

    The mode has N = 160 visible and M = 120 hidden units in random directions. Coordinate:
    z = u - mu, from the minimum of the constraint; mu is its distance from the saddle.

    What no slider changes, the constraint, is computed once. One figure serves all calls: new axes
    and ticks would take as long as all the rest.
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
        # by hand: a constrained layout is as slow again
        self.fig, self.ax = canvas(1, 3, size=(3.5, 3.3), layout="none")
        self.fig.subplots_adjust(left=0.06, right=0.99, bottom=0.16, top=0.87, wspace=0.7)
        for panel in self.ax:
            panel.set(xlabel="$u-\\mu$", xlim=(-6, 6), xticks=(-5, 0, 5))
            panel.yaxis.set_major_locator(MaxNLocator(4))

    def potential(self, s: float, beta: float, mu: float) -> Potential:
        """Effective potential along u: -s u^2 / 2 + V_const / beta, Eq. (31)."""
        u = self.z + mu
        return Potential((self.z,), self.constraint / beta - s / 2 * u**2, beta)

    def figure(self, s: float, beta: float, mu: float, time: float) -> Figure:
        """Left: beta U and the quadratic one. Middle: V_Q and its states. Right: P at `time`."""
        potential = self.potential(s, beta, mu)
        found = spectrum(potential, 30)
        for panel in self.ax:
            for artist in [*panel.lines, *panel.collections]:
                artist.remove()
            panel.containers.clear()
        self._well(self.ax[0], potential, s, beta, mu)
        figures.states_in_well(self.ax[1], found, top=max(3.0, 1.15 * found.E[4]), levels=4)
        gap = found.rates[1]
        size = f"= {gap:.3g}" if gap > _RESOLVED else f"< {_RESOLVED:g}"
        self.ax[1].set_title(f"gap Γ₁ {size}")
        self._density(self.ax[2], found, time)
        return self.fig

    def _density(self, ax: Axes, found: Spectrum, time: float) -> None:
        """A narrow density on the left and its walkers, some time later."""
        potential = found.potential
        centre, width = -1.0, 0.2
        start = np.exp(-0.5 * ((self.z - centre) / width) ** 2)
        start /= start.sum() * potential.cell
        walkers = np.random.default_rng(0).normal(centre, width, _WALKERS)
        levels = start
        if time:
            levels = found.propagate(start, [time])[0]
            keep = slice(8, -8)  # walls: steep, and never reached
            inner = Potential((self.z[keep],), potential.U[keep], potential.beta)
            walkers = langevin(inner, walkers, [time], dt=0.02 * potential.beta, rng=1)[0]
        lines = {"start": start, "levels": levels, "at the end": potential.boltzmann}
        figures.relaxing_panel(ax, self.z, lines, np.linspace(-6, 6, 41), walkers)
        top = 1.7 * max(line.max() for line in lines.values())  # room for the legend
        ax.set(title=f"P(u, t), t = {time:g}", ylim=(0, top))
        ax.legend(fontsize=8, loc="upper right")

    def _well(self, ax: Axes, potential: Potential, s: float, beta: float, mu: float) -> None:
        """Both potentials from their values at z = 0, and the saddle at z = -mu."""
        z = self.z
        centre = len(z) // 2
        exact = beta * potential.U
        exact -= exact[centre]
        quadratic = 2 * z**2 - beta * s / 2 * (z + mu) ** 2
        quadratic -= quadratic[centre]
        ax.plot(z, exact, "-", color=COLOURS[0], marker="", label="exact")
        ax.plot(z, quadratic, "--", color=COLOURS[1], marker="", label="quadratic")
        saddle = np.interp(-mu, z, exact)
        ax.plot(-mu, saddle, "*", color="magenta", markeredgecolor="black", markersize=12)
        low = exact.min()
        ax.set_ylim(1.15 * min(low, -1), max(8, -0.4 * low))
        ax.set_title(f"βU,  ω = {(4 - beta * s) / 2:.2f}")
        ax.legend(fontsize=9, loc="upper center")


def relaxing_mode() -> RelaxingMode:
    """The explorer of Sec. 4.5."""
    return RelaxingMode()
