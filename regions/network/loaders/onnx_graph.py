"""ONNX graphs that are affine between one layer of units and the next.

Shapes are followed for a batch of one. Each operator runs on affine tensors; that they compute what the
model computes is for `onnx_runtime` and `checks` to find out.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from functools import partial
from math import prod
from pathlib import Path
from typing import Any

from regions.errors import InvalidInputError, InvalidNetworkError
from regions.network.loaders.affine_tensors import AffineTensor, Layering
from regions.network.loaders.checks import check_against_source, optional_import
from regions.network.loaders.graph_ends import chosen_output, fixed_value, free_input
from regions.network.loaders.graph_steps import Bend, Step, maxima_first, needed_steps, run_steps
from regions.network.loaders.onnx_constants import computed_alone, folded
from regions.network.loaders.onnx_files import (
    array_of,
    attributes_of,
    check_model,
    float_type,
    opset_of,
    read_model,
    sample_shape,
)
from regions.network.loaders.onnx_nodes import Operator
from regions.network.loaders.onnx_operators import HEADS, LARGEST, OPERATORS, RISING
from regions.network.loaders.onnx_refusals import CURVED, JUMPING
from regions.network.loaders.onnx_runtime import source_forward
from regions.network.relu_network import Network

__all__ = ["from_onnx"]

# may stand between the last nonlinear function and the output
PASSIVE = ("Identity", "Cast", "Dropout", "Flatten", "Reshape", "Squeeze", "Unsqueeze")
BETWEEN_HEADS = PASSIVE[:3]  # a softmax of rows may change the order of what is reshaped behind it


def from_onnx(
    model: Any,
    *,
    name: str = "",
    output: str | None = None,
    inputs: Mapping[str, Any] | None = None,
) -> Network:
    """Network of an ONNX model whose graph is affine between one layer of units and the next.

    Affine operators become the matrices that they are, without rounding a weight: what cannot be merged
    exactly becomes a layer of its own. Three steps round a weight once, and it is then the stored one:
    division by c multiplies by the float64 nearest to 1 / c, a mean of n values by the one nearest to 1 / n,
    and batch normalisation is merged into the layer before it. Constants computed from constants are
    computed in their own type.

    A last Softmax, LogSoftmax, Sigmoid, Tanh or Softplus is monotone and read up to, and so is a last ArgMax,
    ArgMin or Hardmax, which depends on the order of the outputs alone; the name says so. The
    check uses onnxruntime if it is installed and onnx's reference evaluator if not. A batch is one input,
    flattened in row-major order.

    Parameters
    ----------
    model : path of a `.onnx` file, or onnx.ModelProto
    name : str, for reports; default the file's name or the graph's
    output : str, name of the output to read where there are several; default the first
    inputs : values of all inputs but one by their names, where there are several: arrays of one sample, or
        numbers

    Returns
    -------
    network : Network

    Raises
    ------
    InvalidNetworkError : if the model is malformed, an operator is not supported, or the layers do not
        compute what the model computes
    BudgetExceededError : if a layer would have more than 2**27 weights
    InvalidInputError : if there is no such file, input or output, onnx is not installed, or there are several
        inputs and it is not said which

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
        model = read_model(onnx, Path(model))
    if not isinstance(model, onnx.ModelProto):
        raise InvalidInputError(
            f"cannot read a {type(model).__module__}.{type(model).__name__}; expected is the path of a .onnx "
            f"file or an onnx.ModelProto"
        )
    check_model(onnx, model)
    model = _with_values(onnx, model, inputs or {})
    graph = _GraphReader(onnx, model, output)
    name = name or model.graph.name
    network = graph.network(f"{name}{graph.remark}")
    forward = source_forward(onnx, model, graph.needed, graph.input, graph.wanted)
    return check_against_source(network, forward, f"the ONNX model {name}", graph.dtype)


class _GraphReader:
    """What one model says: its input, the output to read, and the operators that lead to it."""

    def __init__(self, onnx: Any, model: Any, output: str | None) -> None:
        self._onnx, graph = onnx, model.graph
        self.opset = opset_of(model)
        self.constants = {tensor.name: array_of(onnx, tensor) for tensor in graph.initializer}
        inputs = [value for value in graph.input if value.name not in self.constants]
        free = free_input("the ONNX model", [value.name for value in inputs], {})
        self.input = next(value for value in inputs if value.name == free)
        self.dtype = float_type(inputs[0].type.tensor_type.elem_type, "the input")
        self.shape, self.batch = sample_shape(inputs[0])
        names = [value.name for value in graph.output]
        self.wanted, self.remark = chosen_output("the ONNX model", names, output)
        self.wanted, head = _before_head(graph, self.wanted)
        self.remark += f" (before {head})" if head else ""
        self.values: dict[str, Any] = {}
        self.layering = Layering(prod(self.shape), self.values)
        steps = [self._step(node) for node in graph.node]
        needed = needed_steps(steps, [self.wanted])
        self.needed = [graph.node[k] for k in needed]
        self._steps, moved = maxima_first([steps[k] for k in needed], self.wanted)
        self.remark += " (maxima taken before what rises)" if moved else ""

    def network(self, name: str) -> Network:
        """Run the operators, and return the network of the output."""
        used = {self.wanted, *(entry for step in self._steps for entry in step.inputs)}
        self.values.update({key: value for key, value in self.constants.items() if key in used})
        if self.input.name in used:
            self.values[self.input.name] = self.layering.inputs(self.shape, self.dtype)
        output = run_steps(self._steps, self.values, self.layering, self.wanted)
        if not isinstance(output, AffineTensor):
            raise InvalidNetworkError(f"the output {self.wanted!r} does not depend on the input")
        self.values.clear()
        return self.layering.network(output, name)

    def _step(self, node: Any) -> Step:
        where = f"{node.op_type} ({node.name or ', '.join(node.output)})"
        role = "maximum" if node.op_type in LARGEST and len(node.output) == 1 else ""
        if node.op_type in RISING and not any(one.name == "alpha" and one.f < 0.0 for one in node.attribute):
            role = "rising"
        return Step(where, list(node.input), list(node.output), partial(self._run, node, where), role)

    def _run(self, node: Any, where: str, arguments: list[Any]) -> Sequence[Any] | Bend:
        kind = node.op_type if node.domain in ("", "ai.onnx") else f"{node.domain}.{node.op_type}"
        attributes = attributes_of(self._onnx, node)
        operator = Operator(kind, where, attributes, self.opset, len(node.output), self.layering, self.batch)
        results: Sequence[Any] | Bend | None = None
        if not any(isinstance(value, AffineTensor) for value in arguments):
            results = folded(operator, arguments)
            results = computed_alone(self._onnx, node, arguments, self.opset) if results is None else results
        elif kind in OPERATORS:
            results = OPERATORS[kind](operator, arguments)
        if results is None:
            reason = "is not piecewise linear" if kind in (*HEADS, *CURVED) else "is not supported"
            reason = "jumps, so it is not continuous" if kind in JUMPING else reason
            raise InvalidNetworkError(f"operator {where} {reason}; supported are {', '.join(OPERATORS)}")
        return results


def _with_values(onnx: Any, model: Any, values: Mapping[str, Any]) -> Any:
    """Return the model with constants in the place of the inputs that have values."""
    if not values:
        return model
    stored = {tensor.name for tensor in model.graph.initializer}
    inputs = {value.name: value for value in model.graph.input if value.name not in stored}
    free_input("the ONNX model", list(inputs), values)
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    for name, value in values.items():
        dims = [int(dim.dim_value) for dim in inputs[name].type.tensor_type.shape.dim]
        shape = tuple(max(size, 1) if axis == 0 else size for axis, size in enumerate(dims))
        dtype = onnx.helper.tensor_dtype_to_np_dtype(inputs[name].type.tensor_type.elem_type)
        array = fixed_value(name, value, shape, dtype)
        copy.graph.initializer.append(onnx.numpy_helper.from_array(array, name))
    kept = [value for value in copy.graph.input if value.name not in values]
    del copy.graph.input[:]
    copy.graph.input.extend(kept)
    return copy


def _before_head(graph: Any, wanted: str) -> tuple[str, str]:
    """What the last nonlinear functions take, and their names in order, if there are monotone ones."""
    producer = {name: node for node in graph.node for name in node.output}
    stored = {tensor.name for tensor in graph.initializer}
    numbers = {tensor.name: tensor for tensor in graph.initializer if prod(tensor.dims) == 1}
    heads: list[str] = []
    passed: tuple[str, ...] = PASSIVE
    seen, current = set(), wanted
    while current in producer and current not in seen and producer[current].input:
        seen.add(current)
        node = producer[current]
        kind, own = str(node.op_type), node.domain in ("", "ai.onnx")
        current = node.input[0]
        if kind in HEADS and own:
            heads.insert(0, kind)
            wanted, passed = str(current), BETWEEN_HEADS
        elif kind == "ArrayFeatureExtractor" and node.input[0] in stored:
            current = node.input[1]  # names of classes, by their numbers
        elif passed == PASSIVE and own and _keeps_order(node, producer, numbers):
            pass  # it stands behind a head, or else in the network
        elif kind == "Concat" and (share := _share_of_two(node, producer)):
            current = share
        elif kind not in (*passed, "ZipMap"):
            break
    return wanted, ", ".join(heads)


def _keeps_order(node: Any, producer: Mapping[str, Any], numbers: Mapping[str, Any]) -> bool:
    """Tell whether a node multiplies by one number above 0, or adds one."""
    import onnx

    if node.op_type not in ("Mul", "Div", "Add", "Sub"):
        return False
    tensor, made = numbers.get(node.input[1]), producer.get(node.input[1])
    if made is not None and made.op_type == "Constant":
        tensor = next(
            (one.t for one in made.attribute if one.name == "value" and prod(one.t.dims) == 1), None
        )
    if tensor is None:
        return False
    number = float(array_of(onnx, tensor).ravel()[0])
    return node.op_type in ("Add", "Sub") or number > 0.0


def _share_of_two(node: Any, producer: Mapping[str, Any]) -> str | None:
    """Return p where a node joins 1 - p and p, as scikit-learn's exporter writes the odds of two classes."""
    if len(node.input) != 2 or node.input[0] not in producer:
        return None
    rest, share = producer[node.input[0]], str(node.input[1])
    return share if rest.op_type == "Sub" and rest.input[1] == share else None
