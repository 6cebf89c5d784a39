"""Intervals for the volumes of cells, from the vertices that the search has certified: floats, but proven.

Which facets meet in which vertex is exact there, and the rows of facets come with bounds of their errors.
Exact volumes, which take much longer, are in `rational`; this module asks them where its intervals are wide.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from math import inf, nextafter

import numpy as np
from numpy.typing import NDArray

from regions.analysis.properties.cells_in_turn import FoundCell, found_cell
from regions.analysis.properties.violating_pieces import likely_facets
from regions.domain import Domain
from regions.enumeration.planning import plan_search
from regions.enumeration.vertices.cell_geometry import VertexGeometry
from regions.kernels.volumes.interval_volumes import measure_simple_polytopes
from regions.network.patterns import unpack
from regions.network.relu_network import Network
from regions.rational import ExactNetwork, cell_volume, exact_cell, to_fraction

__all__ = ["CertifiedVolumes", "VolumeSums", "enclosing_floats", "overlap"]

FloatArray = NDArray[np.float64]

MOST_DIMENSIONS = 8  # determinants are summed over all sets of columns
WIDEST = 2.0**-6  # of an interval, relative to its end: wider ones are computed exactly
TOGETHER = 256  # cells that are worked on at once


class CertifiedVolumes:
    """Intervals that contain the volumes of cells of a network on a box.

    Parameters
    ----------
    network : Network
    domain : Domain; on one that is no box, volumes are computed exactly, which is slow

    Notes
    -----
    A volume is a sum of products of positive numbers (`kernels/volumes/interval_volumes.py`), of which each
    has an interval. Cost: about a tenth of a millisecond for a cell of 5 inputs.

    References
    ----------
    Lasserre, An analytical expression and an algorithm for the volume of a convex polyhedron in R^n (1983);
    Lawrence, Polytope volume computation (1991).

    Examples
    --------
    >>> from regions import Box
    >>> corner = Network.from_arrays([[[1.0, 1.0]], [[1.0]]], [[-0.5], [0.0]])
    >>> volumes = CertifiedVolumes(corner, Box([0.0, 0.0], [1.0, 1.0]))
    >>> low, high = volumes.bounds(np.array([[0], [1]], np.uint8))  # below the diagonal, and above
    >>> bool((low <= [0.125, 0.875]).all() and (high >= [0.125, 0.875]).all() and (high - low).max() < 1e-11)
    True
    """

    def __init__(self, network: Network, domain: Domain) -> None:
        self.network, self.domain = network, domain
        self._exact: ExactNetwork | None = None
        self.by_floats = domain.is_axis_parallel and domain.dimension <= MOST_DIMENSIONS
        if self.by_floats:
            plan = plan_search(network, domain, "cells", "certified", 1, volumes=False)
            radius = plan.tolerances.vertex_radius
            self._geometry = VertexGeometry(network, domain, radius, planar=False, certified=True)
            low, high = domain.bounds()
            # an affine error of at most E on a ball of this radius has a gradient of at most E over it
            self._inside = 0.499999 * float((high - low).min())

    def bounds(self, packed: NDArray[np.uint8]) -> tuple[FloatArray, FloatArray]:
        """Return the ends of intervals (n,), (n,) that contain the volumes of the cells of packed patterns.

        Raises
        ------
        CertificateError
            If a pattern is that of no cell.
        """
        if not self.by_floats:
            return self.of_cells(packed, [])
        blocks = (packed[k : k + TOGETHER] for k in range(0, len(packed), TOGETHER))
        found = [self.of_cells(block, [self._cell(one) for one in block]) for block in blocks]
        if not found:
            return np.zeros(0), np.zeros(0)
        low, high = zip(*found, strict=True)
        return np.concatenate(low), np.concatenate(high)

    def of_cells(
        self, packed: NDArray[np.uint8], cells: Sequence[FoundCell]
    ) -> tuple[FloatArray, FloatArray]:
        """Return what `bounds` does, from what a search has found of the cells; none: exactly."""
        bounds = np.zeros((2, len(packed)))
        bounds[1] = inf
        if cells:
            words = max(cell.incidence.shape[1] for cell in cells)
            measure_simple_polytopes(
                np.cumsum([0, *(len(cell.points) for cell in cells)]),
                np.cumsum([0, *(len(cell.rows) for cell in cells)]),
                np.concatenate([_wider(cell.incidence, words) for cell in cells]),
                np.concatenate([cell.points for cell in cells]),
                np.concatenate([cell.radii for cell in cells]),
                np.concatenate([cell.rows for cell in cells]),
                self._inside,
                bounds,
            )
        low, high = bounds
        with np.errstate(invalid="ignore"):
            narrow = np.isfinite(high) & (high - low <= WIDEST * high)
        for k in np.flatnonzero(~narrow).tolist():
            low[k], high[k] = enclosing_floats(self._exactly(packed[k]))
        return low, high

    def _exactly(self, packed: NDArray[np.uint8]) -> Fraction:
        if self._exact is None:
            self._exact = ExactNetwork(self.network, self.domain)
        pattern = unpack(packed, self.network.n_units)
        return to_fraction(
            cell_volume(
                exact_cell(self._exact, pattern.tobytes(), likely_facets(self._exact, pattern)).polytope
            )
        )

    def _cell(self, packed: NDArray[np.uint8]) -> FoundCell:
        self._geometry.vertices(packed)  # the search stands at this cell now
        return found_cell(self._geometry.search.memory.held, 0)


class VolumeSums:
    """Sums of the volumes of cells, of all and of the members of some sets, as intervals.

    Parameters
    ----------
    sets : int, how many sets; a cell may be in several
    """

    def __init__(self, sets: int) -> None:
        self._low = [Fraction(0)] * (sets + 1)  # the last is of all
        self._high = [Fraction(0)] * (sets + 1)

    def add(self, low: FloatArray, high: FloatArray, inside: Sequence[NDArray[np.bool_]]) -> None:
        """Add the volumes of some cells; `inside` says which are in each set."""
        for k, members in enumerate([*inside, np.ones(len(low), np.bool_)]):
            if not members.any():
                continue
            self._low[k] += Fraction(nextafter(math.fsum(low[members]), -inf))
            self._high[k] += Fraction(nextafter(math.fsum(high[members]), inf))

    def leave(self, volume: Fraction) -> None:
        """Note that so much more may be in all sets, or not."""
        self._high = [high + volume for high in self._high]

    def bounds(self, which: int | None = None) -> tuple[Fraction, Fraction]:
        """Return the ends of the interval of a set, or of all cells."""
        k = -1 if which is None else which
        return max(self._low[k], Fraction(0)), self._high[k]


def overlap(domains: Sequence[Domain]) -> bool:
    """Tell whether two of some boxes have common interior.

    Examples
    --------
    >>> from regions import Box
    >>> boxes = Box([0.0], [1.0]), Box([1.0], [2.0]), Box([1.5], [3.0])
    >>> overlap(boxes[:2]), overlap(boxes)
    (False, True)
    """
    if len(domains) < 2:
        return False
    low, high = np.array([domain.bounds() for domain in domains]).transpose(1, 0, 2)
    meet = (np.minimum(high[:, None], high) > np.maximum(low[:, None], low)).all(axis=2)
    return int(meet.sum()) > len(domains)


def _wider(incidence: NDArray[np.uint64], words: int) -> NDArray[np.uint64]:
    """Return bits in so many words."""
    return np.pad(incidence, ((0, 0), (0, words - incidence.shape[1])))


def enclosing_floats(value: Fraction) -> tuple[float, float]:
    """Return floats low <= value <= high, equal where the value is a float.

    Examples
    --------
    >>> low, high = enclosing_floats(Fraction(1, 3))
    >>> low < Fraction(1, 3) < high, enclosing_floats(Fraction(1, 4))
    (True, (0.25, 0.25))
    """
    near = float(value)
    low = nextafter(near, -inf) if Fraction(near) > value else near
    high = nextafter(near, inf) if Fraction(near) < value else near
    return low, high
