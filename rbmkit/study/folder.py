"""What lies where in the working folder of a study, and who may write there."""

from __future__ import annotations

import json
import os
import socket
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path

from rbmkit import files
from rbmkit.study.members import Member
from rbmkit.study.protocols import PROTOCOLS, Protocol, settings


def state_of(folder: Path, member: Member, epoch: float) -> Path:
    return folder / member.name / f"epoch_{epoch:g}.npz"


def check_of(folder: Path, member: Member, epoch: float) -> Path:
    """What was measured on a member at a checkpoint."""
    return folder / member.name / f"check_{epoch:g}.npz"


def result_of(folder: Path, member: Member) -> Path:
    return folder / f"{member.name}.npz"


def agree(folder: Path, protocol: Protocol) -> None:
    """Write the settings to the folder, or see that those there are the same."""
    path = folder / "study.json"
    text = json.dumps(settings(protocol), indent=1)
    if not path.exists():
        with writing(path), files.replacing(path) as partial:
            partial.write_text(text)
    elif path.read_bytes() != text.encode():
        raise ValueError(
            f"{path} has other settings; give the same options again, or another folder"
        )


def protocol_of(folder: str | os.PathLike) -> str:
    """Name of the protocol of a working folder."""
    path = Path(folder) / "study.json"
    try:
        stored = set(json.loads(path.read_text())["protocol"])
    except (OSError, ValueError, KeyError) as error:
        raise ValueError(
            f"{path} does not say which protocol the results are of: {error}"
        ) from error
    return next(
        name for name, kind in PROTOCOLS.items() if {field.name for field in fields(kind)} == stored
    )


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Only one process at a time works in a folder.

    The lock is one of the operating system, on an SQLite file because that works the same on all of
    them: it goes when its process goes, in whatever way.
    """
    note = folder / "holder"
    path = folder / "lock"
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
        with writing(note):
            note.write_text(f"process {os.getpid()} on {socket.gethostname()}")
        yield
    finally:
        lock.close()


@contextmanager
def writing(path: Path) -> Iterator[Path]:
    """Names the file if it cannot be written, e.g. because the disk is full."""
    try:
        yield path
    except OSError as error:
        raise OSError(
            error.errno, f"cannot write {path}: {error.strerror}; earlier files are as they were"
        ) from error
