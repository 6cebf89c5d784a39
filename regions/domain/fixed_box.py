"""`FixedBox`: a box of some inputs, the others fixed; `Box` gives one where low == high in a coordinate."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from regions.domain.frame_box import FrameBox
from regions.domain.intrinsic import FloatArray, store
from regions.domain.shapes import Box, input_bounds
from regions.errors import InvalidDomainError

_SHOWN = 4


@dataclass(frozen=True, eq=False, init=False)
class FixedBox(FrameBox):
    """The set of all x with low <= x <= high, where low == high in some coordinates and not in all.

    Its intrinsic coordinates are the free inputs themselves, in their order: `low` and `high` are theirs,
    and volumes are volumes in the free inputs.

    Parameters
    ----------
    low, high : (n0,) numbers, of all inputs

    Attributes
    ----------
    free : (d,) int64, the inputs that are free
    input_low, input_high : (n0,) float64, the bounds of all inputs

    Raises
    ------
    InvalidDomainError
        On other shapes, NaN or infinite bounds, low > high, or if no coordinate is free.

    Examples
    --------
    >>> from regions import Box
    >>> box = Box([0.0, 0.5, -1.0], [1.0, 0.5, 1.0])
    >>> box.describe(), box.dimension, box.side_names[:2]
    ('Box [0, 1] x [-1, 1] of inputs 0, 2; 1 of 3 inputs fixed', 2, ('x2 = -1', 'x0 = 1'))
    >>> box.to_input([0.25, 0.0]).tolist()
    [0.25, 0.5, 0.0]
    """

    free: npt.NDArray[np.int64]
    input_low: FloatArray
    input_high: FloatArray

    def __init__(self, low: npt.ArrayLike, high: npt.ArrayLike) -> None:
        low, high = input_bounds(low, high)
        free = np.flatnonzero(low < high)
        if free.size == 0:
            raise InvalidDomainError(
                "low == high in every coordinate: the box is a point, which lies in one cell; "
                "Network.activation_pattern tells which"
            )
        origin = np.where(low < high, 0.0, low)
        store(self, low=low[free], high=high[free], origin=origin, basis=np.eye(low.size)[:, free])
        store(self, free=free, input_low=low, input_high=high)

    @property
    def side_names(self) -> tuple[str, ...]:  # type: ignore[override]
        bounds = (self.low, self.high)
        return tuple(f"x{self.free[k]} = {bounds[upper][k]:g}" for k, upper in self._sides)

    def sub_box(self, low: FloatArray, high: FloatArray) -> FixedBox:
        lows, highs = self.input_low.copy(), self.input_high.copy()
        lows[self.free], highs[self.free] = low, high
        return FixedBox(lows, highs)

    def split(self, axis: int, at: float) -> tuple[Box, Box]:
        """Return the two boxes on either side of x[axis] = at, where `axis` is a free input."""
        where = np.flatnonzero(self.free == axis)
        if where.size == 0:
            raise InvalidDomainError(
                f"axis is {axis}; the free inputs are {', '.join(map(str, self.free.tolist()))}"
            )
        Box(self.low, self.high).split(int(where[0]), at)  # raises unless `at` is strictly inside
        high, low = self.input_high.copy(), self.input_low.copy()
        high[axis] = low[axis] = at
        return Box(self.input_low, high), Box(low, self.input_high)

    def describe(self) -> str:
        """Say in one line what this is."""
        names = [str(k) for k in self.free[:_SHOWN].tolist()]
        names += ["..."] if self.free.size > _SHOWN else []
        fixed = self.input_dim - self.dimension
        return (
            f"{Box(self.low, self.high).describe()} of inputs {', '.join(names)}; "
            f"{fixed} of {self.input_dim} inputs fixed"
        )

    def to_dict(self) -> dict[str, Any]:
        bounds = {"low": self.input_low.tolist(), "high": self.input_high.tolist()}
        return {**super().to_dict(), "box": bounds}
