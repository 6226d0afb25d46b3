"""The study behind the figures: RBMs of four sizes and three training methods, five replicas each.

A study lives in a working folder. Each *member*, say ``pcd-500-0`` (method, hidden units, replica),
is trained and then measured at its checkpoints; what it needs is on disk, so that a run that was
killed goes on where it was:

    FOLDER/study.json             the settings, the same for all members
    FOLDER/lock                   held by the process that works here
    FOLDER/pcd-500-0/epoch_3.npz  state of the training, by `rbmkit.Training.save`
    FOLDER/pcd-500-0/check_3.npz  what was measured there
    FOLDER/pcd-500-0.npz          the result: final weights, rounded, and all measurements

All members of a folder are trained by one of two protocols: the *mild* one of this series
(`Protocol`: SGD, centred gradient) or the one after the *paper* (`PaperProtocol`: Adam, uncentred),
with couplings that grow strong.

`run` does the work, through joblib: on one machine or on a dask cluster. `collect` copies results
to ``data/study`` (mild) or ``data/strong`` (paper), where `rbmkit.study` reads them. The command
line is ``python -m rbmkit study --help``.
"""

from __future__ import annotations

import os
import shutil
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import joblib

from rbmkit import files
from rbmkit.data import data_folder
from rbmkit.study.folder import agree, locked, protocol_of, result_of, writing
from rbmkit.study.measuring import measure
from rbmkit.study.members import Member
from rbmkit.study.progress import progress
from rbmkit.study.protocols import Protocol, load_data
from rbmkit.study.results import STUDIES, STUDY_KEYS, STUDY_KIND
from rbmkit.study.training import train


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
        Processes on this machine, one thread each (a single job uses all threads). Dask: one per
        worker thread.
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
        The folder holds a study with other settings; the backend and the scheduler do not go
        together.
    RuntimeError
        Some members failed, e.g. for a full disk or a damaged file; says why. The others have been
        done.
    """
    if (backend == "dask") != (scheduler is not None):
        raise ValueError(
            "dask needs the address of a scheduler, e.g. tcp://127.0.0.1:8786; loky takes none"
        )
    folder = Path(folder).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    with locked(folder):
        agree(folder, protocol)
        for leftover in folder.rglob(".*.part"):  # of processes that were killed while they wrote
            leftover.unlink()
        work = [(folder, member, protocol, os.getpid()) for member in wanted]
        with progress(folder, wanted, protocol):
            errors = (
                _on_cluster(work, scheduler) if backend == "dask" else _on_this_machine(work, jobs)
            )
    failed = [error for error in errors if error]
    if failed:
        raise RuntimeError(f"{len(failed)} of {len(wanted)} members failed:\n" + "\n".join(failed))
    return [result_of(folder, member) for member in wanted]


def _attempt(folder: Path, member: Member, protocol: Protocol, driver: int) -> str | None:
    """Do all for one member; returns what went wrong, so that the others go on."""
    _die_with(driver)
    try:
        if result_of(folder, member).exists():
            files.read_npz(result_of(folder, member), STUDY_KEYS, kind=STUDY_KIND)
            return None
        examples, test = load_data(protocol)
        (folder / member.name).mkdir(exist_ok=True)
        train(folder, member, protocol, examples)
        measure(folder, member, protocol, examples, test)
    except (OSError, ValueError, FloatingPointError) as error:
        return f"{member.name}: {error}"


def _die_with(driver: int) -> None:
    """Let a process that the `driver` started end when the driver is killed: it must not go on
    beside the next run."""

    def watch() -> None:
        while os.getppid() == driver:
            time.sleep(1)
        os._exit(1)

    if os.getppid() == driver:
        threading.Thread(target=watch, daemon=True).start()


def _on_this_machine(work: list[tuple], jobs: int) -> list[str | None]:
    threads = {} if jobs == 1 else {"inner_max_num_threads": 1}
    with joblib.parallel_config(backend="loky", n_jobs=jobs, **threads):
        return joblib.Parallel(batch_size=1, pre_dispatch="all")(
            joblib.delayed(_attempt)(*each) for each in work
        )


def _on_cluster(work: list[tuple], scheduler: str) -> list[str | None]:
    """Waits for workers as long as it takes. What dask gives up is an error of that member
    (joblib's dask backend would wait for it for ever)."""
    try:
        import distributed
    except ImportError:
        raise ImportError(
            "the dask backend needs dask.distributed: pip install 'rbmkit[cluster]'"
        ) from None
    with distributed.Client(scheduler, set_as_default=False) as client:
        futures = [client.submit(_attempt, *each, pure=False) for each in work]
        lost = [future.exception() for future in futures]  # waits
        return [
            f"{member.name}: {error}" if error else future.result()
            for (_, member, *_), error, future in zip(work, lost, futures)
        ]


def collect(folder: str | os.PathLike, target: str | os.PathLike | None = None) -> list[Path]:
    """Copy the results in a working folder to `target` and write their checksums there.

    By default that is where `rbmkit.study` reads them: ``data/study``, or ``data/strong`` for the
    paper's protocol.

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
        files.read_npz(path, STUDY_KEYS, kind=STUDY_KIND)
    target = data_folder() / STUDIES[protocol_of(folder)] if target is None else Path(target)
    target.mkdir(parents=True, exist_ok=True)
    known = set(files.read_sums(target)) if (target / files.SUMS).exists() else set()
    for path in results:
        with writing(target / path.name), files.replacing(target / path.name) as partial:
            shutil.copyfile(path, partial)
    with writing(target / files.SUMS):
        files.write_sums(target, known | {path.name for path in results})
    return [target / path.name for path in results]
