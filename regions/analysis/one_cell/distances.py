"""The nearest point of a cell: which part of the cell is near, and in which frame that is of unit size.

The projection itself is that of `optimize`.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import ArrayLike, NDArray

from regions.analysis.one_cell.cell_frame import (
    CellFrame,
    cell_frame,
    narrowed,
)
from regions.analysis.one_cell.endless_cells import check_near, is_endless
from regions.analysis.one_cell.halfspaces import cell_index
from regions.analysis.one_cell.ranges import finite_vector
from regions.complexes.cell_complex import CellComplex
from regions.domain import Coordinates, check_coordinates
from regions.errors import SolverError
from regions.optimize import NO_SOLVER, Norm, Polyhedron, Scales, SolverReport, project
from regions.showing import Shown

FloatArray = NDArray[np.float64]

MAX_CLOSE_UPS = 8
CLOSE = 0.1  # distance over size of the cell from which the whole cell is looked at


@dataclass(frozen=True, eq=False)
class CellProjection(Shown):
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
    """The distances |G u - q| of the points origin + T u from that given, in the coordinates asked for."""

    frame: CellFrame
    G: FloatArray
    q: FloatArray

    def in_plane(self) -> tuple[FloatArray, bool]:
        """Return the u nearest to the point, in the cell or not, and whether it is in the cell."""
        nearest: FloatArray = np.asarray(np.linalg.lstsq(self.G, self.q, rcond=None)[0], np.float64)
        return nearest, bool(np.all(self.frame.R @ nearest <= self.frame.h))

    def polyhedron(self, norm: Norm) -> Polyhedron:
        """Return the cell and the target; gaps are measured against the narrowest semi-axis at least."""
        frame = self.frame
        narrowest = float(np.linalg.svd(frame.T, compute_uv=False)[-1])
        return Polyhedron(
            frame.R,
            frame.h,
            norm,
            Scales(narrowest, 1.0, 1.0),
            G=self.G,
            q=self.q,
            radius=frame.outer_radius,
            centred=True,
        )


def project_onto_cell(
    complex: CellComplex,
    cell: int,
    point: ArrayLike,
    *,
    norm: float = 2,
    coordinates: Coordinates = "intrinsic",
) -> CellProjection:
    """Find the nearest point of a cell, and its distance (one QP for norm 2, one LP for norm inf).

    Parameters
    ----------
    complex : CellComplex
    cell : int, as in the complex
    point : (d,) or (n0,) finite numbers, in the coordinates coordinates
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
        If there is no such cell, norm or coordinates, or the point is not as above, or so far from an
        unbounded cell that the box which clips it hides what is nearest.
    SolverError
        If no solver's answer passes the check (see `SolverReport`), or the cell is too thin.

    Notes
    -----
    Cost: about 12 ms in the plane, 45 ms on ACAS Xu (5 inputs, 6 x 50 units); in norm 2 a point much
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
    measure = Norm.of(norm)
    domain = complex.domain
    size = domain.dimension if coordinates == "intrinsic" else domain.input_dim
    given = finite_vector(point, size, "point")
    cell = cell_index(complex, cell)
    if is_endless(complex, cell):
        assert complex.clipped is not None  # that is what unbounded cells come from
        clipped = project_onto_cell(complex.clipped, cell, given, norm=norm)
        check_near(complex, given, clipped.distance)
        return clipped
    frame = cell_frame(complex, cell)
    target = _Target(frame, *_offsets(frame, given, coordinates))
    nearest, within = target.in_plane()
    if coordinates == "intrinsic" or domain.is_identity:
        within = _in_cell(frame, given)  # of a cell thinner than rounding, `nearest` may lie anywhere
    if within and size == domain.dimension:
        return CellProjection(frame.cell, given, 0.0, measure.value, NO_SOLVER)
    if measure is Norm.EUCLIDEAN or size == domain.dimension:
        target = _close_up(target, given, coordinates)
    polyhedron = target.polyhedron(measure)
    if within and measure is Norm.EUCLIDEAN:
        u, report = nearest, NO_SOLVER
    else:
        question = f"cell {frame.cell}, projection of a point in norm {measure.word}"
        found = project(polyhedron, question)
        if found.point is None:
            raise SolverError(f"{question}: the cell is taken for empty")
        u, report = found.point, SolverReport(found.solver, found.violation, found.gap)
    image = target.frame.point(u, coordinates)
    return CellProjection(frame.cell, image, polyhedron.distance(u), measure.value, report)


def _in_cell(frame: CellFrame, t: FloatArray) -> bool:
    """Decide exactly whether a point, in intrinsic coordinates, is in the closed cell."""
    point = [*(Fraction(x) for x in t.tolist()), Fraction(1)]
    return all(sum(int(a) * x for a, x in zip(row, point, strict=True)) >= 0 for row in frame.rows)


def _close_up(target: _Target, given: FloatArray, coordinates: Coordinates) -> _Target:
    """Find the same nearest points in the frame of the part of the cell close to them.

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
        target = _Target(part, *_offsets(part, given, coordinates))
    return target


def _offsets(frame: CellFrame, given: FloatArray, coordinates: Coordinates) -> tuple[FloatArray, FloatArray]:
    """Return G and q of a point; q is rounded once, after the cancellation."""
    exact = [Fraction(x) for x in given.tolist()]
    if coordinates == "intrinsic":
        return frame.T, np.array([float(x - o) for x, o in zip(exact, frame.origin, strict=True)])
    basis, start = frame.domain.basis, frame.domain.origin
    differences = []
    for x, o, row in zip(exact, start.tolist(), basis.tolist(), strict=True):
        along = sum((Fraction(e) * t for e, t in zip(row, frame.origin, strict=True) if e), Fraction(0))
        differences.append(x - Fraction(o) - along)
    return basis @ frame.T, np.array([float(x) for x in differences])
