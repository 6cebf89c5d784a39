"""Exact maps of large networks, row by row: only what the row asked for depends on, along its non-zeros.

`affine_maps` takes whole layers as matrices where these are small; what it means by rows and shifts is said
there.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from itertools import accumulate
from operator import mul
from typing import Any

import numpy as np
from numpy.typing import NDArray

from regions.network.layer_matrices import is_sparse, values_of
from regions.network.relu_network import Network
from regions.rational.integer_rows import dyadic_integers, dyadic_shift, integers_over

__all__ = ["RowMaps"]

MOST_ROWS = 1 << 19  # rows that are kept, some 300 bytes each
IntRow = tuple[int, ...]


class RowMaps:
    """Rows of a network's layers as integers, found when asked for, and kept per prefix of the pattern.

    Parameters
    ----------
    network : Network
    start : the rows of the inputs: (n0 * columns) integers, the constant last in each
    shift : the power of two under them
    columns : d + 1

    Attributes
    ----------
    input_shifts, shifts : powers of two under what goes into each layer, and under its values
    slopes : left and right slopes as integers, of the layers that have any

    Notes
    -----
    Cost: some 200 nanoseconds for each non-zero weight that leads to the row, in d = 2.
    """

    def __init__(self, network: Network, start: Sequence[int], shift: int, columns: int) -> None:
        self._network, self._columns = network, columns
        self._start = [tuple(start[k : k + columns]) for k in range(0, len(start), columns)]
        self.input_shifts, self.shifts = [shift], []
        self.slopes: dict[int, tuple[list[int], list[int]]] = {}
        for layer, (weight, bias) in enumerate(zip(network.operators, network.biases, strict=True)):
            self.shifts.append(
                self.input_shifts[-1] + max(dyadic_shift(values_of(weight)), dyadic_shift(bias))
            )
            self.input_shifts.append(self.shifts[-1])
            pair = network.slopes[layer]
            if pair is not None:
                slopes, own = dyadic_integers(pair)
                self.slopes[layer] = slopes[: bias.size], slopes[bias.size :]
                self.input_shifts[-1] += own
        sizes = [bias.size if relu else 0 for bias, relu in zip(network.biases, network.relu, strict=True)]
        self._units_before = [0, *accumulate(sizes)]
        self._kept: OrderedDict[tuple[int, bytes], dict[int, IntRow]] = OrderedDict()

    def rows(self, layer: int, pattern: bytes, units: NDArray[np.int64]) -> list[IntRow]:
        """Return the rows of values of an affine layer, over `2**shifts[layer]`.

        Parameters
        ----------
        layer : int, affine layer
        pattern : the states of all units before it, one byte each
        units : (n,) numbers of values
        """
        total = sum(map(len, self._kept.values()))
        while total > MOST_ROWS and len(self._kept) > 1:
            total -= len(self._kept.popitem(last=False)[1])
        known = self._rows(layer, pattern, units)
        return [known[unit] for unit in units.tolist()]

    def _rows(self, layer: int, pattern: bytes, units: NDArray[np.int64]) -> dict[int, IntRow]:
        """Return the rows that are known of a layer, after finding those of these units."""
        key = (layer, pattern[: self._units_before[layer]])
        known = self._kept.setdefault(key, {})
        self._kept.move_to_end(key)
        missing = np.array([unit for unit in units.tolist() if unit not in known], np.int64)
        if missing.size:
            places = [self._places(layer, unit) for unit in missing.tolist()]
            needed = np.unique(np.concatenate([columns for columns, _ in places]))
            inputs = self._inputs(layer, pattern, needed)
            for unit, (columns, values) in zip(missing.tolist(), places, strict=True):
                known[unit] = self._row(layer, unit, columns, values, inputs)
        return known

    def _places(self, layer: int, unit: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Return where a row of a layer's matrix is not 0, and its numbers there."""
        matrix = self._network.operators[layer]
        if is_sparse(matrix):
            own = slice(matrix.indptr[unit], matrix.indptr[unit + 1])
            return matrix.indices[own], matrix.data[own]
        columns = np.flatnonzero(matrix[unit])
        return columns, matrix[unit, columns]

    def _inputs(self, layer: int, pattern: bytes, needed: NDArray[np.int64]) -> dict[int, IntRow]:
        """Return what a layer acts on, over `2**input_shifts[layer]`; entries that are 0 are left out."""
        if layer == 0:
            return {k: self._start[k] for k in needed.tolist()}
        below = layer - 1
        if not self._network.relu[below]:
            return self._rows(below, pattern, needed)
        states = np.frombuffer(pattern, np.uint8)[self._units_before[below] : self._units_before[layer]]
        if below not in self.slopes:
            needed = needed[states[needed] != 0]
            found = self._rows(below, pattern, needed)
            return {k: found[k] for k in needed.tolist()}
        left, right = self.slopes[below]
        factors = {k: right[k] if states[k] else left[k] for k in needed.tolist()}
        factors = {k: factor for k, factor in factors.items() if factor}
        found = self._rows(below, pattern, np.array(list(factors), np.int64))
        return {
            k: found[k] if factor == 1 else tuple(factor * x for x in found[k])
            for k, factor in factors.items()
        }

    def _row(
        self,
        layer: int,
        unit: int,
        columns: NDArray[np.int64],
        values: NDArray[np.float64],
        inputs: dict[int, IntRow],
    ) -> IntRow:
        own = self.shifts[layer] - self.input_shifts[layer]
        bias = integers_over(self._network.biases[layer][unit : unit + 1], own)[0]
        found: list[Any] = [inputs.get(k) for k in columns.tolist()]
        pairs = [
            (w, row) for w, row in zip(integers_over(values, own), found, strict=True) if row is not None
        ]
        weights = [w for w, _ in pairs]
        sums = [sum(map(mul, weights, column)) for column in zip(*(row for _, row in pairs), strict=True)]
        sums = sums or [0] * self._columns
        sums[-1] += bias << self.input_shifts[layer]
        return tuple(sums)
