"""One call of an ATen operator as the functions see it that say what it does to affine tensors."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from regions.errors import InvalidNetworkError
from regions.network.loaders.affine_tensors import AffineTensor, Layering
from regions.network.loaders.checks import FloatArray
from regions.network.loaders.torch_tensors import source_dtype, to_float64

__all__ = ["Call", "computed", "constant_of", "spread"]


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


def computed(value: Any) -> bool:
    """Whether a value depends on the input."""
    return isinstance(value, AffineTensor)


def spread(value: Any, axes: int) -> tuple[int, ...]:
    """A number for each axis, given for all of them or for each."""
    given = (value,) if isinstance(value, int) else tuple(int(size) for size in value)
    return (given * axes)[:axes]


def constant_of(call: Call, value: Any) -> FloatArray:
    """The numbers of a constant; one that is no tensor has the type that PyTorch computes with."""
    if hasattr(value, "detach"):
        return to_float64(value)
    dtypes = (part.dtype for part in call.arguments.values() if isinstance(part, AffineTensor))
    return np.asarray(np.dtype(next(dtypes, "float64")).type(value), np.float64)
