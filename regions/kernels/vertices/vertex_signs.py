"""Signs of a layer's units at a node's vertices, kept as bits of the candidates; new vertices on edges.

Bit c of `positive` and of `negative` of a vertex says that candidate c is so there; if neither, it is zero.
"""

import numpy as np

from regions.kernels.memory.bits import ONE, ZERO, trailing_zeros
from regions.kernels.memory.compiling import inlined, part
from regions.kernels.memory.layouts import SearchMemory
from regions.kernels.vertices.predicates import bounded_sign, sure_signs


@part
def clear_signs(search: SearchMemory, top: int) -> None:
    """Forget the candidates' signs at a node's vertices."""
    for v in range(search.nodes[top].n_vertices):
        vertex = search.ring[search.nodes[top].first_vertex + v]
        search.positive[vertex, 0] = ZERO
        search.negative[vertex, 0] = ZERO
        for w in range(1, search.positive.shape[1]):
            search.positive[vertex, w] = ZERO
            search.negative[vertex, w] = ZERO


@part
def values_at(search: SearchMemory, slot: int, unit: int, first: int, count: int) -> None:
    """Put the pre-activations of a unit at `count` vertices, from `first` on, in `unit_values`."""
    d = search.dimension
    constant, factor = search.slots[slot, d, unit], search.slots[slot, 0, unit]
    axis = search.points[0, first : first + count]
    for v in range(count):
        search.unit_values[v] = constant + factor * axis[v]
    for i in range(1, d):
        factor = search.slots[slot, i, unit]
        axis = search.points[i, first : first + count]
        for v in range(count):
            search.unit_values[v] += factor * axis[v]


@inlined
def decide_vertex_signs(search: SearchMemory, top: int, c: int, unit: int) -> int:
    """Decide the signs at all vertices of a node, just copied, of a unit that may be its candidate c.

    Returns the sum of 2 if + occurs, 1 if -, 4 if zero. If both + and - occur, the signs are kept in the
    candidate's bits of `positive` and `negative`; if only + and zero occur, or of a pair - and zero, in
    `values`.
    """
    node = search.nodes[top]
    slot = node.map_slot
    first = search.ring[node.first_vertex]
    count = node.n_vertices
    word = c >> 6
    bit = ONE << np.uint64(c & 63)
    seen = 0
    planar = search.planar == 1
    d = search.dimension
    bound, factor = search.slots[slot, d + 3, unit], search.slots[slot, d + 4, unit]
    above, below = 0, 0
    if planar:  # few vertices: one loop
        constant, a, b = search.slots[slot, 2, unit], search.slots[slot, 0, unit], search.slots[slot, 1, unit]
        for v in range(first, first + count):
            value = constant + a * search.points[0, v] + b * search.points[1, v]
            size = bound + factor * search.radii[v]
            search.unit_values[v - first] = value
            above += 1 if value > size else 0
            below += 1 if value < -size else 0
    else:
        values_at(search, slot, unit, first, count)
        radii = search.radii[first : first + count]
        above, below = sure_signs(search.unit_values, radii, count, bound, factor)
    if max(above, below) == count:
        return 2 if above == count else 1
    for v in range(count):
        value, size = search.unit_values[v], bound + factor * search.radii[first + v]
        s = bounded_sign(search, slot, unit, first + v, value, size)
        search.positive[first + v, word] |= bit if s > 0 else ZERO
        search.negative[first + v, word] |= bit if s < 0 else ZERO
        seen |= 2 if s > 0 else (1 if s < 0 else 4)
    if seen == 6 or (seen == 5 and unit >= search.widths[node.layer]):
        for v in range(count):
            signed = search.positive[first + v, word] | search.negative[first + v, word]
            search.values[v, unit] = 1.0 if signed & bit != ZERO else 0.0
    if seen & 3 != 3:
        for v in range(count):
            search.positive[first + v, word] &= ~bit
            search.negative[first + v, word] &= ~bit
    return seen


@inlined
def sign_at(search: SearchMemory, vertex: int, c: int) -> int:
    """Return the sign of candidate c at a vertex, without a branch."""
    word = c >> 6
    shift = np.uint64(c & 63)
    return np.int64((search.positive[vertex, word] >> shift) & ONE) - np.int64(
        (search.negative[vertex, word] >> shift) & ONE
    )


@part
def set_new_vertex_signs(search: SearchMemory, top: int, first: int, count: int) -> None:
    """Set the signs of a node's candidates at `count` new vertices, the i-th inside the edge `pairs[i]`.

    Where the ends of the edge do not have opposite signs, the sign inside follows without arithmetic: it is
    that of an end where this is not zero, and zero where both are. Where they have opposite signs, the
    value decides; the candidate that makes the cut is left at zero, as the caller has taken its bit out of
    `candidates`.
    """
    d = search.dimension
    node = search.nodes[top]
    words = (node.n_candidates + 63) >> 6
    slot = node.map_slot
    for w in range(words):
        rest = ZERO
        for v in range(count):
            a, b = search.pairs[v, 0], search.pairs[v, 1]
            plus = search.positive[a, w] | search.positive[b, w]
            minus = search.negative[a, w] | search.negative[b, w]
            clash = plus & minus
            search.gathered[v] = clash
            rest |= clash
            search.positive[first + v, w] = plus & ~clash
            search.negative[first + v, w] = minus & ~clash
        rest &= search.candidates[top, w]
        while rest != ZERO:
            bit = rest & (~rest + ONE)
            unit = search.candidate_units[node.first_unit + (w << 6) + trailing_zeros(rest)]
            rest ^= bit
            bound, factor = search.slots[slot, d + 3, unit], search.slots[slot, d + 4, unit]
            values_at(search, slot, unit, first, count)
            for v in range(count):
                if search.gathered[v] & bit == ZERO:
                    continue
                s = bounded_sign(
                    search,
                    slot,
                    unit,
                    first + v,
                    search.unit_values[v],
                    bound + factor * search.radii[first + v],
                )
                search.positive[first + v, w] |= bit if s > 0 else ZERO
                search.negative[first + v, w] |= bit if s < 0 else ZERO


@inlined
def unit_value(search: SearchMemory, slot: int, unit: int, vertex: int) -> float:
    """Pre-activation of a unit at a vertex."""
    value = search.slots[slot, search.dimension, unit]
    for i in range(search.dimension):
        value += search.slots[slot, i, unit] * search.points[i, vertex]
    return value


@inlined
def place_vertex(search: SearchMemory, slot: int, unit: int, a: int, b: int, vertex: int) -> float:
    """Put `vertex` where a unit's hyperplane cuts the edge from `a` (positive) to `b` (negative).

    Returns the fall of the unit's computed value along the edge.
    """
    above = max(unit_value(search, slot, unit, a), 0.0)
    below = max(-unit_value(search, slot, unit, b), 0.0)
    total = above + below
    part = above / total if total > 0.0 else 0.5
    for i in range(search.dimension):
        xa = search.points[i, a]
        search.points[i, vertex] = xa + part * (search.points[i, b] - xa)
    return total
