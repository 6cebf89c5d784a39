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

__all__ = ["ROUNDINGS", "cubic", "interpolated", "linear", "taken"]

IntArray = NDArray[np.int64]
Weights = Callable[[int, FloatArray], csr_array]  # of n entries at places among them, a row for each place

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


def linear(n: int, places: FloatArray) -> csr_array:
    """Weights of the two entries that each place is between; beyond the ends the last entry counts.

    Examples
    --------
    >>> linear(3, np.array([-0.5, 0.25, 2.0])).toarray().tolist()
    [[1.0, 0.0, 0.0], [0.75, 0.25, 0.0], [0.0, 0.0, 1.0]]
    """
    inside = np.clip(places.astype(np.float64), 0.0, n - 1.0)
    low = np.minimum(np.floor(inside), max(n - 2, 0)).astype(np.int64)
    share = inside - low
    columns = np.stack([low, np.minimum(low + 1, n - 1)])
    return _matrix(n, np.stack([1.0 - share, share]), columns)


def cubic(n: int, places: FloatArray, *, a: float, inside_only: bool = False) -> csr_array:
    """Weights of the four entries around each place, by Keys's kernel; a last entry counts beyond its end.

    Parameters
    ----------
    n : int
    places : where each new entry is among the old ones
    a : the kernel's parameter, its slope at 1
    inside_only : bool, whether entries beyond the ends do not count, and the others are scaled to a sum of 1

    References
    ----------
    Keys, Cubic convolution interpolation for digital image processing, IEEE Trans. ASSP 29, 1981.

    Examples
    --------
    >>> cubic(4, np.array([1.5]), a=-0.5).toarray().tolist()
    [[-0.0625, 0.5625, 0.5625, -0.0625]]
    """
    wanted = places.astype(np.float64)
    low = np.floor(wanted)
    s = wanted - low

    def near(t: FloatArray) -> FloatArray:
        return ((a + 2.0) * t - (a + 3.0)) * t * t + 1.0

    def far(t: FloatArray) -> FloatArray:
        return ((a * t - 5.0 * a) * t + 8.0 * a) * t - 4.0 * a

    values = np.stack([far(s + 1.0), near(s), near(1.0 - s), far(2.0 - s)])
    columns = low.astype(np.int64) + np.arange(-1, 3)[:, None]
    if inside_only:
        values = np.where((columns >= 0) & (columns < n), values, 0.0)
        values = values / values.sum(axis=0)
    return _matrix(n, values, np.clip(columns, 0, n - 1))


def interpolated(
    layering: Layering, x: AffineTensor, places: Mapping[int, FloatArray], weights: Weights = linear
) -> AffineTensor:
    """Interpolate along some axes; a weight is the product of one rounded weight for each axis."""
    matrices = []
    for axis, n in enumerate(x.shape):
        wanted = places.get(axis)
        matrices.append(csr_array(identity(n)) if wanted is None else weights(n, wanted))
    shape = tuple(matrix.shape[0] for matrix in matrices)
    entries = 1
    for matrix in matrices:
        entries *= int(matrix.nnz)
    check_entries("a resized image", entries)
    return layering.linear(x, csr_array(reduce(kron, matrices)), shape)


def _matrix(n: int, values: FloatArray, columns: IntArray) -> csr_array:
    """A row for each place, from the values (k, places) at columns (k, places), summed where they meet."""
    rows = np.broadcast_to(np.arange(values.shape[1]), values.shape)
    matrix = csr_array((values.ravel(), (rows.ravel(), columns.ravel())), (values.shape[1], n))
    matrix.sum_duplicates()
    matrix.eliminate_zeros()
    return matrix
