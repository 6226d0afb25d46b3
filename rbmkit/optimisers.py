"""How a gradient becomes a step: plain ascent with momentum, and Adam."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from rbmkit import checks, kernels


@dataclass(frozen=True)
class SGD:
    """Gradient ascent with momentum: velocity <- momentum velocity + gradient, parameter <-
    parameter + rate velocity, Eq. (13).

    Attributes
    ----------
    learning_rate : float, > 0
    momentum : float, in [0, 1)
    """

    learning_rate: float
    momentum: float = 0.0

    def __post_init__(self) -> None:
        _keep(self, learning_rate=checks.positive_float, momentum=checks.fraction)

    def continues(self, other: SGD | Adam) -> bool:
        """Whether the memory that `other` left has a meaning here: a velocity has, for any rate
        and momentum."""
        return isinstance(other, SGD)

    def step(self, old, gradient, memory, rate, decay, count, new, new_memory):  # noqa: D102
        numbers = (np.float32(x) for x in (rate, self.momentum, decay))
        kernels.sgd_step(old, gradient, memory[0], *numbers, new, new_memory[0])


@dataclass(frozen=True)
class Adam:
    """Adam (Kingma and Ba 2015): steps scaled by running averages of the gradient and its square.

    Attributes
    ----------
    learning_rate : float, > 0
    beta1, beta2 : float, in [0, 1)
        Memory of the two averages.
    epsilon : float, > 0
    """

    learning_rate: float = 1e-3
    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8

    def __post_init__(self) -> None:
        checked = {"learning_rate": checks.positive_float, "epsilon": checks.positive_float}
        _keep(self, **checked, beta1=checks.fraction, beta2=checks.fraction)

    def continues(self, other: SGD | Adam) -> bool:
        """Whether the memory that `other` left has a meaning here: averages of the same lengths
        have."""
        return isinstance(other, Adam) and (other.beta1, other.beta2) == (self.beta1, self.beta2)

    def step(self, old, gradient, memory, rate, decay, count, new, new_memory):  # noqa: D102
        root = np.sqrt(1 - self.beta2**count)
        numbers = (
            rate * root / (1 - self.beta1**count),
            self.beta1,
            self.beta2,
            self.epsilon * root,
            decay,
        )
        kernels.adam_step(
            old, gradient, *memory, *(np.float32(x) for x in numbers), new, *new_memory
        )


OPTIMISERS = {"SGD": SGD, "Adam": Adam}


def _keep(optimiser: SGD | Adam, **rules: Callable[[float, str], float]) -> None:
    for name, check in rules.items():
        object.__setattr__(optimiser, name, check(getattr(optimiser, name), name))
