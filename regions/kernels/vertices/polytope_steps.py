"""The steps of a search on polytopes (d = 1 and d >= 3): split one, enter a layer, count it, measure it."""

from regions.kernels.memory.compiling import step
from regions.kernels.memory.layouts import SearchMemory
from regions.kernels.memory.states import Mode, Status
from regions.kernels.vertices.cell_output import write_jacobian, write_pattern
from regions.kernels.vertices.nodes import (
    add_volume,
    begin_split,
    candidate_toucher,
    layer_enterer,
    leave_cell,
    make_children,
    toucher,
    undo_split,
)
from regions.kernels.vertices.polytopes import (
    collect_cell,
    copy_cell,
    cut_cell,
    touched_facet,
    touched_facet_of_candidate,
)

enter = layer_enterer(copy_cell)
touch_all = toucher(touched_facet)
touch_all_candidates = candidate_toucher(touched_facet_of_candidate)


@step
def split_polytope(search: SearchMemory, top: int, c: int) -> int:
    """Replace a node by the two parts into which candidate c cuts its polytope, the positive one on top.

    This is one step of the double description method: the new vertices lie on the edges between a positive
    and a negative vertex. Each part inherits the candidates that still cut it; the others are decided there,
    as for polygons. GROW, GROW_BITS and ASK leave the node as it was: the step is done again.
    """
    begin_split(search, top, c)
    node = search.nodes[top]
    search.edges[node.first_facet + node.n_facets] = node.hyperplanes
    n_new, n_minus, n_plus = cut_cell(search, top, c)
    if n_new < 0:
        undo_split(search, top, c)
        return Status.GROW if n_new == -1 else Status.GROW_BITS
    if search.asked > search.answered:
        undo_split(search, top, c)
        return Status.ASK
    node.n_facets += 1
    make_children(search, top, c, n_new, n_minus, n_plus)
    return Status.DONE


@step
def enter_layer_of_polytope(search: SearchMemory, top: int, _: int) -> int:
    """Take a node whose layer is decided on to the next layer, and sort the units of that layer.

    Signs are kept with the vertices, so the node gets copies of its vertices first. Units that vanish on a
    facet without cutting the polytope are recorded, as the key of that facet depends on them. ASK leaves the
    node as it was.
    """
    return enter(search, top)


@step
def touch_units_of_polytope(search: SearchMemory, top: int, _: int) -> int:
    """Record the facets on which units vanish that a node's new layer only touches."""
    touch_all(search, top)
    return Status.DONE


@step
def touch_candidates_of_polytope(search: SearchMemory, top: int, _: int) -> int:
    """Record the facets on which candidates vanish that a split made active."""
    touch_all_candidates(search, top)
    return Status.DONE


@step
def count_polytope(search: SearchMemory, top: int, cells: int) -> int:
    """Count a finished node as `cells` cells."""
    if search.cells >= search.cell_limit:
        return Status.LIMIT
    leave_cell(search, top, cells)
    return Status.DONE


@step
def measure_polytope(search: SearchMemory, top: int, cells: int) -> int:
    """Count a finished node as `cells` cells and add up its volume; in mode COLLECT, write it out."""
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
