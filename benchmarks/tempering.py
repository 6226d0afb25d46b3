"""How fast do samplers forget where they started? Plain Gibbs, replica exchange on two paths, and
that of rbms.

    python benchmarks/tempering.py         # the model that ships with the project, about 10 minutes
    python benchmarks/tempering.py strong.npz ...       # files written by RBM.save
    python benchmarks/tempering.py --seconds 20         # per sampler; default 120

Each sampler has chains from three starts far apart: images of the digit 1, images of the digit 0,
and coin tosses. They take turns until each has had its time. The first quarter of the slices is
dropped; `rbmkit.equilibrium` judges the rest. Then ln Z by all estimators, those that need samples
of the model started at the tempered ones.
"""

import argparse
import time

import numpy as np
from scipy.special import logit

import rbmkit
from rbmkit import RBM, Tempering, independent

try:
    import torch
    from rbms.bernoulli_bernoulli.classes import BBRBM
    from rbms.sampling.pt import swap_configurations
except ImportError:
    torch = None

# chains (ladders) per start; sweeps between draws
CHAINS = 12
EVERY = 20


def three_starts(mnist, rng: np.random.Generator) -> list[np.ndarray]:
    ones = mnist.train[mnist.train_labels == 1][:CHAINS]
    zeros = mnist.train[mnist.train_labels == 0][:CHAINS]
    return [ones, zeros, rng.integers(0, 2, ones.shape, dtype=np.uint8)]


def plain(rbm: RBM, starts: list[np.ndarray], rng: np.random.Generator):
    """Block Gibbs sampling; as many chains as the ladders have replicas would only add more of
    the same."""
    states = list(starts)

    def draw() -> list[np.ndarray]:
        states[:] = [rbmkit.gibbs(rbm, v, steps=EVERY, rng=rng).v for v in states]
        return states

    return draw, "1 rung"


def tempered(path: list[RBM], starts: list[np.ndarray], rng: np.random.Generator):
    first = Tempering(path, ladders=CHAINS, start=starts[0], rng=rng).adapt(400)
    runs = [Tempering(path, ladders=CHAINS, rungs=first.rungs, start=v, rng=rng) for v in starts]

    def draw() -> list[np.ndarray]:
        return [run.run(EVERY, every=EVERY)._samples[-1] for run in runs]

    draw.runs = runs
    return draw, f"{len(first.rungs)} rungs"


def peer(rbm: RBM, starts: list[np.ndarray], temperatures: int):
    """The sweeps of `rbms.sampling.pt`, at equal intervals of temperature.

    Its own search for temperatures calls a function that version 0.5.0 does not import. Its
    exchange takes free energies at beta = 1 times beta, which is not what its Gibbs steps sample:
    timed as it is, and judged all the same.
    """
    model = BBRBM(*(torch.tensor(x, dtype=torch.float32) for x in (rbm.W, rbm.a, rbm.b)))
    betas = torch.linspace(0, 1, temperatures)
    start = torch.tensor(np.concatenate(starts), dtype=torch.float32)
    chains = [model.init_chains(num_samples=len(start), start_v=start) for _ in betas]

    def draw() -> list[np.ndarray]:
        for _ in range(EVERY):
            chains[:] = [
                model.sample_state(n_steps=1, chains=c, beta=b.item())
                for c, b in zip(chains, betas)
            ]
            chains[:] = swap_configurations(chains, model, betas)[0]
        return np.split(chains[-1]["visible"].numpy().astype(np.uint8), len(starts))

    return draw, f"{temperatures} rungs"


def race(contenders: dict, seconds: float) -> dict:
    """Draws (draws, starts, chains, N) and times of all contenders; the next second goes to who
    had least."""
    draws = {name: [] for name in contenders}
    spent = dict.fromkeys(contenders, 0.0)
    while min(spent.values()) < seconds:
        name = min(spent, key=spent.get)
        time.sleep(0.12)  # threads of the one before stop spinning
        begin = time.perf_counter()
        while time.perf_counter() - begin < 1:
            draws[name].append([np.packbits(v, axis=-1) for v in contenders[name][0]()])
        spent[name] += time.perf_counter() - begin
    return {name: (np.array(draws[name]), spent[name]) for name in contenders}


def report(name: str, rbm: RBM, seconds: float) -> None:
    mnist = rbmkit.mnist()
    rng = np.random.default_rng(1)
    starts = three_starts(mnist, rng)
    means = mnist.train.mean(axis=0)
    as_in_ais = RBM(0 * rbm.W, logit(np.clip(means, 0.01, 0.99)), 0 * rbm.b)
    contenders = {
        "Gibbs": plain(rbm, starts, rng),
        "tempering": tempered([independent(rbm, mnist.train), rbm], starts, rng),
        "tempering, path of AIS": tempered([as_in_ais, rbm], starts, rng),
    }
    if torch is not None:
        contenders["rbms"] = peer(rbm, starts, len(contenders["tempering"][0].runs[0].rungs))
    print(f"\n### {name}, lambda_1 = {np.linalg.norm(rbm.W, 2):.1f}\n")
    print("| sampler | ladder | sweeps | R-hat | effective draws | per second ", end="")
    print("| round trips | pixels on, by start |")
    print("|---|---|---|---|---|---|---|---|")
    for sampler, (draws, spent) in race(contenders, seconds).items():
        kept = np.unpackbits(draws[len(draws) // 4 :], axis=-1, count=rbm.N).swapaxes(0, 1)
        verdict = rbmkit.equilibrium(rbm, list(kept))
        runs = getattr(contenders[sampler][0], "runs", [])
        trips = sum(int(run.result().round_trips.sum()) for run in runs) if runs else "-"
        on = ", ".join(f"{x.mean():.3f}" for x in kept)
        effective = verdict.ess.min()
        row = [sampler, contenders[sampler][1], f"{EVERY * len(draws):,}"]
        row += [f"{verdict.r_hat.max():.3f}", f"{effective:.0f}"]
        row += [f"{effective / (0.75 * spent):.2f}", str(trips), on]
        print("| " + " | ".join(row) + " |", flush=True)
    log_z(rbm, contenders["tempering"][0].runs, mnist, means)


def log_z(rbm: RBM, runs: list[Tempering], mnist, means: np.ndarray) -> None:
    how = {"temperatures": 3000, "pixel_means": means, "rng": 2}
    kept = [run.samples[len(run.samples) // 4 :: 10].reshape(-1, rbm.N) for run in runs]
    samples = np.concatenate(kept)[-500:]
    found = []
    for k, run in enumerate(runs):
        result = run.result()
        found.append((f"tempering, start {k + 1}", result.log_z[-1], result.log_z_stderr[-1]))
    for name, estimate in (
        ("AIS", rbmkit.ais(rbm, chains=200, **how)),
        ("reverse AIS from tempered samples", rbmkit.reverse_ais(rbm, samples, **how)),
    ):
        found.append((name, estimate.value, estimate.stderr))
    test = mnist.test[:50]
    bound = rbmkit.raise_bound(rbm, test, chains=20, **how)
    raised = -rbm.free_energy(test) - bound.value  # ln Z by each digit
    found.append(("RAISE on 50 digits", raised.mean(), raised.std(ddof=1) / np.sqrt(len(test))))
    print("\n| ln Z by | value | standard error |\n|---|---|---|")
    for name, value, error in found:
        print(f"| {name} | {value:.2f} | {error:.2f} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "models", nargs="*", help="files written by RBM.save; default: the shipped model"
    )
    parser.add_argument("--seconds", type=float, default=120.0, help="time per sampler and model")
    options = parser.parse_args()
    models = {path: RBM.load(path) for path in options.models}
    if not models:
        models = {"shipped model": rbmkit.trained()}
    absent = "rbms is not installed: it does not take part."
    print("rbms takes part." if torch is not None else absent)
    for name, rbm in models.items():
        report(name, rbm, options.seconds)


if __name__ == "__main__":
    main()
