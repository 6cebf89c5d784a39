"""What the constructor of a network checks: numbers that float64 holds, shapes that chain, flags."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from regions.errors import InvalidNetworkError, RegionsError
from regions.inputs import without_tensors
from regions.network.layer_matrices import SMALLEST_SPARSE, Matrix

__all__ = ["check_chain", "checked_arrays", "exact_float64", "relu_flags"]

FloatArray = NDArray[np.float64]


def exact_float64(what: str, value: Any, error: type[RegionsError]) -> FloatArray:
    """Return a C-contiguous float64 copy; raise the given error if that would round or is not finite."""
    try:
        # scipy's sparse matrices have an own way to be dense
        given = value.toarray() if hasattr(value, "toarray") else np.asarray(without_tensors(value))
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


def _listed(what: str, values: Any) -> list[Any]:
    try:
        return list(values)
    except TypeError as error:
        raise InvalidNetworkError(f"{what} is a {type(values).__name__}; give one per layer") from error


def _non_zeros(what: str, matrix: Any) -> Matrix:
    """Return a CSR copy of a large sparse matrix, checked as `exact_float64` checks dense ones."""
    rows = matrix.tocsr(copy=True)
    rows.sum_duplicates()
    unsound = np.flatnonzero(~np.isfinite(rows.data)) if rows.dtype.kind == "f" else np.zeros(0, np.int64)
    if unsound.size:
        row = int(np.searchsorted(rows.indptr, unsound[0], side="right")) - 1
        at = (row, int(rows.indices[unsound[0]]))
        raise InvalidNetworkError(
            f"{what} holds {rows.data[unsound[0]]} at index {at}; every number must be finite"
        )
    values = exact_float64(what, rows.data, InvalidNetworkError)
    return type(rows)((values, rows.indices, rows.indptr), rows.shape)


def checked_arrays(what: str, values: Any, ndim: int) -> tuple[Matrix, ...]:
    """Return copies of a layer's arrays, of `ndim` axes each, in float64; large sparse ones remain sparse.

    Raises
    ------
    InvalidNetworkError
        If they are no such arrays, or float64 does not hold their numbers.
    """
    arrays: list[Matrix] = []
    for layer, item in enumerate(_listed(what, values)):
        if hasattr(item, "tocsr") and len(item.shape) == 2 and prod(item.shape) >= SMALLEST_SPARSE:
            arrays.append(_non_zeros(f"{what}[{layer}]", item))
            continue
        array = exact_float64(f"{what}[{layer}]", item, InvalidNetworkError)
        if array.ndim != ndim:
            raise InvalidNetworkError(f"{what}[{layer}] has shape {array.shape}; expected {ndim} axes")
        array.setflags(write=False)
        arrays.append(array)
    return tuple(arrays)


def check_chain(weights: tuple[Matrix, ...], biases: tuple[FloatArray, ...]) -> None:
    """Raise InvalidNetworkError if there is no layer, a width is 0, or shapes do not fit together."""
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
    """Return the flags, one per layer; raise InvalidNetworkError if they are not that."""
    flags = _listed("relu", relu)
    if len(flags) != n_layers:
        raise InvalidNetworkError(f"relu has {len(flags)} flags for {n_layers} layers; give one per layer")
    for layer, flag in enumerate(flags):
        if not isinstance(flag, bool | np.bool_):
            raise InvalidNetworkError(f"relu[{layer}] is {flag!r}; expected True or False")
    return tuple(bool(flag) for flag in flags)
