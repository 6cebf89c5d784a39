"""Counting the cells of a polygon's last layer (d = 2) without making nodes of them.

Counting needs to know of a cut only which candidates still cut the two parts. The vertices, their signs and
the order of the cuts are those of `polygons` and `layer_maps`, so the count is the same.
"""

import numpy as np

from regions.kernels.memory.bits import ONE, ZERO, popcount, trailing_zeros
from regions.kernels.memory.compiling import inlined, part, step
from regions.kernels.memory.layouts import SearchMemory
from regions.kernels.vertices.error_bounds import carried_radius
from regions.kernels.vertices.layer_maps import bounding_box, list_undecided, settle_linear
from regions.kernels.vertices.polygons import set_vertex_signs
from regions.kernels.vertices.predicates import bounded_sign, screen_layer, set_bound
from regions.kernels.vertices.vertex_signs import place_vertex


@inlined
def spread_vertices(search: SearchMemory, top: int) -> None:
    """Copy a node's vertices, without signs, to the free places behind them, and list them in `ring`."""
    node = search.nodes[top]
    start, new, end = node.first_vertex, node.vertex_top, node.ring_top
    for v in range(node.n_vertices):
        old = search.ring[start + v]
        search.points[0, new + v] = search.points[0, old]
        search.points[1, new + v] = search.points[1, old]
        search.radii[new + v] = search.radii[old]
        search.positive[new + v, 0] = ZERO
        search.negative[new + v, 0] = ZERO
        search.ring[end + v] = new + v
    if search.certified == 1:
        for v in range(node.n_vertices):
            old = search.ring[start + v]
            search.definitions[new + v, 0] = search.definitions[old, 0]
            search.definitions[new + v, 1] = search.definitions[old, 1]


@inlined
def set_unit_signs(search: SearchMemory, slot: int, unit: int, bit: np.uint64, first: int, count: int) -> int:
    """Set a unit's signs, in `bit`, at `count` vertices from `first` on; 2 if + occurs, plus 1 if - does."""
    constant, a, b = search.slots[slot, 2, unit], search.slots[slot, 0, unit], search.slots[slot, 1, unit]
    bound, factor = search.slots[slot, 5, unit], search.slots[slot, 6, unit]
    seen = 0
    for v in range(first, first + count):
        value = constant + a * search.points[0, v] + b * search.points[1, v]
        s = bounded_sign(search, slot, unit, v, value, bound + factor * search.radii[v])
        search.positive[v, 0] |= bit if s > 0 else ZERO
        search.negative[v, 0] |= bit if s < 0 else ZERO
        seen |= 2 if s > 0 else (1 if s < 0 else 0)
    return seen


@step
def count_last_layer(search: SearchMemory, top: int, _: int) -> int:
    """Return how many cells the last layer makes of a node; -1 where the ordinary search must tell.

    The layer's candidates are found as in `decide_layer`. One candidate makes two cells of the polygon; with
    more of them, `count_parts` cuts it, and keeps of each part only a ring and its candidates. The ordinary
    search must tell where a stack lacks room, where there are more than 64 candidates, and where a sign is
    left open in certified arithmetic.
    """
    node = search.nodes[top]
    layer = node.layer + 1
    slot = node.next_slot
    count = node.n_vertices
    extent, radius = bounding_box(search, node.first_vertex, count)
    screen_layer(search, layer, slot, extent, radius)
    first = node.vertex_top
    units = node.first_unit + node.n_candidates
    if search.cutting[layer] < search.widths[layer]:
        settle_linear(search, layer)
    cuts = 0
    n_open = list_undecided(search, search.widths[layer])
    if n_open > 0:
        spread_vertices(search, top)
    for i in range(n_open):
        k = search.units[i]
        if cuts == 64:
            return -1
        bit = ONE << np.uint64(cuts)
        set_bound(search, slot, k, extent)
        if set_unit_signs(search, slot, k, bit, first, count) == 3:
            search.candidate_units[units + cuts] = k
            cuts += 1
        else:
            for v in range(first, first + count):
                search.positive[v, 0] &= ~bit
                search.negative[v, 0] &= ~bit
    if search.asked > 0:
        return -1
    if cuts < 2:
        return 1 + cuts
    return count_parts(search, top, slot, units, cuts)


@part
def count_parts(search: SearchMemory, top: int, slot: int, units: int, cuts: int) -> int:
    """Count the parts that `cuts` candidates make of a node's polygon; -1 where a stack has no room.

    A part is cut by the lowest of its candidates. Each of its two sides then counts as one cell where no
    candidate cuts it, as two where one does; a side with more candidates waits in the rows of `nodes` and
    `candidates` above the node, as a part to be cut.
    """
    node = search.nodes[top]
    part = top + 1
    count = node.n_vertices
    search.nodes[part].first_vertex = node.ring_top
    search.nodes[part].ring_top = node.ring_top + count
    search.nodes[part].vertex_top = node.vertex_top + count
    search.nodes[part].n_vertices = count
    search.candidates[part, 0] = ~ZERO >> np.uint64(64 - cuts)
    cells = 0
    while part > top:
        here = search.nodes[part]
        count = here.n_vertices
        if (
            part + 3 >= search.nodes.shape[0]
            or here.vertex_top + count + 4 >= search.points.shape[1]
            or here.ring_top + 4 * count + 8 >= search.ring.shape[0]
        ):
            return -1
        n_new, below, above = cut_part(search, part, slot, units)
        if search.asked > 0:
            return -1
        n_below, n_above = popcount(below), popcount(above)
        cells += 1 + n_below if n_below < 2 else 0
        cells += 1 + n_above if n_above < 2 else 0
        if n_below < 2 and n_above < 2:
            part -= 1
        else:
            part = keep_parts(search, part, n_new, below, above)
    return cells


@inlined
def cut_part(search: SearchMemory, part: int, slot: int, units: int) -> tuple[int, np.uint64, np.uint64]:
    """Cut a part by its lowest candidate: new vertices, candidates of the negative, of the positive side."""
    start, count = search.nodes[part].first_vertex, search.nodes[part].n_vertices
    new = search.nodes[part].vertex_top
    others = search.candidates[part, 0]
    bit = others & (~others + ONE)
    others ^= bit
    unit = search.candidate_units[units + trailing_zeros(bit)]
    plus_below, minus_below, plus_above, minus_above = ZERO, ZERO, ZERO, ZERO
    n_new = 0
    a = search.ring[start + count - 1]
    before_plus, before_minus = search.positive[a, 0] & bit, search.negative[a, 0] & bit
    for i in range(count):
        b = search.ring[start + i]
        plus, minus = search.positive[b, 0], search.negative[b, 0]
        here_plus, here_minus = plus & bit, minus & bit
        if here_plus == ZERO:
            plus_below |= plus
            minus_below |= minus
        if here_minus == ZERO:
            plus_above |= plus
            minus_above |= minus
        if (before_plus & here_minus) | (before_minus & here_plus) != ZERO:
            vertex = new + n_new
            n_new += 1
            high, low = b if here_plus != ZERO else a, a if here_plus != ZERO else b
            fall = place_vertex(search, slot, unit, high, low, vertex)
            search.radii[vertex] = search.vertex_radius
            if search.certified == 1:
                search.radii[vertex] = carried_radius(search, slot, unit, high, low, fall)
                search.definitions[vertex, 0] = -1
            set_vertex_signs(search, slot, units, others, 0, high, low, vertex)
            plus_below |= search.positive[vertex, 0]
            minus_below |= search.negative[vertex, 0]
            plus_above |= search.positive[vertex, 0]
            minus_above |= search.negative[vertex, 0]
        a, before_plus, before_minus = b, here_plus, here_minus
    search.decisions += n_new * popcount(others)
    return n_new, others & plus_below & minus_below, others & plus_above & minus_above


@part
def keep_parts(search: SearchMemory, part: int, n_new: int, below: np.uint64, above: np.uint64) -> int:
    """Replace a part by those of its two sides that have two candidates or more; returns the last part."""
    start, count = search.nodes[part].first_vertex, search.nodes[part].n_vertices
    new, end = search.nodes[part].vertex_top, search.nodes[part].ring_top
    bit = search.candidates[part, 0] & (~search.candidates[part, 0] + ONE)
    last = part - 1
    for side in range(2):
        candidates = below if side == 0 else above
        if popcount(candidates) < 2:
            continue
        last += 1
        first = end
        vertex = new
        a = search.ring[start + count - 1]
        for i in range(count):
            b = search.ring[start + i]
            crossed = (search.positive[a, 0] & search.negative[b, 0]) | (
                search.negative[a, 0] & search.positive[b, 0]
            )
            if crossed & bit != ZERO:
                search.ring[end] = vertex
                vertex += 1
                end += 1
            search.ring[end] = b
            away = search.positive[b, 0] if side == 0 else search.negative[b, 0]
            end += 1 if away & bit == ZERO else 0
            a = b
        search.nodes[last].first_vertex = first
        search.nodes[last].n_vertices = end - first
        search.nodes[last].ring_top = end
        search.nodes[last].vertex_top = new + n_new
        search.candidates[last, 0] = candidates
    return last
