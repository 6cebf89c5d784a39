"""The depth-first search over the splitting tree, resumable after every step.

A node is a polytope with some units of one layer decided. This module holds the order of the search and
the reasons to hand back control; its steps are those of `polygon_steps` or of `polytope_steps`.
"""

from regions.kernels.memory.bits import ZERO, popcount, trailing_zeros
from regions.kernels.memory.compiling import inlined, part, step
from regions.kernels.memory.layouts import SearchMemory
from regions.kernels.memory.states import Mode, Request, Status
from regions.kernels.vertices.flats import are_few
from regions.kernels.vertices.max_winners import count_alive, first_of_pair, pair_of, size_of_pair
from regions.kernels.vertices.nodes import leave_cell

PATIENCE = 256  # steps from one subtree given away to the next: each costs as much as some steps


@inlined
def has_room(search: SearchMemory, top: int) -> bool:
    """Whether the stacks have room for any one step from this node (new vertices of a cut aside)."""
    node = search.nodes[top]
    count = node.n_vertices
    widest = search.units.shape[0]
    needed = node.ring_top + 3 * count + 8
    return (
        top + 3 < search.nodes.shape[0]
        and node.next_slot + 3 < search.slots.shape[0]
        and node.vertex_top + count + 4 < search.points.shape[1]
        and needed < search.ring.shape[0]
        and node.hyperplanes + 2 < search.labels.shape[0]
        and node.first_unit + node.n_candidates + widest < search.candidate_units.shape[0]
        and node.event_top + 2 * widest < search.event_planes.shape[0]
        and node.first_facet + node.n_facets + 2 < search.edges.shape[0]
        and count < search.values.shape[0]
        and widest + 1 < search.work.shape[0]
        and node.depth + 1 < search.trail.shape[0]
    )


@inlined
def first_candidate(search: SearchMemory, top: int) -> int:
    """Return the lowest candidate of a node, -1 if none is left."""
    words = (search.nodes[top].n_candidates + 63) >> 6
    for w in range(words):
        if search.candidates[top, w] != ZERO:
            return (w << 6) + trailing_zeros(search.candidates[top, w])
    return -1


@inlined
def may_count(search: SearchMemory, layer: int) -> bool:
    """Whether the cells that a layer makes of a node may be counted without making them.

    Not where cells are collected, where one part only is wanted, nor in a step that has exact answers. On the
    way to a task's subtree it is only tried, as it was by who gave it away: what that leaves is the same.
    """
    return (
        layer == search.n_layers - 1
        and search.relus[layer] == 1
        and search.maxed[layer] == 0
        and search.mode != Mode.COLLECT
        and search.want_map == 0
        and search.guided == 0
        and search.answered == 0
    )


@inlined
def cells_of_node(search: SearchMemory, top: int) -> int:
    """Return how many cells the candidates that are left make of a node; -1 where it must be cut to tell.

    Each of them has vertices on both sides, so one candidate makes two cells. What a sign left open for a
    node is tried again for its parts once half of the candidates are gone.
    """
    node = search.nodes[top]
    found = 0
    for w in range((node.n_candidates + 63) >> 6):
        found += popcount(search.candidates[top, w])
    tried = node.unclear > 0 and 2 * found > node.unclear and found > 1
    if tried or not may_count(search, node.layer) or not are_few(found, search.dimension):
        return -1
    decisions = search.decisions
    cells = search.count_layer(top, 1) if found > 1 else 2
    if cells < 0 or search.cells + cells > search.cell_limit or search.started == 0:
        search.decisions = decisions
        return -1
    return cells


@part
def cells_of_layer(search: SearchMemory, top: int) -> int:
    """Return how many cells the last layer makes of a node; -1 where the ordinary search must tell."""
    node = search.nodes[top]
    decisions, doubtful = search.decisions, search.doubtful
    cells = search.count_layer(top, 0)
    if cells < 0 or search.cells + cells > search.cell_limit or search.started == 0:
        search.decisions, search.doubtful = decisions, doubtful
        search.asked = 0
        return -1
    search.decisions += search.cutting[node.layer + 1] * node.n_vertices
    return cells


@inlined
def must_choose(search: SearchMemory, top: int, c: int) -> bool:
    """Whether candidate c is a pair of a max unit of which several candidates may win."""
    pair = pair_of(search, top, c)
    return pair >= 0 and count_alive(search, top, first_of_pair(search, pair), size_of_pair(search, pair)) > 1


@part
def begin_task(search: SearchMemory) -> None:
    """Forget the decisions on the way to a task's own subtree: they belong to who gave it away."""
    search.started = 1
    search.decisions = 0
    search.doubtful = 0
    search.placed = 0
    search.splits = 0


@inlined
def interruption(search: SearchMemory, top: int, steps: int) -> int:
    """Return why a search is to stop before a node that a split has just left; DONE: it goes on.

    `steps` were made since it was called.
    """
    request = search.requests[0]
    deep = search.frontier > 0 and search.nodes[top].depth >= search.frontier
    if request == Request.STOP or search.cells >= search.cell_goal or deep:
        return Status.STOPPED
    if request == Request.GIVE and top > search.base and steps >= PATIENCE:
        return Status.GIVE
    return Status.DONE


@step
def search_by_vertices(search: SearchMemory, steps: int) -> int:
    """Go on with a search for at most `steps` steps; returns a Status, why it stopped.

    Each step takes the node on top of the stack. A node with a candidate is split; one without candidates
    goes on to the next layer; one whose layers are all decided is a cell. Where only the number is wanted,
    the last layer is counted without splitting, and such a node stands for several cells. Candidates of a max
    unit are tried one after the other. The way to a task's subtree is not among the steps.

    Before a node as a split left it, the search does what `requests` says: it stops, or gives a subtree away,
    which the caller takes off the bottom of the stack.
    """
    left = steps
    while left > 0:
        top = search.n_nodes - 1
        if top < search.base:
            return Status.DONE
        if search.nodes[top].dead == 1:
            leave_cell(search, top, 0)
            search.fresh = 1
            continue
        if search.started == 0 and search.nodes[top].depth == search.prefix_length:
            begin_task(search)
        if search.started == 1 and search.fresh == 1:
            status = interruption(search, top, steps - left)
            if status != Status.DONE:
                return status
        if not has_room(search, top):
            return Status.GROW
        search.fresh = 0
        c = first_candidate(search, top)
        last = search.nodes[top].layer == search.n_layers - 1
        finished = c < 0 and last
        whole = True  # a cut to where a candidate leads is no split
        decisions, doubtful = search.decisions, search.doubtful
        cells = 1 if finished else -1  # counted at once, their volumes summed as that of the whole
        if c >= 0 and last:
            cells = cells_of_node(search, top)
        elif c < 0 and may_count(search, search.nodes[top].layer + 1):
            cells = cells_of_layer(search, top)
        if cells > 0:
            status = search.finish(top, cells)
            if status != Status.DONE:  # it is done again, and counted again
                search.decisions, search.doubtful = decisions, doubtful
        elif c >= 0 and must_choose(search, top, c):
            status = search.try_candidate(top, c)
        elif c >= 0:
            whole = pair_of(search, top, c) < 0
            status = search.split(top, c)
        else:
            status = search.enter_layer(top, 0)
        if status != Status.DONE:
            return status
        if cells > 0 or (c >= 0 and whole):
            search.fresh = 1
        left -= search.started
    return Status.PAUSED
