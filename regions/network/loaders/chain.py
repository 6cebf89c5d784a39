"""A network under construction: layers appended in the order in which a source applies them.

Every step is exact. What cannot be merged without rounding becomes an affine layer of its own.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from regions.errors import InvalidNetworkError
from regions.network.layer_matrices import Matrix, identity, stacked
from regions.network.relu_network import Network

FloatArray = NDArray[np.float64]


class Chain:
    """Layers so far, from `input_dim` inputs to `width` outputs."""

    def __init__(self, input_dim: int) -> None:
        self.input_dim = input_dim
        self._weights: list[Matrix] = []
        self._biases: list[FloatArray] = []
        self._relu: list[bool] = []
        self._slopes: list[Any] = []

    @property
    def width(self) -> int:
        """Number of outputs of the layers so far."""
        return int(self._weights[-1].shape[0]) if self._weights else self.input_dim

    def affine(self, weight: Matrix, bias: FloatArray | None = None) -> None:
        """Append `h -> weight @ h + bias`."""
        if weight.ndim != 2 or weight.shape[1] != self.width:
            raise InvalidNetworkError(
                f"layer {len(self._weights)} has a weight of shape (out, in) = {weight.shape} "
                f"but receives {self.width} values"
            )
        self._weights.append(weight)
        self._biases.append(np.zeros(weight.shape[0]) if bias is None else bias)
        self._relu.append(False)
        self._slopes.append(None)

    def shift(self, offset: FloatArray) -> None:
        """Append `h -> h + offset`, merged into the layer before where that is exact."""
        if not offset.any():
            return
        if self._weights and not self._relu[-1] and not self._biases[-1].any():
            self._biases[-1] = offset
        else:
            self.affine(identity(self.width), offset)

    def scale(self, factor: FloatArray) -> None:
        """Append `h -> factor * h`, elementwise."""
        if not (factor == 1.0).all():
            diagonal = identity(factor.size)
            self.affine(np.diag(factor) if isinstance(diagonal, np.ndarray) else diagonal * factor)

    def combine(self, alpha: float, weight: FloatArray, beta: float, constant: FloatArray) -> None:
        """Append `h -> alpha * (weight @ h) + beta * constant`.

        Factors other than 1 would round the weights, so they act in a second layer, on the two
        summands side by side.
        """
        if alpha == 1.0 and beta == 1.0:
            self.affine(weight, constant)
            return
        n = weight.shape[0]
        self.affine(np.vstack([weight, np.zeros_like(weight)]), np.concatenate([np.zeros(n), constant]))
        self.affine(np.hstack([alpha * np.eye(n), beta * np.eye(n)]))

    def relu(self) -> None:
        """Append a ReLU; a second one in a row changes nothing and is left out."""
        if not self._weights:
            self.affine(identity(self.input_dim))
        if self._slopes[-1] is not None:
            self.affine(identity(self.width))
        self._relu[-1] = True

    def two_slopes(self, left: FloatArray | float, right: FloatArray | float = 1.0) -> None:
        """Append units with slopes left and right of their breakpoint at 0, for all values or for each.

        Leaky ReLUs have a right slope of 1, absolute values (-1, 1), values that pass through (1, 1).
        """
        if not self._weights or self._relu[-1]:
            self.affine(identity(self.width))
        slopes = np.empty((2, self.width))
        slopes[0], slopes[1] = left, right
        self._relu[-1], self._slopes[-1] = True, slopes

    def clip(self, low: float, high: float) -> None:
        """Append `h -> min(max(h, low), high)` for every value, by two ReLUs each; an end may be infinite.

        Such a unit has two breakpoints. Above `low` it is `low + relu(h - low) - relu(h - high)`, and every
        step of that is an affine layer of exact numbers.
        """
        if not low < high:
            raise InvalidNetworkError(f"values cannot be clipped to [{low}, {high}]: the range is empty")
        one = identity(self.width)
        ends = [(end, sign) for end, sign in ((low, 1.0), (high, -1.0)) if np.isfinite(end)]
        if not ends:
            return
        # where only the upper end is finite, high - relu(high - h)
        turn = -1.0 if not np.isfinite(low) else 1.0
        self.affine(
            stacked([turn * one for _ in ends], 0),
            np.concatenate([np.full(one.shape[0], -turn * end) for end, _ in ends]),
        )
        self.relu()
        base = low if np.isfinite(low) else high
        self.affine(stacked([sign * one for _, sign in ends], 1), np.full(one.shape[0], base))

    def network(self, name: str) -> Network:
        """The finished network."""
        if not self._weights:
            raise InvalidNetworkError(f"{name} has no layer that computes anything")
        return Network(
            tuple(self._weights), tuple(self._biases), tuple(self._relu), name, tuple(self._slopes)
        )
