"""PyTorch weights as exact float64 arrays, for both ways of reading PyTorch."""

from __future__ import annotations

from typing import Any

import numpy as np

from regions.errors import InvalidNetworkError
from regions.network.loaders.checks import FloatArray


def source_dtype(tensor: Any, where: str) -> str:
    """ "float32" or "float64"; anything else, or a tensor without data, is an error."""
    if type(tensor).__name__ == "UninitializedParameter":
        raise InvalidNetworkError(f"{where} is a lazy layer without weights yet; run the model once first")
    name = str(tensor.dtype).removeprefix("torch.")
    if name not in ("float32", "float64") or tensor.device.type == "meta":
        raise InvalidNetworkError(
            f"the weight of {where} is {name} on device {tensor.device}; give a model with its weights in "
            f"float32 or float64 (model.float() turns half precision into float32 exactly)"
        )
    return name


def pair(value: Any) -> tuple[int, int]:
    """A size given as one number or two."""
    first, second = (value, value) if isinstance(value, int) else (list(value) * 2)[:2]
    return int(first), int(second)


def linear_arrays(weight: Any, bias: Any, where: str) -> tuple[FloatArray, FloatArray | None]:
    """Weight `(out, in)` and bias `(out,)`, if any, of a linear layer."""
    source_dtype(weight, where)
    return to_float64(weight), None if bias is None else to_float64(bias)


def to_float64(tensor: Any) -> FloatArray:
    """The numbers of a tensor, or of one number, as an array."""
    return np.asarray(tensor.detach().cpu().double().numpy())
