"""Domains given in input coordinates: `Box`, `Segment` and `Polytope`.

Two-dimensional planes through a larger input space are in `slices`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from regions.domain.intrinsic import (
    BoolArray,
    Domain,
    FloatArray,
    check_order,
    finite_array,
    halfspace_arrays,
    read_only,
    solve,
    store,
)
from regions.errors import BudgetExceededError, InvalidDomainError
from regions.inputs import seeded

_MAX_BOX_VERTEX_DIMENSION = 16


@dataclass(frozen=True, eq=False, init=False)
class Box(Domain):
    """The set of all x with low <= x <= high; its intrinsic coordinates are x itself.

    Where low == high in some coordinates, these inputs are fixed, and `Box(low, high)` is the box of the
    others: a `FixedBox`, whose dimension and volume are those of the free inputs.

    Halfspaces are ordered low side, high side of coordinate 0, then of coordinate 1, ...;
    for d = 2 counterclockwise from the bottom: x1 = low, x0 = high, x1 = high, x0 = low.

    Parameters
    ----------
    low, high : (d,) numbers (a plain number for d = 1)

    Raises
    ------
    InvalidDomainError
        On other shapes, NaN or infinite bounds, low > high in some coordinate, or low == high in all.
    BudgetExceededError
        When vertices are asked for in more than 16 dimensions.

    Examples
    --------
    >>> box = Box([-1, 0], [1, 3])
    >>> box.describe(), box.side_names
    ('Box [-1, 1] x [0, 3]', ('x1 = 0', 'x0 = 1', 'x1 = 3', 'x0 = -1'))
    >>> box.vertices.tolist()
    [[-1.0, 0.0], [1.0, 0.0], [1.0, 3.0], [-1.0, 3.0]]
    """

    low: FloatArray
    high: FloatArray

    def __new__(cls, *bounds: npt.ArrayLike, **named: npt.ArrayLike) -> Box:
        """Make a `FixedBox` where some inputs are fixed."""
        if cls is Box and (bounds or named):
            from regions.domain.fixed_box import FixedBox  # a box itself

            low, high = input_bounds(*bounds, **named)
            if np.any(low == high):
                return object.__new__(FixedBox)
        return object.__new__(cls)

    def __init__(self, low: npt.ArrayLike, high: npt.ArrayLike) -> None:
        low, high = input_bounds(low, high)
        d = low.size
        store(self, low=low, high=high, origin=np.zeros(d), basis=np.eye(d))

    @cached_property
    def _sides(self) -> list[tuple[int, bool]]:
        """(coordinate, is the high side) of each halfspace, in order."""
        if self.dimension == 2:
            return [(1, False), (0, True), (1, True), (0, False)]
        return [(k, upper) for k in range(self.dimension) for upper in (False, True)]

    @cached_property
    def halfspaces(self) -> tuple[FloatArray, FloatArray]:
        A = np.zeros((2 * self.dimension, self.dimension))
        b = np.empty(2 * self.dimension)
        for row, (k, upper) in enumerate(self._sides):
            A[row, k] = 1.0 if upper else -1.0
            b[row] = self.high[k] if upper else -self.low[k]
        return read_only(A), read_only(b)

    @cached_property
    def _vertex_is_high(self) -> BoolArray:
        d = self.dimension
        if d > _MAX_BOX_VERTEX_DIMENSION:
            raise BudgetExceededError(
                f"a box in {d} dimensions has 2**{d} vertices; they are listed up to "
                f"{_MAX_BOX_VERTEX_DIMENSION} dimensions: take a Slice or a smaller box"
            )
        if d == 2:
            return np.array([[0, 0], [1, 0], [1, 1], [0, 1]], dtype=bool)
        return (np.arange(2**d)[:, None] >> np.arange(d) & 1).astype(bool)

    @cached_property
    def vertices(self) -> FloatArray:
        return read_only(np.where(self._vertex_is_high, self.high, self.low))

    @cached_property
    def incidence(self) -> BoolArray:
        is_high = self._vertex_is_high
        columns = [is_high[:, k] == upper for k, upper in self._sides]
        return read_only(np.stack(columns, axis=1))

    @cached_property
    def volume(self) -> float:
        with np.errstate(over="ignore", under="ignore"):  # then it is inf or 0, and listing says so
            return float(np.prod(self.high - self.low))

    @cached_property
    def side_names(self) -> tuple[str, ...]:
        bounds = (self.low, self.high)
        return tuple(f"x{k} = {bounds[upper][k]:g}" for k, upper in self._sides)

    @cached_property
    def n_sides(self) -> int:
        return 2 * self.dimension

    @property
    def is_axis_parallel(self) -> bool:  # type: ignore[override]
        return True

    def bounds(self) -> tuple[FloatArray, FloatArray]:
        return self.low, self.high

    def sub_box(self, low: FloatArray, high: FloatArray) -> Domain:
        return Box(low, high)

    def interior_point(self) -> FloatArray:
        parts = 0.5 + 0.05 * np.sin(np.arange(self.dimension) + 1.0)
        return np.asarray(self.low + parts * (self.high - self.low))

    @seeded
    def sample(self, n: int, rng: np.random.Generator) -> FloatArray:
        return rng.uniform(self.low, self.high, size=(n, self.dimension))

    def split(self, axis: int, at: float) -> tuple[Box, Box]:
        """Return the two boxes on either side of x[axis] = at.

        Raises
        ------
        InvalidDomainError
            If `axis` is not a coordinate or `at` is not strictly inside.

        Examples
        --------
        >>> [half.describe() for half in Box([0, 0], [2, 1]).split(0, 0.5)]
        ['Box [0, 0.5] x [0, 1]', 'Box [0.5, 2] x [0, 1]']
        """
        if not 0 <= axis < self.dimension:
            raise InvalidDomainError(f"axis is {axis}; the box has axes 0 to {self.dimension - 1}")
        if not self.low[axis] < at < self.high[axis]:
            raise InvalidDomainError(
                f"at = {at} is not strictly between {self.low[axis]} and {self.high[axis]}"
            )
        high, low = self.high.copy(), self.low.copy()
        high[axis] = low[axis] = at
        return Box(self.low, high), Box(low, self.high)

    def describe(self) -> str:
        if np.all(self.low == self.low[0]) and np.all(self.high == self.high[0]):
            power = f"^{self.dimension}" if self.dimension > 1 else ""
            return f"Box [{self.low[0]:g}, {self.high[0]:g}]{power}"
        sides = [f"[{a:g}, {b:g}]" for a, b in zip(self.low, self.high, strict=True)]
        shown = sides if len(sides) <= 8 else [*sides[:3], "...", sides[-1]]
        return "Box " + " x ".join(shown)

    def to_dict(self) -> dict[str, Any]:
        return {"kind": "box", "low": self.low.tolist(), "high": self.high.tolist()}


def input_bounds(low: npt.ArrayLike, high: npt.ArrayLike) -> tuple[FloatArray, FloatArray]:
    """Return the bounds of a box as arrays (d,) with low <= high.

    Raises
    ------
    InvalidDomainError
        On other shapes, NaN or infinite bounds, or low > high.
    """
    low = np.atleast_1d(finite_array(low, "low"))
    high = np.atleast_1d(finite_array(high, "high"))
    if low.ndim != 1 or low.shape != high.shape or low.size == 0:
        raise InvalidDomainError(
            f"low has shape {low.shape} and high has shape {high.shape}; "
            "a box needs one low and one high number per coordinate"
        )
    check_order(low, high, "box", strict=False)
    if np.any(high / 2 - low / 2 > np.finfo(np.float64).max / 2):
        raise InvalidDomainError("the box is wider than the largest float; make it smaller")
    return low, high


@dataclass(frozen=True, eq=False, init=False)
class Segment(Domain):
    """The straight segment from a to b in any input dimension; t is the length from a.

    Parameters
    ----------
    a, b : (n0,) numbers

    Raises
    ------
    InvalidDomainError
        On other shapes, NaN or infinite coordinates, or a == b.

    Examples
    --------
    >>> segment = Segment([0, 0], [3, 4])
    >>> segment.volume, segment.to_input([2.5]).tolist(), segment.side_names
    (5.0, [1.5, 2.0], ('start', 'end'))
    """

    a: FloatArray
    b: FloatArray

    def __init__(self, a: npt.ArrayLike, b: npt.ArrayLike) -> None:
        a = np.atleast_1d(finite_array(a, "a"))
        b = np.atleast_1d(finite_array(b, "b"))
        if a.ndim != 1 or a.shape != b.shape or a.size == 0:
            raise InvalidDomainError(
                f"a has shape {a.shape} and b has shape {b.shape}; a segment needs two points"
            )
        with np.errstate(over="ignore"):
            step = b - a
        reach = float(np.max(np.abs(step)))
        if reach == 0.0:
            raise InvalidDomainError("a and b are the same point; a segment needs two")
        length = reach * float(np.linalg.norm(step / reach)) if np.isfinite(reach) else np.inf
        if not np.isfinite(length):
            raise InvalidDomainError("the segment is longer than the largest float; shorten it")
        direction = step / reach / np.linalg.norm(step / reach)
        store(self, a=a, b=b, origin=a, basis=direction[:, None])
        sides = np.array([[-1.0], [1.0]]), np.array([0.0, length])
        store(self, _shape=solve(*sides, names=("start", "end")))

    def describe(self) -> str:
        """Say in one line what this is."""
        return f"Segment of length {self.volume:.6g} in {self.input_dim} input dimensions"

    def to_dict(self) -> dict[str, Any]:
        return {"kind": "segment", "a": self.a.tolist(), "b": self.b.tolist()}


@dataclass(frozen=True, eq=False, init=False)
class Polytope(Domain):
    """The set of all x with A @ x <= b, bounded and full-dimensional, in few dimensions.

    Parameters
    ----------
    A : (m, d) numbers; redundant rows are dropped
    b : (m,) numbers

    Raises
    ------
    InvalidDomainError
        If it is empty, unbounded or flat (the message says which), or on bad shapes.
    BudgetExceededError
        If it has more than 20,000 vertices.

    Examples
    --------
    >>> triangle = Polytope([[1, 1], [-1, 0], [0, -1]], [1, 0, 0])
    >>> triangle.volume, triangle.vertices.tolist()
    (0.5, [[1.0, 0.0], [0.0, 1.0], [0.0, 0.0]])
    """

    A: FloatArray
    b: FloatArray

    def __init__(self, A: npt.ArrayLike, b: npt.ArrayLike) -> None:
        A, b = halfspace_arrays((A, b), None)
        shape = solve(A, b, None)
        d = A.shape[1]
        store(self, A=shape.A, b=shape.b, origin=np.zeros(d), basis=np.eye(d), _shape=shape)

    def describe(self) -> str:
        """Say in one line what this is."""
        return f"Polytope in {self.dimension} dimensions, {len(self.b)} facets"

    def to_dict(self) -> dict[str, Any]:
        return {"kind": "polytope", "A": self.A.tolist(), "b": self.b.tolist()}
