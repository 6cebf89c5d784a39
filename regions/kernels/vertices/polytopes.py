"""Polytopes by vertices and incidence (d = 1 and d >= 3): cutting one, copying one, its faces.

Bit b of a vertex's incidence says that it lies on hyperplane `edges[first_facet + b]` of its node. The bits
of two vertices decide whether an edge joins them (double description: Motzkin et al. 1953, Fukuda and
Prodon 1996). If one of them is simple, an edge needs d - 1 common bits; otherwise no third vertex may have
all the common bits.
"""

import numpy as np
from numpy.typing import NDArray

from regions.kernels.memory.bits import ONE, ZERO, popcount, trailing_zeros
from regions.kernels.memory.compiling import part, step
from regions.kernels.memory.entries import entry
from regions.kernels.memory.layouts import SearchMemory
from regions.kernels.memory.states import Status
from regions.kernels.vertices.cell_output import add_half
from regions.kernels.vertices.error_bounds import carried_radius
from regions.kernels.vertices.layer_maps import add_event, is_positive
from regions.kernels.vertices.vertex_signs import place_vertex, set_new_vertex_signs, sign_at
from regions.kernels.volumes.triangulated import list_simplices, open_facets, polytope_volume


@part
def copy_vertex(search: SearchMemory, old: int, new: int) -> None:
    """Copy a vertex's position and radius, but not its bits."""
    for i in range(search.points.shape[0]):
        search.points[i, new] = search.points[i, old]
    search.radii[new] = search.radii[old]


@part
def copy_cell(search: SearchMemory, top: int) -> None:
    """Give a node fresh copies of its vertices, so that a new layer's signs can be kept with them.

    When the incidence bits are nearly used up, the hyperplanes are numbered anew without gaps.
    """
    node = search.nodes[top]
    target, vertices = node.ring_top, node.vertex_top
    first = node.first_vertex
    count = node.n_vertices
    words = search.incidence.shape[1]
    for i in range(search.points.shape[0]):
        for v in range(count):
            search.points[i, vertices + v] = search.points[i, search.ring[first + v]]
    for v in range(count):
        search.radii[vertices + v] = search.radii[search.ring[first + v]]
        for w in range(words):
            search.incidence[vertices + v, w] = search.incidence[search.ring[first + v], w]
        search.ring[target + v] = vertices + v
    if 2 * node.n_facets > 64 * words:
        renumber_facets(search, top, vertices, count)
    node.first_vertex = target
    node.ring_top = target + count
    node.vertex_top = vertices + count


@part
def renumber_facets(search: SearchMemory, top: int, vertices: int, count: int) -> None:
    """Number anew, without gaps, the hyperplanes that a node's copied vertices lie on."""
    node = search.nodes[top]
    words = search.incidence.shape[1]
    facets = node.first_facet + node.n_facets
    total = 0
    for w in range(words):
        used = ZERO
        for v in range(count):
            used |= search.incidence[vertices + v, w]
        while used != ZERO:
            b = 64 * w + trailing_zeros(used)
            search.edges[facets + total] = search.edges[node.first_facet + b]
            search.ranks[b] = total
            total += 1
            used &= used - ONE
    for v in range(vertices, vertices + count):
        # a bit never moves up, so the words below are final when a word is read
        for w in range(words):
            rest = search.incidence[v, w]
            search.incidence[v, w] = ZERO
            while rest != ZERO:
                b = search.ranks[64 * w + trailing_zeros(rest)]
                search.incidence[v, b >> 6] |= ONE << np.uint64(b & 63)
                rest &= rest - ONE
    node.first_facet = facets
    node.n_facets = total


@part
def count_bits(search: SearchMemory, vertex: int) -> int:
    """Count the hyperplanes that a vertex lies on."""
    total = 0
    for w in range(search.incidence.shape[1]):
        total += popcount(search.incidence[vertex, w])
    return total


@part
def is_edge(search: SearchMemory, top: int, a: int, b: int) -> bool:
    """Whether no third vertex of the node lies on all hyperplanes common to `a` and `b`."""
    node = search.nodes[top]
    for v in range(node.n_vertices):
        vertex = search.ring[node.first_vertex + v]
        if vertex in (a, b):
            continue
        inside = True
        for w in range(search.incidence.shape[1]):
            if search.incidence[a, w] & search.incidence[b, w] & ~search.incidence[vertex, w] != ZERO:
                inside = False
                break
        if inside:
            return False
    return True


@part
def cut_edges(search: SearchMemory, top: int, plus: int, n_plus: int, minus: int, n_minus: int) -> int:
    """List in `pairs` the edges between two lists of `ring`; returns how many, -1 where the list is full."""
    d = search.points.shape[0]
    words = search.incidence.shape[1]
    found = 0
    if words == 1:
        for j in range(n_minus):
            search.gathered[j] = search.incidence[search.ring[minus + j], 0]
    for i in range(n_plus):
        a = search.ring[plus + i]
        simple = count_bits(search, a) == d
        if words == 1:
            bits = search.incidence[a, 0]
            for j in range(n_minus):
                if popcount(bits & search.gathered[j]) >= d - 1:
                    b = search.ring[minus + j]
                    if simple or popcount(search.gathered[j]) == d or is_edge(search, top, a, b):
                        if found >= search.pairs.shape[0]:
                            return -1
                        search.pairs[found, 0] = a
                        search.pairs[found, 1] = b
                        found += 1
            continue
        for j in range(n_minus):
            b = search.ring[minus + j]
            common = 0
            for w in range(words):
                common += popcount(search.incidence[a, w] & search.incidence[b, w])
            if common >= d - 1 and (simple or count_bits(search, b) == d or is_edge(search, top, a, b)):
                if found >= search.pairs.shape[0]:
                    return -1
                search.pairs[found, 0] = a
                search.pairs[found, 1] = b
                found += 1
    return found


@part
def cut_vertex(search: SearchMemory, top: int, c: int, a: int, b: int, new: int) -> None:
    """Make vertex `new` where candidate c cuts the edge from `a` (positive) to `b` (negative)."""
    node = search.nodes[top]
    slot = node.map_slot
    unit = search.candidate_units[node.first_unit + c]
    fall = place_vertex(search, slot, unit, a, b, new)
    for w in range(search.incidence.shape[1]):
        search.incidence[new, w] = search.incidence[a, w] & search.incidence[b, w]
    search.incidence[new, node.n_facets >> 6] |= ONE << np.uint64(node.n_facets & 63)
    search.radii[new] = search.vertex_radius
    if search.certified == 1:
        search.radii[new] = carried_radius(search, slot, unit, a, b, fall)
        if not search.radii[new] <= search.largest_error:
            search.improve_radius(new)


@part
def cut_cell(search: SearchMemory, top: int, c: int) -> tuple[int, int, int]:
    """Cut a node's polytope by candidate c: (new vertices, entries of the negative, of the positive part).

    The vertices are sorted by the candidate's sign, and the edges between a positive and a negative one are
    found by their incidence. Each such edge gets a new vertex; a vertex on the hyperplane is copied, as both
    parts need it with one incidence bit more. The lists are written from the node's `ring_top` on, the
    negative one first. Instead of the new vertices, -1: no room; -2: more hyperplanes than incidence bits.
    """
    node = search.nodes[top]
    count = node.n_vertices
    start = node.first_vertex
    if node.n_facets >= 64 * search.incidence.shape[1]:
        return -2, 0, 0
    minus = node.ring_top
    plus = minus + count + 1
    n_minus, n_plus, n_zero = 0, 0, 0
    for v in range(count):
        vertex = search.ring[start + v]
        s = sign_at(search, vertex, c)
        # all lists are written always and kept where the sign says so: a branch cannot be predicted
        search.ring[plus + n_plus] = vertex
        n_plus += 1 if s > 0 else 0
        search.ring[minus + n_minus] = vertex
        n_minus += 1 if s < 0 else 0
        search.work[n_zero] = vertex
        n_zero += 1 if s == 0 else 0
    edges = cut_edges(search, top, plus, n_plus, minus, n_minus)
    n_new = edges + n_zero
    new = node.vertex_top
    if (
        edges < 0
        or new + n_new + 2 >= search.points.shape[1]
        or minus + 2 * (count + n_new) + 2 >= search.ring.shape[0]
    ):
        return -1, 0, 0
    for i in range(n_zero):
        copy_vertex(search, search.work[i], new + i)
        for w in range(search.incidence.shape[1]):
            search.incidence[new + i, w] = search.incidence[search.work[i], w]
        search.incidence[new + i, node.n_facets >> 6] |= ONE << np.uint64(node.n_facets & 63)
        for w in range(search.positive.shape[1]):
            search.positive[new + i, w] = search.positive[search.work[i], w]
            search.negative[new + i, w] = search.negative[search.work[i], w]
    for i in range(edges):
        cut_vertex(search, top, c, search.pairs[i, 0], search.pairs[i, 1], new + n_zero + i)
    if search.asked <= search.answered:
        set_new_vertex_signs(search, top, new + n_zero, edges)
    # the positive list moves up to make room for the new vertices at the end of the negative one
    for i in range(n_plus):
        search.picked[i] = search.ring[plus + i]
    for i in range(n_new):
        search.ring[minus + n_minus + i] = new + i
    plus = minus + n_minus + n_new
    for i in range(n_plus):
        search.ring[plus + i] = search.picked[i]
    for i in range(n_new):
        search.ring[plus + n_plus + i] = new + i
    return n_new, n_minus + n_new, n_plus + n_new


@part
def lone_facet(search: SearchMemory, top: int) -> int:
    """Return the only hyperplane on which all vertices listed in `picked` lie; -1 if there is not just one.

    `picked[0]` is their number. A face lies in at least as many facets as its codimension, so a single
    common hyperplane means that it is a facet.
    """
    node = search.nodes[top]
    total = 0
    at = -1
    if search.picked[0] == 0:
        return -1
    for w in range(search.incidence.shape[1]):
        common = ~ZERO
        for v in range(search.picked[0]):
            common &= search.incidence[search.picked[1 + v], w]
        total += popcount(common)
        if common != ZERO:
            at = 64 * w + trailing_zeros(common)
    if total != 1:
        return -1
    return search.edges[node.first_facet + at]


@part
def touched_facet(search: SearchMemory, top: int, unit: int) -> None:
    """Record the facet on which a touching unit vanishes, if there is one (its signs are in `values`)."""
    node = search.nodes[top]
    found = 0
    for v in range(node.n_vertices):
        if search.values[v, unit] == 0.0:
            search.picked[1 + found] = search.ring[node.first_vertex + v]
            found += 1
    search.picked[0] = found
    if found >= search.dimension:
        hyperplane = lone_facet(search, top)
        if hyperplane >= 0:
            add_event(search, top, hyperplane, unit, is_positive(search, unit))


@part
def touched_facet_of_candidate(search: SearchMemory, top: int, c: int) -> None:
    """Record the facet on which a candidate that has just become active vanishes, if there is one."""
    node = search.nodes[top]
    found = 0
    for v in range(node.n_vertices):
        vertex = search.ring[node.first_vertex + v]
        if sign_at(search, vertex, c) == 0:
            search.picked[1 + found] = vertex
            found += 1
    search.picked[0] = found
    if found >= search.dimension:
        hyperplane = lone_facet(search, top)
        if hyperplane >= 0:
            unit = search.candidate_units[node.first_unit + c]
            leads = (search.masks[0, c >> 6] >> np.uint64(c & 63)) & ONE != ZERO
            add_event(search, top, hyperplane, unit, leads)


@part
def load_faces(search: SearchMemory, top: int) -> bool:
    """Copy a node's polytope to the scratch of `triangulated`; returns whether it is simple."""
    node = search.nodes[top]
    count = node.n_vertices
    d = search.points.shape[0]
    vertex_words = (count + 63) >> 6
    planes = node.n_facets
    for f in range(planes):
        for w in range(vertex_words):
            search.face_on[f, w] = ZERO
        row = search.edges[node.first_facet + f]
        for i in range(d):
            search.face_normals[f, i] = search.rows[row, i]
    bits = 0
    for v in range(count):
        vertex = search.ring[node.first_vertex + v]
        for i in range(d):
            search.face_points[v, i] = search.points[i, vertex]
        for w in range(search.incidence.shape[1]):
            rest = search.incidence[vertex, w]
            bits += popcount(rest)
            while rest != ZERO:
                f = 64 * w + trailing_zeros(rest)
                rest &= rest - ONE
                search.face_on[f, v >> 6] |= ONE << np.uint64(v & 63)
    return bits == count * d


@part
def collect_segment(search: SearchMemory, top: int) -> float:
    """Write a cell of d = 1 to the output, with two end points of measure 1; returns its length."""
    node = search.nodes[top]
    at = search.out_cells
    a = search.ring[node.first_vertex]
    b = search.ring[node.first_vertex + 1]
    for vertex in (a, b):
        for w in range(search.incidence.shape[1]):
            if search.incidence[vertex, w] != ZERO:
                bit = 64 * w + trailing_zeros(search.incidence[vertex, w])
                add_half(search, top, search.edges[node.first_facet + bit], 1.0)
    search.out_centroid[at, 0] = 0.5 * (search.points[0, a] + search.points[0, b])
    search.out_vertices[at] = 2
    search.out_facets[at] = 2
    return abs(search.points[0, b] - search.points[0, a])


@step
def triangulate(search: SearchMemory, top: int, at: int) -> int:
    """Measure a node's polytope and its facets by triangulation; its volume goes to `measured`.

    Its centroid goes to row `at` of the output.
    """
    node = search.nodes[top]
    simple = load_faces(search, top)
    search.measured = polytope_volume(
        search, search.dimension, node.n_vertices, node.n_facets, simple, search.out_centroid[at]
    )
    return Status.DONE


@step
def report_not_simple(search: SearchMemory, top: int, at: int) -> int:
    """Stand in for `triangulate` until it is needed and compiled: most polytopes are simple."""
    return Status.COMPILE


@part
def collect_cell(search: SearchMemory, top: int) -> int:
    """Write a cell's centroid and facets to the output, and its volume to `measured`.

    A simple polytope is measured by `measure_simple`, any other by triangulation. Returns DONE, GROW where
    the scratch is too small, or COMPILE where `triangulate` is not compiled yet.
    """
    node = search.nodes[top]
    d = search.dimension
    if d == 1:
        search.measured = collect_segment(search, top)
        return Status.DONE
    count = node.n_vertices
    planes = node.n_facets
    if count > search.face_points.shape[0] or planes > search.face_on.shape[0]:
        return Status.GROW
    at = search.out_cells
    if d == 2 or search.measure_simple(top, at) == 0:
        status = search.triangulate(top, at)
        if status != Status.DONE:
            return status
    for j in range(search.face_counts[d]):
        plane = search.face_planes[d, j]
        add_half(search, top, search.edges[node.first_facet + plane], search.face_measure[plane])
    search.out_vertices[at] = count
    search.out_facets[at] = search.face_counts[d]
    return Status.DONE


@entry
def list_cell_simplices(search: SearchMemory, top: int, place: int, simplices: NDArray[np.int64]) -> int:
    """List the simplices of one facet of a finished cell, by rows of `face_points`; -1 where room lacks."""
    node = search.nodes[top]
    d = search.dimension
    simple = load_faces(search, top)
    count = node.n_vertices
    open_facets(search, d, count, node.n_facets, simple)
    return list_simplices(search, d, place, (count + 63) >> 6, simple, simplices, 0)
