"""Volumes of simple polytopes with d = 3, 4 or 5, whose faces are found by the facets that they lie on.

It computes what `simple` says, with the same terms. But there is no list of faces: one where two, three or
four facets meet has the place that these numbers have among all pairs, triples or fours (the combinatorial
number system), and a table of vertices by the edges' places shows the two ends of each. So nothing is looked
for, and most loops have no branches that a processor must guess. Knuth, The Art of Computer Programming 4A,
section 7.2.1.3, for the ranks.
"""

from math import comb
from typing import Any

import numpy as np
from numpy.typing import NDArray

from regions.kernels.memory.bits import fma, trailing_zeros
from regions.kernels.memory.compiling import inlined, step
from regions.kernels.memory.layouts import SearchMemory
from regions.kernels.volumes.determinants import determinant_size
from regions.kernels.volumes.simple import (
    FLATTEST,
    LEAST_DETERMINANT,
    finish_volume,
    load_simple,
    weigh_facets,
)

MOST_FACETS = {3: 64, 4: 64, 5: 40}  # a word has 64 bits; 40 have 91,390 fours


def rank_scratch(d: int, vertices: int, planes: int) -> dict[str, NDArray[Any]]:
    """Make the arrays of this module: for pairs, triples and fours of facets, and for the edges."""
    facets = min(planes, MOST_FACETS[d])
    faces = 1 + facets + sum(comb(facets, k) for k in range(2, d - 1))
    edges = vertices * d // 2 + 1
    i64 = np.int64
    return {
        "lattice_apex": np.zeros(faces, i64),
        "lattice_measure": np.zeros(faces),
        "lattice_share": np.zeros(faces),
        "ranks_below": np.array([[comb(f, k) for f in range(facets + 1)] for k in range(1, d)], i64),
        "edge_seen": np.zeros(comb(facets, d - 1), i64),
        "edge_ends": np.zeros((edges + d, 3), i64),
        "edge_measure": np.zeros(edges),
        "faces_without": np.zeros(vertices * d * d, i64),
        "lattice_up": np.zeros(edges * (d - 1), i64),
        "lattice_slacks": np.zeros(edges * (d - 1)),
        "facet_distances": np.zeros(facets * vertices),
        "vertex_facets": np.zeros(vertices * d, i64),
        "vertex_bits": np.zeros(vertices, np.uint64),
        "vertex_measure": np.zeros(vertices),
        "face_weight": np.zeros(vertices),
        "vertex_offsets": np.zeros(d * vertices),
    }


@inlined
def below(search: SearchMemory, k: int, f: int) -> int:
    """Return how many sets of k facets have only facets before f: what f adds to a rank as the k-th."""
    return search.flat_ranks_below[(k - 1) * search.ranks_below.shape[1] + f]


@inlined
def first_pair(n: int) -> int:
    """Return the place of the first pair: after the polytope and its n facets."""
    return 1 + n


@inlined
def first_triple(n: int) -> int:
    """Return the place of the first triple, after all pairs."""
    return 1 + n + (n * (n - 1) >> 1)


@inlined
def end_of_places(search: SearchMemory, d: int, n: int) -> int:
    """Return how many places there are: of the polytope, facets, pairs if d >= 4, triples if d = 5."""
    if d == 3:
        return first_pair(n)
    return first_triple(n) if d == 4 else first_triple(n) + below(search, 3, n)


@inlined
def clear_places(search: SearchMemory, d: int, n: int) -> None:
    """Forget the faces of another polytope; those without an apex are none."""
    apex = search.flat_lattice_apex
    measure = search.flat_lattice_measure
    seen = search.flat_edge_seen
    for face in range(1, end_of_places(search, d, n)):
        measure[face] = 0.0
    for face in range(first_pair(n), end_of_places(search, d, n)):
        apex[face] = -1
    for edge in range(below(search, d - 1, n)):
        seen[edge] = 0


@inlined
def note_edge(search: SearchMemory, found: int, rank: int, v: int, s: int) -> int:
    """Note that an edge leaves facet s of vertex v; returns how many edges have both ends by now."""
    ends = search.flat_edge_ends
    seen = search.flat_edge_seen[rank]
    # written always and kept where it is the second end: a branch cannot be predicted
    ends[3 * found] = v
    ends[3 * found + 1] = seen - 1
    ends[3 * found + 2] = s
    search.flat_edge_seen[rank] = v + 1 if seen == 0 else -1
    return found + (1 if seen > 0 else 0)


@inlined
def note_above(search: SearchMemory, d: int, v: int, s: int, r: int, face: int) -> None:
    """Note the face that lies on all facets of vertex v but the two numbered s and r."""
    search.flat_faces_without[(v * d + s) * d + r] = face
    search.flat_faces_without[(v * d + r) * d + s] = face


@inlined
def note_faces_3(search: SearchMemory, found: int, v: int) -> int:
    """Note the faces at a vertex where d = 3; returns how many edges have both ends by now."""
    facets_of = search.flat_vertex_facets
    a, b, c = facets_of[3 * v], facets_of[3 * v + 1], facets_of[3 * v + 2]
    note_above(search, 3, v, 0, 1, 1 + c)
    note_above(search, 3, v, 0, 2, 1 + b)
    note_above(search, 3, v, 1, 2, 1 + a)
    second, third = below(search, 2, b), below(search, 2, c)
    found = note_edge(search, found, third + b, v, 0)
    found = note_edge(search, found, third + a, v, 1)
    return note_edge(search, found, second + a, v, 2)


@inlined
def note_faces_4(search: SearchMemory, n: int, found: int, v: int) -> int:
    """Do the same where d = 4."""
    apex = search.flat_lattice_apex
    facets_of = search.flat_vertex_facets
    a, b, c, e = facets_of[4 * v], facets_of[4 * v + 1], facets_of[4 * v + 2], facets_of[4 * v + 3]
    b2, c2, e2 = below(search, 2, b), below(search, 2, c), below(search, 2, e)
    first = first_pair(n)
    ab, ac, bc = first + b2 + a, first + c2 + a, first + c2 + b
    ae, be, ce = first + e2 + a, first + e2 + b, first + e2 + c
    apex[ab], apex[ac], apex[bc], apex[ae], apex[be], apex[ce] = v, v, v, v, v, v
    note_above(search, 4, v, 0, 1, ce)
    note_above(search, 4, v, 0, 2, be)
    note_above(search, 4, v, 0, 3, bc)
    note_above(search, 4, v, 1, 2, ae)
    note_above(search, 4, v, 1, 3, ac)
    note_above(search, 4, v, 2, 3, ab)
    c3, e3 = below(search, 3, c), below(search, 3, e)
    found = note_edge(search, found, e3 + c2 + b, v, 0)
    found = note_edge(search, found, e3 + c2 + a, v, 1)
    found = note_edge(search, found, e3 + b2 + a, v, 2)
    return note_edge(search, found, c3 + b2 + a, v, 3)


@inlined
def note_faces_5(search: SearchMemory, n: int, found: int, v: int) -> int:
    """Do the same where d = 5."""
    apex = search.flat_lattice_apex
    facets_of = search.flat_vertex_facets
    a, b, c = facets_of[5 * v], facets_of[5 * v + 1], facets_of[5 * v + 2]
    e, g = facets_of[5 * v + 3], facets_of[5 * v + 4]
    b2, c2, e2, g2 = below(search, 2, b), below(search, 2, c), below(search, 2, e), below(search, 2, g)
    first = first_pair(n)
    ab, ac, bc = b2 + a, c2 + a, c2 + b
    ae, be, ce = e2 + a, e2 + b, e2 + c
    apex[first + ab], apex[first + ac], apex[first + bc] = v, v, v
    apex[first + ae], apex[first + be], apex[first + ce] = v, v, v
    apex[first + g2 + a], apex[first + g2 + b], apex[first + g2 + c], apex[first + g2 + e] = v, v, v, v
    first = first_triple(n)
    c3, e3, g3 = below(search, 3, c), below(search, 3, e), below(search, 3, g)
    abc, abe, ace, bce = first + c3 + ab, first + e3 + ab, first + e3 + ac, first + e3 + bc
    abg, acg, bcg = first + g3 + ab, first + g3 + ac, first + g3 + bc
    aeg, beg, ceg = first + g3 + ae, first + g3 + be, first + g3 + ce
    apex[abc], apex[abe], apex[ace], apex[bce], apex[abg] = v, v, v, v, v
    apex[acg], apex[bcg], apex[aeg], apex[beg], apex[ceg] = v, v, v, v, v
    note_above(search, 5, v, 0, 1, ceg)
    note_above(search, 5, v, 0, 2, beg)
    note_above(search, 5, v, 0, 3, bcg)
    note_above(search, 5, v, 0, 4, bce)
    note_above(search, 5, v, 1, 2, aeg)
    note_above(search, 5, v, 1, 3, acg)
    note_above(search, 5, v, 1, 4, ace)
    note_above(search, 5, v, 2, 3, abg)
    note_above(search, 5, v, 2, 4, abe)
    note_above(search, 5, v, 3, 4, abc)
    e4, g4 = below(search, 4, e) - first, below(search, 4, g) - first
    found = note_edge(search, found, g4 + bce, v, 0)
    found = note_edge(search, found, g4 + ace, v, 1)
    found = note_edge(search, found, g4 + abe, v, 2)
    found = note_edge(search, found, g4 + abc, v, 3)
    return note_edge(search, found, e4 + abc, v, 4)


@inlined
def list_edges(search: SearchMemory, d: int, n: int, count: int) -> int:
    """List edges, and the first vertices of faces; returns how many edges, -1 if one has not two ends."""
    clear_places(search, d, n)
    room = search.edge_measure.shape[0]
    found = 0
    for v in range(count - 1, -1, -1):
        if d == 3:
            found = note_faces_3(search, found, v)
        elif d == 4:
            found = note_faces_4(search, n, found, v)
        else:
            found = note_faces_5(search, n, found, v)
        if found > room:
            return -1
    # a third end of one edge would leave more edges with one end than with two
    return found if 2 * found == d * count else -1


@inlined
def measure_distances(search: SearchMemory, d: int, n: int, count: int) -> None:
    """Compute the distances of all vertices from all facets."""
    apex = search.flat_lattice_apex
    facets_of = search.flat_vertex_facets
    normals = search.flat_face_normals
    offsets = search.flat_vertex_offsets
    slacks = search.flat_facet_distances
    for f in range(n):
        at = f * count
        foot = apex[1 + f]
        a, b, c = normals[f * d], normals[f * d + 1], normals[f * d + 2]
        e = normals[f * d + 3] if d > 3 else 0.0
        g = normals[f * d + 4] if d > 4 else 0.0
        level = fma(c, offsets[2 * count + foot], fma(b, offsets[count + foot], a * offsets[foot]))
        if d > 3:
            level = fma(e, offsets[3 * count + foot], level)
        if d > 4:
            level = fma(g, offsets[4 * count + foot], level)
        for v in range(count):
            height = fma(c, offsets[2 * count + v], fma(b, offsets[count + v], a * offsets[v]))
            if d > 3:
                height = fma(e, offsets[3 * count + v], height)
            if d > 4:
                height = fma(g, offsets[4 * count + v], height)
            slacks[at + v] = abs(height - level)
    for v in range(count):
        for s in range(d):
            slacks[facets_of[v * d + s] * count + v] = 0.0


@inlined
def measure_vertices(search: SearchMemory, d: int, count: int) -> None:
    """Compute the vertices' inverse determinants."""
    measure = search.flat_vertex_measure
    for v in range(count):
        measure[v] = 1.0 / max(determinant_size(search, d, v * d), LEAST_DETERMINANT)


@inlined
def measure_edges(search: SearchMemory, d: int, count: int, edges: int) -> bool:
    """Compute U of all edges and add them to the faces above; False where one cannot be measured."""
    apex = search.flat_lattice_apex
    bits_of = search.flat_vertex_bits
    ends = search.flat_edge_ends
    facets_of = search.flat_vertex_facets
    measure = search.flat_lattice_measure
    of_edge = search.flat_edge_measure
    of_vertex = search.flat_vertex_measure
    slack = search.flat_lattice_slacks
    slacks = search.flat_facet_distances
    up = search.flat_lattice_up
    without = search.flat_faces_without
    largest = 0.0
    for edge in range(edges):
        a, b, s = ends[3 * edge], ends[3 * edge + 1], ends[3 * edge + 2]
        # both ways are computed: a branch cannot be predicted
        near = of_vertex[a] < of_vertex[b]
        from_a = slacks[facets_of[a * d + s] * count + b]
        from_b = slacks[trailing_zeros(bits_of[b] & ~bits_of[a]) * count + a]
        least = min(of_vertex[a], of_vertex[b])
        largest = max(largest, least)
        size = (from_a if near else from_b) * least
        of_edge[edge] = size
        for k in range(d - 1):
            r = k + (1 if k >= s else 0)
            face = without[(a * d + s) * d + r]
            height = slacks[facets_of[a * d + r] * count + apex[face]]
            up[edge * (d - 1) + k] = face
            slack[edge * (d - 1) + k] = height
            measure[face] += height * size
    return largest <= 1.0 / FLATTEST


@inlined
def add_triples(search: SearchMemory, n: int, count: int) -> None:
    """Add the faces on three facets to those on two of them."""
    first = first_pair(n)
    apex = search.flat_lattice_apex
    measure = search.flat_lattice_measure
    slacks = search.flat_facet_distances
    face = first_triple(n)
    for k in range(2, n):
        last = first + below(search, 2, k)
        for j in range(1, k):
            middle = first + below(search, 2, j)
            jk = last + j
            for i in range(j):
                if apex[face] >= 0:
                    size = measure[face]
                    ij, ik = middle + i, last + i
                    measure[ij] += slacks[k * count + apex[ij]] * size
                    measure[ik] += slacks[j * count + apex[ik]] * size
                    measure[jk] += slacks[i * count + apex[jk]] * size
                face += 1


@inlined
def add_pairs(search: SearchMemory, n: int, count: int) -> None:
    """Add the faces on two facets to these."""
    apex = search.flat_lattice_apex
    measure = search.flat_lattice_measure
    slacks = search.flat_facet_distances
    face = first_pair(n)
    for j in range(1, n):
        for i in range(j):
            if apex[face] >= 0:
                size = measure[face]
                measure[1 + i] += slacks[j * count + apex[1 + i]] * size
                measure[1 + j] += slacks[i * count + apex[1 + j]] * size
            face += 1


@inlined
def share_with_pairs(search: SearchMemory, n: int, count: int) -> None:
    """Share the volume out from the facets to the faces on two of them, and to their apexes."""
    apex = search.flat_lattice_apex
    share = search.flat_lattice_share
    slacks = search.flat_facet_distances
    face = first_pair(n)
    for j in range(1, n):
        for i in range(j):
            if apex[face] >= 0:
                part = slacks[j * count + apex[1 + i]] * share[1 + i]
                part += slacks[i * count + apex[1 + j]] * share[1 + j]
                share[face] = part
                search.flat_face_weight[apex[face]] += part * search.flat_lattice_measure[face]
            face += 1


@inlined
def share_with_triples(search: SearchMemory, n: int, count: int) -> None:
    """Share it out from the faces on two facets to those on three, and to their apexes."""
    first = first_pair(n)
    apex = search.flat_lattice_apex
    share = search.flat_lattice_share
    slacks = search.flat_facet_distances
    face = first_triple(n)
    for k in range(2, n):
        last = first + below(search, 2, k)
        for j in range(1, k):
            middle = first + below(search, 2, j)
            jk = last + j
            for i in range(j):
                if apex[face] >= 0:
                    ij, ik = middle + i, last + i
                    part = slacks[k * count + apex[ij]] * share[ij]
                    part += slacks[j * count + apex[ik]] * share[ik]
                    part += slacks[i * count + apex[jk]] * share[jk]
                    share[face] = part
                    search.flat_face_weight[apex[face]] += part * search.flat_lattice_measure[face]
                face += 1


@inlined
def share_out(search: SearchMemory, d: int, n: int, count: int, edges: int) -> None:
    """Share the volume out to the vertices of the simplices, from the facets down."""
    apex = search.flat_lattice_apex
    ends = search.flat_edge_ends
    measure = search.flat_lattice_measure
    of_edge = search.flat_edge_measure
    share = search.flat_lattice_share
    slack = search.flat_lattice_slacks
    up = search.flat_lattice_up
    weight = search.flat_face_weight
    for v in range(count):
        weight[v] = 0.0
    for face in range(1, 1 + n):
        weight[apex[face]] += share[face] * measure[face]
    if d >= 4:
        share_with_pairs(search, n, count)
    if d == 5:
        share_with_triples(search, n, count)
    for edge in range(edges):
        part = 0.0
        for s in range((d - 1) * edge, (d - 1) * (edge + 1)):
            part += slack[s] * share[up[s]]
        part *= of_edge[edge]
        weight[ends[3 * edge]] += part
        weight[ends[3 * edge + 1]] += part


@inlined
def measure_by_rank(search: SearchMemory, d: int, top: int, at: int) -> int:
    """Do what `simple.measure_simple` says, for this d."""
    count = search.nodes[top].n_vertices
    n = load_simple(search, top, d, 0)
    if n == 0 or n >= search.ranks_below.shape[1]:
        return 0
    edges = list_edges(search, d, n, count)
    if edges < 0:
        return 0
    measure_distances(search, d, n, count)
    measure_vertices(search, d, count)
    if not measure_edges(search, d, count, edges):
        return 0
    if d == 5:
        add_triples(search, n, count)
    if d >= 4:
        add_pairs(search, n, count)
    total = weigh_facets(search, d, n, count)
    share_out(search, d, n, count, edges)
    return finish_volume(search, top, d, n, total, at)


@step
def measure_simple_3(search: SearchMemory, top: int, at: int) -> int:
    """Do what `measure_simple` does, for d = 3."""
    return measure_by_rank(search, 3, top, at)


@step
def measure_simple_4(search: SearchMemory, top: int, at: int) -> int:
    """Do what `measure_simple` does, for d = 4."""
    return measure_by_rank(search, 4, top, at)


@step
def measure_simple_5(search: SearchMemory, top: int, at: int) -> int:
    """Do what `measure_simple` does, for d = 5."""
    return measure_by_rank(search, 5, top, at)
