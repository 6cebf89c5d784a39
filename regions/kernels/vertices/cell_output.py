"""Writing finished cells: packed patterns, facet keys, the output's Jacobian.

What depends on the polytope's representation (volumes, facets) is in `polygons` and `polytopes`.
"""

import numpy as np

from regions.kernels.memory.bits import ONE, ZERO
from regions.kernels.memory.compiling import part
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

    In the place of a winner stand all candidates that tie with it on the facet; of the max unit whose tie
    made the facet, by their other keys. They are the same from both sides, whichever wins there. An event
    says of two candidates that they tie, and one that is out was led by one that ties too: so the events
    connect them all.
    """
    key = search.keys[top]
    label = search.labels[hyperplane]
    own, rivals = -1, 0
    first, second = -1, -1
    if label >= search.unit_starts[search.n_layers]:
        pair = label - search.unit_starts[search.n_layers]
        start = search.pair_rows[2, pair]
        first, second = start + search.pair_rows[0, pair], start + search.pair_rows[1, pair]
        own, rivals = start + search.rivals[0, first], search.rivals[1, first]
        for row in range(own, own + rivals):
            key ^= search.unit_keys[row] ^ search.facet_keys[row] if has_bit(search, top, row) else ZERO
        label = own
    else:
        key ^= search.facet_keys[label] ^ (search.unit_keys[label] if has_bit(search, top, label) else ZERO)
    latest = search.nodes[top].last_event
    event = latest
    while event >= 0:
        if search.event_planes[event] == hyperplane and search.event_rows[event, 0] < 0:
            key ^= search.event_keys[event]
        event = search.event_before[event]
    grown = True
    while grown:
        row = joins_tie(search, top, first, second) if own >= 0 else -1
        event = latest
        while event >= 0 and row < 0:
            if search.event_planes[event] in (hyperplane, ON_ALL) and search.event_rows[event, 0] >= 0:
                row = joins_tie(search, top, search.event_rows[event, 0], search.event_rows[event, 1])
            event = search.event_before[event]
        grown = row >= 0
        if grown:
            search.tied[row] = 1
            key ^= search.facet_keys[row] if own <= row < own + rivals else search.unit_keys[row]
    forget_ties(search, latest)
    if own >= 0:
        search.tied[first], search.tied[second] = 0, 0
    return key, label


@part
def joins_tie(search: SearchMemory, top: int, a: int, b: int) -> int:
    """Which of two candidates that tie is new among those that tie with a winner; -1 if neither is."""
    with_a = search.tied[a] == 1 or has_bit(search, top, a)
    with_b = search.tied[b] == 1 or has_bit(search, top, b)
    if with_a == with_b:
        return -1
    return b if with_a else a


@part
def forget_ties(search: SearchMemory, event: int) -> None:
    """Take the marks off the candidates of an event and of those before it."""
    while event >= 0:
        if search.event_rows[event, 0] >= 0:
            search.tied[search.event_rows[event, 0]] = 0
            search.tied[search.event_rows[event, 1]] = 0
        event = search.event_before[event]


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
