"""Exact answers for the search by linear programs: has a side of a unit interior points in a polytope?

Floating point proposes (a point, multipliers), rational arithmetic decides about the stored weights.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from regions.domain import Domain
from regions.enumeration.programs.cell_facets import CellFacets
from regions.errors import SolverError
from regions.kernels.memory.states import Side
from regions.network.relu_network import Network
from regions.rational import ExactNetwork, balances, decide_interior, inside_all, primitive, solve_on_support

Rows = Sequence[tuple[int, bool]]  # flat unit, and whether it is positive
IntegerRow = tuple[int, ...]


class ExactSides:
    """Decides about the cells of a network on a domain from the stored weights alone.

    A polytope is the domain cut by rows (unit, positive); the units before have the states of a pattern,
    one byte each. One thread uses it at a time.

    Parameters
    ----------
    network, domain : as searched
    """

    def __init__(self, network: Network, domain: Domain) -> None:
        self._exact = ExactNetwork(network, domain)
        self._network = network
        self._cutting = network.cutting.tolist()
        self._table = network.max_units
        # a.x <= b of the row a.x + c >= 0
        self._sides = [(*(-int(x) for x in row[:-1]), int(row[-1])) for row in self._exact.halfspace_rows]

    def _row(self, pattern: bytes, unit: int, positive: bool) -> IntegerRow:
        """Return the halfspace a.x <= b on one side of a unit or of a tie of two candidates; a may be 0."""
        *a, c = (int(x) for x in self._exact.plane_row(pattern, unit))
        if unit >= self._network.n_units and positive and c == 0 and not any(a):
            return (*a, 1)  # candidates that tie everywhere: the earlier one leads
        return (*(-x for x in a), c) if positive else (*a, -c)

    def _polytope(self, pattern: bytes, rows: Rows) -> list[IntegerRow]:
        return [*self._sides, *(self._row(pattern, unit, positive) for unit, positive in rows)]

    def decide(
        self,
        pattern: bytes,
        rows: Rows,
        side: tuple[int, bool],
        witness: NDArray[np.float64],
        hint: Sequence[int],
    ) -> tuple[Side, NDArray[np.float64] | None]:
        """Decide whether a side has interior points in a polytope; also returns a float point inside, if any.

        Parameters
        ----------
        pattern, rows : the polytope, not empty
        side : the unit asked for, and which side
        witness : (d,) a point near or in the polytope
        hint : labels of rows (units, or -1 - side of the domain) that a linear program ended at
        """
        polytope = self._polytope(pattern, rows)
        wanted = self._row(pattern, *side)
        if not any(wanted[:-1]):
            inside = wanted[-1] > 0
            return (Side.INSIDE, witness.copy()) if inside else (Side.EMPTY, None)
        labels = [-1 - k for k in range(len(self._sides))] + [unit for unit, _ in rows]
        if self._blocked(polytope, wanted, [labels.index(label) for label in hint]):
            return Side.EMPTY, None
        start = [Fraction(x) for x in witness.tolist()]
        point, _ = decide_interior([*polytope, wanted], start)
        if point is None:
            return Side.EMPTY, None
        rounded = np.array([float(x) for x in point])
        if inside_all([*polytope, wanted], [Fraction(x) for x in rounded.tolist()]):
            return Side.INSIDE, rounded
        return Side.THIN, None

    def _blocked(self, polytope: list[IntegerRow], wanted: IntegerRow, hint: list[int]) -> bool:
        """Whether the rows of the hint alone leave the wanted one no interior: exact multipliers show it."""
        rows = [wanted, *(polytope[k] for k in hint)]
        multipliers = solve_on_support(rows, list(range(len(rows) - 1, -1, -1)), [Fraction(1)] * len(rows))
        if multipliers is None:
            return False
        return balances(rows[::-1], multipliers, strict=False)

    def cells_below(self, pattern: bytes, rows: Rows, unit: int, room: int) -> tuple[list[bytes], int]:
        """List the patterns of the cells in a polytope; also return how many sides were decided for that.

        Parameters
        ----------
        pattern, rows : the polytope, not empty; the last of the rows may have been added without a point
        unit : the first unit that is not decided
        room : how many cells at most
        """
        found: list[bytes] = []
        decisions = 0
        point, _ = decide_interior(self._polytope(pattern, rows), [Fraction(0)] * self._exact.dimension)
        if point is None:
            return found, decisions
        stack: list[tuple[bytes, list[tuple[int, bool]], Sequence[Fraction]]] = [
            (pattern[:unit], list(rows), point)
        ]
        while stack and len(found) < room:
            states, cuts, inside = stack.pop()
            if len(states) == self._network.n_units:
                found.append(states)
                continue
            if self._table is not None and self._table.first[len(states)] >= 0:
                decisions += int(self._table.size[len(states)]) - 1
                stack += self._winners_below(states, cuts, inside)
                continue
            if not self._cutting[len(states)]:
                stack.append((states + b"\1", cuts, inside))
                continue
            decisions += 2
            low, high = (self._side_point(states, cuts, inside, positive) for positive in (False, True))
            at = len(states)
            if low is not None and high is not None:
                stack.append((states + b"\1", [*cuts, (at, True)], high))
                stack.append((states + b"\0", [*cuts, (at, False)], low))
            else:
                stack.append((states + (b"\0" if high is None else b"\1"), cuts, inside))
        return found, decisions

    def _winners_below(
        self, states: bytes, cuts: list[tuple[int, bool]], inside: Sequence[Fraction]
    ) -> list[tuple[bytes, list[tuple[int, bool]], Sequence[Fraction]]]:
        """List, for each candidate of the next max unit, where it wins in a polytope, with a point there."""
        found = []
        for more, leads in self._winners(len(states)):
            rows = [*self._polytope(states, cuts), *(self._row(states, *lead) for lead in leads)]
            if all(any(row[:-1]) or row[-1] > 0 for row in rows):
                point = inside if inside_all(rows, inside) else decide_interior(rows, inside)[0]
                if point is not None:
                    found.append((states + more, [*cuts, *leads], point))
        return found[::-1]

    def _winners(self, first: int) -> list[tuple[bytes, list[tuple[int, bool]]]]:
        """List, for each candidate of the max unit at `first`, its states, and the pairs that it leads in."""
        table = self._table
        if table is None:
            return []
        rows = range(first, first + int(table.size[first]))
        return [
            (
                bytes(int(row == winner) for row in rows),
                [(table.plane(winner, row), winner < row) for row in rows if row != winner],
            )
            for winner in rows
        ]

    def _bounds(self, pattern: bytes) -> list[tuple[int, int, bool]]:
        """List what bounds the cell of a pattern, by unit: the unit, its plane, which side of that."""
        found = []
        for unit in range(self._network.n_units):
            if self._table is not None and self._table.first[unit] >= 0:
                winner = self._table.winner(pattern, unit)
                if unit != winner:
                    found.append((unit, self._table.plane(winner, unit), winner < unit))
            elif self._cutting[unit]:
                found.append((unit, unit, pattern[unit] == 1))
        return found

    def _side_point(
        self, states: bytes, cuts: Rows, inside: Sequence[Fraction], positive: bool
    ) -> Sequence[Fraction] | None:
        """Return a point of the polytope strictly on one side of the next unit, if there is one."""
        row = self._row(states, len(states), positive)
        if not any(row[:-1]):
            return inside if row[-1] > 0 else None
        if inside_all([row], inside):
            return inside
        return decide_interior([*self._polytope(states, cuts), row], inside)[0]

    def facets(self, pattern: bytes, near: NDArray[np.float64]) -> CellFacets:
        """Find the facets of a cell, in rational arithmetic only; see `CellFacets`.

        A row is a facet if the other rows, those of the same hyperplane left out, have common interior
        points with its far side. Cost: a linear program in rational arithmetic for every row.
        """
        d = self._exact.dimension
        labels = [-1 - k for k in range(len(self._sides))]
        rows = list(self._sides)
        for unit, plane, positive in self._bounds(pattern):
            row = self._row(pattern, plane, positive)
            if any(row[:-1]):
                labels.append(unit)
                rows.append(row)
        start = [Fraction(x) for x in near.tolist()] if np.isfinite(near).all() else [Fraction(0)] * d
        inside, _ = decide_interior(rows, start)
        if inside is None:
            raise SolverError("a pattern that was met has no cell: the search's books are wrong")
        groups: dict[IntegerRow, list[int]] = {}
        for k, row in enumerate(rows):
            groups.setdefault(primitive(row), []).append(k)
        found: list[tuple[int, bytes | None, NDArray[np.float64]]] = []
        for hyperplane, members in groups.items():
            others = [row for k, row in enumerate(rows) if k not in members]
            beyond, _ = decide_interior([*others, tuple(-x for x in hyperplane)], inside)
            if beyond is None:
                continue
            label = labels[members[0]]
            if label < 0:
                found.append((label, None, np.full(d, np.nan)))
            else:
                states, across = self._cross(pattern, inside, beyond, hyperplane)
                if self._table is not None and self._table.first[label] >= 0:
                    label = min(self._table.winner(cell, label) for cell in (pattern, states))
                found.append((label, states, across))
        point = _floats_inside(rows, inside)
        return CellFacets(
            [label for label, _, _ in found],
            [states for _, states, _ in found],
            [across for _, _, across in found],
            point,
            len(rows),
            len(rows),
        )

    def _cross(
        self, pattern: bytes, inside: Sequence[Fraction], beyond: Sequence[Fraction], hyperplane: IntegerRow
    ) -> tuple[bytes, NDArray[np.float64]]:
        """Find the cell right beyond a facet, as in `facets_of_cell.cross_facet`, and a float point in it."""
        inner, outer = (_slack(hyperplane, x) for x in (inside, beyond))
        share = -outer / (inner - outer)  # of the way back from `beyond` to the facet
        meeting = [y + share * (x - y) for x, y in zip(inside, beyond, strict=True)]
        free = self._zero_units(pattern, meeting)
        part = Fraction(1)
        while True:
            point = [x + part * (y - x) for x, y in zip(meeting, beyond, strict=True)]
            states = self.pattern_at(point)
            if states is not None and all(
                a == b or k in free for k, (a, b) in enumerate(zip(states, pattern, strict=True))
            ):
                every = (self._row(states, plane, side) for _, plane, side in self._bounds(states))
                rows = [*self._sides, *(row for row in every if any(row[:-1]))]
                return states, _floats_inside(rows, point)
            part /= 2

    def _zero_units(self, pattern: bytes, point: Sequence[Fraction]) -> set[int]:
        """List the units that are 0 at a point of the closed cell of a pattern, and candidates that tie."""
        zero = set()
        for unit, plane, _ in self._bounds(pattern):
            *a, c = (int(x) for x in self._exact.plane_row(pattern, plane))
            if sum((k * x for k, x in zip(a, point, strict=True)), Fraction(c)) == 0:
                zero |= {unit} if unit == plane or self._table is None else set(self._table.rows(plane))
        return zero

    def pattern_at(self, point: Sequence[Fraction]) -> bytes | None:
        """Return the pattern of the cell that a point is inside of; None if it is on the border of one."""
        states = self._exact.states_at(point)
        return states if len(states) == self._network.n_units else None

    def pattern_somewhere(self, rng: np.random.Generator) -> bytes:
        """Return the pattern of the cell around a rational point inside the domain, drawn until there is one.

        Zero sets have no volume, so nearly all points are in some cell.
        """
        vertices = self._exact.domain_polytope.vertices
        corners = [[Fraction(int(x), int(vertex[-1])) for x in vertex[:-1]] for vertex in vertices]
        while True:
            parts = [Fraction(int(w)) for w in rng.integers(1, 1 << 40, size=len(corners))]
            whole = sum(parts, Fraction(0))
            point = [
                sum((part * x for part, x in zip(parts, column, strict=True)), Fraction(0)) / whole
                for column in zip(*corners, strict=True)
            ]
            states = self.pattern_at(point)
            if states is not None:
                return states


def _slack(row: IntegerRow, point: Sequence[Fraction]) -> Fraction:
    return row[-1] - sum((a * x for a, x in zip(row[:-1], point, strict=True)), Fraction(0))


def _floats_inside(rows: list[IntegerRow], point: Sequence[Fraction]) -> NDArray[np.float64]:
    """Round a point inside all rows to floats; NaN where it is no longer inside."""
    rounded = np.array([float(x) for x in point])
    if inside_all(rows, [Fraction(x) for x in rounded.tolist()]):
        return rounded
    return np.full(len(point), np.nan)
