"""Figures of notebook 7: trapped chains, the ladder, digits out of noise, and the order in which modes commit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from rbmkit.figures.style import COLOURS, MARKERS, canvas

_WIDTH = 7.2


def _bare(panel: Axes) -> None:
    """No ticks, grid and frame, around a picture."""
    panel.set(xticks=[], yticks=[])
    panel.grid(False)
    panel.spines[:].set_visible(False)


# ---------------------------------------------------------------- the trap and the ladder
def rows_of_digits(rows: Mapping[str, np.ndarray]) -> tuple[Figure, Axes]:
    """One row of pictures (n, 784) per title, with the title on the left."""
    count = max(len(images) for images in rows.values())
    fig, ax = canvas(len(rows), 1, size=(_WIDTH, 0.92 * (_WIDTH - 1.5) / count), squeeze=False)
    for panel, (title, images) in zip(ax.flat, rows.items()):
        tiles = np.pad(np.reshape(images, (-1, 28, 28)), ((0, 0), (1, 1), (1, 1)))
        panel.imshow(np.hstack(tiles), cmap="gray_r", vmin=0, vmax=1)
        panel.set_ylabel(title, rotation=0, ha="right", va="center", fontsize=9)
        _bare(panel)
    return fig, ax


def ladder(
    rungs: np.ndarray,
    acceptance: np.ndarray,
    upward: np.ndarray,
    log_z: tuple[np.ndarray, np.ndarray],
    annealed: tuple[np.ndarray, np.ndarray, np.ndarray],
) -> tuple[Figure, Axes]:
    """Acceptance of neighbours and share of upward replicas of a ladder; its ln Z, and the difference to AIS.

    `log_z` has values and standard errors of all rungs; `annealed` places, values and standard errors. The places
    should be rungs: between them ln Z is convex, and a line lies above it.
    """
    fig, (left, middle, right) = canvas(1, 3, size=(_WIDTH / 3, 2.7))
    left.plot((rungs[1:] + rungs[:-1]) / 2, acceptance, color=COLOURS[0], marker=MARKERS[0], label="acceptance")
    left.plot(rungs, upward, color=COLOURS[1], marker=MARKERS[1], linestyle="--", label="share going up")
    left.set(ylim=(0, 1.45), yticks=(0, 0.25, 0.5, 0.75, 1), xlabel="place on the path")
    places, values, errors = annealed
    middle.plot(rungs, log_z[0], color=COLOURS[0], marker=MARKERS[0], label="tempering")
    middle.plot(places, values, color=COLOURS[3], marker=MARKERS[2], linestyle="none", markersize=7, label="AIS")
    middle.set(xlabel="place on the path", title=r"$\ln Z$")
    difference = values - np.interp(places, rungs, log_z[0])
    error = np.hypot(errors, np.interp(places, rungs, log_z[1]))
    right.axhline(0, color="0.4", linewidth=1)
    right.errorbar(places, difference, yerr=error, color=COLOURS[3], marker=MARKERS[2], capsize=2)
    right.set(xlabel="place on the path", title=r"$\ln Z$: AIS $-$ tempering")
    for panel in (left, middle):
        panel.legend(fontsize=9, loc="upper left")
    for panel in (left, middle, right):
        panel.title.set_fontsize(10)
    return fig, (left, middle, right)


# ---------------------------------------------------------------- generation
def emergence(images: np.ndarray, titles: Sequence[str]) -> tuple[Figure, Axes]:
    """Pictures along paths, (paths, times, 784): a row per path, a column per time."""
    paths, times = images.shape[:2]
    size = _WIDTH / times
    fig, ax = canvas(1, times, size=(size, size * paths + 0.3), squeeze=False)
    for k, (panel, title) in enumerate(zip(ax.flat, titles)):
        tiles = np.pad(images[:, k].reshape(paths, 28, 28), ((0, 0), (1, 1), (1, 1)))
        panel.imshow(np.vstack(tiles), cmap="gray_r", vmin=0, vmax=1)
        panel.set_title(title, fontsize=9)
        _bare(panel)
    return fig, ax


def costs(curves: Mapping[str, tuple], bands: Sequence[tuple[float, float]], ylabels: Sequence[str]) -> tuple:
    """Quality against cost: each curve has costs and, per panel, (values, errors); a band per panel for equilibrium."""
    fig, ax = canvas(1, len(bands), size=(_WIDTH / len(bands), 3.0), squeeze=False)
    for k, (panel, (middle, error)) in enumerate(zip(ax.flat, bands)):
        for i, (label, (cost, *series)) in enumerate(curves.items()):
            line = ("-", "--", "", "", "")[i % 5]
            style = {"color": COLOURS[i], "marker": MARKERS[i], "capsize": 2, "linestyle": line}
            panel.errorbar(cost, series[k][0], yerr=series[k][1], label=label, **style)
        panel.axhspan(middle - error, middle + error, color="0.6", alpha=0.5, linewidth=0, label="equilibrium")
        panel.set(xscale="log", xlabel="Gibbs steps or sweeps per state", ylabel=ylabels[k])
        panel.set_xticks([200, 500, 1000, 2000, 4000], ["200", "500", "1000", "2000", "4000"])
        panel.minorticks_off()
    ax[0, 0].legend(fontsize=9)
    return fig, ax


# ---------------------------------------------------------------- which mode when
def commitment(t: np.ndarray, panels: Mapping[str, Mapping[str, tuple]], smooth: np.ndarray) -> tuple[Figure, Axes]:
    """Agreement of a state and its return against the signal; in each panel (values, errors[, theory on `smooth`])."""
    fig, ax = canvas(1, len(panels), size=(_WIDTH / len(panels), 3.0), squeeze=False)
    for panel, (ylabel, curves) in zip(ax.flat, panels.items()):
        for i, (label, (values, errors, *theory)) in enumerate(curves.items()):
            style = {"color": COLOURS[i], "marker": MARKERS[i], "capsize": 2}
            panel.errorbar(t, values, yerr=errors, label=label, linestyle="none" if theory else "-", **style)
            if theory:
                panel.plot(smooth, theory[0], color=COLOURS[i], linestyle=("-", "--", "-.", ":")[i % 4], marker="")
        panel.set(xscale="log", xlabel="signal $t$", ylabel=ylabel, ylim=(-0.1, 1.2))
        panel.legend(fontsize=9)
    return fig, ax


def orders(panels: Sequence[tuple[str, str, Mapping[str, tuple]]], diagonal: int = 0) -> tuple[Figure, Axes]:
    """Commitment times against something else: label of x, of y, and (x, y, errors) by name; y = x in one panel."""
    fig, ax = canvas(1, len(panels), size=(_WIDTH / len(panels), 3.2), squeeze=False)
    for k, (panel, (xlabel, ylabel, sets)) in enumerate(zip(ax.flat, panels)):
        for i, (label, (x, y, error)) in enumerate(sets.items()):
            style = {"color": COLOURS[i], "marker": MARKERS[i], "capsize": 2, "linestyle": "none"}
            panel.errorbar(x, y, yerr=error, label=label, **style)
        panel.set(xscale="log", yscale="log", xlabel=xlabel, ylabel=ylabel)
        if k == diagonal:
            line = np.array(panel.get_xlim())
            panel.plot(line, line, color="0.4", linestyle="--", linewidth=1, marker="", label="$t=1/L$")
        panel.legend(fontsize=9)
        for axis, limits in ((panel.xaxis, panel.get_xlim()), (panel.yaxis, panel.get_ylim())):
            ticks = [tick for tick in (0.1, 0.2, 0.5, 1, 2, 5) if limits[0] <= tick <= limits[1]]
            axis.set_ticks(ticks, [f"{tick:g}" for tick in ticks])
        panel.minorticks_off()
    return fig, ax


def dissolve(original: np.ndarray, noisy: np.ndarray, mean: np.ndarray, ends: np.ndarray, title: str) -> tuple:
    """A picture, the same in noise, its posterior mean, and what becomes of it: ends (n, 784)."""
    fig, ax = canvas(1, 4, size=(_WIDTH / 4, 2.1))
    half = (len(ends) + 1) // 2
    tiles = np.pad(np.reshape(ends, (-1, 28, 28)), ((0, 2 * half - len(ends)), (1, 1), (1, 1)))
    mosaic = np.vstack([np.hstack(tiles[:half]), np.hstack(tiles[half:])])
    titles = ("before", "with noise", "posterior mean", "run back")
    for panel, picture, name in zip(ax, (original, noisy, mean, mosaic), titles):
        image = picture if picture.ndim == 2 else picture.reshape(28, 28)
        panel.imshow(image, cmap="gray_r", **({} if name == "with noise" else {"vmin": 0, "vmax": 1}))
        panel.set_title(name, fontsize=10)
        _bare(panel)
    fig.suptitle(title, fontsize=10)
    return fig, ax
