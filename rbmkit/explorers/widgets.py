"""Explorers in a notebook, by ipywidgets: controls above a picture, and memory that returns."""

from __future__ import annotations

import gc
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache

from rbmkit.explorers.controls import Control, Slider

# bad input, divergence, a missing file: said, not raised
EXPECTED = (ValueError, ArithmeticError, OSError)


def ipywidgets():
    """The module ipywidgets; without it None, and one line that says so: a notebook goes on."""
    try:
        import ipywidgets
    except ImportError:
        print(
            "The explorer needs ipywidgets (pip install ipywidgets); "
            "the figures beside it show the same."
        )
        return None
    return ipywidgets


def image(value: bytes = b""):
    """A widget that shows a PNG file in its own size."""
    return ipywidgets().Image(value=value, format="png", layout={"align_self": "flex-start"})


def control(one: Control, **options: object):
    """The widget of a control."""
    widgets = ipywidgets()
    options = {"value": one.start, "description": one.name, **options}
    if isinstance(one, Slider):
        options |= {"min": one.low, "max": one.high, "step": one.step}
        if one.base:
            return widgets.FloatLogSlider(base=one.base, **options)
        whole = all(isinstance(number, int) for number in (one.start, one.low, one.high, one.step))
        return widgets.IntSlider(**options) if whole else widgets.FloatSlider(**options)
    options["options"] = [(one.text(value), value) for value in one.values]
    if one.listed:
        options.pop("continuous_update", None)  # a list has nothing to let go
        return widgets.Dropdown(**options)
    return widgets.SelectionSlider(**options)


def described(values: Mapping[str, object]) -> str:
    """The line that screen readers find above the picture.

    What such pictures show is told by the figures beside it.
    """
    settings = []
    for name, value in values.items():
        short = f"{value:.3g}" if isinstance(value, float) else value
        settings.append(f"{name} = {short}")
    return "Picture of the explorer at " + ", ".join(settings)


def box(
    controls: Mapping[str, Control],
    picture: Callable[[Mapping[str, object]], bytes],
    *,
    eager: bool,
):
    """Controls above the PNG file that `picture` makes of their values, anew at each change.

    An error that is EXPECTED becomes one line in place of the picture. Another line, for screen
    readers, says at which values it is drawn, since pictures of ipywidgets have no alt text.
    Children: controls, that line, the sentence, the picture.
    """
    widgets = ipywidgets()
    shown = image()
    message = widgets.Label()
    told = widgets.Label(layout={"height": "1px", "margin": "0", "overflow": "hidden"})
    parts = {name: control(one, continuous_update=eager) for name, one in controls.items()}

    def redraw(_=None) -> None:
        values = {name: part.value for name, part in parts.items()}
        try:
            shown.value = picture(values)
            told.value = described(values)
            message.value = ""
        except EXPECTED as error:
            told.value = ""
            message.value = " ".join(str(error).split())
        shown.layout.display = "none" if message.value else None
        message.layout.display = None if message.value else "none"

    for part in parts.values():
        part.observe(redraw, names="value")
    redraw()
    _freeze_imports()
    return widgets.VBox([*parts.values(), told, message, shown])


@cache
def _freeze_imports() -> None:
    """Once: else the collector goes through all that was imported, while a slider moves.

    That takes 0.3 s now and then.
    """
    gc.collect()
    gc.freeze()


@dataclass
class _Shown:
    """The boxes that a cell has shown, and the number of the execution that did."""

    execution: int
    boxes: list


_shown: dict[str, _Shown] = {}  # by cell


def show(box) -> None:
    """Show a box, unless it is None, and close those of earlier executions of the same cell.

    ipywidgets keeps every widget until it is closed, and with it the data that it draws. The
    notebook keeps what a cell returns: so this returns nothing.
    """
    if box is None:
        return
    from IPython.display import display

    cell, execution = _execution()
    before = _shown.get(cell)
    if before and before.execution != execution:
        for old in before.boxes:
            _close(old)
        before = None
    if cell:
        now = _shown[cell] = before or _Shown(execution, [])
        now.boxes.append(box)
    display(box)


def _execution() -> tuple[str, int]:
    """The cell that is being executed, by its identity or else by its text; which execution."""
    from IPython import get_ipython

    shell = get_ipython()
    if shell is None:
        return "", 0
    asked = shell.get_parent() if hasattr(shell, "get_parent") else {}
    cell = asked.get("metadata", {}).get("cellId") or shell.user_ns.get("In", [""])[-1]
    return cell, shell.execution_count


def _close(widget) -> None:
    """Close a widget and all that it consists of, and let go of what it draws."""
    for part in widget.trait_values().values():
        for inner in part if isinstance(part, tuple) else [part]:
            if isinstance(inner, ipywidgets().Widget):
                _close(inner)
    widget.unobserve_all()
    widget.close()
