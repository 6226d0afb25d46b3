"""Figures of notebook 7: trapped chains, the ladder, digits out of noise, when modes commit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from rbmkit.figures.style import COLOURS, MARKERS, canvas, house, legend_below
from rbmkit.likelihood import Estimate
from rbmkit.tempering import Tempered

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
    run: Tempered, places: np.ndarray, annealed: Sequence[Estimate]
) -> tuple[Figure, Axes]:
    """Acceptance of neighbours, share of upward replicas, and ln Z of a ladder, beside that of AIS.

    The places of `annealed` should be rungs: between them ln Z is convex, and a line lies above it.
    """
    fig, (left, middle, right) = canvas(1, 3, size=(_WIDTH / 3, 2.8))
    blue = {"color": COLOURS[0], "marker": "o"}
    orange = {"color": COLOURS[1], "marker": "s"}
    purple = {"color": COLOURS[3], "marker": "^"}
    rungs = run.rungs
    left.plot((rungs[1:] + rungs[:-1]) / 2, run.acceptance, label="acceptance", **blue)
    left.plot(rungs, run.upward, linestyle="--", label="share going up", **orange)
    left.set(ylim=(0, 1.05), yticks=(0, 0.25, 0.5, 0.75, 1))
    values = np.array([estimate.value for estimate in annealed])
    errors = np.array([estimate.stderr for estimate in annealed])
    middle.plot(rungs, run.log_z, label=r"$\ln Z$, tempering", **blue)
    middle.plot(places, values, linestyle="none", markersize=7, label=r"$\ln Z$, AIS", **purple)
    middle.set_title(r"$\ln Z$")
    difference = values - np.interp(places, rungs, run.log_z)
    error = np.hypot(errors, np.interp(places, rungs, run.log_z_stderr))
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
    panels: Mapping[str, Mapping[str, tuple]], bands: Sequence[tuple[float, float]]
) -> tuple[Figure, Axes]:
    """Quality against cost, with a band (middle, half its width) per panel for equilibrium.

    Panels by the label of y; in each, (costs, values, errors) by label.
    """
    fig, ax = canvas(1, len(panels), size=(_WIDTH / len(panels), 3.4), squeeze=False)
    for panel, (ylabel, curves), band in zip(ax.flat, panels.items(), bands, strict=True):
        for i, (label, (cost, values, errors)) in enumerate(curves.items()):
            line = ("-", "--", "", "", "")[i % 5]
            style = {"color": COLOURS[i], "marker": MARKERS[i], "linestyle": line}
            panel.errorbar(cost, values, yerr=errors, label=label, capsize=2, **style)
        middle, half = band
        look = {"color": "0.6", "alpha": 0.5, "linewidth": 0, "label": "equilibrium"}
        panel.axhspan(middle - half, middle + half, **look)
        panel.set(xscale="log", xlabel="Gibbs steps or sweeps per state", ylabel=ylabel)
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
    panels: Mapping[str, Mapping[str, tuple]], *, ylabel: str, diagonal: int = 0
) -> tuple[Figure, Axes]:
    """Commitment times against something else; the panel `diagonal` has the line y = x.

    Panels by the label of x; in each, (x, y, errors) by label.
    """
    fig, ax = canvas(1, len(panels), size=(_WIDTH / len(panels), 3.5), squeeze=False)
    for k, (panel, (xlabel, sets)) in enumerate(zip(ax.flat, panels.items())):
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
