"""Two networks as the branches of one: their layers side by side, which see the same inputs.

Nothing is rounded or multiplied out. Where one has no units, or ends sooner, linear units pass its values on;
they cost no cells.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import block_diag, csr_array, vstack

from regions.domain.intrinsic import lock_arrays
from regions.errors import InvalidNetworkError
from regions.network.layer_matrices import Matrix, is_sparse
from regions.network.relu_network import Network
from regions.network.slopes import RELU

__all__ = ["JointNetwork", "joint_network"]

IntArray = NDArray[np.int64]
LINEAR = (1.0, 1.0)


@dataclass(frozen=True, eq=False)
class JointNetwork:
    """Two networks as one.

    Attributes
    ----------
    network : Network, whose outputs are the first one's and then the second one's
    units : pair of (n_units,) int64, the flat number in it of each unit of the two
    """

    network: Network
    units: tuple[IntArray, IntArray]

    def __post_init__(self) -> None:
        lock_arrays(self.units)


def joint_network(first: Network, second: Network) -> JointNetwork:
    """Return two networks of the same inputs as the branches of one network.

    Raises
    ------
    InvalidNetworkError
        If they have different numbers of inputs.

    Examples
    --------
    >>> bend = Network.from_arrays([[[1.0]], [[2.0]]], [[0.0], [1.0]])
    >>> line = Network.from_arrays([[[3.0]]], [[0.5]])
    >>> joint = joint_network(bend, line)
    >>> joint.network.forward([[-1.0], [1.0]]).tolist(), joint.network.widths
    ([[1.0, -2.5], [3.0, 3.5]], (2,))
    >>> [units.tolist() for units in joint.units]
    [[0], []]
    """
    if first.input_dim != second.input_dim:
        raise InvalidNetworkError(
            f"the networks take {first.input_dim} and {second.input_dim} inputs; both must take the same"
        )
    branches = (first, second)
    weights: list[Matrix] = []
    biases, relu, slopes, maxima = [], [], [], []
    units: tuple[list[IntArray], list[IntArray]] = ([], [])
    flat = 0
    for layer in range(max(first.n_layers, second.n_layers)):
        pair = [_layer(network, layer) for network in branches]
        weights.append(_side_by_side([part.weight for part in pair], shared=layer == 0))
        biases.append(np.concatenate([part.bias for part in pair]))
        bends = any(part.relu for part in pair)
        relu.append(bends)
        slopes.append(_slopes(pair) if bends else None)
        maxima.append(_sizes(pair) if bends else None)
        for part, numbers in zip(pair, units, strict=True):
            if part.relu:
                numbers.append(flat + np.arange(part.bias.size))
            flat += part.bias.size if bends else 0
    name = " and ".join(filter(None, (first.name, second.name)))
    joined = [np.concatenate([np.zeros(0, np.int64), *numbers]) for numbers in units]
    return JointNetwork(
        Network(tuple(weights), tuple(biases), tuple(relu), name, tuple(slopes), tuple(maxima)),
        (joined[0], joined[1]),
    )


@dataclass(frozen=True)
class _Layer:
    weight: Matrix
    bias: NDArray[np.float64]
    relu: bool
    slopes: NDArray[np.float64] | None
    sizes: IntArray | None


def _layer(network: Network, layer: int) -> _Layer:
    """Return a layer of a network, or one that passes its outputs on."""
    if layer >= network.n_layers:
        n = network.output_dim
        return _Layer(np.eye(n), np.zeros(n), False, None, None)
    return _Layer(
        network.operators[layer],
        network.biases[layer],
        network.relu[layer],
        network.slopes[layer],
        network.maxima[layer],
    )


def _side_by_side(parts: Sequence[Matrix], shared: bool) -> Matrix:
    """Return the matrix of two layers: one above the other where both see the same, else diagonal."""
    if any(map(is_sparse, parts)):
        sparse = [csr_array(part) for part in parts]
        return csr_array(vstack(sparse) if shared else block_diag(sparse))
    if shared:
        return np.concatenate([np.asarray(part) for part in parts])
    above, below = (np.asarray(part) for part in parts)
    return np.block(
        [
            [above, np.zeros((above.shape[0], below.shape[1]))],
            [np.zeros((below.shape[0], above.shape[1])), below],
        ]
    )


def _slopes(pair: Sequence[_Layer]) -> Any:
    """Return the slopes of the units of two layers; None where all are ReLUs."""
    if all(part.relu and part.slopes is None for part in pair):
        return None
    columns = []
    for part in pair:
        plain = np.repeat(np.array([RELU if part.relu else LINEAR]).T, part.bias.size, axis=1)
        columns.append(plain if part.slopes is None else part.slopes)
    return np.concatenate(columns, axis=1)


def _sizes(pair: Sequence[_Layer]) -> Any:
    """Return the numbers of rows of the units of two layers; None where there are no max units."""
    if all(part.sizes is None for part in pair):
        return None
    return np.concatenate(
        [np.ones(part.bias.size, np.int64) if part.sizes is None else part.sizes for part in pair]
    )
