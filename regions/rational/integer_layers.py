"""The weights of a network as integers, made once for all that computes with it.

What is made from them for a domain and a pattern is in `affine_maps`.
"""

from __future__ import annotations

from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
from flint import fmpz_mat

from regions.network.relu_network import Network
from regions.rational.integer_rows import dyadic_integers, dyadic_shift, integers_over


class IntegerLayers:
    """The affine layers of a network, each over its own power of two; made when asked for, and kept.

    Attributes
    ----------
    shifts : list of int, one per affine layer: weights and biases are integers over 2**shift
    slopes : dict by layer, where it has slopes: those left and right of 0 as integers, and their shift
    """

    def __init__(self, network: Network) -> None:
        # without the network, which could never be forgotten otherwise
        self._weights, self._biases = network.weights, network.biases
        pairs = zip(self._weights, self._biases, strict=True)
        self.shifts = [max(dyadic_shift(weight), dyadic_shift(bias)) for weight, bias in pairs]
        self.slopes: dict[int, tuple[list[int], list[int], int]] = {}
        for layer, pair in enumerate(network.slopes):
            if pair is not None:
                slopes, shift = dyadic_integers(pair)
                self.slopes[layer] = slopes[: pair.shape[1]], slopes[pair.shape[1] :], shift
        self._matrices: dict[int, Any] = {}
        self._rows: dict[tuple[int, int], Any] = {}

    def matrix(self, layer: int) -> Any:
        """[W | b] of a layer; the row (0, ..., 0, 1) comes last."""
        found = self._matrices.get(layer)
        if found is None:
            weight, bias = self._weights[layer], self._biases[layer]
            rows = np.zeros((bias.size + 1, weight.shape[1] + 1))
            rows[:-1, :-1], rows[:-1, -1], rows[-1, -1] = weight, bias, 1.0
            integers = integers_over(rows.ravel(), self.shifts[layer])
            found = self._matrices[layer] = fmpz_mat(*rows.shape, integers)
        return found

    def row(self, layer: int, unit: int) -> Any:
        """One row of `matrix`, for layers of which only some units are asked for."""
        found = self._rows.get((layer, unit))
        if found is None:
            row = np.append(self._weights[layer][unit], self._biases[layer][unit])
            found = self._rows[layer, unit] = fmpz_mat(1, row.size, integers_over(row, self.shifts[layer]))
        return found


_known: WeakKeyDictionary[Network, IntegerLayers] = WeakKeyDictionary()


def integer_layers(network: Network) -> IntegerLayers:
    """Return the layers of a network as integers, the same object while the network is there.

    Examples
    --------
    >>> network = Network.from_arrays([[[0.75]]], [[-3.0]])
    >>> integer_layers(network).shifts, [int(x) for x in integer_layers(network).row(0, 0).entries()]
    ([2], [3, -12])
    """
    found = _known.get(network)
    if found is None:
        found = _known.setdefault(network, IntegerLayers(network))
    return found
