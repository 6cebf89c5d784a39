"""Rigorous bounds on how far computed vertices are from the true ones (certified arithmetic).

A true vertex x* is the common point of d true hyperplanes; the walk holds a computed point x. With the
hyperplanes' computed rows a_i, c_i and their errors E_i over the domain (so |a_i x* + c_i| <= E_i),

    |A (x - x*)|_i <= rho_i = |a_i x + c_i| + gamma (|a_i| |x| + |c_i|) + E_i,

the middle term for the rounding of the residual (Higham 2002, eq. 3.5). Only the inverse of A is
missing, and any approximation B of it serves: |x - x*| <= max(|B| rho) / (1 - |I - B A|).
`carried_radius` is cheaper but grows with every cut; it is replaced by the above once it is large.
"""

import numpy as np
from numba import njit
from numpy.typing import NDArray

from regions.kernels.memory import state
from regions.kernels.memory.bits import ONE, SMALLEST, ZERO, trailing_zeros
from regions.kernels.memory.table import I64, f1, f2, f3, i1, i2, u2

ENLARGED = 1.000000001  # covers the rounding of the bounds themselves
EIGHT_ROUNDINGS = 2.0**-50


@njit(cache=True, nogil=True)
def set_row(t: I64, slot: int, unit: int, hyperplane: int) -> None:
    """Keep a unit's row (coefficients, constant, error) as that of a hyperplane."""
    rows_of = f2(t, state.ROWS_OF)
    slots = f3(t, state.SLOTS)
    for i in range(t[state.DIMENSION] + 2):
        rows_of[hyperplane, i] = slots[slot, i, unit]


@njit(cache=True, nogil=True)
def carried_radius(t: I64, slot: int, unit: int, a: int, b: int, total: float) -> float:
    """Bound the error of the vertex placed by `place_vertex` on the edge from `a` to `b`.

    With R the larger error of the two ends, p the point of the true edge at the computed fraction s,
    |x - p| <= R and some eight roundings. The unit's true values there differ from the computed ones
    by at most D (its bound at the ends), so |z(p)| <= D + 8 u total, while z falls by at least
    `total - 2 D` along the true edge, of length at most |a - b| + 2 R: this bounds |p - x*|.
    """
    points = f2(t, state.POINTS)
    radii = f1(t, state.RADII)
    slots = f3(t, state.SLOTS)
    d = t[state.DIMENSION]
    radius = max(radii[a], radii[b])
    error = slots[slot, d + 3, unit] + slots[slot, d + 4, unit] * radius
    length, size = 0.0, 0.0
    for i in range(d):
        xa, xb = points[i, a], points[i, b]
        length = max(length, abs(xb - xa))
        size = max(size, max(abs(xa), abs(xb)))
    fall = total * (1.0 - EIGHT_ROUNDINGS) - 2.00000001 * error
    share = 1.0
    if fall > 0.0:
        share = min(1.0, ENLARGED * (error + EIGHT_ROUNDINGS * total) / fall)
    return ENLARGED * (radius + share * (length + 2.0 * radius) + EIGHT_ROUNDINGS * size) + SMALLEST


@njit(cache=True, nogil=True)
def sums_exactly(t: I64, row: NDArray[np.float64], vertex: int) -> tuple[bool, float]:
    """Whether a row's value at a vertex takes no rounding at all, and the value.

    Dekker's product and Knuth's sum give each operation's error (Shewchuk 1997, theorems 7 and 18);
    products so small that their errors could underflow count as rounded.
    """
    points = f2(t, state.POINTS)
    d = t[state.DIMENSION]
    total = row[d]
    for i in range(d):
        a, x = row[i], points[i, vertex]
        if a == 0.0 or x == 0.0:
            continue
        term = a * x
        if not (2.0**-900 < abs(term) and abs(a) < 2.0**900 and abs(x) < 2.0**900):
            return False, 0.0
        split, other = 134217729.0 * a, 134217729.0 * x
        a_high, x_high = split - (split - a), other - (other - x)
        a_low, x_low = a - a_high, x - x_high
        lost = ((a_high * x_high - term) + a_high * x_low + a_low * x_high) + a_low * x_low
        new = total + term
        virtual = new - total
        if lost != 0.0 or (total - (new - virtual)) + (term - virtual) != 0.0:
            return False, 0.0
        total = new
    return True, total


@njit(cache=True, nogil=True, forceinline=True)
def distance_to_plane(t: I64, hyperplane: int, vertex: int) -> float:
    """rho of the module's docstring: a bound on |a (x - x*)| for one hyperplane through x*."""
    freg = f1(t, state.FREG)
    points = f2(t, state.POINTS)
    rows_of = f2(t, state.ROWS_OF)
    d = t[state.DIMENSION]
    value = rows_of[hyperplane, d]
    size = abs(value)
    for i in range(d):
        term = rows_of[hyperplane, i] * points[i, vertex]
        value += term
        size += abs(term)
    return ENLARGED * (abs(value) + freg[state.GAMMA_POINT] * size + rows_of[hyperplane, d + 1]) + SMALLEST


@njit(cache=True, nogil=True)
def radius_in_plane(t: I64, first: int, second: int, vertex: int) -> float:
    """The bound of the module's docstring for d = 2, the inverse by Cramer's rule."""
    rows_of = f2(t, state.ROWS_OF)
    a, b = rows_of[first, 0], rows_of[first, 1]
    p, q = rows_of[second, 0], rows_of[second, 1]
    left, right = a * q, b * p
    determinant = abs(left - right) - EIGHT_ROUNDINGS * (abs(left) + abs(right))
    if not determinant > 2.0**-900:
        return np.inf
    one = distance_to_plane(t, first, vertex)
    two = distance_to_plane(t, second, vertex)
    x = abs(q) * one + abs(b) * two
    y = abs(p) * one + abs(a) * two
    return ENLARGED * max(x, y) / determinant + SMALLEST


@njit(cache=True, nogil=True)
def distance_or_zero(t: I64, hyperplane: int, vertex: int) -> float:
    """`distance_to_plane`, but 0.0 where the hyperplane has no error and its value is 0 without rounding."""
    rows_of = f2(t, state.ROWS_OF)
    if rows_of[hyperplane, t[state.DIMENSION] + 1] == 0.0:
        exact, value = sums_exactly(t, rows_of[hyperplane], vertex)
        if exact and value == 0.0:
            return 0.0
    return distance_to_plane(t, hyperplane, vertex)


@njit(cache=True, nogil=True)
def list_planes(t: I64, vertex: int) -> int:
    """List the hyperplanes that a vertex lies on in SYSTEM_ROWS, as far as there is room.

    None for a vertex of d = 2 whose definition is not kept (its first entry is -1).
    """
    definitions = i2(t, state.DEFINITIONS)
    edges = i1(t, state.EDGES)
    inc = u2(t, state.INC)
    listed = i1(t, state.SYSTEM_ROWS)
    reg = i1(t, state.REG)
    if t[state.PLANAR] == 1:
        if definitions[vertex, 0] < 0:
            return 0
        listed[0], listed[1] = definitions[vertex, 0], definitions[vertex, 1]
        return 2
    count = 0
    for w in range(inc.shape[1]):
        rest = inc[vertex, w]
        while rest != ZERO and count < listed.shape[0]:
            listed[count] = edges[reg[state.ASK_FACETS] + 64 * w + trailing_zeros(rest)]
            count += 1
            rest &= rest - ONE
    return count


@njit(cache=True, nogil=True)
def choose_independent(t: I64, count: int) -> bool:
    """Bring d independent hyperplanes to the front of SYSTEM_ROWS; False if elimination finds none."""
    listed = i1(t, state.SYSTEM_ROWS)
    rows_of = f2(t, state.ROWS_OF)
    system = f2(t, state.SYSTEM)
    d = t[state.DIMENSION]
    for k in range(count):
        largest = 0.0
        for i in range(d):
            largest = max(largest, abs(rows_of[listed[k], i]))
        if not (largest > 0.0 and largest < np.inf):
            return False
        for i in range(d):
            system[k, i] = rows_of[listed[k], i] / largest
    for step in range(d):
        best, column, largest = -1, -1, 0.0
        for k in range(step, count):
            for i in range(d):
                if abs(system[k, i]) > largest:
                    best, column, largest = k, i, abs(system[k, i])
        if best < 0:
            return False
        listed[step], listed[best] = listed[best], listed[step]
        for i in range(d):
            system[step, i], system[best, i] = system[best, i], system[step, i]
        for k in range(step + 1, count):
            factor = system[k, column] / system[step, column]
            for i in range(d):
                system[k, i] -= factor * system[step, i]
            system[k, column] = 0.0
    return True


@njit(cache=True, nogil=True)
def invert_chosen(t: I64) -> bool:
    """Inverse of the d chosen rows by Gauss-Jordan elimination, in columns d, ... of SYSTEM."""
    listed = i1(t, state.SYSTEM_ROWS)
    rows_of = f2(t, state.ROWS_OF)
    system = f2(t, state.SYSTEM)
    d = t[state.DIMENSION]
    for k in range(d):
        for i in range(d):
            system[k, i] = rows_of[listed[k], i]
            system[k, d + i] = 1.0 if i == k else 0.0
    for step in range(d):
        best = step
        for k in range(step + 1, d):
            if abs(system[k, step]) > abs(system[best, step]):
                best = k
        pivot = system[best, step]
        if not abs(pivot) > 0.0:
            return False
        for i in range(2 * d):
            value = system[best, i]
            system[best, i] = system[step, i]
            system[step, i] = value / pivot
        for k in range(d):
            if k != step:
                factor = system[k, step]
                for i in range(2 * d):
                    system[k, i] -= factor * system[step, i]
    return True


@njit(cache=True, nogil=True)
def fresh_radius(t: I64, vertex: int) -> float:
    """Bound a vertex's error from its own hyperplanes; inf where they are too nearly parallel.

    Uses the numbering of hyperplanes of the node in hand (ASK_FACETS). The product B A is bounded with
    its rounding; products that underflow are covered by SMALLEST as long as the inverse is below 2**900.
    """
    freg = f1(t, state.FREG)
    listed = i1(t, state.SYSTEM_ROWS)
    reg = i1(t, state.REG)
    rows_of = f2(t, state.ROWS_OF)
    system = f2(t, state.SYSTEM)
    d = t[state.DIMENSION]
    reg[state.REFRESHED] += 1
    count = list_planes(t, vertex)
    if count < d or (count > d and not choose_independent(t, count)) or not invert_chosen(t):
        return np.inf
    worst, largest = 0.0, 0.0  # NaN fails every comparison below
    for k in range(d):
        total = 0.0
        for i in range(d):
            value, size = -1.0 if i == k else 0.0, 1.0
            for j in range(d):
                term = system[k, d + j] * rows_of[listed[j], i]
                value += term
                size += abs(term)
            total += abs(value) + 2.0 * freg[state.GAMMA_POINT] * size
        if not total < 0.5:
            return np.inf
        worst = max(worst, total)
    for j in range(d):
        system[d, j] = distance_or_zero(t, listed[j], vertex)
    for k in range(d):
        total = 0.0
        for j in range(d):
            total += abs(system[k, d + j]) * system[d, j]
            if not abs(system[k, d + j]) < 2.0**900:
                return np.inf
        if not total < np.inf:
            return np.inf
        largest = max(largest, total)
    if largest == 0.0:
        return 0.0  # on every one of them, and they meet in one point
    return ENLARGED * largest / (1.0 - ENLARGED * worst) + SMALLEST


@njit(cache=True, nogil=True)
def next_answer(t: I64, vertex: int, unit: int) -> int:
    """Number of the answer to the next exact question (unit -1: where a vertex is); -1 if only asked now."""
    questions = i2(t, state.QUESTIONS)
    reg = i1(t, state.REG)
    asked = reg[state.ASKED]
    reg[state.ASKED] = asked + 1
    if asked < reg[state.ANSWERED]:
        return asked
    if asked < questions.shape[0]:
        questions[asked, 0] = vertex
        questions[asked, 1] = unit
    return -1


@njit(cache=True, nogil=True)
def place_exactly(t: I64, vertex: int) -> None:
    """Take a vertex's position from the next exact answer, or ask for it."""
    answer_points = f2(t, state.ANSWER_POINTS)
    points = f2(t, state.POINTS)
    radii = f1(t, state.RADII)
    d = t[state.DIMENSION]
    answer = next_answer(t, vertex, -1)
    if answer >= 0:
        for i in range(d):
            points[i, vertex] = answer_points[answer, i]
        radii[vertex] = answer_points[answer, d]


@njit(cache=True, nogil=True)
def improve_radius(t: I64, vertex: int) -> None:
    """Bound afresh a position error that has grown; place the vertex exactly where that does not help."""
    freg = f1(t, state.FREG)
    radii = f1(t, state.RADII)
    radii[vertex] = min(radii[vertex], fresh_radius(t, vertex))
    if not radii[vertex] <= freg[state.LARGEST_ERROR]:
        place_exactly(t, vertex)
