"""Figures of notebook 3: the cloud of states, estimates of ln Z, mean-field solutions and potentials of one mode."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from rbmkit.figures.style import COLOURS, MARKERS, canvas

_DASHES = ("-", "--", "-.", ":")


def states(z: np.ndarray, log_p: np.ndarray, marginals: Mapping[str, np.ndarray]) -> tuple[Figure, Axes]:
    """All states of a model with two modes, z = (u1, u2, w1, w2), area by probability; and histograms of one variable.

    `marginals` maps three titles to the deviations of all states from their mean.
    """
    fig, axes = canvas(2, 3, size=(2.4, 2.5))
    ax = [axes[0, 0], axes[0, 1], *axes[1]]
    area = 15 + 300 * np.exp(log_p - log_p.max())
    for i, panel in enumerate(ax[:2]):
        panel.axhline(0, color="0.6", linewidth=0.8)
        panel.axvline(0, color="0.6", linewidth=0.8)
        panel.scatter(z[:, i], z[:, 2 + i], s=area, color=COLOURS[i], edgecolors="black", alpha=0.6)
        panel.set(xlabel=f"$u_{i + 1}$", ylabel=f"$w_{i + 1}$", title=f"mode {i + 1}")
    grid = np.linspace(-2.2, 2.2, 200)
    for panel, (title, values) in zip(ax[2:], marginals.items(), strict=True):
        panel.hist(values, bins=61, range=(-2.2, 2.2), density=True, color=COLOURS[5], label="all states")
        panel.plot(grid, np.sqrt(2 / np.pi) * np.exp(-2 * grid**2), "--", color=COLOURS[1], label="normal density")
        panel.set(title=title, xlabel=r"$u_1-\mu$", ylim=(0, 3))
    axes[0, 2].set_axis_off()
    axes[0, 2].legend(*ax[-1].get_legend_handles_labels(), loc="center", title="lower row")
    return fig, axes


def against(
    panels: Mapping[str, Mapping[str, tuple]],
    *,
    xlabel: str,
    ylabel: str,
    critical: float | None = None,
    **axes: object,
) -> tuple[Figure, Axes]:
    """Panels of labelled curves (x, y) or points with error bars (x, y, error); lines break at infinite values."""
    fig, ax = canvas(1, len(panels), size=(7.2 / len(panels), 4.3), squeeze=False)
    for panel, (title, curves) in zip(ax[0], panels.items()):
        for k, (label, (x, y, *error)) in enumerate(curves.items()):
            style = {"color": COLOURS[k % 7], "marker": MARKERS[k % 8], "label": label}
            if error:
                panel.errorbar(x, y, yerr=error[0], linestyle="none", capsize=3, elinewidth=1, **style)
            else:
                panel.plot(x, np.where(np.isfinite(y), y, np.nan), linestyle=_DASHES[k % 4], markevery=0.11, **style)
        if critical is not None:
            panel.axvline(critical, color="0.4", linestyle=":")
        panel.set(title=title, xlabel=xlabel, ylabel=ylabel, **axes)
    fig.legend(*ax[0, 0].get_legend_handles_labels(), fontsize=9, loc="outside lower center", ncols=4)
    return fig, ax


def bifurcation(
    values: np.ndarray, solutions: Sequence[tuple[np.ndarray, np.ndarray]], *, critical: float
) -> tuple[Figure, Axes]:
    """Mean-field solutions against lambda: mean of the visible units, and largest singular value of A.

    `solutions` has for each value of lambda the visible means of all solutions and their stabilities.
    """
    fig, ax = canvas(1, 2, size=(3.6, 3.2))
    for value, (mean, sigma) in zip(values, solutions):
        for stable, colour, marker in ((True, COLOURS[0], "o"), (False, COLOURS[1], "x")):
            keep = (sigma < 1) == stable
            ax[0].plot(np.full(keep.sum(), value), mean[keep], marker, color=colour, markersize=5)
            ax[1].plot(np.full(keep.sum(), value), sigma[keep], marker, color=colour, markersize=5)
    for label, colour, marker in (("stable", COLOURS[0], "o"), ("unstable", COLOURS[1], "x")):
        ax[0].plot([], [], marker, color=colour, label=label)
    for panel in ax:
        panel.axvline(critical, color="0.4", linestyle=":")
        panel.set_xlabel(r"$\beta\lambda_1$")
    ax[1].axhline(1, color="0.4", linestyle="--")
    ax[0].set(ylabel=r"$m_v$ at the solutions", ylim=(0, 1))
    ax[1].set(ylabel="largest singular value of $A$")
    ax[0].legend()
    return fig, ax


def potentials(
    panels: Mapping[str, Mapping[str, tuple[np.ndarray, np.ndarray]]], *, xlabel: str, limits: tuple[float, float]
):
    """Panels of potentials (x, value); `limits` of the vertical axis."""
    fig, ax = canvas(1, len(panels), size=(7.2 / len(panels), 3.2), squeeze=False, sharey=True)
    for panel, (title, curves) in zip(ax[0], panels.items()):
        for k, (label, (x, value)) in enumerate(curves.items()):
            style = {"linestyle": _DASHES[k % 4], "marker": MARKERS[k], "markevery": 0.13}
            panel.plot(x, value, color=COLOURS[k], label=label, **style)
        panel.set(title=title, xlabel=xlabel, ylim=limits)
    ax[0, 0].set_ylabel("potential (nats)")
    fig.legend(*ax[0, 0].get_legend_handles_labels(), fontsize=9, loc="outside lower center", ncols=len(curves))
    return fig, ax


def training(
    epochs: np.ndarray,
    curves: Mapping[str, np.ndarray],
    brackets: Mapping[str, tuple[np.ndarray, np.ndarray]],
    stability: tuple[np.ndarray, np.ndarray],
    half: np.ndarray,
) -> tuple[Figure, Axes]:
    """ln Z along a training minus that of AIS: approximations (curves) and brackets (value, standard error); stability.

    `brackets` has "RAISE", drawn as a band from AIS to it, as ln Z is known no better; the others are points.
    A curve that is 30 nats too high or more is not drawn but named, with an arrow.
    `stability` is the smallest and largest singular value of A over the solutions, `half` that at m = 1/2.
    """
    fig, ax = canvas(1, 2, size=(3.6, 4.2))
    top = 30
    for k, (label, value) in enumerate(curves.items()):
        if np.nanmin(value) > top:
            text = f"{label}: +{np.nanmin(value):.0f}\nand more"
            style = {"color": COLOURS[k], "fontsize": 9, "ha": "center", "va": "top"}
            ax[0].annotate(text, (0.02, top), (0.02, 8), arrowprops={"arrowstyle": "->", "color": COLOURS[k]}, **style)
            continue
        ax[0].plot(epochs, value, color=COLOURS[k], marker=MARKERS[k], linestyle=_DASHES[k % 4], label=label)
    band = brackets["RAISE"][0]
    ax[0].fill_between(epochs, np.minimum(band, 0), np.maximum(band, 0), color="0.75", label="between AIS and RAISE")
    points = {label: bracket for label, bracket in brackets.items() if label != "RAISE"}
    for k, (label, (value, error)) in enumerate(points.items(), start=len(curves)):
        ax[0].errorbar(epochs, value, yerr=error, color=COLOURS[k % 7], fmt=MARKERS[k], capsize=2, label=label)
    ax[0].set(ylabel=r"$\ln Z$ minus AIS (nats)", ylim=(-30, top))
    ax[0].set_yscale("symlog", linthresh=1)
    fig.legend(*ax[0].get_legend_handles_labels(), fontsize=9, loc="outside lower center", ncols=3)
    ax[1].fill_between(epochs, *stability, color=COLOURS[5], alpha=0.6, label="at the solutions found")
    ax[1].plot(epochs, half, color=COLOURS[1], marker="s", linestyle="--", label=r"at $m = 1/2$: $\beta\lambda_1/4$")
    ax[1].axhline(1, color="black", linewidth=0.8)
    ax[1].set(ylabel="largest singular value of $A$", yscale="log")
    ax[1].legend(fontsize=9)
    for panel in ax:
        panel.set_xscale("symlog", linthresh=0.05)
        panel.set_xlim(-0.01, 70)
        panel.set_xticks([0, 0.1, 1, 10], ["0", "0.1", "1", "10"])
        panel.set_xlabel("epoch")
    return fig, ax


def modes_kept(
    missing: Mapping[int, tuple[float, float]], likelihood: Mapping[int, float], singular_values: np.ndarray
) -> tuple[Figure, np.ndarray]:
    """What ln Z lacks (value, error) when k modes fluctuate, and the test log-likelihood, against the root of k.

    A dotted line is where the singular values pass 4; those of the k-th modes stand below the axis.
    """
    fig, ax = canvas(1, 2, size=(3.6, 3.4))
    value, error = np.transpose(list(missing.values()))
    ax[0].errorbar(np.sqrt(list(missing)), value, yerr=error, fmt="o-", color=COLOURS[0], capsize=3)
    ax[0].set(yscale="log", ylabel=r"$\ln Z-\ln Z_k$ (nats)")
    ax[1].plot(np.sqrt(list(likelihood)), list(likelihood.values()), "s-", color=COLOURS[1])
    ax[1].set(ylabel="test log-likelihood (nats)")
    ticks = [k for k in sorted({*missing, *likelihood}) if k != 60]
    names = ["0"] + [f"{k}\n{singular_values[k - 1]:.2g}" for k in ticks[1:]]
    above = (singular_values > 4).sum()
    for panel in ax:
        panel.axvline(np.sqrt(above), color="0.4", linestyle=":")
        panel.set_xticks(np.sqrt(ticks), names, fontsize=9)
        panel.set_xlabel(r"$k$ modes kept; below, $\lambda_k$")
    ax[0].annotate(r"$\lambda_k=4$", (np.sqrt(above), value.max()), (4, 0), textcoords="offset points")
    return fig, ax


def overview(
    errors: Mapping[str, float],
    solutions: tuple[np.ndarray, np.ndarray, np.ndarray],
    potential: tuple[np.ndarray, np.ndarray],
    exact: tuple[np.ndarray, np.ndarray],
) -> tuple[Figure, Axes]:
    """Estimates minus exact ln Z; solutions (x, y, stability) on the plane of mode 1; its potential and the exact one.

    `potential` and `exact`, (edges, values in bins), are -ln of a density; both less the minimum of `exact`.
    """
    fig, ax = canvas(1, 3, size=(2.4, 3.1), layout="none")  # a constrained layout takes as long as all the rest
    fig.subplots_adjust(left=0.15, right=0.98, bottom=0.17, top=0.9, wspace=0.25)
    for k, error in enumerate(errors.values()):
        finite = np.isfinite(error)
        ax[0].plot(error if finite else 30, -k, MARKERS[k] if finite else ">", color=COLOURS[k % 7], markersize=8)
        ax[0].text(27, -k + 0.25, f"{error:+.3f}" if finite else "diverges", ha="right", fontsize=9)
    ax[0].axvline(0, color="black", linewidth=0.8)
    ax[0].set_xscale("symlog", linthresh=0.1)
    ax[0].xaxis.set_minor_locator(NullLocator())
    ax[0].set(yticks=-np.arange(len(errors)), yticklabels=list(errors), xlim=(-30, 40), ylim=(-len(errors) + 0.5, 0.6))
    ax[0].set(xlabel="minus exact (nats)", title=r"$\ln Z$", xticks=[-1, 0, 1], xticklabels=[-1, 0, 1])
    x, y, sigma = solutions
    for stable, marker, label in ((True, "o", "stable"), (False, "x", "unstable")):
        keep = (sigma < 1) == stable
        ax[1].plot(x[keep], y[keep], marker, color=COLOURS[0 if stable else 1], markersize=7, label=label)
    ax[1].margins(0.3)
    ax[1].legend(fontsize=9, loc="lower right")
    ax[1].set(xlabel="$x_1$", title=f"{len(x)} solution{'s' * (len(x) > 1)}")
    ax[1].text(0.02, 0.93, "$y_1$", transform=ax[1].transAxes)
    low = exact[1].min()
    ax[2].stairs(np.minimum(exact[1] - low, 20), exact[0], color="0.6", fill=True, alpha=0.4, label="exact")
    ax[2].plot(potential[0], potential[1] - low, "-", color=COLOURS[0], label="one mode")
    for stable, marker in ((True, "o"), (False, "x")):
        keep = (sigma < 1) == stable
        height = np.interp(x[keep], *potential, left=np.nan, right=np.nan) - low
        ax[2].plot(x[keep], height, marker, color=COLOURS[0 if stable else 1], markersize=7, clip_on=False)
    ax[2].set(xlabel="$x_1$", title="potential of mode 1", ylim=(-0.3, 8), xlim=(exact[0][0], exact[0][-1]))
    ax[2].legend(fontsize=9, loc="upper center")
    for panel in ax[1:]:
        panel.locator_params(nbins=3)  # ticks take most of the time of drawing
    return fig, ax
