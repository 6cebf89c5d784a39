"""Affine maps and unit states on the way down the splitting tree, whatever the polytope is made of.

`add_units` keeps the next layer's map; `decide_layer` sorts a layer's units into active ones, inactive ones
and candidates, which cut the polytope, and `settle` sorts the candidates again after a split.
"""

import numpy as np

from regions.kernels.memory.bits import ONE, SMALLEST, ZERO, fma, trailing_zeros
from regions.kernels.memory.compiling import inlined, part, step
from regions.kernels.memory.layouts import SearchMemory
from regions.kernels.memory.states import Status
from regions.kernels.vertices.max_winners import plain_bits, set_active
from regions.kernels.vertices.predicates import pass_on, screen_layer, set_bound
from regions.kernels.vertices.vertex_signs import clear_signs, decide_vertex_signs
from regions.kernels.vertices.weight_columns import add_sparse_column

ON_ALL = -1  # in place of a hyperplane: candidates tie on the whole node


@part
def start_map(search: SearchMemory, layer: int, slot: int) -> None:
    """Set a slot to the map of `layer` when no unit below is active: its biases."""
    n = search.widths[layer]
    d = search.dimension
    rows = search.slots[slot]
    biases = search.biases[search.bias_starts[layer] : search.bias_starts[layer] + n]
    gamma = search.roundings[layer]
    lost = search.underflow
    for i in range(d):
        row = rows[i]
        for k in range(n):
            row[k] = 0.0
    constant = rows[d]
    error = rows[d + 1]
    for k in range(n):
        constant[k] = biases[k]
        error[k] = gamma * abs(biases[k]) + lost


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
    n = search.widths[layer]
    d = search.dimension
    at = search.weight_starts[layer] + unit * n
    column = search.weights[at : at + n]
    for i in range(d + 1):
        factor = slope * search.slots[below, i, unit]
        old = search.slots[source, i]
        new = search.slots[target, i]
        for k in range(n):
            new[k] = fma(column[k], factor, old[k])
    factor = abs(slope) * search.slots[below, d + 2, unit]
    old = search.slots[source, d + 1]
    new = search.slots[target, d + 1]
    for k in range(n):
        new[k] = fma(abs(column[k]), factor, old[k])


@part
def add_active(search: SearchMemory, layer: int, source: int, target: int, count: int) -> None:
    """Add `count` units of slope 1 (listed in `units`) of the map in `source` to the map of `layer`.

    `target[i, k] += sum_j W[k, j] source[i, j]`, four units at a time so that each pass over the
    target row serves four products; the error row takes `|W[k, j]|` times what a unit passes on.
    """
    d = search.dimension
    n = search.widths[layer]
    start = search.weight_starts[layer]
    low = search.slots[source]
    high = search.slots[target]
    done = 0
    if n < 4:
        for k in range(n):
            for i in range(d + 1):
                total = high[i, k]
                for u in range(count):
                    total = fma(
                        search.weights[start + search.units[u] * n + k], low[i, search.units[u]], total
                    )
                high[i, k] = total
            total = high[d + 1, k]
            for u in range(count):
                total = fma(
                    abs(search.weights[start + search.units[u] * n + k]), low[d + 2, search.units[u]], total
                )
            high[d + 1, k] = total
        return
    while done + 4 <= count:
        j0, j1, j2, j3 = (
            search.units[done],
            search.units[done + 1],
            search.units[done + 2],
            search.units[done + 3],
        )
        w0 = search.weights[start + j0 * n : start + j0 * n + n]
        w1 = search.weights[start + j1 * n : start + j1 * n + n]
        w2 = search.weights[start + j2 * n : start + j2 * n + n]
        w3 = search.weights[start + j3 * n : start + j3 * n + n]
        for i in range(d + 1):
            m0, m1, m2, m3 = low[i, j0], low[i, j1], low[i, j2], low[i, j3]
            row = high[i]
            for k in range(n):
                row[k] = fma(w3[k], m3, fma(w2[k], m2, fma(w1[k], m1, fma(w0[k], m0, row[k]))))
        m0, m1, m2, m3 = low[d + 2, j0], low[d + 2, j1], low[d + 2, j2], low[d + 2, j3]
        row = high[d + 1]
        for k in range(n):
            row[k] = fma(
                abs(w3[k]), m3, fma(abs(w2[k]), m2, fma(abs(w1[k]), m1, fma(abs(w0[k]), m0, row[k])))
            )
        done += 4
    while done < count:
        j0 = search.units[done]
        w0 = search.weights[start + j0 * n : start + j0 * n + n]
        for i in range(d + 1):
            m0 = low[i, j0]
            row = high[i]
            for k in range(n):
                row[k] = fma(w0[k], m0, row[k])
        m0 = low[d + 2, j0]
        row = high[d + 1]
        for k in range(n):
            row[k] = fma(abs(w0[k]), m0, row[k])
        done += 1


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
def list_undecided(search: SearchMemory, n: int) -> int:
    """List in `units` those of n units that `screen_layer` leaves open; returns how many."""
    count = 0
    for k in range(n):
        search.units[count] = k
        count += 1 if search.middles[k] == 0.0 else 0
    return count


@part
def settle_linear(search: SearchMemory, layer: int) -> None:
    """Call the units of a layer whose slopes are equal active, as if their values were 1: they never cut."""
    start = search.unit_starts[layer]
    for k in range(search.widths[layer]):
        if search.slopes[0, start + k] == search.slopes[1, start + k]:
            search.middles[k] = 1.0


@part
def list_left(search: SearchMemory, layer: int, count: int) -> int:
    """List in `units`, after `count` entries, the units that are decided left and have a slope there."""
    start = search.unit_starts[layer]
    for k in range(search.widths[layer]):
        search.units[count] = ~k
        count += 1 if search.middles[k] < 0.0 and search.slopes[0, start + k] != 0.0 else 0
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
    active, cuts, touching = 0, 0, 0
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
        settle_linear(search, layer)
    if every > n:
        search.start_max_units(top, 0)
    clear_signs(search, top)
    key = search.keys[top]
    first = search.word_starts[layer]
    start = search.unit_starts[layer]
    candidates = node.first_unit
    word = ZERO
    node.n_plain = 0
    for i in range(list_undecided(search, every)):
        k = search.units[i]
        set_bound(search, slot, k, extent)
        seen = decide_vertex_signs(search, top, cuts, k)
        # a unit that is 0 everywhere is inactive; of candidates that tie everywhere the first one wins
        zero = 1.0 if k >= n and seen == 4 else -1.0
        search.middles[k] = 0.0 if seen & 3 == 3 else (1.0 if seen & 3 == 2 else zero)
        if seen & 3 == 3:
            search.candidate_units[candidates + cuts] = k
            cuts += 1
            node.n_plain += 1 if k < n else 0
        elif seen == 4 and k >= n:
            add_event(search, top, ON_ALL, k, True)
        elif seen == 6 or (seen == 5 and k >= n):
            touching += 1
            search.work[touching] = k
    if every > n:
        search.settle_max_units(top, 0)
    for k in range(n):
        # without a branch, which could not be predicted: half of the units are on
        on = search.middles[k] > 0.0
        search.units[active] = k
        active += 1 if on else 0
        word |= ONE << np.uint64(k & 63) if on else ZERO
        unit_key = search.unit_keys[start + k]
        key ^= unit_key if on else ZERO
        if k & 63 == 63 or k == n - 1:
            search.patterns[top, first + (k >> 6)] = word
            word = ZERO
    if search.asked > search.answered:
        return -1
    if search.sloped[layer] == 1:
        active = list_left(search, layer, active)
    search.decisions += (search.cutting[layer] + every - n) * node.n_vertices
    search.keys[top] = key
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
def needs_map(search: SearchMemory, layer: int) -> bool:
    """Whether the map of `layer` will be read: a hidden layer's is always, the output's on request."""
    return layer < search.n_layers or search.want_map == 1


@part
def list_fallen(search: SearchMemory, top: int, word: int, fallen: np.uint64, count: int) -> int:
    """List in `units`, after `count` entries, candidates decided left that have a slope there."""
    node = search.nodes[top]
    start = search.unit_starts[node.layer]
    while fallen != ZERO:
        unit = search.candidate_units[node.first_unit + (word << 6) + trailing_zeros(fallen)]
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
        while risen != ZERO:
            c = (w << 6) + trailing_zeros(risen)
            risen &= risen - ONE
            unit = search.candidate_units[node.first_unit + c]
            set_active(search, top, layer, unit)
            search.units[count] = unit
            count += 1
        if search.sloped[layer] == 1:
            count = list_fallen(search, top, w, fallen, count)
    return search.settle_pairs(top, count) if maxed else count
