"""Explorers of notebooks 5 and 6: rotated modes, and Landau's free energy through training."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure
from scipy.special import expit

from rbmkit.data import mnist, trained, trajectory
from rbmkit.explorers.controls import Choice, Slider
from rbmkit.explorers.explorer import Explorer
from rbmkit.figures import symmetry as figures
from rbmkit.figures.style import COLOURS, canvas
from rbmkit.model import RBM
from rbmkit.reciprocal import Modes, modes
from rbmkit.sampling import gibbs
from rbmkit.symmetry import landau, landau_curve

_COLUMNS = 10


class Rotations(Explorer):
    """Generated digits under a rotation in the plane of two modes.

    Parameters
    ----------
    rbm : RBM
    h : (n, M) array of 0 and 1
        Hidden states whose pictures are drawn, n a multiple of 10.
    rng : int
        Seed of the random numbers that pixels are drawn with, the same for every rotation.
    """

    def __init__(self, rbm: RBM, h: np.ndarray, *, rng: int):
        m = modes(rbm)
        self.U = m.U
        self.field = rbm.a + np.asarray(h, dtype=float) @ rbm.W.T
        self.coefficients = m.y(h) * m.s
        self.noise = np.random.default_rng(rng).random(self.field.shape)
        self.before = self.noise < expit(self.field)
        last = self.U.shape[1]
        self.controls = {
            "first": Slider("mode", 1, 1, last),
            "second": Slider("and mode", 2, 1, last),
            "angle": Slider("angle", 180, 0, 360, 10),
        }

    def figure(self, first: int, second: int, angle: float) -> Figure:
        """The pictures after a rotation of modes `first` and `second` (from 1) by some degrees."""
        after = self.noise < expit(self.turned(first - 1, second - 1, np.deg2rad(angle)))
        count = (after != self.before).sum(axis=1).mean()
        title = f"{count:.1f} pixels per digit changed (orange: gone, blue: new)"
        if first == second:
            title = "one mode has no plane: choose two"
        image = self.mosaic(after)
        rows = len(after) // _COLUMNS
        margin = 0.35  # inches, for the title
        height = 0.6 * rows + margin
        fig, ax = canvas(size=(0.6 * _COLUMNS, height), layout="none")
        fig.subplots_adjust(left=0.01, right=0.99, bottom=0.01, top=1 - margin / height)
        ax.imshow(image, interpolation="nearest")
        ax.set_title(title, fontsize=11)
        ax.set_axis_off()
        return fig

    def turned(self, i: int, j: int, angle: float) -> np.ndarray:
        """Fields of the pixels after the rotation; those before it if there is but one mode."""
        if i == j:
            return self.field
        a = self.coefficients[:, i]
        b = self.coefficients[:, j]
        new_a = np.cos(angle) * a - np.sin(angle) * b
        new_b = np.sin(angle) * a + np.cos(angle) * b
        change_i = np.outer(new_a - a, self.U[:, i])
        change_j = np.outer(new_b - b, self.U[:, j])
        return self.field + change_i + change_j

    def mosaic(self, after: np.ndarray) -> np.ndarray:
        """The pictures side by side in colours: what is gone, and what is new."""
        shade = np.where(after, 0.0, 1.0)[..., None] * np.ones(3)
        shade[self.before & ~after] = (0.95, 0.6, 0.35)
        shade[~self.before & after] = (0.0, 0.35, 0.7)
        rows = len(shade) // _COLUMNS
        tiles = shade.reshape(rows, _COLUMNS, 28, 28, 3)
        tiles = np.pad(tiles, ((0, 0), (0, 0), (1, 1), (1, 1), (0, 0)))
        return tiles.transpose(0, 2, 1, 3, 4).reshape(rows * 30, _COLUMNS * 30, 3)


def rotations() -> Rotations:
    """40 pictures of the trained model, 200 steps from test digits."""
    rbm = trained()
    chains = gibbs(rbm, mnist().test[:40], steps=200, rng=3)
    return Rotations(rbm, chains.h, rng=0)


@dataclass(frozen=True, eq=False)
class View:
    """What the explorer of wells draws of one mode at one epoch.

    Attributes
    ----------
    s, mu : float
        The singular value, and the minimum of the constraint.
    z, curves : (points,) array and dict of these
        Free energies over z by label.
    data, samples : (n,) arrays
        u of both.
    """

    s: float
    mu: float
    z: np.ndarray
    curves: Mapping[str, np.ndarray]
    data: np.ndarray
    samples: np.ndarray


class Wells(Explorer):
    """Landau's free energy of any of the first modes at any snapshot, with data and samples.

    Parameters
    ----------
    snapshots : dict of RBM
        By epoch.
    data : (n, N) array of 0 and 1
        Also the starts of the chains that give the samples.
    rng : int
    shown : int, optional
        Number of modes.
    """

    def __init__(
        self,
        snapshots: Mapping[float, RBM],
        data: np.ndarray,
        *,
        rng: int,
        shown: int = 3,
    ):
        rng = np.random.default_rng(rng)
        which = np.arange(shown)
        self.views = {}
        for epoch, rbm in snapshots.items():
            m = modes(rbm)
            chains = gibbs(rbm, data, steps=20, rng=rng)
            h = (rng.random((len(data), rbm.M)) < rbm.hidden_mean(data)).astype(np.uint8)
            of_data, _ = m.to_uw(m.x(data, which), m.y(h, which), which)
            of_chains, _ = m.to_uw(m.x(chains.v, which), m.y(chains.h, which), which)
            for i in which:
                self.views[epoch, i + 1] = self._view(m, i, of_data[:, i], of_chains[:, i])
        epochs = list(snapshots)
        middle = epochs[len(epochs) // 2]
        names = [f"{epoch:g}" for epoch in epochs]
        self.controls = {
            "epoch": Choice("epoch", middle, epochs, texts=names),
            "mode": Slider("mode", 1, 1, shown),
            "ceiling": Slider("height", 40.0, 0.0, 3.0, 0.1, base=10.0),
        }

    @staticmethod
    def _view(m: Modes, i: int, data: np.ndarray, samples: np.ndarray) -> View:
        polynomial = landau(m, i)
        low = min(data.min(), samples.min(), polynomial.mu, -12.0)
        high = max(data.max(), samples.max(), polynomial.mu, 12.0)
        z = np.linspace(low - 1, high + 1, 241)
        curves = {"quartic, Eq. (6.1)": polynomial(z), "exact marginal": landau_curve(m, i, z)}
        return View(m.s[i], polynomial.mu, z, curves, data, samples)

    def figure(self, epoch: float, mode: int, ceiling: float) -> Figure:
        """f_i(u) at a snapshot; the curves are cut at `ceiling` above their minimum."""
        view = self.views[epoch, mode]
        fig, ax = canvas(size=(6.4, 4.3), layout="none")
        fig.subplots_adjust(left=0.12, bottom=0.28, right=0.97)
        figures.rug(ax, view.data, view.samples, ceiling)
        figures.landau_curves(ax, view.z, view.curves, ceiling=ceiling)
        ax.axvline(0, color="magenta", linestyle="--", linewidth=1, label="saddle")
        look = {"color": COLOURS[4], "markersize": 9, "markeredgecolor": "black", "zorder": 9}
        ax.plot(view.mu, 0, "v", label=r"$\mu$", **look)
        side = "above" if view.s > 4 else "below"
        title = rf"epoch {epoch:g}: $\lambda_{mode}$ = {view.s:.2f}, {side} $4/\beta$"
        ax.set_title(title, fontsize=11)
        ends = (view.z[0], view.z[-1])
        ax.set(xlabel=f"$u_{mode}$", ylabel="f above its minimum", xlim=ends)
        ax.legend(fontsize=9, loc="upper center", bbox_to_anchor=(0.5, -0.2), ncols=3)
        return fig


def wells() -> Wells:
    """Eight stages of the stored training, and 300 test digits."""
    run = trajectory()
    snapshots = {float(run.epochs[k]): run.rbm(k) for k in (0, 1, 2, 3, 4, 7, 12, len(run) - 1)}
    return Wells(snapshots, mnist().test[:300], rng=0)
