"""How fast is rbmkit? One run: Gibbs steps, training, annealing and enumeration, beside other
packages and bare sgemm.

    python benchmarks/speed.py [--long] [--quick] [--unset] [--avx2]

    --long   also ln Z with 25 hidden units, and a finer scaling curve
    --quick  fewer rounds: checks that everything runs
    --unset  run once more in a process without the environment variables that steer BLAS and OpenMP
    --avx2   then Gibbs steps and training once more with AVX2 only, ours and OpenBLAS

`benchmarks/README.md` explains the rows and holds a table of results. scikit-learn is needed, rbms
(with torch) is used if it can be imported.
"""

import argparse
import importlib.metadata
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import llvmlite.binding as llvm
import numba
import numpy as np
import peers
from threadpoolctl import threadpool_info
from timing import Contender, interleave, milliseconds

import rbmkit
from rbmkit import RBM, SGD, Training, ais, exact_log_z, gibbs, mnist
from rbmkit.data import data_folder

N, CHAINS, RATE = (
    784,
    500,
    1e-4,
)  # a small learning rate: the weights stay as they are while updates are timed
STEERING = re.compile(
    r"(OMP|GOMP|KMP|MKL|OPENBLAS|GOTO|BLIS|BLAS|NVPL|VECLIB|NUMEXPR|"
    r"NUMBA_(NUM_THREADS|THREADING))_?"
)
US = "rbmkit"
AVX2 = {
    "NUMBA_CPU_NAME": "haswell",
    "NUMBA_CPU_FEATURES": "+avx,+avx2,+bmi,+bmi2,+f16c,+fma,+lzcnt,+movbe,+popcnt,+sse4.2",
    "OPENBLAS_CORETYPE": "Haswell",
}


# ---- models and chains -------------------------------------------------------------------------
def trained_model(data: np.ndarray) -> tuple[RBM, str]:
    """The checkpoint with 500 hidden units if it is there, else a quick one."""
    if (data_folder() / "rbm_mnist_500.npz").exists():
        return rbmkit.trained(), "the checkpoint with M = 500"
    return quick_model(data, 500, steps=5, epochs=3), "M = 500, 3 epochs of PCD-5"


def quick_model(data: np.ndarray, M: int, *, steps: int, epochs: float) -> RBM:
    start = RBM.random(N, M, sigma=0.01, rng=1, pixel_means=data.mean(axis=0))
    run = Training(
        start, data, steps=steps, batch_size=CHAINS, optimiser=SGD(0.05), centred=True, rng=2
    )
    return run.run(epochs, progress=False).rbm


def inverted(rbm: RBM) -> RBM:
    """The same model with black and white exchanged."""
    return RBM(-rbm.W, -rbm.a, rbm.b + rbm.W.sum(axis=0))


def samples(rbm: RBM, start: np.ndarray, beta: float = 1.0) -> np.ndarray:
    return gibbs(rbm, start, steps=100, rng=3, beta=beta).v


# ---- tables ------------------------------------------------------------------------------------
def table(head: list[str], rows: list[list[str]]) -> None:
    print("| " + " | ".join(head) + " |")
    print("|" + "---|" * len(head))
    for row in rows:
        print("| " + " | ".join(row) + " |")
    print(flush=True)


def results(title: str, contenders: dict[str, Contender]) -> None:
    """Median, quartiles and how many times slower than us, for each contender."""
    print(f"### {title}\n")
    rows = []
    for name, c in contenders.items():
        low, high = c.quartiles
        ratio = f"{c.median / contenders[US].median:.2f}"
        rows.append(
            [name, milliseconds(c.median), f"{milliseconds(low)} - {milliseconds(high)}", ratio]
        )
    table(["contender", "median, ms", "quartiles, ms", "times ours"], rows)


class Gates:
    """The goals of this package's speed, and whether this run met them."""

    def __init__(self):
        self.rows = []

    def at_most(self, what: str, value: float, limit: float, unit: str = "") -> None:
        self._add(what, value, f"<= {limit:g}{unit}", unit, value <= limit)

    def at_least(
        self, what: str, contenders: dict[str, Contender], name: str, limit: float
    ) -> None:
        if name in contenders:
            value = contenders[name].median / contenders[US].median
            self._add(f"{what}: {name} / ours", value, f">= {limit:g}", "", value >= limit)
        else:
            self.rows.append([f"{what}: {name} / ours", "not installed", f">= {limit:g}", "-"])

    def _add(self, what: str, value: float, goal: str, unit: str, passed: bool) -> None:
        self.rows.append([what, f"{value:.3g}{unit}", goal, "pass" if passed else "FAIL"])


# ---- sections ----------------------------------------------------------------------------------
def gibbs_section(rbm: RBM, v: np.ndarray, rounds: int, gates: Gates) -> None:
    rng, sgemm = np.random.default_rng(5), peers.sgemm_pair(rbm, len(v))
    off = RBM(
        rbm.W, rbm.a - 300, rbm.b - 300
    )  # never a unit on: the draw and the making of the sums remain
    contenders = {
        US: lambda: gibbs(rbm, v, steps=1, rng=rng),
        "rbmkit, 10 steps in a call": Contender(lambda: gibbs(rbm, v, steps=10, rng=rng), units=10),
        "rbmkit, all units off (no rows to add)": Contender(
            lambda: gibbs(off, 0 * v, steps=10, rng=rng), units=10
        ),
        **peers.gibbs_steps(rbm, v),
        "2 sgemm alone": sgemm,
        "rbmkit right after a threaded sgemm (the trap)": Contender(
            lambda: gibbs(rbm, v, steps=1, rng=rng), 1, sgemm
        ),
    }
    contenders = interleave(contenders, rounds=rounds)
    results(f"One Gibbs step v -> h -> v, {len(v)} chains", contenders)
    gates.at_most(
        "Gibbs step: ours / 2 sgemm",
        contenders[US].median / contenders["2 sgemm alone"].median,
        0.40,
    )
    gates.at_least("Gibbs step", contenders, "scikit-learn", 8)
    gates.at_least("Gibbs step", contenders, "rbms", 7)
    limits(rbm, v, contenders)


def limits(rbm: RBM, v: np.ndarray, contenders: dict[str, Contender]) -> None:
    """What the step spends its time on: bytes of rows added per second, and the share of what is
    not adding."""
    h = gibbs(rbm, v, steps=1, rng=6).h
    groups = [
        np.pad(x, ((0, 0), (0, -x.shape[1] % 4))).reshape(len(x), -1, 4).any(axis=2) for x in (v, h)
    ]
    size = 4.0 * (groups[0].sum() * rbm.M + groups[1].sum() * rbm.N)
    step, draw = (list(contenders.values())[k].median for k in (1, 2))
    print(
        f"v is {v.mean():.0%} on ({groups[0].mean():.0%} of its groups of four), h {h.mean():.0%} "
        f"({groups[1].mean():.0%}): {size / 1e6:.0f} MB of rows are added per step. The draw "
        f"and making the sums take {draw / step:.0%} of the step; in the rest, rows pass at "
        f"{size / (step - draw) / 1e9:.0f} GB/s.\n"
    )


def training_section(rbm: RBM, data: np.ndarray, v: np.ndarray, rounds: int, gates: Gates) -> None:
    for steps, goal in ((1, ("scikit-learn", 3)), (10, ("rbms", 6))):
        options = {"steps": steps, "batch_size": CHAINS, "optimiser": SGD(RATE), "rng": 7}
        plain, centred = (Training(rbm, data, centred=flag, **options) for flag in (False, True))
        part = 10 / plain.updates_per_epoch
        contenders = {
            US: Contender(lambda run=plain, part=part: run.run(part, progress=False), units=10),
            "rbmkit, centred": Contender(
                lambda run=centred, part=part: run.run(part, progress=False), units=10
            ),
            **peers.pcd_updates(rbm, data[:CHAINS], v, steps, RATE),
        }
        contenders = interleave(contenders, rounds=rounds)
        results(f"One PCD-{steps} update, batch {CHAINS}, {CHAINS} chains", contenders)
        if steps == 1:
            ratio = contenders[US].median / contenders["6 sgemm alone"].median
            gates.at_most("PCD-1 update: ours / 6 sgemm", ratio, 0.40)
        gates.at_least(f"PCD-{steps} update", contenders, *goal)


def annealing_section(
    rbm: RBM, means: np.ndarray, rounds: int, gates: Gates, temperatures: int = 100
) -> None:
    options = {"chains": CHAINS, "temperatures": temperatures, "pixel_means": means}
    contenders = {
        US: lambda: ais(rbm, rng=8, **options),
        **peers.ais_runs(rbm, CHAINS, temperatures, means),
    }
    contenders = interleave(contenders, rounds=rounds)
    results(f"AIS, {CHAINS} chains, {temperatures} temperatures", contenders)
    gates.at_least("AIS", contenders, "rbms", 15)


def enumeration_section(rbm: RBM, rounds: int, gates: Gates, long: bool) -> None:
    small = RBM(rbm.W[:, :20], rbm.a, rbm.b[:20])
    contenders = interleave({US: lambda: exact_log_z(small)}, rounds=rounds)
    peer = Contender(lambda: peers.numpy_log_z(small))
    peer.burst(1)
    difference = abs(exact_log_z(small) - peers.numpy_log_z(small)) if long else 0.0
    results("Exact ln Z, M = 20, N = 784", contenders | {"NumPy, chunked (one call)": peer})
    gates.at_most("Exact ln Z, M = 20", contenders[US].median, 0.5, " s")
    if long:
        large = RBM(rbm.W[:, :25], rbm.a, rbm.b[:25])
        start = time.perf_counter()
        exact_log_z(large)
        print(
            f"M = 25: {time.perf_counter() - start:.2f} s. M = 20 differs from NumPy by "
            f"{difference:.1e} nats.\n"
        )


def shapes_section(rbm: RBM, data: np.ndarray, v: np.ndarray, rounds: int, gates: Gates) -> None:
    """Where the sums might lose: other sizes, dense states, other temperatures; beside sgemm plus a
    fused pass."""
    many = np.tile(v, (10, 1))
    wide = quick_model(data[:30_000], 3000, steps=1, epochs=1)
    cases = {
        "500 chains": (rbm, v, 1.0),
        "200 chains": (rbm, v[:200], 1.0),
        "5,000 chains": (rbm, many, 1.0),
        "inverted digits (dense v)": (inverted(rbm), 1 - v, 1.0),
        "beta = 0.5": (rbm, samples(rbm, v, 0.5), 0.5),
        "beta = 2": (rbm, samples(rbm, v, 2.0), 2.0),
        "M = 3,000": (wide, samples(wide, v), 1.0),
        "M = 3,000, inverted": (inverted(wide), 1 - samples(wide, v), 1.0),
        "M = 3,000, 5,000 chains": (wide, samples(wide, many), 1.0),
    }
    print("### One Gibbs step at other sizes and densities\n")
    rows = []
    for name, (model, start, beta) in cases.items():
        contenders = {
            US: lambda model=model, start=start, beta=beta: gibbs(
                model, start, steps=1, rng=9, beta=beta
            ),
            "sgemm": peers.sgemm_pair(model, len(start)),
            "fused": peers.fused_pair(model, len(start), beta),
        }
        ours, sgemm, fused = (c.median for c in interleave(contenders, rounds=rounds).values())
        h = gibbs(model, start, steps=1, rng=9, beta=beta).h
        density = f"{start.mean():.0%}, {h.mean():.0%}"
        ratio = ours / (sgemm + fused)
        rows.append([name, density, *map(milliseconds, (ours, sgemm, fused)), f"{ratio:.2f}"])
        gates.at_most(f"{name}: ours / (2 sgemm + fused pass)", ratio, 1.0)
    table(
        ["case", "v, h on", "ours, ms", "2 sgemm, ms", "fused passes, ms", "ours / their sum"], rows
    )


def scaling_section(rbm: RBM, v: np.ndarray, rounds: int, fine: bool) -> None:
    """Time of a Gibbs step against the number of chains, and against N M."""
    counts = [64 * 2**k for k in range(0, 8, 1 if fine else 2)]
    curve("chains", counts, [(rbm, np.resize(v, (n, N))) for n in counts], rounds)
    widths = [64 * 2**k for k in range(0, 7, 1 if fine else 2)]
    models = [
        RBM(np.resize(rbm.W.T, (M, N)).T * min(1, 500 / M), rbm.a, np.resize(rbm.b, M))
        for M in widths
    ]
    curve("N M", [N * M for M in widths], [(model, samples(model, v)) for model in models], rounds)


def curve(what: str, x: list[int], cases: list[tuple[RBM, np.ndarray]], rounds: int) -> None:
    contenders = {
        str(k): Contender(lambda model=model, v=v: gibbs(model, v, steps=4, rng=10), units=4)
        for k, (model, v) in enumerate(cases)
    }
    times = np.array([c.median for c in interleave(contenders, rounds=rounds).values()])
    slope, offset = np.polyfit(x, times, 1, w=1 / times)
    exponent = np.polyfit(np.log(x), np.log(times), 1)[0]
    upper = np.polyfit(np.log(x[-2:]), np.log(times[-2:]), 1)[0]
    print(f"### Scaling of a Gibbs step with {what}\n")
    rows = [
        [f"{n:,}", milliseconds(t), f"{1e9 * t / n:.3g}"] for n, t in zip(x, times, strict=True)
    ]
    table([what, "median, ms", f"ns per {what}"], rows)
    print(
        f"Linear fit: {1e3 * offset:.3g} ms + {1e9 * slope:.3g} ns x {what}. "
        f"Exponent {exponent:.2f} over all, {upper:.2f} between the last two.\n"
    )


WORK = """
import time
start = time.perf_counter()
import rbmkit
imported = time.perf_counter() - start
import numpy as np
rbm = rbmkit.RBM(np.zeros((784, {M})), np.zeros(784), np.zeros({M}))
v = np.zeros((500, 784), np.uint8)
start = time.perf_counter()
if {work}:
    rbmkit.gibbs(rbm, v, steps=1, rng=1)
    gibbs = time.perf_counter() - start
    for optimiser in (rbmkit.SGD(0.1), rbmkit.Adam()):
        training = rbmkit.Training(rbm, v, steps=1, optimiser=optimiser, centred=True, rng=1)
        training.run(1, progress=False)
    rbmkit.ais(rbm, chains=10, temperatures=2, rng=1)
    rbmkit.exact_log_z(rbmkit.RBM(rbm.W[:, :8], rbm.a, rbm.b[:8]))
else:
    gibbs = 0.0
elapsed = time.perf_counter() - start
try:
    with open("/proc/self/status") as status:  # getrusage would count the parent's memory too
        peak = next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) / 1024
except OSError:
    peak = float("nan")
print(imported, gibbs, elapsed, peak)
"""


def fresh_process(work: bool, M: int = 500, cache: str | None = None) -> np.ndarray:
    """Seconds to import, to the end of the first Gibbs step, of all kernels; peak memory in MB."""
    environment = os.environ | ({"NUMBA_CACHE_DIR": cache} if cache else {})
    environment["PYTHONPATH"] = os.pathsep.join(
        [str(Path(rbmkit.__file__).parents[1]), os.environ.get("PYTHONPATH", "")]
    )
    script = WORK.format(work=work, M=M)
    run = subprocess.run(
        [sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True
    )
    return np.array(run.stdout.split(), float)


def start_section(rounds: int, gates: Gates) -> None:
    print("### Start-up and memory, in fresh processes\n")
    with tempfile.TemporaryDirectory() as folder:
        cold = fresh_process(True, cache=folder)
        warm = np.median([fresh_process(True, cache=folder) for _ in range(rounds)], axis=0)
        bare = np.median([fresh_process(False, cache=folder) for _ in range(rounds)], axis=0)
        wide = fresh_process(True, M=3000, cache=folder)
    rows = [
        ["import rbmkit", f"{bare[0]:.2f} s", f"{bare[3]:.0f} MB"],
        ["first Gibbs step, nothing compiled yet", f"{cold[1]:.1f} s", ""],
        ["one call of every kernel, nothing compiled yet", f"{cold[2]:.1f} s", f"{cold[3]:.0f} MB"],
        ["first Gibbs step, compiled before", f"{warm[1]:.2f} s", ""],
        ["one call of every kernel, compiled before", f"{warm[2]:.2f} s", f"{warm[3]:.0f} MB"],
        ["the same with M = 3,000", f"{wide[2]:.2f} s", f"{wide[3]:.0f} MB"],
    ]
    table(["what", "time", "peak memory"], rows)
    gates.at_most("import rbmkit", bare[0], 2, " s")


# ---- the run -----------------------------------------------------------------------------------
def set_up(model: str) -> None:
    versions = [
        f"{name} {version(name)}" for name in ("numpy", "numba", "scikit-learn", "rbms", "torch")
    ]
    steering = [f"{k}={x}" for k, x in sorted(os.environ.items()) if STEERING.match(k)] or ["none"]
    load = f"{os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else "unknown"
    print("## Speed of rbmkit\n")
    print(
        f"{os.cpu_count()} processors, load before the run {load}; "
        f"Python {sys.version.split()[0]}, ",
        end="",
    )
    print(", ".join(versions) + f"; {numba.get_num_threads()} threads.")
    found = [x for x in threadpool_info() if "architecture" in x]
    blas = {f"{x['internal_api']} {x['version']}, {x['architecture']}" for x in found}
    print(f"Kernels of BLAS: {'; '.join(sorted(blas)) or 'unknown'}. ", end="")
    print(f"Processor for numba: {numba.config.CPU_NAME or llvm.get_host_cpu_name()}.")
    print(f"Variables that steer threads and BLAS: {', '.join(steering)}.")
    print(f"Weights: {model}. Times are medians and quartiles of interleaved bursts.\n")


def version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    for name, text in (
        ("long", "also M = 25"),
        ("quick", "fewer rounds"),
        ("unset", "then once more without variables"),
        ("avx2", "then Gibbs steps and training with AVX2 only"),
        ("short", "Gibbs steps and training only"),
    ):
        parser.add_argument(f"--{name}", action="store_true", help=text)
    options = parser.parse_args()
    rounds, began = 2 if options.quick else 7, time.perf_counter()

    digits, gates = mnist(), Gates()
    rbm, description = trained_model(digits.train)
    v, means = samples(rbm, digits.test[:CHAINS]), digits.train.mean(axis=0)
    set_up(description)
    gibbs_section(rbm, v, rounds + 3, gates)
    training_section(rbm, digits.train, v, rounds, gates)
    if not options.short:
        other_sections(rbm, digits.train, v, means, rounds, gates, options)
    print("### Goals\n")
    table(["what", "measured", "goal", ""], gates.rows)
    print(f"{time.perf_counter() - began:.0f} s in all.\n", flush=True)
    if options.avx2:
        again(os.environ | AVX2, "--avx2", "--short")
    if options.unset:
        return again({k: x for k, x in os.environ.items() if not STEERING.match(k)}, "--unset")
    return 0


def again(environment: dict[str, str], without: str, *more: str) -> int:
    """The same in a new process with other variables."""
    arguments = [x for x in sys.argv if x != without]
    return subprocess.call([sys.executable, *arguments, *more], env=environment)


def other_sections(rbm, train, v, means, rounds, gates, options) -> None:
    annealing_section(rbm, means, min(rounds, 3), gates)
    enumeration_section(rbm, rounds, gates, options.long)
    shapes_section(rbm, train, v, min(rounds, 3), gates)
    scaling_section(rbm, v, min(rounds, 5), options.long)
    start_section(min(rounds, 3), gates)


if __name__ == "__main__":
    sys.exit(main())
