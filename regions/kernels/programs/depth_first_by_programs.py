"""The depth-first search over the splitting tree by linear programs: no vertices, any dimension.

A node is a polytope {x : a_i.x <= b_i} with a point strictly inside. Units are decided one after the
other: the point gives one side for nothing, and `unit_sides` decides the other. What it leaves open is
asked of rational arithmetic.
"""

import numpy as np

from regions.kernels.memory.compiling import inlined, part, step
from regions.kernels.memory.layouts import SearchMemory
from regions.kernels.memory.states import THIN_SUBTREE, Mode, Request, Side, Status
from regions.kernels.programs.unit_sides import below_zero_in_domain, decide_side, height_at, power_of_two
from regions.kernels.programs.witnesses import add_row, centre_witness, set_witness
from regions.kernels.vertices.layer_maps import start_map
from regions.kernels.vertices.predicates import pass_on

PATIENCE = 8  # steps from one subtree given away to the next: each costs as much as a program or two


@part
def settle_unit(search: SearchMemory, side: int) -> None:
    """Record the side of the unit in hand on the polytope in hand, and go on to the next unit."""
    layer, unit = search.layer, search.unit
    search.states[search.unit_starts[layer] + unit] = side
    search.sides[0], search.sides[1] = Side.UNKNOWN, Side.UNKNOWN
    search.unit = unit + 1


@inlined
def enter_part(search: SearchMemory, branch: int) -> None:
    """Count a split, of whose parts, in the order of the search, the `branch`-th is in hand now."""
    search.trail[search.depth] = branch
    search.depth += 1
    search.fresh = 1


@part
def take_side(search: SearchMemory, side: int, kind: int, branch: int) -> None:
    """Go down into one side of the unit in hand, the `branch`-th of its node in the order of the search."""
    add_row(search, search.layer, search.unit, side)
    enter_part(search, branch)
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


@inlined
def rivals_of(search: SearchMemory) -> int:
    """How many candidates the max unit of the unit in hand has; 1 where that is an ordinary one."""
    return search.rivals[1, search.unit_starts[search.layer] + search.unit]


@part
def skip_candidate(search: SearchMemory) -> None:
    """Go down to where the candidate in hand does not win: the same polytope, with the next one in hand."""
    enter_part(search, 1)
    settle_unit(search, 0)


@part
def set_rival(search: SearchMemory) -> None:
    """Find which candidate of the max unit in hand wins at the witness."""
    layer = search.layer
    start = search.unit_starts[layer]
    first = search.rivals[0, start + search.unit]
    most = -np.inf
    for row in range(first, first + rivals_of(search)):
        value, _ = height_at(search, layer, row, 1.0, search.witness)
        if value > most:
            most, search.rival = value, row


@part
def surely_behind(search: SearchMemory, row: int, leader: int) -> bool:
    """Whether a candidate is behind another one in the whole box of the domain's extents."""
    pair = row_of_pair(search, search.layer, row, leader)
    return below_zero_in_domain(search, search.layer, pair, 1.0 if row < leader else -1.0)


@part
def may_lose(search: SearchMemory) -> bool:
    """Whether some later candidate may win where the one in hand does not."""
    last = search.rivals[0, search.unit_starts[search.layer] + search.unit] + rivals_of(search)
    for row in range(search.unit + 1, last):
        if row == search.rival or not surely_behind(search, row, search.rival):
            return True
    return False


@part
def choose_candidate(search: SearchMemory) -> None:
    """Go down to where the candidate in hand wins, and keep for later where it does not, if that may be.

    A candidate that is behind the one that wins at the witness everywhere is passed over, which is no choice.
    """
    set_rival(search)
    search.compared = 0
    if search.unit != search.rival and surely_behind(search, search.unit, search.rival):
        first = search.rivals[0, search.unit_starts[search.layer] + search.unit]
        if search.unit == first + rivals_of(search) - 1:
            give_up(search)
        else:
            settle_unit(search, 0)
        return
    if not may_lose(search):
        search.tried = search.unit
        return
    if search.started == 0 and search.trail[search.depth] == 1:
        skip_candidate(search)
        return
    if search.started == 1:
        for j in range(search.dimension):
            search.side_points[0, j] = search.witness[j]
        keep_side(search, 0, Side.INSIDE)
    enter_part(search, 0)
    search.tried = search.unit


@part
def rival_in_turn(search: SearchMemory) -> int:
    """The candidate that the one that is tried is compared with next."""
    first = search.rivals[0, search.unit_starts[search.layer] + search.tried]
    size = rivals_of(search)
    return first + (search.rival - first + search.compared) % size


@inlined
def row_of_pair(search: SearchMemory, layer: int, a: int, b: int) -> int:
    """The row, behind those of its layer, of the pair of two candidates of one max unit."""
    low, high = min(a, b), max(a, b)
    first = search.rivals[0, search.unit_starts[layer] + low]
    size = search.rivals[1, search.unit_starts[layer] + low]
    low, high = low - first, high - first
    at = low * (2 * size - low - 1) // 2 + high - low - 1
    return search.widths[layer] + search.unit_pairs[search.unit_starts[layer] + first] + at


@part
def win(search: SearchMemory) -> None:
    """Record that the candidate that was tried wins on the polytope in hand, and go on after its max unit."""
    start = search.unit_starts[search.layer]
    first, size = search.rivals[0, start + search.tried], rivals_of(search)
    for row in range(first, first + size):
        search.states[start + row] = 1 if row == search.tried else 0
    search.tried = -1
    search.unit = first + size


@part
def give_up(search: SearchMemory) -> None:
    """Leave the node in hand, on which the candidate that was tried wins nowhere."""
    below = search.depth - search.prefix_length
    if below <= 40:
        search.done_parts += 1 << (40 - max(0, below))
    search.tried = -1
    search.leaving = 1


@part
def decide_one_side(search: SearchMemory, unit: int, side: int) -> int:
    """Find out, unless it is known, whether a side of a unit or pair has interior points; DONE or ASK."""
    if search.sides[side] == Side.UNKNOWN:
        search.decisions += 1
        search.sides[side] = decide_side(search, search.layer, unit, side)
        if search.sides[side] == Side.UNKNOWN:
            search.decisions -= 1
            search.ask_side = side
            return Status.ASK
    return Status.DONE


@part
def compare_candidate(search: SearchMemory) -> int:
    """Compare the candidate that is tried with its next rival: cut the polytope to where it leads.

    Where it leads nowhere the node has no cells, unless the two tie everywhere and it is the earlier one. ASK
    where a side stays open.
    """
    layer = search.layer
    if search.compared == rivals_of(search):
        win(search)
        return Status.DONE
    rival = rival_in_turn(search)
    if rival == search.tried or surely_behind(search, rival, search.tried):
        search.compared += 1
        return Status.DONE
    pair = row_of_pair(search, layer, search.tried, rival)
    search.pair = pair
    side = 1 if search.tried < rival else 0
    status = decide_one_side(search, pair, side)
    if status == Status.DONE and search.sides[side] == Side.EMPTY and side == 1:
        status = decide_one_side(search, pair, 0)
    if status != Status.DONE:
        return status
    kind, other = search.sides[side], search.sides[0]
    search.sides[0], search.sides[1] = Side.UNKNOWN, Side.UNKNOWN
    if kind == Side.EMPTY and not (side == 1 and other == Side.EMPTY):
        give_up(search)
        return Status.DONE
    search.compared += 1
    if kind == Side.EMPTY or power_of_two(search, layer, pair) == 0.0:
        return Status.DONE
    add_row(search, layer, pair, side)
    if kind == Side.INSIDE:
        set_witness(search, search.side_points[side])
        centre_witness(search)
        return Status.DONE
    while search.compared < rivals_of(search):
        rival = rival_in_turn(search)
        if rival != search.tried:
            pair = row_of_pair(search, layer, search.tried, rival)
            add_row(search, layer, pair, 1 if search.tried < rival else 0)
        search.compared += 1
    win(search)
    search.ask_side = THIN_SUBTREE
    return Status.DONE


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
    search.tried = -1
    target, source = search.side_points[side], search.pending_points[at]
    for j in range(search.dimension):
        target[j] = source[j]
    if rivals_of(search) > 1:
        set_witness(search, target)
        skip_candidate(search)
    else:
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
    start_map(search, layer + 1, layer, layer + 1)
    search.add_units(layer + 1, layer, layer + 1, count)
    if search.maxed[layer + 1] > 0:
        search.set_pairs(layer + 1, layer + 1)
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
        status = decide_one_side(search, unit, side)
        if status != Status.DONE:
            return status
    return Status.DONE


@step
def search_by_programs(search: SearchMemory, steps: int) -> int:
    """Go on with a search for at most `steps` steps; returns a Status, why it stopped (ASK: see `ask_side`).

    A step decides one unit on the polytope in hand and goes down into a side, or compares a candidate of a
    max unit with another, or enters the next layer, or counts a cell and takes up the side that was kept
    last. The way to a task's subtree is no step.

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
        elif search.tried >= 0:
            status = compare_candidate(search)
        elif rivals_of(search) > 1:
            choose_candidate(search)
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
