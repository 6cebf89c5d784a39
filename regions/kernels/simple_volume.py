"""Facet volumes of simple polytopes with at most 128 vertices: the common case of `volume`, unrolled.

The same pulling triangulation. A vertex set is two words, every nonempty intersection of facets is a
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
def lowest_vertex(low: np.uint64, high: np.uint64) -> int:
    """Lowest vertex of a set; a set is the words of vertices 0..63 and 64..127."""
    if low != ZERO:
        return trailing_zeros(low)
    return 64 + trailing_zeros(high)


@njit(cache=True, nogil=True, forceinline=True)
def without_lowest(low: np.uint64, high: np.uint64) -> tuple[np.uint64, np.uint64]:
    """A nonempty set without its lowest vertex."""
    if low != ZERO:
        return low & (low - ONE), high
    return low, high & (high - ONE)


@njit(cache=True, nogil=True, forceinline=True)
def list_below(
    below: NDArray[np.uint64], level: int, n: int, index: int, low: np.uint64, high: np.uint64, two: bool
) -> int:
    """List, a level down, the facets of a face: its intersections with its `n` siblings; how many."""
    found = 0
    for i in range(n):
        common_low = low & below[level, i, 0]
        common_high = high & below[level, i, 1] if two else ZERO
        below[level - 1, found, 0] = common_low
        if two:
            below[level - 1, found, 1] = common_high
        found += 1 if i != index and common_low | common_high != ZERO else 0
    return found


@njit(cache=True, nogil=True, forceinline=True)
def drop_apex(local: NDArray[np.float64], level: int, low: np.uint64, high: np.uint64, apex: int) -> float:
    """Eliminate a face's lowest vertex from its vertices' `level` coordinates; returns the pivot's size."""
    best = 0
    for i in range(1, level):
        if abs(local[level, apex, i]) > abs(local[level, apex, best]):
            best = i
    pivot = local[level, apex, best]
    if pivot == 0.0:
        return 0.0
    inverse = 1.0 / pivot
    last = level - 1
    low, high = without_lowest(low, high)
    if level == 3:
        j = 1 if best == 0 else 0
        k = 1 if best == 2 else 2
        aj, ak = local[3, apex, j], local[3, apex, k]
        while low | high != ZERO:
            v = lowest_vertex(low, high)
            low, high = without_lowest(low, high)
            factor = local[3, v, best] * inverse
            local[2, v, 0] = local[3, v, j] - factor * aj
            local[2, v, 1] = local[3, v, k] - factor * ak
        return abs(pivot)
    while low | high != ZERO:
        v = lowest_vertex(low, high)
        low, high = without_lowest(low, high)
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
    low: np.uint64,
    high: np.uint64,
    local: NDArray[np.float64],
    weight: NDArray[np.float64],
    scale: float,
    two: bool,
) -> float:
    """Sum the triangles of a polygon from its lowest vertex over the sides that miss it.

    The sides are its intersections with the `n` faces listed at level `siblings`.
    """
    apex = lowest_vertex(low, high)
    low, high = without_lowest(low, high)
    # sides that hold the apex keep one vertex here; the others are listed without a branch, at level 1
    found = 0
    for j in range(n):
        side_low = low & below[siblings, j, 0]
        side_high = high & below[siblings, j, 1] if two else ZERO
        below[1, found, 0] = side_low
        if two:
            below[1, found, 1] = side_high
        found += 1 if popcount(side_low) + (popcount(side_high) if two else 0) == 2 else 0
    total = 0.0
    for j in range(found):
        side_low = below[1, j, 0]
        side_high = below[1, j, 1] if two else ZERO
        q = lowest_vertex(side_low, side_high)
        side_low, side_high = without_lowest(side_low, side_high)
        r = lowest_vertex(side_low, side_high)
        det = scale * abs(local[2, q, 0] * local[2, r, 1] - local[2, q, 1] * local[2, r, 0])
        weight[q] += det
        weight[r] += det
        total += det
    weight[apex] += total
    return total


@njit(cache=True, nogil=True, forceinline=True)
def sum_simple_facet(t: I64, d: int, index: int, two: bool) -> float:
    """Sum of the simplices' determinants of facet `index`, coordinates at level d - 1 being ready.

    `two`, a constant at each call, leaves the second word of the vertex sets out where it is zero.
    """
    apex = i1(t, state.FACE_APEX)
    before = f1(t, state.FACE_TOTAL)
    below = u3(t, state.FACE_BELOW)
    counts = i1(t, state.FACE_COUNTS)
    following = i1(t, state.FACE_NEXT)
    local = f3(t, state.FACE_LOCAL)
    scale = f1(t, state.FACE_PIVOT)
    weight = f1(t, state.FACE_WEIGHT)
    top = d - 1
    low = below[d, index, 0]
    high = below[d, index, 1] if two else ZERO
    counts[top] = list_below(below, d, counts[d], index, low, high, two)
    if top == 2:
        return sum_sides(below, 2, counts[2], low, high, local, weight, 1.0, two)
    total = 0.0
    level = top
    following[top] = 0
    apex[top] = lowest_vertex(low, high)
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
        low = below[level, i, 0]
        high = below[level, i, 1] if two else ZERO
        at = apex[level]
        if ((low if at < 64 else high) >> np.uint64(at & 63)) & ONE != ZERO:
            continue
        lowest = lowest_vertex(low, high)
        pivot = drop_apex(local, level, low, high, lowest)
        if pivot == 0.0:
            continue
        if level == 3:
            # the polygon's own entry is no side: all its vertices but the apex are in it
            below[3, i, 0] = ZERO
            if two:
                below[3, i, 1] = ZERO
            total += sum_sides(below, 3, counts[3], low, high, local, weight, scale[3] * pivot, two)
            below[3, i, 0] = low
            if two:
                below[3, i, 1] = high
            continue
        counts[level - 1] = list_below(below, level, counts[level], i, low, high, two)
        scale[level - 1] = scale[level] * pivot
        level -= 1
        following[level] = 0
        apex[level] = lowest
        before[level] = total


@njit(cache=True, nogil=True)
def sum_one_word(t: I64, d: int, index: int) -> float:
    """`sum_simple_facet` for a facet whose vertices are all below 64."""
    return sum_simple_facet(t, d, index, False)


@njit(cache=True, nogil=True)
def sum_two_words(t: I64, d: int, index: int) -> float:
    """`sum_simple_facet` for any facet."""
    return sum_simple_facet(t, d, index, True)


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
    low, high = below[d, index, 0], below[d, index, 1]
    plane = planes[d, index]
    best = 0
    for i in range(1, d):
        if abs(normals[plane, i]) > abs(normals[plane, best]):
            best = i
    stretch = 0.0
    for i in range(d):
        ratio = normals[plane, i] / normals[plane, best]
        stretch += ratio * ratio
    apex = lowest_vertex(low, high)
    rest_low, rest_high = low, high
    while rest_low | rest_high != ZERO:
        v = lowest_vertex(rest_low, rest_high)
        rest_low, rest_high = without_lowest(rest_low, rest_high)
        weight[v] = 0.0
        for i in range(d - 1):
            k = i if i < best else i + 1
            local[d - 1, v, i] = points[v, k] - points[apex, k]
    total = sum_two_words(t, d, index) if high != ZERO else sum_one_word(t, d, index)
    factorial = 1.0
    for i in range(2, d):
        factorial *= i
    measure[plane] = total * np.sqrt(stretch) / factorial
    for i in range(d):
        centre[plane, i] = 0.0
    if total > 0.0:
        while low | high != ZERO:
            v = lowest_vertex(low, high)
            low, high = without_lowest(low, high)
            part = weight[v] / (d * total)
            for i in range(d):
                centre[plane, i] += part * points[v, i]
    else:
        for i in range(d):
            centre[plane, i] = points[apex, i]
