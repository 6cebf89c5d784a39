"""The depth-first walk over the splitting tree by linear programs: no vertices, any dimension.

A node is a polytope {x : a_i.x <= b_i} with a point strictly inside. Units are decided one after the
other: the point gives one side for nothing, a linear program looks for the other, and is left as soon
as it has crossed the unit's zero set. In certified arithmetic nothing that it says is believed: a side
counts as inhabited by a point that satisfies all rows by more than their errors, as empty by multipliers
whose bound holds with all errors added (Neumaier and Shcherbina, Safe bounds in linear and mixed-integer
linear programming, Math. Prog. 99, 2004). What neither shows is asked of rational arithmetic.
"""

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

from regions.kernels import state
from regions.kernels.bits import SMALLEST
from regions.kernels.layers import add_units, start_map
from regions.kernels.predicates import pass_on
from regions.kernels.simplex import ARTIFICIAL, NO_EDGE, NO_ROW, Tableau, pivot, set_artificial_rows
from regions.kernels.table import I64, bare, f1, f2, f3, i1, i2

F64 = NDArray[np.float64]

ENLARGED = 1.000000001  # covers the rounding of the bounds themselves
PIVOT_TOLERANCE = 1e-11  # what the linear programs take for 0; their answers are checked
FAR_ENOUGH = 0.125  # a program stops at a point that is this part of the witness's distance beyond
STALL = 30  # steps of length 0 before Bland's rule


@njit(cache=True, nogil=True)
def power_of_two(t: I64, layer: int, unit: int) -> float:
    """The power of two that brings a unit's largest coefficient to [0.5, 1); 0 if all are 0."""
    slots = f3(t, state.SLOTS)
    largest = 0.0
    for j in range(t[state.DIMENSION]):
        largest = max(largest, abs(slots[layer, j, unit]))
    if largest == 0.0:
        return 0.0
    exponent = math.frexp(largest)[1]
    return math.ldexp(1.0, -max(-900, min(900, exponent)))


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


@njit(cache=True, nogil=True, forceinline=True)
def slacks_at(t: I64, point: F64, slacks: F64, noise: F64) -> None:
    """Slack of every row at a point, and in `noise` the sum of the sizes of its terms."""
    columns = f2(t, state.PROGRAM_COLUMNS)
    right = f1(t, state.PROGRAM_RIGHT)
    m = i1(t, state.REG)[state.ROWS_NOW]
    for i in range(m):
        slacks[i] = right[i]
    for i in range(m):
        noise[i] = abs(right[i])
    for j in range(t[state.DIMENSION]):
        x = point[j]
        column = columns[j]
        for i in range(m):
            slacks[i] -= column[i] * x
        for i in range(m):
            noise[i] += abs(column[i] * x)


@njit(cache=True, nogil=True)
def strictly_inside(t: I64, point: F64) -> bool:
    """Whether a point is inside all rows: in certified arithmetic, of the true ones, beyond doubt.

    The exact value of a true row at a float point differs from the computed one by at most the row's
    error over the domain and the rounding of the evaluation (Higham 2002, eq. 3.5).
    """
    errors = f1(t, state.PROGRAM_ERRORS)
    noise = f1(t, state.TRY_NOISE)
    slacks = f1(t, state.TRY_SLACKS)
    m = i1(t, state.REG)[state.ROWS_NOW]
    slacks_at(t, point, slacks, noise)
    gamma = ENLARGED * f1(t, state.FREG)[state.GAMMA_POINT] if t[state.CERTIFIED] == 1 else 0.0
    enlarged = ENLARGED if t[state.CERTIFIED] == 1 else 0.0
    lost = SMALLEST if t[state.CERTIFIED] == 1 else 0.0
    outside = 0
    for i in range(m):
        outside += 0 if slacks[i] > enlarged * errors[i] + gamma * noise[i] + lost else 1
    return outside == 0


@njit(cache=True, nogil=True)
def height_at(t: I64, layer: int, unit: int, sign: float, point: F64) -> tuple[float, float]:
    """`sign` times a unit's pre-activation at a point, and a bound on the error of that."""
    slots = f3(t, state.SLOTS)
    d = t[state.DIMENSION]
    value = slots[layer, d, unit]
    size = abs(value)
    for j in range(d):
        term = slots[layer, j, unit] * point[j]
        value += term
        size += abs(term)
    rounding = f1(t, state.FREG)[state.GAMMA_POINT] * size
    if t[state.CERTIFIED] == 0:
        return sign * value, PIVOT_TOLERANCE * size
    return sign * value, ENLARGED * (slots[layer, d + 1, unit] + rounding) + SMALLEST


@njit(cache=True, nogil=True)
def below_zero_in_domain(t: I64, layer: int, unit: int, sign: float) -> bool:
    """Whether `sign` times a unit is negative in the whole box of the domain's extents."""
    extents = f1(t, state.EXTENTS)
    slots = f3(t, state.SLOTS)
    d = t[state.DIMENSION]
    size = 0.0
    for j in range(d):
        size += abs(slots[layer, j, unit]) * extents[j]
    constant = slots[layer, d, unit]
    gamma = f1(t, state.FREG)[state.GAMMA_POINT]
    bound = size + slots[layer, d + 1, unit] + gamma * (size + abs(constant))
    return sign * constant + ENLARGED * bound + SMALLEST < 0.0


@njit(cache=True, nogil=True)
def climb(t: I64, value: float, target: float) -> tuple[int, float]:
    """Maximise OBJECTIVE from the witness, where it is `value`, until it exceeds `target`.

    Returns NO_EDGE at the optimum, NO_ROW where something is wrong (the domain is bounded), else the last
    row met; and the value reached, in PROGRAM_POINT.
    """
    active = i1(t, state.ACTIVE_ROWS)
    columns = f2(t, state.PROGRAM_COLUMNS)
    c = f1(t, state.OBJECTIVE)
    edges = f2(t, state.BASIS_EDGES)
    in_basis = i1(t, state.IN_BASIS)
    noise = f1(t, state.TRY_NOISE)
    point = f1(t, state.PROGRAM_POINT)
    ray = f1(t, state.PROGRAM_RAY)
    reg = i1(t, state.REG)
    slacks = f1(t, state.TRY_SLACKS)
    start_noise = f1(t, state.WITNESS_NOISE)
    start_slacks = f1(t, state.WITNESS_SLACKS)
    witness = f1(t, state.WITNESS)
    d, m = t[state.DIMENSION], reg[state.ROWS_NOW]
    square = 0.0
    for j in range(d):
        square += c[j] * c[j]
        point[j] = witness[j]
        active[j] = ARTIFICIAL
    norm = math.sqrt(square)
    set_artificial_rows(c, norm, edges)
    for i in range(m):
        slacks[i] = max(start_slacks[i], 0.0)
        noise[i] = start_noise[i]
        in_basis[i] = 0
    tableau = Tableau(
        columns, slacks[:m], noise[:m], f1(t, state.SPEEDS)[:m], in_basis[:m], edges, active, point, ray
    )
    reg[state.PROGRAMS] += 1
    stalled = 0
    for _ in range(50 * (d + m)):
        row, gain, moved = pivot(tableau, c, norm, PIVOT_TOLERANCE, stalled > STALL)
        if row < 0:
            return row, value
        reg[state.PIVOTS] += 1
        stalled = 0 if moved else stalled + 1
        value += gain
        if value > target:
            return row, value
    return NO_ROW, value


@njit(cache=True, nogil=True)
def upper_bound(t: I64, constant: float, error: float) -> float:
    """A number that OBJECTIVE.x + constant, taken for true up to `error`, exceeds nowhere on the true polytope.

    With y >= 0 and rest = c - y A, c.x = y A x + rest.x <= y (b + errors) + |rest| extents. The multipliers
    are those of the active rows; whatever they are, the bound holds.
    """
    active = i1(t, state.ACTIVE_ROWS)
    c = f1(t, state.OBJECTIVE)
    columns = f2(t, state.PROGRAM_COLUMNS)
    edges = f2(t, state.BASIS_EDGES)
    errors = f1(t, state.PROGRAM_ERRORS)
    extents = f1(t, state.EXTENTS)
    rest = f1(t, state.PROGRAM_RAY)
    right = f1(t, state.PROGRAM_RIGHT)
    d = t[state.DIMENSION]
    gamma = f1(t, state.FREG)[state.GAMMA_POINT]
    total, size = 0.0, abs(constant)
    for j in range(d):
        rest[j] = c[j]
        size += abs(c[j]) * extents[j]
    for p in range(d):
        row = active[p]
        if row < 0:
            continue
        y = 0.0
        for j in range(d):
            y += edges[p, j] * c[j]
        if not y > 0.0:
            continue
        total += y * right[row]
        size += y * abs(right[row])
        error += y * errors[row]
        for j in range(d):
            term = y * columns[j, row]
            rest[j] -= term
            size += abs(term) * extents[j]
    for j in range(d):
        total += abs(rest[j]) * extents[j]
    return constant + total + ENLARGED * (error + 4.0 * gamma * size) + SMALLEST


@njit(cache=True, nogil=True)
def step_over(t: I64, layer: int, unit: int, side: int, depth: float, height: float) -> bool:
    """Put the witness of a side between the polytope's witness, `depth` below it, and the program's point.

    The program's point is on the border of the polytope, `height` above the unit's zero set; half-way from
    there to where the line crosses that set all rows keep part of the distance that the witness has.
    """
    point = f1(t, state.PROGRAM_POINT)
    witness = f1(t, state.WITNESS)
    target = f2(t, state.SIDE_POINTS)[side]
    sign = 1.0 if side == 1 else -1.0
    part = 0.5 + 0.5 * depth / (depth + height)
    for j in range(t[state.DIMENSION]):
        target[j] = witness[j] + part * (point[j] - witness[j])
    value, bound = height_at(t, layer, unit, sign, target)
    return value > bound and strictly_inside(t, target)


@njit(cache=True, nogil=True)
def decide_side(t: I64, layer: int, unit: int, side: int) -> int:
    """Whether one side of a unit has interior points in the polytope: EMPTY, INSIDE or UNKNOWN.

    The witness of INSIDE goes to SIDE_POINTS. Float arithmetic leaves nothing unknown: what no program
    reaches is empty.
    """
    c = f1(t, state.OBJECTIVE)
    side_points = f2(t, state.SIDE_POINTS)
    slots = f3(t, state.SLOTS)
    witness = f1(t, state.WITNESS)
    d = t[state.DIMENSION]
    sign = 1.0 if side == 1 else -1.0
    unsure = state.UNKNOWN if t[state.CERTIFIED] == 1 else state.EMPTY
    value, bound = height_at(t, layer, unit, sign, witness)
    if value > bound:
        for j in range(d):
            side_points[side, j] = witness[j]
        return state.INSIDE
    scale = power_of_two(t, layer, unit)
    if scale == 0.0:
        return state.EMPTY if value < -bound else unsure
    if below_zero_in_domain(t, layer, unit, sign):
        return state.EMPTY
    for j in range(d):
        c[j] = sign * scale * slots[layer, j, unit]
    depth = max(-value, 0.0) * scale
    for target in (FAR_ENOUGH * depth + scale * bound, np.inf):
        row, height = climb(t, -depth, target)
        if height > 0.0 and step_over(t, layer, unit, side, depth, height):
            return state.INSIDE
        if row < 0:
            break
    if row == NO_EDGE:
        constant, error = slots[layer, d, unit], slots[layer, d + 1, unit]
        if upper_bound(t, sign * scale * constant, scale * error) < 0.0:
            return state.EMPTY
    return unsure


@njit(cache=True, nogil=True)
def set_witness(t: I64, point: F64) -> None:
    """Take a point strictly inside as the polytope's witness."""
    witness = f1(t, state.WITNESS)
    for j in range(t[state.DIMENSION]):
        witness[j] = point[j]
    slacks_at(t, witness, f1(t, state.WITNESS_SLACKS), f1(t, state.WITNESS_NOISE))


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
    if kind == state.INSIDE:
        set_witness(t, f2(t, state.SIDE_POINTS)[side])
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
def branch(t: I64) -> bool:
    """Go on where both sides of the unit in hand are known; False: this node is a task of the frontier."""
    guide = i1(t, state.GUIDE)
    reg = i1(t, state.REG)
    sides = i1(t, state.SIDES)
    path = i1(t, state.PREFIX)[0]
    low, high = sides[0], sides[1]
    if low == state.EMPTY or high == state.EMPTY:
        # an interior point is on the inhabited side: no witness is needed, no row, even for a thin one;
        # a unit that is 0 on all of the polytope is inactive
        settle_unit(t, 1 if low == state.EMPTY and high != state.EMPTY else 0)
        return True
    depth = reg[state.DEPTH_NOW]
    if reg[state.FRONTIER] > 0 and depth >= reg[state.FRONTIER]:
        return False
    if depth < reg[state.PREFIX_LENGTH]:
        side = (guide[0] >> depth) & 1
        follow_path(t, path, side)
        take_side(t, side, sides[side])
        return True
    first = 0 if low == state.INSIDE else 1
    kind = sides[first]
    keep_side(t, 1 - first, sides[1 - first])
    follow_path(t, path, first)
    take_side(t, first, kind)
    return True


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
        value, bound = height_at(t, layer, unit, 1.0, f1(t, state.WITNESS))
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
        if thin or (layer == reg[state.LAYERS] and reg[state.FRONTIER] > 0):
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
            if status == state.DONE and not branch(t):
                status = write_program_task(t)
        if status != state.DONE:
            return status
    return state.PAUSED
