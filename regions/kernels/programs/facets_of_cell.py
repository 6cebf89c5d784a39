"""Which rows of a cell are its facets, by rays and linear programs in Clarkson's way; any dimension.

Every unit gives a row a.x <= b of the cell, few of them are facets. A ray from the witness that meets
one row before all others shows a facet: the point between the first and the second row on it violates one
row only. A row that no ray met is maximised over the facets found so far: that bounds it away from the
cell, or ends beyond it, and the ray to that point meets a new facet (Clarkson, More output-sensitive
geometric algorithms, FOCS 1994). Points and bounds are checked as in `lp_walk`, with all errors; what
they leave open is left to rational arithmetic.
"""

import numpy as np
from numba import njit

from regions.kernels.memory import state
from regions.kernels.memory.bits import SMALLEST
from regions.kernels.memory.table import I64, bare, f1, f2, f3, i1, i2
from regions.kernels.programs.program_walk import add_row, enter_next_layer, set_witness
from regions.kernels.programs.simplex import NO_EDGE
from regions.kernels.programs.unit_sides import (
    ENLARGED,
    F64,
    FAR_ENOUGH,
    PIVOT_TOLERANCE,
    climb,
    height_at,
    power_of_two,
    set_multipliers,
    slacks_at,
    upper_bound,
)

SHARE = 0.5  # how far beyond the first row, towards the second, a point is taken


@njit(cache=True, nogil=True)
def is_exactly_zero(t: I64, layer: int, unit: int) -> bool:
    """Whether a unit is known to be 0 on the whole cell: it has no coefficients, no constant, no error."""
    slots = f3(t, state.SLOTS)
    d = t[state.DIMENSION]
    constant, error = slots[layer, d, unit], slots[layer, d + 1, unit]
    return constant == 0.0 and error == 0.0 and power_of_two(t, layer, unit) == 0.0


@njit(cache=True, nogil=True)
def load_rows(t: I64) -> bool:
    """List all rows of the cell of STATES; False if the sign of a unit that is constant there is not known.

    The domain's rows come first, as they stand in PROGRAM_COLUMNS.
    """
    reg = i1(t, state.REG)
    relus = i1(t, state.RELUS)
    slots = f3(t, state.SLOTS)
    states = i1(t, state.STATES)
    undecided = i1(t, state.UNDECIDED)
    unit_starts = i1(t, state.UNIT_STARTS)
    widths = i1(t, state.WIDTHS)
    d = t[state.DIMENSION]
    clear = True
    reg[state.LAYER_NOW] = 0
    for layer in range(reg[state.LAYERS]):
        if relus[layer] == 1:
            for unit in range(widths[layer]):
                side = states[unit_starts[layer] + unit]
                undecided[unit_starts[layer] + unit] = 0
                if power_of_two(t, layer, unit) > 0.0:
                    add_row(t, layer, unit, side)
                else:
                    value = slots[layer, d, unit]
                    error = slots[layer, d + 1, unit]
                    zero = is_exactly_zero(t, layer, unit)
                    undecided[unit_starts[layer] + unit] = 1 if zero else 0
                    known = value > error if side == 1 else value < -error or zero
                    clear = clear and known
        if layer + 1 < reg[state.LAYERS]:
            enter_next_layer(t)
    return clear


@njit(cache=True, nogil=True)
def keep_rows(t: I64, sides: int) -> None:
    """Move the rows to ALL_COLUMNS, with slacks at the witness; the domain's `sides` stay in the program."""
    columns = f2(t, state.PROGRAM_COLUMNS)
    whole = f2(t, state.ALL_COLUMNS)
    reg = i1(t, state.REG)
    m = reg[state.ROWS_NOW]
    set_witness(t, f1(t, state.WITNESS))
    chosen = i1(t, state.CHOSEN)
    status = i1(t, state.FACET_STATUS)
    for i in range(m):
        f1(t, state.ALL_RIGHT)[i] = f1(t, state.PROGRAM_RIGHT)[i]
        f1(t, state.ALL_ERRORS)[i] = f1(t, state.PROGRAM_ERRORS)[i]
        i1(t, state.ALL_LABELS)[i] = i1(t, state.PROGRAM_LABELS)[i]
        f1(t, state.ALL_SLACKS)[i] = f1(t, state.WITNESS_SLACKS)[i]
        f1(t, state.ALL_NOISE)[i] = f1(t, state.WITNESS_NOISE)[i]
        chosen[i] = 1 if i < sides else 0
        status[i] = state.NOT_ASKED
    for j in range(t[state.DIMENSION]):
        for i in range(m):
            whole[j, i] = columns[j, i]
    reg[state.ALL_ROWS] = m
    reg[state.ROWS_NOW] = sides


@njit(cache=True, nogil=True, forceinline=True)
def doubt(t: I64, row: int, noise: float) -> float:
    """How far the computed slack of a row at a point may be from the true one."""
    if t[state.CERTIFIED] == 0:
        return PIVOT_TOLERANCE * noise
    gamma = f1(t, state.FREG)[state.GAMMA_POINT]
    return ENLARGED * (f1(t, state.ALL_ERRORS)[row] + gamma * noise) + SMALLEST


@njit(cache=True, nogil=True)
def inside_all_rows(t: I64, but: int) -> bool:
    """Whether PROGRAM_POINT is beyond row `but` (-1: none) and strictly inside all others, beyond doubt."""
    noise = f1(t, state.TRY_NOISE)
    point = f1(t, state.PROGRAM_POINT)
    slacks = f1(t, state.TRY_SLACKS)
    m = i1(t, state.REG)[state.ALL_ROWS]
    slacks_at(f2(t, state.ALL_COLUMNS), f1(t, state.ALL_RIGHT), m, point, slacks, noise)
    for i in range(m):
        slack = -slacks[i] if i == but else slacks[i]
        if not slack > doubt(t, i, noise[i]):
            return False
    return True


@njit(cache=True, nogil=True)
def shoot_ray(t: I64, direction: F64) -> int:
    """The row that a ray from the witness shows to be a facet, which is recorded; -1 if it shows none."""
    beyond = f2(t, state.FACET_BEYOND)
    columns = f2(t, state.ALL_COLUMNS)
    point = f1(t, state.PROGRAM_POINT)
    reg = i1(t, state.REG)
    slacks = f1(t, state.ALL_SLACKS)
    speeds = f1(t, state.SPEEDS)
    status = i1(t, state.FACET_STATUS)
    witness = f1(t, state.WITNESS)
    d, m = t[state.DIMENSION], reg[state.ALL_ROWS]
    largest = 0.0
    for j in range(d):
        largest = max(largest, abs(direction[j]))
    for i in range(m):
        speeds[i] = 0.0
    for j in range(d):
        x = direction[j]
        column = columns[j]
        for i in range(m):
            speeds[i] += column[i] * x
    first, nearest, second = -1, np.inf, np.inf
    for i in range(m):
        if speeds[i] > PIVOT_TOLERANCE * largest:
            at = max(slacks[i], 0.0) / speeds[i]
            if at < nearest:
                first, nearest, second = i, at, nearest
            elif at < second:
                second = at
    if first < 0:
        return -1
    far = nearest + SHARE * min(second - nearest, nearest)
    for j in range(d):
        point[j] = witness[j] + far * direction[j]
    if not inside_all_rows(t, first):
        return -1
    status[first] = state.FACET
    for j in range(d):
        beyond[first, j] = point[j]
    return first


@njit(cache=True, nogil=True)
def choose_rows(t: I64) -> None:
    """Add the facets that are new to the rows of the program."""
    chosen = i1(t, state.CHOSEN)
    columns = f2(t, state.PROGRAM_COLUMNS)
    reg = i1(t, state.REG)
    status = i1(t, state.FACET_STATUS)
    whole = f2(t, state.ALL_COLUMNS)
    m = reg[state.ROWS_NOW]
    for i in range(reg[state.ALL_ROWS]):
        if status[i] == state.FACET and chosen[i] == 0:
            chosen[i] = 1
            for j in range(t[state.DIMENSION]):
                columns[j, m] = whole[j, i]
            f1(t, state.PROGRAM_RIGHT)[m] = f1(t, state.ALL_RIGHT)[i]
            f1(t, state.PROGRAM_ERRORS)[m] = f1(t, state.ALL_ERRORS)[i]
            f1(t, state.WITNESS_SLACKS)[m] = f1(t, state.ALL_SLACKS)[i]
            f1(t, state.WITNESS_NOISE)[m] = f1(t, state.ALL_NOISE)[i]
            m += 1
    reg[state.ROWS_NOW] = m


@njit(cache=True, nogil=True)
def ask_row(t: I64, row: int) -> int:
    """Decide one row: what the program over the chosen rows, or the rays that follow from it, show."""
    c = f1(t, state.OBJECTIVE)
    columns = f2(t, state.ALL_COLUMNS)
    point = f1(t, state.PROGRAM_POINT)
    ray = f1(t, state.PROGRAM_RAY)
    witness = f1(t, state.WITNESS)
    right = f1(t, state.ALL_RIGHT)[row]
    depth = max(f1(t, state.ALL_SLACKS)[row], 0.0)
    error = f1(t, state.ALL_ERRORS)[row]
    d = t[state.DIMENSION]
    target = FAR_ENOUGH * depth
    while True:
        choose_rows(t)
        for j in range(d):
            c[j] = columns[j, row]
        end, height = climb(t, -depth, target)
        if not height > 0.0:
            if end != NO_EDGE:
                return state.OPEN
            set_multipliers(t, False)
            below = t[state.CERTIFIED] == 0 or upper_bound(t, -right, error) < 0.0
            return state.REDUNDANT if below else state.OPEN
        for j in range(d):
            ray[j] = point[j] - witness[j]
        found = shoot_ray(t, ray)
        if found == row:
            return state.FACET
        if found < 0 and target == np.inf:
            return state.OPEN
        if found < 0:
            target = np.inf
        elif i1(t, state.CHOSEN)[found] == 1:
            return state.OPEN


@njit(cache=True, nogil=True)
def relax_side(t: I64, row: int, by: float) -> None:
    """Move a side of the domain away from the cell, in the program only."""
    f1(t, state.PROGRAM_RIGHT)[row] += by
    f1(t, state.WITNESS_SLACKS)[row] += by


@njit(cache=True, nogil=True)
def recentre(t: I64) -> None:
    """Move the witness to the middle of its chord along each axis in turn, if it stays inside."""
    columns = f2(t, state.ALL_COLUMNS)
    point = f1(t, state.PROGRAM_POINT)
    reg = i1(t, state.REG)
    slacks = f1(t, state.ALL_SLACKS)
    trial = f1(t, state.SPEEDS)
    witness = f1(t, state.WITNESS)
    d, m = t[state.DIMENSION], reg[state.ALL_ROWS]
    for i in range(m):
        trial[i] = slacks[i]
    for j in range(d):
        column = columns[j]
        up, down = np.inf, np.inf
        for i in range(m):
            if column[i] > PIVOT_TOLERANCE:
                up = min(up, trial[i] / column[i])
            elif column[i] < -PIVOT_TOLERANCE:
                down = min(down, -trial[i] / column[i])
        step = 0.5 * (up - down)
        if abs(step) < np.inf:
            point[j] += step
            for i in range(m):
                trial[i] -= step * column[i]
    if inside_all_rows(t, -1):
        for j in range(d):
            witness[j] = point[j]
        slacks_at(columns, f1(t, state.ALL_RIGHT), m, witness, slacks, f1(t, state.ALL_NOISE))
    for j in range(d):
        point[j] = witness[j]


@njit(cache=True, nogil=True)
def set_states(t: I64) -> bool:
    """Set STATES to the pattern at PROGRAM_POINT; False if a sign is in doubt."""
    point = f1(t, state.PROGRAM_POINT)
    reg = i1(t, state.REG)
    relus = i1(t, state.RELUS)
    states = i1(t, state.STATES)
    unit_starts = i1(t, state.UNIT_STARTS)
    widths = i1(t, state.WIDTHS)
    reg[state.LAYER_NOW] = 0
    for layer in range(reg[state.LAYERS]):
        if relus[layer] == 1:
            for unit in range(widths[layer]):
                value, bound = height_at(t, layer, unit, 1.0, point)
                if abs(value) <= bound and not is_exactly_zero(t, layer, unit):
                    return False
                states[unit_starts[layer] + unit] = 1 if value > 0.0 else 0
        if layer + 1 < reg[state.LAYERS]:
            enter_next_layer(t)
    return True


@njit(cache=True, nogil=True)
def cross_facet(t: I64, row: int) -> bool:
    """Find the cell right beyond a facet of the cell of STATES_BEFORE: its pattern, and a point inside.

    Where the way from the witness to a point beyond meets the facet, every unit but those that are 0
    there has the same sign in the cells on both sides. So a point farther on whose pattern differs
    in such units only is inside the neighbour; nearer and nearer ones are tried.
    """
    before = i1(t, state.STATES_BEFORE)
    beyond = f2(t, state.FACET_BEYOND)
    following = i2(t, state.NEXT_STATES)
    point = f1(t, state.PROGRAM_POINT)
    states = i1(t, state.STATES)
    undecided = i1(t, state.UNDECIDED)
    unit = i1(t, state.ALL_LABELS)[row]
    witness = f1(t, state.WITNESS)
    d, n = t[state.DIMENSION], states.shape[0]
    right = f1(t, state.ALL_RIGHT)[row]
    columns = f2(t, state.ALL_COLUMNS)
    inner, outer = right, -right
    for j in range(d):
        inner -= columns[j, row] * witness[j]
        outer += columns[j, row] * beyond[row, j]
    meeting = inner / (inner + outer)
    share = 1.0 - meeting
    for _ in range(40):
        for j in range(d):
            point[j] = witness[j] + (meeting + share) * (beyond[row, j] - witness[j])
        share *= 0.5
        if not set_states(t) or states[unit] == before[unit]:
            continue
        others = 0
        for k in range(n):
            others += 1 if states[k] != before[k] and k != unit and undecided[k] == 0 else 0
        if others > 0:
            continue
        for k in range(n):
            following[row, k] = states[k]
        for j in range(d):
            beyond[row, j] = point[j]
        return True
    return False


@njit(cache=True, nogil=True)
def decide_rows(t: I64, sides: int) -> None:
    """Decide all rows of the cell in hand: rays along their normals first, then programs."""
    columns = f2(t, state.ALL_COLUMNS)
    ray = f1(t, state.PROGRAM_RAY)
    status = i1(t, state.FACET_STATUS)
    m = i1(t, state.REG)[state.ALL_ROWS]
    for row in range(m):
        if status[row] == state.NOT_ASKED:
            for j in range(t[state.DIMENSION]):
                ray[j] = columns[j, row]
            shoot_ray(t, ray)
    set_witness(t, f1(t, state.WITNESS))
    for row in range(m):
        if status[row] != state.NOT_ASKED:
            continue
        right = f1(t, state.PROGRAM_RIGHT)[row] if row < sides else 0.0
        slack = f1(t, state.WITNESS_SLACKS)[row] if row < sides else 0.0
        if row < sides:
            relax_side(t, row, 1.0 + abs(right))
        answer = ask_row(t, row)
        if status[row] == state.NOT_ASKED:
            status[row] = answer
        if row < sides:
            f1(t, state.PROGRAM_RIGHT)[row] = right
            f1(t, state.WITNESS_SLACKS)[row] = slack


@njit(cache=True, nogil=True)
def find_facets(table: I64, sides: int, ask_sides: bool) -> int:
    """Decide every row of the cell of STATES, with WITNESS strictly inside, and cross the facets.

    Returns how many rows stay open; a facet whose neighbour is in doubt counts as open. The domain's rows
    are the first `sides` of the program; unless asked, they count as redundant, but bound the cell. -1: the
    point is not inside beyond doubt, or the sign of a unit that is constant on the cell is not known.
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
    if not ask_sides:
        for row in range(sides):
            status[row] = state.REDUNDANT
    decide_rows(t, sides)
    for k in range(states.shape[0]):
        before[k] = states[k]
    open_rows = 0
    for row in range(reg[state.ALL_ROWS]):
        if row >= sides and status[row] == state.FACET and not cross_facet(t, row):
            status[row] = state.OPEN
        open_rows += 1 if status[row] == state.OPEN else 0
    return open_rows


@njit(cache=True, nogil=True)
def locate(table: I64) -> bool:
    """Set STATES to the pattern at WITNESS; False if a sign is in doubt."""
    t = bare(table)
    point = f1(t, state.PROGRAM_POINT)
    witness = f1(t, state.WITNESS)
    for j in range(t[state.DIMENSION]):
        point[j] = witness[j]
    return set_states(t)
