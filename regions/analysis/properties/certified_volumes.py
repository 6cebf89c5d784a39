"""Intervals for the volumes of cells, from the vertices that the search has certified: floats, but proven.

Which facets meet in which vertex is exact there, and the rows of facets come with bounds of their errors.
Exact volumes, which take much longer, are in `rational`; this module asks them where its intervals are wide.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from fractions import Fraction
from itertools import accumulate
from math import inf, nextafter

import numpy as np
from numpy.typing import NDArray

from regions.analysis.properties.cells_in_turn import FoundCell, found_cell
from regions.analysis.properties.violating_pieces import likely_facets
from regions.domain import Domain
from regions.enumeration.planning import plan_search
from regions.enumeration.vertices.cell_geometry import VertexGeometry
from regions.network.patterns import unpack
from regions.network.relu_network import Network
from regions.rational import ExactNetwork, cell_volume, exact_cell, to_fraction

__all__ = ["CertifiedVolumes", "VolumeSums", "enclosing_floats", "overlap"]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

MOST_DIMENSIONS = 8  # determinants are summed over all sets of columns
WIDEST = 2.0**-6  # of an interval, relative to its end: wider ones are computed exactly
ROUNDINGS = 2.0**-40  # relative, of sums and products of positive numbers: fewer than 4,096 each
UNIT = 2.0**-53
TOGETHER = 256  # cells that are worked on at once
LARGEST_TABLE = 1 << 20  # of facets times vertices, summed over these


class CertifiedVolumes:
    """Intervals that contain the volumes of cells of a network on a box.

    Parameters
    ----------
    network : Network
    domain : Domain; on one that is no box, volumes are computed exactly, which is slow

    Notes
    -----
    Of a simple polytope with the rows r_j >= 0, let U_v = 1 / |det of the d normals| at a vertex, and U_S =
    sum over j of r_j(a_S) U_(S+j) for a face S, with any vertex a_S of it; the volume is U of the polytope
    over d!. All terms are positive, so an interval for each row at each vertex and for each determinant gives
    one for the volume. Cost: half a millisecond for a cell of 5 inputs.

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
        low, high = np.zeros(len(packed)), np.full(len(packed), inf)
        if cells:
            incidences = [incidence_of(cell) for cell in cells]
            d = self.domain.dimension
            simple = [k for k, bits in enumerate(incidences) if (bits.sum(axis=1) == d).all()]
            for block in _alike(cells, simple):
                low[block], high[block] = self._of_simple(
                    [cells[k] for k in block], [incidences[k] for k in block]
                )
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

    def _of_simple(
        self, cells: list[FoundCell], incidences: list[NDArray[np.bool_]]
    ) -> tuple[FloatArray, FloatArray]:
        """Return intervals for simple cells, all together."""
        d = self.domain.dimension
        sizes = [len(cell.points) for cell in cells]
        owner = np.repeat(np.arange(len(cells)), sizes)
        first = np.array([0, *accumulate(len(cell.rows) for cell in cells)])
        local = np.concatenate([np.nonzero(bits)[1] for bits in incidences]).reshape(-1, d)
        facets = local + first[owner][:, None]
        rows = _scaled(np.concatenate([cell.rows for cell in cells]))
        points = np.concatenate([cell.points for cell in cells])
        radii = np.concatenate([cell.radii for cell in cells])
        radii = np.minimum(radii, _fresh_radii(points, rows[facets]))
        table = _Slacks(sizes, first, local, points, radii, rows)
        small, large = _determinants(rows[facets, :d], rows[facets, d + 1] / self._inside)
        with np.errstate(divide="ignore"):
            low, high = 1.0 / large, 1.0 / small
        faces, apex = local, np.arange(len(facets))
        for c in range(d, 0, -1):
            above = np.stack([np.delete(faces, k, axis=1) for k in range(c)], axis=1).reshape(
                c * len(faces), c - 1
            )
            number, start = _distinct(owner[apex].repeat(c), above, table.facets)
            apex_above = apex[start // c]
            least, most = table.at(faces.reshape(-1), apex_above[number])
            count = len(start)
            low = np.asarray(np.bincount(number, least * low.repeat(c), count), np.float64)
            with np.errstate(invalid="ignore"):
                terms = most * high.repeat(c)
            terms = np.where(most > 0.0, terms, 0.0)
            high = np.asarray(np.bincount(number, terms, count), np.float64)
            faces, apex = above[start], apex_above
        factor = math.factorial(d)
        order = np.argsort(owner[apex])
        return low[order] / factor * (1.0 - ROUNDINGS), high[order] / factor * (1.0 + ROUNDINGS)


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


def incidence_of(cell: FoundCell) -> NDArray[np.bool_]:
    """Return which facets hold which vertices, (n, m) or wider."""
    return np.unpackbits(cell.incidence.view(np.uint8), axis=1, bitorder="little").view(np.bool_)


def _alike(cells: Sequence[FoundCell], chosen: list[int]) -> Iterator[list[int]]:
    """Yield cells in blocks of about the same size, whose tables are not too large together."""
    block: list[int] = []
    facets = 0
    for k in sorted(chosen, key=lambda k: len(cells[k].points)):
        facets = max(facets, len(cells[k].rows))
        if block and (len(block) + 1) * facets * len(cells[k].points) > LARGEST_TABLE:
            yield block
            block, facets = [], len(cells[k].rows)
        block.append(k)
    if block:
        yield block


class _Slacks:
    """Intervals for the sizes of all rows of facets at all vertices of their cells; 0 on their own facets."""

    def __init__(
        self,
        sizes: list[int],
        first: IntArray,
        local: IntArray,
        points: FloatArray,
        radii: FloatArray,
        rows: FloatArray,
    ) -> None:
        d, cells = points.shape[1], len(sizes)
        counts = np.diff(first)
        self.vertices, self.facets = max(sizes), int(counts.max())
        owner = np.repeat(np.arange(cells), sizes)
        place = np.concatenate([np.arange(n) for n in sizes])
        at = np.zeros((cells, self.vertices, d))
        reach = np.zeros((cells, self.vertices))
        at[owner, place], reach[owner, place] = points, radii
        owner_of_row = np.repeat(np.arange(cells), counts)
        padded = np.zeros((cells, self.facets, d + 2))
        padded[owner_of_row, np.arange(len(rows)) - first[owner_of_row]] = rows
        normals, constants, errors = padded[:, :, :d], padded[:, :, d, None], padded[:, :, d + 1, None]
        across = at.transpose(0, 2, 1)
        value = np.abs(normals @ across + constants)
        rounding = (2 * d + 4) * UNIT
        room = (rounding * np.abs(at).max(axis=2) + reach)[:, None, :]
        error = np.abs(normals).sum(axis=2)[:, :, None] * room + (errors + rounding * np.abs(constants))
        error = 1.000001 * error + 1e-300
        low, high = np.maximum(value - error, 0.0), value + error
        own = owner[:, None], local, place[:, None]
        low[own] = high[own] = 0.0
        self._low, self._high = low.reshape(-1), high.reshape(-1)
        self._start = self.vertices * self.facets * owner + place

    def at(self, facet: IntArray, vertex: IntArray) -> tuple[FloatArray, FloatArray]:
        """Return intervals for facets, by their places in the cell of each of some vertices."""
        places = self._start[vertex] + self.vertices * facet
        return self._low[places], self._high[places]


def _fresh_radii(points: FloatArray, rows: FloatArray) -> FloatArray:
    """Return bounds of how far vertices (n, d) are from where their rows (n, d, d + 2) meet; inf for none.

    As the search has it, whose own bounds are carried from vertex to vertex: with residuals rho and any
    approximate inverse B, |x - x*| <= max(|B| rho) / (1 - |I - B A|).
    """
    d = points.shape[1]
    A, constant, errors = rows[:, :, :d], rows[:, :, d], rows[:, :, d + 1]
    try:
        B = np.linalg.inv(A)
    except np.linalg.LinAlgError:
        return np.full(len(points), inf)
    terms = A * points[:, None, :]
    size = np.abs(terms).sum(axis=2) + np.abs(constant)
    rho = np.abs(terms.sum(axis=2) + constant) + (2 * d + 4) * UNIT * size + errors
    sizes = np.abs(B)
    left = np.abs(np.eye(d) - B @ A) + (d + 4) * UNIT * (sizes @ np.abs(A))
    off = left.sum(axis=2).max(axis=1)
    reach = (sizes @ rho[:, :, None])[:, :, 0].max(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        radii = np.where(off < 0.5, 1.000001 * reach / (1.0 - off) + 1e-300, inf)
    return np.where(np.isfinite(radii), radii, inf)


def _scaled(rows: FloatArray) -> FloatArray:
    """Return rows times powers of two, so that their largest coefficients are about 1: without rounding."""
    largest = np.abs(rows[:, :-2]).max(axis=1)
    return np.ldexp(rows, -np.frexp(largest)[1][:, None])


def _distinct(owner: IntArray, faces: IntArray, facets: int) -> tuple[IntArray, IntArray]:
    """Return the number of each face (owner and sorted facets) among the different ones, and where each is.

    Facets are numbers below `facets`.
    """
    key, room = owner, int(owner.max(initial=0)) + 1
    for column in faces.T:
        if room * facets >= 1 << 62:  # numbered anew, so that no key overflows
            key = np.unique(key, return_inverse=True)[1]
            room = int(key.max(initial=0)) + 1
        key, room = key * facets + column, room * facets
    _, start, number = np.unique(key, return_index=True, return_inverse=True)
    return number, start


def _determinants(normals: FloatArray, errors: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return intervals for the sizes of determinants (n, d, d), whose rows have errors of a length (n, d).

    By minors of the first rows for all sets of columns; the rounding is that of d (d + 1) steps, relative to
    the same sums of the entries' sizes.
    """
    d = normals.shape[1]
    minors = {0: (np.ones(len(normals)), np.ones(len(normals)))}
    for k in range(d):
        found = {}
        for columns in range(1 << d):
            if columns.bit_count() != k + 1:
                continue
            total, size = np.zeros((2, len(normals)))
            before = 0
            for j in range(d):
                if columns >> j & 1:
                    minor, spread = minors[columns & ~(1 << j)]
                    total += (-1.0) ** before * normals[:, k, j] * minor
                    size += np.abs(normals[:, k, j]) * spread
                    before += 1
            found[columns] = total, size
        minors = found
    total, size = minors[(1 << d) - 1]
    lengths = np.sqrt(np.square(normals).sum(axis=2))
    moved = np.prod(lengths, axis=1) * np.expm1(1.000001 * (errors / lengths).sum(axis=1))
    error = 1.000001 * (2 * d * (d + 1) * UNIT * size + moved) + 1e-300
    return np.maximum(np.abs(total) - error, 0.0), np.abs(total) + error


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
