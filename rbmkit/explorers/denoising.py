"""Explorer of notebook 7: a digit dissolves in noise, beside its posterior mean, and is run back from there."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from rbmkit.data import mnist, trained
from rbmkit.denoising import add_noise, denoise, diffusion_time
from rbmkit.explorers.controls import Slider
from rbmkit.explorers.explorer import Explorer
from rbmkit.figures import denoising as figures
from rbmkit.model import RBM

_RETURNS = 6
_SIGNALS, _STEPS, _WARM_UP = 25, 2, 40
_LAST = 60.0


class Dissolving(Explorer):
    """Its controls are the signal, the number of the digit and the seed.

    Parameters
    ----------
    rbm : RBM
    digits : (n, 784) array of 0 and 1
    """

    def __init__(self, rbm: RBM, digits: np.ndarray):
        self.rbm, self.digits = rbm, digits
        self.controls = {
            "signal": Slider("signal t", 0.5, -1.5, 1.0, 0.25, base=10.0),
            "digit": Slider("digit", 0, 0, len(digits) - 1),
            "seed": Slider("seed", 0, 0, 9),
        }

    def figure(self, digit: int, signal: float, seed: int) -> Figure:
        """Digit number `digit` at this signal, and six paths from there, all with the random numbers of `seed`."""
        rng, original = np.random.default_rng(seed), self.digits[digit]
        y = add_noise(original[None], signal, rng=rng)
        t = np.geomspace(signal, max(_LAST, 2 * signal), _SIGNALS)
        copies = np.tile(y, (_RETURNS, 1))
        states = list(denoise(self.rbm, copies, t=t, steps=_STEPS, warm_up=_WARM_UP, rng=rng))
        title = f"signal t = {signal:.2g}, time of the diffusion s = {diffusion_time(signal):.2f}"
        mean = states[0].mean.mean(axis=0)
        return figures.dissolve(original, y[0] / np.sqrt(signal * (signal + 1)), mean, states[-1].v, title)[0]


def dissolving() -> Dissolving:
    """The trained model, and the first ten test digits."""
    return Dissolving(trained(), mnist().test[:10].copy())
