"""The cells of a network around a centre, in floating point: their rows and their distances from it.

Coordinates are offsets from the centre; the projections are those of `optimize`.
"""

from __future__ import annotations

from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from regions.errors import SolverError
from regions.exploration.search_frame import Frame
from regions.network.relu_network import Network
from regions.network.slopes import slopes_at
from regions.optimize import Norm, Polyhedron, Projection, ProjectionStatus, Scales, project, solve_lp

FloatArray = NDArray[np.float64]
LayerMaps = list[tuple[FloatArray, FloatArray]]

NEAR = 4.0  # times the distance of the farthest row that must be crossed: which rows are taken first
NOT_TINY = 1e-6  # of the rows' distances, what is surely more than rounding


class Rows(NamedTuple):
    """A cell as {u : A @ u <= b}, u = t - centre. Rows have length 1; units are flat, -1 - k for side k.

    The row of a candidate that loses in a max unit is by how much it trails the winner.
    """

    A: FloatArray
    b: FloatArray
    units: NDArray[np.int64]


class CenteredCells:
    """The cells of a network around a centre, in floating point.

    Parameters
    ----------
    network : Network
    frame : Frame
    norm : Norm; for the maximum norm without a domain the coordinates are all inputs
    """

    def __init__(self, network: Network, frame: Frame, norm: Norm = Norm.EUCLIDEAN) -> None:
        self.network, self.frame, self.norm = network, frame, norm
        domain = frame.domain
        self.inputs = norm is Norm.MAXIMUM and (frame.free or domain.is_identity)
        self.basis = np.eye(domain.input_dim) if self.inputs else domain.basis
        at = domain.to_input(frame.at)
        first = network.operators[0]
        self._first = first @ self.basis, first @ at + network.biases[0]
        self._sides = None if frame.free else self._side_rows()

    def _side_rows(self) -> Rows:
        A, b = self.frame.domain.halfspaces
        lengths = np.linalg.norm(A, axis=1)
        slack = np.maximum(b - A @ self.frame.at, 0.0)
        return Rows(A / lengths[:, None], slack / lengths, -1 - np.arange(len(b)))

    def _maps(self, pattern: NDArray[np.bool_]) -> tuple[LayerMaps, tuple[FloatArray, FloatArray]]:
        """Return the maps of all ReLU layers before their units, and of the output, in offsets."""
        maps, start = [], 0
        A, c = self._first
        for layer, relu in enumerate(self.network.relu):
            if layer:
                weight = self.network.operators[layer]
                A, c = weight @ A, weight @ c + self.network.biases[layer]
            if relu:
                maps.append((A, c))
                on = pattern[start : start + c.size]
                factors = slopes_at(self.network.slopes[layer], on)
                A, c = A * factors[:, None], c * factors
                start += c.size
        return maps, (A, c)

    def rows(self, pattern: NDArray[np.bool_]) -> Rows:
        """Return the rows of the cell of a pattern; units that are constant on it bound nothing."""
        maps, _ = self._maps(pattern)
        sign = np.where(pattern, -1.0, 1.0)
        A, c = np.concatenate([a for a, _ in maps]), np.concatenate([c for _, c in maps])
        if (table := self.network.max_units) is not None:
            own, winner = table.losers(pattern)
            A[own], c[own] = A[own] - A[winner], c[own] - c[winner]
            A[winner] = 0.0  # of which every loser has a row
        A, b = A * sign[:, None], -c * sign
        lengths = np.linalg.norm(A, axis=1)
        kept = np.flatnonzero((lengths > 0.0) & self.network.cutting)
        A, b = A[kept] / lengths[kept, None], b[kept] / lengths[kept]
        return Rows(A, b, kept) if self._sides is None else _joined(Rows(A, b, kept), self._sides)

    def output(self, pattern: NDArray[np.bool_]) -> tuple[FloatArray, FloatArray]:
        """Return the network on the cell of a pattern, (out, d) and (out,), in offsets."""
        return self._maps(pattern)[1]

    def clearances(self, rows: Rows) -> FloatArray:
        """Return the distance of the centre from each row's hyperplane, negative where it is beyond."""
        if self.norm is Norm.EUCLIDEAN:
            return rows.b
        if self.inputs:
            return rows.b / np.abs(rows.A).sum(axis=1)
        # on a plane only a bound: no shorter than the Euclidean distance over the root of the inputs
        return rows.b / np.where(rows.b > 0.0, np.sqrt(self.basis.shape[0]), 1.0)

    @cached_property
    def far(self) -> float:
        """The largest distance of a point of the domain; of an endless one, a large one for the problem."""
        domain = self.frame.domain
        if self.frame.endless:
            spread = self.norm is Norm.MAXIMUM and domain.dimension < domain.input_dim
            return self.frame.half_width / (float(np.sqrt(domain.input_dim)) if spread else 1.0)
        low, high = domain.bounds()
        return float(np.linalg.norm(np.maximum(self.frame.at - low, high - self.frame.at))) * (1.0 + 1e-9)

    def nearest_within(self, rows: Rows, limit: float, what: str) -> Projection | None:
        """Find the nearest point of a polyhedron; None if it is shown to have none nearer than a limit.

        Raises
        ------
        SolverError
            If no solver's answer passes the check.
        """
        found = self._projected(rows, what, limit)
        return found if found.status is ProjectionStatus.NEAREST else None

    def nearest(self, rows: Rows, what: str) -> Projection:
        """Find the nearest point of a cell, as an offset from the centre.

        Raises
        ------
        SolverError
            If no solver's answer passes the check.
        """
        return self._projected(rows, what, np.inf)

    def _projected(self, rows: Rows, what: str, limit: float) -> Projection:
        """Project with the rows that come near alone, and with all only where the answer is farther.

        A row beyond the answer does not bound it. Left in, it would set the scale of all tolerances: a unit
        that is all but constant in a cell has a row of length 1 that is 1e13 away.
        """
        clear = self.clearances(rows)
        reach = min(limit, self.far)
        behind, size = -float(clear.min(initial=0.0)), float(np.abs(clear[clear <= reach]).max(initial=0.0))
        near = (NEAR * behind,) if behind > NOT_TINY * size else ()
        for distance in (*near, reach):
            kept = clear <= distance
            found = project(self._polyhedron(Rows(*(part[kept] for part in rows))), what, within=limit)
            if found.status is ProjectionStatus.BEYOND or found.distance <= distance:
                return found
        return project(self._polyhedron(rows), what, within=limit)

    def inner_point(self, rows: Rows) -> FloatArray | None:
        """Return the centre of a largest ball in a cell of a bounded domain, None if none is found.

        Rows beyond the domain are left out, as their sizes would spoil the program.
        """
        kept = self.clearances(rows) <= self.far
        A, b = rows.A[kept], rows.b[kept]
        try:
            found = solve_lp(np.column_stack([A, np.ones(len(A))]), b, np.eye(A.shape[1] + 1)[-1])
        except SolverError:
            return None
        return None if found.point is None or not found.value > 0.0 else found.point[:-1]

    def _polyhedron(self, rows: Rows) -> Polyhedron:
        size = 1.0 + float(np.abs(rows.b).max(initial=0.0))
        in_plane = self.norm is Norm.MAXIMUM and not self.inputs  # the norm is that of basis @ u
        return Polyhedron(
            rows.A,
            rows.b,
            self.norm,
            Scales(1e-9 * size, 1e-6 * size, size),
            G=self.basis if in_plane else None,
            radius=self.far if in_plane else np.inf,
        )


def _joined(first: Rows, second: Rows) -> Rows:
    return Rows(*(np.concatenate(pair) for pair in zip(first, second, strict=True)))


def with_row(rows: Rows, a: FloatArray, b: float) -> Rows:
    """Return the part of a cell with a.u <= b, `a` not zero."""
    length = float(np.linalg.norm(a))
    extra = Rows(a[None] / length, np.array([b / length]), np.array([np.iinfo(np.int64).min]))
    return _joined(rows, extra)
