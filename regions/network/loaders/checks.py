"""What the loaders share: optional imports with a useful message, and the check against the source.

The check compares numbers, not structure: whatever the source model really computes decides.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray

from regions.errors import InvalidInputError, InvalidNetworkError, RegionsError
from regions.network.max_units import output_of_layer
from regions.network.relu_network import Network

FloatArray = NDArray[np.float64]

RELATIVE_TOLERANCE = {"float32": 1e-5, "float64": 1e-10}
# a source whose own rounding exceeds the tolerance may differ by this multiple of that rounding
ROUNDING_MULTIPLE = 8.0
N_SAMPLES = 48
# what reading parts that are missing, or arrays that do not fit, may raise
MALFORMED = (ArithmeticError, AttributeError, LookupError, MemoryError, RuntimeError, TypeError, ValueError)


def optional_import(module: str, extra: str, purpose: str) -> Any:
    """Import a module of an extra, or say which extra to install."""
    try:
        return import_module(module)
    except ImportError as error:
        raise InvalidInputError(
            f"{purpose} needs {module.partition('.')[0]}, which cannot be imported ({error}); "
            f"install it with: pip install 'relu-regions[{extra}]'"
        ) from error


@contextmanager
def reading(source: str) -> Iterator[None]:
    """Say of a source that it is malformed where its parts are missing or do not fit."""
    try:
        yield
    except RegionsError:
        raise
    except MALFORMED as error:
        raise InvalidNetworkError(f"{source} is malformed ({type(error).__name__}: {error})") from error


def check_against_source(
    network: Network, forward: Callable[[FloatArray], Any], source: str, dtype: str
) -> Network:
    """Return the network if it computes what its source computes, on fixed random inputs.

    Parameters
    ----------
    network : Network read from the source
    forward : the source's own forward pass, (N, input_dim) -> (N, output_dim)
    source : what the network was read from, for messages
    dtype : "float32" or "float64", what the source computes in

    Raises
    ------
    InvalidNetworkError : if the forward pass fails, or differs by more than 1e-5 (float32) or 1e-10
        (float64) of the largest output, and by more than rounding in that type explains
    """
    inputs = _sample_inputs(network.input_dim, dtype)
    try:
        expected = np.asarray(forward(inputs), dtype=np.float64)
    except Exception as error:
        raise InvalidNetworkError(
            f"{source} fails in its own forward pass on inputs of shape {inputs.shape}: {error}"
        ) from error
    actual = network.forward(inputs)
    if expected.shape != actual.shape:
        raise InvalidNetworkError(
            f"{source} gives outputs of shape {expected.shape} on inputs of shape {inputs.shape}, "
            f"but the layers read from it give {actual.shape}"
        )
    scale = float(np.abs(expected).max())
    allowed = RELATIVE_TOLERANCE[dtype] * scale
    mismatch = float(np.abs(actual - expected).max())
    # written so that a NaN counts as a mismatch
    if not mismatch <= allowed and not mismatch <= ROUNDING_MULTIPLE * _own_rounding(network, inputs, dtype):
        raise InvalidNetworkError(
            f"the layers read from {source} do not compute what its own forward pass computes: outputs up "
            f"to {scale:.3g} differ by up to {mismatch:.3g}, allowed is {allowed:.3g}; the model does "
            f"something that its layers do not show (a hook, an overridden forward, another dtype)"
        )
    return network


def _sample_inputs(input_dim: int, dtype: str) -> FloatArray:
    rng = np.random.default_rng(0)
    small = rng.uniform(-1.0, 1.0, size=(N_SAMPLES // 2, input_dim))
    large = 10.0 * rng.standard_normal((N_SAMPLES - N_SAMPLES // 2, input_dim))
    # rounded to the source's type first, so that both sides see the same inputs
    return np.concatenate([small, large]).astype(dtype).astype(np.float64)


def _own_rounding(network: Network, inputs: FloatArray, dtype: str) -> float:
    """Largest rounding error of a plain forward pass in the given type; 0 for float64."""
    value = inputs.astype(dtype)
    with np.errstate(all="ignore"):
        kinds = zip(network.slopes, network.maxima, strict=True)
        layers = zip(network.operators, network.biases, network.relu, kinds, strict=True)
        for weight, bias, relu, (pair, sizes) in layers:
            value = value @ weight.T.astype(dtype) + bias.astype(dtype)
            if relu:
                value = output_of_layer(value, None if pair is None else pair.astype(dtype), sizes)
    rounding = float(np.abs(value - network.forward(inputs)).max())
    return rounding if np.isfinite(rounding) else 0.0
