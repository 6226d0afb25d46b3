"""What a reader sets in an explorer: values in order, and nothing that belongs to a screen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Slider:
    """Numbers from `low` to `high` in steps.

    With a `base`, its powers: then `low`, `high` and `step` are exponents.
    """

    name: str
    start: float
    low: float
    high: float
    step: float = 1
    base: float | None = None
    listed = False

    @property
    def values(self) -> list[float]:
        """All that it can be set to."""
        count = round((self.high - self.low) / self.step)
        places = [self.low + k * self.step for k in range(count + 1)]
        return [self.base**place for place in places] if self.base else places

    def text(self, value: float) -> str:
        """A value as it is written beside the slider."""
        return f"{value:.3g}" if isinstance(value, float) else str(value)


@dataclass(frozen=True)
class Choice:
    """One of some values, on a slider or, if `listed`, from a list.

    `texts` are their names, if they need any.
    """

    name: str
    start: object
    values: Sequence
    texts: Sequence[str] = ()
    listed: bool = False

    def text(self, value: object) -> str:
        """A value as it is written."""
        return self.texts[list(self.values).index(value)] if self.texts else str(value)


Control = Slider | Choice
