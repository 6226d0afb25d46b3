"""What all figures share: palette, canvas, images of digits, and the one call that shows a figure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
from cycler import cycler
from matplotlib.axes import Axes
from matplotlib.figure import Figure

# Okabe and Ito's palette, told apart with the common colour deficiencies; colour never stands alone, hence the markers
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#F0E442")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
_LOOK = {
    "axes.prop_cycle": cycler(color=COLOURS, marker=MARKERS),
    "axes.grid": True,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titley": 1.0,  # a place that need not be searched for: drawing is a quarter faster
    "figure.constrained_layout.use": True,
    "figure.dpi": 80,
    "figure.facecolor": "white",
    "font.size": 11,
    "grid.alpha": 0.3,
    "legend.fontsize": 10,
    "legend.frameon": False,
    "lines.markersize": 4,
    "lines.linewidth": 1.5,
    "savefig.facecolor": "white",
}


def canvas(rows: int = 1, columns: int = 1, *, size: tuple[float, float] = (5.0, 3.6), **kwargs) -> tuple[Figure, Axes]:
    """Figure and axes in the house style; `size` is the width and height of one panel in inches.

    Further keywords go to `matplotlib.pyplot.subplots`.
    """
    with plt.rc_context(_LOOK):
        return plt.subplots(rows, columns, figsize=(size[0] * columns, size[1] * rows), **kwargs)


def curves(
    series: Mapping[str, Sequence],
    *,
    xlabel: str,
    ylabel: str,
    title: str = "",
    ax: Axes | None = None,
    **axes: object,
) -> tuple[Figure, Axes]:
    """Lines with error bars: `series` maps a label to (x, y) or (x, y, error).

    Drawn on `ax`, or on a new canvas; further keywords are axes properties, such as ``xscale="log"``.
    """
    fig, ax = canvas() if ax is None else (ax.figure, ax)
    with plt.rc_context(_LOOK):
        for label, (x, y, *error) in series.items():
            ax.errorbar(x, y, yerr=error[0] if error else None, label=label, capsize=2, elinewidth=1)
        ax.set(xlabel=xlabel, ylabel=ylabel, title=title, **axes)
        if len(series) > 1:
            ax.legend()
    return fig, ax


def digits(
    images: np.ndarray, *, columns: int = 10, shape: tuple[int, int] = (28, 28), cmap: str = "gray_r", title: str = ""
) -> tuple[Figure, Axes]:
    """Rows of `images` (n, pixels) as a mosaic; the grey scale is symmetric about 0 if any value is negative."""
    images = np.asarray(images, dtype=float)
    rows = -(-len(images) // columns)
    height, width = shape
    edge = np.abs(images).max() or 1.0
    low = -edge if images.min() < 0 else 0.0
    mosaic = np.full((rows * (height + 1) + 1, columns * (width + 1) + 1), np.nan)
    for k, image in enumerate(images):
        top, left = k // columns * (height + 1) + 1, k % columns * (width + 1) + 1
        mosaic[top : top + height, left : left + width] = image.reshape(shape)
    fig, ax = canvas(size=(0.6 * columns, 0.6 * rows * height / width + (0.3 if title else 0.0)))
    colours = plt.get_cmap(cmap).with_extremes(bad="#c8d0d8")
    ax.imshow(mosaic, cmap=colours, vmin=low, vmax=edge, interpolation="nearest")
    ax.set_title(title)
    ax.set_axis_off()
    return fig, ax


def show(fig: Figure, alt: str) -> None:
    """Show a figure once, with one sentence `alt` that says what is seen, kept beside the image for screen readers."""
    if not alt.strip():
        raise ValueError("a figure needs a description: pass one sentence that says what is seen")
    from IPython.display import display

    _as_pictures()
    display(fig, metadata={"image/png": {"alt": alt}})
    plt.close(fig)


def _as_pictures() -> None:
    """Let the notebook show figures as PNG whatever MPLBACKEND says: only one of Matplotlib's backends sees to that."""
    from IPython import get_ipython
    from IPython.core.pylabtools import select_figure_formats

    shell = get_ipython()
    if shell is not None and Figure not in shell.display_formatter.formatters["image/png"]:
        select_figure_formats(shell, {"png"}, bbox_inches="tight")
