"""The polytope in hand of a search by linear programs: its rows, and a point strictly inside.

Which rows it gets, and what its point is for, `depth_first_by_programs` and `facets_of_cell` know.
"""

from regions.kernels.memory.blocks import advance, combine, nearest
from regions.kernels.memory.compiling import inlined, part, step
from regions.kernels.memory.layouts import SearchMemory
from regions.kernels.memory.states import Status
from regions.kernels.programs.unit_sides import (
    F64,
    NEVER_MET,
    PIVOT_TOLERANCE,
    padded,
    power_of_two,
    slacks_at,
    strictly_inside,
)

CLOSE = 2.0**-16  # a witness with less than this part of a row's terms as slack is moved
MOST_MOVES = 8


@inlined
def plane_of(search: SearchMemory, layer: int, unit: int) -> int:
    """The flat number of a unit, or of a pair of candidates of a max unit, numbered on after the units."""
    if unit < search.widths[layer]:
        return search.unit_starts[layer] + unit
    return search.unit_starts[search.n_layers] + search.pair_starts[layer] + unit - search.widths[layer]


@part
def add_row(search: SearchMemory, layer: int, unit: int, side: int) -> None:
    """Restrict the polytope in hand to one side of a unit."""
    d = search.dimension
    row = search.n_rows
    scale = power_of_two(search, layer, unit)
    sign = -scale if side == 1 else scale
    for j in range(d):
        search.columns[j, row] = sign * search.slots[layer, j, unit]
    search.right[row] = -sign * search.slots[layer, d, unit]
    search.errors[row] = scale * search.slots[layer, d + 1, unit]
    search.labels[row] = plane_of(search, layer, unit)
    search.row_sides[row] = side
    search.n_rows = row + 1


@part
def set_witness(search: SearchMemory, point: F64) -> None:
    """Take a point strictly inside as the polytope's witness."""
    for j in range(search.dimension):
        search.witness[j] = point[j]
    m = search.n_rows
    slacks_at(search.columns, search.right, m, search.witness, search.witness_slacks, search.witness_noise)


@step
def take_witness(search: SearchMemory) -> int:
    """Take the domain in hand, with the point in `witness`, which is strictly inside, as its witness."""
    if search.maxed[0] > 0:
        search.set_pairs(0, 0)
    set_witness(search, search.witness)
    return Status.DONE


@part
def centre_witness(search: SearchMemory) -> None:
    """Move a witness that is close to a row to the middle of its chord along that row's normal.

    It does so at most MOST_MOVES times. A side's witness keeps at most half of the slacks that the polytope's
    has, so after forty splits it would be within the rows' errors.
    """
    columns = search.flat_columns
    noise = search.flat_witness_noise
    ray = search.flat_ray
    slacks = search.flat_slacks
    speeds = search.flat_speeds
    start_slacks = search.flat_witness_slacks
    d, m = search.dimension, search.n_rows
    stride = search.columns.shape[1]
    for j in range(d):
        search.point[j] = search.witness[j]
    for i in range(padded(m)):
        slacks[i] = start_slacks[i] if i < m else NEVER_MET
    moves = 0
    for _ in range(MOST_MOVES):
        row, least = -1, CLOSE
        for i in range(m):
            if slacks[i] < least * noise[i]:
                row, least = i, slacks[i] / noise[i]
        if row < 0:
            break
        forth, back = 0.0, 0.0
        for sign in (-1.0, 1.0):
            for j in range(d):
                ray[j] = sign * columns[j * stride + row]
            combine(columns, stride, ray, d, speeds, padded(m))
            met = nearest(slacks, speeds, PIVOT_TOLERANCE, padded(m))
            back, forth = forth, (max(slacks[met], 0.0) / speeds[met] if met >= 0 else 0.0)
        span = 0.5 * (forth - back)
        for j in range(d):
            search.point[j] += span * ray[j]
        advance(slacks, speeds, span, padded(m))
        moves += 1
    if moves > 0 and strictly_inside(search, search.point):
        set_witness(search, search.point)
