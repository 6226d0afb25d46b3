"""Data sets: MNIST as the paper uses it, and small models and patterns for which everything is known exactly.

`mnist` reads the bit-packed digits that ship with the project. `bars_and_stripes` is a data set small enough to list.
`planted` and `curie_weiss` are models rather than data: their singular values, their symmetry and, for Curie-Weiss,
the partition function at any size are known, so samplers, training and likelihood estimates can be checked on them.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import math
import os
import re
import zlib
from collections.abc import Iterable
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
from scipy.special import gammaln, logsumexp

from rbmkit import checks
from rbmkit.model import RBM, softplus

MNIST_KIND = "rbmkit.mnist/1"
MNIST_KEYS = ("train", "test", "train_labels", "test_labels")
MNIST_SHA256 = "17df1a8316646e36a0b10ee8c43b27fa66e067bce84a74998079348c90db4acf"
TRAJECTORY_KIND = "rbmkit.trajectory/1"
STUDY_KIND = "rbmkit.study/1"
STUDY_KEYS = ("epochs", "text", "singular_values")
STUDIES = {"mild": "study", "paper": "strong"}  # folders of the studies that ship, by their protocols
REGIMES_KIND = "rbmkit.regimes/1"
SUMS = "SHA256SUMS"
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
_PIXELS = 28 * 28


# ---------------------------------------------------------------- MNIST
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
    """Folder of the data files: the environment variable RBMKIT_DATA if set, else ``data/`` beside the package.

    Raises
    ------
    FileNotFoundError
        There is no such folder, e.g. because the package was installed without its repository.
    """
    override = os.environ.get("RBMKIT_DATA")
    folder = Path(override).expanduser() if override else Path(__file__).resolve().parents[1] / "data"
    if not folder.is_dir():
        source = "RBMKIT_DATA names it" if override else "it comes with a clone of the repository (pip install -e .)"
        raise FileNotFoundError(
            f"no data folder {folder}: {source}; set RBMKIT_DATA to the folder that holds mnist.npz"
        )
    return folder


@checks.said_in_one_line()
def mnist(*, digits: int | Iterable[int] | None = None) -> Mnist:
    """The 70,000 MNIST digits, binarised as in the paper: 1 where the grey level is at least 128 of 255.

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
        raise FileNotFoundError(f"no such file: {path}; restore it from the repository or run data/make_mnist.py")
    packed = checks.read_npz(path, MNIST_KEYS, kind=MNIST_KIND)
    if mnist_digest(packed) != MNIST_SHA256:
        raise ValueError(f"{path} is damaged or altered: its SHA-256 is wrong; restore it or run data/make_mnist.py")
    parts = {}
    for part in ("train", "test"):
        images, labels = packed[part], packed[f"{part}_labels"]
        keep = slice(None) if wanted is None else np.isin(labels, wanted)
        parts[part] = np.unpackbits(images[keep], axis=1, count=_PIXELS)
        parts[f"{part}_labels"] = labels[keep]
    return Mnist(**parts)


def mnist_digest(packed: dict[str, np.ndarray]) -> str:
    """SHA-256 over type, shape and bytes of the four packed arrays (independent of how the file was compressed)."""
    digest = hashlib.sha256()
    for key in MNIST_KEYS:
        array = np.ascontiguousarray(packed[key])
        digest.update(f"{key} {array.dtype.str} {array.shape}\n".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()


def read_idx(path: str | os.PathLike) -> np.ndarray:
    """An IDX file of bytes, gzipped or not: the format of the original MNIST files, with their grey levels 0 to 255.

    `mnist` has bits only. For another threshold, or for pixels that are ink with the probability of their grey level::

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
    """Two zeros, 8 for bytes, the number of dimensions, the lengths as big-endian uint32, then the bytes."""
    if len(content) < 4 or content[:3] != b"\0\0\x08":
        raise ValueError(f"{source} is not an IDX file of bytes")
    start = 4 + 4 * content[3]
    shape = tuple(int.from_bytes(content[k : k + 4], "big") for k in range(4, start, 4))
    if len(content) != start + math.prod(shape):
        raise ValueError(f"{source} is truncated or damaged: {len(content)} bytes do not hold {shape}; fetch it again")
    return np.frombuffer(content, dtype=np.uint8, offset=start).reshape(shape)


def _digits(digits: int | Iterable[int]) -> list[int]:
    several = list(digits) if isinstance(digits, Iterable) else [digits]
    wanted = [checks.integer(digit, "digits", least=0) for digit in several]
    if not wanted or max(wanted) > 9:
        raise ValueError(f"digits must be one or more of 0 to 9, got {several}")
    return wanted


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
        Mean free energy of the test digits; ln Z by AIS, reverse AIS and RAISE, with standard errors; sample sizes.
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


@checks.said_in_one_line()
def trained() -> RBM:
    """The RBM with 500 hidden units that ships with the project, trained by ``data/make_rbm_mnist_500.py``.

    Raises
    ------
    FileNotFoundError, ValueError
        The file is missing or altered.
    """
    return RBM.load(_verified(data_folder(), "rbm_mnist_500.npz"))


@checks.said_in_one_line()
def trajectory() -> Trajectory:
    """Snapshots of the training of `trained`.

    Raises
    ------
    FileNotFoundError, ValueError
        The file is missing or altered.
    """
    keys = ("epochs", "W", "a", "b", "options")
    arrays = checks.read_npz(_verified(data_folder(), "trajectory_mnist_500.npz"), keys, kind=TRAJECTORY_KIND)
    epochs, W, a, b, options = (arrays.pop(key) for key in keys)
    return Trajectory(epochs, W, a, b, arrays, json.loads(str(options)))


# ---------------------------------------------------------------- the study
@dataclass(frozen=True, eq=False)
class ModePaths:
    """Eight modes of one RBM through its training; T checkpoints, k modes (counted from 0).

    The order is either that of the singular values at each checkpoint, or that of the final model (``label == rank`` at
    the end). Signs are continuous along a label, and at the end as in `rbmkit.reciprocal.modes`.

    Attributes
    ----------
    label, rank : (T, k) int arrays
        Rank of the mode in the final model, to which it was followed by `rbmkit.reciprocal.match`; rank now.
    overlap : (T, k) array
        With the same mode one checkpoint later, 0 to 1; far below 1, the label means little.
    s : (T, k) array
        Singular values.
    a0, b0, x0, y0, mu_x, mu_y : (T, k) arrays
        Fields, saddle point and means of random states (the minimum of the constraint potential), as in `Modes`.
    x_data, y_data, x_samples, y_samples : (T, k, 7) arrays
        x and y over test examples and over samples of the model: mean, standard deviation and the five `QUANTILES`.
        y is that of one hidden state drawn from p(h|v) for each v.
    cov_data, cov_samples : (T, k) arrays
        Covariance of x_i and y_i, so that the variances of u_i and w_i are (var x + var y +- 2 cov) / 2, Eq. (19).
    """

    label: np.ndarray
    rank: np.ndarray
    overlap: np.ndarray
    s: np.ndarray
    a0: np.ndarray
    b0: np.ndarray
    x0: np.ndarray
    y0: np.ndarray
    mu_x: np.ndarray
    mu_y: np.ndarray
    x_data: np.ndarray
    y_data: np.ndarray
    x_samples: np.ndarray
    y_samples: np.ndarray
    cov_data: np.ndarray
    cov_samples: np.ndarray

    def __repr__(self) -> str:
        return "ModePaths({} checkpoints, {} modes)".format(*self.s.shape)


@dataclass(frozen=True, eq=False)
class Statistics:
    """What was measured on one member of the study at its T checkpoints.

    Attributes
    ----------
    epochs : (T,) array
        0 is the untrained model.
    singular_values : (T, K) float32 array, descending
    vector_epochs : (S,) array
        The checkpoints for which U and V are stored: all, or (paper's protocol) those with an estimate of ln Z.
    U, V : (S, N, 5) and (S, M, 5) float16 arrays
        The vectors of ``leading`` 0 to 4.
    free_energy_test, free_energy_train : (T,) arrays
        Means of F over the test examples and over the first 5,000 training examples.
    log_z_low, log_z_high, log_z_low_stderr, log_z_high_stderr, log_z_low_ess, log_z_high_ess : (T,) arrays
        ln Z by AIS, and by reverse AIS (PCD) or RAISE (CD, Rdm), with standard errors and effective sample sizes.
        Paper's protocol: always RAISE, and NaN at checkpoints without an estimate.
    rest_values : (T, 20) array
        Paper's protocol only: the leading singular values of `rbmkit.reciprocal.without` contrast x uniform pattern.
    activity : (T, 7) array
        Paper's protocol only: mean, standard deviation and `QUANTILES` over the hidden units of their mean activity.
    leading, followed : ModePaths
        The modes with the largest singular values at each checkpoint; those that become the leading ones.
    rounding : (2,) array
        Mean and standard deviation over the test examples of the change of F of the final model by storing W in half
        precision, in nats; empty where the final model is not stored.
    text : dict
        The member, its protocol and the sizes of the estimates.
    """

    epochs: np.ndarray
    singular_values: np.ndarray
    vector_epochs: np.ndarray
    U: np.ndarray
    V: np.ndarray
    free_energy_test: np.ndarray
    free_energy_train: np.ndarray
    log_z_low: np.ndarray
    log_z_high: np.ndarray
    log_z_low_stderr: np.ndarray
    log_z_high_stderr: np.ndarray
    log_z_low_ess: np.ndarray
    log_z_high_ess: np.ndarray
    leading: ModePaths
    followed: ModePaths
    rounding: np.ndarray
    text: dict
    rest_values: np.ndarray | None = None
    activity: np.ndarray | None = None

    def log_likelihood(self, end: str, part: str = "test") -> np.ndarray:
        """(T,) mean log-likelihood of the "test" or "train" examples, in nats: the "upper" end, from `log_z_low`, or
        the "lower" one."""
        log_z = {"upper": self.log_z_low, "lower": self.log_z_high}[end]
        return -{"test": self.free_energy_test, "train": self.free_energy_train}[part] - log_z


class Study:
    """The trained replicas in a folder of results; every file is checked against its SHA-256 when it is read.

    Attributes
    ----------
    names : list of str
        E.g. ``"pcd-500-0"``: method, hidden units, replica.
    """

    def __init__(self, folder: str | os.PathLike):
        self._folder = Path(folder)
        self.names = sorted((name.removesuffix(".npz") for name in read_sums(self._folder)), key=_by_number)

    def __repr__(self) -> str:
        return f"Study({len(self.names)} models)"

    def members(self, *, method: str | None = None, hidden: int | None = None) -> list[str]:
        """Names of all replicas of a method ("PCD", "CD", "Rdm") and size."""
        split = [(name, *name.split("-")) for name in self.names]
        return [name for name, m, n, _ in split if method in (None, *_methods(m)) and hidden in (None, int(n))]

    def rbm(self, name: str, epoch: float | None = None) -> RBM:
        """The model at the end of its training, or at one of its `snapshots` (W rounded to half precision).

        Raises
        ------
        ValueError
            No such member; its model, or that of this epoch, is not stored.
        """
        arrays = self._read(name)
        snapshots = _snapshots(arrays)
        if epoch is None and "W" in arrays:
            epoch = snapshots[-1]
        if epoch not in snapshots:
            raise ValueError(f"the model of {name} is not stored for {epoch=}; epochs with a model: {snapshots}")
        if epoch == snapshots[-1] and "W" in arrays:
            return RBM(arrays["W"], arrays["a"], arrays["b"])
        k = snapshots.index(epoch)
        return RBM(*(arrays[f"snapshot_{part}"][k] for part in ("W", "a", "b")))

    def snapshots(self, name: str) -> list[float]:
        """The epochs for which the model of a member is stored, often only the last one; see `rbm`."""
        return _snapshots(self._read(name))

    def statistics(self, name: str) -> Statistics:
        """What was measured along its training."""
        arrays, paths = self._read(name), {}
        for kind in ("leading", "followed"):
            paths[kind] = ModePaths(**{f.name: arrays[f"{kind}_{f.name}"] for f in fields(ModePaths)})
        arrays.setdefault("vector_epochs", arrays["epochs"])
        plain = {f.name: arrays[f.name] for f in fields(Statistics) if f.name in arrays and f.name != "text"}
        return Statistics(**plain, **paths, text=json.loads(str(arrays["text"])))

    def _read(self, name: str) -> dict[str, np.ndarray]:
        if name not in self.names:
            raise ValueError(f"no member {name!r} in {self._folder}; it has {', '.join(self.names)}")
        return checks.read_npz(_verified(self._folder, f"{name}.npz"), STUDY_KEYS, kind=STUDY_KIND)


def _snapshots(arrays: dict[str, np.ndarray]) -> list[float]:
    return [*arrays.get("snapshot_epochs", ()), *arrays["epochs"][-1:][: "W" in arrays]]


@checks.said_in_one_line()
def study(which: str | os.PathLike = "mild") -> Study:
    """A study that ships with the project, made by ``python -m rbmkit study``.

    Parameters
    ----------
    which : {"mild", "paper"} or path, optional
        Its protocol: that of this series, or the one after the paper, whose models are strong (`rbmkit.replicas`). A
        path: the results in another folder.

    Raises
    ------
    FileNotFoundError, ValueError
        There is no study in the folder; its list of checksums is damaged.
    """
    return Study(data_folder() / STUDIES[which] if which in STUDIES else which)


def read_sums(folder: Path) -> dict[str, str]:
    """The checksums of a folder: names of files and SHA-256, from a list as the tool sha256sum writes it."""
    path = folder / SUMS
    if not path.is_file():
        raise FileNotFoundError(f"no such file: {path}; restore it from the repository or run python -m rbmkit study")
    found = [re.fullmatch(r"([0-9a-f]{64})  ([\w.-]+\.npz)", line) for line in path.read_text().splitlines()]
    if not found or None in found:
        raise ValueError(f"{path} is damaged: each line must hold a SHA-256 and the name of a file")
    return {line[2]: line[1] for line in found}


def write_sums(folder: Path, names: Iterable[str]) -> None:
    """Write the list that `read_sums` reads, for files in the folder."""
    with checks.replacing(folder / SUMS) as partial:
        partial.write_text("".join(f"{sha256(folder / name)}  {name}\n" for name in sorted(names)))


def _verified(folder: Path, name: str) -> Path:
    """Path of a file whose SHA-256 is that in the list of its folder."""
    path, sums = folder / name, read_sums(folder)
    if not path.is_file():
        raise FileNotFoundError(f"no such file: {path}; restore it from the repository")
    if sha256(path) != sums.get(name):
        raise ValueError(f"{path} is truncated or altered: its SHA-256 is wrong; restore it from the repository")
    return path


def sha256(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal digits."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _by_number(name: str) -> list:
    return [(0, int(part), "") if part.isdigit() else (1, 0, part) for part in name.split("-")]


def _methods(lower: str) -> list[str]:
    return [lower, lower.upper(), lower.capitalize()]


# ---------------------------------------------------------------- two regimes
class Regimes:
    """What ``data/make_regimes.py`` measured on mildly and on strongly trained models, piece by piece.

    ``regimes["mild_60"]`` is a dict of arrays; ``data/README.md`` says what they are.
    """

    def __init__(self, arrays: dict[str, np.ndarray]):
        self._pieces: dict[str, dict[str, np.ndarray]] = {}
        for name, array in arrays.items():
            piece, _, key = name.partition("/")
            self._pieces.setdefault(piece, {})[key] = array

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


@checks.said_in_one_line()
def regimes() -> Regimes:
    """Mixing, gradients and order parameters in the mild and the strong regime, made by ``data/make_regimes.py``.

    Raises
    ------
    FileNotFoundError, ValueError
        The file is missing or altered.
    """
    arrays = checks.read_npz(_verified(data_folder(), "regimes.npz"), ("text",), kind=REGIMES_KIND)
    return Regimes({name: array for name, array in arrays.items() if name != "text"})


# ---------------------------------------------------------------- patterns
def bars_and_stripes(side: int) -> np.ndarray:
    """All distinct bars-and-stripes patterns: images whose rows are each uniform, or whose columns are.

    Parameters
    ----------
    side : int
        Height and width of the images, 1 to 16.

    Returns
    -------
    (2^(side + 1) - 2, side^2) uint8 array
        First the images made of uniform rows, then those of uniform columns; the blank and the full one, which are
        both, appear once.
    """
    side = checks.positive_int(side, "side")
    if side > 16:
        raise ValueError(f"side must be at most 16 (there are 2^(side + 1) - 2 patterns), got {side}")
    lines = (np.arange(2**side)[:, None] >> np.arange(side)[::-1] & 1).astype(np.uint8)
    rows = np.repeat(lines, side, axis=1)
    columns = np.tile(lines[1:-1], (1, side))
    return np.concatenate([rows, columns])


# ---------------------------------------------------------------- models
def planted(
    N: int,
    M: int,
    *,
    singular_values: np.ndarray,
    rng: int | np.random.Generator,
    centred: bool = True,
) -> RBM:
    """A model of low rank, W = U diag(lambda) V^T, with the given singular values and random orthonormal modes.

    Parameters
    ----------
    N, M : int
        Numbers of visible and hidden units.
    singular_values : (r,) array
        The lambda_i >= 0, r <= min(N, M). A mode alone is critical at lambda = 4 / beta.
    rng : int or Generator
        Seed or random generator.
    centred : bool, optional
        If true, a_i = -sum_j W_ij / 2 and b_j = -sum_i W_ij / 2. Then, up to a constant, E = -(v - 1/2).W.(h - 1/2):
        the model is symmetric under (v, h) -> (1 - v, 1 - h) and m = 1/2 solves the mean-field equations. If false,
        the fields are zero.
    """
    N, M, rng = checks.positive_int(N, "N"), checks.positive_int(M, "M"), checks.as_generator(rng)
    values = checks.real_array(singular_values, (None,), "singular_values")
    if values.min() < 0 or len(values) > min(N, M):
        raise ValueError(f"singular_values must be >= 0 and at most min(N, M) = {min(N, M)} many, got {values}")
    U, V = (np.linalg.qr(rng.normal(size=(n, len(values))))[0] for n in (N, M))
    return _with_fields((U * values) @ V.T, centred)


def curie_weiss(N: int, M: int, *, singular_value: float) -> RBM:
    """The bipartite Curie-Weiss ferromagnet: equal couplings, and symmetry under (v, h) -> (1 - v, 1 - h).

    W_ij = w = lambda / sqrt(N M) has the one singular value lambda, and E = -w (sum v - N/2)(sum h - M/2) + const
    depends on nothing but the numbers of active units. With s = sum v - N/2 the marginal is
    p(v) ~ cosh(beta w s / 2)^M, which for M -> infinity becomes exp(beta^2 lambda^2 s^2 / (8 N)), the Curie-Weiss
    model of N spins. For large N and M it is critical at lambda = 4 / beta.

    Parameters
    ----------
    N, M : int
        Numbers of visible and hidden units.
    singular_value : float
        The lambda >= 0.
    """
    N, M = checks.positive_int(N, "N"), checks.positive_int(M, "M")
    value = checks.nonnegative_float(singular_value, "singular_value")
    return _with_fields(np.full((N, M), value / np.sqrt(N * M)), centred=True)


def curie_weiss_log_weights(rbm: RBM, beta: float = 1.0) -> np.ndarray:
    """Exact ln of the total weight of all states with k visible units on, for k = 0, ..., N, of a uniform model.

    With W_ij = w, a_i = a, b_j = b the sum over h factorises and the one over v only counts,

        ln z_k = ln binom(N, k) + beta a k + M ln(1 + exp(beta (b + w k))),        ln Z = ln sum_k z_k,

    and p(sum v = k) = z_k / Z. The cost is O(N), at any size.

    Parameters
    ----------
    rbm : RBM
        A model with equal couplings and equal fields in each layer, as made by `curie_weiss`.
    beta : float, optional
        Inverse temperature, >= 0.

    Returns
    -------
    (N + 1,) float64 array

    Raises
    ------
    ValueError
        The couplings, or the fields of a layer, are not all equal.
    """
    checks.instance(rbm, RBM, "rbm")
    beta = checks.inverse_temperature(beta)
    if any(np.ptp(x) > 1e-12 * np.abs(x).max() for x in (rbm.W, rbm.a, rbm.b)):
        raise ValueError("rbm must be uniform: all couplings equal, and all fields within a layer")
    k = np.arange(rbm.N + 1)
    log_binomial = gammaln(rbm.N + 1) - gammaln(k + 1) - gammaln(rbm.N - k + 1)
    return log_binomial + beta * rbm.a[0] * k + rbm.M * softplus(beta * (rbm.b[0] + rbm.W[0, 0] * k))


def curie_weiss_log_z(rbm: RBM, beta: float = 1.0) -> float:
    """Exact ln Z of a uniform model, as made by `curie_weiss`: see `curie_weiss_log_weights`."""
    return float(logsumexp(curie_weiss_log_weights(rbm, beta)))


def _with_fields(W: np.ndarray, centred: bool) -> RBM:
    scale = -0.5 if centred else 0.0
    return RBM(W=W, a=scale * W.sum(axis=1), b=scale * W.sum(axis=0))
