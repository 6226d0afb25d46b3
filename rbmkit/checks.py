"""Checks at the front door: every public function calls these first and the code behind it trusts
its input.

Private helpers, shared by all modules. Each raises one ``ValueError`` or ``TypeError`` whose
sentence says what was wrong and, where there is something to do, what to do.
"""

from __future__ import annotations

import math
import operator

import numpy as np


# ---------------------------------------------------------------- numbers
def as_generator(rng: int | np.random.Generator) -> np.random.Generator:
    """A Generator as it is; a non-negative integer as the seed of a new one. ``None`` is
    refused: no hidden state."""
    if isinstance(rng, np.random.Generator):
        return rng
    try:
        seed = _integer(rng)
    except TypeError:
        raise TypeError(
            f"rng must be an integer seed or a numpy Generator, not {type(rng).__name__}"
        ) from None
    if seed < 0:
        raise ValueError(f"rng as a seed must be >= 0, got {seed}")
    return np.random.default_rng(seed)


def integer(value: int, name: str, *, least: int) -> int:
    """An integer ``>= least`` (Python or NumPy; floats and booleans are refused)."""
    try:
        value = _integer(value)
    except TypeError:
        raise TypeError(
            f"{name} must be an integer, not {type(value).__name__} ({value!r})"
        ) from None
    if value < least:
        raise ValueError(f"{name} must be an integer >= {least}, got {value}")
    return value


def positive_int(value: int, name: str) -> int:
    """An integer of at least 1."""
    return integer(value, name, least=1)


def real(value: float, name: str) -> float:
    """A finite real number as a Python float."""
    try:
        if isinstance(value, (str, bytes, bool, np.bool_)):
            raise TypeError
        number = float(value)
    except (TypeError, ValueError):
        raise TypeError(
            f"{name} must be a real number, not {type(value).__name__} ({value!r})"
        ) from None
    if not math.isfinite(number):
        raise ValueError(f"{name} must be finite, got {number}")
    return number


def positive_float(value: float, name: str) -> float:
    """A finite real number above zero."""
    number = real(value, name)
    if number <= 0:
        raise ValueError(f"{name} must be above 0, got {number}")
    return number


def nonnegative_float(value: float, name: str) -> float:
    """A finite real number, zero or above."""
    number = real(value, name)
    if number < 0:
        raise ValueError(f"{name} must be 0 or above, got {number}")
    return number


def fraction(value: float, name: str) -> float:
    """A finite number in [0, 1)."""
    value = real(value, name)
    if not 0 <= value < 1:
        raise ValueError(f"{name} must be in [0, 1), got {value!r}")
    return value


def inverse_temperature(beta: float) -> float:
    """A finite ``beta >= 0``; zero is infinite temperature, where all states are equally likely."""
    return nonnegative_float(beta, "beta")


def _integer(value) -> int:
    if isinstance(value, (bool, np.bool_)):
        raise TypeError
    return operator.index(value)


# ---------------------------------------------------------------- models
def instance(value: object, kind: type, name: str) -> None:
    """`value` is a `kind` (an RBM, a Modes, ...), or a TypeError that says how to make one of
    what was given."""
    if isinstance(value, kind):
        return
    given = type(value).__name__
    makers = {"Modes": "modes(rbm) makes one", "RBM": "RBM(W, a, b) makes one"}
    if hasattr(value, "intercept_hidden_") or given == "BernoulliRBM":
        makers["RBM"] = "rbmkit.from_sklearn makes one of a fitted BernoulliRBM"
    elif isinstance(getattr(value, "rbm", None), kind):
        makers["RBM"] = "use its .rbm"
    hint = makers.get(kind.__name__)
    raise TypeError(
        f"{name} must be of the type {kind.__name__}, not {given}" + (f"; {hint}" if hint else "")
    )


# ---------------------------------------------------------------- arrays
def binary(x: np.ndarray, width: int, name: str) -> np.ndarray:
    """Rows of 0 and 1 as a C-contiguous uint8 array of shape (n, width); no copy if `x` is one
    already.

    A single row (width,) becomes (1, width). Booleans and floats that are exactly 0 or 1 are
    accepted, and matrices of scipy.sparse, which become dense: n width bytes.
    """
    x = _plain(_dense(x, name), name)
    if x.ndim not in (1, 2) or x.shape[-1] != width:
        raise ValueError(f"{name} must have shape (n, {width}) or ({width},), got {x.shape}")
    if x.size == 0:
        raise ValueError(f"{name} is empty (shape {x.shape}): at least one row is needed")
    if x.dtype.kind not in "buif":
        raise ValueError(
            f"{name} must hold the numbers 0 and 1, got dtype {x.dtype}{_object_hint(x)}"
        )
    if x.dtype.kind == "f" and np.isnan(x).any():
        raise ValueError(f"{name} contains NaN: only 0 and 1 are allowed")
    if not (x.dtype.kind == "b" or _only_zero_one(x)):
        found = f"found values from {x.min()} to {x.max()}"
        raise ValueError(f"{name} must contain only 0 and 1, {found}{_value_hint(x)}")
    return np.ascontiguousarray(x.reshape(-1, width), dtype=np.uint8)


def _only_zero_one(x: np.ndarray) -> bool:
    if x.dtype == np.uint8:
        return bool(x.max() <= 1)
    return bool(((x == 0) | (x == 1)).all())


def _value_hint(x: np.ndarray) -> str:
    if ((x == -1) | (x == 1)).all():
        return "; spins -1 and +1 become 0 and 1 by (1 + x) // 2"
    if x.min() >= 0:
        return "; grey levels become 0 and 1 by a threshold, e.g. x >= 128"
    return ""


def _object_hint(x: np.ndarray) -> str:
    return (
        " (columns of pandas that may be missing become numbers by .to_numpy(int))"
        if x.dtype == object
        else ""
    )


def _plain(x: np.ndarray, name: str) -> np.ndarray:
    if isinstance(x, np.ma.MaskedArray):
        raise TypeError(
            f"{name} is a masked array, and there is no rule for hidden entries: fill them, "
            "x.filled(0)"
        )
    return np.asarray(x)


def _is_sparse(x: object) -> bool:
    return type(x).__module__.startswith("scipy.sparse")


def _dense(x: object, name: str) -> np.ndarray:
    """A matrix of scipy.sparse as dense uint8, checked before its values are rounded to that;
    others as they are."""
    if not _is_sparse(x):
        return x
    x = x.tocsr(copy=True)
    x.sum_duplicates()
    if x.dtype.kind not in "buif" or not ((x.data == 0) | (x.data == 1)).all():
        raise ValueError(f"{name} is a sparse matrix with entries other than 0 and 1")
    return x.astype(np.uint8).toarray()


def real_array(x: np.ndarray, shape: tuple[int | None, ...], name: str) -> np.ndarray:
    """A finite float64 C-ordered copy of `x`, of the given shape (None: any length above zero)."""
    if _is_sparse(x):
        raise TypeError(f"{name} is a sparse matrix; a dense array is needed: x.toarray()")
    try:
        x = _plain(x, name)
    except ValueError:  # ragged lists
        raise TypeError(f"{name} must be an array of real numbers") from None
    if x.dtype.kind not in "buif":
        raise TypeError(
            f"{name} must be an array of real numbers, got dtype {x.dtype}{_object_hint(x)}"
        )
    if (
        x.size == 0
        or x.ndim != len(shape)
        or any(want not in (None, n) for n, want in zip(x.shape, shape, strict=True))
    ):
        wanted = (
            "("
            + ", ".join("any" if n is None else str(n) for n in shape)
            + ("," * (len(shape) == 1))
            + ")"
        )
        raise ValueError(f"{name} must have shape {wanted} and not be empty, got {x.shape}")
    x = np.array(x, dtype=np.float64, order="C")
    if not np.isfinite(x).all():
        raise ValueError(f"{name} contains NaN or infinity: all its entries must be finite")
    return x
