"""Figures of notebook 1."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from rbmkit.figures.style import COLOURS, MARKERS, canvas, digits, house


def _legend(fig: Figure, titles: Sequence[str]) -> None:
    """Colours of kinds of models, and what solid and dashed lines are, below the panels."""
    kinds = {
        title: Line2D([], [], color=COLOURS[k % 7], marker=MARKERS[k % 8])
        for k, title in enumerate(titles)
    }
    ends = {
        "AIS": Line2D([], [], color="black", marker=""),
        "reverse AIS or RAISE": Line2D([], [], color="black", marker="", linestyle="--"),
    }
    shown = kinds | ends
    fig.legend(shown.values(), shown.keys(), loc="outside lower center", ncols=3)


@house
def likelihoods(
    brackets: Mapping[str, tuple], *, start: float = 10.0
) -> tuple[Figure, np.ndarray]:
    """Log-likelihood against epochs for several kinds of model; after Fig. 1, left.

    `brackets` maps a title to (epochs (T,), upper (R, T), lower (R, T)) of R replicas. Solid lines
    are means of the upper ends, dashed lines those of the lower ends, error bars standard
    deviations over replicas. The second panel begins at the epoch `start`.
    """
    fig, ax = canvas(1, 2, size=(3.6, 3.9))
    for k, (epochs, *ends) in enumerate(brackets.values()):
        for values, line in zip(ends, ("-", "--"), strict=True):
            style = {"color": COLOURS[k % 7], "marker": MARKERS[k % 8], "linestyle": line}
            mean = np.mean(values, axis=0)
            spread = np.std(values, axis=0, ddof=min(1, len(values) - 1))
            for part, shown in zip(ax, (epochs >= 0, epochs >= start), strict=True):
                bars = {"yerr": spread[shown], "elinewidth": 1, "capsize": 2}
                part.errorbar(epochs[shown], mean[shown], **bars, **style)
    ax[0].set(xlabel="epochs", ylabel="test log-likelihood (nats per digit)")
    ax[1].set(xlabel="epochs", title=f"from epoch {start:g} on")
    ax[0].set_xscale("symlog", linthresh=0.1)
    ax[0].set_xlim(-0.005, None)
    ax[0].set_xticks([0, 0.1, 1, 10], ["0", "0.1", "1", "10"])
    _legend(fig, list(brackets))
    return fig, ax


@house
def completions(
    truth: np.ndarray, held: np.ndarray, answers: np.ndarray
) -> tuple[Figure, np.ndarray]:
    """One row per picture: what was given (grey where nothing was), the answers, and the truth.

    `truth` is (n, 784), `held` a mask (784,), `answers` (n, k, 784) with values from 0 to 1.
    """
    question = np.where(held, truth, 0.5)[:, None]
    rows = np.concatenate([question, answers, truth[:, None]], axis=1)
    title = "left: given (grey: not); right: the truth; between: answers"
    return digits(rows.reshape(-1, truth.shape[1]), columns=rows.shape[1], title=title)


@house
def brackets_open(
    panels: Mapping[str, Mapping[str, tuple]], *, ylim: tuple[float, float]
) -> tuple[Figure, np.ndarray]:
    """Log-likelihood against epochs, one panel per kind of training; after Fig. 1, left.

    Each panel maps a title to (epochs (T,), upper (R, T), lower (R, T)) of R replicas; checkpoints
    without an estimate are NaN. Solid: mean of the upper ends, dashed: of the lower ends, and
    between them the bracket, filled: where the two estimates disagree nothing better is known.
    """
    size = (7.2 / len(panels), 4.2)
    fig, ax = canvas(1, len(panels), size=size, sharey=True, squeeze=False)
    titles = list(dict.fromkeys(title for brackets in panels.values() for title in brackets))
    for panel, (name, brackets) in zip(ax[0], panels.items()):
        for title, (epochs, *ends) in brackets.items():
            k = titles.index(title)
            known = np.isfinite(ends[0]).all(axis=0)
            upper, lower = (np.mean(end[:, known], axis=0) for end in ends)
            style = {"color": COLOURS[k % 7], "marker": MARKERS[k % 8], "markersize": 3}
            area = {"color": COLOURS[k % 7], "alpha": 0.2, "linewidth": 0}
            panel.plot(epochs[known], upper, **style)
            panel.plot(epochs[known], lower, linestyle="--", **style)
            panel.fill_between(epochs[known], lower, upper, **area)
        panel.set(title=name, xlabel="epochs", ylim=ylim)
    ax[0, 0].set_ylabel("test log-likelihood (nats per digit)")
    _legend(fig, titles)
    return fig, ax[0]
