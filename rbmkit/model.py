"""The Restricted Boltzmann Machine: its parameters, energy, free energy and conditional means.

Visible units v in {0,1}^N and hidden units h in {0,1}^M interact through W (N, M) and feel the
fields a (N,), b (M,):

    E(v, h) = -a.v - b.h - v.W.h,        p(v, h) = exp(-beta E(v, h)) / Z.                   Eq. (3)

There are no couplings inside a layer, so given one layer the units of the other are independent.
Everything here is plain NumPy in float64; states are rows of 0 and 1 (uint8). An `RBM` never
changes: training makes new ones.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy.special import expit, logit

from rbmkit import checks, files

_KIND = "rbmkit.RBM/1"
# work arrays of the functions below stay near this size, whatever the number of rows
_BLOCK_BYTES = 64e6
# pixel means are kept this far from 0 and 1: the logit of a pixel that is never on is -9.2
_MEAN_MARGIN = 1e-4


@dataclass(frozen=True, eq=False)
class RBM:
    """Parameters of a Bernoulli-Bernoulli RBM, checked and read-only.

    Parameters
    ----------
    W : (N, M) array
        Couplings; ``W[i, j] > 0`` favours ``v_i = h_j = 1``. In units of energy, as `a` and `b`.
    a : (N,) array
        Visible fields (biases).
    b : (M,) array
        Hidden fields (biases).

    Raises
    ------
    TypeError, ValueError
        Not real numbers; wrong shape, empty, NaN or infinite.

    Examples
    --------
    >>> rbm = RBM(W=[[1.0], [-2.0]], a=[0.0, 0.5], b=[0.1])
    >>> rbm
    RBM(N=2, M=1)
    >>> rbm.energy([[1, 1], [1, 0]], [1])
    array([ 0.4, -1.1])
    """

    W: np.ndarray
    a: np.ndarray
    b: np.ndarray

    def __post_init__(self) -> None:
        W = checks.real_array(self.W, (None, None), "W")
        a = checks.real_array(self.a, (W.shape[0],), "a")
        b = checks.real_array(self.b, (W.shape[1],), "b")
        for name, array in (("W", W), ("a", a), ("b", b)):
            array.flags.writeable = False
            object.__setattr__(self, name, array)

    def __repr__(self) -> str:
        return f"RBM(N={self.N}, M={self.M})"

    def __reduce__(self):
        # copies and unpickled models are checked and read-only too
        return type(self), (
            self.W,
            self.a,
            self.b,
        )

    @property
    def N(self) -> int:
        """Number of visible units."""
        return self.W.shape[0]

    @property
    def M(self) -> int:
        """Number of hidden units."""
        return self.W.shape[1]

    def energy(self, v: np.ndarray, h: np.ndarray) -> np.ndarray:
        """Energy of joint states, E = -a.v - b.h - v.W.h, Eq. (3).

        Parameters
        ----------
        v, h : (n, N) and (n, M) arrays of 0 and 1
            A single row, (N,) or (M,), is combined with all rows of the other.

        Returns
        -------
        (n,) float64 array
        """
        v = checks.binary(v, self.N, "v")
        h = checks.binary(h, self.M, "h")
        if len(v) != len(h) and 1 not in (len(v), len(h)):
            raise ValueError(
                f"v and h must have equally many rows (or one of them a single row), got {len(v)} "
                f"and {len(h)}"
            )
        energy = np.empty(max(len(v), len(h)))
        for rows in _blocks(len(energy), self.N + 3 * self.M):
            v_rows, h_rows = (x[rows] if len(x) > 1 else x for x in (v, h))
            hidden_field = self.b + v_rows @ self.W
            energy[rows] = -(v_rows @ self.a) - (hidden_field * h_rows).sum(axis=1)
        return energy

    def free_energy(self, v: np.ndarray, beta: float = 1.0) -> np.ndarray:
        """Free energy of visible states, F(v) = -ln sum_h exp(-beta E(v, h)), so that p(v) =
        exp(-F(v)) / Z.

        The sum over h factorises, F(v) = -beta a.v - sum_j ln(1 + exp(beta (b_j + sum_i v_i
        W_ij))).

        Parameters
        ----------
        v : (n, N) or (N,) array of 0 and 1
        beta : float, optional
            Inverse temperature, >= 0. F is dimensionless: beta is inside, not divided out.

        Returns
        -------
        (n,) float64 array
        """
        v = checks.binary(v, self.N, "v")
        beta = checks.inverse_temperature(beta)
        free_energy = np.empty(len(v))
        for rows in _blocks(len(v), self.N + 3 * self.M):
            x = v[rows].astype(np.float64)
            free_energy[rows] = -beta * (x @ self.a) - softplus(beta * (self.b + x @ self.W)).sum(
                axis=1
            )
        return free_energy

    def hidden_mean(self, v: np.ndarray, beta: float = 1.0) -> np.ndarray:
        """Conditional means <h_j | v> = p(h_j = 1 | v) = sigma(beta (b_j + sum_i v_i W_ij)), Eq.
        (11).

        Parameters
        ----------
        v : (n, N) or (N,) array of 0 and 1
        beta : float, optional
            Inverse temperature, >= 0.

        Returns
        -------
        (n, M) float64 array
        """
        return _mean(
            checks.binary(v, self.N, "v"), self.W, self.b, checks.inverse_temperature(beta)
        )

    def visible_mean(self, h: np.ndarray, beta: float = 1.0) -> np.ndarray:
        """Conditional means <v_i | h> = p(v_i = 1 | h) = sigma(beta (a_i + sum_j W_ij h_j)), Eq.
        (11).

        Parameters
        ----------
        h : (n, M) or (M,) array of 0 and 1
        beta : float, optional
            Inverse temperature, >= 0.

        Returns
        -------
        (n, N) float64 array
        """
        return _mean(
            checks.binary(h, self.M, "h"), self.W.T, self.a, checks.inverse_temperature(beta)
        )

    @classmethod
    def random(
        cls,
        N: int,
        M: int,
        *,
        sigma: float,
        rng: int | np.random.Generator,
        pixel_means: np.ndarray | None = None,
    ) -> RBM:
        """An untrained model: independent Gaussian couplings, b = 0, and a = 0 or fitted to the
        pixel means.

        Parameters
        ----------
        N, M : int
            Numbers of visible and hidden units.
        sigma : float
            Standard deviation of the couplings, >= 0.
        rng : int or Generator
            Seed or random generator.
        pixel_means : (N,) array, optional
            Mean of each visible unit over the data, in [0, 1]. If given, a_i = logit(mean_i):
            without couplings the model then has the right means. Means are first clipped to [1e-4,
            1 - 1e-4], because a pixel that never changes has an infinite logit.
        """
        N = checks.positive_int(N, "N")
        M = checks.positive_int(M, "M")
        sigma = checks.nonnegative_float(sigma, "sigma")
        rng = checks.as_generator(rng)
        a = np.zeros(N)
        if pixel_means is not None:
            a = pixel_fields(pixel_means, N, margin=_MEAN_MARGIN)
        return cls(W=rng.normal(0.0, sigma, size=(N, M)), a=a, b=np.zeros(M))

    def save(self, path: str | os.PathLike) -> None:
        """Write the model to an npz file (all or nothing: an interrupted save leaves an older
        file as it was)."""
        files.write_npz(path, kind=_KIND, W=self.W, a=self.a, b=self.b)

    @classmethod
    def load(cls, path: str | os.PathLike) -> RBM:
        """Read a model written by `save`.

        Raises
        ------
        FileNotFoundError
            There is no such file.
        ValueError
            The file is truncated, corrupt or not a saved RBM.
        """
        arrays = files.read_npz(path, ("W", "a", "b"), kind=_KIND)
        try:
            return cls(W=arrays["W"], a=arrays["a"], b=arrays["b"])
        except (TypeError, ValueError) as error:
            raise ValueError(f"{path} does not hold a valid RBM: {error}") from error


def pixel_fields(pixel_means: np.ndarray, N: int, *, margin: float) -> np.ndarray:
    """Fields a_i = logit(mean_i) of independent pixels with these means (N,), kept `margin` away
    from 0 and 1."""
    means = checks.real_array(pixel_means, (N,), "pixel_means")
    if means.min() < 0 or means.max() > 1:
        raise ValueError(
            f"pixel_means must lie in [0, 1], found values from {means.min()} to {means.max()}"
        )
    return logit(np.clip(means, margin, 1 - margin))


def softplus(x: np.ndarray) -> np.ndarray:
    """ln(1 + exp(x)) without overflow, and without loss of accuracy for very negative x."""
    return np.maximum(x, 0.0) + np.log1p(np.exp(-np.abs(x)))


def _mean(states: np.ndarray, couplings: np.ndarray, field: np.ndarray, beta: float) -> np.ndarray:
    mean = np.empty((len(states), len(field)))
    for rows in _blocks(len(states), len(couplings) + len(field)):
        expit(beta * (field + states[rows].astype(np.float64) @ couplings), out=mean[rows])
    return mean


def _blocks(n: int, floats_per_row: int) -> Iterator[slice]:
    """Slices over n rows, each small enough for its work arrays to take about `_BLOCK_BYTES`."""
    size = max(1, int(_BLOCK_BYTES // (8 * floats_per_row)))
    return (slice(start, min(start + size, n)) for start in range(0, n, size))
