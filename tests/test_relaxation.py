"""Relaxation of block Gibbs sampling against exact results and plain estimates."""

import numpy as np
import pytest

from rbmkit import RBM, curie_weiss, gibbs, relaxation
from rbmkit.reciprocal import modes

pytestmark = pytest.mark.usefixtures("one_thread")


def random_rbm(N=7, M=5):
    rng = np.random.default_rng(3)
    return RBM(W=rng.normal(0, 0.6, (N, M)), a=rng.normal(size=N), b=rng.normal(size=M))


# ---------------------------------------------------------------- block Gibbs sampling
def test_relaxation_of_an_isolated_mode_is_the_exact_one():
    """The chain of counts of the bipartite magnet, diagonalised, against sampling; both near
    (lambda / 4)^2."""
    from scipy.stats import binom

    rbm = curie_weiss(120, 90, singular_value=2.5)
    w = rbm.W[0, 0]
    k = np.arange(121)
    l = np.arange(91)
    up = binom.pmf(l, 90, 1 / (1 + np.exp(-w * (k[:, None] - 60))))
    down = binom.pmf(k, 120, 1 / (1 + np.exp(-w * (l[:, None] - 45))))
    stationary = np.linalg.matrix_power(up @ down, 200)[0]
    exact = (stationary * (k - 60)) @ (up @ down) @ (k - 60) / (stationary @ (k - 60) ** 2)
    start = gibbs(
        rbm, np.random.default_rng(0).integers(0, 2, (400, 120), dtype=np.uint8), steps=30, rng=1
    ).v
    r = relaxation.relaxation(rbm, start, np.ones((120, 1)), steps=60, lags=20, rng=2)
    assert abs(r.correlation[1, 0] - exact) < 4 * r.stderr[1, 0]
    assert 0 < r.stderr[1, 0] < 0.02
    assert abs(r.time[0] - (1 + exact) / (1 - exact) / 2) < 5 * r.time_stderr[0]
    assert exact == pytest.approx((2.5 / 4) ** 2, abs=0.03)


def test_correlation_estimates_against_a_plain_autoregression():
    """Known process: x' = r x + noise. Pulls of 40 independent columns have the spread that the
    errors promise."""
    rng = np.random.default_rng(5)
    r = 0.6
    n = 100
    T = 60
    K = 40
    x = np.empty((T + 1, n, K))
    x[0] = rng.normal(size=(n, K))
    for t in range(T):
        x[t + 1] = r * x[t] + np.sqrt(1 - r**2) * rng.normal(size=(n, K))
    groups = np.array_split(np.arange(n), relaxation._BLOCKS)
    sums = np.array([relaxation._lagged(x[:, g], 25) for g in groups])
    correlation = relaxation._correlation(sums.sum(axis=0))
    left = relaxation._correlation(sums.sum(axis=0) - sums)
    error = np.sqrt((relaxation._BLOCKS - 1) * left.var(axis=0))
    pull = (correlation[1] - r) / error[1]
    assert 0.7 < np.sqrt((pull**2).mean()) < 1.4
    time, _ = relaxation._integrated_time(correlation)
    assert time.mean() == pytest.approx((1 + r) / (1 - r) / 2, rel=0.05)
    assert np.isnan(relaxation._integrated_time(correlation[:3])[0]).all()


def test_dressed_modes_predict_a_crowded_model():
    rng = np.random.default_rng(1)
    W = rng.normal(0, 3.3 / (np.sqrt(200) + np.sqrt(150)), (200, 150))
    rbm = RBM(W=W, a=-W.sum(axis=1) / 2, b=-W.sum(axis=0) / 2)
    drawn = gibbs(rbm, rng.integers(0, 2, (400, 200), dtype=np.uint8), steps=60, rng=1)
    p_v = rbm.visible_mean(drawn.h)
    p_h = rbm.hidden_mean(drawn.v)
    d = relaxation.dressed(rbm, (p_v * (1 - p_v)).mean(axis=0), (p_h * (1 - p_h)).mean(axis=0))
    r = relaxation.relaxation(rbm, drawn.v, d.vectors[:, :40], steps=30, lags=2, rng=2)
    pull = (r.correlation[1] - d.s[:40] ** 2) / r.stderr[1]
    bare = (r.correlation[1] - (modes(rbm).s[:40] / 4) ** 2) / r.stderr[1]
    assert np.sqrt((pull**2).mean()) < 2
    assert np.sqrt((bare**2).mean()) > 5


# ---------------------------------------------------------------- front door
def test_a_unit_that_never_moves_has_no_part_in_the_dressed_modes():
    gains = np.array([0, 0, 0, 0.1, 0.2, 0.25, 0.2])
    vectors = relaxation.dressed(random_rbm(), gains, np.full(5, 0.25)).vectors
    assert np.abs(vectors).max() < 4
    assert not vectors[:3].any()
