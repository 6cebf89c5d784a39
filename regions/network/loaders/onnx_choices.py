"""ONNX operators that choose entries by constants, put others in their places, or sum them by indices."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from regions.errors import InvalidNetworkError
from regions.network.loaders import moves
from regions.network.loaders.affine_operators import matrix_product
from regions.network.loaders.affine_tensors import AffineTensor
from regions.network.loaders.contractions import contracted
from regions.network.loaders.onnx_nodes import Operator, floats

__all__ = ["contraction", "gathered", "running_sum", "scattered", "triangle", "where"]


def contraction(node: Operator, arguments: list[Any]) -> list[Any]:
    operands = [x if isinstance(x, AffineTensor) else floats(x, node.where) for x in arguments]
    return [contracted(node.layering, str(node.attributes["equation"]), operands, node.where)]


def where(node: Operator, arguments: list[Any]) -> list[Any]:
    """Entries of one value or another, as a constant says."""
    condition, x, y = arguments
    if isinstance(condition, AffineTensor):
        raise InvalidNetworkError(f"{node.where} chooses by a computed value, where functions may jump")
    return [moves.chosen(node.layering, np.asarray(condition, np.bool_), x, y)]


def triangle(node: Operator, arguments: list[Any]) -> list[Any]:
    x, k = arguments[0], _constant(node, arguments[1], 0) if len(arguments) > 1 else 0
    return [moves.triangle(node.layering, x, int(k), upper=bool(node.get("upper", 1)))]


def running_sum(node: Operator, arguments: list[Any]) -> list[Any]:
    x: AffineTensor = arguments[0]
    axis = moves.axis_of(int(_constant(node, arguments[1], 0)), len(x.shape))
    n = x.shape[axis]
    taken = np.triu(np.ones((n, n)), 1 if node.get("exclusive", 0) else 0)
    taken = taken.T if node.get("reverse", 0) else taken
    last = x.moved(np.moveaxis(x.index, axis, -1))
    sums = matrix_product(node.layering, last, taken)
    return [sums.moved(np.moveaxis(sums.index, -1, axis))]


def gathered(node: Operator, arguments: list[Any]) -> list[Any]:
    """Entries by constant places: along an axis, or by all of their coordinates."""
    x, index = arguments[0], _places(node, arguments[1])
    shape = moves.shape_of(x)
    if node.kind == "GatherElements":
        axis = moves.axis_of(int(node.get("axis", 0)), len(shape))
        return [moves.gathered_along(x, axis, index % shape[axis])]
    if node.get("batch_dims", 0):
        if shape[0] != 1 or index.shape[0] != 1 or node.get("batch_dims") != 1:
            raise InvalidNetworkError(f"{node.where} has batch_dims, which is supported for one sample only")
        return [moves.moved(x, lambda entries: entries[0][tuple(np.moveaxis(index[0], -1, 0))][None])]
    return [moves.moved(x, lambda entries: entries[tuple(np.moveaxis(index, -1, 0))])]


def scattered(node: Operator, arguments: list[Any]) -> list[Any]:
    """Other entries at constant places."""
    x, places, y = arguments
    index = _places(node, places)
    if node.get("reduction", "none") != "none":
        raise InvalidNetworkError(f"{node.where} has a reduction; supported is none")
    shape = moves.shape_of(x)
    if node.kind == "ScatterND":
        at: tuple[NDArray[Any], ...] = tuple(np.moveaxis(index, -1, 0))
    else:
        axis = moves.axis_of(int(node.get("axis", 0)), len(shape))
        at = tuple(np.indices(index.shape))
        at = (*at[:axis], index % shape[axis], *at[axis + 1 :])
    return [moves.replaced(node.layering, x, at, y)]


def _constant(node: Operator, value: Any, default: int) -> int:
    if isinstance(value, AffineTensor):
        raise InvalidNetworkError(f"{node.where} has computed settings; supported are constant ones")
    return default if value is None else int(np.ravel(value)[0])


def _places(node: Operator, value: Any) -> NDArray[np.int64]:
    if isinstance(value, AffineTensor) or np.asarray(value).dtype.kind not in "iu":
        raise InvalidNetworkError(f"{node.where} has computed indices; supported are constant ones")
    return np.asarray(value, np.int64)
