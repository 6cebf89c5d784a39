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
from regions.network.layer_matrices import Matrix, is_sparse
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
        the unit is linear, or the first largest candidate of a max unit
    rows : list of lists of integers, a row for each unit: its pre-activation, then its gradient if that was
        asked for, all over the layer's power of two
    units : list of lists of range, for each row the rows of its unit: the candidates of a max unit, or itself
    """

    active: list[BoolArray]
    rows: list[list[Any]]
    units: list[list[range]]

    def is_within(self, layer: int, unit: int, eps: float) -> bool:
        """Whether |z| < eps |grad z|: the unit's hyperplane passes the sample at a distance below eps.

        Of a candidate that loses in a max unit, z is the winner's pre-activation minus its own.
        """
        z, *gradient = self.row(layer, unit)
        ratio = Fraction(eps)
        return bool((z * ratio.denominator) ** 2 < ratio.numerator**2 * sum(part * part for part in gradient))

    def row(self, layer: int, unit: int) -> list[Any]:
        """Return what is 0 where a unit bends: its row, or of a candidate the winner's minus its own."""
        row, rivals = self.rows[layer][unit], self.units[layer][unit]
        if len(rivals) == 1:
            return list(row)
        winner = self.rows[layer][next(k for k in rivals if self.active[layer][k])]
        return [x - y for x, y in zip(winner, row, strict=True)]


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
        self._relu = network.relu
        self._layers = [
            (_layer_matrix(weight), dyadic_integers(bias))
            for weight, bias in zip(network.operators, network.biases, strict=True)
        ]
        self._activations = [
            _Activation.of(*layer)
            for layer in zip(network.slopes, network.maxima, network.biases, strict=True)
        ]
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
        silenced : flat number of a unit that puts out 0 whatever its sign, or -1; a candidate of a max unit
            lets that put out the mean of the largest value and its own
        gradients : whether to carry the units' gradients along; d times the cost
        """
        rows, shift = self._start(t, gradients)
        found = ExactPass([], [], [])
        first = 0
        layers = zip(self._layers, self._relu, self._activations, strict=True)
        for ((matrix, own), (bias, bias_shift)), relu, units in layers:
            rows, shift = _shifted(_times(matrix, rows), shift + own, bias, bias_shift)
            if not relu:
                continue
            if noise is not None:
                rows, shift = _shifted(rows, shift, *dyadic_integers(noise[first : first + len(rows)]))
            active = units.active(rows, Fraction(0))
            found.active.append(np.array(active, dtype=bool))
            found.rows.append(rows)
            found.units.append(units.rivals)
            own_place = silenced - first if first <= silenced < first + len(rows) else -1
            first += len(rows)
            rows, more = units.put_out(rows, active, own_place)
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
        layers = zip(self._layers, self._relu, self._activations, strict=True)
        for ((matrix, own), (bias, bias_shift)), relu, units in layers:
            cut, here = [], shift
            width = len(bias)
            added = noise[first : first + width] if relu and noise is not None else np.zeros(width)
            for low, high, rows in pieces:
                values, shift = _shifted(_times(matrix, rows), here + own, bias, bias_shift)
                values, shift = _shifted(values, shift, *dyadic_integers(added))
                if not relu:
                    cut.append((low, high, values))
                    continue
                roots = units.bends(values, low, high)
                found.extend((float(root), first + unit) for root, unit in roots)
                places = [low, *sorted({root for root, _ in roots}), high]
                for a, b in pairwise(places):
                    cut.append((a, b, units.put_out(values, units.active(values, (a + b) / 2))[0]))
            shift += units.shift if relu else 0
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


@dataclass(frozen=True)
class _Activation:
    """The units of one layer in exact arithmetic.

    Parameters
    ----------
    left, right : lists of int, slopes on either side of 0
    shift : int, the power of two under them
    rivals : list of range, for each row the rows of its unit
    """

    left: list[int]
    right: list[int]
    shift: int
    rivals: list[range]

    @classmethod
    def of(cls, slopes: FloatArray | None, sizes: NDArray[np.int64] | None, bias: FloatArray) -> _Activation:
        """Make it of a layer as `Network` has it."""
        n, shift, start = bias.size, 0, 0
        both = [0] * n + [1] * n
        if slopes is not None:
            both, shift = dyadic_integers(slopes)
        rivals: list[range] = []
        for k in [1] * n if sizes is None else sizes.tolist():
            rivals += [range(start, start + k)] * k
            start += k
        return cls(both[:n], both[n:], shift, rivals)

    def active(self, rows: list[Any], place: Fraction) -> list[bool]:
        """Say which units are right of their breakpoints, or win, at a place of rows (c, a, ...): c + a s."""
        n, d = place.numerator, place.denominator
        values = [row[0] * d + (row[1] * n if n else 0) for row in rows]
        sides = zip(values, self.left, self.right, strict=True)
        found = [bool(value > 0) or a == b for value, a, b in sides]
        for rivals in {of.start: of for of in self.rivals if len(of) > 1}.values():
            winner = max(rivals, key=values.__getitem__)  # the first of the largest
            for k in rivals:
                found[k] = k == winner
        return found

    def put_out(self, rows: list[Any], active: list[bool], silenced: int = -1) -> tuple[list[Any], int]:
        """Return the rows times their slopes, and the power of two that this adds under them."""
        factors = [b if on else a for a, b, on in zip(self.left, self.right, active, strict=True)]
        shift = self.shift
        if silenced >= 0 and len(self.rivals[silenced]) == 1:
            factors[silenced] = 0
        out = [[factor * x for x in row] for row, factor in zip(rows, factors, strict=True)]
        if silenced >= 0 and len(self.rivals[silenced]) > 1:
            shift += 1
            out = [[2 * x for x in row] for row in out]
            winner = next(k for k in self.rivals[silenced] if active[k])
            pair = zip(rows[winner], rows[silenced], strict=True)
            out[winner] = [(x + y) * self.right[winner] for x, y in pair]
        return out, shift

    def bends(self, rows: list[Any], low: Fraction, high: Fraction) -> list[tuple[Fraction, int]]:
        """Return where units, of rows c + a s, bend strictly inside an interval, each with its flat number.

        Max units do where their winner changes, and the number is that of the one that wins from there on.
        """
        zeros = [
            (Fraction(int(-c), int(a)), unit)
            for unit, (c, a) in enumerate(rows)
            if a != 0 and self.left[unit] != self.right[unit] and len(self.rivals[unit]) == 1
        ]
        found = [(root, unit) for root, unit in zeros if low < root < high]
        for rivals in {of.start: of for of in self.rivals if len(of) > 1}.values():
            found += _winners(rows, rivals, low, high)
        return found


def _winners(rows: list[Any], rivals: range, low: Fraction, high: Fraction) -> list[tuple[Fraction, int]]:
    """Return where the largest of affine functions c + a s changes strictly inside an interval, and to which.

    Of equal ones the first counts.
    """
    n, d = low.numerator, low.denominator
    winner = max(rivals, key=lambda k: (rows[k][0] * d + rows[k][1] * n, rows[k][1]))
    found: list[tuple[Fraction, int]] = []
    while True:
        c, a = rows[winner]
        overtaking = [
            (Fraction(int(c - rows[k][0]), int(rows[k][1] - a)), -rows[k][1], k)
            for k in rivals
            if rows[k][1] > a
        ]
        if not overtaking or min(overtaking)[0] >= high:
            return found
        root, _, winner = min(overtaking)
        found.append((root, winner))


def _matrix(values: FloatArray) -> tuple[Any, int]:
    """Return a matrix as integers, and the power of two under them."""
    integers, shift = dyadic_integers(values)
    return fmpz_mat(*values.shape, integers), shift


def _layer_matrix(matrix: Matrix) -> tuple[Any, int]:
    """Return the same of a layer: of a sparse one the columns and integers of each row."""
    if not is_sparse(matrix):
        return _matrix(matrix)
    integers, shift = dyadic_integers(matrix.data)
    columns, starts = matrix.indices.tolist(), matrix.indptr.tolist()
    rows = [list(zip(columns[a:b], integers[a:b], strict=True)) for a, b in pairwise(starts)]
    return rows, shift


def _times(matrix: Any, rows: list[Any]) -> list[Any]:
    """Return the product of a layer's matrix by rows of integers."""
    if isinstance(matrix, fmpz_mat):
        return list((matrix * fmpz_mat(rows)).tolist())
    return [[sum(w * rows[j][k] for j, w in own) for k in range(len(rows[0]))] for own in matrix]


def _shifted(rows: list[Any], shift: int, added: list[int], added_shift: int) -> tuple[list[Any], int]:
    """Return rows with numbers added to their first entries, over the larger power of two."""
    common = max(shift, added_shift)
    up, across = common - shift, common - added_shift
    moved = [
        [(row[0] << up) + (x << across), *(y << up for y in row[1:])]
        for row, x in zip(rows, added, strict=True)
    ]
    return moved, common
