"""The facets of one cell, in any dimension: rows, which of them are facets, points beyond each."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from regions.domain import Domain
from regions.kernels import state
from regions.kernels.lp_facets import find_facets
from regions.kernels.table import fill_entry
from regions.lowering import Lowered
from regions.lp_walking import ProgramWalker


class FoundFacets(NamedTuple):
    """What is known of the rows of one cell; those of constant units are left out.

    `labels` are flat unit numbers, or -1 - side of the domain; `status` is FACET, REDUNDANT or OPEN of
    `kernels.state`; `beyond` (rows, d) are points across each facet, strictly inside all other rows.
    """

    labels: NDArray[np.int64]
    status: NDArray[np.int64]
    beyond: NDArray[np.float64]
    clear: bool


class FacetFinder:
    """Finds the facets of cells, one at a time, with its own arrays; one thread uses it at a time."""

    def __init__(self, net: Lowered, domain: Domain) -> None:
        self.walker = ProgramWalker(net, domain, state.COUNT)
        self.walker.start()
        d, rows = net.dimension, self.walker.arrays[state.PROGRAM_RIGHT].shape[0]
        i64 = np.int64
        more = {
            state.ALL_COLUMNS: np.zeros((d, rows)),
            state.ALL_RIGHT: np.zeros(rows),
            state.ALL_ERRORS: np.zeros(rows),
            state.ALL_LABELS: np.zeros(rows, i64),
            state.ALL_SIDES: np.zeros(rows, i64),
            state.ALL_SLACKS: np.zeros(rows),
            state.ALL_NOISE: np.zeros(rows),
            state.FACET_STATUS: np.zeros(rows, i64),
            state.FACET_BEYOND: np.zeros((rows, d)),
            state.CHOSEN: np.zeros(rows, i64),
            state.NEXT_STATES: np.zeros((rows, net.n_units), i64),
            state.STATES_BEFORE: np.zeros(net.n_units, i64),
            state.UNDECIDED: np.zeros(net.n_units, i64),
        }
        for entry, array in more.items():
            self.walker.arrays[entry] = array
            fill_entry(self.walker.table, entry, array)

    def find(self, states: NDArray[np.bool_], witness: NDArray[np.float64], cross: bool = False) -> FoundFacets:
        """The facets of the cell of a pattern `(n_units,)`, with a point `(d,)` inside."""
        arrays, reg = self.walker.arrays, self.walker.reg
        arrays[state.STATES][:] = states
        arrays[state.WITNESS][:] = witness
        open_rows = int(find_facets(self.walker.table, self.walker.n_sides, cross))
        m = int(reg[state.ALL_ROWS])
        return FoundFacets(
            arrays[state.ALL_LABELS][:m].copy(),
            arrays[state.FACET_STATUS][:m].copy(),
            arrays[state.FACET_BEYOND][:m].copy(),
            open_rows >= 0,
        )
