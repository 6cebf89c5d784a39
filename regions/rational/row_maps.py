"""Exact maps of large networks, row by row: only what the row asked for depends on, along its non-zeros.

`affine_maps` takes whole layers as matrices where these are small; what it means by rows and shifts is said
there.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from functools import cached_property
from itertools import accumulate, pairwise
from operator import mul

import numpy as np
from numpy.typing import NDArray

from regions.network.layer_matrices import Matrix, by_non_zeros, is_sparse, most_terms, values_of
from regions.network.relu_network import Network
from regions.rational.integer_rows import dyadic_integers, dyadic_shift, integers_over

__all__ = ["RowMaps"]

MOST_ROWS = 1 << 19  # rows that are kept, some 300 bytes each
ROWS_TOGETHER = 1 << 18  # non-zeros whose integers are made at once
IntRow = tuple[int, ...]


class RowMaps:
    """Rows of a network's layers as integers, found when asked for, and kept per prefix of the pattern.

    Parameters
    ----------
    network : Network
    start : the rows of the inputs: (n0 * columns) integers, the constant last in each
    shift : the power of two under them
    columns : d + 1

    Notes
    -----
    Cost: some 150 nanoseconds for each non-zero weight that leads to the row, in d = 2.
    """

    def __init__(self, network: Network, start: Sequence[int], shift: int, columns: int) -> None:
        self._network, self._columns = network, columns
        self.start = [tuple(start[k : k + columns]) for k in range(0, len(start), columns)]
        self._shift = shift
        sizes = [bias.size if relu else 0 for bias, relu in zip(network.biases, network.relu, strict=True)]
        self.units_before = [0, *accumulate(sizes)]
        self._kept: OrderedDict[tuple[int, bytes], dict[int, IntRow]] = OrderedDict()

    @cached_property
    def _powers(self) -> tuple[list[int], list[int], dict[int, tuple[list[int], list[int]]]]:
        """Find the powers of two under inputs and values, and the slopes; looks at every weight."""
        network = self._network
        input_shifts, shifts, integers = [self._shift], [], {}
        for layer, (weight, bias) in enumerate(zip(network.operators, network.biases, strict=True)):
            shifts.append(input_shifts[-1] + max(dyadic_shift(values_of(weight)), dyadic_shift(bias)))
            input_shifts.append(shifts[-1])
            pair = network.slopes[layer]
            if pair is not None:
                slopes, own = dyadic_integers(pair)
                integers[layer] = slopes[: bias.size], slopes[bias.size :]
                input_shifts[-1] += own
        return input_shifts, shifts, integers

    @property
    def input_shifts(self) -> list[int]:
        """The powers of two under what goes into each layer."""
        return self._powers[0]

    @property
    def shifts(self) -> list[int]:
        """The powers of two under the values of each layer."""
        return self._powers[1]

    @property
    def slopes(self) -> dict[int, tuple[list[int], list[int]]]:
        """Left and right slopes as integers, of the layers that have any."""
        return self._powers[2]

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
        key = (layer, pattern[: self.units_before[layer]])
        known = self._kept.setdefault(key, {})
        self._kept.move_to_end(key)
        missing = np.array([unit for unit in units.tolist() if unit not in known], np.int64)
        matrix = self._network.operators[layer]
        if missing.size and not is_sparse(matrix):
            matrix, places = by_non_zeros(matrix[missing]), np.arange(missing.size)
        else:
            places = missing
        step = max(1, ROWS_TOGETHER // max(1, most_terms(matrix)))
        for at in range(0, missing.size, step):
            part = matrix[places[at : at + step]]
            inputs = self._inputs(layer, pattern, np.unique(part.indices))
            known.update(self._products(layer, missing[at : at + step], part, inputs))
        return known

    def _inputs(self, layer: int, pattern: bytes, needed: NDArray[np.int64]) -> dict[int, IntRow]:
        """Return what a layer acts on, over `2**input_shifts[layer]`; entries that are 0 are left out."""
        if layer == 0:
            return {k: self.start[k] for k in needed.tolist()}
        below = layer - 1
        if not self._network.relu[below]:
            return self._rows(below, pattern, needed)
        states = np.frombuffer(pattern, np.uint8)[self.units_before[below] : self.units_before[layer]]
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

    def _products(
        self, layer: int, units: NDArray[np.int64], matrix: Matrix, inputs: dict[int, IntRow]
    ) -> Iterator[tuple[int, IntRow]]:
        """Yield the rows of some units, whose weights a matrix has, row after row."""
        own, shift = self.shifts[layer] - self.input_shifts[layer], self.input_shifts[layer]
        biases = integers_over(self._network.biases[layer][units], own)
        weights, columns = integers_over(matrix.data, own), matrix.indices.tolist()
        ends = pairwise(matrix.indptr.tolist())
        for unit, bias, (first, last) in zip(units.tolist(), biases, ends, strict=True):
            pairs = [
                (weight, row)
                for weight, column in zip(weights[first:last], columns[first:last], strict=True)
                if (row := inputs.get(column)) is not None
            ]
            sums = [0] * self._columns
            if pairs:
                factors, rows = zip(*pairs, strict=True)
                sums = [sum(map(mul, factors, column)) for column in zip(*rows, strict=True)]
            sums[-1] += bias << shift
            yield unit, tuple(sums)
