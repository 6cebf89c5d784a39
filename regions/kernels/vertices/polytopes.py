"""Polytopes by vertices and incidence (d = 1 and d >= 3): cutting one, copying one, its faces.

Bit b of a vertex's incidence says that it lies on hyperplane `edge[FACETS + b]` of its node. The bits
of two vertices decide whether an edge joins them (double description: Motzkin et al. 1953, Fukuda and
Prodon 1996): if one of them is simple, exactly d - 1 common bits; otherwise no third vertex has them all.
"""

import numpy as np
from numba import njit
from numpy.typing import NDArray

from regions.kernels.memory import state
from regions.kernels.memory.bits import ONE, ZERO, popcount, trailing_zeros
from regions.kernels.memory.table import I64, f1, f2, i1, i2, u1, u2
from regions.kernels.vertices.cell_output import add_half
from regions.kernels.vertices.error_bounds import carried_radius, improve_radius
from regions.kernels.vertices.layer_maps import add_event
from regions.kernels.vertices.vertex_signs import mark_new_vertices, place_vertex, sign_at
from regions.kernels.volumes.simple import simple_volume
from regions.kernels.volumes.triangulated import list_simplices, open_facets, polytope_volume


@njit(cache=True, nogil=True)
def copy_vertex(t: I64, old: int, new: int) -> None:
    """Copy a vertex's position and radius, but not its bits."""
    points = f2(t, state.POINTS)
    radii = f1(t, state.RADII)
    for i in range(points.shape[0]):
        points[i, new] = points[i, old]
    radii[new] = radii[old]


@njit(cache=True, nogil=True)
def copy_cell(t: I64, top: int) -> None:
    """Give a node fresh copies of its vertices, so that a new layer's signs can be kept with them.

    When the incidence bits are nearly used up, the hyperplanes are numbered anew without gaps.
    """
    inc = u2(t, state.INC)
    nodes = i2(t, state.NODES)
    points = f2(t, state.POINTS)
    radii = f1(t, state.RADII)
    ring = i1(t, state.RING)
    node = nodes[top]
    target, vertices = node[state.RING_TOP], node[state.VERTEX_TOP]
    first = node[state.VERTICES]
    count = node[state.N_VERTICES]
    words = inc.shape[1]
    for i in range(points.shape[0]):
        for v in range(count):
            points[i, vertices + v] = points[i, ring[first + v]]
    for v in range(count):
        radii[vertices + v] = radii[ring[first + v]]
        for w in range(words):
            inc[vertices + v, w] = inc[ring[first + v], w]
        ring[target + v] = vertices + v
    if 2 * node[state.N_FACETS] > 64 * words:
        renumber_facets(t, top, vertices, count)
    node[state.VERTICES] = target
    node[state.RING_TOP] = target + count
    node[state.VERTEX_TOP] = vertices + count


@njit(cache=True, nogil=True)
def renumber_facets(t: I64, top: int, vertices: int, count: int) -> None:
    """Number anew, without gaps, the hyperplanes that a node's copied vertices lie on."""
    edges = i1(t, state.EDGES)
    inc = u2(t, state.INC)
    nodes = i2(t, state.NODES)
    ranks = i1(t, state.RANKS)
    node = nodes[top]
    words = inc.shape[1]
    facets = node[state.FACETS] + node[state.N_FACETS]
    total = 0
    for w in range(words):
        used = ZERO
        for v in range(count):
            used |= inc[vertices + v, w]
        while used != ZERO:
            b = 64 * w + trailing_zeros(used)
            edges[facets + total] = edges[node[state.FACETS] + b]
            ranks[b] = total
            total += 1
            used &= used - ONE
    for v in range(vertices, vertices + count):
        # a bit never moves up, so the words below are final when a word is read
        for w in range(words):
            rest = inc[v, w]
            inc[v, w] = ZERO
            while rest != ZERO:
                b = ranks[64 * w + trailing_zeros(rest)]
                inc[v, b >> 6] |= ONE << np.uint64(b & 63)
                rest &= rest - ONE
    node[state.FACETS] = facets
    node[state.N_FACETS] = total


@njit(cache=True, nogil=True)
def count_bits(t: I64, vertex: int) -> int:
    """Number of hyperplanes that a vertex lies on."""
    inc = u2(t, state.INC)
    total = 0
    for w in range(inc.shape[1]):
        total += popcount(inc[vertex, w])
    return total


@njit(cache=True, nogil=True)
def is_edge(t: I64, top: int, a: int, b: int) -> bool:
    """Whether no third vertex of the node lies on all hyperplanes common to `a` and `b`."""
    inc = u2(t, state.INC)
    nodes = i2(t, state.NODES)
    ring = i1(t, state.RING)
    node = nodes[top]
    for v in range(node[state.N_VERTICES]):
        vertex = ring[node[state.VERTICES] + v]
        if vertex in (a, b):
            continue
        inside = True
        for w in range(inc.shape[1]):
            if inc[a, w] & inc[b, w] & ~inc[vertex, w] != ZERO:
                inside = False
                break
        if inside:
            return False
    return True


@njit(cache=True, nogil=True)
def cut_edges(t: I64, top: int, plus: int, n_plus: int, minus: int, n_minus: int) -> int:
    """List in `tree.pairs` the edges between two lists of `ring`; -1 when the list is full."""
    gather = u1(t, state.GATHER)
    inc = u2(t, state.INC)
    pairs = i2(t, state.PAIRS)
    points = f2(t, state.POINTS)
    ring = i1(t, state.RING)
    d = points.shape[0]
    words = inc.shape[1]
    found = 0
    if words == 1:
        for j in range(n_minus):
            gather[j] = inc[ring[minus + j], 0]
    for i in range(n_plus):
        a = ring[plus + i]
        simple = count_bits(t, a) == d
        if words == 1:
            bits = inc[a, 0]
            for j in range(n_minus):
                if popcount(bits & gather[j]) >= d - 1:
                    b = ring[minus + j]
                    if simple or popcount(gather[j]) == d or is_edge(t, top, a, b):
                        if found >= pairs.shape[0]:
                            return -1
                        pairs[found, 0] = a
                        pairs[found, 1] = b
                        found += 1
            continue
        for j in range(n_minus):
            b = ring[minus + j]
            common = 0
            for w in range(words):
                common += popcount(inc[a, w] & inc[b, w])
            if common >= d - 1 and (simple or count_bits(t, b) == d or is_edge(t, top, a, b)):
                if found >= pairs.shape[0]:
                    return -1
                pairs[found, 0] = a
                pairs[found, 1] = b
                found += 1
    return found


@njit(cache=True, nogil=True)
def cut_vertex(t: I64, top: int, c: int, a: int, b: int, new: int) -> None:
    """Make vertex `new` where candidate c cuts the edge from `a` (positive) to `b` (negative)."""
    cut_units = i1(t, state.CUT_UNITS)
    freg = f1(t, state.FREG)
    inc = u2(t, state.INC)
    nodes = i2(t, state.NODES)
    radii = f1(t, state.RADII)
    node = nodes[top]
    slot = node[state.MAP_SLOT]
    unit = cut_units[node[state.CANDIDATES] + c]
    fall = place_vertex(t, slot, unit, a, b, new)
    for w in range(inc.shape[1]):
        inc[new, w] = inc[a, w] & inc[b, w]
    inc[new, node[state.N_FACETS] >> 6] |= ONE << np.uint64(node[state.N_FACETS] & 63)
    radii[new] = freg[state.RADIUS]
    if t[state.CERTIFIED] == 1:
        radii[new] = carried_radius(t, slot, unit, a, b, fall)
        if not radii[new] <= freg[state.LARGEST_ERROR]:
            improve_radius(t, new)


@njit(cache=True, nogil=True)
def cut_cell(t: I64, top: int, c: int) -> tuple[int, int, int]:
    """Cut a node's polytope by candidate c: (new vertices, entries of the negative, of the positive part).

    The vertex lists are written from state.RING_TOP on, the negative one first. New vertices -1: no room;
    -2: more hyperplanes than incidence bits.
    """
    inc = u2(t, state.INC)
    neg = u2(t, state.NEG)
    nodes = i2(t, state.NODES)
    pairs = i2(t, state.PAIRS)
    picked = i1(t, state.PICKED)
    points = f2(t, state.POINTS)
    pos = u2(t, state.POS)
    reg = i1(t, state.REG)
    ring = i1(t, state.RING)
    work = i1(t, state.WORK)
    node = nodes[top]
    count = node[state.N_VERTICES]
    start = node[state.VERTICES]
    if node[state.N_FACETS] >= 64 * inc.shape[1]:
        return -2, 0, 0
    minus = node[state.RING_TOP]
    plus = minus + count + 1
    n_minus, n_plus, n_zero = 0, 0, 0
    for v in range(count):
        vertex = ring[start + v]
        s = sign_at(t, vertex, c)
        # all lists are written always and kept where the sign says so: a branch cannot be predicted
        ring[plus + n_plus] = vertex
        n_plus += 1 if s > 0 else 0
        ring[minus + n_minus] = vertex
        n_minus += 1 if s < 0 else 0
        work[n_zero] = vertex
        n_zero += 1 if s == 0 else 0
    edges = cut_edges(t, top, plus, n_plus, minus, n_minus)
    n_new = edges + n_zero
    new = node[state.VERTEX_TOP]
    if edges < 0 or new + n_new + 2 >= points.shape[1] or minus + 2 * (count + n_new) + 2 >= ring.shape[0]:
        return -1, 0, 0
    for i in range(n_zero):
        copy_vertex(t, work[i], new + i)
        for w in range(inc.shape[1]):
            inc[new + i, w] = inc[work[i], w]
        inc[new + i, node[state.N_FACETS] >> 6] |= ONE << np.uint64(node[state.N_FACETS] & 63)
        for w in range(pos.shape[1]):
            pos[new + i, w] = pos[work[i], w]
            neg[new + i, w] = neg[work[i], w]
    for i in range(edges):
        cut_vertex(t, top, c, pairs[i, 0], pairs[i, 1], new + n_zero + i)
    if reg[state.ASKED] <= reg[state.ANSWERED]:
        mark_new_vertices(t, top, new + n_zero, edges)
    # the positive list moves up to make room for the new vertices at the end of the negative one
    for i in range(n_plus):
        picked[i] = ring[plus + i]
    for i in range(n_new):
        ring[minus + n_minus + i] = new + i
    plus = minus + n_minus + n_new
    for i in range(n_plus):
        ring[plus + i] = picked[i]
    for i in range(n_new):
        ring[plus + n_plus + i] = new + i
    return n_new, n_minus + n_new, n_plus + n_new


@njit(cache=True, nogil=True)
def lone_facet(t: I64, top: int) -> int:
    """The hyperplane on which all vertices listed in `PICKED` lie, if it is one; else -1.

    `PICKED[0]` is their number. A face lies in as many facets as its codimension at
    least, so a single common hyperplane means a facet.
    """
    edges = i1(t, state.EDGES)
    inc = u2(t, state.INC)
    nodes = i2(t, state.NODES)
    picked = i1(t, state.PICKED)
    node = nodes[top]
    total = 0
    at = -1
    if picked[0] == 0:
        return -1
    for w in range(inc.shape[1]):
        common = ~ZERO
        for v in range(picked[0]):
            common &= inc[picked[1 + v], w]
        total += popcount(common)
        if common != ZERO:
            at = 64 * w + trailing_zeros(common)
    if total != 1:
        return -1
    return edges[node[state.FACETS] + at]


@njit(cache=True, nogil=True)
def touched_facet(t: I64, top: int, unit: int) -> None:
    """Record the facet on which a touching unit vanishes, if any (signs in `tree.z`)."""
    nodes = i2(t, state.NODES)
    picked = i1(t, state.PICKED)
    ring = i1(t, state.RING)
    unit_keys = u1(t, state.UNIT_KEYS)
    unit_starts = i1(t, state.UNIT_STARTS)
    values = f2(t, state.VALUES)
    node = nodes[top]
    found = 0
    for v in range(node[state.N_VERTICES]):
        if values[v, unit] == 0.0:
            picked[1 + found] = ring[node[state.VERTICES] + v]
            found += 1
    picked[0] = found
    if found >= t[state.DIMENSION]:
        hyperplane = lone_facet(t, top)
        if hyperplane >= 0:
            add_event(t, top, hyperplane, unit_keys[unit_starts[node[state.LAYER]] + unit])


@njit(cache=True, nogil=True)
def touched_facet_of_candidate(t: I64, top: int, c: int) -> None:
    """Record the facet on which a candidate that has just become active vanishes, if any."""
    cut_units = i1(t, state.CUT_UNITS)
    nodes = i2(t, state.NODES)
    picked = i1(t, state.PICKED)
    ring = i1(t, state.RING)
    unit_keys = u1(t, state.UNIT_KEYS)
    unit_starts = i1(t, state.UNIT_STARTS)
    node = nodes[top]
    found = 0
    for v in range(node[state.N_VERTICES]):
        vertex = ring[node[state.VERTICES] + v]
        if sign_at(t, vertex, c) == 0:
            picked[1 + found] = vertex
            found += 1
    picked[0] = found
    if found >= t[state.DIMENSION]:
        hyperplane = lone_facet(t, top)
        if hyperplane >= 0:
            unit = cut_units[node[state.CANDIDATES] + c]
            add_event(t, top, hyperplane, unit_keys[unit_starts[node[state.LAYER]] + unit])


@njit(cache=True, nogil=True)
def load_faces(t: I64, top: int) -> bool:
    """Copy a node's polytope to the scratch of `volume`; returns whether it is simple."""
    edges = i1(t, state.EDGES)
    face_normals = f2(t, state.FACE_NORMALS)
    face_on = u2(t, state.FACE_ON)
    face_points = f2(t, state.FACE_POINTS)
    inc = u2(t, state.INC)
    nodes = i2(t, state.NODES)
    points = f2(t, state.POINTS)
    ring = i1(t, state.RING)
    rows_of = f2(t, state.ROWS_OF)
    node = nodes[top]
    count = node[state.N_VERTICES]
    d = points.shape[0]
    vertex_words = (count + 63) >> 6
    planes = node[state.N_FACETS]
    for f in range(planes):
        for w in range(vertex_words):
            face_on[f, w] = ZERO
        row = edges[node[state.FACETS] + f]
        for i in range(d):
            face_normals[f, i] = rows_of[row, i]
    bits = 0
    for v in range(count):
        vertex = ring[node[state.VERTICES] + v]
        for i in range(d):
            face_points[v, i] = points[i, vertex]
        for w in range(inc.shape[1]):
            rest = inc[vertex, w]
            bits += popcount(rest)
            while rest != ZERO:
                f = 64 * w + trailing_zeros(rest)
                rest &= rest - ONE
                face_on[f, v >> 6] |= ONE << np.uint64(v & 63)
    return bits == count * d


@njit(cache=True, nogil=True)
def collect_segment(t: I64, top: int) -> float:
    """The cell of d = 1: length, middle, and two end points of measure 1."""
    edges = i1(t, state.EDGES)
    inc = u2(t, state.INC)
    nodes = i2(t, state.NODES)
    out_centroid = f2(t, state.OUT_CENTROID)
    out_facets = i1(t, state.OUT_FACETS)
    out_vertices = i1(t, state.OUT_VERTICES)
    points = f2(t, state.POINTS)
    reg = i1(t, state.REG)
    ring = i1(t, state.RING)
    node = nodes[top]
    at = reg[state.OUT_CELLS]
    a = ring[node[state.VERTICES]]
    b = ring[node[state.VERTICES] + 1]
    for vertex in (a, b):
        for w in range(inc.shape[1]):
            if inc[vertex, w] != ZERO:
                bit = 64 * w + trailing_zeros(inc[vertex, w])
                add_half(t, top, edges[node[state.FACETS] + bit], 1.0)
    out_centroid[at, 0] = 0.5 * (points[0, a] + points[0, b])
    out_vertices[at] = 2
    out_facets[at] = 2
    return abs(points[0, b] - points[0, a])


@njit(cache=True, nogil=True)
def collect_cell(t: I64, top: int) -> float:
    """Write a cell's volume, centroid and facets to the output; -1 where the scratch is too small."""
    edges = i1(t, state.EDGES)
    face_counts = i1(t, state.FACE_COUNTS)
    face_measure = f1(t, state.FACE_MEASURE)
    face_on = u2(t, state.FACE_ON)
    face_planes = i2(t, state.FACE_PLANES)
    face_points = f2(t, state.FACE_POINTS)
    nodes = i2(t, state.NODES)
    out_centroid = f2(t, state.OUT_CENTROID)
    out_facets = i1(t, state.OUT_FACETS)
    out_vertices = i1(t, state.OUT_VERTICES)
    reg = i1(t, state.REG)
    node = nodes[top]
    d = t[state.DIMENSION]
    if d == 1:
        return collect_segment(t, top)
    count = node[state.N_VERTICES]
    planes = node[state.N_FACETS]
    if count > face_points.shape[0] or planes > face_on.shape[0]:
        return -1.0
    at = reg[state.OUT_CELLS]
    volume = simple_volume(t, top, out_centroid[at]) if d > 2 else -1.0
    if volume < 0.0:
        simple = load_faces(t, top)
        volume = polytope_volume(t, d, count, planes, simple, out_centroid[at])
    for j in range(face_counts[d]):
        plane = face_planes[d, j]
        add_half(t, top, edges[node[state.FACETS] + plane], face_measure[plane])
    out_vertices[at] = count
    out_facets[at] = face_counts[d]
    return volume


@njit(cache=True, nogil=True)
def list_cell_simplices(t: I64, top: int, place: int, simplices: NDArray[np.int64]) -> int:
    """List the simplices of one facet of a finished cell: vertex numbers in FACE_POINTS; -1: no room."""
    nodes = i2(t, state.NODES)
    node = nodes[top]
    d = t[state.DIMENSION]
    simple = load_faces(t, top)
    count = node[state.N_VERTICES]
    open_facets(t, d, count, node[state.N_FACETS], simple)
    return list_simplices(t, d, place, (count + 63) >> 6, simple, simplices, 0)
