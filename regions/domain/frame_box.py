"""`FrameBox`: a box in coordinates of its own, in which explorations of many inputs take few directions.

No vertices are listed above 16 dimensions, as for `Box`, which this is in intrinsic coordinates.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from regions.domain.intrinsic import check_order, finite_array, store
from regions.domain.shapes import Box
from regions.errors import InvalidDomainError


@dataclass(frozen=True, eq=False, init=False)
class FrameBox(Box):
    """The set of all origin + basis @ t with low <= t <= high, of any dimension up to that of the inputs.

    Parameters
    ----------
    origin : (n0,) numbers
    basis : (n0, d) numbers, columns of length 1 and orthogonal up to rounding
    low, high : (d,) numbers

    Raises
    ------
    InvalidDomainError
        On other shapes, NaN or infinity, low >= high, or columns that are not orthonormal.

    Examples
    --------
    >>> box = FrameBox([1.0, 1.0, 1.0], [[1.0], [0.0], [0.0]], [-2.0], [2.0])
    >>> box.dimension, box.input_dim, box.side_names, box.to_input([0.5]).tolist()
    (1, 3, ('t0 = -2', 't0 = 2'), [1.5, 1.0, 1.0])
    """

    def __init__(
        self, origin: npt.ArrayLike, basis: npt.ArrayLike, low: npt.ArrayLike, high: npt.ArrayLike
    ) -> None:
        origin, basis = finite_array(origin, "origin"), finite_array(basis, "basis")
        low, high = finite_array(low, "low"), finite_array(high, "high")
        d = basis.shape[-1] if basis.ndim == 2 else 0
        if d == 0 or origin.shape != basis.shape[:1] or low.shape != (d,) or high.shape != (d,):
            raise InvalidDomainError(
                f"origin, basis, low and high have shapes {origin.shape}, {basis.shape}, {low.shape} and "
                f"{high.shape}; they must be (n0,), (n0, d), (d,) and (d,)"
            )
        if not np.allclose(basis.T @ basis, np.eye(d), atol=1e-9):
            raise InvalidDomainError(
                "the basis has columns that are not orthonormal; Slice.spanned takes any generators"
            )
        check_order(low, high, "frame box")
        store(self, low=low, high=high, origin=origin, basis=basis)

    @property
    def side_names(self) -> tuple[str, ...]:  # type: ignore[override]
        bounds = (self.low, self.high)
        return tuple(f"t{k} = {bounds[upper][k]:g}" for k, upper in self._sides)

    def sub_box(self, low: npt.NDArray[np.float64], high: npt.NDArray[np.float64]) -> FrameBox:
        return FrameBox(self.origin, self.basis, low, high)

    def split(self, axis: int, at: float) -> tuple[Box, Box]:
        """Return the two boxes on either side of t[axis] = at."""
        whole = Box(self.low, self.high).split(axis, at)
        first, second = (FrameBox(self.origin, self.basis, half.low, half.high) for half in whole)
        return first, second

    def describe(self) -> str:
        """Say in one line what this is."""
        reach = float(np.abs(np.concatenate([self.low, self.high])).max())
        return f"{self.dimension} directions of {self.input_dim} inputs, each within {reach:.6g}"

    def to_dict(self) -> dict[str, Any]:
        return {
            "kind": "frame_box",
            "origin": self.origin.tolist(),
            "basis": self.basis.tolist(),
            "low": self.low.tolist(),
            "high": self.high.tolist(),
        }
