"""Models with known answers against enumeration and limits."""

import itertools

import numpy as np
import pytest

from rbmkit import data, solvable


def log_z_by_enumeration(rbm, beta):
    v = np.array(list(itertools.product((0, 1), repeat=rbm.N)), dtype=np.uint8)
    return np.logaddexp.reduce(-rbm.free_energy(v, beta))


@pytest.mark.parametrize("centred", [True, False])
def test_planted_has_the_singular_values_asked_for(centred):
    rbm = solvable.planted(12, 9, singular_values=[1.0, 5.0, 2.5], rng=2, centred=centred)
    np.testing.assert_allclose(
        np.linalg.svd(rbm.W, compute_uv=False), [5.0, 2.5, 1.0] + 6 * [0.0], atol=1e-12
    )
    assert bool(rbm.a.any()) is bool(rbm.b.any()) is centred
    np.testing.assert_array_equal(
        solvable.planted(12, 9, singular_values=[1.0, 5.0, 2.5], rng=2, centred=centred).W, rbm.W
    )


@pytest.mark.parametrize(
    "rbm",
    [
        solvable.planted(8, 5, singular_values=[4.0, 3.0], rng=0),
        solvable.curie_weiss(8, 5, singular_value=6.0),
    ],
    ids=["planted", "curie_weiss"],
)
def test_centred_models_are_symmetric_under_the_flip_of_all_units(rbm):
    rng = np.random.default_rng(0)
    v = rng.integers(0, 2, size=(50, rbm.N))
    h = rng.integers(0, 2, size=(50, rbm.M))
    np.testing.assert_allclose(rbm.energy(v, h), rbm.energy(1 - v, 1 - h), atol=1e-12)
    half = np.full(rbm.M, 0.5)
    # so m = 1/2 solves mean field at every beta
    np.testing.assert_allclose(rbm.a + rbm.W @ half, 0, atol=1e-12)


@pytest.mark.parametrize("beta", [0.0, 0.5, 1.0, 2.0])
def test_curie_weiss_log_z_against_enumeration(beta):
    rbm = solvable.curie_weiss(9, 6, singular_value=4.5)
    assert solvable.curie_weiss_log_z(rbm, beta) == pytest.approx(
        log_z_by_enumeration(rbm, beta), rel=1e-13
    )
    v = np.array(list(itertools.product((0, 1), repeat=9)), dtype=np.uint8)
    by_count = [
        np.logaddexp.reduce(-rbm.free_energy(v[v.sum(axis=1) == k], beta)) for k in range(10)
    ]
    np.testing.assert_allclose(
        solvable.curie_weiss_log_weights(rbm, beta), by_count, rtol=1e-12, atol=1e-12
    )


def test_curie_weiss_log_z_with_other_uniform_fields():
    rbm = data.RBM(W=np.full((7, 3), -0.4), a=np.full(7, 0.3), b=np.full(3, -1.0))
    assert solvable.curie_weiss_log_z(rbm, 1.3) == pytest.approx(
        log_z_by_enumeration(rbm, 1.3), rel=1e-13
    )


def test_curie_weiss_limit_of_many_hidden_units():
    """p(sum v) tends to that of N spins with exp(beta^2 lambda^2 s^2 / (8 N)); the error falls
    as 1/M."""
    N = 20
    beta = 1.2
    value = 3.0
    k = np.arange(N + 1)
    # ln binomials + ln 2
    free = solvable.curie_weiss_log_weights(solvable.curie_weiss(N, 1, singular_value=0.0), 0.0)
    target = free + beta**2 * value**2 * (k - N / 2) ** 2 / (8 * N)
    errors = []
    for M in (10**3, 10**4, 10**5):
        weights = solvable.curie_weiss_log_weights(
            solvable.curie_weiss(N, M, singular_value=value), beta
        )
        errors.append(np.abs((weights - weights[N // 2]) - (target - target[N // 2])).max())
    np.testing.assert_allclose(np.array(errors[:-1]) / errors[1:], 10, rtol=0.05)
    assert errors[-1] < 1e-3


def test_curie_weiss_splits_in_two_above_four():
    """At beta = 1 the law of sum v has one peak for lambda = 3.5 and two for lambda = 4.5 (N = M
    = 2000)."""
    peaks = []
    for value in (3.5, 4.5):
        w = solvable.curie_weiss_log_weights(solvable.curie_weiss(2000, 2000, singular_value=value))
        peaks.append(int(((w[1:-1] > w[:-2]) & (w[1:-1] > w[2:])).sum()))
    assert peaks == [1, 2]


def test_bad_arguments_of_models():
    for values in ([-1.0], [1.0, 1.0, 1.0], [], [np.nan], 3.0):
        with pytest.raises(ValueError, match="singular_values"):
            solvable.planted(5, 2, singular_values=values, rng=0)
    with pytest.raises(TypeError, match="rng must be"):
        solvable.planted(5, 2, singular_values=[1.0], rng=None)
    with pytest.raises(ValueError, match="singular_value must be 0 or above"):
        solvable.curie_weiss(5, 2, singular_value=-1)
    with pytest.raises(ValueError, match="N must be"):
        solvable.curie_weiss(0, 2, singular_value=1)
    with pytest.raises(ValueError, match="rbm must be uniform"):
        solvable.curie_weiss_log_z(solvable.planted(5, 2, singular_values=[1.0], rng=0))
