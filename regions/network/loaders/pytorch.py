"""PyTorch `nn.Sequential` modules; programs exported by `torch.export` are left to `torch_program`.

Only the module's structure is read here; that it tells the truth is for `checks` to find out.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from regions.errors import InvalidNetworkError
from regions.network.loaders.chain import Chain
from regions.network.loaders.checks import FloatArray, check_against_source, optional_import
from regions.network.loaders.convolutions import average, convolution, window
from regions.network.loaders.torch_program import lower_program, program_forward
from regions.network.loaders.torch_tensors import linear_arrays, pair, source_dtype
from regions.network.relu_network import Network

__all__ = ["from_torch"]

SUPPORTED = (
    "Linear, ReLU, LeakyReLU, PReLU, ReLU6, Hardtanh, Conv2d, AvgPool2d, Flatten(start_dim=1), Identity, "
    "Dropout in eval mode, "
    "and nested Sequential"
)


def from_torch(model: Any, *, name: str = "", input_shape: Sequence[int] | None = None) -> Network:
    """Network of a PyTorch `nn.Sequential` (nested too) or of a program exported by `torch.export`.

    Layers: Linear, ReLU, LeakyReLU, PReLU, ReLU6 and Hardtanh (as two ReLUs for each value), Conv2d (zero
    padding), AvgPool2d (areas that are powers of two), Flatten, Identity, Dropout in eval mode. float32
    weights become the same numbers in float64; convolutions become dense matrices of them, on images
    flattened channel by channel, row by row.

    Parameters
    ----------
    model : torch.nn.Module or torch.export.ExportedProgram, weights float32 or float64
    name : str, for reports; default the class name
    input_shape : (channels, height, width) of one input, needed if a module begins with a convolution

    Returns
    -------
    network : Network

    Raises
    ------
    InvalidNetworkError : if a layer is not supported, Dropout is in training mode, or the model does
        not compute what its layers say
    InvalidInputError : if PyTorch is not installed
    BudgetExceededError : if a convolution has more than 2**27 entries as a matrix

    Examples
    --------
    >>> import pytest
    >>> torch = pytest.importorskip("torch")
    >>> model = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.ReLU(), torch.nn.Linear(3, 1))
    >>> from_torch(model, name="small").describe()
    'small: 2 -> 3 -> 1, 3 ReLU units in 1 layer'
    """
    torch = optional_import("torch", "torch", "reading a PyTorch model")
    kind = type(model).__name__
    source = f"the PyTorch {kind}"
    if isinstance(model, torch.export.ExportedProgram):
        chain, dtype = lower_program(model)
        forward = program_forward(torch, model, dtype)
        return check_against_source(chain.network(name or kind), forward, source, dtype)
    if not isinstance(model, torch.nn.Module):
        hint = "; this looks like a state_dict: load it into its module and give the module"
        raise InvalidNetworkError(
            f"cannot read a {type(model).__module__}.{kind}; expected is a torch.nn.Module or an exported "
            f"program{hint if isinstance(model, dict) else ''}"
        )
    shape = None if input_shape is None else tuple(int(size) for size in input_shape)
    chain, weight, shape = _lower_module(torch.nn, model, shape)

    def module_forward(x: FloatArray) -> NDArray[Any]:
        with torch.no_grad():
            y = model(torch.as_tensor(x, dtype=weight.dtype, device=weight.device).reshape(-1, *shape))
        return np.asarray(y.detach().cpu().numpy()).reshape(len(x), -1)

    dtype = source_dtype(weight, "the first layer with weights")
    return check_against_source(chain.network(name or kind), module_forward, source, dtype)


def _lower_module(nn: Any, model: Any, shape: tuple[int, ...] | None) -> tuple[Chain, Any, tuple[int, ...]]:
    """The module's layers, its first weight, and the shape of one input."""
    layers = list(_flat_layers(nn, model, type(model).__name__))
    weighted = [layer for _, layer in layers if isinstance(layer, nn.Linear | nn.Conv2d)]
    if not weighted:
        raise InvalidNetworkError("the PyTorch model has no Linear layer, so its input size is unknown")
    if shape is None:
        if any(isinstance(layer, nn.Conv2d | nn.AvgPool2d) for _, layer in layers):
            raise InvalidNetworkError(
                "the PyTorch model has convolutions or pooling, and its layers do not say how large images "
                "are; give input_shape=(channels, height, width), or export it with torch.export"
            )
        shape = (int(weighted[0].in_features),)
    chain, current = Chain(prod(shape)), shape
    for where, layer in layers:
        if isinstance(layer, nn.Linear):
            chain.affine(*linear_arrays(layer.weight, layer.bias, where))
            current = (chain.width,)
        elif isinstance(layer, nn.Conv2d | nn.AvgPool2d):
            current = _append_window(nn, chain, layer, current, where)
        elif isinstance(layer, nn.ReLU):
            chain.relu()
        elif isinstance(layer, nn.LeakyReLU | nn.PReLU | nn.Hardtanh):
            _append_units(nn, chain, layer, current, source_dtype(weighted[0].weight, where), where)
        elif isinstance(layer, nn.Flatten):
            current = (chain.width,)
    return chain, weighted[0].weight, shape


def _append_units(nn: Any, chain: Chain, layer: Any, shape: tuple[int, ...], dtype: str, where: str) -> None:
    """Append units with slopes, or clip values; numbers of the layer are those of the type it computes in."""
    number = np.dtype(dtype).type
    if isinstance(layer, nn.Hardtanh):  # ReLU6 is one
        chain.clip(float(number(layer.min_val)), float(number(layer.max_val)))
        return
    if isinstance(layer, nn.LeakyReLU):
        chain.two_slopes(float(number(layer.negative_slope)))
        return
    slopes, _ = linear_arrays(layer.weight, None, where)
    if slopes.size not in (1, shape[0]):
        raise InvalidNetworkError(f"{where} has {slopes.size} slopes for {shape[0]} channels")
    chain.two_slopes(np.repeat(slopes, chain.width // slopes.size))


def _append_window(nn: Any, chain: Chain, layer: Any, shape: tuple[int, ...], where: str) -> tuple[int, ...]:
    """Append a convolution or average pooling; returns the shape of its result."""
    if isinstance(layer, nn.AvgPool2d):
        if layer.divisor_override:
            raise InvalidNetworkError(f"{where} has divisor_override; supported is none")
        matrix, after = average(
            pair(layer.kernel_size),
            window(2, pair(layer.stride), pair(layer.padding)),
            shape,
            where,
            padding_counts=bool(layer.count_include_pad),
            ceil=bool(layer.ceil_mode),
        )
        chain.affine(matrix)
        return after
    if isinstance(layer.padding, str) or layer.padding_mode != "zeros":
        raise InvalidNetworkError(
            f"{where} pads with {layer.padding!r}, {layer.padding_mode!r}; supported: numbers, zeros"
        )
    weight, bias = linear_arrays(layer.weight, layer.bias, where)
    moving = window(2, pair(layer.stride), pair(layer.padding), pair(layer.dilation))
    matrix, after = convolution(weight, moving, int(layer.groups), shape, where)
    chain.affine(matrix, None if bias is None else np.repeat(bias, prod(after[1:])))
    return after


def _flat_layers(nn: Any, module: Any, where: str) -> Iterator[tuple[str, Any]]:
    """Leaves of nested Sequentials with their paths, each known to be supported."""
    kind = type(module)
    if isinstance(module, nn.Sequential) and kind.forward is nn.Sequential.forward:
        for key, child in module.named_children():
            yield from _flat_layers(nn, child, f"{where}.{key}")
        return
    units = (nn.ReLU, nn.LeakyReLU, nn.PReLU, nn.ReLU6, nn.Hardtanh)
    known = (*units, nn.Linear, nn.Conv2d, nn.AvgPool2d, nn.Flatten, nn.Identity, nn.Dropout)
    # a subclass counts only if it computes what its base class computes
    if not any(isinstance(module, base) and kind.forward is base.forward for base in known):
        raise InvalidNetworkError(f"unsupported layer {kind.__name__} at {where}; supported are {SUPPORTED}")
    if isinstance(module, nn.Dropout) and module.training and module.p > 0:
        raise InvalidNetworkError(
            f"Dropout at {where} is in training mode, where the model is random; call model.eval() first"
        )
    if isinstance(module, nn.Flatten) and (module.start_dim, module.end_dim) != (1, -1):
        raise InvalidNetworkError(
            f"unsupported Flatten(start_dim={module.start_dim}, end_dim={module.end_dim}) at {where}; "
            f"supported are {SUPPORTED}"
        )
    yield where, module
