"""ONNX files and models as they come from anybody: checked before anything is read from them.

What the operators mean is left to `onnx_operators`.
"""

from __future__ import annotations

from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from regions.errors import BudgetExceededError, InvalidInputError, InvalidNetworkError
from regions.network.loaders.affine_tensors import check_entries

__all__ = [
    "FLOATS",
    "array_of",
    "attributes_of",
    "check_model",
    "float_type",
    "opset_of",
    "read_model",
    "sample_shape",
]

FLOATS = {1: "float32", 11: "float64"}  # TensorProto's numbers for the types supported here
MOST_NODES = 100_000


def read_model(onnx: Any, file: Path) -> Any:
    """Read a file, with what it stores in files beside it.

    Raises
    ------
    InvalidInputError : if there is no such file
    InvalidNetworkError : if it holds no ONNX graph, or names data that are not there
    """
    if not file.is_file():
        raise InvalidInputError(f"no network file at {str(file)!r}")
    try:
        model = onnx.load(file, load_external_data=False)
        for tensor in model.graph.initializer:
            if tensor.data_location == onnx.TensorProto.EXTERNAL:
                _read_beside(onnx, tensor, file.parent)
    except InvalidNetworkError:
        raise
    except Exception as error:
        raise InvalidNetworkError(
            f"onnx cannot read {str(file)!r} ({type(error).__name__}: {error})"
        ) from error
    if not model.graph.node:
        raise InvalidNetworkError(f"{str(file)!r} holds no ONNX graph, or an empty one")
    return model


def check_model(onnx: Any, model: Any) -> None:
    """Raise InvalidNetworkError if onnx finds the model malformed, or it has what is not read here."""
    if len(model.graph.node) > MOST_NODES:
        raise BudgetExceededError(
            f"the ONNX model has {len(model.graph.node):,} operators; at most {MOST_NODES:,} are read"
        )
    checked = onnx.ModelProto()
    checked.CopyFrom(model)
    for value in checked.graph.output:
        # not everybody states the shapes of outputs, and nothing here needs them
        if value.type.HasField("tensor_type"):
            value.type.tensor_type.shape.SetInParent()
    try:
        onnx.checker.check_model(checked)
    except Exception as error:
        reason = str(error).strip().split("\n")[0]
        raise InvalidNetworkError(f"onnx finds this model malformed: {reason}") from error
    if len(model.functions) or len(model.graph.sparse_initializer):
        raise InvalidNetworkError(
            "the ONNX model has functions of its own or sparse weights; supported are graphs of ONNX's own "
            "operators with dense weights (onnx.inliner.inline_local_functions writes functions out)"
        )


def array_of(onnx: Any, tensor: Any) -> NDArray[Any]:
    """The numbers of a stored tensor, if there are as many as its shape says."""
    if tensor.data_location == onnx.TensorProto.EXTERNAL:
        raise InvalidNetworkError(
            f"the tensor {tensor.name!r} is stored in another file; give the path of the .onnx file"
        )
    dims, dtype = [int(size) for size in tensor.dims], _dtype(onnx, tensor)
    stored = len(tensor.raw_data) // dtype.itemsize if tensor.HasField("raw_data") else None
    if stored is None:
        fields = (tensor.float_data, tensor.double_data, tensor.int32_data, tensor.int64_data)
        stored = max(len(field) for field in fields)
    if min(dims, default=0) < 0 or prod(dims) != stored:
        raise InvalidNetworkError(
            f"the tensor {tensor.name!r} has shape {tuple(dims)} and holds {stored:,} numbers of {dtype}"
        )
    check_entries(f"the tensor {tensor.name!r}", stored)
    try:
        return np.asarray(onnx.numpy_helper.to_array(tensor)).reshape(dims)
    except (TypeError, ValueError) as error:
        raise InvalidNetworkError(f"the tensor {tensor.name!r} cannot be read: {error}") from error


def attributes_of(onnx: Any, node: Any) -> dict[str, Any]:
    """The attributes of a node by name; text as str, tensors as arrays."""
    values = {}
    for item in node.attribute:
        value = onnx.helper.get_attribute_value(item)
        if isinstance(value, bytes):
            value = value.decode("utf-8", "replace")
        elif isinstance(value, onnx.TensorProto):
            value = array_of(onnx, value)
        values[item.name] = value
    return values


def sample_shape(value: Any) -> tuple[tuple[int, ...], int]:
    """Shape of the input for a batch of one, and the size of the batch that it is fixed to (1: none)."""
    dims = [int(dim.dim_value) for dim in value.type.tensor_type.shape.dim]
    shape = tuple(dims) if len(dims) == 1 else (1, *dims[1:])
    if not dims or min(shape) < 1 or dims[0] < 0:
        raise InvalidNetworkError(
            f"the ONNX model's input {value.name!r} has shape {tuple(dims)} (0 or less: unknown); "
            f"expected is a batch of any size and fixed sizes after it; export the model that way"
        )
    return shape, max(dims[0], 1) if len(dims) > 1 else 1


def opset_of(model: Any) -> int:
    """The version of ONNX's own operators that a model uses."""
    own = (int(one.version) for one in model.opset_import if one.domain in ("", "ai.onnx"))
    return max(own, default=1)


def float_type(number: int, where: str) -> str:
    """The name of a supported type of numbers."""
    if number not in FLOATS:
        raise InvalidNetworkError(
            f"{where} is of ONNX type number {number}; supported are float32 (1) and float64 (11)"
        )
    return FLOATS[number]


def _dtype(onnx: Any, tensor: Any) -> np.dtype[Any]:
    try:
        return np.dtype(onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type))
    except (KeyError, TypeError) as error:
        raise InvalidNetworkError(
            f"the tensor {tensor.name!r} is of ONNX type number {tensor.data_type}, which is not supported"
        ) from error


def _read_beside(onnx: Any, tensor: Any, folder: Path) -> None:
    """Read a tensor that is stored in a file beside the model's, if that file is as long as it must be."""
    given = {item.key: item.value for item in tensor.external_data}
    location = given.get("location", "")
    beside = folder / location
    if not beside.is_file() or beside.resolve().parent != folder.resolve():
        raise InvalidNetworkError(
            f"the tensor {tensor.name!r} is said to be in {location!r}, which is no file beside"
        )
    wanted = prod(int(size) for size in tensor.dims) * _dtype(onnx, tensor).itemsize
    offset = int(given.get("offset", 0))
    there = beside.stat().st_size - offset
    if not 0 <= wanted <= there or offset < 0:
        raise InvalidNetworkError(
            f"the tensor {tensor.name!r} has {wanted:,} bytes, but {location!r} holds {there:,} from byte "
            f"{offset:,} on"
        )
    onnx.external_data_helper.load_external_data_for_tensor(tensor, str(folder))
    tensor.data_location = onnx.TensorProto.DEFAULT
    del tensor.external_data[:]
