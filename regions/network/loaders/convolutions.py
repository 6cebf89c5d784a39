"""Convolutions and pooling by averages as sparse matrices: the same numbers at the places where they act.

Images are `(channels, *lengths)` of one, two or three axes, flattened in that order. Nothing is summed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import prod
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from regions.errors import InvalidNetworkError
from regions.network.loaders.affine_tensors import check_entries
from regions.network.loaders.checks import FloatArray

__all__ = ["Window", "average", "convolution", "transposed_convolution", "window", "window_groups"]

Sizes = tuple[int, ...]


class Window(NamedTuple):
    """How a kernel moves over an image, axis by axis; padding at the beginnings and at the ends."""

    stride: Sizes
    before: Sizes
    after: Sizes
    dilation: Sizes

    def lengths(self, kernel: Sizes, shape: Sizes, ceil: bool = False) -> Sizes:
        """Return how many places the kernel has along each axis of an image of this shape."""
        places = []
        for k, length, stride, before, after, dilation in zip(kernel, shape[1:], *self, strict=True):
            room = length + before + after - dilation * (k - 1) - 1
            count = -(-room // stride) if ceil else room // stride
            # a window that would begin in the padding behind the image is left out
            if ceil and count * stride >= length + before:
                count -= 1
            places.append(count + 1)
        return tuple(places)


def window(
    axes: int,
    stride: Sequence[int] | int = 1,
    padding: Sequence[int] | int = 0,
    dilation: Sequence[int] | int = 1,
) -> Window:
    """Return the window of these numbers, given for all axes or for each; padding the same on both sides."""
    spread = [
        (given,) * axes if isinstance(given, int) else (tuple(int(size) for size in given) * axes)[:axes]
        for given in (stride, padding, dilation)
    ]
    return Window(spread[0], spread[1], spread[1], spread[2])


def convolution(
    weight: FloatArray, window: Window, groups: int, shape: Sizes, where: str
) -> tuple[csr_array, Sizes]:
    """A convolution with zero padding as a sparse matrix, exactly.

    Parameters
    ----------
    weight : (out channels, in channels / groups, *kernel) float64
    window : Window
    groups : number of groups of channels
    shape : (in channels, *lengths) of the image
    where : for messages

    Returns
    -------
    matrix : (prod of the new shape, prod of shape) csr_array
    shape : (out channels, *lengths) of the result

    Raises
    ------
    InvalidNetworkError : if the image does not fit the kernel
    BudgetExceededError : if the matrix has more than 2**27 entries

    Examples
    --------
    >>> matrix, shape = convolution(np.array([[[1.0, 2.0]]]), window(1), 1, (1, 3), "conv")
    >>> matrix.toarray().tolist(), shape
    ([[1.0, 2.0, 0.0], [0.0, 1.0, 2.0]], (1, 2))
    """
    outputs, inputs, *kernel = weight.shape
    if len(shape) != weight.ndim - 1 or shape[0] != inputs * groups or outputs % groups:
        raise InvalidNetworkError(
            f"{where} takes images of {inputs * groups} channels in {groups} groups and {len(kernel)} axes, "
            f"(channels, *lengths), and gives {outputs} channels, but receives shape {shape}"
        )
    _check_window(window, tuple(kernel), where)
    lengths = window.lengths(tuple(kernel), shape)
    if min(lengths) < 1:
        raise InvalidNetworkError(f"{where} has a kernel of {tuple(kernel)}, larger than its image {shape}")
    check_entries(where, weight.size * prod(lengths))
    out_channel, in_channel = np.indices((outputs, inputs)).reshape(2, -1, 1)
    source = (out_channel // (outputs // groups)) * inputs + in_channel
    numbers, entries = weight.reshape(outputs * inputs, -1), []
    for k, (to, start) in enumerate(_taps(tuple(kernel), window, shape[1:], lengths)):
        values = numbers[:, k : k + 1]
        rows, columns = out_channel * prod(lengths) + to, source * prod(shape[1:]) + start
        entries.append((np.broadcast_to(values, rows.shape).ravel(), rows.ravel(), columns.ravel()))
    size = (outputs * prod(lengths), prod(shape))
    return _matrix(entries, size), (outputs, *lengths)


def transposed_convolution(
    weight: FloatArray, window: Window, groups: int, shape: Sizes, more: Sizes, where: str
) -> tuple[csr_array, Sizes]:
    """A transposed convolution as a sparse matrix: the transpose of the convolution that undoes its shape.

    Parameters
    ----------
    weight : (in channels, out channels / groups, *kernel) float64
    window, groups, shape, where : as for `convolution`
    more : places that the result has at the ends of its axes beyond those that the kernel reaches

    Returns
    -------
    matrix, shape : as for `convolution`
    """
    inputs, outputs, *kernel = weight.shape
    if len(shape) != weight.ndim - 1 or shape[0] != inputs:
        raise InvalidNetworkError(f"{where} takes images of {inputs} channels, but receives shape {shape}")
    _check_window(window, tuple(kernel), where)
    lengths = tuple(
        (length - 1) * stride + dilation * (k - 1) + 1 - before - after + extra
        for k, length, extra, stride, before, after, dilation in zip(
            kernel, shape[1:], more, *window, strict=True
        )
    )
    if min(lengths) < 1 or min(more) < 0:
        raise InvalidNetworkError(f"{where} gives an image of lengths {lengths}")
    # padding behind is what makes the convolution fit, and may be negative where places were added
    room = [after - extra for after, extra in zip(window.after, more, strict=True)]
    fitting = window._replace(after=tuple(room))
    matrix, _ = convolution(weight, fitting, groups, (outputs * groups, *lengths), where)
    return csr_array(matrix.T), (outputs * groups, *lengths)


def average(
    kernel: Sizes, window: Window, shape: Sizes, where: str, *, padding_counts: bool, ceil: bool = False
) -> tuple[csr_array, Sizes]:
    """Pooling by averages as a sparse matrix; 1 / count is the nearest float64, exact for powers of two.

    Parameters
    ----------
    kernel : lengths of the kernel
    window, shape, where : as for `convolution`
    padding_counts : bool, whether an average counts the padding that its window covers
    ceil : bool, whether a window may reach over the end of the padded image

    Returns
    -------
    matrix, shape : as for `convolution`
    """
    if len(shape) != len(kernel) + 1:
        raise InvalidNetworkError(f"{where} pools over {len(kernel)} axes, but receives shape {shape}")
    _check_window(window, kernel, where)
    lengths = window.lengths(kernel, shape, ceil)
    if min(lengths) < 1:
        raise InvalidNetworkError(f"{where} has a kernel of {kernel}, larger than its image {shape}")
    channels, places = shape[0], prod(lengths)
    check_entries(where, channels * prod(kernel) * places)
    # the padded image, whose every place counts or not
    wide = tuple(b + n + a for b, n, a in zip(window.before, shape[1:], window.after, strict=True))
    bare = window._replace(before=(0,) * len(kernel))
    count = np.zeros(places)
    for to, _ in _taps(kernel, *((bare, wide) if padding_counts else (window, shape[1:])), lengths):
        count[to] += 1.0
    channel = np.arange(channels)[:, None]
    entries = []
    for to, start in _taps(kernel, window, shape[1:], lengths):
        rows, columns = channel * places + to, channel * prod(shape[1:]) + start
        values = np.broadcast_to(1.0 / count[to], rows.shape)
        entries.append((values.ravel(), rows.ravel(), columns.ravel()))
    return _matrix(entries, (channels * places, prod(shape))), (channels, *lengths)


def window_groups(
    kernel: Sizes, window: Window, shape: Sizes, where: str, *, ceil: bool = False
) -> tuple[NDArray[np.int64], NDArray[np.int64], Sizes]:
    """List the entries of an image, numbered row by row, that each window covers; padding is no entry.

    Parameters
    ----------
    kernel, window, shape, where, ceil : as for `average`

    Returns
    -------
    entries : (n,) int64, window after window, each in the kernel's order
    sizes : how many there are in each
    shape : channels and lengths of the result

    Raises
    ------
    InvalidNetworkError
        If the window does not fit, or covers nothing but padding somewhere.
    """
    if len(shape) != len(kernel) + 1:
        raise InvalidNetworkError(f"{where} pools over {len(kernel)} axes, but receives shape {shape}")
    _check_window(window, kernel, where)
    lengths = window.lengths(kernel, shape, ceil)
    if min(lengths) < 1:
        raise InvalidNetworkError(f"{where} has a kernel of {kernel}, larger than its image {shape}")
    places, inside = prod(lengths), prod(shape[1:])
    check_entries(where, shape[0] * prod(kernel) * places)
    taps = list(_taps(kernel, window, shape[1:], lengths))
    to = np.concatenate([part for part, _ in taps])
    order = np.argsort(to, kind="stable")
    source = np.concatenate([part for _, part in taps])[order]
    sizes = np.bincount(to, minlength=places)
    if not sizes.all():
        raise InvalidNetworkError(f"{where} has a window that covers nothing but padding")
    entries = (np.arange(shape[0])[:, None] * inside + source).ravel()
    return entries, np.tile(sizes, shape[0]), (shape[0], *lengths)


def _check_window(window: Window, kernel: Sizes, where: str) -> None:
    wrong = any(len(sizes) != len(kernel) for sizes in window)
    if wrong or min((*window.stride, *window.dilation, *kernel), default=0) < 1:
        raise InvalidNetworkError(
            f"{where} has a kernel of {kernel} with strides {window.stride}, padding {window.before} and "
            f"{window.after}, dilation {window.dilation}; expected is one number per axis, positive strides"
        )


def _taps(
    kernel: Sizes, window: Window, lengths: Sizes, places: Sizes
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """For each entry of the kernel, the places of the result that it reaches from inside, and where from."""
    for offset in np.ndindex(*kernel):
        to, start = np.zeros(1, np.int64), np.zeros(1, np.int64)
        for axis, k in enumerate(offset):
            place = np.arange(places[axis])
            source = place * window.stride[axis] + k * window.dilation[axis] - window.before[axis]
            inside = (source >= 0) & (source < lengths[axis])
            to = (to[:, None] * places[axis] + place[inside]).ravel()
            start = (start[:, None] * lengths[axis] + source[inside]).ravel()
        yield to, start


def _matrix(
    entries: Sequence[tuple[FloatArray, NDArray[np.int64], NDArray[np.int64]]], size: tuple[int, int]
) -> csr_array:
    values, rows, columns = (np.concatenate(part) for part in zip(*entries, strict=True))
    kept = values != 0.0
    return csr_array((values[kept], (rows[kept], columns[kept])), size)
