"""How the members of a study are trained and how much is measured: the mild protocol and the one
after the paper."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from typing import ClassVar

import numpy as np

from rbmkit import checks, data
from rbmkit.model import RBM
from rbmkit.optimisers import SGD, Adam
from rbmkit.study.members import Member
from rbmkit.training import Training

CHECKPOINTS = (0, 0.05, 0.1, 0.15, 0.2, 0.35, 0.5, 0.75, 1, 2, 3, 5, 7, 10, 15, 20, 30, 40, 60)
DATA_SETS = ("mnist", "bars")
LEADING = 8  # modes with statistics
VECTORS = 5  # modes whose vectors are kept
ANNEALING = {"runs": 100, "temperatures": 1000}  # of each estimate of ln Z
SAMPLES = {"chains": 200, "steps": 100}  # chains of the training, run on
# test examples for RAISE and x, y; training examples for F
EXAMPLES = {
    "raise": 50,
    "modes": 2000,
    "train": 5000,
}
REST = 20  # singular values of what remains without the mean, Sec. 2.8


@dataclass(frozen=True)
class Protocol:
    """How all members are trained.

    Attributes
    ----------
    data : {"mnist", "bars"}
        The digits, or bars and stripes on a 5 x 5 screen (for trials and tests: seconds instead of
        hours).
    epochs : float
        Length of each training.
    steps, batch_size, chains, learning_rate, sigma
        As in `rbmkit.Training` and `rbmkit.RBM.random`. The learning rate is constant for the first
        half of the epochs, then falls linearly to zero; the gradient is centred; the visible fields
        start at the logit of the pixel means.
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
        """Whether ln Z is estimated, and vectors of the modes are kept, at this checkpoint
        (always at the last one)."""
        return True

    def kept(self, member: Member, values: np.ndarray) -> list[int]:
        """Which checkpoints leave their model in the result; the (T,) `values` are their largest
        singular values."""
        return [len(values) - 1]

    def start(self, member: Member, examples: np.ndarray) -> Training:
        """The training of a member at epoch 0."""
        rng = member.rng()
        means = examples.mean(axis=0)
        rbm = RBM.random(
            examples.shape[1], member.hidden, sigma=self.sigma, rng=rng, pixel_means=means
        )
        schedule = ((0, 1), (self.epochs / 2, 1), (self.epochs, 0))
        return self._training(
            rbm, examples, member, SGD(self.learning_rate), rng, schedule=schedule, centred=True
        )

    def finished(self, training: Training) -> bool:
        """Whether a training ends before its last epoch."""
        return False

    def _training(self, rbm, examples, member, optimiser, rng, **options) -> Training:
        options |= {
            "method": member.method,
            "steps": self.steps,
            "batch_size": self.batch_size,
            "chains": self.chains,
        }
        return Training(rbm, examples, optimiser=optimiser, rng=rng, **options)


@dataclass(frozen=True)
class PaperProtocol(Protocol):
    """After the paper: Adam at a constant rate, a gradient that is not centred, and couplings that
    grow large.

    PCD starts with visible fields at the logit of the pixel means, CD and Rdm with all fields as
    random as the couplings. The chains of such trainings are not in equilibrium, so the upper end
    of ln Z is always by RAISE.

    Attributes
    ----------
    epochs : float
        Length of a training with PCD; one with CD or Rdm ends when the largest singular value is
        above `until` at a saved epoch from `least` on, or after `longest` epochs.
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
        return [*up_to(self._last(method), CHECKPOINTS[:14], range(20, int(self.longest), 10))]

    def saves(self, method: str = "PCD") -> list[float]:
        """Epochs at which the state of a training is written."""
        return [*up_to(self._last(method), CHECKPOINTS[:13], range(10, int(self.longest), 5))]

    def detailed(self, epoch: float) -> bool:
        """Whether ln Z is estimated, and vectors of the modes are kept, at this checkpoint
        (always at the last one)."""
        return epoch in (0, 0.5, 1, 3, 10, 30, 60, 100, 200)

    def kept(self, member: Member, values: np.ndarray) -> list[int]:
        """Which checkpoints leave their model in the result; the (T,) `values` are their largest
        singular values.

        The first replica of each kind; replicas 1 and 2 if small. The first of the small ones also
        when the largest singular value has come to 10, 20 and 35.
        """
        last = len(values) - 1
        small = member.hidden <= 500
        if member.replica > (2 if small else 0):
            return []
        marks = [
            int(np.argmax(values >= mark))
            for mark in (10, 20, 35)
            if small and (values >= mark).any()
        ]
        return sorted({*(marks if member.replica == 0 else []), last})

    def start(self, member: Member, examples: np.ndarray) -> Training:
        """The training of a member at epoch 0."""
        rng = member.rng()
        shape = (examples.shape[1], member.hidden)
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


def up_to(last: float, *epochs: Iterable[float]) -> Iterator[float]:
    """All epochs below the last, and the last."""
    yield from (epoch for several in epochs for epoch in several if epoch < last)
    yield last


def settings(protocol: Protocol) -> dict:
    """All that is the same for the members of a study: the protocol and the sizes of what is
    measured."""
    annealing = ANNEALING | {"temperatures": protocol.temperatures}
    return {
        "protocol": asdict(protocol),
        "annealing": annealing,
        "samples": SAMPLES,
        "examples": EXAMPLES,
    }


def load_data(protocol: Protocol) -> tuple[np.ndarray, np.ndarray]:
    """Training and test examples of the protocol."""
    if protocol.data == "mnist":
        digits = data.mnist()
        return digits.train, digits.test
    patterns = data.bars_and_stripes(5)
    return np.resize(patterns, (10_000, 25)), patterns
