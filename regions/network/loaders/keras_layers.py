"""What each layer of Keras does to affine tensors, whose axes are Keras's without the batch.

Images are `(*lengths, channels)` unless a layer says `channels_first`. Files are left to `keras_files`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Any, NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from regions.errors import InvalidNetworkError
from regions.network.loaders import moves
from regions.network.loaders.affine_operators import matrix_product, reduced
from regions.network.loaders.affine_tensors import AffineTensor, Layering, check_shape
from regions.network.loaders.bends import bent, clipped, largest, largest_along, largest_of, maximum
from regions.network.loaders.checks import FloatArray
from regions.network.loaders.convolutions import (
    Window,
    average,
    convolution,
    transposed_convolution,
    window_groups,
)
from regions.network.loaders.graph_steps import Bend
from regions.network.loaders.resampling import interpolated

__all__ = ["KERAS_HEADS", "KERAS_LARGEST", "KERAS_LAYERS", "KERAS_RISING", "KerasLayer", "activation_of"]

# functions of single entries that nowhere fall, and what takes the largest of several: their order is free
KERAS_RISING = ("relu", "relu6", "leaky_relu", "hard_tanh")
KERAS_LARGEST = (*(f"{kind}{k}D" for kind in ("MaxPooling", "GlobalMaxPooling") for k in (1, 2, 3)),)
KERAS_HEADS = ("softmax", "log_softmax", "sigmoid", "tanh", "softplus")


class KerasLayer(NamedTuple):
    """A layer as a file describes it, with its arrays in Keras's order."""

    kind: str
    name: str
    config: dict[str, Any]
    arrays: Sequence[FloatArray]
    layering: Layering

    @property
    def where(self) -> str:
        """The layer in messages."""
        return f"{self.kind} ({self.name})"

    @property
    def channels_first(self) -> bool:
        """Whether the channels of an image are its first axis."""
        return bool(self.config.get("data_format") == "channels_first")

    def sizes(self, key: str, axes: int, default: Any = 1) -> tuple[int, ...]:
        """A setting that is one number or one for each axis."""
        given = self.config.get(key, default)
        given = default if given is None else given
        sizes = (given,) * axes if isinstance(given, int) else tuple(int(size) for size in given)
        if len(sizes) != axes:
            raise InvalidNetworkError(f"{self.where} has {key}={given!r}; expected are {axes} numbers")
        return sizes

    def array(self, number: int) -> FloatArray:
        """One of its arrays."""
        if number >= len(self.arrays):
            raise InvalidNetworkError(
                f"{self.where} has {len(self.arrays)} stored arrays; its settings need more"
            )
        return self.arrays[number]


Result = AffineTensor | Bend
Apply = Callable[[KerasLayer, list[Any]], Result]


def activation_of(layer: KerasLayer) -> str:
    """Name of a layer's activation; "linear" if it has none.

    Raises
    ------
    InvalidNetworkError
        If it is a function without a name.
    """
    given = layer.config.get("activation", "linear")
    if isinstance(given, dict):
        given = given.get("config") if given.get("class_name") == "function" else given.get("class_name")
    if layer.kind == "Softmax":
        return "softmax"
    if given is None:
        return "linear"
    if not isinstance(given, str):
        raise InvalidNetworkError(f"{layer.where} has an activation that is no function of Keras's")
    return given.lower()


def _activated(layer: KerasLayer, x: AffineTensor) -> Result:
    """Apply a layer's activation."""
    name = activation_of(layer)
    if name == "linear":
        return x
    if name == "relu":
        return bent(layer.layering, x)
    if name == "relu6":
        return clipped(layer.layering, x, 0.0, 6.0)
    if name == "hard_tanh":
        return clipped(layer.layering, x, -1.0, 1.0)
    if name == "leaky_relu":
        return bent(layer.layering, x, _number(0.2))
    raise InvalidNetworkError(
        f"activation {name!r} of {layer.where} is not piecewise linear, or not supported; supported are "
        f"linear, relu, relu6, leaky_relu, hard_tanh, and at the end {', '.join(KERAS_HEADS)}"
    )


def _number(value: Any) -> float:
    """A setting as the float32 that Keras computes with."""
    return float(np.float32(value))


def _channels_first(layer: KerasLayer, x: AffineTensor) -> AffineTensor:
    return x if layer.channels_first else x.moved(np.moveaxis(x.index, -1, 0))


def _back(layer: KerasLayer, x: AffineTensor) -> AffineTensor:
    return x if layer.channels_first else x.moved(np.moveaxis(x.index, 0, -1))


def _biased(layer: KerasLayer, x: AffineTensor, number: int) -> AffineTensor:
    """Add the bias, one number per channel of an image with channels first, where the layer has one."""
    if not layer.config.get("use_bias", True):
        return x
    return layer.layering.shifted(x, layer.array(number).reshape(-1, *[1] * (len(x.shape) - 1)))


def _window(layer: KerasLayer, kernel: Sequence[int], lengths: Sequence[int], stride: Any = 1) -> Window:
    axes = len(kernel)
    strides, dilation = layer.sizes("strides", axes, stride), layer.sizes("dilation_rate", axes)
    padding = layer.config.get("padding", "valid")
    if padding == "valid":
        before = after = (0,) * axes
    elif padding == "causal" and axes == 1:
        before, after = (dilation[0] * (kernel[0] - 1),), (0,)
    elif padding == "same":
        total = [
            max((-(-n // s) - 1) * s + d * (k - 1) + 1 - n, 0)
            for n, s, d, k in zip(lengths, strides, dilation, kernel, strict=True)
        ]
        before = tuple(t // 2 for t in total)
        after = tuple(t - t // 2 for t in total)
    else:
        raise InvalidNetworkError(f"{layer.where} has padding={padding!r}, which is not supported")
    return Window(strides, before, after, dilation)


def _image(layer: KerasLayer, x: AffineTensor, axes: int) -> AffineTensor:
    if len(x.shape) != axes + 1:
        raise InvalidNetworkError(f"{layer.where} takes images of {axes} axes, but receives shape {x.shape}")
    return _channels_first(layer, x)


def dense(layer: KerasLayer, values: list[Any]) -> Result:
    y = matrix_product(layer.layering, values[0], layer.array(0))
    if layer.config.get("use_bias", True):
        y = layer.layering.shifted(y, layer.array(1))
    return _activated(layer, y)


def _convolved(layer: KerasLayer, x: AffineTensor, kernel: FloatArray, groups: int) -> AffineTensor:
    """Convolve an image with channels first; the kernel has (*lengths, inputs / groups, outputs)."""
    weight = np.moveaxis(kernel, (-1, -2), (0, 1))
    window = _window(layer, weight.shape[2:], x.shape[1:])
    matrix, shape = convolution(weight, window, groups, x.shape, layer.where)
    return layer.layering.linear(x, matrix, shape)


def convolved(layer: KerasLayer, values: list[Any]) -> Result:
    kernel = layer.array(0)
    x = _image(layer, values[0], kernel.ndim - 2)
    y = _convolved(layer, x, kernel, int(layer.config.get("groups", 1)))
    return _activated(layer, _back(layer, _biased(layer, y, 1)))


def convolved_by_depth(layer: KerasLayer, values: list[Any]) -> Result:
    kernel = layer.array(0)
    x = _image(layer, values[0], kernel.ndim - 2)
    channels = kernel.shape[-2]
    y = _convolved(layer, x, kernel.reshape(*kernel.shape[:-2], 1, -1), channels)
    if layer.kind.startswith("Separable"):
        points = layer.array(1)
        single = layer._replace(config={})
        y = _convolved(single, y, points, 1)
        return _activated(layer, _back(layer, _biased(layer, y, 2)))
    return _activated(layer, _back(layer, _biased(layer, y, 1)))


def convolved_back(layer: KerasLayer, values: list[Any]) -> Result:
    kernel = layer.array(0)
    axes = kernel.ndim - 2
    x = _image(layer, values[0], axes)
    strides, dilation = layer.sizes("strides", axes), layer.sizes("dilation_rate", axes)
    if layer.config.get("output_padding") is not None or max(dilation) > 1:
        raise InvalidNetworkError(f"{layer.where} has output_padding or a dilation; supported is neither")
    same = layer.config.get("padding") == "same"
    reach = [k - s for k, s in zip(kernel.shape[:axes], strides, strict=True)]
    cut = [r if same else min(r, 0) for r in reach]  # of the places that the kernel reaches
    before = tuple(max(c, 0) // 2 for c in cut)
    after = tuple(max(c, 0) - max(c, 0) // 2 for c in cut)
    more = tuple(max(-c, 0) for c in cut)
    weight = np.moveaxis(kernel, (-1, -2), (0, 1))
    window = Window(strides, before, after, dilation)
    matrix, shape = transposed_convolution(weight, window, 1, x.shape, more, layer.where)
    return _activated(layer, _back(layer, _biased(layer, layer.layering.linear(x, matrix, shape), 1)))


def averaged(layer: KerasLayer, values: list[Any]) -> Result:
    axes = int(layer.kind[-2])
    x = _image(layer, values[0], axes)
    kernel = layer.sizes("pool_size", axes, 2)
    window = _window(layer, kernel, x.shape[1:], kernel)
    matrix, shape = average(kernel, window, x.shape, layer.where, padding_counts=False)
    return _back(layer, layer.layering.linear(x, matrix, shape))


def averaged_whole(layer: KerasLayer, values: list[Any]) -> Result:
    axes = int(layer.kind[-2])
    x = _image(layer, values[0], axes)
    keep = bool(layer.config.get("keepdims", False))
    y = reduced(layer.layering, x, tuple(range(1, axes + 1)), keep=keep, mean=True)
    return _back(layer, y) if keep else y


def largest_in_windows(layer: KerasLayer, values: list[Any]) -> Result:
    axes = int(layer.kind[-2])
    x = _image(layer, values[0], axes)
    kernel = layer.sizes("pool_size", axes, 2)
    entries, sizes, shape = window_groups(
        kernel, _window(layer, kernel, x.shape[1:], kernel), x.shape, layer.where
    )
    return _turned_back(layer, largest(layer.layering, x, entries, sizes, shape))


def largest_of_whole(layer: KerasLayer, values: list[Any]) -> Result:
    axes = int(layer.kind[-2])
    x = _image(layer, values[0], axes)
    keep = bool(layer.config.get("keepdims", False))
    y = largest_along(layer.layering, x, tuple(range(1, axes + 1)), keep=keep)
    return _turned_back(layer, y) if keep else y


def _turned_back(layer: KerasLayer, result: Result) -> Result:
    """Put the channels of what units put out where the layer has them."""
    after = result.after if isinstance(result, Bend) else None
    if not isinstance(result, Bend) or after is None:
        return _back(layer, cast(AffineTensor, result))
    return result._replace(after=lambda units, kept: _back(layer, after(units, kept)))


def normalised(layer: KerasLayer, values: list[Any]) -> Result:
    x = values[0]
    axis = layer.config.get("axis", -1)
    axis = axis[0] if isinstance(axis, list | tuple) else axis
    arrays = list(layer.arrays)
    scale = arrays.pop(0) if layer.config.get("scale", True) and arrays else np.ones(())
    shift = arrays.pop(0) if layer.config.get("center", True) and arrays else np.zeros(())
    if len(arrays) != 2:
        raise InvalidNetworkError(
            f"{layer.where} has {len(layer.arrays)} stored arrays; its settings need others"
        )
    mean, variance = arrays
    factor = scale / np.sqrt(variance + float(layer.config.get("epsilon", 1e-3)))
    shape = [1] * len(x.shape)
    place = _axis(axis, len(x.shape), layer)
    shape[place] = -1
    return layer.layering.rounded(x, factor.reshape(shape), (shift - mean * factor).reshape(shape))


def _axis(axis: int, rank: int, layer: KerasLayer) -> int:
    """An axis, which Keras counts with the batch, without it."""
    if axis == 0 or not -rank <= axis <= rank:
        raise InvalidNetworkError(f"{layer.where} names axis {axis} of values with {rank} axes and the batch")
    return int(axis - 1 if axis > 0 else axis + rank)


def rectified(layer: KerasLayer, values: list[Any]) -> Result:
    top, slope = layer.config.get("max_value"), _number(layer.config.get("negative_slope") or 0.0)
    if layer.config.get("threshold") or (top is not None and slope):
        raise InvalidNetworkError(f"{layer.where} has a threshold, or a slope and a largest value")
    if top is not None:
        return clipped(layer.layering, values[0], 0.0, _number(top))
    return bent(layer.layering, values[0], slope)


def leaky(layer: KerasLayer, values: list[Any]) -> Result:
    slope = layer.config.get("negative_slope", layer.config.get("alpha", 0.3))
    return bent(layer.layering, values[0], _number(slope))


def parametric(layer: KerasLayer, values: list[Any]) -> Result:
    return bent(layer.layering, values[0], np.broadcast_to(layer.array(0), values[0].shape))


def activation(layer: KerasLayer, values: list[Any]) -> Result:
    return _activated(layer, values[0])


def flattened(layer: KerasLayer, values: list[Any]) -> Result:
    index = values[0].index
    if layer.channels_first and index.ndim > 1:
        index = np.moveaxis(index, 0, -1)
    return AffineTensor(values[0].rows, index.reshape(-1), values[0].dtype)


def reshaped(layer: KerasLayer, values: list[Any]) -> Result:
    found = moves.reshaped(values[0], layer.config["target_shape"], zero_copies=False)
    assert isinstance(found, AffineTensor)
    return found


def permuted(layer: KerasLayer, values: list[Any]) -> Result:
    return AffineTensor(
        values[0].rows, values[0].index.transpose([k - 1 for k in layer.config["dims"]]), values[0].dtype
    )


def unchanged(layer: KerasLayer, values: list[Any]) -> Result:
    found = values[0]
    assert isinstance(found, AffineTensor)
    return found


def summed(layer: KerasLayer, values: list[Any]) -> Result:
    total = values[0]
    for value in values[1:]:
        sign = -1.0 if layer.kind == "Subtract" else 1.0
        with layer.layering.holding(total):
            other = layer.layering.scaled(value, np.asarray(sign))
        total = layer.layering.added(total, other)
    if layer.kind == "Average":
        total = layer.layering.scaled(total, np.asarray(1.0 / len(values)))
    assert isinstance(total, AffineTensor)
    return total


def larger(layer: KerasLayer, values: list[Any]) -> Result:
    sign = -1.0 if layer.kind == "Minimum" else 1.0
    if len(values) == 2:
        return maximum(layer.layering, values[0], values[1], sign)
    return largest_of(layer.layering, values, sign)


def joined(layer: KerasLayer, values: list[Any]) -> Result:
    axis = _axis(int(layer.config.get("axis", -1)), len(values[0].shape), layer)
    found = moves.concatenated(layer.layering, values, axis)
    assert isinstance(found, AffineTensor)
    return found


def _edges(layer: KerasLayer, key: str, axes: int) -> list[tuple[int, int]]:
    given = layer.config[key]
    if isinstance(given, int):
        return [(given, given)] * axes
    if axes == 1:
        given = [given]
    return [(int(e), int(e)) if isinstance(e, int) else (int(e[0]), int(e[1])) for e in given]


def padded(layer: KerasLayer, values: list[Any]) -> Result:
    axes = int(layer.kind[-2])
    sign, key = (-1, "cropping") if layer.kind.startswith("Cropping") else (1, "padding")
    edges = [(0, 0), *((sign * a, sign * b) for a, b in _edges(layer, key, axes))]
    x = _image(layer, values[0], axes)
    before, after = zip(*edges, strict=True)
    found = moves.padded(layer.layering, x, before, after, 0.0)
    assert isinstance(found, AffineTensor)
    return _back(layer, found)


def upsampled(layer: KerasLayer, values: list[Any]) -> Result:
    axes = int(layer.kind[-2])
    how = layer.config.get("interpolation", "nearest")
    if how not in ("nearest", "bilinear"):
        raise InvalidNetworkError(
            f"{layer.where} interpolates by {how!r}; supported are 'nearest' and 'bilinear'"
        )
    x = _image(layer, values[0], axes)
    index: NDArray[np.int64] = x.index
    sizes = layer.sizes("size", axes, 2)
    check_shape(layer.where, (prod(index.shape), *sizes))
    if how == "bilinear":
        new = (np.arange(n * size) for n, size in zip(x.shape[1:], sizes, strict=True))
        places = {axis: (k + 0.5) / sizes[axis - 1] - 0.5 for axis, k in enumerate(new, 1)}
        return _back(layer, interpolated(layer.layering, x, places))
    for axis, size in enumerate(sizes, 1):
        index = np.repeat(index, size, axis=axis)
    return _back(layer, x.moved(index))


def repeated(layer: KerasLayer, values: list[Any]) -> Result:
    found = values[0].moved(np.repeat(values[0].index[None], int(layer.config["n"]), axis=0))
    assert isinstance(found, AffineTensor)
    return found


def rescaled(layer: KerasLayer, values: list[Any]) -> Result:
    scale, offset = (np.asarray(layer.config.get(key, 0.0), np.float32) for key in ("scale", "offset"))
    return layer.layering.shifted(
        layer.layering.scaled(values[0], scale.astype(np.float64)), offset.astype(np.float64)
    )


def _each(kind: str, *axes: int) -> tuple[str, ...]:
    return tuple(f"{kind}{k}D" for k in axes)


_KINDS: list[tuple[tuple[str, ...], Apply]] = [
    (("Dense",), dense),
    (_each("Conv", 1, 2, 3), convolved),
    (("DepthwiseConv1D", "DepthwiseConv2D", "SeparableConv1D", "SeparableConv2D"), convolved_by_depth),
    (("Conv1DTranspose", "Conv2DTranspose", "Conv3DTranspose"), convolved_back),
    (_each("AveragePooling", 1, 2, 3), averaged),
    (_each("GlobalAveragePooling", 1, 2, 3), averaged_whole),
    (_each("MaxPooling", 1, 2, 3), largest_in_windows),
    (_each("GlobalMaxPooling", 1, 2, 3), largest_of_whole),
    (("BatchNormalization",), normalised),
    (("Add", "Subtract", "Average"), summed),
    (("Maximum", "Minimum"), larger),
    (("Concatenate",), joined),
    (("Rescaling",), rescaled),
    (("ReLU",), rectified),
    (("LeakyReLU",), leaky),
    (("PReLU",), parametric),
    (("Activation", "Softmax"), activation),
    (("Flatten",), flattened),
    (("Reshape",), reshaped),
    (("Permute",), permuted),
    ((*_each("ZeroPadding", 1, 2, 3), *_each("Cropping", 1, 2, 3)), padded),
    (_each("UpSampling", 1, 2, 3), upsampled),
    (("RepeatVector",), repeated),
    (
        ("Dropout", *_each("SpatialDropout", 1, 2, 3), "GaussianDropout", "GaussianNoise", "AlphaDropout"),
        unchanged,
    ),
    (("ActivityRegularization", "Identity"), unchanged),
]
KERAS_LAYERS: dict[str, Apply] = {kind: apply for kinds, apply in _KINDS for kind in kinds}
