"""Signs: the only place where a computed number is compared with its error bound.

A sign is certain when `|value| > bound`; otherwise it is doubtful. In float arithmetic a doubtful
sign reads as zero (the vertex lies on the hyperplane); certified arithmetic asks for the exact one.
"""

from numba import njit

from regions.kernels import state
from regions.kernels.table import I64, f1, f2, f3, i1

ACTIVE = 1
INACTIVE = -1
LOOK = 2


@njit(cache=True, nogil=True)
def sign(value: float, bound: float) -> int:
    """1, -1, or 0 where the bound does not exclude zero."""
    if value > bound:
        return 1
    if value < -bound:
        return -1
    return 0


@njit(cache=True, nogil=True)
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
    """Bounds of |computed - true| for a layer's units at the vertices of one polytope.

    For unit k, a point with max-norm at most `reach` and position error at most `radius`:
    `bound = E + |A|_1 radius + gamma (|A|_1 reach + |c|)`, E the map's own error over the domain;
    the last term is the rounding of the evaluation (Higham 2002, eq. 3.5). Row d + 2 of the slot
    gets what the unit's map passes on when it is added to the next layer's: E plus the rounding of
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
    rows = slots[slot]
    bound = bounds
    gamma = gammas[layer + 1]
    n = widths[layer]
    constant = rows[d]
    error = rows[d + 1]
    passed = rows[d + 2]
    for k in range(n):
        bound[k] = abs(constant[k]) * freg[state.GAMMA_POINT] + error[k]
        passed[k] = abs(constant[k])
    scale = radius + freg[state.GAMMA_POINT] * reach
    for i in range(d):
        row = rows[i]
        extent = extents[i]
        for k in range(n):
            size = abs(row[k])
            bound[k] += size * scale
            passed[k] += size * extent
    for k in range(n):
        bound[k] *= 1.000000001
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
