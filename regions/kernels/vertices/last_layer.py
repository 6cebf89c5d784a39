"""Counting the cells of a polygon's last layer (d = 2) without making nodes of them.

What counting needs of a cut is which candidates still cut the two parts. The vertices, their signs
and the order of the cuts are those of `planar` and `layers`, so the count is theirs too.
"""

import numpy as np
from numba import njit

from regions.kernels.memory import state
from regions.kernels.memory.bits import ONE, ZERO, popcount, trailing_zeros
from regions.kernels.memory.table import I64, f1, f2, f3, i1, i2, u2
from regions.kernels.vertices.error_bounds import carried_radius
from regions.kernels.vertices.layer_maps import bounding_box, list_undecided
from regions.kernels.vertices.polygons import mark_vertex
from regions.kernels.vertices.predicates import bounded_sign, screen_layer, set_bound
from regions.kernels.vertices.vertex_signs import place_vertex


@njit(cache=True, nogil=True)
def may_count(t: I64, top: int) -> bool:
    """Whether a node with a decided layer enters the last one, and all that is wanted is the count."""
    nodes = i2(t, state.NODES)
    reg = i1(t, state.REG)
    relus = i1(t, state.RELUS)
    layer = nodes[top, state.LAYER] + 1
    return (
        t[state.PLANAR] == 1
        and layer == t[state.N_LAYERS] - 1
        and relus[layer] == 1
        and reg[state.MODE] != state.COLLECT
        and reg[state.WANT_MAP] == 0
        and reg[state.GUIDED] == 0
        and reg[state.FRONTIER] == 0
        and reg[state.ANSWERED] == 0
        and (reg[state.STARTED] == 1 or reg[state.PREFIX_LENGTH] == 0)
    )


@njit(cache=True, nogil=True, forceinline=True)
def spread_vertices(t: I64, top: int) -> None:
    """Copy a node's vertices, without signs, to the free places behind them, and list them in RING."""
    definitions = i2(t, state.DEFINITIONS)
    neg = u2(t, state.NEG)
    nodes = i2(t, state.NODES)
    points = f2(t, state.POINTS)
    pos = u2(t, state.POS)
    radii = f1(t, state.RADII)
    ring = i1(t, state.RING)
    node = nodes[top]
    start, new, end = node[state.VERTICES], node[state.VERTEX_TOP], node[state.RING_TOP]
    for v in range(node[state.N_VERTICES]):
        old = ring[start + v]
        points[0, new + v] = points[0, old]
        points[1, new + v] = points[1, old]
        radii[new + v] = radii[old]
        pos[new + v, 0] = ZERO
        neg[new + v, 0] = ZERO
        ring[end + v] = new + v
    if t[state.CERTIFIED] == 1:
        for v in range(node[state.N_VERTICES]):
            old = ring[start + v]
            definitions[new + v, 0] = definitions[old, 0]
            definitions[new + v, 1] = definitions[old, 1]


@njit(cache=True, nogil=True, forceinline=True)
def mark_unit(t: I64, slot: int, unit: int, bit: np.uint64, first: int, count: int) -> int:
    """Signs of a unit at `count` vertices from `first` on, kept in `bit`; 2 if + occurs, plus 1 if -."""
    neg = u2(t, state.NEG)
    points = f2(t, state.POINTS)
    pos = u2(t, state.POS)
    radii = f1(t, state.RADII)
    slots = f3(t, state.SLOTS)
    constant, a, b = slots[slot, 2, unit], slots[slot, 0, unit], slots[slot, 1, unit]
    bound, factor = slots[slot, 5, unit], slots[slot, 6, unit]
    seen = 0
    for v in range(first, first + count):
        value = constant + a * points[0, v] + b * points[1, v]
        s = bounded_sign(t, slot, unit, v, value, bound + factor * radii[v])
        pos[v, 0] |= bit if s > 0 else ZERO
        neg[v, 0] |= bit if s < 0 else ZERO
        seen |= 2 if s > 0 else (1 if s < 0 else 0)
    return seen


@njit(cache=True, nogil=True)
def count_cells_of(t: I64, top: int) -> int:
    """Number of cells that the last layer makes of a node; -1 where the ordinary walk must tell.

    That is so where a stack has no room for it, where there are more than 64 candidates, and in
    certified arithmetic where a sign is doubtful.
    """
    cut_units = i1(t, state.CUT_UNITS)
    neg = u2(t, state.NEG)
    nodes = i2(t, state.NODES)
    open_units = i1(t, state.UNITS)
    pos = u2(t, state.POS)
    reg = i1(t, state.REG)
    widths = i1(t, state.WIDTHS)
    node = nodes[top]
    layer = node[state.LAYER] + 1
    slot = node[state.SLOT]
    count = node[state.N_VERTICES]
    reach, radius = bounding_box(t, node[state.VERTICES], count)
    screen_layer(t, layer, slot, reach, radius)
    first = node[state.VERTEX_TOP]
    units = node[state.CANDIDATES] + node[state.N_CANDIDATES]
    cuts = 0
    n_open = list_undecided(t, widths[layer])
    if n_open > 0:
        spread_vertices(t, top)
    for i in range(n_open):
        k = open_units[i]
        if cuts == 64:
            return -1
        bit = ONE << np.uint64(cuts)
        set_bound(t, slot, k, reach)
        if mark_unit(t, slot, k, bit, first, count) == 3:
            cut_units[units + cuts] = k
            cuts += 1
        else:
            for v in range(first, first + count):
                pos[v, 0] &= ~bit
                neg[v, 0] &= ~bit
    if reg[state.ASKED] > 0:
        return -1
    if cuts < 2:
        return 1 + cuts
    return count_parts(t, top, slot, units, cuts)


@njit(cache=True, nogil=True)
def count_parts(t: I64, top: int, slot: int, units: int, cuts: int) -> int:
    """Number of parts that `cuts` candidates make of a node's polygon; -1 where a stack has no room.

    Parts with two candidates or more wait in the rows of NODES and CANDS above the node.
    """
    cands = u2(t, state.CANDS)
    nodes = i2(t, state.NODES)
    points = f2(t, state.POINTS)
    reg = i1(t, state.REG)
    ring = i1(t, state.RING)
    node = nodes[top]
    part = top + 1
    count = node[state.N_VERTICES]
    nodes[part, state.VERTICES] = node[state.RING_TOP]
    nodes[part, state.RING_TOP] = node[state.RING_TOP] + count
    nodes[part, state.VERTEX_TOP] = node[state.VERTEX_TOP] + count
    nodes[part, state.N_VERTICES] = count
    cands[part, 0] = ~ZERO >> np.uint64(64 - cuts)
    cells = 0
    while part > top:
        here = nodes[part]
        count = here[state.N_VERTICES]
        if (
            part + 3 >= nodes.shape[0]
            or here[state.VERTEX_TOP] + count + 4 >= points.shape[1]
            or here[state.RING_TOP] + 4 * count + 8 >= ring.shape[0]
        ):
            return -1
        n_new, below, above = cut_part(t, part, slot, units)
        if reg[state.ASKED] > 0:
            return -1
        n_below, n_above = popcount(below), popcount(above)
        cells += 1 + n_below if n_below < 2 else 0
        cells += 1 + n_above if n_above < 2 else 0
        if n_below < 2 and n_above < 2:
            part -= 1
        else:
            part = keep_parts(t, part, n_new, below, above)
    return cells


@njit(cache=True, nogil=True, forceinline=True)
def cut_part(t: I64, part: int, slot: int, units: int) -> tuple[int, np.uint64, np.uint64]:
    """Cut a part by its lowest candidate: new vertices, candidates of the negative, of the positive side."""
    cands = u2(t, state.CANDS)
    cut_units = i1(t, state.CUT_UNITS)
    definitions = i2(t, state.DEFINITIONS)
    freg = f1(t, state.FREG)
    neg = u2(t, state.NEG)
    nodes = i2(t, state.NODES)
    pos = u2(t, state.POS)
    radii = f1(t, state.RADII)
    reg = i1(t, state.REG)
    ring = i1(t, state.RING)
    start, count = nodes[part, state.VERTICES], nodes[part, state.N_VERTICES]
    new = nodes[part, state.VERTEX_TOP]
    others = cands[part, 0]
    bit = others & (~others + ONE)
    others ^= bit
    unit = cut_units[units + trailing_zeros(bit)]
    plus_below, minus_below, plus_above, minus_above = ZERO, ZERO, ZERO, ZERO
    n_new = 0
    a = ring[start + count - 1]
    before_plus, before_minus = pos[a, 0] & bit, neg[a, 0] & bit
    for i in range(count):
        b = ring[start + i]
        plus, minus = pos[b, 0], neg[b, 0]
        here_plus, here_minus = plus & bit, minus & bit
        if here_plus == ZERO:
            plus_below |= plus
            minus_below |= minus
        if here_minus == ZERO:
            plus_above |= plus
            minus_above |= minus
        if (before_plus & here_minus) | (before_minus & here_plus) != ZERO:
            vertex = new + n_new
            n_new += 1
            high, low = b if here_plus != ZERO else a, a if here_plus != ZERO else b
            fall = place_vertex(t, slot, unit, high, low, vertex)
            radii[vertex] = freg[state.RADIUS]
            if t[state.CERTIFIED] == 1:
                radii[vertex] = carried_radius(t, slot, unit, high, low, fall)
                definitions[vertex, 0] = -1
            mark_vertex(t, slot, units, others, 0, high, low, vertex)
            plus_below |= pos[vertex, 0]
            minus_below |= neg[vertex, 0]
            plus_above |= pos[vertex, 0]
            minus_above |= neg[vertex, 0]
        a, before_plus, before_minus = b, here_plus, here_minus
    reg[state.DECISIONS] += n_new * popcount(others)
    return n_new, others & plus_below & minus_below, others & plus_above & minus_above


@njit(cache=True, nogil=True)
def keep_parts(t: I64, part: int, n_new: int, below: np.uint64, above: np.uint64) -> int:
    """Replace a part by those of its two sides that have two candidates or more; returns the last part."""
    cands = u2(t, state.CANDS)
    neg = u2(t, state.NEG)
    nodes = i2(t, state.NODES)
    pos = u2(t, state.POS)
    ring = i1(t, state.RING)
    start, count = nodes[part, state.VERTICES], nodes[part, state.N_VERTICES]
    new, end = nodes[part, state.VERTEX_TOP], nodes[part, state.RING_TOP]
    bit = cands[part, 0] & (~cands[part, 0] + ONE)
    last = part - 1
    for side in range(2):
        candidates = below if side == 0 else above
        if popcount(candidates) < 2:
            continue
        last += 1
        first = end
        vertex = new
        a = ring[start + count - 1]
        for i in range(count):
            b = ring[start + i]
            crossed = (pos[a, 0] & neg[b, 0]) | (neg[a, 0] & pos[b, 0])
            if crossed & bit != ZERO:
                ring[end] = vertex
                vertex += 1
                end += 1
            ring[end] = b
            away = pos[b, 0] if side == 0 else neg[b, 0]
            end += 1 if away & bit == ZERO else 0
            a = b
        nodes[last, state.VERTICES] = first
        nodes[last, state.N_VERTICES] = end - first
        nodes[last, state.RING_TOP] = end
        nodes[last, state.VERTEX_TOP] = new + n_new
        cands[last, 0] = candidates
    return last
