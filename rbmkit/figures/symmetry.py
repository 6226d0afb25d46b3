"""Figures of notebooks 5 and 6: rotated weights, hierarchical learning, Landau's free energy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from rbmkit.figures.parts import Effect, OrderParameters, Panel, Summary, Well
from rbmkit.figures.style import COLOURS, MARKERS, canvas, house, legend_below

_DASHES = ("-", "--", "-.", ":")
_STARTS = ("from ones", "from zeros", "random")


def _epochs(ax: Axes, last: float) -> None:
    """A logarithmic axis of epochs that begins at zero."""
    ax.set_xscale("symlog", linthresh=0.05)
    ticks = [tick for tick in (0, 0.1, 1, 10) if tick <= last]
    ax.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    ax.set_xlim(-0.003, 1.15 * last)
    ax.set_xlabel("epoch")


# ---------------------------------------------------------------- rotations of the weights
@house
def weight_histograms(panels: Mapping[str, tuple[np.ndarray, np.ndarray]]) -> tuple[Figure, Axes]:
    """Densities of the weights before and after rotations, on a logarithmic axis; after Fig. 4."""
    columns = min(2, len(panels))
    fig, ax = canvas(-(-len(panels) // columns), columns, size=(3.6, 2.3), squeeze=False)
    for panel, (title, (before, after)) in zip(ax.flat, panels.items()):
        edge = np.quantile(np.abs(before), 0.9999)
        for k, (name, W) in enumerate((("before", before), ("after", after))):
            density, edges = np.histogram(W, bins=80, range=(-edge, edge), density=True)
            style = {"color": COLOURS[k], "linestyle": _DASHES[k], "marker": MARKERS[k]}
            seen = np.where(density > 0, density, np.nan)
            panel.plot((edges[1:] + edges[:-1]) / 2, seen, label=name, markevery=10, **style)
        panel.set(title=title, xlabel="$W_{ij}$", yscale="log")
    for panel in ax[:, 0]:
        panel.set_ylabel("density")
    legend_below(fig)
    return fig, ax


@house
def divergences(
    series: Mapping[str, tuple[Sequence[int], Sequence[np.ndarray]]], null: Mapping[str, np.ndarray]
) -> tuple[Figure, Axes]:
    """Jensen-Shannon divergence against hidden size; after Fig. 4.

    `series` maps a title to (sizes, values of the replicas of each size): mean, and standard
    deviation as a bar. `null` maps a title to values that untrained models give: a band from the
    smallest to the largest, and their mean.
    """
    fig, ax = canvas(size=(7.2, 3.8))
    for k, (title, (sizes, values)) in enumerate(series.items()):
        mean, error = [np.mean(row) for row in values], [np.std(row) for row in values]
        style = {"color": COLOURS[k], "fmt": MARKERS[k], "capsize": 4, "markersize": 7}
        ax.errorbar(np.asarray(sizes) * 1.02**k, mean, yerr=error, label=title, **style)
    for k, (title, values) in enumerate(null.items()):
        colour = COLOURS[len(series) + k]
        ax.axhspan(values.min(), values.max(), color=colour, alpha=0.4, linewidth=0)
        ax.axhline(values.mean(), color=colour, linestyle=("--", ":")[k % 2], label=title)
    ax.set(xscale="log", yscale="log", xlabel="hidden units $M$")
    ax.set_ylabel("Jensen-Shannon divergence (nats)")
    sizes = sorted({size for row, _ in series.values() for size in row})
    ax.set_xticks(sizes, [str(size) for size in sizes])
    ax.minorticks_off()
    fig.legend(loc="outside right center")
    return fig, ax


@house
def history(
    epochs: np.ndarray, panels: Mapping[str, Mapping[str, tuple]]
) -> tuple[Figure, Axes]:
    """Curves against the epoch, above each panel what is drawn in it.

    In each panel, (values,) or (values, errors) by label.
    """
    fig, ax = canvas(1, len(panels), size=(7.2 / len(panels), 3.6), squeeze=False)
    for panel, (title, series) in zip(ax.flat, panels.items()):
        for k, (label, (y, *error)) in enumerate(series.items()):
            style = {"color": COLOURS[k % 7], "marker": MARKERS[k % 8], "label": label}
            bars = {"yerr": error[0] if error else None, "capsize": 2, "elinewidth": 1}
            panel.errorbar(epochs[: len(y)], y, **bars, **style)
        _epochs(panel, epochs[-1])
        panel.set_title(title)
        panel.legend(loc="upper center", bbox_to_anchor=(0.5, -0.18), ncols=2)
    return fig, ax


# ---------------------------------------------------------------- hierarchical learning
@house
def growth(
    updates: np.ndarray, measured: np.ndarray, predicted: np.ndarray, critical: float
) -> tuple[Figure, Axes]:
    """Singular values (updates, modes) of a training, and of its linear theory.

    Lines are at the values where a mode is critical.
    """
    fig, ax = canvas(size=(7.2, 3.9))
    for k in range(measured.shape[1]):
        style = {"color": COLOURS[k], "marker": MARKERS[k], "label": rf"$\lambda_{k + 1}$"}
        ax.plot(updates, predicted[:, k], "--", color=COLOURS[k], marker="", linewidth=1)
        ax.plot(updates, measured[:, k], **style)
    ax.axhline(4, color="black", linestyle=":", linewidth=1)
    ax.text(updates[-1], 3.85, r"$\lambda_c=4$", ha="right", va="top")
    ax.axhline(critical, color="0.4", linestyle="-.", linewidth=1)
    ax.text(updates[0], critical * 1.05, rf"$\lambda_c={critical:.2f}$, real pixels", va="bottom")
    ax.plot([], [], "--", color="black", marker="", label="linear\ntheory")
    ax.set(xlabel="update", ylabel="singular value", yscale="log")
    ax.set_ylim(0.9 * measured.min(), 1.6 * measured.max())
    ax.set_yticks([0.5, 1, 2, 4], ["0.5", "1", "2", "4"])
    ax.minorticks_off()
    fig.legend(loc="outside right center")
    return fig, ax


@house
def overlaps(panels: Mapping[str, np.ndarray]) -> tuple[Figure, Axes]:
    """Matrices |U_i . P_j| of modes with principal components, black for 1."""
    fig, ax = canvas(1, len(panels), size=(7.2 / len(panels), 2.3), squeeze=False, sharey=True)
    for panel, (title, matrix) in zip(ax.flat, panels.items()):
        edges = 0.5, matrix.shape[1] + 0.5, matrix.shape[0] + 0.5, 0.5
        image = panel.imshow(matrix, cmap="Greys", vmin=0, vmax=1, extent=edges)
        panel.set(title=title, xticks=range(2, matrix.shape[1] + 1, 2))
        panel.grid(False)
    ax[0, 0].set_ylabel("mode $i$")
    fig.supxlabel("principal component $j$", fontsize=10)
    fig.colorbar(image, ax=ax, label=r"$|U_i\cdot P_j|$", shrink=0.85)
    return fig, ax


@house
def mosaics(panels: Mapping[str, np.ndarray], *, columns: int = 5) -> tuple[Figure, Axes]:
    """Sets of images (n, 784), the first as it is; after Fig. 6.

    In the others what is added to it is orange, what is taken away blue.
    """
    across = min(2, len(panels))
    fig, ax = canvas(-(-len(panels) // across), across, size=(3.6, 1.75), squeeze=False)
    first = np.asarray(next(iter(panels.values())), int)
    shades = np.array([to_rgb(name) for name in ("white", COLOURS[0], COLOURS[1], "0.45")])
    for panel, (title, images) in zip(ax.flat, panels.items()):
        rows = len(images) // columns
        # 0 paper, 1 taken away, 2 added, 3 ink in both
        code = (first + 2 * np.asarray(images, int)).reshape(rows, columns, 28, 28)
        tiles = np.pad(code, ((0, 0), (0, 0), (1, 1), (1, 1)))
        whole = tiles.transpose(0, 2, 1, 3).reshape(rows * 30, -1)
        panel.imshow(shades[whole], interpolation="nearest")
        panel.set_title(title)
    for panel in ax.flat:
        panel.set_axis_off()
    return fig, ax


@house
def effects(rank: np.ndarray, panels: Mapping[str, Effect]) -> tuple[Figure, Axes]:
    """What a rotation of two neighbouring modes does, against their rank, by title.

    The band is what they are compared with.
    """
    fig, ax = canvas(1, len(panels), size=(7.2 / len(panels), 3.1), squeeze=False)
    for k, (panel, (title, one)) in enumerate(zip(ax.flat, panels.items())):
        style = {"color": COLOURS[k], "marker": MARKERS[k], "capsize": 2}
        panel.errorbar(rank, one.values, yerr=one.errors, **style)
        low, high = one.level - one.level_error, one.level + one.level_error
        panel.axhspan(low, high, color="0.6", alpha=0.6, linewidth=0)
        line = {"color": "0.3", "linestyle": ("--", ":")[k % 2], "linewidth": 1}
        panel.axhline(one.level, label=one.level_name, **line)
        panel.set(title=title, xscale="log", xlabel="rank of the first mode", ylabel=one.label)
    legend_below(fig)
    return fig, ax


# ---------------------------------------------------------------- Landau
def landau_curves(
    ax: Axes, z: np.ndarray, curves: Mapping[str, np.ndarray], *, ceiling: float
) -> None:
    """Free energies over z, each from its minimum within view, cut at `ceiling`."""
    for k, (label, f) in enumerate(curves.items()):
        y = f - np.min(f[np.isfinite(f)])
        style = {"color": COLOURS[k], "linestyle": _DASHES[k % 4], "marker": MARKERS[k]}
        ax.plot(z, np.where(y < ceiling, y, np.nan), label=label, markevery=25, **style)
    ax.set_ylim(-0.04 * ceiling, ceiling)


def rug(ax: Axes, data: np.ndarray, samples: np.ndarray, ceiling: float) -> None:
    """Histograms of data (filled) and of short chains (outline) along the lower edge of the axes.

    They are half as high as it.
    """
    low, high = min(data.min(), samples.min()), max(data.max(), samples.max())
    bins = np.linspace(low, high, 31)
    filled = {"histtype": "stepfilled", "color": COLOURS[5], "alpha": 0.6, "label": "test digits"}
    outline = {"histtype": "step", "color": "black", "label": "20 steps from digits"}
    for values, style in ((data, filled), (samples, outline)):
        counts, _ = np.histogram(values, bins)
        scale = 0.5 * ceiling / counts.max()
        ax.hist(values, bins, weights=np.full(len(values), scale), **style)


@house
def double_wells(wells: Sequence[Well], *, ceiling: float = 8.0) -> tuple[Figure, Axes]:
    """-ln p(u_1) measured in equilibrium, above; the same on the scale of Landau's f_1, below.

    All in kT above their minimum, -ln p up to `ceiling`. The lower panels reach a little above the
    hill of f_1 if there is one.
    """
    size = (7.2 / len(wells), 2.5)
    fig, ax = canvas(2, len(wells), size=size, sharex="row", squeeze=False)
    for (upper, lower), well in zip(ax.T, wells):
        depth = well.landau - np.nanmin(well.landau)
        for panel in (upper, lower):
            _measured_well(panel, well, ceiling)
            panel.plot(well.z, depth, "--", color=COLOURS[1], marker="", label="Landau's $f_1$")
        for row, marker, colour, label in zip(well.starts, MARKERS, COLOURS, _STARTS):
            style = {"markerfacecolor": "none", "color": colour, "linestyle": "none"}
            seen = np.flatnonzero(row < ceiling)[::4]
            upper.plot(well.u[seen], row[seen], marker, label=label, **style)
        top = 1.15 * _hill(depth[np.isfinite(depth)], ceiling)
        upper.set(title=well.title, xlim=(-10, 10), ylim=(-0.3, ceiling))
        lower.set(xlabel="$u_1$", xlim=(-12.5, 12.5), ylim=(-0.04 * top, top))
    for panel in ax[0, 1:]:
        panel.tick_params(labelleft=False)
    ax[0, 0].set_ylabel("$-\\ln p(u_1)$, kT")
    ax[1, 0].set_ylabel("the same, more kT")
    legend_below(fig, columns=5)
    return fig, ax


def _measured_well(ax: Axes, well: Well, ceiling: float) -> None:
    shown = well.free < ceiling
    style = {"color": "black", "marker": "", "linewidth": 1.2, "label": "all"}
    ax.errorbar(well.u[shown], well.free[shown], well.error[shown], **style)


def _hill(depth: np.ndarray, least: float) -> float:
    """The highest maximum within a curve, or `least` if there is none so high."""
    rises = np.diff(depth) > 0
    return depth[1:-1][rises[:-1] & ~rises[1:]].max(initial=least)


# ---------------------------------------------------------------- two regimes
@house
def regimes(panels: Sequence[Panel], *, columns: int = 2) -> tuple[Figure, Axes]:
    """Measured quantities in several regimes, above each panel what is drawn in it."""
    rows = -(-len(panels) // columns)
    fig, ax = canvas(rows, columns, size=(7.2 / columns, 3.3), squeeze=False)
    for panel, one in zip(ax.flat, panels):
        for k, (label, (x, y, *error)) in enumerate(one.curves.items()):
            style = {"color": COLOURS[k % 7], "marker": MARKERS[k % 8], "linewidth": 1.2}
            line = {"linestyle": _DASHES[k % 4], "capsize": 2, "label": label}
            panel.errorbar(x, y, *error, **line, **style)
        panel.set(title=one.title, **one.axes)
        panel.legend(loc="upper center", bbox_to_anchor=(0.5, -0.2), ncols=2)
    return fig, ax


@house
def two_order_parameters(rows: Sequence[Panel]) -> tuple[Figure, Axes]:
    """z_1 against the epoch on linear and on logarithmic axes, one row per definition of the mode.

    The errors of its curves are standard deviations of the states: ribbons.
    """
    fig, ax = canvas(len(rows), 2, size=(3.6, 2.5), squeeze=False, sharey="row")
    looks = list(dict.fromkeys(label for one in rows for label in one.curves))
    for row, one in zip(ax, rows):
        for panel in row:
            panel.axhline(0, color="magenta", linestyle="--", linewidth=1)
            for label, (epochs, mean, *spread) in one.curves.items():
                k = looks.index(label)
                if spread:
                    _ribbon(panel, epochs, mean, *spread, COLOURS[k])
                panel.plot(epochs, mean, color=COLOURS[k], marker=MARKERS[k], label=label)
            panel.set(title=one.title, xlabel="epoch")
        row[1].set_xscale("log")
        row[0].set_ylabel("$u_1$")
    legend_below(fig)
    return fig, ax


@house
def order_parameters(rows: Sequence[OrderParameters]) -> tuple[Figure, Axes]:
    """z_1 and z_{M+1} against the epoch; after Figs. 7 and 8.

    Standard errors are bars, standard deviations of the states ribbons.
    """
    size = (3.6, 2.1)
    fig, ax = canvas(len(rows), 2, size=size, sharex=True, sharey="col", squeeze=False)
    last = max(one.epochs[-1] for one in rows)
    for (left, right), one in zip(ax, rows):
        _order_parameter(left, one.epochs, one.u)
        _order_parameter(right, one.epochs, one.w)
        left.set_ylabel("$z_1$")
        right.set_ylabel("$z_{M+1}$")
        for panel in (left, right):
            panel.set_title(one.title)
            _epochs(panel, last)
    for panel in ax[:-1].flat:
        panel.set_xlabel("")
    legend_below(fig, columns=4)
    return fig, ax


def _order_parameter(ax: Axes, epochs: np.ndarray, series: Mapping[str, Summary]) -> None:
    """One panel of `order_parameters`."""
    looks = {
        "mu": {"color": COLOURS[4], "marker": "o", "label": "constraint minimum"},
        "data": {"color": COLOURS[2], "marker": "s", "label": "test digits"},
        "samples": {"color": COLOURS[3], "marker": "^", "label": "chains of the training"},
    }
    ax.axhline(0, color="magenta", linestyle="--", linewidth=1.2, label="saddle")
    for name, look in looks.items():
        one = series[name]
        if one.spread is not None:
            _ribbon(ax, epochs, one.mean, one.spread, look["color"])
        ax.errorbar(epochs, one.mean, yerr=one.error, capsize=2, **look)


def _ribbon(ax: Axes, x: np.ndarray, mean: np.ndarray, spread: np.ndarray, colour: str) -> None:
    ax.fill_between(x, mean - spread, mean + spread, color=colour, alpha=0.2, linewidth=0)


@house
def collapse(
    points: Mapping[str, np.ndarray], s: np.ndarray, predicted: np.ndarray, critical: float
) -> tuple[Figure, Axes]:
    """Widths of u against lambda over its critical value, (n, 2) per title, and as predicted."""
    fig, ax = canvas(size=(7.2, 3.6))
    for k, (title, xy) in enumerate(points.items()):
        style = {"color": COLOURS[k], "marker": MARKERS[k], "markersize": 6, "label": title}
        ax.plot(*xy.T, linestyle="none", **style)
    ax.plot(s, predicted, "-", color="black", marker="", label="Eq. (6.5)")
    ax.axvline(critical, color="0.4", linestyle="-.", linewidth=1)
    place = {"transform": ax.get_xaxis_transform(), "va": "top"}
    ax.text(critical, 0.98, r" $\lambda=\lambda_c$", **place)
    ax.set(xlabel=r"$\lambda/\lambda_c$", ylabel="width of $u$ over that of free units")
    ax.set(yscale="log", ylim=(0.8, 16))
    ax.set_yticks([1, 2, 4, 8], ["1", "2", "4", "8"])
    ax.minorticks_off()
    fig.legend(loc="outside right center")
    return fig, ax
