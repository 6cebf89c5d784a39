"""The facets of one cell when rational arithmetic may be too expensive for what stays open.

Rays and linear programs decide (`lp_facets`); what they leave open is tried again from a deeper point, then
left to rational arithmetic in few dimensions, and reported as undecided in many.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from regions.domain import Domain
from regions.enumeration.compiled_network import Lowered
from regions.enumeration.programs.facet_finder import FacetFinder
from regions.errors import SolverError
from regions.kernels.memory.states import RowStatus
from regions.kernels.programs.facets_of_cell import find_facets
from regions.optimize import solve_lp

FloatArray = NDArray[np.float64]

MOST_EXACT_DIMENSION = 8  # a cell in rational arithmetic takes seconds there, and hours in 64


class Found(NamedTuple):
    """What is known of a cell's facets: per facet its unit (flat), the pattern beyond and a point inside it.

    `witness` is inside the cell itself, NaN where no float is known; of `rows` rows `exact` were left to
    rational arithmetic and `undecided` were not decided at all.
    """

    units: list[int]
    neighbours: list[bytes]
    points: list[FloatArray]
    witness: FloatArray
    rows: int
    exact: int
    undecided: int


class CellFinder(FacetFinder):
    """Finds the interior facets of cells, one at a time; one thread uses it at a time."""

    def __init__(self, net: Lowered, domain: Domain) -> None:
        super().__init__(net, domain)
        self.certified = net.certified
        self.dimension = net.dimension

    def look(self, pattern: bytes, point: FloatArray) -> Found:
        """The facets of the cell of a pattern, from a point `(d,)` inside it or close."""
        open_rows = self._decide(pattern, point)
        if open_rows != 0:
            deeper = self._deep_point()
            if deeper is not None:
                open_rows = self._decide(pattern, deeper)
        if open_rows != 0 and self.certified and self.dimension <= MOST_EXACT_DIMENSION:
            return self._exactly(pattern, point)
        memory = self.walker.memory
        m = memory.n_all_rows
        labels = memory.all_labels[:m]
        is_facet = (memory.facet_status[:m] == RowStatus.FACET) & (labels >= 0)
        facets = np.flatnonzero(is_facet) if open_rows >= 0 else np.zeros(0, np.int64)
        following = memory.next_states[facets].astype(np.bool_)
        witness = memory.witness.copy() if open_rows >= 0 else np.full(self.dimension, np.nan)
        return Found(
            labels[facets].tolist(),
            [states.tobytes() for states in following],
            list(memory.facet_beyond[facets]),
            witness,
            m,
            0,
            (m if open_rows < 0 else open_rows) if self.certified or open_rows < 0 else 0,
        )

    def _decide(self, pattern: bytes, point: FloatArray) -> int:
        """The kernel's answer: rows that stay open, -1 if the point is not inside beyond doubt."""
        memory = self.walker.memory
        memory.states[:] = np.frombuffer(pattern, np.bool_)
        memory.witness[:] = np.where(np.isfinite(point), point, 0.0)
        return int(find_facets(self.walker.memory, self.walker.n_sides, False))

    def _deep_point(self) -> FloatArray | None:
        """The centre of a largest ball inside the rows in hand."""
        memory = self.walker.memory
        m = memory.n_all_rows
        A = memory.all_columns[:, :m].T
        b = memory.all_right[:m] - memory.all_errors[:m]
        lengths = np.linalg.norm(A, axis=1)
        objective = np.eye(self.dimension + 1)[self.dimension]
        try:
            solution = solve_lp(np.column_stack([A, lengths]), b, objective)
        except SolverError:
            return None
        if solution.point is None or not solution.value > 0.0:
            return None
        return np.ascontiguousarray(solution.point[:-1])

    def _exactly(self, pattern: bytes, point: FloatArray) -> Found:
        facets = self.walker.asked().facets(pattern, point)
        inner = [k for k, states in enumerate(facets.neighbours) if states is not None]
        return Found(
            [facets.labels[k] for k in inner],
            [states for states in facets.neighbours if states is not None],
            [facets.points[k] for k in inner],
            facets.witness,
            facets.rows,
            facets.exact,
            0,
        )
