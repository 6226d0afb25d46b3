"""The house style of figures: readable, not by colour alone, with a description for those who cannot see them."""

import os
import subprocess
import sys

import matplotlib.pyplot as plt
import numpy as np
import pytest

from rbmkit.figures import style


def luminance(colour):
    channels = np.array([int(colour[k : k + 2], 16) for k in (1, 3, 5)]) / 255
    return np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4) @ [
        0.2126,
        0.7152,
        0.0722,
    ]


def test_canvas_is_in_the_house_style_and_leaves_the_global_one_alone():
    before = dict(plt.rcParams)
    fig, axes = style.canvas(2, 3, size=(2.0, 1.5), sharex=True)
    assert axes.shape == (2, 3)
    np.testing.assert_allclose(fig.get_size_inches(), [6.0, 3.0])
    assert fig.get_facecolor() == (1.0, 1.0, 1.0, 1.0)  # opaque
    assert axes[0, 0].xaxis.label.get_size() >= 10
    assert all(label.get_size() >= 10 for label in axes[1, 0].get_xticklabels())
    assert dict(plt.rcParams) == before


def test_lines_differ_in_more_than_colour():
    _, ax = style.canvas()
    lines = [ax.plot([0, 1], [k, k])[0] for k in range(len(style.COLOURS))]
    assert len({line.get_color() for line in lines}) == len(lines)
    assert len({line.get_marker() for line in lines}) == len(lines)


def test_colours_stand_out_from_white():
    """Six of the eight have a contrast above 2.2 with white; the light ones rely on their markers."""
    contrast = [1.05 / (luminance(colour) + 0.05) for colour in style.COLOURS]
    assert sum(value > 2.2 for value in contrast) >= 6


def test_curves_draw_what_they_are_given():
    x, y, error = np.array([1.0, 2.0, 4.0]), np.array([3.0, 1.0, 2.0]), np.array([0.1, 0.2, 0.3])
    _, ax = style.curves({"low": (x, y, error), "high": (x, 2 * y)}, xlabel="time", ylabel="energy", xscale="log")
    low, high = ax.containers
    np.testing.assert_array_equal(low[0].get_xydata(), np.column_stack([x, y]))
    np.testing.assert_array_equal(high[0].get_ydata(), 2 * y)
    ends = np.array([bar[:, 1] for bar in low[2][0].get_segments()])
    np.testing.assert_allclose(ends, np.column_stack([y - error, y + error]))
    assert low[0].get_marker() != high[0].get_marker()
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["low", "high"]
    assert (ax.get_xlabel(), ax.get_ylabel(), ax.get_xscale()) == ("time", "energy", "log")
    _, same = style.curves({"one": (x, y)}, xlabel="", ylabel="", ax=ax)
    assert same is ax


def test_digits_are_placed_row_by_row_in_the_order_given():
    images = np.arange(5)[:, None] * np.ones((5, 6)) / 4
    _, ax = style.digits(images, columns=3, shape=(2, 3))
    mosaic = ax.images[0].get_array()
    assert mosaic.shape == (2 * 3 + 1, 3 * 4 + 1)
    assert not ax.axison
    for k in range(5):
        top, left = k // 3 * 3 + 1, k % 3 * 4 + 1
        np.testing.assert_array_equal(mosaic[top : top + 2, left : left + 3], k / 4)
    assert mosaic.mask[:, 0].all()  # the frame between images
    assert mosaic.mask[4:6, 9:12].all()  # the place of the sixth


def test_digits_scale_is_symmetric_for_signed_images():
    _, ax = style.digits(np.array([[-0.5, 2.0, 0.0, 1.0]]), shape=(2, 2), title="Filters")
    assert ax.images[0].get_clim() == (-2.0, 2.0)
    assert ax.get_title() == "Filters"
    _, ax = style.digits(np.zeros((1, 4)), shape=(2, 2))
    assert ax.images[0].get_clim() == (0.0, 1.0)


def test_show_displays_once_with_its_description_and_closes(monkeypatch):
    shown = []
    monkeypatch.setattr("IPython.display.display", lambda fig, **kwargs: shown.append((fig, kwargs)))
    fig, _ = style.canvas()
    style.show(fig, "A line that rises.")
    assert shown == [(fig, {"metadata": {"image/png": {"alt": "A line that rises."}}})]
    assert not plt.fignum_exists(fig.number)
    with pytest.raises(ValueError, match="needs a description"):
        style.show(style.canvas()[0], "  ")


def test_show_is_a_picture_whatever_mplbackend_says():
    """Not the text <Figure size ...>, as in a notebook whose kernel was started with MPLBACKEND=Agg."""
    code = """
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output
from rbmkit.figures import show, style
InteractiveShell.instance()
with capture_output() as seen:
    show(style.canvas()[0], "Empty axes.")
print([(*sorted(out.data), out.metadata["image/png"]["alt"]) for out in seen.outputs])
"""
    environment = {**os.environ, "MPLBACKEND": "Agg"}
    printed = subprocess.check_output([sys.executable, "-c", code], env=environment, text=True)
    assert printed.strip() == "[('image/png', 'text/plain', 'Empty axes.')]"
