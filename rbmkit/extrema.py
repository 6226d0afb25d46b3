"""Extrema of sampled curves: found on the grid, refined by the parabola through three points."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from rbmkit import checks


@dataclass(frozen=True, eq=False)
class Vertex:
    """Extremum of the parabola through y[k - 1], y[k] and y[k + 1]; made by `vertex`.

    Attributes
    ----------
    offset : array
        Its place, from k, in steps of the grid; 0 where a neighbour is infinite.
    value : array
    bend : array
        Second difference: second derivative times the squared step.
    """

    offset: np.ndarray
    value: np.ndarray
    bend: np.ndarray


def minima(y: np.ndarray) -> np.ndarray:
    """Indices of the minima of y (n,) that are not at its ends."""
    return 1 + np.flatnonzero((y[1:-1] < y[:-2]) & (y[1:-1] <= y[2:]))


def vertex(y: np.ndarray, k: np.ndarray) -> Vertex:
    """The parabolas through the points k - 1, k and k + 1 of y, k an index or an array of them."""
    left = y[k - 1] - y[k]
    right = y[k + 1] - y[k]
    bend = left + right
    finite = np.isfinite(bend)
    slope = np.where(finite, left - right, 0) / 2
    offset = slope / np.where(finite, bend, 1)
    return Vertex(offset, y[k] - offset * slope / 2, bend)


def local_minima(
    f: Callable[[np.ndarray], np.ndarray], low: float, high: float, *, points: int = 801
) -> np.ndarray:
    """Minima of a function of an array inside (low, high), the lowest first: on a grid, refined
    by a parabola."""
    if not checks.real(low, "low") < checks.real(high, "high"):
        raise ValueError(f"low must be below high, got {low} and {high}")
    z = np.linspace(low, high, points)
    y = f(z)
    k = minima(y)
    k = k[np.argsort(y[k])]
    return z[k] + vertex(y, k).offset * (z[1] - z[0])
