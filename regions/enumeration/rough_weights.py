"""The last layer's weights as kernels read them for maps in single precision (see `single_maps` there)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from regions.kernels.memory.layouts import aligned_zeros
from regions.kernels.memory.map_rows import SINGLE_BLOCK
from regions.network.layer_matrices import Matrix, is_sparse

NARROW = 96  # a last layer of fewer units is not worth it
FARTHEST = 2.0**40  # numbers up to it, and down to its inverse, keep the products within single precision


def rough_arrays(
    weights: Matrix, biases: NDArray[np.float64], extents: NDArray[np.float64]
) -> dict[str, NDArray[Any]]:
    """Return the last layer's weights for maps in single precision; none where it is narrow, or sparse.

    Nor where numbers are so large or so small that those maps might leave the range of single precision
    unnoticed, as `regions.kernels.vertices.single_maps` says.
    """
    n = biases.size
    if is_sparse(weights) or n < NARROW:
        return {}
    sizes = np.abs(np.concatenate([weights.ravel(), biases, extents]))
    sizes = sizes[sizes > 0.0]
    if sizes.size == 0 or sizes.max() > FARTHEST or sizes.min() < 1.0 / FARTHEST:
        return {}
    length = -(-n // SINGLE_BLOCK) * SINGLE_BLOCK
    columns = aligned_zeros(weights.shape[1], length, dtype=np.float32)
    columns[:, :n] = weights.T
    rows = np.zeros((2, length), np.float32)
    rows[0, :n] = biases
    rows[1, :n] = np.sqrt((weights * weights).sum(axis=1) + biases * biases) * 1.0001
    return {
        "rough_weights": columns,
        "rough_biases": rows[0],
        "rough_norms": rows[1],
        "rough_rows": np.ascontiguousarray(weights),
    }
