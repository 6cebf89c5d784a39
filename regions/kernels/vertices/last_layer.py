"""Counting what a layer makes of a polytope without making nodes of the parts.

Counting needs no parts of the last layer, only how many there are: `flats` tells from the signs and values of
the candidates at the vertices. These are gathered here, at the start of the layer or of a node that is left
of it after some splits.
"""

import numpy as np

from regions.kernels.memory.bits import ONE, ZERO, popcount, trailing_zeros
from regions.kernels.memory.compiling import inlined, part, step
from regions.kernels.memory.layouts import SearchMemory
from regions.kernels.vertices.flats import are_few, count_flats, list_flat_edges
from regions.kernels.vertices.layer_maps import bounding_box, list_open
from regions.kernels.vertices.predicates import bounded_sign, screen_layer, set_bound, sure_signs
from regions.kernels.vertices.vertex_signs import unit_value


@part
def gather_points(search: SearchMemory, top: int) -> None:
    """Copy the coordinates and radii of a node's vertices to `flats_points`, and forget the signs there."""
    start, count = search.nodes[top].first_vertex, search.nodes[top].n_vertices
    for i in range(search.dimension):
        for v in range(count):
            search.flats_points[i, v] = search.points[i, search.ring[start + v]]
    for v in range(count):
        search.flats_points[search.dimension, v] = search.radii[search.ring[start + v]]
        search.flats_plus[v] = ZERO
        search.flats_minus[v] = ZERO


@part
def put_values(search: SearchMemory, slot: int, unit: int, count: int) -> None:
    """Put the values of a unit at the first `count` vertices of `flats_points` in `unit_values`."""
    d = search.dimension
    constant, factor = search.slots[slot, d, unit], search.slots[slot, 0, unit]
    for v in range(count):
        search.unit_values[v] = constant + factor * search.flats_points[0, v]
    for i in range(1, d):
        factor = search.slots[slot, i, unit]
        for v in range(count):
            search.unit_values[v] += factor * search.flats_points[i, v]


@inlined
def put_unit(search: SearchMemory, top: int, slot: int, unit: int, c: int) -> bool:
    """Write a unit's signs, values and errors at a node's vertices as candidate c; False: it does not cut."""
    start, count = search.nodes[top].first_vertex, search.nodes[top].n_vertices
    bit = ONE << np.uint64(c)
    d = search.dimension
    bound, factor = search.slots[slot, d + 3, unit], search.slots[slot, d + 4, unit]
    put_values(search, slot, unit, count)
    radii = search.flats_points[d, 0:count]
    above, below = sure_signs(search.unit_values, radii, count, bound, factor)
    if max(above, below) == count:
        return False
    seen = 0
    for v in range(count):
        vertex = search.ring[start + v]
        value, error = search.unit_values[v], bound + factor * search.flats_points[d, v]
        s = bounded_sign(search, slot, unit, vertex, value, error)
        search.flats_values[v, c] = value if s != 0 else 0.0
        search.flats_errors[v, c] = error if s != 0 else 0.0
        search.flats_plus[v] |= bit if s > 0 else ZERO
        search.flats_minus[v] |= bit if s < 0 else ZERO
        seen |= 2 if s > 0 else (1 if s < 0 else 0)
    if seen != 3:
        for v in range(count):
            search.flats_plus[v] &= ~bit
            search.flats_minus[v] &= ~bit
    return seen == 3


@part
def put_layer(search: SearchMemory, top: int) -> int:
    """Write the candidates of a node's next layer to the lists of flats; how many, -1 if there are too many.

    They are found as in `decide_layer`.
    """
    node = search.nodes[top]
    layer, slot = node.layer + 1, node.next_slot
    extent, radius = bounding_box(search, node.first_vertex, node.n_vertices)
    if search.rough == 1:
        n_open = search.open_rough(top, radius)
    else:
        screen_layer(search, layer, slot, extent, radius)
        if search.cutting[layer] < search.widths[layer]:
            search.settle_linear(layer, 0)
        n_open = list_open(search, search.widths[layer])
    if n_open == 0:
        return 0
    search.ask_layer = layer
    search.ask_facets = node.first_facet
    gather_points(search, top)
    cuts = 0
    for i in range(n_open):
        if cuts == search.flats_values.shape[1]:
            return -1
        set_bound(search, slot, search.units[i], extent)
        cuts += 1 if put_unit(search, top, slot, search.units[i], cuts) else 0
    return cuts


@part
def put_candidates(search: SearchMemory, top: int) -> int:
    """Write the candidates that still cut a node to the lists of flats; how many, -1 if too many."""
    node = search.nodes[top]
    slot = node.map_slot
    d = search.dimension
    cuts = 0
    for v in range(node.n_vertices):
        search.flats_plus[v] = ZERO
        search.flats_minus[v] = ZERO
    for w in range((node.n_candidates + 63) >> 6):
        rest = search.candidates[top, w]
        if cuts + popcount(rest) > search.flats_values.shape[1]:
            return -1
        while rest != ZERO:
            c = np.uint64(trailing_zeros(rest))
            unit = search.candidate_units[node.first_unit + (w << 6) + trailing_zeros(rest)]
            rest &= rest - ONE
            bound, factor = search.slots[slot, d + 3, unit], search.slots[slot, d + 4, unit]
            for v in range(node.n_vertices):
                vertex = search.ring[node.first_vertex + v]
                plus = (search.positive[vertex, w] >> c) & ONE
                minus = (search.negative[vertex, w] >> c) & ONE
                signed = plus | minus != ZERO
                search.flats_plus[v] |= plus << np.uint64(cuts)
                search.flats_minus[v] |= minus << np.uint64(cuts)
                search.flats_values[v, cuts] = unit_value(search, slot, unit, vertex) if signed else 0.0
                search.flats_errors[v, cuts] = bound + factor * search.radii[vertex] if signed else 0.0
            cuts += 1
    return cuts


@part
def put_incidences(search: SearchMemory, top: int) -> bool:
    """Write the incidences of a node's vertices to the lists of flats, one word each; False: they do not fit.

    The highest d bits are left free. Where hyperplanes of the node have them, those that its vertices lie on
    are numbered anew.
    """
    node = search.nodes[top]
    start, count = node.first_vertex, node.n_vertices
    words = search.incidence.shape[1]
    free = 64 - search.dimension
    if node.n_facets <= free:
        for v in range(count):
            search.flats_bits[v] = search.incidence[search.ring[start + v], 0]
        return True
    for v in range(count):
        search.flats_bits[v] = ZERO
    number = 0
    for w in range(words):
        used = ZERO
        for v in range(count):
            used |= search.incidence[search.ring[start + v], w]
        while used != ZERO:
            b = np.uint64(trailing_zeros(used))
            used &= used - ONE
            if number == free:
                return False
            for v in range(count):
                lies = (search.incidence[search.ring[start + v], w] >> b) & ONE
                search.flats_bits[v] |= lies << np.uint64(number)
            number += 1
    return True


@part
def list_sides(search: SearchMemory, top: int) -> int:
    """List the sides of a node's polygon as edges of a flat; returns how many."""
    count = search.nodes[top].n_vertices
    for v in range(count):
        search.flats_edges[v, 0] = v
        search.flats_edges[v, 1] = v + 1 if v + 1 < count else 0
    return count


@part
def list_edges(search: SearchMemory, top: int, candidates: np.uint64) -> int:
    """List the edges of a node's polytope that candidates cross; -1 where there is no room for them."""
    if not put_incidences(search, top):
        return -1
    return list_flat_edges(search, 0, search.nodes[top].n_vertices, 0, candidates)


@inlined
def gather_candidates(search: SearchMemory, top: int, entered: int) -> int:
    """Write the candidates to the lists of flats: of a node's next layer or, where it is `entered`, its own.

    Returns how many, -1 where there are too many or a sign at a vertex is left open.
    """
    cuts = put_candidates(search, top) if entered == 1 else put_layer(search, top)
    return cuts if search.asked == 0 and are_few(cuts, search.dimension) else -1


@step
def count_in_polygon(search: SearchMemory, top: int, entered: int) -> int:
    """Return how many cells the last layer makes of a node; -1 where the ordinary search must tell.

    That is the next layer of the node or, where it is `entered`, the node's own with what is left of its
    candidates. The ordinary search must tell where there are too many of these, where room lacks, and where a
    sign is left open; the node then remembers of how many it was tried.
    """
    cuts = gather_candidates(search, top, entered)
    if cuts < 2:
        return 1 + cuts if cuts >= 0 else -1
    cells = count_flats(search, search.nodes[top].n_vertices, list_sides(search, top), cuts)
    search.nodes[top].unclear = cuts if cells < 0 else 0
    return cells


@step
def count_in_polytope(search: SearchMemory, top: int, entered: int) -> int:
    """Do what `count_in_polygon` does, for polytopes (d = 1 and d >= 3)."""
    cuts = gather_candidates(search, top, entered)
    if cuts < 2:
        return 1 + cuts if cuts >= 0 else -1
    edges = list_edges(search, top, ~ZERO >> np.uint64(64 - cuts))
    cells = count_flats(search, search.nodes[top].n_vertices, edges, cuts) if edges >= 0 else -1
    search.nodes[top].unclear = cuts if cells < 0 else 0
    return cells
