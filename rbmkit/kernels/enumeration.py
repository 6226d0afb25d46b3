"""The sum over all states of up to some thirty units."""

import math

import numpy as np

from rbmkit.kernels.options import parallel

LOW = 64  # states of the low bits in the enumeration


@parallel
def log_sums(first, last, A_high, A_mid, B_low, c_high, c_mid, c_low, every, out):
    """For high = first to last, the sum over all states of the low bits, in logarithms.

    out[high, mid] = ln sum over low of exp(c_high + c_mid + c_low) prod_i (1 + A_high[i] A_mid[i]
    B_low[i, low]). A_high (P, N), A_mid (Q, N) and B_low (N, 64) are float64; exponents are split
    off after every `every` factors."""
    N = A_high.shape[1]
    for p in range(first, last):
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
