"""Exact cells of an unbounded complex as sections of the cones over them, with points at infinity.

A direction out of a cell is a vertex at infinity of its section; so its faces are those of a polytope.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from flint import fmpz_mat
from numpy.typing import NDArray

from regions.complexes import CellComplex
from regions.domain.starting_polytope import cone_rays
from regions.rational import ExactCell, ExactNetwork, RationalPolytope, cell_cone

Point = tuple[int, ...]

__all__ = ["EndlessGeometry"]


class EndlessGeometry:
    """The cells of an unbounded complex in rational arithmetic; equal points and equal rays have one number.

    Points have the numbers from 0 on, rays those from -1 down. All cells hold the same lines, those that no
    row of the first layer and no side of the domain sees. They are left out: a point stands for its lines.

    Parameters
    ----------
    cells : CellComplex of an unbounded domain
    """

    def __init__(self, cells: CellComplex) -> None:
        self.cells = cells
        self.exact = ExactNetwork(cells.network, cells.domain)
        self.points: list[Point] = []
        self._number: dict[Point, int] = {}
        self._rays: list[Point] = []
        self.n_lines = 0

    def section(self, i: int) -> tuple[ExactCell, tuple[int, ...]]:
        """Return cell i with the section of its cone for a polytope, and the numbers of its vertices.

        Rows are the domain's sides, then the units, and the last one tells what is at infinity.
        """
        cone = cell_cone(self.exact, self.cells.pattern(i))
        self.n_lines = len(cone.lines)
        n_sides, n_units = len(self.exact.halfspace_rows), self.cells.network.n_units
        bits = [1 << (n_sides + unit if unit >= 0 else -1 - unit) for unit in cone.units]
        vertices = [*cone.points, *((*ray, 0) for ray in cone.rays)]
        masks = [
            sum({bit for bit, row in zip(bits, cone.rows, strict=True) if _dot(row, vertex) == 0})
            | (vertex[-1] == 0) << (n_sides + n_units)
            for vertex in vertices
        ]
        polytope = RationalPolytope(self.cells.dimension - self.n_lines, vertices, masks)
        pattern = bytes(self.cells.pattern(i).astype(np.uint8))
        return ExactCell(pattern, polytope, (), cone.zero_units), tuple(map(self._numbered, vertices))

    def _numbered(self, vertex: Point) -> int:
        if vertex not in self._number:
            kind = self.points if vertex[-1] else self._rays
            self._number[vertex] = len(kind) if vertex[-1] else -1 - len(kind)
            kind.append(vertex)
        return self._number[vertex]

    @property
    def rays(self) -> NDArray[np.float64]:
        """Directions of all rays, (k, d) float64 of length 1, in the order of their numbers."""
        largest = [[x / max(map(abs, ray)) for x in ray[:-1]] for ray in self._rays]
        directions = np.array(largest).reshape(-1, self.cells.dimension)
        return directions / np.linalg.norm(directions, axis=1, keepdims=True)

    @property
    def euler_characteristic(self) -> int:
        """The alternating number of faces that any subdivision of the domain has.

        Of n lines and a bounded set it is (-1)^n, and 0 where the domain goes on in some direction and not in
        the opposite one.
        """
        d = self.cells.dimension
        sides = [tuple(map(int, row)) for row in self.exact.halfspace_rows]
        n_lines = d - int(fmpz_mat([list(row[:-1]) for row in sides]).rank()) if sides else d
        rays = cone_rays([*sides, (0,) * d + (1,)])
        return 0 if any(ray[-1] == 0 for ray in rays) else (-1) ** n_lines


def _dot(row: Sequence[int], vertex: Sequence[int]) -> int:
    return sum(a * x for a, x in zip(row, vertex, strict=True))
