"""Forward passes in exact arithmetic, for the signs that rounding leaves open.

Integers over a power of two, one sample at a time; written for the estimators alone, so that they still
share nothing with the enumeration that judges them.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from typing import Any

import numpy as np
from flint import fmpz_mat
from numpy.typing import NDArray

from regions.domain import Domain
from regions.network.relu_network import Network
from regions.rational import dyadic_integers

__all__ = ["ExactPass", "ExactPasses", "exact_zeros"]

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]


@dataclass(frozen=True)
class ExactPass:
    """One sample in exact arithmetic.

    Parameters
    ----------
    active : list of (width,) bool, ReLU layer by ReLU layer: whether a unit's pre-activation is above 0, or
        the unit is linear
    rows : list of lists of integers, a row for each unit: its pre-activation, then its gradient if that was
        asked for, all over the layer's power of two
    """

    active: list[BoolArray]
    rows: list[list[Any]]

    def is_within(self, layer: int, unit: int, eps: float) -> bool:
        """Whether |z| < eps |grad z|: the unit's hyperplane passes the sample at a distance below eps."""
        z, *gradient = self.rows[layer][unit]
        ratio = Fraction(eps)
        return bool((z * ratio.denominator) ** 2 < ratio.numerator**2 * sum(part * part for part in gradient))


class ExactPasses:
    """A network, prepared for exact passes of points in the domain's intrinsic coordinates.

    Parameters
    ----------
    network : Network
    domain : Domain, or None for points of the input space

    Examples
    --------
    >>> network = Network.from_arrays([[[0.1, 0.2]], [[1.0]]], [[-0.3], [0.0]])
    >>> ExactPasses(network, None).run(np.array([1.0, 1.0])).active  # 0.1 + 0.2 is a little over 0.3
    [array([ True])]
    """

    def __init__(self, network: Network, domain: Domain | None) -> None:
        network.refuse_max_units("an estimator")
        self._relu = network.relu
        self._layers = [
            (_matrix(weight), dyadic_integers(bias))
            for weight, bias in zip(network.weights, network.biases, strict=True)
        ]
        # slopes left and right of 0 as integers, and the power of two under them
        self._slopes = [None if pair is None else _pair(pair) for pair in network.slopes]
        self._frame = None
        if domain is not None:
            self._frame = _matrix(np.column_stack([domain.basis, domain.origin]))

    def run(
        self,
        t: FloatArray,
        noise: FloatArray | None = None,
        *,
        silenced: int = -1,
        gradients: bool = False,
    ) -> ExactPass:
        """Pass one point through the network.

        Parameters
        ----------
        t : (d,) intrinsic coordinates
        noise : (n_units,) added to the units' biases, or None
        silenced : flat number of a unit that puts out 0 whatever its sign, or -1
        gradients : whether to carry the units' gradients along; d times the cost
        """
        rows, shift = self._start(t, gradients)
        found = ExactPass([], [])
        first = 0
        layers = zip(self._layers, self._relu, self._slopes, strict=True)
        for ((matrix, own), (bias, bias_shift)), relu, pair in layers:
            rows, shift = (matrix * fmpz_mat(rows)).tolist(), shift + own
            rows, shift = _shifted(rows, shift, bias, bias_shift)
            if not relu:
                continue
            if noise is not None:
                rows, shift = _shifted(rows, shift, *dyadic_integers(noise[first : first + len(rows)]))
            left, right, more = pair or ([0] * len(rows), [1] * len(rows), 0)
            active = [bool(row[0] > 0) or a == b for row, a, b in zip(rows, left, right, strict=True)]
            found.active.append(np.array(active, dtype=bool))
            found.rows.append(rows)
            factors = [b if on else a for a, b, on in zip(left, right, active, strict=True)]
            if first <= silenced < first + len(rows):
                factors[silenced - first] = 0
            first += len(rows)
            rows = [[factor * x for x in row] for row, factor in zip(rows, factors, strict=True)]
            shift += more
        return found

    def crossings(
        self, point: FloatArray, direction: FloatArray, ends: tuple[float, float], noise: FloatArray | None
    ) -> list[tuple[float, int]]:
        """Find where units change sign along a line: parameters, rounded once, and flat unit numbers.

        Parameters
        ----------
        point, direction : (d,) intrinsic coordinates of the line at 0, and its step by 1
        ends : the parameters between which the line is walked
        noise : (n_units,) added to the units' biases, or None

        Examples
        --------
        >>> twice = Network.from_arrays([[[3.0], [0.0]], [[1.0, 0.0]]], [[-1.0, 0.0], [0.0]])
        >>> ExactPasses(twice, None).crossings(np.zeros(1), np.ones(1), (0.0, 1.0), None)
        [(0.3333333333333333, 0)]
        """
        rows, shift = self._line(point, direction)
        pieces = [(Fraction(ends[0]), Fraction(ends[1]), rows)]
        found: list[tuple[float, int]] = []
        first = 0
        layers = zip(self._layers, self._relu, self._slopes, strict=True)
        for ((matrix, own), (bias, bias_shift)), relu, pair in layers:
            cut, here = [], shift
            width = matrix.nrows()
            left, right, more = pair or ([0] * width, [1] * width, 0)
            added = noise[first : first + width] if relu and noise is not None else np.zeros(width)
            for low, high, rows in pieces:
                values, shift = _shifted((matrix * fmpz_mat(rows)).tolist(), here + own, bias, bias_shift)
                values, shift = _shifted(values, shift, *dyadic_integers(added))
                if not relu:
                    cut.append((low, high, values))
                    continue
                roots = [(at, k) for at, k in _roots(values, low, high) if left[k] != right[k]]
                found.extend((float(root), first + unit) for root, unit in roots)
                places = [low, *sorted({root for root, _ in roots}), high]
                cut.extend(
                    (a, b, _active_part(values, (a + b) / 2, left, right)) for a, b in pairwise(places)
                )
            shift += more if relu else 0
            pieces = cut
            first += width if relu else 0
        return found

    def _line(self, point: FloatArray, direction: FloatArray) -> tuple[list[Any], int]:
        """Return a line in input coordinates: rows of a place and a step."""
        flat, shift = dyadic_integers(np.stack([point, direction], axis=1))
        rows: list[Any] = [flat[k : k + 2] for k in range(0, len(flat), 2)]
        if self._frame is None:
            return rows, shift
        frame, own = self._frame
        return (frame * fmpz_mat([*rows, [1 << shift, 0]])).tolist(), shift + own

    def _start(self, t: FloatArray, gradients: bool) -> tuple[list[Any], int]:
        """Return the point in input coordinates, and the derivatives by the intrinsic ones beside it."""
        point, shift = dyadic_integers(t)
        one = 1 << shift
        count = len(point) if gradients else 0
        rows = [[x, *(one * (i == j) for j in range(count))] for i, x in enumerate(point)]
        if self._frame is None:
            return rows, shift
        frame, own = self._frame
        return (frame * fmpz_mat([*rows, [one] + [0] * count])).tolist(), shift + own


def exact_zeros(matrices: list[FloatArray]) -> BoolArray:
    """Find where the product of matrices, each applied after the one before, is exactly 0.

    Examples
    --------
    >>> exact_zeros([np.array([[0.1], [0.3]]), np.array([[3.0, -1.0], [1.0, 1.0]])])  # 3 * 0.1 > 0.3
    array([[False],
           [False]])
    """
    product = _matrix(matrices[0])[0]
    for matrix in matrices[1:]:
        product = _matrix(matrix)[0] * product
    entries = [x == 0 for x in product.entries()]
    return np.array(entries, dtype=bool).reshape(product.nrows(), product.ncols())


def _roots(rows: list[Any], low: Fraction, high: Fraction) -> list[tuple[Fraction, int]]:
    """The zeros of affine functions c + a s strictly inside an interval, and which of them they belong to."""
    zeros = [(Fraction(int(-c), int(a)), unit) for unit, (c, a) in enumerate(rows) if a != 0]
    return [(root, unit) for root, unit in zeros if low < root < high]


def _active_part(rows: list[Any], place: Fraction, left: list[int], right: list[int]) -> list[Any]:
    """Return the affine functions c + a s times their slopes at a place, the right one where above 0."""
    n, d = place.numerator, place.denominator
    above = [row[0] * d + row[1] * n > 0 for row in rows]
    factors = [b if on else a for a, b, on in zip(left, right, above, strict=True)]
    return [[factor * x for x in row] for row, factor in zip(rows, factors, strict=True)]


def _pair(slopes: FloatArray) -> tuple[list[int], list[int], int]:
    """Return slopes `(2, width)` as integers, left and right, and the power of two under them."""
    integers, shift = dyadic_integers(slopes)
    width = slopes.shape[1]
    return integers[:width], integers[width:], shift


def _matrix(values: FloatArray) -> tuple[Any, int]:
    """Return a matrix as integers, and the power of two under them."""
    integers, shift = dyadic_integers(values)
    return fmpz_mat(*values.shape, integers), shift


def _shifted(rows: list[Any], shift: int, added: list[int], added_shift: int) -> tuple[list[Any], int]:
    """Return rows with numbers added to their first entries, over the larger power of two."""
    common = max(shift, added_shift)
    up, across = common - shift, common - added_shift
    moved = [
        [(row[0] << up) + (x << across), *(y << up for y in row[1:])]
        for row, x in zip(rows, added, strict=True)
    ]
    return moved, common
