"""Checks at the front door: every public function calls these first and the code behind it trusts its input.

Private helpers, shared by all modules. Each raises one ``ValueError`` or ``TypeError`` whose sentence says what was
wrong and, where there is something to do, what to do.
"""

from __future__ import annotations

import math
import operator
import os
import uuid
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

# What zipfile and numpy raise on a damaged or foreign file, found by truncating one everywhere and flipping its bits.
_UNREADABLE = (
    *(zipfile.BadZipFile, zlib.error, OSError, EOFError, LookupError, ValueError, TypeError, RuntimeError),
    *(MemoryError, OverflowError, SyntaxError),  # a damaged header can ask for an absurd shape
)


# ---------------------------------------------------------------- numbers
def as_generator(rng: int | np.random.Generator) -> np.random.Generator:
    """A Generator as it is; a non-negative integer as the seed of a new one. ``None`` is refused: no hidden state."""
    if isinstance(rng, np.random.Generator):
        return rng
    try:
        seed = _integer(rng)
    except TypeError:
        raise TypeError(f"rng must be an integer seed or a numpy Generator, not {type(rng).__name__}") from None
    if seed < 0:
        raise ValueError(f"rng as a seed must be >= 0, got {seed}")
    return np.random.default_rng(seed)


def integer(value: int, name: str, *, least: int) -> int:
    """An integer ``>= least`` (Python or NumPy; floats and booleans are refused)."""
    try:
        value = _integer(value)
    except TypeError:
        raise TypeError(f"{name} must be an integer, not {type(value).__name__} ({value!r})") from None
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
        raise TypeError(f"{name} must be a real number, not {type(value).__name__} ({value!r})") from None
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
    """`value` is a `kind` (an RBM, a Modes, ...), or a TypeError that says how to make one of what was given."""
    if isinstance(value, kind):
        return
    given = type(value).__name__
    makers = {"Modes": "modes(rbm) makes one", "RBM": "RBM(W, a, b) makes one"}
    if hasattr(value, "intercept_hidden_") or given == "BernoulliRBM":
        makers["RBM"] = "rbmkit.from_sklearn makes one of a fitted BernoulliRBM"
    elif isinstance(getattr(value, "rbm", None), kind):
        makers["RBM"] = "use its .rbm"
    hint = makers.get(kind.__name__)
    raise TypeError(f"{name} must be of the type {kind.__name__}, not {given}" + (f"; {hint}" if hint else ""))


# ---------------------------------------------------------------- arrays
def binary(x: np.ndarray, width: int, name: str) -> np.ndarray:
    """Rows of 0 and 1 as a C-contiguous uint8 array of shape (n, width); no copy if `x` is one already.

    A single row (width,) becomes (1, width). Booleans and floats that are exactly 0 or 1 are accepted, and
    matrices of scipy.sparse, which become dense: n width bytes.
    """
    x = _plain(_dense(x, name), name)
    if x.ndim not in (1, 2) or x.shape[-1] != width:
        raise ValueError(f"{name} must have shape (n, {width}) or ({width},), got {x.shape}")
    if x.size == 0:
        raise ValueError(f"{name} is empty (shape {x.shape}): at least one row is needed")
    if x.dtype.kind not in "buif":
        raise ValueError(f"{name} must hold the numbers 0 and 1, got dtype {x.dtype}{_object_hint(x)}")
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
    return " (columns of pandas that may be missing become numbers by .to_numpy(int))" if x.dtype == object else ""


def _plain(x: np.ndarray, name: str) -> np.ndarray:
    if isinstance(x, np.ma.MaskedArray):
        raise TypeError(f"{name} is a masked array, and there is no rule for hidden entries: fill them, x.filled(0)")
    return np.asarray(x)


def _is_sparse(x: object) -> bool:
    return type(x).__module__.startswith("scipy.sparse")


def _dense(x: object, name: str) -> np.ndarray:
    """A matrix of scipy.sparse as dense uint8, checked before its values are rounded to that; others as they are."""
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
        raise TypeError(f"{name} must be an array of real numbers, got dtype {x.dtype}{_object_hint(x)}")
    if (
        x.size == 0
        or x.ndim != len(shape)
        or any(want not in (None, n) for n, want in zip(x.shape, shape, strict=True))
    ):
        wanted = "(" + ", ".join("any" if n is None else str(n) for n in shape) + ("," * (len(shape) == 1)) + ")"
        raise ValueError(f"{name} must have shape {wanted} and not be empty, got {x.shape}")
    x = np.array(x, dtype=np.float64, order="C")
    if not np.isfinite(x).all():
        raise ValueError(f"{name} contains NaN or infinity: all its entries must be finite")
    return x


# ---------------------------------------------------------------- files
@contextmanager
def replacing(path: str | os.PathLike) -> Iterator[Path]:
    """All or nothing: yields a new name in the folder of `path`; what is written there becomes `path` at the end.

    If the block fails, the new file is removed and an older file at `path` stays as it was.
    """
    path = Path(path)
    if not path.parent.is_dir():
        raise FileNotFoundError(f"cannot write {path}: the folder {path.parent} does not exist")
    if path.is_dir():
        raise IsADirectoryError(f"cannot write {path}: it is a folder; give the name of a file")
    partial = path.with_name(f".{path.name}.{uuid.uuid4().hex}.part")
    try:
        yield partial
        with open(partial, "rb+") as file:
            os.fsync(file.fileno())
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def write_npz(path: str | os.PathLike, *, kind: str, **arrays: np.ndarray) -> None:
    """Write `arrays` and the marker ``format = kind`` to a compressed npz file: no pickle, all or nothing.

    Time stamps and permissions inside are fixed, so the same arrays give the same bytes.
    """
    with replacing(path) as partial, zipfile.ZipFile(partial, "x") as archive:
        for name, array in {"format": np.array(kind), **arrays}.items():
            entry = zipfile.ZipInfo(f"{name}.npy", date_time=(1980, 1, 1, 0, 0, 0))
            entry.compress_type, entry.create_system, entry.external_attr = zipfile.ZIP_DEFLATED, 3, 0o644 << 16
            with archive.open(entry, "w", force_zip64=True) as member:
                np.lib.format.write_array(member, np.asanyarray(array), allow_pickle=False)


@contextmanager
def said_in_one_line() -> Iterator[None]:
    """For the loaders of data files: Jupyter shows what is wrong with a file as a sentence, without a traceback."""
    try:
        yield
    except (OSError, ValueError) as error:
        shown = [f"{type(error).__name__}: {error}"]
        error._render_traceback_ = lambda: shown
        raise


def read_npz(path: str | os.PathLike, keys: Iterable[str], *, kind: str) -> dict[str, np.ndarray]:
    """Read a file of `write_npz`: all its arrays as a dict, with `keys` among them.

    Raises
    ------
    FileNotFoundError
        There is no such file.
    ValueError
        The file is truncated, corrupt, not an npz file, of another `kind`, or lacks one of `keys`.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"no such file: {path}")
    with open(path, "rb") as file:
        try:
            if not zipfile.is_zipfile(file):
                raise zipfile.BadZipFile("not a complete zip archive")
            file.seek(0)
            with np.load(file, allow_pickle=False) as archive:
                arrays = {name: archive[name] for name in archive.files}
        except _UNREADABLE as error:
            raise ValueError(
                f"{path} cannot be read as {kind}: truncated, corrupt or foreign ({error}); write or fetch it again"
            ) from error
    found = arrays.pop("format", None)
    if not (isinstance(found, np.ndarray) and found.shape == () and found.item() == kind):
        raise ValueError(f"{path} is not a file of kind {kind}: its marker is {_short(found)}")
    missing = [name for name in keys if not isinstance(arrays.get(name), np.ndarray)]
    if missing:
        raise ValueError(
            f"{path} lacks {', '.join(missing)}: it is not a complete {kind} file; write or fetch it again"
        )
    return arrays


def _short(marker) -> str:
    if marker is None:
        return "missing"
    text = repr(marker.item() if isinstance(marker, np.ndarray) and marker.size == 1 else marker)
    return text if len(text) <= 60 else text[:57] + "..."
