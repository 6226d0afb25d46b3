"""What all figures share: palette, canvas, images of digits, and the call that shows a figure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from io import BytesIO

import matplotlib.pyplot as plt
import numpy as np
from cycler import cycler
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from rbmkit.figures import legible

# Okabe and Ito's palette, told apart with the common colour deficiencies. Colour never stands
# alone, hence the markers.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#F0E442")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
_LOOK = {
    "axes.prop_cycle": cycler(color=COLOURS, marker=MARKERS),
    "axes.grid": True,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlesize": 10,
    "axes.titley": 1.0,  # a place that need not be searched for: drawing is a quarter faster
    "figure.constrained_layout.use": True,
    "figure.constrained_layout.w_pad": 0.05,
    "figure.dpi": 80,  # of explorers, which draw fast; `png` has its own
    "figure.facecolor": "white",
    "font.size": 10,
    "grid.alpha": 0.3,
    "legend.fontsize": 9,
    "legend.frameon": False,
    "lines.markersize": 4,
    "lines.linewidth": 1.5,
    "savefig.facecolor": "white",
}
house = plt.rc_context(_LOOK)  # decorates a function that draws
DENSITY = 2 * 96  # dots per inch of a stored picture: two for each point of an ordinary screen
PALETTE = 128  # colours of a stored picture


@house
def canvas(
    rows: int = 1, columns: int = 1, *, size: tuple[float, float] = (5.0, 3.6), **kwargs: object
) -> tuple[Figure, Axes]:
    """Figure and axes in the house style; `size` is the width and height of one panel in inches.

    Further keywords go to `matplotlib.pyplot.subplots`.
    """
    return plt.subplots(rows, columns, figsize=(size[0] * columns, size[1] * rows), **kwargs)


@house
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

    Drawn on `ax`, or on a new canvas; further keywords are axes properties, such as
    ``xscale="log"``.
    """
    fig, ax = canvas() if ax is None else (ax.figure, ax)
    for label, (x, y, *error) in series.items():
        bars = error[0] if error else None
        ax.errorbar(x, y, yerr=bars, label=label, capsize=2, elinewidth=1)
    ax.set(xlabel=xlabel, ylabel=ylabel, title=title, **axes)
    if len(series) > 1:
        ax.legend()
    return fig, ax


@house
def digits(
    images: np.ndarray,
    *,
    columns: int = 10,
    shape: tuple[int, int] = (28, 28),
    cmap: str = "gray_r",
    title: str = "",
) -> tuple[Figure, Axes]:
    """Rows of `images` (n, pixels) as a mosaic, without axes.

    The grey scale is symmetric about 0 if any value is negative.
    """
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


@house
def legend_below(fig: Figure, *, columns: int = 3) -> None:
    """One legend for all panels, below them; a label that several panels have stands there once."""
    handles = {}
    for ax in fig.axes:
        for handle, label in zip(*ax.get_legend_handles_labels()):
            handles.setdefault(label, handle)
    fig.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=columns)


def png(fig: Figure) -> bytes:
    """The figure as a PNG file at twice the resolution of an ordinary screen, with few colours.

    The file says how large its smallest letters are and what its legends cover.
    """
    file = BytesIO()
    fig.savefig(file, format="png", dpi=DENSITY, bbox_inches="tight", pad_inches=0.05)
    measured = PngInfo()
    measured.add_text("smallest text", f"{legible.smallest_text(fig):g}")
    measured.add_text("under legends", ", ".join(legible.covered(fig)))
    few = Image.open(file).convert("RGB").quantize(PALETTE, dither=Image.Dither.NONE)
    file = BytesIO()
    few.save(file, format="png", optimize=True, dpi=(DENSITY, DENSITY), pnginfo=measured)
    return file.getvalue()


def show(fig: Figure, alt: str) -> None:
    """Show a figure once, with one sentence `alt` that says what is seen, for screen readers."""
    if not alt.strip():
        raise ValueError("a figure needs a description: pass one sentence that says what is seen")
    from IPython.display import Image as Picture
    from IPython.display import display

    display(Picture(png(fig), retina=True, alt=alt))  # half as wide as it has dots
    plt.close(fig)
