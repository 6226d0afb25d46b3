"""Rotations of n-dimensional space.

A rotation by an angle around an (n-2)-dimensional subspace turns one plane, so it is the identity
plus a matrix of rank 2. `rotation` keeps a product of k of them as I + P C P^T; `aguilera_perez` is
the construction of the paper's Ref. 43 from Givens rotations, as a reference.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rbmkit import checks


@dataclass(frozen=True, eq=False)
class Rotation:
    """A product of k plane rotations of n-dimensional space, I + P C P^T; made by `rotation`.

    Attributes
    ----------
    P : (n, 2 k) array
        The two vectors of each plane.
    C : (2 k, 2 k) array
        Lower block triangular.
    """

    P: np.ndarray
    C: np.ndarray

    def apply(self, x: np.ndarray) -> np.ndarray:
        """R x for the columns of `x` (n, ...): O(n k + k^2) operations per column, no n x n
        matrix."""
        return x + self.P @ (self.C @ (self.P.T @ x))

    def matrix(self) -> np.ndarray:
        """R as an (n, n) array."""
        return self.apply(np.eye(len(self.P)))


def rotation(planes: np.ndarray, angles: np.ndarray) -> Rotation:
    """Rotations in the given planes, one after the other, the first one first.

    One rotation by the angle t takes p to cos t p + sin t q and q to cos t q - sin t p, and leaves
    alone what is perpendicular to both: I + [p q] C [p q]^T with C = [[cos t - 1, -sin t], [sin t,
    cos t - 1]].

    Parameters
    ----------
    planes : (k, 2, n) array
        Orthonormal pairs p, q.
    angles : (k,) array
        In radians.

    Raises
    ------
    ValueError
        Wrong shapes, or a pair is not orthonormal.
    """
    planes = checks.real_array(planes, (None, 2, None), "planes")
    angles = checks.real_array(angles, (len(planes),), "angles")
    if np.abs(planes @ planes.transpose(0, 2, 1) - np.eye(2)).max() > 1e-8:
        raise ValueError("each of planes must hold two orthonormal vectors")
    P = planes.reshape(2 * len(planes), -1).T
    gram = P.T @ P
    C = np.zeros((P.shape[1], P.shape[1]))
    for k, t in enumerate(angles):
        one = np.array([[np.cos(t) - 1, -np.sin(t)], [np.sin(t), np.cos(t) - 1]])
        new = slice(2 * k, 2 * k + 2)
        old = slice(0, 2 * k)
        C[new, old] = one @ gram[new, old] @ C[old, old]
        C[new, new] = one
    return Rotation(P, C)


def aguilera_perez(points: np.ndarray, angle: float) -> np.ndarray:
    """Rotation around the (n-2)-dimensional subspace through n - 1 points, by Aguilera and
    Perez-Aguila (2004).

    The n - 2 edges from the first point are turned, by one Givens rotation per coordinate, into the
    span of the first n - 2 axes; there the rotation acts on the last two; then everything is turned
    back. O(n^3) operations.

    Parameters
    ----------
    points : (n - 1, n) array
        Corners of a simplex, n >= 3.
    angle : float
        In radians.

    Returns
    -------
    (n, n) array
        R; the map of space is x -> points[0] + R (x - points[0]).

    Raises
    ------
    ValueError
        Not n - 1 points, or their edges do not span n - 2 dimensions: no one subspace goes through
        them.
    """
    edges = _edges(points)
    angle = checks.real(angle, "angle")
    n = len(edges)
    M = np.eye(n)
    for column in range(n - 2):
        for row in range(n - 1, column, -1):
            t = np.arctan2(edges[row, column], edges[row - 1, column])
            givens = np.array([[np.cos(t), np.sin(t)], [-np.sin(t), np.cos(t)]])
            edges[row - 1 : row + 1] = givens @ edges[row - 1 : row + 1]
            M[row - 1 : row + 1] = givens @ M[row - 1 : row + 1]
    turned = M.copy()
    turned[-2:] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]] @ M[-2:]
    return M.T @ turned


def plane_around(points: np.ndarray) -> np.ndarray:
    """The plane in which `aguilera_perez` rotates: (2, n), orthonormal, with the same sense of
    rotation."""
    edges = _edges(points)
    Q, R = np.linalg.qr(edges, mode="complete")
    plane = Q[:, -2:].T
    # (edges, p, q) must be right-handed
    if np.linalg.slogdet(Q)[0] * np.sign(np.diag(R)).prod() < 0:
        plane[1] *= -1
    return plane


def _edges(points: np.ndarray) -> np.ndarray:
    points = checks.real_array(points, (None, None), "points")
    count, n = points.shape
    if count != n - 1 or n < 3:
        raise ValueError(
            f"points must be n - 1 points in n >= 3 dimensions, got shape {points.shape}"
        )
    edges = (points[1:] - points[0]).T
    if np.linalg.matrix_rank(edges) < n - 2:
        raise ValueError(
            "points must be the corners of a simplex: here some coincide or are linearly dependent"
        )
    return edges


def random_planes(
    k: int, n: int, *, rng: int | np.random.Generator, axes: bool = False, fixed: int = 0
) -> np.ndarray:
    """k random planes in n dimensions, (k, 2, n); their complements are the (n-2)-dimensional
    subspaces kept.

    Parameters
    ----------
    k, n : int
    rng : int or Generator
    axes : bool, optional
        Planes spanned by two of the coordinate axes; else (default) by two uniformly random
        directions.
    fixed : int, optional
        The first so many axes are kept by every rotation.
    """
    k = checks.positive_int(k, "k")
    n = checks.integer(n, "n", least=2)
    rng = checks.as_generator(rng)
    free = n - checks.integer(fixed, "fixed", least=0)
    if free < 2:
        raise ValueError(f"fixed must leave a plane of the n = {n} dimensions free, got {fixed}")
    planes = np.zeros((k, 2, n))
    if axes:
        chosen = fixed + np.array([rng.choice(free, 2, replace=False) for _ in range(k)])
        planes[np.arange(k)[:, None], [[0, 1]], chosen] = 1
    else:
        planes[..., fixed:] = np.linalg.qr(rng.normal(size=(k, free, 2)))[0].transpose(0, 2, 1)
    return planes


def haar(n: int, k: int, *, rng: int | np.random.Generator) -> np.ndarray:
    """k orthonormal vectors in n dimensions, uniformly distributed: columns of a
    Haar-distributed matrix, (n, k)."""
    n = checks.positive_int(n, "n")
    k = checks.positive_int(k, "k")
    if k > n:
        raise ValueError(
            f"k must be at most n: there are no {k} orthonormal vectors in {n} dimensions"
        )
    Q, R = np.linalg.qr(checks.as_generator(rng).normal(size=(n, k)))
    return Q * np.sign(np.diag(R))


def rotated(W: np.ndarray, left: Rotation, right: Rotation) -> np.ndarray:
    """U_R Sigma V_R^T with U_R = R_left U and V_R = R_right V, which is R_left W R_right^T: no
    SVD is needed."""
    return right.apply(left.apply(W).T).T
