"""The steps of a search on polytopes (d = 1 and d >= 3): split one, enter a layer with it, measure it."""

from regions.kernels.memory.bits import ONE, ZERO, trailing_zeros
from regions.kernels.memory.compiling import step
from regions.kernels.memory.layouts import SearchMemory
from regions.kernels.memory.states import Mode, Status
from regions.kernels.vertices.cell_output import write_jacobian, write_pattern
from regions.kernels.vertices.layer_maps import decide_layer
from regions.kernels.vertices.nodes import (
    add_volume,
    advance_layer,
    begin_split,
    count_split,
    extend_map,
    leave_cell,
    open_children,
    open_layer,
    save_node,
    settle_child,
    start_child,
    undo_split,
    wanted_children,
)
from regions.kernels.vertices.polytopes import (
    collect_cell,
    copy_cell,
    cut_cell,
    touched_facet,
    touched_facet_of_candidate,
)


@step
def split_polytope(search: SearchMemory, top: int, c: int) -> int:
    """Replace a node by the two parts into which candidate c cuts it, the positive one on top.

    This is a step of the double description method: new vertices lie on the edges between positive
    and negative ones; each part inherits the candidates that still cut it.
    """
    unit = begin_split(search, top, c)
    node = search.nodes[top]
    search.edges[node.first_facet + node.n_facets] = node.hyperplanes
    n_new, n_minus, n_plus = cut_cell(search, top, c)
    if n_new < 0:
        undo_split(search, top, c)
        return Status.GROW if n_new == -1 else Status.GROW_BITS
    if search.asked > search.answered:
        undo_split(search, top, c)
        return Status.ASK
    wanted = wanted_children(search, top, unit)
    first = node.ring_top
    count_split(search, top, n_new)
    node.n_facets += 1
    upper = open_children(search, top, unit, wanted)
    # the negative part first: its events lie below those of the positive part, which is walked first
    for sign in (2, 1):
        if wanted & sign == 0:
            continue
        positive = sign == 1
        at = upper if positive else top
        entries, count = (first + n_minus, n_plus) if positive else (first, n_minus)
        start_child(search, at, entries, count, search.nodes[top].event_top, positive)
        active = settle_child(search, at, unit if positive else -1)
        if search.mode == Mode.COLLECT:  # what vanishes on a facet only matters to the facet's key
            for w in range((search.nodes[at].n_candidates + 63) >> 6):
                rest = search.masks[2, w]
                while rest != ZERO:
                    touched_facet_of_candidate(search, at, (w << 6) + trailing_zeros(rest))
                    rest &= rest - ONE
        extend_map(search, at, active)
    search.n_nodes = upper + 1
    return Status.DONE


@step
def enter_layer_of_polytope(search: SearchMemory, top: int, _: int) -> int:
    """Take a node whose layer is decided on to the next one."""
    spare = save_node(search, top)
    copy_cell(search, top)
    advance_layer(search, top)
    active = decide_layer(search, top)
    if active < 0:
        search.nodes[top] = search.nodes[spare]
        return Status.ASK
    for i in range(search.work[0]):
        touched_facet(search, top, search.work[1 + i])
    open_layer(search, top, active)
    return Status.DONE


@step
def count_polytope(search: SearchMemory, top: int, cells: int) -> int:
    """Count a finished node, which is `cells` cells."""
    if search.cells >= search.cell_limit:
        return Status.LIMIT
    leave_cell(search, top, cells)
    return Status.DONE


@step
def measure_polytope(search: SearchMemory, top: int, cells: int) -> int:
    """Add up the volume of a finished node, which is `cells` cells; write it to the output where wanted."""
    if search.cells >= search.cell_limit:
        return Status.LIMIT
    room = 1 + search.nodes[top].n_facets
    listed = search.mode == Mode.COLLECT
    if listed and search.out_cells + 1 >= search.out_volume.shape[0]:
        return Status.FLUSH
    if listed and search.out_halves + room >= search.out_label.shape[0]:
        return Status.FLUSH
    status = collect_cell(search, top)
    if status != Status.DONE:
        return status
    volume = search.measured
    if listed:
        write_pattern(search, top)
        write_jacobian(search, top)
        search.out_volume[search.out_cells] = volume
        search.out_cells += 1
    else:
        search.out_halves = 0
    add_volume(search, volume)
    leave_cell(search, top, cells)
    return Status.DONE
