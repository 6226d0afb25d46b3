"""Random numbers from counters, the exponential, and the draw of 16 units at once.

`_scramble`, `_uniform` and `_exponential` write LLVM instructions for one number or for a vector of
16, so that the formula stands here once."""

import math

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from rbmkit.kernels.fields import BLOCK, GROUP, LANES, element, lanes_at, width_of
from rbmkit.kernels.options import inlined, internal, jit

GOLDEN = 0x9E3779B9  # the unit's number enters the hash multiplied by this

u32, u64 = np.uint32, np.uint64

_FUSED = ("contract",)  # a product and a sum may become one instruction
_INT, _LONG, _FLOAT = ir.IntType(32), ir.IntType(64), ir.FloatType()
_POLYNOMIAL = (  # minimax for 2^r, |r| <= 1/2, from the highest power down
    0.001327647129073739,
    0.009675541892647743,
    0.05550713092088699,
    0.24022120237350464,
    0.6931469440460205,
    1.0000001192092896,
)


# ---- formulas, for numbers and vectors ---------------------------------------------------------
def _like(x, kind):
    """The type `kind`, or the vector of it if x is a vector."""
    return ir.VectorType(kind, x.type.count) if isinstance(x.type, ir.VectorType) else kind


def _constant(x, kind, value):
    """A constant to go with x."""
    of = _like(x, kind)
    return ir.Constant(of, [value] * of.count if of is not kind else value)


def _fold(builder, x, shift, multiplier):
    """(x ^ x >> shift) * multiplier mod 2^32."""
    x = builder.xor(x, builder.lshr(x, _constant(x, _INT, shift)))
    return builder.mul(x, _constant(x, _INT, multiplier))


def _scramble(builder, x, upper):
    """The hash of 32-bit words x; `upper` is the upper half of the key."""
    x = builder.add(_fold(builder, x, 16, 0x21F0AAAD), upper)
    x = _fold(builder, x, 15, 0xD35A2D97)
    return builder.xor(x, builder.lshr(x, _constant(x, _INT, 15)))


def _uniform(builder, word):
    """Uniform float32 in (0, 1]: (k + 1/2) / 2^31 from the upper 31 bits k."""
    k = builder.lshr(word, _constant(word, _INT, 1))
    k = builder.sitofp(k, _like(k, _FLOAT))
    k = builder.fmul(k, _constant(k, _FLOAT, 2.0**-31), flags=_FUSED)
    return builder.fadd(k, _constant(k, _FLOAT, 2.0**-32), flags=_FUSED)


def _exponential(builder, x):
    """e^x for x <= 0: 2^n 2^r with a polynomial for 2^r; n >= -125."""
    lowest = _constant(x, _FLOAT, -125.0)
    t = builder.fmul(x, _constant(x, _FLOAT, 1.4426950408889634))
    t = builder.select(builder.fcmp_ordered(">", t, lowest), t, lowest)
    n = builder.fptosi(builder.fsub(t, _constant(x, _FLOAT, 0.5)), _like(x, _INT))
    r = builder.fsub(t, builder.sitofp(n, x.type))
    p = _constant(x, _FLOAT, _POLYNOMIAL[0])
    for coefficient in _POLYNOMIAL[1:]:
        p = builder.fmul(p, r, flags=_FUSED)
        p = builder.fadd(p, _constant(x, _FLOAT, coefficient), flags=_FUSED)
    n = builder.shl(builder.add(n, _constant(n, _INT, 127)), _constant(n, _INT, 23))
    return builder.fmul(p, builder.bitcast(n, x.type))


def _minus_abs(builder, z):
    bits = builder.bitcast(z, _like(z, _INT))
    return builder.bitcast(builder.or_(bits, _constant(bits, _INT, 1 << 31)), z.type)


# ---- one number --------------------------------------------------------------------------------
@inlined
def _mix64(x):
    x = (x ^ (x >> u64(30))) * u64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> u64(27))) * u64(0x94D049BB133111EB)
    return x ^ (x >> u64(31))


@jit
def key_of(seed, half, chain):
    """64-bit key of the random numbers of a chain at the half step 2 step + layer."""
    key = _mix64(u64(seed) + u64(0x9E3779B97F4A7C15) * (u64(half) + u64(1)))
    return _mix64(key + u64(0xD1B54A32D192ED03) * (u64(chain) + u64(1)))


@jit
def stream_key(seed, step, layer, chain):
    """64-bit key of the random numbers of one layer of one chain at one step: 0 is the layer that
    is drawn first in the step (h, for chains that start from v), 1 the other."""
    return key_of(seed, u64(2) * u64(step) + u64(layer), chain)


@intrinsic
def _word(typingctx, key, j):
    def codegen(context, builder, sig, args):
        return _scramble(builder, _counter(builder, *args), _upper(builder, args[0]))

    return types.uint32(types.uint64, types.int64), codegen


@intrinsic
def _unit(typingctx, word):
    return types.float32(types.uint32), lambda context, builder, sig, args: _uniform(builder, *args)


@intrinsic
def _exp(typingctx, x):
    return types.float32(types.float32), lambda context, builder, sig, args: _exponential(
        builder, *args
    )


def _upper(builder, key):
    return builder.trunc(builder.lshr(key, _LONG(32)), _INT)


def _counter(builder, key, j):
    """What is scrambled for unit j."""
    return builder.add(builder.trunc(key, _INT), builder.mul(builder.trunc(j, _INT), _INT(GOLDEN)))


@jit
def random_word(key, j):
    """32 random bits for unit j."""
    return _word(key, j)


@jit
def uniform(key, j):
    """Uniform float32 in (0, 1] for unit j."""
    return _unit(_word(key, j))


@jit
def exp_negative(x):
    """e^x for x <= 0 in float32, relative error below (|x| + 2) 1e-7; at least 2^-125 (denormals
    are slow)."""
    return _exp(x)


@jit
def normal_pair(key):
    """Two independent standard normal numbers from 64 random bits."""
    radius = math.sqrt(-2.0 * math.log((float(key >> u64(32)) + 0.5) * 2.0**-32))
    angle = float(key & u64(0xFFFFFFFF)) * (2.0**-32 * 2.0 * math.pi)
    return radius * math.cos(angle), radius * math.sin(angle)


@internal
def make_keys(seed, half, first, keys):
    """Keys of the chains first, first + 1, ... at a half step."""
    for l in range(keys.size):
        keys[l] = key_of(seed, half, first + l)


# ---- the draw ----------------------------------------------------------------------------------
def _everywhere(builder, x):
    """The vector with x in all lanes."""
    nothing = ir.Constant(ir.VectorType(x.type, LANES), ir.Undefined)
    first = builder.insert_element(nothing, x, _INT(0))
    return builder.shuffle_vector(
        first, nothing, ir.Constant(ir.VectorType(_INT, LANES), [0] * LANES)
    )


def _packed(builder, bits):
    """16 bits, four to a byte."""
    x = builder.zext(builder.bitcast(bits, ir.IntType(LANES)), _INT)
    for shift, mask in ((8, 0x00FF00FF), (4, 0x0F0F0F0F)):
        x = builder.and_(builder.or_(x, builder.shl(x, _INT(shift))), _INT(mask))
    return x


@intrinsic
def _draw_strip(typingctx, fields, at, scale, acc, start, key, unit, drawn, to, e, keep):
    """Draw 16 units with z = fields[at :] + scale acc[start :], from `unit` on, to four bytes
    drawn[to :].

    e^-|z| goes to e[keep :], if e is an array. All arrays are taken as flat.
    """
    ints, real = types.intp, types.float32
    sig = types.void(fields, ints, real, acc, ints, types.uint64, ints, drawn, ints, e, ints)

    def codegen(context, builder, sig, args):
        def pointer(k):
            return element(context, builder, sig.args[k], args[k], args[k + 1])

        def lanes(place):
            return lanes_at(builder, place)

        field = builder.load(lanes(pointer(0)), align=4)
        start = element(context, builder, sig.args[3], args[3], args[4])
        z = builder.load(lanes(start), align=4)
        z = builder.fmul(z, _everywhere(builder, args[2]), flags=_FUSED)
        z = builder.fadd(z, field, flags=_FUSED)
        rare = _exponential(builder, _minus_abs(builder, z))
        if isinstance(sig.args[9], types.Array):
            builder.store(rare, lanes(pointer(9)), align=4)
        counter = _everywhere(builder, _counter(builder, args[5], args[6]))
        strides = [k * GOLDEN % 2**32 for k in range(LANES)]
        counter = builder.add(counter, ir.Constant(counter.type, strides))
        upper = _everywhere(builder, _upper(builder, args[5]))
        u = _uniform(builder, _scramble(builder, counter, upper))
        product = builder.fmul(u, builder.fadd(rare, _constant(rare, _FLOAT, 1.0)))
        flip = builder.fcmp_ordered(">=", z, _constant(z, _FLOAT, 0.0))
        bits = builder.xor(builder.fcmp_ordered("<=", product, rare), flip)
        place = builder.bitcast(pointer(7), _INT.as_pointer())
        builder.store(_packed(builder, bits), place, align=1)
        return context.get_dummy_value()

    return sig, codegen


@inlined
def draw(layer, block, fields, row, scale, acc, start, key, drawn, to, e):
    """Draw the units of a block for one chain, whose z are `row` of fields plus scale times
    acc[start :].

    Groups go to the flat array `drawn`, the first one of the layer to `to`; e^-|z| to e, unless it
    is None."""
    at = (row * layer.columns.shape[0] + block) * BLOCK
    to += block * (BLOCK // GROUP)
    for q in range(0, width_of(layer, block), LANES):
        unit = block * BLOCK + q
        _draw_strip(fields, at + q, scale, acc, start + q, key, unit, drawn, to + q // GROUP, e, q)
