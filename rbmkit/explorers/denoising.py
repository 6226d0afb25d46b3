"""Explorer of notebook 7: a digit dissolves in noise, beside its posterior mean, and is run back from there."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from rbmkit.denoising import add_noise, denoise, diffusion_time
from rbmkit.explorers.widgets import explorer, ipywidgets
from rbmkit.figures import denoising as figures
from rbmkit.model import RBM

_RETURNS = 6
_SIGNALS, _STEPS, _WARM_UP = 25, 2, 40
_LAST = 60.0


class Noise:
    """What the explorer draws; call it for a figure.

    Parameters
    ----------
    rbm : RBM
    digits : (n, 784) array of 0 and 1
    """

    def __init__(self, rbm: RBM, digits: np.ndarray):
        self.rbm, self.digits = rbm, digits

    def __call__(self, digit: int, signal: float, seed: int) -> Figure:
        """Digit number `digit` at this signal, and six paths from there, all with the random numbers of `seed`."""
        rng, original = np.random.default_rng(seed), self.digits[digit]
        y = add_noise(original[None], signal, rng=rng)
        t = np.geomspace(signal, max(_LAST, 2 * signal), _SIGNALS)
        copies = np.tile(y, (_RETURNS, 1))
        states = list(denoise(self.rbm, copies, t=t, steps=_STEPS, warm_up=_WARM_UP, rng=rng))
        title = f"signal t = {signal:.2g}, time of the diffusion s = {diffusion_time(signal):.2f}"
        mean = states[0].mean.mean(axis=0)
        return figures.dissolve(original, y[0] / np.sqrt(signal * (signal + 1)), mean, states[-1].v, title)[0]


def noise(source: Noise):
    """Explorer: signal, number of the digit, seed. None without ipywidgets."""
    widgets = ipywidgets()
    if widgets is None:
        return None
    controls = {
        "signal": widgets.FloatLogSlider(0.5, base=10, min=-1.5, max=1, step=0.25, description="signal t"),
        "digit": widgets.IntSlider(0, 0, len(source.digits) - 1, description="digit"),
        "seed": widgets.IntSlider(0, 0, 9, description="seed"),
    }
    return explorer(controls, source)
