"""ONNX operators that move a window over an image: convolutions and averages."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from regions.errors import InvalidNetworkError
from regions.network.loaders import bends
from regions.network.loaders.affine_operators import reduced
from regions.network.loaders.affine_tensors import AffineTensor
from regions.network.loaders.checks import FloatArray
from regions.network.loaders.convolutions import (
    Window,
    average,
    convolution,
    transposed_convolution,
    window_groups,
)
from regions.network.loaders.graph_steps import Bend
from regions.network.loaders.onnx_nodes import Operator, floats

__all__ = ["averaged", "averaged_whole", "convolved", "largest_in_windows", "largest_of_whole"]


def _window(node: Operator, kernel: Sequence[int], shape: Sequence[int]) -> Window:
    """The window of an operator on an image of this shape (without the batch)."""
    axes = len(kernel)
    stride = tuple(int(size) for size in node.get("strides", (1,) * axes))
    dilation = tuple(int(size) for size in node.get("dilations", (1,) * axes))
    pads = tuple(int(size) for size in node.get("pads", (0,) * (2 * axes)))
    auto = node.get("auto_pad", "NOTSET")
    if auto in ("SAME_UPPER", "SAME_LOWER"):
        total = [
            max((-(-n // s) - 1) * s + d * (k - 1) + 1 - n, 0)
            for n, s, d, k in zip(shape[1:], stride, dilation, kernel, strict=True)
        ]
        small, large = [t // 2 for t in total], [t - t // 2 for t in total]
        pads = tuple(small + large if auto == "SAME_UPPER" else large + small)
    elif auto not in ("NOTSET", "VALID"):
        raise InvalidNetworkError(f"{node.where} has auto_pad={auto!r}, which is not known")
    if len(pads) != 2 * axes:
        raise InvalidNetworkError(f"{node.where} has pads {pads}; expected are {2 * axes} numbers")
    return Window(stride, pads[:axes], pads[axes:], dilation)


def _image(node: Operator, x: AffineTensor) -> tuple[int, ...]:
    if len(x.shape) < 3 or x.shape[0] != 1:
        raise InvalidNetworkError(
            f"{node.where} takes one image (1, channels, *lengths), but receives shape {x.shape}"
        )
    return x.shape[1:]


def convolved(node: Operator, arguments: list[Any]) -> list[Any]:
    x, weight = arguments[0], floats(arguments[1], node.where)
    bias = arguments[2] if len(arguments) > 2 else None
    shape, groups = _image(node, x), int(node.get("group", 1))
    window = _window(node, weight.shape[2:], shape)
    if node.kind == "Conv":
        matrix, after = convolution(weight, window, groups, shape, node.where)
    else:
        matrix, after = _transposed(node, weight, window, groups, shape)
    y = node.layering.linear(x, matrix, (1, *after))
    if bias is None:
        return [y]
    return [node.layering.shifted(y, floats(bias, node.where).reshape(1, -1, *[1] * (len(after) - 1)))]


def _transposed(
    node: Operator, weight: FloatArray, window: Window, groups: int, shape: tuple[int, ...]
) -> Any:
    axes = weight.ndim - 2
    more = tuple(int(size) for size in node.get("output_padding", (0,) * axes))
    wanted = node.get("output_shape")
    auto = node.get("auto_pad", "NOTSET")
    if wanted is not None or auto.startswith("SAME"):
        lengths = wanted or [n * s for n, s in zip(shape[1:], window.stride, strict=True)]
        reach = [
            (n - 1) * s + d * (k - 1) + 1 + m - int(length)
            for n, s, d, k, m, length in zip(
                shape[1:], window.stride, window.dilation, weight.shape[2:], more, lengths, strict=True
            )
        ]
        small, large = [t // 2 for t in reach], [t - t // 2 for t in reach]
        first, last = (small, large) if auto == "SAME_UPPER" else (large, small)
        window = window._replace(before=tuple(first), after=tuple(last))
    return transposed_convolution(weight, window, groups, shape, more, node.where)


def averaged(node: Operator, arguments: list[Any]) -> list[Any]:
    x = arguments[0]
    shape, kernel = _image(node, x), tuple(int(size) for size in node.attributes["kernel_shape"])
    matrix, after = average(
        kernel,
        _window(node, kernel, shape),
        shape,
        node.where,
        padding_counts=bool(node.get("count_include_pad", 0)),
        ceil=bool(node.get("ceil_mode", 0)),
    )
    return [node.layering.linear(x, matrix, (1, *after))]


def averaged_whole(node: Operator, arguments: list[Any]) -> list[Any]:
    x = arguments[0]
    axes = tuple(range(2, len(_image(node, x)) + 1))
    return [reduced(node.layering, x, axes, keep=True, mean=True)]


def largest_in_windows(node: Operator, arguments: list[Any]) -> list[Any] | Bend:
    x = arguments[0]
    shape, kernel = _image(node, x), tuple(int(size) for size in node.attributes["kernel_shape"])
    if node.n_outputs > 1:
        raise InvalidNetworkError(
            f"{node.where} gives the places of the largest values; supported are values"
        )
    entries, sizes, after = window_groups(
        kernel, _window(node, kernel, shape), shape, node.where, ceil=bool(node.get("ceil_mode", 0))
    )
    return _one(bends.largest(node.layering, x, entries, sizes, (1, *after)))


def largest_of_whole(node: Operator, arguments: list[Any]) -> list[Any] | Bend:
    x = arguments[0]
    axes = tuple(range(2, len(_image(node, x)) + 1))
    return _one(bends.largest_along(node.layering, x, axes, keep=True))


def _one(result: AffineTensor | Bend) -> list[Any] | Bend:
    return result if isinstance(result, Bend) else [result]
