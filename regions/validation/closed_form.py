"""Local complexity of one ReLU layer in closed form: neither enumerated nor sampled."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from regions.density import GaussianDensity
from regions.errors import InvalidInputError
from regions.estimators.estimates import check_noise
from regions.network.relu_network import Network

__all__ = ["one_hidden_layer_local_complexity"]

FloatArray = NDArray[np.float64]


def one_hidden_layer_local_complexity(
    network: Network, mean: ArrayLike, cov: ArrayLike, sigma: float
) -> float:
    """Local complexity of a network with one ReLU layer, for Gaussian data on the whole input space.

    In closed form: sum of |w_i| N(-b_i; w_i . mean, w_i . cov . w_i + sigma^2) over the units with nonzero
    outgoing weights that are not linear. By theorem 2 it is the mean of |w_i| rho(z_i(x)), and z_i(x) is
    itself Gaussian.

    Parameters
    ----------
    network : Network with exactly one ReLU layer, before and after it affine steps
    mean : (input_dim,) array or number
    cov : variance as a number, (input_dim,) variances or (input_dim, input_dim) positive definite matrix
    sigma : float >= 0, standard deviation of the bias noise

    Returns
    -------
    local complexity : float, in (d-1)-volume per d-volume

    Raises
    ------
    InvalidInputError
        If the network has another number of ReLU layers, or mean, cov and sigma do not fit.

    References
    ----------
    docs/mathematics.md, "Local complexity"; Patel and Montufar, arXiv 2412.18283, theorem 2.

    Examples
    --------
    >>> network = Network.from_arrays([[[1.0]], [[1.0]]], [[0.0], [0.0]])
    >>> round(one_hidden_layer_local_complexity(network, [0.0], 1.0, 0.0), 6)
    0.398942
    """
    if len(network.widths) != 1:
        raise InvalidInputError(
            f"{network.describe()}: the closed form is for one ReLU layer; use exact_local_complexity"
        )
    network.refuse_max_units("the closed form of local complexity")
    check_noise(sigma)
    data = GaussianDensity(np.broadcast_to(mean, network.input_dim) if np.ndim(mean) == 0 else mean, cov)
    if data.dimension != network.input_dim:
        raise InvalidInputError(
            f"mean and cov have {data.dimension} coordinates, the network {network.input_dim} inputs"
        )
    cut = network.relu.index(True) + 1
    A, c = _product(network, range(cut))
    after = range(cut, network.n_layers)
    seen = np.any(_product(network, after)[0] != 0.0, axis=0) if after else np.ones(len(c), dtype=bool)
    variance = np.einsum("ij,jk,ik->i", A, data.cov, A) + sigma * sigma
    centre = A @ data.mean + c
    # a unit whose weights are all 0 has no locus, whatever its variance
    bends = seen & np.any(A != 0.0, axis=1) & network.cutting
    centre, variance = centre[bends], variance[bends]
    bells = np.exp(-0.5 * centre * centre / variance) / np.sqrt(2.0 * math.pi * variance)
    return math.fsum((np.linalg.norm(A[bends], axis=1) * bells).tolist())


def _product(network: Network, layers: range) -> tuple[FloatArray, FloatArray]:
    A, c = network.weights[layers[0]], network.biases[layers[0]]
    for layer in layers[1:]:
        A, c = network.weights[layer] @ A, network.weights[layer] @ c + network.biases[layer]
    return A, c
