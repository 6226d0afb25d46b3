"""The house style of figures: readable, not by colour alone, with a description for the blind."""

import base64
import io
import os
import subprocess
import sys

import matplotlib.pyplot as plt
import numpy as np
import pytest
from PIL import Image

from rbmkit.figures import legible, reciprocal, style, symmetry
from tools import series


def luminance(colour):
    channels = np.array([int(colour[k : k + 2], 16) for k in (1, 3, 5)]) / 255
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    return linear @ [0.2126, 0.7152, 0.0722]


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
    """Six of the eight have a contrast above 2.2 with white; light ones rely on their markers."""
    contrast = [1.05 / (luminance(colour) + 0.05) for colour in style.COLOURS]
    assert sum(value > 2.2 for value in contrast) >= 6


def test_curves_draw_what_they_are_given():
    x, y, error = np.array([[1.0, 2.0, 4.0], [3.0, 1.0, 2.0], [0.1, 0.2, 0.3]])
    lines = {"low": (x, y, error), "high": (x, 2 * y)}
    _, ax = style.curves(lines, xlabel="time", ylabel="energy", xscale="log")
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


def test_one_legend_names_what_is_in_all_panels_once():
    fig, (left, right) = style.canvas(1, 2, size=(3.6, 2.0))
    left.plot([0, 1], [0, 1], label="a")
    right.plot([0, 1], [0, 1], label="a")
    right.plot([0, 1], [1, 0], label="b")
    style.legend_below(fig)
    (legend,) = fig.legends
    assert [text.get_text() for text in legend.get_texts()] == ["a", "b"]
    fig.draw_without_rendering()
    assert legend.get_window_extent().y1 < min(ax.get_window_extent().y0 for ax in fig.axes)


def test_show_displays_once_with_its_description_and_closes(monkeypatch):
    shown = []
    monkeypatch.setattr("IPython.display.display", shown.append)
    fig, ax = style.canvas(size=(5.0, 3.0))
    ax.set_xlabel("time")
    style.show(fig, "A line that rises.")
    (picture,) = shown
    assert picture.alt == "A line that rises."
    stored = Image.open(io.BytesIO(picture.data))
    assert stored.size == (pytest.approx(5.0 * 192, abs=4), pytest.approx(3.0 * 192, abs=4))
    assert picture.width == stored.width // 2  # twice the resolution
    assert stored.mode == "P"  # a palette
    assert not plt.fignum_exists(fig.number)
    with pytest.raises(ValueError, match="needs a description"):
        style.show(style.canvas()[0], "  ")


def test_show_is_a_picture_whatever_mplbackend_says():
    """Not the text <Figure size ...>, as in a notebook whose kernel has MPLBACKEND=Agg."""
    code = """
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output
from rbmkit.figures import show, style
InteractiveShell.instance()
with capture_output() as seen:
    show(style.canvas()[0], "Empty axes.")
print([(*sorted(out.data), *sorted(out.metadata["image/png"])) for out in seen.outputs])
"""
    environment = {**os.environ, "MPLBACKEND": "Agg"}
    printed = subprocess.check_output([sys.executable, "-c", code], env=environment, text=True)
    assert printed.strip() == "[('image/png', 'text/plain', 'alt', 'height', 'width')]"


# ---------------------------------------------------------------- the rule of figures
def figure_problems(file: bytes, shown: float | None) -> list[str]:
    """What is wrong with a picture of a notebook that is `shown` so many pixels wide."""
    picture = Image.open(io.BytesIO(file))
    if "smallest text" not in picture.text:
        return ["was not made by `show`"]
    problems = []
    if picture.width > legible.WIDTH * style.DENSITY + 1:
        problems.append(f"is {picture.width / style.DENSITY:.2f} inches wide")
    if shown is None or abs(picture.width / 2 - shown) > 1:
        problems.append(f"has {picture.width} dots on {shown} pixels")
    if float(picture.text["smallest text"]) < legible.LETTERS:
        problems.append(f"has letters of {picture.text['smallest text']} points")
    if picture.text["under legends"]:
        problems.append(f"has legends on {picture.text['under legends']}")
    return problems


@pytest.mark.parametrize("name", series.names())
def test_pictures_of_the_notebooks_keep_the_rule(name):
    """Width, resolution, letters and legends; tests/test_notebooks.py has the size of the file."""
    problems, count = [], 0
    for k, cell in enumerate(series.read(name).cells):
        for out in cell.get("outputs", []):
            if "image/png" in out.get("data", {}):
                file = base64.b64decode(out.data["image/png"])
                found = figure_problems(file, out.metadata["image/png"].get("width"))
                problems += [f"the figure of cell {k} {problem}" for problem in found]
                count += 1
    assert problems == []
    assert count > 0


def test_figure_rule():
    def stored(size=(5.0, 3.0), **text):
        fig, ax = style.canvas(size=size)
        ax.plot([0, 1], [0, 1], label="a line")
        ax.set_xlabel("x", **text)
        return fig, ax

    good = style.png(stored()[0])
    assert figure_problems(good, 480) == []
    assert figure_problems(good, None) == ["has 960 dots on None pixels"]
    assert figure_problems(good, 960) == ["has 960 dots on 960 pixels"]
    small = style.png(stored(fontsize=8)[0])
    assert figure_problems(small, 480) == ["has letters of 8 points"]
    wide = style.png(stored(size=(8.0, 3.0))[0])
    assert figure_problems(wide, 768) == ["is 8.00 inches wide"]
    fig, ax = stored()
    ax.legend(loc="center")
    assert figure_problems(style.png(fig), 480) == ["has legends on Line2D a line"]
    file = io.BytesIO()
    stored()[0].savefig(file)
    assert figure_problems(file.getvalue(), 480) == ["was not made by `show`"]


X = np.linspace(0.01, 1, 50)
UNDER = {
    "line": lambda ax: ax.plot(X, X),
    "point": lambda ax: ax.plot([0.5], [0.5], "o"),
    "one scattered point": lambda ax: ax.scatter([0.5], [0.5]),
    "scattered points": lambda ax: ax.scatter([0.5, 0.9], [0.5, 0.1]),
    "error bar": lambda ax: ax.errorbar([0.5], [0.1], 0.4, fmt="o"),
    "band": lambda ax: ax.fill_between(X, 0, 0.9),
    "bars": lambda ax: ax.hist(X, bins=5, density=True),
    "area": lambda ax: ax.stairs([0.9, 0.9], [0, 0.5, 1], fill=True),
}
BESIDE = {
    "line below": lambda ax: ax.plot(X, 0.1 * X),
    "line with a gap": lambda ax: ax.plot([0.01, np.nan, 1], [0.01, 0.5, 1]),
    "hidden line": lambda ax: ax.plot(X, X, visible=False),
    "point beside": lambda ax: ax.scatter([0.95], [0.95]),
    "band below": lambda ax: ax.fill_between(X, 0, 0.1),
    "outline around": lambda ax: ax.stairs([0.9, 0.9], [0, 0.5, 1]),
    "lines across": lambda ax: (ax.axhline(0.5), ax.axvspan(0.4, 0.6), ax.axline((0, 0), slope=1)),
}


def under_legend(draw, **axes):
    fig, ax = style.canvas()
    draw(ax)
    ax.plot([], [], label="a label")
    ax.set(**{"xlim": (0, 1), "ylim": (0, 1)} | axes)
    ax.legend(loc="center")
    return legible.covered(fig)


@pytest.mark.parametrize("draw", UNDER.values(), ids=UNDER)
def test_what_is_under_a_legend_is_found(draw):
    assert under_legend(draw)


@pytest.mark.parametrize("draw", BESIDE.values(), ids=BESIDE)
def test_what_is_beside_a_legend_is_not_under_it(draw):
    assert under_legend(draw) == []


def test_legends_are_compared_with_data_on_the_screen():
    """On logarithmic axes, and for a legend of the figure."""
    logarithmic = {"xscale": "log", "yscale": "log", "xlim": (0.01, 1), "ylim": (0.01, 1)}
    assert under_legend(lambda ax: ax.plot(X, X), **logarithmic)
    assert under_legend(lambda ax: ax.plot(X, X**4), **logarithmic) == []
    fig, ax = style.canvas()
    ax.plot(X, X, label="a line")
    assert legible.covered(fig) == []
    fig.legend(loc="center")
    assert legible.covered(fig) == ["Line2D a line"]


def test_smallest_text_is_that_which_is_seen():
    fig, ax = style.canvas()
    fig.draw_without_rendering()  # makes the numbers of the axes
    assert legible.smallest_text(fig) == 10
    ax.text(0.5, 0.5, " ", fontsize=5)
    ax.text(0.5, 0.5, "hidden", fontsize=5, visible=False)
    assert legible.smallest_text(fig) == 10
    ax.text(0.5, 0.5, "small", fontsize=7)
    assert legible.smallest_text(fig) == 7


# ---------------------------------------------------------------- what figures compute
def test_outlines_are_around_half_and_nine_tenths_of_the_points():
    x, y = np.random.default_rng(0).normal(size=(2, 200))
    _, ax = style.canvas()
    reciprocal.outline(ax, x, 3 * y + x)
    wide, narrow = ax.collections[0].get_paths()
    for path, share in ((wide, 0.9), (narrow, 0.5)):
        within = path.contains_points(np.column_stack([x, 3 * y + x]))
        assert within.mean() == pytest.approx(share, abs=0.03)


def test_classes_have_their_quartiles():
    u, labels = np.arange(100.0), np.arange(100) // 50
    _, ax = style.canvas()
    reciprocal.classes(ax, u, labels, -u)
    lines, medians = ax.lines[::2], ax.lines[1::2]
    np.testing.assert_allclose(lines[1].get_xdata(), [62.25, 86.75])
    np.testing.assert_allclose([point.get_xdata()[0] for point in medians[:2]], [24.5, 74.5])
    assert np.isnan(lines[5].get_xdata()).all()  # no fives
    assert [tick.get_text() for tick in ax.get_yticklabels()] == [*"0123456789", "samples"]
    assert lines[10].get_xdata()[0] == -74.25


def test_the_lower_wells_reach_above_the_hill():
    u = np.linspace(-6, 6, 61)
    hill = 0.1 * (u**2 - 16) ** 2 + u  # a maximum of 25.6 near 0, minima near -4 and 4
    flat = u**2
    error = 0.1 * np.ones(61)
    starts = np.array([flat, flat, flat])
    well_a = symmetry.Well("a", u, flat, error, starts, z=u, landau=hill)
    well_b = symmetry.Well("b", u, flat, error, starts, z=u, landau=flat)
    _, ax = symmetry.double_wells([well_a, well_b])
    top = 1.15 * (hill[20:40].max() - hill.min())
    assert ax[1, 0].get_ylim()[1] == pytest.approx(top)
    assert ax[1, 1].get_ylim()[1] == pytest.approx(1.15 * 8)  # no hill: that of the upper row
    assert ax[0, 0].get_ylim()[1] == 8
