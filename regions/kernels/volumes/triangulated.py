"""Volumes, facet volumes and centroids of polytopes given by vertices and incidence (d >= 3).

Every facet is cut into simplices by pulling: a face is the union of the cones from one of its
vertices (its apex) over its facets that do not contain it. The facet is projected along a
coordinate axis onto R^(d-1) first. Going down one level eliminates the apex from the coordinates
of the face below (one step of Gaussian elimination), so that a simplex's determinant is the product
of the pivots on its way. All terms are positive: nothing cancels.
Büeler, Enge and Fukuda, Exact volume computation for polytopes (2000), section 3.
"""

import numpy as np
from numpy.typing import NDArray

from regions.kernels.memory.bits import ONE, ZERO, popcount, trailing_zeros
from regions.kernels.memory.compiling import part
from regions.kernels.memory.layouts import SearchMemory


@part
def first_vertex(mask: NDArray[np.uint64], words: int) -> int:
    """Lowest vertex of a nonempty vertex set."""
    for w in range(words):
        if mask[w] != ZERO:
            return 64 * w + trailing_zeros(mask[w])
    return -1


@part
def size(mask: NDArray[np.uint64], words: int) -> int:
    """Number of vertices in a vertex set."""
    total = 0
    for w in range(words):
        total += popcount(mask[w])
    return total


@part
def contains(mask: NDArray[np.uint64], vertex: int) -> bool:
    """Whether a vertex is in a vertex set."""
    return (mask[vertex >> 6] >> np.uint64(vertex & 63)) & ONE != ZERO


@part
def within(a: NDArray[np.uint64], b: NDArray[np.uint64], words: int) -> bool:
    """Whether a vertex set is a subset of another."""
    for w in range(words):
        if a[w] & ~b[w] != ZERO:
            return False
    return True


@part
def keep_maximal(search: SearchMemory, level: int, words: int) -> None:
    """Drop the faces below that lie in another one: what is left are the facets of the face."""
    below = search.face_below[level]
    n = search.face_counts[level]
    kept = 0
    for i in range(n):
        maximal = True
        for j in range(n):
            if j == i or not within(below[i], below[j], words):
                continue
            if j < i or not within(below[j], below[i], words):
                maximal = False
                break
        search.face_maximal[i] = 1 if maximal else 0
    for i in range(n):
        if search.face_maximal[i] == 1:
            for w in range(words):
                below[kept, w] = below[i, w]
            search.face_planes[level, kept] = search.face_planes[level, i]
            kept += 1
    search.face_counts[level] = kept


@part
def open_facets(search: SearchMemory, d: int, n_vertices: int, n_planes: int, simple: bool) -> None:
    """List the facets of the whole polytope at level d."""
    words = (n_vertices + 63) >> 6
    n = 0
    for f in range(n_planes):
        if size(search.face_on[f], words) >= d:
            for w in range(words):
                search.face_below[d, n, w] = search.face_on[f, w]
            if words == 1:
                search.face_below[d, n, 1] = ZERO
            search.face_planes[d, n] = f
            n += 1
    search.face_counts[d] = n
    if not simple:
        keep_maximal(search, d, words)


@part
def open_face(search: SearchMemory, level: int, index: int, words: int, simple: bool) -> None:
    """Take face `index` below `level` in hand at level - 1, and list the facets of it."""
    here = level - 1
    face = search.face_sets[here]
    for w in range(words):
        face[w] = search.face_below[level, index, w]
    n = 0
    for i in range(search.face_counts[level]):
        if i == index:
            continue
        hit = 0
        for w in range(words):
            common = face[w] & search.face_below[level, i, w]
            search.face_below[here, n, w] = common
            hit += popcount(common)
        if hit >= here:
            search.face_planes[here, n] = search.face_planes[level, i]
            n += 1
    search.face_counts[here] = n
    search.face_next[here] = 0
    search.face_apex[here] = first_vertex(face, words)
    search.face_total[here] = 0.0
    for i in range(search.face_moment.shape[1]):
        search.face_moment[here, i] = 0.0
    if not simple:
        keep_maximal(search, here, words)


@part
def eliminate(search: SearchMemory, level: int, words: int) -> bool:
    """Eliminate the apex of the face at `level` from its vertices' coordinates; False if it is 0."""
    apex = search.face_apex[level]
    above = search.face_local[level + 1]
    here = search.face_local[level]
    n = level + 1
    best = 0
    for i in range(1, n):
        if abs(above[apex, i]) > abs(above[apex, best]):
            best = i
    pivot = above[apex, best]
    search.face_pivot[level] = abs(pivot)
    if pivot == 0.0:
        return False
    for w in range(words):
        rest = search.face_sets[level, w]
        while rest != ZERO:
            v = 64 * w + trailing_zeros(rest)
            rest &= rest - ONE
            factor = above[v, best] / pivot
            for i in range(best):
                here[v, i] = above[v, i] - factor * above[apex, i]
            for i in range(best + 1, n):
                here[v, i - 1] = above[v, i] - factor * above[apex, i]
    return True


@part
def add_edges(search: SearchMemory, d: int, words: int) -> None:
    """Sum the triangles of the polygon at level 2: from its apex over the sides that miss it."""
    apex = search.face_apex[2]
    here = search.face_local[2]
    total = 0.0
    for e in range(search.face_counts[2]):
        side = search.face_below[2, e]
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
            search.face_moment[2, i] += det * (search.face_points[q, i] + search.face_points[r, i])
    search.face_total[2] = total


@part
def sum_face(search: SearchMemory, top: int, d: int, words: int, simple: bool) -> None:
    """Sum the simplices of the face in hand at level `top`, whose own coordinates are ready."""
    if top == 1:
        for w in range(words):
            rest = search.face_sets[1, w]
            while rest != ZERO:
                v = 64 * w + trailing_zeros(rest)
                rest &= rest - ONE
                length = abs(search.face_local[1, v, 0])
                search.face_total[1] += length
                for i in range(d):
                    search.face_moment[1, i] += length * search.face_points[v, i]
        return
    level = top
    while True:
        if level == 2:
            add_edges(search, d, words)
        else:
            i = search.face_next[level]
            if i < search.face_counts[level]:
                search.face_next[level] = i + 1
                if contains(search.face_below[level, i], search.face_apex[level]):
                    continue
                open_face(search, level, i, words, simple)
                if eliminate(search, level - 1, words):
                    level -= 1
                continue
        if level == top:
            return
        pivot = search.face_pivot[level]
        apex = search.face_apex[level]
        search.face_total[level + 1] += pivot * search.face_total[level]
        for i in range(d):
            part = search.face_moment[level, i] + search.face_total[level] * search.face_points[apex, i]
            search.face_moment[level + 1, i] += pivot * part
        level += 1


@part
def measure_facet(search: SearchMemory, d: int, index: int, words: int, simple: bool) -> None:
    """Volume and centroid of one facet, into `measure` and `centre` of its hyperplane."""
    top = d - 1
    open_face(search, d, index, words, simple)
    plane = search.face_planes[d, index]
    best = 0
    for i in range(1, d):
        if abs(search.face_normals[plane, i]) > abs(search.face_normals[plane, best]):
            best = i
    stretch = 0.0
    for i in range(d):
        ratio = search.face_normals[plane, i] / search.face_normals[plane, best]
        stretch += ratio * ratio
    apex = search.face_apex[top]
    for w in range(words):
        rest = search.face_sets[top, w]
        while rest != ZERO:
            v = 64 * w + trailing_zeros(rest)
            rest &= rest - ONE
            for i in range(best):
                search.face_local[top, v, i] = search.face_points[v, i] - search.face_points[apex, i]
            for i in range(best + 1, d):
                search.face_local[top, v, i - 1] = search.face_points[v, i] - search.face_points[apex, i]
    sum_face(search, top, d, words, simple)
    factorial = 1.0
    for i in range(2, d):
        factorial *= i
    total = search.face_total[top]
    search.face_measure[plane] = total * np.sqrt(stretch) / factorial
    for i in range(d):
        mean = search.face_moment[top, i] / total if total > 0.0 else (d - 1) * search.face_points[apex, i]
        search.face_centre[plane, i] = (mean + search.face_points[apex, i]) / d


@part
def polytope_volume(
    search: SearchMemory, d: int, n_vertices: int, n_planes: int, simple: bool, centroid: NDArray[np.float64]
) -> float:
    """Volume of the polytope in `faces`, with its centroid and the measures of its facets.

    `point`, `normal` and `on` must be filled. The volume is the sum of the cones from the mean of
    the vertices over the facets.
    """
    words = (n_vertices + 63) >> 6
    simple = simple and d > 2
    open_facets(search, d, n_vertices, n_planes, simple)
    mean = search.face_moment[0]
    for i in range(d):
        mean[i] = 0.0
        for v in range(n_vertices):
            mean[i] += search.face_points[v, i]
        mean[i] /= n_vertices
        centroid[i] = 0.0
    for f in range(n_planes):
        search.face_measure[f] = 0.0
    volume = 0.0
    for j in range(search.face_counts[d]):
        measure_facet(search, d, j, words, simple)
        plane = search.face_planes[d, j]
        foot = first_vertex(search.face_below[d, j], words)
        dot, square = 0.0, 0.0
        largest = 0.0
        for i in range(d):
            largest = max(largest, abs(search.face_normals[plane, i]))
        for i in range(d):
            component = search.face_normals[plane, i] / largest
            dot += component * (search.face_points[foot, i] - mean[i])
            square += component * component
        cone = search.face_measure[plane] * abs(dot) / (np.sqrt(square) * d)
        volume += cone
        for i in range(d):
            centroid[i] += cone * (mean[i] + d * search.face_centre[plane, i]) / (d + 1)
    for i in range(d):
        centroid[i] = centroid[i] / volume if volume > 0.0 else mean[i]
    return volume


@part
def list_simplices(
    search: SearchMemory,
    d: int,
    index: int,
    words: int,
    simple: bool,
    simplices: NDArray[np.int64],
    start: int,
) -> int:
    """List the simplices of facet `index` (vertex numbers) from row `start` on; the next free row.

    The same pulling triangulation as in `measure_facet`. -1: no room.
    """
    top = d - 1
    open_face(search, d, index, words, simple)
    if top == 1:
        if start >= simplices.shape[0]:
            return -1
        column = 0
        for w in range(words):
            rest = search.face_sets[1, w]
            while rest != ZERO:
                simplices[start, column] = 64 * w + trailing_zeros(rest)
                column += 1
                rest &= rest - ONE
        return start + 1
    level = top
    row = start
    while True:
        i = search.face_next[level]
        if i >= search.face_counts[level]:
            if level == top:
                return row
            level += 1
            continue
        search.face_next[level] = i + 1
        if contains(search.face_below[level, i], search.face_apex[level]):
            continue
        if level > 2:
            open_face(search, level, i, words, simple)
            level -= 1
            continue
        if size(search.face_below[2, i], words) != 2:
            continue
        if row >= simplices.shape[0]:
            return -1
        column = 0
        for m in range(top, 1, -1):
            simplices[row, column] = search.face_apex[m]
            column += 1
        for w in range(words):
            rest = search.face_below[2, i, w]
            while rest != ZERO:
                simplices[row, column] = 64 * w + trailing_zeros(rest)
                column += 1
                rest &= rest - ONE
        row += 1
