"""Functions of `keras.ops` and operators of Python between the layers of a Keras model.

Their axes count the batch, so tensors get one of size 1 here.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np

from regions.errors import InvalidNetworkError
from regions.network.loaders import moves
from regions.network.loaders.affine_operators import reduced
from regions.network.loaders.affine_tensors import AffineTensor
from regions.network.loaders.bends import bent, clipped, largest_along, maximum, then
from regions.network.loaders.keras_activations import KerasLayer, Result, number_of

__all__ = ["KERAS_OPERATIONS", "operation"]

_OF_TWO = ("Add", "Subtract", "Multiply", "Divide", "TrueDivide", "Maximum", "Minimum")
_OF_ONE = ("Negative", "Abs", "Absolute", "Relu", "Relu6", "LeakyRelu", "Clip")
_ALONG_AXES = ("Sum", "Mean", "Max", "Min", "Amax", "Amin")
_MOVES = ("GetItem", "Concatenate", "Stack", "Reshape", "Transpose", "Squeeze", "ExpandDims")
KERAS_OPERATIONS = tuple(f"keras.ops.{kind}" for kind in (*_OF_TWO, *_OF_ONE, *_ALONG_AXES, *_MOVES))


def operation(layer: KerasLayer, values: list[Any]) -> Result:
    """Apply an operation to values without a batch axis; its settings have the numbers as `operands`.

    Raises
    ------
    InvalidNetworkError
        If it multiplies two values, divides by one, or joins samples.
    """
    kind = layer.kind.rpartition(".")[2]
    batched = [value.moved(value.index[None]) for value in values]
    if kind in _OF_TWO:
        result = _of_two(layer, kind, batched)
    elif kind in _OF_ONE:
        result = _of_one(layer, kind, batched[0])
    elif kind in _ALONG_AXES:
        result = _along_axes(layer, kind, batched[0])
    else:
        result = _moved(layer, kind, batched)
    return then(result, partial(_one_sample, layer))


def _one_sample(layer: KerasLayer, x: AffineTensor) -> AffineTensor:
    if x.shape[:1] != (1,):
        raise InvalidNetworkError(f"{layer.where} makes {x.shape} of one sample; its first axis must stay 1")
    return x.moved(x.index[0])


def _of_two(layer: KerasLayer, kind: str, values: list[AffineTensor]) -> Result:
    given, rest = layer.config["operands"], iter(values)
    keys = ("0", "1") if "0" in given else ("x1", "x2")
    x, y = (next(rest) if given.get(key) is None else given[key] for key in keys)
    layering, first = layer.layering, isinstance(x, AffineTensor)
    if len(values) == 2:
        if kind in ("Maximum", "Minimum"):
            return maximum(layering, x, y, -1.0 if kind == "Minimum" else 1.0)
        if kind not in ("Add", "Subtract"):
            raise InvalidNetworkError(
                f"{layer.where} multiplies two values that depend on the input, or divides by one; that is "
                "not piecewise linear"
            )
        with layering.holding(x):
            other = layering.scaled(y, np.asarray(-1.0 if kind == "Subtract" else 1.0))
        return layering.added(x, other)
    number = np.asarray(y if first else x, np.float32).astype(np.float64)
    value = moves.expanded(values[0], np.broadcast_shapes(values[0].shape, number.shape))
    match kind:
        case "Maximum" | "Minimum":
            return maximum(layering, value, number, -1.0 if kind == "Minimum" else 1.0)
        case "Add":
            return layering.shifted(value, number)
        case "Subtract" if first:
            return layering.shifted(value, 0.0 - number)
        case "Subtract":
            return layering.shifted(layering.scaled(value, np.asarray(-1.0)), number)
        case "Multiply":
            return layering.scaled(value, number)
    if not number.all() or not first:
        raise InvalidNetworkError(f"{layer.where} divides by a value that depends on the input, or by zero")
    return layering.scaled(value, 1.0 / number)


def _of_one(layer: KerasLayer, kind: str, x: AffineTensor) -> Result:
    layering = layer.layering
    match kind:
        case "Negative":
            return layering.scaled(x, np.asarray(-1.0))
        case "Abs" | "Absolute":
            return bent(layering, x, -1.0)
        case "Relu":
            return bent(layering, x)
        case "LeakyRelu":
            return bent(layering, x, number_of(_setting(layer, "negative_slope", 1, 0.2)))
        case "Clip":
            low, high = (_setting(layer, f"x_{end}", k, None) for k, end in enumerate(("min", "max"), 1))
            if not (isinstance(low, int | float) and isinstance(high, int | float)):
                raise InvalidNetworkError(f"{layer.where} clips to {low!r} and {high!r}, not two numbers")
            return clipped(layering, x, number_of(low), number_of(high))
    return clipped(layering, x, 0.0, 6.0)


def _along_axes(layer: KerasLayer, kind: str, x: AffineTensor) -> Result:
    chosen = moves.axes_of(_setting(layer, "axis", 1, None), len(x.shape))
    if 0 in chosen or layer.config.get("initial") is not None:
        raise InvalidNetworkError(f"{layer.where} joins samples, or has a first value; supported is neither")
    keep = bool(layer.config.get("keepdims", False))
    if kind in ("Sum", "Mean"):
        return reduced(layer.layering, x, chosen, keep=keep, mean=kind == "Mean")
    sign = -1.0 if "in" in kind else 1.0
    return largest_along(layer.layering, x, chosen, keep=keep, sign=sign)


def _moved(layer: KerasLayer, kind: str, values: list[AffineTensor]) -> AffineTensor:
    x = values[0]
    found: Any
    match kind:
        case "GetItem":
            key = _setting(layer, "key", 1, None)
            found = x.moved(x.index[tuple(key) if isinstance(key, list) else key])
        case "Concatenate" | "Stack":
            axis = int(_setting(layer, "axis", 1, 0))
            parts = values
            if kind == "Stack":
                parts = [part.moved(np.expand_dims(part.index, axis)) for part in values]
            found = moves.concatenated(layer.layering, parts, axis)
        case "Reshape":
            found = moves.reshaped(x, _whole(_setting(layer, "newshape", 1, ())), zero_copies=False)
        case "Transpose":
            found = x.moved(np.transpose(x.index, _setting(layer, "axes", 1, None)))
        case "Squeeze":
            found = x.moved(np.squeeze(x.index, _axes(_setting(layer, "axis", 1, None))))
        case _:
            found = x.moved(np.expand_dims(x.index, _axes(_setting(layer, "axis", 1, 0))))
    assert isinstance(found, AffineTensor)
    return found


def _setting(layer: KerasLayer, name: str, place: int, default: Any) -> Any:
    """A setting that is stored with the operation, or as an argument of its call by name or place."""
    given = layer.config["operands"]
    for value in (layer.config.get(name), given.get(name), given.get(str(place))):
        if value is not None:
            return value
    return default


def _axes(given: Any) -> Any:
    return tuple(given) if isinstance(given, list) else given


def _whole(given: Any) -> Sequence[int]:
    return [given] if isinstance(given, int) else [-1 if size is None else int(size) for size in given]
