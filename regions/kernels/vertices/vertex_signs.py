"""Signs of a layer's units at a node's vertices: kept as bits of candidates, and new vertices on edges.

Bit c of POS and NEG of a vertex says that candidate c is positive, negative there; neither: zero.
"""

import numpy as np
from numba import njit

from regions.kernels.memory import state
from regions.kernels.memory.bits import ONE, ZERO, trailing_zeros
from regions.kernels.memory.table import I64, f1, f2, f3, i1, i2, u1, u2
from regions.kernels.vertices.predicates import bounded_sign


@njit(cache=True, nogil=True)
def clear_signs(t: I64, top: int) -> None:
    """Forget the candidates' signs at a node's vertices."""
    neg = u2(t, state.NEG)
    nodes = i2(t, state.NODES)
    pos = u2(t, state.POS)
    ring = i1(t, state.RING)
    for v in range(nodes[top, state.N_VERTICES]):
        vertex = ring[nodes[top, state.VERTICES] + v]
        pos[vertex, 0] = ZERO
        neg[vertex, 0] = ZERO
        for w in range(1, pos.shape[1]):
            pos[vertex, w] = ZERO
            neg[vertex, w] = ZERO


@njit(cache=True, nogil=True)
def values_at(t: I64, slot: int, unit: int, first: int, count: int) -> None:
    """Pre-activations of a unit at `count` vertices, numbered on from `first`, in LINE."""
    line = f1(t, state.LINE)
    points = f2(t, state.POINTS)
    slots = f3(t, state.SLOTS)
    d = t[state.DIMENSION]
    constant, factor = slots[slot, d, unit], slots[slot, 0, unit]
    axis = points[0, first : first + count]
    for v in range(count):
        line[v] = constant + factor * axis[v]
    for i in range(1, d):
        factor = slots[slot, i, unit]
        axis = points[i, first : first + count]
        for v in range(count):
            line[v] += factor * axis[v]


@njit(cache=True, nogil=True, forceinline=True)
def mark_signs(t: I64, top: int, c: int, unit: int) -> int:
    """Signs at all vertices of a node, just copied, of a unit that may be its candidate c.

    Returns the sum of 2 if + occurs, 1 if -, 4 if zero. The signs are kept in the candidate's bits
    of POS and NEG if both + and - occur, and in VALUES if + and zero occur only.
    """
    line = f1(t, state.LINE)
    neg = u2(t, state.NEG)
    nodes = i2(t, state.NODES)
    pos = u2(t, state.POS)
    ring = i1(t, state.RING)
    values = f2(t, state.VALUES)
    points = f2(t, state.POINTS)
    radii = f1(t, state.RADII)
    slots = f3(t, state.SLOTS)
    second = min(1, t[state.DIMENSION] - 1)  # a valid axis where there is no second one
    node = nodes[top]
    slot = node[state.MAP_SLOT]
    first = ring[node[state.VERTICES]]
    count = node[state.N_VERTICES]
    word = c >> 6
    bit = ONE << np.uint64(c & 63)
    seen = 0
    planar = t[state.PLANAR] == 1
    d = t[state.DIMENSION]
    constant, a, b = slots[slot, d, unit], slots[slot, 0, unit], slots[slot, 1, unit]
    bound, factor = slots[slot, d + 3, unit], slots[slot, d + 4, unit]
    if not planar:
        values_at(t, slot, unit, first, count)
    for v in range(count):
        value = constant + a * points[0, first + v] + b * points[second, first + v] if planar else line[v]
        s = bounded_sign(t, slot, unit, first + v, value, bound + factor * radii[first + v])
        pos[first + v, word] |= bit if s > 0 else ZERO
        neg[first + v, word] |= bit if s < 0 else ZERO
        seen |= 2 if s > 0 else (1 if s < 0 else 4)
    if seen == 6:
        for v in range(count):
            values[v, unit] = 1.0 if pos[first + v, word] & bit != ZERO else 0.0
    if seen & 3 != 3:
        for v in range(count):
            pos[first + v, word] &= ~bit
            neg[first + v, word] &= ~bit
    return seen


@njit(cache=True, nogil=True, forceinline=True)
def sign_at(t: I64, vertex: int, c: int) -> int:
    """Sign of candidate c at a vertex, without a branch."""
    neg = u2(t, state.NEG)
    pos = u2(t, state.POS)
    word = c >> 6
    shift = np.uint64(c & 63)
    return np.int64((pos[vertex, word] >> shift) & ONE) - np.int64((neg[vertex, word] >> shift) & ONE)


@njit(cache=True, nogil=True)
def mark_new_vertices(t: I64, top: int, first: int, count: int) -> None:
    """Signs of a node's candidates at `count` new vertices, number i inside the edge in PAIRS[i].

    Where the ends of the edge do not have opposite signs, the sign inside follows without arithmetic:
    that of an end where it is not zero, zero where both are. Opposite signs are left to the value,
    but for the candidate that makes the cut, whose bits the caller has taken out of CANDS.
    """
    cands = u2(t, state.CANDS)
    cut_units = i1(t, state.CUT_UNITS)
    clashes = u1(t, state.GATHER)
    line = f1(t, state.LINE)
    neg = u2(t, state.NEG)
    nodes = i2(t, state.NODES)
    pairs = i2(t, state.PAIRS)
    pos = u2(t, state.POS)
    radii = f1(t, state.RADII)
    slots = f3(t, state.SLOTS)
    d = t[state.DIMENSION]
    node = nodes[top]
    words = (node[state.N_CANDIDATES] + 63) >> 6
    slot = node[state.MAP_SLOT]
    for w in range(words):
        rest = ZERO
        for v in range(count):
            a, b = pairs[v, 0], pairs[v, 1]
            plus = pos[a, w] | pos[b, w]
            minus = neg[a, w] | neg[b, w]
            clash = plus & minus
            clashes[v] = clash
            rest |= clash
            pos[first + v, w] = plus & ~clash
            neg[first + v, w] = minus & ~clash
        rest &= cands[top, w]
        while rest != ZERO:
            bit = rest & (~rest + ONE)
            unit = cut_units[node[state.CANDIDATES] + (w << 6) + trailing_zeros(rest)]
            rest ^= bit
            bound, factor = slots[slot, d + 3, unit], slots[slot, d + 4, unit]
            values_at(t, slot, unit, first, count)
            for v in range(count):
                if clashes[v] & bit == ZERO:
                    continue
                s = bounded_sign(t, slot, unit, first + v, line[v], bound + factor * radii[first + v])
                pos[first + v, w] |= bit if s > 0 else ZERO
                neg[first + v, w] |= bit if s < 0 else ZERO


@njit(cache=True, nogil=True, forceinline=True)
def unit_value(t: I64, slot: int, unit: int, vertex: int) -> float:
    """Pre-activation of a unit at a vertex."""
    points = f2(t, state.POINTS)
    slots = f3(t, state.SLOTS)
    value = slots[slot, t[state.DIMENSION], unit]
    for i in range(t[state.DIMENSION]):
        value += slots[slot, i, unit] * points[i, vertex]
    return value


@njit(cache=True, nogil=True, forceinline=True)
def place_vertex(t: I64, slot: int, unit: int, a: int, b: int, vertex: int) -> float:
    """Put `vertex` where a unit's hyperplane cuts the edge from `a` (positive) to `b` (negative).

    Returns the fall of the unit's computed value along the edge.
    """
    points = f2(t, state.POINTS)
    above = max(unit_value(t, slot, unit, a), 0.0)
    below = max(-unit_value(t, slot, unit, b), 0.0)
    total = above + below
    part = above / total if total > 0.0 else 0.5
    for i in range(t[state.DIMENSION]):
        xa = points[i, a]
        points[i, vertex] = xa + part * (points[i, b] - xa)
    return total
