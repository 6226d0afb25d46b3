"""Denoising: an RBM as a diffusion model whose score is known.

Add Gaussian noise to the visible states. The more noise, the smaller the *signal* t, the ratio of
signal to noise:

    y = t v + sqrt(t) xi,       xi standard normal, v from the RBM;                      Eq. (7.2)

as a function of t, y is a Brownian motion with the drift v.

Bayes' rule gives p(v | y) ~ p(v) exp(y.v - t/2 sum_i v_i), since v_i^2 = v_i: the same RBM with
tilted fields

    a' = a + y - t/2,                                                                    Eq. (7.4)

so that the best guess of v given y, E[v | y], is the visible mean of an RBM. The density q of y and
its score are

    ln q(y) = ln Z(a') - ln Z(a) - |y|^2 / 2t - (N/2) ln(2 pi t),                        Eq. (7.6)
    grad ln q(y) = E[v | y] - y / t.                                                     Eq. (7.7)

Samples appear out of nothing, from t = 0 and y = 0 on, by

    dy = E[v | y] dt + dB,                                                               Eq. (7.8)

stochastic localisation. It is the reverse diffusion of x = e^-s v + sqrt(1 - e^-2s) xi in another
clock, t = 1 / (e^2s - 1) and x = y / sqrt(t (t + 1)), Eq. (7.5): the same paths (`diffusion_time`).
All that is approximate is the mean: `METHODS` has four ways to get it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from scipy.special import expit

from rbmkit import checks, kernels
from rbmkit.likelihood import all_states, exact_log_z
from rbmkit.mean_field import sweep
from rbmkit.model import RBM, softplus
from rbmkit.sampling import arranged, chunk_size, draw_seed, random_states, threads_for

METHODS = ("exact", "gibbs", "mean field", "tap")
# hidden units up to which the mean is exact: a sum over all h for every path and step
_ENUMERATED = 12
_WORK = 2**20  # paths x hidden states x pixels at a time


@dataclass(frozen=True, eq=False)
class Paths:
    """Where denoising paths are, one per row.

    Attributes
    ----------
    t : float
        The signal.
    y : (n, N) array
    mean : (n, N) array
        The posterior mean E[v | y], or its approximation: the best guess of the picture.
    """

    t: float
    y: np.ndarray
    mean: np.ndarray

    @property
    def v(self) -> np.ndarray:
        """(n, N) uint8: the likelier value of each pixel.

        At large t, where all pixels are decided, a sample of the model.
        """
        return (self.mean > 0.5).astype(np.uint8)


# ---------------------------------------------------------------- noise
def add_noise(v: np.ndarray, t: float, *, rng: int | np.random.Generator) -> np.ndarray:
    """y = t v + sqrt(t) xi for states v (n, N) of 0 and 1, at the signal t >= 0."""
    v = checks.binary(v, np.shape(v)[-1], "v")
    t = checks.nonnegative_float(t, "t")
    return t * v + np.sqrt(t) * checks.as_generator(rng).normal(size=v.shape)


def diffusion_time(t: float) -> float:
    """The time s = ln(1 + 1/t) / 2 of the diffusion x = e^-s v + sqrt(1 - e^-2s) xi.

    Then its signal, e^-2s / (1 - e^-2s), is t > 0.
    """
    return float(np.log1p(1 / checks.positive_float(t, "t")) / 2)


def schedule(steps: int = 200, *, first: float = 1e-3, last: float = 100.0) -> np.ndarray:
    """Signals of a path: 0, then `steps` values in equal ratios from `first` > 0 to `last`."""
    first = checks.positive_float(first, "first")
    steps = checks.positive_int(steps, "steps")
    return np.append(0, np.geomspace(first, last, steps))


# ---------------------------------------------------------------- the law of y
def tilted(rbm: RBM, y: np.ndarray, t: float) -> RBM:
    """The RBM whose law is p(v, h | y), Eq. (7.4); y is one noisy state (N,)."""
    checks.instance(rbm, RBM, "rbm")
    y = checks.real_array(y, (rbm.N,), "y")
    t = checks.nonnegative_float(t, "t")
    return RBM(rbm.W, _tilted_fields(rbm, y, t), rbm.b)


def _tilted_fields(rbm: RBM, y: np.ndarray, t: float) -> np.ndarray:
    """a' of Eq. (7.4), of the shape of y: (N,) or (n, N)."""
    return rbm.a + y - t / 2


def log_density(rbm: RBM, y: np.ndarray, t: float) -> float:
    """ln q(y) of one noisy state y (N,), exact, from two partition functions, Eq. (7.6)."""
    checks.instance(rbm, RBM, "rbm")
    y = checks.real_array(y, (rbm.N,), "y")
    t = checks.positive_float(t, "t")
    change = exact_log_z(tilted(rbm, y, t)) - exact_log_z(rbm)
    return float(change - y @ y / (2 * t) - rbm.N / 2 * np.log(2 * np.pi * t))


def exact_mean(rbm: RBM, y: np.ndarray, t: float) -> np.ndarray:
    """E[v | y] for noisy states y (n, N), by a sum over all hidden states: for M of at most 12.

    Returns
    -------
    (n, N) array

    Raises
    ------
    ValueError
        Too many hidden units; wrong shapes.
    """
    checks.instance(rbm, RBM, "rbm")
    y = checks.real_array(np.atleast_2d(y), (None, rbm.N), "y")
    t = checks.nonnegative_float(t, "t")
    if rbm.M > _ENUMERATED:
        raise ValueError(
            f"the exact mean needs at most {_ENUMERATED} hidden units, got {rbm.M}; "
            "use method='gibbs'"
        )
    h = all_states(rbm.M).astype(float)
    couplings = h @ rbm.W.T
    biases = h @ rbm.b
    fields = _tilted_fields(rbm, y, t)
    rows = max(1, _WORK // couplings.size)
    pieces = [fields[k : k + rows] for k in range(0, len(y), rows)]
    return np.concatenate([_mean_over(couplings, biases, piece) for piece in pieces])


def _mean_over(couplings: np.ndarray, biases: np.ndarray, fields: np.ndarray) -> np.ndarray:
    """Visible means (n, N) in the fields (n, N).

    `couplings` (states, N) is W h of all hidden states h, and `biases` (states,) their b.h.
    """
    on = fields[:, None] + couplings
    log_weight = biases + softplus(on).sum(axis=2)
    weight = np.exp(log_weight - log_weight.max(axis=1, keepdims=True))
    return np.einsum("ks,ksi->ki", weight, expit(on)) / weight.sum(axis=1, keepdims=True)


def score(rbm: RBM, y: np.ndarray, t: float) -> np.ndarray:
    """grad ln q(y), exact, for noisy states y (n, N), Eq. (7.7); returns (n, N)."""
    checks.instance(rbm, RBM, "rbm")
    t = checks.positive_float(t, "t")
    return exact_mean(rbm, y, t) - np.atleast_2d(y) / t


# ---------------------------------------------------------------- paths
def generate(rbm: RBM, paths: int | np.ndarray, **options) -> Paths:
    """The ends of denoising paths: `v` of the result are generated states.

    Arguments, and what they raise, are those of `denoise`.
    """
    checks.instance(rbm, RBM, "rbm")
    for state in denoise(rbm, paths, **options):
        last = state
    return last


def denoise(
    rbm: RBM,
    paths: int | np.ndarray,
    *,
    t: np.ndarray | None = None,
    method: str = "gibbs",
    steps: int = 2,
    warm_up: int = 100,
    rng: int | np.random.Generator,
) -> Iterator[Paths]:
    """Run paths of Eq. (7.8) from the first signal in `t` to the last.

    A step from t to t' is y += (t' - t) mean + sqrt(t' - t) xi.

    Parameters
    ----------
    rbm : RBM
    paths : int or (n, N) array
        Number of paths, from y = 0; or the noisy states y at the signal t[0], e.g. those of
        `add_noise`.
    t : (k,) array, optional
        Increasing signals, >= 0. Default: `schedule()`.
    method : {"exact", "gibbs", "mean field", "tap"}
        How E[v | y] is found: by enumeration; as an average over `steps` block Gibbs steps of a
        chain that goes along with its path; by `steps` sweeps of the mean-field equations of first
        or second order, from the last solution.
    steps, warm_up : int
        Steps or sweeps per signal, >= 1, and those before the first one, >= 0, of chains or
        solutions that start at random states.
    rng : int or Generator

    Yields
    ------
    Paths
        At each signal in `t`.

    Raises
    ------
    ValueError, TypeError
        Unknown method; signals that do not increase; wrong shapes; with the method "exact", too
        many hidden units.

    Notes
    -----
    The cost is that of n (warm_up + steps k) block Gibbs steps. Results do not depend on the number
    of threads.
    """
    checks.instance(rbm, RBM, "rbm")
    if method not in METHODS:
        raise ValueError(f"unknown method {method!r}; choose one of {', '.join(METHODS)}")
    t = schedule() if t is None else checks.real_array(t, (None,), "t")
    if t[0] < 0 or not (np.diff(t) > 0).all():
        raise ValueError("the signals t must increase, from 0 or more")
    steps = checks.positive_int(steps, "steps")
    warm_up = checks.integer(warm_up, "warm_up", least=0)
    rng = checks.as_generator(rng)
    y = _first_states(rbm, paths)
    mean = _estimator(rbm, len(y), method, rng)
    return _walk(y, t, mean, steps, warm_up, rng)


def _first_states(rbm: RBM, paths: int | np.ndarray) -> np.ndarray:
    """The noisy states (n, N) at which paths begin: zeros for a number of paths, or those given."""
    if isinstance(paths, int | np.integer):
        return np.zeros((checks.positive_int(paths, "paths"), rbm.N))
    return checks.real_array(np.atleast_2d(paths), (None, rbm.N), "paths")


def _walk(
    y: np.ndarray,
    t: np.ndarray,
    mean: Callable,
    steps: int,
    warm_up: int,
    rng: np.random.Generator,
) -> Iterator[Paths]:
    if warm_up:
        mean(y, t[0], warm_up)
    for now, then in zip(t, np.append(t[1:], np.nan)):
        guess = mean(y, now, steps)
        yield Paths(float(now), y, guess)
        wait = then - now
        y = y + wait * guess + np.sqrt(wait) * rng.normal(size=y.shape)


def _estimator(rbm: RBM, n: int, method: str, rng: np.random.Generator) -> Callable:
    """A function of y (n, N), the signal and a number of steps; it returns the mean (n, N)."""
    if method == "exact":
        return lambda y, t, steps: exact_mean(rbm, y, t)
    if method == "gibbs":
        return _Chains(rbm, n, rng)
    return _MeanField(rbm, n, 2 if method == "tap" else 1, rng)


class _Chains:
    """One Gibbs chain per path, which goes on from where it was when the fields change."""

    def __init__(self, rbm: RBM, n: int, rng: np.random.Generator):
        self.rbm = rbm
        self.model = arranged(rbm)
        self.seed = draw_seed(rng)
        self.step = 0
        self.v = random_states(n, rbm.N, rng)
        # padded, as the kernel wants it
        self.tilt = np.zeros((n, self.model.v.bias.size), np.float32)

    def __call__(self, y: np.ndarray, t: float, steps: int) -> np.ndarray:
        n = len(y)
        self.tilt[:, : self.rbm.N] = y - t / 2
        blocks = n, *self.model.v.bias.shape
        tilt = self.tilt.reshape(blocks)
        total = np.zeros(blocks, np.float32)
        layers = self.model.h, self.model.v
        clock = self.seed, self.step
        with threads_for(self.v.size * self.rbm.M * steps):
            kernels.tilted_gibbs(n, chunk_size(n), *layers, tilt, self.v, steps, *clock, total)
        self.step += steps
        return total.reshape(n, -1)[:, : self.rbm.N].astype(float) / steps


class _MeanField:
    """One solution of the mean-field equations per path, which follows the fields."""

    def __init__(self, rbm: RBM, n: int, order: int, rng: np.random.Generator):
        self.rbm = rbm
        self.order = order
        self.mean = rng.random((n, rbm.N))

    def __call__(self, y: np.ndarray, t: float, steps: int) -> np.ndarray:
        fields = _tilted_fields(self.rbm, y, t)
        self.mean = sweep(self.rbm, self.mean, fields=fields, order=self.order, sweeps=steps)
        return self.mean
