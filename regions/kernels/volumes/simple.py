"""Volumes of simple polytopes and of their facets, every face once: the common case (d >= 3).

For d = 3, 4 and 5 `faces_by_rank` does the same, without a lattice.

A face of codimension c is the set S of the c facets that it lies on. With unit normals n_j, the slack
s_j(v) (distance of vertex v from facet j) and |n_S| the volume that the normals of S span, let

    U_S = k! vol_k(S) / |n_S|,  k = d - c,  and U_v = 1 / |det of its normals| at a vertex v.

A face is the union of the cones from one of its vertices, a_S, over its facets S + j. Within the face,
a_S is s_j(a_S) |n_S| / |n_(S+j)| away from the facet on j, so that from the vertices up

    U_S = sum over j of s_j(a_S) U_(S+j).

All terms are positive: nothing cancels but in the slacks and determinants. An edge is measured from
its end with the larger determinant; where both are below FLATTEST, the polytope is left to `triangulated`.
Lasserre, An analytical expression and an algorithm for the volume of a convex polyhedron in R^n (1983),
for the recursion; Lawrence, Polytope volume computation (1991), for the vertices; Büeler, Enge and
Fukuda, Exact volume computation for polytopes (2000), for keeping the faces' volumes.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from regions.kernels.memory.bits import ONE, ZERO, popcount, trailing_zeros
from regions.kernels.memory.compiling import inlined, step
from regions.kernels.memory.layouts import SearchMemory
from regions.kernels.volumes.determinants import determinant_size

U64 = NDArray[np.uint64]
LEAST_DETERMINANT = 1e-300
FLATTEST = 1e-3  # smallest determinant of unit normals that is divided by: costs three digits


def lattice_scratch(d: int, vertices: int, planes: int) -> dict[str, NDArray[Any]]:
    """Make the arrays of this module; a simple polytope has at most vertices * 2**(d + 1) / (d + 1) faces."""
    facets = min(planes, 64)
    faces = min(1 << 15, vertices * 2 ** (d + 1) // (d + 1)) + facets + 2
    u64, i64 = np.uint64, np.int64
    return {
        "lattice_sets": np.zeros(faces * ((vertices + 63) // 64), u64),
        "lattice_before": np.zeros((d + 1) * (facets + 1), i64),
        "lattice_tree": np.zeros(faces, i64),
        "lattice_last": np.zeros(faces, i64),
        "lattice_apex": np.zeros(faces, i64),
        "lattice_members": np.zeros(faces * d, i64),
        "lattice_up": np.zeros(faces * d, i64),
        "lattice_slacks": np.zeros(faces * d),
        "lattice_below": np.zeros(faces * facets, i64),
        "lattice_measure": np.zeros(faces),
        "lattice_share": np.zeros(faces),
        "facet_distances": np.zeros(facets * vertices),
        "vertex_facets": np.zeros(vertices * d, i64),
        "vertex_bits": np.zeros(vertices, u64),
        "vertex_measure": np.zeros(vertices),
        "face_weight": np.zeros(vertices),
        "vertex_offsets": np.zeros(d * vertices),
    }


@inlined
def lowest_of(sets: U64, at: int, words: int) -> int:
    """Return the lowest vertex of the nonempty set in `words` words from `at` on."""
    w = 0
    while w < words - 1 and sets[at + w] == ZERO:
        w += 1
    return 64 * w + trailing_zeros(sets[at + w])


@inlined
def load_simple(search: SearchMemory, top: int, d: int, words: int) -> int:
    """List a node's facets, and those of each vertex; returns how many facets, 0 where it is not simple.

    Coordinates are taken from the first vertex, so that distances lose no digits to the origin. Facets
    are numbered without gaps, in the order of their hyperplanes. They are the faces 1, 2, ..., with their
    first vertices as apexes; face 0 is the polytope itself. If `words` is not 0, their vertex sets are
    kept too, in so many words each.
    """
    apex = search.flat_lattice_apex
    bits_of = search.flat_vertex_bits
    edges = search.flat_edges
    facets_of = search.flat_vertex_facets
    inc = search.flat_incidence
    inc_words = search.incidence.shape[1]
    normals = search.flat_face_normals
    offsets = search.flat_vertex_offsets
    points = search.flat_points
    stride = search.points.shape[1]
    ranks = search.flat_ranks
    ring = search.flat_ring
    rows_of = search.flat_rows
    sets = search.flat_lattice_sets
    node = search.nodes[top]
    count, first = node.n_vertices, node.first_vertex
    base = ring[first]
    n = 0
    for w in range(inc_words):
        used = ZERO
        for v in range(count):
            used |= inc[ring[first + v] * inc_words + w]
        while used != ZERO:
            plane = 64 * w + trailing_zeros(used)
            used &= used - ONE
            if n >= 64:
                return 0
            ranks[plane] = n
            search.face_planes[d, n] = plane
            square = 0.0
            row = edges[node.first_facet + plane] * (d + 2)
            for i in range(d):
                square += rows_of[row + i] * rows_of[row + i]
            scale = 1.0 / np.sqrt(square) if square > 0.0 else 0.0
            for i in range(d):
                normals[n * d + i] = scale * rows_of[row + i]
            n += 1
    for w in range((n + 1) * words):
        sets[w] = ZERO
    for v in range(count - 1, -1, -1):
        vertex = ring[first + v]
        for i in range(d):
            offsets[i * count + v] = points[i * stride + vertex] - points[i * stride + base]
        found = 0
        bits = ZERO
        for w in range(inc_words):
            rest = inc[vertex * inc_words + w]
            while rest != ZERO:
                f = ranks[64 * w + trailing_zeros(rest)]
                rest &= rest - ONE
                if found >= d:
                    return 0
                facets_of[v * d + found] = f
                found += 1
                bits |= ONE << np.uint64(f)
                apex[1 + f] = v
                if words > 0:
                    sets[(1 + f) * words + (v >> 6)] |= ONE << np.uint64(v & 63)
        if found < d:
            return 0
        bits_of[v] = bits
    return n


@inlined
def place_vertices(search: SearchMemory, d: int, n: int, count: int) -> None:
    """Compute the distances of all vertices from all facets, and the vertices' inverse determinants."""
    apex = search.flat_lattice_apex
    facets_of = search.flat_vertex_facets
    measure = search.flat_vertex_measure
    normals = search.flat_face_normals
    offsets = search.flat_vertex_offsets
    slacks = search.flat_facet_distances
    for f in range(n):
        at = f * count
        foot = apex[1 + f]
        level = 0.0
        for i in range(d):
            level += normals[f * d + i] * offsets[i * count + foot]
        for v in range(count):
            distance = -level
            for i in range(d):
                distance += normals[f * d + i] * offsets[i * count + v]
            slacks[at + v] = abs(distance)
    for v in range(count):
        size = determinant_size(search, d, v * d)
        measure[v] = 1.0 / max(size, LEAST_DETERMINANT)
        for s in range(d):
            slacks[facets_of[v * d + s] * count + v] = 0.0


@inlined
def list_level(search: SearchMemory, d: int, n: int, c: int, words: int) -> bool:
    """List the faces of codimension c + 1 by their last facet; False: more than a simple polytope has.

    Loops run over all faces before a facet, without branches, for what they find is not predictable.
    """
    before = search.flat_lattice_before
    below = search.flat_lattice_below
    last = search.flat_lattice_last
    sets = search.flat_lattice_sets
    tree = search.flat_lattice_tree
    room = search.lattice_tree.shape[0]
    first = before[c * (n + 1)]
    new = before[c * (n + 1) + n]
    for m in range(n):
        before[(c + 1) * (n + 1) + m] = new
        end = before[c * (n + 1) + m]
        if new + end - first >= room:
            return False
        for parent in range(first, end):
            some = ZERO
            for w in range(words):
                common = sets[parent * words + w] & sets[(1 + m) * words + w]
                sets[new * words + w] = common
                some |= common
            last[new] = m
            tree[new] = parent
            if c < d - 2:
                below[parent * n + m] = new
            new += 1 if some != ZERO else 0
    before[(c + 1) * (n + 1) + n] = new
    return True


@inlined
def link_level(search: SearchMemory, d: int, n: int, c: int, count: int, words: int) -> None:
    """Find the c + 1 faces above each face of codimension c + 1, and the slacks of their apexes.

    The one above S + m without s is (S without s) + m, which was found below S without s.
    """
    apex = search.flat_lattice_apex
    before = search.flat_lattice_before
    below = search.flat_lattice_below
    last = search.flat_lattice_last
    members = search.flat_lattice_members
    slack = search.flat_lattice_slacks
    slacks = search.flat_facet_distances
    tree = search.flat_lattice_tree
    up = search.flat_lattice_up
    for face in range(before[(c + 1) * (n + 1)], before[(c + 1) * (n + 1) + n]):
        parent, m = tree[face], last[face]
        apex[face] = lowest_of(search.lattice_sets, face * words, words)
        for s in range(c):
            other = below[up[parent * d + s] * n + m]
            member = members[parent * d + s]
            up[face * d + s] = other
            members[face * d + s] = member
            slack[face * d + s] = slacks[member * count + apex[other]]
        up[face * d + c] = parent
        members[face * d + c] = m
        slack[face * d + c] = slacks[m * count + apex[parent]]


@inlined
def list_faces(search: SearchMemory, d: int, n: int, count: int, words: int) -> bool:
    """List all faces down to the edges, with the faces above each and its slacks there."""
    before = search.flat_lattice_before
    below = search.flat_lattice_below
    last = search.flat_lattice_last
    members = search.flat_lattice_members
    up = search.flat_lattice_up
    for f in range(n):
        face = f + 1
        before[n + 1 + f] = face
        below[f] = face
        last[face] = f
        members[face * d] = f
        up[face * d] = 0
    before[n + 1 + n] = n + 1
    for c in range(1, d - 1):
        if not list_level(search, d, n, c, words):
            return False
        link_level(search, d, n, c, count, words)
    return True


@inlined
def measure_edges(search: SearchMemory, d: int, n: int, count: int, words: int) -> bool:
    """Compute U of all edges, with their ends in `last` and `apex`; False where one cannot be measured."""
    apex = search.flat_lattice_apex
    bits_of = search.flat_vertex_bits
    last = search.flat_lattice_last
    measure = search.flat_lattice_measure
    of_vertex = search.flat_vertex_measure
    sets = search.flat_lattice_sets
    slacks = search.flat_facet_distances
    before = search.flat_lattice_before
    largest = 0.0
    for face in range(before[(d - 1) * (n + 1)], before[(d - 1) * (n + 1) + n]):
        total = 0
        b = 0
        for w in range(words):
            word = sets[face * words + w]
            total += popcount(word)
            if word != ZERO:
                rest = word & (word - ONE)
                b = 64 * w + trailing_zeros(rest if rest != ZERO else word)
        if total != 2:
            return False
        a = apex[face]
        last[face] = b
        near = of_vertex[a] < of_vertex[b]
        start = a if near else b
        end = b if near else a
        leaving = bits_of[start] & ~bits_of[end]
        if leaving == ZERO:
            return False
        largest = max(largest, of_vertex[start])
        measure[face] = slacks[trailing_zeros(leaving) * count + end] * of_vertex[start]
    return largest <= 1.0 / FLATTEST


@inlined
def measure_faces(search: SearchMemory, d: int, n: int) -> None:
    """Compute U of all faces above the edges, from the edges up."""
    measure = search.flat_lattice_measure
    slack = search.flat_lattice_slacks
    before = search.flat_lattice_before
    up = search.flat_lattice_up
    for c in range(d - 1, 1, -1):
        for face in range(before[(c - 1) * (n + 1)], before[(c - 1) * (n + 1) + n]):
            measure[face] = 0.0
        for face in range(before[c * (n + 1)], before[c * (n + 1) + n]):
            for s in range(c):
                measure[up[face * d + s]] += slack[face * d + s] * measure[face]


@inlined
def weigh_vertices(search: SearchMemory, d: int, n: int, count: int) -> None:
    """Share the volume out to the vertices of the simplices, from the facets down.

    `lattice_share` of a face times its U is d! times the volume of the simplices that have a face in it.
    """
    apex = search.flat_lattice_apex
    last = search.flat_lattice_last
    measure = search.flat_lattice_measure
    share = search.flat_lattice_share
    slack = search.flat_lattice_slacks
    before = search.flat_lattice_before
    up = search.flat_lattice_up
    weight = search.flat_face_weight
    for v in range(count):
        weight[v] = 0.0
    for c in range(1, d):
        for face in range(before[c * (n + 1)], before[c * (n + 1) + n]):
            if c > 1:
                total = 0.0
                for s in range(c):
                    total += slack[face * d + s] * share[up[face * d + s]]
                share[face] = total
            weight[apex[face]] += share[face] * measure[face]
    for face in range(before[(d - 1) * (n + 1)], before[(d - 1) * (n + 1) + n]):
        weight[last[face]] += share[face] * measure[face]


@inlined
def weigh_facets(search: SearchMemory, d: int, n: int, count: int) -> float:
    """Set each facet's share, its distance from the mean of the vertices; returns the sum of the cones.

    The share is in `lattice_share`, the mean in the first row of `face_moment`.
    """
    apex = search.flat_lattice_apex
    mean = search.flat_face_moment
    measure = search.flat_lattice_measure
    normals = search.flat_face_normals
    offsets = search.flat_vertex_offsets
    share = search.flat_lattice_share
    for i in range(d):
        total = 0.0
        for v in range(count):
            total += offsets[i * count + v]
        mean[i] = total / count
    total = 0.0
    for f in range(n):
        foot = apex[1 + f]
        height = 0.0
        for i in range(d):
            height += normals[f * d + i] * (offsets[i * count + foot] - mean[i])
        share[1 + f] = abs(height)
        total += abs(height) * measure[1 + f]
    return total


@inlined
def finish_volume(search: SearchMemory, top: int, d: int, n: int, total: float, at: int) -> int:
    """Set what `measure_simple` says, from the sum of the cones, the facets' U and the vertices' weights."""
    face_measure = search.flat_face_measure
    mean = search.flat_face_moment
    measure = search.flat_lattice_measure
    offsets = search.flat_vertex_offsets
    weight = search.flat_face_weight
    count, first = search.nodes[top].n_vertices, search.nodes[top].first_vertex
    factorial = 1.0
    for i in range(2, d):
        factorial *= i
    for f in range(n):
        face_measure[search.face_planes[d, f]] = measure[1 + f] / factorial
    search.face_counts[d] = n
    for i in range(d):
        moment = 0.0
        for v in range(count):
            moment += weight[v] * offsets[i * count + v]
        shift = (mean[i] + moment / total) / (d + 1) if total > 0.0 else mean[i]
        search.out_centroid[at, i] = search.points[i, search.ring[first]] + shift
    search.measured = total / (factorial * d)
    return 1


@step
def measure_simple(search: SearchMemory, top: int, at: int) -> int:
    """Measure a node's polytope: its volume goes to `measured`, its centroid to row `at` of the output.

    The volume is the sum of the cones from the mean of the vertices over the facets, which are listed
    in row d of `face_planes`; their volumes go to `face_measure`, by hyperplane. Returns 1, or 0 where the
    polytope is not simple, or too flat at an edge, and must be triangulated.
    """
    d = search.dimension
    count = search.nodes[top].n_vertices
    words = (count + 63) >> 6
    n = load_simple(search, top, d, words)
    if n == 0:
        return 0
    place_vertices(search, d, n, count)
    if not list_faces(search, d, n, count, words) or not measure_edges(search, d, n, count, words):
        return 0
    measure_faces(search, d, n)
    total = weigh_facets(search, d, n, count)
    weigh_vertices(search, d, n, count)
    return finish_volume(search, top, d, n, total, at)
