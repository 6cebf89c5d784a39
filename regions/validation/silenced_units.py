"""What the inequalities need to know of units: the network without one of them, and how steep they are."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from regions.network.patterns import unit_place
from regions.network.relu_network import Network
from regions.network.slopes import RELU

__all__ = ["silenced", "steepest_slopes"]


def silenced(network: Network, unit: int) -> Network:
    """The network with one unit that puts out 0 everywhere: a ReLU with a zero row and a negative bias."""
    layer, row = unit_place(network.unit_offsets, unit)
    affine = np.flatnonzero(network.relu)[layer]
    weights, biases = [np.array(w) for w in network.weights], [np.array(b) for b in network.biases]
    weights[affine][row] = 0.0
    biases[affine][row] = -1.0
    slopes = list(network.slopes)
    if (pair := slopes[affine]) is not None:
        slopes[affine] = np.array(pair)
        slopes[affine][:, row] = RELU
    return Network(weights, tuple(biases), network.relu, network.name, tuple(slopes))


def steepest_slopes(network: Network) -> NDArray[np.float64]:
    """The largest |slope| of the units of each layer that has any."""
    pairs = np.split(np.abs(network.unit_slopes).max(axis=0), network.unit_offsets[1:-1])
    return np.array([pair.max() for pair in pairs])
