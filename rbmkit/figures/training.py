"""Figures of notebook 1."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from rbmkit.figures.style import COLOURS, MARKERS, canvas, digits


def likelihoods(brackets: Mapping[str, tuple], *, start: float = 1.0) -> tuple[Figure, np.ndarray]:
    """Log-likelihood against epochs for several kinds of model; after Fig. 1, left.

    `brackets` maps a title to (epochs (T,), upper (R, T), lower (R, T)) of R replicas. Solid lines are means of the
    upper ends, dashed lines those of the lower ends, error bars standard deviations over replicas. The second panel
    begins at the epoch `start`.
    """
    fig, ax = canvas(1, 2)
    for k, (title, (epochs, *ends)) in enumerate(brackets.items()):
        for values, line in zip(ends, ("-", "--"), strict=True):
            style = {"color": COLOURS[k % 7], "marker": MARKERS[k % 8], "linestyle": line, "elinewidth": 1}
            mean, spread = np.mean(values, axis=0), np.std(values, axis=0, ddof=min(1, len(values) - 1))
            for part, shown in zip(ax, (epochs >= 0, epochs >= start), strict=True):
                label = title if line == "-" else None
                part.errorbar(epochs[shown], mean[shown], yerr=spread[shown], label=label, capsize=2, **style)
    for part in ax:
        part.set(xlabel="epochs", ylabel="test log-likelihood (nats per digit)")
    ax[0].set_xscale("symlog", linthresh=0.1)
    ax[0].set_xlim(-0.005, None)
    ax[1].set_title(f"from epoch {start:g} on")
    ax[0].set_title("solid: AIS, dashed: reverse AIS or RAISE")
    ax[0].legend()
    return fig, ax


def completions(truth: np.ndarray, held: np.ndarray, answers: np.ndarray) -> tuple[Figure, np.ndarray]:
    """One row per picture: what was given (grey where nothing was), the answers of a model, and the truth at the end.

    `truth` is (n, 784), `held` a mask (784,), `answers` (n, k, 784) with values from 0 to 1.
    """
    question = np.where(held, truth, 0.5)[:, None]
    rows = np.concatenate([question, answers, truth[:, None]], axis=1)
    title = "left: given (grey: not); right: the truth; between: answers"
    return digits(rows.reshape(-1, truth.shape[1]), columns=rows.shape[1], title=title)


def brackets_open(panels: Mapping[str, Mapping[str, tuple]], *, ylim: tuple[float, float]) -> tuple[Figure, np.ndarray]:
    """Log-likelihood against epochs on a linear axis, one panel per kind of training; after Fig. 1, left.

    Each panel maps a title to (epochs (T,), upper (R, T), lower (R, T)) of R replicas; checkpoints without an estimate
    are NaN. Solid: mean of the upper ends, dashed: of the lower ends, and between them the bracket, filled: where the
    two estimates disagree nothing better is known.
    """
    fig, ax = canvas(1, len(panels), size=(7.2 / len(panels), 4.0), sharey=True, squeeze=False)
    titles = list(dict.fromkeys(title for brackets in panels.values() for title in brackets))
    for panel, (name, brackets) in zip(ax[0], panels.items()):
        for title, (epochs, *ends) in brackets.items():
            k = titles.index(title)
            known = np.isfinite(ends[0]).all(axis=0)
            upper, lower = (np.mean(end[:, known], axis=0) for end in ends)
            style = {"color": COLOURS[k % 7], "marker": MARKERS[k % 8], "markersize": 3}
            panel.plot(epochs[known], upper, **style)
            panel.plot(epochs[known], lower, linestyle="--", **style)
            panel.fill_between(epochs[known], lower, upper, color=COLOURS[k % 7], alpha=0.2, linewidth=0)
        panel.set(title=name, xlabel="epochs", ylim=ylim)
    ax[0, 0].set_ylabel("test log-likelihood (nats per digit)")
    handles = [Line2D([], [], color=COLOURS[k % 7], marker=MARKERS[k % 8]) for k in range(len(titles))]
    fig.legend(handles, titles, loc="outside lower center", ncols=3)
    return fig, ax[0]
