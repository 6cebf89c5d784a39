"""The step of a search that lists patterns alone: no volumes, no facets. It is that of polygons too."""

from regions.kernels.memory.compiling import step
from regions.kernels.memory.layouts import SearchMemory
from regions.kernels.memory.states import Status
from regions.kernels.vertices.cell_output import write_pattern
from regions.kernels.vertices.nodes import leave_cell


@step
def list_pattern(search: SearchMemory, top: int, cells: int) -> int:
    """Write the pattern of a finished cell to the output."""
    if search.cells >= search.cell_limit:
        return Status.LIMIT
    if search.out_cells + 1 >= search.out_pattern.shape[0]:
        return Status.FLUSH
    write_pattern(search, top)
    search.out_cells += 1
    leave_cell(search, top, cells)
    return Status.DONE


@step
def touch_nothing(search: SearchMemory, top: int, _: int) -> int:
    """Stand in for the steps that record touched facets: patterns alone need no keys of these."""
    return Status.DONE


# what a search of patterns has instead of others' steps
PATTERN_STEPS = {"finish": list_pattern, "touch_units": touch_nothing, "touch_candidates": touch_nothing}
