"""Rows of a large network's maps in floating point, with errors weighed by what they do to the row asked for.

Carried on layer by layer with the weights' absolute values, bounds grow like these; an error on the way
counts here by the derivative of the row by that value, in which weights of both signs cancel. What the errors
leave open, `row_enclosures` decides.
"""

from __future__ import annotations

from collections import OrderedDict
from functools import reduce
from math import frexp, isfinite
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from regions.network.layer_matrices import Matrix, is_sparse, most_terms, values_of, with_values
from regions.network.relu_network import Network
from regions.network.slopes import slopes_at
from regions.rational.row_enclosures import EnclosedRow

__all__ = ["FloatRows", "in_integers"]

FloatArray = NDArray[np.float64]

MOST_BYTES = 1 << 26  # of maps that are kept, and of absolute values of weights
MOST_ROWS = 1 << 12  # that are kept
ENLARGED = 1.0 + 1e-9  # covers the rounding of the bounds themselves
SMALLEST = 1e-300  # covers what underflow can lose of a sum
LARGEST = 2.0**40  # of weights and slopes
UNIT_ROUNDOFF = 2.0**-53
FEW = 4  # with non-zeros at one place in so many, a vector goes by these
FINER = 10  # bits of a row's integers below its error


class _Values(NamedTuple):
    """The values of a layer, (n, columns), none farther than `errors` from the true ones.

    An error of the derivative by a value, or of the value in its own layer's sum, adds at most `doubts` times
    the derivative to a row's error.
    """

    rows: FloatArray
    errors: FloatArray
    doubts: FloatArray

    @property
    def n_bytes(self) -> int:
        return int(self.rows.nbytes + self.errors.nbytes + self.doubts.nbytes)


class FloatRows:
    """Rows of a network's layers in floating point, with bounds of their errors.

    Parameters
    ----------
    network : Network
    start : (n0, columns) float64, the rows of the inputs, the constant last

    Notes
    -----
    With computed values v, true ones t and v_l = M_l v_(l-1) + b_l + r_l, the error of a value of the
    last layer is the sum over all layers of y_l r_l + (M_l' y_l - y_(l-1)) (v - t)_(l-1), whatever the
    y_l are. They are the computed derivatives here, so that the second term is their rounding times errors
    that need no good bound. Cost: some 6 nanoseconds for each non-zero weight of new layers, and one or
    two for each row.

    Examples
    --------
    >>> network = Network.from_arrays([[[0.5], [1.0]], [[1.0, 3.0]], [[1.0]]], [[0, -1], [0.25], [0]])
    >>> row = FloatRows(network, np.array([[1.0, 0.0]])).row(1, bytes([1, 0]), 0)  # 0.5 t + 0.25
    >>> abs(row.entries[0] - 2 * row.entries[1]) <= 3 * row.error < 1e-13 * row.entries[0]
    True
    """

    def __init__(self, network: Network, start: FloatArray) -> None:
        self._network, self._start = network, start
        sizes = [bias.size if relu else 0 for bias, relu in zip(network.biases, network.relu, strict=True)]
        self._units_before = np.concatenate([[0], np.cumsum(sizes)]).tolist()
        self._sizes: dict[int, Matrix] = {}
        self._roundings: dict[int, tuple[float, float]] = {}
        self._kept: OrderedDict[tuple[int, bytes], _Values] = OrderedDict()
        self._held = 0  # bytes of these
        self._rows: OrderedDict[tuple[int, int, int, bytes], EnclosedRow | None] = OrderedDict()

    def row(self, layer: int, pattern: bytes, unit: int) -> EnclosedRow | None:
        """Return the row of a value of an affine layer; None where its error has no bound.

        Parameters
        ----------
        layer : int, affine layer
        pattern : the states of all units before it, one byte each
        unit : int
        """
        return self._found(layer, pattern, unit, -1)

    def difference(self, layer: int, pattern: bytes, unit: int, other: int) -> EnclosedRow | None:
        """Return the row of a unit minus that of another of the same layer."""
        return self._found(layer, pattern, unit, other)

    def _found(self, layer: int, pattern: bytes, unit: int, other: int) -> EnclosedRow | None:
        key = (layer, unit, other, pattern[: self._units_before[layer]])
        if key not in self._rows:
            with np.errstate(all="ignore"):  # what is too large or no number has no bound
                self._rows[key] = self._made(layer, pattern, unit, other)
            if len(self._rows) > MOST_ROWS:
                self._rows.popitem(last=False)
        self._rows.move_to_end(key)
        return self._rows[key]

    def _made(self, layer: int, pattern: bytes, unit: int, other: int) -> EnclosedRow | None:
        """Find a row, its derivatives by all values on the way, and what the errors of these do to it."""
        values = self._values(layer, pattern)
        row, shares = values.rows[unit], np.zeros(values.errors.size)
        shares[unit], error = 1.0, 0.0
        if other >= 0:
            row = row - values.rows[other]
            shares[other], error = -1.0, UNIT_ROUNDOFF * float(np.abs(row).max())
        for k in range(layer, -1, -1):
            values = self._values(k, pattern)
            error += float(np.abs(shares) @ values.doubts) + SMALLEST * float(values.errors.sum())
            if k:
                shares = self._factors(k, pattern) * _times_transposed(self._network.operators[k], shares)
        return in_integers(row, error * ENLARGED + SMALLEST)

    def _factors(self, layer: int, pattern: bytes) -> FloatArray | float:
        """Return what the values that a layer acts on were multiplied by."""
        below = layer - 1
        if not self._network.relu[below]:
            return 1.0
        states = np.frombuffer(pattern, np.bool_)[self._units_before[below] : self._units_before[layer]]
        return np.asarray(slopes_at(self._network.slopes[below], states), np.float64)

    def _values(self, layer: int, pattern: bytes) -> _Values:
        """Return the values of an affine layer, which are kept."""
        key = (layer, pattern[: self._units_before[layer]])
        found = self._kept.get(key)
        if found is None:
            found = self._kept[key] = self._computed(layer, pattern)
            self._held += found.n_bytes
            while self._held > MOST_BYTES and len(self._kept) > self._network.n_layers:
                self._held -= self._kept.popitem(last=False)[1].n_bytes
        self._kept.move_to_end(key)
        return found

    def _computed(self, layer: int, pattern: bytes) -> _Values:
        matrix, bias = self._network.operators[layer], self._network.biases[layer]
        inputs, before = self._start, np.zeros(self._start.shape[0])
        if layer:
            below, factors = self._values(layer - 1, pattern), self._factors(layer, pattern)
            inputs = below.rows * np.reshape(factors, (-1, 1))
            before = below.errors * np.abs(factors)
        rows = np.asarray(matrix @ inputs)
        rows[:, -1] += bias
        carried = self._absolute(layer) @ np.column_stack([reduce(np.maximum, np.abs(inputs).T), before])
        forward, back = self._roundings_of(layer)
        own = forward * (carried[:, 0] + np.abs(bias)) + SMALLEST
        errors = (carried[:, 1] + own) * ENLARGED
        return _Values(rows, errors, (own + back * errors) * ENLARGED)

    def _roundings_of(self, layer: int) -> tuple[float, float]:
        """Return the relative errors of a layer's sums, along its rows and along its columns.

        They are infinite where numbers are so large that what underflow loses is not below `SMALLEST`.
        """
        found = self._roundings.get(layer)
        if found is None:
            matrix, slopes = (
                self._network.operators[layer],
                self._network.slopes[layer - 1] if layer else None,
            )
            largest = max(
                np.abs(values_of(matrix)).max(initial=0.0), 0.0 if slopes is None else np.abs(slopes).max()
            )
            columns = (
                int(np.bincount(matrix.indices).max(initial=0)) if is_sparse(matrix) else matrix.shape[0]
            )
            # a product by a slope, or the bias, rounds once more
            found = _rounding(most_terms(matrix) + 4), _rounding(columns + 4)
            self._roundings[layer] = found if largest <= LARGEST else (np.inf, np.inf)
        return self._roundings[layer]

    def _absolute(self, layer: int) -> Matrix:
        """Return the absolute values of a layer's weights."""
        found = self._sizes.get(layer)
        if found is None:
            matrix = self._network.operators[layer]
            found = with_values(matrix, np.abs(values_of(matrix)))
            held = sum(values_of(kept).nbytes for kept in self._sizes.values())
            if held + values_of(found).nbytes <= MOST_BYTES:
                self._sizes[layer] = found
        return found


def _rounding(n: int) -> float:
    """`n u / (1 - n u)`: the relative error of a sum of n products, in any order (Higham 2002, lemma 3.1)."""
    return n * UNIT_ROUNDOFF / (1.0 - n * UNIT_ROUNDOFF)


def _times_transposed(matrix: Matrix, vector: FloatArray) -> FloatArray:
    """Return the transpose of a matrix times a vector, by its non-zeros where they are few."""
    if is_sparse(matrix):
        used = np.flatnonzero(vector)
        if used.size * FEW < vector.size:
            return np.asarray(matrix[used].T @ vector[used])
    return np.asarray(matrix.T @ vector)


def in_integers(row: FloatArray, error: float) -> EnclosedRow | None:
    """Write a row and its error in integers over a power of two."""
    if not (isfinite(error) and np.isfinite(row).all()):
        return None
    power = max(frexp(error)[1], frexp(float(np.abs(row).max()))[1] - 200) - FINER
    entries = tuple(_divided(float(x), power) for x in row)
    return EnclosedRow(entries, _divided(error, power) + 2, power)


def _divided(value: float, power: int) -> int:
    """Return a float divided by a power of two, rounded down."""
    numerator, denominator = value.as_integer_ratio()
    shift = -power
    return (numerator << shift) // denominator if shift >= 0 else numerator // (denominator << -shift)
