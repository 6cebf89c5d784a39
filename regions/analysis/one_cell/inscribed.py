"""The largest ball and the largest ellipsoid in a cell."""

from __future__ import annotations

from dataclasses import dataclass
from math import lgamma, log, pi

import numpy as np
from numpy.typing import NDArray

from regions.analysis.one_cell.cell_frame import CellFrame, cell_frame
from regions.complexes.cell_complex import CellComplex
from regions.domain import Coordinates, check_coordinates
from regions.optimize import SolverReport, largest_ellipsoid, maximise_judged
from regions.showing import Shown

FloatArray = NDArray[np.float64]

SHARES = np.array([0.0, 1e-15, 1e-14, 1e-13, 1e-12, 1e-11, 1e-10])  # of the way to the origin


@dataclass(frozen=True, eq=False)
class CellBall(Shown):
    """A largest ball in a cell.

    Attributes
    ----------
    cell : int
    centre : (d,) or (n0,) float64
    radius : float, in input units
    report : SolverReport, its gap relative to the radius
    """

    cell: int
    centre: FloatArray
    radius: float
    report: SolverReport


@dataclass(frozen=True, eq=False)
class CellEllipsoid(Shown):
    """The largest ellipsoid in a cell, {centre + matrix @ v : |v| <= 1}.

    Attributes
    ----------
    cell : int
    centre : (d,) or (n0,) float64
    matrix : (d, d) or (n0, d) float64
        Its columns are the semi-axes, longest first: orthogonal vectors, signs not determined.
    volume : float, d-volume in input units
    report : SolverReport, its gap relative to the volume
    """

    cell: int
    centre: FloatArray
    matrix: FloatArray
    volume: float
    report: SolverReport


def chebyshev_ball(complex: CellComplex, cell: int, *, coordinates: Coordinates = "intrinsic") -> CellBall:
    """Find centre and radius of a largest ball in a cell (one LP in d + 1 variables).

    The radius is unique, the centre need not be. On a slice or segment the ball is one of its plane.

    Parameters
    ----------
    complex : CellComplex
    cell : int, as in the complex
    coordinates : "intrinsic" or "input", of the centre

    Returns
    -------
    CellBall

    Raises
    ------
    InvalidInputError
        If there is no such cell, or no such coordinates.
    SolverError
        If no solver's answer passes the check (see `SolverReport`), or the cell is too thin.

    Notes
    -----
    The radius keeps relative accuracy however small the cell; the centre is rounded to floats.
    Cost: about 6 ms in the plane, 20 ms on ACAS Xu (5 inputs, 6 x 50 units).

    References
    ----------
    Boyd and Vandenberghe, Convex Optimization (2004), section 8.5.1.

    Examples
    --------
    >>> from regions import Box, Network, enumerate_cells
    >>> line = Network.from_arrays([[[3.0, 4.0]], [[1.0]]], [[-12.0], [0.0]])
    >>> cells = enumerate_cells(line, Box([0.0, 0.0], [4.0, 3.0]))
    >>> ball = chebyshev_ball(cells, int(cells.locate([[1.0, 1.0]])[0]))  # the triangle 3, 4, 5
    >>> ball.centre.round(9).tolist(), round(ball.radius, 9)
    ([1.0, 1.0], 1.0)
    """
    check_coordinates(coordinates)
    frame = cell_frame(complex, cell)
    start = float(np.min(frame.h / frame.lengths))  # radius around the origin
    costs = frame.lengths * start

    def judge(x: FloatArray, multipliers: FloatArray) -> tuple[tuple[FloatArray, float], float, float]:
        drawn, violation = frame.draw_in(x[:-1])
        # where costs are below the tolerance of the solver its point may be on the border; one nearer to 0
        # is not, and its radius is smaller by as little
        points = [share * drawn for share in 1.0 - SHARES]
        radii = [float(np.min((frame.h - frame.R @ point) / costs)) for point in points]
        radius = max(radii)
        # for any ball in the cell: (multipliers . costs) r <= multipliers . (h - R u)
        bound = frame.support_bound(np.zeros(drawn.size), multipliers) / float(multipliers @ costs)
        gap = (bound - radius) / radius if radius > 0.0 else np.inf
        return (points[radii.index(radius)], radius), violation, gap

    objective = np.eye(complex.dimension + 1)[-1]
    (point, radius), report = maximise_judged(
        np.column_stack([frame.R, costs]), frame.h, objective, judge, f"cell {frame.cell}, Chebyshev ball"
    )
    return CellBall(frame.cell, frame.point(point, coordinates), radius * start, report)


def inscribed_ellipsoid(
    complex: CellComplex, cell: int, *, coordinates: Coordinates = "intrinsic"
) -> CellEllipsoid:
    """Find the ellipsoid of largest volume in a cell, John's (one program with d^2 + d variables).

    It is unique, and d times as large around the same centre it holds the cell. On a slice or segment
    the ellipsoid is one of its plane.

    Parameters
    ----------
    complex : CellComplex
    cell : int, as in the complex
    coordinates : "intrinsic" or "input", of the centre and of the semi-axes

    Returns
    -------
    CellEllipsoid

    Raises
    ------
    InvalidInputError
        If there is no such cell, or no such coordinates.
    SolverError
        If no solver's answer passes the check (see `SolverReport`), or the cell is too thin.

    Notes
    -----
    The volume keeps relative accuracy however small or thin the cell, and so does every semi-axis; the
    centre is rounded to floats. A gap g of the volume leaves the semi-axes a relative error of about
    sqrt(g). Cost: 25 ms in the plane, 90 ms on ACAS Xu (5 inputs, 6 x 50 units).

    References
    ----------
    Boyd and Vandenberghe, Convex Optimization (2004), section 8.4.2.

    Examples
    --------
    >>> from regions import Box, Network, enumerate_cells
    >>> line = Network.from_arrays([[[1.0, 0.0]], [[1.0]]], [[-2.0], [0.0]])
    >>> cells = enumerate_cells(line, Box([0.0, 0.0], [3.0, 1.0]))
    >>> found = inscribed_ellipsoid(cells, int(cells.locate([[1.0, 0.5]])[0]))  # [0, 2] x [0, 1]
    >>> found.centre.round(6).tolist(), abs(found.matrix).round(6).tolist(), round(found.volume, 6)
    ([1.0, 0.5], [[1.0, 0.0], [0.0, 0.5]], 1.570796)
    """
    check_coordinates(coordinates)
    frame = cell_frame(complex, cell)
    d = complex.dimension

    def judge(
        B: FloatArray, centre: FloatArray, multipliers: FloatArray
    ) -> tuple[tuple[FloatArray, FloatArray], float, float]:
        extent = np.linalg.norm(frame.R @ B, axis=1) + frame.R @ centre
        shrink = max(1.0, float(np.max(extent / frame.h)))
        violation = max(0.0, float(np.max(extent - frame.h)))
        return (B / shrink, centre / shrink), violation, _volume_gap(frame, B / shrink, multipliers)

    question = f"cell {frame.cell}, inscribed ellipsoid"
    (shape, point), report = largest_ellipsoid(frame.R, frame.h, judge, question)
    axes = _semi_axes(frame.T, shape)
    volume = float(np.prod(np.linalg.norm(axes, axis=0))) * np.exp(d / 2 * log(pi) - lgamma(d / 2 + 1))
    matrix = axes if coordinates == "intrinsic" else complex.domain.basis @ axes
    return CellEllipsoid(frame.cell, frame.point(point, coordinates), matrix, float(volume), report)


def _volume_gap(frame: CellFrame, B: FloatArray, multipliers: FloatArray) -> float:
    """Bound the relative excess of the volume of any ellipsoid in the cell over that of B.

    With w_i = multipliers_i B r_i / |B r_i| and M the symmetric part of sum r_i w_i^T, every ellipsoid
    (B', c) in the cell has tr(B' M) + (sum multipliers_i r_i) . c <= multipliers . h, and
    log det B' <= tr(B' M) - d - log det M; multiplying by the best factor gives the bound.
    """
    d = B.shape[0]
    images = frame.R @ B
    w = images * (multipliers / np.linalg.norm(images, axis=1))[:, None]
    M = (frame.R.T @ w + w.T @ frame.R) / 2
    (sign, log_M), (own, log_B) = np.linalg.slogdet(M), np.linalg.slogdet(B)
    if sign <= 0 or own <= 0 or np.linalg.eigvalsh(M)[0] <= 0.0 or np.linalg.eigvalsh(B)[0] <= 0.0:
        return float("inf")
    budget = frame.support_bound(np.zeros(d), multipliers)
    return max(0.0, float(np.expm1(d * np.log(budget / d) - log_M - log_B)))


def _semi_axes(T: FloatArray, B: FloatArray) -> FloatArray:
    """Find orthogonal columns that span the same ellipsoid as T @ B, longest first.

    One-sided Jacobi rotations keep the relative accuracy of every column where those of T differ in size by
    orders of magnitude (Demmel and Veselic 1992), as they do for thin cells.
    """
    order = np.argsort(-np.linalg.norm(T, axis=0))
    # B = L Q with L lower triangular, columns of T long to short: short ones are not mixed with long ones
    triangle = np.linalg.qr(B[order].T)[1].T
    axes = T[:, order] @ triangle
    d = axes.shape[1]
    for _ in range(30):
        largest = 0.0
        for j in range(d):
            for k in range(j + 1, d):
                a, b = axes[:, j], axes[:, k]
                na, nb = float(np.linalg.norm(a)), float(np.linalg.norm(b))
                cosine = float((a / na) @ (b / nb))
                largest = max(largest, abs(cosine))
                if abs(cosine) > 1e-16:
                    zeta = (nb / na - na / nb) / (2 * cosine)
                    t = np.copysign(1.0, zeta) / (abs(zeta) + np.hypot(1.0, zeta))
                    c = 1.0 / np.hypot(1.0, t)
                    axes[:, j], axes[:, k] = c * (a - t * b), c * (t * a + b)
        if largest < 1e-15:
            break
    return np.ascontiguousarray(axes[:, np.argsort(-np.linalg.norm(axes, axis=0), kind="stable")])
