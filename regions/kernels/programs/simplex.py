"""Dense linear programs of few variables, from a known feasible point, by the simplex method.

`maximise` knows d rows that hold with equality (at the start: d artificial ones) and the d edges that
leave them, so a pivot shoots one ray at all rows and exchanges one row: O(m d) (Chvatal 1983, chapters
7 and 8). Its answers are floats; the caller measures them with `residuals`, or proves them exactly.
"""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from regions.kernels.memory.bits import scale_of
from regions.kernels.memory.compiling import allocating, allocating_part, inlined, part
from regions.kernels.memory.layouts import F64, I64

OPTIMAL = 0  # point and multipliers are set
UNBOUNDED = 1  # point and ray are set
PIVOT_LIMIT = 2  # the work allowed is used up
STALLED = 3  # the same, in the middle of steps of length 0
INACCURATE = 4  # rounding has eaten the basis or the feasibility of the point
BAD_INPUT = 5  # a number is NaN or infinite, the start is not feasible, or shapes differ

REFRESH = 30  # pivots after which edges, point and slacks are computed afresh
ARTIFICIAL = -1  # an active row that is none of the given ones: may be left both ways
NO_EDGE = -1  # what `pivot` returns at an optimum
NO_ROW = -2  # ... and where the objective grows without bound


class Tableau(NamedTuple):
    """Where a search along edges stands: m scaled rows (as the first m of `columns`), d of them active."""

    columns: F64  # (d, at least m)
    slacks: F64  # (m,)
    noise: F64  # (m,) sizes of the terms of the slacks
    speeds: F64  # (m,) scratch
    in_basis: NDArray[np.bool_] | I64  # (m,)
    edges: F64  # (d, d) edge k leaves active row k and keeps the others
    active: I64  # (d,)
    point: F64  # (d,)
    ray: F64  # (d,) direction of the last step, of length 1


@part
def scale_rows(A: F64, columns: F64, scales: F64) -> None:
    """Transpose the rows, each times the power of two (exact) that brings its largest entry to [0.5, 1)."""
    m, d = A.shape
    for i in range(m):
        largest = 0.0
        for j in range(d):
            largest = max(largest, abs(A[i, j]))
        scales[i] = scale_of(largest) if largest > 0.0 else 1.0
        for j in range(d):
            columns[j, i] = A[i, j] * scales[i]


@part
def set_slacks(columns: F64, b: F64, scales: F64, point: F64, slacks: F64, noise: F64) -> None:
    """Set the slack of every scaled row at a point, and in `noise` the sum of the sizes of its terms."""
    d, m = columns.shape
    for i in range(m):
        slacks[i] = b[i] * scales[i]
        noise[i] = abs(slacks[i])
    for j in range(d):
        x = point[j]
        if x != 0.0:
            for i in range(m):
                slacks[i] -= columns[j, i] * x
            for i in range(m):
                noise[i] += abs(columns[j, i] * x)


@part
def set_artificial_rows(c: F64, length: float, rows: F64) -> None:
    """Set orthonormal rows of which the first is parallel to c (Householder 1958)."""
    d = c.shape[0]
    sign = 1.0 if c[0] >= 0.0 else -1.0
    square = 2.0 * (1.0 + abs(c[0]) / length)  # of the vector c / |c| + sign e_1
    for k in range(d):
        first = c[k] / length + (sign if k == 0 else 0.0)
        for j in range(d):
            second = c[j] / length + (sign if j == 0 else 0.0)
            rows[k, j] = (1.0 if j == k else 0.0) - 2.0 * first * second / square


@part
def choose_edge(edges: F64, c: F64, active: I64, least: float, bland: bool) -> int:
    """The edge along which the objective grows fastest per unit of length; -1 if none exceeds `least`.

    By Bland's rule (1977) instead: an artificial row's first, then that of the lowest row.
    """
    d = c.shape[0]
    best, lowest = -1, np.int64(2**62)
    for p in range(d):
        rate, square = 0.0, 0.0
        for j in range(d):
            rate -= edges[p, j] * c[j]
            square += edges[p, j] * edges[p, j]
        if active[p] == ARTIFICIAL:
            rate = abs(rate)
        rate /= math.sqrt(square)
        if bland:
            if rate > least and active[p] < lowest:
                best, lowest = p, active[p]
        elif rate > least:
            best, least = p, rate
    return best


@part
def shoot(columns: F64, direction: F64, in_basis: NDArray[np.bool_] | I64, speeds: F64) -> None:
    """Set how fast every row's slack shrinks along a direction; 0 for active rows."""
    d, m = columns.shape[0], speeds.shape[0]
    for i in range(m):
        speeds[i] = 0.0
    for j in range(d):
        x = direction[j]
        for i in range(m):
            speeds[i] += columns[j, i] * x
    for i in range(m):
        if in_basis[i]:
            speeds[i] = 0.0


@part
def choose_row(slacks: F64, noise: F64, speeds: F64, tolerance: float, bland: bool) -> int:
    """The row that the ray meets first; -1 if none.

    Rows met within the noise of each other count as tied, and the one met most steeply is taken
    (Harris 1973); by Bland's rule the lowest one.
    """
    m = slacks.shape[0]
    best, limit, steepest = -1, np.inf, 0.0
    for i in range(m):
        if speeds[i] > tolerance:
            slack = max(slacks[i], 0.0)
            if not bland:
                slack += tolerance * noise[i]
            elif slack <= tolerance * noise[i]:
                slack = 0.0
            if slack < limit * speeds[i]:
                best, limit = i, slack / speeds[i]
    for i in range(m):
        if speeds[i] > tolerance:
            slack = slacks[i]
            if bland and slack <= tolerance * noise[i]:
                slack = 0.0
            if slack <= limit * speeds[i] and speeds[i] > steepest:
                best, steepest = i, speeds[i]
                if bland:
                    break
    return best


@part
def exchange(columns: F64, edges: F64, p: int, row: int) -> None:
    """Make a row the p-th active one: its edge is stretched, the other edges are bent into the row."""
    d = edges.shape[0]
    value = 0.0
    for j in range(d):
        value += columns[j, row] * edges[p, j]
    for j in range(d):
        edges[p, j] /= value
    for k in range(d):
        if k != p:
            value = 0.0
            for j in range(d):
                value += columns[j, row] * edges[k, j]
            for j in range(d):
                edges[k, j] -= value * edges[p, j]


@part
def gather_rows(columns: F64, active: I64, artificial: F64, basis: F64) -> None:
    """Copy the d active rows, scaled."""
    d = active.shape[0]
    for k in range(d):
        for j in range(d):
            basis[k, j] = artificial[k, j] if active[k] == ARTIFICIAL else columns[j, active[k]]


@allocating_part
def sharpen(basis: F64, edges: F64) -> bool:
    """One Newton step for the inverse of the active rows (Schulz 1933); False if they are too far apart."""
    d = edges.shape[0]
    rest = np.empty(d)
    for p in range(d):
        size = 0.0
        for k in range(d):
            rest[k] = 1.0 if k == p else 0.0
            for j in range(d):
                rest[k] -= basis[k, j] * edges[p, j]
            size += abs(rest[k])
        if not size < 1e-3:
            return False
        # the other edges serve as they are: those before p are sharper already
        for k in range(d):
            if rest[k] != 0.0:
                for j in range(d):
                    edges[p, j] += rest[k] * edges[k, j]
    return True


@allocating_part
def settle(A: F64, b: F64, scales: F64, active: I64, edges: F64, point: F64) -> None:
    """Move the point onto its active rows: one step of iterative refinement, with the rows as given."""
    d = point.shape[0]
    move = np.zeros(d)
    for p in range(d):
        row = active[p]
        if row != ARTIFICIAL:
            rest = b[row]
            for j in range(d):
                rest -= A[row, j] * point[j]
            for j in range(d):
                move[j] += rest * scales[row] * edges[p, j]
    for j in range(d):
        point[j] += move[j]


@allocating_part
def set_multipliers(c: F64, scales: F64, active: I64, edges: F64, basis: F64, multipliers: F64) -> None:
    """Set multipliers y with y A = c of the active rows, refined once; signs as they come, 0 elsewhere."""
    d = c.shape[0]
    values = np.zeros(d)
    rest = c.copy()
    for _ in range(2):
        for p in range(d):
            for j in range(d):
                values[p] += rest[j] * edges[p, j]
        for j in range(d):
            rest[j] = c[j]
            for p in range(d):
                rest[j] -= values[p] * basis[p, j]
    multipliers[:] = 0.0
    for p in range(d):
        if active[p] != ARTIFICIAL:
            multipliers[active[p]] = values[p] * scales[active[p]]


@part
def usable(A: F64, b: F64, c: F64, start: F64) -> bool:
    """Whether shapes agree and all numbers are finite."""
    m, d = A.shape
    if b.shape[0] != m or c.shape[0] != d or start.shape[0] != d:
        return False
    bad = 0
    for i in range(m):
        bad += not abs(b[i]) < np.inf
        for j in range(d):
            bad += not abs(A[i, j]) < np.inf
    for j in range(d):
        bad += not (abs(c[j]) < np.inf and abs(start[j]) < np.inf)
    return bad == 0


@allocating
def maximise(
    A: F64,
    b: F64,
    c: F64,
    start: F64,
    tolerance: float,
    max_pivots: int,
    max_stall: int,
    point: F64,
    multipliers: F64,
    ray: F64,
) -> tuple[int, int]:
    """Maximise c.x subject to A x <= b, from a feasible point.

    Steepest edge; after `max_stall` steps of length 0 in a row Bland's rule, until a longer one. Cost
    O(m d) per pivot, about d to 3 d pivots in practice, and O(m d) memory, allocated at each call.

    Parameters
    ----------
    A : (m, d), b : (m,), c : (d,)
    start : (d,) with A start <= b up to `tolerance` relative to the sizes of each row's terms
    tolerance : relative size of numbers that count as 0: slopes of edges, speeds, slacks
    max_pivots, max_stall : bounds of the work
    point : (d,) output, the best point found
    multipliers : (m,) output, y with y A = c if OPTIMAL; not below 0 but for rounding
    ray : (d,) output, direction of unbounded growth, of length 1, if UNBOUNDED

    Returns
    -------
    status, number of pivots

    References
    ----------
    Chvatal, Linear Programming (1983), chapters 7 and 8. Goldfarb and Reid, A practicable steepest-edge
    simplex algorithm, Math. Prog. 12 (1977). Bland, New finite pivoting rules for the simplex method,
    Math. Oper. Res. 2 (1977). Harris, Pivot selection methods of the Devex LP code, Math. Prog. 5 (1973).
    """
    m, d = A.shape
    if not usable(A, b, c, start):
        return BAD_INPUT, 0
    point[:] = start
    multipliers[:] = 0.0
    length = 0.0
    for j in range(d):
        length = max(length, abs(c[j]))
    if length == 0.0:
        columns, scales, slacks, noise = np.empty((d, m)), np.empty(m), np.empty(m), np.empty(m)
        scale_rows(A, columns, scales)
        set_slacks(columns, b, scales, point, slacks, noise)
        return (OPTIMAL if feasible(slacks, noise, tolerance) else BAD_INPUT), 0
    return follow_edges(A, b, c / length, length, tolerance, max_pivots, max_stall, point, multipliers, ray)


@part
def feasible(slacks: F64, noise: F64, tolerance: float) -> bool:
    """Whether no slack is below 0 by more than its noise."""
    for i in range(slacks.shape[0]):
        if not slacks[i] >= -tolerance * noise[i]:
            return False
    return True


@inlined
def pivot(tableau: Tableau, c: F64, norm: float, tolerance: float, bland: bool) -> tuple[int, float, bool]:
    """Take one step along the best edge: the row that stops it, how much c.x grows, whether it moved.

    Instead of the row, NO_EDGE where c.x grows along no edge, NO_ROW where none stops the step; `norm` is
    that of c.
    """
    columns, slacks, noise, speeds, in_basis, edges, active, point, ray = tableau
    d, m = edges.shape[0], slacks.shape[0]
    p = choose_edge(edges, c, active, tolerance * norm, bland)
    if p < 0:
        return NO_EDGE, 0.0, False
    slope, square = 0.0, 0.0
    for j in range(d):
        slope += edges[p, j] * c[j]
        square += edges[p, j] * edges[p, j]
    factor = (1.0 if slope > 0.0 else -1.0) / math.sqrt(square)
    for j in range(d):
        ray[j] = factor * edges[p, j]
    shoot(columns, ray, in_basis, speeds)
    row = choose_row(slacks, noise, speeds, tolerance, bland)
    if row < 0:
        return NO_ROW, 0.0, False
    step = max(slacks[row], 0.0) / speeds[row]
    moved = slacks[row] > tolerance * noise[row]
    for j in range(d):
        point[j] += step * ray[j]
    for i in range(m):
        slacks[i] -= step * speeds[i]
    for i in range(m):
        noise[i] += step * abs(speeds[i])
    leaving = active[p]
    if leaving != ARTIFICIAL:
        in_basis[leaving] = False
        slacks[leaving] = -step * factor  # its speed along the ray is `factor` < 0
    exchange(columns, edges, p, row)
    active[p] = row
    in_basis[row] = True
    slacks[row] = 0.0
    return row, step * abs(slope * factor), moved


@allocating_part
def follow_edges(
    A: F64,
    b: F64,
    c: F64,
    length: float,
    tolerance: float,
    max_pivots: int,
    max_stall: int,
    point: F64,
    multipliers: F64,
    ray: F64,
) -> tuple[int, int]:
    """Do the pivots of `maximise` from `point`, for the objective `length * c` with largest entry of c 1."""
    m, d = A.shape
    columns, scales = np.empty((d, m)), np.empty(m)
    slacks, noise, speeds = np.empty(m), np.empty(m), np.empty(m)
    edges, artificial, basis = np.empty((d, d)), np.empty((d, d)), np.empty((d, d))
    active = np.full(d, ARTIFICIAL, dtype=np.int64)
    in_basis = np.zeros(m, dtype=np.bool_)
    scale_rows(A, columns, scales)
    set_slacks(columns, b, scales, point, slacks, noise)
    if not feasible(slacks, noise, tolerance):
        return BAD_INPUT, 0
    norm = 0.0
    for j in range(d):
        norm += c[j] * c[j]
    norm = math.sqrt(norm)
    set_artificial_rows(c, norm, artificial)
    edges[:] = artificial
    tableau = Tableau(columns, slacks, noise, speeds, in_basis, edges, active, point, ray)
    stalled = 0
    for pivots in range(max_pivots):
        if pivots % REFRESH == REFRESH - 1:
            gather_rows(columns, active, artificial, basis)
            if not sharpen(basis, edges):
                return INACCURATE, pivots
            settle(A, b, scales, active, edges, point)
            set_slacks(columns, b, scales, point, slacks, noise)
            if not feasible(slacks, noise, 100.0 * tolerance):
                return INACCURATE, pivots
        row, _, moved = pivot(tableau, c, norm, tolerance, stalled > max_stall)
        if row == NO_EDGE:
            gather_rows(columns, active, artificial, basis)
            settle(A, b, scales, active, edges, point)
            set_multipliers(c, scales, active, edges, basis, multipliers)
            for p in range(d):
                if active[p] != ARTIFICIAL:
                    multipliers[active[p]] *= length
            return OPTIMAL, pivots
        if row == NO_ROW:
            return UNBOUNDED, pivots
        stalled = 0 if moved else stalled + 1
    return (STALLED if stalled > max_stall else PIVOT_LIMIT), max_pivots


@allocating
def residuals(A: F64, b: F64, c: F64, point: F64, multipliers: F64) -> tuple[float, float, float, float]:
    """Measure how far point and multipliers are from being optimal, each relative to its terms.

    Lengths below `scale` count as that long: the largest |x_j| or, if more, the distance |b_i| / |a_i|_max
    of the farthest row, at most 1. So rounding about a vertex at the origin is no error of 100 per cent.

    Returns
    -------
    primal : largest (a_i.x - b_i) / (|a_i|_max scale + |b_i|), at least 0
    dual : largest |c_j - y A_j| / (|c|_max + sum_i |y_i a_ij|) or -y_i |a_i|_max / |c|_max
    gap : |b.y - c.x| / (|c|_max scale + sum_i |b_i y_i| + sum_j |c_j x_j|)
    value : c.x

    NaN in any of them makes that one infinite. Cost O(m d).
    """
    m, d = A.shape
    primal, dual, largest, scale, span = 0.0, 0.0, 0.0, 0.0, 0.0
    rest, sizes = c.copy(), np.zeros(d)
    value, below, gap_size = 0.0, 0.0, 0.0
    for j in range(d):
        largest = max(largest, abs(c[j]))
        span = max(span, abs(point[j]))
        value += c[j] * point[j]
        gap_size += abs(c[j] * point[j])
    for i in range(m):
        scale = min(1.0, max(scale, abs(b[i]) / row_size(A, i)))
    scale = max(scale, span)
    sizes[:] = largest
    for i in range(m):
        norm, excess = row_size(A, i), -b[i]
        for j in range(d):
            excess += A[i, j] * point[j]
        if not excess <= 0.0:
            primal = larger(primal, excess / (norm * scale + abs(b[i])))
        y = multipliers[i]
        if y != 0.0:
            if y < 0.0:
                dual = larger(dual, -y * norm / largest if largest > 0.0 else np.inf)
            below += b[i] * y
            gap_size += abs(b[i] * y)
            for j in range(d):
                rest[j] -= y * A[i, j]
                sizes[j] += abs(y * A[i, j])
    for j in range(d):
        if rest[j] != 0.0:
            dual = larger(dual, abs(rest[j]) / sizes[j])
    gap = abs(below - value)
    if gap != 0.0:
        gap = larger(0.0, gap / (gap_size + largest * scale))
    return primal, dual, gap, value


@part
def row_size(A: F64, i: int) -> float:
    """Largest entry of a row by size; the smallest positive float for a row of zeros."""
    size = 2.0**-1074
    for j in range(A.shape[1]):
        size = max(size, abs(A[i, j]))
    return size


@part
def larger(a: float, b: float) -> float:
    """The larger of two numbers >= 0; infinite if the second is NaN."""
    if b >= 0.0:
        return max(a, b)
    return np.inf
