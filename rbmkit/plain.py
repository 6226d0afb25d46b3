"""An RBM in plain NumPy, as a textbook prints it: sampling, and training by CD, PCD or Rdm. Read
this first.

The model has couplings W (N, M) and fields a (N,), b (M,); states v (n, N) and h (n, M) hold 0 and
1, one per row:

    E(v, h) = -a.v - b.h - v.W.h,        p(v, h) = exp(-E(v, h)) / Z.                     Eq. (3)

`rbmkit.gibbs` and `rbmkit.Training` do the same with compiled kernels, many times faster; the tests
compare them.
"""

import numpy as np


def sigmoid(x):
    """1 / (1 + exp(-x)): the mean of a unit in the field x."""
    return 1 / (1 + np.exp(-x))


def toss(p, rng):
    """Coins: 1 with the probabilities p, else 0."""
    return (rng.random(p.shape) < p).astype(float)


def sample_hidden(W, b, v, rng):
    """h given v, Eq. (11): all units at once, since none of them feels another of its layer."""
    return toss(sigmoid(b + v @ W), rng)


def sample_visible(W, a, h, rng):
    """v given h, Eq. (11)."""
    return toss(sigmoid(a + h @ W.T), rng)


def gibbs(W, a, b, v, steps, rng):
    """Block Gibbs sampling: `steps` times h given v, then v given h. After many of them v is a
    sample of the model."""
    for _ in range(steps):
        h = sample_hidden(W, b, v, rng)
        v = sample_visible(W, a, h, rng)
    return v


def gradient(W, b, data, chains):
    """Gradient of the log-likelihood, Eq. (6): averages over the data minus those over samples of
    the model.

    The hidden units enter by their means given v, which is less noisy than by their states.
    """
    h_data = sigmoid(b + data @ W)
    h_chains = sigmoid(b + chains @ W)
    dW = data.T @ h_data / len(data) - chains.T @ h_chains / len(chains)
    da = data.mean(axis=0) - chains.mean(axis=0)
    db = h_data.mean(axis=0) - h_chains.mean(axis=0)
    return dW, da, db


def start(method, batch, chains, W, b, rng):
    """Hidden states from which the chains start at an update: the only difference between the
    methods."""
    if method == "CD":  # at the data
        return sample_hidden(W, b, batch, rng)
    if method == "PCD":  # where the last update left them
        return sample_hidden(W, b, chains, rng)
    if method == "Rdm":  # anywhere
        return toss(np.full((len(chains), len(b)), 0.5), rng)
    raise ValueError(f"unknown method {method!r}")


def train(W, a, b, data, *, method, steps, batch_size, rate, epochs, rng):
    """Stochastic gradient ascent of the log-likelihood, Eq. (13); returns the new W, a and b."""
    chains = data[rng.integers(len(data), size=batch_size)]
    for _ in range(epochs):
        shuffled = data[rng.permutation(len(data))]
        for k in range(0, len(data) - batch_size + 1, batch_size):
            batch = shuffled[k : k + batch_size]
            h = start(method, batch, chains, W, b, rng)
            v = sample_visible(W, a, h, rng)
            chains = gibbs(W, a, b, v, steps - 1, rng)
            dW, da, db = gradient(W, b, batch, chains)
            W = W + rate * dW
            a = a + rate * da
            b = b + rate * db
    return W, a, b
