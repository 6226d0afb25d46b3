"""Symmetries of an RBM and how training breaks them, Secs. 5 and 6 of the paper.

Three groups of functions:

* Rotations of n-dimensional space. A rotation by an angle around an (n-2)-dimensional subspace turns one plane, so it
  is the identity plus a matrix of rank 2. `rotation` keeps a product of k of them as I + P C P^T; `aguilera_perez` is
  the construction of the paper's Ref. 43 from Givens rotations, as a reference.
* Tests of weights: `divergence` between the weights before and after a rotation, and randomisation tests of reversing
  hidden units (`sign_test`) and of exchanging them (`permutation_test`). Their null distributions need no model.
* Landau's free energy f_i(z) of one mode, Eq. (56), along the unstable (z = u) or the stable direction (z = w) of its
  saddle: as a polynomial (`Landau`), from exact cumulants, from mean-field cavity fields or from the exact marginal;
  and unexpanded, as `landau_curve`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.special import expit, logit, rel_entr

from rbmkit import checks
from rbmkit.data import ModePaths
from rbmkit.model import RBM
from rbmkit.reciprocal import Modes, log_density

_EDGE_SAMPLE = 200_000  # values that place the edges of the bins
_DIFFERENCE = 0.1  # step of the numerical derivatives of a potential, in units of the reciprocal variable


# ---------------------------------------------------------------- rotations
@dataclass(frozen=True, eq=False)
class Rotation:
    """A product of k plane rotations of n-dimensional space, I + P C P^T; made by `rotation`.

    Attributes
    ----------
    P : (n, 2 k) array
        The two vectors of each plane.
    C : (2 k, 2 k) array
        Lower block triangular.
    """

    P: np.ndarray
    C: np.ndarray

    def apply(self, x: np.ndarray) -> np.ndarray:
        """R x for the columns of `x` (n, ...): O(n k + k^2) operations per column, no n x n matrix."""
        return x + self.P @ (self.C @ (self.P.T @ x))

    def matrix(self) -> np.ndarray:
        """R as an (n, n) array."""
        return self.apply(np.eye(len(self.P)))


def rotation(planes: np.ndarray, angles: np.ndarray) -> Rotation:
    """Rotations in the given planes, one after the other, the first one first.

    One rotation by the angle t takes p to cos t p + sin t q and q to cos t q - sin t p, and leaves alone what is
    perpendicular to both: I + [p q] C [p q]^T with C = [[cos t - 1, -sin t], [sin t, cos t - 1]].

    Parameters
    ----------
    planes : (k, 2, n) array
        Orthonormal pairs p, q.
    angles : (k,) array
        In radians.

    Raises
    ------
    ValueError
        Wrong shapes, or a pair is not orthonormal.
    """
    planes = checks.real_array(planes, (None, 2, None), "planes")
    angles = checks.real_array(angles, (len(planes),), "angles")
    if np.abs(planes @ planes.transpose(0, 2, 1) - np.eye(2)).max() > 1e-8:
        raise ValueError("each of planes must hold two orthonormal vectors")
    P = planes.reshape(2 * len(planes), -1).T
    gram, C = P.T @ P, np.zeros((P.shape[1], P.shape[1]))
    for k, t in enumerate(angles):
        one = np.array([[np.cos(t) - 1, -np.sin(t)], [np.sin(t), np.cos(t) - 1]])
        new, old = slice(2 * k, 2 * k + 2), slice(0, 2 * k)
        C[new, old] = one @ gram[new, old] @ C[old, old]
        C[new, new] = one
    return Rotation(P, C)


def aguilera_perez(points: np.ndarray, angle: float) -> np.ndarray:
    """Rotation around the (n-2)-dimensional subspace through n - 1 points, by Aguilera and Perez-Aguila (2004).

    The n - 2 edges from the first point are turned, by one Givens rotation per coordinate, into the span of the first
    n - 2 axes; there the rotation acts on the last two; then everything is turned back. O(n^3) operations.

    Parameters
    ----------
    points : (n - 1, n) array
        Corners of a simplex, n >= 3.
    angle : float
        In radians.

    Returns
    -------
    (n, n) array
        R; the map of space is x -> points[0] + R (x - points[0]).

    Raises
    ------
    ValueError
        Not n - 1 points, or their edges do not span n - 2 dimensions: no one subspace goes through them.
    """
    edges, angle = _edges(points), checks.real(angle, "angle")
    n = len(edges)
    M = np.eye(n)
    for column in range(n - 2):
        for row in range(n - 1, column, -1):
            t = np.arctan2(edges[row, column], edges[row - 1, column])
            givens = np.array([[np.cos(t), np.sin(t)], [-np.sin(t), np.cos(t)]])
            edges[row - 1 : row + 1] = givens @ edges[row - 1 : row + 1]
            M[row - 1 : row + 1] = givens @ M[row - 1 : row + 1]
    turned = M.copy()
    turned[-2:] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]] @ M[-2:]
    return M.T @ turned


def plane_around(points: np.ndarray) -> np.ndarray:
    """The plane in which `aguilera_perez` rotates: (2, n), orthonormal, with the same sense of rotation."""
    edges = _edges(points)
    Q, R = np.linalg.qr(edges, mode="complete")
    plane = Q[:, -2:].T
    if np.linalg.slogdet(Q)[0] * np.sign(np.diag(R)).prod() < 0:  # (edges, p, q) must be right-handed
        plane[1] *= -1
    return plane


def _edges(points: np.ndarray) -> np.ndarray:
    points = checks.real_array(points, (None, None), "points")
    count, n = points.shape
    if count != n - 1 or n < 3:
        raise ValueError(f"points must be n - 1 points in n >= 3 dimensions, got shape {points.shape}")
    edges = (points[1:] - points[0]).T
    if np.linalg.matrix_rank(edges) < n - 2:
        raise ValueError("points must be the corners of a simplex: here some coincide or are linearly dependent")
    return edges


def random_planes(k: int, n: int, *, rng: int | np.random.Generator, axes: bool = False, fixed: int = 0) -> np.ndarray:
    """k random planes in n dimensions, (k, 2, n); their complements are the (n-2)-dimensional subspaces kept.

    Parameters
    ----------
    k, n : int
    rng : int or Generator
    axes : bool, optional
        Planes spanned by two of the coordinate axes; else (default) by two uniformly random directions.
    fixed : int, optional
        The first so many axes are kept by every rotation.
    """
    k, n, rng = checks.positive_int(k, "k"), checks.integer(n, "n", least=2), checks.as_generator(rng)
    free = n - checks.integer(fixed, "fixed", least=0)
    if free < 2:
        raise ValueError(f"fixed must leave a plane of the n = {n} dimensions free, got {fixed}")
    planes = np.zeros((k, 2, n))
    if axes:
        chosen = fixed + np.array([rng.choice(free, 2, replace=False) for _ in range(k)])
        planes[np.arange(k)[:, None], [[0, 1]], chosen] = 1
    else:
        planes[..., fixed:] = np.linalg.qr(rng.normal(size=(k, free, 2)))[0].transpose(0, 2, 1)
    return planes


def haar(n: int, k: int, *, rng: int | np.random.Generator) -> np.ndarray:
    """k orthonormal vectors in n dimensions, uniformly distributed: columns of a Haar-distributed matrix, (n, k)."""
    n, k = checks.positive_int(n, "n"), checks.positive_int(k, "k")
    if k > n:
        raise ValueError(f"k must be at most n: there are no {k} orthonormal vectors in {n} dimensions")
    Q, R = np.linalg.qr(checks.as_generator(rng).normal(size=(n, k)))
    return Q * np.sign(np.diag(R))


def rotated(W: np.ndarray, left: Rotation, right: Rotation) -> np.ndarray:
    """U_R Sigma V_R^T with U_R = R_left U and V_R = R_right V, which is R_left W R_right^T: no SVD is needed."""
    return right.apply(left.apply(W).T).T


# ---------------------------------------------------------------- tests of weights
@dataclass(frozen=True, eq=False)
class Divergence:
    """How far apart two sets of weights are, in nats, with bootstrap standard errors (NaN without a bootstrap).

    Attributes
    ----------
    js, js_error : float
        Jensen-Shannon divergence, between 0 and ln 2.
    kl, kl_error : float
        Kullback-Leibler divergence of the second from the first; infinite if a bin is empty in the second only.
    """

    js: float
    js_error: float
    kl: float
    kl_error: float


def divergence(
    W: np.ndarray, other: np.ndarray, *, bins: int = 100, bootstrap: int = 100, rng: int | np.random.Generator
) -> Divergence:
    """Divergences between the distributions of the entries of two matrices.

    Both are counted in the same bins, which hold equally many of the pooled values: no range has to be chosen and no
    bin is nearly empty. A common factor of both matrices changes nothing. Two independent samples of n values each from
    one law have a Jensen-Shannon divergence of (bins - 1) / (4 n) on average.

    Parameters
    ----------
    W, other : (N, M) arrays
        Before and after.
    bins : int, optional
    bootstrap : int, optional
        Resamplings of the rows, the same for both matrices; entries of a row are correlated, so rows are the unit.
        0 for none.
    rng : int or Generator
    """
    W = checks.real_array(W, (None, None), "W")
    other = checks.real_array(other, W.shape, "other")
    bins, rng = checks.integer(bins, "bins", least=2), checks.as_generator(rng)
    pooled = np.concatenate([W.ravel(), other.ravel()])
    sample = pooled[:: max(1, pooled.size // _EDGE_SAMPLE)]
    edges = np.unique(np.quantile(sample, np.linspace(0, 1, bins + 1)[1:-1]))
    counts = [_counts_by_row(x, edges) for x in (W, other)]
    js, kl = (float(x) for x in _divergences(*(c.sum(axis=0) for c in counts)))
    if checks.integer(bootstrap, "bootstrap", least=0) == 0:
        return Divergence(js=js, js_error=np.nan, kl=kl, kl_error=np.nan)
    draws = rng.multinomial(len(W), np.full(len(W), 1 / len(W)), size=bootstrap)
    js_drawn, kl_drawn = _divergences(*(draws @ c for c in counts))
    kl_error = np.std(kl_drawn) if np.isfinite(kl_drawn).all() else np.inf
    return Divergence(js=js, js_error=float(np.std(js_drawn)), kl=kl, kl_error=float(kl_error))


def _counts_by_row(x: np.ndarray, edges: np.ndarray) -> np.ndarray:
    bins = len(edges) + 1
    cell = np.searchsorted(edges, x) + bins * np.arange(len(x))[:, None]
    return np.bincount(cell.ravel(), minlength=bins * len(x)).reshape(len(x), bins)


def _divergences(first: np.ndarray, second: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    p, q = (x / x.sum(axis=-1, keepdims=True) for x in (first, second))
    middle = (p + q) / 2
    js = (rel_entr(p, middle) + rel_entr(q, middle)).sum(axis=-1) / 2
    return js, rel_entr(p, q).sum(axis=-1)


@dataclass(frozen=True)
class SymmetryTest:
    """A statistic and its distribution if the symmetry holds.

    Attributes
    ----------
    statistic : float
    null_mean, null_std : float
        Over random elements of the symmetry group.
    p_value : float
        Exact: share of the statistics, the observed one included, that are at least as large as the observed one.
    """

    statistic: float
    null_mean: float
    null_std: float
    p_value: float

    @property
    def deviation(self) -> float:
        """(statistic - null_mean) / null_std."""
        return (self.statistic - self.null_mean) / self.null_std


def sign_test(W: np.ndarray, *, repeats: int = 999, rng: int | np.random.Generator) -> SymmetryTest:
    """Reverse symmetry: are the couplings of a hidden unit as likely as the same with the other sign?

    The group flips the sign of each column of W independently. The statistic is |sum_j W_j|^2 / sum_j |W_j|^2, on
    average 1 under the group and M if all columns are equal.

    Parameters
    ----------
    W : (N, M) array
    repeats : int, optional
        Random elements of the group.
    rng : int or Generator
    """
    W, rng = _nonzero(W), checks.as_generator(rng)
    flips = rng.choice([-1.0, 1.0], size=(W.shape[1], checks.positive_int(repeats, "repeats")))
    scale = np.sum(W**2)
    return _randomisation(np.sum(W.sum(axis=1) ** 2) / scale, np.sum((W @ flips) ** 2, axis=0) / scale)


def permutation_test(W: np.ndarray, *, repeats: int = 19, rng: int | np.random.Generator) -> SymmetryTest:
    """Permutation symmetry: does it matter to which hidden unit a coupling of a pixel goes?

    The group permutes the entries of each row of W, independently from row to row; independent identically distributed
    couplings are invariant. (One permutation for all rows only renames the hidden units.) The statistic is
    sum_i lambda_i^4 / (sum_i lambda_i^2)^2: it grows when couplings of different pixels go together.

    Parameters
    ----------
    W : (N, M) array
    repeats : int, optional
    rng : int or Generator
    """
    W, rng = _nonzero(W), checks.as_generator(rng)

    def statistic(x: np.ndarray) -> float:
        gram = x.T @ x if x.shape[0] > x.shape[1] else x @ x.T
        return np.sum(gram**2) / np.trace(gram) ** 2

    null = [statistic(rng.permuted(W, axis=1)) for _ in range(checks.positive_int(repeats, "repeats"))]
    return _randomisation(statistic(W), np.array(null))


def _nonzero(W: np.ndarray) -> np.ndarray:
    W = checks.real_array(W, (None, None), "W")
    if not W.any():
        raise ValueError("W must not be zero: there is nothing to test")
    return W


def _randomisation(statistic: float, null: np.ndarray) -> SymmetryTest:
    p_value = (1 + np.sum(null >= statistic)) / (1 + len(null))
    return SymmetryTest(float(statistic), float(null.mean()), float(null.std()), float(p_value))


def neighbour_correlation(maps: np.ndarray, *, side: int = 28) -> np.ndarray:
    """Correlation between neighbouring pixels of each image (Moran's I): 0 for unrelated pixels, near 1 for blobs.

    Parameters
    ----------
    maps : (n, side^2) array
        Images, e.g. of changed pixels or modes.
    side : int, optional

    Returns
    -------
    (n,) array
        NaN for an image without contrast.
    """
    maps = checks.real_array(maps, (None, side**2), "maps")
    centred = (maps - maps.mean(axis=1, keepdims=True)).reshape(-1, side, side)
    right = (centred[:, :, 1:] * centred[:, :, :-1]).sum(axis=(1, 2))
    below = (centred[:, 1:] * centred[:, :-1]).sum(axis=(1, 2))
    variance = (centred**2).mean(axis=(1, 2))
    with np.errstate(invalid="ignore"):
        return (right + below) / (2 * side * (side - 1) * variance)


# ---------------------------------------------------------------- Landau
@dataclass(frozen=True)
class Landau:
    """Landau's free energy of one mode, Eq. (56), in units of energy:

    f(z) = offset + curvature/2 z^2 + gamma (z-mu) + theta (z-mu)^2 + psi (z-mu)^3 + phi (z-mu)^4.

    z is u or w of Eq. (19), zero at the saddle.

    Attributes
    ----------
    offset : float
        Energy of the saddle, a0 b0 / lambda. It belongs to the pair (u, w) and must be counted once.
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
        """Where f has its minima (one or two, the lowest first; none if it is unbounded below and has no well)."""
        slope = np.polynomial.Polynomial(
            [self.curvature * self.mu + self.gamma, self.curvature + 2 * self.theta, 3 * self.psi, 4 * self.phi]
        )
        roots = slope.roots()
        real = roots[np.abs(roots.imag) < 1e-9 * (1 + np.abs(roots))].real
        found = self.mu + real[slope.deriv()(real) > 0]
        return found[np.argsort(self(found))]


def critical_coupling(modes: Modes, i: int = 0, means: tuple[np.ndarray, np.ndarray] | None = None) -> float:
    """beta lambda_c of mode i: 1 / sqrt(var x var y) over independent units; exactly 4 if all means are 1/2."""
    checks.instance(modes, Modes, "modes")
    var_x, var_y = (np.sum(c**2 * m * (1 - m)) for c, m in zip(_vectors(modes, i), _means(modes, means), strict=True))
    return float(1 / np.sqrt(var_x * var_y))


def mode_cumulants(
    modes: Modes, i: int = 0, *, stable: bool = False, means: tuple[np.ndarray, np.ndarray] | None = None
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
    c, m = _direction(modes, i, stable), np.concatenate(_means(modes, means))
    variance = m * (1 - m)
    if not (c**2 * variance).any():
        raise ValueError("means must leave a unit of the mode free: all are 0 or 1, and z has no fluctuations")
    x0, y0 = modes.saddle(i)
    shift = -(y0 + (-1 if stable else 1) * x0) / np.sqrt(2)
    terms = c * m, c**2 * variance, c**3 * variance * (1 - 2 * m), c**4 * variance * (1 - 6 * variance)
    return np.array([term.sum() for term in terms]) + [shift, 0, 0, 0]


def landau(
    modes: Modes,
    i: int = 0,
    *,
    stable: bool = False,
    beta: float = 1.0,
    means: tuple[np.ndarray, np.ndarray] | None = None,
) -> Landau:
    """Eq. (56) with coefficients from exact cumulants: no fit.

    -ln of the Edgeworth density, to the order of the fourth cumulant. With t = (z - mu) / sqrt(k2), g3 and g4 the third
    and fourth standardised cumulants:
    t^2/2 + g3/2 t + (g4/4 - g3^2/2) t^2 - g3/6 t^3 + (g3^2/8 - g4/24) t^4.

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
        Means of the units if mode i were absent, from `cavity_means`: the other modes enter through them. Default:
        1/2, the other modes at mu, as in the paper; then gamma = psi = 0.
    """
    checks.instance(modes, Modes, "modes")
    beta = checks.positive_float(beta, "beta")
    mu, k2, k3, k4 = mode_cumulants(modes, i, stable=stable, means=means)
    root, g3, g4 = np.sqrt(k2), k3 / k2**1.5, k4 / k2**2
    series = g3 / 2 / root, (0.5 + g4 / 4 - g3**2 / 2) / k2, -g3 / 6 / root**3, (g3**2 / 8 - g4 / 24) / k2**2
    return _landau(modes, i, stable, mu, np.array(series) / beta)


def landau_of_marginal(modes: Modes, i: int = 0, *, stable: bool = False, beta: float = 1.0) -> Landau:
    """Eq. (56) with the Taylor coefficients at mu of the exact -ln rho(z), by central differences."""
    checks.instance(modes, Modes, "modes")
    beta = checks.positive_float(beta, "beta")
    c, mu = _direction(modes, i, stable), mode_cumulants(modes, i, stable=stable)[0]
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
    """f_i(z) before the expansion: saddle energy + Lambda/2 z^2 - ln[rho(z) / rho(mu)] / beta; infinite where rho = 0.

    rho is the exact marginal of `rbmkit.reciprocal.log_density`; if `means` are given (`cavity_means`), the
    saddle-point density of independent units with these means.

    Parameters
    ----------
    modes, i, stable, beta, means
        As in `landau`.
    z : (n,) array
    """
    checks.instance(modes, Modes, "modes")
    beta, z = checks.positive_float(beta, "beta"), checks.real_array(z, (None,), "z")
    c, mu = _direction(modes, i, stable), mode_cumulants(modes, i, stable=stable, means=means)[0]
    if means is None:
        log_rho = log_density(c, c.sum() / 2 + np.append(mu, z) - mu)
    else:
        m = np.concatenate(_means(modes, means))
        log_rho = _tilted_density(c, m, c @ m + np.append(mu, z) - mu)
    curvature = modes.s[i] if stable else -modes.s[i]
    return modes.saddle_energy[i] + curvature / 2 * z**2 - (log_rho[1:] - log_rho[0]) / beta


def cavity_means(
    rbm: RBM, modes: Modes, i: int, v: np.ndarray, h: np.ndarray, *, beta: float = 1.0
) -> tuple[np.ndarray, np.ndarray]:
    """Means of the units in the fields of all modes but i, at the mean-field solution (v, h).

    Mode i is taken out whole: its coupling and its fields a0_i, b0_i, which are in the energy -+lambda z^2 / 2.

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
    v, h = _in_unit_interval(v, rbm.N, "v"), _in_unit_interval(h, rbm.M, "h")
    U, V = modes.U[:, i], modes.V[:, i]
    field_v = rbm.a + rbm.W @ h - U * (modes.a0[i] + modes.s[i] * (V @ h))
    field_h = rbm.b + v @ rbm.W - V * (modes.b0[i] + modes.s[i] * (U @ v))
    return expit(beta * field_v), expit(beta * field_h)


def local_minima(f: Callable[[np.ndarray], np.ndarray], low: float, high: float, *, points: int = 801) -> np.ndarray:
    """Minima of a function of an array inside (low, high), the lowest first: on a grid, refined by a parabola."""
    if not checks.real(low, "low") < checks.real(high, "high"):
        raise ValueError(f"low must be below high, got {low} and {high}")
    z = np.linspace(low, high, points)
    y = f(z)
    k = 1 + np.flatnonzero((y[1:-1] < y[:-2]) & (y[1:-1] <= y[2:]))
    k = k[np.argsort(y[k])]
    left, right = y[k - 1] - y[k], y[k + 1] - y[k]
    finite = np.isfinite(left + right)
    step = np.zeros(len(k))
    step[finite] = (left - right)[finite] / (2 * (left + right)[finite])
    return z[k] + step * (z[1] - z[0])


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
        raise ValueError("counts must hold histograms of at least two groups of chains, not all of them empty")
    total = counts.sum(axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        free, left_out = -np.log(total / total.sum()), -np.log(total - counts)
        error = np.sqrt((len(counts) - 1) * left_out.var(axis=0))
    return free - free.min(), error


def barrier(u: np.ndarray, free: np.ndarray) -> tuple[float, float, float]:
    """Where the lowest points of a free energy left and right of u = 0 are, and how high the hill between them is above
    the higher of the two (0 for a single well)."""
    left, right = (np.flatnonzero(side)[np.argmin(free[side])] for side in (u < 0, u > 0))
    between = free[left : right + 1]
    return float(u[left]), float(u[right]), float(between.max() - max(free[left], free[right]))


@dataclass(frozen=True, eq=False)
class OrderParameter:
    """z_i = u_i (row 0) and z_{M+i} = w_i (row 1) through a training, from the saddle of the mode, which is at zero.

    Attributes
    ----------
    mu : (2, T) array
        Minimum of the constraint potential, Eq. (29).
    data, samples : (2, T) arrays
        Means over test examples and over samples of the model.
    data_std, samples_std : (2, T) arrays
        Their standard deviations.
    """

    mu: np.ndarray
    data: np.ndarray
    samples: np.ndarray
    data_std: np.ndarray
    samples_std: np.ndarray


def order_parameter(paths: ModePaths, i: int = 0) -> OrderParameter:
    """Order parameters of mode i of a stored training, Figs. 7 and 8.

    The sign of a mode is arbitrary: (U_i, V_i) -> (-U_i, -V_i) turns u and w around. It is chosen here such that
    mu_x >= 0, as in `rbmkit.reciprocal.modes`: by the weights alone, whatever data and samples do.

    Parameters
    ----------
    paths : ModePaths
        E.g. `Statistics.leading`.
    i : int, optional
    """
    checks.instance(paths, ModePaths, "paths")
    sign = np.where(paths.mu_x[:, i] < 0, -1.0, 1.0)

    def uw(x: np.ndarray, y: np.ndarray) -> np.ndarray:  # Eq. (19)
        dx, dy = x - paths.x0[:, i], y - paths.y0[:, i]
        return sign * np.stack([dx + dy, dy - dx]) / np.sqrt(2)

    def std(x: np.ndarray, y: np.ndarray, cov: np.ndarray) -> np.ndarray:  # var u and var w: those of (y +- x) / sqrt 2
        half = (x[:, i, 1] ** 2 + y[:, i, 1] ** 2) / 2
        return np.sqrt(np.stack([half + cov[:, i], half - cov[:, i]]))

    return OrderParameter(
        mu=uw(paths.mu_x[:, i], paths.mu_y[:, i]),
        data=uw(paths.x_data[:, i, 0], paths.y_data[:, i, 0]),
        samples=uw(paths.x_samples[:, i, 0], paths.y_samples[:, i, 0]),
        data_std=std(paths.x_data, paths.y_data, paths.cov_data),
        samples_std=std(paths.x_samples, paths.y_samples, paths.cov_samples),
    )


def _landau(modes: Modes, i: int, stable: bool, mu: float, series: np.ndarray) -> Landau:
    curvature = modes.s[i] if stable else -modes.s[i]
    return Landau(*(float(x) for x in (modes.saddle_energy[i], curvature, mu, *series)))


def _vectors(modes: Modes, i: int) -> tuple[np.ndarray, np.ndarray]:
    return modes.U[:, i], modes.V[:, i]


def _direction(modes: Modes, i: int, stable: bool) -> np.ndarray:
    """The vector c with z = c . (v, h) + const."""
    U, V = _vectors(modes, i)
    return np.concatenate([-U if stable else U, V]) / np.sqrt(2)


def _means(modes: Modes, means: tuple[np.ndarray, np.ndarray] | None) -> tuple[np.ndarray, np.ndarray]:
    sizes = len(modes.U), len(modes.V)
    if means is None:
        return tuple(np.full(n, 0.5) for n in sizes)
    return tuple(_in_unit_interval(m, n, "means") for m, n in zip(means, sizes, strict=True))


def _in_unit_interval(means: np.ndarray, n: int, name: str) -> np.ndarray:
    means = checks.real_array(means, (n,), name)
    if means.min() < 0 or means.max() > 1:
        raise ValueError(f"{name} must be means of units, in [0, 1]; found {means.min()} to {means.max()}")
    return means


def _tilted_density(c: np.ndarray, m: np.ndarray, x: np.ndarray) -> np.ndarray:
    """ln of the saddle-point density of sum_j c_j s_j at x, s_j independent in {0, 1} with means m_j."""
    field = logit(np.clip(m, 1e-15, 1 - 1e-15))
    tilts = np.sinh(np.linspace(-7, 7, 201)) / (20 * np.sqrt(np.mean(c**2)))  # up to where nearly all units are frozen
    grid = expit(np.outer(tilts, c) + field) @ c
    inside = (x > grid[0]) & (x < grid[-1])
    s = np.interp(x[inside], grid, tilts)
    for _ in range(8):
        q = expit(np.outer(s, c) + field)
        s = s + (x[inside] - q @ c) / ((q * (1 - q)) @ c**2)
    K = (np.logaddexp(0, np.outer(s, c) + field) - np.logaddexp(0, field)).sum(axis=1)
    result = np.full(x.shape, -np.inf)
    result[inside] = K - s * x[inside] - np.log(2 * np.pi * (q * (1 - q)) @ c**2) / 2
    return result
