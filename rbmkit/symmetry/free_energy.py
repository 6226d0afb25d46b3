"""Landau's free energy f_i(z) of one mode, Eq. (56), along the unstable (z = u) or the stable
direction (z = w).

As a polynomial (`Landau`): from exact cumulants, from mean-field cavity fields or from the exact
marginal; and unexpanded, as `landau_curve`. Measured ones come from histograms of chains,
`free_energy_of_counts`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import expit

from rbmkit import checks
from rbmkit.model import RBM
from rbmkit.projections import cumulants, edgeworth, log_density, log_density_of_units
from rbmkit.reciprocal import Modes, turned, uw_axes

# step of the numerical derivatives of a potential, in units of the reciprocal variable
_DIFFERENCE = 0.1


@dataclass(frozen=True)
class Landau:
    """Landau's free energy of one mode, Eq. (56), in units of energy:

    f(z) = offset + curvature/2 z^2 + gamma (z-mu) + theta (z-mu)^2 + psi (z-mu)^3 + phi (z-mu)^4.

    z is u or w of Eq. (19), zero at the saddle.

    Attributes
    ----------
    offset : float
        Energy of the saddle, a0 b0 / lambda. It belongs to the pair (u, w) and must be counted
        once.
    curvature : float
        Lambda_i: -lambda along u, +lambda along w.
    mu : float
        Mean of z in the constraint potential.
    gamma, theta, psi, phi : float
    """

    offset: float
    curvature: float
    mu: float
    gamma: float
    theta: float
    psi: float
    phi: float

    def __call__(self, z: np.ndarray) -> np.ndarray:
        t = np.asarray(z, dtype=float) - self.mu
        potential = t * (self.gamma + t * (self.theta + t * (self.psi + t * self.phi)))
        return self.offset + self.curvature / 2 * np.square(z) + potential

    def minima(self) -> np.ndarray:
        """Where f has its minima (one or two, the lowest first; none if it is unbounded below
        and has no well)."""
        slope = np.polynomial.Polynomial(
            [
                self.curvature * self.mu + self.gamma,
                self.curvature + 2 * self.theta,
                3 * self.psi,
                4 * self.phi,
            ]
        )
        roots = slope.roots()
        real = roots[np.abs(roots.imag) < 1e-9 * (1 + np.abs(roots))].real
        found = self.mu + real[slope.deriv()(real) > 0]
        return found[np.argsort(self(found))]


def critical_coupling(
    modes: Modes, i: int = 0, means: tuple[np.ndarray, np.ndarray] | None = None
) -> float:
    """beta lambda_c of mode i: 1 / sqrt(var x var y) over independent units; exactly 4 if all
    means are 1/2."""
    checks.instance(modes, Modes, "modes")
    m_v, m_h = _means(modes, means)
    var_x = np.sum(modes.U[:, i] ** 2 * m_v * (1 - m_v))
    var_y = np.sum(modes.V[:, i] ** 2 * m_h * (1 - m_h))
    return float(1 / np.sqrt(var_x * var_y))


def mode_cumulants(
    modes: Modes,
    i: int = 0,
    *,
    stable: bool = False,
    means: tuple[np.ndarray, np.ndarray] | None = None,
) -> np.ndarray:
    """Exact first four cumulants of z over independent units: cumulants of independent terms add.

    Parameters
    ----------
    modes : Modes
    i : int, optional
    stable : bool, optional
        z = w instead of u.
    means : pair of (N,) and (M,) arrays, optional
        Of the visible and the hidden units; default 1/2 for all, where the third cumulant vanishes.

    Returns
    -------
    (4,) array
    """
    checks.instance(modes, Modes, "modes")
    found = cumulants(_direction(modes, i, stable), np.concatenate(_means(modes, means)))
    if found[1] == 0:
        raise ValueError(
            "means must leave a unit of the mode free: all are 0 or 1, and z has no fluctuations"
        )
    saddle = turned(*modes.saddle(i))[int(stable)]
    return found - [saddle, 0, 0, 0]


def landau(
    modes: Modes,
    i: int = 0,
    *,
    stable: bool = False,
    beta: float = 1.0,
    means: tuple[np.ndarray, np.ndarray] | None = None,
) -> Landau:
    """Eq. (56) with coefficients from exact cumulants: no fit.

    -ln of the Edgeworth density, to the order of the fourth cumulant
    (`rbmkit.projections.edgeworth`).

    Parameters
    ----------
    modes : Modes
    i : int, optional
        The mode, from 0.
    stable : bool, optional
        z = w (the paper's i = M + 1, ...) instead of z = u.
    beta : float, optional
        Inverse temperature, > 0.
    means : pair of (N,) and (M,) arrays, optional
        Means of the units if mode i were absent, from `cavity_means`: the other modes enter through
        them. Default: 1/2, the other modes at mu, as in the paper; then gamma = psi = 0.
    """
    checks.instance(modes, Modes, "modes")
    beta = checks.positive_float(beta, "beta")
    mu, k2, k3, k4 = mode_cumulants(modes, i, stable=stable, means=means)
    series = edgeworth(k2, k3 / k2**1.5, k4 / k2**2)
    return _landau(modes, i, stable, mu, series[1:] / beta)


def landau_of_marginal(
    modes: Modes, i: int = 0, *, stable: bool = False, beta: float = 1.0
) -> Landau:
    """Eq. (56) with the Taylor coefficients at mu of the exact -ln rho(z), by central
    differences."""
    checks.instance(modes, Modes, "modes")
    beta = checks.positive_float(beta, "beta")
    c = _direction(modes, i, stable)
    mu = mode_cumulants(modes, i, stable=stable)[0]
    v = -log_density(c, c.sum() / 2 + _DIFFERENCE * np.arange(4))  # even about the centre
    second = (-49 / 18 * v[0] + 3 * v[1] - 0.3 * v[2] + v[3] / 45) / _DIFFERENCE**2
    fourth = (28 / 3 * v[0] - 13 * v[1] + 4 * v[2] - v[3] / 3) / _DIFFERENCE**4
    return _landau(modes, i, stable, mu, np.array([0, second / 2, 0, fourth / 24]) / beta)


def landau_curve(
    modes: Modes,
    i: int,
    z: np.ndarray,
    *,
    stable: bool = False,
    beta: float = 1.0,
    means: tuple[np.ndarray, np.ndarray] | None = None,
) -> np.ndarray:
    """f_i(z) before the expansion: saddle energy + Lambda/2 z^2 - ln[rho(z) / rho(mu)] / beta;
    infinite where rho = 0.

    rho is the exact marginal of `rbmkit.projections.log_density`; if `means` are given
    (`cavity_means`), the saddle-point density of independent units with these means.

    Parameters
    ----------
    modes, i, stable, beta, means
        As in `landau`.
    z : (n,) array
    """
    checks.instance(modes, Modes, "modes")
    beta = checks.positive_float(beta, "beta")
    z = checks.real_array(z, (None,), "z")
    c = _direction(modes, i, stable)
    mu = mode_cumulants(modes, i, stable=stable, means=means)[0]
    if means is None:
        log_rho = log_density(c, c.sum() / 2 + np.append(mu, z) - mu)
    else:
        m = np.concatenate(_means(modes, means))
        log_rho = log_density_of_units(c, m, c @ m + np.append(mu, z) - mu)
    curvature = modes.s[i] if stable else -modes.s[i]
    return modes.saddle_energy[i] + curvature / 2 * z**2 - (log_rho[1:] - log_rho[0]) / beta


def cavity_means(
    rbm: RBM, modes: Modes, i: int, v: np.ndarray, h: np.ndarray, *, beta: float = 1.0
) -> tuple[np.ndarray, np.ndarray]:
    """Means of the units in the fields of all modes but i, at the mean-field solution (v, h).

    Mode i is taken out whole: its coupling and its fields a0_i, b0_i, which are in the energy
    -+lambda z^2 / 2.

    Parameters
    ----------
    rbm : RBM
    modes : Modes
        Of `rbm`.
    i : int
    v, h : (N,) and (M,) arrays
        Means of the units, in [0, 1].

    Returns
    -------
    (N,) and (M,) arrays
    """
    checks.instance(rbm, RBM, "rbm")
    checks.instance(modes, Modes, "modes")
    v = _in_unit_interval(v, rbm.N, "v")
    h = _in_unit_interval(h, rbm.M, "h")
    U = modes.U[:, i]
    V = modes.V[:, i]
    field_v = rbm.a + rbm.W @ h - U * (modes.a0[i] + modes.s[i] * (V @ h))
    field_h = rbm.b + v @ rbm.W - V * (modes.b0[i] + modes.s[i] * (U @ v))
    return expit(beta * field_v), expit(beta * field_h)


def free_energy_of_counts(counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """-ln p of a measured variable in kT above its minimum, from histograms, with jackknife errors.

    Parameters
    ----------
    counts : (groups, n) int array
        One histogram for each of some independent groups of chains, at least two.

    Returns
    -------
    free, error : (n,) arrays
        Infinite and NaN in bins that are empty.
    """
    counts = checks.real_array(counts, (None, None), "counts")
    if len(counts) < 2 or not counts.any():
        raise ValueError(
            "counts must hold histograms of at least two groups of chains, not all of them empty"
        )
    total = counts.sum(axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        free = -np.log(total / total.sum())
        left_out = -np.log(total - counts)
        error = np.sqrt((len(counts) - 1) * left_out.var(axis=0))
    return free - free.min(), error


def barrier(u: np.ndarray, free: np.ndarray) -> tuple[float, float, float]:
    """Where the lowest points of a free energy left and right of u = 0 are, and how high the
    hill between them is above the higher of the two (0 for a single well)."""
    left, right = (np.flatnonzero(side)[np.argmin(free[side])] for side in (u < 0, u > 0))
    between = free[left : right + 1]
    return float(u[left]), float(u[right]), float(between.max() - max(free[left], free[right]))


def _landau(modes: Modes, i: int, stable: bool, mu: float, series: np.ndarray) -> Landau:
    curvature = modes.s[i] if stable else -modes.s[i]
    return Landau(*(float(x) for x in (modes.saddle_energy[i], curvature, mu, *series)))


def _direction(modes: Modes, i: int, stable: bool) -> np.ndarray:
    """The vector c with z = c . (v, h) + const."""
    return uw_axes(modes.U[:, i], modes.V[:, i])[int(stable)]


def _means(
    modes: Modes, means: tuple[np.ndarray, np.ndarray] | None
) -> tuple[np.ndarray, np.ndarray]:
    sizes = len(modes.U), len(modes.V)
    if means is None:
        return tuple(np.full(n, 0.5) for n in sizes)
    return tuple(_in_unit_interval(m, n, "means") for m, n in zip(means, sizes, strict=True))


def _in_unit_interval(means: np.ndarray, n: int, name: str) -> np.ndarray:
    means = checks.real_array(means, (n,), name)
    if means.min() < 0 or means.max() > 1:
        raise ValueError(
            f"{name} must be means of units, in [0, 1]; found {means.min()} to {means.max()}"
        )
    return means
