"""The numba kernels of sampling, training, annealing and enumeration. Private: the other modules are the front door.

WHY NO MATRIX PRODUCT. The states are 0 and 1, so the field v W of a hidden unit is a sum of rows of W, not a product.
Take the units of a layer in groups of four. A group has 16 states, and each of them adds one fixed vector to the
fields of the other layer:

    sums[16 g + p] = sum of W[4 g + k] over the bits k that are set in p = 0 .. 15.

A field is then the sum of one of these vectors per group: a quarter of the additions of a dense product and no
multiplications. Groups in state 0 are left out; on handwritten digits that is three visible groups in four.

The sums are made where they are used and never stored: they would take four times the memory of W in each direction,
and reading them back takes longer than making them. The columns of W come in blocks of 64, four vector registers of 16
floats, so that the partial fields stay in registers while rows are added. (`_add_rows` and `_fill_strip` are written in
LLVM vectors, which compile for any processor to whatever registers it has.) A last block that is at most half full is
added in strips of one register. For each block, a *tile* of 16 to 64 groups has its sums made (64 to 256 kB, in the
second-level cache) and added for all chains of a chunk, then the next tile: 16 groups for dense states, more for sparse
ones, so that a chain adds about 16 rows before it is the next chain's turn.

ONE PARALLEL REGION PER CALL. A task owns a chunk of chains for all steps and all temperatures; there are no barriers
inside. Threaded BLAS calls between parallel regions would make two thread pools spin against each other (a step then
takes several times longer), so no BLAS is called in these loops.

THE DRAW. A unit with field x takes the rarer of its two values, 0 for x >= 0 and else 1, with probability e / (1 + e),
e = e^-|x|, that is if u (1 + e) <= e for uniform u. Field, exponential, random number and comparison are fused, in
float32, whose steps are fine near u = 0: both tails are equally accurate. Probabilities below 2^-32 count as zero.

TRAINING needs <v_i h_j> over data and chains, with the mean of h_j given v in place of h_j. Row i is the sum of the
means of those samples in which v_i = 1; where these are the majority, the sum over the others is taken from the total.

RANDOM NUMBERS are counter-based: unit j of layer l at step s of chain c sees hash(key(seed, s, l, c), j), so the
numbers depend neither on the number of threads nor on the size of chunks, and a run can be resumed at any step. The
key is 64 bits from two rounds of splitmix64; the hash of j is a 32-bit multiply-xorshift permutation with both halves
of the key mixed in.

ANNEALING needs the weight p*_new(v) / p*_old(v) of every chain at every temperature. It comes from the same hidden
fields as the next draw: with z = beta x, softplus(z') - softplus(z) is (beta' - beta) max(x, 0) plus the log of (1 +
e^-|z'|) / (1 + e^-|z|), and e^-|z'| is needed for the draw anyway. A block's factors are multiplied before the one
logarithm is taken: each is in [1, 2], so 64 of them stay finite.

ENUMERATION. exp(a_i + sum_j W_ij h_j) factorises over the high and the low bits of h: with A_i[high] and B_i[low]
tabulated, prod_i (1 + A_i B_i) costs two multiplications per unit and state. Exponents are split off before they
overflow.
"""

import math

import numpy as np
from llvmlite import ir
from numba import prange, types
from numba.core import cgutils
from numba.extending import intrinsic

from rbmkit import machine

GROUP = 4  # units per group (`_pack` and `_store` are written for four)
SUMS = 1 << GROUP  # states of a group
BLOCK = 64  # columns per block of a table
LANES = 16  # floats per vector
TILE = 16  # rows added for one chain, on average, before it is the next chain's turn
LARGEST_TILE = 64  # groups whose sums are made at once
LOW = 64  # states of the low bits in the enumeration

GOLDEN = 0x9E3779B9  # the unit's number enters the hash multiplied by this
STRIDES = (np.arange(BLOCK, dtype=np.uint64) * GOLDEN).astype(np.uint32)

_OPTIONS = {"nogil": True, "error_model": "numpy", "fastmath": {"contract", "reassoc", "nsz", "arcp"}}
jit = machine.compiled(**_OPTIONS)
parallel = machine.threaded(**_OPTIONS)
# two flavours that compile faster, for what no Python code calls
inlined = machine.compiled(inline="always", **_OPTIONS)
internal = machine.compiled(no_cpython_wrapper=True, no_cfunc_wrapper=True, **_OPTIONS)

f32, u32, u64 = np.float32, np.uint32, np.uint64


# ---- sums and fields -------------------------------------------------------------------------------------------------
def blocks_of(n):
    """Number of blocks of columns that hold n units."""
    return -(-n // BLOCK)


def new_rows(blocks, rows):
    """Uninitialised (blocks, rows, BLOCK) float32 array that starts at a cache line."""
    raw = np.empty(blocks * rows * BLOCK + LANES, np.float32)
    skip = (-raw.ctypes.data % 64) // 4
    return raw[skip : skip + blocks * rows * BLOCK].reshape(blocks, rows, BLOCK)


def new_columns(n_in, n_out):
    """Room for the weights of n_out units driven by n_in units, in blocks: zeros (blocks, 4 groups, BLOCK)."""
    out = new_rows(blocks_of(n_out), -(-n_in // GROUP) * GROUP)
    out[:] = 0
    return out


def padded(values):
    """float32 copy of a vector as (blocks, BLOCK), zeros at the end."""
    out = np.zeros((blocks_of(len(values)), BLOCK), np.float32)
    out.flat[: len(values)] = values
    return out


@parallel
def arrange(W, columns_h, columns_v):
    """Copy W (N, M) float32 to columns_h, for the fields of h driven by v, and to columns_v, for those of v."""
    N, M = W.shape
    in_h = columns_h.shape[0]
    for block in prange(in_h + columns_v.shape[0]):
        if block < in_h:
            first = block * BLOCK
            for i in range(N):
                for j in range(min(BLOCK, M - first)):
                    columns_h[block, i, j] = W[i, first + j]
        else:
            first = (block - in_h) * BLOCK
            for corner in range(0, M, LANES):  # transposed in strips that stay in the cache
                for i in range(min(BLOCK, N - first)):
                    for j in range(corner, min(corner + LANES, M)):
                        columns_v[block - in_h, j, i] = W[first + i, j]


def _vector_at(context, builder, kind, array, offset):
    """Pointer to the LANES floats of a flat array that start at `offset`."""
    data = cgutils.create_struct_proxy(kind)(context, builder, array).data
    return builder.bitcast(builder.gep(data, [offset]), ir.VectorType(ir.FloatType(), LANES).as_pointer())


@intrinsic
def _fill_strip(typingctx, columns, at, sums, to):
    """sums[to + BLOCK p :] = sum of columns[at + BLOCK k :] over the bits k of p = 1 .. 15; LANES columns."""
    sig = types.void(columns, types.intp, sums, types.intp)

    def codegen(context, builder, sig, args):
        def row(position, k):
            offset = builder.add(args[position + 1], ir.IntType(64)(BLOCK * k))
            return _vector_at(context, builder, sig.args[position], args[position], offset)

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
    """The sums over all non-empty subsets of each group of four rows of columns[block], groups `first` to `last`."""
    for g in range(first, last):
        for q in range(0, width, LANES):
            at = (block * columns.shape[1] + g * GROUP) * BLOCK + q
            _fill_strip(columns, at, sums, (g - first) * SUMS * BLOCK + q)


def _adder(width):
    """A function that adds `width` columns of rows of a table to an accumulator, in registers."""

    @intrinsic
    def add_rows(typingctx, table, start, rows, at, count, acc, to):
        """acc[to : to + width] += sum of table[start + BLOCK row :] over row in rows[at : at + count]; flat arrays."""
        sig = types.void(table, types.intp, rows, types.intp, types.intp, acc, types.intp)

        def codegen(context, builder, sig, args):
            i64, vector = ir.IntType(64), ir.VectorType(ir.FloatType(), LANES)

            def pointer(position, offset):
                data = cgutils.create_struct_proxy(sig.args[position])(context, builder, args[position]).data
                return builder.gep(data, [offset])

            def vectors(base):
                every = range(0, width, LANES)
                return [builder.bitcast(builder.gep(base, [i64(q)]), vector.as_pointer()) for q in every]

            first, first_row, out = pointer(0, args[1]), pointer(2, args[3]), vectors(pointer(5, args[6]))
            sums = [cgutils.alloca_once_value(builder, builder.load(p, align=4)) for p in out]  # become registers
            with cgutils.for_range(builder, args[4], intp=i64) as loop:
                row = builder.zext(builder.load(builder.gep(first_row, [loop.index])), i64)
                for total, p in zip(sums, vectors(builder.gep(first, [builder.mul(row, i64(BLOCK))])), strict=True):
                    builder.store(builder.fadd(builder.load(total), builder.load(p, align=4)), total)
            for total, p in zip(sums, out, strict=True):
                builder.store(builder.load(total), p, align=4)
            return context.get_dummy_value()

        return sig, codegen

    return add_rows


_add_rows, _add_strip = _adder(BLOCK), _adder(LANES)


@inlined
def _new_accumulators(n):
    """Uninitialised (n, BLOCK) float32 that starts at a cache line (`new_rows` for compiled code)."""
    raw = np.empty(n * BLOCK + LANES, np.float32)
    skip = (-raw.ctypes.data % 64) // 4
    return raw[skip : skip + n * BLOCK].reshape(n, BLOCK)


@internal
def _work(n, groups):
    """Work space of n chains for layers of at most so many groups: row lists, their lengths, sums, fields."""
    rows, counts = np.empty(n * (groups + LARGEST_TILE), np.uint16), np.empty((groups // TILE + 1, n), np.int64)
    return rows, counts, _new_accumulators(LARGEST_TILE * SUMS), _new_accumulators(n)


@internal
def _pack(v, first, packed):
    """Rows of 0/1 bytes, four at a time, to numbers 0..15."""
    whole = v.shape[1] // GROUP
    for c in range(packed.shape[0]):
        for g in range(whole):
            i = GROUP * g
            packed[c, g] = (
                v[first + c, i] | v[first + c, i + 1] << 1 | v[first + c, i + 2] << 2 | v[first + c, i + 3] << 3
            )
        for i in range(GROUP * whole, v.shape[1]):
            packed[c, whole] = (packed[c, whole] if i % GROUP else 0) | v[first + c, i] << (i % GROUP)


@internal
def _unpack(packed, v, first):
    whole = v.shape[1] // GROUP
    for c in range(packed.shape[0]):
        for g in range(whole):
            for bit in range(GROUP):
                v[first + c, GROUP * g + bit] = (packed[c, g] >> bit) & 1
        for i in range(GROUP * whole, v.shape[1]):
            v[first + c, i] = (packed[c, whole] >> (i % GROUP)) & 1


@inlined
def _tile(packed, groups):
    """Number of groups in a tile, a multiple of TILE, such that about TILE of them are not all zero."""
    some = 0
    for c in range(packed.shape[0]):
        for g in range(groups):
            some += packed[c, g] != 0
    return min(LARGEST_TILE, TILE * max(1, round(packed.shape[0] * groups / max(some, 1))))


@inlined
def _list_rows(packed, groups, tile, rows, counts):
    """Rows of the sums for the groups that are not all zero, in lists of one tile and chain: rows (tiles, n, tile)."""
    for c in range(packed.shape[0]):
        for first in range(0, groups, tile):
            k = 0
            for g in range(first, min(first + tile, groups)):
                rows[first // tile, c, k] = (g - first) * SUMS + packed[c, g]
                k += packed[c, g] != 0
            counts[first // tile, c] = k


@inlined
def _width(block, groups):
    """Columns of a block that are in use, in whole vectors, for a layer of so many groups."""
    return min(BLOCK, -(-(groups * GROUP - block * BLOCK) // LANES) * LANES)


@internal
def _fields(columns, block, width, groups, rows, counts, bias, sums, acc):
    """acc[c] = bias + fields of the first `width` units of `block`, for every chain c of the chunk."""
    n, tile = rows.shape[1], rows.shape[2]
    for c in range(n):
        for j in range(BLOCK):
            acc[c, j] = bias[block, j]
    for t in range(rows.shape[0]):
        _fill_sums(columns, block, t * tile, min((t + 1) * tile, groups), width, sums)
        for c in range(n):
            at = (t * n + c) * tile
            if width > BLOCK // 2:
                _add_rows(sums, 0, rows, at, counts[t, c], acc, c * BLOCK)
            else:
                for q in range(0, width, LANES):
                    _add_strip(sums, q, rows, at, counts[t, c], acc, c * BLOCK + q)


@internal
def _lists(packed, groups, work):
    """Row lists of all chains, in tiles that suit the density of the states."""
    rows, counts, _, _ = work
    tile = _tile(packed, groups)
    tiles, n = -(-groups // tile), packed.shape[0]
    lists = rows[: tiles * n * tile].reshape((tiles, n, tile))
    _list_rows(packed, groups, tile, lists, counts)
    return lists


# ---- random numbers --------------------------------------------------------------------------------------------------
@inlined
def _mix64(x):
    x = (x ^ (x >> u64(30))) * u64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> u64(27))) * u64(0x94D049BB133111EB)
    return x ^ (x >> u64(31))


@jit
def stream_key(seed, step, layer, chain):
    """64-bit key of the random numbers of one layer of one chain at one step: 0 is the layer that is drawn first in the
    step (h, for chains that start from v), 1 the other."""
    key = _mix64(u64(seed) + u64(0x9E3779B97F4A7C15) * (u64(2) * u64(step) + u64(layer) + u64(1)))
    return _mix64(key + u64(0xD1B54A32D192ED03) * (u64(chain) + u64(1)))


@inlined
def _fold(x, shift, multiplier):
    """(x ^ x >> shift) * multiplier mod 2^32; NumPy's functions keep 32 bits where numba's operators widen to 64."""
    return np.multiply(np.bitwise_xor(x, np.right_shift(x, u32(shift))), u32(multiplier))


@inlined
def _scramble(x, key):
    x = np.add(_fold(x, 16, 0x21F0AAAD), u32(key >> u64(32)))
    x = _fold(x, 15, 0xD35A2D97)
    return np.bitwise_xor(x, np.right_shift(x, u32(15)))


@inlined
def _unit(word):
    """Uniform float32 in (0, 1], from the upper 31 bits."""
    return (f32(np.int32(np.right_shift(word, u32(1)))) + f32(0.5)) * f32(2.0**-31)


@jit
def random_word(key, j):
    """32 random bits for unit j."""
    return _scramble(np.add(u32(key), np.multiply(u32(j), u32(GOLDEN))), key)


@jit
def uniform(key, j):
    """Uniform float32 in (0, 1] for unit j."""
    return _unit(random_word(key, j))


@inlined
def _first_word(key, block):
    """What `random_word` scrambles for the first unit of a block; unit j of the block adds STRIDES[j]."""
    return np.add(u32(key), np.multiply(u32(block * BLOCK), u32(GOLDEN)))


@jit
def exp_negative(x):
    """e^x for x <= 0 in float32, relative error below (|x| + 2) 1e-7; at least 2^-125 (denormals are slow)."""
    t = max(x * f32(1.4426950408889634), f32(-125))
    n = np.int32(t - f32(0.5))
    r = t - f32(n)
    p = f32(0.001327647129073739)  # minimax polynomial of 2^r, |r| <= 1/2
    p = p * r + f32(0.009675541892647743)
    p = p * r + f32(0.05550713092088699)
    p = p * r + f32(0.24022120237350464)
    p = p * r + f32(0.6931469440460205)
    p = p * r + f32(1.0000001192092896)
    return p * np.int32((n + np.int32(127)) << np.int32(23)).view(np.float32)


# ---- block Gibbs sampling --------------------------------------------------------------------------------------------
@inlined
def _bit(z, e, u):
    """1 with probability sigma(z), given e = exp(-|z|) and uniform u: the rarer value if u <= e / (1 + e)."""
    return (u * (f32(1) + e) <= e) != (z >= f32(0))


@inlined
def _store(words, packed, c, block):
    """Pack bytes of 0/1, four in a word, to numbers 0..15: the multiplication brings their lowest bits together."""
    for q in range(BLOCK // GROUP):
        packed[c, block * (BLOCK // GROUP) + q] = np.right_shift(np.multiply(words[q], u32(0x01020408)), u32(24))


@internal
def _half_step(columns, bias, base, beta, seed, half, first, given, groups, drawn, groups_drawn, work):
    """Draw a layer, with probabilities sigma(base + beta (bias + field)), for the chains of a chunk.

    half = 2 step + layer is the number of the half step: one argument, because numba compiles a function once more for
    each constant (0, 1, BLOCK) that it is called with.
    """
    rows, (_, counts, sums, acc) = _lists(given, groups, work), work
    bits = np.zeros(BLOCK, np.uint8)
    words = bits.view(np.uint32)
    for block in range(columns.shape[0]):
        width = _width(block, groups_drawn)
        _fields(columns, block, width, groups, rows, counts, bias, sums, acc)
        for c in range(given.shape[0]):
            key = stream_key(seed, half >> 1, half & 1, first + c)
            word = _first_word(key, block)
            for j in range(width):
                z = base[block, j] + beta * acc[c, j]
                bits[j] = _bit(z, exp_negative(-abs(z)), _unit(_scramble(np.add(word, STRIDES[j]), key)))
            _store(words, drawn, c, block)


@inlined
def _packed_chunk(columns_h, columns_v, v, first, last):
    """The states v of a chunk, packed; room for their h; the groups of each layer; and work space."""
    n, groups_v, groups_h = last - first, columns_h.shape[1] // GROUP, columns_v.shape[1] // GROUP
    packed_v = np.zeros((n, columns_v.shape[0] * (BLOCK // GROUP)), np.uint8)
    packed_h = np.zeros((n, columns_h.shape[0] * (BLOCK // GROUP)), np.uint8)
    _pack(v, first, packed_v)
    return packed_v, packed_h, groups_v, groups_h, _work(n, max(groups_v, groups_h))


@internal
def _gibbs_chunk(columns_h, b, columns_v, a, v, h, first, last, steps, beta, seed, step0, mask):
    packed_v, packed_h, groups_v, groups_h, work = _packed_chunk(columns_h, columns_v, v, first, last)
    none_h, none_v = np.zeros_like(b), np.zeros_like(a)
    held, holds = packed_v & mask, np.any(mask)
    for half in range(2 * step0, 2 * (step0 + steps), 2):
        _half_step(columns_h, b, none_h, beta, seed, half, first, packed_v, groups_v, packed_h, groups_h, work)
        _half_step(columns_v, a, none_v, beta, seed, half + 1, first, packed_h, groups_h, packed_v, groups_v, work)
        if holds:
            packed_v[:] = packed_v & ~mask | held
    _unpack(packed_v, v, first)
    _unpack(packed_h, h, first)


@parallel
def gibbs(columns_h, b, columns_v, a, v, h, steps, beta, seed, step0, chunk):
    """`steps` block Gibbs steps v -> h -> v in place, on v (n, N) and h (n, M) uint8; a, b padded."""
    nothing = np.zeros(columns_v.shape[0] * (BLOCK // GROUP), np.uint8)
    for t in prange((v.shape[0] + chunk - 1) // chunk):
        last = min(v.shape[0], (t + 1) * chunk)
        _gibbs_chunk(columns_h, b, columns_v, a, v, h, t * chunk, last, steps, beta, seed, step0, nothing)


@parallel
def gibbs_clamped(columns_h, b, columns_v, a, v, h, steps, beta, seed, step0, chunk, mask):
    """`gibbs` with some v held as they are: those of the bits that are set in mask (16 x blocks of v,) uint8.

    The held units are drawn like all others and then put back: given h, units are independent.
    """
    for t in prange((v.shape[0] + chunk - 1) // chunk):
        last = min(v.shape[0], (t + 1) * chunk)
        _gibbs_chunk(columns_h, b, columns_v, a, v, h, t * chunk, last, steps, beta, seed, step0, mask)


@internal
def _tilted_half_step(columns, bias, tilt, seed, half, first, given, groups, drawn, groups_drawn, total, work):
    """`_half_step` at beta = 1 with fields of its own for each chain, tilt (n, blocks, BLOCK); adds the probabilities
    of 1 to `total`, of the same shape."""
    rows, (_, counts, sums, acc) = _lists(given, groups, work), work
    bits = np.zeros(BLOCK, np.uint8)
    words = bits.view(np.uint32)
    for block in range(columns.shape[0]):
        width = _width(block, groups_drawn)
        _fields(columns, block, width, groups, rows, counts, bias, sums, acc)
        for c in range(given.shape[0]):
            key = stream_key(seed, half >> 1, half & 1, first + c)
            word = _first_word(key, block)
            for j in range(width):
                z = tilt[first + c, block, j] + acc[c, j]
                e = exp_negative(-abs(z))
                total[first + c, block, j] += (f32(1) if z >= f32(0) else e) / (f32(1) + e)
                bits[j] = _bit(z, e, _unit(_scramble(np.add(word, STRIDES[j]), key)))
            _store(words, drawn, c, block)


@internal
def _tilted_chunk(columns_h, b, columns_v, a, tilt, v, first, last, steps, seed, step0, total):
    packed_v, packed_h, groups_v, groups_h, work = _packed_chunk(columns_h, columns_v, v, first, last)
    none = np.zeros_like(b)
    for half in range(2 * step0, 2 * (step0 + steps), 2):
        _half_step(columns_h, b, none, f32(1), seed, half, first, packed_v, groups_v, packed_h, groups_h, work)
        _tilted_half_step(
            columns_v, a, tilt, seed, half + 1, first, packed_h, groups_h, packed_v, groups_v, total, work
        )
    _unpack(packed_v, v, first)


@parallel
def tilted_gibbs(columns_h, b, columns_v, a, tilt, v, steps, seed, step0, chunk, total):
    """`gibbs` at beta = 1 on v (n, N), with visible fields a + tilt[c] in chain c, both padded.

    total (n, blocks, BLOCK) gains the conditional means <v | h> of every step.
    """
    for t in prange((v.shape[0] + chunk - 1) // chunk):
        last = min(v.shape[0], (t + 1) * chunk)
        _tilted_chunk(columns_h, b, columns_v, a, tilt, v, t * chunk, last, steps, seed, step0, total)


# ---- annealing -------------------------------------------------------------------------------------------------------
@internal
def _bias_sums(da, groups):
    """da.v in the same groups of four as the sums: (groups * 16,)."""
    sums = np.zeros(groups * SUMS)
    for g in range(groups):
        for p in range(SUMS):
            for bit in range(GROUP):
                if p >> bit & 1:
                    sums[g * SUMS + p] += da[(GROUP * g + bit) // BLOCK, (GROUP * g + bit) % BLOCK]
    return sums


@internal
def _log_weight(acc, c, width, change, top, bottom):
    """change times the sum of max(acc[c], 0), plus the log of the product of top / bottom, for the units of a block.

    Apart from the loop that writes top and bottom: else the compiler keeps a second order of summation, for the case
    that arrays overlap.
    """
    linear, above, below = f32(0), f32(1), f32(1)
    for j in range(width):
        linear += max(acc[c, j], f32(0))
        above *= top[j]
        below *= bottom[j]
    return change * linear + math.log(above / below)


@internal
def _anneal_chunk(columns_h, b, columns_v, da, a0, v, first, last, betas, seed, step0, log_w):
    packed_v, packed_h, groups_v, groups_h, work = _packed_chunk(columns_h, columns_v, v, first, last)
    n, (_, counts, sums, acc) = last - first, work
    bits, top, bottom = np.zeros(BLOCK, np.uint8), np.empty(BLOCK, np.float32), np.empty(BLOCK, np.float32)
    words, bias_sums = bits.view(np.uint32), _bias_sums(da, groups_v)
    for s in range(betas.size - 1):
        old, new = f32(betas[s]), f32(betas[s + 1])
        rows = _lists(packed_v, groups_v, work)
        for c in range(n):
            bias_energy = 0.0
            for g in range(groups_v):
                bias_energy += bias_sums[g * SUMS + packed_v[c, g]]
            log_w[first + c] += (betas[s + 1] - betas[s]) * bias_energy
        for block in range(columns_h.shape[0]):
            width = _width(block, groups_h)
            _fields(columns_h, block, width, groups_v, rows, counts, b, sums, acc)
            for c in range(n):
                key = stream_key(seed, step0 + s, 0, first + c)
                word = _first_word(key, block)
                for j in range(width):
                    z, z_old = new * acc[c, j], old * acc[c, j]
                    e = exp_negative(-abs(z))
                    top[j], bottom[j] = f32(1) + e, f32(1) + exp_negative(-abs(z_old))
                    bits[j] = _bit(z, e, _unit(_scramble(np.add(word, STRIDES[j]), key)))
                _store(words, packed_h, c, block)
                log_w[first + c] += _log_weight(acc, c, width, float(new) - float(old), top, bottom)
        half = 2 * (step0 + s) + 1
        _half_step(columns_v, da, a0, new, seed, half, first, packed_h, groups_h, packed_v, groups_v, work)
    _unpack(packed_v, v, first)


@parallel
def anneal(columns_h, b, columns_v, da, a0, v, betas, seed, step0, chunk, log_w):
    """Weigh, then move v (n, N) through p*_beta(v) = exp((a0 + beta da).v) prod_j (1 + exp(beta (b + v W)_j)).

    For each pair of neighbours old, new in `betas`: log_w += ln p*_new(v) - ln p*_old(v), then one block Gibbs step at
    new. da = a - a0, a0 and b are padded; v and log_w (float64) change in place. Padding units have field 0: they
    weigh nothing.
    """
    for t in prange((v.shape[0] + chunk - 1) // chunk):
        last = min(v.shape[0], (t + 1) * chunk)
        _anneal_chunk(columns_h, b, columns_v, da, a0, v, t * chunk, last, betas, seed, step0, log_w)


# ---- replica exchange ------------------------------------------------------------------------------------------------
# Rung r of a ladder is an RBM with couplings scales[r] W and its own fields. Rungs that share W are a stretch: rungs
# edges[s] to edges[s + 1], columns of W in the s-th part of columns_h and columns_v. A task owns whole ladders; its
# chains stand in the order of the rungs, so that a stretch is one block of chains that shares the sums of a tile.
#
# An exchange wants the weight of every state on its own rung and on the partner's. Both come from the fields that the
# next draw of h needs, and with them h is drawn for both rungs from the same random numbers: whatever the exchange
# decides, the right h is there. Since v is drawn next, exchanging the h of two rungs exchanges the states.
@internal
def _softplus_sum(linear, one_plus, width):
    """Sum of z_+ + ln(1 + e^-|z|) over the units of a block. (Apart for the reason given at `_log_weight`.)"""
    total, product = f32(0), f32(1)
    for j in range(width):
        total += linear[j]
        product *= one_plus[j]
    return total + math.log(product)


@internal
def _draw_two(columns, fields, scales, rung, partner, stream, seed, half, given, groups, h, groups_h, weight, work):
    """Draw h[0] on the rung of each chain and h[1] on its partner; add the ln of prod_j (1 + e^z_j) to `weight`."""
    rows, (_, counts, sums, acc) = _lists(given, groups, work), work
    none, linear, one_plus = np.zeros_like(fields[0]), np.empty(BLOCK, np.float32), np.empty(BLOCK, np.float32)
    bits = np.zeros(BLOCK, np.uint8)
    words = bits.view(np.uint32)
    for block in range(columns.shape[0]):
        width = _width(block, groups_h)
        _fields(columns, block, width, groups, rows, counts, none, sums, acc)
        for c in range(given.shape[0]):
            key = stream_key(seed, half >> 1, half & 1, stream[c])
            word = _first_word(key, block)
            for side in range(2):
                r = partner[c] if side else rung[c]
                for j in range(width):
                    z = fields[r, block, j] + scales[r] * acc[c, j]
                    e = exp_negative(-abs(z))
                    linear[j], one_plus[j] = max(z, f32(0)), f32(1) + e
                    bits[j] = _bit(z, e, _unit(_scramble(np.add(word, STRIDES[j]), key)))
                _store(words, h[side], c, block)
                weight[side, c] += _softplus_sum(linear, one_plus, width)


@internal
def _draw_rungs(columns, fields, scales, rung, stream, seed, half, given, groups, drawn, groups_drawn, work):
    """`_half_step` for chains on different rungs."""
    rows, (_, counts, sums, acc) = _lists(given, groups, work), work
    none, bits = np.zeros_like(fields[0]), np.zeros(BLOCK, np.uint8)
    words = bits.view(np.uint32)
    for block in range(columns.shape[0]):
        width = _width(block, groups_drawn)
        _fields(columns, block, width, groups, rows, counts, none, sums, acc)
        for c in range(given.shape[0]):
            r, key = rung[c], stream_key(seed, half >> 1, half & 1, stream[c])
            word = _first_word(key, block)
            for j in range(width):
                z = fields[r, block, j] + scales[r] * acc[c, j]
                bits[j] = _bit(z, exp_negative(-abs(z)), _unit(_scramble(np.add(word, STRIDES[j]), key)))
            _store(words, drawn, c, block)


@inlined
def _pair_up(rung, partner, edges, inside, odd, last_rung):
    """Partner of each chain at an even or odd sweep; `inside`: the same where it has the same W, else the own rung."""
    s = 0
    for c in range(rung.size):
        r = rung[c]
        while r >= edges[s + 1]:
            s += 1
        p = r + 1 if (r + odd) % 2 == 0 else r - 1
        partner[c] = p if 0 <= p <= last_rung else r
        inside[c] = partner[c] if edges[s] <= partner[c] < edges[s + 1] else r


@inlined
def _exchange(h, weight, bias_steps, packed_v, groups_v, n, first, odd, seed, step, replica, work):
    """Exchange the states of partners with probability min(1, e^(sum of their works)); the works go to work[l, r]."""
    rungs = replica.shape[1]
    for l in range(n):
        key = stream_key(seed, step, 0, (first + l) * (rungs + 1) + rungs)
        for r in range(odd, rungs - 1, 2):
            total = 0.0
            for side in range(2):
                c, bias_energy = (r + side) * n + l, 0.0
                for g in range(groups_v):
                    bias_energy += bias_steps[r, g * SUMS + packed_v[c, g]]
                gain = weight[1, c] - weight[0, c] + (-bias_energy if side else bias_energy)
                work[first + l, r + side] = gain
                total += gain
            if uniform(key, r) <= math.exp(min(total, 0.0)):
                i, j = r * n + l, (r + 1) * n + l
                h[0, i], h[0, j] = h[1, j], h[1, i]
                upper = replica[first + l, r + 1]
                replica[first + l, r + 1] = replica[first + l, r]
                replica[first + l, r] = upper


@internal
def _draw_h(columns_h, b, scales, edges, chains, seed, step, n, packed_v, groups_v, h, groups_h, weight, work):
    """Draw h of all chains of a task on both rungs, stretch by stretch; then again where the partner has another W."""
    rung, partner, inside, stream = chains
    blocks, half = columns_h.shape[0] // (edges.size - 1), 2 * step
    weight[:] = 0.0
    for k in range(edges.size - 1):
        x, y = edges[k] * n, edges[k + 1] * n
        _draw_two(
            columns_h[k * blocks : (k + 1) * blocks], b, scales, rung[x:y], inside[x:y], stream[x:y], seed, half,
            packed_v[x:y], groups_v, h[:, x:y], groups_h, weight[:, x:y], work,
        )  # fmt: skip
    for x in range(0, rung.size, n):
        if partner[x] != inside[x]:
            y, k = x + n, np.searchsorted(edges, partner[x], side="right") - 1
            there, there_weight = np.empty((2, n, h.shape[2]), np.uint8), np.zeros((2, n))
            _draw_two(
                columns_h[k * blocks : (k + 1) * blocks], b, scales, partner[x:y], partner[x:y], stream[x:y], seed,
                half, packed_v[x:y], groups_v, there, groups_h, there_weight, work,
            )  # fmt: skip
            h[1, x:y], weight[1, x:y] = there[1], there_weight[1]


@internal
def _temper_chunk(columns_h, b, columns_v, a, scales, edges, bias_steps, v, replica, first, last, seed, sweep0, out):
    n, rungs, (works, replicas) = last - first, scales.size, out
    groups_v, groups_h = columns_h.shape[1] // GROUP, columns_v.shape[1] // GROUP
    blocks_h, blocks_v = columns_h.shape[0] // (edges.size - 1), columns_v.shape[0] // (edges.size - 1)
    packed_v = np.zeros((rungs * n, blocks_v * (BLOCK // GROUP)), np.uint8)
    h, weight = np.zeros((2, rungs * n, blocks_h * (BLOCK // GROUP)), np.uint8), np.empty((2, rungs * n))
    rung, stream = np.empty(rungs * n, np.int64), np.empty(rungs * n, np.int64)
    partner, inside = np.empty(rungs * n, np.int64), np.empty(rungs * n, np.int64)
    work = _work(n * np.max(np.diff(edges)), max(groups_v, groups_h))
    for r in range(rungs):
        _pack(v[r], first, packed_v[r * n : (r + 1) * n])
        for l in range(n):
            rung[r * n + l], stream[r * n + l] = r, (first + l) * (rungs + 1) + r
    chains = rung, partner, inside, stream
    for s in range(works.shape[0]):
        step, odd = sweep0 + s, (sweep0 + s) % 2
        _pair_up(rung, partner, edges, inside, odd, rungs - 1)
        _draw_h(columns_h, b, scales, edges, chains, seed, step, n, packed_v, groups_v, h, groups_h, weight, work)
        _exchange(h, weight, bias_steps, packed_v, groups_v, n, first, odd, seed, step, replica, works[s])
        replicas[s, first:last] = replica[first:last]
        for k in range(edges.size - 1):
            x, y = edges[k] * n, edges[k + 1] * n
            _draw_rungs(
                columns_v[k * blocks_v : (k + 1) * blocks_v], a, scales, rung[x:y], stream[x:y], seed, 2 * step + 1,
                h[0, x:y], groups_h, packed_v[x:y], groups_v, work,
            )  # fmt: skip
    for r in range(rungs):
        _unpack(packed_v[r * n : (r + 1) * n], v[r], first)


@parallel
def temper(columns_h, b, columns_v, a, scales, edges, v, replica, seed, sweep0, chunk, works, replicas):
    """Sweeps of replica exchange in place, on v (rungs, ladders, N) and replica (ladders, rungs).

    A sweep draws h, exchanges the states of rungs (0, 1), (2, 3), ... or, if its number is odd, (1, 2), (3, 4), ...,
    and draws v. a and b (rungs, blocks, BLOCK) are padded. works (sweeps, ladders, rungs) becomes ln p*_partner(v) -
    ln p*_own(v) of the states before the exchange; replicas (same shape) which replica is where after it.
    """
    bias_steps = np.empty((max(1, scales.size - 1), columns_h.shape[1] // GROUP * SUMS))
    for r in range(scales.size - 1):
        bias_steps[r] = _bias_sums(a[r + 1] - a[r], columns_h.shape[1] // GROUP)
    for t in prange((v.shape[1] + chunk - 1) // chunk):
        last = min(v.shape[1], (t + 1) * chunk)
        _temper_chunk(
            columns_h, b, columns_v, a, scales, edges, bias_steps, v, replica, t * chunk, last, seed, sweep0,
            (works, replicas),
        )  # fmt: skip


# ---- training --------------------------------------------------------------------------------------------------------
@jit
def _hidden_means_chunk(columns_h, b, v, first, last, means):
    n, groups = last - first, columns_h.shape[1] // GROUP
    packed = np.empty((n, groups), np.uint8)
    work = _work(n, groups)
    _, counts, sums, acc = work
    _pack(v, first, packed)
    rows = _lists(packed, groups, work)
    for block in range(columns_h.shape[0]):
        _fields(columns_h, block, means.shape[2], groups, rows, counts, b, sums, acc)
        for c in range(n):
            for j in range(BLOCK):
                e = exp_negative(-abs(acc[c, j]))
                means[block, first + c, j] = (f32(1) if acc[c, j] >= f32(0) else e) / (f32(1) + e)


@parallel
def hidden_means(columns_h, b, v, means, chunk):
    """<h | v> of the states v (n, N), to means (blocks, n, BLOCK)."""
    for t in prange((v.shape[0] + chunk - 1) // chunk):
        last = min(v.shape[0], (t + 1) * chunk)
        _hidden_means_chunk(columns_h, b, v, t * chunk, last, means)


@internal
def _list_samples(v, i, value, rows):
    """Samples c with v[c, i] = value, to row i of `rows`; returns their number."""
    n = 0
    for c in range(v.shape[0]):
        rows[i, n] = c
        n += v[c, i] == value
    return n


@jit
def _list_minority(v, first, rows, counts, ones):
    """For a block of units, the samples with the rarer value of v[:, i]; ones[i] is the number of ones."""
    for i in range(first, min(v.shape[1], first + BLOCK)):
        ones[i] = counts[i] = _list_samples(v, i, 1, rows)
        if 2 * ones[i] > v.shape[0]:
            counts[i] = _list_samples(v, i, 0, rows)


@internal
def _correlate(means, block, total, i, rows, counts, ones, n, acc):
    """acc = sum over n samples of v_i times the hidden means of the block, from the samples with the rarer v_i."""
    for j in range(BLOCK):
        acc[j] = f32(0)
    _add_rows(means, block * means.shape[1] * BLOCK, rows, i * rows.shape[1], counts[i], acc, 0)
    if 2 * ones[i] > n:
        for j in range(BLOCK):
            acc[j] = total[j] - acc[j]


@parallel
def gradient(data, means_d, rows_d, v, means_m, rows_m, dW, da, db, ones_d, ones_m):
    """Eq. (6): data minus model averages of v h, v and h, from states and hidden means; counts the ones of each v_i.

    rows_d (N, n_d + 1) and rows_m (N, n_m + 1), uint32, are work space.
    """
    N, M = dW.shape
    n_d, n_m, blocks = data.shape[0], v.shape[0], (N + BLOCK - 1) // BLOCK
    counts_d, counts_m = np.empty(N, np.int64), np.empty(N, np.int64)
    for t in prange(2 * blocks):
        if t % 2:
            _list_minority(data, t // 2 * BLOCK, rows_d, counts_d, ones_d)
        else:
            _list_minority(v, t // 2 * BLOCK, rows_m, counts_m, ones_m)
    for i in range(N):
        da[i] = f32(ones_d[i] / n_d - ones_m[i] / n_m)
    for block in prange(means_d.shape[0]):
        width = min(BLOCK, M - block * BLOCK)
        total_d, total_m = np.zeros(BLOCK, np.float32), np.zeros(BLOCK, np.float32)
        acc_d, acc_m = np.empty(BLOCK, np.float32), np.empty(BLOCK, np.float32)
        for c in range(n_d):
            for j in range(BLOCK):
                total_d[j] += means_d[block, c, j]
        for c in range(n_m):
            for j in range(BLOCK):
                total_m[j] += means_m[block, c, j]
        for j in range(width):
            db[block * BLOCK + j] = total_d[j] / f32(n_d) - total_m[j] / f32(n_m)
        for i in range(N):
            _correlate(means_d, block, total_d, i, rows_d, counts_d, ones_d, n_d, acc_d)
            _correlate(means_m, block, total_m, i, rows_m, counts_m, ones_m, n_m, acc_m)
            for j in range(width):
                dW[i, block * BLOCK + j] = acc_d[j] / f32(n_d) - acc_m[j] / f32(n_m)


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
    """Ascent with momentum, from flat arrays to others: velocity = momentum velocity + gradient - decay parameter."""
    for k in range(parameter.size):
        new_velocity[k] = momentum * velocity[k] + gradient[k] - decay * parameter[k]
        new_parameter[k] = parameter[k] + rate * new_velocity[k]


@jit
def adam_step(
    parameter, gradient, first, second, rate, beta1, beta2, epsilon, decay, new_parameter, new_first, new_second
):
    """Adam's ascent step, from flat arrays to others; `rate` and `epsilon` hold the corrections for the start."""
    for k in range(parameter.size):
        g = gradient[k] - decay * parameter[k]
        new_first[k] = beta1 * first[k] + (f32(1) - beta1) * g
        new_second[k] = beta2 * second[k] + (f32(1) - beta2) * g * g
        new_parameter[k] = parameter[k] + rate * new_first[k] / (math.sqrt(new_second[k]) + epsilon)


# ---- enumeration -----------------------------------------------------------------------------------------------------
@parallel
def log_sums(A_high, A_mid, B_low, c_high, c_mid, c_low, every, out):
    """out[high, mid] = ln sum over low of exp(c_high + c_mid + c_low) prod_i (1 + A_high[i] A_mid[i] B_low[i, low]).

    A_high (P, N), A_mid (Q, N) and B_low (N, 64) are float64; exponents are split off after every `every` factors.
    """
    P, N = A_high.shape
    for p in prange(P):
        A = np.empty(N)
        product, exponent = np.empty(LOW), np.empty(LOW, np.int64)
        bits = product.view(np.int64)
        for q in range(A_mid.shape[0]):
            for i in range(N):
                A[i] = A_high[p, i] * A_mid[q, i]
            product[:] = 1.0
            exponent[:] = 0
            for i in range(N):
                for s in range(LOW):
                    product[s] *= 1.0 + A[i] * B_low[i, s]
                if (i + 1) % every == 0:
                    for s in range(LOW):
                        exponent[s] += (bits[s] >> 52) - 1023
                        bits[s] = (bits[s] & 0xFFFFFFFFFFFFF) | (1023 << 52)
            largest = -np.inf
            for s in range(LOW):
                product[s] = math.log(product[s]) + exponent[s] * math.log(2.0) + c_low[s]
                largest = max(largest, product[s])
            total = 0.0
            for s in range(LOW):
                total += math.exp(product[s] - largest)
            out[p, q] = c_high[p] + c_mid[q] + largest + math.log(total)


# ---- Langevin dynamics -----------------------------------------------------------------------------------------------
# A walker obeys dz = -U'(z) dt + sqrt(2 D) dW. One step is of Heun's kind: a trial step with the force at the start,
# then the step with the mean of that force and the one at the end of the trial, both with the same noise. Averages
# converge as dt^2. The force comes from a table on a regular grid, linear between its points; the two normal numbers of
# a step (Box-Muller) come from the two halves of the counter-based key of (seed, step, walker). Walkers never meet:
# one thread carries each of them through all steps.


@internal
def _force(table, low, per_cell, z0, z1, axis):
    """Component `axis` of the force at (z0, z1), bilinear in table (n0, n1, axes); n1 = 1 for one coordinate."""
    s = (z0 - low[0]) * per_cell[0]
    i = min(max(int(s), 0), table.shape[0] - 2)
    s -= i
    if table.shape[1] == 1:
        return (1 - s) * table[i, 0, axis] + s * table[i + 1, 0, axis]
    t = (z1 - low[1]) * per_cell[1]
    j = min(max(int(t), 0), table.shape[1] - 2)
    t -= j
    lower = (1 - s) * table[i, j, axis] + s * table[i + 1, j, axis]
    upper = (1 - s) * table[i, j + 1, axis] + s * table[i + 1, j + 1, axis]
    return (1 - t) * lower + t * upper


@internal
def _inside(z, low, high):
    """z reflected at the ends of the grid."""
    if z < low:
        z = 2 * low - z
    if z > high:
        z = 2 * high - z
    return min(max(z, low), high)


@jit
def normal_pair(key):
    """Two independent standard normal numbers from 64 random bits."""
    radius = math.sqrt(-2.0 * math.log((float(key >> u64(32)) + 0.5) * 2.0**-32))
    angle = float(key & u64(0xFFFFFFFF)) * (2.0**-32 * 2.0 * math.pi)
    return radius * math.cos(angle), radius * math.sin(angle)


@parallel
def langevin(z, table, low, high, per_cell, dt, noise, steps, seed, step0):
    """`steps` Heun steps of all walkers z (n, 1 or 2) float64 in place; noise = sqrt(2 D dt), walls at low and high."""
    two = z.shape[1] == 2
    for c in prange(z.shape[0]):
        z0, z1 = z[c, 0], z[c, 1] if two else 0.0
        for s in range(step0, step0 + steps):
            n0, n1 = normal_pair(stream_key(seed, s, 0, c))
            f0, f1 = _force(table, low, per_cell, z0, z1, 0), 0.0
            trial0, trial1 = z0 + dt * f0 + noise * n0, 0.0
            if two:
                f1 = _force(table, low, per_cell, z0, z1, 1)
                trial1 = z1 + dt * f1 + noise * n1
                g1 = _force(table, low, per_cell, trial0, trial1, 1)
                z1 = _inside(z1 + dt * (f1 + g1) / 2 + noise * n1, low[1], high[1])
            g0 = _force(table, low, per_cell, trial0, trial1, 0)
            z0 = _inside(z0 + dt * (f0 + g0) / 2 + noise * n0, low[0], high[0])
        z[c, 0] = z0
        if two:
            z[c, 1] = z1
