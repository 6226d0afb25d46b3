"""Explorers in a notebook, by ipywidgets: controls above a picture, and memory that returns."""

from __future__ import annotations

import gc
from collections.abc import Callable, Mapping
from functools import cache

from rbmkit.explorers.controls import Control, Slider

EXPECTED = (ValueError, ArithmeticError, OSError)  # bad input, divergence, a missing file: said, not raised


def ipywidgets():
    """The module ipywidgets, or None and one line that says so: a notebook goes on without its explorers."""
    try:
        import ipywidgets
    except ImportError:
        print("The explorer needs ipywidgets (pip install ipywidgets); the figures beside it show the same.")
        return None
    return ipywidgets


def image(value: bytes = b""):
    """A widget that shows a PNG file in its own size."""
    return ipywidgets().Image(value=value, format="png", layout={"align_self": "flex-start"})


def control(one: Control, **options: object):
    """The widget of a control."""
    widgets, options = ipywidgets(), {"value": one.start, "description": one.name, **options}
    if isinstance(one, Slider):
        whole = all(isinstance(number, int) for number in (one.start, one.low, one.high, one.step))
        kind = widgets.FloatLogSlider if one.base else widgets.IntSlider if whole else widgets.FloatSlider
        return kind(min=one.low, max=one.high, step=one.step, **({"base": one.base} if one.base else {}), **options)
    if one.listed:
        options.pop("continuous_update", None)  # a list has nothing to let go
    kind = widgets.Dropdown if one.listed else widgets.SelectionSlider
    return kind(options=[(one.text(value), value) for value in one.values], **options)


def described(values: Mapping[str, object]) -> str:
    """The line that screen readers find above the picture; what such pictures show is told by the figures beside it."""
    short = {name: f"{value:.3g}" if isinstance(value, float) else value for name, value in values.items()}
    return "Picture of the explorer at " + ", ".join(f"{name} = {value}" for name, value in short.items())


def box(controls: Mapping[str, Control], picture: Callable[[Mapping[str, object]], bytes], *, eager: bool):
    """Controls above the PNG file that `picture` makes of their values, made anew when one of them changes.

    An error that is EXPECTED becomes one line in place of the picture. Another line, for screen readers, says at
    which values it is drawn, since pictures of ipywidgets have no alt text. Children: controls, that line, the
    sentence, the picture.
    """
    widgets = ipywidgets()
    shown, message = image(), widgets.Label()
    told = widgets.Label(layout={"height": "1px", "margin": "0", "overflow": "hidden"})
    parts = {name: control(one, continuous_update=eager) for name, one in controls.items()}

    def redraw(_=None) -> None:
        values = {name: part.value for name, part in parts.items()}
        try:
            shown.value, told.value = picture(values), described(values)
            message.value = ""
        except EXPECTED as error:
            message.value, told.value = " ".join(str(error).split()), ""
        shown.layout.display, message.layout.display = ("none", None) if message.value else (None, "none")

    for part in parts.values():
        part.observe(redraw, names="value")
    redraw()
    _freeze_imports()
    return widgets.VBox([*parts.values(), told, message, shown])


@cache
def _freeze_imports() -> None:
    """Once: else the collector goes through all that was imported, for 0.3 s, now and then while a slider moves."""
    gc.collect()
    gc.freeze()


_shown: dict[str, tuple[int, list]] = {}  # cell -> when it was executed last, and the boxes that it showed


def show(box) -> None:
    """Show a box, unless it is None, after those are closed that an earlier execution of the same cell has shown.

    ipywidgets keeps every widget until it is closed, and with it the data that it draws. The notebook keeps what a
    cell returns: so this returns nothing.
    """
    if box is None:
        return
    from IPython.display import display

    cell, time = _execution()
    then, boxes = _shown.get(cell, (time, []))
    if then != time:
        for old in boxes:
            _close(old)
        boxes = []
    if cell:
        _shown[cell] = time, [*boxes, box]
    display(box)


def _execution() -> tuple[str, int]:
    """The cell that is being executed, by its identity or else by its text, and the number of this execution."""
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
