"""What each ATen operator does to affine tensors; operators on constants alone PyTorch runs itself.

`TORCH_OPERATORS` is the list of what is supported, from which the documentation's table is made.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from scipy.sparse import csr_array, kron

from regions.errors import InvalidNetworkError
from regions.network.loaders import moves, torch_bends, torch_choices, torch_moves
from regions.network.loaders.affine_operators import matrix_product, normalised, product, reduced
from regions.network.loaders.affine_tensors import AffineTensor
from regions.network.loaders.convolutions import average, convolution, transposed_convolution, window
from regions.network.loaders.torch_calls import Call, computed, constant_of, spread
from regions.network.loaders.torch_images import resampled
from regions.network.loaders.torch_maxima import images, largest, largest_in_parts, largest_in_windows
from regions.network.loaders.torch_tensors import to_float64

__all__ = ["TORCH_CURVED", "TORCH_HEADS", "TORCH_JUMPING", "TORCH_LARGEST", "TORCH_OPERATORS", "TORCH_RISING"]

# functions of single entries that nowhere fall, and what takes the largest of several: their order is free
TORCH_RISING = ("relu", "relu_", "leaky_relu", "leaky_relu_", "hardtanh", "relu6")
TORCH_LARGEST = ("max_pool1d", "max_pool2d", "max_pool3d", "amax")

TORCH_HEADS = (
    *("softmax", "log_softmax", "sigmoid", "tanh", "_softmax", "_log_softmax", "softplus"),
    *("argmax", "argmin"),
)
TORCH_CURVED = (
    *TORCH_HEADS,
    *(
        "gelu",
        "silu",
        "silu_",
        "elu",
        "elu_",
        "selu",
        "celu",
        "mish",
        "hardswish",
        "hardswish_",
        "hardshrink",
    ),
    *("glu", "erf", "exp", "log", "log_sigmoid", "logsumexp", "pow", "square", "sqrt", "rsqrt", "sin", "cos"),
    *("lstm", "gru", "rnn_tanh", "std", "var", "norm", "addcmul", "bilinear", "reciprocal"),
    *("layer_norm", "group_norm", "native_layer_norm", "native_group_norm", "scaled_dot_product_attention"),
)
TORCH_JUMPING = (
    *("sign", "floor", "ceil", "round", "trunc", "frac", "heaviside", "bucketize", "gt", "lt", "ge", "le"),
    *("eq", "ne", "fmod", "remainder", "quantize_per_tensor", "quantize_per_channel"),
)


# ---------------------------------------------------------------- products


def _product(call: Call, x: Any, y: Any) -> AffineTensor:
    x, y = (value if computed(value) else to_float64(value) for value in (x, y))
    return product(call.layering, x, y, call.where)


def _with_bias(call: Call, y: AffineTensor, axis: int = -1) -> AffineTensor:
    bias = call.floats("bias")
    if bias is None:
        return y
    rest = y.index.ndim - 1 - (axis % y.index.ndim)
    return call.layering.shifted(y, bias.reshape(-1, *[1] * rest))


def _linear(call: Call) -> Any:
    weight = call.floats("weight")
    if weight is None:
        raise InvalidNetworkError(f"{call.where} has no weight")
    return _with_bias(call, matrix_product(call.layering, call.x, weight.T))


def _addmm(call: Call) -> Any:
    if call.get("alpha", 1) != 1 or call.get("beta", 1) != 1:
        raise InvalidNetworkError(f"{call.where} has factors alpha or beta; supported are 1 and 1")
    product = _product(call, call.arguments["mat1"], call.arguments["mat2"])
    return _sum(call, product, call.arguments["self"])


def _matmul(call: Call) -> Any:
    x, y = list(call.arguments.values())[:2]
    return _product(call, x, y)


# ---------------------------------------------------------------- windows


def _conv(call: Call) -> Any:
    weight = call.floats("weight")
    if weight is None:
        raise InvalidNetworkError(f"{call.where} has no weight")
    x, axes = images(call, weight.ndim - 1), weight.ndim - 2
    stride, dilation = (spread(call.get(name, 1), axes) for name in ("stride", "dilation"))
    padding, groups = call.get("padding", 0), int(call.get("groups", 1))
    moving = window(axes, stride, 0 if isinstance(padding, str) else spread(padding, axes), dilation)
    if padding == "same":
        total = [d * (k - 1) for d, k in zip(dilation, weight.shape[2:], strict=True)]
        moving = moving._replace(before=tuple(t // 2 for t in total), after=tuple(t - t // 2 for t in total))
    if call.get("transposed", False) or "transpose" in call.kind:
        more = spread(call.get("output_padding", 0), axes)
        matrix, after = transposed_convolution(weight, moving, groups, x.shape[1:], more, call.where)
    else:
        matrix, after = convolution(weight, moving, groups, x.shape[1:], call.where)
    return _with_bias(call, call.layering.linear(x, matrix, (1, *after)), axis=1)


def _average(call: Call) -> Any:
    axes = int(call.kind[-2])
    x = images(call, axes + 1)
    kernel = spread(call.arguments["kernel_size"], axes)
    matrix, after = average(
        kernel,
        window(axes, spread(call.get("stride") or kernel, axes), spread(call.get("padding", 0), axes)),
        x.shape[1:],
        call.where,
        padding_counts=bool(call.get("count_include_pad", True)),
        ceil=bool(call.get("ceil_mode", False)),
    )
    divisor = call.get("divisor_override")
    if divisor:
        matrix.data = np.full(matrix.nnz, 1.0 / divisor)
    return call.layering.linear(x, matrix, (1, *after))


def _adaptive_average(call: Call) -> Any:
    axes = int(call.kind[-2])
    x = images(call, axes + 1)
    sizes = call.arguments["output_size"]
    matrix, shape = csr_array(np.eye(x.shape[1])), [x.shape[1]]
    for length, size in zip(x.shape[2:], spread(sizes, axes), strict=True):
        part = np.zeros((size, length))
        for k in range(size):
            start, end = k * length // size, -(-(k + 1) * length // size)
            part[k, start:end] = 1.0
        matrix = csr_array(kron(matrix, csr_array(part)))
        shape.append(size)
    matrix.eliminate_zeros()
    # one division by the number of places that an average has
    counts = np.diff(matrix.indptr)
    matrix.data = np.repeat(1.0 / counts, counts)
    return call.layering.linear(x, matrix, (1, *shape))


def _batch_norm(call: Call) -> Any:
    mean, variance = call.floats("running_mean"), call.floats("running_var")
    if call.kind == "instance_norm" and (call.get("use_input_stats", False) or mean is None):
        raise InvalidNetworkError(
            f"{call.where} divides by the spread of its own input, which is not piecewise linear"
        )
    if call.get("training", False) or mean is None or variance is None:
        raise InvalidNetworkError(f"{call.where} is in training mode; call model.eval() first")
    weight, bias = call.floats("weight"), call.floats("bias")
    scale, offset = 1.0 if weight is None else weight, 0.0 if bias is None else bias
    variance = variance + float(call.arguments["eps"])
    y = normalised(call.layering, call.x, scale, offset, mean, variance)
    return [y] if call.kind.startswith("_native") else y


# ---------------------------------------------------------------- arithmetic


def _sum(call: Call, x: Any, y: Any, factor: float = 1.0) -> AffineTensor:
    """Return x + factor * y."""
    if computed(y):
        y = call.layering.scaled(y, np.asarray(float(factor)))
        if computed(x):
            return call.layering.added(x, y)
        x, y, factor = y, x, 1.0
    constant = constant_of(call, y)
    # alpha * y is a product of constants, rounded as PyTorch rounds it
    numbers = constant if factor == 1.0 else constant * factor
    shape = np.broadcast_shapes(x.shape, numbers.shape)
    return call.layering.shifted(moves.expanded(x, shape), np.broadcast_to(numbers, shape))


def _add(call: Call) -> Any:
    x, y = list(call.arguments.values())[:2]
    alpha = float(call.get("alpha", 1))
    match call.kind:
        case "sub" | "sub_":
            return _sum(call, x, y, -alpha)
        case "rsub":
            return _sum(call, y, x, -alpha)
    return _sum(call, x, y, alpha)


def _multiply(call: Call) -> Any:
    x, y = list(call.arguments.values())[:2]
    dividing = call.kind.startswith("div")
    if (computed(x) and computed(y)) or (dividing and (computed(y) or call.get("rounding_mode"))):
        raise InvalidNetworkError(
            f"{call.where} multiplies two values that depend on the input, or divides by one; that is not "
            f"piecewise linear"
        )
    value, constant = (x, y) if computed(x) else (y, x)
    numbers = constant_of(call, constant)
    if dividing and not numbers.all():
        raise InvalidNetworkError(f"{call.where} divides by zero")
    numbers = 1.0 / numbers if dividing else numbers
    shape = np.broadcast_shapes(value.shape, numbers.shape)
    return call.layering.scaled(moves.expanded(value, shape), np.broadcast_to(numbers, shape))


def _negative(call: Call) -> Any:
    return call.layering.scaled(call.x, np.asarray(-1.0))


def _reduce(call: Call) -> Any:
    x, given = call.x, call.get("dim", [])
    chosen = moves.axes_of(given if isinstance(given, int) or given else None, len(x.shape))
    keep = bool(call.get("keepdim", False))
    return reduced(call.layering, x, chosen, keep=keep, mean=call.kind == "mean")


def _running_sum(call: Call) -> Any:
    x, axis = call.x, moves.axis_of(int(call.arguments["dim"]), len(call.x.shape))
    last = x.moved(np.moveaxis(x.index, axis, -1))
    sums = matrix_product(call.layering, last, np.triu(np.ones((x.shape[axis],) * 2)))
    return sums.moved(np.moveaxis(sums.index, -1, axis))


Handler = Callable[[Call], Any]


def _all(names: Sequence[str], handler: Handler) -> dict[str, Handler]:
    return dict.fromkeys(names, handler)


RESAMPLED = (
    *(f"upsample_nearest{k}d" for k in (1, 2, 3)),
    *(f"_upsample_nearest_exact{k}d" for k in (1, 2, 3)),
    *("upsample_linear1d", "upsample_bilinear2d", "upsample_trilinear3d", "upsample_bicubic2d"),
)
PADDED = tuple(f"{kind}_pad{k}d" for kind in ("reflection", "replication") for k in (1, 2, 3))
TORCH_OPERATORS: dict[str, Handler] = {
    **_all(("linear",), _linear),
    **_all(("addmm",), _addmm),
    **_all(("mm", "bmm", "matmul"), _matmul),
    **_all(("conv1d", "conv2d", "conv3d", "convolution"), _conv),
    **_all(("conv_transpose1d", "conv_transpose2d", "conv_transpose3d"), _conv),
    **_all(("avg_pool1d", "avg_pool2d", "avg_pool3d"), _average),
    **_all(("adaptive_avg_pool1d", "adaptive_avg_pool2d", "adaptive_avg_pool3d"), _adaptive_average),
    **_all(("batch_norm", "_native_batch_norm_legit_no_training", "instance_norm"), _batch_norm),
    **_all(("add", "add_", "sub", "sub_", "rsub"), _add),
    **_all(("mul", "mul_", "div", "div_"), _multiply),
    **_all(("neg",), _negative),
    **_all(("sum", "mean"), _reduce),
    **_all(("cumsum",), _running_sum),
    **_all(("relu", "relu_"), torch_bends.rectified),
    **_all(("leaky_relu", "leaky_relu_", "prelu", "_prelu_kernel", "rrelu"), torch_bends.leaky),
    **_all(("abs",), torch_bends.absolute),
    **_all(("clamp", "clamp_", "clamp_min", "clamp_min_", "clamp_max", "clamp_max_"), torch_bends.clamped),
    **_all(("clip", "hardtanh", "hardtanh_", "relu6", "relu6_"), torch_bends.clamped),
    **_all(("hardsigmoid", "hardsigmoid_"), torch_bends.hard_sigmoid),
    **_all(("threshold", "threshold_"), torch_bends.thresholded),
    **_all(("softshrink",), torch_bends.shrunk),
    **_all(("maximum", "minimum"), torch_bends.larger_of_two),
    **_all(("max", "min"), torch_bends.larger),
    **_all(("amax", "amin"), largest),
    **_all([f"max_pool{k}d{more}" for k in (1, 2, 3) for more in ("", "_with_indices")], largest_in_windows),
    **_all([f"adaptive_max_pool{k}d" for k in (1, 2, 3)], largest_in_parts),
    **_all(RESAMPLED, resampled),
    **_all(("pixel_shuffle", "pixel_unshuffle", "channel_shuffle"), torch_moves.shuffled),
    **_all(("clone", "detach", "detach_", "contiguous", "alias", "lift_fresh_copy"), torch_moves.unchanged),
    **_all(("dropout", "dropout_", "feature_dropout", "alpha_dropout"), torch_moves.dropped),
    **_all(("to", "_to_copy"), torch_moves.converted),
    **_all(("view", "reshape", "_unsafe_view"), torch_moves.reshaped),
    **_all(("flatten",), torch_moves.flattened),
    **_all(("unflatten",), torch_moves.unflattened),
    **_all(("permute", "transpose", "t", "numpy_T"), torch_moves.permuted),
    **_all(("squeeze", "unsqueeze"), torch_moves.squeezed),
    **_all(("slice",), torch_moves.sliced),
    **_all(("select",), torch_moves.selected),
    **_all(("index_select",), torch_moves.picked),
    **_all(("index", "_unsafe_index"), torch_moves.indexed),
    **_all(("split", "split_with_sizes", "chunk", "unsafe_split", "unsafe_chunk"), torch_moves.split),
    **_all(("unbind",), torch_moves.apart),
    **_all(("cat", "stack"), torch_moves.concatenated),
    **_all(("expand",), torch_moves.expanded),
    **_all(("repeat", "tile"), torch_moves.repeated),
    **_all(("flip", "roll"), torch_moves.turned),
    **_all(("pad", "constant_pad_nd"), torch_moves.padded),
    **_all(PADDED, torch_moves.padded),
    **_all(("where", "masked_fill", "masked_fill_"), torch_choices.where),
    **_all(("tril", "triu"), torch_choices.triangle),
    **_all(("gather",), torch_choices.gathered),
    **_all(("select_scatter", "slice_scatter"), torch_choices.replaced),
    **_all(("copy", "fill"), torch_choices.filled),
    **_all(("im2col",), torch_choices.patches),
    **_all(("col2im",), torch_choices.summed_patches),
    **_all(("einsum",), torch_choices.contraction),
    **_all(("linalg_vector_norm",), torch_choices.sum_of_sizes),
    **_all(("sym_size",), torch_moves.size_of),
    **_all(("getitem",), torch_moves.item_of),
}
