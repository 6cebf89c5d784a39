"""The facets of one cell, in any dimension, and the cells beyond them."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from regions.domain import Domain
from regions.enumeration.compiled_network import CompiledNetwork
from regions.enumeration.programs.cell_facets import CellFacets
from regions.enumeration.programs.program_search import ProgramSearch
from regions.errors import SolverError
from regions.kernels.memory.states import Mode, RowStatus
from regions.kernels.programs.facets_of_cell import find_facets, locate

FACET = int(RowStatus.FACET)  # numpy is slow to compare with members of enums


class FacetFinder:
    """Finds the facets of cells, one at a time, with its own arrays; one thread uses it at a time.

    Rays and linear programs decide. What they leave open is tried again from a deeper point, and then left
    to rational arithmetic. In float arithmetic rows that neither a ray nor a program shows to be facets are
    none.

    Parameters
    ----------
    net, domain : as searched
    sides : bool, whether sides of the domain count as facets
    most_exact : int, optional
        The largest dimension in which rational arithmetic is asked; beyond, open rows stay undecided.
    """

    def __init__(
        self, net: CompiledNetwork, domain: Domain, *, sides: bool = True, most_exact: int | None = None
    ) -> None:
        self.search = ProgramSearch(net, domain, Mode.COUNT)
        self.search.start()
        self._sides = sides
        self._table = net.network.max_units
        self._exact = net.certified and (most_exact is None or net.dimension <= most_exact)
        d, rows, n = net.dimension, self.search.memory.right.shape[0], net.n_units
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
        self.search.memory.use(more)

    def pattern_at(self, point: NDArray[np.float64]) -> bytes | None:
        """Return the pattern of the cell that a point is inside of, one byte a unit; None on a border."""
        memory = self.search.memory
        memory.witness[:] = point
        if locate(self.search.memory):
            return memory.states.astype(np.bool_).tobytes()
        return self.search.asked().pattern_at([Fraction(x) for x in point.tolist()])

    def pattern_somewhere(self, rng: np.random.Generator) -> bytes:
        """Return the pattern of some cell, from rational points inside the domain."""
        return self.search.asked().pattern_somewhere(rng)

    def find(self, pattern: bytes, witness: NDArray[np.float64]) -> CellFacets:
        """Find the facets of the cell of a pattern, from a point `(d,)` inside it or close, or from NaN."""
        search = self.search
        open_rows = self._decide(pattern, witness)
        if open_rows != 0:
            deeper = self._deep_point()
            open_rows = open_rows if deeper is None else self._decide(pattern, deeper)
        if open_rows != 0 and self._exact:
            return search.asked().facets(pattern, witness)
        return self._found(open_rows) if open_rows >= 0 else self._nothing_found(witness)

    def _found(self, open_rows: int) -> CellFacets:
        """Return what the kernel found; for every cell of a listing, so a few operations on whole arrays."""
        memory, n = self.search.memory, self.search.net.n_units
        m = memory.n_all_rows
        is_facet = memory.facet_status[:m] == FACET
        if not self._sides:  # a ray may meet a side that nobody asked for
            is_facet &= memory.all_labels[:m] >= 0
        rows = is_facet.nonzero()[0]
        labels = memory.all_labels[rows].tolist()
        if (table := self._table) is not None:  # where candidates tie, the earlier one stands for the two
            labels = [table.rows(label)[0] if label >= n else label for label in labels]
        patterns = memory.next_states[rows].astype(np.bool_).tobytes()
        return CellFacets(
            labels,
            [patterns[k * n : (k + 1) * n] if label >= 0 else None for k, label in enumerate(labels)],
            list(memory.facet_beyond[rows]),
            memory.witness.copy(),
            m,
            0,
            open_rows if self.search.net.certified else 0,
        )

    def _nothing_found(self, witness: NDArray[np.float64]) -> CellFacets:
        """Return that no row of the cell in hand is decided: no point is inside beyond doubt."""
        m = self.search.memory.n_all_rows
        point = np.full(witness.size, np.nan) if self.search.net.certified else witness.copy()
        return CellFacets([], [], [], point, m, 0, m)

    def _decide(self, pattern: bytes, point: NDArray[np.float64]) -> int:
        """Ask the kernel; returns how many rows stay open, -1 if the point is not inside beyond doubt."""
        memory = self.search.memory
        memory.states[:] = np.frombuffer(pattern, np.bool_)
        memory.witness[:] = point
        if not math.isfinite(sum(point.tolist())):
            np.nan_to_num(memory.witness, copy=False, nan=0.0, posinf=0.0, neginf=0.0)
        return int(find_facets(self.search.memory, self.search.n_sides, self._sides))

    def _deep_point(self) -> NDArray[np.float64] | None:
        """Find the centre of a largest ball inside the rows in hand."""
        from regions.optimize import solve_lp  # few cells need it, and it is slow to import

        memory = self.search.memory
        m = int(memory.n_all_rows)
        A = memory.all_columns[:, :m].T
        b = memory.all_right[:m] - memory.all_errors[:m]
        lengths = np.linalg.norm(A, axis=1)
        try:
            solution = solve_lp(np.column_stack([A, lengths]), b, np.eye(A.shape[1] + 1)[-1])
        except SolverError:
            return None
        if solution.point is None or not solution.value > 0.0:
            return None
        return np.ascontiguousarray(solution.point[:-1])
