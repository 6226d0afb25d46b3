"""What an explorer is: controls, and a figure that depends on where they stand and on nothing else.

In a notebook `show` puts it below the cell, live. The book and ``run.py explore`` ask for its
pictures.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from io import BytesIO

import matplotlib.pyplot as plt
from matplotlib.figure import Figure

from rbmkit.explorers import widgets
from rbmkit.explorers.controls import Control


class Explorer(ABC):
    """Controls and a figure of their values.

    Attributes
    ----------
    controls : dict of Control
        By the names of the values that they set.
    eager : bool
        Draw while a slider moves? If not, when it is let go.
    buttons : tuple of str
        None, or the name of a button that goes on with the present values, and of one that starts
        again.
    """

    controls: Mapping[str, Control]
    eager = True
    buttons: tuple[str, ...] = ()

    @abstractmethod
    def figure(self, **values: object) -> Figure:
        """The figure at these values of the controls; with buttons, of those of the book."""

    @property
    def recorded(self) -> Mapping[str, Control]:
        """The controls of the pictures in the book."""
        return self.controls

    def picture(self, *settings: Mapping[str, object]) -> bytes:
        """PNG at these values of the controls.

        With buttons, after presses of the first of them, each at its values.
        """
        return png(self.figure(**settings[0]))

    def box(self):
        """A new widget with everything in it; None without ipywidgets, and a line that says so."""
        if widgets.ipywidgets() is None:
            return None
        return widgets.box(self.controls, self.picture, eager=self.eager)

    def show(self) -> None:
        """Put it below the cell; those go that an earlier execution of the cell has shown."""
        widgets.show(self.box())


def png(fig: Figure) -> bytes:
    """The figure as a PNG file; closes it."""
    file = BytesIO()
    fig.savefig(file, format="png", dpi=80)
    plt.close(fig)
    return file.getvalue()
