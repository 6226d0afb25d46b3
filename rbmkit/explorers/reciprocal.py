"""Explorers of notebook 2: landscapes of the modes, and the Marchenko-Pastur law."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure
from scipy.linalg import eigvalsh_tridiagonal

from rbmkit.data import mnist, trajectory
from rbmkit.explorers.controls import Choice, Slider
from rbmkit.explorers.explorer import Explorer
from rbmkit.figures import reciprocal as figures
from rbmkit.figures.style import canvas
from rbmkit.model import RBM
from rbmkit.reciprocal import Modes, modes
from rbmkit.sampling import gibbs
from rbmkit.spectra import MarchenkoPastur

_POINTS = 1000  # at most so many data points are drawn


class Landscapes(Explorer):
    """Data and samples on any mode of any model.

    Parameters
    ----------
    models : dict of RBM
        Under the names to choose from, e.g. epochs.
    data, labels : (n, N) array of 0 and 1 and (n,) array of int
    samples : dict of (n', N) arrays of 0 and 1
        Visible states sampled from each model.
    rng : int
        Seed for the choice of the points drawn and for their hidden states.
    """

    def __init__(
        self,
        models: Mapping[str, RBM],
        data: np.ndarray,
        labels: np.ndarray,
        samples: Mapping[str, np.ndarray],
        *,
        rng: int,
    ):
        rng = np.random.default_rng(rng)
        chosen = rng.permutation(len(data))[:_POINTS]
        self.labels = labels[chosen]
        self.modes: dict[str, Modes] = {name: modes(rbm) for name, rbm in models.items()}
        self.data = {}
        self.samples = {}
        for name, rbm in models.items():
            self.data[name] = self._points(rbm, self.modes[name], data[chosen], rng)
            self.samples[name] = self._points(rbm, self.modes[name], samples[name][:_POINTS], rng)
        names = list(models)
        last = min(len(m.s) for m in self.modes.values())
        shown = ("data and samples", "data", "samples")
        self.controls = {
            "model": Choice("model", names[-1], names),
            "mode": Slider("mode", 1, 1, last),
            "digit": Choice("digit", "all", ("all", *"0123456789"), listed=True),
            "show": Choice("points", shown[0], shown, listed=True),
        }

    @staticmethod
    def _points(rbm: RBM, m: Modes, v: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """x and y of all modes, (2, n, modes), with hidden states drawn given `v`."""
        mean = rbm.hidden_mean(v)
        h = (rng.random(mean.shape) < mean).astype(np.uint8)
        return np.array([m.x(v), m.y(h)], dtype=np.float32)

    def figure(
        self, model: str, mode: int, digit: str, show: str
    ) -> Figure:
        """The landscape of `mode` (from 1, as in the paper); `show` data, samples or both."""
        m = self.modes[model]
        i = mode - 1
        x, y = self.data[model][:, :, i]
        drawn_x, drawn_y = self.samples[model][:, :, i]
        # by hand: a constrained layout takes as long as all the rest
        fig, ax = canvas(size=(4.6, 4.0), layout="none")
        fig.subplots_adjust(left=0.17, bottom=0.14)
        xlim = figures.limits(x, drawn_x, m.mu_x[i])
        ylim = figures.limits(y, drawn_y, m.mu_y[i])
        figures.landscape(ax, m, i, xlim, ylim)
        keep = np.full(len(x), True) if digit == "all" else self.labels == int(digit)
        if "data" in show:
            figures.cloud(ax, x[keep], y[keep], self.labels[keep])
            figures.key(ax)
        if "samples" in show:
            figures.outline(ax, drawn_x, drawn_y)
        ax.set(xlabel="$x_i$", ylabel="$y_i$")
        return fig


def landscapes() -> Landscapes:
    """Six stages of the stored training, test digits, and states that are 50 steps from digits."""
    digits = mnist()
    run = trajectory()
    models = {f"epoch {run.epochs[k]:g}": run.rbm(k) for k in (0, 3, 7, 11, 15, len(run) - 1)}
    starts = digits.train[:100]
    samples = {name: gibbs(rbm, starts, steps=50, rng=4).v for name, rbm in models.items()}
    return Landscapes(models, digits.test, digits.test_labels, samples, rng=0)


class RandomCouplings(Explorer):
    """The Marchenko-Pastur law, Eq. (21); its controls are N, M and sigma."""

    controls = {
        "N": Slider("N", 784, 10, 3000),
        "M": Slider("M", 500, 10, 3000),
        "sigma": Slider("sigma", 0.01, -3.0, -0.5, 0.05, base=10.0),
    }

    def figure(self, N: int, M: int, sigma: float) -> Figure:
        """Eq. (21), and the singular values of one random matrix (seed 0); at most 300 of them.

        A smaller matrix of the same shape has the same density, but for the noise.
        """
        law = MarchenkoPastur(N, M, sigma)
        scale = max(1.0, min(N, M) / 300)
        rng = np.random.default_rng(0)
        s = sigma * np.sqrt(scale) * random_spectrum(round(N / scale), round(M / scale), rng)
        title = f"N = {N}, M = {M}, $\\sigma$ = {sigma:.3g}"
        fig, axes = figures.singular_values({title: (s, law)})
        fig.set_layout_engine("none")
        ax = axes[0, 0]
        ax.set_position([0.13, 0.29, 0.84, 0.6])
        ax.axvline(4, color="0.5", linestyle=":")  # notebook 4: a transition, at beta = 1
        ax.set_xlim(0, 1.15 * law.high)
        return fig


def random_spectrum(N: int, M: int, rng: np.random.Generator) -> np.ndarray:
    """Singular values of a random (N, M) matrix of standard normal entries, exact in law.

    The matrix is not needed: Householder reflections leave a bidiagonal one of independent chi
    variables (Dumitriu and Edelman 2002).
    """
    long, short = max(N, M), min(N, M)
    upper = rng.chisquare(long - np.arange(short))
    lower = rng.chisquare(short - 1 - np.arange(short - 1))
    diagonal = upper + np.append(0, lower)
    beside = np.sqrt(upper[:-1] * lower)
    squares = eigvalsh_tridiagonal(diagonal, beside, lapack_driver="sterf")
    return np.sqrt(np.maximum(squares, 0))


def random_couplings() -> RandomCouplings:
    """The explorer of Sec. 2.5."""
    return RandomCouplings()
