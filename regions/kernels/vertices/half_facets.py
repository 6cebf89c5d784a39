"""Joining half-facets, and the gradient jump across a facet where a difference is too coarse."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from regions.kernels.memory.bits import ONE, ZERO
from regions.kernels.memory.compiling import part
from regions.kernels.memory.entries import entry
from regions.kernels.memory.layouts import F64, I64, U64, SearchMemory
from regions.kernels.vertices.weight_columns import add_sizes_to_vector, add_to_vector

I32 = NDArray[np.int32]


class Rows(NamedTuple):
    """The columns of a facet table; `place` is the position among the facets of `cell_a`."""

    cell_a: I64
    cell_b: I64
    side: I32
    layer: I32
    unit: I32
    volume: F64
    place: I32


class Units(NamedTuple):
    """First unit of each layer that has any, and the total; of each unit layer, first rival, and how many."""

    starts: I64
    layer: I32
    first_rival: I64
    rivals: I64


class Halves(NamedTuple):
    """Half-facets, listed cell by cell; of each the number of the other half, and of its cell.

    `firsts` numbers the first half of each cell, and the total.
    """

    label: I64
    measure: F64
    mate: I32
    cell_of: I32
    firsts: I64


class Scratch(NamedTuple):
    """Room for gradients on a cell, (d, widest layer) twice, and for columns, (4, widest layer)."""

    a: F64
    b: F64
    v: F64


@entry
def pair_halves(match: U64, label: I64, table: I32, mate: I32, part: int, parts: int) -> int:
    """Find for each interior half-facet the other one with the same key (-1: none).

    Of `parts` parts of the keys, by their high bits, only one is looked at, so that threads share the work.
    `table` is scratch: a power of two of entries, at least twice as many as halves in a part, all 0. Returns
    the number of halves that met a third one of the same key (0 unless keys collide), or -1 where `table` is
    too small.
    """
    mask = np.uint64(table.shape[0] - 1)
    troubles, room = 0, table.shape[0] >> 1
    for h in range(match.shape[0]):
        if np.int64(match[h] >> np.uint64(48)) * parts >> 16 != part:
            continue
        mate[h] = -1
        if label[h] < 0:
            continue
        slot = (match[h] >> ONE) & mask
        while True:
            other = table[slot] - 1
            if other < 0:
                if room == 0:
                    return -1
                room -= 1
                table[slot] = h + 1
                break
            if match[other] == match[h] and label[other] == label[h]:
                if mate[other] >= 0:
                    troubles += 1
                mate[other] = h
                mate[h] = other
                break
            slot = (slot + ONE) & mask
    return troubles


@entry
def count_rows(label: I64, mate: I32, begin: int, end: int) -> tuple[int, int]:
    """Count the facets whose earlier half is in a range, and the interior ones that have only one half."""
    rows, alone = 0, 0
    for h in range(begin, end):
        rows += 1 if mate[h] < 0 or mate[h] > h else 0
        alone += 1 if mate[h] < 0 and label[h] >= 0 else 0
    return rows, alone


@part
def is_active(patterns: U64, cell: int, unit: int) -> bool:
    """Whether a unit (flat number) is active in a cell's packed pattern."""
    return (patterns[cell, unit >> 6] >> np.uint64(unit & 63)) & ONE != ZERO


@part
def winner_of(patterns: U64, cell: int, unit: int, units: Units) -> int:
    """The active candidate in a cell of the max unit that starts at `unit`; an ordinary unit itself."""
    for row in range(unit, unit + units.rivals[unit]):
        if is_active(patterns, cell, row):
            return row
    return unit


@entry
def name_cells(firsts: I64, cell_of: I32, begin: int, end: int) -> None:
    """Name the cell of each half of a range of cells."""
    for cell in range(begin, end):
        for h in range(firsts[cell], firsts[cell + 1]):
            cell_of[h] = cell


@entry
def list_facets(
    halves: Halves,
    patterns: U64,
    units: Units,
    rows: Rows,
    other_side: F64,
    earlier: I32,
    begin: int,
    end: int,
) -> int:
    """Fill rows of a facet table, those whose earlier half is in a range, in the order of these halves.

    Returns how many have both cells on one side of the unit (0 unless keys collide).

    The half on the active side comes first in a row. `other_side` gets the volume seen from `cell_b`, or -1.
    `earlier` is scratch, one entry longer than the rows. Where candidates of a max unit tie, the unit is the
    earlier one of the two that win.
    """
    label, mate, measure, cell_of = halves.label, halves.mate, halves.measure, halves.cell_of
    # no branch below depends on which half is which: the processor would guess wrong every other time
    wrong = 0
    row = 0
    for h in range(begin, end):
        earlier[row] = h
        row += 1 if mate[h] < 0 or mate[h] > h else 0
    for row in range(rows.volume.shape[0]):
        h = earlier[row]
        unit, other = label[h], mate[h]
        a = cell_of[h]
        if other < 0:
            first = h
            rows.cell_b[row] = -1 if unit < 0 else -2
            other_side[row] = -1.0
            unit = winner_of(patterns, a, unit, units) if unit >= 0 and units.rivals[unit] > 1 else unit
        else:
            b = cell_of[other]
            if units.rivals[unit] > 1:
                own, beyond = winner_of(patterns, a, unit, units), winner_of(patterns, b, unit, units)
                unit = min(own, beyond)
            active = is_active(patterns, a, unit)
            wrong += 1 if active == is_active(patterns, b, unit) else 0
            first = h if active else other
            second = other if active else h
            rows.cell_b[row] = b if active else a
            other_side[row] = measure[second]
            a = a if active else b
        rows.cell_a[row] = a
        rows.place[row] = first - halves.firsts[a]
        rows.volume[row] = measure[first]
        interior = unit >= 0
        layer = units.layer[unit] if interior else -1
        rows.layer[row] = layer
        rows.unit[row] = unit - units.starts[layer] if interior else -1
        rows.side[row] = -1 if interior else -1 - unit
    return wrong


@entry
def compare_sides(a: F64, b: F64, relative: float, absolute: float) -> tuple[int, int]:
    """Count the pairs that differ by more than relative * the larger + absolute; also return the worst pair.

    A negative b means that there is no second number. A pair with a nan differs.
    """
    wrong, worst, most = 0, -1, 0.0
    for f in range(a.shape[0]):
        if b[f] < 0.0:
            continue
        excess = abs(a[f] - b[f]) - (relative * max(a[f], b[f]) + absolute)
        if not excess <= 0.0:
            wrong += 1
            if worst < 0 or excess > most:
                worst, most = f, excess
    return wrong, worst


@entry
def jump_norms(jacobian: F64, cell_a: I64, cell_b: I64, jump: F64, scale: F64) -> None:
    """Set the Frobenius norms of the differences of two cells' Jacobians, and of the larger one as scale."""
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


@part
def differing_units(patterns: U64, a: int, b: int) -> int:
    """Return the only unit in which two cells' patterns differ; -1 where there are several."""
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


@part
def unit_slope(search: SearchMemory, patterns: U64, cell: int, layer: int, unit: int) -> float:
    """Slope of a unit in a cell; 1 for the values of a layer without units."""
    if search.relus[layer] == 0:
        return 1.0
    flat = search.unit_starts[layer] + unit
    return search.slopes[1 if is_active(patterns, cell, flat) else 0, flat]


@part
def unit_gradient(
    search: SearchMemory, first: F64, patterns: U64, cell: int, layer: int, unit: int, a: F64, b: F64
) -> float:
    """Norm of the intrinsic gradient of a unit's pre-activation on a cell; `a`, `b` are scratch."""
    d = search.dimension
    for i in range(d):
        for k in range(search.widths[0]):
            a[i, k] = first[i, k]
    for step in range(1, layer + 1):
        n, below = search.widths[step], search.widths[step - 1]
        for i in range(d):
            for k in range(n):
                b[i, k] = 0.0
        for j in range(below):
            slope = unit_slope(search, patterns, cell, step - 1, j)
            if slope == 0.0:
                continue
            for i in range(d):
                add_to_vector(search, step, j, slope * a[i, j], b[i])
        a, b = b, a
    total = 0.0
    for i in range(d):
        total += a[i, unit] * a[i, unit]
    return np.sqrt(total)


@part
def rest_column(search: SearchMemory, patterns: U64, cell: int, layer: int, unit: int, v: F64) -> float:
    """Norm of the output's derivative by a unit's activation on a cell, 0.0 where it vanishes.

    Row 0 of the scratch `v` carries the column of the rest of the network, row 1 the sum of the
    products' sizes, so that `gamma * v[1]` bounds the rounding of `v[0]`.
    """
    n_layers = search.n_layers
    gamma = 0.0
    n = search.widths[layer + 1]
    for k in range(n):
        v[0, k] = 0.0
        v[1, k] = 0.0
    add_to_vector(search, layer + 1, unit, 1.0, v[0])
    add_sizes_to_vector(search, layer + 1, unit, 1.0, v[1])
    for step in range(layer + 1, n_layers):
        gamma += search.gammas[step + 1]
        below, n = search.widths[step], search.widths[step + 1]
        for k in range(n):
            v[2, k] = 0.0
            v[3, k] = 0.0
        for j in range(below):
            slope = unit_slope(search, patterns, cell, step, j)
            if slope == 0.0:
                continue
            add_to_vector(search, step + 1, j, slope * v[0, j], v[2])
            add_sizes_to_vector(search, step + 1, j, abs(slope) * v[1, j], v[3])
        for k in range(n):
            v[0, k] = v[2, k]
            v[1, k] = v[3, k]
    total = 0.0
    for k in range(n):
        if abs(v[0, k]) > gamma * v[1, k]:
            total += v[0, k] * v[0, k]
    return np.sqrt(total)


@entry
def refine_jumps(
    search: SearchMemory,
    first: F64,
    patterns: U64,
    cell_a: I64,
    cell_b: I64,
    jump: F64,
    scale: F64,
    scratch: Scratch,
) -> None:
    """Recompute the jumps that a difference of Jacobians cannot tell from zero.

    Where one unit flips, the jump is (derivative of the output by it) times (the difference of its slopes)
    times (its gradient), a product without cancellation between the cells; it is 0.0 when no active path
    leads from the unit to the output, or when the sum over the paths is within its rounding error. Where
    several units flip at once, a difference within the rounding of both Jacobians is 0.0.
    """
    gamma = 0.0
    for step in range(search.widths.shape[0]):
        gamma += search.gammas[step]
    a, b, v = scratch.a, scratch.b, scratch.v
    for f in range(cell_a.shape[0]):
        if cell_b[f] < 0 or jump[f] > 1e-7 * scale[f]:
            continue
        unit = differing_units(patterns, cell_a[f], cell_b[f])
        if unit < 0:
            if jump[f] <= 8.0 * gamma * scale[f]:
                jump[f] = 0.0
            continue
        layer = 0
        while unit >= search.unit_starts[layer + 1]:
            layer += 1
        k = unit - search.unit_starts[layer]
        column = rest_column(search, patterns, cell_a[f], layer, k, v)
        if column == 0.0:
            jump[f] = 0.0
        else:
            bend = abs(search.slopes[1, unit] - search.slopes[0, unit])
            jump[f] = column * bend * unit_gradient(search, first, patterns, cell_a[f], layer, k, a, b)
