"""Replica exchange: sample models that block Gibbs sampling cannot cross, and get ln Z of all
models on the way.

A *ladder* is a sequence of RBMs, its rungs, from independent units, which are sampled exactly, to
the model that is wanted, the target. A replica sits on each rung. A sweep is one block Gibbs step
of every replica, and in it neighbours exchange their states with probability

    min(1, exp(F_k(v_k) + F_l(v_l) - F_k(v_l) - F_l(v_k))),

F the free energies, which leaves the product of the laws of all rungs unchanged. So a state reaches
the target, leaves it downwards, is forgotten at independent units and comes up again as a new one:
a round trip, which is what to count. Pairs (0, 1), (2, 3), ... and (1, 2), (3, 4), ... take turns:
with this order, which is not reversible, a state keeps its direction while exchanges are accepted
(Okabe et al. 2001; Syed et al. 2022).

The rungs lie on straight lines in the parameters through a *path* of RBMs: from independent units
to the model (then the rungs are temperatures, with fields that depend on them), or on through
moments of a training. The sum of the rejection rates over a ladder, the barrier, hardly depends on
where the rungs are as long as they are many; so it says how many are needed for an acceptance, and
equal shares of it where to put them (Syed et al. 2022).

Works w = ln p*_l(v) - ln p*_k(v) of neighbours k, l, needed for the exchange, give ln Z_l - ln Z_k
as well, by Bennett's acceptance ratio (Bennett 1976).

References
----------
- C. H. Bennett, J. Comput. Phys. 22, 245 (1976).
- T. Okabe, M. Kawata, Y. Okamoto, M. Mikami, Chem. Phys. Lett. 335, 435 (2001).
- H. G. Katzgraber, S. Trebst, D. A. Huse, M. Troyer, J. Stat. Mech. P03018 (2006).
- S. Syed, A. Bouchard-Cote, G. Deligiannidis, A. Doucet, J. R. Stat. Soc. B 84, 321 (2022).
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

import numba
import numpy as np
from scipy.optimize import brentq
from scipy.special import expit
from tqdm.auto import tqdm

from rbmkit import checks, files, kernels
from rbmkit.model import RBM, pixel_fields, softplus
from rbmkit.sampling import draw_seed, threads_for

_KIND = "rbmkit.Tempering/1"
_MEAN_MARGIN = 0.01  # as in annealing: independent pixels keep their means this far from 0 and 1
_FIRST_RUNGS = 32  # rungs before they are adapted, about; the RBMs of the path are among them
_CHUNK = 256  # chains per task that share the sums of W, about


@dataclass(frozen=True, eq=False)
class Tempered:
    """What a run of replica exchange gives; R rungs, L ladders.

    Attributes
    ----------
    samples : (draws, L, N) uint8 array
        Visible states of the target: one chain per ladder.
    rungs : (R,) array
        Places of the rungs on the path; k is the k-th RBM of the path, k + 1/2 is half-way to the
        next.
    acceptance : (R - 1,) array
        Mean probability of an exchange between rungs r and r + 1.
    round_trips : (L,) int array
        Journeys of replicas from rung 0 to the target and back, in each ladder.
    upward : (R,) array
        Share of the replicas on each rung that came from rung 0, not from the target, when they
        were last at an end (NaN if none has been there yet). A straight line from 1 to 0 is best;
        at a jump the replicas are stuck.
    log_z, log_z_stderr : (R,) arrays
        ln Z of all rungs, and standard errors by the jackknife over ladders.
    """

    samples: np.ndarray
    rungs: np.ndarray
    acceptance: np.ndarray
    round_trips: np.ndarray
    upward: np.ndarray
    log_z: np.ndarray
    log_z_stderr: np.ndarray


def independent(rbm: RBM, states: np.ndarray | None = None) -> RBM:
    """Independent units of the size of `rbm` with the means that v and, by `rbm`, h have over
    `states`: W = 0.

    Both layers start where they should be, and on the line from here to `rbm` it is mainly
    correlations that grow. With b = 0, as in `ais`, a strong leading mode along the mean state can
    act as a field that grows before the others: then all pixels go off, and come back in a jump
    that no replica passes (benchmarks/README.md has such a model).

    Parameters
    ----------
    rbm : RBM
    states : (n, N) array of 0 and 1, optional
        Examples, such as training data; means are kept within [0.01, 0.99]. Default: all means are
        1/2.
    """
    checks.instance(rbm, RBM, "rbm")
    if states is None:
        return RBM(np.zeros((rbm.N, rbm.M)), np.zeros(rbm.N), np.zeros(rbm.M))
    v = checks.binary(states, rbm.N, "states")
    means = v.mean(axis=0), rbm.hidden_mean(v).mean(axis=0)
    a, b = (pixel_fields(x, len(x), margin=_MEAN_MARGIN) for x in means)
    return RBM(np.zeros((rbm.N, rbm.M)), a, b)


class Tempering:
    """A run of replica exchange that can be continued, saved and resumed.

    Parameters
    ----------
    path : sequence of RBM
        At least two, of equal shape; the first has W = 0 (`independent`), the last is the target.
    ladders : int
        Independent ladders, at least 2; they give the error bars, and the threads share them.
    rungs : (R,) array, optional
        Places of the rungs on the path, increasing from 0 to len(path) - 1. Default: 32 or more at
        equal intervals, to be replaced by `adapt`.
    start : (n, N) array of 0 and 1, optional
        Every replica of ladder l starts at row l modulo n. Default: independent pixels.
    rng : int or Generator

    Raises
    ------
    ValueError, TypeError
        Path too short or of different shapes, W of the first not zero, rungs not increasing, fewer
        than two ladders.

    Examples
    --------
    >>> rbm = RBM(np.full((12, 8), 1.4), np.full(12, -5.5), np.full(8, -8.4))  # all on, or all off
    >>> run = Tempering([independent(rbm), rbm], ladders=20, start=np.ones(12), rng=1).adapt(200)
    >>> samples = run.run(400).samples
    >>> samples.shape
    (40, 20, 12)
    """

    def __init__(
        self,
        path: Sequence[RBM],
        *,
        ladders: int = 16,
        rungs: np.ndarray | None = None,
        start: np.ndarray | None = None,
        rng: int | np.random.Generator,
    ):
        self.path = _checked_path(path)
        self.ladders = checks.integer(ladders, "ladders", least=2)
        rng = checks.as_generator(rng)
        pieces = len(self.path) - 1
        base = self.path[0]
        rungs = _first_rungs(pieces) if rungs is None else _checked_rungs(rungs, pieces)
        self.seed = draw_seed(rng)
        self.sweep = 0
        if start is None:
            start = (rng.random((self.ladders, base.N)) < expit(base.a)).astype(np.uint8)
        start = checks.binary(start, base.N, "start")
        start = start[np.arange(self.ladders) % len(start)]
        self._climb(rungs, np.tile(start, (len(rungs), 1, 1)))

    @property
    def rungs(self) -> np.ndarray:
        """(R,) places of the rungs on the path (a copy)."""
        return self._rungs.copy()

    @property
    def samples(self) -> np.ndarray:
        """(draws, ladders, N) uint8 states of the target that were kept so far."""
        return np.array(self._samples, np.uint8).reshape(-1, self.ladders, self.path[0].N)

    @property
    def states(self) -> np.ndarray:
        """(R, ladders, N) uint8 states of all rungs now (a copy)."""
        return self._v.copy()

    def rung(self, place: float) -> RBM:
        """The RBM at a place on the path."""
        low = min(int(place), len(self.path) - 2)
        first = self.path[low]
        second = self.path[low + 1]
        t = place - low
        return RBM(
            *(
                (1 - t) * getattr(first, name) + t * getattr(second, name)
                for name in ("W", "a", "b")
            )
        )

    def adapt(
        self, sweeps: int = 800, *, acceptance: float = 0.5, progress: bool = False
    ) -> Tempering:
        """Choose number and places of the rungs for a mean acceptance; what was recorded before is
        dropped.

        Parameters
        ----------
        sweeps : int
            Of the warm-up, at least 8: four rounds, each on better rungs and longer than the one
            before.
        acceptance : float
            Target for all pairs, in (0, 1).
        progress : bool

        Returns
        -------
        Tempering
            Itself.
        """
        sweeps = checks.integer(sweeps, "sweeps", least=8)
        acceptance = checks.positive_float(acceptance, "acceptance")
        if acceptance >= 1:
            raise ValueError(f"acceptance must be in (0, 1), got {acceptance}")
        for part in (8, 8, 4, 2):
            self.run(sweeps // part, every=sweeps // part, progress=progress)
            barrier = np.append(0, np.cumsum(1 - self._acceptance() + 1e-6))
            count = 1 + max(1, int(np.ceil(barrier[-1] / (1 - acceptance))))
            rungs = np.interp(np.linspace(0, barrier[-1], count), barrier, self._rungs)
            rungs[-1] = len(self.path) - 1
            nearest = np.abs(rungs[:, None] - self._rungs).argmin(axis=1)
            self._climb(rungs, self._v[nearest])
        return self

    def run(self, sweeps: int, *, every: int = 10, progress: bool = False) -> Tempering:
        """Go on for some sweeps, and keep the states of the target after every `every` of them.

        Works and places of all replicas are kept for each sweep: 6 bytes per sweep, ladder and
        rung.

        Returns
        -------
        Tempering
            Itself.
        """
        sweeps = checks.positive_int(sweeps, "sweeps")
        every = checks.positive_int(every, "every")
        counts = [every] * (sweeps // every) + [sweeps % every] * (sweeps % every > 0)
        with tqdm(
            total=sweeps, disable=not progress, desc=f"{len(self._rungs)} rungs", unit="sweep"
        ) as bar:
            for count in counts:
                self._sweep(count)
                self._samples.append(self._v[-1].copy())
                bar.update(count)
        return self

    def result(self) -> Tempered:
        """Samples, exchanges and ln Z of everything since the start or the last `adapt`."""
        if not self._works:
            raise ValueError("nothing has been sampled yet: call run() first")
        round_trips, upward = _journeys(np.concatenate(self._replicas))
        log_z, stderr = self._log_z()
        return Tempered(
            self.samples, self.rungs, self._acceptance(), round_trips, upward, log_z, stderr
        )

    def save(self, path: str | os.PathLike) -> None:
        """Write the whole state, the models included, to an npz file, all or nothing."""
        files.write_npz(
            path,
            kind=_KIND,
            rungs=self._rungs,
            replica=self._replica,
            v=np.packbits(self._v, axis=-1),
            samples=np.packbits(self.samples, axis=-1),
            works=self._joined(self._works, np.float32),
            replicas=self._joined(self._replicas, np.uint16),
            counts=np.array([self.seed, self.sweep]),
            **{
                name: np.array([getattr(rbm, name) for rbm in self.path])
                for name in ("W", "a", "b")
            },
        )

    @classmethod
    def resume(cls, path: str | os.PathLike) -> Tempering:
        """Continue a saved run: the same numbers as without the interruption.

        Raises
        ------
        FileNotFoundError, ValueError
            No such file; not a saved run, or damaged.
        """
        names = "rungs", "replica", "v", "samples", "works", "replicas", "counts", "W", "a", "b"
        stored = files.read_npz(path, names, kind=_KIND)
        try:
            models = [
                RBM(*parts)
                for parts in zip(*(stored[name] for name in ("W", "a", "b")), strict=True)
            ]
            N = models[0].N
            _, ladders, _ = stored["v"].shape
            self = cls(models, ladders=ladders, rungs=stored["rungs"], rng=0)
            self.seed, self.sweep = (int(x) for x in stored["counts"])
            for own, name in ((self._v, "v"), (self._replica, "replica")):
                own[:] = (
                    np.unpackbits(stored[name], axis=-1, count=N) if name == "v" else stored[name]
                )
            self._samples = list(np.unpackbits(stored["samples"], axis=-1, count=N))
            self._works = [stored["works"]]
            self._replicas = [stored["replicas"]]
            self._joined(self._works, np.float32), self._joined(self._replicas, np.uint16)
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(
                f"{path} does not hold a valid run ({error}); save it again"
            ) from error
        return self

    # ---- inside ----------------------------------------------------------------------------------
    def _climb(self, rungs: np.ndarray, states: np.ndarray) -> None:
        """Take these rungs (R,) and states (R, ladders, N), and forget what was recorded."""
        self._rungs = np.array(rungs, float)
        self._v = np.ascontiguousarray(states, np.uint8)
        self._replica = np.tile(np.arange(len(rungs), dtype=np.uint16), (self.ladders, 1))
        self._samples = []
        self._works = []
        self._replicas = []
        self._model = self._arranged()

    def _arranged(self) -> tuple[kernels.Layer, kernels.Layer, kernels.Ladder]:
        """The rungs as the kernel wants them.

        Columns of W for each stretch of rungs that share them, then fields and scales for each
        rung, and the edges of the stretches.
        """
        N, M = self.path[0].W.shape
        rungs = self._rungs
        scaled = int((rungs <= 1).sum())  # these share the W of the second RBM
        models = [self.rung(t) for t in rungs]
        couplings = [self.path[1].W] + [rbm.W for rbm in models[scaled:]]
        size_h = kernels.blocks_of(M)
        size_v = kernels.blocks_of(N)
        columns_h = kernels.new_columns(N, kernels.BLOCK * size_h * len(couplings))
        columns_v = kernels.new_columns(M, kernels.BLOCK * size_v * len(couplings))
        for k, W in enumerate(couplings):
            of_h = columns_h[k * size_h : (k + 1) * size_h]
            of_v = columns_v[k * size_v : (k + 1) * size_v]
            kernels.arrange(W.astype(np.float32), of_h, of_v)
        a, b = (
            np.array([kernels.padded(getattr(rbm, name)) for rbm in models]) for name in ("a", "b")
        )
        scales = np.append(rungs[:scaled], np.ones(len(couplings) - 1)).astype(np.float32)
        edges = np.append(0, scaled + np.arange(len(couplings)))
        layers = kernels.layer(columns_h, np.zeros(M)), kernels.layer(columns_v, np.zeros(N))
        return *layers, kernels.Ladder(a.ravel(), b.ravel(), scales, edges)

    def _sweep(self, count: int) -> None:
        """One call of the kernel, and its records."""
        edges, threads = self._model[-1].edges, numba.get_num_threads()
        chunk = min(-(-self.ladders // threads), max(1, _CHUNK // int(np.diff(edges).max())))
        shape = count, self.ladders, len(self._rungs)
        works = np.zeros(shape, np.float32)
        replicas = np.empty(shape, np.uint16)
        with threads_for(self._v.size * self.path[0].M * count):
            states = self._v, self._replica, self.seed, self.sweep
            kernels.temper(self.ladders, chunk, *self._model, *states, works, replicas)
        self.sweep += count
        self._works.append(works)
        self._replicas.append(replicas)

    def _joined(self, records: list[np.ndarray], dtype: type) -> np.ndarray:
        """Records of all sweeps, (sweeps, ladders, R)."""
        empty = np.empty((0, self.ladders, len(self._rungs)), dtype)
        return np.concatenate([empty, *records])

    def _pair_works(self, r: int) -> tuple[np.ndarray, np.ndarray]:
        """Works (sweeps, ladders) of rung r towards r + 1 and of r + 1 towards r, of the sweeps
        in which they met."""
        works = np.concatenate(self._works)
        met = (self.sweep - len(works) + np.arange(len(works)) + r) % 2 == 0
        if not met.any():
            raise ValueError("one sweep is too few: neighbours meet in every second one")
        return works[met, :, r].astype(float), works[met, :, r + 1].astype(float)

    def _acceptance(self) -> np.ndarray:
        pairs = (self._pair_works(r) for r in range(len(self._rungs) - 1))
        return np.array([np.exp(np.minimum(up + down, 0)).mean() for up, down in pairs])

    def _log_z(self) -> tuple[np.ndarray, np.ndarray]:
        base = self.path[0]
        steps, left_out = zip(
            *(_bennett(*self._pair_works(r)) for r in range(len(self._rungs) - 1)), strict=True
        )
        paths = np.cumsum(left_out, axis=0)  # (R - 1, ladders)
        spread = np.sqrt((self.ladders - 1) * paths.var(axis=1))
        start = softplus(base.a).sum() + softplus(base.b).sum()
        return start + np.append(0, np.cumsum(steps)), np.append(0, spread)


def _bennett(up: np.ndarray, down: np.ndarray) -> tuple[float, np.ndarray]:
    """ln Z_l - ln Z_k from works k -> l and l -> k (sweeps, ladders), and the estimates without one
    ladder each.

    Z_l / Z_k = e^C <sigma(w_kl - C)>_k / <sigma(w_lk + C)>_l for any C; the variance is least where
    both means agree.
    """

    def difference(C: float) -> float:
        return expit(up - C).mean() - expit(down + C).mean()

    ends = np.concatenate([up.ravel(), -down.ravel()])
    C = brentq(difference, ends.min() - 40, ends.max() + 40)
    above, below = (_without_one(x.sum(axis=0)) for x in (expit(up - C), expit(down + C)))
    return C, C + np.log(above) - np.log(below)


def _without_one(sums: np.ndarray) -> np.ndarray:
    """Sum over all ladders but one; positive even if that one had all the weight."""
    return np.maximum(sums.sum() - sums, np.finfo(float).tiny)


def _journeys(replicas: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Round trips per ladder and share of upward replicas per rung, from where the replicas were
    (sweeps, L, R)."""
    _, L, R = replicas.shape
    ladder = np.arange(L)
    # per replica: last end; was at rung 0 before
    origin = np.zeros((L, R), np.int8)
    complete = np.zeros((L, R), bool)
    trips = np.zeros(L, int)
    upward = np.zeros(R)
    known = np.zeros(R)
    for places in replicas.astype(np.int64):
        bottom = places[:, 0]
        top = places[:, -1]
        trips += complete[ladder, bottom] & (origin[ladder, bottom] == -1)
        origin[ladder, bottom], origin[ladder, top] = 1, -1
        complete[ladder, bottom] = True
        here = origin[ladder[:, None], places]
        upward += (here == 1).sum(axis=0)
        known += (here != 0).sum(axis=0)
    return trips, np.divide(upward, known, out=np.full(R, np.nan), where=known > 0)


def _checked_path(path: Sequence[RBM]) -> list[RBM]:
    path = list(path)
    if len(path) < 2 or not all(isinstance(rbm, RBM) for rbm in path):
        raise ValueError("the path must be a sequence of at least two RBMs, the first with W = 0")
    shapes = sorted({rbm.W.shape for rbm in path})
    if len(shapes) > 1:
        raise ValueError(
            f"all RBMs of a path must have one shape, got {', '.join(map(str, shapes))}"
        )
    if path[0].W.any():
        raise ValueError(
            "the first RBM of a path must have W = 0, so that it is sampled exactly: see "
            "independent()"
        )
    return path


def _first_rungs(pieces: int) -> np.ndarray:
    return np.linspace(0, pieces, 1 + pieces * -(-_FIRST_RUNGS // pieces))


def _checked_rungs(rungs: np.ndarray, pieces: int) -> np.ndarray:
    rungs = checks.real_array(rungs, (None,), "rungs")
    if len(rungs) < 2 or rungs[0] != 0 or rungs[-1] != pieces or not (np.diff(rungs) > 0).all():
        raise ValueError(f"rungs must be increasing places on the path, from 0 to {pieces}")
    return rungs
