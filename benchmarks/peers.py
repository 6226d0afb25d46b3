"""The contenders of `speed.py`: the same tasks by other packages, by plain NumPy, and as bare
matrix products.

Each function takes a model and returns a dict of names and callables; one call is one unit of the
task. Every contender gets what it likes best: float32 parameters, contiguous float32 states,
minibatches laid out beforehand.
"""

import numpy as np
from numba import njit, prange
from scipy.special import expit, logsumexp

from rbmkit import to_sklearn
from rbmkit.kernels import exp_negative, stream_key, uniform

try:
    import torch
    from rbms.bernoulli_bernoulli.classes import BBRBM
    from rbms.partition_function.ais import compute_partition_function_ais
    from rbms.training.pcd import fit_batch_pcd
except ImportError:
    torch = None


def numbers(rbm, states=()):
    """Parameters and states as float32 arrays."""
    return [np.ascontiguousarray(x, np.float32) for x in (rbm.W, rbm.a, rbm.b, *states)]


def sgemm_pair(rbm, n):
    """v W and h W^T for n chains, into arrays that exist already."""
    W, _, _ = numbers(rbm)
    rng = np.random.default_rng(0)
    v, h = (rng.integers(0, 2, (n, k)).astype(np.float32) for k in W.shape)
    to_h = np.empty_like(h)
    to_v = np.empty_like(v)

    def pair():
        np.matmul(v, W, out=to_h)
        np.matmul(h, W.T, out=to_v)

    return pair


def sgemm_gradient(rbm, n):
    """v^T h for n samples."""
    v, h = (np.random.default_rng(0).random((n, k), np.float32) for k in rbm.W.shape)
    out = np.empty(rbm.W.shape, np.float32)
    return lambda: np.matmul(v.T, h, out=out)


@njit(parallel=True, cache=True, fastmath={"contract", "reassoc", "nsz", "arcp"})
def _fused(field, bias, beta, seed, layer, out):
    for c in prange(field.shape[0]):
        key = stream_key(seed, 0, layer, c)
        for j in range(field.shape[1]):
            z = beta * (field[c, j] + bias[j])
            e = exp_negative(-abs(z))
            on = np.float32(1) if z >= np.float32(0) else e
            out[c, j] = uniform(key, j) * (np.float32(1) + e) <= on


def fused_pair(rbm, n, beta):
    """What follows the two products, in one pass each: bias, sigmoid, random number, comparison,
    float32 states."""
    rng = np.random.default_rng(0)
    fields = [rng.normal(size=(n, k)).astype(np.float32) for k in (rbm.M, rbm.N)]
    states = [np.empty_like(x) for x in fields]
    _, a, b = numbers(rbm)
    count = iter(range(10**9))

    def pair():
        seed = next(count)
        _fused(fields[0], b, np.float32(beta), seed, 0, states[0])
        _fused(fields[1], a, np.float32(beta), seed, 1, states[1])

    return pair


# ---- one Gibbs step v -> h -> v ------------------------------------------------------------------
def gibbs_steps(rbm, start, beta=1.0):
    contenders = {"NumPy": numpy_gibbs(rbm, start, beta)}
    if beta == 1:
        contenders["scikit-learn"] = sklearn_gibbs(rbm, start)
    if torch:
        contenders["rbms"] = torch_gibbs(rbm, start, beta)
    return contenders


def numpy_gibbs(rbm, start, beta):
    W, a, b, v = numbers(rbm, [start])
    rng = np.random.default_rng(0)
    beta = np.float32(beta)

    def step():
        nonlocal v
        p = expit(beta * (v @ W + b))
        h = (rng.random(p.shape, np.float32) < p).astype(np.float32)
        p = expit(beta * (h @ W.T + a))
        v = (rng.random(p.shape, np.float32) < p).astype(np.float32)

    return step


def sklearn_machine(rbm, **options):
    machine = to_sklearn(rbm, random_state=0, **options)
    for name in ("components_", "intercept_visible_", "intercept_hidden_", "h_samples_"):
        setattr(machine, name, getattr(machine, name).astype(np.float32))
    machine.random_state_ = np.random.RandomState(0)  # noqa: NPY002
    return machine


def sklearn_gibbs(rbm, start):
    machine = sklearn_machine(rbm)
    v = start.astype(np.float32)

    def step():
        nonlocal v
        v = machine.gibbs(v)

    return step


def torch_machine(rbm, start):
    W, a, b, v = (torch.from_numpy(x) for x in numbers(rbm, [start]))
    params = BBRBM(weight_matrix=W.clone(), vbias=a.clone(), hbias=b.clone())
    params.init_grad()
    return params, params.init_chains(len(v), start_v=v)


def torch_gibbs(rbm, start, beta):
    params, chains = torch_machine(rbm, start)

    @torch.no_grad()
    def step():
        nonlocal chains
        chains = params.sample_visibles(params.sample_hiddens(chains, beta=beta), beta=beta)

    return step


# ---- one update of PCD-K -------------------------------------------------------------------------
def pcd_updates(rbm, data, start, steps, rate):
    contenders = {"NumPy": numpy_pcd(rbm, data, start, steps, rate)}
    if steps == 1:
        contenders["scikit-learn"] = sklearn_pcd(rbm, data, start, rate)
    if torch:
        contenders["rbms"] = torch_pcd(rbm, data, start, steps, rate)
    contenders[f"{2 * steps + 4} sgemm alone"] = sgemm_pcd(rbm, len(start), steps)
    return contenders


def sgemm_pcd(rbm, n, steps):
    pair = sgemm_pair(rbm, n)
    gradient = sgemm_gradient(rbm, n)

    def products():  # 2 K for the chains, 2 for the hidden means, 2 for the gradient
        for _ in range(steps + 1):
            pair()
        gradient()
        gradient()

    return products


def numpy_pcd(rbm, data, start, steps, rate):
    W, a, b, batch, v = numbers(rbm, [data, start])
    rng = np.random.default_rng(0)
    rate = np.float32(rate)

    def update():
        nonlocal v, W, a, b
        for _ in range(steps):
            p = expit(v @ W + b)
            h = (rng.random(p.shape, np.float32) < p).astype(np.float32)
            p = expit(h @ W.T + a)
            v = (rng.random(p.shape, np.float32) < p).astype(np.float32)
        h_data = expit(batch @ W + b)
        h_chains = expit(v @ W + b)
        W += rate * (batch.T @ h_data / len(batch) - v.T @ h_chains / len(v))
        a += rate * (batch.mean(axis=0) - v.mean(axis=0))
        b += rate * (h_data.mean(axis=0) - h_chains.mean(axis=0))

    return update


def sklearn_pcd(rbm, data, start, rate):
    """The update inside `BernoulliRBM.fit`; `partial_fit` converts to float64 and is slower."""
    machine = sklearn_machine(rbm, learning_rate=rate, batch_size=len(start))
    batch = data.astype(np.float32)
    return lambda: machine._fit(batch, machine.random_state_)


def torch_pcd(rbm, data, start, steps, rate):
    params, chains = torch_machine(rbm, start)
    optimiser = torch.optim.SGD(params.parameters(), lr=rate, maximize=True)
    batch = torch.from_numpy(data.astype(np.float32)), torch.ones(len(data))

    @torch.no_grad()
    def update():
        nonlocal chains
        chains, _ = fit_batch_pcd(batch, chains, params, steps, 1.0, centered=False)
        optimiser.step()

    return update


# ---- annealed importance sampling ----------------------------------------------------------------
def ais_runs(rbm, chains, temperatures, means):
    contenders = {"NumPy": lambda: numpy_ais(rbm, chains, temperatures, means)}
    if torch:
        params, _ = torch_machine(rbm, np.zeros((1, rbm.N)))
        contenders["rbms"] = lambda: compute_partition_function_ais(
            chains, temperatures + 1, params
        )
    pair = sgemm_pair(rbm, chains)

    def products():
        for _ in range(temperatures):
            pair()

    return contenders | {f"{2 * temperatures} sgemm alone": products}


def numpy_ais(rbm, chains, temperatures, means):
    W, a, b = numbers(rbm)
    rng = np.random.default_rng(0)
    means = np.clip(means, 0.01, 0.99).astype(np.float32)
    a0 = np.log(means / (1 - means))
    v = (rng.random((chains, rbm.N), np.float32) < means).astype(np.float32)
    log_w = np.zeros(chains)
    t = np.linspace(0, 1, temperatures + 1).astype(np.float32)
    for old, new in zip(t[:-1], t[1:], strict=True):
        field = v @ W + b
        log_w += (new - old) * (v @ (a - a0))
        log_w += (np.logaddexp(0, new * field) - np.logaddexp(0, old * field)).sum(axis=1)
        h = (rng.random(field.shape, np.float32) < expit(new * field)).astype(np.float32)
        p = expit((1 - new) * a0 + new * (h @ W.T + a))
        v = (rng.random(p.shape, np.float32) < p).astype(np.float32)
    return logsumexp(log_w) - np.log(chains) + np.logaddexp(0, a0).sum() + rbm.M * np.log(2)


def numpy_log_z(rbm, rows=2**13):
    """Chunked enumeration of the hidden layer in float64, a matrix product and a softplus for
    each chunk."""
    parts = []
    for first in range(0, 2**rbm.M, rows):
        codes = np.arange(first, min(first + rows, 2**rbm.M))
        h = (codes[:, None] >> np.arange(rbm.M) & 1).astype(float)
        parts.append(logsumexp(h @ rbm.b + np.logaddexp(0, h @ rbm.W.T + rbm.a).sum(axis=1)))
    return float(logsumexp(parts))
