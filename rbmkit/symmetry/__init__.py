"""Symmetries of an RBM and how training breaks them, Secs. 5 and 6 of the paper.

`rbmkit.symmetry.rotations` turns the modes, `rbmkit.symmetry.weights` tests whether the weights
mind, `rbmkit.symmetry.free_energy` has Landau's free energy of a mode, and `rbmkit.symmetry.order`
what happens to the modes during training. All their functions can be had from here.
"""

from rbmkit.extrema import local_minima
from rbmkit.symmetry.free_energy import (
    Landau,
    barrier,
    cavity_means,
    critical_coupling,
    free_energy_of_counts,
    landau,
    landau_curve,
    landau_of_marginal,
    mode_cumulants,
)
from rbmkit.symmetry.order import OrderParameter, order_parameter
from rbmkit.symmetry.rotations import (
    Rotation,
    aguilera_perez,
    haar,
    plane_around,
    random_planes,
    rotated,
    rotation,
)
from rbmkit.symmetry.weights import (
    Divergence,
    SymmetryTest,
    divergence,
    neighbour_correlation,
    permutation_test,
    sign_test,
)

__all__ = [
    "Divergence",
    "Landau",
    "OrderParameter",
    "Rotation",
    "SymmetryTest",
    "aguilera_perez",
    "barrier",
    "cavity_means",
    "critical_coupling",
    "divergence",
    "free_energy_of_counts",
    "haar",
    "landau",
    "landau_curve",
    "landau_of_marginal",
    "local_minima",
    "mode_cumulants",
    "neighbour_correlation",
    "order_parameter",
    "permutation_test",
    "plane_around",
    "random_planes",
    "rotated",
    "rotation",
    "sign_test",
]
