"""The study behind the figures: RBMs of four sizes and three training methods, five replicas each.

A study lives in a working folder. Each *member*, say ``pcd-500-0`` (method, hidden units, replica), is trained and then
measured at its checkpoints; what it needs is on disk, so that a run that was killed goes on where it was:

    FOLDER/study.json             the settings, the same for all members
    FOLDER/lock                   held by the process that works here
    FOLDER/pcd-500-0/epoch_3.npz  state of the training (`rbmkit.Training.save`): parameters, chains, seed, ...
    FOLDER/pcd-500-0/check_3.npz  what was measured there
    FOLDER/pcd-500-0.npz          the result: final weights, rounded, and all measurements

`run` does the work, through joblib: on one machine or on a dask cluster. `collect` copies results to ``data/study``,
where `rbmkit.study()` reads them. The command line is ``python -m rbmkit study --help``.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import sqlite3
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from itertools import takewhile
from pathlib import Path

import joblib
import numpy as np
from tqdm import tqdm

from rbmkit import checks, data, reciprocal
from rbmkit.likelihood import ais, exact_log_z, raise_bound, reverse_ais
from rbmkit.model import RBM
from rbmkit.sampling import gibbs
from rbmkit.training import METHODS, SGD, Training

CHECKPOINTS = (0, 0.05, 0.1, 0.15, 0.2, 0.35, 0.5, 0.75, 1, 2, 3, 5, 7, 10, 15, 20, 30, 40, 60)
DATA_SETS = ("mnist", "bars")
LEADING, VECTORS = 8, 5  # modes with statistics; modes whose vectors are kept
ANNEALING = {"runs": 100, "temperatures": 1000}  # of each estimate of ln Z
SAMPLES = {"chains": 200, "steps": 100}  # chains of the training, run on
EXAMPLES = {"raise": 50, "modes": 2000, "train": 5000}  # test examples for RAISE and x, y; training examples for F
_ENUMERATED = 20  # units of the smaller layer up to which ln Z is exact


# ---------------------------------------------------------------- what a study is
@dataclass(frozen=True)
class Protocol:
    """How all members are trained.

    Attributes
    ----------
    data : {"mnist", "bars"}
        The digits, or bars and stripes on a 5 x 5 screen (for trials and tests: seconds instead of hours).
    epochs : float
        Length of each training.
    steps, batch_size, chains, learning_rate, sigma
        As in `rbmkit.Training` and `rbmkit.RBM.random`. The learning rate is constant for the first half of the epochs,
        then falls linearly to zero; the gradient is centred; the visible fields start at the logit of the pixel means.
    """

    data: str = "mnist"
    epochs: float = 20.0
    steps: int = 5
    batch_size: int = 500
    chains: int = 500
    learning_rate: float = 0.1
    sigma: float = 0.01

    def __post_init__(self) -> None:
        if self.data not in DATA_SETS:
            raise ValueError(f"unknown data {self.data!r}; choose one of {', '.join(DATA_SETS)}")
        checks.positive_float(self.epochs, "epochs")

    def checkpoints(self) -> list[float]:
        """Epochs at which the members are measured."""
        return [epoch for epoch in CHECKPOINTS if epoch < self.epochs] + [self.epochs]

    def saves(self) -> list[float]:
        """Epochs at which the state of a training is written: every epoch, and the checkpoints."""
        return sorted({*self.checkpoints(), *range(int(self.epochs) + 1)})


@dataclass(frozen=True)
class Member:
    """One training: its method, number of hidden units and replica."""

    method: str
    hidden: int
    replica: int

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise ValueError(f"unknown method {self.method!r}; choose one of {', '.join(METHODS)}")
        checks.positive_int(self.hidden, "hidden")
        checks.integer(self.replica, "replica", least=0)

    @property
    def name(self) -> str:
        """E.g. ``pcd-500-0``."""
        return f"{self.method.lower()}-{self.hidden}-{self.replica}"

    def rng(self, stage: int = 0) -> np.random.Generator:
        """Random numbers: a function of the three names, and of the stage of the work (0: the training)."""
        return np.random.default_rng((METHODS.index(self.method), self.hidden, self.replica, stage))


def members(
    methods: Sequence[str] = METHODS, hidden: Sequence[int] | None = None, replicas: Sequence[int] = range(5)
) -> list[Member]:
    """The members of the study, replica by replica: a run that is cut leaves a balanced study.

    By default PCD with 500, 784, 1200 and 3000 hidden units, CD and Rdm with 500; `hidden` sets the sizes of all.
    """
    sizes = {"PCD": (3000, 1200, 784, 500), "CD": (500,), "Rdm": (500,)}
    found = (Member(m, n, r) for r in replicas for m in sizes if m in methods for n in hidden or sizes[m])
    return list(dict.fromkeys(found))


def settings(protocol: Protocol) -> dict:
    """All that is the same for the members of a study: the protocol and the sizes of what is measured."""
    return {"protocol": asdict(protocol), "annealing": ANNEALING, "samples": SAMPLES, "examples": EXAMPLES}


def load_data(protocol: Protocol) -> tuple[np.ndarray, np.ndarray]:
    """Training and test examples of the protocol."""
    if protocol.data == "mnist":
        digits = data.mnist()
        return digits.train, digits.test
    patterns = data.bars_and_stripes(5)
    return np.resize(patterns, (10_000, 25)), patterns


# ---------------------------------------------------------------- training
def train(folder: Path, member: Member, protocol: Protocol, examples: np.ndarray) -> None:
    """Train a member to its end, from its last saved state if there is one.

    Raises
    ------
    ValueError
        The last saved state is truncated, altered or that of another training; nothing is overwritten.
    """
    training, saves = _start(member, protocol, examples), protocol.saves()
    done = list(takewhile(lambda epoch: _state(folder, member, epoch).exists(), saves))
    if done:
        training = _resume(_state(folder, member, done[-1]), training, done[-1])
    for epoch in saves[len(done) :]:
        updates = round(epoch * training.updates_per_epoch) - training.update
        if updates:
            training.run(updates / training.updates_per_epoch, progress=False)
        with _writing(_state(folder, member, epoch)) as path:
            training.save(path)


def _start(member: Member, protocol: Protocol, examples: np.ndarray) -> Training:
    rng, means = member.rng(), examples.mean(axis=0)
    return Training(
        RBM.random(examples.shape[1], member.hidden, sigma=protocol.sigma, rng=rng, pixel_means=means),
        examples,
        method=member.method,
        steps=protocol.steps,
        batch_size=protocol.batch_size,
        chains=protocol.chains,
        optimiser=SGD(protocol.learning_rate),
        schedule=((0, 1), (protocol.epochs / 2, 1), (protocol.epochs, 0)),
        centred=True,
        rng=rng,
    )


def _resume(path: Path, fresh: Training, epoch: float) -> Training:
    training = Training.resume(path, fresh.data)
    same = training.options() == fresh.options() and training.seed == fresh.seed and training.rbm.M == fresh.rbm.M
    if not same or training.update != round(epoch * fresh.updates_per_epoch):
        raise ValueError(f"{path} is the state of another training; remove it to go on from the state before it")
    return training


def _state(folder: Path, member: Member, epoch: float) -> Path:
    return folder / member.name / f"epoch_{epoch:g}.npz"


@contextmanager
def _writing(path: Path) -> Iterator[Path]:
    """Names the file if it cannot be written, e.g. because the disk is full."""
    try:
        yield path
    except OSError as error:
        raise OSError(error.errno, f"cannot write {path}: {error.strerror}; earlier files are as they were") from error


# ---------------------------------------------------------------- measuring
def measure(folder: Path, member: Member, protocol: Protocol, examples: np.ndarray, test: np.ndarray) -> None:
    """Measure a trained member at its checkpoints, from the last to the first, and write its result file.

    The modes are followed backwards: mode i of a checkpoint is the one that becomes the i-th of the final model.
    """
    epochs, modes, rows = protocol.checkpoints(), None, []
    fresh = _start(member, protocol, examples)
    for epoch in reversed(epochs):
        training = _resume(_state(folder, member, epoch), fresh, epoch)
        rbm, path = training.rbm, folder / member.name / f"check_{epoch:g}.npz"
        modes, overlap = _follow(rbm, modes)
        if not path.exists():
            rng = member.rng(stage=1 + training.update)
            v = gibbs(rbm, training.chain_states[: SAMPLES["chains"]], steps=SAMPLES["steps"], rng=rng).v
            states = {"data": _pairs(rbm, test[: EXAMPLES["modes"]], rng), "samples": _pairs(rbm, v, rng)}
            row = _spectrum(modes) | _free_energies(rbm, examples, test)
            options = {"temperatures": ANNEALING["temperatures"], "pixel_means": examples.mean(axis=0), "rng": rng}
            row |= _bracket(rbm, v if member.method == "PCD" else None, test, options)
            row |= _variables("leading", modes, np.argsort(-modes.s, kind="stable")[:LEADING], overlap, states)
            row |= _variables("followed", modes, np.arange(min(LEADING, len(modes.s))), overlap, states)
            _write(path, row)
        rows.append(checks.read_npz(path, ("singular_values",), kind=data.STUDY_KIND))
        if not np.allclose(rows[-1]["singular_values"], np.sort(modes.s)[::-1], rtol=1e-5, atol=1e-6):
            raise ValueError(f"{path} was measured on another model; remove it to measure again")
        if epoch == epochs[-1]:
            final = _rounded(training, test)
    text = {"member": asdict(member), **settings(protocol), "training": fresh.options()}
    final |= {"epochs": np.array(epochs, float), "text": json.dumps(text)}
    stacked = {name: np.array([row[name] for row in reversed(rows)]) for name in rows[0]}
    _write(folder / f"{member.name}.npz", final | stacked)


def _follow(rbm: RBM, reference: reciprocal.Modes | None) -> tuple[reciprocal.Modes, np.ndarray]:
    modes = reciprocal.modes(rbm)
    if reference is None:
        return modes, np.ones(len(modes.s))
    found = reciprocal.match(modes, reference)
    return found.modes, found.overlap


def _spectrum(modes: reciprocal.Modes) -> dict[str, np.ndarray]:
    order = np.argsort(-modes.s, kind="stable")
    vectors = {name: getattr(modes, name)[:, order[:VECTORS]].astype(np.float16) for name in ("U", "V")}
    return {"singular_values": modes.s[order].astype(np.float32)} | vectors


def _pairs(rbm: RBM, v: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """States v with a hidden state each, drawn from p(h|v)."""
    mean = rbm.hidden_mean(v)
    return v, (rng.random(mean.shape) < mean).astype(np.uint8)


def _variables(
    kind: str, modes: reciprocal.Modes, which: np.ndarray, overlap: np.ndarray, states: dict
) -> dict[str, np.ndarray]:
    """What is known of the modes `which`, and statistics of x and y over the `states`."""
    rank = np.empty(len(modes.s), int)
    rank[np.argsort(-modes.s, kind="stable")] = np.arange(len(rank))
    row = {"label": which, "rank": rank[which], "overlap": overlap[which]}
    row |= {name: getattr(modes, name)[which] for name in ("s", "a0", "b0", "x0", "y0", "mu_x", "mu_y")}
    for source, (v, h) in states.items():
        x, y = modes.x(v, which), modes.y(h, which)
        row |= {f"x_{source}": _summary(x), f"y_{source}": _summary(y)}
        row[f"cov_{source}"] = ((x - x.mean(axis=0)) * (y - y.mean(axis=0))).mean(axis=0)
    return {f"{kind}_{name}": array for name, array in row.items()}


def _summary(x: np.ndarray) -> np.ndarray:
    """Mean, standard deviation and `rbmkit.data.QUANTILES` of the columns of x (n, k), as (k, 7)."""
    return np.column_stack([x.mean(axis=0), x.std(axis=0), np.quantile(x, data.QUANTILES, axis=0).T])


def _free_energies(rbm: RBM, examples: np.ndarray, test: np.ndarray) -> dict[str, float]:
    some = {"test": test, "train": examples[: EXAMPLES["train"]]}
    return {f"free_energy_{name}": rbm.free_energy(v).mean() for name, v in some.items()}


def _bracket(rbm: RBM, samples: np.ndarray | None, test: np.ndarray, options: dict) -> dict[str, float]:
    """ln Z from below by AIS and from above by reverse AIS or, without equilibrium `samples`, by RAISE; or exact."""
    if min(rbm.N, rbm.M) <= _ENUMERATED:
        low = high = exact_log_z(rbm), 0.0, np.inf
    else:
        found = ais(rbm, chains=ANNEALING["runs"], **options)
        low = found.value, found.stderr, found.ess
        if samples is not None:
            found = reverse_ais(rbm, samples[: ANNEALING["runs"]], **options)
            high = found.value, found.stderr, found.ess
        else:
            some = options["rng"].choice(test, min(len(test), EXAMPLES["raise"]), replace=False)
            found = raise_bound(rbm, some, chains=ANNEALING["runs"] // EXAMPLES["raise"], **options)
            log_z = -rbm.free_energy(some) - found.value
            high = log_z.mean(), log_z.std(ddof=1) / np.sqrt(len(some)), found.ess.mean()
    parts = ("", "_stderr", "_ess")
    return {f"log_z_{end}{part}": x for end, y in (("low", low), ("high", high)) for part, x in zip(parts, y)}


def _rounded(training: Training, test: np.ndarray) -> dict[str, np.ndarray]:
    """Final parameters, W in half precision; mean and spread of the change of F over test examples by rounding."""
    rbm = training.rbm
    W, a, b = rbm.W.astype(np.float16), rbm.a.astype(np.float32), rbm.b.astype(np.float32)
    change = RBM(W, a, b).free_energy(test) - rbm.free_energy(test)
    return {"W": W, "a": a, "b": b, "rounding": np.array([change.mean(), change.std()])}


def _write(path: Path, arrays: dict) -> None:
    with _writing(path):
        checks.write_npz(path, kind=data.STUDY_KIND, **{name: np.asarray(array) for name, array in arrays.items()})


# ---------------------------------------------------------------- running
def run(
    folder: str | os.PathLike,
    wanted: Sequence[Member],
    protocol: Protocol = Protocol(),  # noqa: B008
    *,
    jobs: int = 1,
    backend: str = "loky",
    scheduler: str | None = None,
) -> list[Path]:
    """Train and measure members, or go on where an earlier run stopped.

    Parameters
    ----------
    folder : path
        The working folder; with dask, on a file system that all workers see under this name.
    wanted : sequence of Member
    protocol : Protocol
    jobs : int
        Processes on this machine, one thread each (a single job uses all threads). Dask: one per worker thread.
    backend : {"loky", "dask"}
        Processes on this machine, through joblib, or a dask cluster.
    scheduler : str, optional
        Address of the dask scheduler.

    Returns
    -------
    list of Path
        The result files.

    Raises
    ------
    BlockingIOError
        Another process works in this folder; says which.
    ValueError
        The folder holds a study with other settings; the backend and the scheduler do not go together.
    RuntimeError
        Some members failed, e.g. for a full disk or a damaged file; says why. The others have been done.
    """
    if (backend == "dask") != (scheduler is not None):
        raise ValueError("dask needs the address of a scheduler, e.g. tcp://127.0.0.1:8786; loky takes none")
    folder = Path(folder).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    with locked(folder):
        _agree(folder, protocol)
        for leftover in folder.rglob(".*.part"):  # of processes that were killed while they wrote
            leftover.unlink()
        work = [(folder, member, protocol, os.getpid()) for member in wanted]
        with progress(folder, wanted, protocol):
            errors = _on_cluster(work, scheduler) if backend == "dask" else _on_this_machine(work, jobs)
    failed = [error for error in errors if error]
    if failed:
        raise RuntimeError(f"{len(failed)} of {len(wanted)} members failed:\n" + "\n".join(failed))
    return [_result(folder, member) for member in wanted]


def _attempt(folder: Path, member: Member, protocol: Protocol, driver: int) -> str | None:
    """Do all for one member; returns what went wrong, so that the others go on."""
    _die_with(driver)
    try:
        if _result(folder, member).exists():
            checks.read_npz(_result(folder, member), data.STUDY_KEYS, kind=data.STUDY_KIND)
            return None
        examples, test = load_data(protocol)
        (folder / member.name).mkdir(exist_ok=True)
        train(folder, member, protocol, examples)
        measure(folder, member, protocol, examples, test)
    except (OSError, ValueError, FloatingPointError) as error:
        return f"{member.name}: {error}"


def _die_with(driver: int) -> None:
    """Let a process that the `driver` started end when the driver is killed: it must not go on beside the next run."""

    def watch() -> None:
        while os.getppid() == driver:
            time.sleep(1)
        os._exit(1)

    if os.getppid() == driver:
        threading.Thread(target=watch, daemon=True).start()


def _on_this_machine(work: list[tuple], jobs: int) -> list[str | None]:
    threads = {} if jobs == 1 else {"inner_max_num_threads": 1}
    with joblib.parallel_config(backend="loky", n_jobs=jobs, **threads):
        return joblib.Parallel(batch_size=1, pre_dispatch="all")(joblib.delayed(_attempt)(*each) for each in work)


def _on_cluster(work: list[tuple], scheduler: str) -> list[str | None]:
    """Waits for workers as long as it takes. What dask gives up is an error of that member (joblib's dask backend would
    wait for it for ever)."""
    try:
        import distributed
    except ImportError:
        raise ImportError("the dask backend needs dask.distributed: pip install 'rbmkit[cluster]'") from None
    with distributed.Client(scheduler, set_as_default=False) as client:
        futures = [client.submit(_attempt, *each, pure=False) for each in work]
        lost = [future.exception() for future in futures]  # waits
        return [
            f"{member.name}: {error}" if error else future.result()
            for (_, member, *_), error, future in zip(work, lost, futures)
        ]


def _agree(folder: Path, protocol: Protocol) -> None:
    """Write the settings to the folder, or see that those there are the same."""
    path, text = folder / "study.json", json.dumps(settings(protocol), indent=1)
    if not path.exists():
        with _writing(path), checks.replacing(path) as partial:
            partial.write_text(text)
    elif path.read_bytes() != text.encode():
        raise ValueError(f"{path} has other settings; give the same options again, or another folder")


def _result(folder: Path, member: Member) -> Path:
    return folder / f"{member.name}.npz"


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Only one process at a time works in a folder.

    The lock is one of the operating system, on an SQLite file because that works the same on all of them: it goes when
    its process goes, in whatever way.
    """
    note, path = folder / "holder", folder / "lock"
    try:
        lock = sqlite3.connect(path, timeout=0, isolation_level=None)
    except sqlite3.Error as error:
        raise OSError(f"cannot lock {path}: {error}") from error
    try:
        try:
            lock.execute("BEGIN EXCLUSIVE")
        except sqlite3.Error as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY:
                raise OSError(f"cannot lock {path}: {error}") from error
            holder = note.read_text() if note.exists() else "another process"
            raise BlockingIOError(f"{folder} is in use by {holder}; wait, or stop it") from None
        with _writing(note):
            note.write_text(f"process {os.getpid()} on {socket.gethostname()}")
        yield
    finally:
        lock.close()


def collect(folder: str | os.PathLike, target: str | os.PathLike | None = None) -> list[Path]:
    """Copy the results in a working folder to `target` (default ``data/study``) and write their checksums there.

    Results of other members that are there already stay.

    Raises
    ------
    FileNotFoundError, ValueError
        No results; one is truncated or foreign. Nothing is copied then.
    """
    target = data.data_folder() / "study" if target is None else Path(target)
    results = sorted(Path(folder).glob("*.npz"))
    if not results:
        raise FileNotFoundError(f"no results in {folder}: no member is finished")
    for path in results:
        checks.read_npz(path, data.STUDY_KEYS, kind=data.STUDY_KIND)
    target.mkdir(parents=True, exist_ok=True)
    known = set(data.read_sums(target)) if (target / data.SUMS).exists() else set()
    for path in results:
        with _writing(target / path.name), checks.replacing(target / path.name) as partial:
            shutil.copyfile(path, partial)
    with _writing(target / data.SUMS):
        data.write_sums(target, known | {path.name for path in results})
    return [target / path.name for path in results]


# ---------------------------------------------------------------- progress
def status(folder: str | os.PathLike, wanted: Sequence[Member], protocol: Protocol) -> dict[str, tuple[float, float]]:
    """Work done and work in all, for the whole ("study") and for each member, read off the files.

    The unit is an epoch, or a checkpoint, of a model with 500 hidden units.

    Raises
    ------
    FileNotFoundError, ValueError
        The folder holds no study, or one with other settings.
    """
    if not (Path(folder) / "study.json").exists():
        raise FileNotFoundError(f"{folder} holds no study (no study.json)")
    _agree(Path(folder), protocol)
    return _work_done(Path(folder), wanted, protocol)


def _work_done(folder: Path, wanted: Sequence[Member], protocol: Protocol) -> dict[str, tuple[float, float]]:
    found = {}
    for member in wanted:
        home, saves, points = folder / member.name, protocol.saves(), protocol.checkpoints()
        epochs = [epoch for epoch in saves if (home / f"epoch_{epoch:g}.npz").exists()]
        measured = sum((home / f"check_{epoch:g}.npz").exists() for epoch in points)
        unit, total = member.hidden / 500, saves[-1] + len(points)
        done = total if _result(folder, member).exists() else (epochs or [0])[-1] + measured
        found[member.name] = (done * unit, total * unit)
    return {"study": tuple(np.sum(list(found.values()), axis=0))} | found


@contextmanager
def progress(folder: Path, wanted: Sequence[Member], protocol: Protocol) -> Iterator[None]:
    """Bars with the time left, for the whole and for each member at work, wherever it is: they watch the files."""
    stop, first, bars = threading.Event(), _work_done(folder, wanted, protocol), {}
    look = {"bar_format": "{desc:>14} {percentage:3.0f}%|{bar:30}| {elapsed} done, {remaining} left", "disable": None}

    def show() -> None:
        for name, (done, total) in _work_done(folder, wanted, protocol).items():
            whole, before = name == "study", first[name][0]
            if name not in bars and (whole or before < done < total):
                bars[name] = tqdm(total=total, initial=before, desc=name, leave=whole, **look)
            if name in bars:
                bars[name].update(done - bars[name].n)
                if done >= total:
                    bars[name].close()

    def watch() -> None:
        while not stop.wait(1.0):
            show()

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
        for bar in bars.values():
            bar.close()
