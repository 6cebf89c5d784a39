"""Affine maps and unit states on the way down the splitting tree, whatever the polytope is made of.

`add_units` keeps the next layer's map, `decide_layer` sorts a layer's units into active, inactive
and cut on a polytope, `settle` does the same for what is left of them after a split.
"""

import numpy as np
from numba import njit

from regions.kernels.memory import state
from regions.kernels.memory.bits import ONE, ZERO, fma, trailing_zeros
from regions.kernels.memory.table import I64, f1, f2, f3, i1, i2, u1, u2
from regions.kernels.vertices.predicates import pass_on, screen_layer, set_bound
from regions.kernels.vertices.vertex_signs import clear_signs, mark_signs


@njit(cache=True, nogil=True)
def start_map(t: I64, layer: int, slot: int) -> None:
    """Set a slot to the map of `layer` when no unit below is active: its biases."""
    bias_starts = i1(t, state.BIAS_STARTS)
    all_biases = f1(t, state.BIASES)
    gammas = f1(t, state.ROUNDINGS)
    slots = f3(t, state.SLOTS)
    widths = i1(t, state.WIDTHS)
    n = widths[layer]
    d = t[state.DIMENSION]
    rows = slots[slot]
    biases = all_biases[bias_starts[layer] : bias_starts[layer] + n]
    gamma = gammas[layer]
    lost = f1(t, state.FREG)[state.UNDERFLOW]
    for i in range(d):
        row = rows[i]
        for k in range(n):
            row[k] = 0.0
    constant = rows[d]
    error = rows[d + 1]
    for k in range(n):
        constant[k] = biases[k]
        error[k] = gamma * abs(biases[k]) + lost


@njit(cache=True, nogil=True)
def copy_map_with(t: I64, layer: int, source: int, target: int, below: int, unit: int) -> None:
    """Copy the map of `layer` from one slot to another, adding one active unit of the map in `below`."""
    slots = f3(t, state.SLOTS)
    weight_starts = i1(t, state.WEIGHT_STARTS)
    weights = f1(t, state.WEIGHTS)
    widths = i1(t, state.WIDTHS)
    n = widths[layer]
    d = t[state.DIMENSION]
    at = weight_starts[layer] + unit * n
    column = weights[at : at + n]
    for i in range(d + 1):
        factor = slots[below, i, unit]
        old = slots[source, i]
        new = slots[target, i]
        for k in range(n):
            new[k] = fma(column[k], factor, old[k])
    factor = slots[below, d + 2, unit]
    old = slots[source, d + 1]
    new = slots[target, d + 1]
    for k in range(n):
        new[k] = fma(abs(column[k]), factor, old[k])


@njit(cache=True, nogil=True)
def add_units(t: I64, layer: int, source: int, target: int, count: int) -> None:
    """Add `count` active units (listed in UNITS) of the map in `source` to that of `layer`.

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
    if n < 4:
        for k in range(n):
            for i in range(d + 1):
                total = high[i, k]
                for u in range(count):
                    total = fma(weights[start + units[u] * n + k], low[i, units[u]], total)
                high[i, k] = total
            total = high[d + 1, k]
            for u in range(count):
                total = fma(abs(weights[start + units[u] * n + k]), low[d + 2, units[u]], total)
            high[d + 1, k] = total
        return
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
                row[k] = fma(w3[k], m3, fma(w2[k], m2, fma(w1[k], m1, fma(w0[k], m0, row[k]))))
        m0, m1, m2, m3 = low[d + 2, j0], low[d + 2, j1], low[d + 2, j2], low[d + 2, j3]
        row = high[d + 1]
        for k in range(n):
            row[k] = fma(
                abs(w3[k]), m3, fma(abs(w2[k]), m2, fma(abs(w1[k]), m1, fma(abs(w0[k]), m0, row[k])))
            )
        done += 4
    while done < count:
        j0 = units[done]
        w0 = weights[start + j0 * n : start + j0 * n + n]
        for i in range(d + 1):
            m0 = low[i, j0]
            row = high[i]
            for k in range(n):
                row[k] = fma(w0[k], m0, row[k])
        m0 = low[d + 2, j0]
        row = high[d + 1]
        for k in range(n):
            row[k] = fma(abs(w0[k]), m0, row[k])
        done += 1


@njit(cache=True, nogil=True, forceinline=True)
def bounding_box(t: I64, first: int, count: int) -> tuple[float, float]:
    """Put the box around `count` vertices of RING in BOX (middle, half-widths).

    Returns the largest |coordinate| and the largest position error of these vertices. The
    half-widths are enlarged by a relative 1e-15 and by the rounding of the middle.
    """
    box = f2(t, state.BOX)
    points = f2(t, state.POINTS)
    radii = f1(t, state.RADII)
    ring = i1(t, state.RING)
    reach = 0.0
    radius = 0.0
    for v in range(count):
        radius = max(radius, radii[ring[first + v]])
    for i in range(t[state.DIMENSION]):
        low = points[i, ring[first]]
        high = low
        for v in range(1, count):
            value = points[i, ring[first + v]]
            low = min(low, value)
            high = max(high, value)
        size = max(abs(low), abs(high))
        reach = max(reach, size)
        box[0, i] = 0.5 * (low + high)
        box[1, i] = 0.5 * (high - low) + 1e-15 * size
    return reach, radius


@njit(cache=True, nogil=True, forceinline=True)
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


@njit(cache=True, nogil=True, forceinline=True)
def list_undecided(t: I64, n: int) -> int:
    """List in UNITS which of n units the screen leaves open; returns how many."""
    middles = f1(t, state.MIDDLES)
    units = i1(t, state.UNITS)
    count = 0
    for k in range(n):
        units[count] = k
        count += 1 if middles[k] == 0.0 else 0
    return count


@njit(cache=True, nogil=True)
def decide_layer(t: I64, top: int) -> int:
    """Sort the units of a node's layer; returns how many are active on all of it (in UNITS).

    Units that the node's vertices cut become its candidates. Units that only touch it are decided
    too: the active ones are listed in `WORK[1:]`, their number in `WORK[0]`, their signs in VALUES,
    for the caller to look for facets on which they vanish. -1: exact signs are asked for, and the
    node is as it was.
    """
    cands = u2(t, state.CANDS)
    cut_units = i1(t, state.CUT_UNITS)
    keys = u1(t, state.KEYS)
    middles = f1(t, state.MIDDLES)
    nodes = i2(t, state.NODES)
    pats = u2(t, state.PATS)
    reg = i1(t, state.REG)
    relus = i1(t, state.RELUS)
    unit_keys = u1(t, state.UNIT_KEYS)
    unit_starts = i1(t, state.UNIT_STARTS)
    units = i1(t, state.UNITS)
    widths = i1(t, state.WIDTHS)
    word_starts = i1(t, state.WORD_STARTS)
    work = i1(t, state.WORK)
    node = nodes[top]
    layer = node[state.LAYER]
    n = widths[layer]
    active, cuts, touching = 0, 0, 0
    work[0] = 0
    node[state.N_CANDIDATES] = 0
    reach, radius = bounding_box(t, node[state.VERTICES], node[state.N_VERTICES])
    slot = node[state.MAP_SLOT]
    if needs_map(t, layer + 1):
        pass_on(t, layer, slot)
    if relus[layer] == 0:
        for k in range(n):
            units[k] = k
        return n
    screen_layer(t, layer, slot, reach, radius)
    reg[state.ASK_LAYER] = layer
    reg[state.ASK_FACETS] = node[state.FACETS]
    clear_signs(t, top)
    key = keys[top]
    first = word_starts[layer]
    start = unit_starts[layer]
    candidates = node[state.CANDIDATES]
    word = ZERO
    for i in range(list_undecided(t, n)):
        k = units[i]
        set_bound(t, slot, k, reach)
        seen = mark_signs(t, top, cuts, k)
        middles[k] = 1.0 if seen & 3 == 2 else -1.0
        if seen & 3 == 3:
            cut_units[candidates + cuts] = k
            cuts += 1
        elif seen == 6:
            touching += 1
            work[touching] = k
    for k in range(n):
        # without a branch, which could not be predicted: half of the units are on
        on = middles[k] > 0.0
        units[active] = k
        active += 1 if on else 0
        word |= ONE << np.uint64(k & 63) if on else ZERO
        unit_key = unit_keys[start + k]
        key ^= unit_key if on else ZERO
        if k & 63 == 63 or k == n - 1:
            pats[top, first + (k >> 6)] = word
            word = ZERO
    if reg[state.ASKED] > reg[state.ANSWERED]:
        return -1
    reg[state.DECISIONS] += n * node[state.N_VERTICES]
    keys[top] = key
    work[0] = touching
    node[state.N_CANDIDATES] = cuts
    for w in range(cands.shape[1]):
        left = min(max(cuts - 64 * w, 0), 64)
        if left == 64:
            cands[top, w] = ~ZERO
        else:
            cands[top, w] = (ONE << np.uint64(left)) - ONE
    return active


@njit(cache=True, nogil=True, forceinline=True)
def needs_map(t: I64, layer: int) -> bool:
    """Whether the map of `layer` will be read: a hidden layer's always, the output's on request."""
    return layer < t[state.N_LAYERS] or i1(t, state.REG)[state.WANT_MAP] == 1


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


@njit(cache=True, nogil=True, forceinline=True)
def settle(t: I64, top: int) -> int:
    """Decide the candidates that no longer cut a child; returns how many became active.

    They are listed in UNITS. Mask row 2 holds, on return, those that vanish at some vertex.
    """
    cands = u2(t, state.CANDS)
    cut_units = i1(t, state.CUT_UNITS)
    masks = u2(t, state.MASKS)
    neg = u2(t, state.NEG)
    nodes = i2(t, state.NODES)
    pos = u2(t, state.POS)
    ring = i1(t, state.RING)
    units = i1(t, state.UNITS)
    node = nodes[top]
    words = (node[state.N_CANDIDATES] + 63) >> 6
    layer = node[state.LAYER]
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
    count = 0
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
