"""What differs from machine to machine: where compiled kernels are kept, threads, and fork.

CACHE. Compiled kernels are kept beside the source, or where NUMBA_CACHE_DIR says. Where nothing can
be written (a folder for reading only, a full disk) they are compiled anew in each session, and one
warning says so; a damaged file is made again.

THREADS. As many as NUMBA_NUM_THREADS or `numba.set_num_threads` say, else as many as the process
may use: a container often sees all processors of its machine and has the quota of one or two. The
threads are those of Python: kernels run without its lock, and share their tasks, so that a thread
that comes late, because other programs keep the processors busy, finds less to do. Threads that
have nothing to do sleep.

FORK copies a process without its threads; the copy starts its own when it first calls a kernel.
"""

from __future__ import annotations

import os
import pickle
import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import suppress
from functools import cache, partial, wraps
from pathlib import Path

import numba
from numba.core.caching import FunctionCache, NullCache

_told: list[str] = []  # why compiled kernels cannot be kept


# ---- cache ------------------------------------------------------------------------------------
class Cache(FunctionCache):
    """numba's files of compiled kernels; neither a full disk nor a damaged file stops the work.

    A kernel contains others, of other files of its folder: when one of them changes all are
    compiled again."""

    def __init__(self, function: Callable):
        super().__init__(function)
        folder = Path(function.__code__.co_filename).parent
        states = [(path.name, path.stat()) for path in sorted(folder.glob("*.py"))]
        stamp = tuple((name, state.st_mtime, state.st_size) for name, state in states)
        self._cache_file._source_stamp = stamp

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
        text = f"compiled kernels cannot be kept on disk ({reason}), so each session compiles "
        text += "them, for up to a quarter of a minute; set NUMBA_CACHE_DIR to a folder that you "
        text += "may write to"
        warnings.warn(text, RuntimeWarning, stacklevel=2)


def compiled(**options: object) -> Callable:
    """Decorator like `numba.njit`, with the cache of this module."""

    def decorate(function):
        kernel = numba.njit(**options)(function)
        if not numba.config.DISABLE_JIT:
            kernel._cache = _cache_of(function)
        return kernel

    return decorate


# ---- threads ----------------------------------------------------------------------------------
def threaded(**options: object) -> Callable:
    """Decorator for kernels that are called from Python only, and whose first arguments are a range
    of tasks.

    Where ``kernel(first, last, ...)`` is defined, ``kernel(n, chunk, ...)`` is called: n things
    (chains, blocks) in chunks, on all threads; None means equal shares. ``kernel.tasks(n, chunk,
    ...)`` are the calls alone, to be shared together with those of other kernels."""

    def decorate(function):
        kernel = compiled(**options | {"nogil": True})(function)

        def tasks(n, chunk, *args):
            chunk = chunk or -(-n // threads())
            return [partial(kernel, k, min(n, k + chunk), *args) for k in range(0, n, chunk)]

        @wraps(function)
        def front(*args):
            share(tasks(*args))

        front.kernel, front.tasks = kernel, tasks
        return front

    return decorate


def share(tasks: Sequence[Callable[[], None]]) -> None:
    """Call all tasks, on all threads; whoever is free takes the next.

    The calling thread sleeps meanwhile. (If it took part, the system could leave the thread that it
    has just woken waiting for its own processor.)"""
    left = iter(tasks)

    def work():
        for task in left:
            task()

    if (many := min(threads(), len(tasks))) == 1:
        return work()
    running = [_pool().submit(work) for _ in range(many)]
    try:
        errors = [one.exception() for one in running]
    finally:
        wait(running)  # also after Ctrl+C: arrays are written until then
    for error in filter(None, errors):
        raise error


@cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(numba.config.NUMBA_NUM_THREADS, thread_name_prefix="rbmkit")


def threads() -> int:
    """Number of threads for a kernel: what the user set, else what the process may use; tells
    numba.

    Raises
    ------
    RuntimeError
        numba's compiler is switched off.
    """
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


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_pool.cache_clear)
