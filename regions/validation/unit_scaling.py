"""The same function with its units rescaled: what relative noise on a network is plain noise on.

The spreads that units are measured by are left to `estimators.spreads`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from regions.network.layer_matrices import is_sparse
from regions.network.relu_network import Network

__all__ = ["over_spreads"]


def over_spreads(network: Network, spreads: ArrayLike) -> Network:
    """Return the same function with every unit divided by its spread, undone in the next layer.

    Patterns, cells and goodness stay as they are; pre-activations and their gradients are those of units of
    spread 1, and so do not depend on how the units were scaled.

    Parameters
    ----------
    network : Network
    spreads : (n_units,) numbers above 0 in flat order, the same for all candidates of a max unit

    Returns
    -------
    Network, with an affine layer more where the network ends in units

    Examples
    --------
    >>> network = Network.from_arrays([[[4.0]], [[3.0]]], [[2.0], [0.0]])
    >>> same = over_spreads(network, [2.0])
    >>> same.weights[0], same.biases[0], same.weights[1], bool(same.forward([1.0]) == network.forward([1.0]))
    (array([[2.]]), array([1.]), array([[6.]]), True)
    """
    parts = iter(np.split(np.asarray(spreads, dtype=np.float64), network.unit_offsets[1:-1]))
    weights: list[Any] = []
    biases: list[NDArray[np.float64]] = []
    owed = np.ones(network.input_dim)
    for weight, bias, units in zip(network.operators, network.biases, network.relu, strict=True):
        own = next(parts) if units else np.ones(bias.size)
        weights.append(_scaled(weight, 1.0 / own, owed))
        biases.append(bias / own)
        owed = own
    relu, slopes, maxima = network.relu, network.slopes, network.maxima
    if relu[-1]:
        weights.append(np.diag(owed))
        biases.append(np.zeros(owed.size))
        relu, slopes, maxima = (*relu, False), (*slopes, None), (*maxima, None)
    return Network(weights, tuple(biases), relu, network.name, slopes, maxima)


def _scaled(weight: Any, rows: NDArray[np.float64], columns: NDArray[np.float64]) -> Any:
    """Return a matrix, dense or sparse, with factors on its rows and columns."""
    if is_sparse(weight):
        return weight.multiply(rows[:, None]).multiply(columns).tocsr()
    return rows[:, None] * weight * columns
