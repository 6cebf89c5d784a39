"""One node of an ONNX graph as the operators see it, and its constants as exact numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from regions.errors import InvalidNetworkError
from regions.network.loaders.affine_tensors import AffineTensor, Layering
from regions.network.loaders.checks import FloatArray

__all__ = ["Operator", "floats"]


class Operator(NamedTuple):
    """One node of a graph, and where its result goes."""

    kind: str
    where: str
    attributes: dict[str, Any]
    opset: int
    n_outputs: int
    layering: Layering
    batch: int

    def get(self, name: str, default: Any = None) -> Any:
        """An attribute of the node."""
        return self.attributes.get(name, default)

    def integers(self, name: str, arguments: Sequence[Any], position: int) -> list[int] | None:
        """Integers that are an attribute in old operators, and an input at this position in new ones."""
        given = self.attributes.get(name)
        if given is None and len(arguments) > position:
            given = arguments[position]
        if isinstance(given, AffineTensor):
            raise InvalidNetworkError(f"{self.where} has computed {name}; supported are constant ones")
        return None if given is None else [int(number) for number in np.ravel(given)]


def floats(value: Any, where: str) -> FloatArray:
    """A constant of real numbers, exactly."""
    if isinstance(value, AffineTensor):
        raise InvalidNetworkError(f"{where} has computed weights, not constant ones")
    array = np.asarray(value)
    if array.dtype.name not in ("float32", "float64"):
        raise InvalidNetworkError(
            f"a constant of {where} is {array.dtype}; supported are float32 and float64"
        )
    return array.astype(np.float64)
