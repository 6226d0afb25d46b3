"""What a training has recorded, and the callbacks that may add to it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np


class History:
    """One row of named numbers per epoch; ``history["epoch"]`` is a column as an array, NaN
    where a row lacks it."""

    def __init__(self, rows: Sequence[dict[str, float]] = ()):
        self.rows = [dict(row) for row in rows]

    def __getitem__(self, name: str) -> np.ndarray:
        if not any(name in row for row in self.rows):
            raise KeyError(
                f"the history has no column {name!r}; it has "
                f"{sorted({n for row in self.rows for n in row})}"
            )
        return np.array([row.get(name, np.nan) for row in self.rows])

    def __len__(self) -> int:
        return len(self.rows)


def checked_callbacks(
    callbacks: Sequence[Callable[..., dict | None]],
) -> tuple[Callable[..., dict | None], ...]:
    if callable(callbacks):
        raise TypeError(
            "callbacks must be a sequence of functions: for one function f, callbacks=[f]"
        )
    several = tuple(callbacks) if np.iterable(callbacks) else (callbacks,)
    if not all(callable(f) for f in several):
        raise TypeError(f"callbacks must be a sequence of functions, got {callbacks!r}")
    return several


def checked_row(returned: dict[str, float] | None) -> dict[str, float]:
    """What a callback returned, as numbers for the history."""
    if returned is None:
        return {}
    if not isinstance(returned, dict):
        raise TypeError(
            f"a callback must return a dict of numbers or None, not {type(returned).__name__}"
        )
    taken = {"epoch", "learning_rate", "moment_error"} & set(returned)
    if taken:
        raise ValueError(
            f"a callback returned {', '.join(sorted(taken))}: the history has that already, rename "
            "it"
        )
    try:
        return {str(name): float(value) for name, value in returned.items()}
    except (TypeError, ValueError) as error:
        raise TypeError(f"a callback must return a dict of numbers: {error}") from error
