"""Diffusion in an effective potential, and the Schrödinger equation that it is.

A density that diffuses in a potential U at inverse temperature beta = 1 / D obeys the Fokker-Planck
equation (34). With P = e^(-beta U / 2) psi it becomes a Schrödinger equation in imaginary time with
the Hamiltonian

    H = -1/2 d^2/dz^2 + V_Q,    V_Q = (beta U')^2 / 8 - beta U'' / 4,                     Eq. (37)

whose levels E_n are relaxation rates, Gamma_n = 2 D E_n. On a grid, `hamiltonian` keeps what makes
H special: it is a square, H = Q^T Q / 2 with Q = d/dz + beta U' / 2, so that no level is negative,
and e^(-beta U / 2) has the level 0 exactly. `spectrum` has the levels, `Spectrum.propagate` the
density at any time, `langevin` the walkers, and `kramers` the rates over a barrier.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import scipy.sparse as sp
from scipy.linalg import eigh_tridiagonal
from scipy.sparse.linalg import eigsh

from rbmkit import checks, extrema, kernels
from rbmkit.sampling import chunk_size, draw_seed, threads_for

# a step of a walker costs about as much as so many couplings in block Gibbs sampling
_STEP_WORK = 2**9
# largest exponent of a hop: e^709 is the largest number, and a step squared comes on top
_STEEPEST = 600.0


# ---------------------------------------------------------------- a potential and its levels
@dataclass(frozen=True, eq=False)
class Potential:
    """An effective potential on a regular grid of one or two coordinates, with a heat bath.

    Attributes
    ----------
    axes : tuple of one or two (n_i,) arrays
        Equidistant grid points, increasing, at least 5 per axis.
    U : (n_1,) or (n_1, n_2) array
        Energy at the grid points, Eq. (31); finite, so that the grid must end before the support
        does.
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
                raise ValueError(
                    "each of axes must be increasing and equidistant, with at least 5 points"
                )
        if np.asarray(self.U).dtype.kind == "f" and not np.isfinite(self.U).all():
            raise ValueError(
                "U must be finite: let the grid end inside the support, where the density is "
                "not zero"
            )
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

    Hopping between neighbours i and j at distance d with the rates D / d^2 e^(-beta (U_j - U_i) /
    2) from i to j has the Boltzmann law as its stationary state; the same substitution as Eq. (36)
    makes it symmetric. This is -1/2 d^2/dz^2 + V_Q up to d^2, and keeps the level 0 exact.

    Parameters
    ----------
    potential : Potential
    absorbing : bool, optional
        False: probability is reflected at the ends of the grid. True: what reaches an outermost
        point is lost; these points are not part of the matrix.

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
    half = potential.half
    shape = potential.U.shape
    steepest = max(np.abs(np.diff(half, axis=i)).max() for i in range(half.ndim))
    if steepest > _STEEPEST:
        raise ValueError(
            f"U too steep for this spacing: beta U changes by {2 * steepest:.0f} between "
            "neighbours; use a finer grid, or let it end earlier"
        )
    diagonal = np.zeros(shape)
    hops = 0
    for i, step in enumerate(potential.steps):
        # from a point to the next one, over 2 D
        up = np.exp(-np.diff(half, axis=i)) / (2 * step**2)
        down = np.exp(np.diff(half, axis=i)) / (2 * step**2)
        before, after = ([(0, 0)] * len(shape) for _ in range(2))
        before[i] = (1, 0)
        after[i] = (0, 1)
        diagonal += np.pad(up, after) + np.pad(down, before)
        line = sp.diags_array([np.full(shape[i] - 1, -0.5 / step**2)] * 2, offsets=[-1, 1])
        left, right = (
            sp.eye_array(int(np.prod(part, dtype=int))) for part in (shape[:i], shape[i + 1 :])
        )
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
        Ascending, >= 0. Levels below about 1e-15 of the largest element of the matrix are rounding;
        at a steep wall, where beta U changes by b between neighbours at distance d, that element is
        e^(b / 2) / (2 d^2).
    psi : (levels, ...) array
        States on the grid of the potential, orthonormal under the integral; the first has no node.
    """

    potential: Potential
    E: np.ndarray
    psi: np.ndarray

    @property
    def rates(self) -> np.ndarray:
        """Relaxation rates Gamma_n = 2 D E_n. The paper's factors, 1 / (2 D) and beta / 2, are
        mistakes."""
        return 2 * self.potential.D * self.E

    def propagate(self, density: np.ndarray, times: np.ndarray) -> np.ndarray:
        """P(z, t) from P(z, 0) = `density` by the spectral sum, Eqs. (38) and (39).

        Parameters
        ----------
        density : array of the shape of U
            >= 0. Need not be smooth, but what the levels cannot resolve is missing at times below 1
            / the largest rate.
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
            raise ValueError(
                f"times must be >= 0, got {times.min()}: diffusion cannot be run backwards"
            )
        half = self.potential.half
        flat = self.psi.reshape(len(self.E), -1)
        lifted = np.zeros(density.shape)
        np.multiply(density, np.exp(half), where=density > 0, out=lifted)
        c = flat @ lifted.ravel() * self.potential.cell
        psi_t = (c * np.exp(-np.outer(times, self.rates))) @ flat
        return np.exp(-half) * psi_t.reshape(len(times), *half.shape)


def spectrum(potential: Potential, levels: int, *, absorbing: bool = False) -> Spectrum:
    """The lowest levels and states of `hamiltonian`.

    One coordinate: a tridiagonal eigenvalue problem. Two: the Lanczos method on the inverse of the
    sparse matrix.

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
        E, states = eigh_tridiagonal(
            H.diagonal(), H.diagonal(1), select="i", select_range=(0, levels - 1)
        )
    else:
        start = np.random.default_rng(0).random(H.shape[0])  # fixed: the same states in every run
        E, states = eigsh(H, k=levels, sigma=-1e-6 * H.diagonal().min(), v0=start)
    order = np.argsort(E)
    inner = _inner(potential.U.shape) if absorbing else np.full(potential.U.shape, True)
    psi = np.zeros((levels, *potential.U.shape))
    psi[:, inner] = states[:, order].T / np.sqrt(potential.cell)
    largest = psi.reshape(levels, -1)[
        np.arange(levels), np.abs(psi).reshape(levels, -1).argmax(axis=1)
    ]
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
    low = extrema.minima(U)
    if len(low) != 2:
        raise ValueError(
            f"a potential with two wells is needed, this one has {len(low)} minima inside the grid"
        )
    top = low[0] + U[low[0] : low[1]].argmax()
    points = np.array([low[0], top, low[1]])
    found = extrema.vertex(U, points)
    step = potential.steps[0]
    left, middle, right = (potential.axes[0][points] + found.offset * step).tolist()
    bends = found.bend / step**2
    wells = [0, 2]
    heights = potential.beta * (found.value[1] - found.value[wells])
    rates = np.sqrt(bends[wells] * -bends[1]) / (2 * np.pi) * np.exp(-heights)
    return Kramers((left, right), middle, tuple(heights.tolist()), tuple(rates.tolist()))


# ---------------------------------------------------------------- walkers
def langevin(
    potential: Potential,
    start: np.ndarray,
    times: np.ndarray,
    *,
    dt: float,
    rng: int | np.random.Generator,
) -> np.ndarray:
    """Walkers in a potential, dz = -grad U dt + sqrt(2 D) dW: the stochastic side of the
    Fokker-Planck equation (34).

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
    waits = _intervals(times)
    dt = checks.positive_float(dt, "dt")
    gradients = [
        np.gradient(potential.U, step, axis=i, edge_order=2)
        for i, step in enumerate(potential.steps)
    ]
    table = -np.stack(gradients, axis=-1).reshape(len(potential.axes[0]), -1, d)
    grid = table, low, high, 1 / np.array(potential.steps)
    seed = draw_seed(checks.as_generator(rng))
    done = 0
    path = np.empty((len(waits), *z.shape))
    for k, wait in enumerate(waits):
        steps = int(np.ceil(wait / dt - 1e-9))
        if steps:
            tau = wait / steps
            noise = np.sqrt(2 * potential.D * tau)
            with threads_for(len(z) * steps * _STEP_WORK):
                kernels.langevin(
                    len(z), chunk_size(len(z)), z, *grid, tau, noise, steps, seed, done
                )
        done += steps
        path[k] = z
    return path[..., 0] if d == 1 else path


def ornstein_uhlenbeck(
    stiffness: float,
    start: np.ndarray,
    times: np.ndarray,
    *,
    beta: float,
    rng: int | np.random.Generator,
) -> np.ndarray:
    """Walkers in U = stiffness z^2 / 2, exactly: one normal number takes a walker over any time.

    z(t) is normal with mean z(0) e^(-k t) and variance D (1 - e^(-2 k t)) / k; this holds for k = 0
    (free diffusion) and for k < 0 (escape from a hilltop) as well.

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
        Times negative or not ascending; a hill that throws walkers beyond the range of numbers, k t
        < -300.
    """
    k = checks.real(stiffness, "stiffness")
    z = checks.real_array(start, (None,), "start")
    D = 1 / checks.positive_float(beta, "beta")
    waits = _intervals(times)
    rng = checks.as_generator(rng)
    if k * waits.sum() < -300:
        raise ValueError(
            "stiffness * time must be above -300, or walkers leave all bounds; got "
            f"{k * waits.sum():.4g}"
        )
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
