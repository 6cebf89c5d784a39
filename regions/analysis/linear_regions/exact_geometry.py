"""Exact cells of a complex on demand, their vertices numbered through the whole complex."""

from __future__ import annotations

from functools import cached_property

import numpy as np

from regions.complexes import CellComplex
from regions.network.patterns import flat_units, row_keys
from regions.rational import ExactCell, ExactNetwork, exact_cell


class ExactGeometry:
    """The cells of a complex in rational arithmetic; equal points have equal numbers.

    Parameters
    ----------
    cells : CellComplex
    """

    def __init__(self, cells: CellComplex) -> None:
        self.cells = cells
        self.exact = ExactNetwork(cells.network, cells.domain)
        self.patterns = row_keys(cells.unpacked_patterns())
        self.points: list[tuple[int, ...]] = []
        self._number: dict[tuple[int, ...], int] = {}
        self._known: dict[int, ExactCell] = {}
        self._numbers: dict[int, tuple[int, ...]] = {}

    @cached_property
    def index(self) -> dict[bytes, int]:
        """Cell of a pattern."""
        return {pattern: i for i, pattern in enumerate(self.patterns)}

    @cached_property
    def _hints(self) -> list[list[int]]:
        table, offsets = self.cells.facets, self.cells.network.unit_offsets
        hints: list[list[int]] = [[] for _ in self.patterns]
        rows = np.flatnonzero(table.layer >= 0)
        flat = flat_units(offsets, table.layer[rows], table.unit[rows]).tolist()
        for unit, a, b in zip(flat, table.cell_a[rows].tolist(), table.cell_b[rows].tolist(), strict=True):
            hints[a].append(unit)
            if b >= 0:
                hints[b].append(unit)
        return hints

    def cell(self, i: int) -> ExactCell:
        """Cell i, computed once; raises CertificateError where the complex is wrong."""
        if i not in self._known:
            self._known[i] = exact_cell(self.exact, self.patterns[i], self._hints[i])
        return self._known[i]

    def vertices(self, i: int) -> tuple[int, ...]:
        """Numbers of cell i's vertices, in the order of its polytope."""
        if i not in self._numbers:
            numbers = []
            for point in self.cell(i).polytope.vertices:
                number = self._number.setdefault(point, len(self.points))
                if number == len(self.points):
                    self.points.append(point)
                numbers.append(number)
            self._numbers[i] = tuple(numbers)
        return self._numbers[i]
