"""The picture on the front page, docs/_static/opening.png, from the trained models that the project
ships.

python -m tools.opening          # about three minutes on one core

At each moment two groups of chains start from the two ends of mode 1, all pixels on one side of U_1
set, and forget where they came from; the script stops if the two groups do not agree afterwards,
for then they are no samples. Mode 1 is the strongest mode of its moment: while the first modes grow
they mix and change places.
"""

from __future__ import annotations

import sys

import numpy as np

import rbmkit
from rbmkit.figures.opening import Moment, opening
from rbmkit.figures.style import png
from rbmkit.reciprocal import Modes, modes
from rbmkit.sampling import Chains
from tools import series

FILE = series.ROOT / "docs" / "_static" / "opening.png"
EPOCHS = (0.0, 0.2, 0.35, 0.5, 1.0)
# chains per side, steps before, measurements, steps between them
CHAINS = 300
FORGET = 2000
TIMES = 80
APART = 25
EDGES = np.linspace(-11, 11, 34)
RARE = 100  # counts, over all chains and times, below which a bin is not drawn
AGREE = 3.0  # standard errors by which two sides may differ in the worst of some 80 bins


def measure(rbm: rbmkit.RBM, rng: np.random.Generator) -> tuple[np.ndarray, Chains]:
    """u_1 of all chains at all times, (2, CHAINS, TIMES): one group from each end of mode 1; and
    the last states."""
    m = modes(rbm)
    ends = np.array([m.U[:, 0] < 0, m.U[:, 0] > 0], dtype=np.uint8)
    chains = rbmkit.gibbs(rbm, np.repeat(ends, CHAINS, axis=0), steps=FORGET, rng=rng)
    u = np.empty((TIMES, 2 * CHAINS))
    for k in range(TIMES):
        chains = rbmkit.gibbs(rbm, chains.v, steps=APART, rng=rng)
        u[k] = leading_u(m, chains)
    return u.T.reshape(2, CHAINS, TIMES), chains


def leading_u(m: Modes, chains: Chains) -> np.ndarray:
    """The unstable coordinate of mode 1, Eq. (19), of each state."""
    first = np.array([0])
    return m.to_uw(m.x(chains.v, first), m.y(chains.h, first), first)[0][:, 0]


def density(u: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Density of u in bins, its standard error over chains, and the counts; u is (chains,
    times)."""
    counts = np.array([np.histogram(chain, EDGES)[0] for chain in u])
    share = counts / u.shape[1] / np.diff(EDGES)
    return share.mean(axis=0), share.std(axis=0, ddof=1) / np.sqrt(len(u)), counts.sum(axis=0)


def moment(run, epoch: float, rng: np.random.Generator) -> Moment:
    """One column of the picture.

    Raises
    ------
    RuntimeError
        The two groups of chains differ.
    """
    rbm = run.rbm(int(np.flatnonzero(run.epochs == epoch)[0]))
    u, chains = measure(rbm, rng)
    p, error, counts = map(np.array, zip(*map(density, u)))
    seen = (counts > RARE).all(axis=0)
    worst = np.abs((p[0] - p[1])[seen] / np.hypot(*error[:, seen])).max()
    if worst > AGREE:
        raise RuntimeError(
            f"epoch {epoch:g}: the chains from both ends differ by {worst:.1f} standard errors"
        )
    with np.errstate(divide="ignore", invalid="ignore"):
        potential = np.where(seen, -np.log(p), np.nan)
        error = np.where(seen, error / p, np.nan)
    middle = (EDGES[1:] + EDGES[:-1]) / 2
    report(epoch, middle, potential, error, worst)
    one = rng.choice(2 * CHAINS, 12, replace=False)
    title = f"epoch {epoch:g}\n$\\lambda_1$ = {modes(rbm).s[0]:.1f}"
    return Moment(title, middle, potential, error, rbm.visible_mean(chains.h[one]))


def report(
    epoch: float, u: np.ndarray, potential: np.ndarray, error: np.ndarray, worst: float
) -> None:
    """Minima of -ln p, the two sides together, and the height of the barrier above the higher of
    them."""
    both = potential.mean(axis=0)
    bar = np.hypot(*error) / 2
    inner = np.arange(1, len(u) - 1)
    lower = (both[inner] < both[inner - 1]) & (both[inner] < both[inner + 1])
    minima = [k for k in inner[lower] if bar[k] < 0.1]
    print(
        f"epoch {epoch:g}: sides agree within {worst:.1f} standard errors; minima at "
        f"{u[minima].round(1)}",
        end="",
    )
    if len(minima) > 1:
        top = minima[0] + int(np.argmax(both[minima[0] : minima[-1]]))
        heights = both[top] - both[[minima[0], minima[-1]]]
        print(f", barrier at {u[top]:.1f}: {heights.round(2)} +- {bar[top]:.2f} kT", end="")
    print(flush=True)


def main() -> int:
    run = rbmkit.trajectory()
    rng = np.random.default_rng(0)
    fig, _ = opening([moment(run, epoch, rng) for epoch in EPOCHS])
    FILE.write_bytes(png(fig))
    print(f"{FILE.relative_to(series.ROOT)}: {FILE.stat().st_size / 1000:.0f} kB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
