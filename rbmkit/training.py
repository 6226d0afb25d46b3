"""Training by stochastic gradient ascent of the log-likelihood, Secs. 2 and 6 of the paper.

The gradient, Eq. (6), is <v h> over the data minus <v h> over the model. The second average comes from Markov chains,
and the methods differ only in where the chains start at each update:

* ``"Rdm"``: random hidden states, forgotten after each update;
* ``"CD"``: the minibatch itself (contrastive divergence);
* ``"PCD"``: where the last update left them (persistent contrastive divergence; the first start is a data point).

A `Training` can be run on, interrupted, saved at any update and resumed: the result is the same, bit for bit, as
without a break. For that, an update works on copies, and its end is one assignment of all that it has changed: whatever
stops it, the state is the one before it or the one after it.
"""

from __future__ import annotations

import hashlib
import json
import os
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from tqdm.auto import tqdm

from rbmkit import checks, kernels
from rbmkit.likelihood import exact_moments
from rbmkit.model import RBM
from rbmkit.sampling import chunk_size, draw_seed, pieces, random_states, threads_for

METHODS = ("Rdm", "CD", "PCD")
_LARGEST_COUPLING = 50.0  # such a coupling decides a unit alone; digits and patterns are learned with less than 20
_LARGEST_MISMATCH = 0.15  # of moments, on top of the noise; healthy trainings stay below 0.1
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
        _keep(self, learning_rate=checks.positive_float, momentum=checks.fraction)

    def continues(self, other: SGD | Adam) -> bool:
        """Whether the memory that `other` left has a meaning here: a velocity has, for any rate and momentum."""
        return isinstance(other, SGD)

    def step(self, old, gradient, memory, rate, decay, count, new, new_memory):  # noqa: D102
        numbers = (np.float32(x) for x in (rate, self.momentum, decay))
        kernels.sgd_step(old, gradient, memory[0], *numbers, new, new_memory[0])


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
        checked = {"learning_rate": checks.positive_float, "epsilon": checks.positive_float}
        _keep(self, **checked, beta1=checks.fraction, beta2=checks.fraction)

    def continues(self, other: SGD | Adam) -> bool:
        """Whether the memory that `other` left has a meaning here: averages of the same lengths have."""
        return isinstance(other, Adam) and (other.beta1, other.beta2) == (self.beta1, self.beta2)

    def step(self, old, gradient, memory, rate, decay, count, new, new_memory):  # noqa: D102
        root = np.sqrt(1 - self.beta2**count)
        numbers = (rate * root / (1 - self.beta1**count), self.beta1, self.beta2, self.epsilon * root, decay)
        kernels.adam_step(old, gradient, *memory, *(np.float32(x) for x in numbers), new, *new_memory)


def _keep(optimiser: SGD | Adam, **rules: Callable[[float, str], float]) -> None:
    for name, check in rules.items():
        object.__setattr__(optimiser, name, check(getattr(optimiser, name), name))


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


@dataclass(frozen=True, eq=False)
class _State:
    """All that an update changes, float32 and uint8; a training replaces it as a whole."""

    parameters: list[np.ndarray]  # W, a, b
    memory: list[tuple[np.ndarray, np.ndarray]]  # two flat arrays for each of them
    spare: tuple  # as (parameters, memory): where the next update writes
    memory_of: SGD | Adam  # the optimiser that made the memory,
    since: int  # from this update on
    v: np.ndarray  # the chains
    update: int
    step: int  # Gibbs steps so far: where the random streams stand
    errors: list[float]  # of this epoch
    rows: list[dict[str, float]]  # of the history


class Training:
    """A training run that can be continued, interrupted, saved and resumed.

    Parameters
    ----------
    rbm : RBM
        The model to start from.
    data : (n, N) array of 0 and 1
        Kept as bits, n N / 8 bytes: what happens to the array afterwards does not matter. Matrices of scipy.sparse are
        made dense on the way, n N bytes.
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
        If it is changed between runs, from SGD to Adam or to other averages of Adam, it starts without memory.
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
    method, steps, optimiser, schedule, l2, l2_modes, centred
        As given; they may be set between runs and are checked then. Nothing else can be.
    data, batch_size, chains, seed
        Fixed.

    Raises
    ------
    ValueError, TypeError
        Wrong shapes, values outside {0, 1}, empty data, unknown method, K = 0, options out of range.
    AttributeError
        Another attribute than those was set.
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
        checks.instance(rbm, RBM, "rbm")
        data = checks.binary(data, rbm.N, "data")
        self._data, self._shape = np.packbits(data, axis=1), (rbm.N, rbm.M)
        self._batch_size = min(checks.positive_int(batch_size, "batch_size"), len(data))
        self._chains = self.batch_size if chains is None else checks.positive_int(chains, "chains")
        self.method, self.steps, self.optimiser, self.schedule = method, steps, optimiser, schedule
        self.l2, self.l2_modes, self.centred = l2, l2_modes, centred
        rng = checks.as_generator(rng)
        self._seed, self._called = draw_seed(rng), 0
        v = data[rng.integers(len(data), size=self.chains)]
        spare, (parameters, memory) = self._new_arrays(), self._new_arrays()
        for array, start in zip(parameters, (rbm.W, rbm.a, rbm.b), strict=True):
            array[...] = start
        self._state = _State(parameters, memory, spare, self.optimiser, 0, v, update=0, step=0, errors=[], rows=[])
        self._allocate()

    def __setattr__(self, name: str, value: Any) -> None:
        if not name.startswith("_"):
            if name not in _SETTINGS:
                raise AttributeError(
                    f"{name} of a Training cannot be set, only {', '.join(_SETTINGS)}; "
                    "for other changes make a new one, Training(training.rbm, ...)"
                )
            value = _SETTINGS[name](self, value)
        super().__setattr__(name, value)

    @property
    def data(self) -> np.ndarray:
        """(n, N) uint8 array (a copy)."""
        return np.unpackbits(self._data, axis=1, count=self._shape[0])

    @property
    def batch_size(self) -> int:
        """Examples per update."""
        return self._batch_size

    @property
    def chains(self) -> int:
        """Markov chains of the negative phase."""
        return self._chains

    @property
    def seed(self) -> int:
        """Seed of all random streams."""
        return self._seed

    @property
    def history(self) -> History:
        """One row per epoch: ``epoch``, ``learning_rate``, ``moment_error`` (root mean square of <v_i>_data -
        <v_i>_chains over pixels and updates) and what the callbacks returned. A copy."""
        return History(self._state.rows)

    @property
    def update(self) -> int:
        """Updates done so far."""
        return self._state.update

    @property
    def rbm(self) -> RBM:
        """The model as it is now (a copy)."""
        return RBM(*self._state.parameters)

    @property
    def chain_states(self) -> np.ndarray:
        """(chains, N) uint8 visible states of the chains after the last update (a copy)."""
        return self._state.v.copy()

    @property
    def updates_per_epoch(self) -> int:
        """Minibatches in an epoch."""
        return len(self._data) // self.batch_size

    @property
    def epoch(self) -> float:
        """Epochs done so far, fractions included."""
        return self.update / self.updates_per_epoch

    def run(
        self, epochs: float, *, callbacks: Sequence[Callable[..., dict | None]] = (), progress: bool = True
    ) -> Training:
        """Train for some more epochs.

        An interruption (Ctrl-C) leaves the training after a whole number of updates, and the next run goes on there. If
        it came while callbacks were called, the next run first calls its own for that epoch.

        Parameters
        ----------
        epochs : float
            May be a fraction: it is rounded to a whole number of updates, at least one.
        callbacks : sequence of callables
            Each is called at the end of every epoch as ``callback(training=self, epoch=int)``; a dict of numbers that
            it returns goes into that epoch's row of the history. One of them may call ``training.stop()``.
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

        Warns
        -----
        RuntimeWarning
            Once in a run: couplings are absurdly large, or the moments of the chains stay far from those of the data.
        """
        callbacks = _checked_callbacks(callbacks)
        count = max(1, round(checks.positive_float(epochs, "epochs") * self.updates_per_epoch))
        self._stopped, healthy = False, True
        self._call(callbacks)
        with tqdm(total=count, disable=not progress, desc=f"{self.method}-{self.steps}", unit="update") as bar:
            for _ in range(count):
                if self._stopped:
                    break
                with threads_for(self._state.v.size * self._shape[1]):
                    self._one_update()
                bar.update()
                if healthy and self._called < len(self._state.rows):
                    healthy = self._is_healthy()
                self._call(callbacks)
        self._check_finite(self._state)
        return self

    def stop(self) -> None:
        """For callbacks: end `run` when the callbacks of this epoch are done."""
        self._stopped = True

    def options(self) -> dict[str, Any]:
        """How this training is done, as names and values that fit into JSON."""
        optimiser = {"name": type(self.optimiser).__name__, **asdict(self.optimiser)}
        names = "method", "steps", "batch_size", "chains", "schedule", "l2", "l2_modes", "centred"
        return {name: getattr(self, name) for name in names} | {"optimiser": optimiser}

    def save(self, path: str | os.PathLike) -> None:
        """Write the whole state to an npz file, all or nothing; the data are not stored, only their fingerprint."""
        now = self._state
        self._check_finite(now)
        memory, since = self._memory()
        arrays = {f"memory_{k}_{part}": m[part] for k, m in enumerate(memory) for part in range(2)}
        arrays |= dict(zip("Wab", now.parameters, strict=True)) | {"v": np.packbits(now.v, axis=1)}
        state = {"update": now.update, "step": now.step, "seed": self.seed, "memory_since": since}
        state |= {"errors": now.errors, "history": now.rows}
        text = json.dumps({"options": self.options(), "state": state, "data": self._fingerprint})
        checks.write_npz(path, kind=_KIND, **arrays, text=np.array(text))

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
            rbm, fingerprint, options = RBM(stored["W"], stored["a"], stored["b"]), text["data"], text["options"]
        data = checks.binary(data, rbm.N, "data")
        with _reading(path):
            name = options["optimiser"].pop("name")
            self = cls(rbm, data, **options | {"optimiser": _OPTIMISERS[name](**options["optimiser"])}, rng=0)
        if self._fingerprint != fingerprint:
            raise ValueError(f"{path} was saved with other data; resume it with the data it was trained on")
        with _reading(path):
            self._restore(stored, text["state"])
        return self

    # ---- state -------------------------------------------------------------------------------------------------------
    def _new_arrays(self) -> tuple[list[np.ndarray], list[tuple[np.ndarray, np.ndarray]]]:
        N, M = self._shape
        parameters = [np.zeros(shape, np.float32) for shape in ((N, M), (N,), (M,))]
        return parameters, [tuple(np.zeros(x.size, np.float32) for _ in range(2)) for x in parameters]

    def _allocate(self) -> None:
        (N, M), blocks = self._shape, kernels.blocks_of(self._shape[1])
        self._columns = kernels.new_columns(N, M), kernels.new_columns(M, N)
        self._gradient = tuple(np.empty(shape, np.float32) for shape in ((N, M), (N,), (M,)))
        self._means = [kernels.new_rows(blocks, n) for n in (self.batch_size, self.chains)]
        self._rows = [np.empty((N, n + 1), np.uint32) for n in (self.batch_size, self.chains)]
        self._counts = np.empty(N, np.int64), np.empty(N, np.int64)
        self._ones = np.empty(N, np.int64), np.empty(N, np.int64)
        self._order = np.empty(0, int)

    def _restore(self, stored: dict[str, np.ndarray], state: dict[str, Any]) -> None:
        now = self._state
        memory = [
            tuple(_alike(stored[f"memory_{k}_{part}"], pattern) for part, pattern in enumerate(pair))
            for k, pair in enumerate(now.memory)
        ]
        self._seed = state["seed"]
        self._state = replace(
            now,
            memory=memory,
            since=state.get("memory_since", 0),  # files from before an optimiser could be changed lack it
            v=_alike(np.unpackbits(stored["v"], axis=1, count=self._shape[0]), now.v),
            update=state["update"],
            step=state["step"],
            errors=state["errors"],
            rows=state["history"],
        )
        self._called = len(state["history"])

    def _memory(self) -> tuple[list[tuple[np.ndarray, np.ndarray]], int]:
        """The memory for the next update and the update at which it began: new if the optimiser has changed."""
        now = self._state
        if self.optimiser.continues(now.memory_of):
            return now.memory, now.since
        return self._new_arrays()[1], now.update

    @cached_property
    def _fingerprint(self) -> str:
        return hashlib.sha256(f"{self.data.shape}".encode() + np.packbits(self.data).tobytes()).hexdigest()

    # ---- the update --------------------------------------------------------------------------------------------------
    def _one_update(self) -> None:
        now = self._state
        kernels.arrange(now.parameters[0], *self._columns)
        batch = self._batch(now.update)
        v = self._run_phases(batch)
        phases = zip((batch, v), self._means, self._rows, self._counts, self._ones, strict=True)
        kernels.gradient(*(kernels.Phase(*phase) for phase in phases), *self._gradient)
        error = float(np.sqrt(np.mean(self._gradient[1] ** 2)))
        if self.centred:
            kernels.centre(*self._gradient, *self._offsets())
        moved = self._ascended()
        new = replace(moved, v=v, update=now.update + 1, step=now.step + self.steps, errors=[*now.errors, error])
        if new.update % self.updates_per_epoch == 0:
            new = self._ended_epoch(new)
        if new.update % 50 == 0:
            self._check_finite(new)
        self._state = new

    def _batch(self, update: int) -> np.ndarray:
        """Minibatch of an update; the order of an epoch depends on the seed and the epoch only."""
        epoch, k = divmod(update, self.updates_per_epoch)
        if k == 0 or len(self._order) == 0:
            self._order = np.random.default_rng((self.seed, epoch)).permutation(len(self._data))
        rows = self._order[k * self.batch_size : (k + 1) * self.batch_size]
        return np.unpackbits(self._data[rows], axis=1, count=self._shape[0])

    def _run_phases(self, batch: np.ndarray) -> np.ndarray:
        """K block Gibbs steps from where the method starts; hidden means of batch and chains; returns the chains."""
        now, (N, M), (columns_h, columns_v) = self._state, self._shape, self._columns
        visible, hidden = kernels.layer(columns_v, now.parameters[1]), kernels.layer(columns_h, now.parameters[2])
        v = batch.copy() if self.method == "CD" else now.v.copy()
        h = np.empty((len(v), M), np.uint8)
        layers = hidden, visible, v, h
        if self.method == "Rdm":
            h = random_states(len(v), M, np.random.default_rng((self.seed, now.update, 1)))
            layers = visible, hidden, h, v
        for first, part in pieces(self.steps, len(v), N, M):
            how = part, np.float32(1), self.seed, now.step + first, kernels.hold_none(layers[1])
            kernels.gibbs(len(v), chunk_size(len(v)), *layers, *how)
        for states, means in zip((batch, v), self._means, strict=True):
            kernels.hidden_means(len(states), chunk_size(len(states)), hidden, states, means)
        return v

    def _offsets(self) -> tuple[np.ndarray, np.ndarray]:
        """Averages of v and h over both phases, weighted equally."""
        v = sum(ones / means.shape[1] for ones, means in zip(self._ones, self._means, strict=True)) / 2
        h = sum(means.mean(axis=1).ravel()[: self._shape[1]] for means in self._means) / 2
        return v.astype(np.float32), h.astype(np.float32)

    def _ascended(self) -> _State:
        """The state with parameters and memory moved up the gradient; they are in the arrays that were spare."""
        now, (memory, since) = self._state, self._memory()
        rate, count = self._rate((now.update + 1) / self.updates_per_epoch), now.update + 1 - since
        parts = zip(now.parameters, self._gradient, memory, (self.l2, 0, 0), *now.spare, strict=True)
        for old, gradient, kept, decay, new, new_memory in parts:
            flat = [x.reshape(-1) for x in (old, gradient, new)]
            self.optimiser.step(flat[0], flat[1], kept, rate, decay, count, flat[2], new_memory)
        parameters, new_memory = now.spare
        spare = now.parameters, now.memory
        return replace(
            now, parameters=parameters, memory=new_memory, spare=spare, memory_of=self.optimiser, since=since
        )

    def _rate(self, epoch: float) -> float:
        epochs, factors = zip(*self.schedule, strict=True)
        return self.optimiser.learning_rate * float(np.interp(epoch, epochs, factors))

    def _ended_epoch(self, state: _State) -> _State:
        if self.l2_modes:
            self._shrink_modes(state)
        self._check_finite(state)
        epoch = state.update // self.updates_per_epoch
        row = {
            "epoch": epoch,
            "learning_rate": self._rate(epoch),
            "moment_error": float(np.sqrt(np.mean(np.square(state.errors)))),
        }
        return replace(state, errors=[], rows=[*state.rows, row])

    def _call(self, callbacks: Sequence[Callable[..., dict | None]]) -> None:
        """The callbacks of an epoch that has ended, unless they are done; one of them may save the training."""
        rows = self._state.rows
        if self._called == len(rows):
            return
        for callback in callbacks:
            rows[-1].update(_checked_row(callback(training=self, epoch=rows[-1]["epoch"])))
        self._called = len(rows)

    def _shrink_modes(self, state: _State) -> None:
        """d lambda_i / dt = -l2_i lambda_i over the time of the last epoch, the sum of its learning rates."""
        n = self.updates_per_epoch
        time = sum(self._rate(state.update / n - k / n) for k in range(n))
        W = state.parameters[0]
        U, s, Vt = np.linalg.svd(W.astype(float), full_matrices=False)
        k = len(self.l2_modes)
        loss = s[:k] * -np.expm1(-np.array(self.l2_modes) * time)
        W -= ((U[:, :k] * loss) @ Vt[:k]).astype(np.float32)

    def _is_healthy(self) -> bool:
        """At the end of an epoch: False, and a warning with the symptom, if what is learned looks like rubbish."""
        now, symptom = self._state, ""
        largest, errors = np.abs(now.parameters[0]).max(), [row["moment_error"] for row in now.rows[-2:]]
        noise = 1 / self.batch_size + 1 / self.chains  # 4 x variance of the difference of means, for fair coins
        if largest > _LARGEST_COUPLING:
            symptom = f"the largest coupling is {largest:.3g}"
        elif now.update >= 100 and errors[-1] > max(np.hypot(_LARGEST_MISMATCH, np.sqrt(noise)), 0.9 * errors[0]):
            symptom = f"chains do not resemble the data, moment error {errors[-1]:.2g} (it should fall below 0.1)"
        if symptom:
            rate = f"the learning rate ({self._rate(self.epoch):.3g}) may be too large"
            warnings.warn(f"after epoch {now.rows[-1]['epoch']}: {symptom}; {rate}", RuntimeWarning, stacklevel=3)
        return not symptom

    def _check_finite(self, state: _State) -> None:
        if not all(np.isfinite(x).all() for x in state.parameters):
            raise FloatingPointError(
                f"a parameter is NaN or infinite after update {state.update} (learning rate "
                f"{self._rate(state.update / self.updates_per_epoch):.3g}); use a smaller learning rate"
            )


# ---- checks of what can be set ---------------------------------------------------------------------------------------
def _checked_method(training: Training, method: str) -> str:
    if method not in METHODS:
        raise ValueError(f"unknown method {method!r}; choose one of {', '.join(METHODS)}")
    if method == "CD" and training.chains != training.batch_size:
        raise ValueError(f"CD starts one chain per example: leave chains out, or set it to {training.batch_size}")
    return method


def _checked_optimiser(training: Training, optimiser: SGD | Adam) -> SGD | Adam:
    if type(optimiser) not in _OPTIMISERS.values():
        raise TypeError(f"optimiser must be an SGD(...) or an Adam(...), got {optimiser!r}")
    return optimiser


def _checked_schedule(
    training: Training, schedule: Sequence[tuple[float, float]] | None
) -> tuple[tuple[float, float], ...]:
    try:
        points = ((0.0, 1.0),) if schedule is None else tuple((float(epoch), float(f)) for epoch, f in schedule)
    except (TypeError, ValueError):
        points = ()
    epochs = [epoch for epoch, _ in points]
    if not (points and np.isfinite(points).all() and sorted(set(epochs)) == epochs and min(f for _, f in points) >= 0):
        raise ValueError(f"schedule must be (epoch, factor) pairs, epochs increasing, factors >= 0; got {schedule!r}")
    return points


def _checked_l2_modes(training: Training, l2_modes: Sequence[float] | None) -> tuple[float, ...]:
    if l2_modes is not None and np.ndim(l2_modes) != 1:
        raise TypeError(f"l2_modes must be a sequence of numbers, got {l2_modes!r}")
    penalties = tuple(checks.nonnegative_float(x, "l2_modes") for x in (() if l2_modes is None else l2_modes))
    if len(penalties) > min(training._shape):
        raise ValueError(f"l2_modes has {len(penalties)} values, but W has only {min(training._shape)} modes")
    return penalties


def _checked_centred(training: Training, centred: bool) -> bool:
    if not isinstance(centred, bool | np.bool_):
        raise TypeError(f"centred must be True or False, got {centred!r}")
    return bool(centred)


_SETTINGS: dict[str, Callable[[Training, Any], Any]] = {
    "method": _checked_method,
    "steps": lambda training, steps: checks.positive_int(steps, "steps"),
    "optimiser": _checked_optimiser,
    "schedule": _checked_schedule,
    "l2": lambda training, l2: checks.nonnegative_float(l2, "l2"),
    "l2_modes": _checked_l2_modes,
    "centred": _checked_centred,
}


def _checked_callbacks(callbacks: Sequence[Callable[..., dict | None]]) -> tuple[Callable[..., dict | None], ...]:
    if callable(callbacks):
        raise TypeError("callbacks must be a sequence of functions: for one function f, callbacks=[f]")
    several = tuple(callbacks) if np.iterable(callbacks) else (callbacks,)
    if not all(callable(f) for f in several):
        raise TypeError(f"callbacks must be a sequence of functions, got {callbacks!r}")
    return several


def _checked_row(returned: dict[str, float] | None) -> dict[str, float]:
    """What a callback returned, as numbers for the history."""
    if returned is None:
        return {}
    if not isinstance(returned, dict):
        raise TypeError(f"a callback must return a dict of numbers or None, not {type(returned).__name__}")
    taken = {"epoch", "learning_rate", "moment_error"} & set(returned)
    if taken:
        raise ValueError(f"a callback returned {', '.join(sorted(taken))}: the history has that already, rename it")
    try:
        return {str(name): float(value) for name, value in returned.items()}
    except (TypeError, ValueError) as error:
        raise TypeError(f"a callback must return a dict of numbers: {error}") from error


def exact_gradient(rbm: RBM, data: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Gradient of the mean log-likelihood over `data` with respect to W, a and b, Eqs. (6) and (9).

    Both averages are exact (the model's by enumeration: at most 20 units in the smaller layer).

    Returns
    -------
    (N, M), (N,) and (M,) arrays
    """
    checks.instance(rbm, RBM, "rbm")
    v = checks.binary(data, rbm.N, "data").astype(float)
    h, model = rbm.hidden_mean(data), exact_moments(rbm)
    return v.T @ h / len(v) - model.vh, v.mean(axis=0) - model.v, h.mean(axis=0) - model.h


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
