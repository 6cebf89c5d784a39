"""Networks with one more unit, whose breakpoint is the decision boundary of another network.

So a boundary is made of facets like any others, and is found by the engines as they are. Nothing is rounded:
a level is subtracted by a layer of its own.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from regions.network.relu_network import Network

__all__ = ["labels_of_cells", "network_cut_at_level", "network_with_units", "network_with_winner"]


def network_cut_at_level(network: Network, level: float) -> Network:
    """Return a network of one output with a unit behind it, active where the output is above a level.

    Examples
    --------
    >>> bend = Network.from_arrays([[[1.0], [-1.0]], [[1.0, 1.0]]], [[0.0, 0.0], [0.0]])
    >>> network_cut_at_level(bend, 0.5).activation_pattern([[0.25], [0.75]]).tolist()
    [[True, False, False], [True, False, True]]
    """
    return network_with_units(network, np.array([-level]), None)


def network_with_winner(network: Network) -> Network:
    """Return a network with a max unit over its outputs, so that the largest one is part of the pattern.

    Examples
    --------
    >>> two = Network.from_arrays([[[1.0], [-1.0]]], [[0.0, 1.0]])
    >>> network_with_winner(two).activation_pattern([[0.0], [1.0]]).tolist()
    [[False, True], [True, False]]
    """
    return network_with_units(network, np.zeros(network.output_dim), network.output_dim)


def network_with_units(network: Network, offsets: NDArray[np.float64], size: int | None) -> Network:
    """Return a network with units on its outputs: on the last layer itself, or on one more that adds offsets.

    Single units take the absolute value: a ReLU would make the output 0 on all cells where it is negative,
    and each facet between two of them a question to rational arithmetic.

    Parameters
    ----------
    network : Network
    offsets : (outputs,) float64
    size : int, of max units of so many outputs each; None: a unit for each output
    """
    own = not network.relu[-1] and not offsets.any()
    kept = -1 if own else network.n_layers
    bends = np.repeat([[-1.0], [1.0]], offsets.size, axis=1) if size is None else None
    return Network(
        network.operators if own else (*network.operators, np.eye(offsets.size)),
        network.biases if own else (*network.biases, offsets),
        (*network.relu[:kept], True),
        network.name,
        (*network.slopes[:kept], bends),
        (*network.maxima[:kept], size),  # type: ignore[arg-type]
    )


def labels_of_cells(patterns: NDArray[np.bool_], outputs: int) -> NDArray[np.int64]:
    """Return the class on each cell of such a network: the winner, or of one output 1 above the level.

    Parameters
    ----------
    patterns : (n, n_units) bool, of the network with the added units, which come last
    outputs : int, of the network without them

    Examples
    --------
    >>> labels_of_cells(np.array([[True, False, True], [True, True, False]]), 2).tolist()
    [1, 0]
    """
    last = patterns[:, patterns.shape[1] - outputs :]
    return last[:, 0].astype(np.int64) if outputs == 1 else last.argmax(axis=1).astype(np.int64)
