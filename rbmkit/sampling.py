"""Block Gibbs sampling: all hidden units at once given the visible ones, then all visible units given the hidden ones.

One step v -> h -> v draws h from Eq. (11) and v from its mirror image; it leaves the Boltzmann law of the RBM
unchanged. The work is done in `rbmkit.kernels`, whose head explains why there is no matrix product in it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numba
import numpy as np

from rbmkit import checks, kernels, machine
from rbmkit.model import RBM

_SHARED_WORK = 2**25  # chains x N x M below which one thread does it all: waking the others takes too long
_LARGEST_CHUNK = 256  # chains per task: enough to share the sums of a tile, few enough to fit beside them in the cache


@dataclass(frozen=True, eq=False)
class Chains:
    """States of Markov chains, one per row.

    Attributes
    ----------
    v : (n, N) uint8 array
    h : (n, M) uint8 array
    """

    v: np.ndarray
    h: np.ndarray


@dataclass(frozen=True, eq=False)
class Arranged:
    """An RBM as the kernels want it: W in blocks of columns for either direction, and padded fields, float32."""

    h: np.ndarray
    v: np.ndarray
    a: np.ndarray
    b: np.ndarray


def gibbs(
    rbm: RBM, start: np.ndarray | int, *, steps: int, rng: int | np.random.Generator, beta: float = 1.0
) -> Chains:
    """Run independent chains of block Gibbs sampling.

    Parameters
    ----------
    rbm : RBM
    start : (n, N) array of 0 and 1, or int
        Visible states to start from, or a number of chains that start from uniformly random hidden states.
    steps : int
        Number of block Gibbs steps, >= 1: v -> h -> v for visible starts, h -> v -> h for random hidden starts.
    rng : int or Generator
        Seed or generator; the same seed gives the same chains, however many threads there are.
    beta : float, optional
        Inverse temperature, >= 0.

    Returns
    -------
    Chains
        The states after the last step: `v` was drawn given `h`, or, for random hidden starts, `h` given `v`.

    Raises
    ------
    ValueError, TypeError
        `start` has the wrong width or other values than 0 and 1; `steps` < 1; `beta` negative.

    Notes
    -----
    Fields are summed in float32; probabilities below 2**-32 count as zero, and those above 1 - 2**-32 as one. The cost
    is proportional to n N M.
    """
    steps, beta = checks.positive_int(steps, "steps"), np.float32(checks.inverse_temperature(beta))
    rng = checks.as_generator(rng)
    seed, model = draw_seed(rng), arranged(rbm)
    if isinstance(start, int | np.integer):
        n = checks.positive_int(start, "start")
        v, h = np.empty((n, rbm.N), np.uint8), random_states(n, rbm.M, rng)
        with threads_for(n * rbm.N * rbm.M * steps):
            kernels.gibbs(model.v, model.a, model.h, model.b, h, v, steps, beta, seed, 0, chunk_size(n))
    else:
        v = checks.binary(start, rbm.N, "start").copy()
        h = np.empty((len(v), rbm.M), np.uint8)
        with threads_for(v.size * rbm.M * steps):
            kernels.gibbs(model.h, model.b, model.v, model.a, v, h, steps, beta, seed, 0, chunk_size(len(v)))
    return Chains(v, h)


def arranged(rbm: RBM) -> Arranged:
    """The kernels' form of an RBM, made on first use and kept with it (8 N M bytes: an RBM never changes)."""
    cached = rbm.__dict__.get("_arranged")
    if cached is None:
        if max(abs(part).max() for part in (rbm.W, rbm.a, rbm.b)) > np.finfo(np.float32).max:
            raise ValueError("parameters above 3e38 do not fit in the float32 numbers that are used for sampling")
        columns_h, columns_v = kernels.new_columns(rbm.N, rbm.M), kernels.new_columns(rbm.M, rbm.N)
        kernels.arrange(rbm.W.astype(np.float32), columns_h, columns_v)
        cached = Arranged(columns_h, columns_v, kernels.padded(rbm.a), kernels.padded(rbm.b))
        rbm.__dict__["_arranged"] = cached
    return cached


def chunk_size(n: int) -> int:
    """Chains per task: equal shares for all threads, at most 256 each."""
    threads = machine.threads()
    tasks = threads * -(-n // (threads * _LARGEST_CHUNK))
    return -(-n // tasks)


@contextmanager
def threads_for(work: int) -> Iterator[None]:
    """All threads, or one if `work` (chains x N x M) is too small to share; results are the same."""
    threads = machine.threads()
    numba.set_num_threads(threads if work > _SHARED_WORK else 1)
    try:
        yield
    finally:
        numba.set_num_threads(threads)


def draw_seed(rng: np.random.Generator) -> int:
    """A seed of 63 bits for the kernels' counter-based streams."""
    return int(rng.integers(2**63 - 1))


def random_states(n: int, width: int, rng: np.random.Generator) -> np.ndarray:
    """(n, width) uint8 states of independent fair coins."""
    return rng.integers(0, 2, size=(n, width), dtype=np.uint8)
