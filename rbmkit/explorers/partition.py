"""Explorer of notebook 3: estimates of ln Z, mean-field solutions and the potential of mode 1, at any temperature."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure

from rbmkit.explorers.controls import Choice, Slider
from rbmkit.explorers.explorer import Explorer
from rbmkit.figures import partition as figures
from rbmkit.likelihood import all_states, exact_log_z
from rbmkit.mean_field import mean_field
from rbmkit.model import RBM
from rbmkit.partition import gaussian_log_z, mode_potential
from rbmkit.reciprocal import modes
from rbmkit.solvable import curie_weiss, planted

_STARTS = 30
_BINS = 25


class Saddles(Explorer):
    """Small models, their couplings scaled, at any temperature.

    Parameters
    ----------
    models : dict of RBM
        Small enough to list all visible states (at most 14 units). Fields follow the couplings, a -> scale a, so that
        a symmetric model stays symmetric.
    rng : int
        Seed of the random starts.
    """

    def __init__(self, models: Mapping[str, RBM], *, rng: int):
        self.models = dict(models)
        self.rng = np.random.default_rng(rng)
        self.starts = {
            name: np.vstack([np.full(rbm.N, 0.5), self.rng.random((_STARTS, rbm.N))]) for name, rbm in models.items()
        }
        self.states = {rbm.N: all_states(rbm.N) for rbm in models.values()}
        self.controls = {
            "model": Choice("model", next(iter(models)), list(models), listed=True),
            "scale": Slider("scale", 3.0, 0.0, 8.0, 0.25),
            "beta": Slider("beta", 1.0, 0.0, 1.0, 0.05),
        }

    def figure(self, model: str, scale: float, beta: float) -> Figure:
        """The model with couplings and fields times `scale`, at inverse temperature `beta`."""
        base = self.models[model]
        rbm = RBM(scale * base.W, scale * base.a, scale * base.b)
        exact, found = exact_log_z(rbm, beta=beta), mean_field(rbm, self.starts[model], beta=beta)
        tap = mean_field(rbm, self.starts[model], beta=beta, order=2).log_z[0]
        estimates = {
            "saddle": found.log_z[0],
            "one loop": found.one_loop[0],
            "all saddles": np.logaddexp.reduce(found.one_loop[found.stability < 1]),
            "TAP": tap,
            "Gaussian": gaussian_log_z(rbm, beta=beta),
        }
        m = modes(base)
        x, y = found.v @ m.U[:, 0], found.h @ m.V[:, 0]
        potential = mode_potential(rbm, found.v[0], found.h[0], beta=beta)
        errors = {name: value - exact for name, value in estimates.items()}
        edges, density = self.exact_potential(rbm, m.U[:, 0], beta)
        drawn = (potential.x, potential.value + exact)
        return figures.overview(errors, (x, y, found.stability), drawn, (edges, density))[0]

    def exact_potential(self, rbm: RBM, vector: np.ndarray, beta: float) -> tuple[np.ndarray, np.ndarray]:
        """-ln of the exact density of x_1 in bins over its support; infinite where there is no state.

        Few different values, as in a Curie-Weiss model, have a bin each.
        """
        v = self.states[rbm.N]
        log_p = -rbm.free_energy(v, beta)
        x = v @ vector
        values, bins = np.unique(np.round(x, 9)), _BINS
        if 1 < len(values) <= _BINS:
            middle = (values[1:] + values[:-1]) / 2
            bins = np.concatenate([[2 * values[0] - middle[0]], middle, [2 * values[-1] - middle[-1]]])
        p, edges = np.histogram(x, bins=bins, weights=np.exp(log_p - np.logaddexp.reduce(log_p)))
        with np.errstate(divide="ignore"):
            return edges, -np.log(p / np.diff(edges))


def saddles() -> Saddles:
    """Three models of 12 and 10 units whose largest singular value is 1."""
    rng = np.random.default_rng(9)
    W = rng.normal(size=(12, 10))
    random = RBM(W / np.linalg.norm(W, 2), 0.15 * rng.normal(size=12), 0.15 * rng.normal(size=10))
    models = {
        "one planted mode": planted(12, 10, singular_values=[1.0], rng=1),
        "random, with fields": random,
        "Curie-Weiss": curie_weiss(12, 10, singular_value=1.0),
    }
    return Saddles(models, rng=0)
