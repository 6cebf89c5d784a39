"""What each layer of Keras does to affine tensors, whose axes are Keras's without the batch.

Images are `(*lengths, channels)` unless a layer says `channels_first`. Files are left to `keras_files`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from regions.errors import InvalidNetworkError
from regions.network.loaders import moves
from regions.network.loaders.affine_operators import matrix_product, reduced
from regions.network.loaders.affine_tensors import AffineTensor, check_shape
from regions.network.loaders.bends import (
    bent,
    clipped,
    largest,
    largest_along,
    largest_of,
    maximum,
)
from regions.network.loaders.checks import FloatArray
from regions.network.loaders.contractions import contracted
from regions.network.loaders.convolutions import (
    Window,
    average,
    convolution,
    transposed_convolution,
    window_groups,
)
from regions.network.loaders.graph_steps import Bend
from regions.network.loaders.keras_activations import KerasLayer, Result, activated, number_of
from regions.network.loaders.keras_operations import KERAS_OPERATIONS, operation
from regions.network.loaders.resampling import interpolated

__all__ = [
    "KERAS_CURVED",
    "KERAS_JUMPING",
    "KERAS_LARGEST",
    "KERAS_LAYERS",
]

SMALLEST_DEVIATION = 1e-7  # that Keras divides by
# what takes the largest of several entries
KERAS_LARGEST = (*(f"{kind}{k}D" for kind in ("MaxPooling", "GlobalMaxPooling") for k in (1, 2, 3)),)
KERAS_CURVED = (
    *("ELU", "Multiply", "Dot", "LayerNormalization", "GroupNormalization", "UnitNormalization"),
    *("RMSNormalization", "Attention", "MultiHeadAttention", "AdditiveAttention", "LSTM", "GRU", "SimpleRNN"),
)
KERAS_JUMPING = ("ThresholdedReLU", "Discretization", "Embedding", "Hashing", "CategoryEncoding")


Apply = Callable[[KerasLayer, list[Any]], Result]


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
    return activated(layer, y)


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
    return activated(layer, _back(layer, _biased(layer, y, 1)))


def convolved_by_depth(layer: KerasLayer, values: list[Any]) -> Result:
    kernel = layer.array(0)
    x = _image(layer, values[0], kernel.ndim - 2)
    channels = kernel.shape[-2]
    y = _convolved(layer, x, kernel.reshape(*kernel.shape[:-2], 1, -1), channels)
    if layer.kind.startswith("Separable"):
        points = layer.array(1)
        single = layer._replace(config={})
        y = _convolved(single, y, points, 1)
        return activated(layer, _back(layer, _biased(layer, y, 2)))
    return activated(layer, _back(layer, _biased(layer, y, 1)))


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
    return activated(layer, _back(layer, _biased(layer, layer.layering.linear(x, matrix, shape), 1)))


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
    top, slope = layer.config.get("max_value"), number_of(layer.config.get("negative_slope") or 0.0)
    if layer.config.get("threshold") or (top is not None and slope):
        raise InvalidNetworkError(
            f"{layer.where} has a threshold, where it jumps, or a slope and a largest value; supported is "
            "one of these two, and no threshold"
        )
    if top is not None:
        return clipped(layer.layering, values[0], 0.0, number_of(top))
    return bent(layer.layering, values[0], slope)


def leaky(layer: KerasLayer, values: list[Any]) -> Result:
    slope = layer.config.get("negative_slope", layer.config.get("alpha", 0.3))
    return bent(layer.layering, values[0], number_of(slope))


def parametric(layer: KerasLayer, values: list[Any]) -> Result:
    return bent(layer.layering, values[0], np.broadcast_to(layer.array(0), values[0].shape))


def activation(layer: KerasLayer, values: list[Any]) -> Result:
    return activated(layer, values[0])


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
            f"{layer.where} interpolates by {how!r}, where Keras's backends disagree; supported are "
            "'nearest' and 'bilinear'"
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


def standardised(layer: KerasLayer, values: list[Any]) -> Result:
    """Normalisation of inputs by a stored mean and variance, or those of its settings; or what undoes it."""
    x, rank = values[0], len(values[0].shape)
    given = layer.config.get("axis", -1)
    axes = [] if given is None else [given] if isinstance(given, int) else list(given)
    kept = [_axis(int(axis), rank, layer) for axis in axes]
    shape = [n if axis in kept else 1 for axis, n in enumerate(x.shape)]
    if layer.config.get("mean") is not None:
        given = [np.asarray(layer.config[key], np.float32) for key in ("mean", "variance")]
        pair = [part.astype(np.float64) for part in given]
    else:
        pair = [layer.array(0), layer.array(1)]
    mean, variance = (part.reshape(shape) if part.size > 1 else part.reshape(()) for part in pair)
    deviation = np.maximum(np.sqrt(variance), SMALLEST_DEVIATION)
    if layer.config.get("invert", False):
        return layer.layering.shifted(layer.layering.scaled(x, deviation), mean)
    return layer.layering.scaled(layer.layering.shifted(x, 0.0 - mean), 1.0 / deviation)


def dense_by_indices(layer: KerasLayer, values: list[Any]) -> Result:
    """A product by indices with a stored array; the first index is that of the batch."""
    x = values[0].moved(values[0].index[None])
    y = contracted(layer.layering, str(layer.config["equation"]), [x, layer.array(0)], layer.where)
    y = y.moved(y.index[0])
    if layer.config.get("bias_axes"):
        y = layer.layering.shifted(y, layer.array(1))
    return activated(layer, y)


def _each(kind: str, *axes: int) -> tuple[str, ...]:
    return tuple(f"{kind}{k}D" for k in axes)


# what is done in training only
RANDOM = tuple(
    f"Random{kind}"
    for kind in ("Flip", "Rotation", "Zoom", "Translation", "Contrast", "Brightness", "Shear", "Hue")
)
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
    (("Normalization",), standardised),
    (("EinsumDense",), dense_by_indices),
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
    (("ActivityRegularization", "Identity", *RANDOM), unchanged),
    (KERAS_OPERATIONS, operation),
]
KERAS_LAYERS: dict[str, Apply] = {kind: apply for kinds, apply in _KINDS for kind in kinds}
