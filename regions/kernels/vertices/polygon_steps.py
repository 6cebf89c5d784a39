"""The steps of a search on polygons (d = 2): split one, enter a layer with it, count or collect it."""

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
from regions.kernels.vertices.polygons import (
    collect_polygon,
    copy_polygon,
    cut_polygon,
    polygon_area,
    touched_side,
    touched_side_of_candidate,
)


@step
def split_polygon(search: SearchMemory, top: int, c: int) -> int:
    """Replace a node by the two parts into which candidate c cuts it, the positive one on top.

    The line of the candidate crosses two sides, or goes through vertices; each part inherits the
    candidates that still cut it, and the others are settled with it.
    """
    unit = begin_split(search, top, c)
    n_new, n_minus, n_plus = cut_polygon(search, top, c)
    if search.asked > search.answered:
        undo_split(search, top, c)
        return Status.ASK
    wanted = wanted_children(search, top, unit)
    first = search.nodes[top].ring_top
    count_split(search, top, n_new)
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
        if search.mode == Mode.COLLECT:  # what vanishes on a side only matters to the side's key
            for w in range((search.nodes[at].n_candidates + 63) >> 6):
                rest = search.masks[2, w]
                while rest != ZERO:
                    touched_side_of_candidate(search, at, (w << 6) + trailing_zeros(rest))
                    rest &= rest - ONE
        extend_map(search, at, active)
    search.n_nodes = upper + 1
    return Status.DONE


@step
def enter_layer_of_polygon(search: SearchMemory, top: int, _: int) -> int:
    """Take a node whose layer is decided on to the next one."""
    spare = save_node(search, top)
    copy_polygon(search, top)
    advance_layer(search, top)
    active = decide_layer(search, top)
    if active < 0:
        search.nodes[top] = search.nodes[spare]
        return Status.ASK
    for i in range(search.work[0]):
        touched_side(search, top, search.work[1 + i])
    open_layer(search, top, active)
    return Status.DONE


@step
def measure_polygon(search: SearchMemory, top: int, cells: int) -> int:
    """Count a finished node, which is `cells` cells, and add up its area where that is wanted."""
    if search.cells >= search.cell_limit:
        return Status.LIMIT
    if search.mode == Mode.MEASURE:
        add_volume(search, polygon_area(search, top))
    leave_cell(search, top, cells)
    return Status.DONE


@step
def list_polygon(search: SearchMemory, top: int, cells: int) -> int:
    """Write a finished cell to the output."""
    if search.cells >= search.cell_limit:
        return Status.LIMIT
    room = 1 + search.nodes[top].n_vertices
    if search.out_cells + 1 >= search.out_volume.shape[0]:
        return Status.FLUSH
    if search.out_halves + room >= search.out_label.shape[0]:
        return Status.FLUSH
    volume = collect_polygon(search, top)
    write_pattern(search, top)
    write_jacobian(search, top)
    search.out_volume[search.out_cells] = volume
    search.out_cells += 1
    add_volume(search, volume)
    leave_cell(search, top, cells)
    return Status.DONE
