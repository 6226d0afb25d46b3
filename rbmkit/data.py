"""What ships with the project: MNIST as the paper uses it, trained models and measurements; and
small patterns.

`mnist` reads the bit-packed digits, `trained` and `trajectory` one training of 500 hidden units,
`regimes` what was measured on mildly and strongly trained models. `bars_and_stripes` is a data set
small enough to list.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import math
import os
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rbmkit import checks, files
from rbmkit.model import RBM

MNIST_KIND = "rbmkit.mnist/1"
MNIST_KEYS = ("train", "test", "train_labels", "test_labels")
MNIST_SHA256 = "17df1a8316646e36a0b10ee8c43b27fa66e067bce84a74998079348c90db4acf"
TRAJECTORY_KIND = "rbmkit.trajectory/1"
REGIMES_KIND = "rbmkit.regimes/1"
_PIXELS = 28 * 28


# ---------------------------------------------------------------- digits and patterns
@dataclass(frozen=True, eq=False)
class Mnist:
    """The binarised digits.

    Attributes
    ----------
    train, test : (60000, 784) and (10000, 784) uint8 arrays
        One image per row, 28 x 28 in C order, 1 = ink. Fewer rows if some digits were selected.
    train_labels, test_labels : (60000,) and (10000,) uint8 arrays
        The digit, 0 to 9.
    """

    train: np.ndarray
    test: np.ndarray
    train_labels: np.ndarray
    test_labels: np.ndarray

    def __repr__(self) -> str:
        return f"Mnist(train={self.train.shape}, test={self.test.shape})"


def data_folder() -> Path:
    """Folder of the data files: the environment variable RBMKIT_DATA if set, else ``data/`` beside
    the package.

    Raises
    ------
    FileNotFoundError
        There is no such folder, e.g. because the package was installed without its repository.
    """
    override = os.environ.get("RBMKIT_DATA")
    folder = (
        Path(override).expanduser() if override else Path(__file__).resolve().parents[1] / "data"
    )
    if not folder.is_dir():
        source = (
            "RBMKIT_DATA names it"
            if override
            else "it comes with a clone of the repository (pip install -e .)"
        )
        raise FileNotFoundError(
            f"no data folder {folder}: {source}; set RBMKIT_DATA to the folder that holds mnist.npz"
        )
    return folder


@files.said_in_one_line()
def mnist(*, digits: int | Iterable[int] | None = None) -> Mnist:
    """The 70,000 MNIST digits, binarised as in the paper: 1 where the grey level is at least 128 of
    255.

    Parameters
    ----------
    digits : int or several, optional
        Keep only these digits, in the order of the data set; all by default.

    Returns
    -------
    Mnist
        A fresh copy at each call (55 MB, about 0.1 s).

    Raises
    ------
    FileNotFoundError
        `mnist.npz` is not in the `data_folder`.
    ValueError
        The file is corrupt or a foreign one; `digits` is empty or not within 0 to 9.
    """
    wanted = None if digits is None else _digits(digits)
    path = data_folder() / "mnist.npz"
    if not path.is_file():
        raise FileNotFoundError(
            f"no such file: {path}; restore it from the repository or run data/make_mnist.py"
        )
    packed = files.read_npz(path, MNIST_KEYS, kind=MNIST_KIND)
    if mnist_digest(packed) != MNIST_SHA256:
        raise ValueError(
            f"{path} is damaged or altered: its SHA-256 is wrong; restore it or run "
            "data/make_mnist.py"
        )
    parts = {}
    for part in ("train", "test"):
        images = packed[part]
        labels = packed[f"{part}_labels"]
        keep = slice(None) if wanted is None else np.isin(labels, wanted)
        parts[part] = np.unpackbits(images[keep], axis=1, count=_PIXELS)
        parts[f"{part}_labels"] = labels[keep]
    return Mnist(**parts)


def mnist_digest(packed: dict[str, np.ndarray]) -> str:
    """SHA-256 over type, shape and bytes of the four packed arrays (independent of how the file
    was compressed)."""
    digest = hashlib.sha256()
    for key in MNIST_KEYS:
        array = np.ascontiguousarray(packed[key])
        digest.update(f"{key} {array.dtype.str} {array.shape}\n".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()


def read_idx(path: str | os.PathLike) -> np.ndarray:
    """An IDX file of bytes, gzipped or not: the format of the original MNIST files, with their grey
    levels 0 to 255.

    `mnist` has bits only. For another threshold, or for pixels that are ink with the probability of
    their grey level::

        grey = read_idx("train-images-idx3-ubyte.gz").reshape(60000, 784)
        lighter = grey >= 64
        stochastic = rng.random(grey.shape) < grey / 255

    ``python data/make_mnist.py FOLDER --download`` fetches the files.

    Returns
    -------
    uint8 array
        (60000, 28, 28) for the training images of MNIST, (60000,) for their labels.

    Raises
    ------
    FileNotFoundError, ValueError
        No such file; truncated, or not an IDX file of bytes.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"no such file: {path}")
    return idx_array(idx_bytes(path), path)


def idx_bytes(path: Path) -> bytes:
    """Content of an IDX file, without gzip."""
    content = path.read_bytes()
    try:
        return gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content
    except (OSError, EOFError, zlib.error) as error:
        raise ValueError(f"{path} is truncated or corrupt ({error}); fetch it again") from error


def idx_array(content: bytes, source: object) -> np.ndarray:
    """Two zeros, 8 for bytes, the number of dimensions, the lengths as big-endian uint32, then
    the bytes."""
    if len(content) < 4 or content[:3] != b"\0\0\x08":
        raise ValueError(f"{source} is not an IDX file of bytes")
    start = 4 + 4 * content[3]
    shape = tuple(int.from_bytes(content[k : k + 4], "big") for k in range(4, start, 4))
    if len(content) != start + math.prod(shape):
        raise ValueError(
            f"{source} is truncated or damaged: {len(content)} bytes do not hold {shape}; fetch it "
            "again"
        )
    return np.frombuffer(content, dtype=np.uint8, offset=start).reshape(shape)


def _digits(digits: int | Iterable[int]) -> list[int]:
    several = list(digits) if isinstance(digits, Iterable) else [digits]
    wanted = [checks.integer(digit, "digits", least=0) for digit in several]
    if not wanted or max(wanted) > 9:
        raise ValueError(f"digits must be one or more of 0 to 9, got {several}")
    return wanted


def bars_and_stripes(side: int) -> np.ndarray:
    """All distinct bars-and-stripes patterns: images whose rows are each uniform, or whose columns
    are.

    Parameters
    ----------
    side : int
        Height and width of the images, 1 to 16.

    Returns
    -------
    (2^(side + 1) - 2, side^2) uint8 array
        First the images made of uniform rows, then those of uniform columns; the blank and the full
        one, which are both, appear once.
    """
    side = checks.positive_int(side, "side")
    if side > 16:
        raise ValueError(
            f"side must be at most 16 (there are 2^(side + 1) - 2 patterns), got {side}"
        )
    lines = (np.arange(2**side)[:, None] >> np.arange(side)[::-1] & 1).astype(np.uint8)
    rows = np.repeat(lines, side, axis=1)
    columns = np.tile(lines[1:-1], (1, side))
    return np.concatenate([rows, columns])


# ---------------------------------------------------------------- trained models
@dataclass(frozen=True, eq=False)
class Trajectory:
    """Snapshots of one training on MNIST, and what was measured on them.

    Attributes
    ----------
    epochs : (T,) array
        When each snapshot was taken, in epochs; 0 is the untrained model.
    W, a, b : (T, N, M) float16, (T, N) and (T, M) float32 arrays
        Parameters, W rounded to 11 bits.
    measured : dict of (T,) arrays
        Mean free energy of the test digits; ln Z by AIS, reverse AIS and RAISE, with standard
        errors; sample sizes.
    options : dict
        How the model was trained: the arguments of `rbmkit.Training`.
    """

    epochs: np.ndarray
    W: np.ndarray
    a: np.ndarray
    b: np.ndarray
    measured: dict[str, np.ndarray]
    options: dict

    def __len__(self) -> int:
        return len(self.epochs)

    def rbm(self, k: int) -> RBM:
        """The model of snapshot k."""
        return RBM(self.W[k], self.a[k], self.b[k])


@files.said_in_one_line()
def trained() -> RBM:
    """The RBM with 500 hidden units that ships with the project, trained by
    ``data/make_rbm_mnist_500.py``.

    Raises
    ------
    FileNotFoundError, ValueError
        The file is missing or altered.
    """
    return RBM.load(files.verified(data_folder(), "rbm_mnist_500.npz"))


@files.said_in_one_line()
def trajectory() -> Trajectory:
    """Snapshots of the training of `trained`.

    Raises
    ------
    FileNotFoundError, ValueError
        The file is missing or altered.
    """
    keys = ("epochs", "W", "a", "b", "options")
    arrays = files.read_npz(
        files.verified(data_folder(), "trajectory_mnist_500.npz"), keys, kind=TRAJECTORY_KIND
    )
    epochs, W, a, b, options = (arrays.pop(key) for key in keys)
    return Trajectory(epochs, W, a, b, arrays, json.loads(str(options)))


class Regimes:
    """What ``data/make_regimes.py`` measured on mildly and on strongly trained models, piece by
    piece.

    ``regimes["mild_60"]`` is a dict of arrays; ``data/README.md`` says what they are.
    """

    def __init__(self, arrays: dict[str, np.ndarray]):
        self._pieces = pieces_of(arrays)

    def __repr__(self) -> str:
        return f"Regimes({len(self._pieces)} pieces)"

    def __getitem__(self, name: str) -> dict[str, np.ndarray]:
        if name not in self._pieces:
            raise KeyError(f"no piece {name!r}; there are {', '.join(self._pieces)}")
        return self._pieces[name]

    def epochs(self, kind: str) -> list[float]:
        """The epochs of the pieces ``<kind>_<epoch>``, in ascending order."""
        split = [name.split("_") for name in self._pieces]
        return sorted(float(parts[1]) for parts in split if parts[0] == kind and len(parts) == 2)


@files.said_in_one_line()
def regimes() -> Regimes:
    """Mixing, gradients and order parameters in the mild and the strong regime, made by
    ``data/make_regimes.py``.

    Raises
    ------
    FileNotFoundError, ValueError
        The file is missing or altered.
    """
    arrays = files.read_npz(
        files.verified(data_folder(), "regimes.npz"), ("text",), kind=REGIMES_KIND
    )
    return Regimes(arrays)


def pieces_of(arrays: dict[str, np.ndarray]) -> dict[str, dict[str, np.ndarray]]:
    """The arrays called ``<piece>/<key>``, by piece and key; others are left out."""
    pieces = {}
    for name, array in arrays.items():
        piece, _, key = name.partition("/")
        if key:
            pieces.setdefault(piece, {})[key] = array
    return pieces
