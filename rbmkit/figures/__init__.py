"""Figures of the notebooks: each function takes computed arrays and returns ``(fig, ax)``."""

from rbmkit.figures.style import COLOURS, MARKERS, canvas, curves, digits, show

__all__ = ["COLOURS", "MARKERS", "canvas", "curves", "digits", "show"]
