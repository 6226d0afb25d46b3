"""rbmkit: the physics of Restricted Boltzmann Machines, notebook by notebook.

One module per idea: a reader who knows a notebook knows its module. The most used names are here;
all modules can be had from here too, `rbmkit.reciprocal` and so on, and are loaded when they are
first asked for.
"""

import importlib
import pkgutil
from typing import Any

from rbmkit.data import (
    bars_and_stripes,
    mnist,
    read_idx,
    regimes,
    trained,
    trajectory,
)
from rbmkit.equilibrium import Certificate, equilibrium
from rbmkit.interop import from_rbms_hdf5, from_sklearn, to_rbms_hdf5, to_sklearn
from rbmkit.likelihood import (
    ais,
    all_states,
    exact_log_z,
    exact_moments,
    log_likelihood,
    pseudo_likelihood,
    raise_bound,
    reverse_ais,
)
from rbmkit.model import RBM
from rbmkit.optimisers import SGD, Adam
from rbmkit.sampling import gibbs
from rbmkit.solvable import curie_weiss, curie_weiss_log_z, planted
from rbmkit.study import study
from rbmkit.tempering import Tempered, Tempering, independent
from rbmkit.training import Training, exact_gradient

__all__ = [
    "ais",
    "all_states",
    "exact_log_z",
    "exact_moments",
    "log_likelihood",
    "pseudo_likelihood",
    "raise_bound",
    "reverse_ais",
    "gibbs",
    "SGD",
    "Adam",
    "Training",
    "exact_gradient",
    "RBM",
    "Tempered",
    "Tempering",
    "independent",
    "Certificate",
    "equilibrium",
    "bars_and_stripes",
    "curie_weiss",
    "curie_weiss_log_z",
    "from_rbms_hdf5",
    "from_sklearn",
    "mnist",
    "modes",
    "planted",
    "read_idx",
    "regimes",
    "study",
    "to_rbms_hdf5",
    "to_sklearn",
    "trained",
    "trajectory",
]


_LATE = {"modes": "reciprocal"}  # names that are not worth the wait for what their module needs


def __getattr__(name: str) -> Any:
    if name in _LATE:
        return getattr(importlib.import_module(f"rbmkit.{_LATE[name]}"), name)
    if name in _modules():
        return importlib.import_module(f"rbmkit.{name}")
    raise AttributeError(f"module 'rbmkit' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_LATE, *_modules()})


def _modules() -> set[str]:
    """Names of the modules and packages beside this file."""
    return {info.name for info in pkgutil.iter_modules(__path__)} - {"__main__"}
