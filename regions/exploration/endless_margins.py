"""Whether another output is as large anywhere in a cell without end, with proof where it is not.

In few directions the points of the cell and the ways out of it are listed, in more a linear program proposes
a sum of its rows; both are settled in exact arithmetic, or in floating point with bounds of its errors.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from regions.exploration.cone_facet_finder import MOST_LISTED_DIRECTIONS
from regions.exploration.cone_program_finder import ConeProgramFinder
from regions.exploration.search_frame import Frame
from regions.network.relu_network import Network
from regions.rational import CellCone, ExactNetwork, cell_cone

__all__ = ["EndlessMargins"]

IntegerRow = tuple[int, ...]


class EndlessMargins:
    """How much other outputs lead over the predicted one, in cells of which nothing is cut off.

    Parameters
    ----------
    network : Network
    frame : Frame, of an unbounded domain
    prediction : int, as `prediction_of` numbers it
    """

    def __init__(self, network: Network, frame: Frame, prediction: int) -> None:
        self.prediction = prediction
        self._exact, self._sides = ExactNetwork(network, frame.domain), not frame.domain.is_bounded
        few = frame.domain.dimension <= MOST_LISTED_DIRECTIONS
        self._finder = None if few else ConeProgramFinder(network, frame)

    def surely_negative(self, pattern: NDArray[np.bool_]) -> list[bool]:
        """Tell of each other output whether it is proven to be the smaller one on the whole cell."""
        key = pattern.tobytes()
        if self._finder is not None:
            cone = self._finder.cone(key)
            rows = self._rows(self._finder.exact, key)
            return [self._finder.is_negative(cone, row) for row in rows]
        cell = cell_cone(self._exact, pattern, sides=self._sides)
        return [_is_negative(cell, row) for row in self._rows(self._exact, key)]

    def _rows(self, exact: ExactNetwork, key: bytes) -> list[IntegerRow]:
        """Return how much each other output leads, as integers (a, c) over some power of two."""
        entries = exact.output_integers(key)
        n = exact.dimension + 1
        outputs = [entries[k : k + n] for k in range(0, len(entries), n)]
        if len(outputs) == 1:
            sign = -1 if self.prediction == 1 else 1
            return [tuple(sign * x for x in outputs[0])]
        own = outputs[self.prediction]
        return [
            tuple(x - y for x, y in zip(output, own, strict=True))
            for k, output in enumerate(outputs)
            if k != self.prediction
        ]


def _is_negative(cell: CellCone, row: Sequence[int]) -> bool:
    """Decide whether a row is below 0 on a cell: at its points, and not rising on any way out."""

    def value(point: Sequence[int]) -> int:
        return sum(a * x for a, x in zip(row, point, strict=True))

    return (
        all(value(point) < 0 for point in cell.points)
        and all(value((*ray, 0)) <= 0 for ray in cell.rays)
        and all(value((*line, 0)) == 0 for line in cell.lines)
    )
