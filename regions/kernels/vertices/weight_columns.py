"""Columns of a layer's weights, dense or by their non-zeros, added to the maps and vectors of a layer."""

import numpy as np
from numpy.typing import NDArray

from regions.kernels.memory.bits import fma
from regions.kernels.memory.compiling import part
from regions.kernels.memory.layouts import SearchMemory


@part
def add_sparse_column(
    search: SearchMemory, layer: int, target: int, below: int, unit: int, slope: float
) -> None:
    """Add `slope` times one unit of the map in slot `below` to the map of a sparse layer in slot `target`.

    The error row takes the sizes of the weights times what the unit passes on.
    """
    d = search.dimension
    column = search.column_bases[layer] + unit
    first, last = search.column_starts[column], search.column_starts[column + 1]
    for i in range(d + 1):
        factor = slope * search.slots[below, i, unit]
        row = search.slots[target, i]
        for e in range(first, last):
            k = search.weight_rows[e]
            row[k] = fma(search.weights[e], factor, row[k])
    factor = abs(slope) * search.slots[below, d + 2, unit]
    row = search.slots[target, d + 1]
    for e in range(first, last):
        k = search.weight_rows[e]
        row[k] = fma(abs(search.weights[e]), factor, row[k])


@part
def add_to_vector(
    search: SearchMemory, layer: int, unit: int, factor: float, vector: NDArray[np.float64]
) -> None:
    """Add `factor` times the column of a unit of the layer below to a vector."""
    if search.sparse[layer] == 1:
        column = search.column_bases[layer] + unit
        for e in range(search.column_starts[column], search.column_starts[column + 1]):
            vector[search.weight_rows[e]] += search.weights[e] * factor
        return
    n = search.widths[layer]
    at = search.weight_starts[layer] + unit * n
    for k in range(n):
        vector[k] += search.weights[at + k] * factor


@part
def add_sizes_to_vector(
    search: SearchMemory, layer: int, unit: int, factor: float, vector: NDArray[np.float64]
) -> None:
    """Add `factor` times the sizes of the column of a unit of the layer below to a vector."""
    if search.sparse[layer] == 1:
        column = search.column_bases[layer] + unit
        for e in range(search.column_starts[column], search.column_starts[column + 1]):
            vector[search.weight_rows[e]] += abs(search.weights[e]) * factor
        return
    n = search.widths[layer]
    at = search.weight_starts[layer] + unit * n
    for k in range(n):
        vector[k] += abs(search.weights[at + k]) * factor
