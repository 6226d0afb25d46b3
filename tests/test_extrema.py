"""Extrema of sampled curves against those of known functions."""

import numpy as np
import pytest

from rbmkit.extrema import local_minima, minima, vertex


def test_local_minima():
    found = local_minima(lambda z: (z**2 - 1) ** 2 + 0.1 * z, -2, 2)
    exact = np.sort(np.roots([4, 0, -4, 0.1]).real)[[0, 2]]
    np.testing.assert_allclose(found, exact, atol=1e-5)
    assert len(local_minima(lambda z: z, -1, 1)) == 0
    with pytest.raises(ValueError, match="low must be below high"):
        local_minima(lambda z: z**2, 1, -1)


def test_the_vertex_of_a_parabola_is_exact():
    z = np.linspace(-1, 2, 13)
    y = 3 * (z - 0.3) ** 2 - 5
    k = minima(y)
    found = vertex(y, k)
    step = z[1] - z[0]
    np.testing.assert_allclose(z[k] + found.offset * step, 0.3, atol=1e-14)
    np.testing.assert_allclose(found.value, -5, atol=1e-14)
    np.testing.assert_allclose(found.bend / step**2, 6)


def test_an_infinite_neighbour_leaves_the_point_where_it_is():
    y = np.array([np.inf, 1.0, 2.0, 0.5, np.inf])
    found = vertex(y, minima(y))
    np.testing.assert_array_equal(minima(y), [1, 3])
    np.testing.assert_array_equal(found.offset, 0)
    np.testing.assert_array_equal(found.value, [1.0, 0.5])
