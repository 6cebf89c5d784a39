"""Exact vertices, facets and volume of a small polytope {t : A t <= b} of stored floats.

Serves `domain` only: every float is read as the dyadic rational that it is, all
arithmetic is on Python integers and `Fraction`, so the combinatorics are never a guess.
Enumerating the cells of a network is not done here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain
from math import factorial, gcd, lcm, prod
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from regions.errors import BudgetExceededError, InvalidDomainError

FloatArray = npt.NDArray[np.float64]
IntegerRow = tuple[int, ...]
_MAX_RAYS = 20_000


@dataclass(frozen=True)
class ExactPolytope:
    """A bounded full-dimensional polytope in both its descriptions.

    Attributes
    ----------
    rows : the irredundant rows of the given (A, b), one per facet; for d = 2 in
        counterclockwise order, starting with the first irredundant one
    vertices : exact coordinates in lexicographic order; for d = 2 instead in the order in
        which facet k runs from vertex k to vertex k + 1
    facets : for each facet the set of its vertices as a bit mask

    Examples
    --------
    >>> square = exact_polytope(np.array([[1.0, 0], [0, 1], [-1, 0], [0, -1]]), np.ones(4))
    >>> square.rows, len(square.vertices), [f"{facet:04b}" for facet in square.facets]
    ((0, 1, 2, 3), 4, ['0011', '0110', '1100', '1001'])
    """

    rows: tuple[int, ...]
    vertices: tuple[tuple[Fraction, ...], ...]
    facets: tuple[int, ...]


def exact_polytope(A: FloatArray, b: FloatArray) -> ExactPolytope:
    """Find the vertices and irredundant rows of {t : A t <= b}, by double description in integers.

    Parameters
    ----------
    A : (m, d) float64, finite, d >= 1
    b : (m,) float64, finite

    Returns
    -------
    ExactPolytope

    Raises
    ------
    InvalidDomainError
        If the set is empty, unbounded or flat (not full-dimensional); says which.
    BudgetExceededError
        If more than 20,000 vertices appear on the way.

    References
    ----------
    Fukuda and Prodon, Double description method revisited (1996), section 2.

    Examples
    --------
    >>> triangle = exact_polytope(np.array([[1.0, 1], [-1, 0], [0, -1]]), np.array([1.0, 0, 0]))
    >>> [tuple(map(str, vertex)) for vertex in triangle.vertices]
    [('1', '0'), ('0', '1'), ('0', '0')]
    """
    m, d = A.shape
    # One row (b, -a) per halfspace acts on (t0, t); the first row says t0 >= 0.
    rows = [(1,) + (0,) * d]
    rows += [_integer_row([float(b[k]), *(-A[k]).tolist()]) for k in range(m)]
    if any(not any(row[1:]) and row[0] < 0 for row in rows):
        raise InvalidDomainError("the polytope is empty: a zero row of A has a negative b")
    if len(_independent(rows)) < d + 1:
        _raise_rank_deficient(A, b)
    finite = _finite_vertices(_extreme_rays(rows))
    incident = [_vertices_on(k, finite) for k in range(m)]
    everything = (1 << len(finite)) - 1
    flat = next((k for k in range(m) if incident[k] == everything and any(rows[k + 1][1:])), None)
    if flat is not None:
        raise InvalidDomainError(
            f"the polytope is flat: all of it lies on the hyperplane of row {flat}; "
            "describe it in its own affine plane instead"
        )
    kept = _irredundant(incident, everything)
    vertices = [tuple(Fraction(value, ray[0]) for value in ray[1:]) for ray, _ in finite]
    facets = [incident[k] for k in kept]
    if d == 2:
        kept, vertices, facets = _counterclockwise(A, kept, vertices, facets)
    return ExactPolytope(tuple(kept), tuple(vertices), tuple(facets))


class Parallelotope(NamedTuple):
    """A polytope that is the affine image of a cube, with its volume and d edges at its first vertex."""

    polytope: ExactPolytope
    volume: Fraction
    edges: tuple[tuple[Fraction, ...], ...]


def parallelotope(A: FloatArray, b: FloatArray) -> Parallelotope | None:
    """Return {t : A t <= b} if its rows are d independent ones and their negatives, and it is not flat.

    Parameters
    ----------
    A : (m, d) float64, finite, d >= 3, where vertices have no order of their own
    b : (m,) float64, finite

    Examples
    --------
    >>> A = np.concatenate([np.eye(3), -np.eye(3)])
    >>> found = parallelotope(A, np.array([2.0, 1.0, 1.0, 0.0, 0.0, 0.0]))
    >>> str(found.volume), len(found.polytope.vertices), found.polytope.vertices[0] == (0, 0, 0)
    ('2', 8, True)
    """
    m, d = A.shape
    places = {tuple(row): k for k, row in enumerate((A + 0.0).tolist())}
    opposite = [places.get(tuple(row), -1) for row in (0.0 - A).tolist()]
    pairs = [(high, low) for high, low in enumerate(opposite) if high < low]
    rows = [_integer_row([float(b[high]), *A[high].tolist()]) for high, _ in pairs]
    if m != 2 * d or len(pairs) < d or len(_independent([row[1:] for row in rows])) < d:
        return None
    # in units of the integer rows: lows <= rows @ t <= highs
    scales = [_ratio(A[high].tolist(), row[1:]) for (high, _), row in zip(pairs, rows, strict=True)]
    highs = [Fraction(float(b[high])) * scale for (high, _), scale in zip(pairs, scales, strict=True)]
    lows = [-Fraction(float(b[low])) * scale for (_, low), scale in zip(pairs, scales, strict=True)]
    widths = [high - low for low, high in zip(lows, highs, strict=True)]
    if min(widths) <= 0:
        return None
    matrix = [row[1:] for row in rows]
    columns = [
        [Fraction(x, _dot(row, column)) for x in column]
        for row, column in zip(matrix, _inverse_columns(matrix), strict=True)
    ]
    steps = [tuple(width * x for x in column) for width, column in zip(widths, columns, strict=True)]
    start = [
        sum((low * x for low, x in zip(lows, xs, strict=True)), Fraction())
        for xs in zip(*columns, strict=True)
    ]
    corners = [(tuple(start), 0)]
    for j, step in enumerate(steps):
        moved = [tuple(x + y for x, y in zip(point, step, strict=True)) for point, _ in corners]
        corners += [(point, chosen | 1 << j) for point, (_, chosen) in zip(moved, list(corners), strict=True)]
    corners.sort()
    facets = [0] * m
    for i, (_, chosen) in enumerate(corners):
        for j, (high, low) in enumerate(pairs):
            facets[high if chosen >> j & 1 else low] |= 1 << i
    first = corners[0][1]
    edges = tuple(tuple(-x for x in step) if first >> j & 1 else step for j, step in enumerate(steps))
    volume = prod(widths, start=Fraction(1)) / abs(_determinant([list(row) for row in matrix]))
    found = ExactPolytope(tuple(range(m)), tuple(point for point, _ in corners), tuple(facets))
    return Parallelotope(found, volume, edges)


def _ratio(values: Sequence[float], row: Sequence[int]) -> Fraction:
    """Return what a row of floats must be multiplied by to be a row of integers."""
    return next(y / Fraction(x) for x, y in zip(values, row, strict=True) if y)


def triangulate(polytope: ExactPolytope) -> list[tuple[int, ...]]:
    """Tile the polytope by simplices, d + 1 vertex indices each, pulled from its vertices.

    References
    ----------
    Lee and Santos, Subdivisions and triangulations of polytopes, section 16.2.1.

    Examples
    --------
    >>> square = exact_polytope(np.array([[1.0, 0], [0, 1], [-1, 0], [0, -1]]), np.ones(4))
    >>> triangulate(square)
    [(0, 1, 2), (0, 2, 3)]
    """

    def pull(face: int) -> list[tuple[int, ...]]:
        apex = (face & -face).bit_length() - 1
        if face == 1 << apex:
            return [(apex,)]
        parts = {face & facet for facet in polytope.facets} - {0, face}
        maximal = [p for p in parts if not any(p != q and p & q == p for q in parts)]
        ridges = sorted(p for p in maximal if not p >> apex & 1)
        return list(chain.from_iterable([(apex, *s) for s in pull(ridge)] for ridge in ridges))

    return pull((1 << len(polytope.vertices)) - 1)


def simplex_volume(points: Sequence[Sequence[Fraction]]) -> Fraction:
    """Return the exact volume of the simplex with these d + 1 vertices in d dimensions.

    Examples
    --------
    >>> simplex_volume([[Fraction(0)], [Fraction(1, 3)]])
    Fraction(1, 3)
    """
    scales = [lcm(*(x.denominator for x in point)) for point in points]
    matrix = [
        [scale] + [x.numerator * (scale // x.denominator) for x in point]
        for point, scale in zip(points, scales, strict=True)
    ]
    return abs(Fraction(_determinant(matrix), prod(scales) * factorial(len(points) - 1)))


def cone_rays(rows: Sequence[IntegerRow]) -> list[IntegerRow]:
    """Return the extreme rays of the cone {y : rows y >= 0}, as primitive integers.

    Where the cone contains lines, those of its part in which as many coordinates as there are lines are 0.

    Raises
    ------
    BudgetExceededError
        If there are more than 20,000 on the way.

    Examples
    --------
    >>> sorted(cone_rays([(1, 0), (1, 1)])), cone_rays([(1, 0), (2, 0)])
    ([(0, 1), (1, -1)], [(1, 0)])
    """
    columns = _independent(list(zip(*rows, strict=True)))
    rays = _extreme_rays([tuple(row[k] for k in columns) for row in rows])
    found = []
    for ray, _ in rays:
        full = [0] * len(rows[0])
        for k, value in zip(columns, ray, strict=True):
            full[k] = value
        found.append(tuple(full))
    return found


def _integer_row(values: Sequence[float]) -> IntegerRow:
    ratios = [value.as_integer_ratio() for value in values]
    scale = max(denominator for _, denominator in ratios)  # all are powers of two
    return _primitive([numerator * (scale // denominator) for numerator, denominator in ratios])


def _primitive(values: Sequence[int]) -> IntegerRow:
    divisor = gcd(*values) or 1
    return tuple(value // divisor for value in values)


def _determinant(matrix: list[list[int]]) -> int:
    """Return the determinant, by Bareiss's fraction-free elimination, which overwrites the matrix."""
    size, previous, sign = len(matrix), 1, 1
    for k in range(size - 1):
        pivot = next((i for i in range(k, size) if matrix[i][k]), None)
        if pivot is None:
            return 0
        if pivot != k:
            matrix[k], matrix[pivot], sign = matrix[pivot], matrix[k], -sign
        top = matrix[k]
        for row in matrix[k + 1 :]:
            row[k + 1 :] = [(top[k] * row[j] - row[k] * top[j]) // previous for j in range(k + 1, size)]
        previous = top[k]
    return sign * matrix[-1][-1]


def _dot(row: IntegerRow, ray: IntegerRow) -> int:
    return sum(x * y for x, y in zip(row, ray, strict=True))


def _independent(rows: Sequence[Sequence[int]]) -> list[int]:
    """Return the indices of the first rows that are linearly independent, by fraction-free elimination."""
    echelon: list[tuple[int, Sequence[int]]] = []
    chosen: list[int] = []
    for index, row in enumerate(rows):
        for pivot, other in echelon:
            if row[pivot]:
                p, q = other[pivot], row[pivot]
                row = _primitive([p * x - q * y for x, y in zip(row, other, strict=True)])
        if any(row):
            echelon.append((next(i for i, value in enumerate(row) if value), row))
            chosen.append(index)
            if len(chosen) == len(row):
                break
    return chosen


def _raise_rank_deficient(A: FloatArray, b: FloatArray) -> None:
    """Say what is wrong with a polytope whose A has rank < d: it is empty, or it holds a line.

    It is empty exactly if its restriction to a basis of the columns of A is.
    """
    d = A.shape[1]
    columns = _independent([_integer_row(A[:, k].tolist()) for k in range(d)] if len(A) else [])
    if columns:
        try:
            exact_polytope(np.ascontiguousarray(A[:, columns]), b)
        except InvalidDomainError as error:
            if "empty" in str(error):
                raise
    raise InvalidDomainError(
        f"the polytope is unbounded: A has rank {len(columns)} in {d} dimensions, so it holds "
        "a whole line; add halfspaces"
    )


def _extreme_rays(rows: Sequence[IntegerRow]) -> list[tuple[IntegerRow, int]]:
    """Return the extreme rays of the pointed cone {y : rows y >= 0}, each with its tight rows as bits."""
    base = _independent(rows)
    size = len(base)
    everything = sum(1 << k for k in base)
    columns = _inverse_columns([rows[k] for k in base])
    rays = [(columns[j], everything & ~(1 << base[j])) for j in range(size)]
    for k in sorted(set(range(len(rows))) - set(base)):
        values = [_dot(rows[k], ray) for ray, _ in rays]
        negative = [i for i, value in enumerate(values) if value < 0]
        positive = [i for i, value in enumerate(values) if value > 0]
        cut = []
        for i in positive if negative else []:
            for j in negative:
                common = rays[i][1] & rays[j][1]
                if common.bit_count() < size - 2 or not _adjacent(rays, i, j, common):
                    continue
                pairs = zip(rays[i][0], rays[j][0], strict=True)
                ray = _primitive([values[i] * y - values[j] * x for x, y in pairs])
                cut.append((ray, common | 1 << k))
        kept = [
            (ray, tight | (value == 0) << k)
            for (ray, tight), value in zip(rays, values, strict=True)
            if value >= 0
        ]
        rays = kept + cut
        if len(rays) > _MAX_RAYS:
            raise BudgetExceededError(
                f"the polytope has more than {_MAX_RAYS} vertices; use fewer halfspaces"
            )
    return rays


def _adjacent(rays: Sequence[tuple[IntegerRow, int]], i: int, j: int, common: int) -> bool:
    return not any(tight & common == common and index not in (i, j) for index, (_, tight) in enumerate(rays))


def _inverse_columns(matrix: Sequence[IntegerRow]) -> list[IntegerRow]:
    """Return the columns of the inverse of a nonsingular matrix, each scaled to primitive integers."""
    size = len(matrix)
    work = [
        [Fraction(value) for value in row] + [Fraction(int(i == j)) for j in range(size)]
        for i, row in enumerate(matrix)
    ]
    for column in range(size):
        pivot = next(i for i in range(column, size) if work[i][column])
        work[column], work[pivot] = work[pivot], work[column]
        divisor = work[column][column]
        work[column] = [value / divisor for value in work[column]]
        for i in range(size):
            if i != column and work[i][column]:
                factor = work[i][column]
                pairs = zip(work[i], work[column], strict=True)
                work[i] = [x - factor * y for x, y in pairs]
    columns = []
    for j in range(size, 2 * size):
        denominator = lcm(*(row[j].denominator for row in work))
        columns.append(_primitive([int(row[j] * denominator) for row in work]))
    return columns


def _finite_vertices(rays: Sequence[tuple[IntegerRow, int]]) -> list[tuple[IntegerRow, int]]:
    """Return the rays with t0 > 0, in lexicographic order of the points that they mean."""
    finite = [(ray, tight) for ray, tight in rays if ray[0] > 0]
    if not finite:
        raise InvalidDomainError("the polytope is empty: no point satisfies A t <= b")
    if len(finite) < len(rays):
        direction = next(ray[1:] for ray, _ in rays if ray[0] == 0)
        scale = max(abs(value) for value in direction)
        shown = [round(value / scale, 6) for value in direction]
        raise InvalidDomainError(f"the polytope is unbounded in direction {shown}; add halfspaces")
    return sorted(finite, key=lambda item: [Fraction(value, item[0][0]) for value in item[0][1:]])


def _vertices_on(row: int, vertices: Sequence[tuple[IntegerRow, int]]) -> int:
    """Return the vertices on halfspace `row` as bits; the first row of the cone, t0 >= 0, is not counted."""
    return sum(1 << i for i, (_, tight) in enumerate(vertices) if tight >> (row + 1) & 1)


def _irredundant(incident: Sequence[int], everything: int) -> list[int]:
    """Return the rows whose face, as a set of vertices, is proper and maximal; of equal ones the first."""
    first: dict[int, int] = {}
    for k, vertices in enumerate(incident):
        if vertices not in (0, everything):
            first.setdefault(vertices, k)
    return [
        k
        for vertices, k in first.items()
        if not any(vertices & other == vertices and other != vertices for other in first)
    ]


def _counterclockwise(
    A: FloatArray,
    kept: Sequence[int],
    vertices: Sequence[tuple[Fraction, ...]],
    facets: Sequence[int],
) -> tuple[list[int], list[tuple[Fraction, ...]], list[int]]:
    """Reorder a polygon so that edge k runs from vertex k to vertex k + 1."""
    tail_to_edge: dict[int, tuple[int, int]] = {}
    for edge, facet in enumerate(facets):
        p, q = (i for i in range(len(vertices)) if facet >> i & 1)
        normal = [Fraction(value) for value in A[kept[edge]].tolist()]
        step = [y - x for x, y in zip(vertices[p], vertices[q], strict=True)]
        forward = normal[0] * step[1] - normal[1] * step[0] > 0
        tail, head = (p, q) if forward else (q, p)
        tail_to_edge[tail] = (edge, head)
    vertex = next(tail for tail, (edge, _) in tail_to_edge.items() if edge == 0)
    rows, ring, masks = [], [], []
    n = len(vertices)
    for k in range(n):
        edge, head = tail_to_edge[vertex]
        rows.append(kept[edge])
        ring.append(vertices[vertex])
        masks.append(1 << k | 1 << (k + 1) % n)
        vertex = head
    return rows, ring, masks
