"""What the experiments on training measure of one network: on its data, and on a plane through three points.

Functions of a network and a data set; which runs and steps are measured is left to the experiments.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from regions import GaussianMixtureDensity, Network, Slice
from regions.density import Density
from validation.training_data import DataSet

__all__ = [
    "JacobianMeans",
    "accuracy",
    "cross_entropy",
    "density_of",
    "entry_or_none",
    "jacobian_means",
    "on_plane",
    "paper_bound",
    "plane_through_classes",
    "unit_spreads",
    "with_equal_spreads",
]

FloatArray = NDArray[np.float64]

# spreads below this part of the largest value may be nothing but rounding
_ROUNDING = 1e-12


def accuracy(network: Network, x: FloatArray, y: NDArray[np.generic]) -> float:
    """Share of the points whose class has the largest output."""
    return float(np.mean(np.argmax(network.forward(x), axis=1) == y))


def cross_entropy(network: Network, x: FloatArray, y: NDArray[np.generic]) -> float:
    """Mean over the points, from margins, so that losses far below the rounding of 1 are right."""
    outputs = network.forward(x)
    own = np.take_along_axis(outputs, y.astype(np.int64)[:, None], axis=1)
    others = np.exp(np.minimum(outputs - own, 700.0))
    np.put_along_axis(others, y.astype(np.int64)[:, None], 0.0, axis=1)
    return float(np.mean(np.log1p(others.sum(axis=1))))


def density_of(data: DataSet, bandwidth: float) -> Density:
    """The clusters' own mixture, or a kernel of that standard deviation around each training point."""
    if data.centers is None:
        return GaussianMixtureDensity.from_data(data.train_x, bandwidth=bandwidth)
    return GaussianMixtureDensity(np.ones(len(data.centers)), data.centers, data.spread**2)


def plane_through_classes(data: DataSet, index: int) -> Slice:
    """The plane through one training point of each of the first three classes; `index` says which."""
    return Slice.through(*[data.train_x[np.flatnonzero(data.train_y == label)[index]] for label in range(3)])


def on_plane(record: Any) -> dict[str, float]:
    """What a tracker's record with one estimate says of the plane, as columns of a table."""
    (estimate,) = record.estimates.values()
    return {
        "cells": record.cells,
        "locus": record.locus,
        "activation_locus": record.activation_locus,
        "plane_tv": record.total_variation,
        "plane_lc": record.local_complexity.mean,
        "plane_lc_stderr": record.local_complexity.stderr,
        "plane_estimate": estimate.mean,
        "plane_estimate_stderr": estimate.stderr,
    }


def entry_or_none(values: Sequence[float], place: int) -> float | None:
    """The entry at a place, None where a network has fewer layers."""
    return float(values[place]) if place < len(values) else None


@dataclass(frozen=True)
class JacobianMeans:
    """Means over points.

    Parameters
    ----------
    ranks : for each ReLU layer, of how many singular values of its Jacobian are above eps
    relative_ranks : of how many are above eps times the largest, which no scale of weights changes
    variation : of the Frobenius norm of the network's Jacobian
    """

    ranks: tuple[float, ...]
    relative_ranks: tuple[float, ...]
    variation: float


def jacobian_means(network: Network, points: FloatArray, eps: float) -> JacobianMeans:
    """Local ranks of the layers before their ReLUs, and total variation, as means over points."""
    active, jacobian = points, None
    ranks, relative_ranks = [], []
    for weights, biases, has_relu in zip(network.weights, network.biases, network.relu, strict=True):
        heights = active @ weights.T + biases
        first = np.broadcast_to(weights, (len(points), *weights.shape))
        jacobian = first if jacobian is None else weights @ jacobian
        active = heights
        if has_relu:
            singular = np.linalg.svd(jacobian, compute_uv=False)
            for found, least in ((ranks, eps), (relative_ranks, eps * singular[:, :1])):
                found.append(float(np.mean(np.count_nonzero(singular > least, axis=1))))
            active, jacobian = np.maximum(heights, 0.0), jacobian * (heights > 0.0)[:, :, None]
    variation = float(np.mean(np.linalg.norm(jacobian, axis=(1, 2))))
    return JacobianMeans(tuple(ranks), tuple(relative_ranks), variation)


def paper_bound(network: Network, variation: float, eta: float) -> float:
    """The paper's A: total variation times L c_eta, over the rest's Lipschitz constant.

    The constant is the largest product of the spectral norms of W_l to W_L. The paper's eta = 1 makes
    c_eta, which is the same at all steps, vanish.
    """
    norms = [float(np.linalg.norm(weights, 2)) for weights in network.weights]
    steepest = max(math.prod(norms[layer:]) for layer in range(1, len(norms)))
    c_eta = math.exp(-0.5) / (math.sqrt(2.0 * math.pi) * eta)
    return variation * len(network.widths) * c_eta / steepest


def unit_spreads(network: Network, points: FloatArray) -> list[FloatArray]:
    """Standard deviation over the points of what enters each ReLU, by layers."""
    active, spreads = points, []
    for weights, biases in zip(network.weights[:-1], network.biases[:-1], strict=True):
        heights = active @ weights.T + biases
        spreads.append(heights.std(axis=0))
        active = np.maximum(heights, 0.0)
    return spreads


def with_equal_spreads(network: Network, points: FloatArray) -> Network:
    """The same function with each ReLU's input scaled to standard deviation 1 over the points.

    ReLU(s t) = s ReLU(t) for s > 0, so a factor on a unit's weights and bias is undone in the next layer.
    Local complexity with noise of standard deviation sigma then is the one with noise of sigma times each
    unit's spread, and does not change when units are rescaled. Units with the same input at all points stay
    as they are. Layers are affine with ReLUs between them.

    Examples
    --------
    >>> weights = [np.array([[2.0]]), np.array([[3.0]])]
    >>> network = Network.from_arrays(weights, [np.array([1.0]), np.array([0.5])])
    >>> points = np.array([[-1.0], [1.0]])
    >>> same = with_equal_spreads(network, points)
    >>> same.weights[0], same.weights[1], bool(np.all(same.forward(points) == network.forward(points)))
    (array([[1.]]), array([[6.]]), True)
    """
    weights, biases = [], []
    before, active = np.ones(network.input_dim), points
    for own_weights, own_biases in zip(network.weights[:-1], network.biases[:-1], strict=True):
        heights = active @ own_weights.T + own_biases
        spread = heights.std(axis=0)
        own = np.where(spread > _ROUNDING * np.abs(heights).max(axis=0), spread, 1.0)
        weights.append(own_weights * before / own[:, None])
        biases.append(own_biases / own)
        before, active = own, np.maximum(heights, 0.0)
    weights.append(network.weights[-1] * before)
    biases.append(network.biases[-1])
    return Network.from_arrays(weights, biases)
