"""The certificate: passes where enumeration says that samples are right, fails on trapped
chains."""

import numpy as np
import pytest
from scipy.special import expit, logsumexp

from rbmkit import RBM, Tempering, all_states, equilibrium, exact_moments, gibbs, independent
from rbmkit.equilibrium import effective_sample_size, split_r_hat

pytestmark = pytest.mark.usefixtures("one_thread")


def two_wells(strength, N=12, M=8):
    """h coupled to v - 1/2: both wells are likely; strength is lambda, and the transition is
    near 4."""
    W = np.full((N, M), strength / np.sqrt(N * M))
    return RBM(W, -W.sum(axis=1) / 2 + 0.05, -W.sum(axis=0) / 2)


def starts(N, chains, rng):
    return np.ones((chains, N)), np.zeros((chains, N)), rng.integers(0, 2, (chains, N))


def gibbs_draws(rbm, start, *, draws, every, rng):
    out = []
    for _ in range(draws):
        start = gibbs(rbm, start, steps=every, rng=rng).v
        out.append(start)
    return np.array(out)


def certificate(rbm, draws=60, every=5, chains=10, seed=1):
    rng = np.random.default_rng(seed)
    samples = [
        gibbs_draws(rbm, v, draws=draws, every=every, rng=rng) for v in starts(rbm.N, chains, rng)
    ]
    return equilibrium(rbm, samples), np.array(samples)


def test_it_passes_where_enumeration_says_the_samples_are_right():
    rbm = two_wells(3.0)
    verdict, samples = certificate(rbm)
    assert verdict.passed, str(verdict)
    assert str(verdict).startswith("No sign of trapped chains")
    exact = exact_moments(rbm).v
    assert np.abs(samples.mean(axis=(0, 1, 2)) - exact).max() < 5 * 0.5 / np.sqrt(verdict.ess.min())


def test_it_fails_on_chains_that_stay_in_their_wells():
    verdict, samples = certificate(two_wells(14.0))
    assert samples[0].mean() > 0.9  # of the starts from ones, all are still there
    assert samples[1].mean() < 0.1
    assert not verdict.passed
    assert not verdict.agree
    assert verdict.names[int(verdict.r_hat.argmax())] == "x1"
    assert "remember where they started" in str(verdict)


def test_it_fails_on_trapped_chains_that_are_spread_as_they_should_be():
    """Random starts only: wells are filled about equally, all starts agree, but no chain ever
    leaves its well."""
    rbm = two_wells(14.0)
    rng = np.random.default_rng(2)
    samples = [
        gibbs_draws(rbm, rng.integers(0, 2, (200, 12)), draws=60, every=5, rng=rng)[10:]
        for _ in range(2)
    ]
    verdict = equilibrium(rbm, samples, modes=1)
    assert not verdict.passed
    assert verdict.ess.min() < 5 * verdict.chains


def test_it_fails_when_the_run_is_too_short():
    verdict, _ = certificate(two_wells(3.0), draws=6, chains=10)
    assert not verdict.passed


def test_tempering_passes_in_the_two_wells():
    rbm = two_wells(14.0)
    rng = np.random.default_rng(3)
    runs = [
        Tempering([independent(rbm), rbm], ladders=10, start=v, rng=rng).adapt(200)
        for v in starts(12, 10, rng)
    ]
    samples = [run.run(1500, every=10).samples for run in runs]
    verdict = equilibrium(rbm, samples)
    assert verdict.passed, str(verdict)
    states = all_states(12)
    log_p = -rbm.free_energy(states)
    exact = np.exp(logsumexp(log_p[states.sum(axis=1) > 6]) - logsumexp(log_p))
    assert np.mean(np.array(samples).sum(axis=-1) > 6) == pytest.approx(
        exact, abs=5 * 0.5 / np.sqrt(verdict.ess.min())
    )


# ---------------------------------------------------------------- the two numbers
def autoregressive(rho, shape, rng):
    """(starts, draws, chains) stationary Gaussian, unit variance, correlation rho between
    neighbours in time."""
    x = rng.normal(size=shape)
    for t in range(1, shape[1]):
        x[:, t] = rho * x[:, t - 1] + np.sqrt(1 - rho**2) * x[:, t]
    return x


@pytest.mark.parametrize("rho", [0.0, 0.5, 0.9])
def test_effective_sample_size_of_autoregressive_chains(rho):
    x = autoregressive(rho, (2, 2000, 10), np.random.default_rng(4))
    assert effective_sample_size(x) == pytest.approx(x.size * (1 - rho) / (1 + rho), rel=0.1)


def test_effective_sample_size_sees_antithetic_and_frozen_chains():
    rng = np.random.default_rng(5)
    assert effective_sample_size(autoregressive(-0.5, (1, 2000, 10), rng)) > 1.5 * 20_000
    frozen = np.repeat(rng.normal(size=(2, 1, 50)), 100, axis=1)
    assert effective_sample_size(frozen) < 5 * 100
    assert effective_sample_size(np.zeros((2, 10, 4))) <= 16


def test_r_hat_of_shifted_groups_is_that_of_the_formula():
    """Two starts a distance d apart, unit variance inside: R^2 = 1 + B / W, up to the transform
    to normal scores."""
    x = np.random.default_rng(6).normal(size=(2, 4000, 5))
    assert split_r_hat(x) < 1.001
    x[1] += 0.5
    halves = np.repeat([0, 0.5], 2)
    assert split_r_hat(x) == pytest.approx(np.sqrt(1 + halves.var(ddof=1)), rel=0.02)


def test_r_hat_sees_drift_in_time_and_unequal_widths():
    rng = np.random.default_rng(7)
    drift = rng.normal(size=(2, 400, 5)) + np.linspace(0, 1, 400)[:, None]
    assert split_r_hat(drift) > 1.03
    widths = rng.normal(size=(2, 400, 5)) * np.array([1, 2])[:, None, None]
    assert split_r_hat(widths) > 1.05


def test_monotone_transforms_change_nothing():
    x = autoregressive(0.5, (3, 100, 4), np.random.default_rng(8))
    assert effective_sample_size(np.exp(3 * x)) == pytest.approx(
        effective_sample_size(x), rel=1e-12
    )
    assert effective_sample_size(expit(x)) == pytest.approx(effective_sample_size(x), rel=1e-12)


def test_false_alarms_are_rare():
    """Independent draws with 1,000 effective draws per group: R-hat stays below 1.01 in all of
    200 trials."""
    rng = np.random.default_rng(9)
    assert max(split_r_hat(rng.normal(size=(3, 40, 50))) for _ in range(200)) < 1.01


# ---------------------------------------------------------------- bad input
@pytest.mark.parametrize(
    "samples",
    [
        [],
        [np.zeros((10, 4, 12))],
        [np.zeros((10, 4, 12)), np.zeros((10, 5, 12))],
        [np.zeros((3, 4, 12))] * 2,
        [np.zeros((10, 12))] * 2,
    ],
)
def test_bad_shapes_are_refused_with_one_sentence(samples):
    with pytest.raises(ValueError, match="two or more arrays"):
        equilibrium(two_wells(3.0), samples)


def test_bad_values_are_refused():
    with pytest.raises(ValueError, match="only 0 and 1"):
        equilibrium(two_wells(3.0), [np.full((10, 4, 12), 2)] * 2)
    with pytest.raises(ValueError, match="must have shape"):
        equilibrium(two_wells(3.0), [np.zeros((10, 4, 11))] * 2)
    with pytest.raises(ValueError, match="NaN"):
        split_r_hat(np.full((2, 10, 3), np.nan))
