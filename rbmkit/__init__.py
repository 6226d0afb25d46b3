"""rbmkit: the physics of Restricted Boltzmann Machines, notebook by notebook.

Flat, one module per idea: a reader who knows a notebook knows its module.
"""

from rbmkit.data import (
    bars_and_stripes,
    curie_weiss,
    curie_weiss_log_z,
    mnist,
    planted,
    read_idx,
    regimes,
    study,
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
from rbmkit.sampling import gibbs
from rbmkit.tempering import Tempered, Tempering, independent
from rbmkit.training import SGD, Adam, Training, exact_gradient

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
    "planted",
    "read_idx",
    "regimes",
    "study",
    "to_rbms_hdf5",
    "to_sklearn",
    "trained",
    "trajectory",
]
