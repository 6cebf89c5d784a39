"""The part of one cell whose outputs are unsafe, in rational arithmetic: whether there is any, its pieces.

Cells are given by their patterns. Which patterns are looked at is left to `property_check`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import gamma, inf, isqrt, nextafter, pi
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import ConvexHull, QhullError

from regions.analysis.properties.property_spec import Case
from regions.errors import SolverError
from regions.network.patterns import pack
from regions.network.relu_network import Network
from regions.optimize import solve_lp
from regions.rational import (
    ExactNetwork,
    RationalPolytope,
    cell_volume,
    dyadic_integers,
    exact_cell,
    primitive,
    to_fraction,
)
from regions.rational.integer_rows import dot
from regions.showing import Shown

FloatArray = NDArray[np.float64]
Row = tuple[int, ...]
Point = tuple[Fraction, ...]

ROOT_BITS = 200  # of square roots, rounded down
CENTRE_SHRINK = (0.0, 1e-9, 1e-6, 1e-3)  # steps from the centre that floats give towards the mean of vertices


@dataclass(frozen=True, eq=False)
class ViolatingPiece(Shown):
    """A convex part of one cell whose outputs are unsafe, exact.

    Attributes
    ----------
    case : int, number of the case of the property
    disjuncts : tuple of int, the output polytopes of the case that the outputs are in, all over the piece
    pattern : (n_units,) bool, of the cell
    polytope : RationalPolytope, in intrinsic coordinates
    rows : dict, by number the rows (a_1, ..., a_d, c) with a.t + c >= 0 of its facets
    volume : Fraction, in intrinsic coordinates
    """

    case: int
    disjuncts: tuple[int, ...]
    pattern: NDArray[np.bool_]
    polytope: RationalPolytope
    rows: dict[int, Row]
    volume: Fraction

    @property
    def vertices(self) -> FloatArray:
        """Its vertices (n, d), rounded."""
        return float_vertices(self.polytope)

    @property
    def halfspaces(self) -> tuple[FloatArray, FloatArray]:
        """Its facets as A @ t <= b, rows of length 1, rounded."""
        return float_halfspaces(list(self.rows.values()))

    def to_dict(self) -> dict[str, Any]:
        """Return numbers, lists and strings, ready for JSON."""
        A, b = self.halfspaces
        return {
            "case": self.case,
            "disjuncts": list(self.disjuncts),
            "pattern": pack(self.pattern).tobytes().hex(),
            "volume": str(self.volume),
            "A": A.tolist(),
            "b": b.tolist(),
            "vertices": self.vertices.tolist(),
        }


@dataclass(frozen=True)
class InscribedBall:
    """A ball inside the violating set, and a bound of all such balls.

    Attributes
    ----------
    case : int
    centre : d Fractions, intrinsic
    radius : float, in intrinsic units; the ball with it violates the property, which is proven
    upper : float, no ball in the violating set of its case has a larger radius; inf where that is not known
    """

    case: int
    centre: Point
    radius: float
    upper: float = inf


class UnsafeParts:
    """The unsafe parts of the cells of a network on the domain of one case of a property.

    Parameters
    ----------
    network : Network
    case : Case
    number : int, of the case
    """

    def __init__(self, network: Network, case: Case, number: int = 0) -> None:
        self.exact = ExactNetwork(network, case.domain)
        self.number = number
        self._unsafe = []
        for A, b in case.unsafe:
            scaled, shift = dyadic_integers(np.column_stack([A, b]))
            width = A.shape[1] + 1
            self._unsafe.append(([scaled[k : k + width] for k in range(0, len(scaled), width)], shift))
        self._first_row = len(self.exact.halfspace_rows) + network.n_units

    @property
    def domain_volume(self) -> Fraction:
        """The exact volume of the domain, in intrinsic coordinates."""
        return to_fraction(cell_volume(self.exact.domain_polytope))

    def _condition_rows(self, pattern: bytes) -> list[list[Row]]:
        """Return b - A y as rows of the intrinsic coordinates, for each set of unsafe outputs."""
        d = self.exact.dimension
        integers = self.exact.output_integers(pattern)
        outputs = [integers[k : k + d + 1] for k in range(0, len(integers), d + 1)]
        one = 1 << self.exact.output_shift
        found: list[list[Row]] = []
        for rows, _ in self._unsafe:
            found.append([])
            for *factors, bound in rows:
                sums = [
                    -sum(f * row[j] for f, row in zip(factors, outputs, strict=True) if f)
                    for j in range(d + 1)
                ]
                sums[-1] += bound * one
                found[-1].append(tuple(primitive(sums)) if any(sums) else (0,) * (d + 1))
        return found

    def _number(self, disjunct: int, row: int) -> int:
        return self._first_row + sum(len(rows) for rows, _ in self._unsafe[:disjunct]) + row

    def part(self, pattern: NDArray[np.bool_]) -> RationalPolytope | None:
        """Return the points of the closed cell whose outputs are unsafe, of one disjunct; None without any.

        They may be flat. The vertices are exact.
        """
        key = pattern.tobytes()
        cell = exact_cell(self.exact, key, likely_facets(self.exact, pattern)).polytope
        for disjunct, rows in enumerate(self._condition_rows(key)):
            part: RationalPolytope | None = cell
            for k, row in enumerate(rows):
                part = part.meet(row, self._number(disjunct, k)) if part is not None else None
            if part is not None:
                return part
        return None

    def pieces(self, pattern: NDArray[np.bool_]) -> list[ViolatingPiece]:
        """Return the full-dimensional unsafe parts of a cell as convex pieces without common interior."""
        key = pattern.tobytes()
        cell = exact_cell(self.exact, key, likely_facets(self.exact, pattern))
        conditions = self._condition_rows(key)
        found = []
        for inside, polytope in self._split(cell.polytope, conditions, 0):
            rows = self._facet_rows(polytope, key, conditions)
            volume = to_fraction(cell_volume(polytope))
            found.append(ViolatingPiece(self.number, inside, pattern, polytope, rows, volume))
        return found

    def _split(
        self, polytope: RationalPolytope, conditions: list[list[Row]], disjunct: int
    ) -> Iterator[tuple[tuple[int, ...], RationalPolytope]]:
        """Yield parts of a polytope, with the disjuncts that each is in; those in none are left out."""
        if disjunct == len(conditions):
            return
        part, outside = self._cut_off(polytope, conditions[disjunct], disjunct)
        if part is not None:
            yield from self._labelled(part, conditions, disjunct + 1, (disjunct,))
        for rest in outside:
            yield from self._split(rest, conditions, disjunct + 1)

    def _labelled(
        self, polytope: RationalPolytope, conditions: list[list[Row]], disjunct: int, inside: tuple[int, ...]
    ) -> Iterator[tuple[tuple[int, ...], RationalPolytope]]:
        """Yield the parts of a polytope that is in some disjunct already."""
        if disjunct == len(conditions):
            yield inside, polytope
            return
        part, outside = self._cut_off(polytope, conditions[disjunct], disjunct)
        for rest in outside:
            yield from self._labelled(rest, conditions, disjunct + 1, inside)
        if part is not None:
            yield from self._labelled(part, conditions, disjunct + 1, (*inside, disjunct))

    def _cut_off(
        self, polytope: RationalPolytope, rows: list[Row], disjunct: int
    ) -> tuple[RationalPolytope | None, list[RationalPolytope]]:
        """Return the part of a polytope where all rows are >= 0, if any, and what each row cuts off."""
        outside: list[RationalPolytope] = []
        part: RationalPolytope | None = polytope
        for k, row in enumerate(rows):
            if part is None:
                break
            if any(row):  # others are 0 everywhere
                number = self._number(disjunct, k)
                beyond = part.cut([-x for x in row], number)
                part = part.cut(row, number)
                outside += [] if beyond is None else [beyond]
        return part, outside

    def _facet_rows(
        self, polytope: RationalPolytope, key: bytes, conditions: list[list[Row]]
    ) -> dict[int, Row]:
        """Return the rows of the facets of a piece, >= 0 on it."""
        sides = self.exact.halfspace_rows
        flat = [row for rows in conditions for row in rows]
        found = {}
        for numbers in polytope.facets().values():
            number = numbers[0]
            if number < len(sides):
                row = sides[number]
            elif number < self._first_row:
                row = self._unit_row(key, number - len(sides))
            else:
                row = flat[number - self._first_row]
            sign = next(value for value in (dot(row, vertex) for vertex in polytope.vertices) if value)
            found[number] = row if sign > 0 else tuple(-x for x in row)
        return found

    def _unit_row(self, key: bytes, unit: int) -> Row:
        """Return the row of the hyperplane where a unit changes in a cell; of a max unit's loser, the tie."""
        row = self.exact.plane_row(key, unit)
        table = self.exact.network.max_units
        if table is not None and table.first[unit] >= 0:
            best = self.exact.plane_row(key, table.winner(key, unit))
            return tuple(int(a - b) for a, b in zip(best, row, strict=True))
        return tuple(int(x) for x in row)


def float_vertices(polytope: RationalPolytope) -> FloatArray:
    """Return the vertices (n, d), rounded."""
    return np.array([[x / v[-1] for x in v[:-1]] for v in polytope.vertices])


def middle(polytope: RationalPolytope) -> Point:
    """Return the mean of the vertices, rounded: inside, unless the polytope is flat or thin.

    The exact mean would have the denominators of all vertices.
    """
    return tuple(Fraction(x) for x in float_vertices(polytope).mean(axis=0).tolist())


def likely_facets(exact: ExactNetwork, pattern: NDArray[np.bool_]) -> tuple[int, ...]:
    """Return units that bound a cell, as floats go: hints that make `exact_cell` sooner, and nothing else.

    A row is a facet if its normal over its slack at an inner point is a corner of the hull of all of these.
    """
    d, sides = exact.dimension, exact.domain.halfspaces
    if d < 2 or exact.network.max_units is not None:
        return ()
    rows = exact.unit_floats(pattern.tobytes()) * np.where(pattern, -1.0, 1.0)[:, None]
    A, b = np.vstack([rows[:, :d], sides[0]]), np.concatenate([-rows[:, d], sides[1]])
    lengths = np.linalg.norm(A, axis=1)
    used = np.flatnonzero(lengths > 0.0)
    A, b = A[used] / lengths[used, None], b[used] / lengths[used]
    try:
        solved = solve_lp(np.column_stack([A, np.ones(len(A))]), b, np.eye(d + 1)[-1])
        if solved.point is None or not solved.value > 0.0:
            return ()
        slack = b - A @ solved.point[:-1]
        corners = ConvexHull(A * (solved.value / slack)[:, None]).vertices
    except (SolverError, QhullError, ValueError):
        return ()
    return tuple(sorted(k for k in used[corners].tolist() if k < len(pattern)))


def float_halfspaces(rows: Sequence[Row]) -> tuple[FloatArray, FloatArray]:
    """Return rows a.t + c >= 0 as A @ t <= b with rows of length 1.

    Examples
    --------
    >>> A, b = float_halfspaces([(3, 4, 10)])
    >>> A.tolist(), b.tolist()
    ([[-0.6, -0.8]], [2.0])
    """
    A, b = [], []
    for row in rows:
        scale = 1 << max(abs(x).bit_length() for x in row[:-1])
        normal = np.array([-float(Fraction(x, scale)) for x in row[:-1]])
        length = float(np.linalg.norm(normal))
        A.append(normal / length)
        b.append(float(Fraction(row[-1], scale)) / length)
    return np.array(A), np.array(b)


def largest_ball(pieces: Sequence[ViolatingPiece]) -> InscribedBall | None:
    """Return the largest ball inside a single piece: the centre by a linear program, the radius proven.

    Pieces go by volume: once the ball of a piece's volume is smaller than the best, it is over.
    """
    best: InscribedBall | None = None
    for piece in sorted(pieces, key=lambda one: -one.volume):
        d = piece.polytope.dimension
        unit_ball = pi ** (d / 2) / gamma(d / 2 + 1)
        if best is not None and (float(piece.volume) / unit_ball) ** (1 / d) <= best.radius:
            break
        centre, radius = ball_of_piece(piece)
        if best is None or radius > best.radius:
            best = InscribedBall(piece.case, centre, radius)
    return best


def ball_of_piece(piece: ViolatingPiece) -> tuple[Point, float]:
    """Return the centre and the proven radius of a ball in a piece, the largest up to rounding."""
    inner = middle(piece.polytope)
    around = np.array([float(x) for x in inner])
    spread = float(np.abs(piece.vertices - around).max())
    A, b = [], []
    for row in piece.rows.values():
        normal, value = row[:-1], _value(row, inner)
        scale = 1 << max(abs(x).bit_length() for x in normal)
        direction = np.array([-float(Fraction(x, scale)) for x in normal])
        length = float(np.linalg.norm(direction))
        A.append(direction / length)
        b.append(float(Fraction(value, scale) / Fraction(spread)) / length)
    points = [inner]
    try:
        rows = np.column_stack([np.array(A), np.ones(len(A))])
        solved = solve_lp(rows, np.array(b), np.eye(rows.shape[1])[-1])
        if solved.point is not None:
            points += [
                tuple(Fraction(float(x)) for x in around + (1.0 - share) * spread * solved.point[:-1])
                for share in CENTRE_SHRINK
            ]
    except SolverError:
        pass  # the mean of the vertices is a centre too
    return max(((point, _proven_radius(piece, point)) for point in points), key=lambda pair: pair[1])


def _value(row: Row, point: Point) -> Fraction:
    """Return the value of a row at a point."""
    return sum((a * x for a, x in zip(row[:-1], point, strict=True)), Fraction(row[-1]))


def _proven_radius(piece: ViolatingPiece, point: Point) -> float:
    """Return a float that is at most the distance of a point from all facets; 0 if it is outside."""
    least = inf
    for row in piece.rows.values():
        value = _value(row, point)
        if value <= 0:
            return 0.0
        squared = sum(x * x for x in row[:-1])
        scaled = isqrt((value.numerator**2 << 2 * ROOT_BITS) // (value.denominator**2 * squared))
        distance = Fraction(scaled, 1 << ROOT_BITS)  # rounded down
        radius = float(distance)
        least = min(least, nextafter(radius, 0.0) if Fraction(radius) > distance else radius)
    return least
