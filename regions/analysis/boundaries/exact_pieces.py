"""The pieces of a boundary in rational arithmetic: facets of cells, with their faces of every dimension.

Cells meet in common faces, so a face is named by its vertices, and a vertex by its exact coordinates: two
pieces share what they share whatever rounding does. Which facets are pieces is left to the caller.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from flint import arb, ctx
from numpy.typing import NDArray

from regions.rational import ExactNetwork, RationalPolytope, enclosure, shared_facet, squared_volume
from regions.rational.exact_polytope import facets_of
from regions.rational.integer_rows import dot

__all__ = ["ExactFaces", "FoundPieces", "find_pieces", "simplices_of_pieces", "volumes_of_pieces"]

Point = tuple[int, ...]
Face = tuple[int, ...]


@dataclass
class ExactFaces:
    """Faces of dimension 0, 1, ..., each once, with the faces of one dimension less that bound it.

    Attributes
    ----------
    points : list of d + 1 coprime ints (x_1, ..., x_d, w), the vertices
    faces : by dimension, the sorted numbers of the vertices of each face
    below : by dimension, the numbers of the faces that bound each face
    sides : by dimension, the sides of the domain that each face lies on, as bits
    """

    points: list[Point] = field(default_factory=list)
    faces: list[list[Face]] = field(default_factory=list)
    below: list[list[Face]] = field(default_factory=list)
    sides: list[list[int]] = field(default_factory=list)
    _number: dict[Point, int] = field(default_factory=dict, repr=False)
    _known: list[dict[Face, int]] = field(default_factory=list, repr=False)

    @classmethod
    def of_dimension(cls, dimension: int) -> ExactFaces:
        """Return none of the faces of dimension 0, ..., `dimension`, to which some may be added."""
        levels = range(dimension + 1)
        return cls(
            faces=[[] for _ in levels],
            below=[[] for _ in levels],
            sides=[[] for _ in levels],
            _known=[{} for _ in levels],
        )

    @property
    def f_vector(self) -> tuple[int, ...]:
        """Number of faces of dimension 0, 1, ..."""
        return tuple(map(len, self.faces))

    @property
    def euler_characteristic(self) -> int:
        """Alternating sum of the numbers of faces."""
        return sum((-1) ** k * n for k, n in enumerate(self.f_vector))

    def add(self, polytope: RationalPolytope, n_sides: int) -> int:
        """Add a face of the highest dimension, with its own faces; return its number."""
        facets = list(polytope.facets())
        whole = (1 << len(polytope.vertices)) - 1
        numbers = []
        for point in polytope.vertices:
            number = self._number.setdefault(point, len(self.points))
            if number == len(self.points):
                self.points.append(point)
            numbers.append(number)

        def number_of(face: int, k: int) -> int:
            members = list(_members(face))
            name = tuple(sorted(numbers[i] for i in members))
            found = self._known[k].get(name)
            if found is not None:
                return found
            below = sorted(number_of(part, k - 1) for part in facets_of(face, facets)) if k else []
            on_sides = (1 << n_sides) - 1
            for i in members:
                on_sides &= polytope.masks[i]
            found = self._known[k][name] = len(self.faces[k])
            self.faces[k].append(name)
            self.below[k].append(tuple(below))
            self.sides[k].append(on_sides)
            return found

        return number_of(whole, polytope.dimension)

    def part(self, kept: Sequence[int]) -> tuple[ExactFaces, list[int]]:
        """Return some of the highest faces with what bounds them, and the numbers of their vertices."""
        top = len(self.faces) - 1
        made, wanted = ExactFaces.of_dimension(top), list(kept)
        levels: list[list[int]] = [[] for _ in range(top + 1)]
        levels[top] = wanted
        for k in range(top, 0, -1):
            levels[k - 1] = sorted({face for number in levels[k] for face in self.below[k][number]})
        vertices = [self.faces[0][number][0] for number in levels[0]]
        place = {old: new for new, old in enumerate(vertices)}
        made.points = [self.points[v] for v in vertices]
        for k, numbers in enumerate(levels):
            below = {old: new for new, old in enumerate(levels[k - 1])} if k else {}
            for number in numbers:
                made.faces[k].append(tuple(sorted(place[v] for v in self.faces[k][number])))
                made.below[k].append(tuple(sorted(below[face] for face in self.below[k][number])))
                made.sides[k].append(self.sides[k][number])
        return made, vertices


def _members(bits: int) -> Iterator[int]:
    while bits:
        lowest = bits & -bits
        yield lowest.bit_length() - 1
        bits ^= lowest


@dataclass(frozen=True)
class FoundPieces:
    """Pieces in the order in which they were asked for.

    Attributes
    ----------
    faces : ExactFaces, the pieces are those of dimension d - 1
    number : list of int, of each piece among them
    rows : list of d + 1 ints, of each piece its hyperplane, positive in its first cell
    """

    faces: ExactFaces
    number: list[int]
    rows: list[tuple[int, ...]]


def find_pieces(
    exact: ExactNetwork,
    patterns: NDArray[np.bool_],
    pairs: NDArray[np.int64],
    hints: Sequence[Sequence[int]] | None = None,
) -> FoundPieces:
    """Find the facets between pairs of cells, exactly.

    Parameters
    ----------
    exact : ExactNetwork
    patterns : (n, n_units) bool, of all cells
    pairs : (m, 2) int64, cells that share a facet
    hints : for each pair, flat numbers of units that are likely to bound the first cell; for speed only

    Returns
    -------
    FoundPieces; about a millisecond for each in 3-D

    Raises
    ------
    CertificateError
        If two cells share no facet.
    """
    faces = ExactFaces.of_dimension(exact.dimension - 1)
    number: list[int] = []
    rows: list[tuple[int, ...]] = []
    n_sides = len(exact.halfspace_rows)
    for k, (a, b) in enumerate(pairs.tolist()):
        facet = shared_facet(exact, patterns[a], patterns[b], () if hints is None else hints[k])
        number.append(faces.add(facet.polytope, n_sides))
        rows.append(facet.row)
    return FoundPieces(faces, number, rows)


def simplices_of_pieces(faces: ExactFaces) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Cut the highest faces into simplices: their vertices (K, d) and the face of each (K,).

    Every face is cut from its vertex of the lowest number, so faces that share one of theirs cut it alike.
    """
    top = len(faces.faces) - 1
    found: list[Face] = []
    owner: list[int] = []

    def pull(number: int, k: int) -> Iterator[Face]:
        vertices = faces.faces[k][number]
        if k == 0:
            yield vertices
            return
        apex = vertices[0]
        for part in faces.below[k][number]:
            if apex not in faces.faces[k - 1][part]:
                for simplex in pull(part, k - 1):
                    yield (apex, *simplex)

    for piece in range(len(faces.faces[top])):
        for simplex in pull(piece, top):
            found.append(simplex)
            owner.append(piece)
    return np.array(found, np.int64).reshape(-1, top + 1), np.array(owner, np.int64)


def volumes_of_pieces(faces: ExactFaces) -> NDArray[np.float64]:
    """Return the volumes of the highest faces, from their exact vertices and rounded."""
    simplices, owner = simplices_of_pieces(faces)
    parts: list[list[Any]] = [[] for _ in faces.faces[-1]]
    for simplex, piece in zip(simplices.tolist(), owner.tolist(), strict=True):
        square = squared_volume([faces.points[v] for v in simplex])
        with ctx.workprec(128):
            parts[piece].append(arb(square).sqrt())
    return np.array([float(enclosure(part).mid()) for part in parts])


def ring_of(faces: ExactFaces, piece: int, row: Sequence[int]) -> list[int]:
    """Return the vertices of a piece in 3-D in order, counterclockwise seen from where a row is positive."""
    edges = [faces.faces[1][k] for k in faces.below[2][piece]]
    beside: dict[int, list[int]] = {}
    for p, q in edges:
        beside.setdefault(p, []).append(q)
        beside.setdefault(q, []).append(p)
    first = edges[0][0]
    ring, at = [first, beside[first][0]], beside[first][0]
    while len(ring) < len(edges):
        before = ring[-2]
        at = beside[at][0] if beside[at][0] != before else beside[at][1]
        ring.append(at)
    a, b, c = (faces.points[v] for v in ring[:3])
    return ring if _turn(a, b, c, row) > 0 else ring[:1] + ring[:0:-1]


def _turn(a: Point, b: Point, c: Point, row: Sequence[int]) -> int:
    """Return a number of the sign of (b - a) x (c - a) . n, exactly."""
    u = [b[j] * a[3] - a[j] * b[3] for j in range(3)]
    v = [c[j] * a[3] - a[j] * c[3] for j in range(3)]
    cross = (u[1] * v[2] - u[2] * v[1], u[2] * v[0] - u[0] * v[2], u[0] * v[1] - u[1] * v[0])
    return int(dot(tuple(row[:3]), cross))


def segment_of(faces: ExactFaces, piece: int, row: Sequence[int]) -> list[int]:
    """Return the two ends of a piece in the plane, with the side where a row is positive on the left."""
    p, q = faces.faces[1][piece]
    a, b = faces.points[p], faces.points[q]
    dx, dy = (b[j] * a[2] - a[j] * b[2] for j in range(2))
    return [p, q] if -dy * row[0] + dx * row[1] > 0 else [q, p]
