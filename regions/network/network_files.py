"""Files of networks: a `.npz` with keys `W0, b0, W1, b1, ...`, and `relu` and `name` where wanted.

Whether the layers fit together, `Network` checks; other people's formats are read by `loaders`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from regions.errors import InvalidInputError, InvalidNetworkError
from regions.network.npz_members import read_members
from regions.reports import replacing

_LAYER_KEY = re.compile(r"([Wb])(0|[1-9][0-9]*)")


class StoredLayers(NamedTuple):
    """What a file holds of a network; `relu` is None where the file does not say."""

    weights: Sequence[NDArray[Any]]
    biases: Sequence[NDArray[Any]]
    relu: Sequence[bool] | None
    name: str


def read_layers(path: str | os.PathLike[str]) -> StoredLayers:
    """Read the layers of a network file; without a key `name` they are named after the file.

    Raises
    ------
    InvalidInputError
        If there is no such file.
    InvalidNetworkError
        If it is no readable `.npz`, a layer is missing, or the flags are no flags.
    """
    file = Path(path)
    if not file.is_file():
        raise InvalidInputError(f"no network file at {str(file)!r}; give the path of a .npz file")
    stored = _read_npz(file)
    layers = range(_count_stored_layers(file, stored))
    relu = stored.get("relu")
    if relu is not None and (relu.ndim != 1 or relu.dtype != np.bool_):
        raise InvalidNetworkError(
            f"{file}: key 'relu' is {relu.dtype} of shape {relu.shape}; store one bool per layer"
        )
    return StoredLayers(
        [stored[f"W{layer}"] for layer in layers],
        [stored[f"b{layer}"] for layer in layers],
        None if relu is None else relu.tolist(),
        str(stored.get("name", file.stem)),
    )


def write_layers(path: str | os.PathLike[str], layers: StoredLayers) -> None:
    """Write layers in the form that `read_layers` reads back bit for bit.

    Raises
    ------
    InvalidInputError
        If the file cannot be written.
    """
    # the flags come first, so that damage which hides the last entries cannot hide their absence
    stored: dict[str, Any] = {"relu": np.array(layers.relu), "name": np.array(layers.name)}
    stored |= {f"W{layer}": weight for layer, weight in enumerate(layers.weights)}
    stored |= {f"b{layer}": bias for layer, bias in enumerate(layers.biases)}
    # an open file, because given a path numpy appends ".npz" to names without it
    with replacing(path, "network") as file:
        np.savez(file, **stored)


def _read_npz(file: Path) -> dict[str, NDArray[Any]]:
    try:
        return read_members(file, lambda key: bool(_LAYER_KEY.fullmatch(key)) or key in ("relu", "name"))
    except InvalidInputError as error:
        raise InvalidNetworkError(f"{error}; a network file has arrays W0, b0, W1, b1, ...") from error


def _count_stored_layers(file: Path, stored: dict[str, NDArray[Any]]) -> int:
    layers = {int(match[2]) for key in stored if (match := _LAYER_KEY.fullmatch(key))}
    if not layers:
        raise InvalidNetworkError(f"{file} has no keys W0, b0, W1, b1, ...; it holds no network")
    wanted = (f"{kind}{layer}" for layer in range(max(layers) + 1) for kind in "Wb")
    missing = next((key for key in wanted if key not in stored), None)
    if missing is not None:
        raise InvalidNetworkError(f"{file} has layers up to {max(layers)} but no key {missing}")
    return max(layers) + 1
