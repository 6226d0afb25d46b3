"""Block Gibbs sampling, plain, with units held, and with fields of their own for each chain."""

from typing import NamedTuple

import numpy as np

from rbmkit.kernels.draws import draw, make_keys
from rbmkit.kernels.fields import (
    BLOCK,
    GROUP,
    add_fields,
    list_rows,
    new_work,
    pack,
    unpack,
    width_of,
)
from rbmkit.kernels.options import internal, parallel

f32 = np.float32


class Law(NamedTuple):
    """What the fields of a layer become: z = fields[row[c]] + scales[row[c]] (bias + couplings) in
    chain c.

    fields is a flat array of rows as long as the blocks of the layer.
    """

    fields: np.ndarray
    scales: np.ndarray
    row: np.ndarray


@internal
def one_law(layer, scale, n):
    """The law of n chains with z = scale (bias + couplings)."""
    scales = np.empty(1, np.float32)
    scales[0] = scale
    return Law(np.zeros(layer.bias.size, np.float32), scales, np.zeros(n, np.int64))


@internal
def draw_layer(layer, law, keys, given, drawn, work):
    """Draw a layer of all chains from the packed states of the other: given and drawn."""
    n = given.shape[0]
    tile = list_rows(given, layer.columns.shape[1] // GROUP, work)
    for block in range(layer.columns.shape[0]):
        add_fields(layer, block, n, tile, work)
        for l in range(n):
            r, to = law.row[l], l * drawn.shape[1]
            draw(
                layer,
                block,
                law.fields,
                r,
                law.scales[r],
                work.acc,
                l * BLOCK,
                keys[l],
                drawn,
                to,
                None,
            )


@internal
def new_states(hidden, visible, n):
    """Packed states of n chains, v and h, all zero, and their work space."""
    packed_v = np.zeros((n, visible.columns.shape[0] * (BLOCK // GROUP)), np.uint8)
    packed_h = np.zeros((n, hidden.columns.shape[0] * (BLOCK // GROUP)), np.uint8)
    return packed_v, packed_h, new_work(n, max(visible.groups, hidden.groups))


@internal
def _put_back(held, mask, packed):
    """The bits of `held` that are set in mask, into packed states. (As an array expression it
    compiles for three seconds.)"""
    for c in range(packed.shape[0]):
        for g in range(mask.size):
            packed[c, g] ^= (packed[c, g] ^ held[c, g]) & mask[g]


@parallel
def gibbs(first, last, hidden, visible, v, h, steps, beta, seed, step0, mask):
    """`steps` block Gibbs steps v -> h -> v of chains first to last, in place on v (n, N) and h (n,
    M) uint8.

    The units v whose bits are set in mask (16 x blocks of v,) uint8 are held as they are: they are
    drawn like all others and then put back. Given h, units are independent."""
    n = last - first
    packed_v, packed_h, work = new_states(hidden, visible, n)
    law_h, law_v = one_law(hidden, beta, n), one_law(visible, beta, n)
    pack(v, first, packed_v)
    held = packed_v.copy()
    for step in range(step0, step0 + steps):
        make_keys(seed, 2 * step, first, work.keys)
        draw_layer(hidden, law_h, work.keys, packed_v, packed_h, work)
        make_keys(seed, 2 * step + 1, first, work.keys)
        draw_layer(visible, law_v, work.keys, packed_h, packed_v, work)
        _put_back(held, mask, packed_v)
    unpack(packed_v, v, first)
    unpack(packed_h, h, first)


@internal
def _draw_tilted(layer, tilt, given, drawn, first, total, work):
    """`draw_layer` at beta = 1 with tilt[c] added to the fields; adds the probabilities of 1 to
    `total`."""
    n = given.shape[0]
    tile = list_rows(given, layer.columns.shape[1] // GROUP, work)
    for block in range(layer.columns.shape[0]):
        add_fields(layer, block, n, tile, work)
        for l in range(n):
            c, start, to = first + l, l * BLOCK, l * drawn.shape[1]
            draw(layer, block, tilt, c, f32(1), work.acc, start, work.keys[l], drawn, to, work.e)
            for j in range(width_of(layer, block)):
                e = work.e[j]
                z = tilt[c, block, j] + work.acc[start + j]
                total[c, block, j] += (f32(1) if z >= f32(0) else e) / (f32(1) + e)


@parallel
def tilted_gibbs(first, last, hidden, visible, tilt, v, steps, seed, step0, total):
    """`gibbs` at beta = 1 on v (n, N), with visible fields a + tilt[c] in chain c, both padded.

    total (n, blocks, BLOCK) gains the conditional means <v | h> of every step.
    """
    n = last - first
    packed_v, packed_h, work = new_states(hidden, visible, n)
    law = one_law(hidden, f32(1), n)
    pack(v, first, packed_v)
    for step in range(step0, step0 + steps):
        make_keys(seed, 2 * step, first, work.keys)
        draw_layer(hidden, law, work.keys, packed_v, packed_h, work)
        make_keys(seed, 2 * step + 1, first, work.keys)
        _draw_tilted(visible, tilt, packed_h, packed_v, first, total, work)
    unpack(packed_v, v, first)
