"""Reciprocal space: the energy of an RBM in the singular modes of its couplings.

With W = U diag(s) V^T and the projections x = U^T v, y = V^T h, a0 = U^T a, b0 = V^T b, the energy
is a sum of terms that hold one pair (x_i, y_i) each, Eqs. (14)-(16):

    E_i(x_i, y_i) = -a0_i x_i - b0_i y_i - s_i x_i y_i,        i = 1 ... K,        K = min(N, M),

and of a rest, linear in the part of the larger layer that no mode couples. Each E_i is a saddle.
What ties the modes together again is that v and h are binary: `rbmkit.projections` has the exact
law of a single x_i or y_i of random states. `rbmkit.spectra` has the law of the s_i of an untrained
model. Modes count from 0 here and from 1 in the paper.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from scipy.integrate import solve_ivp
from scipy.optimize import linear_sum_assignment

from rbmkit import checks
from rbmkit.model import RBM

_BLOCK_ROWS = 8192  # states are converted to float64 this many at a time

Which = int | np.ndarray | slice  # an index of modes: one, several or a range
_ALL = slice(None)


def turned(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The rotation of Eq. (19) at theta = pi/4: u = (x + y) / sqrt(2) and w = (y - x) / sqrt(2)."""
    return (x + y) / np.sqrt(2), (y - x) / np.sqrt(2)


def uw_axes(U: np.ndarray, V: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The vectors c with u = c . (v, h) and w = c . (v, h) up to constants, Eq. (19), of one
    mode or, as columns, of several: [U, V] / sqrt(2) and [-U, V] / sqrt(2)."""
    return np.concatenate([U, V]) / np.sqrt(2), np.concatenate([-U, V]) / np.sqrt(2)


def all_axes(U: np.ndarray, V: np.ndarray, rest_v: np.ndarray, rest_h: np.ndarray) -> np.ndarray:
    """Orthogonal matrix (N + M, N + M): columns u and w of the modes U, V, then the unpaired
    rest of both layers."""
    zeros_v = np.zeros((len(U), rest_h.shape[1]))
    zeros_h = np.zeros((len(V), rest_v.shape[1]))
    return np.hstack([*uw_axes(U, V), np.block([[rest_v, zeros_v], [zeros_h, rest_h]])])


@dataclass(frozen=True, eq=False)
class Modes:
    """Singular modes of an RBM; made by `modes`.

    Attributes
    ----------
    U, V : (N, K) and (M, K) arrays
        The modes, orthonormal columns; the mean of ``U[:, i]`` is >= 0.
    s : (K,) array
        Singular values (lambda in the paper) >= 0, descending unless reordered by `match`. Unit of
        energy.
    a0, b0 : (K,) arrays
        Fields of the modes, Eq. (17).
    a_rest, b_rest : (N,) and (M,) arrays
        What remains of the fields a and b outside the span of the modes; zero in the smaller layer.
    """

    U: np.ndarray
    s: np.ndarray
    V: np.ndarray
    a0: np.ndarray
    b0: np.ndarray
    a_rest: np.ndarray
    b_rest: np.ndarray

    def __repr__(self) -> str:
        return f"Modes(N={len(self.U)}, M={len(self.V)}, K={len(self.s)})"

    def x(self, v: np.ndarray, which: Which = _ALL) -> np.ndarray:
        """Visible reciprocal variables x = U^T v, Eq. (17), of all modes or of `which`: (n, N)
        to (n, K)."""
        return _project(checks.binary(v, len(self.U), "v"), self.U[:, which])

    def y(self, h: np.ndarray, which: Which = _ALL) -> np.ndarray:
        """Hidden reciprocal variables y = V^T h, Eq. (17), of all modes or of `which`: (n, M) to
        (n, K)."""
        return _project(checks.binary(h, len(self.V), "h"), self.V[:, which])

    def energies(self, v: np.ndarray, h: np.ndarray) -> np.ndarray:
        """Energies of the modes, Eq. (16), and in the last column of the uncoupled rest; they add
        up to E, Eq. (15).

        The paper's unpaired modes all have singular value 0: any rotation among them is as good,
        and only the sum of their energies, the rest, has a meaning.

        Parameters
        ----------
        v, h : (n, N) and (n, M) arrays of 0 and 1
            A single row is combined with all rows of the other.

        Returns
        -------
        (n, K + 1) array
        """
        v = checks.binary(v, len(self.U), "v")
        h = checks.binary(h, len(self.V), "h")
        if len(v) != len(h) and 1 not in (len(v), len(h)):
            raise ValueError(
                f"v and h must have equally many rows (or one of them one row), got {len(v)} and "
                f"{len(h)}"
            )
        rest = -(_project(v, self.a_rest) + _project(h, self.b_rest))
        return np.column_stack([self.landscape(self.x(v), self.y(h)), rest])

    def landscape(self, x: np.ndarray, y: np.ndarray, which: Which = _ALL) -> np.ndarray:
        """E_i(x_i, y_i) of Eq. (16) for the modes `which`, broadcast against the last axis of x
        and y."""
        return -self.a0[which] * x - self.b0[which] * y - self.s[which] * x * y

    @cached_property
    def x0(self) -> np.ndarray:
        """Saddle points, x0 = -b0 / s; infinite where s is zero up to rounding: such a mode is a
        plane."""
        return -self._over_s(self.b0)

    @cached_property
    def y0(self) -> np.ndarray:
        """Saddle points, y0 = -a0 / s; infinite where s is zero up to rounding."""
        return -self._over_s(self.a0)

    @cached_property
    def saddle_energy(self) -> np.ndarray:
        """Energy at the saddle points, a0 b0 / s; infinite where s is zero up to rounding."""
        return self._over_s(self.a0 * self.b0)

    def saddle(self, which: Which = _ALL) -> tuple[np.ndarray, np.ndarray]:
        """The saddle points (x0, y0) of the modes `which`.

        Raises
        ------
        ValueError
            One of these modes has none, because its singular value is zero up to rounding.
        """
        if self._flat[which].any():
            flat = np.arange(len(self.s))[which]
            first = flat[self._flat[which]][0] if flat.ndim else int(flat)
            raise ValueError(
                f"mode {first} (from 0) has singular value 0: its energy is a plane, without a "
                "saddle"
            )
        return self.x0[which], self.y0[which]

    @cached_property
    def mu_x(self) -> np.ndarray:
        """Mean of x over all states, Eq. (52a): half the column sums of U."""
        return self.U.sum(axis=0) / 2

    @cached_property
    def mu_y(self) -> np.ndarray:
        """Mean of y over all states, Eq. (52b): half the column sums of V."""
        return self.V.sum(axis=0) / 2

    def to_uw(
        self, x: np.ndarray, y: np.ndarray, which: Which = _ALL
    ) -> tuple[np.ndarray, np.ndarray]:
        """Coordinates (u, w) along the unstable and the stable axis of the saddles, Eq. (19) at
        theta = pi/4."""
        x0, y0 = self.saddle(which)
        return turned(x - x0, y - y0)

    def to_xy(
        self, u: np.ndarray, w: np.ndarray, which: Which = _ALL
    ) -> tuple[np.ndarray, np.ndarray]:
        """The inverse of `to_uw`, Eq. (19)."""
        x0, y0 = self.saddle(which)
        return x0 + (u - w) / np.sqrt(2), y0 + (u + w) / np.sqrt(2)

    def landscape_uw(self, u: np.ndarray, w: np.ndarray, which: Which = _ALL) -> np.ndarray:
        """E_i(u_i, w_i) = a0 b0 / s - s (u^2 - w^2) / 2, Eq. (20)."""
        self.saddle(which)
        return self.saddle_energy[which] - self.s[which] / 2 * (u**2 - w**2)

    @cached_property
    def _flat(self) -> np.ndarray:
        return self.s <= self.s.max() * max(len(self.U), len(self.V)) * np.finfo(float).eps

    def _over_s(self, numerator: np.ndarray) -> np.ndarray:
        infinite = np.copysign(np.inf, numerator)
        return np.divide(numerator, self.s, where=~self._flat, out=infinite)


def modes(rbm: RBM) -> Modes:
    """Singular value decomposition of the couplings, with fixed signs, and the fields of the modes.

    The SVD leaves the sign of each pair ``(U[:, i], V[:, i])`` open; here the mean of ``U[:, i]``
    is >= 0. To follow modes along a training run use `match`.

    Parameters
    ----------
    rbm : RBM

    Returns
    -------
    Modes
        The min(N, M) paired modes. 0.5 s for 784 x 3000 couplings on one core.
    """
    checks.instance(rbm, RBM, "rbm")
    U, s, Vt = np.linalg.svd(rbm.W, full_matrices=False)
    sign = np.where(U.sum(axis=0) < 0, -1.0, 1.0)
    return _with_fields(rbm, U * sign, s, Vt.T * sign)


def _with_fields(rbm: RBM, U: np.ndarray, s: np.ndarray, V: np.ndarray) -> Modes:
    a0 = U.T @ rbm.a
    b0 = V.T @ rbm.b
    a_rest = rbm.a - U @ a0 if rbm.N > rbm.M else np.zeros(rbm.N)
    b_rest = rbm.b - V @ b0 if rbm.M > rbm.N else np.zeros(rbm.M)
    return Modes(U=U, s=s, V=V, a0=a0, b0=b0, a_rest=a_rest, b_rest=b_rest)


def _project(states: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    projected = np.empty((len(states), *vectors.shape[1:]))
    for k in range(0, len(states), _BLOCK_ROWS):
        projected[k : k + _BLOCK_ROWS] = states[k : k + _BLOCK_ROWS].astype(np.float64) @ vectors
    return projected


@dataclass(frozen=True, eq=False)
class Match:
    """Modes in the order and with the signs of a reference.

    Attributes
    ----------
    modes : Modes
        Mode i continues mode i of the reference; `modes.s` may therefore not be descending.
    order : (K,) int array
        Where each was before: ``modes.s == before.s[order]``.
    overlap : (K,) array
        ``(U_i . U'_i + V_i . V'_i) / 2`` with the reference, between 0 and 1. Far below 1, the
        label means little.
    """

    modes: Modes
    order: np.ndarray
    overlap: np.ndarray


def match(new: Modes, reference: Modes) -> Match:
    """Give the modes of `new` the labels and signs of `reference`, e.g. those of the checkpoint
    before.

    Sorted by singular value, two modes that cross during training would swap labels. Of all
    assignments, the one with the largest sum of overlaps is taken (Hungarian algorithm).

    Raises
    ------
    ValueError
        The two have different shapes.
    """
    checks.instance(new, Modes, "new")
    checks.instance(reference, Modes, "reference")
    if new.U.shape != reference.U.shape or new.V.shape != reference.V.shape:
        raise ValueError(
            f"only modes of equal shapes can be matched, got {new!r} and {reference!r}"
        )
    overlaps = (reference.U.T @ new.U + reference.V.T @ new.V) / 2
    rows, order = linear_sum_assignment(-np.abs(overlaps))
    overlap = overlaps[rows, order]
    sign = np.where(overlap < 0, -1.0, 1.0)
    turned = {name: getattr(new, name)[..., order] * sign for name in ("U", "V", "a0", "b0")}
    return Match(modes=replace(new, s=new.s[order], **turned), order=order, overlap=np.abs(overlap))


def flow(
    modes: Modes, i: int, start: tuple[float, float], times: np.ndarray, *, descend: bool = True
) -> np.ndarray:
    """Gradient flow on one landscape, integrated numerically from `start`.

    Parameters
    ----------
    modes : Modes
    i : int
        The mode.
    start : pair of floats
        (x, y) at ``times[0]``.
    times : (n,) array
        Increasing.
    descend : bool, optional
        Minus the gradient, downhill (default). False: plus the gradient, as Eq. (18) has it, which
        climbs.

    Returns
    -------
    (n, 2) array
        x and y at each time.
    """
    checks.instance(modes, Modes, "modes")
    times = checks.real_array(times, (None,), "times")
    sign = 1.0 if descend else -1.0

    def velocity(_, xy):
        return sign * (np.array([modes.a0[i], modes.b0[i]]) + modes.s[i] * xy[::-1])

    start = checks.real_array(start, (2,), "start")
    return solve_ivp(velocity, times[[0, -1]], start, t_eval=times, rtol=1e-9, atol=1e-12).y.T


def without(W: np.ndarray, picture: np.ndarray, pattern: np.ndarray) -> np.ndarray:
    """Couplings from which a picture and a pattern of hidden units are projected out, Eq. (2.14).

    W' = (1 - p p^T / |p|^2) W (1 - q q^T / |q|^2) couples to nothing along the picture p or the
    pattern q. This is another model, and not another gauge of the same one: a change of gauge, v ->
    v - const, moves fields only.

    Parameters
    ----------
    W : (N, M) array
    picture, pattern : (N,) and (M,) arrays
        Not zero.

    Returns
    -------
    (N, M) array
    """
    W = checks.real_array(W, (None, None), "W")
    p, q = (
        checks.real_array(x, (n,), name)
        for x, n, name in zip((picture, pattern), W.shape, ("picture", "pattern"))
    )
    p = p / np.linalg.norm(p)
    q = q / np.linalg.norm(q)
    left = W - np.outer(p, p @ W)
    return left - np.outer(left @ q, q)
