"""PyTorch `nn.Sequential` modules; programs exported by `torch.export` are left to `torch_program`.

Only the module's structure is read here; that it tells the truth is for `checks` to find out.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from regions.errors import InvalidNetworkError
from regions.loaders.chain import Chain
from regions.loaders.checks import FloatArray, check_against_source, optional_import
from regions.loaders.torch_program import lower_program, program_forward
from regions.loaders.torch_tensors import linear_arrays, source_dtype
from regions.network import Network

__all__ = ["from_torch"]

SUPPORTED = "Linear, ReLU, Flatten(start_dim=1), Identity, Dropout in eval mode, and nested Sequential"


def from_torch(model: Any, *, name: str = "") -> Network:
    """Network of a PyTorch `nn.Sequential` (nested too) or of a program exported by `torch.export`.

    Layers: Linear, ReLU, Flatten, Identity, Dropout in eval mode. float32 weights become the same
    numbers in float64.

    Parameters
    ----------
    model : torch.nn.Module or torch.export.ExportedProgram, weights float32 or float64
    name : str, for reports; default the class name

    Returns
    -------
    network : Network

    Raises
    ------
    InvalidNetworkError : if a layer is not supported, Dropout is in training mode, or the model does
        not compute what its layers say
    InvalidInputError : if PyTorch is not installed

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
    chain, weight = _lower_module(torch.nn, model)

    def module_forward(x: FloatArray) -> NDArray[Any]:
        with torch.no_grad():
            y = model(torch.as_tensor(x, dtype=weight.dtype, device=weight.device))
        return np.asarray(y.detach().cpu().numpy())

    dtype = source_dtype(weight, "the first Linear layer")
    return check_against_source(chain.network(name or kind), module_forward, source, dtype)


def _lower_module(nn: Any, model: Any) -> tuple[Chain, Any]:
    """The module's layers, and its first weight."""
    layers = list(_flat_layers(nn, model, type(model).__name__))
    linear = [layer for _, layer in layers if isinstance(layer, nn.Linear)]
    if not linear:
        raise InvalidNetworkError("the PyTorch model has no Linear layer, so its input size is unknown")
    chain = Chain(int(linear[0].in_features))
    for where, layer in layers:
        if isinstance(layer, nn.Linear):
            chain.affine(*linear_arrays(layer.weight, layer.bias, where))
        elif isinstance(layer, nn.ReLU):
            chain.relu()
    return chain, linear[0].weight


def _flat_layers(nn: Any, module: Any, where: str) -> Iterator[tuple[str, Any]]:
    """Leaves of nested Sequentials with their paths, each known to be supported."""
    kind = type(module)
    if isinstance(module, nn.Sequential) and kind.forward is nn.Sequential.forward:
        for key, child in module.named_children():
            yield from _flat_layers(nn, child, f"{where}.{key}")
        return
    known = (nn.Linear, nn.ReLU, nn.Flatten, nn.Identity, nn.Dropout)
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
