"""One layer of Keras as a file describes it, and the activations that layers have."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from regions.errors import InvalidNetworkError
from regions.network.loaders.affine_tensors import AffineTensor, Layering
from regions.network.loaders.bends import bent, clipped, shrunk, then
from regions.network.loaders.checks import FloatArray
from regions.network.loaders.graph_steps import Bend

__all__ = ["KERAS_HEADS", "KERAS_RISING", "KerasLayer", "Result", "activated", "activation_of", "number_of"]

# functions of single entries that nowhere fall: their order among maxima is free
KERAS_RISING = ("relu", "relu6", "leaky_relu", "hard_tanh")
KERAS_HEADS = ("softmax", "log_softmax", "sigmoid", "tanh", "softplus")
ACTIVATIONS = ("linear", "relu", "relu6", "leaky_relu", "hard_tanh", "hard_sigmoid", "soft_shrink")


class KerasLayer(NamedTuple):
    """A layer as a file of some version of Keras (0: unknown) describes it, with its arrays in order."""

    kind: str
    name: str
    config: dict[str, Any]
    arrays: Sequence[FloatArray]
    layering: Layering
    version: int = 0

    @property
    def where(self) -> str:
        """The layer in messages."""
        return f"{self.kind} ({self.name})"

    @property
    def channels_first(self) -> bool:
        """Whether the channels of an image are its first axis."""
        return bool(self.config.get("data_format") == "channels_first")

    def sizes(self, key: str, axes: int, default: Any = 1) -> tuple[int, ...]:
        """A setting that is one number or one for each axis."""
        given = self.config.get(key, default)
        given = default if given is None else given
        sizes = (given,) * axes if isinstance(given, int) else tuple(int(size) for size in given)
        if len(sizes) != axes:
            raise InvalidNetworkError(f"{self.where} has {key}={given!r}; expected are {axes} numbers")
        return sizes

    def array(self, number: int) -> FloatArray:
        """One of its arrays."""
        if number >= len(self.arrays):
            raise InvalidNetworkError(
                f"{self.where} has {len(self.arrays)} stored arrays; its settings need more"
            )
        return self.arrays[number]


Result = AffineTensor | Bend


def activation_of(layer: KerasLayer) -> str:
    """Name of a layer's activation; "linear" if it has none.

    Raises
    ------
    InvalidNetworkError
        If it is a function without a name.
    """
    given = layer.config.get("activation", "linear")
    if isinstance(given, dict):
        given = given.get("config") if given.get("class_name") == "function" else given.get("class_name")
    if layer.kind == "Softmax":
        return "softmax"
    if given is None:
        return "linear"
    if not isinstance(given, str):
        raise InvalidNetworkError(f"{layer.where} has an activation that is no function of Keras's")
    return given.lower()


def activated(layer: KerasLayer, x: AffineTensor) -> Result:
    """Apply a layer's activation."""
    name = activation_of(layer)
    if name == "linear":
        return x
    if name == "relu":
        return bent(layer.layering, x)
    if name == "relu6":
        return clipped(layer.layering, x, 0.0, 6.0)
    if name == "hard_tanh":
        return clipped(layer.layering, x, -1.0, 1.0)
    if name == "leaky_relu":
        return bent(layer.layering, x, number_of(0.2))
    if name == "hard_sigmoid":
        return _hard_sigmoid(layer, x)
    if name == "soft_shrink":
        return shrunk(layer.layering, x, 0.5)
    raise InvalidNetworkError(
        f"activation {name!r} of {layer.where} is not piecewise linear, or not supported; supported are "
        f"{', '.join(ACTIVATIONS)}, and at the end {', '.join(KERAS_HEADS)}"
    )


def _hard_sigmoid(layer: KerasLayer, x: AffineTensor) -> Result:
    """relu6(x + 3) / 6 since Keras 3, x / 5 + 1 / 2 clipped to [0, 1] before."""
    layering = layer.layering
    if layer.version == 0:
        raise InvalidNetworkError(
            f"{layer.where} is a hard sigmoid, whose slope is 1/5 in Keras 2 and 1/6 in Keras 3, and the "
            "file does not say which wrote it"
        )
    if layer.version < 3:
        slanted = layering.scaled(x, np.asarray(number_of(0.2)))
        return clipped(layering, layering.shifted(slanted, np.asarray(0.5)), 0.0, 1.0)
    result = clipped(layering, layering.shifted(x, np.asarray(3.0)), 0.0, 6.0)
    return then(result, lambda value: layering.scaled(value, np.asarray(1.0 / 6.0)))


def number_of(value: Any) -> float:
    """A setting as the float32 that Keras computes with."""
    return float(np.float32(value))
