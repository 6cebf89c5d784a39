"""Files of networks: a `.npz` with keys `W0, b0, W1, b1, ...`, and `relu`, `slopes1` and `name` where wanted.

A large sparse matrix is in `W2` by its non-zeros, with `W2_columns`, `W2_starts` and `W2_size` beside.
Whether the layers fit together, `Network` checks; other people's formats are read by `loaders`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from math import prod
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from regions.errors import InvalidInputError, InvalidNetworkError
from regions.network.layer_matrices import from_parts, is_sparse, matrices_of, parts_of
from regions.network.npz_members import read_members
from regions.reports import replacing

_LAYER_KEY = re.compile(r"([Wb])(0|[1-9][0-9]*)")
_PART_KEY = re.compile(r"W(0|[1-9][0-9]*)_(columns|starts|size)")
_SLOPES_KEY = re.compile(r"slopes(0|[1-9][0-9]*)")
_MAXIMA_KEY = re.compile(r"maxima(0|[1-9][0-9]*)")
MOST_DENSE_IN_FILES = 2**22  # entries; larger sparse matrices are stored by their non-zeros
_TWO_SLOPES = 2  # flag of a layer whose units are no ReLUs; releases that do not know it refuse the file
_MAX_UNITS = 3  # flag of a layer some of whose units are max units; the others may have slopes


class StoredLayers(NamedTuple):
    """What a file holds of a network, as `Network.from_arrays` takes it; `relu` is None if not said."""

    weights: Sequence[Any]
    biases: Sequence[NDArray[Any]]
    relu: Sequence[bool] | None
    name: str
    slopes: Sequence[NDArray[Any] | None] | None = None
    maxima: Sequence[NDArray[Any] | None] | None = None


class Layers(Protocol):
    """What has layers: a network, or what is stored of one."""

    @property
    def weights(self) -> Sequence[NDArray[Any]]:
        """The weights of all layers, (out, in) each."""

    @property
    def biases(self) -> Sequence[NDArray[Any]]:
        """The biases of all layers."""

    @property
    def relu(self) -> Sequence[bool] | None:
        """Whether units follow each layer."""

    @property
    def name(self) -> str:
        """A name for reports."""

    @property
    def slopes(self) -> Sequence[NDArray[Any] | None] | None:
        """The slopes of the units of each layer, None where they are ReLUs."""

    @property
    def maxima(self) -> Sequence[NDArray[Any] | None] | None:
        """The numbers of rows of the units of each layer, None where there are no max units."""


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
    count = _count_stored_layers(file, stored)
    relu = stored.get("relu")
    if relu is not None and (relu.ndim != 1 or relu.dtype not in (np.bool_, np.uint8)):
        raise InvalidNetworkError(
            f"{file}: key 'relu' is {relu.dtype} of shape {relu.shape}; store one bool per layer"
        )
    name = str(stored.get("name", file.stem))
    try:
        return from_entries(None if relu is None else relu.tolist(), stored, name, count)
    except InvalidNetworkError as error:
        raise InvalidNetworkError(f"{file}: {error}") from error


def write_layers(path: str | os.PathLike[str], layers: Layers) -> None:
    """Write layers in the form that `read_layers` reads back bit for bit.

    Raises
    ------
    InvalidInputError
        If the file cannot be written.
    """
    flags, entries = to_entries(layers)
    relu = np.array(flags, np.uint8 if {_TWO_SLOPES, _MAX_UNITS} & set(flags) else np.bool_)
    # the flags come first, so that damage which hides the last entries cannot hide their absence
    stored: dict[str, Any] = {"relu": relu, "name": np.array(layers.name), **entries}
    # an open file, because given a path numpy appends ".npz" to names without it
    with replacing(path, "network") as file:
        np.savez(file, **stored)


def to_entries(layers: Layers) -> tuple[list[bool | int], dict[str, NDArray[Any]]]:
    """Return a flag for each layer as files have it, and the arrays by the names of their entries.

    Examples
    --------
    >>> one = np.array([[0.5]])
    >>> slopes = [np.array([[0.1], [1.0]]), None]
    >>> flags, entries = to_entries(StoredLayers([one] * 2, [one[0]] * 2, [True, False], "", slopes))
    >>> flags, list(entries)
    ([2, False], ['W0', 'W1', 'b0', 'b1', 'slopes0'])
    """
    entries: dict[str, NDArray[Any]] = {}
    for k, weight in enumerate(matrices_of(layers.weights)):
        if is_sparse(weight) and prod(weight.shape) > MOST_DENSE_IN_FILES:
            entries |= {f"W{k}_{name}".rstrip("_"): part for name, part in parts_of(weight).items()}
        else:
            entries[f"W{k}"] = weight.toarray() if is_sparse(weight) else weight
    entries |= {f"b{k}": bias for k, bias in enumerate(layers.biases)}
    entries |= {f"slopes{k}": pair for k, pair in enumerate(layers.slopes or ()) if pair is not None}
    entries |= {f"maxima{k}": sizes for k, sizes in enumerate(layers.maxima or ()) if sizes is not None}
    flags: list[bool | int] = []
    for k, flag in enumerate(layers.relu or ()):
        kind = _MAX_UNITS if f"maxima{k}" in entries else _TWO_SLOPES if f"slopes{k}" in entries else None
        flags.append(bool(flag) if kind is None else kind)
    return flags, entries


def from_entries(
    flags: Sequence[Any] | None, stored: Mapping[str, NDArray[Any]], name: str, count: int | None = None
) -> StoredLayers:
    """Return layers from what `to_entries` gave; without flags, `count` layers that do not say what follows.

    Raises
    ------
    InvalidNetworkError
        If flags, slopes and max units do not fit together.
    """
    given = list(flags or ())
    named, owned = (
        sorted(int(match[1]) for name in stored if (match := key.fullmatch(name)))
        for key in (_SLOPES_KEY, _MAXIMA_KEY)
    )
    sloped = [k for k in named if k not in owned]
    if (
        [k for k, flag in enumerate(given) if flag == _TWO_SLOPES] != sloped
        or [k for k, flag in enumerate(given) if flag == _MAX_UNITS] != owned
        or not set(given) <= {0, 1, _TWO_SLOPES, _MAX_UNITS}
    ):
        raise InvalidNetworkError(
            f"key 'relu' says {given} and there are slopes of the layers {named}, max units of {owned}; the "
            f"flag is {_MAX_UNITS} where a layer has max units, else {_TWO_SLOPES} where a layer has slopes, "
            "else 0 or 1"
        )
    layers = range(len(given) if count is None else count)
    return StoredLayers(
        [_matrix(stored, k) for k in layers],
        [stored[f"b{k}"] for k in layers],
        None if flags is None else [bool(flag) for flag in given],
        name,
        [stored.get(f"slopes{k}") for k in range(len(given))],
        [stored.get(f"maxima{k}") for k in range(len(given))],
    )


def _matrix(stored: Mapping[str, NDArray[Any]], layer: int) -> Any:
    """Return the matrix of a layer, dense or by its non-zeros."""
    values = stored[f"W{layer}"]
    parts = [stored.get(f"W{layer}_{name}") for name in ("columns", "starts", "size")]
    return values if any(part is None for part in parts) else from_parts(values, *parts)


def _read_npz(file: Path) -> dict[str, NDArray[Any]]:
    try:
        return read_members(file, _is_wanted)
    except InvalidInputError as error:
        raise InvalidNetworkError(f"{error}; a network file has arrays W0, b0, W1, b1, ...") from error


def _is_wanted(key: str) -> bool:
    forms = (_LAYER_KEY, _PART_KEY, _SLOPES_KEY, _MAXIMA_KEY)
    return any(form.fullmatch(key) for form in forms) or key in ("relu", "name")


def _count_stored_layers(file: Path, stored: dict[str, NDArray[Any]]) -> int:
    layers = {int(match[2]) for key in stored if (match := _LAYER_KEY.fullmatch(key))}
    if not layers:
        raise InvalidNetworkError(f"{file} has no keys W0, b0, W1, b1, ...; it holds no network")
    wanted = (f"{kind}{layer}" for layer in range(max(layers) + 1) for kind in "Wb")
    missing = next((key for key in wanted if key not in stored), None)
    if missing is not None:
        raise InvalidNetworkError(f"{file} has layers up to {max(layers)} but no key {missing}")
    return max(layers) + 1
