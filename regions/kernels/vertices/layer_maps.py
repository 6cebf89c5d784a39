"""Affine maps and unit states on the way down the splitting tree, whatever the polytope is made of.

`add_units` keeps the next layer's map; `decide_layer` sorts a layer's units into active ones, inactive ones
and candidates, which cut the polytope, and `settle` sorts the candidates again after a split.
"""

import numpy as np

from regions.kernels.memory.bits import ONE, SMALLEST, ZERO, trailing_zeros
from regions.kernels.memory.compiling import inlined, part, step
from regions.kernels.memory.layouts import SearchMemory
from regions.kernels.memory.map_rows import add_columns, begin_rows, copy_adding, copy_adding_sizes
from regions.kernels.memory.states import Mode, Status
from regions.kernels.vertices.max_winners import plain_bits, set_active
from regions.kernels.vertices.predicates import pass_on, rounding_over, screen_layer, set_bound
from regions.kernels.vertices.vertex_signs import clear_signs, decide_vertex_signs
from regions.kernels.vertices.weight_columns import add_sparse_column

ON_ALL = -1  # in place of a hyperplane: candidates tie on the whole node


@inlined
def map_at(search: SearchMemory, slot: int) -> int:
    """Return the place of a slot's first entry in `flat_slots`."""
    return slot * search.slots.shape[1] * search.slots.shape[2]


@part
def start_map(search: SearchMemory, layer: int, below: int, slot: int) -> None:
    """Set a slot to the map of `layer` when no unit of the map in slot `below` is active: its biases."""
    length = search.slots.shape[2]
    begin_rows(
        search.flat_slots,
        map_at(search, slot),
        length,
        search.dimension,
        search.flat_biases,
        search.bias_starts[layer],
        rounding_over(search, layer - 1, below),
        search.underflow,
        search.widths[layer],
    )


@part
def duplicate_map(search: SearchMemory, layer: int, source: int, target: int) -> None:
    """Copy the map of `layer` from one slot to another."""
    for i in range(search.dimension + 2):
        old = search.slots[source, i]
        new = search.slots[target, i]
        for k in range(search.widths[layer]):
            new[k] = old[k]


@part
def copy_map_with(
    search: SearchMemory, layer: int, source: int, target: int, below: int, unit: int, slope: float
) -> None:
    """Copy the map of `layer` from one slot to another, adding `slope` times one unit of the map in `below`.

    The two slots may be the same one.
    """
    n, d = search.widths[layer], search.dimension
    length = search.slots.shape[2]
    old, new = map_at(search, source), map_at(search, target)
    start = search.weight_starts[layer] + unit * n
    maps, weights = search.flat_slots, search.flat_weights
    for i in range(d + 1):
        factor = slope * search.slots[below, i, unit]
        copy_adding(maps, old + i * length, new + i * length, weights, start, factor, n)
    factor = abs(slope) * search.slots[below, d + 2, unit]
    row = (d + 1) * length
    copy_adding_sizes(maps, old + row, new + row, weights, start, factor, n)


@part
def add_active(search: SearchMemory, layer: int, source: int, target: int, count: int) -> None:
    """Add `count` units of slope 1 (listed in `units`) of the map in `source` to the map of `layer`.

    `target[i, k] += sum_j W[k, j] source[i, j]`; the error row takes `|W[k, j]|` times what a unit passes on.
    """
    add_columns(
        search.flat_slots,
        map_at(search, source),
        map_at(search, target),
        search.slots.shape[2],
        search.dimension,
        search.flat_weights,
        search.weight_starts[layer],
        search.flat_units,
        count,
        search.widths[layer],
    )


@step
def add_units(search: SearchMemory, layer: int, source: int, target: int, count: int) -> int:
    """Add `count` active units (listed in `units`) of the map in `source` to the map of `layer`."""
    add_active(search, layer, source, target, count)
    return Status.DONE


@part
def add_listed_units(search: SearchMemory, layer: int, source: int, target: int, count: int) -> int:
    """Add the listed units, each times its slope.

    An entry of `units` that is `~unit` means the slope left of the breakpoint. The product by the slope
    rounds once more than the bounds of `pass_on` would need without it, which `roundings` has counted.
    """
    below = layer - 1
    if search.sloped[below] == 0:
        add_active(search, layer, source, target, count)
        return Status.DONE
    for u in range(count):
        entry = search.units[u]
        unit = entry if entry >= 0 else ~entry
        slope = search.slopes[1 if entry >= 0 else 0, search.unit_starts[below] + unit]
        copy_map_with(search, layer, target, target, source, unit, slope)
    return Status.DONE


@step
def add_sloped_units(search: SearchMemory, layer: int, source: int, target: int, count: int) -> int:
    """Do what `add_units` does, for networks with other units than ReLUs: each is added times its slope."""
    return add_listed_units(search, layer, source, target, count)


@step
def add_units_by_columns(search: SearchMemory, layer: int, source: int, target: int, count: int) -> int:
    """Do what `add_sloped_units` does, for networks with layers that are stored by their non-zeros."""
    if search.sparse[layer] == 0:
        return add_listed_units(search, layer, source, target, count)
    below = layer - 1
    for u in range(count):
        entry = search.units[u]
        unit = entry if entry >= 0 else ~entry
        slope = 1.0
        if search.sloped[below] == 1:
            slope = search.slopes[1 if entry >= 0 else 0, search.unit_starts[below] + unit]
        add_sparse_column(search, layer, target, source, unit, slope)
    return Status.DONE


@step
def copy_map_by_column(
    search: SearchMemory, layer: int, source: int, target: int, below: int, unit: int
) -> int:
    """Copy the map of a sparse layer, adding a unit of the map in `below` times its slope on the right."""
    n = search.widths[layer]
    if target != source:
        for i in range(search.dimension + 2):
            kept, copy = search.slots[source, i], search.slots[target, i]
            for k in range(n):
                copy[k] = kept[k]
    slope = search.slopes[1, search.unit_starts[layer - 1] + unit]
    add_sparse_column(search, layer, target, below, unit, slope)
    return Status.DONE


@inlined
def bounding_box(search: SearchMemory, first: int, count: int) -> tuple[float, float]:
    """Put the box around `count` vertices of `ring` in `box` (middle, half-widths).

    Returns the largest |coordinate| and the largest position error of these vertices. The
    half-widths are enlarged by a relative 1e-15, and by SMALLEST where that underflows.
    """
    extent = 0.0
    radius = 0.0
    for v in range(count):
        radius = max(radius, search.radii[search.ring[first + v]])
    for i in range(search.dimension):
        low = search.points[i, search.ring[first]]
        high = low
        for v in range(1, count):
            value = search.points[i, search.ring[first + v]]
            low = min(low, value)
            high = max(high, value)
        size = max(abs(low), abs(high))
        extent = max(extent, size)
        search.box[0, i] = 0.5 * (low + high)
        search.box[1, i] = 0.5 * (high - low) + 1e-15 * size + SMALLEST
    return extent, radius


@inlined
def list_open(search: SearchMemory, n: int) -> int:
    """List in `units` those of n units that `screen_layer` leaves open; returns how many."""
    count = 0
    for w in range((n + 63) >> 6):
        rest = search.masks[1, w]
        while rest != ZERO:
            search.units[count] = (w << 6) + trailing_zeros(rest)
            rest &= rest - ONE
            count += 1
    return count


@inlined
def is_positive(search: SearchMemory, unit: int) -> bool:
    """Whether row 0 of `masks` says that a unit of the layer in hand is positive."""
    return (search.masks[0, unit >> 6] >> np.uint64(unit & 63)) & ONE != ZERO


@inlined
def set_decided(search: SearchMemory, unit: int, positive: bool) -> None:
    """Record in the rows 0 and 1 of `masks` that a unit of the layer in hand is positive, or is not."""
    w, bit = unit >> 6, ONE << np.uint64(unit & 63)
    search.masks[0, w] = search.masks[0, w] | bit if positive else search.masks[0, w] & ~bit
    search.masks[1, w] &= ~bit


@step
def settle_linear(search: SearchMemory, layer: int, _: int) -> int:
    """Call the units of a layer whose slopes are equal active, as if they were above 0: they never cut."""
    start = search.unit_starts[layer]
    for k in range(search.widths[layer]):
        if search.slopes[0, start + k] == search.slopes[1, start + k]:
            set_decided(search, k, True)
    return Status.DONE


@step
def list_left(search: SearchMemory, layer: int, count: int) -> int:
    """List in `units`, after `count` entries, the units that are decided left and have a slope there."""
    start = search.unit_starts[layer]
    for k in range(search.widths[layer]):
        other = (search.masks[0, k >> 6] | search.masks[1, k >> 6]) >> np.uint64(k & 63)
        search.units[count] = ~k
        count += 1 if other & ONE == ZERO and search.slopes[0, start + k] != 0.0 else 0
    return count


@part
def add_event(search: SearchMemory, top: int, hyperplane: int, unit: int, leads: bool) -> None:
    """Record that an active unit vanishes on the facet of a node on `hyperplane`, or that a pair ties there.

    The pair is `unit` then; `leads` says that its earlier candidate is the larger one elsewhere on the node.
    """
    node = search.nodes[top]
    at, n, start = node.event_top, search.widths[node.layer], search.unit_starts[node.layer]
    search.event_planes[at] = hyperplane
    search.event_rows[at, 0] = -1
    if unit >= n:
        pair = search.pair_starts[node.layer] + unit - n
        unit = search.pair_rows[0 if leads else 1, pair]
        search.event_rows[at, 0] = start + unit
        search.event_rows[at, 1] = start + search.pair_rows[1 if leads else 0, pair]
    search.event_keys[at] = search.unit_keys[start + unit]
    search.event_before[at] = node.last_event
    node.last_event = at
    node.event_top = at + 1


@part
def decide_layer(search: SearchMemory, top: int) -> int:
    """Sort the units of a node's layer; returns how many reach the next one on all of it (in `units`).

    These are the active ones and, as `~unit`, those left of their breakpoints with a slope there. Most units
    have one sign in the whole box around the polytope, which one pass over the layer finds; the others are
    evaluated at the vertices. A unit with both signs becomes a candidate. A unit that only touches the
    polytope is decided too: the active ones are listed in `work[1:]`, their number is in `work[0]`, their
    signs are in `values`, and the caller finds the facets on which they vanish. -1: exact signs are asked
    for, and the caller restores the node.
    """
    node = search.nodes[top]
    layer = node.layer
    n = search.widths[layer]
    every = n + search.maxed[layer]
    cuts, touching = 0, 0
    search.work[0] = 0
    node.n_candidates = 0
    extent, radius = bounding_box(search, node.first_vertex, node.n_vertices)
    slot = node.map_slot
    if needs_map(search, layer + 1):
        pass_on(search, layer, slot)
    if search.relus[layer] == 0:
        for k in range(n):
            search.units[k] = k
        return n
    if every > n:
        search.set_pairs(layer, slot)
    screen_layer(search, layer, slot, extent, radius)
    search.ask_layer = layer
    search.ask_facets = node.first_facet
    if search.cutting[layer] < n:
        search.settle_linear(layer, 0)
    if every > n:
        search.start_max_units(top, 0)
    clear_signs(search, top)
    node.n_plain = 0
    for i in range(list_open(search, every)):
        k = search.units[i]
        set_bound(search, slot, k, extent)
        seen = decide_vertex_signs(search, top, cuts, k)
        if seen & 3 == 3:
            search.candidate_units[node.first_unit + cuts] = k
            cuts += 1
            node.n_plain += 1 if k < n else 0
            continue
        # a unit that is 0 everywhere is inactive; of candidates that tie everywhere the first one wins
        set_decided(search, k, seen & 3 == 2 or (k >= n and seen == 4))
        if seen == 4 and k >= n:
            add_event(search, top, ON_ALL, k, True)
        elif seen == 6 or (seen == 5 and k >= n):
            touching += 1
            search.work[touching] = k
    if every > n:
        search.settle_max_units(top, 0)
    if search.asked > search.answered:
        return -1
    active = list_active(search, top, n)
    if search.sloped[layer] == 1:
        active = search.list_left(layer, active)
    search.decisions += (search.cutting[layer] + every - n) * node.n_vertices
    search.work[0] = touching
    node.n_candidates = cuts
    for w in range(search.candidates.shape[1]):
        left = min(max(cuts - 64 * w, 0), 64)
        if left == 64:
            search.candidates[top, w] = ~ZERO
        else:
            search.candidates[top, w] = (ONE << np.uint64(left)) - ONE
    if every > n:
        search.drop_pairs(top, 0)
    return active


@inlined
def list_active(search: SearchMemory, top: int, n: int) -> int:
    """List in `units` those of a layer's n units that are positive on a node, and set its pattern and key."""
    layer = search.nodes[top].layer
    first, start = search.word_starts[layer], search.unit_starts[layer]
    listed = search.mode == Mode.COLLECT
    count = 0
    for w in range((n + 63) >> 6):
        rest = search.masks[0, w] & (~ZERO >> np.uint64(64 - min(64, n - 64 * w)))
        search.patterns[top, first + w] = rest
        while rest != ZERO:
            k = (w << 6) + trailing_zeros(rest)
            rest &= rest - ONE
            search.units[count] = k
            count += 1
            if listed:  # keys are those of facets
                search.keys[top] ^= search.unit_keys[start + k]
    return count


@inlined
def needs_map(search: SearchMemory, layer: int) -> bool:
    """Whether the map of `layer` will be read: a hidden layer's is always, the output's on request."""
    return layer < search.n_layers or search.want_map == 1


@inlined
def is_rough(search: SearchMemory, layer: int) -> bool:
    """Whether the map of `layer` is kept in single precision until a node enters it."""
    return search.rough == 1 and layer == search.n_layers - 1


@step
def list_fallen(search: SearchMemory, top: int, count: int) -> int:
    """List in `units`, after `count` entries, candidates decided left in a split that have a slope there.

    They are those in row 4 of `masks`.
    """
    node = search.nodes[top]
    start = search.unit_starts[node.layer]
    for w in range((node.n_candidates + 63) >> 6):
        fallen = search.masks[4, w]
        while fallen != ZERO:
            unit = search.candidate_units[node.first_unit + (w << 6) + trailing_zeros(fallen)]
            fallen &= fallen - ONE
            search.units[count] = ~unit
            count += 1 if search.slopes[0, start + unit] != 0.0 else 0
    return count


@inlined
def settle(search: SearchMemory, top: int) -> int:
    """Decide the candidates that no longer cut a child; returns how many of them reach the next layer.

    They are listed in `units`, as in `decide_layer`. On return, row 2 of `masks` has those that became active
    and vanish at some vertex.
    """
    node = search.nodes[top]
    words = (node.n_candidates + 63) >> 6
    layer = node.layer
    maxed = search.maxed[layer] > 0
    for w in range(words):
        plus = ZERO
        minus = ZERO
        signed = ~ZERO
        for v in range(node.n_vertices):
            vertex = search.ring[node.first_vertex + v]
            p = search.positive[vertex, w]
            q = search.negative[vertex, w]
            plus |= p
            minus |= q
            signed &= p | q
        search.masks[0, w] = plus
        search.masks[1, w] = minus
        search.masks[2, w] = ~signed
    count = 0
    for w in range(words):
        before = search.candidates[top, w]
        cut = before & search.masks[0, w] & search.masks[1, w]
        risen = before & ~cut & search.masks[0, w]
        fallen = before & ~cut & ~search.masks[0, w]
        search.candidates[top, w] = cut
        if maxed:
            plain = plain_bits(search, top, w)
            search.masks[2, w] &= risen | (fallen & ~plain)
            search.masks[3, w] = (risen | fallen) & ~plain
            risen &= plain
            fallen &= plain
        else:
            search.masks[2, w] &= risen
        search.masks[4, w] = fallen
        while risen != ZERO:
            c = (w << 6) + trailing_zeros(risen)
            risen &= risen - ONE
            unit = search.candidate_units[node.first_unit + c]
            set_active(search, top, layer, unit)
            search.units[count] = unit
            count += 1
    if search.sloped[layer] == 1:
        count = search.list_fallen(top, count)
    return search.settle_pairs(top, count) if maxed else count
