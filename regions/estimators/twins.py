"""Candidates of one max unit that are the same function, found without exact arithmetic.

Behind a max pooling the windows of a second one overlap: several of its candidates are the same earlier
winner. Such ties are everywhere, and no cell lies between them; the first candidate stands for all.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from regions.network.layer_matrices import Matrix, values_of, with_values
from regions.network.max_units import Sizes
from regions.network.relu_network import Network

__all__ = ["FAR_BEHIND", "Fingerprints"]

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]
Labels = NDArray[np.uint64]

# the value of candidates that stand back for an earlier one that is the same
FAR_BEHIND = -1e300
# the first bits of what is no number, for inputs, so that they are mixed up with no weight or bias
_NO_NUMBERS = 0xFFF8000000000000


class Fingerprints:
    """Numbers that are the same where affine functions are the same sums of products, for points in batches.

    Every weight, bias and input stands for a fixed random number of 64 bits, 0 for 0 and 1 for 1, and sums
    and products are taken of these modulo 2^64. Equal numbers mean equal functions but for a chance of some
    2^-64; functions that are equal in another way have different ones.

    Parameters
    ----------
    network : Network, with max units

    Examples
    --------
    >>> network = Network.from_arrays([[[0.5], [0.5], [0.25]]], [[1.0, 1.0, 1.0]], maxima=[3])
    >>> labels = Fingerprints(network)
    >>> labels.twins(0, labels.through(0, labels.inputs)).tolist()
    [[False, True, False]]
    """

    def __init__(self, network: Network) -> None:
        names = np.arange(network.input_dim, dtype=np.uint64) + np.uint64(_NO_NUMBERS)
        self.inputs: Labels = _mixed(names.view(np.float64))[None]
        self._layers: list[list[tuple[Matrix, Labels]]] = []
        self._slopes: list[Any] = []
        self._maxima: list[Sizes] = []
        last = max(layer for layer, sizes in enumerate(network.maxima) if sizes is not None)
        steps: list[tuple[Matrix, Labels]] = []
        for layer in range(last + 1):
            weight = network.operators[layer]
            mixed: Any = _mixed(values_of(weight))
            steps.append((with_values(weight, mixed), _mixed(network.biases[layer])))
            if network.relu[layer]:
                pair = network.slopes[layer]
                self._layers.append(steps)
                self._slopes.append(None if pair is None else _mixed(pair))
                self._maxima.append(network.maxima[layer])
                steps = []

    def through(self, layer: int, labels: Labels) -> Labels:
        """Return those of a layer's pre-activations, `(S, width)`, by those of what comes into it."""
        for weight, bias in self._layers[layer]:
            labels = (weight @ labels.T).T + bias
        return labels

    def where(self, layer: int, labels: Labels, active: BoolArray) -> Labels:
        """Return those of what the units of a layer put out, by their states and their own."""
        pair = self._slopes[layer]
        if pair is None:
            return np.where(active, labels, np.uint64(0))
        return labels * np.where(active, pair[1], pair[0])

    def covers(self, layer: int) -> bool:
        """Whether max units come as late as this layer."""
        return layer < len(self._layers)

    def twins(self, layer: int, labels: Labels) -> BoolArray:
        """Say which candidates `(S, width)` are the same as an earlier one of their max unit."""
        found = np.zeros(labels.shape, bool)
        sizes = self._maxima[layer]
        if sizes is not None:
            owner = np.repeat(np.arange(sizes.size), sizes)
            # by units, in them by labels, and equal ones in their order
            order = labels.argsort(axis=1, kind="stable")
            by_unit = owner[order].argsort(axis=1, kind="stable")
            order = np.take_along_axis(order, by_unit, axis=1)
            ranked = np.take_along_axis(labels, order, axis=1)
            same = (ranked[:, 1:] == ranked[:, :-1]) & (owner[order[:, 1:]] == owner[order[:, :-1]])
            np.put_along_axis(found, order[:, 1:], same, axis=1)
        return found


def _mixed(values: FloatArray) -> Labels:
    """Return a fixed random number for each float; 0 for 0.0 and 1 for 1.0.

    References
    ----------
    The finaliser of Steele, Lea and Flood, Fast splittable pseudorandom number generators, OOPSLA 2014.
    """
    bits = np.ascontiguousarray(values, np.float64).view(np.uint64).copy()
    bits += np.uint64(0x9E3779B97F4A7C15)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        bits = (bits ^ (bits >> np.uint64(shift))) * np.uint64(factor)
    bits ^= bits >> np.uint64(31)
    bits[values == 0.0] = 0
    bits[values == 1.0] = 1
    return bits
