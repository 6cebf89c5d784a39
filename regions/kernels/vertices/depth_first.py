"""The depth-first walk over the splitting tree, resumable after every step.

A node is a polytope with some units of one layer decided. `planar` and `cells` know what the
polytope is; here are the order of the walk, the stacks, and the reasons to hand back control.
"""

import numpy as np
from numba import njit

from regions.kernels.memory import state
from regions.kernels.memory.bits import ONE, ZERO, popcount, trailing_zeros
from regions.kernels.memory.table import I64, bare, f1, f2, f3, i1, i2, u1, u2
from regions.kernels.vertices.cell_output import write_jacobian, write_pattern
from regions.kernels.vertices.error_bounds import set_row
from regions.kernels.vertices.last_layer import count_cells_of, may_count
from regions.kernels.vertices.layer_maps import (
    add_units,
    copy_map_with,
    decide_layer,
    first_candidate,
    needs_map,
    set_active,
    settle,
    start_map,
)
from regions.kernels.vertices.polygons import (
    collect_polygon,
    copy_polygon,
    cut_polygon,
    polygon_area,
    touched_side,
    touched_side_of_candidate,
)
from regions.kernels.vertices.polytopes import (
    collect_cell,
    copy_cell,
    cut_cell,
    touched_facet,
    touched_facet_of_candidate,
)


@njit(cache=True, nogil=True, forceinline=True)
def has_room(t: I64, top: int) -> bool:
    """Whether the stacks have room for any one step from this node (new vertices of a cut aside)."""
    cut_units = i1(t, state.CUT_UNITS)
    edges = i1(t, state.EDGES)
    event_planes = i1(t, state.EVENT_PLANES)
    labels = i1(t, state.LABELS)
    nodes = i2(t, state.NODES)
    points = f2(t, state.POINTS)
    ring = i1(t, state.RING)
    slots = f3(t, state.SLOTS)
    units = i1(t, state.UNITS)
    values = f2(t, state.VALUES)
    work = i1(t, state.WORK)
    node = nodes[top]
    count = node[state.N_VERTICES]
    widest = units.shape[0]
    needed = node[state.RING_TOP] + 3 * count + 8
    return (
        top + 3 < nodes.shape[0]
        and node[state.SLOT] + 3 < slots.shape[0]
        and node[state.VERTEX_TOP] + count + 4 < points.shape[1]
        and needed < ring.shape[0]
        and node[state.HYPERPLANES] + 2 < labels.shape[0]
        and node[state.CANDIDATES] + node[state.N_CANDIDATES] + widest < cut_units.shape[0]
        and node[state.EVENT_TOP] + 2 * widest < event_planes.shape[0]
        and node[state.FACETS] + node[state.N_FACETS] + 2 < edges.shape[0]
        and count < values.shape[0]
        and widest + 1 < work.shape[0]
    )


@njit(cache=True, nogil=True)
def enter_layer(t: I64, top: int) -> int:
    """Take a node whose layer is decided on to the next one."""
    nodes = i2(t, state.NODES)
    reg = i1(t, state.REG)
    work = i1(t, state.WORK)
    node = nodes[top]
    spare = nodes[nodes.shape[0] - 1]
    for f in range(node.shape[0]):
        spare[f] = node[f]
    if t[state.PLANAR] == 1:
        copy_polygon(t, top)
    else:
        copy_cell(t, top)
    node[state.CANDIDATES] += node[state.N_CANDIDATES]
    node[state.LAYER] += 1
    node[state.MAP_SLOT] = node[state.SLOT]
    layer = node[state.LAYER]
    active = decide_layer(t, top)
    if active < 0:
        for f in range(node.shape[0]):
            node[f] = spare[f]
        return state.ASK
    reg[state.ANSWERED] = 0
    reg[state.ASKED] = 0
    for i in range(work[0]):
        if t[state.PLANAR] == 1:
            touched_side(t, top, work[1 + i])
        else:
            touched_facet(t, top, work[1 + i])
    if needs_map(t, layer + 1):
        node[state.SLOT] += 1
        start_map(t, layer + 1, node[state.SLOT])
        add_units(t, layer + 1, node[state.MAP_SLOT], node[state.SLOT], active)
    return state.DONE


@njit(cache=True, nogil=True, forceinline=True)
def finish_child(t: I64, top: int, unit: int) -> None:
    """Bring a fresh child up to date: what has become stable, the next layer's map.

    `unit` is the unit that the split made active, -1 in the negative child.
    """
    masks = u2(t, state.MASKS)
    nodes = i2(t, state.NODES)
    reg = i1(t, state.REG)
    node = nodes[top]
    layer = node[state.LAYER]
    if unit >= 0:
        set_active(t, top, layer, unit)
    count = settle(t, top)
    # what vanishes on a facet only matters to the facet's key
    words = (node[state.N_CANDIDATES] + 63) >> 6 if reg[state.MODE] == state.COLLECT else 0
    for w in range(words):
        rest = masks[2, w]
        while rest != ZERO:
            c = (w << 6) + trailing_zeros(rest)
            rest &= rest - ONE
            if t[state.PLANAR] == 1:
                touched_side_of_candidate(t, top, c)
            else:
                touched_facet_of_candidate(t, top, c)
    if count > 0 and needs_map(t, layer + 1):
        add_units(t, layer + 1, node[state.MAP_SLOT], node[state.SLOT], count)


@njit(cache=True, nogil=True, forceinline=True)
def wanted_children(t: I64, top: int, unit: int) -> int:
    """Which parts of a split to follow: 1 the positive, 2 the negative, 3 both."""
    guide = u1(t, state.GUIDE)
    nodes = i2(t, state.NODES)
    prefix = u1(t, state.PREFIX)
    reg = i1(t, state.REG)
    word_starts = i1(t, state.WORD_STARTS)
    node = nodes[top]
    if reg[state.GUIDED] == 1:
        word = guide[word_starts[node[state.LAYER]] + (unit >> 6)]
        return 1 if (word >> np.uint64(unit & 63)) & ONE != ZERO else 2
    depth = node[state.DEPTH]
    if depth < reg[state.PREFIX_LENGTH]:
        return 1 if (prefix[0] >> np.uint64(depth)) & ONE != ZERO else 2
    return 3


@njit(cache=True, nogil=True)
def split(t: I64, top: int, c: int) -> int:
    """Replace a node by its two parts, the positive one on top of the stack."""
    cands = u2(t, state.CANDS)
    cut_units = i1(t, state.CUT_UNITS)
    edges = i1(t, state.EDGES)
    keys = u1(t, state.KEYS)
    labels = i1(t, state.LABELS)
    nodes = i2(t, state.NODES)
    paths = u1(t, state.PATHS)
    pats = u2(t, state.PATS)
    reg = i1(t, state.REG)
    unit_starts = i1(t, state.UNIT_STARTS)
    node = nodes[top]
    unit = cut_units[node[state.CANDIDATES] + c]
    layer = node[state.LAYER]
    line = node[state.HYPERPLANES]
    labels[line] = unit_starts[layer] + unit
    set_row(t, node[state.MAP_SLOT], unit, line)
    reg[state.ASK_LAYER] = layer
    reg[state.ASK_FACETS] = node[state.FACETS]
    if t[state.PLANAR] == 0:
        edges[node[state.FACETS] + node[state.N_FACETS]] = line
    bit = ONE << np.uint64(c & 63)
    cands[top, c >> 6] &= ~bit
    if t[state.PLANAR] == 1:
        n_new, n_minus, n_plus = cut_polygon(t, top, c)
    else:
        n_new, n_minus, n_plus = cut_cell(t, top, c)
        if n_new < 0:
            cands[top, c >> 6] |= bit
            return state.GROW if n_new == -1 else state.GROW_BITS
    if reg[state.ASKED] > reg[state.ANSWERED]:
        cands[top, c >> 6] |= bit
        return state.ASK
    reg[state.ANSWERED] = 0
    reg[state.ASKED] = 0
    reg[state.SPLITS] += 1
    wanted = wanted_children(t, top, unit)
    for w in range(cands.shape[1]):
        reg[state.DECISIONS] += n_new * popcount(cands[top, w])
    if node[state.DEPTH] < 64:
        paths[top] &= ~(ONE << np.uint64(node[state.DEPTH]))
    node[state.VERTEX_TOP] += n_new
    node[state.HYPERPLANES] += 1
    if t[state.PLANAR] == 0:
        node[state.N_FACETS] += 1
    first = node[state.RING_TOP]
    upper = top
    if wanted == 3:
        upper = top + 1
        for f in range(node.shape[0]):
            nodes[upper, f] = node[f]
        cands[upper, 0] = cands[top, 0]
        for w in range(1, cands.shape[1]):
            cands[upper, w] = cands[top, w]
        for w in range(pats.shape[1]):
            pats[upper, w] = pats[top, w]
        keys[upper] = keys[top]
        paths[upper] = paths[top]
        if needs_map(t, layer + 1):
            nodes[upper, state.SLOT] = node[state.SLOT] + 1
    if wanted & 1 and needs_map(t, layer + 1):
        copy_map_with(t, layer + 1, node[state.SLOT], nodes[upper, state.SLOT], node[state.MAP_SLOT], unit)
    # the negative part first: its events lie below those of the positive part, which is walked first
    for sign in (2, 1):
        if wanted & sign == 0:
            continue
        at = top if sign == 2 else upper
        child = nodes[at]
        child[state.EVENT_TOP] = node[state.EVENT_TOP]
        child[state.VERTICES] = first if sign == 2 else first + n_minus
        child[state.N_VERTICES] = n_minus if sign == 2 else n_plus
        child[state.RING_TOP] = child[state.VERTICES] + child[state.N_VERTICES]
        if sign == 1 and child[state.DEPTH] < 64:
            paths[at] |= ONE << np.uint64(child[state.DEPTH])
        child[state.DEPTH] += 1
        finish_child(t, at, unit if sign == 1 else -1)
    reg[state.SP] = upper + 1
    return state.DONE


@njit(cache=True, nogil=True, forceinline=True)
def add_volume(t: I64, volume: float) -> None:
    """Neumaier's sum of the cells' volumes."""
    freg = f1(t, state.FREG)
    total = freg[state.VOLUME]
    new = total + volume
    if abs(total) >= abs(volume):
        freg[state.VOLUME_LOST] += (total - new) + volume
    else:
        freg[state.VOLUME_LOST] += (volume - new) + total
    freg[state.VOLUME] = new


@njit(cache=True, nogil=True)
def finish_cell(t: I64, top: int) -> int:
    """Count, measure or write a finished cell, and take it off the stack."""
    nodes = i2(t, state.NODES)
    out_label = i1(t, state.OUT_LABEL)
    out_volume = f1(t, state.OUT_VOLUME)
    reg = i1(t, state.REG)
    node = nodes[top]
    if reg[state.CELLS] >= reg[state.CELL_LIMIT]:
        return state.LIMIT
    mode = reg[state.MODE]
    if mode == state.COLLECT:
        room = 1 + (node[state.N_VERTICES] if t[state.PLANAR] == 1 else node[state.N_FACETS])
        if (
            reg[state.OUT_CELLS] + 1 >= out_volume.shape[0]
            or reg[state.OUT_HALVES] + room >= out_label.shape[0]
        ):
            return state.FLUSH
        if t[state.PLANAR] == 1:
            volume = collect_polygon(t, top)
        else:
            volume = collect_cell(t, top)
            if volume < 0.0:
                return state.GROW
        write_pattern(t, top)
        write_jacobian(t, top)
        out_volume[reg[state.OUT_CELLS]] = volume
        reg[state.OUT_CELLS] += 1
        add_volume(t, volume)
    elif mode == state.COUNT:
        pass
    elif t[state.PLANAR] == 1:
        add_volume(t, polygon_area(t, top))
    else:
        volume = collect_cell(t, top)
        if volume < 0.0:
            return state.GROW
        reg[state.OUT_HALVES] = 0
        add_volume(t, volume)
    reg[state.CELLS] += 1
    if node[state.DEPTH] <= 40:
        reg[state.DONE_PARTS] += 1 << (40 - node[state.DEPTH])
    reg[state.SP] = top
    return state.DONE


@njit(cache=True, nogil=True)
def cells_of_pair(t: I64, top: int) -> int:
    """2 for a last-layer node with one candidate left, whose cells may be counted without cutting it.

    The candidate has vertices on both sides, so the parts are two cells. -1 where the node must be cut
    after all: cells are collected, one part only is wanted, or the limit is near.
    """
    cands = u2(t, state.CANDS)
    nodes = i2(t, state.NODES)
    reg = i1(t, state.REG)
    node = nodes[top]
    found = 0
    for w in range((node[state.N_CANDIDATES] + 63) >> 6):
        found += popcount(cands[top, w])
    if (
        found != 1
        or reg[state.MODE] == state.COLLECT
        or reg[state.GUIDED] == 1
        or reg[state.FRONTIER] > 0
        or node[state.DEPTH] < reg[state.PREFIX_LENGTH]
        or reg[state.CELLS] + 2 > reg[state.CELL_LIMIT]
    ):
        return -1
    return 2


@njit(cache=True, nogil=True)
def cells_of_layer(t: I64, top: int) -> int:
    """Number of cells that the last layer makes of a node; -1 where the ordinary walk must tell."""
    nodes = i2(t, state.NODES)
    reg = i1(t, state.REG)
    widths = i1(t, state.WIDTHS)
    node = nodes[top]
    decisions, doubtful = reg[state.DECISIONS], reg[state.DOUBTFUL]
    cells = count_cells_of(t, top)
    if cells < 0 or reg[state.CELLS] + cells > reg[state.CELL_LIMIT]:
        reg[state.DECISIONS], reg[state.DOUBTFUL] = decisions, doubtful
        reg[state.ASKED] = 0
        return -1
    reg[state.DECISIONS] += widths[node[state.LAYER] + 1] * node[state.N_VERTICES]
    return cells


@njit(cache=True, nogil=True)
def write_task(t: I64, top: int) -> int:
    """List a node of the frontier: the splits that lead to it."""
    nodes = i2(t, state.NODES)
    out_pattern = u2(t, state.OUT_PATTERN)
    out_vertices = i1(t, state.OUT_VERTICES)
    out_volume = f1(t, state.OUT_VOLUME)
    paths = u1(t, state.PATHS)
    reg = i1(t, state.REG)
    at = reg[state.OUT_CELLS]
    if at + 1 >= out_volume.shape[0]:
        return state.FLUSH
    out_pattern[at, 0] = paths[top]
    out_vertices[at] = nodes[top, state.DEPTH]
    reg[state.OUT_CELLS] = at + 1
    reg[state.SP] = top
    return state.DONE


@njit(cache=True, nogil=True)
def leave_prefix(t: I64, top: int) -> None:
    """Forget the decisions on the way to a task's own subtree: they belong to the walk that cut it off."""
    nodes = i2(t, state.NODES)
    reg = i1(t, state.REG)
    if nodes[top, state.DEPTH] < reg[state.PREFIX_LENGTH]:
        return
    reg[state.STARTED] = 1
    if reg[state.PREFIX_LENGTH] > 0:
        reg[state.DECISIONS] = 0
        reg[state.DOUBTFUL] = 0
        reg[state.PLACED] = 0


@njit(cache=True, nogil=True)
def walk(t: I64, steps: int) -> int:
    """Go on with a walk for at most `steps` steps; returns why it stopped."""
    t = bare(t)
    nodes = i2(t, state.NODES)
    reg = i1(t, state.REG)
    for _ in range(steps):
        top = reg[state.SP] - 1
        if top < 0:
            return state.DONE
        if not has_room(t, top):
            return state.GROW
        c = first_candidate(t, top)
        finished = c < 0 and nodes[top, state.LAYER] == t[state.N_LAYERS] - 1
        deep = c >= 0 and nodes[top, state.DEPTH] >= reg[state.FRONTIER]
        if reg[state.STARTED] == 0 and (finished or c >= 0):
            leave_prefix(t, top)
        if reg[state.FRONTIER] > 0 and (finished or deep):
            status = write_task(t, top)
            if status != state.DONE:
                return status
            continue
        # cells counted at once, their volumes summed as that of the whole; finish_cell has one caller, for
        # everything below it is compiled again with each
        cells = 1 if finished else -1
        if c >= 0 and nodes[top, state.LAYER] == t[state.N_LAYERS] - 1:
            cells = cells_of_pair(t, top)
        elif c < 0 and not finished and may_count(t, top):
            cells = cells_of_layer(t, top)
        if cells > 0:
            status = finish_cell(t, top)
            reg[state.CELLS] += cells - 1 if status == state.DONE else 0
        elif c >= 0:
            status = split(t, top, c)
        else:
            status = enter_layer(t, top)
        if status != state.DONE:
            return status
    return state.PAUSED
