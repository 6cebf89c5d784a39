"""What is asked of one unbounded cell: where its values end, and a box that is as good for a projection.

Values come from the cell's points and the ways out of it, in exact arithmetic.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from regions.complexes import CellComplex
from regions.errors import InvalidInputError
from regions.rational import ExactNetwork, cell_cone

FloatArray = NDArray[np.float64]
End = tuple[float, FloatArray]


def is_endless(complex: CellComplex, cell: int) -> bool:
    """Tell whether a cell of a complex is unbounded."""
    return complex.clipped is not None and not bool(complex.bounded[cell])


def endless_range(complex: CellComplex, cell: int, row: Sequence[Fraction]) -> tuple[End, End]:
    """Return the least and the largest value of row . (t, 1) on an unbounded cell, with points there.

    Where there is none the value is infinite, and the point NaN.
    """
    cone = cell_cone(ExactNetwork(complex.network, complex.domain), complex.pattern(cell))
    values = [_at(row, point) / point[-1] for point in cone.points]
    ways = [_at(row, (*ray, 0)) for ray in cone.rays]
    ways += [x for line in cone.lines for x in (_at(row, (*line, 0)), -_at(row, (*line, 0)))]
    ends = []
    for sign in (1, -1):
        if any(sign * way < 0 for way in ways):
            ends.append((-sign * np.inf, np.full(complex.dimension, np.nan)))
            continue
        best = min(range(len(values)), key=lambda k: sign * values[k])
        point = cone.points[best]
        ends.append((float(values[best]), np.array([float(Fraction(x, point[-1])) for x in point[:-1]])))
    return ends[0], ends[1]


def check_near(complex: CellComplex, point: FloatArray, distance: float) -> None:
    """Raise InvalidInputError unless all points as close to a point are in the box that clips a complex.

    Then the nearest point of the clipped cell is that of the cell.
    """
    assert complex.clipped is not None  # by the caller
    width = float(complex.clipped.domain.extent().max())
    if not float(np.abs(point).max()) + distance < width:
        raise InvalidInputError(
            f"the point is {distance:.3g} from the part of the cell within {width:g} of 0, and so may be "
            "nearer to what is beyond; enumerate on a box that holds both"
        )


def _at(row: Sequence[Fraction], point: Sequence[int]) -> Fraction:
    return sum((a * x for a, x in zip(row, point, strict=True)), Fraction(0))
