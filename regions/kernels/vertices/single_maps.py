"""The last layer's map in single precision, by which counting in the plane finds the few units that may cut.

Counting needs the last layer only to tell how many cells it makes of a polygon, and most of its units have
one sign there. So the map that is kept up to date by every split is of single precision, which takes half the
arithmetic; its error is bounded by norms. The rows of the units that it leaves open are then computed afresh
in double precision, with the bounds of any other map. Where the polygon must be split after all, the whole
map is (`rebuild_map`).

The bound. A unit of the last layer is `z = b + sum_j w_j h_j` over the active units j of the layer below,
and at a point x of the domain `h_j` is within E_j of `a_j x + c_j`, with the computed row a_j, c_j. In single
precision, roundoff u = 2**-24, the sums are off by G times the sum of their terms' sizes, with G = (n + 24) u
enlarged: n terms, their conversion, the evaluation. So with q_j = E_j + G (|a_j|_1 extent + |c_j|), and G for
the bias, z is within |(w, b)|_2 |(q, G)|_2 of the row's value. What underflows is far below that, as no
weight and no extent is beyond 2**40 or below 2**-40.
"""

import math

from regions.kernels.memory.bits import ONE, ZERO, fma, trailing_zeros
from regions.kernels.memory.compiling import inlined, step
from regions.kernels.memory.layouts import SearchMemory
from regions.kernels.memory.map_rows import (
    LARGEST_SINGLE,
    add_single_columns,
    begin_single_rows,
    screen_single_rows,
    squares_of_errors,
)
from regions.kernels.memory.states import Status
from regions.kernels.vertices.layer_maps import add_active, list_open, map_at, start_map

SINGLE_ROUNDOFF = 2.0**-24
ENLARGED_SINGLE = 1.00001  # covers the rounding of the bounds themselves


@inlined
def rough_at(search: SearchMemory, slot: int) -> int:
    """Return the place of a slot's first entry in `flat_rough_slots`."""
    return slot * 3 * search.rough_slots.shape[2]


@inlined
def add_rows(search: SearchMemory, source: int, target: int, below: int, count: int) -> None:
    """Set a rough map to another one plus `count` units (in `units`) of the map in slot `below`."""
    for u in range(count):
        for i in range(3):
            search.rough_factors[u, i] = search.slots[below, i, search.units[u]]
    add_single_columns(
        search.flat_rough_slots,
        rough_at(search, source),
        rough_at(search, target),
        search.rough_slots.shape[2],
        search.flat_rough_factors,
        search.flat_rough_weights,
        search.flat_units,
        count,
    )


@step
def start_rough(search: SearchMemory, top: int, count: int) -> int:
    """Begin a node's rough map of the last layer with `count` units (in `units`), and bound its error."""
    node = search.nodes[top]
    n = search.widths[node.layer]
    share = (n + 24) * SINGLE_ROUNDOFF * ENLARGED_SINGLE
    extent = max(search.extents[0], search.extents[1])
    squares = squares_of_errors(
        search.flat_slots, map_at(search, node.map_slot), search.slots.shape[2], share, extent, n
    )
    search.rough_spreads[node.map_slot] = ENLARGED_SINGLE * math.sqrt(squares + share * share)
    at, length = rough_at(search, node.next_slot), search.rough_slots.shape[2]
    begin_single_rows(search.flat_rough_slots, at, length, search.flat_rough_biases)
    add_rows(search, node.next_slot, node.next_slot, node.map_slot, count)
    return Status.DONE


@step
def add_rough(search: SearchMemory, source: int, target: int, below: int, count: int) -> int:
    """Set a rough map to another one plus `count` units (in `units`) of the map in slot `below`."""
    add_rows(search, source, target, below, count)
    return Status.DONE


@inlined
def list_pattern_units(search: SearchMemory, top: int, unlisted: int) -> int:
    """List the active units of a node's layer in `work`, or in `units` if `unlisted`; returns how many."""
    layer = search.nodes[top].layer
    first = search.word_starts[layer]
    count = 0
    for w in range(first, search.word_starts[layer + 1]):
        rest = search.patterns[top, w]
        while rest != ZERO:
            unit = ((w - first) << 6) + trailing_zeros(rest)
            rest &= rest - ONE
            if unlisted == 1:
                search.units[count] = unit
            else:
                search.work[count] = unit
            count += 1
    return count


@inlined
def compute_rows(search: SearchMemory, top: int, one: int, other: int, count: int) -> None:
    """Compute the rows of two units of the last layer from the `count` active units in `work`."""
    slot, below = search.nodes[top].next_slot, search.nodes[top].map_slot
    layer = search.n_layers - 1
    x, y, p, q = 0.0, 0.0, 0.0, 0.0
    bias = search.bias_starts[layer]
    c, r = search.biases[bias + one], search.biases[bias + other]
    gamma, lost = search.roundings[layer], search.underflow
    e, f = gamma * abs(c) + lost, gamma * abs(r) + lost
    for t in range(count):
        unit = search.work[t]
        v, w = search.rough_rows[one, unit], search.rough_rows[other, unit]
        factor = search.slots[below, 0, unit]
        x, p = fma(v, factor, x), fma(w, factor, p)
        factor = search.slots[below, 1, unit]
        y, q = fma(v, factor, y), fma(w, factor, q)
        factor = search.slots[below, 2, unit]
        c, r = fma(v, factor, c), fma(w, factor, r)
        factor = search.slots[below, 4, unit]
        e, f = fma(abs(v), factor, e), fma(abs(w), factor, f)
    search.slots[slot, 0, one], search.slots[slot, 0, other] = x, p
    search.slots[slot, 1, one], search.slots[slot, 1, other] = y, q
    search.slots[slot, 2, one], search.slots[slot, 2, other] = c, r
    search.slots[slot, 3, one], search.slots[slot, 3, other] = e, f


@inlined
def list_unsure(search: SearchMemory, top: int, n_open: int) -> int:
    """Leave in `units` those that a node's rough map does not show to have one sign; returns how many."""
    node = search.nodes[top]
    slot, spread = node.next_slot, search.rough_spreads[node.map_slot]
    left = 0
    for u in range(n_open):
        unit = search.units[u]
        x, y, constant = (
            float(search.rough_slots[slot, 0, unit]),
            float(search.rough_slots[slot, 1, unit]),
            float(search.rough_slots[slot, 2, unit]),
        )
        bound = ENLARGED_SINGLE * spread * search.rough_norms[unit]
        factor = ENLARGED_SINGLE * (abs(x) + abs(y))
        above, below = 0, 0
        for v in range(node.n_vertices):
            vertex = search.ring[node.first_vertex + v]
            value = constant + x * search.points[0, vertex] + y * search.points[1, vertex]
            size = bound + factor * search.radii[vertex]
            above += 1 if size < value < LARGEST_SINGLE else 0
            below += 1 if size < -value < LARGEST_SINGLE else 0
        search.units[left] = unit
        left += 1 if max(above, below) < node.n_vertices else 0
    return left


@step
def open_rough(search: SearchMemory, top: int, radius: float) -> int:
    """List in `units` the units of the last layer that may cut a node, and compute their rows; how many.

    `box` has the box around the node's vertices, whose positions have errors up to `radius`.
    """
    node = search.nodes[top]
    for i in range(2):
        search.rough_box[i] = search.box[0, i]
        search.rough_box[2 + i] = ENLARGED_SINGLE * (search.box[1, i] + radius) + 2.0**-120
    screen_single_rows(
        search.flat_rough_slots,
        rough_at(search, node.next_slot),
        search.rough_slots.shape[2],
        search.flat_rough_norms,
        search.flat_rough_box,
        search.rough_spreads[node.map_slot],
        search.widths[node.layer + 1],
        search.flat_masks,
        search.masks.shape[1],
    )
    n_open = list_unsure(search, top, list_open(search, search.widths[node.layer + 1]))
    if n_open > 0:
        count = list_pattern_units(search, top, 0)
        for u in range(0, n_open, 2):
            compute_rows(search, top, search.units[u], search.units[min(u + 1, n_open - 1)], count)
    return n_open


@step
def rebuild_map(search: SearchMemory, top: int, _: int) -> int:
    """Compute the last layer's map of a node in double precision, which is to be split by its units."""
    node = search.nodes[top]
    start_map(search, node.layer + 1, node.map_slot, node.next_slot)
    count = list_pattern_units(search, top, 1)
    add_active(search, node.layer + 1, node.map_slot, node.next_slot, count)
    return Status.DONE
