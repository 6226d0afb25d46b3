"""Spectra against numerical integration and random matrices."""

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.optimize import minimize_scalar

from rbmkit.spectra import MarchenkoPastur, bulk_distance, fit_marchenko_pastur, spacings


def unit_vector(n, seed):
    vector = np.random.default_rng(seed).normal(size=n)
    return vector / np.linalg.norm(vector)


# ---------------------------------------------------------------- Marchenko-Pastur
SIZES = [(784, 500, 0.01), (500, 784, 0.01), (60, 60, 1.0), (10, 1, 2.0)]


@pytest.mark.parametrize(("N", "M", "sigma"), SIZES)
def test_marchenko_pastur_density_and_cdf(N, M, sigma):
    law = MarchenkoPastur(N, M, sigma)
    total = quad(law.density, law.low, law.high, epsabs=1e-10)[0]
    second = quad(lambda s: s**2 * law.density(s), law.low, law.high)[0]
    assert total == pytest.approx(1, abs=1e-7)
    assert second == pytest.approx(sigma**2 * max(N, M), rel=1e-6)  # E |W|^2 / min(N, M)
    for s in np.linspace(law.low, law.high, 7):
        assert law.cdf(s) == pytest.approx(quad(law.density, law.low, s)[0], abs=1e-7)
    outside = np.array([-1.0, 0.0, law.low / 2, law.high * 1.1])
    np.testing.assert_array_equal(law.density(outside), 0)
    np.testing.assert_allclose(law.cdf(outside), [0, 0, 0, 1], atol=1e-7)


@pytest.mark.parametrize(("N", "M", "sigma"), [size for size in SIZES if size[0] != size[1]])
def test_marchenko_pastur_maximum(N, M, sigma):
    law = MarchenkoPastur(N, M, sigma)
    found = minimize_scalar(
        lambda s: -law.density(s), bounds=(law.low, law.high), options={"xatol": 1e-9}
    )
    assert law.mode == pytest.approx(found.x, rel=1e-5)
    assert law.mode == pytest.approx(np.sqrt(law.low * law.high))
    assert law.density(law.mode) == pytest.approx(2 / (np.pi * sigma * np.sqrt(min(N, M))))


def test_marchenko_pastur_of_a_square_matrix_is_the_quarter_circle():
    law = MarchenkoPastur(60, 60, 0.5)
    s = np.linspace(0.1, 7, 9)
    radius = 2 * 0.5 * np.sqrt(60)
    np.testing.assert_allclose(law.density(s), 4 * np.sqrt(radius**2 - s**2) / (np.pi * radius**2))
    assert law.mode == 0


@pytest.mark.parametrize(("N", "M"), [(300, 200), (200, 300), (200, 200)])
def test_marchenko_pastur_fits_random_matrices(N, M):
    s = np.linalg.svd(np.random.default_rng(0).normal(0, 0.01, (N, M)), compute_uv=False)
    fit = fit_marchenko_pastur(s, N, M)
    grid = (np.arange(len(s)) + 0.5) / len(s)
    assert fit.sigma == pytest.approx(0.01, rel=0.01)  # the spread over matrices is 0.2 to 0.3 %
    # rigidity: far below 1 / sqrt(200)
    assert np.abs(MarchenkoPastur(N, M, 0.01).cdf(s[::-1]) - grid).max() < 0.015


def test_fit_ignores_outliers_and_outlier_marks_them():
    rng = np.random.default_rng(1)
    spikes = np.outer(unit_vector(300, 1), unit_vector(200, 2)) * 2 + np.outer(
        unit_vector(300, 3), unit_vector(200, 4)
    )
    s = np.linalg.svd(rng.normal(0, 0.01, (300, 200)) + spikes, compute_uv=False)
    fit = fit_marchenko_pastur(s, 300, 200)
    assert fit.sigma == pytest.approx(0.01, rel=0.015)
    assert (s > fit.outlier).sum() == 2


@pytest.mark.parametrize("n", [0, 40, 90])
@pytest.mark.parametrize(("N", "M"), [(300, 200), (200, 320)])
def test_a_bulk_stays_a_bulk_however_many_spikes_are_planted(N, M, n):
    """The law of the (N - n, M - n) matrix that is left; that of all values is off by n / min(N,
    M)."""
    rng = np.random.default_rng((N, n))
    U, V = (np.linalg.qr(rng.normal(size=(size, n)))[0] for size in (N, M))
    s = np.linalg.svd(
        rng.normal(0, 0.01, (N, M)) + (U * np.linspace(2, 10, n)) @ V.T, compute_uv=False
    )
    fit = fit_marchenko_pastur(s, N, M)
    assert (s > fit.outlier).sum() == n
    assert (fit.N, fit.M) == (N - n, M - n)
    assert fit.sigma == pytest.approx(0.01, rel=0.015)
    assert bulk_distance(s, fit) < 0.02
    if n:
        whole = np.abs(
            MarchenkoPastur(N, M, 0.01).cdf(s[::-1]) - (np.arange(len(s)) + 0.5) / len(s)
        ).max()
        assert whole > 0.5 * n / min(N, M)
        assert bulk_distance(s, MarchenkoPastur(N, M, 0.01)) > 2 * bulk_distance(s, fit)


def test_a_bulk_of_another_shape_is_seen():
    rng = np.random.default_rng(3)
    s = np.linalg.svd(rng.normal(size=(300, 200)) * np.geomspace(0.2, 1, 200), compute_uv=False)
    assert bulk_distance(s, fit_marchenko_pastur(s, 300, 200)) > 0.05


def test_outlier_threshold_has_one_false_alarm_in_1000():
    """2000 matrices: 2 expected, 10 or more has probability 5e-5; half the distance to the edge
    gives far more."""
    rng = np.random.default_rng(2)
    law = MarchenkoPastur(60, 40, 1.0)
    top = np.linalg.svd(rng.normal(size=(2000, 60, 40)), compute_uv=False)[:, 0]
    assert (top > law.outlier).sum() < 10
    assert (top > (law.high + law.outlier) / 2).sum() > 20


def test_marchenko_pastur_refuses_nonsense():
    with pytest.raises(ValueError, match="sigma"):
        MarchenkoPastur(3, 4, 0.0)
    with pytest.raises(ValueError, match="s must have shape"):
        fit_marchenko_pastur(np.ones(5), 3, 4)


# ---------------------------------------------------------------- gaps
def smooth_spectrum(rng, kind, n=60):
    steps = rng.exponential(size=n)
    t = np.cumsum(steps if kind == "independent" else np.sqrt(4 / np.pi * steps))
    return np.sort(40 - 8 * np.log(t) - 0.3 * np.log(t) ** 2)[::-1]


@pytest.mark.parametrize("kind", ["independent", "repelling"])
def test_spectra_without_a_gap_have_uniform_probabilities(kind):
    """200 spectra; the distance of 200 uniform numbers from uniform exceeds 0.115 once in 100
    times."""
    rng = np.random.default_rng(0)
    p = [
        getattr(spacings(smooth_spectrum(rng, kind), draws=200, rng=rng), f"p_{kind}")
        for _ in range(200)
    ]
    assert np.abs(np.sort(p) - (np.arange(200) + 0.5) / 200).max() < 0.115


def test_a_planted_gap_is_found():
    rng = np.random.default_rng(1)
    s = smooth_spectrum(rng, "repelling")
    s[:9] += 12.0
    found = spacings(s, rng=rng)
    assert np.argmax(found.gaps) == np.argmax(found.relative) == 8  # counted from 0
    assert found.p_repelling < 0.002
    assert found.p_independent < 0.05
    assert np.allclose(found.gaps, s[:39] - s[1:40])


def test_wrong_spectra_are_refused():
    for wrong in (np.arange(50.0), np.ones(39)):
        with pytest.raises(ValueError, match="at least 40 values in descending order"):
            spacings(wrong, rng=0)
