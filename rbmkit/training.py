"""Training by stochastic gradient ascent of the log-likelihood, Secs. 2 and 6 of the paper.

The gradient, Eq. (6), is <v h> over the data minus <v h> over the model. The second average comes
from Markov chains, and the methods differ only in where the chains start at each update
(`rbmkit.starts`).

A `Training` can be run on, interrupted, saved at any update and resumed: the result is the same,
bit for bit, as without a break. For that, an update works on copies, and its end is one assignment
of all that it has changed: whatever stops it, the state is the one before it or the one after it.
"""

from __future__ import annotations

import hashlib
import json
import os
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from tqdm.auto import tqdm

from rbmkit import checks, files, kernels
from rbmkit.history import History, checked_callbacks, checked_row
from rbmkit.likelihood import exact_moments
from rbmkit.model import RBM
from rbmkit.optimisers import OPTIMISERS, SGD, Adam
from rbmkit.options import CHANGEABLE, FIXED, Options
from rbmkit.sampling import chunk_size, draw_seed, pieces, threads_for
from rbmkit.starts import STARTS

# such a coupling decides a unit alone; digits and patterns are learned with less than 20
_LARGEST_COUPLING = 50.0
_LARGEST_MISMATCH = 0.15  # of moments, on top of the noise; healthy trainings stay below 0.1
_KIND = "rbmkit.Training/1"


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


class _Work(NamedTuple):
    """Arrays in which every update works; its results are elsewhere.

    Pairs belong to the minibatch and to the chains; they are as in `rbmkit.kernels.Phase`.
    """

    columns: tuple[np.ndarray, np.ndarray]  # W for the fields of h and of v
    gradient: tuple[np.ndarray, np.ndarray, np.ndarray]  # of W, a, b
    means: tuple[np.ndarray, np.ndarray]
    total: tuple[np.ndarray, np.ndarray]
    ones: tuple[np.ndarray, np.ndarray]


class Training:
    """A training run that can be continued, interrupted, saved and resumed.

    Parameters
    ----------
    rbm : RBM
        The model to start from.
    data : (n, N) array of 0 and 1
        Kept as bits, n N / 8 bytes: what happens to the array afterwards does not matter. Matrices
        of scipy.sparse are made dense on the way, n N bytes.
    method : {"PCD", "CD", "Rdm"}
        Where the chains of the negative phase start.
    steps : int
        K, block Gibbs steps per update.
    batch_size : int
        Examples per update (all data if there are fewer); examples that do not fill a batch wait
        for the next epoch's shuffle.
    chains : int, optional
        Markov chains of the negative phase; default `batch_size`. CD has one per example.
    optimiser : SGD or Adam
        If it is changed between runs, from SGD to Adam or to other averages of Adam, it starts
        without memory.
    schedule : sequence of (epoch, factor), optional
        The learning rate is multiplied by a factor interpolated between these points; default 1
        throughout.
    l2 : float
        Penalty l2/2 sum W_ij^2 on the log-likelihood.
    l2_modes : sequence of float, optional
        Penalty sum_i l2_modes[i]/2 lambda_i^2 on the leading singular values of W, largest first
        (the discussion after Eq. (57)). Applied once per epoch, by the shrinkage that its own
        gradient flow gives over the sum of that epoch's learning rates (without momentum's factor).
    centred : bool
        Use the centred (enhanced) gradient: that of the model written in v - <v> and h - <h>,
        averages over data and chains.
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
        Wrong shapes, values outside {0, 1}, empty data, unknown method, K = 0, options out of
        range.
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
        self._data = np.packbits(data, axis=1)
        self._shape = (rbm.N, rbm.M)
        batch_size = min(checks.positive_int(batch_size, "batch_size"), len(data))
        self._options = Options(
            batch_size=batch_size,
            chains=batch_size if chains is None else checks.positive_int(chains, "chains"),
            modes=min(self._shape),
            method=method,
            steps=steps,
            optimiser=optimiser,
            schedule=schedule,
            l2=l2,
            l2_modes=l2_modes,
            centred=centred,
        )
        rng = checks.as_generator(rng)
        self._seed = draw_seed(rng)
        v = data[rng.integers(len(data), size=self.chains)]
        parameters, memory = self._new_arrays()
        for array, start in zip(parameters, (rbm.W, rbm.a, rbm.b), strict=True):
            array[...] = start
        self._state = _State(
            parameters=parameters,
            memory=memory,
            spare=self._new_arrays(),
            memory_of=self.optimiser,
            since=0,
            v=v,
            update=0,
            step=0,
            errors=[],
            rows=[],
        )
        self._called = 0  # epochs whose callbacks are done
        self._work = self._new_work()
        self._order = np.empty(0, int)  # of the examples in this epoch

    def __getattr__(self, name: str) -> Any:
        if name in CHANGEABLE or name in FIXED:
            return getattr(self._options, name)
        raise AttributeError(f"a Training has no attribute {name!r}")

    def __setattr__(self, name: str, value: Any) -> None:
        if name in CHANGEABLE:
            name, value = "_options", replace(self._options, **{name: value})
        elif not name.startswith("_"):
            raise AttributeError(
                f"{name} of a Training cannot be set, only {', '.join(CHANGEABLE)}; "
                "for other changes make a new one, Training(training.rbm, ...)"
            )
        super().__setattr__(name, value)

    @property
    def data(self) -> np.ndarray:
        """(n, N) uint8 array (a copy)."""
        return np.unpackbits(self._data, axis=1, count=self._shape[0])

    @property
    def seed(self) -> int:
        """Seed of all random streams."""
        return self._seed

    @property
    def history(self) -> History:
        """One row per epoch: ``epoch``, ``learning_rate``, ``moment_error`` (root mean square of
        <v_i>_data - <v_i>_chains over pixels and updates) and what the callbacks returned. A
        copy."""
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
        self,
        epochs: float,
        *,
        callbacks: Sequence[Callable[..., dict | None]] = (),
        progress: bool = True,
    ) -> Training:
        """Train for some more epochs.

        An interruption (Ctrl-C) leaves the training after a whole number of updates, and the next
        run goes on there. If it came while callbacks were called, the next run first calls its own
        for that epoch.

        Parameters
        ----------
        epochs : float
            May be a fraction: it is rounded to a whole number of updates, at least one.
        callbacks : sequence of callables
            Each is called at the end of every epoch as ``callback(training=self, epoch=int)``; a
            dict of numbers that it returns goes into that epoch's row of the history. One of them
            may call ``training.stop()``.
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
            Once in a run: couplings are absurdly large, or the moments of the chains stay far from
            those of the data.
        """
        callbacks = checked_callbacks(callbacks)
        count = max(1, round(checks.positive_float(epochs, "epochs") * self.updates_per_epoch))
        self._stopped = False
        healthy = True
        self._call(callbacks)
        with tqdm(
            total=count, disable=not progress, desc=f"{self.method}-{self.steps}", unit="update"
        ) as bar:
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
        return self._options.as_dict()

    def save(self, path: str | os.PathLike) -> None:
        """Write the whole state to an npz file, all or nothing; the data are not stored, only
        their fingerprint."""
        now = self._state
        self._check_finite(now)
        memory, since = self._memory()
        arrays = {f"memory_{k}_{part}": m[part] for k, m in enumerate(memory) for part in range(2)}
        arrays |= dict(zip("Wab", now.parameters, strict=True)) | {"v": np.packbits(now.v, axis=1)}
        state = {"update": now.update, "step": now.step, "seed": self.seed, "memory_since": since}
        state |= {"errors": now.errors, "history": now.rows}
        text = json.dumps({"options": self.options(), "state": state, "data": self._fingerprint})
        files.write_npz(path, kind=_KIND, **arrays, text=np.array(text))

    @classmethod
    def resume(cls, path: str | os.PathLike, data: np.ndarray) -> Training:
        """Continue a saved training on the same data.

        Raises
        ------
        FileNotFoundError, ValueError
            No such file; not a saved training, damaged, or saved with other data.
        """
        names = [f"memory_{k}_{part}" for k in range(3) for part in range(2)]
        stored = files.read_npz(path, ("W", "a", "b", "v", "text", *names), kind=_KIND)
        with _reading(path):
            text = json.loads(str(stored["text"]))
            rbm = RBM(stored["W"], stored["a"], stored["b"])
            fingerprint = text["data"]
            options = text["options"]
        data = checks.binary(data, rbm.N, "data")
        with _reading(path):
            name = options["optimiser"].pop("name")
            self = cls(
                rbm,
                data,
                **options | {"optimiser": OPTIMISERS[name](**options["optimiser"])},
                rng=0,
            )
        if self._fingerprint != fingerprint:
            raise ValueError(
                f"{path} was saved with other data; resume it with the data it was trained on"
            )
        with _reading(path):
            self._restore(stored, text["state"])
        return self

    # ---- state -----------------------------------------------------------------------------------
    def _new_arrays(self) -> tuple[list[np.ndarray], list[tuple[np.ndarray, np.ndarray]]]:
        N, M = self._shape
        parameters = [np.zeros(shape, np.float32) for shape in ((N, M), (N,), (M,))]
        return parameters, [
            tuple(np.zeros(x.size, np.float32) for _ in range(2)) for x in parameters
        ]

    def _new_work(self) -> _Work:
        N, M = self._shape
        blocks = kernels.blocks_of(M)
        sizes = self.batch_size, self.chains
        return _Work(
            columns=(kernels.new_columns(N, M), kernels.new_columns(M, N)),
            gradient=tuple(np.empty(shape, np.float32) for shape in ((N, M), (N,), (M,))),
            means=tuple(kernels.new_columns(n, M) for n in sizes),
            total=tuple(np.empty((blocks, kernels.BLOCK), np.float32) for n in sizes),
            ones=(np.empty(N, np.int64), np.empty(N, np.int64)),
        )

    def _restore(self, stored: dict[str, np.ndarray], state: dict[str, Any]) -> None:
        now = self._state
        memory = [
            tuple(
                _alike(stored[f"memory_{k}_{part}"], pattern) for part, pattern in enumerate(pair)
            )
            for k, pair in enumerate(now.memory)
        ]
        self._seed = state["seed"]
        self._state = replace(
            now,
            memory=memory,
            # files from before an optimiser could be changed lack it
            since=state.get("memory_since", 0),
            v=_alike(np.unpackbits(stored["v"], axis=1, count=self._shape[0]), now.v),
            update=state["update"],
            step=state["step"],
            errors=state["errors"],
            rows=state["history"],
        )
        self._called = len(state["history"])

    def _memory(self) -> tuple[list[tuple[np.ndarray, np.ndarray]], int]:
        """The memory for the next update and the update at which it began: new if the optimiser
        has changed."""
        now = self._state
        if self.optimiser.continues(now.memory_of):
            return now.memory, now.since
        return self._new_arrays()[1], now.update

    @cached_property
    def _fingerprint(self) -> str:
        return hashlib.sha256(
            f"{self.data.shape}".encode() + np.packbits(self.data).tobytes()
        ).hexdigest()

    # ---- the update ------------------------------------------------------------------------------
    def _one_update(self) -> None:
        now = self._state
        work = self._work
        kernels.arrange(now.parameters[0], *work.columns)
        data, chains = self._run_phases(self._batch(now.update))
        kernels.gradient(data, chains, *work.gradient)
        error = float(np.sqrt(np.mean(work.gradient[1] ** 2)))
        if self.centred:
            kernels.centre(*work.gradient, *self._offsets())
        moved = self._ascended()
        new = replace(
            moved,
            v=chains.v,
            update=now.update + 1,
            step=now.step + self.steps,
            errors=[*now.errors, error],
        )
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

    def _run_phases(self, batch: np.ndarray) -> tuple[kernels.Phase, kernels.Phase]:
        """K block Gibbs steps from where the method starts; hidden means of batch and chains."""
        now, work = self._state, self._work
        N, M = self._shape
        columns_h, columns_v = work.columns
        visible = kernels.layer(columns_v, now.parameters[1])
        hidden = kernels.layer(columns_h, now.parameters[2])
        start = STARTS[self.method](batch, now.v, M, seed=(self.seed, now.update, 1))
        v, h = start.v, start.h
        layers = (visible, hidden, h, v) if start.from_hidden else (hidden, visible, v, h)
        samples = zip((batch, v), work.means, work.total, work.ones, strict=True)
        data, chains = (kernels.Phase(*phase) for phase in samples)
        mask, chunks = kernels.hold_none(layers[1]), (chunk_size(len(batch)), chunk_size(len(v)))
        *sweeps, last = (
            (*layers, part, np.float32(1), self.seed, now.step + first, mask)
            for first, part in pieces(self.steps, len(v), N, M)
        )
        for sweep in sweeps:
            kernels.gibbs(len(v), chunks[1], *sweep)
        kernels.run_phases(data, chains, chunks, hidden, *last)
        return data, chains

    def _offsets(self) -> tuple[np.ndarray, np.ndarray]:
        """Averages of v and h over both phases, weighted equally."""
        work = self._work
        sizes = self.batch_size, self.chains
        v, h = (
            sum(x / n for x, n in zip(sums, sizes, strict=True)) / 2
            for sums in (work.ones, work.total)
        )
        return v.astype(np.float32), h.ravel()[: self._shape[1]].astype(np.float32)

    def _ascended(self) -> _State:
        """The state with parameters and memory moved up the gradient; they are in the arrays
        that were spare."""
        now = self._state
        memory, since = self._memory()
        rate = self._options.rate((now.update + 1) / self.updates_per_epoch)
        count = now.update + 1 - since
        parts = zip(
            now.parameters, self._work.gradient, memory, (self.l2, 0, 0), *now.spare, strict=True
        )
        for old, gradient, kept, decay, new, new_memory in parts:
            flat = [x.reshape(-1) for x in (old, gradient, new)]
            self.optimiser.step(flat[0], flat[1], kept, rate, decay, count, flat[2], new_memory)
        parameters, new_memory = now.spare
        spare = now.parameters, now.memory
        return replace(
            now,
            parameters=parameters,
            memory=new_memory,
            spare=spare,
            memory_of=self.optimiser,
            since=since,
        )

    def _ended_epoch(self, state: _State) -> _State:
        if self.l2_modes:
            self._shrink_modes(state)
        self._check_finite(state)
        epoch = state.update // self.updates_per_epoch
        row = {
            "epoch": epoch,
            "learning_rate": self._options.rate(epoch),
            "moment_error": float(np.sqrt(np.mean(np.square(state.errors)))),
        }
        return replace(state, errors=[], rows=[*state.rows, row])

    def _call(self, callbacks: Sequence[Callable[..., dict | None]]) -> None:
        """The callbacks of an epoch that has ended, unless they are done; one of them may save
        the training."""
        rows = self._state.rows
        if self._called == len(rows):
            return
        for callback in callbacks:
            rows[-1].update(checked_row(callback(training=self, epoch=rows[-1]["epoch"])))
        self._called = len(rows)

    def _shrink_modes(self, state: _State) -> None:
        """d lambda_i / dt = -l2_i lambda_i over the time of the last epoch, the sum of its
        learning rates."""
        n = self.updates_per_epoch
        time = sum(self._options.rate(state.update / n - k / n) for k in range(n))
        W = state.parameters[0]
        U, s, Vt = np.linalg.svd(W.astype(float), full_matrices=False)
        k = len(self.l2_modes)
        loss = s[:k] * -np.expm1(-np.array(self.l2_modes) * time)
        W -= ((U[:, :k] * loss) @ Vt[:k]).astype(np.float32)

    def _is_healthy(self) -> bool:
        """At the end of an epoch: False, and a warning with the symptom, if what is learned
        looks like rubbish."""
        now = self._state
        symptom = ""
        largest = np.abs(now.parameters[0]).max()
        errors = [row["moment_error"] for row in now.rows[-2:]]
        # 4 x variance of the difference of means, for fair coins
        noise = 1 / self.batch_size + 1 / self.chains
        if largest > _LARGEST_COUPLING:
            symptom = f"the largest coupling is {largest:.3g}"
        elif now.update >= 100 and errors[-1] > max(
            np.hypot(_LARGEST_MISMATCH, np.sqrt(noise)), 0.9 * errors[0]
        ):
            symptom = f"chains do not resemble the data, moment error {errors[-1]:.2g} "
            symptom += "(it should fall below 0.1)"
        if symptom:
            rate = f"the learning rate ({self._options.rate(self.epoch):.3g}) may be too large"
            warnings.warn(
                f"after epoch {now.rows[-1]['epoch']}: {symptom}; {rate}",
                RuntimeWarning,
                stacklevel=3,
            )
        return not symptom

    def _check_finite(self, state: _State) -> None:
        if not all(np.isfinite(x).all() for x in state.parameters):
            raise FloatingPointError(
                f"a parameter is NaN or infinite after update {state.update} (learning rate "
                f"{self._options.rate(state.update / self.updates_per_epoch):.3g}); use a smaller "
                "learning rate"
            )


def exact_gradient(rbm: RBM, data: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Gradient of the mean log-likelihood over `data` with respect to W, a and b, Eqs. (6) and (9).

    Both averages are exact (the model's by enumeration: at most 20 units in the smaller layer).

    Returns
    -------
    (N, M), (N,) and (M,) arrays
    """
    checks.instance(rbm, RBM, "rbm")
    v = checks.binary(data, rbm.N, "data").astype(float)
    h = rbm.hidden_mean(data)
    model = exact_moments(rbm)
    return v.T @ h / len(v) - model.vh, v.mean(axis=0) - model.v, h.mean(axis=0) - model.h


@contextmanager
def _reading(path: str | os.PathLike) -> Iterator[None]:
    try:
        yield
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise ValueError(
            f"{path} does not hold a valid training ({error!r}); save or fetch it again"
        ) from error


def _alike(array: np.ndarray, pattern: np.ndarray) -> np.ndarray:
    if (array.shape, array.dtype) != (pattern.shape, pattern.dtype):
        raise ValueError(
            f"an array is {array.dtype} {array.shape} instead of {pattern.dtype} {pattern.shape}"
        )
    return array
