"""Signs: the only place where a computed number is compared with its error bound.

A sign is certain when `|value| > bound`; otherwise it is doubtful. In float arithmetic a doubtful
sign reads as zero (the vertex lies on the hyperplane); certified arithmetic asks for the exact one.
Signs that follow from others without arithmetic are taken from there (`vertex_signs.set_new_vertex_signs`).
"""

import numpy as np
from numpy.typing import NDArray

from regions.kernels.memory.bits import SMALLEST
from regions.kernels.memory.compiling import inlined, part, step
from regions.kernels.memory.layouts import SearchMemory
from regions.kernels.memory.map_rows import pass_errors, screen_rows
from regions.kernels.vertices.error_bounds import fresh_radius, next_answer, sums_exactly


@inlined
def sign(value: float, bound: float) -> int:
    """1, -1, or 0 where the bound does not exclude zero."""
    if value > bound:
        return 1
    if value < -bound:
        return -1
    return 0


@inlined
def sure_signs(
    values: NDArray[np.float64], radii: NDArray[np.float64], count: int, bound: float, factor: float
) -> tuple[int, int]:
    """Count the values above their bounds, bound + factor * radius, and those below the bounds' negatives."""
    above, below = 0, 0
    for v in range(count):
        size = bound + factor * radii[v]
        above += 1 if values[v] > size else 0
        below += 1 if values[v] < -size else 0
    return above, below


@part
def screen_layer(search: SearchMemory, layer: int, slot: int, extent: float, radius: float) -> None:
    """Find the units of a layer that have one sign in the whole box around a polytope.

    `box` has the middle and the half-widths. For unit k at a point with max-norm at most `extent` and
    position error at most `radius`, |computed - true| <= E + gamma (|A|_1 extent + |c|) + |A|_1 radius:
    E is the map's own error over the domain, the second term the rounding of the evaluation (Higham
    2002, eq. 3.5). Where the size of the value at the middle of the box exceeds
    `sum_i |A_i| halfwidth_i` plus this bound, its sign is that of all points of the polytope. Row 0 of
    `masks` gets the units that are positive so, row 1 those that are left open. The factor 1 + 1e-9
    covers the rounding of the bounds, SMALLEST what underflow can lose.
    """
    length = search.slots.shape[2]
    screen_rows(
        search.flat_slots,
        slot * search.slots.shape[1] * length,
        length,
        search.dimension,
        search.flat_box,
        radius + search.gamma_point * extent,
        search.gamma_point,
        search.widths[layer] + search.maxed[layer],
        search.flat_masks,
        search.masks.shape[1],
    )


@part
def sums_without_rounding(search: SearchMemory, layer: int, slot: int) -> bool:
    """Whether the map of `layer` has no error, and so small entries that no sum over it rounds."""
    limit = search.exact_limits[layer + 1]
    if limit == 0.0 or search.roundings[layer + 1] == 0.0:
        return False
    largest, error = 0.0, 0.0
    for k in range(search.widths[layer]):
        error = max(error, search.slots[slot, search.dimension + 1, k])
        for i in range(search.dimension + 1):
            largest = max(largest, abs(search.slots[slot, i, k]))
    return error == 0.0 and largest <= limit


@inlined
def rounding_over(search: SearchMemory, layer: int, slot: int) -> float:
    """Return the relative rounding of sums over the map of `layer` in a slot."""
    return 0.0 if search.unrounded[slot] == 1 else search.roundings[layer + 1]


@part
def pass_on(search: SearchMemory, layer: int, slot: int) -> None:
    """Set row d + 2: the error that each unit passes on when it is added to the next layer's map.

    That is its own error plus the rounding of the products and sums, `E + gamma_l (|A|_1 extent + |c|)`,
    with the largest |coordinate| of the domain as extent.
    """
    d = search.dimension
    extent = search.extents[0]
    for i in range(1, d):
        extent = max(extent, search.extents[i])
    search.unrounded[slot] = 1 if sums_without_rounding(search, layer, slot) else 0
    gamma = rounding_over(search, layer, slot) * 1.000000001
    length = search.slots.shape[2]
    at = slot * search.slots.shape[1] * length
    pass_errors(search.flat_slots, at, length, d, gamma, extent * gamma, search.widths[layer])


@inlined
def set_bound(search: SearchMemory, slot: int, unit: int, extent: float) -> None:
    """Keep a unit's error bound on a polytope: row d + 3 without the position error, its factor in d + 4.

    For a vertex x of the polytope, true position x*, `|computed(x) - true(x*)|` is at most the map's
    error E at x* (which is in the domain), plus |A|_1 |x - x*|, plus the rounding of the evaluation
    (Higham 2002, eq. 3.5), plus what underflow can lose.
    """
    d = search.dimension
    norm = 0.0
    for i in range(d):
        norm += abs(search.slots[slot, i, unit])
    rounding = search.gamma_point * (norm * extent + abs(search.slots[slot, d, unit]))
    search.slots[slot, d + 3, unit] = 1.000000001 * (search.slots[slot, d + 1, unit] + rounding) + SMALLEST
    search.slots[slot, d + 4, unit] = 1.000000001 * norm


@part
def point_bound(search: SearchMemory, slot: int, unit: int, vertex: int) -> float:
    """The bound of `set_bound` for one unit at one vertex, from that vertex's own size and radius.

    Nothing is added for underflow where no two factors are nonzero: what is exactly 0 has bound 0.
    Where every map is linear (`central`) its error over the domain is one of the coefficients alone,
    so it shrinks with the point's size, to 0 at the origin.
    """
    d = search.dimension
    total = abs(search.slots[slot, d, unit])
    shift = 0.0
    lost = SMALLEST if total > 0.0 else 0.0
    farthest, extent = 0.0, 0.0
    for i in range(d):
        size = abs(search.slots[slot, i, unit])
        total += size * abs(search.points[i, vertex])
        shift += size
        farthest = max(farthest, abs(search.points[i, vertex]) + search.radii[vertex])
        extent = max(extent, search.extents[i])
        if size > 0.0 and (search.points[i, vertex] != 0.0 or search.radii[vertex] > 0.0):
            lost = SMALLEST
    error = search.slots[slot, d + 1, unit]
    if search.central == 1 and farthest < extent:
        error *= 1.000000001 * farthest / extent
    bound = error + shift * search.radii[vertex] + search.gamma_point * total
    return bound * 1.000000001 + lost


@step
def report_doubt(search: SearchMemory, slot: int, unit: int, vertex: int, value: float) -> int:
    """Stand in for `settle_doubt` until the first doubtful sign; it asks, and `settle_doubt` is then bound.

    Most searches never meet a doubtful sign, and compiling what settles one takes a third as long as all
    the rest.
    """
    search.asked += 1
    return 0


@step
def settle_doubt(search: SearchMemory, slot: int, unit: int, vertex: int, value: float) -> int:
    """Decide the sign of a unit at a vertex where the polytope's bound leaves it open.

    It tries the vertex's own bound, then, in certified arithmetic, a fresh one for its position, then
    whether nothing rounds at all. What is still doubtful is zero in float arithmetic; in certified
    arithmetic it is the next exact answer, or becomes a question.
    """
    d = search.dimension
    bound = point_bound(search, slot, unit, vertex)
    result = sign(value, bound)
    if result != 0 or bound == 0.0:
        return result
    if search.certified == 0:
        search.doubtful += 1
        return 0
    radius = fresh_radius(search, vertex)
    if radius < search.radii[vertex]:
        search.radii[vertex] = radius
        result = sign(value, point_bound(search, slot, unit, vertex))
        if result != 0:
            return result
    if search.radii[vertex] == 0.0 and search.slots[slot, d + 1, unit] == 0.0:
        for i in range(d + 1):
            search.unit_row[i] = search.slots[slot, i, unit]
        exact, value = sums_exactly(search, search.unit_row, vertex)
        if exact:
            return sign(value, 0.0)
    answer = next_answer(search, vertex, unit)
    return search.answers[answer] if answer >= 0 else 0


@inlined
def bounded_sign(search: SearchMemory, slot: int, unit: int, vertex: int, value: float, bound: float) -> int:
    """Decide the sign of a unit at a vertex of the polytope that `set_bound` was called for.

    The caller gives the value and its bound, which is row d + 3 plus row d + 4 times the vertex's radius.
    """
    if abs(value) > bound:
        return 1 if value > 0.0 else -1
    return search.settle_doubt(slot, unit, vertex, value)
