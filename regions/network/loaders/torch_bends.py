"""What bends in programs of PyTorch: calls that become units with two slopes, or max units of two values."""

from __future__ import annotations

from typing import Any

import numpy as np

from regions.errors import InvalidNetworkError
from regions.network.loaders import bends
from regions.network.loaders.torch_calls import Call, computed, constant_of
from regions.network.loaders.torch_maxima import largest

__all__ = [
    "absolute",
    "clamped",
    "hard_sigmoid",
    "larger",
    "larger_of_two",
    "leaky",
    "rectified",
    "shrunk",
    "thresholded",
]


def rectified(call: Call) -> Any:
    return bends.bent(call.layering, call.x)


def leaky(call: Call) -> Any:
    x = call.x
    if "prelu" in call.kind:
        weight = call.floats("weight")
        if weight is None:
            raise InvalidNetworkError(f"{call.where} has no weight")
        # one slope for each channel, which is axis 1
        return bends.bent(
            call.layering, x, np.broadcast_to(weight.reshape(-1, *[1] * (x.index.ndim - 2)), x.shape)
        )
    if call.kind.startswith("rrelu"):
        if call.get("training", False):
            raise InvalidNetworkError(f"{call.where} is in training mode; call model.eval() first")
        slope = (float(call.get("lower", 0.125)) + float(call.get("upper", 1 / 3))) / 2
        return bends.bent(call.layering, x, constant_of(call, slope))
    return bends.bent(call.layering, x, constant_of(call, call.get("negative_slope", 0.01)))


def absolute(call: Call) -> Any:
    return bends.bent(call.layering, call.x, -1.0)


def clamped(call: Call) -> Any:
    low, high = (call.arguments.get(name) for name in ("min", "max"))
    if call.kind.startswith("hardtanh"):
        low, high = (float(call.get(f"{end}_val", default)) for end, default in (("min", -1.0), ("max", 1.0)))
    elif call.kind.startswith("relu6"):
        low, high = 0.0, 6.0
    ends = [None if end is None else constant_of(call, end) for end in (low, high)]
    if any(end is not None and end.size != 1 for end in ends):
        raise InvalidNetworkError(f"{call.where} clips to several values; supported is one for all")
    return bends.clipped(
        call.layering, call.x, *(None if end is None else float(end.ravel()[0]) for end in ends)
    )


def larger(call: Call) -> Any:
    return larger_of_two(call) if "other" in call.arguments else largest(call)


def larger_of_two(call: Call) -> Any:
    x, y = list(call.arguments.values())[:2]
    x, y = (x, y) if computed(x) else (y, x)
    sign = -1.0 if call.kind.startswith("min") else 1.0
    return bends.maximum(call.layering, x, y if computed(y) else constant_of(call, y), sign)


def hard_sigmoid(call: Call) -> Any:
    """relu6(x + 3) / 6."""
    layering = call.layering
    sixth = np.asarray(1.0 / 6.0)
    result = bends.clipped(layering, layering.shifted(call.x, np.asarray(3.0)), 0.0, 6.0)
    return bends.then(result, lambda value: layering.scaled(value, sixth))


def thresholded(call: Call) -> Any:
    """x where it is above a threshold, else a value, which must be the threshold."""
    threshold, value = (float(call.get(name, 0.0)) for name in ("threshold", "value"))
    if threshold != value:
        raise InvalidNetworkError(
            f"{call.where} jumps from {value:g} to {threshold:g} at its threshold; supported are functions "
            "that do not jump"
        )
    return bends.clipped(call.layering, call.x, float(constant_of(call, threshold)), None)


def shrunk(call: Call) -> Any:
    """x moved towards 0 by lambd, but not beyond it."""
    return bends.shrunk(call.layering, call.x, float(constant_of(call, call.get("lambd", 0.5))))
