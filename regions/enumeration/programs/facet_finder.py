"""The facets of one cell, in any dimension, and the cells beyond them."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from regions.domain import Domain
from regions.enumeration.compiled_network import Lowered
from regions.enumeration.programs.exact_sides import CellFacets
from regions.enumeration.programs.program_search import ProgramWalker
from regions.kernels.memory.states import Mode, RowStatus
from regions.kernels.programs.facets_of_cell import find_facets, locate


class FacetFinder:
    """Finds the facets of cells, one at a time, with its own arrays; one thread uses it at a time.

    In float arithmetic rows that neither a ray nor a program shows to be facets are none.
    """

    def __init__(self, net: Lowered, domain: Domain) -> None:
        self.walker = ProgramWalker(net, domain, Mode.COUNT)
        self.walker.start()
        d, rows, n = net.dimension, self.walker.memory.right.shape[0], net.n_units
        i64 = np.int64
        more = {
            "all_columns": np.zeros((d, rows)),
            "all_right": np.zeros(rows),
            "all_errors": np.zeros(rows),
            "all_labels": np.zeros(rows, i64),
            "all_slacks": np.zeros(rows),
            "all_noise": np.zeros(rows),
            "facet_status": np.zeros(rows, i64),
            "facet_beyond": np.zeros((rows, d)),
            "chosen": np.zeros(rows, i64),
            "next_states": np.zeros((rows, n), i64),
            "states_before": np.zeros(n, i64),
            "undecided": np.zeros(n, i64),
        }
        self.walker.memory.use(more)

    def pattern_at(self, point: NDArray[np.float64]) -> bytes | None:
        """The pattern of the cell that a point is inside of, one byte a unit; None if it is on a border."""
        memory = self.walker.memory
        memory.witness[:] = point
        if locate(self.walker.memory):
            return memory.states.astype(np.bool_).tobytes()
        return self.walker.asked().pattern_at([Fraction(x) for x in point.tolist()])

    def find(self, pattern: bytes, witness: NDArray[np.float64]) -> CellFacets:
        """The facets of the cell of a pattern, with a point `(d,)` inside or NaN."""
        memory, walker = self.walker.memory, self.walker
        memory.states[:] = np.frombuffer(pattern, np.bool_)
        memory.witness[:] = witness
        open_rows = int(find_facets(memory, walker.n_sides, True)) if np.isfinite(witness).all() else -1
        if open_rows != 0 and walker.net.certified:
            return walker.asked().facets(pattern, witness)
        m = int(walker.memory.n_all_rows)
        labels = memory.all_labels[:m]
        inside = open_rows >= 0
        rows = np.flatnonzero((memory.facet_status[:m] == RowStatus.FACET) & inside).tolist()
        neighbours = [states.tobytes() for states in memory.next_states[rows].astype(np.bool_)]
        return CellFacets(
            [int(labels[row]) for row in rows],
            [next_ if labels[row] >= 0 else None for row, next_ in zip(rows, neighbours, strict=True)],
            [memory.facet_beyond[row].copy() for row in rows],
            memory.witness.copy(),
            m,
            0,
        )
