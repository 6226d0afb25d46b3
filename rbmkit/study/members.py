"""Who is in a study: one member is a method, a number of hidden units and a replica."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rbmkit import checks
from rbmkit.starts import METHODS


@dataclass(frozen=True)
class Member:
    """One training: its method, number of hidden units and replica."""

    method: str
    hidden: int
    replica: int

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise ValueError(f"unknown method {self.method!r}; choose one of {', '.join(METHODS)}")
        checks.positive_int(self.hidden, "hidden")
        checks.integer(self.replica, "replica", least=0)

    @property
    def name(self) -> str:
        """E.g. ``pcd-500-0``."""
        return f"{self.method.lower()}-{self.hidden}-{self.replica}"

    def rng(self, stage: int = 0) -> np.random.Generator:
        """Random numbers: a function of the three names, and of the stage of the work (0: the
        training)."""
        return np.random.default_rng((METHODS.index(self.method), self.hidden, self.replica, stage))


def members(
    methods: Sequence[str] = METHODS,
    hidden: Sequence[int] | None = None,
    replicas: Sequence[int] = range(5),
) -> list[Member]:
    """The members of the study, replica by replica: a run that is cut leaves a balanced study.

    By default PCD with 500, 784, 1200 and 3000 hidden units, CD and Rdm with 500; `hidden` sets the
    sizes of all.
    """
    sizes = {"PCD": (3000, 1200, 784, 500), "CD": (500,), "Rdm": (500,)}
    found = (
        Member(m, n, r) for r in replicas for m in sizes if m in methods for n in hidden or sizes[m]
    )
    return list(dict.fromkeys(found))
