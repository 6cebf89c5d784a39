"""Checking a complex of an unbounded domain: the clipped one, and what every cell does beyond the box.

If all vertices of all cells lie inside the box that clips them, the box hides nothing: each face of a cell
has a vertex, or is made of lines through a point that counts as one, so it meets the inside of the box.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from regions.complexes import CellComplex
from regions.complexes.unbounded_cells import unbounded_arrays, with_infinity
from regions.rational import CellCone, ExactNetwork, cell_cone

if TYPE_CHECKING:
    from regions.analysis.verification import Verification

__all__ = ["beyond_the_box"]

LISTED_FAILURES = 20
PROVEN = "every vertex of a cell lies inside the box that clips it, so the box shows all cells and facets"


def beyond_the_box(cells: CellComplex, chosen: NDArray[np.int64], clipped: Verification) -> Verification:
    """Return the verification of a complex from that of its clipped one, after checking cells without a box.

    Parameters
    ----------
    cells : CellComplex of an unbounded domain
    chosen : (k,) int64, the cells to check
    clipped : Verification of `cells.clipped`

    Notes
    -----
    Cost: a double description of the rows of all units for each cell, some milliseconds.
    """
    failures = [*_parts(cells)]
    exact = ExactNetwork(cells.network, cells.domain)
    bounds = _BoxedFacets(cells)
    for i in chosen.tolist():
        failures += bounds.problems(i, cell_cone(exact, cells.pattern(i)))
    n_failures = clipped.n_failures + len(failures)
    all_failures = (*clipped.failures, *failures)[:LISTED_FAILURES]
    if n_failures:
        return replace(clipped, ok=False, failures=all_failures, n_failures=n_failures, proven=())
    proven = clipped.proven
    if len(chosen) == cells.n_cells:
        proven = (*proven, PROVEN, "a cell, or a facet, is bounded if and only if its volume is finite")
    return replace(clipped, proven=proven)


def _parts(cells: CellComplex) -> Iterator[str]:
    """Tell where the complex is not what its clipped one and the marks of infinity make of it."""
    clipped = cells.clipped
    assert clipped is not None  # by the caller
    marks = unbounded_arrays(cells)
    again = with_infinity(clipped, cells.domain, marks["facet_endless"], marks["finite_vertices"])  # type: ignore[arg-type]
    for name in ("patterns", "volumes", "centroids", "witnesses", "n_facets"):
        if not np.array_equal(getattr(again, name), getattr(cells, name), equal_nan=True):
            yield f"{name} are not those of the clipped cells"
    for name, column in vars(again.facets).items():
        listed = getattr(cells.facets, name)
        if isinstance(column, np.ndarray) and not np.array_equal(column, listed, equal_nan=True):
            yield f"{name} in the facet table is not that of the clipped facets"


class _BoxedFacets:
    """What a complex says of its cells' ends: the box, and which facets are unbounded."""

    def __init__(self, cells: CellComplex) -> None:
        self.cells = cells
        assert cells.clipped is not None  # by the caller
        self.width = Fraction(float(cells.clipped.domain.extent().max()))
        table = cells.facets
        flat = cells.network.unit_offsets[np.maximum(table.layer, 0)] + table.unit
        self.unit = np.where(table.side >= 0, -1 - table.side, flat).tolist()
        self.endless = np.isinf(table.volume).tolist()
        self.rows_of: dict[int, list[int]] = {i: [] for i in range(cells.n_cells)}
        self.ends = list(zip(table.cell_a.tolist(), table.cell_b.tolist(), strict=True))
        self.patterns = cells.unpacked_patterns()
        for row, (a, b) in enumerate(self.ends):
            self.rows_of[a].append(row)
            if b >= 0:
                self.rows_of[b].append(row)

    def problems(self, i: int, cone: CellCone) -> Iterator[str]:
        """Tell what is wrong with the ends of cell i."""
        for point in cone.points:
            if max(abs(Fraction(x, point[-1])) for x in point[:-1]) >= self.width:
                yield f"cell {i} has a vertex that is not inside the box that clips it"
        if bool(self.cells.bounded[i]) is not cone.bounded:
            yield f"cell {i} is {'bounded' if cone.bounded else 'unbounded'}, its volume says otherwise"
        if int(self.cells.n_vertices[i]) != (0 if cone.lines else len(cone.points)):
            yield f"cell {i} has {len(cone.points)} vertices, {self.cells.n_vertices[i]} are listed"
        lines = bool(cone.lines) and self.cells.dimension > 1
        table, units, tied = self.cells.network.max_units, set(), []
        for row in self.rows_of[i]:
            unit, beyond = self.unit[row], self.neighbour(row, i)
            if table is not None and unit >= 0 and table.first[unit] >= 0:
                if beyond < 0:
                    tied.append(row)
                    continue
                unit = table.rival_at(unit, self.patterns[i], self.patterns[beyond])
            units.add(unit)
            if self.endless[row] is not (lines or _along(cone, unit)):
                yield f"row {row} of the facet table is wrong about the facet's being bounded"
        if tied:  # which facet of a max unit a row is, the table does not say
            rest = [
                next(u for u in on if u not in cone.winners.values())
                for on in cone.facets()
                if not units & {*on}
            ]
            expected = sum(lines or _along(cone, unit) for unit in rest)
            if len(rest) != len(tied) or sum(self.endless[row] for row in tied) != expected:
                yield f"rows {tied} of the facet table are wrong about the facets' being bounded"

    def neighbour(self, row: int, i: int) -> int:
        """The cell beyond a facet of cell i, or below 0."""
        return self.ends[row][1] if self.ends[row][0] == i else self.ends[row][0]


def _along(cone: CellCone, unit: int) -> bool:
    """Whether a direction of a cell is one of the facet on a row."""
    row = cone.rows[cone.units.index(unit)]
    return any(sum(a * x for a, x in zip(row[:-1], ray, strict=True)) == 0 for ray in cone.rays)
