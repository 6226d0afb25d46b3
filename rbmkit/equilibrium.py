"""Can these samples be trusted? A certificate from chains that started far apart.

No finite run proves equilibrium, but a run can disprove it: chains that have forgotten where they
started agree. Start some at one class of digits, some at another, some at random, and watch slow
observables: the free energy F(v) and the amplitudes x_i = U_i.v of the leading modes. Two numbers
judge each of them (Vehtari et al. 2021).

* *Split R-hat* compares the variance between groups with that inside them: R^2 = 1 - 1/n + B / W, n
  the draws in a group, W the mean variance inside, B the variance of the means of the groups. A
  group is one half in time of all chains from one start, so that neither starts nor halves may
  differ (Margossian et al. 2024 pool the chains of a start, because many short chains are no worse
  than a few long ones). Values are replaced by normal scores of their ranks, and the same is done
  with distances from the median, so that groups that differ in width do not pass. In equilibrium R
  exceeds 1 by about 1 / (2 ess of a group).
* The *effective sample size* is the number of draws divided by the sum of their autocorrelations,
  estimated from all chains together; chains that each stay where they are have about two effective
  draws each.

References
----------
- A. Vehtari, A. Gelman, D. Simpson, B. Carpenter, P.-C. Buerkner, Bayesian Analysis 16, 667 (2021).
- C. C. Margossian, M. D. Hoffman, P. Sountsov, L. Riou-Durand, A. Vehtari, A. Gelman, Bayesian
  Analysis (2024).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import norm, rankdata

from rbmkit import checks
from rbmkit.model import RBM

LARGEST_R_HAT = 1.01
LEAST_ESS = 400  # in all
LEAST_ESS_PER_CHAIN = 5


@dataclass(frozen=True, eq=False)
class Certificate:
    """Verdict on samples from several starts; print it.

    Attributes
    ----------
    names : tuple of str
        What was watched: F, x1, x2, ...
    r_hat : (k,) array
        Split R-hat of each, the larger one of ranks and of distances from the median.
    ess : (k,) array
        Effective sample size of each, all chains together.
    chains : int
        Number of chains, all starts together.
    """

    names: tuple[str, ...]
    r_hat: np.ndarray
    ess: np.ndarray
    chains: int

    @property
    def least_ess(self) -> float:
        """Effective draws that are asked for: 400, or 5 per chain if these are more."""
        return max(LEAST_ESS, LEAST_ESS_PER_CHAIN * self.chains)

    @property
    def agree(self) -> bool:
        """Starts and halves agree: all R-hat are at most 1.01."""
        return bool((self.r_hat <= LARGEST_R_HAT).all())

    @property
    def passed(self) -> bool:
        """Starts and halves agree, and there are enough effective draws."""
        return self.agree and bool((self.ess >= self.least_ess).all())

    def __str__(self) -> str:
        slow = int(self.r_hat.argmax())
        few = int(self.ess.argmin())
        if self.passed:
            verdict = "No sign of trapped chains"
        elif self.agree:
            verdict = f"Too short: {self.least_ess:.0f} effective draws are needed"
        else:
            verdict = "Not in equilibrium: chains remember where they started"
        return (
            f"{verdict}. Worst R-hat {self.r_hat[slow]:.3f} ({self.names[slow]}, at most "
            f"{LARGEST_R_HAT}); "
            f"fewest effective draws {self.ess[few]:.0f} ({self.names[few]}) from {self.chains} "
            "chains."
        )


def equilibrium(rbm: RBM, samples: Sequence[np.ndarray], *, modes: int = 5) -> Certificate:
    """Judge samples of `rbm` from at least two starts, as far apart as can be.

    Parameters
    ----------
    rbm : RBM
    samples : sequence of (draws, chains, N) arrays of 0 and 1
        One array per start, all of one shape, at least 4 draws: the visible states of each chain at
        equal intervals.
    modes : int, optional
        How many leading modes of W are watched beside the free energy (all, if there are fewer).

    Returns
    -------
    Certificate

    Raises
    ------
    ValueError
        Fewer than two starts or four draws, unequal shapes, other values than 0 and 1.
    """
    checks.instance(rbm, RBM, "rbm")
    modes = min(checks.positive_int(modes, "modes"), rbm.N, rbm.M)
    shapes = {np.shape(x) for x in samples}
    if (
        len(samples) < 2
        or len(shapes) > 1
        or len(next(iter(shapes))) != 3
        or next(iter(shapes))[0] < 4
    ):
        raise ValueError(
            "samples must be two or more arrays (draws, chains, N) of one shape, with at least 4 "
            "draws, one per start; "
            f"got {sorted(shapes)}"
        )
    draws, chains, _ = next(iter(shapes))
    U = np.linalg.svd(rbm.W, full_matrices=False)[0][:, :modes]
    watched = []
    for x in samples:
        v = checks.binary(np.reshape(x, (draws * chains, -1)), rbm.N, "samples")
        watched.append(
            np.column_stack([rbm.free_energy(v), v @ U]).reshape(draws, chains, modes + 1)
        )
    values = np.array(watched)  # (starts, draws, chains, k)
    return Certificate(
        ("F", *(f"x{i + 1}" for i in range(modes))),
        np.array([split_r_hat(x) for x in np.moveaxis(values, -1, 0)]),
        np.array([effective_sample_size(x) for x in np.moveaxis(values, -1, 0)]),
        len(samples) * chains,
    )


def split_r_hat(x: np.ndarray) -> float:
    """Split R-hat of one observable, x (starts, draws, chains): the larger one of ranks and of
    folded ranks."""
    x = checks.real_array(x, (None, None, None), "x")
    return max(_r_hat(_normal_scores(x)), _r_hat(_normal_scores(np.abs(x - np.median(x)))))


def effective_sample_size(x: np.ndarray) -> float:
    """Effective sample size of the normal scores of x (starts, draws, chains), from halves of
    single chains.

    1 - rho_t is the mean over chains of half the mean square of x(s + t) - x(s), over the variance
    of all draws; the sum over t ends where pairs rho_2k + rho_2k+1 become negative, and pairs may
    not grow (Geyer 1992).
    """
    scores = _halves(_normal_scores(checks.real_array(x, (None, None, None), "x")))
    chains = np.moveaxis(scores, 1, -1).reshape(-1, scores.shape[1])
    m, n = chains.shape
    within = chains.var(axis=1, ddof=1).mean()
    total = within * (n - 1) / n + chains.mean(axis=1).var(ddof=1)
    if total == 0:
        return float(m)  # nothing ever moved
    rho = 1 - (within - _autocovariance(chains).mean(axis=0) * n / (n - 1)) / total
    rho[0] = 1
    pairs = rho[: n // 2 * 2].reshape(-1, 2).sum(axis=1)
    negative = np.flatnonzero(pairs < 0)
    pairs = np.minimum.accumulate(pairs[: negative[0]] if len(negative) else pairs)
    return float(m * n / max(2 * pairs.sum() - 1, 1 / np.log10(m * n)))


def _normal_scores(x: np.ndarray) -> np.ndarray:
    ranks = rankdata(x).reshape(x.shape)  # ties share their mean rank
    return norm.ppf((ranks - 3 / 8) / (x.size + 1 / 4))


def _halves(x: np.ndarray) -> np.ndarray:
    """First and last half of the draws as separate starts: (2 starts, draws // 2, chains)."""
    half = x.shape[1] // 2
    return np.concatenate([x[:, :half], x[:, -half:]])


def _r_hat(x: np.ndarray) -> float:
    groups = _halves(x)
    groups = groups.reshape(len(groups), -1)
    within = groups.var(axis=1, ddof=1).mean()
    between = groups.mean(axis=1).var(ddof=1)
    if within == 0:
        return np.inf if between > 0 else 1.0
    return float(np.sqrt(1 - 1 / groups.shape[1] + between / within))


def _autocovariance(chains: np.ndarray) -> np.ndarray:
    """(m, n) autocovariances of the rows, lag 0 to n - 1, divided by n at all lags."""
    n = chains.shape[1]
    power = np.abs(np.fft.rfft(chains - chains.mean(axis=1, keepdims=True), 2 * n)) ** 2
    return np.fft.irfft(power, 2 * n)[:, :n] / n
