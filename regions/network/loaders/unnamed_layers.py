"""Files that hold weights but not what follows them: `.npz` with numbered keys, PyTorch's state_dict.

Units between layers are taken for ReLUs, and the network's name says so. An order that the names or shapes
do not settle is refused.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from regions.errors import InvalidInputError, InvalidNetworkError
from regions.network.loaders.chain import Chain
from regions.network.loaders.checks import FloatArray, check_against_source, reading
from regions.network.npz_members import read_members
from regions.network.relu_network import Network

__all__ = ["ASSUMED", "from_numbered_arrays", "from_state_dict", "has_numbered_arrays"]

ASSUMED = "ReLUs between its layers are assumed"
_NUMBERED = re.compile(r"arr_(0|[1-9][0-9]*)")
_NORM_KEYS = {"weight", "bias", "running_mean", "running_var", "num_batches_tracked"}


class _Layer(NamedTuple):
    """A linear layer, or a batch normalisation (its factor and offset), by the name of its module."""

    name: str
    weight: FloatArray
    bias: FloatArray | None

    @property
    def is_linear(self) -> bool:
        """Whether the layer mixes its values."""
        return self.weight.ndim == 2


def has_numbered_arrays(file: Path) -> bool:
    """Whether a `.npz` has the keys that `numpy.savez` gives to arrays without names, and no others."""
    try:
        with zipfile.ZipFile(file) as archive:
            names = [name.removesuffix(".npy") for name in archive.namelist()]
    except (OSError, ValueError, NotImplementedError, zipfile.BadZipFile):
        return False
    return bool(names) and all(_NUMBERED.fullmatch(name) for name in names)


def from_numbered_arrays(file: Path) -> Network:
    """Network of arrays `arr_0, arr_1, ...`: weights, each followed by its bias or not.

    Raises
    ------
    InvalidNetworkError : if the file is damaged, or the shapes fit together in no way or in two
    """
    try:
        stored = read_members(file)
    except InvalidInputError as error:
        raise InvalidNetworkError(str(error)) from error
    arrays = [stored[key] for key in sorted(stored, key=lambda key: int(key[4:]))]
    shapes = ", ".join(str(array.shape) for array in arrays)
    fitting = [pairs for turn in (False, True) if (pairs := _paired(arrays, turn))]
    if len(fitting) != 1:
        raise InvalidNetworkError(
            f"{file} has arrays of shapes {shapes}, which fit together as weights and biases "
            f"{'both as (out, in) and as (in, out)' if fitting else 'in no way'}; store them by the keys W0, "
            f"b0, W1, b1, ..., where W is (out, in)"
        )
    weights = [weight for weight, _ in fitting[0]]
    biases = [np.zeros(len(weight)) if bias is None else bias for weight, bias in fitting[0]]
    return Network.from_arrays(weights, biases, name=f"{file.stem} ({ASSUMED})")


def _paired(
    arrays: Sequence[NDArray[Any]], turn: bool
) -> list[tuple[NDArray[Any], NDArray[Any] | None]] | None:
    """Weights `(out, in)` with their biases, None if the shapes do not chain."""
    pairs: list[tuple[NDArray[Any], NDArray[Any] | None]] = []
    for array in arrays:
        if array.ndim == 2:
            pairs.append((array.T if turn else array, None))
        elif array.ndim == 1 and pairs and pairs[-1][1] is None and array.size == len(pairs[-1][0]):
            pairs[-1] = (pairs[-1][0], array)
        else:
            return None
    chained = all(before[0].shape[0] == after[0].shape[1] for before, after in pairwise(pairs))
    return pairs if pairs and chained else None


def from_state_dict(state: Mapping[str, Any], name: str) -> Network:
    """Network of PyTorch's parameters by name, of Linear and BatchNorm1d modules in one order.

    A module's number tells whether there is room for a ReLU between two layers: between `0` and `1` there
    is none. Names without numbers are taken in the order of the file if no other fits their shapes.

    Raises
    ------
    InvalidNetworkError : if a parameter belongs to another layer, or the order is not settled; the message
        has the lines that export the model with its order
    """
    try:
        with reading("the state_dict"):
            layers = _layers(state)
            _check_order(layers)
    except InvalidNetworkError as error:
        n = next((int(value.shape[-1]) for value in state.values() if getattr(value, "ndim", 0) == 2), 1)
        raise InvalidNetworkError(f"{error}; {_export_lines(name, n)}") from error
    chain = Chain(layers[0].weight.shape[1])
    for layer, after in zip(layers, [*layers[1:], None], strict=True):
        if layer.is_linear:
            chain.affine(layer.weight, layer.bias)
        else:
            chain.scale(layer.weight)
            chain.shift(np.zeros(chain.width) if layer.bias is None else layer.bias)
        if after is not None and _has_room(layer, after):
            chain.relu()
    network = chain.network(f"{name} ({ASSUMED})")
    return check_against_source(network, lambda x: _forward(layers, x), f"the state_dict {name}", "float64")


def _layers(state: Mapping[str, Any]) -> list[_Layer]:
    """The modules of a state_dict in its order."""
    modules: dict[str, dict[str, Any]] = {}
    for key, value in state.items():
        prefix, _, kind = str(key).rpartition(".")
        if not hasattr(value, "detach"):
            raise InvalidNetworkError(f"its entry {key!r} is a {type(value).__name__}, not a tensor")
        modules.setdefault(prefix, {})[kind] = value.detach().cpu()
    layers = []
    for prefix, parts in modules.items():
        numbers = {
            kind: np.asarray(value.double().numpy())
            for kind, value in parts.items()
            if value.is_floating_point()
        }
        if set(parts) <= {"weight", "bias"} and "weight" in numbers and numbers["weight"].ndim == 2:
            layers.append(_Layer(prefix, numbers["weight"], numbers.get("bias")))
        elif {"running_mean", "running_var"} <= set(numbers) and set(parts) <= _NORM_KEYS:
            # the epsilon of nn.BatchNorm1d is not stored; this is its default
            factor = numbers.get("weight", 1.0) / np.sqrt(numbers["running_var"] + 1e-5)
            offset = numbers.get("bias", 0.0) - numbers["running_mean"] * factor
            layers.append(_Layer(prefix, factor, offset))
        else:
            raise InvalidNetworkError(
                f"its module {prefix!r} has {', '.join(sorted(parts))}, which are not those of a Linear or a "
                f"BatchNorm1d"
            )
    return layers


def _check_order(layers: list[_Layer]) -> None:
    """Raise unless the shapes chain in the file's order, and nothing suggests another."""
    linear = [layer for layer in layers if layer.is_linear]
    if not linear or not layers[0].is_linear:
        raise InvalidNetworkError("it does not begin with a Linear module")
    width = linear[0].weight.shape[1]
    for layer in layers:
        if layer.weight.shape[-1] != width:
            raise InvalidNetworkError(
                f"its module {layer.name!r} takes {layer.weight.shape[-1]} values, but the one before it "
                f"gives {width}"
            )
        width = layer.weight.shape[0]
    names = [layer.name for layer in layers]
    numbered = all(re.search(r"\d", name) for name in names) or len(names) == 1
    settled = numbered and sorted(names, key=_natural) == names
    places = [_place(name) for name in names]
    one_sequence = len({outer for outer, _ in places}) == 1 and all(
        number is not None for _, number in places
    )
    if len(linear) < len(layers) and not (settled and one_sequence):
        raise InvalidNetworkError(
            "where its BatchNorm modules act, before the ReLUs or behind, is not stored"
        )
    if not settled and _orders(linear) != 1:
        raise InvalidNetworkError(f"its modules {', '.join(names)} fit together in more than one order")


def _orders(layers: list[_Layer]) -> int:
    """In how many orders the shapes chain: 2 stands for any more."""
    found = 0

    def extend(rest: list[_Layer], width: int | None) -> None:
        nonlocal found
        for k, layer in enumerate(rest):
            if found < 2 and width in (None, layer.weight.shape[1]):
                if len(rest) == 1:
                    found += 1
                extend(rest[:k] + rest[k + 1 :], layer.weight.shape[0])

    extend(layers[:9], None)
    return 2 if len(layers) > 9 else found


def _has_room(layer: _Layer, after: _Layer) -> bool:
    """Whether a ReLU is taken to stand between two modules."""
    (outer, first), (other, second) = _place(layer.name), _place(after.name)
    if first is None or second is None or outer != other:
        return after.is_linear
    return second - first > 1


def _place(name: str) -> tuple[str, int | None]:
    """The nn.Sequential that a module is in, and its number there, if its name says that."""
    outer, _, last = name.rpartition(".")
    return outer, int(last) if last.isdigit() else None


def _natural(name: str) -> list[tuple[int, Any]]:
    return [(1, int(part)) if part.isdigit() else (0, part) for part in re.split(r"(\d+)", name) if part]


def _forward(layers: list[_Layer], x: FloatArray) -> FloatArray:
    for layer, after in zip(layers, [*layers[1:], None], strict=True):
        x = x @ layer.weight.T if layer.is_linear else x * layer.weight
        x = x if layer.bias is None else x + layer.bias
        if after is not None and _has_room(layer, after):
            x = np.maximum(x, 0.0)
    return x


def _export_lines(name: str, inputs: int) -> str:
    return (
        "a state_dict holds weights but not what the model does with them; these lines export both:\n"
        f'    model.load_state_dict(torch.load("{name}.pth")); model.eval()\n'
        f"    program = torch.export.export(model, (torch.zeros(1, {inputs}),))\n"
        f'    torch.export.save(program, "{name}.pt2")'
    )
