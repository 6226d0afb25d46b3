"""What differs from machine to machine: where compiled kernels are kept, threads, and fork.

CACHE. Compiled kernels are kept beside the source, or where NUMBA_CACHE_DIR says. Where nothing can be
written (a folder for reading only, a full disk) they are compiled anew in each session, and one warning
says so; a damaged file is made again.

THREADS. As many as NUMBA_NUM_THREADS or `numba.set_num_threads` say, else as many as the process may use:
a container often sees all processors of its machine and has the quota of one or two. Threads of OpenMP
that wait for work let others run, unless OMP_WAIT_POLICY says otherwise: two threads of which one turns in
circles while a third program works make a kernel slower than one thread alone.

FORK copies a process without its threads. A kernel called in such a copy would end it without a word and
leave the original waiting for ever; here it raises. numba's simplest layer, workqueue, stops the process
when two Python threads call kernels at once; here they take turns.
"""

from __future__ import annotations

import os
import pickle
import threading
import warnings
from collections.abc import Callable
from contextlib import nullcontext, suppress
from functools import cache, wraps

import numba
from numba.core.caching import FunctionCache, NullCache

_WAITS = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME")
_turns = threading.Lock()
_told: list[str] = []  # why compiled kernels cannot be kept
_forked = threading.Event()  # set in a process that is a copy without the threads of the original

if not any(name in os.environ for name in _WAITS):
    os.environ["OMP_WAIT_POLICY"] = "passive"  # read when the first kernel starts the threads


# ---- cache ----------------------------------------------------------------------------------------
class Cache(FunctionCache):
    """numba's files of compiled kernels; neither a full disk nor a damaged file stops the work."""

    def load_overload(self, sig, target_context):
        """The compiled kernel, or None if there is none that can be read."""
        try:
            return super().load_overload(sig, target_context)
        except Exception:  # what reading damaged bytes raises depends on the bytes
            with suppress(OSError):
                self.flush()
            return None

    def save_overload(self, sig, data):
        """Keep a compiled kernel, if that is possible."""
        try:
            super().save_overload(sig, data)
        except (OSError, EOFError, pickle.UnpicklingError) as error:
            _tell(str(error))


def _cache_of(function: Callable) -> Cache | NullCache:
    try:
        return Cache(function)
    except RuntimeError:
        _tell("no folder for them can be written")
        return NullCache()


def _tell(reason: str) -> None:
    """Warn once in a process."""
    if not _told:
        _told.append(reason)
        text = f"compiled kernels cannot be kept on disk ({reason}), so each session compiles them anew, "
        text += "for up to half a minute; set NUMBA_CACHE_DIR to a folder that you may write to"
        warnings.warn(text, RuntimeWarning, stacklevel=2)


def compiled(**options: object) -> Callable:
    """Decorator like `numba.njit`, with the cache of this module."""

    def decorate(function):
        kernel = numba.njit(**options)(function)
        if not numba.config.DISABLE_JIT:
            kernel._cache = _cache_of(function)
        return kernel

    return decorate


# ---- threads --------------------------------------------------------------------------------------
def threaded(**options: object) -> Callable:
    """Decorator like ``numba.njit(parallel=True)`` for kernels that are called from Python only."""

    def decorate(function):
        kernel = compiled(parallel=True, **options)(function)

        @wraps(function)
        def front(*args):
            threads()
            with _turns if numba.threading_layer() == "workqueue" else nullcontext():
                return kernel(*args)

        front.kernel = kernel
        return front

    return decorate


def threads() -> int:
    """Number of threads for a kernel: what the user set, else what the process may use; tells numba.

    Raises
    ------
    RuntimeError
        The process is a copy made by fork, or numba's compiler is switched off.
    """
    if _forked.is_set():
        raise RuntimeError(
            "this process was made by fork after rbmkit had started its threads, which fork does not "
            'copy: use multiprocessing.get_context("spawn"), joblib, or fork before the first computation'
        )
    if numba.config.DISABLE_JIT:
        raise RuntimeError("the kernels need numba's compiler: unset NUMBA_DISABLE_JIT")
    untouched = numba.get_num_threads() == numba.config.NUMBA_NUM_THREADS > _processors()
    if untouched and "NUMBA_NUM_THREADS" not in os.environ:
        numba.set_num_threads(_processors())  # numba keeps this number for each Python thread
    return numba.get_num_threads()


@cache
def _processors() -> int:
    """Processors that this process may use, by affinity and quota."""
    from joblib import cpu_count

    return cpu_count()


def _after_fork() -> None:
    with suppress(ValueError):  # no threads yet
        if numba.threading_layer() == "omp":
            _forked.set()


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_after_fork)
