"""What all explorers share: ipywidgets if it is there, a picture of a figure, and controls above a picture."""

from __future__ import annotations

import gc
from collections.abc import Callable, Mapping
from functools import cache
from io import BytesIO

import matplotlib.pyplot as plt
from matplotlib.figure import Figure

EXPECTED = (ValueError, ArithmeticError, OSError)  # bad input, divergence, a missing file: said, not raised


def ipywidgets():
    """The module ipywidgets, or None and one line that says so: a notebook goes on without its explorers."""
    try:
        import ipywidgets
    except ImportError:
        print("The explorer needs ipywidgets (pip install ipywidgets); the figures beside it show the same.")
        return None
    return ipywidgets


def png(fig: Figure) -> bytes:
    """The figure as a PNG file; closes it."""
    file = BytesIO()
    fig.savefig(file, format="png", dpi=80)
    plt.close(fig)
    return file.getvalue()


def picture(value: bytes = b""):
    """A widget that shows a PNG file in its own size."""
    return ipywidgets().Image(value=value, format="png", layout={"align_self": "flex-start"})


def described(values: Mapping[str, object]) -> str:
    """The line that screen readers find above the picture; what such pictures show is told by the figures beside it."""
    short = {name: f"{value:.3g}" if isinstance(value, float) else value for name, value in values.items()}
    return "Picture of the explorer at " + ", ".join(f"{name} = {value}" for name, value in short.items())


def explorer(controls: Mapping[str, object], draw: Callable[..., Figure]):
    """The controls above a picture of ``draw(name=value of the control, ...)``, drawn anew when one of them changes.

    A ValueError, ArithmeticError or OSError of `draw` becomes one line in place of the picture. Another line, for
    screen readers, says at which values it is drawn, since pictures of ipywidgets have no alt text. The box that is
    returned has the attributes `controls` and `frame`, a function from values to a PNG file: the book calls it
    for pictures that slide without a kernel.
    """
    widgets = ipywidgets()
    image, message = picture(), widgets.Label()
    told = widgets.Label(layout={"height": "1px", "margin": "0", "overflow": "hidden"})

    def frame(**values) -> bytes:
        return png(draw(**values))

    def redraw(_=None) -> None:
        values = {name: control.value for name, control in controls.items()}
        try:
            image.value, told.value = frame(**values), described(values)
            message.value = ""
        except EXPECTED as error:
            message.value, told.value = " ".join(str(error).split()), ""
        image.layout.display, message.layout.display = ("none", None) if message.value else (None, "none")

    for control in controls.values():
        control.observe(redraw, names="value")
    redraw()
    _freeze_imports()
    box = widgets.VBox([*controls.values(), told, message, image])
    box.controls, box.frame = dict(controls), frame
    return replaced(box)


@cache
def _freeze_imports() -> None:
    """Once: else the collector goes through all that was imported, for 0.3 s, now and then while a slider moves."""
    gc.collect()
    gc.freeze()


_shown: dict[str, tuple[int, list]] = {}  # cell -> when it was executed last, and the explorers that it made


def replaced(box):
    """The same explorer, after those are closed that an earlier execution of the same cell has made.

    ipywidgets keeps every widget until it is closed, and the notebook keeps what each cell returned: both keep the
    data that the explorer draws.
    """
    cell, time = _execution()
    then, boxes = _shown.get(cell, (time, []))
    if then != time:
        for old in boxes:
            _close(old)
        boxes = []
    if cell:
        _shown[cell] = time, [*boxes, box]
    return box


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
    for name in ("frame", "replay"):
        vars(widget).pop(name, None)
    parts = [*widget.trait_values().values(), *vars(widget).pop("controls", {}).values()]
    for part in parts:
        for inner in part if isinstance(part, tuple) else [part]:
            if isinstance(inner, ipywidgets().Widget):
                _close(inner)
    widget.unobserve_all()
    widget.close()
    if hasattr(widget, "children"):
        widget.children = ()
