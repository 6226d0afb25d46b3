"""Models with known answers, on which samplers, training and likelihood estimates can be checked.

`planted` has singular values of one's choice, and `curie_weiss` a partition function that is known
at any size.
"""

from __future__ import annotations

import numpy as np
from scipy.special import gammaln, logsumexp

from rbmkit import checks
from rbmkit.model import RBM, softplus


def planted(
    N: int,
    M: int,
    *,
    singular_values: np.ndarray,
    rng: int | np.random.Generator,
    centred: bool = True,
) -> RBM:
    """A model of low rank, W = U diag(lambda) V^T, with the given singular values and random
    orthonormal modes.

    Parameters
    ----------
    N, M : int
        Numbers of visible and hidden units.
    singular_values : (r,) array
        The lambda_i >= 0, r <= min(N, M). A mode alone is critical at lambda = 4 / beta.
    rng : int or Generator
        Seed or random generator.
    centred : bool, optional
        If true, a_i = -sum_j W_ij / 2 and b_j = -sum_i W_ij / 2. Then, up to a constant, E = -(v -
        1/2).W.(h - 1/2): the model is symmetric under (v, h) -> (1 - v, 1 - h) and m = 1/2 solves
        the mean-field equations. If false, the fields are zero.
    """
    N = checks.positive_int(N, "N")
    M = checks.positive_int(M, "M")
    rng = checks.as_generator(rng)
    values = checks.real_array(singular_values, (None,), "singular_values")
    if values.min() < 0 or len(values) > min(N, M):
        raise ValueError(
            f"singular_values must be >= 0 and at most min(N, M) = {min(N, M)} many, got {values}"
        )
    U, V = (np.linalg.qr(rng.normal(size=(n, len(values))))[0] for n in (N, M))
    return _with_fields((U * values) @ V.T, centred)


def curie_weiss(N: int, M: int, *, singular_value: float) -> RBM:
    """The bipartite Curie-Weiss ferromagnet: equal couplings, and symmetry under (v, h) -> (1 - v,
    1 - h).

    W_ij = w = lambda / sqrt(N M) has the one singular value lambda, and E = -w (sum v - N/2)(sum h
    - M/2) + const depends on nothing but the numbers of active units. With s = sum v - N/2 the
    marginal is p(v) ~ cosh(beta w s / 2)^M, which for M -> infinity becomes exp(beta^2 lambda^2 s^2
    / (8 N)), the Curie-Weiss model of N spins. For large N and M it is critical at lambda = 4 /
    beta.

    Parameters
    ----------
    N, M : int
        Numbers of visible and hidden units.
    singular_value : float
        The lambda >= 0.
    """
    N = checks.positive_int(N, "N")
    M = checks.positive_int(M, "M")
    value = checks.nonnegative_float(singular_value, "singular_value")
    return _with_fields(np.full((N, M), value / np.sqrt(N * M)), centred=True)


def curie_weiss_log_weights(rbm: RBM, beta: float = 1.0) -> np.ndarray:
    """Exact ln of the total weight of all states with k visible units on, for k = 0, ..., N, of a
    uniform model.

    With W_ij = w, a_i = a, b_j = b the sum over h factorises and the one over v only counts,

        ln z_k = ln binom(N, k) + beta a k + M ln(1 + exp(beta (b + w k))),     ln Z = ln sum_k z_k,

    and p(sum v = k) = z_k / Z. The cost is O(N), at any size.

    Parameters
    ----------
    rbm : RBM
        A model with equal couplings and equal fields in each layer, as made by `curie_weiss`.
    beta : float, optional
        Inverse temperature, >= 0.

    Returns
    -------
    (N + 1,) float64 array

    Raises
    ------
    ValueError
        The couplings, or the fields of a layer, are not all equal.
    """
    checks.instance(rbm, RBM, "rbm")
    beta = checks.inverse_temperature(beta)
    if any(np.ptp(x) > 1e-12 * np.abs(x).max() for x in (rbm.W, rbm.a, rbm.b)):
        raise ValueError("rbm must be uniform: all couplings equal, and all fields within a layer")
    k = np.arange(rbm.N + 1)
    log_binomial = gammaln(rbm.N + 1) - gammaln(k + 1) - gammaln(rbm.N - k + 1)
    return (
        log_binomial + beta * rbm.a[0] * k + rbm.M * softplus(beta * (rbm.b[0] + rbm.W[0, 0] * k))
    )


def curie_weiss_log_z(rbm: RBM, beta: float = 1.0) -> float:
    """Exact ln Z of a uniform model, as made by `curie_weiss`: see `curie_weiss_log_weights`."""
    return float(logsumexp(curie_weiss_log_weights(rbm, beta)))


def _with_fields(W: np.ndarray, centred: bool) -> RBM:
    scale = -0.5 if centred else 0.0
    return RBM(W=W, a=scale * W.sum(axis=1), b=scale * W.sum(axis=0))
