"""Polygons (d = 2) as rings of vertices: cutting one, copying one, its area and sides.

A node's entries of `ring` are its vertices in order; those of `edges` are the hyperplanes of the sides, each
from the vertex of the same entry to the next one.
"""

import numpy as np

from regions.kernels.memory.bits import ONE, ZERO, trailing_zeros
from regions.kernels.memory.compiling import inlined, part
from regions.kernels.memory.layouts import SearchMemory
from regions.kernels.vertices.cell_output import add_ring
from regions.kernels.vertices.error_bounds import place_exactly, radius_in_plane
from regions.kernels.vertices.layer_maps import add_event, is_positive
from regions.kernels.vertices.predicates import bounded_sign
from regions.kernels.vertices.vertex_signs import place_vertex, sign_at


@part
def copy_polygon(search: SearchMemory, top: int) -> None:
    """Give a node fresh copies of its vertices, so that a new layer's signs can be kept with them."""
    node = search.nodes[top]
    target, vertices = node.ring_top, node.vertex_top
    count = node.n_vertices
    certified = search.certified == 1
    for i in range(count):
        old = search.ring[node.first_vertex + i]
        new = vertices + i
        search.points[0, new] = search.points[0, old]
        search.points[1, new] = search.points[1, old]
        search.radii[new] = search.radii[old]
        if certified:
            search.definitions[new, 0] = search.definitions[old, 0]
            search.definitions[new, 1] = search.definitions[old, 1]
        search.ring[target + i] = new
        search.edges[target + i] = search.edges[node.first_vertex + i]
    node.first_vertex = target
    node.ring_top = target + count
    node.vertex_top = vertices + count


@inlined
def cut_side(search: SearchMemory, top: int, c: int, a: int, b: int, new: int, side: int) -> None:
    """Make vertex `new` where candidate c cuts the side from `a` (positive) to `b` (negative)."""
    node = search.nodes[top]
    line = node.hyperplanes
    unit = search.candidate_units[node.first_unit + c]
    place_vertex(search, node.map_slot, unit, a, b, new)
    search.radii[new] = search.vertex_radius
    if search.certified == 1:
        search.definitions[new, 0] = side
        search.definitions[new, 1] = line
        search.radii[new] = radius_in_plane(search, side, line, new)
        if not search.radii[new] <= search.largest_error:
            place_exactly(search, new)


@inlined
def set_vertex_signs(
    search: SearchMemory, slot: int, units: int, candidates: np.uint64, word: int, a: int, b: int, vertex: int
) -> None:
    """Set the signs of one word of candidates at a new vertex between `a` and `b`.

    The signs are found as in `vertex_signs.set_new_vertex_signs`. `units` is the first entry of the node's
    candidates in `candidate_units`.
    """
    first = units + 64 * word
    x, y, radius = search.points[0, vertex], search.points[1, vertex], search.radii[vertex]
    plus = search.positive[a, word] | search.positive[b, word]
    minus = search.negative[a, word] | search.negative[b, word]
    clash = plus & minus
    plus &= ~clash
    minus &= ~clash
    clash &= candidates
    while clash != ZERO:
        bit = clash & (~clash + ONE)
        clash ^= bit
        unit = search.candidate_units[first + trailing_zeros(bit)]
        value = (
            search.slots[slot, 2, unit] + search.slots[slot, 0, unit] * x + search.slots[slot, 1, unit] * y
        )
        bound = search.slots[slot, 5, unit] + search.slots[slot, 6, unit] * radius
        s = bounded_sign(search, slot, unit, vertex, value, bound)
        plus |= bit if s > 0 else ZERO
        minus |= bit if s < 0 else ZERO
    search.positive[vertex, word] = plus
    search.negative[vertex, word] = minus


@inlined
def cut_polygon(search: SearchMemory, top: int, c: int) -> tuple[int, int, int]:
    """Cut a node's polygon by candidate c: (new vertices, entries of the negative, of the positive part).

    One pass around the ring gives each vertex to the parts that its sign says, and both parts a new vertex
    between two of opposite signs. Then the new vertices are placed, and the signs of the other candidates
    there are set. The two rings are written from the node's `ring_top` on, the negative one first.
    """
    node = search.nodes[top]
    word = c >> 6
    shift = np.uint64(c & 63)
    count = node.n_vertices
    start = node.first_vertex
    line = node.hyperplanes
    new = node.vertex_top
    minus = node.ring_top
    plus = minus + count + 4
    n_minus = 0
    n_plus = 0
    n_new = 0
    b = search.ring[start]
    there = np.int64((search.positive[b, word] >> shift) & ONE) - np.int64(
        (search.negative[b, word] >> shift) & ONE
    )
    # all is written always and kept where the sign says so: branches here cannot be predicted
    for i in range(count):
        a, here = b, there
        side = search.edges[start + i]
        b = search.ring[start + (i + 1 if i + 1 < count else 0)]
        there = np.int64((search.positive[b, word] >> shift) & ONE) - np.int64(
            (search.negative[b, word] >> shift) & ONE
        )
        search.ring[plus + n_plus] = a
        search.edges[plus + n_plus] = line if here == 0 and there < 0 else side
        n_plus += 1 if here >= 0 else 0
        search.ring[minus + n_minus] = a
        search.edges[minus + n_minus] = line if here == 0 and there > 0 else side
        n_minus += 1 if here <= 0 else 0
        crossed = 1 if here * there < 0 else 0
        search.pairs[n_new, 0] = a if here > 0 else b
        search.pairs[n_new, 1] = b if here > 0 else a
        search.work[n_new] = side
        search.ring[plus + n_plus] = new + n_new
        search.edges[plus + n_plus] = line if here > 0 else side
        n_plus += crossed
        search.ring[minus + n_minus] = new + n_new
        search.edges[minus + n_minus] = side if here > 0 else line
        n_minus += crossed
        n_new += crossed
    for v in range(n_new):
        cut_side(search, top, c, search.pairs[v, 0], search.pairs[v, 1], new + v, search.work[v])
    if search.asked <= search.answered:
        for w in range((node.n_candidates + 63) >> 6):
            for v in range(n_new):
                a, b = search.pairs[v, 0], search.pairs[v, 1]
                set_vertex_signs(
                    search, node.map_slot, node.first_unit, search.candidates[top, w], w, a, b, new + v
                )
    for i in range(n_plus):
        search.ring[minus + n_minus + i] = search.ring[plus + i]
        search.edges[minus + n_minus + i] = search.edges[plus + i]
    return n_new, n_minus, n_plus


@part
def touched_side(search: SearchMemory, top: int, unit: int) -> None:
    """Record the side on which a touching unit vanishes, if there is one (its signs are in `values`)."""
    node = search.nodes[top]
    count = node.n_vertices
    for i in range(count):
        if search.values[i, unit] == 0.0 and search.values[(i + 1) % count, unit] == 0.0:
            add_event(search, top, search.edges[node.first_vertex + i], unit, is_positive(search, unit))


@part
def touched_side_of_candidate(search: SearchMemory, top: int, c: int) -> None:
    """Record the side on which a candidate that has just become active vanishes, if there is one."""
    node = search.nodes[top]
    count = node.n_vertices
    start = node.first_vertex
    for i in range(count):
        a = search.ring[start + i]
        b = search.ring[start + (i + 1) % count]
        if sign_at(search, a, c) == 0 and sign_at(search, b, c) == 0:
            unit = search.candidate_units[node.first_unit + c]
            leads = (search.masks[0, c >> 6] >> np.uint64(c & 63)) & ONE != ZERO
            add_event(search, top, search.edges[start + i], unit, leads)


@inlined
def polygon_area(search: SearchMemory, top: int) -> float:
    """Return the area of a node's polygon, measured from its first vertex so that small cells keep digits."""
    node = search.nodes[top]
    start = node.first_vertex
    x0 = search.points[0, search.ring[start]]
    y0 = search.points[1, search.ring[start]]
    last = search.ring[start + 1]
    ux, uy = search.points[0, last] - x0, search.points[1, last] - y0
    twice = 0.0
    for i in range(2, node.n_vertices):
        vertex = search.ring[start + i]
        vx, vy = search.points[0, vertex] - x0, search.points[1, vertex] - y0
        twice += ux * vy - uy * vx
        ux, uy = vx, vy
    return 0.5 * abs(twice)


@part
def collect_polygon(search: SearchMemory, top: int) -> float:
    """Write a polygon's area, centroid and sides to the output; returns the area."""
    node = search.nodes[top]
    start = node.first_vertex
    count = node.n_vertices
    at = search.out_cells
    x0 = search.points[0, search.ring[start]]
    y0 = search.points[1, search.ring[start]]
    twice, cx, cy, mx, my = 0.0, 0.0, 0.0, 0.0, 0.0
    half = search.out_halves
    for i in range(count):
        a = search.ring[start + i]
        b = search.ring[start + (i + 1 if i + 1 < count else 0)]
        ux, uy = search.points[0, a] - x0, search.points[1, a] - y0
        vx, vy = search.points[0, b] - x0, search.points[1, b] - y0
        cross = ux * vy - uy * vx
        twice += cross
        cx += cross * (ux + vx)
        cy += cross * (uy + vy)
        mx += ux
        my += uy
        length = np.sqrt((vx - ux) * (vx - ux) + (vy - uy) * (vy - uy))
        search.out_point[half + i, 0] = search.points[0, a]
        search.out_point[half + i, 1] = search.points[1, a]
        search.out_measure[half + i] = length
    add_ring(search, top)
    if twice > 0.0:
        cx, cy = cx / (3.0 * twice), cy / (3.0 * twice)
    else:
        cx, cy = mx / count, my / count
    search.out_centroid[at, 0] = x0 + cx
    search.out_centroid[at, 1] = y0 + cy
    search.out_vertices[at] = count
    search.out_facets[at] = count
    return 0.5 * abs(twice)
