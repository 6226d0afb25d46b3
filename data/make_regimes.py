"""Measure what the paper predicts for sampling and training, in mildly and strongly trained models.

    python data/make_regimes.py STATES [FOLDER]

makes what ``regimes.npz`` next to this script does not hold yet, and its line in ``SHA256SUMS``: a
piece that the file holds counts as done. Without the file, all pieces are made. STATES holds the
training states of the strong members, ``<member>/epoch_<epoch>.npz`` as `rbmkit.Training.save`
writes them; only the pieces of strong PCD and CD models need it. The mild models and those of Rdm
are those that ship with the project. Every new piece is kept in FOLDER (default ``build/regimes``)
when it is done, and a run that was stopped goes on from there, to the same numbers.

The pieces:

* ``mild_<epoch>``, ``again_<epoch>`` (the mild protocol once more, with its persistent chains),
  ``pcd_<epoch>``, ``cd_<epoch>`` and ``rdm_<epoch>``: block Gibbs chains of one model from three
  starts (`sample`);
* ``start_<protocol>_<M>_<replica>``: the first updates of a training, one by one, until its first
  mode has broken;
* ``sigma_<sigma>_<replica>``, ``balanced_<sigma>_<replica>``: five epochs of training from
  couplings of that size, with fields of the pixel means, or with fields that balance the couplings
  as well, by the mild protocol; ``sigma-pcd_...`` and ``balanced-pcd_...`` the same by the strong
  one (`from_sigma`);
* ``penalty_none_0``, ``penalty_<modes>_<l>``: small models with a penalty on all modes, on modes
  1-5 (``leading``) or on modes 6-16 (``rest``), with exact likelihoods (`penalised`);
* ``exchanged_<epoch>``: the strong PCD model by replica exchange (`exchanged`);
* ``wells_<epoch>`` (`two_wells`) and `rotations`.
"""

import json
import sys
from collections.abc import Callable
from functools import partial
from itertools import product
from pathlib import Path

import numpy as np
from scipy.sparse.linalg import svds
from tqdm import tqdm

from rbmkit import (
    RBM,
    SGD,
    Adam,
    Tempering,
    Training,
    ais,
    equilibrium,
    exact_log_z,
    gibbs,
    independent,
    log_likelihood,
    mnist,
    raise_bound,
    study,
    trajectory,
)
from rbmkit.data import REGIMES_KIND, pieces_of
from rbmkit.files import read_npz, write_npz, write_sums
from rbmkit.reciprocal import modes
from rbmkit.relaxation import dressed
from rbmkit.study.members import Member
from rbmkit.symmetry.rotations import Rotation, random_planes, rotated, rotation
from rbmkit.symmetry.weights import divergence

HERE = Path(__file__).resolve().parent
MODELS = {  # epochs of the models
    "mild": (0.2, 0.35, 0.5, 1, 60),
    "again": (1,),
    "pcd": (1, 5, 20, 40, 100),
    "cd": (5, 20, 60, 265),
    "rdm": (7, 40, 75),
}
LONG = {("mild", 60), ("pcd", 40)}  # longer chains
STEPS, LONG_STEPS = 3_000, 8_000
STARTS = ("ones", "zeros", "random")
CHAINS, GROUP = 100, 20  # of each start, and in each group of the jackknife
LEADING, CHECKS = 8, (0, 1, 3, 10, 30, 100, 300, 1000, 3000, 8000)
BINS, MAPS, IMAGES = 80, 40, 10_000
SIZES, REPLICAS = (500, 784, 1200), 5
SIGMAS = {"sigma": (0.01, 0.1, 0.16, 0.3), "balanced": (0.16, 0.2, 0.3)}
CHECKPOINTS = (0, 0.1, 0.5, 2, 5)  # epochs of the trainings from these sigmas
STRONG = ("pcd-500-0", "pcd-500-1", "pcd-784-0", "pcd-1200-0", "cd-500-0", "rdm-500-0")
WELLS = (0.5, 0.75, 1, 2, 5, 10, 20, 40, 70, 100, 150, 200, 265)
EXCHANGED, SWEEPS = (20, 40), 1200
FIRST = {"mild": 40, "pcd": 200, "slow": 300}  # updates at most
STARTED = {"mild": (*SIZES, 3000), "pcd": (*SIZES, 3000), "slow": (500, 3000)}
STRENGTHS = (0.001, 0.003, 0.01, 0.03)
PENALTIES = {"none": (0,), "all": STRENGTHS, "leading": STRENGTHS, "rest": STRENGTHS}
PAIRS = 8  # trainings with the same seeds for each penalty


# ---------------------------------------------------------------- one model from three starts
def sample(
    rbm: RBM, digits, means: np.ndarray, chains: dict[str, np.ndarray], steps: int, seed: int
) -> dict[str, np.ndarray]:
    """Chains from ones, zeros and random states; what they forget, where they are, and the gradient
    that they give.

    Observables are x_1 ... x_8 and u_1 of the model. `chains` are as in `gradients`.
    """
    m, rng = modes(rbm), np.random.default_rng(seed)
    which, v = np.arange(LEADING), starts(rbm, digits, rng)
    x = np.empty((steps // 2 + 1, len(v), LEADING), np.float32)
    u, shots = [], Average(len(v) // GROUP)
    for t in range(steps // 2 + 1):  # every second step
        pair = gibbs(rbm, v, steps=2, rng=rng) if t else gibbs(rbm, v, steps=1, rng=rng)
        v = pair.v if t else v
        x[t] = m.x(v, which)
        if 2 * t >= steps / 2:
            u.append(m.to_uw(x[t, :, 0], m.y(pair.h, 0), 0)[0])
            if t % (steps // 4 // MAPS) == 0:
                shots.add(v, rbm.hidden_mean(v))
    checks = np.array([t for t in CHECKS if t <= steps])
    found = {"checks": checks, "memory": np.array([memory(x[t // 2]) for t in checks])}
    found |= correlations(x[len(x) // 2 :], steps) | order(m, u, digits, rbm, means)
    found |= gradients(rbm, m, shots.value, digits, chains, rng) | softness(rbm, m, v, rng)
    return found


def starts(rbm: RBM, digits, rng: np.random.Generator) -> np.ndarray:
    """(300, N) states: training images of ones, of zeros, one step from random hidden states."""
    one, zero = (digits.train[digits.train_labels == k][:CHAINS] for k in (1, 0))
    return np.concatenate([one, zero, gibbs(rbm, CHAINS, steps=1, rng=rng).v])


def memory(x: np.ndarray) -> np.ndarray:
    """(2, K): share of the variance of each observable that the start explains (omega squared: its
    mean is 0 for chains that have forgotten), and its jackknife error.

    x is (chains, K), start by start.
    """
    groups = x.reshape(len(STARTS), -1, GROUP, x.shape[1]).astype(float)

    def share(y: np.ndarray) -> np.ndarray:  # (starts, n, K)
        k, n = y.shape[:2]
        between = n * ((y.mean(axis=1) - y.mean(axis=(0, 1))) ** 2).sum(axis=0)
        within = ((y - y.mean(axis=1, keepdims=True)) ** 2).sum(axis=(0, 1))
        noise = within / (k * (n - 1))
        return (between - (k - 1) * noise) / (between + within + noise)

    def of_all(groups: np.ndarray) -> np.ndarray:  # (starts, groups, chains, K)
        return share(groups.reshape(len(STARTS), -1, x.shape[1]))

    count = groups.shape[1]
    left_out = [of_all(np.delete(groups, g, axis=1)) for g in range(count)]
    error = np.sqrt((count - 1) * np.var(left_out, axis=0))
    return np.array([of_all(groups), error])


def correlations(x: np.ndarray, steps: int) -> dict[str, np.ndarray]:
    """Integrated autocorrelation times in steps of the observables x (times, chains, K), two steps
    apart; NaN if a time is not resolved.

    The mean is that of all chains: those that differ for ever have no finite time.
    """
    x = x - x.mean(axis=(0, 1))
    n = len(x)
    spectrum = np.fft.rfft(x, 2 * n, axis=0)
    power = spectrum.real**2 + spectrum.imag**2
    power = power.reshape(n + 1, -1, GROUP, x.shape[2]).sum(axis=2)
    sums = np.fft.irfft(power, axis=0)[: n // 2] / (n - np.arange(n // 2))[:, None, None]
    left_out = sums.sum(axis=1, keepdims=True) - sums  # (lags, groups, K)
    C, jackknife = sums.sum(axis=1), left_out / left_out[0]
    C = C / C[0]
    running = np.cumsum(C, axis=0) - 0.5
    closed = np.arange(n // 2)[:, None] >= 5 * running
    window = np.where(closed.any(axis=0), closed.argmax(axis=0), n)
    inside = np.arange(n // 2)[:, None, None] <= window
    times = 2 * ((jackknife * inside).sum(axis=0) - 0.5)
    groups = len(times)
    time = np.where(window < n, 2 * ((C * inside[:, 0]).sum(axis=0) - 0.5), np.nan)
    error = np.sqrt((groups - 1) * times.var(axis=0))
    error = np.where(window < n, error, np.nan)
    return {"time": np.array([time, error]), "longest": np.array(steps / 2)}


def order(m, u: list[np.ndarray], digits, rbm: RBM, means: np.ndarray) -> dict[str, np.ndarray]:
    """Where u_1 is: histograms of the second half of the chains, group by group, and of the test
    digits."""
    u, data = np.array(u), u_of_data(m, digits.test, rbm, np.random.default_rng(0))
    edges = np.linspace(min(u.min(), data.min()), max(u.max(), data.max()), BINS + 1)
    grouped = u.reshape(len(u), -1, GROUP).transpose(1, 0, 2).reshape(u.shape[1] // GROUP, -1)
    mean_image = means / np.linalg.norm(means)
    return {
        "edges": edges,
        "counts": np.array([np.histogram(g, edges)[0] for g in grouped]).astype(np.int32),
        "counts_data": np.histogram(data, edges)[0],
        "group_mean": grouped.mean(axis=1),
        "start_std": u.reshape(len(u), len(STARTS), -1).std(axis=(0, 2)),
        "data_u": np.array([data.mean(), data.std()]),
        "mu_u": np.array(m.to_uw(m.mu_x[0], m.mu_y[0], 0)[0]),
        "s": m.s[:100],
        "U": m.U[:, 0].astype(np.float16),
        "mean_image": m.U[:, :LEADING].T @ mean_image,
        "uniform": m.V[:, :LEADING].mean(axis=0) * np.sqrt(rbm.M),
    }


def u_of_data(m, v: np.ndarray, rbm: RBM, rng: np.random.Generator) -> np.ndarray:
    """u_1 of images v (n, N), each with a hidden state drawn from p(h|v)."""
    h = rng.random((len(v), rbm.M)) < rbm.hidden_mean(v)
    return m.to_uw(m.x(v, 0), m.y(h.astype(np.uint8), 0), 0)[0]


class Average:
    """Averages of v h^t over calls, for equal groups of states."""

    def __init__(self, groups: int):
        self.groups, self.calls, self.total = groups, 0, 0.0

    def add(self, v: np.ndarray, h: np.ndarray) -> None:
        """One more set of states v (n, N) with hidden means h (n, M), group by group."""
        v, h = (np.array_split(part.astype(np.float32), self.groups) for part in (v, h))
        products = [p.T @ q / len(p) for p, q in zip(v, h, strict=True)]
        self.total = self.total + np.array(products)
        self.calls += 1

    @property
    def value(self) -> np.ndarray:
        """(groups, N, M) averages."""
        return self.total / self.calls


def gradients(
    rbm: RBM, m, long: np.ndarray, digits, chains: dict[str, np.ndarray], rng: np.random.Generator
) -> dict[str, np.ndarray]:
    """Gradient of Eq. (P6), W only, with <v h> of the model from the long chains, from CD-5, and
    from `chains` of other methods: "pcd", the persistent ones of the training, or "rdm".

    For each: the force U_i . G V_i on eight modes with its standard error over groups; the squared
    norms and products of the gradients, freed of the sampling noise of the negative phase.
    """
    v = digits.train[rng.choice(len(digits.train), IMAGES, replace=False)]
    data, cd = Average(1), Average(10)
    data.add(v, rbm.hidden_mean(v))
    steps = gibbs(rbm, v, steps=5, rng=rng).v
    cd.add(steps, rbm.hidden_mean(steps))
    found = {"long": long, "cd": cd.value}
    for name, states in chains.items():
        other = Average(10)
        other.add(states, rbm.hidden_mean(states))
        found[name] = other.value
    U, V = m.U[:, :LEADING], m.V[:, :LEADING]
    row, mean = {}, {}
    for name, groups in found.items():
        forces = [((data.value[0] - g).T @ U * V).sum(axis=0) for g in groups]
        row[f"force_{name}"] = np.array(forces)
        mean[name] = (data.value[0] - groups.mean(axis=0)).astype(float)
        count = len(groups)
        noise = ((groups - groups.mean(axis=0)) ** 2).sum() / (count * (count - 1))
        row[f"norm2_{name}"] = np.array((mean[name] ** 2).sum() - noise)
        row[f"noise2_{name}"] = np.array(noise)
    third = len(long) // 3
    for k, name in enumerate(STARTS):
        from_start = long[k * third : (k + 1) * third].mean(axis=0)
        mean[name] = (data.value[0] - from_start).astype(float)
    for name in mean:
        row[f"product_{name}"] = np.array((mean[name] * mean["long"]).sum())
        row[f"distance2_{name}"] = np.array(((mean[name] - mean["long"]) ** 2).sum())
    return row


def softness(rbm: RBM, m, v: np.ndarray, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Largest s and number of s > 1 (unstable bosons) about mu, the mean of the chains, and single
    states."""
    p_h = rbm.hidden_mean(v)
    p_v = rbm.visible_mean((rng.random(p_h.shape) < p_h).astype(np.uint8))

    def about(m_v: np.ndarray, m_h: np.ndarray) -> np.ndarray:
        return count(dressed(rbm, m_v * (1 - m_v), m_h * (1 - m_h)).s)

    def count(s: np.ndarray) -> np.ndarray:
        return np.array([s[0], (s > 1).sum()])

    return {
        "about_mu": count(m.s / 4),
        "about_mean": about(p_v.mean(axis=0), p_h.mean(axis=0)),
        "about_states": np.array([about(p_v[i], p_h[i]) for i in range(0, len(v), 25)]),
    }


# ---------------------------------------------------------------- the first updates of a training
def begin(
    protocol: str,
    hidden: int,
    replica: int,
    train: np.ndarray,
    *,
    sigma: float = 0.01,
    balanced: bool = False,
) -> Training:
    """A PCD training by the mild protocol (SGD, centred gradient), by the strong one (Adam, plain
    gradient), or by that at a quarter of its rate ("slow").

    If balanced, the couplings exert no field where v has the pixel means and h = 1/2.
    """
    rng, means = Member("PCD", hidden, replica).rng(), train.mean(axis=0)
    rbm = RBM.random(784, hidden, sigma=sigma, rng=rng, pixel_means=means)
    if balanced:
        rbm = RBM(rbm.W, rbm.a - rbm.W.sum(axis=1) / 2, rbm.b - means @ rbm.W)
    options = {
        "mild": {"optimiser": SGD(0.1), "centred": True},
        "pcd": {"optimiser": Adam(1e-3), "centred": False},
        "slow": {"optimiser": Adam(2.5e-4), "centred": False},
    }[protocol]
    sizes = {"steps": 5, "batch_size": 500, "chains": 500}
    return Training(rbm, train, method="PCD", **sizes, **options, rng=rng)


def first_updates(
    protocol: str, hidden: int, replica: int, train: np.ndarray
) -> dict[str, np.ndarray]:
    """After each update: s_1, the largest singular value of sqrt(g_v) W sqrt(g_h) with the
    variances g = m (1 - m) of the units over the chains of the training, until the linear theory is
    unstable, s_1 > 1.05.

    For M = 500, except at a quarter of the rate, from s_1 = 0.6 on also `widths` of the mode that
    goes first.
    """
    training = begin(protocol, hidden, replica, train)
    rng, rows, more = np.random.default_rng((hidden, replica)), [], []
    for update in range(1, FIRST[protocol] + 1):
        training.run(1 / training.updates_per_epoch, progress=False)
        rbm, v = training.rbm, training.chain_states
        g_v, g_h = (p * (1 - p) for p in (v.mean(axis=0), rbm.hidden_mean(v).mean(axis=0)))
        A = np.sqrt(g_v)[:, None] * rbm.W * np.sqrt(g_h)
        s_1 = largest(A)
        rows.append([update, largest(rbm.W), s_1])
        if hidden == 500 and protocol != "slow" and s_1 > 0.6 and update % 2 == 0:
            more.append([update, *widths(rbm, v[:CHAINS], rng)])
        if s_1 > 1.05:
            break
    return {"rows": np.array(rows), "widths": np.array(more)}


def largest(A: np.ndarray) -> float:
    """The largest singular value."""
    return svds(A, k=1, v0=np.ones(min(A.shape)), return_singular_vectors=False)[0]


def widths(rbm: RBM, chains: np.ndarray, rng: np.random.Generator) -> list[float]:
    """Of the mode with the largest lambda / lambda_c, Eq. (6.4): its rank, lambda, variances of x
    and y over independent units, and from chains of 100 steps, half of them from the training and
    half from random states: the standard deviations of u and w, then mean and standard deviation of
    u in either half."""
    m = modes(rbm)
    start = np.concatenate([chains, gibbs(rbm, CHAINS, steps=1, rng=rng).v])
    states = gibbs(rbm, start, steps=100, rng=rng)
    means = states.v.mean(axis=0), rbm.hidden_mean(states.v).mean(axis=0)
    a, b = ((c**2).T @ (q * (1 - q)) for c, q in zip((m.U, m.V), means, strict=True))
    i = int(np.argmax(m.s * np.sqrt(a * b)))
    uw = np.array(m.to_uw(m.x(states.v, i), m.y(states.h, i), i))
    halves = uw[0].reshape(2, -1)
    return [i, m.s[i], a[i], b[i], *uw.std(axis=1), *halves.mean(axis=1), *halves.std(axis=1)]


# ---------------------------------------------------------------- couplings at the start
def from_sigma(
    protocol: str, sigma: float, replica: int, digits, balanced: bool
) -> dict[str, np.ndarray]:
    """At each of CHECKPOINTS the number of modes above 4 and lambda_1; from epoch 0.5 on also
    `likelihoods`."""
    rows = []
    training = begin(protocol, 500, replica, digits.train, sigma=sigma, balanced=balanced)
    for epoch in CHECKPOINTS:
        if epoch:
            training.run(epoch - training.epoch, progress=False)
        s = np.linalg.svd(training.rbm.W, compute_uv=False)
        bounds = [np.nan] * 4 if epoch < 0.5 else likelihoods(training.rbm, digits, replica)
        rows.append([epoch, (s > 4).sum(), s[0], *bounds])
    return {"rows": np.array(rows, float)}


def likelihoods(rbm: RBM, digits, seed: int) -> list[float]:
    """Mean log-likelihood of the test digits by AIS, its standard error, and both by RAISE."""
    rng, few = np.random.default_rng((seed, 1)), 50
    options = {"temperatures": 1000, "pixel_means": digits.train.mean(axis=0), "rng": rng}
    log_z = ais(rbm, chains=100, **options)
    lower = raise_bound(rbm, digits.test[:few], chains=2, **options).value
    upper = -rbm.free_energy(digits.test) - log_z.value
    others = upper.mean() - upper[:few].mean()  # the first 50 digits are not the average ones
    error = lower.std(ddof=1) / np.sqrt(few)
    return [upper.mean(), log_z.stderr, lower.mean() + others, error]


# ---------------------------------------------------------------- penalties in directions
def penalised(kind: str, strength: float, digits, epochs: int = 200) -> dict[str, np.ndarray]:
    """500 digits, 16 hidden units, a learning rate that falls to zero in the second half: lambda_1,
    the number of modes above 4, and the exact mean log-likelihood of test and of training digits,
    for each seed."""
    few, leading, rows = digits.train[:500], np.arange(16) < 5, []
    chosen = {"none": np.zeros(16), "leading": leading, "rest": ~leading}
    penalty = {"l2": strength} if kind == "all" else {"l2_modes": list(strength * chosen[kind])}
    schedule = ((0, 1), (epochs / 2, 1), (epochs, 0))
    options = {"method": "PCD", "optimiser": SGD(0.2), "schedule": schedule, "centred": True}
    for seed in range(PAIRS):
        start = RBM.random(784, 16, sigma=0.01, rng=seed, pixel_means=few.mean(axis=0))
        training = Training(start, few, rng=seed, **options, **penalty)
        rbm = training.run(epochs, progress=False).rbm
        s, log_z = np.linalg.svd(rbm.W, compute_uv=False), exact_log_z(rbm)
        exact = [log_likelihood(rbm, v, log_z) for v in (digits.test, few)]
        rows.append([s[0], (s > 4).sum(), *exact])
    return {"rows": np.array(rows)}


# ---------------------------------------------------------------- replica exchange
def exchanged(epoch: float, states: Path, digits) -> dict[str, np.ndarray]:
    """The strong PCD model by replica exchange, half of the ladders from ones and half from
    independent pixels: the certificate of equilibrium, and the gradients of `gradients` with these
    samples in place of the long chains."""
    training = Training.resume(states / "pcd-500-0" / f"epoch_{epoch:g}.npz", digits.train)
    rbm, chains, rng = training.rbm, training.chain_states, np.random.default_rng(round(10 * epoch))
    path, found, trips = [independent(rbm, digits.train), rbm], [], []
    ones = digits.train[digits.train_labels == 1]
    for start in (ones[:8], None):
        run = Tempering(path, ladders=8, start=start, rng=rng).adapt(SWEEPS // 3).run(SWEEPS)
        result = run.result()
        found.append(result.samples[len(result.samples) // 4 :])
        trips.append(result.round_trips)
    certificate, shots = equilibrium(rbm, found, modes=LEADING), Average(16)
    for v in np.concatenate(found, axis=1):
        shots.add(v, rbm.hidden_mean(v))
    row = gradients(rbm, modes(rbm), shots.value, digits, {"pcd": chains}, rng)
    row |= {"r_hat": certificate.r_hat, "ess": certificate.ess, "trips": np.array(trips)}
    return row | {"rungs": np.array(len(result.rungs)), "s": modes(rbm).s[:8]}


# ---------------------------------------------------------------- rotations of the weights
def rotations(states: Path) -> dict[str, np.ndarray]:
    """Jensen-Shannon divergences of weights before and after rotations, for final models of both
    regimes and for untrained matrices: in random planes, in coordinate planes, and by the formula
    of the paper (R U R^t, R' V R'^t)."""
    rows, mild = {}, study()
    for name in STRONG:
        by_epoch = {float(p.stem.split("_")[1]): p for p in (states / name).glob("epoch_*.npz")}
        last = read_npz(by_epoch[max(by_epoch)], ("W",), kind="rbmkit.Training/1")
        rows[f"strong-{name}"] = last["W"].astype(float)
    for hidden in SIZES:
        for name in mild.members(method="PCD", hidden=hidden):
            rows[f"mild-{name}"] = mild.rbm(name).W
        for k in range(3):
            rows[f"null-{hidden}-{k}"] = np.random.default_rng(k).normal(0, 0.01, (784, hidden))
    return {name: np.array(divergences(W, np.random.default_rng(1))) for name, W in rows.items()}


def divergences(W: np.ndarray, rng: np.random.Generator) -> list[float]:
    """0.1 N and 0.1 M rotations by random angles: see `rotations`."""
    found = []
    for axes in (False, True):
        left, right = (turns(n, axes, rng) for n in W.shape)
        found.append(divergence(W, rotated(W, left, right), bootstrap=0, rng=rng).js)
    U, s, Vt = np.linalg.svd(W)
    U, V = (R.apply(R.apply(x).T).T for R, x in ((left, U), (right, Vt.T)))
    conjugated = (U[:, : len(s)] * s) @ V[:, : len(s)].T
    return [*found, divergence(W, conjugated, bootstrap=0, rng=rng).js]


def turns(n: int, axes: bool, rng: np.random.Generator) -> Rotation:
    """n / 10 rotations by random angles in random planes, or in planes of two coordinate axes."""
    k = max(1, n // 10)
    return rotation(random_planes(k, n, rng=rng, axes=axes), rng.uniform(0, 2 * np.pi, k))


# ---------------------------------------------------------------- the two wells of the mean image
def two_wells(epoch: float, states: Path, digits) -> dict[str, np.ndarray]:
    """u_1 of the CD model after 1,000 steps from test digits and from images of random pixels (200
    chains each)."""
    rbm = Training.resume(states / "cd-500-0" / f"epoch_{epoch:g}.npz", digits.train).rbm
    m, rng, row = modes(rbm), np.random.default_rng(1), {}
    pixels = rng.integers(0, 2, (200, 784), dtype=np.uint8)
    for name, v in (("digits", digits.test[:200]), ("noise", pixels)):
        pair = gibbs(rbm, v, steps=1000, rng=rng)
        u = m.to_uw(m.x(pair.v, 0), m.y(pair.h, 0), 0)[0]
        row[name] = np.array([u.mean(), u.std(ddof=1), pair.v.mean()])
    data = u_of_data(m, digits.test, rbm, rng)
    return row | {
        "data": np.array([data.mean(), data.std()]),
        "s": m.s[:3],
        "U": m.U[:, 0].astype(np.float16),
        "mu": np.array(m.to_uw(m.mu_x[0], m.mu_y[0], 0)[0]),
        "uniform": m.V[:, 0].mean() * rbm.M**0.5,
    }


# ---------------------------------------------------------------- all of it
def chain_piece(
    regime: str, epoch: float, states: Path, folder: Path, digits
) -> dict[str, np.ndarray]:
    """`sample` for one model of a regime."""
    chains, seed = {}, round(1000 * epoch)
    if regime == "mild":
        run = trajectory()
        rbm = run.rbm(np.flatnonzero(run.epochs == epoch)[0])
    elif regime == "rdm":
        rbm = study("paper").rbm("rdm-500-0", epoch)
        chains["rdm"] = gibbs(rbm, IMAGES, steps=5, rng=seed + 1).v
    else:
        kept = folder / "again" if regime == "again" else states / f"{regime}-500-0"
        path = kept / f"epoch_{epoch:g}.npz"
        if regime == "again" and not path.exists():
            train_again(kept, digits.train)
        training = Training.resume(path, digits.train)
        rbm = training.rbm
        chains = {} if regime == "cd" else {"pcd": training.chain_states}
    steps = LONG_STEPS if (regime, epoch) in LONG else STEPS
    return sample(rbm, digits, digits.train.mean(axis=0), chains, steps, seed)


def train_again(folder: Path, train: np.ndarray) -> None:
    """The training of ``make_rbm_mnist_500.py`` with other random numbers: the chains of the first
    were not kept."""
    folder.mkdir(exist_ok=True)
    training = begin("mild", 500, 0, train)
    for epoch in MODELS["again"]:
        training.run(epoch - training.epoch, progress=False)
        training.save(folder / f"epoch_{epoch:g}.npz")


def pieces(states: Path, folder: Path, digits) -> dict[str, Callable[[], dict]]:
    """Name of each piece, and the work that makes it."""
    work = {}
    for regime, epochs in MODELS.items():
        for epoch in epochs:
            make = partial(chain_piece, regime, epoch, states, folder, digits)
            work[f"{regime}_{epoch:g}"] = make
    for replica, protocol in product(range(REPLICAS), FIRST):
        for hidden in STARTED[protocol]:
            make = partial(first_updates, protocol, hidden, replica, digits.train)
            work[f"start_{protocol}_{hidden}_{replica}"] = make
    for replica, fields, protocol in product(range(REPLICAS), SIGMAS, ("mild", "pcd")):
        kind = fields if protocol == "mild" else f"{fields}-{protocol}"
        for sigma in SIGMAS[fields]:
            balanced = fields == "balanced"
            make = partial(from_sigma, protocol, sigma, replica, digits, balanced)
            work[f"{kind}_{sigma:g}_{replica}"] = make
    for kind, strengths in PENALTIES.items():
        for strength in strengths:
            work[f"penalty_{kind}_{strength:g}"] = partial(penalised, kind, strength, digits)
    for epoch in WELLS:
        work[f"wells_{epoch:g}"] = partial(two_wells, epoch, states, digits)
    for epoch in EXCHANGED:
        work[f"exchanged_{epoch:g}"] = partial(exchanged, epoch, states, digits)
    return work | {"rotations": partial(rotations, states)}


def held(path: Path) -> dict[str, dict[str, np.ndarray]]:
    """The pieces in a file of them, none if there is no file."""
    return pieces_of(read_npz(path, ("text",), kind=REGIMES_KIND)) if path.exists() else {}


def made(name: str, make: Callable[[], dict], folder: Path) -> dict[str, np.ndarray]:
    """A piece from the folder, where it is put when it is not there; in single precision."""
    path = folder / f"{name}.npz"
    if not path.exists():
        write_npz(path, kind=REGIMES_KIND, **make())
    stored = read_npz(path, (), kind=REGIMES_KIND)
    double = {key for key, array in stored.items() if array.dtype == np.float64}
    return stored | {key: stored[key].astype(np.float32) for key in double}


def main(states: Path, folder: Path, out: Path = HERE) -> None:
    """Make the pieces that ``regimes.npz`` in `out` does not hold, and the file of all."""
    folder.mkdir(parents=True, exist_ok=True)
    done, arrays = held(out / "regimes.npz"), {}
    for name, make in tqdm(pieces(states, folder, mnist()).items(), desc="pieces"):
        piece = done.get(name) or made(name, make, folder)
        arrays |= {f"{name}/{key}": array for key, array in piece.items()}
    text = {"chains": CHAINS, "group": GROUP, "starts": STARTS, "images": IMAGES}
    text = np.array(json.dumps(text))
    write_npz(out / "regimes.npz", kind=REGIMES_KIND, text=text, **arrays)
    write_sums(out, [path.name for path in out.glob("*.npz") if path.name != "mnist.npz"])


if __name__ == "__main__":
    default = HERE.parent / "build" / "regimes"
    main(Path(sys.argv[1]), Path(sys.argv[2]) if len(sys.argv) > 2 else default)
