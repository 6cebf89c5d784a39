"""A cell at unit size: coordinates u in which it is neither small nor thin, around an inner point.

With t = origin + T @ u and an exact rational origin, rows are multiplied by T in integers and rounded once.
So nothing cancels, however small the cell is or however far from 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import lcm
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from regions.analysis.one_cell.halfspaces import Row, bounding_planes, cell_index, exact_rows
from regions.complexes import CellComplex
from regions.domain import Coordinates, Domain
from regions.errors import InvalidInputError, SolverError
from regions.rational import ExactNetwork, dyadic_integers, exact_cell, interior_point

FloatArray = NDArray[np.float64]

MAX_ROUNDS = 12
MAX_NEWTON_STEPS = 200
CENTRED = 1e-3  # Newton decrement of a point that counts as the analytic centre
ROUND = 2.0  # semi-axes of the Dikin ellipsoid between 1 / 2 and 2 count as a unit ball
LARGEST_STRETCH = 1e13  # of one round; beyond, floats do not tell directions apart


@dataclass(frozen=True, eq=False)
class CellFrame:
    """A cell {u : R @ u <= h} in coordinates of its own, t = origin + T @ u.

    The origin is close to the cell's analytic centre, where the Dikin ellipsoid is about the unit ball.
    That ball lies in the cell, and the cell in the ball of radius `outer_radius`.

    Attributes
    ----------
    cell : int
    exact : ExactNetwork
    domain : Domain
    pattern : (n_units,) bool
    rows : m exact rows (a_1, ..., a_d, c), a.t + c >= 0 on the cell
    origin : d Fractions, intrinsic
    T : (d, d) float64
    R : (m, d) float64, rows of length 1
    h : (m,) float64, > 0
    lengths : (m,) float64, length of each row's gradient in t when that in u is 1
    outer_radius : float, a proven bound of |u| on the cell
    """

    cell: int
    exact: ExactNetwork
    domain: Domain
    pattern: NDArray[np.bool_]
    rows: tuple[Row, ...]
    origin: tuple[Fraction, ...]
    T: FloatArray
    R: FloatArray
    h: FloatArray
    lengths: FloatArray
    outer_radius: float

    def linear(self, row: Sequence[Fraction]) -> tuple[float, FloatArray]:
        """Return value at the origin and gradient in u of t -> a.t + c, for a row (a_1, ..., a_d, c)."""
        scale = lcm(*(x.denominator for x in row))
        integers = tuple(x.numerator * (scale // x.denominator) for x in row)
        gradient, value = _transform(integers, self.origin, _Dyadic.of(self.T))
        return float(value / scale), np.array([float(x / scale) for x in gradient])

    def draw_in(self, u: FloatArray) -> tuple[FloatArray, float]:
        """Return the point, moved towards the origin if it lies outside, and how far outside it lay."""
        excess = float(np.max(self.R @ u - self.h))
        return u / max(1.0, float(np.max(self.R @ u / self.h))), max(0.0, excess)

    def support_bound(self, c: FloatArray, multipliers: FloatArray) -> float:
        """Bound c.u over the cell from above, by weak duality, for any multipliers >= 0."""
        rest = c - self.R.T @ multipliers
        return float(multipliers @ self.h + np.linalg.norm(rest) * self.outer_radius)

    def exact_point(self, u: FloatArray) -> tuple[Fraction, ...]:
        """Return the point origin + T @ u; its product is rounded, its sum is not."""
        return tuple(o + Fraction(float(x)) for o, x in zip(self.origin, self.T @ u, strict=True))

    def point(self, u: FloatArray, coordinates: Coordinates) -> FloatArray:
        """Return the point origin + T @ u, rounded: (d,) intrinsic or (n0,) input."""
        moved = [float(x) for x in self.exact_point(u)]
        return np.array(moved) if coordinates == "intrinsic" else self.domain.to_input(moved)


def cell_frame(complex: CellComplex, cell: int) -> CellFrame:
    """Return the frame of a cell: its Dikin ellipsoid is made round, again and again, until it stays so.

    Parameters
    ----------
    complex : CellComplex
    cell : int, as in the complex

    Raises
    ------
    InvalidInputError
        If there is no such cell, or it is unbounded.
    CertificateError
        If no full-dimensional set has its pattern (a complex of float arithmetic may list such).
    SolverError
        If the cell is too thin to be brought to unit size.

    References
    ----------
    Nesterov and Nemirovskii, Interior-Point Polynomial Algorithms in Convex Programming, section 2.2.
    """
    cell = cell_index(complex, cell)
    if complex.clipped is not None:
        if not complex.bounded[cell]:
            raise InvalidInputError(
                f"cell {cell} is unbounded: ask for complex.rays({cell}), cell_halfspaces, output_range or "
                "project_onto_cell, or ask this of complex.clipped"
            )
        complex = complex.clipped
    exact = ExactNetwork(complex.network, complex.domain)
    planes, _ = bounding_planes(complex, cell, facets_only=True)
    _, rows = exact_rows(complex, cell, exact, planes)
    place = _Place(cell, exact, complex.domain, complex.pattern(cell))
    return _rounded(place, rows, _inner_point(complex, cell, exact, rows))


def narrowed(frame: CellFrame, middle: Sequence[Fraction], radius: float, u: FloatArray) -> CellFrame | None:
    """Return the frame of the part of a cell with |t - middle| <= radius in every coordinate.

    Parameters
    ----------
    frame : CellFrame
    middle : d Fractions
    radius : float, > 0
    u : (d,) float64, in the frame, a point strictly inside the part

    Returns
    -------
    CellFrame, or None if u is not strictly inside
    """
    rows = list(frame.rows)
    for k, x in enumerate(middle):
        for sign in (1, -1):
            bound = Fraction(radius) + sign * x
            row = [0] * len(middle) + [bound.numerator]
            row[k] = -sign * bound.denominator
            rows.append(tuple(row))
    origin = frame.exact_point(u)
    if any(value <= 0 for _, value in _all_transformed(rows, origin, np.eye(len(middle)))):
        return None
    return _rounded(_Place(frame.cell, frame.exact, frame.domain, frame.pattern), rows, origin)


class _Place(NamedTuple):
    """What a frame says about its cell and what does not change when that is cut."""

    cell: int
    exact: ExactNetwork
    domain: Domain
    pattern: NDArray[np.bool_]


def _rounded(place: _Place, rows: list[Row], origin: tuple[Fraction, ...]) -> CellFrame:
    """Return the frame of {t : a.t + c >= 0 for all rows}, from a point strictly inside."""
    T = np.eye(len(origin))
    for _ in range(MAX_ROUNDS):
        R, h, lengths = _rows_in_frame(rows, origin, T)
        decrement, least, largest = _roundness(R / h[:, None])
        if decrement < CENTRED and least * ROUND > 1.0 and largest < ROUND:
            m = h.size
            # v = (R / h) u has all v_i <= 1 and |sum v_i| <= decrement |v| on the cell: so with w = 1 - v,
            # |v| <= |w| + sqrt m <= sum w + sqrt m <= m + decrement |v| + sqrt m
            radius = float((m + np.sqrt(m)) / (1.0 - decrement) / least)
            return CellFrame(*place, tuple(rows), origin, T, R, h, lengths, radius)
        u = _analytic_centre(R, h)
        _, singular, axes = np.linalg.svd(R / (h - R @ u)[:, None], full_matrices=False)
        moved = [Fraction(float(x)) for x in T @ u]
        origin = tuple(o + x for o, x in zip(origin, moved, strict=True))
        if any(value <= 0 for _, value in _all_transformed(rows, origin, T)):
            break
        T = T @ (axes.T / np.maximum(singular, singular[0] / LARGEST_STRETCH))
    raise SolverError(
        f"cell {place.cell} is too thin for floating point: it was not brought to unit size "
        f"in {MAX_ROUNDS} rounds of scaling"
    )


@dataclass(frozen=True)
class _Dyadic:
    """A float matrix as columns of integers over a power of two."""

    columns: list[list[int]]
    denominator: int

    @classmethod
    def of(cls, matrix: FloatArray) -> _Dyadic:
        integers, shift = dyadic_integers(matrix)
        d = matrix.shape[1]
        return cls([integers[k::d] for k in range(d)], 1 << shift)


def _transform(row: Row, origin: Sequence[Fraction], T: _Dyadic) -> tuple[list[Fraction], Fraction]:
    """Return gradient in u and value at the origin of a row, exactly."""
    gradient = [
        Fraction(sum(a * x for a, x in zip(row[:-1], column, strict=True)), T.denominator)
        for column in T.columns
    ]
    value = sum((a * o for a, o in zip(row[:-1], origin, strict=True)), Fraction(row[-1]))
    return gradient, value


def _all_transformed(
    rows: list[Row], origin: Sequence[Fraction], T: FloatArray
) -> list[tuple[list[Fraction], Fraction]]:
    dyadic = _Dyadic.of(T)
    return [_transform(row, origin, dyadic) for row in rows]


def _rows_in_frame(
    rows: list[Row], origin: Sequence[Fraction], T: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return R, h and lengths of a frame; entries are rounded once, before rows are scaled to length 1."""
    R, h, lengths = [], [], []
    for row, (gradient, value) in zip(rows, _all_transformed(rows, origin, T), strict=True):
        scale = 1 << max(abs(x).bit_length() for x in row[:-1])
        R.append([-float(x / scale) for x in gradient])
        h.append(float(value / scale))
        lengths.append(np.linalg.norm([x / scale for x in row[:-1]]))
    A = np.array(R)
    own = np.linalg.norm(A, axis=1)
    return A / own[:, None], np.array(h) / own, np.array(lengths) / own


def _inner_point(
    complex: CellComplex, cell: int, exact: ExactNetwork, rows: list[Row]
) -> tuple[Fraction, ...]:
    """Return the stored witness if it is strictly inside, else the mean of the exact vertices."""
    witness: list[Any] = complex.witnesses[cell].tolist()
    if np.isfinite(witness).all():
        point = tuple(Fraction(x) for x in witness)
        if all(value > 0 for _, value in _all_transformed(rows, point, np.eye(len(point)))):
            return point
    *numerators, w = interior_point(exact_cell(exact, complex.pattern(cell)))
    return tuple(Fraction(x, w) for x in numerators)


def _analytic_centre(R: FloatArray, h: FloatArray) -> FloatArray:
    """Minimise -sum log(h - R u) from u = 0 by damped Newton steps, and return how far they came."""
    u = np.zeros(R.shape[1])
    for _ in range(MAX_NEWTON_STEPS):
        slopes = R / (h - R @ u)[:, None]
        step = -np.linalg.lstsq(slopes, np.ones(h.size), rcond=None)[0]
        decrement = float(np.linalg.norm(slopes @ step))
        moved = u + step / (1.0 + decrement if decrement > 0.25 else 1.0)
        if not np.all(R @ moved < h):  # rounding only: a Newton step that short stays inside
            break
        u = moved
        if decrement < 1e-8:
            break
    return u


def _roundness(slopes: FloatArray) -> tuple[float, float, float]:
    """Return the Newton decrement at u = 0, and the extreme singular values of the Dikin ellipsoid."""
    left, singular, _ = np.linalg.svd(slopes, full_matrices=False)
    return float(np.linalg.norm(left.T @ np.ones(slopes.shape[0]))), float(singular[-1]), float(singular[0])
