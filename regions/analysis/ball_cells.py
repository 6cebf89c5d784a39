"""The cells that meet a ball around a point, in three norms, with what can be said of them there.

Balls of the norms 1 and inf are polytopes, whose cells are enumerated. Of a Euclidean ball the box around it
is, and the exact distance of each cell decides.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from itertools import product
from typing import Any, Unpack

import numpy as np
from numpy.typing import ArrayLike, NDArray

from regions.analysis.ball_files import read_ball, write_ball
from regions.analysis.cell_sums import cell_masses
from regions.analysis.one_cell import chebyshev_ball
from regions.analysis.one_cell.halfspaces import bounding_planes, exact_rows, row_floats
from regions.complexes import Arithmetic, CellComplex
from regions.density import UniformBallDensity
from regions.domain import Domain, FrameBox, Slice
from regions.enumeration import enumerate_cells
from regions.enumeration.limits import Limits
from regions.errors import CertificateError, InvalidDomainError, InvalidInputError
from regions.inputs import without_tensors
from regions.network.relu_network import Network
from regions.rational import ExactNetwork, squared_distance
from regions.showing import Shown

__all__ = ["BallCells", "ball_cells", "ball_domain"]

FloatArray = NDArray[np.float64]

NEAR = 1e-9  # of the radius: rows as close as this to 0 at a float nearest point are likely to be 0
MOST_INPUTS = 8


@dataclass(frozen=True, eq=False)
class BallCells(Shown):
    """The cells that meet the open ball |x - center| < radius.

    Attributes
    ----------
    center : (d,) float64
    radius : float
    norm : float, 1, 2 or inf
    complex : CellComplex
        The cells in the ball, for the norm 2 in the box around it; coordinates are offsets from the centre.
    cells : (n,) int64, the cells of the complex that meet the ball
    squared_distances : tuple of n Fraction, of these cells from the centre, exact; of the norm 2 only

    Examples
    --------
    >>> cross = Network.from_arrays([[[1.0, 0.0], [0.0, 1.0]], [[1.0, 1.0]]], [[-0.75, -0.75], [0.0]])
    >>> found = ball_cells(cross, [0.0, 0.0], 1.0)
    >>> found.count, found.complex.n_cells, max(found.squared_distances)
    (3, 4, Fraction(9, 16))
    >>> found.distance_to_boundary, round(float(found.volumes[0].sum() / np.pi), 9)
    (0.75, 1.0)
    """

    center: FloatArray
    radius: float
    norm: float
    complex: CellComplex
    cells: NDArray[np.int64]
    squared_distances: tuple[Fraction, ...] = ()

    @property
    def n_cells(self) -> int:
        """Number of cells that meet the ball, as `count`."""
        return self.count

    def _headline(self) -> str:
        return f"{self.count:,} cells meet the ball of radius {self.radius:g}, {self.complex.status.value}"

    def _facts(self) -> dict[str, Any]:
        return {
            "cells": f"{self.count:,} ({self.complex.status.value})",
            "center": self.center,
            "radius": f"{self.radius:g} in the norm {self.norm:g}",
            "proven": self.complex.certificate.statement,
        }

    @property
    def count(self) -> int:
        """Number of cells that meet the ball; exact if the complex is COMPLETE."""
        return len(self.cells)

    @cached_property
    def volumes(self) -> tuple[FloatArray, FloatArray]:
        """Volumes (n,) of the parts of the cells inside the ball, and their errors (n,).

        In norm 2 by closed forms and cubature over simplices, to 1e-9 for d <= 3, 1e-4 for d = 4 and 1e-3
        beyond, relative.
        """
        if self.norm != 2.0:
            inside = self.complex.volumes[self.cells]
            return inside, self.complex.tolerances.volume_sum * inside
        d = self.complex.dimension
        rtol = 1e-9 if d <= 3 else 1e-4 if d == 4 else 1e-3
        masses, errors = cell_masses(self.complex, UniformBallDensity(np.zeros(d), self.radius, rtol=rtol))
        whole = math.pi ** (d / 2) / math.gamma(d / 2 + 1) * self.radius**d
        return whole * masses[self.cells], whole * errors[self.cells]

    @cached_property
    def inradii(self) -> FloatArray:
        """Radii (n,) of the largest Euclidean balls in the cells, clipped to the domain of the complex."""
        return np.array([chebyshev_ball(self.complex, int(cell)).radius for cell in self.cells])

    @cached_property
    def distance_to_boundary(self) -> float:
        """Distance of the centre from the border of its cell, in the norm; inf if that is beyond the ball.

        0 where the centre lies on a border itself.
        """
        own = self.complex.locate(np.zeros((1, self.complex.dimension)))[0]
        if own < 0:
            return 0.0
        A, c = _facet_rows(self.complex, int(own))
        dual = {1.0: np.inf, 2.0: 2.0, np.inf: 1.0}[self.norm]
        reach = np.maximum(c, 0.0) / np.linalg.norm(A, ord=dual, axis=1)
        nearest = float(reach.min(initial=np.inf))
        return nearest if nearest < self.radius else math.inf

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write everything, complex and network included, to one compressed file.

        It is a file of the complex too: `CellComplex.load` and all commands that take cells read that.

        Raises
        ------
        InvalidInputError
            If the file cannot be written.
        """
        write_ball(self, path)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> BallCells:
        """Read what `save` wrote.

        Raises
        ------
        InvalidInputError
            If the file is missing, damaged, changed since it was saved, or holds no ball, or if its numbers
            cannot be those of one. Whether they are right, `check` and `verify(found.complex)` tell.
        """
        return cls(**read_ball(path))

    def check(self) -> None:
        """Compute in rational arithmetic again which of the listed cells meet the ball.

        Raises
        ------
        CertificateError
            If they are others, or have other distances.
        """
        if self.norm == 2.0 and (meeting := _meeting(self.complex, self.radius)) != (
            self.cells.tolist(),
            list(self.squared_distances),
        ):
            raise CertificateError(
                f"{len(meeting[0])} of the {self.complex.n_cells} cells meet the ball, and {self.count} are "
                "listed, or with other distances: find its cells again"
            )

    def to_dict(self) -> dict[str, Any]:
        """Return the statistics as plain numbers and lists."""
        volumes, errors = self.volumes
        return {
            "cells": self.count,
            "status": self.complex.status.name,
            "norm": "inf" if self.norm == math.inf else f"{self.norm:g}",
            "radius": self.radius,
            "volumes": volumes.tolist(),
            "volume_errors": errors.tolist(),
            "inradii": self.inradii.tolist(),
            "distance_to_boundary": None
            if self.distance_to_boundary == math.inf
            else self.distance_to_boundary,
        }


def ball_domain(center: ArrayLike, radius: float, norm: float) -> Domain:
    """Return the ball of a norm 1 or inf as a domain, for norm 2 the box around the ball.

    Its intrinsic coordinates are offsets from the centre, so that nothing about it is rounded.

    Raises
    ------
    InvalidInputError
        If the norm is none of 1, 2 and inf, or the radius is not above 0.
    InvalidDomainError
        If the centre is no point of 1 to 8 inputs.

    Examples
    --------
    >>> ball_domain([1.0, 2.0], 0.5, 1).volume, ball_domain([1.0, 2.0], 0.5, 2).volume
    (0.5, 1.0)
    """
    if norm not in (1, 2, math.inf):
        raise InvalidInputError(f"norm is {norm!r}; choose 1, 2 or inf")
    if not (math.isfinite(radius) and radius > 0.0):
        raise InvalidInputError(f"radius is {radius!r}; give a finite number above 0")
    point = np.asarray(without_tensors(center), dtype=np.float64)
    d = point.size
    if point.ndim != 1 or not 1 <= d <= MOST_INPUTS:
        raise InvalidDomainError(
            f"center has shape {point.shape}; balls have 1 to {MOST_INPUTS} inputs: of more, explore(..., "
            "radius=...) finds the cells around a point"
        )
    if norm == 1 and d > 1:
        signs = np.array(list(product((-1.0, 1.0), repeat=d)))
        return Slice(point, np.eye(d), (signs, np.full(len(signs), radius)))
    return FrameBox(point, np.eye(d), np.full(d, -radius), np.full(d, radius))


def ball_cells(
    network: Network,
    center: ArrayLike,
    radius: float,
    *,
    norm: float = 2,
    arithmetic: Arithmetic = "certified",
    progress: Callable[[int, float], None] | None = None,
    **limits: Unpack[Limits],
) -> BallCells:
    """Find the cells that meet a ball around a point, exactly, with statistics on demand.

    Parameters
    ----------
    network : Network of 1 to 8 inputs
    center : (d,) numbers
    radius : float > 0
    norm : 1, 2 or inf
    arithmetic, progress, max_cells, max_seconds : as for `enumerate_cells`

    Returns
    -------
    BallCells

    Raises
    ------
    InvalidInputError, InvalidDomainError
        If an argument cannot be used.

    Notes
    -----
    A cell meets the ball if its interior does, so one that only touches it does not count. In norm 2 the
    squared distance of each cell of the box around the ball is computed in rational arithmetic, some tenths
    of a millisecond a cell, and compared with the radius squared.

    Examples
    --------
    >>> line = Network.from_arrays([[[1.0, 1.0]], [[1.0]]], [[-1.0], [0.0]])
    >>> [ball_cells(line, [0.0, 0.0], r).count for r in (0.7, 0.75)]  # the line is 0.7071 away
    [1, 2]
    """
    complex = enumerate_cells(
        network, ball_domain(center, radius, norm), arithmetic=arithmetic, progress=progress, **limits
    )
    point, every = np.array(without_tensors(center), np.float64), np.arange(complex.n_cells)
    if norm != 2:
        return BallCells(point, float(radius), float(norm), complex, every)
    meets, squares = _meeting(complex, float(radius))
    return BallCells(point, float(radius), 2.0, complex, np.array(meets, np.int64), tuple(squares))


def _meeting(complex: CellComplex, radius: float) -> tuple[list[int], list[Fraction]]:
    """Return the cells around a Euclidean ball that meet it, and their squared distances from its centre."""
    exact, limit = ExactNetwork(complex.network, complex.domain), Fraction(radius) ** 2
    squares = {cell: _squared_distance(complex, cell, exact) for cell in range(complex.n_cells)}
    meets = [cell for cell, square in squares.items() if square < limit]
    return meets, [squares[cell] for cell in meets]


def _units(complex: CellComplex, cell: int) -> list[int]:
    planes, _ = bounding_planes(complex, cell, facets_only=True)
    return [plane for plane in planes if plane >= 0]


def _facet_rows(complex: CellComplex, cell: int) -> tuple[FloatArray, FloatArray]:
    """Return rows A u + c >= 0 of the units that bound a cell."""
    exact = ExactNetwork(complex.network, complex.domain)
    _, rows = exact_rows(complex, cell, exact, _units(complex, cell))
    floats = np.array([row_floats(row) for row in rows]).reshape(len(rows), complex.dimension + 1)
    return floats[:, :-1], floats[:, -1]


def _squared_distance(complex: CellComplex, cell: int, exact: ExactNetwork) -> Fraction:
    """Return the exact squared distance of a cell from the centre, where it is nearer than the box's sides.

    Facets that show in the box are enough: what they leave open is outside of the box, and so of the ball.
    """
    _, rows = exact_rows(complex, cell, exact, _units(complex, cell))
    if not rows:
        return Fraction(0)
    from regions.optimize import Norm, Polyhedron, Scales, project

    floats = np.array([row_floats(row) for row in rows])
    lengths = np.linalg.norm(floats[:, :-1], axis=1)
    A, b = -floats[:, :-1] / lengths[:, None], floats[:, -1] / lengths
    if (b >= 0.0).all():
        return squared_distance(rows)
    size = float(np.abs(b).max())
    scales = Scales(1e-9 * size, 1e-6 * size, size)
    u = project(Polyhedron(A, b, Norm.EUCLIDEAN, scales), f"cell {cell}").point
    near = [] if u is None else np.flatnonzero(np.abs(A @ u - b) <= NEAR * size).tolist()
    return squared_distance(rows, near[: 2 * complex.dimension])
