"""Explorers that run in the page: an ES module and its data, in JupyterLab and in the book."""

from __future__ import annotations

from base64 import b64encode
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rbmkit.data import mnist, trained
from rbmkit.explorers import widgets
from rbmkit.model import RBM


@dataclass(frozen=True)
class Live:
    """An explorer that needs no kernel.

    Attributes
    ----------
    module : str
        Text of an ES module whose `render` fills an element of the page (an anywidget).
    data : bytes
        What it draws.
    """

    module: str
    data: bytes

    def script(self) -> str:
        """The data as a script that pages load.

        They may not read other files where there is no server.
        """
        return f'globalThis.explorerData = "{b64encode(self.data).decode()}";\n'

    def box(self):
        """A new widget; None without anywidget, and a line that says so."""
        try:
            import anywidget
            import traitlets
        except ImportError:
            print(
                "The explorer needs anywidget (pip install anywidget); "
                "the figures beside it show the same."
            )
            return None

        class Page(anywidget.AnyWidget):
            _esm = self.module
            data = traitlets.Bytes(self.data).tag(sync=True)

        return Page()

    def show(self) -> None:
        """Put it below the cell; those go that an earlier execution of the cell has shown."""
        widgets.show(self.box())


def packed(rbm: RBM, digits: np.ndarray) -> bytes:
    """What completion.js unpacks.

    N, M, the number of digits; a, b in float32, W in float16; the digits (n, N), a byte per pixel.
    """
    parts = [
        np.array([rbm.N, rbm.M, len(digits)], "<u4"),
        rbm.a.astype("<f4"),
        rbm.b.astype("<f4"),
        rbm.W.astype("<f2"),
        digits.astype(np.uint8),
    ]
    return b"".join(part.tobytes() for part in parts)


def completion() -> Live:
    """Some rows of a digit are given, and chains of the trained model make the others.

    Digits to choose from: the first test digit of each kind.
    """
    digits = mnist()
    first = np.array([digits.test[digits.test_labels == kind][0] for kind in range(10)])
    module = Path(__file__).with_name("completion.js").read_text("utf-8")
    return Live(module, packed(trained(), first))
