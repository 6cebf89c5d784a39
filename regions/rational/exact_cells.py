"""The exact cell of an activation pattern: vertices, facets, what vanishes on them, who is beyond them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import lcm

import numpy as np
from numpy.typing import NDArray

from regions.errors import CertificateError
from regions.network.patterns import state_bytes, unit_place
from regions.rational.affine_maps import ExactNetwork, Pattern, float_row
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
    units : tuple of int, flat numbers of the units that vanish on it but not on the cell; of a max unit, the
        winner and the candidates that tie with it there
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
    zero_units : tuple of int, flat numbers of the units that vanish on the whole cell; of a max unit, the
        candidates that tie there with the winner
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
    rows = OrientedRows(exact, key)
    zero: list[int] = []
    done = ~exact.network.cutting | rows.winning
    for unit in np.flatnonzero(done & (rows.orientation < 0.0)).tolist():
        raise CertificateError(f"unit {unit} is linear, so active everywhere, but is listed as inactive")
    for unit in hints:
        if not done[unit]:
            done[unit] = True
            polytope = _cut(polytope, rows, unit, n_sides, zero)
    floats = rows.floats()
    doubtful = ~surely_positive(polytope, floats, rows.orientation) & ~done
    for unit in np.flatnonzero(doubtful).tolist():
        polytope = _cut(polytope, rows, unit, n_sides, zero)
    facets = []
    for on, numbers in polytope.facets().items():
        sides = tuple(k for k in numbers if k < n_sides)
        facets.append(ExactFacet(on, sides, rows.with_winners(k - n_sides for k in numbers if k >= n_sides)))
    return ExactCell(key, polytope, tuple(facets), tuple(sorted(zero)))


class OrientedRows:
    """Exact rows of a pattern's units, positive inside its cell; of rivals, what the winner leads by."""

    def __init__(self, exact: ExactNetwork, pattern: bytes) -> None:
        self.exact, self.pattern = exact, pattern
        self.orientation = np.where(np.frombuffer(pattern, dtype=np.uint8) != 0, 1.0, -1.0)
        self.winning = np.zeros(len(pattern), np.bool_)
        self.winner_of: dict[int, int] = {}
        table = exact.network.max_units
        if table is None:
            return
        for first in np.unique(table.first[table.first >= 0]).tolist():
            active = [k for k in range(first, first + int(table.size[first])) if pattern[k]]
            if len(active) != 1:
                raise CertificateError(
                    f"{len(active)} candidates of the max unit of row {first} are listed as active"
                )
            self.winning[active] = True
            self.winner_of |= dict.fromkeys(range(first, first + int(table.size[first])), active[0])
        self.orientation[list(self.winner_of)] = 1.0

    def __call__(self, unit: int) -> tuple[int, ...]:
        row = self.exact.plane_row(self.pattern, unit)
        if unit in self.winner_of:
            best = self.exact.plane_row(self.pattern, self.winner_of[unit])
            return tuple(int(a - b) for a, b in zip(best, row, strict=True))
        return tuple(int(x) for x in row) if self.pattern[unit] else tuple(-int(x) for x in row)

    def with_winners(self, units: Iterable[int]) -> tuple[int, ...]:
        """Units that vanish, in order; to candidates that tie, the winner that they tie with is added."""
        vanishing = set(units)
        return tuple(
            sorted(vanishing | {self.winner_of[unit] for unit in vanishing if unit in self.winner_of})
        )

    def may_vanish(self, unit: int) -> bool:
        """Whether a unit's row may be 0 on the whole cell: inactive units', later candidates' in a tie."""
        return self.winner_of[unit] < unit if unit in self.winner_of else not self.pattern[unit]

    def floats(self) -> NDArray[np.float64]:
        """Rows as floats, up to `orientation`, as `ExactNetwork.unit_floats`."""
        rows = self.exact.unit_floats(self.pattern)
        if self.winner_of:
            rows = rows.copy()
            for unit in self.winner_of:
                rows[unit] = float_row(self(unit))
        return rows


def _cut(
    polytope: RationalPolytope, rows: OrientedRows, unit: int, n_sides: int, zero: list[int]
) -> RationalPolytope:
    row = rows(unit)
    if not any(row):
        if not rows.may_vanish(unit):
            raise CertificateError(
                f"unit {unit} is listed as active where its pre-activation is identically 0, or as losing "
                "where it is the first to tie"
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


def surely_positive(
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
    table = exact.network.max_units
    first_change = len(beyond)
    vanishing = sorted((*facet.units, *cell.zero_units))
    for unit in vanishing:
        if table is not None and table.first[unit] >= 0:
            tied = sorted(
                {
                    table.winner(cell.pattern, unit),
                    *(k for k in vanishing if table.first[k] == table.first[unit]),
                }
            )
            if unit == tied[-1]:
                best = _winner_beyond(exact, bytes(beyond), tied, off)
                if not beyond[best]:
                    first_change = min(first_change, tied[0])
                    beyond[tied[0] : tied[-1] + 1] = bytes(int(k == best) for k in range(tied[0], unit + 1))
            continue
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


def _winner_beyond(exact: ExactNetwork, beyond: bytes, tied: Sequence[int], off: Row) -> int:
    """Which of the candidates that tie on a facet wins beyond it: the one that is least on this side."""
    best, least = tied[0], exact.plane_row(beyond, tied[0])
    for unit in tied[1:]:
        row = exact.plane_row(beyond, unit)
        if sign_at([a - b for a, b in zip(least, row, strict=True)], off) > 0:
            best, least = unit, row
    return best


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
    return all(sign_at(facet_row(exact, cell.pattern, facet), point) > 0 for facet in cell.facets)


def facet_row(exact: ExactNetwork, pattern: bytes, facet: ExactFacet) -> tuple[int, ...]:
    """The row of a facet's hyperplane, positive inside the cell of a pattern."""
    if facet.sides:
        return exact.halfspace_rows[facet.sides[0]]
    unit, table = facet.units[0], exact.network.max_units
    if table is None or table.first[unit] < 0:
        row = exact.plane_row(pattern, unit)
        return tuple(int(x) for x in row) if pattern[unit] else tuple(-int(x) for x in row)
    winner = table.winner(pattern, unit)
    rival = next(k for k in facet.units if table.first[k] == table.first[unit] and k != winner)
    best, other = exact.plane_row(pattern, winner), exact.plane_row(pattern, rival)
    return tuple(int(a - b) for a, b in zip(best, other, strict=True))
