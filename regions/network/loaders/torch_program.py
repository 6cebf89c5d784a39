"""Programs exported by `torch.export`: a graph of ATen operators, accepted if it is a plain chain."""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from regions.errors import InvalidNetworkError
from regions.network.loaders.chain import Chain
from regions.network.loaders.checks import FloatArray
from regions.network.loaders.convolutions import average, convolution, window
from regions.network.loaders.torch_tensors import linear_arrays, pair, source_dtype

SUPPORTED_OPERATORS = (
    *("linear", "conv2d", "avg_pool2d", "relu", "relu_"),
    *("dropout", "flatten", "view", "reshape", "clone", "detach"),
)


def lower_program(program: Any) -> tuple[Chain, str]:
    """The chain that an exported program computes, and the type that it computes in."""
    tensors = _stored_tensors(program)
    current, shape = _user_input(program)
    chain = Chain(prod(shape[1:]))
    dtype = ""
    for node in (node for node in program.graph.nodes if node.op == "call_function"):
        operator = _operator_name(node)
        if operator not in SUPPORTED_OPERATORS:
            raise InvalidNetworkError(
                f"unsupported operator {operator} ({node.name}); "
                f"supported are {', '.join(SUPPORTED_OPERATORS)}"
            )
        if getattr(node.args[0], "name", None) != current:
            raise InvalidNetworkError(
                f"operator {operator} ({node.name}) does not take the output of the operator before it; "
                f"only plain chains are supported"
            )
        if operator in ("linear", "conv2d"):
            weight, bias = (*node.args[1:3], None)[:2]
            missing = [arg.name for arg in (weight, bias) if arg is not None and arg.name not in tensors]
            if missing:
                raise InvalidNetworkError(f"{node.name} has computed weights ({missing[0]}), not stored ones")
            stored = tensors[weight.name]
            dtype = source_dtype(stored, node.name)
            arrays = linear_arrays(stored, bias and tensors[bias.name], node.name)
            chain.affine(*(_convolution(node, *arrays) if operator == "conv2d" else arrays))
        elif operator == "avg_pool2d":
            chain.affine(_average(node))
        elif operator.startswith("relu"):
            chain.relu()
        elif operator == "dropout" and node.args[2]:
            raise InvalidNetworkError(
                f"dropout ({node.name}) is in training mode; call model.eval() before exporting"
            )
        current = node.name
    if not dtype:
        raise InvalidNetworkError("the exported PyTorch program has no linear operator")
    return chain, dtype


def _image_shape(node: Any) -> tuple[int, ...]:
    """Shape of one input of an operator."""
    return tuple(int(size) for size in node.args[0].meta["val"].shape[1:])


def _convolution(
    node: Any, weight: FloatArray, bias: FloatArray | None
) -> tuple[FloatArray, FloatArray | None]:
    """Matrix and bias of a convolution."""
    given = list(node.args[3:7])
    stride, padding, dilation, groups = given + [1, 0, 1, 1][len(given) :]
    if isinstance(padding, str):
        raise InvalidNetworkError(f"{node.name} pads with {padding!r}; supported are numbers")
    moving = window(2, pair(stride), pair(padding), pair(dilation))
    matrix, after = convolution(weight, moving, int(groups), _image_shape(node), node.name)
    return matrix, None if bias is None else np.repeat(bias, prod(after[1:]))


def _average(node: Any) -> FloatArray:
    """Matrix of an average pooling."""
    given = list(node.args[1:7])
    given += [(), (), 0, False, True, None][len(given) :]
    kernel, stride, padding, ceil_mode, counts_padding, divisor = given
    if divisor:
        raise InvalidNetworkError(f"{node.name} has divisor_override; supported is none")
    moving = window(2, pair(stride or kernel), pair(padding))
    matrix, _ = average(
        pair(kernel),
        moving,
        _image_shape(node),
        node.name,
        padding_counts=bool(counts_padding),
        ceil=bool(ceil_mode),
    )
    return matrix


def program_forward(torch: Any, program: Any, dtype: str) -> Callable[[FloatArray], NDArray[Any]]:
    """The program's own forward pass on flat inputs, in batches of the size that it was exported for."""
    module = program.module()
    shape = _user_input(program)[1]

    def forward(x: FloatArray) -> NDArray[Any]:
        batch = shape[0] or len(x)
        outputs = []
        with torch.no_grad():
            for start in range(0, len(x), batch):
                rows = x[np.arange(start, start + batch) % len(x)]
                y = module(torch.as_tensor(rows, dtype=getattr(torch, dtype)).reshape(batch, *shape[1:]))
                outputs.append(y.detach().cpu().numpy().reshape(batch, -1))
        return np.concatenate(outputs)[: len(x)]

    return forward


def _stored_tensors(program: Any) -> dict[str, Any]:
    """Weights and constants by the name of the placeholder that stands for them."""
    signature = program.graph_signature
    names = {
        **signature.inputs_to_parameters,
        **signature.inputs_to_buffers,
        **signature.inputs_to_lifted_tensor_constants,
    }
    values = {**program.constants, **program.state_dict}
    return {placeholder: values[name] for placeholder, name in names.items() if name in values}


def _user_input(program: Any) -> tuple[str, tuple[int, ...]]:
    """Name and shape of the one input; a batch of any size has size 0."""
    inputs = program.graph_signature.user_inputs
    if len(inputs) != 1 or len(program.graph_signature.user_outputs) != 1:
        raise InvalidNetworkError(
            f"the exported PyTorch program has {len(inputs)} inputs and "
            f"{len(program.graph_signature.user_outputs)} outputs; supported is one of each"
        )
    node = next(node for node in program.graph.nodes if node.name == inputs[0])
    shape = tuple(size if isinstance(size, int) else 0 for size in node.meta["val"].shape)
    if len(shape) < 2 or 0 in shape[1:]:
        raise InvalidNetworkError(
            f"the exported PyTorch program takes an input of shape {tuple(node.meta['val'].shape)}; expected "
            f"a batch axis and then fixed sizes"
        )
    return str(inputs[0]), shape


def _operator_name(node: Any) -> str:
    schema = getattr(node.target, "_schema", None)
    return str(schema.name).removeprefix("aten::") if schema is not None else str(node.target)
