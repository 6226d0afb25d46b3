"""The numba kernels against plain NumPy twins, and the random stream against the usual tests.

Tolerances: float32 sums of a few hundred terms of order one are good to about 1e-5; statistical
tests allow five to six standard errors (a chance of 1e-6 or less for each), so with fixed seeds
they fail only if something is wrong.
"""

import numpy as np
import pytest
from scipy.special import expit, logsumexp
from scipy.stats import chi2

from rbmkit import RBM, kernels
from rbmkit.kernels import fields
from rbmkit.sampling import arranged

U32, U64 = np.uint32, np.uint64
ONE = np.float32(1)
SHAPES = [(70, 130), (1, 1), (128, 256), (3, 129), (200, 2), (257, 62)]


# ------------------------------------------------------ the random stream, written again in NumPy
def mix64(x):
    x = (x ^ (x >> U64(30))) * U64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> U64(27))) * U64(0x94D049BB133111EB)
    return x ^ (x >> U64(31))


def keys(seed, step, layer, chain):
    seed, step, layer, chain = (np.atleast_1d(x).astype(U64) for x in (seed, step, layer, chain))
    key = mix64(seed + U64(0x9E3779B97F4A7C15) * (U64(2) * step + layer + U64(1)))
    return mix64(key + U64(0xD1B54A32D192ED03) * (chain + U64(1)))


def words(key, unit):
    key, unit = np.atleast_1d(key).astype(U64), np.atleast_1d(unit).astype(U32)
    x = (key & U64(0xFFFFFFFF)).astype(U32) + unit * U32(0x9E3779B9)
    x = (x ^ (x >> U32(16))) * U32(0x21F0AAAD) + (key >> U64(32)).astype(U32)
    x = (x ^ (x >> U32(15))) * U32(0xD35A2D97)
    return x ^ (x >> U32(15))


def uniforms(key, unit):
    high_bits = (words(key, unit) >> U32(1)).astype(np.int32)
    return (high_bits.astype(np.float32) + np.float32(0.5)) * np.float32(2.0**-31)


def draws(seed, step, layer, chains, units):
    """(chains, units) uniform numbers of one layer at one step."""
    return uniforms(keys(seed, step, layer, np.arange(chains))[:, None], np.arange(units))


def test_random_stream_equals_its_twin_bit_for_bit():
    rng = np.random.default_rng(1)
    cases = rng.integers(0, [2**63 - 1, 2**40, 2, 2**31, 2**20], size=(2000, 5))
    edges = [[0, 0, 0, 0, 0], [2**63 - 2, 2**40, 1, 2**31, 4095], [1, 0, 1, 0, 0]]
    for seed, step, layer, chain, unit in np.concatenate([cases, edges]).tolist():
        key = kernels.stream_key(seed, step, layer, chain)
        assert key == keys(seed, step, layer, chain)[0]
        assert kernels.random_word(U64(key), unit) == words(key, unit)[0]
        assert kernels.uniform(U64(key), unit) == uniforms(key, unit)[0]


def test_uniform_numbers_are_in_range():
    u = draws(3, 0, 0, 500, 4000)
    assert u.dtype == np.float32
    assert u.min() > 0
    assert u.max() <= 1


# ---------------------------------------------------------------- is the stream random?
AXES = ("seed", "step", "layer", "chain", "unit")


@pytest.fixture(scope="module")
def stream():
    """Words of 8 neighbouring seeds, 16 steps, 2 layers, 16 chains, 512 units: 2 million."""
    grid = np.ix_(1000 + np.arange(8), np.arange(16), np.arange(2), np.arange(16))
    return words(keys(*grid)[..., None], np.arange(512))


def chi2_z(counts):
    """Excess of chi-squared over its mean for equal expectations, in standard deviations; with
    many cells it is normal."""
    expected = counts.sum() / counts.size
    value = ((counts - expected) ** 2 / expected).sum()
    return (value - (counts.size - 1)) / np.sqrt(2 * (counts.size - 1))


def test_words_are_uniform(stream):
    u = stream.astype(float) / 2.0**32
    n = u.size
    assert abs(u.mean() - 0.5) < 5 * np.sqrt(1 / 12 / n)
    assert abs(u.var() - 1 / 12) < 5 * np.sqrt(1 / 180 / n)
    for shift in (0, 12, 24):  # the low, the middle and the high bits
        byte = (stream.ravel() >> U32(shift)) & U32(255)
        assert abs(chi2_z(np.bincount(byte, minlength=256))) < 5


def test_each_bit_is_balanced(stream):
    for bit in range(32):
        ones = int(((stream >> U32(bit)) & U32(1)).sum())
        assert abs(ones - stream.size / 2) < 5 * np.sqrt(stream.size) / 2, bit


def test_each_unit_and_chain_has_the_right_mean(stream):
    u = stream.astype(float) / 2.0**32 - 0.5
    for axis in range(5):
        others = tuple(k for k in range(5) if k != axis)
        z = u.mean(axis=others) * np.sqrt(12 * u.size / u.shape[axis])
        assert np.abs(z).max() < 5, AXES[axis]
        assert np.mean(z**2) < 1 + 5 * np.sqrt(2 / z.size), AXES[axis]


def pairs_along(stream, axis, lag):
    n = stream.shape[axis]
    first = np.take(stream, np.arange(n - lag), axis)
    second = np.take(stream, np.arange(lag, n), axis)
    return first.ravel(), second.ravel()


LAGS = {"seed": (1, 2), "step": (1, 3), "layer": (1,), "chain": (1, 8), "unit": (1, 2, 4, 64)}
NEIGHBOURS = [(AXES.index(axis), lag) for axis, lags in LAGS.items() for lag in lags]


@pytest.mark.parametrize(("axis", "lag"), NEIGHBOURS)
def test_neighbours_are_independent(stream, axis, lag):
    x, y = pairs_along(stream, axis, lag)
    r = np.mean((x / 2.0**32 - 0.5) * (y / 2.0**32 - 0.5)) * 12
    assert abs(r) < 5 / np.sqrt(x.size)
    for shift in (26, 0):  # joint law of the six highest and of the six lowest bits
        cells = ((x >> U32(shift)) & U32(63)) * U32(64) + ((y >> U32(shift)) & U32(63))
        assert abs(chi2_z(np.bincount(cells, minlength=4096))) < 5
    for bit in range(32):  # and of each bit with its neighbour
        agree = int((~(x ^ y) >> U32(bit) & U32(1)).sum())
        assert abs(agree - x.size / 2) < 5 * np.sqrt(x.size) / 2, bit


def test_hidden_units_are_independent_of_the_visible_ones_drawn_next(stream):
    x = stream[:, :-1, 1].ravel() / 2.0**32 - 0.5
    y = stream[:, 1:, 0].ravel() / 2.0**32 - 0.5
    assert abs(np.mean(x * y) * 12) < 5 / np.sqrt(x.size)


def test_as_many_collisions_as_chance_gives():
    n = 2**20
    steps_and_chains = keys(5, np.arange(64)[:, None], 0, np.arange(64))
    sample = words(steps_and_chains[..., None], np.arange(256)).ravel()
    expected = n * (n - 1) / 2 / 2**32  # 128 coincidences of 32-bit words
    collisions = n - np.unique(sample).size
    assert abs(collisions - expected) < 5 * np.sqrt(expected)


def test_keys_differ():
    sample = keys(*np.ix_(np.arange(4), np.arange(256), np.arange(2), np.arange(512)))
    assert np.unique(sample).size == sample.size


@pytest.mark.parametrize("which", AXES)
def test_every_input_bit_changes_half_of_the_output_bits(which):
    rng = np.random.default_rng(4)
    base = dict(zip(AXES, rng.integers(0, 2**20, size=(5, 4000)).astype(U64), strict=True))
    base["layer"] %= U64(2)
    width = {"layer": 1, "unit": 16}.get(which, 20)


    def words_at(place):
        return words(keys(*(place[name] for name in AXES[:4])), place["unit"])

    for bit in range(width):
        moved = base | {which: base[which] ^ U64(1 << bit)}
        changed = np.bitwise_count(words_at(base) ^ words_at(moved))
        assert abs(changed.mean() - 16) < 6 * np.sqrt(8 / changed.size), bit


def test_runs_up_and_down_are_as_long_as_they_should_be(stream):
    x = stream[:4].reshape(-1, 512).astype(float)
    turns = ((x[:, 1:-1] - x[:, :-2]) * (x[:, 2:] - x[:, 1:-1]) < 0).sum()
    n = x.shape[0] * 510  # expectation 2/3 each, variance (16 n - 13) / 90 per row
    assert abs(turns - 2 * n / 3) < 5 * np.sqrt(16 * n / 90)


# ---------------------------------------------------------------- sums and the exponential
def random_rbm(N, M, seed=0, scale=1.0):
    rng = np.random.default_rng(seed)
    W = rng.normal(0, scale / np.sqrt(max(N, M)), (N, M))
    a = rng.normal(0, 1, N)
    b = rng.normal(0, 1, M)
    return RBM(*(x.astype(np.float32) for x in (W, a, b)))


@pytest.mark.parametrize(("N", "M"), SHAPES)
def test_sums_are_those_of_all_subsets(N, M):
    rbm = random_rbm(N, M)
    model = arranged(rbm)
    subsets = np.arange(16)[:, None] >> np.arange(4) & 1
    for columns, W in ((model.h.columns, rbm.W), (model.v.columns, rbm.W.T)):
        n_in, n_out = W.shape
        groups, blocks = -(-n_in // 4), kernels.blocks_of(n_out)
        padded = np.zeros((4 * groups, kernels.BLOCK * blocks))
        padded[:n_in, :n_out] = W
        in_groups = padded.reshape(groups, 4, blocks, kernels.BLOCK)
        expected = np.einsum("pk,gkbc->bgpc", subsets, in_groups)
        assert columns.shape == (blocks, 4 * groups, kernels.BLOCK)
        assert columns.ctypes.data % 64 == 0
        for block in range(blocks):
            sums = np.full((16 * groups, kernels.BLOCK), np.nan, np.float32)
            fields._fill_sums(columns, block, 0, groups, kernels.BLOCK, sums)
            used = np.arange(len(sums)) % 16 > 0  # a group in state 0 is left out of all lists
            exact = expected[block].reshape(sums.shape)
            np.testing.assert_allclose(sums[used], exact[used], rtol=0, atol=1e-6)


def test_exponential_error_is_as_documented():
    linear = np.linspace(0, 90, 200001)
    small = np.geomspace(1e-9, 86, 100001)
    x = -np.concatenate([linear, small, [0.0, 1e30, 3e38]]).astype(np.float32)
    value = np.array([kernels.exp_negative(t) for t in x], dtype=float)
    exact = np.maximum(np.exp(x.astype(float)), 2.0**-125)
    assert np.max(np.abs(value / exact - 1) / (np.abs(np.maximum(x, -87.0)) + 2)) < 1e-7


# ---------------------------------------------------------------- Gibbs steps
def kernel_step(rbm, v, *, beta, seed, steps=1, step0=0, chunk=64):
    model = arranged(rbm)
    v, h = v.copy(), np.empty((len(v), rbm.M), np.uint8)
    how = steps, np.float32(beta), seed, step0, kernels.hold_none(model.v)
    kernels.gibbs(len(v), chunk, model.h, model.v, v, h, *how)
    return v, h


def drawn(u, p):
    """A state with mean p from uniform u: the rarer value where u is at most its probability."""
    return (u <= np.minimum(p, 1 - p)) != (p >= 0.5)


def assert_same_draws(state, u, p):
    """Equal to `drawn` but where u is within float32 rounding of the limit; those are few (chance
    < 1e-5 per draw)."""
    wrong = state != drawn(u, p)
    assert np.all(np.abs(u - np.minimum(p, 1 - p))[wrong] < 1e-5)
    assert wrong.sum() <= 2 + 1e-5 * wrong.size


def starts(kind, n, N, rng):
    density = {"zeros": 0.0, "sparse": 0.1, "half": 0.5, "dense": 0.9, "ones": 1.0}[kind]
    return (rng.random((n, N)) < density).astype(np.uint8)


@pytest.mark.parametrize("beta", [1.0, 0.5, 0.0])
@pytest.mark.parametrize(("N", "M"), SHAPES)
def test_gibbs_step_equals_its_twin(N, M, beta):
    rbm, rng, seed, step = random_rbm(N, M, scale=3.0), np.random.default_rng(2), 123456789, 17
    for kind in ("sparse", "half", "dense", "zeros", "ones"):
        start = starts(kind, 99, N, rng)
        v, h = kernel_step(rbm, start, beta=beta, seed=seed, step0=step)
        assert v.max() <= 1
        assert h.max() <= 1
        assert_same_draws(h, draws(seed, step, 0, 99, M), rbm.hidden_mean(start, beta))
        assert_same_draws(v, draws(seed, step, 1, 99, N), rbm.visible_mean(h, beta))


def test_the_twin_would_notice_a_wrong_beta():
    rbm = random_rbm(70, 130, scale=3.0)
    start = starts("half", 99, 70, np.random.default_rng(2))
    _, h = kernel_step(rbm, start, beta=1.0, seed=1)
    with pytest.raises(AssertionError):
        assert_same_draws(h, draws(1, 0, 0, 99, 130), rbm.hidden_mean(start, 0.99))


@pytest.mark.parametrize(("N", "M"), [(70, 130), (3, 65), (1, 1)])
def test_many_steps_are_single_steps_in_a_row(N, M):
    rbm = random_rbm(N, M)
    start = starts("half", 37, N, np.random.default_rng(3))
    v, h = kernel_step(rbm, start, beta=0.7, seed=99, steps=5, step0=2)
    for step in range(2, 7):
        start, last = kernel_step(rbm, start, beta=0.7, seed=99, step0=step)
    np.testing.assert_array_equal(v, start)
    np.testing.assert_array_equal(h, last)


def tilted_step(rbm, v, tilt, *, seed, steps=1, step0=0, chunk=64):
    """States after some steps with the fields a + tilt (n, N) of each chain, and the sum of their
    conditional means."""
    model, v = arranged(rbm), v.copy()
    wide = np.zeros((len(v), model.v.bias.size), np.float32)
    wide[:, : rbm.N] = tilt
    wide = wide.reshape(len(v), *model.v.bias.shape)
    total = np.zeros_like(wide)
    kernels.tilted_gibbs(len(v), chunk, model.h, model.v, wide, v, steps, seed, step0, total)
    return v, total.reshape(len(v), -1)[:, : rbm.N]


@pytest.mark.parametrize(("N", "M"), SHAPES)
def test_tilted_step_equals_its_twin(N, M):
    rbm, rng, seed, step = random_rbm(N, M, scale=3.0), np.random.default_rng(2), 987, 5
    start, tilt = starts("half", 99, N, rng), rng.normal(0, 3, (99, N))
    _, h = kernel_step(rbm, start, beta=1.0, seed=seed, step0=step)  # v -> h is the same
    v, total = tilted_step(rbm, start, tilt, seed=seed, step0=step)
    mean = expit(rbm.a + tilt + h @ rbm.W.T)
    assert_same_draws(v, draws(seed, step, 1, 99, N), mean)
    np.testing.assert_allclose(total, mean, atol=1e-5)
    assert np.abs(total - expit(rbm.a + h @ rbm.W.T)).max() > 0.1  # the tilt matters


def test_tilted_steps_add_up_and_do_not_depend_on_chunks():
    rbm, rng = random_rbm(70, 130), np.random.default_rng(3)
    start, tilt = starts("half", 37, 70, rng), rng.normal(0, 1, (37, 70))
    v, total = tilted_step(rbm, start, tilt, seed=99, steps=4, step0=2)
    again, total_again = tilted_step(rbm, start, tilt, seed=99, steps=4, step0=2, chunk=7)
    means = np.zeros_like(total)
    for step in range(2, 6):
        start, mean = tilted_step(rbm, start, tilt, seed=99, step0=step)
        means += mean
    np.testing.assert_array_equal(v, start)
    np.testing.assert_array_equal(again, v)
    np.testing.assert_allclose(total, means, rtol=1e-5)
    np.testing.assert_allclose(total_again, total, rtol=1e-5)


@pytest.mark.parametrize("chunk", [1, 7, 50, 1000])
def test_chunks_do_not_change_the_chains(chunk):
    rbm = random_rbm(70, 130)
    start = starts("half", 101, 70, np.random.default_rng(3))
    v, h = kernel_step(rbm, start, beta=1.0, seed=5, steps=3, chunk=101)
    v_cut, h_cut = kernel_step(rbm, start, beta=1.0, seed=5, steps=3, chunk=chunk)
    np.testing.assert_array_equal(v_cut, v)
    np.testing.assert_array_equal(h_cut, h)


def test_saturated_units_never_leave_their_value():
    for sign in (1, -1):
        rbm = RBM(np.zeros((5, 70)), np.full(5, sign * 40.0), np.full(70, sign * 40.0))
        v, h = kernel_step(rbm, np.zeros((3000, 5), np.uint8), beta=1.0, seed=1, steps=2)
        assert np.all(v == (sign > 0))
        assert np.all(h == (sign > 0))


@pytest.mark.parametrize("field", [4.0, 8.0, 11.0, 14.0])
def test_rare_zeros_are_as_frequent_as_rare_ones(field):
    """P(h = 0) at +field and P(h = 1) at -field are both sigma(-field): 5 sigma of the binomial."""
    n, M = 20_000, 640
    start = np.zeros((n, 1), np.uint8)
    expected = expit(-field) * n * M
    for sign in (1, -1):
        rbm = RBM(np.zeros((1, M)), [0.0], np.full(M, sign * field))
        _, h = kernel_step(rbm, start, beta=1.0, seed=11)
        rare = np.count_nonzero(h != (sign > 0))
        assert abs(rare - expected) < 5 * np.sqrt(expected)


# ---------------------------------------------------------------- annealing
def log_p_star(rbm, a0, t, v):
    field = t * (rbm.b + v @ rbm.W)
    return v @ ((1 - t) * a0 + t * rbm.a) + np.logaddexp(0, field).sum(axis=1)


def kernel_anneal(rbm, a0, v, betas, *, seed=7, step0=0, chunk=16):
    model, v, log_w = arranged(rbm), v.copy(), np.zeros(len(v))
    visible, base = kernels.layer(model.v.columns, rbm.a - a0), kernels.padded(a0).ravel()
    betas = np.asarray(betas, float)
    kernels.anneal(len(v), chunk, model.h, visible, base, v, betas, seed, step0, log_w)
    return v, log_w


@pytest.mark.parametrize(("N", "M"), SHAPES)
@pytest.mark.parametrize("betas", [(0.0, 1.0), (1.0, 0.0), (0.3, 0.31), (0.7, 0.2)])
def test_annealing_weight_is_the_ratio_of_the_two_laws(N, M, betas):
    rbm, rng = random_rbm(N, M, scale=3.0), np.random.default_rng(5)
    a0 = rng.normal(size=N)
    for kind in ("sparse", "half", "ones"):
        start = starts(kind, 33, N, rng)
        _, log_w = kernel_anneal(rbm, a0, start, betas)
        exact = log_p_star(rbm, a0, betas[1], start) - log_p_star(rbm, a0, betas[0], start)
        np.testing.assert_allclose(log_w, exact, rtol=0, atol=2e-6 * (N + M + np.sqrt(N * M)))


@pytest.mark.parametrize(("N", "M"), SHAPES)
def test_annealing_moves_as_its_twin(N, M):
    rbm = random_rbm(N, M, scale=3.0)
    rng = np.random.default_rng(6)
    a0 = rng.normal(size=N)
    start = starts("half", 40, N, rng)
    new = 0.6
    v, _ = kernel_anneal(rbm, a0, start, (0.2, new), seed=8, step0=3)
    h_u = draws(8, 3, 0, 40, M)
    v_u = draws(8, 3, 1, 40, N)
    p = rbm.hidden_mean(start, new)
    # chains all of whose hidden draws are clear of rounding
    clear = np.all(np.abs(h_u - np.minimum(p, 1 - p)) > 1e-5, axis=1)
    assert clear.mean() > 0.8
    h = drawn(h_u, p).astype(float)
    mean = expit((1 - new) * a0 + new * (rbm.a + h @ rbm.W.T))
    assert_same_draws(v[clear], v_u[clear], mean[clear])


def test_an_annealing_path_is_its_intervals_in_a_row():
    rbm = random_rbm(70, 130)
    a0, betas = np.random.default_rng(6).normal(size=70), np.linspace(0, 1, 8)
    start = starts("half", 41, 70, np.random.default_rng(7))
    v, log_w = kernel_anneal(rbm, a0, start, betas, chunk=41)
    for chunk in (1, 10):
        again = kernel_anneal(rbm, a0, start, betas, chunk=chunk)
        np.testing.assert_array_equal(again[0], v)
        np.testing.assert_array_equal(again[1], log_w)
    total = np.zeros(41)
    for s in range(7):
        start, part = kernel_anneal(rbm, a0, start, betas[s : s + 2], step0=s)
        total += part
    np.testing.assert_array_equal(start, v)
    np.testing.assert_allclose(total, log_w, rtol=1e-12)


# ---------------------------------------------------------------- training
@pytest.mark.parametrize(("N", "M"), SHAPES)
def test_hidden_means_equal_the_sigmoid(N, M):
    rbm, rng = random_rbm(N, M, scale=4.0), np.random.default_rng(8)
    model = arranged(rbm)
    for kind in ("sparse", "dense"):
        v = starts(kind, 45, N, rng)
        means = kernels.new_columns(45, M)
        kernels.hidden_means(45, 20, model.h, v, means)
        got = unblocked(means, M)[:45]
        np.testing.assert_allclose(got, rbm.hidden_mean(v), rtol=1e-5, atol=1e-30)


def unblocked(means, M):
    return means.transpose(1, 0, 2).reshape(means.shape[1], -1)[:, :M]


@pytest.mark.parametrize(("N", "M"), SHAPES)
@pytest.mark.parametrize("density", [0.0, 0.1, 0.5, 0.9, 1.0, None])
def test_gradient_is_the_difference_of_correlations(N, M, density):
    rng = np.random.default_rng(10)
    phases, expected = [], []
    for n in (50, 33):
        v = (rng.random((n, N)) < (rng.random(N) if density is None else density)).astype(np.uint8)
        h = rng.random((n, M)).astype(np.float32)
        # padding must not be read into the result
        padded = np.pad(h, ((0, 0), (0, -M % kernels.BLOCK)), constant_values=np.nan)
        means = kernels.new_columns(n, M)
        means[:, :n] = padded.reshape(n, -1, kernels.BLOCK).transpose(1, 0, 2)
        total = np.empty((len(means), kernels.BLOCK), np.float32)
        phases.append(kernels.Phase(v, means, total, np.empty(N, np.int64)))
        expected.append((v.T @ h.astype(float) / n, v.mean(axis=0), h.mean(axis=0, dtype=float)))
    out = np.empty((N, M), np.float32), np.empty(N, np.float32), np.empty(M, np.float32)
    kernels.gradient(*phases, *out)
    for phase in phases:
        np.testing.assert_array_equal(phase.ones, phase.v.sum(axis=0))
    for got, data, model in zip(out, *expected, strict=True):
        np.testing.assert_allclose(got, data - model, rtol=0, atol=2e-6)


def test_centred_gradient_is_that_of_the_centred_model():
    """The RBM in v - mu and h - lam has W' = W, a' = a + W lam, b' = b + W^T mu; its gradient,
    mapped back to W, a, b.

    In the centred coordinates the statistics are <(v - mu)(h - lam)>, <v - mu>, <h - lam>. An
    ascent step moves (W', a', b') along them, so a = a' - W' lam moves by dA' - dW' lam, and b
    likewise.
    """
    rng = np.random.default_rng(11)
    N, M = 13, 7
    mu, lam = rng.random(N).astype(np.float32), rng.random(M).astype(np.float32)
    data, model = (((rng.random((n, N)) < 0.4).astype(float), rng.random((n, M))) for n in (40, 30))

    def difference(mu, lam):
        """Of the statistics of data and model, in v - mu and h - lam."""
        v, h = data[0] - mu, data[1] - lam
        v_model, h_model = model[0] - mu, model[1] - lam
        dW = v.T @ h / len(v) - v_model.T @ h_model / len(v_model)
        return dW, v.mean(axis=0) - v_model.mean(axis=0), h.mean(axis=0) - h_model.mean(axis=0)

    dW, da, db = difference(mu, lam)
    expected = dW, da - dW @ lam, db - mu @ dW
    got = [x.astype(np.float32) for x in difference(0, 0)]
    kernels.centre(*got, mu, lam)
    for x, y in zip(got, expected, strict=True):
        np.testing.assert_allclose(x, y, rtol=0, atol=2e-6)


def test_sgd_step_is_the_textbook_one():
    rng = np.random.default_rng(12)
    x, velocity = rng.normal(size=50), np.zeros(50)
    got, memory = x.astype(np.float32), np.zeros(50, np.float32)
    for _ in range(20):
        gradient = rng.normal(size=50).astype(np.float32)
        old = got, memory
        got, memory = np.empty(50, np.float32), np.empty(50, np.float32)
        numbers = np.float32(0.1), np.float32(0.9), np.float32(0.03)
        kernels.sgd_step(old[0], gradient, old[1], *numbers, got, memory)
        velocity = 0.9 * velocity + gradient - 0.03 * x
        x = x + 0.1 * velocity
    np.testing.assert_allclose(got, x, rtol=0, atol=1e-5)


def test_adam_step_is_the_textbook_one():
    rng = np.random.default_rng(13)
    x, m, s = rng.normal(size=50), np.zeros(50), np.zeros(50)
    got, memory = x.astype(np.float32), (np.zeros(50, np.float32), np.zeros(50, np.float32))
    rate, b1, b2, eps, decay = 0.01, 0.9, 0.999, 1e-8, 0.02
    for t in range(1, 21):
        gradient = rng.normal(size=50).astype(np.float32)
        root = np.sqrt(1 - b2**t)
        numbers = (rate * root / (1 - b1**t), b1, b2, eps * root, decay)
        old, new = (got, *memory), [np.empty(50, np.float32) for _ in range(3)]
        kernels.adam_step(old[0], gradient, *old[1:], *(np.float32(z) for z in numbers), *new)
        got, *memory = new
        g = gradient - decay * x
        m, s = b1 * m + (1 - b1) * g, b2 * s + (1 - b2) * g * g
        x = x + rate * (m / (1 - b1**t)) / (np.sqrt(s / (1 - b2**t)) + eps)
    np.testing.assert_allclose(got, x, rtol=0, atol=1e-5)


# ---------------------------------------------------------------- enumeration
@pytest.mark.parametrize("every", [1, 3, 100])
def test_log_sums_equal_their_definition(every):
    rng = np.random.default_rng(14)
    A_high, A_mid, B = (np.exp(rng.normal(size=shape)) for shape in ((3, 9), (2, 9), (9, 64)))
    c_high, c_mid, c_low = rng.normal(size=3), rng.normal(size=2), rng.normal(size=64)
    c_low[50:] = -np.inf
    out = np.empty((3, 2))
    kernels.log_sums(3, 1, A_high, A_mid, B, c_high, c_mid, c_low, every, out)
    A = A_high[:, None, :] * A_mid
    fields = c_high[:, None, None] + c_mid[:, None] + c_low
    exponent = fields + np.log1p(A[..., None] * B).sum(axis=2)
    np.testing.assert_allclose(out, logsumexp(exponent, axis=2), rtol=1e-13)


def test_chi_squared_helper_is_calibrated():
    """The normal form used above agrees with the exact law where it matters: at 5 sigma and 255 or
    4095 cells."""
    for dof in (255, 4095):
        assert 1e-8 < chi2.sf(dof + 5 * np.sqrt(2 * dof), dof) < 1e-5
