"""What each ONNX operator does to affine tensors; operators on constants alone are left to `onnx_constants`.

`OPERATORS` is the list of what is supported, from which the documentation's table is made.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Any

import numpy as np

from regions.errors import InvalidNetworkError
from regions.network.loaders import bends, moves
from regions.network.loaders.affine_operators import normalised, product, reduced, swapped
from regions.network.loaders.affine_tensors import AffineTensor
from regions.network.loaders.checks import FloatArray
from regions.network.loaders.graph_steps import Bend
from regions.network.loaders.onnx_choices import (
    contraction,
    gathered,
    running_sum,
    scattered,
    triangle,
    where,
)
from regions.network.loaders.onnx_files import float_type
from regions.network.loaders.onnx_images import resized, shuffled
from regions.network.loaders.onnx_nodes import Operator, floats
from regions.network.loaders.onnx_windows import (
    averaged,
    averaged_whole,
    convolved,
    largest_in_windows,
    largest_of_whole,
)

__all__ = ["HEADS", "LARGEST", "MOVES", "OPERATORS", "RISING"]

# read up to, where they come last: they change the order of no two outputs, or depend on that alone
HEADS = ("Softmax", "LogSoftmax", "Sigmoid", "Tanh", "Softplus", "ArgMax", "ArgMin", "Hardmax")

# functions of single entries that nowhere fall, and what takes the largest of several: their order is free
RISING = ("Relu", "LeakyRelu", "Clip")
LARGEST = ("MaxPool", "GlobalMaxPool", "ReduceMax")

PADDINGS = ("constant", "reflect", "edge", "wrap")


# ---------------------------------------------------------------- arithmetic


def _sum(node: Operator, x: Any, y: Any) -> Any:
    if isinstance(x, AffineTensor) and isinstance(y, AffineTensor):
        return node.layering.added(x, y)
    value, constant = (x, y) if isinstance(x, AffineTensor) else (y, x)
    value, constant = _aligned(node, value, constant)
    return node.layering.shifted(value, constant)


def _arithmetic(node: Operator, arguments: list[Any]) -> list[Any]:
    x, y = _legacy_broadcast(node, arguments)
    match node.kind:
        case "Add":
            return [_sum(node, x, y)]
        case "Sub":
            negative = _negative(node, y) if isinstance(y, AffineTensor) else 0.0 - floats(y, node.where)
            return [_sum(node, x, negative)]
        case "Mul" if not (isinstance(x, AffineTensor) and isinstance(y, AffineTensor)):
            value, constant = (x, y) if isinstance(x, AffineTensor) else (y, x)
            value, constant = _aligned(node, value, constant)
            return [node.layering.scaled(value, constant)]
        case "Div" if not isinstance(y, AffineTensor):
            value, constant = _aligned(node, x, y)
            if constant.all():
                return [node.layering.scaled(value, 1.0 / constant)]
    raise InvalidNetworkError(
        f"{node.where} multiplies two values that depend on the input, or divides by the value or by zero; "
        f"that is not piecewise linear"
    )


def _legacy_broadcast(node: Operator, arguments: list[Any]) -> tuple[Any, Any]:
    """Both operands; before version 7 the second one's axes begin where an attribute says."""
    x, y = arguments[:2]
    axis = node.get("axis")
    if node.opset < 7 and axis is not None:
        rank = len(moves.shape_of(x))
        trailing = rank - moves.axis_of(int(axis), rank) - len(moves.shape_of(y))
        if trailing > 0 and np.prod(moves.shape_of(y)) > 1:
            raise InvalidNetworkError(
                f"{node.where} is of a version below 7, where axis={int(axis)} says at which axis those of "
                "the second operand begin; the onnx package does not compute that, so what is read could not "
                "be checked: export the model again with opset 7 or later"
            )
        y = moves.moved(y, lambda entries: entries.reshape(*entries.shape, *[1] * max(trailing, 0)))
    return x, y


def _aligned(node: Operator, value: AffineTensor, constant: Any) -> tuple[AffineTensor, FloatArray]:
    """A tensor and a constant of one shape."""
    numbers = floats(constant, node.where)
    try:
        shape = np.broadcast_shapes(value.shape, numbers.shape)
    except ValueError:
        shape = ()
    # one sample stays one: the first axis does not grow
    grows = value.shape and len(shape) == len(value.shape) and shape[0] != value.shape[0]
    if grows or (value.shape and not shape):
        raise InvalidNetworkError(
            f"{node.where} joins a value of shape {value.shape} for one sample with a constant of shape "
            f"{numbers.shape}, which does not broadcast to the value's shape"
        )
    return moves.expanded(value, shape), np.broadcast_to(numbers, shape)


def _negative(node: Operator, x: AffineTensor) -> AffineTensor:
    return node.layering.scaled(x, np.array(-1.0))


def _rescaled(node: Operator, arguments: list[Any]) -> list[Any]:
    """The scaler of ONNX's operators for machine learning: (x - offset) * scale, one number or one each."""
    offset, scale = (
        np.asarray(node.get(name, [one]), np.float64) for name, one in (("offset", 0), ("scale", 1))
    )
    return [node.layering.scaled(node.layering.shifted(arguments[0], -offset), scale)]


def _add_all(node: Operator, arguments: list[Any]) -> list[Any]:
    total = arguments[0]
    for term in arguments[1:]:
        total = _sum(node, total, term) if _computed(total, term) else total + term
    return [total]


def _mean_of(node: Operator, arguments: list[Any]) -> list[Any]:
    (total,) = _add_all(node, arguments)
    return [node.layering.scaled(total, np.asarray(1.0 / len(arguments)))]


def _batch_norm(node: Operator, arguments: list[Any]) -> list[Any]:
    x, *given = arguments[:5]
    scale, bias, mean, variance = (floats(part, node.where) for part in given)
    if node.get("training_mode", 0) or not node.get("is_test", 1):
        raise InvalidNetworkError(f"{node.where} is in training mode; export the model for inference")
    variance = variance + float(node.get("epsilon", 1e-5))
    return [normalised(node.layering, x, scale, bias, mean, variance)]


# ---------------------------------------------------------------- products


def _matmul(node: Operator, arguments: list[Any]) -> list[Any]:
    x, y = (value if _computed(value) else floats(value, node.where) for value in arguments)
    return [product(node.layering, x, y, node.where)]


def _gemm(node: Operator, arguments: list[Any]) -> list[Any]:
    a, b, c = (*arguments, None)[:3]
    alpha, beta = float(node.get("alpha", 1.0)), float(node.get("beta", 1.0))
    a = moves.moved(a, swapped) if node.get("transA", 0) else a
    b = moves.moved(b, swapped) if node.get("transB", 0) else b
    if len(moves.shape_of(a)) != 2 or len(moves.shape_of(b)) != 2:
        raise InvalidNetworkError(
            f"{node.where} multiplies shapes {moves.shape_of(a)} and {moves.shape_of(b)}, not matrices"
        )
    layering = node.layering
    product = _matmul(node, [a, b])[0] if _computed(a, b) else a @ b
    if c is None or beta == 0.0:
        return [layering.scaled(product, np.array(alpha)) if _computed(product) else alpha * product]
    if (alpha, beta) == (1.0, 1.0):
        return [_sum(node, product, c)]
    # factors would round the weights, so they act in a layer of their own, on the two summands side by side
    if not _computed(product):
        product = layering.constant(floats(product, node.where), c.dtype)
    if not _computed(c):
        c = layering.constant(np.broadcast_to(floats(c, node.where), product.shape), product.dtype)
    layering.separate(product, c)
    return [layering.added(layering.scaled(product, np.array(alpha)), layering.scaled(c, np.array(beta)))]


def _reduce(node: Operator, arguments: list[Any]) -> list[Any]:
    chosen = _axes(node, arguments)
    if not chosen:
        return [arguments[0]]
    keep = bool(node.get("keepdims", 1))
    return [reduced(node.layering, arguments[0], chosen, keep=keep, mean=node.kind == "ReduceMean")]


def _axes(node: Operator, arguments: list[Any]) -> tuple[int, ...]:
    """The axes that are reduced; none where nothing is."""
    axes = node.integers("axes", arguments, 1)
    if not axes:
        axes = [] if node.get("noop_with_empty_axes", 0) else None
    return moves.axes_of(axes, len(moves.shape_of(arguments[0])))


# ---------------------------------------------------------------- bends


def _one(result: AffineTensor | Bend) -> list[Any] | Bend:
    return result if isinstance(result, Bend) else [result]


def _relu(node: Operator, arguments: list[Any]) -> list[Any] | Bend:
    return _one(bends.bent(node.layering, arguments[0]))


def _sum_of_sizes(node: Operator, arguments: list[Any]) -> list[Any] | Bend:
    """The sum of absolute values along axes."""
    chosen, keep = _axes(node, arguments), bool(node.get("keepdims", 1))
    result = bends.bent(node.layering, arguments[0], -1.0)
    if not chosen:
        return _one(result)
    return _one(bends.then(result, lambda x: reduced(node.layering, x, chosen, keep=keep, mean=False)))


def _leaky(node: Operator, arguments: list[Any]) -> list[Any] | Bend:
    x = arguments[0]
    if node.kind == "PRelu":
        slope = np.broadcast_to(floats(arguments[1], node.where), x.shape)
    else:
        slope = np.asarray(float(node.get("alpha", 0.01)))
    return _one(bends.bent(node.layering, x, slope))


def _absolute(node: Operator, arguments: list[Any]) -> list[Any] | Bend:
    return _one(bends.bent(node.layering, arguments[0], -1.0))


def _clip(node: Operator, arguments: list[Any]) -> list[Any] | Bend:
    x, *given = (*arguments, None, None)[:3]
    largest = float(np.finfo(x.dtype).max)
    ends = [node.get(name, end) for name, end in zip(("min", "max"), given, strict=True)]
    if any(_computed(end) for end in ends):
        raise InvalidNetworkError(f"{node.where} clips to computed values; supported are constants")
    low, high = (None if end is None else float(np.asarray(end).ravel()[0]) for end in ends)
    # exporters write the largest float where there is no end
    low = None if low is None or low <= -largest else low
    high = None if high is None or high >= largest else high
    return _one(bends.clipped(node.layering, x, low, high))


def _hard_sigmoid(node: Operator, arguments: list[Any]) -> list[Any] | Bend:
    layering = node.layering
    slanted = layering.scaled(arguments[0], np.asarray(float(node.get("alpha", 0.2))))
    return _one(
        bends.clipped(layering, layering.shifted(slanted, np.asarray(float(node.get("beta", 0.5)))), 0.0, 1.0)
    )


def _thresholded(node: Operator, arguments: list[Any]) -> list[Any] | Bend:
    threshold = float(node.get("alpha", 1.0))
    if threshold:
        raise InvalidNetworkError(
            f"{node.where} jumps from 0 to {threshold:g} at its threshold; supported are functions that do "
            "not jump, so a threshold of 0"
        )
    return _one(bends.bent(node.layering, arguments[0]))


def _shrunk(node: Operator, arguments: list[Any]) -> list[Any] | Bend:
    size, bias = float(node.get("lambd", 0.5)), float(node.get("bias", 0.0))
    if size != bias:
        raise InvalidNetworkError(
            f"{node.where} jumps by {size - bias:g} at {size:g}; supported are functions that do not jump, "
            "so bias=lambd"
        )
    return _one(bends.shrunk(node.layering, arguments[0], size))


def _maximum(node: Operator, arguments: list[Any]) -> list[Any] | Bend:
    tensors = [value for value in arguments if _computed(value)]
    others = [floats(value, node.where) for value in arguments if not _computed(value)]
    if len(arguments) == 1:
        return [arguments[0]]
    sign = -1.0 if node.kind == "Min" else 1.0
    if len(arguments) > 2:
        return _one(bends.largest_of(node.layering, [*tensors, *others], sign))
    other = tensors[1] if len(tensors) == 2 else others[0]
    return _one(bends.maximum(node.layering, tensors[0], other, sign))


def _largest(node: Operator, arguments: list[Any]) -> list[Any] | Bend:
    chosen = _axes(node, arguments)
    if not chosen:
        return [arguments[0]]
    sign = -1.0 if node.kind == "ReduceMin" else 1.0
    keep = bool(node.get("keepdims", 1))
    return _one(bends.largest_along(node.layering, arguments[0], chosen, keep=keep, sign=sign))


# ---------------------------------------------------------------- moves


def _dropout(node: Operator, arguments: list[Any]) -> list[Any]:
    training = len(arguments) > 2 and arguments[2] is not None and bool(np.asarray(arguments[2]).any())
    if training or not node.get("is_test", 1):
        raise InvalidNetworkError(f"{node.where} is in training mode; export the model for inference")
    return [arguments[0], np.ones(moves.shape_of(arguments[0]), np.bool_)][: node.n_outputs]


def _cast(node: Operator, arguments: list[Any]) -> list[Any]:
    x, target = arguments[0], float_type(int(node.attributes["to"]), node.where)
    if (x.dtype, target) == ("float64", "float32"):
        raise InvalidNetworkError(
            f"{node.where} rounds float64 to float32; supported are casts that lose nothing"
        )
    return [AffineTensor(x.rows, x.index, target)]


def _reshape(node: Operator, arguments: list[Any]) -> list[Any]:
    target = node.integers("shape", arguments, 1)
    if target is None:
        raise InvalidNetworkError(f"{node.where} has no shape")
    return [moves.reshaped(arguments[0], target, node.batch, zero_copies=not node.get("allowzero", 0))]


def _flatten(node: Operator, arguments: list[Any]) -> list[Any]:
    x, axis = arguments[0], int(node.get("axis", 1))
    shape = moves.shape_of(x)
    if not -len(shape) <= axis <= len(shape):
        raise InvalidNetworkError(f"{node.where} flattens shape {shape} at axis {axis}")
    sizes = (prod(shape[:axis]), prod(shape[axis:]))
    return [moves.moved(x, lambda entries: entries.reshape(sizes))]


def _squeeze(node: Operator, arguments: list[Any]) -> list[Any]:
    axes = node.integers("axes", arguments, 1)
    if node.kind == "Squeeze":
        return [moves.squeezed(arguments[0], axes)]
    if axes is None:
        raise InvalidNetworkError(f"{node.where} has no axes")
    return [moves.moved(arguments[0], lambda entries: np.expand_dims(entries, tuple(axes)))]


def _transpose(node: Operator, arguments: list[Any]) -> list[Any]:
    order = node.get("perm")
    return [moves.moved(arguments[0], lambda entries: np.transpose(entries, order))]


def _slice(node: Operator, arguments: list[Any]) -> list[Any]:
    starts, ends = (node.integers(name, arguments, k) for k, name in enumerate(("starts", "ends"), 1))
    axes, steps = (node.integers(name, arguments, k) for k, name in enumerate(("axes", "steps"), 3))
    if starts is None or ends is None:
        raise InvalidNetworkError(f"{node.where} has no starts or no ends")
    return [moves.sliced(arguments[0], starts, ends, axes, steps)]


def _gather(node: Operator, arguments: list[Any]) -> list[Any]:
    x, index = arguments[:2]
    if _computed(index) or np.asarray(index).dtype.kind not in "iu":
        raise InvalidNetworkError(f"{node.where} has computed indices; supported are constant ones")
    shape = moves.shape_of(x)
    axis = moves.axis_of(int(node.get("axis", 0)), len(shape))
    moves.check_shape(node.where, (*shape[:axis], *index.shape, *shape[axis + 1 :]))
    return [moves.moved(x, lambda entries: np.take(entries, index, axis=axis))]


def _split(node: Operator, arguments: list[Any]) -> list[Any]:
    x, axis = arguments[0], int(node.get("axis", 0))
    sizes = node.integers("split", arguments, 1)
    if sizes is None:
        length, parts = moves.shape_of(x)[axis], int(node.get("num_outputs", node.n_outputs))
        share = -(-length // parts)
        sizes = [max(min(share, length - k * share), 0) for k in range(parts)]
    return moves.split(x, axis, sizes)


def _concat(node: Operator, arguments: list[Any]) -> list[Any]:
    return [moves.concatenated(node.layering, arguments, int(node.get("axis", 1)))]


def _pad(node: Operator, arguments: list[Any]) -> list[Any]:
    x, mode = arguments[0], node.get("mode", "constant")
    rank = len(moves.shape_of(x))
    pads = node.integers("paddings" if node.opset < 2 else "pads", arguments, 1)
    axes = node.integers("axes", arguments, 3) or list(range(rank))
    value = node.get("value", arguments[2] if len(arguments) > 2 else None)
    if mode not in PADDINGS or pads is None or len(pads) != 2 * len(axes):
        raise InvalidNetworkError(f"{node.where} pads with mode {mode!r} by {pads}, which is not known")
    before, after = [0] * rank, [0] * rank
    for k, axis in enumerate(axes):
        before[moves.axis_of(axis, rank)], after[moves.axis_of(axis, rank)] = pads[k], pads[len(axes) + k]
    if mode != "constant":
        return [moves.padded_by_copies(x, before, after, mode)]
    number = 0.0 if value is None else float(np.asarray(value).ravel()[0])
    return [moves.padded(node.layering, x, before, after, number)]


def _expand(node: Operator, arguments: list[Any]) -> list[Any]:
    target = node.integers("shape", arguments, 1)
    return [moves.expanded(arguments[0], target or ())]


def _tiled(node: Operator, arguments: list[Any]) -> list[Any]:
    counts = node.integers("repeats", arguments, 1)
    if counts is None or len(counts) != len(moves.shape_of(arguments[0])):
        raise InvalidNetworkError(f"{node.where} repeats by {counts}; expected is one number for each axis")
    return [moves.repeated(arguments[0], counts)]


def _shape(node: Operator, arguments: list[Any]) -> list[Any]:
    shape = moves.shape_of(arguments[0])
    return [np.array(shape[node.get("start", 0) : node.get("end")], np.int64)]


def _identity(node: Operator, arguments: list[Any]) -> list[Any]:
    return [arguments[0]]


def _computed(*values: Any) -> bool:
    return any(isinstance(value, AffineTensor) for value in values)


Handler = Callable[[Operator, list[Any]], "Sequence[Any] | Bend"]

# these move entries around, of constants too
MOVES: dict[str, Handler] = {
    "Identity": _identity,
    "Dropout": _dropout,
    "Reshape": _reshape,
    "Flatten": _flatten,
    "Squeeze": _squeeze,
    "Unsqueeze": _squeeze,
    "Transpose": _transpose,
    "Slice": _slice,
    "Gather": _gather,
    "Split": _split,
    "Concat": _concat,
    "Pad": _pad,
    "Expand": _expand,
    "Tile": _tiled,
    "Shape": _shape,
    "Trilu": triangle,
    "GatherElements": gathered,
    "GatherND": gathered,
    "ScatterElements": scattered,
    "ScatterND": scattered,
}
OPERATORS: dict[str, Handler] = {
    "Gemm": _gemm,
    "MatMul": _matmul,
    "Conv": convolved,
    "ConvTranspose": convolved,
    "AveragePool": averaged,
    "GlobalAveragePool": averaged_whole,
    "BatchNormalization": _batch_norm,
    "Add": _arithmetic,
    "Sub": _arithmetic,
    "Mul": _arithmetic,
    "Div": _arithmetic,
    "Neg": lambda node, arguments: [_negative(node, arguments[0])],
    "Sum": _add_all,
    "Mean": _mean_of,
    "ai.onnx.ml.Scaler": _rescaled,
    "ReduceSum": _reduce,
    "ReduceMean": _reduce,
    "ReduceL1": _sum_of_sizes,
    "CumSum": running_sum,
    "Einsum": contraction,
    "Where": where,
    "Relu": _relu,
    "LeakyRelu": _leaky,
    "PRelu": _leaky,
    "Abs": _absolute,
    "Clip": _clip,
    "HardSigmoid": _hard_sigmoid,
    "ThresholdedRelu": _thresholded,
    "Shrink": _shrunk,
    "MaxPool": largest_in_windows,
    "GlobalMaxPool": largest_of_whole,
    "ReduceMax": _largest,
    "ReduceMin": _largest,
    "Max": _maximum,
    "Min": _maximum,
    "Resize": resized,
    "Upsample": resized,
    "DepthToSpace": shuffled,
    "SpaceToDepth": shuffled,
    "Cast": _cast,
    **MOVES,
}
