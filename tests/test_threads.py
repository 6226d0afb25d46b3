"""The same seed gives the same numbers for any number of threads: all that kernels draw or add up,
with one thread and with two, in a process that has two on any machine."""

import json
import os
import subprocess
import sys

import numba
import numpy as np
import pytest

from rbmkit import (
    RBM,
    Adam,
    Tempering,
    Training,
    ais,
    denoising,
    diffusion,
    exact_log_z,
    gibbs,
    independent,
    machine,
    raise_bound,
    reverse_ais,
    sampling,
)
from rbmkit.kernels import training

DATA = (np.random.default_rng(1).random((321, 70)) < 0.3).astype(np.uint8)


def random_rbm(seed, M=130):
    rng = np.random.default_rng(seed)
    return RBM(W=rng.normal(0, 0.3, (70, M)), a=rng.normal(size=70), b=rng.normal(size=M))


MODEL = random_rbm(1)
ANNEALING = {"temperatures": 20, "rng": 3}


def chains(start, **options):
    found = gibbs(MODEL, start, rng=2, **options)
    return found.v, found.h


def trained(method):
    options = {"steps": 2, "batch_size": 50, "optimiser": Adam(0.01), "centred": True, "rng": 4}
    run = Training(MODEL, DATA, method=method, **options).run(2, progress=False)
    return run.rbm.W, run.rbm.a, run.rbm.b, run.chain_states


def tempered():
    path = [independent(MODEL), random_rbm(2), MODEL]
    run = Tempering(path, ladders=37, rungs=np.linspace(0, 2, 9), rng=2).run(60, every=7)
    return run.states, run.samples, np.concatenate(run._works), run._replica


def denoised():
    state = denoising.generate(random_rbm(3, M=15), 70, t=denoising.schedule(20), rng=12)
    return state.y, state.v


def walked():
    z = np.linspace(-2.6, 2.6, 521)
    wells = diffusion.Potential((z,), 0.6 * (z**2 - 1) ** 2 + 0.05 * z, 3.0)
    return diffusion.langevin(wells, np.zeros(5000), [0.5, 1.0], dt=0.01, rng=7)


CALLS = {
    "chains": lambda: chains(DATA, steps=5),
    "chains from random hidden states": lambda: chains(100, steps=3, beta=0.5),
    "kept states": lambda: chains(DATA, steps=6, every=2),
    "held pixels": lambda: chains(DATA, steps=3, clamped=DATA[0]),
    "ais": lambda: ais(MODEL, chains=77, **ANNEALING).log_weights,
    "reverse ais": lambda: reverse_ais(MODEL, DATA, **ANNEALING).log_weights,
    "raise": lambda: raise_bound(MODEL, DATA[:5], chains=9, **ANNEALING).log_weights,
    "exact ln Z": lambda: exact_log_z(random_rbm(3, M=15)),
    "Rdm": lambda: trained("Rdm"),
    "CD": lambda: trained("CD"),
    "PCD": lambda: trained("PCD"),
    "tempering": tempered,
    "denoising": denoised,
    "walkers": walked,
}


def compare():
    """Print for each call whether one and two threads agree, and how many worked at most."""
    sampling._SHARED_WORK = 0  # else one thread does all the work of small models
    share = machine.share
    together = []

    def recorded(tasks):
        together.append(min(len(tasks), machine.threads()))
        share(tasks)

    machine.share = training.share = recorded
    found = {}
    for name, call in CALLS.items():
        numba.set_num_threads(1)
        one = call()
        numba.set_num_threads(2)
        together.clear()
        two = call()
        arrays = zip(one, two, strict=True) if isinstance(one, tuple) else [(one, two)]
        found[name] = [all(np.array_equal(x, y) for x, y in arrays), max(together)]
    print(json.dumps(found))


@pytest.fixture(scope="module")
def found():
    script = f"import sys; sys.path.insert(1, {os.path.dirname(__file__)!r}); "
    script += "import test_threads; test_threads.compare()"
    environment = os.environ | {"NUMBA_NUM_THREADS": "2"}
    printed = subprocess.check_output([sys.executable, "-c", script], env=environment, text=True)
    return json.loads(printed)


@pytest.mark.parametrize("name", CALLS)
def test_one_and_two_threads_give_the_same_numbers(found, name):
    same, threads = found[name]
    assert threads == 2, "one thread did it all: nothing was compared"
    assert same
