"""Training: hidden means, the gradient from states, and the steps of the optimisers."""

import math
from functools import partial
from typing import NamedTuple

import numpy as np

from rbmkit.kernels.draws import exp_negative
from rbmkit.kernels.fields import (
    BLOCK,
    GROUP,
    add_fields,
    add_rows,
    blocks_of,
    list_rows,
    new_work,
    pack,
    width_of,
)
from rbmkit.kernels.options import internal, jit, parallel
from rbmkit.kernels.sampling import gibbs
from rbmkit.machine import share

f32 = np.float32


class Phase(NamedTuple):
    """Samples of one phase, data or chains: states v (n, N), hidden means (blocks, n, BLOCK), and
    room for lists.

    rows (N, n + 1) uint32 lists for each unit the samples with its rarer value, and counts (N,) how
    many they are; ones (N,) is the number of samples with v_i = 1."""

    v: np.ndarray
    means: np.ndarray
    rows: np.ndarray
    counts: np.ndarray
    ones: np.ndarray


@parallel
def hidden_means(first, last, hidden, v, means):
    """<h | v> of the states first to last of v (n, N), to means (blocks, n, BLOCK)."""
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
            for j in range(width, BLOCK):
                means[block, first + l, j] = f32(0)


@internal
def _list_samples(v, i, value, rows):
    """Samples c with v[c, i] = value, to row i of `rows`; returns their number."""
    n = 0
    for c in range(v.shape[0]):
        rows[i, n] = c
        n += v[c, i] == value
    return n


@parallel
def list_rarer(first, last, phase):
    """For the units of blocks first to last, the samples with the rarer value of v_i, and the
    number of ones."""
    v = phase.v
    for i in range(first * BLOCK, min(v.shape[1], last * BLOCK)):
        phase.ones[i] = phase.counts[i] = _list_samples(v, i, 1, phase.rows)
        if 2 * phase.ones[i] > v.shape[0]:
            phase.counts[i] = _list_samples(v, i, 0, phase.rows)


@internal
def _total(means, block, total):
    """Sum of the hidden means of a block over all samples."""
    total[:] = f32(0)
    for c in range(means.shape[1]):
        for j in range(BLOCK):
            total[j] += means[block, c, j]


@internal
def _correlate(phase, block, total, i, acc):
    """acc = sum over samples of v_i times the hidden means of the block, from the samples with the
    rarer v_i."""
    acc[:] = f32(0)
    start = block * phase.means.shape[1] * BLOCK
    add_rows(
        phase.means, start, phase.rows, i * phase.rows.shape[1], phase.counts[i], acc, 0, acc, 0
    )
    if 2 * phase.ones[i] > phase.v.shape[0]:
        for j in range(BLOCK):
            acc[j] = total[j] - acc[j]


@parallel
def _correlations(first, last, data, chains, dW, db):
    """The parts of the gradient that belong to the hidden units of blocks first to last."""
    N, M = dW.shape
    n_d, n_m = f32(data.v.shape[0]), f32(chains.v.shape[0])
    total_d, total_m = np.empty(BLOCK, np.float32), np.empty(BLOCK, np.float32)
    acc_d, acc_m = np.empty(BLOCK, np.float32), np.empty(BLOCK, np.float32)
    for block in range(first, last):
        width, left = min(BLOCK, M - block * BLOCK), block * BLOCK
        _total(data.means, block, total_d)
        _total(chains.means, block, total_m)
        for j in range(width):
            db[left + j] = total_d[j] / n_d - total_m[j] / n_m
        for i in range(N):
            _correlate(data, block, total_d, i, acc_d)
            _correlate(chains, block, total_m, i, acc_m)
            for j in range(width):
                dW[i, left + j] = acc_d[j] / n_d - acc_m[j] / n_m


def run_phases(data, chains, chunks, hidden, *sweep):
    """Gibbs steps of the chains, then the hidden means of both phases; lists of the data. `chunks`
    are samples per task of the two phases, and `sweep` are the arguments of `gibbs`."""
    (n_d, n_m), (chunk_d, chunk_m) = (len(data.v), len(chains.v)), chunks
    tasks = [
        partial(_in_turn, *pair)
        for pair in zip(
            gibbs.tasks(n_m, chunk_m, *sweep),
            hidden_means.tasks(n_m, chunk_m, hidden, chains.v, chains.means),
            strict=True,
        )
    ]
    tasks += hidden_means.tasks(n_d, chunk_d, hidden, data.v, data.means)
    share(tasks + list_rarer.tasks(blocks_of(data.v.shape[1]), None, data))


def _in_turn(*tasks):
    for task in tasks:
        task()


def gradient(data, chains, dW, da, db):
    """Eq. (6): data minus model averages of v h, v and h, from two phases; the lists of the data
    must be there."""
    list_rarer(blocks_of(len(dW)), None, chains)
    _correlations(len(data.means), None, data, chains, dW, db)
    da[:] = data.ones / len(data.v) - chains.ones / len(chains.v)


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
