"""Fewest convex pieces: coarsen the cells to a polyhedral complex by a MILP, and bound from below.

A smallest complex need not be a coarsening of the cells, so the MILP gives an upper bound; it is
exact where the lower bound, from points that no convex piece can share, meets it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.sparse import coo_array, vstack

from regions.analysis.linear_regions.exact_geometry import ExactGeometry
from regions.analysis.linear_regions.merging import Labels, by_first_occurrence
from regions.analysis.linear_regions.visibility import invisible_points
from regions.errors import SolverError
from regions.optimize import BinaryStatus, minimise_sum
from regions.rational import facet_row, neighbour_pattern
from regions.rational.integer_rows import dot

MAX_MERGED = 400  # cells of all regions that hold more than one
MAX_CELLS = 5000
MAX_PIECES = 1500  # convex unions of cells
MILP_SECONDS = 60.0


@dataclass(frozen=True, eq=False)
class ConvexPartition:
    """Bounds of the convex count, and the partition of the cells that shows the upper one.

    Attributes
    ----------
    lower, upper : int
    labels : (n_cells,) int64
    """

    lower: int
    upper: int
    labels: Labels


@dataclass(frozen=True)
class Wall:
    """A facet of a cell, seen from it.

    Attributes
    ----------
    neighbour : int, the cell beyond, -1 on the domain's boundary
    on, beyond : int, vertices of the cells in hand on its hyperplane and strictly beyond it, as bits
    """

    neighbour: int
    on: int
    beyond: int


@dataclass(frozen=True)
class Piece:
    """A convex union of cells: cells and vertices as bits, hyperplanes of its boundary as vertex sets."""

    cells: int
    vertices: int
    walls: tuple[int, ...]

    def face_around(self, points: int) -> int:
        """Vertices of the smallest face that holds the given ones."""
        face = self.vertices
        for on in self.walls:
            if points & ~on == 0:
                face &= on
        return face

    def fits(self, other: Piece) -> bool:
        """Whether two disjoint pieces meet in a common face of both, or not at all.

        Their intersection is a convex union of faces of cells; it is a face of a piece iff it holds
        all vertices of the smallest face around it.
        """
        common = self.vertices & other.vertices
        if not common:
            return True
        return self.face_around(common) == common == other.face_around(common)


def convex_partition(opens: Labels, geometry: ExactGeometry) -> ConvexPartition:
    """Smallest polyhedral complex that merges cells of equal maps, with bounds of the true smallest.

    Parameters
    ----------
    opens : (n,) int64, open components of the cells
    geometry : ExactGeometry

    Returns
    -------
    ConvexPartition
        `lower == upper` where the count is proven. Beyond 5000 cells, 400 cells in regions that hold
        several, or 1500 convex unions, the bounds are the open and the cell count.
    """
    n = opens.size
    sizes = np.bincount(opens) if n else np.zeros(0, np.int64)
    n_open = sizes.size
    trivial = ConvexPartition(n_open, n, np.arange(n))
    merged = np.flatnonzero(sizes[opens] > 1) if n else np.zeros(0, np.int64)
    if merged.size == 0 or merged.size > MAX_MERGED or n > MAX_CELLS:
        return trivial
    search = _Search(geometry, opens, merged.tolist())
    try:
        pieces = {region: search.pieces(region) for region in np.flatnonzero(sizes > 1).tolist()}
    except _TooManyPieces:
        return trivial
    lower, wholes = n_open, []
    for region, found in pieces.items():
        whole = [piece for piece in found if piece.cells == search.cells_of(region)]
        wholes += whole
        if not whole:
            lower += search.least_pieces(region, found) - 1
    if lower == n_open and not search.is_complex(wholes):
        lower += 1  # with as many pieces as regions the pieces would be the regions
    chosen = _cover(search, [piece for found in pieces.values() for piece in found])
    if chosen is None:
        return ConvexPartition(lower, n, trivial.labels)
    labels = np.arange(n)
    for k, piece in enumerate(chosen):
        labels[[i for i in merged.tolist() if piece.cells >> i & 1]] = n + k
    labels = by_first_occurrence(labels)
    return ConvexPartition(lower, int(labels.max()) + 1, labels)


class _TooManyPieces(Exception):
    pass


class _Search:
    """Cells of regions that hold several, their walls, and the cells that touch them."""

    def __init__(self, geometry: ExactGeometry, opens: Labels, merged: Sequence[int]) -> None:
        self.geometry, self.opens, self.merged = geometry, opens, merged
        self.vertex_sets = {i: sum(1 << v for v in geometry.vertices(i)) for i in range(opens.size)}
        self.region_of = opens.tolist()
        self._walls: dict[int, list[Wall]] = {}

    def cells_of(self, region: int) -> int:
        """The cells of a region, as bits."""
        return sum(1 << i for i in self.merged if self.region_of[i] == region)

    @cached_property
    def _region_vertices(self) -> dict[int, int]:
        found: dict[int, int] = {}
        for i, vertices in self.vertex_sets.items():
            found[self.region_of[i]] = found.get(self.region_of[i], 0) | vertices
        return found

    def walls(self, i: int) -> list[Wall]:
        """The facets of a cell, with the vertices of its region on and beyond them."""
        if i not in self._walls:
            self._walls[i] = list(self._find_walls(i))
        return self._walls[i]

    def _find_walls(self, i: int) -> Iterator[Wall]:
        geometry = self.geometry
        cell = geometry.cell(i)
        near = [v for v in range(len(geometry.points)) if self._region_vertices[self.region_of[i]] >> v & 1]
        for facet in cell.facets:
            row = facet_row(geometry.exact, cell.pattern, facet)
            neighbour = -1
            if not facet.sides:
                neighbour = geometry.index[neighbour_pattern(geometry.exact, cell, facet)]
            values = [(v, dot(row, geometry.points[v])) for v in near]
            on = sum(1 << v for v, value in values if value == 0)
            yield Wall(neighbour, on, sum(1 << v for v, value in values if value < 0))

    def close(self, cells: set[int]) -> Piece | None:
        """The smallest convex union of a region's cells that holds some; None if there is none.

        Where a vertex of the union is strictly beyond a wall, the convex hull reaches beyond that wall,
        so the cell there belongs to it. A connected union with none beyond is convex: it fills the
        intersection of its walls' halfspaces, as it has no boundary inside.
        """
        region = self.region_of[next(iter(cells))]
        while True:
            vertices = 0
            for i in cells:
                vertices |= self.vertex_sets[i]
            outer = [w for i in cells for w in self.walls(i) if w.neighbour not in cells]
            missing = {wall.neighbour for wall in outer if wall.beyond & vertices}
            if not missing:
                walls = {wall.on & vertices for wall in outer}
                return Piece(sum(1 << i for i in cells), vertices, tuple(walls))
            if any(self.region_of[j] != region for j in missing):
                return None
            cells |= missing

    def pieces(self, region: int) -> list[Piece]:
        """All convex unions of a region's cells, grown cell by cell.

        Raises `_TooManyPieces` beyond the limit.
        """
        members = [i for i in self.merged if self.region_of[i] == region]
        known: dict[int, Piece] = {}
        waiting: list[Piece] = []
        for i in members:
            piece = self.close({i})
            if piece is not None:
                known[piece.cells] = piece
                waiting.append(piece)
        while waiting:
            piece = waiting.pop()
            cells = [i for i in members if piece.cells >> i & 1]
            around = {w.neighbour for i in cells for w in self.walls(i)} - set(cells)
            for j in sorted(around):
                if j < 0 or self.region_of[j] != region:
                    continue
                larger = self.close({*cells, j})
                if larger is not None and larger.cells not in known:
                    known[larger.cells] = larger
                    waiting.append(larger)
                    if len(known) > MAX_PIECES:
                        raise _TooManyPieces
        return list(known.values())

    def single(self, i: int) -> Piece:
        """A cell that is a region of its own, as a piece."""
        numbers = self.geometry.vertices(i)
        walls = [
            sum(1 << numbers[k] for k in range(len(numbers)) if facet.on >> k & 1)
            for facet in self.geometry.cell(i).facets
        ]
        return Piece(1 << i, self.vertex_sets[i], tuple(walls))

    def neighbours(self, pieces: Sequence[Piece]) -> list[Piece]:
        """The cells that are regions of their own and touch some of the pieces."""
        touched = 0
        for piece in pieces:
            touched |= piece.vertices
        merged = set(self.merged)
        return [
            self.single(i) for i, points in self.vertex_sets.items() if i not in merged and points & touched
        ]

    def is_complex(self, pieces: Sequence[Piece]) -> bool:
        """Whether pieces cover each merged cell once and meet each other and all cells face to face."""
        if sum(piece.cells for piece in pieces) != sum(1 << i for i in self.merged):
            return False
        singles = self.neighbours(pieces)
        return all(
            not piece.cells & other.cells and piece.fits(other)
            for k, piece in enumerate(pieces)
            for other in (*pieces[:k], *singles)
        )

    def least_pieces(self, region: int, pieces: Sequence[Piece]) -> int:
        """A lower bound, at least 2, of the convex pieces that a region that is not convex needs."""
        members = [i for i in self.merged if self.region_of[i] == region]
        together = {
            (i, j)
            for piece in pieces
            for i in members
            for j in members
            if piece.cells >> i & 1 and piece.cells >> j & 1
        }
        return max(2, invisible_points(self.geometry, members, together))


def _cover(search: _Search, pieces: list[Piece]) -> list[Piece] | None:
    """Fewest of the pieces that cover each cell once and meet face to face; None if not found."""
    singles = search.neighbours(pieces)
    pieces = [piece for piece in pieces if all(piece.fits(other) for other in singles)]
    if len(pieces) > MAX_PIECES:
        return None
    conflicts = [
        (a, b)
        for a, first in enumerate(pieces)
        for b, second in enumerate(pieces[:a])
        if not first.cells & second.cells and not first.fits(second)
    ]
    rows = [
        (k, p) for k, i in enumerate(search.merged) for p, piece in enumerate(pieces) if piece.cells >> i & 1
    ]
    if not rows:
        return None
    n, m = len(pieces), len(search.merged)
    cover = coo_array((np.ones(len(rows), np.int64), tuple(np.array(rows).T)), shape=(m, n))
    at = np.repeat(np.arange(len(conflicts)), 2)
    pairs = coo_array(
        (np.ones(at.size, np.int64), (at, np.array(conflicts, np.int64).ravel())), shape=(len(conflicts), n)
    )
    lower = np.concatenate([np.ones(m, np.int64), np.zeros(len(conflicts), np.int64)])
    found = minimise_sum(vstack([cover, pairs]), lower, np.ones(lower.size, np.int64), seconds=MILP_SECONDS)
    match found.status:
        case BinaryStatus.OPTIMAL | BinaryStatus.FEASIBLE if found.chosen is not None:
            chosen = [piece for piece, taken in zip(pieces, found.chosen.tolist(), strict=True) if taken]
            return chosen if search.is_complex(chosen) else None
        case BinaryStatus.INFEASIBLE | BinaryStatus.TIME_LIMIT:
            return None
        case _:
            raise SolverError(f"a cover by convex pieces ended as {found.status.value}")
