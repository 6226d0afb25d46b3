"""Training: hidden means, the gradient from states, and the steps of the optimisers."""

import math
from functools import partial
from typing import NamedTuple

import numpy as np

from rbmkit.kernels.draws import exp_negative
from rbmkit.kernels.fields import (
    BLOCK,
    GROUP,
    SUMS,
    add_fields,
    layer,
    list_rows,
    new_work,
    pack,
    width_of,
)
from rbmkit.kernels.options import inlined, internal, jit, parallel
from rbmkit.kernels.sampling import gibbs
from rbmkit.machine import share

f32 = np.float32


class Phase(NamedTuple):
    """Samples of one phase, data or chains: states v (n, N) and hidden means as `new_columns` of
    them (0 in rows that fill up a group), of which sums are made: `total` (blocks, BLOCK) of the
    means, and `ones` (N,) of v."""

    v: np.ndarray
    means: np.ndarray
    total: np.ndarray
    ones: np.ndarray


@parallel
def hidden_means(first, last, hidden, v, means):
    """<h | v> of the states first to last of v (n, N), to means (blocks, n or more, BLOCK)."""
    n, groups = last - first, hidden.columns.shape[1] // GROUP
    packed = np.empty((n, groups), np.uint8)
    work = new_work(n, groups)
    pack(v, first, packed)
    tile = list_rows(packed, groups, work)
    for block in range(hidden.columns.shape[0]):
        width = width_of(hidden, block)
        add_fields(hidden, block, n, tile, work)
        for l in range(n):
            for j in range(width):
                z = work.acc[l * BLOCK + j]
                e = exp_negative(-abs(z))
                means[block, first + l, j] = (f32(1) if z >= f32(0) else e) / (f32(1) + e)


@jit
def _sum_means(phase):
    """The sum of the hidden means over the samples of a phase."""
    phase.total[:] = f32(0)
    for block in range(phase.means.shape[0]):
        for c in range(phase.v.shape[0]):
            for j in range(BLOCK):
                phase.total[block, j] += phase.means[block, c, j]


@internal
def _list_samples(phase, first, n):
    """Count the samples with v_i = 1 and list those with the rarer value, for n units from `first`
    on: returns work space with the lists, and the number of groups in a tile."""
    v = np.ascontiguousarray(phase.v.T[first : first + n])
    packed = np.empty((n, phase.means.shape[1] // GROUP), np.uint8)
    pack(v, 0, packed)
    for l in range(n):
        phase.ones[first + l] = 0
        for c in range(v.shape[1]):
            phase.ones[first + l] += v[l, c]
        if _mostly_one(phase, first + l):
            for g in range(packed.shape[1]):  # the last one too: means that fill it up are 0
                packed[l, g] ^= SUMS - 1
    work = new_work(n, packed.shape[1])
    return work, list_rows(packed, packed.shape[1], work)


@parallel
def _correlations(first, last, data, chains, of_data, of_chains, dW):
    """Rows first to last of the gradient of W.

    A sum over samples is a field: the samples are units, each visible unit is a chain, and the
    hidden means are the weights of the layers of_data and of_chains."""
    n, M = last - first, dW.shape[1]
    n_d, n_m = f32(data.v.shape[0]), f32(chains.v.shape[0])
    work_d, tile_d = _list_samples(data, first, n)
    work_m, tile_m = _list_samples(chains, first, n)
    for block in range(data.means.shape[0]):
        add_fields(of_data, block, n, tile_d, work_d)
        add_fields(of_chains, block, n, tile_m, work_m)
        left = block * BLOCK
        for l in range(n):
            x_d, y_d = _parts(data, first + l)
            x_m, y_m = _parts(chains, first + l)
            for j in range(min(BLOCK, M - left)):
                d = x_d * data.total[block, j] + y_d * work_d.acc[l * BLOCK + j]
                m = x_m * chains.total[block, j] + y_m * work_m.acc[l * BLOCK + j]
                dW[first + l, left + j] = d / n_d - m / n_m


@inlined
def _parts(phase, i):
    """(x, y): the sum over samples with v_i = 1 is x times that over all, plus y times that over
    the rarer."""
    return (f32(1), f32(-1)) if _mostly_one(phase, i) else (f32(0), f32(1))


@inlined
def _mostly_one(phase, i):
    return 2 * phase.ones[i] > phase.v.shape[0]


def run_phases(data, chains, chunks, hidden, *sweep):
    """Gibbs steps of the chains, then the hidden means of both phases. `chunks` are samples per
    task of the two phases, and `sweep` are the arguments of `gibbs`."""
    (n_d, n_m), (chunk_d, chunk_m) = (len(data.v), len(chains.v)), chunks
    tasks = [
        partial(_in_turn, *pair)
        for pair in zip(
            gibbs.tasks(n_m, chunk_m, *sweep),
            hidden_means.tasks(n_m, chunk_m, hidden, chains.v, chains.means),
            strict=True,
        )
    ]
    share(tasks + hidden_means.tasks(n_d, chunk_d, hidden, data.v, data.means))


def _in_turn(*tasks):
    for task in tasks:
        task()


def gradient(data, chains, dW, da, db):
    """Eq. (6): data minus model averages of v h, v and h, from two phases."""
    _sum_means(data)
    _sum_means(chains)
    weights = (layer(phase.means, np.zeros(len(db))) for phase in (data, chains))
    _correlations(len(dW), None, data, chains, *weights, dW)
    da[:] = data.ones / len(data.v) - chains.ones / len(chains.v)
    db[:] = (data.total / len(data.v) - chains.total / len(chains.v)).ravel()[: len(db)]


@jit
def centre(dW, da, db, v_mean, h_mean):
    """Turn the gradient, in place, into that of the RBM written in v - v_mean and h - h_mean."""
    N, M = dW.shape
    for i in range(N):
        for j in range(M):
            dW[i, j] -= v_mean[i] * db[j] + da[i] * h_mean[j]
    for i in range(N):
        total = f32(0)
        for j in range(M):
            total += dW[i, j] * h_mean[j]
            db[j] -= v_mean[i] * dW[i, j]
        da[i] -= total


@jit
def sgd_step(parameter, gradient, velocity, rate, momentum, decay, new_parameter, new_velocity):
    """Ascent with momentum, from flat arrays to others: velocity = momentum velocity + gradient -
    decay parameter."""
    for k in range(parameter.size):
        new_velocity[k] = momentum * velocity[k] + gradient[k] - decay * parameter[k]
        new_parameter[k] = parameter[k] + rate * new_velocity[k]


@jit
def adam_step(
    parameter,
    gradient,
    first,
    second,
    rate,
    beta1,
    beta2,
    epsilon,
    decay,
    new_parameter,
    new_first,
    new_second,
):
    """Adam's ascent step, from flat arrays to others; `rate` and `epsilon` hold the corrections for
    the start."""
    for k in range(parameter.size):
        g = gradient[k] - decay * parameter[k]
        new_first[k] = beta1 * first[k] + (f32(1) - beta1) * g
        new_second[k] = beta2 * second[k] + (f32(1) - beta2) * g * g
        new_parameter[k] = parameter[k] + rate * new_first[k] / (math.sqrt(new_second[k]) + epsilon)
