"""Rigorous bounds on how far computed vertices are from the true ones (certified arithmetic).

A true vertex x* is the common point of d true hyperplanes; the search holds a computed point x. With the
hyperplanes' computed rows a_i, c_i and their errors E_i over the domain (so |a_i x* + c_i| <= E_i),

    |A (x - x*)|_i <= rho_i = |a_i x + c_i| + gamma (|a_i| |x| + |c_i|) + E_i,

the middle term for the rounding of the residual (Higham 2002, eq. 3.5). Only the inverse of A is
missing, and any approximation B of it serves: |x - x*| <= max(|B| rho) / (1 - |I - B A|).
`carried_radius` is cheaper but grows with every cut; it is replaced by the above once it is large.
"""

import numpy as np
from numpy.typing import NDArray

from regions.kernels.memory.bits import ONE, SMALLEST, ZERO, trailing_zeros
from regions.kernels.memory.compiling import inlined, part, step
from regions.kernels.memory.layouts import SearchMemory
from regions.kernels.memory.states import Status

ENLARGED = 1.000000001  # covers the rounding of the bounds themselves
EIGHT_ROUNDINGS = 2.0**-50


@part
def set_row(search: SearchMemory, slot: int, unit: int, hyperplane: int) -> None:
    """Keep a unit's row (coefficients, constant, error) as that of a hyperplane."""
    for i in range(search.dimension + 2):
        search.rows[hyperplane, i] = search.slots[slot, i, unit]


@part
def carried_radius(search: SearchMemory, slot: int, unit: int, a: int, b: int, total: float) -> float:
    """Bound the error of the vertex placed by `place_vertex` on the edge from `a` to `b`.

    With R the larger error of the two ends, p the point of the true edge at the computed fraction s,
    |x - p| <= R and some eight roundings. The unit's true values there differ from the computed ones
    by at most D (its bound at the ends), so |z(p)| <= D + 8 u total, while z falls by at least
    `total - 2 D` along the true edge, of length at most |a - b| + 2 R: this bounds |p - x*|.
    """
    d = search.dimension
    radius = max(search.radii[a], search.radii[b])
    error = search.slots[slot, d + 3, unit] + search.slots[slot, d + 4, unit] * radius
    length, size = 0.0, 0.0
    for i in range(d):
        xa, xb = search.points[i, a], search.points[i, b]
        length = max(length, abs(xb - xa))
        size = max(size, max(abs(xa), abs(xb)))
    fall = total * (1.0 - EIGHT_ROUNDINGS) - 2.00000001 * error
    share = 1.0
    if fall > 0.0:
        share = min(1.0, ENLARGED * (error + EIGHT_ROUNDINGS * total) / fall)
    return ENLARGED * (radius + share * (length + 2.0 * radius) + EIGHT_ROUNDINGS * size) + SMALLEST


@part
def sums_exactly(search: SearchMemory, row: NDArray[np.float64], vertex: int) -> tuple[bool, float]:
    """Whether a row's value at a vertex takes no rounding at all, and the value.

    Dekker's product and Knuth's sum give each operation's error (Shewchuk 1997, theorems 7 and 18);
    products so small that their errors could underflow count as rounded.
    """
    d = search.dimension
    total = row[d]
    for i in range(d):
        a, x = row[i], search.points[i, vertex]
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


@inlined
def distance_to_plane(search: SearchMemory, hyperplane: int, vertex: int) -> float:
    """rho of the module's docstring: a bound on |a (x - x*)| for one hyperplane through x*."""
    d = search.dimension
    value = search.rows[hyperplane, d]
    size = abs(value)
    for i in range(d):
        term = search.rows[hyperplane, i] * search.points[i, vertex]
        value += term
        size += abs(term)
    return ENLARGED * (abs(value) + search.gamma_point * size + search.rows[hyperplane, d + 1]) + SMALLEST


@part
def radius_in_plane(search: SearchMemory, first: int, second: int, vertex: int) -> float:
    """The bound of the module's docstring for d = 2, the inverse by Cramer's rule."""
    a, b = search.rows[first, 0], search.rows[first, 1]
    p, q = search.rows[second, 0], search.rows[second, 1]
    left, right = a * q, b * p
    determinant = abs(left - right) - EIGHT_ROUNDINGS * (abs(left) + abs(right))
    if not determinant > 2.0**-900:
        return np.inf
    one = distance_to_plane(search, first, vertex)
    two = distance_to_plane(search, second, vertex)
    x = abs(q) * one + abs(b) * two
    y = abs(p) * one + abs(a) * two
    return ENLARGED * max(x, y) / determinant + SMALLEST


@part
def distance_or_zero(search: SearchMemory, hyperplane: int, vertex: int) -> float:
    """`distance_to_plane`, but 0.0 where the hyperplane has no error and its value is 0 without rounding."""
    if search.rows[hyperplane, search.dimension + 1] == 0.0:
        exact, value = sums_exactly(search, search.rows[hyperplane], vertex)
        if exact and value == 0.0:
            return 0.0
    return distance_to_plane(search, hyperplane, vertex)


@part
def list_planes(search: SearchMemory, vertex: int) -> int:
    """List the hyperplanes that a vertex lies on in SYSTEM_ROWS, as far as there is room.

    None for a vertex of d = 2 whose definition is not kept (its first entry is -1).
    """
    if search.planar == 1:
        if search.definitions[vertex, 0] < 0:
            return 0
        search.system_rows[0], search.system_rows[1] = (
            search.definitions[vertex, 0],
            search.definitions[vertex, 1],
        )
        return 2
    count = 0
    for w in range(search.incidence.shape[1]):
        rest = search.incidence[vertex, w]
        while rest != ZERO and count < search.system_rows.shape[0]:
            search.system_rows[count] = search.edges[search.ask_facets + 64 * w + trailing_zeros(rest)]
            count += 1
            rest &= rest - ONE
    return count


@part
def choose_independent(search: SearchMemory, count: int) -> bool:
    """Bring d independent hyperplanes to the front of SYSTEM_ROWS; False if elimination finds none."""
    d = search.dimension
    for k in range(count):
        largest = 0.0
        for i in range(d):
            largest = max(largest, abs(search.rows[search.system_rows[k], i]))
        if not (largest > 0.0 and largest < np.inf):
            return False
        for i in range(d):
            search.system[k, i] = search.rows[search.system_rows[k], i] / largest
    for stage in range(d):
        best, column, largest = -1, -1, 0.0
        for k in range(stage, count):
            for i in range(d):
                if abs(search.system[k, i]) > largest:
                    best, column, largest = k, i, abs(search.system[k, i])
        if best < 0:
            return False
        search.system_rows[stage], search.system_rows[best] = (
            search.system_rows[best],
            search.system_rows[stage],
        )
        for i in range(d):
            search.system[stage, i], search.system[best, i] = search.system[best, i], search.system[stage, i]
        for k in range(stage + 1, count):
            factor = search.system[k, column] / search.system[stage, column]
            for i in range(d):
                search.system[k, i] -= factor * search.system[stage, i]
            search.system[k, column] = 0.0
    return True


@part
def invert_chosen(search: SearchMemory) -> bool:
    """Inverse of the d chosen rows by Gauss-Jordan elimination, in columns d, ... of SYSTEM."""
    d = search.dimension
    for k in range(d):
        for i in range(d):
            search.system[k, i] = search.rows[search.system_rows[k], i]
            search.system[k, d + i] = 1.0 if i == k else 0.0
    for stage in range(d):
        best = stage
        for k in range(stage + 1, d):
            if abs(search.system[k, stage]) > abs(search.system[best, stage]):
                best = k
        pivot = search.system[best, stage]
        if not abs(pivot) > 0.0:
            return False
        for i in range(2 * d):
            value = search.system[best, i]
            search.system[best, i] = search.system[stage, i]
            search.system[stage, i] = value / pivot
        for k in range(d):
            if k != stage:
                factor = search.system[k, stage]
                for i in range(2 * d):
                    search.system[k, i] -= factor * search.system[stage, i]
    return True


@part
def fresh_radius(search: SearchMemory, vertex: int) -> float:
    """Bound a vertex's error from its own hyperplanes; inf where they are too nearly parallel.

    Uses the numbering of hyperplanes of the node in hand (ASK_FACETS). The product B A is bounded with
    its rounding; products that underflow are covered by SMALLEST as long as the inverse is below 2**900.
    """
    d = search.dimension
    search.refreshed += 1
    count = list_planes(search, vertex)
    if count < d or (count > d and not choose_independent(search, count)) or not invert_chosen(search):
        return np.inf
    worst, largest = 0.0, 0.0  # NaN fails every comparison below
    for k in range(d):
        total = 0.0
        for i in range(d):
            value, size = -1.0 if i == k else 0.0, 1.0
            for j in range(d):
                term = search.system[k, d + j] * search.rows[search.system_rows[j], i]
                value += term
                size += abs(term)
            total += abs(value) + 2.0 * search.gamma_point * size
        if not total < 0.5:
            return np.inf
        worst = max(worst, total)
    for j in range(d):
        search.system[d, j] = distance_or_zero(search, search.system_rows[j], vertex)
    for k in range(d):
        total = 0.0
        for j in range(d):
            total += abs(search.system[k, d + j]) * search.system[d, j]
            if not abs(search.system[k, d + j]) < 2.0**900:
                return np.inf
        if not total < np.inf:
            return np.inf
        largest = max(largest, total)
    if largest == 0.0:
        return 0.0  # on every one of them, and they meet in one point
    return ENLARGED * largest / (1.0 - ENLARGED * worst) + SMALLEST


@part
def next_answer(search: SearchMemory, vertex: int, unit: int) -> int:
    """Number of the answer to the next exact question (unit -1: where a vertex is); -1 if only asked now."""
    asked = search.asked
    search.asked = asked + 1
    if asked < search.answered:
        return asked
    if asked < search.questions.shape[0]:
        search.questions[asked, 0] = vertex
        search.questions[asked, 1] = unit
    return -1


@part
def place_exactly(search: SearchMemory, vertex: int) -> None:
    """Take a vertex's position from the next exact answer, or ask for it."""
    d = search.dimension
    answer = next_answer(search, vertex, -1)
    if answer >= 0:
        for i in range(d):
            search.points[i, vertex] = search.answer_points[answer, i]
        search.radii[vertex] = search.answer_points[answer, d]


@step
def improve_radius(search: SearchMemory, vertex: int) -> int:
    """Bound afresh a position error that has grown; place the vertex exactly where that does not help."""
    search.radii[vertex] = min(search.radii[vertex], fresh_radius(search, vertex))
    if not search.radii[vertex] <= search.largest_error:
        place_exactly(search, vertex)
    return Status.DONE
