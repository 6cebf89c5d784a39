"""Small polytopes with exact vertices: cut by halfspaces, facets, faces, pulled triangulations.

A polytope is its vertices (primitive integer points) and, for each, the set of rows that vanish
there, as bits of a Python int; rows are numbered by the caller and may be redundant.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import gcd

from regions.rational.integer_rows import dot

Point = tuple[int, ...]


@dataclass(frozen=True)
class RationalPolytope:
    """A bounded full-dimensional polytope.

    Attributes
    ----------
    dimension : int, d
    vertices : list of d + 1 coprime ints (x_1, ..., x_d, w), w > 0
    masks : list of int, bit k of entry i tells that row k vanishes at vertex i

    Examples
    --------
    >>> square = RationalPolytope(2, [(0, 0, 1), (1, 0, 1), (1, 1, 1), (0, 1, 1)], [9, 3, 6, 12])
    >>> half = square.cut((-1, -1, 1), 4)
    >>> half.vertices, sorted(half.facets())
    ([(0, 0, 1), (1, 0, 1), (0, 1, 1)], [3, 5, 6])
    """

    dimension: int
    vertices: list[Point]
    masks: list[int]

    def cut(self, row: Sequence[int], number: int) -> RationalPolytope | None:
        """The part where a row is >= 0; None if that part is not full-dimensional.

        Parameters
        ----------
        row : d + 1 ints
        number : int, the row's bit in the masks
        """
        values = [dot(row, vertex) for vertex in self.vertices]
        low = min(values)
        if max(values) <= 0:
            return None
        if low > 0:
            return self
        bit = 1 << number
        masks = [m if v else m | bit for m, v in zip(self.masks, values, strict=True)]
        if low == 0:
            return RationalPolytope(self.dimension, self.vertices, masks)
        kept = [i for i, v in enumerate(values) if v >= 0]
        vertices = [self.vertices[i] for i in kept]
        new_masks = [masks[i] for i in kept]
        for i, j, common in self._cut_edges(values, masks):
            p, q = values[i], values[j]
            point = [p * y - q * x for x, y in zip(self.vertices[i], self.vertices[j], strict=True)]
            divisor = gcd(*point)
            vertices.append(tuple(x // divisor for x in point))
            new_masks.append(common | bit)
        return RationalPolytope(self.dimension, vertices, new_masks)

    def meet(self, row: Sequence[int], number: int) -> RationalPolytope | None:
        """The part where a row is >= 0, which may be flat; None if that part is empty.

        Works on parts that are flat already: two vertices make an edge if no third one has their common rows.

        Parameters
        ----------
        row : d + 1 ints
        number : int, the row's bit in the masks

        Examples
        --------
        >>> square = RationalPolytope(2, [(0, 0, 1), (1, 0, 1), (1, 1, 1), (0, 1, 1)], [9, 3, 6, 12])
        >>> side = square.meet((1, 0, -1), 4)  # x >= 1
        >>> side.vertices, side.meet((0, 2, -1), 5).vertices, side.meet((0, 1, -2), 6)
        ([(1, 0, 1), (1, 1, 1)], [(1, 1, 1), (2, 1, 2)], None)
        """
        values = [dot(row, vertex) for vertex in self.vertices]
        if max(values) < 0:
            return None
        if min(values) >= 0 or max(values) > 0:
            cut = self.cut(row, number)
            if cut is not None:
                return cut
        kept = [i for i, value in enumerate(values) if value == 0]
        masks = [self.masks[i] | 1 << number for i in kept]
        return RationalPolytope(self.dimension, [self.vertices[i] for i in kept], masks)

    def _cut_edges(self, values: Sequence[int], masks: Sequence[int]) -> Iterator[tuple[int, int, int]]:
        """Edges from a positive to a negative vertex: two vertices whose common rows no third one shares."""
        below = [j for j, v in enumerate(values) if v < 0]
        for i, value in enumerate(values):
            if value <= 0:
                continue
            for j in below:
                common = masks[i] & masks[j]
                if common.bit_count() < self.dimension - 1:
                    continue
                if sum(mask & common == common for mask in masks) == 2:
                    yield i, j, common

    def facets(self) -> dict[int, list[int]]:
        """Facets as sets of vertices (bits), each with the rows that vanish on it."""
        union = 0
        for mask in self.masks:
            union |= mask
        rows_of: dict[int, list[int]] = {}
        while union:
            bit = union & -union
            union ^= bit
            on = 0
            for i, mask in enumerate(self.masks):
                if mask & bit:
                    on |= 1 << i
            rows_of.setdefault(on, []).append(bit.bit_length() - 1)
        return {
            on: rows_of[on] for on in _maximal([on for on in rows_of if on.bit_count() >= self.dimension])
        }

    def faces(self) -> list[list[int]]:
        """Faces as sets of vertices (bits), by dimension 0, ..., d."""
        facets = list(self.facets())
        by_dimension = [[(1 << len(self.vertices)) - 1]]
        for _ in range(self.dimension):
            below: dict[int, None] = {}
            for face in by_dimension[-1]:
                below.update(dict.fromkeys(facets_of(face, facets)))
            by_dimension.append(list(below))
        return by_dimension[::-1]

    def simplices(self, face: int | None = None) -> list[tuple[int, ...]]:
        """Vertex numbers of simplices that tile the polytope or one of its faces (bits).

        References
        ----------
        Lee and Santos, Subdivisions and triangulations of polytopes, section 16.2.1.
        """
        facets = list(self.facets())

        def pull(face: int) -> list[tuple[int, ...]]:
            apex = (face & -face).bit_length() - 1
            if face == 1 << apex:
                return [(apex,)]
            return [
                (apex, *simplex)
                for ridge in facets_of(face, facets)
                if not ridge >> apex & 1
                for simplex in pull(ridge)
            ]

        return pull((1 << len(self.vertices)) - 1 if face is None else face)


def facets_of(face: int, facets: Sequence[int]) -> list[int]:
    """The facets of a face (vertex sets as bits): its maximal proper intersections with facets."""
    return _maximal(list({face & facet for facet in facets} - {0, face}))


def _maximal(sets: list[int]) -> list[int]:
    return [p for p in sets if not any(p != q and p & q == p for q in sets)]
