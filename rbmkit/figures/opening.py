"""The picture on the front page: the double well of the leading mode opens while the model learns to draw digits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure

from rbmkit.figures.style import COLOURS, canvas

_ROWS, _COLUMNS = 3, 4  # of pictures below each curve


@dataclass(frozen=True, eq=False)
class Moment:
    """What is drawn of one moment of a training.

    Attributes
    ----------
    title : str
    u : (B,) array
        Centres of bins of the unstable coordinate of mode 1, Eq. (19).
    potential, error : (2, B) arrays
        -ln p(u), from chains of two starts, and its standard error, in units of kT; NaN in bins that are too rare.
    images : (12, 784) array
        Pictures that the model draws then.
    """

    title: str
    u: np.ndarray
    potential: np.ndarray
    error: np.ndarray
    images: np.ndarray


def opening(moments: Sequence[Moment], *, ceiling: float = 4.5) -> tuple[Figure, np.ndarray]:
    """One column per moment: -ln p(u) of mode 1, from chains of two starts, above pictures drawn from the model."""
    fig, ax = canvas(2, len(moments), size=(2.35, 1.95), sharey="row", layout="constrained")
    fig.get_layout_engine().set(w_pad=0.03, h_pad=0.02)
    for moment, well, pictures in zip(moments, *ax, strict=True):
        _well(well, moment, ceiling)
        pictures.imshow(mosaic(moment.images), cmap="gray_r", vmin=0, vmax=1, interpolation="nearest")
        pictures.set_axis_off()
    ax[0, 0].set_ylabel("$-\\ln\\,p(u_1)$  (kT)")
    ax[0, 0].legend(fontsize=9, loc="center right", handlelength=1.2)
    return fig, ax


def _well(ax, moment: Moment, ceiling: float) -> None:
    lowest = np.nanmin(moment.potential.mean(axis=0))
    styles = (("<", COLOURS[0], "from the left"), (">", COLOURS[1], "from the right"))
    for values, error, (marker, colour, label) in zip(moment.potential, moment.error, styles, strict=True):
        bars = {"yerr": error, "elinewidth": 1, "linewidth": 1.2}
        ax.errorbar(moment.u, values - lowest, marker=marker, color=colour, markersize=4, label=label, **bars)
    ax.set(title=moment.title, xlabel="$u_1$", xlim=(-9, 9), ylim=(-0.3, ceiling))


def mosaic(images: np.ndarray) -> np.ndarray:
    """Twelve pictures (12, 784) as one, in three rows with a white line between them."""
    tiles = np.asarray(images, dtype=float).reshape(_ROWS, _COLUMNS, 28, 28)
    tiles = np.pad(tiles, ((0, 0), (0, 0), (1, 1), (1, 1)))
    return tiles.transpose(0, 2, 1, 3).reshape(_ROWS * 30, _COLUMNS * 30)
