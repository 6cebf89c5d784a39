"""Facet volumes of simple polytopes with at most 64 vertices: the common case of `volume`, unrolled.

The same pulling triangulation. A vertex set is one word, every nonempty intersection of facets is a
face, and instead of moments each vertex collects the determinants of the simplices that it is in.
"""

import numpy as np
from numba import njit
from numpy.typing import NDArray

from regions.kernels import state
from regions.kernels.bits import popcount, trailing_zeros
from regions.kernels.table import I64, f1, f2, f3, i1, i2, u3

ONE = np.uint64(1)
ZERO = np.uint64(0)


@njit(cache=True, nogil=True, forceinline=True)
def list_below(below: NDArray[np.uint64], level: int, n: int, index: int, face: np.uint64) -> int:
    """List, a level down, the facets of a face: its intersections with its `n` siblings; how many."""
    found = 0
    for i in range(n):
        common = face & below[level, i, 0]
        below[level - 1, found, 0] = common
        found += 1 if i != index and common != ZERO else 0
    return found


@njit(cache=True, nogil=True, forceinline=True)
def drop_apex(local: NDArray[np.float64], level: int, face: np.uint64, apex: int) -> float:
    """Eliminate the apex of a face from its vertices' `level` coordinates; returns the pivot's size."""
    best = 0
    for i in range(1, level):
        if abs(local[level, apex, i]) > abs(local[level, apex, best]):
            best = i
    pivot = local[level, apex, best]
    if pivot == 0.0:
        return 0.0
    rest = face & (face - ONE)  # the apex is the lowest vertex
    inverse = 1.0 / pivot
    last = level - 1
    while rest != ZERO:
        v = trailing_zeros(rest)
        rest &= rest - ONE
        factor = local[level, v, best] * inverse
        for i in range(last):
            k = i if i < best else i + 1
            local[last, v, i] = local[level, v, k] - factor * local[level, apex, k]
    return abs(pivot)


@njit(cache=True, nogil=True, forceinline=True)
def sum_sides(
    below: NDArray[np.uint64],
    siblings: int,
    n: int,
    face: np.uint64,
    local: NDArray[np.float64],
    weight: NDArray[np.float64],
    scale: float,
) -> float:
    """Sum the triangles of a polygon from its lowest vertex over the sides that miss it.

    The sides are its intersections with the `n` faces listed at level `siblings`.
    """
    apex = trailing_zeros(face)
    others = face & (face - ONE)
    total = 0.0
    for j in range(n):
        side = face & below[siblings, j, 0]
        if side & ~others != ZERO or popcount(side) != 2:
            continue
        q = trailing_zeros(side)
        r = trailing_zeros(side & (side - ONE))
        det = scale * abs(local[2, q, 0] * local[2, r, 1] - local[2, q, 1] * local[2, r, 0])
        weight[q] += det
        weight[r] += det
        total += det
    weight[apex] += total
    return total


@njit(cache=True, nogil=True)
def sum_simple_facet(t: I64, d: int, index: int) -> float:
    """Sum of the simplices' determinants of facet `index`, coordinates at level d - 1 being ready."""
    apex = i1(t, state.FACE_APEX)
    before = f1(t, state.FACE_TOTAL)
    below = u3(t, state.FACE_BELOW)
    counts = i1(t, state.FACE_COUNTS)
    following = i1(t, state.FACE_NEXT)
    local = f3(t, state.FACE_LOCAL)
    scale = f1(t, state.FACE_PIVOT)
    weight = f1(t, state.FACE_WEIGHT)
    top = d - 1
    face = below[d, index, 0]
    counts[top] = list_below(below, d, counts[d], index, face)
    if top == 2:
        return sum_sides(below, 2, counts[2], face, local, weight, 1.0)
    total = 0.0
    level = top
    following[top] = 0
    apex[top] = trailing_zeros(face)
    scale[top] = 1.0
    before[top] = 0.0
    while True:
        i = following[level]
        if i == counts[level]:
            weight[apex[level]] += total - before[level]
            if level == top:
                return total
            level += 1
            continue
        following[level] = i + 1
        face = below[level, i, 0]
        if (face >> np.uint64(apex[level])) & ONE != ZERO:
            continue
        lowest = trailing_zeros(face)
        pivot = drop_apex(local, level, face, lowest)
        if pivot == 0.0:
            continue
        if level == 3:
            total += sum_sides(below, 3, counts[3], face, local, weight, scale[3] * pivot)
            continue
        counts[level - 1] = list_below(below, level, counts[level], i, face)
        scale[level - 1] = scale[level] * pivot
        level -= 1
        following[level] = 0
        apex[level] = lowest
        before[level] = total


@njit(cache=True, nogil=True)
def measure_simple_facet(t: I64, d: int, index: int) -> None:
    """Volume and centroid of one facet, into FACE_MEASURE and FACE_CENTRE of its hyperplane."""
    below = u3(t, state.FACE_BELOW)
    centre = f2(t, state.FACE_CENTRE)
    local = f3(t, state.FACE_LOCAL)
    measure = f1(t, state.FACE_MEASURE)
    normals = f2(t, state.FACE_NORMALS)
    planes = i2(t, state.FACE_PLANES)
    points = f2(t, state.FACE_POINTS)
    weight = f1(t, state.FACE_WEIGHT)
    face = below[d, index, 0]
    plane = planes[d, index]
    best = 0
    for i in range(1, d):
        if abs(normals[plane, i]) > abs(normals[plane, best]):
            best = i
    stretch = 0.0
    for i in range(d):
        ratio = normals[plane, i] / normals[plane, best]
        stretch += ratio * ratio
    apex = trailing_zeros(face)
    rest = face
    while rest != ZERO:
        v = trailing_zeros(rest)
        rest &= rest - ONE
        weight[v] = 0.0
        for i in range(d - 1):
            k = i if i < best else i + 1
            local[d - 1, v, i] = points[v, k] - points[apex, k]
    total = sum_simple_facet(t, d, index)
    factorial = 1.0
    for i in range(2, d):
        factorial *= i
    measure[plane] = total * np.sqrt(stretch) / factorial
    for i in range(d):
        centre[plane, i] = 0.0
    if total > 0.0:
        rest = face
        while rest != ZERO:
            v = trailing_zeros(rest)
            rest &= rest - ONE
            part = weight[v] / (d * total)
            for i in range(d):
                centre[plane, i] += part * points[v, i]
    else:
        for i in range(d):
            centre[plane, i] = points[apex, i]
