"""Fields as sums of rows: the weights in blocks of columns, groups of four units, and their
sums."""

from typing import NamedTuple

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from rbmkit.kernels.options import inlined, internal, parallel

GROUP = 4  # units per group (`pack` and the draw are written for four)
SUMS = 1 << GROUP  # states of a group
BLOCK = 64  # columns per block of a table
LANES = 16  # floats per vector
TILE = 16  # rows added for one chain, on average, before it is the next chain's turn
LARGEST_TILE = 64  # groups whose sums are made at once


class Layer(NamedTuple):
    """What drives the units of a layer: weights in blocks of columns, fields, and how many units
    there are.

    columns (blocks, units of the other layer, BLOCK) and bias (blocks, BLOCK) are float32, with
    zeros for units that fill up a group or a block; groups is the number of groups of units of this
    layer."""

    columns: np.ndarray
    bias: np.ndarray
    groups: int


class Work(NamedTuple):
    """Work space of a task.

    rows lists what is added, tile by tile and chain by chain, and counts has the lengths of these
    lists; sums are those of a tile, acc the fields of one block for all chains; keys are those of
    the random numbers of the chains, and e holds e^-|z| of one block and chain. All are flat."""

    rows: np.ndarray
    counts: np.ndarray
    sums: np.ndarray
    acc: np.ndarray
    keys: np.ndarray
    e: np.ndarray


# ---- weights and fields in blocks --------------------------------------------------------------
def blocks_of(n):
    """Number of blocks of columns that hold n units."""
    return -(-n // BLOCK)


def groups_of(n):
    """Number of groups that hold n units."""
    return -(-n // GROUP)


def new_columns(n_in, n_out):
    """Room for the weights of n_out units driven by n_in units: zeros (blocks, 4 groups, BLOCK)
    float32, that start at a cache line."""
    shape = blocks_of(n_out), groups_of(n_in) * GROUP, BLOCK
    size = shape[0] * shape[1] * BLOCK
    raw = np.zeros(size + LANES, np.float32)
    skip = (-raw.ctypes.data % 64) // 4
    return raw[skip : skip + size].reshape(shape)


def padded(values):
    """float32 copy of a vector as (blocks, BLOCK), zeros at the end."""
    out = np.zeros((blocks_of(len(values)), BLOCK), np.float32)
    out.flat[: len(values)] = values
    return out


def layer(columns, values):
    """The layer of units with these weights and fields (units,)."""
    return Layer(columns, padded(values), groups_of(len(values)))


def hold_none(layer):
    """The mask of `gibbs` that holds no unit of a layer."""
    return np.zeros(layer.bias.size // GROUP, np.uint8)


def arrange(W, columns_h, columns_v):
    """Copy W (N, M) float32 to columns_h, which drive h given v, and to columns_v, which drive v
    given h."""
    _arrange(len(columns_h) + len(columns_v), None, W, columns_h, columns_v)


@parallel
def _arrange(first, last, W, columns_h, columns_v):
    # slices, because indices that might be negative to the compiler make slow loops
    in_h = columns_h.shape[0]
    for block in range(first, min(last, in_h)):
        for i in range(W.shape[0]):
            to, row = columns_h[block, i], W[i, block * BLOCK : (block + 1) * BLOCK]
            for j in range(row.size):
                to[j] = row[j]
    for block in range(max(first - in_h, 0), last - in_h):
        turned, rows = columns_v[block], W[block * BLOCK : (block + 1) * BLOCK]
        for j in range(rows.shape[1]):
            for i in range(rows.shape[0]):
                turned[j, i] = rows[i, j]


# ---- adding rows -------------------------------------------------------------------------------
def element(context, builder, kind, array, offset):
    """Pointer to an element of an array that is taken as flat."""
    data = cgutils.create_struct_proxy(kind)(context, builder, array).data
    return builder.gep(data, [offset])


def lanes_at(builder, pointer):
    """The same pointer, to the LANES floats that start there."""
    return builder.bitcast(pointer, ir.VectorType(ir.FloatType(), LANES).as_pointer())


@intrinsic
def _fill_strip(typingctx, columns, at, sums, to):
    """sums[to + BLOCK p :] = sum of columns[at + BLOCK k :] over the bits k of p = 1 .. 15; LANES
    columns."""
    sig = types.void(columns, types.intp, sums, types.intp)

    def codegen(context, builder, sig, args):
        def row(position, k):
            offset = builder.add(args[position + 1], ir.IntType(64)(BLOCK * k))
            place = element(context, builder, sig.args[position], args[position], offset)
            return lanes_at(builder, place)

        subsets = [None]
        for k in range(GROUP):
            unit = builder.load(row(0, k), align=4)
            subsets += [unit if rest is None else builder.fadd(rest, unit) for rest in subsets]
        for p in range(1, SUMS):
            builder.store(subsets[p], row(2, p), align=4)
        return context.get_dummy_value()

    return sig, codegen


@inlined
def _fill_sums(columns, block, first, last, width, sums):
    """Sums over all non-empty subsets of each group of rows of columns[block], groups `first` to
    `last`."""
    for g in range(first, last):
        for q in range(0, width, LANES):
            at = (block * columns.shape[1] + g * GROUP) * BLOCK + q
            _fill_strip(columns, at, sums, (g - first) * SUMS * BLOCK + q)


def _adder(width):
    """A function that adds `width` columns of rows of a table to an accumulator, in registers."""

    @intrinsic
    def _add_rows(typingctx, table, first, rows, at, count, start, of, acc, to):
        """acc[to :] = start[of :] + sum of table[first + BLOCK row :] over `count` rows, listed
        from rows[at]."""
        ints = types.intp
        sig = types.void(table, ints, rows, ints, ints, start, ints, acc, ints)

        def codegen(context, builder, sig, args):
            i64 = ir.IntType(64)

            def pointer(position, offset):
                return element(context, builder, sig.args[position], args[position], offset)

            def vectors(base):
                every = range(0, width, LANES)
                return [lanes_at(builder, builder.gep(base, [i64(q)])) for q in every]

            first, first_row = pointer(0, args[1]), pointer(2, args[3])
            out = vectors(pointer(7, args[8]))
            start = [builder.load(p, align=4) for p in vectors(pointer(5, args[6]))]
            sums = [cgutils.alloca_once_value(builder, x) for x in start]  # become registers
            with cgutils.for_range(builder, args[4], intp=i64) as loop:
                row = builder.zext(builder.load(builder.gep(first_row, [loop.index])), i64)
                source = vectors(builder.gep(first, [builder.mul(row, i64(BLOCK))]))
                for total, p in zip(sums, source, strict=True):
                    more = builder.load(p, align=4)
                    builder.store(builder.fadd(builder.load(total), more), total)
            for total, p in zip(sums, out, strict=True):
                builder.store(builder.load(total), p, align=4)
            return context.get_dummy_value()

        return sig, codegen

    return _add_rows


_add_rows = _adder(BLOCK)
_add_strip = _adder(LANES)


@inlined
def _new_floats(n):
    """Uninitialised float32 numbers that start at a cache line."""
    raw = np.empty(n + LANES, np.float32)
    skip = (-raw.ctypes.data % 64) // 4
    return raw[skip : skip + n]


@internal
def new_work(n, groups):
    """Work space of n chains for layers of at most so many groups."""
    return Work(
        np.empty(n * (groups + LARGEST_TILE), np.uint16),
        np.empty((groups // TILE + 1) * n, np.int64),
        _new_floats(LARGEST_TILE * SUMS * BLOCK),
        _new_floats(n * BLOCK),
        np.empty(n, np.uint64),
        _new_floats(BLOCK),
    )


# ---- states in groups of four ------------------------------------------------------------------
@internal
def pack(v, first, packed):
    """Rows of 0/1 bytes from `first` on, four at a time, to the numbers 0..15 of `packed`."""
    whole = v.shape[1] // GROUP
    for c in range(packed.shape[0]):
        r = first + c
        for g in range(whole):
            i = GROUP * g
            packed[c, g] = v[r, i] | v[r, i + 1] << 1 | v[r, i + 2] << 2 | v[r, i + 3] << 3
        for i in range(GROUP * whole, v.shape[1]):
            packed[c, whole] = (packed[c, whole] if i % GROUP else 0) | v[r, i] << (i % GROUP)


@internal
def unpack(packed, v, first):
    """The inverse of `pack`."""
    whole = v.shape[1] // GROUP
    for c in range(packed.shape[0]):
        r = first + c
        for g in range(whole):
            for bit in range(GROUP):
                v[r, GROUP * g + bit] = (packed[c, g] >> bit) & 1
        for i in range(GROUP * whole, v.shape[1]):
            v[r, i] = (packed[c, whole] >> (i % GROUP)) & 1


@internal
def list_rows(packed, groups, work):
    """List the rows of sums that the chains of `packed` need; returns the number of groups in a
    tile.

    That is a multiple of TILE such that about TILE groups of a tile are not all zero.
    """
    n, some = packed.shape[0], 0
    for l in range(n):
        for g in range(groups):
            some += packed[l, g] != 0
    tile = min(LARGEST_TILE, TILE * max(1, round(n * groups / max(some, 1))))
    for l in range(n):
        for t in range((groups + tile - 1) // tile):
            start, at, k = t * tile, (t * n + l) * tile, 0
            for g in range(start, min(start + tile, groups)):
                work.rows[at + k] = (g - start) * SUMS + packed[l, g]
                k += packed[l, g] != 0
            work.counts[t * n + l] = k
    return tile


# ---- fields ------------------------------------------------------------------------------------
@inlined
def width_of(layer, block):
    """Columns of a block that are in use, in whole vectors."""
    return min(BLOCK, -(-(layer.groups * GROUP - block * BLOCK) // LANES) * LANES)


@inlined
def _add(sums, rows, at, count, start, of, acc, to, width):
    if width > BLOCK // 2:
        _add_rows(sums, 0, rows, at, count, start, of, acc, to)
    else:
        for q in range(0, width, LANES):
            _add_strip(sums, q, rows, at, count, start, of + q, acc, to + q)


@internal
def add_fields(layer, block, n, tile, work):
    """work.acc = bias + fields of the units of `block`, for each of the n chains that were
    listed."""
    groups, width = layer.columns.shape[1] // GROUP, width_of(layer, block)
    for t in range((groups + tile - 1) // tile):
        _fill_sums(layer.columns, block, t * tile, min((t + 1) * tile, groups), width, work.sums)
        for l in range(n):
            at, count, to = (t * n + l) * tile, work.counts[t * n + l], l * BLOCK
            if t == 0:
                _add(
                    work.sums, work.rows, at, count, layer.bias, block * BLOCK, work.acc, to, width
                )
            else:
                _add(work.sums, work.rows, at, count, work.acc, to, work.acc, to, width)
