"""Block Gibbs sampling: all hidden units at once given the visible ones, then all visible units
given the hidden ones.

One step v -> h -> v draws h from Eq. (11) and v from its mirror image; it leaves the Boltzmann law
of the RBM unchanged. The work is done in `rbmkit.kernels`, whose head explains why there is no
matrix product in it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numba
import numpy as np
from tqdm.auto import tqdm

from rbmkit import checks, kernels, machine
from rbmkit.model import RBM

# chains x N x M below which one thread does it all: waking the others takes too long
_SHARED_WORK = 2**25
_LARGEST_PIECE = 2**31  # chains x N x M x steps in one call of a kernel: about 0.1 s
# chains per task: enough to share the sums of a tile, few enough to fit beside them in the cache
_LARGEST_CHUNK = 256


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
    """An RBM as the kernels want it: W in blocks of columns for either direction, and padded
    fields, float32."""

    h: kernels.Layer
    v: kernels.Layer


def gibbs(
    rbm: RBM,
    start: np.ndarray | int,
    *,
    steps: int,
    rng: int | np.random.Generator,
    beta: float = 1.0,
    every: int | None = None,
    clamped: np.ndarray | None = None,
    progress: bool = False,
) -> Chains:
    """Run independent chains of block Gibbs sampling.

    Parameters
    ----------
    rbm : RBM
    start : (n, N) array of 0 and 1, or int
        Visible states to start from, or a number of chains that start from uniformly random hidden
        states.
    steps : int
        Number of block Gibbs steps, >= 1: v -> h -> v for visible starts, h -> v -> h for random
        hidden starts.
    rng : int or Generator
        Seed or generator; the same seed gives the same chains, however many threads there are.
    beta : float, optional
        Inverse temperature, >= 0.
    every : int, optional
        Keep the states after this many steps, after twice as many, ..., after `steps`, which it
        must divide.
    clamped : (N,) array of 0 and 1, optional
        1 for visible units that stay as they are in `start`: the others are sampled given these.
    progress : bool, optional
        Show a progress bar.

    Returns
    -------
    Chains
        The states after the last step: `v` was drawn given `h`, or, for random hidden starts, `h`
        given `v`. With `every`, the kept states (steps / every, n, N) and (steps / every, n, M).

    Raises
    ------
    ValueError, TypeError
        `start` has the wrong width or other values than 0 and 1; `steps` < 1; `beta` negative;
        `every` does not divide `steps`; `clamped` without visible states to start from.

    Notes
    -----
    Fields are summed in float32; probabilities below 2**-32 count as zero, and those above 1 -
    2**-32 as one. The cost is proportional to n N M. An interruption (Ctrl-C) is noticed between
    steps, within a fraction of a second.
    """
    checks.instance(rbm, RBM, "rbm")
    steps = checks.positive_int(steps, "steps")
    beta = np.float32(checks.inverse_temperature(beta))
    every = every if every is None else checks.positive_int(every, "every")
    if steps % (every or 1):
        raise ValueError(f"every must divide steps, got every = {every} and steps = {steps}")
    rng = checks.as_generator(rng)
    seed = draw_seed(rng)
    model = arranged(rbm)
    options = {"beta": beta, "seed": seed, "every": every, "progress": progress}
    if isinstance(start, int | np.integer):
        if clamped is not None:
            raise ValueError(
                "clamped needs visible states to start from: give start as an (n, N) array, not a "
                "number"
            )
        n = checks.positive_int(start, "start")
        v, h = np.empty((n, rbm.N), np.uint8), random_states(n, rbm.M, rng)
        h, v = _run(model.v, model.h, h, v, steps, **options)
    else:
        v = checks.binary(start, rbm.N, "start").copy()
        h = np.empty((len(v), rbm.M), np.uint8)
        held = None if clamped is None else _packed_mask(clamped, rbm.N)
        v, h = _run(model.h, model.v, v, h, steps, held=held, **options)
    return Chains(v, h)


def _run(hidden, visible, v, h, steps, *, beta, seed, every, progress, held=None):
    """Final or kept states of v and h: `steps` in calls of the kernel that end where states are
    kept, or earlier."""
    stretch, mask = every or steps, kernels.hold_none(visible) if held is None else held
    kept = [np.empty((steps // stretch, *x.shape), np.uint8) for x in (v, h)] if every else None
    with tqdm(total=steps, disable=not progress, desc="Gibbs sampling", unit="step") as bar:
        for row, first in enumerate(range(0, steps, stretch)):
            for step0, part in pieces(stretch, len(v), v.shape[1], h.shape[1]):
                how = part, beta, seed, first + step0, mask
                with threads_for(v.size * h.shape[1] * part):
                    kernels.gibbs(len(v), chunk_size(len(v)), hidden, visible, v, h, *how)
                bar.update(part)
            if kept:
                kept[0][row] = v
                kept[1][row] = h
    return kept or (v, h)


def pieces(steps: int, n: int, N: int, M: int) -> Iterator[tuple[int, int]]:
    """(first, number) of steps of n chains that add up to `steps`, each a fraction of a second of
    work.

    Python sees an interruption (Ctrl-C) only between calls of kernels. The numbers drawn do not
    depend on the pieces.
    """
    # small layers cost their draws, not their couplings
    work = n * (N + kernels.BLOCK) * (M + kernels.BLOCK)
    part = max(1, _LARGEST_PIECE // work)
    return ((first, min(part, steps - first)) for first in range(0, steps, part))


def _packed_mask(clamped: np.ndarray, N: int) -> np.ndarray:
    """One bit per visible unit, in numbers of four, as the kernels pack states."""
    clamped = checks.binary(clamped, N, "clamped")
    if len(clamped) > 1:
        raise ValueError(
            f"clamped must have shape ({N},), one mask for all chains, got {clamped.shape}"
        )
    bits = np.zeros(kernels.blocks_of(N) * kernels.BLOCK, np.uint8)
    bits[:N] = clamped[0]
    return (bits.reshape(-1, kernels.GROUP) << np.arange(kernels.GROUP, dtype=np.uint8)).sum(
        axis=1, dtype=np.uint8
    )


def arranged(rbm: RBM) -> Arranged:
    """The kernels' form of an RBM, made on first use and kept with it (8 N M bytes: an RBM never
    changes)."""
    checks.instance(rbm, RBM, "rbm")
    cached = rbm.__dict__.get("_arranged")
    if cached is None:
        _check_range(rbm)
        columns_h = kernels.new_columns(rbm.N, rbm.M)
        columns_v = kernels.new_columns(rbm.M, rbm.N)
        kernels.arrange(rbm.W.astype(np.float32), columns_h, columns_v)
        cached = Arranged(kernels.layer(columns_h, rbm.b), kernels.layer(columns_v, rbm.a))
        rbm.__dict__["_arranged"] = cached
    return cached


def _check_range(rbm: RBM) -> None:
    """The largest fields that states can give fit into float32, with room for their sum over a
    block of units."""
    with np.errstate(over="ignore"):
        largest = max(
            (abs(bias) + abs(rbm.W).sum(axis=axis)).max() for axis, bias in ((1, rbm.a), (0, rbm.b))
        )
    if not largest < np.finfo(np.float32).max / kernels.BLOCK:
        raise ValueError(
            f"fields reach {largest:.1e}: above 5e36 they do not fit into the float32 sums of "
            "sampling"
        )


def chunk_size(n: int) -> int:
    """Chains per task: equal shares for all threads, at most 256 each."""
    threads = machine.threads()
    tasks = threads * -(-n // (threads * _LARGEST_CHUNK))
    return -(-n // tasks)


@contextmanager
def threads_for(work: int) -> Iterator[None]:
    """All threads, or one if `work` (chains x N x M) is too small to share; results are the
    same."""
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
