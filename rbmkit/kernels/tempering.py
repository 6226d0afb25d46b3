"""Replica exchange.

Rung r of a ladder is an RBM with couplings scales[r] W and its own fields. Rungs that share W are a
stretch: rungs edges[s] to edges[s + 1], columns of W in the s-th part of those of the layer. A task
owns whole ladders; its chains stand in the order of the rungs, so that a stretch is one block of
chains that shares the sums of a tile.

An exchange wants the weight of every state on its own rung and on the partner's. Both come from the
fields that the next draw of h needs, and with them h is drawn for both rungs from the same random
numbers: whatever the exchange decides, the right h is there. Since v is drawn next, exchanging the
h of two rungs exchanges the states."""

import math
from typing import NamedTuple

import numpy as np

from rbmkit.kernels.annealing import bias_energy, bias_sums
from rbmkit.kernels.draws import draw, key_of, uniform
from rbmkit.kernels.fields import (
    BLOCK,
    GROUP,
    SUMS,
    Layer,
    add_fields,
    list_rows,
    new_work,
    pack,
    unpack,
    width_of,
)
from rbmkit.kernels.options import internal, parallel
from rbmkit.kernels.sampling import Law, draw_layer

f32 = np.float32


class Ladder(NamedTuple):
    """What all ladders share: fields of the rungs, padded, flat, float32; their scales; the edges
    of stretches."""

    a: np.ndarray
    b: np.ndarray
    scales: np.ndarray
    edges: np.ndarray


class Chains(NamedTuple):
    """The chains of a task, n for each rung: packed v (chains, groups); h (2, chains, groups) and
    its weight on the own rung and on the partner's; rung and partner; the random stream, and its
    keys.

    rows (2, chains) holds the own rung and the partner, if that has the same W: else the own rung
    again."""

    v: np.ndarray
    h: np.ndarray
    weight: np.ndarray
    rung: np.ndarray
    partner: np.ndarray
    rows: np.ndarray
    stream: np.ndarray
    keys: np.ndarray


@internal
def _new_chains(hidden, visible, edges, rungs, n, first):
    stretches, chains = edges.size - 1, rungs * n
    groups_v = visible.columns.shape[0] // stretches * (BLOCK // GROUP)
    groups_h = hidden.columns.shape[0] // stretches * (BLOCK // GROUP)
    rung, stream = np.empty(chains, np.int64), np.empty(chains, np.int64)
    for r in range(rungs):
        for l in range(n):
            rung[r * n + l] = r
            stream[r * n + l] = (first + l) * (rungs + 1) + r
    return Chains(
        np.zeros((chains, groups_v), np.uint8),
        np.zeros((2, chains, groups_h), np.uint8),
        np.empty((2, chains)),
        rung,
        np.empty(chains, np.int64),
        np.empty((2, chains), np.int64),
        stream,
        np.empty(chains, np.uint64),
    )


@internal
def _make_keys(seed, half, stream, keys):
    for c in range(keys.size):
        keys[c] = key_of(seed, half, stream[c])


@internal
def _stretch(layer, k, stretches):
    """The layer with the couplings of one stretch."""
    blocks = layer.columns.shape[0] // stretches
    return Layer(layer.columns[k * blocks : (k + 1) * blocks], layer.bias, layer.groups)


@internal
def _softplus_sum(linear, one_plus, width):
    """Sum of z_+ + ln(1 + e^-|z|) over the units of a block. (Apart for the reason given at
    `_log_weight`.)"""
    total, product = f32(0), f32(1)
    for j in range(width):
        total += linear[j]
        product *= one_plus[j]
    return total + math.log(product)


@internal
def _draw_sides(layer, ladder, chains, first_side, first, last, parts, work):
    """Draw h on the rungs in chains.rows, sides first_side to 1, and add the ln of prod_j (1 +
    e^z_j) to weight.

    parts (2, BLOCK) is work space.
    """
    n, h, size = last - first, chains.h, layer.columns.shape[0] * BLOCK
    linear, one_plus = parts[0], parts[1]
    tile = list_rows(chains.v[first:last], layer.columns.shape[1] // GROUP, work)
    for block in range(layer.columns.shape[0]):
        width = width_of(layer, block)
        add_fields(layer, block, n, tile, work)
        for l in range(n):
            c, start = first + l, l * BLOCK
            for side in range(first_side, 2):
                r, to = chains.rows[side, c], (side * h.shape[1] + c) * h.shape[2]
                scale = ladder.scales[r]
                draw(
                    layer, block, ladder.b, r, scale, work.acc, start, chains.keys[c], h, to, work.e
                )
                for j in range(width):
                    z = ladder.b[r * size + block * BLOCK + j] + scale * work.acc[start + j]
                    linear[j], one_plus[j] = max(z, f32(0)), f32(1) + work.e[j]
                chains.weight[side, c] += _softplus_sum(linear, one_plus, width)


@internal
def _pair_up(chains, edges, odd, last_rung):
    """Partners at an even or odd sweep."""
    s = 0
    for c in range(chains.rung.size):
        r = chains.rung[c]
        while r >= edges[s + 1]:
            s += 1
        p = r + 1 if (r + odd) % 2 == 0 else r - 1
        partner = p if 0 <= p <= last_rung else r
        chains.partner[c], chains.rows[0, c] = partner, r
        chains.rows[1, c] = partner if edges[s] <= partner < edges[s + 1] else r


@internal
def _draw_h(hidden, ladder, chains, n, parts, work):
    """Draw h of all chains on both rungs, stretch by stretch; then again where the partner has
    another W."""
    edges, stretches = ladder.edges, ladder.edges.size - 1
    both, one = np.int64(0), np.int64(1)  # literals would compile `_draw_sides` twice
    chains.weight[:] = 0.0
    for k in range(stretches):
        layer = _stretch(hidden, k, stretches)
        _draw_sides(layer, ladder, chains, both, edges[k] * n, edges[k + 1] * n, parts, work)
    for first in range(0, chains.rung.size, n):
        partner = chains.partner[first]
        if partner != chains.rows[1, first]:
            k = 0
            while partner >= edges[k + 1]:
                k += 1
            chains.rows[1, first : first + n] = partner
            chains.weight[1, first : first + n] = 0.0
            _draw_sides(
                _stretch(hidden, k, stretches), ladder, chains, one, first, first + n, parts, work
            )


@internal
def _exchange(chains, bias_steps, groups_v, n, first, odd, seed, half, replica, work):
    """Exchange the states of partners with probability min(1, e^(sum of their works)); works go to
    work[l, r]."""
    rungs = replica.shape[1]
    for l in range(n):
        key = key_of(seed, half, (first + l) * (rungs + 1) + rungs)
        for r in range(odd, rungs - 1, 2):
            total = 0.0
            for side in range(2):
                c = (r + side) * n + l
                energy = bias_energy(bias_steps[r], chains.v, c, groups_v)
                gain = chains.weight[1, c] - chains.weight[0, c] + (-energy if side else energy)
                work[first + l, r + side] = gain
                total += gain
            if uniform(key, r) <= math.exp(min(total, 0.0)):
                i, j = r * n + l, (r + 1) * n + l
                for g in range(chains.h.shape[2]):
                    chains.h[0, i, g], chains.h[0, j, g] = chains.h[1, j, g], chains.h[1, i, g]
                upper = replica[first + l, r + 1]
                replica[first + l, r + 1] = replica[first + l, r]
                replica[first + l, r] = upper


@parallel
def temper(first, last, hidden, visible, ladder, v, replica, seed, sweep0, works, replicas):
    """Sweeps of replica exchange of the ladders first to last, in place on v (rungs, ladders, N)
    and replica (ladders, rungs).

    A sweep draws h, exchanges the states of rungs (0, 1), (2, 3), ... or, if its number is odd, (1,
    2), (3, 4), ..., and draws v. The layers have the couplings of all stretches and no bias. works
    (sweeps, ladders, rungs) becomes ln p*_partner(v) - ln p*_own(v) of the states before the
    exchange; replicas (same shape) which replica is where after it."""
    n, rungs, edges = last - first, ladder.scales.size, ladder.edges
    stretches, size_v, widest = edges.size - 1, ladder.a.size // rungs, 0
    bias_steps = np.empty((rungs - 1, visible.groups * SUMS))
    for r in range(rungs - 1):
        lower, upper = (
            ladder.a[r * size_v : (r + 1) * size_v],
            ladder.a[(r + 1) * size_v : (r + 2) * size_v],
        )
        bias_sums(upper - lower, visible.groups, bias_steps[r])
    for k in range(stretches):
        widest = max(widest, edges[k + 1] - edges[k])
    chains = _new_chains(hidden, visible, edges, rungs, n, first)
    work, parts = (
        new_work(n * widest, max(visible.groups, hidden.groups)),
        np.empty((2, BLOCK), np.float32),
    )
    for r in range(rungs):
        pack(v[r], first, chains.v[r * n : (r + 1) * n])
    for s in range(works.shape[0]):
        half, odd = 2 * (sweep0 + s), (sweep0 + s) % 2
        _pair_up(chains, edges, odd, rungs - 1)
        _make_keys(seed, half, chains.stream, chains.keys)
        _draw_h(hidden, ladder, chains, n, parts, work)
        _exchange(chains, bias_steps, visible.groups, n, first, odd, seed, half, replica, works[s])
        for l in range(first, last):  # `replicas[s, first:last] = ...` compiles for three seconds
            for r in range(rungs):
                replicas[s, l, r] = replica[l, r]
        _make_keys(seed, half + 1, chains.stream, chains.keys)
        for k in range(stretches):
            part = slice(edges[k] * n, edges[k + 1] * n)
            law = Law(ladder.a, ladder.scales, chains.rung[part])
            layer, h, keys = _stretch(visible, k, stretches), chains.h[0, part], chains.keys[part]
            draw_layer(layer, law, keys, h, chains.v[part], work)
    for r in range(rungs):
        unpack(chains.v[r * n : (r + 1) * n], v[r], first)
