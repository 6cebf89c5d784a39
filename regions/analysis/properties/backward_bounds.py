"""Affine functions of the inputs that lie below combinations of a network's values, proven in floats.

A combination is carried from its layer back to the inputs, on many boxes at once; each unit on the way is put
between two lines. What rounding may have lost is summed beside it, and taken off at the end.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from regions.network.slopes import RELU, Slopes

FloatArray = NDArray[np.float64]

UNIT = 2.0**-53
TINY = 2.0**-1000  # more than all products that underflow can lose together
ROWS = 1 << 11  # that are carried back at a time


class Lines(NamedTuple):
    """Two lines for each unit on each of B boxes: lower <= unit(z) <= upper, wherever z can be.

    Attributes
    ----------
    lower_slope, lower_offset, upper_slope, upper_offset : (B, n) float64
    """

    lower_slope: FloatArray
    lower_offset: FloatArray
    upper_slope: FloatArray
    upper_offset: FloatArray


class Below(NamedTuple):
    """Affine functions g(t) = slopes . t + constant of the points t of a box, each below a value.

    Attributes
    ----------
    slopes : (R, d) float64
    constant : (R,) float64; the inequality is exact for every real t of the box
    least : (R,) float64, at most the least value of g on the box
    """

    slopes: FloatArray
    constant: FloatArray
    least: FloatArray


class Backward:
    """The layers that combinations of values are carried back through, on B boxes.

    Parameters
    ----------
    low, high : (B, d) float64

    Examples
    --------
    >>> net = Backward(np.array([[-1.0]]), np.array([[1.0]]))
    >>> net.append(np.array([[1.0], [-1.0]]), np.zeros(2), lines_of(-np.ones((1, 2)), np.ones((1, 2)), None))
    >>> below = net.below(np.array([[-1.0, -1.0]]), np.zeros(1), np.zeros(1, int))  # of -|x|
    >>> bool(-1.0 - 1e-12 < below.least[0] <= -1.0)
    True
    """

    def __init__(self, low: FloatArray, high: FloatArray) -> None:
        self.low, self.high = low, high
        self._layers: list[tuple[Any, FloatArray, Lines | None, FloatArray]] = []
        self._size = np.maximum(np.abs(low), np.abs(high))  # of the values that the next layer is given
        self._steps = low.shape[1] + 16

    def append(self, matrix: Any, bias: FloatArray, lines: Lines | None) -> None:
        """Append an affine layer, and the lines of its units."""
        size = self._size @ abs(matrix).T + np.abs(bias)
        self._layers.append((matrix, bias, lines, np.sqrt((size * size).sum(axis=1))))
        self._steps += matrix.shape[1] + 8
        self._size = size
        if lines is not None:
            lower = np.abs(lines.lower_slope) * size + np.abs(lines.lower_offset)
            self._size = np.maximum(lower, np.abs(lines.upper_slope) * size + np.abs(lines.upper_offset))

    def bounded(self, least: FloatArray, most: FloatArray) -> None:
        """Take over what is known of the values that the next layer is given, (B, n) each."""
        self._size = np.minimum(self._size, np.maximum(np.abs(least), np.abs(most)))

    def below(self, rows: FloatArray, constant: FloatArray, box: NDArray[np.int64]) -> Below:
        """Return affine functions below rows @ h + constant, each on its box, h what the last layer gives.

        Parameters
        ----------
        rows : (R, n) float64
        constant : (R,) float64
        box : (R,) int64, numbers of boxes

        References
        ----------
        Zhang et al., Efficient neural network robustness certification with general activation functions
        (2018), section 3; Singh et al., An abstract domain for certifying neural networks (2019).
        """
        parts = [
            self._below(rows[k : k + ROWS], constant[k : k + ROWS], box[k : k + ROWS])
            for k in range(0, len(rows), ROWS)
        ]
        return Below(*(np.concatenate(part) for part in zip(*parts, strict=True))) if parts else self._none()

    def _none(self) -> Below:
        return Below(np.zeros((0, self.low.shape[1])), np.zeros(0), np.zeros(0))

    def _below(self, rows: FloatArray, constant: FloatArray, box: NDArray[np.int64]) -> Below:
        v, value, passed = rows, constant.copy(), np.abs(constant)
        for matrix, bias, lines, size in reversed(self._layers):
            if lines is not None:
                above, under = np.maximum(v, 0.0), np.minimum(v, 0.0)
                for part, offset in ((above, lines.lower_offset), (under, lines.upper_offset)):
                    if offset.any():
                        added = _sum(part, offset[box])
                        value += added
                        # of one sign for the usual units; else by absolute values
                        passed += np.abs(
                            added if (offset >= 0.0).all() else _sum(np.abs(part), np.abs(offset)[box])
                        )
                above *= lines.lower_slope[box]
                under *= lines.upper_slope[box]
                v = np.add(above, under, out=above)
            # what rounds v, v @ matrix and v @ bias is relative to |v| |z|, and |z| has the length `size`
            passed += np.sqrt(_sum(v, v)) * size[box]
            value += v @ bias
            v = v @ matrix
        middle = self.low + (self.high - self.low) / 2
        radius = np.maximum(self.high - middle, middle - self.low)
        radius = radius + np.spacing(radius) + TINY
        passed += _sum(np.abs(v), (np.abs(middle) + radius)[box])
        lost = 4 * self._steps * UNIT * passed + TINY
        least = value + _sum(v, middle[box]) - _sum(np.abs(v), radius[box])
        return Below(v, value - lost, np.where(np.isnan(least), -np.inf, least - lost))


def _sum(first: FloatArray, second: FloatArray) -> FloatArray:
    return np.asarray(np.einsum("rn,rn->r", first, second))


def lines_of(least: FloatArray, most: FloatArray, slopes: Slopes) -> Lines:
    """Return lines below and above units whose values before are in [least, most], (B, n) each.

    Of a convex unit the chord is above, at or above its values at both ends; a line through the breakpoint
    with a slope in between is below. Of a concave unit it is the other way round.

    Examples
    --------
    >>> lines = lines_of(np.array([[-1.0, -2.0, 1.0]]), np.array([[3.0, 1.0, 2.0]]), None)
    >>> lines.lower_slope.tolist(), lines.upper_slope.round(2).tolist(), lines.upper_offset.round(2).tolist()
    ([[1.0, 0.0, 1.0]], [[0.75, 0.33, 1.0]], [[0.75, 0.67, 0.0]])
    """
    left, right = (np.full(least.shape[1], x) for x in RELU) if slopes is None else slopes
    bends = (least < 0.0) & (most > 0.0) & (left != right)
    sure = np.where(most <= 0.0, left, right)
    tangent = np.where(bends & (most <= -least), left, sure)
    with np.errstate(divide="ignore", invalid="ignore"):
        at_least, at_most = left * least, right * most
        chord = np.where(bends, (at_most - at_least) / (most - least), sure)
        chord = np.clip(chord, np.minimum(left, right), np.maximum(left, right))
        first, second = at_least - chord * least, at_most - chord * most
        lost = 8 * UNIT * (np.maximum(np.abs(left), np.abs(right)) * (np.abs(least) + np.abs(most))) + TINY
        above = np.where(bends, np.maximum(first, second) + lost, 0.0)
        under = np.where(bends, np.minimum(first, second) - lost, 0.0)
    convex = np.broadcast_to(right >= left, least.shape)
    zero = np.zeros_like(least)
    return Lines(
        np.where(convex, tangent, chord),
        np.where(convex, zero, under),
        np.where(convex, chord, tangent),
        np.where(convex, above, zero),
    )
