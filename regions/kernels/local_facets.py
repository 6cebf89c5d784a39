"""The facets of one cell that units make, as in `lp_facets`, without asking which sides of the domain are."""

from numba import njit

from regions.kernels import state
from regions.kernels.lp_facets import (
    cross_facet,
    decide_rows,
    inside_all_rows,
    keep_rows,
    load_rows,
    recentre,
)
from regions.kernels.table import I64, bare, f1, i1


@njit(cache=True, nogil=True)
def find_unit_facets(table: I64, sides: int) -> int:
    """Decide the units' rows of the cell of STATES, with WITNESS strictly inside, and cross the facets.

    Returns how many rows stay open, or -1, as `lp_facets.find_facets` does. The first `sides` rows of the
    program are the domain's; they bound the cell and are marked as redundant unasked.
    """
    t = bare(table)
    before = i1(t, state.STATES_BEFORE)
    point = f1(t, state.PROGRAM_POINT)
    reg = i1(t, state.REG)
    states = i1(t, state.STATES)
    status = i1(t, state.FACET_STATUS)
    witness = f1(t, state.WITNESS)
    reg[state.ROWS_NOW] = sides
    clear = load_rows(t)
    keep_rows(t, sides)
    for j in range(t[state.DIMENSION]):
        point[j] = witness[j]
    if not clear or not inside_all_rows(t, -1):
        return -1
    for _ in range(2):
        recentre(t)
    for row in range(sides):
        status[row] = state.REDUNDANT
    decide_rows(t, sides)
    for k in range(states.shape[0]):
        before[k] = states[k]
    open_rows = 0
    for row in range(sides, reg[state.ALL_ROWS]):
        if status[row] == state.FACET and not cross_facet(t, row):
            status[row] = state.OPEN
        open_rows += 1 if status[row] == state.OPEN else 0
    return open_rows
