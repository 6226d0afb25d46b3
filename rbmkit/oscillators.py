"""Coupled harmonic oscillators: a quadratic potential makes one of every mode of an RBM, Eqs.
(40)-(49).

`harmonic_levels` and `hermite_state` are those of one oscillator, `Oscillators` those of all that
are coupled, and `oscillators` makes them from an RBM.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from rbmkit import checks
from rbmkit.model import RBM
from rbmkit.reciprocal import all_axes, modes

_HIGHEST_STATE = 500  # of `hermite_state`
_ZERO = 1e-12  # relative size below which a frequency or a fluctuation is rounding


def harmonic_levels(omega: np.ndarray, n: np.ndarray) -> np.ndarray:
    """Level n of H for U = omega z^2 / beta, Eq. (49): omega n, or |omega| (n + 1) if omega is
    negative.

    For omega < 0 the term -omega / 2 of Eq. (48) raises the levels instead of cancelling the
    zero-point energy: there is no stationary state, and 2 D |omega| is the rate at which
    probability leaves the saddle.

    Raises
    ------
    ValueError
        omega not finite; n not an integer or negative.
    """
    omega = np.asarray(omega, dtype=float)
    n = np.asarray(n)
    if not np.isfinite(omega).all() or n.dtype.kind not in "iu" or (n < 0).any():
        raise ValueError("omega must be finite, and n must be integers >= 0")
    return np.abs(omega) * (n + (omega < 0))


def hermite_state(n: int, omega: float, zeta: np.ndarray) -> np.ndarray:
    """State n of the oscillator -1/2 d^2/dzeta^2 + omega^2 zeta^2 / 2: a normalised Hermite
    function.

    Parameters
    ----------
    n : int
        From 0 to 500: near the turning points of much higher states exp(-q^2/2), from which the
        recursion starts, is zero in double precision.
    omega : float
        Not zero; its sign does not matter.
    zeta : array
    """
    n = checks.integer(n, "n", least=0)
    scale = checks.positive_float(abs(omega), "abs(omega)")
    if n > _HIGHEST_STATE:
        raise ValueError(
            f"n must be at most {_HIGHEST_STATE}, got {n}: beyond, the recursion underflows"
        )
    q = np.sqrt(scale) * np.asarray(zeta, dtype=float)
    below = np.zeros_like(q)
    state = (scale / np.pi) ** 0.25 * np.exp(-(q**2) / 2)
    for m in range(n):
        below, state = state, np.sqrt(2 / (m + 1)) * q * state - np.sqrt(m / (m + 1)) * below
    return state


@dataclass(frozen=True, eq=False)
class Oscillators:
    """Coupled harmonic oscillators, Eqs. (40)-(45): beta U = (z - mu).k.(z - mu) / 2 + beta (z.L z
    / 2 - g.z).

    Attributes
    ----------
    k : (n, n) array
        Second derivatives of the constraint potential, Eq. (40); symmetric.
    curvature : (n,) array
        The diagonal L of the energy: -lambda for u, +lambda for w, 0 for unpaired variables.
    mu : (n,) array
        Minimum of the constraint potential.
    field : (n,) array
        The linear part g of the energy; zero for u and w if they are measured from the saddle, as
        in the paper.
    beta : float
    """

    k: np.ndarray
    curvature: np.ndarray
    mu: np.ndarray
    field: np.ndarray
    beta: float = 1.0

    def __post_init__(self) -> None:
        n = len(np.atleast_1d(self.curvature))
        for name, shape in (("k", (n, n)), ("curvature", (n,)), ("mu", (n,)), ("field", (n,))):
            object.__setattr__(self, name, checks.real_array(getattr(self, name), shape, name))
        if not np.allclose(self.k, self.k.T, rtol=1e-8, atol=1e-8 * np.abs(self.k).max()):
            raise ValueError("k must be symmetric: it holds second derivatives")
        object.__setattr__(self, "beta", checks.positive_float(self.beta, "beta"))

    @property
    def omega(self) -> np.ndarray:
        """omega_i = (k_ii + beta L_i) / 2, Eq. (41)."""
        return (np.diag(self.k) + self.beta * self.curvature) / 2

    @property
    def z0(self) -> np.ndarray:
        """Where each variable is at rest while the others are at mu, Eq. (42). ValueError if an
        omega is zero."""
        self._refuse_zero(self.omega)
        return (np.diag(self.k) * self.mu + self.beta * self.field) / (2 * self.omega)

    @property
    def Delta(self) -> np.ndarray:
        """z0 - mu, Eq. (45)."""
        return self.z0 - self.mu

    @property
    def Theta(self) -> np.ndarray:
        """Theta_ij = sum over l, neither i nor j, of k_il k_lj / 4, Eq. (45)."""
        return self._off @ self._off / 4

    @property
    def M(self) -> np.ndarray:
        """The matrix M of Eq. (45), its symmetric part: as printed, omega_i k_ij is not
        symmetric."""
        product = self.omega[:, None] * self._off
        return np.diag(self.omega**2) + (product + product.T) / 2 + self.Theta

    @property
    def O(self) -> np.ndarray:  # noqa: E743 - the paper's name
        """O_ij = omega_i k_ij (1 - delta_ij) + 2 Theta_ij, Eq. (45)."""
        return self.omega[:, None] * self._off + 2 * self.Theta

    @property
    def Omega(self) -> np.ndarray:
        """The diagonal matrix of omega, Eq. (45)."""
        return np.diag(self.omega)

    @property
    def half_hessian(self) -> np.ndarray:
        """beta Hess U / 2 = Omega + (off-diagonal part of k) / 2, whose square is M."""
        return (self.k + np.diag(self.beta * self.curvature)) / 2

    @property
    def centre(self) -> np.ndarray:
        """Where all variables are at rest together: the stationary point of U. ValueError if
        there is not just one."""
        self._refuse_zero(self.frequencies)
        return np.linalg.solve(2 * self.half_hessian, self.k @ self.mu + self.beta * self.field)

    @cached_property
    def frequencies(self) -> np.ndarray:
        """Normal-mode omegas, ascending: eigenvalues of `half_hessian`, one per boson; negative
        is unstable."""
        return np.linalg.eigvalsh(self.half_hessian)

    def quantum(self, zeta: np.ndarray) -> np.ndarray:
        """V_Q at z = z0 + zeta, (n,) or (rows, n), Eq. (44)."""
        zeta = np.asarray(zeta, dtype=float)
        square = ((zeta @ self.M) * zeta).sum(axis=-1)
        constant = self.Delta @ self.Theta @ self.Delta - self.omega.sum()
        return (square + zeta @ (self.O @ self.Delta) + constant) / 2

    def _refuse_zero(self, omega: np.ndarray) -> None:
        scale = np.abs(np.diag(self.k)).max() + self.beta * np.abs(self.curvature).max()
        if np.abs(omega).min() <= _ZERO * scale:
            raise ValueError(
                "a frequency is zero (lambda = lambda_c): along it no single place is at rest"
            )

    @property
    def _off(self) -> np.ndarray:
        return self.k - np.diag(np.diag(self.k))


def oscillators(
    rbm: RBM, m_v: np.ndarray | None = None, m_h: np.ndarray | None = None, *, beta: float = 1.0
) -> Oscillators:
    """All N + M oscillators of an RBM, for small deviations from the means (m_v, m_h).

    Independent units with these means have the covariance diag(m (1 - m)), whose inverse, rotated
    to the modes, is k. At m = 1/2 (default) that is 4 times the identity, Eq. (47); elsewhere the
    modes are coupled. The minimum mu of the quadratic constraint potential is such that its value
    and slope are those of the entropy of independent units, so that at a solution of the mean-field
    equations `Oscillators.centre` is that solution.

    Parameters
    ----------
    rbm : RBM
    m_v, m_h : (N,) and (M,) arrays, optional
        Means strictly between 0 and 1.
    beta : float, optional
        Inverse temperature, > 0.

    Returns
    -------
    Oscillators
        Variables u (K), w (K), then the unpaired ones, K = min(N, M), measured from x = y = 0
        rather than from the saddles, which are at infinity for modes with singular value 0.

    Raises
    ------
    TypeError
        Not an RBM.
    ValueError
        A mean that is not strictly between 0 and 1.
    """
    checks.instance(rbm, RBM, "rbm")
    m = np.concatenate([_means(m_v, rbm.N, "m_v"), _means(m_h, rbm.M, "m_h")])
    rotation, s = _rotation(rbm)
    k = rotation.T @ (rotation / (m * (1 - m))[:, None])
    curvature = np.concatenate([-s, s, np.zeros(len(m) - 2 * len(s))])
    mu = rotation.T @ (m - m * (1 - m) * np.log(m / (1 - m)))
    return Oscillators(
        (k + k.T) / 2, curvature, mu, rotation.T @ np.concatenate([rbm.a, rbm.b]), beta
    )


def _rotation(rbm: RBM) -> tuple[np.ndarray, np.ndarray]:
    """Columns: u, w and unpaired variables as combinations of the N + M units; and the singular
    values."""
    m = modes(rbm)
    K = min(rbm.N, rbm.M)
    U_full, _, Vt_full = np.linalg.svd(rbm.W)
    return all_axes(m.U, m.V, U_full[:, K:], Vt_full[K:].T), m.s


def _means(m: np.ndarray | None, n: int, name: str) -> np.ndarray:
    if m is None:
        return np.full(n, 0.5)
    m = checks.real_array(m, (n,), name)
    if m.min() <= 0 or m.max() >= 1:
        raise ValueError(
            f"{name} must lie strictly between 0 and 1, found values from {m.min()} to {m.max()}"
        )
    return m
