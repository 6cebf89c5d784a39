"""The steps of a search on polygons (d = 2): split one, enter a layer, measure it, list it."""

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
from regions.kernels.vertices.polygons import (
    collect_polygon,
    copy_polygon,
    cut_polygon,
    polygon_area,
    touched_side,
    touched_side_of_candidate,
)

enter = layer_enterer(copy_polygon)
touch_all = toucher(touched_side)
touch_all_candidates = candidate_toucher(touched_side_of_candidate)


@step
def split_polygon(search: SearchMemory, top: int, c: int) -> int:
    """Replace a node by the two parts into which candidate c cuts its polygon, the positive one on top.

    The candidate's line crosses two sides of the polygon, or goes through vertices of it. Each part inherits
    the candidates that still cut it; the others are decided there, and those that became active are added to
    the part's map of the next layer. ASK leaves the node as it was: the step is done again with the answers.
    """
    begin_split(search, top, c)
    n_new, n_minus, n_plus = cut_polygon(search, top, c)
    if search.asked > search.answered:
        undo_split(search, top, c)
        return Status.ASK
    make_children(search, top, c, n_new, n_minus, n_plus)
    return Status.DONE


@step
def enter_layer_of_polygon(search: SearchMemory, top: int, _: int) -> int:
    """Take a node whose layer is decided on to the next layer, and sort the units of that layer.

    Signs are kept with the vertices, so the node gets copies of its vertices first. Units that vanish on a
    side without cutting the polygon are recorded, as the key of that side depends on them. ASK leaves the
    node as it was.
    """
    return enter(search, top)


@step
def touch_units_of_polygon(search: SearchMemory, top: int, _: int) -> int:
    """Record the sides on which units vanish that a node's new layer only touches."""
    touch_all(search, top)
    return Status.DONE


@step
def touch_candidates_of_polygon(search: SearchMemory, top: int, _: int) -> int:
    """Record the sides on which candidates vanish that a split made active."""
    touch_all_candidates(search, top)
    return Status.DONE


@step
def measure_polygon(search: SearchMemory, top: int, cells: int) -> int:
    """Count a finished node as `cells` cells, and add up its area where that is wanted."""
    if search.cells >= search.cell_limit:
        return Status.LIMIT
    if search.mode == Mode.MEASURE:
        add_volume(search, polygon_area(search, top))
    leave_cell(search, top, cells)
    return Status.DONE


@step
def list_polygon(search: SearchMemory, top: int, cells: int) -> int:
    """Write a finished cell to the output: its pattern, area, centroid, sides and Jacobian."""
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
