"""PyTorch modules: `nn.Sequential` by its layers, any other through `torch.export`.

Only the module's structure is read here; that it tells the truth is for `checks` to find out.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from regions.errors import InvalidNetworkError
from regions.network.loaders.chain import Chain
from regions.network.loaders.checks import FloatArray, check_against_source, optional_import
from regions.network.loaders.convolutions import average, convolution, window
from regions.network.loaders.torch_program import Program, changes_in_place
from regions.network.loaders.torch_tensors import linear_arrays, pair, source_dtype
from regions.network.relu_network import Network

__all__ = ["from_torch"]

UNITS = ("ReLU", "LeakyReLU", "PReLU", "ReLU6", "Hardtanh")
LAYERS = (*UNITS, "Linear", "Conv2d", "AvgPool2d", "Flatten", "Identity", "Dropout")
SUPPORTED = (
    "Linear, ReLU, LeakyReLU, PReLU, ReLU6, Hardtanh, Conv2d, AvgPool2d, Flatten(start_dim=1), Identity, "
    "Dropout in eval mode, "
    "and nested Sequential"
)


def from_torch(
    model: Any,
    *,
    name: str = "",
    input_shape: Sequence[int] | None = None,
    example_input: Any = None,
    output: str | None = None,
    inputs: Mapping[str, Any] | None = None,
) -> Network:
    """Network of a PyTorch module that is affine between one layer of units and the next.

    An `nn.Sequential` (nested too) is read by its layers: Linear, ReLU, LeakyReLU, PReLU, ReLU6, Hardtanh,
    Conv2d, AvgPool2d, Flatten, Identity, Dropout. Any other module goes through `torch.export`, and so does
    what that exported: convolutions of one to three axes and transposed ones, pooling by averages, batch
    normalisation, branches and skips, slices, products with stored matrices. float32 weights become the same
    numbers in float64, on inputs flattened row by row; what rounds is stated in `from_onnx`. A last softmax,
    sigmoid or tanh is read up to, and the name says so.

    Parameters
    ----------
    model : torch.nn.Module, torch.jit.ScriptModule or torch.export.ExportedProgram, weights float32 or
        float64
    name : str, for reports; default the class name
    input_shape : shape of one input without the batch, where the first layer does not tell it
    example_input : tensor with a batch axis that the model takes, for `torch.export`; where it takes
        several, a tuple of them, or a dictionary by their names
    output : name of the output to read where there are several: a key of the dictionary that the model
        returns, or else its number, "0", "1", ...; default the first
    inputs : values of all inputs but one by their names, where there are several: arrays of one sample, or
        numbers

    Returns
    -------
    network : Network

    Raises
    ------
    InvalidNetworkError : if an operator is not supported, Dropout or BatchNorm is in training mode, values
        are multiplied, or the model does not compute what its layers say
    InvalidInputError : if PyTorch is not installed, there is no such output or input, or there are several
        inputs and it is not said which
    BudgetExceededError : if a layer would have more than 2**27 weights

    Examples
    --------
    >>> import pytest
    >>> torch = pytest.importorskip("torch")
    >>> model = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.ReLU(), torch.nn.Linear(3, 1))
    >>> from_torch(model, name="small").describe()
    'small: 2 -> 3 -> 1, 3 ReLU units in 1 layer'
    """
    torch = optional_import("torch", "torch", "reading a PyTorch model")
    model = getattr(model, "_orig_mod", model)  # of torch.compile
    kind = type(model).__name__
    ends = output, inputs
    if isinstance(model, torch.export.ExportedProgram):
        return _from_program(torch, model, name or kind, f"the PyTorch {kind}", ends)
    if not isinstance(model, torch.nn.Module):
        hint = "; this looks like a state_dict: load it into its module and give the module"
        raise InvalidNetworkError(
            f"cannot read a {type(model).__module__}.{kind}; expected is a torch.nn.Module or an exported "
            f"program{hint if isinstance(model, dict) else ''}"
        )
    shape = None if input_shape is None else tuple(int(size) for size in input_shape)
    if example_input is not None:
        return _from_export(torch, model, name or kind, example_input, ends)
    try:
        if output is not None or inputs or isinstance(model, torch.jit.ScriptModule):
            raise _Unsupported(f"{name or kind} has no layers that are read by their classes")
        chain, weight, shape = _lower_module(torch.nn, model, shape)
    except _Unsupported as refusal:
        example = _example(torch, model, shape)
        if example is None:
            raise InvalidNetworkError(
                f"{refusal}; give example_input=, a tensor that the model takes"
            ) from refusal
        try:
            return _from_export(torch, model, name or kind, example, ends)
        except InvalidNetworkError as error:
            raise InvalidNetworkError(f"{refusal}, and through torch.export: {error}") from error

    def module_forward(x: FloatArray) -> NDArray[Any]:
        with torch.no_grad():
            y = model(torch.as_tensor(x, dtype=weight.dtype, device=weight.device).reshape(-1, *shape))
        return np.asarray(y.detach().cpu().numpy()).reshape(len(x), -1)

    dtype = source_dtype(weight, "the first layer with weights")
    return check_against_source(chain.network(name or kind), module_forward, f"the PyTorch {kind}", dtype)


class _Unsupported(InvalidNetworkError):
    """A layer that is not read by its class."""


Ends = tuple[str | None, Mapping[str, Any] | None]  # the output that is read, values of other inputs


def _from_program(torch: Any, exported: Any, name: str, source: str, ends: Ends) -> Network:
    """Read a program; operators that are not known are written in simpler ones, if PyTorch can do that."""
    program = Program(torch, exported, *ends)
    if changes_in_place(exported):  # written without that
        exported = exported.run_decompositions({})
    try:
        network = Program(torch, exported, *ends).network(name)
    except InvalidNetworkError as error:
        if "is not supported" not in str(error):
            raise
        try:
            simpler = Program(torch, exported.run_decompositions(), *ends)
            network = simpler.network(name)
        except Exception:
            raise error from None
    return check_against_source(network, program.forward, source, program.dtype)


def _from_export(torch: Any, model: Any, name: str, example: Any, ends: Ends) -> Network:
    """Read a module through `torch.export`."""
    if model.training and any(
        type(part).__name__.startswith(("Dropout", "BatchNorm")) for part in model.modules()
    ):
        raise InvalidNetworkError(f"{name} is in training mode; call model.eval() first")
    arguments = example if isinstance(example, tuple) else () if isinstance(example, dict) else (example,)
    named = example if isinstance(example, dict) else {}
    try:
        if isinstance(model, torch.jit.ScriptModule):
            exported = _from_script(torch, model, arguments, named)
        else:
            exported = torch.export.export(model, arguments, named)
    except Exception as error:
        reason = str(error).strip().split("\n")[0]
        shapes = ", ".join(str(tuple(getattr(x, "shape", ()))) for x in (*arguments, *named.values()))
        raise InvalidNetworkError(
            f"torch.export cannot export {name} with an input of shape {shapes} "
            f"({type(error).__name__}: {reason}); give example_input=, a tensor that the model takes"
        ) from error
    return _from_program(torch, exported, name, f"the PyTorch {name}", ends)


def _from_script(torch: Any, model: Any, arguments: tuple[Any, ...], named: dict[str, Any]) -> Any:
    """Write a scripted or traced module as an exported program."""
    converter = optional_import("torch._export.converter", "torch", "reading a scripted module")
    with _quiet("torch"):
        # its sizes may vary; exported again they are those of the example
        plain = converter.TS2EPConverter(model, arguments, named).convert().module()
        return torch.export.export(plain, arguments, named)


@contextmanager
def _quiet(logger: str) -> Iterator[None]:
    """Keep a package from warning of what is its own affair."""
    log = logging.getLogger(logger)
    before = log.level
    log.setLevel(logging.ERROR)
    try:
        yield
    finally:
        log.setLevel(before)


def _example(torch: Any, model: Any, shape: tuple[int, ...] | None) -> Any:
    """An input of the given shape, or of as many values as the first linear layer takes."""
    weights = [
        part.weight for part in model.modules() if hasattr(part, "in_features") and hasattr(part, "weight")
    ]
    if isinstance(model, torch.jit.ScriptModule):  # which keeps no sizes beside its weights
        weights = [part for part in model.parameters() if part.dim() == 2]
    given = next(model.parameters(), None)
    if shape is None and weights and type(weights[0]).__name__ != "UninitializedParameter":
        shape = (int(weights[0].shape[-1]),)
    if shape is None or given is None:
        return None
    return torch.zeros(1, *shape, dtype=given.dtype, device=given.device)


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
        # named_children leaves out a module that comes a second time
        for key, child in zip(module._modules, module, strict=True):
            yield from _flat_layers(nn, child, f"{where}.{key}")
        return
    known = [getattr(nn, layer) for layer in LAYERS]
    # a subclass counts only if it computes what its base class computes
    if not any(isinstance(module, base) and kind.forward is base.forward for base in known):
        raise _Unsupported(f"unsupported layer {kind.__name__} at {where}; supported are {SUPPORTED}")
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
