"""Where cells and facets of an unbounded complex end: what the box that clips them cuts, and what goes on.

The clipped cells hold the shapes; the cones over cells tell which of those on the box go on beyond it.
"""

from __future__ import annotations

from flint import arb, fmpq

from regions.complexes import CellComplex
from regions.errors import CertificateError
from regions.rational import (
    CellCone,
    ExactCell,
    ExactFacet,
    ExactGaussian,
    ExactNetwork,
    cell_cone,
    cell_volume,
    facet_row,
)

__all__ = ["CellEnds"]


class CellEnds:
    """Tells of exact cells of the clipped complex what they are without the box.

    Parameters
    ----------
    cells : CellComplex of an unbounded domain
    """

    def __init__(self, cells: CellComplex) -> None:
        assert cells.clipped is not None  # by the caller
        self._exact = ExactNetwork(cells.network, cells.domain)
        sides = cells.domain.own_sides(cells.clipped.domain).tolist()  # type: ignore[attr-defined]
        self._clipping = {k for k, own in enumerate(sides) if own < 0}
        self._last: tuple[bytes, CellCone] | None = None  # facets are asked for cell after cell

    def volume(self, cell: ExactCell) -> fmpq | None:
        """Return the volume of a cell, None if it is infinite.

        Raises
        ------
        CertificateError
            If it is finite, and the box hides a part of it.
        """
        if self._is_cut(cell, -1):
            if self._cone(cell).bounded:
                raise _hidden("cell")
            return None
        return cell_volume(cell.polytope)

    def ways(self, cell: ExactCell, facet: ExactFacet) -> list[tuple[int, ...]]:
        """Return the directions in which an inner facet goes on without end, a line's both; none if it ends.

        Raises
        ------
        CertificateError
            If it ends, and the box hides a part of it.
        """
        if not self._is_cut(cell, facet.on):
            return []
        cone, row = self._cone(cell), facet_row(self._exact, cell.pattern, facet)
        ways = [ray for ray in cone.rays if _value(row, (*ray, 0)) == 0]
        ways += [way for line in cone.lines for way in (line, tuple(-x for x in line))]
        if not ways:
            raise _hidden("facet")
        return ways

    def gaussian(self, bell: ExactGaussian, cell: ExactCell, facet: ExactFacet, bits: int) -> arb:
        """Return the integral of a normal density over an inner facet of a cell in one or two dimensions."""
        ways = self.ways(cell, facet)
        if not ways:
            points = [point for k, point in enumerate(cell.polytope.vertices) if facet.on >> k & 1]
            return bell.integral(points, bits)
        row = facet_row(self._exact, cell.pattern, facet)
        start = next(point for point in self._cone(cell).points if _value(row, point) == 0)
        return sum((bell.ray_integral(start, way, bits) for way in ways), arb(0))

    def _is_cut(self, cell: ExactCell, on: int) -> bool:
        """Whether the box cuts the part of a cell that has some of its vertices (bits)."""
        return any(self._clipping & set(facet.sides) and facet.on & on for facet in cell.facets)

    def _cone(self, cell: ExactCell) -> CellCone:
        if self._last is None or self._last[0] != cell.pattern:
            self._last = cell.pattern, cell_cone(self._exact, cell.pattern)
        return self._last[1]


def _hidden(what: str) -> CertificateError:
    return CertificateError(
        f"the box that clips the cells hides the end of a {what}; verify(complex) says where, enumerate again"
    )


def _value(row: tuple[int, ...], point: tuple[int, ...]) -> int:
    return sum(a * x for a, x in zip(row, point, strict=True))
