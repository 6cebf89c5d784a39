"""Volumes and distances of exact points: rational where they are rational, else `arb` intervals.

A point is a tuple of integers (x_1, ..., x_d, w), w > 0. Intervals contain the true value.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import factorial, inf, isfinite, nextafter, prod
from typing import Any

from flint import arb, ctx, fmpq, fmpq_mat, fmpz, fmpz_mat

from regions.rational.exact_polytope import RationalPolytope

Points = Sequence[Sequence[Any]]


def simplex_volume(points: Points) -> fmpq:
    """Exact volume of the simplex on d + 1 points in d dimensions.

    Examples
    --------
    >>> simplex_volume([(0, 0, 1), (1, 0, 1), (0, 1, 3)])
    1/6
    """
    size = len(points)
    determinant = fmpz_mat(size, size, [x for point in points for x in point]).det()
    return fmpq(abs(determinant), factorial(size - 1) * prod(int(point[-1]) for point in points))


def cell_volume(polytope: RationalPolytope) -> fmpq:
    """Exact volume of a polytope.

    Examples
    --------
    >>> cell_volume(RationalPolytope(1, [(1, 3), (1, 2)], [1, 2]))
    1/6
    """
    vertices = polytope.vertices
    return sum((simplex_volume([vertices[i] for i in s]) for s in polytope.simplices()), fmpq(0))


def squared_volume(points: Points) -> fmpq:
    """Exact square of the k-volume of the simplex on k + 1 points in d dimensions (Gram determinant).

    Examples
    --------
    >>> squared_volume([(0, 0, 1), (1, 1, 2)])
    1/2
    """
    first, *others = [[fmpq(int(x), int(p[-1])) for x in p[:-1]] for p in points]
    k = len(others)
    if k == 0:
        return fmpq(1)
    edges = fmpq_mat(k, len(first), [x - y for point in others for x, y in zip(point, first, strict=True)])
    return (edges * edges.transpose()).det() / factorial(k) ** 2


def facet_volume_enclosure(
    polytope: RationalPolytope, on: int, bits: int = 128, row: Sequence[Any] | None = None
) -> arb:
    """Interval around the volume of a face of a polytope, in its own dimension.

    Parameters
    ----------
    polytope : RationalPolytope
    on : int, the face's vertices as bits
    bits : int, working precision
    row : d + 1 integers, a facet's hyperplane; some times faster than without, as the facet is projected
        along an axis, where its volume is rational, and one square root is taken in all

    Examples
    --------
    >>> triangle = RationalPolytope(2, [(0, 0, 1), (1, 0, 1), (0, 1, 1)], [5, 3, 6])
    >>> bounds(facet_volume_enclosure(triangle, 6))
    (1.414213562373095, 1.4142135623730951)
    >>> bounds(facet_volume_enclosure(triangle, 6, row=(1, 1, -1)))
    (1.414213562373095, 1.4142135623730951)
    """
    simplices = polytope.simplices(on)
    if row is None:
        squares = [squared_volume([polytope.vertices[i] for i in simplex]) for simplex in simplices]
        with ctx.workprec(bits):
            return sum((arb(square).sqrt() for square in squares), arb(0))
    d = polytope.dimension
    normal = [fmpz(x) for x in row[:d]]
    axis = max(range(d), key=lambda j: abs(normal[j]))
    slope = fmpq(sum(x * x for x in normal), normal[axis] ** 2)  # >= 1, squared
    corners = [[x for j, x in enumerate(vertex) if j != axis] for vertex in polytope.vertices]
    with ctx.workprec(bits):
        shadow = arb(0)
        for simplex in simplices:
            determinant = fmpz_mat(d, d, [x for i in simplex for x in corners[i]]).det()
            shadow += arb(abs(determinant)) / prod(corners[i][-1] for i in simplex)
        return shadow * arb(slope).sqrt() / factorial(d - 1)


def enclosure(values: Iterable[Any], bits: int = 128) -> arb:
    """Interval around the sum of rationals and intervals.

    Examples
    --------
    >>> bounds(enclosure([fmpq(1, 3), fmpq(2, 3)]))
    (1.0, 1.0)
    """
    exact, total = fmpq(0), arb(0)
    with ctx.workprec(bits):
        for value in values:
            if isinstance(value, arb):
                total += value
            else:
                exact += value
        return total + arb(exact)


def bounds(interval: arb) -> tuple[float, float]:
    """Floats low <= high that enclose an interval, as close as floats can.

    Examples
    --------
    >>> low, high = bounds(arb(fmpq(1, 10)))
    >>> low < high, bounds(arb(2))
    (True, (2.0, 2.0))
    """
    low, high = float(interval.lower()), float(interval.upper())
    while isfinite(low) and arb(low) > interval.lower():
        low = nextafter(low, -inf)
    while isfinite(high) and arb(high) < interval.upper():
        high = nextafter(high, inf)
    return low, high
