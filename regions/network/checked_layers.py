"""Checks of what a network is made of: numbers that float64 holds, shapes that chain, one flag per layer."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from regions.errors import InvalidNetworkError, RegionsError

FloatArray = NDArray[np.float64]


def float64_array(what: str, value: Any, error: type[RegionsError]) -> FloatArray:
    """Return a C-contiguous float64 copy; raise the given error if that would round or is not finite."""
    try:
        given = value.toarray() if hasattr(value, "toarray") else np.asarray(value)  # scipy's sparse ones
    except (TypeError, ValueError) as failure:
        raise error(f"{what} is not an array of numbers: {failure}") from failure
    if given.dtype.kind not in "biuf":
        raise error(f"{what} has dtype {given.dtype}; expected real numbers that float64 can hold")
    array = np.array(given, dtype=np.float64, order="C")
    if not np.isfinite(array).all():
        at = tuple(np.argwhere(~np.isfinite(array))[0].tolist())
        raise error(f"{what} holds {array[at]} at index {at}; every number must be finite")
    if given.dtype.kind in "iu":
        rounded = bool(((given > 2**53) | (given < -(2**53))).any())
    else:
        rounded = given.dtype.itemsize > 8 and bool((array != given).any())
    if rounded:
        raise error(f"{what} ({given.dtype}) would be rounded by float64; round it yourself if that is meant")
    return array


def listed(what: str, values: Any) -> list[Any]:
    """Return values as a list, or say that there should be one per layer."""
    try:
        return list(values)
    except TypeError as error:
        raise InvalidNetworkError(f"{what} is a {type(values).__name__}; give one per layer") from error


def float_arrays(what: str, values: Any, ndim: int) -> tuple[FloatArray, ...]:
    """Return one read-only array of `ndim` axes per layer."""
    arrays = []
    for layer, item in enumerate(listed(what, values)):
        array = float64_array(f"{what}[{layer}]", item, InvalidNetworkError)
        if array.ndim != ndim:
            raise InvalidNetworkError(f"{what}[{layer}] has shape {array.shape}; expected {ndim} axes")
        array.setflags(write=False)
        arrays.append(array)
    return tuple(arrays)


def check_chain(weights: tuple[FloatArray, ...], biases: tuple[FloatArray, ...]) -> None:
    """Raise InvalidNetworkError unless each layer takes what the one before gives."""
    if not weights:
        raise InvalidNetworkError("weights is empty; a network needs at least one layer")
    if len(weights) != len(biases):
        raise InvalidNetworkError(f"{len(weights)} weights but {len(biases)} biases; give one per layer")
    for layer, (weight, bias) in enumerate(zip(weights, biases, strict=True)):
        if 0 in weight.shape:
            raise InvalidNetworkError(f"weights[{layer}] has shape {weight.shape}; no width may be zero")
        if bias.size != weight.shape[0]:
            raise InvalidNetworkError(
                f"weights[{layer}] has {weight.shape[0]} rows but biases[{layer}] has {bias.size} entries"
            )
        if layer and weight.shape[1] != weights[layer - 1].shape[0]:
            raise InvalidNetworkError(
                f"weights[{layer}] takes {weight.shape[1]} inputs but layer {layer - 1} gives "
                f"{weights[layer - 1].shape[0]}; W is (out, in), transpose it if it is stored (in, out)"
            )


def relu_flags(relu: Any, n_layers: int) -> tuple[bool, ...]:
    """Return one flag per layer: whether units follow it."""
    flags = listed("relu", relu)
    if len(flags) != n_layers:
        raise InvalidNetworkError(f"relu has {len(flags)} flags for {n_layers} layers; give one per layer")
    for layer, flag in enumerate(flags):
        if not isinstance(flag, bool | np.bool_):
            raise InvalidNetworkError(f"relu[{layer}] is {flag!r}; expected True or False")
    return tuple(bool(flag) for flag in flags)
