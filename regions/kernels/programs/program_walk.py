"""The depth-first walk over the splitting tree by linear programs: no vertices, any dimension.

A node is a polytope {x : a_i.x <= b_i} with a point strictly inside. Units are decided one after the
other: the point gives one side for nothing, `lp_sides` looks for the other. What it leaves open is
asked of rational arithmetic.
"""

from numba import njit

from regions.kernels.memory import state
from regions.kernels.memory.blocks import advance, combine, nearest
from regions.kernels.memory.pointers import fp
from regions.kernels.memory.table import I64, bare, f1, f2, f3, i1, i2
from regions.kernels.programs.unit_sides import (
    F64,
    OUT_OF_REACH,
    PIVOT_TOLERANCE,
    decide_side,
    height_at,
    padded,
    power_of_two,
    slacks_at,
    strictly_inside,
)
from regions.kernels.vertices.layer_maps import add_units, start_map
from regions.kernels.vertices.predicates import pass_on

CLOSE = 2.0**-16  # a witness with less than this part of a row's terms as slack is moved
MOST_MOVES = 8


@njit(cache=True, nogil=True)
def add_row(t: I64, layer: int, unit: int, side: int) -> None:
    """Restrict the polytope in hand to one side of a unit."""
    columns = f2(t, state.PROGRAM_COLUMNS)
    reg = i1(t, state.REG)
    slots = f3(t, state.SLOTS)
    d = t[state.DIMENSION]
    row = reg[state.ROWS_NOW]
    scale = power_of_two(t, layer, unit)
    sign = -scale if side == 1 else scale
    for j in range(d):
        columns[j, row] = sign * slots[layer, j, unit]
    f1(t, state.PROGRAM_RIGHT)[row] = -sign * slots[layer, d, unit]
    f1(t, state.PROGRAM_ERRORS)[row] = scale * slots[layer, d + 1, unit]
    i1(t, state.PROGRAM_LABELS)[row] = i1(t, state.UNIT_STARTS)[layer] + unit
    i1(t, state.PROGRAM_SIDES)[row] = side
    reg[state.ROWS_NOW] = row + 1


@njit(cache=True, nogil=True)
def set_witness(t: I64, point: F64) -> None:
    """Take a point strictly inside as the polytope's witness."""
    witness = f1(t, state.WITNESS)
    for j in range(t[state.DIMENSION]):
        witness[j] = point[j]
    columns, right = f2(t, state.PROGRAM_COLUMNS), f1(t, state.PROGRAM_RIGHT)
    m = i1(t, state.REG)[state.ROWS_NOW]
    slacks_at(columns, right, m, witness, f1(t, state.WITNESS_SLACKS), f1(t, state.WITNESS_NOISE))


@njit(cache=True, nogil=True)
def centre_witness(t: I64) -> None:
    """Move a witness that is close to a row to the middle of its chord along that row's normal, some times.

    A side's witness keeps a part of the slacks that the polytope's has, at most half; after forty splits
    it would be within the rows' errors.
    """
    columns = fp(t, state.PROGRAM_COLUMNS)
    noise = fp(t, state.WITNESS_NOISE)
    point = f1(t, state.PROGRAM_POINT)
    ray = fp(t, state.PROGRAM_RAY)
    slacks = fp(t, state.TRY_SLACKS)
    speeds = fp(t, state.SPEEDS)
    start_slacks = fp(t, state.WITNESS_SLACKS)
    witness = f1(t, state.WITNESS)
    d, m = t[state.DIMENSION], i1(t, state.REG)[state.ROWS_NOW]
    stride = f2(t, state.PROGRAM_COLUMNS).shape[1]
    for j in range(d):
        point[j] = witness[j]
    for i in range(padded(m)):
        slacks[i] = start_slacks[i] if i < m else OUT_OF_REACH
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
            point[j] += span * ray[j]
        advance(slacks, speeds, span, padded(m))
        moves += 1
    if moves > 0 and strictly_inside(t, point):
        set_witness(t, point)


@njit(cache=True, nogil=True)
def settle_unit(t: I64, side: int) -> None:
    """The unit in hand is on one side of the polytope, or of the part of it that is in hand: go on."""
    reg = i1(t, state.REG)
    layer, unit = reg[state.LAYER_NOW], reg[state.UNIT_NOW]
    i1(t, state.STATES)[i1(t, state.UNIT_STARTS)[layer] + unit] = side
    sides = i1(t, state.SIDES)
    sides[0], sides[1] = state.UNKNOWN, state.UNKNOWN
    reg[state.UNIT_NOW] = unit + 1


@njit(cache=True, nogil=True)
def take_side(t: I64, side: int, kind: int) -> None:
    """Go down into one side of the unit in hand."""
    reg = i1(t, state.REG)
    add_row(t, reg[state.LAYER_NOW], reg[state.UNIT_NOW], side)
    reg[state.DEPTH_NOW] += 1
    reg[state.DECISIONS_ABOVE], reg[state.DOUBTFUL_ABOVE] = reg[state.DECISIONS], reg[state.DOUBTFUL]
    if kind == state.INSIDE:
        set_witness(t, f2(t, state.SIDE_POINTS)[side])
        centre_witness(t)
    settle_unit(t, side)
    if kind == state.THIN:
        reg[state.ASK_SIDE] = state.THIN_SUBTREE


@njit(cache=True, nogil=True)
def keep_side(t: I64, side: int, kind: int) -> None:
    """Leave one side of the unit in hand for later."""
    pending = i2(t, state.PENDING)
    points = f2(t, state.PENDING_POINTS)
    reg = i1(t, state.REG)
    side_points = f2(t, state.SIDE_POINTS)
    at = reg[state.SP]
    entry = pending[at]
    entry[state.PENDING_LAYER] = reg[state.LAYER_NOW]
    entry[state.PENDING_UNIT] = reg[state.UNIT_NOW]
    entry[state.PENDING_ROWS] = reg[state.ROWS_NOW]
    entry[state.PENDING_SIDE] = side
    entry[state.PENDING_KIND] = kind
    entry[state.PENDING_DEPTH] = reg[state.DEPTH_NOW]
    entry[state.PENDING_PATH] = i1(t, state.PREFIX)[0]
    for j in range(t[state.DIMENSION]):
        points[at, j] = side_points[side, j]
    reg[state.SP] = at + 1


@njit(cache=True, nogil=True)
def leave(t: I64) -> bool:
    """Take up the side that was left last; False if there is none."""
    pending = i2(t, state.PENDING)
    reg = i1(t, state.REG)
    if reg[state.SP] == 0:
        return False
    reg[state.LEAVING] = 0
    reg[state.SP] -= 1
    at = reg[state.SP]
    entry = pending[at]
    side, kind = entry[state.PENDING_SIDE], entry[state.PENDING_KIND]
    reg[state.LAYER_NOW] = entry[state.PENDING_LAYER]
    reg[state.UNIT_NOW] = entry[state.PENDING_UNIT]
    reg[state.ROWS_NOW] = entry[state.PENDING_ROWS]
    reg[state.DEPTH_NOW] = entry[state.PENDING_DEPTH]
    follow_path(t, entry[state.PENDING_PATH], side)
    target, source = f2(t, state.SIDE_POINTS)[side], f2(t, state.PENDING_POINTS)[at]
    for j in range(t[state.DIMENSION]):
        target[j] = source[j]
    take_side(t, side, kind)
    return True


@njit(cache=True, nogil=True, forceinline=True)
def follow_path(t: I64, path: int, side: int) -> None:
    """Set the path of the node in hand: bit k is the side of split k, for the first 62 of them."""
    depth = i1(t, state.REG)[state.DEPTH_NOW]
    i1(t, state.PREFIX)[0] = path | (side << depth) if depth < 62 else path


@njit(cache=True, nogil=True)
def branch(t: I64) -> None:
    """Go on where both sides of the unit in hand are known."""
    guide = i1(t, state.GUIDE)
    reg = i1(t, state.REG)
    sides = i1(t, state.SIDES)
    path = i1(t, state.PREFIX)[0]
    low, high = sides[0], sides[1]
    if low == state.EMPTY or high == state.EMPTY:
        # an interior point is on the inhabited side: no witness is needed, no row, even for a thin one;
        # a unit that is 0 on all of the polytope is inactive
        settle_unit(t, 1 if low == state.EMPTY and high != state.EMPTY else 0)
        return
    depth = reg[state.DEPTH_NOW]
    if depth < reg[state.PREFIX_LENGTH]:
        side = (guide[0] >> depth) & 1
        follow_path(t, path, side)
        take_side(t, side, sides[side])
        return
    first = 0 if low == state.INSIDE else 1
    kind = sides[first]
    keep_side(t, 1 - first, sides[1 - first])
    follow_path(t, path, first)
    take_side(t, first, kind)


@njit(cache=True, nogil=True)
def enter_next_layer(t: I64) -> None:
    """Compute the map of the next layer from that of the one that is decided."""
    relus = i1(t, state.RELUS)
    reg = i1(t, state.REG)
    states = i1(t, state.STATES)
    unit_starts = i1(t, state.UNIT_STARTS)
    units = i1(t, state.UNITS)
    widths = i1(t, state.WIDTHS)
    layer = reg[state.LAYER_NOW]
    count = 0
    for k in range(widths[layer]):
        units[count] = k
        count += 1 if relus[layer] == 0 or states[unit_starts[layer] + k] == 1 else 0
    pass_on(t, layer, layer)
    start_map(t, layer + 1, layer + 1)
    add_units(t, layer + 1, layer, layer + 1, count)
    reg[state.LAYER_NOW] = layer + 1
    reg[state.UNIT_NOW] = 0


@njit(cache=True, nogil=True)
def finish_program_cell(t: I64) -> int:
    """Count the cell in hand, and list it where that is asked for."""
    out_states = i2(t, state.OUT_STATES)
    out_witness = f2(t, state.OUT_WITNESS)
    reg = i1(t, state.REG)
    states = i1(t, state.STATES)
    witness = f1(t, state.WITNESS)
    if reg[state.CELLS] >= reg[state.CELL_LIMIT]:
        return state.LIMIT
    if reg[state.MODE] == state.COLLECT:
        at = reg[state.OUT_CELLS]
        if at == out_states.shape[0]:
            return state.FLUSH
        for k in range(states.shape[0]):
            out_states[at, k] = states[k]
        for j in range(t[state.DIMENSION]):
            out_witness[at, j] = witness[j]
        reg[state.OUT_CELLS] = at + 1
    reg[state.CELLS] += 1
    if reg[state.DEPTH_NOW] - reg[state.PREFIX_LENGTH] <= 40:
        reg[state.DONE_PARTS] += 1 << (40 - max(0, reg[state.DEPTH_NOW] - reg[state.PREFIX_LENGTH]))
    reg[state.LEAVING] = 1
    return state.DONE


@njit(cache=True, nogil=True)
def write_program_task(t: I64) -> int:
    """List the node in hand as a task, and leave it."""
    out = i2(t, state.OUT_PATH)
    reg = i1(t, state.REG)
    at = reg[state.OUT_CELLS]
    if at == out.shape[0]:
        return state.FLUSH
    out[at, 0] = i1(t, state.PREFIX)[0]
    out[at, 1] = reg[state.DEPTH_NOW]
    reg[state.DECISIONS], reg[state.DOUBTFUL] = reg[state.DECISIONS_ABOVE], reg[state.DOUBTFUL_ABOVE]
    reg[state.OUT_CELLS] = at + 1
    reg[state.ASK_SIDE] = 0
    reg[state.LEAVING] = 1
    return state.DONE


@njit(cache=True, nogil=True)
def decide_unit(t: I64) -> int:
    """Find out which sides of the unit in hand have interior points: DONE, or ASK where it stays open."""
    reg = i1(t, state.REG)
    sides = i1(t, state.SIDES)
    layer, unit = reg[state.LAYER_NOW], reg[state.UNIT_NOW]
    if sides[0] == state.UNKNOWN and sides[1] == state.UNKNOWN:
        value, _ = height_at(t, layer, unit, 1.0, f1(t, state.WITNESS))
        first = 1 if value > 0.0 else 0
    else:
        first = 0
    for k in range(2):
        side = first if k == 0 else 1 - first
        if sides[side] == state.UNKNOWN:
            reg[state.DECISIONS] += 1
            sides[side] = decide_side(t, layer, unit, side)
            if sides[side] == state.UNKNOWN:
                reg[state.DECISIONS] -= 1
                reg[state.ASK_SIDE] = side
                return state.ASK
    return state.DONE


@njit(cache=True, nogil=True)
def walk_by_programs(table: I64, steps: int) -> int:
    """Go on for some steps; DONE, PAUSED, FLUSH, LIMIT, or ASK: see ASK_SIDE."""
    t = bare(table)
    reg = i1(t, state.REG)
    relus = i1(t, state.RELUS)
    widths = i1(t, state.WIDTHS)
    for _ in range(steps):
        if reg[state.LEAVING] == 1:
            if not leave(t):
                return state.DONE
        if reg[state.STARTED] == 0 and reg[state.DEPTH_NOW] >= reg[state.PREFIX_LENGTH]:
            reg[state.STARTED] = 1
            reg[state.DECISIONS], reg[state.DOUBTFUL] = 0, 0
            reg[state.PROGRAMS], reg[state.PIVOTS] = 0, 0
        thin = reg[state.ASK_SIDE] == state.THIN_SUBTREE
        if thin and reg[state.FRONTIER] == 0:
            return state.ASK
        layer = reg[state.LAYER_NOW]
        status = state.DONE
        deep = reg[state.DEPTH_NOW] >= reg[state.FRONTIER] or layer == reg[state.LAYERS]
        if thin or (deep and reg[state.FRONTIER] > 0):
            status = write_program_task(t)
        elif layer == reg[state.LAYERS]:
            status = finish_program_cell(t)
        elif reg[state.UNIT_NOW] == widths[layer] or relus[layer] == 0:
            if layer + 1 < reg[state.LAYERS]:
                enter_next_layer(t)
            else:
                reg[state.LAYER_NOW] = layer + 1
        else:
            status = decide_unit(t)
            if status == state.DONE:
                branch(t)
        if status != state.DONE:
            return status
    return state.PAUSED
