"""Signs: the only place where a computed number is compared with its error bound.

A sign is certain when `|value| > bound`; otherwise it is doubtful. In float arithmetic a doubtful
sign reads as zero (the vertex lies on the hyperplane); certified arithmetic asks for the exact one.
Signs that follow from others without arithmetic are taken from there (`marks.mark_new_vertices`).
"""

from numba import njit

from regions.kernels.memory import state
from regions.kernels.memory.bits import SMALLEST
from regions.kernels.memory.table import I64, f1, f2, f3, i1
from regions.kernels.vertices.error_bounds import fresh_radius, next_answer, sums_exactly


@njit(cache=True, nogil=True, forceinline=True)
def sign(value: float, bound: float) -> int:
    """1, -1, or 0 where the bound does not exclude zero."""
    if value > bound:
        return 1
    if value < -bound:
        return -1
    return 0


@njit(cache=True, nogil=True)
def screen_layer(t: I64, layer: int, slot: int, reach: float, radius: float) -> None:
    """Sign of a layer's units over the box around one polytope, where it is the same everywhere.

    The box has middle and half-widths in BOX. For unit k, a point with max-norm at most `reach` and
    position error at most `radius`: |computed - true| <= E + gamma (|A|_1 reach + |c|) + |A|_1 radius,
    E the map's own error over the domain, the second term the rounding of the evaluation (Higham
    2002, eq. 3.5). MIDDLE gets the value at the middle of the box where its size exceeds
    `sum_i |A_i| halfwidth_i` plus this bound: its sign is then that of all points of the polytope;
    otherwise 0. The factor 1 + 1e-9 covers the rounding of the bounds.

    Loops write one array each: LLVM vectorises a loop only if few pairs of arrays may overlap.
    """
    box = f2(t, state.BOX)
    freg = f1(t, state.FREG)
    middles = f1(t, state.MIDDLES)
    slots = f3(t, state.SLOTS)
    spread = f1(t, state.SPREADS)
    widths = i1(t, state.WIDTHS)
    d = t[state.DIMENSION]
    gamma = freg[state.GAMMA_POINT]
    n = widths[layer]
    constant = slots[slot, d]
    error = slots[slot, d + 1]
    scale = radius + gamma * reach
    if d == 2:
        row, column = slots[slot, 0], slots[slot, 1]
        mx, my = box[0, 0], box[0, 1]
        hx, hy = box[1, 0] + scale, box[1, 1] + scale
        for k in range(n):
            value = constant[k] + row[k] * mx + column[k] * my
            size = abs(row[k]) * hx + abs(column[k]) * hy + gamma * abs(constant[k]) + error[k]
            middles[k] = value if abs(value) > 1.000000001 * size else 0.0
        return
    for k in range(n):
        spread[k] = gamma * abs(constant[k]) + error[k]
        middles[k] = constant[k]
    for i in range(d):
        row = slots[slot, i]
        middle, half = box[0, i], box[1, i] + scale
        for k in range(n):
            middles[k] += row[k] * middle
        for k in range(n):
            spread[k] += abs(row[k]) * half
    for k in range(n):
        middles[k] = middles[k] if abs(middles[k]) > 1.000000001 * spread[k] else 0.0


@njit(cache=True, nogil=True)
def pass_on(t: I64, layer: int, slot: int) -> None:
    """What each unit's map passes on, in row d + 2, when it is added to the next layer's map.

    Its own error plus the rounding of the products and sums: `E + gamma_l (|A|_1 extent + |c|)`,
    with the largest |coordinate| of the domain as extent.
    """
    extents = f1(t, state.EXTENTS)
    gammas = f1(t, state.ROUNDINGS)
    slots = f3(t, state.SLOTS)
    widths = i1(t, state.WIDTHS)
    d = t[state.DIMENSION]
    n = widths[layer]
    extent = extents[0]
    for i in range(1, d):
        extent = max(extent, extents[i])
    gamma = gammas[layer + 1] * 1.000000001
    extent *= gamma
    passed = slots[slot, d + 2]
    constant = slots[slot, d]
    error = slots[slot, d + 1]
    for k in range(n):
        passed[k] = error[k] * 1.000000001 + gamma * abs(constant[k])
    for i in range(d):
        row = slots[slot, i]
        for k in range(n):
            passed[k] += extent * abs(row[k])


@njit(cache=True, nogil=True, forceinline=True)
def set_bound(t: I64, slot: int, unit: int, reach: float) -> None:
    """Keep a unit's error bound on a polytope: row d + 3 without the position error, its factor in d + 4.

    For a vertex x of the polytope, true position x*, `|computed(x) - true(x*)|` is at most the map's
    error E at x* (which is in the domain), plus |A|_1 |x - x*|, plus the rounding of the evaluation
    (Higham 2002, eq. 3.5), plus what underflow can lose.
    """
    freg = f1(t, state.FREG)
    slots = f3(t, state.SLOTS)
    d = t[state.DIMENSION]
    norm = 0.0
    for i in range(d):
        norm += abs(slots[slot, i, unit])
    rounding = freg[state.GAMMA_POINT] * (norm * reach + abs(slots[slot, d, unit]))
    slots[slot, d + 3, unit] = 1.000000001 * (slots[slot, d + 1, unit] + rounding) + SMALLEST
    slots[slot, d + 4, unit] = 1.000000001 * norm


@njit(cache=True, nogil=True)
def point_bound(t: I64, slot: int, unit: int, vertex: int) -> float:
    """The bound of `set_bound` for one unit at one vertex, from that vertex's own size and radius.

    Nothing is added for underflow where no two factors are nonzero: what is exactly 0 has bound 0.
    Where every map is linear (CENTRAL) its error over the domain is one of the coefficients alone,
    so it shrinks with the point's size, to 0 at the origin.
    """
    extents = f1(t, state.EXTENTS)
    freg = f1(t, state.FREG)
    points = f2(t, state.POINTS)
    radii = f1(t, state.RADII)
    slots = f3(t, state.SLOTS)
    d = t[state.DIMENSION]
    total = abs(slots[slot, d, unit])
    shift = 0.0
    lost = SMALLEST if total > 0.0 else 0.0
    reach, extent = 0.0, 0.0
    for i in range(d):
        size = abs(slots[slot, i, unit])
        total += size * abs(points[i, vertex])
        shift += size
        reach = max(reach, abs(points[i, vertex]) + radii[vertex])
        extent = max(extent, extents[i])
        if size > 0.0 and (points[i, vertex] != 0.0 or radii[vertex] > 0.0):
            lost = SMALLEST
    error = slots[slot, d + 1, unit]
    if t[state.CENTRAL] == 1 and reach < extent:
        error *= 1.000000001 * reach / extent
    bound = error + shift * radii[vertex] + freg[state.GAMMA_POINT] * total
    return bound * 1.000000001 + lost


@njit(cache=True, nogil=True)
def doubtful_sign(t: I64, slot: int, unit: int, vertex: int, value: float) -> int:
    """Sign of a unit at a vertex where the polytope's bound does not decide it.

    Tries the vertex's own bound, then, in certified arithmetic, a fresh one for its position, then
    whether nothing rounds at all. What is still doubtful is zero in float arithmetic; in certified
    arithmetic it is the next exact answer, or becomes a question.
    """
    slots = f3(t, state.SLOTS)
    d = t[state.DIMENSION]
    radii = f1(t, state.RADII)
    reg = i1(t, state.REG)
    bound = point_bound(t, slot, unit, vertex)
    result = sign(value, bound)
    if result != 0 or bound == 0.0:
        return result
    if t[state.CERTIFIED] == 0:
        reg[state.DOUBTFUL] += 1
        return 0
    radius = fresh_radius(t, vertex)
    if radius < radii[vertex]:
        radii[vertex] = radius
        result = sign(value, point_bound(t, slot, unit, vertex))
        if result != 0:
            return result
    if radii[vertex] == 0.0 and slots[slot, d + 1, unit] == 0.0:
        exact, value = sums_exactly(t, slots[slot, :, unit], vertex)
        if exact:
            return sign(value, 0.0)
    answers = i1(t, state.ANSWERS)
    answer = next_answer(t, vertex, unit)
    return answers[answer] if answer >= 0 else 0


@njit(cache=True, nogil=True, forceinline=True)
def bounded_sign(t: I64, slot: int, unit: int, vertex: int, value: float, bound: float) -> int:
    """Sign of a unit at a vertex of the polytope that `set_bound` was called for.

    The caller has the value and its bound, row d + 3 plus row d + 4 times the vertex's radius, in hand.
    """
    if abs(value) > bound:
        return 1 if value > 0.0 else -1
    return doubtful_sign(t, slot, unit, vertex, value)
