"""Explorers of notebooks 5 and 6: rotated modes, and Landau's free energy through training."""

from __future__ import annotations

from collections.abc import Mapping

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
        self.U, self.field = m.U, rbm.a + np.asarray(h, dtype=float) @ rbm.W.T
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
        """The pictures after a rotation of modes `first` and `second` (from 1) by `angle` in degrees."""
        i, j, t = first - 1, second - 1, np.deg2rad(angle)
        field, title = self.field, "one mode has no plane: choose two"
        if i != j:
            a, b = self.coefficients[:, i], self.coefficients[:, j]
            turned = np.cos(t) * a - np.sin(t) * b, np.sin(t) * a + np.cos(t) * b
            field = field + np.outer(turned[0] - a, self.U[:, i]) + np.outer(turned[1] - b, self.U[:, j])
        after = self.noise < expit(field)
        if i != j:
            count = (after != self.before).sum(axis=1).mean()
            title = f"{count:.1f} pixels per digit changed (orange: gone, blue: new)"
        shade = np.where(after, 0.0, 1.0)[..., None] * np.ones(3)
        shade[self.before & ~after] = (0.95, 0.6, 0.35)
        shade[~self.before & after] = (0.0, 0.35, 0.7)
        rows = len(shade) // _COLUMNS
        tiles = np.pad(shade.reshape(rows, _COLUMNS, 28, 28, 3), ((0, 0), (0, 0), (1, 1), (1, 1), (0, 0)))
        fig, ax = canvas(size=(0.6 * _COLUMNS, 0.6 * rows + 0.35), layout="none")
        fig.subplots_adjust(left=0.01, right=0.99, bottom=0.01, top=1 - 0.35 / (0.6 * rows + 0.35))
        ax.imshow(tiles.transpose(0, 2, 1, 3, 4).reshape(rows * 30, _COLUMNS * 30, 3), interpolation="nearest")
        ax.set_title(title, fontsize=11)
        ax.set_axis_off()
        return fig


def rotations() -> Rotations:
    """40 pictures of the trained model, 200 steps from test digits."""
    rbm = trained()
    return Rotations(rbm, gibbs(rbm, mnist().test[:40], steps=200, rng=3).h, rng=0)


class Wells(Explorer):
    """Landau's free energy of any of the first modes at any snapshot, with data and samples.

    Parameters
    ----------
    snapshots : dict of (RBM, Modes)
        By epoch.
    data : (n, N) array of 0 and 1
        Also the starts of the chains that give the samples.
    rng : int
    shown : int, optional
        Number of modes.
    """

    def __init__(self, snapshots: Mapping[float, tuple[RBM, Modes]], data: np.ndarray, *, rng: int, shown: int = 3):
        self.epochs, self.panels, rng = list(snapshots), [], np.random.default_rng(rng)
        for rbm, m in snapshots.values():
            s = gibbs(rbm, data, steps=20, rng=rng)
            h = (rng.random((len(data), rbm.M)) < rbm.hidden_mean(data)).astype(np.uint8)
            which = np.arange(shown)
            points = [m.to_uw(m.x(v, which), m.y(y, which), which)[0] for v, y in ((data, h), (s.v, s.h))]
            self.panels.append([self._panel(m, i, *(u[:, i] for u in points)) for i in which])
        middle, names = self.epochs[len(self.epochs) // 2], [f"{epoch:g}" for epoch in self.epochs]
        self.controls = {
            "epoch": Choice("epoch", middle, self.epochs, texts=names),
            "mode": Slider("mode", 1, 1, shown),
            "ceiling": Slider("height", 40.0, 0.0, 3.0, 0.1, base=10.0),
        }

    @staticmethod
    def _panel(m: Modes, i: int, data: np.ndarray, samples: np.ndarray) -> tuple:
        polynomial = landau(m, i)
        low, high = (f(f([np.min(x), np.max(x), polynomial.mu]) for x in (data, samples)) for f in (min, max))
        z = np.linspace(min(low, -12.0) - 1, max(high, 12.0) + 1, 241)
        curves = {"quartic, Eq. (6.1)": polynomial(z), "exact marginal": landau_curve(m, i, z)}
        return m.s[i], polynomial.mu, z, curves, data, samples

    def figure(self, epoch: float, mode: int = 1, ceiling: float = 40.0) -> Figure:
        """f_i(u) at a snapshot; the curves are cut at `ceiling` above their minimum."""
        s, mu, z, curves, data, samples = self.panels[self.epochs.index(epoch)][mode - 1]
        fig, ax = canvas(size=(6.4, 4.3), layout="none")
        fig.subplots_adjust(left=0.12, bottom=0.28, right=0.97)
        figures.rug(ax, data, samples, ceiling)
        figures.landau_curves(ax, z, curves, ceiling=ceiling)
        ax.axvline(0, color="magenta", linestyle="--", linewidth=1, label="saddle")
        ax.plot(mu, 0, "v", color=COLOURS[4], markersize=9, markeredgecolor="black", label=r"$\mu$", zorder=9)
        side = "above" if s > 4 else "below"
        ax.set_title(rf"epoch {epoch:g}: $\lambda_{mode}$ = {s:.2f}, {side} $4/\beta$", fontsize=11)
        ax.set(xlabel=f"$u_{mode}$", ylabel="f above its minimum", xlim=(z[0], z[-1]))
        ax.legend(fontsize=9, loc="upper center", bbox_to_anchor=(0.5, -0.2), ncols=3)
        return fig


def wells() -> Wells:
    """Eight stages of the stored training, and 300 test digits."""
    run = trajectory()
    models = {float(run.epochs[k]): run.rbm(k) for k in (0, 1, 2, 3, 4, 7, 12, len(run) - 1)}
    return Wells({epoch: (rbm, modes(rbm)) for epoch, rbm in models.items()}, mnist().test[:300], rng=0)
