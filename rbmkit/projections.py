"""The law of one projection: c . s, where s are independent units of 0 and 1, such as x_i, y_i, u_i
or w_i.

Cumulants of independent terms add, so all is known without sampling: `cumulants` and `kurtosis`;
from them the quartic (Edgeworth) form of -ln of the density, `edgeworth` and `quartic`; the density
itself, `log_density` for fair coins, and for units with means of their own `log_density_of_units`,
by Daniels' saddle-point formula (`daniels`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import expit, logit

from rbmkit import checks
from rbmkit.model import softplus

# of the Fourier series of a density: resolves spikes down to 0.01 apart for 784 components
_MAX_TERMS = 2048
_CENTRE = 1e-6  # the series is used where the density is above this fraction of its maximum


# ---------------------------------------------------------------- cumulants
def cumulants(c: np.ndarray, means: np.ndarray) -> np.ndarray:
    """First four cumulants of c . s for independent units with these means: those of independent
    terms add."""
    variance = means * (1 - means)
    mean = (c * means).sum()
    second = (c**2 * variance).sum()
    third = (c**3 * variance * (1 - 2 * means)).sum()
    fourth = (c**4 * variance * (1 - 6 * variance)).sum()
    return np.array([mean, second, third, fourth])


def kurtosis(vectors: np.ndarray) -> np.ndarray:
    """Exact kurtosis of the projections of random states on the columns of `vectors`; 3 if they
    were Gaussian.

    The states are uniform on {0,1}^M, so a projection is a sum of independent terms and cumulants
    add: 3 - 2 sum_j V_ji^4 for unit columns, 3 - 2 sum_j V_ji^4 / (sum_j V_ji^2)^2 for all. Nothing
    is sampled.

    Parameters
    ----------
    vectors : (M, K) array
        No column zero.

    Returns
    -------
    (K,) array
    """
    square = checks.real_array(vectors, (None, None), "vectors") ** 2
    return 3 - 2 * (square**2).sum(axis=0) / square.sum(axis=0) ** 2


@dataclass(frozen=True)
class Moments:
    """Mean and standard deviation."""

    mean: float
    std: float


def haar_kurtosis(M: int) -> Moments:
    """Mean and spread of `kurtosis` over random directions in M dimensions (a column of a
    Haar-distributed matrix).

    The mean is 3 - 6 / (M + 2); the standard deviation falls as sqrt(96) M^(-3/2).
    """
    M = checks.positive_int(M, "M")
    variance = (9 * M + 96) / ((M + 2) * (M + 4) * (M + 6)) - 9 / (M + 2) ** 2  # of sum_j V_j^4
    return Moments(mean=3 - 6 / (M + 2), std=2 * np.sqrt(max(variance, 0.0)))


# ---------------------------------------------------------------- to fourth order
def edgeworth(variance: float, skewness: float, excess: float) -> np.ndarray:
    """-ln of the Edgeworth density to the order of the fourth cumulant: coefficients of z^0 ...
    z^4, z from the mean.

    With t = z / sqrt(variance), g3 the skewness and g4 the excess kurtosis: ln(2 pi variance) / 2 -
    g4/8 + 5 g3^2/24 + g3/2 t + (1/2 + g4/4 - g3^2/2) t^2 - g3/6 t^3 + (g3^2/8 - g4/24) t^4.
    """
    root = np.sqrt(variance)
    return np.array(
        [
            np.log(2 * np.pi * variance) / 2 - excess / 8 + 5 * skewness**2 / 24,
            skewness / 2 / root,
            (0.5 + excess / 4 - skewness**2 / 2) / variance,
            -skewness / 6 / root**3,
            (skewness**2 / 8 - excess / 24) / variance**2,
        ]
    )


@dataclass(frozen=True)
class Quartic:
    """Constraint potential of one variable to fourth order; made by `quartic`, call it for its
    value.

        V(x) = constant + k (x - mu)^2 / 2 + c4 (x - mu)^4

    Attributes
    ----------
    mu, variance, excess : float
        Mean, variance and excess kurtosis of the variable over random states.
    k, c4, constant : float
        For a mode (unit length): 4 (1 - |excess| / 2) and 2 |excess| / 3.
    """

    mu: float
    variance: float
    excess: float

    @property
    def k(self) -> float:
        return 2 * self._series[2]

    @property
    def c4(self) -> float:
        return self._series[4]

    @property
    def constant(self) -> float:
        return self._series[0]

    @property
    def _series(self) -> np.ndarray:
        return edgeworth(self.variance, 0.0, self.excess)

    def __call__(self, x: np.ndarray) -> np.ndarray:
        z2 = (np.asarray(x) - self.mu) ** 2
        return self.constant + self.k / 2 * z2 + self.c4 * z2**2


def quartic(vector: np.ndarray) -> Quartic:
    """Quartic form of -ln rho of ``vector . v``, v uniform on {0,1}^N: from its cumulants, nothing
    is fitted.

    Odd cumulants beyond the first vanish, the second is sum_j U_j^2 / 4 and the fourth -sum_j U_j^4
    / 8. The first Edgeworth term then gives the potential, to first order in the excess kurtosis.
    The exact one is ``-log_density(vector, x)``.

    Parameters
    ----------
    vector : (N,) array
        A mode, e.g. ``U[:, i]``, not zero; for u or w, the pair ``[U[:, i], V[:, i]] / sqrt(2)``
        joined, w with -U.
    """
    c = checks.real_array(vector, (None,), "vector")
    mu, second, _, fourth = cumulants(c, np.array(0.5)).tolist()
    variance = checks.positive_float(second, "the length of vector")
    return Quartic(mu=mu, variance=variance, excess=fourth / variance**2)


# ---------------------------------------------------------------- densities
def daniels(k0, t, x, k2, k3=0.0, k4=0.0) -> np.ndarray:
    """ln of the saddle-point density of Daniels (1954) at x, where the tilt t puts the mean, x =
    K'(t).

    From the cumulant function K(t) and its derivatives k2, k3, k4: k0 - t x - ln(2 pi k2) / 2, and
    the second-order term if k3 and k4 are given.
    """
    return k0 - t * x - np.log(2 * np.pi * k2) / 2 + k4 / k2**2 / 8 - 5 * k3**2 / k2**3 / 24


def tilted_units(
    c: np.ndarray, field: np.ndarray, t: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """K, K' and K'' of c . s at the tilts t (n,): units in fields `field`, to which the tilt
    adds t c."""
    tilted = field + t[:, None] * c
    mean = expit(tilted)
    return (softplus(tilted) - softplus(field)).sum(axis=1), mean @ c, (mean * (1 - mean)) @ c**2


def log_density_of_units(c: np.ndarray, means: np.ndarray, x: np.ndarray) -> np.ndarray:
    """ln of the saddle-point density of c . s at x (n,), s independent units with these means;
    -inf off its support."""
    field = logit(np.clip(means, 1e-15, 1 - 1e-15))
    # up to where nearly all units are frozen
    tilts = np.sinh(np.linspace(-7, 7, 201)) / (20 * np.sqrt(np.mean(c**2)))
    grid = tilted_units(c, field, tilts)[1]
    inside = (x > grid[0]) & (x < grid[-1])
    t = np.interp(x[inside], grid, tilts)
    for _ in range(8):  # Newton's method
        _, mean, variance = tilted_units(c, field, t)
        t = t + (x[inside] - mean) / variance
    k0, _, k2 = tilted_units(c, field, t)
    result = np.full(x.shape, -np.inf)
    result[inside] = daniels(k0, t, x[inside], k2)
    return result


def log_density(vector: np.ndarray, x: np.ndarray, *, width: float = 0.0) -> np.ndarray:
    """ln of the probability density of ``vector . v`` at `x`, v uniform on {0,1}^N: the exact
    marginal of x_i or y_i.

    Strictly there are 2^N spikes; with many comparable components they merge long before they can
    be told apart. What is returned is the Fourier series of the density on its compact support mu
    +- sum_j |U_j| / 2, whose coefficients are the characteristic function prod_j cos(t U_j / 2);
    below 1e-6 of the maximum, where a series loses relative accuracy, the saddle-point density of
    Daniels with its second-order term.

    Parameters
    ----------
    vector : (N,) array
        A mode, e.g. ``U[:, i]``; for u or w, the pair ``[U[:, i], V[:, i]] / sqrt(2)`` joined to
        one vector, w with -U.
    x : array of any shape
    width : float, optional
        Standard deviation of normal noise added to the variable, >= 0: merges spikes that are
        visible.

    Returns
    -------
    array of the shape of x
        -inf outside the support.

    Raises
    ------
    ValueError
        The spikes are visible (few components carry the vector) and `width` does not merge them.
    """
    c = np.abs(checks.real_array(vector, (None,), "vector")) / 2
    x = np.asarray(x, dtype=float)
    width = checks.nonnegative_float(width, "width")
    z = np.abs(x.ravel() - np.sum(vector) / 2)  # the law is symmetric about mu
    peak, *density = _series(c, np.append(0.0, z), width)
    tail = np.array(density) < _CENTRE * peak
    result = np.log(np.where(tail, 1.0, density))
    result[tail] = _saddle_point(c, z[tail], width)
    return result.reshape(x.shape)


def _series(c: np.ndarray, z: np.ndarray, width: float) -> np.ndarray:
    """Density of sum_j +-c_j + width * normal at z >= 0: Fourier cosine series on [-L, L], which
    holds the support."""
    L = c.sum() + 12 * width
    t = np.arange(1, _MAX_TERMS + 1) * np.pi / L
    phi = np.exp(-((width * t) ** 2) / 2)
    for c_j in c:
        phi *= np.cos(c_j * t)
    terms = 1 + np.flatnonzero(np.abs(phi) > 1e-14).max(initial=0)
    if terms > _MAX_TERMS // 2:
        raise ValueError(
            "the density has visible spikes: few components carry the vector; set width to merge "
            "them"
        )
    density = (0.5 + np.cos(np.outer(z, t[:terms])) @ phi[:terms]) / L
    return np.where(z < L, density, 0.0)


def _saddle_point(c: np.ndarray, z: np.ndarray, width: float) -> np.ndarray:
    """ln of Daniels' saddle-point density at z >= 0, with its second-order term, from the
    cumulant function K(t)."""
    log_density = np.full(z.shape, -np.inf)
    inside = np.full(z.shape, True) if width else z < c.sum() * (1 - 1e-9)
    z = z[inside]
    t = np.zeros(len(z))
    # K' is concave for t > 0: Newton's method from 0 climbs to the root and never overshoots
    for _ in range(200):
        tanh = np.tanh(np.outer(t, c))
        step = (z - tanh @ c - width**2 * t) / ((1 - tanh**2) @ c**2 + width**2)
        t = t + step
        if np.all(np.abs(step) <= 1e-12 * (1 + t)):
            break
    ct = np.outer(t, c)
    tanh = np.tanh(ct)
    sech2 = 1 - np.tanh(ct) ** 2
    k0 = (np.logaddexp(ct, -ct) - np.log(2)).sum(axis=1) + (width * t) ** 2 / 2
    k2 = sech2 @ c**2 + width**2
    k3 = (-2 * tanh * sech2) @ c**3
    k4 = (sech2 * (6 * tanh**2 - 2)) @ c**4
    log_density[inside] = daniels(k0, t, z, k2, k3, k4)
    return log_density
