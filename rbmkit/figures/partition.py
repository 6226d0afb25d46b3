"""Figures of notebook 3: states, estimates of ln Z, mean field, the potential of one mode."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from rbmkit.figures.parts import Solutions
from rbmkit.figures.style import COLOURS, MARKERS, canvas, house, legend_below
from rbmkit.mean_field import MeanField

_DASHES = ("-", "--", "-.", ":")
_STABLE = {
    True: {"color": COLOURS[0], "marker": "o", "label": "stable"},
    False: {"color": COLOURS[1], "marker": "x", "label": "unstable"},
}


@house
def states(
    z: np.ndarray, log_p: np.ndarray, marginals: Mapping[str, np.ndarray]
) -> tuple[Figure, Axes]:
    """All states of a model with two modes, z = (u1, u2, w1, w2); and histograms of one variable.

    Areas are probabilities. `marginals` maps three titles to the deviations of all states from
    their mean.
    """
    fig, axes = canvas(2, 3, size=(2.4, 2.5))
    ax = [axes[0, 0], axes[0, 1], *axes[1]]
    area = 15 + 300 * np.exp(log_p - log_p.max())
    for i, panel in enumerate(ax[:2]):
        panel.axhline(0, color="0.6", linewidth=0.8)
        panel.axvline(0, color="0.6", linewidth=0.8)
        look = {"color": COLOURS[i], "edgecolors": "black", "alpha": 0.6}
        panel.scatter(z[:, i], z[:, 2 + i], s=area, **look)
        panel.set(xlabel=f"$u_{i + 1}$", ylabel=f"$w_{i + 1}$", title=f"mode {i + 1}")
    grid = np.linspace(-2.2, 2.2, 200)
    for panel, (title, values) in zip(ax[2:], marginals.items(), strict=True):
        bars = {"bins": 61, "range": (-2.2, 2.2), "density": True}
        panel.hist(values, color=COLOURS[5], label="all states", **bars)
        normal = np.sqrt(2 / np.pi) * np.exp(-2 * grid**2)
        panel.plot(grid, normal, "--", color=COLOURS[1], label="normal density")
        panel.set(title=title, xlabel=r"$u_1-\mu$", ylim=(0, 3))
    axes[0, 2].set_axis_off()
    axes[0, 2].legend(*ax[-1].get_legend_handles_labels(), loc="center", title="lower row")
    return fig, axes


@house
def against(
    panels: Mapping[str, Mapping[str, tuple]],
    *,
    xlabel: str,
    ylabel: str,
    critical: float | None = None,
    **axes: object,
) -> tuple[Figure, Axes]:
    """Panels of labelled curves (x, y) or points with error bars (x, y, error).

    Lines break at infinite values.
    """
    fig, ax = canvas(1, len(panels), size=(7.2 / len(panels), 4.3), squeeze=False)
    for panel, (title, curves) in zip(ax[0], panels.items()):
        for k, (label, (x, y, *error)) in enumerate(curves.items()):
            style = {"color": COLOURS[k % 7], "marker": MARKERS[k % 8], "label": label}
            if error:
                bars = {"yerr": error[0], "capsize": 3, "elinewidth": 1}
                panel.errorbar(x, y, linestyle="none", **bars, **style)
            else:
                line = {"linestyle": _DASHES[k % 4], "markevery": 0.11}
                panel.plot(x, np.where(np.isfinite(y), y, np.nan), **line, **style)
        if critical is not None:
            panel.axvline(critical, color="0.4", linestyle=":")
        panel.set(title=title, xlabel=xlabel, ylabel=ylabel, **axes)
    legend_below(fig, columns=4)
    return fig, ax


@house
def bifurcation(
    values: np.ndarray, solutions: Sequence[MeanField], *, critical: float
) -> tuple[Figure, Axes]:
    """Mean-field solutions against lambda: mean of the visible units, largest singular value of A.

    `solutions` has those of each value of lambda.
    """
    fig, ax = canvas(1, 2, size=(3.6, 3.2))
    for value, found in zip(values, solutions, strict=True):
        mean, sigma = found.v.mean(axis=1), found.stability
        for stable, look in _STABLE.items():
            keep = (sigma < 1) == stable
            at = np.full(keep.sum(), value)
            style = look | {"linestyle": "none", "markersize": 5, "label": None}
            ax[0].plot(at, mean[keep], **style)
            ax[1].plot(at, sigma[keep], **style)
    for look in _STABLE.values():
        ax[0].plot([], [], linestyle="none", **look)
    for panel in ax:
        panel.axvline(critical, color="0.4", linestyle=":")
        panel.set_xlabel(r"$\beta\lambda_1$")
    ax[1].axhline(1, color="0.4", linestyle="--")
    ax[0].set(ylabel=r"$m_v$ at the solutions", ylim=(0, 1))
    ax[1].set(ylabel="largest singular value of $A$")
    legend_below(fig)
    return fig, ax


@house
def potentials(
    panels: Mapping[str, Mapping[str, tuple[np.ndarray, np.ndarray]]],
    *,
    xlabel: str,
    limits: tuple[float, float],
) -> tuple[Figure, Axes]:
    """Panels of potentials (x, value); `limits` of the vertical axis."""
    size = (7.2 / len(panels), 3.2)
    fig, ax = canvas(1, len(panels), size=size, squeeze=False, sharey=True)
    for panel, (title, curves) in zip(ax[0], panels.items()):
        for k, (label, (x, value)) in enumerate(curves.items()):
            style = {"linestyle": _DASHES[k % 4], "marker": MARKERS[k], "markevery": 0.13}
            panel.plot(x, value, color=COLOURS[k], label=label, **style)
        panel.set(title=title, xlabel=xlabel, ylim=limits)
    ax[0, 0].set_ylabel("potential (nats)")
    legend_below(fig)
    return fig, ax


@house
def training(
    epochs: np.ndarray,
    curves: Mapping[str, np.ndarray],
    brackets: Mapping[str, tuple[np.ndarray, np.ndarray]],
    stability: tuple[np.ndarray, np.ndarray],
    half: np.ndarray,
) -> tuple[Figure, Axes]:
    """ln Z along a training minus that of AIS, and the stability of the mean-field solutions.

    `curves` are approximations; a curve that is 30 nats too high or more is not drawn but named,
    with an arrow. `brackets` are values and standard errors; "RAISE" is drawn as a band from AIS
    to it, as ln Z is known no better, the others are points. `stability` is the smallest and
    largest singular value of A over the solutions, `half` that at m = 1/2.
    """
    fig, ax = canvas(1, 2, size=(3.6, 4.5))
    _minus_ais(ax[0], epochs, curves, brackets)
    look = {"color": COLOURS[5], "alpha": 0.6, "label": "stability at the solutions found"}
    ax[1].fill_between(epochs, *stability, **look)
    label = r"stability at $m = 1/2$: $\beta\lambda_1/4$"
    ax[1].plot(epochs, half, color=COLOURS[1], marker="s", linestyle="--", label=label)
    ax[1].axhline(1, color="black", linewidth=0.8)
    ax[1].set(ylabel="largest singular value of $A$", yscale="log")
    for panel in ax:
        panel.set_xscale("symlog", linthresh=0.05)
        panel.set_xlim(-0.01, 70)
        panel.set_xticks([0, 0.1, 1, 10], ["0", "0.1", "1", "10"])
        panel.set_xlabel("epoch")
    legend_below(fig)
    return fig, ax


def _minus_ais(ax: Axes, epochs: np.ndarray, curves: Mapping, brackets: Mapping) -> None:
    """The left panel of `training`."""
    top = 30
    for k, (label, value) in enumerate(curves.items()):
        look = {"color": COLOURS[k], "marker": MARKERS[k], "linestyle": _DASHES[k % 4]}
        if np.nanmin(value) < top:
            ax.plot(epochs, value, label=label, **look)
        else:
            text = f"{label}: +{np.nanmin(value):.0f}\nand more"
            arrow = {"arrowstyle": "->", "color": COLOURS[k]}
            place = {"xy": (0.02, top), "xytext": (0, 8), "ha": "left", "va": "top"}
            ax.annotate(text, fontsize=9, color=COLOURS[k], arrowprops=arrow, **place)
    band = brackets["RAISE"][0]
    low, high = np.minimum(band, 0), np.maximum(band, 0)
    ax.fill_between(epochs, low, high, color="0.75", label="between AIS and RAISE")
    points = {label: bracket for label, bracket in brackets.items() if label != "RAISE"}
    for k, (label, (value, error)) in enumerate(points.items(), start=len(curves)):
        look = {"color": COLOURS[k % 7], "fmt": MARKERS[k], "capsize": 2}
        ax.errorbar(epochs, value, yerr=error, label=label, **look)
    ax.set(ylabel=r"$\ln Z$ minus AIS (nats)", ylim=(-30, top))
    ax.set_yscale("symlog", linthresh=1)


@house
def modes_kept(
    missing: Mapping[int, tuple[float, float]],
    likelihood: Mapping[int, float],
    singular_values: np.ndarray,
) -> tuple[Figure, np.ndarray]:
    """What ln Z lacks (value, error) when k modes fluctuate, and the test log-likelihood.

    Both against the root of k. A dotted line is where the singular values pass 4; those of the k-th
    modes stand below the axis.
    """
    fig, ax = canvas(1, 2, size=(3.6, 3.4))
    value, error = np.transpose(list(missing.values()))
    roots = np.sqrt(list(missing))
    ax[0].errorbar(roots, value, yerr=error, fmt="o-", color=COLOURS[0], capsize=3)
    ax[0].set(yscale="log", ylabel=r"$\ln Z-\ln Z_k$ (nats)")
    roots = np.sqrt(list(likelihood))
    ax[1].plot(roots, list(likelihood.values()), "s-", color=COLOURS[1])
    ax[1].set(ylabel="test log-likelihood (nats)")
    ticks = [k for k in sorted({*missing, *likelihood}) if k != 60]
    names = ["0"] + [f"{k}\n{singular_values[k - 1]:.2g}" for k in ticks[1:]]
    border = np.sqrt((singular_values > 4).sum())
    for panel in ax:
        panel.axvline(border, color="0.4", linestyle=":")
        panel.set_xticks(np.sqrt(ticks), names, fontsize=9)
        panel.set_xlabel(r"$k$ modes kept; below, $\lambda_k$")
    place = {"xytext": (4, 0), "textcoords": "offset points"}
    ax[0].annotate(r"$\lambda_k=4$", (border, value.max()), **place)
    return fig, ax


@house
def overview(errors: Mapping[str, float], solutions: Solutions) -> tuple[Figure, Axes]:
    """Estimates minus exact ln Z; solutions on the plane of mode 1; its potential, and exact."""
    # by hand: a constrained layout takes as long as all the rest
    fig, ax = canvas(1, 3, size=(2.4, 3.1), layout="none")
    fig.subplots_adjust(left=0.15, right=0.98, bottom=0.17, top=0.9, wspace=0.25)
    _estimates(ax[0], errors)
    _on_the_plane(ax[1], solutions)
    _in_the_potential(ax[2], solutions)
    for panel in ax[1:]:
        panel.locator_params(nbins=3)  # ticks take most of the time of drawing
    return fig, ax


def _estimates(ax: Axes, errors: Mapping[str, float]) -> None:
    for k, error in enumerate(errors.values()):
        finite = np.isfinite(error)
        place, marker, text = 30, ">", "diverges"
        if finite:
            place, marker, text = error, MARKERS[k], f"{error:+.3f}"
        ax.plot(place, -k, marker, color=COLOURS[k % 7], markersize=8)
        ax.text(27, -k + 0.25, text, ha="right", fontsize=9)
    ax.axvline(0, color="black", linewidth=0.8)
    ax.set_xscale("symlog", linthresh=0.1)
    ax.xaxis.set_minor_locator(NullLocator())
    ax.set_yticks(-np.arange(len(errors)), list(errors))
    ax.set_xticks([-1, 0, 1], [-1, 0, 1])
    ax.set(xlim=(-30, 40), ylim=(-len(errors) + 0.5, 0.6))
    ax.set(xlabel="minus exact (nats)", title=r"$\ln Z$")


def _on_the_plane(ax: Axes, found: Solutions) -> None:
    count = len(found.x)
    for stable, look in _STABLE.items():
        keep = (found.stability < 1) == stable
        ax.plot(found.x[keep], found.y[keep], linestyle="none", markersize=7, **look)
    ax.margins(0.3)
    ax.legend(fontsize=9, loc="lower right")
    ax.set(xlabel="$x_1$", title=f"{count} solution{'s' * (count > 1)}")
    ax.text(0.02, 0.93, "$y_1$", transform=ax.transAxes)


def _in_the_potential(ax: Axes, found: Solutions) -> None:
    """Both potentials less the minimum of the exact one."""
    low = found.exact.min()
    look = {"color": "0.6", "fill": True, "alpha": 0.4, "label": "exact"}
    ax.stairs(np.minimum(found.exact - low, 20), found.edges, **look)
    ax.plot(found.grid, found.potential - low, "-", color=COLOURS[0], label="one mode")
    for stable, look in _STABLE.items():
        x = found.x[(found.stability < 1) == stable]
        height = np.interp(x, found.grid, found.potential, left=np.nan, right=np.nan) - low
        style = {"linestyle": "none", "markersize": 7, "clip_on": False}
        ax.plot(x, height, **style, **look | {"label": None})
    ax.set(xlabel="$x_1$", title="potential of mode 1")
    ax.set(xlim=(found.edges[0], found.edges[-1]), ylim=(-0.3, 8))
    ax.legend(fontsize=9, loc="upper center")
