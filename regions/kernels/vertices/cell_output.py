"""Writing finished cells: packed patterns, facet keys, the output's Jacobian.

What depends on the polytope's representation (volumes, facets) is in `planar` and `cells`.
"""

import numpy as np
from numba import njit

from regions.kernels.memory import state
from regions.kernels.memory.bits import ONE, ZERO
from regions.kernels.memory.table import I64, f1, f2, f3, i1, i2, u1, u2


@njit(cache=True, nogil=True)
def has_bit(t: I64, top: int, unit: int) -> bool:
    """Whether flat unit number `unit` is active in a node's pattern."""
    pats = u2(t, state.PATS)
    unit_starts = i1(t, state.UNIT_STARTS)
    word_starts = i1(t, state.WORD_STARTS)
    layer = 0
    while unit >= unit_starts[layer + 1]:
        layer += 1
    k = unit - unit_starts[layer]
    word = pats[top, word_starts[layer] + (k >> 6)]
    return (word >> np.uint64(k & 63)) & ONE != ZERO


@njit(cache=True, nogil=True)
def add_half(t: I64, top: int, hyperplane: int, measure: float) -> None:
    """Append one half-facet of a node to the output.

    Its key is the same from both sides: the key of the cell's pattern with the units that vanish on
    the facet taken as inactive, combined with the unit whose split made the facet.
    """
    event_before = i1(t, state.EVENT_BEFORE)
    event_keys = u1(t, state.EVENT_KEYS)
    event_planes = i1(t, state.EVENT_PLANES)
    facet_keys = u1(t, state.FACET_KEYS)
    keys = u1(t, state.KEYS)
    labels = i1(t, state.LABELS)
    nodes = i2(t, state.NODES)
    out_label = i1(t, state.OUT_LABEL)
    out_match = u1(t, state.OUT_MATCH)
    out_measure = f1(t, state.OUT_MEASURE)
    reg = i1(t, state.REG)
    unit_keys = u1(t, state.UNIT_KEYS)
    at = reg[state.OUT_HALVES]
    label = labels[hyperplane]
    key = keys[top]
    if label >= 0:
        if has_bit(t, top, label):
            key ^= unit_keys[label]
        event = nodes[top, state.EVENTS]
        while event >= 0:
            if event_planes[event] == hyperplane:
                key ^= event_keys[event]
            event = event_before[event]
        key ^= facet_keys[label]
    out_label[at] = label
    out_match[at] = key
    out_measure[at] = measure
    reg[state.OUT_HALVES] = at + 1


@njit(cache=True, nogil=True)
def add_ring(t: I64, top: int) -> None:
    """Append all half-facets of a polygon but for their lengths, with the keys of `add_half`."""
    edges = i1(t, state.EDGES)
    event_before = i1(t, state.EVENT_BEFORE)
    event_keys = u1(t, state.EVENT_KEYS)
    event_planes = i1(t, state.EVENT_PLANES)
    facet_keys = u1(t, state.FACET_KEYS)
    keys = u1(t, state.KEYS)
    labels = i1(t, state.LABELS)
    nodes = i2(t, state.NODES)
    out_label = i1(t, state.OUT_LABEL)
    out_match = u1(t, state.OUT_MATCH)
    pats = u2(t, state.PATS)
    reg = i1(t, state.REG)
    unit_keys = u1(t, state.UNIT_KEYS)
    unit_starts = i1(t, state.UNIT_STARTS)
    word_starts = i1(t, state.WORD_STARTS)
    n_layers = t[state.N_LAYERS]
    start, count = nodes[top, state.VERTICES], nodes[top, state.N_VERTICES]
    latest = nodes[top, state.EVENTS]
    whole = keys[top]
    at = reg[state.OUT_HALVES]
    reg[state.OUT_HALVES] = at + count
    for i in range(count):
        hyperplane = edges[start + i]
        label = labels[hyperplane]
        key = whole
        if label >= 0:
            layer = 0
            for below in range(1, n_layers):
                layer += 1 if label >= unit_starts[below] else 0
            unit = label - unit_starts[layer]
            word = pats[top, word_starts[layer] + (unit >> 6)]
            unit_key = unit_keys[label]
            key ^= facet_keys[label] ^ (unit_key if (word >> np.uint64(unit & 63)) & ONE != ZERO else ZERO)
            event = latest
            while event >= 0:
                if event_planes[event] == hyperplane:
                    key ^= event_keys[event]
                event = event_before[event]
        out_label[at + i] = label
        out_match[at + i] = key


@njit(cache=True, nogil=True)
def write_pattern(t: I64, top: int) -> None:
    """Write a node's pattern, packed over the layers without gaps."""
    out_pattern = u2(t, state.OUT_PATTERN)
    pats = u2(t, state.PATS)
    reg = i1(t, state.REG)
    unit_starts = i1(t, state.UNIT_STARTS)
    word_starts = i1(t, state.WORD_STARTS)
    at = reg[state.OUT_CELLS]
    for w in range(out_pattern.shape[1]):
        out_pattern[at, w] = ZERO
    for layer in range(t[state.N_LAYERS]):
        first = word_starts[layer]
        for w in range(first, word_starts[layer + 1]):
            bit = unit_starts[layer] + 64 * (w - first)
            shift = np.uint64(bit & 63)
            word = pats[top, w]
            out_pattern[at, bit >> 6] |= word << shift
            if shift != ZERO:
                high = word >> (np.uint64(64) - shift)
                if high != ZERO:
                    out_pattern[at, (bit >> 6) + 1] |= high


@njit(cache=True, nogil=True)
def write_jacobian(t: I64, top: int) -> None:
    """Write the output's Jacobian on a cell, row by row."""
    nodes = i2(t, state.NODES)
    out_jacobian = f2(t, state.OUT_JACOBIAN)
    reg = i1(t, state.REG)
    slots = f3(t, state.SLOTS)
    widths = i1(t, state.WIDTHS)
    if reg[state.WANT_MAP] == 0:
        return
    at = reg[state.OUT_CELLS]
    d = t[state.DIMENSION]
    rows = slots[nodes[top, state.SLOT]]
    for k in range(widths[t[state.N_LAYERS]]):
        for i in range(d):
            out_jacobian[at, k * d + i] = rows[i, k]
