"""Nodes of the splitting tree: what splitting one, entering a layer and leaving a cell have in common.

How polytopes are cut, copied and measured is left to `polygons` and `polytopes`.
"""

from collections.abc import Callable

import numpy as np

from regions.kernels.memory.bits import ONE, ZERO, float_bits, popcount, trailing_zeros
from regions.kernels.memory.compiling import inlined, step
from regions.kernels.memory.layouts import SearchMemory
from regions.kernels.memory.states import Mode, Status
from regions.kernels.vertices.error_bounds import set_row
from regions.kernels.vertices.layer_maps import (
    copy_map_with,
    decide_layer,
    duplicate_map,
    is_rough,
    needs_map,
    settle,
    start_map,
)
from regions.kernels.vertices.max_winners import (
    count_alive,
    first_of_pair,
    is_alive,
    lowest_alive,
    pair_of,
    rule_out,
    set_active,
    size_of_pair,
)


@inlined
def wanted_children(search: SearchMemory, top: int, unit: int) -> int:
    """Return which parts of a split to follow: 1 the positive, 2 the negative, 3 both."""
    node = search.nodes[top]
    if unit >= search.widths[node.layer]:  # a pair: one of its candidates is tried
        pair = search.pair_starts[node.layer] + unit - search.widths[node.layer]
        return 1 if is_alive(search, top, search.pair_rows[0, pair]) else 2
    if search.guided == 1:
        word = search.guide[search.word_starts[node.layer] + (unit >> 6)]
        return 1 if (word >> np.uint64(unit & 63)) & ONE != ZERO else 2
    if search.started == 0:
        return 1 if search.trail[node.depth] == 0 else 2
    return 3


@inlined
def copy_node(search: SearchMemory, top: int, upper: int) -> None:
    """Copy a node with its pattern to a higher place on the stack."""
    search.nodes[upper] = search.nodes[top]
    for w in range(search.candidates.shape[1]):
        search.candidates[upper, w] = search.candidates[top, w]
    for w in range(search.patterns.shape[1]):
        search.patterns[upper, w] = search.patterns[top, w]
    for w in range(search.alive.shape[1]):
        search.alive[upper, w] = search.alive[top, w]
    search.keys[upper] = search.keys[top]


@inlined
def begin_split(search: SearchMemory, top: int, c: int) -> None:
    """Number the hyperplane of candidate c and take the candidate off the node."""
    node = search.nodes[top]
    unit = search.candidate_units[node.first_unit + c]
    line = node.hyperplanes
    pair = pair_of(search, top, c)
    search.labels[line] = (
        search.unit_starts[node.layer] + unit if pair < 0 else search.unit_starts[search.n_layers] + pair
    )
    set_row(search, node.map_slot, unit, line)
    search.ask_layer = node.layer
    search.ask_facets = node.first_facet
    search.candidates[top, c >> 6] &= ~(ONE << np.uint64(c & 63))


@inlined
def undo_split(search: SearchMemory, top: int, c: int) -> None:
    """Give a node back the candidate that `begin_split` took off."""
    search.candidates[top, c >> 6] |= ONE << np.uint64(c & 63)


@inlined
def mark_way(search: SearchMemory, top: int) -> None:
    """Record which part of its parent a node is that is about to be split."""
    node = search.nodes[top]
    if node.depth > 0:
        search.trail[node.depth - 1] = node.branch


@inlined
def count_split(search: SearchMemory, top: int, n_new: int) -> None:
    """Record that a node was cut, and that the cut made `n_new` vertices."""
    node = search.nodes[top]
    search.answered = 0
    search.asked = 0
    search.splits += 1
    for w in range(search.candidates.shape[1]):
        search.decisions += n_new * popcount(search.candidates[top, w])
    mark_way(search, top)
    node.vertex_top += n_new
    node.hyperplanes += 1


@inlined
def open_children(search: SearchMemory, top: int, unit: int, wanted: int) -> int:
    """Make room for the children of a node that was cut; returns the place of the positive one.

    Each child has a map of the next layer, which includes the unit times its slope on that side; the negative
    one keeps the node's own, and a ReLU adds nothing to it.
    """
    node = search.nodes[top]
    following = node.layer + 1
    upper = top
    if wanted == 3:
        upper = top + 1
        copy_node(search, top, upper)
        if needs_map(search, following):
            search.nodes[upper].next_slot = node.next_slot + 1
    if needs_map(search, following):
        slot, below, flat = node.next_slot, node.map_slot, search.unit_starts[node.layer] + unit
        if wanted & 1:
            right, target = search.slopes[1, flat], search.nodes[upper].next_slot
            if is_rough(search, following):
                search.units[0] = unit
                search.add_rough(slot, target, below, 1)
            elif search.sparse[following] == 1:
                search.copy_map(following, slot, target, below, unit)
            else:
                copy_map_with(search, following, slot, target, below, unit, right)
        if wanted & 2 and search.slopes[0, flat] != 0.0:
            search.units[0] = ~unit
            search.add_units(following, below, slot, 1)
    return upper


@inlined
def start_child(search: SearchMemory, at: int, first: int, count: int, event_top: int) -> None:
    """Give a child its vertices, `count` entries of the ring from `first` on."""
    child = search.nodes[at]
    child.event_top = event_top
    child.first_vertex = first
    child.n_vertices = count
    child.ring_top = first + count


@inlined
def go_deeper(search: SearchMemory, at: int, positive: bool) -> None:
    """Count the split that made a child, and which side of it the child is on."""
    child = search.nodes[at]
    child.branch = 0 if positive else 1
    child.depth += 1


@inlined
def settle_child(search: SearchMemory, at: int, unit: int) -> int:
    """Decide the candidates that no longer cut a child; returns how many reach the next layer (in `units`).

    `unit` is the unit that the cut made active, -1 in the negative child. On return, row 2 of `masks`
    has those of the active ones that vanish at some vertex.
    """
    if unit >= 0:
        set_active(search, at, search.nodes[at].layer, unit)
    return settle(search, at)


@inlined
def extend_map(search: SearchMemory, at: int, count: int) -> None:
    """Add `count` units (in `units`) that were decided to the next layer's map of a child."""
    child = search.nodes[at]
    if count > 0 and is_rough(search, child.layer + 1):
        search.add_rough(child.next_slot, child.next_slot, child.map_slot, count)
    elif count > 0 and needs_map(search, child.layer + 1):
        search.add_units(child.layer + 1, child.map_slot, child.next_slot, count)


@step
def try_candidate(search: SearchMemory, top: int, c: int) -> int:
    """Make two nodes of one, both of its whole polytope: the next candidate of a max unit wins, or does not.

    The unit is that of pair c. The first node is then cut to where its candidate leads the others; in the
    second one the next candidate is tried, and the last one without a choice.
    """
    node = search.nodes[top]
    following = node.layer + 1
    pair = pair_of(search, top, c)
    first, size = first_of_pair(search, pair), size_of_pair(search, pair)
    row = lowest_alive(search, top, first, size)
    wanted = wanted_children(search, top, row)
    search.splits += 1
    mark_way(search, top)
    upper = top
    if wanted == 3:
        upper = top + 1
        copy_node(search, top, upper)
        if needs_map(search, following):
            duplicate_map(search, following, node.next_slot, node.next_slot + 1)
            search.nodes[upper].next_slot = node.next_slot + 1
    if wanted & 2:
        rule_out(search, top, row)
        go_deeper(search, top, False)
        if count_alive(search, top, first, size) == 1:
            extend_map(search, top, search.finish_max_unit(top, c, 0))
    if wanted & 1:
        for other in range(first, first + size):
            if other != row:
                rule_out(search, upper, other)
        go_deeper(search, upper, True)
        extend_map(search, upper, search.finish_max_unit(upper, c, 0))
    search.n_nodes = upper + 1
    return Status.DONE


@inlined
def save_node(search: SearchMemory, top: int) -> int:
    """Keep a copy of a node at the end of the stack, for a step that may have to be taken back."""
    spare = search.nodes.shape[0] - 1
    search.nodes[spare] = search.nodes[top]
    return spare


@inlined
def advance_layer(search: SearchMemory, top: int) -> None:
    """Turn a node to its next layer; the candidates of the layer before stay below the new ones."""
    node = search.nodes[top]
    node.first_unit += node.n_candidates
    node.layer += 1
    node.map_slot = node.next_slot


@inlined
def open_layer(search: SearchMemory, top: int, active: int) -> None:
    """Begin the next layer's map with `active` units (in `units`) that are decided on a whole node."""
    search.answered = 0
    search.asked = 0
    node = search.nodes[top]
    following = node.layer + 1
    if needs_map(search, following):
        node.next_slot += 1
        if is_rough(search, following):
            search.start_rough(top, active)
            return
        start_map(search, following, node.map_slot, node.next_slot)
        search.add_units(following, node.map_slot, node.next_slot, active)


@inlined
def add_volume(search: SearchMemory, volume: float) -> None:
    """Add to the sum of the cells' volumes, exactly: so no order and no cutting up changes a bit of it.

    The sum has digits of 32 bits in words of 64, whose carries are passed on once in 2**30 additions
    (Kulisch's long accumulator).
    """
    bits = float_bits(volume)
    exponent = (bits >> 52) & 2047
    if exponent == 2047:
        search.volumes_lost += 1
        return
    if search.volumes_added == 1 << 30:
        for k in range(search.volume_sum.shape[0] - 1):
            search.volume_sum[k + 1] += search.volume_sum[k] >> 32
            search.volume_sum[k] &= 0xFFFFFFFF
        search.volumes_added = 0
    search.volumes_added += 1
    mantissa = bits & 0xFFFFFFFFFFFFF
    if exponent > 0:
        mantissa |= 1 << 52
        exponent -= 1
    limb, shift = exponent >> 5, exponent & 31
    low = (mantissa & 0xFFFFFFFF) << shift
    high = ((mantissa >> 32) << shift) + (low >> 32)
    sign = 1 if bits >= 0 else -1
    search.volume_sum[limb] += sign * (low & 0xFFFFFFFF)
    search.volume_sum[limb + 1] += sign * (high & 0xFFFFFFFF)
    search.volume_sum[limb + 2] += sign * (high >> 32)


@inlined
def leave_cell(search: SearchMemory, top: int, cells: int) -> None:
    """Count a finished node as `cells` cells, and take it off the stack."""
    node = search.nodes[top]
    search.cells += cells
    if node.depth <= 40:
        search.done_parts += 1 << (40 - node.depth)
    search.n_nodes = top


@inlined
def make_children(search: SearchMemory, top: int, c: int, n_new: int, n_minus: int, n_plus: int) -> None:
    """Replace a node that was cut by candidate c by its parts.

    `n_new` vertices were made; `n_minus` and `n_plus` are the entries of the two parts' lists, the negative
    one first. A pair of candidates of a max unit has one part only, where the one that is tried leads, and
    that is no choice.
    """
    unit = search.candidate_units[search.nodes[top].first_unit + c]
    is_pair = pair_of(search, top, c) >= 0
    wanted = wanted_children(search, top, unit)
    first = search.nodes[top].ring_top
    count_split(search, top, n_new)
    upper = top if is_pair else open_children(search, top, unit, wanted)
    # the negative part first: its events lie below those of the positive part, which is searched first
    for sign in (2, 1):
        if wanted & sign == 0:
            continue
        positive = sign == 1
        at = upper if positive else top
        entries, count = (first + n_minus, n_plus) if positive else (first, n_minus)
        start_child(search, at, entries, count, search.nodes[top].event_top)
        if not is_pair:
            go_deeper(search, at, positive)
        active = settle_child(search, at, unit if positive and not is_pair else -1)
        if is_pair:
            active = search.finish_max_unit(at, c, active)
        if search.mode == Mode.COLLECT:  # what vanishes on a facet only matters to the facet's key
            search.touch_candidates(at, 0)
        extend_map(search, at, active)
    search.n_nodes = upper + 1


def layer_enterer(copy: Callable[..., None]) -> Callable[..., int]:
    """Make the kernel that takes a node whose layer is decided on to the next one; returns a Status.

    `copy` gives a node fresh copies of its vertices.
    """

    @inlined
    def enter(search: SearchMemory, top: int) -> int:
        spare = save_node(search, top)
        if is_rough(search, search.nodes[top].layer + 1):
            search.rebuild_map(top, 0)
        copy(search, top)
        advance_layer(search, top)
        active = decide_layer(search, top)
        if active < 0:
            search.nodes[top] = search.nodes[spare]
            return Status.ASK
        if search.mode == Mode.COLLECT:
            search.touch_units(top, 0)
        open_layer(search, top, active)
        return Status.DONE

    return enter


def toucher(touch: Callable[..., None]) -> Callable[..., None]:
    """Make the kernel that records the facets touched on entering a layer; `touch` does so for one unit."""

    @inlined
    def touch_all(search: SearchMemory, top: int) -> None:
        for i in range(search.work[0]):
            touch(search, top, search.work[1 + i])

    return touch_all


def candidate_toucher(touch: Callable[..., None]) -> Callable[..., None]:
    """Make the kernel that records what candidates touch that a split made active (row 2 of `masks`)."""

    @inlined
    def touch_all(search: SearchMemory, top: int) -> None:
        for w in range((search.nodes[top].n_candidates + 63) >> 6):
            rest = search.masks[2, w]
            while rest != ZERO:
                touch(search, top, (w << 6) + trailing_zeros(rest))
                rest &= rest - ONE

    return touch_all
