"""The facets of one cell of an unbounded domain, in any number of directions, by programs over its cone.

A cell {u : a.u + c >= 0} is the part s = 1 of the cone of all (u, s) with a.u + c s >= 0 and s >= 0, and the
cone is told by its part in a cube. Rays and programs propose; points beyond one row alone and sums of rows
(`cone_proofs`) prove, and in few directions rational programs decide what is left.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property
from math import lcm

import numpy as np
from numpy.typing import NDArray

from regions.domain import FrameBox, Unbounded
from regions.enumeration.programs.cell_facets import CellFacets
from regions.errors import BudgetExceededError, SolverError
from regions.exploration.cone_proofs import follows, follows_exactly, surely_positive
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
IntegerRow = tuple[int, ...]

MOST_EXACT_DIRECTIONS = 8  # a rational program takes milliseconds there, and hours in 64
MARGIN = 1e-9  # how much farther, relative, the second row on a ray must be than the first
ALIKE = 1e-9  # rows of length 1 closer than this may be the same
SMALLEST_FACTORS = (1e-6, 1e-10)  # of the rows that a sum is made of, over the largest
NOTHING = 1e-7  # of a program whose variables are of size 1
RAISED_BITS = 30  # a function is raised by so small a part of its largest coefficient, and then not above 0
SECONDS = 600.0  # of one program; a row that takes longer stays open


@dataclass
class Cone:
    """The cone over a cell: rows of length 1, >= 0 in it.

    Attributes
    ----------
    rows : (m, d + 1) float64: those of `units` (of a candidate that loses in a max unit, what the winner
        leads by), the domain's sides, and s itself
    units : (k,) int64, the unit of each of the first rows
    exact : list of m integer rows
    levels : (m,) int64, how many affine layers there are whose values the row is a function of
    rooms : list of int, for each level a bound on the dimension of the space of all such rows
    alike : for each of `units`, all units with its hyperplane, and the winners that candidates trail there
    zero_units : the units that are 0 on the whole cell
    beyond : set of int, rows of facets
    """

    rows: FloatArray
    units: NDArray[np.int64]
    exact: list[IntegerRow]
    levels: NDArray[np.int64]
    rooms: list[int]
    alike: list[tuple[int, ...]]
    zero_units: tuple[int, ...]
    beyond: set[int] = field(default_factory=set)

    @cached_property
    def programs(self) -> BoxPrograms:
        """Programs over the cone, in the cube."""
        m, n = self.rows.shape
        return BoxPrograms(-self.rows, np.zeros(m), -np.ones(n), np.ones(n), seconds=SECONDS)


class ConeProgramFinder:
    """Finds the facets of cells of an unbounded domain, one at a time; one thread uses it at a time.

    Cost for m rows in d directions: m rays, and a program in d + 1 variables for each row that no ray meets
    first; the rows of the cell in integers.

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
        units = np.array(chosen, np.int64)
        exact = [oriented(unit) for unit in chosen]
        rows = self._normalised(floats[units])
        units, alike = self._distinct(rows, units, exact)
        kept = [chosen.index(unit) for unit in units.tolist()]
        sides = self._normalised(np.array([float_row(row) for row in self._sides]).reshape(-1, rows.shape[1]))
        last = np.eye(rows.shape[1])[-1:]
        own = [exact[k] for k in kept] + self._sides + [(0,) * (rows.shape[1] - 1) + (1,)]
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

    def _distinct(
        self, rows: FloatArray, units: NDArray[np.int64], exact: Sequence[IntegerRow]
    ) -> tuple[NDArray[np.int64], list[tuple[int, ...]]]:
        """Return the first unit of each hyperplane, and all units of each."""
        products = rows @ rows.T
        firsts: list[int] = []
        alike: list[list[int]] = []
        for k in range(units.size):
            near = [i for i, first in enumerate(firsts) if products[k, first] > 1.0 - ALIKE]
            same = [i for i in near if primitive(exact[firsts[i]]) == primitive(exact[k])]
            if same:
                alike[same[0]].append(int(units[k]))
            else:
                firsts.append(k)
                alike.append([int(units[k])])
        return units[firsts], [tuple(group) for group in alike]

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
        if k == 0:
            return
        slack = rows @ start
        with np.errstate(divide="ignore", invalid="ignore"):
            speed = -directions @ rows.T
            times = np.where(speed > 0.0, slack / speed, np.inf)
        first = times.argmin(axis=1)
        every = np.arange(len(directions))
        at = times[every, first]
        times[every, first] = np.inf
        second = np.minimum(times.min(axis=1), 4.0 * at)
        for ray in np.flatnonzero((first < k) & (second > at * (1.0 + MARGIN))).tolist():
            row = int(first[ray])
            if row not in cone.beyond:
                middle = 0.5 * at[ray] + 0.5 * second[ray]
                if _is_beyond(cone.rows, row, start + middle * directions[ray]):
                    cone.beyond.add(row)

    def _ask_programs(
        self, cone: Cone, deep: FloatArray | None, start: Sequence[Fraction]
    ) -> tuple[int, int]:
        """Decide about all rows that no ray has met; return how many rational arithmetic did, and none."""
        exact = undecided = 0
        for row in range(cone.units.size):
            if row in cone.beyond or (deep is not None and self._is_decided(cone, row, deep)):
                continue
            answer = self._decide_exactly(cone, row, start)
            exact += answer is not None
            undecided += answer is None
            if answer:
                cone.beyond.add(row)
        return exact, undecided

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
            if _is_beyond(cone.rows, row, found.point + share * (deep - found.point)):
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


def _is_beyond(rows: FloatArray, row: int, point: FloatArray) -> bool:
    """Prove that a point is beyond one row and inside all others."""
    signed = rows.copy()
    signed[row] *= -1.0
    return bool(surely_positive(signed, point).all())


def _as_bounds(rows: Sequence[IntegerRow]) -> list[IntegerRow]:
    """Return rows a.u + c >= 0 as a.u <= b."""
    return [(*(-x for x in row[:-1]), row[-1]) for row in rows]


def _integer_point(point: Sequence[Fraction]) -> tuple[int, ...]:
    """Return a rational point as integers (x_1, ..., x_d, w)."""
    w = lcm(*(x.denominator for x in point))
    return (*(int(x * w) for x in point), w)
