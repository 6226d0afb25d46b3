"""Interleaved timing: who is compared is measured in turn, in one run, so that a busy machine is
busy for all."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

# seconds of sleep before a burst: the idle threads of the last contender stop spinning meanwhile
REST = 0.12
BURST = 0.2  # seconds that a burst takes, if 20 calls do not take less


@dataclass
class Contender:
    """A callable that does `units` units of work per call, and what it took per unit, in seconds.

    `before` runs untimed before each call.
    """

    call: Callable[[], object]
    units: int = 1
    before: Callable[[], object] | None = None
    times: list[float] = field(default_factory=list)

    @property
    def median(self) -> float:
        return float(np.median(self.times))

    @property
    def quartiles(self) -> tuple[float, float]:
        return tuple(np.percentile(self.times, [25, 75]).tolist())

    def burst(self, calls: int) -> None:
        for _ in range(calls):
            if self.before:
                self.before()
            start = time.perf_counter()
            self.call()
            self.times.append((time.perf_counter() - start) / self.units)


def interleave(
    contenders: dict[str, Contender | Callable], *, rounds: int = 7
) -> dict[str, Contender]:
    """Warm each contender up, then give each a burst of calls in turn, `rounds` times.

    A burst starts with a rest and one untimed call. Within a burst the contender's own threads are
    as warm as they are in a loop of its own; between bursts the others' threads have gone to sleep
    (BLAS, OpenMP and torch spin a while after their work, and would otherwise steal the cores from
    whoever comes next).
    """
    contenders = {
        name: c if isinstance(c, Contender) else Contender(c) for name, c in contenders.items()
    }
    calls = {}
    for name, contender in contenders.items():
        contender.burst(2)
        calls[name] = int(np.clip(BURST / (contender.times[-1] * contender.units), 1, 20))
    for contender in contenders.values():
        contender.times.clear()
    for turn in range(rounds):
        names = list(contenders)
        for name in names[turn % len(names) :] + names[: turn % len(names)]:
            time.sleep(REST)
            if calls[name] > 1:
                contenders[name].burst(1)
                contenders[name].times.pop()
            contenders[name].burst(calls[name])
    return contenders


def milliseconds(seconds: float) -> str:
    """Three significant digits, e.g. 0.567, 12.3, 1230."""
    value = 1e3 * seconds
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"
