"""Exact distances of points from a boundary: floats find the likely pieces, rational arithmetic decides.

A piece is cut into simplices. Of each a halfspace that holds it bounds its distance from below; what may be
nearer than the best is measured exactly.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import combinations
from math import isqrt
from typing import TYPE_CHECKING

import numpy as np
from flint import fmpq, fmpq_mat
from numpy.typing import ArrayLike, NDArray

from regions.analysis.boundaries.exact_pieces import simplices_of_pieces
from regions.domain.intrinsic import lock_arrays
from regions.errors import InvalidInputError
from regions.showing import Shown

if TYPE_CHECKING:
    from regions.analysis.boundaries.boundary_complex import BoundaryComplex

__all__ = ["BoundaryDistances", "boundary_distances"]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

_SLACK = 2.0**-44  # of the coordinates: far above the rounding of a bound from below
_TOGETHER = 1 << 20  # entries of the arrays for points and simplices at once


@dataclass(frozen=True, eq=False)
class BoundaryDistances(Shown):
    """How far points are from a boundary.

    Attributes
    ----------
    squared : tuple of N Fraction, squared Euclidean distances in intrinsic coordinates, exact
    distances : (N,) float64, their roots, rounded
    nearest : (N, d) float64, the nearest points of the boundary, rounded
    pieces : (N,) int64, a piece that each nearest point lies on
    """

    squared: tuple[Fraction, ...]
    distances: FloatArray
    nearest: FloatArray
    pieces: IntArray

    def __post_init__(self) -> None:
        lock_arrays(tuple(vars(self).values()))


def boundary_distances(boundary: BoundaryComplex, points: ArrayLike) -> BoundaryDistances:
    """Return the exact distances of points from a boundary, and the nearest points.

    Parameters
    ----------
    boundary : BoundaryComplex
    points : (N, d) or (d,) float64, intrinsic, inside of the domain or not

    Raises
    ------
    InvalidInputError
        If the points do not fit, or the boundary has no piece.

    Notes
    -----
    Cost: for each point and simplex some 2^d products in floats, and 0.1 ms for each that may be the nearest.

    Examples
    --------
    >>> from regions import Box, Network, decision_boundary
    >>> line = decision_boundary(Network.from_arrays([[[1.0, 1.0]]], [[-1.0]]), Box([0.0, 0.0], [1.0, 1.0]))
    >>> found = line.distances([[0.0, 0.0], [2.0, 0.0]])
    >>> [str(square) for square in found.squared], found.nearest.tolist()
    (['1/2', '1'], [[0.5, 0.5], [1.0, 0.0]])
    """
    d = boundary.dimension
    try:
        given = np.atleast_2d(np.asarray(points, dtype=np.float64))
    except (TypeError, ValueError):
        raise InvalidInputError(f"points: give numbers of shape (N, {d})") from None
    if given.ndim != 2 or given.shape[1] != d or not np.isfinite(given).all():
        raise InvalidInputError(f"points have shape {given.shape}; give finite numbers of shape (N, {d})")
    if not boundary.n_pieces:
        raise InvalidInputError("the boundary has no piece in the domain, so no point has a distance from it")
    simplices, owner = simplices_of_pieces(boundary.faces)
    corners = boundary.points[simplices]
    exact = [[fmpq(int(x), int(p[-1])) for x in p[:-1]] for p in boundary.faces.points]
    squares, nearest, pieces = [], np.zeros(given.shape), np.zeros(len(given), np.int64)
    for k, point in enumerate(given):
        low, high = _bounds_of_distances(point, corners)
        best: tuple[fmpq, list[fmpq], int] | None = None
        own = [fmpq(*x.as_integer_ratio()) for x in point.tolist()]
        for s in np.argsort(high, kind="stable").tolist():
            if best is not None and not low[s] <= np.sqrt(float(best[0])) * (1.0 + _SLACK):
                continue
            square, foot = _nearest_of_simplex(own, [exact[v] for v in simplices[s].tolist()])
            if best is None or square < best[0]:
                best = square, foot, int(owner[s])
        assert best is not None  # there is a simplex
        squares.append(Fraction(int(best[0].p), int(best[0].q)))
        nearest[k] = [int(x.p) / int(x.q) for x in best[1]]
        pieces[k] = best[2]
    roots = np.array([_root(square) for square in squares])
    return BoundaryDistances(tuple(squares), roots, nearest, pieces)


def _bounds_of_distances(point: FloatArray, corners: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return bounds of the distances of a point from simplices (K, d, d): from below for sure, and about.

    Whatever the direction from the about nearest point to the point is, the simplex lies beyond the plane
    across it through its first corner.
    """
    low, high = np.zeros(len(corners)), np.zeros(len(corners))
    step = max(1, _TOGETHER // corners.shape[1] ** 3)
    for start in range(0, len(corners), step):
        part = corners[start : start + step]
        foot = _about_nearest(point, part)
        away = point - foot
        length = np.linalg.norm(away, axis=1)
        direction = away / np.where(length > 0.0, length, 1.0)[:, None]
        reach = np.einsum("kd,kvd->kv", direction, point - part).min(axis=1)
        size = np.abs(part).max(axis=(1, 2)) + np.abs(point).max()
        low[start : start + step] = reach - _SLACK * size
        high[start : start + step] = length
    return low, high


def _about_nearest(point: FloatArray, corners: FloatArray) -> FloatArray:
    """Return about the nearest points (K, d) of simplices (K, v, d), by projection onto their faces."""
    count, v, _ = corners.shape
    best, square = corners[:, 0].copy(), np.full(count, np.inf)
    for size in range(1, v + 1):
        for chosen in combinations(range(v), size):
            base, edges = corners[:, chosen[0]], corners[:, chosen[1:]] - corners[:, chosen[:1]]
            gram = edges @ edges.transpose(0, 2, 1)
            wanted = np.einsum("ked,kd->ke", edges, point - base)
            weights = (
                np.einsum("kef,kf->ke", np.linalg.pinv(gram, hermitian=True), wanted) if size > 1 else wanted
            )
            foot = base + np.einsum("ke,ked->kd", weights, edges)
            inside = (weights >= 0.0).all(axis=1) & (weights.sum(axis=1) <= 1.0)
            away = ((point - foot) ** 2).sum(axis=1)
            better = inside & (away < square)
            best[better], square[better] = foot[better], away[better]
    return best


def _nearest_of_simplex(point: Sequence[fmpq], corners: Sequence[Sequence[fmpq]]) -> tuple[fmpq, list[fmpq]]:
    """Return the squared distance of a point from a simplex and the nearest point, exactly.

    It is the nearest one of the affine span of some face, and inside of the face.
    """
    best: tuple[fmpq, list[fmpq]] | None = None
    for size in range(1, len(corners) + 1):
        for chosen in combinations(corners, size):
            foot = _foot_inside(point, chosen)
            if foot is None:
                continue
            square = sum(((x - y) ** 2 for x, y in zip(point, foot, strict=True)), fmpq(0))
            if best is None or square < best[0]:
                best = square, foot
    assert best is not None  # corners are faces
    return best


def _foot_inside(point: Sequence[fmpq], chosen: Sequence[Sequence[fmpq]]) -> list[fmpq] | None:
    """Return the projection of a point onto the span of a face, None where it is outside of the face."""
    base, *others = chosen
    if not others:
        return list(base)
    edges = [[x - y for x, y in zip(corner, base, strict=True)] for corner in others]
    wanted = [
        sum((a * (x - y) for a, x, y in zip(edge, point, base, strict=True)), fmpq(0)) for edge in edges
    ]
    matrix = fmpq_mat(len(edges), len(base), [x for edge in edges for x in edge])
    weights = (matrix * matrix.transpose()).solve(fmpq_mat(len(edges), 1, wanted)).entries()
    if any(w < 0 for w in weights) or sum(weights, fmpq(0)) > 1:
        return None
    return [
        y + sum((w * edge[j] for w, edge in zip(weights, edges, strict=True)), fmpq(0))
        for j, y in enumerate(base)
    ]


def _root(square: Fraction) -> float:
    """Return the root of a fraction, rounded from about 64 bits beyond those of a float."""
    if square == 0:
        return 0.0
    p, q = square.numerator, square.denominator
    shift = max(0, 256 - p.bit_length() + q.bit_length()) // 2 * 2
    root = isqrt((p << shift) // q)
    excess = max(0, root.bit_length() - 128)
    return float(np.ldexp(float(root >> excess), excess - shift // 2))
