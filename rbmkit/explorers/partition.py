"""Explorer of notebook 3: estimates of ln Z, mean-field solutions and the potential of mode 1."""

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
        Small enough to list all visible states (at most 14 units). Fields follow the couplings,
        a -> scale a, so that a symmetric model stays symmetric.
    rng : int
        Seed of the random starts.
    """

    def __init__(self, models: Mapping[str, RBM], *, rng: int):
        self.models = dict(models)
        self.starts = {}
        rng = np.random.default_rng(rng)
        for name, rbm in models.items():
            middle = np.full(rbm.N, 0.5)
            self.starts[name] = np.vstack([middle, rng.random((_STARTS, rbm.N))])
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
        exact = exact_log_z(rbm, beta=beta)
        found = mean_field(rbm, self.starts[model], beta=beta)
        estimates = {
            "saddle": found.log_z[0],
            "one loop": found.one_loop[0],
            "all saddles": np.logaddexp.reduce(found.one_loop[found.stability < 1]),
            "TAP": mean_field(rbm, self.starts[model], beta=beta, order=2).log_z[0],
            "Gaussian": gaussian_log_z(rbm, beta=beta),
        }
        errors = {name: value - exact for name, value in estimates.items()}
        m = modes(base)
        potential = mode_potential(rbm, found.v[0], found.h[0], beta=beta)
        edges, density = self.exact_potential(rbm, m.U[:, 0], beta)
        solutions = figures.Solutions(
            x=found.v @ m.U[:, 0],
            y=found.h @ m.V[:, 0],
            stability=found.stability,
            grid=potential.x,
            potential=potential.value + exact,
            edges=edges,
            exact=density,
        )
        fig, _ = figures.overview(errors, solutions)
        return fig

    def exact_potential(
        self, rbm: RBM, vector: np.ndarray, beta: float
    ) -> tuple[np.ndarray, np.ndarray]:
        """Bins over the support of x_1, and in them -ln of its exact density.

        It is infinite where there is no state. Few different values, as in a Curie-Weiss model,
        have a bin each.
        """
        v = self.states[rbm.N]
        log_p = -rbm.free_energy(v, beta)
        x = v @ vector
        bins = _BINS
        values = np.unique(np.round(x, 9))
        if 1 < len(values) <= _BINS:
            middles = (values[1:] + values[:-1]) / 2
            first = 2 * values[0] - middles[0]
            last = 2 * values[-1] - middles[-1]
            bins = np.concatenate([[first], middles, [last]])
        p, edges = np.histogram(x, bins=bins, weights=np.exp(log_p - np.logaddexp.reduce(log_p)))
        with np.errstate(divide="ignore"):
            return edges, -np.log(p / np.diff(edges))


def saddles() -> Saddles:
    """Three models of 12 and 10 units whose largest singular value is 1."""
    rng = np.random.default_rng(9)
    W = rng.normal(size=(12, 10))
    a = 0.15 * rng.normal(size=12)
    b = 0.15 * rng.normal(size=10)
    random = RBM(W / np.linalg.norm(W, 2), a, b)
    models = {
        "one planted mode": planted(12, 10, singular_values=[1.0], rng=1),
        "random, with fields": random,
        "Curie-Weiss": curie_weiss(12, 10, singular_value=1.0),
    }
    return Saddles(models, rng=0)
