"""Writing finished cells: packed patterns, facet keys, the output's Jacobian.

What depends on the polytope's representation (volumes, facets) is in `polygons` and `polytopes`.
"""

import numpy as np

from regions.kernels.memory.bits import ONE, ZERO
from regions.kernels.memory.compiling import inlined, part
from regions.kernels.memory.layouts import SearchMemory
from regions.kernels.vertices.layer_maps import ON_ALL


@part
def has_bit(search: SearchMemory, top: int, unit: int) -> bool:
    """Whether flat unit number `unit` is active in a node's pattern."""
    layer = 0
    while unit >= search.unit_starts[layer + 1]:
        layer += 1
    k = unit - search.unit_starts[layer]
    word = search.patterns[top, search.word_starts[layer] + (k >> 6)]
    return (word >> np.uint64(k & 63)) & ONE != ZERO


@part
def key_with_ties(search: SearchMemory, top: int, hyperplane: int) -> tuple[np.uint64, int]:
    """The key of a facet where some units are max units, and the flat number that the facet goes by.

    Of a max unit whose candidates tie on the facet the winner is left out, once, whoever it ties with. If the
    tie made the facet, all candidates that tie there and could have won are in the key instead: they are the
    same from both sides, for both were cut from one node.
    """
    key = search.keys[top]
    label = search.labels[hyperplane]
    own = -1
    if label >= search.unit_starts[search.n_layers]:
        pair = label - search.unit_starts[search.n_layers]
        start = search.pair_rows[2, pair]
        own = start + search.rivals[0, start + search.pair_rows[0, pair]]
        for k in range(2):
            row = start + search.pair_rows[k, pair]
            key ^= search.facet_keys[row]
        for row in range(own, own + search.rivals[1, own]):
            key ^= search.unit_keys[row] if has_bit(search, top, row) else ZERO
        label = own
    else:
        key ^= search.facet_keys[label] ^ (search.unit_keys[label] if has_bit(search, top, label) else ZERO)
    event = search.nodes[top].last_event
    while event >= 0:
        row = search.event_rows[event, 0]
        if search.event_planes[event] == hyperplane and row < 0:
            key ^= search.event_keys[event]
        elif ties_there(search, event, hyperplane) and has_bit(search, top, row):
            if row >= own >= 0 and row < own + search.rivals[1, own]:
                if search.event_planes[event] == hyperplane:
                    key ^= search.facet_keys[search.event_rows[event, 1]]
            elif not tied_before(search, top, event, hyperplane):
                key ^= search.event_keys[event]
        event = search.event_before[event]
    return key, label


@inlined
def ties_there(search: SearchMemory, event: int, hyperplane: int) -> bool:
    """Whether an event says that two candidates tie on a facet, or everywhere."""
    plane = search.event_planes[event]
    return search.event_rows[event, 0] >= 0 and plane in (hyperplane, ON_ALL)


@part
def tied_before(search: SearchMemory, top: int, event: int, hyperplane: int) -> bool:
    """Whether a later event of a node says the same of a candidate and a facet as this one."""
    row = search.event_rows[event, 0]
    other = search.nodes[top].last_event
    while other != event:
        if search.event_rows[other, 0] == row and ties_there(search, other, hyperplane):
            return True
        other = search.event_before[other]
    return False


@part
def add_half(search: SearchMemory, top: int, hyperplane: int, measure: float) -> None:
    """Append one half-facet of a node to the output.

    Its key is the same from both sides: the key of the cell's pattern with the units that vanish on
    the facet taken as inactive, combined with the unit whose split made the facet.
    """
    at = search.out_halves
    label = search.labels[hyperplane]
    key = search.keys[top]
    if label >= 0 and search.pair_rows.shape[1] > 0:
        key, label = key_with_ties(search, top, hyperplane)
    elif label >= 0:
        if has_bit(search, top, label):
            key ^= search.unit_keys[label]
        event = search.nodes[top].last_event
        while event >= 0:
            if search.event_planes[event] == hyperplane:
                key ^= search.event_keys[event]
            event = search.event_before[event]
        key ^= search.facet_keys[label]
    search.out_label[at] = label
    search.out_match[at] = key
    search.out_measure[at] = measure
    search.out_halves = at + 1


@part
def add_ring(search: SearchMemory, top: int) -> None:
    """Append all half-facets of a polygon, but not their lengths, with the keys of `add_half`."""
    n_layers = search.n_layers
    start, count = search.nodes[top].first_vertex, search.nodes[top].n_vertices
    latest = search.nodes[top].last_event
    whole = search.keys[top]
    at = search.out_halves
    search.out_halves = at + count
    for i in range(count):
        hyperplane = search.edges[start + i]
        label = search.labels[hyperplane]
        key = whole
        if label >= 0 and search.pair_rows.shape[1] > 0:
            key, label = key_with_ties(search, top, hyperplane)
        elif label >= 0:
            layer = 0
            for below in range(1, n_layers):
                layer += 1 if label >= search.unit_starts[below] else 0
            unit = label - search.unit_starts[layer]
            word = search.patterns[top, search.word_starts[layer] + (unit >> 6)]
            unit_key = search.unit_keys[label]
            key ^= search.facet_keys[label] ^ (
                unit_key if (word >> np.uint64(unit & 63)) & ONE != ZERO else ZERO
            )
            event = latest
            while event >= 0:
                if search.event_planes[event] == hyperplane:
                    key ^= search.event_keys[event]
                event = search.event_before[event]
        search.out_label[at + i] = label
        search.out_match[at + i] = key


@part
def write_pattern(search: SearchMemory, top: int) -> None:
    """Write a node's pattern, packed over the layers without gaps."""
    at = search.out_cells
    for w in range(search.out_pattern.shape[1]):
        search.out_pattern[at, w] = ZERO
    for layer in range(search.n_layers):
        first = search.word_starts[layer]
        for w in range(first, search.word_starts[layer + 1]):
            bit = search.unit_starts[layer] + 64 * (w - first)
            shift = np.uint64(bit & 63)
            word = search.patterns[top, w]
            search.out_pattern[at, bit >> 6] |= word << shift
            if shift != ZERO:
                high = word >> (np.uint64(64) - shift)
                if high != ZERO:
                    search.out_pattern[at, (bit >> 6) + 1] |= high


@part
def write_jacobian(search: SearchMemory, top: int) -> None:
    """Write the output's Jacobian on a cell, row by row."""
    if search.want_map == 0:
        return
    at = search.out_cells
    d = search.dimension
    rows = search.slots[search.nodes[top].next_slot]
    for k in range(search.widths[search.n_layers]):
        for i in range(d):
            search.out_jacobian[at, k * d + i] = rows[i, k]
