"""Explorer of notebook 7: a digit dissolves in noise, beside its posterior mean, and returns."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from rbmkit.data import mnist, trained
from rbmkit.denoising import add_noise, denoise, diffusion_time
from rbmkit.explorers.controls import Slider
from rbmkit.explorers.explorer import Explorer
from rbmkit.figures import denoising as figures
from rbmkit.model import RBM

_PATHS = 6  # that run back
_SIGNALS = 25  # on each of them,
_STEPS = 2  # Gibbs steps at each signal,
_WARM_UP = 40  # and before the first
_LAST = 60.0  # signal at the end, where nothing is noise


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
        """Digit number `digit` at this signal, and six paths from there, all by one `seed`."""
        rng = np.random.default_rng(seed)
        original = self.digits[digit]
        y = add_noise(original[None], signal, rng=rng)
        t = np.geomspace(signal, max(_LAST, 2 * signal), _SIGNALS)
        copies = np.tile(y, (_PATHS, 1))
        states = list(denoise(self.rbm, copies, t=t, steps=_STEPS, warm_up=_WARM_UP, rng=rng))
        noisy = y[0] / np.sqrt(signal * (signal + 1))
        mean = states[0].mean.mean(axis=0)
        title = f"signal t = {signal:.2g}, time of the diffusion s = {diffusion_time(signal):.2f}"
        fig, _ = figures.dissolve(original, noisy, mean, states[-1].v, title)
        return fig


def dissolving() -> Dissolving:
    """The trained model, and the first ten test digits."""
    return Dissolving(trained(), mnist().test[:10].copy())
