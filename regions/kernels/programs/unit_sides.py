"""Has one side of a unit interior points in a polytope {x : a_i.x <= b_i}? A linear program and proofs.

A point strictly inside the polytope is known. The program starts there, and is left as soon as it has
crossed the unit's zero set. In certified arithmetic nothing that it says is believed: a side counts as
inhabited by a point that satisfies all rows by more than their errors, as empty by multipliers whose
bound holds with all errors added (Neumaier and Shcherbina, Safe bounds in linear and mixed-integer
linear programming, Math. Prog. 99, 2004). What neither shows stays UNKNOWN.

Cost of a pivot with m rows in d variables: 2 m d flops for the ray, m divisions and 2 m flops for the row
that it meets, 6 d^2 for the edges; 8 (m d + 2 m + d^2) bytes are read, all in L1. At d = 10, m = 36 that is
1.4 kflop and 4.2 kB, some 60 ns by arithmetic alone (AVX-512, padding to blocks included); measured 150
to 200, the rest are the chains from the ray to the row to the edges. Networks d8_w16x2 and d10_w12x2 take
4 and 3 programs for a cell, of 8 and 9 pivots; every program that finds its side empty goes to the
optimum, and d + 1 pivots are the least that leave the artificial rows there.
"""

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

from regions.kernels.memory import state
from regions.kernels.memory.bits import SMALLEST
from regions.kernels.memory.blocks import BLOCK, advance, bend, combine, nearest
from regions.kernels.memory.pointers import fp, ip
from regions.kernels.memory.table import I64, f1, f2, f3, i1
from regions.kernels.programs.simplex import ARTIFICIAL, NO_EDGE, NO_ROW, Tableau, pivot, set_artificial_rows

F64 = NDArray[np.float64]

ENLARGED = 1.000000001  # covers the rounding of the bounds themselves
PIVOT_TOLERANCE = 1e-11  # what the linear programs take for 0; their answers are checked
FAR_ENOUGH = 0.125  # a program stops at a point that is this part of the witness's distance beyond
STALL = 30  # steps of length 0 before Bland's rule
OUT_OF_REACH = 1e300  # slack of rows that no ray may meet: active ones, and padding


@njit(cache=True, nogil=True, forceinline=True)
def padded(n: int) -> int:
    """The least number of whole blocks of floats, in floats."""
    return (n + BLOCK - 1) // BLOCK * BLOCK


@njit(cache=True, nogil=True)
def power_of_two(t: I64, layer: int, unit: int) -> float:
    """The power of two that brings a unit's largest coefficient to [0.5, 1); 0 if all are 0."""
    slots = f3(t, state.SLOTS)
    largest = 0.0
    for j in range(t[state.DIMENSION]):
        largest = max(largest, abs(slots[layer, j, unit]))
    if largest == 0.0:
        return 0.0
    exponent = math.frexp(largest)[1]
    return math.ldexp(1.0, -max(-900, min(900, exponent)))


@njit(cache=True, nogil=True, forceinline=True)
def slacks_at(columns: F64, right: F64, m: int, point: F64, slacks: F64, noise: F64) -> None:
    """Slack of the first m rows at a point, and in `noise` the sum of the sizes of its terms."""
    for i in range(m):
        slacks[i] = right[i]
    for i in range(m):
        noise[i] = abs(right[i])
    for j in range(columns.shape[0]):
        x = point[j]
        column = columns[j]
        for i in range(m):
            slacks[i] -= column[i] * x
        for i in range(m):
            noise[i] += abs(column[i] * x)


@njit(cache=True, nogil=True)
def strictly_inside(t: I64, point: F64) -> bool:
    """Whether a point is inside all rows: in certified arithmetic, of the true ones, beyond doubt.

    The exact value of a true row at a float point differs from the computed one by at most the row's
    error over the domain and the rounding of the evaluation (Higham 2002, eq. 3.5).
    """
    errors = f1(t, state.PROGRAM_ERRORS)
    noise = f1(t, state.TRY_NOISE)
    slacks = f1(t, state.TRY_SLACKS)
    m = i1(t, state.REG)[state.ROWS_NOW]
    slacks_at(f2(t, state.PROGRAM_COLUMNS), f1(t, state.PROGRAM_RIGHT), m, point, slacks, noise)
    gamma = ENLARGED * f1(t, state.FREG)[state.GAMMA_POINT] if t[state.CERTIFIED] == 1 else 0.0
    enlarged = ENLARGED if t[state.CERTIFIED] == 1 else 0.0
    lost = SMALLEST if t[state.CERTIFIED] == 1 else 0.0
    outside = 0
    for i in range(m):
        outside += 0 if slacks[i] > enlarged * errors[i] + gamma * noise[i] + lost else 1
    return outside == 0


@njit(cache=True, nogil=True)
def height_at(t: I64, layer: int, unit: int, sign: float, point: F64) -> tuple[float, float]:
    """`sign` times a unit's pre-activation at a point, and a bound on the error of that."""
    slots = f3(t, state.SLOTS)
    d = t[state.DIMENSION]
    value = slots[layer, d, unit]
    size = abs(value)
    for j in range(d):
        term = slots[layer, j, unit] * point[j]
        value += term
        size += abs(term)
    rounding = f1(t, state.FREG)[state.GAMMA_POINT] * size
    if t[state.CERTIFIED] == 0:
        return sign * value, PIVOT_TOLERANCE * size
    return sign * value, ENLARGED * (slots[layer, d + 1, unit] + rounding) + SMALLEST


@njit(cache=True, nogil=True)
def below_zero_in_domain(t: I64, layer: int, unit: int, sign: float) -> bool:
    """Whether `sign` times a unit is negative in the whole box of the domain's extents."""
    extents = f1(t, state.EXTENTS)
    slots = f3(t, state.SLOTS)
    d = t[state.DIMENSION]
    size = 0.0
    for j in range(d):
        size += abs(slots[layer, j, unit]) * extents[j]
    constant = slots[layer, d, unit]
    gamma = f1(t, state.FREG)[state.GAMMA_POINT]
    bound = size + slots[layer, d + 1, unit] + gamma * (size + abs(constant))
    return sign * constant + ENLARGED * bound + SMALLEST < 0.0


@njit(cache=True, nogil=True)
def climb(t: I64, value: float, target: float) -> tuple[int, float]:
    """Maximise OBJECTIVE from the witness, where it is `value`, until it exceeds `target`.

    Returns NO_EDGE at the optimum, NO_ROW where something is wrong (the domain is bounded), else the last
    row met; and the value reached, in PROGRAM_POINT.
    """
    active = i1(t, state.ACTIVE_ROWS)
    columns = f2(t, state.PROGRAM_COLUMNS)
    c = f1(t, state.OBJECTIVE)
    edges = f2(t, state.BASIS_EDGES)
    in_basis = i1(t, state.IN_BASIS)
    noise = f1(t, state.TRY_NOISE)
    point = f1(t, state.PROGRAM_POINT)
    ray = f1(t, state.PROGRAM_RAY)
    reg = i1(t, state.REG)
    slacks = f1(t, state.TRY_SLACKS)
    start_noise = f1(t, state.WITNESS_NOISE)
    start_slacks = f1(t, state.WITNESS_SLACKS)
    witness = f1(t, state.WITNESS)
    d, m = t[state.DIMENSION], reg[state.ROWS_NOW]
    square = 0.0
    for j in range(d):
        square += c[j] * c[j]
        point[j] = witness[j]
        active[j] = ARTIFICIAL
    norm = math.sqrt(square)
    set_artificial_rows(c, norm, edges)
    for i in range(m):
        slacks[i] = max(start_slacks[i], 0.0)
        noise[i] = start_noise[i]
        in_basis[i] = 0
    tableau = Tableau(
        columns, slacks[:m], noise[:m], f1(t, state.SPEEDS)[:m], in_basis[:m], edges, active, point, ray
    )
    reg[state.PROGRAMS] += 1
    stalled = 0
    for _ in range(50 * (d + m)):
        row, gain, moved = pivot(tableau, c, norm, PIVOT_TOLERANCE, stalled > STALL)
        if row < 0:
            return row, value
        reg[state.PIVOTS] += 1
        stalled = 0 if moved else stalled + 1
        value += gain
        if value > target:
            return row, value
    return NO_ROW, value


@njit(cache=True, nogil=True)
def begin_program(t: I64) -> float:
    """Set up the program in blocks at the witness; returns the norm of the objective."""
    active = i1(t, state.ACTIVE_ROWS)
    c = f1(t, state.OBJECTIVE)
    edges = f2(t, state.BLOCK_EDGES)
    multipliers = fp(t, state.MULTIPLIERS)
    point = fp(t, state.PROGRAM_POINT)
    slacks = fp(t, state.TRY_SLACKS)
    start_slacks = fp(t, state.WITNESS_SLACKS)
    weights = fp(t, state.EDGE_WEIGHTS)
    witness = fp(t, state.WITNESS)
    d, m = t[state.DIMENSION], i1(t, state.REG)[state.ROWS_NOW]
    square = 0.0
    for j in range(d):
        square += c[j] * c[j]
        point[j] = witness[j]
        active[j] = ARTIFICIAL
        weights[j] = 1.0
        multipliers[j] = 0.0
    norm = math.sqrt(square)
    multipliers[0] = -norm if c[0] >= 0.0 else norm
    set_artificial_rows(c, norm, edges)  # symmetric, so columns as well
    for i in range(m):
        slacks[i] = start_slacks[i]
    for i in range(m, padded(m)):
        slacks[i] = OUT_OF_REACH
    return norm


@njit(cache=True, nogil=True, forceinline=True)
def steepest(multipliers: F64, weights: F64, active: F64, least: float, d: int) -> int:
    """The edge along which the objective grows fastest per unit of length; -1 if none exceeds `least`."""
    best, most = -1, least * least
    for k in range(d):
        y = multipliers[k]
        gain = y * y * weights[k]
        if gain > most and (y < 0.0 or active[k] == ARTIFICIAL):
            best, most = k, gain
    return best


@njit(cache=True, nogil=True)
def sprint(t: I64, value: float, target: float) -> tuple[int, float]:
    """What `climb` does, in blocks and without care for ties and noise: quick, and mostly right.

    Rows met at the same time are taken as they come, multipliers and slacks are carried along; after STALL
    steps of length 0 it gives up with NO_ROW. What a pivot costs is said at the top of the module.
    """
    active = ip(t, state.ACTIVE_ROWS)
    columns = fp(t, state.PROGRAM_COLUMNS)
    edges = fp(t, state.BLOCK_EDGES)
    multipliers = fp(t, state.MULTIPLIERS)
    normal = fp(t, state.ROW_NORMAL)
    point = fp(t, state.PROGRAM_POINT)
    ray = fp(t, state.PROGRAM_RAY)
    reg = ip(t, state.REG)
    slacks = fp(t, state.TRY_SLACKS)
    speeds = fp(t, state.SPEEDS)
    values = fp(t, state.EDGE_VALUES)
    weights = fp(t, state.EDGE_WEIGHTS)
    d, m = t[state.DIMENSION], padded(reg[state.ROWS_NOW])
    width = padded(d)
    stride = f2(t, state.PROGRAM_COLUMNS).shape[1]
    norm = begin_program(t)
    reg[state.PROGRAMS] += 1
    stalled = 0
    for _ in range(50 * (d + m)):
        p = steepest(multipliers, weights, active, PIVOT_TOLERANCE * norm, d)
        if p < 0:
            return NO_EDGE, value
        y = multipliers[p]
        factor = math.sqrt(weights[p]) if y > 0.0 else -math.sqrt(weights[p])
        for j in range(d):
            ray[j] = factor * edges[j * width + p]
        combine(columns, stride, ray, d, speeds, m)
        row = nearest(slacks, speeds, PIVOT_TOLERANCE, m)
        if row < 0:
            return NO_ROW, value
        speed = speeds[row]
        step = max(slacks[row], 0.0) / speed
        for j in range(d):
            point[j] += step * ray[j]
        value += step * y * factor
        reg[state.PIVOTS] += 1
        if value > target:
            return row, value
        stalled = 0 if step > PIVOT_TOLERANCE else stalled + 1
        if stalled > STALL:
            return NO_ROW, value
        advance(slacks, speeds, step, m)
        if active[p] != ARTIFICIAL:
            slacks[active[p]] = -step * factor
        for j in range(d):
            normal[j] = columns[j * stride + row]
            ray[j] /= speed
        combine(edges, width, normal, d, values, width)
        bend(edges, width, values, ray, d, weights, width)
        square = 0.0
        for j in range(d):
            edges[j * width + p] = ray[j]
            square += ray[j] * ray[j]
        weights[p] = 1.0 / square
        y *= factor / speed
        for k in range(d):
            multipliers[k] -= values[k] * y
        multipliers[p] = y
        active[p] = row
        slacks[row] = OUT_OF_REACH
    return NO_ROW, value


@njit(cache=True, nogil=True)
def set_multipliers(t: I64, blocks: bool) -> None:
    """Multipliers of the active rows at the end of a program, from its edges."""
    c = f1(t, state.OBJECTIVE)
    edges, columns = f2(t, state.BASIS_EDGES), f2(t, state.BLOCK_EDGES)
    multipliers = f1(t, state.MULTIPLIERS)
    d = t[state.DIMENSION]
    for p in range(d):
        multipliers[p] = 0.0
    for j in range(d):
        for p in range(d):
            multipliers[p] += c[j] * (columns[j, p] if blocks else edges[p, j])


@njit(cache=True, nogil=True)
def upper_bound(t: I64, constant: float, error: float) -> float:
    """A number that OBJECTIVE.x + constant, true up to `error`, exceeds nowhere on the true polytope.

    With y >= 0 and rest = c - y A, c.x = y A x + rest.x <= y (b + errors) + |rest| extents. The multipliers
    are MULTIPLIERS of the active rows; whatever they are, the bound holds.
    """
    active = i1(t, state.ACTIVE_ROWS)
    c = f1(t, state.OBJECTIVE)
    columns = f2(t, state.PROGRAM_COLUMNS)
    errors = f1(t, state.PROGRAM_ERRORS)
    multipliers = f1(t, state.MULTIPLIERS)
    extents = f1(t, state.EXTENTS)
    rest = f1(t, state.PROGRAM_RAY)
    right = f1(t, state.PROGRAM_RIGHT)
    d = t[state.DIMENSION]
    gamma = f1(t, state.FREG)[state.GAMMA_POINT]
    total, size = 0.0, abs(constant)
    for j in range(d):
        rest[j] = c[j]
        size += abs(c[j]) * extents[j]
    for p in range(d):
        row = active[p]
        if row < 0:
            continue
        y = multipliers[p]
        if not y > 0.0:
            continue
        total += y * right[row]
        size += y * abs(right[row])
        error += y * errors[row]
        for j in range(d):
            term = y * columns[j, row]
            rest[j] -= term
            size += abs(term) * extents[j]
    for j in range(d):
        total += abs(rest[j]) * extents[j]
    return constant + total + ENLARGED * (error + 4.0 * gamma * size) + SMALLEST


@njit(cache=True, nogil=True)
def step_over(t: I64, layer: int, unit: int, side: int, depth: float, height: float) -> bool:
    """Put the witness of a side between the polytope's witness, `depth` below it, and the program's point.

    The program's point is on the border of the polytope, `height` above the unit's zero set; half-way from
    there to where the line crosses that set all rows keep part of the distance that the witness has.
    """
    point = f1(t, state.PROGRAM_POINT)
    witness = f1(t, state.WITNESS)
    target = f2(t, state.SIDE_POINTS)[side]
    sign = 1.0 if side == 1 else -1.0
    part = 0.5 + 0.5 * depth / (depth + height)
    for j in range(t[state.DIMENSION]):
        target[j] = witness[j] + part * (point[j] - witness[j])
    value, bound = height_at(t, layer, unit, sign, target)
    return value > bound and strictly_inside(t, target)


@njit(cache=True, nogil=True)
def decide_side(t: I64, layer: int, unit: int, side: int) -> int:
    """Whether one side of a unit has interior points in the polytope: EMPTY, INSIDE or UNKNOWN.

    The witness of INSIDE goes to SIDE_POINTS. Float arithmetic leaves nothing unknown: what no program
    reaches is empty.
    """
    c = f1(t, state.OBJECTIVE)
    side_points = f2(t, state.SIDE_POINTS)
    slots = f3(t, state.SLOTS)
    witness = f1(t, state.WITNESS)
    d = t[state.DIMENSION]
    sign = 1.0 if side == 1 else -1.0
    unsure = state.UNKNOWN if t[state.CERTIFIED] == 1 else state.EMPTY
    value, bound = height_at(t, layer, unit, sign, witness)
    if value > bound:
        for j in range(d):
            side_points[side, j] = witness[j]
        return state.INSIDE
    scale = power_of_two(t, layer, unit)
    if scale == 0.0:
        return state.EMPTY if value < -bound else unsure
    if below_zero_in_domain(t, layer, unit, sign):
        return state.EMPTY
    for j in range(d):
        c[j] = sign * scale * slots[layer, j, unit]
    depth = max(-value, 0.0) * scale
    constant, error = slots[layer, d, unit], slots[layer, d + 1, unit]
    for attempt in range(2):
        for target in (FAR_ENOUGH * depth + scale * bound, np.inf):
            row, height = sprint(t, -depth, target) if attempt == 0 else climb(t, -depth, target)
            if height > 0.0 and step_over(t, layer, unit, side, depth, height):
                return state.INSIDE
            if row < 0:
                break
        if row == NO_EDGE:
            set_multipliers(t, attempt == 0)
            if upper_bound(t, sign * scale * constant, scale * error) < 0.0:
                return state.EMPTY
    return unsure
