"""Affine maps and unit states on the way down the splitting tree, whatever the polytope is made of.

`add_units` keeps the next layer's map, `decide_layer` sorts a layer's units into active, inactive
and cut on a polytope, `settle` does the same for what is left of them after a split.
"""

import numpy as np
from numba import njit

from regions.kernels import state
from regions.kernels.bits import trailing_zeros
from regions.kernels.predicates import ACTIVE, INACTIVE, fill_bounds, unit_state, vertex_sign
from regions.kernels.table import I64, f1, f2, f3, i1, i2, u1, u2

ONE = np.uint64(1)
ZERO = np.uint64(0)


@njit(cache=True, nogil=True)
def start_map(t: I64, layer: int, slot: int) -> None:
    """Set a slot to the map of `layer` when no unit below is active: its biases."""
    bias_starts = i1(t, state.BIAS_STARTS)
    all_biases = f1(t, state.BIASES)
    gammas = f1(t, state.GAMMAS)
    slots = f3(t, state.SLOTS)
    widths = i1(t, state.WIDTHS)
    n = widths[layer]
    d = t[state.DIMENSION]
    rows = slots[slot]
    biases = all_biases[bias_starts[layer] : bias_starts[layer] + n]
    gamma = gammas[layer]
    for i in range(d):
        row = rows[i]
        for k in range(n):
            row[k] = 0.0
    constant = rows[d]
    error = rows[d + 1]
    for k in range(n):
        constant[k] = biases[k]
        error[k] = gamma * abs(biases[k])


@njit(cache=True, nogil=True)
def copy_map(t: I64, layer: int, source: int, target: int) -> None:
    """Copy the map of `layer` from one slot to another."""
    slots = f3(t, state.SLOTS)
    widths = i1(t, state.WIDTHS)
    n = widths[layer]
    for i in range(t[state.DIMENSION] + 2):
        old = slots[source, i]
        new = slots[target, i]
        for k in range(n):
            new[k] = old[k]


@njit(cache=True, nogil=True)
def add_units(t: I64, layer: int, source: int, target: int, count: int) -> None:
    """Add `count` active units (listed in `tree.units`) of the map in `source` to that of `layer`.

    `target[i, k] += sum_j W[k, j] source[i, j]`, four units at a time so that each pass over the
    target row serves four products; the error row takes `|W[k, j]|` times what a unit passes on.
    """
    slots = f3(t, state.SLOTS)
    units = i1(t, state.UNITS)
    weight_starts = i1(t, state.WEIGHT_STARTS)
    weights = f1(t, state.WEIGHTS)
    widths = i1(t, state.WIDTHS)
    d = t[state.DIMENSION]
    n = widths[layer]
    start = weight_starts[layer]
    low = slots[source]
    high = slots[target]
    done = 0
    while done + 4 <= count:
        j0, j1, j2, j3 = units[done], units[done + 1], units[done + 2], units[done + 3]
        w0 = weights[start + j0 * n : start + j0 * n + n]
        w1 = weights[start + j1 * n : start + j1 * n + n]
        w2 = weights[start + j2 * n : start + j2 * n + n]
        w3 = weights[start + j3 * n : start + j3 * n + n]
        for i in range(d + 1):
            m0, m1, m2, m3 = low[i, j0], low[i, j1], low[i, j2], low[i, j3]
            row = high[i]
            for k in range(n):
                row[k] += (w0[k] * m0 + w1[k] * m1) + (w2[k] * m2 + w3[k] * m3)
        m0, m1, m2, m3 = low[d + 2, j0], low[d + 2, j1], low[d + 2, j2], low[d + 2, j3]
        row = high[d + 1]
        for k in range(n):
            row[k] += (abs(w0[k]) * m0 + abs(w1[k]) * m1) + (abs(w2[k]) * m2 + abs(w3[k]) * m3)
        done += 4
    while done < count:
        j0 = units[done]
        w0 = weights[start + j0 * n : start + j0 * n + n]
        for i in range(d + 1):
            m0 = low[i, j0]
            row = high[i]
            for k in range(n):
                row[k] += w0[k] * m0
        m0 = low[d + 2, j0]
        row = high[d + 1]
        for k in range(n):
            row[k] += abs(w0[k]) * m0
        done += 1


@njit(cache=True, nogil=True, forceinline=True)
def unit_value(t: I64, slot: int, unit: int, vertex: int) -> float:
    """Pre-activation of a unit at a vertex."""
    points = f2(t, state.POINTS)
    slots = f3(t, state.SLOTS)
    value = slots[slot, t[state.DIMENSION], unit]
    for i in range(t[state.DIMENSION]):
        value += slots[slot, i, unit] * points[vertex, i]
    return value


@njit(cache=True, nogil=True)
def evaluate_vertices(t: I64, layer: int, slot: int, first: int, count: int) -> None:
    """Pre-activations of a whole layer at `count` vertices in `tree.z`, with their range and bounds."""
    highs = f1(t, state.HIGHS)
    lows = f1(t, state.LOWS)
    points = f2(t, state.POINTS)
    radii = f1(t, state.RADII)
    ring = i1(t, state.RING)
    slots = f3(t, state.SLOTS)
    values = f2(t, state.VALUES)
    widths = i1(t, state.WIDTHS)
    d = t[state.DIMENSION]
    n = widths[layer]
    rows = slots[slot]
    low = lows
    high = highs
    constant = rows[d]
    reach = 0.0
    radius = 0.0
    for v in range(count):
        vertex = ring[first + v]
        z = values[v]
        radius = max(radius, radii[vertex])
        for i in range(d):
            reach = max(reach, abs(points[vertex, i]))
        x0 = points[vertex, 0]
        row = rows[0]
        for k in range(n):
            z[k] = constant[k] + row[k] * x0
        for i in range(1, d):
            xi = points[vertex, i]
            row = rows[i]
            for k in range(n):
                z[k] += row[k] * xi
        if v == 0:
            for k in range(n):
                low[k] = z[k]
                high[k] = z[k]
        else:
            for k in range(n):
                low[k] = min(low[k], z[k])
                high[k] = max(high[k], z[k])
    fill_bounds(t, layer, slot, reach, radius)


@njit(cache=True, nogil=True)
def set_active(t: I64, top: int, layer: int, unit: int) -> None:
    """Record in a node's pattern and key that a unit is active."""
    keys = u1(t, state.KEYS)
    pats = u2(t, state.PATS)
    unit_keys = u1(t, state.UNIT_KEYS)
    unit_starts = i1(t, state.UNIT_STARTS)
    word_starts = i1(t, state.WORD_STARTS)
    word = word_starts[layer] + (unit >> 6)
    pats[top, word] |= ONE << np.uint64(unit & 63)
    keys[top] ^= unit_keys[unit_starts[layer] + unit]


@njit(cache=True, nogil=True)
def mark_signs(t: I64, top: int, c: int, unit: int) -> int:
    """Signs of candidate c at all vertices of a node; 3 if both occur, 2 only +, 1 only -, 0 none.

    They also replace the unit's values in `tree.z`.
    """
    neg = u2(t, state.NEG)
    nodes = i2(t, state.NODES)
    pos = u2(t, state.POS)
    ring = i1(t, state.RING)
    values = f2(t, state.VALUES)
    node = nodes[top]
    word = c >> 6
    bit = ONE << np.uint64(c & 63)
    seen = 0
    for v in range(node[state.N_VERTICES]):
        vertex = ring[node[state.VERTICES] + v]
        s = vertex_sign(t, node[state.MAP_SLOT], unit, vertex, values[v, unit])
        pos[vertex, word] &= ~bit
        neg[vertex, word] &= ~bit
        values[v, unit] = s
        if s > 0:
            pos[vertex, word] |= bit
            seen |= 2
        elif s < 0:
            neg[vertex, word] |= bit
            seen |= 1
    return seen


@njit(cache=True, nogil=True)
def decide_layer(t: I64, top: int) -> int:
    """Sort the units of a node's layer; returns how many are active on all of it (in `tree.units`).

    Units that the node's vertices cut become its candidates. Units that only touch it are decided
    too: the active ones are listed in `tree.work[1:]`, their number in `tree.work[0]`, their signs
    in `tree.z`, for the caller to look for facets on which they vanish. -1: exact signs are asked
    for, and the node is as it was.
    """
    bounds = f1(t, state.BOUNDS)
    cands = u2(t, state.CANDS)
    cut_units = i1(t, state.CUT_UNITS)
    highs = f1(t, state.HIGHS)
    keys = u1(t, state.KEYS)
    lows = f1(t, state.LOWS)
    neg = u2(t, state.NEG)
    nodes = i2(t, state.NODES)
    pats = u2(t, state.PATS)
    pos = u2(t, state.POS)
    reg = i1(t, state.REG)
    relus = i1(t, state.RELUS)
    ring = i1(t, state.RING)
    units = i1(t, state.UNITS)
    widths = i1(t, state.WIDTHS)
    word_starts = i1(t, state.WORD_STARTS)
    work = i1(t, state.WORK)
    node = nodes[top]
    layer = node[state.LAYER]
    n = widths[layer]
    active = 0
    cuts = 0
    touching = 0
    words = pos.shape[1]
    key = keys[top]
    work[0] = 0
    node[state.N_CANDIDATES] = 0
    if relus[layer] == 0:
        for k in range(n):
            units[k] = k
        fill_bounds(t, layer, node[state.MAP_SLOT], 0.0, 0.0)
        return n
    for w in range(word_starts[layer], word_starts[layer + 1]):
        pats[top, w] = ZERO
    evaluate_vertices(t, layer, node[state.MAP_SLOT], node[state.VERTICES], node[state.N_VERTICES])
    reg[state.DECISIONS] += n * node[state.N_VERTICES]
    for v in range(node[state.N_VERTICES]):
        vertex = ring[node[state.VERTICES] + v]
        for w in range(words):
            pos[vertex, w] = ZERO
            neg[vertex, w] = ZERO
    for k in range(n):
        found = unit_state(lows[k], highs[k], bounds[k])
        if found == ACTIVE:
            units[active] = k
            active += 1
            set_active(t, top, layer, k)
        elif found != INACTIVE:
            seen = mark_signs(t, top, cuts, k)
            if seen == 3:
                cut_units[node[state.CANDIDATES] + cuts] = k
                cuts += 1
            elif seen == 2:
                units[active] = k
                active += 1
                set_active(t, top, layer, k)
                touching += 1
                work[touching] = k
    if reg[state.ASKED] > reg[state.ANSWERED]:
        keys[top] = key
        return -1
    work[0] = touching
    node[state.N_CANDIDATES] = cuts
    for w in range(words):
        left = min(max(cuts - 64 * w, 0), 64)
        if left == 64:
            cands[top, w] = ~ZERO
        else:
            cands[top, w] = (ONE << np.uint64(left)) - ONE
    return active


@njit(cache=True, nogil=True, forceinline=True)
def needs_map(t: I64, layer: int) -> bool:
    """Whether the map of `layer` will be read: a hidden layer's always, the output's on request."""
    reg = i1(t, state.REG)
    return layer < t[state.N_LAYERS] or reg[state.WANT_MAP] == 1


@njit(cache=True, nogil=True)
def add_event(t: I64, top: int, hyperplane: int, key: np.uint64) -> None:
    """Record that an active unit vanishes on the facet of a node on `hyperplane`."""
    event_before = i1(t, state.EVENT_BEFORE)
    event_keys = u1(t, state.EVENT_KEYS)
    event_planes = i1(t, state.EVENT_PLANES)
    nodes = i2(t, state.NODES)
    at = nodes[top, state.EVENT_TOP]
    event_planes[at] = hyperplane
    event_keys[at] = key
    event_before[at] = nodes[top, state.EVENTS]
    nodes[top, state.EVENTS] = at
    nodes[top, state.EVENT_TOP] = at + 1


@njit(cache=True, nogil=True)
def settle(t: I64, top: int) -> int:
    """Decide the candidates that no longer cut a child; returns how many became active.

    These are appended to `tree.units` after the `tree.work[0]` entries already there. Mask row 2
    holds, on return, the candidates that became active and vanish at some vertex.
    """
    cands = u2(t, state.CANDS)
    cut_units = i1(t, state.CUT_UNITS)
    masks = u2(t, state.MASKS)
    neg = u2(t, state.NEG)
    nodes = i2(t, state.NODES)
    pos = u2(t, state.POS)
    ring = i1(t, state.RING)
    units = i1(t, state.UNITS)
    work = i1(t, state.WORK)
    node = nodes[top]
    words = (node[state.N_CANDIDATES] + 63) >> 6
    layer = node[state.LAYER]
    masks = masks
    for w in range(words):
        plus = ZERO
        minus = ZERO
        signed = ~ZERO
        for v in range(node[state.N_VERTICES]):
            vertex = ring[node[state.VERTICES] + v]
            p = pos[vertex, w]
            q = neg[vertex, w]
            plus |= p
            minus |= q
            signed &= p | q
        masks[0, w] = plus
        masks[1, w] = minus
        masks[2, w] = ~signed
    count = work[0]
    for w in range(words):
        before = cands[top, w]
        cut = before & masks[0, w] & masks[1, w]
        risen = before & ~cut & masks[0, w]
        cands[top, w] = cut
        masks[2, w] &= risen
        while risen != ZERO:
            c = (w << 6) + trailing_zeros(risen)
            risen &= risen - ONE
            unit = cut_units[node[state.CANDIDATES] + c]
            set_active(t, top, layer, unit)
            units[count] = unit
            count += 1
    return count


@njit(cache=True, nogil=True, forceinline=True)
def first_candidate(t: I64, top: int) -> int:
    """The lowest candidate of a node, -1 if none is left."""
    cands = u2(t, state.CANDS)
    nodes = i2(t, state.NODES)
    node = nodes[top]
    words = (node[state.N_CANDIDATES] + 63) >> 6
    for w in range(words):
        if cands[top, w] != ZERO:
            return (w << 6) + trailing_zeros(cands[top, w])
    return -1


@njit(cache=True, nogil=True, forceinline=True)
def sign_at(t: I64, vertex: int, c: int) -> int:
    """Sign of candidate c at a vertex."""
    neg = u2(t, state.NEG)
    pos = u2(t, state.POS)
    word = c >> 6
    bit = ONE << np.uint64(c & 63)
    if pos[vertex, word] & bit:
        return 1
    if neg[vertex, word] & bit:
        return -1
    return 0


@njit(cache=True, nogil=True)
def mark_new_vertex(t: I64, top: int, vertex: int, skip: int) -> None:
    """Signs at a new vertex of a node's candidates, except `skip`, on whose hyperplane it lies."""
    cands = u2(t, state.CANDS)
    cut_units = i1(t, state.CUT_UNITS)
    neg = u2(t, state.NEG)
    nodes = i2(t, state.NODES)
    pos = u2(t, state.POS)
    node = nodes[top]
    words = (node[state.N_CANDIDATES] + 63) >> 6
    slot = node[state.MAP_SLOT]
    for w in range(words):
        rest = cands[top, w]
        plus = ZERO
        minus = ZERO
        while rest != ZERO:
            bit = rest & (~rest + ONE)
            c = (w << 6) + trailing_zeros(rest)
            rest ^= bit
            if c == skip:
                continue
            unit = cut_units[node[state.CANDIDATES] + c]
            value = unit_value(t, slot, unit, vertex)
            s = vertex_sign(t, slot, unit, vertex, value)
            if s > 0:
                plus |= bit
            elif s < 0:
                minus |= bit
        pos[vertex, w] = plus
        neg[vertex, w] = minus


@njit(cache=True, nogil=True)
def place_vertex(t: I64, slot: int, unit: int, a: int, b: int, vertex: int) -> None:
    """Put `vertex` where a unit's hyperplane cuts the edge from `a` (positive) to `b` (negative)."""
    freg = f1(t, state.FREG)
    points = f2(t, state.POINTS)
    radii = f1(t, state.RADII)
    above = max(unit_value(t, slot, unit, a), 0.0)
    below = max(-unit_value(t, slot, unit, b), 0.0)
    total = above + below
    part = above / total if total > 0.0 else 0.5
    for i in range(t[state.DIMENSION]):
        xa = points[a, i]
        points[vertex, i] = xa + part * (points[b, i] - xa)
    radii[vertex] = freg[state.RADIUS]
