"""Which sums over maps do not round: those of networks of small integers and of short fractions.

All terms of such a sum are multiples of one power of two, and so many times that as a double can count.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import ldexp

import numpy as np
from numpy.typing import NDArray

from regions.kernels.memory.bits import SMALLEST
from regions.network.layer_matrices import Matrix, values_of
from regions.network.slopes import Slopes

__all__ = ["exact_layers", "exact_limits", "underflow_error"]


def _largest(unit: int) -> float:
    """Return the size below which all multiples of 2**unit are doubles."""
    return ldexp(1.0, 53 + min(max(unit, -1000), 900))


def _units(
    weights: list[Matrix], biases: list[NDArray[np.float64]], slopes: list[Slopes]
) -> Iterator[tuple[int, int]]:
    """Yield for each layer exponents of two, of which all its inputs and all its values are multiples."""
    unit = 0  # of the identity
    for weight, bias, pair in zip(weights, biases, [None, *slopes], strict=False):
        inputs = unit if pair is None else unit + _last_place(pair)
        products = inputs + _last_place(values_of(weight))
        unit = min(products, _last_place(bias)) if bias.any() else products
        yield inputs, unit


def exact_layers(weights: list[Matrix], biases: list[NDArray[np.float64]], slopes: list[Slopes]) -> int:
    """Count the layers, from the input on, whose maps are computed without rounding.

    All terms of such a layer's sums are multiples of one power of two, and the sums of their sizes are
    below 2**53 times that; so is every partial sum (networks of small integers or short fractions). Slopes
    below a layer are factors of its terms, and their products must be exact already.
    """
    size = 1.0  # of the identity
    for layer, (inputs, unit) in enumerate(_units(weights, biases, slopes)):
        weight, bias, pair = weights[layer], biases[layer], slopes[layer - 1] if layer else None
        if pair is not None:
            size *= float(np.abs(pair).max())
            if not size < _largest(inputs):
                return layer
        rows = abs(weight).sum(axis=1) if layer else np.abs(values_of(weight)).max(initial=0.0)
        size = float((rows * size + np.abs(bias)).max(initial=0.0))
        if not size < _largest(unit):
            return layer
    return len(weights)


def exact_limits(
    weights: list[Matrix], biases: list[NDArray[np.float64]], slopes: list[Slopes]
) -> NDArray[np.float64]:
    """For each layer the size of a map's entries up to which sums over it, made without rounding, are exact.

    As in `exact_layers`, but with the sizes that a map has on a cell in place of bounds over all patterns:
    those of a network that folds its input grow by the product of its slopes only. 0.0 where none is exact.
    """
    limits = np.zeros(len(weights))
    below = 0
    for layer, (inputs, unit) in enumerate(_units(weights, biases, slopes)):
        if layer:
            pair = slopes[layer - 1]
            steepest = 1.0 if pair is None else max(float(np.abs(pair).max()), 1.0)
            sizes = float(abs(weights[layer]).sum(axis=1).max(initial=0.0)) * steepest
            left = _largest(unit) - float(np.abs(biases[layer]).max(initial=0.0))
            limit = min(_largest(inputs) / steepest, left / max(sizes, 2.0**-1000)) * (1.0 - 1e-9)
            if unit < -1000 or limit < _largest(below - 53):
                break
            limits[layer] = limit
        below = unit
    return limits


def underflow_error(first: NDArray[np.float64], layers: Sequence[tuple[NDArray[np.float64], ...]]) -> float:
    """Bound what underflow may add to the error of a row; 0 where every product is far above it.

    A sum of products of floats is a multiple of the product of their last places, and rounding only makes
    it coarser: in a map, of one place of the first map, and of one of each layer's entries or slopes.
    """
    for place_of in (_lowest_place, _last_place):  # the second sees more, and takes longer
        places = place_of(first)
        for entries in layers:
            places += min(0, *map(place_of, entries))
            if places <= -900:
                break
        else:
            return 0.0
    return SMALLEST


def _lowest_place(values: NDArray[np.float64]) -> int:
    """Return an e, not the largest, such that all values are multiples of 2**e."""
    sizes = np.abs(values)
    if values.size and not sizes.min() > 0.0:
        sizes = sizes[sizes > 0.0]
    return int(np.frexp(sizes.min(initial=1.0))[1]) - 54


def _last_place(values: NDArray[np.float64]) -> int:
    """Return the largest e such that all values are multiples of 2**e."""
    fractions, exponents = np.frexp(values[values != 0.0])
    if fractions.size == 0:
        return 0
    mantissas = np.ldexp(fractions, 53).astype(np.int64)
    zeros = np.frexp((mantissas & -mantissas).astype(np.float64))[1] - 1
    return int((exponents + zeros).min()) - 53
