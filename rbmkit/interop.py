"""Models from and to other packages: scikit-learn's ``BernoulliRBM`` and the HDF5 archives of
``rbms`` (0.5).

Both use units in {0, 1}, the same sign of the energy and beta = 1, so only names and shapes differ:

    here            scikit-learn                rbms (datasets of update_<n>/params)
    W (N, M)        components_ (M, N) = W^T    weight_matrix (N, M)
    a (N,)          intercept_visible_          vbias
    b (M,)          intercept_hidden_           hbias
    free_energy     -                           compute_energy_visibles

scikit-learn and h5py are needed only here: ``pip install scikit-learn h5py``.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np

from rbmkit import checks, files
from rbmkit.model import RBM

if TYPE_CHECKING:
    import h5py
    from sklearn.neural_network import BernoulliRBM

_RBMS_NAMES = {"W": "weight_matrix", "a": "vbias", "b": "hbias"}
_RBMS_MODEL = "BBRBM"  # Bernoulli-Bernoulli; rbms also has a Potts-Bernoulli "PBRBM"

# What rbms keeps of a PyTorch generator on the CPU (torch.get_rng_state): a Mersenne twister with
# padding of C.
_TORCH_STATE = np.dtype(
    [
        ("seed", "<u8"),
        ("left", "<i4"),
        ("seeded", "<i4"),
        ("next", "<u8"),
        ("words", "<u8", 624),
        ("normals", "<f8", 3),
        ("has_normal", "<i8"),
        ("float_normal", "<f4"),
        ("has_float_normal", "<i4"),
    ]
)


# ---------------------------------------------------------------- scikit-learn
def to_sklearn(rbm: RBM, **parameters) -> BernoulliRBM:
    """A fitted ``sklearn.neural_network.BernoulliRBM`` with the same parameters.

    ``transform``, ``gibbs``, ``score_samples`` and ``partial_fit`` work on it.

    Parameters
    ----------
    rbm : RBM
    **parameters
        For the constructor of ``BernoulliRBM``, e.g. ``learning_rate``, ``batch_size``,
        ``random_state``.

    Raises
    ------
    ImportError
        scikit-learn is not installed.
    """
    checks.instance(rbm, RBM, "rbm")
    BernoulliRBM = _needs("sklearn.neural_network", "scikit-learn").BernoulliRBM
    if parameters.setdefault("n_components", rbm.M) != rbm.M:
        raise ValueError(
            f"n_components is the number of hidden units, {rbm.M}; got {parameters['n_components']}"
        )
    estimator = BernoulliRBM(**parameters)
    estimator.components_ = rbm.W.T.copy(order="F")
    estimator.intercept_visible_ = rbm.a.copy()
    estimator.intercept_hidden_ = rbm.b.copy()
    # the persistent chains, as they start in fit
    estimator.h_samples_ = np.zeros((estimator.batch_size, rbm.M))
    estimator.n_features_in_ = rbm.N
    estimator._n_features_out = rbm.M  # get_feature_names_out looks here
    return estimator


def from_sklearn(estimator: BernoulliRBM) -> RBM:
    """The model of a fitted ``sklearn.neural_network.BernoulliRBM``.

    Raises
    ------
    TypeError
        `estimator` has not the attributes of a BernoulliRBM, or was not fitted.
    """
    names = ("components_", "intercept_visible_", "intercept_hidden_")
    missing = [name for name in names if not hasattr(estimator, name)]
    if missing:
        raise TypeError(
            f"{type(estimator).__name__} lacks {', '.join(missing)}: a fitted BernoulliRBM is "
            "needed"
        )
    W, a, b = (np.asarray(getattr(estimator, name)) for name in names)
    return RBM(W=W.T, a=a, b=b)


# ---------------------------------------------------------------- rbms
def rbms_updates(path: str | os.PathLike) -> list[int]:
    """The numbers n of the saved ``update_<n>`` of an `rbms` archive, ascending."""
    with _open_archive(path) as file:
        return _updates(file)


def from_rbms_hdf5(path: str | os.PathLike, *, update: int | None = None) -> RBM:
    """A Bernoulli-Bernoulli model from an HDF5 archive that `rbms` wrote while training.

    Parameters
    ----------
    path : path
    update : int, optional
        Which saved update; the last one by default. `rbms_updates` lists them.

    Raises
    ------
    FileNotFoundError
        There is no such file.
    ValueError
        Not an HDF5 file, not such an archive, another type of model, or no such update.
    ImportError
        h5py is not installed.
    """
    with _open_archive(path) as file:
        updates = _updates(file)
        update = updates[-1] if update is None else checks.integer(update, "update", least=0)
        if update not in updates:
            raise ValueError(
                f"{path} has no update {update}; it has {', '.join(map(str, updates))}"
            )
        group = file[f"update_{update}"]
        group = group.get("params", group)  # older archives have no group params
        try:
            return RBM(**{ours: group[theirs][()] for ours, theirs in _RBMS_NAMES.items()})
        except (KeyError, OSError, AttributeError, TypeError, ValueError) as error:
            raise ValueError(
                f"update {update} of {path} does not hold a valid RBM: {error}"
            ) from error


def to_rbms_hdf5(
    rbm: RBM,
    path: str | os.PathLike,
    *,
    update: int = 1,
    chains: np.ndarray | None = None,
    seed: int = 0,
    dtype: str | np.dtype = "float64",
    hyperparameters: Mapping[str, float] | None = None,
) -> None:
    """Write an HDF5 archive with one update, which `rbms` can load, sample and train further.

    Parameters
    ----------
    rbm : RBM
    path : path
        Written all or nothing; an older file is replaced.
    update : int, optional
        Number of gradient updates behind the model, >= 1.
    chains : (n, N) array of 0 and 1, optional
        Visible states of the persistent chains; 100 uniformly random rows by default, so that
        `rbms` has to equilibrate them first.
    seed : int, optional
        Of those rows and of the random states of NumPy and PyTorch that `rbms` restores, >= 0.
    dtype : optional
        "float64" keeps the parameters as they are; `rbms` itself writes "float32" by default. It
        reads both.
    hyperparameters : mapping, optional
        Entries for the group of that name (batch_size, gibbs_steps, learning_rate, L1, L2,
        train_size), used by `rbms` when it trains further; its defaults where not given.
    """
    checks.instance(rbm, RBM, "rbm")
    update = checks.positive_int(update, "update")
    seed = checks.integer(seed, "seed", least=0)
    dtype = np.dtype(dtype)
    if dtype.kind != "f":
        raise ValueError(f"dtype must be a floating-point type, got {dtype}")
    if chains is None:
        chains = np.random.default_rng(seed).integers(0, 2, size=(100, rbm.N), dtype=np.uint8)
    chains = checks.binary(chains, rbm.N, "chains")
    settings = _rbms_settings(rbm, len(chains), seed, Path(path).name) | dict(hyperparameters or {})
    h5py = _needs("h5py")
    with files.replacing(path) as partial, h5py.File(partial, "w") as file:
        for name, value in settings.items():
            file[f"hyperparameters/{name}"] = value
        file["model_type"] = _RBMS_MODEL
        file["parallel_chains"] = chains.astype(dtype)
        _write_update(file.create_group(f"update_{update}"), rbm, dtype, seed)


def _write_update(group: h5py.Group, rbm: RBM, dtype: np.dtype, seed: int) -> None:
    for ours, theirs in _RBMS_NAMES.items():
        group[f"params/{theirs}"] = getattr(rbm, ours).astype(dtype)
        # rbms keeps this second name for its older readers
        group[theirs] = group[f"params/{theirs}"]
    numpy_state = _twister(seed)
    for position, value in enumerate(numpy_state):
        group[f"numpy_rng_arg{position}"] = value
    group["torch_rng_state"] = _torch_state(seed, numpy_state[1])
    group["time"] = 0.0
    group["flags/checkpoint"] = True
    group["save_checkpoint"] = True


def _rbms_settings(rbm: RBM, num_chains: int, seed: int, filename: str) -> dict[str, object]:
    return {
        "num_hiddens": rbm.M,
        "num_visibles": rbm.N,
        "num_chains": num_chains,
        "batch_size": 2000,
        "gibbs_steps": 100,
        "filename": filename,
        "learning_rate": 0.01,
        "train_size": 0.6,
        "seed": seed,
        "L1": 0.0,
        "L2": 0.0,
    }


def _twister(seed: int) -> tuple:
    """State of NumPy's legacy Mersenne twister (its words are also those of PyTorch for the same
    32-bit seed)."""
    return np.random.RandomState(seed % 2**32).get_state()  # noqa: NPY002


def _torch_state(seed: int, words: np.ndarray) -> np.ndarray:
    state = np.zeros((), dtype=_TORCH_STATE)
    state["seed"], state["left"], state["seeded"], state["words"] = seed, 1, 1, words
    return np.frombuffer(state.tobytes(), dtype=np.uint8)


def _open_archive(path: str | os.PathLike) -> h5py.File:
    h5py = _needs("h5py")
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"no such file: {path}")
    try:
        return h5py.File(path, "r")
    except PermissionError:
        raise
    except OSError as error:
        raise ValueError(f"{path} is not an HDF5 file, or is truncated: {error}") from error


def _updates(file: h5py.File) -> list[int]:
    if "model_type" in file:
        kind = file["model_type"][()]
        kind = kind.decode() if isinstance(kind, bytes) else kind
        if kind != _RBMS_MODEL:
            raise ValueError(
                f"{file.filename} holds a model of type {kind!r}; only {_RBMS_MODEL!r} can be read"
            )
    numbers = (name.removeprefix("update_") for name in file if name.startswith("update_"))
    updates = sorted(int(number) for number in numbers if number.isdecimal())
    if not updates:
        raise ValueError(
            f"{file.filename} is not an archive of rbms: it has no group update_<number>"
        )
    return updates


# ---------------------------------------------------------------- shared
def _needs(module: str, package: str | None = None) -> ModuleType:
    try:
        return importlib.import_module(module)
    except ImportError as error:
        name = package or module
        raise ImportError(f"this needs {name}: pip install {name} ({error})") from error
