"""Signs: the only place where a computed number is compared with its error bound.

A sign is certain when `|value| > bound`; otherwise it is doubtful. In float arithmetic a doubtful
sign reads as zero (the vertex lies on the hyperplane); certified arithmetic asks for the exact one.
"""

from numba import njit

from regions.kernels import state
from regions.kernels.table import I64, f1, f2, f3, i1, i2

ACTIVE = 1
INACTIVE = -1
LOOK = 2


@njit(cache=True, nogil=True, forceinline=True)
def sign(value: float, bound: float) -> int:
    """1, -1, or 0 where the bound does not exclude zero."""
    if value > bound:
        return 1
    if value < -bound:
        return -1
    return 0


@njit(cache=True, nogil=True, forceinline=True)
def unit_state(low: float, high: float, bound: float) -> int:
    """State of a unit whose values at a cell's vertices lie in [low, high].

    ACTIVE or INACTIVE where all signs are certain and equal, LOOK where vertices must be looked at
    one by one: some are cut off, or doubtful.
    """
    if low > bound:
        return ACTIVE
    if high < -bound:
        return INACTIVE
    return LOOK


@njit(cache=True, nogil=True)
def fill_bounds(t: I64, layer: int, slot: int, reach: float, radius: float) -> None:
    """Bounds of |computed - true| for a layer's units at the points of one polytope.

    For unit k, a point with max-norm at most `reach` and position error at most r:
    `bound = E + gamma (|A|_1 reach + |c|) + |A|_1 r`, E the map's own error over the domain, the
    second term the rounding of the evaluation (Higham 2002, eq. 3.5). Rows d + 3 and d + 4 of the
    slot keep the part without r and |A|_1; BOUNDS gets the bound for r = `radius`. Row d + 2 gets
    what the unit's map passes on when it is added to the next layer's: E plus the rounding of
    products and sums, `gamma_l (sum_i |A_i| extent_i + |c|)`. The factor 1 + 1e-9 covers the
    rounding of the bounds themselves.
    """
    bounds = f1(t, state.BOUNDS)
    extents = f1(t, state.EXTENTS)
    freg = f1(t, state.FREG)
    gammas = f1(t, state.GAMMAS)
    slots = f3(t, state.SLOTS)
    widths = i1(t, state.WIDTHS)
    d = t[state.DIMENSION]
    gamma_point = freg[state.GAMMA_POINT]
    gamma = gammas[layer + 1]
    n = widths[layer]
    constant = slots[slot, d]
    error = slots[slot, d + 1]
    passed = slots[slot, d + 2]
    base = slots[slot, d + 3]
    norm = slots[slot, d + 4]
    row = slots[slot, 0]
    extent = extents[0]
    for k in range(n):
        size = abs(row[k])
        norm[k] = size
        passed[k] = abs(constant[k]) + size * extent
    for i in range(1, d):
        row = slots[slot, i]
        extent = extents[i]
        for k in range(n):
            size = abs(row[k])
            norm[k] += size
            passed[k] += size * extent
    for k in range(n):
        total = error[k] + gamma_point * (norm[k] * reach + abs(constant[k]))
        base[k] = total * 1.000000001
        norm[k] *= 1.000000001
        bounds[k] = base[k] + norm[k] * radius
        passed[k] = (passed[k] * gamma + error[k]) * 1.000000001


@njit(cache=True, nogil=True)
def point_bound(t: I64, slot: int, unit: int, vertex: int) -> float:
    """The bound of `fill_bounds` for one unit at one vertex, from that vertex's own size and radius."""
    freg = f1(t, state.FREG)
    points = f2(t, state.POINTS)
    radii = f1(t, state.RADII)
    slots = f3(t, state.SLOTS)
    d = t[state.DIMENSION]
    total = abs(slots[slot, d, unit])
    shift = 0.0
    for i in range(d):
        size = abs(slots[slot, i, unit])
        total += size * abs(points[vertex, i])
        shift += size
    bound = slots[slot, d + 1, unit] + shift * radii[vertex] + freg[state.GAMMA_POINT] * total
    return bound * 1.000000001


@njit(cache=True, nogil=True)
def doubtful_sign(t: I64, slot: int, unit: int, vertex: int, value: float) -> int:
    """Sign of a unit at a vertex where the polytope's bound does not decide it.

    Tries the vertex's own bound. What is still doubtful is zero in float arithmetic; in certified
    arithmetic it is the next exact answer, or becomes a question.
    """
    reg = i1(t, state.REG)
    bound = point_bound(t, slot, unit, vertex)
    result = sign(value, bound)
    if result != 0 or bound == 0.0:
        return result
    reg[state.DOUBTFUL] += 1
    if t[state.CERTIFIED] == 0:
        return 0
    answers = i1(t, state.ANSWERS)
    questions = i2(t, state.QUESTIONS)
    asked = reg[state.ASKED]
    reg[state.ASKED] = asked + 1
    if asked < reg[state.ANSWERED]:
        return answers[asked]
    if asked < questions.shape[0]:
        questions[asked, 0] = vertex
        questions[asked, 1] = unit
    return 0


@njit(cache=True, nogil=True, forceinline=True)
def vertex_sign(t: I64, slot: int, unit: int, vertex: int, value: float) -> int:
    """Sign of a unit at a vertex of the polytope that `fill_bounds` was last called for at this slot."""
    radii = f1(t, state.RADII)
    slots = f3(t, state.SLOTS)
    d = t[state.DIMENSION]
    bound = slots[slot, d + 3, unit] + slots[slot, d + 4, unit] * radii[vertex]
    if value > bound:
        return 1
    if value < -bound:
        return -1
    return doubtful_sign(t, slot, unit, vertex, value)
