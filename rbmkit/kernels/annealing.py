"""Annealing: weigh the states at each temperature, then move them to the next."""

import math

import numpy as np

from rbmkit.kernels.draws import draw, exp_negative, make_keys
from rbmkit.kernels.fields import BLOCK, GROUP, SUMS, add_fields, list_rows, pack, unpack, width_of
from rbmkit.kernels.options import internal, parallel
from rbmkit.kernels.sampling import Law, draw_layer, new_states

f32 = np.float32


@internal
def bias_sums(da, groups, out):
    """da.v in the same groups of four as the sums, da flat: out (groups * 16,)."""
    for g in range(groups):
        for p in range(SUMS):
            total = 0.0
            for bit in range(GROUP):
                if p >> bit & 1:
                    total += da[GROUP * g + bit]
            out[g * SUMS + p] = total


@internal
def bias_energy(sums, packed, c, groups):
    """da.v of a packed state, from `bias_sums`."""
    total = 0.0
    for g in range(groups):
        total += sums[g * SUMS + packed[c, g]]
    return total


@internal
def _log_weight(acc, start, width, change, top, bottom):
    """change times the sum of max(acc, 0), plus the log of the product of top / bottom, for the
    units of a block.

    Apart from the loop that writes top and bottom: else the compiler keeps a second order of
    summation, for the case that arrays overlap."""
    linear, above, below = f32(0), f32(1), f32(1)
    for j in range(width):
        linear += max(acc[start + j], f32(0))
        above *= top[j]
        below *= bottom[j]
    return change * linear + math.log(above / below)


@internal
def _weigh_and_draw(layer, old, new, nothing, given, drawn, ratio, first, log_w, work):
    """Draw h at the inverse temperature `new`; ln prod_j (1 + e^(new x)) / (1 + e^(old x)) is added
    to log_w.

    nothing (units,) is zero; ratio (2, BLOCK) is work space for the two factors of each unit.
    """
    n = given.shape[0]
    tile = list_rows(given, layer.columns.shape[1] // GROUP, work)
    top, bottom = ratio[0], ratio[1]
    for block in range(layer.columns.shape[0]):
        width = width_of(layer, block)
        add_fields(layer, block, n, tile, work)
        for l in range(n):
            start, to = l * BLOCK, l * drawn.shape[1]
            draw(layer, block, nothing, 0, new, work.acc, start, work.keys[l], drawn, to, work.e)
            for j in range(width):
                top[j] = f32(1) + work.e[j]
                bottom[j] = f32(1) + exp_negative(-abs(old * work.acc[start + j]))
            change = float(new) - float(old)
            log_w[first + l] += _log_weight(work.acc, start, width, change, top, bottom)


@parallel
def anneal(first, last, hidden, visible, a0, v, betas, seed, step0, log_w):
    """Weigh, then move v (n, N) through p*_beta(v) = exp((a0 + beta da).v) prod_j (1 + exp(beta (b
    + v W)_j)).

    For each pair of neighbours old, new in `betas`: log_w += ln p*_new(v) - ln p*_old(v), then one
    block Gibbs step at new. The bias of `visible` is da = a - a0, padded, and a0 is padded and
    flat; v and log_w (float64) change in place. Padding units have field 0: they weigh nothing."""
    n = last - first
    packed_v, packed_h, work = new_states(hidden, visible, n)
    law = Law(a0, np.zeros(1, np.float32), np.zeros(n, np.int64))
    ratio, nothing = np.empty((2, BLOCK), np.float32), np.zeros(hidden.bias.size, np.float32)
    sums = np.empty(visible.groups * SUMS)
    bias_sums(visible.bias.ravel(), visible.groups, sums)
    pack(v, first, packed_v)
    for s in range(betas.size - 1):
        old, new = f32(betas[s]), f32(betas[s + 1])
        for l in range(n):
            log_w[first + l] += (betas[s + 1] - betas[s]) * bias_energy(
                sums, packed_v, l, visible.groups
            )
        half = 2 * (step0 + s)
        make_keys(seed, half, first, work.keys)
        _weigh_and_draw(hidden, old, new, nothing, packed_v, packed_h, ratio, first, log_w, work)
        make_keys(seed, half + 1, first, work.keys)
        law.scales[0] = new
        draw_layer(visible, law, work.keys, packed_h, packed_v, work)
    unpack(packed_v, v, first)
