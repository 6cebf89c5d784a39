"""Programs of PyTorch that choose entries by constants, put others in their places, or sum by indices."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from regions.errors import InvalidNetworkError
from regions.network.loaders import bends, moves
from regions.network.loaders.affine_operators import reduced
from regions.network.loaders.affine_tensors import check_entries
from regions.network.loaders.contractions import contracted
from regions.network.loaders.torch_calls import Call, computed, constant_of, spread
from regions.network.loaders.torch_tensors import to_float64

__all__ = [
    "contraction",
    "filled",
    "gathered",
    "patches",
    "replaced",
    "sum_of_sizes",
    "summed_patches",
    "triangle",
    "where",
]


def contraction(call: Call) -> Any:
    operands = [x if computed(x) else to_float64(x) for x in call.arguments["tensors"]]
    return contracted(call.layering, str(call.arguments["equation"]), operands, call.where)


def where(call: Call) -> Any:
    """Entries of one value or another, as a constant says."""
    filling = call.kind.startswith("masked_fill")
    condition = call.arguments["mask" if filling else "condition"]
    if computed(condition):
        raise InvalidNetworkError(f"{call.where} chooses by a computed value, where functions may jump")
    names = ("value", "self") if filling else ("self", "other")
    x, y = (
        part if computed(part) else constant_of(call, part)
        for part in (call.arguments[name] for name in names)
    )
    return moves.chosen(call.layering, np.asarray(condition, np.bool_), x, y)


def triangle(call: Call) -> Any:
    return moves.triangle(call.layering, call.x, int(call.get("diagonal", 0)), upper=call.kind == "triu")


def gathered(call: Call) -> Any:
    """Entries by constant places along an axis."""
    index, axis = call.arguments["index"], moves.axis_of(int(call.arguments["dim"]), len(call.x.shape))
    if computed(index):
        raise InvalidNetworkError(f"{call.where} has computed indices; supported are constant ones")
    return moves.gathered_along(call.x, axis, np.asarray(index, np.int64))


def replaced(call: Call) -> Any:
    """Another value in the place of a part along an axis."""
    x, y = call.arguments["self"], call.arguments["src"]
    x, y = (part if computed(part) else constant_of(call, part) for part in (x, y))
    axis = moves.axis_of(int(call.get("dim", 0)), len(moves.shape_of(x)))
    part: Any
    if call.kind == "select_scatter":
        part = int(call.arguments["index"])
    else:
        part = slice(call.get("start"), call.get("end"), call.get("step", 1))
    return moves.replaced(call.layering, x, (*[slice(None)] * axis, part), y)


def filled(call: Call) -> Any:
    """Another value, or a number, in the shape of the first one."""
    shape = moves.shape_of(call.arguments["self"])
    value = call.get("src", call.get("value"))
    if computed(value):
        return moves.expanded(value, shape)
    return call.layering.constant(np.broadcast_to(constant_of(call, value), shape), call.x.dtype)


def patches(call: Call) -> Any:
    """Windows of an image as columns (`nn.Unfold`)."""
    x = call.x
    rows, columns, padding = _windows(call, x.shape[2:])
    around = (0, 0, *padding)
    x = moves.padded(call.layering, x, around, around, 0.0)
    moves.check_shape(call.where, (*x.shape[:2], rows.size, columns.size))
    found = x.index[:, :, rows[:, None, :, None], columns[None, :, None, :]]
    return x.moved(found.reshape(x.shape[0], -1, rows.shape[1] * columns.shape[1]))


def summed_patches(call: Call) -> Any:
    """Columns as windows of an image, whose values are summed where they overlap (`nn.Fold`)."""
    x, sizes = call.x, [int(size) for size in call.arguments["output_size"]]
    rows, columns, (up, left) = _windows(call, sizes)
    height, width = sizes[0] + 2 * up, sizes[1] + 2 * left
    channels = x.shape[1] // (rows.shape[0] * columns.shape[0])
    image = np.arange(channels * height * width).reshape(channels, height, width)
    target = image[:, rows[:, None, :, None], columns[None, :, None, :]].ravel()
    check_entries("a sum of windows", image.size)
    operator = csr_array((np.ones(target.size), (target, np.arange(target.size))), (image.size, target.size))
    inner = image[:, up : height - up, left : width - left]
    return call.layering.linear(x, csr_array(operator[inner.ravel()]), (1, *inner.shape))


def _windows(call: Call, sizes: Sequence[int]) -> tuple[NDArray[Any], NDArray[Any], tuple[int, ...]]:
    """Rows and columns of an image's places, (kernel, windows) each, and the padding around the image."""
    kernel, dilation, padding, stride = (
        spread(call.get(name, default), 2)
        for name, default in (("kernel_size", 1), ("dilation", 1), ("padding", 0), ("stride", 1))
    )
    rows, columns = (
        np.arange(k)[:, None] * d + np.arange((n + 2 * p - d * (k - 1) - 1) // s + 1) * s
        for n, k, d, p, s in zip(sizes, kernel, dilation, padding, stride, strict=True)
    )
    return rows, columns, padding


def sum_of_sizes(call: Call) -> Any:
    """The sum of absolute values along axes, which is the norm of order 1."""
    if float(call.get("ord", 2)) != 1.0:
        raise InvalidNetworkError(
            f"{call.where} of order {call.get('ord', 2)} is not piecewise linear, or not supported; "
            "supported is order 1"
        )
    chosen = moves.axes_of(call.get("dim"), len(call.x.shape))
    keep = bool(call.get("keepdim", False))
    result = bends.bent(call.layering, call.x, -1.0)
    return bends.then(result, lambda x: reduced(call.layering, x, chosen, keep=keep, mean=False))
