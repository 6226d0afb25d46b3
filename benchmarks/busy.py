"""How much all threads gain, or lose, over one while other programs work.

python benchmarks/busy.py [--busy N] [--rounds N]

Times a Gibbs step of 500 chains and a PCD-1 update (784 visible and 500 hidden units) in processes
of their own, one contender after the other, round by round: one thread, and all threads, which
sleep while they wait. Prints medians in milliseconds, with the quartiles over the rounds, on a
quiet machine and beside N busy processes.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys

CONTENDERS = {
    "one thread": {"NUMBA_NUM_THREADS": "1"},
    "all threads": {},
}
CODE = """
import time
import numpy as np
import rbmkit

rng = np.random.default_rng(0)
data = (rng.random((2000, 784)) < 0.2).astype(np.uint8)
rbm = rbmkit.RBM.random(784, 500, sigma=0.05, rng=0)
training = rbmkit.Training(rbm, data, method="PCD", steps=1, batch_size=500, chains=500, rng=0)
steps, epochs = 40, 4

def timed(work):
    work()
    start = time.perf_counter()
    work()
    return 1000 * (time.perf_counter() - start)

print(timed(lambda: rbmkit.gibbs(rbm, data[:500], steps=steps, rng=0)) / steps)
print(timed(lambda: training.run(epochs=epochs, progress=False)) / (epochs * 4))
"""


def measure(environment: dict[str, str]) -> list[float]:
    """Milliseconds of a Gibbs step and of an update, in a new process."""
    clean = {name: value for name, value in os.environ.items() if name != "NUMBA_NUM_THREADS"}
    command = [sys.executable, "-c", CODE]
    printed = subprocess.check_output(command, env=clean | environment, text=True)
    return [float(line) for line in printed.split()]


def table(title: str, rounds: int) -> None:
    """All contenders in turn, `rounds` times."""
    found = {name: [] for name in CONTENDERS}
    for _ in range(rounds):
        for name, setting in CONTENDERS.items():
            found[name].append(measure(setting))
    print(f"\n{title}\n\n| | Gibbs step, ms | PCD-1 update, ms |\n|---|---|---|")
    for name, rows in found.items():
        quartiles = [statistics.quantiles(column, n=4) for column in zip(*rows)]
        cells = [f"{median:.2f} ({low:.2f} - {high:.2f})" for low, median, high in quartiles]
        print(f"| {name} | {' | '.join(cells)} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument(
        "--busy", type=int, default=4, metavar="N", help="busy processes, %(default)s"
    )
    parser.add_argument("--rounds", type=int, default=5, metavar="N", help="%(default)s")
    chosen = parser.parse_args()
    table("No other work", chosen.rounds)
    others = [
        subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(chosen.busy)
    ]
    try:
        table(f"Beside {chosen.busy} busy processes", chosen.rounds)
    finally:
        for process in others:
            process.kill()


if __name__ == "__main__":
    main()
