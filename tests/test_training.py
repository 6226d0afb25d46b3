"""Training: every part of an update against plain NumPy, learning against the exact likelihood, and
restarts.

Float32 parameters of order one agree with float64 twins to about 1e-6 per update; restarts must
agree bit for bit.
"""

import json
import os
import signal
import subprocess
import sys

import numpy as np
import pytest

from rbmkit import (
    RBM,
    SGD,
    Adam,
    Training,
    bars_and_stripes,
    exact_gradient,
    exact_log_z,
    files,
    gibbs,
    kernels,
    log_likelihood,
    plain,
    training,
)
from rbmkit.sampling import arranged

RNG = np.random.default_rng(0)
DATA = (RNG.random((130, 21)) < np.linspace(0.1, 0.9, 21)).astype(np.uint8)
START = RBM.random(21, 70, sigma=0.3, rng=1, pixel_means=DATA.mean(axis=0))


pytestmark = pytest.mark.usefixtures("one_thread")


def quiet(run, epochs, **kwargs):
    return run.run(epochs, progress=False, **kwargs)


def parameters(run):
    return [x.copy() for x in (run.rbm.W, run.rbm.a, run.rbm.b)]


def assert_identical(one, other):
    for x, y in zip(
        (*parameters(one), one.chain_states), (*parameters(other), other.chain_states), strict=True
    ):
        np.testing.assert_array_equal(x, y)
    assert one.history.rows == other.history.rows
    assert (one.update, one.epoch) == (other.update, other.epoch)


# ---------------------------------------------------------------- one update, written again
def twin_gradient(W, b, batch, chains, centred):
    """Eq. (6) for data and chains, in the coordinates v - mu, h - lam if centred."""
    dW, da, db = plain.gradient(W, b, batch, chains)
    if centred:
        mu = (batch.mean(axis=0) + chains.mean(axis=0)) / 2
        lam = (
            plain.sigmoid(b + batch @ W).mean(axis=0) + plain.sigmoid(b + chains @ W).mean(axis=0)
        ) / 2
        dW = dW - np.outer(mu, db) - np.outer(da, lam)
        da = da - dW @ lam
        db = db - mu @ dW
    return [dW, da, db]


def twin_step(optimiser, x, g, memory, rate, count):
    if isinstance(optimiser, SGD):
        memory[0] = optimiser.momentum * memory[0] + g
        return x + rate * memory[0]
    memory[0] = optimiser.beta1 * memory[0] + (1 - optimiser.beta1) * g
    memory[1] = optimiser.beta2 * memory[1] + (1 - optimiser.beta2) * g**2
    mean = memory[0] / (1 - optimiser.beta1**count)
    square = memory[1] / (1 - optimiser.beta2**count)
    return x + rate * mean / (np.sqrt(square) + optimiser.epsilon)


def twin_chains(run, rbm, before, batch, k):
    """Chains after update k, by the kernel, from where the method starts them."""
    model = arranged(rbm)
    how = run.steps, np.float32(1), run.seed, k * run.steps
    v = {"PCD": before, "CD": batch}.get(run.method)
    if v is None:
        h = np.random.default_rng((run.seed, k, 1)).integers(
            0, 2, (run.chains, rbm.M), dtype=np.uint8
        )
        v = np.empty((run.chains, rbm.N), np.uint8)
        kernels.gibbs(len(h), 16, model.v, model.h, h, v, *how, kernels.hold_none(model.h))
    else:
        v = v.copy()
        h = np.empty((len(v), rbm.M), np.uint8)
        kernels.gibbs(len(v), 16, model.h, model.v, v, h, *how, kernels.hold_none(model.v))
    return v


@pytest.mark.parametrize("centred", [False, True])
@pytest.mark.parametrize(
    "optimiser", [SGD(0.1), SGD(0.1, momentum=0.8), Adam(0.01, beta1=0.8, beta2=0.99)]
)
@pytest.mark.parametrize(("method", "chains"), [("PCD", 33), ("CD", None), ("Rdm", 20)])
def test_updates_equal_their_twin(method, chains, optimiser, centred):
    """Twelve updates over three epochs of four batches; each starts from our parameters and is
    redone in float64."""
    l2 = 0.02
    run = Training(
        START,
        DATA,
        method=method,
        steps=2,
        batch_size=30,
        chains=chains,
        optimiser=optimiser,
        l2=l2,
        schedule=[(1, 1.0), (3, 0.5)],
        centred=centred,
        rng=3,
    )
    memory = [[np.zeros_like(x), np.zeros_like(x)] for x in parameters(run)]
    order = None
    for k in range(12):
        if k % 4 == 0:
            order = np.random.default_rng((run.seed, k // 4)).permutation(130)
        batch = DATA[order[30 * (k % 4) : 30 * (k % 4 + 1)]]
        before = parameters(run)
        states = run.chain_states
        rbm = run.rbm
        quiet(run, 0.25)
        np.testing.assert_array_equal(run.chain_states, twin_chains(run, rbm, states, batch, k))
        gradient = twin_gradient(
            before[0], before[2], batch.astype(float), run.chain_states.astype(float), centred
        )
        gradient[0] -= l2 * before[0]
        rate = optimiser.learning_rate * np.interp((k + 1) / 4, [1, 3], [1.0, 0.5])
        for x, g, m, got in zip(before, gradient, memory, parameters(run), strict=True):
            # Adam divides by the gradient's size: where that is tiny, rounding of the gradient may
            # turn its sign
            small = isinstance(optimiser, Adam) & (np.abs(g) > 1e-12) & (np.abs(g) < 1e-5)
            assert small.sum() < 3 + 0.02 * small.size
            expected = twin_step(optimiser, x, g, m, rate, k + 1)
            np.testing.assert_allclose(got[~small], expected[~small], rtol=0, atol=3e-6)
    assert run.update == 12
    assert run.epoch == 3


def test_one_step_of_exact_sampling_follows_the_exact_gradient():
    """With 200,000 equilibrium chains the first SGD step is the exact gradient within 5 sigma of
    its sampling error."""
    rng = np.random.default_rng(4)
    rbm = RBM(W=rng.normal(0, 0.7, (6, 4)), a=rng.normal(size=6), b=rng.normal(size=4))
    data = rng.integers(0, 2, (50, 6))
    n = 200_000
    run = Training(rbm, data, steps=100, batch_size=50, chains=n, optimiser=SGD(1.0), rng=5)
    quiet(run, 1)
    for x, y, g in zip(
        parameters(run), (rbm.W, rbm.a, rbm.b), exact_gradient(rbm, data), strict=True
    ):
        assert np.abs(x - y - g).max() < 5 * 0.5 / np.sqrt(n) + 1e-6


# ---------------------------------------------------------------- the plain reference
def trained_by_both(method, seed):
    """W, a and b after eight updates with many chains, by the kernels and by the reference; one
    start for all."""
    rng = np.random.default_rng(3)
    rbm = RBM(W=rng.normal(0, 1.0, (6, 4)), a=rng.normal(size=6), b=rng.normal(size=4))
    data = (rng.random((100_000, 6)) < np.linspace(0.2, 0.8, 6)).astype(np.uint8)
    size = 50_000
    options = {"method": method, "steps": 1, "batch_size": size}
    run = quiet(Training(rbm, data, optimiser=SGD(1.0), rng=seed, **options), 4)
    rng = np.random.default_rng(seed)
    reference = plain.train(rbm.W, rbm.a, rbm.b, data, rate=1.0, epochs=4, rng=rng, **options)
    return parameters(run), reference


def test_all_methods_learn_what_the_plain_reference_learns():
    """Within two bounds on the noise of eight updates; other methods learn something else from
    this start."""
    found = {method: trained_by_both(method, seed=k) for k, method in enumerate(training.STARTS)}
    noise = 0.5 * np.sqrt(2 * 2 * 8 / 50_000)  # two phases, two runs, eight updates

    def apart(method, other):
        pairs = zip(found[method][0], found[other][1], strict=True)
        return max(np.abs(x - y).max() for x, y in pairs) / noise

    for method in found:
        assert apart(method, method) < 2
        assert all(apart(method, other) > 4 for other in found if other != method)


def test_an_unknown_method_is_refused_by_the_plain_reference():
    W, a, b = parameters(Training(START, DATA, rng=0))
    options = {
        "steps": 1,
        "batch_size": 10,
        "rate": 0.1,
        "epochs": 1,
        "rng": np.random.default_rng(0),
    }
    with pytest.raises(ValueError, match="unknown method 'cd'"):
        plain.train(W, a, b, DATA, method="cd", **options)


# ---------------------------------------------------------------- learning
@pytest.mark.parametrize(
    ("options", "goal"),
    [
        ({"method": "PCD"}, -3.1),
        ({"method": "PCD", "optimiser": SGD(0.1, momentum=0.5), "centred": True}, -3.0),
        ({"method": "PCD", "optimiser": Adam(0.01), "schedule": [(500, 1), (1500, 0.02)]}, -2.9),
        ({"method": "CD"}, -3.3),
        ({"method": "Rdm", "steps": 20}, -3.2),
    ],
)
def test_training_learns_bars_and_stripes(options, goal):
    """The 14 patterns of 3 x 3: at best -ln 14 = -2.64 nats; untrained -9 ln 2 = -6.2."""
    data = bars_and_stripes(3)
    chains = None if options["method"] == "CD" else 200
    options = {"steps": 5, "optimiser": SGD(0.2), "batch_size": 14, "chains": chains} | options
    run = Training(RBM.random(9, 12, sigma=0.05, rng=6), data, rng=7, **options)
    quiet(run, 1500)
    value = log_likelihood(run.rbm, data, exact_log_z(run.rbm))
    assert goal < value < -np.log(14)


def test_training_follows_the_data_means_without_couplings():
    """Strong L2 keeps W near 0; then a goes to the logit of the pixel means (5 sigma of the
    chains' average)."""
    run = Training(
        RBM(np.zeros((21, 3)), np.zeros(21), np.zeros(3)),
        DATA,
        batch_size=130,
        chains=2000,
        l2=5.0,
        optimiser=SGD(0.1),
        rng=8,
    )
    quiet(run, 1500)
    assert np.abs(run.rbm.W).max() < 0.05
    means = run.rbm.visible_mean(np.zeros((1, 3)))[0]
    assert np.abs(means - DATA.mean(axis=0)).max() < 0.03


def test_chain_states_are_the_chains_of_the_last_update():
    last = {}
    for method in ("PCD", "CD", "Rdm"):
        run = Training(START, DATA, method=method, steps=1, batch_size=40, rng=9)
        first = run.chain_states
        assert first.shape == (40, 21)
        quiet(run, 1)
        states = run.chain_states
        assert set(np.unique(states)) == {0, 1}
        states[:] = 7  # a copy: the training does not see this
        assert run.chain_states.max() == 1
        last[method] = run.chain_states
    assert (last["PCD"] != last["CD"]).any()
    assert (last["PCD"] != last["Rdm"]).any()


def test_persistent_chains_start_at_data_points():
    run = Training(START, DATA, batch_size=40, chains=300, rng=10)
    rows = {row.tobytes() for row in DATA}
    assert all(row.tobytes() in rows for row in run.chain_states)


@pytest.mark.filterwarnings("ignore:after epoch")  # of chains that do not follow the data
def test_pcd_chains_follow_the_model():
    """After training with a tiny rate the chains have the model's means: 5 sigma for 5,000
    chains."""
    rbm = RBM.random(21, 10, sigma=0.5, rng=11)
    run = Training(rbm, DATA, steps=5, batch_size=130, chains=5000, optimiser=SGD(1e-12), rng=12)
    quiet(run, 100)
    reference = gibbs(rbm, 100_000, steps=300, rng=13).v
    z = (run.chain_states.mean(axis=0) - reference.mean(axis=0)) / np.sqrt(
        0.25 * (1 / 5000 + 1 / 100_000)
    )
    assert np.abs(z).max() < 5


# ---------------------------------------------------------------- penalties
def test_l2_shrinks_the_couplings():
    free, held = (quiet(Training(START, DATA, l2=l2, rng=14), 30).rbm.W for l2 in (0.0, 0.5))
    assert np.linalg.norm(held) < 0.5 * np.linalg.norm(free)


def test_equal_penalties_on_all_modes_are_uniform_l2():
    """Without a gradient (one pattern as data, chains that cannot leave it) both decay by
    exp(-l2 rate updates)."""
    rng = np.random.default_rng(15)
    rbm = RBM(rng.normal(0, 0.1, (8, 5)), np.full(8, -60.0), np.zeros(5))
    data = np.zeros((100, 8), np.uint8)
    options = {"batch_size": 10, "optimiser": SGD(0.05), "rng": 16}
    uniform = quiet(Training(rbm, data, l2=0.3, **options), 4).rbm.W
    modes = quiet(Training(rbm, data, l2_modes=[0.3] * 5, **options), 4).rbm.W
    np.testing.assert_allclose(modes, rbm.W * np.exp(-0.3 * 0.05 * 40), rtol=1e-5)
    np.testing.assert_allclose(uniform, rbm.W * (1 - 0.3 * 0.05) ** 40, rtol=1e-5)
    # ln(1 - x) = -x - x^2 / 2
    np.testing.assert_allclose(modes, uniform, rtol=40 * (0.3 * 0.05) ** 2)


def test_equal_penalties_agree_with_l2_on_real_data_up_to_the_splitting():
    """The split is of order rate per epoch: with a ten times smaller rate the difference is ten
    times smaller."""
    gaps = []
    for rate, epochs in ((0.1, 2), (0.01, 20)):
        options = {"batch_size": 130, "chains": 2000, "optimiser": SGD(rate), "rng": 17}
        uniform = quiet(Training(START, DATA, l2=1.0, **options), epochs).rbm.W
        modes = quiet(Training(START, DATA, l2_modes=[1.0] * 21, **options), epochs).rbm.W
        gaps.append(np.abs(modes - uniform).max())
    assert gaps[0] < 0.02
    assert gaps[1] < 0.4 * gaps[0]


def test_only_the_chosen_modes_shrink():
    rng = np.random.default_rng(18)
    rbm = RBM(rng.normal(0, 0.3, (8, 5)), np.full(8, -60.0), np.zeros(5))
    run = Training(
        rbm, np.zeros((100, 8)), l2_modes=[0.0, 0.4], batch_size=10, optimiser=SGD(0.05), rng=19
    )
    before, after = (np.linalg.svd(W, compute_uv=False) for W in (rbm.W, quiet(run, 1).rbm.W))
    expected = before * np.exp(-np.array([0, 0.4, 0, 0, 0]) * 0.05 * 10)
    np.testing.assert_allclose(after, np.sort(expected)[::-1], rtol=1e-5)


# ---------------------------------------------------------------- schedule, history, callbacks
def test_schedule_interpolates_the_learning_rate():
    run = Training(
        START,
        DATA,
        batch_size=65,
        optimiser=SGD(0.2),
        schedule=[(2, 1.0), (4, 0.5), (6, 0.0)],
        rng=20,
    )
    quiet(run, 7)
    np.testing.assert_allclose(
        run.history["learning_rate"], [0.2, 0.2, 0.15, 0.1, 0.05, 0.0, 0.0], atol=1e-12
    )
    before = parameters(run)
    quiet(run, 1)
    np.testing.assert_array_equal(parameters(run)[0], before[0])


def test_history_counts_epochs_and_measures_the_mismatch():
    run = Training(START, DATA, batch_size=130, chains=500, rng=21)
    quiet(run, 3)
    np.testing.assert_array_equal(run.history["epoch"], [1, 2, 3])
    assert len(run.history) == 3
    last = np.sqrt(np.mean((DATA.mean(axis=0) - run.chain_states.mean(axis=0)) ** 2))
    assert run.history["moment_error"][-1] == pytest.approx(last, rel=1e-5)
    with pytest.raises(KeyError, match="no column 'loss'"):
        run.history["loss"]


def test_callbacks_get_keywords_and_fill_the_history():
    calls = []

    def watch(*, training, epoch):
        calls.append((epoch, training.update))
        return (
            {"norm": np.float32(np.linalg.norm(training.rbm.W)), "even": epoch}
            if epoch % 2 == 0
            else None
        )

    run = quiet(Training(START, DATA, batch_size=65, rng=22), 4, callbacks=[watch])
    assert calls == [(1, 2), (2, 4), (3, 6), (4, 8)]
    np.testing.assert_array_equal(run.history["even"], [np.nan, 2, np.nan, 4])
    assert run.history["norm"][3] == pytest.approx(np.linalg.norm(run.rbm.W))


def test_callbacks_do_not_disturb_the_run():
    def measure(*, training, epoch):
        return {"error": np.abs(gibbs(training.rbm, 10, steps=2, rng=epoch).v.mean() - 0.5)}

    plain, watched = (quiet(Training(START, DATA, rng=23), 3, callbacks=c) for c in ([], [measure]))
    np.testing.assert_array_equal(plain.rbm.W, watched.rbm.W)


def test_examples_are_used_once_per_epoch():
    data = np.eye(12, dtype=np.uint8)
    run = Training(RBM.random(12, 3, sigma=0.1, rng=1), data, batch_size=5, rng=24)
    assert run.updates_per_epoch == 2  # ten of the twelve examples; the others wait
    seen = []
    for k in range(4):
        seen.append(run._batch(k).argmax(axis=1))
    for epoch in (seen[:2], seen[2:]):
        assert len(set(np.concatenate(epoch))) == 10
    assert not np.array_equal(seen[0], seen[2])


def test_small_data_fill_one_batch():
    for method in ("PCD", "CD", "Rdm"):
        run = Training(START, DATA[:7], method=method, batch_size=100, rng=25)
        assert (run.batch_size, run.chains, run.updates_per_epoch) == (7, 7, 1)
        quiet(run, 2)
        assert np.isfinite(run.rbm.W).all()


def test_parts_of_an_epoch_add_up():
    whole, parts = (Training(START, DATA, batch_size=13, rng=26) for _ in range(2))
    quiet(whole, 2)
    for part in (0.3, 0.2, 1.0, 0.5):
        quiet(parts, part)
    assert_identical(whole, parts)


def test_method_may_change_between_runs_if_the_chains_fit():
    run = quiet(Training(START, DATA, batch_size=26, rng=37), 1)
    run.method = "CD"
    quiet(run, 1)
    wide = Training(START, DATA, batch_size=26, chains=90, rng=37)
    with pytest.raises(ValueError, match="CD starts one chain per example"):
        wide.method = "CD"  # 26 examples would be written into 90 rows, or 90 into 26
    assert quiet(wide, 1).method == "PCD"


def test_seed_decides_and_chunks_do_not(monkeypatch):
    one, other = (quiet(Training(START, DATA, batch_size=50, rng=seed), 2) for seed in (27, 28))
    assert (one.rbm.W != other.rbm.W).any()
    monkeypatch.setattr(training, "chunk_size", lambda n: 3)
    assert_identical(one, quiet(Training(START, DATA, batch_size=50, rng=27), 2))


# ---------------------------------------------------------------- save and resume
KINDS = [
    {"method": "PCD", "optimiser": SGD(0.1, momentum=0.9), "l2": 0.01, "chains": 17},
    {"method": "PCD", "optimiser": Adam(0.01), "centred": True, "l2_modes": [0.1, 0.2]},
    {"method": "CD", "optimiser": Adam(0.01), "steps": 3},
    {
        "method": "Rdm",
        "optimiser": SGD(0.1),
        "steps": 4,
        "schedule": [(0, 1), (3, 0.1)],
        "chains": 50,
    },
]


@pytest.mark.parametrize(
    "options", KINDS, ids=lambda o: f"{o['method']}-{type(o['optimiser']).__name__}"
)
@pytest.mark.parametrize("epochs", [1, 1.3])
def test_resumed_training_is_the_same_bit_for_bit(options, epochs, tmp_path):
    whole, broken = (Training(START, DATA, batch_size=13, rng=29, **options) for _ in range(2))
    quiet(whole, epochs)
    quiet(whole, 2)
    quiet(broken, epochs).save(tmp_path / "run.npz")
    resumed = Training.resume(tmp_path / "run.npz", DATA)
    assert_identical(resumed, broken)
    assert resumed.options() == broken.options()
    quiet(resumed, 2)
    assert_identical(whole, resumed)
    resumed.save(tmp_path / "again.npz")
    whole.save(tmp_path / "whole.npz")
    assert (tmp_path / "again.npz").read_bytes() == (tmp_path / "whole.npz").read_bytes()


def test_a_callback_can_save_and_its_file_has_the_epoch(tmp_path):
    def keep(*, training, epoch):
        training.save(tmp_path / f"{epoch}.npz")

    whole = quiet(Training(START, DATA, rng=30), 4, callbacks=[keep])
    resumed = Training.resume(tmp_path / "2.npz", DATA)
    np.testing.assert_array_equal(resumed.history["epoch"], [1, 2])
    assert_identical(quiet(resumed, 2), whole)


KILLED = """
import sys
sys.path.insert(0, {tests!r})
from test_training import DATA, START
from rbmkit import Adam, Training
run = Training(START, DATA, steps=2, batch_size=13, optimiser=Adam(0.01), rng=31)
def keep(*, training, epoch):
    training.save({path!r})
    print(epoch, flush=True)
run.run(10**6, callbacks=[keep], progress=False)
"""


@pytest.mark.skipif(os.name == "nt", reason="kills by signal")
def test_a_killed_run_resumes_from_its_last_save(tmp_path):
    path = tmp_path / "run.npz"
    script = KILLED.format(tests=os.path.dirname(__file__), path=str(path))
    with subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, text=True
    ) as process:
        for line in process.stdout:
            if int(line) == 5:
                process.send_signal(signal.SIGKILL)
                break
    assert process.returncode == -signal.SIGKILL
    resumed = Training.resume(path, DATA)
    assert resumed.epoch >= 5
    whole = quiet(
        Training(START, DATA, steps=2, batch_size=13, optimiser=Adam(0.01), rng=31),
        round(resumed.epoch) + 3,
    )
    assert_identical(quiet(resumed, 3), whole)


def test_files_that_do_not_fit_are_refused(tmp_path):
    path = tmp_path / "run.npz"
    quiet(Training(START, DATA, rng=32), 1).save(path)
    with pytest.raises(ValueError, match="other data"):
        Training.resume(path, 1 - DATA)
    with pytest.raises(ValueError, match="other data"):
        Training.resume(path, DATA[:-1])
    with pytest.raises(ValueError, match="shape"):
        Training.resume(path, DATA[:, :-1])
    with pytest.raises(FileNotFoundError):
        Training.resume(tmp_path / "none.npz", DATA)
    START.save(tmp_path / "rbm.npz")
    with pytest.raises(ValueError, match="not a file of kind"):
        Training.resume(tmp_path / "rbm.npz", DATA)
    (tmp_path / "text.npz").write_text("hello")
    with pytest.raises(ValueError, match="cannot be read"):
        Training.resume(tmp_path / "text.npz", DATA)


@pytest.mark.parametrize("part", [0.0, 0.3, 0.9, 0.999])
def test_truncated_files_are_refused(part, tmp_path):
    path = tmp_path / "run.npz"
    Training(START, DATA, rng=33).save(path)
    content = path.read_bytes()
    path.write_bytes(content[: int(part * len(content))])
    with pytest.raises(ValueError, match="cannot be read"):
        Training.resume(path, DATA)


def damaged_text(text):
    yield "not json"
    yield json.dumps({})
    for change in ({"method": "XYZ"}, {"optimiser": {"name": "Newton"}}, {"steps": 0}):
        yield json.dumps(text | {"options": text["options"] | change})
    yield json.dumps(text | {"state": {}})


def test_files_with_wrong_content_are_refused(tmp_path):
    path = tmp_path / "run.npz"
    Training(START, DATA, rng=34).save(path)
    arrays = files.read_npz(path, [], kind=training._KIND)
    text = json.loads(str(arrays["text"]))
    for wrong in damaged_text(text):
        files.write_npz(path, kind=training._KIND, **arrays | {"text": np.array(wrong)})
        with pytest.raises(ValueError, match="run.npz"):
            Training.resume(path, DATA)
    for change in (
        {"v": arrays["v"][:3]},
        {"memory_0_0": arrays["memory_0_0"][:3]},
        {"W": arrays["W"] * np.nan},
    ):
        files.write_npz(path, kind=training._KIND, **arrays | change)
        with pytest.raises(ValueError, match="run.npz"):
            Training.resume(path, DATA)


# ---------------------------------------------------------------- errors
@pytest.mark.filterwarnings("ignore:after epoch")
def test_divergence_stops_with_update_and_rate():
    run = Training(START, DATA, batch_size=130, optimiser=SGD(1e30), l2=1.0, rng=35)
    with (
        np.errstate(all="ignore"),
        pytest.raises(
            FloatingPointError,
            match=r"after update \d+ \(learning rate 1e\+30\).*smaller learning rate",
        ),
    ):
        quiet(run, 100)
    assert run.update <= 50


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"method": "pcd"}, ValueError, "unknown method 'pcd'; choose one of Rdm, CD, PCD"),
        ({"steps": 0}, ValueError, "steps must be an integer >= 1"),
        ({"steps": 2.0}, TypeError, "steps must be an integer"),
        ({"batch_size": 0}, ValueError, "batch_size"),
        ({"chains": 0}, ValueError, "chains"),
        ({"method": "CD", "chains": 3}, ValueError, "CD starts one chain per example"),
        ({"data": np.zeros((0, 21))}, ValueError, "data is empty"),
        ({"data": np.zeros((5, 20))}, ValueError, r"data must have shape \(n, 21\)"),
        ({"data": np.full((5, 21), np.nan)}, ValueError, "data contains NaN"),
        ({"data": np.full((5, 21), 0.5)}, ValueError, "only 0 and 1"),
        ({"data": 255 * DATA}, ValueError, "only 0 and 1"),
        ({"optimiser": 0.1}, TypeError, "optimiser must be"),
        ({"optimiser": SGD}, TypeError, "optimiser must be"),
        ({"schedule": []}, ValueError, "schedule"),
        ({"schedule": [(2, 1), (1, 1)]}, ValueError, "epochs increasing"),
        ({"schedule": [(1, -1)]}, ValueError, "factors >= 0"),
        ({"schedule": [(1, np.nan)]}, ValueError, "schedule"),
        ({"schedule": [(np.nan, 1)]}, ValueError, "schedule"),
        ({"schedule": 3}, (TypeError, ValueError), "schedule"),
        ({"l2": -0.1}, ValueError, "l2"),
        ({"l2_modes": [0.1] * 22}, ValueError, "only 21 modes"),
        ({"l2_modes": [-0.1]}, ValueError, "l2_modes"),
        ({"rng": None}, TypeError, "rng"),
    ],
)
def test_bad_options_are_refused_with_one_sentence(change, error, message):
    options = {"data": DATA, "rng": 1} | change
    with pytest.raises(error, match=message) as caught:
        Training(START, options.pop("data"), **options)
    assert "\n" not in str(caught.value)


BAD_SETTINGS = [
    ({"method": "pcd"}, ValueError, "unknown method 'pcd'"),
    ({"steps": 0}, ValueError, "steps must be an integer >= 1"),
    ({"steps": 2.5}, TypeError, "steps must be an integer"),
    ({"optimiser": 0.1}, TypeError, "optimiser must be an SGD"),
    ({"schedule": [(0, -1)]}, ValueError, "factors >= 0"),
    ({"l2": -1}, ValueError, "l2 must be 0 or above"),
    ({"l2": "much"}, TypeError, "l2 must be a real number"),
    ({"l2_modes": 0.1}, TypeError, "l2_modes must be a sequence of numbers"),
    ({"l2_modes": [0.1] * 22}, ValueError, "only 21 modes"),
    ({"centred": "no"}, TypeError, "centred must be True or False"),
]


@pytest.mark.parametrize(("change", "error", "message"), BAD_SETTINGS)
def test_settings_are_checked_wherever_they_are_set(change, error, message):
    """The same sentence from the constructor and from an assignment, which changes nothing."""
    sentences = []
    with pytest.raises(error, match=message) as caught:
        Training(START, DATA, rng=1, **change)
    sentences.append(str(caught.value))
    run = Training(START, DATA, rng=1)
    ((name, value),) = change.items()
    before = run.options()
    with pytest.raises(error, match=message) as caught:
        setattr(run, name, value)
    assert sentences == [str(caught.value)]
    assert run.options() == before


@pytest.mark.parametrize(
    "name",
    [
        "data",
        "batch_size",
        "chains",
        "seed",
        "update",
        "epoch",
        "history",
        "rbm",
        "optimizer",
        "l_2",
    ],
)
def test_what_is_fixed_or_misspelt_cannot_be_set(name):
    run = Training(START, DATA, batch_size=50, rng=1)
    with pytest.raises(
        AttributeError, match=f"{name} of a Training cannot be set, only method, steps, optimiser"
    ):
        setattr(run, name, 500)
    quiet(run, 1)
    assert run.batch_size == run.chains == 50


def test_settings_may_be_changed_and_what_is_saved_can_be_resumed(tmp_path):
    run = quiet(Training(START, DATA, batch_size=26, rng=2), 1)
    changes = {
        "method": "CD",
        "steps": np.int64(3),
        "l2": np.float32(0.25),
        "l2_modes": np.array([0.5, 0.25]),
        "schedule": [[0, 1], [5, np.float64(0.5)]],
        "centred": np.True_,
        "optimiser": Adam(np.float32(0.125), beta1=np.float64(0.5)),
    }
    for name, value in changes.items():
        setattr(run, name, value)
        run.save(tmp_path / "run.npz")
        assert Training.resume(tmp_path / "run.npz", DATA).options() == run.options()
        resumed = Training.resume(tmp_path / "run.npz", DATA)
        quiet(run, 0.6)
        assert_identical(run, quiet(resumed, 0.6))


@pytest.mark.parametrize("value", [7, 255])
def test_data_changed_afterwards_do_not_matter(value, tmp_path):
    data = DATA.copy()
    run, whole = (Training(START, x, batch_size=13, rng=3) for x in (data, DATA))
    data[:] = value
    assert_identical(quiet(run, 2), quiet(whole, 2))
    run.data[:] = value  # a copy
    np.testing.assert_array_equal(run.data, DATA)
    run.save(tmp_path / "run.npz")
    Training.resume(tmp_path / "run.npz", DATA)


# ---------------------------------------------------------------- change of optimiser
def test_adam_after_sgd_starts_without_memory(tmp_path):
    """Its first update moves a parameter by the rate at most; SGD's velocity in its place moved
    them by thousands."""
    run = quiet(Training(START, DATA, batch_size=13, optimiser=SGD(0.1, momentum=0.9), rng=4), 3)
    run.optimiser = Adam(1e-3)
    run.save(tmp_path / "run.npz")
    resumed = Training.resume(tmp_path / "run.npz", DATA)
    for k in range(1, 8):
        before = parameters(run)
        quiet(run, 0.1)
        moved = max(np.abs(x - y).max() for x, y in zip(before, parameters(run), strict=True))
        assert 5e-4 < moved < (1.001e-3 if k == 1 else 3e-3)
        assert_identical(run, quiet(resumed, 0.1))


def test_sgd_after_adam_forgets_the_averages():
    run, fresh = (
        quiet(Training(START, DATA, batch_size=13, optimiser=Adam(0.01), rng=5), 1)
        for _ in range(2)
    )
    run.optimiser = SGD(0.1, momentum=0.9)
    fresh.optimiser = SGD(0.1)
    for one in (run, fresh):
        quiet(one, 0.1)
    # velocity zero: momentum has no effect yet
    np.testing.assert_array_equal(run.rbm.W, fresh.rbm.W)
    run.optimiser = SGD(0.1, momentum=0.5)
    quiet(run, 0.1), quiet(fresh, 0.1)
    assert (run.rbm.W != fresh.rbm.W).any()  # a velocity is kept when only its momentum changes


def test_an_optimiser_set_and_taken_back_keeps_its_memory():
    run, whole = (
        quiet(Training(START, DATA, batch_size=13, optimiser=Adam(0.01), rng=6), 1)
        for _ in range(2)
    )
    run.optimiser = SGD(0.1)
    run.optimiser = Adam(0.01)
    assert_identical(quiet(run, 1), quiet(whole, 1))


def test_adam_with_other_averages_starts_again():
    run = quiet(
        Training(START, DATA, batch_size=13, optimiser=Adam(1e-3, beta2=0.9999), rng=7), 0.1
    )
    run.optimiser = Adam(1e-3, beta2=0.5)
    before = parameters(run)
    quiet(run, 0.1)
    assert max(np.abs(x - y).max() for x, y in zip(before, parameters(run), strict=True)) < 1.001e-3


def test_files_without_the_update_at_which_the_memory_began_are_read(tmp_path):
    """As they were written before an optimiser could be changed."""
    path = tmp_path / "run.npz"
    whole = quiet(Training(START, DATA, batch_size=13, optimiser=Adam(0.01), rng=8), 1.3)
    whole.save(path)
    arrays = files.read_npz(path, [], kind=training._KIND)
    text = json.loads(str(arrays["text"]))
    del text["state"]["memory_since"]
    files.write_npz(path, kind=training._KIND, **arrays | {"text": np.array(json.dumps(text))})
    assert_identical(quiet(Training.resume(path, DATA), 1), quiet(whole, 1))


# ---------------------------------------------------------------- interruptions
@pytest.mark.filterwarnings("ignore:after epoch")
@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="needs timers that send signals")
@pytest.mark.parametrize(
    "options", KINDS, ids=lambda o: f"{o['method']}-{type(o['optimiser']).__name__}"
)
def test_interrupted_training_goes_on_bit_for_bit(options):
    """Real signals at random moments, in updates and in callbacks, dozens of times; then run
    again."""

    def norm(*, training, epoch):
        return {"norm": np.linalg.norm(training.rbm.W)}

    whole, run = (Training(START, DATA, batch_size=13, rng=9, **options) for _ in range(2))
    quiet(whole, 61, callbacks=[norm])
    rng = np.random.default_rng(10)
    interruptions = 0
    handler = signal.signal(signal.SIGALRM, signal.default_int_handler)
    try:
        while run.epoch < 60:
            try:
                signal.setitimer(signal.ITIMER_REAL, rng.uniform(1e-4, 4e-3))
                quiet(run, 60 - run.epoch, callbacks=[norm])
                signal.setitimer(signal.ITIMER_REAL, 0)
            except KeyboardInterrupt:
                interruptions += 1
    finally:
        signal.signal(signal.SIGALRM, handler)
    assert interruptions > 10
    assert_identical(quiet(run, 1, callbacks=[norm]), whole)


@pytest.mark.parametrize("error", [KeyboardInterrupt, MemoryError])
@pytest.mark.parametrize("where", ["arrange", "run_phases", "gradient", "sgd_step"])
def test_an_update_that_fails_anywhere_has_changed_nothing(monkeypatch, where, error):
    run, whole = (quiet(Training(START, DATA, batch_size=13, rng=11), 1.5) for _ in range(2))
    before = (parameters(run), run.chain_states, run.history.rows, run.update)
    works = getattr(kernels, where)

    def fails(*arguments):
        works(*arguments)
        raise error

    monkeypatch.setattr(kernels, where, fails)
    with pytest.raises(error):
        quiet(run, 1)
    monkeypatch.undo()
    for x, y in zip((*before[0], before[1]), (*parameters(run), run.chain_states), strict=True):
        np.testing.assert_array_equal(x, y)
    assert before[2:] == (run.history.rows, run.update)
    assert_identical(quiet(run, 2), quiet(whole, 2))


# ---------------------------------------------------------------- callbacks
def test_a_callback_can_stop_the_run():
    def enough(*, training, epoch):
        if epoch == 3:
            training.stop()
        return {"seen": epoch}

    def after(*, training, epoch):
        return {"too": epoch}

    run = quiet(Training(START, DATA, batch_size=65, rng=12), 10, callbacks=[enough, after])
    assert run.epoch == 3
    assert run.history.rows[-1]["too"] == 3  # the callbacks of that epoch are all called
    whole = quiet(Training(START, DATA, batch_size=65, rng=12), 5)
    # the next run is not stopped by it
    np.testing.assert_array_equal(quiet(run, 2).rbm.W, whole.rbm.W)


@pytest.mark.parametrize(
    ("callbacks", "error", "message"),
    [
        (lambda training, epoch: None, TypeError, r"for one function f, callbacks=\[f\]"),
        (3, TypeError, "callbacks must be a sequence of functions"),
        ([None], TypeError, "callbacks must be a sequence of functions"),
        (
            [lambda training, epoch: {"epoch": 99}],
            ValueError,
            "a callback returned epoch: the history has that",
        ),
        ([lambda training, epoch: {"moment_error": 0}], ValueError, "moment_error"),
        (
            [lambda training, epoch: 3.0],
            TypeError,
            "must return a dict of numbers or None, not float",
        ),
        (
            [lambda training, epoch: {"rbm": training.rbm}],
            TypeError,
            "must return a dict of numbers",
        ),
    ],
)
def test_bad_callbacks_are_refused(callbacks, error, message):
    run = Training(START, DATA, batch_size=65, rng=13)
    with pytest.raises(error, match=message):
        quiet(run, 2, callbacks=callbacks)
    assert run.history.rows == [] or set(run.history.rows[0]) == {
        "epoch",
        "learning_rate",
        "moment_error",
    }


def test_callbacks_may_come_from_a_generator():
    seen = []
    callbacks = (f for f in [lambda training, epoch: seen.append(epoch)])
    quiet(Training(START, DATA, rng=14), 3, callbacks=callbacks)
    assert seen == [1, 2, 3]


# ---------------------------------------------------------------- symptoms
@pytest.mark.parametrize(
    ("options", "symptom"),
    [
        ({"optimiser": SGD(50.0), "centred": True}, "the largest coupling is"),
        (
            {"optimiser": SGD(10.0), "steps": 5, "chains": 300},
            "chains do not resemble the data, moment error 0.3",
        ),
    ],
)
def test_a_learning_rate_that_ruins_the_model_is_not_silent(options, symptom):
    start = RBM.random(16, 12, sigma=0.1, rng=0)
    run = Training(start, bars_and_stripes(4), batch_size=30, rng=0, **options)
    with pytest.warns(
        RuntimeWarning, match=rf"after epoch \d+: {symptom}.*; the learning rate \(\d+\) may"
    ) as caught:
        quiet(run, 200)
    assert len(caught) == 1  # once in a run


@pytest.mark.parametrize(
    "options", [{"method": "PCD", "steps": 5}, {"method": "CD"}, {"method": "PCD", "chains": 3}]
)
def test_healthy_training_is_silent(options, recwarn):
    for data, rate in ((bars_and_stripes(4), 0.2), (DATA, 0.05)):
        start = RBM.random(data.shape[1], 12, sigma=0.1, rng=0)
        quiet(Training(start, data, batch_size=30, optimiser=SGD(rate), rng=0, **options), 300)
    assert not recwarn.list


@pytest.mark.filterwarnings("ignore:after epoch")
def test_a_diverged_training_is_not_saved(tmp_path):
    run = Training(START, DATA, batch_size=13, optimiser=SGD(1e30), l2=1.0, rng=35)
    with np.errstate(all="ignore"), pytest.raises(FloatingPointError):
        quiet(run, 100)
    with pytest.raises(FloatingPointError, match="NaN or infinite after update 9"):
        run.save(tmp_path / "run.npz")
    assert not (tmp_path / "run.npz").exists()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: SGD(0), "learning_rate must be above 0"),
        (lambda: SGD(np.nan), "learning_rate must be finite"),
        (lambda: SGD(0.1, momentum=1.0), "momentum"),
        (lambda: Adam(-1), "learning_rate"),
        (lambda: Adam(beta1=1.0), "beta1"),
        (lambda: Adam(epsilon=0), "epsilon"),
    ],
)
def test_bad_optimisers_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize("epochs", [0, -1, np.nan])
def test_bad_epochs_are_refused(epochs):
    with pytest.raises(ValueError, match="epochs"):
        quiet(Training(START, DATA, rng=36), epochs)


def test_fewer_steps_per_update_do_not_repeat_random_numbers(tmp_path):
    """The streams go on from the last Gibbs step when K is lowered between runs, also after a
    restart."""
    run = Training(START, DATA, steps=4, batch_size=30, rng=5)
    quiet(run, 0.5)
    assert run._state.step == 2 * 4
    run.steps = 1
    run.save(tmp_path / "run.npz")
    restarted = Training.resume(tmp_path / "run.npz", DATA)
    np.testing.assert_array_equal(quiet(run, 0.5).chain_states, quiet(restarted, 0.5).chain_states)
    assert run._state.step == restarted._state.step == 2 * 4 + 2
