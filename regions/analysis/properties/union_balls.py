"""The largest ball in a union of violating pieces: one that is inside, and a bound that none exceeds.

Pieces are parts of cells, so that two of them share whole facets. What is left over bounds the union: a ball
around a point of a piece that meets no such facet is inside. Points known to be safe bound it from above.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Sequence
from dataclasses import replace
from fractions import Fraction
from math import gamma, gcd, inf, pi

import numpy as np
from numpy.typing import NDArray

from regions.analysis.properties.violating_pieces import InscribedBall, ViolatingPiece, largest_ball
from regions.domain import Domain
from regions.errors import SolverError
from regions.optimize import nearest_in_hull, solve_lp
from regions.rational import dyadic_integers
from regions.rational.integer_rows import dot

__all__ = ["ball_in_union"]

FloatArray = NDArray[np.float64]
Point = tuple[Fraction, ...]
IsSafe = Callable[[Point], bool]

MOST_PIECES = 512  # of a union in which a ball is sought over several pieces
STARTS, STEPS = 4, 12  # pieces that an ascent starts in, and its steps
BOXES = 1024  # of centres, that are bounded
CLOSE = 1e-3  # relative gap of radius and bound at which the search ends
ROOM = 2.0**-44  # relative, for the rounding of vertices and sums
BEYOND = 2.0**-30  # of the union's size: how far beyond a facet points are asked whether they are safe


def ball_in_union(
    pieces: Sequence[ViolatingPiece], domain: Domain, is_safe: IsSafe, complete: bool = True
) -> InscribedBall | None:
    """Return a ball inside the union of the violating pieces of a case, and a bound of all such balls.

    Parameters
    ----------
    pieces : sequence of ViolatingPiece, of one case
    domain : Domain, of the case
    is_safe : function of an intrinsic point that tells whether it does not violate, exactly
    complete : bool, whether the pieces are all there are; else no bound is known

    Notes
    -----
    The centre moves by linear programs: for any direction u, the points of a facet are at least min u.v -
    u.c away from c. The bound is found by halving boxes of centres: a ball around any point of a box is no
    larger than the farthest distance from the box to some safe point.

    Examples
    --------
    >>> from regions import Box, Network, check_property
    >>> absolute = Network.from_arrays([[[1.0], [-1.0]], [[1.0, 1.0]]], [[0.0, 0.0], [0.0]])
    >>> ball = check_property(absolute, (Box([-1.0], [1.0]), [([[1.0]], [0.5])]), volume=True).ball
    >>> round(ball.radius, 6), ball.upper - ball.radius < 1e-3  # |x| <= 1/2, in two cells
    (0.5, True)
    """
    best = largest_ball(pieces)
    if best is None:
        return None
    d = domain.dimension
    total = float(sum((piece.volume for piece in pieces), Fraction(0)))
    upper = (1.000001 * total / (pi ** (d / 2) / gamma(d / 2 + 1))) ** (1.0 / d) if complete else inf
    if len(pieces) <= MOST_PIECES:
        union = _Union(pieces, domain)
        best = union.improved(best)
        if complete:
            upper = min(upper, union.bound(best, is_safe))
    return replace(best, upper=max(upper, best.radius))


class _Union:
    """A union of pieces, the facets that bound it, and distances from these."""

    def __init__(self, pieces: Sequence[ViolatingPiece], domain: Domain) -> None:
        self.pieces = sorted(pieces, key=lambda one: -one.volume)
        self.domain = domain
        seen: dict[frozenset[tuple[int, ...]], tuple[ViolatingPiece, int]] = {}
        for piece in self.pieces:
            corners = [_reduced(vertex) for vertex in piece.polytope.vertices]
            for on, numbers in piece.polytope.facets().items():
                face = frozenset(corner for k, corner in enumerate(corners) if on >> k & 1)
                if face in seen:
                    del seen[face]  # both sides of it violate
                else:
                    seen[face] = piece, numbers[0]
        self.facets = [np.array([[x / v[-1] for x in v[:-1]] for v in face]) for face in seen]
        self.outward = [_outward(piece.rows[number]) for piece, number in seen.values()]
        boxes = [(piece.vertices.min(axis=0), piece.vertices.max(axis=0)) for piece in self.pieces]
        self.low, self.high = (np.array(ends) for ends in zip(*boxes, strict=True))
        self.size = float((self.high.max(axis=0) - self.low.min(axis=0)).max())
        self._room = ROOM * max(float(np.abs(self.low).max()), float(np.abs(self.high).max()))
        self._middles = np.array([facet.mean(axis=0) for facet in self.facets])
        reaches = zip(self.facets, self._middles, strict=True)
        self._reaches = np.array([np.linalg.norm(facet - at, axis=1).max() for facet, at in reaches])

    def holds(self, point: Point) -> bool:
        """Tell whether a point is in a piece, exactly."""
        t = np.array([float(x) for x in point])
        near = ((self.low - self._room <= t) & (t <= self.high + self._room)).all(axis=1)
        numbers, shift = dyadic_integers(t)
        homogeneous = (*numbers, 1 << shift)
        return any(
            all(dot(row, homogeneous) >= 0 for row in self.pieces[k].rows.values())
            for k in np.flatnonzero(near).tolist()
        )

    def directions(self, centre: FloatArray, within: float) -> tuple[list[int], FloatArray, FloatArray]:
        """Return facets that may be so near, unit vectors towards them, and where along these they begin."""
        least = np.linalg.norm(self._middles - centre, axis=1) - self._reaches
        chosen = np.flatnonzero(least <= within).tolist()
        units, starts = [], []
        for k in chosen:
            away = self.facets[k] - centre
            toward = nearest_in_hull(away)
            length = float(np.linalg.norm(toward))
            unit = toward / length if length > 0.0 else self.outward[k]
            units.append(unit)
            starts.append(float((self.facets[k] @ unit).min()) - self._room)
        return chosen, np.array(units), np.array(starts)

    def radius(self, centre: FloatArray, within: float) -> float:
        """Return a proven lower bound of a point's distance from the facets; at most `within`."""
        _, units, starts = self.directions(centre, within)
        if not len(units):
            return within
        return float(min(within, 0.999999999 * (starts - units @ centre).min() - self._room))

    def improved(self, best: InscribedBall) -> InscribedBall:
        """Return the best ball after ascents from the middles of some pieces."""
        if not self.facets:
            return best
        starts = [np.array([float(x) for x in best.centre])]
        starts += [piece.vertices.mean(axis=0) for piece in self.pieces[:STARTS]]
        for at in starts:
            radius = self.radius(at, self.size)
            for _ in range(STEPS):
                moved = self._step(at, max(radius, 0.0))
                if moved is None:
                    break
                found = self.radius(moved, self.size)
                if not found > radius + CLOSE * 1e-3 * self.size or not self.holds(_exact(moved)):
                    break
                at, radius = moved, found
            if radius > best.radius and self.holds(_exact(at)):
                best = InscribedBall(best.case, _exact(at), radius)
        return best

    def _step(self, centre: FloatArray, radius: float) -> FloatArray | None:
        """Return the centre of the largest ball before all facets that are near, in their directions now."""
        reach = 2.0 * radius + 0.1 * self.size
        _, units, starts = self.directions(centre, 2.0 * reach)
        if not len(units):
            return None
        d = len(centre)
        rows = np.column_stack([units, np.ones(len(units))])
        walls = np.column_stack([np.vstack([np.eye(d), -np.eye(d)]), np.zeros(2 * d)])
        slack = (starts - units @ centre) / self.size
        sides = np.full(2 * d, reach / self.size)
        try:
            solved = solve_lp(np.vstack([rows, walls]), np.concatenate([slack, sides]), np.eye(d + 1)[-1])
        except SolverError:
            return None
        return None if solved.point is None else centre + self.size * solved.point[:-1]

    def bound(self, best: InscribedBall, is_safe: IsSafe) -> float:
        """Return a radius that no ball in the union exceeds."""
        A, b = self.domain.halfspaces
        lengths = np.linalg.norm(A, axis=1)
        A, b = A / lengths[:, None], b / lengths
        witnesses = np.zeros((0, len(self.low[0])))

        def most(low: FloatArray, high: FloatArray) -> float:
            if not ((self.low <= high) & (low <= self.high)).all(axis=1).any():
                return -inf
            sides = b - (A * np.where(A > 0.0, low, high)).sum(axis=1)
            far = np.maximum(np.abs(witnesses - low), np.abs(witnesses - high))
            reach = np.sqrt(np.square(far).sum(axis=1)).min(initial=inf)
            return 1.000001 * float(min(sides.min(), reach)) + self._room

        low, high = self.low.min(axis=0), self.high.max(axis=0)
        waiting = [(-most(low, high), 0, low, high)]
        for count in range(1, BOXES):
            if not waiting or -waiting[0][0] <= best.radius * (1.0 + CLOSE):
                break
            _, _, low, high = heapq.heappop(waiting)
            witness = self._safe_point(0.5 * (low + high), is_safe)
            if witness is not None:
                witnesses = np.vstack([witnesses, witness])
            axis = int(np.argmax(high - low))
            middle = 0.5 * (low[axis] + high[axis])
            for k, end in enumerate((high, low)):
                half = end.copy()
                half[axis] = middle
                box = (low, half) if k == 0 else (half, high)
                heapq.heappush(waiting, (-most(*box), 2 * count + k, *box))
        return max(-waiting[0][0], best.radius) if waiting else best.radius

    def _safe_point(self, at: FloatArray, is_safe: IsSafe) -> FloatArray | None:
        """Return a safe point near another: itself, or beyond the nearest facet of the union."""
        if is_safe(_exact(at)):
            return at
        if not self.facets:
            return None
        order = np.argsort(np.linalg.norm(self._middles - at, axis=1) - self._reaches)
        nearest, least = None, inf
        for k in order.tolist():
            if float(np.linalg.norm(self._middles[k] - at)) - self._reaches[k] >= least:
                break
            toward = nearest_in_hull(self.facets[k] - at)
            if np.linalg.norm(toward) < least:
                least = float(np.linalg.norm(toward))
                nearest = at + toward + BEYOND * self.size * self.outward[k]
        return nearest if nearest is not None and is_safe(_exact(nearest)) else None


def _exact(t: FloatArray) -> Point:
    return tuple(Fraction(x) for x in t.tolist())


def _reduced(vertex: Sequence[int]) -> tuple[int, ...]:
    """Return homogeneous coordinates without a common divisor."""
    divisor = gcd(*(int(x) for x in vertex))
    return tuple(int(x) // divisor for x in vertex)


def _outward(row: Sequence[int]) -> FloatArray:
    """Return the unit normal out of a piece on which a row is >= 0."""
    scale = 1 << max(abs(int(x)).bit_length() for x in row[:-1])
    normal = np.array([-float(Fraction(int(x), scale)) for x in row[:-1]])
    return normal / np.linalg.norm(normal)
