"""Compile all kernels at once, ahead of their first use: ``python -m rbmkit.warm_up``.

Each is called on a model of a few units, through the functions that readers call, so that it is
compiled for the types that they meet. What is compiled is kept on disk (see `rbmkit.machine`)."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, as_completed

import numpy as np
from joblib import cpu_count
from tqdm import tqdm

from rbmkit import denoising, diffusion, likelihood, sampling, tempering
from rbmkit.model import RBM
from rbmkit.optimisers import SGD, Adam
from rbmkit.training import Training

_DATA = np.eye(4, dtype=np.uint8)


def _rbm() -> RBM:
    return RBM.random(4, 3, sigma=0.1, rng=0)


def _sample() -> None:
    sampling.gibbs(_rbm(), _DATA, steps=1, rng=0)
    sampling.gibbs(_rbm(), _DATA, steps=1, rng=0, clamped=_DATA[0])


def _train() -> None:
    for optimiser in (SGD(0.1), Adam(0.1)):
        settings = {"method": "PCD", "batch_size": 4, "optimiser": optimiser, "centred": True}
        Training(_rbm(), _DATA, rng=0, **settings).run(1, progress=False)


def _anneal() -> None:
    likelihood.ais(_rbm(), chains=2, temperatures=2, rng=0, progress=False)


def _enumerate() -> None:
    likelihood.exact_log_z(_rbm())


def _walk() -> None:
    grid = np.linspace(-1, 1, 5)
    potential = diffusion.Potential(grid, grid**2)
    diffusion.langevin(potential, np.zeros(1), np.array([0.1]), dt=0.1, rng=0)


def _temper() -> None:
    path = [tempering.independent(_rbm()), _rbm()]
    tempering.Tempering(path, ladders=2, rungs=np.array([0.0, 1.0]), rng=0).run(1, every=1)


def _denoise() -> None:
    denoising.generate(_rbm(), 2, t=np.array([0.5, 1.0]), steps=1, warm_up=1, rng=0)


STEPS: dict[str, Callable[[], None]] = {  # those that take longest first
    "sampling": _sample,
    "tempering": _temper,
    "training": _train,
    "annealing": _anneal,
    "denoising": _denoise,
    "enumeration": _enumerate,
    "Langevin dynamics": _walk,
}


def compile_kernels() -> None:
    """Compile what is not yet compiled, in this process."""
    for call in STEPS.values():
        call()


def main() -> None:
    """Compile what is not yet compiled, in two processes if there are two processors, with a
    progress line."""
    with ProcessPoolExecutor(min(2, cpu_count())) as pool:
        groups = [pool.submit(call) for call in STEPS.values()]
        done = as_completed(groups)
        for group in tqdm(done, desc="Compiling kernels", unit="group", total=len(groups)):
            group.result()


if __name__ == "__main__":
    main()
