"""The picture on the front page: a double well opens while the model learns to draw digits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from rbmkit.figures.legible import WIDTH
from rbmkit.figures.style import COLOURS, canvas, house, legend_below

_ROWS, _COLUMNS = 3, 4  # of pictures below each curve
_SIDES = (
    ("<", COLOURS[0], "chains from the left"),
    (">", COLOURS[1], "chains from the right"),
)


@dataclass(frozen=True, eq=False)
class Moment:
    """What is drawn of one moment of a training.

    Attributes
    ----------
    title : str
    u : (B,) array
        Centres of bins of the unstable coordinate of mode 1, Eq. (19).
    potential, error : (2, B) arrays
        -ln p(u), from chains of two starts, and its standard error, in units of kT; NaN in bins
        that are too rare.
    images : (12, 784) array
        Pictures that the model draws then.
    """

    title: str
    u: np.ndarray
    potential: np.ndarray
    error: np.ndarray
    images: np.ndarray


@house
def opening(moments: Sequence[Moment], *, ceiling: float = 4.5) -> tuple[Figure, np.ndarray]:
    """One column per moment: -ln p(u) of mode 1, from two starts, above pictures of the model."""
    size = (WIDTH / len(moments), 1.75)
    fig, ax = canvas(2, len(moments), size=size, sharey="row")
    for moment, well, pictures in zip(moments, *ax, strict=True):
        _well(well, moment, ceiling)
        pictures.imshow(mosaic(moment.images), cmap="gray_r", vmin=0, vmax=1)
        pictures.set_axis_off()
    ax[0, 0].set_ylabel("$-\\ln\\,p(u_1)$  (kT)")
    legend_below(fig)
    return fig, ax


def _well(ax: Axes, moment: Moment, ceiling: float) -> None:
    lowest = np.nanmin(moment.potential.mean(axis=0))
    sides = zip(moment.potential, moment.error, _SIDES, strict=True)
    for values, error, (marker, colour, label) in sides:
        style = {"marker": marker, "color": colour, "linewidth": 1.2, "label": label}
        ax.errorbar(moment.u, values - lowest, yerr=error, elinewidth=1, **style)
    ax.set(title=moment.title, xlabel="$u_1$", xlim=(-9, 9), ylim=(-0.3, ceiling))


def mosaic(images: np.ndarray) -> np.ndarray:
    """Twelve pictures (12, 784) as one, in three rows with a white line between them."""
    tiles = np.asarray(images, dtype=float).reshape(_ROWS, _COLUMNS, 28, 28)
    tiles = np.pad(tiles, ((0, 0), (0, 0), (1, 1), (1, 1)))
    return tiles.transpose(0, 2, 1, 3).reshape(_ROWS * 30, _COLUMNS * 30)
