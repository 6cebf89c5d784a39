"""Whether one side of a unit has interior points in a polytope {x : a_i.x <= b_i}: programs and proofs.

A point strictly inside the polytope is known. The program starts there and ends as soon as it has crossed
the unit's zero set. In certified arithmetic nothing that it says is believed: a side counts as
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

from regions.kernels.memory.bits import SMALLEST, scale_of
from regions.kernels.memory.blocks import BLOCK, advance, bend, combine, nearest
from regions.kernels.memory.compiling import inlined, part
from regions.kernels.memory.layouts import F64, SearchMemory
from regions.kernels.memory.states import Side
from regions.kernels.programs.simplex import ARTIFICIAL, NO_EDGE, NO_ROW, Tableau, pivot, set_artificial_rows

ENLARGED = 1.000000001  # covers the rounding of the bounds themselves
PIVOT_TOLERANCE = 1e-11  # what the linear programs take for 0; their answers are checked
FAR_ENOUGH = 0.125  # a program stops at a point that is this part of the witness's distance beyond
STALL = 30  # steps of length 0 before Bland's rule
NEVER_MET = 1e300  # slack of rows that no ray may meet: active ones, and padding


@inlined
def padded(n: int) -> int:
    """The least number of whole blocks of floats, in floats."""
    return (n + BLOCK - 1) // BLOCK * BLOCK


@part
def power_of_two(search: SearchMemory, layer: int, unit: int) -> float:
    """The power of two that brings a unit's largest coefficient to [0.5, 1); 0 if all are 0."""
    largest = 0.0
    for j in range(search.dimension):
        largest = max(largest, abs(search.slots[layer, j, unit]))
    return scale_of(largest) if largest > 0.0 else 0.0


@inlined
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


@part
def strictly_inside(search: SearchMemory, point: F64) -> bool:
    """Whether a point is inside all rows: in certified arithmetic, of the true ones, beyond doubt.

    The exact value of a true row at a float point differs from the computed one by at most the row's
    error over the domain and the rounding of the evaluation (Higham 2002, eq. 3.5).
    """
    m = search.n_rows
    slacks_at(search.columns, search.right, m, point, search.slacks, search.noise)
    gamma = ENLARGED * search.gamma_point if search.certified == 1 else 0.0
    enlarged = ENLARGED if search.certified == 1 else 0.0
    lost = SMALLEST if search.certified == 1 else 0.0
    outside = 0
    for i in range(m):
        outside += 0 if search.slacks[i] > enlarged * search.errors[i] + gamma * search.noise[i] + lost else 1
    return outside == 0


@part
def height_at(search: SearchMemory, layer: int, unit: int, sign: float, point: F64) -> tuple[float, float]:
    """`sign` times a unit's pre-activation at a point, and a bound on the error of that."""
    d = search.dimension
    value = search.slots[layer, d, unit]
    size = abs(value)
    for j in range(d):
        term = search.slots[layer, j, unit] * point[j]
        value += term
        size += abs(term)
    rounding = search.gamma_point * size
    if search.certified == 0:
        return sign * value, PIVOT_TOLERANCE * size
    return sign * value, ENLARGED * (search.slots[layer, d + 1, unit] + rounding) + SMALLEST


@part
def below_zero_in_domain(search: SearchMemory, layer: int, unit: int, sign: float) -> bool:
    """Whether `sign` times a unit is negative in the whole box of the domain's extents."""
    d = search.dimension
    size = 0.0
    for j in range(d):
        size += abs(search.slots[layer, j, unit]) * search.extents[j]
    constant = search.slots[layer, d, unit]
    gamma = search.gamma_point
    bound = size + search.slots[layer, d + 1, unit] + gamma * (size + abs(constant))
    return sign * constant + ENLARGED * bound + SMALLEST < 0.0


@part
def careful_simplex(search: SearchMemory, value: float, target: float) -> tuple[int, float]:
    """Maximise `objective` from the witness, where it is `value`, until it exceeds `target`.

    This is the simplex method with steepest edges, Harris's ratio test and, after STALL steps of length 0,
    Bland's rule. Returns NO_EDGE at the optimum, NO_ROW where something is wrong (the domain is bounded),
    else the last row met; and the value at the last point, which is in `point`.
    """
    d, m = search.dimension, search.n_rows
    square = 0.0
    for j in range(d):
        square += search.objective[j] * search.objective[j]
        search.point[j] = search.witness[j]
        search.active_rows[j] = ARTIFICIAL
    norm = math.sqrt(square)
    set_artificial_rows(search.objective, norm, search.basis_edges)
    for i in range(m):
        search.slacks[i] = max(search.witness_slacks[i], 0.0)
        search.noise[i] = search.witness_noise[i]
        search.in_basis[i] = 0
    tableau = Tableau(
        search.columns,
        search.slacks[:m],
        search.noise[:m],
        search.speeds[:m],
        search.in_basis[:m],
        search.basis_edges,
        search.active_rows,
        search.point,
        search.ray,
    )
    search.programs += 1
    stalled = 0
    for _ in range(50 * (d + m)):
        row, gain, moved = pivot(tableau, search.objective, norm, PIVOT_TOLERANCE, stalled > STALL)
        if row < 0:
            return row, value
        search.pivots += 1
        stalled = 0 if moved else stalled + 1
        value += gain
        if value > target:
            return row, value
    return NO_ROW, value


@part
def begin_program(search: SearchMemory) -> float:
    """Set up the program in blocks at the witness; returns the norm of the objective."""
    multipliers = search.flat_multipliers
    point = search.flat_point
    slacks = search.flat_slacks
    start_slacks = search.flat_witness_slacks
    weights = search.flat_edge_weights
    witness = search.flat_witness
    d, m = search.dimension, search.n_rows
    square = 0.0
    for j in range(d):
        square += search.objective[j] * search.objective[j]
        point[j] = witness[j]
        search.active_rows[j] = ARTIFICIAL
        weights[j] = 1.0
        multipliers[j] = 0.0
    norm = math.sqrt(square)
    multipliers[0] = -norm if search.objective[0] >= 0.0 else norm
    set_artificial_rows(search.objective, norm, search.block_edges)  # symmetric, so columns as well
    for i in range(m):
        slacks[i] = start_slacks[i]
    for i in range(m, padded(m)):
        slacks[i] = NEVER_MET
    return norm


@inlined
def steepest(multipliers: F64, weights: F64, active: F64, least: float, d: int) -> int:
    """The edge along which the objective grows fastest per unit of length; -1 if none exceeds `least`."""
    best, most = -1, least * least
    for k in range(d):
        y = multipliers[k]
        gain = y * y * weights[k]
        if gain > most and (y < 0.0 or active[k] == ARTIFICIAL):
            best, most = k, gain
    return best


@part
def quick_simplex(search: SearchMemory, value: float, target: float) -> tuple[int, float]:
    """Do what `careful_simplex` does, in blocks and without care for ties and noise.

    This is the simplex method with steepest edges and the plain ratio test: of rows met at the same time the
    first is taken, and multipliers and slacks are updated instead of computed afresh. It is quick and mostly
    right; after STALL steps of length 0 it gives up with NO_ROW. The module's docstring has its cost.
    """
    active = search.flat_active_rows
    columns = search.flat_columns
    edges = search.flat_block_edges
    multipliers = search.flat_multipliers
    normal = search.flat_row_normal
    point = search.flat_point
    ray = search.flat_ray
    slacks = search.flat_slacks
    speeds = search.flat_speeds
    values = search.flat_edge_values
    weights = search.flat_edge_weights
    d, m = search.dimension, padded(search.n_rows)
    width = padded(d)
    stride = search.columns.shape[1]
    norm = begin_program(search)
    search.programs += 1
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
        search.pivots += 1
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
        slacks[row] = NEVER_MET
    return NO_ROW, value


@part
def set_multipliers(search: SearchMemory, blocks: bool) -> None:
    """Set the multipliers of the active rows at the end of a program, from its edges."""
    d = search.dimension
    for p in range(d):
        search.multipliers[p] = 0.0
    for j in range(d):
        for p in range(d):
            search.multipliers[p] += search.objective[j] * (
                search.block_edges[j, p] if blocks else search.basis_edges[p, j]
            )


@part
def upper_bound(search: SearchMemory, constant: float, error: float) -> float:
    """Return a number that objective.x + constant, true up to `error`, exceeds nowhere on the true polytope.

    With y >= 0 and rest = c - y A, c.x = y A x + rest.x <= y (b + errors) + |rest| extents. The multipliers
    y are `multipliers` of the active rows; whatever they are, the bound holds.
    """
    d = search.dimension
    gamma = search.gamma_point
    total, size = 0.0, abs(constant)
    for j in range(d):
        search.ray[j] = search.objective[j]
        size += abs(search.objective[j]) * search.extents[j]
    for p in range(d):
        row = search.active_rows[p]
        if row < 0:
            continue
        y = search.multipliers[p]
        if not y > 0.0:
            continue
        total += y * search.right[row]
        size += y * abs(search.right[row])
        error += y * search.errors[row]
        for j in range(d):
            term = y * search.columns[j, row]
            search.ray[j] -= term
            size += abs(term) * search.extents[j]
    for j in range(d):
        total += abs(search.ray[j]) * search.extents[j]
    return constant + total + ENLARGED * (error + 4.0 * gamma * size) + SMALLEST


@part
def step_over(search: SearchMemory, layer: int, unit: int, side: int, depth: float, height: float) -> bool:
    """Put a side's witness between the polytope's, `depth` below the zero set, and the program's point.

    The program's point is on the border of the polytope, `height` above the unit's zero set. Half-way from
    there to where the line crosses that set, all rows keep part of the distance that the witness has.
    Returns whether the new point is inside beyond doubt.
    """
    target = search.side_points[side]
    sign = 1.0 if side == 1 else -1.0
    part = 0.5 + 0.5 * depth / (depth + height)
    for j in range(search.dimension):
        target[j] = search.witness[j] + part * (search.point[j] - search.witness[j])
    value, bound = height_at(search, layer, unit, sign, target)
    return value > bound and strictly_inside(search, target)


@part
def decide_side(search: SearchMemory, layer: int, unit: int, side: int) -> int:
    """Decide whether one side of a unit has interior points in the polytope: EMPTY, INSIDE or UNKNOWN.

    The witness may be on that side, or the unit negative in the whole domain; otherwise a program goes
    towards the side, the quick one first, and its point or its multipliers are checked. The witness of
    INSIDE goes to `side_points`. Float arithmetic leaves nothing unknown: a side where no program finds a
    point is empty.
    """
    d = search.dimension
    sign = 1.0 if side == 1 else -1.0
    unsure = Side.UNKNOWN if search.certified == 1 else Side.EMPTY
    value, bound = height_at(search, layer, unit, sign, search.witness)
    if value > bound:
        for j in range(d):
            search.side_points[side, j] = search.witness[j]
        return Side.INSIDE
    scale = power_of_two(search, layer, unit)
    if scale == 0.0:
        return Side.EMPTY if value < -bound else unsure
    if below_zero_in_domain(search, layer, unit, sign):
        return Side.EMPTY
    for j in range(d):
        search.objective[j] = sign * scale * search.slots[layer, j, unit]
    depth = max(-value, 0.0) * scale
    constant, error = search.slots[layer, d, unit], search.slots[layer, d + 1, unit]
    for attempt in range(2):
        for target in (FAR_ENOUGH * depth + scale * bound, np.inf):
            row, height = (
                quick_simplex(search, -depth, target)
                if attempt == 0
                else careful_simplex(search, -depth, target)
            )
            if height > 0.0 and step_over(search, layer, unit, side, depth, height):
                return Side.INSIDE
            if row < 0:
                break
        if row == NO_EDGE:
            set_multipliers(search, attempt == 0)
            if upper_bound(search, sign * scale * constant, scale * error) < 0.0:
                return Side.EMPTY
    return unsure
