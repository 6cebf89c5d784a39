"""The depth-first search over the splitting tree by linear programs: no vertices, any dimension.

A node is a polytope {x : a_i.x <= b_i} with a point strictly inside. Units are decided one after the
other: the point gives one side for nothing, and `unit_sides` decides the other. What it leaves open is
asked of rational arithmetic.
"""

from regions.kernels.memory.blocks import advance, combine, nearest
from regions.kernels.memory.compiling import inlined, part, step
from regions.kernels.memory.layouts import SearchMemory
from regions.kernels.memory.states import THIN_SUBTREE, Mode, Request, Side, Status
from regions.kernels.programs.unit_sides import (
    F64,
    NEVER_MET,
    PIVOT_TOLERANCE,
    decide_side,
    height_at,
    padded,
    power_of_two,
    slacks_at,
    strictly_inside,
)
from regions.kernels.vertices.layer_maps import start_map
from regions.kernels.vertices.predicates import pass_on

CLOSE = 2.0**-16  # a witness with less than this part of a row's terms as slack is moved
MOST_MOVES = 8
PATIENCE = 8  # steps from one subtree given away to the next: each costs as much as a program or two


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
    search.labels[row] = search.unit_starts[layer] + unit
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
    """Take the point in `witness`, which is strictly inside, as the polytope's witness."""
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


@part
def settle_unit(search: SearchMemory, side: int) -> None:
    """Record the side of the unit in hand on the polytope in hand, and go on to the next unit."""
    layer, unit = search.layer, search.unit
    search.states[search.unit_starts[layer] + unit] = side
    search.sides[0], search.sides[1] = Side.UNKNOWN, Side.UNKNOWN
    search.unit = unit + 1


@part
def take_side(search: SearchMemory, side: int, kind: int, branch: int) -> None:
    """Go down into one side of the unit in hand, the `branch`-th of its node in the order of the search."""
    add_row(search, search.layer, search.unit, side)
    search.trail[search.depth] = branch
    search.depth += 1
    search.fresh = 1
    if kind == Side.INSIDE:
        set_witness(search, search.side_points[side])
        centre_witness(search)
    settle_unit(search, side)
    if kind == Side.THIN:
        search.ask_side = THIN_SUBTREE


@part
def keep_side(search: SearchMemory, side: int, kind: int) -> None:
    """Leave one side of the unit in hand for later."""
    at = search.n_pending
    entry = search.pending[at]
    entry.layer = search.layer
    entry.unit = search.unit
    entry.n_rows = search.n_rows
    entry.side = side
    entry.kind = kind
    entry.depth = search.depth
    entry.branch = 1
    for j in range(search.dimension):
        search.pending_points[at, j] = search.side_points[side, j]
    search.n_pending = at + 1


@part
def leave(search: SearchMemory) -> bool:
    """Take up the side that was left last; False if there is none."""
    if search.n_pending == search.base:
        return False
    search.leaving = 0
    search.n_pending -= 1
    at = search.n_pending
    entry = search.pending[at]
    side, kind = entry.side, entry.kind
    search.layer = entry.layer
    search.unit = entry.unit
    search.n_rows = entry.n_rows
    search.depth = entry.depth
    target, source = search.side_points[side], search.pending_points[at]
    for j in range(search.dimension):
        target[j] = source[j]
    take_side(search, side, kind, entry.branch)
    return True


@part
def branch(search: SearchMemory) -> None:
    """Go down into a side of the unit in hand, both of which are decided, and keep the other for later."""
    low, high = search.sides[0], search.sides[1]
    if low == Side.EMPTY or high == Side.EMPTY:
        # an interior point is on the inhabited side: no witness is needed, no row, even for a thin one;
        # a unit that is 0 on all of the polytope is inactive
        settle_unit(search, 1 if low == Side.EMPTY and high != Side.EMPTY else 0)
        return
    first = 0 if low == Side.INSIDE else 1
    if search.started == 0:
        taken = search.trail[search.depth]
        side = first if taken == 0 else 1 - first
        take_side(search, side, search.sides[side], taken)
        return
    kind = search.sides[first]
    keep_side(search, 1 - first, search.sides[1 - first])
    take_side(search, first, kind, 0)


@inlined
def is_linear(search: SearchMemory, layer: int, unit: int) -> bool:
    """Whether a unit's slopes are equal, so that it counts as active everywhere."""
    flat = search.unit_starts[layer] + unit
    return search.slopes[0, flat] == search.slopes[1, flat]


@part
def enter_next_layer(search: SearchMemory) -> None:
    """Compute the map of the next layer from that of the one that is decided."""
    layer = search.layer
    count = 0
    for k in range(search.widths[layer]):
        search.units[count] = k
        count += 1 if search.relus[layer] == 0 or search.states[search.unit_starts[layer] + k] == 1 else 0
    if search.sloped[layer] == 1:
        start = search.unit_starts[layer]
        for k in range(search.widths[layer]):
            search.units[count] = ~k
            count += 1 if search.states[start + k] == 0 and search.slopes[0, start + k] != 0.0 else 0
    pass_on(search, layer, layer)
    start_map(search, layer + 1, layer + 1)
    search.add_units(layer + 1, layer, layer + 1, count)
    search.layer = layer + 1
    search.unit = 0


@part
def finish_program_cell(search: SearchMemory) -> int:
    """Count the cell in hand, and list it where that is asked for."""
    if search.cells >= search.cell_limit:
        return Status.LIMIT
    if search.mode == Mode.COLLECT:
        at = search.out_cells
        if at == search.out_states.shape[0]:
            return Status.FLUSH
        for k in range(search.states.shape[0]):
            search.out_states[at, k] = search.states[k]
        for j in range(search.dimension):
            search.out_witness[at, j] = search.witness[j]
        search.out_cells = at + 1
    search.cells += 1
    if search.depth - search.prefix_length <= 40:
        search.done_parts += 1 << (40 - max(0, search.depth - search.prefix_length))
    search.leaving = 1
    return Status.DONE


@inlined
def begin_program_task(search: SearchMemory) -> None:
    """Forget the decisions on the way to a task's own subtree: they belong to who gave it away."""
    search.started = 1
    search.decisions, search.doubtful = 0, 0
    search.programs, search.pivots = 0, 0


@inlined
def program_interruption(search: SearchMemory, steps: int) -> int:
    """Return why a search is to stop before a side that it has just taken up; DONE: it goes on.

    `steps` were made since it was called.
    """
    request = search.requests[0]
    deep = search.frontier > 0 and search.depth >= search.frontier
    if request == Request.STOP or search.cells >= search.cell_goal or deep:
        return Status.STOPPED
    if request == Request.GIVE and search.n_pending > search.base and steps >= PATIENCE:
        return Status.GIVE
    return Status.DONE


@part
def decide_unit(search: SearchMemory) -> int:
    """Find out which sides of the unit in hand have interior points: DONE, or ASK where that stays open."""
    layer, unit = search.layer, search.unit
    if search.sides[0] == Side.UNKNOWN and search.sides[1] == Side.UNKNOWN:
        value, _ = height_at(search, layer, unit, 1.0, search.witness)
        first = 1 if value > 0.0 else 0
    else:
        first = 0
    for k in range(2):
        side = first if k == 0 else 1 - first
        if search.sides[side] == Side.UNKNOWN:
            search.decisions += 1
            search.sides[side] = decide_side(search, layer, unit, side)
            if search.sides[side] == Side.UNKNOWN:
                search.decisions -= 1
                search.ask_side = side
                return Status.ASK
    return Status.DONE


@step
def search_by_programs(search: SearchMemory, steps: int) -> int:
    """Go on with a search for at most `steps` steps; returns a Status, why it stopped (ASK: see `ask_side`).

    A step decides one unit on the polytope in hand and goes down into a side, or enters the next layer, or
    counts a cell and takes up the side that was kept last. The way to a task's subtree is no step.

    Before a side that was just taken up the search does what `requests` says: it stops, or gives away the
    oldest side that waits, which the caller takes off.
    """
    left = steps
    while left > 0:
        if search.leaving == 1:
            if not leave(search):
                return Status.DONE
        if search.started == 0 and search.depth == search.prefix_length:
            begin_program_task(search)
        if search.started == 1 and search.fresh == 1:
            status = program_interruption(search, steps - left)
            if status != Status.DONE:
                return status
        search.fresh = 0
        if search.ask_side == THIN_SUBTREE:
            return Status.ASK
        layer = search.layer
        status = Status.DONE
        if layer == search.relu_layers:
            status = finish_program_cell(search)
        elif search.unit == search.widths[layer] or search.relus[layer] == 0:
            if layer + 1 < search.relu_layers:
                enter_next_layer(search)
            else:
                search.layer = layer + 1
        elif is_linear(search, layer, search.unit):
            settle_unit(search, 1)
        else:
            status = decide_unit(search)
            if status == Status.DONE:
                branch(search)
        if status != Status.DONE:
            return status
        left -= search.started
    return Status.PAUSED
