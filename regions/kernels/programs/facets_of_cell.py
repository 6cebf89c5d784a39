"""Which rows of a cell are its facets, by rays and linear programs in Clarkson's way; any dimension.

Every unit gives a row a.x <= b of the cell, few of them are facets. A ray from the witness that meets
one row before all others shows a facet: the point between the first and the second row on it violates one
row only. A row that no ray met is maximised over the facets found so far: that bounds it away from the
cell, or ends beyond it, and the ray to that point meets a new facet (Clarkson, More output-sensitive
geometric algorithms, FOCS 1994). Points and bounds are checked as in `unit_sides`, with all errors;
what they leave open is left to rational arithmetic.
"""

import numpy as np

from regions.kernels.memory.bits import SMALLEST
from regions.kernels.memory.compiling import inlined, part
from regions.kernels.memory.entries import entry
from regions.kernels.memory.layouts import SearchMemory
from regions.kernels.memory.states import RowStatus
from regions.kernels.programs.depth_first_by_programs import enter_next_layer, is_linear, row_of_pair
from regions.kernels.programs.simplex import NO_EDGE
from regions.kernels.programs.unit_sides import (
    ENLARGED,
    F64,
    FAR_ENOUGH,
    PIVOT_TOLERANCE,
    careful_simplex,
    height_at,
    power_of_two,
    set_multipliers,
    slacks_at,
    upper_bound,
)
from regions.kernels.programs.witnesses import add_row, set_witness

SHARE = 0.5  # how far beyond the first row, towards the second, a point is taken


@part
def is_exactly_zero(search: SearchMemory, layer: int, unit: int) -> bool:
    """Whether a unit is known to be 0 on the whole cell: it has no coefficients, no constant, no error."""
    d = search.dimension
    constant, error = search.slots[layer, d, unit], search.slots[layer, d + 1, unit]
    return constant == 0.0 and error == 0.0 and power_of_two(search, layer, unit) == 0.0


@part
def load_rows_of_winner(search: SearchMemory, layer: int, winner: int) -> bool:
    """List what the candidate that wins leads its rivals by; as `load_rows`."""
    start = search.unit_starts[layer]
    first, size = search.rivals[0, start + winner], search.rivals[1, start + winner]
    clear = True
    for rival in range(first, first + size):
        if rival == winner:
            continue
        pair = row_of_pair(search, layer, winner, rival)
        side = 1 if winner < rival else 0
        if power_of_two(search, layer, pair) > 0.0:
            add_row(search, layer, pair, side)
        elif is_exactly_zero(search, layer, pair):
            search.undecided[start + winner], search.undecided[start + rival] = 1, 1
            clear = clear and side == 1
        else:
            lead = search.slots[layer, search.dimension, pair]
            lead = lead if side == 1 else -lead
            clear = clear and lead > search.slots[layer, search.dimension + 1, pair]
    return clear


@part
def load_rows(search: SearchMemory) -> bool:
    """List all rows of the cell of `states`; False if the sign of a unit that is constant there is not known.

    The domain's rows come first, as they stand in `columns`.
    """
    d = search.dimension
    clear = True
    search.layer = 0
    for layer in range(search.relu_layers):
        if search.relus[layer] == 1:
            for unit in range(search.widths[layer]):
                search.undecided[search.unit_starts[layer] + unit] = 0
            for unit in range(search.widths[layer]):
                side = search.states[search.unit_starts[layer] + unit]
                if search.rivals[1, search.unit_starts[layer] + unit] > 1:
                    clear = (side == 0 or load_rows_of_winner(search, layer, unit)) and clear
                    continue
                if is_linear(search, layer, unit):
                    continue
                if power_of_two(search, layer, unit) > 0.0:
                    add_row(search, layer, unit, side)
                else:
                    value = search.slots[layer, d, unit]
                    error = search.slots[layer, d + 1, unit]
                    zero = is_exactly_zero(search, layer, unit)
                    search.undecided[search.unit_starts[layer] + unit] = 1 if zero else 0
                    known = value > error if side == 1 else value < -error or zero
                    clear = clear and known
        if layer + 1 < search.relu_layers:
            enter_next_layer(search)
    return clear


@part
def keep_rows(search: SearchMemory, sides: int) -> None:
    """Copy the rows to `all_columns`, with slacks at the witness; the first `sides` stay in the program."""
    m = search.n_rows
    set_witness(search, search.witness)
    for i in range(m):
        search.all_right[i] = search.right[i]
        search.all_errors[i] = search.errors[i]
        search.all_labels[i] = search.labels[i]
        search.all_slacks[i] = search.witness_slacks[i]
        search.all_noise[i] = search.witness_noise[i]
        search.chosen[i] = 1 if i < sides else 0
        search.facet_status[i] = RowStatus.NOT_ASKED
    for j in range(search.dimension):
        for i in range(m):
            search.all_columns[j, i] = search.columns[j, i]
    search.n_all_rows = m
    search.n_rows = sides


@inlined
def doubt(search: SearchMemory, row: int, noise: float) -> float:
    """Bound how far the computed slack of a row at a point may be from the true one."""
    if search.certified == 0:
        return PIVOT_TOLERANCE * noise
    gamma = search.gamma_point
    return ENLARGED * (search.all_errors[row] + gamma * noise) + SMALLEST


@part
def inside_all_rows(search: SearchMemory, but: int) -> bool:
    """Whether `point` is beyond row `but` (-1: none) and strictly inside all others, beyond doubt."""
    m = search.n_all_rows
    slacks_at(search.all_columns, search.all_right, m, search.point, search.slacks, search.noise)
    for i in range(m):
        slack = -search.slacks[i] if i == but else search.slacks[i]
        if not slack > doubt(search, i, search.noise[i]):
            return False
    return True


@part
def shoot_ray(search: SearchMemory, direction: F64) -> int:
    """Shoot a ray from the witness; returns the row that it shows to be a facet, which is recorded, or -1."""
    d, m = search.dimension, search.n_all_rows
    largest = 0.0
    for j in range(d):
        largest = max(largest, abs(direction[j]))
    for i in range(m):
        search.speeds[i] = 0.0
    for j in range(d):
        x = direction[j]
        column = search.all_columns[j]
        for i in range(m):
            search.speeds[i] += column[i] * x
    first, nearest, second = -1, np.inf, np.inf
    for i in range(m):
        if search.speeds[i] > PIVOT_TOLERANCE * largest:
            at = max(search.all_slacks[i], 0.0) / search.speeds[i]
            if at < nearest:
                first, nearest, second = i, at, nearest
            elif at < second:
                second = at
    if first < 0:
        return -1
    far = nearest + SHARE * min(second - nearest, nearest)
    for j in range(d):
        search.point[j] = search.witness[j] + far * direction[j]
    if not inside_all_rows(search, first):
        return -1
    search.facet_status[first] = RowStatus.FACET
    for j in range(d):
        search.facet_beyond[first, j] = search.point[j]
    return first


@part
def choose_rows(search: SearchMemory) -> None:
    """Add the facets that are new to the rows of the program."""
    m = search.n_rows
    for i in range(search.n_all_rows):
        if search.facet_status[i] == RowStatus.FACET and search.chosen[i] == 0:
            search.chosen[i] = 1
            for j in range(search.dimension):
                search.columns[j, m] = search.all_columns[j, i]
            search.right[m] = search.all_right[i]
            search.errors[m] = search.all_errors[i]
            search.witness_slacks[m] = search.all_slacks[i]
            search.witness_noise[m] = search.all_noise[i]
            m += 1
    search.n_rows = m


@part
def ask_row(search: SearchMemory, row: int) -> int:
    """Decide one row in Clarkson's way, by a program over the chosen rows and rays to its points.

    A program that does not get beyond the row bounds it away from the cell. One that does gives a ray, which
    meets a facet: this row, or one that the program did not know and that is chosen for the next attempt.
    """
    right = search.all_right[row]
    depth = max(search.all_slacks[row], 0.0)
    error = search.all_errors[row]
    d = search.dimension
    target = FAR_ENOUGH * depth
    while True:
        choose_rows(search)
        for j in range(d):
            search.objective[j] = search.all_columns[j, row]
        end, height = careful_simplex(search, -depth, target)
        if not height > 0.0:
            if end != NO_EDGE:
                return RowStatus.OPEN
            set_multipliers(search, False)
            below = search.certified == 0 or upper_bound(search, -right, error) < 0.0
            return RowStatus.REDUNDANT if below else RowStatus.OPEN
        for j in range(d):
            search.ray[j] = search.point[j] - search.witness[j]
        found = shoot_ray(search, search.ray)
        if found == row:
            return RowStatus.FACET
        if found < 0 and target == np.inf:
            return RowStatus.OPEN
        if found < 0:
            target = np.inf
        elif search.chosen[found] == 1:
            return RowStatus.OPEN


@part
def relax_side(search: SearchMemory, row: int, by: float) -> None:
    """Move a side of the domain away from the cell, in the program only."""
    search.right[row] += by
    search.witness_slacks[row] += by


@part
def recentre(search: SearchMemory) -> None:
    """Move the witness to the middle of its chord along each axis in turn, if it stays inside."""
    d, m = search.dimension, search.n_all_rows
    for i in range(m):
        search.speeds[i] = search.all_slacks[i]
    for j in range(d):
        column = search.all_columns[j]
        up, down = np.inf, np.inf
        for i in range(m):
            if column[i] > PIVOT_TOLERANCE:
                up = min(up, search.speeds[i] / column[i])
            elif column[i] < -PIVOT_TOLERANCE:
                down = min(down, -search.speeds[i] / column[i])
        step = 0.5 * (up - down)
        if abs(step) < np.inf:
            search.point[j] += step
            for i in range(m):
                search.speeds[i] -= step * column[i]
    if inside_all_rows(search, -1):
        for j in range(d):
            search.witness[j] = search.point[j]
        slacks_at(
            search.all_columns, search.all_right, m, search.witness, search.all_slacks, search.all_noise
        )
    for j in range(d):
        search.point[j] = search.witness[j]


@part
def set_winner(search: SearchMemory, layer: int, first: int) -> bool:
    """Set the states of the candidates of a max unit to those at `point`; False if the winner is in doubt."""
    start = search.unit_starts[layer]
    winner, most = first, -np.inf
    for row in range(first, first + search.rivals[1, start + first]):
        value, _ = height_at(search, layer, row, 1.0, search.point)
        if value > most:
            winner, most = row, value
    for rival in range(first, first + search.rivals[1, start + first]):
        search.states[start + rival] = 1 if rival == winner else 0
        if rival == winner:
            continue
        pair = row_of_pair(search, layer, winner, rival)
        lead, bound = height_at(search, layer, pair, 1.0 if winner < rival else -1.0, search.point)
        if not lead > bound and not (winner < rival and is_exactly_zero(search, layer, pair)):
            return False
    return True


@part
def set_states(search: SearchMemory) -> bool:
    """Set `states` to the pattern at `point`; False if a sign is in doubt."""
    search.layer = 0
    for layer in range(search.relu_layers):
        if search.relus[layer] == 1:
            for unit in range(search.widths[layer]):
                if search.rivals[1, search.unit_starts[layer] + unit] > 1:
                    if unit == search.rivals[0, search.unit_starts[layer] + unit] and not set_winner(
                        search, layer, unit
                    ):
                        return False
                    continue
                if is_linear(search, layer, unit):
                    search.states[search.unit_starts[layer] + unit] = 1
                    continue
                value, bound = height_at(search, layer, unit, 1.0, search.point)
                if abs(value) <= bound and not is_exactly_zero(search, layer, unit):
                    return False
                search.states[search.unit_starts[layer] + unit] = 1 if value > 0.0 else 0
        if layer + 1 < search.relu_layers:
            enter_next_layer(search)
    return True


@part
def cross_facet(search: SearchMemory, row: int) -> bool:
    """Find the cell right beyond a facet of the cell of `states_before`: its pattern, and a point inside.

    Where the way from the witness to a point beyond meets the facet, every unit but those that are 0
    there has the same sign in the cells on both sides. So a point farther on whose pattern differs
    in such units only is inside the neighbour; nearer and nearer ones are tried. Where two candidates of a
    max unit tie on the facet, the other one wins beyond.
    """
    unit, other = search.all_labels[row], -1
    n_units = search.unit_starts[search.n_layers]
    if unit >= n_units:
        start = search.pair_rows[2, unit - n_units]
        other = start + search.pair_rows[1, unit - n_units]
        unit = start + search.pair_rows[0, unit - n_units]
    d, n = search.dimension, search.states.shape[0]
    right = search.all_right[row]
    inner, outer = right, -right
    for j in range(d):
        inner -= search.all_columns[j, row] * search.witness[j]
        outer += search.all_columns[j, row] * search.facet_beyond[row, j]
    meeting = inner / (inner + outer)
    share = 1.0 - meeting
    for _ in range(40):
        for j in range(d):
            search.point[j] = search.witness[j] + (meeting + share) * (
                search.facet_beyond[row, j] - search.witness[j]
            )
        share *= 0.5
        if not set_states(search) or search.states[unit] == search.states_before[unit]:
            continue
        if other >= 0 and search.states[other] == search.states_before[other]:
            continue
        others = 0
        for k in range(n):
            others += (
                1
                if search.states[k] != search.states_before[k]
                and k not in (unit, other)
                and search.undecided[k] == 0
                else 0
            )
        if others > 0:
            continue
        for k in range(n):
            search.next_states[row, k] = search.states[k]
        for j in range(d):
            search.facet_beyond[row, j] = search.point[j]
        return True
    return False


@part
def decide_rows(search: SearchMemory, sides: int) -> None:
    """Decide all rows of the cell in hand: rays along their normals first, then programs."""
    m = search.n_all_rows
    for row in range(m):
        if search.facet_status[row] == RowStatus.NOT_ASKED:
            for j in range(search.dimension):
                search.ray[j] = search.all_columns[j, row]
            shoot_ray(search, search.ray)
    set_witness(search, search.witness)
    for row in range(m):
        if search.facet_status[row] != RowStatus.NOT_ASKED:
            continue
        right = search.right[row] if row < sides else 0.0
        slack = search.witness_slacks[row] if row < sides else 0.0
        if row < sides:
            relax_side(search, row, 1.0 + abs(right))
        answer = ask_row(search, row)
        if search.facet_status[row] == RowStatus.NOT_ASKED:
            search.facet_status[row] = answer
        if row < sides:
            search.right[row] = right
            search.witness_slacks[row] = slack


@entry
def find_facets(search: SearchMemory, sides: int, ask_sides: bool) -> int:
    """Decide every row of the cell of `states`, with `witness` strictly inside, and cross the facets.

    The rows are listed and the witness is moved towards the middle; then rays along the normals of the rows
    find most facets, and programs over the facets found so far decide the rest. Returns how many rows stay
    open; a facet whose neighbour is in doubt counts as open. The domain's rows are the first `sides` of the
    program; unless asked, they count as redundant, but bound the cell. -1: the point is not inside beyond
    doubt, or the sign of a unit that is constant on the cell is not known.
    """
    search.n_rows = sides
    clear = load_rows(search)
    keep_rows(search, sides)
    for j in range(search.dimension):
        search.point[j] = search.witness[j]
    if not clear or not inside_all_rows(search, -1):
        return -1
    for _ in range(2):
        recentre(search)
    if not ask_sides:
        for row in range(sides):
            search.facet_status[row] = RowStatus.REDUNDANT
    decide_rows(search, sides)
    for k in range(search.states.shape[0]):
        search.states_before[k] = search.states[k]
    open_rows = 0
    for row in range(search.n_all_rows):
        if row >= sides and search.facet_status[row] == RowStatus.FACET and not cross_facet(search, row):
            search.facet_status[row] = RowStatus.OPEN
        open_rows += 1 if search.facet_status[row] == RowStatus.OPEN else 0
    return open_rows


@entry
def locate(search: SearchMemory) -> bool:
    """Set `states` to the pattern at `witness`; False if a sign is in doubt."""
    for j in range(search.dimension):
        search.point[j] = search.witness[j]
    return set_states(search)
