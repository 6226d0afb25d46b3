"""Explorers as pages: places of their controls, and HTML, for the book and the live explorers.

A picture has the address I-J-K.png: I, J and K are the places of the controls, counted from 0. In
the book such files lie there, for some places of some controls; live, a program draws what is asked
for. docs/_static/frames.js works for both.
"""

from __future__ import annotations

import html
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass

from rbmkit.explorers.controls import Choice, Control


@dataclass(frozen=True)
class Axis:
    """A control in a page.

    Attributes
    ----------
    name : str
    texts : list of str
        Its values, as they are shown.
    start : int
        The place where it stands first, from 0.
    listed : bool
        Is it a list to choose from, and not a slider?
    """

    name: str
    texts: list[str]
    start: int
    listed: bool = False


def choices(control: Control, count: int) -> list:
    """At most `count` values of a control, its first one among them.

    They are in equal ratios if the range is wide, else at equal distances.
    """
    every = list(control.values)
    if len(every) <= count:
        return every
    if isinstance(control, Choice):
        return every[:: math.ceil(len(every) / count)]
    low = every[0]
    high = every[-1]
    wide = low > 0 and high / low > 50
    at = [k / (count - 1) for k in range(count)]
    values = [low * (high / low) ** t if wide else low + (high - low) * t for t in at]
    values = [min(every, key=lambda one, value=value: abs(one - value)) for value in values]
    nearest = min(range(count), key=lambda k: abs(values[k] - control.start))
    values[nearest] = control.start
    return sorted(set(values))


def axis(control: Control, values: Sequence) -> Axis:
    """How a page shows a control that takes these values."""
    start = min(range(len(values)), key=lambda k: distance(values[k], control.start))
    return Axis(control.name, [control.text(value) for value in values], start, control.listed)


def distance(one, other) -> float:
    """Of two numbers; of other things, 0 if they are equal and 1 if not."""
    numbers = [isinstance(x, (int, float)) and not isinstance(x, bool) for x in (one, other)]
    return abs(one - other) if all(numbers) else float(one != other)


def markup(
    axes: Sequence[Axis],
    folder: str,
    first: str,
    *,
    width: int,
    note: str,
    live: bool = False,
    buttons: Sequence[str] = (),
) -> str:
    """The HTML of an explorer.

    Parameters
    ----------
    axes : list of Axis
    folder, first : str
        Address of the pictures, and the name of the first one, without its ending.
    width : int
        Pixels below which the picture does not shrink; on a phone, larger ones scroll.
    note : str
        A line of HTML below the picture.
    live : bool, optional
        Are pictures drawn on demand? Then they are asked for one at a time.
    buttons : two str, optional
        Names of a button that does something with the present settings, and of one that starts
        again.
    """
    at = html.escape(", ".join(f"{axis.name} = {axis.texts[axis.start]}" for axis in axes))
    data = html.escape(json.dumps([[axis.name, axis.texts] for axis in axes]))
    lines = [f'<div class="frames" data-folder="{folder}" data-axes="{data}"{" data-live" * live}>']
    lines += [control_markup(axis) for axis in axes]
    lines += [f"<button type='button'>{html.escape(name)}</button> " for name in buttons]
    lines += [f'<div class="scroll"><img src="{folder}/{first}.png" style="min-width: {width}px" ']
    lines += [f'alt="Picture of the explorer at {at}"></div>']
    lines += [f'<p role="status"></p><p>{note}</p></div>']
    return "".join(lines)


def live_markup(name: str, module: str, data: str, note: str) -> str:
    """The HTML of an explorer that runs in the page.

    `module` is its JavaScript, and `data` the address of the script with its data, `Live.script`.
    """
    start = "const bytes = Uint8Array.from(atob(explorerData), (c) => c.charCodeAt(0));\n"
    start += f"render({{ model: {{ get: () => bytes }}, el: document.getElementById('{name}') }});"
    parts = [
        f'<div class="live"><div id="{name}"></div><p>{note}</p></div>',
        f'<script defer src="{data}"></script>',
        f'<script type="module">\n{module}\n{start}\n</script>\n',
    ]
    return "\n\n".join(parts)


def control_markup(axis: Axis) -> str:
    """A slider, or a list to choose from."""
    name = html.escape(axis.name)
    texts = [html.escape(text) for text in axis.texts]
    if axis.listed:
        options = ""
        for k, text in enumerate(texts):
            selected = " selected" if k == axis.start else ""
            options += f"<option value='{k}'{selected}>{text}</option>"
        control = f"<select aria-label='{name}'>{options}</select>"
    else:
        limits = f"min='0' max='{len(texts) - 1}' step='1' value='{axis.start}'"
        control = f"<input type='range' {limits} aria-label='{name}'>"
        control += f"<output>{texts[axis.start]}</output>"
    return f"<label><span>{name}</span>{control}</label>"
