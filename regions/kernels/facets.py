"""Joining half-facets, and the gradient jump across a facet where a difference is too coarse."""

import numpy as np
from numba import njit
from numpy.typing import NDArray

from regions.kernels import state
from regions.kernels.table import I64, f1, i1

F64 = NDArray[np.float64]
U64 = NDArray[np.uint64]
ONE = np.uint64(1)
ZERO = np.uint64(0)


@njit(cache=True, nogil=True)
def pair_halves(match: U64, label: I64, table: I64, mate: I64) -> int:
    """Find for each interior half-facet the other one with the same key (-1: none).

    `table` is scratch: a power of two of entries, at least twice as many as halves, all -1.
    Returns the number of halves that met a third one of the same key: 0 unless keys collide.
    """
    mask = table.shape[0] - 1
    troubles = 0
    for h in range(match.shape[0]):
        mate[h] = -1
        if label[h] < 0:
            continue
        slot = np.int64(match[h] >> np.uint64(1)) & mask
        while True:
            other = table[slot]
            if other < 0:
                table[slot] = h
                break
            if match[other] == match[h] and label[other] == label[h]:
                if mate[other] >= 0:
                    troubles += 1
                mate[other] = h
                mate[h] = other
                break
            slot = (slot + 1) & mask
    return troubles


@njit(cache=True, nogil=True)
def is_active(patterns: U64, cell: int, unit: int) -> bool:
    """Whether a unit (flat number) is active in a cell's packed pattern."""
    return (patterns[cell, unit >> 6] >> np.uint64(unit & 63)) & ONE != ZERO


@njit(cache=True, nogil=True)
def list_facets(half_cell: I64, label: I64, mate: I64, patterns: U64, first: I64, second: I64) -> int:
    """Choose the halves that make a facet row: `first` on the active side, `second` or -1.

    Rows come in the order in which their earlier half was found. Returns the number of rows.
    """
    n = 0
    for h in range(label.shape[0]):
        other = mate[h]
        if other >= 0 and other < h:
            continue
        if other >= 0 and not is_active(patterns, half_cell[h], label[h]):
            first[n] = other
            second[n] = h
        else:
            first[n] = h
            second[n] = other
        n += 1
    return n


@njit(cache=True, nogil=True)
def jump_norms(jacobian: F64, cell_a: I64, cell_b: I64, jump: F64, scale: F64) -> None:
    """Frobenius norm of the difference of two cells' Jacobians, and of the larger one as its scale."""
    for f in range(cell_a.shape[0]):
        a, b = cell_a[f], cell_b[f]
        if b < 0:
            jump[f] = np.nan
            scale[f] = 0.0
            continue
        total, left, right = 0.0, 0.0, 0.0
        for k in range(jacobian.shape[1]):
            p, q = jacobian[a, k], jacobian[b, k]
            total += (p - q) * (p - q)
            left += p * p
            right += q * q
        jump[f] = np.sqrt(total)
        scale[f] = np.sqrt(max(left, right))


@njit(cache=True, nogil=True)
def differing_units(patterns: U64, a: int, b: int) -> int:
    """The only unit in which two cells' patterns differ; -1 where there are several."""
    found = -1
    for w in range(patterns.shape[1]):
        rest = patterns[a, w] ^ patterns[b, w]
        while rest != ZERO:
            if found >= 0:
                return -1
            bit = 0
            while (rest >> np.uint64(bit)) & ONE == ZERO:
                bit += 1
            found = 64 * w + bit
            rest &= rest - ONE
    return found


@njit(cache=True, nogil=True)
def unit_gradient(
    t: I64, first: F64, patterns: U64, cell: int, layer: int, unit: int, a: F64, b: F64
) -> float:
    """Norm of the intrinsic gradient of a unit's pre-activation on a cell; `a`, `b` are scratch."""
    widths = i1(t, state.WIDTHS)
    relus = i1(t, state.RELUS)
    starts = i1(t, state.UNIT_STARTS)
    weights = f1(t, state.WEIGHTS)
    weight_starts = i1(t, state.WEIGHT_STARTS)
    d = t[state.DIMENSION]
    for i in range(d):
        for k in range(widths[0]):
            a[i, k] = first[i, k]
    for step in range(1, layer + 1):
        n, below = widths[step], widths[step - 1]
        for i in range(d):
            for k in range(n):
                b[i, k] = 0.0
        for j in range(below):
            if relus[step - 1] == 1 and not is_active(patterns, cell, starts[step - 1] + j):
                continue
            at = weight_starts[step] + j * n
            for i in range(d):
                for k in range(n):
                    b[i, k] += weights[at + k] * a[i, j]
        a, b = b, a
    total = 0.0
    for i in range(d):
        total += a[i, unit] * a[i, unit]
    return np.sqrt(total)


@njit(cache=True, nogil=True)
def rest_column(t: I64, patterns: U64, cell: int, layer: int, unit: int, v: F64) -> float:
    """Norm of the output's derivative by a unit's activation on a cell, 0.0 where it vanishes.

    Row 0 of the scratch `v` carries the column of the rest of the network, row 1 the sum of the
    products' sizes, so that `gamma * v[1]` bounds the rounding of `v[0]`.
    """
    widths = i1(t, state.WIDTHS)
    relus = i1(t, state.RELUS)
    starts = i1(t, state.UNIT_STARTS)
    weights = f1(t, state.WEIGHTS)
    weight_starts = i1(t, state.WEIGHT_STARTS)
    gammas = f1(t, state.GAMMAS)
    n_layers = t[state.N_LAYERS]
    gamma = 0.0
    n = widths[layer + 1]
    at = weight_starts[layer + 1] + unit * n
    for k in range(n):
        v[0, k] = weights[at + k]
        v[1, k] = abs(v[0, k])
    for step in range(layer + 1, n_layers):
        gamma += gammas[step + 1]
        below, n = widths[step], widths[step + 1]
        for k in range(n):
            v[2, k] = 0.0
            v[3, k] = 0.0
        for j in range(below):
            if relus[step] == 1 and not is_active(patterns, cell, starts[step] + j):
                continue
            at = weight_starts[step + 1] + j * n
            for k in range(n):
                v[2, k] += weights[at + k] * v[0, j]
                v[3, k] += abs(weights[at + k]) * v[1, j]
        for k in range(n):
            v[0, k] = v[2, k]
            v[1, k] = v[3, k]
    total = 0.0
    for k in range(n):
        if abs(v[0, k]) > gamma * v[1, k]:
            total += v[0, k] * v[0, k]
    return np.sqrt(total)


@njit(cache=True, nogil=True)
def refine_jumps(t: I64, first: F64, patterns: U64, cell_a: I64, cell_b: I64, jump: F64, scale: F64) -> None:
    """Recompute the jumps that a difference of Jacobians cannot tell from zero.

    Where one unit flips, the jump is (derivative of the output by it) times (its gradient), a
    product without cancellation between the cells; it is 0.0 when no active path leads from the
    unit to the output, or when the sum over the paths is within its rounding error. Where several
    units flip at once, a difference within the rounding of both Jacobians is 0.0.
    """
    widths = i1(t, state.WIDTHS)
    starts = i1(t, state.UNIT_STARTS)
    gammas = f1(t, state.GAMMAS)
    widest = 0
    gamma = 0.0
    for step in range(widths.shape[0]):
        widest = max(widest, widths[step])
        gamma += gammas[step]
    a = np.zeros((first.shape[0], widest))
    b = np.zeros((first.shape[0], widest))
    v = np.zeros((4, widest))
    for f in range(cell_a.shape[0]):
        if cell_b[f] < 0 or jump[f] > 1e-7 * scale[f]:
            continue
        unit = differing_units(patterns, cell_a[f], cell_b[f])
        if unit < 0:
            if jump[f] <= 8.0 * gamma * scale[f]:
                jump[f] = 0.0
            continue
        layer = 0
        while unit >= starts[layer + 1]:
            layer += 1
        k = unit - starts[layer]
        column = rest_column(t, patterns, cell_a[f], layer, k, v)
        if column == 0.0:
            jump[f] = 0.0
        else:
            jump[f] = column * unit_gradient(t, first, patterns, cell_a[f], layer, k, a, b)
