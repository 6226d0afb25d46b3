"""Figures of notebook 7: trapped chains, the ladder, digits out of noise, and the order in which modes commit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from rbmkit.figures.style import COLOURS, MARKERS, canvas, house, legend_below

_WIDTH = 7.2


def _bare(panel: Axes) -> None:
    """No ticks, grid and frame, around a picture."""
    panel.set(xticks=[], yticks=[])
    panel.grid(False)
    panel.spines[:].set_visible(False)


# ---------------------------------------------------------------- the trap and the ladder
@house
def rows_of_digits(rows: Mapping[str, np.ndarray]) -> tuple[Figure, Axes]:
    """One row of pictures (n, 784) per title, with the title on the left."""
    count = max(len(images) for images in rows.values())
    height = 0.92 * (_WIDTH - 1.5) / count
    fig, ax = canvas(len(rows), 1, size=(_WIDTH, height), squeeze=False)
    for panel, (title, images) in zip(ax.flat, rows.items()):
        tiles = np.pad(np.reshape(images, (-1, 28, 28)), ((0, 0), (1, 1), (1, 1)))
        panel.imshow(np.hstack(tiles), cmap="gray_r", vmin=0, vmax=1)
        panel.set_ylabel(title, rotation=0, ha="right", va="center")
        _bare(panel)
    return fig, ax


@house
def ladder(
    rungs: np.ndarray,
    acceptance: np.ndarray,
    upward: np.ndarray,
    log_z: tuple[np.ndarray, np.ndarray],
    annealed: tuple[np.ndarray, np.ndarray, np.ndarray],
) -> tuple[Figure, Axes]:
    """Acceptance of neighbours, share of upward replicas, and ln Z of a ladder, beside that of AIS.

    `log_z` has values and standard errors of all rungs; `annealed` places, values and standard
    errors. The places should be rungs: between them ln Z is convex, and a line lies above it.
    """
    fig, (left, middle, right) = canvas(1, 3, size=(_WIDTH / 3, 2.8))
    blue, orange, purple = (
        {"color": COLOURS[k], "marker": marker} for k, marker in ((0, "o"), (1, "s"), (3, "^"))
    )
    left.plot((rungs[1:] + rungs[:-1]) / 2, acceptance, label="acceptance", **blue)
    left.plot(rungs, upward, linestyle="--", label="share going up", **orange)
    left.set(ylim=(0, 1.05), yticks=(0, 0.25, 0.5, 0.75, 1))
    places, values, errors = annealed
    middle.plot(rungs, log_z[0], label=r"$\ln Z$, tempering", **blue)
    middle.plot(places, values, linestyle="none", markersize=7, label=r"$\ln Z$, AIS", **purple)
    middle.set_title(r"$\ln Z$")
    difference = values - np.interp(places, rungs, log_z[0])
    error = np.hypot(errors, np.interp(places, rungs, log_z[1]))
    right.axhline(0, color="0.4", linewidth=1)
    right.errorbar(places, difference, yerr=error, capsize=2, **purple)
    right.set_title(r"$\ln Z$: AIS $-$ tempering")
    for panel in (left, middle, right):
        panel.set_xlabel("place on the path")
    legend_below(fig, columns=4)
    return fig, (left, middle, right)


# ---------------------------------------------------------------- generation
@house
def emergence(images: np.ndarray, titles: Sequence[str]) -> tuple[Figure, Axes]:
    """Pictures along paths, (paths, times, 784): a row per path, a column per time."""
    paths, times = images.shape[:2]
    size = _WIDTH / times
    fig, ax = canvas(1, times, size=(size, size * paths + 0.3), squeeze=False)
    for k, (panel, title) in enumerate(zip(ax.flat, titles)):
        tiles = np.pad(images[:, k].reshape(paths, 28, 28), ((0, 0), (1, 1), (1, 1)))
        panel.imshow(np.vstack(tiles), cmap="gray_r", vmin=0, vmax=1)
        panel.set_title(title)
        _bare(panel)
    return fig, ax


@house
def costs(
    curves: Mapping[str, tuple], bands: Sequence[tuple[float, float]], ylabels: Sequence[str]
) -> tuple[Figure, Axes]:
    """Quality against cost, with a band per panel for equilibrium.

    Each curve has costs and, per panel, (values, errors).
    """
    fig, ax = canvas(1, len(bands), size=(_WIDTH / len(bands), 3.4), squeeze=False)
    for k, (panel, (middle, error)) in enumerate(zip(ax.flat, bands)):
        for i, (label, (cost, *series)) in enumerate(curves.items()):
            line = ("-", "--", "", "", "")[i % 5]
            style = {"color": COLOURS[i], "marker": MARKERS[i], "linestyle": line}
            values, errors = series[k]
            panel.errorbar(cost, values, yerr=errors, label=label, capsize=2, **style)
        band = {"color": "0.6", "alpha": 0.5, "linewidth": 0, "label": "equilibrium"}
        panel.axhspan(middle - error, middle + error, **band)
        panel.set(xscale="log", xlabel="Gibbs steps or sweeps per state", ylabel=ylabels[k])
        ticks = [200, 500, 1000, 2000, 4000]
        panel.set_xticks(ticks, [str(tick) for tick in ticks])
        panel.minorticks_off()
    legend_below(fig)
    return fig, ax


# ---------------------------------------------------------------- which mode when
@house
def commitment(
    t: np.ndarray, panels: Mapping[str, Mapping[str, tuple]], smooth: np.ndarray
) -> tuple[Figure, Axes]:
    """Agreement of a state and its return against the signal.

    Each panel maps a label to (values, errors) or (values, errors, theory on `smooth`).
    """
    fig, ax = canvas(1, len(panels), size=(_WIDTH / len(panels), 3.4), squeeze=False)
    for panel, (ylabel, curves) in zip(ax.flat, panels.items()):
        for i, (label, (values, errors, *theory)) in enumerate(curves.items()):
            style = {"color": COLOURS[i], "marker": MARKERS[i], "capsize": 2}
            line = "none" if theory else "-"
            panel.errorbar(t, values, yerr=errors, label=label, linestyle=line, **style)
            if theory:
                line = ("-", "--", "-.", ":")[i % 4]
                panel.plot(smooth, theory[0], color=COLOURS[i], linestyle=line, marker="")
        panel.set(xscale="log", xlabel="signal $t$", ylabel=ylabel, ylim=(-0.1, 1.2))
        panel.legend(loc="upper center", bbox_to_anchor=(0.5, -0.2), ncols=2)
    return fig, ax


@house
def orders(
    panels: Sequence[tuple[str, str, Mapping[str, tuple]]], diagonal: int = 0
) -> tuple[Figure, Axes]:
    """Commitment times against something else; the panel `diagonal` has the line y = x.

    Each panel: label of x, of y, and (x, y, errors) by name.
    """
    fig, ax = canvas(1, len(panels), size=(_WIDTH / len(panels), 3.5), squeeze=False)
    for k, (panel, (xlabel, ylabel, sets)) in enumerate(zip(ax.flat, panels)):
        for i, (label, (x, y, error)) in enumerate(sets.items()):
            style = {"color": COLOURS[i], "marker": MARKERS[i], "capsize": 2, "linestyle": "none"}
            panel.errorbar(x, y, yerr=error, label=label, **style)
        panel.set(xscale="log", yscale="log", xlabel=xlabel, ylabel=ylabel)
        if k == diagonal:
            ends = np.array(panel.get_xlim())
            line = {"color": "0.4", "linestyle": "--", "linewidth": 1, "marker": ""}
            panel.plot(ends, ends, label="$t=1/L$", **line)
        for axis, limits in ((panel.xaxis, panel.get_xlim()), (panel.yaxis, panel.get_ylim())):
            ticks = [tick for tick in (0.1, 0.2, 0.5, 1, 2, 5) if limits[0] <= tick <= limits[1]]
            axis.set_ticks(ticks, [f"{tick:g}" for tick in ticks])
        panel.minorticks_off()
    legend_below(fig)
    return fig, ax


@house
def dissolve(
    original: np.ndarray, noisy: np.ndarray, mean: np.ndarray, ends: np.ndarray, title: str
) -> tuple[Figure, Axes]:
    """A picture, the same in noise, its posterior mean, and what becomes of it: ends (n, 784)."""
    fig, ax = canvas(1, 4, size=(_WIDTH / 4, 2.1))
    half = (len(ends) + 1) // 2
    tiles = np.pad(np.reshape(ends, (-1, 28, 28)), ((0, 2 * half - len(ends)), (1, 1), (1, 1)))
    mosaic = np.vstack([np.hstack(tiles[:half]), np.hstack(tiles[half:])])
    titles = ("before", "with noise", "posterior mean", "run back")
    for panel, picture, name in zip(ax, (original, noisy, mean, mosaic), titles):
        image = picture if picture.ndim == 2 else picture.reshape(28, 28)
        scale = {} if name == "with noise" else {"vmin": 0, "vmax": 1}
        panel.imshow(image, cmap="gray_r", **scale)
        panel.set_title(name)
        _bare(panel)
    fig.suptitle(title)
    return fig, ax
