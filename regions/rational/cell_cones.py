"""The exact cell of an activation pattern where the domain has no end: its points, and the ways out of it.

A cell {x : A x <= b} is looked at as the cone of all (x, t) with A x <= b t and t >= 0; its extreme rays with
t > 0 are the cell's vertices, those with t = 0 its directions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from flint import fmpz_mat

from regions.domain.starting_polytope import IntegerRow, cone_rays
from regions.network.patterns import state_bytes
from regions.rational.affine_maps import ExactNetwork, Pattern
from regions.rational.exact_cells import OrientedRows
from regions.rational.integer_rows import primitive

__all__ = ["CellCone", "cell_cone"]


@dataclass(frozen=True)
class CellCone:
    """A cell as the set of all sums of a mean of `points`, of `rays` times numbers >= 0, and of `lines`.

    Attributes
    ----------
    points : tuple of integers (x_1, ..., x_d, w), w > 0: the vertices; one point of each smallest face where
        there are lines
    rays, lines : tuples of d integers
    rows : tuple of integers (a, c) with a.x + c >= 0 in the cell: of the units that cut it or could (of a
        candidate that loses in a max unit, what the winner leads by), and of the domain's sides
    units : tuple of int, the flat number of each row's unit, or -1 - k for side k
    zero_units : tuple of int, flat numbers of the units that vanish on the whole cell
    winners : dict, for each unit of a row that is a candidate of a max unit the winner that it trails
    """

    points: tuple[IntegerRow, ...]
    rays: tuple[IntegerRow, ...]
    lines: tuple[IntegerRow, ...]
    rows: tuple[IntegerRow, ...]
    units: tuple[int, ...]
    zero_units: tuple[int, ...]
    winners: dict[int, int]

    def facets(self) -> list[tuple[int, ...]]:
        """Return the units of each facet, several where several vanish on it; numbers as in `units`.

        To candidates that tie with a winner, that is added.
        A facet is a face of a row that is in no other row's; the directions are one more face of the cone.
        """
        ways = [(*ray, 0) for ray in self.rays]
        faces: dict[int, list[int]] = {}
        for row, unit in zip(self.rows, self.units, strict=True):
            on = [sum(a * x for a, x in zip(row, y, strict=True)) == 0 for y in (*self.points, *ways)]
            faces.setdefault(sum(1 << k for k, tight in enumerate(on) if tight), []).append(unit)
        at_infinity = sum(1 << k for k in range(len(self.points), len(self.points) + len(ways)))
        known = {*faces, at_infinity}
        return [
            tuple(sorted({*units, *(self.winners[unit] for unit in units if unit in self.winners)}))
            for face, units in faces.items()
            if face != at_infinity and not any(face & other == face and other != face for other in known)
        ]

    @property
    def bounded(self) -> bool:
        """Whether the cell is bounded."""
        return not (self.rays or self.lines)

    @property
    def reach(self) -> float:
        """The largest absolute coordinate of a point, rounded up."""
        sizes = [max(map(abs, point[:-1])) / point[-1] for point in self.points]
        return float(np.nextafter(max(sizes, default=0.0), np.inf))


def cell_cone(exact: ExactNetwork, pattern: Pattern | Sequence[bool], *, sides: bool = True) -> CellCone:
    """Return the points and directions of the cell of an activation pattern, by double description.

    Parameters
    ----------
    exact : ExactNetwork, on a domain that may be unbounded
    pattern : (n_units,) bool, of a cell
    sides : bool, whether the domain's sides bound the cell; without them it is that of the whole space

    Raises
    ------
    BudgetExceededError
        If there are more than 20,000 extreme rays on the way.

    Notes
    -----
    Cost: one row per unit, 1 ms for 16 units and d = 2, growing with the rows and faster with d.

    Examples
    --------
    >>> from regions import Network
    >>> from regions.domain import WholeSpace
    >>> network = Network.from_arrays([[[1, 0], [0, 1]], [[1, 1]]], [[-1, 0], [0]])
    >>> quadrant = cell_cone(ExactNetwork(network, WholeSpace(2)), [True, False])
    >>> quadrant.points, sorted(quadrant.rays), quadrant.lines, quadrant.bounded
    (((1, 0, 1),), [(0, -1), (1, 0)], (), False)
    """
    key = state_bytes(pattern)
    rows: list[IntegerRow] = []
    units: list[int] = []
    zero: list[int] = []
    oriented = OrientedRows(exact, key)
    for unit in np.flatnonzero(exact.network.cutting & ~oriented.winning).tolist():
        row = oriented(unit)
        if any(row[:-1]):
            rows.append(tuple(primitive(row)))
            units.append(unit)
        elif not row[-1]:
            zero.append(unit)
    if sides:
        rows += exact.halfspace_rows
        units += [-1 - k for k in range(len(exact.halfspace_rows))]
    d = exact.dimension
    matrix = [*rows, (0,) * d + (1,)]
    null, rank = fmpz_mat([list(row) for row in matrix]).nullspace()
    lines = [primitive([int(null[i, j]) for i in range(d)]) for j in range(int(rank))]
    rays = cone_rays(matrix)
    return CellCone(
        tuple(ray for ray in rays if ray[-1] > 0),
        tuple(ray[:-1] for ray in rays if ray[-1] == 0),
        tuple(lines),
        tuple(rows),
        tuple(units),
        tuple(zero),
        {unit: oriented.winner_of[unit] for unit in units if unit in oriented.winner_of},
    )
