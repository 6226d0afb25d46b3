"""The explorers of all notebooks at their ends, their messages, and the colours; that of notebook 1
by its buttons."""

import io
import itertools
import os
import re
import subprocess
import sys

import numpy as np
import pytest

import rbmkit
from rbmkit import RBM
from rbmkit.explorers import EXPLORERS, NOTEBOOKS, completion, widgets
from rbmkit.explorers.controls import Slider
from rbmkit.explorers.explorer import Explorer, png
from rbmkit.explorers.training import Session, steering
from rbmkit.figures.style import COLOURS, MARKERS, canvas
from tools import series

# completion runs in the page, see test_browser.py
DRAWN = [name for name in EXPLORERS if name != "completion"]


def steer():
    return steering().box()


def test_a_session_improves_and_draws():
    session = Session(seed=1)
    before = png(session.figure())
    for _ in range(4):
        session.advance("PCD", 5, 0.3)
    after = png(session.figure())
    assert before.startswith(b"\x89PNG")
    assert after.startswith(b"\x89PNG")
    assert after != before
    assert len(session.likelihood) == 21
    assert session.training.update == 1000
    # nats; the exact likelihood of bars and stripes
    assert session.likelihood[-1] > session.likelihood[0] + 3
    session.advance("CD", 1, 0.1)
    assert session.training.method == "CD"
    assert session.training.steps == 1


def test_buttons_train_and_start_again():
    settings, buttons, image = steer().children
    train, again, message = buttons.children
    pictures = [bytes(image.value)]
    for button in (train, train, again):
        button.click()
        pictures.append(bytes(image.value))
    assert len(set(pictures)) == 4
    assert "best possible" in message.value


def test_extreme_settings_give_a_message_not_a_traceback():
    (method, steps, rate), (train, _, message) = (row.children for row in steer().children[:2])
    method.value = "Rdm"
    steps.value = steps.max
    rate.value = 10.0**rate.max
    seen = {message.value}
    for _ in range(3):
        train.click()
        assert "nats" in message.value or "learning rate" in message.value
        seen.add(message.value)
    assert len(seen) == 4


def test_a_training_beyond_repair_says_so_and_starts_again():
    """Rdm-1 at a large rate: after some clicks the couplings are too large to enumerate; not one
    click is silent."""
    (method, steps, rate), (train, again, message) = (row.children for row in steer().children[:2])
    method.value = "Rdm"
    steps.value = 1
    rate.value = 10**0.5
    seen = []
    for _ in range(10):
        train.click()
        seen.append(message.value)
    assert len(set(seen)) == 10
    assert any("the largest coupling is" in text for text in seen)
    assert seen[-1].startswith("This training is beyond repair, start again: fields reach")
    again.click()
    assert message.value.startswith("dotted line")
    rate.value = 0.1
    train.click()
    assert message.value.startswith("log-likelihood -1")


def test_data_of_the_live_explorer():
    """Sizes, fields, couplings and digits, one after the other; rounding changes no free energy by
    0.1."""
    rbm = rbmkit.trained()
    file = io.BytesIO(completion().data)
    sizes = np.frombuffer(file.read(4 * 3), "<u4")
    fields = np.frombuffer(file.read(4 * 1284), "<f4")
    W = np.frombuffer(file.read(2 * 784 * 500), "<f2").reshape(784, 500)
    digits = np.frombuffer(file.read(), np.uint8).reshape(10, 784)
    assert sizes.tolist() == [784, 500, 10]
    rounded = RBM(W.astype(float), fields[:784].astype(float), fields[784:].astype(float))
    change = rounded.free_energy(digits) - rbm.free_energy(digits)
    assert 0 < abs(change).max() < 0.1


def test_without_anywidget_a_line_says_so(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "anywidget", None)
    assert completion().show() is None
    assert "needs anywidget" in capsys.readouterr().out


def test_without_ipywidgets_a_line_says_so(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "ipywidgets", None)
    assert steering().show() is None
    assert "needs ipywidgets" in capsys.readouterr().out


# cells: the set-up, two explorers and that of notebook 1, one explorer; the second is executed
# again and again
MEMORY = '''
import gc
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell.instance()
three, one = "new(); new(); steering().show()", "new()"
seen = []
for cell in [SETTING, three, one, *[three] * 4]:
    shell.run_cell(cell, store_history=True).raise_error()
    gc.collect()
    seen.append((len(shell.user_ns["Source"].alive), len(shell.user_ns["_instances"])))
print(*seen[2:], sep="|")
'''
SETTING = '''
import weakref
from ipywidgets.widgets.widget import _instances
from rbmkit.explorers import steering
from rbmkit.explorers.controls import Slider
from rbmkit.explorers.explorer import Explorer
from rbmkit.figures.style import canvas

class Source(Explorer):
    alive = weakref.WeakSet()
    controls = {"x": Slider("x", 0, 0, 9)}
    def __init__(self):
        self.alive.add(self)
    def figure(self, x):
        return canvas()[0]

def new():
    Source().show()
'''


def test_memory_returns_when_a_cell_is_executed_again():
    """Only what the last execution made is alive, data and widgets; explorers of other cells
    stay."""
    code = f"SETTING = {SETTING!r}\n{MEMORY}"
    printed = subprocess.check_output([sys.executable, "-c", code], text=True)
    (counts,) = [line.split("|") for line in printed.splitlines() if "|" in line]
    assert counts[0].startswith("(3, ")
    assert len(counts) == 5
    assert set(counts) == {counts[0]}


# ---------------------------------------------------------------- all explorers


def ends(control):
    """The extreme values of a control."""
    return [control.values[0], control.values[-1]]


def check_answer(box):
    """A picture, or a message in its place: one line without a trace of a traceback."""
    image, message = box.children[-1], box.children[-2]
    if message.value:
        assert image.layout.display == "none"
        assert len(message.value) < 300
        assert "Traceback" not in message.value
    else:
        assert image.layout.display is None
        assert bytes(image.value).startswith(b"\x89PNG")


@pytest.mark.filterwarnings("error::RuntimeWarning")
# the tests of steering are above
@pytest.mark.parametrize("name", [name for name in DRAWN if name != "steering"])
def test_every_explorer_at_its_ends(name, one_thread):
    """All corners of the box of controls, up to 64."""
    explorer = EXPLORERS[name]()
    box = explorer.box()
    for corner in itertools.islice(itertools.product(*map(ends, explorer.controls.values())), 64):
        for control, value in zip(box.children, corner):
            control.value = value
        check_answer(box)


@pytest.mark.parametrize("name", DRAWN)
def test_widgets_are_the_controls(name):
    """Each stands where the control does and moves through its values: also the books and pages
    have these."""
    for control in EXPLORERS[name]().controls.values():
        widget = widgets.control(control)
        assert widget.description == control.name
        assert widget.value == control.start
        for value in control.values[:: max(1, len(control.values) // 50)]:
            widget.value = value
            assert widget.value == value


def test_explorers_go_on_without_ipywidgets(tmp_path):
    """In a Python that cannot import ipywidgets, each prints a line and has pictures as before."""
    (tmp_path / "ipywidgets.py").write_text("raise ImportError('blocked for this test')")
    code = "from rbmkit.explorers import relaxing_mode as r, steering as s; r().show(); s().show()"
    code += "; print(r().figure(3.0, 1.0, 0.0, 1.0).axes[0].get_title())"
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(tmp_path), str(series.ROOT)])}
    told = {"capture_output": True, "text": True, "check": False}
    done = subprocess.run([sys.executable, "-c", code], env=environment, cwd=tmp_path, **told)
    lines = done.stdout.splitlines()
    assert [line[:29] for line in lines[:2]] == ["The explorer needs ipywidgets"] * 2, done.stderr
    assert lines[2].startswith("βU")


def test_notebooks_show_the_explorers_of_the_table():
    """In its order, and every notebook but the index has one."""
    assert list(NOTEBOOKS) == [name for name in series.names() if name != "00_index"]
    for notebook, makers in NOTEBOOKS.items():
        assert list(series.explorers(series.read(notebook))) == [make.__name__ for make in makers]


class Fussy(Explorer):
    controls = {"x": Slider("x", 0, 0, 4)}

    def figure(self, x):
        if x > 2:
            raise ValueError("x must be\n at most 2")
        if x == 2:
            raise FileNotFoundError("no such file: a.npz")
        return canvas()[0]


def test_bad_input_is_a_message():
    box = Fussy().box()
    slider, told, message, image = box.children
    check_answer(box)
    picture = image.value
    assert told.value == "Picture of the explorer at x = 0"
    slider.value = 4
    assert told.value == ""
    assert message.value == "x must be at most 2"
    check_answer(box)
    slider.value = 2
    assert message.value == "no such file: a.npz"
    slider.value = 1
    assert message.value == ""
    assert image.value == picture
    assert told.value == "Picture of the explorer at x = 1"
    check_answer(box)


@pytest.mark.parametrize("loader", ["mnist", "trained", "trajectory"])
@pytest.mark.parametrize("damage", ["missing", "corrupt"])
def test_a_bad_data_file_is_a_sentence_in_jupyter(loader, damage, tmp_path, monkeypatch, capsys):
    from IPython.core.interactiveshell import InteractiveShell

    monkeypatch.setenv("RBMKIT_DATA", str(tmp_path))
    if damage == "corrupt":
        for path in [*(series.ROOT / "data").glob("*.npz"), series.ROOT / "data" / "SHA256SUMS"]:
            (tmp_path / path.name).write_bytes(path.read_bytes()[:1000])
    shell = InteractiveShell()
    shell.run_cell(f"import rbmkit; rbmkit.{loader}()")
    shown = "".join(capsys.readouterr())
    assert "Traceback" not in shown
    assert len(shown.strip().splitlines()) == 1
    reasons = {"missing": "no such file", "corrupt": "cannot be read|truncated or altered"}
    assert re.search(reasons[damage], shown)


def test_a_defect_of_the_program_is_not_hidden():
    class Defect(Fussy):
        def figure(self, x):
            return {}["no such key"]

    with pytest.raises(KeyError):
        Defect().box()


# ---------------------------------------------------------------- colours

# Machado, Oliveira and Fernandes (2009), full severity, for linear RGB
DEFICIENCIES = {
    "protanopia": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "deuteranopia": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
    "tritanopia": [
        [1.255528, -0.076749, -0.178779],
        [-0.078411, 0.930809, 0.147602],
        [0.004733, 0.691367, 0.303900],
    ],
    "none": np.eye(3),
}
TO_XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])


def seen(colours, deficiency):
    """CIELAB coordinates of hexadecimal colours as seen with a deficiency."""
    rgb = np.array([[int(c[k : k + 2], 16) / 255 for k in (1, 3, 5)] for c in colours])
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    linear = np.clip(linear @ np.transpose(DEFICIENCIES[deficiency]), 0, 1)
    x, y, z = (np.cbrt(linear @ TO_XYZ.T / (TO_XYZ.sum(axis=1)))).T
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=1)


def smallest_difference(colours, deficiency):
    lab = seen(colours, deficiency)
    return min(np.linalg.norm(a - b) for a, b in itertools.combinations(lab, 2))


@pytest.mark.parametrize("deficiency", DEFICIENCIES)
def test_palette_is_told_apart(deficiency):
    """Any two colours of the house differ by several times what the eye can tell (about 2.3 in
    CIELAB)."""
    assert smallest_difference(COLOURS, deficiency) > 10
    assert smallest_difference(COLOURS[:4], deficiency) > 15
    assert len(set(MARKERS)) == len(COLOURS)  # and colour is never alone


def test_palette_test_finds_a_bad_pair():
    assert smallest_difference(["#ff0000", "#00ff00"], "none") > 100
    red_and_olive = ["#c04040", "#7a7a20"]
    blind, full = (smallest_difference(red_and_olive, sight) for sight in ("deuteranopia", "none"))
    assert blind < 0.5 * full


@pytest.mark.parametrize("deficiency", DEFICIENCIES)
def test_colour_maps_keep_their_order(deficiency):
    """Diverging maps: lightness tells the distance from the middle, and the two ends differ in
    hue."""
    from matplotlib import colormaps
    from matplotlib.colors import to_hex

    for name in ("PuOr_r", "RdBu_r"):
        lab = seen([to_hex(c) for c in colormaps[name](np.linspace(0.05, 0.95, 11))], deficiency)
        assert (np.diff(lab[:6, 0]) > 0).all()
        assert (np.diff(lab[5:, 0]) < 0).all()
        assert np.linalg.norm(lab[0] - lab[-1]) > 20
