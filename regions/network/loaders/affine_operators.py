"""Products with matrices, sums and means, as sparse operators on affine tensors, for every format."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from regions.errors import InvalidNetworkError
from regions.network.loaders.affine_tensors import AffineTensor, Layering, check_entries
from regions.network.loaders.checks import FloatArray

__all__ = ["matrix_product", "normalised", "product", "reduced", "swapped"]


def swapped(entries: NDArray[Any]) -> NDArray[Any]:
    """The last two axes exchanged, where there are two."""
    return np.swapaxes(entries, -1, -2) if entries.ndim > 1 else entries


def product(
    layering: Layering, x: AffineTensor | FloatArray, y: AffineTensor | FloatArray, where: str
) -> AffineTensor:
    """x @ y, of which one is a tensor and the other holds numbers.

    Raises
    ------
    InvalidNetworkError : if both are tensors
    """
    if isinstance(x, AffineTensor) and isinstance(y, AffineTensor):
        raise InvalidNetworkError(f"{where} multiplies two computed values; that is not piecewise linear")
    if isinstance(x, AffineTensor):
        assert not isinstance(y, AffineTensor)
        return matrix_product(layering, x, y)
    assert isinstance(y, AffineTensor)
    # (M x)' = x' M'
    turned = matrix_product(layering, y.moved(swapped(y.index)), swapped(x))
    return turned if y.index.ndim == 1 or x.ndim == 1 else turned.moved(swapped(turned.index))


def normalised(
    layering: Layering, x: AffineTensor, scale: Any, bias: Any, mean: FloatArray, variance: FloatArray
) -> AffineTensor:
    """Batch normalisation over axis 1; each weight is rounded once, and epsilon is in the variance."""
    factor = scale / np.sqrt(variance)
    shape = (-1, *[1] * (len(x.shape) - 2))
    return layering.rounded(x, factor.reshape(shape), (bias - mean * factor).reshape(shape))


def matrix_product(layering: Layering, x: AffineTensor, matrix: FloatArray) -> AffineTensor:
    """x @ matrix, with the meaning of numpy's matmul for vectors and for stacks of matrices."""
    if not x.index.ndim or not matrix.ndim:
        raise InvalidNetworkError("a product of matrices with a single number")
    left = x.index[None, :] if x.index.ndim == 1 else x.index
    right = matrix[:, None] if matrix.ndim == 1 else matrix
    if left.shape[-1] != right.shape[-2]:
        raise InvalidNetworkError(
            f"a value of shape {x.shape} for one sample is multiplied by a constant of shape {matrix.shape}; "
            f"it has weights for {right.shape[-2]} values but receives {left.shape[-1]} values"
        )
    stack = np.broadcast_shapes(left.shape[:-2], right.shape[:-2])
    rows, inner, columns = left.shape[-2], right.shape[-2], right.shape[-1]
    check_entries("a product of matrices", prod((*stack, rows, inner, columns)))
    shape = (*stack, rows, columns)
    if prod(stack) * rows == 1:
        operator = csr_array(right.reshape(inner, columns).T)
    else:
        places = np.broadcast_to(np.arange(x.index.size).reshape(left.shape), (*stack, rows, inner))
        numbers = np.broadcast_to(right, (*stack, inner, columns))
        # axes: stack, row, column, inner
        source = np.broadcast_to(places[..., :, None, :], (*stack, rows, columns, inner)).ravel()
        turned = np.swapaxes(numbers, -1, -2)[..., None, :, :]
        values = np.broadcast_to(turned, (*stack, rows, columns, inner))
        target = np.repeat(np.arange(prod(shape)), inner)
        kept = values.ravel() != 0.0
        operator = csr_array(
            (values.ravel()[kept], (target[kept], source[kept])), (prod(shape), x.index.size)
        )
    y = layering.linear(x, operator, shape)
    if matrix.ndim == 1:
        y = y.moved(y.index[..., 0])
    if x.index.ndim == 1:
        y = y.moved(y.index[..., 0] if matrix.ndim == 1 else y.index[..., 0, :])
    return y


def reduced(
    layering: Layering, x: AffineTensor, axes: tuple[int, ...], *, keep: bool, mean: bool
) -> AffineTensor:
    """Sum or mean of x over these axes; 1 / count is the nearest float64, exact for powers of two."""
    kept = tuple(axis for axis in range(x.index.ndim) if axis not in axes)
    count = prod(x.shape[axis] for axis in axes)
    places = np.arange(x.index.size).reshape(x.shape).transpose(*kept, *axes).reshape(-1, count)
    size = places.shape[0]
    weight = 1.0 / count if mean else 1.0
    target = np.repeat(np.arange(size), count)
    operator = csr_array((np.full(places.size, weight), (target, places.ravel())), (size, x.index.size))
    shape = [1 if axis in axes else n for axis, n in enumerate(x.shape) if keep or axis not in axes]
    return layering.linear(x, operator, tuple(shape))
