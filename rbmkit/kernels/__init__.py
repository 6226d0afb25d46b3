"""The numba kernels of sampling, training, annealing and enumeration.

Private: other modules are the front door.

WHY NO MATRIX PRODUCT. The states are 0 and 1, so the field v W of a hidden unit is a sum of rows of
W, not a product. Take the units of a layer in groups of four. A group has 16 states, and each of
them adds one fixed vector to the fields of the other layer:

    sums[16 g + p] = sum of W[4 g + k] over the bits k that are set in p = 0 .. 15.

A field is then the sum of one of these vectors per group: a quarter of the additions of a dense
product and no multiplications. Groups in state 0 are left out; on handwritten digits that is three
visible groups in four.

The sums are made where they are used and never stored: they would take four times the memory of W
in each direction, and reading them back takes longer than making them. The columns of W come in
blocks of 64, four vector registers of 16 floats, so that the partial fields stay in registers while
rows are added. (`_add_rows` and `_fill_strip` are written in LLVM vectors, which compile for any
processor to whatever registers it has.) A last block that is at most half full is added in strips
of one register. For each block, a *tile* of 16 to 64 groups has its sums made (64 to 256 kB, in the
second-level cache) and added for all chains of a chunk, then the next tile: 16 groups for dense
states, more for sparse ones, so that a chain adds about 16 rows before it is the next chain's turn.

TASKS. Kernels with a first and a last chain (or block, visible unit, walker) as arguments are
tasks: `rbmkit.machine.threaded` gives them to all threads. A task owns its chains for all steps and
all temperatures; nothing waits in between. Threaded BLAS calls between tasks would make two thread
pools compete (a step then takes several times longer), so no BLAS is called in these loops.

THE DRAW. A unit with field x takes the rarer of its two values, 0 for x >= 0 and else 1, with
probability e / (1 + e), e = e^-|x|, that is if u (1 + e) <= e for uniform u. Field, exponential,
random number and comparison are fused, in float32, whose steps are fine near u = 0: both tails are
equally accurate. Probabilities below 2^-32 count as zero. All that is done for 16 units at once, in
LLVM vectors, by the one function that every sampler calls (`draws.draw`).

TRAINING needs <v_i h_j> over data and chains, with the mean of h_j given v in place of h_j. Row i
is the sum of the means of those samples in which v_i = 1: a field once more, with samples in place
of units and the means in place of W, so that four samples make a group. Where v_i = 1 in most
samples, the sum over the others is taken from the total.

RANDOM NUMBERS are counter-based: unit j of layer l at step s of chain c sees hash(key(seed, s, l,
c), j), so the numbers depend neither on the number of threads nor on the size of chunks, and a run
can be resumed at any step. The key is 64 bits from two rounds of splitmix64; the hash of j is a
32-bit multiply-xorshift permutation with both halves of the key mixed in.

ANNEALING needs the weight p*_new(v) / p*_old(v) of every chain at every temperature. It comes from
the same hidden fields as the next draw: with z = beta x, softplus(z') - softplus(z) is (beta' -
beta) max(x, 0) plus the log of (1 + e^-|z'|) / (1 + e^-|z|), and e^-|z'| is needed for the draw
anyway. A block's factors are multiplied before the one logarithm is taken: each is in [1, 2], so 64
of them stay finite.

ENUMERATION. exp(a_i + sum_j W_ij h_j) factorises over the high and the low bits of h: with
A_i[high] and B_i[low] tabulated, prod_i (1 + A_i B_i) costs two multiplications per unit and state.
Exponents are split off before they overflow.

ROOMS. `fields` has the weights in blocks and the sums, `draws` the random numbers and the draw;
`sampling`, `annealing`, `training`, `tempering`, `enumeration` and `dynamics` (Langevin) the tasks.
What travels together is a named tuple: a `Layer` of weights and fields, the `Law` that chains
follow, the `Work` space of a task.
"""

from rbmkit.kernels.annealing import anneal
from rbmkit.kernels.draws import exp_negative, normal_pair, random_word, stream_key, uniform
from rbmkit.kernels.dynamics import langevin
from rbmkit.kernels.enumeration import LOW, log_sums
from rbmkit.kernels.fields import (
    BLOCK,
    GROUP,
    Layer,
    arrange,
    blocks_of,
    hold_none,
    layer,
    new_columns,
    padded,
)
from rbmkit.kernels.sampling import gibbs, tilted_gibbs
from rbmkit.kernels.tempering import Ladder, temper
from rbmkit.kernels.training import (
    Phase,
    adam_step,
    centre,
    gradient,
    hidden_means,
    run_phases,
    sgd_step,
)

__all__ = [
    "BLOCK",
    "GROUP",
    "LOW",
    "Ladder",
    "Layer",
    "Phase",
    "adam_step",
    "anneal",
    "arrange",
    "blocks_of",
    "centre",
    "exp_negative",
    "gibbs",
    "gradient",
    "hidden_means",
    "hold_none",
    "langevin",
    "layer",
    "log_sums",
    "new_columns",
    "normal_pair",
    "padded",
    "random_word",
    "run_phases",
    "sgd_step",
    "stream_key",
    "temper",
    "tilted_gibbs",
    "uniform",
]
