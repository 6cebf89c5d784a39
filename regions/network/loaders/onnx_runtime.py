"""The forward pass of an ONNX model by other people's programs, to check against.

Only the operators that lead to the wanted value run, so nothing else in a file does.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import numpy as np
from numpy.typing import NDArray

from regions.errors import InvalidNetworkError
from regions.network.loaders.checks import FloatArray, optional_import
from regions.network.loaders.onnx_files import float_type, opset_of, sample_shape

__all__ = ["source_forward"]

# releases of the operators before this one are written in it before they run
OLDEST_THAT_RUNS = 7
MODERN = 13


def source_forward(
    onnx: Any, model: Any, nodes: Sequence[Any], given: Any, wanted: str
) -> Callable[[FloatArray], NDArray[Any]]:
    """The model's own forward pass from its input to a value.

    Parameters
    ----------
    onnx : the module
    model : onnx.ModelProto
    nodes : the operators that lead to the value
    given : the ValueInfoProto of the input
    wanted : name of the value

    Returns
    -------
    forward : (N, input_dim) -> (N, number of values), one sample at a time unless the batch is fixed
    """
    shape, batch = sample_shape(given)
    dtype = float_type(given.type.tensor_type.elem_type, "the input")
    session = _session(onnx, _extract(onnx, model, nodes, given, wanted))

    def forward(x: FloatArray) -> NDArray[Any]:
        outputs = []
        for start in range(0, len(x), batch):
            rows = x[np.arange(start, start + batch) % len(x)].astype(dtype)
            whole = rows.reshape(batch, *shape[1:]) if len(shape) > 1 else rows.reshape(shape)
            value = np.asarray(session.run(None, {given.name: whole})[0])
            outputs.append(value.reshape(batch, -1))
        return np.concatenate(outputs)[: len(x)]

    return forward


def _extract(onnx: Any, model: Any, nodes: Sequence[Any], given: Any, wanted: str) -> Any:
    """The part of the model that leads to the wanted value."""
    used = {name for node in nodes for name in node.input}
    part = onnx.ModelProto()
    part.CopyFrom(model)
    part.ir_version = max(part.ir_version, 4)  # before, initializers had to be inputs too
    del part.graph.node[:], part.graph.output[:], part.graph.input[:], part.graph.initializer[:]
    del part.graph.value_info[:]
    part.graph.node.extend(nodes)
    for node in part.graph.node:
        if node.op_type == "Dropout" and node.domain in ("", "ai.onnx"):
            # known to be in inference mode, and old runtimes and old models disagree about its inputs
            identity = onnx.helper.make_node("Identity", node.input[:1], node.output[:1], name=node.name)
            node.CopyFrom(identity)
    part.graph.input.append(given)
    part.graph.initializer.extend(tensor for tensor in model.graph.initializer if tensor.name in used)
    element = given.type.tensor_type.elem_type
    part.graph.output.append(onnx.helper.make_tensor_value_info(wanted, element, None))
    return part


def _session(onnx: Any, model: Any) -> Any:
    """Something with the method `run` of an onnxruntime session."""
    opset = opset_of(model)
    try:
        optional_import("onnx.version_converter", "onnx", "running an ONNX model")
        if opset < OLDEST_THAT_RUNS:
            model = onnx.version_converter.convert_version(model, MODERN)
        with suppress(Exception):
            runtime = optional_import("onnxruntime", "onnx", "running an ONNX model")
            options = runtime.SessionOptions()
            options.log_severity_level = 4
            options.graph_optimization_level = runtime.GraphOptimizationLevel.ORT_DISABLE_ALL
            return runtime.InferenceSession(model.SerializeToString(), options, ["CPUExecutionProvider"])
        # not installed, or older than the model: onnx itself brings an evaluator, only slower, which takes
        # batch normalisation before version 15 for training
        with suppress(Exception):
            model = onnx.version_converter.convert_version(model, 15) if opset < 15 else model
        reference = optional_import("onnx.reference", "onnx", "checking an ONNX model")
        return reference.ReferenceEvaluator(model)
    except Exception as error:
        raise InvalidNetworkError(
            f"no program at hand can run this ONNX model (version {opset} of the operators), so that it "
            f"cannot be checked: {error}"
        ) from error
