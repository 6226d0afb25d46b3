"""Figures of notebook 2: landscapes of the modes, singular values, kurtosis, and the law of random states."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from rbmkit import checks
from rbmkit.figures.style import COLOURS, MARKERS, canvas
from rbmkit.reciprocal import Modes
from rbmkit.spectra import MarchenkoPastur

DIGIT_COLOURS = (
    *("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00"),
    *("#56B4E9", "#000000", "#8B6508", "#7A3E9D", "#999933"),
)
STAR = {
    "marker": "*",
    "color": "magenta",
    "markersize": 14,
    "markeredgecolor": "black",
    "linestyle": "none",
    "zorder": 9,
}
HEXAGON = {"marker": "h", "s": 40, "facecolors": "none", "edgecolors": "#444444", "linewidths": 0.8}


# ---------------------------------------------------------------- landscapes
def landscape(ax: Axes, modes: Modes, i: int, xlim: tuple[float, float], ylim: tuple[float, float]) -> None:
    """Contours of E_i on one axes, with the saddle as a star (or a note if it is outside)."""
    checks.instance(modes, Modes, "modes")
    x, y = np.linspace(*xlim, 61), np.linspace(*ylim, 61)
    depth = modes.landscape(x, y[:, None], i) - modes.saddle_energy[i]
    edge = np.abs(depth).max() or 1.0
    ax.contourf(x, y, depth, levels=np.linspace(-edge, edge, 13), cmap="PuOr_r", alpha=0.55)
    x0, y0 = modes.x0[i], modes.y0[i]
    ax.axvline(x0, color="0.35", linewidth=0.8, linestyle="--")  # on both lines the energy is that of the saddle
    ax.axhline(y0, color="0.35", linewidth=0.8, linestyle="--")
    if xlim[0] < x0 < xlim[1] and ylim[0] < y0 < ylim[1]:
        ax.plot(x0, y0, **STAR)
    else:
        ax.text(0.03, 0.03, f"saddle at ({x0:.3g}, {y0:.3g})", transform=ax.transAxes, fontsize=9, color="purple")
    ax.set(xlim=xlim, ylim=ylim)
    ax.set_title(rf"mode {i + 1}, $\lambda$ = {modes.s[i]:.2g}", fontsize=10)
    ax.grid(False)


def limits(*points: np.ndarray, margin: float = 0.12) -> tuple[float, float]:
    """A range that holds all points, and a margin on both sides."""
    low, high = min(np.min(p) for p in points), max(np.max(p) for p in points)
    pad = margin * (high - low) or 1.0
    return low - pad, high + pad


def cloud(ax: Axes, x: np.ndarray, y: np.ndarray, labels: np.ndarray) -> None:
    """Points coloured by digit; a numeral at the median of each digit."""
    ax.scatter(x, y, s=2, c=np.take(DIGIT_COLOURS, labels), alpha=0.5, linewidths=0, rasterized=True)
    centres = {k: (np.median(x[labels == k]), np.median(y[labels == k])) for k in np.unique(labels)}
    ax.scatter(*zip(*centres.values()), s=120, color="white", alpha=0.8, linewidths=0, zorder=7)
    for digit, at in centres.items():
        ax.plot(*at, marker=f"${digit}$", color=DIGIT_COLOURS[digit], markersize=8, zorder=8)


def streamlines(modes: Modes, i: int, paths: Sequence[np.ndarray], *, reach: float = 1.0) -> tuple[Figure, Axes]:
    """One landscape around its saddle: contours, lines of steepest descent, and integrated paths (n, 2)."""
    checks.instance(modes, Modes, "modes")
    fig, ax = canvas(size=(5.2, 4.4))
    xlim, ylim = ((z - reach, z + reach) for z in (modes.x0[i], modes.y0[i]))
    landscape(ax, modes, i, xlim, ylim)
    x, y = np.linspace(*xlim, 21), np.linspace(*ylim, 21)
    down_x = np.broadcast_to(modes.a0[i] + modes.s[i] * y[:, None], (21, 21))
    down_y = np.broadcast_to(modes.b0[i] + modes.s[i] * x, (21, 21))
    ax.streamplot(x, y, down_x, down_y, color="0.5", linewidth=0.7, arrowsize=0.8, density=0.9)
    for k, path in enumerate(paths):
        style = {"color": COLOURS[k], "linewidth": 2.5, "linestyle": ("-", "--", "-.")[k % 3]}
        ax.plot(*path.T, marker=MARKERS[k], markevery=[0], markersize=8, label=f"path {k + 1}", **style)
    for angle, name in ((1, "u (unstable)"), (-1, "w (stable)")):
        ax.axline((modes.x0[i], modes.y0[i]), slope=angle, color="black", linewidth=0.8, linestyle=":")
        box = {"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 1}
        ax.text(modes.x0[i] + 0.66 * angle * reach, modes.y0[i] + 0.88 * reach, name, fontsize=9, ha="center", bbox=box)
    ax.set(xlim=xlim, ylim=ylim, xlabel="$x_i$", ylabel="$y_i$")
    ax.legend(loc="lower right")
    return fig, ax


def one_state(
    modes: Modes, which: Sequence[int], x: np.ndarray, y: np.ndarray, image: np.ndarray
) -> tuple[Figure, Axes]:
    """One state (x, y of shape (K,)) on several landscapes, and its picture; after the right panel of Fig. 1."""
    checks.instance(modes, Modes, "modes")
    columns = 5
    rows = -(-(len(which) + 1) // columns)
    fig, ax = canvas(rows, columns, size=(2.5, 2.4))
    ax.flat[0].imshow(image.reshape(28, 28), cmap="gray_r")
    ax.flat[0].set(title="the state v", xticks=[], yticks=[])
    for panel, i in zip(ax.flat[1:], which):
        reach = 1.6 * max(abs(x[i] - modes.x0[i]), abs(y[i] - modes.y0[i]), 0.3)
        landscape(panel, modes, i, *((z - reach, z + reach) for z in (modes.x0[i], modes.y0[i])))
        panel.plot(x[i], y[i], "p", color="black", markersize=9)
    for panel in ax.flat[len(which) + 1 :]:
        panel.set_axis_off()
    return fig, ax


def data_and_samples(
    rows: Mapping[str, tuple[Modes, tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]],
    which: Sequence[int],
    labels: np.ndarray,
) -> tuple[Figure, Axes]:
    """Data by digit (dots), samples (hexagons) and saddles (stars) on the landscapes `which`; after Fig. 2.

    Both axes of a panel have one scale; dotted lines through the saddle are its unstable axis u (rising) and stable
    axis w (falling). Each row has a title, its modes, the data (x, y) and the samples (x, y), arrays of shape
    (n, len(which)).
    """
    fig, ax = canvas(len(rows), len(which), size=(7.2 / len(which), 2.0), squeeze=False)
    for row, (title, (modes, data, samples)) in zip(ax, rows.items()):
        for k, (panel, i) in enumerate(zip(row, which)):
            saddle = [
                (z0[i] if abs(z0[i]) < 30 else mu[i]) for z0, mu in ((modes.x0, modes.mu_x), (modes.y0, modes.mu_y))
            ]
            spans = [limits(d[:, k], s[:, k], z) for d, s, z in zip(data, samples, saddle)]
            half = max(high - low for low, high in spans) / 2
            landscape(panel, modes, i, *(((low + high) / 2 - half, (low + high) / 2 + half) for low, high in spans))
            for slope in (1, -1):
                panel.axline((modes.x0[i], modes.y0[i]), slope=slope, color="black", linewidth=0.8, linestyle=":")
            panel.set_aspect("equal")
            cloud(panel, data[0][:, k], data[1][:, k], labels)
            panel.scatter(samples[0][:, k], samples[1][:, k], **HEXAGON | {"s": 9, "linewidths": 0.5})
        row[0].set_ylabel(f"{title}\n$y_i$")
    for panel in ax[-1]:
        panel.set_xlabel("$x_i$")
    return fig, ax


def mode_energies(mean: np.ndarray, std: np.ndarray, title: str = "") -> tuple[Figure, Axes]:
    """Mean energy of each mode over some states, with the spread over the states, and the running sum."""
    fig, ax = canvas(1, 2, size=(4.6, 3.2))
    i = np.arange(1, len(mean) + 1)
    ax[0].errorbar(i, mean, yerr=std, fmt="o", ecolor="0.7", elinewidth=1, label="mean, bar: spread over states")
    ax[0].set(xlabel="mode $i$ (last: uncoupled rest)", ylabel="$E_i$", xscale="log", title=title)
    ax[0].legend()
    ax[1].plot(i, np.cumsum(mean), "-", color=COLOURS[1])
    ax[1].set(xlabel="modes summed", ylabel=r"$\sum_{k \leq i} E_k$", xscale="log")
    return fig, ax


# ---------------------------------------------------------------- singular values
def singular_values(panels: Mapping[str, tuple[np.ndarray, MarchenkoPastur]]) -> tuple[Figure, Axes]:
    """Histograms of singular values against the Marchenko-Pastur law and its maximum; after Fig. 3a-d."""
    fig, ax = canvas(1, len(panels), size=(3.3, 2.9), squeeze=False)
    for panel, (title, (s, law)) in zip(ax.flat, panels.items()):
        bins, curve = np.linspace(law.low, max(law.high, s.max()), 26), np.linspace(law.low, law.high, 300)
        panel.hist(s, bins=bins, density=True, histtype="stepfilled", color=COLOURS[5], label="one matrix")
        panel.plot(curve, law.density(curve), "-", color=COLOURS[1], label="Marchenko-Pastur")
        panel.plot(law.mode, 2 / (np.pi * law.sigma * np.sqrt(min(law.N, law.M))), "v", color="black", label="maximum")
        panel.set(title=title, xlabel=r"$\lambda$")
    ax[0, 0].set_ylabel("density")
    ax[0, 0].legend(fontsize=9)
    return fig, ax


def spectrum_history(panels: Mapping[str, tuple[np.ndarray, MarchenkoPastur]]) -> tuple[Figure, Axes]:
    """Numbers of singular values in logarithmic bins, with those that the law of the bulk expects; two panels a row."""
    rows = -(-len(panels) // 2)
    fig, ax = canvas(rows, 2, size=(3.6, 1.9), sharex=True, squeeze=False)
    bins = np.geomspace(0.03, 1.2 * max(s.max() for s, _ in panels.values()), 55)
    for panel, (title, (s, law)) in zip(ax.flat, panels.items()):
        bulk = s <= law.outlier
        panel.hist(s, bins=bins, histtype="stepfilled", color=COLOURS[5], label="singular values")
        expected = bulk.sum() * np.diff(law.cdf(bins))
        panel.stairs(expected, bins, color=COLOURS[1], linewidth=1.5, label="bulk, Eq. (P21)")
        panel.axvline(law.outlier, color="black", linestyle="--", linewidth=1)
        panel.text(0.98, 0.9, f"{(~bulk).sum()} outliers", transform=panel.transAxes, ha="right", va="top")
        panel.set_title(title, fontsize=11)
        panel.set(xscale="log", ylim=(0, 1.3 * panel.get_ylim()[1]))
    for panel in ax[-1]:
        panel.set_xlabel(r"$\lambda$")
    for panel in ax[:, 0]:
        panel.set_ylabel("number")
    fig.legend(*ax[0, 0].get_legend_handles_labels(), loc="outside upper center", ncols=2)
    return fig, ax


def spectra(values: Mapping[str, np.ndarray]) -> tuple[Figure, Axes]:
    """Singular values against their rank, one line per model."""
    fig, ax = canvas(size=(7.0, 3.6))
    for k, (title, s) in enumerate(values.items()):
        style = {"color": COLOURS[k % 7], "marker": MARKERS[k % 8], "markevery": 0.12, "linestyle": ("-", "--")[k // 7]}
        ax.plot(np.arange(1, len(s) + 1), s, label=title, **style)
    ax.set(xscale="log", yscale="log", xlabel="rank", ylabel=r"$\lambda$", ylim=(0.02, None))
    fig.legend(loc="outside right upper")
    return fig, ax


def pooled_spectra(
    groups: Mapping[str, Sequence[np.ndarray]], pooled: Sequence[str], *, window: tuple[float, float]
) -> tuple[Figure, Axes]:
    """Left: singular values of all replicas together, for the kinds `pooled`; after Fig. 3f, with its 39 bins.

    Right: those of each replica of each kind in `groups` as ticks on a line of its own, the largest as a triangle; only
    values above 12 are drawn. The `window` is shaded.
    """
    fig, ax = canvas(1, 2, size=(3.6, 3.9), gridspec_kw={"width_ratios": (1, 1.25)})
    bins = np.linspace(0, 41, 40)
    for title in pooled:
        k = list(groups).index(title)
        counts = np.histogram(np.concatenate(groups[title]), bins)[0]
        style = {"color": COLOURS[k], "linestyle": ("-", "--", "-.", ":")[k % 4], "linewidth": 1.5}
        ax[0].stairs(counts, bins, label=title, **style)
    ax[0].set(yscale="log", xlabel=r"$\lambda$", ylabel="number in all replicas", ylim=(0.7, None))
    fig.legend(loc="outside upper left", ncols=2)
    for k, replicas in enumerate(groups.values()):
        for j, s in enumerate(replicas):
            height = np.full(len(s), -k - 0.16 * j + 0.32)
            ax[1].plot(s[1:][s[1:] > 12], height[1:][s[1:] > 12], "|", color=COLOURS[k % 7], markersize=6)
            ax[1].plot(s[0], height[0], "<", color=COLOURS[k % 7], markersize=5)
    ax[1].set(yticks=-np.arange(len(groups)), yticklabels=list(groups), xlabel=r"$\lambda$")
    ax[1].set_ylim(-len(groups) + 0.4, 0.6)
    for panel in ax:
        panel.axvspan(*window, color=COLOURS[4], alpha=0.3, linewidth=0)
    return fig, ax


def passing(
    epochs: np.ndarray, values: np.ndarray, counts: Mapping[str, tuple], *, window: tuple[float, float]
) -> tuple[Figure, Axes]:
    """Left: leading singular values (replicas, epochs, modes) against the epoch. Right: how many are in the `window`.

    `counts` maps a kind to (epochs, numbers (replicas, epochs)); drawn are mean and standard error over the replicas.
    """
    fig, ax = canvas(1, 2, size=(3.6, 3.7))
    for k in range(values.shape[2]):
        style = {"color": COLOURS[k % 7], "linewidth": 0.9, "linestyle": ("-", "--")[k // 7], "marker": ""}
        ax[0].plot(epochs, values[:, :, k].T, **style)
        ax[0].text(epochs[-1], values[:, -1, k].mean(), f" {k + 1}" if k in (0, 1, 4) else "", va="center")
    ax[0].axhspan(*window, color=COLOURS[4], alpha=0.3, linewidth=0)
    ax[0].set(xlabel="epoch", ylabel=r"$\lambda_1, \lambda_2, \ldots$")
    for k, (title, (when, numbers)) in enumerate(counts.items()):
        error = numbers.std(axis=0, ddof=min(1, len(numbers) - 1)) / np.sqrt(len(numbers))
        style = {"color": COLOURS[k % 7], "marker": MARKERS[k % 8], "capsize": 2, "elinewidth": 1}
        ax[1].errorbar(when + k, numbers.mean(axis=0), yerr=error, label=title, **style)
    low, high = window
    ax[1].set(xlabel="epoch", ylabel=rf"number of values in [{low:g}, {high:g}]")
    fig.legend(loc="outside upper center", ncols=3)
    return fig, ax


def leading_mode(overlaps: Mapping[str, tuple], values: Mapping[str, tuple]) -> tuple[Figure, Axes]:
    """Left: overlaps of the leading mode with a picture and with a pattern; right: singular values against the epoch.

    `overlaps` maps a kind to (epochs, picture (replicas, epochs), pattern (replicas, epochs)), `values` to (epochs,
    lambda_1, lambda_2, lambda_1 without the picture), each (replicas, epochs). Bars: standard deviation over replicas.
    """
    fig, ax = canvas(1, 2, size=(3.6, 3.9))
    for panel, series, names in (
        (ax[0], overlaps, ("picture", "pattern")),
        (ax[1], values, (r"$\lambda_1$", r"$\lambda_2$", r"$\lambda_1'$")),
    ):
        for k, (title, (epochs, *several)) in enumerate(series.items()):
            for array, line in zip(several, ("-", "--", ":")):
                spread = array.std(axis=0, ddof=min(1, len(array) - 1))
                style = {"color": COLOURS[k], "marker": MARKERS[k], "linestyle": line, "capsize": 2, "elinewidth": 1}
                panel.errorbar(epochs, array.mean(axis=0), yerr=spread, label=title if line == "-" else None, **style)
        lines = ", ".join(f"{name} {line}" for name, line in zip(names, ("solid", "dashed", "dotted")))
        panel.set_title(lines, fontsize=10)
        panel.set_xlabel("epoch")
    ax[0].set_ylabel("overlap")
    ax[1].set_ylabel(r"$\lambda$")
    fig.legend(*ax[0].get_legend_handles_labels(), loc="outside upper center", ncols=3)
    return fig, ax


def learning(epochs: np.ndarray, s: np.ndarray, edge: np.ndarray, critical: float) -> tuple[Figure, Axes]:
    """Singular values (epochs, modes) of matched modes along a training, the edge of the bulk and a critical value."""
    fig, ax = canvas(size=(6.4, 3.8))
    for k, column in enumerate(s.T):
        ax.plot(epochs, column, color=COLOURS[k % 7], marker=MARKERS[k % 8], linewidth=1, label=f"{k + 1}")
    ax.plot(epochs, edge, color="black", linestyle="--", marker="", linewidth=2)
    middle = np.searchsorted(epochs, 1.0) if epochs[-1] > 1 else 0
    ax.text(epochs[middle], edge[middle] * 0.7, "edge of the bulk", fontsize=10)
    ax.axhline(critical, color="0.5", linestyle=":")
    ax.text(epochs[0], critical * 1.07, rf"$\lambda$ = {critical:g}", fontsize=10)
    ax.set(xlabel="epoch", ylabel=r"$\lambda$ of the matched mode", yscale="log")
    ax.set_xscale("symlog", linthresh=0.05)
    ax.set_xlim(-0.002, 1.1 * epochs[-1])
    ax.set_xticks([0, 0.1, 1, 10], ["0", "0.1", "1", "10"])
    ax.legend(title="mode at the end", ncols=2, fontsize=9, loc="center right")
    return fig, ax


# ---------------------------------------------------------------- random states
def kurtosis_against_size(
    sizes: np.ndarray, exact: Mapping[str, tuple], haar: tuple, sample: tuple
) -> tuple[Figure, Axes]:
    """Kurtosis against 1/M; after Fig. 3e.

    `exact` maps a title to (sizes, means over the modes, spreads over the modes); `haar` is (mean, std) on the grid
    `sizes`; `sample` is (sizes, estimates, standard errors).
    """
    fig, ax = canvas(size=(6.0, 3.9))
    ax.fill_between(1 / sizes, haar[0] - haar[1], haar[0] + haar[1], color=COLOURS[5], alpha=0.35, linewidth=0)
    ax.plot(1 / sizes, haar[0], "-", color=COLOURS[0], label="Haar mean $3 - 6/(M+2)$, band: spread over modes")
    for k, (title, (M, mean, spread)) in enumerate(exact.items()):
        style = {"color": COLOURS[k + 1], "fmt": MARKERS[k + 1], "capsize": 3}
        ax.errorbar(1 / np.asarray(M), mean, yerr=spread, label=f"{title}: exact, bar: spread over modes", **style)
    M, estimate, error = sample
    shift = 1 / np.asarray(M) + 2e-5
    ax.errorbar(shift, estimate, yerr=error, fmt="x", color="black", capsize=3, label="sample, bar: standard error")
    ax.axhline(3, color="0.4", linestyle="--")
    ax.set(xlabel="$1/M$", ylabel="kurtosis of $y_i$", xlim=(0, None))
    ax.legend(fontsize=8.5, loc="lower left")
    return fig, ax


def marginals(
    panels: Sequence[tuple[str, np.ndarray, np.ndarray, np.ndarray, np.ndarray]],
    *,
    columns: int = 4,
) -> tuple[Figure, Axes]:
    """Densities of projected random states; after Fig. 5.

    Each panel: title, sampled values, grid, exact density and normal density on the grid. Bars of the histogram: one
    binomial standard error.
    """
    rows = -(-len(panels) // columns)
    fig, ax = canvas(rows, columns, size=(3.0, 2.6), squeeze=False)
    for panel, (title, values, grid, exact, normal) in zip(ax.flat, panels):
        counts, edges = np.histogram(values, bins=30, range=(grid[0], grid[-1]))
        scale = 1 / (len(values) * (edges[1] - edges[0]))
        centre, error = (edges[1:] + edges[:-1]) / 2, np.sqrt(counts * (1 - counts / len(values))) * scale
        panel.plot(grid, exact, "-", color=COLOURS[0], linewidth=2, label="exact")
        panel.plot(grid, normal, "--", color=COLOURS[1], label="normal")
        panel.errorbar(centre, counts * scale, yerr=error, fmt=".", color="black", elinewidth=1, label="sample")
        panel.set(title=title, ylim=(-0.03, 1.0))
    for panel in ax.flat[len(panels) :]:
        panel.set_axis_off()
    ax[0, 0].legend(fontsize=8, loc="upper left", handlelength=1.2)
    return fig, ax


def tails(z: np.ndarray, curves: Mapping[str, np.ndarray], edges: Mapping[str, float]) -> tuple[Figure, Axes]:
    """ln density of random states against x - mu up to the edge of its support, with the parabola of the normal law."""
    fig, ax = canvas(size=(6.0, 3.7))
    for k, (title, values) in enumerate(curves.items()):
        style = {
            "color": COLOURS[k % 7],
            "linestyle": ("-", "--", "-.", ":")[k % 4],
            "marker": MARKERS[k],
            "markevery": 25,
        }
        ax.plot(z, values / np.log(10), label=title, **style)
    for title, edge in edges.items():
        colour = COLOURS[list(curves).index(title) % 7]
        ax.axvline(edge, color=colour, linewidth=0.8)
        ax.text(edge, -5, f"edge, {title} ", color=colour, ha="right", va="top", fontsize=10, rotation=90)
    ax.set(xlabel=r"$x - \mu$", ylabel=r"$\log_{10}$ density")
    ax.legend()
    return fig, ax
