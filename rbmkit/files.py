"""Files: npz files that are whole or not there, and lists of checksums.

Private helpers, shared by all modules. What cannot be read or written is said in one sentence.
"""

from __future__ import annotations

import hashlib
import os
import re
import uuid
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

SUMS = "SHA256SUMS"

# What zipfile and numpy raise on a damaged or foreign file, found by truncating one everywhere and
# flipping its bits.
_UNREADABLE = (
    *(
        zipfile.BadZipFile,
        zlib.error,
        OSError,
        EOFError,
        LookupError,
        ValueError,
        TypeError,
        RuntimeError,
    ),
    *(MemoryError, OverflowError, SyntaxError),  # a damaged header can ask for an absurd shape
)


# ---------------------------------------------------------------- npz files
@contextmanager
def replacing(path: str | os.PathLike) -> Iterator[Path]:
    """All or nothing: yields a new name in the folder of `path`; what is written there becomes
    `path` at the end.

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
    """Write `arrays` and the marker ``format = kind`` to a compressed npz file: no pickle, all or
    nothing.

    Time stamps and permissions inside are fixed, so the same arrays give the same bytes.
    """
    with replacing(path) as partial, zipfile.ZipFile(partial, "x") as archive:
        for name, array in {"format": np.array(kind), **arrays}.items():
            entry = zipfile.ZipInfo(f"{name}.npy", date_time=(1980, 1, 1, 0, 0, 0))
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.create_system = 3
            entry.external_attr = 0o644 << 16
            with archive.open(entry, "w", force_zip64=True) as member:
                np.lib.format.write_array(member, np.asanyarray(array), allow_pickle=False)


@contextmanager
def said_in_one_line() -> Iterator[None]:
    """For the loaders of data files: Jupyter shows what is wrong with a file as a sentence,
    without a traceback."""
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
                f"{path} cannot be read as {kind}: truncated, corrupt or foreign ({error}); write "
                "or fetch it again"
            ) from error
    found = arrays.pop("format", None)
    if not (isinstance(found, np.ndarray) and found.shape == () and found.item() == kind):
        raise ValueError(f"{path} is not a file of kind {kind}: its marker is {_short(found)}")
    missing = [name for name in keys if not isinstance(arrays.get(name), np.ndarray)]
    if missing:
        raise ValueError(
            f"{path} lacks {', '.join(missing)}: it is not a complete {kind} file; write or fetch "
            "it again"
        )
    return arrays


def _short(marker) -> str:
    if marker is None:
        return "missing"
    text = repr(marker.item() if isinstance(marker, np.ndarray) and marker.size == 1 else marker)
    return text if len(text) <= 60 else text[:57] + "..."


# ---------------------------------------------------------------- checksums
def read_sums(folder: Path) -> dict[str, str]:
    """The checksums of a folder: names of files and SHA-256, from a list as the tool sha256sum
    writes it."""
    path = folder / SUMS
    if not path.is_file():
        raise FileNotFoundError(
            f"no such file: {path}; restore it from the repository or run python -m rbmkit study"
        )
    found = [
        re.fullmatch(r"([0-9a-f]{64})  ([\w.-]+\.npz)", line)
        for line in path.read_text().splitlines()
    ]
    if not found or None in found:
        raise ValueError(f"{path} is damaged: each line must hold a SHA-256 and the name of a file")
    return {line[2]: line[1] for line in found}


def write_sums(folder: Path, names: Iterable[str]) -> None:
    """Write the list that `read_sums` reads, for files in the folder."""
    with replacing(folder / SUMS) as partial:
        partial.write_text("".join(f"{sha256(folder / name)}  {name}\n" for name in sorted(names)))


def verified(folder: Path, name: str) -> Path:
    """Path of a file whose SHA-256 is that in the list of its folder."""
    path = folder / name
    sums = read_sums(folder)
    if not path.is_file():
        raise FileNotFoundError(f"no such file: {path}; restore it from the repository")
    if sha256(path) != sums.get(name):
        raise ValueError(
            f"{path} is truncated or altered: its SHA-256 is wrong; restore it from the repository"
        )
    return path


def sha256(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal digits."""
    return hashlib.sha256(path.read_bytes()).hexdigest()
