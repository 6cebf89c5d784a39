"""Convolutions and average pooling as matrices: the same numbers at the places where they act, no sums.

Images are `(channels, height, width)` and flattened in that order.
"""

from __future__ import annotations

from math import prod
from typing import NamedTuple

import numpy as np

from regions.errors import BudgetExceededError, InvalidNetworkError
from regions.network.loaders.checks import FloatArray

__all__ = ["Window", "average_weight", "convolution_matrix"]

Pair = tuple[int, int]
MOST_ENTRIES = 2**27  # of a dense matrix: 1 GiB


class Window(NamedTuple):
    """How a kernel moves over an image: vertically, horizontally."""

    stride: Pair
    padding: Pair
    dilation: Pair = (1, 1)
    groups: int = 1


def convolution_matrix(
    weight: FloatArray, window: Window, shape: tuple[int, ...], where: str
) -> tuple[FloatArray, tuple[int, int, int]]:
    """A convolution with zero padding as a dense matrix, exactly.

    Parameters
    ----------
    weight : (out channels, in channels / groups, kernel height, kernel width) float64
    window : Window
    shape : (in channels, height, width) of the image
    where : for messages

    Returns
    -------
    matrix : (prod of the new shape, prod of shape) float64
    shape : (out channels, height, width) of the result

    Raises
    ------
    InvalidNetworkError : if the image does not fit the kernel
    BudgetExceededError : if the matrix has more than 2**27 entries

    Examples
    --------
    >>> window = Window(stride=(1, 1), padding=(0, 0))
    >>> matrix, shape = convolution_matrix(np.array([[[[1.0, 2.0]]]]), window, (1, 1, 3), "conv")
    >>> matrix.tolist(), shape
    ([[1.0, 2.0, 0.0], [0.0, 1.0, 2.0]], (1, 1, 2))
    """
    outputs, inputs, *kernel = weight.shape
    if len(shape) != 3 or shape[0] != inputs * window.groups:
        raise InvalidNetworkError(
            f"{where} takes images of {inputs * window.groups} channels, (channels, height, width), "
            f"but receives shape {shape}"
        )
    size = [
        (length + 2 * pad - dilation * (k - 1) - 1) // stride + 1
        for length, pad, dilation, k, stride in zip(
            shape[1:], window.padding, window.dilation, kernel, window.stride, strict=True
        )
    ]
    if min(size) < 1:
        raise InvalidNetworkError(f"{where} has a kernel of {tuple(kernel)}, larger than its image {shape}")
    after = (outputs, size[0], size[1])
    if prod(after) * prod(shape) > MOST_ENTRIES:
        raise BudgetExceededError(
            f"{where} maps {prod(shape)} values to {prod(after)}: as a dense matrix it would have more than "
            f"{MOST_ENTRIES:,} entries; take smaller images or larger strides"
        )
    matrix = np.zeros((*after, *shape))
    share = outputs // window.groups
    for dy, dx in np.ndindex(*kernel):
        rows, from_rows = _places(0, dy, size, window, shape)
        columns, from_columns = _places(1, dx, size, window, shape)
        for o, i in np.ndindex(outputs, inputs):
            channel = (o // share) * inputs + i
            target = matrix[o, :, :, channel]
            target[rows[:, None], columns, from_rows[:, None], from_columns] = weight[o, i, dy, dx]
    return matrix.reshape(prod(after), prod(shape)), after


def average_weight(channels: int, kernel: Pair, where: str) -> FloatArray:
    """Average pooling as the weight of a convolution with one group per channel.

    Raises
    ------
    InvalidNetworkError : if one over the kernel's area is no exact number in binary
    """
    area = kernel[0] * kernel[1]
    if area & (area - 1):
        raise InvalidNetworkError(
            f"{where} averages {area} values, and 1/{area} is not exact in floating point; supported are "
            "kernels whose area is a power of two"
        )
    return np.full((channels, 1, *kernel), 1.0 / area)


def _places(
    axis: int, offset: int, size: list[int], window: Window, shape: tuple[int, ...]
) -> tuple[np.ndarray, np.ndarray]:
    """Places of the result that one entry of the kernel reaches inside the image, and where from."""
    to = np.arange(size[axis])
    source = to * window.stride[axis] + offset * window.dilation[axis] - window.padding[axis]
    inside = (source >= 0) & (source < shape[1 + axis])
    return to[inside], source[inside]
