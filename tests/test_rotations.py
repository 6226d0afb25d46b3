"""Rotations against definitions and each other."""

import numpy as np
import pytest
from scipy import stats

from rbmkit import RBM
from rbmkit.reciprocal import modes
from rbmkit.symmetry import (
    aguilera_perez,
    haar,
    plane_around,
    random_planes,
    rotated,
    rotation,
)


def random_modes(N=40, M=30, seed=0, scale=1.0):
    rng = np.random.default_rng(seed)
    rbm = RBM(W=scale * rng.normal(size=(N, M)), a=rng.normal(size=N), b=rng.normal(size=M))
    return rbm, modes(rbm)


@pytest.mark.parametrize("n", [3, 4, 7, 12])
def test_givens_reference_and_plane_rotation_are_equal(n):
    rng = np.random.default_rng(n)
    for angle in (0.3, -2.0, np.pi, 5.0):
        points = rng.normal(size=(n - 1, n))
        R = aguilera_perez(points, angle)
        np.testing.assert_allclose(R @ R.T, np.eye(n), atol=1e-13)
        assert np.linalg.det(R) == pytest.approx(1)
        edges = (points[1:] - points[0]).T
        np.testing.assert_allclose(R @ edges, edges, atol=1e-12)  # the subspace stays where it is
        # and one plane turns by the angle
        assert np.trace(R) == pytest.approx(n - 2 + 2 * np.cos(angle))
        np.testing.assert_allclose(
            rotation(plane_around(points)[None], [angle]).matrix(), R, atol=1e-12
        )


def test_reference_in_three_dimensions_is_the_rotation_around_an_axis():
    R = aguilera_perez(np.array([[0.0, 0, 0], [0, 0, 2]]), 0.4)
    np.testing.assert_allclose(
        R[:2, :2], [[np.cos(0.4), -np.sin(0.4)], [np.sin(0.4), np.cos(0.4)]], atol=1e-14
    )
    # around (1, 1, 1): a cyclic permutation
    R = aguilera_perez(np.array([[1.0, 0, 0], [2, 1, 1]]), 2 * np.pi / 3)
    np.testing.assert_allclose(R, np.roll(np.eye(3), 1, axis=0), atol=1e-14)


@pytest.mark.parametrize("axes", [True, False])
def test_product_of_rotations(axes):
    rng = np.random.default_rng(0)
    planes = random_planes(6, 9, rng=rng, axes=axes)
    angles = rng.uniform(0, 7, 6)
    expected = np.eye(9)
    for plane, angle in zip(planes, angles, strict=True):
        expected = rotation(plane[None], [angle]).matrix() @ expected
    R = rotation(planes, angles)
    x = rng.normal(size=(9, 4))
    np.testing.assert_allclose(R.matrix(), expected, atol=1e-13)
    np.testing.assert_allclose(R.apply(x), expected @ x, atol=1e-13)
    assert np.abs(expected - np.eye(9)).max() > 0.1


def test_fixed_axes_are_kept():
    for axes in (True, False):
        R = rotation(random_planes(20, 8, rng=1, axes=axes, fixed=5), np.full(20, 1.0)).matrix()
        np.testing.assert_allclose(R[:5], np.eye(8)[:5], atol=1e-13)
        assert np.abs(R[5:, 5:] - np.eye(3)).max() > 0.1


def test_rotated_weights_are_the_rotated_modes():
    _, m = random_modes(9, 6)
    W = (m.U * m.s) @ m.V.T
    rng = np.random.default_rng(1)
    left, right = (rotation(random_planes(4, n, rng=rng), rng.uniform(0, 7, 4)) for n in (9, 6))
    expected = (left.apply(m.U) * m.s) @ right.apply(m.V).T
    np.testing.assert_allclose(rotated(W, left, right), expected, atol=1e-13)
    np.testing.assert_allclose(np.linalg.svd(expected, compute_uv=False), m.s)


def test_haar_columns_are_uniform_on_the_sphere():
    draws = np.array([haar(6, 3, rng=seed) for seed in range(2000)])
    np.testing.assert_allclose(
        draws.transpose(0, 2, 1) @ draws, np.broadcast_to(np.eye(3), (2000, 3, 3)), atol=1e-13
    )
    # the square of one is Beta(1/2, (n - 1)/2), the sign random
    for component in (draws[:, 0, 0], draws[:, 4, 2]):
        assert stats.kstest(component**2, stats.beta(0.5, 2.5).cdf).pvalue > 1e-3
        assert abs(np.sign(component).sum()) < 4 * np.sqrt(2000)


def test_wrong_rotations_are_refused():
    with pytest.raises(ValueError, match="orthonormal"):
        rotation(np.ones((1, 2, 3)), [0.1])
    with pytest.raises(ValueError, match="angles must have shape"):
        rotation(random_planes(2, 4, rng=0), [0.1])
    with pytest.raises(ValueError, match="n - 1 points"):
        aguilera_perez(np.eye(4), 0.1)
    with pytest.raises(ValueError, match="leave a plane"):
        random_planes(1, 6, rng=0, fixed=5)
    with pytest.raises(ValueError, match="no 5 orthonormal vectors in 3"):
        haar(3, 5, rng=0)


@pytest.mark.parametrize("around", [lambda points: aguilera_perez(points, 0.1), plane_around])
def test_points_without_one_subspace_are_refused(around):
    points = np.random.default_rng(0).normal(size=(4, 5))
    assert around(points).shape[1] == 5
    coincident = points.copy()
    in_line = points.copy()
    coincident[2] = points[1]
    in_line[2] = 2 * points[1] - points[0]
    for wrong in (coincident, in_line):
        with pytest.raises(ValueError, match="coincide"):
            around(wrong)
    for wrong in (points[:3], np.eye(5)):
        with pytest.raises(ValueError, match="n - 1 points"):
            around(wrong)
