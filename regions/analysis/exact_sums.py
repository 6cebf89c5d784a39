"""Exact sums of floats by key, taken in block after block: rounded once, so independent of any order."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

__all__ = ["ExactSums"]

_LOWEST = 1074  # sums are kept in units of 2**-1074, the smallest float
_HALF = 26  # bits: halves of mantissas add up without overflow


class ExactSums:
    """Sums of floats that are finite, or inf, one for each key from 0 to `n` - 1.

    Examples
    --------
    >>> sums = ExactSums(2)
    >>> sums.add(np.array([0, 1, 0]), np.array([1e16, 2.0, 1.0]))
    >>> sums.add(np.array([0]), np.array([-1e16]))
    >>> sums.values().tolist()
    [1.0, 2.0]
    """

    def __init__(self, n: int) -> None:
        self._units = [0] * n
        self._special = np.zeros(n)

    def add(self, keys: NDArray[np.int64], values: NDArray[np.float64]) -> None:
        """Add values to the sums of their keys."""
        odd = ~np.isfinite(values)
        if odd.any():
            np.add.at(self._special, keys[odd], values[odd])
            keys, values = keys[~odd], values[~odd]
        fractions, exponents = np.frexp(values)
        mantissas = np.ldexp(fractions, 53).astype(np.int64)
        places, row = np.unique(keys * 4096 + (exponents + _LOWEST), return_inverse=True)
        high, low = np.zeros((2, len(places)), np.int64)
        np.add.at(high, row, mantissas >> _HALF)
        np.add.at(low, row, mantissas & ((1 << _HALF) - 1))
        for place, more, less in zip(places.tolist(), high.tolist(), low.tolist(), strict=True):
            key, shift = divmod(place, 4096)
            total = (more << _HALF) + less
            shift -= 53  # where it is negative the mantissa of a subnormal ends in zeros
            self._units[key] += total << shift if shift >= 0 else total >> -shift

    def values(self) -> NDArray[np.float64]:
        """Return the sums, each rounded once."""
        return np.array([_rounded(units) for units in self._units]) + self._special

    def total(self, first: int = 0, last: int | None = None) -> float:
        """Return the sum of the sums of some keys, rounded once."""
        return _rounded(sum(self._units[first:last])) + float(self._special[first:last].sum())


def _rounded(units: int) -> float:
    try:
        return units / (1 << _LOWEST)
    except OverflowError:
        return math.copysign(math.inf, units)
