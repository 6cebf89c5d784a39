"""The facets of one cell, in any dimension, and the cells beyond them."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from regions.domain import Domain
from regions.enumeration.compiled_network import Lowered
from regions.enumeration.programs.exact_sides import CellFacets
from regions.enumeration.programs.program_search import ProgramWalker
from regions.kernels.memory import state
from regions.kernels.memory.table import fill_entry
from regions.kernels.programs.facets_of_cell import find_facets, locate


class FacetFinder:
    """Finds the facets of cells, one at a time, with its own arrays; one thread uses it at a time.

    In float arithmetic rows that neither a ray nor a program shows to be facets are none.
    """

    def __init__(self, net: Lowered, domain: Domain) -> None:
        self.walker = ProgramWalker(net, domain, state.COUNT)
        self.walker.start()
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
        """The facets of the cell of a pattern, with a point `(d,)` inside or NaN."""
        arrays, walker = self.walker.arrays, self.walker
        arrays[state.STATES][:] = np.frombuffer(pattern, np.bool_)
        arrays[state.WITNESS][:] = witness
        open_rows = int(find_facets(walker.table, walker.n_sides, True)) if np.isfinite(witness).all() else -1
        if open_rows != 0 and walker.net.certified:
            return walker.asked().facets(pattern, witness)
        m = int(walker.reg[state.ALL_ROWS])
        labels = arrays[state.ALL_LABELS][:m]
        inside = open_rows >= 0
        rows = np.flatnonzero((arrays[state.FACET_STATUS][:m] == state.FACET) & inside).tolist()
        neighbours = [states.tobytes() for states in arrays[state.NEXT_STATES][rows].astype(np.bool_)]
        return CellFacets(
            [int(labels[row]) for row in rows],
            [next_ if labels[row] >= 0 else None for row, next_ in zip(rows, neighbours, strict=True)],
            [arrays[state.FACET_BEYOND][row].copy() for row in rows],
            arrays[state.WITNESS].copy(),
            m,
            0,
        )
