"""Volumes, facet volumes and centroids of polytopes given by vertices and incidence (d >= 3).

Every facet is cut into simplices by pulling: a face is the union of the cones from one of its
vertices (its apex) over its facets that do not contain it. The facet is projected along a
coordinate axis onto R^(d-1) first. Going down one level eliminates the apex from the coordinates
of the face below (one step of Gaussian elimination), so that a simplex's determinant is the product
of the pivots on its way. All terms are positive: nothing cancels.
Büeler, Enge and Fukuda, Exact volume computation for polytopes (2000), section 3.
"""

import numpy as np
from numba import njit
from numpy.typing import NDArray

from regions.kernels.memory import state
from regions.kernels.memory.bits import ONE, ZERO, popcount, trailing_zeros
from regions.kernels.memory.table import I64, f1, f2, f3, i1, i2, u2, u3


@njit(cache=True, nogil=True)
def first_vertex(mask: NDArray[np.uint64], words: int) -> int:
    """Lowest vertex of a nonempty vertex set."""
    for w in range(words):
        if mask[w] != ZERO:
            return 64 * w + trailing_zeros(mask[w])
    return -1


@njit(cache=True, nogil=True)
def size(mask: NDArray[np.uint64], words: int) -> int:
    """Number of vertices in a vertex set."""
    total = 0
    for w in range(words):
        total += popcount(mask[w])
    return total


@njit(cache=True, nogil=True)
def contains(mask: NDArray[np.uint64], vertex: int) -> bool:
    """Whether a vertex is in a vertex set."""
    return (mask[vertex >> 6] >> np.uint64(vertex & 63)) & ONE != ZERO


@njit(cache=True, nogil=True)
def within(a: NDArray[np.uint64], b: NDArray[np.uint64], words: int) -> bool:
    """Whether a vertex set is a subset of another."""
    for w in range(words):
        if a[w] & ~b[w] != ZERO:
            return False
    return True


@njit(cache=True, nogil=True)
def keep_maximal(t: I64, level: int, words: int) -> None:
    """Drop the faces below that lie in another one: what is left are the facets of the face."""
    face_below = u3(t, state.FACE_BELOW)
    face_counts = i1(t, state.FACE_COUNTS)
    face_maximal = i1(t, state.FACE_MAXIMAL)
    face_planes = i2(t, state.FACE_PLANES)
    below = face_below[level]
    n = face_counts[level]
    kept = 0
    for i in range(n):
        maximal = True
        for j in range(n):
            if j == i or not within(below[i], below[j], words):
                continue
            if j < i or not within(below[j], below[i], words):
                maximal = False
                break
        face_maximal[i] = 1 if maximal else 0
    for i in range(n):
        if face_maximal[i] == 1:
            for w in range(words):
                below[kept, w] = below[i, w]
            face_planes[level, kept] = face_planes[level, i]
            kept += 1
    face_counts[level] = kept


@njit(cache=True, nogil=True)
def open_facets(t: I64, d: int, n_vertices: int, n_planes: int, simple: bool) -> None:
    """List the facets of the whole polytope at level d."""
    face_below = u3(t, state.FACE_BELOW)
    face_counts = i1(t, state.FACE_COUNTS)
    face_on = u2(t, state.FACE_ON)
    face_planes = i2(t, state.FACE_PLANES)
    words = (n_vertices + 63) >> 6
    n = 0
    for f in range(n_planes):
        if size(face_on[f], words) >= d:
            for w in range(words):
                face_below[d, n, w] = face_on[f, w]
            if words == 1:
                face_below[d, n, 1] = ZERO
            face_planes[d, n] = f
            n += 1
    face_counts[d] = n
    if not simple:
        keep_maximal(t, d, words)


@njit(cache=True, nogil=True)
def open_face(t: I64, level: int, index: int, words: int, simple: bool) -> None:
    """Take face `index` below `level` in hand at level - 1, and list the facets of it."""
    face_apex = i1(t, state.FACE_APEX)
    face_below = u3(t, state.FACE_BELOW)
    face_counts = i1(t, state.FACE_COUNTS)
    face_moment = f2(t, state.FACE_MOMENT)
    face_next = i1(t, state.FACE_NEXT)
    face_planes = i2(t, state.FACE_PLANES)
    face_sets = u2(t, state.FACE_SETS)
    face_total = f1(t, state.FACE_TOTAL)
    here = level - 1
    face = face_sets[here]
    for w in range(words):
        face[w] = face_below[level, index, w]
    n = 0
    for i in range(face_counts[level]):
        if i == index:
            continue
        hit = 0
        for w in range(words):
            common = face[w] & face_below[level, i, w]
            face_below[here, n, w] = common
            hit += popcount(common)
        if hit >= here:
            face_planes[here, n] = face_planes[level, i]
            n += 1
    face_counts[here] = n
    face_next[here] = 0
    face_apex[here] = first_vertex(face, words)
    face_total[here] = 0.0
    for i in range(face_moment.shape[1]):
        face_moment[here, i] = 0.0
    if not simple:
        keep_maximal(t, here, words)


@njit(cache=True, nogil=True)
def eliminate(t: I64, level: int, words: int) -> bool:
    """Eliminate the apex of the face at `level` from its vertices' coordinates; False if it is 0."""
    face_apex = i1(t, state.FACE_APEX)
    face_local = f3(t, state.FACE_LOCAL)
    face_pivot = f1(t, state.FACE_PIVOT)
    face_sets = u2(t, state.FACE_SETS)
    apex = face_apex[level]
    above = face_local[level + 1]
    here = face_local[level]
    n = level + 1
    best = 0
    for i in range(1, n):
        if abs(above[apex, i]) > abs(above[apex, best]):
            best = i
    pivot = above[apex, best]
    face_pivot[level] = abs(pivot)
    if pivot == 0.0:
        return False
    for w in range(words):
        rest = face_sets[level, w]
        while rest != ZERO:
            v = 64 * w + trailing_zeros(rest)
            rest &= rest - ONE
            factor = above[v, best] / pivot
            for i in range(best):
                here[v, i] = above[v, i] - factor * above[apex, i]
            for i in range(best + 1, n):
                here[v, i - 1] = above[v, i] - factor * above[apex, i]
    return True


@njit(cache=True, nogil=True)
def add_edges(t: I64, d: int, words: int) -> None:
    """Sum the triangles of the polygon at level 2: from its apex over the sides that miss it."""
    face_apex = i1(t, state.FACE_APEX)
    face_below = u3(t, state.FACE_BELOW)
    face_counts = i1(t, state.FACE_COUNTS)
    face_local = f3(t, state.FACE_LOCAL)
    face_moment = f2(t, state.FACE_MOMENT)
    face_points = f2(t, state.FACE_POINTS)
    face_total = f1(t, state.FACE_TOTAL)
    apex = face_apex[2]
    here = face_local[2]
    total = 0.0
    for e in range(face_counts[2]):
        side = face_below[2, e]
        if contains(side, apex) or size(side, words) != 2:
            continue
        q = first_vertex(side, words)
        r = q
        for w in range(words - 1, -1, -1):
            if side[w] != ZERO:
                rest = side[w]
                if rest & (rest - ONE) != ZERO:
                    rest &= rest - ONE
                r = 64 * w + trailing_zeros(rest)
                break
        det = abs(here[q, 0] * here[r, 1] - here[q, 1] * here[r, 0])
        total += det
        for i in range(d):
            face_moment[2, i] += det * (face_points[q, i] + face_points[r, i])
    face_total[2] = total


@njit(cache=True, nogil=True)
def sum_face(t: I64, top: int, d: int, words: int, simple: bool) -> None:
    """Sum the simplices of the face in hand at level `top`, whose own coordinates are ready."""
    face_local = f3(t, state.FACE_LOCAL)
    face_sets = u2(t, state.FACE_SETS)
    face_apex = i1(t, state.FACE_APEX)
    face_below = u3(t, state.FACE_BELOW)
    face_counts = i1(t, state.FACE_COUNTS)
    face_moment = f2(t, state.FACE_MOMENT)
    face_next = i1(t, state.FACE_NEXT)
    face_pivot = f1(t, state.FACE_PIVOT)
    face_points = f2(t, state.FACE_POINTS)
    face_total = f1(t, state.FACE_TOTAL)
    if top == 1:
        for w in range(words):
            rest = face_sets[1, w]
            while rest != ZERO:
                v = 64 * w + trailing_zeros(rest)
                rest &= rest - ONE
                length = abs(face_local[1, v, 0])
                face_total[1] += length
                for i in range(d):
                    face_moment[1, i] += length * face_points[v, i]
        return
    level = top
    while True:
        if level == 2:
            add_edges(t, d, words)
        else:
            i = face_next[level]
            if i < face_counts[level]:
                face_next[level] = i + 1
                if contains(face_below[level, i], face_apex[level]):
                    continue
                open_face(t, level, i, words, simple)
                if eliminate(t, level - 1, words):
                    level -= 1
                continue
        if level == top:
            return
        pivot = face_pivot[level]
        apex = face_apex[level]
        face_total[level + 1] += pivot * face_total[level]
        for i in range(d):
            part = face_moment[level, i] + face_total[level] * face_points[apex, i]
            face_moment[level + 1, i] += pivot * part
        level += 1


@njit(cache=True, nogil=True)
def measure_facet(t: I64, d: int, index: int, words: int, simple: bool) -> None:
    """Volume and centroid of one facet, into `measure` and `centre` of its hyperplane."""
    face_apex = i1(t, state.FACE_APEX)
    face_centre = f2(t, state.FACE_CENTRE)
    face_local = f3(t, state.FACE_LOCAL)
    face_measure = f1(t, state.FACE_MEASURE)
    face_moment = f2(t, state.FACE_MOMENT)
    face_normals = f2(t, state.FACE_NORMALS)
    face_planes = i2(t, state.FACE_PLANES)
    face_points = f2(t, state.FACE_POINTS)
    face_sets = u2(t, state.FACE_SETS)
    face_total = f1(t, state.FACE_TOTAL)
    top = d - 1
    open_face(t, d, index, words, simple)
    plane = face_planes[d, index]
    best = 0
    for i in range(1, d):
        if abs(face_normals[plane, i]) > abs(face_normals[plane, best]):
            best = i
    stretch = 0.0
    for i in range(d):
        ratio = face_normals[plane, i] / face_normals[plane, best]
        stretch += ratio * ratio
    apex = face_apex[top]
    for w in range(words):
        rest = face_sets[top, w]
        while rest != ZERO:
            v = 64 * w + trailing_zeros(rest)
            rest &= rest - ONE
            for i in range(best):
                face_local[top, v, i] = face_points[v, i] - face_points[apex, i]
            for i in range(best + 1, d):
                face_local[top, v, i - 1] = face_points[v, i] - face_points[apex, i]
    sum_face(t, top, d, words, simple)
    factorial = 1.0
    for i in range(2, d):
        factorial *= i
    total = face_total[top]
    face_measure[plane] = total * np.sqrt(stretch) / factorial
    for i in range(d):
        mean = face_moment[top, i] / total if total > 0.0 else (d - 1) * face_points[apex, i]
        face_centre[plane, i] = (mean + face_points[apex, i]) / d


@njit(cache=True, nogil=True)
def polytope_volume(
    t: I64, d: int, n_vertices: int, n_planes: int, simple: bool, centroid: NDArray[np.float64]
) -> float:
    """Volume of the polytope in `faces`, with its centroid and the measures of its facets.

    `point`, `normal` and `on` must be filled. The volume is the sum of the cones from the mean of
    the vertices over the facets.
    """
    face_below = u3(t, state.FACE_BELOW)
    face_centre = f2(t, state.FACE_CENTRE)
    face_counts = i1(t, state.FACE_COUNTS)
    face_measure = f1(t, state.FACE_MEASURE)
    face_moment = f2(t, state.FACE_MOMENT)
    face_normals = f2(t, state.FACE_NORMALS)
    face_planes = i2(t, state.FACE_PLANES)
    face_points = f2(t, state.FACE_POINTS)
    words = (n_vertices + 63) >> 6
    simple = simple and d > 2
    open_facets(t, d, n_vertices, n_planes, simple)
    mean = face_moment[0]
    for i in range(d):
        mean[i] = 0.0
        for v in range(n_vertices):
            mean[i] += face_points[v, i]
        mean[i] /= n_vertices
        centroid[i] = 0.0
    for f in range(n_planes):
        face_measure[f] = 0.0
    volume = 0.0
    for j in range(face_counts[d]):
        measure_facet(t, d, j, words, simple)
        plane = face_planes[d, j]
        foot = first_vertex(face_below[d, j], words)
        dot, square = 0.0, 0.0
        largest = 0.0
        for i in range(d):
            largest = max(largest, abs(face_normals[plane, i]))
        for i in range(d):
            component = face_normals[plane, i] / largest
            dot += component * (face_points[foot, i] - mean[i])
            square += component * component
        cone = face_measure[plane] * abs(dot) / (np.sqrt(square) * d)
        volume += cone
        for i in range(d):
            centroid[i] += cone * (mean[i] + d * face_centre[plane, i]) / (d + 1)
    for i in range(d):
        centroid[i] = centroid[i] / volume if volume > 0.0 else mean[i]
    return volume


@njit(cache=True, nogil=True)
def list_simplices(
    t: I64, d: int, index: int, words: int, simple: bool, simplices: NDArray[np.int64], start: int
) -> int:
    """List the simplices of facet `index` (vertex numbers) from row `start` on; the next free row.

    The same pulling triangulation as in `measure_facet`. -1: no room.
    """
    face_sets = u2(t, state.FACE_SETS)
    face_apex = i1(t, state.FACE_APEX)
    face_below = u3(t, state.FACE_BELOW)
    face_counts = i1(t, state.FACE_COUNTS)
    face_next = i1(t, state.FACE_NEXT)
    top = d - 1
    open_face(t, d, index, words, simple)
    if top == 1:
        if start >= simplices.shape[0]:
            return -1
        column = 0
        for w in range(words):
            rest = face_sets[1, w]
            while rest != ZERO:
                simplices[start, column] = 64 * w + trailing_zeros(rest)
                column += 1
                rest &= rest - ONE
        return start + 1
    level = top
    row = start
    while True:
        i = face_next[level]
        if i >= face_counts[level]:
            if level == top:
                return row
            level += 1
            continue
        face_next[level] = i + 1
        if contains(face_below[level, i], face_apex[level]):
            continue
        if level > 2:
            open_face(t, level, i, words, simple)
            level -= 1
            continue
        if size(face_below[2, i], words) != 2:
            continue
        if row >= simplices.shape[0]:
            return -1
        column = 0
        for m in range(top, 1, -1):
            simplices[row, column] = face_apex[m]
            column += 1
        for w in range(words):
            rest = face_below[2, i, w]
            while rest != ZERO:
                simplices[row, column] = 64 * w + trailing_zeros(rest)
                column += 1
                rest &= rest - ONE
        row += 1
