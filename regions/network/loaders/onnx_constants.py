"""Operators of ONNX on constants alone: what exporters leave unfolded, above all sums with shapes.

A number computed in float32 is rounded to float32, as any runtime does: it is then the stored weight.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray

from regions.errors import InvalidNetworkError
from regions.network.loaders import moves
from regions.network.loaders.onnx_nodes import Operator
from regions.network.loaders.onnx_operators import MOVES

__all__ = ["CONSTANT_OPERATORS", "RUN_BY_ONNX", "computed_alone", "folded"]

Array = NDArray[Any]
# of TensorProto's numbers for types, those that shapes and weights have
TYPES = {1: "f4", 2: "u1", 3: "i1", 5: "i2", 6: "i4", 7: "i8", 9: "?", 11: "f8", 12: "u4", 13: "u8"}


# what gives no more numbers than it takes, and draws none
RUN_BY_ONNX = (
    *("Gemm", "DequantizeLinear", "Pow", "Log", "Exp", "Erf", "Sin", "Cos", "Tanh", "Sigmoid", "Softplus"),
    *("Softmax", "LogSoftmax", "LeakyRelu", "PRelu", "Elu", "Clip", "Sign", "Round", "And", "Or", "Xor"),
    *("GreaterOrEqual", "LessOrEqual", "Mod", "HardSigmoid", "ReduceL1", "ReduceL2", "ReduceSumSquare"),
    *("CumSum", "LpNormalization", "BatchNormalization", "LayerNormalization", "Sum", "Mean", "CastLike"),
)


def folded(node: Operator, arguments: Sequence[Any]) -> list[Any] | None:
    """The results of an operator on constants, None if it is not known here."""
    if node.kind in MOVES:
        return list(MOVES[node.kind](node, list(arguments)))
    if node.kind not in CONSTANT_OPERATORS:
        return None
    if node.kind in ELEMENTWISE and len(arguments) > 1:
        moves.check_shape(node.where, np.broadcast_shapes(*(np.shape(value) for value in arguments)))
    with np.errstate(all="ignore"):
        return [np.asarray(CONSTANT_OPERATORS[node.kind](node, *arguments))]


def computed_alone(onnx: Any, node: Any, arguments: Sequence[Any], opset: int) -> list[Any] | None:
    """The results of an operator of `RUN_BY_ONNX` on constants, by the onnx package; None of another one."""
    if node.domain not in ("", "ai.onnx") or node.op_type not in RUN_BY_ONNX:
        return None
    if node.op_type == "Gemm":  # the others' results are no larger than what they take
        moves.check_shape(node.op_type, [max(np.shape(x)) for x in arguments[:2]])
    given = {name: np.asarray(x) for name, x in zip(node.input, arguments, strict=True) if name}
    describe = onnx.helper.make_tensor_value_info
    inputs = [
        describe(name, onnx.helper.np_dtype_to_tensor_dtype(x.dtype), x.shape) for name, x in given.items()
    ]
    graph = onnx.helper.make_graph([node], "alone", inputs, [describe(name, 0, None) for name in node.output])
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", opset)])
    try:
        reference = import_module("onnx.reference").ReferenceEvaluator(model)
        results: list[Any] = reference.run(None, given)
    except Exception:
        return None
    return results


def _constant(node: Operator) -> Array:
    ((name, value),) = node.attributes.items()
    if name not in ("value", "value_float", "value_floats", "value_int", "value_ints"):
        raise InvalidNetworkError(f"{node.where} holds a {name}, which is not supported")
    return np.asarray(value, np.float32 if name.startswith("value_float") else None)


def _filled(node: Operator, shape: Array) -> Array:
    sizes = [int(size) for size in shape]
    moves.check_shape(node.where, sizes)
    return np.full(sizes, np.ravel(node.get("value", np.zeros(1, np.float32)))[0])


def _cast(node: Operator, value: Array) -> Array:
    number = int(node.attributes["to"])
    if number not in TYPES:
        raise InvalidNetworkError(f"{node.where} casts to ONNX type number {number}, which is not supported")
    return value.astype(TYPES[number])


def _divided(node: Operator, x: Array, y: Array) -> Array:
    # integers are divided towards zero
    return x / y if x.dtype.kind == "f" else np.trunc(x / y).astype(x.dtype)


def _range(node: Operator, start: Array, end: Array, step: Array) -> Array:
    count = max(int(np.ceil((end - start) / step)), 0)
    moves.check_shape(node.where, [count])
    return np.asarray(start + np.arange(count) * step, start.dtype)


def _product(node: Operator, x: Array, y: Array) -> Array:
    moves.check_shape(node.where, (*x.shape[:-1], *y.shape[-1:]))
    return np.matmul(x, y)


def _reduced(function: Callable[..., Any]) -> Callable[..., Array]:
    def reduce(node: Operator, x: Array, *axes: Array) -> Array:
        chosen = node.integers("axes", [x, *axes], 1)
        return np.asarray(
            function(x, axis=tuple(chosen) if chosen else None, keepdims=bool(node.get("keepdims", 1)))
        ).astype(x.dtype)

    return reduce


def _plain(function: Callable[..., Any]) -> Callable[..., Array]:
    return lambda node, *values: np.asarray(function(*values))


ELEMENTWISE: dict[str, Callable[..., Array]] = {
    "Add": _plain(np.add),
    "Sub": _plain(np.subtract),
    "Mul": _plain(np.multiply),
    "Div": _divided,
    "Equal": _plain(np.equal),
    "Less": _plain(np.less),
    "Greater": _plain(np.greater),
    "Where": _plain(np.where),
    "Max": _plain(lambda *values: np.maximum.reduce(np.broadcast_arrays(*values))),
    "Min": _plain(lambda *values: np.minimum.reduce(np.broadcast_arrays(*values))),
    "Neg": _plain(np.negative),
    "Abs": _plain(np.abs),
    "Sqrt": _plain(np.sqrt),
    "Reciprocal": _plain(np.reciprocal),
    "Exp": _plain(np.exp),
    "Floor": _plain(np.floor),
    "Ceil": _plain(np.ceil),
    "Not": _plain(np.logical_not),
    "Relu": _plain(lambda value: np.maximum(value, 0)),
}
CONSTANT_OPERATORS: dict[str, Callable[..., Array]] = {
    "Constant": _constant,
    "ConstantOfShape": _filled,
    "Cast": _cast,
    "Range": _range,
    "MatMul": _product,
    "Size": _plain(np.size),
    "ReduceSum": _reduced(np.sum),
    "ReduceProd": _reduced(np.prod),
    "ReduceMean": _reduced(np.mean),
    "ReduceMax": _reduced(np.max),
    "ReduceMin": _reduced(np.min),
    **ELEMENTWISE,
}
