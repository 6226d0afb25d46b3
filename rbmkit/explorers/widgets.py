"""What all explorers share: ipywidgets if it is there, a picture of a figure, and controls above a picture."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from io import BytesIO

import matplotlib.pyplot as plt
from matplotlib.figure import Figure


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


def explorer(controls: Mapping[str, object], draw: Callable[..., Figure]):
    """The controls above a picture of ``draw(name=value of the control, ...)``, drawn anew when one of them changes."""
    image = picture()

    def redraw(_=None) -> None:
        image.value = png(draw(**{name: control.value for name, control in controls.items()}))

    for control in controls.values():
        control.observe(redraw, names="value")
    redraw()
    return ipywidgets().VBox([*controls.values(), image])
