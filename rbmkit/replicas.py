"""The study behind the figures: RBMs of four sizes and three training methods, five replicas each.

A study lives in a working folder. Each *member*, say ``pcd-500-0`` (method, hidden units, replica), is trained and then
measured at its checkpoints; what it needs is on disk, so that a run that was killed goes on where it was:

    FOLDER/study.json             the settings, the same for all members
    FOLDER/lock                   held by the process that works here
    FOLDER/pcd-500-0/epoch_3.npz  state of the training (`rbmkit.Training.save`): parameters, chains, seed, ...
    FOLDER/pcd-500-0/check_3.npz  what was measured there
    FOLDER/pcd-500-0.npz          the result: final weights, rounded, and all measurements

All members of a folder are trained by one of two protocols: the *mild* one of this series (`Protocol`: SGD, centred
gradient) or the one after the *paper* (`PaperProtocol`: Adam, uncentred), with couplings that grow strong.

`run` does the work, through joblib: on one machine or on a dask cluster. `collect` copies results to ``data/study``
(mild) or ``data/strong`` (paper), where `rbmkit.study` reads them. The command line is
``python -m rbmkit study --help``.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import sqlite3
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from itertools import takewhile
from pathlib import Path
from typing import ClassVar

import joblib
import numpy as np
from tqdm import tqdm

from rbmkit import checks, data, reciprocal
from rbmkit.likelihood import ais, exact_log_z, raise_bound, reverse_ais
from rbmkit.model import RBM
from rbmkit.sampling import gibbs
from rbmkit.training import METHODS, SGD, Adam, Training

CHECKPOINTS = (0, 0.05, 0.1, 0.15, 0.2, 0.35, 0.5, 0.75, 1, 2, 3, 5, 7, 10, 15, 20, 30, 40, 60)
DATA_SETS = ("mnist", "bars")
LEADING, VECTORS = 8, 5  # modes with statistics; modes whose vectors are kept
ANNEALING = {"runs": 100, "temperatures": 1000}  # of each estimate of ln Z
SAMPLES = {"chains": 200, "steps": 100}  # chains of the training, run on
EXAMPLES = {"raise": 50, "modes": 2000, "train": 5000}  # test examples for RAISE and x, y; training examples for F
REST = 20  # singular values of what remains without the mean, Sec. 2.8
_ENDS = tuple(f"log_z_{end}{part}" for end in ("low", "high") for part in ("", "_stderr", "_ess"))
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

    name: ClassVar[str] = "mild"
    temperatures: ClassVar[int] = ANNEALING["temperatures"]
    strong: ClassVar[bool] = False  # couplings that learn the mean, and trap the chains

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

    def checkpoints(self, method: str = "PCD") -> list[float]:
        """Epochs at which the members of a method are measured."""
        return [epoch for epoch in CHECKPOINTS if epoch < self.epochs] + [self.epochs]

    def saves(self, method: str = "PCD") -> list[float]:
        """Epochs at which the state of a training is written: every epoch, and the checkpoints."""
        return sorted({*self.checkpoints(), *range(int(self.epochs) + 1)})

    def detailed(self, epoch: float) -> bool:
        """Whether ln Z is estimated, and vectors of the modes are kept, at this checkpoint (always at the last one)."""
        return True

    def kept(self, member: Member, values: np.ndarray) -> list[int]:
        """Which checkpoints leave their model in the result; the (T,) `values` are their largest singular values."""
        return [len(values) - 1]

    def start(self, member: Member, examples: np.ndarray) -> Training:
        """The training of a member at epoch 0."""
        rng, means = member.rng(), examples.mean(axis=0)
        rbm = RBM.random(examples.shape[1], member.hidden, sigma=self.sigma, rng=rng, pixel_means=means)
        schedule = ((0, 1), (self.epochs / 2, 1), (self.epochs, 0))
        return self._training(rbm, examples, member, SGD(self.learning_rate), rng, schedule=schedule, centred=True)

    def finished(self, training: Training) -> bool:
        """Whether a training ends before its last epoch."""
        return False

    def _training(self, rbm, examples, member, optimiser, rng, **options) -> Training:
        options |= {"method": member.method, "steps": self.steps, "batch_size": self.batch_size, "chains": self.chains}
        return Training(rbm, examples, optimiser=optimiser, rng=rng, **options)


@dataclass(frozen=True)
class PaperProtocol(Protocol):
    """After the paper: Adam at a constant rate, a gradient that is not centred, and couplings that grow large.

    PCD starts with visible fields at the logit of the pixel means, CD and Rdm with all fields as random as the
    couplings. The chains of such trainings are not in equilibrium, so the upper end of ln Z is always by RAISE.

    Attributes
    ----------
    epochs : float
        Length of a training with PCD; one with CD or Rdm ends when the largest singular value is above `until` at a
        saved epoch from `least` on, or after `longest` epochs.
    learning_rate, slow_rate : float
        Of Adam, for PCD; for CD and Rdm.
    """

    name: ClassVar[str] = "paper"
    temperatures: ClassVar[int] = 3000
    strong: ClassVar[bool] = True

    epochs: float = 100.0
    learning_rate: float = 1e-3
    slow_rate: float = 1e-4
    until: float = 35.0
    longest: float = 300.0
    least: float = 10.0

    def checkpoints(self, method: str = "PCD") -> list[float]:
        """Epochs at which the members of a method are measured."""
        return [*_up_to(self._last(method), CHECKPOINTS[:14], range(20, int(self.longest), 10))]

    def saves(self, method: str = "PCD") -> list[float]:
        """Epochs at which the state of a training is written."""
        return [*_up_to(self._last(method), CHECKPOINTS[:13], range(10, int(self.longest), 5))]

    def detailed(self, epoch: float) -> bool:
        """Whether ln Z is estimated, and vectors of the modes are kept, at this checkpoint (always at the last one)."""
        return epoch in (0, 0.5, 1, 3, 10, 30, 60, 100, 200)

    def kept(self, member: Member, values: np.ndarray) -> list[int]:
        """Which checkpoints leave their model in the result; the (T,) `values` are their largest singular values.

        The first replica of each kind; replicas 1 and 2 if small. The first of the small ones also when the largest
        singular value has come to 10, 20 and 35.
        """
        last, small = len(values) - 1, member.hidden <= 500
        if member.replica > (2 if small else 0):
            return []
        marks = [int(np.argmax(values >= mark)) for mark in (10, 20, 35) if small and (values >= mark).any()]
        return sorted({*(marks if member.replica == 0 else []), last})

    def start(self, member: Member, examples: np.ndarray) -> Training:
        """The training of a member at epoch 0."""
        rng, shape = member.rng(), (examples.shape[1], member.hidden)
        if member.method == "PCD":
            rbm = RBM.random(*shape, sigma=self.sigma, rng=rng, pixel_means=examples.mean(axis=0))
            return self._training(rbm, examples, member, Adam(self.learning_rate), rng)
        rbm = RBM(*(rng.normal(0, self.sigma, size=size) for size in (shape, *shape)))
        return self._training(rbm, examples, member, Adam(self.slow_rate), rng)

    def finished(self, training: Training) -> bool:
        """Whether a training ends before its last epoch: the rule of `until`, for CD and Rdm."""
        if training.method == "PCD" or training.epoch < self.least:
            return False
        return np.linalg.svd(training.rbm.W, compute_uv=False)[0] > self.until

    def _last(self, method: str) -> float:
        return self.epochs if method == "PCD" else self.longest


PROTOCOLS = {kind.name: kind for kind in (Protocol, PaperProtocol)}


def _up_to(last: float, *epochs: Iterable[float]) -> Iterator[float]:
    """All epochs below the last, and the last."""
    yield from (epoch for several in epochs for epoch in several if epoch < last)
    yield last


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
    annealing = ANNEALING | {"temperatures": protocol.temperatures}
    return {"protocol": asdict(protocol), "annealing": annealing, "samples": SAMPLES, "examples": EXAMPLES}


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
    training, saves = protocol.start(member, examples), protocol.saves(member.method)
    done = _saved(folder, member, protocol)
    if done:
        training = _resume(_state(folder, member, done[-1]), training, done[-1])
    for epoch in saves[len(done) :]:
        if done and protocol.finished(training):
            break
        updates = round(epoch * training.updates_per_epoch) - training.update
        if updates:
            training.run(updates / training.updates_per_epoch, progress=False)
        with _writing(_state(folder, member, epoch)) as path:
            training.save(path)
        done.append(epoch)


def _saved(folder: Path, member: Member, protocol: Protocol) -> list[float]:
    """Epochs of the states that are there, up to the first that is not."""
    return list(takewhile(lambda epoch: _state(folder, member, epoch).exists(), protocol.saves(member.method)))


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
    last = _saved(folder, member, protocol)[-1]
    epochs = [*_up_to(last, protocol.checkpoints(member.method))]
    fresh, modes, rows = protocol.start(member, examples), None, []
    for epoch in reversed(epochs):
        training = _resume(_state(folder, member, epoch), fresh, epoch)
        path = folder / member.name / f"check_{epoch:g}.npz"
        modes, overlap = _follow(training.rbm, modes)
        if not path.exists():
            detailed = epoch == last or protocol.detailed(epoch)
            _write(path, _row(training, member, protocol, modes, overlap, examples, test, detailed))
        rows.append(checks.read_npz(path, ("singular_values",), kind=data.STUDY_KIND))
        if not np.allclose(rows[-1]["singular_values"], np.sort(modes.s)[::-1], rtol=1e-5, atol=1e-6):
            raise ValueError(f"{path} was measured on another model; remove it to measure again")
    rows.reverse()
    values = np.array([row["singular_values"][0] for row in rows])
    kept = [epochs[k] for k in protocol.kept(member, values)]
    models = [_resume(_state(folder, member, epoch), fresh, epoch).rbm for epoch in kept]
    text = {"member": asdict(member), **settings(protocol), "training": fresh.options()}
    result = _models(kept, models, last, test) | {"epochs": np.array(epochs, float), "text": json.dumps(text)}
    result |= {name: np.array([row[name] for row in rows if name in row]) for name in rows[-1]}
    if protocol.strong:
        result["vector_epochs"] = np.array([epoch for epoch, row in zip(epochs, rows) if "U" in row], float)
        result |= {name: x.astype(np.float32) for name, x in result.items() if name.startswith(("leading", "followed"))}
    _write(folder / f"{member.name}.npz", result)


def _row(
    training: Training,
    member: Member,
    protocol: Protocol,
    modes: reciprocal.Modes,
    overlap: np.ndarray,
    examples: np.ndarray,
    test: np.ndarray,
    detailed: bool,
) -> dict:
    """All that is measured at one checkpoint."""
    rbm, rng, means = training.rbm, member.rng(stage=1 + training.update), examples.mean(axis=0)
    v = gibbs(rbm, training.chain_states[: SAMPLES["chains"]], steps=SAMPLES["steps"], rng=rng).v
    states = {"data": _pairs(rbm, test[: EXAMPLES["modes"]], rng), "samples": _pairs(rbm, v, rng)}
    row = _spectrum(modes, detailed) | _free_energies(rbm, examples, test)
    options = {"temperatures": protocol.temperatures, "pixel_means": means, "rng": rng}
    equilibrium = v if member.method == "PCD" and not protocol.strong else None
    row |= _bracket(rbm, equilibrium, test, options) if detailed else dict.fromkeys(_ENDS, np.nan)
    row |= _variables("leading", modes, np.argsort(-modes.s, kind="stable")[:LEADING], overlap, states)
    row |= _variables("followed", modes, np.arange(min(LEADING, len(modes.s))), overlap, states)
    return row | _gauge(rbm, means - 0.5, test) if protocol.strong else row


def _gauge(rbm: RBM, contrast: np.ndarray, test: np.ndarray) -> dict[str, np.ndarray]:
    """Leading singular values without contrast x uniform pattern; summary over hidden units of their mean activity."""
    rest = reciprocal.without(rbm.W, contrast, np.ones(rbm.M))
    activity = rbm.hidden_mean(test[: EXAMPLES["modes"]]).mean(axis=0)
    values = np.linalg.svd(rest, compute_uv=False)[:REST].astype(np.float32)
    return {"rest_values": values, "activity": _summary(activity[:, None])[0].astype(np.float32)}


def _follow(rbm: RBM, reference: reciprocal.Modes | None) -> tuple[reciprocal.Modes, np.ndarray]:
    modes = reciprocal.modes(rbm)
    if reference is None:
        return modes, np.ones(len(modes.s))
    found = reciprocal.match(modes, reference)
    return found.modes, found.overlap


def _spectrum(modes: reciprocal.Modes, detailed: bool) -> dict[str, np.ndarray]:
    order = np.argsort(-modes.s, kind="stable")
    vectors = {name: getattr(modes, name)[:, order[:VECTORS]].astype(np.float16) for name in ("U", "V")}
    return {"singular_values": modes.s[order].astype(np.float32)} | (vectors if detailed else {})


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
    return dict(zip(_ENDS, (*low, *high), strict=True))


def _models(kept: list[float], models: list[RBM], last: float, test: np.ndarray) -> dict[str, np.ndarray]:
    """Parameters, W in half precision: of the final model as W, a and b, of earlier ones stacked, with their epochs.

    `rounding` is the mean and the spread over test examples of the change of F of the final model; empty without one.
    """
    small = [{"W": m.W.astype(np.float16), "a": m.a.astype(np.float32), "b": m.b.astype(np.float32)} for m in models]
    found = {"rounding": np.empty(0)}
    if kept and kept[-1] == last:
        change = RBM(**small[-1]).free_energy(test) - models[-1].free_energy(test)
        found = small.pop() | {"rounding": np.array([change.mean(), change.std()])}
    if small:
        found |= {f"snapshot_{name}": np.array([each[name] for each in small]) for name in small[0]}
        found["snapshot_epochs"] = np.array(kept[: len(small)], float)
    return found


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


def _protocol_of(folder: str | os.PathLike) -> str:
    """Name of the protocol of a working folder."""
    path = Path(folder) / "study.json"
    try:
        stored = set(json.loads(path.read_text())["protocol"])
    except (OSError, ValueError, KeyError) as error:
        raise ValueError(f"{path} does not say which protocol the results are of: {error}") from error
    return next(name for name, kind in PROTOCOLS.items() if {field.name for field in fields(kind)} == stored)


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
    """Copy the results in a working folder to `target` and write their checksums there.

    By default that is where `rbmkit.study` reads them: ``data/study``, or ``data/strong`` for the paper's protocol.

    Results of other members that are there already stay.

    Raises
    ------
    FileNotFoundError, ValueError
        No results; one is truncated or foreign. Nothing is copied then.
    """
    results = sorted(Path(folder).glob("*.npz"))
    if not results:
        raise FileNotFoundError(f"no results in {folder}: no member is finished")
    for path in results:
        checks.read_npz(path, data.STUDY_KEYS, kind=data.STUDY_KIND)
    target = data.data_folder() / data.STUDIES[_protocol_of(folder)] if target is None else Path(target)
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
        home, saves = folder / member.name, protocol.saves(member.method)
        points = protocol.checkpoints(member.method)
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
