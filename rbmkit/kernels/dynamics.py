"""Langevin dynamics.

A walker obeys dz = -U'(z) dt + sqrt(2 D) dW. One step is of Heun's kind: a trial step with the
force at the start, then the step with the mean of that force and the one at the end of the trial,
both with the same noise. Averages converge as dt^2. The force comes from a table on a regular grid,
linear between its points; the two normal numbers of a step (Box-Muller) come from the two halves of
the counter-based key of (seed, step, walker). Walkers never meet: one thread carries each of them
through all steps."""

from rbmkit.kernels.draws import key_of, normal_pair
from rbmkit.kernels.options import internal, parallel


@internal
def _force(table, low, per_cell, z0, z1, axis):
    """Component `axis` of the force at (z0, z1), bilinear in table (n0, n1, axes); n1 = 1 for one
    coordinate."""
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


@parallel
def langevin(first, last, z, table, low, high, per_cell, dt, noise, steps, seed, step0):
    """`steps` Heun steps of the walkers first to last of z (n, 1 or 2) float64, in place.

    noise = sqrt(2 D dt); walls are at low and high.
    """
    two = z.shape[1] == 2
    for c in range(first, last):
        z0, z1 = z[c, 0], z[c, 1] if two else 0.0
        for s in range(step0, step0 + steps):
            n0, n1 = normal_pair(key_of(seed, 2 * s, c))
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
