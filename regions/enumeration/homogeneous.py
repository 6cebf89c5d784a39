"""A network made homogeneous: one input more, t, which multiplies every bias.

On the cone of all (t x, t) its cells are the cones over the cells of the network, so what is unbounded is
searched in a box. The search is that of any network, by either engine.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from regions.domain import Domain, Unbounded
from regions.enumeration.cost_model import LARGEST_VERTEX_DIMENSION
from regions.errors import InvalidDomainError, InvalidInputError
from regions.network.patterns import pack, unpack
from regions.network.relu_network import Network


@dataclass(frozen=True)
class HomogeneousNetwork:
    """A network with the input t behind its own, carried through each layer by a linear unit.

    Weights and biases are those of the network, so nothing is rounded, and linear units cut nothing.

    Attributes
    ----------
    network : Network, of n + 1 inputs
    own : (n_units,) bool, which of its units are those of the given network
    """

    network: Network
    own: NDArray[np.bool_]

    def own_patterns(self, packed: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return packed patterns (n, bytes) of the given network's units."""
        return pack(unpack(packed, self.own.size)[:, self.own])

    def lifted(self, pattern: bytes) -> bytes:
        """Return the pattern of the cone over a cell, one byte a unit."""
        states = np.ones(self.own.size, np.bool_)
        states[self.own] = np.frombuffer(pattern, np.bool_)
        return states.tobytes()


def homogeneous(network: Network) -> HomogeneousNetwork:
    """Return a network made homogeneous.

    Examples
    --------
    >>> line = Network.from_arrays([[[2.0]], [[1.0]]], [[-3.0], [0.5]])
    >>> cone = homogeneous(line)
    >>> cone.network.weights[0].tolist(), cone.network.slopes[0].tolist(), cone.own.tolist()
    ([[2.0, -3.0], [0.0, 1.0]], [[0.0, 1.0], [1.0, 1.0]], [True, False])
    """
    weights, biases, slopes, own = [], [], [], []
    layers = zip(network.weights, network.biases, network.relu, network.slopes, strict=True)
    for weight, bias, relu, pair in layers:
        n, m = weight.shape
        wider = np.zeros((n + 1, m + 1))
        wider[:n, :m], wider[:n, m], wider[n, m] = weight, bias, 1.0
        weights.append(wider)
        biases.append(np.zeros(n + 1))
        given = np.array([np.zeros(n), np.ones(n)]) if pair is None else pair
        slopes.append(np.column_stack([given, np.ones(2)]) if relu else None)
        own += [True] * n + [False] if relu else []
    maxima = [None if sizes is None else [*sizes.tolist(), 1] for sizes in network.maxima]
    wider_network = Network.from_arrays(weights, biases, relu=network.relu, slopes=slopes, maxima=maxima)
    return HomogeneousNetwork(wider_network, np.array(own, dtype=np.bool_))


def length_scale(network: Network) -> float:
    """Return a power of two near the typical distance of the first hyperplanes from 0."""
    lengths = np.linalg.norm(network.weights[0], axis=1)
    distances = np.abs(network.biases[0])[lengths > 0.0] / lengths[lengths > 0.0]
    distances = distances[distances > 0.0]
    typical = float(np.median(distances)) if distances.size else 1.0
    return float(2.0 ** np.clip(np.ceil(np.log2(typical)), -500, 500))


def searched(network: Network, domain: Domain, engine: str) -> tuple[Network, Domain]:
    """Return the network and the domain that a count searches: of what has no end, the cones over the cells.

    A cell of the domain and its cone have one subtree, so there are as many of the one as of the other.

    Raises
    ------
    InvalidInputError, InvalidDomainError
        If the domain is unbounded and not the network's, or the engine does not take cones over its cells.

    Examples
    --------
    >>> from regions.domain import WholeSpace
    >>> line = Network.from_arrays([[[2.0]], [[1.0]]], [[-3.0], [0.5]])
    >>> cones, box = searched(line, WholeSpace(1), "auto")
    >>> cones.input_dim, box.describe()
    (2, 'Box [-2, 2] x [0, 1]')
    """
    if not (isinstance(domain, Unbounded) and isinstance(network, Network)):
        return network, domain
    check_inputs(network, domain)
    d = domain.dimension
    if engine == "planar" or (engine in ("cells", "both") and d >= LARGEST_VERTEX_DIMENSION):
        raise InvalidInputError(
            f"engine {engine!r} with {domain.describe()}: cones over cells have {d + 1} dimensions; use "
            f"'cells' (up to {LARGEST_VERTEX_DIMENSION}), 'lp' or 'auto'"
        )
    return homogeneous(network).network, domain.cone(length_scale(network))


def of_cones(reason: str) -> str:
    """Return why an engine was chosen, where it searched cones."""
    return f"cones over the cells, {reason}"


def check_inputs(network: Network, domain: Unbounded) -> None:
    """Raise InvalidDomainError unless a domain is in the network's input space."""
    if domain.input_dim != network.input_dim:
        raise InvalidDomainError(
            f"the domain is in {domain.input_dim} input dimensions, the network takes {network.input_dim}"
        )
