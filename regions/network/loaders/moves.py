"""Operators that move entries around, on arrays of any kind: constants, or the indices of affine tensors.

The meaning of the numbers is that of ONNX and PyTorch: negative axes count from the end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from regions.errors import InvalidNetworkError
from regions.network.loaders.affine_tensors import AffineTensor, check_shape

__all__ = [
    "axes_of",
    "chosen",
    "concatenated",
    "expanded",
    "gathered_along",
    "gathered_places",
    "moved",
    "padded",
    "padded_by_copies",
    "repeated",
    "replaced",
    "reshaped",
    "shape_of",
    "sliced",
    "split",
    "spread_channels",
    "squeezed",
    "triangle",
]

Array = NDArray[Any]


def moved(x: Any, move: Callable[[Array], Array]) -> Any:
    """Apply a move to a constant, or to the entries of an affine tensor."""
    return x.moved(move(x.index)) if isinstance(x, AffineTensor) else move(x)


def shape_of(x: Any) -> tuple[int, ...]:
    """Shape of a constant or an affine tensor."""
    return tuple(x.shape)


def reshaped(x: Any, target: Sequence[int], batch: int = 1, *, zero_copies: bool = True) -> Any:
    """Reshape; a size of -1 is what is left, and 0 copies the size before.

    `batch` is the fixed batch that the graph was made for, of which one sample is read: where the target
    fits the whole batch only, it is that of one sample.
    """
    shape = shape_of(x)
    sizes = [int(size) for size in target]
    if zero_copies:
        sizes = [shape[k] if size == 0 and k < len(shape) else size for k, size in enumerate(sizes)]
    if batch > 1 and sizes and sizes[0] == batch and not _fits(sizes, shape):
        sizes[0] = 1
    if sizes.count(-1) == 1:
        known = prod(size for size in sizes if size != -1)
        sizes = [prod(shape) // max(known, 1) if size == -1 else size for size in sizes]
    if prod(sizes) != prod(shape) or min(sizes, default=1) < 0:
        raise InvalidNetworkError(
            f"shape {shape} for one sample cannot become {tuple(int(size) for size in target)}; the batch "
            f"must stay an axis of its own"
        )
    return moved(x, lambda entries: entries.reshape(sizes))


def squeezed(x: Any, axes: Sequence[int] | None) -> Any:
    """Leave out these axes of size 1, or all of them."""
    shape = shape_of(x)
    ones = (k for k, size in enumerate(shape) if size == 1)
    chosen = ones if axes is None else (axis_of(axis, len(shape)) for axis in axes)
    return moved(x, lambda entries: np.squeeze(entries, tuple(chosen)))


def expanded(x: Any, target: Sequence[int]) -> Any:
    """Repeat along axes of size 1 until the shape is the broadcast of x's and the target."""
    shape = np.broadcast_shapes(shape_of(x), tuple(int(size) for size in target))
    check_shape("an expanded value", shape)
    return moved(x, lambda entries: np.broadcast_to(entries, shape))


def sliced(
    x: Any,
    starts: Sequence[int],
    ends: Sequence[int],
    axes: Sequence[int] | None = None,
    steps: Sequence[int] | None = None,
) -> Any:
    """Take `start:end:step` along each of the axes."""
    rank = len(shape_of(x))
    axes = range(len(starts)) if axes is None else axes
    steps = [1] * len(starts) if steps is None else steps
    cut = [slice(None)] * rank
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        cut[axis_of(axis, rank)] = slice(int(start), int(end), int(step))
    return moved(x, lambda entries: entries[tuple(cut)])


def split(x: Any, axis: int, sizes: Sequence[int]) -> list[Any]:
    """Cut into parts of these sizes along an axis."""
    shape = shape_of(x)
    axis = axis_of(axis, len(shape))
    if sum(sizes) != shape[axis] or min(sizes) < 0:
        raise InvalidNetworkError(f"an axis of size {shape[axis]} cannot be split into {list(sizes)}")
    ends = np.cumsum([int(size) for size in sizes])
    starts = ends - np.asarray(sizes)
    return [sliced(x, [start], [end], [axis]) for start, end in zip(starts, ends, strict=True)]


def concatenated(layering: Any, parts: Sequence[Any], axis: int) -> Any:
    """Join along an axis; if any part is an affine tensor, the result is one."""
    tensors = [part for part in parts if isinstance(part, AffineTensor)]
    axis = axis_of(axis, len(shape_of(parts[0])))
    check_shape("a joined value", (sum(prod(shape_of(part)) for part in parts),))
    if not tensors:
        return np.concatenate(parts, axis=axis)
    parts = [
        part if isinstance(part, AffineTensor) else layering.constant(part, tensors[0].dtype)
        for part in parts
    ]
    if all(part.rows is parts[0].rows for part in parts):
        return parts[0].moved(np.concatenate([part.index for part in parts], axis=axis))
    rows, indices = layering.joined(parts)
    return AffineTensor(rows, np.concatenate(indices, axis=axis), tensors[0].dtype)


def chosen(layering: Any, mask: Array, x: Any, y: Any) -> Any:
    """Entries of x where a constant mask is true, of y elsewhere, of shapes that broadcast."""
    if not (isinstance(x, AffineTensor) or isinstance(y, AffineTensor)):
        return np.where(mask, x, y)
    shape = np.broadcast_shapes(mask.shape, shape_of(x), shape_of(y))
    check_shape("a value chosen from two", shape)
    rows, (first, second), dtype = _together(layering, x, y)
    return AffineTensor(rows, np.where(mask, first, second), dtype)


def triangle(layering: Any, x: Any, k: int, *, upper: bool) -> Any:
    """Entries of matrices on diagonal k and below it, or above it; 0 elsewhere."""
    rows, columns = shape_of(x)[-2:]
    mask = np.tri(rows, columns, k - 1 if upper else k, dtype=np.bool_)
    zero = np.zeros((), np.float64 if isinstance(x, AffineTensor) else x.dtype)
    return chosen(layering, ~mask if upper else mask, x, zero)


def gathered_along(x: Any, axis: int, places: Array) -> Any:
    """Entries by places along an axis, of as many along the others as the places have."""
    cut = tuple(slice(None) if k == axis else slice(n) for k, n in enumerate(places.shape))
    return moved(x, lambda entries: np.take_along_axis(entries[cut], places, axis))


def replaced(layering: Any, x: Any, places: tuple[Any, ...], y: Any) -> Any:
    """Put y in the place of some entries of x, as numpy's `x[places] = y`."""
    if not (isinstance(x, AffineTensor) or isinstance(y, AffineTensor)):
        new = np.array(x)
        new[places] = y
        return new
    rows, (index, other), dtype = _together(layering, x, y)
    index = np.array(index)
    index[places] = other
    return AffineTensor(rows, index, dtype)


def _together(layering: Any, *parts: Any) -> tuple[Any, list[Array], str]:
    """Affine tensors and constants over one list of functions: that, their indices, and their type."""
    dtype = str(next(part.dtype for part in parts if isinstance(part, AffineTensor)))
    tensors = [
        part if isinstance(part, AffineTensor) else layering.constant(np.asarray(part), dtype)
        for part in parts
    ]
    rows, indices = layering.joined(tensors)
    return rows, indices, dtype


def padded(layering: Any, x: Any, before: Sequence[int], after: Sequence[int], value: float) -> Any:
    """Add entries of one value around; negative numbers cut entries off."""
    shape = shape_of(x)
    widths = [(max(b, 0), max(a, 0)) for b, a in zip(before, after, strict=True)]
    check_shape("a padded value", (n + b + a for n, (b, a) in zip(shape, widths, strict=True)))
    cut = tuple(slice(max(-b, 0), n - max(-a, 0)) for n, b, a in zip(shape, before, after, strict=True))
    x = moved(x, lambda entries: entries[cut])
    if not isinstance(x, AffineTensor):
        return np.pad(x, widths, constant_values=value)
    rows, (index, edge) = layering.joined([x, layering.constant(np.array([value]), x.dtype)])
    return AffineTensor(rows, np.pad(index, widths, constant_values=edge[0]), x.dtype)


def padded_by_copies(x: Any, before: Sequence[int], after: Sequence[int], mode: str) -> Any:
    """Add entries around that are copies of those inside, as numpy's mode says; negative numbers cut off."""
    shape = shape_of(x)
    widths = [(max(b, 0), max(a, 0)) for b, a in zip(before, after, strict=True)]
    check_shape("a padded value", (n + b + a for n, (b, a) in zip(shape, widths, strict=True)))
    cut = tuple(slice(max(-b, 0), n - max(-a, 0)) for n, b, a in zip(shape, before, after, strict=True))
    return moved(x, lambda entries: np.pad(entries[cut], widths, mode=mode))  # type: ignore[call-overload]


def repeated(x: Any, counts: Sequence[int]) -> Any:
    """Put copies side by side, so many along each of the last axes."""
    check_shape("a repeated value", (*shape_of(x), *(max(count, 0) for count in counts)))
    return moved(x, lambda entries: np.tile(entries, tuple(counts)))


def spread_channels(x: Any, block: int, *, channels_first: bool) -> Any:
    """Make squares of places of the channels of an image (1, channels, height, width), so many fewer.

    `channels_first`: the places of a block are neighbours among the channels; else the channels are.
    """
    count, channels, height, width = shape_of(x)
    depth = channels // (block * block)
    sizes = (depth, block, block) if channels_first else (block, block, depth)
    order = (0, 1, 4, 2, 5, 3) if channels_first else (0, 3, 4, 1, 5, 2)
    return moved(
        x,
        lambda entries: (
            entries.reshape(count, *sizes, height, width)
            .transpose(order)
            .reshape(count, depth, height * block, width * block)
        ),
    )


def gathered_places(x: Any, block: int, *, channels_first: bool) -> Any:
    """Make channels of blocks of places: what undoes `spread_channels`."""
    count, channels, height, width = shape_of(x)
    rows, columns = height // block, width // block
    order = (0, 1, 3, 5, 2, 4) if channels_first else (0, 3, 5, 1, 2, 4)
    return moved(
        x,
        lambda entries: (
            entries.reshape(count, channels, rows, block, columns, block)
            .transpose(order)
            .reshape(count, channels * block * block, rows, columns)
        ),
    )


def axes_of(axes: Iterable[int] | int | None, rank: int) -> tuple[int, ...]:
    """Return axes counted from the beginning, each once and in order; None: all of them."""
    every = range(rank) if axes is None else [axes] if isinstance(axes, int) else axes
    return tuple(sorted({axis_of(int(axis), rank) for axis in every}))


def axis_of(axis: int, rank: int) -> int:
    """Return an axis counted from the beginning."""
    if not -rank <= axis < rank:
        raise InvalidNetworkError(f"there is no axis {axis} in {rank} axes")
    return int(axis) % rank


def _fits(sizes: Sequence[int], shape: Sequence[int]) -> bool:
    known = prod(size for size in sizes if size != -1)
    return prod(shape) % max(known, 1) == 0 if -1 in sizes else known == prod(shape)
