"""Determinants of the d unit normals at a vertex, written out for d = 3, 4, 5.

Expanded in minors (Laplace) there is no pivot to choose, and so no branch that a processor must guess;
the rounding error is a few units in the last place of the product of the rows' lengths, here 1.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from regions.kernels.memory.compiling import inlined, part
from regions.kernels.memory.layouts import SearchMemory

F64 = NDArray[np.float64]
Pointer = Any  # to float64, row by row: rows are given by their first entry


@inlined
def minor(n: Pointer, a: int, b: int, i: int, j: int) -> float:
    """Rows a, b and columns i, j."""
    return n[a + i] * n[b + j] - n[a + j] * n[b + i]


@inlined
def determinant_3(n: Pointer, a: int, b: int, c: int) -> float:
    """Rows a, b, c of three columns."""
    return n[a + 0] * minor(n, b, c, 1, 2) - n[a + 1] * minor(n, b, c, 0, 2) + n[a + 2] * minor(n, b, c, 0, 1)


@inlined
def determinant_4(n: Pointer, a: int, b: int, c: int, d: int) -> float:
    """Rows a, b, c, d of four columns, by complementary minors of two rows each."""
    return (
        minor(n, a, b, 0, 1) * minor(n, c, d, 2, 3)
        - minor(n, a, b, 0, 2) * minor(n, c, d, 1, 3)
        + minor(n, a, b, 0, 3) * minor(n, c, d, 1, 2)
        + minor(n, a, b, 1, 2) * minor(n, c, d, 0, 3)
        - minor(n, a, b, 1, 3) * minor(n, c, d, 0, 2)
        + minor(n, a, b, 2, 3) * minor(n, c, d, 0, 1)
    )


@inlined
def determinant_5(n: Pointer, a: int, b: int, c: int, d: int, e: int) -> float:
    """Rows a, ..., e of five columns: minors of a and b times those of c, d and e."""
    p01, p02, p03, p04 = (
        minor(n, d, e, 0, 1),
        minor(n, d, e, 0, 2),
        minor(n, d, e, 0, 3),
        minor(n, d, e, 0, 4),
    )
    p12, p13, p14 = minor(n, d, e, 1, 2), minor(n, d, e, 1, 3), minor(n, d, e, 1, 4)
    p23, p24, p34 = minor(n, d, e, 2, 3), minor(n, d, e, 2, 4), minor(n, d, e, 3, 4)
    x0, x1, x2, x3, x4 = n[c + 0], n[c + 1], n[c + 2], n[c + 3], n[c + 4]
    return (
        minor(n, a, b, 0, 1) * (x2 * p34 - x3 * p24 + x4 * p23)
        - minor(n, a, b, 0, 2) * (x1 * p34 - x3 * p14 + x4 * p13)
        + minor(n, a, b, 0, 3) * (x1 * p24 - x2 * p14 + x4 * p12)
        - minor(n, a, b, 0, 4) * (x1 * p23 - x2 * p13 + x3 * p12)
        + minor(n, a, b, 1, 2) * (x0 * p34 - x3 * p04 + x4 * p03)
        - minor(n, a, b, 1, 3) * (x0 * p24 - x2 * p04 + x4 * p02)
        + minor(n, a, b, 1, 4) * (x0 * p23 - x2 * p03 + x3 * p02)
        + minor(n, a, b, 2, 3) * (x0 * p14 - x1 * p04 + x4 * p01)
        - minor(n, a, b, 2, 4) * (x0 * p13 - x1 * p03 + x3 * p01)
        + minor(n, a, b, 3, 4) * (x0 * p12 - x1 * p02 + x2 * p01)
    )


@part
def eliminated(matrix: F64, d: int) -> float:
    """Size of a d x d determinant by elimination with partial pivoting; the matrix is used up."""
    size = 1.0
    for k in range(d):
        best = k
        for i in range(k + 1, d):
            if abs(matrix[i, k]) > abs(matrix[best, k]):
                best = i
        pivot = matrix[best, k]
        if pivot == 0.0:
            return 0.0
        size *= abs(pivot)
        for j in range(k, d):
            matrix[best, j], matrix[k, j] = matrix[k, j], matrix[best, j]
        inverse = 1.0 / pivot
        for i in range(k + 1, d):
            factor = matrix[i, k] * inverse
            for j in range(k + 1, d):
                matrix[i, j] -= factor * matrix[k, j]
    return size


@part
def eliminated_size(search: SearchMemory, d: int, at: int) -> float:
    """`determinant_size` for any d."""
    matrix = search.face_local[0]
    for s in range(d):
        for i in range(d):
            matrix[s, i] = search.face_normals[search.vertex_facets[at + s], i]
    return eliminated(matrix, d)


@inlined
def determinant_size(search: SearchMemory, d: int, at: int) -> float:
    """|det| of the unit normals of the d facets listed from `at` on (d >= 3)."""
    facets_of = search.flat_vertex_facets
    n = search.flat_face_normals
    if d > 5:
        return eliminated_size(search, d, at)
    a, b, c = d * facets_of[at], d * facets_of[at + 1], d * facets_of[at + 2]
    if d == 3:
        return abs(determinant_3(n, a, b, c))
    if d == 4:
        return abs(determinant_4(n, a, b, c, d * facets_of[at + 3]))
    return abs(determinant_5(n, a, b, c, d * facets_of[at + 3], d * facets_of[at + 4]))
