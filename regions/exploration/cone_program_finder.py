"""The facets of one cell of an unbounded domain, in any number of directions, by programs over its cone.

A cell {u : a.u + c >= 0} is the part s = 1 of the cone of all (u, s) with a.u + c s >= 0 and s >= 0, and the
cone is told by its part in a cube. Rays and programs propose; points beyond one row alone and sums of rows
(`cone_proofs`) prove, and in few directions rational programs decide what is left.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from math import lcm

import numpy as np
from numpy.typing import NDArray

from regions.domain import FrameBox, Unbounded
from regions.enumeration.programs.cell_facets import CellFacets
from regions.errors import BudgetExceededError, SolverError
from regions.exploration.cone_proofs import follows, follows_exactly, surely_positive
from regions.exploration.cone_rows import (
    SECONDS,
    Cone,
    ExactRows,
    IntegerRow,
    KnownFacets,
    first_met,
    is_beyond,
    near_pairs,
)
from regions.exploration.search_frame import Frame
from regions.network.patterns import unit_places
from regions.network.relu_network import Network
from regions.network.slopes import slopes_at
from regions.optimize import BoxPrograms
from regions.rational import (
    ExactCell,
    ExactFacet,
    ExactNetwork,
    RationalPolytope,
    decide_interior,
    neighbour_pattern,
    primitive,
)
from regions.rational.affine_maps import float_row
from regions.rational.exact_cells import OrientedRows

FloatArray = NDArray[np.float64]

MOST_EXACT_DIRECTIONS = 8  # a rational program takes milliseconds there, and hours in 64
SMALLEST_FACTORS = (1e-6, 1e-10)  # of the rows that a sum is made of, over the largest
NOTHING = 1e-7  # of a program whose variables are of size 1
RAISED_BITS = 30  # a function is raised by so small a part of its largest coefficient, and then not above 0
TOGETHER = 1 << 22  # entries of what is computed for several rays at once


class ConeProgramFinder:
    """Finds the facets of cells of an unbounded domain, one at a time; one thread uses it at a time.

    Cost for m rows in d directions: m rays, and a program in d + 1 variables over the facets for each row
    that no ray meets first. Keeps 8 m d bytes, and no matrix of m by m.

    Parameters
    ----------
    network : Network
    frame : Frame, of an unbounded domain
    """

    def __init__(self, network: Network, frame: Frame) -> None:
        self.network, domain = network, frame.domain
        d = domain.dimension
        if isinstance(domain, Unbounded):
            self._exact, self._shift = ExactNetwork(network, domain), np.zeros(d)
            self._sides = [tuple(map(int, row)) for row in self._exact.halfspace_rows]
        else:  # it gives directions only: around the centre rows are known best
            plane = FrameBox(domain.to_input(frame.at), domain.basis, np.full(d, -1.0), np.ones(d))
            self._exact, self._shift, self._sides = ExactNetwork(network, plane), frame.at, []
        relu_layers = np.flatnonzero(network.relu)
        self._layers = relu_layers[unit_places(network.unit_offsets, np.arange(network.n_units))[0]]
        self._scale = self._typical_distance()

    def _typical_distance(self) -> float:
        """Return a power of two near the distances of the first hyperplanes from the origin of `u`."""
        first = self._exact.unit_floats(bytes(self.network.n_units))[: self.network.widths[0]]
        lengths = np.linalg.norm(first[:, :-1], axis=1)
        used = lengths > 0.0
        distances = np.abs(first[used, -1]) / lengths[used]
        distances = distances[distances > 0.0]
        typical = float(np.median(distances)) if distances.size else 1.0
        return float(2.0 ** np.clip(np.round(np.log2(typical)), -500, 500))

    def pattern_at(self, point: FloatArray) -> bytes | None:
        """Return the pattern of the cell that a point is inside of, one byte a unit; None on a border."""
        pairs = zip(point.tolist(), self._shift.tolist(), strict=True)
        states = self._exact.states_at([Fraction(x) - Fraction(start) for x, start in pairs])
        return states if len(states) == self.network.n_units else None

    def find(self, pattern: bytes, witness: FloatArray) -> CellFacets:
        """Find the facets of the cell of a pattern, and a point inside it if floats hold one."""
        unknown = np.full(witness.size, np.nan)
        cone = self.cone(pattern)
        m = cone.units.size
        deep = self.deep_point(cone)
        start = None if deep is None else self._rational(deep)
        if start is None:
            start = self._interior(cone)
        if start is None:
            return CellFacets([], [], [], unknown, m, 0, m)
        if deep is not None:
            self._shoot_rays(cone, deep)
        exact, undecided = self._ask_programs(cone, deep, start)
        inside = _integer_point(start)
        cell = ExactCell(pattern, RationalPolytope(witness.size, [inside], [0]), (), cone.zero_units)
        facets = sorted(cone.beyond)
        neighbours = [
            neighbour_pattern(self._exact, cell, ExactFacet(0, (), cone.alike[row])) for row in facets
        ]
        labels = cone.units[facets].tolist()
        return CellFacets(
            labels=[self._label(*facet, pattern) for facet in zip(labels, neighbours, strict=True)],
            neighbours=list(neighbours),
            points=[unknown] * len(facets),
            witness=unknown if deep is None else self._shown(cone, deep),
            rows=m,
            exact=exact,
            undecided=undecided,
        )

    def cone(self, pattern: bytes) -> Cone:
        """Return the cone over the cell of a pattern, without its facets."""
        oriented = OrientedRows(self._exact, pattern)
        floats = oriented.floats() * oriented.orientation[:, None]
        chosen, zero = [], []
        for unit in np.flatnonzero(self.network.cutting & ~oriented.winning).tolist():
            if not floats[unit, :-1].any():  # it may have been rounded to 0
                row = oriented(unit)
                if not any(row[:-1]):
                    zero += [] if row[-1] else [unit]
                    continue
                floats[unit] = float_row(row)
            chosen.append(unit)
        every_unit = np.array(chosen, np.int64)
        rows = self._normalised(floats[every_unit])
        kept, alike = self._distinct(rows, every_unit, ExactRows(oriented, chosen, []))
        units = every_unit[kept]
        sides = self._normalised(np.array([float_row(row) for row in self._sides]).reshape(-1, rows.shape[1]))
        last = np.eye(rows.shape[1])[-1:]
        own = ExactRows(oriented, units.tolist(), [*self._sides, (0,) * (rows.shape[1] - 1) + (1,)])
        passes = self._passes(pattern)
        rooms = self._rooms(passes)
        levels = np.concatenate(
            [self._layers[units] + passes[units], np.zeros(len(sides), np.int64), [len(rooms) - 1]]
        )
        every = np.concatenate([rows[kept], sides, last])
        alike = [oriented.with_winners(group) for group in alike]
        return Cone(every, units, own, levels, rooms, alike, tuple(zero))

    @property
    def exact(self) -> ExactNetwork:
        """The network in the coordinates of the cones."""
        return self._exact

    def is_negative(self, cone: Cone, row: Sequence[int]) -> bool:
        """Prove that an affine function of the network's output is below 0 on a whole cell; False: unknown.

        A little is added to it, and the sum is shown to follow from the cell's rows, so it is not above 0.

        Parameters
        ----------
        cone : Cone
        row : d + 1 integers (a, c), the function a.u + c over any power of two
        """
        raised = [x << RAISED_BITS for x in row]
        raised[-1] += max(map(abs, row), default=0)
        against = tuple(-x for x in raised)
        floats = self._normalised(np.array([float_row(against)]))[0]
        try:
            found = cone.programs.maximise(-floats)
        except SolverError:
            return False
        last = len(cone.rooms) - 1
        return found.value <= NOTHING and self._follows(cone, found.multipliers, (floats, against), last)

    @staticmethod
    def _follows(cone: Cone, factors: FloatArray, target: tuple[FloatArray, IntegerRow], level: int) -> bool:
        """Prove that a row, in floats and integers, of some level is a sum of those that have factors."""
        floats, exact = target
        for smallest in SMALLEST_FACTORS:
            summed = np.flatnonzero(factors > smallest * factors.max(initial=0.0))
            room = cone.rooms[min(level, int(cone.levels[summed].min(initial=level)))]
            if 0 < summed.size == room and follows(cone.rows[summed], floats):
                return True
            if 0 < summed.size <= room and follows_exactly([cone.exact[k] for k in summed.tolist()], exact):
                return True
        return False

    def _label(self, unit: int, states: bytes, pattern: bytes) -> int:
        """Return the unit that a facet towards a cell goes by: of two candidates that win the earlier one."""
        table = self.network.max_units
        if table is None or table.first[unit] < 0:
            return unit
        return next((k for k in table.rows_of(unit) if states[k] != pattern[k]), unit)

    def _normalised(self, rows: FloatArray) -> FloatArray:
        scaled = rows * np.append(np.full(rows.shape[1] - 1, self._scale), 1.0)
        scaled = scaled / np.maximum(np.abs(scaled).max(axis=1, initial=0.0), np.finfo(float).tiny)[:, None]
        return np.asarray(scaled / np.linalg.norm(scaled, axis=1)[:, None])

    @staticmethod
    def _distinct(
        rows: FloatArray, units: NDArray[np.int64], exact: ExactRows
    ) -> tuple[list[int], list[tuple[int, ...]]]:
        """Return the number of the first row of each hyperplane, and all units of each."""
        near: dict[int, list[int]] = {}
        for i, k in near_pairs(rows):
            near.setdefault(k, []).append(i)
        group: dict[int, list[int]] = {}  # by its first row
        for k in range(units.size):
            # only rows that are nearly the same are compared in integers
            firsts = (i for i in sorted(near.get(k, ())) if i in group)
            own = next((i for i in firsts if primitive(exact[i]) == primitive(exact[k])), k)
            group.setdefault(own, []).append(int(units[k]))
        return list(group), [tuple(own) for own in group.values()]

    def _passes(self, pattern: bytes) -> NDArray[np.bool_]:
        """Tell which units put out something else than 0 in a cell."""
        on, parts, start = np.frombuffer(pattern, np.bool_), [], 0
        for layer in np.flatnonzero(self.network.relu).tolist():
            n = self.network.biases[layer].size
            parts.append(slopes_at(self.network.slopes[layer], on[start : start + n]) != 0.0)
            start += n
        return np.concatenate(parts)

    def _rooms(self, passes: NDArray[np.bool_]) -> list[int]:
        """Bound the dimensions of the spaces of functions of 0, 1, ... layers' values, and of a constant."""
        rooms, start = [self._exact.dimension + 1], 0
        for relu, bias in zip(self.network.relu, self.network.biases, strict=True):
            passed = int(passes[start : start + bias.size].sum()) if relu else bias.size
            start += bias.size if relu else 0
            rooms.append(min(rooms[-1], passed + 1))
        return rooms

    @staticmethod
    def deep_point(cone: Cone) -> FloatArray | None:
        """Find a point far from all rows of a cone, surely inside; None if floats do not find one."""
        m, n = cone.rows.shape
        A = np.column_stack([-cone.rows, np.ones(m)])
        low, high = -np.ones(n + 1), np.append(np.ones(n), 2.0 * np.sqrt(n))
        low[-1] = 0.0
        try:
            found = BoxPrograms(A, np.zeros(m), low, high, seconds=SECONDS).maximise(np.eye(n + 1)[-1])
        except SolverError:
            return None
        if found.point is None:
            return None
        point: FloatArray = found.point[:-1]
        return point if surely_positive(cone.rows, point).all() else None

    def _rational(self, point: FloatArray) -> list[Fraction]:
        """Return the point u of the cell that a point of the cone stands for."""
        s = Fraction(float(point[-1]))
        return [Fraction(x) * Fraction(self._scale) / s for x in point[:-1].tolist()]

    def _interior(self, cone: Cone) -> list[Fraction] | None:
        """Find a point inside a cell in rational arithmetic; None in too many directions."""
        d = self._exact.dimension
        if d > MOST_EXACT_DIRECTIONS:
            return None
        found, _ = decide_interior(_as_bounds(cone.exact[:-1]), [Fraction(0)] * d)
        if found is None:
            raise SolverError("a pattern that was met has no cell: the search's books are wrong")
        return list(found)

    def _shown(self, cone: Cone, deep: FloatArray) -> FloatArray:
        """Return a point of the cone as one of the domain; NaN where it is not surely inside any more."""
        point: FloatArray = self._shift + deep[:-1] / deep[-1] * self._scale
        if np.isfinite(point).all():
            there = np.append((point - self._shift) / self._scale, 1.0)
            if surely_positive(cone.rows, there).all():
                return point
        return np.full(point.size, np.nan)

    @staticmethod
    def _shoot_rays(cone: Cone, start: FloatArray) -> None:
        """Shoot a ray along the normal of each row: where one row is met before all others it is a facet."""
        k = cone.units.size
        rows, directions = cone.rows, -cone.rows[:k]
        if k <= rows.shape[1]:  # moves that change the value of one row only
            directions = np.concatenate([directions, -np.linalg.pinv(cone.rows[:k]).T])
        step = max(1, TOGETHER // max(1, len(rows)))
        for begin in range(0, len(directions) if k else 0, step):
            part = directions[begin : begin + step]
            for row, point in first_met(rows, start, part):
                if row < k and row not in cone.beyond and is_beyond(rows, row, point):
                    cone.beyond.add(row)

    def _ask_programs(
        self, cone: Cone, deep: FloatArray | None, start: Sequence[Fraction]
    ) -> tuple[int, int]:
        """Decide about all rows that no ray has met; return how many rational arithmetic did, and none."""
        exact = undecided = 0
        facets = None if deep is None else KnownFacets(cone, deep)
        for row in range(cone.units.size):
            if row in cone.beyond:
                continue
            if facets is not None and (
                self._is_decided_by_facets(facets, row) or self._is_decided(cone, row, facets.deep)
            ):
                continue
            answer = self._decide_exactly(cone, row, start)
            exact += answer is not None
            undecided += answer is None
            if answer:
                cone.beyond.add(row)
        return exact, undecided

    def _is_decided_by_facets(self, facets: KnownFacets, row: int) -> bool:
        """Decide whether a row is a facet by programs over the facets that are known; True if it is proven.

        A point beyond the row and inside these shows a facet that is not known yet, the first row on the way
        there, until the row itself is that or is a sum of them (Clarkson 1994).
        """
        cone, deep = facets.cone, facets.deep
        while True:
            try:
                found = facets.programs.maximise(-cone.rows[row])
            except SolverError:
                return False
            if found.point is None:
                return False
            if found.value <= NOTHING:
                factors = np.zeros(len(cone.rows))
                factors[facets.numbers] = found.multipliers
                return self._is_sum(cone, row, factors)
            met = first_met(cone.rows, deep, (found.point - deep)[None])
            if not met or met[0][0] in facets.numbers:
                return False
            first, point = met[0]
            if first in cone.beyond:
                facets.renew()
            elif is_beyond(cone.rows, first, point):
                cone.beyond.add(first)
                if first == row:
                    return True
            else:
                return False

    def _is_decided(self, cone: Cone, row: int, deep: FloatArray) -> bool:
        """Decide by a program whether a row is a facet: True if a point, or a sum of rows, proves it."""
        try:
            found = cone.programs.maximise(-cone.rows[row], without=row)
        except SolverError:
            return False
        if found.point is None:
            return False
        if found.value > 0.0:
            inner = float(cone.rows[row] @ deep)
            share = 0.5 * found.value / (found.value + inner)
            if is_beyond(cone.rows, row, found.point + share * (deep - found.point)):
                cone.beyond.add(row)
                return True
        return self._is_sum(cone, row, found.multipliers)

    @staticmethod
    def _is_sum(cone: Cone, row: int, factors: FloatArray) -> bool:
        """Prove that a row is a sum of those that have factors, so that it is no facet."""
        return ConeProgramFinder._follows(
            cone, factors, (cone.rows[row], cone.exact[row]), int(cone.levels[row])
        )

    def _decide_exactly(self, cone: Cone, row: int, start: Sequence[Fraction]) -> bool | None:
        """Decide in rational arithmetic whether a row is a facet; None in too many directions."""
        if self._exact.dimension > MOST_EXACT_DIRECTIONS:
            return None
        others = [other for k, other in enumerate(cone.exact[:-1]) if k != row]
        beyond = tuple(-x for x in cone.exact[row])
        try:
            return decide_interior(_as_bounds([*others, beyond]), start)[0] is not None
        except BudgetExceededError:
            return None


def _as_bounds(rows: Sequence[IntegerRow]) -> list[IntegerRow]:
    """Return rows a.u + c >= 0 as a.u <= b."""
    return [(*(-x for x in row[:-1]), row[-1]) for row in rows]


def _integer_point(point: Sequence[Fraction]) -> tuple[int, ...]:
    """Return a rational point as integers (x_1, ..., x_d, w)."""
    w = lcm(*(x.denominator for x in point))
    return (*(int(x * w) for x in point), w)
