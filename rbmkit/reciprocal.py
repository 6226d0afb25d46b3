"""Reciprocal space: the energy of an RBM in the singular modes of its couplings.

With W = U diag(s) V^T and the projections x = U^T v, y = V^T h, a0 = U^T a, b0 = V^T b, the energy is a sum of terms
that hold one pair (x_i, y_i) each, Eqs. (14)-(16):

    E_i(x_i, y_i) = -a0_i x_i - b0_i y_i - s_i x_i y_i,        i = 1 ... K,        K = min(N, M),

and of a rest, linear in the part of the larger layer that no mode couples. Each E_i is a saddle. What ties the modes
together again is that v and h are binary: `log_density` has the exact law of a single x_i or y_i of random states.
`MarchenkoPastur` is the law of the s_i of an untrained model. Modes count from 0 here and from 1 in the paper.
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
_EDGE_QUANTILE = 3.27  # 99.9 % quantile of the Tracy-Widom law (beta = 1)
_MAX_TERMS = 2048  # of the Fourier series of a density: resolves spikes down to 0.01 apart for 784 components
_CENTRE = 1e-6  # the series is used where the density is above this fraction of its maximum

Which = int | np.ndarray | slice  # an index of modes: one, several or a range
_ALL = slice(None)


# ---------------------------------------------------------------- modes
@dataclass(frozen=True, eq=False)
class Modes:
    """Singular modes of an RBM; made by `modes`.

    Attributes
    ----------
    U, V : (N, K) and (M, K) arrays
        The modes, orthonormal columns; the mean of ``U[:, i]`` is >= 0.
    s : (K,) array
        Singular values (lambda in the paper) >= 0, descending unless reordered by `match`. Unit of energy.
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
        """Visible reciprocal variables x = U^T v, Eq. (17), of all modes or of `which`: (n, N) to (n, K)."""
        return _project(checks.binary(v, len(self.U), "v"), self.U[:, which])

    def y(self, h: np.ndarray, which: Which = _ALL) -> np.ndarray:
        """Hidden reciprocal variables y = V^T h, Eq. (17), of all modes or of `which`: (n, M) to (n, K)."""
        return _project(checks.binary(h, len(self.V), "h"), self.V[:, which])

    def energies(self, v: np.ndarray, h: np.ndarray) -> np.ndarray:
        """Energies of the modes, Eq. (16), and in the last column of the uncoupled rest; they add up to E, Eq. (15).

        The paper's unpaired modes all have singular value 0: any rotation among them is as good, and only the sum of
        their energies, the rest, has a meaning.

        Parameters
        ----------
        v, h : (n, N) and (n, M) arrays of 0 and 1
            A single row is combined with all rows of the other.

        Returns
        -------
        (n, K + 1) array
        """
        v, h = checks.binary(v, len(self.U), "v"), checks.binary(h, len(self.V), "h")
        if len(v) != len(h) and 1 not in (len(v), len(h)):
            raise ValueError(f"v and h must have equally many rows (or one of them one row), got {len(v)} and {len(h)}")
        rest = -(_project(v, self.a_rest) + _project(h, self.b_rest))
        return np.column_stack([self.landscape(self.x(v), self.y(h)), rest])

    def landscape(self, x: np.ndarray, y: np.ndarray, which: Which = _ALL) -> np.ndarray:
        """E_i(x_i, y_i) of Eq. (16) for the modes `which`, broadcast against the last axis of x and y."""
        return -self.a0[which] * x - self.b0[which] * y - self.s[which] * x * y

    @cached_property
    def x0(self) -> np.ndarray:
        """Saddle points, x0 = -b0 / s; infinite where s is zero up to rounding: such a mode is a plane."""
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
            raise ValueError(f"mode {first} (from 0) has singular value 0: its energy is a plane, without a saddle")
        return self.x0[which], self.y0[which]

    @cached_property
    def mu_x(self) -> np.ndarray:
        """Mean of x over all states, Eq. (52a): half the column sums of U."""
        return self.U.sum(axis=0) / 2

    @cached_property
    def mu_y(self) -> np.ndarray:
        """Mean of y over all states, Eq. (52b): half the column sums of V."""
        return self.V.sum(axis=0) / 2

    def to_uw(self, x: np.ndarray, y: np.ndarray, which: Which = _ALL) -> tuple[np.ndarray, np.ndarray]:
        """Coordinates (u, w) along the unstable and the stable axis of the saddles, Eq. (19) at theta = pi/4."""
        x0, y0 = self.saddle(which)
        dx, dy = x - x0, y - y0
        return (dx + dy) / np.sqrt(2), (dy - dx) / np.sqrt(2)

    def to_xy(self, u: np.ndarray, w: np.ndarray, which: Which = _ALL) -> tuple[np.ndarray, np.ndarray]:
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

    The SVD leaves the sign of each pair ``(U[:, i], V[:, i])`` open; here the mean of ``U[:, i]`` is >= 0. To follow
    modes along a training run use `match`.

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
    a0, b0 = U.T @ rbm.a, V.T @ rbm.b
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
        ``(U_i . U'_i + V_i . V'_i) / 2`` with the reference, between 0 and 1. Far below 1, the label means little.
    """

    modes: Modes
    order: np.ndarray
    overlap: np.ndarray


def match(new: Modes, reference: Modes) -> Match:
    """Give the modes of `new` the labels and signs of `reference`, e.g. those of the checkpoint before.

    Sorted by singular value, two modes that cross during training would swap labels. Of all assignments, the one with
    the largest sum of overlaps is taken (Hungarian algorithm).

    Raises
    ------
    ValueError
        The two have different shapes.
    """
    checks.instance(new, Modes, "new")
    checks.instance(reference, Modes, "reference")
    if new.U.shape != reference.U.shape or new.V.shape != reference.V.shape:
        raise ValueError(f"only modes of equal shapes can be matched, got {new!r} and {reference!r}")
    overlaps = (reference.U.T @ new.U + reference.V.T @ new.V) / 2
    rows, order = linear_sum_assignment(-np.abs(overlaps))
    overlap = overlaps[rows, order]
    sign = np.where(overlap < 0, -1.0, 1.0)
    turned = {name: getattr(new, name)[..., order] * sign for name in ("U", "V", "a0", "b0")}
    return Match(modes=replace(new, s=new.s[order], **turned), order=order, overlap=np.abs(overlap))


def flow(modes: Modes, i: int, start: tuple[float, float], times: np.ndarray, *, descend: bool = True) -> np.ndarray:
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
        Minus the gradient, downhill (default). False: plus the gradient, as Eq. (18) has it, which climbs.

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

    W' = (1 - p p^T / |p|^2) W (1 - q q^T / |q|^2) couples to nothing along the picture p or the pattern q. This is
    another model, and not another gauge of the same one: a change of gauge, v -> v - const, moves fields only.

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
    p, q = (checks.real_array(x, (n,), name) for x, n, name in zip((picture, pattern), W.shape, ("picture", "pattern")))
    p, q = p / np.linalg.norm(p), q / np.linalg.norm(q)
    left = W - np.outer(p, p @ W)
    return left - np.outer(left @ q, q)


# ---------------------------------------------------------------- Marchenko-Pastur
@dataclass(frozen=True)
class MarchenkoPastur:
    """Law of the min(N, M) singular values of an (N, M) matrix of independent entries, in the limit of large size.

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
        for name, check in (("N", checks.positive_int), ("M", checks.positive_int), ("sigma", checks.positive_float)):
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
        """Where the density is largest, sigma sqrt|N - M|; its value there is 2 / (pi sigma sqrt(min(N, M)))."""
        return self.sigma * np.sqrt(abs(self.N - self.M))

    @property
    def outlier(self) -> float:
        """A largest singular value above this is no fluctuation of the edge: Tracy-Widom, 1 false alarm in 1000."""
        root_n, root_m = np.sqrt(self.N), np.sqrt(self.M)
        width = (root_n + root_m) * (1 / root_n + 1 / root_m) ** (1 / 3)  # of the squared value, at sigma = 1
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
        low2, high2 = self.low**2, self.high**2
        t = np.clip(np.asarray(s, dtype=float) ** 2 * (np.asarray(s) > 0), low2, high2)
        root = np.sqrt((high2 - t) * (t - low2))
        first = np.arcsin(np.clip((2 * t - low2 - high2) / (high2 - low2), -1, 1)) + np.pi / 2
        ratio = ((low2 + high2) * t - 2 * low2 * high2) / np.where(t > 0, t, 1) / (high2 - low2)
        second = np.arcsin(np.clip(ratio, -1, 1)) + np.pi / 2
        return (root + (low2 + high2) / 2 * first - self.low * self.high * second) / (2 * np.pi * self._q)

    @property
    def _q(self) -> float:
        return min(self.N, self.M) * self.sigma**2


def fit_marchenko_pastur(s: np.ndarray, N: int, M: int) -> MarchenkoPastur:
    """Fit Eq. (21) to the bulk of the singular values of one (N, M) matrix.

    n learned modes take n dimensions away from each side: the other values are like those of an (N - n, M - n) matrix.
    The bulk, the values not above `MarchenkoPastur.outlier`, is regressed on the quantiles of the law of that size (the
    slope of a quantile-quantile plot), starting from the ratio of the medians, until the set of outliers no longer
    changes. On a trained model, compare with `bulk_distance`: the bulk need not have this shape.

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
    """Largest distance between the cumulative distribution of the bulk, the values of `s` up to `law.outlier`, and the
    law: 1/(2n) at least for n values, some 0.005 for the bulk of a random matrix, however many outliers there are."""
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
        Probability of a larger maximum of `relative` in spectra of that density whose values are independent of each
        other, or repel like eigenvalues of random matrices. Both come from finitely many draws.
    """

    gaps: np.ndarray
    relative: np.ndarray
    p_independent: float
    p_repelling: float


def spacings(s: np.ndarray, *, count: int = 40, draws: int = 2000, rng: int | np.random.Generator) -> Spacings:
    """Is one of the spacings between the `count` largest values of `s` too large for chance?

    The smooth density is that of the curve s(r) = c0 + c1 ln r + c2 (ln r)^2 through values and ranks, Eq. (2.12).
    Spectra without a gap have s(t_r), where the t_r are apart by independent spacings of mean 1: exponential ones, or
    those of Wigner's surmise, which repel. Each is treated as the data are, its own curve included.

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
    rng, count = checks.as_generator(rng), checks.integer(count, "count", least=5)
    s = checks.real_array(s, (None,), "s")[:count]
    if len(s) < count or (np.diff(s) > 0).any():
        raise ValueError(f"s must have at least {count} values in descending order")
    curve, relative = _relative_spacings(s)
    found, steps = [], rng.exponential(size=(2, draws, count))
    steps[1] = np.sqrt(4 / np.pi * steps[1])  # Wigner's surmise, (pi/2) t exp(-pi t^2 / 4)
    for kind in steps:
        simulated = -np.sort(-np.polyval(curve, np.log(np.cumsum(kind, axis=1))), axis=1)
        largest = _relative_spacings(simulated)[1].max(axis=1)
        found.append((1 + (largest >= relative.max()).sum()) / (1 + draws))
    return Spacings(-np.diff(s), relative, *found)


def _relative_spacings(s: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Coefficients (c2, c1, c0) of the curves, and spacings over their expectation, of spectra s (..., n)."""
    log_rank = np.log(np.arange(1, s.shape[-1] + 1))
    curve = np.polyfit(log_rank, s.T, 2)
    middle = np.arange(1.5, s.shape[-1])
    slope = (2 * curve[0, ..., None] * np.log(middle) + curve[1, ..., None]) / middle
    return curve, np.diff(s) / slope


# ---------------------------------------------------------------- random states
def kurtosis(vectors: np.ndarray) -> np.ndarray:
    """Exact kurtosis of the projections of random states on the columns of `vectors`; 3 if they were Gaussian.

    The states are uniform on {0,1}^M, so a projection is a sum of independent terms and cumulants add:
    3 - 2 sum_j V_ji^4 for unit columns, 3 - 2 sum_j V_ji^4 / (sum_j V_ji^2)^2 for all. Nothing is sampled.

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
    """Mean and spread of `kurtosis` over random directions in M dimensions (a column of a Haar-distributed matrix).

    The mean is 3 - 6 / (M + 2); the standard deviation falls as sqrt(96) M^(-3/2).
    """
    M = checks.positive_int(M, "M")
    variance = (9 * M + 96) / ((M + 2) * (M + 4) * (M + 6)) - 9 / (M + 2) ** 2  # of sum_j V_j^4
    return Moments(mean=3 - 6 / (M + 2), std=2 * np.sqrt(max(variance, 0.0)))


def log_density(vector: np.ndarray, x: np.ndarray, *, width: float = 0.0) -> np.ndarray:
    """ln of the probability density of ``vector . v`` at `x`, v uniform on {0,1}^N: the exact marginal of x_i or y_i.

    Strictly there are 2^N spikes; with many comparable components they merge long before they can be told apart. What
    is returned is the Fourier series of the density on its compact support mu +- sum_j |U_j| / 2, whose coefficients
    are the characteristic function prod_j cos(t U_j / 2); below 1e-6 of the maximum, where a series loses relative
    accuracy, the saddle-point density of Daniels with its second-order term.

    Parameters
    ----------
    vector : (N,) array
        A mode, e.g. ``U[:, i]``; for u or w, the pair ``[U[:, i], V[:, i]] / sqrt(2)`` joined to one vector, w with -U.
    x : array of any shape
    width : float, optional
        Standard deviation of normal noise added to the variable, >= 0: merges spikes that are visible.

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
    x, width = np.asarray(x, dtype=float), checks.nonnegative_float(width, "width")
    z = np.abs(x.ravel() - np.sum(vector) / 2)  # the law is symmetric about mu
    peak, *density = _series(c, np.append(0.0, z), width)
    tail = np.array(density) < _CENTRE * peak
    result = np.log(np.where(tail, 1.0, density))
    result[tail] = _saddle_point(c, z[tail], width)
    return result.reshape(x.shape)


def _series(c: np.ndarray, z: np.ndarray, width: float) -> np.ndarray:
    """Density of sum_j +-c_j + width * normal at z >= 0: Fourier cosine series on [-L, L], which holds the support."""
    L = c.sum() + 12 * width
    t = np.arange(1, _MAX_TERMS + 1) * np.pi / L
    phi = np.exp(-((width * t) ** 2) / 2)
    for c_j in c:
        phi *= np.cos(c_j * t)
    terms = 1 + np.flatnonzero(np.abs(phi) > 1e-14).max(initial=0)
    if terms > _MAX_TERMS // 2:
        raise ValueError("the density has visible spikes: few components carry the vector; set width to merge them")
    density = (0.5 + np.cos(np.outer(z, t[:terms])) @ phi[:terms]) / L
    return np.where(z < L, density, 0.0)


def _saddle_point(c: np.ndarray, z: np.ndarray, width: float) -> np.ndarray:
    """ln of Daniels' saddle-point density at z >= 0, with its second-order term, from the cumulant function K(t)."""
    log_density = np.full(z.shape, -np.inf)
    inside = np.full(z.shape, True) if width else z < c.sum() * (1 - 1e-9)
    z = z[inside]
    t = np.zeros(len(z))
    for _ in range(200):  # K' is concave for t > 0: Newton's method from 0 climbs to the root and never overshoots
        tanh = np.tanh(np.outer(t, c))
        step = (z - tanh @ c - width**2 * t) / ((1 - tanh**2) @ c**2 + width**2)
        t = t + step
        if np.all(np.abs(step) <= 1e-12 * (1 + t)):
            break
    ct = np.outer(t, c)
    tanh, sech2 = np.tanh(ct), 1 - np.tanh(ct) ** 2
    k0 = (np.logaddexp(ct, -ct) - np.log(2)).sum(axis=1) + (width * t) ** 2 / 2
    k2 = sech2 @ c**2 + width**2
    k3, k4 = (-2 * tanh * sech2) @ c**3, (sech2 * (6 * tanh**2 - 2)) @ c**4
    log_density[inside] = k0 - t * z - np.log(2 * np.pi * k2) / 2 + k4 / k2**2 / 8 - 5 * k3**2 / k2**3 / 24
    return log_density
