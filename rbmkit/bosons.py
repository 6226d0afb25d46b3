"""Diffusion in an effective potential, and the bosons that it is made of.

A density that diffuses in a potential U at inverse temperature beta = 1 / D obeys the Fokker-Planck equation (34).
With P = e^(-beta U / 2) psi it becomes a Schrödinger equation in imaginary time with the Hamiltonian

    H = -1/2 d^2/dz^2 + V_Q,    V_Q = (beta U')^2 / 8 - beta U'' / 4,                                        Eq. (37)

whose levels E_n are relaxation rates, Gamma_n = 2 D E_n. On a grid, `hamiltonian` keeps what makes H special: it is a
square, H = Q^T Q / 2 with Q = d/dz + beta U' / 2, so that no level is negative, and e^(-beta U / 2) has the level 0
exactly. `spectrum` has the levels, `Spectrum.propagate` the density at any time, `langevin` the walkers.

A quadratic U makes every mode of an RBM a harmonic oscillator: `harmonic_levels`, `hermite_state`, and for coupled
ones `Oscillators`, Eqs. (40)-(45). What block Gibbs sampling does to the same modes is measured by `relaxation`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import scipy.sparse as sp
from scipy.linalg import eigh_tridiagonal
from scipy.sparse.linalg import eigsh

from rbmkit import checks, kernels
from rbmkit.model import RBM
from rbmkit.reciprocal import modes
from rbmkit.sampling import chunk_size, draw_seed, gibbs, threads_for

_STEP_WORK = 2**9  # a step of a walker costs about as much as so many couplings in block Gibbs sampling
_HIGHEST_STATE = 500  # of `hermite_state`
_BLOCKS = 20  # of chains, for the jackknife errors
_STEEPEST = 600.0  # largest exponent of a hop: e^709 is the largest number, and a step squared comes on top
_ZERO = 1e-12  # relative size below which a frequency or a fluctuation is rounding


# ---------------------------------------------------------------- potentials on a grid
@dataclass(frozen=True, eq=False)
class Potential:
    """An effective potential on a regular grid of one or two coordinates, with a heat bath.

    Attributes
    ----------
    axes : tuple of one or two (n_i,) arrays
        Equidistant grid points, increasing, at least 5 per axis.
    U : (n_1,) or (n_1, n_2) array
        Energy at the grid points, Eq. (31); finite, so that the grid must end before the support does.
    beta : float
        Inverse temperature, > 0. The diffusion coefficient is D = 1 / beta.
    """

    axes: tuple[np.ndarray, ...]
    U: np.ndarray
    beta: float = 1.0

    def __post_init__(self) -> None:
        axes = (self.axes,) if isinstance(self.axes, np.ndarray) else tuple(self.axes)
        if len(axes) not in (1, 2):
            raise ValueError(f"axes must be one or two arrays of grid points, got {len(axes)}")
        axes = tuple(checks.real_array(axis, (None,), "each of axes") for axis in axes)
        for axis in axes:
            step = np.diff(axis)
            if len(axis) < 5 or step.min() <= 0 or np.ptp(step) > 1e-6 * step.mean():
                raise ValueError("each of axes must be increasing and equidistant, with at least 5 points")
        if np.asarray(self.U).dtype.kind == "f" and not np.isfinite(self.U).all():
            raise ValueError("U must be finite: let the grid end inside the support, where the density is not zero")
        object.__setattr__(self, "axes", axes)
        object.__setattr__(self, "U", checks.real_array(self.U, tuple(map(len, axes)), "U"))
        object.__setattr__(self, "beta", checks.positive_float(self.beta, "beta"))

    @property
    def D(self) -> float:
        """Diffusion coefficient, 1 / beta."""
        return 1 / self.beta

    @cached_property
    def steps(self) -> tuple[float, ...]:
        """Grid spacings."""
        return tuple(float((axis[-1] - axis[0]) / (len(axis) - 1)) for axis in self.axes)

    @property
    def cell(self) -> float:
        """Length or area of a grid cell: sums over the grid times this are integrals."""
        return float(np.prod(self.steps))

    @cached_property
    def half(self) -> np.ndarray:
        """beta (U - min U) / 2, the exponent of Eq. (36)."""
        return self.beta / 2 * (self.U - self.U.min())

    @property
    def boltzmann(self) -> np.ndarray:
        """The stationary density e^(-beta U) / Z, Eq. (33)."""
        weight = np.exp(-2 * self.half)
        return weight / (weight.sum() * self.cell)

    @property
    def quantum(self) -> np.ndarray:
        """V_Q of Eq. (37), summed over the coordinates, by central differences of U."""
        total = np.zeros_like(self.U)
        for i, step in enumerate(self.steps):
            slope = np.gradient(self.beta * self.U, step, axis=i, edge_order=2)
            total += slope**2 / 8 - np.gradient(slope, step, axis=i, edge_order=2) / 4
        return total


def hamiltonian(potential: Potential, *, absorbing: bool = False) -> sp.csc_array:
    """The Schrödinger operator H of Eq. (37) on the grid, symmetric and positive semidefinite.

    Hopping between neighbours i and j at distance d with the rates D / d^2 e^(-beta (U_j - U_i) / 2) from i to j has
    the Boltzmann law as its stationary state; the same substitution as Eq. (36) makes it symmetric. This is
    -1/2 d^2/dz^2 + V_Q up to d^2, and keeps the level 0 exact.

    Parameters
    ----------
    potential : Potential
    absorbing : bool, optional
        False: probability is reflected at the ends of the grid. True: what reaches an outermost point is lost; these
        points are not part of the matrix.

    Returns
    -------
    (n, n) sparse array
        In the order of ``U.ravel()``, or of ``U[1:-1].ravel()`` (both axes) if absorbing.

    Raises
    ------
    TypeError
        Not a Potential.
    ValueError
        U changes so much between neighbours that the rates are beyond the range of numbers.
    """
    checks.instance(potential, Potential, "potential")
    half, shape = potential.half, potential.U.shape
    steepest = max(np.abs(np.diff(half, axis=i)).max() for i in range(half.ndim))
    if steepest > _STEEPEST:
        raise ValueError(
            f"U too steep for this spacing: beta U changes by {2 * steepest:.0f} between neighbours; "
            "use a finer grid, or let it end earlier"
        )
    diagonal, hops = np.zeros(shape), 0
    for i, step in enumerate(potential.steps):
        up = np.exp(-np.diff(half, axis=i)) / (2 * step**2)  # from a point to the next one, over 2 D
        down = np.exp(np.diff(half, axis=i)) / (2 * step**2)
        before, after = ([(0, 0)] * len(shape) for _ in range(2))
        before[i], after[i] = (1, 0), (0, 1)
        diagonal += np.pad(up, after) + np.pad(down, before)
        line = sp.diags_array([np.full(shape[i] - 1, -0.5 / step**2)] * 2, offsets=[-1, 1])
        left, right = (sp.eye_array(int(np.prod(part, dtype=int))) for part in (shape[:i], shape[i + 1 :]))
        hops = hops + sp.kron(sp.kron(left, line), right)
    H = sp.csc_array(hops + sp.diags_array(diagonal.ravel()))
    if not absorbing:
        return H
    inner = _inner(shape).ravel()
    return H[inner][:, inner]


def _inner(shape: tuple[int, ...]) -> np.ndarray:
    inner = np.zeros(shape, bool)
    inner[(slice(1, -1),) * len(shape)] = True
    return inner


@dataclass(frozen=True, eq=False)
class Spectrum:
    """Lowest levels and states of the Hamiltonian of a potential; made by `spectrum`.

    Attributes
    ----------
    potential : Potential
    E : (levels,) array
        Ascending, >= 0. Levels below about 1e-15 of the largest element of the matrix are rounding; at a steep wall,
        where beta U changes by b between neighbours at distance d, that element is e^(b / 2) / (2 d^2).
    psi : (levels, ...) array
        States on the grid of the potential, orthonormal under the integral; the first has no node.
    """

    potential: Potential
    E: np.ndarray
    psi: np.ndarray

    @property
    def rates(self) -> np.ndarray:
        """Relaxation rates Gamma_n = 2 D E_n. The paper's factors, 1 / (2 D) and beta / 2, are mistakes."""
        return 2 * self.potential.D * self.E

    def propagate(self, density: np.ndarray, times: np.ndarray) -> np.ndarray:
        """P(z, t) from P(z, 0) = `density` by the spectral sum, Eqs. (38) and (39).

        Parameters
        ----------
        density : array of the shape of U
            >= 0. Need not be smooth, but what the levels cannot resolve is missing at times below 1 / the largest rate.
        times : (n,) array
            >= 0.

        Returns
        -------
        (n, ...) array

        Raises
        ------
        ValueError
            A negative density or time.
        """
        density = checks.real_array(density, self.potential.U.shape, "density")
        times = checks.real_array(times, (None,), "times")
        if density.min() < 0:
            raise ValueError(f"density must be >= 0 everywhere, got {density.min()}")
        if times.min() < 0:
            raise ValueError(f"times must be >= 0, got {times.min()}: diffusion cannot be run backwards")
        half, flat = self.potential.half, self.psi.reshape(len(self.E), -1)
        lifted = np.zeros(density.shape)
        np.multiply(density, np.exp(half), where=density > 0, out=lifted)
        c = flat @ lifted.ravel() * self.potential.cell
        psi_t = (c * np.exp(-np.outer(times, self.rates))) @ flat
        return np.exp(-half) * psi_t.reshape(len(times), *half.shape)


def spectrum(potential: Potential, levels: int, *, absorbing: bool = False) -> Spectrum:
    """The lowest levels and states of `hamiltonian`.

    One coordinate: a tridiagonal eigenvalue problem. Two: the Lanczos method on the inverse of the sparse matrix.

    Parameters
    ----------
    potential : Potential
    levels : int
        From 1 to the number of grid points minus two.
    absorbing : bool, optional
        See `hamiltonian`, also for what it refuses.

    Raises
    ------
    ValueError
        More levels than the grid has.
    """
    H = hamiltonian(potential, absorbing=absorbing)
    levels = checks.positive_int(levels, "levels")
    if levels > H.shape[0] - 2:
        raise ValueError(f"levels must be at most {H.shape[0] - 2} on this grid, got {levels}")
    if potential.U.ndim == 1:
        E, states = eigh_tridiagonal(H.diagonal(), H.diagonal(1), select="i", select_range=(0, levels - 1))
    else:
        start = np.random.default_rng(0).random(H.shape[0])  # fixed: the same states in every run
        E, states = eigsh(H, k=levels, sigma=-1e-6 * H.diagonal().min(), v0=start)
    order = np.argsort(E)
    inner = _inner(potential.U.shape) if absorbing else np.full(potential.U.shape, True)
    psi = np.zeros((levels, *potential.U.shape))
    psi[:, inner] = states[:, order].T / np.sqrt(potential.cell)
    largest = psi.reshape(levels, -1)[np.arange(levels), np.abs(psi).reshape(levels, -1).argmax(axis=1)]
    psi *= np.sign(largest).reshape(-1, *(1,) * potential.U.ndim)
    return Spectrum(potential, np.maximum(E[order], 0), psi)


@dataclass(frozen=True)
class Kramers:
    """Escape from two wells over the barrier between them, in the limit of a barrier of many D.

    Attributes
    ----------
    wells : pair of floats
        Positions of the minima.
    top : float
        Position of the barrier.
    barriers : pair of floats
        Height of the barrier above each well, times beta (in units of k T).
    rates : pair of floats
        Escape rate from each well, sqrt(U''(well) |U''(top)|) / (2 pi) e^(-beta barrier).
    """

    wells: tuple[float, float]
    top: float
    barriers: tuple[float, float]
    rates: tuple[float, float]

    @property
    def gap(self) -> float:
        """Relaxation rate between the wells: the sum of the two escape rates."""
        return sum(self.rates)


def kramers(potential: Potential) -> Kramers:
    """Kramers' rates of a potential of one coordinate with two wells.

    Raises
    ------
    ValueError
        Not one coordinate, or not exactly two minima inside the grid.
    """
    checks.instance(potential, Potential, "potential")
    U = potential.U
    if U.ndim != 1:
        raise ValueError("Kramers' rate is implemented for one coordinate")
    low = np.flatnonzero((U[1:-1] < U[:-2]) & (U[1:-1] <= U[2:])) + 1
    if len(low) != 2:
        raise ValueError(f"a potential with two wells is needed, this one has {len(low)} minima inside the grid")
    high = low[0] + U[low[0] : low[1]].argmax()
    (left, top, right), (bend_l, bend_t, bend_r), at = zip(*(_vertex(potential, i) for i in (low[0], high, low[1])))
    barriers = tuple(potential.beta * (top - bottom) for bottom in (left, right))
    prefactors = (math.sqrt(bend * -bend_t) / (2 * math.pi) for bend in (bend_l, bend_r))
    rates = tuple(factor * math.exp(-height) for factor, height in zip(prefactors, barriers))
    return Kramers((at[0], at[2]), at[1], barriers, rates)


def _vertex(potential: Potential, i: int) -> tuple[float, float, float]:
    """Value, second derivative and position of the extremum of the parabola through the points i - 1, i, i + 1."""
    step, U = potential.steps[0], potential.U
    slope, bend = (U[i + 1] - U[i - 1]) / (2 * step), (U[i + 1] - 2 * U[i] + U[i - 1]) / step**2
    return float(U[i] - slope**2 / (2 * bend)), float(bend), float(potential.axes[0][i] - slope / bend)


# ---------------------------------------------------------------- walkers
def langevin(
    potential: Potential, start: np.ndarray, times: np.ndarray, *, dt: float, rng: int | np.random.Generator
) -> np.ndarray:
    """Walkers in a potential, dz = -grad U dt + sqrt(2 D) dW: the stochastic side of the Fokker-Planck equation (34).

    Heun's scheme: averages are right up to dt^2. Walls at the ends of the grid reflect.

    Parameters
    ----------
    potential : Potential
    start : (n,) or (n, 2) array
        Positions at time 0, inside the grid.
    times : (m,) array
        When to record, ascending, >= 0.
    dt : float
        Largest time step; well below 1 / U'' wherever walkers go.
    rng : int or Generator
        The same seed gives the same walkers for any number of threads.

    Returns
    -------
    (m, n) or (m, n, 2) array
        Positions at `times`.

    Raises
    ------
    ValueError
        A start outside the grid; times negative or not ascending.
    """
    checks.instance(potential, Potential, "potential")
    d = potential.U.ndim
    z = checks.real_array(start, (None,) if d == 1 else (None, d), "start").reshape(-1, d)
    low, high = (np.array([axis[end] for axis in potential.axes]) for end in (0, -1))
    if (z < low).any() or (z > high).any():
        raise ValueError(f"start must lie inside the grid, from {low} to {high}")
    waits, dt = _intervals(times), checks.positive_float(dt, "dt")
    gradients = [np.gradient(potential.U, step, axis=i, edge_order=2) for i, step in enumerate(potential.steps)]
    table = -np.stack(gradients, axis=-1).reshape(len(potential.axes[0]), -1, d)
    seed, done, path = draw_seed(checks.as_generator(rng)), 0, np.empty((len(waits), *z.shape))
    for k, wait in enumerate(waits):
        steps = int(np.ceil(wait / dt - 1e-9))
        if steps:
            tau = wait / steps
            noise = np.sqrt(2 * potential.D * tau)
            with threads_for(len(z) * steps * _STEP_WORK):
                grid = table, low, high, 1 / np.array(potential.steps)
                kernels.langevin(len(z), chunk_size(len(z)), z, *grid, tau, noise, steps, seed, done)
        done += steps
        path[k] = z
    return path[..., 0] if d == 1 else path


def ornstein_uhlenbeck(
    stiffness: float, start: np.ndarray, times: np.ndarray, *, beta: float, rng: int | np.random.Generator
) -> np.ndarray:
    """Walkers in U = stiffness z^2 / 2, exactly: one normal number takes a walker over any time.

    z(t) is normal with mean z(0) e^(-k t) and variance D (1 - e^(-2 k t)) / k; this holds for k = 0 (free diffusion)
    and for k < 0 (escape from a hilltop) as well.

    Parameters
    ----------
    stiffness : float
        k, of either sign.
    start : (n,) array
    times : (m,) array
        Ascending, >= 0.
    beta : float
        Inverse temperature, > 0.
    rng : int or Generator

    Returns
    -------
    (m, n) array

    Raises
    ------
    ValueError
        Times negative or not ascending; a hill that throws walkers beyond the range of numbers, k t < -300.
    """
    k, z = checks.real(stiffness, "stiffness"), checks.real_array(start, (None,), "start")
    D, waits, rng = 1 / checks.positive_float(beta, "beta"), _intervals(times), checks.as_generator(rng)
    if k * waits.sum() < -300:
        raise ValueError(f"stiffness * time must be above -300, or walkers leave all bounds; got {k * waits.sum():.4g}")
    path = np.empty((len(waits), len(z)))
    for i, wait in enumerate(waits):
        spread = np.sqrt(D * (-np.expm1(-2 * k * wait) / k if k else 2 * wait))
        z = z * np.exp(-k * wait) + spread * rng.normal(size=len(z))
        path[i] = z
    return path


def _intervals(times: np.ndarray) -> np.ndarray:
    waits = np.diff(checks.real_array(times, (None,), "times"), prepend=0.0)
    if waits.min() < 0:
        raise ValueError("times must be >= 0 and ascending")
    return waits


# ---------------------------------------------------------------- harmonic oscillators
def harmonic_levels(omega: np.ndarray, n: np.ndarray) -> np.ndarray:
    """Level n of H for U = omega z^2 / beta, Eq. (49): omega n, or |omega| (n + 1) if omega is negative.

    For omega < 0 the term -omega / 2 of Eq. (48) raises the levels instead of cancelling the zero-point energy: there
    is no stationary state, and 2 D |omega| is the rate at which probability leaves the saddle.

    Raises
    ------
    ValueError
        omega not finite; n not an integer or negative.
    """
    omega, n = np.asarray(omega, dtype=float), np.asarray(n)
    if not np.isfinite(omega).all() or n.dtype.kind not in "iu" or (n < 0).any():
        raise ValueError("omega must be finite, and n must be integers >= 0")
    return np.abs(omega) * (n + (omega < 0))


def hermite_state(n: int, omega: float, zeta: np.ndarray) -> np.ndarray:
    """State n of the oscillator -1/2 d^2/dzeta^2 + omega^2 zeta^2 / 2: a normalised Hermite function.

    Parameters
    ----------
    n : int
        From 0 to 500: near the turning points of much higher states exp(-q^2/2), from which the recursion starts, is
        zero in double precision.
    omega : float
        Not zero; its sign does not matter.
    zeta : array
    """
    n, scale = checks.integer(n, "n", least=0), checks.positive_float(abs(omega), "abs(omega)")
    if n > _HIGHEST_STATE:
        raise ValueError(f"n must be at most {_HIGHEST_STATE}, got {n}: beyond, the recursion underflows")
    q = np.sqrt(scale) * np.asarray(zeta, dtype=float)
    below, state = np.zeros_like(q), (scale / np.pi) ** 0.25 * np.exp(-(q**2) / 2)
    for m in range(n):
        below, state = state, np.sqrt(2 / (m + 1)) * q * state - np.sqrt(m / (m + 1)) * below
    return state


@dataclass(frozen=True, eq=False)
class Oscillators:
    """Coupled harmonic oscillators, Eqs. (40)-(45): beta U = (z - mu).k.(z - mu) / 2 + beta (z.L z / 2 - g.z).

    Attributes
    ----------
    k : (n, n) array
        Second derivatives of the constraint potential, Eq. (40); symmetric.
    curvature : (n,) array
        The diagonal L of the energy: -lambda for u, +lambda for w, 0 for unpaired variables.
    mu : (n,) array
        Minimum of the constraint potential.
    field : (n,) array
        The linear part g of the energy; zero for u and w if they are measured from the saddle, as in the paper.
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
        """Where each variable is at rest while the others are at mu, Eq. (42). ValueError if an omega is zero."""
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
        """The matrix M of Eq. (45), its symmetric part: as printed, omega_i k_ij is not symmetric."""
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
        """Where all variables are at rest together: the stationary point of U. ValueError if there is not just one."""
        self._refuse_zero(self.frequencies)
        return np.linalg.solve(2 * self.half_hessian, self.k @ self.mu + self.beta * self.field)

    @cached_property
    def frequencies(self) -> np.ndarray:
        """Normal-mode omegas, ascending: eigenvalues of `half_hessian`, one per boson; negative is unstable."""
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
            raise ValueError("a frequency is zero (lambda = lambda_c): along it no single place is at rest")

    @property
    def _off(self) -> np.ndarray:
        return self.k - np.diag(np.diag(self.k))


def oscillators(
    rbm: RBM, m_v: np.ndarray | None = None, m_h: np.ndarray | None = None, *, beta: float = 1.0
) -> Oscillators:
    """All N + M oscillators of an RBM, for small deviations from the means (m_v, m_h).

    Independent units with these means have the covariance diag(m (1 - m)), whose inverse, rotated to the modes, is k.
    At m = 1/2 (default) that is 4 times the identity, Eq. (47); elsewhere the modes are coupled. The minimum mu of the
    quadratic constraint potential is such that its value and slope are those of the entropy of independent units, so
    that at a solution of the mean-field equations `Oscillators.centre` is that solution.

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
        Variables u (K), w (K), then the unpaired ones, K = min(N, M), measured from x = y = 0 rather than from the
        saddles, which are at infinity for modes with singular value 0.

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
    return Oscillators((k + k.T) / 2, curvature, mu, rotation.T @ np.concatenate([rbm.a, rbm.b]), beta)


def _rotation(rbm: RBM) -> tuple[np.ndarray, np.ndarray]:
    """Columns: u, w and unpaired variables as combinations of the N + M units; and the singular values."""
    m, K = modes(rbm), min(rbm.N, rbm.M)
    U_full, _, Vt_full = np.linalg.svd(rbm.W)
    rest_v, rest_h = U_full[:, K:], Vt_full[K:].T
    zeros_v, zeros_h = np.zeros((rbm.N, rest_h.shape[1])), np.zeros((rbm.M, rest_v.shape[1]))
    paired = np.block([[m.U, -m.U], [m.V, m.V]]) / np.sqrt(2)
    return np.hstack([paired, np.block([[rest_v, zeros_v], [zeros_h, rest_h]])]), m.s


def _means(m: np.ndarray | None, n: int, name: str) -> np.ndarray:
    if m is None:
        return np.full(n, 0.5)
    m = checks.real_array(m, (n,), name)
    if m.min() <= 0 or m.max() >= 1:
        raise ValueError(f"{name} must lie strictly between 0 and 1, found values from {m.min()} to {m.max()}")
    return m


# ---------------------------------------------------------------- block Gibbs sampling, mode by mode
@dataclass(frozen=True, eq=False)
class Dressed:
    """Modes of the linear map that one block Gibbs step is on average; made by `dressed`.

    Attributes
    ----------
    s : (K,) array
        Singular values of beta sqrt(g_v) W sqrt(g_h); deviations decay by s^2 per step, and s > 1 is unstable.
    vectors : (N, K) array
        The projections ``v @ vectors`` that decay so, one per column.
    """

    s: np.ndarray
    vectors: np.ndarray


def dressed(rbm: RBM, gain_v: np.ndarray, gain_h: np.ndarray, *, beta: float = 1.0) -> Dressed:
    """Modes of block Gibbs sampling, linearised: <dh> = g_h beta W^T dv and <dv> = g_v beta W dh.

    The gain of a unit is the slope of its mean against its field. At a mean-field solution it is m (1 - m); at
    m = 1/2 it is 1/4, and s = beta lambda / 4. In a fluctuating field it is the average of p (1 - p) over the
    conditional probabilities p, which is smaller.

    Parameters
    ----------
    rbm : RBM
    gain_v, gain_h : (N,) and (M,) arrays
        Between 0 and 1/4. A unit of gain 0 never moves, and has no part in the vectors.
    beta : float, optional

    Raises
    ------
    ValueError
        A gain outside that range.
    """
    checks.instance(rbm, RBM, "rbm")
    gains = [checks.real_array(g, (n,), name) for g, n, name in ((gain_v, rbm.N, "gain_v"), (gain_h, rbm.M, "gain_h"))]
    if any(g.min() < 0 or g.max() > 0.25 for g in gains):
        raise ValueError("gains must lie between 0 and 1/4: they are averages of p (1 - p)")
    root_v, root_h = np.sqrt(gains[0]), np.sqrt(gains[1])
    left, s, _ = np.linalg.svd(checks.inverse_temperature(beta) * root_v[:, None] * rbm.W * root_h, full_matrices=False)
    return Dressed(s, left * np.divide(1, root_v, where=root_v > 1e-6, out=np.zeros(rbm.N))[:, None])


@dataclass(frozen=True, eq=False)
class Relaxation:
    """Autocorrelation of projections of v in block Gibbs sampling; made by `relaxation`.

    Attributes
    ----------
    correlation, stderr : (lags + 1, K) arrays
        Against the number of steps, and its jackknife standard error over groups of chains.
    time, time_stderr : (K,) arrays
        Integrated autocorrelation time 1/2 + sum of the correlation from lag 1, in steps; summed to five times its own
        length. NaN where `lags` is too short for that.
    """

    correlation: np.ndarray
    stderr: np.ndarray
    time: np.ndarray
    time_stderr: np.ndarray


def relaxation(
    rbm: RBM,
    start: np.ndarray,
    vectors: np.ndarray,
    *,
    steps: int,
    lags: int,
    rng: int | np.random.Generator,
    beta: float = 1.0,
) -> Relaxation:
    """Measure how fast block Gibbs sampling forgets the projections ``v @ vectors``.

    Parameters
    ----------
    rbm : RBM
    start : (n, N) array of 0 and 1
        States in equilibrium, n >= 20 independent chains.
    vectors : (N, K) array
        E.g. the modes ``modes(rbm).U``. The projections of all steps are kept: 8 (steps + 1) n K bytes.
    steps : int
        Block Gibbs steps; all pairs of times within them are used.
    lags : int
        Largest lag, <= steps.
    rng : int or Generator
    beta : float, optional

    Raises
    ------
    ValueError
        More lags than steps, fewer than 20 chains, or a projection that never varies and so has no correlation.
    """
    checks.instance(rbm, RBM, "rbm")
    v = checks.binary(start, rbm.N, "start")
    vectors = checks.real_array(vectors, (rbm.N, None), "vectors")
    steps, lags, rng = checks.positive_int(steps, "steps"), checks.positive_int(lags, "lags"), checks.as_generator(rng)
    if lags > steps or len(v) < _BLOCKS:
        raise ValueError(f"lags must be at most steps, and chains at least {_BLOCKS}; got {lags}, {steps}, {len(v)}")
    x = np.empty((steps + 1, len(v), vectors.shape[1]))
    for t in range(steps + 1):
        x[t] = v.astype(np.float64) @ vectors
        v = gibbs(rbm, v, steps=1, rng=rng, beta=beta).v if t < steps else v
    x -= x.mean(axis=(0, 1))
    still = np.flatnonzero(np.abs(x).max(axis=(0, 1)) <= _ZERO * np.abs(vectors).sum(axis=0))
    if len(still):
        raise ValueError(f"the projections on the columns {still[:5]} of vectors never vary: leave them out")
    groups = np.array_split(np.arange(len(v)), _BLOCKS)
    sums = np.array([_lagged(x[:, group], lags) for group in groups])  # (groups, lags + 3, K)
    left_out = sums.sum(axis=0) - sums
    correlation, jackknife = (_correlation(total) for total in (sums.sum(axis=0), left_out))
    time, window = _integrated_time(correlation)
    inside = np.arange(lags + 1)[:, None] <= window
    times = (jackknife * inside).sum(axis=1) - 0.5
    spread = [np.sqrt((_BLOCKS - 1) * sample.var(axis=0)) for sample in (jackknife, times)]
    return Relaxation(correlation, spread[0], time, np.where(np.isnan(time), np.nan, spread[1]))


def _lagged(x: np.ndarray, lags: int) -> np.ndarray:
    """Sums over chains of x (T + 1, n, K): products at each lag and x itself, averaged over times; number of chains."""
    origins = len(x) - np.arange(lags + 1)
    products = [np.einsum("tck,tck->k", x[: origins[t]], x[t:]) / origins[t] for t in range(lags + 1)]
    return np.array([*products, x.mean(axis=0).sum(axis=0), np.full(x.shape[2], x.shape[1])])


def _correlation(sums: np.ndarray) -> np.ndarray:
    """Autocorrelation (..., lags + 1, K) from sums of `_lagged` (..., lags + 3, K)."""
    covariance = sums[..., :-2, :] / sums[..., -1:, :] - (sums[..., -2:-1, :] / sums[..., -1:, :]) ** 2
    return covariance / covariance[..., :1, :]


def _integrated_time(correlation: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Integrated time, with the window that ends where it is five times the sum; NaN if none does."""
    running = np.cumsum(correlation, axis=0) - 0.5
    ends = np.arange(len(running))[:, None] >= np.maximum(5 * running, 1)
    window = np.where(ends.any(axis=0), ends.argmax(axis=0), len(running))
    time = np.take_along_axis(running, np.minimum(window, len(running) - 1)[None], axis=0)[0]
    return np.where(ends.any(axis=0), time, np.nan), window
