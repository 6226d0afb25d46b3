"""The options of a training, checked in one place whenever one of them changes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from rbmkit import checks
from rbmkit.optimisers import OPTIMISERS, SGD, Adam
from rbmkit.starts import METHODS

FIXED = ("batch_size", "chains")
CHANGEABLE = ("method", "steps", "optimiser", "schedule", "l2", "l2_modes", "centred")


@dataclass(frozen=True)
class Options:
    """How a training is done; what they mean is told by `rbmkit.Training`, whose arguments they
    are.

    Attributes
    ----------
    batch_size, chains : int
        Cannot be changed between runs; all others can.
    modes : int
        min(N, M) of the model, the number of its singular values.

    Raises
    ------
    ValueError, TypeError
        An option is unknown, out of range or at odds with another.
    """

    batch_size: int
    chains: int
    modes: int
    method: str
    steps: int
    optimiser: SGD | Adam
    schedule: tuple[tuple[float, float], ...] | None
    l2: float
    l2_modes: tuple[float, ...] | None
    centred: bool

    def __post_init__(self) -> None:
        checked = {
            "method": self._checked_method(),
            "steps": checks.positive_int(self.steps, "steps"),
            "optimiser": self._checked_optimiser(),
            "schedule": _checked_schedule(self.schedule),
            "l2": checks.nonnegative_float(self.l2, "l2"),
            "l2_modes": self._checked_l2_modes(),
            "centred": self._checked_centred(),
        }
        for name, value in checked.items():
            object.__setattr__(self, name, value)

    def as_dict(self) -> dict[str, Any]:
        """Names and values that fit into JSON."""
        names = (
            *("method", "steps", "batch_size", "chains"),
            *("schedule", "l2", "l2_modes", "centred"),
        )
        optimiser = {"name": type(self.optimiser).__name__, **asdict(self.optimiser)}
        return {name: getattr(self, name) for name in names} | {"optimiser": optimiser}

    def rate(self, epoch: float) -> float:
        """The learning rate at an epoch."""
        epochs, factors = zip(*self.schedule, strict=True)
        return self.optimiser.learning_rate * float(np.interp(epoch, epochs, factors))

    def _checked_method(self) -> str:
        if self.method not in METHODS:
            raise ValueError(f"unknown method {self.method!r}; choose one of {', '.join(METHODS)}")
        if self.method == "CD" and self.chains != self.batch_size:
            raise ValueError(
                f"CD starts one chain per example: leave chains out, or set it to {self.batch_size}"
            )
        return self.method

    def _checked_optimiser(self) -> SGD | Adam:
        if type(self.optimiser) not in OPTIMISERS.values():
            raise TypeError(
                f"optimiser must be an SGD(...) or an Adam(...), got {self.optimiser!r}"
            )
        return self.optimiser

    def _checked_l2_modes(self) -> tuple[float, ...]:
        values = () if self.l2_modes is None else self.l2_modes
        if np.ndim(values) != 1:
            raise TypeError(f"l2_modes must be a sequence of numbers, got {values!r}")
        penalties = tuple(checks.nonnegative_float(x, "l2_modes") for x in values)
        if len(penalties) > self.modes:
            raise ValueError(
                f"l2_modes has {len(penalties)} values, but W has only {self.modes} modes"
            )
        return penalties

    def _checked_centred(self) -> bool:
        if not isinstance(self.centred, bool | np.bool_):
            raise TypeError(f"centred must be True or False, got {self.centred!r}")
        return bool(self.centred)


def _checked_schedule(
    schedule: Sequence[tuple[float, float]] | None,
) -> tuple[tuple[float, float], ...]:
    if schedule is None:
        return ((0.0, 1.0),)
    try:
        points = tuple((float(epoch), float(factor)) for epoch, factor in schedule)
    except (TypeError, ValueError):
        points = ()
    epochs = [epoch for epoch, _ in points]
    increasing = sorted(set(epochs)) == epochs
    if not (points and np.isfinite(points).all() and increasing and min(f for _, f in points) >= 0):
        raise ValueError(
            "schedule must be (epoch, factor) pairs, epochs increasing, factors >= 0; got "
            f"{schedule!r}"
        )
    return points
