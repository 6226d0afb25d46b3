"""How likely are the data? ln Z exactly, or between a lower and an upper bound.

The log-likelihood of a state is ln p(v) = -F(v) - ln Z: the free energy is cheap, the partition
function is not.

* `exact_log_z` enumerates the smaller layer.
* `ais`, annealed importance sampling (Neal 2001; Salakhutdinov and Murray 2008, the paper's Ref.
  32): Z_hat is unbiased, so ln Z_hat lies below ln Z on average (Jensen), and the likelihood that
  it gives is too high. Few temperatures flatter a model.
* `reverse_ais` anneals samples of the model the other way: ln Z from above, if the samples are in
  equilibrium.
* `raise_bound` (Burda, Grosse and Salakhutdinov 2015, Ref. 33) anneals the test examples
  themselves: below the likelihood of the annealed model on average, with no samples of the model.

Annealing goes through p*_t(v) = exp((1 - t) a0.v + t a.v) prod_j (1 + exp(t (b_j + v.W_j))), from
independent pixels with fields a0 at t = 0, whose Z is known, to the model at t = 1.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numba
import numpy as np
from scipy.special import expit, logsumexp
from tqdm.auto import tqdm

from rbmkit import checks, kernels
from rbmkit.model import RBM, pixel_fields, softplus
from rbmkit.sampling import arranged, chunk_size, draw_seed, gibbs, pieces, threads_for

_LARGEST_LAYER = 32  # units of the layer to enumerate: 2^32 states take minutes
_LARGEST_TABLE = 20  # units of the layer to enumerate for moments, whose states are held in memory
# factors of the enumeration in one call of a kernel, for each thread: less than a second
_LARGEST_PIECE = 2**28
_BLOCK = 2**22  # numbers in one work array (32 MB)
# nats: annealing warns if float32 may lose more; what it does lose is some times less
_LARGEST_ROUNDING = 0.5
# the base model keeps its pixel means this far from 0 and 1, so that it covers the model
_MEAN_MARGIN = 0.01


@dataclass(frozen=True, eq=False)
class Estimate:
    """An estimate of a logarithm ln x from weights w with mean x.

    Attributes
    ----------
    value : float or (n,) array
        Estimate of ln x, in nats.
    stderr : float or (n,) array
        Its standard error, from the variance of the weights (delta method); too small where not
        `trusted`.
    ess : float or (n,) array
        Effective sample size (sum w)^2 / sum w^2: how many weights the mean really rests on.
    log_weights : (chains,) or (n, chains) array
    """

    value: float | np.ndarray
    stderr: float | np.ndarray
    ess: float | np.ndarray
    log_weights: np.ndarray

    @property
    def trusted(self) -> bool | np.ndarray:
        """Whether enough weights carry the mean for `stderr` to mean what it says: ess >= 3
        sqrt(n), or 2 n / 3.

        If the logarithms of 100 weights are normal and ess is about 20, 10 and 5, estimates are off
        by more than three standard errors in 4, 9 and 30 % of cases, nearly always too low: the
        large weights were not drawn. A larger ess is no proof, as it is made of those that were.
        """
        n = self.log_weights.shape[-1]
        return self.ess >= min(3 * np.sqrt(n), 2 * n / 3)

    def __str__(self) -> str:
        n = self.log_weights.shape[-1]
        doubt = np.size(self.trusted) - np.count_nonzero(self.trusted)
        if np.ndim(self.value):
            values = f"{np.min(self.value):.2f} to {np.max(self.value):.2f}"
            sizes = (
                f"effective sample sizes {np.min(self.ess):.1f} to {np.max(self.ess):.1f} of {n}"
            )
            text = f"{len(self.value)} values from {values} ({sizes})"
            warning = f"; {doubt} error bars cannot be trusted: few weights carry the mean"
        else:
            size = f"effective sample size {self.ess:.1f} of {n}"
            text = f"{self.value:.2f} +- {self.stderr:.2g} ({size})"
            warning = "; the error bar cannot be trusted: few weights carry the mean"
        return text + warning if doubt else text

    def __repr__(self) -> str:
        return f"Estimate({self})"


@dataclass(frozen=True, eq=False)
class Moments:
    """Exact averages over p(v, h).

    Attributes
    ----------
    v : (N,) array, <v_i>
    h : (M,) array, <h_j>
    vh : (N, M) array, <v_i h_j>
    """

    v: np.ndarray
    h: np.ndarray
    vh: np.ndarray


# ---- exact ---------------------------------------------------------------------------------------
def all_states(n: int) -> np.ndarray:
    """All 2^n states of n units, (2^n, n) uint8; row k holds the binary digits of k, the lowest
    first."""
    n = checks.positive_int(n, "n")
    if n > _LARGEST_TABLE:
        raise ValueError(
            f"2^{n} states do not fit in memory; at most n = {_LARGEST_TABLE} units can be listed"
        )
    return _states(n)


def exact_log_z(rbm: RBM, *, beta: float = 1.0, progress: bool = False) -> float:
    """ln Z = ln sum_h exp(beta b.h) prod_i (1 + exp(beta (a_i + W_i.h))), over the states of the
    smaller layer, Eq. (2).

    Parameters
    ----------
    rbm : RBM
        With at most 32 units in the smaller layer; time doubles with each unit (784 x 20: a
        fraction of a second).
    beta : float, optional
        Inverse temperature, >= 0.
    progress : bool, optional
        Show a progress bar (32 units take minutes).

    Returns
    -------
    float
        ln Z in nats, in double precision.

    Raises
    ------
    ValueError
        The smaller layer is too large, or a field may exceed 700 (exp overflows): lower beta.
    """
    checks.instance(rbm, RBM, "rbm")
    beta = checks.inverse_temperature(beta)
    W, a, b = (rbm.W, rbm.a, rbm.b) if rbm.M <= rbm.N else (rbm.W.T, rbm.b, rbm.a)
    W = beta * W
    a = beta * a
    b = beta * b
    m = len(b)
    if m > _LARGEST_LAYER:
        raise ValueError(
            f"the smaller layer has {m} units; 2^{m} states are too many, use ais() for more than "
            "32 units"
        )
    largest = float((np.abs(a) + np.abs(W).sum(axis=1)).max())
    if largest > 700:
        raise ValueError(
            f"fields reach {largest:.0f}, and exp overflows above 700; use a smaller beta or ais()"
        )
    low = min(m, 6)
    middle = min(m - low, max(7, (m - low) // 2))  # two tables of similar size, in memory at once
    parts = [slice(0, low), slice(low, low + middle), slice(low + middle, m)]
    states = [_states(part.stop - part.start) for part in parts]
    B, A_mid, A_high = (np.exp(s @ W[:, part].T) for s, part in zip(states, parts, strict=True))
    c_low, c_mid, c_high = (s @ b[part] for s, part in zip(states, parts, strict=True))
    fill = kernels.LOW - len(B)  # fewer than 6 units: fill up with states of weight zero
    B = np.pad(B, ((0, fill), (0, 0)), constant_values=1.0)
    c_low = np.pad(c_low, (0, fill), constant_values=-np.inf)
    every = max(1, int(700 / (largest + np.log(2))))
    return float(
        _log_sum(
            A_high * np.exp(a),
            A_mid,
            np.ascontiguousarray(B.T),
            c_high,
            c_mid,
            c_low,
            every,
            progress,
        )
    )


def _log_sum(A_high, A_mid, B_low, c_high, c_mid, c_low, every: int, progress: bool) -> float:
    """Sum over all states by `kernels.log_sums`, in calls of at most about a second."""
    out = np.empty((len(A_high), len(A_mid)))
    # states of the middle bits in a call, for each thread
    width = max(1, _LARGEST_PIECE // B_low.size)
    height = numba.get_num_threads() * max(1, width // len(A_mid))
    corners = [(i, j) for i in range(0, len(A_high), height) for j in range(0, len(A_mid), width)]
    for i, j in tqdm(corners, disable=not progress, desc="enumerating"):
        high = slice(i, i + height)
        middle = slice(j, j + width)
        part = np.empty(out[high, middle].shape)
        factors, terms = (A_high[high], A_mid[middle]), (c_high[high], c_mid[middle])
        kernels.log_sums(len(part), 1, *factors, B_low, *terms, c_low, every, part)
        out[high, middle] = part
    return logsumexp(out)


def exact_moments(rbm: RBM, *, beta: float = 1.0) -> Moments:
    """Exact <v>, <h> and <v h> by enumeration of the smaller layer (at most 20 units), Eq. (8)."""
    checks.instance(rbm, RBM, "rbm")
    beta = checks.inverse_temperature(beta)
    flip = rbm.M > rbm.N
    W, a, b = (rbm.W.T, rbm.b, rbm.a) if flip else (rbm.W, rbm.a, rbm.b)
    h = all_states(len(b))
    blocks = np.array_split(h, -(-len(h) * len(a) // _BLOCK))
    log_weight = np.concatenate(
        [beta * (x @ b) + softplus(beta * (a + x @ W.T)).sum(axis=1) for x in blocks]
    )
    p = np.exp(log_weight - logsumexp(log_weight))
    v_mean = np.zeros(len(a))
    vh = np.zeros(W.shape)
    for x, weight in zip(blocks, np.array_split(p, len(blocks)), strict=True):
        v = expit(beta * (a + x @ W.T)) * weight[:, None]
        v_mean += v.sum(axis=0)
        vh += v.T @ x
    h_mean = p @ h
    return Moments(h_mean, v_mean, vh.T) if flip else Moments(v_mean, h_mean, vh)


def log_likelihood(rbm: RBM, v: np.ndarray, log_z: float) -> float:
    """Mean of ln p(v) = -F(v) - ln Z over the rows of `v` (n, N), in nats per example, given ln
    Z at beta = 1."""
    checks.instance(rbm, RBM, "rbm")
    return float(-rbm.free_energy(v).mean() - checks.real(log_z, "log_z"))


def pseudo_likelihood(rbm: RBM, v: np.ndarray, *, progress: bool = False) -> float:
    """Mean over examples of sum_i ln p(v_i | all other v), in nats; needs no Z. Cost n N M
    exponentials.

    p(v_i | rest) = sigma(F(v with v_i flipped) - F(v)). With `progress`, a progress bar is shown:
    10,000 digits and 500 hidden units take minutes.
    """
    checks.instance(rbm, RBM, "rbm")
    v = checks.binary(v, rbm.N, "v")
    total = 0.0
    for row in tqdm(v, disable=not progress, desc="pseudo-likelihood", unit="example"):
        row = row.astype(float)
        field = rbm.b + row @ rbm.W
        flip = 1 - 2 * row  # the change of v_i
        change = -flip * rbm.a - (softplus(field + flip[:, None] * rbm.W) - softplus(field)).sum(
            axis=1
        )
        total -= softplus(-change).sum()
    return total / len(v)


# ---- annealing -----------------------------------------------------------------------------------
def ais(
    rbm: RBM,
    *,
    chains: int,
    temperatures: int | np.ndarray,
    rng: int | np.random.Generator,
    pixel_means: np.ndarray | None = None,
    progress: bool = False,
) -> Estimate:
    """ln Z by annealed importance sampling: on average below ln Z (a stochastic lower bound).

    Parameters
    ----------
    rbm : RBM
    chains : int
        Number of independent annealing runs.
    temperatures : int or array
        Number of equal intervals of t from 0 to 1, or the increasing values of t themselves, 0 and
        1 included.
    rng : int or Generator
    pixel_means : (N,) array, optional
        Means of the independent pixels of the base model, e.g. those of the data (lower variance);
        kept within [0.01, 0.99]. Default: 1/2.
    progress : bool, optional
        Show a progress bar.

    Returns
    -------
    Estimate
        Of ln Z at beta = 1 (for another beta, anneal an RBM with scaled parameters).
    """
    checks.instance(rbm, RBM, "rbm")
    n = checks.positive_int(chains, "chains")
    rng = checks.as_generator(rng)
    a0 = _base_fields(rbm, pixel_means)
    t = _schedule(temperatures)
    v = (rng.random((n, rbm.N)) < expit(a0)).astype(np.uint8)
    log_w = _anneal(rbm, v, a0, t, rng, progress)
    return _mean_weight(_base_log_z(rbm, a0) + log_w)


def reverse_ais(
    rbm: RBM,
    samples: np.ndarray,
    *,
    temperatures: int | np.ndarray,
    rng: int | np.random.Generator,
    pixel_means: np.ndarray | None = None,
    progress: bool = False,
) -> Estimate:
    """ln Z by annealing samples of the model back to the base: on average above ln Z (a stochastic
    upper bound).

    Parameters
    ----------
    rbm : RBM
    samples : (n, N) array of 0 and 1
        Equilibrium samples of the model at beta = 1. With samples from chains that are stuck the
        result is no bound.
    temperatures, rng, pixel_means, progress
        As in `ais`.

    Returns
    -------
    Estimate
        Of ln Z; `log_weights` are those of 1 / Z.
    """
    checks.instance(rbm, RBM, "rbm")
    v = checks.binary(samples, rbm.N, "samples").copy()
    rng = checks.as_generator(rng)
    a0 = _base_fields(rbm, pixel_means)
    t = _schedule(temperatures)
    inverse = _mean_weight(_anneal(rbm, v, a0, t[::-1], rng, progress) - _base_log_z(rbm, a0))
    return Estimate(-inverse.value, inverse.stderr, inverse.ess, inverse.log_weights)


def raise_bound(
    rbm: RBM,
    v: np.ndarray,
    *,
    chains: int,
    temperatures: int | np.ndarray,
    rng: int | np.random.Generator,
    pixel_means: np.ndarray | None = None,
    progress: bool = False,
) -> Estimate:
    """ln p(v) of each example by the reverse AIS estimator (RAISE): on average below, for the
    annealed model.

    The annealed model draws from the base and takes one block Gibbs step at each temperature up to
    t = 1; with many temperatures it is the RBM. The estimate starts `chains` reverse runs at each
    example and needs no samples of the model.

    Parameters
    ----------
    rbm : RBM
    v : (n, N) array of 0 and 1
        Examples.
    chains : int
        Reverse runs for each example.
    temperatures, rng, pixel_means, progress
        As in `ais`.

    Returns
    -------
    Estimate
        `value` (n,): estimates of ln p(v), in nats.
    """
    checks.instance(rbm, RBM, "rbm")
    v = checks.binary(v, rbm.N, "v")
    n = checks.positive_int(chains, "chains")
    rng = checks.as_generator(rng)
    a0 = _base_fields(rbm, pixel_means)
    t = _schedule(temperatures)
    runs = gibbs(rbm, np.repeat(v, n, axis=0), steps=1, rng=rng).v
    log_w = _anneal(rbm, runs, a0, t[::-1], rng, progress).reshape(len(v), n)
    return _mean_weight(log_w - rbm.free_energy(v)[:, None] - _base_log_z(rbm, a0))


def _anneal(
    rbm: RBM, v: np.ndarray, a0: np.ndarray, t: np.ndarray, rng: np.random.Generator, progress: bool
):
    """Log weights (n,) of runs through the values `t`, from states v (n, N), which are moved."""
    model = arranged(rbm)
    seed = draw_seed(rng)
    log_w = np.zeros(len(v))
    _warn_of_rounding(rbm)
    base = kernels.padded(a0).ravel()
    layers = model.h, kernels.layer(model.v.columns, rbm.a - a0)
    with tqdm(total=len(t) - 1, disable=not progress, desc="annealing", unit="temperature") as bar:
        for k, part in pieces(len(t) - 1, len(v), rbm.N, rbm.M):
            stretch = np.ascontiguousarray(t[k : k + part + 1])
            with threads_for(v.size * rbm.M * len(stretch)):
                kernels.anneal(
                    len(v), chunk_size(len(v)), *layers, base, v, stretch, seed, k, log_w
                )
            bar.update(part)
    return log_w


def _warn_of_rounding(rbm: RBM) -> None:
    """Hidden fields are added up in float32, whose rounding is a fraction 2^-24 of the sum."""
    error = 2.0**-24 * (np.abs(rbm.b).sum() + np.abs(rbm.W).sum())
    if error > _LARGEST_ROUNDING:
        warnings.warn(
            f"fields are so large that annealing, in float32, may be off by {error:.2g} nats; "
            "its error bar does not know of this",
            stacklevel=4,
        )


def _mean_weight(log_w: np.ndarray) -> Estimate:
    """ln of the mean of weights along the last axis, with its standard error and effective
    sample size."""
    n = log_w.shape[-1]
    total = logsumexp(log_w, axis=-1)
    ess = np.exp(2 * total - logsumexp(2 * log_w, axis=-1))
    stderr = np.sqrt(np.maximum(n / ess - 1, 0) / (n - 1)) if n > 1 else np.full_like(total, np.nan)
    return Estimate(total - np.log(n), stderr, ess, log_w)


def _base_fields(rbm: RBM, pixel_means: np.ndarray | None) -> np.ndarray:
    if pixel_means is None:
        return np.zeros(rbm.N)
    return pixel_fields(pixel_means, rbm.N, margin=_MEAN_MARGIN)


def _base_log_z(rbm: RBM, a0: np.ndarray) -> float:
    return float(softplus(a0).sum() + rbm.M * np.log(2))


def _schedule(temperatures: int | np.ndarray) -> np.ndarray:
    if isinstance(temperatures, int | np.integer):
        return np.linspace(0, 1, checks.positive_int(temperatures, "temperatures") + 1)
    t = checks.real_array(temperatures, (None,), "temperatures")
    if len(t) < 2 or t[0] != 0 or t[-1] != 1 or not (np.diff(t) > 0).all():
        raise ValueError(
            "temperatures must be a number of intervals or increasing values that start at 0 and "
            "end at 1"
        )
    return t


def _states(n: int) -> np.ndarray:
    return (np.arange(2**n)[:, None] >> np.arange(n) & 1).astype(np.uint8)
