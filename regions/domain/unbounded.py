"""Domains without an end: `WholeSpace`, and `Polyhedron`, an unbounded set of halfspaces.

Both are searched as cones: a point x of the domain is the ray of all (t x, t) with t > 0, and directions are
the rays with t = 0. How cells are found that way is left to `enumeration`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, NoReturn

import numpy as np
import numpy.typing as npt

from regions.domain.intrinsic import Domain, FloatArray, halfspace_arrays, read_only, store
from regions.domain.shapes import Box, Polytope
from regions.domain.starting_polytope import exact_polytope
from regions.errors import InvalidDomainError, InvalidInputError


class Unbounded(Domain):
    """What unbounded domains share; make one with `WholeSpace` or `Polyhedron`.

    Their intrinsic coordinates are the inputs themselves. They have halfspaces (none, or few), an infinite
    volume, and no vertices that would span them.
    """

    @property
    def is_bounded(self) -> bool:
        return False

    @property
    def is_axis_parallel(self) -> bool:  # type: ignore[override]
        return False

    @property
    def vertices(self) -> FloatArray:  # type: ignore[override]
        self._refuse("has no vertices that span it")

    @property
    def incidence(self) -> Any:
        self._refuse("has no vertices that span it")

    @property
    def volume(self) -> float:  # type: ignore[override]
        return np.inf

    def sample(self, n: int, rng: np.random.Generator) -> FloatArray:
        self._refuse("has no uniform distribution")

    def bounds(self) -> tuple[FloatArray, FloatArray]:
        return np.full(self.dimension, -np.inf), np.full(self.dimension, np.inf)

    def _refuse(self, what: str) -> NoReturn:
        raise InvalidDomainError(
            f"{self.describe()} {what}: give a density of mass 1 such as a GaussianDensity, or take a "
            "bounded domain, as domain.clipped(half_width) is one"
        )

    def part(self, low: npt.ArrayLike, high: npt.ArrayLike) -> Domain:
        """Return the part of the domain with low <= x <= high."""
        raise NotImplementedError

    def clipped(self, half_width: float) -> Domain:
        """Return the part of the domain with all |x_i| <= half_width."""
        return self.part(np.full(self.dimension, -half_width), np.full(self.dimension, half_width))

    def cone(self, half_width: float) -> Domain:
        """Return the (x, t) of the domain's cone with |x_i| <= half_width and 0 <= t <= 1.

        It has one dimension more. The directions in which the domain goes on are its points with t = 0.
        """
        raise NotImplementedError

    def own_sides(self, part: Domain) -> npt.NDArray[np.int64]:
        """Return which of the domain's own sides each side of a clipped part is, -1 for those that clip."""
        own = {(*row, bound): k for k, (row, bound) in enumerate(_rows(self))}
        return np.array([own.get((*row, bound), -1) for row, bound in _rows(part)], dtype=np.int64)


@dataclass(frozen=True, eq=False, init=False)
class WholeSpace(Unbounded):
    """All of the input space.

    Cells of a network on it may be unbounded: their volumes are inf, and `CellComplex.bounded` tells which.

    Parameters
    ----------
    n : int, number of inputs

    Raises
    ------
    InvalidInputError
        If it is no whole number from 1.

    Examples
    --------
    >>> from regions import Network, count_cells
    >>> normals = [[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]]
    >>> lines = Network.from_arrays([normals, [[1.0, 1.0, 1.0]]], [[0.0, 0.0, 5.0], [0.0]])
    >>> count_cells(lines, WholeSpace(2)).n_cells
    7
    """

    n: int

    def __init__(self, n: int) -> None:
        if isinstance(n, bool) or not isinstance(n, int | np.integer) or n < 1:
            raise InvalidInputError(f"n is {n!r}; give the number of inputs, a whole number from 1")
        store(self, n=int(n), origin=np.zeros(n), basis=np.eye(n))

    @property
    def halfspaces(self) -> tuple[FloatArray, FloatArray]:  # type: ignore[override]
        return read_only(np.zeros((0, self.n))), read_only(np.zeros(0))

    @property
    def side_names(self) -> tuple[str, ...]:  # type: ignore[override]
        return ()

    def interior_point(self) -> FloatArray:
        return np.zeros(self.n)

    def part(self, low: npt.ArrayLike, high: npt.ArrayLike) -> Box:
        return Box(low, high)

    def cone(self, half_width: float) -> Box:
        return Box([-half_width] * self.n + [0.0], [half_width] * self.n + [1.0])

    def describe(self) -> str:
        """Say in one line what this is."""
        return f"the whole space of {self.n} input{'s' if self.n > 1 else ''}"

    def to_dict(self) -> dict[str, Any]:
        return {"kind": "whole_space", "n": self.n}


@dataclass(frozen=True, eq=False, init=False)
class Polyhedron(Unbounded):
    """The set of all x with A @ x <= b, unbounded and full-dimensional, in few dimensions.

    Parameters
    ----------
    A : (m, d) numbers; redundant rows are dropped
    b : (m,) numbers

    Raises
    ------
    InvalidDomainError
        If it is empty or flat, on bad shapes, or if it is bounded: that is a `Polytope`.
    BudgetExceededError
        If its cone has more than 20,000 vertices.

    Examples
    --------
    >>> quadrant = Polyhedron([[-1, 0], [0, -1], [-1, -1]], [0, 0, 5])
    >>> quadrant.describe(), quadrant.n_sides, quadrant.volume, quadrant.contains([3.0, 1e9])
    ('Polyhedron in 2 dimensions, 2 facets, unbounded', 2, inf, True)
    """

    A: FloatArray
    b: FloatArray

    def __init__(self, A: npt.ArrayLike, b: npt.ArrayLike) -> None:
        A, b = halfspace_arrays((A, b), None)
        d = A.shape[1]
        used = A.any(axis=1)
        if np.any(b[~used] < 0.0):
            raise InvalidDomainError("the polyhedron is empty: a zero row of A has a negative b")
        A, b = A[used], b[used]
        if len(b) == 0:
            raise InvalidDomainError("A has no row that bounds anything: take WholeSpace")
        rows, offsets = _cone_rows(A, b, 1.0)
        try:
            section = exact_polytope(rows, offsets)
        except InvalidDomainError as error:
            raise InvalidDomainError(f"the polyhedron is empty or flat: {error}") from error
        points = section.vertices
        if not any(point[-1] == 0 and any(point) for point in points):
            raise InvalidDomainError("the polyhedron is bounded: take Polytope")
        if not any(point[-1] > 0 for point in points):
            raise InvalidDomainError("the polyhedron is empty: no point satisfies A x <= b")
        kept = sorted(row for row in section.rows if row < len(b))
        store(self, A=A[kept], b=b[kept], origin=np.zeros(d), basis=np.eye(d))
        mean = np.array([[float(x) for x in point] for point in points]).mean(axis=0)
        store(self, _inside=mean[:-1] / mean[-1])

    @property
    def halfspaces(self) -> tuple[FloatArray, FloatArray]:  # type: ignore[override]
        return self.A, self.b

    @cached_property
    def side_names(self) -> tuple[str, ...]:
        return tuple(f"halfspace {k}" for k in range(len(self.b)))

    def interior_point(self) -> FloatArray:
        inside: FloatArray = self._inside  # type: ignore[attr-defined]
        return inside

    def part(self, low: npt.ArrayLike, high: npt.ArrayLike) -> Polytope:
        A, b = Box(low, high).halfspaces
        return Polytope(np.concatenate([self.A, A]), np.concatenate([self.b, b]))

    def cone(self, half_width: float) -> Polytope:
        return Polytope(*_cone_rows(self.A, self.b, half_width))

    def describe(self) -> str:
        """Say in one line what this is."""
        return f"Polyhedron in {self.dimension} dimensions, {len(self.b)} facets, unbounded"

    def to_dict(self) -> dict[str, Any]:
        return {"kind": "polyhedron", "A": self.A.tolist(), "b": self.b.tolist()}


def _rows(domain: Domain) -> list[tuple[list[float], float]]:
    A, b = domain.halfspaces
    return list(zip((A + 0.0).tolist(), (b + 0.0).tolist(), strict=True))


def _cone_rows(A: FloatArray, b: FloatArray, half_width: float) -> tuple[FloatArray, FloatArray]:
    """Return the halfspaces of {(x, t) : A x <= b t, |x_i| <= half_width, 0 <= t <= 1}, given ones first."""
    m, d = A.shape
    box = np.concatenate([np.eye(d + 1), -np.eye(d + 1)])
    width = np.full(2 * d + 2, half_width)
    width[d], width[-1] = 1.0, 0.0
    return np.concatenate([np.column_stack([A, -b]), box]), np.concatenate([np.zeros(m), width])
