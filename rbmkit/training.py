"""Training by stochastic gradient ascent of the log-likelihood, Secs. 2 and 6 of the paper.

The gradient, Eq. (6), is <v h> over the data minus <v h> over the model. The second average comes from Markov chains,
and the methods differ only in where the chains start at each update:

* ``"Rdm"``: random hidden states, forgotten after each update;
* ``"CD"``: the minibatch itself (contrastive divergence);
* ``"PCD"``: where the last update left them (persistent contrastive divergence; the first start is a data point).

A `Training` can be run on, saved at any update and resumed: the result is the same, bit for bit, as without a break.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from tqdm.auto import tqdm

from rbmkit import checks, kernels
from rbmkit.likelihood import exact_moments
from rbmkit.model import RBM
from rbmkit.sampling import chunk_size, draw_seed, random_states, threads_for

METHODS = ("Rdm", "CD", "PCD")
_KIND = "rbmkit.Training/1"


@dataclass(frozen=True)
class SGD:
    """Gradient ascent with momentum: velocity <- momentum velocity + gradient, parameter <- parameter + rate velocity,
    Eq. (13).

    Attributes
    ----------
    learning_rate : float, > 0
    momentum : float, in [0, 1)
    """

    learning_rate: float
    momentum: float = 0.0

    def __post_init__(self) -> None:
        checks.positive_float(self.learning_rate, "learning_rate")
        checks.fraction(self.momentum, "momentum")

    def step(self, parameter, gradient, memory, rate, decay, count):  # noqa: D102
        kernels.sgd_step(parameter, gradient, memory[0], np.float32(rate), np.float32(self.momentum), np.float32(decay))


@dataclass(frozen=True)
class Adam:
    """Adam (Kingma and Ba 2015): steps scaled by running averages of the gradient and its square.

    Attributes
    ----------
    learning_rate : float, > 0
    beta1, beta2 : float, in [0, 1)
        Memory of the two averages.
    epsilon : float, > 0
    """

    learning_rate: float = 1e-3
    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8

    def __post_init__(self) -> None:
        checks.positive_float(self.learning_rate, "learning_rate")
        checks.positive_float(self.epsilon, "epsilon")
        checks.fraction(self.beta1, "beta1")
        checks.fraction(self.beta2, "beta2")

    def step(self, parameter, gradient, memory, rate, decay, count):  # noqa: D102
        root = np.sqrt(1 - self.beta2**count)
        numbers = (rate * root / (1 - self.beta1**count), self.beta1, self.beta2, self.epsilon * root, decay)
        kernels.adam_step(parameter, gradient, *memory, *(np.float32(x) for x in numbers))


_OPTIMISERS = {"SGD": SGD, "Adam": Adam}


class History:
    """One row of named numbers per epoch; ``history["epoch"]`` is a column as an array, NaN where a row lacks it."""

    def __init__(self, rows: Sequence[dict[str, float]] = ()):
        self.rows = [dict(row) for row in rows]

    def __getitem__(self, name: str) -> np.ndarray:
        if not any(name in row for row in self.rows):
            raise KeyError(
                f"the history has no column {name!r}; it has {sorted({n for row in self.rows for n in row})}"
            )
        return np.array([row.get(name, np.nan) for row in self.rows])

    def __len__(self) -> int:
        return len(self.rows)


class Training:
    """A training run that can be continued, saved and resumed.

    Parameters
    ----------
    rbm : RBM
        The model to start from.
    data : (n, N) array of 0 and 1
    method : {"PCD", "CD", "Rdm"}
        Where the chains of the negative phase start.
    steps : int
        K, block Gibbs steps per update.
    batch_size : int
        Examples per update (all data if there are fewer); examples that do not fill a batch wait for the next epoch's
        shuffle.
    chains : int, optional
        Markov chains of the negative phase; default `batch_size`. CD has one per example.
    optimiser : SGD or Adam
    schedule : sequence of (epoch, factor), optional
        The learning rate is multiplied by a factor interpolated between these points; default 1 throughout.
    l2 : float
        Penalty l2/2 sum W_ij^2 on the log-likelihood.
    l2_modes : sequence of float, optional
        Penalty sum_i l2_modes[i]/2 lambda_i^2 on the leading singular values of W, largest first (the discussion after
        Eq. (57)). Applied once per epoch, by the shrinkage that its own gradient flow gives over the sum
        of that epoch's learning rates (without momentum's factor).
    centred : bool
        Use the centred (enhanced) gradient: that of the model written in v - <v> and h - <h>, averages over data and
        chains.
    rng : int or Generator

    Attributes
    ----------
    history : History
        Per epoch: ``epoch``, ``learning_rate``, ``moment_error`` (root mean square of <v_i>_data - <v_i>_chains over
        pixels and updates) and what the callbacks returned.
    update : int
        Updates done so far.
    method, steps, optimiser, l2
        As given; they may be changed between runs.

    Raises
    ------
    ValueError, TypeError
        Wrong shapes, values outside {0, 1}, empty data, unknown method, K = 0, options out of range.
    """

    def __init__(
        self,
        rbm: RBM,
        data: np.ndarray,
        *,
        method: str = "PCD",
        steps: int = 1,
        batch_size: int = 100,
        chains: int | None = None,
        optimiser: SGD | Adam = SGD(0.05),  # noqa: B008
        schedule: Sequence[tuple[float, float]] | None = None,
        l2: float = 0.0,
        l2_modes: Sequence[float] | None = None,
        centred: bool = False,
        rng: int | np.random.Generator,
    ):
        self.data = checks.binary(data, rbm.N, "data")
        if not isinstance(optimiser, SGD | Adam):
            raise TypeError(f"optimiser must be an SGD(...) or an Adam(...), got {optimiser!r}")
        self.method, self.optimiser, self.centred = method, optimiser, bool(centred)
        self.steps = checks.positive_int(steps, "steps")
        self.batch_size = min(checks.positive_int(batch_size, "batch_size"), len(self.data))
        self.chains = self.batch_size if chains is None else checks.positive_int(chains, "chains")
        self._check_method()
        self.schedule = _checked_schedule(schedule)
        self.l2 = checks.nonnegative_float(l2, "l2")
        self.l2_modes = [checks.nonnegative_float(x, "l2_modes") for x in l2_modes or ()]
        if len(self.l2_modes) > min(rbm.N, rbm.M):
            raise ValueError(f"l2_modes has {len(self.l2_modes)} values, but W has only {min(rbm.N, rbm.M)} modes")
        rng = checks.as_generator(rng)
        self.seed, self.update, self.history = draw_seed(rng), 0, History()
        self._step = 0  # Gibbs steps so far: where the random streams stand
        self._W, self._a, self._b = (np.array(x, np.float32) for x in (rbm.W, rbm.a, rbm.b))
        self._memory = [tuple(np.zeros(x.size, np.float32) for _ in range(2)) for x in (self._W, self._a, self._b)]
        self._v = self.data[rng.integers(len(self.data), size=self.chains)]
        self._errors: list[float] = []
        self._allocate()

    @property
    def rbm(self) -> RBM:
        """The model as it is now (a copy)."""
        return RBM(self._W, self._a, self._b)

    @property
    def chain_states(self) -> np.ndarray:
        """(chains, N) uint8 visible states of the chains after the last update (a copy)."""
        return self._v.copy()

    @property
    def updates_per_epoch(self) -> int:
        """Minibatches in an epoch."""
        return len(self.data) // self.batch_size

    @property
    def epoch(self) -> float:
        """Epochs done so far, fractions included."""
        return self.update / self.updates_per_epoch

    def run(
        self, epochs: float, *, callbacks: Sequence[Callable[..., dict | None]] = (), progress: bool = True
    ) -> Training:
        """Train for some more epochs.

        Parameters
        ----------
        epochs : float
            May be a fraction: it is rounded to a whole number of updates, at least one.
        callbacks : sequence of callables
            Each is called at the end of every epoch as ``callback(training=self, epoch=int)``; a dict of numbers that
            it returns goes into that epoch's row of the history.
        progress : bool
            Show a progress bar.

        Returns
        -------
        Training
            Itself.

        Raises
        ------
        FloatingPointError
            A parameter became NaN or infinite; says at which update and learning rate.
        """
        self._check_method()
        count = max(1, round(checks.positive_float(epochs, "epochs") * self.updates_per_epoch))
        with tqdm(total=count, disable=not progress, desc=f"{self.method}-{self.steps}", unit="update") as bar:
            for _ in range(count):
                with threads_for(self._v.size * len(self._b)):
                    self._one_update()
                bar.update()
                if self.update % self.updates_per_epoch == 0:
                    self._end_epoch(callbacks)
        self._check_finite()
        return self

    def options(self) -> dict[str, Any]:
        """How this training is done, as names and values that fit into JSON."""
        optimiser = {"name": type(self.optimiser).__name__, **asdict(self.optimiser)}
        names = "method", "steps", "batch_size", "chains", "schedule", "l2", "l2_modes", "centred"
        return {name: getattr(self, name) for name in names} | {"optimiser": optimiser}

    def save(self, path: str | os.PathLike) -> None:
        """Write the whole state to an npz file, all or nothing; the data are not stored, only their fingerprint."""
        memory = {f"memory_{k}_{part}": m[part] for k, m in enumerate(self._memory) for part in range(2)}
        state = {"update": self.update, "step": self._step, "seed": self.seed}
        state |= {"errors": self._errors, "history": self.history.rows}
        checks.write_npz(
            path, kind=_KIND, W=self._W, a=self._a, b=self._b, v=np.packbits(self._v, axis=1), **memory,
            text=np.array(json.dumps({"options": self.options(), "state": state, "data": _fingerprint(self.data)})),
        )  # fmt: skip

    @classmethod
    def resume(cls, path: str | os.PathLike, data: np.ndarray) -> Training:
        """Continue a saved training on the same data.

        Raises
        ------
        FileNotFoundError, ValueError
            No such file; not a saved training, damaged, or saved with other data.
        """
        names = [f"memory_{k}_{part}" for k in range(3) for part in range(2)]
        stored = checks.read_npz(path, ("W", "a", "b", "v", "text", *names), kind=_KIND)
        with _reading(path):
            text = json.loads(str(stored["text"]))
            rbm, fingerprint = RBM(stored["W"], stored["a"], stored["b"]), text["data"]
        data = checks.binary(data, rbm.N, "data")
        if _fingerprint(data) != fingerprint:
            raise ValueError(f"{path} was saved with other data; resume it with the data it was trained on")
        with _reading(path):
            options, state = text["options"], text["state"]
            name = options["optimiser"].pop("name")
            self = cls(rbm, data, **options | {"optimiser": _OPTIMISERS[name](**options["optimiser"])}, rng=0)
            self.seed, self.update, self._step = state["seed"], state["update"], state["step"]
            self._errors = state["errors"]
            self.history = History(state["history"])
            self._v = _alike(np.unpackbits(stored["v"], axis=1, count=rbm.N), self._v)
            self._memory = [
                tuple(_alike(stored[f"memory_{k}_{part}"], pattern) for part, pattern in enumerate(memory))
                for k, memory in enumerate(self._memory)
            ]
        return self

    # ---- the update --------------------------------------------------------------------------------------------------
    def _allocate(self) -> None:
        (N, M), blocks = self._W.shape, kernels.blocks_of(self._W.shape[1])
        self._columns = kernels.new_columns(N, M), kernels.new_columns(M, N)
        self._gradient = tuple(np.empty(x.shape, np.float32) for x in (self._W, self._a, self._b))
        self._means = [kernels.new_rows(blocks, n) for n in (self.batch_size, self.chains)]
        self._rows = [np.empty((N, n + 1), np.uint32) for n in (self.batch_size, self.chains)]
        self._ones = np.empty(N, np.int64), np.empty(N, np.int64)
        self._h = np.empty((self.chains, M), np.uint8)
        self._order = np.empty(0, int)

    def _check_method(self) -> None:
        if self.method not in METHODS:
            raise ValueError(f"unknown method {self.method!r}; choose one of {', '.join(METHODS)}")
        if self.method == "CD" and self.chains != self.batch_size:
            raise ValueError(f"CD starts one chain per example: leave chains out, or set it to {self.batch_size}")

    def _one_update(self) -> None:
        kernels.arrange(self._W, *self._columns)
        batch, (means_d, means_m) = self._next_batch(), self._means
        self._run_phases(batch)
        rows_d, rows_m = self._rows
        kernels.gradient(batch, means_d, rows_d, self._v, means_m, rows_m, *self._gradient, *self._ones)
        self._step += self.steps
        self._errors.append(float(np.sqrt(np.mean(self._gradient[1] ** 2))))
        if self.centred:
            kernels.centre(*self._gradient, *self._offsets())
        self.update += 1
        rate = self._rate()
        for parameter, gradient, memory, decay in zip(
            (self._W, self._a, self._b), self._gradient, self._memory, (self.l2, 0, 0), strict=True
        ):
            self.optimiser.step(parameter.reshape(-1), gradient.reshape(-1), memory, rate, decay, self.update)
        if self.update % 50 == 0:
            self._check_finite()

    def _next_batch(self) -> np.ndarray:
        """Minibatch of the current update; the order of an epoch depends on the seed and the epoch only."""
        epoch, k = divmod(self.update, self.updates_per_epoch)
        if k == 0 or len(self._order) == 0:
            self._order = np.random.default_rng((self.seed, epoch)).permutation(len(self.data))
        return self.data[self._order[k * self.batch_size : (k + 1) * self.batch_size]]

    def _run_phases(self, batch: np.ndarray) -> None:
        """K block Gibbs steps from where the method starts, and the hidden means of the batch and of the chains."""
        if self.method == "CD":
            self._v = batch.copy()
        elif self.method == "Rdm":
            self._h = random_states(self.chains, len(self._b), np.random.default_rng((self.seed, self.update, 1)))
        columns_h, columns_v = self._columns
        b, a = kernels.padded(self._b), kernels.padded(self._a)
        how = self.steps, np.float32(1), self.seed, self._step, chunk_size(self.chains)
        if self.method == "Rdm":
            kernels.gibbs(columns_v, a, columns_h, b, self._h, self._v, *how)
        else:
            kernels.gibbs(columns_h, b, columns_v, a, self._v, self._h, *how)
        for v, means in zip((batch, self._v), self._means, strict=True):
            kernels.hidden_means(columns_h, b, v, means, chunk_size(len(v)))

    def _offsets(self) -> tuple[np.ndarray, np.ndarray]:
        """Averages of v and h over both phases, weighted equally."""
        v = sum(ones / means.shape[1] for ones, means in zip(self._ones, self._means, strict=True)) / 2
        h = sum(means.mean(axis=1).ravel()[: len(self._b)] for means in self._means) / 2
        return v.astype(np.float32), h.astype(np.float32)

    def _rate(self, epoch: float | None = None) -> float:
        epochs, factors = zip(*self.schedule, strict=True)
        return self.optimiser.learning_rate * float(np.interp(self.epoch if epoch is None else epoch, epochs, factors))

    def _end_epoch(self, callbacks: Sequence[Callable[..., dict | None]]) -> None:
        if self.l2_modes:
            self._shrink_modes()
        self._check_finite()
        row = {
            "epoch": round(self.epoch),
            "learning_rate": self._rate(),
            "moment_error": float(np.sqrt(np.mean(np.square(self._errors)))),
        }
        self._errors = []
        self.history.rows.append(row)  # before the callbacks: one of them may save the training
        for callback in callbacks:
            returned = callback(training=self, epoch=row["epoch"]) or {}
            row |= {name: float(value) for name, value in returned.items()}

    def _shrink_modes(self) -> None:
        """d lambda_i / dt = -l2_i lambda_i over the time of the last epoch, the sum of its learning rates."""
        n = self.updates_per_epoch
        time = sum(self._rate(self.epoch - k / n) for k in range(n))
        U, s, Vt = np.linalg.svd(self._W.astype(float), full_matrices=False)
        k = len(self.l2_modes)
        loss = s[:k] * -np.expm1(-np.array(self.l2_modes) * time)
        self._W -= ((U[:, :k] * loss) @ Vt[:k]).astype(np.float32)

    def _check_finite(self) -> None:
        if not all(np.isfinite(x).all() for x in (self._W, self._a, self._b)):
            raise FloatingPointError(
                f"a parameter is NaN or infinite after update {self.update} (learning rate {self._rate():.3g}); "
                "use a smaller learning rate"
            )


def exact_gradient(rbm: RBM, data: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Gradient of the mean log-likelihood over `data` with respect to W, a and b, Eqs. (6) and (9).

    Both averages are exact (the model's by enumeration: at most 20 units in the smaller layer).

    Returns
    -------
    (N, M), (N,) and (M,) arrays
    """
    v = checks.binary(data, rbm.N, "data").astype(float)
    h, model = rbm.hidden_mean(data), exact_moments(rbm)
    return v.T @ h / len(v) - model.vh, v.mean(axis=0) - model.v, h.mean(axis=0) - model.h


def _checked_schedule(schedule: Sequence[tuple[float, float]] | None) -> list[tuple[float, float]]:
    try:
        points = [(0.0, 1.0)] if schedule is None else [(float(epoch), float(factor)) for epoch, factor in schedule]
    except (TypeError, ValueError):
        points = []
    epochs = [epoch for epoch, _ in points]
    if not (points and np.isfinite(points).all() and sorted(set(epochs)) == epochs and min(f for _, f in points) >= 0):
        raise ValueError(f"schedule must be (epoch, factor) pairs, epochs increasing, factors >= 0; got {schedule!r}")
    return points


@contextmanager
def _reading(path: str | os.PathLike) -> Iterator[None]:
    try:
        yield
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise ValueError(f"{path} does not hold a valid training ({error!r}); save or fetch it again") from error


def _alike(array: np.ndarray, pattern: np.ndarray) -> np.ndarray:
    if (array.shape, array.dtype) != (pattern.shape, pattern.dtype):
        raise ValueError(f"an array is {array.dtype} {array.shape} instead of {pattern.dtype} {pattern.shape}")
    return array


def _fingerprint(data: np.ndarray) -> str:
    return hashlib.sha256(f"{data.shape}".encode() + np.packbits(data).tobytes()).hexdigest()
