"""The exact cell of an activation pattern: vertices, facets, what vanishes on them, who is beyond them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import lcm

import numpy as np
from numpy.typing import NDArray

from regions.errors import CertificateError
from regions.network.patterns import state_bytes, unit_place
from regions.rational.affine_maps import ExactNetwork, Pattern
from regions.rational.exact_polytope import RationalPolytope
from regions.rational.integer_rows import Row, primitive, sign_at

_FILTER = 2.0**-51
_TINY = 2.0**-970


@dataclass(frozen=True)
class ExactFacet:
    """A facet of a cell.

    Attributes
    ----------
    on : int, its vertices as bits
    sides : tuple of int, sides of the domain that it lies on (at most one)
    units : tuple of int, flat numbers of the units that vanish on it but not on the cell
    """

    on: int
    sides: tuple[int, ...]
    units: tuple[int, ...]


@dataclass(frozen=True)
class ExactCell:
    """A full-dimensional cell with exact vertices.

    Attributes
    ----------
    pattern : bytes, one byte (0, 1) per unit in flat order
    polytope : RationalPolytope; rows are the domain's m sides, then the units
    facets : tuple of ExactFacet
    zero_units : tuple of int, flat numbers of the units that vanish on the whole cell
    """

    pattern: bytes
    polytope: RationalPolytope
    facets: tuple[ExactFacet, ...]
    zero_units: tuple[int, ...]


def exact_cell(
    exact: ExactNetwork, pattern: Pattern | Sequence[bool], hints: Sequence[int] = ()
) -> ExactCell:
    """The cell of an activation pattern, from the network and the domain alone.

    Parameters
    ----------
    exact : ExactNetwork
    pattern : (n_units,) bool
    hints : flat numbers of units that are likely to bound the cell; for speed only

    Returns
    -------
    ExactCell

    Raises
    ------
    CertificateError
        If no full-dimensional set has this pattern.

    Notes
    -----
    Cuts the domain by the halfspaces of the units that are not linear, hinted ones first. The others are
    first tried in floats: a row that is positive at every vertex beyond the rounding error of a (d + 1)-term
    product (Higham 2002, eq. 3.5) stays so when the cell shrinks; the rest is cut exactly.

    Examples
    --------
    >>> from regions import Box, Network
    >>> network = Network.from_arrays([[[1, 0], [0, 1]], [[1, 1]]], [[0, 0], [0]])
    >>> cell = exact_cell(ExactNetwork(network, Box([-1, -1], [2, 2])), [True, False])
    >>> sorted(cell.polytope.vertices), [facet.units for facet in cell.facets]
    ([(0, -1, 1), (0, 0, 1), (2, -1, 1), (2, 0, 1)], [(), (), (0,), (1,)])
    """
    key = state_bytes(pattern)
    polytope = exact.domain_polytope
    n_sides = len(exact.halfspace_rows)
    rows = _OrientedRows(exact, key)
    zero: list[int] = []
    done = ~exact.network.cutting
    for unit in np.flatnonzero(done & (rows.orientation < 0.0)).tolist():
        raise CertificateError(f"unit {unit} is linear, so active everywhere, but is listed as inactive")
    for unit in hints:
        if not done[unit]:
            done[unit] = True
            polytope = _cut(polytope, rows, unit, n_sides, zero)
    floats = exact.unit_floats(key)
    doubtful = ~_surely_positive(polytope, floats, rows.orientation) & ~done
    for unit in np.flatnonzero(doubtful).tolist():
        polytope = _cut(polytope, rows, unit, n_sides, zero)
    facets = []
    for on, numbers in polytope.facets().items():
        sides = tuple(k for k in numbers if k < n_sides)
        facets.append(ExactFacet(on, sides, tuple(k - n_sides for k in numbers if k >= n_sides)))
    return ExactCell(key, polytope, tuple(facets), tuple(sorted(zero)))


class _OrientedRows:
    """Exact rows of a pattern's units, positive inside its cell."""

    def __init__(self, exact: ExactNetwork, pattern: bytes) -> None:
        self.exact, self.pattern = exact, pattern
        self.orientation = np.where(np.frombuffer(pattern, dtype=np.uint8) != 0, 1.0, -1.0)

    def __call__(self, unit: int) -> tuple[int, ...]:
        row = self.exact.plane_row(self.pattern, unit)
        return tuple(int(x) for x in row) if self.pattern[unit] else tuple(-int(x) for x in row)


def _cut(
    polytope: RationalPolytope, rows: _OrientedRows, unit: int, n_sides: int, zero: list[int]
) -> RationalPolytope:
    row = rows(unit)
    if not any(row):
        if rows.pattern[unit]:
            raise CertificateError(
                f"unit {unit} is listed as active where its pre-activation is identically 0"
            )
        zero.append(unit)
        return polytope
    part = polytope.cut(row, n_sides + unit)
    if part is None:
        state = "active" if rows.pattern[unit] else "inactive"
        raise CertificateError(
            f"no full-dimensional set has this pattern: unit {unit} is nowhere {state} there"
        )
    return part


def _surely_positive(
    polytope: RationalPolytope, rows: NDArray[np.float64], orientation: NDArray[np.float64]
) -> NDArray[np.bool_]:
    """Units whose oriented float row is positive at all vertices beyond doubt."""
    points = np.array([[*(x / v[-1] for x in v[:-1]), 1.0] for v in polytope.vertices])
    with np.errstate(over="ignore", invalid="ignore"):
        values = (points @ rows.T) * orientation
        sizes = np.abs(points) @ np.abs(rows).T
        bound = (points.shape[1] + 2) * _FILTER * sizes + _TINY * np.abs(points).sum(axis=1)[:, None]
        return np.asarray((values > bound).all(axis=0))


def neighbour_pattern(exact: ExactNetwork, cell: ExactCell, facet: ExactFacet) -> bytes:
    """The activation pattern just beyond an interior facet of a cell.

    By continuity only units that vanish on the facet can change there, and their rows beyond it
    vanish on it too; so a row that is not zero has beyond the facet the sign opposite to the one
    that it has at a vertex of this cell off the facet. Layer by layer, as a unit's row beyond
    depends on the units before it.

    Returns
    -------
    pattern : bytes, one byte per unit

    Examples
    --------
    >>> from regions import Box, Network
    >>> twice = Network.from_arrays([[[1.0], [-2.0], [0.0]], [[1, 1, 1]]], [[0, 0, 0], [0]])
    >>> exact = ExactNetwork(twice, Box([-1.0], [1.0]))
    >>> cell = exact_cell(exact, [True, False, False])
    >>> [list(neighbour_pattern(exact, cell, facet)) for facet in cell.facets if not facet.sides]
    [[0, 1, 0]]
    """
    beyond = bytearray(cell.pattern)
    off = next(v for i, v in enumerate(cell.polytope.vertices) if not facet.on >> i & 1)
    offsets = exact.network.unit_offsets
    first_change = len(beyond)
    for unit in sorted((*facet.units, *cell.zero_units)):
        layer, number = unit_place(offsets, unit)
        if int(offsets[layer]) <= first_change:  # the same row as in the cell
            state = 1 - beyond[unit] if unit in facet.units else 0
        else:
            row = exact.unit_row(bytes(beyond), layer, number)
            state = int(sign_at(row, off) < 0)
        if state != beyond[unit]:
            beyond[unit] = state
            first_change = min(first_change, unit)
    return bytes(beyond)


def interior_point(cell: ExactCell) -> Row:
    """The mean of a cell's vertices, (x_1, ..., x_d, w): strictly inside."""
    vertices = cell.polytope.vertices
    scale = lcm(*(v[-1] for v in vertices))
    factors = [scale // v[-1] for v in vertices]
    sums = [
        sum(f * v[j] for f, v in zip(factors, vertices, strict=True)) for j in range(len(vertices[0]) - 1)
    ]
    return primitive([*sums, scale * len(vertices)])


def strictly_inside(exact: ExactNetwork, cell: ExactCell, point: Sequence[int]) -> bool:
    """Whether a point (x_1, ..., x_d, w) has the cell's pattern with every sign strict, inside the domain.

    Enough to look at the rows of the cell's facets: a point strictly inside all of them is interior.
    """
    rows = _OrientedRows(exact, cell.pattern)
    for facet in cell.facets:
        row = exact.halfspace_rows[facet.sides[0]] if facet.sides else rows(facet.units[0])
        if sign_at(row, point) <= 0:
            return False
    return True
