"""The facets of one cell of a box in many inputs, where the dense programs of `lp_facets` are too slow.

Rays propose facets, HiGHS what no ray meets. In certified arithmetic a facet counts when running error
bounds (Higham 2002, section 3.3) prove a point beyond its row alone, a row as none when multipliers do.
"""

from __future__ import annotations

from fractions import Fraction
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linprog

from regions.domain import Box, Domain
from regions.enumeration.compiled_network import extent_of, first_map, rounding
from regions.enumeration.programs.exact_sides import ProgramOracle
from regions.exploration.cell_facets import Found
from regions.kernels.memory.bits import SMALLEST
from regions.network.relu_network import Network

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

MARGIN = 1e-9  # how much farther, relative, the second row on a ray must be than the first
MOST_HALVINGS = 40


class _Rows(NamedTuple):
    """A cell's units as A @ x <= b, with bounds of the error of A @ x - b over the box; flat unit numbers."""

    A: FloatArray
    b: FloatArray
    errors: FloatArray
    units: NDArray[np.int64]


class BoxCellFinder:
    """Finds the interior facets of cells of a box, one at a time; any number of inputs.

    Cost for m rows in d directions: m rays, m^2 d operations, and a program of HiGHS in d variables for
    every row that no ray meets first; see `explore`.

    Parameters
    ----------
    network : Network
    domain : an axis-parallel Domain; its intrinsic coordinates lie in a box
    certified : bool, whether only what error bounds prove is a facet or none
    """

    def __init__(self, network: Network, domain: Domain, certified: bool) -> None:
        self.network, self.domain, self.certified = network, domain, certified
        self.box = box = Box(*domain.bounds())
        self._relu_layers = 1 + max(layer for layer, relu in enumerate(network.relu) if relu)
        self._first = first_map(network.weights[0], network.biases[0], domain)
        self._extents = extent_of(domain)
        self._floor = np.where(self._first[:-3].any(axis=0), SMALLEST, 0.0)
        self._middle = 0.5 * box.low + 0.5 * box.high
        self._oracle: ProgramOracle | None = None

    def pattern_at(self, point: FloatArray) -> bytes | None:
        """The pattern of the cell that a point is inside of, one byte a unit; None if it is on a border."""
        values, errors = self._values(point[None])
        if _certain(values, errors).all():
            return bytes((values[0] > 0.0).tobytes())
        if self._oracle is None:
            self._oracle = ProgramOracle(self.network, self.domain)
        return self._oracle.pattern_at([Fraction(x) for x in point.tolist()])

    def look(self, pattern: bytes, point: FloatArray) -> Found:
        """The facets of the cell of a pattern.

        A program finds a point deep in the cell; where it fails, a point `(d,)` of the cell serves (or NaN
        for none). Points on the box's border are drawn towards the middle of the box.
        """
        on = np.frombuffer(pattern, np.bool_)
        rows = self._rows(on)
        m = rows.b.size
        # a deep point sees far more facets than one near the border
        witness = self._inside(rows, on, self._deep_point(rows))
        if witness is None and np.isfinite(point).all():
            witness = self._inside(rows, on, point)
        if witness is None:
            return Found([], [], [], np.full(point.size, np.nan), m, 0, m)
        decided = np.zeros(m, np.bool_)
        beyond: dict[int, tuple[FloatArray, bytes]] = {}
        for ways in self._ways(rows, witness):
            self._shoot(rows, on, witness, ways, beyond)
        for row in range(m):
            if row not in beyond:
                decided[row] = self._program(rows, on, witness, row, beyond)
        facets = sorted(beyond)
        decided[facets] = True
        return Found(
            rows.units[facets].tolist(),
            [beyond[row][1] for row in facets],
            [beyond[row][0] for row in facets],
            witness,
            m,
            0,
            int((~decided).sum()) if self.certified else 0,
        )

    def _values(self, points: FloatArray, on: BoolArray | None = None) -> tuple[FloatArray, FloatArray]:
        """Pre-activations (p, n_units) at points and bounds of their errors; of a pattern's maps if given."""
        d = self._extents.size
        first = self._first
        V = points @ first[:d] + first[d]
        E = rounding(d + 3) * (np.abs(points) @ np.abs(first[:d]) + np.abs(first[d]))
        E = E * (1.0 + 1e-9) + first[d + 1] + self._floor
        X = S = points
        values, errors, start = [], [], 0
        for layer in range(self._relu_layers):
            if layer:
                W, b = self.network.weights[layer], self.network.biases[layer]
                size = np.abs(X) @ np.abs(W.T)
                spread = S @ np.abs(W.T)
                V = X @ W.T + b
                E = spread + rounding(W.shape[1] + 3) * (size + spread + np.abs(b))
                E = np.where((size + spread) > 0.0, E * (1.0 + 1e-9) + SMALLEST, 0.0)
            X, S = V, E
            if self.network.relu[layer]:
                values.append(V)
                errors.append(E)
                n = V.shape[1]
                active = V > 0.0 if on is None else np.broadcast_to(on[start : start + n], V.shape)
                doubtful = (active | (V > -E)) if on is None else active
                X, S, start = np.where(active, V, 0.0), np.where(doubtful, E, 0.0), start + n
        return np.concatenate(values, axis=1), np.concatenate(errors, axis=1)

    def _signs(self, points: FloatArray, on: BoolArray | None = None) -> tuple[FloatArray, FloatArray]:
        """The same, without errors in float arithmetic."""
        values, errors = self._values(points, on)
        return values, errors if self.certified else np.zeros_like(errors)

    def _rows(self, on: BoolArray) -> _Rows:
        """The rows of all units that are not constant on a pattern."""
        d = self._extents.size
        C = np.ascontiguousarray(self._first[: d + 1].T)  # coefficients, constant
        E = np.zeros_like(C)
        E[:, d] = self._first[d + 1]
        reach = np.append(self._extents, 1.0)
        maps, errors, start = [], [], 0
        for layer in range(self._relu_layers):
            if layer:
                W = self.network.weights[layer]
                size = np.abs(W)
                gamma = rounding(W.shape[1] + 3) * (1.0 + 1e-9)
                E = size @ E + gamma * (size @ (np.abs(C) + E))
                C = W @ C
                C[:, d] += self.network.biases[layer]
                E[:, d] += gamma * np.abs(self.network.biases[layer])
                E = np.where(np.abs(C) + E > 0.0, E + SMALLEST, 0.0)
            if self.network.relu[layer]:
                maps.append(C)
                errors.append(E @ reach * (1.0 + 1e-9))
                active = on[start : start + C.shape[0], None]
                start += C.shape[0]
                C, E = np.where(active, C, 0.0), np.where(active, E, 0.0)
        every = np.concatenate(maps) * np.where(on, -1.0, 1.0)[:, None]
        kept = np.flatnonzero(every[:, :d].any(axis=1))
        lengths = np.linalg.norm(every[kept, :d], axis=1)
        A, b = every[kept, :d] / lengths[:, None], -every[kept, d] / lengths
        # the divisions round once more
        more = 2.0 * rounding(2) * (np.abs(A) @ self._extents + np.abs(b))
        return _Rows(A, b, np.concatenate(errors)[kept] / lengths * (1.0 + 1e-9) + more, kept)

    def _inside(self, rows: _Rows, on: BoolArray, point: FloatArray | None) -> FloatArray | None:
        """A point surely inside the cell and the box, from one in them towards the middle of the box."""
        if point is None:
            return None
        slack, middle = rows.b - rows.A @ point, rows.b - rows.A @ self._middle
        falling = middle < slack
        shares = 0.5 * slack[falling] / (slack - middle)[falling]  # until half of the slack is gone
        share = min(0.5, float(shares.min(initial=0.5)))
        moved = point + max(share, 0.0) * (self._middle - point)
        if not ((moved > self.box.low) & (moved < self.box.high)).all():
            return None
        values, errors = self._signs(moved[None])
        clear = _certain(values, errors).all() and np.array_equal(values[0] > 0.0, on)
        return moved if clear else None

    def _deep_point(self, rows: _Rows) -> FloatArray | None:
        """A point of the box with the largest distance from all units' hyperplanes."""
        d = self._extents.size
        result = linprog(
            -np.eye(d + 1)[d],
            A_ub=np.column_stack([rows.A, np.ones(rows.b.size)]),
            b_ub=rows.b,
            bounds=[*zip(self.box.low, self.box.high, strict=True), (None, float(self._extents.sum()) * 2.0)],
            method="highs",
        )
        if result.status != 0 or not result.x[d] > 0.0:
            return None
        return np.clip(result.x[:d], self.box.low, self.box.high)

    def _ways(self, rows: _Rows, witness: FloatArray) -> list[FloatArray]:
        """Directions of rays, a row of the cell each: slower in coordinates whose side is near."""
        room = np.minimum(self.box.high - witness, witness - self.box.low)
        scaled = rows.A * room
        ways = [scaled, np.where(rows.A > 0.0, self.box.high, self.box.low) - witness]
        if rows.b.size <= witness.size:
            # moves that change the value of one row only: no other row is in their way
            ways.append(np.linalg.pinv(scaled @ rows.A.T) @ scaled)
        return ways

    def _shoot(
        self,
        rows: _Rows,
        on: BoolArray,
        witness: FloatArray,
        ways: FloatArray,
        beyond: dict[int, tuple[FloatArray, bytes]],
    ) -> None:
        """Rays from the witness: where one row is met before all others and the box, it is a facet."""
        slack = rows.b - rows.A @ witness
        with np.errstate(divide="ignore", invalid="ignore"):
            speed = ways @ rows.A.T
            times = np.where(speed > 0.0, slack / speed, np.inf)
            room = np.where(ways > 0.0, self.box.high - witness, self.box.low - witness) / ways
            sides = np.where(ways != 0.0, room, np.inf).min(axis=1)
        first = times.argmin(axis=1)
        at = times[np.arange(len(ways)), first]
        times[np.arange(len(ways)), first] = np.inf
        second = np.minimum(times.min(axis=1, initial=np.inf), sides)
        gaps = second - at
        candidates: dict[int, int] = {}
        for ray in np.flatnonzero((at >= 0.0) & (second > at * (1.0 + MARGIN))).tolist():
            row = int(first[ray])
            if row not in beyond and (row not in candidates or gaps[ray] > gaps[candidates[row]]):
                candidates[row] = ray
        if not candidates:
            return
        crossed, rays = np.array(list(candidates)), np.array(list(candidates.values()))
        meeting = witness + at[rays, None] * ways[rays]
        far = witness + (0.5 * at[rays] + 0.5 * second[rays])[:, None] * ways[rays]
        self._cross(rows.units[crossed], on, meeting, far, crossed, beyond)

    def _cross(
        self,
        units: NDArray[np.int64],
        on: BoolArray,
        meeting: FloatArray,
        far: FloatArray,
        crossed: NDArray[np.int64],
        beyond: dict[int, tuple[FloatArray, bytes]],
    ) -> None:
        """Keep the rows that are facets beyond doubt, with a point in the cell right behind each.

        The maps of the cell's own pattern prove that `far` is beyond that row alone, so the segment to the
        witness meets the facet's interior; units that are constant on the cell may change with it.
        """
        values, errors = self._signs(far, on)
        constant = (values == 0.0) & (errors == 0.0)
        other = np.where(on, values < -errors, values > errors)
        same = np.where(on, values > errors, values < -errors)
        only = other.copy()
        only[np.arange(len(units)), units] = False
        alone = ~only.any(axis=1) & other[np.arange(len(units)), units]
        same[np.arange(len(units)), units] = True
        clear = alone & (same | constant).all(axis=1)
        clear &= ((far > self.box.low) & (far < self.box.high)).all(axis=1)
        left = np.flatnonzero(clear)
        share = 1.0
        for _ in range(MOST_HALVINGS):
            if left.size == 0:
                return
            points = meeting[left] + share * (far[left] - meeting[left])
            values, errors = self._signs(points)
            states = values > 0.0
            changed = states != on
            changed[np.arange(left.size), units[left]] ^= True
            good = _certain(values, errors).all(axis=1) & ~(changed & ~constant[left]).any(axis=1)
            for k in np.flatnonzero(good).tolist():
                beyond[int(crossed[left[k]])] = points[k], states[k].tobytes()
            left, share = left[~good], 0.5 * share

    def _program(
        self,
        rows: _Rows,
        on: BoolArray,
        witness: FloatArray,
        row: int,
        beyond: dict[int, tuple[FloatArray, bytes]],
    ) -> bool:
        """Whether multipliers show that a row is no facet; else the program's point may show that it is."""
        others = np.arange(rows.b.size) != row
        a, A, b = rows.A[row], rows.A[others], rows.b[others]
        low, high = self.box.low, self.box.high
        result = linprog(-a, A_ub=A, b_ub=b, bounds=np.column_stack([low, high]), method="highs")
        if result.status != 0:
            return False
        y = np.maximum(-result.ineqlin.marginals, 0.0)
        rest = a - y @ A
        most = float(y @ b + np.maximum(rest * low, rest * high).sum())
        # errors of the rows, of the rest over the box, and of these sums
        doubt = float(y @ rows.errors[others]) + float(rows.errors[row])
        sums = float((np.abs(a) + y @ np.abs(A)) @ self._extents + y @ np.abs(b)) + abs(float(rows.b[row]))
        doubt += 2.0 * rounding(sum(A.shape) + 8) * sums
        if most + (doubt if self.certified else 0.0) < rows.b[row]:
            return True
        if float(a @ result.x) > rows.b[row]:
            self._shoot(rows, on, witness, (result.x - witness)[None], beyond)
        return row in beyond


def _certain(values: FloatArray, errors: FloatArray) -> BoolArray:
    """Which signs are beyond doubt; a value that is 0 without error is a constant, and off."""
    return (np.abs(values) > errors) | ((values == 0.0) & (errors == 0.0))
