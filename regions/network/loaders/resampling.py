"""Images made larger or smaller: which entries each new place takes, and by which weights, for every format.

Where a new place is in the old image is for the formats to say; they disagree about that.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import reduce
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array, identity, kron

from regions.network.loaders.affine_tensors import AffineTensor, Layering, check_entries, check_shape
from regions.network.loaders.checks import FloatArray

__all__ = ["ROUNDINGS", "interpolated", "taken"]

IntArray = NDArray[np.int64]

# how a place between two entries becomes one of them
ROUNDINGS: dict[str, Callable[[Any], Any]] = {
    "floor": np.floor,
    "ceil": np.ceil,
    "round_prefer_floor": lambda places: np.ceil(places - 0.5),
    "round_prefer_ceil": lambda places: np.floor(places + 0.5),
}


def taken(x: AffineTensor, places: Mapping[int, NDArray[np.floating[Any]]], rounding: str) -> AffineTensor:
    """Take the nearest entry along some axes.

    Parameters
    ----------
    x : AffineTensor
    places : by axis, where each new entry is among the old ones; beyond the ends the last entry counts
    rounding : a key of `ROUNDINGS`
    """
    index = x.index
    for axis, wanted in places.items():
        sizes = [wanted.size if k == axis else n for k, n in enumerate(index.shape)]
        check_shape("a resized image", sizes)
        nearest = np.clip(ROUNDINGS[rounding](wanted), 0, index.shape[axis] - 1).astype(np.int64)
        index = np.take(index, nearest, axis=axis)
    return x.moved(index)


def interpolated(layering: Layering, x: AffineTensor, places: Mapping[int, FloatArray]) -> AffineTensor:
    """Interpolate linearly along some axes; a weight is the product of one rounded weight for each axis."""
    matrices = []
    for axis, n in enumerate(x.shape):
        wanted = places.get(axis)
        matrices.append(csr_array(identity(n)) if wanted is None else _linear(n, wanted))
    shape = tuple(matrix.shape[0] for matrix in matrices)
    entries = 1
    for matrix in matrices:
        entries *= int(matrix.nnz)
    check_entries("a resized image", entries)
    return layering.linear(x, csr_array(reduce(kron, matrices)), shape)


def _linear(n: int, places: FloatArray) -> csr_array:
    """Weights of the two entries that each place is between; beyond the ends the last entry counts."""
    inside = np.clip(places.astype(np.float64), 0.0, n - 1.0)
    low = np.minimum(np.floor(inside), max(n - 2, 0)).astype(np.int64)
    share = inside - low
    rows = np.arange(places.size)
    values = np.concatenate([1.0 - share, share])
    columns = np.concatenate([low, np.minimum(low + 1, n - 1)])
    matrix = csr_array((values, (np.concatenate([rows, rows]), columns)), (places.size, n))
    matrix.sum_duplicates()
    matrix.eliminate_zeros()
    return matrix
