"""What bends: units with two slopes, and functions made of them, on affine tensors, for every format.

Every step on the way is exact: what a clipped value or a maximum needs besides its units is affine. The
larger of two is a unit with two slopes, the largest of several values, or of a window, a max unit.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Any

import numpy as np

from regions.errors import InvalidNetworkError
from regions.network.loaders import moves
from regions.network.loaders.affine_tensors import AffineTensor, IntArray, Layering
from regions.network.loaders.checks import FloatArray
from regions.network.loaders.graph_steps import Bend
from regions.network.slopes import RELU

__all__ = ["bent", "clipped", "largest", "largest_along", "largest_of", "maximum", "shrunk", "then"]


def bent(
    layering: Layering, x: AffineTensor, left: Any = RELU[0], right: Any = RELU[1]
) -> AffineTensor | Bend:
    """Units of these slopes: ReLUs unless others are given, for all entries or for each."""
    if np.all(np.asarray(right) == 1.0) and layering.is_positive(x):
        return x
    return Bend(x.moved(x.index), (left, right))


def clipped(
    layering: Layering, x: AffineTensor, low: float | None, high: float | None
) -> AffineTensor | Bend:
    """Return min(max(x, low), high), where an end that is infinite or None does nothing.

    Raises
    ------
    InvalidNetworkError
        If the range is empty.
    """
    bottom, top = (None if end is None or np.isinf(end) else float(end) for end in (low, high))
    if bottom is None and top is None:
        return x
    if top is None:
        return maximum(layering, x, np.asarray(bottom))
    if bottom is None:
        return maximum(layering, x, np.asarray(top), sign=-1.0)
    if not bottom <= top:
        raise InvalidNetworkError(f"values cannot be clipped to [{bottom}, {top}]: the range is empty")
    count = x.index.size
    # low + relu(x - low) - relu(x - high)
    with layering.holding(x):
        first = layering.shifted(x, np.asarray(0.0 - bottom))
        with layering.holding(first):
            second = layering.shifted(x, np.asarray(0.0 - top))
    rows, indices = layering.joined([first, second])
    both = AffineTensor(rows, np.concatenate([index.ravel() for index in indices]), x.dtype)

    def after(units: AffineTensor, _: AffineTensor | None) -> AffineTensor:
        first, second = (units.moved(part.reshape(x.shape)) for part in np.split(units.index, [count]))
        difference = layering.added(first, layering.scaled(second, np.asarray(-1.0)))
        return layering.shifted(difference, np.asarray(bottom))

    return Bend(both, RELU, None, after)


def shrunk(layering: Layering, x: AffineTensor, size: float) -> AffineTensor | Bend:
    """Return x moved towards 0 by a size, but not beyond it: relu(x - size) - relu(-x - size).

    Raises
    ------
    InvalidNetworkError
        If the size is negative.
    """
    if not size >= 0.0:
        raise InvalidNetworkError(f"values cannot be moved towards 0 by {size}")
    if size == 0.0:
        return x
    with layering.holding(x):
        above = layering.shifted(x, np.asarray(-size))
        with layering.holding(above):
            below = layering.shifted(layering.scaled(x, np.asarray(-1.0)), np.asarray(-size))
    rows, indices = layering.joined([above, below])
    both = AffineTensor(rows, np.concatenate([index.ravel() for index in indices]), x.dtype)

    def after(units: AffineTensor, _: AffineTensor | None) -> AffineTensor:
        first, second = (units.moved(part.reshape(x.shape)) for part in np.split(units.index, 2))
        return layering.added(first, layering.scaled(second, np.asarray(-1.0)))

    return Bend(both, RELU, None, after)


def then(result: AffineTensor | Bend, step: Callable[[AffineTensor], AffineTensor]) -> AffineTensor | Bend:
    """Apply an affine step to what units will put out, or to a tensor that is there already."""
    if not isinstance(result, Bend):
        return step(result)
    before = result.after
    return result._replace(after=lambda units, kept: step(units if before is None else before(units, kept)))


def maximum(
    layering: Layering, x: AffineTensor, y: AffineTensor | FloatArray, sign: float = 1.0
) -> AffineTensor | Bend:
    """Return the larger of x and y, y + relu(x - y), or with sign -1 the smaller one, y - relu(y - x)."""
    if not isinstance(y, AffineTensor):
        shape = np.broadcast_shapes(x.shape, y.shape)
        x, numbers = moves.expanded(x, shape), np.broadcast_to(y, shape)
        if sign > 0.0 and not numbers.any():
            return bent(layering, x)
        shifted = layering.shifted(layering.scaled(x, np.asarray(sign)), 0.0 - sign * numbers)
        return Bend(
            shifted.moved(shifted.index),
            RELU,
            None,
            lambda units, _: layering.shifted(layering.scaled(units, np.asarray(sign)), numbers),
        )
    kept = y.moved(y.index)
    with layering.holding(kept):
        difference = layering.added(x, layering.scaled(kept, np.asarray(-1.0)))
        difference = layering.scaled(difference, np.asarray(sign))

    def after(units: AffineTensor, other: AffineTensor | None) -> AffineTensor:
        assert other is not None
        return layering.added(layering.scaled(units, np.asarray(sign)), other)

    return Bend(difference.moved(difference.index), RELU, kept, after)


def largest(
    layering: Layering,
    x: AffineTensor,
    groups: IntArray,
    sizes: IntArray,
    shape: tuple[int, ...],
    sign: float = 1.0,
) -> AffineTensor | Bend:
    """Return the largest entry of each of some groups, or with sign -1 the smallest one: a max unit each.

    Parameters
    ----------
    layering, x : as they are
    groups : (n,) int64, numbers of entries of x in row-major order, group after group
    sizes : how many entries each group has
    shape : of the result, one entry for each group
    sign : float
    """
    turned = layering.scaled(x, np.asarray(sign))
    candidates = turned.moved(turned.index.ravel()[groups])
    if (sizes == 1).all():
        return layering.scaled(candidates.moved(candidates.index.reshape(shape)), np.asarray(sign))
    alone = np.repeat(sizes == 1, sizes)
    return Bend(
        candidates,
        (np.where(alone, 1.0, RELU[0]), RELU[1]),
        None,
        lambda units, _: layering.scaled(units.moved(units.index.reshape(shape)), np.asarray(sign)),
        sizes,
    )


def largest_along(
    layering: Layering, x: AffineTensor, axes: tuple[int, ...], *, keep: bool, sign: float = 1.0
) -> AffineTensor | Bend:
    """Return the largest entry along some axes, or with sign -1 the smallest one."""
    places = np.arange(x.index.size).reshape(x.shape)
    rest = [axis for axis in range(places.ndim) if axis not in axes]
    shape = tuple(1 if axis in axes else n for axis, n in enumerate(x.shape) if keep or axis not in axes)
    groups = np.transpose(places, [*rest, *axes]).reshape(prod(x.shape[axis] for axis in rest), -1)
    return largest(layering, x, groups.ravel(), np.full(len(groups), groups.shape[1]), shape, sign)


def largest_of(
    layering: Layering, values: Sequence[AffineTensor | FloatArray], sign: float = 1.0
) -> AffineTensor | Bend:
    """Return the entrywise largest of several values that broadcast, or with sign -1 the smallest one."""
    shape = np.broadcast_shapes(*(value.shape for value in values))
    dtype = next(value.dtype for value in values if isinstance(value, AffineTensor))
    tensors = [
        value if isinstance(value, AffineTensor) else layering.constant(value, str(dtype)) for value in values
    ]
    rows, indices = layering.joined(tensors)
    index = np.stack([np.broadcast_to(part, shape) for part in indices], axis=-1)
    return largest_along(
        layering, AffineTensor(rows, index, str(dtype)), (len(shape),), keep=False, sign=sign
    )
