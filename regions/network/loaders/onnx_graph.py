"""ONNX graphs that are plain chains of affine operators and ReLU.

Shapes are followed for a batch of one: flattening and reshaping then never move a number, and all
that remains is how each operator acts on the flat vector.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from regions.errors import InvalidInputError, InvalidNetworkError
from regions.network.loaders.chain import Chain
from regions.network.loaders.checks import FloatArray, check_against_source, optional_import
from regions.network.relu_network import Network

__all__ = ["from_onnx"]

SUPPORTED = (
    "Gemm, MatMul, Add, Sub, Mul, Div (each by constants), Relu, Flatten, Reshape, Identity, Constant, "
    "Dropout for inference, and Cast that loses nothing"
)
FLOATS = {1: "float32", 11: "float64"}  # TensorProto's numbers for the types supported here


def from_onnx(model: Any, *, name: str = "") -> Network:
    """Network of an ONNX model: a chain of Gemm, MatMul, Relu and arithmetic with constants.

    Adding or subtracting a constant and multiplying by one are kept as layers of their own where
    merging them would round. Division by c is a multiplication by the float64 nearest to 1 / c, exact
    for powers of two: the only step that may round. The check uses onnxruntime if it is installed and
    onnx's reference evaluator if not. A batch is one input, flattened in row-major order.

    Parameters
    ----------
    model : path of a `.onnx` file, or onnx.ModelProto
    name : str, for reports; default the file's name or the graph's

    Returns
    -------
    network : Network

    Raises
    ------
    InvalidNetworkError : if an operator is not supported, the graph branches, or the layers do not
        compute what the model computes
    InvalidInputError : if there is no such file or onnx is not installed

    Examples
    --------
    >>> import numpy as np, onnx.helper as helper
    >>> from onnx.numpy_helper import from_array
    >>> nodes = [helper.make_node("Gemm", ["x", "W", "b"], ["z"]), helper.make_node("Relu", ["z"], ["y"])]
    >>> ends = [helper.make_tensor_value_info(end, 1, ["batch", 2]) for end in "xy"]
    >>> arrays = [from_array(np.eye(2, dtype="f4"), "W"), from_array(np.ones(2, dtype="f4"), "b")]
    >>> graph = helper.make_graph(nodes, "shifted", ends[:1], ends[1:], arrays)
    >>> model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    >>> from_onnx(model).forward([-3.0, 4.0])
    array([0., 5.])
    """
    onnx = optional_import("onnx", "onnx", "reading an ONNX model")
    if isinstance(model, str | os.PathLike):
        name = name or Path(model).stem
        model = _read_model(onnx, Path(model))
    if not isinstance(model, onnx.ModelProto):
        raise InvalidInputError(
            f"cannot read a {type(model).__module__}.{type(model).__name__}; expected is the path of a .onnx "
            f"file or an onnx.ModelProto"
        )
    graph = _GraphReader(onnx, model.graph)
    name = name or model.graph.name
    forward = _source_forward(onnx, model, graph)
    return check_against_source(graph.chain.network(name), forward, f"the ONNX model {name}", graph.dtype)


def _read_model(onnx: Any, file: Path) -> Any:
    if not file.is_file():
        raise InvalidInputError(f"no network file at {str(file)!r}")
    try:
        model = onnx.load(file)
    except Exception as error:
        raise InvalidNetworkError(
            f"onnx cannot read {str(file)!r} ({type(error).__name__}: {error})"
        ) from error
    if not model.graph.node:
        raise InvalidNetworkError(f"{str(file)!r} holds no ONNX graph, or an empty one")
    return model


class _GraphReader:
    """Walks the nodes once; holds the chain so far and the shape of its value for a batch of one."""

    def __init__(self, onnx: Any, graph: Any) -> None:
        self._onnx = onnx
        self._constants: dict[str, NDArray[Any]] = {
            tensor.name: np.asarray(onnx.numpy_helper.to_array(tensor)) for tensor in graph.initializer
        }
        inputs = [value for value in graph.input if value.name not in self._constants]
        if len(inputs) != 1 or len(graph.output) != 1:
            raise InvalidNetworkError(
                f"the ONNX model has {len(inputs)} inputs and {len(graph.output)} outputs; supported is one "
                f"of each"
            )
        self.input_name: str = inputs[0].name
        self.input_shape = self._shape = _input_shape(inputs[0])
        self.dtype = self._type = _float_type(inputs[0].type.tensor_type.elem_type, "the input")
        self.chain = Chain(prod(self._shape))
        self._current = self.input_name
        for node in graph.node:
            self._read(node)
        if graph.output[0].name != self._current:
            raise InvalidNetworkError(
                f"the output {graph.output[0].name!r} is not what the last operator gives "
                f"({self._current!r}); only plain chains are supported"
            )

    def _read(self, node: Any) -> None:
        where = f"{node.op_type} ({node.name or node.output[0]})"
        readers: dict[str, Callable[[Any, str], None]] = {
            "Gemm": self._gemm,
            "MatMul": self._matmul,
            "Add": self._arithmetic,
            "Sub": self._arithmetic,
            "Mul": self._arithmetic,
            "Div": self._arithmetic,
            "Relu": lambda node, where: self.chain.relu(),
            "Flatten": self._flatten,
            "Reshape": self._reshape,
            "Identity": lambda node, where: None,
            "Dropout": self._dropout,
            "Cast": self._cast,
        }
        if self._constant_node(node, where):
            return
        if node.op_type not in readers or node.domain not in ("", "ai.onnx"):
            raise InvalidNetworkError(f"unsupported operator {where}; supported are {SUPPORTED}")
        data = [name for name in node.input if name and name not in self._constants]
        if data != [self._current]:
            raise InvalidNetworkError(
                f"{where} takes {', '.join(data) or 'no computed value'}; only plain chains are supported, "
                f"where each operator takes the one value before it ({self._current}) and constants"
            )
        readers[node.op_type](node, where)
        self._current = node.output[0]

    def _constant_node(self, node: Any, where: str) -> bool:
        """Keep the value of a node that only moves constants around; whether it was one."""
        if node.op_type == "Constant":
            attribute = node.attribute[0]
            value = self._onnx.helper.get_attribute_value(attribute)
            if attribute.name == "value":
                value = self._onnx.numpy_helper.to_array(value)
            elif attribute.name not in ("value_float", "value_floats", "value_int", "value_ints"):
                raise InvalidNetworkError(
                    f"unsupported {attribute.name} in {where}; supported are {SUPPORTED}"
                )
            number = np.float32 if attribute.name.startswith("value_float") else None
            self._constants[node.output[0]] = np.asarray(value, dtype=number)
            return True
        if node.op_type not in ("Identity", "Transpose") or node.input[0] not in self._constants:
            return False
        value = self._constants[node.input[0]]
        if node.op_type == "Transpose":
            value = np.transpose(value, self._attributes(node).get("perm"))
        self._constants[node.output[0]] = value
        return True

    def _attributes(self, node: Any) -> dict[str, Any]:
        return {item.name: self._onnx.helper.get_attribute_value(item) for item in node.attribute}

    def _constant(self, name: str, where: str) -> FloatArray:
        value = self._constants[name]
        if value.dtype.name not in FLOATS.values():
            raise InvalidNetworkError(
                f"the constant {name!r} of {where} is {value.dtype}; supported are float32 and float64"
            )
        return value.astype(np.float64)

    def _gemm(self, node: Any, where: str) -> None:
        given = self._attributes(node)
        shape = self._shape[::-1] if given.get("transA", 0) else self._shape
        if node.input[0] != self._current or len(shape) != 2 or shape[0] != 1:
            raise InvalidNetworkError(
                f"{where} multiplies by a matrix of shape {self._shape} for one sample; supported is a row "
                f"(1, n) times a constant matrix"
            )
        weight = self._constant(node.input[1], where)
        weight = weight if given.get("transB", 0) else weight.T
        bias = np.zeros(weight.shape[0])
        if len(node.input) > 2 and node.input[2]:
            bias = _broadcast(self._constant(node.input[2], where), (1, weight.shape[0]), where)
        self.chain.combine(float(given.get("alpha", 1.0)), weight, float(given.get("beta", 1.0)), bias)
        self._shape = (1, weight.shape[0])

    def _matmul(self, node: Any, where: str) -> None:
        from_left = node.input[1] == self._current
        matrix = self._constant(node.input[0 if from_left else 1], where)
        # x @ M with x a row, or M @ x with x a vector or a column
        column = from_left and len(self._shape) > 1
        n = self._shape[-2 if column else -1]
        if matrix.ndim != 2 or n != prod(self._shape):
            raise InvalidNetworkError(
                f"{where} multiplies a value of shape {self._shape} for one sample by a constant of shape "
                f"{matrix.shape}; supported is a vector times a matrix, so flatten the value before"
            )
        weight = matrix if from_left else matrix.T
        self.chain.affine(weight)
        out = weight.shape[0]
        self._shape = (*self._shape[:-2], out, 1) if column else (*self._shape[:-1], out)

    def _arithmetic(self, node: Any, where: str) -> None:
        constant_first = node.input[1] == self._current
        constant = self._constant(node.input[0 if constant_first else 1], where)
        self._shape, constant = self._broadcast_with_value(constant, where)
        match node.op_type:
            case "Add":
                self.chain.shift(constant)
            case "Sub" if constant_first:
                self.chain.scale(np.full(constant.size, -1.0))
                self.chain.shift(constant)
            case "Sub":
                self.chain.shift(0.0 - constant)  # not -constant, which makes -0.0
            case "Mul":
                self.chain.scale(constant)
            case _ if constant_first or not constant.all():
                raise InvalidNetworkError(
                    f"{where} divides by the value or by zero; supported are {SUPPORTED}"
                )
            case _:
                self.chain.scale(1.0 / constant)

    def _broadcast_with_value(self, constant: FloatArray, where: str) -> tuple[tuple[int, ...], FloatArray]:
        try:
            shape = np.broadcast_shapes(self._shape, constant.shape)
        except ValueError:
            shape = ()
        if prod(shape) != prod(self._shape) or not shape:
            raise InvalidNetworkError(
                f"{where} joins a value of shape {self._shape} for one sample with a constant of shape "
                f"{constant.shape}, which does not broadcast to the value's shape"
            )
        return shape, _broadcast(constant, shape, where)

    def _flatten(self, node: Any, where: str) -> None:
        axis = self._attributes(node).get("axis", 1)
        self._shape = (prod(self._shape[:axis]), prod(self._shape[axis:]))

    def _reshape(self, node: Any, where: str) -> None:
        if node.input[0] != self._current:
            raise InvalidNetworkError(f"{where} has a computed shape; supported is a constant one")
        target = [int(size) for size in self._constants[node.input[1]]]
        if not self._attributes(node).get("allowzero", 0):
            target = [
                self._shape[k] if size == 0 and k < len(self._shape) else size
                for k, size in enumerate(target)
            ]
        if -1 in target:
            known = prod(size for size in target if size != -1)
            target = [prod(self._shape) // max(known, 1) if size == -1 else size for size in target]
        if prod(target) != prod(self._shape):
            raise InvalidNetworkError(
                f"{where} turns shape {self._shape} for one sample into {tuple(target)}; the batch must stay "
                f"an axis of its own"
            )
        self._shape = tuple(target)

    def _dropout(self, node: Any, where: str) -> None:
        training = len(node.input) > 2 and node.input[2] and bool(self._constants[node.input[2]].any())
        if training:
            raise InvalidNetworkError(f"{where} is in training mode; export the model for inference")

    def _cast(self, node: Any, where: str) -> None:
        target = _float_type(int(self._attributes(node)["to"]), where)
        if (self._type, target) == ("float64", "float32"):
            raise InvalidNetworkError(f"{where} rounds float64 to float32; supported are {SUPPORTED}")
        self._type = target


def _input_shape(value: Any) -> tuple[int, ...]:
    """Shape of the input for a batch of one: only a first axis may be of unknown size."""
    dims = [int(dim.dim_value) for dim in value.type.tensor_type.shape.dim]
    shape = tuple(dims) if len(dims) == 1 else (1, *dims[1:])
    if not dims or min(shape) < 1 or (len(dims) > 1 and dims[0] > 1):
        raise InvalidNetworkError(
            f"the ONNX model's input {value.name!r} has shape {tuple(dims)} (0 or less: unknown); "
            f"expected is a batch of one or of any size, and fixed sizes after it; export the model that way"
        )
    return shape


def _float_type(number: int, where: str) -> str:
    if number not in FLOATS:
        raise InvalidNetworkError(
            f"{where} is of ONNX type number {number}; supported are float32 (1) and float64 (11)"
        )
    return FLOATS[number]


def _broadcast(constant: FloatArray, shape: tuple[int, ...], where: str) -> FloatArray:
    try:
        return np.array(np.broadcast_to(constant, shape), dtype=np.float64).ravel()
    except ValueError as error:
        raise InvalidNetworkError(
            f"{where}: a constant of shape {constant.shape} does not broadcast to {shape}"
        ) from error


def _source_forward(onnx: Any, model: Any, graph: _GraphReader) -> Callable[[FloatArray], NDArray[Any]]:
    """The model's own forward pass, one input at a time."""
    try:
        runtime = optional_import("onnxruntime", "onnx", "running an ONNX model")
        options = runtime.SessionOptions()
        options.log_severity_level = 4
        session = runtime.InferenceSession(model.SerializeToString(), options, ["CPUExecutionProvider"])
    except Exception:
        # not installed, or older than the model: onnx itself brings an evaluator, only slower
        session = optional_import("onnx.reference", "onnx", "checking an ONNX model").ReferenceEvaluator(
            model
        )

    def forward(x: FloatArray) -> NDArray[Any]:
        inputs = (row.reshape(graph.input_shape).astype(graph.dtype) for row in x)
        return np.stack([np.ravel(session.run(None, {graph.input_name: row})[0]) for row in inputs])

    return forward
