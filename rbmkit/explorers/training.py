"""Explorers of notebook 1: steer the training of a small RBM, and let a large one complete digits."""

from __future__ import annotations

import copy
import io
import warnings
from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from rbmkit.data import bars_and_stripes
from rbmkit.explorers.widgets import EXPECTED, explorer, ipywidgets, picture, replaced
from rbmkit.figures.style import COLOURS, canvas
from rbmkit.figures.training import completions
from rbmkit.likelihood import exact_log_z, log_likelihood
from rbmkit.model import RBM
from rbmkit.optimisers import SGD
from rbmkit.sampling import gibbs
from rbmkit.starts import METHODS
from rbmkit.training import Training

_SIDE, _HIDDEN, _UPDATES = 4, 12, 50
_KEPT = 300  # trainings of a Replay
BUTTONS = "train 250 updates", "start again"
_ROWS, _ANSWERS = 28, 8  # of a digit, to a question


class Session:
    """The state behind the widget: a training, the likelihood so far, and the picture of both.

    Attributes
    ----------
    training : Training
    likelihood : list of float
        Exact log-likelihood of the patterns after every 50 updates, in nats.
    """

    def __init__(self, seed: int = 0):
        self.patterns = bars_and_stripes(_SIDE)
        start = RBM.random(_SIDE**2, _HIDDEN, sigma=0.1, rng=seed)
        self.training = Training(start, self.patterns, batch_size=len(self.patterns), rng=seed)
        self.likelihood = [self._measure()]
        self._figure()

    def advance(self, method: str, steps: int, learning_rate: float, bursts: int = 5) -> bytes:
        """Train for `bursts` times 50 updates with these settings; returns the new picture (PNG)."""
        self.training.method, self.training.steps, self.training.optimiser = method, steps, SGD(learning_rate)
        for _ in range(bursts):
            self.training.run(_UPDATES, progress=False)
            self.likelihood.append(self._measure())
        return self.picture()

    def picture(self) -> bytes:
        """PNG of the likelihood curve and of samples after 100 steps."""
        updates = _UPDATES * np.arange(len(self.likelihood))
        self._line.set_data(updates, self.likelihood)
        self._left.set(xlim=(0, max(updates[-1], 1)), ylim=(min(self.likelihood) - 0.5, -2.5))
        samples = gibbs(self.training.rbm, 40, steps=100, rng=0).v.reshape(5, 8, _SIDE, _SIDE)
        tiles = np.pad(samples, ((0, 0), (0, 0), (0, 1), (0, 1)), constant_values=0)
        self._image.set_data(tiles.transpose(0, 2, 1, 3).reshape(5 * (_SIDE + 1), -1))
        buffer = io.BytesIO()
        self._fig.savefig(buffer, format="png")
        return buffer.getvalue()

    def _measure(self) -> float:
        return log_likelihood(self.training.rbm, self.patterns, exact_log_z(self.training.rbm))

    def _figure(self) -> None:
        self._fig, (self._left, right) = canvas(1, 2, size=(4.2, 3.0), layout="none")
        self._fig.subplots_adjust(left=0.11, right=0.99, bottom=0.16, top=0.9, wspace=0.1)
        (self._line,) = self._left.plot([], [], color=COLOURS[0], markersize=3)
        self._left.axhline(-np.log(len(self.patterns)), color="black", linestyle=":")
        self._left.set(xlabel="updates", ylabel="exact log-likelihood (nats)")
        self._image = right.imshow(np.zeros((5 * (_SIDE + 1), 8 * (_SIDE + 1))), cmap="gray_r", vmin=0, vmax=1)
        right.set(title="samples")
        right.set_axis_off()
        plt.close(self._fig)


class Replay:
    """A training from a fixed start, as the presses of its button made it: many readers share one; call it for a PNG.

    What short series of presses lead to is kept, so that the next press costs one burst and no more.
    """

    def __init__(self):
        self.session = Session()
        self.known = {(): self._state()}

    def __call__(self, presses: Sequence[Mapping[str, object]]) -> bytes:
        """The picture after 250 updates for each of the `presses`, with its method, steps and rate."""
        moves = tuple((press["method"], press["steps"], press["rate"]) for press in presses)
        start = max(n for n in range(len(moves) + 1) if moves[:n] in self.known)
        self.session.training, self.session.likelihood = copy.deepcopy(self.known[moves[:start]])
        for end in range(start, len(moves)):
            self.session.advance(*moves[end])
            self.known[moves[: end + 1]] = self._state()
        for oldest in list(self.known)[1 : len(self.known) - _KEPT]:
            del self.known[oldest]
        return self.session.picture()

    def _state(self) -> tuple[Training, list[float]]:
        return copy.deepcopy((self.session.training, self.session.likelihood))


def steer():
    """Buttons and sliders that train a 16 x 12 RBM on bars and stripes; without ipywidgets, a line that says so."""
    widgets = ipywidgets()
    if widgets is None:
        return None
    session = Session()
    image = picture(session.picture())
    method = widgets.Dropdown(options=METHODS, value="PCD", description="method")
    steps = widgets.IntSlider(value=5, min=1, max=50, description="K")
    rate = widgets.FloatLogSlider(value=0.1, base=10, min=-3, max=1, step=0.25, description="rate")
    train, reset = (widgets.Button(description=name) for name in BUTTONS)
    best = "dotted line: the best possible, ln(1/30)"
    message = widgets.Label(best)

    def on_train(_) -> None:
        try:
            with warnings.catch_warnings(record=True) as caught:
                image.value = session.advance(method.value, steps.value, rate.value)
            said = f"log-likelihood {session.likelihood[-1]:.3f} nats; the best possible is -3.401"
            message.value = f"{said}; {caught[-1].message}" if caught else said
        except EXPECTED as error:
            message.value = f"This training is beyond repair, start again: {error}"

    def on_reset(_) -> None:
        nonlocal session
        session = Session(seed=np.random.default_rng().integers(10**6))
        image.value, message.value = session.picture(), best

    train.on_click(on_train)
    reset.on_click(on_reset)
    box = widgets.VBox([widgets.HBox([method, steps, rate]), widgets.HBox([train, reset, message]), image])
    updates = widgets.IntSlider(1000, 0, 2000, step=250, description="updates")
    box.controls, box.frame = {"method": method, "updates": updates}, recorded  # see widgets.explorer
    box.settings, box.replay, box.buttons = {"method": method, "steps": steps, "rate": rate}, Replay(), BUTTONS
    return replaced(box)


def recorded(method: str, updates: int) -> bytes:
    """The picture (PNG) after so many updates with K = 5 and the rate 0.1, from the same start each time."""
    return Session().advance(method, 5, 0.1, bursts=updates // _UPDATES)


def complete(rbm: RBM, pictures: np.ndarray):
    """Sliders that choose one of `pictures` (n, 784), how many of its rows are given, and how long the chains are."""
    widgets = ipywidgets()
    if widgets is None:
        return None
    controls = {
        "picture": widgets.IntSlider(0, 0, len(pictures) - 1, description="digit"),
        "rows": widgets.IntSlider(_ROWS // 2, 0, _ROWS, description="rows given"),
        "steps": widgets.SelectionSlider(options=[1, 3, 10, 30, 100], value=30, description="Gibbs steps"),
    }

    def draw(picture: int, rows: int, steps: int) -> Figure:
        return completed(rbm, pictures[picture], rows=rows, steps=steps)

    return explorer(controls, draw)


def completed(rbm: RBM, picture: np.ndarray, *, rows: int, steps: int) -> Figure:
    """The upper rows of a picture (784,), and what eight chains make of the others from random pixels."""
    held = np.arange(_ROWS**2) < _ROWS * rows
    start = np.random.default_rng(0).integers(0, 2, (_ANSWERS, _ROWS**2), dtype=np.uint8)
    start[:, held] = picture[held]
    chains = gibbs(rbm, start, steps=steps, clamped=held, rng=1)
    answers = np.where(held, chains.v, rbm.visible_mean(chains.h))
    return completions(picture[None], held, answers[None])[0]
