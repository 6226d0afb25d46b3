"""Interactive explorers of the notebooks, built from the figures that stand beside them.

Each is a function without arguments that makes an `Explorer`, or a `Live` one that runs in the
page, of stored data: ``explorers.landscapes().show()``.
"""

from rbmkit.explorers.bosons import relaxing_mode
from rbmkit.explorers.denoising import dissolving
from rbmkit.explorers.live import completion
from rbmkit.explorers.partition import saddles
from rbmkit.explorers.reciprocal import landscapes, random_couplings
from rbmkit.explorers.symmetry import rotations, wells
from rbmkit.explorers.training import steering

NOTEBOOKS = {
    "01_training": (steering, completion),
    "02_reciprocal_space": (landscapes, random_couplings),
    "03_partition_function": (saddles,),
    "04_fokker_planck_bosons": (relaxing_mode,),
    "05_symmetry_breaking": (rotations,),
    "06_cascade_of_transitions": (wells,),
    "07_past_the_transition": (dissolving,),
}
"""The explorers of each notebook, in its order: for the book, ``run.py explore`` and tests."""
EXPLORERS = {make.__name__: make for makers in NOTEBOOKS.values() for make in makers}
"""The same by name."""
