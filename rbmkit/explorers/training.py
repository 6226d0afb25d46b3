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

_SIDE, _HIDDEN, _UPDATES = 4, 12, 50
_BURSTS = 5  # of 50 updates, per press of the button
_KEPT = 300  # trainings that are kept


class Session:
    """A training, the likelihood so far, and the figure of both.

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
        self._canvas()

    def advance(self, method: str, steps: int, rate: float) -> None:
        """Train for 5 times 50 updates with these settings."""
        self.training.method, self.training.steps, self.training.optimiser = method, steps, SGD(rate)
        for _ in range(_BURSTS):
            self.training.run(_UPDATES, progress=False)
            self.likelihood.append(self._measure())

    def figure(self) -> Figure:
        """The likelihood curve, and samples after 100 steps."""
        updates = _UPDATES * np.arange(len(self.likelihood))
        self._line.set_data(updates, self.likelihood)
        self._left.set(xlim=(0, max(updates[-1], 1)), ylim=(min(self.likelihood) - 0.5, -2.5))
        samples = gibbs(self.training.rbm, 40, steps=100, rng=0).v.reshape(5, 8, _SIDE, _SIDE)
        tiles = np.pad(samples, ((0, 0), (0, 0), (0, 1), (0, 1)), constant_values=0)
        self._image.set_data(tiles.transpose(0, 2, 1, 3).reshape(5 * (_SIDE + 1), -1))
        return self._fig

    def _measure(self) -> float:
        return log_likelihood(self.training.rbm, self.patterns, exact_log_z(self.training.rbm))

    def _canvas(self) -> None:
        self._fig, (self._left, right) = canvas(1, 2, size=(4.2, 3.0), layout="none")
        self._fig.subplots_adjust(left=0.11, right=0.99, bottom=0.16, top=0.9, wspace=0.1)
        (self._line,) = self._left.plot([], [], color=COLOURS[0], markersize=3)
        self._left.axhline(-np.log(len(self.patterns)), color="black", linestyle=":")
        self._left.set(xlabel="updates", ylabel="exact log-likelihood (nats)")
        self._image = right.imshow(np.zeros((5 * (_SIDE + 1), 8 * (_SIDE + 1))), cmap="gray_r", vmin=0, vmax=1)
        right.set(title="samples")
        right.set_axis_off()
        plt.close(self._fig)


class Steering(Explorer):
    """Train a 16 x 12 RBM on bars and stripes by pressing a button; its controls count from the next press on.

    A picture is that of a training from a fixed start, as the presses made it: many readers share one explorer. What
    short series of presses lead to is kept, so that the next press costs one burst and no more.
    """

    buttons = "train 250 updates", "start again"
    controls = {
        "method": Choice("method", "PCD", METHODS, listed=True),
        "steps": Slider("K", 5, 1, 50),
        "rate": Slider("rate", 0.1, -3.0, 1.0, 0.25, base=10.0),
    }
    recorded = {"method": controls["method"], "updates": Slider("updates", 1000, 0, 2000, _UPDATES * _BURSTS)}

    def __init__(self):
        self.session = Session()
        self.known = {(): self._state()}

    def figure(self, method: str, updates: int) -> Figure:
        """After so many updates with K = 5 and the rate 0.1."""
        return self._after([{"method": method, "steps": 5, "rate": 0.1}] * (updates // (_UPDATES * _BURSTS)))

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
        return _steered(library, self.controls, self.buttons) if library else None


def _steered(library, controls: Mapping[str, Control], buttons: tuple[str, str]):
    """Controls, buttons and a line, above the picture of one training."""
    session = Session()
    image = widgets.image(png(session.figure()))
    parts = {name: widgets.control(one) for name, one in controls.items()}
    train, reset = (library.Button(description=name) for name in buttons)
    best = "dotted line: the best possible, ln(1/30)"
    message = library.Label(best)

    def on_train(_) -> None:
        try:
            with warnings.catch_warnings(record=True) as caught:
                session.advance(**{name: part.value for name, part in parts.items()})
                image.value = png(session.figure())
            said = f"log-likelihood {session.likelihood[-1]:.3f} nats; the best possible is -3.401"
            message.value = f"{said}; {caught[-1].message}" if caught else said
        except widgets.EXPECTED as error:
            message.value = f"This training is beyond repair, start again: {error}"

    def on_reset(_) -> None:
        nonlocal session
        session = Session(seed=np.random.default_rng().integers(10**6))
        image.value, message.value = png(session.figure()), best

    train.on_click(on_train)
    reset.on_click(on_reset)
    return library.VBox([library.HBox([*parts.values()]), library.HBox([train, reset, message]), image])


def steering() -> Steering:
    """The explorer of Sec. 1.10."""
    return Steering()
