"""What one panel or row of a figure shows, by name, where a tuple would have to be counted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from rbmkit.reciprocal import Modes


@dataclass(frozen=True, eq=False)
class Panel:
    """One axes with its curves.

    Attributes
    ----------
    title : str
    curves : dict
        (x, y) or (x, y, error) by label.
    axes : dict, optional
        Further properties of the axes, such as ``{"xscale": "log"}``.
    """

    title: str
    curves: Mapping[str, Sequence]
    axes: Mapping[str, object] = field(default_factory=dict)


# ---------------------------------------------------------------- notebook 2
@dataclass(frozen=True, eq=False)
class Clouds:
    """Data and samples of one model on K of its modes.

    Attributes
    ----------
    modes : Modes
    x, y : (n, K) arrays
        Coordinates of the data.
    drawn_x, drawn_y : (n', K) arrays
        Those of the samples.
    """

    modes: Modes
    x: np.ndarray
    y: np.ndarray
    drawn_x: np.ndarray
    drawn_y: np.ndarray


@dataclass(frozen=True, eq=False)
class Marginal:
    """One coordinate of random states.

    Attributes
    ----------
    title : str
    values : (n,) array
        The coordinate of the states.
    grid, exact, normal : (points,) arrays
        Where densities are drawn; the exact one, and that of the normal law.
    """

    title: str
    values: np.ndarray
    grid: np.ndarray
    exact: np.ndarray
    normal: np.ndarray


# ---------------------------------------------------------------- notebook 3
@dataclass(frozen=True, eq=False)
class Solutions:
    """Mean-field solutions on the plane of mode 1, and its potential.

    Attributes
    ----------
    x, y, stability : (n,) arrays
        Of the solutions.
    grid, potential : (points,) arrays
        -ln of the density of x, of one mode.
    edges, exact : (B + 1,) and (B,) arrays
        Edges of bins, and -ln of the exact density in them.
    """

    x: np.ndarray
    y: np.ndarray
    stability: np.ndarray
    grid: np.ndarray
    potential: np.ndarray
    edges: np.ndarray
    exact: np.ndarray


# ---------------------------------------------------------------- notebooks 5 and 6
@dataclass(frozen=True, eq=False)
class Effect:
    """What a rotation of two neighbouring modes changes.

    Attributes
    ----------
    label : str
        Of the vertical axis.
    values, errors : (n,) arrays
        Mean over pictures, and its standard error, for each rank.
    level, level_error : float
        The same for what they are compared with: a band.
    level_name : str
        What that is, for the legend.
    """

    label: str
    values: np.ndarray
    errors: np.ndarray
    level: float
    level_error: float
    level_name: str


@dataclass(frozen=True, eq=False)
class Well:
    """The measured law of u_1 and Landau's free energy, in kT.

    Attributes
    ----------
    title : str
    u, free, error : (B,) arrays
        Centres of bins, -ln p(u), and its standard error.
    starts : (3, B) array
        -ln p(u) by the chains of each start alone: ones, zeros, random.
    z, landau : (points,) arrays
        f_1(z).
    """

    title: str
    u: np.ndarray
    free: np.ndarray
    error: np.ndarray
    starts: np.ndarray
    z: np.ndarray
    landau: np.ndarray


@dataclass(frozen=True, eq=False)
class Summary:
    """A quantity along a training, over replicas.

    Attributes
    ----------
    mean, error : (T,) arrays
        Mean over the replicas, and its standard error.
    spread : (T,) array or None
        Standard deviation of the states, if it is one of states.
    """

    mean: np.ndarray
    error: np.ndarray
    spread: np.ndarray | None


@dataclass(frozen=True, eq=False)
class OrderParameters:
    """Both coordinates of a mode along a training.

    Attributes
    ----------
    title : str
    epochs : (T,) array
    u, w : dict of Summary
        Of "mu", the minimum of the constraint, of "data" and of "samples".
    """

    title: str
    epochs: np.ndarray
    u: Mapping[str, Summary]
    w: Mapping[str, Summary]
