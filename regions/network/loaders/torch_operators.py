"""What each ATen operator does to affine tensors; operators on constants alone PyTorch runs itself.

`TORCH_OPERATORS` is the list of what is supported, from which the documentation's table is made.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Any, NamedTuple

import numpy as np
from scipy.sparse import csr_array, kron

from regions.errors import InvalidNetworkError
from regions.network.loaders import bends, moves
from regions.network.loaders.affine_operators import matrix_product, normalised, product, reduced
from regions.network.loaders.affine_tensors import AffineTensor, Layering
from regions.network.loaders.checks import FloatArray
from regions.network.loaders.convolutions import average, convolution, transposed_convolution, window
from regions.network.loaders.torch_maxima import images, largest, largest_in_windows, spread
from regions.network.loaders.torch_tensors import source_dtype, to_float64

__all__ = ["TORCH_CURVED", "TORCH_HEADS", "TORCH_LARGEST", "TORCH_OPERATORS", "TORCH_RISING", "Call"]

# functions of single entries that nowhere fall, and what takes the largest of several: their order is free
TORCH_RISING = ("relu", "relu_", "leaky_relu", "leaky_relu_", "hardtanh", "relu6")
TORCH_LARGEST = ("max_pool1d", "max_pool2d", "max_pool3d", "amax")

TORCH_HEADS = (
    *("softmax", "log_softmax", "sigmoid", "tanh", "_softmax", "_log_softmax", "softplus"),
    *("argmax", "argmin"),
)
TORCH_CURVED = (
    *TORCH_HEADS,
    "gelu",
    "silu",
    "elu",
    "selu",
    "celu",
    "mish",
    "hardswish",
    "erf",
    "exp",
    "layer_norm",
)


class Call(NamedTuple):
    """One call in a program: the operator's name and arguments by name, values in their places."""

    kind: str
    where: str
    arguments: dict[str, Any]
    layering: Layering
    batch: int

    def get(self, name: str, default: Any = None) -> Any:
        """An argument, or what stands for None."""
        value = self.arguments.get(name)
        return default if value is None else value

    def floats(self, name: str) -> FloatArray | None:
        """An argument that is a tensor of stored numbers, or a number, exactly."""
        value = self.arguments.get(name)
        if value is None:
            return None
        if isinstance(value, AffineTensor):
            raise InvalidNetworkError(f"{self.where} has computed weights, not stored ones")
        if not hasattr(value, "detach"):
            return np.asarray(float(value))
        source_dtype(value, self.where)
        return to_float64(value)

    @property
    def x(self) -> AffineTensor:
        """The first argument, if it is an affine tensor."""
        value = next(iter(self.arguments.values()))
        if not isinstance(value, AffineTensor):
            raise InvalidNetworkError(f"{self.where} takes a constant where the computed value is expected")
        return value


def _computed(value: Any) -> bool:
    return isinstance(value, AffineTensor)


# ---------------------------------------------------------------- products


def _product(call: Call, x: Any, y: Any) -> AffineTensor:
    x, y = (value if _computed(value) else to_float64(value) for value in (x, y))
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
    if call.get("divisor_override"):
        raise InvalidNetworkError(f"{call.where} has divisor_override; supported is none")
    matrix, after = average(
        kernel,
        window(axes, spread(call.get("stride") or kernel, axes), spread(call.get("padding", 0), axes)),
        x.shape[1:],
        call.where,
        padding_counts=bool(call.get("count_include_pad", True)),
        ceil=bool(call.get("ceil_mode", False)),
    )
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
    if call.get("training", False) or mean is None or variance is None:
        raise InvalidNetworkError(f"{call.where} is in training mode; call model.eval() first")
    weight, bias = call.floats("weight"), call.floats("bias")
    scale, offset = 1.0 if weight is None else weight, 0.0 if bias is None else bias
    variance = variance + float(call.arguments["eps"])
    y = normalised(call.layering, call.x, scale, offset, mean, variance)
    return y if call.kind == "batch_norm" else [y]


# ---------------------------------------------------------------- arithmetic


def _constant(call: Call, value: Any) -> FloatArray:
    """The numbers of a constant; one that is no tensor has the type that PyTorch computes with."""
    if hasattr(value, "detach"):
        return to_float64(value)
    dtypes = (part.dtype for part in call.arguments.values() if isinstance(part, AffineTensor))
    return np.asarray(np.dtype(next(dtypes, "float64")).type(value), np.float64)


def _sum(call: Call, x: Any, y: Any, factor: float = 1.0) -> AffineTensor:
    """Return x + factor * y."""
    if _computed(y):
        y = call.layering.scaled(y, np.asarray(float(factor)))
        if _computed(x):
            return call.layering.added(x, y)
        x, y, factor = y, x, 1.0
    constant = _constant(call, y)
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
    if (_computed(x) and _computed(y)) or (dividing and (_computed(y) or call.get("rounding_mode"))):
        raise InvalidNetworkError(
            f"{call.where} multiplies two values that depend on the input, or divides by one; that is not "
            f"piecewise linear"
        )
    value, constant = (x, y) if _computed(x) else (y, x)
    numbers = _constant(call, constant)
    if dividing and not numbers.all():
        raise InvalidNetworkError(f"{call.where} divides by zero")
    numbers = 1.0 / numbers if dividing else numbers
    shape = np.broadcast_shapes(value.shape, numbers.shape)
    return call.layering.scaled(moves.expanded(value, shape), np.broadcast_to(numbers, shape))


def _negative(call: Call) -> Any:
    return call.layering.scaled(call.x, np.asarray(-1.0))


def _reduce(call: Call) -> Any:
    x, rank = call.x, len(call.x.shape)
    given = call.get("dim", [])
    axes = [given] if isinstance(given, int) else list(given)
    chosen = tuple(sorted({moves.axis_of(axis, rank) for axis in axes or range(rank)}))
    keep = bool(call.get("keepdim", False))
    return reduced(call.layering, x, chosen, keep=keep, mean=call.kind == "mean")


# ---------------------------------------------------------------- bends


def _relu(call: Call) -> Any:
    return bends.bent(call.layering, call.x)


def _leaky(call: Call) -> Any:
    x = call.x
    if "prelu" in call.kind:
        weight = call.floats("weight")
        if weight is None:
            raise InvalidNetworkError(f"{call.where} has no weight")
        # one slope for each channel, which is axis 1
        return bends.bent(
            call.layering, x, np.broadcast_to(weight.reshape(-1, *[1] * (x.index.ndim - 2)), x.shape)
        )
    return bends.bent(call.layering, x, _constant(call, call.get("negative_slope", 0.01)))


def _absolute(call: Call) -> Any:
    return bends.bent(call.layering, call.x, -1.0)


def _clamp(call: Call) -> Any:
    low, high = (call.arguments.get(name) for name in ("min", "max"))
    if call.kind.startswith("hardtanh"):
        low, high = (float(call.get(f"{end}_val", default)) for end, default in (("min", -1.0), ("max", 1.0)))
    elif call.kind.startswith("relu6"):
        low, high = 0.0, 6.0
    ends = [None if end is None else _constant(call, end) for end in (low, high)]
    if any(end is not None and end.size != 1 for end in ends):
        raise InvalidNetworkError(f"{call.where} clips to several values; supported is one for all")
    return bends.clipped(
        call.layering, call.x, *(None if end is None else float(end.ravel()[0]) for end in ends)
    )


def _max(call: Call) -> Any:
    return _maximum(call) if "other" in call.arguments else largest(call)


def _maximum(call: Call) -> Any:
    x, y = list(call.arguments.values())[:2]
    x, y = (x, y) if _computed(x) else (y, x)
    sign = -1.0 if call.kind.startswith("min") else 1.0
    return bends.maximum(call.layering, x, y if _computed(y) else _constant(call, y), sign)


# ---------------------------------------------------------------- moves


def _same(call: Call) -> Any:
    return call.x


def _dropout(call: Call) -> Any:
    if call.get("train", False) and call.get("p", 0.5):
        raise InvalidNetworkError(f"{call.where} is in training mode; call model.eval() first")
    return call.x


def _cast(call: Call) -> Any:
    dtype = str(call.get("dtype", "")).removeprefix("torch.") or call.x.dtype
    if dtype not in ("float32", "float64") or (call.x.dtype, dtype) == ("float64", "float32"):
        raise InvalidNetworkError(f"{call.where} rounds to {dtype}; supported are casts that lose nothing")
    return AffineTensor(call.x.rows, call.x.index, dtype)


def _reshape(call: Call) -> Any:
    target = call.get("size", call.get("shape"))
    return moves.reshaped(call.x, [int(size) for size in target], call.batch, zero_copies=False)


def _flatten(call: Call) -> Any:
    shape = call.x.shape
    first, last = (
        moves.axis_of(int(call.get(k, d)), len(shape)) for k, d in (("start_dim", 0), ("end_dim", -1))
    )
    sizes = (*shape[:first], prod(shape[first : last + 1]), *shape[last + 1 :])
    return moves.moved(call.x, lambda entries: entries.reshape(sizes))


def _permute(call: Call) -> Any:
    rank = len(call.x.shape)
    order = list(range(rank))
    if call.kind == "permute":
        order = [moves.axis_of(axis, rank) for axis in call.arguments["dims"]]
    elif call.kind == "transpose":
        a, b = (moves.axis_of(call.arguments[name], rank) for name in ("dim0", "dim1"))
        order[a], order[b] = b, a
    else:
        order = order[::-1]
    return moves.moved(call.x, lambda entries: np.transpose(entries, order))


def _squeeze(call: Call) -> Any:
    dim = call.get("dim")
    if call.kind == "unsqueeze":
        return moves.moved(call.x, lambda entries: np.expand_dims(entries, dim))
    if dim is None:
        return moves.squeezed(call.x, None)
    axes = [moves.axis_of(axis, len(call.x.shape)) for axis in ([dim] if isinstance(dim, int) else dim)]
    return moves.squeezed(call.x, [axis for axis in axes if call.x.shape[axis] == 1])


def _slice(call: Call) -> Any:
    start, end = call.get("start", 0), call.get("end", 2**62)
    return moves.sliced(call.x, [start], [end], [call.get("dim", 0)], [call.get("step", 1)])


def _select(call: Call) -> Any:
    index, axis = int(call.arguments["index"]), int(call.arguments["dim"])
    return moves.moved(call.x, lambda entries: np.take(entries, index, axis=axis))


def _split(call: Call) -> Any:
    axis = int(call.get("dim", 0))
    length = call.x.shape[axis]
    if call.kind == "chunk":
        share = -(-length // int(call.arguments["chunks"]))
    else:
        share = call.get("split_size", call.get("split_sizes"))
    sizes = (
        [min(share, length - at) for at in range(0, length, share)] if isinstance(share, int) else list(share)
    )
    return moves.split(call.x, axis, sizes)


def _cat(call: Call) -> Any:
    parts = [part if _computed(part) else _constant(call, part) for part in call.arguments["tensors"]]
    if call.kind == "stack":
        axis = call.get("dim", 0)
        parts = [moves.moved(part, lambda entries: np.expand_dims(entries, axis)) for part in parts]
    return moves.concatenated(call.layering, parts, int(call.get("dim", 0)))


def _expand(call: Call) -> Any:
    sizes, shape = list(call.arguments["size"]), call.x.shape
    if call.batch > 1 and sizes and sizes[0] == call.batch and shape[:1] == (1,):
        sizes[0] = 1
    kept = [1 if size == -1 else int(size) for size in sizes]
    return moves.expanded(call.x, kept)


def _pad(call: Call) -> Any:
    pad, rank = [int(size) for size in call.arguments["pad"]], len(call.x.shape)
    if call.get("mode", "constant") != "constant":
        raise InvalidNetworkError(
            f"{call.where} pads with mode {call.get('mode')!r}; supported are constants"
        )
    before, after = [0] * rank, [0] * rank
    # from the last axis on
    for k in range(len(pad) // 2):
        before[rank - 1 - k], after[rank - 1 - k] = pad[2 * k], pad[2 * k + 1]
    return moves.padded(call.layering, call.x, before, after, float(call.get("value", 0.0)))


def _size(call: Call) -> Any:
    return int(call.x.shape[int(call.arguments["dim"])])


def _item(call: Call) -> Any:
    values, k = list(call.arguments.values())[:2]
    return values[k]


Handler = Callable[[Call], Any]


def _all(names: Sequence[str], handler: Handler) -> dict[str, Handler]:
    return dict.fromkeys(names, handler)


TORCH_OPERATORS: dict[str, Handler] = {
    **_all(("linear",), _linear),
    **_all(("addmm",), _addmm),
    **_all(("mm", "bmm", "matmul"), _matmul),
    **_all(("conv1d", "conv2d", "conv3d", "convolution"), _conv),
    **_all(("conv_transpose1d", "conv_transpose2d", "conv_transpose3d"), _conv),
    **_all(("avg_pool1d", "avg_pool2d", "avg_pool3d"), _average),
    **_all(("adaptive_avg_pool1d", "adaptive_avg_pool2d", "adaptive_avg_pool3d"), _adaptive_average),
    **_all(("batch_norm", "_native_batch_norm_legit_no_training"), _batch_norm),
    **_all(("add", "add_", "sub", "sub_", "rsub"), _add),
    **_all(("mul", "mul_", "div", "div_"), _multiply),
    **_all(("neg",), _negative),
    **_all(("sum", "mean"), _reduce),
    **_all(("relu", "relu_"), _relu),
    **_all(("leaky_relu", "leaky_relu_", "prelu", "_prelu_kernel"), _leaky),
    **_all(("abs",), _absolute),
    **_all(("clamp", "clamp_", "clamp_min", "clamp_min_", "clamp_max", "clamp_max_"), _clamp),
    **_all(("hardtanh", "hardtanh_", "relu6", "relu6_"), _clamp),
    **_all(("maximum", "minimum"), _maximum),
    **_all(("max", "min"), _max),
    **_all(("amax", "amin"), largest),
    **_all([f"max_pool{k}d{more}" for k in (1, 2, 3) for more in ("", "_with_indices")], largest_in_windows),
    **_all(("clone", "detach", "detach_", "contiguous", "alias", "lift_fresh_copy"), _same),
    **_all(("dropout", "dropout_", "feature_dropout", "alpha_dropout"), _dropout),
    **_all(("to", "_to_copy"), _cast),
    **_all(("view", "reshape", "_unsafe_view"), _reshape),
    **_all(("flatten",), _flatten),
    **_all(("permute", "transpose", "t", "numpy_T"), _permute),
    **_all(("squeeze", "unsqueeze"), _squeeze),
    **_all(("slice",), _slice),
    **_all(("select",), _select),
    **_all(("split", "split_with_sizes", "chunk", "unsafe_split", "unsafe_chunk"), _split),
    **_all(("cat", "stack"), _cat),
    **_all(("expand",), _expand),
    **_all(("pad", "constant_pad_nd"), _pad),
    **_all(("sym_size",), _size),
    **_all(("getitem",), _item),
}
