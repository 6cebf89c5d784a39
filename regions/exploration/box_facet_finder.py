"""The facets of one cell of a box in many inputs, where the dense programs of `FacetFinder` are too slow.

Rays propose facets, linear programs find what no ray meets. In certified arithmetic a facet counts when
running error bounds (Higham 2002, section 3.3) prove a point beyond its row alone, and a row as none when
multipliers do.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from regions.domain import Box, Domain
from regions.enumeration.compiled_network import extent_of, first_map, rounding
from regions.enumeration.programs.cell_facets import CellFacets
from regions.enumeration.programs.exact_sides import ExactSides
from regions.errors import SolverError
from regions.kernels.memory.bits import SMALLEST
from regions.network.max_units import candidates, states_of_layer, winner_places
from regions.network.relu_network import Network
from regions.network.slopes import Slopes, activated, slopes_at
from regions.optimize import BoxPrograms, LPStatus

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

MARGIN = 1e-9  # how much farther, relative, the second row on a ray must be than the first
MOST_HALVINGS = 40
MOST_SECONDS = 600.0  # of one linear program; a row that takes longer is undecided


class _Rows(NamedTuple):
    """The units of a cell as A @ x <= b, flat; `errors` bound those of A @ x - b over the box.

    The row of a candidate that loses in a max unit is that of its value minus the winner's.
    """

    A: FloatArray
    b: FloatArray
    errors: FloatArray
    units: NDArray[np.int64]


@dataclass
class _Cell:
    """A cell in hand: its rows, its pattern, a point inside, and what was found beyond its rows.

    `beyond` has, for every row that is a facet, a point in the cell behind it and the pattern of that.
    """

    rows: _Rows
    pattern: BoolArray
    witness: FloatArray
    beyond: dict[int, tuple[FloatArray, bytes]] = field(default_factory=dict)


class BoxFacetFinder:
    """Finds the interior facets of cells of a box, one at a time; any number of inputs.

    Cost for m rows in d directions: 3 m rays, m^2 d operations, and for every row that no ray meets first a
    linear program in d variables, which starts from the basis of the one before; see `explore`.

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
        self._oracle: ExactSides | None = None

    def pattern_at(self, point: FloatArray) -> bytes | None:
        """Return the pattern of the cell that a point is inside of, one byte a unit; None on a border."""
        values, errors = self._values(point[None])
        if _certain(values, errors).all():
            return bytes((values[0] > 0.0).tobytes())
        if self._oracle is None:
            self._oracle = ExactSides(self.network, self.domain)
        return self._oracle.pattern_at([Fraction(x) for x in point.tolist()])

    def find(self, pattern: bytes, witness: FloatArray) -> CellFacets:
        """Find the facets of the cell of a pattern.

        A program finds a point deep in the cell, which sees far more facets than one near the border. Where
        it fails, a point `(d,)` of the cell serves (or NaN for none). Points on the border of the box are
        drawn towards its middle.
        """
        on = np.frombuffer(pattern, np.bool_)
        rows = self._rows(on)
        m = rows.b.size
        inside = self._inside(rows, on, self._deep_point(rows))
        if inside is None and np.isfinite(witness).all():
            inside = self._inside(rows, on, witness)
        if inside is None:
            return CellFacets([], [], [], np.full(witness.size, np.nan), m, 0, m)
        cell = _Cell(rows, on, inside)
        for directions in self._directions(rows, inside):
            self._shoot_rays(cell, directions)
        undecided = self._ask_programs(cell)
        facets = sorted(cell.beyond)
        labels = rows.units[facets]
        if (table := self.network.max_units) is not None:  # where two candidates tie, the earlier one
            losers, winners = table.losers(on)
            winner_of = dict(zip(losers.tolist(), winners.tolist(), strict=True))
            labels = np.array([min(u, winner_of.get(u, u)) for u in labels.tolist()], np.int64)
        return CellFacets(
            labels.tolist(),
            [cell.beyond[row][1] for row in facets],
            [cell.beyond[row][0] for row in facets],
            inside,
            m,
            0,
            undecided if self.certified else 0,
        )

    def _values(self, points: FloatArray, on: BoolArray | None = None) -> tuple[FloatArray, FloatArray]:
        """Return pre-activations (p, n_units) at points, and bounds of their errors.

        They are those of the network, or of the maps of a pattern if one is given. Of candidates of max units
        they are by how much losers trail the winner, and 1 for the winner itself, which is as sure as these.
        """
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
                n, pair, sizes = V.shape[1], self.network.slopes[layer], self.network.maxima[layer]
                right = states_of_layer(V, pair, sizes)
                if on is not None:
                    right = np.broadcast_to(on[start : start + n], V.shape)
                cuts = self.network.cutting[start : start + n]
                lead, doubt = (V, E) if sizes is None else _behind_winners(V, E, right, sizes)
                # what is linear counts as active beyond doubt
                values.append(np.where(cuts, lead, 1.0))
                errors.append(np.where(cuts, doubt, 0.0))
                X, S = activated(V, right, pair), self._passed_on(V, E, right, pair, on)
                if sizes is not None:
                    S = np.where(candidates(sizes, n), _errors_of_maxima(E, right, sizes, on is None), S)
                start += n
        return np.concatenate(values, axis=1), np.concatenate(errors, axis=1)

    def _passed_on(
        self, V: FloatArray, E: FloatArray, right: BoolArray, pair: Slopes, on: BoolArray | None
    ) -> FloatArray:
        """Bound the errors of what units put out: on the sides of a pattern, or on both where V is doubtful.

        A slope rounds the product by it, and may underflow.
        """
        if pair is None:
            return np.where(right | (V > -E) if on is None else right, E, 0.0)
        steepest = np.abs(slopes_at(pair, right))
        if on is None:
            steepest = np.where(np.abs(V) > E, steepest, np.abs(pair).max(axis=0))
        passed = (steepest * E + 2.0**-52 * steepest * np.abs(V)) * (1.0 + 1e-9) + SMALLEST
        return np.where((steepest > 0.0) & ((V != 0.0) | (E > 0.0)), passed, 0.0)

    def _signs(self, points: FloatArray, on: BoolArray | None = None) -> tuple[FloatArray, FloatArray]:
        """Return the same as `_values`, but with no errors in float arithmetic."""
        values, errors = self._values(points, on)
        return values, errors if self.certified else np.zeros_like(errors)

    def _rows(self, on: BoolArray) -> _Rows:
        """Return the rows of all units that cut and are not constant on a pattern."""
        d = self._extents.size
        C = np.ascontiguousarray(self._first[: d + 1].T)  # coefficients, constant
        E = np.zeros_like(C)
        E[:, d] = self._first[d + 1]
        sizes = np.append(self._extents, 1.0)
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
                right, pair = on[start : start + C.shape[0]], self.network.slopes[layer]
                units = self.network.maxima[layer]
                lead, doubt = C, E
                if units is not None:
                    lead, doubt = (part.T for part in _behind_winners(C.T, E.T, right, units))
                    lead = np.where((candidates(units, right.size) & right)[:, None], 0.0, lead)
                maps.append(lead)
                errors.append(doubt @ sizes * (1.0 + 1e-9))
                start += C.shape[0]
                passed = activated(C, right, pair, 1)
                E = activated(E, right, None if pair is None else np.abs(pair), 1)
                if pair is not None:  # the products round, and may underflow
                    lost = np.where(C != 0.0, SMALLEST, 0.0) * (slopes_at(pair, right) != 0.0)[:, None]
                    E = (E + 2.0**-52 * np.abs(passed)) * (1.0 + 1e-9) + lost
                C = passed
        every = np.concatenate(maps) * np.where(on, -1.0, 1.0)[:, None]
        kept = np.flatnonzero(every[:, :d].any(axis=1) & self.network.cutting)
        lengths = np.linalg.norm(every[kept, :d], axis=1)
        A, b = every[kept, :d] / lengths[:, None], -every[kept, d] / lengths
        # the divisions round once more
        more = 2.0 * rounding(2) * (np.abs(A) @ self._extents + np.abs(b))
        return _Rows(A, b, np.concatenate(errors)[kept] / lengths * (1.0 + 1e-9) + more, kept)

    def _inside(self, rows: _Rows, on: BoolArray, point: FloatArray | None) -> FloatArray | None:
        """Return a point surely inside cell and box, on the way from one in them to the middle of the box."""
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
        """Find a point of the box with the largest distance from all hyperplanes of units."""
        low, high = np.append(self.box.low, 0.0), np.append(self.box.high, 2.0 * self._extents.sum())
        A = np.column_stack([rows.A, np.ones(rows.b.size)])
        try:
            deepest = BoxPrograms(A, rows.b, low, high, seconds=MOST_SECONDS).maximise(np.eye(low.size)[-1])
        except SolverError:
            return None
        match deepest.status:
            case LPStatus.OPTIMAL if deepest.point is not None:
                return deepest.point[:-1] if deepest.value > 0.0 else None
            case LPStatus.INFEASIBLE:
                return None
            case _:
                raise SolverError(f"a program in a box ended as {deepest.status.value}")

    def _directions(self, rows: _Rows, witness: FloatArray) -> list[FloatArray]:
        """Directions of rays, one for each row of the cell; slower in coordinates whose side is near."""
        room = np.minimum(self.box.high - witness, witness - self.box.low)
        scaled = rows.A * room
        directions = [scaled, np.where(rows.A > 0.0, self.box.high, self.box.low) - witness]
        if rows.b.size <= witness.size:
            # moves that change the value of one row only: no other row is in their way
            directions.append(np.linalg.pinv(scaled @ rows.A.T) @ scaled)
        return directions

    def _shoot_rays(self, cell: _Cell, directions: FloatArray) -> None:
        """Shoot rays from the witness: where one row is met before all others and the box, it is a facet."""
        rows, witness = cell.rows, cell.witness
        slack = rows.b - rows.A @ witness
        with np.errstate(divide="ignore", invalid="ignore"):
            speed = directions @ rows.A.T
            times = np.where(speed > 0.0, slack / speed, np.inf)
            room = np.where(directions > 0.0, self.box.high - witness, self.box.low - witness) / directions
            sides = np.where(directions != 0.0, room, np.inf).min(axis=1)
        first = times.argmin(axis=1)
        rays = np.arange(len(directions))
        at = times[rays, first]
        times[rays, first] = np.inf
        second = np.minimum(times.min(axis=1, initial=np.inf), sides)
        gaps = second - at
        candidates: dict[int, int] = {}
        for ray in np.flatnonzero((at >= 0.0) & (second > at * (1.0 + MARGIN))).tolist():
            row = int(first[ray])
            if row not in cell.beyond and (row not in candidates or gaps[ray] > gaps[candidates[row]]):
                candidates[row] = ray
        if not candidates:
            return
        crossed, rays = np.array(list(candidates)), np.array(list(candidates.values()))
        meeting = witness + at[rays, None] * directions[rays]
        far = witness + (0.5 * at[rays] + 0.5 * second[rays])[:, None] * directions[rays]
        self._cross_facets(cell, crossed, meeting, far)

    def _cross_facets(
        self, cell: _Cell, crossed: NDArray[np.int64], meeting: FloatArray, far: FloatArray
    ) -> None:
        """Keep the rows that are facets beyond doubt, with a point in the cell right behind each.

        The maps of the cell's own pattern prove that `far` is beyond that row alone, so the segment to the
        witness meets the facet's interior. Units that are constant on the cell may change with it.
        """
        on, units, each = cell.pattern, cell.rows.units[crossed], np.arange(crossed.size)
        values, errors = self._signs(far, on)
        constant = (values == 0.0) & (errors == 0.0)
        other = np.where(on, values < -errors, values > errors)
        same = np.where(on, values > errors, values < -errors)
        only = other.copy()
        only[each, units] = False
        alone = ~only.any(axis=1) & other[each, units]
        same[each, units] = True
        clear = alone & (same | constant).all(axis=1)
        clear &= ((far > self.box.low) & (far < self.box.high)).all(axis=1)
        left = np.flatnonzero(clear)
        share, table = 1.0, self.network.max_units
        for _ in range(MOST_HALVINGS):
            if left.size == 0:
                return
            points = meeting[left] + share * (far[left] - meeting[left])
            values, errors = self._signs(points)
            states = values > 0.0
            changed = states != on
            changed[np.arange(left.size), units[left]] ^= True
            if table is not None:  # where a candidate takes the lead, the winner loses it
                winners = [
                    next(k for k in table.rows_of(u) if on[k]) if table.first[u] >= 0 else -1
                    for u in units[left]
                ]
                tied = np.flatnonzero(np.array(winners) >= 0)
                changed[tied, np.array(winners)[tied]] ^= True
            good = _certain(values, errors).all(axis=1) & ~(changed & ~constant[left]).any(axis=1)
            for k in np.flatnonzero(good).tolist():
                cell.beyond[int(crossed[left[k]])] = points[k], states[k].tobytes()
            left, share = left[~good], 0.5 * share

    def _ask_programs(self, cell: _Cell) -> int:
        """Ask a linear program about every row that is no facet yet; return how many stay undecided."""
        rows, open_rows = cell.rows, set()
        programs = BoxPrograms(rows.A, rows.b, self.box.low, self.box.high, seconds=MOST_SECONDS)
        for row in range(rows.b.size):
            if row not in cell.beyond and not self._is_decided(cell, programs, row):
                open_rows.add(row)
        return len(open_rows - cell.beyond.keys())  # the ray of a later row may have met it

    def _is_decided(self, cell: _Cell, programs: BoxPrograms, row: int) -> bool:
        """Decide whether a row is a facet: True if multipliers show that it is none, or a ray that it is one.

        The point of the program, where the row is farthest beyond while all others hold, gives one more ray.
        """
        rows = cell.rows
        a, b = rows.A[row], float(rows.b[row])
        try:
            farthest = programs.maximise(a, without=row)
        except SolverError:
            return False
        if farthest.point is None:
            return False
        y = farthest.multipliers
        # errors of the rows, of the rest over the box, and of these sums
        doubt = float(y @ rows.errors) + float(rows.errors[row])
        sums = float((np.abs(a) + y @ np.abs(rows.A)) @ self._extents + y @ np.abs(rows.b)) + abs(b)
        doubt += 2.0 * rounding(sum(rows.A.shape) + 8) * sums
        if farthest.upper + (doubt if self.certified else 0.0) < b:
            return True
        if farthest.value > b:
            self._shoot_rays(cell, (farthest.point - cell.witness)[None])
        return row in cell.beyond


def _certain(values: FloatArray, errors: FloatArray) -> BoolArray:
    """Say which signs are beyond doubt; a value that is 0 without error is a constant, and off."""
    return (np.abs(values) > errors) | ((values == 0.0) & (errors == 0.0))


def _behind_winners(
    V: FloatArray, E: FloatArray, right: BoolArray, sizes: NDArray[np.int64]
) -> tuple[FloatArray, FloatArray]:
    """Return values (..., n) with those of candidates minus the winners', 1 for winners, and the errors."""
    places = np.broadcast_to(winner_places(right, sizes), V.shape)
    lead = V - np.take_along_axis(V, places, axis=-1)
    doubt = (E + np.take_along_axis(E, places, axis=-1)) * (1.0 + 1e-9) + 2.0**-52 * np.abs(lead)
    among = candidates(sizes, V.shape[-1])
    won = among & right
    lead, doubt = np.where(won, 1.0, lead), np.where(won, 0.0, doubt)
    return np.where(among, lead, V), np.where(among, doubt, E)


def _errors_of_maxima(E: FloatArray, right: BoolArray, sizes: NDArray[np.int64], doubted: bool) -> FloatArray:
    """Return the errors of what max units put out, for their winners; the largest where these are doubted."""
    if doubted:
        starts = np.cumsum(sizes) - sizes
        E = np.repeat(np.maximum.reduceat(E, starts, axis=-1), sizes, axis=-1)
    return np.where(right, E, 0.0)
