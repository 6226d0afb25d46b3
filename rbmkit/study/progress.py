"""How far a study is, read off the files in its working folder."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from tqdm import tqdm

from rbmkit.study.folder import agree, check_of, result_of, state_of
from rbmkit.study.members import Member
from rbmkit.study.protocols import Protocol


def status(
    folder: str | os.PathLike, wanted: Sequence[Member], protocol: Protocol
) -> dict[str, tuple[float, float]]:
    """Work done and work in all, for the whole ("study") and for each member, read off the files.

    The unit is an epoch, or a checkpoint, of a model with 500 hidden units.

    Raises
    ------
    FileNotFoundError, ValueError
        The folder holds no study, or one with other settings.
    """
    if not (Path(folder) / "study.json").exists():
        raise FileNotFoundError(f"{folder} holds no study (no study.json)")
    agree(Path(folder), protocol)
    return _work_done(Path(folder), wanted, protocol)


def _work_done(
    folder: Path, wanted: Sequence[Member], protocol: Protocol
) -> dict[str, tuple[float, float]]:
    found = {}
    for member in wanted:
        saves = protocol.saves(member.method)
        points = protocol.checkpoints(member.method)
        epochs = [epoch for epoch in saves if (state_of(folder, member, epoch)).exists()]
        measured = sum((check_of(folder, member, epoch)).exists() for epoch in points)
        unit = member.hidden / 500
        total = saves[-1] + len(points)
        done = total if result_of(folder, member).exists() else (epochs or [0])[-1] + measured
        found[member.name] = (done * unit, total * unit)
    return {"study": tuple(np.sum(list(found.values()), axis=0))} | found


@contextmanager
def progress(folder: Path, wanted: Sequence[Member], protocol: Protocol) -> Iterator[None]:
    """Bars with the time left, for the whole and for each member at work, wherever it is: they
    watch the files."""
    stop = threading.Event()
    first = _work_done(folder, wanted, protocol)
    bars = {}
    look = {
        "bar_format": "{desc:>14} {percentage:3.0f}%|{bar:30}| {elapsed} done, {remaining} left",
        "disable": None,
    }

    def show() -> None:
        for name, (done, total) in _work_done(folder, wanted, protocol).items():
            whole = name == "study"
            before = first[name][0]
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
