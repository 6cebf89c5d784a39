"""How many parts hyperplanes make of a polytope, counted by flats, without making any of the parts.

A flat is what some of the hyperplanes have in common inside the polytope, and the polytope itself is one.
With r(P, A) for the number of parts that the hyperplanes A make of P, taking them away one by one gives

    r(P, {H_1, ..., H_m}) = 1 + sum over i of r(P in H_i, {H_j in H_i, j > i}),

where what is the same inside H_i counts once (deletion and restriction: Zaslavsky 1975; Stanley, An
Introduction to Hyperplane Arrangements, lemma 2.1; here for the open convex set inside P). In general
position that is the number of flats. All signs are those of affine functions at vertices of flats. A vertex
between a and b has no coordinates here, only the values of the hyperplanes that are left: where i crosses,
they are

    v_j = (v_j(a) |v_i(b)| + v_j(b) |v_i(a)|) / (|v_i(a)| + |v_i(b)|),

with bounds of their errors that are made of those at a and b. The first sign that its bound leaves open ends
the count, and the search splits the polytope after all.
"""

import numpy as np

from regions.kernels.memory.bits import ONE, SMALLEST, ZERO, popcount, trailing_zeros
from regions.kernels.memory.compiling import inlined, part
from regions.kernels.memory.layouts import SearchMemory
from regions.kernels.vertices.error_bounds import EIGHT_ROUNDINGS, ENLARGED
from regions.kernels.vertices.predicates import sign

MOST_FLATS = 4096  # of one count: it can neither be stopped nor shared


@inlined
def are_few(cuts: int, dimension: int) -> bool:
    """Whether so many hyperplanes in general position have MOST_FLATS flats or less, and fit into a word."""
    if cuts <= 12:
        return cuts >= 0
    total, term = 1, 1
    for k in range(min(dimension, cuts)):
        term = term * (cuts - k) // (k + 1)
        total += term
    return cuts <= 64 and total <= MOST_FLATS


@inlined
def sign_between(search: SearchMemory, a: int, b: int, c: int, other: int) -> int:
    """Return the sign of candidate `other` where c vanishes between `a` (positive) and `b`; 0 if it is open.

    The number v_other(a) |v_c(b)| + v_other(b) |v_c(a)| has it.
    """
    above = max(search.flats_values[a, c], 0.0)
    below = max(-search.flats_values[b, c], 0.0)
    x, y = search.flats_values[a, other], search.flats_values[b, other]
    p, q = search.flats_errors[a, other], search.flats_errors[b, other]
    bound = (
        below * p
        + above * q
        + (abs(x) + p) * search.flats_errors[b, c]
        + (abs(y) + q) * search.flats_errors[a, c]
        + EIGHT_ROUNDINGS * (below * abs(x) + above * abs(y))
    )
    return sign(below * x + above * y, ENLARGED * bound + SMALLEST)


@inlined
def interpolate(search: SearchMemory, vertex: int, c: int, candidates: np.uint64) -> None:
    """Give a vertex where candidate c vanishes its values of `candidates`, and bounds of their errors.

    It stands between its `flats_ends`. With the errors e of c's values at these, their computed weights t
    and 1 - t are off by at most `shift` = (t e_a + (1 - t) e_b) / (fall of c's true value), and never by more
    than 1. So a value is off by t p_a + (1 - t) p_b + shift |v(a) - v(b)|, with its errors p there, and by
    rounding. A sign that is known to be zero has the value 0 without an error.
    """
    a, b = search.flats_ends[vertex, 0], search.flats_ends[vertex, 1]
    above = max(search.flats_values[a, c], 0.0)
    below = max(-search.flats_values[b, c], 0.0)
    total = above + below
    to_a, to_b = 1.0, 0.0
    shift = 0.0
    if a != b:
        to_a = below / total if total > 0.0 else 0.5
        to_b = above / total if total > 0.0 else 0.5
        error_a, error_b = search.flats_errors[a, c], search.flats_errors[b, c]
        fall = total * (1.0 - EIGHT_ROUNDINGS) - ENLARGED * (error_a + error_b)
        shift = 1.0
        if fall > 0.0:
            shift = min(1.0, ENLARGED * (to_a * error_a + to_b * error_b) / fall)
    rest = candidates
    while rest != ZERO:
        one = rest & (~rest + ONE)
        k = trailing_zeros(one)
        rest ^= one
        if (search.flats_plus[vertex] | search.flats_minus[vertex]) & one == ZERO:
            search.flats_values[vertex, k] = 0.0
            search.flats_errors[vertex, k] = 0.0
            continue
        x, y = search.flats_values[a, k], search.flats_values[b, k]
        p, q = search.flats_errors[a, k], search.flats_errors[b, k]
        search.flats_values[vertex, k] = to_a * x + to_b * y
        bound = (
            to_a * p
            + to_b * q
            + shift * (abs(x - y) + p + q)
            + EIGHT_ROUNDINGS * (to_a * abs(x) + to_b * abs(y))
        )
        search.flats_errors[vertex, k] = ENLARGED * bound + SMALLEST


@part
def is_edge_of_flat(search: SearchMemory, first: int, count: int, a: int, b: int) -> bool:
    """Whether no third one of `count` vertices lies on all hyperplanes common to `a` and `b`."""
    common = search.flats_bits[a] & search.flats_bits[b]
    for v in range(first, first + count):
        if v not in (a, b) and common & ~search.flats_bits[v] == ZERO:
            return False
    return True


@part
def list_flat_edges(search: SearchMemory, first: int, count: int, at: int, candidates: np.uint64) -> int:
    """List the edges between `count` vertices that candidates cross, from entry `at` on.

    The highest candidate is left out: nothing is left to be cut where it crosses. Returns where the list
    ends, -1 where it has no room.
    """
    d = search.dimension
    useful = ZERO
    rest = candidates
    while rest & (rest - ONE) != ZERO:
        one = rest & (~rest + ONE)
        useful |= one
        rest ^= one
    end = at
    for a in range(first + 1, first + count):
        bits = search.flats_bits[a]
        simple = popcount(bits) == d
        plus, minus = search.flats_plus[a] & useful, search.flats_minus[a] & useful
        for b in range(first, a):
            if popcount(bits & search.flats_bits[b]) < d - 1:
                continue
            if (plus & search.flats_minus[b]) | (minus & search.flats_plus[b]) == ZERO:
                continue
            if simple or popcount(search.flats_bits[b]) == d or is_edge_of_flat(search, first, count, a, b):
                if end >= search.flats_edges.shape[0]:
                    return -1
                search.flats_edges[end, 0] = a
                search.flats_edges[end, 1] = b
                end += 1
    return end


@part
def cross_flat(
    search: SearchMemory, level: int, bit: np.uint64, others: np.uint64
) -> tuple[int, np.uint64, np.uint64]:
    """Cross the flat of a level by the candidate of `bit`.

    Returns the number of vertices there, and which of `others` cut what they span, and which vanish on it.
    The vertices are listed behind those of the flat, with the signs of `others`; where there is one other,
    the list ends as soon as that cuts. -1 vertices: a sign is open, or room lacks.
    """
    first, count = search.flats_levels[level, 0], search.flats_levels[level, 1]
    first_edge, last_edge = search.flats_levels[level, 2], search.flats_levels[level, 3]
    new = first + count
    if new + count + last_edge - first_edge >= search.flats_bits.shape[0]:
        return -1, ZERO, ZERO
    c = trailing_zeros(bit)
    alone = others & (others - ONE) == ZERO
    above, below = ZERO, ZERO
    signed = bit
    for v in range(first, first + count):
        signed &= search.flats_plus[v] | search.flats_minus[v]
    if signed == ZERO:
        for v in range(first, first + count):
            plus, minus = search.flats_plus[v], search.flats_minus[v]
            if (plus | minus) & bit == ZERO:
                search.flats_plus[new] = plus & others
                search.flats_minus[new] = minus & others
                search.flats_ends[new, 0] = v
                search.flats_ends[new, 1] = v
                above |= plus
                below |= minus
                new += 1
    for e in range(first_edge, last_edge):
        a, b = search.flats_edges[e, 0], search.flats_edges[e, 1]
        if search.flats_plus[a] & search.flats_minus[b] & bit == ZERO:
            if search.flats_minus[a] & search.flats_plus[b] & bit == ZERO:
                continue
            a, b = b, a
        plus = (search.flats_plus[a] | search.flats_plus[b]) & others
        minus = (search.flats_minus[a] | search.flats_minus[b]) & others
        clash = plus & minus
        plus &= ~clash
        minus &= ~clash
        while clash != ZERO:
            one = clash & (~clash + ONE)
            clash ^= one
            s = sign_between(search, a, b, c, trailing_zeros(one))
            if s == 0:
                return -1, ZERO, ZERO
            plus |= one if s > 0 else ZERO
            minus |= one if s < 0 else ZERO
        search.flats_plus[new] = plus
        search.flats_minus[new] = minus
        search.flats_ends[new, 0] = a
        search.flats_ends[new, 1] = b
        above |= plus
        below |= minus
        new += 1
        if alone and above & below & others != ZERO:
            break
    made = new - first - count
    search.decisions += made * popcount(others)
    return made, others & above & below, others & ~(above | below)


@part
def open_flat(
    search: SearchMemory, level: int, dimension: int, bit: np.uint64, candidates: np.uint64, count: int
) -> bool:
    """Make the flat of the next level, of `count` vertices that `cross_flat` listed; False: no room."""
    first = search.flats_levels[level, 0] + search.flats_levels[level, 1]
    at = search.flats_levels[level, 3]
    c = trailing_zeros(bit)
    for v in range(first, first + count):
        interpolate(search, v, c, candidates)
    if dimension == 1:
        if count != 2 or at >= search.flats_edges.shape[0]:
            return False
        search.flats_edges[at, 0] = first
        search.flats_edges[at, 1] = first + 1
        end = at + 1
    else:
        mark = ONE << np.uint64(63 - level)
        for v in range(first, first + count):
            common = search.flats_bits[search.flats_ends[v, 0]] & search.flats_bits[search.flats_ends[v, 1]]
            search.flats_bits[v] = common | mark
        end = list_flat_edges(search, first, count, at, candidates)
        if end < 0:
            return False
    search.flats_levels[level + 1, 0] = first
    search.flats_levels[level + 1, 1] = count
    search.flats_levels[level + 1, 2] = at
    search.flats_levels[level + 1, 3] = end
    search.flats_left[level + 1] = candidates
    return True


@part
def count_flats(search: SearchMemory, count: int, edges: int, cuts: int) -> int:
    """Return how many parts `cuts` candidates make of a polytope; -1 where it must be split to tell.

    Its `count` vertices with their signs, values and incidences, and its `edges`, come first in the lists of
    flats. The incidences leave the highest bits free, one for each level.
    """
    search.flats_levels[0, 0] = 0
    search.flats_levels[0, 1] = count
    search.flats_levels[0, 2] = 0
    search.flats_levels[0, 3] = edges
    search.flats_left[0] = ~ZERO >> np.uint64(64 - cuts)
    cells = 1
    level = 0
    while level >= 0:
        left = search.flats_left[level]
        bit = left & (~left + ONE)
        others = left ^ bit
        search.flats_left[level] = others
        if others == ZERO:
            cells += 1 if left != ZERO else 0
            level -= 1
            continue
        made, cutting, vanishing = cross_flat(search, level, bit, others)
        if made < 0:
            return -1
        if vanishing != ZERO:
            continue  # another candidate has the same zeros in this flat, and counts them
        n = popcount(cutting)
        cells += 2 if n == 1 else 1
        if n > 1:
            if not open_flat(search, level, search.dimension - level - 1, bit, cutting, made):
                return -1
            level += 1
    return cells
