"""rbmkit: the physics of Restricted Boltzmann Machines, notebook by notebook.

Flat, one module per idea: a reader who knows a notebook knows its module.
"""

from rbmkit.model import RBM

__all__ = ["RBM"]
