"""Figures of notebook 1."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure

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
