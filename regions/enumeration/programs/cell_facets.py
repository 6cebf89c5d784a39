"""What is known of the facets of one cell, whoever found them, and what a finder of facets can do."""

from __future__ import annotations

from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray


class CellFacets(NamedTuple):
    """The facets of one cell, and what lies beyond each.

    `labels` are flat unit numbers, of several with one and the same hyperplane the lowest, or -1 - side of
    the domain. `neighbours` are the patterns of the cells beyond, one byte a unit, None beyond the domain.
    `points` are inside the neighbours and `witness` is inside the cell itself; NaN where no float is known.
    Of all `rows` of the cell `exact` were left to rational arithmetic, and `undecided` were not decided.
    """

    labels: list[int]
    neighbours: list[bytes | None]
    points: list[NDArray[np.float64]]
    witness: NDArray[np.float64]
    rows: int
    exact: int
    undecided: int = 0


class FindsFacets(Protocol):
    """Finds the facets of cells, one at a time; one thread uses it at a time."""

    def pattern_at(self, point: NDArray[np.float64]) -> bytes | None:
        """Return the pattern of the cell that a point is inside of, one byte a unit; None on a border."""
        ...

    def find(self, pattern: bytes, witness: NDArray[np.float64]) -> CellFacets:
        """Find the facets of the cell of a pattern, from a point `(d,)` inside it or close, or from NaN."""
        ...
