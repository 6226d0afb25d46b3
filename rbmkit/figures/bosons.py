"""Figures of notebook 4: wells and their states, relaxing densities, spectra of bosons, gaps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from rbmkit.diffusion import Potential, Spectrum
from rbmkit.figures.style import COLOURS, MARKERS, canvas, house, legend_below

_DASHES = ("-", "--", "-.", ":")


# ---------------------------------------------------------------- wells
@house
def states_in_well(
    ax: Axes, spectrum: Spectrum, *, top: float, levels: int = 5, **legend: object
) -> None:
    """V_Q and the lowest states, each drawn at the height of its level, on one axes.

    The legend stands to the right, unless keywords say otherwise.
    """
    z, V = spectrum.potential.axes[0], spectrum.potential.quantum
    ax.plot(z, V, "-", color="black", linewidth=2, label="$V_Q$")
    scale = 0.35 * top / levels / np.abs(spectrum.psi).max()
    for n, (E, psi) in enumerate(zip(spectrum.E[:levels], spectrum.psi)):
        if E > top:
            break
        ax.axhline(E, color=COLOURS[n], linewidth=0.8, linestyle=":")
        # no mathtext: too slow for a picture that changes
        label = f"E{'₀₁₂₃₄₅₆₇₈₉'[n]} = {E if E > 1e-10 else 0:.2g}"
        ax.plot(z, E + scale * psi, _DASHES[n % 4], color=COLOURS[n], marker="", label=label)
    ax.set_ylim(min(1.1 * V.min(), -0.12 * top), top)
    ax.legend(**{"loc": "center left", "bbox_to_anchor": (1.0, 0.5)} | legend)


@house
def wells(panels: Mapping[str, tuple[Spectrum, np.ndarray]], *, top: float) -> tuple[Figure, Axes]:
    """Above: beta U and a comparison potential. Below: V_Q of both, three states at their levels.

    Each panel has a spectrum of one coordinate and the values of the comparison potential, times
    beta, on its grid.
    """
    fig, ax = canvas(2, len(panels), size=(7.2 / len(panels), 3.0), sharex="col", squeeze=False)
    for (upper, lower), (title, (spectrum, other)) in zip(ax.T, panels.items()):
        potential = spectrum.potential
        z, U = potential.axes[0], potential.beta * potential.U
        centre = len(z) // 2
        shifted = other - other[centre] + U[centre] - U.min()
        upper.plot(z, U - U.min(), "-", color=COLOURS[0], label="exact")
        upper.plot(z, shifted, "--", color=COLOURS[1], label="quadratic")
        upper.set(title=title, ylim=(-0.5, 12))
        upper.legend(loc="upper center", handlelength=1.2, handletextpad=0.4)
        comparison = Potential((z,), other).quantum
        lower.plot(z, comparison, "--", color="0.5", label="$V_Q$ quadratic")
        below = {"loc": "upper center", "bbox_to_anchor": (0.5, -0.2), "ncols": 3}
        narrow = {"handlelength": 1.5, "columnspacing": 1.0}
        states_in_well(lower, spectrum, top=top, levels=3, **below, **narrow)
        lower.set_xlabel("$u$")
    ax[0, 0].set_ylabel(r"$\beta U_{\rm eff}$")
    ax[1, 0].set_ylabel("$V_Q$, $E_n$")
    return fig, ax


# ---------------------------------------------------------------- densities that relax
@house
def relaxing(
    z: np.ndarray,
    times: Sequence[float],
    lines: Mapping[str, np.ndarray],
    edges: np.ndarray,
    walkers: np.ndarray,
) -> tuple[Figure, Axes]:
    """P(z, t), one panel per time: lines (times, points), and histograms of walkers (times, n)."""
    size = (7.2 / len(times), 2.8)
    fig, ax = canvas(1, len(times), size=size, sharey=True, squeeze=False)
    for k, (panel, t) in enumerate(zip(ax.flat, times)):
        now = {name: density[k] for name, density in lines.items()}
        relaxing_panel(panel, z, now, edges, walkers[k])
        panel.set(title=f"t = {t:g}", xlabel="$u$")
    ax[0, 0].set_ylabel("$P(u,t)$")
    legend_below(fig)
    return fig, ax


@house
def relaxing_panel(
    ax: Axes, z: np.ndarray, lines: Mapping[str, np.ndarray], edges: np.ndarray, walkers: np.ndarray
) -> None:
    """One panel of `relaxing`; bars are one standard error of the counts."""
    for k, (name, density) in enumerate(lines.items()):
        style = {"color": COLOURS[k], "marker": "", "linewidth": max(2.5 - k, 1)}
        ax.plot(z, density, _DASHES[k % 4], label=name, **style)
    counts, width = np.histogram(walkers, edges)[0], np.diff(edges)
    scale = 1 / (len(walkers) * width)
    ax.errorbar(
        (edges[1:] + edges[:-1]) / 2,
        counts * scale,
        np.sqrt(counts) * scale,
        fmt="o",
        color="black",
        markersize=3,
        label="walkers",
    )


# ---------------------------------------------------------------- spectra of bosons
@house
def boson_spectra(
    panels: Mapping[str, Mapping[str, np.ndarray]], *, top: float = np.inf, bins: int = 60
) -> tuple[Figure, Axes]:
    """Histograms of frequencies omega, several kinds per panel; unstable ones are counted.

    A dashed line is at omega = 0. The last bin holds all frequencies above `top` and is named.
    """
    fig, ax = canvas(1, len(panels), size=(min(5.0, 7.2 / len(panels)), 3.3), squeeze=False)
    for panel, (title, kinds) in zip(ax.flat, panels.items()):
        stiff = sum((omega > top).sum() for omega in kinds.values())
        kinds = {name: np.minimum(omega, top) for name, omega in kinds.items()}
        low, high = min(w.min() for w in kinds.values()), max(w.max() for w in kinds.values())
        grid = np.linspace(min(low, 0), high, bins + 1)
        for k, (name, omega) in enumerate(kinds.items()):
            label = f"{name}, {(omega < 0).sum()} below 0"
            counts = np.histogram(omega, grid)[0]
            panel.stairs(counts, grid, color=COLOURS[k], alpha=0.25, fill=True)
            line = {"linestyle": _DASHES[k % 4], "linewidth": 1.5, "label": label}
            panel.stairs(counts, grid, color=COLOURS[k], **line)
        panel.axvline(0, ymax=0.75, color="black", linestyle="--", linewidth=1)
        panel.set(title=title, xlabel=r"$\omega$", yscale="log", ylim=(0.7, 2e4))
        if stiff:
            panel.set_xlabel(rf"$\omega$ (last bin: {stiff} above {top:g})")
        panel.legend(loc="upper left")
    ax[0, 0].set_ylabel("number of bosons")
    return fig, ax


# ---------------------------------------------------------------- block Gibbs sampling
@house
def predicted_and_measured(
    panels: Mapping[str, Mapping[str, tuple[np.ndarray, np.ndarray, np.ndarray]]],
    *,
    most: float = 1.2,
) -> tuple[Figure, Axes]:
    """Measured autocorrelation against predictions, each label with (predicted, measured, error).

    Predictions above `most` are drawn there, and the axis says so; above 1, in grey, none is right.
    """
    rows = -(-len(panels) // 2)
    fig, ax = canvas(rows, 2, size=(3.6, 2.9), sharey=True, squeeze=False)
    for panel, (title, series) in zip(ax.flat, panels.items()):
        for k, (name, (x, y, error)) in enumerate(series.items()):
            style = {"fmt": MARKERS[k], "color": COLOURS[k], "markersize": 3, "elinewidth": 0.6}
            panel.errorbar(np.minimum(x, most), y, error, label=name, **style)
        style = {"color": "black", "marker": "", "linewidth": 1, "zorder": 3}
        panel.plot([0, 1], [0, 1], "-", label="equal", **style)
        panel.axvspan(1, most + 0.05, color="0.5", alpha=0.2)
        panel.set(title=title, xlabel=f"predicted (right edge: above {most:g})")
        panel.set(xlim=(-0.05, most + 0.05), ylim=(-0.1, 1.05))
    for row in ax:
        row[0].set_ylabel("measured after one step")
    legend_below(fig, columns=4)
    return fig, ax


@house
def measured_on_lines(
    measured: Mapping[str, Sequence], lines: Mapping[str, Sequence], **axes: object
) -> tuple[Figure, Axes]:
    """Points (x, y, error), above lines (x, y); further keywords are axes properties."""
    fig, ax = canvas()
    for k, (name, (x, y)) in enumerate(lines.items()):
        ax.plot(x, y, _DASHES[k % 4], marker="", color=COLOURS[k], label=name)
    for k, (name, (x, y, error)) in enumerate(measured.items()):
        ax.errorbar(x, y, error, fmt=MARKERS[k], color="black", capsize=3, zorder=3, label=name)
    ax.set(**axes)
    ax.legend()
    return fig, ax


# ---------------------------------------------------------------- lines with a log axis of epochs
@house
def along_training(
    panels: Mapping[str, Mapping[str, tuple]], critical: Sequence[float]
) -> tuple[Figure, Axes]:
    """Quantities against the epoch, with a dotted line at the critical value of each panel.

    Panels by the label of y; in each, (epochs, values) or (epochs, values, errors) by label.
    """
    fig, ax = canvas(1, len(panels), size=(7.2 / len(panels), 3.4), squeeze=False)
    for panel, (ylabel, series), level in zip(ax.flat, panels.items(), critical, strict=True):
        for k, (name, (x, y, *error)) in enumerate(series.items()):
            style = {"linestyle": _DASHES[k % 4], "marker": MARKERS[k], "color": COLOURS[k]}
            panel.errorbar(x, y, *error, label=name, capsize=2, **style)
        panel.axhline(level, color="0.4", linestyle=":")
        panel.set(xlabel="epoch", ylabel=ylabel)
        panel.set_xscale("symlog", linthresh=0.05)
        panel.set_xlim(-0.003, 75)
        panel.set_xticks([0, 0.1, 1, 10], ["0", "0.1", "1", "10"])
    legend_below(fig, columns=2)
    return fig, ax


# ---------------------------------------------------------------- the gap
@house
def gap_closing(
    s: np.ndarray, series: Mapping[str, tuple[np.ndarray, np.ndarray]], critical: float
) -> tuple[Figure, Axes]:
    """Relaxation rates against lambda on a linear and a logarithmic axis.

    `series` maps a label to (lambda, rate).
    """
    fig, ax = canvas(1, 2, size=(3.6, 3.6))
    for panel in ax:
        style = {"color": "0.5", "marker": "", "label": "levels of Eq. (P49): negative"}
        panel.plot(s, critical - s, "--", **style)
        for k, (name, (x, y)) in enumerate(series.items()):
            panel.plot(x, y, "-", marker=MARKERS[k], color=COLOURS[k], label=name, linewidth=1)
        panel.axvline(critical, color="0.4", linestyle=":")
        panel.set(xlabel=r"$\lambda$", xlim=(s[0], s[-1]))
    ax[0].set(ylabel="slowest rate", ylim=(-3.2, 4.2))
    ax[1].set(yscale="log", ylim=(1e-7, 8))
    legend_below(fig)
    return fig, ax
