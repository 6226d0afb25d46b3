"""Denoising: the tilted RBM, the density and score of noisy states, and the law of the ends of
paths.

Statistical tests allow five standard errors, or a chi-squared of probability 1e-6, at fixed seeds.
"""

import numpy as np
import pytest
from scipy.stats import chi2

from rbmkit import RBM, all_states, exact_log_z
from rbmkit import denoising as dn
from rbmkit.mean_field import mean_field, sweep

STATES = all_states(6)
CODES = STATES @ (1 << np.arange(6))


@pytest.fixture
def small():
    rng = np.random.default_rng(4)
    return RBM(rng.normal(0, 1.5, (6, 4)), rng.normal(0, 0.5, 6), rng.normal(0, 0.5, 4))


def law(rbm):
    return np.exp(-rbm.free_energy(STATES) - exact_log_z(rbm))


def misfit(ends, probability):
    """p-value of chi-squared of the states `ends`; rare states are pooled."""
    counts = np.bincount(ends.astype(int) @ (1 << np.arange(6)), minlength=64)[CODES]
    expected = len(ends) * probability
    big = expected >= 5
    seen = np.append(counts[big], counts[~big].sum())
    wanted = np.append(expected[big], expected[~big].sum())
    return chi2.sf(((seen - wanted) ** 2 / wanted).sum(), len(wanted) - 1)


# ---------------------------------------------------------------- the law of y
@pytest.mark.parametrize("t", [0.0, 0.3, 5.0])
def test_posterior_is_the_tilted_model(small, t):
    y = dn.add_noise(STATES[[11]], t, rng=1)[0]
    weight = law(small) * np.exp(y @ STATES.T - t / 2 * STATES.sum(axis=1))
    np.testing.assert_allclose(law(dn.tilted(small, y, t)), weight / weight.sum(), rtol=1e-9)
    np.testing.assert_allclose(
        dn.exact_mean(small, y, t)[0], weight @ STATES / weight.sum(), rtol=1e-9
    )


def test_density_is_the_mixture_and_the_score_its_gradient(small):
    t = 0.8
    y = dn.add_noise(STATES[[11]], 0.8, rng=2)
    mixture = (
        law(small) @ np.exp(-((y - t * STATES) ** 2).sum(axis=1) / (2 * t)) / (2 * np.pi * t) ** 3
    )
    assert dn.log_density(small, y[0], t) == pytest.approx(np.log(mixture), abs=1e-10)
    step = 1e-4 * np.eye(6)
    slope = [
        (dn.log_density(small, y[0] + e, t) - dn.log_density(small, y[0] - e, t)) / 2e-4
        for e in step
    ]
    np.testing.assert_allclose(dn.score(small, y, t)[0], slope, atol=1e-8)


def test_noise_has_the_mean_and_variance_of_the_signal():
    y = dn.add_noise(np.ones((20_000, 2), np.uint8), 2.5, rng=3)
    assert np.abs(y.mean(axis=0) - 2.5).max() < 5 * np.sqrt(2.5 / 20_000)
    assert np.abs(y.var(axis=0) - 2.5).max() < 5 * 2.5 * np.sqrt(2 / 20_000)


def test_the_clock_of_the_diffusion():
    for t in (0.01, 1.0, 30.0):
        s = dn.diffusion_time(t)
        assert np.exp(-2 * s) / (1 - np.exp(-2 * s)) == pytest.approx(t)


def test_exact_means_do_not_depend_on_the_size_of_the_pieces(small, monkeypatch):
    y = np.random.default_rng(5).normal(size=(9, 6))
    whole = dn.exact_mean(small, y, 1.0)
    monkeypatch.setattr(dn, "_WORK", 200)
    np.testing.assert_allclose(dn.exact_mean(small, y, 1.0), whole, rtol=1e-12)


# ---------------------------------------------------------------- approximate means
def test_gibbs_mean_is_exact_within_its_error(small):
    y = np.tile(dn.add_noise(STATES[[11]], 0.8, rng=6), (4000, 1))
    mean = next(dn.denoise(small, y, t=[0.8], steps=20, warm_up=200, rng=7)).mean
    error = mean.std(axis=0) / np.sqrt(len(y))
    assert (
        np.abs(mean.mean(axis=0) - dn.exact_mean(small, y[:1], 0.8)[0]) < 5 * error + 1e-6
    ).all()


@pytest.mark.parametrize(("method", "order"), [("mean field", 1), ("tap", 2)])
def test_sweeps_end_at_a_solution_of_the_tilted_model(small, method, order):
    y = dn.add_noise(STATES[[11]], 0.8, rng=8)
    mean = next(dn.denoise(small, y, t=[0.8], method=method, steps=3000, warm_up=0, rng=9)).mean
    solution = mean_field(dn.tilted(small, y[0], 0.8), mean, order=order)
    np.testing.assert_allclose(mean, solution.v, atol=1e-6)
    with_fields = sweep(small, mean, fields=small.a + y - 0.4, order=order)
    np.testing.assert_allclose(with_fields, mean, atol=1e-6)


# ---------------------------------------------------------------- ends
@pytest.mark.parametrize("method", ["exact", "gibbs"])
def test_ends_have_the_law_of_the_model(small, method):
    ends = dn.generate(small, 3000, method=method, steps=3, rng=10).v
    assert misfit(ends, law(small)) > 1e-6


def test_the_wrong_fields_would_be_noticed(small):
    wrong = RBM(small.W, small.a + 0.5, small.b)
    assert misfit(dn.generate(wrong, 3000, method="exact", rng=10).v, law(small)) < 1e-12


def test_a_path_goes_on_from_a_noisy_state(small):
    """States of the model, noise up to t = 1, and back: the law is that of the model again."""
    rng = np.random.default_rng(11)
    v = STATES[rng.choice(64, 3000, p=law(small))]
    back = dn.generate(
        small, dn.add_noise(v, 1.0, rng=rng), t=np.geomspace(1, 100, 60), method="exact", rng=rng
    ).v
    assert misfit(back, law(small)) > 1e-6
    assert 0.5 < np.mean(back == v) < 0.99


def test_generate_is_the_last_of_denoise(small):
    options = {"t": dn.schedule(15), "rng": 13}
    states = list(dn.denoise(small, 5, **options))
    last = dn.generate(small, 5, **options)
    assert [state.t for state in states] == pytest.approx(dn.schedule(15))
    assert not states[0].y.any()
    np.testing.assert_array_equal(states[-1].v, last.v)
    assert last.v.dtype == np.uint8


def test_fields_may_be_large(small):
    y = np.full((2, 6), 2000.0)
    assert (next(dn.denoise(small, y, t=[2.0], rng=0)).mean == 1).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"method": "magic"}, "unknown method"),
        ({"t": [1.0, 0.5]}, "must increase"),
        ({"t": [-1.0, 0.5]}, "must increase"),
        ({"steps": 0}, "steps must be an integer >= 1"),
        ({"warm_up": -1}, "warm_up must be an integer >= 0"),
        ({"paths": np.zeros((2, 5))}, "paths"),
        ({"paths": 0}, "paths must be an integer >= 1"),
    ],
)
def test_bad_input_is_refused_with_one_sentence(small, options, message):
    options = {"paths": 3, "rng": 0} | options
    with pytest.raises(ValueError, match=message):
        dn.denoise(small, options.pop("paths"), **options)


def test_the_exact_mean_needs_few_hidden_units():
    rbm = RBM.random(4, 13, sigma=1, rng=0)
    with pytest.raises(ValueError, match="at most 12 hidden units"):
        dn.exact_mean(rbm, np.zeros(4), 1.0)
