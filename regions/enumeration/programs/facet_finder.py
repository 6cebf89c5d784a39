"""The facets of one cell, in any dimension, and the cells beyond them."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from regions.domain import Domain
from regions.enumeration.compiled_network import Lowered
from regions.enumeration.programs.cell_facets import CellFacets
from regions.enumeration.programs.program_search import ProgramWalker
from regions.errors import SolverError
from regions.kernels.memory import state
from regions.kernels.memory.table import fill_entry
from regions.kernels.programs.facets_of_cell import find_facets, locate


class FacetFinder:
    """Finds the facets of cells, one at a time, with its own arrays; one thread uses it at a time.

    Rays and linear programs decide. What they leave open is tried again from a deeper point, and then left
    to rational arithmetic. In float arithmetic rows that neither a ray nor a program shows to be facets are
    none.

    Parameters
    ----------
    net, domain : as walked
    sides : bool, whether sides of the domain count as facets
    most_exact : int, optional
        The largest dimension in which rational arithmetic is asked; beyond, open rows stay undecided.
    """

    def __init__(
        self, net: Lowered, domain: Domain, *, sides: bool = True, most_exact: int | None = None
    ) -> None:
        self.walker = ProgramWalker(net, domain, state.COUNT)
        self.walker.start()
        self._sides = sides
        self._exact = net.certified and (most_exact is None or net.dimension <= most_exact)
        d, rows, n = net.dimension, self.walker.arrays[state.PROGRAM_RIGHT].shape[0], net.n_units
        i64 = np.int64
        more = {
            state.ALL_COLUMNS: np.zeros((d, rows)),
            state.ALL_RIGHT: np.zeros(rows),
            state.ALL_ERRORS: np.zeros(rows),
            state.ALL_LABELS: np.zeros(rows, i64),
            state.ALL_SLACKS: np.zeros(rows),
            state.ALL_NOISE: np.zeros(rows),
            state.FACET_STATUS: np.zeros(rows, i64),
            state.FACET_BEYOND: np.zeros((rows, d)),
            state.CHOSEN: np.zeros(rows, i64),
            state.NEXT_STATES: np.zeros((rows, n), i64),
            state.STATES_BEFORE: np.zeros(n, i64),
            state.UNDECIDED: np.zeros(n, i64),
        }
        for entry, array in more.items():
            self.walker.arrays[entry] = array
            fill_entry(self.walker.table, entry, array)

    def pattern_at(self, point: NDArray[np.float64]) -> bytes | None:
        """The pattern of the cell that a point is inside of, one byte a unit; None if it is on a border."""
        arrays = self.walker.arrays
        arrays[state.WITNESS][:] = point
        if locate(self.walker.table):
            return arrays[state.STATES].astype(np.bool_).tobytes()
        return self.walker.asked().pattern_at([Fraction(x) for x in point.tolist()])

    def find(self, pattern: bytes, witness: NDArray[np.float64]) -> CellFacets:
        """Find the facets of the cell of a pattern, from a point `(d,)` inside it or close, or from NaN."""
        arrays, walker = self.walker.arrays, self.walker
        open_rows = self._decide(pattern, witness)
        if open_rows != 0:
            deeper = self._deep_point()
            open_rows = open_rows if deeper is None else self._decide(pattern, deeper)
        if open_rows != 0 and self._exact:
            return walker.asked().facets(pattern, witness)
        certified, inside = walker.net.certified, open_rows >= 0
        m = int(walker.reg[state.ALL_ROWS])
        labels = arrays[state.ALL_LABELS][:m]
        rows = np.flatnonzero((arrays[state.FACET_STATUS][:m] == state.FACET) & inside).tolist()
        neighbours = [states.tobytes() for states in arrays[state.NEXT_STATES][rows].astype(np.bool_)]
        outside = np.full(witness.size, np.nan) if certified else witness.copy()
        return CellFacets(
            [int(labels[row]) for row in rows],
            [next_ if labels[row] >= 0 else None for row, next_ in zip(rows, neighbours, strict=True)],
            [arrays[state.FACET_BEYOND][row].copy() for row in rows],
            arrays[state.WITNESS].copy() if inside else outside,
            m,
            0,
            m if not inside else open_rows if certified else 0,
        )

    def _decide(self, pattern: bytes, point: NDArray[np.float64]) -> int:
        """Ask the kernel: how many rows stay open, -1 if the point is not inside beyond doubt."""
        arrays = self.walker.arrays
        arrays[state.STATES][:] = np.frombuffer(pattern, np.bool_)
        arrays[state.WITNESS][:] = np.where(np.isfinite(point), point, 0.0)
        return int(find_facets(self.walker.table, self.walker.n_sides, self._sides))

    def _deep_point(self) -> NDArray[np.float64] | None:
        """Find the centre of a largest ball inside the rows in hand."""
        from regions.optimize import solve_lp  # few cells need it, and it is slow to import

        arrays = self.walker.arrays
        m = int(self.walker.reg[state.ALL_ROWS])
        A = arrays[state.ALL_COLUMNS][:, :m].T
        b = arrays[state.ALL_RIGHT][:m] - arrays[state.ALL_ERRORS][:m]
        lengths = np.linalg.norm(A, axis=1)
        try:
            solution = solve_lp(np.column_stack([A, lengths]), b, np.eye(A.shape[1] + 1)[-1])
        except SolverError:
            return None
        if solution.point is None or not solution.value > 0.0:
            return None
        return np.ascontiguousarray(solution.point[:-1])
