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
        self.points = {}
        for name, rbm in models.items():
            for kind, v in (("data", data[chosen]), ("samples", samples[name][:_POINTS])):
                mean = rbm.hidden_mean(v)
                h = (rng.random(mean.shape) < mean).astype(np.uint8)
                m = self.modes[name]
                self.points[name, kind] = m.x(v).astype(np.float32), m.y(h).astype(np.float32)
        names, last = list(models), min(len(m.s) for m in self.modes.values())
        self.controls = {
            "model": Choice("model", names[-1], names),
            "mode": Slider("mode", 1, 1, last),
            "digit": Choice("digit", "all", ("all", *"0123456789"), listed=True),
            "show": Choice("points", "data and samples", ("data and samples", "data", "samples"), listed=True),
        }

    def figure(self, model: str, mode: int, digit: str = "all", show: str = "data and samples") -> Figure:
        """The landscape of `mode` (from 1, as in the paper); `show` data, samples or both."""
        i, m = mode - 1, self.modes[model]
        x, y = (z[:, i] for z in self.points[model, "data"])
        gx, gy = (z[:, i] for z in self.points[model, "samples"])
        fig, ax = canvas(size=(4.6, 4.0), layout="none")  # a constrained layout takes as long as all the rest
        fig.subplots_adjust(left=0.17, bottom=0.14)
        spans = [figures.limits(a, b, centre) for a, b, centre in ((x, gx, m.mu_x[i]), (y, gy, m.mu_y[i]))]
        figures.landscape(ax, m, i, *spans)
        keep = np.full(len(x), True) if digit == "all" else self.labels == int(digit)
        if "data" in show:
            figures.cloud(ax, x[keep], y[keep], self.labels[keep])
            figures.key(ax)
        if "samples" in show:
            figures.outline(ax, gx, gy)
        ax.set(xlabel="$x_i$", ylabel="$y_i$")
        return fig


def landscapes() -> Landscapes:
    """Six stages of the stored training, test digits, and states that are 50 steps from digits."""
    digits, run = mnist(), trajectory()
    models = {f"epoch {run.epochs[k]:g}": run.rbm(k) for k in (0, 3, 7, 11, 15, len(run) - 1)}
    samples = {name: gibbs(rbm, digits.train[:100], steps=50, rng=4).v for name, rbm in models.items()}
    return Landscapes(models, digits.test, digits.test_labels, samples, rng=0)


class RandomCouplings(Explorer):
    """The Marchenko-Pastur law, Eq. (21); its controls are N, M and sigma."""

    controls = {
        "N": Slider("N", 784, 10, 3000),
        "M": Slider("M", 500, 10, 3000),
        "sigma": Slider("sigma", 0.01, -3.0, -0.5, 0.05, base=10.0),
    }

    def figure(self, N: int, M: int, sigma: float) -> Figure:
        """Eq. (21), and the singular values of one random matrix of that size (seed 0); at most 300 of them."""
        law = MarchenkoPastur(N, M, sigma)
        scale = max(1.0, min(N, M) / 300)  # a smaller matrix of the same shape has the same density, but for the noise
        s = sigma * np.sqrt(scale) * random_spectrum(round(N / scale), round(M / scale), np.random.default_rng(0))
        fig, ax = figures.singular_values({f"N = {N}, M = {M}, $\\sigma$ = {sigma:.3g}": (s, law)})
        fig.set_layout_engine("none")
        ax[0, 0].set_position([0.13, 0.29, 0.84, 0.6])
        ax[0, 0].axvline(4, color="0.5", linestyle=":")  # where notebook 4 finds a transition, at beta = 1
        ax[0, 0].set_xlim(0, 1.15 * law.high)
        return fig


def random_spectrum(N: int, M: int, rng: np.random.Generator) -> np.ndarray:
    """Singular values of a random (N, M) matrix of standard normal entries, without the matrix: exact in law.

    Householder reflections leave a bidiagonal matrix of independent chi variables (Dumitriu and Edelman 2002).
    """
    long, short = max(N, M), min(N, M)
    diagonal = rng.chisquare(long - np.arange(short))
    below = rng.chisquare(short - 1 - np.arange(short - 1))
    squares = diagonal + np.append(0, below), np.sqrt(diagonal[:-1] * below)
    return np.sqrt(np.maximum(eigvalsh_tridiagonal(*squares, lapack_driver="sterf"), 0))


def random_couplings() -> RandomCouplings:
    """The explorer of Sec. 2.5."""
    return RandomCouplings()
