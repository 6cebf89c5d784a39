"""Exact rows of networks in which a value depends on few units: kept by the states of these only.

In a tree of minima and maxima (a lattice network, a tournament of differences) a value of a late layer
depends on a handful of the units before it. Its row is then the same in most cells, and is found once;
`row_maps` keeps rows by the states of all units before them, which are others in each cell.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from regions.network.layer_matrices import Matrix, by_non_zeros, identity, is_sparse, most_terms, stacked
from regions.network.relu_network import Network
from regions.rational.integer_rows import integers_over
from regions.rational.row_maps import IntRow, RowMaps

__all__ = ["TreeRows", "units_behind"]

MOST_TERMS = 16  # of a value behind the first layer
MOST_UNITS = 64  # that a value depends on, in the mean
MOST_ROWS = 1 << 19  # rows that are kept, some 300 bytes each


def units_behind(network: Network) -> list[Matrix] | None:
    """For each layer which units its values depend on, a sparse matrix; None where that is many.

    Examples
    --------
    >>> network = Network.from_arrays([np.eye(3), [[1.0, -1.0, 0.0]]], [[0.0, 0.0, 0.0], [0.0]])
    >>> [part.indices.tolist() for part in units_behind(network)]
    [[], [0, 1]]
    """
    if network.max_units is not None or any(most_terms(w) > MOST_TERMS for w in network.operators[1:]):
        return None
    found: list[Matrix] = []
    pairs, most = 0, MOST_UNITS * sum(bias.size for bias in network.biases)
    for layer, matrix in enumerate(network.operators):
        if layer == 0:
            found.append(by_non_zeros(np.zeros((matrix.shape[0], 0))))
            continue
        before = found[-1]
        if network.relu[layer - 1]:
            before = stacked([before, identity(matrix.shape[1])], axis=1)
        terms = abs(matrix if is_sparse(matrix) else by_non_zeros(matrix)).sign()
        found.append((terms @ before).sign().tocsr())
        pairs += found[-1].nnz
        if pairs > most:
            return None
    return found


class TreeRows:
    """Rows of values as integers, for the states of the units that each depends on.

    Parameters
    ----------
    network : Network
    maps : RowMaps, whose inputs' rows, places of units and powers of two are taken
    behind : as `units_behind` returns them
    """

    def __init__(self, network: Network, maps: RowMaps, behind: Sequence[Matrix]) -> None:
        self._network, self._maps, self._start, self._behind = network, maps, maps.start, behind
        self._kept: dict[tuple[int, int], dict[bytes, IntRow]] = {}
        self._size = 0

    @cached_property
    def _terms(self) -> list[tuple[list[int], list[int], list[int], list[int]]]:
        """For each layer its weights as integers, their columns, where rows begin, and the biases."""
        layers = []
        for layer, (weight, bias) in enumerate(
            zip(self._network.operators, self._network.biases, strict=True)
        ):
            matrix = weight if is_sparse(weight) else by_non_zeros(weight)
            own = self._maps.shifts[layer] - self._maps.input_shifts[layer]
            weights = integers_over(matrix.data, own)
            biases = [one << self._maps.input_shifts[layer] for one in integers_over(bias, own)]
            layers.append((weights, matrix.indices.tolist(), matrix.indptr.tolist(), biases))
        return layers

    def row(self, layer: int, states: NDArray[np.uint8], unit: int) -> IntRow:
        """Return the row of a value of an affine layer, over `2**shifts[layer]`, for the states before it."""
        behind = self._behind[layer]
        needed = behind.indices[behind.indptr[unit] : behind.indptr[unit + 1]]
        key = states[needed].tobytes()
        kept = self._kept.setdefault((layer, unit), {})
        found = kept.get(key)
        if found is None:
            found = kept[key] = self._sum(layer, states, unit)
            self._size += 1
            if self._size > MOST_ROWS:
                self._kept, self._size = {}, 0
        return found

    def _sum(self, layer: int, states: NDArray[np.uint8], unit: int) -> IntRow:
        weights, columns, starts, biases = self._terms[layer]
        sums = [0] * len(self._start[0])
        sums[-1] = biases[unit]
        for at in range(starts[unit], starts[unit + 1]):
            factor, row = self._input(layer, states, columns[at])
            if factor:
                factor *= weights[at]
                for j, x in enumerate(row):
                    sums[j] += factor * x
        return tuple(sums)

    def _input(self, layer: int, states: NDArray[np.uint8], column: int) -> tuple[int, IntRow]:
        """Return a factor and a row, whose product is what a layer acts on; (0, ()) where that is 0."""
        if layer == 0:
            return 1, self._start[column]
        below, factor = layer - 1, 1
        if self._network.relu[below]:
            right = states[self._maps.units_before[below] + column]
            pair = self._maps.slopes.get(below)
            factor = int(right) if pair is None else pair[1 if right else 0][column]
        return (factor, self.row(below, states, column)) if factor else (0, ())
