"""A member is trained, from saved state to saved state."""

from __future__ import annotations

from itertools import takewhile
from pathlib import Path

import numpy as np

from rbmkit.study.folder import state_of, writing
from rbmkit.study.members import Member
from rbmkit.study.protocols import Protocol
from rbmkit.training import Training


def train(folder: Path, member: Member, protocol: Protocol, examples: np.ndarray) -> None:
    """Train a member to its end, from its last saved state if there is one.

    Raises
    ------
    ValueError
        The last saved state is truncated, altered or that of another training; nothing is
        overwritten.
    """
    training = protocol.start(member, examples)
    saves = protocol.saves(member.method)
    done = saved(folder, member, protocol)
    if done:
        training = resumed(state_of(folder, member, done[-1]), training, done[-1])
    for epoch in saves[len(done) :]:
        if done and protocol.finished(training):
            break
        updates = round(epoch * training.updates_per_epoch) - training.update
        if updates:
            training.run(updates / training.updates_per_epoch, progress=False)
        with writing(state_of(folder, member, epoch)) as path:
            training.save(path)
        done.append(epoch)


def saved(folder: Path, member: Member, protocol: Protocol) -> list[float]:
    """Epochs of the states that are there, up to the first that is not."""
    return list(
        takewhile(
            lambda epoch: state_of(folder, member, epoch).exists(), protocol.saves(member.method)
        )
    )


def resumed(path: Path, fresh: Training, epoch: float) -> Training:
    training = Training.resume(path, fresh.data)
    same = (
        training.options() == fresh.options()
        and training.seed == fresh.seed
        and training.rbm.M == fresh.rbm.M
    )
    if not same or training.update != round(epoch * fresh.updates_per_epoch):
        raise ValueError(
            f"{path} is the state of another training; remove it to go on from the state before it"
        )
    return training
