"""Replica exchange: every rung follows its enumerated law from a wrong start, and ln Z is right
within its error."""

import doctest

import numpy as np
import pytest
from scipy.special import expit
from scipy.stats import chi2
from test_kernels import assert_same_draws, drawn, keys, uniforms

from rbmkit import RBM, Tempering, ais, all_states, exact_log_z, independent, kernels, tempering

P_VALUE = 1e-6
pytestmark = pytest.mark.usefixtures("one_thread")


def rbm_of(N=5, M=4, scale=1.5, seed=1):
    rng = np.random.default_rng(seed)
    return RBM(rng.normal(0, scale, (N, M)), rng.normal(size=N), rng.normal(size=M))


def two_wells(strength=10.0, N=12, M=8):
    """A ferromagnet, h coupled to v - 1/2: all on or all off, equally likely but for a small
    field."""
    W = np.full((N, M), strength / np.sqrt(N * M))
    return RBM(W, -W.sum(axis=1) / 2 + 0.05, -W.sum(axis=0) / 2)


def paths():
    rbm = rbm_of()
    other = rbm_of(scale=0.7, seed=2)
    base = independent(rbm)
    centred = independent(rbm, np.random.default_rng(0).random((50, 5)) < 0.3)
    return {
        "temperature": [base, rbm],
        "centred": [centred, rbm],
        "trajectory": [centred, other, rbm],
    }


def law(rbm):
    weight = -rbm.free_energy(all_states(rbm.N))
    p = np.exp(weight - weight.max())
    return p / p.sum()


def p_value(v, rbm, p=None):
    counts = np.bincount(v @ 2 ** np.arange(rbm.N), minlength=2**rbm.N)
    expected = (law(rbm) if p is None else p) * len(v)
    few = expected < 10
    if few.any():
        counts = np.append(counts[~few], counts[few].sum())
        expected = np.append(expected[~few], expected[few].sum())
    return chi2.sf(((counts - expected) ** 2 / expected).sum(), len(counts) - 1)


# ---------------------------------------------------------------- the laws
@pytest.mark.parametrize("name", ["temperature", "centred", "trajectory"])
def test_every_rung_reaches_its_enumerated_law_from_a_wrong_start(name):
    path = paths()[name]
    rungs = np.linspace(0, len(path) - 1, 5)
    run = Tempering(path, ladders=40_000, rungs=rungs, start=np.ones(5), rng=1)
    run.run(60)
    for place, v in zip(rungs, run.states, strict=True):
        assert p_value(v, run.rung(place)) > P_VALUE
        # the test can tell neighbours apart
        assert p_value(v, run.rung(abs(place - 0.1))) < P_VALUE


@pytest.mark.parametrize("name", ["temperature", "centred", "trajectory"])
def test_one_sweep_leaves_the_product_of_the_laws_unchanged(name):
    """Starts drawn from the exact law of each rung; exchanges happen, and pairs of rungs stay
    independent."""
    path = paths()[name]
    n = 60_000
    rungs = np.linspace(0, len(path) - 1, 4)
    run = Tempering(path, ladders=n, rungs=rungs, rng=2)
    rng = np.random.default_rng(3)
    states = all_states(5)
    run._v[:] = [states[rng.choice(32, size=n, p=law(run.rung(t)))] for t in rungs]
    run.run(2, every=1)
    assert (run.result().acceptance > 0.05).all()
    for t, v in zip(rungs, run.states, strict=True):
        assert p_value(v, run.rung(t)) > P_VALUE
    pair = np.concatenate([run.states[1, :, :3], run.states[2, :, :3]], axis=1)
    first, second = (law(run.rung(t)).reshape(4, 8).sum(axis=0) for t in rungs[1:3])
    assert p_value(pair, rbm_of(N=6), np.outer(second, first).ravel()) > P_VALUE


def test_exchanges_obey_detailed_balance():
    """pi(v, u) P(swap | v, u) = pi(u, v) P(swap | u, v), from the works and the acceptances that
    the kernel used."""
    path = paths()["trajectory"]
    rungs = np.array([0.0, 0.6, 1.4, 2.0])
    n = 200_000
    run = Tempering(
        path, ladders=n, rungs=rungs, start=np.random.default_rng(4).integers(0, 2, (n, 5)), rng=5
    )
    run._v[1] = np.random.default_rng(6).integers(0, 2, (n, 5))
    before = run.states
    run.run(1)
    low = run.rung(0)
    high = run.rung(0.6)
    states = all_states(5)
    energy = low.free_energy(states)[:, None] + high.free_energy(states)[None]  # -ln pi(v, u)
    swapped = run._replica[:, 0] == 1
    v, u = (before[r] @ 2 ** np.arange(5) for r in (0, 1))
    probability = np.exp(np.minimum(energy - energy.T, 0))[v, u]  # min(1, pi(u, v) / pi(v, u))
    assert 0.05 < probability.mean() < 0.95
    z = (swapped - probability)[probability < 1] / np.sqrt(
        (probability * (1 - probability))[probability < 1]
    )
    assert swapped[probability == 1].all()
    assert abs(z.mean()) < 5 / np.sqrt(len(z))
    assert abs(np.mean(z * (probability[probability < 1] - 0.5))) < 5 / np.sqrt(len(z))


def test_it_crosses_where_gibbs_sampling_does_not():
    """Two wells; all ladders start in one. Gibbs stays there, tempering fills both as
    enumeration says."""
    from rbmkit import gibbs

    rbm = two_wells()
    exact = law(rbm)[all_states(12).sum(axis=1) > 6].sum()
    stuck = gibbs(rbm, np.ones((400, 12)), steps=200, rng=7).v
    assert np.mean(stuck.sum(axis=1) > 6) > 0.99 > exact + 0.2
    run = Tempering([independent(rbm), rbm], ladders=400, start=np.ones(12), rng=8).adapt(200)
    v = run.run(200, every=200).samples[-1]
    assert abs(np.mean(v.sum(axis=1) > 6) - exact) < 5 * np.sqrt(exact * (1 - exact) / 400)


# ---------------------------------------------------------------- ln Z
@pytest.mark.parametrize("name", ["temperature", "centred", "trajectory"])
def test_log_z_of_all_rungs_is_exact_within_its_error(name):
    run = Tempering(paths()[name], ladders=60, rng=9).adapt(400)
    result = run.run(1500).result()
    exact = np.array([exact_log_z(run.rung(t)) for t in result.rungs])
    assert result.log_z[0] == pytest.approx(exact[0], abs=1e-12)
    z = (result.log_z - exact)[1:] / result.log_z_stderr[1:]
    assert np.abs(z).max() < 5
    assert result.log_z_stderr.max() < 0.02


def test_error_bars_are_those_of_repeated_runs():
    rbm = rbm_of()
    rungs = np.array([0.0, 0.4, 1.0])
    exact = exact_log_z(rbm)
    runs = [
        Tempering([independent(rbm), rbm], ladders=20, rungs=rungs, rng=k).run(300).result()
        for k in range(60)
    ]
    z = np.array([(run.log_z[-1] - exact) / run.log_z_stderr[-1] for run in runs])
    assert 0.6 < np.mean(z**2) < 2.0  # t with 19 degrees of freedom: 1.12, standard error 0.2
    assert abs(z.mean()) < 5 / np.sqrt(60)


def test_log_z_agrees_with_annealing():
    rbm = rbm_of(60, 40, scale=0.5)
    estimate = ais(rbm, chains=500, temperatures=500, rng=10)
    result = Tempering([independent(rbm), rbm], ladders=40, rng=11).adapt(400).run(1000).result()
    assert abs(result.log_z[-1] - estimate.value) < 5 * np.hypot(
        result.log_z_stderr[-1], estimate.stderr
    )


# ---------------------------------------------------------------- ladder and records
def test_independent_units_have_the_means_of_the_examples():
    rbm = rbm_of()
    states = np.random.default_rng(0).random((200, 5)) < 0.4
    base = independent(rbm, states)
    assert not base.W.any()
    np.testing.assert_allclose(expit(base.a), states.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(expit(base.b), rbm.hidden_mean(states).mean(axis=0), rtol=1e-12)
    assert not np.concatenate([independent(rbm).a, independent(rbm).b]).any()
    # a mean of 0 would be an infinite field
    assert expit(independent(rbm, np.zeros(5)).a) == pytest.approx(0.01)


def test_rungs_are_placed_for_the_acceptance_that_was_asked_for():
    rbm = rbm_of(60, 40, scale=0.8)
    for acceptance in (0.3, 0.7):
        run = Tempering([independent(rbm), rbm], ladders=30, rng=12).adapt(
            800, acceptance=acceptance
        )
        found = run.run(400).result().acceptance
        assert np.all(np.abs(found - acceptance) < 0.15)
        assert run.rungs[0] == 0
        assert run.rungs[-1] == 1


def test_journeys_of_a_known_history():
    """Three rungs, one ladder; replica 0 goes up and comes back, 2 comes down without having
    been at the bottom."""
    history = np.array([[0, 1, 2], [1, 0, 2], [1, 2, 0], [2, 1, 0], [2, 0, 1], [0, 2, 1]])[:, None]
    trips, upward = tempering._journeys(history)
    assert trips.tolist() == [1]
    np.testing.assert_allclose(upward, [1, 3 / 5, 0])  # on rung 1: 0 up, 2 down, 1 up, 0 down, 2 up


def test_the_samples_are_the_states_of_the_target():
    rbm = rbm_of()
    run = Tempering([independent(rbm), rbm], ladders=6, rng=13).run(25, every=10)
    assert run.samples.shape == (3, 6, 5)
    np.testing.assert_array_equal(run.samples[-1], run.states[-1])
    assert run.sweep == 25


def test_a_saved_run_goes_on_bit_for_bit(tmp_path):
    path = paths()["trajectory"]
    run = Tempering(path, ladders=8, rungs=np.linspace(0, 2, 7), rng=14).run(13, every=5)
    run.save(tmp_path / "run.npz")
    again = Tempering.resume(tmp_path / "run.npz")
    for one in (run, again):
        one.run(11, every=4)
    for x, y in zip(vars(run.result()).values(), vars(again.result()).values(), strict=True):
        np.testing.assert_array_equal(x, y)
    np.testing.assert_array_equal(run.states, again.states)


def test_damaged_and_foreign_files_are_refused(tmp_path):
    rbm = rbm_of()
    rbm.save(tmp_path / "rbm.npz")
    with pytest.raises(ValueError, match="not a file of kind"):
        Tempering.resume(tmp_path / "rbm.npz")
    Tempering([independent(rbm), rbm], ladders=4, rng=1).run(2).save(tmp_path / "run.npz")
    whole = (tmp_path / "run.npz").read_bytes()
    (tmp_path / "run.npz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match="cannot be read"):
        Tempering.resume(tmp_path / "run.npz")


@pytest.mark.parametrize("chunk", [1, 12, 30])
def test_chunks_do_not_change_the_numbers(chunk, monkeypatch):
    """256, 1, 12 and 30 chains are all 19 ladders, one, four and ten: three rungs share a W."""
    path = paths()["trajectory"]
    runs = []
    for size in (256, chunk):
        monkeypatch.setattr(tempering, "_CHUNK", size)
        runs.append(Tempering(path, ladders=19, rungs=np.linspace(0, 2, 6), rng=15).run(9))
    np.testing.assert_array_equal(runs[0].states, runs[1].states)
    np.testing.assert_array_equal(np.concatenate(runs[0]._works), np.concatenate(runs[1]._works))


# ---------------------------------------------------------------- the kernel against NumPy
@pytest.mark.parametrize(("N", "M"), [(70, 130), (3, 65), (257, 62)])
@pytest.mark.parametrize("rungs", [[0, 0.3, 1.0], [0, 0.3, 1.0, 1.5, 2.0]])
def test_a_sweep_equals_its_twin(N, M, rungs):
    rng = np.random.default_rng(16)
    L = 11
    seed_of = np.random.default_rng(17)
    base = RBM(np.zeros((N, M)), rng.normal(size=N), rng.normal(size=M))
    path = [base] + [rbm_of(N, M, scale=3 / np.sqrt(max(N, M)), seed=s) for s in (1, 2)][
        : int(rungs[-1])
    ]
    run = Tempering(path, ladders=L, rungs=rungs, start=rng.integers(0, 2, (L, N)), rng=seed_of)
    for odd in (0, 1):
        before = run.states
        run.run(1)
        works, swapped, after = twin(run, before, odd)
        np.testing.assert_allclose(
            run._works[-1][0], works, rtol=0, atol=4e-6 * (N + M + np.sqrt(N * M))
        )
        replica = np.tile(np.arange(len(rungs)), (L, 1)) if odd == 0 else run._replicas[0][0]
        np.testing.assert_array_equal(
            run._replicas[-1][0], np.take_along_axis(replica, swapped, axis=1)
        )
        for v, (u, p, clear) in zip(run.states, after, strict=True):
            assert clear.mean() > 0.5
            assert_same_draws(v[clear], u[clear], p[clear])


def twin(run, v, step):
    """Works (L, R), where the state of each rung came from, and uniforms, means and validity of
    the new v."""
    R, L, N = v.shape
    models = [run.rung(t) for t in run.rungs]
    works = np.zeros((L, R))
    origin = np.tile(np.arange(R), (L, 1))
    for r in range(step % 2, R - 1, 2):
        low = models[r]
        high = models[r + 1]
        works[:, r] = low.free_energy(v[r]) - high.free_energy(v[r])
        works[:, r + 1] = high.free_energy(v[r + 1]) - low.free_energy(v[r + 1])
        u = uniforms(keys(run.seed, step, 0, np.arange(L) * (R + 1) + R), r)
        swap = u <= np.exp(np.minimum(works[:, r] + works[:, r + 1], 0))
        origin[swap, r], origin[swap, r + 1] = r + 1, r
    after = []
    for r, rbm in enumerate(models):
        stream = np.arange(L) * (R + 1)
        source = v[origin[:, r], np.arange(L)]
        h_u = uniforms(keys(run.seed, step, 0, stream + origin[:, r])[:, None], np.arange(rbm.M))
        p = rbm.hidden_mean(source)
        # no draw hangs on rounding
        clear = np.all(np.abs(h_u - np.minimum(p, 1 - p)) > 1e-5, axis=1)
        field = rbm.a + drawn(h_u, p).astype(float) @ rbm.W.T
        after.append(
            (
                uniforms(keys(run.seed, step, 1, stream + r)[:, None], np.arange(N)),
                expit(field),
                clear,
            )
        )
    return works, origin, after


def test_streams_of_replicas_and_exchanges_do_not_meet():
    R = 4
    used = [
        kernels.stream_key(1, s, layer, l * (R + 1) + r)
        for s in (0, 1)
        for layer in (0, 1)
        for l in range(9)
        for r in range(R + 1)
    ]
    assert len(set(used)) == len(used)


def test_the_example_runs():
    assert doctest.testmod(tempering).failed == 0


# ---------------------------------------------------------------- bad input
BASE = RBM(np.zeros((5, 4)), np.zeros(5), np.zeros(4))


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"path": []}, ValueError, "at least two RBMs"),
        ({"path": [BASE]}, ValueError, "at least two RBMs"),
        ({"path": [BASE, 3]}, ValueError, "at least two RBMs"),
        ({"path": [BASE, rbm_of(6, 4)]}, ValueError, "one shape"),
        ({"path": [rbm_of(), rbm_of()]}, ValueError, "W = 0"),
        ({"ladders": 1}, ValueError, "ladders must be an integer >= 2"),
        ({"rungs": []}, ValueError, "rungs"),
        ({"rungs": [0, 0.5]}, ValueError, "from 0 to 1"),
        ({"rungs": [0, 0.7, 0.7, 1]}, ValueError, "increasing"),
        ({"rungs": [0, np.nan, 1]}, ValueError, "NaN"),
        ({"start": np.zeros(4)}, ValueError, "start must have shape"),
        ({"rng": None}, TypeError, "rng must be"),
    ],
)
def test_bad_input_is_refused_with_one_sentence(change, error, message):
    arguments = {"path": [BASE, rbm_of()], "rng": 1} | change
    with pytest.raises(error, match=message):
        Tempering(arguments.pop("path"), **arguments)


@pytest.mark.parametrize("acceptance", [0, 1, -0.1, 1.5, np.nan])
def test_an_acceptance_outside_0_1_is_refused(acceptance):
    with pytest.raises(ValueError, match="acceptance must be"):
        Tempering([BASE, rbm_of()], rng=1).adapt(80, acceptance=acceptance)


def test_a_result_needs_a_run():
    with pytest.raises(ValueError, match="call run"):
        Tempering([BASE, rbm_of()], rng=1).result()
