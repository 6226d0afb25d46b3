"""Block Gibbs sampling, mode by mode: how fast it should relax, by linear response, and how fast
it does."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rbmkit import checks
from rbmkit.mean_field import response
from rbmkit.model import RBM
from rbmkit.sampling import gibbs

_BLOCKS = 20  # of chains, for the jackknife errors
_ZERO = 1e-12  # relative size below which a fluctuation is rounding


@dataclass(frozen=True, eq=False)
class Dressed:
    """Modes of the linear map that one block Gibbs step is on average; made by `dressed`.

    Attributes
    ----------
    s : (K,) array
        Singular values of beta sqrt(g_v) W sqrt(g_h); deviations decay by s^2 per step, and s > 1
        is unstable.
    vectors : (N, K) array
        The projections ``v @ vectors`` that decay so, one per column.
    """

    s: np.ndarray
    vectors: np.ndarray


def dressed(rbm: RBM, gain_v: np.ndarray, gain_h: np.ndarray, *, beta: float = 1.0) -> Dressed:
    """Modes of block Gibbs sampling, linearised: <dh> = g_h beta W^T dv and <dv> = g_v beta W dh.

    The gain of a unit is the slope of its mean against its field. At a mean-field solution it is m
    (1 - m); at m = 1/2 it is 1/4, and s = beta lambda / 4. In a fluctuating field it is the average
    of p (1 - p) over the conditional probabilities p, which is smaller.

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
    gains = [
        checks.real_array(g, (n,), name)
        for g, n, name in ((gain_v, rbm.N, "gain_v"), (gain_h, rbm.M, "gain_h"))
    ]
    if any(g.min() < 0 or g.max() > 0.25 for g in gains):
        raise ValueError("gains must lie between 0 and 1/4: they are averages of p (1 - p)")
    A = response(rbm, *gains, checks.inverse_temperature(beta))
    left, s, _ = np.linalg.svd(A, full_matrices=False)
    root_v = np.sqrt(gains[0])
    return Dressed(
        s, left * np.divide(1, root_v, where=root_v > 1e-6, out=np.zeros(rbm.N))[:, None]
    )


@dataclass(frozen=True, eq=False)
class Relaxation:
    """Autocorrelation of projections of v in block Gibbs sampling; made by `relaxation`.

    Attributes
    ----------
    correlation, stderr : (lags + 1, K) arrays
        Against the number of steps, and its jackknife standard error over groups of chains.
    time, time_stderr : (K,) arrays
        Integrated autocorrelation time 1/2 + sum of the correlation from lag 1, in steps; summed to
        five times its own length. NaN where `lags` is too short for that.
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
        E.g. the modes ``modes(rbm).U``. The projections of all steps are kept: 8 (steps + 1) n K
        bytes.
    steps : int
        Block Gibbs steps; all pairs of times within them are used.
    lags : int
        Largest lag, <= steps.
    rng : int or Generator
    beta : float, optional

    Raises
    ------
    ValueError
        More lags than steps, fewer than 20 chains, or a projection that never varies and so has no
        correlation.
    """
    checks.instance(rbm, RBM, "rbm")
    v = checks.binary(start, rbm.N, "start")
    vectors = checks.real_array(vectors, (rbm.N, None), "vectors")
    steps = checks.positive_int(steps, "steps")
    lags = checks.positive_int(lags, "lags")
    rng = checks.as_generator(rng)
    if lags > steps or len(v) < _BLOCKS:
        raise ValueError(
            f"lags must be at most steps, and chains at least {_BLOCKS}; got {lags}, {steps}, "
            f"{len(v)}"
        )
    x = np.empty((steps + 1, len(v), vectors.shape[1]))
    for t in range(steps + 1):
        x[t] = v.astype(np.float64) @ vectors
        v = gibbs(rbm, v, steps=1, rng=rng, beta=beta).v if t < steps else v
    x -= x.mean(axis=(0, 1))
    still = np.flatnonzero(np.abs(x).max(axis=(0, 1)) <= _ZERO * np.abs(vectors).sum(axis=0))
    if len(still):
        raise ValueError(
            f"the projections on the columns {still[:5]} of vectors never vary: leave them out"
        )
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
    """Sums over chains of x (T + 1, n, K): products at each lag and x itself, averaged over
    times; number of chains."""
    origins = len(x) - np.arange(lags + 1)
    products = [
        np.einsum("tck,tck->k", x[: origins[t]], x[t:]) / origins[t] for t in range(lags + 1)
    ]
    return np.array([*products, x.mean(axis=0).sum(axis=0), np.full(x.shape[2], x.shape[1])])


def _correlation(sums: np.ndarray) -> np.ndarray:
    """Autocorrelation (..., lags + 1, K) from sums of `_lagged` (..., lags + 3, K)."""
    covariance = (
        sums[..., :-2, :] / sums[..., -1:, :] - (sums[..., -2:-1, :] / sums[..., -1:, :]) ** 2
    )
    return covariance / covariance[..., :1, :]


def _integrated_time(correlation: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Integrated time, with the window that ends where it is five times the sum; NaN if none
    does."""
    running = np.cumsum(correlation, axis=0) - 0.5
    ends = np.arange(len(running))[:, None] >= np.maximum(5 * running, 1)
    window = np.where(ends.any(axis=0), ends.argmax(axis=0), len(running))
    time = np.take_along_axis(running, np.minimum(window, len(running) - 1)[None], axis=0)[0]
    return np.where(ends.any(axis=0), time, np.nan), window
