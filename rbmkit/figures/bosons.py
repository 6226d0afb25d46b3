"""Figures of notebook 4: wells and their states, relaxing densities, spectra of bosons, gaps, block Gibbs sampling."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from rbmkit.diffusion import Potential, Spectrum
from rbmkit.figures.style import COLOURS, MARKERS, canvas

_DASHES = ("-", "--", "-.", ":")


# ---------------------------------------------------------------- wells
def states_in_well(ax: Axes, spectrum: Spectrum, *, top: float, levels: int = 5) -> None:
    """V_Q and the lowest states, each drawn at the height of its level, on one axes."""
    z, V = spectrum.potential.axes[0], spectrum.potential.quantum
    ax.plot(z, V, "-", color="black", linewidth=2, label="$V_Q$")
    scale = 0.35 * top / levels / np.abs(spectrum.psi).max()
    for n, (E, psi) in enumerate(zip(spectrum.E[:levels], spectrum.psi)):
        if E > top:
            break
        ax.axhline(E, color=COLOURS[n], linewidth=0.8, linestyle=":")
        label = f"E{'₀₁₂₃₄₅₆₇₈₉'[n]} = {E if E > 1e-10 else 0:.2g}"  # no mathtext: too slow for a picture that changes
        ax.plot(z, E + scale * psi, _DASHES[n % 4], color=COLOURS[n], marker="", label=label)
    ax.set_ylim(min(1.1 * V.min(), -0.12 * top), top)
    ax.legend(fontsize=9, loc="center left", bbox_to_anchor=(1.0, 0.5))


def wells(panels: Mapping[str, tuple[Spectrum, np.ndarray]], *, top: float) -> tuple[Figure, Axes]:
    """Above: beta U (solid) and a comparison potential (dashed). Below: V_Q of both, states at their levels.

    Each panel has a spectrum of one coordinate and the values of the comparison potential, times beta, on its grid.
    """
    fig, ax = canvas(2, len(panels), size=(7.2 / len(panels), 2.7), sharex="col", squeeze=False)
    for (upper, lower), (title, (spectrum, other)) in zip(ax.T, panels.items()):
        potential = spectrum.potential
        z, U = potential.axes[0], potential.beta * potential.U
        upper.plot(z, U - U.min(), "-", color=COLOURS[0], label=r"$\beta U_{\rm eff}$ exact")
        upper.plot(z, other - other[len(z) // 2] + U[len(z) // 2] - U.min(), "--", color=COLOURS[1], label="quadratic")
        upper.set(title=title, ylim=(-0.5, 12))
        upper.legend(fontsize=9, loc="center left", bbox_to_anchor=(1.0, 0.5))
        lower.plot(z, Potential((z,), other).quantum, "--", color="0.5", label="$V_Q$ quadratic")
        states_in_well(lower, spectrum, top=top)
        lower.set_xlabel("$u$")
    ax[0, 0].set_ylabel("energy / $kT$")
    ax[1, 0].set_ylabel("$V_Q$, $E_n$")
    return fig, ax


# ---------------------------------------------------------------- densities that relax
def relaxing(
    z: np.ndarray,
    times: Sequence[float],
    lines: Mapping[str, np.ndarray],
    edges: np.ndarray,
    walkers: np.ndarray,
) -> tuple[Figure, Axes]:
    """P(z, t), one panel per time: lines (times, points), and walkers (times, n) as a histogram with error bars."""
    fig, ax = canvas(1, len(times), size=(7.2 / len(times), 2.8), sharey=True, squeeze=False)
    for k, (panel, t) in enumerate(zip(ax.flat, times)):
        relaxing_panel(panel, z, {name: density[k] for name, density in lines.items()}, edges, walkers[k])
        panel.set(title=f"t = {t:g}", xlabel="$u$")
    ax[0, 0].set_ylabel("$P(u,t)$")
    ax[0, 0].legend(fontsize=9)
    return fig, ax


def relaxing_panel(
    ax: Axes, z: np.ndarray, lines: Mapping[str, np.ndarray], edges: np.ndarray, walkers: np.ndarray
) -> None:
    """One panel of `relaxing`; bars are one standard error of the counts."""
    for k, (name, density) in enumerate(lines.items()):
        ax.plot(z, density, _DASHES[k % 4], color=COLOURS[k], marker="", linewidth=max(2.5 - k, 1), label=name)
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
def boson_spectra(
    panels: Mapping[str, Mapping[str, np.ndarray]], *, top: float = np.inf, bins: int = 60
) -> tuple[Figure, Axes]:
    """Histograms of frequencies omega, several kinds per panel, with the line omega = 0; unstable ones are counted.

    The last bin holds all frequencies above `top` and is marked.
    """
    fig, ax = canvas(1, len(panels), size=(min(4.6, 7.2 / len(panels)), 3.1), squeeze=False)
    for panel, (title, kinds) in zip(ax.flat, panels.items()):
        stiff = sum((omega > top).sum() for omega in kinds.values())
        kinds = {name: np.minimum(omega, top) for name, omega in kinds.items()}
        low, high = min(w.min() for w in kinds.values()), max(w.max() for w in kinds.values())
        grid = np.linspace(min(low, 0), high, bins + 1)
        for k, (name, omega) in enumerate(kinds.items()):
            style = {"color": COLOURS[k], "hatch": ("", "//", "..")[k % 3], "alpha": 0.6}
            panel.hist(omega, grid, label=f"{name}, {(omega < 0).sum()} below 0", **style)
        panel.axvline(0, color="black", linestyle="--", linewidth=1)
        panel.set(title=title, xlabel=r"$\omega$", yscale="log", ylim=(0.7, 2e4))
        if stiff:
            panel.set_xlabel(rf"$\omega$ (last bin: {stiff} above {top:g})")
        panel.legend(fontsize=9, loc="upper left")
    ax[0, 0].set_ylabel("number of bosons")
    return fig, ax


# ---------------------------------------------------------------- block Gibbs sampling
def predicted_and_measured(
    panels: Mapping[str, Mapping[str, tuple[np.ndarray, np.ndarray, np.ndarray]]], *, least: float = 1e-3
) -> tuple[Figure, Axes]:
    """Measured autocorrelation against predictions; each panel maps a label to (predicted, measured, error).

    Predictions below `least` are drawn there, and the axis says so.
    """
    rows = -(-len(panels) // 2)
    fig, ax = canvas(rows, 2, size=(3.6, 2.7), sharey=True, squeeze=False)
    equal = np.geomspace(least, 1, 200)
    for panel, (title, series) in zip(ax.flat, panels.items()):
        for k, (name, (x, y, error)) in enumerate(series.items()):
            style = {"fmt": MARKERS[k], "color": COLOURS[k], "markersize": 3, "elinewidth": 0.6}
            panel.errorbar(np.maximum(x, least), y, error, label=name, **style)
        panel.plot(equal, equal, "-", color="black", marker="", linewidth=1, zorder=3)
        panel.axvspan(1, 40, color="0.5", alpha=0.2)
        xlabel = f"predicted (left edge: below {least:g})"
        panel.set(title=title, xlabel=xlabel, xscale="log", xlim=(0.8 * least, 40), ylim=(-0.1, 1.05))
    for row in ax:
        row[0].set_ylabel("measured after one step")
    fig.legend(*ax[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=3, fontsize=9)
    return fig, ax


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
def along_training(panels: Sequence[tuple[str, float, Mapping[str, tuple]]]) -> tuple[Figure, Axes]:
    """Panels (ylabel, critical value, label to (epochs, values) or (epochs, values, errors)) against the epoch."""
    fig, ax = canvas(1, len(panels), size=(7.2 / len(panels), 3.4), squeeze=False)
    for panel, (ylabel, critical, series) in zip(ax.flat, panels):
        for k, (name, (x, y, *error)) in enumerate(series.items()):
            style = {"linestyle": _DASHES[k % 4], "marker": MARKERS[k], "color": COLOURS[k], "capsize": 2}
            panel.errorbar(x, y, *error, label=name, **style)
        panel.axhline(critical, color="0.4", linestyle=":")
        panel.set(xlabel="epoch", ylabel=ylabel)
        panel.set_xscale("symlog", linthresh=0.05)
        panel.set_xlim(-0.003, 75)
        panel.set_xticks([0, 0.1, 1, 10], ["0", "0.1", "1", "10"])
        panel.legend(fontsize=9, loc="upper center", bbox_to_anchor=(0.5, -0.2))
    return fig, ax


# ---------------------------------------------------------------- the gap
def gap_closing(
    s: np.ndarray, series: Mapping[str, tuple[np.ndarray, np.ndarray]], critical: float
) -> tuple[Figure, Axes]:
    """Relaxation rates against lambda on a linear and a logarithmic axis; `series` maps a label to (lambda, rate)."""
    fig, ax = canvas(1, 2, size=(3.6, 3.4))
    for panel in ax:
        panel.plot(s, critical - s, "--", color="0.5", marker="", label=r"$2D\omega$ with the levels of Eq. (P49)")
        for k, (name, (x, y)) in enumerate(series.items()):
            panel.plot(x, y, "-", marker=MARKERS[k], color=COLOURS[k], label=name, linewidth=1)
        panel.axvline(critical, color="0.4", linestyle=":")
        panel.set(xlabel=r"$\lambda$", xlim=(s[0], s[-1]))
    ax[0].set(ylabel="slowest rate", ylim=(-3.2, 4.2))
    ax[1].set(yscale="log", ylim=(1e-7, 8))
    fig.legend(*ax[0].get_legend_handles_labels(), loc="outside lower center", ncols=3, fontsize=9)
    return fig, ax
