"""Files of networks: a `.npz` with keys `W0, b0, W1, b1, ...`, and `relu`, `slopes1` and `name` where wanted.

Whether the layers fit together, `Network` checks; other people's formats are read by `loaders`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from regions.errors import InvalidInputError, InvalidNetworkError
from regions.network.npz_members import read_members
from regions.reports import replacing

_LAYER_KEY = re.compile(r"([Wb])(0|[1-9][0-9]*)")
_SLOPES_KEY = re.compile(r"slopes(0|[1-9][0-9]*)")
_TWO_SLOPES = 2  # flag of a layer whose units are no ReLUs; releases that do not know it refuse the file


class StoredLayers(NamedTuple):
    """What a file holds of a network; `relu` is None where the file does not say."""

    weights: Sequence[NDArray[Any]]
    biases: Sequence[NDArray[Any]]
    relu: Sequence[bool] | None
    name: str
    slopes: Sequence[NDArray[Any] | None] | None = None


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
    if relu is not None and (relu.ndim != 1 or relu.dtype not in (np.bool_, np.uint8)):
        raise InvalidNetworkError(
            f"{file}: key 'relu' is {relu.dtype} of shape {relu.shape}; store one bool per layer"
        )
    try:
        flags, slopes = read_flags([] if relu is None else relu.tolist(), stored)
    except InvalidNetworkError as error:
        raise InvalidNetworkError(f"{file}: {error}") from error
    return StoredLayers(
        [stored[f"W{layer}"] for layer in layers],
        [stored[f"b{layer}"] for layer in layers],
        None if relu is None else flags,
        str(stored.get("name", file.stem)),
        slopes,
    )


def write_layers(path: str | os.PathLike[str], layers: StoredLayers) -> None:
    """Write layers in the form that `read_layers` reads back bit for bit.

    Raises
    ------
    InvalidInputError
        If the file cannot be written.
    """
    # the flags come first, so that damage which hides the last entries cannot hide their absence
    flags, slopes = written_flags(layers.relu or (), layers.slopes or ())
    relu = np.array(flags, np.uint8 if slopes else np.bool_)
    stored: dict[str, Any] = {"relu": relu, "name": np.array(layers.name)}
    stored |= {f"W{layer}": weight for layer, weight in enumerate(layers.weights)}
    stored |= {f"b{layer}": bias for layer, bias in enumerate(layers.biases)}
    stored |= slopes
    # an open file, because given a path numpy appends ".npz" to names without it
    with replacing(path, "network") as file:
        np.savez(file, **stored)


def written_flags(
    relu: Sequence[bool], slopes: Sequence[NDArray[Any] | None]
) -> tuple[list[bool | int], dict[str, NDArray[Any]]]:
    """Return a flag for each layer as files have it, and the slopes by the names of their entries.

    Examples
    --------
    >>> flags, entries = written_flags([True, True, False], [None, np.array([[0.1], [1.0]]), None])
    >>> flags, list(entries)
    ([True, 2, False], ['slopes1'])
    """
    entries = {f"slopes{k}": pair for k, pair in enumerate(slopes) if pair is not None}
    flags = [_TWO_SLOPES if f"slopes{k}" in entries else bool(flag) for k, flag in enumerate(relu)]
    return flags, entries


def read_flags(
    flags: Sequence[Any], stored: Mapping[str, NDArray[Any]]
) -> tuple[list[bool], list[NDArray[Any] | None]]:
    """Return whether units follow each layer, and their slopes, from what `written_flags` gave.

    Raises
    ------
    InvalidNetworkError
        If flags and slopes do not fit together.
    """
    named = sorted(int(match[1]) for key in stored if (match := _SLOPES_KEY.fullmatch(key)))
    if [k for k, flag in enumerate(flags) if flag == _TWO_SLOPES] != named or not set(flags) <= {0, 1, 2}:
        raise InvalidNetworkError(
            f"key 'relu' says {list(flags)} and there are slopes of the layers {named}; the flag is "
            f"{_TWO_SLOPES} where a layer has slopes, else 0 or 1"
        )
    slopes = [stored.get(f"slopes{k}") for k in range(len(flags))]
    return [bool(flag) for flag in flags], slopes


def _read_npz(file: Path) -> dict[str, NDArray[Any]]:
    try:
        return read_members(file, _is_wanted)
    except InvalidInputError as error:
        raise InvalidNetworkError(f"{error}; a network file has arrays W0, b0, W1, b1, ...") from error


def _is_wanted(key: str) -> bool:
    return bool(_LAYER_KEY.fullmatch(key) or _SLOPES_KEY.fullmatch(key)) or key in ("relu", "name")


def _count_stored_layers(file: Path, stored: dict[str, NDArray[Any]]) -> int:
    layers = {int(match[2]) for key in stored if (match := _LAYER_KEY.fullmatch(key))}
    if not layers:
        raise InvalidNetworkError(f"{file} has no keys W0, b0, W1, b1, ...; it holds no network")
    wanted = (f"{kind}{layer}" for layer in range(max(layers) + 1) for kind in "Wb")
    missing = next((key for key in wanted if key not in stored), None)
    if missing is not None:
        raise InvalidNetworkError(f"{file} has layers up to {max(layers)} but no key {missing}")
    return max(layers) + 1
