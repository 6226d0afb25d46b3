"""The rule of figures, measured: the size of the smallest letters, and what legends cover."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.collections import Collection
from matplotlib.contour import ContourSet
from matplotlib.figure import Figure
from matplotlib.lines import AxLine, Line2D
from matplotlib.patches import Patch
from matplotlib.path import Path
from matplotlib.text import Text
from matplotlib.transforms import Bbox

WIDTH = 7.2  # inches: the widest figure
LETTERS = 9.0  # points: the smallest letters, sub- and superscripts aside


def smallest_text(fig: Figure) -> float:
    """Size of the smallest letters of a drawn figure in points; infinite if there are none."""
    texts = fig.findobj(lambda artist: isinstance(artist, Text) and artist.get_visible())
    return min((text.get_fontsize() for text in texts if text.get_text().strip()), default=np.inf)


def covered(fig: Figure) -> list[str]:
    """What is drawn below a legend, by name; empty if all legends stand free.

    Data are lines, points, error bars, histograms and bands in the units of their axes. Lines
    across a whole axes, such as those of ``axhline``, are none, nor are contours.
    """
    fig.draw_without_rendering()
    legends = [ax.get_legend() for ax in fig.axes if ax.get_legend()] + fig.legends
    boxes = [legend.get_window_extent() for legend in legends]
    return [
        f"{type(artist).__name__} {artist.get_label()}"
        for ax in fig.axes
        for artist in _data(ax)
        for box in boxes
        if _under(artist, Bbox.intersection(box, ax.get_window_extent()))
    ]


def _data(ax: Axes) -> Iterator[Artist]:
    for artist in [*ax.lines, *ax.collections, *ax.patches]:
        moved = isinstance(artist, Collection) and artist.get_offset_transform() == ax.transData
        placed = moved or all(artist.get_transform().contains_branch_separately(ax.transData))
        if artist.get_visible() and placed and not isinstance(artist, (AxLine, ContourSet)):
            yield artist


def _under(artist: Artist, box: Bbox | None) -> bool:
    """Whether a line, an area or a point of an artist is within a box of the screen."""
    if box is None:
        return False
    if isinstance(artist, Line2D):
        drawn = artist.get_linestyle() not in ("None", "none", " ", "")
        paths, filled = [artist.get_path()] if drawn else [], False
        points = artist.get_transform().transform(artist.get_xydata())
    elif isinstance(artist, Patch):
        paths, filled, points = [artist.get_path()], artist.get_fill(), np.empty((0, 2))
    else:
        points = artist.get_offset_transform().transform(artist.get_offsets())
        paths = [] if len(points) > 1 else artist.get_paths()
        filled = len(artist.get_facecolor()) > 0
    on_screen = (artist.get_transform().transform_path(path) for path in paths)
    whole = [path.cleaned(remove_nans=True) for path in on_screen]
    pieces = [piece for path in whole for piece in path.to_polygons(closed_only=False)]
    crossing = any(Path(piece).intersects_bbox(box, filled) for piece in pieces)
    inside = (points > box.min) & (points < box.max)
    return bool(inside.all(axis=1).any()) or crossing
