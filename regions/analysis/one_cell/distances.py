"""The nearest point of a cell, in the Euclidean or the maximum norm."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import ArrayLike, NDArray

from regions.analysis.one_cell.cell_frame import CellFrame, cell_frame, narrowed
from regions.analysis.one_cell.ranges import finite_vector
from regions.complexes import CellComplex
from regions.domain import check_coordinates
from regions.errors import InvalidInputError
from regions.optimize.convex_programs import CONIC, LINEAR, NO_SOLVER, SolverReport, solve_checked

FloatArray = NDArray[np.float64]

MAX_CLOSE_UPS = 8
CLOSE = 0.1  # distance over size of the cell from which the whole cell is looked at


@dataclass(frozen=True, eq=False)
class CellProjection:
    """A nearest point of a cell.

    Attributes
    ----------
    cell : int
    point : (d,) or (n0,) float64, in the coordinates asked for
    distance : float, in the norm asked for, of the unrounded nearest point
    norm : 2.0 or inf
    report : SolverReport
    """

    cell: int
    point: FloatArray
    distance: float
    norm: float
    report: SolverReport


@dataclass(frozen=True)
class _Target:
    """Distances of origin + T u from the point given: |G u - q|, in the coordinates asked for."""

    frame: CellFrame
    G: FloatArray
    q: FloatArray
    norm: float

    def in_plane(self) -> tuple[FloatArray, bool]:
        """The u nearest to the point, whether in the cell or not; and whether it is."""
        nearest: FloatArray = np.asarray(np.linalg.lstsq(self.G, self.q, rcond=None)[0], np.float64)
        return nearest, bool(np.all(self.frame.R @ nearest <= self.frame.h))

    def distance(self, u: FloatArray) -> float:
        return float(np.linalg.norm(self.G @ u - self.q, ord=self.norm))

    def gap(self, u: FloatArray, slope: FloatArray, multipliers: FloatArray) -> float:
        """Relative gap: every u' has |G u' - q| >= slope . (q - G u') for a slope of dual norm 1."""
        bound = float(slope @ self.q) - self.frame.support_bound(self.G.T @ slope, multipliers)
        distance = self.distance(u)
        narrow = float(np.linalg.svd(self.frame.T, compute_uv=False)[-1])
        return max(0.0, distance - bound) / max(distance, narrow)


def project_onto_cell(
    complex: CellComplex,
    cell: int,
    point: ArrayLike,
    *,
    norm: float = 2,
    coordinates: str = "intrinsic",
) -> CellProjection:
    """The nearest point of a cell, and its distance (one QP for norm 2, one LP for norm inf).

    Parameters
    ----------
    complex : CellComplex
    cell : int, as in the complex
    point : (d,) or (n0,) finite numbers, in the coordinates chosen
    norm : 2 or inf
    coordinates : "intrinsic" or "input"
        Of both points and of the norm. An input may lie off a slice: its distance counts in full.

    Returns
    -------
    CellProjection
        In norm inf the distance is unique, the point need not be. A point of the cell has distance 0.0.

    Raises
    ------
    InvalidInputError
        If there is no such cell, norm or coordinates, or the point is not as above.
    SolverError
        If no solver's answer passes the check (see `SolverReport`), or the cell is too thin.

    Notes
    -----
    Cost: about 15 ms in the plane, 45 ms on ACAS Xu (5 inputs, 6 x 50 units); in norm 2 a point much
    closer than the cell is wide costs up to twice that.

    References
    ----------
    Boyd and Vandenberghe, Convex Optimization (2004), section 8.1.

    Examples
    --------
    >>> from regions import Box, Network, enumerate_cells
    >>> line = Network.from_arrays([[[1.0, 1.0]], [[1.0]]], [[-1.0], [0.0]])
    >>> cells = enumerate_cells(line, Box([0.0, 0.0], [1.0, 1.0]))
    >>> corner = int(cells.locate([[0.1, 0.1]])[0])
    >>> found = project_onto_cell(cells, corner, [1.0, 1.0])
    >>> found.point.round(6).tolist(), round(found.distance, 6)
    ([0.5, 0.5], 0.707107)
    >>> round(project_onto_cell(cells, corner, [1.0, 1.0], norm=float("inf")).distance, 6)
    0.5
    """
    check_coordinates(coordinates)
    if norm not in (2, np.inf):
        raise InvalidInputError(f"norm {norm!r}; choose 2 or inf")
    domain = complex.domain
    size = domain.dimension if coordinates == "intrinsic" else domain.input_dim
    given = finite_vector(point, size, "point")
    frame = cell_frame(complex, cell)
    target = _Target(frame, *_offsets(frame, given, coordinates), float(norm))
    nearest, within = target.in_plane()
    if coordinates == "intrinsic" or domain.is_identity:
        within = _in_cell(frame, given)  # of a cell thinner than rounding, `nearest` may lie anywhere
    if within and size == domain.dimension:
        return CellProjection(frame.cell, given, 0.0, float(norm), NO_SOLVER)
    if norm == 2 or size == domain.dimension:
        target = _close_up(target, given, coordinates)
    if norm == 2:
        u, report = (nearest, NO_SOLVER) if within else _nearest_euclidean(target)
    else:
        u, report = _nearest_maximum(target)
    found = target.frame.point(u, coordinates)
    return CellProjection(frame.cell, found, target.distance(u), float(norm), report)


def _in_cell(frame: CellFrame, t: FloatArray) -> bool:
    """Whether a point, in intrinsic coordinates, is in the closed cell: exactly."""
    point = [*(Fraction(x) for x in t.tolist()), Fraction(1)]
    return all(sum(int(a) * x for a, x in zip(row, point, strict=True)) >= 0 for row in frame.rows)


def _close_up(target: _Target, given: FloatArray, coordinates: str) -> _Target:
    """The same nearest points in the frame of the part of the cell close to them.

    A point much closer to the cell than that is large would leave the solver's tolerance larger than the
    distance. Any point of the cell bounds the distance, and so the part that is needed.
    """
    for _ in range(MAX_CLOSE_UPS):
        frame = target.frame
        nearest, within = target.in_plane()
        candidate, _ = frame.draw_in(nearest)
        distance = float(np.linalg.norm(frame.T @ (candidate - nearest)))
        size = float(np.linalg.norm(frame.T, ord=2))
        if within or distance > CLOSE * size:
            break
        back = min(0.5, distance / (4.0 * float(np.linalg.norm(frame.T @ candidate))))
        part = narrowed(frame, frame.exact_point(nearest), 2.0 * distance, (1.0 - back) * candidate)
        if part is None:  # closer than rounding
            break
        target = _Target(part, *_offsets(part, given, coordinates), target.norm)
    return target


def _offsets(frame: CellFrame, given: FloatArray, coordinates: str) -> tuple[FloatArray, FloatArray]:
    """G and q of a point; q is rounded once, after the cancellation."""
    exact = [Fraction(x) for x in given.tolist()]
    if coordinates == "intrinsic":
        return frame.T, np.array([float(x - o) for x, o in zip(exact, frame.origin, strict=True)])
    basis, start = frame.domain.basis, frame.domain.origin
    differences = []
    for x, o, row in zip(exact, start.tolist(), basis.tolist(), strict=True):
        along = sum((Fraction(e) * t for e, t in zip(row, frame.origin, strict=True) if e), Fraction(0))
        differences.append(x - Fraction(o) - along)
    return basis @ frame.T, np.array([float(x) for x in differences])


def _nearest_euclidean(target: _Target) -> tuple[FloatArray, SolverReport]:
    """Least |G u - q|^2 / 2 up to a constant, scaled so that it varies by about 1 on the cell."""
    import cvxpy

    frame, G, q = target.frame, target.G, target.q
    scale = max(float(np.linalg.norm(G, ord=2)) ** 2, float(np.linalg.norm(G.T @ q)))
    u = cvxpy.Variable(G.shape[1])
    inside = frame.R @ u <= frame.h
    # the triangular factor of G has the same G^T G with d rows, however many inputs there are
    root = np.linalg.qr(G)[1] / np.sqrt(scale)
    objective = cvxpy.sum_squares(root @ u) / 2 - (G.T @ q / scale) @ u
    problem = cvxpy.Problem(cvxpy.Minimize(objective), [inside])

    def judge() -> tuple[FloatArray, float, float]:
        point, violation = frame.draw_in(np.asarray(u.value))
        multipliers = np.maximum(inside.dual_value, 0.0)
        candidates = [point]
        refined = _refined(target, multipliers)
        if refined is not None:
            candidates.append(frame.draw_in(refined[0])[0])
        best = min(candidates, key=target.distance)
        away = q - G @ best
        slope = away / max(target.distance(best), np.finfo(float).tiny)
        sets = [multipliers * (scale / max(target.distance(best), np.finfo(float).tiny))]
        if refined is not None:
            sets.append(refined[1] / max(target.distance(best), np.finfo(float).tiny))
        return best, violation, min(target.gap(best, slope, found) for found in sets)

    return solve_checked(problem, CONIC, judge, f"cell {frame.cell}, projection of a point")


def _nearest_maximum(target: _Target) -> tuple[FloatArray, SolverReport]:
    """Least largest coordinate of |G u - q|, counted from that of the frame's origin."""
    import cvxpy

    frame, G, q = target.frame, target.G, target.q
    scale = float(np.linalg.norm(G, axis=1).max())
    start = float(np.abs(q).max())
    u, change = cvxpy.Variable(G.shape[1]), cvxpy.Variable()
    inside = frame.R @ u <= frame.h
    above = (G / scale) @ u - change <= (start + q) / scale
    below = -(G / scale) @ u - change <= (start - q) / scale
    problem = cvxpy.Problem(cvxpy.Minimize(change), [inside, above, below])

    def judge() -> tuple[FloatArray, float, float]:
        point, violation = frame.draw_in(np.asarray(u.value))
        slope = np.maximum(below.dual_value, 0.0) - np.maximum(above.dual_value, 0.0)
        total = max(float(np.abs(slope).sum()), np.finfo(float).tiny)
        multipliers = np.maximum(inside.dual_value, 0.0) * (scale / total)
        return point, violation, target.gap(point, slope / total, multipliers)

    return solve_checked(problem, LINEAR, judge, f"cell {frame.cell}, projection in the maximum norm")


def _refined(target: _Target, multipliers: FloatArray) -> tuple[FloatArray, FloatArray] | None:
    """The nearest point on the hyperplanes that the solver's multipliers name, and its multipliers."""
    frame, G, q = target.frame, target.G, target.q
    active = np.flatnonzero(multipliers > 1e-6 * multipliers.max(initial=0.0))
    if active.size == 0 or active.size > G.shape[1]:
        return None
    rows = frame.R[active]
    on = np.linalg.lstsq(rows, frame.h[active], rcond=None)[0]
    free = np.linalg.svd(rows)[2][active.size :].T
    u: FloatArray = np.asarray(on, np.float64)
    if free.size:
        u = on + free @ np.linalg.lstsq(G @ free, q - G @ on, rcond=None)[0]
    found = np.zeros(multipliers.size)
    found[active] = np.linalg.lstsq(rows.T, G.T @ (q - G @ u), rcond=None)[0]
    return u, np.maximum(found, 0.0)
