"""Intervals for the volumes of simple polytopes whose vertices and facets are known up to bounded errors.

Sums and products of intervals, in floats; what is not simple is left to rational arithmetic.
"""

from math import frexp, inf, ldexp

import numpy as np
from numpy.typing import NDArray

from regions.kernels.memory.bits import ONE, ZERO, trailing_zeros
from regions.kernels.memory.compiling import allocating, allocating_part

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

UNIT = 2.0**-53
TINY = 1e-300
ABOVE = 1.000001  # times a bound, for the rounding of its own computation
ROUNDINGS = 2.0**-40  # relative, of sums and products of positive numbers: fewer than 4,096 each
LARGEST_KEY = 1 << 62


@allocating
def measure_simple_polytopes(
    vertices: IntArray,
    facets: IntArray,
    incidence: NDArray[np.uint64],
    points: FloatArray,
    radii: FloatArray,
    rows: FloatArray,
    inside: float,
    bounds: FloatArray,
) -> None:
    """Write intervals for the volumes of polytopes, 0 to inf for those that are not simple.

    Parameters
    ----------
    vertices, facets : (n + 1,) int64, where those of each polytope begin in the arrays below
    incidence : (v, words) uint64, bits: which facets of its polytope hold a vertex
    points, radii : (v, d) and (v,), vertices and bounds of their errors
    rows : (f, d + 2), of facets: normal, constant, and a bound of their error on the domain
    inside : radius of a ball in the domain: an error of at most E on it has a gradient of at most E over it
    bounds : (2, n), the lower and the upper ends go here

    Notes
    -----
    With the rows r_j >= 0, let U_v = 1 / |det of the d normals| at a vertex, and U_S = sum over j of r_j(a_S)
    U_(S+j) for a face S, with any vertex a_S of it; the volume is U of the polytope over d!. All terms are
    positive, so intervals for rows at vertices and for determinants make one for the volume.

    References
    ----------
    Lasserre (1983), Lawrence (1991).
    """
    d = points.shape[1]
    for k in range(bounds.shape[1]):
        v, w, f, g = vertices[k], vertices[k + 1], facets[k], facets[k + 1]
        places = np.zeros((w - v, d), np.int64)
        key = 1.0
        for _ in range(d - 1):
            key *= g - f
        low, high = 0.0, inf
        if key < LARGEST_KEY and list_facets(incidence[v:w], places):
            low, high = measure_one(places, points[v:w], radii[v:w].copy(), scaled(rows[f:g]), inside)
        bounds[0, k], bounds[1, k] = low, high


@allocating_part
def list_facets(incidence: NDArray[np.uint64], places: IntArray) -> bool:
    """List the d facets at each vertex, in order; False if there are more or fewer at one."""
    n, d = places.shape
    for v in range(n):
        found = 0
        for word in range(incidence.shape[1]):
            rest = incidence[v, word]
            while rest != ZERO:
                if found == d:
                    return False
                places[v, found] = 64 * word + trailing_zeros(rest)
                rest &= rest - ONE
                found += 1
        if found < d:
            return False
    return True


@allocating_part
def scaled(rows: FloatArray) -> FloatArray:
    """Return rows times powers of two, so that their largest coefficients are about 1: without rounding."""
    found = rows.copy()
    for f in range(rows.shape[0]):
        largest = 0.0
        for i in range(rows.shape[1] - 2):
            largest = max(largest, abs(rows[f, i]))
        exponent = frexp(largest)[1]
        for i in range(rows.shape[1]):
            found[f, i] = ldexp(rows[f, i], -exponent)
    return found


@allocating_part
def measure_one(
    places: IntArray, points: FloatArray, radii: FloatArray, rows: FloatArray, inside: float
) -> tuple[float, float]:
    """Return the ends of an interval that contains the volume of a simple polytope."""
    n, d = places.shape
    low, high = np.zeros(n), np.zeros(n)
    normals, lengths = np.zeros((d, d)), np.zeros(d)
    minors, sizes = np.zeros(1 << d), np.zeros(1 << d)
    for v in range(n):
        for s in range(d):
            for i in range(d):
                normals[s, i] = rows[places[v, s], i]
            lengths[s] = rows[places[v, s], d + 1]
        radii[v] = min(radii[v], error_of_vertex(normals, rows, places[v], points[v]))
        small, large = determinant_bounds(normals, lengths, inside, minors, sizes)
        low[v] = 1.0 / large
        high[v] = 1.0 / small if small > 0.0 else inf
    least, most = slacks(places, points, radii, rows)
    faces, apex = places.copy(), np.arange(n)
    for _ in range(d):
        faces, apex, low, high = faces_above(faces, apex, low, high, least, most)
    factor = 1.0
    for i in range(2, d + 1):
        factor *= i
    return low[0] / factor * (1.0 - ROUNDINGS), high[0] / factor * (1.0 + ROUNDINGS)


@allocating_part
def error_of_vertex(normals: FloatArray, rows: FloatArray, places: IntArray, point: FloatArray) -> float:
    """Return a bound of how far a vertex is from where its rows meet, inf for none.

    With residuals rho and any approximate inverse B, |x - x*| <= max(|B| rho) / (1 - |I - B A|).
    """
    d = point.size
    rho, inverse = np.zeros(d), np.zeros((d, d))
    if not invert(normals.copy(), inverse):
        return inf
    for s in range(d):
        value = rows[places[s], d]
        size = abs(value)
        for i in range(d):
            term = normals[s, i] * point[i]
            value += term
            size += abs(term)
        rho[s] = abs(value) + (2 * d + 4) * UNIT * size + rows[places[s], d + 1]
    off, reach = 0.0, 0.0
    for i in range(d):
        left, moved = 0.0, 0.0
        for j in range(d):
            product = 1.0 if i == j else 0.0
            size = 0.0
            for s in range(d):
                term = inverse[i, s] * normals[s, j]
                product -= term
                size += abs(term)
            left += abs(product) + (d + 4) * UNIT * size
            moved += abs(inverse[i, j]) * rho[j]
        off, reach = max(off, left), max(reach, moved)
    if not off < 0.5 or not reach < inf:
        return inf
    return ABOVE * reach / (1.0 - off) + TINY


@allocating_part
def invert(matrix: FloatArray, inverse: FloatArray) -> bool:
    """Write an approximate inverse of a matrix, which is spoilt; False if it seems to have none."""
    d = matrix.shape[0]
    for i in range(d):
        inverse[i, i] = 1.0
    for c in range(d):
        pivot = c
        for r in range(c + 1, d):
            if abs(matrix[r, c]) > abs(matrix[pivot, c]):
                pivot = r
        if matrix[pivot, c] == 0.0:
            return False
        for j in range(d):
            matrix[c, j], matrix[pivot, j] = matrix[pivot, j], matrix[c, j]
            inverse[c, j], inverse[pivot, j] = inverse[pivot, j], inverse[c, j]
        factor = 1.0 / matrix[c, c]
        for j in range(d):
            matrix[c, j] *= factor
            inverse[c, j] *= factor
        for r in range(d):
            factor = matrix[r, c]
            if r != c and factor != 0.0:
                for j in range(d):
                    matrix[r, j] -= factor * matrix[c, j]
                    inverse[r, j] -= factor * inverse[c, j]
    return True


@allocating_part
def determinant_bounds(
    normals: FloatArray, errors: FloatArray, inside: float, minors: FloatArray, sizes: FloatArray
) -> tuple[float, float]:
    """Return an interval for the size of a determinant, whose rows have errors of `errors` over `inside`.

    By minors of the first rows for all sets of columns; the rounding is that of d (d + 1) steps, relative to
    the same sums of the entries' sizes.
    """
    d = normals.shape[0]
    minors[0] = sizes[0] = 1.0
    for columns in range(1, 1 << d):
        count = 0
        for j in range(d):
            count += columns >> j & 1
        total, size = 0.0, 0.0
        sign = 1.0
        for j in range(d):
            if columns >> j & 1:
                rest = columns & ~(1 << j)
                total += sign * normals[count - 1, j] * minors[rest]
                size += abs(normals[count - 1, j]) * sizes[rest]
                sign = -sign
        minors[columns], sizes[columns] = total, size
    product, moved = 1.0, 0.0
    for s in range(d):
        square = 0.0
        for i in range(d):
            square += normals[s, i] * normals[s, i]
        product *= np.sqrt(square)
        moved += errors[s] / inside / np.sqrt(square)
    total, size = minors[(1 << d) - 1], sizes[(1 << d) - 1]
    error = 2 * d * (d + 1) * UNIT * size + product * np.expm1(ABOVE * moved)
    error = ABOVE * error + TINY
    return max(abs(total) - error, 0.0), abs(total) + error


@allocating_part
def slacks(
    places: IntArray, points: FloatArray, radii: FloatArray, rows: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Return intervals (facets, vertices) for the sizes of rows at vertices; 0 on their own facets."""
    n, d = places.shape
    low, high = np.zeros((rows.shape[0], n)), np.zeros((rows.shape[0], n))
    for f in range(rows.shape[0]):
        for v in range(n):
            value = rows[f, d]
            size, norm = abs(value), 0.0
            for i in range(d):
                term = rows[f, i] * points[v, i]
                value += term
                size += abs(term)
                norm += abs(rows[f, i])
            error = (2 * d + 4) * UNIT * size + rows[f, d + 1] + norm * radii[v]
            error = ABOVE * error + TINY
            low[f, v], high[f, v] = max(abs(value) - error, 0.0), abs(value) + error
    for v in range(n):
        for s in range(d):
            low[places[v, s], v] = high[places[v, s], v] = 0.0
    return low, high


@allocating_part
def faces_above(
    faces: IntArray, apex: IntArray, low: FloatArray, high: FloatArray, least: FloatArray, most: FloatArray
) -> tuple[IntArray, IntArray, FloatArray, FloatArray]:
    """Return the faces on one facet less, a vertex of each, and intervals for their U."""
    count, c = faces.shape
    slots = 1
    while slots < 2 * count * c:
        slots *= 2
    keys, numbers = np.full(slots, -1), np.zeros(slots, np.int64)
    above, apexes = np.zeros((count * c, c - 1), np.int64), np.zeros(count * c, np.int64)
    sums = np.zeros((2, count * c))
    found = 0
    for face in range(count):
        for left in range(c):
            key = 0
            for s in range(c):
                if s != left:
                    key = key * least.shape[0] + faces[face, s]
            slot = key % slots
            while keys[slot] >= 0 and keys[slot] != key:
                slot = (slot + 1) % slots
            if keys[slot] < 0:
                keys[slot], numbers[slot] = key, found
                apexes[found] = apex[face]
                at = 0
                for s in range(c):
                    if s != left:
                        above[found, at] = faces[face, s]
                        at += 1
                found += 1
            number = numbers[slot]
            facet, vertex = faces[face, left], apexes[number]
            sums[0, number] += least[facet, vertex] * low[face]
            if most[facet, vertex] > 0.0:
                sums[1, number] += most[facet, vertex] * high[face]
    return above[:found], apexes[:found], sums[0, :found].copy(), sums[1, :found].copy()
