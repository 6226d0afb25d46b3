"""Figures of notebook 2: landscapes of modes, singular values, kurtosis, law of random states."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy.stats import gaussian_kde

from rbmkit import checks
from rbmkit.figures.parts import Clouds, Marginal
from rbmkit.figures.style import COLOURS, MARKERS, canvas, house, legend_below
from rbmkit.reciprocal import Modes
from rbmkit.spectra import MarchenkoPastur

DIGIT_COLOURS = (
    *("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00"),
    *("#56B4E9", "#000000", "#8B6508", "#7A3E9D", "#999933"),
)
STAR = {
    "marker": "*",
    "color": "magenta",
    "markersize": 12,
    "markeredgecolor": "black",
    "linestyle": "none",
    "zorder": 9,
}
_OUTLINED = 300  # at most so many samples have an outline: the time grows with their number
_DASHES = ("-", "--", "-.", ":")


# ---------------------------------------------------------------- landscapes
@house
def landscape(
    ax: Axes, modes: Modes, i: int, xlim: tuple[float, float], ylim: tuple[float, float]
) -> None:
    """Contours of E_i on one axes, with the saddle as a star (or a note if it is outside)."""
    checks.instance(modes, Modes, "modes")
    x, y = np.linspace(*xlim, 61), np.linspace(*ylim, 61)
    depth = modes.landscape(x, y[:, None], i) - modes.saddle_energy[i]
    edge = np.abs(depth).max() or 1.0
    ax.contourf(x, y, depth, levels=np.linspace(-edge, edge, 13), cmap="PuOr_r", alpha=0.55)
    x0, y0 = modes.x0[i], modes.y0[i]
    guide = {"color": "0.35", "linewidth": 0.8, "linestyle": "--"}
    ax.axvline(x0, **guide)  # on both lines the energy is that of the saddle
    ax.axhline(y0, **guide)
    if xlim[0] < x0 < xlim[1] and ylim[0] < y0 < ylim[1]:
        ax.plot(x0, y0, **STAR)
    else:
        text = f"saddle at\n({x0:.3g}, {y0:.3g})"
        place = {"transform": ax.transAxes, "va": "top"}
        ax.text(0.03, 0.97, text, fontsize=9, color="purple", **place)
    ax.set(xlim=xlim, ylim=ylim)
    ax.set_title(rf"mode {i + 1}, $\lambda$ = {modes.s[i]:.2g}")
    ax.grid(False)


def limits(*points: np.ndarray, margin: float = 0.12) -> tuple[float, float]:
    """A range that holds all points, and a margin on both sides."""
    low, high = min(np.min(p) for p in points), max(np.max(p) for p in points)
    pad = margin * (high - low) or 1.0
    return low - pad, high + pad


def cloud(ax: Axes, x: np.ndarray, y: np.ndarray, labels: np.ndarray) -> None:
    """Points in the colours of their digits."""
    colours = np.take(DIGIT_COLOURS, labels)
    ax.scatter(x, y, s=2, c=colours, alpha=0.5, linewidths=0, rasterized=True)


def key(ax: Axes) -> None:
    """The digits in their colours, to the right of the axes."""
    for digit, colour in enumerate(DIGIT_COLOURS):
        place = {"transform": ax.transAxes, "ha": "center", "va": "center"}
        ax.text(1.04, 0.95 - 0.1 * digit, str(digit), color=colour, fontweight="bold", **place)


def outline(ax: Axes, x: np.ndarray, y: np.ndarray) -> None:
    """Two black lines, around half and nine tenths of the points; they hide nothing."""
    points = np.stack([x, y])[:, :_OUTLINED]
    density = gaussian_kde(points)
    grid = np.meshgrid(*(np.linspace(*limits(z, margin=0.3), 41) for z in points))
    levels = np.quantile(density(points), (0.1, 0.5))
    heights = density(np.stack(grid).reshape(2, -1)).reshape(grid[0].shape)
    ax.contour(*grid, heights, levels=levels, colors="black", linewidths=(1.0, 1.6))


def classes(ax: Axes, u: np.ndarray, labels: np.ndarray, samples: np.ndarray) -> None:
    """A line for each digit, the middle half of its u, with the median; below, that of samples."""
    groups = [u[labels == digit] for digit in range(10)]
    for row, values in enumerate([*groups, samples]):
        low, median, high = np.quantile(values, (0.25, 0.5, 0.75)) if len(values) else [np.nan] * 3
        colour = DIGIT_COLOURS[row] if row < 10 else "black"
        ax.plot([low, high], [row, row], color=colour, marker="", linewidth=3)
        ax.plot(median, row, "o", color="white", markeredgecolor=colour, markersize=5)
    ax.set_yticks(range(11), [*"0123456789", "samples"], fontsize=9)
    ax.set(ylim=(10.6, -0.6), xlabel="$u_i$")


@house
def streamlines(
    modes: Modes, i: int, paths: Sequence[np.ndarray], *, reach: float = 1.0
) -> tuple[Figure, Axes]:
    """One landscape around its saddle, with lines of steepest descent and paths (n, 2)."""
    checks.instance(modes, Modes, "modes")
    fig, ax = canvas(size=(5.2, 4.4))
    xlim, ylim = ((z - reach, z + reach) for z in (modes.x0[i], modes.y0[i]))
    landscape(ax, modes, i, xlim, ylim)
    x, y = np.linspace(*xlim, 21), np.linspace(*ylim, 21)
    down_x = np.broadcast_to(modes.a0[i] + modes.s[i] * y[:, None], (21, 21))
    down_y = np.broadcast_to(modes.b0[i] + modes.s[i] * x, (21, 21))
    ax.streamplot(x, y, down_x, down_y, color="0.5", linewidth=0.7, arrowsize=0.8, density=0.9)
    for k, path in enumerate(paths):
        style = {"color": COLOURS[k], "linewidth": 2.5, "linestyle": _DASHES[k % 3]}
        start = {"marker": MARKERS[k], "markevery": [0], "markersize": 8}
        ax.plot(*path.T, label=f"path {k + 1}, from its marker", **start, **style)
    for angle, name in ((1, "u (unstable)"), (-1, "w (stable)")):
        _axis(ax, modes, i, angle)
        box = {"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 1}
        at = modes.x0[i] + 0.66 * angle * reach, modes.y0[i] + 0.88 * reach
        ax.text(*at, name, fontsize=9, ha="center", bbox=box)
    ax.set(xlim=xlim, ylim=ylim, xlabel="$x_i$", ylabel="$y_i$")
    legend_below(fig)
    return fig, ax


def _axis(ax: Axes, modes: Modes, i: int, slope: int) -> None:
    """A dotted line through the saddle: its unstable axis u (slope 1), its stable axis w (-1)."""
    saddle = modes.x0[i], modes.y0[i]
    ax.axline(saddle, slope=slope, color="black", linewidth=0.8, linestyle=":")


@house
def one_state(
    modes: Modes, which: Sequence[int], x: np.ndarray, y: np.ndarray, image: np.ndarray
) -> tuple[Figure, Axes]:
    """One state, x and y of shape (K,), on landscapes, below its picture; after Fig. 1, right."""
    checks.instance(modes, Modes, "modes")
    rows = -(-len(which) // 4)
    ratios = {"height_ratios": (0.6, *[1] * rows)}
    fig, ax = canvas(rows + 1, 4, size=(1.77, 1.65), gridspec_kw=ratios)
    for panel in [*ax[0], *ax[1:].flat[len(which) :]]:
        panel.set_axis_off()
    ax[0, 0].imshow(image.reshape(28, 28), cmap="gray_r")
    ax[0, 0].set_title("the state $v$")
    for panel, i in zip(ax[1:].flat, which):
        reach = 1.6 * max(abs(x[i] - modes.x0[i]), abs(y[i] - modes.y0[i]), 0.3)
        landscape(panel, modes, i, *((z - reach, z + reach) for z in (modes.x0[i], modes.y0[i])))
        panel.plot(x[i], y[i], "p", color="black", markersize=9)
        panel.locator_params(nbins=3)
        panel.title.set_fontsize(9)
    for panel in ax[1:, 0]:
        panel.set_ylabel("$y_i$")
    for panel in ax[-1]:
        panel.set_xlabel("$x_i$")
    ax[0, 1].plot([], [], **STAR, label="saddle")
    ax[0, 1].plot([], [], "p", color="black", markersize=9, label="the state, $(x_i, y_i)$")
    ax[0, 1].legend(loc="center left").set_in_layout(False)  # it may be wider than its panel
    return fig, ax


@house
def data_and_samples(
    rows: Mapping[str, Clouds], which: Sequence[int], labels: np.ndarray
) -> tuple[Figure, Axes]:
    """Data (dots), samples (outlines) and saddles (stars) on landscapes; after Fig. 2.

    Both axes of a panel have one scale; dotted lines through the saddle are its unstable axis u
    (rising) and stable axis w (falling). One row per title, on the modes `which`. Below stands
    where the digits of the last row are along u.
    """
    ratios = {"height_ratios": (*[1] * len(rows), 1.2)}
    size = (7.2 / len(which), 1.9)
    fig, ax = canvas(len(rows) + 1, len(which), size=size, squeeze=False, gridspec_kw=ratios)
    for row, (title, one) in zip(ax, rows.items()):
        for k, (panel, i) in enumerate(zip(row, which)):
            x, y = one.x[:, k], one.y[:, k]
            drawn_x, drawn_y = one.drawn_x[:, k], one.drawn_y[:, k]
            _in_view(panel, one.modes, i, (x, drawn_x), (y, drawn_y))
            cloud(panel, x, y, labels)
            outline(panel, drawn_x, drawn_y)
            panel.set_xlabel("$x_i$")
        row[0].set_ylabel(f"{title}\n$y_i$")
    u, _ = one.modes.to_uw(one.x, one.y, which)
    drawn_u, _ = one.modes.to_uw(one.drawn_x, one.drawn_y, which)
    for k, panel in enumerate(ax[-1]):
        classes(panel, u[:, k], labels, drawn_u[:, k])
        panel.locator_params(axis="x", nbins=4)
        panel.tick_params(labelleft=k == 0)
    ax[-1, 0].set_ylabel(f"{title}\ndigit")
    return fig, ax


def _in_view(
    ax: Axes, modes: Modes, i: int, x: Sequence[np.ndarray], y: Sequence[np.ndarray]
) -> None:
    """A landscape of equal scales that holds all points, and the saddle or, if that is far, mu."""
    pairs = (modes.x0[i], modes.mu_x[i]), (modes.y0[i], modes.mu_y[i])
    x_mid, y_mid = (saddle if abs(saddle) < 30 else mu for saddle, mu in pairs)
    spans = limits(*x, x_mid), limits(*y, y_mid)
    half = max(high - low for low, high in spans) / 2
    middles = [(low + high) / 2 for low, high in spans]
    landscape(ax, modes, i, *((middle - half, middle + half) for middle in middles))
    for slope in (1, -1):
        _axis(ax, modes, i, slope)
    ax.set_aspect("equal")
    ax.locator_params(nbins=4)


@house
def mode_energies(mean: np.ndarray, std: np.ndarray, title: str = "") -> tuple[Figure, Axes]:
    """Mean energy of each mode over some states, with its spread, and the running sum."""
    fig, ax = canvas(1, 2, size=(3.6, 3.2))
    i = np.arange(1, len(mean) + 1)
    ax[0].errorbar(i, mean, yerr=std, fmt="o", ecolor="0.7", elinewidth=1)
    ax[0].set(xlabel="mode $i$ (last: uncoupled rest)", ylabel="$E_i$", xscale="log")
    ax[0].set_title(title or "mean, and spread over states")
    ax[1].plot(i, np.cumsum(mean), "-", color=COLOURS[1])
    ax[1].set(xlabel="modes summed", ylabel=r"$\sum_{k \leq i} E_k$", xscale="log")
    return fig, ax


# ---------------------------------------------------------------- singular values
@house
def singular_values(
    panels: Mapping[str, tuple[np.ndarray, MarchenkoPastur]],
) -> tuple[Figure, Axes]:
    """Histograms of singular values, the Marchenko-Pastur law, its maximum; after Fig. 3a-d."""
    columns = min(2, len(panels))
    size = (min(4.8, 7.2 / columns), 2.6)
    fig, ax = canvas(-(-len(panels) // columns), columns, size=size, squeeze=False)
    for panel, (title, (s, law)) in zip(ax.flat, panels.items()):
        bins = np.linspace(law.low, max(law.high, s.max()), 26)
        bars = {"density": True, "histtype": "stepfilled", "color": COLOURS[5]}
        panel.hist(s, bins=bins, label="one matrix", **bars)
        curve = np.linspace(law.low, law.high, 300)
        panel.plot(curve, law.density(curve), "-", color=COLOURS[1], label="Marchenko-Pastur")
        top = 2 / (np.pi * law.sigma * np.sqrt(min(law.N, law.M)))
        panel.plot(law.mode, top, "v", color="black", label="its maximum")
        panel.set(title=title, xlabel=r"$\lambda$")
    for panel in ax[:, 0]:
        panel.set_ylabel("density")
    legend_below(fig)
    return fig, ax


@house
def spectrum_history(
    panels: Mapping[str, tuple[np.ndarray, MarchenkoPastur]],
) -> tuple[Figure, Axes]:
    """Numbers of singular values in logarithmic bins, and those expected of the bulk."""
    rows = -(-len(panels) // 2)
    fig, ax = canvas(rows, 2, size=(3.6, 1.9), sharex=True, squeeze=False)
    bins = np.geomspace(0.03, 1.2 * max(s.max() for s, _ in panels.values()), 55)
    for panel, (title, (s, law)) in zip(ax.flat, panels.items()):
        bulk = s <= law.outlier
        look = {"histtype": "stepfilled", "color": COLOURS[5], "label": "singular values"}
        panel.hist(s, bins=bins, **look)
        expected = bulk.sum() * np.diff(law.cdf(bins))
        panel.stairs(expected, bins, color=COLOURS[1], linewidth=1.5, label="bulk, Eq. (P21)")
        panel.axvline(law.outlier, color="black", linestyle="--", linewidth=1)
        place = {"transform": panel.transAxes, "ha": "right", "va": "top"}
        panel.text(0.98, 0.9, f"{(~bulk).sum()} outliers", **place)
        panel.set(title=title, xscale="log", ylim=(0, 1.3 * panel.get_ylim()[1]))
    for panel in ax[-1]:
        panel.set_xlabel(r"$\lambda$")
    for panel in ax[:, 0]:
        panel.set_ylabel("number")
    legend_below(fig)
    return fig, ax


@house
def spectra(values: Mapping[str, np.ndarray]) -> tuple[Figure, Axes]:
    """Singular values against their rank, one line per model."""
    fig, ax = canvas(size=(7.2, 3.6))
    for k, (title, s) in enumerate(values.items()):
        style = {"color": COLOURS[k % 7], "marker": MARKERS[k % 8], "linestyle": _DASHES[k // 7]}
        ax.plot(np.arange(1, len(s) + 1), s, label=title, markevery=0.12, **style)
    ax.set(xscale="log", yscale="log", xlabel="rank", ylabel=r"$\lambda$", ylim=(0.02, None))
    fig.legend(loc="outside right upper")
    return fig, ax


@house
def pooled_spectra(
    groups: Mapping[str, Sequence[np.ndarray]],
    pooled: Sequence[str],
    *,
    window: tuple[float, float],
) -> tuple[Figure, Axes]:
    """Left: singular values of all replicas of the kinds `pooled`; after Fig. 3f, its 39 bins.

    Right: those of each replica of each kind in `groups` as ticks on a line of its own, the largest
    as a triangle; only values above 12 are drawn. The `window` is shaded.
    """
    fig, ax = canvas(1, 2, size=(3.6, 3.9), gridspec_kw={"width_ratios": (1, 1.25)})
    bins = np.linspace(0, 41, 40)
    for title in pooled:
        k = list(groups).index(title)
        counts = np.histogram(np.concatenate(groups[title]), bins)[0]
        style = {"color": COLOURS[k], "linestyle": _DASHES[k % 4], "linewidth": 1.5}
        ax[0].stairs(counts, bins, label=title, **style)
    ax[0].set(yscale="log", xlabel=r"$\lambda$", ylabel="number in all replicas", ylim=(0.7, None))
    legend_below(fig)
    for k, replicas in enumerate(groups.values()):
        for j, s in enumerate(replicas):
            others = s[1:][s[1:] > 12]
            height = -k + 0.16 * ((len(replicas) - 1) / 2 - j)
            look = {"color": COLOURS[k % 7], "linestyle": "none"}
            ax[1].plot(others, np.full(len(others), height), marker="|", markersize=6, **look)
            ax[1].plot(s[0], height, marker="<", markersize=5, **look)
    ax[1].set_yticks(-np.arange(len(groups)), list(groups))
    ax[1].set(xlabel=r"$\lambda$", ylim=(-len(groups) + 0.4, 0.6))
    for panel in ax:
        panel.axvspan(*window, color=COLOURS[4], alpha=0.3, linewidth=0)
    return fig, ax


@house
def passing(
    epochs: np.ndarray,
    values: np.ndarray,
    counts: Mapping[str, tuple],
    *,
    window: tuple[float, float],
) -> tuple[Figure, Axes]:
    """Leading singular values against the epoch, and how many are in the `window`.

    `values` is (replicas, epochs, modes). `counts` maps a kind to (epochs, numbers (replicas,
    epochs)); drawn are mean and standard error over the replicas.
    """
    fig, ax = canvas(1, 2, size=(3.6, 3.7))
    for k in range(values.shape[2]):
        style = {"color": COLOURS[k % 7], "linestyle": _DASHES[k // 7], "marker": ""}
        ax[0].plot(epochs, values[:, :, k].T, linewidth=0.9, **style)
        if k in (0, 1, 4):
            ax[0].text(epochs[-1], values[:, -1, k].mean(), f" {k + 1}", va="center")
    ax[0].axhspan(*window, color=COLOURS[4], alpha=0.3, linewidth=0)
    ax[0].set(xlabel="epoch", ylabel=r"$\lambda_1, \lambda_2, \ldots$")
    for k, (title, (when, numbers)) in enumerate(counts.items()):
        spread = numbers.std(axis=0, ddof=min(1, len(numbers) - 1))
        error = spread / np.sqrt(len(numbers))
        style = {"color": COLOURS[k % 7], "marker": MARKERS[k % 8], "capsize": 2, "elinewidth": 1}
        ax[1].errorbar(when + k, numbers.mean(axis=0), yerr=error, label=title, **style)
    low, high = window
    ax[1].set(xlabel="epoch", ylabel=rf"number of values in [{low:g}, {high:g}]")
    legend_below(fig)
    return fig, ax


@house
def leading_mode(
    overlaps: Mapping[str, tuple], values: Mapping[str, tuple]
) -> tuple[Figure, Axes]:
    """Overlaps of the leading mode with a picture and a pattern; singular values; by epoch.

    `overlaps` maps a kind to (epochs, picture (replicas, epochs), pattern (replicas, epochs)),
    `values` to (epochs, lambda_1, lambda_2, lambda_1 without the picture), each (replicas, epochs).
    Bars: standard deviation over replicas.
    """
    fig, ax = canvas(1, 2, size=(3.6, 3.9))
    names = ("picture", "pattern"), (r"$\lambda_1$", r"$\lambda_2$", r"$\lambda_1'$")
    for panel, series, several in zip(ax, (overlaps, values), names):
        _replicas(panel, series)
        lines = zip(several, ("solid", "dashed", "dotted"))
        panel.set(xlabel="epoch", title=", ".join(f"{name} {line}" for name, line in lines))
    ax[0].set_ylabel("overlap")
    ax[1].set_ylabel(r"$\lambda$")
    legend_below(fig)
    return fig, ax


def _replicas(panel: Axes, series: Mapping[str, tuple]) -> None:
    """Means and standard deviations over replicas: a colour for each kind, a line per quantity."""
    for k, (title, (epochs, *several)) in enumerate(series.items()):
        for array, line in zip(several, ("-", "--", ":")):
            spread = array.std(axis=0, ddof=min(1, len(array) - 1))
            style = {"color": COLOURS[k], "marker": MARKERS[k], "linestyle": line}
            bars = {"yerr": spread, "capsize": 2, "elinewidth": 1}
            label = title if line == "-" else None
            panel.errorbar(epochs, array.mean(axis=0), label=label, **bars, **style)


@house
def learning(
    epochs: np.ndarray, s: np.ndarray, known: np.ndarray, edge: np.ndarray, critical: float
) -> tuple[Figure, Axes]:
    """Singular values (epochs, modes) of matched modes, the edge of the bulk, a critical value.

    Grey where a mode is not `known` (epochs, modes), so that its label means little.
    """
    fig, ax = canvas(size=(7.2, 3.8))
    for k, column in enumerate(s.T):
        style = {"color": COLOURS[k % 7], "marker": MARKERS[k % 8], "linewidth": 1}
        ax.plot(epochs, column, color="0.7", linewidth=0.7, marker="")
        ax.plot(epochs, np.where(known[:, k], column, np.nan), label=f"{k + 1}", **style)
    ax.plot(epochs, edge, color="black", linestyle="--", marker="", linewidth=2)
    middle = np.searchsorted(epochs, 1.0) if epochs[-1] > 1 else 0
    ax.text(epochs[middle], edge[middle] * 0.7, "edge of the bulk", fontsize=10)
    ax.axhline(critical, color="0.5", linestyle=":")
    ax.text(epochs[0], critical * 1.07, rf"$\lambda$ = {critical:g}", fontsize=10)
    ax.set(xlabel="epoch", ylabel=r"$\lambda$ of the matched mode", yscale="log")
    ax.set_xscale("symlog", linthresh=0.05)
    ax.set_xlim(-0.002, 1.1 * epochs[-1])
    ax.set_xticks([0, 0.1, 1, 10], ["0", "0.1", "1", "10"])
    fig.legend(title="mode\nat the end", loc="outside right center")
    return fig, ax


# ---------------------------------------------------------------- random states
@house
def kurtosis_against_size(
    sizes: np.ndarray, exact: Mapping[str, tuple], haar: tuple, sample: tuple
) -> tuple[Figure, Axes]:
    """Kurtosis against 1/M; after Fig. 3e.

    `exact` maps a title to (sizes, means over the modes, spreads over the modes); `haar` is (mean,
    std) on the grid `sizes`; `sample` is (sizes, estimates, standard errors).
    """
    fig, ax = canvas(size=(6.4, 4.4))
    mean, spread = haar
    area = {"color": COLOURS[5], "alpha": 0.35, "linewidth": 0}
    ax.fill_between(1 / sizes, mean - spread, mean + spread, **area)
    label = "Haar mean $3 - 6/(M+2)$, band: spread over modes"
    ax.plot(1 / sizes, mean, "-", color=COLOURS[0], label=label)
    for k, (title, (M, mean, spread)) in enumerate(exact.items()):
        style = {"color": COLOURS[k + 1], "fmt": MARKERS[k + 1], "capsize": 3}
        label = f"{title}: exact, bar: spread over modes"
        ax.errorbar(1 / np.asarray(M), mean, yerr=spread, label=label, **style)
    M, estimate, error = sample
    style = {"fmt": "x", "color": "black", "capsize": 3, "label": "sample, bar: standard error"}
    ax.errorbar(1 / np.asarray(M) + 2e-5, estimate, yerr=error, **style)
    ax.axhline(3, color="0.4", linestyle="--")
    ax.set(xlabel="$1/M$", ylabel="kurtosis of $y_i$", xlim=(0, None))
    legend_below(fig, columns=2)
    return fig, ax


@house
def marginals(panels: Sequence[Marginal], *, columns: int = 4) -> tuple[Figure, Axes]:
    """Densities of projected random states; after Fig. 5.

    Bars of the histogram: one binomial standard error.
    """
    rows = -(-len(panels) // columns)
    fig, ax = canvas(rows, columns, size=(7.2 / columns, 2.0), squeeze=False, sharey=True)
    for panel, one in zip(ax.flat, panels):
        n, grid = len(one.values), one.grid
        counts, edges = np.histogram(one.values, bins=30, range=(grid[0], grid[-1]))
        scale = 1 / (n * (edges[1] - edges[0]))
        error = np.sqrt(counts * (1 - counts / n)) * scale
        panel.plot(grid, one.exact, "-", color=COLOURS[0], linewidth=2, label="exact")
        panel.plot(grid, one.normal, "--", color=COLOURS[1], label="normal")
        look = {"fmt": ".", "color": "black", "elinewidth": 1, "label": "sample"}
        panel.errorbar((edges[1:] + edges[:-1]) / 2, counts * scale, yerr=error, **look)
        panel.set(title=one.title, ylim=(-0.03, 1.0))
    for panel in ax.flat[len(panels) :]:
        panel.set_axis_off()
    for panel in ax[:, 0]:
        panel.set_ylabel("density")
    legend_below(fig)
    return fig, ax


@house
def tails(
    z: np.ndarray, curves: Mapping[str, np.ndarray], edges: Mapping[str, float]
) -> tuple[Figure, Axes]:
    """ln density of random states against x - mu up to the edges of its support, and normal law."""
    fig, ax = canvas(size=(6.0, 3.7))
    for k, (title, values) in enumerate(curves.items()):
        style = {"color": COLOURS[k % 7], "linestyle": _DASHES[k % 4], "marker": MARKERS[k]}
        ax.plot(z, values / np.log(10), label=title, markevery=25, **style)
    for title, edge in edges.items():
        colour = COLOURS[list(curves).index(title) % 7]
        ax.axvline(edge, color=colour, linewidth=0.8)
        place = {"ha": "left", "va": "bottom", "rotation": 90}
        lowest = min(np.min(values[np.isfinite(values)]) for values in curves.values())
        ax.text(edge, lowest / np.log(10), f"edge, {title}", color=colour, **place)
    ax.set(xlabel=r"$x - \mu$", ylabel=r"$\log_{10}$ density")
    ax.legend()
    return fig, ax
