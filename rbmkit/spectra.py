"""Spectra of couplings: the law of the singular values of an untrained model, and gaps between
learned ones.

`MarchenkoPastur` is the law of Eq. (21), `fit_marchenko_pastur` fits it to the bulk of a spectrum,
and `spacings` asks whether one of the spacings at the top is too large for chance.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rbmkit import checks

_EDGE_QUANTILE = 3.27  # 99.9 % quantile of the Tracy-Widom law (beta = 1)


# ---------------------------------------------------------------- Marchenko-Pastur
@dataclass(frozen=True)
class MarchenkoPastur:
    """Law of the min(N, M) singular values of an (N, M) matrix of independent entries, in the limit
    of large size.

    Attributes
    ----------
    N, M : int
    sigma : float
        Standard deviation of the entries, > 0.
    """

    N: int
    M: int
    sigma: float

    def __post_init__(self) -> None:
        for name, check in (
            ("N", checks.positive_int),
            ("M", checks.positive_int),
            ("sigma", checks.positive_float),
        ):
            object.__setattr__(self, name, check(getattr(self, name), name))

    @property
    def low(self) -> float:
        """Lower edge, lambda_- of Eq. (21)."""
        return self.sigma * abs(np.sqrt(self.N) - np.sqrt(self.M))

    @property
    def high(self) -> float:
        """Upper edge, lambda_+ of Eq. (21)."""
        return self.sigma * (np.sqrt(self.N) + np.sqrt(self.M))

    @property
    def mode(self) -> float:
        """Where the density is largest, sigma sqrt|N - M|; its value there is 2 / (pi sigma
        sqrt(min(N, M)))."""
        return self.sigma * np.sqrt(abs(self.N - self.M))

    @property
    def outlier(self) -> float:
        """A largest singular value above this is no fluctuation of the edge: Tracy-Widom, 1
        false alarm in 1000."""
        root_n = np.sqrt(self.N)
        root_m = np.sqrt(self.M)
        # of the squared value, at sigma = 1
        width = (root_n + root_m) * (1 / root_n + 1 / root_m) ** (1 / 3)
        return self.high + _EDGE_QUANTILE * self.sigma * width / (2 * (root_n + root_m))

    def density(self, s: np.ndarray) -> np.ndarray:
        """Probability density of the singular values at `s`, Eq. (21); zero outside the edges."""
        s = np.asarray(s, dtype=float)
        inside = (s > self.low) & (s < self.high)
        s_in = np.where(inside, s, self.high)
        root = np.sqrt(np.maximum((self.high**2 - s_in**2) * (s_in**2 - self.low**2), 0))
        return root / (np.pi * self._q * s_in)

    def cdf(self, s: np.ndarray) -> np.ndarray:
        """Probability of a singular value below `s`: the integral of Eq. (21), in closed form."""
        low2 = self.low**2
        high2 = self.high**2
        t = np.clip(np.asarray(s, dtype=float) ** 2 * (np.asarray(s) > 0), low2, high2)
        root = np.sqrt((high2 - t) * (t - low2))
        first = np.arcsin(np.clip((2 * t - low2 - high2) / (high2 - low2), -1, 1)) + np.pi / 2
        ratio = ((low2 + high2) * t - 2 * low2 * high2) / np.where(t > 0, t, 1) / (high2 - low2)
        second = np.arcsin(np.clip(ratio, -1, 1)) + np.pi / 2
        return (root + (low2 + high2) / 2 * first - self.low * self.high * second) / (
            2 * np.pi * self._q
        )

    @property
    def _q(self) -> float:
        return min(self.N, self.M) * self.sigma**2


def fit_marchenko_pastur(s: np.ndarray, N: int, M: int) -> MarchenkoPastur:
    """Fit Eq. (21) to the bulk of the singular values of one (N, M) matrix.

    n learned modes take n dimensions away from each side: the other values are like those of an (N
    - n, M - n) matrix. The bulk, the values not above `MarchenkoPastur.outlier`, is regressed on
    the quantiles of the law of that size (the slope of a quantile-quantile plot), starting from the
    ratio of the medians, until the set of outliers no longer changes. On a trained model, compare
    with `bulk_distance`: the bulk need not have this shape.

    Returns
    -------
    MarchenkoPastur
        With sizes N - n and M - n.

    Raises
    ------
    ValueError
        Not min(N, M) values, or half of them are zero.
    """
    s = np.sort(checks.real_array(s, (min(N, M),), "s"))
    scale = checks.positive_float(np.median(s), "the median of s")
    fit = MarchenkoPastur(N, M, scale / _quantiles(MarchenkoPastur(N, M, 1.0), 1)[0])
    for _ in range(50):
        bulk = s[s <= fit.outlier]
        n = len(s) - len(bulk)
        quantiles = _quantiles(MarchenkoPastur(N - n, M - n, 1.0), len(bulk))
        fit = MarchenkoPastur(N - n, M - n, bulk @ quantiles / (quantiles @ quantiles))
        if (s <= fit.outlier).sum() == len(bulk):
            break
    return fit


def _quantiles(law: MarchenkoPastur, n: int) -> np.ndarray:
    grid = np.linspace(law.low, law.high, 10_001)
    return np.interp((np.arange(n) + 0.5) / n, law.cdf(grid), grid)


def bulk_distance(s: np.ndarray, law: MarchenkoPastur) -> float:
    """Largest distance between the cumulative distribution of the bulk, the values of `s` up to
    `law.outlier`, and the law: 1/(2n) at least for n values, some 0.005 for the bulk of a random
    matrix, however many outliers there are."""
    bulk = np.sort(s[s <= law.outlier])
    return float(np.abs(law.cdf(bulk) - (np.arange(len(bulk)) + 0.5) / len(bulk)).max())


# ---------------------------------------------------------------- gaps of a spectrum
@dataclass(frozen=True, eq=False)
class Spacings:
    """The spacings at the top of a spectrum against those of a smooth density; made by `spacings`.

    Attributes
    ----------
    gaps : (n - 1,) array
        s_r - s_{r+1}.
    relative : (n - 1,) array
        The same, divided by the spacing that the smooth density has there.
    p_independent, p_repelling : float
        Probability of a larger maximum of `relative` in spectra of that density whose values are
        independent of each other, or repel like eigenvalues of random matrices. Both come from
        finitely many draws.
    """

    gaps: np.ndarray
    relative: np.ndarray
    p_independent: float
    p_repelling: float


def spacings(
    s: np.ndarray, *, count: int = 40, draws: int = 2000, rng: int | np.random.Generator
) -> Spacings:
    """Is one of the spacings between the `count` largest values of `s` too large for chance?

    The smooth density is that of the curve s(r) = c0 + c1 ln r + c2 (ln r)^2 through values and
    ranks, Eq. (2.12). Spectra without a gap have s(t_r), where the t_r are apart by independent
    spacings of mean 1: exponential ones, or those of Wigner's surmise, which repel. Each is treated
    as the data are, its own curve included.

    Parameters
    ----------
    s : (K,) array
        Singular values, descending.
    count : int, optional
        At least 5, at most K.
    draws : int, optional
        Spectra of each kind.
    rng : int or Generator

    Returns
    -------
    Spacings
    """
    rng = checks.as_generator(rng)
    count = checks.integer(count, "count", least=5)
    s = checks.real_array(s, (None,), "s")[:count]
    if len(s) < count or (np.diff(s) > 0).any():
        raise ValueError(f"s must have at least {count} values in descending order")
    curve, relative = _relative_spacings(s)
    found = []
    steps = rng.exponential(size=(2, draws, count))
    steps[1] = np.sqrt(4 / np.pi * steps[1])  # Wigner's surmise, (pi/2) t exp(-pi t^2 / 4)
    for kind in steps:
        simulated = -np.sort(-np.polyval(curve, np.log(np.cumsum(kind, axis=1))), axis=1)
        largest = _relative_spacings(simulated)[1].max(axis=1)
        found.append((1 + (largest >= relative.max()).sum()) / (1 + draws))
    return Spacings(-np.diff(s), relative, *found)


def _relative_spacings(s: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Coefficients (c2, c1, c0) of the curves, and spacings over their expectation, of spectra s
    (..., n)."""
    log_rank = np.log(np.arange(1, s.shape[-1] + 1))
    curve = np.polyfit(log_rank, s.T, 2)
    middle = np.arange(1.5, s.shape[-1])
    slope = (2 * curve[0, ..., None] * np.log(middle) + curve[1, ..., None]) / middle
    return curve, np.diff(s) / slope
