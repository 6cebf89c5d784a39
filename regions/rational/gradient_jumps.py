"""Exact gradient jumps between cells, for what floating point cannot tell from zero."""

from __future__ import annotations

import sys
from math import isqrt

import numpy as np
from numpy.typing import NDArray

from regions.domain import Domain
from regions.network.relu_network import Network
from regions.rational.affine_maps import ExactNetwork
from regions.rational.residues import map_residues


def exact_jumps(
    network: Network, domain: Domain, first: NDArray[np.bool_], second: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Frobenius norms of the differences of the intrinsic Jacobians of pairs of patterns.

    Parameters
    ----------
    network, domain : what the patterns belong to
    first, second : (n, n_units) bool

    Returns
    -------
    jumps : (n,) float64
        0.0 exactly where the two affine maps agree, decided on integers; otherwise positive,
        correct to a few units in the last place. A jump beyond the range of floats is the nearest
        float that is neither 0.0 nor infinite: a bound.

    Notes
    -----
    Cost: some 100 microseconds for each pair, after 10 to 100 milliseconds for the network's integers.

    Examples
    --------
    >>> from regions import Box, Network
    >>> twice = Network.from_arrays([[[1.0], [1.0]], [[3.0, -3.0]]], [[0.0, 0.0], [0.0]])
    >>> off, both, one = np.array([[False, False], [True, True], [True, False]])
    >>> exact_jumps(twice, Box([-1.0], [1.0]), np.array([off, off]), np.array([both, one]))
    array([0., 3.])
    """
    jumps = np.zeros(first.shape[0])
    if not jumps.size:
        return jumps
    exact = ExactNetwork(network, domain)
    for k in range(first.shape[0]):
        jumps[k] = _norm_of_difference(exact, first[k].tobytes(), second[k].tobytes())
    return jumps


def maps_differ(
    network: Network, domain: Domain, first: NDArray[np.bool_], second: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    """Where the maps of pairs of patterns differ for certain: modulo a prime. False proves nothing.

    Cost: one product of residues per layer for all patterns together.

    Examples
    --------
    >>> from regions import Box, Network
    >>> unit = Network.from_arrays([[[1.0]], [[1.0]]], [[0.0], [0.0]])
    >>> maps_differ(unit, Box([-1.0], [1.0]), np.array([[True]]), np.array([[False]]))
    array([ True])
    """
    both = np.concatenate([first, second])
    residues = map_residues(network, domain, both)
    n = first.shape[0]
    return np.asarray((residues[:n] != residues[n:]).any(axis=1))


def _norm_of_difference(exact: ExactNetwork, first: bytes, second: bytes) -> float:
    left, right = exact.output_integers(first), exact.output_integers(second)
    if left == right:
        return 0.0
    columns = exact.dimension + 1
    squares = sum((x - y) ** 2 for k, (x, y) in enumerate(zip(left, right, strict=True)) if (k + 1) % columns)
    # the root of an integer of at least 128 bits, then one division: relative error below 2**-52
    lift = max(0, 128 - squares.bit_length() + 1) // 2
    try:
        norm = isqrt(squares << (2 * lift)) / (1 << (exact.output_shift + lift))
    except OverflowError:
        return sys.float_info.max
    return max(norm, float(np.finfo(np.float64).smallest_subnormal))
