"""Affine maps of every layer on many cells at once, as plain numpy arrays.

Forward: pre-activations as functions of intrinsic coordinates; backward: the output as a function of
the units. What is the same on all cells of a block is kept once, with a leading axis of length 1.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from regions.complexes import CellComplex
from regions.domain import Domain
from regions.network.layer_matrices import Matrix, is_sparse
from regions.network.patterns import unpack
from regions.network.relu_network import Network
from regions.network.slopes import activated

__all__ = ["ForwardMaps", "RestMaps", "blocks_of_cells", "forward_maps", "rest_maps", "unpack_states"]

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

_EPS = float(np.finfo(np.float64).eps)
# float64 entries that the maps of one block of cells may take, together
_WORKING_SET = 1 << 21


class ForwardMaps(NamedTuple):
    """Affine maps from intrinsic coordinates on k cells; k may be 1 where all cells agree.

    Attributes
    ----------
    jacobians, offsets : per ReLU layer (k, n_l, d) and (k, n_l), of the pre-activations
    output : (k, out, d), Jacobian of the network
    """

    jacobians: list[FloatArray]
    offsets: list[FloatArray]
    output: FloatArray


class RestMaps(NamedTuple):
    """What comes after the ReLU layers, on k cells; k may be 1 where all cells agree.

    Attributes
    ----------
    jacobians : per ReLU layer (k, out, n_l), of the output with respect to the units' activations; candidates
        of one max unit have the same columns
    silent : per ReLU layer (k, n_l) bool, units whose column is zero, or not told from it by rounding
    """

    jacobians: list[FloatArray]
    silent: list[BoolArray]


def blocks_of_cells(cells: CellComplex) -> Iterator[slice]:
    """Slices of cells, in order, whose maps fit the working set together.

    Examples
    --------
    >>> from regions import Box, Network, enumerate_cells
    >>> network = Network.from_arrays([[[1.0], [-1.0]], [[1.0, 1.0]]], [[0.0, 0.0], [0.0]])
    >>> list(blocks_of_cells(enumerate_cells(network, Box([-1.0], [2.0]))))
    [slice(0, 2, None)]
    """
    network = cells.network
    columns = cells.dimension + 1 + 3 * network.output_dim
    width = max(weight.shape[0] for weight in network.operators)
    size = max(1, _WORKING_SET // ((network.n_units + 2 * width) * columns))
    for start in range(0, cells.n_cells, size):
        yield slice(start, min(start + size, cells.n_cells))


def unpack_states(cells: CellComplex, chosen: slice | NDArray[np.int64]) -> BoolArray:
    """Activation patterns of some cells: (k, n_units) bool.

    Examples
    --------
    >>> from regions import Box, Network, enumerate_cells
    >>> network = Network.from_arrays([[[1.0]], [[1.0]]], [[0.0], [0.0]])
    >>> cells = enumerate_cells(network, Box([-1.0], [2.0]))
    >>> sorted(unpack_states(cells, slice(0, 2)).tolist())
    [[False], [True]]
    """
    return unpack(cells.patterns[chosen], cells.network.n_units)


def forward_maps(network: Network, domain: Domain, states: BoolArray) -> ForwardMaps:
    """Pre-activations and output as affine functions of intrinsic coordinates; O(k n^2 d) per layer.

    Parameters
    ----------
    network : Network
    domain : Domain, whose origin and basis are the coordinates
    states : (k, n_units) bool, activation patterns

    Returns
    -------
    ForwardMaps

    Examples
    --------
    >>> from regions import Box, Network
    >>> network = Network.from_arrays([[[2.0]], [[3.0]], [[1.0]]], [[1.0], [0.0], [0.0]])
    >>> maps = forward_maps(network, Box([-1.0], [1.0]), np.array([[True, True], [False, True]]))
    >>> [layer.ravel().tolist() for layer in maps.jacobians], maps.output.ravel().tolist()
    ([[2.0], [6.0, 0.0]], [6.0, 0.0])
    """
    jacobians, offsets = [], []
    A, c, start = domain.basis[None], domain.origin[None], 0
    layers = zip(network.operators, network.biases, network.relu, network.slopes, strict=True)
    for weight, bias, relu, pair in layers:
        A, c = _of_each(weight, A), c @ weight.T + bias
        if relu:
            jacobians.append(A)
            offsets.append(c)
            on = states[:, start : start + bias.size]
            A, c = activated(A, on, pair, 1), activated(c, on, pair)
            start += bias.size
    return ForwardMaps(jacobians, offsets, A)


def rest_maps(network: Network, states: BoolArray) -> RestMaps:
    """Jacobians of the output with respect to the units' activations, in the given states.

    A unit is called silent where its column is zero within a bound on the rounding of the products, so
    that cancellation (two units that feed the same sum with opposite signs) is silence too.

    Parameters
    ----------
    network : Network
    states : (k, n_units) bool, activation patterns

    Returns
    -------
    RestMaps; O(k out n^2) per layer

    Examples
    --------
    >>> from regions import Network
    >>> network = Network.from_arrays([[[1.0]], [[3.0]], [[2.0]]], [[1.0], [0.0], [0.0]])
    >>> rest = rest_maps(network, np.array([[True, True], [True, False]]))
    >>> [layer.ravel().tolist() for layer in rest.jacobians], rest.silent[0].ravel().tolist()
    ([[6.0, 0.0], [2.0]], [False, True])
    """
    jacobians, silent = [], []
    G = np.eye(network.output_dim)[None]
    size, roundings, end = np.abs(G), 0, network.n_units
    layers = zip(network.operators, network.biases, network.relu, network.slopes, strict=True)
    for weight, bias, relu, pair in reversed(list(layers)):
        if relu:
            jacobians.append(G)
            silent.append(np.all(np.abs(G) <= roundings * _EPS * size, axis=1))
            on = states[:, None, end - bias.size : end]
            G = activated(G, on, pair)
            size = activated(size, on, None if pair is None else np.abs(pair))
            roundings += pair is not None
            end -= bias.size
        G, size = _after_each(G, weight), _after_each(size, abs(weight))
        # a sum of n products is off by at most n eps of the sum of their sizes; 2 leaves room for size's own
        roundings += 2 * bias.size
    return RestMaps(jacobians[::-1], silent[::-1])


def _of_each(weight: Matrix, maps: FloatArray) -> FloatArray:
    """Return a matrix, dense or sparse, times each of (k, n, d) matrices."""
    if not is_sparse(weight):
        return np.asarray(weight @ maps)
    k, n, d = maps.shape
    columns = weight @ maps.transpose(1, 0, 2).reshape(n, k * d)
    return np.ascontiguousarray(columns.reshape(-1, k, d).transpose(1, 0, 2))


def _after_each(maps: FloatArray, weight: Matrix) -> FloatArray:
    """Return each of (k, out, n) matrices times a matrix, dense or sparse."""
    if not is_sparse(weight):
        return np.asarray(maps @ weight)
    k, out, n = maps.shape
    return np.asarray(maps.reshape(k * out, n) @ weight).reshape(k, out, -1)
