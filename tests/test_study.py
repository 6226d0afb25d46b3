"""The study of replicas: the same numbers whoever computes them and however often they are
stopped; checked results."""

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

import rbmkit
from rbmkit import Training, exact_log_z
from rbmkit.__main__ import main
from rbmkit.data import data_folder
from rbmkit.figures.training import brackets_open, likelihoods
from rbmkit.files import SUMS, read_sums
from rbmkit.study import folder as working_folder
from rbmkit.study import running
from rbmkit.study.members import Member, members
from rbmkit.study.progress import status
from rbmkit.study.protocols import CHECKPOINTS, PaperProtocol, Protocol, load_data, settings

PROTOCOL = Protocol(data="bars", epochs=4.0)
FIRST = Member("PCD", 24, 0)
SECOND = Member("PCD", 24, 1)
COMMAND = [sys.executable, "-m", "rbmkit", "study", "run"]
OPTIONS = ["--data", "bars", "--epochs", "4", "--methods", "PCD", "--hidden", "24", "--replicas"]
posix = pytest.mark.skipif(os.name == "nt", reason="needs signals and limits of POSIX")


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """A finished study of small models on bars and stripes, never interrupted."""
    folder = tmp_path_factory.mktemp("study")
    wanted = [FIRST, SECOND, Member("CD", 24, 0), Member("Rdm", 24, 0), Member("PCD", 12, 0)]
    running.run(folder, wanted, PROTOCOL)
    return folder


@pytest.fixture
def collected(done, tmp_path):
    running.collect(done, tmp_path / "results")
    return tmp_path / "results"


def same(folder, other, *which):
    return all(
        (folder / f"{m.name}.npz").read_bytes() == (other / f"{m.name}.npz").read_bytes()
        for m in which
    )


def wait_for(path, seconds=60):
    end = time.monotonic() + seconds
    while not path.exists():
        assert time.monotonic() < end, f"{path} did not appear"
        time.sleep(0.01)


# ---------------------------------------------------------------- what is measured
def test_the_study_has_four_sizes_three_methods_and_five_replicas():
    everything = members()
    assert len(everything) == len({m.name for m in everything}) == 30
    assert {(m.method, m.hidden) for m in everything} == {
        *(("PCD", M) for M in (500, 784, 1200, 3000)),
        ("CD", 500),
        ("Rdm", 500),
    }
    # a cut leaves a balanced study
    assert [m.replica for m in everything] == sorted(m.replica for m in everything)
    assert len({m.rng().random() for m in everything}) == 30
    assert [m.name for m in members(["CD"], [24, 24], [3, 3])] == ["cd-24-3"]


def test_checkpoints_end_with_the_training():
    assert Protocol(epochs=15).checkpoints() == [epoch for epoch in CHECKPOINTS if epoch <= 15]
    assert Protocol(epochs=2.5).checkpoints() == [
        0,
        0.05,
        0.1,
        0.15,
        0.2,
        0.35,
        0.5,
        0.75,
        1,
        2,
        2.5,
    ]
    assert Protocol(epochs=2.5).saves()[-3:] == [1, 2, 2.5]


@pytest.mark.parametrize("wrong", [{"data": "cats"}, {"epochs": 0.0}])
def test_wrong_protocols_are_refused(wrong):
    with pytest.raises(ValueError, match=r"cats|epochs"):
        Protocol(**wrong)


@pytest.mark.parametrize("wrong", [("MLE", 5, 0), ("CD", 0, 0), ("CD", 5, -1)])
def test_wrong_members_are_refused(wrong):
    with pytest.raises(ValueError, match=r"unknown method|hidden|replica"):
        Member(*wrong)


@pytest.mark.parametrize("name", ["pcd-24-0", "cd-24-0", "rdm-24-0"])
def test_the_estimates_bracket_the_exact_likelihood(done, collected, name):
    study = rbmkit.study(collected)
    patterns = rbmkit.bars_and_stripes(5)
    rbm = study.rbm(name)
    found = study.statistics(name)
    exact = -rbm.free_energy(patterns).mean() - exact_log_z(rbm)
    upper = found.log_likelihood("upper")[-1]
    lower = found.log_likelihood("lower")[-1]
    assert upper > exact - 5 * found.log_z_low_stderr[-1] - 1e-3
    assert lower < exact + 5 * found.log_z_high_stderr[-1] + 1e-3
    assert abs(upper - exact) < 0.05
    assert abs(lower - exact) < 0.05


def test_a_small_layer_is_enumerated(collected):
    rbm = rbmkit.study(collected).rbm("pcd-12-0")
    found = rbmkit.study(collected).statistics("pcd-12-0")
    assert np.array_equal(found.log_z_low, found.log_z_high)
    assert not found.log_z_low_stderr.any()
    assert abs(found.log_z_low[-1] - exact_log_z(rbm)) < 1e-3  # W was rounded
    likelihood = found.log_likelihood("upper")
    assert likelihood[-1] > likelihood[0]


def test_statistics_are_those_of_the_saved_states(done, collected):
    found = rbmkit.study(collected).statistics(FIRST.name)
    examples, test = load_data(PROTOCOL)
    for k, epoch in enumerate(found.epochs):
        rbm = Training.resume(done / FIRST.name / f"epoch_{epoch:g}.npz", examples).rbm
        U, s, Vt = np.linalg.svd(rbm.W)
        assert np.allclose(found.singular_values[k], s[:24], atol=1e-6)
        assert np.isclose(found.free_energy_test[k], rbm.free_energy(test).mean())
        p = found.leading
        sign = np.sign(np.sum(U[:, :5] * found.U[k], axis=0))
        assert np.allclose(U[:, :5] * sign, found.U[k], atol=2e-3)  # half precision
        assert np.allclose(Vt.T[:, :5] * sign, found.V[k], atol=2e-3)
        x = test @ (U[:, :5] * sign)
        assert np.allclose(p.x_data[k, :5, 0], x.mean(0))
        assert np.allclose(p.x_data[k, :5, 1], x.std(0))
        assert np.allclose(p.x_data[k, :5, 4], np.median(x, axis=0))
        y = rbm.hidden_mean(test) @ (Vt.T[:, :5] * sign)
        # one h for each v
        assert np.abs(p.y_data[k, :5, 0] - y.mean(0)).max() < 5 * 0.5 / np.sqrt(len(test))
        rows = U[:, :5] * sign
        columns = Vt.T[:, :5] * sign
        exact = np.diag(
            np.cov((test @ rows).T, (rbm.hidden_mean(test) @ columns).T, ddof=0)[:5, 5:]
        )
        assert np.abs(p.cov_data[k, :5] - exact).max() < 5 * 0.5 * x.std(0).max() / np.sqrt(
            len(test)
        )
        assert np.allclose(p.x0[k, :5], -(Vt[:5] @ rbm.b) * sign / s[:5], atol=1e-6)
        assert np.allclose(p.mu_x[k, :5], U[:, :5].sum(0) * sign / 2)


def test_modes_are_followed_to_the_final_ones(collected):
    found = rbmkit.study(collected).statistics(FIRST.name)
    leading = found.leading
    followed = found.followed
    assert np.array_equal(leading.rank, np.tile(np.arange(8), (len(found.epochs), 1)))
    assert np.array_equal(followed.label, leading.rank)
    assert np.array_equal(followed.s[-1], leading.s[-1])
    assert (followed.rank[-1] == followed.label[-1]).all()
    assert np.allclose(
        np.take_along_axis(found.singular_values, followed.rank, axis=1), followed.s, atol=1e-6
    )
    same_label = leading.label[:-1, 0] == leading.label[1:, 0]
    turn = np.sum(found.U[:-1, :, 0].astype(float) * found.U[1:, :, 0], axis=1)
    steady = same_label & (leading.overlap[:-1, 0] > 0.9)
    assert steady.any()
    assert (turn[steady] > 0.7).all()  # no jump of sign


# ---------------------------------------------------------- the same numbers, whoever computes them
def test_two_processes_give_the_same_bytes(done, tmp_path):
    running.run(tmp_path, [FIRST, SECOND], PROTOCOL, jobs=2)
    assert same(done, tmp_path, FIRST, SECOND)


@posix
def test_a_killed_study_goes_on_to_the_same_bytes(done, tmp_path):
    with subprocess.Popen(
        [*COMMAND, tmp_path, *OPTIONS, "0", "1", "--jobs", "2"], stderr=subprocess.DEVNULL
    ) as process:
        wait_for(tmp_path / FIRST.name / "epoch_0.5.npz")
        process.send_signal(signal.SIGKILL)
    kept = (tmp_path / FIRST.name / "epoch_0.5.npz").stat().st_mtime_ns
    assert main(["study", "run", str(tmp_path), *OPTIONS, "0", "1"]) == 0
    # went on, did not start again
    assert (tmp_path / FIRST.name / "epoch_0.5.npz").stat().st_mtime_ns == kept
    assert same(done, tmp_path, FIRST, SECOND)


@contextmanager
def cluster_of(workers):
    """A dask cluster on this machine, with one thread per worker."""
    distributed = pytest.importorskip("distributed")
    options = {"host": "127.0.0.1", "dashboard_address": None, "threads_per_worker": 1}
    with distributed.LocalCluster(n_workers=workers, **options) as cluster:
        yield cluster


def kill_a_worker(cluster, folder):
    """In a thread, which is returned: as soon as the first member has a saved state."""

    def kill():
        wait_for(folder / FIRST.name / "epoch_0.2.npz")
        worker = next(iter(cluster.workers.values()))
        os.kill(worker.pid, signal.SIGTERM if os.name == "nt" else signal.SIGKILL)

    killer = threading.Thread(target=kill)
    killer.start()
    return killer


def test_dask_workers_give_the_same_bytes_though_one_is_killed(done, tmp_path):
    with cluster_of(2) as cluster:
        killer = kill_a_worker(cluster, tmp_path)
        work = threading.Thread(
            target=running.run,
            args=(tmp_path, [FIRST, SECOND], PROTOCOL),
            kwargs={"backend": "dask", "scheduler": cluster.scheduler_address},
            daemon=True,
        )
        work.start()
        work.join(timeout=120)
        killer.join()
        assert not work.is_alive(), "the run still waits for the killed worker"
    assert same(done, tmp_path, FIRST, SECOND)


def test_a_member_that_dask_gives_up_is_an_error(tmp_path):
    """And not a run that waits for ever."""
    dask = pytest.importorskip("dask")
    message = f"1 of 1 members failed:\n{FIRST.name}: Attempted to run task"
    with (
        dask.config.set({"distributed.scheduler.allowed-failures": 0}),
        cluster_of(1) as cluster,
    ):
        killer = kill_a_worker(cluster, tmp_path)
        engine = {"backend": "dask", "scheduler": cluster.scheduler_address}
        with pytest.raises(RuntimeError, match=message):
            running.run(tmp_path, [FIRST], PROTOCOL, **engine)
        killer.join()


def test_dask_needs_an_address_and_its_package(tmp_path, monkeypatch):
    with pytest.raises(ValueError, match="address of a scheduler"):
        running.run(tmp_path, [FIRST], PROTOCOL, backend="dask")
    with pytest.raises(ValueError, match="loky takes none"):
        running.run(tmp_path, [FIRST], PROTOCOL, scheduler="tcp://127.0.0.1:1")
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(ImportError, match=r"rbmkit\[cluster\]"):
        running.run(tmp_path, [FIRST], PROTOCOL, backend="dask", scheduler="tcp://127.0.0.1:1")


# ---------------------------------------------------------------- the paper's protocol
SHORT = PaperProtocol(
    data="bars", epochs=8.0, learning_rate=3e-2, slow_rate=3e-2, until=9.0, least=1.0, longest=24.0
)
STRONG = [Member("PCD", 24, 0), Member("PCD", 24, 3), Member("CD", 24, 0), Member("Rdm", 24, 1)]


@pytest.fixture(scope="module")
def strong(tmp_path_factory):
    """Small models on bars and stripes, trained after the paper."""
    folder = tmp_path_factory.mktemp("strong")
    running.run(folder, STRONG, SHORT)
    running.collect(folder, folder / "results")
    return folder


def test_the_two_protocols_train_as_they_say():
    mild = Protocol(data="bars")
    paper = PaperProtocol(data="bars")
    examples, _ = load_data(mild)
    logit = np.log(examples.mean(axis=0) / (1 - examples.mean(axis=0)))
    for member, protocol, rate, centred, fields in (
        (Member("PCD", 24, 0), mild, ("SGD", 0.1), True, True),
        (Member("CD", 24, 0), mild, ("SGD", 0.1), True, True),
        (Member("PCD", 24, 0), paper, ("Adam", 1e-3), False, True),
        (Member("CD", 24, 0), paper, ("Adam", 1e-4), False, False),
        (Member("Rdm", 24, 0), paper, ("Adam", 1e-4), False, False),
    ):
        training = protocol.start(member, examples)
        options = training.options()
        rbm = training.rbm
        assert (options["optimiser"]["name"], options["optimiser"]["learning_rate"]) == rate
        assert (options["centred"], options["steps"], options["batch_size"]) == (centred, 5, 500)
        assert np.allclose(rbm.a, logit, atol=1e-5) == fields
        assert (np.abs(rbm.b).max() == 0) == fields
        assert 0.005 < rbm.W.std() < 0.015


def test_strong_trainings_end_above_their_threshold_or_at_their_last_epoch(strong):
    study = rbmkit.study(strong / "results")
    first = {name: study.statistics(name).singular_values[:, 0] for name in study.names}
    epochs = {name: study.statistics(name).epochs for name in study.names}
    assert epochs["pcd-24-0"][-1] == 8  # PCD does not stop early, however large
    assert first["pcd-24-0"].max() > SHORT.until
    for name in ("cd-24-0", "rdm-24-1"):
        end = epochs[name][-1]
        assert first[name][-1] > SHORT.until or end == SHORT.longest
        between = (epochs[name] >= SHORT.least) & (epochs[name] < end)
        assert between.any()
        assert (first[name][between] <= SHORT.until).all()
    assert first["cd-24-0"][-1] > SHORT.until
    assert epochs["cd-24-0"][-1] < SHORT.longest
    paper = PaperProtocol()
    assert paper.saves("PCD")[-3:] == [90, 95, 100]
    assert paper.checkpoints("PCD")[-3:] == [80, 90, 100]
    assert (paper.saves("CD")[-2:], paper.checkpoints("Rdm")[-2:]) == ([295, 300], [290, 300])
    assert all(
        set(paper.checkpoints(method)) <= set(paper.saves(method))
        for method in ("PCD", "CD", "Rdm")
    )


def test_a_strong_training_that_was_copied_is_not_trained_again(strong, tmp_path):
    member = Member("CD", 24, 0)
    shutil.copytree(
        strong / member.name, tmp_path / member.name, ignore=shutil.ignore_patterns("check*")
    )
    before = {path.name: path.stat().st_mtime_ns for path in (tmp_path / member.name).iterdir()}
    last = sorted(before, key=lambda name: float(name[6:-4]))[-1]
    running.run(tmp_path, [member], SHORT)
    states = {
        path.name: path.stat().st_mtime_ns for path in (tmp_path / member.name).glob("epoch*")
    }
    assert states == before
    assert same(strong, tmp_path, member)
    home = tmp_path / member.name
    result = tmp_path / f"{member.name}.npz"
    for path in (*home.glob("check*"), home / last, result):
        path.unlink()
    running.run(tmp_path, [member], SHORT)  # goes on to the same end
    assert same(strong, tmp_path, member)


def test_strong_models_are_found_along_their_training(strong):
    examples, test = load_data(SHORT)
    study = rbmkit.study(strong / "results")
    first = study.statistics("pcd-24-0")
    largest = first.singular_values[:, 0]
    marks = [mark for mark in (10, 20) if mark <= largest.max()]
    assert marks
    crossed = [first.epochs[np.argmax(largest >= mark)] for mark in marks]
    assert study.snapshots("pcd-24-0") == sorted({*crossed, 8})
    for epoch in study.snapshots("pcd-24-0"):
        exact = Training.resume(strong / "pcd-24-0" / f"epoch_{epoch:g}.npz", examples).rbm
        stored = study.rbm("pcd-24-0", epoch)
        assert np.allclose(stored.W, exact.W, rtol=1e-3, atol=1e-6)
        assert np.allclose(stored.b, exact.b, rtol=1e-6)
    assert np.array_equal(study.rbm("pcd-24-0").W, study.rbm("pcd-24-0", 8).W)
    assert len(study.snapshots("rdm-24-1")) == 1
    assert study.snapshots("pcd-24-3") == []
    assert len(study.statistics("pcd-24-3").rounding) == 0
    with pytest.raises(ValueError, match="not stored"):
        study.rbm("pcd-24-3")
    with pytest.raises(ValueError, match=r"epoch=3\.5.*epochs with a model"):
        study.rbm("pcd-24-0", 3.5)


def test_space_goes_to_the_first_replicas():
    values = np.array([0.5, 9.0, 12.0, 18.0, 22.0, 40.0, 50.0])
    kept = {
        (M, k): PaperProtocol().kept(Member("PCD", M, k), values)
        for M in (500, 784)
        for k in range(4)
    }
    assert kept == {(500, 0): [2, 4, 5, 6], (500, 1): [6], (500, 2): [6], (500, 3): []} | {
        (784, k): [6] if k == 0 else [] for k in range(4)
    }


def test_strong_members_keep_what_the_mean_does_not_explain(strong):
    examples, test = load_data(SHORT)
    found = rbmkit.study(strong / "results").statistics("cd-24-0")
    contrast = examples.mean(axis=0) - 0.5
    for k, epoch in enumerate(found.epochs):
        rbm = Training.resume(strong / "cd-24-0" / f"epoch_{epoch:g}.npz", examples).rbm
        p = np.eye(25) - np.outer(contrast, contrast) / (contrast @ contrast)
        q = np.eye(24) - 1 / 24
        assert np.allclose(
            found.rest_values[k], np.linalg.svd(p @ rbm.W @ q, compute_uv=False)[:20], atol=1e-5
        )
        activity = rbm.hidden_mean(test).mean(axis=0)
        assert np.allclose(
            found.activity[k, [0, 1, 4]], [activity.mean(), activity.std(), np.median(activity)]
        )
    with_estimate = np.isfinite(found.log_z_low)
    assert np.array_equal(found.vector_epochs, found.epochs[with_estimate])
    assert with_estimate[-1]
    assert not with_estimate.all()
    assert len(found.U) == len(found.V) == len(found.vector_epochs)


def test_the_two_protocols_do_not_mix(strong, done, tmp_path, monkeypatch):
    with pytest.raises(ValueError, match="other settings"):
        running.run(strong, STRONG[:1], PROTOCOL)
    monkeypatch.setenv("RBMKIT_DATA", str(tmp_path))
    assert {path.parent.name for path in running.collect(strong)} == {"strong"}
    assert {path.parent.name for path in running.collect(done)} == {"study"}
    assert rbmkit.study("paper").names == sorted(member.name for member in STRONG)
    assert rbmkit.study("mild").names == rbmkit.study().names
    (tmp_path / "pcd-24-0.npz").write_bytes((done / "pcd-24-0.npz").read_bytes())
    with pytest.raises(ValueError, match="which protocol"):
        running.collect(tmp_path)


# ---------------------------------------------------------------- what can go wrong
def test_two_runs_do_not_share_a_folder(tmp_path):
    with working_folder.locked(tmp_path):
        answer = subprocess.run(
            [*COMMAND, tmp_path, *OPTIONS, "0"], capture_output=True, text=True, check=False
        )
    assert answer.returncode == 1
    assert f"in use by process {os.getpid()} on" in answer.stderr
    assert not (tmp_path / "study.json").exists()
    with working_folder.locked(tmp_path):  # free again
        pass


def test_a_folder_has_one_protocol(done):
    with pytest.raises(ValueError, match="other settings"):
        running.run(done, [FIRST], Protocol(data="bars", epochs=5.0))


@posix
def test_a_full_disk_is_named_and_costs_nothing(done, tmp_path):
    shutil.copytree(
        done / FIRST.name,
        tmp_path / FIRST.name,
        ignore=lambda _, names: set(names) - {"epoch_0.npz"},
    )
    before = (tmp_path / FIRST.name / "epoch_0.npz").read_bytes()
    limit = "import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (7000, 7000)); "
    script = limit + "from rbmkit.__main__ import main; sys.exit(main(sys.argv[1:]))"
    command = [sys.executable, "-c", script, "study", "run", tmp_path, *OPTIONS, "0"]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    assert answer.returncode == 1
    assert (
        f"cannot write {tmp_path / FIRST.name / 'epoch_0.05.npz'}: File too large" in answer.stderr
    )
    assert [path.name for path in (tmp_path / FIRST.name).iterdir()] == ["epoch_0.npz"]
    assert (tmp_path / FIRST.name / "epoch_0.npz").read_bytes() == before
    assert main(["study", "run", str(tmp_path), *OPTIONS, "0"]) == 0  # there is room again
    assert same(done, tmp_path, FIRST)


@pytest.mark.parametrize(
    ("kind", "epoch"), [("truncated", 4), ("altered", 4), ("foreign", 4), ("foreign", 2)]
)
def test_a_damaged_state_is_named_and_kept_and_the_other_members_go_on(done, tmp_path, kind, epoch):
    for member in (FIRST, SECOND):
        shutil.copytree(
            done / member.name, tmp_path / member.name, ignore=shutil.ignore_patterns("check*")
        )
    path = tmp_path / FIRST.name / f"epoch_{epoch}.npz"
    content = bytearray(path.read_bytes())
    if kind == "altered":
        content[len(content) // 2] ^= 1
    path.write_bytes(content[:-100] if kind == "truncated" else content)
    if kind == "foreign":
        shutil.copy(tmp_path / SECOND.name / path.name, path)
    content = path.read_bytes()
    with pytest.raises(RuntimeError, match="1 of 2 members failed") as caught:
        running.run(tmp_path, [FIRST, SECOND], PROTOCOL)
    assert str(path) in str(caught.value)
    assert path.read_bytes() == content
    assert same(done, tmp_path, SECOND)
    path.unlink()
    running.run(tmp_path, [FIRST], PROTOCOL)
    assert same(done, tmp_path, FIRST)


def test_measurements_of_another_model_are_refused(done, tmp_path):
    shutil.copytree(done / FIRST.name, tmp_path / FIRST.name)
    path = tmp_path / FIRST.name / "check_1.npz"
    for other in (done / FIRST.name / "check_2.npz", done / "cd-24-0" / "check_1.npz"):
        shutil.copy(other, path)
        with pytest.raises(RuntimeError, match=r"check_1\.npz was measured on another model"):
            running.run(tmp_path, [FIRST], PROTOCOL)
    path.unlink()
    running.run(tmp_path, [FIRST], PROTOCOL)
    assert same(done, tmp_path, FIRST)


def test_a_damaged_result_is_an_error_of_the_run(done, tmp_path):
    (tmp_path / f"{FIRST.name}.npz").write_bytes(b"")
    with pytest.raises(RuntimeError, match=rf"{FIRST.name}\.npz"):
        running.run(tmp_path, [FIRST], PROTOCOL)


@posix
def test_leftovers_and_workers_of_a_killed_run_go(tmp_path):
    with subprocess.Popen(
        [*COMMAND, tmp_path, *OPTIONS, "0", "1", "--jobs", "2"], stderr=subprocess.DEVNULL
    ) as process:
        wait_for(tmp_path / FIRST.name / "epoch_0.5.npz")
        workers = [
            int(path.parts[2])
            for path in Path("/proc").glob("[0-9]*/stat")
            if path.exists() and path.read_text().rpartition(")")[2].split()[1] == str(process.pid)
        ]
        process.send_signal(signal.SIGKILL)
    deadline = time.monotonic() + 30
    while any(Path(f"/proc/{pid}").exists() for pid in workers) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert workers
    assert not any(Path(f"/proc/{pid}").exists() for pid in workers)
    leftover = tmp_path / FIRST.name / ".epoch_1.npz.0.part"
    leftover.write_bytes(b"half a file")
    running.run(tmp_path, [FIRST], PROTOCOL)
    assert not leftover.exists()


@pytest.mark.parametrize("kind", ["folder", "text"])
def test_a_lock_that_is_no_lock_is_named(tmp_path, kind):
    path = tmp_path / "lock"
    path.mkdir() if kind == "folder" else path.write_text("no database " * 100)
    with pytest.raises(OSError, match=f"cannot lock {path}"):
        running.run(tmp_path, [FIRST], PROTOCOL)


# ---------------------------------------------------------------- results and their loader
def test_results_are_found_by_name_method_and_size(collected):
    study = rbmkit.study(collected)
    assert study.names == ["cd-24-0", "pcd-12-0", "pcd-24-0", "pcd-24-1", "rdm-24-0"]
    assert study.members(method="PCD", hidden=24) == ["pcd-24-0", "pcd-24-1"]
    assert study.members(method="Rdm") == ["rdm-24-0"]
    assert study.statistics("pcd-24-0").text["protocol"] == json.loads(json.dumps(vars(PROTOCOL)))
    with pytest.raises(ValueError, match="no member 'pcd-99-0'.*cd-24-0"):
        study.rbm("pcd-99-0")


def test_rounding_is_as_stated(done, collected):
    examples, test = load_data(PROTOCOL)
    final = Training.resume(done / FIRST.name / "epoch_4.npz", examples).rbm
    study = rbmkit.study(collected)
    change = study.rbm(FIRST.name).free_energy(test) - final.free_energy(test)
    assert np.allclose(study.statistics(FIRST.name).rounding, [change.mean(), change.std()])
    assert 0 < change.std() < 1e-3


def test_collecting_again_keeps_the_others(done, collected, tmp_path):
    shutil.copytree(
        done, tmp_path / "part", ignore=shutil.ignore_patterns("pcd-24-1*", "rdm*", "cd*")
    )
    digests = read_sums(collected)
    running.collect(tmp_path / "part", collected)
    assert read_sums(collected) == digests
    with pytest.raises(FileNotFoundError, match="no member is finished"):
        running.collect(collected.parent, collected)


def test_a_damaged_result_is_not_collected(collected, tmp_path):
    path = collected / "cd-24-0.npz"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ValueError, match=r"cd-24-0\.npz"):
        running.collect(collected, tmp_path / "elsewhere")
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.parametrize("kind", ["missing", "truncated", "altered"])
def test_a_damaged_result_is_named(collected, kind):
    path = collected / "pcd-24-0.npz"
    content = path.read_bytes()
    path.write_bytes(
        content[:-1] if kind == "truncated" else content[:-1] + bytes([content[-1] ^ 1])
    )
    if kind == "missing":
        path.unlink()
    study = rbmkit.study(collected)
    with pytest.raises((FileNotFoundError, ValueError), match=r"pcd-24-0\.npz.*restore it"):
        study.statistics("pcd-24-0")
    study.rbm("pcd-24-1")


@pytest.mark.parametrize(
    "content", [None, "", "0123  pcd-24-0.npz\n", f"{'0' * 64}  ../mnist.npz\n"]
)
def test_a_damaged_list_of_checksums_is_named(collected, content):
    (collected / SUMS).unlink()
    if content is not None:
        (collected / SUMS).write_text(content)
    with pytest.raises((FileNotFoundError, ValueError), match=SUMS):
        rbmkit.study(collected)


# ---------------------------------------------------------------- the command line
def test_the_command_line_reports_and_collects(done, tmp_path, capsys):
    assert main(["study", "status", str(done), *OPTIONS, "0", "7"]) == 0
    assert capsys.readouterr().out.split() == ["study", "50%", "pcd-24-0", "100%", "pcd-24-7", "0%"]
    assert main(["study", "collect", str(done), "--to", str(tmp_path / "results")]) == 0
    assert len(capsys.readouterr().out.split()) == 5
    assert main(["study", "collect", str(tmp_path)]) == 1
    assert "no member is finished" in capsys.readouterr().err


def test_the_command_line_explains_itself(capsys):
    for words in (["study", "--help"], ["study", "run", "--help"]):
        with pytest.raises(SystemExit) as end:
            main(words)
        assert end.value.code == 0
    assert "--scheduler ADDRESS" in capsys.readouterr().out


def test_progress_follows_the_files(done, tmp_path):
    folder = tmp_path / FIRST.name
    folder.mkdir()
    with pytest.raises(FileNotFoundError, match="holds no study"):
        status(tmp_path, [FIRST], PROTOCOL)
    shutil.copy(done / "study.json", tmp_path)
    with pytest.raises(ValueError, match="other settings"):
        status(tmp_path, [FIRST], Protocol())
    total = status(tmp_path, [FIRST], PROTOCOL)[FIRST.name]
    assert total == (0, (4 + 12) * 24 / 500)
    shutil.copy(done / FIRST.name / "epoch_3.npz", folder)
    shutil.copy(done / FIRST.name / "check_4.npz", folder)
    assert status(tmp_path, [FIRST], PROTOCOL)[FIRST.name][0] == (3 + 1) * 24 / 500


# ---------------------------------------------------------------- figures
def test_the_figure_of_likelihoods_shows_means_spreads_and_both_ends(collected):
    study = rbmkit.study(collected)
    found = [study.statistics(name) for name in study.members(method="PCD", hidden=24)]
    upper, lower = (np.array([t.log_likelihood(end) for t in found]) for end in ("upper", "lower"))
    one = study.statistics("cd-24-0")
    brackets = {"PCD": (found[0].epochs, upper, lower), "CD": (one.epochs, upper[:1], lower[:1])}
    _, (left, right) = likelihoods(brackets, start=2.0)
    (legend,) = left.figure.legends
    assert [text.get_text() for text in legend.get_texts()[:2]] == ["PCD", "CD"]
    line = left.containers[0].lines[0]
    assert np.allclose(line.get_xydata(), np.column_stack([found[0].epochs, upper.mean(axis=0)]))
    bars = np.array(left.containers[0].lines[2][0].get_segments())
    assert np.allclose(np.ptp(bars[:, :, 1], axis=1), 2 * upper.std(axis=0, ddof=1))
    assert right.containers[1].lines[0].get_xdata().min() == 2


def test_an_open_bracket_is_drawn_open(strong):
    study = rbmkit.study(strong / "results")
    found = study.statistics("cd-24-0")
    upper, lower = (found.log_likelihood(end)[None] for end in ("upper", "lower"))
    fig, (left, right) = brackets_open(
        {
            "one": {"CD": (found.epochs, upper, lower)},
            "two": {"PCD": (found.epochs, upper, lower - 5)},
        },
        ylim=(-99, 0),
    )
    known = np.isfinite(upper[0])
    assert np.allclose(left.lines[0].get_xydata(), np.column_stack([found.epochs, upper[0]])[known])
    corners = right.collections[0].get_paths()[0].vertices
    for x, high, low in zip(found.epochs[known], upper[0, known], lower[0, known] - 5, strict=True):
        assert {high, low} <= {y for at, y in corners if at == x}
    assert left.lines[0].get_color() != right.lines[0].get_color()
    assert [text.get_text() for text in fig.legends[0].get_texts()[:2]] == ["CD", "PCD"]
    assert fig.get_size_inches()[0] <= 7.2


# ---------------------------------------------------------------- what ships
def test_the_shipped_results_are_complete_and_small():
    study = rbmkit.study()
    folder = data_folder()
    assert set(study.names) == {member.name for member in members()}
    for name in study.names:
        found = study.statistics(name)
        assert {key: found.text[key] for key in settings(Protocol())} == settings(Protocol())
        assert found.epochs.tolist() == Protocol().checkpoints()
        assert found.rounding[1] < 0.05
    assert {path.name for path in (folder / "study").iterdir()} == {
        SUMS,
        *(f"{name}.npz" for name in study.names),
    }
    assert sum(path.stat().st_size for path in folder.rglob("*.npz")) < 110e6


def test_the_shipped_strong_models_are_strong():
    """A stored model with a singular value above 35 for each method; measurements are those of
    the stored weights."""
    study = rbmkit.study("paper")
    protocol = PaperProtocol()
    test = rbmkit.mnist().test
    assert set(study.names) <= {member.name for member in members()}
    for name in study.names:
        found = study.statistics(name)
        assert {key: found.text[key] for key in settings(protocol)} == settings(protocol)
        assert found.singular_values[-1, 0] > 35
        assert found.epochs[-1] == 100 or not name.startswith("pcd")
        assert len(found.rounding) == 0 or found.rounding[1] < 0.05
    for method in ("PCD", "CD", "Rdm"):
        name = study.members(method=method, hidden=500)[0]
        found = study.statistics(name)
        assert len(study.snapshots(name)) >= 3
        assert np.allclose(
            found.singular_values[-1], np.linalg.svd(study.rbm(name).W, compute_uv=False), atol=5e-3
        )
        free = study.rbm(name).free_energy(test).mean()
        assert np.isclose(found.free_energy_test[-1] + found.rounding[0], free, atol=1e-6)
        for epoch in study.snapshots(name):
            exact = found.singular_values[found.epochs == epoch][0]
            assert np.allclose(
                exact, np.linalg.svd(study.rbm(name, epoch).W, compute_uv=False), atol=5e-3
            )


def test_the_shipped_measurements_are_those_of_the_shipped_weights():
    study = rbmkit.study()
    test = rbmkit.mnist().test
    for name in study.members(method="PCD", hidden=500)[:1] + study.members(method="CD")[:1]:
        rbm = study.rbm(name)
        found = study.statistics(name)
        assert np.allclose(
            found.singular_values[-1], np.linalg.svd(rbm.W, compute_uv=False), atol=2e-3
        )
        assert np.isclose(
            found.free_energy_test[-1] + found.rounding[0], rbm.free_energy(test).mean(), atol=1e-6
        )
        assert np.allclose(
            np.abs((test[:2000] @ found.U[-1, :, 0].astype(float)).mean()),
            np.abs(found.leading.x_data[-1, 0, 0]),
            atol=1e-2,
        )
