"""The facets of one cell of an unbounded domain, in exact arithmetic: those of the cone over it.

All extreme rays of the cone are listed, so this is for few directions; see `cone_program_finder` for more.
"""

from __future__ import annotations

from fractions import Fraction
from math import lcm

import numpy as np
from numpy.typing import NDArray

from regions.domain import Domain
from regions.enumeration.programs.cell_facets import CellFacets
from regions.network.relu_network import Network
from regions.rational import (
    CellCone,
    ExactCell,
    ExactFacet,
    ExactNetwork,
    RationalPolytope,
    cell_cone,
    neighbour_pattern,
)

FloatArray = NDArray[np.float64]

MOST_LISTED_DIRECTIONS = 5  # a cell of 32 x 2 units takes 0.01 s in 4 of them, 0.2 s in 6 and 4 s in 7


class ConeFacetFinder:
    """Finds the facets of cells of an unbounded domain, one at a time; one thread uses it at a time.

    Parameters
    ----------
    network : Network
    plane : Domain, whose origin and basis give the coordinates of points; only an unbounded one has sides
    """

    def __init__(self, network: Network, plane: Domain) -> None:
        self.network, self.plane = network, plane
        self._exact = ExactNetwork(network, plane)

    def pattern_at(self, point: FloatArray) -> bytes | None:
        """Return the pattern of the cell that a point is inside of, one byte a unit; None on a border."""
        states = self._exact.states_at([Fraction(x) for x in point.tolist()])
        return states if len(states) == self.network.n_units else None

    def find(self, pattern: bytes, witness: FloatArray) -> CellFacets:
        """Find the facets of the cell of a pattern, and a point inside it if floats hold one."""
        cone = cell_cone(self._exact, pattern, sides=not self.plane.is_bounded)
        inside = _inner_point(cone)
        cell = ExactCell(pattern, RationalPolytope(witness.size, [inside], [0]), (), cone.zero_units)
        facets = [ExactFacet(0, (), units) for units in cone.facets() if min(units) >= 0]
        unknown = np.full(witness.size, np.nan)
        point = np.array([float(Fraction(x, inside[-1])) for x in inside[:-1]])
        states = self.network.activation_pattern(self.plane.to_input(point))
        neighbours = [neighbour_pattern(self._exact, cell, facet) for facet in facets]
        return CellFacets(
            # the first unit that vanishes is the first to change, and of two candidates the earlier one
            labels=[
                next(k for k, pair in enumerate(zip(pattern, states, strict=True)) if pair[0] != pair[1])
                for states in neighbours
            ],
            neighbours=list(neighbours),
            points=[unknown] * len(facets),
            witness=point if states.tobytes() == pattern else unknown,
            rows=len(cone.rows),
            exact=len(cone.rows),
        )


def _inner_point(cone: CellCone) -> tuple[int, ...]:
    """Return a point strictly inside a cell, (x_1, ..., x_d, w): the mean of its points, moved along rays."""
    scale = lcm(*(point[-1] for point in cone.points))
    sums = [
        sum(x * (scale // p[-1]) for x, p in zip(column, cone.points, strict=True))
        for column in zip(*(point[:-1] for point in cone.points), strict=True)
    ]
    w = scale * len(cone.points)
    longest = max(1, *map(abs, sums)) if sums else 1
    for ray in cone.rays:
        # about as far as the mean is from 0, and at least 1
        step = max(1, max(longest, w) // max(map(abs, ray)))
        sums = [x + step * y for x, y in zip(sums, ray, strict=True)]
    return (*sums, w)
