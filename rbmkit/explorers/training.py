"""Explorer of notebook 1: steer the training of a small RBM."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from rbmkit.data import bars_and_stripes
from rbmkit.explorers import widgets
from rbmkit.explorers.controls import Choice, Control, Slider
from rbmkit.explorers.explorer import Explorer, png
from rbmkit.figures.style import COLOURS, canvas
from rbmkit.likelihood import exact_log_z, log_likelihood
from rbmkit.model import RBM
from rbmkit.optimisers import SGD
from rbmkit.sampling import gibbs
from rbmkit.starts import METHODS
from rbmkit.training import Training

_SIDE = 4  # of the patterns, in pixels
_HIDDEN = 12
_BURST = 50  # updates from one measurement to the next
_BURSTS = 5  # per press of the button
_PRESS = _BURST * _BURSTS
_ROWS, _COLUMNS = 5, 8  # of samples
_KEPT = 300  # trainings that are kept


class Session:
    """A training, the likelihood so far, and the figure of both.

    Attributes
    ----------
    training : Training
    likelihood : list of float
        Exact log-likelihood of the patterns in nats, at the start and after every 50 updates.
    best : float
        That of a model which draws each of the patterns equally often, and nothing else.
    """

    def __init__(self, seed: int = 0):
        self.patterns = bars_and_stripes(_SIDE)
        self.best = -np.log(len(self.patterns))
        start = RBM.random(_SIDE**2, _HIDDEN, sigma=0.1, rng=seed)
        self.training = Training(start, self.patterns, batch_size=len(self.patterns), rng=seed)
        self.likelihood = [self._measure()]
        self._canvas()

    def advance(self, method: str, steps: int, rate: float) -> None:
        """Train for 5 times 50 updates with these settings."""
        self.training.method = method
        self.training.steps = steps
        self.training.optimiser = SGD(rate)
        for _ in range(_BURSTS):
            self.training.run(_BURST, progress=False)
            self.likelihood.append(self._measure())

    def figure(self) -> Figure:
        """The likelihood curve, and samples after 100 steps."""
        updates = _BURST * np.arange(len(self.likelihood))
        self._line.set_data(updates, self.likelihood)
        self._left.set(xlim=(0, max(updates[-1], 1)), ylim=(min(self.likelihood) - 0.5, -2.5))
        samples = gibbs(self.training.rbm, _ROWS * _COLUMNS, steps=100, rng=0).v
        tiles = samples.reshape(_ROWS, _COLUMNS, _SIDE, _SIDE)
        tiles = np.pad(tiles, ((0, 0), (0, 0), (0, 1), (0, 1)))
        self._image.set_data(tiles.transpose(0, 2, 1, 3).reshape(_ROWS * (_SIDE + 1), -1))
        return self._fig

    def _measure(self) -> float:
        return log_likelihood(self.training.rbm, self.patterns, exact_log_z(self.training.rbm))

    def _canvas(self) -> None:
        self._fig, (self._left, right) = canvas(1, 2, size=(4.2, 3.0), layout="none")
        self._fig.subplots_adjust(left=0.11, right=0.99, bottom=0.16, top=0.9, wspace=0.1)
        (self._line,) = self._left.plot([], [], color=COLOURS[0], markersize=3)
        self._left.axhline(self.best, color="black", linestyle=":")
        self._left.set(xlabel="updates", ylabel="exact log-likelihood (nats)")
        nothing = np.zeros((_ROWS * (_SIDE + 1), _COLUMNS * (_SIDE + 1)))
        self._image = right.imshow(nothing, cmap="gray_r", vmin=0, vmax=1)
        right.set(title="samples")
        right.set_axis_off()
        plt.close(self._fig)


class Steering(Explorer):
    """Train a 16 x 12 RBM on bars and stripes by pressing a button.

    Its controls count from the next press on. A picture is that of a training from a fixed start,
    as the presses made it: many readers share one explorer. What short series of presses lead to is
    kept, so that the next press costs one training of 250 updates and no more.
    """

    buttons = f"train {_PRESS} updates", "start again"
    controls = {
        "method": Choice("method", "PCD", METHODS, listed=True),
        "steps": Slider("K", 5, 1, 50),
        "rate": Slider("rate", 0.1, -3.0, 1.0, 0.25, base=10.0),
    }
    recorded = {
        "method": controls["method"],
        "updates": Slider("updates", 4 * _PRESS, 0, 8 * _PRESS, _PRESS),
    }

    def __init__(self):
        self.session = Session()
        self.known = {(): self._state()}

    def figure(self, method: str, updates: int) -> Figure:
        """After so many updates by a method, the other controls where they start."""
        press = {name: control.start for name, control in self.controls.items()}
        return self._after([press | {"method": method}] * (updates // _PRESS))

    def picture(self, *presses: Mapping[str, object]) -> bytes:
        """PNG after 250 updates for each of the presses, with its method, steps and rate."""
        return png(self._after(presses))

    def _after(self, presses: Sequence[Mapping[str, object]]) -> Figure:
        moves = tuple((press["method"], press["steps"], press["rate"]) for press in presses)
        start = max(n for n in range(len(moves) + 1) if moves[:n] in self.known)
        self.session.training, self.session.likelihood = copy.deepcopy(self.known[moves[:start]])
        for end in range(start, len(moves)):
            self.session.advance(*moves[end])
            self.known[moves[: end + 1]] = self._state()
        for oldest in list(self.known)[1 : len(self.known) - _KEPT]:
            del self.known[oldest]
        return self.session.figure()

    def _state(self) -> tuple[Training, list[float]]:
        return copy.deepcopy((self.session.training, self.session.likelihood))

    def box(self):
        """A training of its own, with another start each time."""
        library = widgets.ipywidgets()
        if library is None:
            return None
        return _steered(library, self.controls, self.buttons)


def _steered(library, controls: Mapping[str, Control], buttons: tuple[str, str]):
    """Controls, buttons and a line, above the picture of one training."""
    session = Session()
    image = widgets.image(png(session.figure()))
    parts = {name: widgets.control(one) for name, one in controls.items()}
    train, reset = (library.Button(description=name) for name in buttons)
    first = f"dotted line: the best possible, ln(1/{len(session.patterns)})"
    message = library.Label(first)

    def on_train(_) -> None:
        values = {name: part.value for name, part in parts.items()}
        try:
            with warnings.catch_warnings(record=True) as caught:
                session.advance(**values)
                image.value = png(session.figure())
            reached = session.likelihood[-1]
            said = f"log-likelihood {reached:.3f} nats; the best possible is {session.best:.3f}"
            message.value = f"{said}; {caught[-1].message}" if caught else said
        except widgets.EXPECTED as error:
            message.value = f"This training is beyond repair, start again: {error}"

    def on_reset(_) -> None:
        nonlocal session
        session = Session(seed=np.random.default_rng().integers(10**6))
        image.value = png(session.figure())
        message.value = first

    train.on_click(on_train)
    reset.on_click(on_reset)
    settings = library.HBox([*parts.values()])
    below = library.HBox([train, reset, message])
    return library.VBox([settings, below, image])


def steering() -> Steering:
    """The explorer of Sec. 1.10."""
    return Steering()
