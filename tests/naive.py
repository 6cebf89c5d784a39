"""Brute force in exact arithmetic: every cell, facet and jump of a tiny network.

Independent of the library by design: imports nothing from it, and does everything the
plainest way. Floats are dyadic rationals and are read as such. Geometry is on integer
rows and rays (homogeneous coordinates, scaled to coprime integers), maps are on Fractions.

A halfspace is an integer row (c0, c1, ..., cd) and means c0 + c.t >= 0.
A vertex is an integer ray (w, v1, ..., vd), w > 0, and means the point v / w.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from itertools import combinations
from math import factorial, gcd, lcm, prod, sqrt
from typing import Any

Row = tuple[int, ...]
Point = tuple[Fraction, ...]
Map = tuple[tuple[Fraction, ...], ...]  # one row (c, a1, ..., ad) per output: c + a.t


@dataclass(frozen=True)
class NaiveCell:
    """One activation pattern with a full-dimensional set; everything in it is exact."""

    pattern: tuple[bool, ...]
    polytope: Polytope
    output: Map

    @cached_property
    def vertices(self) -> tuple[Point, ...]:
        return tuple(tuple(Fraction(v, ray[0]) for v in ray[1:]) for ray in self.polytope.vertices)

    @cached_property
    def witness(self) -> Point:
        """The mean of the vertices: strictly inside."""
        return _mean(self.vertices)

    @cached_property
    def volume(self) -> Fraction:
        """Sum over the facets of the simplices from the witness to the facet's triangles."""
        apex = _integers((Fraction(1), *self.witness))
        total = Fraction(0)
        for facet in self.polytope.facets.values():
            for simplex in _facet_simplices(facet):
                weights = prod(ray[0] for ray in (apex, *simplex))
                total += abs(Fraction(_determinant([apex, *simplex]), weights))
        return total / factorial(len(self.witness))


@dataclass(frozen=True)
class NaiveFacet:
    """A (d-1)-dimensional face shared by two cells, `a` < `b` being their indices."""

    a: int
    b: int
    flipped: frozenset[int]  # flat numbers of the units whose activation differs
    vertices: tuple[Point, ...]
    squared_volume: Fraction  # of the (d-1)-volume; 1 for d = 1
    squared_jump: Fraction  # Frobenius norm of the difference of the output Jacobians

    @property
    def volume(self) -> float:
        return _root(self.squared_volume)

    @property
    def jump(self) -> float:
        return _root(self.squared_jump)


@dataclass(frozen=True)
class NaiveComplex:
    """All cells of a network on a polytope, sorted by pattern, and all interior facets."""

    cells: tuple[NaiveCell, ...]
    domain: Polytope

    @cached_property
    def patterns(self) -> tuple[tuple[bool, ...], ...]:
        return tuple(cell.pattern for cell in self.cells)

    @cached_property
    def volume(self) -> Fraction:
        return sum((cell.volume for cell in self.cells), Fraction(0))

    @cached_property
    def facets(self) -> tuple[NaiveFacet, ...]:
        """Interior facets: those of two cells with the same vertices.

        Pre-activations are continuous, so a unit that cuts a facet cuts the cells on both
        sides: cells meet facet to facet. A facet without partner would show as an error.
        """
        sides = {_unsigned(row) for row in self.domain.facets}
        owners: dict[frozenset[Row], list[int]] = {}
        for index, cell in enumerate(self.cells):
            for row, rays in cell.polytope.facets.items():
                if _unsigned(row) not in sides:
                    owners.setdefault(frozenset(rays), []).append(index)
        lonely = [pair for pair in owners.values() if len(pair) != 2]
        if lonely:
            raise AssertionError(f"facets that are not shared by two cells: {lonely}")
        return tuple(self._facet(a, b, rays) for rays, (a, b) in owners.items())

    def _facet(self, a: int, b: int, rays: frozenset[Row]) -> NaiveFacet:
        first, second = self.cells[a], self.cells[b]
        pairs = enumerate(zip(first.pattern, second.pattern, strict=True))
        ordered = sorted(rays)
        points = tuple(map(_point, ordered))
        jump = Fraction(0)
        for p, q in zip(first.output, second.output, strict=True):
            jump += sum((x - y) ** 2 for x, y in zip(p[1:], q[1:], strict=True))
        flipped = frozenset(unit for unit, (x, y) in pairs if x != y)
        return NaiveFacet(a, b, flipped, points, _squared_volume(ordered), jump)


class Polytope:
    """A bounded full-dimensional polytope: its vertices, and its facets with their vertices."""

    def __init__(self, rows: Sequence[Row], vertices: Sequence[Row]) -> None:
        d = len(vertices[0]) - 1
        self.vertices: tuple[Row, ...] = tuple(sorted(set(vertices)))
        self.facets: dict[Row, tuple[Row, ...]] = {}
        seen: set[tuple[Row, ...]] = set()
        for row in rows:
            on_row = tuple(ray for ray in self.vertices if _dot(row, ray) == 0)
            if len(on_row) >= d and on_row not in seen and _rank(on_row) == d:
                seen.add(on_row)
                self.facets[row] = on_row

    @staticmethod
    def of_halfspaces(rows: Sequence[Row]) -> Polytope:
        """All solutions of d of the equations that satisfy every inequality."""
        d = len(rows[0]) - 1
        candidates = [_solve(subset) for subset in combinations(rows, d)]
        inside = [y for y in candidates if y and all(_dot(row, y) >= 0 for row in rows)]
        if not inside or _rank(inside) < d + 1:
            raise ValueError("the halfspaces have no full-dimensional polytope")
        return Polytope(rows, inside)

    def split(self, row: Row) -> tuple[Polytope, Polytope]:
        """The parts with row >= 0 and row <= 0, where the hyperplane cuts the inside."""
        d = len(row) - 1
        values = [(ray, _dot(row, ray)) for ray in self.vertices]
        candidates = [_solve((row, *subset)) for subset in combinations(self.facets, d - 1)]
        new = [y for y in candidates if y and all(_dot(other, y) >= 0 for other in self.facets)]
        opposite = tuple(-c for c in row)
        above = [ray for ray, value in values if value >= 0] + new
        below = [ray for ray, value in values if value <= 0] + new
        return Polytope([*self.facets, row], above), Polytope([*self.facets, opposite], below)


def naive_complex(
    weights: Sequence[Any],
    biases: Sequence[Any],
    relu: Sequence[bool],
    halfspaces: tuple[Any, Any],
    origin: Any = None,
    basis: Any = None,
    slopes: Any = None,
) -> NaiveComplex:
    """All cells of the network on {t : A t <= b}, with x = origin + basis @ t (default x = t).

    Parameters
    ----------
    weights : one (n_l, n_{l-1}) array per affine layer
    biases : one (n_l,) array per affine layer
    relu : whether a ReLU follows the layer
    halfspaces : (A (m, d), b (m,)), bounded and full-dimensional
    origin, basis : (n0,) and (n0, d), optional
    slopes : one for each layer, None for ReLUs or (2, n_l): what follows multiplies a unit's value by the
        first where it is negative, by the second where it is positive. Where both are the same, the unit
        cuts nothing, and its state is True.

    Examples
    --------
    >>> sawtooth = naive_complex([[[2.0], [4.0]], [[1, -1]]], [[0, -2.0], [0]], [True, False],
    ...                          ([[-1.0], [1.0]], [0.0, 1.0]))
    >>> [(cell.pattern, str(cell.volume)) for cell in sawtooth.cells]
    [((True, False), '1/2'), ((True, True), '1/2')]
    >>> [(facet.flipped, facet.jump) for facet in sawtooth.facets]
    [(frozenset({1}), 4.0)]
    """
    d = len(halfspaces[0][0])
    domain, state = _start(halfspaces, origin, basis)
    parts: list[tuple[Polytope, tuple[bool, ...], Map]] = [(domain, (), state)]
    pairs = [None] * len(relu) if slopes is None else slopes
    for weight, bias, followed_by_relu, pair in zip(weights, biases, relu, pairs, strict=True):
        sides = [(Fraction(0), Fraction(1))] * len(weight)
        if pair is not None:
            sides = [(Fraction(a), Fraction(b)) for a, b in zip(*pair, strict=True)]
        exact = [[Fraction(x) for x in row] for row in weight]
        shift = [Fraction(x) for x in bias]
        advanced = []
        for polytope, pattern, inputs in parts:
            z = _apply(exact, shift, inputs, d)
            if not followed_by_relu:
                advanced.append((polytope, pattern, z))
                continue
            for piece, active in _split_by_units(polytope, z, [a != b for a, b in sides]):
                advanced.append((piece, pattern + active, _through(z, active, sides)))
        parts = advanced
    cells = sorted((NaiveCell(pattern, p, z) for p, pattern, z in parts), key=lambda c: c.pattern)
    return NaiveComplex(tuple(cells), domain)


def naive_box(low: Sequence[float], high: Sequence[float]) -> tuple[Any, Any]:
    """Halfspaces of a box, for `naive_complex`.

    >>> naive_box([0], [1])
    ([[-1], [1]], [0, 1])
    """
    d = len(low)
    A = [[sign * int(i == j) for j in range(d)] for i in range(d) for sign in (-1, 1)]
    b = [bound for pair in zip(low, high, strict=True) for bound in (-pair[0], pair[1])]
    return A, b


def _start(halfspaces: tuple[Any, Any], origin: Any, basis: Any) -> tuple[Polytope, Map]:
    """The domain, and the inputs as functions on it."""
    A, b = halfspaces
    d = len(A[0])
    domain = Polytope.of_halfspaces(
        [_integers([Fraction(bound), *(-Fraction(x) for x in row)]) for row, bound in zip(A, b, strict=True)]
    )
    unit = [[Fraction(int(i == j)) for j in range(d)] for i in range(d)]
    columns = unit if basis is None else [[Fraction(x) for x in row] for row in basis]
    start = [Fraction(0)] * len(columns) if origin is None else [Fraction(x) for x in origin]
    return domain, tuple((c, *row) for c, row in zip(start, columns, strict=True))


def _split_by_units(
    polytope: Polytope, z: Map, bends: Sequence[bool]
) -> list[tuple[Polytope, tuple[bool, ...]]]:
    pieces: list[tuple[Polytope, tuple[bool, ...]]] = [(polytope, ())]
    for row, bent in zip(map(_integers, z), bends, strict=True):
        divided: list[tuple[Polytope, tuple[bool, ...]]] = []
        for piece, active in pieces:
            if not bent:
                divided.append((piece, (*active, True)))
                continue
            values = [_dot(row, ray) for ray in piece.vertices]
            if max(values) <= 0:  # also the unit that is zero on the whole piece
                divided.append((piece, (*active, False)))
            elif min(values) >= 0:
                divided.append((piece, (*active, True)))
            else:
                above, below = piece.split(row)
                divided += [(above, (*active, True)), (below, (*active, False))]
        pieces = divided
    return pieces


def _apply(weight: list[list[Fraction]], bias: list[Fraction], inputs: Map, d: int) -> Map:
    rows = []
    for w, shift in zip(weight, bias, strict=True):
        used = [(x, row) for x, row in zip(w, inputs, strict=True) if x]
        row = [sum((x * other[j] for x, other in used), Fraction(0)) for j in range(d + 1)]
        rows.append((row[0] + shift, *row[1:]))
    return tuple(rows)


def _through(z: Map, active: Sequence[bool], sides: Sequence[tuple[Fraction, Fraction]]) -> Map:
    return tuple(
        tuple(sides[k][int(on)] * x for x in row) for k, (row, on) in enumerate(zip(z, active, strict=True))
    )


def _integers(values: Sequence[Fraction]) -> Row:
    scale = lcm(*(x.denominator for x in values))
    return _coprime([x.numerator * (scale // x.denominator) for x in values])


def _coprime(values: Sequence[int]) -> Row:
    divisor = gcd(*values) or 1
    return tuple(x // divisor for x in values)


def _unsigned(row: Row) -> Row:
    """The hyperplane of a halfspace, whichever side is meant."""
    coprime = _coprime(row)
    return max(coprime, tuple(-c for c in coprime))


def _dot(row: Row, ray: Row) -> int:
    return sum(x * y for x, y in zip(row, ray, strict=True))


def _determinant(matrix: Sequence[Sequence[Any]]) -> Any:
    """By expansion along the first row: the matrices are at most 4 x 4."""
    if not matrix:
        return 1
    if len(matrix) == 2:
        return matrix[0][0] * matrix[1][1] - matrix[0][1] * matrix[1][0]
    return sum(
        (-1) ** j * x * _determinant([[*row[:j], *row[j + 1 :]] for row in matrix[1:]])
        for j, x in enumerate(matrix[0])
        if x
    )


def _solve(rows: Sequence[Row]) -> Row | None:
    """The point on d hyperplanes, None where it is not one finite point (Cramer's rule)."""
    minors = [_determinant([[*row[:j], *row[j + 1 :]] for row in rows]) for j in range(len(rows[0]))]
    if minors[0] == 0:
        return None
    sign = 1 if minors[0] > 0 else -1
    return _coprime([sign * (-1) ** j * minor for j, minor in enumerate(minors)])


def _rank(rays: Sequence[Row]) -> int:
    """Rank of the rays: one more than the dimension of the affine hull of the points."""
    rows, rank = [list(ray) for ray in rays], 0
    for column in range(len(rays[0])):
        pivot = next((i for i in range(rank, len(rows)) if rows[i][column]), None)
        if pivot is None:
            continue
        rows[rank], rows[pivot] = rows[pivot], rows[rank]
        top = rows[rank]
        for i in range(rank + 1, len(rows)):
            p, q = top[column], rows[i][column]
            rows[i] = [p * x - q * y for x, y in zip(rows[i], top, strict=True)]
        rank += 1
    return rank


def _point(ray: Row) -> Point:
    return tuple(Fraction(v, ray[0]) for v in ray[1:])


def _mean(points: Sequence[Point]) -> Point:
    return tuple(sum(column, Fraction(0)) / len(points) for column in zip(*points, strict=True))


def _facet_simplices(rays: Sequence[Row]) -> Iterator[Sequence[Row]]:
    """Cut a facet into simplices of d points: a point, a segment, or the fan of a polygon."""
    if len(rays[0]) <= 3:
        yield rays
        return
    if len(rays[0]) > 4:
        raise ValueError("volumes are for one to three dimensions")
    ring = _ring(rays)
    for k in range(1, len(ring) - 1):
        yield ring[0], ring[k], ring[k + 1]


def _ring(rays: Sequence[Row]) -> list[Row]:
    """The corners of a convex polygon in space, in order around it.

    Seen along an axis in which it is not edge-on: the corners to the right of the line
    from the lowest to the highest one, ascending, then those to its left, descending.
    """
    for i, j in ((1, 2), (1, 3), (2, 3)):
        order = sorted(rays, key=lambda ray: (Fraction(ray[i], ray[0]), Fraction(ray[j], ray[0])))
        flat = [(ray[0], ray[i], ray[j]) for ray in order]
        turns = [_determinant([flat[0], flat[-1], middle]) for middle in flat[1:-1]]
        if any(turns):
            right = [ray for ray, turn in zip(order[1:-1], turns, strict=True) if turn < 0]
            left = [ray for ray, turn in zip(order[1:-1], turns, strict=True) if turn > 0]
            return [order[0], *right, order[-1], *reversed(left)]
    raise ValueError("the corners of a facet are collinear")


def _cross(u: Sequence[Fraction], v: Sequence[Fraction]) -> Point:
    return (u[1] * v[2] - u[2] * v[1], u[2] * v[0] - u[0] * v[2], u[0] * v[1] - u[1] * v[0])


def _scalar(u: Sequence[Fraction], v: Sequence[Fraction]) -> Fraction:
    return sum((x * y for x, y in zip(u, v, strict=True)), Fraction(0))


def _squared_volume(rays: Sequence[Row]) -> Fraction:
    """Square of the (d-1)-volume of a facet."""
    d = len(rays[0]) - 1
    if d == 1:
        return Fraction(1)
    if d == 2:
        p, q = map(_point, rays)
        edge = [x - y for x, y in zip(p, q, strict=True)]
        return _scalar(edge, edge)
    total: list[Fraction] = [Fraction(0)] * 3
    for base, p, q in (map(_point, simplex) for simplex in _facet_simplices(rays)):
        u = [x - y for x, y in zip(p, base, strict=True)]
        v = [x - y for x, y in zip(q, base, strict=True)]
        total = [x + y for x, y in zip(total, _cross(u, v), strict=True)]
    return _scalar(total, total) / 4


def _root(value: Fraction) -> float:
    """Square root of an exact rational, without under- or overflow on the way."""
    shift = (value.numerator.bit_length() - value.denominator.bit_length()) // 2
    return sqrt(value * Fraction(4) ** -shift) * 2.0**shift


def generic_arrangement_count(
    normals: Sequence[Sequence[Any]], offsets: Sequence[Any], low: Sequence[Any], high: Sequence[Any]
) -> int:
    """Cells of an arrangement in general position in an open box, d <= 3, without geometry.

    The number of subsets S with |S| <= d whose hyperplanes n.x = offset have a common point
    in the open box (Zaslavsky's theorem for the box as a convex set; Stanley, An
    Introduction to Hyperplane Arrangements, theorem 2.5 and section 2.1).

    Examples
    --------
    >>> generic_arrangement_count([[1, 0], [0, 1]], [0, 0], [-1, -1], [1, 1])
    4
    """
    d = len(low)
    planes = [[Fraction(x) for x in (*n, c)] for n, c in zip(normals, offsets, strict=True)]
    box = [(Fraction(a), Fraction(b)) for a, b in zip(low, high, strict=True)]
    subsets = (subset for size in range(d + 1) for subset in combinations(planes, size))
    return sum(_meets_open_box(subset, box) for subset in subsets)


def _meets_open_box(
    equations: Sequence[Sequence[Fraction]], box: Sequence[tuple[Fraction, Fraction]]
) -> bool:
    """Whether independent equations n.x = c have a common solution inside the box.

    Gauss-Jordan elimination makes every box bound a strict inequality in the free
    coordinates; Fourier-Motzkin elimination then decides those.
    """
    d = len(box)
    rows = [list(equation) for equation in equations]
    pivots: list[int] = []
    for k in range(len(rows)):
        column = next(j for j in range(d) if rows[k][j] != 0)
        rows[k] = [x / rows[k][column] for x in rows[k]]
        for i, row in enumerate(rows):
            if i != k:
                rows[i] = [x - row[column] * y for x, y in zip(row, rows[k], strict=True)]
        pivots.append(column)
    free = [j for j in range(d) if j not in pivots]
    strict: list[list[Fraction]] = []  # (a, c) means a.free < c
    for j, (a, b) in enumerate(box):
        if j in pivots:
            row = rows[pivots.index(j)]
            form, constant = [-row[f] for f in free], row[d]
        else:
            form, constant = [Fraction(int(f == j)) for f in free], Fraction(0)
        strict.append([*form, b - constant])
        strict.append([*(-x for x in form), constant - a])
    return _feasible(strict)


def _feasible(strict: list[list[Fraction]]) -> bool:
    """Fourier-Motzkin elimination of a system of strict inequalities (a, c): a.x < c."""
    if len(strict[0]) == 1:
        return all(row[0] > 0 for row in strict)
    above = [row for row in strict if row[0] > 0]
    below = [row for row in strict if row[0] < 0]
    combined = [row[1:] for row in strict if row[0] == 0]
    for p in above:
        for q in below:
            pairs = zip(p[1:], q[1:], strict=True)
            combined.append([x / p[0] - y / q[0] for x, y in pairs])
    return _feasible(combined or [[Fraction(0)] * (len(strict[0]) - 2) + [Fraction(1)]])
