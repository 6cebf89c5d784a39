"""Output maps modulo a prime, all cells at once: maps with different residues are different, for certain.

Equal residues prove nothing; `linear_regions` compares those maps exactly.
"""

from __future__ import annotations

from math import isqrt

import numpy as np
from numpy.typing import ArrayLike, NDArray

from regions.domain import Domain
from regions.network.layer_matrices import Matrix, is_sparse, most_terms, values_of, with_values
from regions.network.relu_network import Network
from regions.network.slopes import Slopes, activated
from regions.rational.integer_rows import dyadic_integers, dyadic_shift, integers_over

_CHUNK = 1 << 22  # entries of the largest array


def map_residues(network: Network, domain: Domain, patterns: NDArray[np.bool_]) -> NDArray[np.int64]:
    """The integers of each cell's intrinsic output map (as in `ExactNetwork`) modulo a prime.

    Matrix products in float64 are exact here, as the prime is small enough for the largest width.

    Parameters
    ----------
    patterns : (n, n_units) bool

    Returns
    -------
    residues : (n, out * (d + 1)) int64

    Examples
    --------
    >>> from regions import Box, Network
    >>> absolute = Network.from_arrays([[[1.0], [-1.0]], [[1.0, 1.0]]], [[0, 0], [0]])
    >>> map_residues(absolute, Box([-1], [1]), np.array([[True, False], [False, True]])).shape
    (2, 2)
    """
    terms = max(*map(most_terms, network.operators), domain.dimension) + 1
    p = _prime_below(min(isqrt(2**53 // terms), 2**26))
    d, n = domain.dimension, patterns.shape[0]
    start, shift = _residues(np.column_stack([domain.basis, domain.origin]), p)
    layers = []
    for weight, bias, pair in zip(network.operators, network.biases, network.slopes, strict=True):
        own = max(dyadic_shift(values_of(weight)), dyadic_shift(bias))
        matrix = with_values(weight, _residues_over(values_of(weight), own, p))
        slopes, more = (None, 0) if pair is None else _residues(pair, p)
        layers.append((matrix, _residues_over(bias, own, p) * pow(2, shift, p) % p, slopes))
        shift += own + more
    first = layers[0][0] @ start % p
    first[:, -1] = (first[:, -1] + layers[0][1]) % p
    step = max(1, _CHUNK // (max(bias.size for bias in network.biases) * (d + 1)))
    parts = [_chain(network, layers, first, patterns[at : at + step], p) for at in range(0, n, step)]
    return np.concatenate(parts) if parts else np.zeros((0, network.output_dim * (d + 1)), np.int64)


def _chain(
    network: Network,
    layers: list[tuple[Matrix, NDArray[np.float64], Slopes]],
    first: NDArray[np.float64],
    active: NDArray[np.bool_],
    p: int,
) -> NDArray[np.int64]:
    """Residues of the output maps of some cells; intermediate maps are (cells, width, d + 1)."""
    maps = np.broadcast_to(first, (active.shape[0], *first.shape))
    unit = 0
    for layer, relu in enumerate(network.relu):
        if layer:
            weight, bias, _ = layers[layer]
            maps = _product(weight, maps) % p
            maps[:, :, -1] = (maps[:, :, -1] + bias) % p
        if relu:
            width = maps.shape[1]
            maps = activated(maps, active[:, unit : unit + width], layers[layer][2], 1) % p
            unit += width
    return maps.reshape(active.shape[0], -1).astype(np.int64)


def _product(weight: Matrix, maps: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return weight @ maps[k] for each k."""
    if not is_sparse(weight):
        return np.asarray(np.matmul(weight, maps))
    count, width, columns = maps.shape
    product = weight @ maps.transpose(1, 0, 2).reshape(width, count * columns)
    return np.ascontiguousarray(product.reshape(-1, count, columns).transpose(1, 0, 2))


def _residues_over(values: NDArray[np.float64], shift: int, p: int) -> NDArray[np.float64]:
    integers = integers_over(values.ravel(), shift)
    return np.array([x % p for x in integers], dtype=np.float64).reshape(values.shape)


def _residues(values: ArrayLike, p: int) -> tuple[NDArray[np.float64], int]:
    array = np.asarray(values, dtype=np.float64)
    integers, shift = dyadic_integers(array)
    return np.array([x % p for x in integers], dtype=np.float64).reshape(array.shape), shift


def _prime_below(n: int) -> int:
    return next(p for p in range(n, 1, -1) if all(p % q for q in range(2, isqrt(p) + 1)))
