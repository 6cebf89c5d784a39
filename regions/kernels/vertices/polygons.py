"""Polygons (d = 2) as vertex rings: cutting one, copying one, its area and sides.

Ring entry i of a node is a vertex and, in `edge`, the hyperplane of the side from it to the next.
"""

import numpy as np
from numba import njit

from regions.kernels.memory import state
from regions.kernels.memory.bits import ONE, ZERO, trailing_zeros
from regions.kernels.memory.table import I64, f1, f2, f3, i1, i2, u1, u2
from regions.kernels.vertices.cell_output import add_ring
from regions.kernels.vertices.error_bounds import place_exactly, radius_in_plane
from regions.kernels.vertices.layer_maps import add_event
from regions.kernels.vertices.predicates import bounded_sign
from regions.kernels.vertices.vertex_signs import place_vertex, sign_at


@njit(cache=True, nogil=True)
def copy_polygon(t: I64, top: int) -> None:
    """Give a node fresh copies of its vertices, so that a new layer's signs can be kept with them."""
    definitions = i2(t, state.DEFINITIONS)
    edges = i1(t, state.EDGES)
    nodes = i2(t, state.NODES)
    points = f2(t, state.POINTS)
    radii = f1(t, state.RADII)
    ring = i1(t, state.RING)
    node = nodes[top]
    target, vertices = node[state.RING_TOP], node[state.VERTEX_TOP]
    count = node[state.N_VERTICES]
    certified = t[state.CERTIFIED] == 1
    for i in range(count):
        old = ring[node[state.VERTICES] + i]
        new = vertices + i
        points[0, new] = points[0, old]
        points[1, new] = points[1, old]
        radii[new] = radii[old]
        if certified:
            definitions[new, 0] = definitions[old, 0]
            definitions[new, 1] = definitions[old, 1]
        ring[target + i] = new
        edges[target + i] = edges[node[state.VERTICES] + i]
    node[state.VERTICES] = target
    node[state.RING_TOP] = target + count
    node[state.VERTEX_TOP] = vertices + count


@njit(cache=True, nogil=True, forceinline=True)
def cut_side(t: I64, top: int, c: int, a: int, b: int, new: int, side: int) -> None:
    """Make vertex `new` where candidate c cuts the side from `a` (positive) to `b` (negative)."""
    cut_units = i1(t, state.CUT_UNITS)
    definitions = i2(t, state.DEFINITIONS)
    freg = f1(t, state.FREG)
    nodes = i2(t, state.NODES)
    radii = f1(t, state.RADII)
    node = nodes[top]
    line = node[state.HYPERPLANES]
    unit = cut_units[node[state.CANDIDATES] + c]
    place_vertex(t, node[state.MAP_SLOT], unit, a, b, new)
    radii[new] = freg[state.RADIUS]
    if t[state.CERTIFIED] == 1:
        definitions[new, 0] = side
        definitions[new, 1] = line
        radii[new] = radius_in_plane(t, side, line, new)
        if not radii[new] <= freg[state.LARGEST_ERROR]:
            place_exactly(t, new)


@njit(cache=True, nogil=True, forceinline=True)
def mark_vertex(
    t: I64, slot: int, units: int, candidates: np.uint64, word: int, a: int, b: int, vertex: int
) -> None:
    """Signs of one word of candidates at a new vertex between `a` and `b`, as in `marks.mark_new_vertices`.

    `units` is the first of the candidates in CUT_UNITS.
    """
    cut_units = i1(t, state.CUT_UNITS)
    neg = u2(t, state.NEG)
    points = f2(t, state.POINTS)
    pos = u2(t, state.POS)
    radii = f1(t, state.RADII)
    slots = f3(t, state.SLOTS)
    first = units + 64 * word
    x, y, radius = points[0, vertex], points[1, vertex], radii[vertex]
    plus = pos[a, word] | pos[b, word]
    minus = neg[a, word] | neg[b, word]
    clash = plus & minus
    plus &= ~clash
    minus &= ~clash
    clash &= candidates
    while clash != ZERO:
        bit = clash & (~clash + ONE)
        clash ^= bit
        unit = cut_units[first + trailing_zeros(bit)]
        value = slots[slot, 2, unit] + slots[slot, 0, unit] * x + slots[slot, 1, unit] * y
        bound = slots[slot, 5, unit] + slots[slot, 6, unit] * radius
        s = bounded_sign(t, slot, unit, vertex, value, bound)
        plus |= bit if s > 0 else ZERO
        minus |= bit if s < 0 else ZERO
    pos[vertex, word] = plus
    neg[vertex, word] = minus


@njit(cache=True, nogil=True, forceinline=True)
def cut_polygon(t: I64, top: int, c: int) -> tuple[int, int, int]:
    """Cut a node's polygon by candidate c: (new vertices, entries of the negative, of the positive part).

    The two rings are written from state.RING_TOP on, the negative one first.
    """
    cands = u2(t, state.CANDS)
    edges = i1(t, state.EDGES)
    neg = u2(t, state.NEG)
    nodes = i2(t, state.NODES)
    pairs = i2(t, state.PAIRS)
    pos = u2(t, state.POS)
    reg = i1(t, state.REG)
    ring = i1(t, state.RING)
    sides = i1(t, state.WORK)
    node = nodes[top]
    word = c >> 6
    shift = np.uint64(c & 63)
    count = node[state.N_VERTICES]
    start = node[state.VERTICES]
    line = node[state.HYPERPLANES]
    new = node[state.VERTEX_TOP]
    minus = node[state.RING_TOP]
    plus = minus + count + 4
    n_minus = 0
    n_plus = 0
    n_new = 0
    b = ring[start]
    there = np.int64((pos[b, word] >> shift) & ONE) - np.int64((neg[b, word] >> shift) & ONE)
    # all is written always and kept where the sign says so: branches here cannot be predicted
    for i in range(count):
        a, here = b, there
        side = edges[start + i]
        b = ring[start + (i + 1 if i + 1 < count else 0)]
        there = np.int64((pos[b, word] >> shift) & ONE) - np.int64((neg[b, word] >> shift) & ONE)
        ring[plus + n_plus] = a
        edges[plus + n_plus] = line if here == 0 and there < 0 else side
        n_plus += 1 if here >= 0 else 0
        ring[minus + n_minus] = a
        edges[minus + n_minus] = line if here == 0 and there > 0 else side
        n_minus += 1 if here <= 0 else 0
        crossed = 1 if here * there < 0 else 0
        pairs[n_new, 0] = a if here > 0 else b
        pairs[n_new, 1] = b if here > 0 else a
        sides[n_new] = side
        ring[plus + n_plus] = new + n_new
        edges[plus + n_plus] = line if here > 0 else side
        n_plus += crossed
        ring[minus + n_minus] = new + n_new
        edges[minus + n_minus] = side if here > 0 else line
        n_minus += crossed
        n_new += crossed
    for v in range(n_new):
        cut_side(t, top, c, pairs[v, 0], pairs[v, 1], new + v, sides[v])
    if reg[state.ASKED] <= reg[state.ANSWERED]:
        for w in range((node[state.N_CANDIDATES] + 63) >> 6):
            for v in range(n_new):
                a, b = pairs[v, 0], pairs[v, 1]
                mark_vertex(t, node[state.MAP_SLOT], node[state.CANDIDATES], cands[top, w], w, a, b, new + v)
    for i in range(n_plus):
        ring[minus + n_minus + i] = ring[plus + i]
        edges[minus + n_minus + i] = edges[plus + i]
    return n_new, n_minus, n_plus


@njit(cache=True, nogil=True)
def touched_side(t: I64, top: int, unit: int) -> None:
    """Record the side on which a touching unit vanishes, if any (signs in `tree.z`)."""
    edges = i1(t, state.EDGES)
    nodes = i2(t, state.NODES)
    unit_keys = u1(t, state.UNIT_KEYS)
    unit_starts = i1(t, state.UNIT_STARTS)
    values = f2(t, state.VALUES)
    node = nodes[top]
    count = node[state.N_VERTICES]
    for i in range(count):
        if values[i, unit] == 0.0 and values[(i + 1) % count, unit] == 0.0:
            key = unit_keys[unit_starts[node[state.LAYER]] + unit]
            add_event(t, top, edges[node[state.VERTICES] + i], key)


@njit(cache=True, nogil=True)
def touched_side_of_candidate(t: I64, top: int, c: int) -> None:
    """Record the side on which a candidate that has just become active vanishes, if any."""
    cut_units = i1(t, state.CUT_UNITS)
    edges = i1(t, state.EDGES)
    nodes = i2(t, state.NODES)
    ring = i1(t, state.RING)
    unit_keys = u1(t, state.UNIT_KEYS)
    unit_starts = i1(t, state.UNIT_STARTS)
    node = nodes[top]
    count = node[state.N_VERTICES]
    start = node[state.VERTICES]
    for i in range(count):
        a = ring[start + i]
        b = ring[start + (i + 1) % count]
        if sign_at(t, a, c) == 0 and sign_at(t, b, c) == 0:
            unit = cut_units[node[state.CANDIDATES] + c]
            key = unit_keys[unit_starts[node[state.LAYER]] + unit]
            add_event(t, top, edges[start + i], key)


@njit(cache=True, nogil=True, forceinline=True)
def polygon_area(t: I64, top: int) -> float:
    """Area of a node's polygon, from its first vertex so that small cells keep their digits."""
    nodes = i2(t, state.NODES)
    points = f2(t, state.POINTS)
    ring = i1(t, state.RING)
    node = nodes[top]
    start = node[state.VERTICES]
    x0 = points[0, ring[start]]
    y0 = points[1, ring[start]]
    last = ring[start + 1]
    ux, uy = points[0, last] - x0, points[1, last] - y0
    twice = 0.0
    for i in range(2, node[state.N_VERTICES]):
        vertex = ring[start + i]
        vx, vy = points[0, vertex] - x0, points[1, vertex] - y0
        twice += ux * vy - uy * vx
        ux, uy = vx, vy
    return 0.5 * abs(twice)


@njit(cache=True, nogil=True)
def collect_polygon(t: I64, top: int) -> float:
    """Write a polygon's area, centroid and sides to the output; returns the area."""
    nodes = i2(t, state.NODES)
    out_centroid = f2(t, state.OUT_CENTROID)
    out_facets = i1(t, state.OUT_FACETS)
    out_measure = f1(t, state.OUT_MEASURE)
    out_point = f2(t, state.OUT_POINT)
    out_vertices = i1(t, state.OUT_VERTICES)
    points = f2(t, state.POINTS)
    reg = i1(t, state.REG)
    ring = i1(t, state.RING)
    node = nodes[top]
    start = node[state.VERTICES]
    count = node[state.N_VERTICES]
    at = reg[state.OUT_CELLS]
    x0 = points[0, ring[start]]
    y0 = points[1, ring[start]]
    twice, cx, cy, mx, my = 0.0, 0.0, 0.0, 0.0, 0.0
    half = reg[state.OUT_HALVES]
    for i in range(count):
        a = ring[start + i]
        b = ring[start + (i + 1 if i + 1 < count else 0)]
        ux, uy = points[0, a] - x0, points[1, a] - y0
        vx, vy = points[0, b] - x0, points[1, b] - y0
        cross = ux * vy - uy * vx
        twice += cross
        cx += cross * (ux + vx)
        cy += cross * (uy + vy)
        mx += ux
        my += uy
        length = np.sqrt((vx - ux) * (vx - ux) + (vy - uy) * (vy - uy))
        out_point[half + i, 0] = points[0, a]
        out_point[half + i, 1] = points[1, a]
        out_measure[half + i] = length
    add_ring(t, top)
    if twice > 0.0:
        cx, cy = cx / (3.0 * twice), cy / (3.0 * twice)
    else:
        cx, cy = mx / count, my / count
    out_centroid[at, 0] = x0 + cx
    out_centroid[at, 1] = y0 + cy
    out_vertices[at] = count
    out_facets[at] = count
    return 0.5 * abs(twice)
