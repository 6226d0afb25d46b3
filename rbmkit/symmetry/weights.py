"""Tests of weights: how far are they from being invariant?

`divergence` compares the weights before and after a rotation; `sign_test` and `permutation_test`
are randomisation tests of reversing hidden units and of exchanging them. Their null distributions
need no model.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import rel_entr

from rbmkit import checks

_EDGE_SAMPLE = 200_000  # values that place the edges of the bins


@dataclass(frozen=True, eq=False)
class Divergence:
    """How far apart two sets of weights are, in nats, with bootstrap standard errors (NaN without a
    bootstrap).

    Attributes
    ----------
    js, js_error : float
        Jensen-Shannon divergence, between 0 and ln 2.
    kl, kl_error : float
        Kullback-Leibler divergence of the second from the first; infinite if a bin is empty in the
        second only.
    """

    js: float
    js_error: float
    kl: float
    kl_error: float


def divergence(
    W: np.ndarray,
    other: np.ndarray,
    *,
    bins: int = 100,
    bootstrap: int = 100,
    rng: int | np.random.Generator,
) -> Divergence:
    """Divergences between the distributions of the entries of two matrices.

    Both are counted in the same bins, which hold equally many of the pooled values: no range has to
    be chosen and no bin is nearly empty. A common factor of both matrices changes nothing. Two
    independent samples of n values each from one law have a Jensen-Shannon divergence of (bins - 1)
    / (4 n) on average.

    Parameters
    ----------
    W, other : (N, M) arrays
        Before and after.
    bins : int, optional
    bootstrap : int, optional
        Resamplings of the rows, the same for both matrices; entries of a row are correlated, so
        rows are the unit. 0 for none.
    rng : int or Generator
    """
    W = checks.real_array(W, (None, None), "W")
    other = checks.real_array(other, W.shape, "other")
    bins = checks.integer(bins, "bins", least=2)
    rng = checks.as_generator(rng)
    pooled = np.concatenate([W.ravel(), other.ravel()])
    sample = pooled[:: max(1, pooled.size // _EDGE_SAMPLE)]
    edges = np.unique(np.quantile(sample, np.linspace(0, 1, bins + 1)[1:-1]))
    counts = [_counts_by_row(x, edges) for x in (W, other)]
    js, kl = (float(x) for x in _divergences(*(c.sum(axis=0) for c in counts)))
    if checks.integer(bootstrap, "bootstrap", least=0) == 0:
        return Divergence(js=js, js_error=np.nan, kl=kl, kl_error=np.nan)
    draws = rng.multinomial(len(W), np.full(len(W), 1 / len(W)), size=bootstrap)
    js_drawn, kl_drawn = _divergences(*(draws @ c for c in counts))
    kl_error = np.std(kl_drawn) if np.isfinite(kl_drawn).all() else np.inf
    return Divergence(js=js, js_error=float(np.std(js_drawn)), kl=kl, kl_error=float(kl_error))


def _counts_by_row(x: np.ndarray, edges: np.ndarray) -> np.ndarray:
    bins = len(edges) + 1
    cell = np.searchsorted(edges, x) + bins * np.arange(len(x))[:, None]
    return np.bincount(cell.ravel(), minlength=bins * len(x)).reshape(len(x), bins)


def _divergences(first: np.ndarray, second: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    p, q = (x / x.sum(axis=-1, keepdims=True) for x in (first, second))
    middle = (p + q) / 2
    js = (rel_entr(p, middle) + rel_entr(q, middle)).sum(axis=-1) / 2
    return js, rel_entr(p, q).sum(axis=-1)


@dataclass(frozen=True)
class SymmetryTest:
    """A statistic and its distribution if the symmetry holds.

    Attributes
    ----------
    statistic : float
    null_mean, null_std : float
        Over random elements of the symmetry group.
    p_value : float
        Exact: share of the statistics, the observed one included, that are at least as large as the
        observed one.
    """

    statistic: float
    null_mean: float
    null_std: float
    p_value: float

    @property
    def deviation(self) -> float:
        """(statistic - null_mean) / null_std."""
        return (self.statistic - self.null_mean) / self.null_std


def sign_test(W: np.ndarray, *, repeats: int = 999, rng: int | np.random.Generator) -> SymmetryTest:
    """Reverse symmetry: are the couplings of a hidden unit as likely as the same with the other
    sign?

    The group flips the sign of each column of W independently. The statistic is |sum_j W_j|^2 /
    sum_j |W_j|^2, on average 1 under the group and M if all columns are equal.

    Parameters
    ----------
    W : (N, M) array
    repeats : int, optional
        Random elements of the group.
    rng : int or Generator
    """
    W = _nonzero(W)
    rng = checks.as_generator(rng)
    flips = rng.choice([-1.0, 1.0], size=(W.shape[1], checks.positive_int(repeats, "repeats")))
    scale = np.sum(W**2)
    return _randomisation(
        np.sum(W.sum(axis=1) ** 2) / scale, np.sum((W @ flips) ** 2, axis=0) / scale
    )


def permutation_test(
    W: np.ndarray, *, repeats: int = 19, rng: int | np.random.Generator
) -> SymmetryTest:
    """Permutation symmetry: does it matter to which hidden unit a coupling of a pixel goes?

    The group permutes the entries of each row of W, independently from row to row; independent
    identically distributed couplings are invariant. (One permutation for all rows only renames the
    hidden units.) The statistic is sum_i lambda_i^4 / (sum_i lambda_i^2)^2: it grows when couplings
    of different pixels go together.

    Parameters
    ----------
    W : (N, M) array
    repeats : int, optional
    rng : int or Generator
    """
    W = _nonzero(W)
    rng = checks.as_generator(rng)

    def statistic(x: np.ndarray) -> float:
        gram = x.T @ x if x.shape[0] > x.shape[1] else x @ x.T
        return np.sum(gram**2) / np.trace(gram) ** 2

    null = [
        statistic(rng.permuted(W, axis=1)) for _ in range(checks.positive_int(repeats, "repeats"))
    ]
    return _randomisation(statistic(W), np.array(null))


def _nonzero(W: np.ndarray) -> np.ndarray:
    W = checks.real_array(W, (None, None), "W")
    if not W.any():
        raise ValueError("W must not be zero: there is nothing to test")
    return W


def _randomisation(statistic: float, null: np.ndarray) -> SymmetryTest:
    p_value = (1 + np.sum(null >= statistic)) / (1 + len(null))
    return SymmetryTest(float(statistic), float(null.mean()), float(null.std()), float(p_value))


def neighbour_correlation(maps: np.ndarray, *, side: int = 28) -> np.ndarray:
    """Correlation between neighbouring pixels of each image (Moran's I): 0 for unrelated pixels,
    near 1 for blobs.

    Parameters
    ----------
    maps : (n, side^2) array
        Images, e.g. of changed pixels or modes.
    side : int, optional

    Returns
    -------
    (n,) array
        NaN for an image without contrast.
    """
    maps = checks.real_array(maps, (None, side**2), "maps")
    centred = (maps - maps.mean(axis=1, keepdims=True)).reshape(-1, side, side)
    right = (centred[:, :, 1:] * centred[:, :, :-1]).sum(axis=(1, 2))
    below = (centred[:, 1:] * centred[:, :-1]).sum(axis=(1, 2))
    variance = (centred**2).mean(axis=(1, 2))
    with np.errstate(invalid="ignore"):
        return (right + below) / (2 * side * (side - 1) * variance)
